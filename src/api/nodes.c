/* nodes.c - the nodes that share the store. */
#include "api/inside.h"
#include "api/view.h"

#include "store/nodes.h"

struct node_list {
    struct node_view *nodes;
    size_t count;
    wall now;
};

static err run_list(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct node_list *l = args;
    l->now = now;
    return store_nodes(s, now, a, &l->nodes, &l->count, f);
}

static void put_node(struct json_w *w, const struct node_view *v, wall now)
{
    char when[WHEN_TEXT];
    json_open(w);
    json_kv_cstr(w, "object", "node");
    json_kv_cstr(w, "name", v->name);
    json_kv_cstr(w, "state", node_state_name(node_state(v, now)));
    json_kv_cstr(w, "host", v->says.host);
    json_kv_cstr(w, "version", v->says.version);
    json_key(w, "workers");
    json_open(w);
    json_kv_int(w, "all", v->says.workers);
    json_kv_int(w, "busy", v->says.busy);
    json_close(w);
    json_kv_int(w, "browsers", v->says.browsers);
    if (v->says.spool)
        json_kv_int(w, "spooled", v->says.spooled);
    else
        json_kv_null(w, "spooled");
    json_kv_cstr(w, "started_at", when_text_ms((wall){v->says.started_ms}, when));
    json_kv_cstr(w, "heard_at", when_text_ms((wall){v->heard_ms}, when));
    json_close(w);
}

static void on_listed(struct call *c)
{
    const struct node_list *l = c->op.in.work.args;
    if (call_failed(c))
        return;
    struct buf body = answer_buf();
    struct json_w w = view_list(&body);
    for (size_t i = 0; i < l->count; i++)
        put_node(&w, &l->nodes[i], l->now);
    answer_list(c->request, 200, &body, &w, NODES_MAX, SPAN_NONE);
}

/* What nodes say is in memory, of the embedded store that of one thread: it is asked there. */
void nodes_list(struct api *a, struct request *r, struct span id)
{
    struct call *c = call_new(a, r, id);
    call_work(c, STORE_WRITE, run_list, arena_new_of(c->op.arena, struct node_list), on_listed);
}
