#include "upkeep/schedules.h"

#include "base/log.h"
#include "base/need.h"
#include "core/metrics.h"
#include "os/clock.h"
#include "os/zone.h"

#include <unistd.h>

enum {
    ARENA_MAX = 16 * 1024 * 1024, /* SCHEDULES_DUE_MAX of them, with what they ask for */
    REST_MS = 5000,               /* after the store could not */
    REST_ONE_MS = 1000,           /* after it could not for one of them */
    FAR_MS = 24 * 3600 * 1000,    /* no timer is longer */
    LOST_ZONE_MS = 3600 * 1000,
};
/* Values of METRIC_SCHEDULE_SLOTS. */
enum { SLOTS_MADE, SLOTS_PENDING, SLOTS_SKIPPED, SLOTS_MISSED };

struct schedules {
    struct schedules_config config;
    struct timer *timer;
    struct watch *clock;
    int clock_fd;
    struct store_op op;
    struct arena *arena; /* of what is due */
    struct arena *fired; /* of one firing */
    struct schedules_due due;
    size_t at; /* of due: being fired */
    struct schedule_settled settled;
    struct zone zone;
    struct buf zone_name; /* whose; empty: none */
    int64_t wake_ms[2];
    mono rest_until;
    bool busy, stepped, told, stopping;
};

wall schedules_clock(struct schedules *u, enum schedule_kind kind)
{
    return kind == SCHEDULE_CRON ? clock_wall() : store_thread_now(u->config.store);
}

/* ---- one firing ---- */

static void post(struct schedules *u, enum store_verb verb, struct arena *a,
                 void (*then)(struct store_op *op))
{
    u->busy = true;
    u->op.verb = verb;
    u->op.arena = a;
    u->op.on_done = then;
    u->op.ctx = u;
    store_thread_post(u->config.store, &u->op);
}

/* Its queue takes no jobs, or its pool has no session: the others go on. */
static bool is_of_one(err e)
{
    return e == E_CLOSED || e == E_SESSION;
}

static void rest(struct schedules *u, err e, const struct fault *f)
{
    int64_t ms = is_of_one(e) ? REST_ONE_MS : f->wait_ms > 0 ? f->wait_ms : REST_MS;
    u->rest_until = mono_add(clock_mono(), ms);
    if (e != E_SHUTDOWN)
        log_warn("schedules.wait", F_X("result", e), F_C("why", f->words), F_N("ms", ms));
}

static const struct zone *zone_of(struct schedules *u, const struct schedule_view *v,
                                  struct fault *f)
{
    if (v->terms.rule.kind != SCHEDULE_CRON || span_eq(v->terms.zone, buf_span(&u->zone_name)))
        return &u->zone;
    buf_clear(&u->zone_name);
    if (zone_load(v->terms.zone, &u->zone, f))
        return NULL;
    buf_add(&u->zone_name, v->terms.zone);
    return &u->zone;
}

static void count(const struct schedule_fired *fired, int64_t missed)
{
    metric_add(METRIC_SCHEDULE_SLOTS, SLOTS_MADE, fired->made);
    metric_add(METRIC_SCHEDULE_SLOTS, SLOTS_PENDING, fired->pending);
    metric_add(METRIC_SCHEDULE_SLOTS, SLOTS_SKIPPED, fired->skipped);
    metric_add(METRIC_SCHEDULE_SLOTS, SLOTS_MISSED, missed);
}

static void fire_next(struct schedules *u);

static void on_fired(struct store_op *op)
{
    struct schedules *u = op->ctx;
    const struct schedule_view *v = &u->due.due[u->at];
    const struct schedule_fired *fired = &op->out.schedule_fired;
    u->busy = false;
    if (op->result)
        rest(u, op->result, &op->fault); /* what is left stays due */
    if (op->result && !is_of_one(op->result))
        return;
    if (!op->result && !fired->stale) {
        count(fired, op->in.schedule_fire.missed);
        log_info("schedule.fired", F_S("schedule", v->name), F_N("made", fired->made),
                 F_N("skipped", fired->skipped), F_N("pending", fired->pending),
                 F_N("missed", op->in.schedule_fire.missed));
        for (size_t i = 0; i < fired->cancels; i++)
            u->config.cancelled(u->config.ctx, span_of(fired->cancelled[i]), false);
    }
    u->at++;
    fire_next(u);
}

static void settle(struct schedules *u, const struct schedule_view *v, const struct zone *z,
                   struct schedule_fire *out)
{
    struct schedule_settled *found = &u->settled;
    struct span id = span_of(v->id);
    schedule_settle(&v->terms.rule, z, id, v->last, schedules_clock(u, v->terms.rule.kind),
                    found);
    *out = (struct schedule_fire){.id = id,
                                  .revision = v->revision,
                                  .last = v->last,
                                  .slots = found->slots,
                                  .count = found->count,
                                  .missed = found->missed,
                                  .settled = found->settled,
                                  .next_ms = found->next_ms};
}

static void fire_next(struct schedules *u)
{
    struct fault f = {0};
    if (u->at >= u->due.count || u->stopping)
        return; /* the outlook of this group comes now */
    const struct schedule_view *v = &u->due.due[u->at];
    const struct zone *z = zone_of(u, v, &f);
    if (z) {
        settle(u, v, z, &u->op.in.schedule_fire);
    } else {
        log_error("schedule.no_zone", F_S("schedule", v->name), F_C("why", f.words));
        u->op.in.schedule_fire =
            (struct schedule_fire){.id = span_of(v->id),
                                   .revision = v->revision,
                                   .last = v->last,
                                   .settled = v->last,
                                   .next_ms = clock_wall().ms + LOST_ZONE_MS};
    }
    arena_reset(u->fired);
    post(u, STORE_SCHEDULE_FIRE, u->fired, on_fired);
}

static void on_due(struct store_op *op)
{
    struct schedules *u = op->ctx;
    u->busy = false;
    if (op->result) {
        u->stepped = u->stepped || op->in.schedules_due.set_back;
        rest(u, op->result, &op->fault);
        return;
    }
    u->due = op->out.schedules_due;
    u->at = 0;
    fire_next(u);
}

/* ---- when ---- */

static void advance(struct schedules *u)
{
    if (u->busy || u->stopping || !u->told)
        return;
    int64_t left = mono_left(u->rest_until, clock_mono());
    int64_t wall_in = u->wake_ms[0] == INT64_MAX
                          ? FAR_MS
                          : u->wake_ms[0] - schedules_clock(u, SCHEDULE_CRON).ms;
    int64_t elapsed_in = u->wake_ms[1] == INT64_MAX
                             ? FAR_MS
                             : u->wake_ms[1] - schedules_clock(u, SCHEDULE_INTERVAL).ms;
    int64_t in = wall_in < elapsed_in ? wall_in : elapsed_in;
    if (u->stepped)
        in = 0;
    in = in < left ? left : in;
    if (in > 0) {
        timer_start(u->timer, in < FAR_MS ? in : FAR_MS);
        return;
    }
    timer_stop(u->timer);
    arena_reset(u->arena);
    u->op.in.schedules_due.elapsed = schedules_clock(u, SCHEDULE_INTERVAL);
    u->op.in.schedules_due.set_back = u->stepped;
    u->stepped = false;
    post(u, STORE_SCHEDULES_DUE, u->arena, on_due);
}

static void on_timer(void *ctx)
{
    advance(ctx);
}

static void on_clock(void *ctx, bool readable, bool writable)
{
    struct schedules *u = ctx;
    (void)readable;
    (void)writable;
    clock_watch_again(u->clock_fd);
    log_info("schedules.clock_set", F_C("why", "somebody set the clock, or the machine slept"));
    u->stepped = true;
    advance(u);
}

void schedules_told(struct schedules *u, const struct outlook *outlook)
{
    u->told = true;
    memcpy(u->wake_ms, outlook->schedule_ms, sizeof u->wake_ms);
    advance(u);
}

/* ---- from start to end ---- */

err schedules_start(struct schedules **out, const struct schedules_config *config,
                    struct fault *f)
{
    struct schedules *u = heap_new_of(struct schedules);
    u->config = *config;
    u->arena = arena_new(ARENA_MAX);
    u->fired = arena_new(ARENA_MAX);
    u->zone_name = BUF(256);
    u->stepped = true; /* the clock may have been wrong before we started */
    u->timer = timer_new(config->loop, on_timer, u, "schedules");
    err e = clock_watch_open(&u->clock_fd, f);
    if (e)
        u->clock_fd = -1;
    if (!e)
        e = watch_new(&u->clock, config->loop, u->clock_fd, true, false, on_clock, u, "clock");
    if (e) {
        schedules_free(&u);
        return e;
    }
    *out = u;
    return E_OK;
}

void schedules_drain(struct schedules *u)
{
    u->stopping = true;
    timer_stop(u->timer);
}

void schedules_free(struct schedules **handle)
{
    struct schedules *u = *handle;
    if (!u)
        return;
    need(!u->busy);
    timer_close(&u->timer);
    watch_close(&u->clock);
    if (u->clock_fd >= 0)
        close(u->clock_fd);
    arena_free(&u->arena);
    arena_free(&u->fired);
    buf_free(&u->zone_name);
    free(u);
    *handle = NULL;
}
