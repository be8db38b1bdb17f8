#include "extract/merge.h"

#include <string.h>

const char *merge_field_name(enum merge_field f)
{
    static const char *const names[MERGE_FIELDS] = {
        [MERGE_TEXT] = "text",
        [MERGE_CREATED_AT] = "created_at",
        [MERGE_AUTHOR] = "author",
        [MERGE_MEDIA] = "media",
        [MERGE_LANG] = "lang",
        [MERGE_URLS] = "urls",
        [MERGE_REPLY_TO] = "reply_to.post_id",
        [MERGE_QUOTE_OF] = "quote_of",
        [MERGE_REPOST_OF] = "repost_of",
        [MERGE_CONVERSATION] = "conversation_id",
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

/* A member of each element, in their order; nothing when one of them has none: the source says it otherwise. */
static struct span each_of(struct json list, const char *member, struct buf *out)
{
    for (struct json_iter i = json_each(list); json_next(&i);) {
        struct span word = text_at(i.value, member);
        if (!word.n)
            return SPAN_NONE;
        if (out->n)
            buf_add_char(out, ' ');
        buf_add(out, word);
    }
    return out->n && !out->failed ? buf_span(out) : SPAN_NONE;
}

static bool keep_texts(struct json record, struct arena *a, struct merge_side *out)
{
    static const char *const paths[MERGE_FIELDS] = {
        [MERGE_TEXT] = "text",
        [MERGE_CREATED_AT] = "created_at",
        [MERGE_AUTHOR] = "author.screen_name",
        [MERGE_LANG] = "lang",
        [MERGE_REPLY_TO] = "reply_to.post_id",
        [MERGE_QUOTE_OF] = "quote_of",
        [MERGE_REPOST_OF] = "repost_of",
        [MERGE_CONVERSATION] = "conversation_id",
    };
    for (int f = 0; f < MERGE_FIELDS; f++)
        if (paths[f] && !keep(a, text_at(record, paths[f]), &out->value[f]))
            return false;
    return true;
}

bool merge_read(struct json record, struct arena *a, struct merge_side *out)
{
    struct buf keys = BUF(MERGE_VALUE_MAX), links = BUF(MERGE_VALUE_MAX * 4);
    *out = (struct merge_side){0};
    json_bool(json_get(record, SPAN("text_truncated")), &out->truncated);
    json_bool(json_get(record, SPAN("media_pending")), &out->pending);
    bool fine =
        keep(a, text_at(record, "provenance.source"), &out->source) && keep_texts(record, a, out) &&
        keep(a, each_of(json_get(record, SPAN("media")), "key", &keys), &out->value[MERGE_MEDIA]) &&
        keep(a, each_of(json_get(record, SPAN("urls")), "expanded", &links), &out->value[MERGE_URLS]);
    if (links.n > MERGE_VALUE_MAX) /* a link cut in two is none */
        out->value[MERGE_URLS] = SPAN_NONE;
    buf_free(&keys);
    buf_free(&links);
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

/* A page does not show whom a reply answers at its beginning. */
static struct span without_addressees(struct span s)
{
    for (;;) {
        size_t end = span_find_char(s, ' ');
        if (!span_starts(s, SPAN("@")) || end == s.n)
            return s;
        s = span_trim(span_cut(s, end, s.n));
    }
}

static bool has_word(struct span words, struct span wanted)
{
    struct span word;
    while (span_next(&words, ' ', &word))
        if (span_eq(word, wanted))
            return true;
    return false;
}

static bool has_all(struct span words, struct span of)
{
    struct span word;
    while (span_next(&of, ' ', &word))
        if (!has_word(words, word))
            return false;
    return true;
}

bool merge_conflict(enum merge_field f, const struct merge_side *a, const struct merge_side *b)
{
    struct span x = a->value[f], y = b->value[f];
    if (!x.p || !y.p)
        return false;
    switch (f) {
    case MERGE_TEXT:
        return !a->truncated && !b->truncated &&
               !same_words(without_addressees(x), without_addressees(y));
    case MERGE_AUTHOR:
        return !span_eq_nocase(x, y);
    case MERGE_URLS:
        return !a->truncated && !b->truncated && !has_all(x, y) && !has_all(y, x);
    case MERGE_MEDIA:
        return !a->pending && !b->pending && !span_eq(x, y);
    case MERGE_CREATED_AT:
    case MERGE_LANG:
    case MERGE_REPLY_TO:
    case MERGE_QUOTE_OF:
    case MERGE_REPOST_OF:
    case MERGE_CONVERSATION:
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
