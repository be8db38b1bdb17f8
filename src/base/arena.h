/* arena.h - everything a job or a request allocates, released in one call.
 *
 * An arena has a limit: that is the memory quota of the job or request. Memory is zeroed. Reset
 * keeps the first block for the next job. Not thread-safe: one owner. */
#pragma once

#include "base/span.h"

struct arena;

struct arena *arena_new(size_t limit_bytes);
void arena_free(struct arena **a); /* NULL inside is fine; clears it */
void arena_reset(struct arena *a);

/* Zeroed, aligned for any type. NULL when the limit would be passed: for sizes the outside chose. */
void *arena_try(struct arena *a, size_t n);
/* The same, but never NULL: aborts past the limit. For sizes that we chose. */
void *arena_get(struct arena *a, size_t n);
#define arena_new_of(a, type) ((type *)arena_get((a), sizeof(type)))
/* Copies, NUL-terminated past the end; .p is NULL past the limit. */
struct span arena_keep(struct arena *a, struct span s);
/* The same as a C string; NULL past the limit. */
char *arena_text(struct arena *a, struct span s);
char *arena_fmt(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Heap for long-lived objects of sizes we chose: zeroed, aborts when there is no memory. */
void *heap_get(size_t n);
#define heap_new_of(type) ((type *)heap_get(sizeof(type)))
