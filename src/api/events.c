#include "api/inside.h"
#include "api/view.h"

#include "store/batches.h"

#include "core/metrics.h"
#include "store/event.h"
#include "wire/sse.h"

enum {
    EVENTS_PAGE = 200,
    HEARTBEAT_MS = 15 * 1000, /* below the usual 30-60 s of proxies */
    RETRY_MS = 2000,
    LOG_LIMIT_MAX = 5000,
};

/* One event as a JSON object on one line, without a line end. */
static void add_json(struct buf *out, const struct event_view *e)
{
    struct json_w w = json_w(out);
    event_put(&w, e);
    json_close(&w);
}

static void post_events(struct call *c, void (*then)(struct call *c))
{
    arena_reset(c->op.arena);
    c->asked_at = c->api->last_event;
    c->op.in.events.after = c->after;
    c->op.in.events.job = span_of(c->id);
    c->op.in.events.limit = c->page;
    call_post(c, STORE_EVENTS, then);
}

static int64_t last_seq(const struct call *c)
{
    size_t n = c->op.out.events.count;
    return n ? c->op.out.events.events[n - 1].seq : c->after;
}

/* ---- GET /v1/events ---- */

static void on_stream_events(struct call *c);

/* Asks for what is new, when there may be something and the client has taken what it got. */
static void advance(struct call *c)
{
    if (!c->busy && c->request && stream_drained(c->request) && c->after < c->api->last_event)
        post_events(c, on_stream_events);
}

static void on_stream_events(struct call *c)
{
    if (c->op.result) {
        stream_fail(c->request);
        return;
    }
    struct buf text = answer_buf(), one = BUF(PAGE_BYTES);
    size_t n = c->op.out.events.count;
    for (size_t i = 0; i < n; i++) {
        const struct event_view *e = &c->op.out.events.events[i];
        buf_clear(&one);
        add_json(&one, e);
        if (!one.failed)
            sse_add(&text, e->seq, e->kind, buf_span(&one));
    }
    c->after = last_seq(c);
    /* Nothing found is everything up to then: the filter let nothing through. */
    if (!n && c->asked_at > c->after)
        c->after = c->asked_at;
    if (text.n)
        stream_feed(c->request, buf_span(&text));
    buf_free(&text);
    buf_free(&one);
    advance(c);
}

static void on_pull(void *ctx, struct request *r)
{
    (void)ctx;
    struct call *c = r->owner;
    if (!c->busy && c->after < c->api->last_event)
        post_events(c, on_stream_events);
}

/* Where to begin: ?after=, else Last-Event-ID (a browser that reconnects), else now. */
static bool first_position(struct api *a, struct request *r, int64_t *out_after)
{
    int64_t after = a->last_event;
    struct span last = request_header(r, "Last-Event-ID");
    if (last.n && (!span_int(last, &after) || after < 0)) {
        answer_problem(r, 400, "bad_header", "Last-Event-ID must be the number of an event");
        return false;
    }
    if (!last.n && !query_number(r, "after", 0, INT64_MAX, &after))
        return false;
    /* A number from the future is of another store: from now on, then. 0: the newest is not
     * known yet. */
    *out_after = a->last_event && after > a->last_event ? a->last_event : after;
    return true;
}

/* Of what the call is about, or of everything. */
static void open_stream(struct call *c, int64_t after)
{
    struct api *a = c->api;
    struct request *r = c->request;
    if (a->stream_count >= EVENT_STREAMS_MAX) {
        answer_busy(r, 503, "too_many_streams", "too many event streams are open");
        return;
    }
    c->after = after;
    c->page = EVENTS_PAGE;
    list_add(&a->streams, &c->node);
    metric_set(METRIC_SSE_CLIENTS, 0, (int64_t)++a->stream_count);
    struct answer head = {.status = 200,
                          .type = "text/event-stream",
                          .headers = {"X-Accel-Buffering", "no", NULL}};
    request_stream(r, &head, &(struct stream_face){.on_pull = on_pull});
    /* Something to send at once, so that the client sees the stream open. */
    struct buf hello = BUF(256);
    sse_add_retry(&hello, RETRY_MS);
    if (after)
        sse_add_position(&hello, after);
    stream_feed(r, buf_span(&hello));
    buf_free(&hello);
}

void events_stream(struct api *a, struct request *r, struct span id)
{
    (void)id;
    int64_t after;
    struct span job = SPAN_NONE;
    if (!first_position(a, r, &after))
        return;
    if (request_query(r, "job", &job) && !id_valid(job, "job") && !id_valid(job, "bat") &&
        !id_valid(job, "opr")) {
        answer_problem(r, 400, "bad_parameter",
                       "job must be the id of a job, a batch or an operation");
        return;
    }
    open_stream(call_new(a, r, job), after);
}

void events_forget(struct call *c)
{
    if (!list_on(&c->node))
        return;
    list_remove(&c->node);
    metric_set(METRIC_SSE_CLIENTS, 0, (int64_t)--c->api->stream_count);
}

void events_more(struct api *a)
{
    list_each(&a->streams, node, after) advance(LIST_OF(node, struct call, node));
}

void events_heartbeat(void *ctx)
{
    struct api *a = ctx;
    struct buf text = BUF(64);
    sse_add_comment(&text, "still here");
    list_each(&a->streams, node, after)
    {
        struct call *c = LIST_OF(node, struct call, node);
        if (stream_drained(c->request))
            stream_feed(c->request, buf_span(&text));
    }
    buf_free(&text);
    timer_start(a->heartbeat, HEARTBEAT_MS);
}

/* ---- GET /v1/jobs/{id}/log ---- */

static void on_log_page(struct call *c)
{
    struct request *r = c->request;
    if (c->op.result) {
        stream_fail(r);
        return;
    }
    struct buf lines = answer_buf();
    struct span text;
    size_t n = c->op.out.events.count;
    for (size_t i = 0; i < n && c->left != 0; i++) {
        add_json(&lines, &c->op.out.events.events[i]);
        buf_add_char(&lines, '\n');
        if (c->left > 0)
            c->left--;
    }
    c->after = last_seq(c);
    if (buf_end(&lines, &text)) {
        stream_fail(r);
    } else {
        if (text.n)
            stream_feed(r, text);
        if (!n || c->left == 0)
            stream_end(r);
    }
    buf_free(&lines);
}

static void on_log_pull(void *ctx, struct request *r)
{
    (void)ctx;
    post_events(r->owner, on_log_page);
}

void events_log(struct api *a, struct request *r, struct span id)
{
    int64_t after = 0, limit = -1;
    if (!query_number(r, "after", 0, INT64_MAX, &after) ||
        !query_number(r, "limit", 1, LOG_LIMIT_MAX, &limit))
        return;
    struct call *c = call_new(a, r, id);
    c->after = after;
    c->left = limit;
    c->page = EVENTS_PAGE;
    call_stream_lines(c, on_log_pull);
}

/* ---- GET /v1/jobs/{id}/events, /v1/batches/{batch}/events: as a stream, or as a list ---- */

static void on_listed(struct call *c)
{
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    char after[24] = "";
    struct buf body = answer_buf();
    struct json_w w = view_list(&body);
    size_t found = c->op.out.events.count, count = found < c->page ? found : c->page;
    for (size_t i = 0; i < count; i++) {
        event_put(&w, &c->op.out.events.events[i]);
        json_close(&w);
    }
    if (count)
        snprintf(after, sizeof after, "%lld",
                 (long long)c->op.out.events.events[count - 1].seq);
    answer_list(c->request, 200, &body, &w, c->page,
                found > count ? span_of(after) : SPAN_NONE);
}

static void on_thing_to_watch(struct call *c)
{
    if (!call_failed(c))
        open_stream(c, c->after);
}

static void on_thing_to_list(struct call *c)
{
    if (call_failed(c))
        return;
    c->op.in.events.after = c->after;
    c->op.in.events.job = span_of(c->id);
    c->op.in.events.limit = c->page + 1;
    call_post(c, STORE_EVENTS, on_listed);
}

static err run_find_batch(struct store *s, void *args, struct arena *a, wall now,
                          struct fault *f)
{
    struct batch_view view;
    const struct call *c = args;
    (void)now;
    return store_batch(s, span_of(c->id), a, &view, f);
}

/* Of a job or a batch, which must be there. */
static void events_of(struct api *a, struct request *r, struct span id, bool batch)
{
    int64_t after = 0, limit = EVENTS_PAGE;
    struct span accept = request_header(r, "Accept");
    bool streams = accept.n && span_find(accept, SPAN("text/event-stream")) < accept.n;
    if (!query_number(r, "after", 0, INT64_MAX, &after) ||
        !query_number(r, "limit", 1, LOG_LIMIT_MAX, &limit))
        return;
    struct span last = request_header(r, "Last-Event-ID");
    if (streams && last.n && !first_position(a, r, &after))
        return;
    struct call *c = call_new(a, r, id);
    c->after = after;
    c->page = (size_t)limit;
    void (*then)(struct call *) = streams ? on_thing_to_watch : on_thing_to_list;
    c->op.in.job.id = span_of(c->id);
    if (batch)
        call_work(c, STORE_READ, run_find_batch, c, then);
    else
        call_post(c, STORE_JOB, then);
}

void events_of_job(struct api *a, struct request *r, struct span id)
{
    events_of(a, r, id, false);
}

void events_of_batch(struct api *a, struct request *r, struct span id)
{
    events_of(a, r, id, true);
}
