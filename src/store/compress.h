/* compress.h - zstd frames of bodies that are kept. The only code that knows zstd. */
#pragma once

#include "base/span.h"

/* Appends one frame, with its size and a checksum in it. E_TOO_BIG when it does not fit into the buf. */
MUST_USE err compress_add(struct buf *out, struct span bytes);
/* Appends what a frame holds, at most `max` bytes: E_TOO_BIG above. E_BAD_SYNTAX: not a whole frame of
 * ours, or damaged. */
MUST_USE err compress_take(struct buf *out, struct span frame, size_t max);
