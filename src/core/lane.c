#include "core/lane.h"

#include "base/need.h"

enum {
    BREAKER_FAILS_MAX = 5,
    BREAKER_OPEN_MS = 10000,
    BREAKER_OPEN_MAX_MS = 30 * 60 * 1000,
};

bool lane_may_start(int64_t tat_ms, int64_t emit_ms, int64_t burst, int64_t now_ms)
{
    return emit_ms <= 0 || now_ms >= lane_start_at(tat_ms, emit_ms, burst);
}

int64_t lane_next_tat(int64_t tat_ms, int64_t emit_ms, int64_t now_ms)
{
    if (emit_ms <= 0)
        return tat_ms;
    return (tat_ms > now_ms ? tat_ms : now_ms) + emit_ms;
}

int64_t lane_start_at(int64_t tat_ms, int64_t emit_ms, int64_t burst)
{
    if (emit_ms <= 0)
        return 0;
    return tat_ms - ((burst > 1 ? burst : 1) - 1) * emit_ms;
}

int64_t lane_rank(int64_t ready_at_ms, int prio)
{
    return ready_at_ms - (int64_t)prio * LANE_AGING_MS;
}

int64_t lane_next_pass(int64_t pass, int64_t weight)
{
    need(weight > 0);
    return pass + LANE_STRIDE / weight;
}

static void trip(struct breaker *b, int64_t now_ms)
{
    /* 10 s · 2^8 is already past the longest opening. */
    int64_t doublings = b->trips < 8 ? b->trips : 8;
    int64_t open_ms = (int64_t)BREAKER_OPEN_MS << doublings;
    b->state = BREAKER_OPEN;
    b->until_ms = now_ms + (open_ms < BREAKER_OPEN_MAX_MS ? open_ms : BREAKER_OPEN_MAX_MS);
    b->trips++;
    b->fails = 0;
}

void breaker_note(struct breaker *b, enum breaker_sign sign, int64_t now_ms)
{
    switch (sign) {
    case BREAKER_OK:
        b->fails = 0;
        b->trips = 0;
        if (b->state == BREAKER_HALF_OPEN)
            b->state = BREAKER_CLOSED;
        return;
    case BREAKER_HEALTH_ERROR:
        /* Attempts that started before it opened say nothing new. */
        if (b->state == BREAKER_OPEN)
            return;
        b->fails++;
        if (b->state == BREAKER_HALF_OPEN || b->fails >= BREAKER_FAILS_MAX)
            trip(b, now_ms);
        return;
    case BREAKER_NO_VERDICT:
        if (b->state == BREAKER_HALF_OPEN) {
            b->state = BREAKER_OPEN;
            b->until_ms = now_ms;
        }
        return;
    }
    bug("unknown breaker sign");
}

bool breaker_allows(const struct breaker *b, int64_t active, int64_t now_ms)
{
    switch (b->state) {
    case BREAKER_CLOSED:
        return true;
    case BREAKER_OPEN:
        return now_ms >= b->until_ms && active == 0;
    case BREAKER_HALF_OPEN:
        return active == 0;
    }
    bug("unknown breaker state");
}

void breaker_started(struct breaker *b, int64_t now_ms)
{
    if (b->state == BREAKER_OPEN && now_ms >= b->until_ms)
        b->state = BREAKER_HALF_OPEN;
}
