/* attempts.c - what became of each attempt at a job: its events, put together. An attempt begins with job.started
 * and ends with the event that names its number; what happened in between belongs to it. */
#include "api/inside.h"
#include "api/view.h"

enum { LIST_LIMIT = 50, LIST_MAX = 200, EVENTS_PAGE = 200 };

struct attempt {
    int64_t number, started_ms, ended_ms, waited_ms, batches, added, retry_in_ms;
    struct span worker, session, ended; /* ended: kind of its last event; empty: it runs */
    struct span failure, why, verdict;
    struct span usage, phases; /* JSON of its last event; empty: nobody measured */
    bool stopping;             /* it was asked to stop */
};

struct attempts {
    struct span id;
    int64_t after, only; /* number behind which, or the only one; 0 */
    size_t limit, count;
    bool more;
    struct attempt *list; /* `limit` of them */
};

/* ---- from the events ---- */

static struct span text_of(struct json body, const char *key, struct arena *a)
{
    struct span text = SPAN_NONE;
    return json_text(json_get(body, span_of(key)), &text) ? arena_keep(a, text) : SPAN_NONE;
}

static int64_t number_of(struct json body, const char *key)
{
    int64_t n = 0;
    return json_int(json_get(body, span_of(key)), &n) ? n : 0;
}

static struct span raw_of(struct json body, const char *key, struct arena *a)
{
    struct buf text = BUF(1024);
    json_add_raw(&text, json_get(body, span_of(key)));
    struct span kept = text.n ? arena_keep(a, buf_span(&text)) : SPAN_NONE;
    buf_free(&text);
    return kept;
}

static bool is_wanted(const struct attempts *t, int64_t number)
{
    return t->only ? number == t->only : number > t->after;
}

static void begin(struct attempts *t, const struct event_view *e, struct json body,
                  struct arena *a)
{
    int64_t number = number_of(body, "attempt");
    if (!is_wanted(t, number))
        return;
    if (t->count == t->limit) {
        t->more = true;
        return;
    }
    t->list[t->count++] = (struct attempt){.number = number,
                                           .started_ms = e->at_ms,
                                           .waited_ms = number_of(body, "waited_ms"),
                                           .worker = text_of(body, "worker", a),
                                           .session = text_of(body, "session", a)};
}

static void end(struct attempt *t, const struct event_view *e, struct json body,
                struct arena *a)
{
    t->ended_ms = e->at_ms;
    t->ended = arena_keep(a, e->kind);
    t->failure = text_of(body, "failure", a);
    t->verdict = text_of(body, "verdict", a);
    t->why = text_of(body, "why", a);
    t->retry_in_ms = number_of(body, "retry_in_ms");
    t->usage = raw_of(body, "usage", a);
    t->phases = raw_of(body, "phases", a);
}

static void take_event(struct attempts *t, const struct event_view *e, struct json body,
                       struct arena *a)
{
    struct attempt *last = t->count ? &t->list[t->count - 1] : NULL;
    bool runs = last && !last->ended.n && !t->more;
    if (span_is(e->kind, "job.started"))
        begin(t, e, body, a);
    else if (runs && span_is(e->kind, "job.progress"))
        last->batches++, last->added += number_of(body, "added");
    else if (runs && span_is(e->kind, "job.stopping"))
        last->stopping = true;
    else if (runs && number_of(body, "attempt") == last->number)
        end(last, e, body, a);
}

/* The events of a job are read in pages; what is kept of them lives in the arena of the call. */
static err read_events(struct store *s, struct attempts *t, struct arena *a, struct fault *f)
{
    struct json_parser *parser = json_parser_new(STORE_SPEC_MAX);
    struct arena *page = arena_new(4 * 1024 * 1024);
    struct event_view *events;
    size_t count = EVENTS_PAGE;
    int64_t after = 0;
    err e = E_OK;
    while (!e && count == EVENTS_PAGE) {
        arena_reset(page);
        e = store_events(s, after, t->id, EVENTS_PAGE, page, &events, &count, f);
        for (size_t i = 0; !e && i < count; i++) {
            struct json body;
            after = events[i].seq;
            if (!json_parse(parser, events[i].body, &body, NULL))
                take_event(t, &events[i], body, a);
        }
    }
    arena_free(&page);
    json_parser_free(&parser);
    return e;
}

static err run_attempts(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct attempts *t = args;
    struct job_view job;
    err e = store_job(s, t->id, now, a, &job, f);
    return e ? e : read_events(s, t, a, f);
}

/* ---- answers ---- */

/* "job.dead": dead; of an attempt that runs: active */
static struct span state_of(const struct attempt *t)
{
    return t->ended.n ? span_cut(t->ended, sizeof "job." - 1, t->ended.n) : SPAN("active");
}

static void put_raw(struct json_w *w, const char *key, struct span text)
{
    json_key(w, key);
    if (text.n)
        json_put_raw(w, text);
    else
        json_put_null(w);
}

static void put_attempt(struct json_w *w, const struct attempts *of, const struct attempt *t)
{
    json_open(w);
    json_kv_cstr(w, "object", "attempt");
    json_kv_text(w, "job", of->id);
    json_kv_int(w, "number", t->number);
    json_kv_text(w, "state", state_of(t));
    json_kv_text(w, "worker", t->worker);
    json_kv_text(w, "session", t->session);
    json_kv_int(w, "waited_ms", t->waited_ms);
    view_time(w, "started_at", t->started_ms);
    view_time(w, "ended_at", t->ended_ms);
    if (t->ended_ms)
        json_kv_int(w, "took_ms", t->ended_ms - t->started_ms);
    else
        json_kv_null(w, "took_ms");
    json_kv_int(w, "batches", t->batches);
    json_kv_int(w, "added", t->added);
    json_kv_bool(w, "stop_requested", t->stopping);
    json_kv_text(w, "verdict", t->verdict);
    json_kv_text(w, "failure", t->failure);
    json_kv_text(w, "why", t->why);
    if (t->retry_in_ms)
        json_kv_int(w, "retry_in_ms", t->retry_in_ms);
    else
        json_kv_null(w, "retry_in_ms");
    put_raw(w, "usage", t->usage);
    put_raw(w, "phases", t->phases);
    json_close(w);
}

static void on_listed(struct call *c)
{
    const struct attempts *t = c->more;
    char after[24] = "";
    if (call_failed(c))
        return;
    struct buf body = answer_buf();
    struct json_w w = view_list(&body);
    for (size_t i = 0; i < t->count; i++)
        put_attempt(&w, t, &t->list[i]);
    if (t->more)
        snprintf(after, sizeof after, "%lld", (long long)t->list[t->count - 1].number);
    answer_list(c->request, 200, &body, &w, t->limit, span_of(after));
}

static void on_shown(struct call *c)
{
    const struct attempts *t = c->more;
    if (call_failed(c))
        return;
    if (!t->count) {
        answer_problem(c->request, 404, "not_found", "the job has no attempt %lld",
                       (long long)t->only);
        return;
    }
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    put_attempt(&w, t, &t->list[0]);
    buf_add_char(&body, '\n');
    answer_json(c->request, 200, &body, NULL);
}

static struct attempts *attempts_new(struct call *c, size_t limit)
{
    struct attempts *t = arena_get(c->op.arena, sizeof *t);
    *t = (struct attempts){.id = span_of(c->id),
                           .limit = limit,
                           .list = arena_get(c->op.arena, limit * sizeof *t->list)};
    c->more = t;
    return t;
}

void attempts_list(struct api *a, struct request *r, struct span id)
{
    int64_t limit = LIST_LIMIT, after = 0;
    if (!query_number(r, "limit", 1, LIST_MAX, &limit) ||
        !query_number(r, "after", 0, INT64_MAX, &after))
        return;
    struct call *c = call_new(a, r, id);
    struct attempts *t = attempts_new(c, (size_t)limit);
    t->after = after;
    call_work(c, STORE_READ, run_attempts, t, on_listed);
}

void attempts_show(struct api *a, struct request *r, struct span id)
{
    int64_t n;
    struct call *c = call_new(a, r, id);
    if (!path_number(r, "attempts", &n))
        return;
    struct attempts *t = attempts_new(c, 1);
    t->only = n;
    call_work(c, STORE_READ, run_attempts, t, on_shown);
}
