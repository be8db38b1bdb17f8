/* inside.h - what the files of this folder share. Nobody else includes it.
 *
 * Counts are asked for all the time, so they live in memory (struct tally, and the lanes in lanes.h);
 * a rollback restores what they were when the group began. */
#pragma once

#include "store/asked.h"
#include "store/sqlite/lanes.h"
#include "store/sqlite/sqlite.h"

#include <stdatomic.h>

struct secret_key;

enum {
    TENANT_WEIGHT = 100,
    REAP_MAX = 64,
    /* jobs of a lane, of each kind of needs, of which one is to fit; of all lanes for one question, but their first ones */
    PEEK_MAX = 16,
    PEEKS_MAX = 128,
    WAITS_STEP = 16,
    /* in a row without progress: given back at once; later ones wait longer and longer */
    RELEASES_FREE = 3,
    /* then the job ends: otherwise nothing bounds one that kills what runs it */
    RELEASES_MAX = 30,
    SWEEP_FOLDERS = 256, /* of evidence: the first two digits of a digest */
    DOOMED_MAX = 64,     /* files removed at once */
};

/* How a job ended, in the order of the labels of METRIC_JOBS_FINISHED: the verdicts first. */
enum outcome { OUTCOME_DEAD = VERDICT_COUNT - 1, OUTCOME_CANCELLED, OUTCOME_EXPIRED, OUTCOMES };

struct tally {
    int64_t by_state[JOB_STATES];
    int64_t ended[OUTCOMES]; /* jobs that ended since the store was opened */
    int64_t last_event;
    int64_t evidence_bytes;          /* of all files, compressed */
    int64_t files, file_bytes;       /* of media */
    int64_t kept_bytes;              /* of records of ended jobs, but dead ones */
    int64_t retained[RETAIN_LIMITS]; /* jobs deleted since the store was opened */
};

/* What a blocked job does when the one that it waits for has ended. */
enum waits_how {
    WAITS_NOT,
    WAITS_AFTER, /* runs, however that one ended */
    WAITS_SHARE, /* takes its result, or does the work itself when there is none */
};

/* The part of a job's row that transitions decide on. */
struct job_row {
    int64_t seq;
    char id[ID_TEXT];
    struct store_lane *lane;
    enum job_state state;
    uint64_t nonce; /* 0 when not active */
    int64_t fence, prio, rank, run_at_ms;
    bool started, suspect, cancel_asked;
    int64_t n_fail, n_crash, n_throttle, n_release;
    int64_t max_fail, max_crash, max_throttle, fail_base, crash_base, release_base;
    bool progressed; /* this lease added counted records */
    enum store_mark mark;
    int64_t next_batch, limit, have, users;
    enum item_kind counts;
    enum store_needs needs;
    int64_t generation, over_at_ms, deadline_ms; /* 0 none */
    int64_t waits_on;                            /* number of a job; 0 nothing */
    enum waits_how waits_how;
    int64_t work;
    int64_t shared_from;
    int64_t bytes;              /* of its records */
    bool calls_back;            /* its options may have a callback */
    enum failure_class failure; /* of the attempt that ended last */
    char site[SITE_NAME];
};

/* What a store that only reads has (reader.c). */
struct reading {
    int64_t most_ms;
    mono until; /* of what it reads now */
    bool was_cut;
    bool makes_way; /* is not worth a longer log */
    atomic_bool stopped;
    struct unsure *unsure; /* of this reading */
    struct store *next;    /* another reader of the same store */
};

struct store {
    struct store_head head;
    struct gate *gate;       /* of this store and its readers */
    struct reading *reading; /* NULL: it owns the file */
    struct db *db;           /* NULL after a failed reopening: the next group tries again */
    char *dir, *path, *ballast_path;
    int lock_fd;
    struct store_limits limits;
    uint64_t seed;
    struct node_view node; /* heard_ms 0: it has said nothing yet */
    bool in_group;
    /* the last group of the log may not be on the disk, whatever is read (log.h) */
    bool doubted;
    bool disk_full;            /* the ballast was given back; only what ends jobs is let in */
    int64_t disk_free;         /* bytes, when the group began */
    int64_t reaped_ms;         /* sqlite_reap() ran last */
    int64_t found_ms, last_ms; /* of clock.h: when it was opened, when it had been used last */
    bool check_due;            /* not all of the file was looked at when it was opened */
    bool clock_told;
    int64_t real_ahead_ms;
    int64_t clock_kept_ms; /* what is on the disk */
    struct buf scratch;    /* body of the event being written */
    int sweep_left;        /* folders of evidence to be looked at for files without a row */
    struct job_row rows[REAP_MAX]; /* of reap.c and cancel.c; what they call keeps its own */
    struct lane_book lanes;
    enum store_mode mode;
    int64_t epoch;
    int64_t group_ms;    /* store time of the group's operations so far */
    bool limits_changed; /* in this group: mode, or limits above lanes */
    bool batching;       /* a job of a batch is accepted: it drops nobody */
    bool accepting;      /* within sqlite_accept(): jobs that follow from it come later */
    bool tending;        /* batches.c: nobody above is about to touch a job */
    bool unsettled;      /* jobs wait for one that has ended: sqlite_reap() goes on with them */
    struct tally now, saved, marked; /* marked: by group_mark() */
    struct secret_key *key;          /* of sessions and webhooks; NULL until it is needed */
    uint64_t webhook_draws;          /* of ids and delays */
    /* files.c */
    char *doomed[DOOMED_MAX]; /* paths to remove when the group is on disk */
    size_t doomed_count;
    bool placed;            /* this group gave a file its name */
    int sweep_at;           /* folder that is looked through next; 256: all were */
    int64_t parts_swept_ms; /* 0: never */
};

/* E_OK when a group is open and still sound. Every writing operation asks first. */
MUST_USE err store_usable(struct store *s, struct fault *f);

/* A part of a group that is taken back or kept as one, one at a time: group_mark(), then
 * group_keep() or group_rewind(). */
MUST_USE err group_mark(struct store *s, struct fault *f);
MUST_USE err group_keep(struct store *s, struct fault *f);
MUST_USE err group_rewind(struct store *s, struct fault *f);

/* ---- sessions.c ---- */
/* Opens `key`; make: there may be none yet. */
MUST_USE err store_key(struct store *s, bool make, struct fault *f);

/* ---- ended.c: what follows when a job ends, whatever ended it ---- */
/* To be called in the transaction that ends it, behind its row and its event: the last thing, because
 * it may accept a job (which makes lanes, moves them, and uses s->scratch). */
MUST_USE err job_follow_up(struct store *s, int64_t seq, wall now, struct fault *f);
/* Before its row is deleted. */
MUST_USE err job_gone(struct store *s, int64_t seq, enum job_state state, struct fault *f);
/* ---- batches.c ---- */
MUST_USE err batches_child_ended(struct store *s, int64_t batch, enum job_state state, wall now,
                                 struct fault *f);
MUST_USE err batches_call_again(struct store *s, wall now, struct fault *f);
MUST_USE err batches_retain(struct store *s, wall before, bool *out_more, struct fault *f);
/* ---- parallel.c ---- */
struct parallel {
    size_t most, count, at; /* most 0: any number at once; at: the row that is next */
    int64_t tails[BATCH_PARALLEL_MOST];
};
MUST_USE err parallel_open(struct store *s, int64_t batch, int64_t most, struct parallel *out,
                           struct fault *f);
/* The job that the next one is to wait for; 0: none. */
int64_t parallel_after(const struct parallel *p);
MUST_USE err parallel_added(struct store *s, struct parallel *p, struct span id,
                            struct fault *f);
/* ---- operations.c ---- */
struct operation_args;
struct operation_view;
/* On the jobs of a batch. out NULL: not even its first piece is done, nobody looks at it. */
MUST_USE err operations_for_batch(struct store *s, int64_t batch,
                                  const struct operation_args *args, wall now, struct arena *a,
                                  struct operation_view *out, struct fault *f);
MUST_USE err operations_stop_for_batch(struct store *s, int64_t batch, wall now,
                                       struct fault *f);

/* ---- store.c ---- */
/* Makes the tables, or brings them up. */
MUST_USE err store_schema(struct store *s, struct fault *f);

/* ---- disk.c: lock file, free space, ballast ---- */
/* In the store's folder, while a mover empties the store: the file that takes its place. */
#define DISK_HALF_MADE "fulmar.db.new"
/* Removes as well what was half made by a process that was killed. */
MUST_USE err disk_lock(struct store *s, struct fault *f);
/* Sets `doubted`, and notes it in the lock file for the process after this one. */
void disk_doubt(struct store *s, bool doubted);
void disk_ballast_fill(struct store *s); /* clears disk_full when there is room again */
void disk_ballast_give(struct store *s); /* sets disk_full */

/* ---- clock.c ---- */
/* Sets s->group_ms to the time that the store is opened at: never before it was used last. */
MUST_USE err clock_load(struct store *s, struct fault *f);
/* Now and then, so that the next process can go on from here. */
MUST_USE err clock_keep(struct store *s, wall now, struct fault *f);
/* An instant that a client named, in the store's time; 0 stays 0. */
int64_t clock_of_client(const struct store *s, int64_t ms);
/* What run_at of a waiting job with so many leases is compared with: a job that never ran waits for what its
 * client named, any other for elapsed time. */
static inline int64_t run_clock_ms(const struct store *s, int64_t fence, wall now)
{
    return fence ? now.ms : now.ms + s->real_ahead_ms;
}

/* ---- jobs.c ---- */
/* The row when `nonce` holds its lease, else E_STALE. */
MUST_USE err job_row_held(struct store *s, struct span id, uint64_t nonce, struct job_row *out,
                          struct fault *f);
MUST_USE err job_row_by_seq(struct store *s, int64_t seq, bool *out_found, struct job_row *out,
                            struct fault *f);
/* Up to `most` rows of a query; ends the query. */
MUST_USE err job_rows_read(struct store *s, struct query *q, struct job_row *rows, size_t most,
                           size_t *out_count, struct fault *f);
MUST_USE err job_exists(struct store *s, struct span id, bool *out, struct fault *f);

/* How an active job ends its lease. */
enum lease_count {
    COUNT_FAIL,
    COUNT_CRASH,
    COUNT_THROTTLE,
    COUNT_RELEASE,
    COUNT_OK,
    COUNT_VOID
};
struct leaving {
    enum job_event on;
    enum lease_count count; /* which counter takes the lease: the conservation law */
    int64_t wait_ms;        /* of a scheduled job */
    enum failure_class failure;
    enum verdict verdict;
    enum end_reason end;
    struct span why, report;
    struct span usage;         /* of the attempt, as text; empty: not known */
    struct retry_policy retry; /* of the job; 0 as configured */
};
/* Charges the lease to `budget` and says what follows: again later, again at once, or the end. */
void job_charge(const struct store *s, const struct job_row *r, enum failure_budget budget,
                int64_t hint_ms, struct leaving *l);
/* The one way out of ACTIVE. */
MUST_USE err job_leave(struct store *s, const struct job_row *r, struct leaving *l, wall now,
                       enum job_state *out_state, struct fault *f);
/* The one way of a waiting job to its end: cancelled or expired. */
MUST_USE err job_end_waiting(struct store *s, const struct job_row *r, enum job_event on,
                             struct span why, wall now, struct fault *f);
/* A job has ended: what follows from it for others. Every end comes by here. */
MUST_USE err job_ended(struct store *s, const struct job_row *r, enum job_state to, wall now,
                       struct fault *f);
/* Whether jobs in this state count against the limits of what is kept; dead ones have their own. */
static inline bool job_is_kept(enum job_state state)
{
    return job_is_final(state) && state != JOB_DEAD;
}
/* Counts an ending for the metrics. */
void job_count_ended(struct store *s, enum job_state to, enum verdict verdict);

/* ---- cancel.c ---- */
/* Active jobs that were asked to stop and did not, by force; at most REAP_MAX in a call. */
MUST_USE err cancel_overdue(struct store *s, wall now, int64_t *out_count, struct fault *f);

/* ---- reap.c ---- */
/* Active jobs of an earlier process go back to ready, in front, with cursor and batch. */
MUST_USE err jobs_release_all(struct store *s, wall now, struct fault *f);

/* ---- waits.c: jobs that wait for another one ---- */
/* `leader` has ended as `to`: lets go on at most WAITS_STEP jobs that waited for it. */
MUST_USE err waits_settle(struct store *s, int64_t leader, wall now, int64_t *count,
                          struct fault *f);
/* Goes on with what waits_settle() left over, at most so much in a call. */
MUST_USE err waits_settle_rest(struct store *s, wall now, int64_t *count, struct fault *f);
/* Ends job `r`, which has no lease, with the result of the job that SQL_FROM found. */
MUST_USE err waits_answer(struct store *s, const struct job_row *r, struct query *from,
                          enum store_source source, wall now, struct fault *f);

/* ---- accept.c: what also says whether an ended job may come back ---- */
/* E_BUSY, E_DISK_FULL: no further job may come in, or none of this lane (NULL: of any). */
MUST_USE err accept_check(struct store *s, const struct store_lane *lane, struct fault *f);
/* E_SESSION: nobody in the pool can be used, now or after a rest. No pool is fine. */
MUST_USE err accept_check_session(struct store *s, struct span site, struct span pool, wall now,
                                  struct fault *f);
/* The live job of the tenant with this unique key: the one that works or may, or the one that is blocked. */
MUST_USE err accept_find_live(struct store *s, struct span tenant, struct span unique_key,
                              bool blocked, struct job_row *out, bool *out_found,
                              struct fault *f);

/* ---- retain.c ---- */
struct old_job {
    int64_t seq, finished_ms, bytes;
    enum job_state state;
    struct store_lane *lane;
    enum store_needs needs;
    char id[ID_TEXT];
};
/* Deletes an ended job. What it had goes with it as far as *rows allows, which is counted down; the rest
 * is left to sqlite_retain(). */
MUST_USE err job_forget(struct store *s, const struct old_job *j, int64_t *rows,
                        struct fault *f);

/* E_NOT_FOUND. */
MUST_USE err job_row_find(struct store *s, struct span id, struct job_row *out,
                          struct fault *f);

/* ---- reader.c: who reads beside us ---- */
struct gate *gate_new(void);
void gate_free(struct gate **g);
/* A reader is about to be closed. */
void reader_leave(struct store *r);
/* The thread that owns the store: nobody reads any more, and no other connection is open, until
 * gate_open(). What is being read is cut off. */
void gate_close(struct store *s);
/* sound: readers may come; otherwise they hear that the store is closed. */
void gate_open(struct store *s, bool sound);
/* No new readers until gate_open(); those inside go on, or not (`cut`). */
void gate_shut(struct store *s, bool cut);
bool gate_is_shut(struct store *s);
bool gate_has_readers(struct store *s);
/* What it sees from now on is what there is now; of a store that owns the file: nothing to do. */
MUST_USE err reader_look_again(struct store *s, struct fault *f);
/* `waiting` of these views is to be filled in by the store that they were read from. */
void reader_unsure(struct store *s, struct arena *a, struct job_view *jobs, size_t count);

/* ---- views.c ---- */
void job_view_waiting(const struct store *s, wall now, struct job_view *v);
/* All that the query finds, at most `limit`, and as many as the arena has room for. Ends the query. */
MUST_USE err job_views_take(struct store *s, wall now, struct query *q, size_t limit,
                            struct arena *a, struct job_view **out, size_t *out_count,
                            struct fault *f);
/* As sqlite_job(), but its place among others. */
MUST_USE err job_view_find(struct store *s, struct span id, wall now, struct arena *a,
                           struct job_view *out, struct fault *f);
/* The number of the job that a list goes on after; untouched when nothing was seen yet. E_NOT_FOUND. */
MUST_USE err job_views_start(struct store *s, struct span after, int64_t *out_seq,
                             struct fault *f);
/* ---- find.c ---- */
/* Jobs behind a number that may match, by number, each as find_read() reads it: first its number and its id. */
MUST_USE err find_ask(struct store *s, const struct jobs_filter *by, bool oldest_first,
                      int64_t place, int64_t most, struct query **out, struct fault *f);
void find_read(struct query *q, struct jobs_facts *out);
/* ---- modes.c ---- */
MUST_USE err modes_load(struct store *s, struct fault *f);
MUST_USE err modes_new_epoch(struct store *s, wall now, struct fault *f);

/* ---- items.c ---- */
/* The number of the job, E_NOT_FOUND. */
MUST_USE err items_job(struct store *s, struct span id, int64_t *out_seq, struct fault *f);

/* ---- evidence.c ---- */
/* Takes the evidence off a job that goes, at most *rows of it, which is counted down. */
MUST_USE err evidence_forget(struct store *s, int64_t job, int64_t *rows, struct fault *f);
/* The bytes of such a file as they lie there; the caller frees them. */
MUST_USE err evidence_frame(struct store *s, struct span hash, struct buf *out,
                            struct fault *f);
MUST_USE err evidence_frame_keep(struct store *s, struct span hash, struct span frame,
                                 struct fault *f);
/* ---- files.c ---- */
MUST_USE err files_load(struct store *s, struct fault *f);
/* Takes up to *rows files off the job. */
MUST_USE err files_release(struct store *s, int64_t job, int64_t *rows, struct fault *f);
/* The group is on disk, or rolled back. */
void files_after_group(struct store *s, bool committed);
/* ---- fields.c: adds what a worker counted to the hour ---- */
MUST_USE err field_counts_add(struct store *s, struct span site, struct span counts, wall now,
                              struct fault *f);
/* ---- marks.c ---- */
/* The job ended well: its posts are known from now on. */
MUST_USE err marks_move(struct store *s, const struct job_row *r, wall now, struct fault *f);

/* ---- schedules.c ---- */
/* Earliest instants at which a schedule must be looked at, by clock. */
MUST_USE err schedules_outlook(struct store *s, int64_t out_ms[2], struct fault *f);
/* ---- sessions.c: in an open group ---- */
struct session_pick {
    int64_t sid;
    char id[ID_TEXT];
};
/* The session of the pool that was used longest ago among those that can be used for the operation now.
 * E_END: none; *out_open_ms is when the first can be (INT64_MAX: nobody knows; lanes_pool_changed() will be
 * called). Writes nothing. */
MUST_USE err sessions_pick(struct store *s, struct span site, struct span pool,
                           struct span operation, wall now, struct session_pick *out,
                           int64_t *out_open_ms, struct fault *f);
/* The job has it from now on, until sessions_release(). */
MUST_USE err sessions_take(struct store *s, const struct session_pick *p, int64_t job,
                           struct span operation, wall now, struct fault *f);
/* Whatever way the job leaves the active state. Fine when it has none. */
MUST_USE err sessions_release(struct store *s, int64_t job, struct fault *f);
struct session_noted {
    bool held;   /* the job has a session: the rest is about it */
    bool lost;   /* the site refuses it from now on */
    bool others; /* when refused: the pool has another that can be used, now or later */
    char id[ID_TEXT];
};
/* How the attempt ended, before the release. rest_ms: of FAILURE_RATE_LIMITED. */
MUST_USE err sessions_note(struct store *s, int64_t job, enum failure_class failure,
                           int64_t rest_ms, struct span why, int64_t requests, wall now,
                           struct session_noted *out, struct fault *f);
/* How many of the pool can be used now or after a rest. */
MUST_USE err sessions_usable(struct store *s, struct span site, struct span pool, wall now,
                             int64_t *out, struct fault *f);

/* ---- hands.c ---- */
/* What is over is nobody's. */
MUST_USE err hand_read(struct store *s, enum hand_of of, struct span key, wall now,
                       struct hand *out, struct fault *f);
MUST_USE err hand_note(struct store *s, enum hand_of of, struct span key, struct span by,
                       struct span why, int64_t until_ms, wall now, struct fault *f);
MUST_USE err hand_drop(struct store *s, enum hand_of of, struct span key, struct fault *f);
/* What the change does to the thing itself; the note of it is hands.c's. out_key: its id. */
MUST_USE err sessions_hand(struct store *s, const struct hand_change *c, wall now,
                           char out_key[ID_TEXT], bool *out_changed, struct fault *f);
MUST_USE err webhooks_hand(struct store *s, const struct hand_change *c, wall now,
                           char out_key[ID_TEXT], bool *out_changed, struct fault *f);
/* Of this one, or of all (only empty): behind the *n that are there. a: for their names; may be NULL with only. */
MUST_USE err webhooks_limits(struct store *s, struct span only, struct arena *a,
                             struct limit_view *out, size_t most, size_t *n, struct fault *f);

/* ---- events.c: a body is written into s->scratch ---- */
struct json_w;
struct json_w event_open(struct store *s);                       /* open object */
struct json_w event_body(struct store *s, enum job_state state); /* likewise, with "state" */
MUST_USE err event_add(struct store *s, const char *job, const char *kind, wall now,
                       struct json_w *body, struct fault *f);
/* Behind a statement that has counted it in the job's row already (`events`): one write of the row for both. */
MUST_USE err event_add_counted(struct store *s, const char *job, const char *kind, wall now,
                               struct json_w *body, struct fault *f);

/* ---- webhooks.c ---- */
/* To whom the event of the job's end goes as well, as a member of its body. */
MUST_USE err webhooks_call_back(struct store *s, const struct job_row *r, struct json_w *body,
                                struct fault *f);
