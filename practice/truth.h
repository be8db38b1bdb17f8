/* truth.h - what a correct extractor must deliver, written from the model, never from the JSON
 * that the site sends. Posts are xpost/1 records, accounts xuser/1, one JSON object per line.
 *
 * Every writer works in pieces, so that an account of any size streams in constant memory. */
#pragma once

#include "lists.h"

enum truth_order { TRUTH_LATEST, TRUTH_TOP, TRUTH_MEDIA };
enum truth_kind {
    TRUTH_POSTS,
    TRUTH_REPLIES,
    TRUTH_GRID,
    TRUTH_SEARCH,
    TRUTH_CROWD,
    TRUTH_THREAD
};

/* A list of posts or users being written. */
struct truth {
    const struct model *model;
    enum truth_kind kind;
    struct account account;
    struct crowd crowd;
    struct thread thread;
    int64_t depth; /* of a thread: replies at most so deep; -1 all */
    struct search search;
    enum truth_order order;
    uint32_t below; /* of a thread: steps in the branch that is next */
    /* index of the stream; of a thread the post above, the post, the branches; of a
     * timeline the pinned post comes before all */
    uint32_t next;
    bool pinned_done;
    /* Of the replies: own posts that came as context before their turn, and the post that waits behind
     * one of them (its index and 1; 0 none). */
    uint32_t ahead[16], held;
    size_t ahead_count;
    int64_t left; /* posts still wanted */
    /* owned; holds the search words and, reset for each line, nothing else */
    struct arena *arena;
    struct arena *line;
};

/* False: no such account, or a search without words. limit < 0: all. */
bool truth_open_posts(struct truth *t, const struct model *m, struct span handle,
                      int64_t limit);
bool truth_open_search(struct truth *t, const struct model *m, struct span query,
                       enum truth_order order, int64_t limit);
/* The other tabs of a profile: TRUTH_REPLIES, TRUTH_GRID. */
bool truth_open_tab(struct truth *t, const struct model *m, struct span handle,
                    enum truth_kind kind, int64_t limit);
bool truth_open_follows(struct truth *t, const struct model *m, struct span handle,
                        bool followers, int64_t limit);
bool truth_open_people(struct truth *t, const struct model *m, struct span query,
                       int64_t limit);
bool truth_open_feed(struct truth *t, const struct model *m, enum feed_kind kind, uint64_t id,
                     int64_t limit);
/* False also when the account of the post is suspended or protected. */
bool truth_open_thread(struct truth *t, const struct model *m, uint64_t id, int64_t depth,
                       int64_t limit);
void truth_close(struct truth *t);
/* Adds the next line; false at the end. */
bool truth_next(struct truth *t, struct buf *out);

/* One xuser/1 line; false when there is no such account. */
bool truth_user(const struct model *m, struct span handle, struct buf *out);
/* One line for each of the first `count` generated accounts: screen_name, id, posts, state. */
void truth_account(const struct model *m, uint32_t number, struct buf *out);
