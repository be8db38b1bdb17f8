/* map.h - objects by name: a hash table with open addressing.
 *
 * Keys are borrowed: they live as long as their entry, usually inside the object. Values are never
 * NULL. Not ordered: nothing may depend on the order of map_each. */
#pragma once

#include "base/span.h"

struct map_entry {
    struct span key;
    uint64_t hash;
    void *value; /* NULL: free */
};
struct map {
    struct map_entry *entries;
    size_t count, room; /* room: a power of two */
};

void *map_find(const struct map *m, struct span key);      /* NULL: not there */
void map_add(struct map *m, struct span key, void *value); /* the key is not there yet */
void map_remove(struct map *m, struct span key);           /* fine when it is not there */
void map_free(struct map *m);
/* Nothing may be added or removed meanwhile. */
#define map_each(m, entry)                                                                     \
    for (struct map_entry *entry = (m)->entries; entry && entry < (m)->entries + (m)->room;    \
         entry++)                                                                              \
        if (entry->value)
