/* limits.h - calls per operation and client in a window, as the site counts them. Thread-safe.
 */
#pragma once

#include "base/span.h"
#include "base/when.h"

struct limits;

/* calls == 0: nothing is ever refused. LIMITS_OF_SITE: as many as the real one allows for each operation. */
enum { LIMITS_OF_SITE = -1 };
struct limits *limits_new(int64_t calls, int64_t window_s);
void limits_free(struct limits **l);

struct limit_state {
    int64_t limit, remaining;
    int64_t reset_s; /* Unix time */
};
/* Counts one call under `key`; false when it was one too many. */
bool limits_take(struct limits *l, struct span op, uint64_t key, wall now,
                 struct limit_state *out_state);
