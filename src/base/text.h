/* text.h - UTF-8, HTML entities, terminal safety, suggestions. Pure. */
#pragma once

#include "base/span.h"

/* Decodes one code point at *at, moves it on. Invalid bytes give U+FFFD and move by one. */
uint32_t text_next(struct span s, size_t *at);
void text_add_code(struct buf *out, uint32_t code_point);
bool text_valid(struct span s); /* well-formed UTF-8 */
/* &amp; &lt; &gt; &quot; &#39; &#NNN; &#xHH; and the common named ones. */
void text_add_unescaped(struct buf *out, struct span s);
void text_add_escaped_html(struct buf *out, struct span s); /* & < > " ' */
/* For a terminal: C0/C1 controls, ESC, bidi overrides and zero-width characters become visible
 * symbols; newline and tab become a space. */
void text_add_printable(struct buf *out, struct span s);
/* Cut to at most `columns` code points with an ellipsis. Returns columns used. */
size_t text_add_cut(struct buf *out, struct span s, size_t columns);
void text_add_url_escaped(struct buf *out, struct span s); /* RFC 3986 unreserved kept */
MUST_USE bool text_add_url_unescaped(struct buf *out, struct span s);
/* The word of `words` (NULL-terminated) nearest to `wrong` within 2 edits (Damerau-Levenshtein,
 * optimal string alignment), or NULL. */
const char *text_nearest(struct span wrong, const char *const *words);
