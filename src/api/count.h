/* count.h - how many jobs match a filter, or about how many.
 *
 * A count goes in slices, each one read of the store, so that whoever else needs the store has a turn between two of them; of
 * all counts of this server one slice is at the store at a time, and they take turns. A count never fails: what ends it early,
 * be it its time, a store that is away, or the end of the server, leaves what was seen by then, and `more`. */
#pragma once

#include "os/clock.h"
#include "store/find.h"

struct call;

struct count {
    /* what is wanted; lives as long as the call */
    struct jobs_filter filter;
    int64_t most;    /* there may be more than so many */
    int64_t most_ms; /* of waiting for its turn and of its slices together */
    /* Only about how many: what one look at the newest of them shows is taken for all of the jobs in the states of the filter,
     * `total` of them as the store said last. */
    bool guess;
    int64_t total;
    /* The answer; at first what is known already. Exact, unless there may be more, or it is a guess. */
    int64_t value;
    bool more, guessed;
    /* count.c's own */
    struct jobs_find find;
    struct jobs_found found; /* of the last look */
    char after[ID_TEXT];
    int64_t counted;
    mono until;
    void (*then)(struct call *c);
};

/* `then` comes, perhaps before this has returned, if the client is there by then. */
void count_start(struct call *c, struct count *n, void (*then)(struct call *c));

/* ---- for api.c ---- */
struct api;
/* An operation of this call is back from the store: whose next count is to be taken up after that; NULL: of nobody. */
struct api *count_back(struct call *c);
void count_next(struct api *a);
void count_end_all(struct api *a); /* the server ends, and nobody listens any more */
