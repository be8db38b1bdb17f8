/* map_compile.h - a map file being read: what map_read.c (fields and roles) and map_paths.c (paths) share.
 * Private to these two. */
#pragma once

#include "extract/map.h"

struct compiler {
    struct form *form;
    struct map *map;
    const struct ynode *prefixes;
    struct map_counters *counters;
    struct html_paths *paths;
    struct span prefix; /* label so far: "author." */
    bool content;       /* inherited */
    int nest;
};

/* The child of this step, made when there is none. */
struct trie *map_trie_child(struct compiler *c, struct trie *parent, const struct trie *step);
/* Chains of members by hash where there are enough to be worth it, and what the walk asks for. */
void map_trie_finish(struct arena *a, struct trie *t);
/* The same path among the members that are known; `open`: "*" means that any member may come. */
void map_known_add(struct compiler *c, struct span path, struct trie **at, bool open);

/* Slots of a path or a list of paths, several for one that starts with a prefix; nothing for NULL. */
void map_path_all(struct compiler *c, const struct ynode *node, struct path_set *set);
/* Below a key, one text. */
void map_path_below(struct compiler *c, const struct ynode *map, const char *key, bool need,
                    struct path_set *set);
/* The XPath of a map for documents; record: what it finds is taken out of the document. */
void map_path_xpath(struct compiler *c, const struct ynode *node, struct span text, bool record,
                    struct path_set *set);
