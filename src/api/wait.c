/* wait.c - Prefer: wait=N (RFC 7240): the answer comes when what was asked about is over, or after N seconds with
 * how it is then.
 *
 * One lookout reads the log of events for all who wait, so that nobody is looked at for what befell others. Who
 * waits is on the list before it is first looked at: what happens in between is heard of. */
#include "api/inside.h"

enum {
    WAIT_MOST_S = HTTP_WAIT_MOST_MS / 1000,
    LOOK_EVENTS = 500,
    LOOK_ARENA = 16 * 1024 * 1024,
};

struct lookout {
    struct store_op op; /* first: found from the operation */
    struct api *api;    /* NULL: it is gone, and the lookout goes when its operation is back */
    int64_t seen;       /* events up to here were looked at */
    int64_t asked_at;   /* the newest one when the operation was posted */
    bool busy;
};

static void look(struct call *c);
static void watch(struct lookout *l);

/* ---- the lookout ---- */

static void stir(struct call *c)
{
    c->stirred = true;
    if (!c->busy)
        look(c);
}

static void stir_all(struct api *a)
{
    list_each(&a->waiters, node, after) stir(LIST_OF(node, struct call, waits));
}

static void tell(struct api *a, struct span of)
{
    list_each(&a->waiters, node, after)
    {
        struct call *c = LIST_OF(node, struct call, waits);
        if (span_is(of, c->id))
            stir(c);
    }
}

static void on_events(struct store_op *op)
{
    struct lookout *l = (struct lookout *)(void *)op;
    l->busy = false;
    if (!l->api) {
        wait_lookout_free(&l);
        return;
    }
    size_t n = op->result ? 0 : op->out.events.count;
    l->seen = n ? op->out.events.events[n - 1].seq : l->asked_at;
    if (op->result)
        stir_all(l->api); /* nobody knows what happened */
    for (size_t i = 0; i < n; i++)
        tell(l->api, op->out.events.events[i].job);
    watch(l);
}

static void watch(struct lookout *l)
{
    if (l->busy || list_empty(&l->api->waiters) || l->seen >= l->api->last_event)
        return;
    arena_reset(l->op.arena);
    l->busy = true;
    l->asked_at = l->api->last_event;
    l->op.verb = STORE_EVENTS;
    l->op.on_done = on_events;
    l->op.result = E_OK;
    l->op.fault = (struct fault){0};
    l->op.in.events.after = l->seen;
    l->op.in.events.job = SPAN_NONE;
    l->op.in.events.limit = LOOK_EVENTS;
    store_thread_post(l->api->store, &l->op);
}

struct lookout *wait_lookout_new(struct api *a)
{
    struct lookout *l = heap_new_of(struct lookout);
    l->api = a;
    l->op.arena = arena_new(LOOK_ARENA);
    return l;
}

void wait_lookout_free(struct lookout **handle)
{
    struct lookout *l = *handle;
    *handle = NULL;
    if (!l)
        return;
    l->api = NULL;
    if (l->busy)
        return;
    arena_free(&l->op.arena);
    free(l);
}

void wait_more(struct api *a)
{
    if (list_empty(&a->waiters))
        a->lookout->seen = a->last_event;
    watch(a->lookout);
}

/* ---- one that waits ---- */

void wait_forget(struct call *c)
{
    timer_close(&c->bell);
    if (!list_on(&c->waits))
        return;
    list_remove(&c->waits);
    c->api->waiter_count--;
}

static void on_looked(struct call *c)
{
    bool waits = list_on(&c->waits) && !c->late;
    if (!waits || c->op.result || c->wait->over(c)) {
        wait_forget(c);
        c->wait->answer(c);
        return;
    }
    if (c->stirred)
        look(c);
}

static void look(struct call *c)
{
    c->stirred = false;
    c->wait->look(c, on_looked);
}

static void on_bell(void *ctx)
{
    struct call *c = ctx;
    c->late = true;
    if (!c->busy)
        look(c);
}

/* Of "respond-async, wait=20"; what is not understood is ignored, as RFC 7240 wants it. 0: not asked for. */
static int64_t wanted_s(struct request *r)
{
    struct span rest = request_header(r, "Prefer"), one;
    while (span_next(&rest, ',', &one)) {
        int64_t s = 0;
        size_t equals = span_find_char(one, '=');
        struct span name = span_trim(span_cut(one, 0, equals));
        struct span value = span_cut(one, equals + 1, one.n);
        value = span_trim(span_cut(value, 0, span_find_char(value, ';')));
        if (span_eq_nocase(name, SPAN("wait")) && span_int(value, &s) && s > 0)
            return s < WAIT_MOST_S ? s : WAIT_MOST_S;
    }
    return 0;
}

void wait_for(struct call *c, const struct wait_face *face)
{
    struct api *a = c->api;
    int64_t s = wanted_s(c->request);
    c->wait = face;
    if (s && a->waiter_count < WAITERS_MAX && !a->draining) {
        wait_more(a); /* before it is on the list: from the newest event on */
        list_add(&a->waiters, &c->waits);
        a->waiter_count++;
        snprintf(c->applied, sizeof c->applied, "wait=%lld", (long long)s);
        request_hold_long(c->request);
        c->bell = timer_new(a->loop, on_bell, c, "prefer wait");
        timer_start(c->bell, s * 1000);
    }
    look(c);
}

void wait_end_all(struct api *a)
{
    list_each(&a->waiters, node, after) on_bell(LIST_OF(node, struct call, waits));
}
