#include "core/retry.h"

#include "base/need.h"

/* Odd constants that keep the draws of one job independent of each other. */
#define RETRY_STEP 0x9e3779b97f4a7c15u
#define RETRY_HINT 0xd1b54a32d192ed03u

static int64_t draw(struct span job_id, int n, uint64_t seed, int64_t most)
{
    uint64_t h = span_hash(job_id, seed + (uint64_t)n * RETRY_STEP);
    h ^= h >> 29;
    return (int64_t)(h % ((uint64_t)most + 1));
}

struct retry_policy retry_with(const struct retry_policy *own,
                               const struct retry_policy *configured)
{
    struct retry_policy p = *configured;
    p.factor = own->factor ? own->factor : p.factor;
    p.base_ms = own->base_ms ? own->base_ms : p.base_ms;
    if (own->cap_ms)
        p.cap_ms = own->cap_ms;
    else if (own->base_ms > p.cap_ms)
        p.cap_ms = own->base_ms;
    return p;
}

static int64_t own_delay_ms(const struct retry_policy *p, int n)
{
    int64_t d = p->base_ms, factor = p->factor ? p->factor : RETRY_FACTOR;
    for (int i = 1; i < n && d < p->cap_ms; i++)
        d = d > p->cap_ms / factor ? p->cap_ms : d * factor;
    return d < p->cap_ms ? d : p->cap_ms;
}

bool retry_is_last(const struct retry_had *had, int64_t attempts_max, int64_t crashes_max)
{
    return had->fails + had->crashes >= attempts_max || had->crashes >= crashes_max;
}

bool retry_starts_are_over(const struct retry_had *had)
{
    return had->starts >= RETRY_STARTS_MAX * (1 + had->generation);
}

int retry_crash_step(int64_t crashes_ever)
{
    return crashes_ever <= 1 ? 0 : crashes_ever < RETRY_STEPS ? (int)crashes_ever : RETRY_STEPS;
}

bool retry_is_shared(enum failure_class last, bool runs_alone)
{
    return !runs_alone && failure_charged(last, false) == BUDGET_FAIL;
}

int64_t retry_delay_ms(const struct retry_policy *p, struct span job_id, int n, uint64_t seed,
                       int64_t hint_ms)
{
    need(p->base_ms > 0 && p->cap_ms > 0 && p->factor >= 0 && n > 0);
    int64_t d = own_delay_ms(p, n);
    int64_t delay = d / 2 + draw(job_id, n, seed, d - d / 2);
    if (hint_ms <= 0)
        return delay;
    int64_t later = draw(job_id, n, seed ^ RETRY_HINT, hint_ms / 5);
    return (delay > hint_ms ? delay : hint_ms) + later;
}
