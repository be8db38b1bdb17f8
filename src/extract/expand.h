/* expand.h - a text with its links put in: what a person sees, not what the wire carries. Pure.
 */
#pragma once

#include "base/json.h"

enum { EXPAND_LINKS_MAX = 128 };

struct expand_names {
    struct span url, expanded, indices; /* members of an element of `links` */
    struct span drop_url;               /* member of an element of `drops` */
    /* When `from` is there: elements of `links` say by bytes where they are (paths from, to), and an
     * element of their list `each` has `expanded`; what has none stays as it is. */
    const char *from, *to;
    struct span each;
    struct span every; /* beginning of the links that have to be in a list; may be empty */
};

/* Every link of `links` (elements {url, expanded, indices: [from, to]}) is replaced by its
 * expanded form; every link named in `drops` leaves the text; the rest is trimmed. Indices are
 * code points over the text as sent. escaped: the text is HTML-escaped and is decoded piece by
 * piece, after the cuts, so that indices stay true. Where indices do not fit the text, the link
 * is looked for by its words. Returns how many links of `every` no list explains; -1 when the text has none. */
int expand_text(struct buf *out, struct span text, bool escaped, struct json links,
                const struct json *drops, size_t drop_count, const struct expand_names *names);
