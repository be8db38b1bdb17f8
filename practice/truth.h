/* truth.h - what a correct extractor must deliver, written from the model, never from the JSON
 * that the site sends. Posts are xpost/1 records, accounts xuser/1, one JSON object per line.
 *
 * Every writer works in pieces, so that an account of any size streams in constant memory. */
#pragma once

#include "model.h"

enum truth_order { TRUTH_LATEST, TRUTH_TOP };

/* A list of posts being written. */
struct truth {
    const struct model *model;
    bool is_search;
    struct account account;
    struct search search;
    enum truth_order order;
    uint32_t next; /* index of the stream; of a timeline the pinned post comes before all */
    bool pinned_done;
    int64_t left; /* posts still wanted */
    struct arena
        *arena; /* owned; holds the search words and, reset for each line, nothing else */
    struct arena *line;
};

/* False: no such account, or a search without words. limit < 0: all. */
bool truth_open_posts(struct truth *t, const struct model *m, struct span handle,
                      int64_t limit);
bool truth_open_search(struct truth *t, const struct model *m, struct span query,
                       enum truth_order order, int64_t limit);
void truth_close(struct truth *t);
/* Adds the next line; false at the end. */
bool truth_next(struct truth *t, struct buf *out);

/* One xuser/1 line; false when there is no such account. */
bool truth_user(const struct model *m, struct span handle, struct buf *out);
/* One line for each of the first `count` generated accounts: screen_name, id, posts, state. */
void truth_account(const struct model *m, uint32_t number, struct buf *out);
