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

/* What a medium says of itself, behind the post that it is of. */
static void put_medium(struct json_w *w, struct json post, struct json medium, int64_t index)
{
    static const char *const of_post[][2] = {
        {"post_id", "id"}, {"post_url", "url"}, {"created_at", "created_at"}};
    json_open(w);
    for (size_t i = 0; i < sizeof of_post / sizeof *of_post; i++) {
        struct span text = SPAN_NONE;
        (void)json_text(json_get(post, span_of(of_post[i][1])), &text);
        json_kv_text(w, of_post[i][0], text);
    }
    json_kv_int(w, "index", index);
    for (struct json_iter i = json_each(medium); json_next(&i);) {
        struct buf value = BUF(PAGE_BYTES);
        json_add_raw(&value, i.value);
        json_key_span(w, i.key);
        json_put_raw(w, buf_span(&value));
        buf_free(&value);
    }
    json_close(w);
}

static void add_media(struct buf *out, const struct call *c, struct span record)
{
    struct json post;
    int64_t index = 0;
    if (json_parse(c->api->json, record, &post, NULL))
        return;
    for (struct json_iter i = json_each(json_get(post, SPAN("media"))); json_next(&i);) {
        struct json_w w = json_w(out);
        put_medium(&w, post, i.value, index++);
        buf_add_char(out, '\n');
    }
}

static void add_lines(struct buf *out, const struct call *c)
{
    for (size_t i = 0; i < c->op.out.items.count; i++) {
        struct span record = c->op.out.items.items[i].json;
        if (c->as_media)
            add_media(out, c, record);
        else
            items_add_record(out, c, record);
    }
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
    return c->as_media ? "media" : nouns[c->kind];
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
    bool asked = !c->job_fields && c->kind != ITEM_UNAVAILABLE && !c->as_media;
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
    struct span text;
    add_lines(&body, c);
    if (buf_end(&body, &text)) {
        buf_free(&body);
        answer_problem(
            c->request, 500, "internal",
            "these lines are larger than %d bytes: ask for fewer with limit, or for all of "
            "them as a stream, without limit",
            ANSWER_MAX);
        return;
    }
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
                         .body = text,
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
    else if (text.n)
        stream_feed(r, text);
    else
        post_items(c, on_stream_page); /* posts without media */
    buf_free(&lines);
}

static void next_page(void *ctx, struct request *r)
{
    (void)ctx;
    post_items(r->owner, on_stream_page);
}

static struct call *asked(struct api *a, struct request *r, struct span id, enum item_kind kind)
{
    int64_t after = -1, limit = 0; /* -1: from the first position, which may be 0 */
    if (!query_number(r, "after", 0, INT64_MAX, &after) ||
        !query_number(r, "limit", 1, ITEMS_MAX, &limit))
        return NULL;
    struct call *c = call_new(a, r, id);
    c->kind = (int)kind;
    c->after = after;
    c->paged = limit > 0;
    c->page = limit ? (size_t)limit : ITEMS_PAGE;
    return c;
}

static void give(struct call *c)
{
    if (c->paged)
        post_page(c);
    else
        call_stream_lines(c, next_page);
}

static void show(struct api *a, struct request *r, struct span id, enum item_kind kind)
{
    struct span fields;
    struct call *c = asked(a, r, id, kind);
    if (!c)
        return;
    c->job_fields = kind != ITEM_UNAVAILABLE;
    if (!request_query(r, "fields", &fields) || items_query_fields(c, fields))
        give(c);
}

/* Pages are of posts: `limit` of them are looked at, whatever they have of media. */
void items_media(struct api *a, struct request *r, struct span id)
{
    struct call *c = asked(a, r, id, ITEM_POST);
    if (!c)
        return;
    c->as_media = true;
    give(c);
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
