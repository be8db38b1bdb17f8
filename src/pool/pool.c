#include "pool/inside.h"

#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "base/need.h"
#include "core/options.h"
#include "core/metrics.h"
#include "os/clock.h"
#include "os/faults.h"
#include "os/files.h"
#include "os/random.h"
#include "os/spawn.h"
#include "os/stack.h"
#include "wire/cdp.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A sanitizer's own bookkeeping does not fit into the limit of a worker's data. */
#ifdef FULMAR_SANITIZED
#define WORKER_DATA_LIMITED 0
#else
#define WORKER_DATA_LIMITED 1
#endif

static void job_over(struct slot *s, enum failure_class failure, struct span why);
static void advance(struct slot *s);
static void spawn_worker(struct slot *s);

static void count_worker(enum slot_state state, int by)
{
    int label = slot_worker_label(state);
    if (label >= 0)
        metric_add(METRIC_WORKERS, label, by);
}

static void move(struct slot *s, enum slot_event on)
{
    enum slot_state before = s->state;
    if (!slot_move(&s->state, on))
        bug("a slot made a move that is not in the table");
    count_worker(before, -1);
    count_worker(s->state, 1);
    log_debug("slot.state", F_N("slot", s->number), F_C("from", slot_state_name(before)),
              F_C("to", slot_state_name(s->state)));
}

bool slot_has_job(const struct slot *s)
{
    return s->state == SLOT_OPENING || s->state == SLOT_RUNNING || s->state == SLOT_STOPPING;
}

/* A worker that has ended already has no pid, though its socket may still be open. */
void slot_kill(struct slot *s)
{
    s->killed = true;
    if (s->pid > 0)
        kill(s->pid, SIGKILL);
}

static void send_frame(struct slot *s, const struct frame *f)
{
    struct buf out = BUF(SLOT_OUT_MAX);
    frame_add(&out, f);
    struct span text;
    if (buf_end(&out, &text) || stream_send(s->stream, text)) {
        log_warn("worker.not_reading", F_N("slot", s->number), F_N("pid", s->pid));
        slot_kill(s);
    }
    buf_free(&out);
}

/* No worker sees a value of the session's cookies, whatever brings it. */
static void tell_blackened(struct slot *s, const struct frame *f)
{
    struct frame black = *f;
    struct buf copy[FRAME_TEXTS_MAX];
    slot_login_blacken(s, &black, copy);
    send_frame(s, &black);
    for (size_t i = 0; i < FRAME_TEXTS_MAX; i++)
        secret_wipe_buf(&copy[i]);
}

/* What does not fit was too large on the page's side: nothing that a page does may end node. */
void slot_tell(struct slot *s, const struct frame *f)
{
    if (!s->stream)
        return;
    if (!frame_fits(f) && f->type == FRAME_REPLY) {
        slot_tell(s, &(struct frame){.type = FRAME_REPLY, .n = {f->n[0], E_TOO_BIG}});
        return;
    }
    if (!frame_fits(f)) {
        s->too_big = true;
        return;
    }
    if (s->login)
        tell_blackened(s, f);
    else
        send_frame(s, f);
}

/* ---- stopping ---- */

void slot_grace(struct slot *s, int64_t ms)
{
    mono by = mono_add(loop_now(s->pool->loop), ms);
    if (timer_on(s->grace) && s->grace_by.ms <= by.ms)
        return;
    s->grace_by = by;
    timer_start(s->grace, ms);
}

void slot_stop(struct slot *s, enum failure_class why, err told)
{
    if (s->state == SLOT_OPENING)
        s->stop_class = why; /* seen when the tab is there */
    if (s->state != SLOT_RUNNING)
        return;
    s->stop_class = why;
    move(s, SLOT_ON_STOP);
    slot_tell(s, &(struct frame){.type = FRAME_CANCEL, .n = {told}});
    slot_grace(s, s->pool->config.grace_ms);
}

static void on_grace(void *ctx)
{
    struct slot *s = slot_of(ctx);
    if (s->state != SLOT_STOPPING && s->state != SLOT_RUNNING)
        return;
    log_warn("worker.killed", F_N("slot", s->number), F_N("pid", s->pid),
             F_C("job", s->lease.id));
    slot_kill(s);
}

static void on_attempt_over(void *ctx)
{
    struct slot *s = slot_of(ctx);
    s->release = s->release || s->commit_waits; /* it could have gone on */
    slot_stop(s, s->commit_waits ? FAILURE_CANCELLED : FAILURE_TIMEOUT, E_TIMEOUT);
}

static void on_stall(void *ctx)
{
    struct slot *s = slot_of(ctx);
    if (s->committing)
        slot_progress(s); /* the store has its page, or cannot take it: no matter of the job */
    else if (!slot_waits_for_turn(s))
        slot_stop(s, FAILURE_STUCK, E_TIMEOUT);
}

/* ---- frames from the worker ---- */

static struct span keep_words(struct slot *s, struct span words, size_t max)
{
    return arena_keep(s->arena, span_cut(words, 0, max));
}

static void on_done(struct slot *s, const struct frame *f)
{
    bool failed = f->type == FRAME_FAIL;
    s->ending.report = keep_words(s, f->t[1], 32768);
    s->ending.counts = keep_words(s, f->t[2], DRIFT_TEXT_MAX);
    if (!failed && f->n[0] > VERDICT_NONE && f->n[0] < VERDICT_COUNT && f->n[1] >= 0 &&
        f->n[1] < END_COUNT) {
        s->ending.verdict = (enum verdict)f->n[0];
        s->ending.end = (enum end_reason)f->n[1];
        job_over(s, FAILURE_NONE, keep_words(s, f->t[0], 1000));
        return;
    }
    enum failure_class class = failed && f->n[0] > FAILURE_NONE && f->n[0] < FAILURE_COUNT
                                   ? (enum failure_class)f->n[0]
                                   : FAILURE_INTERNAL;
    s->ending.wait_ms = failed && f->n[1] > 0 ? f->n[1] : 0;
    s->ending.final = failed && f->n[2] == 1;
    job_over(s, class, keep_words(s, f->t[0], 1000));
}

static void note_step(struct slot *s, struct span step)
{
    span_copy(step, s->step, sizeof s->step);
    slot_meter_step(s, step);
    log_debug("job.step", F_C("job", s->lease.id), F_C("step", s->step));
}

/* false: the worker broke the protocol and is killed. */
/* A worker may not fill the disk with its log. */
static bool log_allowed(struct slot *s)
{
    mono now = loop_now(s->pool->loop);
    if (mono_past(s->log_until, now)) {
        if (s->log_lines > LOG_LINES_MAX)
            log_warn("worker.log_dropped", F_N("pid", s->pid),
                     F_N("lines", s->log_lines - LOG_LINES_MAX));
        s->log_until = mono_add(now, 1000);
        s->log_lines = 0;
    }
    return ++s->log_lines <= LOG_LINES_MAX;
}

/* A job is planned here and read there: both by the same packs, or not at all. */
static bool versions_agree(struct slot *s, struct span versions)
{
    if (span_eq(versions, buf_span(&s->packs->versions)))
        return true;
    metric_add(METRIC_WORKER_RESTARTS, metric_label(METRIC_WORKER_RESTARTS, SPAN("version")),
               1);
    log_error("worker.other_packs", F_N("slot", s->number), F_N("pid", s->pid),
              F_S("it_has", versions), F_S("node_has", buf_span(&s->packs->versions)));
    slot_kill(s);
    return false;
}

static bool take_frame(struct slot *s, const struct frame *f)
{
    bool working = s->state == SLOT_RUNNING || s->state == SLOT_STOPPING;
    if (f->type == FRAME_READY && s->state == SLOT_STARTING) {
        if (!versions_agree(s, f->t[0]))
            return true;
        s->pool->spawn_failures = 0;
        timer_stop(s->deadline);
        move(s, SLOT_ON_READY);
        return true;
    }
    if (f->type == FRAME_LOG) {
        if (log_allowed(s))
            log_write(f->n[0] >= LOG_WARN ? LOG_WARN : LOG_INFO, "worker.says",
                      (struct log_field[]){F_N("pid", s->pid), F_S("line", f->t[0])}, 2);
        return true;
    }
    if (!working)
        return s->state == SLOT_ENDING;
    s->taken = true;
    if (slot_call(s, f))
        return true;
    switch ((int)f->type) {
    case FRAME_RECORDS:
        return slot_commit(s, f);
    case FRAME_PROGRESS:
        note_step(s, f->t[0]);
        return true;
    case FRAME_EVIDENCE:
        return slot_evidence(s, f);
    case FRAME_PICTURE:
        return slot_picture(s, f);
    case FRAME_DONE:
    case FRAME_FAIL:
        on_done(s, f);
        return true;
    default:
        return false;
    }
}

static void on_worker_bytes(void *ctx, struct span bytes)
{
    struct slot *s = slot_of(ctx);
    size_t used = 0;
    err e = E_OK;
    buf_add(&s->in, bytes);
    if (s->in.failed)
        e = E_TOO_BIG;
    while (!e) {
        struct frame f;
        size_t size = 0;
        e = frame_read(span_cut(buf_span(&s->in), used, SIZE_MAX), 'w', &f, &size);
        if (e)
            break;
        used += size;
        if (!take_frame(s, &f))
            e = E_PROTOCOL;
    }
    buf_drop(&s->in, used);
    if (e != E_BUSY) {
        log_error("worker.protocol", F_N("slot", s->number), F_N("pid", s->pid),
                  F_X("result", e));
        slot_kill(s);
        buf_clear(&s->in);
    }
    advance(s);
}

static void on_worker_end(void *ctx, err why)
{
    struct slot *s = slot_of(ctx);
    (void)why;
    stream_close(&s->stream);
    buf_clear(&s->in);
    s->worker_gone = true;
    advance(s);
}

/* ---- tab ---- */

static void send_job(struct slot *s)
{
    const struct pool_config *c = &s->pool->config;
    const struct lease *l = &s->lease;
    struct frame f = {.type = FRAME_JOB,
                      .n = {l->limit, l->next_batch, l->have, slot_navigate_ms(s), c->batch_ms,
                            c->fetch_ms, slot_keep(s), l->filtered},
                      .t = {span_of(l->id), l->site, l->kind, l->target, l->spec, l->cursor,
                            s->site.base_url, s->site.instances, l->known}};
    slot_tell(s, &f);
    need(!s->too_big); /* accept and commit keep the parts small */
}

static void on_started_done(struct store_op *op)
{
    struct slot *s = slot_of(op->ctx);
    s->starting_op = false;
    advance(s);
}

/* As the job asks, else as configured; and never past its deadline. */
static int64_t attempt_ms(const struct slot *s)
{
    int64_t most = s->lease.attempt_ms ? s->lease.attempt_ms : s->pool->config.attempt_ms;
    int64_t left = s->lease.deadline_ms
                       ? s->lease.deadline_ms - store_thread_now(s->pool->store).ms
                       : most;
    return left < most ? left > 0 ? left : 0 : most;
}

static void start_job(struct slot *s)
{
    fault_point("node.opened");
    move(s, SLOT_ON_TAB);
    slot_meter_step(s, SPAN("take the job"));
    send_job(s);
    slot_bounds_watch(s);
    timer_start(s->attempt, attempt_ms(s));
    slot_progress(s);
    s->starting_op = true;
    s->started_op = (struct store_op){.verb = STORE_STARTED,
                                      .arena = s->beat_arena,
                                      .on_done = on_started_done,
                                      .ctx = s,
                                      .in.lease = {span_of(s->lease.id), s->lease.nonce}};
    store_thread_post(s->pool->store, &s->started_op);
}

static void give_back(struct slot *s)
{
    s->release = true;
    job_over(s, FAILURE_CANCELLED, SPAN("its worker stops"));
}

/* Nothing is missing any more, unless nobody wants the job now. */
static void opened(struct slot *s)
{
    if (s->pool->draining || s->wish == WORKER_STOPPED) {
        give_back(s);
    } else if (s->stop_class) {
        job_over(s, s->stop_class, SPAN("stopped before it started"));
    } else {
        start_job(s);
    }
}

/* Cookies are set before the page goes anywhere. */
static void log_in(struct slot *s)
{
    err e = slot_login_start(s);
    if (e)
        job_over(s, FAILURE_BROWSER, keep_words(s, span_of(err_text(e)), 240));
}

static void on_tab_ready(void *ctx, err e, const char *words)
{
    struct slot *s = slot_of(ctx);
    if (s->tab && !e)
        slot_meter_page(s);
    if (s->state == SLOT_OPENING && !e && s->login && s->tab) {
        log_in(s);
    } else if (s->state == SLOT_OPENING && !e) {
        opened(s);
    } else if (s->state == SLOT_OPENING) {
        job_over(s, FAILURE_BROWSER, keep_words(s, span_of(words), 240));
    }
    advance(s);
}

static void close_tab(struct slot *s)
{
    if (s->tab && !s->tab_closed)
        tab_close(s->tab);
    else
        s->tab_closed = true;
}

/* The pictures are there, or will not come: the job goes on, or ends, as it would have without them. */
static void pictures_over(struct slot *s)
{
    s->picturing = false;
    timer_stop(s->picture);
    if (s->state == SLOT_ENDING)
        close_tab(s);
    else
        slot_pictures_tell(s);
    advance(s);
}

static void on_picture_late(void *ctx)
{
    struct slot *s = slot_of(ctx);
    if (!s->picturing)
        return;
    slot_pictures_give_up(s, GAP_PAGE_SILENT);
    pictures_over(s);
}

static void on_tab_reply(void *ctx, uint32_t call, err e, struct span result)
{
    struct slot *s = slot_of(ctx);
    if (call == LOGIN_CALL && s->state == SLOT_OPENING) {
        if (e)
            job_over(s, FAILURE_BROWSER,
                     SPAN("the browser did not take the session's cookies"));
        else
            opened(s);
        advance(s);
        return;
    }
    if (slot_pictures_asked(call)) {
        if (s->picturing && slot_pictures_reply(s, call, e, result))
            pictures_over(s);
        return;
    }
    if (s->state != SLOT_RUNNING && s->state != SLOT_STOPPING)
        return;
    if (call == WATCH_STEP) {
        s->watch_failed = s->watch_failed ? s->watch_failed : e;
        return;
    }
    if (call == s->watch_call && s->watch_failed && !e)
        e = s->watch_failed;
    if (result.n > (size_t)s->pool->config.body_max * 4) {
        e = E_TOO_BIG;
        result = SPAN("the answer is larger than browser.body_max");
    }
    slot_tell(s, &(struct frame){.type = FRAME_REPLY, .n = {call, e}, .t = {result}});
}

static bool contains(struct span text, struct span needle)
{
    return span_find(text, needle) < text.n;
}

/* Only what the worker reads goes on: its API calls, its document, and what watches the page. */
static bool event_wanted(const struct slot *s, struct span method, struct span params)
{
    struct span name;
    if (span_is(method, "Runtime.bindingCalled"))
        return s->watching && cdp_member_text(params, "name", &name) &&
               span_is(name, WATCH_HAND);
    if (span_is(method, "Network.requestWillBeSent") ||
        span_is(method, "Network.responseReceived"))
        return contains(params, SPAN("\"type\":\"XHR\"")) ||
               contains(params, SPAN("\"type\":\"Fetch\"")) ||
               contains(params, SPAN("\"type\":\"Document\""));
    return span_is(method, "Network.loadingFinished") ||
           span_is(method, "Network.loadingFailed") || span_is(method, "Fetch.requestPaused");
}

static void on_tab_event(void *ctx, struct span method, struct span params)
{
    struct slot *s = slot_of(ctx);
    if (s->state != SLOT_RUNNING && s->state != SLOT_STOPPING)
        return;
    slot_meter_event(s, method, params);
    if (event_wanted(s, method, params))
        slot_tell(s, &(struct frame){.type = FRAME_EVENT, .t = {method, params}});
    if (s->too_big)
        slot_stop(s, FAILURE_RESOURCE, E_TOO_BIG);
}

static void on_tab_gone(void *ctx, err e, const char *words)
{
    struct slot *s = slot_of(ctx);
    s->tab_gone = true;
    if (e == E_TOO_BIG)
        slot_bounds_outgrown(s);
    if (s->state == SLOT_RUNNING || s->state == SLOT_STOPPING) {
        slot_tell(s, &(struct frame){.type = FRAME_GONE, .n = {e}, .t = {span_of(words)}});
        slot_grace(s, s->pool->config.grace_ms);
    }
    if (s->picturing) {
        slot_pictures_give_up(s, GAP_PAGE_GONE);
        pictures_over(s);
        return;
    }
    advance(s);
}

static void on_tab_closed(void *ctx)
{
    struct slot *s = slot_of(ctx);
    s->tab = NULL;
    s->tab_closed = true;
    advance(s);
}

static const struct tab_face face = {on_tab_ready, on_tab_reply, on_tab_event, on_tab_gone,
                                     on_tab_closed};

/* ---- job: start and end ---- */

/* An order for fetch alone never opens a page. */
static bool needs_page(const struct slot *s)
{
    struct span strategy = SPAN_NONE;
    (void)cdp_member_text(s->lease.spec, "strategy", &strategy);
    return pack_needs_page(s->site.pack, s->lease.kind, strategy);
}

static void open_page(struct slot *s)
{
    struct fault f = {0};
    if (!needs_page(s)) {
        on_tab_ready(s, E_OK, NULL);
        return;
    }
    err e = tab_open(&s->tab, s->pool->browsers, &face, s, &f);
    if (!e) {
        s->tab_open = true;
        return;
    }
    s->tab_closed = true;
    s->release = true;
    job_over(s, FAILURE_BROWSER, SPAN("no browser has room"));
}

static void on_login_opened(struct store_op *op)
{
    struct slot *s = slot_of(op->ctx);
    struct secret text = op->result ? (struct secret){0} : op->out.secret;
    op->out.secret = (struct secret){0};
    s->opening_login = false;
    if (s->state != SLOT_OPENING) {
        secret_free(&text);
    } else if (op->result == E_STALE) {
        s->lease_lost = true;
        job_over(s, FAILURE_CANCELLED, SPAN("cancelled"));
    } else if (op->result == E_DENIED || op->result == E_NOT_FOUND || op->result == E_CONFIG) {
        log_error("session.closed", F_C("session", s->lease.session),
                  F_C("why", op->fault.words));
        job_over(s, FAILURE_SESSION_INVALID,
                 SPAN("its cookies cannot be opened: send them again"));
    } else if (op->result || !slot_login_open(s, &text)) {
        s->release = true;
        job_over(s, FAILURE_INTERNAL, SPAN("the session's cookies cannot be read"));
    } else {
        open_page(s);
    }
    advance(s);
}

static void open_login(struct slot *s)
{
    s->opening_login = true;
    s->login_op = (struct store_op){.verb = STORE_SESSION_OPEN,
                                    .arena = s->commit_arena,
                                    .on_done = on_login_opened,
                                    .ctx = s,
                                    .in.lease = {span_of(s->lease.id), s->lease.nonce}};
    store_thread_post(s->pool->store, &s->login_op);
}

static void open_tab(struct slot *s)
{
    size_t at = packs_find(s->packs, s->lease.site);
    if (at ==
        PACKS_MAX) { /* packs come to one node after the other; who has it takes the job */
        s->release = true;
        job_over(s, FAILURE_BAD_INPUT,
                 SPAN("this node has no site pack of that name (any more); put it back"));
        return;
    }
    s->site.pack = s->packs->pack[at];
    s->site.base_url = s->packs->places[at].base_url;
    s->site.media_base = s->packs->places[at].media_base;
    s->site.instances = s->packs->places[at].instances;
    if (s->lease.session[0])
        open_login(s);
    else
        open_page(s);
}

static void on_reserved(struct store_op *op)
{
    struct slot *s = slot_of(op->ctx);
    bool others = pool_memory_heard(s, op);
    if (op->result) {
        if (op->result != E_END) {
            log_warn("job.reserve_failed", F_X("result", op->result),
                     F_C("why", op->fault.words));
            timer_start(s->pool->rest, REST_MS);
        } else if (s->offer.kind != ROOM_ANY && ++s->pool->misfits >= MISFITS_MAX) {
            s->pool->misfits = 0; /* memory that others give back is no news of the store */
            timer_start(s->pool->rest, MISFIT_MS);
        }
        if (s->asked == NEEDS_PAGE && !others)
            s->pool->startable = 0;
        s->pool->light = others ? s->pool->light : 0;
        move(s, SLOT_ON_NO_JOB);
        arena_reset(s->arena);
        if (others)
            pool_kick(s->pool, s->pool->startable, s->pool->light);
        advance(s);
        return;
    }
    s->lease = op->out.lease;
    s->pool->misfits = 0;
    fault_point("node.reserved");
    s->started = loop_now(s->pool->loop);
    slot_meter_start(s);
    slot_bounds_start(s);
    metric_time(METRIC_QUEUE_WAIT, s->lease.waited_ms);
    log_info("job.reserved", F_C("job", s->lease.id), F_N("attempt", s->lease.attempt),
             F_N("slot", s->number), F_N("batch", s->lease.next_batch));
    move(s, SLOT_ON_JOB);
    slot_lease_start(s);
    if (slot_takes_jobs(s))
        open_tab(s);
    else /* whoever scaled it in meanwhile saw no lease: the job must not start now */
        give_back(s);
    if (s->offer.kind == ROOM_ANY) /* nobody else could ask meanwhile */
        pool_kick(s->pool, s->pool->startable - 1, s->pool->light);
    advance(s);
}

static void reserve(struct slot *s, enum store_needs needs, struct room_offer offer)
{
    struct ask memory = pool_memory_ask(s->pool, offer);
    move(s, SLOT_ON_ASK);
    s->asked = needs;
    s->asked_at = loop_now(s->pool->loop);
    s->offer = offer;
    s->reserve_op = (struct store_op){.verb = STORE_RESERVE,
                                      .arena = s->arena,
                                      .on_done = on_reserved,
                                      .ctx = s,
                                      .in.reserve = {.worker = SPAN("node"),
                                                     .random = random_u64() >> 1,
                                                     .needs = needs,
                                                     .memory_bytes = memory.memory_bytes,
                                                     .memory_least = memory.memory_least,
                                                     .room_after_ms = memory.room_after_ms}};
    store_thread_post(s->pool->store, &s->reserve_op);
}

static void note_ending(const struct slot *s, const struct finish_reply *r)
{
    log_info("job.ended", F_C("job", s->lease.id), F_C("state", job_state_name(r->state)),
             F_C("failure", failure_name(s->ending.failure)),
             F_C("verdict", verdict_name(s->ending.verdict)), F_N("posts", s->lease.have),
             F_N("ms", loop_now(s->pool->loop).ms - s->started.ms),
             F_N("retry_in_ms", r->retry_in_ms), F_S("why", s->ending.why));
    if (r->session[0])
        log_warn("session.refused", F_C("session", r->session), F_C("job", s->lease.id),
                 F_S("why", s->ending.why));
    if (r->breaker_until_ms)
        log_warn("lane.breaker_open", F_C("lane", r->lane), F_C("job", s->lease.id),
                 F_C("failure", failure_name(s->ending.failure)),
                 F_N("until_ms", r->breaker_until_ms));
}

static void on_finished(struct store_op *op)
{
    struct slot *s = slot_of(op->ctx);
    fault_point("node.finished");
    s->finishing = false;
    if (slot_store_cannot(op->result)) {
        /* Unknown, not failed: the same call again; the nonce makes it idempotent. */
        log_error("job.finish_retried", F_C("job", s->lease.id), F_X("result", op->result),
                  F_C("why", op->fault.words));
        timer_start(s->grace, s->finish_pause_ms);
        s->finish_pause_ms =
            s->finish_pause_ms < COMMIT_PAUSE_MS / 2 ? 2 * s->finish_pause_ms : COMMIT_PAUSE_MS;
        return;
    }
    if (op->result == E_STALE)
        metric_add(METRIC_JOB_STALE, 0, 1);
    else if (op->result)
        log_error("job.finish_failed", F_C("job", s->lease.id), F_X("result", op->result),
                  F_C("why", op->fault.words));
    else
        note_ending(s, &op->out.finish);
    s->finished = true;
    advance(s);
}

static void post_finish(struct slot *s)
{
    fault_point("node.finish");
    s->finishing = true;
    s->finish_op = (struct store_op){.verb = STORE_FINISH,
                                     .arena = s->commit_arena,
                                     .on_done = on_finished,
                                     .ctx = s,
                                     .in.finish = s->ending};
    store_thread_post(s->pool->store, &s->finish_op);
}

/* The words, and where the worker was. */
static struct span at_step(const struct slot *s, const char *words)
{
    const char *text = arena_fmt(s->arena, "%s (step: %s)", words, s->step);
    return span_of(s->step[0] && text ? text : words);
}

#define FENCED_WORDS                                                                           \
    "its node could not reach the job store, and stopped the job before its lease ended"

/* The job is over on this side, whatever the reason: write the ending, close the tab. */
static void job_over(struct slot *s, enum failure_class failure, struct span why)
{
    bool unkept = s->commit_waits;
    s->over_at = loop_now(s->pool->loop);
    s->finish_pause_ms = COMMIT_AGAIN_MS;
    slot_commit_drop(s);
    if (s->stop_class != FAILURE_NONE && failure != FAILURE_NONE) {
        failure = s->stop_class;
        if (failure == FAILURE_TIMEOUT)
            why = at_step(s, "the attempt took longer than job.attempt_timeout");
        else if (failure == FAILURE_STUCK)
            why = at_step(s, "no progress within job.stall_timeout");
        else if (failure == FAILURE_RESOURCE && s->bounds.broken)
            why = slot_bounds_broken(s);
        else if (failure == FAILURE_RESOURCE)
            why = SPAN("the page made an event that is too large to be read");
        else if (failure == FAILURE_CANCELLED && s->fenced)
            why = at_step(s, FENCED_WORDS);
        else if (failure == FAILURE_CANCELLED && s->release && unkept)
            why = SPAN("the store could not keep what it brought");
        else if (failure == FAILURE_CANCELLED && !s->release)
            why = SPAN("cancelled");
    }
    s->ending.id = span_of(s->lease.id);
    s->ending.nonce = s->lease.nonce;
    s->ending.failure = failure;
    if (s->stop_class) /* unless the worker was done before it heard of it */
        s->ending.final = failure != FAILURE_NONE && s->bounds.broken != BOUND_NONE;
    s->ending.why = why;
    s->ending.usage = slot_meter_end(s);
    if (failure != FAILURE_NONE) {
        s->ending.verdict = VERDICT_NONE;
        metric_add(METRIC_JOB_FAILURES, (int)failure - 1, 1);
        if (s->release)
            s->ending.budget = BUDGET_RELEASE;
        s->ending.retry = options_retry(s->lease.spec, s->pool->json);
    }
    metric_time(METRIC_JOB_DURATION, loop_now(s->pool->loop).ms - s->started.ms);
    timer_stop(s->attempt);
    timer_stop(s->stall);
    timer_stop(s->grace);
    timer_stop(s->look);
    timer_stop(s->fenced_at);
    fetch_cancel(&s->fetch);
    slot_media_stop(s);
    if (s->fenced)
        log_info("job.let_go", F_N("slot", s->number), F_C("job", s->lease.id),
                 F_N("unheard_ms", loop_now(s->pool->loop).ms - s->fence.asked.ms));
    move(s, SLOT_ON_OVER);
    if (!slot_pictures_start(s))
        close_tab(s);
}

static void on_timer_grace(void *ctx)
{
    struct slot *s = slot_of(ctx);
    if (s->state == SLOT_ENDING && !s->finished && !s->finishing)
        post_finish(s);
    else
        on_grace(ctx);
}

static void clean(struct slot *s)
{
    move(s, SLOT_ON_CLEAN);
    timer_stop(s->beat);
    timer_stop(s->grace);
    s->jobs_served++;
    s->tab_open = s->tab_closed = s->tab_gone = false;
    s->stop_class = FAILURE_NONE;
    s->lease_lost = s->release = s->finished = s->too_big = s->watching = s->taken = false;
    s->fenced = s->fence_heard = false;
    s->fence = (struct fence){0};
    s->watch_call = s->picture_call = 0;
    s->watch_failed = E_OK;
    s->step[0] = '\0';
    s->progressed = (mono){0};
    s->site.pack = NULL;
    slot_login_close(s);
    s->ending = (struct finish_args){0};
    s->lease = (struct lease){0};
    arena_reset(s->arena);
    arena_reset(s->beat_arena);
    arena_reset(s->commit_arena);
}

static bool has_old_packs(const struct slot *s)
{
    return s->packs != s->pool->packs;
}

static void retire(struct slot *s)
{
    struct span reason = has_old_packs(s) ? SPAN("packs") : SPAN("retired");
    log_debug("worker.retired", F_N("slot", s->number), F_N("pid", s->pid));
    metric_add(METRIC_WORKER_RESTARTS, metric_label(METRIC_WORKER_RESTARTS, reason), 1);
    stream_close(&s->stream); /* end of file */
    s->retired = s->pid;
    s->pid = 0;
    timer_start(s->deadline, RETIRE_MS);
    move(s, SLOT_ON_STOP);
}

static void check_drained(struct pool *p)
{
    if (!p->draining || !p->on_drained)
        return;
    for (int i = 0; i < p->config.workers; i++)
        if (p->slots[i].state != SLOT_EMPTY)
            return;
    void (*on_drained)(void *) = p->on_drained;
    p->on_drained = NULL;
    on_drained(p->drain_ctx);
}

static void worker_gone(struct slot *s)
{
    if (slot_has_job(s)) {
        const char *reason = s->killed ? "killed" : "crash";
        metric_add(METRIC_WORKER_RESTARTS,
                   metric_label(METRIC_WORKER_RESTARTS, span_of(reason)), 1);
        if (!s->taken && !s->stop_class)
            s->release = true; /* it never saw the job: no fault of the job's */
        if (s->pool->draining)
            s->release = true;
        if (!s->stop_class && !s->release)
            s->ending.budget = BUDGET_CRASH;
        job_over(s, s->tab_gone ? FAILURE_BROWSER : FAILURE_CRASH,
                 at_step(s, "the worker process died"));
        return;
    }
    if (s->state == SLOT_STARTING || s->state == SLOT_IDLE) {
        if (s->state == SLOT_STARTING)
            s->pool->spawn_failures++;
        move(s, SLOT_ON_WORKER_GONE);
        s->worker_gone = false;
    }
}

/* The one function that moves a slot on; safe to call at any time. */
static void advance(struct slot *s)
{
    struct pool *p = s->pool;
    if (s->worker_gone)
        worker_gone(s);
    if (s->state == SLOT_ENDING && !s->picturing && !s->committing && !s->finishing &&
        !s->finished && !timer_on(s->grace)) {
        if (s->lease_lost)
            s->finished = true;
        else
            post_finish(s);
    }
    if (s->state == SLOT_ENDING && s->finished && s->tab_closed && !s->beating &&
        !s->starting_op && !s->committing && !s->media && !s->opening_login)
        clean(s);
    if (s->state == SLOT_IDLE && s->worker_gone)
        worker_gone(s);
    if (s->state == SLOT_IDLE && (p->draining || slot_is_left(s) || has_old_packs(s) ||
                                  s->jobs_served >= p->config.worker_jobs_max))
        retire(s);
    if (s->state == SLOT_EMPTY && !p->draining && !slot_is_left(s) && !s->retired &&
        !timer_on(s->respawn))
        timer_start(s->respawn,
                    p->spawn_failures
                        ? RESPAWN_MS << (p->spawn_failures > 5 ? 5 : p->spawn_failures)
                        : 0);
    if (s->state == SLOT_IDLE)
        pool_kick(p, p->startable, p->light);
    check_drained(p);
}

void slot_advance(struct slot *s)
{
    advance(s);
}

/* ---- workers ---- */

static void on_deadline(void *ctx)
{
    struct slot *s = slot_of(ctx);
    pid_t late = s->retired ? s->retired : s->state == SLOT_STARTING ? s->pid : 0;
    if (late <= 0)
        return;
    log_warn("worker.killed", F_N("slot", s->number), F_N("pid", late),
             F_C("why", s->retired ? "it did not leave" : "it did not start in time"));
    s->killed = true;
    kill(late, SIGKILL);
}

static void on_respawn(void *ctx)
{
    spawn_worker(slot_of(ctx));
}

static void spawn_worker(struct slot *s)
{
    struct pool *p = s->pool;
    struct fault f = {0};
    int pair[2];
    if (p->draining || slot_is_left(s) || s->state != SLOT_EMPTY)
        return;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)) {
        timer_start(s->respawn, RESPAWN_MS);
        return;
    }
    int size = 1024 * 1024;
    (void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    (void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    struct spawn sp = {
        .args = {"fulmar: worker", "@worker", p->body_max},
        .env = {"LANG=C.UTF-8"},
        .fds = {{pair[1], WORKER_SOCKET_FD},
                {p->packs->image_fd, WORKER_PACKS_FD},
                {-1, WORKER_STACK_FD}},
        .fd_count = 3,
        .death_signal = SIGKILL,
        .deaf = true, /* node drains it first */
        .files_max = WORKER_FILES_MAX,
        /* All its jobs spinning to their last moment: only one that no timer ends
                        * gets there. */
        .cpu_max_s = p->config.worker_jobs_max * (p->config.attempt_ms / 1000 + 1),
        .data_max = WORKER_DATA_LIMITED ? p->config.worker_memory_max : 0};
    char names[PACKS_MAX][64 + 1];
    for (size_t i = 0; i < p->packs->count; i++)
        sp.args[3 + i] = span_copy(pack_name(p->packs->pack[i]), names[i], sizeof names[i]);
    packs_drop(&s->packs);
    s->packs = packs_hold(p->packs);
    stack_free(&s->stack);
    err e = stack_new(&s->stack, &sp.fds[2].ours, &f);
    if (!e) {
        e = spawn_start(&sp, &s->pid, &f);
        close(sp.fds[2].ours);
    }
    close(pair[1]);
    if (!e)
        e = stream_new(&s->stream, p->loop, pair[0], pair[0], SLOT_OUT_MAX, on_worker_bytes,
                       on_worker_end, s, "worker");
    if (e) {
        close(pair[0]);
        p->spawn_failures++;
        log_error("worker.start_failed", F_X("result", e), F_C("why", f.words));
        timer_start(s->respawn, RESPAWN_MS << (p->spawn_failures > 5 ? 5 : p->spawn_failures));
        return;
    }
    s->worker_gone = s->killed = false;
    s->jobs_served = 0;
    timer_start(s->deadline, START_MS);
    move(s, SLOT_ON_SPAWNED);
}

bool pool_child_ended(struct pool *p, pid_t pid, int status)
{
    for (int i = 0; i < p->config.workers; i++) {
        struct slot *s = &p->slots[i];
        if (s->retired == pid) {
            s->retired = 0;
            timer_stop(s->deadline);
            advance(s);
            return true;
        }
        if (s->pid != pid)
            continue;
        s->pid = 0;
        if (WIFSIGNALED(status) && !s->killed)
            log_error("worker.died", F_N("slot", s->number), F_N("pid", pid),
                      F_N("signal", WTERMSIG(status)), F_C("job", s->lease.id));
        return true; /* what it said last is still in its socket; the end of file comes after it */
    }
    return false;
}

/* ---- the pool ---- */

static void on_rested(void *ctx)
{
    struct pool *p = ctx;
    /* What may start is not known after a failure: one asks. */
    pool_kick(p, p->startable > 0 ? p->startable : 1, p->light > 0 ? p->light : 1);
}

static void slot_init(struct pool *p, struct slot *s, int number)
{
    *s =
        (struct slot){.magic = SLOT_MAGIC, .number = number, .pool = p, .in = BUF(SLOT_IN_MAX)};
    s->arena = arena_new(JOB_ARENA_MAX);
    s->beat_arena = arena_new(JOB_ARENA_MAX);
    s->commit_arena = arena_new(JOB_ARENA_MAX);
    s->respawn = timer_new(p->loop, on_respawn, s, "worker.respawn");
    s->deadline = timer_new(p->loop, on_deadline, s, "worker.deadline");
    s->attempt = timer_new(p->loop, on_attempt_over, s, "job.attempt");
    s->stall = timer_new(p->loop, on_stall, s, "job.stall");
    s->picture = timer_new(p->loop, on_picture_late, s, "job.picture");
    s->grace = timer_new(p->loop, on_timer_grace, s, "job.grace");
    s->beat = timer_new(p->loop, slot_lease_on_beat, s, "job.heartbeat");
    s->look = timer_new(p->loop, slot_bounds_on_look, s, "job.look");
    s->commit_again = timer_new(p->loop, slot_commit_again, s, "job.commit");
    s->fenced_at = timer_new(p->loop, slot_lease_on_fence, s, "job.fence");
}

err pool_start(struct pool **out, struct loop *l, struct store_thread *store,
               struct browsers *browsers, const struct pool_config *config, struct fault *f)
{
    (void)f;
    struct pool *p = heap_new_of(struct pool);
    p->loop = l;
    p->store = store;
    p->browsers = browsers;
    p->config = *config;
    if (p->config.workers < config->workers_at_start)
        p->config.workers = config->workers_at_start;
    p->wanted = config->workers_at_start;
    snprintf(p->body_max, sizeof p->body_max, "%lld", (long long)config->body_max * 2);
    p->packs = packs_hold(config->packs);
    p->json = json_parser_new(STORE_SPEC_MAX);
    p->rest = timer_new(l, on_rested, p, "pool.rest");
    pool_memory_open(p);
    p->slots = heap_get((size_t)p->config.workers * sizeof *p->slots);
    for (int i = 0; i < p->config.workers; i++) {
        slot_init(p, &p->slots[i], i);
        spawn_worker(&p->slots[i]);
    }
    *out = p;
    return E_OK;
}

void pool_use(struct pool *p, struct packs *packs)
{
    packs_hold(packs);
    packs_drop(&p->packs);
    p->packs = packs;
    for (int i = 0; i < p->config.workers; i++)
        advance(&p->slots[i]);
}

void pool_each_packs(const struct pool *p, void (*each)(void *ctx, const struct packs *packs),
                     void *ctx)
{
    each(ctx, p->packs);
    for (int i = 0; i < p->config.workers; i++)
        if (p->slots[i].packs && p->slots[i].packs != p->packs)
            each(ctx, p->slots[i].packs);
}

/* What is taken now could not be kept. */
static bool rests(const struct pool *p)
{
    return p->draining || p->away || (p->commits_waiting > 0 && p->commits_refused);
}

void pool_away(struct pool *p, bool away)
{
    p->away = away;
}

/* Other machines take the work that nobody here has room for. */
static void tell_hunger(const struct pool *p)
{
    bool hungry = false;
    for (int i = 0; i < p->config.workers && !rests(p); i++)
        hungry = hungry || (p->slots[i].state == SLOT_IDLE && slot_takes_jobs(&p->slots[i]));
    store_thread_hungry(p->store, hungry);
}

void pool_kick(struct pool *p, int64_t startable, int64_t light)
{
    int room = browsers_room(p->browsers);
    int64_t asking = 0, pages = 0;
    p->startable = startable;
    p->light = light;
    if (rests(p) || timer_on(p->rest)) {
        tell_hunger(p);
        return;
    }
    for (int i = 0; i < p->config.workers; i++) {
        bool asks = p->slots[i].state == SLOT_RESERVING;
        asking += asks;
        pages += asks && p->slots[i].asked == NEEDS_PAGE;
    }
    for (int i = 0; i < p->config.workers && asking < startable; i++) {
        enum store_needs needs = pages < room ? NEEDS_PAGE : NEEDS_NOTHING;
        if (p->slots[i].state != SLOT_IDLE || !slot_takes_jobs(&p->slots[i]))
            continue;
        if (needs == NEEDS_NOTHING && asking - pages >= light)
            break; /* without a page there is nothing to do */
        struct room_offer offer = pool_memory_offer(p);
        if (offer.kind == ROOM_NOTHING) {
            pool_memory_wait(p);
            break;
        }
        asking++;
        pages += needs == NEEDS_PAGE;
        reserve(&p->slots[i], needs, offer);
    }
    tell_hunger(p);
}

void pool_cancel(struct pool *p, struct span job_id, bool force)
{
    for (int i = 0; i < p->config.workers; i++) {
        struct slot *s = &p->slots[i];
        if (!slot_has_job(s) || !span_is(job_id, s->lease.id))
            continue;
        s->lease_lost |= force;
        slot_stop(s, FAILURE_CANCELLED, E_CANCELLED);
        if (force && s->state == SLOT_STOPPING)
            slot_kill(s);
    }
}

static void release_running(void *ctx)
{
    struct pool *p = ctx;
    for (int i = 0; i < p->config.workers; i++) {
        struct slot *s = &p->slots[i];
        if (slot_has_job(s))
            s->release = true; /* not cancelled: it goes on after the next start */
        slot_stop(s, FAILURE_CANCELLED, E_SHUTDOWN);
    }
}

void pool_drain(struct pool *p, int64_t grace_ms, void (*on_drained)(void *ctx), void *ctx)
{
    p->draining = true;
    tell_hunger(p);
    p->on_drained = on_drained;
    p->drain_ctx = ctx;
    p->drain = timer_new(p->loop, release_running, p, "pool.drain");
    timer_start(p->drain, grace_ms);
    for (int i = 0; i < p->config.workers; i++) {
        struct slot *s = &p->slots[i];
        if (s->state == SLOT_STARTING) {
            stream_close(&s->stream);
            move(s, SLOT_ON_WORKER_GONE);
        }
        advance(s);
    }
    check_drained(p);
}

void pool_free(struct pool **pp)
{
    struct pool *p = *pp;
    if (!p)
        return;
    for (int i = 0; i < p->config.workers; i++) {
        struct slot *s = &p->slots[i];
        if (s->stream)
            stream_close(&s->stream);
        fetch_cancel(&s->fetch);
        slot_login_close(s);
        timer_close(&s->respawn);
        timer_close(&s->deadline);
        timer_close(&s->attempt);
        timer_close(&s->stall);
        timer_close(&s->picture);
        timer_close(&s->grace);
        timer_close(&s->beat);
        timer_close(&s->look);
        timer_close(&s->commit_again);
        timer_close(&s->fenced_at);
        arena_free(&s->arena);
        arena_free(&s->beat_arena);
        arena_free(&s->commit_arena);
        buf_free(&s->in);
        buf_free(&s->records);
        packs_drop(&s->packs);
        stack_free(&s->stack);
    }
    json_parser_free(&p->json);
    packs_drop(&p->packs);
    pool_memory_close(p);
    if (p->drain)
        timer_close(&p->drain);
    free(p->slots);
    free(p);
    *pp = NULL;
}
