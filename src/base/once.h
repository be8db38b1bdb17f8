/* once.h - which of many things came before: a set of 128-bit digests of them, with an upper bound.
 *
 * Two things are taken for one with a chance of n²/2¹²⁹: never. When it is full nothing more is kept, and
 * what was not kept is new each time. */
#pragma once

#include "base/span.h"

struct once {
    uint64_t (*marks)[2];
    size_t count, room; /* room: a power of two */
    size_t max;         /* things that are kept */
};
#define ONCE(most) ((struct once){.max = (most)})

/* True when it is new. Of several parts. */
bool once_add(struct once *s, const struct span *parts, size_t count);
void once_free(struct once *s);
