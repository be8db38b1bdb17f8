#include "core/webhook.h"

#include "base/need.h"
#include "base/text.h"

static const char *const events[] = {
    "job.accepted",
    "job.started",
    "job.progress",
    "job.retrying",
    "job.throttled",
    "job.released",
    "job.stopping",
    "job.finished",
    "job.dead",
    "job.cancelled",
    "job.expired",
    "job.repaired",
    "job.replayed",
    "job.changed",
    "job.held",
    "job.unheld",
    "job.*",
    "batch.created",
    "batch.sealed",
    "batch.complete",
    "batch.success",
    "batch.stopped",
    "batch.cancelled",
    "batch.retried",
    "batch.callback_failed",
    "batch.*",
    "operation.done",
    "operation.cancelled",
    "operation.*",
    "lane.changed",
    "lane.paused",
    "lane.resumed",
    "lane.closed",
    "lane.opened",
    "lane.unblocked",
    "lane.paced",
    "lane.*",
    "breaker.opened",
    "breaker.closed",
    "breaker.reset",
    "breaker.*",
    "limit.changed",
    "mode.changed",
    "*",
    NULL,
};

/* Of the base, before the second attempt, the third … */
static const int64_t steps[WEBHOOK_ATTEMPTS - 1] = {1,    60,    360,   1440, 3600,
                                                    7200, 10080, 14400, 17280};
enum { SPREAD_PERCENT = 40, REST_STEPS = 6, REST_MOST = 360 };

int64_t webhook_delay_ms(int next, int64_t base_ms, int64_t hint_ms, uint64_t random)
{
    need(next > 1 && next <= WEBHOOK_ATTEMPTS && base_ms > 0);
    int64_t mean = steps[next - 2] * base_ms, spread = mean * SPREAD_PERCENT / 100;
    int64_t delay = mean - spread / 2 + (int64_t)(random % (uint64_t)(spread + 1));
    return delay > hint_ms ? delay : hint_ms;
}

int64_t webhook_at_once(int64_t fails, int64_t own)
{
    if (fails >= WEBHOOK_FAILS_MAX)
        return 1;
    return own > 0 && own <= WEBHOOK_AT_ONCE_MOST ? own : WEBHOOK_AT_ONCE;
}

int64_t webhook_rest_ms(int64_t fails, int64_t base_ms)
{
    if (fails < WEBHOOK_FAILS_MAX)
        return 0;
    int64_t times = REST_STEPS;
    for (int64_t i = WEBHOOK_FAILS_MAX; i < fails && times < REST_MOST; i++)
        times *= 2;
    return base_ms * (times < REST_MOST ? times : REST_MOST);
}

static bool covers(struct span type, struct span event)
{
    if (span_is(type, "*"))
        return true;
    if (span_ends(type, SPAN(".*")))
        return span_starts(event, span_cut(type, 0, type.n - 1));
    return span_eq(type, event);
}

bool webhook_wants(struct span types, struct span event)
{
    struct span type;
    while (span_next(&types, ' ', &type))
        if (covers(type, event))
            return true;
    return false;
}

bool webhook_is_end(struct span event)
{
    static const char *const ends[] = {"job.finished", "job.dead", "job.cancelled",
                                       "job.expired", "job.repaired"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (span_is(event, ends[i]))
            return true;
    return false;
}

bool webhook_type_known(struct span type)
{
    for (size_t i = 0; events[i]; i++)
        if (span_is(type, events[i]))
            return true;
    return false;
}

const char *webhook_type_near(struct span type)
{
    return text_nearest(type, events);
}
