#include "extract/source.h"

#include "base/text.h"
#include "extract/token.h"

#include <stdio.h>

struct source_files { /* a map that several sources name is read once */
    struct span file[SOURCES_MAX * 4];
    const struct map *map[SOURCES_MAX * 4];
    size_t count;
};

static err read_map(struct form *site, const struct ynode *n, const char *key,
                    const struct source_reading *how, struct source_files *files,
                    const struct map **out)
{
    struct span file = form_text(site, n, key, false);
    struct form form;
    struct ynode *root;
    if (site->failed || !file.p)
        return site->failed;
    for (size_t i = 0; i < files->count; i++)
        if (span_eq(files->file[i], file)) {
            *out = files->map[i];
            return E_OK;
        }
    err e = how->load(how->ctx, file, &form, &root);
    if (e)
        return e;
    *out = map_read(&form, root, how->counters, how->paths);
    files->file[files->count] = file;
    files->map[files->count++] = *out;
    return form.failed;
}

static err read_page(struct form *site, const struct ynode *n, const struct source_reading *how,
                     struct page *out)
{
    struct span file = form_text(site, n, "page", true);
    struct form form;
    struct ynode *root;
    if (site->failed)
        return site->failed;
    err e = how->load(how->ctx, file, &form, &root);
    if (e)
        return e;
    page_read(&form, root, how->paths, out);
    page_count_rules(out, n->key, how->counters);
    return form.failed;
}

/* A map for JSON cannot read elements, nor one for documents an answer in JSON. */
static err check_locator(struct form *site, const struct ynode *n, const char *key,
                         const struct map *m, enum map_locator wanted)
{
    if (!m || m->locator == wanted)
        return E_OK;
    return form_wrong(site, ynode_find(n, key), "this source needs a map with 'locator: %s'",
                      wanted == MAP_HTML ? "html" : "json");
}

static err read_source(struct form *site, const struct ynode *n,
                       const struct source_reading *how, struct source_files *files,
                       struct source *s)
{
    static const char *const keys[] = {"role",   "as",  "page",  "post",    "user",  "head",
                                       "schema", "url", "limit", "sampled", "order", NULL};
    static const char *const roles[] = {"timeline", "user", "post", "part", NULL};
    static const char *const orders[] = {"none", "times", NULL};
    if (!form_keys(site, n, "a source", keys))
        return site->failed;
    s->op.name = n->key;
    s->as = form_text(site, n, "as", true);
    s->url = form_text(site, n, "url", false);
    s->sampled = form_bool(site, n, "sampled", false);
    s->limit = (int)form_int(site, n, "limit", 0, 1, 1000);
    form_text(site, n, "role", true);
    int role = form_word(site, ynode_find(n, "role"), "role", roles);
    s->op.role = role < 0 ? OP_TIMELINE : (enum operation_role)role;
    const struct ynode *order = ynode_find(n, "order");
    int at = order ? form_word(site, order, "order", orders) : 0;
    s->op.order = at == 1 ? ORDER_TIMES : ORDER_NONE;
    err e = read_page(site, n, how, &s->page);
    if (!e)
        e = read_map(site, n, "post", how, files, &s->post);
    if (!e)
        e = read_map(site, n, "user", how, files, &s->user);
    if (!e)
        e = read_map(site, n, "head", how, files, &s->head);
    if (!e)
        e = read_map(site, n, "schema", how, files, &s->schema);
    if (e)
        return e;
    bool json = s->page.format == PAGE_JSON || s->page.script;
    enum map_locator wanted = json ? MAP_JSON : MAP_HTML;
    e = check_locator(site, n, "post", s->post, wanted);
    if (!e)
        e = check_locator(site, n, "user", s->user, wanted);
    if (!e)
        e = check_locator(site, n, "head", s->head, MAP_HTML);
    return e ? e : check_locator(site, n, "schema", s->schema, MAP_JSON);
}

err sources_read(struct form *site, const struct ynode *map, const struct source_reading *how,
                 const struct source **out, size_t *out_count)
{
    if (!map || site->failed)
        return site->failed;
    if (map->count > SOURCES_MAX)
        return form_wrong(site, map, "more than %d sources", SOURCES_MAX);
    struct source *rows = arena_get(site->arena, (map->count + 1) * sizeof *rows);
    struct source_files files = {0};
    size_t count = 0;
    for (const struct ynode *n = map->first; n; n = n->next) {
        err e = read_source(site, n, how, &files, &rows[count++]);
        if (e)
            return e;
    }
    *out = rows;
    *out_count = count;
    return E_OK;
}

const struct operation *source_operation(const struct source *s)
{
    return &s->op;
}

/* ---- URLs ---- */

bool source_is_sampled(const struct source *s)
{
    return s->sampled;
}

static struct span instance(struct span words, struct span name)
{
    struct span word;
    while (span_next(&words, ' ', &word)) {
        size_t eq = span_find_char(word, '=');
        if (span_eq(span_cut(word, 0, eq), name))
            return span_cut(word, eq + 1, word.n);
    }
    return SPAN_NONE;
}

bool source_is_configured(const struct source *s, struct span instances)
{
    static const char *const known[] = {"base", "host",   "input", "item",
                                        "id",   "cursor", "limit", "token"};
    for (struct span rest = s->url; rest.n;) {
        rest = span_cut(rest, span_find_char(rest, '{') + 1, rest.n);
        struct span name = span_cut(rest, 0, span_find_char(rest, '}'));
        bool fine = !name.n || instance(instances, name).n;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            fine = fine || span_is(name, known[i]);
        if (!fine)
            return false;
    }
    return true;
}

/* Appends a piece of the template; false when a variable in it is not there. */
static bool fill(const struct source *s, const struct source_vars *v, struct span piece,
                 struct buf *out)
{
    char limit[24] = "", token[TOKEN_MAX] = "";
    int64_t wanted = v->limit > 0 && v->limit < s->limit ? v->limit : s->limit;
    if (wanted > 0)
        snprintf(limit, sizeof limit, "%lld", (long long)wanted);
    (void)token_of_id(v->input, token);
    const struct {
        const char *name;
        struct span value;
        bool raw;
    } rows[] = {{"base", v->base, true},
                {"host", v->host, true},
                {"input", v->input, false},
                {"item", v->item, false},
                {"id", v->id, false},
                {"cursor", v->cursor, false},
                {"limit", span_of(limit), true},
                {"token", span_of(token), true}};
    while (piece.n) {
        size_t open = span_find_char(piece, '{');
        buf_add(out, span_cut(piece, 0, open));
        piece = span_cut(piece, open, piece.n);
        if (!piece.n)
            break;
        size_t close = span_find_char(piece, '}');
        struct span name = span_cut(piece, 1, close - 1), value = instance(v->instances, name);
        bool raw = true;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            if (span_is(name, rows[i].name)) {
                value = rows[i].value;
                raw = rows[i].raw;
            }
        if (!value.n)
            return false;
        if (raw)
            buf_add(out, value);
        else
            text_add_url_escaped(out, value);
        piece = span_cut(piece, close + 1, piece.n);
    }
    return true;
}

err source_url(const struct source *s, const struct source_vars *v, struct buf *out)
{
    if (span_starts(v->cursor, SPAN("https://")) || span_starts(v->cursor, SPAN("http://"))) {
        buf_add(out, v->cursor);
        return out->failed;
    }
    size_t mark = span_find_char(s->url, '?');
    struct span query = span_cut(s->url, mark + 1, s->url.n), part;
    if (!fill(s, v, span_cut(s->url, 0, mark), out))
        return E_NOT_FOUND;
    char sign = '?';
    while (span_next(&query, '&', &part)) {
        struct buf one = BUF(16 * 1024);
        if (fill(s, v, part, &one) && !one.failed) {
            buf_add_char(out, sign);
            buf_add(out, buf_span(&one));
            sign = '&';
        }
        buf_free(&one);
    }
    return out->failed;
}
