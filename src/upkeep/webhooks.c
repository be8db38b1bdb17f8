#include "upkeep/webhooks.h"

#include "base/log.h"
#include "base/need.h"
#include "core/metrics.h"
#include "net/fetch.h"
#include "os/clock.h"

enum {
    SLOTS = WEBHOOKS_MAX * WEBHOOK_AT_ONCE_MOST, /* no receiver can take the place of another */
    TAKE_MOST = 16,
    ARENA_MAX = 32 * 1024 * 1024,
    GATHER_MS = 20,         /* events that come within are taken together */
    REST_MS = 5000,         /* after the store could not */
    FAR_MS = 3600 * 1000,   /* no timer is longer */
    ANSWER_MAX = 64 * 1024, /* more of an answer's body is not waited for */
};
/* Values of METRIC_WEBHOOK_DELIVERIES. */
enum { DELIVERED, FAILED, DEAD };

struct slot {
    struct webhooks *owner;
    struct fetch *fetch;  /* under way */
    bool used, reporting; /* reporting: the operation is at the store */
    struct webhook_done_args args;
    struct webhook_done_reply reply;
    char webhook[ID_TEXT], delivery[ID_TEXT], why[WEBHOOK_WHY];
    size_t bytes; /* of the answer's body */
    struct fetch_sink sink;
    struct store_op op;
};

struct webhooks {
    struct webhooks_config config;
    struct fetcher *fetcher;
    struct timer *timer;
    struct store_op op;
    struct arena *arena; /* of what was taken */
    struct webhooks_take_args args;
    struct webhooks_taken taken;
    int64_t last_event, next_ms, active;
    mono took, rest_until;
    bool busy, fresh, stopping; /* fresh: there may be something that was not taken */
    struct slot slots[SLOTS];
};

static void advance(struct webhooks *u);

/* ---- what became of one ---- */

static void count(const struct slot *s)
{
    metric_add(METRIC_WEBHOOK_DELIVERIES, s->args.arrived ? DELIVERED : FAILED, 1);
    if (s->reply.dead)
        metric_add(METRIC_WEBHOOK_DELIVERIES, DEAD, 1);
    if (s->args.arrived)
        log_debug("webhook.delivered", F_C("webhook", s->webhook),
                  F_C("delivery", s->delivery));
    else if (!s->reply.dead)
        log_info("webhook.failed", F_C("webhook", s->webhook), F_C("delivery", s->delivery),
                 F_N("attempt", s->args.number), F_N("status", s->args.status),
                 F_C("why", s->why));
    else
        log_warn("webhook.dead", F_C("webhook", s->webhook), F_C("delivery", s->delivery),
                 F_C("why", s->why));
    if (s->reply.off)
        log_warn("webhook.disabled", F_C("webhook", s->webhook), F_C("why", s->why));
}

static void on_reported(struct store_op *op)
{
    struct slot *s = op->ctx;
    struct webhooks *u = s->owner;
    if (!op->result)
        count(s);
    else if (op->result != E_SHUTDOWN) /* it is made again when its time has lapsed */
        log_warn("webhook.unsaid", F_C("delivery", s->delivery), F_X("result", op->result),
                 F_C("why", op->fault.words));
    s->used = s->reporting = false;
    u->fresh = true;
    advance(u);
}

static err run_done(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct slot *slot = args;
    (void)a;
    return store_webhook_done(s, &slot->args, now, &slot->reply, f);
}

static void report(struct slot *s, bool arrived, int status, const char *why)
{
    snprintf(s->why, sizeof s->why, "%s", arrived ? "" : why);
    s->args.arrived = arrived;
    s->args.gone = status == 410;
    s->args.status = status;
    s->args.why = span_of(s->why);
    s->args.base_ms = s->owner->config.base_ms;
    s->reporting = true;
    s->op = (struct store_op){.verb = STORE_WRITE, .on_done = on_reported, .ctx = s};
    s->op.in.work = (struct store_work){.run = run_done, .args = s};
    store_thread_post(s->owner->config.store, &s->op);
}

static void answered(struct slot *s, int status)
{
    char why[64];
    const char *hint = status >= 300 && status < 400 ? ": redirects are not followed" : "";
    snprintf(why, sizeof why, "the receiver answered %d%s", status, hint);
    report(s, status >= 200 && status < 300, status, why);
}

static void on_fetched(void *ctx, const struct fetch_answer *a)
{
    struct slot *s = ctx;
    bool cut = a->failed == E_CANCELLED &&
               s->args.status; /* by us: the rest of its body is not wanted */
    s->fetch = NULL;
    s->args.retry_after_ms = a->retry_after_ms;
    if (!a->failed || cut)
        answered(s, cut ? s->args.status : a->status);
    else
        report(s, false, 0, a->words);
}

static bool on_bytes(void *ctx, int status, struct span head, struct span bytes)
{
    struct slot *s = ctx;
    (void)head;
    s->args.status = status;
    s->bytes += bytes.n;
    return s->bytes <= ANSWER_MAX;
}

/* ---- sending ---- */

static struct slot *free_slot(struct webhooks *u)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (!u->slots[i].used)
            return &u->slots[i];
    return NULL;
}

static size_t room(const struct webhooks *u)
{
    size_t n = 0;
    for (size_t i = 0; i < SLOTS; i++)
        n += !u->slots[i].used;
    return n;
}

static void send_one(struct webhooks *u, const struct webhook_attempt *t)
{
    struct slot *s = free_slot(u);
    struct fault f = {0};
    need(s);
    *s = (struct slot){.owner = u, .used = true, .args = {.did = t->did, .number = t->number}};
    s->sink = (struct fetch_sink){.on_bytes = on_bytes, .ctx = s};
    memcpy(s->webhook, t->webhook, sizeof s->webhook);
    memcpy(s->delivery, t->delivery, sizeof s->delivery);
    struct fetch_request q = {
        .url = t->url,
        .origin = t->url,
        .timeout_ms = u->config.timeout_ms,
        .sink = &s->sink,
        .post = t->body,
        .headers = {"Content-Type: application/json",
                    "Expect:", arena_fmt(u->arena, "webhook-id: %.*s", SP(t->event)),
                    arena_fmt(u->arena, "webhook-timestamp: %lld", (long long)t->at_s),
                    arena_fmt(u->arena, "webhook-signature: %.*s", SP(t->signature))}};
    if (fetch_start(&s->fetch, u->fetcher, &q, on_fetched, s, &f))
        report(s, false, 0, f.words);
}

static void on_taken(struct store_op *op)
{
    struct webhooks *u = op->ctx;
    u->busy = false;
    u->next_ms = u->taken.next_ms;
    if (op->result) {
        u->fresh = true;
        u->rest_until = mono_add(clock_mono(), REST_MS);
        if (op->result != E_SHUTDOWN)
            log_warn("webhooks.wait", F_X("result", op->result), F_C("why", op->fault.words));
    } else {
        u->active = u->taken.active;
        metric_set(METRIC_WEBHOOKS, 0, u->active);
        metric_add(METRIC_WEBHOOK_MISSED, 0, u->taken.missed);
        for (size_t i = 0; i < u->taken.count && !u->stopping; i++)
            send_one(u, &u->taken.attempts[i]);
    }
    advance(u);
}

/* ---- when ---- */

static err run_take(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct webhooks *u = args;
    u->taken = (struct webhooks_taken){.next_ms = INT64_MAX};
    return store_webhooks_take(s, &u->args, now, a, &u->taken, f);
}

static void take(struct webhooks *u, size_t most)
{
    arena_reset(u->arena);
    u->busy = true;
    u->fresh = false;
    u->took = clock_mono();
    u->args = (struct webhooks_take_args){.most = most < TAKE_MOST ? most : TAKE_MOST,
                                          .lease_ms = 2 * u->config.timeout_ms,
                                          .at_s = clock_wall().ms / 1000};
    u->op = (struct store_op){
        .verb = STORE_WRITE, .arena = u->arena, .on_done = on_taken, .ctx = u};
    u->op.in.work = (struct store_work){.run = run_take, .args = u};
    store_thread_post(u->config.store, &u->op);
}

/* Until it may look again: for what is new at once, but not more often than each GATHER_MS. */
static int64_t wait_ms(const struct webhooks *u)
{
    int64_t due =
        u->next_ms == INT64_MAX ? FAR_MS : u->next_ms - store_thread_now(u->config.store).ms;
    int64_t in = u->fresh ? 0 : due < FAR_MS ? due : FAR_MS;
    int64_t gathered = mono_left(mono_add(u->took, GATHER_MS), clock_mono());
    int64_t rested = mono_left(u->rest_until, clock_mono());
    in = in < gathered ? gathered : in;
    return in < rested ? rested : in;
}

static void advance(struct webhooks *u)
{
    size_t most = room(u);
    if (u->busy || u->stopping || !most)
        return; /* whatever ends next comes by here */
    int64_t in = wait_ms(u);
    if (in > 0) {
        timer_start(u->timer, in);
        return;
    }
    timer_stop(u->timer);
    take(u, most);
}

static void on_timer(void *ctx)
{
    advance(ctx);
}

void webhooks_told(struct webhooks *u, int64_t last_event)
{
    if (last_event <= u->last_event)
        return;
    u->last_event = last_event;
    if (!u->active)
        return;
    u->fresh = true;
    advance(u);
}

void webhooks_changed(struct webhooks *u)
{
    u->fresh = true;
    advance(u);
}

/* ---- from start to end ---- */

err webhooks_start(struct webhooks **out, const struct webhooks_config *config, struct fault *f)
{
    struct webhooks *u = heap_new_of(struct webhooks);
    u->config = *config;
    u->arena = arena_new(ARENA_MAX);
    u->next_ms = INT64_MAX;
    u->timer = timer_new(config->loop, on_timer, u, "webhooks");
    struct fetch_config fetch = {.egress_fd = config->egress_fd,
                                 .contact = config->contact,
                                 .body_max = ANSWER_MAX,
                                 .host_connections = SLOTS};
    err e = fetcher_start(&u->fetcher, config->loop, &fetch, f);
    if (e) {
        webhooks_free(&u);
        return e;
    }
    webhooks_changed(u);
    *out = u;
    return E_OK;
}

void webhooks_egress_hello(struct webhooks *u)
{
    fetcher_egress_hello(u->fetcher);
}

void webhooks_drain(struct webhooks *u)
{
    u->stopping = true;
    timer_stop(u->timer);
}

void webhooks_free(struct webhooks **handle)
{
    struct webhooks *u = *handle;
    if (!u)
        return;
    need(!u->busy);
    for (size_t i = 0; i < SLOTS; i++)
        fetch_cancel(&u->slots[i].fetch);
    fetcher_free(&u->fetcher);
    timer_close(&u->timer);
    arena_free(&u->arena);
    free(u);
    *handle = NULL;
}
