/* retry.h - when a failed attempt is tried again (queue.md §5). Pure and reproducible. */
#pragma once

#include "base/when.h"
#include "core/failure.h"

enum { RETRY_FACTOR = 2, RETRY_STEPS = 64 /* of a delay, longer it does not get */ };
struct retry_policy {
    int64_t base_ms, cap_ms;
    int64_t factor; /* 0: RETRY_FACTOR */
};
/* What a job asks for itself, where it does; 0 in `own`: as configured. With a base of its own above the
 * configured cap that is the cap as well. */
struct retry_policy retry_with(const struct retry_policy *own,
                               const struct retry_policy *configured);
/* What a job has had, the attempt that just ended among it. What ran and did not succeed counts together against what a job
 * may have of attempts, what killed its worker also against a bound of its own; both only since the job last brought
 * something. Throttles and give-backs are no attempts, they have bounds of their own. */
struct retry_had {
    int64_t fails, crashes; /* since it brought something */
    int64_t starts;         /* ever */
    int64_t generation;     /* retries by hand */
};
bool retry_is_last(const struct retry_had *had, int64_t attempts_max, int64_t crashes_max);
/* A bound that nothing resets but a retry by hand: whatever becomes of each, so many starts are enough. */
enum { RETRY_STARTS_MAX = 1000 };
#define RETRY_STARTS_WORDS "it was started as often as a job may be without coming to an end"
bool retry_starts_are_over(const struct retry_had *had);
/* Before the next start of a job whose workers died so often, ever: the n of its delay; 0: none, the first time it was
 * the worker. */
int retry_crash_step(int64_t crashes_ever);
/* Whether a job that waits because of this is let go on by its lane's share of retries (core/limit.h): what failed is; what the
 * site told to wait, killed its worker or was given back is not. Nor is anything in a lane whose jobs run alone: what killed its
 * worker is there, one job at a time, and such a lane has no other starts to have a share of. */
bool retry_is_shared(enum failure_class last, bool runs_alone);
/* Equal jitter: d/2 + U(0, d/2) with d = min(cap, base·factor^(n-1)), drawn from a hash of (job, n, seed).
 * n counts from 1. A hint of the server is obeyed: max(own, hint) + U(0, 20 % of the hint): jitter
 * may only add to what a server asked for. */
int64_t retry_delay_ms(const struct retry_policy *p, struct span job_id, int n, uint64_t seed,
                       int64_t hint_ms);
