#include "api/inside.h"

enum {
    ITEMS_PAGE = 256, /* rows of one read; a stream is many of them */
    ITEMS_MAX = 5000, /* largest limit of a page */
};

static void add_lines(struct buf *out, const struct call *c)
{
    for (size_t i = 0; i < c->op.out.items.count; i++) {
        buf_add(out, c->op.out.items.items[i].json);
        buf_add_char(out, '\n');
    }
}

static int64_t last_position(const struct call *c)
{
    size_t n = c->op.out.items.count;
    return n ? c->op.out.items.items[n - 1].ord : c->after;
}

static const char *noun(const struct call *c)
{
    static const char *const nouns[] = {
        [ITEM_POST] = "posts", [ITEM_USER] = "users", [ITEM_UNAVAILABLE] = "unavailable",
        [ITEM_REJECTED] = "rejected", [ITEM_CONFLICT] = "conflicts"};
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

/* ---- one page ---- */

static void on_page(struct call *c)
{
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    struct buf body = answer_buf();
    add_lines(&body, c);
    char link[160], next[32];
    bool more = c->op.out.items.count > 0;
    c->after = last_position(c);
    snprintf(next, sizeof next, "%lld", (long long)c->after);
    snprintf(link, sizeof link, "</v1/jobs/%s/%s?after=%s&limit=%zu>; rel=\"next\"", c->id,
             noun(c), next, c->page);
    request_answer(c->request, &(struct answer){.status = 200,
                                                .type = "application/x-ndjson",
                                                .body = buf_span(&body),
                                                .headers = {"Next-After", next,
                                                            more ? "Link" : NULL, link, NULL}});
    buf_free(&body);
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
    if (limit) {
        post_items(c, on_page);
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
