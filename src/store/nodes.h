/* nodes.h - the nodes that share a store: what each one says of itself, and when it was last heard of. No node
 * leads; each says that it is there, and all see the same list. The embedded store has one node, its own.
 *
 * A node that has not been heard of for NODE_SILENT_MS hangs, is cut off or is gone: its leases end by
 * themselves. One that stopped in order said so. Both are forgotten after NODE_KEPT_MS. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/when.h"

struct store;

enum {
    NODE_BEAT_MS = 5000,
    NODE_SILENT_MS = 3 * NODE_BEAT_MS,
    NODE_KEPT_MS = 24 * 3600 * 1000,
    NODES_MAX = 128, /* further ones work, and are not listed */
    NODE_TEXT = 65,
};

struct node_beat {
    char version[NODE_TEXT], host[NODE_TEXT];
    int64_t workers, busy; /* how many jobs it can run at once; of these, run now */
    int64_t browsers;      /* that answer */
    int64_t started_ms;
    bool spool; /* it takes jobs onto its disk while the queue of several machines is away, */
    int64_t spooled; /* and so many wait there; one that is silent may have taken more since */
    bool stopping;   /* it takes no more jobs */
};

enum node_state { NODE_UP, NODE_STOPPING, NODE_STOPPED, NODE_SILENT, NODE_STATES };
struct node_view {
    char name[NODE_TEXT]; /* store.node */
    struct node_beat says;
    int64_t heard_ms;
};
enum node_state node_state(const struct node_view *v, wall now);
const char *node_state_name(enum node_state s);

/* This node says that it is there. Needs an open group. */
MUST_USE err store_node_beat(struct store *s, const struct node_beat *beat, wall now,
                             struct fault *f);
/* By name, at most NODES_MAX; in the arena. */
MUST_USE err store_nodes(struct store *s, wall now, struct arena *a, struct node_view **out,
                         size_t *out_count, struct fault *f);
