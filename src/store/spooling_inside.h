/* spooling_inside.h - what spooling.c (single jobs, handing over) and spooling_batches.c share. */
#pragma once

#include "store/spooling.h"
#include "store/sqlite/spool.h"

/* What waits of one kind, and how far the queue was offered it. */
struct line {
    enum spool_kind kind;
    int64_t after;       /* the last one that was looked at, of those that wait */
    int64_t back_to;     /* the first one that is to be offered again; 0: none */
    struct buf answered; /* numbers that the queue answered for, which could not be noted yet */
    int64_t
        untold; /* the job that was offered without its key last, and nobody knows whether the queue has it; 0 none */
    int64_t said; /* the last one of which it was said that it is stuck */
    int64_t stuck,
        stuck_now; /* jobs, of the last time that all were looked at; of this one, so far */
};
struct spooling {
    struct spool *spool;
    char dir[512];
    bool always;
    int64_t disk_floor_bytes, retain_ms;
    mono (*clock)(void);
    struct arena *own;      /* of the job at hand */
    struct arena *of_batch; /* of the batch at hand */
    int64_t round;          /* of KEEP_MS */
    mono began;             /* it */
    struct store_replication
        had;        /* by the queue when it began, or soon after; history empty: not known */
    mono asked;     /* how far its replicas are, the last time */
    bool behind;    /* it was said that they are not as far */
    char queue[64]; /* which one was used last; empty: none yet */
    int64_t losses; /* of the queue, that were seen */
    bool again_due; /* since the last one that was not noted yet */
    bool pass_due;
    mono passed; /* the last time that was looked for what has been done with */
    struct line lines[SPOOL_KINDS];
    bool troubled; /* it was said that nothing can be noted */
};
enum spooling_outcome { TAKEN, HANDED_OVER, ASIDE, KEPT, NOT_KEPT }; /* of METRIC_SPOOLED */

enum job_state spooling_job_state(const struct accept_args *job, wall now);
/* Whether anything is taken: as of spooling_take(). */
MUST_USE err spooling_may_take(struct spooling *s, enum store_mode mode, struct fault *f);
/* What becomes of an order with a unique key, as far as this node knows: of the jobs that wait here, none of which runs.
 * out_live: the one that has the key; number 0: none. One that cannot be read has none: it will be set aside. a NULL: of its texts
 * nothing is wanted for longer than until the next one. */
MUST_USE err spooling_decide(struct spooling *s, const struct accept_args *job,
                             struct span tenant, wall now, struct arena *a,
                             enum unique_decision *out, struct spooled *out_live,
                             struct fault *f);
/* Likewise where it meets this one. */
MUST_USE err spooling_meet(const struct accept_args *job, const struct accept_args *live,
                           wall now, enum unique_decision *out, struct fault *f);
struct spool_given spooling_given(const struct spooling *s, wall now);
