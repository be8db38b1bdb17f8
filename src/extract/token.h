/* token.h - the {token} of a source's URL: the digits that a site computes from an id in its own scripts.
 * Pure. */
#pragma once

#include "base/span.h"

enum { TOKEN_MAX = 64 };

/* (id / 10^15) × π as a JavaScript Number prints it in base 36, without its point and zeros. False when
 * `id` is no number of at most 20 digits. */
bool token_of_id(struct span id, char out[TOKEN_MAX]);
