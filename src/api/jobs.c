#include "api/inside.h"
#include "api/order.h"
#include "api/view.h"

#include "base/id.h"
#include "core/metrics.h"
#include "os/clock.h"
#include "os/random.h"

enum {
    LIST_LIMIT = 50,
    LIST_MAX = 200,
};

static void answer_job(struct call *c, int status, const char *const *headers)
{
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    view_job(&w, &c->op.out.job, c->api->json, true);
    buf_add_char(&body, '\n');
    answer_json(c->request, status, &body, headers);
}

/* Asks for the job of the call; its texts live in the call. */
static void post_job(struct call *c, void (*then)(struct call *c))
{
    c->op.in.job.id = span_of(c->id);
    call_post(c, STORE_JOB, then);
}

/* ---- POST /v1/jobs ---- */

static void on_created(struct call *c)
{
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    char location[64];
    snprintf(location, sizeof location, "/v1/jobs/%s", c->id);
    if (c->existing) { /* nothing was made */
        answer_job(
            c, 200,
            (const char *const[]){"Content-Location", location, "Unique-Match", c->id, NULL});
        return;
    }
    answer_job(
        c, 202,
        (const char *const[]){"Location", location, "Retry-After", "1", "Durability",
                              c->confirmed ? durability_name(c->durability) : "unconfirmed",
                              c->replayed ? "Idempotency-Replayed" : NULL, "true", NULL});
}

static void on_accepted(struct call *c)
{
    if (c->op.result == E_BAD_INPUT && c->key[0]) {
        answer_problem(
            c->request, 422, "idempotency_mismatch",
            "this Idempotency-Key was used with another body; use a new one for a new job");
        return;
    }
    if (c->op.result == E_SESSION) {
        answer_problem(c->request, 409, "session_unavailable", "%s", c->op.fault.words);
        return;
    }
    if (c->op.result == E_CONFLICT) { /* ids are ours: only the unique key can be taken */
        answer_problem(c->request, 409, "unique_conflict", "%s", c->op.fault.words);
        return;
    }
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    c->replayed = c->op.out.accept.replayed;
    c->existing = c->op.out.accept.existing;
    c->durability = c->op.out.accept.durability;
    c->confirmed = c->op.out.accept.confirmed;
    if (!c->replayed && !c->existing)
        metric_add(METRIC_JOBS_SUBMITTED, 0, 1);
    span_copy(span_of(c->op.out.accept.id), c->id, sizeof c->id);
    post_job(c, on_created);
}

bool body_is_json(struct request *r)
{
    struct span type = request_header(r, "Content-Type");
    struct span media = span_trim(span_cut(type, 0, span_find_char(type, ';')));
    if (!type.n || span_eq_nocase(media, SPAN("application/json")))
        return true;
    if (span_is(r->method, "PATCH") &&
        span_eq_nocase(media, SPAN("application/merge-patch+json")))
        return true;
    answer_problem(r, 415, "unsupported_media_type",
                   "send the body as Content-Type: application/json");
    return false;
}

bool request_key(struct request *r, char out[REQUEST_KEY_MAX + 1])
{
    struct span key = request_header(r, "Idempotency-Key");
    out[0] = '\0';
    if (!key.p)
        return true;
    if (key.n >= 2 && key.p[0] == '"' && key.p[key.n - 1] == '"')
        key = span_cut(key, 1, key.n - 2);
    if (!key.n || key.n > REQUEST_KEY_MAX)
        return false;
    for (size_t i = 0; i < key.n; i++)
        if (key.p[i] <= ' ' || key.p[i] > '~')
            return false;
    span_copy(key, out, REQUEST_KEY_MAX + 1);
    return true;
}

void answer_refusal(struct request *r, const struct order_refusal *refusal)
{
    struct problem p = {
        .status = refusal->status,
        .code = refusal->code,
        .detail = refusal->detail,
        .request_id = r->id,
        .errors = refusal->errors,
        .error_count = refusal->error_count,
    };
    struct buf body = answer_buf();
    problem_write(&body, &p);
    request_answer(r, &(struct answer){.status = p.status,
                                       .type = "application/problem+json",
                                       .body = buf_span(&body)});
    buf_free(&body);
}

void make_id(char out[ID_TEXT], const char *kind)
{
    uint8_t random[10];
    random_bytes(random, sizeof random);
    id_make(out, kind, clock_wall(), random);
}

void jobs_submit(struct call *c, const struct order *order)
{
    struct accept_args *job = &c->op.in.accept;
    make_id(c->id, "job");
    *job = order_accept(order, c->api->config.coalesce, clock_wall());
    job->id = span_of(c->id);
    job->idempotency_key = span_of(c->key);
    job->request_hash = span_hash(c->request->body, 0);
    call_post(c, STORE_ACCEPT, on_accepted);
}

void jobs_create(struct api *a, struct request *r, struct span id)
{
    if (!body_is_json(r))
        return;
    struct call *c = call_new(a, r, id);
    if (!request_key(r, c->key)) {
        answer_problem(r, 400, "bad_header",
                       "Idempotency-Key must be 1 to 255 visible ASCII characters");
        return;
    }
    struct order order;
    struct order_refusal refusal;
    if (!order_read(&order, &refusal, a->json, a->config.packs->pack, a->config.packs->count,
                    r->body, c->op.arena)) {
        answer_refusal(r, &refusal);
        return;
    }
    jobs_submit(c, &order);
}

/* ---- GET /v1/jobs/{id} ---- */

static void on_shown(struct call *c)
{
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    char tag[32];
    snprintf(tag, sizeof tag, "\"r%lld\"", (long long)c->op.out.job.revision);
    answer_job(c, 200, (const char *const[]){"ETag", tag, NULL});
}

void jobs_answer(struct call *c)
{
    post_job(c, on_shown);
}

void jobs_answer_accepted(struct call *c)
{
    post_job(c, on_created);
}

void jobs_show(struct api *a, struct request *r, struct span id)
{
    post_job(call_new(a, r, id), on_shown);
}

/* ---- POST /v1/jobs/{id}/cancel ---- */

enum { GRACE_MAX_S = 3600 };
/* The pool ends what does not stop much sooner; this is for a node that is gone with its job. */
static const int64_t CANCEL_GRACE_S = 60;

static void on_cancel_shown(struct call *c)
{
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    /* 202: a worker was told and will stop; 200: it is cancelled, by force or because it had not started. */
    answer_job(c, c->op.out.job.state == JOB_ACTIVE ? 202 : 200, NULL);
}

static void on_cancelled(struct call *c)
{
    if (c->op.result == E_CONFLICT) {
        answer_problem(c->request, 409, "conflict_state",
                       "the job has already ended, it cannot be cancelled");
        return;
    }
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    if (c->op.out.cancel.active && c->api->config.cancelled)
        c->api->config.cancelled(c->api->config.ctx, span_of(c->id), c->op.in.cancel.force);
    post_job(c, on_cancel_shown);
}

static bool read_cancel(struct body *b, struct json_parser *parser, struct span text,
                        struct cancel_args *out)
{
    static const char *const members[] = {"force", "grace_s", "reason", NULL};
    struct json root, v;
    int64_t grace_s = CANCEL_GRACE_S;
    if (!body_read(b, parser, text, true, members, &root))
        return false;
    body_flag(b, root, "", "force", &out->force);
    body_number(b, root, "", "grace_s", 1, GRACE_MAX_S, &grace_s);
    body_text(b, root, "", "reason", STORE_WHY_MAX, &out->why);
    if (out->force && body_given(root, "grace_s", &v))
        body_refuse(b, SPAN("/grace_s"), "not_supported",
                    "by force is at once: one of force and grace_s");
    out->grace_ms = grace_s * 1000;
    return body_fine(b);
}

void jobs_cancel(struct api *a, struct request *r, struct span id)
{
    if (r->body.n && !body_is_json(r))
        return;
    struct call *c = call_new(a, r, id);
    struct order_refusal refusal = {0};
    struct cancel_args args = {.id = span_of(c->id)};
    if (!read_cancel(&(struct body){&refusal, c->op.arena}, a->json, r->body, &args)) {
        answer_refusal(r, &refusal);
        return;
    }
    c->op.in.cancel = args;
    call_post(c, STORE_CANCEL, on_cancelled);
}

/* ---- GET /v1/jobs ---- */

static void on_listed(struct call *c)
{
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    const struct job_view *jobs = c->op.out.jobs.jobs;
    size_t found = c->op.out.jobs.count;
    size_t count =
        found < c->page ? found : c->page; /* one more was asked for: is there a next page? */
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    view_list_open(&w);
    for (size_t i = 0; i < count; i++)
        view_job(&w, &jobs[i], c->api->json, false);
    view_list_close(&w, c->page, found > count ? span_of(jobs[count - 1].id) : SPAN_NONE);
    buf_add_char(&body, '\n');
    char link[160];
    const char *state =
        c->op.in.jobs.state >= 0 ? job_state_name((enum job_state)c->op.in.jobs.state) : NULL;
    if (found > count)
        snprintf(link, sizeof link, "</v1/jobs?limit=%zu&after=%s%s%s>; rel=\"next\"", c->page,
                 jobs[count - 1].id, state ? "&state=" : "", state ? state : "");
    answer_json(c->request, 200, &body,
                (const char *const[]){found > count ? "Link" : NULL, link, NULL});
}

void jobs_list(struct api *a, struct request *r, struct span id)
{
    int64_t limit = LIST_LIMIT;
    struct span text, after = SPAN_NONE;
    int wanted = -1;
    enum job_state state;
    if (!query_number(r, "limit", 1, LIST_MAX, &limit))
        return;
    if (request_query(r, "state", &text)) {
        if (!job_state_parse(text, &state)) {
            answer_problem(r, 400, "bad_parameter",
                           "state must be scheduled, ready, active, succeeded, dead, cancelled "
                           "or expired");
            return;
        }
        wanted = (int)state;
    }
    if (request_query(r, "after", &after) && !id_valid(after, "job")) {
        answer_problem(r, 400, "bad_parameter", "after must be the id of a job");
        return;
    }
    struct call *c = call_new(a, r, id);
    c->page = (size_t)limit;
    span_copy(after, c->id, sizeof c->id);
    c->op.in.jobs =
        (struct jobs_query){.state = wanted, .after = span_of(c->id), .limit = c->page + 1};
    call_post(c, STORE_JOBS, on_listed);
}
