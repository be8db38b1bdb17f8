#include "cli/replay.h"

#include "base/json.h"
#include "extract/reader.h"
#include "os/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BODY_MAX = 64 * 1024 * 1024,
    LINES_MAX = 64 * 1024 * 1024,
    DEPTH_MAX = 12,
    NAME_MAX_BYTES = 400,
    SHOWN_MAX = 4096,
};
#define EXPECTED ".records.ndjson"

/* The records of one recording, as they are compared: one JSON text each. */
struct lines {
    struct span *line;
    size_t count;
};

/* Bytes of the ending that marks a recording; 0: it is none. */
static size_t ending_of(const char *name)
{
    static const struct span endings[] = {{".json", 5}, {".xml", 4}, {".html", 5}};
    struct span s = span_of(name);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (span_ends(s, endings[i]))
            return endings[i].n;
    return 0;
}

static err path_of(char out[NAME_MAX_BYTES], const char *folder, const char *name,
                   const char *end, struct fault *f)
{
    int n =
        snprintf(out, NAME_MAX_BYTES, "%s/%.*s%s", folder,
                 (int)(*end ? span_of(name).n - ending_of(name) : span_of(name).n), name, end);
    return n < NAME_MAX_BYTES ? E_OK
                              : fail(f, E_TOO_BIG, "the path of %.80s is too long", name);
}

static bool is_recording(const char *name)
{
    struct span s = span_of(name);
    return ending_of(name) && !span_ends(s, SPAN(".expect.json"));
}

/* ---- reading ---- */

static const struct operation *operation_of(const struct pack *p, const char *name)
{
    size_t n = strcspn(name, "-.");
    return pack_operation(p, (struct span){name, n});
}

/* What the pack makes of the answer; its verdict on the whole as a line of its own. */
static err read_with(struct replay *r, const struct pack *p, const char *name, struct span body,
                     struct lines *out, struct fault *f)
{
    const struct operation *op = operation_of(p, name);
    struct reading reading;
    struct reader *reader = reader_new(p, BODY_MAX);
    struct fault why = {0};
    err e;
    if (op)
        e = reader_answer(reader, op, 200, SPAN_NONE, body, (wall){0}, r->arena, &reading,
                          &why);
    else
        e = reader_document(reader, (struct span){name, strcspn(name, "-.")}, 200, SPAN_NONE,
                            body, (wall){0}, r->arena, &reading, &why);
    reader_free(&reader);
    if (e == E_NOT_FOUND)
        return fail(
            f, E_BAD_INPUT,
            "%s: the name of a recording begins with an operation or a source of the pack, "
            "such as UserTweets-1.json",
            name);
    if (e)
        (void)fail(f, e, "%s", why.words);
    if (e)
        return e;
    out->line = arena_get(r->arena, (reading.count + 1) * sizeof *out->line);
    out->count = 0;
    for (size_t i = 0; i < reading.count; i++)
        out->line[out->count++] = reading.records[i].json;
    char *sum = arena_fmt(
        r->arena,
        "{\"schema\":\"reading/1\",\"id\":\"\",\"sign\":\"%s\",\"cursor\":%s,\"terminated\":%s,"
        "\"promoted\":%zu,\"unparsed\":%zu,\"rejected\":%zu}",
        failure_name(reading.sign), reading.cursor.n ? "true" : "false",
        reading.terminated ? "true" : "false", reading.promoted, reading.unparsed,
        reading.rejected);
    if (!sum)
        return E_NO_MEMORY;
    out->line[out->count++] = span_of(sum);
    r->records += reading.count;
    return E_OK;
}

static err read_expected(struct replay *r, const char *path, struct lines *out, bool *out_there,
                         struct fault *f)
{
    struct buf text = BUF(LINES_MAX);
    struct fault quiet = {0};
    err e = files_read(AT_FDCWD, path, LINES_MAX, &text, &quiet);
    *out_there = e != E_NOT_FOUND;
    if (e) {
        buf_free(&text);
        return e == E_NOT_FOUND ? E_OK : fail(f, e, "%s", quiet.words);
    }
    struct span all = arena_keep(r->arena, buf_span(&text)), line;
    size_t count = 1;
    for (size_t i = 0; i < all.n; i++)
        count += all.p[i] == '\n';
    out->line = arena_get(r->arena, count * sizeof *out->line);
    out->count = 0;
    while (span_next(&all, '\n', &line))
        if (line.n)
            out->line[out->count++] = line;
    buf_free(&text);
    return E_OK;
}

static err write_expected(const char *path, const struct lines *l, struct fault *f)
{
    struct buf text = BUF(LINES_MAX);
    struct span all;
    for (size_t i = 0; i < l->count; i++) {
        buf_add(&text, l->line[i]);
        buf_add_char(&text, '\n');
    }
    err e = buf_end(&text, &all);
    if (!e)
        e = files_write(path, all, f);
    buf_free(&text);
    return e;
}

/* ---- comparing ---- */

struct comparison {
    struct replay *replay;
    const char *recording;
    struct span id;
    char field[NAME_MAX_BYTES];
};

static struct span shown(struct replay *r, const struct buf *raw)
{
    return raw->n ? arena_keep(r->arena, span_cut(buf_span(raw), 0, SHOWN_MAX)) : SPAN_NONE;
}

static void tell(struct comparison *c, const char *field, struct span before, struct span after)
{
    struct difference d = {c->recording, c->id, field, before, after};
    c->replay->differences++;
    c->replay->on_difference(c->replay->ctx, &d);
}

static void compare(struct comparison *c, struct json before, struct json after, size_t at,
                    int depth);

static void compare_member(struct comparison *c, struct span key, struct json before,
                           struct json after, size_t at, int depth)
{
    int n = snprintf(c->field + at, sizeof c->field - at, "%s%.*s", at ? "." : "", SP(key));
    size_t end = at + (size_t)(n < 0 ? 0 : n);
    if (end < sizeof c->field)
        compare(c, before, after, end, depth + 1);
    c->field[at] = '\0';
}

/* Objects member by member; everything else as a whole, so that a list that moved is one line. */
static void compare(struct comparison *c, struct json before, struct json after, size_t at,
                    int depth)
{
    if (json_is(before, JSON_OBJECT) && json_is(after, JSON_OBJECT) && depth < DEPTH_MAX) {
        for (struct json_iter i = json_each(before); json_next(&i);)
            compare_member(c, i.key, i.value, json_get(after, i.key), at, depth);
        for (struct json_iter i = json_each(after); json_next(&i);)
            if (!json_get(before, i.key).doc)
                compare_member(c, i.key, JSON_MISSING, i.value, at, depth);
        return;
    }
    struct buf a = BUF(LINES_MAX), b = BUF(LINES_MAX);
    if (before.doc)
        json_add_raw(&a, before);
    if (after.doc)
        json_add_raw(&b, after);
    c->replay->fields++;
    if (!span_eq(buf_span(&a), buf_span(&b)))
        tell(c, c->field, shown(c->replay, &a), shown(c->replay, &b));
    buf_free(&a);
    buf_free(&b);
}

/* A record by schema and id, which may come once only in a recording; of those without an id the one
 * behind `earlier` others. */
static bool find_record(struct json_parser *parser, const struct lines *l, struct span schema,
                        struct span id, size_t earlier, struct json *out)
{
    for (size_t i = 0; i < l->count; i++) {
        struct span s = SPAN_NONE, n = SPAN_NONE;
        if (json_parse(parser, l->line[i], out, NULL))
            continue;
        (void)json_text(json_get(*out, SPAN("schema")), &s);
        (void)json_text(json_get(*out, SPAN("id")), &n);
        if (span_eq(s, schema) && span_eq(n, id) && !earlier--)
            return true;
    }
    return false;
}

/* How many records without an id and of the same schema stand before a line. */
static size_t earlier_ones(struct json_parser *parser, const struct lines *l, size_t line,
                           struct span schema, struct span id)
{
    struct json v;
    struct lines before = {l->line, line};
    size_t n = 0;
    while (!id.n && find_record(parser, &before, schema, id, n, &v))
        n++;
    return n;
}

struct parsers {
    struct json_parser *one, *other;
};

static void compare_line(struct comparison *c, const struct parsers *p, const struct lines *all,
                         size_t at, const struct lines *others, bool only_missing)
{
    struct span line = all->line[at];
    struct json mine, its;
    struct span schema = SPAN_NONE, id = SPAN_NONE;
    if (json_parse(p->one, line, &mine, NULL)) {
        tell(c, NULL, line, SPAN_NONE);
        return;
    }
    (void)json_text(json_get(mine, SPAN("schema")), &schema);
    (void)json_text(json_get(mine, SPAN("id")), &id);
    c->id = arena_keep(c->replay->arena, id);
    size_t earlier = earlier_ones(p->other, all, at, schema, id);
    if (!find_record(p->other, others, schema, id, earlier, &its))
        tell(c, NULL, only_missing ? SPAN_NONE : line, only_missing ? line : SPAN_NONE);
    else if (!only_missing)
        compare(c, mine, its, 0, 0);
}

void replay_record(struct replay *r, const char *name, struct span before, struct span after)
{
    struct comparison c = {.replay = r, .recording = name};
    struct parsers p = {json_parser_new(LINES_MAX), json_parser_new(LINES_MAX)};
    struct lines mine = {.line = &before, .count = 1}, its = {.line = &after, .count = 1};
    compare_line(&c, &p, &mine, 0, &its, false);
    json_parser_free(&p.one);
    json_parser_free(&p.other);
}

static void compare_lines(struct replay *r, const char *recording, const struct lines *before,
                          const struct lines *after)
{
    struct comparison c = {.replay = r, .recording = recording};
    struct parsers p = {json_parser_new(LINES_MAX), json_parser_new(LINES_MAX)};
    for (size_t i = 0; i < before->count; i++)
        compare_line(&c, &p, before, i, after, false);
    for (size_t i = 0; i < after->count; i++)
        compare_line(&c, &p, after, i, before, true);
    json_parser_free(&p.one);
    json_parser_free(&p.other);
}

/* ---- the face ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Calls `each` for every recording with its body; memory of one is given back before the next. */
static err each_recording(struct replay *r, const char *folder, struct fault *f,
                          err (*each)(struct replay *r, const char *folder, const char *name,
                                      struct span body, void *ctx, struct fault *f),
                          void *ctx)
{
    struct arena *names_arena = arena_new(16 * 1024 * 1024);
    char **names = NULL;
    size_t count = 0;
    err e = files_list(folder, names_arena, &names, &count, f);
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; !e && i < count; i++) {
        char path[NAME_MAX_BYTES];
        struct buf body = BUF(BODY_MAX);
        if (!is_recording(names[i]))
            continue;
        e = path_of(path, folder, names[i], "", f);
        if (!e)
            e = files_read(AT_FDCWD, path, BODY_MAX, &body, f);
        if (!e)
            e = each(r, folder, names[i], buf_span(&body), ctx, f);
        buf_free(&body);
        arena_reset(r->arena);
        r->recordings++;
    }
    arena_free(&names_arena);
    if (!e && !r->recordings)
        e = fail(f, E_NOT_FOUND, "no recording (OPERATION-name.json) in %.200s", folder);
    return e;
}

struct test {
    const struct pack *pack, *other;
    bool accept;
};

static err test_one(struct replay *r, const char *folder, const char *name, struct span body,
                    void *ctx, struct fault *f)
{
    const struct test *t = ctx;
    char path[NAME_MAX_BYTES];
    struct lines is = {0}, expected = {0};
    bool there = false;
    err e = path_of(path, folder, name, EXPECTED, f);
    if (!e)
        e = read_with(r, t->pack, name, body, &is, f);
    if (!e && t->accept)
        return write_expected(path, &is, f);
    if (!e)
        e = read_expected(r, path, &expected, &there, f);
    if (e)
        return e;
    if (there)
        compare_lines(r, name, &expected, &is);
    else
        r->unexpected++;
    return E_OK;
}

static err diff_one(struct replay *r, const char *folder, const char *name, struct span body,
                    void *ctx, struct fault *f)
{
    const struct test *t = ctx;
    struct lines before = {0}, after = {0};
    (void)folder;
    err e = read_with(r, t->pack, name, body, &before, f);
    if (!e)
        e = read_with(r, t->other, name, body, &after, f);
    if (!e)
        compare_lines(r, name, &before, &after);
    return e;
}

err replay_test(struct replay *r, const struct pack *p, const char *folder, bool accept,
                struct fault *f)
{
    struct test t = {.pack = p, .accept = accept};
    return each_recording(r, folder, f, test_one, &t);
}

err replay_diff(struct replay *r, const struct pack *before, const struct pack *after,
                const char *folder, struct fault *f)
{
    struct test t = {.pack = before, .other = after};
    return each_recording(r, folder, f, diff_one, &t);
}
