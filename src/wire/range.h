/* range.h - parts of a file over HTTP (RFC 9110, section 14). Pure.
 *
 * Our side as a client: what an answer to "the rest from byte `have` on" means. As a server: which
 * part a client asks for. */
#pragma once

#include "base/span.h"

enum range_answer {
    RANGE_WHOLE, /* the file from its beginning: what is there is thrown away */
    RANGE_REST,  /* the file from byte `have` on */
    RANGE_READY, /* nothing is missing: `have` is the whole */
    RANGE_AGAIN, /* another file than ours, or another part: start over, without a range */
    RANGE_OTHER, /* no file at all: the status says what */
};
/* content_range: the header, may be empty. out_total: bytes of the whole file, −1 unknown. */
enum range_answer range_judge(int status, struct span content_range, int64_t have,
                              int64_t *out_total);

enum range_wish {
    RANGE_ALL,  /* no range, or one that is not understood: everything */
    RANGE_PART, /* *out_from and *out_count */
    RANGE_NONE, /* lies outside of the file: 416 */
};
/* "bytes=0-499", "bytes=500-", "bytes=-500"; several ranges read as RANGE_ALL. */
enum range_wish range_read(struct span header, int64_t size, int64_t *out_from,
                           int64_t *out_count);
