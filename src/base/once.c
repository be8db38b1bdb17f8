#include "base/once.h"

#include "base/arena.h"

enum { ROOM_LEAST = 64, SEEDS = 2 };
static const uint64_t seeds[SEEDS] = {0x5eed, 0xd1b54a32d192ed03u};

static bool is_free(const uint64_t mark[SEEDS])
{
    return !mark[0] && !mark[1];
}

static size_t slot_of(const struct once *s, const uint64_t mark[SEEDS])
{
    size_t i = mark[0] & (s->room - 1);
    while (!is_free(s->marks[i]) && (s->marks[i][0] != mark[0] || s->marks[i][1] != mark[1]))
        i = (i + 1) & (s->room - 1);
    return i;
}

static void put(struct once *s, const uint64_t mark[SEEDS])
{
    size_t i = slot_of(s, mark);
    s->marks[i][0] = mark[0];
    s->marks[i][1] = mark[1];
}

static void grow(struct once *s)
{
    struct once bigger = *s;
    bigger.room = s->room ? 2 * s->room : ROOM_LEAST;
    bigger.marks = heap_get(bigger.room * sizeof *bigger.marks);
    for (size_t i = 0; i < s->room; i++)
        if (!is_free(s->marks[i]))
            put(&bigger, s->marks[i]);
    free(s->marks);
    *s = bigger;
}

bool once_add(struct once *s, const struct span *parts, size_t count)
{
    uint64_t mark[SEEDS] = {seeds[0], seeds[1]};
    for (size_t i = 0; i < count; i++)
        for (int k = 0; k < SEEDS; k++)
            mark[k] = span_hash(parts[i], mark[k] + parts[i].n);
    if (is_free(mark))
        mark[0] = 1;
    if (s->room && !is_free(s->marks[slot_of(s, mark)]))
        return false;
    if (s->count == s->max)
        return true;
    if (s->count + 1 > s->room / 4 * 3)
        grow(s);
    put(s, mark);
    s->count++;
    return true;
}

void once_free(struct once *s)
{
    free(s->marks);
    *s = ONCE(s->max);
}
