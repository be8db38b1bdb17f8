#include "core/settings.h"

#include "base/json.h"
#include "base/need.h"
#include "base/text.h"
#include "base/when.h"

#include <stdio.h>

static const struct setting_row rows[] = {
#define SETTING_ROW(section, name, type, def, min, max, choices, help)                         \
    {#section, #name, type, def, min, max, choices, help},
    SETTINGS_TABLE(SETTING_ROW)
#undef SETTING_ROW
};

enum { LIMIT_TEXT = 32 };

struct unit {
    const char *suffix;
    int64_t factor;
};
static const struct unit size_units[] = {
    {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}};
static const struct unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

const struct setting_row *setting_row(enum setting_id id)
{
    need((unsigned)id < SETTINGS_COUNT);
    return &rows[id];
}

/* ---- one value ---- */

bool settings_size(struct span text, int64_t *out_bytes)
{
    for (size_t i = 0; i < sizeof size_units / sizeof size_units[0]; i++) {
        struct span suffix = span_of(size_units[i].suffix);
        int64_t n;
        if (!span_ends(text, suffix))
            continue;
        if (!span_int(span_trim(span_cut(text, 0, text.n - suffix.n)), &n))
            return false;
        return !__builtin_mul_overflow(n, size_units[i].factor, out_bytes);
    }
    return false;
}

static bool parse_choice(const struct setting_row *row, struct span text, int64_t *out_index)
{
    struct span rest = span_of(row->choices), choice;
    for (int64_t i = 0; span_next(&rest, ' ', &choice); i++) {
        if (span_eq(choice, text)) {
            *out_index = i;
            return true;
        }
    }
    return false;
}

static bool parse_bool(struct span text, int64_t *out_value)
{
    *out_value = span_is(text, "true");
    return *out_value || span_is(text, "false");
}

static bool in_range(const struct setting_row *row, int64_t v)
{
    return v >= row->min && v <= row->max;
}

/* The number behind a text; false when the text is not a value of this setting. */
static bool parse_number(const struct setting_row *row, struct span text, int64_t *out)
{
    int64_t v = 0;
    bool ok = true;
    switch (row->type) {
    case SETTING_BOOL:
        ok = parse_bool(text, &v);
        break;
    case SETTING_INT:
        ok = span_int(text, &v) && in_range(row, v);
        break;
    case SETTING_DURATION:
        ok = when_duration(text, &v) && in_range(row, v);
        break;
    case SETTING_SIZE:
        ok = settings_size(text, &v) && in_range(row, v);
        break;
    case SETTING_ENUM:
        ok = parse_choice(row, text, &v);
        break;
    case SETTING_TEXT:
    case SETTING_LIST:
        break;
    }
    if (ok)
        *out = v;
    return ok;
}

static const char *limit_text(const struct unit *units, size_t n, int64_t v,
                              char out[LIMIT_TEXT])
{
    for (size_t i = 0; i < n; i++) {
        if (i + 1 == n || (v >= units[i].factor && v % units[i].factor == 0)) {
            snprintf(out, LIMIT_TEXT, "%lld%s", (long long)(v / units[i].factor),
                     units[i].suffix);
            break;
        }
    }
    return out;
}

static err fail_value(const struct setting_row *row, struct span text, const char *where,
                      struct fault *f)
{
    char lo[LIMIT_TEXT], hi[LIMIT_TEXT];
    const struct unit *units = row->type == SETTING_SIZE ? size_units : duration_units;
    size_t count = row->type == SETTING_SIZE ? 4 : 5;
    text = span_cut(text, 0, 40);
    switch (row->type) {
    case SETTING_BOOL:
        return fail(f, E_CONFIG, "%s'%s.%s' must be true or false, not '%.*s'", where,
                    row->section, row->name, SP(text));
    case SETTING_INT:
        return fail(
            f, E_CONFIG, "%s'%s.%s' must be a whole number from %lld to %lld, not '%.*s'",
            where, row->section, row->name, (long long)row->min, (long long)row->max, SP(text));
    case SETTING_DURATION:
    case SETTING_SIZE:
        return fail(f, E_CONFIG, "%s'%s.%s' must be a %s from %s to %s, not '%.*s'", where,
                    row->section, row->name,
                    row->type == SETTING_SIZE ? "size such as 64MiB" : "duration such as 30s",
                    limit_text(units, count, row->min, lo),
                    limit_text(units, count, row->max, hi), SP(text));
    case SETTING_ENUM:
        return fail(f, E_CONFIG, "%s'%s.%s' must be one of: %s; not '%.*s'", where,
                    row->section, row->name, row->choices, SP(text));
    case SETTING_TEXT:
    case SETTING_LIST:
        return fail(f, E_CONFIG, "%s'%s.%s' has a value that cannot be kept: '%.*s'", where,
                    row->section, row->name, SP(text));
    }
    bug("unknown setting type");
}

/* Splits on spaces and commas, joins with single spaces. */
static bool keep_words(struct arena *a, struct span text, struct span *out)
{
    char *p = arena_try(a, text.n + 1);
    if (!p)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool gap = c == ' ' || c == ',' || c == '\t' || c == '\n';
        if (!gap)
            p[n++] = c;
        else if (n && p[n - 1] != ' ')
            p[n++] = ' ';
    }
    *out = span_trim((struct span){p, n});
    return true;
}

static bool has_control(struct span text)
{
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
            return true;
    }
    return false;
}

static err set_value(struct settings *s, enum setting_id id, struct arena *a, struct span text,
                     const char *where, struct fault *f)
{
    const struct setting_row *row = &rows[id];
    struct span kept;
    int64_t number;
    if (!parse_number(row, text, &number) || has_control(text))
        return fail_value(row, text, where, f);
    if (row->type == SETTING_LIST) {
        if (!keep_words(a, text, &kept))
            return fail(f, E_CONFIG, "%s'%s.%s' is too long", where, row->section, row->name);
    } else {
        kept = arena_keep(a, text);
        if (!kept.p)
            return fail(f, E_CONFIG, "%s'%s.%s' is too long", where, row->section, row->name);
    }
    s->v[id].number = number;
    s->v[id].text = kept;
    s->v[id].given = true;
    return E_OK;
}

/* ---- names ---- */

static bool section_known(struct span section)
{
    for (int i = 0; i < SETTINGS_COUNT; i++) {
        if (span_is(section, rows[i].section))
            return true;
    }
    return false;
}

static err fail_section(struct span section, const char *where, struct fault *f)
{
    const char *names[SETTINGS_COUNT + 1];
    for (int i = 0; i < SETTINGS_COUNT; i++)
        names[i] = rows[i].section;
    names[SETTINGS_COUNT] = NULL;
    const char *near = text_nearest(section, names);
    return fail(f, E_CONFIG, "%sunknown section '%.*s'%s%s%s", where,
                SP(span_cut(section, 0, 40)), near ? "; did you mean '" : "", near ? near : "",
                near ? "'?" : "");
}

static err fail_name(struct span section, struct span name, const char *where, struct fault *f)
{
    const char *names[SETTINGS_COUNT + 1];
    size_t n = 0;
    for (int i = 0; i < SETTINGS_COUNT; i++) {
        if (span_is(section, rows[i].section))
            names[n++] = rows[i].name;
    }
    names[n] = NULL;
    const char *near = text_nearest(name, names);
    return fail(f, E_CONFIG, "%sunknown setting '%.*s' in '%.*s'%s%s%s", where,
                SP(span_cut(name, 0, 40)), SP(section), near ? "; did you mean '" : "",
                near ? near : "", near ? "'?" : "");
}

static err find(struct span section, struct span name, const char *where,
                enum setting_id *out_id, struct fault *f)
{
    if (!section_known(section))
        return fail_section(section, where, f);
    for (int i = 0; i < SETTINGS_COUNT; i++) {
        if (span_is(section, rows[i].section) && span_is(name, rows[i].name)) {
            *out_id = (enum setting_id)i;
            return E_OK;
        }
    }
    return fail_name(section, name, where, f);
}

/* ---- reading ---- */

void settings_default(struct settings *s)
{
    for (int i = 0; i < SETTINGS_COUNT; i++) {
        struct span text = span_of(rows[i].fallback);
        s->v[i].text = text;
        s->v[i].given = false;
        s->v[i].number = 0;
        need(parse_number(&rows[i], text, &s->v[i].number));
    }
}

enum { WHERE_TEXT = 128 };

static const char *where_text(const char *file, int line, int column, char out[WHERE_TEXT])
{
    struct span name = span_of(file);
    /* The end of a long path says more than its beginning. */
    if (name.n > 90)
        name = span_cut(name, name.n - 90, 90);
    snprintf(out, WHERE_TEXT, "%.*s:%d:%d: ", SP(name), line, column);
    return out;
}

static err read_list(struct settings *s, enum setting_id id, struct arena *a, const char *file,
                     const struct ynode *list, struct fault *f)
{
    char where[WHERE_TEXT];
    struct span all = SPAN_NONE;
    for (const struct ynode *n = list->first; n; n = n->next) {
        where_text(file, n->line, n->column, where);
        if (n->kind != YNODE_TEXT || span_find_char(n->text, ' ') < n->text.n)
            return fail(f, E_CONFIG, "%s'%s.%s' must be a list of single words", where,
                        rows[id].section, rows[id].name);
        char *joined = arena_fmt(a, "%.*s%s%.*s", SP(all), all.n ? " " : "", SP(n->text));
        if (!joined)
            return fail(f, E_CONFIG, "%s'%s.%s' is too long", where, rows[id].section,
                        rows[id].name);
        all = span_of(joined);
    }
    return set_value(s, id, a, all, where_text(file, list->line, list->column, where), f);
}

static err read_setting(struct settings *s, struct arena *a, const char *file,
                        struct span section, const struct ynode *node, struct fault *f)
{
    char where[WHERE_TEXT];
    enum setting_id id;
    err e = find(section, node->key, where_text(file, node->key_line, node->key_column, where),
                 &id, f);
    if (e)
        return e;
    if (node->kind == YNODE_LIST && rows[id].type == SETTING_LIST)
        return read_list(s, id, a, file, node, f);
    where_text(file, node->line, node->column, where);
    if (node->kind != YNODE_TEXT)
        return fail(f, E_CONFIG, "%s'%s.%s' must be a single value", where, rows[id].section,
                    rows[id].name);
    return set_value(s, id, a, node->text, where, f);
}

err settings_read(struct settings *s, struct arena *a, const char *file,
                  const struct ynode *root, struct fault *f)
{
    char where[WHERE_TEXT];
    if (root->kind != YNODE_MAP)
        return fail(f, E_CONFIG, "%ssettings must be sections of 'name: value'",
                    where_text(file, root->line, root->column, where));
    for (const struct ynode *section = root->first; section; section = section->next) {
        if (!section_known(section->key))
            return fail_section(section->key,
                                where_text(file, section->key_line, section->key_column, where),
                                f);
        /* A section whose settings are all commented out is empty text. */
        if (section->kind == YNODE_TEXT && section->text.n == 0)
            continue;
        if (section->kind != YNODE_MAP)
            return fail(f, E_CONFIG, "%ssection '%.*s' must hold 'name: value' lines",
                        where_text(file, section->line, section->column, where),
                        SP(section->key));
        for (const struct ynode *n = section->first; n; n = n->next) {
            err e = read_setting(s, a, file, section->key, n, f);
            if (e)
                return e;
        }
    }
    return E_OK;
}

err settings_set(struct settings *s, struct arena *a, struct span assignment, struct fault *f)
{
    size_t equals = span_find_char(assignment, '=');
    struct span left = span_trim(span_cut(assignment, 0, equals));
    size_t dot = span_find_char(left, '.');
    if (equals == assignment.n || dot == left.n)
        return fail(f, E_CONFIG, "'%.*s' is not of the form section.name=value",
                    SP(span_cut(assignment, 0, 60)));
    enum setting_id id;
    err e = find(span_cut(left, 0, dot), span_cut(left, dot + 1, left.n), "", &id, f);
    if (e)
        return e;
    return set_value(s, id, a, span_trim(span_cut(assignment, equals + 1, assignment.n)), "",
                     f);
}

/* ---- writing ---- */

static bool is_plain(struct span text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool mark = c == '/' || c == '_' || (i > 0 && (c == '.' || c == '-'));
        if (!word && !mark)
            return false;
    }
    return text.n > 0;
}

static void write_text(struct buf *out, struct span text)
{
    if (is_plain(text))
        buf_add(out, text);
    else
        json_add_string(out, text);
}

static void write_value(struct buf *out, const struct setting_row *row, struct span text)
{
    if (row->type != SETTING_LIST) {
        write_text(out, text);
        return;
    }
    struct span word;
    buf_add_char(out, '[');
    for (bool first = true; span_next(&text, ' ', &word); first = false) {
        if (!first)
            buf_add_text(out, ", ");
        write_text(out, word);
    }
    buf_add_char(out, ']');
}

static void write_help(struct buf *out, const struct setting_row *row)
{
    char lo[LIMIT_TEXT], hi[LIMIT_TEXT];
    buf_fmt(out, "  # %s", row->help);
    switch (row->type) {
    case SETTING_INT:
        buf_fmt(out, " (%lld to %lld)", (long long)row->min, (long long)row->max);
        break;
    case SETTING_DURATION:
        buf_fmt(out, " (%s to %s)", limit_text(duration_units, 5, row->min, lo),
                limit_text(duration_units, 5, row->max, hi));
        break;
    case SETTING_SIZE:
        buf_fmt(out, " (%s to %s)", limit_text(size_units, 4, row->min, lo),
                limit_text(size_units, 4, row->max, hi));
        break;
    case SETTING_ENUM:
        buf_fmt(out, " (one of: %s)", row->choices);
        break;
    case SETTING_BOOL:
    case SETTING_TEXT:
    case SETTING_LIST:
        break;
    }
    buf_add_char(out, '\n');
}

void settings_write(struct buf *out, const struct settings *s_or_null)
{
    const char *section = "";
    if (!s_or_null)
        buf_add_text(out, "# Settings of Fulmar. Every line shows the default; take the # away "
                          "to change one.\n");
    for (int i = 0; i < SETTINGS_COUNT; i++) {
        const struct setting_row *row = &rows[i];
        if (!span_is(span_of(section), row->section)) {
            section = row->section;
            buf_fmt(out, "%s%s:\n", s_or_null ? "" : "\n", section);
        }
        if (!s_or_null)
            write_help(out, row);
        buf_fmt(out, "  %s%s: ", s_or_null ? "" : "# ", row->name);
        write_value(out, row, s_or_null ? s_or_null->v[i].text : span_of(row->fallback));
        buf_add_char(out, '\n');
    }
}
