/* presence.h - says to the store, every few seconds, that this node is there and what it can do, and counts the
 * nodes that say so (fulmar_nodes).
 *
 * Failure modes: the store is away: said the next time; the others see this node as silent meanwhile, which it
 * is to them. Everything on the loop's thread. */
#pragma once

#include "loop/loop.h"
#include "store/nodes.h"
#include "store/thread.h"

struct presence;
struct presence_config {
    struct loop *loop;
    struct store_thread *store;
    void (*describe)(void *ctx, struct node_beat *out); /* host and version are there already */
    void *ctx;
};
void presence_start(struct presence **out, const struct presence_config *config);
/* Once more, now: something changed. */
void presence_say(struct presence *p);
/* The store thread has stopped, or nothing was said yet. */
void presence_free(struct presence **p);
