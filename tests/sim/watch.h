/* watch.h - looks over the store's shoulder: every operation of the simulation goes through here, is
 * done by the real store, and what came of it is held against the promises of the queue.
 *
 * It believes nothing that the store keeps: who holds a lease, which batches were taken, when a lane
 * may start again is known from the answers alone. A promise that does not hold ends the run with its
 * name (watch_broken). Times are store time in ms.
 *
 * watch.c: leases, records, lanes, what lies on the disk. keys.c: accepting, equal requests, equal work. hands.c: what people
 * do. batches.c: jobs that belong together, and operations on many. sessions.c: logins.
 * schedules.c: runs. fair.c: who starts first, and limits above lanes. refused.c: what is refused changes nothing. hooks.c: what
 * a receiver is told. disk.c: the disk. */
#pragma once

#include "pool/ask.h"
#include "store/batches.h"
#include "store/lanes.h"
#include "store/schedules.h"

/* The first lanes are asked for; jobs that ended their worker's life go on in the others. */
enum {
    WATCH_JOBS = 96,
    WATCH_MADE =
        160, /* that the store makes by itself: callbacks of batches, runs of schedules */
    WATCH_SCHEDULES = 2,
    WATCH_ALL = WATCH_JOBS + WATCH_MADE,
    WATCH_BATCHES = 2,
    WATCH_BATCH_JOBS = 6,
    WATCH_BATCH_FIRST = 3, /* of these: with which one comes that stays open */
    WATCH_ALONE =
        WATCH_JOBS - WATCH_BATCHES * WATCH_BATCH_JOBS, /* those behind are of batches */
    WATCH_ASKED = 4,
    WATCH_SESSIONED = 3, /* of these: its jobs need a session */
    WATCH_SESSIONED_ALONE = 6,
    WATCH_SESSIONS = 2,
    WATCH_CALLED = 2, /* that of these in which the store makes jobs by itself */
    WATCH_LANES = 7,
    WATCH_STARTS = 32,
    WATCH_SENT = 32, /* deliveries at once */
    WATCH_BATCH = 3,
    WATCH_WORKS = 8, /* that several jobs are about */
    WATCH_NOBODY = -1,
    WATCH_WHY = 400
};
#define WATCH_LIMITED_SITE "y"

/* What becomes of a job that is about the same as another one. */
enum watch_wish {
    WISH_EXISTING, /* these four are the unique keys' (core/unique.h) */
    WISH_REJECT,
    WISH_REPLACE,
    WISH_AFTER,
    WISH_FRESH, /* a result that is young enough will do */
    WISH_SHARE, /* waits for the one that does it, and takes its result */
    WISHES
};
/* What a client asks for: fixed before the storm begins. */
struct watch_order {
    int64_t lane;
    int prio;
    int64_t work; /* of WATCH_WORKS; WATCH_NOBODY: like no other */
    enum watch_wish wish;
    bool young;           /* with WISH_EXISTING: a young result of the key will do as well */
    int64_t memory_bytes; /* that it takes; 0: it does not say */
    bool keyless;         /* without an Idempotency-Key: its id is what tells it */
};

struct watch_job {
    char
        id[ID_TEXT]; /* under which it was accepted: each try of a request has one of its own */
    bool exists, acknowledged;
    bool
        cancelled; /* it may run to the end of its lease, and never start again, but by a replay */
    int64_t stop_by_ms; /* asked to stop, it ends by then; 0: not asked, or without a bound */
    int64_t generation; /* times it came back after its end */
    int64_t voids;      /* leases that ended with a cancel */
    bool shares;        /* it was accepted to take another one's result */
    int64_t after;      /* job that has to end before it starts; WATCH_NOBODY */
    int64_t from;       /* job whose result it has; WATCH_NOBODY: its own */
    int64_t accepted_ms, finished_ms;
    int64_t events;  /* that were heard of it */
    bool progressed; /* this lease brought records */
    enum job_state state;
    int64_t lane, fence, ends, next_batch, not_before, successes;
    uint64_t nonce;      /* of the lease in force; 0: none */
    uint64_t last_nonce; /* of the lease that ended last */
    int64_t lapses_ms;   /* the lease may be taken for lost from then on */
};
struct watch_rate {
    int64_t starts[WATCH_STARTS], count; /* times of the last starts, newest last */
};
struct watch_lane {
    int64_t active, blocked_until, breaker_until;
    bool paused, closed;
    struct watch_rate rate;
    struct watch_rate paced; /* since it uses so much of its rate */
    int64_t percent;         /* 0: all */
};
struct watch_limit { /* above lanes */
    int64_t most;    /* that run; 0: any number */
    int64_t emit_ms, burst;
};
struct watch_batch {
    bool exists, added, sealed;
    char id[ID_TEXT];
    int64_t called[BATCH_CALLS]; /* how often it was announced */
};
struct watch_schedule {
    bool exists;
    int64_t runs; /* jobs that were made for it */
};
#define WATCH_POOL "crew"
struct watch_session {
    char id[ID_TEXT];
    int64_t job, last; /* that has it; that had it last; WATCH_NOBODY */
    /* The site said so; no longer than that, where it did not say when. */
    int64_t rests_until, may_rest_until;
    int64_t used_ms;
};
struct watch_operation { /* the last one; there is one at a time */
    char id[ID_TEXT];
    bool running;
    bool touched[WATCH_ALL];
    int64_t done;
};
/* What was seen; a copy is what was true before the group that was lost. */
struct watch_seen {
    struct watch_job jobs[WATCH_ALL]; /* those of clients, then those that the store made */
    struct watch_lane lanes[WATCH_LANES];
    struct watch_rate site, tenant;
    struct watch_batch batches[WATCH_BATCHES];
    struct watch_session sessions[WATCH_SESSIONS];
    struct watch_operation operation;
    enum store_mode mode;
    struct watch_schedule schedules[WATCH_SCHEDULES];
    int64_t made;  /* jobs that the store made */
    int64_t slots; /* of these, runs of schedules */
    int64_t last_event;
    int64_t startable, next_ms; /* as last announced */
};
/* How often each thing happened that a run is there for. */
/* clang-format off */
#define WATCH_SIGHTS(X)                                                                          \
    X(starts) X(stale) X(duplicates) X(successes) X(deaths) X(cancels) X(reaped) X(suspected)     \
    X(replayed) X(throttled) X(slowed) X(quickened) X(breakers) X(lost_groups) X(restarts) X(full_lanes) X(late_renewals) X(quarantined)      \
    X(existing) X(refused) X(replaced) X(in_line) X(cached) X(shared)          \
    X(forced) X(overdue) X(pauses) X(closed) X(modes) X(turned_away) X(come_back) X(may_not_return) X(batches) X(callbacks)   \
    X(operations) X(by_operation) X(sized) X(passed_over) X(alone) X(logins) X(rests) X(fired) X(fired_late) \
    X(young) X(told) X(told_again) X(added) X(in_order) X(full_limits) X(unchanged) X(full_disks) X(no_room)
/* clang-format on */
#define X(name) SIGHT_##name,
enum watch_sight { WATCH_SIGHTS(X) SIGHTS };
#undef X

/* A mistake put in on purpose: each must be found. */
enum watch_mistake {
    MISTAKE_NONE,
    MISTAKE_FENCE, /* a call with an old nonce is given the present one */
    MISTAKE_EARLY, /* reserve believes it is a minute later */
    MISTAKE_LOSS,  /* a group is acknowledged and not written */
    MISTAKE_TWICE, /* a batch that comes again is written again */
    MISTAKE_SLEEP, /* what falls due is not announced */
    MISTAKES
};

struct watch {
    struct store *s;
    struct store_limits limits;
    const char *dir;
    uint64_t store_seed;
    int64_t round; /* of storms on one store; each has its own jobs */
    struct watch_order orders[WATCH_ALL];
    struct {
        bool open; /* the rest of its jobs come later, and then it is sealed */
        int64_t parallel, stop_after;
    } batch_orders[WATCH_BATCHES];
    char hook[ID_TEXT];
    int64_t told
        [WATCH_ALL]; /* the last event of each job that the receiver heard of: nothing takes that back */
    struct watch_limit site_limit, tenant_limit;
    bool alone; /* who asks now has room for one job that was passed over, and for no other */
    struct watch_noted {
        int64_t changes; /* rows written so far */
        struct outlook outlook;
    } noted;
    bool operating; /* what is heard now an operation does */
    int64_t firing; /* … the runs of this schedule are made; 0: of none, else its number + 1 */
    wall slots[SCHEDULE_CATCH_UP_MAX]; /* … those of these slots */
    size_t slot_count;
    bool clock_was_set; /* in this round: slots were passed over, or came twice */
    struct zone zone;
    struct watch_seen seen, saved;
    int64_t sights[SIGHTS];
    enum watch_mistake mistake;
    bool in_group;
    bool kept; /* the files of before the group lie beside those of the store */
    struct arena *a;
    void (*broken)(void *ctx, const char *why); /* does not return */
    void *ctx;
};

extern const char *const watch_lane_names[WATCH_LANES];
extern const char *const watch_sight_names[SIGHTS];

void watch_open(struct watch *w, int64_t now);
void watch_close(struct watch *w);
/* The power fails, outside of a group or in one that was begun to be lost: then the files are what they
 * were before it. The service comes back. */
void watch_power(struct watch *w, int64_t now);
void watch_begin(struct watch *w, int64_t now, bool to_be_lost);
/* E_DISK_FULL: nothing of the group is there. */
err watch_commit(struct watch *w, int64_t now);

/* ---- the disk ---- */
void disk_put_under(void); /* before a store is opened */
void watch_disk(struct watch *w, bool full);

/* Before an operation, and what is to be said of it when it was refused: that nothing changed. takes_back: it may have written
 * rows and taken them back. */
void watch_note(struct watch *w, int64_t now);
void watch_refused(struct watch *w, const char *call, bool takes_back, err e, int64_t now);

/* The clock was set; it showed `before`. What was due by then stays so, and times between starts say
 * nothing any more. */
void watch_clock(struct watch *w, int64_t before);

int64_t watch_batches(int64_t job); /* that it takes to the end; 1-4 */
/* A request comes for the `try`th time, each time with an id of its own; hash: of what it says. What it is answered: E_OK, it
 * is there, or the words say why not; *out_wait: it may be asked again later. */
err watch_accept(struct watch *w, int64_t job, int64_t try, uint64_t hash, int64_t now,
                 bool *out_wait);
struct watch_lease {
    int64_t job, next_batch;
    uint64_t nonce;
    int64_t passed_ms, passed_bytes; /* as in struct lease */
};
err watch_reserve(struct watch *w, uint64_t random, const struct ask *memory, int64_t now,
                  struct watch_lease *out);
err watch_started(struct watch *w, int64_t job, uint64_t nonce, int64_t now);
err watch_heartbeat(struct watch *w, int64_t job, uint64_t nonce, int64_t now,
                    bool *out_cancel);
err watch_records(struct watch *w, int64_t job, uint64_t nonce, int64_t batch, int64_t now);
struct watch_ending {
    enum failure_class failure;
    enum failure_budget budget;
    int64_t wait_ms;
};
err watch_finish(struct watch *w, int64_t job, uint64_t nonce, struct watch_ending e,
                 int64_t now);
/* ---- what people do ---- */
struct watch_stop {
    bool force;
    int64_t grace_ms;
};
err watch_cancel(struct watch *w, int64_t job, struct watch_stop how, int64_t now,
                 bool *out_active);
err watch_lane_act(struct watch *w, int64_t lane, enum lane_act act, int64_t now);
err watch_mode(struct watch *w, enum store_mode mode, int64_t now);
err watch_replay(struct watch *w, int64_t job, bool reset, int64_t now);
/* Its jobs, and itself, under ids of this try; as watch_accept(). */
err watch_batch_make(struct watch *w, int64_t batch, int64_t try, int64_t now, bool *out_wait);
/* Of an open one: the rest of its jobs; no more come. As watch_accept(). */
err watch_batch_add(struct watch *w, int64_t batch, int64_t try, int64_t now, bool *out_wait);
err watch_batch_seal(struct watch *w, int64_t batch, int64_t now, bool *out_wait);
bool watch_batches_called(const struct watch *w); /* their callbacks are there */
/* Dead and expired ones of the batch come back; of all jobs: WATCH_NOBODY. Nothing is done while another operation runs. */
err watch_retry(struct watch *w, int64_t batch, uint64_t random, int64_t now);

/* ---- schedules ---- */
void watch_schedules_put(struct watch *w, int64_t now);
struct watch_due { /* as one node saw it */
    int64_t schedule, revision, last_ms, at_ms;
};
/* Which are due; a node fires each by itself, when it gets to it. */
size_t watch_due(struct watch *w, int64_t now, struct watch_due out[WATCH_SCHEDULES]);
err watch_fire(struct watch *w, const struct watch_due *due, int64_t now);
/* They are held against what was made for them, and go. */
void watch_schedules_end(struct watch *w, int64_t now);

/* ---- webhooks ---- */
struct watch_sent {
    int64_t did, number; /* of the attempt */
    int64_t job, event;  /* WATCH_NOBODY: about no job of this storm */
};
size_t watch_hook_take(struct watch *w, int64_t now, struct watch_sent out[WATCH_SENT]);
void watch_hook_hear(struct watch *w, const struct watch_sent *sent); /* the receiver does */
void watch_hook_done(struct watch *w, const struct watch_sent *sent, bool arrived, int64_t now);
bool watch_hook_knows_all(const struct watch *w);

void watch_tend(struct watch *w, int64_t now);
/* The instant at which something falls due; `startable` work as of now in seen.startable. */
int64_t watch_ahead(struct watch *w, int64_t now);
/* Every job and every record once more; at the end all are ended, `all_over`. */
void watch_audit(struct watch *w, int64_t now, bool all_over);
/* Everything is deleted and nothing is left. */
void watch_clear(struct watch *w, int64_t now);
/* After that: the next storm on the same store, with jobs of its own. */
void watch_next_round(struct watch *w, int64_t now);
