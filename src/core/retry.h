/* retry.h - when a failed attempt is tried again (queue.md §5). Pure and reproducible. */
#pragma once

#include "base/when.h"

enum { RETRY_FACTOR = 2 };
struct retry_policy {
    int64_t base_ms, cap_ms;
    int64_t factor; /* 0: RETRY_FACTOR */
};
/* What a job asks for itself, where it does; 0 in `own`: as configured. With a base of its own above the
 * configured cap that is the cap as well. */
struct retry_policy retry_with(const struct retry_policy *own,
                               const struct retry_policy *configured);
/* Equal jitter: d/2 + U(0, d/2) with d = min(cap, base·factor^(n-1)), drawn from a hash of (job, n, seed).
 * n counts from 1. A hint of the server is obeyed: max(own, hint) + U(0, 20 % of the hint): jitter
 * may only add to what a server asked for. */
int64_t retry_delay_ms(const struct retry_policy *p, struct span job_id, int n, uint64_t seed,
                       int64_t hint_ms);
