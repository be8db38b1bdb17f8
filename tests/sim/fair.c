/* fair.c - who starts: of a lane the job with the lowest rank (queue.md §6), so that none is overtaken but for a bounded time; and no
 * more of a site or a tenant than its limit lets. */
#include "look.h"

#include <inttypes.h>

enum { AGING_MS = 30000 }; /* of one step of priority; the design's number, not the store's */

/* ---- ranks ---- */

/* Nothing but its rank says when it starts: it is its first start, it waits for no other job, no memory and no batch. */
static bool is_plain(struct watch *w, int64_t number)
{
    const struct watch_job *j = job_of(w, number);
    const struct watch_order *o = &w->orders[number];
    bool waits = o->work != WATCH_NOBODY && (o->wish == WISH_AFTER || o->wish == WISH_SHARE);
    return number < WATCH_ALONE && j->lane < WATCH_ASKED && j->fence == 0 &&
           j->generation == 0 && !waits && o->memory_bytes == 0;
}

static int64_t rank_of(struct watch *w, int64_t number)
{
    return job_of(w, number)->accepted_ms - w->orders[number].prio * (int64_t)AGING_MS;
}

static void check_order(struct watch *w, int64_t number)
{
    const struct watch_job *j = job_of(w, number);
    for (int64_t i = 0; i < WATCH_ALONE; i++) {
        const struct watch_job *other = job_of(w, i);
        if (i == number || !other->exists || other->state != JOB_READY ||
            other->lane != j->lane || !is_plain(w, i))
            continue;
        if (rank_of(w, i) < rank_of(w, number))
            broken(w,
                   "job %" PRId64 " of priority %d was started before job %" PRId64
                   " of priority %d, which had waited for %" PRId64 " ms more",
                   number, w->orders[number].prio, i, w->orders[i].prio,
                   j->accepted_ms - other->accepted_ms);
        w->sights[SIGHT_in_order]++;
    }
}

/* ---- limits ---- */

/* "y/normal", "default/y/quarantine": that of the site, and all of them are the tenant's. */
static bool is_limited(int64_t lane, enum limit_scope scope)
{
    struct span name = span_of(watch_lane_names[lane]);
    return scope == LIMIT_TENANT || span_starts(name, SPAN(WATCH_LIMITED_SITE "/")) ||
           span_starts(name, SPAN("default/" WATCH_LIMITED_SITE "/"));
}

static void check_limit(struct watch *w, const struct watch_limit *limit,
                        struct watch_rate *rate, enum limit_scope scope, int64_t lane,
                        int64_t now)
{
    const char *what = scope == LIMIT_SITE ? "site " WATCH_LIMITED_SITE : "the tenant";
    int64_t active = 0;
    if (!is_limited(lane, scope))
        return;
    for (int64_t i = 0; i < WATCH_LANES; i++)
        active += is_limited(i, scope) ? w->seen.lanes[i].active : 0;
    if (limit->most && active > limit->most)
        broken(w, "%s has %" PRId64 " active jobs, and may have %" PRId64, what, active,
               limit->most);
    w->sights[SIGHT_full_limits] += active == limit->most;
    check_rate(w, rate, limit->burst, limit->emit_ms, what, now);
}

void fair_on_start(struct watch *w, int64_t number, int64_t now)
{
    int64_t lane = job_of(w, number)->lane;
    if (is_plain(w, number) && !w->alone)
        check_order(w, number);
    check_limit(w, &w->site_limit, &w->seen.site, LIMIT_SITE, lane, now);
    check_limit(w, &w->tenant_limit, &w->seen.tenant, LIMIT_TENANT, lane, now);
}

static void put_limit(struct watch *w, enum limit_scope scope, const char *name,
                      const struct watch_limit *limit, int64_t now)
{
    struct fault f = {0};
    struct limit_view v = {.scope = scope,
                           .name = span_of(name),
                           .max_active = limit->most,
                           .emit_ms = limit->emit_ms,
                           .burst = limit->burst};
    if (store_limit_set(w->s, &v, (wall){now}, &f))
        broken(w, "no limit of %s: %s", name, f.words);
}

void fair_open(struct watch *w, int64_t now)
{
    put_limit(w, LIMIT_SITE, WATCH_LIMITED_SITE, &w->site_limit, now);
    put_limit(w, LIMIT_TENANT, "default", &w->tenant_limit, now);
}
