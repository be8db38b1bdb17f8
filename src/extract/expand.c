#include "extract/expand.h"

#include "base/text.h"

struct cut {
    size_t from, to; /* bytes of the text as sent */
    struct span with;
};

struct cuts {
    struct cut list[EXPAND_LINKS_MAX];
    size_t count;
};

/* Byte offset of a code point, going on from an earlier place; text.n when past the end. UTF-8
 * from the parser is valid: every byte that is no continuation starts a code point. */
static size_t byte_of(struct span text, size_t code, size_t *at_code, size_t *at_byte)
{
    if (code < *at_code) {
        *at_code = 0;
        *at_byte = 0;
    }
    while (*at_code < code && *at_byte < text.n) {
        (*at_byte)++;
        while (*at_byte < text.n && ((unsigned char)text.p[*at_byte] & 0xC0U) == 0x80U)
            (*at_byte)++;
        (*at_code)++;
    }
    return *at_byte;
}

/* Cuts stay sorted; one that overlaps an earlier one is left out. */
static void add_cut(struct cuts *c, size_t from, size_t to, struct span with)
{
    if (c->count >= EXPAND_LINKS_MAX || from >= to)
        return;
    size_t i = c->count;
    while (i > 0 && c->list[i - 1].from >= from)
        i--;
    if ((i > 0 && c->list[i - 1].to > from) || (i < c->count && c->list[i].from < to))
        return;
    memmove(&c->list[i + 1], &c->list[i], (c->count - i) * sizeof c->list[0]);
    c->list[i] = (struct cut){from, to, with};
    c->count++;
}

static void add_by_words(struct cuts *c, struct span text, struct span words, struct span with)
{
    size_t from = 0;
    while (words.n && from < text.n) {
        size_t at = span_find(span_cut(text, from, text.n), words);
        if (at == text.n - from)
            return;
        add_cut(c, from + at, from + at + words.n, with);
        from += at + words.n;
    }
}

static void add_links(struct cuts *c, struct span text, struct json links,
                      const struct expand_names *names)
{
    size_t at_code = 0, at_byte = 0;
    for (struct json_iter i = json_each(links); json_next(&i);) {
        struct span url, expanded;
        int64_t from = -1, to = -1;
        if (!json_text(json_get(i.value, names->url), &url) || url.n == 0)
            continue;
        if (!json_text(json_get(i.value, names->expanded), &expanded))
            expanded = url;
        struct json indices = json_get(i.value, names->indices);
        bool whole = json_int(json_at(indices, 0), &from) &&
                     json_int(json_at(indices, 1), &to) && from >= 0 && to > from &&
                     (size_t)to <= text.n;
        if (whole) {
            size_t b = byte_of(text, (size_t)from, &at_code, &at_byte);
            size_t e = byte_of(text, (size_t)to, &at_code, &at_byte);
            if (span_eq(span_cut(text, b, e - b), url)) {
                add_cut(c, b, e, expanded);
                continue;
            }
        }
        add_by_words(c, text, url, expanded);
    }
}

/* A cut inside a character would break the text: such a link is none. */
static bool at_character(struct span text, int64_t byte)
{
    return byte >= 0 && (size_t)byte <= text.n &&
           ((size_t)byte == text.n || ((unsigned char)text.p[byte] & 0xC0U) != 0x80U);
}

static void add_by_bytes(struct cuts *c, struct span text, struct json links,
                         const struct expand_names *names)
{
    for (struct json_iter i = json_each(links); json_next(&i);) {
        struct span expanded = SPAN_NONE;
        int64_t from = -1, to = -1;
        for (struct json_iter k = json_each(json_get(i.value, names->each));
             !expanded.n && json_next(&k);)
            (void)json_text(json_get(k.value, names->expanded), &expanded);
        if (expanded.n && json_int(json_path(i.value, names->from), &from) &&
            json_int(json_path(i.value, names->to), &to) && at_character(text, from) &&
            at_character(text, to) && from < to)
            add_cut(c, (size_t)from, (size_t)to, expanded);
    }
}

static void add_piece(struct buf *out, struct span piece, bool escaped)
{
    if (escaped && span_find_char(piece, '&') < piece.n)
        text_add_unescaped(out, piece);
    else
        buf_add(out, piece);
}

/* Links that begin as every one does and that no cut takes away; -1: the text has none at all. */
static int unexplained(const struct cuts *c, struct span text, struct span every)
{
    int links = 0, left = 0;
    size_t at = 0;
    while (every.n && at < text.n) {
        size_t next = span_find(span_cut(text, at, text.n), every);
        if (at + next >= text.n)
            break;
        at += next;
        bool covered = false;
        for (size_t i = 0; i < c->count; i++)
            covered = covered || (c->list[i].from <= at && at < c->list[i].to);
        links++;
        left += !covered;
        at += every.n;
    }
    return links ? left : -1;
}

int expand_text(struct buf *out, struct span text, bool escaped, struct json links,
                const struct json *drops, size_t drop_count, const struct expand_names *names)
{
    struct cuts cuts;
    cuts.count = 0;
    if (names->from)
        add_by_bytes(&cuts, text, links, names);
    else
        add_links(&cuts, text, links, names);
    for (size_t d = 0; d < drop_count; d++)
        for (struct json_iter i = json_each(drops[d]); json_next(&i);) {
            struct span url;
            if (json_text(json_get(i.value, names->drop_url), &url))
                add_by_words(&cuts, text, url, SPAN_NONE);
        }
    size_t start = out->n, at = 0;
    for (size_t i = 0; i < cuts.count; i++) {
        add_piece(out, span_cut(text, at, cuts.list[i].from - at), escaped);
        buf_add(out, cuts.list[i].with);
        at = cuts.list[i].to;
    }
    add_piece(out, span_cut(text, at, text.n), escaped);
    int left = unexplained(&cuts, text, names->every);
    if (out->failed || start > 0)
        return left;
    struct span all = buf_span(out), kept = span_trim(all);
    if (kept.n && kept.p != all.p)
        memmove(out->p, kept.p, kept.n);
    out->n = kept.n;
    return left;
}
