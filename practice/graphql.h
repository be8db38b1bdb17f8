/* graphql.h - the answers of the web app's own API, shaped as the real one shapes them.
 *
 * Each function appends one JSON document to `out` and returns the HTTP status that goes with
 * it. Paging is stateless: a cursor carries the place where the next page begins. */
#pragma once

#include "model.h"

enum { PAGE_POSTS = 20 };

/* How the answers of this request shall be spoilt. */
struct spoil {
    double empty_page; /* probability of a page without posts but with a live cursor */
    bool repeat;       /* this page brings the one before, and its cursor, again */
    uint32_t stall;    /* a search does so for ever after so many results; 0: it does not */
    bool empty_always; /* no posts, and a live cursor, for ever */
    bool drift;        /* members renamed */
    bool guest;       /* nobody is logged in: of a timeline the best liked posts, and no more */
    bool long_cursor; /* cursors of 400 000 bytes */
};

int graphql_user(const struct model *m, struct span handle, struct buf *out);
int graphql_user_tweets(const struct model *m, uint64_t user_id, struct span cursor,
                        const struct spoil *spoil, struct buf *out);
/* product: "Top", "Latest". */
int graphql_search(const struct model *m, struct span query, struct span product,
                   struct span cursor, const struct spoil *spoil, struct buf *out);
/* {"errors":[…]} */
void graphql_error(struct buf *out, int code, const char *message, const char *kind);
