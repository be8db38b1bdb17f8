/* charset.h - documents that are not written in UTF-8. Pure: no table is loaded from anywhere.
 *
 * What a document is written in is said by its first bytes (a byte order mark), by the header
 * Content-Type, or by its own first kilobyte (<?xml encoding=…?>, <meta charset=…>). Text that is
 * valid UTF-8 is UTF-8 whatever they say: no other encoding looks like it by chance. */
#pragma once

#include "base/span.h"

/* *out is the text in UTF-8: itself, or in room, whose failure is then the caller's to see. Without
 * a word on its encoding a text stays as it is. False: it is in an encoding that is not read here;
 * *out_name, a part of text or content_type, says which. */
MUST_USE bool charset_read(struct span text, struct span content_type, struct buf *room,
                           struct span *out, struct span *out_name);
