#include "api/inside.h"
#include "api/order.h"
#include "api/view.h"

#include "base/id.h"
#include "base/need.h"
#include "core/metrics.h"
#include "os/clock.h"
#include "os/random.h"

/* What its worker does now, when that is one of this node. */
static const char *phase_of(const struct call *c)
{
    enum { MOST = 256 };
    const struct api_config *config = &c->api->config;
    if (c->op.out.job.state != JOB_ACTIVE || !config->workers)
        return NULL;
    struct api_worker *all = arena_get(c->request->arena, MOST * sizeof *all);
    size_t n = config->workers(config->ctx, all, MOST);
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i].job, c->op.out.job.id) == 0 && all[i].step[0])
            return all[i].step;
    return NULL;
}

static void answer_job(struct call *c, int status, const char *const *headers)
{
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    c->op.out.job.phase = phase_of(c);
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

const char *jobs_durability(enum durability d, bool confirmed)
{
    return confirmed ? durability_name(d) : "unconfirmed";
}

/* ---- answers about one job ---- */

/* name, value, …, NULL: those that have a value. */
struct headers {
    const char *list[16];
    size_t count;
};
static void add_header(struct headers *h, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    need(h->count + 2 < sizeof h->list / sizeof *h->list);
    h->list[h->count++] = name;
    h->list[h->count++] = value;
}

static bool is_over(const struct call *c)
{
    return job_is_final(c->op.out.job.state);
}

static void look_at_job(struct call *c, void (*then)(struct call *c))
{
    arena_reset(c->op.arena);
    post_job(c, then);
}

static void answer_created(struct call *c)
{
    struct headers h = {0};
    char location[64];
    bool waited = c->applied[0] && is_over(c);
    bool made = !c->existing && !(c->chosen && c->replayed);
    snprintf(location, sizeof location, "/v1/jobs/%s", c->id);
    add_header(&h, "Idempotency-Replayed", c->replayed ? "true" : NULL);
    if (c->existing) { /* nothing was made */
        add_header(&h, "Content-Location", location);
        add_header(&h, "Unique-Match", c->id);
    } else {
        add_header(&h, "Location", location);
        add_header(&h, "Durability", jobs_durability(c->durability, c->confirmed));
    }
    if (c->durability == DURABILITY_SPOOLED && c->op.out.job.unique_key.n)
        add_header(&h, "Unique-Checked", "node");
    add_header(&h, "Retry-After", made && !waited ? "1" : NULL);
    answer_job(c, made && !waited ? 202 : 200, h.list);
}

static void on_created(struct call *c)
{
    if (c->op.result)
        answer_fault(c->request, c->op.result, &c->op.fault);
    else
        answer_created(c);
}

static const struct wait_face created = {look_at_job, is_over, on_created};

/* ---- PUT /v1/jobs/{id}: the id is the client's ---- */

static void refuse_other(struct call *c)
{
    if (c->once)
        answer_problem(c->request, 412, "precondition_failed",
                       "job %s is there already; read it, or leave If-None-Match out", c->id);
    else
        answer_problem(c->request, 409, "conflict_state",
                       "another request made job %s; choose another id, or read that job",
                       c->id);
}

/* Either the id is taken, or the unique key: whose words the call keeps. */
static void on_taken(struct call *c)
{
    if (!c->op.result)
        refuse_other(c);
    else if (c->op.result == E_NOT_FOUND)
        answer_problem(c->request, 409, "unique_conflict", "%.*s", SP(c->kept));
    else
        answer_fault(c->request, c->op.result, &c->op.fault);
}

static bool put_was_refused(struct call *c)
{
    if (c->op.result == E_BAD_INPUT ||
        (!c->op.result && c->op.out.accept.replayed && c->once)) {
        refuse_other(c);
        return true;
    }
    if (c->op.result != E_CONFLICT)
        return false;
    c->kept = arena_keep(c->op.arena, span_of(c->op.fault.words));
    post_job(c, on_taken);
    return true;
}

/* ---- POST /v1/jobs ---- */

/* The queue is away and does not know it yet: as it will be there. */
static void answer_spooled(struct call *c)
{
    const struct accept_reply *reply = &c->op.out.accept;
    const struct accept_args *job = reply->waits ? reply->waits : &c->op.in.accept;
    struct job_view view = {.site = job->site,
                            .kind = job->kind,
                            .target = job->target,
                            .lane = job->lane,
                            .spec = job->spec,
                            .state = reply->state,
                            .counts = job->counts,
                            .limit = job->limit,
                            .prio = job->prio,
                            .created_ms = job->accepted_ms ? job->accepted_ms : clock_wall().ms,
                            .held = job->held,
                            .run_at_ms = job->run_at_ms,
                            .expires_ms = job->expires_ms,
                            .deadline_ms = job->deadline_ms,
                            .max_fail = job->max_fail,
                            .unique_key = job->unique_key,
                            .usage = usage_none(),
                            .ahead = -1};
    span_copy(span_of(c->id), view.id, sizeof view.id);
    c->op.out.job = view;
    answer_created(c);
}

/* What a client hears of an order that the store did not take. */
struct accept_problem accept_problem(err e, bool keyed)
{
    if (e == E_BAD_INPUT && keyed)
        return (struct accept_problem){422, "idempotency_mismatch", false};
    if (e == E_SESSION)
        return (struct accept_problem){409, "session_unavailable", false};
    if (e == E_CONFLICT) /* ids are ours: only the unique key can be taken */
        return (struct accept_problem){409, "unique_conflict", false};
    return (struct accept_problem){err_http(e), fault_code(e), err_class(e) == ERR_WAIT};
}

static bool refuse_accept(struct call *c)
{
    err e = c->op.result;
    struct accept_problem p = accept_problem(e, c->key[0] != '\0');
    if (e == E_BAD_INPUT && c->key[0])
        answer_problem(
            c->request, p.status, p.code,
            "this Idempotency-Key was used with another body; use a new one for a new job");
    else if (e == E_SESSION || e == E_CONFLICT)
        answer_problem(c->request, p.status, p.code, "%s", c->op.fault.words);
    else if (e)
        answer_fault(c->request, e, &c->op.fault);
    return e != E_OK;
}

static void on_accepted(struct call *c)
{
    if (c->chosen && put_was_refused(c))
        return;
    if (refuse_accept(c))
        return;
    c->replayed = c->op.out.accept.replayed;
    c->existing = c->op.out.accept.existing;
    c->durability = c->op.out.accept.durability;
    c->confirmed = c->op.out.accept.confirmed;
    if (!c->replayed && !c->existing)
        metric_add(METRIC_JOBS_SUBMITTED, 0, 1);
    span_copy(span_of(c->op.out.accept.id), c->id, sizeof c->id);
    if (c->durability == DURABILITY_SPOOLED)
        answer_spooled(c);
    else
        wait_for(c, &created);
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

bool key_read(struct span key, char out[REQUEST_KEY_MAX + 1])
{
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

bool request_key(struct request *r, char out[REQUEST_KEY_MAX + 1])
{
    struct span key = request_header(r, "Idempotency-Key");
    out[0] = '\0';
    return !key.p || key_read(key, out);
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

/* An order on its way to the store, in the arena of the call. */
struct submission {
    struct order order;
    uint64_t hash; /* of the request */
    bool dry;
    struct accept_args would; /* of a dry run */
    struct callback_wish wish;
};

static void accept_order(struct call *c, const struct submission *s)
{
    struct accept_args *job = &c->op.in.accept;
    if (!c->chosen)
        make_id(c->id, "job");
    *job = order_accept(&s->order, c->api->config.coalesce, clock_wall());
    job->id = span_of(c->id);
    job->idempotency_key = span_of(c->key);
    job->request_hash = s->hash;
    call_post(c, STORE_ACCEPT, on_accepted);
}

/* What would be accepted, as it would be kept. */
static void answer_order(struct call *c)
{
    const struct submission *s = c->more;
    const struct order *o = &s->order;
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    json_open(&w);
    json_kv_cstr(&w, "object", "dry_run");
    json_kv_cstr(&w, "action", "create");
    json_kv_int(&w, "count", 1);
    json_kv_cstr(&w, "count_kind", "exact");
    json_key(&w, "job");
    json_open(&w);
    json_kv_text(&w, "site", o->site);
    json_kv_text(&w, "kind", o->kind);
    json_kv_text(&w, "target", o->target);
    json_kv_cstr(&w, "records", o->users ? "users" : "posts");
    json_kv_text(&w, "lane", o->lane);
    json_kv_int(&w, "priority", s->would.prio);
    json_kv_bool(&w, "needs_page", o->needs == NEEDS_PAGE);
    view_options(&w, o->spec, c->api->json);
    json_close(&w);
    json_close(&w);
    buf_add_char(&body, '\n');
    answer_json(c->request, 200, &body, NULL);
}

static void look_at_order(struct call *c, struct submission *s)
{
    struct accept_args **would = arena_new_of(c->op.arena, struct accept_args *);
    s->would = order_accept(&s->order, c->api->config.coalesce, clock_wall());
    *would = &s->would;
    priorities_look(c, would, 1, answer_order);
}

static void go_on(struct call *c, struct submission *s)
{
    if (s->dry)
        look_at_order(c, s);
    else
        accept_order(c, s);
}

static void on_callback(struct call *c)
{
    struct submission *s = c->more;
    struct order_refusal refusal = {0};
    struct body b = {&refusal, c->op.arena};
    if (s->wish.missing)
        callbacks_refuse(&b, SPAN("/callback/webhook_id"), s->wish.webhook);
    if (body_fine(&b))
        go_on(c, s);
    else
        answer_refusal(c->request, &refusal);
}

static void submit(struct call *c, const struct order *order, struct span text, bool dry)
{
    struct submission *s = arena_new_of(c->op.arena, struct submission);
    struct callback_wish **wish = arena_get(c->op.arena, sizeof *wish);
    *s = (struct submission){.order = *order, .hash = span_hash(text, 0), .dry = dry};
    s->wish = (struct callback_wish){.webhook = order->followup.webhook,
                                     .tenant = order->terms.tenant,
                                     .key = span_of(c->key)};
    *wish = &s->wish;
    c->more = s;
    if (s->wish.webhook.n)
        callbacks_look(c, wish, 1, on_callback);
    else
        go_on(c, s);
}

void jobs_submit(struct call *c, const struct order *order, struct span text)
{
    submit(c, order, text, false);
}

static void read_and_submit(struct call *c, bool dry)
{
    struct order order;
    struct order_refusal refusal;
    const struct api *a = c->api;
    if (order_read(&order, &refusal, a->json, a->config.packs->pack, a->config.packs->count,
                   c->request->body, c->op.arena))
        submit(c, &order, c->request->body, dry);
    else
        answer_refusal(c->request, &refusal);
}

bool jobs_request_key(struct call *c)
{
    if (request_key(c->request, c->key))
        return true;
    answer_problem(c->request, 400, "bad_header",
                   "Idempotency-Key must be 1 to 255 visible ASCII characters");
    return false;
}

void jobs_create(struct api *a, struct request *r, struct span id)
{
    bool dry;
    if (!body_is_json(r) || !query_dry_run(r, &dry))
        return;
    struct call *c = call_new(a, r, id);
    if (jobs_request_key(c))
        read_and_submit(c, dry);
}

/* The store knows a PUT by a key that no header can be: there is a space in it. */
void jobs_put(struct api *a, struct request *r, struct span id)
{
    struct span once = request_header(r, "If-None-Match");
    if (!body_is_json(r))
        return;
    if (once.p && !span_is(once, "*")) {
        answer_problem(r, 400, "bad_header",
                       "If-None-Match of a PUT must be *: only when there is no such job");
        return;
    }
    if (request_header(r, "Idempotency-Key").p) {
        answer_problem(r, 400, "bad_header",
                       "the id in the path makes a PUT repeatable: leave Idempotency-Key out");
        return;
    }
    struct call *c = call_new(a, r, id);
    c->chosen = true;
    c->once = once.p != NULL;
    snprintf(c->key, sizeof c->key, "PUT %s", c->id);
    read_and_submit(c, false);
}

/* ---- GET /v1/jobs/{id} ---- */

static void on_shown(struct call *c)
{
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    struct headers h = {0};
    char tag[VIEW_TAG];
    view_tag(c->op.out.job.revision, tag);
    /* Its place and what it waits for, what its worker does and its lease change without a change of the job. */
    bool lives = c->op.out.job.state <= JOB_ACTIVE;
    bool unchanged = !lives && client_has(c->request, tag);
    add_header(&h, "ETag", tag);
    add_header(&h, "Cache-Control", CACHE_ASKED);
    answer_job(c, unchanged ? 304 : 200, h.list);
}

static const struct wait_face shown = {look_at_job, is_over, on_shown};

void jobs_answer(struct call *c)
{
    post_job(c, on_shown);
}

void jobs_answer_accepted(struct call *c)
{
    post_job(c, on_created);
}

static bool has_started(const struct call *c)
{
    return c->op.out.job.state >= JOB_ACTIVE;
}

static const struct wait_face started = {look_at_job, has_started, on_shown};

void jobs_show(struct api *a, struct request *r, struct span id)
{
    struct span what = SPAN("end");
    if (request_query(r, "wait_for", &what) && !span_is(what, "running") &&
        !span_is(what, "end"))
        answer_problem(r, 400, "bad_parameter", "wait_for must be end, or running");
    else
        wait_for(call_new(a, r, id), span_is(what, "running") ? &started : &shown);
}

/* ---- GET /v1/jobs/{id}/result ---- */

static void on_result(struct call *c)
{
    const struct job_view *job = &c->op.out.job;
    struct headers h = {0};
    char location[80];
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    if (!is_over(c)) {
        answer_problem(c->request, 409, "conflict_state",
                       "the job is %s: it has no result yet; wait for it with Prefer: wait=60, "
                       "or read /v1/jobs/%s/%s while it runs",
                       job_state_name(job->state), c->id,
                       job->counts == ITEM_USER ? "users" : "posts");
        return;
    }
    if (job->state != JOB_SUCCEEDED && !job->have) {
        answer_problem(c->request, 404, "not_found",
                       "the job is %s and brought nothing; /v1/jobs/%s says why",
                       job_state_name(job->state), c->id);
        return;
    }
    snprintf(location, sizeof location, "/v1/jobs/%s/%s", c->id,
             job->counts == ITEM_USER ? "users" : "posts");
    add_header(&h, "Location", location);
    add_header(&h, "Job-State", job_state_name(job->state));
    add_header(&h, "Preference-Applied", c->applied);
    struct answer a = {.status = 303};
    for (size_t i = 0; i < h.count; i++)
        a.headers[i] = h.list[i];
    request_answer(c->request, &a);
}

static const struct wait_face result = {look_at_job, is_over, on_result};

void jobs_result(struct api *a, struct request *r, struct span id)
{
    wait_for(call_new(a, r, id), &result);
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
