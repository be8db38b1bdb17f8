/* breaker_view.h - what keeps work from starting for a time, whatever it is of, as the API shows it. Pure.
 *
 * {"object":"breaker","key":…,"kind":…,"state":…,…}: the same members of every kind; null where a kind has no such
 * figure. The key is what stands behind /v1/breakers/. */
#pragma once

#include "base/json.h"
#include "store/lanes.h"
#include "store/sessions.h"
#include "store/thread.h"
#include "store/webhooks.h"

/* In the order in which they are listed. */
enum breaker_kind {
    BREAKER_OF_STORE,
    BREAKER_OF_SITE, /* all queues of a site, seen as one */
    BREAKER_OF_SESSION,
    BREAKER_OF_WEBHOOK,
    BREAKER_OF_QUEUE,
    BREAKER_KINDS
};
extern const char *const breaker_kind_names[BREAKER_KINDS + 1]; /* NULL behind them */
extern const char *const breaker_state_names[]; /* likewise, by enum breaker_state */

enum { BREAKER_KEY = LANE_NAME + 16, BREAKER_TROUBLE = 400, BREAKER_NONE = -1 };
struct breaker_view {
    enum breaker_kind kind;
    char key[BREAKER_KEY];
    enum breaker_state state;
    int64_t since_ms, until_ms; /* 0: not known; until: something is let through again */
    int64_t seen, bad;          /* of the window; seen BREAKER_NONE: the kind has none */
    int64_t failures, openings, probes_left; /* BREAKER_NONE: likewise */
    bool forced;                             /* by a person */
    struct hand hand;
    bool troubled; /* not simply closed */
    char trouble[BREAKER_TROUBLE];
    int64_t ready, active;           /* of a queue */
    int64_t queues, open, half_open; /* of a site: those that counted something */
    char thing[BREAKER_KEY + 16];    /* path of what it is of; empty: none */
};

void breaker_of_lane(struct breaker_view *out, const struct lane_view *lane);
void breaker_of_session(struct breaker_view *out, const struct session_view *v, wall now);
void breaker_of_webhook(struct breaker_view *out, const struct webhook_view *v, wall now);
void breaker_of_store(struct breaker_view *out, const struct store_trouble *t);
/* Nothing of the site has counted anything yet; then its queues, one after the other. */
void breaker_of_site(struct breaker_view *out, struct span site);
void breaker_add_lane(struct breaker_view *site, const struct lane_view *lane);

void view_breaker(struct json_w *w, const struct breaker_view *b);
/* Which limit of a webhook wins: {"object":"effective_limits","webhook":…}. fails: in a row. */
void view_hook_bounds(struct json_w *w, const struct limit_view *limit, int64_t fails,
                      const struct breaker_view *breaker);
