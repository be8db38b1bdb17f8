/* include.c - kinds of posts that a list leaves out by itself, and how they are asked for. */
#include "extract/include.h"

#include "extract/site.h"

enum { WORDS_MAX = 512 }; /* of a search, as sites take it */

static void read_one(struct form *f, const struct ynode *n, struct inclusion *out)
{
    static const char *const keys[] = {"target", "words", "url", NULL};
    if (n->kind != YNODE_MAP) {
        form_wrong(
            f, n,
            "a kind of posts is {target: NAME}, {words: TEXT}, or {} where it is there anyway");
        return;
    }
    if (!form_keys(f, n, "a kind of posts", keys))
        return;
    out->known = true;
    out->target = form_text(f, n, "target", false);
    out->words = form_text(f, n, "words", false);
    out->url = form_text(f, n, "url", false);
}

void target_read_inclusions(struct form *f, const struct ynode *n, struct target *t)
{
    const struct ynode *map = form_map(f, n, "include", false);
    for (const struct ynode *k = map ? map->first : NULL; k && !f->failed; k = k->next) {
        struct ynode name = {
            .kind = YNODE_TEXT, .text = k->key, .line = k->line, .column = k->column};
        int kind = form_word(f, &name, "kind of posts", exclude_names);
        if (kind >= 0)
            read_one(f, k, &t->inclusions[kind]);
    }
}

void target_link_inclusions(struct form *f, const struct ynode *n, const struct pack *p,
                            const struct target *t)
{
    const struct ynode *at = form_map(f, n, "include", false);
    for (int i = 0; exclude_names[i] && !f->failed; i++) {
        const struct target *other = NULL;
        struct fault why = {0};
        struct span name = t->inclusions[i].target;
        if (name.n && pack_find_target(p, name, &other, &why))
            form_wrong(f, at, "%s", why.words);
        else if (name.n && other->input != t->input)
            form_wrong(f, at, "target '%.*s' is typed in another way", SP(name));
    }
}

/* ---- asking ---- */

/* The target that shows this kind as well, the same one or another; its words follow. */
static const struct inclusion *inclusion_of(const struct target *t, int kind, struct fault *f,
                                            err *out_error)
{
    const struct inclusion *i = &t->inclusions[kind];
    if (!i->known)
        *out_error = fail(f, E_BAD_INPUT, "%.*s has no %s to bring in", SP(t->kind),
                          exclude_names[kind]);
    return i;
}

err pack_include(const struct pack *p, struct span kind, struct span canonical, unsigned kinds,
                 struct arena *a, struct include_way *out, struct fault *f)
{
    const struct target *t = NULL;
    struct include_way way = {.kind = kind, .words = SPAN("")};
    err e = pack_find_target(p, kind, &t, f);
    for (int i = 0; !e && exclude_names[i]; i++) {
        if (!(kinds & 1u << i))
            continue;
        const struct inclusion *in = inclusion_of(t, i, f, &e);
        if (in->target.n)
            way.kind = in->target;
        if (in->url.n)
            way.url = in->url;
        if (in->words.n)
            way.words = span_of(arena_fmt(a, "%.*s %.*s", SP(way.words), SP(in->words)));
    }
    if (!e && way.words.n && canonical.n + way.words.n > WORDS_MAX)
        e = fail(f, E_BAD_INPUT, "with the words that bring it in the search is too long");
    *out = way;
    return e;
}
