/* span.h - borrowed bytes and owned buffers.
 *
 * struct span borrows, never owns, is never NUL-terminated and travels by value. struct buf owns,
 * grows, and never passes the maximum it was born with: the first failed append sticks, later ones
 * do nothing, buf_end() reports once. So building a reply is straight lines with one check. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h> /* this and stdlib.h: they declare names that are poisoned below */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

struct span {
    const char *p;
    size_t n;
};
#define SPAN(lit) ((struct span){"" lit, sizeof(lit) - 1})
#define SPAN_NONE ((struct span){NULL, 0})
#define SP(s)     (int)(s).n, (s).p /* for "%.*s" */

struct span span_of(const char *text); /* of a C string; NULL gives an empty span */
bool span_eq(struct span a, struct span b);
bool span_is(struct span a, const char *text);
bool span_eq_nocase(struct span a, struct span b); /* ASCII only */
bool span_starts(struct span s, struct span prefix);
bool span_ends(struct span s, struct span suffix);
struct span span_cut(struct span s, size_t from, size_t n); /* clamps to s */
size_t span_blank(struct span s);     /* bytes of ASCII white space at its beginning */
struct span span_trim(struct span s); /* without them, and those at its end */
/* Offset of the first needle in s, or s.n when there is none. */
size_t span_find(struct span s, struct span needle);
size_t span_find_char(struct span s, char c);
/* Takes the part before the first `sep` out of *rest; false when *rest was empty. */
bool span_next(struct span *rest, char sep, struct span *out_part);
/* Whole span as a decimal integer; false on anything else or overflow. */
bool span_int(struct span s, int64_t *out_value);
uint64_t span_hash(struct span s, uint64_t seed);
/* Copies into a C string of `size` bytes, cut to fit, always terminated. Returns dst. */
char *span_copy(struct span s, char *dst, size_t size);

struct buf {
    char *p;
    size_t n, cap, max;
    err failed; /* E_OK or E_TOO_BIG */
};
#define BUF(limit) ((struct buf){.max = (limit)})

void buf_add(struct buf *b, struct span s);
void buf_add_char(struct buf *b, char c);
void buf_add_text(struct buf *b, const char *text);
void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vfmt(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Room for n more bytes to be written by the caller, who then adds to b->n; NULL past the max. */
char *buf_room(struct buf *b, size_t n);
void buf_drop(struct buf *b, size_t n); /* forget the first n bytes */
void buf_clear(struct buf *b);          /* empty, keeps memory, forgets the failure */
void buf_free(struct buf *b);           /* gives memory back; the max stays */
struct span buf_span(const struct buf *b);
/* The text so far, or E_TOO_BIG when an append failed. out_text borrows from b. */
MUST_USE err buf_end(struct buf *b, struct span *out_text);

/* Some of these are macros of the C library, and a macro cannot be poisoned. */
#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#undef strncpy
#undef alloca
#pragma GCC poison strcpy strcat sprintf vsprintf strncpy strtok atoi gets alloca
