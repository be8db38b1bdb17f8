/* plan.h - what a worker does for one job, worked out from the pack and the target.
 *
 * Pure: no clock, no I/O. Everything in a plan borrows from the pack or from the arena given to
 * plan_make(). */
#pragma once

#include "base/arena.h"
#include "base/span.h"
#include "core/failure.h"
#include "extract/pack.h"

enum plan_strategy {
    PLAN_CAPTURE, /* open the page in a browser and read the answers of its own API calls */
    PLAN_DOM,     /* open the page in a browser and read what it shows */
    PLAN_FETCH,   /* ask for the sources of the pack, without a browser */
    PLAN_STRATEGIES
};
const char *plan_strategy_name(enum plan_strategy s);
bool plan_strategy_parse(struct span name, enum plan_strategy *out);

enum operation_role {
    OP_TIMELINE, /* pages of records with a cursor */
    OP_USER,     /* one user: facts about the target (protected, suspended, number of posts) */
    OP_POST, /* one post without what is around it: all that a visitor without a login is shown */
    OP_PART, /* records that belong to the list and stand in an answer of their own before it */
};

/* What the profile of an account says about the list that a job reads: how many it has. */
enum plan_claim { CLAIM_POSTS, CLAIM_MEDIA, CLAIM_FOLLOWERS, CLAIM_FOLLOWING, PLAN_CLAIMS };
/* What an answer promises of its posts, pinned ones aside. */
enum list_order {
    ORDER_NONE,
    ORDER_ENTRIES, /* the site's own sort key of the entries goes down */
    ORDER_IDS,     /* the newest id first */
    ORDER_TIMES,   /* the latest time first, of sources whose ids are no numbers */
};

/* One API call of the page that is worth reading. */
struct operation {
    struct span name; /* last segment of the request's path: "UserTweets" */
    enum operation_role role;
    enum list_order order;
    /* How a cursor enters the page's own request: JSON member `cursor_member` of the query
     * parameter `cursor_parameter`. Empty when the operation has no pages. */
    struct span cursor_parameter;
    struct span cursor_member;
};

/* One strategy of a target and its limits. */
struct plan_step {
    enum plan_strategy strategy;
    /* The end of the list is proven by this many pages in a row without a new id. */
    int end_repeat_pages;
    int turns_max;   /* pages read at most, whatever happens */
    int retries_max; /* dom: times that "Retry" is pressed before the page's word is taken */
    int reopen_pages; /* the page is opened anew after so many, 0 never: it keeps what it showed */
    bool wants_timeline; /* false: done when the OP_USER answer is read */
    /* with has_after: it is worth its while only where the one before ended so */
    bool after[FAILURE_COUNT];
    bool has_after;
    int64_t shows_at_most; /* posts of the list that the site shows at all; 0: every one */
    /* dom and fetch: nor do others' posts stand there as context: such a one was not read
     * for what it is */
    bool no_others;
    bool own_posts_only;   /* records of other authors that are not reposts are context, not
                            results */
    enum plan_claim claim; /* what proves that an empty list is empty */
};

struct source; /* source.h */
struct plan {
    /* the next one runs where the one before failed ... */
    struct plan_step steps[PLAN_STRATEGIES];
    size_t step_count;
    bool fallback_on[FAILURE_COUNT]; /* ... with a class that is true here */
    struct span kind, canonical;
    struct span product;     /* "latest", "people", …; empty where the target has none */
    struct span product_url; /* its word in the URL; empty: the parameter is left out */
    bool users;        /* its records are users: these are counted, limited, and all there is */
    struct span more;  /* capture: the expression that makes the page ask for more */
    struct span focus; /* of a thread: id of the post that it is about; else empty */
    bool depth;        /* a thread in which the depth of a reply is known */
    bool ranked; /* the list is not in the order of time: old posts may stand before new ones */
    struct span base;        /* of every URL, no slash at the end */
    struct span input, host; /* canonical, where the target is "input@host" cut in two */
    struct span item;        /* what follows the input, where the pack splits it */
    struct span below; /* the list is asked for from this id downwards; empty: from its top */
    struct span url;   /* capture and dom: the page to open */
    /* dom: another page in its place, which shows a sample of the list; else empty */
    struct span shown_url;
    struct span shown_pattern; /* as the pack has it */
    const struct operation *operations;
    size_t operation_count;
    const struct source *shown; /* dom: how what the page shows is read */
    const struct source *const
        *sources; /* fetch: asked in this order, the last one page by page */
    size_t source_count;
};

/* kind and canonical as pack_target() accepted them. base_url replaces the pack's when not
 * empty (no slash at the end). E_BAD_INPUT (unknown kind), E_NO_MEMORY. */
MUST_USE err plan_make(struct plan *out, const struct pack *p, struct arena *a,
                       struct span kind, struct span canonical, struct span base_url,
                       struct fault *f);

/* Another product of the target than its default, which plan_make() takes. E_BAD_INPUT when the
 * target has no products or none of this name, E_TOO_BIG, E_NO_MEMORY. */
MUST_USE err plan_choose(struct plan *plan, const struct pack *p, struct arena *a,
                         struct span product, struct fault *f);

/* The search with these words after it (a space before each), at this URL where it is not empty. E_TOO_BIG,
 * E_NO_MEMORY. */
MUST_USE err plan_add_words(struct plan *plan, const struct pack *p, struct arena *a,
                            struct span words, struct span url, struct fault *f);

/* The same list from this post downwards, where the site can be asked for that: for a list that stalls.
 * Changes the URL. E_NOT_FOUND when it cannot, E_TOO_BIG, E_NO_MEMORY. */
MUST_USE err plan_go_below(struct plan *plan, const struct pack *p, struct arena *a,
                           struct span id, struct fault *f);

/* The cursor that a request of the page asks for; written plainly into `out`. False when it has none:
 * the first page. */
bool plan_request_cursor(const struct plan *plan, struct span request_url, struct buf *out);
/* Leaves the sources whose servers are known ("NAME=URL NAME=URL", or PLAN_ALL_SERVERS where nothing is asked for);
 * without any, fetch is no strategy. */
#define PLAN_ALL_SERVERS "*"
MUST_USE err plan_configure(struct plan *plan, struct span instances, struct arena *a,
                            struct fault *f);
/* Leaves this one strategy of the plan. E_BAD_INPUT when it has no such. */
MUST_USE err plan_only(struct plan *plan, enum plan_strategy s, struct fault *f);

/* The URL of the page's own request, changed so that it starts at `cursor`. Every other
 * parameter and member stays as it was. E_NOT_FOUND when the request is none of the plan's
 * operations with pages, E_SHAPE when its parameters cannot be read, E_TOO_BIG from the buf. */
MUST_USE err plan_resume_url(const struct plan *plan, struct span request_url,
                             struct span cursor, struct buf *out_url);

/* The operation of a request URL, or NULL: by the last path segment, whatever host or query. */
const struct operation *plan_operation(const struct plan *plan, struct span request_url);

/* ---- sources ---- */

/* Variables of a source's URL; an empty one is not there. */
struct source_vars {
    struct span base, host;              /* as they are */
    struct span input, item, id, cursor; /* escaped */
    struct span instances; /* "NAME=URL NAME=URL": each is a variable of that name, as it is */
    int64_t limit;         /* records that are still wanted; 0: as many as there are */
};
/* The URL to fetch. A parameter of the query whose variable is not there is left out; a cursor that
 * is a URL is the URL. E_NOT_FOUND when a variable before the query is not there, E_TOO_BIG. */
MUST_USE err source_url(const struct source *s, const struct source_vars *v, struct buf *out);
/* Is every server that its URL names among the instances? */
bool source_is_configured(const struct source *s, struct span instances);
/* An anonymous view: what it shows is a sample. */
bool source_is_sampled(const struct source *s);
/* Its name and role, as for a call of the page's own API. */
const struct operation *source_operation(const struct source *s);
