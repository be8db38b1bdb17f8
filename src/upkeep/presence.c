#include "upkeep/presence.h"

#include "base/log.h"
#include "base/need.h"
#include "core/metrics.h"

#include <stdlib.h>
#include <unistd.h>

enum { ARENA_MAX = 256 * 1024 };

struct presence {
    struct presence_config config;
    struct timer *timer;
    struct store_op op;
    struct arena *arena;
    struct node_beat beat;
    int64_t counts[NODE_STATES];
    bool busy, again;
};

/* On the store's thread. */
static err say(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct presence *p = args;
    struct node_view *nodes;
    size_t count;
    err e = store_node_beat(s, &p->beat, now, f);
    if (!e)
        e = store_nodes(s, now, a, &nodes, &count, f);
    memset(p->counts, 0, sizeof p->counts);
    for (size_t i = 0; !e && i < count; i++)
        p->counts[node_state(&nodes[i], now)]++;
    return e;
}

static void on_said(struct store_op *op)
{
    struct presence *p = op->ctx;
    p->busy = false;
    for (int i = 0; !op->result && i < NODE_STATES; i++)
        metric_set(METRIC_NODES, i, p->counts[i]);
    if (p->again && op->result != E_SHUTDOWN)
        presence_say(p);
}

void presence_say(struct presence *p)
{
    p->again = p->busy;
    if (p->busy)
        return;
    timer_start(p->timer, NODE_BEAT_MS);
    p->config.describe(p->config.ctx, &p->beat);
    arena_reset(p->arena);
    p->op.verb = STORE_WRITE;
    p->op.in.work = (struct store_work){.run = say, .args = p};
    p->busy = true;
    store_thread_post(p->config.store, &p->op);
}

static void on_timer(void *ctx)
{
    presence_say(ctx);
}

void presence_start(struct presence **out, const struct presence_config *config)
{
    struct presence *p = heap_new_of(struct presence);
    p->config = *config;
    p->arena = arena_new(ARENA_MAX);
    p->op.arena = p->arena;
    p->op.on_done = on_said;
    p->op.ctx = p;
    if (gethostname(p->beat.host, sizeof p->beat.host - 1))
        p->beat.host[0] = '\0';
    span_copy(SPAN(FULMAR_VERSION), p->beat.version, sizeof p->beat.version);
    p->timer = timer_new(config->loop, on_timer, p, "presence");
    timer_start(p->timer, 0);
    *out = p;
}

void presence_free(struct presence **handle)
{
    struct presence *p = *handle;
    if (!p)
        return;
    need(!p->busy);
    timer_close(&p->timer);
    arena_free(&p->arena);
    free(p);
    *handle = NULL;
}
