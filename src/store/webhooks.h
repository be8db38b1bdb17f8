/* webhooks.h - receivers that are told what happens: operations of the store (store.h has the rules of
 * all of them).
 *
 * The log of events is the outbox: what changes a job writes its event in the same transaction, and a
 * webhook is a place in that log. store_webhooks_take() moves the place on and makes a delivery of each
 * event that the webhook is about, by its types (which may be none) or because it ends a job whose callback it is, at most WEBHOOK_OPEN_MAX that have not arrived; when there are so many
 * the place stays where it is, and the events wait in the log. What retention takes from the log before
 * that is counted (`missed`). A delivery is at least once, and in order for each subject (job, batch,
 * operation; events about none of them are one subject): the next one of a subject waits until the one
 * before it has arrived or is dead. Its event id is "job_…:n", n counting the events of the job from 1,
 * or "evt_SEQ": the same whenever and however often it is sent. */
#pragma once

#include "core/webhook.h"
#include "store/hands.h"

enum {
    WEBHOOKS_MAX = 32,
    WEBHOOKS_LOOK_MS =
        10000, /* another node may have made the first one: how often that is looked for */
    WEBHOOK_URL = 2048, /* bytes, with the end */
    WEBHOOK_NAME = 80,
    WEBHOOK_TYPES = 1024,
    WEBHOOK_OPEN_MAX = 1000,   /* deliveries that have not arrived */
    WEBHOOK_ENDED_KEPT = 1000, /* of the others */
    WEBHOOK_WHY = 240,
};

struct webhook_put {
    struct span id; /* "whk_…" */
    /* types as in core/webhook.h; of a change: p NULL keeps what is there */
    struct span name, url, types;
    struct span secret; /* of a new one; sealed here */
    int enabled;        /* of a change: −1 keeps it; else 0 or 1 */
    int64_t revision;   /* of a change: E_STALE when it is another; −1 any */
};
/* From the newest event on. E_BUSY: there are WEBHOOKS_MAX; E_DENIED (the key). */
MUST_USE err store_webhook_add(struct store *s, const struct webhook_put *args, wall now,
                               struct fault *f);
/* Switched on again it goes on where it was. E_NOT_FOUND, E_STALE. */
MUST_USE err store_webhook_change(struct store *s, const struct webhook_put *args, wall now,
                                  struct fault *f);

struct webhook_ask {
    struct span id;
    int64_t revision;
    struct span secret; /* ROTATE: the new one; the old one signs as well until */
    int64_t old_until_ms;
    int64_t from_ms; /* REPLAY */
};
MUST_USE err store_webhook_rotate(struct store *s, const struct webhook_ask *args, wall now,
                                  struct fault *f);
MUST_USE err store_webhook_remove(struct store *s, const struct webhook_ask *args,
                                  struct fault *f);
/* Back in the log: events since then that are still there are sent once more, behind what is open. */
MUST_USE err store_webhook_replay(struct store *s, const struct webhook_ask *args, wall now,
                                  struct fault *f);

struct webhook_view {
    char id[ID_TEXT];
    struct span name, url, types, off_why;
    bool enabled;
    int64_t off_ms;                          /* 0: it is on, or was never off */
    int64_t old_until_ms;                    /* the secret before this one signs until then */
    int64_t open;                            /* deliveries that have not arrived */
    int64_t behind;                          /* events of the log that were not looked at */
    int64_t fails;                           /* in a row */
    int64_t failing_ms, rest_ms;             /* since; nothing is sent before; 0 */
    int64_t delivered, failed, dead, missed; /* failed: attempts */
    int64_t last_ok_ms, created_ms, updated_ms, revision;
    struct hand hand; /* held by hand: nothing is sent until then; its time may be over */
};
MUST_USE err store_webhook(struct store *s, struct span id, struct arena *a,
                           struct webhook_view *out, struct fault *f);
MUST_USE err store_webhooks(struct store *s, struct arena *a, struct webhook_view **out,
                            size_t *out_count, struct fault *f);

/* ---- deliveries ---- */
enum delivery_state { DELIVERY_PENDING, DELIVERY_DELIVERED, DELIVERY_DEAD, DELIVERY_STATES };
const char *delivery_state_name(enum delivery_state s);
bool delivery_state_parse(struct span text, enum delivery_state *out);

struct delivery_view {
    char id[ID_TEXT], webhook[ID_TEXT];
    struct span event, subject, type, why; /* why: it failed last, or "" */
    enum delivery_state state;
    int64_t seq, attempts, status; /* status: of the last answer; 0: none */
    int64_t at_ms;                 /* of the event */
    int64_t due_ms;                /* of the next attempt; of a pending one */
    int64_t ended_ms;
};
struct deliveries_query {
    struct span webhook;
    int state;         /* enum delivery_state, or −1 */
    struct span after; /* id of the last one seen; empty: from the newest */
    size_t limit;      /* 1-500 */
};
/* Newest first. E_NOT_FOUND: no such webhook. */
MUST_USE err store_deliveries(struct store *s, const struct deliveries_query *q,
                              struct arena *a, struct delivery_view **out, size_t *out_count,
                              struct fault *f);
MUST_USE err store_delivery(struct store *s, struct span id, struct arena *a,
                            struct delivery_view *out, struct fault *f);
/* A new delivery of the same event, at once. out_id: of it. E_NOT_FOUND; E_BUSY: too many are open. */
MUST_USE err store_delivery_again(struct store *s, struct span id, wall now,
                                  char out_id[ID_TEXT], struct fault *f);
/* A delivery of type "ping". */
MUST_USE err store_webhook_ping(struct store *s, struct span webhook, wall now,
                                char out_id[ID_TEXT], struct fault *f);

/* ---- delivering: of upkeep/webhooks.c ---- */
struct webhooks_take_args {
    size_t most;      /* attempts */
    int64_t lease_ms; /* an attempt that says nothing for so long is made again */
    int64_t at_s;     /* what attempts say of their time: receivers have clocks of their own */
};
struct webhook_attempt {
    int64_t did, number;                     /* number: of the attempt, from 1 */
    struct span url, event, body, signature; /* signature: all of them, as the header has it */
    int64_t at_s;
    char webhook[ID_TEXT], delivery[ID_TEXT];
};
struct webhooks_taken {
    struct webhook_attempt *attempts;
    size_t count;
    /* Something is due then; INT64_MAX: nothing but what is yet to happen. Where none is on and another node
     * may turn one on, which this one is not told of, in WEBHOOKS_LOOK_MS at most. */
    int64_t next_ms;
    int64_t active; /* webhooks that are on */
    int64_t missed; /* events that were gone */
};
MUST_USE err store_webhooks_take(struct store *s, const struct webhooks_take_args *args,
                                 wall now, struct arena *a, struct webhooks_taken *out,
                                 struct fault *f);

struct webhook_done_args {
    int64_t did, number;
    bool arrived;
    bool gone;  /* the receiver said that it wants no more (410) */
    int status; /* 0: no answer */
    struct span why;
    int64_t retry_after_ms; /* 0: not said */
    int64_t base_ms;        /* of delays */
};
struct webhook_done_reply {
    bool dead, off; /* the delivery; the webhook, by this */
};
/* Of a delivery or a webhook that is no more, and of an attempt that was made again since, nothing is
 * written. */
MUST_USE err store_webhook_done(struct store *s, const struct webhook_done_args *args, wall now,
                                struct webhook_done_reply *out, struct fault *f);
