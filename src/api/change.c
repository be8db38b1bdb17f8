/* change.c - a job that waits is changed, held, let go; one that has ended is deleted. */
#include "api/bounds.h"
#include "api/inside.h"
#include "api/order.h"
#include "api/terms.h"

#include "os/clock.h"
#include "store/dead.h"

/* ---- what is asked for: null takes a member back to what it is when nobody asks ---- */

static void read_start(struct body *b, struct json root, struct job_change *c)
{
    wall when;
    if (!json_is(json_get(root, SPAN("not_before")), JSON_NONE))
        c->run_at_ms = 0;
    if (body_time(b, root, "", "not_before", &when))
        c->run_at_ms = when.ms > 0 ? when.ms : 0;
}

static void refuse_fixed_one(struct body *b, struct span pointer)
{
    body_refuse(
        b, pointer, "not_supported",
        "what was asked for so cannot be changed; POST …/rerun makes another job with this");
}

static void read_timeouts(struct body *b, struct json root, struct job_change *c)
{
    static const char *const members[] = {"attempt_s", "idle_s", "navigation_s", NULL};
    struct json v = json_get(root, SPAN("timeouts"));
    int64_t attempt_s = CHANGE_NOT, idle_s = CHANGE_NOT;
    if (json_is(v, JSON_NONE))
        return;
    if (json_is(v, JSON_NULL)) {
        c->attempt_ms = c->stall_ms = 0;
        return;
    }
    if (!json_is(v, JSON_OBJECT)) {
        body_refuse(b, SPAN("/timeouts"), "type",
                    "must be an object such as {\"attempt_s\":300,\"idle_s\":30}");
        return;
    }
    body_members(b, v, "/timeouts", members);
    if (!json_is(json_get(v, SPAN("navigation_s")), JSON_NONE))
        refuse_fixed_one(b, SPAN("/timeouts/navigation_s"));
    body_setting(b, v, "/timeouts", "attempt_s", 1, TERMS_ATTEMPT_MAX_S, 0, &attempt_s);
    body_setting(b, v, "/timeouts", "idle_s", 1, TERMS_IDLE_MAX_S, 0, &idle_s);
    c->attempt_ms = attempt_s == CHANGE_NOT ? CHANGE_NOT : attempt_s * 1000;
    c->stall_ms = idle_s == CHANGE_NOT ? CHANGE_NOT : idle_s * 1000;
}

/* So long from its new start, or from now. */
static int64_t instant(int64_t seconds, const struct job_change *c, int64_t now_ms)
{
    int64_t from = c->run_at_ms > now_ms ? c->run_at_ms : now_ms;
    return seconds > 0 ? from + seconds * 1000 : seconds;
}

static void refuse_fixed(struct body *b, struct json root)
{
    static const char *const fixed[] = {
        "site",    "kind",     "target",         "since",        "until",    "product",
        "depth",   "media",    "fields",         "exclude",      "include",  "class",
        "tenant",  "unique",   "max_age_s",      "evidence",     "strategy", "since_last",
        "session", "coalesce", FOLLOWUP_MEMBERS, BOUNDS_MEMBERS, "quality",  NULL};
    for (size_t i = 0; fixed[i]; i++)
        if (!json_is(json_get(root, span_of(fixed[i])), JSON_NONE))
            refuse_fixed_one(b, body_pointer(b, "", span_of(fixed[i])));
}

static const char *const members[] = {
    "priority",   "limit",   "not_before", "expires_s", "deadline_s",     "timeouts",
    "reason",     "site",    "kind",       "target",    "since",          "until",
    "product",    "depth",   "media",      "fields",    "exclude",        "include",
    "class",      "tenant",  "unique",     "max_age_s", "evidence",       "strategy",
    "since_last", "session", "coalesce",   "labels",    FOLLOWUP_MEMBERS, BOUNDS_MEMBERS,
    "quality",    NULL};

static bool read_change(struct body *b, struct json_parser *parser, struct span text,
                        struct job_change *c)
{
    struct json root;
    int64_t now_ms = clock_wall().ms, expires_s = CHANGE_NOT, deadline_s = CHANGE_NOT;
    if (!body_read(b, parser, text, false, members, &root))
        return false;
    refuse_fixed(b, root);
    body_setting(b, root, "", "priority", 0, 9, CHANGE_PRIO_OF_LANE, &c->prio);
    body_setting(b, root, "", "limit", 1, ORDER_LIMIT_MAX, 0, &c->limit);
    body_setting(b, root, "", "expires_s", 1, TERMS_WAIT_MAX_S, 0, &expires_s);
    body_setting(b, root, "", "deadline_s", 1, TERMS_WAIT_MAX_S, 0, &deadline_s);
    read_start(b, root, c);
    read_timeouts(b, root, c);
    order_labels(b, root, "", true, &c->labels);
    body_text(b, root, "", "reason", STORE_WHY_MAX, &c->why);
    if (deadline_s > 0 && expires_s > deadline_s)
        body_refuse(b, SPAN("/expires_s"), "range", "must not be longer than deadline_s");
    c->expires_ms = instant(expires_s, c, now_ms);
    c->deadline_ms = instant(deadline_s, c, now_ms);
    return body_fine(b);
}

/* ---- PATCH /v1/jobs/{id} ---- */

static err run_change(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    (void)a;
    return store_change(s, args, now, f);
}

static void on_changed(struct call *c)
{
    if (c->op.result == E_CONFLICT)
        answer_problem(c->request, 409, "conflict_state", "%s", c->op.fault.words);
    else if (c->op.result == E_TOO_BIG)
        answer_problem(c->request, 422, "validation_failed", "%s", c->op.fault.words);
    else if (!call_failed(c))
        jobs_answer(c);
}

/* The limit is one of the options, and part of what the work is: the order is made anew with it. */
static void on_job(struct call *c)
{
    struct job_change *change = c->more;
    const struct packs *packs = c->api->config.packs;
    const struct job_view job = c->op.out.job;
    struct order order;
    struct order_refusal refusal;
    struct span text;
    if (call_failed(c))
        return;
    const char *limit =
        change->limit ? arena_fmt(c->op.arena, "{\"limit\":%lld}", (long long)change->limit)
                      : "{\"limit\":null}";
    if (!rerun_read(c, &job, false, span_of(limit), &text))
        return;
    if (!order_read(&order, &refusal, c->api->json, packs->pack, packs->count, text,
                    c->op.arena)) {
        answer_refusal(c->request, &refusal);
        return;
    }
    change->spec = order.spec;
    change->work = order.work;
    call_work(c, STORE_WRITE, run_change, change, on_changed);
}

void change_job(struct api *a, struct request *r, struct span id)
{
    struct order_refusal refusal = {0};
    int64_t revision;
    if (!body_is_json(r) || !if_match(r, false, "job", &revision))
        return;
    struct call *c = call_new(a, r, id);
    struct job_change *change = arena_get(c->op.arena, sizeof *change);
    *change = job_change_none(span_of(c->id));
    change->revision = revision;
    c->more = change;
    if (!read_change(&(struct body){&refusal, c->op.arena}, a->json, r->body, change)) {
        answer_refusal(r, &refusal);
        return;
    }
    c->op.in.job.id = span_of(c->id);
    if (change->limit == CHANGE_NOT)
        call_work(c, STORE_WRITE, run_change, change, on_changed);
    else
        call_post(c, STORE_JOB, on_job);
}

/* ---- hold, release ---- */

static void hold(struct api *a, struct request *r, struct span id, enum job_hold how)
{
    static const char *const known[] = {"reason", NULL};
    struct order_refusal refusal = {0};
    struct json root;
    if (r->body.n && !body_is_json(r))
        return;
    struct call *c = call_new(a, r, id);
    struct body b = {&refusal, c->op.arena};
    struct job_change *change = arena_get(c->op.arena, sizeof *change);
    *change = job_change_none(span_of(c->id));
    change->hold = how;
    bool fine = body_read(&b, a->json, r->body, true, known, &root);
    if (fine)
        body_text(&b, root, "", "reason", STORE_WHY_MAX, &change->why);
    if (fine && body_fine(&b))
        call_work(c, STORE_WRITE, run_change, change, on_changed);
    else
        answer_refusal(r, &refusal);
}

void change_hold(struct api *a, struct request *r, struct span id)
{
    hold(a, r, id, HOLD_ON);
}

void change_release(struct api *a, struct request *r, struct span id)
{
    hold(a, r, id, HOLD_OFF);
}

/* ---- DELETE /v1/jobs/{id} ---- */

static err run_forget(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    const struct call *c = args;
    (void)a;
    return store_forget(s, span_of(c->id), now, f);
}

static void on_forgotten(struct call *c)
{
    if (c->op.result == E_CONFLICT)
        answer_problem(c->request, 409, "conflict_state", "%s", c->op.fault.words);
    else if (!call_failed(c))
        request_answer(c->request, &(struct answer){.status = 204});
}

void change_delete(struct api *a, struct request *r, struct span id)
{
    struct span keep;
    /* Records are their job's: without it nothing leads to them. */
    if (request_query(r, "keep_results", &keep) && !span_is(keep, "false")) {
        answer_problem(
            r, 400, "not_supported",
            "results go with their job, as nothing else leads to them: read them first "
            "(GET /v1/jobs/%.*s/posts, or fulmar posts list %.*s --out FILE), then delete "
            "it without keep_results",
            SP(id), SP(id));
        return;
    }
    struct call *c = call_new(a, r, id);
    c->ends_jobs = true; /* it makes room */
    call_work(c, STORE_WRITE, run_forget, c, on_forgotten);
}
