#include "base/yaml.h"

#include "base/need.h"

#include <yaml.h>

#include <stdlib.h>

enum {
    DEPTH_MOST = 32,
    NODES_MOST = 65536,
    TEXT_MOST = 4 * 1024 * 1024, /* libyaml needs several times that while it reads */
};

struct level {
    struct ynode *node;
    struct ynode **tail; /* where the next child is linked */
    struct ynode *key;   /* mapping: a child that has its key and waits for its value */
};

struct build {
    struct arena *arena;
    const char *file;
    struct fault *f;
    yaml_parser_t parser;
    struct level levels[DEPTH_MOST];
    int depth;
    struct ynode *root;
    size_t nodes;
    /* Keys seen so far, by mapping and text: finds duplicates without comparing them all. */
    struct ynode **seen;
    struct ynode **seen_in;
    size_t seen_size, seen_count;
};

static err refuse(struct build *b, err e, yaml_mark_t mark, const char *what)
{
    return fail(b->f, e, "%s:%zu:%zu: %s", b->file, mark.line + 1, mark.column + 1, what);
}

static err no_memory(struct build *b, yaml_mark_t mark)
{
    return refuse(b, E_TOO_BIG, mark, "file needs more memory than it may have");
}

static err scanner_refused(struct build *b)
{
    const yaml_parser_t *p = &b->parser;
    const char *problem = p->problem ? p->problem : "text could not be read";
    if (p->error == YAML_MEMORY_ERROR)
        return fail(b->f, E_NO_MEMORY, "%s: no memory", b->file);
    if (p->error == YAML_READER_ERROR) /* before there are lines: bytes that are not text */
        return refuse(b, E_BAD_SYNTAX, p->mark, problem);
    if (p->context)
        return fail(b->f, E_BAD_SYNTAX, "%s:%zu:%zu: %s, %s", b->file, p->problem_mark.line + 1,
                    p->problem_mark.column + 1, problem, p->context);
    return refuse(b, E_BAD_SYNTAX, p->problem_mark, problem);
}

/* ---- duplicate keys ---- */

static size_t seen_slot(const struct build *b, const struct ynode *map, struct span key)
{
    size_t mask = b->seen_size - 1;
    size_t i = (size_t)span_hash(key, (uint64_t)(uintptr_t)map) & mask;
    while (b->seen[i] && !(b->seen_in[i] == map && span_eq(b->seen[i]->key, key)))
        i = (i + 1) & mask;
    return i;
}

static void seen_grow(struct build *b)
{
    struct ynode **seen = b->seen, **seen_in = b->seen_in;
    size_t size = b->seen_size;
    b->seen_size = size ? size * 2 : 256;
    b->seen = heap_get(b->seen_size * sizeof(struct ynode *));
    b->seen_in = heap_get(b->seen_size * sizeof(struct ynode *));
    for (size_t i = 0; i < size; i++) {
        if (!seen[i])
            continue;
        size_t slot = seen_slot(b, seen_in[i], seen[i]->key);
        b->seen[slot] = seen[i];
        b->seen_in[slot] = seen_in[i];
    }
    free(seen);
    free(seen_in);
}

/* The node that has this key in this mapping already; NULL when it is new, now remembered. */
static const struct ynode *seen_add(struct build *b, struct ynode *map, struct ynode *node)
{
    if (b->seen_count * 2 >= b->seen_size)
        seen_grow(b);
    size_t slot = seen_slot(b, map, node->key);
    if (b->seen[slot])
        return b->seen[slot];
    b->seen[slot] = node;
    b->seen_in[slot] = map;
    b->seen_count++;
    return NULL;
}

/* ---- the tree ---- */

static err node_new(struct build *b, yaml_mark_t mark, struct ynode **out_node)
{
    if (++b->nodes > NODES_MOST)
        return refuse(b, E_TOO_BIG, mark, "file has too many nodes");
    struct ynode *node = arena_try(b->arena, sizeof(struct ynode));
    if (!node)
        return no_memory(b, mark);
    node->line = (int)mark.line + 1;
    node->column = (int)mark.column + 1;
    *out_node = node;
    return E_OK;
}

static void link_child(struct level *level, struct ynode *node)
{
    *level->tail = node;
    level->tail = &node->next;
    level->node->count++;
}

/* The node that the event fills: the value of a waiting key, an item of a list, or the root. */
static err place(struct build *b, yaml_mark_t mark, struct ynode **out_node)
{
    struct level *level = b->depth > 0 ? &b->levels[b->depth - 1] : NULL;
    if (level && level->node->kind == YNODE_MAP) {
        if (!level->key)
            return refuse(b, E_BAD_SYNTAX, mark, "a key must be plain text");
        *out_node = level->key;
        (*out_node)->line = (int)mark.line + 1;
        (*out_node)->column = (int)mark.column + 1;
        level->key = NULL;
        return E_OK;
    }
    err e = node_new(b, mark, out_node);
    if (e)
        return e;
    if (level)
        link_child(level, *out_node);
    else
        b->root = *out_node;
    return E_OK;
}

static err keep_text(struct build *b, const yaml_event_t *event, struct span *out_text)
{
    const char *value = (const char *)event->data.scalar.value;
    struct span text = arena_keep(b->arena, (struct span){value, event->data.scalar.length});
    if (!text.p)
        return no_memory(b, event->start_mark);
    *out_text = text;
    return E_OK;
}

static err on_key(struct build *b, struct level *level, const yaml_event_t *event)
{
    struct ynode *node;
    err e = node_new(b, event->start_mark, &node);
    if (e)
        return e;
    e = keep_text(b, event, &node->key);
    if (e)
        return e;
    node->key_line = node->line;
    node->key_column = node->column;
    const struct ynode *twin = seen_add(b, level->node, node);
    if (twin)
        return fail(b->f, E_BAD_SYNTAX, "%s:%d:%d: key '%.*s' was given before, in line %d",
                    b->file, node->key_line, node->key_column,
                    node->key.n < 64 ? (int)node->key.n : 64, node->key.p, twin->key_line);
    link_child(level, node);
    level->key = node;
    return E_OK;
}

static err on_scalar(struct build *b, const yaml_event_t *event)
{
    struct level *level = b->depth > 0 ? &b->levels[b->depth - 1] : NULL;
    if (event->data.scalar.anchor)
        return refuse(b, E_BAD_SYNTAX, event->start_mark, "anchors are not supported");
    if (event->data.scalar.tag)
        return refuse(b, E_BAD_SYNTAX, event->start_mark, "tags are not supported");
    if (level && level->node->kind == YNODE_MAP && !level->key)
        return on_key(b, level, event);
    struct ynode *node;
    err e = place(b, event->start_mark, &node);
    if (e)
        return e;
    node->kind = YNODE_TEXT;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return keep_text(b, event, &node->text);
}

static err on_open(struct build *b, const yaml_event_t *event, enum ynode_kind kind)
{
    bool map = kind == YNODE_MAP;
    if (map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor)
        return refuse(b, E_BAD_SYNTAX, event->start_mark, "anchors are not supported");
    if (map ? event->data.mapping_start.tag : event->data.sequence_start.tag)
        return refuse(b, E_BAD_SYNTAX, event->start_mark, "tags are not supported");
    if (b->depth == DEPTH_MOST)
        return refuse(b, E_TOO_BIG, event->start_mark, "nested deeper than 32 levels");
    struct ynode *node;
    err e = place(b, event->start_mark, &node);
    if (e)
        return e;
    node->kind = kind;
    b->levels[b->depth++] = (struct level){.node = node, .tail = &node->first};
    return E_OK;
}

static err on_event(struct build *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->root)
            return refuse(b, E_BAD_SYNTAX, event->start_mark, "a second document begins here");
        return E_OK;
    case YAML_ALIAS_EVENT:
        return refuse(b, E_BAD_SYNTAX, event->start_mark, "aliases are not supported");
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(b, event, YNODE_LIST);
    case YAML_MAPPING_START_EVENT:
        return on_open(b, event, YNODE_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        need(b->depth > 0);
        b->depth--;
        return E_OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return E_OK;
    }
    bug("libyaml has a new kind of event");
}

static err build_tree(struct build *b)
{
    for (bool more = true; more;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&b->parser, &event))
            return scanner_refused(b);
        err e = on_event(b, &event);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (e)
            return e;
    }
    if (b->root)
        return E_OK;
    err e = node_new(b, (yaml_mark_t){0}, &b->root);
    if (e == E_OK)
        b->root->kind = YNODE_MAP;
    return e;
}

err yaml_parse(struct arena *a, const char *file, struct span text, struct ynode **out_root,
               struct fault *f)
{
    struct build b = {.arena = a, .file = file, .f = f};
    if (text.n > TEXT_MOST)
        return fail(f, E_TOO_BIG, "%s: %zu bytes are over the limit of %d", file, text.n,
                    TEXT_MOST);
    need(yaml_parser_initialize(&b.parser));
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)(text.p ? text.p : ""),
                                 text.n);
    err e = build_tree(&b);
    yaml_parser_delete(&b.parser);
    free(b.seen);
    free(b.seen_in);
    if (e == E_OK)
        *out_root = b.root;
    return e;
}

struct ynode *ynode_find(const struct ynode *map, const char *key)
{
    if (!map || map->kind != YNODE_MAP)
        return NULL;
    for (struct ynode *node = map->first; node; node = node->next)
        if (span_is(node->key, key))
            return node;
    return NULL;
}
