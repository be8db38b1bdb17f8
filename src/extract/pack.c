#include "extract/site.h"

#include "base/json.h"
#include "base/need.h"
#include "base/text.h"
#include "extract/packs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    PACK_ARENA_BYTES = 32 * 1024 * 1024,
    PACK_FILE_BYTES = 1024 * 1024,
    PACK_FILES_BYTES = 16 * 1024 * 1024,
    PACK_TURNS_MAX = 100000,
};

/* ---- files ---- */

struct loader {
    struct pack *pack;
    int sites_dirfd;
    struct span image; /* read from there when it is not empty */
    const char *name;
    struct fault *fault;
    uint64_t hash;
};

static err read_all(int fd, struct buf *out)
{
    for (;;) {
        char *room = buf_room(out, 16 * 1024);
        if (!room)
            return E_TOO_BIG;
        ssize_t n = read(fd, room, 16 * 1024);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return E_OS;
        if (n == 0)
            return E_OK;
        out->n += (size_t)n;
    }
}

static err read_path(const struct loader *l, const char *path, struct buf *out)
{
    struct span text;
    if (l->image.n) {
        if (!image_find(l->image, span_of(path), &text))
            return fail(l->fault, E_NOT_FOUND, "%s: there is no such file", path);
        buf_add(out, text);
        return out->failed;
    }
    int fd = openat(l->sites_dirfd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return fail(l->fault, E_NOT_FOUND, "%s: there is no such file", path);
    if (fd < 0)
        return fail(l->fault, E_OS, "%s: cannot be opened: %s", path, strerrordesc_np(errno));
    err e = read_all(fd, out);
    close(fd);
    return e ? fail(l->fault, e, "%s: %s", path,
                    e == E_TOO_BIG ? "the file is larger than 1 MiB" : "cannot be read")
             : E_OK;
}

/* A file of the pack: relative, nothing above the pack's own directory. */
static err load_file(struct loader *l, const char *file, struct span *out_text)
{
    char path[512];
    struct buf text = BUF(PACK_FILE_BYTES);
    if (file[0] == '/' || strstr(file, ".."))
        return fail(l->fault, E_CONFIG,
                    "%s/%s: a pack may name only files below its own directory", l->name, file);
    if (snprintf(path, sizeof path, "%s/%s", l->name, file) >= (int)sizeof path)
        return fail(l->fault, E_CONFIG, "%s: file name is too long", l->name);
    err e = read_path(l, path, &text);
    *out_text = e ? SPAN_NONE : arena_keep(l->pack->arena, buf_span(&text));
    buf_free(&text);
    if (e)
        return e;
    if (!out_text->p)
        return fail(l->fault, E_TOO_BIG, "%s: the pack is too large", path);
    image_add(&l->pack->files, span_of(path), *out_text);
    if (l->pack->files.failed)
        return fail(l->fault, E_TOO_BIG, "%s: the pack is too large", path);
    l->hash = span_hash(*out_text, l->hash);
    return E_OK;
}

/* Reads and parses; the form is then ready for the tree. */
static err load_tree(struct loader *l, const char *file, struct form *form,
                     struct ynode **out_root)
{
    struct span text;
    err e = load_file(l, file, &text);
    if (e)
        return e;
    *form = (struct form){
        .file = arena_fmt(l->pack->arena, "%s/%s", l->name, file),
        .arena = l->pack->arena,
        .fault = l->fault,
    };
    return yaml_parse(l->pack->arena, form->file, text, out_root, l->fault);
}

/* ---- site.yaml ---- */

static void read_input(struct form *f, const struct ynode *n, struct input_rule *r)
{
    static const char *const keys[] = {
        "accepts", "example", "strip", "characters", "needs_letter", "longest", "reserved",
        "also",    "host",    "url",   "after",      "ends",         "split",   NULL};
    static const char *const classes[] = {"letters",       "digits", "underscore",
                                          "other_letters", "any",    NULL};
    if (!form_keys(f, n, "an input", keys))
        return;
    r->name = n->key;
    r->accepts = form_text(f, n, "accepts", true);
    r->example = form_text(f, n, "example", true);
    r->strip_count = form_texts(f, n, "strip", false, &r->strips);
    r->needs_letter = form_bool(f, n, "needs_letter", false);
    r->also = form_text(f, n, "also", false);
    r->host = form_bool(f, n, "host", false);
    r->after_count = form_texts(f, n, "after", false, &r->afters);
    r->ends = form_text(f, n, "ends", false);
    r->split = form_text(f, n, "split", false);
    r->url = form_bool(f, n, "url", false);
    r->longest = (size_t)form_int(f, n, "longest", 100, 1, 4096);
    r->reserved_count = form_texts(f, n, "reserved", false, &r->reserved);
    const struct ynode *list = form_list(f, n, "characters", true);
    bool *const flags[] = {&r->letters, &r->digits, &r->underscore, &r->other_letters, &r->any};
    for (const struct ynode *k = list ? list->first : NULL; k; k = k->next) {
        int i = form_word(f, k, "kind of character", classes);
        if (i >= 0)
            *flags[i] = true;
    }
}

static void read_inputs(struct form *f, const struct ynode *map, struct pack *p)
{
    struct input_rule *rows = arena_get(f->arena, ((map ? map->count : 0) + 1) * sizeof *rows);
    for (const struct ynode *n = map ? map->first : NULL; n && !f->failed; n = n->next)
        read_input(f, n, &rows[p->input_count++]);
    p->inputs = rows;
}

static void read_operation(struct form *f, const struct ynode *n, struct operation *o)
{
    static const char *const keys[] = {"role", "cursor", "order", NULL};
    static const char *const cursor_keys[] = {"parameter", "member", NULL};
    static const char *const roles[] = {"timeline", "user", "post", NULL};
    static const char *const orders[] = {"none", "entries", "ids", NULL};
    if (!form_keys(f, n, "an operation", keys))
        return;
    const struct ynode *order = ynode_find(n, "order");
    int at = order ? form_word(f, order, "order", orders) : 0;
    o->order = at > 0 ? (enum list_order)at : ORDER_NONE;
    o->name = n->key;
    const struct ynode *role = ynode_find(n, "role");
    if (!role)
        form_wrong(f, n, "'role' is missing here");
    int which = form_word(f, role, "role", roles);
    o->role = which < 0 ? OP_TIMELINE : (enum operation_role)which;
    const struct ynode *cursor = form_map(f, n, "cursor", false);
    if (!cursor || !form_keys(f, cursor, "cursor", cursor_keys))
        return;
    o->cursor_parameter = form_text(f, cursor, "parameter", true);
    o->cursor_member = form_text(f, cursor, "member", true);
}

static void read_operations(struct form *f, const struct ynode *map, struct pack *p)
{
    struct operation *rows = arena_get(f->arena, ((map ? map->count : 0) + 1) * sizeof *rows);
    for (const struct ynode *n = map ? map->first : NULL; n && !f->failed; n = n->next)
        read_operation(f, n, &rows[p->operation_count++]);
    p->operations = rows;
}

/* A word that has to be the name of an input or operation: index, or -1 with a suggestion. */
static int find_name(struct form *f, const struct ynode *at, const char *what, struct span name,
                     size_t count, struct span (*name_of)(const struct pack *p, size_t i),
                     const struct pack *p)
{
    const char **words = arena_get(f->arena, (count + 1) * sizeof *words);
    for (size_t i = 0; i < count; i++)
        words[i] = arena_text(f->arena, name_of(p, i));
    struct ynode node = {.kind = YNODE_TEXT, .text = name};
    node.line = at ? at->line : 1;
    node.column = at ? at->column : 1;
    return form_word(f, &node, what, words);
}

static struct span input_name(const struct pack *p, size_t i)
{
    return p->inputs[i].name;
}

static struct span operation_name(const struct pack *p, size_t i)
{
    return p->operations[i].name;
}

static void read_limits(struct form *f, const struct ynode *n, struct plan_step *s)
{
    s->end_repeat_pages = (int)form_int(f, n, "end_repeat_pages", 3, 1, 100);
    s->turns_max = (int)form_int(f, n, "turns_max", 1000, 1, PACK_TURNS_MAX);
    s->reopen_pages = (int)form_int(f, n, "reopen_pages", 0, 0, PACK_TURNS_MAX);
    s->own_posts_only = form_bool(f, n, "own_posts_only", false);
    s->shows_at_most = form_int(f, n, "shows_at_most", 0, 0, PACK_TURNS_MAX);
    static const char *const claims[PLAN_CLAIMS + 1] = {"posts", "media", "followers",
                                                        "following", NULL};
    const struct ynode *claim = ynode_find(n, "claimed");
    int which = claim ? form_word(f, claim, "number of a profile", claims) : CLAIM_POSTS;
    s->claim = which < 0 ? CLAIM_POSTS : (enum plan_claim)which;
}

static void read_capture(struct form *f, const struct ynode *n, const struct pack *p,
                         struct target *t)
{
    static const char *const keys[] = {"operations",   "end_repeat_pages", "turns_max",
                                       "reopen_pages", "own_posts_only",   "claimed",
                                       "more",         "shows_at_most",    NULL};
    if (!form_keys(f, n, "capture", keys))
        return;
    struct plan_step *s = &t->steps[t->step_count++];
    const struct span *names = NULL;
    size_t count = form_texts(f, n, "operations", true, &names);
    struct operation *ops = arena_get(f->arena, (count + 1) * sizeof *ops);
    for (size_t i = 0; i < count && !f->failed; i++) {
        int at = find_name(f, ynode_find(n, "operations"), "operation", names[i],
                           p->operation_count, operation_name, p);
        if (at >= 0)
            ops[t->operation_count++] = p->operations[at];
        s->wants_timeline |= at >= 0 && p->operations[at].role != OP_USER;
    }
    t->operations = ops;
    t->more = form_text(f, n, "more", false);
    s->strategy = PLAN_CAPTURE;
    read_limits(f, n, s);
}

static void read_classes(struct form *f, const struct ynode *n, const char *key,
                         bool out[FAILURE_COUNT])
{
    const struct ynode *list = form_list(f, n, key, false);
    const char *names[FAILURE_COUNT + 1] = {NULL};
    for (int i = 0; i < FAILURE_COUNT; i++)
        names[i] = failure_name((enum failure_class)i);
    for (const struct ynode *k = list ? list->first : NULL; k && !f->failed; k = k->next) {
        int class = form_word(f, k, "failure class", names);
        if (class >= 0)
            out[class] = true;
    }
}

static void read_after(struct form *f, const struct ynode *n, struct plan_step *s)
{
    read_classes(f, n, "after", s->after);
    s->has_after = ynode_find(n, "after") != NULL;
}

/* Its source is found when the sources are read: link_shown(). */
static void read_dom(struct form *f, const struct ynode *n, struct target *t)
{
    static const char *const keys[] = {
        "source", "end_repeat_pages", "turns_max", "retries", "own_posts_only", "no_others",
        "after",  "shows_at_most",    "url",       NULL};
    if (!form_keys(f, n, "dom", keys))
        return;
    struct plan_step *s = &t->steps[t->step_count++];
    s->strategy = PLAN_DOM;
    read_after(f, n, s);
    form_text(f, n, "source", true);
    t->shown_url = form_text(f, n, "url", false);
    s->no_others = form_bool(f, n, "no_others", false);
    s->retries_max = (int)form_int(f, n, "retries", 3, 0, 20);
    read_limits(f, n, s);
}

/* The names become sources when these are read: link_target(). */
static void read_fetch(struct form *f, const struct ynode *n, struct target *t)
{
    static const char *const keys[] = {
        "sources", "end_repeat_pages", "turns_max", "own_posts_only", "no_others", "after",
        NULL};
    if (!form_keys(f, n, "fetch", keys))
        return;
    struct plan_step *s = &t->steps[t->step_count++];
    s->strategy = PLAN_FETCH;
    read_after(f, n, s);
    t->source_count = form_texts(f, n, "sources", true, &t->source_names);
    s->no_others = form_bool(f, n, "no_others", false);
    read_limits(f, n, s);
}

/* As they stand in `strategies`; without it in the order of enum plan_strategy. */
static void read_order(struct form *f, const struct ynode *n, struct target *t)
{
    const char *const names[] = {plan_strategy_name(PLAN_CAPTURE), plan_strategy_name(PLAN_DOM),
                                 plan_strategy_name(PLAN_FETCH), NULL};
    const struct ynode *list = form_list(f, n, "strategies", false);
    struct plan_step sorted[PLAN_STRATEGIES];
    size_t count = 0;
    if (!list || f->failed)
        return;
    for (const struct ynode *k = list->first; k && !f->failed; k = k->next) {
        int wanted = form_word(f, k, "strategy", names);
        for (size_t i = 0; i < t->step_count && count < PLAN_STRATEGIES; i++)
            if ((int)t->steps[i].strategy == wanted)
                sorted[count++] = t->steps[i];
    }
    if (!f->failed && count != t->step_count)
        form_wrong(f, list, "'strategies' names each strategy of the target once");
    if (!f->failed)
        memcpy(t->steps, sorted, count * sizeof sorted[0]);
}

static void read_target(struct form *f, const struct ynode *n, const struct pack *p,
                        struct target *t)
{
    static const char *const keys[] = {"input",    "url",        "needs_session", "capture",
                                       "fetch",    "strategies", "fallback_on",   "records",
                                       "products", "thread",     "dom",           "order",
                                       "older",    "include",    "depth",         NULL};
    static const char *const orders[] = {"time", "ranked", NULL};
    if (!form_keys(f, n, "a target", keys))
        return;
    t->kind = n->key;
    t->url = form_text(f, n, "url", true);
    t->needs_session = form_bool(f, n, "needs_session", false);
    target_read_records(f, n, t);
    target_read_inclusions(f, n, t);
    const struct ynode *order = ynode_find(n, "order");
    t->ranked = order && form_word(f, order, "order", orders) == 1;
    t->older = form_text(f, n, "older", false);
    struct span input = form_text(f, n, "input", true);
    int at = f->failed ? -1
                       : find_name(f, ynode_find(n, "input"), "input", input, p->input_count,
                                   input_name, p);
    if (at >= 0)
        t->input = &p->inputs[at];
    const struct ynode *capture = form_map(f, n, "capture", false);
    const struct ynode *dom = form_map(f, n, "dom", false);
    const struct ynode *fetch = form_map(f, n, "fetch", false);
    if (capture)
        read_capture(f, capture, p, t);
    if (dom)
        read_dom(f, dom, t);
    if (fetch)
        read_fetch(f, fetch, t);
    if (!f->failed && t->step_count == 0)
        form_wrong(f, n, "a target needs a strategy: capture, dom, fetch");
    read_order(f, n, t);
    read_classes(f, n, "fallback_on", t->fallback_on);
}

static void read_targets(struct form *f, const struct ynode *map, struct pack *p)
{
    size_t n = map ? map->count : 0;
    struct target *rows = arena_get(f->arena, (n + 1) * sizeof *rows);
    struct span *kinds = arena_get(f->arena, (n + 1) * sizeof *kinds);
    for (const struct ynode *k = map ? map->first : NULL; k && !f->failed; k = k->next) {
        read_target(f, k, p, &rows[p->target_count]);
        kinds[p->target_count++] = k->key;
    }
    p->targets = rows;
    p->kinds = kinds;
}

/* Names of servers that stand in the URLs of sources; without a URL it is the operator who says it. */
static void read_instances(struct form *f, const struct ynode *map, struct pack *p)
{
    struct buf words = BUF(4096);
    for (const struct ynode *n = map ? map->first : NULL; n && !f->failed; n = n->next) {
        struct span url = form_text(f, map, arena_text(f->arena, n->key), true);
        if (url.n && !span_starts(url, SPAN("https://")))
            form_wrong(f, n, "an instance is https://host, or empty where there is none");
        if (url.n)
            buf_fmt(&words, "%s%.*s=%.*s", words.n ? " " : "", SP(n->key), SP(url));
    }
    p->instances = arena_keep(f->arena, buf_span(&words));
    buf_free(&words);
}

static void read_expressions(struct form *f, const struct ynode *map, struct pack *p)
{
    struct expression *rows = arena_get(f->arena, ((map ? map->count : 0) + 1) * sizeof *rows);
    for (const struct ynode *n = map ? map->first : NULL; n && !f->failed; n = n->next) {
        if (n->kind != YNODE_TEXT)
            form_wrong(f, n, "an expression has to be text");
        rows[p->expression_count++] = (struct expression){n->key, span_trim(n->text)};
    }
    p->expressions = rows;
}

static err read_map_file(struct loader *l, struct form *site, const struct ynode *files,
                         const char *key, const struct map **out)
{
    struct span file = form_text(site, files, key, true);
    struct form form;
    struct ynode *root;
    if (site->failed)
        return site->failed;
    err e = load_tree(l, arena_text(l->pack->arena, file), &form, &root);
    if (e)
        return e;
    *out = map_read(&form, root, &l->pack->counters, &l->pack->paths);
    return form.failed;
}

static bool uses_capture(const struct pack *p)
{
    return pack_needs_page(p, SPAN_NONE, SPAN_NONE);
}

static err read_files(struct loader *l, struct form *site, const struct ynode *files)
{
    static const char *const keys[] = {"post", "user", "timeline", "signs", NULL};
    struct pack *p = l->pack;
    struct form form;
    struct ynode *root;
    if (!form_keys(site, files, "files", keys))
        return site->failed ? site->failed : E_CONFIG;
    err e = E_OK;
    if (uses_capture(p)) {
        e = read_map_file(l, site, files, "post", &p->post);
        if (!e)
            e = read_map_file(l, site, files, "user", &p->user);
        struct span timeline = form_text(site, files, "timeline", true);
        if (!e)
            e = site->failed;
        if (!e)
            e = load_tree(l, arena_text(p->arena, timeline), &form, &root);
        if (e)
            return e;
        envelope_read(&form, root, &p->counters, &p->envelope);
        if (form.failed)
            return form.failed;
    }
    struct span signs = form_text(site, files, "signs", true);
    if (site->failed)
        return site->failed;
    e = load_tree(l, arena_text(p->arena, signs), &form, &root);
    if (e)
        return e;
    signs_read(&form, root, &p->signs);
    return form.failed;
}

static err load_source_file(void *ctx, struct span file, struct form *out_form,
                            struct ynode **out_root)
{
    struct loader *l = ctx;
    return load_tree(l, arena_text(l->pack->arena, file), out_form, out_root);
}

static struct span source_name(const struct pack *p, size_t i)
{
    return p->sources[i].op.name;
}

/* What the page shows is read as a document, by a source of the pack. */
static void link_shown(struct form *f, const struct ynode *n, const struct pack *p,
                       struct target *t)
{
    static const char *const needed[] = {"watch", "more", "retry", "state"};
    const struct ynode *at = form_map(f, n, "dom", false);
    at = at ? ynode_find(at, "source") : NULL;
    int which = at ? find_name(f, at, "source", at->text, p->source_count, source_name, p) : -1;
    if (which < 0)
        return;
    t->shown = &p->sources[which];
    for (size_t i = 0; i < t->step_count; i++)
        if (t->steps[i].strategy == PLAN_DOM)
            t->steps[i].wants_timeline = t->shown->op.role == OP_TIMELINE;
    if (t->shown->page.format != PAGE_HTML || t->shown->page.script)
        form_wrong(f, at, "'dom' needs a source of the format html");
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!f->failed && !pack_expression(p, span_of(needed[i])).n)
            form_wrong(f, at, "'dom' needs the expression '%s'", needed[i]);
}

struct linked { /* what the sources of a list have */
    bool list, records;
};

/* Names of sources become sources. */
static struct linked link_names(struct form *f, const struct ynode *at, const struct pack *p,
                                const struct span *names, size_t count,
                                const struct source **out)
{
    struct linked has = {0};
    for (size_t i = 0; i < count && !f->failed; i++) {
        int which = find_name(f, at, "source", names[i], p->source_count, source_name, p);
        if (which < 0)
            break;
        out[i] = &p->sources[which];
        bool was_list = has.list;
        has.list = has.list || out[i]->op.role == OP_TIMELINE;
        has.records = has.records || out[i]->op.role != OP_USER;
        if (!out[i]->url.n)
            form_wrong(f, at, "source '%.*s' has no 'url' to fetch", SP(names[i]));
        else if (was_list && out[i]->op.role != OP_TIMELINE && out[i]->op.role != OP_POST)
            form_wrong(f, at, "lists have to be the last of the sources");
    }
    return has;
}

static bool has_step(const struct target *t, enum plan_strategy s)
{
    for (size_t i = 0; i < t->step_count; i++)
        if (t->steps[i].strategy == s)
            return true;
    return false;
}

/* A product reads what its target reads, unless it says which of it, or from where. */
static void link_product(struct form *f, const struct ynode *n, const struct pack *p,
                         const struct target *t, struct product *product)
{
    for (int s = 0; s < PLAN_STRATEGIES && !f->failed; s++)
        if (product->reads[s] && !has_step(t, (enum plan_strategy)s))
            form_wrong(f, ynode_find(n, "strategies"), "the target has no strategy '%s'",
                       plan_strategy_name((enum plan_strategy)s));
    const struct ynode *at = ynode_find(n, "sources");
    if (f->failed || !at)
        return;
    if (!has_step(t, PLAN_FETCH)) {
        form_wrong(f, at, "the target has no strategy 'fetch'");
        return;
    }
    product->sources =
        arena_get(f->arena, (product->source_count + 1) * sizeof *product->sources);
    link_names(f, at, p, product->source_names, product->source_count, product->sources);
}

/* A step that has more than the account wants it. */
static err link_target(struct form *f, const struct ynode *n, const struct pack *p,
                       struct target *t)
{
    const struct ynode *at = form_map(f, n, "fetch", false);
    const struct ynode *product = form_map(f, n, "products", false);
    at = at ? ynode_find(at, "sources") : NULL;
    link_shown(f, n, p, t);
    t->sources = arena_get(f->arena, (t->source_count + 1) * sizeof *t->sources);
    struct linked has = link_names(f, at, p, t->source_names, t->source_count, t->sources);
    for (size_t i = 0; i < t->step_count; i++)
        if (t->steps[i].strategy == PLAN_FETCH)
            t->steps[i].wants_timeline = has.records;
    product = product ? product->first : NULL;
    for (size_t i = 0; i < t->product_count && product && !f->failed;
         i++, product = product->next)
        link_product(f, product, p, t, &t->products[i]);
    target_link_inclusions(f, n, p, t);
    return f->failed;
}

static err read_sources(struct loader *l, struct form *site, const struct ynode *root)
{
    struct pack *p = l->pack;
    const struct source_reading how = {load_source_file, l, &p->counters, &p->paths};
    err e = sources_read(site, form_map(site, root, "sources", false), &how, &p->sources,
                         &p->source_count);
    const struct ynode *n = form_map(site, root, "targets", true);
    n = n ? n->first : NULL;
    for (size_t i = 0; i < p->target_count && !e && n; i++, n = n->next)
        e = link_target(site, n, p, &p->targets[i]);
    return e;
}

static bool fine_name(const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return n > 0 && n <= 64;
}

static void read_site(struct form *f, const struct ynode *root, struct pack *p,
                      int64_t *out_number)
{
    static const char *const keys[] = {
        "name",   "version",    "base_url",      "hosts",       "blocked", "files",
        "inputs", "operations", "targets",       "expressions", "sources", "any_redirect",
        "media",  "instances",  "login_cookies", NULL};
    if (!form_keys(f, root, "site.yaml", keys))
        return;
    p->name = form_text(f, root, "name", true);
    *out_number = form_int(f, root, "version", 1, 1, 1000000);
    p->base_url = form_text(f, root, "base_url", true);
    p->any_redirect = form_bool(f, root, "any_redirect", false);
    /* A target that is a URL is its own base. */
    bool own = span_is(p->base_url, "{input}");
    if (!f->failed && !own &&
        (!(span_starts(p->base_url, SPAN("https://")) ||
           span_starts(p->base_url, SPAN("http://"))) ||
         span_ends(p->base_url, SPAN("/"))))
        form_wrong(f, ynode_find(root, "base_url"),
                   "'base_url' is https://host without a slash at the end");
    p->host_count = form_texts(f, root, "hosts", true, &p->hosts);
    p->blocked_count = form_texts(f, root, "blocked", false, &p->blocked);
    p->login_cookie_count = form_texts(f, root, "login_cookies", false, &p->login_cookies);
    read_inputs(f, form_map(f, root, "inputs", true), p);
    read_operations(f, form_map(f, root, "operations", false), p);
    read_targets(f, form_map(f, root, "targets", true), p);
    read_expressions(f, form_map(f, root, "expressions", uses_capture(p)), p);
    media_read(f, form_map(f, root, "media", false), p);
    read_instances(f, form_map(f, root, "instances", false), p);
}

static err load_site(struct loader *l)
{
    struct form form;
    struct ynode *root;
    struct pack *p = l->pack;
    err e = load_tree(l, "site.yaml", &form, &root);
    if (e)
        return e;
    read_site(&form, root, p, &p->number);
    if (form.failed)
        return form.failed;
    const struct ynode *files = form_map(&form, root, "files", true);
    e = form.failed ? form.failed : read_files(l, &form, files);
    if (!e)
        e = read_sources(l, &form, root);
    if (e)
        return e;
    if (!span_is(p->name, l->name))
        return form_wrong(&form, ynode_find(root, "name"),
                          "the pack calls itself '%.*s' but lies in '%s'", SP(p->name),
                          l->name);
    p->version = span_of(arena_fmt(p->arena, "%lld-%08x", (long long)p->number,
                                   (unsigned)(l->hash ^ (l->hash >> 32))));
    return E_OK;
}

static err open_with(struct loader *l, struct pack **out)
{
    if (!fine_name(l->name))
        return fail(l->fault, E_CONFIG, "a site's name is letters, digits, '-' and '_' only");
    struct pack *p = heap_new_of(struct pack);
    p->holders = 1;
    p->arena = arena_new(PACK_ARENA_BYTES);
    p->files = BUF(PACK_FILES_BYTES);
    p->counters.row = heap_get(MAP_FIELDS_MAX * sizeof *p->counters.row);
    l->pack = p;
    err e = load_site(l);
    if (e) {
        pack_close(&p);
        return e;
    }
    *out = p;
    return E_OK;
}

err pack_open(struct pack **out, int sites_dirfd, const char *name, struct fault *f)
{
    struct loader l = {.sites_dirfd = sites_dirfd, .name = name, .fault = f};
    return open_with(&l, out);
}

err pack_open_image(struct pack **out, struct span image, const char *name, struct fault *f)
{
    struct loader l = {.sites_dirfd = -1, .image = image, .name = name, .fault = f};
    if (!image.n)
        return fail(f, E_NOT_FOUND, "%s: there is no such pack", name);
    return open_with(&l, out);
}

struct pack *pack_hold(struct pack *p)
{
    need(p->holders > 0);
    p->holders++;
    return p;
}

void pack_close(struct pack **p)
{
    if (!*p)
        return;
    if (--(*p)->holders > 0) {
        *p = NULL;
        return;
    }
    html_paths_free(&(*p)->paths);
    buf_free(&(*p)->files);
    arena_free(&(*p)->arena);
    free((*p)->counters.row);
    free(*p);
    *p = NULL;
}

/* ---- asking ---- */

struct span pack_name(const struct pack *p)
{
    return p->name;
}

struct span pack_version(const struct pack *p)
{
    return p->version;
}

struct span pack_image(const struct pack *p)
{
    return buf_span(&p->files);
}

void pack_put_name(struct json_w *w, const struct pack *p)
{
    size_t dash = span_find_char(p->version, '-');
    json_kv_text(w, "name", p->name);
    json_kv_int(w, "version", p->number);
    json_kv_text(w, "hash", span_cut(p->version, dash + 1, p->version.n));
}

struct span pack_base_url(const struct pack *p)
{
    return p->base_url;
}

bool pack_any_redirect(const struct pack *p)
{
    return p->any_redirect;
}

size_t pack_hosts(const struct pack *p, const struct span **out_hosts)
{
    *out_hosts = p->hosts;
    return p->host_count;
}

size_t pack_blocked(const struct pack *p, const struct span **out_patterns)
{
    *out_patterns = p->blocked;
    return p->blocked_count;
}

size_t pack_login_cookies(const struct pack *p, const struct span **out_names)
{
    *out_names = p->login_cookies;
    return p->login_cookie_count;
}

struct span pack_limited_as(const struct pack *p, struct span kind)
{
    struct target_view t;
    if (!pack_target_view(p, kind, &t) || !t.operation_count)
        return kind;
    for (size_t i = 0; i < t.operation_count; i++)
        if (t.operations[i].role == OP_TIMELINE)
            return t.operations[i].name;
    return t.operations[0].name;
}

size_t pack_targets(const struct pack *p, const struct span **out_kinds)
{
    *out_kinds = p->kinds;
    return p->target_count;
}

static const struct target *target_of(const struct pack *p, struct span kind)
{
    for (size_t i = 0; i < p->target_count; i++)
        if (span_eq(p->targets[i].kind, kind))
            return &p->targets[i];
    return NULL;
}

bool pack_target_view(const struct pack *p, struct span kind, struct target_view *out)
{
    const struct target *t = target_of(p, kind);
    if (!t)
        return false;
    *out = (struct target_view){.kind = t->kind,
                                .accepts = t->input->accepts,
                                .example = t->input->example,
                                .url = t->url,
                                .needs_session = t->needs_session,
                                .users = t->product_count ? t->products[0].users : t->users,
                                .depth = t->depth,
                                .products = t->product_names,
                                .product_count = t->product_count,
                                .operations = t->operations,
                                .operation_count = t->operation_count,
                                .sources = t->source_names,
                                .source_count = t->source_count};
    return true;
}

const struct operation *pack_operation(const struct pack *p, struct span name)
{
    for (size_t i = 0; i < p->operation_count; i++)
        if (span_eq(p->operations[i].name, name))
            return &p->operations[i];
    return NULL;
}

struct span pack_expression(const struct pack *p, struct span name)
{
    for (size_t i = 0; i < p->expression_count; i++)
        if (span_eq(p->expressions[i].name, name))
            return p->expressions[i].text;
    return SPAN_NONE;
}

/* ---- targets ---- */

enum { KINDS_MAX = 64 };

err pack_find_target(const struct pack *p, struct span kind, const struct target **out,
                     struct fault *f)
{
    const struct target *t = target_of(p, kind);
    if (t) {
        *out = t;
        return E_OK;
    }
    char names[KINDS_MAX][64], list[160];
    const char *words[KINDS_MAX + 1] = {NULL};
    size_t n = p->target_count < KINDS_MAX ? p->target_count : KINDS_MAX;
    struct buf all = BUF(sizeof list - 1);
    for (size_t i = 0; i < n; i++) {
        words[i] = span_copy(p->kinds[i], names[i], sizeof names[i]);
        buf_fmt(&all, "%s%s", i ? ", " : "", words[i]);
    }
    span_copy(buf_span(&all), list, sizeof list);
    buf_free(&all);
    const char *near = text_nearest(kind, words);
    int shown = (int)(kind.n > 40 ? 40 : kind.n);
    if (near)
        return fail(f, E_BAD_INPUT, "unknown kind of target '%.*s'; did you mean '%s'?", shown,
                    kind.p ? kind.p : "", near);
    return fail(f, E_BAD_INPUT, "unknown kind of target '%.*s'; there are: %s", shown,
                kind.p ? kind.p : "", list);
}

/* Letters of other scripts, roughly: anything beyond ASCII that is no space, sign or
 * punctuation. */
static bool other_letter(uint32_t c)
{
    if (c < 0xAA || c == 0xAB || c == 0xBB || (c >= 0xAC && c < 0xC0 && c != 0xB5 && c != 0xBA))
        return false;
    bool sign = c == 0xD7 || c == 0xF7 || c == 0xFFFD || (c >= 0x2000 && c <= 0x2BFF) ||
                (c >= 0x3000 && c <= 0x3004) || (c >= 0x3008 && c <= 0x3020) ||
                (c >= 0xE000 && c <= 0xF8FF) || (c >= 0xFE00 && c <= 0xFE6F) ||
                (c >= 0xFF00 && c <= 0xFF0F) || (c >= 0xFF1A && c <= 0xFF20) || c >= 0xE0000;
    return !sign;
}

static bool allowed(const struct input_rule *r, uint32_t c)
{
    if (c < 0x20 || c == 0x7F || (c >= 0x80 && c < 0xA0))
        return false;
    if (r->any)
        return true;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return r->letters;
    if (c >= '0' && c <= '9')
        return r->digits;
    if (c == '_' && r->underscore)
        return true;
    if (c < 0x80)
        return r->also.n && memchr(r->also.p, (int)c, r->also.n);
    return r->other_letters && other_letter(c);
}

static struct span stripped(const struct input_rule *r, struct span input)
{
    struct span s = span_trim(input);
    for (size_t i = 0; i < r->strip_count; i++) {
        struct span head = span_cut(s, 0, r->strips[i].n);
        if (r->strips[i].n && span_eq_nocase(head, r->strips[i]))
            s = span_cut(s, head.n, s.n);
    }
    for (size_t i = 0; i < r->after_count; i++) {
        size_t at = span_find(s, r->afters[i]);
        if (at < s.n)
            s = span_cut(s, at + r->afters[i].n, s.n);
    }
    for (size_t i = 0; r->ends.n && i < s.n; i++)
        if (memchr(r->ends.p, s.p[i], r->ends.n))
            s = span_cut(s, 0, i);
    return s;
}

static err refuse(const struct input_rule *r, struct span input, const char *why,
                  struct fault *f)
{
    struct buf shown = BUF(256);
    text_add_printable(&shown, span_cut(input, 0, 40));
    char text[128];
    span_copy(buf_span(&shown), text, sizeof text);
    buf_free(&shown);
    return fail(f, E_BAD_INPUT, "'%s' %s; wanted: %.*s", text, why,
                (int)(r->accepts.n > 120 ? 120 : r->accepts.n), r->accepts.p);
}

/* A name as DNS has it, with a dot; a number is none. */
static bool fine_host(struct span h)
{
    bool letter = false;
    for (size_t i = 0; i < h.n; i++) {
        char c = h.p[i];
        bool alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool inner = i > 0 && i + 1 < h.n && h.p[i - 1] != '.';
        if (!alpha && !(c >= '0' && c <= '9') && !((c == '.' || c == '-') && inner))
            return false;
        letter = c == '.' ? false : letter || alpha;
    }
    return h.n > 0 && h.n <= 253 && letter && span_find_char(h, '.') < h.n;
}

/* Takes "@host" off the end; false when there is none. */
static bool take_host(struct span *s, struct span *out_host)
{
    size_t at = s->n;
    while (at > 0 && s->p[at - 1] != '@')
        at--;
    if (at == 0)
        return false;
    *out_host = span_cut(*s, at, s->n);
    *s = span_trim(span_cut(*s, 0, at - 1));
    return fine_host(*out_host);
}

/* What is in the host is checked by whoever asks it. */
static bool fine_url(struct span s)
{
    size_t head = span_starts(s, SPAN("https://"))  ? sizeof "https://" - 1
                  : span_starts(s, SPAN("http://")) ? sizeof "http://" - 1
                                                    : s.n;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] == 0x7f || strchr("\"<>\\^`{|}", s.p[i]))
            return false;
    return head < s.n && s.p[head] != '/' && span_find_char(s, '#') == s.n;
}

static void add_lower(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_add_char(out, s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 32) : s.p[i]);
}

err pack_target(const struct pack *p, struct span kind, struct span input,
                struct buf *out_canonical, struct fault *f)
{
    const struct target *t = NULL;
    err e = pack_find_target(p, kind, &t, f);
    if (e)
        return e;
    const struct input_rule *r = t->input;
    struct span s = stripped(r, input), host = SPAN_NONE;
    size_t at = 0, codes = 0;
    bool letter = false;
    if (r->url && !fine_url(s))
        return refuse(r, input, "is no URL", f);
    if (r->host && !take_host(&s, &host))
        return refuse(r, input, "does not end in '@' and the name of a host", f);
    if (s.n == 0)
        return refuse(r, input, "is empty", f);
    if (!text_valid(s))
        return refuse(r, input, "is not valid UTF-8", f);
    while (at < s.n) {
        uint32_t c = text_next(s, &at);
        if (!allowed(r, c))
            return refuse(r, input, "has a character that cannot be in it", f);
        letter = letter || c > '9';
        codes++;
    }
    if (codes > r->longest)
        return refuse(r, input, "is too long", f);
    if (r->needs_letter && !letter)
        return refuse(r, input, "has no letter in it", f);
    size_t cut = span_find(s, r->split);
    if (r->split.n && (cut == 0 || cut + r->split.n >= s.n))
        return refuse(r, input, "names an account, but nothing of it", f);
    for (size_t i = 0; i < r->reserved_count; i++)
        if (span_eq_nocase(s, r->reserved[i]))
            return refuse(r, input, "is a page of the site, not an account", f);
    buf_add(out_canonical, s);
    if (host.n) {
        buf_add_char(out_canonical, '@');
        add_lower(out_canonical, host);
    }
    return out_canonical->failed ? fail(f, out_canonical->failed, "no room for the target")
                                 : E_OK;
}
