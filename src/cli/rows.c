#include "cli/rows.h"

#include "base/text.h"
#include "os/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    RECORD_MAX = 8 * 1024 * 1024,
    LINE_MAX = 16 * 1024 * 1024,
    TEXT_LEAST = 20, /* columns a text gets at least, however narrow the terminal */
};

struct column {
    const char *title;
    const char *path; /* dotted path in the record */
    size_t width;     /* in tables: 0 = the rest of the line */
    bool right;
};

static const struct column post_csv[] = {
    {"id", "id", 0, false},
    {"url", "url", 0, false},
    {"kind", "kind", 0, false},
    {"created_at", "created_at", 0, false},
    {"author.id", "author.id", 0, false},
    {"author.screen_name", "author.screen_name", 0, false},
    {"author.name", "author.name", 0, false},
    {"text", "text", 0, false},
    {"lang", "lang", 0, false},
    {"counts.reply", "counts.reply", 0, false},
    {"counts.repost", "counts.repost", 0, false},
    {"counts.like", "counts.like", 0, false},
    {"counts.quote", "counts.quote", 0, false},
    {"counts.bookmark", "counts.bookmark", 0, false},
    {"counts.view", "counts.view", 0, false},
    {"hashtags", "hashtags", 0, false},
    {"urls", "urls", 0, false},
    {"mentions", "mentions", 0, false},
    {"media", "media", 0, false},
    {"conversation_id", "conversation_id", 0, false},
    {"reply_to.post_id", "reply_to.post_id", 0, false},
    {"quote_of", "quote_of", 0, false},
    {"repost_of", "repost_of", 0, false},
    {"is_pinned", "is_pinned", 0, false},
    {"provenance.collected_at", "provenance.collected_at", 0, false},
    {NULL, NULL, 0, false},
};
static const struct column user_csv[] = {
    {"id", "id", 0, false},
    {"screen_name", "screen_name", 0, false},
    {"name", "name", 0, false},
    {"url", "url", 0, false},
    {"created_at", "created_at", 0, false},
    {"description", "description", 0, false},
    {"location", "location", 0, false},
    {"website", "website", 0, false},
    {"counts.followers", "counts.followers", 0, false},
    {"counts.following", "counts.following", 0, false},
    {"counts.posts", "counts.posts", 0, false},
    {"counts.media", "counts.media", 0, false},
    {"counts.listed", "counts.listed", 0, false},
    {"protected", "protected", 0, false},
    {"verified.blue", "verified.blue", 0, false},
    {"verified.type", "verified.type", 0, false},
    {"state", "state", 0, false},
    {"avatar_url", "avatar_url", 0, false},
    {"collected_at", "collected_at", 0, false},
    {NULL, NULL, 0, false},
};
static const struct column post_table[] = {
    {"TIME", "created_at", 16, false}, {"AUTHOR", "author.screen_name", 15, false},
    {"LIKES", "counts.like", 8, true}, {"REPOSTS", "counts.repost", 8, true},
    {"TEXT", "text", 0, false},        {NULL, NULL, 0, false},
};
static const struct column user_table[] = {
    {"ACCOUNT", "screen_name", 15, false},       {"NAME", "name", 24, false},
    {"FOLLOWERS", "counts.followers", 10, true}, {"POSTS", "counts.posts", 9, true},
    {"DESCRIPTION", "description", 0, false},    {NULL, NULL, 0, false},
};

struct rows {
    struct rows_config config;
    const struct column *columns;
    struct column *own; /* columns of the fields that were asked for; NULL: none were */
    FILE *to;
    char *part; /* the file's name until it is whole; NULL: written straight through */
    char *path; /* as it was given, for words; NULL: standard output */
    char *name; /* the name `part` gets: `path` with its links followed */
    struct json_parser *parser;
    struct buf line;
    int64_t count;
};

static err broken(struct rows *r, const char *doing, struct fault *f)
{
    return files_fault(f, doing, r->path ? r->path : "standard output");
}

/* ---- cells ---- */

void rows_add_cell(struct buf *out, struct span text)
{
    bool formula = text.n && strchr("=+-@\t\r", text.p[0]);
    bool quote = formula;
    for (size_t i = 0; i < text.n && !quote; i++)
        quote = text.p[i] == '"' || text.p[i] == ',' || text.p[i] == '\n' || text.p[i] == '\r';
    /* The full-width forms of = + - @ count as well for some spreadsheets. */
    struct span head = span_cut(text, 0, 3);
    if (span_is(head, "\xef\xbc\x9d") || span_is(head, "\xef\xbc\x8b") ||
        span_is(head, "\xef\xbc\x8d") || span_is(head, "\xef\xbc\xa0"))
        formula = quote = true;
    if (!quote) {
        buf_add(out, text);
        return;
    }
    buf_add_char(out, '"');
    if (formula)
        buf_add_char(out, '\'');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"')
            buf_add_char(out, '"');
        buf_add_char(out, text.p[i]);
    }
    buf_add_char(out, '"');
}

/* A value as the text of a cell: texts as they are, null as nothing, lists and objects as JSON.
 */
static void add_value(struct buf *out, struct json v)
{
    struct span text;
    if (json_text(v, &text))
        buf_add(out, text);
    else if (v.doc && !json_is(v, JSON_NULL))
        json_add_raw(out, v);
}

static void add_padded(struct buf *out, struct span text, const struct column *c, size_t rest)
{
    struct buf safe = BUF(256 * 1024), cut = BUF(256 * 1024);
    size_t width = c->width ? c->width : rest;
    text_add_printable(&safe, text);
    size_t used = text_add_cut(&cut, buf_span(&safe), width);
    for (size_t i = used; c->right && i < width; i++)
        buf_add_char(out, ' ');
    buf_add(out, buf_span(&cut));
    for (size_t i = used; !c->right && c->width && i < width; i++)
        buf_add_char(out, ' ');
    buf_free(&safe);
    buf_free(&cut);
}

static size_t rest_of_line(const struct rows *r)
{
    size_t used = 0;
    for (const struct column *c = r->columns; c->title; c++)
        used += c->width ? c->width + 2 : 0;
    return r->config.columns > used + TEXT_LEAST ? r->config.columns - used : TEXT_LEAST;
}

/* "2026-02-06T21:09:45Z" as "2026-02-06 21:09". */
static void shorten_time(struct buf *cell, const struct column *c)
{
    struct span t = buf_span(cell);
    if (strcmp(c->path, "created_at") != 0 || t.n < 16 || t.p[10] != 'T')
        return;
    cell->p[10] = ' ';
    cell->n = 16;
}

/* What stands between two cells, and behind the last one. */
static const char *between(const struct rows *r)
{
    return r->config.form == SHAPE_TABLE ? "  " : r->config.form == SHAPE_CSV ? "," : "\t";
}

static void end_line(struct rows *r)
{
    buf_add_text(&r->line, r->config.form == SHAPE_CSV ? "\r\n" : "\n");
}

static void add_cell(struct rows *r, struct buf *cell, const struct column *c)
{
    if (r->config.form == SHAPE_TABLE) {
        shorten_time(cell, c);
        add_padded(&r->line, buf_span(cell), c, rest_of_line(r));
    } else if (r->config.form == SHAPE_CSV) {
        rows_add_cell(&r->line, buf_span(cell));
    } else {
        shape_add_plain(&r->line, buf_span(cell));
    }
}

static void add_record(struct rows *r, struct json record)
{
    struct buf cell = BUF(RECORD_MAX);
    for (const struct column *c = r->columns; c->title; c++) {
        if (c != r->columns)
            buf_add_text(&r->line, between(r));
        buf_clear(&cell);
        add_value(&cell, json_path(record, c->path));
        add_cell(r, &cell, c);
    }
    end_line(r);
    buf_free(&cell);
}

static void add_titles(struct rows *r)
{
    for (const struct column *c = r->columns; c->title; c++) {
        if (c != r->columns)
            buf_add_text(&r->line, between(r));
        if (r->config.form == SHAPE_TABLE)
            add_padded(&r->line, span_of(c->title), c, rest_of_line(r));
        else
            buf_add_text(&r->line, c->title);
    }
    end_line(r);
}

static err write_line(struct rows *r, struct fault *f)
{
    struct span text;
    err e = buf_end(&r->line, &text);
    if (e)
        return fail(f, e, "a record is too large to be written");
    if (text.n && fwrite(text.p, 1, text.n, r->to) != text.n)
        return broken(r, "write", f);
    buf_clear(&r->line);
    return E_OK;
}

/* ---- face ---- */

static char *copy_of_span(struct span s)
{
    return span_copy(s, heap_get(s.n + 1), s.n + 1);
}

/* The id first: without it a line is nobody's. */
static struct column *columns_of_fields(const struct fields *f)
{
    enum { WIDTH = 20 };
    struct column *all = heap_get((f->count + 2) * sizeof *all), *at = all;
    bool has_id = false;
    for (size_t i = 0; i < f->count; i++)
        has_id = has_id || span_is(f->path[i], "id");
    if (!has_id) {
        char *name = copy_of_span(SPAN("id"));
        *at++ = (struct column){name, name, WIDTH, false};
    }
    for (size_t i = 0; i < f->count; i++) {
        char *name = copy_of_span(f->path[i]);
        *at++ = (struct column){name, name, i + 1 < f->count ? WIDTH : 0, false};
    }
    return all;
}

static void free_columns(struct column *all)
{
    for (struct column *c = all; c && c->title; c++)
        free((char *)(uintptr_t)c->title);
    free(all);
}

static const struct column *columns_of(enum shape_form form, bool users)
{
    if (form == SHAPE_TABLE)
        return users ? user_table : post_table;
    return users ? user_csv : post_csv;
}

static char *copy_of(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = heap_get(n);
    memcpy(copy, text, n);
    return copy;
}

static bool is_standard_output(const struct stat *info)
{
    struct stat ours;
    return !fstat(STDOUT_FILENO, &ours) && ours.st_dev == info->st_dev &&
           ours.st_ino == info->st_ino;
}

/* A device, a pipe, our own standard output: somebody else's object, never replaced. */
static err open_through(struct rows *r, struct fault *f)
{
    int fd = open(r->path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return broken(r, "write", f);
    r->to = fdopen(fd, "w");
    if (r->to)
        return E_OK;
    close(fd);
    return broken(r, "write", f);
}

static err open_beside(struct rows *r, mode_t mode, struct fault *f)
{
    size_t n = strlen(r->name);
    r->part = heap_get(n + sizeof ".XXXXXX");
    snprintf(r->part, n + sizeof ".XXXXXX", "%s.XXXXXX", r->name);
    int fd = mkostemp(r->part, O_CLOEXEC);
    if (fd < 0) {
        free(r->part);
        r->part = NULL;
        return broken(r, "create", f);
    }
    if (fchmod(fd, mode) || !(r->to = fdopen(fd, "w"))) {
        close(fd);
        return broken(r, "create", f);
    }
    return E_OK;
}

/* Whatever can be said against the file is said here, before a job is submitted for it. */
static err open_file(struct rows *r, const char *path, struct fault *f)
{
    struct stat info;
    mode_t mask = umask(0);
    umask(mask);
    r->to = NULL;
    r->path = copy_of(path);
    if (stat(path, &info)) {
        r->name = copy_of(path);
        return open_beside(r, 0666 & ~mask, f);
    }
    if (S_ISDIR(info.st_mode))
        return fail(f, E_OS, "cannot create %s: it is a folder; name a file in it", path);
    if (is_standard_output(&info)) {
        r->to = stdout;
        return E_OK;
    }
    if (!S_ISREG(info.st_mode))
        return open_through(r, f);
    if (access(path, W_OK) || !(r->name = realpath(path, NULL)))
        return broken(r, "create", f);
    return open_beside(r, info.st_mode & 0777, f);
}

/* Closes what was opened for it; standard output stays open. */
static int close_file(struct rows *r)
{
    FILE *to = r->to;
    r->to = NULL;
    return to && to != stdout ? fclose(to) : 0;
}

/* The file is whole: it gets its name. */
static err name_file(struct rows *r, struct fault *f)
{
    if (rename(r->part, r->name))
        return broken(r, "create", f);
    free(r->part);
    r->part = NULL;
    return E_OK;
}

static void rows_free(struct rows **handle)
{
    struct rows *r = *handle;
    if (r->part)
        unlink(r->part);
    free(r->part);
    free(r->path);
    free(r->name);
    buf_free(&r->line);
    json_parser_free(&r->parser);
    free_columns(r->own);
    free(r);
    *handle = NULL;
}

err rows_open(struct rows **out, const struct rows_config *config, struct fault *f)
{
    struct rows *r = heap_new_of(struct rows);
    r->config = *config;
    r->columns = columns_of(config->form, false);
    if (config->fields && config->fields->count)
        r->columns = r->own = columns_of_fields(config->fields);
    r->line = BUF(LINE_MAX);
    r->parser = json_parser_new(RECORD_MAX);
    r->to = stdout;
    err e = config->path ? open_file(r, config->path, f) : E_OK;
    if (e) {
        close_file(r);
        rows_free(&r);
        return e;
    }
    *out = r;
    return E_OK;
}

err rows_about(struct rows *r, bool users, struct fault *f)
{
    r->columns = r->own ? r->own : columns_of(r->config.form, users);
    if (r->config.shape || (r->config.form != SHAPE_CSV && r->config.form != SHAPE_PLAIN))
        return E_OK;
    add_titles(r);
    return write_line(r, f);
}

err rows_add(struct rows *r, struct span json, struct fault *f)
{
    struct json record;
    err e = E_OK;
    if (r->config.shape) {
        e = shape_add(r->config.shape, json, &r->line, f);
    } else if (r->config.form == SHAPE_JSON || r->config.form == SHAPE_JSONL) {
        buf_add(&r->line, json);
        buf_add_char(&r->line, '\n');
    } else {
        e = json_parse(r->parser, json, &record, f);
        if (e)
            return e;
        if (r->config.form == SHAPE_TABLE && r->count == 0)
            add_titles(r);
        add_record(r, record);
    }
    r->count++;
    return e ? e : write_line(r, f);
}

int64_t rows_count(const struct rows *r)
{
    return r->count;
}

err rows_flush(struct rows *r, struct fault *f)
{
    return fflush(r->to) ? broken(r, "write", f) : E_OK;
}

err rows_close(struct rows **handle, bool keep, struct fault *f)
{
    struct rows *r = *handle;
    if (!r)
        return E_OK;
    err e = rows_flush(r, f);
    if (!e && keep && r->part && fsync(fileno(r->to)))
        e = broken(r, "write", f);
    if (close_file(r) && !e)
        e = broken(r, "write", f);
    if (!e && keep && r->part)
        e = name_file(r, f);
    rows_free(handle);
    return e;
}
