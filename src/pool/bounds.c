/* bounds.c - what the order of a job allows it to take (core/bounds.h): counted as the job goes on, and said to its worker
 * when it is used up, which then ends with what it has. Nothing more is asked of the site from then on. Memory and processor
 * are looked at twice a second: above their ceiling the attempt is stopped as for every other reason. */
#include "pool/inside.h"

#include "browser/process.h"
#include "core/metrics.h"

enum { LOOK_MS = 500, MEMORY_LOOK_MS = 200, PASSED_LOOK_MS = 1000, PASSED_BYTES = 1 << 20 };

/* Its page is there until the slot is clean, so its memory is, too. */
static bool holds_memory(const struct slot *s)
{
    return slot_has_job(s) || s->state == SLOT_ENDING;
}

static int64_t promised(const struct slot *s)
{
    return ask_promised(s->bounds.allowed.most[BOUND_MEMORY] << 20, s->asked);
}

/* What there is and what of it each job has taken are looked at together, so that nothing is counted twice: what was taken
 * since is promised all the same. */
static void look_at_memory(struct pool *p)
{
    mono now = loop_now(p->loop);
    if (p->memory.looked.ms && !mono_past(mono_add(p->memory.looked, MEMORY_LOOK_MS), now))
        return;
    p->memory.looked = now;
    p->memory.there = process_memory_available();
    for (int i = 0; i < p->config.workers; i++)
        p->slots[i].memory_taken =
            holds_memory(&p->slots[i]) ? slot_meter_now(&p->slots[i]).bytes : 0;
}

struct room_offer pool_memory_offer(struct pool *p)
{
    look_at_memory(p);
    struct room r = room_begin(p->memory.there);
    for (int i = 0; i < p->config.workers; i++) {
        const struct slot *s = &p->slots[i];
        if (holds_memory(s))
            room_add_job(&r, promised(s), s->memory_taken);
        else if (s->state == SLOT_RESERVING)
            room_add_question(&r, s->offer, s->asked == NEEDS_PAGE);
    }
    return room_turn_offer(&p->memory.turn, &r);
}

struct ask pool_memory_ask(const struct pool *p, struct room_offer offer)
{
    return ask_of(&p->memory.turn, offer, !p->draining, p->config.memory_patience_ms,
                  loop_now(p->loop).ms);
}

/* ---- the job that room is made for ---- */

/* It may start as soon as there is room for it, or soon after. */
static bool waits_for_room(const struct store_op *op)
{
    const struct job_view *job = &op->out.job;
    if (op->result)
        return op->result != E_NOT_FOUND; /* nobody knows */
    switch (job->waiting) {
    case WAITING_WORKER:
    case WAITING_RATE:
    case WAITING_LANE:
    case WAITING_LIMIT:
        return job->state == JOB_READY;
    case WAITING_NONE:
    case WAITING_TIME:
    case WAITING_SITE:
    case WAITING_BREAKER:
    case WAITING_DISK:
    case WAITING_PAUSE:
    case WAITING_SESSION:
    case WAITING_JOB:
    case WAITING_MODE:
    case WAITING_HOLD:
        break;
    }
    return false;
}

/* The question for it is on its way. */
static bool asks_for_it(const struct pool *p)
{
    for (int i = 0; i < p->config.workers; i++)
        if (p->slots[i].state == SLOT_RESERVING &&
            p->slots[i].reserve_op.in.reserve.memory_least > 0)
            return true;
    return false;
}

static void on_passed_seen(struct store_op *op)
{
    struct pool *p = op->ctx;
    struct room_turn *t = &p->memory.turn;
    p->memory.asking = false;
    if (!t->emptying || p->draining)
        return;
    if (!span_is(op->in.job.id, p->memory.passed) || asks_for_it(p) || waits_for_room(op)) {
        timer_start(p->memory.again, PASSED_LOOK_MS);
        return;
    }
    int64_t now_ms = loop_now(p->loop).ms;
    log_info("node.emptying_ended", F_C("job", p->memory.passed),
             F_N("ms", now_ms - t->since_ms), F_N("bytes", t->bytes));
    room_made(t, p->config.memory_patience_ms, now_ms);
    pool_kick(p, p->startable, p->light);
}

static void look_at_passed(void *ctx)
{
    struct pool *p = ctx;
    if (!p->memory.turn.emptying || p->memory.asking || p->draining)
        return;
    p->memory.asking = true;
    arena_reset(p->memory.arena);
    struct span id = arena_keep(p->memory.arena, span_of(p->memory.passed));
    p->memory.op = (struct store_op){.verb = STORE_JOB,
                                     .arena = p->memory.arena,
                                     .on_done = on_passed_seen,
                                     .ctx = p,
                                     .in.job.id = id};
    store_thread_post(p->store, &p->memory.op);
}

void pool_memory_open(struct pool *p)
{
    p->memory.again = timer_new(p->loop, look_at_passed, p, "pool.passed");
    p->memory.arena = arena_new(PASSED_BYTES);
}

void pool_memory_close(struct pool *p)
{
    timer_close(&p->rest); /* memory is waited for with it as well */
    timer_close(&p->memory.again);
    arena_free(&p->memory.arena);
}

bool pool_memory_heard(struct slot *s, const struct store_op *op)
{
    struct pool *p = s->pool;
    const struct room_turn before = p->memory.turn;
    const struct reserve_args *in = &op->in.reserve;
    const struct lease *l = &op->out.lease;
    struct ask asked = {in->memory_bytes, in->memory_least, in->room_after_ms};
    int64_t now_ms = loop_now(p->loop).ms;
    switch (ask_heard(&p->memory.turn, &asked, op->result, l, p->config.memory_patience_ms,
                      now_ms)) {
    case ASK_MADE:
        log_info("node.emptied", F_N("ms", now_ms - before.since_ms),
                 F_N("bytes", before.bytes), F_N("found", !op->result));
        break;
    case ASK_BEGINS:
        log_info("node.emptying", F_N("waited_ms", l->passed_ms), F_N("bytes", l->passed_bytes),
                 F_C("job", l->passed));
        memcpy(p->memory.passed, l->passed, sizeof p->memory.passed);
        timer_start(p->memory.again, PASSED_LOOK_MS);
        metric_add(METRIC_NODE_EMPTIED, 0, 1);
        break;
    case ASK_NOTHING:
        break;
    }
    /* otherwise nobody knows: it is asked again */
    return asked.memory_least > 0 && op->result == E_END;
}

void pool_memory_wait(struct pool *p)
{
    for (int i = 0; i < p->config.workers; i++)
        if (p->slots[i].state == SLOT_RESERVING)
            return;
    timer_start(p->rest, MISFIT_MS);
}

static int64_t counted(const struct slot *s, enum usage_part part)
{
    return s->meter.usage.n[part] > 0 ? s->meter.usage.n[part] : 0;
}

/* Of the attempts before, as far as it is known. */
static int64_t before(const struct slot *s, enum usage_part part)
{
    return s->lease.usage.n[part] > 0 ? s->lease.usage.n[part] : 0;
}

static int64_t bytes_taken(const struct slot *s)
{
    return before(s, USAGE_NET_BYTES) + counted(s, USAGE_NET_BYTES);
}

static void spend(struct slot *s, enum bound which, int64_t taken)
{
    if (s->bounds.spent || !bounds_reached(&s->bounds.allowed, which, taken))
        return;
    s->bounds.spent = which;
    log_info("job.budget", F_C("job", s->lease.id), F_C("budget", bound_name(which)),
             F_N("most", s->bounds.allowed.most[which]), F_N("taken", taken));
    slot_tell(s, &(struct frame){.type = FRAME_SPENT,
                                 .n = {which, s->bounds.allowed.most[which], taken}});
}

static int64_t ceiling_taken(struct slot *s, enum bound which)
{
    struct slot_taken now = slot_meter_now(s);
    return which == BOUND_MEMORY ? now.bytes : now.cpu_ms;
}

static bool is_above(struct slot *s, enum bound which)
{
    int64_t taken = s->bounds.allowed.most[which] ? ceiling_taken(s, which) : 0;
    if (!bounds_reached(&s->bounds.allowed, which, taken))
        return false;
    s->bounds.broken = which;
    s->bounds.taken = taken;
    slot_stop(s, FAILURE_RESOURCE, E_TOO_BIG);
    return true;
}

void slot_bounds_on_look(void *ctx)
{
    struct slot *s = slot_of(ctx);
    if (s->state == SLOT_RUNNING && !is_above(s, BOUND_MEMORY) && !is_above(s, BOUND_CPU))
        timer_start(s->look, LOOK_MS);
}

void slot_bounds_outgrown(struct slot *s)
{
    if (s->state == SLOT_RUNNING)
        (void)is_above(s, BOUND_MEMORY);
}

void slot_bounds_watch(struct slot *s)
{
    const int64_t *most = s->bounds.allowed.most;
    if (most[BOUND_MEMORY] || most[BOUND_CPU])
        timer_start(s->look, LOOK_MS);
    slot_bounds_look(s);
}

struct span slot_bounds_broken(struct slot *s)
{
    char words[BOUND_WORDS];
    enum bound which = s->bounds.broken;
    if (!which)
        return SPAN_NONE;
    return arena_keep(
        s->arena, bounds_words(which, s->bounds.allowed.most[which], s->bounds.taken, words));
}

void slot_bounds_start(struct slot *s)
{
    struct json options;
    s->bounds = (struct slot_bounds){.spent = BOUND_NONE};
    if (s->lease.spec.n && !json_parse(s->pool->json, s->lease.spec, &options, NULL))
        s->bounds.allowed = bounds_read(options);
}

void slot_bounds_look(struct slot *s)
{
    if (s->state == SLOT_RUNNING)
        spend(s, BOUND_BYTES, bytes_taken(s));
    if (s->state == SLOT_RUNNING)
        spend(s, BOUND_REQUESTS, counted(s, USAGE_REQUESTS));
}

bool slot_bounds_spent(const struct slot *s)
{
    return s->bounds.spent != BOUND_NONE;
}

int64_t slot_bounds_bytes_left(const struct slot *s)
{
    int64_t most = s->bounds.allowed.most[BOUND_BYTES], taken = bytes_taken(s);
    return most == 0 ? INT64_MAX : slot_bounds_spent(s) || taken >= most ? 0 : most - taken;
}

int64_t slot_navigate_ms(const struct slot *s)
{
    const struct pool_config *c = &s->pool->config;
    int64_t own_ms = s->bounds.allowed.navigation_s * 1000;
    int64_t attempt_ms = s->lease.attempt_ms ? s->lease.attempt_ms : c->attempt_ms;
    int64_t ms = own_ms ? own_ms : c->navigate_ms;
    return ms < attempt_ms ? ms : attempt_ms;
}
