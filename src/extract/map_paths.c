/* map_paths.c - paths of a map file: into the tree that one walk of an object fills, or, for documents,
 * into XPaths; and the tree of members that are known. */
#include "extract/map_compile.h"

#include "extract/xpath.h"

enum { TRIE_HASH_FROM = 4, PATH_STEPS_MAX = 16 };

static bool same_step(const struct trie *t, const struct trie *step)
{
    return t->kind == step->kind && span_eq(t->name, step->name) && t->index == step->index &&
           span_eq(t->select_key, step->select_key);
}

struct trie *map_trie_child(struct compiler *c, struct trie *parent, const struct trie *step)
{
    struct trie **link = &parent->first;
    while (*link && !same_step(*link, step))
        link = &(*link)->next;
    if (*link)
        return *link;
    struct trie *t = arena_new_of(c->form->arena, struct trie);
    *t = *step;
    t->slot = -1;
    *link = t;
    parent->members += step->kind == STEP_MEMBER || step->kind == STEP_ANY;
    parent->elements += step->kind != STEP_MEMBER;
    parent->last |= step->kind == STEP_LAST;
    return t;
}

/* "[3]", "[key=word]" after a member; at is on '['. */
static bool bracket_step(struct compiler *c, const struct ynode *at_node, struct span path,
                         size_t *at, struct trie *out_step)
{
    struct span rest = span_cut(path, *at + 1, path.n);
    size_t end = span_find_char(rest, ']');
    struct span in = span_cut(rest, 0, end);
    size_t eq = span_find_char(in, '=');
    int64_t index = 0;
    *at += end + 2;
    if (end == rest.n) {
        form_wrong(c->form, at_node, "'[' without ']' in path '%.*s'", SP(path));
        return false;
    }
    if (span_is(in, "*")) {
        *out_step = (struct trie){.kind = STEP_ANY};
    } else if (span_is(in, "last")) {
        *out_step = (struct trie){.kind = STEP_LAST};
    } else if (eq < in.n) {
        *out_step = (struct trie){.kind = STEP_SELECT,
                                  .select_key = span_cut(in, 0, eq),
                                  .name = span_cut(in, eq + 1, in.n)};
    } else if (span_int(in, &index) && index >= 0 && index < MAP_LIST_MAX) {
        *out_step = (struct trie){.kind = STEP_INDEX, .index = (size_t)index};
    } else {
        form_wrong(c->form, at_node, "cannot read '[%.*s]' in path '%.*s'", SP(in), SP(path));
        return false;
    }
    return true;
}

static struct trie *add_steps(struct compiler *c, const struct ynode *node, struct trie *t,
                              struct span path)
{
    size_t at = 0;
    int steps = 0;
    while (at < path.n) {
        struct trie step = {0};
        if (++steps > PATH_STEPS_MAX) {
            form_wrong(c->form, node, "path has more than %d steps", PATH_STEPS_MAX);
            return NULL;
        }
        if (path.p[at] == '[') {
            if (!bracket_step(c, node, path, &at, &step))
                return NULL;
        } else {
            size_t start = at;
            while (at < path.n && path.p[at] != '.' && path.p[at] != '[')
                at++;
            step.name = span_cut(path, start, at - start);
            step.kind = span_is(step.name, "*") ? STEP_ANY : STEP_MEMBER;
            if (step.name.n == 0) {
                form_wrong(c->form, node, "empty step in path '%.*s'", SP(path));
                return NULL;
            }
            if (step.kind == STEP_ANY)
                step.name = SPAN_NONE;
        }
        t = map_trie_child(c, t, &step);
        if (at < path.n && path.p[at] == '.' && ++at == path.n) {
            form_wrong(c->form, node, "path '%.*s' ends in a dot", SP(path));
            return NULL;
        }
    }
    return t;
}

/* As far as it goes through members of objects; what lies in a list is not looked at. A "*" among what is
 * read is a second sign: what it finds under another name than ours is news all the same. */
void map_known_add(struct compiler *c, struct span path, struct trie **at, bool open)
{
    struct span part;
    for (struct span rest = path; *at && !(*at)->open && span_next(&rest, '.', &part);) {
        size_t bracket = span_find_char(part, '[');
        struct trie step = {.kind = STEP_MEMBER, .name = span_cut(part, 0, bracket)};
        if (span_is(part, "*")) {
            (*at)->open = open;
            *at = open ? *at : NULL;
            return;
        }
        *at = step.name.n ? map_trie_child(c, *at, &step) : *at;
        (*at)->open |= bracket < part.n;
    }
}

static short slot_of(struct compiler *c, const struct ynode *node, struct trie *t)
{
    if (t->slot >= 0)
        return (short)t->slot;
    if (c->map->slots >= MAP_SLOTS_MAX) {
        form_wrong(c->form, node, "more than %d different paths in one map", MAP_SLOTS_MAX);
        return -1;
    }
    t->slot = (int)c->map->slots++;
    return (short)t->slot;
}

/* ---- XPaths ---- */

/* One slot per different path: conditions that name a record's path see what the record found. */
void map_path_xpath(struct compiler *c, const struct ynode *node, struct span text, bool record,
                    struct path_set *set)
{
    struct map *m = c->map;
    size_t i = 0;
    while (i < m->slots && !span_eq(m->paths[i].text, text))
        i++;
    if (i == MAP_SLOTS_MAX || set->count >= FIELD_PATHS_MAX) {
        form_wrong(c->form, node, "more than %d paths here", (int)i);
        return;
    }
    if (i == m->slots) {
        const struct html_path *path = xpath_read(c->form, c->paths, c->prefixes, node, text);
        if (!path)
            return;
        m->paths[m->slots++] = (struct map_path){.text = text, .path = path};
    }
    m->paths[i].record = m->paths[i].record || record;
    set->slot[set->count++] = (short)i;
}

/* Slots of one path text: several when it starts with a prefix. "." is the object itself. */
static void add_path(struct compiler *c, const struct ynode *node, struct span path,
                     struct path_set *set)
{
    struct span starts_buf = SPAN_NONE;
    const struct span *starts = &starts_buf;
    size_t count = 1;
    if (c->map->locator == MAP_HTML) {
        map_path_xpath(c, node, path, false, set);
        return;
    }
    if (span_is(path, "."))
        path = SPAN_NONE;
    if (path.n && path.p[0] == '@') {
        size_t end = 1;
        while (end < path.n && path.p[end] != '.' && path.p[end] != '[')
            end++;
        struct span name = span_cut(path, 1, end - 1);
        char key[64];
        const struct ynode *p =
            c->prefixes ? ynode_find(c->prefixes, span_copy(name, key, sizeof key)) : NULL;
        if (!p) {
            form_no_key(c->form, node, "prefix", name, "in this map", c->prefixes);
            return;
        }
        count = form_texts_of(c->form, p, &starts);
        path = span_cut(path, end < path.n && path.p[end] == '.' ? end + 1 : end, path.n);
    }
    for (size_t i = 0; i < count && !c->form->failed; i++) {
        struct trie *t = add_steps(c, node, &c->map->root, starts[i]);
        t = t ? add_steps(c, node, t, path) : NULL;
        if (!t)
            return;
        struct trie *known = c->map->known;
        map_known_add(c, starts[i], &known, false);
        map_known_add(c, path, &known, false);
        if (set->count >= FIELD_PATHS_MAX) {
            form_wrong(c->form, node, "more than %d paths here", FIELD_PATHS_MAX);
            return;
        }
        set->slot[set->count++] = slot_of(c, node, t);
    }
}

void map_path_all(struct compiler *c, const struct ynode *node, struct path_set *set)
{
    if (!node || c->form->failed)
        return;
    if (node->kind == YNODE_TEXT) {
        add_path(c, node, node->text, set);
        return;
    }
    if (node->kind == YNODE_MAP) {
        form_wrong(c->form, node, "has to be a path or a list of paths");
        return;
    }
    for (const struct ynode *n = node->first; n; n = n->next) {
        if (n->kind == YNODE_TEXT)
            add_path(c, n, n->text, set);
        else
            form_wrong(c->form, n, "has to be a path");
    }
}

void map_path_below(struct compiler *c, const struct ynode *map, const char *key, bool need,
                    struct path_set *set)
{
    const struct ynode *n = c->form->failed ? NULL : ynode_find(map, key);
    if (n && n->kind == YNODE_TEXT)
        add_path(c, n, n->text, set);
    else if (need || n)
        form_wrong(c->form, n ? n : map, "'%s' has to be one path", key);
}

/* Depth is PATH_STEPS_MAX * 2. */
void map_trie_finish(struct arena *a, struct trie *t)
{
    struct trie **other = &t->others;
    for (struct trie *k = t->first; k; k = k->next)
        if (k->kind == STEP_ANY || k->kind == STEP_SELECT) {
            *other = k;
            other = &k->next_other;
        }
    if (t->members >= TRIE_HASH_FROM) {
        t->by_hash = arena_get(a, TRIE_BUCKETS * sizeof *t->by_hash);
        for (struct trie *k = t->first; k; k = k->next) {
            if (k->kind != STEP_MEMBER)
                continue;
            unsigned h = trie_hash(k->name);
            k->hash_next = t->by_hash[h];
            t->by_hash[h] = k;
        }
    }
    for (struct trie *k = t->first; k; k = k->next)
        map_trie_finish(a, k);
}
