#include "core/labels.h"

#include "base/text.h"

#include <string.h>

static const char member[] = "\"labels\":{";

bool label_name_valid(struct span name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
            return false;
    }
    return name.n >= 1 && name.n <= LABEL_NAME_MOST;
}

bool label_value_valid(struct span value)
{
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (c < ' ' || c == 0x7f || c == '"' || c == '\\')
            return false;
    }
    return value.n >= 1 && value.n <= LABEL_VALUE_MOST && text_valid(value);
}

static int order_of(struct span a, struct span b)
{
    int by = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return by ? by : (a.n > b.n) - (a.n < b.n);
}

bool labels_set(struct labels *l, struct span name, struct span value)
{
    size_t at = 0;
    while (at < l->count && order_of(l->list[at].name, name) < 0)
        at++;
    bool there = at < l->count && span_eq(l->list[at].name, name);
    if (!there && l->count == LABELS_MOST)
        return false;
    if (!there) {
        memmove(&l->list[at + 1], &l->list[at], (l->count - at) * sizeof *l->list);
        l->count++;
    }
    l->list[at] = (struct label){name, value};
    return true;
}

static void unset(struct labels *l, struct span name)
{
    for (size_t i = 0; i < l->count; i++)
        if (span_eq(l->list[i].name, name)) {
            l->count--;
            memmove(&l->list[i], &l->list[i + 1], (l->count - i) * sizeof *l->list);
            return;
        }
}

static void write_one(const struct label *one, struct buf *out)
{
    buf_fmt(out, "\"%.*s\":", SP(one->name));
    if (one->value.p)
        buf_fmt(out, "\"%.*s\"", SP(one->value));
    else
        buf_add_text(out, "null");
}

void labels_write(const struct labels *l, struct buf *out)
{
    if (!l->count)
        return;
    for (size_t i = 0; i < l->count; i++) {
        buf_add_char(out, i ? ',' : '{');
        write_one(&l->list[i], out);
    }
    buf_add_char(out, '}');
}

/* The next one of {"desk":"science","old":null}, behind its brace or comma. */
static bool next_label(struct span *text, struct label *out)
{
    struct span rest = span_cut(*text, 1, text->n);
    size_t end = span_find(rest, SPAN("\":"));
    if (rest.n < 2 || rest.p[0] != '"' || end == rest.n)
        return false;
    out->name = span_cut(rest, 1, end - 1);
    rest = span_cut(rest, end + 2, rest.n);
    bool gone = span_starts(rest, SPAN("null"));
    size_t length = gone ? 4 : 1 + span_find_char(span_cut(rest, 1, rest.n), '"') + 1;
    if (!gone && (!span_starts(rest, SPAN("\"")) || length >= rest.n))
        return false;
    out->value = gone ? (struct span){0} : span_cut(rest, 1, length - 2);
    *text = span_cut(rest, length, rest.n);
    return label_name_valid(out->name) && (gone || label_value_valid(out->value));
}

enum part { PART_SET = 1, PART_GONE = 2 };

/* False: the text is not ours, or there is no room. unsets: what goes is taken out, and not noted. */
static bool read_onto(struct labels *l, struct span text, unsigned parts, bool unsets)
{
    struct label one;
    bool fine = !text.n || (text.p[0] == '{' && text.n > 1);
    while (fine && text.n > 1) {
        if (!next_label(&text, &one) || (text.p[0] != ',' && text.p[0] != '}'))
            return false;
        if (!(parts & (one.value.p ? PART_SET : PART_GONE)))
            continue;
        if (!one.value.p && unsets)
            unset(l, one.name);
        else
            fine = labels_set(l, one.name, one.value);
    }
    return fine && (!text.n || text.p[0] == '}');
}

bool labels_read(struct labels *out, struct span text)
{
    *out = (struct labels){0};
    return read_onto(out, text, PART_SET | PART_GONE, false);
}

struct span labels_of(struct span options, struct span *out_rest)
{
    size_t at = span_find(options, span_of(member));
    bool none = at == options.n;
    struct span rest = span_cut(options, 0, none && at ? at - 1 : at);
    if (!none && span_ends(rest, SPAN(",")))
        rest.n--;
    if (out_rest)
        *out_rest = rest;
    if (none)
        return SPAN_NONE;
    size_t from = at + sizeof member - 2;
    return span_cut(options, from, options.n - 1 - from);
}

bool labels_match(struct span options, struct span wanted)
{
    struct span labels = labels_of(options, NULL);
    struct label one;
    char text[LABEL_NAME_MOST + LABEL_VALUE_MOST + 8];
    while (wanted.n > 1) {
        if (!next_label(&wanted, &one) || !one.value.p)
            return false;
        snprintf(text, sizeof text, "\"%.*s\":\"%.*s\"", SP(one.name), SP(one.value));
        if (span_find(labels, span_of(text)) == labels.n)
            return false;
    }
    return true;
}

err labels_change(struct span options, struct span change, struct buf *out)
{
    struct labels l;
    struct span rest, before = labels_of(options, &rest);
    struct buf text = BUF(LABELS_TEXT);
    if (!labels_read(&l, before) || !read_onto(&l, change, PART_GONE, true) ||
        !read_onto(&l, change, PART_SET, true))
        return E_TOO_BIG;
    labels_write(&l, &text);
    buf_add(out, rest.n ? rest : SPAN("{"));
    if (l.count)
        buf_fmt(out, "%s\"labels\":%.*s", rest.n > 1 ? "," : "", SP(buf_span(&text)));
    buf_add_char(out, '}');
    buf_free(&text);
    return E_OK;
}
