#include "extract/merge.h"

#include <stdio.h>
#include <string.h>

static const struct merge_row {
    const char *name, *path, *member;
    enum merge_rule rule;
} rows[MERGE_FIELDS] = {
#define MERGE_ROW(id, name, path, member, rule) {name, path, member, rule},
    MERGES(MERGE_ROW)
#undef MERGE_ROW
};

const char *merge_field_name(enum merge_field f)
{
    return f < MERGE_FIELDS ? rows[f].name : "";
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

/* A text, a whole number or a truth value, as text; .p NULL when it is neither. */
static struct span word_of(struct json v, char room[32])
{
    struct span s = SPAN_NONE;
    int64_t n;
    bool b;
    if (json_text(v, &s))
        return s;
    if (json_int(v, &n)) {
        snprintf(room, 32, "%lld", (long long)n);
        return span_of(room);
    }
    return json_bool(v, &b) ? span_of(b ? "true" : "false") : SPAN_NONE;
}

/* A member of each element, in their order, or the elements themselves (""); nothing when one of them has none: the
 * source says it otherwise. */
static struct span each_of(struct json list, const char *member, struct buf *out)
{
    for (struct json_iter i = json_each(list); json_next(&i);) {
        char room[32];
        struct span word = word_of(member[0] ? json_path(i.value, member) : i.value, room);
        if (!word.n)
            return SPAN_NONE;
        if (out->n)
            buf_add_char(out, ' ');
        buf_add(out, word);
    }
    return out->n && !out->failed ? buf_span(out) : SPAN_NONE;
}

/* A list that was cut in the middle of an element is none. */
static bool keep(struct arena *a, const struct merge_row *row, struct span s, struct span *out)
{
    bool cut = s.n > MERGE_VALUE_MAX;
    if (!s.p || (cut && row->member))
        return true;
    *out = arena_keep(a, span_cut(s, 0, MERGE_VALUE_MAX));
    return out->p != NULL;
}

bool merge_read(struct json record, struct arena *a, struct merge_side *out)
{
    static const struct merge_row source = {.path = "provenance.source"};
    struct buf list = BUF(MERGE_VALUE_MAX * 4);
    char room[32];
    *out = (struct merge_side){0};
    json_bool(json_get(record, SPAN("text_truncated")), &out->truncated);
    json_bool(json_get(record, SPAN("media_pending")), &out->pending);
    bool fine = keep(a, &source, word_of(json_path(record, source.path), room), &out->source);
    for (int f = 0; f < MERGE_FIELDS && fine; f++) {
        struct json at = json_path(record, rows[f].path);
        buf_clear(&list);
        fine = keep(a, &rows[f],
                    rows[f].member ? each_of(at, rows[f].member, &list) : word_of(at, room),
                    &out->value[f]);
    }
    buf_free(&list);
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

/* Nor does it show the link to what stands below it: a card, files, a quoted post, an article. */
static struct span without_last_links(struct span s)
{
    for (;;) {
        s = span_trim(s);
        size_t from = s.n;
        while (from > 0 && !is_space(s.p[from - 1]))
            from--;
        struct span word = span_cut(s, from, s.n);
        if (!span_starts(word, SPAN("https://")) && !span_starts(word, SPAN("http://")))
            return s;
        s = span_cut(s, 0, from);
    }
}

static bool same_body(struct span a, struct span b)
{
    a = without_last_links(without_addressees(a));
    b = without_last_links(without_addressees(b));
    return !a.n || !b.n || same_words(a, b);
}

static bool has_word(struct span words, struct span wanted, bool any_case)
{
    struct span word;
    while (span_next(&words, ' ', &word))
        if (any_case ? span_eq_nocase(word, wanted) : span_eq(word, wanted))
            return true;
    return false;
}

static bool has_all(struct span words, struct span of, bool any_case)
{
    struct span word;
    while (span_next(&of, ' ', &word))
        if (!has_word(words, word, any_case))
            return false;
    return true;
}

bool merge_conflict(enum merge_field f, const struct merge_side *a, const struct merge_side *b)
{
    struct span x = a->value[f], y = b->value[f];
    bool any_case;
    if (!x.p || !y.p)
        return false;
    switch (rows[f].rule) {
    case MERGE_BODY:
        return !a->truncated && !b->truncated && !same_body(x, y);
    case MERGE_WORDS:
        return !same_words(x, y);
    case MERGE_HANDLE:
        return !span_eq_nocase(x, y);
    case MERGE_NAMES:
    case MERGE_SOME:
        if (a->truncated || b->truncated)
            return false;
        any_case = rows[f].rule == MERGE_NAMES;
        return !has_all(x, y, any_case) && !has_all(y, x, any_case);
    case MERGE_FILES:
        return !a->pending && !b->pending && !span_eq(x, y);
    case MERGE_EXACT:
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
