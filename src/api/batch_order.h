/* batch_order.h - what a client asks for in POST /v1/batches and …/jobs: many orders at once, each with
 * its own mistakes. Pure, as order.h.
 *
 * `jobs` is a list of orders; `template` with `targets` is one order for many targets. A mistake has a
 * pointer into the body as it came: /jobs/7/limit, /targets/7, /template/limit. */
#pragma once

#include "api/order.h"
#include "store/batches.h"

struct batch_invalid { /* an order that was left out (mode partial) */
    size_t index;
    struct span pointer, detail;
    const char *code;
};
struct batch_order {
    struct span name;
    bool open, partial;
    int64_t stop_after, parallel;
    struct order *orders; /* those that are valid */
    size_t *indexes;      /* where each was in the body */
    size_t count;
    struct batch_invalid *invalid;
    size_t invalid_count;
    struct order calls[BATCH_CALLS];
    bool has_call[BATCH_CALLS];
    bool templated; /* pointers of its orders are into /template */
};
/* adding: to a batch that is there, so that only jobs and mode may be given. False: refusal says why.
 * Everything lives in the arena. */
MUST_USE bool batch_order_read(struct batch_order *out, struct order_refusal *out_refusal,
                               struct json_parser *parser, struct pack *const *packs,
                               size_t pack_count, struct span body, bool adding,
                               struct arena *a);
