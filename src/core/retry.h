/* retry.h - when a failed attempt is tried again (queue.md §5). Pure and reproducible. */
#pragma once

#include "base/when.h"

struct retry_policy {
    int64_t base_ms, cap_ms;
};
/* Equal jitter: d/2 + U(0, d/2) with d = min(cap, base·2^(n-1)), drawn from a hash of (job, n, seed).
 * n counts from 1. A hint of the server is obeyed: max(own, hint) + U(0, 20 % of the hint): jitter
 * may only add to what a server asked for. */
int64_t retry_delay_ms(const struct retry_policy *p, struct span job_id, int n, uint64_t seed,
                       int64_t hint_ms);
