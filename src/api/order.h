/* order.h - what a client asks for in POST /v1/jobs: the body read, checked, made canonical.
 * Pure.
 *
 * Unknown members are 400 with the nearest known name; wrong values are 422; all of them are
 * listed at once. Everything lives in the arena given. */
#pragma once

#include "api/followup.h"
#include "api/terms.h"
#include "base/json.h"
#include "extract/pack.h"
#include "store/sessions.h"
#include "store/store.h"

enum { ORDER_LIMIT_MAX = 100000, ORDER_DEPTH_MAX = 100 };

struct order {
    /* target canonical, lane "default/x/normal", of a site on many hosts
     * "default/mastodon/normal-7"; with a pool "…@research.SearchTimeline" */
    struct span site, kind, target, lane;
    struct span spec; /* {"limit":200,"since":"2026-02-06T00:00:00Z"}: what was given */
    /* of sessions; what the site counts the job under. Empty: none */
    struct span pool, operation;
    bool users;        /* it is about users, else about posts: limit counts these */
    int64_t limit;     /* 0 = all */
    int prio;          /* 9 before the others of its lane, 0 after them */
    bool prio_of_lane; /* nobody named one */
    enum store_mark mark;
    struct span variant; /* the options that change what the list is, as JSON */
    struct terms terms;
    struct followup followup;
    enum store_needs needs;
    int64_t memory_bytes; /* that an attempt may take; 0: not said */
    int64_t work; /* of what decides what the records are; 0: nobody else's result will do */
};

/* False: refusal says why. */
MUST_USE bool order_read(struct order *out, struct order_refusal *out_refusal,
                         struct json_parser *parser, struct pack *const *packs,
                         size_t pack_count, struct span body, struct arena *a);
/* "labels": texts by name, into `out` as core/labels.h writes them; with_gone: null takes one back. Members that are no
 * labels are refused. Empty: there are none. */
void order_labels(struct body *b, struct json object, const char *at, bool with_gone,
                  struct span *out);
/* The job that it asks for, accepted now; who makes it gives it an id. coalesce: as configured. */
struct accept_args order_accept(const struct order *o, bool coalesce, wall now);
