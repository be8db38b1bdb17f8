/* order.h - a list that should go down and does not: which of its elements stand in the wrong place. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* out[i]: keys[i] has to go, so that the others never rise. As few as can be: one that was put above all the
 * others is one, and not all the others. */
void order_outcasts(const uint64_t *keys, size_t n, bool *out);
