/* dead.h - jobs that ended and may come back: replay (T18), dead letters in groups, and operations
 * that touch many jobs in bounded pieces (store.h has the rules of all operations of the store).
 *
 * A dead job carries a fingerprint of site, kind, failure and words (core/fingerprint.h). Those with
 * the same class, site and fingerprint are one group. Counts come from rows through an index and stop
 * at DEAD_COUNT_MOST, so that no question holds the store up.
 *
 * An operation is a row: filter, rate, how far it has come. store_tend() moves it on, a piece each
 * time, in one transaction with what the piece did: after a crash it goes on where it was, and each
 * job is touched once, because it looks only at jobs that were there when it began, each number once. What
 * cannot be done to a job (to hold one that runs) is counted as skipped. */
#pragma once

#include "core/fingerprint.h"
#include "store/find.h"

enum {
    DEAD_COUNT_MOST = 10000,
    DEAD_EXAMPLES = 3,
    DEAD_GROUPS_MOST = 200, /* one answer */
    OPERATION_RATE_MOST = 6000,
};

/* ---- replay of one job ---- */
struct replay_args {
    struct span id;
    bool reset; /* read the list from its beginning again; what the job has stays */
};
struct replay_reply {
    enum job_state was;
    int64_t generation; /* how often it has come back, this time included */
};
/* dead, cancelled or expired → ready. The id, its records and its cursor stay; each budget gets its
 * full bound once more. E_CONFLICT names the state; E_NOT_FOUND; E_BUSY, E_DISK_FULL as in accept. */
MUST_USE err store_replay(struct store *s, const struct replay_args *args, wall now,
                          struct replay_reply *out, struct fault *f);

/* An ended job goes at once, and with it what retention would take. E_CONFLICT: it has not ended, or another job
 * waits for it or has its result; E_NOT_FOUND. */
MUST_USE err store_forget(struct store *s, struct span id, wall now, struct fault *f);

/* ---- groups ---- */
struct dead_filter { /* what is not given matches everything */
    int failure;     /* enum failure_class, or −1 */
    struct span site, kind, fingerprint;
    int64_t since_ms, until_ms; /* of the death; until_ms 0: no bound */
};
struct dead_example {
    char id[ID_TEXT];
    struct span target, why;
    int64_t at_ms;
};
struct dead_group {
    enum failure_class failure;
    struct span site, kind;
    char fingerprint[FINGERPRINT_TEXT];
    int64_t count; /* at most DEAD_COUNT_MOST: there may be more */
    int64_t first_ms, last_ms;
    struct dead_example examples[DEAD_EXAMPLES]; /* newest first */
    size_t example_count;
};
struct dead_query {
    struct dead_filter filter;
    struct { /* the last group of the page before; site empty: from the first */
        int failure;
        struct span site, fingerprint;
    } after;
    size_t limit; /* 1-DEAD_GROUPS_MOST */
};
/* In the order of class, site, fingerprint. out_more: there may be others. */
MUST_USE err store_dead_groups(struct store *s, const struct dead_query *q, struct arena *a,
                               struct dead_group **out_groups, size_t *out_count,
                               bool *out_more, struct fault *f);

/* ---- operations ---- */
/* The numbers are stored. */
enum operation_kind {
    OPERATION_REPLAY = 0,
    OPERATION_DELETE = 1,
    OPERATION_CANCEL = 2,
    OPERATION_HOLD = 3,
    OPERATION_RELEASE = 4,
    OPERATION_PRIORITY = 5,
    OPERATION_KINDS
};
enum operation_state { OPERATION_RUNNING = 0, OPERATION_DONE = 1, OPERATION_STOPPED = 2 };
const char *operation_kind_name(enum operation_kind k);   /* "replay", "set_priority" */
const char *operation_state_name(enum operation_state s); /* "running", "done", "cancelled" */

struct operation_args {
    struct span id;           /* "opr_…", made by the caller */
    enum operation_kind kind; /* of dead jobs REPLAY or DELETE, of many any */
    struct dead_filter filter;
    struct span job;         /* only this one, when it is dead; else empty */
    int64_t per_minute;      /* 0: as fast as the pieces allow, at most OPERATION_RATE_MOST */
    bool reset;              /* of a replay */
    bool many;               /* jobs of any kind, in place of dead ones; then also: */
    struct jobs_filter jobs; /* looked at when it is each one's turn, the oldest first */
    int64_t most;            /* jobs; 0: all that match */
    int prio;                /* of PRIORITY */
    struct span why;         /* of CANCEL and HOLD, at most STORE_WHY_MAX bytes; may be empty */
};
struct operation_view {
    char id[ID_TEXT], batch[ID_TEXT], fingerprint[FINGERPRINT_TEXT];
    enum operation_kind kind;
    enum operation_state state;
    int failure; /* −1: any */
    struct span site, job_kind;
    int64_t since_ms, until_ms, per_minute, done, skipped;
    bool reset;
    int64_t created_ms, updated_ms, finished_ms, due_ms; /* due: of the next piece */
    bool many;                                           /* of `jobs`, `most`, `prio`, `why` */
    struct jobs_filter jobs;
    int64_t most;
    int prio;
    struct span why;
};
/* Its first piece is done at once: a small one has ended when this returns. E_CONFLICT: the id is
 * there; E_NOT_FOUND: `job` is no dead job. */
MUST_USE err store_operation_start(struct store *s, const struct operation_args *args, wall now,
                                   struct arena *a, struct operation_view *out,
                                   struct fault *f);
/* No further piece. What is done stays. E_CONFLICT: it is done. */
MUST_USE err store_operation_cancel(struct store *s, struct span id, wall now, struct fault *f);
MUST_USE err store_operation(struct store *s, struct span id, struct arena *a,
                             struct operation_view *out, struct fault *f);
/* Newest first; after: id of the last one seen, or empty. limit 1-200. */
MUST_USE err store_operations(struct store *s, struct span after, size_t limit, struct arena *a,
                              struct operation_view **out, size_t *out_count, struct fault *f);

/* A piece of every operation that is due, and callbacks of batches that could not be accepted
 * before. struct outlook announces the next one. Needs an open group. */
MUST_USE err store_tend(struct store *s, wall now, struct fault *f);
/* A bounded piece of: batches and operations that ended before. */
MUST_USE err store_retain_batches(struct store *s, wall before, bool *out_more,
                                  struct fault *f);
