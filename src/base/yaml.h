/* yaml.h - configuration and site packs as a tree that knows its lines.
 *
 * libyaml reads, this keeps a tree in an arena: scalars, lists, mappings in file order, each with
 * line and column for messages. Aliases, tags and duplicate keys are refused; depth 32, 65 536
 * nodes. All scalars are text; whoever reads decides the type. */
#pragma once

#include "base/arena.h"

enum ynode_kind { YNODE_TEXT, YNODE_LIST, YNODE_MAP };

struct ynode {
    enum ynode_kind kind;
    int line, column; /* from 1 */
    bool quoted;      /* text was quoted: "null" and "true" are then plain text */
    struct span key;  /* inside a mapping: its key */
    int key_line, key_column;
    struct span text;    /* YNODE_TEXT */
    struct ynode *first; /* children */
    struct ynode *next;  /* sibling */
    size_t count;        /* children */
};

/* file is for messages: "site.yaml:12:5: …". E_BAD_SYNTAX, E_TOO_BIG. Empty text gives an empty map. */
MUST_USE err yaml_parse(struct arena *a, const char *file, struct span text,
                        struct ynode **out_root, struct fault *f);
struct ynode *ynode_find(const struct ynode *map, const char *key); /* NULL when not there */
