/* answer.h - one answer of the API being written: what graphql.c and graphql_lists.c share. */
#pragma once

#include "graphql.h"

#include "base/json.h"

enum { ARENA_MAX = 16 * 1024 * 1024 };

struct answer {
    struct json_w w;
    const struct model *model;
    struct arena *arena;
    const struct spoil *spoil;
    int64_t sort; /* sortIndex of the next entry; descends */
};
void graphql_init(struct answer *an, const struct model *m, const struct spoil *spoil,
                  struct buf *out);
void graphql_fini(struct answer *an);

/* One value each. */
void graphql_put_user(struct answer *an, const struct account *a);
void graphql_put_unavailable_user(struct answer *an);
void graphql_put_post(struct answer *an, const struct post *p);

/* ---- entries ---- */
enum tweet_role { ROLE_NORMAL, ROLE_PINNED, ROLE_PROMOTED };
void graphql_open_entries(struct answer *an); /* the instruction TimelineAddEntries */
void graphql_close_entries(struct answer *an);
void graphql_put_bare_instruction(struct answer *an, const char *type, const char *direction);
void graphql_open_entry(struct answer *an, const char *entry_id);
void graphql_close_entry(struct answer *an);
void graphql_put_entry_type(struct answer *an, const char *type);
void graphql_put_tweet_entry(struct answer *an, const struct post *p, enum tweet_role role);
void graphql_put_tweet_item(struct answer *an, const struct post *p, enum tweet_role role);
/* A box of three accounts: "Who to follow" on a profile, "People" in a Top search. */
void graphql_put_people(struct answer *an, const char *prefix, const char *title, uint64_t key);
/* Some account's post that has nothing to do with the page. */
/* Some account's post that has nothing to do with the page; NULL when the draw finds none. */
const struct post *graphql_some_post(struct answer *an, uint64_t key);
/* The same as an advertisement. */
void graphql_put_advertisement(struct answer *an, uint64_t key);

/* ---- cursors ---- */
struct place {
    uint32_t index;   /* where the page begins */
    uint16_t attempt; /* empty pages given at this place so far */
};
/* side: 'T'op or 'B'ottom. */
char *graphql_cursor_text(struct answer *an, uint64_t key, char side, struct place at);
bool graphql_cursor_parse(struct span text, uint64_t key, struct place *out);
void graphql_put_cursor_entry(struct answer *an, const char *type, const char *value);
bool graphql_page_is_empty(const struct spoil *spoil, const struct model *m, uint64_t key,
                           struct place at);
