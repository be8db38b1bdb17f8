/* merge.h - two readings of one post: do they agree on what does not change, and whose word counts where
 * they do not. Pure rules.
 *
 * Looked at is all that two sources can say and that stays as it was: MERGES. Not counts, which move; nor what a
 * site or its people may change later (pinned, sensitive, withheld, versions, a reader's note, votes of a poll, the
 * picture of a card); nor what is worked out of the rest or of one source's page (kind, URL, position). What a source
 * does not say contradicts nobody. */
#pragma once

#include "base/arena.h"
#include "base/json.h"

enum merge_rule {
    MERGE_EXACT, /* the same text */
    MERGE_WORDS, /* the same words, however they are laid out */
    MERGE_BODY, /* the same words, but for those whom a reply answers and for links at its end, which a page does
                     not show; of a text that is there and not cut */
    MERGE_HANDLE, /* the same but for letter case */
    MERGE_FILES,  /* of each file the same, in their order; where all of them were loaded */
    MERGE_NAMES,  /* as below, but for letter case */
    MERGE_SOME, /* one list has all of the other: a page does not show what stands at the end of a text that it
                     cuts, nor whom a reply answers */
};

/*  X(id, name, path, member of each element or NULL, rule) */
#define MERGES(X)                                                                              \
    X(MERGE_TEXT, "text", "text", NULL, MERGE_BODY)                                            \
    X(MERGE_CREATED_AT, "created_at", "created_at", NULL, MERGE_EXACT)                         \
    X(MERGE_AUTHOR, "author", "author.screen_name", NULL, MERGE_HANDLE)                        \
    X(MERGE_AUTHOR_ID, "author.id", "author.id", NULL, MERGE_EXACT)                            \
    X(MERGE_AUTHOR_NAME, "author.name", "author.name", NULL, MERGE_WORDS)                      \
    X(MERGE_MEDIA, "media", "media", "key", MERGE_FILES)                                       \
    X(MERGE_MEDIA_TYPE, "media.type", "media", "type", MERGE_FILES)                            \
    X(MERGE_MEDIA_ALT, "media.alt", "media", "alt", MERGE_FILES)                               \
    X(MERGE_MEDIA_WIDTH, "media.width", "media", "width", MERGE_FILES)                         \
    X(MERGE_MEDIA_HEIGHT, "media.height", "media", "height", MERGE_FILES)                      \
    X(MERGE_MEDIA_DURATION, "media.duration_ms", "media", "duration_ms", MERGE_FILES)          \
    X(MERGE_LANG, "lang", "lang", NULL, MERGE_EXACT)                                           \
    X(MERGE_LONG, "is_long", "is_long", NULL, MERGE_EXACT)                                     \
    X(MERGE_URLS, "urls", "urls", "expanded", MERGE_SOME)                                      \
    X(MERGE_HASHTAGS, "hashtags", "hashtags", "", MERGE_SOME)                                  \
    X(MERGE_CASHTAGS, "cashtags", "cashtags", "", MERGE_SOME)                                  \
    X(MERGE_MENTIONS, "mentions", "mentions", "screen_name", MERGE_NAMES)                      \
    X(MERGE_REPLY_TO, "reply_to.post_id", "reply_to.post_id", NULL, MERGE_EXACT)               \
    X(MERGE_REPLY_USER, "reply_to.user_id", "reply_to.user_id", NULL, MERGE_EXACT)             \
    X(MERGE_REPLY_NAME, "reply_to.screen_name", "reply_to.screen_name", NULL, MERGE_HANDLE)    \
    X(MERGE_QUOTE_OF, "quote_of", "quote_of", NULL, MERGE_EXACT)                               \
    X(MERGE_REPOST_OF, "repost_of", "repost_of", NULL, MERGE_EXACT)                            \
    X(MERGE_CONVERSATION, "conversation_id", "conversation_id", NULL, MERGE_EXACT)             \
    X(MERGE_THREAD, "thread_id", "thread_id", NULL, MERGE_EXACT)                               \
    X(MERGE_APP, "source_app", "source_app", NULL, MERGE_EXACT)                                \
    X(MERGE_CARD, "card.title", "card.title", NULL, MERGE_WORDS)                               \
    X(MERGE_POLL, "card.poll.options", "card.poll.options", "label", MERGE_WORDS)              \
    X(MERGE_ARTICLE, "article.id", "article.id", NULL, MERGE_EXACT)                            \
    X(MERGE_COMMUNITY, "community.id", "community.id", NULL, MERGE_EXACT)                      \
    X(MERGE_PLACE, "place.id", "place.id", NULL, MERGE_EXACT)

enum merge_field {
#define MERGE_ENUMERATE(id, name, path, member, rule) id,
    MERGES(MERGE_ENUMERATE)
#undef MERGE_ENUMERATE
        MERGE_FIELDS
};
const char *merge_field_name(enum merge_field f);

/* What one source says of a post. .p NULL: it does not say. */
struct merge_side {
    struct span source; /* of its provenance */
    struct span value[MERGE_FIELDS];
    bool truncated; /* the text is cut, and with it its links and names */
    bool pending;   /* not all of its files were loaded */
};
/* From a record; copies into the arena, cut to MERGE_VALUE_MAX bytes each. False when the arena is full. */
enum { MERGE_VALUE_MAX = 1024 };
bool merge_read(struct json record, struct arena *a, struct merge_side *out);

/* The page's own API before syndication, rendered elements, Nitter and oEmbed; unknown sources last. */
int merge_rank(struct span source);
/* Do both say something, and not the same, as the field's rule has it? */
bool merge_conflict(enum merge_field f, const struct merge_side *a, const struct merge_side *b);
/* Whose value is to be taken: 0 the first side's, 1 the second's. What is not said never wins; of texts
 * the longest whole one does; else the higher rank, and of equals the first. */
int merge_pick(enum merge_field f, const struct merge_side *a, const struct merge_side *b);
