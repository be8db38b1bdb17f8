/* unique.h - equal work asked for again: what becomes of a job whose unique key a live job has, and
 * when an earlier answer is good enough. Decisions over facts; the lock is the job's own row, so it
 * ends with the job and cannot leak. */
#pragma once

#include "core/job.h"

enum unique_mode {
    UNIQUE_RETURN_EXISTING, /* the default */
    UNIQUE_REJECT,
    UNIQUE_REPLACE_PENDING,  /* debounce: the newest request stands, unless one runs */
    UNIQUE_RUN_AFTER_ACTIVE, /* keep last: one more after the one that runs */
};
struct unique_facts {
    bool live;            /* a job with this key is not ended: */
    enum job_state state; /* … and its state */
    bool successor;       /* one waits already for the running one to end */
};
enum unique_decision {
    UNIQUE_ACCEPT,        /* nothing is in the way */
    UNIQUE_EXISTING,      /* answer with the live job */
    UNIQUE_REFUSE,        /* conflict, naming it */
    UNIQUE_REPLACE,       /* cancel the waiting one and accept, in one transaction */
    UNIQUE_ACCEPT_AFTER,  /* accept it blocked until the running one has ended */
    UNIQUE_REPLACE_AFTER, /* likewise, and cancel the one that waits for that */
    UNIQUE_REPLACE_BOTH, /* cancel the one that waits to be tried again and the one behind it, and accept */
};
enum unique_decision unique_decide(enum unique_mode mode, const struct unique_facts *facts);

/* An earlier result of the same work, asked for with max_age and stale_if_error (ms; < 0: not asked). */
struct unique_answer {
    bool exists;
    int64_t age_ms;
    bool failing; /* the work could not be done now: breaker open, or the latest try failed */
};
enum unique_reuse {
    UNIQUE_WORK,  /* do the work */
    UNIQUE_FRESH, /* answer with the earlier result */
    UNIQUE_STALE, /* answer with it and say that it is old */
};
enum unique_reuse unique_reuse(const struct unique_answer *a, int64_t max_age_ms,
                               int64_t stale_if_error_ms);
