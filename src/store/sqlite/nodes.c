/* nodes.c - the one node of an embedded store. What it says is of no use to a later process: not on the disk. */
#include "store/sqlite/inside.h"

#include "base/need.h"

err sqlite_node_beat(struct store *s, const struct node_beat *beat, wall now, struct fault *f)
{
    (void)f;
    need(s->in_group);
    s->node = (struct node_view){.says = *beat, .heard_ms = now.ms};
    span_copy(span_of(beat->host), s->node.name, sizeof s->node.name);
    return E_OK;
}

err sqlite_nodes(struct store *s, wall now, struct arena *a, struct node_view **out,
                 size_t *out_count, struct fault *f)
{
    (void)now;
    *out_count = s->node.heard_ms > 0;
    *out = arena_try(a, sizeof **out);
    if (!*out)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    **out = s->node;
    return E_OK;
}
