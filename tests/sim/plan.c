/* plan.c - what a storm has in store: jobs and batches, what people do, and troubles, drawn before it begins. */
#include "sim.h"

/* Of a crowded storm: all at once, a few of them large and first in turn, the others such that two fit on a node. */
static void draw_memory(struct sim *s, int64_t job, struct watch_order *o, int64_t *at)
{
    enum { LARGE = 40 };
    if (s->crowded) {
        bool large = job % LARGE == 5;
        o->memory_bytes = (large ? 900 : between(s, 250, 500)) * MIB;
        o->prio = large ? 9 : o->prio;
        o->work = large ? WATCH_NOBODY : o->work; /* it waits for memory alone */
        *at = between(s, 0, 30 * SECOND);
        return;
    }
    int64_t is = below(s, 10);
    if (is < 4)
        o->memory_bytes = between(s, 64, 400) * MIB;
    else if (is < 6)
        o->memory_bytes = between(s, 600, 1500) * MIB;
}

/* Half of the jobs are about the same as others, which come at about the same time. */
static struct watch_order draw_order(struct sim *s, int64_t job, int64_t *at)
{
    struct watch_order o = {.lane = job % WATCH_ASKED,
                            .prio = (int)(job % 10),
                            .work = WATCH_NOBODY,
                            .keyless = below(s, 8) == 0};
    if (below(s, 2))
        return o;
    o.work = below(s, WATCH_WORKS);
    o.wish = o.work < WATCH_WORKS / 2       ? (enum watch_wish)below(s, WISH_FRESH)
             : o.work < WATCH_WORKS * 3 / 4 ? WISH_FRESH
                                            : WISH_SHARE;
    o.young = o.wish == WISH_EXISTING && below(s, 2);
    *at =
        o.work * MINUTE + between(s, 0, o.wish == WISH_FRESH || o.young ? 5 * MINUTE : MINUTE);
    return o;
}

int64_t added_job(int64_t batch)
{
    return WATCH_ALONE + batch * WATCH_BATCH_JOBS + WATCH_BATCH_FIRST;
}

int64_t sealed_job(int64_t batch)
{
    return added_job(batch) + 1;
}

static void plan_batch(struct sim *s, int64_t batch)
{
    int64_t first = WATCH_ALONE + batch * WATCH_BATCH_JOBS, at = between(s, 0, STORM_MS / 2);
    struct message m = {.call = BATCH, .job = first, .batch = batch};
    s->watch.batch_orders[batch].parallel = below(s, 2) ? 0 : between(s, 1, 3);
    s->watch.batch_orders[batch].stop_after = below(s, 3) ? 0 : between(s, 1, 3);
    for (int64_t i = first; i < first + WATCH_BATCH_JOBS; i++)
        s->watch.orders[i] = (struct watch_order){
            .lane = i % WATCH_SESSIONED, .prio = (int)(i % 10), .work = WATCH_NOBODY};
    put(s, at, SUBMIT, m);
    s->watch.batch_orders[batch].open = below(s, 2);
    if (s->watch.batch_orders[batch].open) {
        s->watch.batch_orders[batch].stop_after = 0; /* it would be sealed by that */
        m = (struct message){.call = ADD, .job = added_job(batch), .batch = batch};
        put(s, at + between(s, 0, 5 * MINUTE), SUBMIT, m);
        m = (struct message){.call = SEAL, .job = sealed_job(batch), .batch = batch};
        put(s, at + between(s, 0, 10 * MINUTE), SUBMIT, m);
    }
    m.call = RETRY;
    for (int64_t n = below(s, 3); n > 0; n--)
        put(s, at + between(s, MINUTE, STORM_MS / 2), HAND, m);
}

static const int64_t hand_ms = 2 * MINUTE; /* for so long something is held up, about */

static int64_t trouble_at(struct sim *s)
{
    return between(s, s->crowded ? CROWDED_MS : 0, STORM_MS);
}

static void plan_hands(struct sim *s)
{
    for (int64_t n = below(s, 4); n > 0; n--) {
        struct message m = {.call = LANE, .job = below(s, WATCH_ASKED)};
        int64_t at = trouble_at(s);
        bool pause = below(s, 2);
        m.kind = pause ? LANE_ACT_PAUSE : LANE_ACT_CLOSE;
        put(s, at, HAND, m);
        m.kind = pause ? LANE_ACT_RESUME : LANE_ACT_OPEN;
        put(s, at + between(s, SECOND, hand_ms), HAND, m);
    }
    for (int64_t n = below(s, 3); n > 0; n--) {
        struct message m = {.call = MODE, .kind = between(s, MODE_PAUSED, MODE_MAINTENANCE)};
        int64_t at = trouble_at(s);
        put(s, at, HAND, m);
        m.kind = MODE_NORMAL;
        put(s, at + between(s, SECOND, hand_ms), HAND, m);
    }
    for (int64_t n = below(s, 3); n > 0; n--)
        put(s, between(s, 5 * MINUTE, STORM_MS), HAND,
            (struct message){.call = RETRY, .batch = WATCH_NOBODY});
}

void calm(struct sim *s)
{
    watch_disk(&s->watch, false);
    watch_begin(&s->watch, store_now(s), false);
    for (int64_t i = 0; i < WATCH_ASKED; i++) {
        watch_lane_act(&s->watch, i, LANE_ACT_RESUME, store_now(s));
        watch_lane_act(&s->watch, i, LANE_ACT_OPEN, store_now(s));
    }
    watch_mode(&s->watch, MODE_NORMAL, store_now(s));
    watch_schedules_end(&s->watch, store_now(s));
    (void)watch_commit(&s->watch, store_now(s));
    look_ahead(s);
}

void plan(struct sim *s)
{
    for (int64_t i = 0; i < WATCH_ALONE; i++) {
        int64_t at = between(s, 0, STORM_MS * 3 / 4);
        struct message m = {.call = ACCEPT, .job = i};
        s->watch.orders[i] = draw_order(s, i, &at);
        draw_memory(s, i, &s->watch.orders[i], &at);
        put(s, at, SUBMIT, m);
        m.kind = below(s, 3);
        m.call = CANCEL;
        if (below(s, 8) == 0)
            put(s, at + between(s, 0, below(s, 2) ? MINUTE : SECOND), HAND, m);
        m.kind = below(s, 2);
        m.call = REPLAY;
        if (below(s, 4) == 0)
            put(s, at + between(s, SECOND, 5 * MINUTE), HAND, m);
    }
    for (int64_t i = 0; i < WATCH_BATCHES; i++)
        plan_batch(s, i);
    plan_hands(s);
    for (int i = 0; i < NODES; i++) {
        s->nodes[i].up = true;
        put(s, SECOND, LOOK, (struct message){.node = i});
        put(s, SECOND, SEND, (struct message){.node = i});
        for (int64_t n = below(s, 6); n > 0; n--)
            put(s, trouble_at(s), CRASH, (struct message){.node = i});
        for (int64_t n = below(s, 6); n > 0; n--)
            put(s, trouble_at(s), STOP, (struct message){.node = i});
    }
    for (int64_t n = below(s, 4); n > 0; n--)
        put(s, trouble_at(s), POWER, (struct message){0});
    for (int64_t n = below(s, 3) ? 0 : below(s, 6); n > 0; n--)
        put(s, trouble_at(s), CLOCK, (struct message){0});
    for (int64_t n = below(s, 4); n > 0; n--)
        put(s, trouble_at(s), OUTAGE, (struct message){.job = below(s, WATCH_ASKED)});
    for (int64_t n = s->disk_fills ? between(s, 1, 3) : 0; n > 0; n--)
        put(s, trouble_at(s), FULL, (struct message){0});
}
