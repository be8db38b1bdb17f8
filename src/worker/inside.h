/* inside.h - one job being collected: what collect.c shares with the strategies. Private to the
 * worker. */
#pragma once

#include "worker/collect.h"

struct attempt { /* one strategy, as it ended */
    enum plan_strategy strategy;
    int64_t pages, posts;
    enum failure_class failure;
    struct span why;
};

/* Ids seen in this attempt: open addressing, texts live in the arena. */
struct seen {
    struct span *slots;
    size_t size, used;
};

struct collection {
    struct page page;
    const struct collect_order *order;
    struct plan plan;
    const struct plan_step *step; /* of the plan: what is tried now */
    /* Asks for more of the list, from here; the answer is read later. */
    err (*go_on)(struct collection *c, struct span cursor);
    struct attempt attempts[PLAN_STRATEGIES];
    size_t attempt_count;
    struct arena *arena;
    struct seen seen;
    struct span source; /* fetch: name of the source that is read */
    struct span robots, robots_of; /* what the site asks of robots, and which one */
    struct span cursor; /* of the last page */
    struct span user_id;
    wall since, until;
    bool has_since, has_until;
    int64_t batch, have, claimed;
    int64_t pages, users, promoted, unavailable, rejected, repeated, unparsed;
    int pages_without_new, pages_open; /* open: read since the page was opened */
    bool reopened;                     /* the next timeline page is the first of a page opened anew */
    bool source_said_empty, user_read;
    enum end_reason end;
    enum failure_class failure; /* what a page said, when it said something */
    int64_t wait_ms;
    struct span why;
    struct fault fault;
};

/* Takes one answer in: counts, verdicts on the target, commit, end of the list. E_PAGE: the answer says
 * why in c->failure. */
MUST_USE err collection_read(struct collection *c, const struct operation *op,
                             const struct reading *r);
/* The strategies; each runs to its end. */
MUST_USE err capture_run(struct collection *c);
MUST_USE err fetch_run(struct collection *c);
