/* marker.h - tells this node that another one left work to do: one connection and one thread that wait for
 * the marker "wake" (queue.md §11). A script that leaves startable work sets the marker, at most once; who
 * takes it reserves, and the reserving script sets it again while work remains. So one node after the other
 * wakes up, and an idle node asks once a second.
 *
 * A wait that does not end in time is a dead connection: it is thrown away and made anew. A lost marker is
 * no lost job: whoever reserves for any other reason finds the work as well. */
#pragma once

#include "store/redis/link.h"

struct marker;
struct marker_config {
    struct span url, name; /* as of struct link_config */
    /* On its thread; may only wake somebody. */
    void (*wake)(void *ctx);
    void *ctx;
    int64_t wait_ms; /* of one question; 0: MARKER_WAIT_MS */
};
enum { MARKER_WAIT_MS = 1000 };

/* E_CONFIG an address that cannot be read; whether there is a Redis shows later. */
MUST_USE err marker_start(struct marker **out, const struct marker_config *config,
                          struct fault *f);
/* Returns within two waits. */
void marker_stop(struct marker **m);

/* Whether this node has room for work; it has none at first. While it has none it leaves the marker to others.
 * Any thread. */
void marker_hungry(struct marker *m, bool hungry);

struct marker_state {
    int64_t answered_ms; /* since it last got an answer, empty or not; −1: never yet */
    int64_t silent_ms;   /* so long it has asked without an answer; 0 while it does not ask */
    int64_t wakes;       /* markers taken */
    int64_t connections; /* made so far */
};
struct marker_state marker_state(struct marker *m);
