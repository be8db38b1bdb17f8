#include "base/arena.h"

#include "base/need.h"

#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONS 1
#endif
#endif

#ifdef ARENA_POISONS
#include <sanitizer/asan_interface.h>
enum { GAP = 16 }; /* a poisoned gap after each piece: writing past its end is found at once */
#define CLOSE_MEMORY(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define OPEN_MEMORY(p, n)  ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
enum { GAP = 0 };
#define CLOSE_MEMORY(p, n) ((void)(p), (void)(n))
#define OPEN_MEMORY(p, n)  ((void)(p), (void)(n))
#endif

enum {
    ALIGN = _Alignof(max_align_t),
    BLOCK_FIRST = 16 * 1024,  /* most requests fit here */
    BLOCK_MOST = 1024 * 1024, /* blocks double up to this */
};

struct block {
    struct block *next;
    size_t size, used;
    _Alignas(max_align_t) char bytes[];
};

struct arena {
    size_t limit, used;
    struct block *first; /* kept by reset */
    struct block *now;   /* small pieces are cut from this one */
    struct block *more;  /* all others, newest first */
    size_t next_size;
};

void *heap_get(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    need(p);
    return p;
}

struct arena *arena_new(size_t limit_bytes)
{
    struct arena *a = heap_new_of(struct arena);
    a->limit = limit_bytes;
    a->next_size = BLOCK_FIRST;
    return a;
}

static void block_free(struct block *b)
{
    OPEN_MEMORY(b->bytes, b->size);
    free(b);
}

static void free_more(struct arena *a)
{
    while (a->more) {
        struct block *b = a->more;
        a->more = b->next;
        block_free(b);
    }
}

void arena_free(struct arena **a)
{
    if (!*a)
        return;
    free_more(*a);
    if ((*a)->first)
        block_free((*a)->first);
    free(*a);
    *a = NULL;
}

void arena_reset(struct arena *a)
{
    free_more(a);
    a->used = 0;
    a->next_size = BLOCK_FIRST;
    a->now = a->first;
    if (!a->first)
        return;
    OPEN_MEMORY(a->first->bytes, a->first->size);
    memset(a->first->bytes, 0, a->first->used);
    a->first->used = 0;
    CLOSE_MEMORY(a->first->bytes, a->first->size);
}

static struct block *block_new(size_t size)
{
    struct block *b = calloc(1, sizeof(struct block) + size);
    if (!b)
        return NULL;
    b->size = size;
    CLOSE_MEMORY(b->bytes, b->size);
    return b;
}

/* A block with room for `size` bytes. A large piece gets a block of its own, so that the rest
 * of the current one is not lost. */
static struct block *block_for(struct arena *a, size_t size)
{
    if (a->now && a->now->size - a->now->used >= size)
        return a->now;
    bool large = size > a->next_size / 4;
    struct block *b = block_new(large ? size : a->next_size);
    if (!b)
        return NULL;
    if (!large && !a->first) {
        a->first = b;
    } else {
        b->next = a->more;
        a->more = b;
    }
    if (!large) {
        a->now = b;
        a->next_size = a->next_size < BLOCK_MOST ? a->next_size * 2 : BLOCK_MOST;
    }
    return b;
}

void *arena_try(struct arena *a, size_t n)
{
    if (n > a->limit)
        return NULL;
    size_t size = (n + ALIGN - 1) / ALIGN * ALIGN;
    if (size == 0)
        size = ALIGN;
    if (a->limit - a->used < size)
        return NULL;
    struct block *b = block_for(a, size + GAP);
    if (!b)
        return NULL;
    char *p = b->bytes + b->used;
    b->used += size + GAP;
    a->used += size;
    OPEN_MEMORY(p, n);
    return p;
}

void *arena_get(struct arena *a, size_t n)
{
    void *p = arena_try(a, n);
    need(p);
    return p;
}

char *arena_text(struct arena *a, struct span s)
{
    if (s.n == SIZE_MAX)
        return NULL;
    char *p = arena_try(a, s.n + 1);
    if (p && s.n > 0)
        memcpy(p, s.p, s.n);
    return p;
}

struct span arena_keep(struct arena *a, struct span s)
{
    char *p = arena_text(a, s);
    return p ? (struct span){p, s.n} : SPAN_NONE;
}

char *arena_fmt(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    need(n >= 0);
    char *p = arena_try(a, (size_t)n + 1);
    if (p)
        vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(ap);
    return p;
}
