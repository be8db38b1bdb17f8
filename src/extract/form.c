#include "extract/form.h"

#include "base/text.h"

#include <stdio.h>

err form_wrong(struct form *f, const struct ynode *at, const char *fmt, ...)
{
    if (f->failed)
        return f->failed;
    f->failed = E_CONFIG;
    char words[192];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    return fail(f->fault, E_CONFIG, "%s:%d:%d: %s", f->file, at ? at->line : 1,
                at ? at->column : 1, words);
}

static err wrong_key(struct form *f, const struct ynode *n, const char *where,
                     const char *const *known)
{
    struct ynode at = *n;
    at.line = n->key_line;
    at.column = n->key_column;
    const char *near = text_nearest(n->key, known);
    if (near)
        return form_wrong(f, &at, "unknown key '%.*s' in %s; did you mean '%s'?",
                          (int)(n->key.n > 60 ? 60 : n->key.n), n->key.p, where, near);
    return form_wrong(f, &at, "unknown key '%.*s' in %s", (int)(n->key.n > 60 ? 60 : n->key.n),
                      n->key.p, where);
}

bool form_keys(struct form *f, const struct ynode *map, const char *where,
               const char *const *known)
{
    if (f->failed)
        return false;
    if (!map || map->kind != YNODE_MAP) {
        form_wrong(f, map, "%s has to be a mapping (key: value)", where);
        return false;
    }
    for (const struct ynode *n = map->first; n; n = n->next) {
        bool found = false;
        for (const char *const *k = known; *k && !found; k++)
            found = span_is(n->key, *k);
        if (!found) {
            wrong_key(f, n, where, known);
            return false;
        }
    }
    return true;
}

static struct ynode *member(struct form *f, const struct ynode *map, const char *key, bool need)
{
    if (f->failed || !map)
        return NULL;
    struct ynode *n = map->kind == YNODE_MAP ? ynode_find(map, key) : NULL;
    if (!n && need)
        form_wrong(f, map, "'%s' is missing here", key);
    return n;
}

struct span form_text(struct form *f, const struct ynode *map, const char *key, bool need)
{
    const struct ynode *n = member(f, map, key, need);
    if (!n)
        return SPAN_NONE;
    if (n->kind != YNODE_TEXT) {
        form_wrong(f, n, "'%s' has to be text", key);
        return SPAN_NONE;
    }
    return n->text;
}

bool form_bool(struct form *f, const struct ynode *map, const char *key, bool otherwise)
{
    const struct ynode *n = member(f, map, key, false);
    if (!n)
        return otherwise;
    if (n->kind == YNODE_TEXT && span_is(n->text, "true"))
        return true;
    if (n->kind != YNODE_TEXT || !span_is(n->text, "false"))
        form_wrong(f, n, "'%s' has to be true or false", key);
    return false;
}

int64_t form_int(struct form *f, const struct ynode *map, const char *key, int64_t otherwise,
                 int64_t least, int64_t most)
{
    const struct ynode *n = member(f, map, key, false);
    if (!n)
        return otherwise;
    int64_t v = 0;
    if (n->kind != YNODE_TEXT || !span_int(n->text, &v) || v < least || v > most) {
        form_wrong(f, n, "'%s' has to be a whole number from %lld to %lld", key,
                   (long long)least, (long long)most);
        return otherwise;
    }
    return v;
}

size_t form_texts_of(struct form *f, const struct ynode *node, const struct span **out_list)
{
    *out_list = NULL;
    if (f->failed || !node)
        return 0;
    if (node->kind == YNODE_MAP || node->count > FORM_LIST_MAX) {
        form_wrong(f, node, "has to be a text or a list of at most %d texts", FORM_LIST_MAX);
        return 0;
    }
    size_t n = node->kind == YNODE_TEXT ? 1 : node->count;
    struct span *list = arena_get(f->arena, (n ? n : 1) * sizeof *list);
    if (node->kind == YNODE_TEXT) {
        list[0] = node->text;
    } else {
        size_t i = 0;
        for (const struct ynode *c = node->first; c; c = c->next) {
            if (c->kind != YNODE_TEXT) {
                form_wrong(f, c, "has to be text");
                return 0;
            }
            list[i++] = c->text;
        }
    }
    *out_list = list;
    return n;
}

size_t form_texts(struct form *f, const struct ynode *map, const char *key, bool need,
                  const struct span **out_list)
{
    *out_list = NULL;
    return form_texts_of(f, member(f, map, key, need), out_list);
}

static struct ynode *child(struct form *f, const struct ynode *map, const char *key, bool need,
                           enum ynode_kind kind)
{
    struct ynode *n = member(f, map, key, need);
    if (!n || n->kind == kind)
        return n;
    form_wrong(f, n, "'%s' has to be a %s", key,
               kind == YNODE_MAP ? "mapping (key: value)" : "list (- item)");
    return NULL;
}

struct ynode *form_map(struct form *f, const struct ynode *map, const char *key, bool need)
{
    return child(f, map, key, need, YNODE_MAP);
}

struct ynode *form_list(struct form *f, const struct ynode *map, const char *key, bool need)
{
    return child(f, map, key, need, YNODE_LIST);
}

int form_word(struct form *f, const struct ynode *node, const char *what,
              const char *const *words)
{
    if (f->failed || !node)
        return -1;
    if (node->kind != YNODE_TEXT) {
        form_wrong(f, node, "%s has to be text", what);
        return -1;
    }
    for (int i = 0; words[i]; i++)
        if (span_is(node->text, words[i]))
            return i;
    const char *near = text_nearest(node->text, words);
    int n = (int)(node->text.n > 60 ? 60 : node->text.n);
    if (near)
        form_wrong(f, node, "unknown %s '%.*s'; did you mean '%s'?", what, n, node->text.p,
                   near);
    else
        form_wrong(f, node, "unknown %s '%.*s'", what, n, node->text.p);
    return -1;
}

void form_nothing(struct form *f, const struct ynode *at, const char *what, struct span name,
                  const char *where, const char *const *names)
{
    const char *near = text_nearest(name, names);
    if (near)
        form_wrong(f, at, "there is no %s '%.*s' %s; did you mean '%s'?", what, SP(name), where,
                   near);
    else
        form_wrong(f, at, "there is no %s '%.*s' %s", what, SP(name), where);
}

void form_no_key(struct form *f, const struct ynode *at, const char *what, struct span name,
                 const char *where, const struct ynode *keys)
{
    const char **names = arena_get(f->arena, ((keys ? keys->count : 0) + 1) * sizeof *names);
    size_t n = 0;
    for (const struct ynode *k = keys ? keys->first : NULL; k; k = k->next)
        names[n++] = arena_text(f->arena, k->key);
    form_nothing(f, at, what, name, where, names);
}
