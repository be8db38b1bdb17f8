/* graphql_lists.h - answers of the API beside timelines and searches of posts: tabs of a profile, rows of
 * accounts, lists, communities, threads. As in graphql.h. */
#pragma once

#include "graphql.h"

enum { PAGE_USERS = 50, PAGE_BRANCHES = 10, PAGE_ANSWERS = 3 };

/* Own posts and answers; an answer stands with the post that it answers. */
int graphql_replies(const struct model *m, uint64_t user_id, struct span cursor,
                    const struct spoil *spoil, struct buf *out);
/* A grid of the posts with pictures: page 1 as an entry, the others added to it. */
int graphql_media(const struct model *m, uint64_t user_id, struct span cursor,
                  const struct spoil *spoil, struct buf *out);
int graphql_follows(const struct model *m, uint64_t user_id, bool followers, struct span cursor,
                    const struct spoil *spoil, struct buf *out);
/* The products People and Media of a search. */
int graphql_people(const struct model *m, struct span query, struct span cursor,
                   const struct spoil *spoil, struct buf *out);
int graphql_search_media(const struct model *m, struct span query, struct span cursor,
                         const struct spoil *spoil, struct buf *out);
int graphql_list(const struct model *m, uint64_t id, struct span cursor,
                 const struct spoil *spoil, struct buf *out);
int graphql_community(const struct model *m, uint64_t id, struct span cursor,
                      const struct spoil *spoil, struct buf *out);
/* The thread around a post; `cursor`: further branches, or further posts of one branch. */
int graphql_thread(const struct model *m, uint64_t id, struct span cursor,
                   const struct spoil *spoil, struct buf *out);
/* The post alone, as visitors without a login are shown it. */
int graphql_post_alone(const struct model *m, uint64_t id, const struct spoil *spoil,
                       struct buf *out);
