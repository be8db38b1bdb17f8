#include "api/inside.h"
#include "api/view.h"

#include "base/id.h"
#include "base/when.h"

enum { LIST_LIMIT = 50, AFTER_MAX = 160 };

/* ---- POST …/retry of one job ---- */

struct retry {
    struct replay_args args;
    struct replay_reply reply;
};

static err run_retry_job(struct store *s, void *args, struct arena *a, wall now,
                         struct fault *f)
{
    (void)a;
    struct retry *t = args;
    return store_replay(s, &t->args, now, &t->reply, f);
}

static void on_retried(struct call *c)
{
    if (c->op.result == E_CONFLICT) {
        answer_problem(c->request, 409, "conflict_state", "%s", c->op.fault.words);
        return;
    }
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    jobs_answer_accepted(c);
}

void dead_retry_job(struct api *a, struct request *r, struct span id)
{
    struct call *c = call_new(a, r, id);
    struct operation_args read;
    if (!operations_read(a, r, c->op.arena, &read, false))
        return;
    if (read.per_minute) {
        answer_problem(r, 422, "validation_failed", "per_minute is for many jobs");
        return;
    }
    struct retry *t = arena_get(c->op.arena, sizeof *t);
    *t = (struct retry){.args = {.id = span_of(c->id), .reset = read.reset}};
    call_work(c, STORE_WRITE, run_retry_job, t, on_retried);
}

/* ---- GET /v1/dead-letters/{id} ---- */

static void on_job(struct call *c)
{
    if (!c->op.result && c->op.out.job.state != JOB_DEAD) {
        answer_problem(c->request, 404, "not_found", "the job is %s, not dead",
                       job_state_name(c->op.out.job.state));
        return;
    }
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    view_job(&w, &c->op.out.job, c->api->json, true);
    buf_add_char(&body, '\n');
    answer_json(c->request, 200, &body, NULL);
}

void dead_show(struct api *a, struct request *r, struct span id)
{
    struct call *c = call_new(a, r, id);
    c->op.in.job.id = span_of(c->id);
    call_post(c, STORE_JOB, on_job);
}

/* ---- the filter in the query ---- */

/* Texts are kept in the arena. *out_any: something was given. False: answered 400. */
static bool query_filter(struct request *r, struct arena *a, struct dead_filter *out,
                         bool *out_any)
{
    static const char *const names[] = {"site", "kind", "fingerprint"};
    struct span *const texts[] = {&out->site, &out->kind, &out->fingerprint};
    struct span text;
    enum failure_class class;
    *out = (struct dead_filter){.failure = -1};
    if (request_query(r, "class", &text)) {
        if (!failure_parse(text, &class)) {
            answer_problem(r, 400, "bad_parameter",
                           "class must be a failure class such as drift");
            return false;
        }
        out->failure = (int)class;
    }
    for (int i = 0; i < 3; i++) {
        if (!request_query(r, names[i], &text))
            continue;
        if (!text.n || text.n >= 64 || (i == 2 && !fingerprint_valid(text))) {
            answer_problem(r, 400, "bad_parameter", "%s is not valid", names[i]);
            return false;
        }
        *texts[i] = arena_keep(a, text);
    }
    if (!query_time(r, "since", &out->since_ms) || !query_time(r, "until", &out->until_ms))
        return false;
    *out_any = out->failure >= 0 || out->site.n || out->kind.n || out->fingerprint.n ||
               out->since_ms || out->until_ms;
    return true;
}

/* ---- GET /v1/dead-letters ---- */

struct groups {
    struct dead_query query;
    struct dead_group *groups;
    size_t count;
    bool more;
    const char *action; /* of a dry run; NULL: the list itself */
};

static err run_groups(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    (void)now;
    struct groups *g = args;
    return store_dead_groups(s, &g->query, a, &g->groups, &g->count, &g->more, f);
}

static void put_group(struct json_w *w, const struct dead_group *g)
{
    const struct failure_row *row = failure_row(g->failure);
    json_open(w);
    json_kv_cstr(w, "object", "dead_letter_group");
    json_kv_cstr(w, "class", row->name);
    json_kv_cstr(w, "meaning", row->meaning);
    json_kv_cstr(w, "advice", row->advice);
    json_kv_text(w, "site", g->site);
    json_kv_text(w, "kind", g->kind);
    json_kv_cstr(w, "fingerprint", g->fingerprint);
    json_kv_int(w, "count", g->count);
    json_kv_cstr(w, "count_kind", g->count < DEAD_COUNT_MOST ? "exact" : "at_least");
    view_time(w, "first_at", g->first_ms);
    view_time(w, "last_at", g->last_ms);
    json_key(w, "examples");
    json_open_array(w);
    for (size_t i = 0; i < g->example_count; i++) {
        json_open(w);
        json_kv_cstr(w, "job", g->examples[i].id);
        json_kv_text(w, "target", g->examples[i].target);
        json_kv_text(w, "why", g->examples[i].why);
        view_time(w, "at", g->examples[i].at_ms);
        json_close(w);
    }
    json_close_array(w);
    json_close(w);
}

/* "class/site/fingerprint" */
static void put_page(struct json_w *w, const struct groups *g)
{
    char after[AFTER_MAX] = "";
    if (g->more && g->count) {
        const struct dead_group *last = &g->groups[g->count - 1];
        snprintf(after, sizeof after, "%s/%.*s/%s", failure_name(last->failure), SP(last->site),
                 last->fingerprint);
    }
    json_key(w, "page");
    json_open(w);
    json_kv_int(w, "limit", (int64_t)g->query.limit);
    json_kv_bool(w, "has_more", g->more);
    json_kv_cstr(w, "next_after", after[0] ? after : NULL);
    json_close(w);
}

static void put_groups(struct json_w *w, const struct groups *g)
{
    json_open_array(w);
    for (size_t i = 0; i < g->count; i++)
        put_group(w, &g->groups[i]);
    json_close_array(w);
}

static void put_dry_run(struct json_w *w, const struct groups *g)
{
    int64_t total = 0;
    bool exact = !g->more;
    for (size_t i = 0; i < g->count; i++) {
        total += g->groups[i].count;
        exact = exact && g->groups[i].count < DEAD_COUNT_MOST;
    }
    json_kv_cstr(w, "object", "dry_run");
    json_kv_cstr(w, "action", g->action);
    json_kv_int(w, "count", total);
    json_kv_cstr(w, "count_kind", exact ? "exact" : "at_least");
    json_key(w, "groups");
    put_groups(w, g);
}

static void on_groups(struct call *c)
{
    const struct groups *g = c->op.in.work.args;
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    json_open(&w);
    if (g->action) {
        put_dry_run(&w, g);
    } else {
        json_kv_cstr(&w, "object", "list");
        json_key(&w, "data");
        put_groups(&w, g);
        put_page(&w, g);
    }
    json_close(&w);
    buf_add_char(&body, '\n');
    answer_json(c->request, 200, &body, NULL);
}

static bool read_after(struct call *c, struct groups *g, struct span text)
{
    struct span class, site, print;
    enum failure_class failure;
    struct span rest = text;
    if (!span_next(&rest, '/', &class) || !span_next(&rest, '/', &site) || !site.n ||
        !failure_parse(class, &failure) || !fingerprint_valid(rest)) {
        answer_problem(c->request, 400, "bad_parameter",
                       "after must be the next_after of the page before");
        return false;
    }
    print = rest;
    g->query.after.failure = (int)failure;
    g->query.after.site = arena_keep(c->op.arena, site);
    g->query.after.fingerprint = arena_keep(c->op.arena, print);
    return true;
}

void dead_list(struct api *a, struct request *r, struct span id)
{
    int64_t limit = LIST_LIMIT;
    struct span after;
    bool any;
    if (!query_number(r, "limit", 1, DEAD_GROUPS_MOST, &limit))
        return;
    struct call *c = call_new(a, r, id);
    struct groups *g = arena_get(c->op.arena, sizeof *g);
    *g = (struct groups){.query = {.limit = (size_t)limit}};
    if (!query_filter(r, c->op.arena, &g->query.filter, &any) ||
        (request_query(r, "after", &after) && !read_after(c, g, after)))
        return;
    call_work(c, STORE_READ, run_groups, g, on_groups);
}

/* ---- many ---- */

static void dry_run(struct call *c, const struct dead_filter *filter, const char *action)
{
    struct groups *g = arena_get(c->op.arena, sizeof *g);
    *g = (struct groups){.query = {.filter = *filter, .limit = DEAD_GROUPS_MOST},
                         .action = action};
    call_work(c, STORE_READ, run_groups, g, on_groups);
}

static err run_operation(struct store *s, void *args, struct arena *a, wall now,
                         struct fault *f)
{
    struct operation_call *o = args;
    return store_operation_start(s, &o->args, now, a, &o->view, f);
}

/* Begins the operation; its id is that of the call from now on. */
static void begin(struct call *c, const struct operation_args *args,
                  void (*then)(struct call *c))
{
    struct operation_call *o = arena_get(c->op.arena, sizeof *o);
    *o = (struct operation_call){.args = *args};
    make_id(c->id, "opr");
    o->args.id = span_of(c->id);
    call_work(c, STORE_WRITE, run_operation, o, then);
}

void dead_retry(struct api *a, struct request *r, struct span id)
{
    struct operation_args args;
    bool dry;
    if (!query_dry_run(r, &dry))
        return;
    struct call *c = call_new(a, r, id);
    if (!operations_read(a, r, c->op.arena, &args, true))
        return;
    if (dry)
        dry_run(c, &args.filter, "retry");
    else
        begin(c, &args, operations_answer);
}

void dead_delete(struct api *a, struct request *r, struct span id)
{
    struct operation_args args = {.kind = OPERATION_DELETE};
    struct span all = SPAN("");
    bool dry, any;
    if (!query_dry_run(r, &dry))
        return;
    struct call *c = call_new(a, r, id);
    if (!query_filter(r, c->op.arena, &args.filter, &any))
        return;
    if (!any && !(request_query(r, "all", &all) && span_is(all, "true"))) {
        answer_problem(
            r, 400, "bad_parameter",
            "say which dead jobs: class, site, kind, fingerprint, since, until; all=true "
            "deletes them all");
        return;
    }
    if (dry)
        dry_run(c, &args.filter, "delete");
    else
        begin(c, &args, operations_answer);
}

static void on_deleted(struct call *c)
{
    const struct operation_call *o = c->op.in.work.args;
    if (c->op.result || o->view.state == OPERATION_RUNNING) {
        operations_answer(c);
        return;
    }
    request_answer(c->request, &(struct answer){.status = 204});
}

void dead_delete_job(struct api *a, struct request *r, struct span id)
{
    struct call *c = call_new(a, r, id);
    struct operation_args args = {.kind = OPERATION_DELETE,
                                  .filter = {.failure = -1},
                                  .job = arena_keep(c->op.arena, id)};
    begin(c, &args, on_deleted);
}
