#include "api/inside.h"
#include "api/order.h"

#include "base/id.h"
#include "base/text.h"
#include "base/when.h"

enum { LIST_LIMIT = 50, LIST_MAX = 100, FILTER_TEXT = 64 };

/* ---- views ---- */

static void put_time(struct json_w *w, const char *key, int64_t ms)
{
    char text[WHEN_TEXT];
    json_kv_cstr(w, key, ms > 0 ? when_text_ms((wall){ms}, text) : NULL);
}

static void put_filter(struct json_w *w, const struct operation_view *v)
{
    json_key(w, "filter");
    json_open(w);
    json_kv_cstr(w, "class",
                 v->failure < 0 ? NULL : failure_name((enum failure_class)v->failure));
    json_kv_text(w, "site", v->site.n ? v->site : SPAN_NONE);
    json_kv_text(w, "kind", v->job_kind.n ? v->job_kind : SPAN_NONE);
    json_kv_cstr(w, "fingerprint", v->fingerprint[0] ? v->fingerprint : NULL);
    put_time(w, "since", v->since_ms);
    put_time(w, "until", v->until_ms);
    json_close(w);
}

static void put_operation(struct json_w *w, const struct operation_view *v)
{
    json_open(w);
    json_kv_cstr(w, "object", "operation");
    json_kv_cstr(w, "id", v->id);
    json_kv_cstr(w, "kind", operation_kind_name(v->kind));
    json_kv_cstr(w, "state", operation_state_name(v->state));
    json_kv_cstr(w, "batch", v->batch[0] ? v->batch : NULL);
    put_filter(w, v);
    if (v->per_minute)
        json_kv_int(w, "per_minute", v->per_minute);
    else
        json_kv_null(w, "per_minute");
    json_kv_bool(w, "reset", v->reset);
    json_kv_int(w, "done", v->done);
    json_kv_int(w, "skipped", v->skipped);
    put_time(w, "created_at", v->created_ms);
    put_time(w, "updated_at", v->updated_ms);
    put_time(w, "next_at", v->state == OPERATION_RUNNING ? v->due_ms : 0);
    put_time(w, "finished_at", v->finished_ms);
    json_close(w);
}

static void answer_operation(struct request *r, int status, const struct operation_view *v)
{
    char location[64];
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    put_operation(&w, v);
    buf_add_char(&body, '\n');
    snprintf(location, sizeof location, "/v1/operations/%s", v->id);
    answer_json(r, status, &body,
                (const char *const[]){status == 202 ? "Location" : NULL, location, NULL});
}

void operations_answer(struct call *c)
{
    const struct operation_call *o = c->op.in.work.args;
    if (c->op.result == E_CONFLICT)
        answer_problem(c->request, 409, "conflict_state", "%s", c->op.fault.words);
    else if (c->op.result)
        answer_fault(c->request, c->op.result, &c->op.fault);
    else
        answer_operation(c->request, 202, &o->view);
}

void answer_dry_run(struct request *r, const char *action, int64_t count, bool exact)
{
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    json_open(&w);
    json_kv_cstr(&w, "object", "dry_run");
    json_kv_cstr(&w, "action", action);
    json_kv_int(&w, "count", count);
    json_kv_cstr(&w, "count_kind", exact ? "exact" : "at_least");
    json_close(&w);
    buf_add_char(&body, '\n');
    answer_json(r, 200, &body, NULL);
}

/* ---- what is asked for ---- */

bool query_dry_run(struct request *r, bool *out_dry)
{
    struct span text;
    *out_dry = false;
    if (!request_query(r, "dry_run", &text))
        return true;
    *out_dry = span_is(text, "true") || !text.n;
    if (*out_dry || span_is(text, "false"))
        return true;
    answer_problem(r, 400, "bad_parameter", "dry_run must be true or false");
    return false;
}

struct reading {
    struct order_refusal refusal;
    struct arena *arena;
};

__attribute__((format(printf, 4, 5))) static void refuse(struct reading *r, struct span pointer,
                                                         const char *code, const char *fmt, ...)
{
    if (r->refusal.error_count == ORDER_ERRORS_MAX)
        return;
    struct buf text = BUF(512);
    va_list ap;
    va_start(ap, fmt);
    buf_vfmt(&text, fmt, ap);
    va_end(ap);
    r->refusal.errors[r->refusal.error_count++] = (struct problem_error){
        .pointer = pointer, .code = code, .detail = arena_keep(r->arena, buf_span(&text))};
    buf_free(&text);
}

static bool known_only(struct reading *r, struct json object, const char *where,
                       const char *const *known)
{
    for (struct json_iter i = json_each(object); json_next(&i);) {
        bool is_known = false;
        for (size_t k = 0; known[k]; k++)
            is_known = is_known || span_is(i.key, known[k]);
        if (is_known)
            continue;
        const char *near = text_nearest(i.key, known);
        struct span pointer =
            span_of(arena_fmt(r->arena, "%s/%.*s", where, SP(span_cut(i.key, 0, 60))));
        if (near)
            refuse(r, pointer, "unknown_field", "did you mean \"%s\"?", near);
        else
            refuse(r, pointer, "unknown_field", "this is not known here");
    }
    return r->refusal.error_count == 0;
}

static bool given(struct json body, const char *key, struct json *out)
{
    *out = json_get(body, span_of(key));
    return out->doc && !json_is(*out, JSON_NULL);
}

static void read_filter_text(struct reading *r, struct json filter, const char *key,
                             struct span *out)
{
    struct json v;
    struct span text;
    if (!given(filter, key, &v))
        return;
    if (json_text(v, &text) && text.n && text.n < FILTER_TEXT)
        *out = arena_keep(r->arena, text);
    else
        refuse(r, span_of(arena_fmt(r->arena, "/filter/%s", key)), "type",
               "must be a short text");
}

static void read_filter_time(struct reading *r, struct json filter, const char *key,
                             int64_t *out)
{
    struct json v;
    struct span text;
    wall when;
    if (!given(filter, key, &v))
        return;
    if (json_text(v, &text) && when_parse(text, &when))
        *out = when.ms;
    else
        refuse(r, span_of(arena_fmt(r->arena, "/filter/%s", key)), "format",
               "must be a date (2026-02-06) or RFC 3339 (2026-02-06T12:00:00Z)");
}

static void read_class(struct reading *r, struct json filter, int *out)
{
    struct json v;
    struct span text = SPAN_NONE;
    enum failure_class class;
    const char *names[FAILURE_COUNT + 1] = {NULL};
    if (!given(filter, "class", &v))
        return;
    json_text(v, &text);
    if (failure_parse(text, &class)) {
        *out = (int)class;
        return;
    }
    for (int i = 1; i < FAILURE_COUNT; i++)
        names[i - 1] = failure_name((enum failure_class)i);
    const char *near = text_nearest(text, names);
    if (near)
        refuse(r, SPAN("/filter/class"), "unknown", "did you mean \"%s\"?", near);
    else
        refuse(r, SPAN("/filter/class"), "unknown",
               "must be a failure class such as \"drift\"");
}

static void read_filter(struct reading *r, struct json body, struct dead_filter *out)
{
    static const char *const members[] = {"class", "site",  "kind", "fingerprint",
                                          "since", "until", NULL};
    struct json filter;
    if (!given(body, "filter", &filter) || !json_is(filter, JSON_OBJECT)) {
        refuse(r, SPAN("/filter"), "required",
               "says which dead jobs: {\"class\":\"drift\"}; all of them: {}");
        return;
    }
    if (!known_only(r, filter, "/filter", members))
        return;
    read_class(r, filter, &out->failure);
    read_filter_text(r, filter, "site", &out->site);
    read_filter_text(r, filter, "kind", &out->kind);
    read_filter_text(r, filter, "fingerprint", &out->fingerprint);
    read_filter_time(r, filter, "since", &out->since_ms);
    read_filter_time(r, filter, "until", &out->until_ms);
    if (out->fingerprint.n && !fingerprint_valid(out->fingerprint))
        refuse(r, SPAN("/filter/fingerprint"), "format", "must be 16 hexadecimal digits");
}

static void read_body(struct reading *r, struct json body, struct operation_args *out,
                      bool with_filter)
{
    struct json v;
    if (given(body, "per_minute", &v) &&
        (!json_int(v, &out->per_minute) || out->per_minute < 1 ||
         out->per_minute > OPERATION_RATE_MOST))
        refuse(r, SPAN("/per_minute"), "range", "must be 1 to %d", OPERATION_RATE_MOST);
    if (given(body, "reset", &v) && !json_bool(v, &out->reset))
        refuse(r, SPAN("/reset"), "type", "must be true or false");
    if (with_filter)
        read_filter(r, body, &out->filter);
}

bool operations_read(struct api *a, struct request *r, struct arena *arena,
                     struct operation_args *out, bool with_filter)
{
    static const char *const members[] = {"per_minute", "reset", NULL};
    static const char *const all_members[] = {"filter", "per_minute", "reset", NULL};
    struct reading *reading = arena_get(arena, sizeof *reading);
    struct json root;
    *reading = (struct reading){.arena = arena};
    *out = (struct operation_args){.filter = {.failure = -1}};
    struct span body = r->body.n ? r->body : SPAN("{}");
    if (r->body.n && !body_is_json(r))
        return false;
    if (json_parse(a->json, body, &root, NULL) || !json_is(root, JSON_OBJECT)) {
        answer_problem(r, 400, "malformed_json", "the body must be a JSON object");
        return false;
    }
    if (known_only(reading, root, "", with_filter ? all_members : members))
        read_body(reading, root, out, with_filter);
    bool unknown = reading->refusal.error_count &&
                   strcmp(reading->refusal.errors[0].code, "unknown_field") == 0;
    reading->refusal.status = unknown ? 400 : 422;
    reading->refusal.code = unknown ? "unknown_field" : "validation_failed";
    reading->refusal.detail = unknown ? SPAN("the body has members that are not known")
                                      : SPAN("values were refused, see errors");
    if (reading->refusal.error_count)
        answer_refusal(r, &reading->refusal);
    return reading->refusal.error_count == 0;
}

/* ---- GET, cancel ---- */

struct look {
    struct span id;
    struct operation_view view, *views;
    size_t limit, count;
};

static err run_show(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    (void)now;
    struct look *l = args;
    return store_operation(s, l->id, a, &l->view, f);
}

static void on_shown(struct call *c)
{
    const struct look *l = c->op.in.work.args;
    if (c->op.result)
        answer_fault(c->request, c->op.result, &c->op.fault);
    else
        answer_operation(c->request, 200, &l->view);
}

static struct look *look_new(struct call *c)
{
    struct look *l = arena_get(c->op.arena, sizeof *l);
    *l = (struct look){.id = span_of(c->id)};
    return l;
}

void operations_show(struct api *a, struct request *r, struct span id)
{
    struct call *c = call_new(a, r, id);
    call_work(c, STORE_READ, run_show, look_new(c), on_shown);
}

static err run_cancel(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct look *l = args;
    err e = store_operation_cancel(s, l->id, now, f);
    return e ? e : store_operation(s, l->id, a, &l->view, f);
}

static void on_cancelled(struct call *c)
{
    if (c->op.result == E_CONFLICT)
        answer_problem(c->request, 409, "conflict_state", "the operation is done already");
    else
        on_shown(c);
}

void operations_cancel(struct api *a, struct request *r, struct span id)
{
    struct call *c = call_new(a, r, id);
    call_work(c, STORE_WRITE, run_cancel, look_new(c), on_cancelled);
}

static err run_list(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    (void)now;
    struct look *l = args;
    return store_operations(s, l->id, l->limit + 1, a, &l->views, &l->count, f);
}

static void on_listed(struct call *c)
{
    const struct look *l = c->op.in.work.args;
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    size_t count = l->count < l->limit ? l->count : l->limit;
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    json_open(&w);
    json_kv_cstr(&w, "object", "list");
    json_key(&w, "data");
    json_open_array(&w);
    for (size_t i = 0; i < count; i++)
        put_operation(&w, &l->views[i]);
    json_close_array(&w);
    json_key(&w, "page");
    json_open(&w);
    json_kv_int(&w, "limit", (int64_t)l->limit);
    json_kv_bool(&w, "has_more", l->count > count);
    json_kv_cstr(&w, "next_after", l->count > count ? l->views[count - 1].id : NULL);
    json_close(&w);
    json_close(&w);
    buf_add_char(&body, '\n');
    answer_json(c->request, 200, &body, NULL);
}

void operations_list(struct api *a, struct request *r, struct span id)
{
    int64_t limit = LIST_LIMIT;
    struct span after = SPAN_NONE;
    if (!query_number(r, "limit", 1, LIST_MAX, &limit))
        return;
    if (request_query(r, "after", &after) && !id_valid(after, "opr")) {
        answer_problem(r, 400, "bad_parameter", "after must be the id of an operation");
        return;
    }
    struct call *c = call_new(a, r, after.n ? after : id);
    struct look *l = look_new(c);
    l->limit = (size_t)limit;
    call_work(c, STORE_READ, run_list, l, on_listed);
}
