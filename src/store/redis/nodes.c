/* nodes.c - the nodes that share the queue. */
#include "store/redis/inside.h"

#include "base/need.h"

enum {
    NODE_NAME_AT,
    NODE_HEARD,
    NODE_STARTED,
    NODE_WORKERS,
    NODE_BUSY,
    NODE_BROWSERS,
    NODE_STOPPING_AT,
    NODE_VERSION,
    NODE_HOST,
    NODE_SPOOLED,
    NODE_SPOOL,
};

err redis_node_beat(struct store *s, const struct node_beat *beat, wall now, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    need(s->in_group);
    store_fresh(s);
    call_text(&c, SPAN("beat"));
    call_number(&c, NODE_KEPT_MS);
    call_number(&c, beat->started_ms);
    call_number(&c, beat->workers);
    call_number(&c, beat->busy);
    call_number(&c, beat->browsers);
    call_flag(&c, beat->stopping);
    call_text(&c, span_of(beat->version));
    call_text(&c, span_of(beat->host));
    call_number(&c, beat->spooled);
    call_flag(&c, beat->spool);
    return store_write(s, SCRIPT_NODE, &c, now, &r, f);
}

static struct node_view read_node(const struct reply *r)
{
    struct node_view v = {
        .heard_ms = reply_number(r, NODE_HEARD),
        .says = {.started_ms = reply_number(r, NODE_STARTED),
                 .workers = reply_number(r, NODE_WORKERS),
                 .busy = reply_number(r, NODE_BUSY),
                 .browsers = reply_number(r, NODE_BROWSERS),
                 .stopping = reply_number(r, NODE_STOPPING_AT) != 0,
                 .spooled = reply_number(r, NODE_SPOOLED),
                 .spool = reply_number(r, NODE_SPOOL) != 0},
    };
    span_copy(reply_text(r, NODE_NAME_AT), v.name, sizeof v.name);
    span_copy(reply_text(r, NODE_VERSION), v.says.version, sizeof v.says.version);
    span_copy(reply_text(r, NODE_HOST), v.says.host, sizeof v.says.host);
    return v;
}

err redis_nodes(struct store *s, wall now, struct arena *a, struct node_view **out,
                size_t *out_count, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    store_fresh(s);
    call_text(&c, SPAN("list"));
    call_number(&c, NODES_MAX);
    err e = store_look(s, SCRIPT_NODE, &c, now, &r, f);
    if (e)
        return e;
    *out_count = r.count - 1;
    *out = arena_try(a, r.count * sizeof **out);
    if (!*out)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    for (size_t i = 0; i < *out_count; i++)
        (*out)[i] = read_node(reply_list(&r, i + 1));
    return E_OK;
}
