/* jsonscan.h - a second, careful look at JSON text that the fast parser has refused.
 *
 * It says where the text breaks, and it mends two things that browsers accept and simdjson does
 * not: \u escapes of half a surrogate pair become \ufffd, and integers beyond 64 bits become
 * reals (123…90 → 123…e2: the digits that a double cannot hold are lost). Mending keeps the
 * length, so it happens in place. For json.cc only. */
#pragma once

#include "base/span.h"

enum { JSON_DEPTH_MOST = 64 };

/* E_BAD_SYNTAX or E_TOO_BIG (too deep) with the offset in words. E_OK: the text follows the
 * grammar now; *out_mends tells how many places were changed. */
MUST_USE err jsonscan_mend(char *text, size_t n, size_t *out_mends, struct fault *f);
