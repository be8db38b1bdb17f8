/* callbacks.c - whether the webhooks are there that orders name as their callbacks, before they are accepted. */
#include "api/inside.h"
#include "store/webhooks.h"

enum { VIEWS_MAX = 1 << 20 };

struct look {
    struct callback_wish *const *wishes;
    size_t count;
};

static bool is_there(struct span id, const struct webhook_view *hooks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (span_is(id, hooks[i].id))
            return true;
    return false;
}

/* An order that was accepted before is answered as it was then, whatever became of the webhook. */
static err was_accepted(struct store *s, const struct callback_wish *wish, wall now, bool *out,
                        struct fault *f)
{
    char id[ID_TEXT];
    err e = wish->key.n ? store_keyed(s, wish->tenant, wish->key, now, id, f) : E_NOT_FOUND;
    *out = !e;
    return e == E_NOT_FOUND ? E_OK : e;
}

static err run_look(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    const struct look *look = args;
    struct arena *own = arena_new(VIEWS_MAX);
    struct webhook_view *hooks = NULL;
    size_t count = 0;
    (void)a;
    err e = store_webhooks(s, own, &hooks, &count, f);
    for (size_t i = 0; !e && i < look->count; i++) {
        struct callback_wish *wish = look->wishes[i];
        bool accepted = false;
        if (is_there(wish->webhook, hooks, count))
            continue;
        e = was_accepted(s, wish, now, &accepted, f);
        wish->missing = !e && !accepted;
    }
    arena_free(&own);
    return e;
}

void callbacks_look(struct call *c, struct callback_wish *const *wishes, size_t count,
                    void (*then)(struct call *c))
{
    struct look *look = arena_new_of(c->op.arena, struct look);
    *look = (struct look){wishes, count};
    call_work(c, STORE_READ, run_look, look, then);
}

void callbacks_refuse(struct body *b, struct span pointer, struct span webhook)
{
    body_refuse(
        b, pointer, "unknown",
        "there is no webhook %.*s; GET /v1/webhooks lists them, POST /v1/webhooks makes "
        "one; without callback nobody is told",
        SP(webhook));
}
