#include "api/inside.h"

enum {
    ITEMS_PAGE = 256, /* rows of one read; a stream is many of them */
    ITEMS_MAX = 5000, /* largest limit of a page */
};

/* A record that cannot be read is given as it is: it came from the store, and is for people to see. */
void items_add_record(struct buf *out, const struct call *c, struct span json)
{
    struct json record;
    struct json_w w = json_w(out);
    if (c->fields && !json_parse(c->api->json, json, &record, NULL))
        fields_put(c->fields, record, &w);
    else
        buf_add(out, json);
    buf_add_char(out, '\n');
}

static void add_lines(struct buf *out, const struct call *c)
{
    for (size_t i = 0; i < c->op.out.items.count; i++)
        items_add_record(out, c, c->op.out.items.items[i].json);
}

static int64_t last_position(const struct call *c)
{
    size_t n = c->op.out.items.count;
    return n ? c->op.out.items.items[n - 1].ord : c->after;
}

static const char *noun(const struct call *c)
{
    static const char *const nouns[] = {[ITEM_POST] = "posts",
                                        [ITEM_USER] = "users",
                                        [ITEM_UNAVAILABLE] = "unavailable",
                                        [ITEM_REJECTED] = "rejected",
                                        [ITEM_CONFLICT] = "conflicts"};
    return nouns[c->kind];
}

static void post_items(struct call *c, void (*then)(struct call *c))
{
    arena_reset(c->op.arena);
    c->op.in.items.id = span_of(c->id);
    c->op.in.items.kind = c->kind;
    c->op.in.items.after = c->after;
    c->op.in.items.limit = c->page;
    c->op.in.items.bytes_max = PAGE_BYTES;
    call_post(c, STORE_ITEMS, then);
}

/* ---- what is wanted of each record ---- */

static enum fields_of kind_of(const struct call *c)
{
    return c->kind == ITEM_USER ? FIELDS_OF_USERS : FIELDS_OF_POSTS;
}

/* id,text or * for everything. */
bool items_query_fields(struct call *c, struct span list)
{
    struct span name;
    c->job_fields = false;
    if (span_is(list, "*"))
        return true;
    c->fields = heap_new_of(struct fields);
    while (span_next(&list, ',', &name)) {
        const char *near = fields_near(kind_of(c), name);
        if (fields_known(kind_of(c), name) && fields_add(c->fields, name))
            continue;
        if (fields_known(kind_of(c), name))
            answer_problem(c->request, 400, "bad_parameter", "fields may name %d at most",
                           FIELDS_MAX);
        else if (near)
            answer_problem(c->request, 400, "bad_parameter",
                           "fields names something that no record has; did you mean \"%s\"?",
                           near);
        else
            answer_problem(c->request, 400, "bad_parameter",
                           "fields must be names such as id,text,author.name, or *");
        return false;
    }
    return true;
}

void items_job_known(struct call *c)
{
    struct json spec;
    const struct job_view *job = &c->op.out.job;
    if (!c->job_fields ||
        (job->counts == ITEM_USER ? FIELDS_OF_USERS : FIELDS_OF_POSTS) != kind_of(c) ||
        json_parse(c->api->json, job->spec, &spec, NULL))
        return;
    for (struct json_iter i = json_each(json_get(spec, SPAN("fields"))); json_next(&i);) {
        struct span name;
        if (!c->fields)
            c->fields = heap_new_of(struct fields);
        if (!json_text(i.value, &name) || !fields_add(c->fields, name))
            break;
    }
}

/* ---- one page ---- */

/* The next page asks for the same fields, where this one named some. */
static void add_link(struct buf *out, const struct call *c, const char *next)
{
    buf_fmt(out, "</v1/jobs/%s/%s?after=%s&limit=%zu", c->id, noun(c), next, c->page);
    bool asked = !c->job_fields && c->kind != ITEM_UNAVAILABLE;
    if (asked)
        buf_add_text(out, c->fields ? "&fields=" : "&fields=*");
    for (size_t i = 0; asked && c->fields && i < c->fields->count; i++)
        buf_fmt(out, "%s%.*s", i ? "," : "", SP(c->fields->path[i]));
    buf_add_text(out, ">; rel=\"next\"");
    buf_add_char(out, '\0');
}

static void on_page(struct call *c)
{
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    struct buf body = answer_buf();
    add_lines(&body, c);
    struct buf link = BUF(FIELDS_TEXT_MAX + 512);
    char next[32];
    bool more = c->op.out.items.count > 0;
    c->after = last_position(c);
    snprintf(next, sizeof next, "%lld", (long long)c->after);
    add_link(&link, c, next);
    request_answer(
        c->request,
        &(struct answer){.status = 200,
                         .type = "application/x-ndjson",
                         .body = buf_span(&body),
                         .headers = {"Next-After", next, more ? "Link" : NULL, link.p, NULL}});
    buf_free(&link);
    buf_free(&body);
}

static void on_job(struct call *c)
{
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    items_job_known(c);
    post_items(c, on_page);
}

static void post_page(struct call *c)
{
    if (!c->job_fields) {
        post_items(c, on_page);
        return;
    }
    c->op.in.job.id = span_of(c->id);
    call_post(c, STORE_JOB, on_job);
}

/* ---- everything, page by page ---- */

static void on_stream_page(struct call *c)
{
    struct request *r = c->request;
    if (c->op.result) {
        stream_fail(r);
        return;
    }
    if (!c->op.out.items.count) {
        stream_end(r);
        return;
    }
    struct buf lines = answer_buf();
    struct span text;
    add_lines(&lines, c);
    c->after = last_position(c);
    if (buf_end(&lines, &text))
        stream_fail(r);
    else
        stream_feed(r, text);
    buf_free(&lines);
}

static void next_page(void *ctx, struct request *r)
{
    (void)ctx;
    post_items(r->owner, on_stream_page);
}

static void show(struct api *a, struct request *r, struct span id, enum item_kind kind)
{
    int64_t after = -1, limit = 0; /* -1: from the first position, which may be 0 */
    if (!query_number(r, "after", 0, INT64_MAX, &after) ||
        !query_number(r, "limit", 1, ITEMS_MAX, &limit))
        return;
    struct call *c = call_new(a, r, id);
    c->kind = (int)kind;
    c->after = after;
    c->page = limit ? (size_t)limit : ITEMS_PAGE;
    c->job_fields = kind != ITEM_UNAVAILABLE;
    struct span fields;
    if (request_query(r, "fields", &fields) && !items_query_fields(c, fields))
        return;
    if (limit) {
        post_page(c);
        return;
    }
    call_stream_lines(c, next_page);
}

void items_posts(struct api *a, struct request *r, struct span id)
{
    show(a, r, id, ITEM_POST);
}

void items_users(struct api *a, struct request *r, struct span id)
{
    show(a, r, id, ITEM_USER);
}

void items_rejected(struct api *a, struct request *r, struct span id)
{
    show(a, r, id, ITEM_REJECTED);
}

void items_conflicts(struct api *a, struct request *r, struct span id)
{
    show(a, r, id, ITEM_CONFLICT);
}

void items_unavailable(struct api *a, struct request *r, struct span id)
{
    show(a, r, id, ITEM_UNAVAILABLE);
}
