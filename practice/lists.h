/* lists.h - what the world has beside timelines and searches: rows of accounts, lists, communities and
 * the threads around posts. Pure functions of the model, as there. */
#pragma once

#include "model.h"

/* A row of accounts: who follows, whom it follows, who was found. No account comes twice. */
struct crowd {
    uint64_t key;
    uint32_t count;
};
enum {
    CROWD_MAX = 3000
}; /* the site shows no more of an account that is not named after a number */
struct crowd lists_followers(const struct model *m, const struct account *a);
struct crowd lists_following(const struct model *m, const struct account *a);
/* As many people as the search has posts, at most CROWD_MAX. */
struct crowd lists_people(const struct search *s);
/* False: the account stands in the row and was suspended since. */
bool lists_account(const struct model *m, const struct crowd *c, uint32_t index,
                   struct account *out);

/* The posts of a list or a community. Ids below 100000 have as many posts as they say; ids that end
 * in 404 do not exist. */
enum feed_kind { FEED_LIST, FEED_COMMUNITY };
bool lists_feed(const struct model *m, enum feed_kind kind, uint64_t id, struct search *out);

/* The thread around a post of an account's own timeline: at most one post above, and below it
 * branches, each a direct answer and the answers to it in one line. */
struct thread {
    const struct post *focal;
    uint64_t key;
    uint32_t branches;
    uint32_t hidden_from;  /* branches from here on are folded away as unwanted */
    bool above_gone;       /* the post above was deleted */
    enum timeline_end end; /* how the site says that there is no more */
};
enum { BRANCH_MAX = 7 };
void lists_thread(const struct model *m, const struct account *a, uint32_t index,
                  struct arena *arena, struct thread *out);
/* The post that the focal one answers; NULL when it answers none. */
const struct post *lists_thread_above(const struct model *m, const struct thread *t,
                                      struct arena *arena);
/* Posts of the branch, at most BRANCH_MAX; 0: its answer was deleted. */
uint32_t lists_branch_length(const struct thread *t, uint32_t branch);
/* The post `depth` steps below the focal one, 1 to the length of the branch. */
const struct post *lists_branch_post(const struct model *m, const struct thread *t,
                                     uint32_t branch, uint32_t depth, struct arena *arena);
