#include "extract/merge.h"

#include <string.h>

const char *merge_field_name(enum merge_field f)
{
    static const char *const names[MERGE_FIELDS] = {
        [MERGE_TEXT] = "text",
        [MERGE_CREATED_AT] = "created_at",
        [MERGE_AUTHOR] = "author",
        [MERGE_MEDIA] = "media",
    };
    return f < MERGE_FIELDS ? names[f] : "";
}

int merge_rank(struct span source)
{
    static const char *const ranks[] = {"graphql",     "syndication", "dom",
                                        "nitter_html", "nitter_rss",  "oembed"};
    int count = (int)(sizeof ranks / sizeof ranks[0]);
    int i = 0;
    while (i < count && !span_is(source, ranks[i]))
        i++;
    return i;
}

/* ---- reading ---- */

static bool keep(struct arena *a, struct span s, struct span *out)
{
    if (!s.p)
        return true;
    *out = arena_keep(a, span_cut(s, 0, MERGE_VALUE_MAX));
    return out->p != NULL;
}

static struct span text_at(struct json v, const char *path)
{
    struct span s = SPAN_NONE;
    json_text(json_path(v, path), &s);
    return s;
}

/* The files' keys in their order; nothing when one of them has none: the source names them otherwise. */
static bool keys_of(struct json media, struct buf *out)
{
    for (struct json_iter i = json_each(media); json_next(&i);) {
        struct span key = text_at(i.value, "key");
        if (!key.n)
            return false;
        if (out->n)
            buf_add_char(out, ' ');
        buf_add(out, key);
    }
    return out->n > 0 && !out->failed;
}

bool merge_read(struct json record, struct arena *a, struct merge_side *out)
{
    struct buf keys = BUF(MERGE_VALUE_MAX);
    *out = (struct merge_side){0};
    json_bool(json_get(record, SPAN("text_truncated")), &out->truncated);
    bool named = keys_of(json_get(record, SPAN("media")), &keys);
    bool fine =
        keep(a, text_at(record, "provenance.source"), &out->source) &&
        keep(a, text_at(record, "text"), &out->value[MERGE_TEXT]) &&
        keep(a, text_at(record, "created_at"), &out->value[MERGE_CREATED_AT]) &&
        keep(a, text_at(record, "author.screen_name"), &out->value[MERGE_AUTHOR]) &&
        keep(a, named ? buf_span(&keys) : SPAN_NONE, &out->value[MERGE_MEDIA]);
    buf_free(&keys);
    return fine;
}

/* ---- comparing ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static size_t after_space(struct span s, size_t at)
{
    while (at < s.n && is_space(s.p[at]))
        at++;
    return at;
}

/* The same words, however they are laid out. */
static bool same_words(struct span a, struct span b)
{
    size_t i = after_space(a, 0), k = after_space(b, 0);
    while (i < a.n && k < b.n) {
        if (is_space(a.p[i]) != is_space(b.p[k]))
            return after_space(a, i) == a.n && after_space(b, k) == b.n;
        if (is_space(a.p[i])) {
            i = after_space(a, i);
            k = after_space(b, k);
        } else if (a.p[i++] != b.p[k++]) {
            return false;
        }
    }
    return after_space(a, i) == a.n && after_space(b, k) == b.n;
}

bool merge_conflict(enum merge_field f, const struct merge_side *a, const struct merge_side *b)
{
    struct span x = a->value[f], y = b->value[f];
    if (!x.p || !y.p)
        return false;
    switch (f) {
    case MERGE_TEXT:
        return !a->truncated && !b->truncated && !same_words(x, y);
    case MERGE_AUTHOR:
        return !span_eq_nocase(x, y);
    case MERGE_CREATED_AT:
    case MERGE_MEDIA:
    case MERGE_FIELDS:
        break;
    }
    return !span_eq(x, y);
}

int merge_pick(enum merge_field f, const struct merge_side *a, const struct merge_side *b)
{
    struct span x = a->value[f], y = b->value[f];
    if (!x.p || !y.p)
        return y.p ? 1 : 0;
    if (f == MERGE_TEXT && a->truncated != b->truncated)
        return a->truncated ? 1 : 0;
    if (f == MERGE_TEXT && x.n != y.n)
        return y.n > x.n ? 1 : 0;
    return merge_rank(b->source) < merge_rank(a->source) ? 1 : 0;
}
