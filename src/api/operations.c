#include "api/inside.h"
#include "api/order.h"
#include "api/view.h"

#include "base/id.h"
#include "base/text.h"
#include "base/when.h"
#include "core/lane.h"

enum { LIST_LIMIT = 50, LIST_MAX = 100, FILTER_TEXT = 63 };

/* ---- views ---- */

static void put_states(struct json_w *w, unsigned states)
{
    json_key(w, "state");
    if (!states) {
        json_put_null(w);
        return;
    }
    json_open_array(w);
    for (int i = 0; i < JOB_STATES; i++)
        if (states & 1U << i)
            json_put_text(w, span_of(job_state_name((enum job_state)i)));
    json_close_array(w);
}

static void put_text(struct json_w *w, const char *key, struct span text)
{
    json_kv_text(w, key, text.n ? text : SPAN_NONE);
}

static void put_class(struct json_w *w, const char *key, int failure)
{
    json_kv_cstr(w, key, failure < 0 ? NULL : failure_name((enum failure_class)failure));
}

/* Of jobs of any kind. */
static void put_jobs_filter(struct json_w *w, const struct jobs_filter *by)
{
    put_states(w, by->states);
    put_text(w, "site", by->site);
    put_text(w, "kind", by->kind);
    put_text(w, "tenant", by->tenant);
    put_text(w, "target", by->target);
    put_text(w, "queue", by->lane);
    json_kv_cstr(w, "class",
                 by->class < 0 ? NULL : lane_class_name((enum lane_class)by->class));
    put_class(w, "failure", by->failure);
    json_kv_bool(w, "held", by->held);
    json_key(w, "labels");
    json_put_raw(w, by->labels.n ? by->labels : SPAN("{}"));
    view_time(w, "created_after", by->since_ms);
    view_time(w, "created_before", by->until_ms);
}

static void put_filter(struct json_w *w, const struct operation_view *v)
{
    json_key(w, "filter");
    json_open(w);
    if (v->many) {
        put_jobs_filter(w, &v->jobs);
    } else {
        put_class(w, "class", v->failure);
        put_text(w, "site", v->site);
        put_text(w, "kind", v->job_kind);
        json_kv_cstr(w, "fingerprint", v->fingerprint[0] ? v->fingerprint : NULL);
        view_time(w, "since", v->since_ms);
        view_time(w, "until", v->until_ms);
    }
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
    json_kv_known(w, "per_minute", v->per_minute != 0, v->per_minute);
    json_kv_known(w, "limit", v->most != 0, v->most);
    json_kv_known(w, "priority", v->kind == OPERATION_PRIORITY, v->prio);
    put_text(w, "reason", v->why);
    json_kv_bool(w, "reset", v->reset);
    json_kv_int(w, "done", v->done);
    json_kv_int(w, "skipped", v->skipped);
    view_time(w, "created_at", v->created_ms);
    view_time(w, "updated_at", v->updated_ms);
    view_time(w, "next_at", v->state == OPERATION_RUNNING ? v->due_ms : 0);
    view_time(w, "finished_at", v->finished_ms);
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

static void read_filter_time(struct body *b, struct json filter, const char *key, int64_t *out)
{
    wall when;
    if (body_time(b, filter, "/filter", key, &when))
        *out = when.ms;
}

static void read_filter(struct body *b, struct json body, struct dead_filter *out)
{
    static const char *const members[] = {"class", "site",  "kind", "fingerprint",
                                          "since", "until", NULL};
    struct json filter;
    if (!body_given(body, "filter", &filter) || !json_is(filter, JSON_OBJECT)) {
        body_refuse(b, SPAN("/filter"), "required",
                    "says which dead jobs: {\"class\":\"drift\"}; all of them: {}");
        return;
    }
    body_members(b, filter, "/filter", members);
    body_failure(b, filter, "/filter", "class", &out->failure);
    body_text(b, filter, "/filter", "site", FILTER_TEXT, &out->site);
    body_text(b, filter, "/filter", "kind", FILTER_TEXT, &out->kind);
    body_text(b, filter, "/filter", "fingerprint", FILTER_TEXT, &out->fingerprint);
    read_filter_time(b, filter, "since", &out->since_ms);
    read_filter_time(b, filter, "until", &out->until_ms);
    if (out->fingerprint.n && !fingerprint_valid(out->fingerprint))
        body_refuse(b, SPAN("/filter/fingerprint"), "format", "must be 16 hexadecimal digits");
}

bool operations_read(struct api *a, struct request *r, struct arena *arena,
                     struct operation_args *out, bool with_filter)
{
    static const char *const members[] = {"per_minute", "reset", NULL};
    static const char *const all_members[] = {"filter", "per_minute", "reset", NULL};
    struct order_refusal refusal = {0};
    struct body b = {&refusal, arena};
    struct json root;
    *out = (struct operation_args){.filter = {.failure = -1}};
    if (r->body.n && !body_is_json(r))
        return false;
    if (body_read(&b, a->json, r->body, true, with_filter ? all_members : members, &root)) {
        body_number(&b, root, "", "per_minute", 1, OPERATION_RATE_MOST, &out->per_minute);
        body_flag(&b, root, "", "reset", &out->reset);
        if (with_filter)
            read_filter(&b, root, &out->filter);
        if (body_fine(&b))
            return true;
    }
    answer_refusal(r, &refusal);
    return false;
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

static void look_at(struct call *c, void (*then)(struct call *c))
{
    arena_reset(c->op.arena);
    call_work(c, STORE_READ, run_show, look_new(c), then);
}

static bool is_over(const struct call *c)
{
    const struct look *l = c->op.in.work.args;
    return l->view.state != OPERATION_RUNNING;
}

static const struct wait_face shown = {look_at, is_over, on_shown};

void operations_show(struct api *a, struct request *r, struct span id)
{
    wait_for(call_new(a, r, id), &shown);
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
    struct json_w w = view_list(&body);
    for (size_t i = 0; i < count; i++)
        put_operation(&w, &l->views[i]);
    answer_list(c->request, 200, &body, &w, l->limit,
                l->count > count ? span_of(l->views[count - 1].id) : SPAN_NONE);
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
