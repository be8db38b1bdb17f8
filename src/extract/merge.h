/* merge.h - two readings of one post: do they agree on what does not change, and whose word counts where
 * they do not. Pure rules.
 *
 * Looked at are text, language, time, author, files, links, and which posts it answers, quotes, passes on and
 * belongs to. Counts move and are never in conflict; what a source does not say contradicts nobody. */
#pragma once

#include "base/arena.h"
#include "base/json.h"

enum merge_field {
    MERGE_TEXT,
    MERGE_CREATED_AT,
    MERGE_AUTHOR,
    MERGE_MEDIA, /* keys of the files, in order */
    MERGE_LANG,
    MERGE_URLS, /* where the links lead */
    MERGE_REPLY_TO,
    MERGE_QUOTE_OF,
    MERGE_REPOST_OF,
    MERGE_CONVERSATION,
    MERGE_FIELDS
};
const char *merge_field_name(enum merge_field f);

/* What one source says of a post. .p NULL: it does not say. */
struct merge_side {
    struct span source; /* of its provenance */
    struct span value[MERGE_FIELDS];
    bool truncated; /* the text is cut, and its links with it */
    bool pending;   /* not all of its files were loaded */
};
/* From a record; copies into the arena, cut to MERGE_VALUE_MAX bytes each. False when the arena is full. */
enum { MERGE_VALUE_MAX = 1024 };
bool merge_read(struct json record, struct arena *a, struct merge_side *out);

/* The page's own API before syndication, rendered elements, Nitter and oEmbed; unknown sources last. */
int merge_rank(struct span source);
/* Do both say something, and not the same? White space in texts, the names at the beginning of a reply,
 * letter case in handles and cut texts are no disagreement, nor are links of which one source leaves some out: a page does not show those at the end. */
bool merge_conflict(enum merge_field f, const struct merge_side *a, const struct merge_side *b);
/* Whose value is to be taken: 0 the first side's, 1 the second's. What is not said never wins; of texts
 * the longest whole one does; else the higher rank, and of equals the first. */
int merge_pick(enum merge_field f, const struct merge_side *a, const struct merge_side *b);
