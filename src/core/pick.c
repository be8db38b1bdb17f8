#include "core/pick.h"

#include "base/need.h"
#include "core/lane.h"

int pick_next(const struct pick_turn *turns, size_t count)
{
    int best = PICK_NOBODY;
    for (size_t i = 0; i < count; i++) {
        if (turns[i].may_start && (best == PICK_NOBODY || turns[i].pass < turns[best].pass))
            best = (int)i;
    }
    return best;
}

void pick_started(struct pick_turn *t, int64_t *vtime)
{
    if (t->pass > *vtime)
        *vtime = t->pass;
    t->pass = lane_next_pass(t->pass, t->weight);
}

void pick_woke(struct pick_turn *t, int64_t vtime)
{
    if (t->pass < vtime)
        t->pass = vtime;
}

void pick_joined(struct pick_turn *t, struct span name, int64_t vtime)
{
    need(t->weight > 0);
    int64_t stride = lane_next_pass(0, t->weight);
    t->pass = vtime + (int64_t)(span_hash(name, 0) % (uint64_t)stride);
}

int pick_session(const struct pick_session *sessions, size_t count, int operation,
                 int64_t now_ms, int64_t *out_open_ms)
{
    int best = PICK_NOBODY;
    int64_t open_ms = INT64_MAX;
    need(operation >= 0 && operation < PICK_OPERATIONS);
    for (size_t i = 0; i < count; i++) {
        const struct pick_session *s = &sessions[i];
        int64_t rests = s->rests_until_ms[operation];
        int64_t at = rests > s->open_ms ? rests : s->open_ms;
        if (!s->healthy)
            continue;
        if (at <= now_ms && (best == PICK_NOBODY || s->used_ms < sessions[best].used_ms))
            best = (int)i;
        if (at < open_ms)
            open_ms = at;
    }
    if (best == PICK_NOBODY)
        *out_open_ms = open_ms;
    return best;
}

void pick_session_rests(struct pick_session *s, int operation, int64_t until_ms)
{
    need(operation >= 0 && operation < PICK_OPERATIONS);
    if (until_ms > s->rests_until_ms[operation])
        s->rests_until_ms[operation] = until_ms;
}
