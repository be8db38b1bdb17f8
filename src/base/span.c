#include "base/span.h"

#include "base/need.h"

#include <stdio.h>
#include <stdlib.h>

struct span span_of(const char *text)
{
    return text ? (struct span){text, strlen(text)} : SPAN_NONE;
}

bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool span_is(struct span a, const char *text)
{
    return span_eq(a, span_of(text));
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

bool span_eq_nocase(struct span a, struct span b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

bool span_starts(struct span s, struct span prefix)
{
    return s.n >= prefix.n && span_eq(span_cut(s, 0, prefix.n), prefix);
}

bool span_ends(struct span s, struct span suffix)
{
    return s.n >= suffix.n && span_eq(span_cut(s, s.n - suffix.n, suffix.n), suffix);
}

struct span span_cut(struct span s, size_t from, size_t n)
{
    if (!s.p)
        return SPAN_NONE;
    if (from > s.n)
        from = s.n;
    if (n > s.n - from)
        n = s.n - from;
    return (struct span){s.p + from, n};
}

static bool is_white(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

size_t span_blank(struct span s)
{
    size_t n = 0;
    while (n < s.n && is_white(s.p[n]))
        n++;
    return n;
}

struct span span_trim(struct span s)
{
    s = span_cut(s, span_blank(s), s.n);
    while (s.n > 0 && is_white(s.p[s.n - 1]))
        s.n--;
    return s;
}

size_t span_find(struct span s, struct span needle)
{
    if (needle.n == 0)
        return 0;
    if (s.n < needle.n)
        return s.n;
    const char *hit = memmem(s.p, s.n, needle.p, needle.n);
    return hit ? (size_t)(hit - s.p) : s.n;
}

size_t span_find_char(struct span s, char c)
{
    const char *hit = s.n > 0 ? memchr(s.p, c, s.n) : NULL;
    return hit ? (size_t)(hit - s.p) : s.n;
}

bool span_next(struct span *rest, char sep, struct span *out_part)
{
    if (rest->n == 0)
        return false;
    size_t n = span_find_char(*rest, sep);
    *out_part = span_cut(*rest, 0, n);
    *rest = span_cut(*rest, n < rest->n ? n + 1 : n, SIZE_MAX);
    return true;
}

bool span_int(struct span s, int64_t *out_value)
{
    bool minus = s.n > 0 && s.p[0] == '-';
    size_t i = minus ? 1 : 0;
    if (i == s.n)
        return false;
    int64_t value = 0;
    for (; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        int digit = s.p[i] - '0';
        /* Counts downward for a negative number, so that INT64_MIN fits. */
        if (__builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, (int64_t)(minus ? -digit : digit), &value))
            return false;
    }
    *out_value = value;
    return true;
}

/* SipHash-1-3: keys come from outside, so nobody may be able to choose collisions. */

static uint64_t rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

uint64_t span_hash(struct span s, uint64_t seed)
{
    uint64_t key2 = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    uint64_t v[4] = {seed ^ UINT64_C(0x736f6d6570736575), key2 ^ UINT64_C(0x646f72616e646f6d),
                     seed ^ UINT64_C(0x6c7967656e657261), key2 ^ UINT64_C(0x7465646279746573)};
    size_t i = 0;
    for (; s.n - i >= 8; i += 8) {
        uint64_t word;
        memcpy(&word, s.p + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)s.n << 56;
    for (size_t shift = 0; i < s.n; i++, shift += 8)
        last |= (uint64_t)(unsigned char)s.p[i] << shift;
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int round = 0; round < 3; round++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

char *span_copy(struct span s, char *dst, size_t size)
{
    need(size > 0);
    size_t n = s.n < size ? s.n : size - 1;
    if (n > 0)
        memcpy(dst, s.p, n);
    dst[n] = '\0';
    return dst;
}

/* ---- buf ---- */

enum { BUF_FIRST = 64 }; /* smallest allocation: most short texts need only this one */

/* Makes the buffer able to hold n more bytes, or marks it failed. */
static bool buf_grow(struct buf *b, size_t n)
{
    if (b->failed)
        return false;
    if (n <= b->cap - b->n)
        return true;
    if (n > b->max || b->n > b->max - n) {
        b->failed = E_TOO_BIG;
        return false;
    }
    size_t least = b->n + n;
    size_t cap = b->cap < b->max / 2 ? b->cap * 2 : b->max;
    if (cap < BUF_FIRST)
        cap = BUF_FIRST < b->max ? BUF_FIRST : b->max;
    if (cap < least)
        cap = least;
    char *p = realloc(b->p, cap);
    if (!p) {
        b->failed = E_TOO_BIG;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

void buf_add(struct buf *b, struct span s)
{
    if (s.n == 0 || !buf_grow(b, s.n))
        return;
    memcpy(b->p + b->n, s.p, s.n);
    b->n += s.n;
}

void buf_add_char(struct buf *b, char c)
{
    if (buf_grow(b, 1))
        b->p[b->n++] = c;
}

void buf_add_text(struct buf *b, const char *text)
{
    buf_add(b, span_of(text));
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_vfmt(b, fmt, ap);
    va_end(ap);
}

void buf_vfmt(struct buf *b, const char *fmt, va_list ap)
{
    if (b->failed)
        return;
    char small[256];
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    need(n >= 0);
    size_t size = (size_t)n;
    if (size < sizeof small) {
        buf_add(b, (struct span){small, size});
    } else if (b->max - b->n < size) {
        b->failed = E_TOO_BIG;
    } else {
        /* vsnprintf ends with a NUL that the buffer may have no room for. */
        char *whole = malloc(size + 1);
        need(whole);
        vsnprintf(whole, size + 1, fmt, again);
        buf_add(b, (struct span){whole, size});
        free(whole);
    }
    va_end(again);
}

char *buf_room(struct buf *b, size_t n)
{
    return buf_grow(b, n) ? b->p + b->n : NULL;
}

void buf_drop(struct buf *b, size_t n)
{
    need(n <= b->n);
    if (n == 0)
        return;
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->failed = E_OK;
}

void buf_free(struct buf *b)
{
    free(b->p);
    *b = BUF(b->max);
}

struct span buf_span(const struct buf *b)
{
    return (struct span){b->p, b->n};
}

err buf_end(struct buf *b, struct span *out_text)
{
    if (b->failed)
        return b->failed;
    *out_text = buf_span(b);
    return E_OK;
}
