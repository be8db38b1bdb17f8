/* delivery.h - what a delivery to a webhook is, whatever kind of store it lies in (store/webhooks.h): which events become
 * one, its name, its text, its signature. */
#pragma once

#include "os/secret.h"
#include "store/webhooks.h"

enum { DELIVERY_EVENT = 64 };

/* Whether the event goes to this webhook: by its types, or as the end of a job whose callback it is. Events of webhooks
 * themselves go to none: one that cannot be reached would never come to an end. */
bool delivery_wants(struct span types, const char *webhook, const struct event_view *v);
/* Members of the event with which a job ended that has a callback: to whom it goes, or would, were it still there. */
#define DELIVERY_CALLBACK "callback"
#define DELIVERY_DROPPED  "callback_dropped"
/* "job_…:n", or "evt_SEQ" of what is not numbered. */
void delivery_event_id(const struct event_view *v, char out[DELIVERY_EVENT]);

/* Of an attempt that has everything else, its time and event: {"type":…,"timestamp":…,"data":{the event, id, links}} */
MUST_USE err delivery_body(const struct event_view *v, struct arena *a,
                           struct webhook_attempt *out, struct fault *f);

/* The secret of a webhook, sealed for that webhook and for its number, so that no older one can be put back. */
struct webhook_secrets {
    struct span sealed, old_sealed; /* old: p NULL or empty: there is none */
    int64_t number, old_until_ms;
};
MUST_USE err delivery_seal(const struct secret_key *key, struct span webhook, int64_t number,
                           struct span secret, struct buf *out, struct fault *f);
/* With the secret before this one as well, while that is still good. */
MUST_USE err delivery_sign(const struct secret_key *key, const struct webhook_secrets *secrets,
                           wall now, struct arena *a, struct webhook_attempt *t,
                           struct fault *f);

/* What a call says, and what it means: the receiver wants no more, or was not reached for too long. */
const char *delivery_off_why(bool gone);
err delivery_none(struct fault *f);
err delivery_no_webhook(struct fault *f);
err delivery_moved(int64_t revision, struct fault *f); /* it was changed meanwhile */
err delivery_too_many(struct fault *f);                /* webhooks */
/* A person's doing may exceed what the log makes by itself, but not without an end. */
MUST_USE err delivery_room(int64_t open, struct fault *f);

/* The place in the log before which everything is older than from_ms: events come in the order of their times, so
 * that it is found by halves. event_after: the first event behind seq; E_END: none. */
typedef err delivery_event_after(struct store *s, int64_t seq, int64_t *out_seq,
                                 int64_t *out_at_ms, struct fault *f);
MUST_USE err delivery_place(struct store *s, delivery_event_after *event_after, int64_t last,
                            int64_t from_ms, int64_t *out, struct fault *f);
