#include "core/limit.h"

#include "core/lane.h"

int64_t limit_open_at(const struct limit *l)
{
    int64_t by_rate = lane_start_at(l->tat_ms, l->emit_ms, l->burst);
    return by_rate > l->blocked_until_ms ? by_rate : l->blocked_until_ms;
}

bool limit_take(struct limit *l, int64_t now_ms)
{
    if (now_ms < limit_open_at(l))
        return false;
    l->tat_ms = lane_next_tat(l->tat_ms, l->emit_ms, now_ms);
    return true;
}

int64_t limit_room(const struct limit *l, int64_t most, int64_t now_ms)
{
    if (limit_open_at(l) > now_ms)
        return 0;
    if (l->emit_ms <= 0)
        return most;
    int64_t by_rate = lane_start_at(l->tat_ms, l->emit_ms, l->burst);
    int64_t saved = (now_ms - by_rate) / l->emit_ms + 1, burst = l->burst > 1 ? l->burst : 1;
    saved = saved < burst ? saved : burst;
    return saved < most ? saved : most;
}

int64_t limit_tat_under(int64_t tat_ms, int64_t emit_ms, int64_t burst, int64_t now_ms)
{
    int64_t most = now_ms + (burst > 1 ? burst : 1) * emit_ms;
    return emit_ms > 0 && tat_ms > most ? most : tat_ms;
}

void limit_block(struct limit *l, int64_t now_ms, int64_t wait_ms)
{
    if (now_ms + wait_ms > l->blocked_until_ms)
        l->blocked_until_ms = now_ms + wait_ms;
}

int64_t limit_pace_percent(const struct limit_pace *p)
{
    return p->percent ? p->percent : LIMIT_PACE_ALL;
}

static int64_t at_least(int64_t n, int64_t by) /* n / by, upwards */
{
    return (n + by - 1) / by;
}

int64_t limit_paced(int64_t emit_ms, const struct limit_pace *p)
{
    return at_least(emit_ms * LIMIT_PACE_ALL, limit_pace_percent(p));
}

bool limit_pace_down(struct limit_pace *p, const struct limit_pace_policy *policy, bool again,
                     int64_t until_ms)
{
    int64_t was = limit_pace_percent(p),
            half = was / 2 > policy->least ? was / 2 : policy->least;
    if (policy->least <= 0 || policy->least >= LIMIT_PACE_ALL)
        return false;
    if (!again)
        p->percent = half < was ? half : was;
    if (p->percent && until_ms > p->since_ms)
        p->since_ms = until_ms;
    return limit_pace_percent(p) != was;
}

bool limit_pace_up(struct limit_pace *p, const struct limit_pace_policy *policy, int64_t now_ms)
{
    int64_t clean = policy->clean_ms > 0 ? policy->clean_ms : 1;
    int64_t steps = p->percent && now_ms > p->since_ms ? (now_ms - p->since_ms) / clean : 0;
    if (steps == 0)
        return false;
    p->since_ms += steps * clean;
    p->percent = steps < LIMIT_PACE_ALL ? p->percent + steps * LIMIT_PACE_STEP : LIMIT_PACE_ALL;
    if (p->percent >= LIMIT_PACE_ALL)
        *p = (struct limit_pace){0};
    return true;
}

int64_t limit_tat_paced(int64_t tat_ms, const struct limit_pace *was,
                        const struct limit_pace *is, int64_t now_ms)
{
    if (tat_ms <= now_ms)
        return tat_ms;
    return now_ms +
           at_least((tat_ms - now_ms) * limit_pace_percent(was), limit_pace_percent(is));
}

static int64_t slice_of(int64_t now_ms)
{
    return now_ms / LIMIT_RETRY_SLICE_MS;
}

int64_t limit_retry_at(const struct limit_retries *r, const struct limit_retry_policy *p,
                       int64_t now_ms)
{
    int64_t starts = 0, retries = 0, slice = slice_of(now_ms);
    for (int64_t s = slice - LIMIT_RETRY_SLICES + 1; s <= r->slice; s++) {
        if (s < 0 || s <= r->slice - LIMIT_RETRY_SLICES)
            continue;
        starts += r->starts[s % LIMIT_RETRY_SLICES];
        retries += r->retries[s % LIMIT_RETRY_SLICES];
    }
    bool none = r->slice < slice || r->retries[slice % LIMIT_RETRY_SLICES] == 0;
    if (none || retries < p->floor + starts * p->percent / 100)
        return now_ms;
    return (slice + 1) * LIMIT_RETRY_SLICE_MS;
}

static int64_t open_slice(struct limit_retries *r, int64_t now_ms)
{
    int64_t slice = slice_of(now_ms);
    for (int i = 0; r->slice < slice && i < LIMIT_RETRY_SLICES; i++) {
        int64_t s = slice - i;
        if (s <= r->slice)
            break;
        r->starts[s % LIMIT_RETRY_SLICES] = r->retries[s % LIMIT_RETRY_SLICES] = 0;
    }
    if (slice > r->slice)
        r->slice = slice;
    return slice % LIMIT_RETRY_SLICES;
}

void limit_started(struct limit_retries *r, bool retry, int64_t now_ms)
{
    int64_t i = open_slice(r, now_ms);
    r->starts[i]++;
    r->retries[i] += retry;
}

void limit_retried(struct limit_retries *r, int64_t now_ms)
{
    r->retries[open_slice(r, now_ms)]++;
}
