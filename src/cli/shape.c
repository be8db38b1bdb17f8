#include "cli/shape.h"

#include "cli/filter.h"
#include "cli/rows.h"

#include "base/json.h"
#include "base/text.h"

enum {
    DOCUMENT_MAX = 64 * 1024 * 1024,
    CELLS_ARENA = 256 * 1024 * 1024,
    PATH_MAX_BYTES = 4096,
    DEPTH_MAX = 64, /* of the JSON reader */
    COLUMNS_MAX = 512,
};

struct shape {
    enum shape_form form;
    struct filter *filter; /* NULL: no expression */
    struct json_parser *parser;
    struct arena *arena; /* cells of the rows at hand */
    struct span columns[COLUMNS_MAX];
    size_t column_count;
    bool titled; /* the columns are known, and written */
    bool begun;  /* a document of YAML is written */
    /* of the document at hand */
    struct buf *out;
    struct fault *fault;
};

static const char *const names[] = {"table", "json", "jsonl", "csv",
                                    "plain", "yaml", "none",  NULL};

const char *const *shape_names(void)
{
    return names;
}

bool shape_parse(struct span name, enum shape_form *out_form)
{
    for (size_t i = 0; names[i]; i++) {
        if (!span_is(name, names[i]))
            continue;
        *out_form = (enum shape_form)i;
        return true;
    }
    return false;
}

/* ---- rows of cells ---- */

struct cell {
    struct span path;
    struct json value;
    struct cell *next;
};

struct row {
    struct cell *first;
    struct row *next;
    bool is_list; /* its cells are the members of an array: there are no titles */
};

static void add_cell(struct shape *s, struct cell ***end, struct span path, struct json v)
{
    struct cell *cell = arena_new_of(s->arena, struct cell);
    *cell = (struct cell){.path = arena_keep(s->arena, path), .value = v};
    **end = cell;
    *end = &cell->next;
}

static bool is_branch(struct json v)
{
    return json_is(v, JSON_OBJECT) && json_count(v) > 0;
}

/* "author.name" for each leaf of an object; lists are leaves. */
static void add_leaves(struct shape *s, struct cell **first, struct json object)
{
    struct json_iter stack[DEPTH_MAX + 1];
    size_t lengths[DEPTH_MAX + 1], depth = 0;
    struct buf path = BUF(PATH_MAX_BYTES);
    stack[depth] = json_each(object);
    lengths[depth++] = 0;
    while (depth) {
        struct json_iter *i = &stack[depth - 1];
        path.n = lengths[depth - 1];
        if (!json_next(i)) {
            depth--;
            continue;
        }
        buf_add_text(&path, path.n ? "." : "");
        buf_add(&path, i->key);
        if (is_branch(i->value) && depth <= DEPTH_MAX) {
            stack[depth] = json_each(i->value);
            lengths[depth++] = path.n;
        } else {
            add_cell(s, &first, buf_span(&path), i->value);
        }
    }
    buf_free(&path);
}

static struct row *row_of(struct shape *s, struct json v)
{
    struct row *row = arena_new_of(s->arena, struct row);
    struct cell **end = &row->first;
    row->is_list = !json_is(v, JSON_OBJECT);
    if (!row->is_list)
        add_leaves(s, &row->first, v);
    else if (!json_is(v, JSON_ARRAY))
        add_cell(s, &end, SPAN(""), v);
    for (struct json_iter i = json_each(v); json_is(v, JSON_ARRAY) && json_next(&i);)
        add_cell(s, &end, SPAN(""), i.value);
    return row;
}

static bool has_column(const struct shape *s, struct span path)
{
    for (size_t i = 0; i < s->column_count; i++)
        if (span_eq(s->columns[i], path))
            return true;
    return false;
}

/* Something below it is a column as well: then it is null where that is not there. */
static bool is_above(const struct row *rows, struct span path)
{
    for (const struct row *r = rows; r; r = r->next)
        for (const struct cell *c = r->first; c; c = c->next)
            if (c->path.n > path.n + 1 && span_starts(c->path, path) &&
                c->path.p[path.n] == '.')
                return true;
    return false;
}

/* Columns are those of all rows that came first, in the order in which they were seen. */
static void find_columns(struct shape *s, const struct row *rows)
{
    for (const struct row *r = rows; r; r = r->next) {
        for (const struct cell *c = r->first; c && !r->is_list; c = c->next) {
            if (s->column_count == COLUMNS_MAX || has_column(s, c->path) ||
                (json_is(c->value, JSON_NULL) && is_above(rows, c->path)))
                continue;
            char *kept = heap_get(c->path.n + 1);
            s->columns[s->column_count++] = span_of(span_copy(c->path, kept, c->path.n + 1));
        }
    }
}

static void add_value(struct shape *s, struct json v)
{
    struct span text;
    struct buf raw = BUF(DOCUMENT_MAX);
    if (!json_text(v, &text)) {
        if (v.doc && !json_is(v, JSON_NULL))
            json_add_raw(&raw, v);
        text = buf_span(&raw);
    }
    if (s->form == SHAPE_CSV)
        rows_add_cell(s->out, text);
    else
        shape_add_plain(s->out, text);
    buf_free(&raw);
}

static void add_separator(struct shape *s, bool first)
{
    if (!first)
        buf_add_char(s->out, s->form == SHAPE_CSV ? ',' : '\t');
}

static void end_row(struct shape *s)
{
    buf_add_text(s->out, s->form == SHAPE_CSV ? "\r\n" : "\n");
}

static void add_titles(struct shape *s)
{
    for (size_t i = 0; i < s->column_count; i++) {
        add_separator(s, i == 0);
        if (s->form == SHAPE_CSV)
            rows_add_cell(s->out, s->columns[i]);
        else
            shape_add_plain(s->out, s->columns[i]);
    }
    end_row(s);
}

static struct json value_at(const struct row *row, struct span column)
{
    for (const struct cell *c = row->first; c; c = c->next)
        if (span_eq(c->path, column))
            return c->value;
    return JSON_MISSING;
}

static void add_row(struct shape *s, const struct row *row)
{
    bool first = true;
    for (const struct cell *c = row->first; c && row->is_list; c = c->next) {
        add_separator(s, first);
        add_value(s, c->value);
        first = false;
    }
    for (size_t i = 0; i < s->column_count && !row->is_list; i++) {
        add_separator(s, i == 0);
        add_value(s, value_at(row, s->columns[i]));
    }
    end_row(s);
}

static void add_rows(struct shape *s, const struct row *rows)
{
    if (!rows)
        return;
    if (!s->titled && !rows->is_list) {
        if (!s->column_count)
            find_columns(s, rows);
        add_titles(s);
        s->titled = true;
    }
    for (const struct row *r = rows; r; r = r->next)
        add_row(s, r);
}

void shape_add_plain(struct buf *out, struct span text)
{
    static const char special[] = "\t\n\r\\", letters[] = "tnr\\";
    for (size_t i = 0; i < text.n; i++) {
        const char *at = text.p[i] ? strchr(special, text.p[i]) : NULL;
        if (at)
            buf_add_char(out, '\\');
        buf_add_char(out, at ? letters[at - special] : text.p[i]);
    }
}

/* ---- YAML ---- */

static bool is_reserved(struct span text)
{
    static const char *const words[] = {"true", "false", "yes", "no", "on",
                                        "off",  "null",  "y",   "n",  NULL};
    for (size_t i = 0; words[i]; i++)
        if (span_eq_nocase(text, span_of(words[i])))
            return true;
    return false;
}

/* Without quotes only what no reader takes for anything but text. */
static bool is_plain(struct span text)
{
    if (!text.n || is_reserved(text) || text.p[text.n - 1] == ' ')
        return false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '/';
        bool inner = (c >= '0' && c <= '9') || c == '-' || c == '.' || c == ' ';
        if (!letter && !(inner && i))
            return false;
    }
    return true;
}

/* What YAML does not take raw: controls, separators of lines, the byte order mark. */
static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x2028 || code == 0x2029 ||
           code == 0xfeff || code == 0xfffe || code == 0xffff;
}

static void add_yaml_text(struct buf *out, struct span text)
{
    if (is_plain(text)) {
        buf_add(out, text);
        return;
    }
    buf_add_char(out, '"');
    for (size_t at = 0; at < text.n;) {
        uint32_t code = text_next(text, &at);
        if (code == '"' || code == '\\')
            buf_fmt(out, "\\%c", (char)code);
        else if (code == '\n')
            buf_add_text(out, "\\n");
        else if (is_control(code))
            buf_fmt(out, "\\u%04x", (unsigned)code);
        else
            text_add_code(out, code);
    }
    buf_add_char(out, '"');
}

static void add_yaml_scalar(struct buf *out, struct json v)
{
    struct span text;
    if (json_text(v, &text))
        add_yaml_text(out, text);
    else if (json_is(v, JSON_NONE))
        buf_add_text(out, "null");
    else
        json_add_raw(out, v); /* a number, a truth, null, {} or [] */
    buf_add_char(out, '\n');
}

struct level {
    struct json_iter each;
    size_t indent;
    bool is_list, on_line; /* on_line: its first entry goes on in the line at hand */
};

static bool is_deep(struct json v)
{
    return (json_is(v, JSON_OBJECT) || json_is(v, JSON_ARRAY)) && json_count(v) > 0;
}

static struct level level_of(struct json v, size_t indent, bool on_line)
{
    return (struct level){json_each(v), indent, json_is(v, JSON_ARRAY), on_line};
}

static void add_yaml(struct buf *out, struct json root)
{
    struct level stack[DEPTH_MAX + 1];
    size_t depth = 0;
    if (!is_deep(root)) {
        add_yaml_scalar(out, root);
        return;
    }
    stack[depth++] = level_of(root, 0, false);
    while (depth) {
        struct level *l = &stack[depth - 1];
        if (!json_next(&l->each)) {
            depth--;
            continue;
        }
        for (size_t i = 0; i < l->indent && !l->on_line; i++)
            buf_add_char(out, ' ');
        l->on_line = false;
        if (!l->is_list)
            add_yaml_text(out, l->each.key);
        bool deep = is_deep(l->each.value) && depth <= DEPTH_MAX;
        buf_add_text(out, l->is_list ? "- " : deep ? ":\n" : ": ");
        if (deep)
            stack[depth++] = level_of(l->each.value, l->indent + 2, l->is_list);
        else
            add_yaml_scalar(out, l->each.value);
    }
}

/* ---- one value in its form ---- */

static void add_line(struct shape *s, struct json v)
{
    json_add_raw(s->out, v);
    buf_add_char(s->out, '\n');
}

static void add_document(struct shape *s, struct json v)
{
    if (s->begun)
        buf_add_text(s->out, "---\n");
    s->begun = true;
    add_yaml(s->out, v);
}

static void put(struct shape *s, struct json v)
{
    switch (s->form) {
    case SHAPE_JSON:
    case SHAPE_JSONL:
        add_line(s, v);
        return;
    case SHAPE_CSV:
    case SHAPE_PLAIN:
        add_rows(s, row_of(s, v));
        return;
    case SHAPE_YAML:
        add_document(s, v);
        return;
    case SHAPE_TABLE:
    case SHAPE_NONE:
        return;
    }
}

/* ---- what the expression makes ---- */

static err on_result(void *ctx, struct span result, bool is_text)
{
    struct shape *s = ctx;
    struct json v;
    bool raw = s->form == SHAPE_JSON || s->form == SHAPE_JSONL;
    if (s->form == SHAPE_NONE)
        return E_OK;
    if (raw) {
        buf_add(s->out, result);
        buf_add_char(s->out, '\n');
        return E_OK;
    }
    struct buf quoted = BUF(DOCUMENT_MAX);
    if (is_text)
        json_add_string(&quoted, result);
    else
        buf_add(&quoted, result);
    err e = json_parse(s->parser, buf_span(&quoted), &v, s->fault);
    if (!e)
        put(s, v);
    buf_free(&quoted);
    return e;
}

/* The rows of a list as JSON texts, then each through the expression: it uses the parser as well. */
static err filter_rows(struct shape *s, struct json data, struct buf *lines)
{
    struct span rest, line;
    err e = E_OK;
    for (struct json_iter i = json_each(data); json_next(&i);) {
        json_add_raw(lines, i.value);
        buf_add_char(lines, '\n');
    }
    e = buf_end(lines, &rest);
    while (!e && span_next(&rest, '\n', &line))
        e = filter_run(s->filter, line, on_result, s, s->fault);
    return e;
}

/* ---- one document ---- */

static bool takes_rows(enum shape_form form)
{
    return form == SHAPE_JSONL || form == SHAPE_CSV || form == SHAPE_PLAIN;
}

static err add_list(struct shape *s, struct json data)
{
    struct row *first = NULL, **end = &first;
    if (s->filter) {
        struct buf lines = BUF(DOCUMENT_MAX);
        err e = filter_rows(s, data, &lines);
        buf_free(&lines);
        return e;
    }
    for (struct json_iter i = json_each(data); json_next(&i);) {
        if (s->form == SHAPE_JSONL) {
            add_line(s, i.value);
            continue;
        }
        *end = row_of(s, i.value);
        end = &(*end)->next;
    }
    add_rows(s, first);
    return E_OK;
}

static err add_one(struct shape *s, struct span text)
{
    struct json root;
    if (s->form == SHAPE_JSON && !s->filter) {
        buf_add(s->out, text);
        buf_add_char(s->out, '\n');
        return E_OK;
    }
    err e = json_parse(s->parser, text, &root, s->fault);
    if (e)
        return e;
    struct json data = json_get(root, SPAN("data"));
    if (takes_rows(s->form) && json_is(data, JSON_ARRAY))
        return add_list(s, data);
    if (s->filter)
        return filter_run(s->filter, text, on_result, s, s->fault);
    put(s, root);
    return E_OK;
}

err shape_add(struct shape *s, struct span text, struct buf *out, struct fault *f)
{
    struct span line;
    err e = E_OK;
    s->out = out;
    s->fault = f;
    while (!e && span_next(&text, '\n', &line)) {
        if (span_trim(line).n)
            e = add_one(s, line);
        arena_reset(s->arena);
    }
    if (!e && out->failed)
        e = fail(f, out->failed, "the answer is too large for this form");
    return e;
}

/* ---- its life ---- */

/* "id,state": given columns. */
static err read_columns(struct shape *s, const char *columns, struct fault *f)
{
    struct span rest = span_of(columns), name;
    while (span_next(&rest, ',', &name)) {
        if (!span_trim(name).n || s->column_count == COLUMNS_MAX)
            return fail(f, E_BAD_INPUT, "--columns needs names with commas between them");
        char *kept = heap_get(name.n + 1);
        s->columns[s->column_count++] = span_of(span_copy(span_trim(name), kept, name.n + 1));
    }
    return E_OK;
}

err shape_new(struct shape **out, enum shape_form form, const char *expression,
              const char *columns, struct fault *f)
{
    struct shape *s = heap_new_of(struct shape);
    s->form = form;
    s->parser = json_parser_new(DOCUMENT_MAX);
    s->arena = arena_new(CELLS_ARENA);
    err e = columns ? read_columns(s, columns, f) : E_OK;
    if (!e && expression)
        e = filter_new(&s->filter, expression, f);
    if (e) {
        shape_free(&s);
        return e;
    }
    *out = s;
    return E_OK;
}

void shape_free(struct shape **handle)
{
    struct shape *s = *handle;
    if (!s)
        return;
    for (size_t i = 0; i < s->column_count; i++)
        free((char *)(uintptr_t)s->columns[i].p);
    filter_free(&s->filter);
    json_parser_free(&s->parser);
    arena_free(&s->arena);
    free(s);
    *handle = NULL;
}
