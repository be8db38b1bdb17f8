#include "api/inside.h"
#include "api/batch_order.h"
#include "api/view.h"

#include "base/id.h"
#include "base/once.h"
#include "base/when.h"
#include "core/lane.h"
#include "core/metrics.h"
#include "os/clock.h"
#include "store/ticket.h"

enum {
    LIST_LIMIT = 20,
    LIST_MAX = 100,
    JOBS_LIMIT = 50,
    JOBS_MAX = 200,
    ITEMS_PAGE = 256,
    SEEN_MOST = 1 << 20, /* records told from each other in one stream: 32 MiB at most */
    ETA_LEAST = 5,       /* ended jobs; fewer say nothing about the others */
};

/* ---- the view ---- */

struct sums {
    int64_t live, ended, total;
};

static struct sums sums_of(const struct batch_view *b)
{
    struct sums s = {.ended = b->gone_well + b->gone_otherwise};
    for (int i = 0; i < JOB_STATES; i++) {
        s.live += job_is_final((enum job_state)i) ? 0 : b->counts[i];
        s.ended += job_is_final((enum job_state)i) ? b->counts[i] : 0;
    }
    s.total = s.live + s.ended;
    return s;
}

/* In one word: open (takes jobs), running, cancelling, complete, success. While an operation brings its
 * jobs back it is running, also when none is live for a moment. */
static const char *state_of(const struct batch_view *b, const struct sums *s)
{
    if (!b->sealed)
        return "open";
    if (s->live || b->operation[0])
        return b->stopped ? "cancelling" : "running";
    bool well = b->counts[JOB_SUCCEEDED] + b->gone_well == s->total;
    return well ? "success" : "complete";
}

static void put_counts(struct json_w *w, const struct batch_view *b, const struct sums *s)
{
    json_key(w, "counts");
    json_open(w);
    for (int i = JOB_SCHEDULED; i < JOB_STATES; i++)
        json_kv_int(w, job_state_name((enum job_state)i), b->counts[i]);
    json_kv_int(w, "deleted", b->gone_well + b->gone_otherwise);
    json_kv_int(w, "total", s->total);
    json_close(w);
    if (b->sealed && s->total)
        json_kv_int(w, "percent", s->ended * 100 / s->total);
    else
        json_kv_null(w, "percent");
}

/* When it may be over, should the rest go as what has ended. Not after a retry: the clock of that one
 * is not known. */
static void put_eta(struct json_w *w, const struct batch_view *b, const struct sums *s)
{
    int64_t now = clock_wall().ms, elapsed = now - b->created_ms;
    bool known =
        b->sealed && !b->finished_ms && s->live && s->ended >= ETA_LEAST && elapsed > 0;
    view_time(w, "eta", known ? now + elapsed / s->ended * s->live : 0);
}

static void put_policy(struct json_w *w, const struct batch_view *b)
{
    json_key(w, "policy");
    json_open(w);
    json_kv_cstr(w, "on_failure",
                 !b->stop_after       ? "continue"
                 : b->stop_after == 1 ? "cancel_all"
                                      : "stop_after_n");
    if (b->stop_after > 1)
        json_kv_int(w, "n", b->stop_after);
    if (b->parallel)
        json_kv_int(w, "max_parallel", b->parallel);
    json_close(w);
}

static void put_callbacks(struct json_w *w, const struct batch_view *b)
{
    static const char *const names[BATCH_CALLS] = {"complete", "success"};
    json_key(w, "callbacks");
    json_open(w);
    for (int i = 0; i < BATCH_CALLS; i++) {
        const struct batch_call_view *c = &b->calls[i];
        json_key(w, names[i]);
        json_open(w);
        view_time(w, "at", c->at_ms);
        json_kv_bool(w, "asked", c->asked);
        json_kv_cstr(w, "job", c->job[0] ? c->job : NULL);
        view_time(w, "waits_until", c->due_ms);
        json_kv_text(w, "why", c->why.n ? c->why : SPAN_NONE);
        json_close(w);
    }
    json_close(w);
}

static void put_links(struct json_w *w, const char *id)
{
    static const char *const rests[] = {"jobs", "posts",  "users",
                                        "seal", "cancel", "retry-failed"};
    char path[96];
    json_key(w, "links");
    json_open(w);
    snprintf(path, sizeof path, "/v1/batches/%s", id);
    json_kv_cstr(w, "self", path);
    for (size_t i = 0; i < sizeof rests / sizeof *rests; i++) {
        snprintf(path, sizeof path, "/v1/batches/%s/%s", id, rests[i]);
        json_kv_cstr(w, rests[i], path);
    }
    snprintf(path, sizeof path, "/v1/events?job=%s&after=0", id);
    json_kv_cstr(w, "events", path);
    json_close(w);
}

/* An open object. */
static void put_batch(struct json_w *w, const struct batch_view *b)
{
    struct sums s = sums_of(b);
    json_open(w);
    json_kv_cstr(w, "object", "batch");
    json_kv_cstr(w, "id", b->id);
    json_kv_text(w, "name", b->name);
    json_kv_cstr(w, "state", state_of(b, &s));
    json_kv_bool(w, "sealed", b->sealed);
    put_policy(w, b);
    put_counts(w, b, &s);
    put_eta(w, b, &s);
    put_callbacks(w, b);
    json_kv_cstr(w, "operation", b->operation[0] ? b->operation : NULL);
    view_time(w, "created_at", b->created_ms);
    view_time(w, "updated_at", b->updated_ms);
    view_time(w, "completed_at", b->finished_ms);
    json_kv_int(w, "revision", b->revision);
    put_links(w, b->id);
}

/* ---- a call about one batch ---- */

struct batch_request {
    struct batch_args create;
    struct batch_add_args add;
    struct batch_order order;
    struct batch_reply reply;
    struct batch_view view;
    struct span id, key;
    bool cancels;  /* of a dry run: else it retries */
    uint64_t hash; /* of a body with orders, and how it is asked for: */
    bool dry, adding;
    struct callback_wish *wishes; /* of its orders, and behind them of its calls */
};

static struct batch_request *request_of(struct call *c)
{
    return c->op.in.work.args;
}

static err run_show(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    (void)now;
    struct batch_request *b = args;
    return store_batch(s, b->id, a, &b->view, f);
}

static struct batch_request *new_request(struct call *c)
{
    struct batch_request *b = arena_get(c->op.arena, sizeof *b);
    *b = (struct batch_request){.id = span_of(c->id)};
    return b;
}

static void on_shown(struct call *c)
{
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    put_batch(&w, &request_of(c)->view);
    json_close(&w);
    buf_add_char(&body, '\n');
    answer_json(c->request, 200, &body, NULL);
}

static void look_at(struct call *c, void (*then)(struct call *c))
{
    arena_reset(c->op.arena);
    call_work(c, STORE_READ, run_show, new_request(c), then);
}

static bool is_over(const struct call *c)
{
    const struct batch_request *b = c->op.in.work.args;
    return b->view.sealed && !sums_of(&b->view).live && !b->view.operation[0];
}

static const struct wait_face shown = {look_at, is_over, on_shown};

void batches_show(struct api *a, struct request *r, struct span id)
{
    wait_for(call_new(a, r, id), &shown);
}

/* ---- POST /v1/batches, POST …/jobs ---- */

/* What was left out: found here, and found by the store. */
static void put_refused(struct json_w *w, const struct batch_request *b)
{
    json_key(w, "refused");
    json_open_array(w);
    for (size_t i = 0; i < b->order.invalid_count; i++) {
        const struct batch_invalid *no = &b->order.invalid[i];
        json_open(w);
        json_kv_int(w, "index", (int64_t)no->index);
        json_kv_text(w, "pointer", no->pointer);
        json_kv_cstr(w, "code", no->code);
        json_kv_text(w, "detail", no->detail);
        json_close(w);
    }
    for (size_t i = 0; i < b->reply.refused_count; i++) {
        const struct batch_refusal *no = &b->reply.refused[i];
        json_open(w);
        json_kv_int(w, "index", (int64_t)b->order.indexes[no->index]);
        json_kv_null(w, "pointer");
        json_kv_cstr(w, "code",
                     err_class(no->code) == ERR_WAIT ? "busy"
                     : no->code == E_SESSION         ? "session_unavailable"
                                                     : "conflict_state");
        json_kv_text(w, "detail", no->words);
        json_close(w);
    }
    json_close_array(w);
}

static void on_made_shown(struct call *c)
{
    const struct batch_request *b = request_of(c);
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    char location[64];
    const char *headers[16] = {"Location", location, "Retry-After", "1"};
    size_t n = 4;
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    put_batch(&w, &b->view);
    json_kv_int(&w, "added", b->reply.added);
    put_refused(&w, b);
    json_close(&w);
    buf_add_char(&body, '\n');
    snprintf(location, sizeof location, "/v1/batches/%s", b->view.id);
    if (!b->adding) {
        headers[n++] = "Durability";
        headers[n++] = jobs_durability(b->reply.durability, b->reply.confirmed);
    }
    if (b->reply.waits && b->reply.keyed) {
        headers[n++] = "Unique-Checked";
        headers[n++] = "node";
    }
    if (b->reply.replayed) {
        headers[n++] = "Idempotency-Replayed";
        headers[n++] = "true";
    }
    answer_json(c->request, 202, &body, headers);
}

static void on_made(struct call *c)
{
    struct batch_request *b = request_of(c);
    if (c->op.result == E_BAD_INPUT && c->key[0] && !b->reply.refused_count) {
        answer_problem(c->request, 422, "idempotency_mismatch",
                       "this Idempotency-Key was used with another body; use a new one");
        return;
    }
    if (c->op.result == E_CONFLICT) {
        answer_problem(c->request, 409, "conflict_state", "%s", c->op.fault.words);
        return;
    }
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    if (!b->reply.replayed)
        metric_add(METRIC_JOBS_SUBMITTED, 0, b->reply.added);
    span_copy(span_of(b->reply.id), c->id, sizeof c->id);
    b->id = span_of(c->id);
    if (b->reply.waits) { /* the queue is away, and does not know it yet: as it will be there */
        b->view = *b->reply.waits;
        on_made_shown(c);
        return;
    }
    call_work(c, STORE_READ, run_show, b, on_made_shown);
}

static void on_created(struct call *c)
{
    struct batch_request *b = c->more;
    b->reply = c->op.out.batch;
    c->op.in.work.args = b;
    on_made(c);
}

static err run_add(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct batch_request *b = args;
    return store_batch_add(s, &b->add, now, a, &b->reply, f);
}

static struct accept_args *make_jobs(struct call *c, const struct batch_order *o)
{
    struct accept_args *jobs = arena_get(c->op.arena, (o->count + 1) * sizeof *jobs);
    for (size_t i = 0; i < o->count; i++) {
        char *id = arena_get(c->op.arena, ID_TEXT);
        make_id(id, "job");
        jobs[i] = order_accept(&o->orders[i], c->api->config.coalesce, clock_wall());
        jobs[i].id = span_of(id);
    }
    return jobs;
}

/* Whose batch it is: that of its first job. */
static struct span tenant_of(const struct batch_order *o)
{
    struct lane_name lane;
    return o->count && lane_name_parse(o->orders[0].lane, &lane) ? lane.tenant
                                                                 : SPAN("default");
}

/* The job of a callback as the store keeps it. False: answered. */
static bool make_ticket(struct call *c, const struct order *order, struct span *out)
{
    struct buf text = BUF(TICKET_MAX);
    struct fault f = {0};
    struct accept_args job = order_accept(order, c->api->config.coalesce,
                                          (wall){0}); /* counts its times from its start */
    err e = ticket_write(&job, &text, &f);
    if (!e)
        *out = arena_keep(c->op.arena, buf_span(&text));
    buf_free(&text);
    if (e)
        answer_fault(c->request, e, &f);
    return !e;
}

/* Headers and body; NULL: answered. */
static struct call *read_request(struct api *a, struct request *r, struct span id, bool adding)
{
    if (!body_is_json(r))
        return NULL;
    struct call *c = call_new(a, r, id);
    if (!request_key(r, c->key)) {
        answer_problem(r, 400, "bad_header",
                       "Idempotency-Key must be 1 to 255 visible ASCII characters");
        return NULL;
    }
    if (!adding && !c->key[0]) {
        answer_problem(
            r, 400, "idempotency_key_required",
            "a batch needs an Idempotency-Key, so that asking again never doubles it");
        return NULL;
    }
    struct order_refusal *refusal = arena_get(c->op.arena, sizeof *refusal);
    struct batch_request *b = new_request(c);
    c->op.in.work.args = b;
    if (batch_order_read(&b->order, refusal, a->json, a->config.packs->pack,
                         a->config.packs->count, r->body, adding, c->op.arena))
        return c;
    answer_refusal(r, refusal);
    return NULL;
}

/* What would be done; nothing is written. */
static void answer_dry(struct call *c, const char *action)
{
    const struct batch_request *b = request_of(c);
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    json_open(&w);
    json_kv_cstr(&w, "object", "dry_run");
    json_kv_cstr(&w, "action", action);
    json_kv_int(&w, "count", (int64_t)b->order.count);
    json_kv_cstr(&w, "count_kind", "exact");
    put_refused(&w, b);
    json_close(&w);
    buf_add_char(&body, '\n');
    answer_json(c->request, 200, &body, NULL);
}

static void post_create(struct call *c)
{
    struct batch_request *b = request_of(c);
    make_id(c->id, "bat");
    b->create = (struct batch_args){
        .id = arena_keep(c->op.arena, span_of(c->id)),
        .tenant = tenant_of(&b->order),
        .name = b->order.name,
        .open = b->order.open,
        .partial = b->order.partial,
        .stop_after = b->order.stop_after,
        .parallel = b->order.parallel,
        .jobs = make_jobs(c, &b->order),
        .count = b->order.count,
        .idempotency_key = span_of(c->key),
        .request_hash = b->hash,
    };
    for (int i = 0; i < BATCH_CALLS; i++)
        if (b->order.has_call[i] && !make_ticket(c, &b->order.calls[i], &b->create.calls[i]))
            return;
    c->more = b;
    c->op.in.batch_create = &b->create;
    call_post(c, STORE_BATCH_CREATE, on_created);
}

static void post_add(struct call *c)
{
    struct batch_request *b = request_of(c);
    b->add = (struct batch_add_args){
        .id = span_of(c->id),
        .partial = b->order.partial,
        .jobs = make_jobs(c, &b->order),
        .count = b->order.count,
        .idempotency_key = span_of(c->key),
        .request_hash = b->hash,
    };
    call_work(c, STORE_WRITE, run_add, b, on_made);
}

static void go_on(struct call *c)
{
    const struct batch_request *b = request_of(c);
    if (b->dry)
        answer_dry(c, b->adding ? "add" : "create");
    else if (b->adding)
        post_add(c);
    else
        post_create(c);
}

/* ---- callbacks of its jobs ---- */

static void refuse_order(struct body *b, const struct batch_order *o, size_t i,
                         const struct callback_wish *wish)
{
    static const char inner[] = "/callback/webhook_id";
    const char *at = o->templated ? arena_fmt(b->arena, "/template%s", inner)
                                  : arena_fmt(b->arena, "/jobs/%zu%s", o->indexes[i], inner);
    callbacks_refuse(b, span_of(at), wish->webhook);
}

/* Those whose webhook is not there; what is said of each is a mistake of its own. */
static void leave_out(struct batch_order *o, const struct callback_wish *wishes,
                      struct arena *arena)
{
    size_t kept = 0;
    for (size_t i = 0; i < o->count; i++) {
        struct order_refusal no = {0};
        struct body body = {&no, arena};
        if (wishes[i].missing) {
            refuse_order(&body, o, i, &wishes[i]);
            o->invalid[o->invalid_count++] =
                (struct batch_invalid){.index = o->indexes[i],
                                       .pointer = no.errors[0].pointer,
                                       .code = no.errors[0].code,
                                       .detail = no.errors[0].detail};
            continue;
        }
        o->orders[kept] = o->orders[i];
        o->indexes[kept++] = o->indexes[i];
    }
    o->count = kept;
}

static void refuse_missing(struct body *body, const struct batch_order *o,
                           const struct callback_wish *wishes)
{
    static const char *const calls[BATCH_CALLS] = {"complete", "success"};
    for (int i = 0; i < BATCH_CALLS; i++)
        if (wishes[o->count + (size_t)i].missing)
            callbacks_refuse(
                body,
                span_of(arena_fmt(body->arena, "/callbacks/%s/callback/webhook_id", calls[i])),
                wishes[o->count + (size_t)i].webhook);
    for (size_t i = 0, said = 0; i < o->count && !(said && o->templated); i++)
        if (wishes[i].missing) {
            refuse_order(body, o, i, &wishes[i]);
            said++;
        }
}

static size_t count_missing(const struct callback_wish *wishes, size_t count)
{
    size_t missing = 0;
    for (size_t i = 0; i < count; i++)
        missing += wishes[i].missing;
    return missing;
}

static void without_missing(struct call *c)
{
    struct batch_request *b = request_of(c);
    struct batch_order *o = &b->order;
    struct order_refusal refusal = {0};
    struct body body = {&refusal, c->op.arena};
    bool of_calls = count_missing(b->wishes + o->count, BATCH_CALLS) > 0;
    if (o->partial && !o->templated && !of_calls &&
        count_missing(b->wishes, o->count) < o->count)
        leave_out(o, b->wishes, c->op.arena);
    else
        refuse_missing(&body, o, b->wishes);
    if (body_fine(&body))
        go_on(c);
    else
        answer_refusal(c->request, &refusal);
}

static err run_keyed(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    const struct batch_request *b = args;
    (void)a;
    (void)now;
    return store_batch_keyed(s, tenant_of(&b->order), b->adding ? b->id : SPAN_NONE, b->key, f);
}

/* What was taken before is answered as it was then, whatever became of the webhooks. */
static void on_keyed(struct call *c)
{
    if (c->op.result == E_NOT_FOUND)
        without_missing(c);
    else
        go_on(c);
}

static void on_callbacks(struct call *c)
{
    struct batch_request *b = c->more;
    c->op.in.work.args = b;
    if (!count_missing(b->wishes, b->order.count + BATCH_CALLS)) {
        go_on(c);
    } else if (c->key[0] && !b->dry) {
        b->id = span_of(c->id);
        b->key = span_of(c->key);
        call_work(c, STORE_READ, run_keyed, b, on_keyed);
    } else {
        without_missing(c);
    }
}

static struct callback_wish wish_of(const struct order *o)
{
    return (struct callback_wish){.webhook = o->followup.webhook};
}

static void look_at_callbacks(struct call *c)
{
    struct batch_request *b = request_of(c);
    const struct batch_order *o = &b->order;
    size_t all = o->count + BATCH_CALLS, n = 0;
    struct callback_wish **wanted = arena_get(c->op.arena, all * sizeof *wanted);
    b->wishes = arena_get(c->op.arena, all * sizeof *b->wishes);
    for (size_t i = 0; i < o->count; i++)
        b->wishes[i] = wish_of(&o->orders[i]);
    for (size_t i = 0; i < BATCH_CALLS; i++)
        b->wishes[o->count + i] = wish_of(&o->calls[i]);
    for (size_t i = 0; i < all; i++)
        if (b->wishes[i].webhook.n)
            wanted[n++] = &b->wishes[i];
    c->more = b;
    if (n)
        callbacks_look(c, wanted, n, on_callbacks);
    else
        go_on(c);
}

static void take_request(struct api *a, struct request *r, struct span id, bool adding)
{
    bool dry;
    struct call *c = query_dry_run(r, &dry) ? read_request(a, r, id, adding) : NULL;
    if (!c)
        return;
    request_of(c)->dry = dry;
    request_of(c)->adding = adding;
    request_of(c)->hash = span_hash(r->body, 0);
    look_at_callbacks(c);
}

void batches_create(struct api *a, struct request *r, struct span id)
{
    take_request(a, r, id, false);
}

void batches_add(struct api *a, struct request *r, struct span id)
{
    take_request(a, r, id, true);
}

/* ---- seal, cancel, retry-failed ---- */

static err run_seal(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct batch_request *b = args;
    err e = store_batch_seal(s, b->id, now, f);
    return e ? e : store_batch(s, b->id, a, &b->view, f);
}

void batches_seal(struct api *a, struct request *r, struct span id)
{
    struct call *c = call_new(a, r, id);
    call_work(c, STORE_WRITE, run_seal, new_request(c), on_shown);
}

static void on_dry(struct call *c)
{
    const struct batch_view *b = &request_of(c)->view;
    bool cancels = request_of(c)->cancels;
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    answer_dry_run(c->request, cancels ? "cancel" : "retry",
                   cancels ? sums_of(b).live : b->counts[JOB_DEAD] + b->counts[JOB_EXPIRED],
                   true);
}

static void dry(struct call *c, bool cancels)
{
    struct batch_request *b = new_request(c);
    b->cancels = cancels;
    call_work(c, STORE_READ, run_show, b, on_dry);
}

static err run_cancel(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct operation_call *o = args;
    return store_batch_cancel(s, o->batch, o->args.id, now, a, &o->view, f);
}

static err run_retry(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct operation_call *o = args;
    return store_batch_retry(s, o->batch, &o->args, now, a, &o->view, f);
}

static struct operation_call *new_operation(struct call *c)
{
    struct operation_call *o = arena_get(c->op.arena, sizeof *o);
    char *id = arena_get(c->op.arena, ID_TEXT);
    make_id(id, "opr");
    *o = (struct operation_call){.batch = span_of(c->id), .args = {.id = span_of(id)}};
    return o;
}

void batches_cancel(struct api *a, struct request *r, struct span id)
{
    bool is_dry;
    if (!query_dry_run(r, &is_dry))
        return;
    struct call *c = call_new(a, r, id);
    if (is_dry) {
        dry(c, true);
        return;
    }
    c->ends_jobs = true;
    call_work(c, STORE_WRITE, run_cancel, new_operation(c), operations_answer);
}

void batches_retry(struct api *a, struct request *r, struct span id)
{
    bool is_dry;
    struct operation_args args;
    if (!query_dry_run(r, &is_dry))
        return;
    struct call *c = call_new(a, r, id);
    if (!operations_read(a, r, c->op.arena, &args, false))
        return;
    if (is_dry) {
        dry(c, false);
        return;
    }
    struct operation_call *o = new_operation(c);
    o->args.per_minute = args.per_minute;
    o->args.reset = args.reset;
    call_work(c, STORE_WRITE, run_retry, o, operations_answer);
}

/* ---- GET /v1/batches ---- */

struct batch_list {
    struct span after;
    size_t limit, count;
    struct batch_view *batches;
    bool more;
};

static err run_list(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    (void)now;
    struct batch_list *l = args;
    return store_batches(s, l->after, l->limit, a, &l->batches, &l->count, &l->more, f);
}

/* A page may be shorter than asked for, where batches are large. */
static void on_listed(struct call *c)
{
    const struct batch_list *l = c->op.in.work.args;
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    struct buf body = answer_buf();
    struct json_w w = view_list(&body);
    for (size_t i = 0; i < l->count; i++) {
        put_batch(&w, &l->batches[i]);
        json_close(&w);
    }
    answer_list(c->request, 200, &body, &w, l->limit,
                l->more ? span_of(l->batches[l->count - 1].id) : SPAN_NONE);
}

void batches_list(struct api *a, struct request *r, struct span id)
{
    int64_t limit = LIST_LIMIT;
    struct span after = SPAN_NONE;
    if (!query_number(r, "limit", 1, LIST_MAX, &limit))
        return;
    if (request_query(r, "after", &after) && !id_valid(after, "bat")) {
        answer_problem(r, 400, "bad_parameter", "after must be the id of a batch");
        return;
    }
    struct call *c = call_new(a, r, after.n ? after : id);
    struct batch_list *l = arena_get(c->op.arena, sizeof *l);
    *l = (struct batch_list){.after = span_of(c->id), .limit = (size_t)limit};
    call_work(c, STORE_READ, run_list, l, on_listed);
}

/* ---- GET …/jobs ---- */

struct batch_jobs {
    struct batch_jobs_query query;
    struct job_view *jobs;
    size_t count, limit;
};

static err run_jobs(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct batch_jobs *j = args;
    return store_batch_jobs(s, &j->query, now, a, &j->jobs, &j->count, f);
}

static void on_jobs(struct call *c)
{
    const struct batch_jobs *j = c->op.in.work.args;
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    size_t count = j->count < j->limit ? j->count : j->limit;
    struct buf body = answer_buf();
    struct json_w w = view_list(&body);
    count = pick_jobs(c->request, c->api->json, j->jobs, count, &body, &w);
    answer_list(c->request, 200, &body, &w, j->limit,
                j->count > count ? span_of(j->jobs[count - 1].id) : SPAN_NONE);
}

void batches_jobs(struct api *a, struct request *r, struct span id)
{
    int64_t limit = JOBS_LIMIT;
    struct span text, after = SPAN_NONE;
    enum job_state state = JOB_STATES;
    if (!query_number(r, "limit", 1, JOBS_MAX, &limit))
        return;
    if (request_query(r, "state", &text) && !job_state_parse(text, &state)) {
        answer_problem(
            r, 400, "bad_parameter",
            "state must be scheduled, ready, active, succeeded, dead, cancelled or expired");
        return;
    }
    if (request_query(r, "after", &after) && !id_valid(after, "job")) {
        answer_problem(r, 400, "bad_parameter", "after must be the id of a job");
        return;
    }
    struct call *c = call_new(a, r, id);
    struct batch_jobs *j = arena_get(c->op.arena, sizeof *j);
    *j = (struct batch_jobs){
        .query = {.id = span_of(c->id),
                  .state = state == JOB_STATES ? -1 : (int)state,
                  .after = arena_keep(c->op.arena, after.p ? after : SPAN("")),
                  .limit = (size_t)limit + 1},
        .limit = (size_t)limit};
    call_work(c, STORE_READ, run_jobs, j, on_jobs);
}

/* ---- GET …/posts, …/users: all jobs' records as one stream ---- */

/* Lives in call->lines: the arena is reset for every page. */
struct batch_lines {
    struct batch_place place;
    struct item_view *items;
    size_t count;
    int kind;
    char id[ID_TEXT];
    bool all;         /* also what another job of the batch has brought */
    struct once seen; /* what was given out */
};

static void end_lines(void *lines)
{
    once_free(&((struct batch_lines *)lines)->seen);
}

/* "https://x.com": ids are the site's own. */
static struct span origin_of(struct span url)
{
    size_t at = span_find(url, SPAN("://"));
    struct span rest = span_cut(url, at < url.n ? at + 3 : 0, url.n);
    return span_cut(url, 0, url.n - rest.n + span_find_char(rest, '/'));
}

/* The first job that brought it has it; the same record of another one is left out. */
static bool is_wanted(struct call *c, struct batch_lines *l, const struct item_view *item)
{
    struct json root;
    struct span url = SPAN("");
    if (l->all)
        return true;
    if (json_parse(c->api->json, item->json, &root, NULL) == E_OK)
        (void)json_text(json_get(root, SPAN("url")), &url);
    const struct span parts[] = {item->id, origin_of(url)};
    return once_add(&l->seen, parts, sizeof parts / sizeof *parts);
}

static err run_lines(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    (void)now;
    struct batch_lines *l = args;
    return store_batch_items(s, span_of(l->id), l->kind, ITEMS_PAGE, PAGE_BYTES, a, &l->place,
                             &l->items, &l->count, f);
}

static void post_lines(struct call *c, void (*then)(struct call *c))
{
    arena_reset(c->op.arena);
    call_work(c, STORE_READ, run_lines, c->lines, then);
}

static void on_lines(struct call *c)
{
    struct batch_lines *l = c->lines;
    if (c->op.result) {
        stream_fail(c->request);
        return;
    }
    struct buf lines = answer_buf();
    struct span text;
    for (size_t i = 0; i < l->count; i++)
        if (is_wanted(c, l, &l->items[i]))
            items_add_record(&lines, c, l->items[i].json);
    if (buf_end(&lines, &text)) {
        stream_fail(c->request);
    } else {
        if (text.n)
            stream_feed(c->request, text);
        if (l->place.end)
            stream_end(c->request);
        else if (!text.n) /* many jobs without a record: the client still waits for a piece */
            post_lines(c, on_lines);
    }
    buf_free(&lines);
}

static void on_pull(void *ctx, struct request *r)
{
    (void)ctx;
    post_lines(r->owner, on_lines);
}

static void on_known(struct call *c)
{
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    const struct batch_view *b = &request_of(c)->view;
    struct sums s = sums_of(b);
    struct answer head = {.status = 200,
                          .type = "application/x-ndjson",
                          .headers = {"Batch-State", state_of(b, &s), NULL}};
    request_stream(c->request, &head, &(struct stream_face){.on_pull = on_pull});
}

static void stream(struct api *a, struct request *r, struct span id, enum item_kind kind)
{
    struct call *c = call_new(a, r, id);
    struct span fields, dedupe = SPAN("true");
    c->kind = (int)kind;
    if (request_query(r, "fields", &fields) && !items_query_fields(c, fields))
        return;
    if (request_query(r, "dedupe", &dedupe) && !span_is(dedupe, "true") &&
        !span_is(dedupe, "false")) {
        answer_problem(r, 400, "bad_parameter", "dedupe must be true or false");
        return;
    }
    struct batch_lines *l = heap_new_of(struct batch_lines);
    l->kind = (int)kind;
    l->all = span_is(dedupe, "false");
    l->seen = ONCE(SEEN_MOST);
    c->lines_end = end_lines;
    span_copy(id, l->id, sizeof l->id);
    c->lines = l;
    call_work(c, STORE_READ, run_show, new_request(c), on_known);
}

void batches_posts(struct api *a, struct request *r, struct span id)
{
    stream(a, r, id, ITEM_POST);
}

void batches_users(struct api *a, struct request *r, struct span id)
{
    stream(a, r, id, ITEM_USER);
}
