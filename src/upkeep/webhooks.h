/* webhooks.h - sends deliveries to receivers.
 *
 * Happy path: the store has new events, or something is due → store_webhooks_take() makes deliveries of them and
 * gives those that may be sent now, signed → a POST each, through egress → 2xx: it has arrived → the store says when
 * the next one is due → one timer until then.
 *
 * Failure modes: no connection, no whole answer in time, any other status, a redirect (is never followed): told to
 * the store, which says when it is tried again; one receiver never waits for another (core/webhook.h has the limits
 * of each). Egress refuses an address: as no connection. The process ends, or the store takes no word: the attempt
 * counts as lost after twice the timeout, and is made again: at least once. The store fails: asked again after a
 * pause.
 *
 * Everything on the loop's thread. */
#pragma once

#include "loop/loop.h"
#include "store/thread.h"
#include "store/webhooks.h"

struct webhooks;
struct webhooks_config {
    struct loop *loop;
    struct store_thread *store;
    int egress_fd;       /* control socket to egress; borrowed */
    struct span contact; /* of the User-Agent */
    int64_t timeout_ms;  /* of a request, until its whole answer is there */
    int64_t base_ms;     /* of the delays before further attempts */
};
MUST_USE err webhooks_start(struct webhooks **out, const struct webhooks_config *config,
                            struct fault *f);
/* After every store_thread_collect(). */
void webhooks_told(struct webhooks *u, int64_t last_event);
/* Somebody changed a webhook, or asked for a delivery. */
void webhooks_changed(struct webhooks *u);
/* Egress is there, or there again. */
void webhooks_egress_hello(struct webhooks *u);
void webhooks_drain(struct webhooks *u); /* sends nothing more from now on */
void webhooks_free(
    struct webhooks **u); /* the store thread has stopped, or nothing was told yet */
