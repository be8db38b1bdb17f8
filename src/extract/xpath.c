#include "extract/xpath.h"

#include <stdio.h>

enum { PREFIX_NAME_MAX = 48, SHOWN_MAX = 60, WHY_BYTES = 128, PREFIX_TURNS = 3 };

/* {name} becomes the prefix's text. False when there is no such prefix. */
static bool add_filled(struct form *f, const struct ynode *prefixes, const struct ynode *at,
                       struct span path, struct buf *out)
{
    while (path.n) {
        size_t open = span_find_char(path, '{');
        buf_add(out, span_cut(path, 0, open));
        if (open == path.n)
            break;
        path = span_cut(path, open + 1, path.n);
        size_t close = span_find_char(path, '}');
        struct span name = span_cut(path, 0, close);
        char key[PREFIX_NAME_MAX];
        const struct ynode *p =
            prefixes ? ynode_find(prefixes, span_copy(name, key, sizeof key)) : NULL;
        if (close == path.n || !p || p->kind != YNODE_TEXT) {
            form_no_key(f, at, "prefix", name, "in this file", prefixes);
            return false;
        }
        buf_add(out, p->text);
        path = span_cut(path, close + 1, path.n);
    }
    return true;
}

const struct html_path *xpath_read(struct form *f, struct html_paths *set,
                                   const struct ynode *prefixes, const struct ynode *at,
                                   struct span text)
{
    char why[WHY_BYTES];
    struct buf b = BUF(HTML_PATH_MAX), again = BUF(HTML_PATH_MAX);
    const struct html_path *path = NULL;
    if (f->failed || !add_filled(f, prefixes, at, text, &b))
        goto out;
    /* Prefixes may name others. */
    for (int turn = 0; turn < PREFIX_TURNS && span_find_char(buf_span(&b), '{') < b.n; turn++) {
        buf_clear(&again);
        if (!add_filled(f, prefixes, at, buf_span(&b), &again))
            goto out;
        struct buf other = b;
        b = again;
        again = other;
    }
    if (b.failed)
        form_wrong(f, at, "the path is longer than %d bytes", HTML_PATH_MAX);
    else if (!html_path_read(f->arena, set, buf_span(&b), &path, why, sizeof why))
        form_wrong(f, at, "XPath '%.*s': %s", (int)(b.n > SHOWN_MAX ? SHOWN_MAX : b.n),
                   b.p ? b.p : "", why);
out:
    buf_free(&b);
    buf_free(&again);
    return path;
}

const struct html_path *xpath_member(struct form *f, struct html_paths *set,
                                     const struct ynode *prefixes, const struct ynode *map,
                                     const char *key, bool need)
{
    struct span text = form_text(f, map, key, need);
    if (f->failed || !text.p)
        return NULL;
    return xpath_read(f, set, prefixes, ynode_find(map, key), text);
}
