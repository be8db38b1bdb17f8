#include "extract/convert.h"

#include "base/text.h"
#include "extract/format.h"

/* Ids up to here are plain counters; above, the upper bits are milliseconds since the epoch
 * below. */
#define SNOWFLAKE_FIRST    29700859247
#define SNOWFLAKE_EPOCH_MS 1288834974657
#define SNOWFLAKE_SHIFT    22

const char *const *convert_names(void)
{
    static const char *const names[] = {
#define CONV_NAME(id, name) name,
        CONVERSIONS(CONV_NAME)
#undef CONV_NAME
            NULL,
    };
    return names;
}

static struct value text_value(struct span s)
{
    return s.p ? (struct value){.kind = VALUE_TEXT, .text = s} : NO_VALUE;
}

static struct value int_value(int64_t n)
{
    return (struct value){.kind = VALUE_INT, .number = n};
}

static struct value bool_value(bool b)
{
    return (struct value){.kind = VALUE_BOOL, .number = b};
}

/* Text or number as a whole number. */
static bool convert_int(struct json v, int64_t *out)
{
    if (json_int(v, out))
        return true;
    struct span s;
    return json_text(v, &s) && span_int(s, out);
}

bool convert_snowflake(struct span id, wall *out_time)
{
    int64_t n = 0;
    if (!span_int(id, &n) || n <= SNOWFLAKE_FIRST)
        return false;
    *out_time = (wall){(n >> SNOWFLAKE_SHIFT) + SNOWFLAKE_EPOCH_MS};
    return true;
}

static struct span number_text(int64_t n, struct arena *scratch)
{
    char *at = arena_try(scratch, 24);
    if (!at)
        return SPAN_NONE;
    char digits[24];
    size_t i = sizeof digits;
    uint64_t left = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    do
        digits[--i] = (char)('0' + (int)(left % 10));
    while ((left /= 10) > 0);
    if (n < 0)
        digits[--i] = '-';
    memcpy(at, digits + i, sizeof digits - i);
    return (struct span){at, sizeof digits - i};
}

static struct value text_as_id(struct span s)
{
    if (s.n == 0 || s.n > 20)
        return NO_VALUE;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return NO_VALUE;
    return text_value(s);
}

static struct value int_at_least(int64_t n, int64_t least)
{
    return n >= least ? int_value(n) : NO_VALUE;
}

static struct value text_as_int(struct span s, int64_t least)
{
    int64_t n = 0;
    return span_int(s, &n) ? int_at_least(n, least) : NO_VALUE;
}

static struct value text_as_bool(struct span s)
{
    if (!span_is(s, "true") && !span_is(s, "false"))
        return NO_VALUE;
    return bool_value(s.p[0] == 't');
}

static struct value time_value(wall t, struct arena *scratch)
{
    char text[WHEN_TEXT];
    return text_value(arena_keep(scratch, span_of(when_text(t, text))));
}

/* The argument says behind which words the id starts. */
static bool snowflake_in(const struct conv_extra *x, struct span s, wall *out)
{
    return convert_snowflake(x->argument.n ? format_digits_after(s, x->argument) : s, out);
}

static struct value text_as_time(enum conversion as, const struct conv_extra *x, struct span s,
                                 struct arena *scratch)
{
    wall t = {0};
    bool fine = false;
    if (as == CONV_TIME_MS)
        fine = span_int(s, &t.ms);
    else if (as == CONV_TIME_X)
        fine = when_parse_x(s, &t);
    else if (as == CONV_TIME_RFC3339)
        fine = when_parse(s, &t);
    else if (as == CONV_TIME_FORMAT)
        fine = format_time(x->argument, s, &t);
    else
        fine = snowflake_in(x, s, &t);
    return fine ? time_value(t, scratch) : NO_VALUE;
}

static struct value as_unescaped(struct span s, struct arena *scratch)
{
    if (span_find_char(s, '&') == s.n)
        return text_value(s);
    struct buf b = BUF(s.n * 4 + 16);
    text_add_unescaped(&b, s);
    struct value v = b.failed ? NO_VALUE : text_value(arena_keep(scratch, buf_span(&b)));
    buf_free(&b);
    return v;
}

static struct value as_enum(const struct conv_extra *x, struct span s)
{
    for (size_t i = 0; x->table && i < x->table->count; i++) {
        const struct conv_row *row = &x->table->rows[i];
        if (!span_eq(row->from, s))
            continue;
        if (x->table->as_bool && row->to.p)
            return bool_value(span_is(row->to, "true"));
        return text_value(row->to);
    }
    return NO_VALUE;
}

static struct value as_best(const struct conv_extra *x, struct json list)
{
    struct span best = SPAN_NONE;
    int64_t best_rank = -1;
    size_t taken = 0;
    bool ranked = false;
    for (struct json_iter i = json_each(list); json_next(&i);) {
        struct span take, where;
        int64_t rank = 0;
        if (x->where.n &&
            !(json_text(json_get(i.value, x->where), &where) && span_eq(where, x->equals)))
            continue;
        if (!json_text(json_get(i.value, x->take), &take))
            continue;
        taken++;
        if (convert_int(json_get(i.value, x->rank), &rank))
            ranked = true;
        else
            rank = 0;
        if (rank > best_rank) {
            best = take;
            best_rank = rank;
        }
    }
    return ranked || taken == 1 ? text_value(best) : NO_VALUE; /* of several unranked, which? */
}

static struct value as_anchor_text(struct span s, struct arena *scratch)
{
    size_t open = span_find(s, SPAN("<a "));
    if (open == s.n)
        return s.n ? as_unescaped(s, scratch) : NO_VALUE;
    struct span rest = span_cut(s, open, s.n);
    size_t end = span_find_char(rest, '>');
    if (end == rest.n)
        return NO_VALUE;
    rest = span_cut(rest, end + 1, rest.n);
    struct span words = span_cut(rest, 0, span_find(rest, SPAN("</a>")));
    return as_unescaped(words, scratch);
}

/* The path of a URL without query and fragment. */
static struct span url_path(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '?' || s.p[i] == '#')
            return span_cut(s, 0, i);
    return s;
}

/* Where the file's ending (".jpg") starts, or n when there is none; *out_name: last segment. */
static size_t file_ending(struct span path, size_t *out_name)
{
    size_t dot = path.n, at = path.n;
    while (at > 0 && path.p[at - 1] != '/') {
        at--;
        if (path.p[at] == '.' && dot == path.n)
            dot = at;
    }
    *out_name = at;
    return dot;
}

static struct value as_file_stem(struct span s)
{
    struct span path = url_path(s);
    size_t name = 0;
    size_t dot = file_ending(path, &name);
    return dot > name ? text_value(span_cut(path, name, dot - name)) : NO_VALUE;
}

static struct value as_url_format(struct span s, struct span argument, struct arena *scratch)
{
    struct span path = url_path(s);
    size_t name = 0;
    size_t dot = file_ending(path, &name);
    if (dot == path.n || dot == name || path.n != s.n)
        return text_value(s);
    struct buf b = BUF(s.n + argument.n + 16);
    buf_add(&b, span_cut(path, 0, dot));
    buf_add(&b, SPAN("?format="));
    buf_add(&b, span_cut(path, dot + 1, path.n));
    buf_add(&b, argument);
    struct value v = b.failed ? NO_VALUE : text_value(arena_keep(scratch, buf_span(&b)));
    buf_free(&b);
    return v;
}

static struct value as_after_colon(struct span s)
{
    size_t at = 0;
    while (at < s.n && s.p[at] >= '0' && s.p[at] <= '9')
        at++;
    return text_value(at > 0 && at < s.n && s.p[at] == ':' ? span_cut(s, at + 1, s.n) : s);
}

/* A text inside a text of JSON has its quotes escaped, so `"name":"` is a member, unless it is part of one. Only
 * what needs no escapes but those of slashes: URLs, ids, words. */
static struct value as_text_member(struct span s, struct span name, struct arena *scratch)
{
    struct buf b = BUF(s.n + name.n + 8);
    buf_fmt(&b, "\"%.*s\":\"", SP(name));
    size_t at = b.failed ? s.n : span_find(s, buf_span(&b)), i = at + b.n;
    bool fine = at < s.n && (at == 0 || s.p[at - 1] != '\\');
    for (buf_clear(&b); fine && i < s.n && s.p[i] != '"'; i++) {
        if (s.p[i] == '\\' && ++i < s.n)
            fine = s.p[i] == '/';
        if (fine && i < s.n)
            buf_add_char(&b, s.p[i]);
    }
    fine = fine && i < s.n && b.n && !b.failed;
    struct value v = fine ? text_value(arena_keep(scratch, buf_span(&b))) : NO_VALUE;
    buf_free(&b);
    return v;
}

static struct value as_without(struct span s, struct span part, struct arena *scratch)
{
    size_t at = part.n ? span_find(s, part) : s.n;
    if (at == s.n)
        return text_value(s);
    char *p = arena_try(scratch, s.n);
    if (!p)
        return NO_VALUE;
    memcpy(p, s.p, at);
    memcpy(p + at, s.p + at + part.n, s.n - at - part.n);
    return text_value((struct span){p, s.n - part.n});
}

static struct value text_as_snowflake(const struct conv_extra *x, struct span s)
{
    wall t;
    return snowflake_in(x, s, &t) ? int_value(t.ms) : NO_VALUE;
}

/* The text that a person reads in a text of HTML; .p NULL when there is none. */
static struct span read_html(const struct conv_extra *x, struct span s, struct arena *scratch)
{
    struct html_doc *doc = NULL;
    if (html_open(&doc, HTML_PART, s, NULL))
        return SPAN_NONE;
    struct html_node from = html_root(doc);
    if (x->below) {
        const struct html_found *found = html_find(doc, x->below, from, scratch);
        from = found && found->count ? found->nodes[0] : (struct html_node){NULL};
    }
    struct span text = from.at ? html_text(doc, from, scratch) : SPAN_NONE;
    html_close(&doc);
    return text;
}

/* What format.h makes of a text, kept in scratch. */
static struct value as_formatted(enum conversion as, const struct conv_extra *x, struct span s,
                                 struct arena *scratch)
{
    struct buf b = BUF(FORMAT_URL_MAX);
    bool fine = as == CONV_UNPROXY ? format_unproxied(&b, x, s) : format_with_ending(&b, s);
    struct value v =
        fine && !b.failed ? text_value(arena_keep(scratch, buf_span(&b))) : NO_VALUE;
    buf_free(&b);
    return v.kind == VALUE_TEXT && x->stem ? as_file_stem(v.text) : v;
}

static struct value as_count(enum conversion as, const struct conv_extra *x, struct span s)
{
    int64_t n = 0;
    bool fine = as == CONV_COUNT_LABEL ? format_label(x, s, &n)
                                       : format_count(s, as == CONV_COUNT_SHORT, &n);
    return fine ? int_value(n) : NO_VALUE;
}

static struct value of_markup(enum conversion as, const struct conv_extra *x, struct span s,
                              struct arena *scratch)
{
    double real = 0;
    if (as == CONV_COUNT_TEXT || as == CONV_COUNT_SHORT || as == CONV_COUNT_LABEL)
        return as_count(as, x, s);
    if (as == CONV_PERCENT)
        return format_percent(s, &real) ? (struct value){.kind = VALUE_REAL, .real = real}
                                        : NO_VALUE;
    if (as == CONV_DIGITS_AFTER)
        return text_as_id(format_digits_after(s, x->argument));
    if (as == CONV_HTML_TEXT)
        return text_value(s);
    if (as == CONV_TRIM)
        return span_trim(s).n ? text_value(span_trim(s)) : NO_VALUE;
    if (as == CONV_WHOLE_URL)
        return format_is_url(span_trim(s)) ? text_value(span_trim(s)) : NO_VALUE;
    return as_formatted(as, x, s, scratch);
}

struct value convert_text(enum conversion as, const struct conv_extra *extra, struct span s,
                          struct arena *scratch)
{
    static const struct conv_extra none;
    const struct conv_extra *x = extra ? extra : &none;
    if (x->below || as == CONV_HTML_TEXT)
        s = read_html(x, s, scratch);
    if (!s.p)
        return NO_VALUE;
    switch (as) {
    case CONV_TEXT:
        return text_value(s);
    case CONV_NOT_EMPTY:
        return s.n ? text_value(s) : NO_VALUE;
    case CONV_ID:
        return text_as_id(s);
    case CONV_INT:
        return text_as_int(s, INT64_MIN);
    case CONV_COUNT:
        return text_as_int(s, 0);
    case CONV_BOOL:
        return text_as_bool(s);
    case CONV_TIME_X:
    case CONV_TIME_RFC3339:
    case CONV_TIME_MS:
    case CONV_TIME_FORMAT:
    case CONV_SNOWFLAKE_TIME:
        return text_as_time(as, x, s, scratch);
    case CONV_SNOWFLAKE_MS:
        return text_as_snowflake(x, s);
    case CONV_UNESCAPE:
        return as_unescaped(s, scratch);
    case CONV_ENUM:
        return as_enum(x, s);
    case CONV_ANCHOR_TEXT:
        return as_anchor_text(s, scratch);
    case CONV_FILE_STEM:
        return as_file_stem(s);
    case CONV_URL_AS_FORMAT:
        return as_url_format(s, x->argument, scratch);
    case CONV_AFTER_COLON:
        return as_after_colon(s);
    case CONV_TEXT_MEMBER:
        return as_text_member(s, x->argument, scratch);
    case CONV_WITHOUT:
        return as_without(s, x->argument, scratch);
    case CONV_COUNT_TEXT:
    case CONV_COUNT_SHORT:
    case CONV_COUNT_LABEL:
    case CONV_PERCENT:
    case CONV_DIGITS_AFTER:
    case CONV_UNPROXY:
    case CONV_FORMAT_AS_ENDING:
    case CONV_HTML_TEXT:
    case CONV_TRIM:
    case CONV_WHOLE_URL:
        return of_markup(as, x, s, scratch);
    case CONV_REAL:
    case CONV_BEST:
    case CONV_COUNT_OF:
        break;
    }
    return NO_VALUE;
}

/* A whole number of JSON, not written as text. */
static struct value of_number(enum conversion as, int64_t n, struct arena *scratch)
{
    if (as == CONV_ID)
        return n >= 0 ? text_value(number_text(n, scratch)) : NO_VALUE;
    if (as == CONV_INT || as == CONV_COUNT)
        return int_at_least(n, as == CONV_COUNT ? 0 : INT64_MIN);
    if (as == CONV_TIME_MS)
        return time_value((wall){n}, scratch);
    return NO_VALUE;
}

struct value convert(enum conversion as, const struct conv_extra *extra, struct json v,
                     struct arena *scratch)
{
    static const struct conv_extra none;
    struct span s;
    int64_t n = 0;
    bool b = false;
    double real = 0;
    if (json_text(v, &s))
        return convert_text(as, extra, s, scratch);
    if (as == CONV_REAL)
        return json_real(v, &real) ? (struct value){.kind = VALUE_REAL, .real = real}
                                   : NO_VALUE;
    if (json_int(v, &n))
        return of_number(as, n, scratch);
    if (as == CONV_BOOL && json_bool(v, &b))
        return bool_value(b);
    return as == CONV_BEST ? as_best(extra ? extra : &none, v) : NO_VALUE;
}
