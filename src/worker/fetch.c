/* fetch.c - the strategy without a browser: the sources of the pack, one request after the other. */
#include "worker/inside.h"

#include "net/robots.h"
#include "os/clock.h"

enum { URL_MAX = 16 * 1024, URL_HEAD = 8 /* "https://" */ };

/* Egress or node refuses to go there at all: the target names no place that can be asked. */
static err fetch(struct collection *c, struct span source, struct span url,
                 struct page_answer *out)
{
    err e = page_fetch(&c->page, source, url, c->order->fetch_ms, out);
    if (e == E_DENIED || e == E_BAD_INPUT)
        c->failure = FAILURE_BAD_INPUT;
    return e;
}

static struct span origin_of(struct span url)
{
    struct span rest = span_cut(url, URL_HEAD, url.n);
    size_t end = span_find_char(rest, '/'), query = span_find_char(rest, '?');
    return span_cut(url, 0, url.n - rest.n + (end < query ? end : query));
}

static err no_robots(struct collection *c, enum failure_class class, const char *words)
{
    c->failure = class;
    return fail(&c->fault, E_PAGE, "%s", words);
}

/* RFC 9309: a site without the file asks for nothing; one whose file cannot be had at the moment is left
 * alone. */
static err read_robots(struct collection *c, struct span origin)
{
    struct page_answer a;
    struct buf url = BUF(URL_MAX);
    page_step(&c->page, "robots");
    buf_fmt(&url, "%.*s/robots.txt", SP(origin));
    err e = url.failed ? E_TOO_BIG : fetch(c, SPAN("robots"), buf_span(&url), &a);
    buf_free(&url);
    if (e)
        return e;
    if (a.status >= 500 || a.status == 429)
        return no_robots(
            c, FAILURE_NETWORK,
            "the site's robots.txt cannot be read at the moment, so nothing else is asked");
    c->robots_of = arena_keep(c->arena, origin);
    c->robots = a.status >= 200 && a.status < 300 ? arena_keep(c->arena, a.body) : SPAN("");
    if (!c->robots.p || !c->robots_of.p)
        return fail(&c->fault, E_NO_MEMORY, "no memory for robots.txt");
    return E_OK;
}

static err ask_robots(struct collection *c, struct span url)
{
    struct span origin = origin_of(url), path = span_cut(url, origin.n, url.n);
    err e = c->robots_of.n && span_eq(origin, c->robots_of) ? E_OK : read_robots(c, origin);
    if (e)
        return e;
    if (!robots_allow(c->robots, SPAN("Fulmar"), path.n ? path : SPAN("/")))
        return no_robots(c, FAILURE_BLOCKED,
                         "the site's robots.txt asks robots not to read this");
    return E_OK;
}

/* Where nobody says what the account's id is, authors are known by their handles. Posts of others between
 * those of the account are context. */
static void mark_foreign(struct collection *c, struct reading *r)
{
    if (!c->step->own_posts_only || c->user_id.n)
        return;
    for (size_t i = 0; i < r->count; i++) {
        struct record *rec = &r->records[i];
        if (rec->kind == RECORD_POST && rec->author_id.n && !rec->repost &&
            !span_eq_nocase(rec->author_id, c->plan.input))
            rec->section = SECTION_RELATED;
    }
}

/* One answer of a source, read and taken in; *out_next: where the list goes on. */
static err read_source(struct collection *c, const struct source *s, struct span cursor,
                       struct span *out_next)
{
    const struct plan *plan = &c->plan;
    const struct operation *op = source_operation(s);
    int64_t left = c->order->limit > 0 ? c->order->limit - c->have : 0;
    struct source_vars vars = {.base = plan->base,
                               .host = plan->host,
                               .input = plan->input,
                               .item = plan->item,
                               .id = c->user_id,
                               .cursor = cursor,
                               .instances = c->order->instances,
                               .limit = left > 0 ? left : 0};
    struct page_answer a;
    struct reading reading = {0};
    struct buf url = BUF(URL_MAX);
    err e = source_url(s, &vars, &url);
    if (e)
        (void)fail(&c->fault, e, "source '%.*s': its URL lacks something", SP(op->name));
    if (!e)
        e = ask_robots(c, buf_span(&url));
    if (!e) {
        page_step(&c->page, arena_fmt(c->arena, "fetch %.20s", op->name.p));
        e = fetch(c, op->name, buf_span(&url), &a);
    }
    wall now = clock_wall();
    if (!e)
        evidence_take(c->page.evidence,
                      &(struct evidence_note){.strategy = plan_strategy_name(PLAN_FETCH),
                                              .name = op->name,
                                              .url = a.url,
                                              .headers = a.headers,
                                              .body = a.body,
                                              .status = a.status,
                                              .at = now,
                                              .stays = op->role == OP_USER});
    buf_free(&url);
    reader_page_url(c->page.reader, e ? SPAN_NONE : a.url);
    if (!e)
        e = reader_document(c->page.reader, op->name, a.status, a.headers, a.body, now,
                            c->page.page_arena, &reading, &c->fault);
    reader_page_url(c->page.reader, SPAN_NONE);
    if (e)
        return e;
    reading.terminated = reading.terminated || reading.says_empty;
    *out_next = arena_keep(c->arena, reading.cursor);
    c->page.asked = c->plan.focus.n ? cursor : SPAN_NONE;
    mark_foreign(c, &reading);
    return collection_read(c, op, &reading);
}

/* Where an earlier attempt of the job left this source. */
static struct span cursor_of(const struct collection *c)
{
    struct span cursor = c->order->cursor;
    if (!span_starts(cursor, SPAN("~")))
        return SPAN_NONE;
    size_t colon = span_find_char(cursor, ':');
    if (!span_eq(span_cut(cursor, 1, colon - 1), c->source))
        return SPAN_NONE;
    return span_cut(cursor, colon + 1, cursor.n);
}

static err read_list(struct collection *c, const struct source *s)
{
    struct span cursor = cursor_of(c);
    err e = E_OK;
    for (int turn = 0; !e && !c->end; turn++) {
        if (turn >= c->step->turns_max) {
            c->end = END_BUDGET;
            break;
        }
        e = read_source(c, s, cursor, &cursor);
        if (!e && !c->end && !cursor.n)
            c->end = END_BUDGET; /* it shows one page, and does not say that this is all */
    }
    return e;
}

/* The next page is asked for when this one is committed. */
static err no_more(struct collection *c, struct span cursor)
{
    (void)c;
    (void)cursor;
    return E_OK;
}

/* Does it stand for the whole of what is asked for, or for a part of it? */
static bool stands_alone(const struct source *s)
{
    enum operation_role role = source_operation(s)->role;
    return role == OP_TIMELINE || role == OP_POST;
}

err fetch_run(struct collection *c)
{
    err e = E_OK;
    struct span ignored;
    c->go_on = no_more;
    for (size_t i = 0; i < c->plan.source_count; i++) {
        const struct source *s = c->plan.sources[i];
        bool list = source_operation(s)->role == OP_TIMELINE,
             last = i + 1 == c->plan.source_count;
        size_t seen = c->seen.used;
        c->source = source_operation(s)->name;
        c->sampled = source_is_sampled(s);
        e = list ? read_list(c, s) : read_source(c, s, SPAN_NONE, &ignored);
        if (e == E_END)
            return collection_spent(c);
        if (!stands_alone(s)) {
            if (e)
                break;
            continue;
        }
        /* They stand in for each other: where one cannot be had, or shows nothing and proves nothing by
         * it, the next is read. */
        bool nothing = !e && source_is_sampled(s) && c->seen.used == seen &&
                       c->end != END_OLDEST_REACHED && c->end != END_KNOWN_REACHED;
        if (last || !(nothing || (e && collection_may_go_on(c, e))))
            break;
        struct span user = c->user_id; /* the account's own answer stays true */
        collection_forget(c);
        c->user_id = user;
    }
    return e;
}
