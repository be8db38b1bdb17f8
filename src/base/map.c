#include "base/map.h"

#include "base/arena.h"
#include "base/need.h"

enum { ROOM_LEAST = 16, SEED = 0x5eed };

static size_t slot_of_key(const struct map *m, struct span key, uint64_t hash)
{
    size_t i = hash & (m->room - 1);
    while (m->entries[i].value &&
           (m->entries[i].hash != hash || !span_eq(m->entries[i].key, key)))
        i = (i + 1) & (m->room - 1);
    return i;
}

void *map_find(const struct map *m, struct span key)
{
    if (!m->count)
        return NULL;
    return m->entries[slot_of_key(m, key, span_hash(key, SEED))].value;
}

static void resize(struct map *m, size_t room)
{
    struct map bigger = {.entries = heap_get(room * sizeof *bigger.entries), .room = room};
    map_each(m, e)
    {
        bigger.entries[slot_of_key(&bigger, e->key, e->hash)] = *e;
        bigger.count++;
    }
    free(m->entries);
    *m = bigger;
}

void map_add(struct map *m, struct span key, void *value)
{
    need(value);
    if (m->count + 1 > m->room / 4 * 3)
        resize(m, m->room ? 2 * m->room : ROOM_LEAST);
    uint64_t hash = span_hash(key, SEED);
    struct map_entry *e = &m->entries[slot_of_key(m, key, hash)];
    need(!e->value);
    *e = (struct map_entry){.key = key, .hash = hash, .value = value};
    m->count++;
}

/* The entries behind it move up, so that no search ends at a gap before its key. */
void map_remove(struct map *m, struct span key)
{
    if (!m->count)
        return;
    size_t mask = m->room - 1, gap = slot_of_key(m, key, span_hash(key, SEED));
    if (!m->entries[gap].value)
        return;
    for (size_t i = (gap + 1) & mask; m->entries[i].value; i = (i + 1) & mask) {
        size_t home = m->entries[i].hash & mask;
        if (((i - home) & mask) < ((i - gap) & mask))
            continue;
        m->entries[gap] = m->entries[i];
        gap = i;
    }
    m->entries[gap] = (struct map_entry){0};
    m->count--;
}

void map_free(struct map *m)
{
    free(m->entries);
    *m = (struct map){0};
}
