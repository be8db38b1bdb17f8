#include "browser/broker.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/log.h"
#include "base/need.h"
#include "core/metrics.h"
#include "os/secret.h"

/* id = turn of the place << PLACE_BITS | place: a place used again has another id. Chromium
 * takes ids up to 2^31. */
enum {
    PLACE_BITS = 12,
    PLACES_MAX = 1 << PLACE_BITS,
    TURN_MASK = (1 << (31 - PLACE_BITS)) - 1
};

struct call {
    struct list node; /* in open, or in spare */
    uint32_t turn;
    const void *owner;
    mono deadline;
    uint64_t order;
    broker_answer *on_answer;
    void *ctx;
    uint32_t tag;
};

struct broker {
    struct loop *loop;
    struct timer *timer;
    mono armed;
    struct call *places;
    struct list open, spare;
    uint64_t order;
    struct buf command;
    err (*send)(void *ctx, struct span command);
    void (*on_event)(void *ctx, const struct cdp_message *event);
    void *ctx;
};

static void on_timer(void *ctx);

struct broker *broker_new(struct loop *l, size_t calls_max,
                          err (*send)(void *ctx, struct span command),
                          void (*on_event)(void *ctx, const struct cdp_message *event),
                          void *ctx)
{
    struct broker *b = heap_new_of(struct broker);
    if (calls_max > PLACES_MAX)
        calls_max = PLACES_MAX;
    b->loop = l;
    b->places = heap_get(calls_max * sizeof *b->places);
    b->command = BUF((size_t)40 << 20);
    b->send = send;
    b->on_event = on_event;
    b->ctx = ctx;
    list_init(&b->open);
    list_init(&b->spare);
    for (size_t i = 0; i < calls_max; i++)
        list_add(&b->spare, &b->places[i].node);
    b->timer = timer_new(l, on_timer, b, "devtools deadline");
    return b;
}

void broker_free(struct broker **at)
{
    struct broker *b = *at;
    if (!b)
        return;
    *at = NULL;
    timer_close(&b->timer);
    buf_free(&b->command);
    free(b->places);
    free(b);
}

static void arm(struct broker *b, mono deadline)
{
    if (timer_on(b->timer) && b->armed.ms <= deadline.ms)
        return;
    b->armed = deadline;
    timer_start(b->timer, mono_left(deadline, loop_now(b->loop)));
}

/* Labels of METRIC_CDP_COMMANDS, in its order. */
enum result { RESULT_OK, RESULT_ERROR, RESULT_TIMEOUT, RESULT_DROPPED };

static enum result result_of(err e)
{
    if (e == E_OK)
        return RESULT_OK;
    if (e == E_PROTOCOL)
        return RESULT_ERROR;
    return e == E_TIMEOUT ? RESULT_TIMEOUT : RESULT_DROPPED;
}

static void finish(struct broker *b, struct call *c, err e, struct span payload)
{
    metric_add(METRIC_CDP_COMMANDS, (int)result_of(e), 1);
    struct call done = *c;
    list_remove(&c->node);
    c->turn = (c->turn + 1) & TURN_MASK;
    c->owner = NULL;
    list_add(&b->spare, &c->node);
    done.on_answer(done.ctx, done.tag, e, payload);
}

/* Answers may open and end other calls: after each one the list is looked at afresh. */
static bool finish_one(struct broker *b, const void *owner, uint64_t up_to, err why)
{
    list_each(&b->open, at, after)
    {
        struct call *c = LIST_OF(at, struct call, node);
        if ((!owner || c->owner == owner) && c->order <= up_to) {
            finish(b, c, why, SPAN_NONE);
            return true;
        }
    }
    return false;
}

void broker_end_owner(struct broker *b, const void *owner, err why)
{
    uint64_t up_to = b->order;
    while (finish_one(b, owner, up_to, why))
        ;
}

void broker_end_all(struct broker *b, err why)
{
    broker_end_owner(b, NULL, why);
}

static void ignore_answer(void *ctx, uint32_t tag, err e, struct span payload)
{
    (void)ctx;
    (void)tag;
    (void)e;
    (void)payload;
}

void broker_forget_owner(struct broker *b, const void *owner)
{
    list_each(&b->open, at, after)
    {
        struct call *c = LIST_OF(at, struct call, node);
        if (c->owner == owner) {
            c->on_answer = ignore_answer;
            finish(b, c, E_CANCELLED, SPAN_NONE);
        }
    }
}

static bool expire_one(struct broker *b, mono now)
{
    list_each(&b->open, at, after)
    {
        struct call *c = LIST_OF(at, struct call, node);
        if (mono_past(c->deadline, now)) {
            finish(b, c, E_TIMEOUT, SPAN_NONE);
            return true;
        }
    }
    return false;
}

static void on_timer(void *ctx)
{
    struct broker *b = ctx;
    mono now = loop_now(b->loop);
    while (expire_one(b, now))
        ;
    list_each(&b->open, at, after)
    {
        arm(b, LIST_OF(at, struct call, node)->deadline);
    }
}

err broker_call(struct broker *b, const void *owner, struct span session, const char *method,
                struct span params, int64_t timeout_ms, broker_answer *on_answer, void *ctx,
                uint32_t tag)
{
    if (list_empty(&b->spare))
        return E_BUSY;
    struct call *c = LIST_OF(b->spare.next, struct call, node);
    buf_clear(&b->command);
    cdp_add_command(&b->command, c->turn << PLACE_BITS | (uint32_t)(c - b->places), session,
                    method, params);
    struct span command;
    err e = buf_end(&b->command, &command);
    if (!e)
        e = b->send(b->ctx, command);
    if (strcmp(method, "Network.setCookies") == 0)
        secret_wipe_buf(&b->command);
    if (b->command.cap > 1 << 20)
        buf_free(&b->command);
    if (e)
        return e;
    list_remove(&c->node);
    c->owner = owner;
    c->on_answer = on_answer;
    c->ctx = ctx;
    c->tag = tag;
    c->order = ++b->order;
    c->deadline = mono_add(loop_now(b->loop), timeout_ms);
    list_add(&b->open, &c->node);
    arm(b, c->deadline);
    return E_OK;
}

static struct call *call_of(struct broker *b, int64_t id)
{
    list_each(&b->open, at, after)
    {
        struct call *c = LIST_OF(at, struct call, node);
        if ((c->turn << PLACE_BITS | (uint32_t)(c - b->places)) == (uint64_t)id)
            return c;
    }
    return NULL;
}

void broker_take(struct broker *b, struct span text)
{
    struct cdp_message m;
    if (cdp_read(text, &m) != E_OK) {
        log_warn("browser.bad_message", F_N("bytes", text.n));
        return;
    }
    if (!m.answer) {
        b->on_event(b->ctx, &m);
        return;
    }
    struct call *c = call_of(b, m.id);
    if (c)
        finish(b, c, m.refused ? E_PROTOCOL : E_OK, m.payload);
}
