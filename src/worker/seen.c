/* seen.c - ids met in one attempt, each with a number. */
#include "worker/inside.h"

enum { SEEN_FIRST = 256 };

/* The place of the id: taken by it, or free for it. */
static struct seen_slot *place_of(const struct seen *s, struct span id)
{
    size_t at = (size_t)span_hash(id, 0) & (s->size - 1);
    while (s->slots[at].id.p && !span_eq(s->slots[at].id, id))
        at = (at + 1) & (s->size - 1);
    return &s->slots[at];
}

static void grow(struct seen *s, struct arena *a)
{
    struct seen bigger = {.size = s->size ? s->size * 2 : SEEN_FIRST, .used = s->used};
    bigger.slots = arena_get(a, bigger.size * sizeof *bigger.slots);
    for (size_t i = 0; i < s->size; i++) {
        if (s->slots[i].id.p)
            *place_of(&bigger, s->slots[i].id) = s->slots[i];
    }
    *s = bigger;
}

bool seen_add(struct seen *s, struct arena *a, struct span id, int64_t number)
{
    if (s->used * 2 >= s->size)
        grow(s, a);
    struct seen_slot *place = place_of(s, id);
    if (place->id.p)
        return false;
    *place = (struct seen_slot){arena_keep(a, id), number};
    s->used++;
    return true;
}

bool seen_find(const struct seen *s, struct span id, int64_t *out_number)
{
    const struct seen_slot *place = s->size ? place_of(s, id) : NULL;
    if (!place || !place->id.p)
        return false;
    *out_number = place->number;
    return true;
}
