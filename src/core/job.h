/* job.h - states of a job and the legal moves between them (queue.md §2). What is not in the table
 * cannot happen: an unlisted pair is a bug when it comes from us and 409 when it comes from a client. */
#pragma once

#include "base/span.h"

/* The numbers are stored; never renumber. */
enum job_state {
    JOB_BLOCKED = 0, /* waits for another job, or the children of its batch */
    JOB_SCHEDULED = 1,
    JOB_READY = 2,
    JOB_ACTIVE = 3,
    JOB_SUCCEEDED = 4,
    JOB_DEAD = 5,
    JOB_CANCELLED = 6,
    JOB_EXPIRED = 7,
    JOB_STATES
};

enum job_event {
    JOB_ON_DUE,      /* run_at reached */
    JOB_ON_RESERVE,  /* leased */
    JOB_ON_DONE,     /* finished well */
    JOB_ON_RETRY,    /* failed, budget left */
    JOB_ON_THROTTLE, /* the site asked to wait */
    JOB_ON_RELEASE,  /* given back without blame */
    JOB_ON_LOST,     /* lease lost or worker died, budget left */
    JOB_ON_GIVE_UP,  /* permanent failure or a budget spent */
    JOB_ON_CANCEL,
    JOB_ON_EXPIRE,
    JOB_ON_REPLAY,
    JOB_ON_REPAIR,    /* its evidence, read again, gave the result */
    JOB_ON_WAIT_OVER, /* what it waited for has ended, its time has not come */
    JOB_ON_ANSWER,    /* another job's result is its own */
    JOB_ON_HOLD,      /* may not start until somebody lets it go; or its time was put off */
    JOB_EVENTS
};

/* Moves *state; false (state untouched) when the pair is not legal. */
MUST_USE bool job_move(enum job_state *state, enum job_event on);
bool job_is_final(enum job_state s);
const char *
job_state_name(enum job_state s); /* "scheduled", "ready", "active", "succeeded", … */
bool job_state_parse(struct span name, enum job_state *out);
