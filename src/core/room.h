/* room.h - how much memory a node offers the next job. Pure.
 *
 * A job that says how much memory it takes (resources.memory_mib) is promised that much from its start to its end, and what
 * is promised is never offered a second time: not while the job has not taken it yet, and not while another slot asks the
 * store for a job with it. One that says nothing is promised nothing; until it has taken as much, a usual job's memory is
 * kept for it. Only a node on which nothing runs, and nothing is asked, offers whatever a job wants: else a job that wants
 * more than there is would never start. It runs alone. */
#pragma once

#include "base/span.h"

enum room_kind {
    ROOM_NOTHING, /* no job starts now, whatever it says */
    ROOM_UNSAID,  /* only a job that does not say what it takes */
    ROOM_BYTES,   /* likewise, and one that says so many bytes at most */
    ROOM_ANY,
};
struct room_offer {
    enum room_kind kind;
    int64_t bytes; /* of ROOM_BYTES, more than 0 */
};
/* Memory of a job that does not say what it takes. */
enum { ROOM_USUAL_LIGHT = 16 << 20, ROOM_USUAL_PAGE = 64 << 20 };

struct room {
    bool known;
    int64_t left;
    int64_t jobs, questions; /* that run, or end; that the store has not answered yet */
    bool asked_sized,
        asked_any; /* one of the questions may bring a job that says what it takes; that takes anything */
};
/* there_bytes: that could be taken now without the machine, or the service's own limit, running short; −1: nobody knows. */
struct room room_begin(int64_t there_bytes);
/* A job that is promised so much, or would usually take it, and has taken that of it when `there` was looked at. */
void room_add_job(struct room *r, int64_t promised_bytes, int64_t taken_bytes);
/* A question on its way: what it offers may be gone. page: it may bring a job with one. */
void room_add_question(struct room *r, struct room_offer offer, bool page);
/* What the next question may offer beside all of these. */
struct room_offer room_offer(const struct room *r);

/* A job that takes more than is ever left beside others would wait for as long as others come. When one was passed over
 * that has been ready for longer than patience_ms, the node takes no other until nothing runs on it, and then that one.
 * Before it does so again as much time passes as that took, and patience_ms at least. Times are milliseconds of one clock. */
struct room_turn {
    bool emptying;
    int64_t bytes; /* of the job that room is made for */
    int64_t since_ms, rest_until_ms;
};
/* A job was passed over. Whether the node begins to make room for it. */
bool room_passed(struct room_turn *t, int64_t waited_ms, int64_t bytes, int64_t patience_ms,
                 int64_t now_ms);
/* The question with nothing beside it was answered: with that job, or another node has it. Or it was seen before that the job is
 * gone, or held up by something else. */
void room_made(struct room_turn *t, int64_t patience_ms, int64_t now_ms);
/* How long a job must have waited for which the node would begin to make room now; 0: it would for none. */
int64_t room_turn_after(const struct room_turn *t, int64_t patience_ms, int64_t now_ms);
struct room_offer room_turn_offer(const struct room_turn *t, const struct room *r);
