/* news.h - members of a site's objects that no map knows: the first thing that shows when a site changes
 * its answers. A bounded set of names, each with how often it was seen.
 *
 * What a map knows is what it reads and what its `known` lists. Looked at are the objects that the map's
 * paths lead through, not the elements of lists and not what `known` ends in ".*" for. */
#pragma once

#include "base/json.h"

enum { NEWS_MAX = 64, NEWS_NAME = 96 };

struct news {
    struct {
        char name[NEWS_NAME]; /* "post.legacy.mood" */
        uint64_t count, told;
    } row[NEWS_MAX];
    size_t count;
};

/* Something else that nobody knows, as "WHERE.WORD"; letters that no name has are left out. */
void news_note(struct news *n, struct span where, struct span word);

struct map;
/* The object of one record, without what is around it. True: it has such members. */
bool news_look(struct news *n, const struct map *m, struct json object);
