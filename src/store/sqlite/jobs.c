/* jobs.c - the moves of a job: accept, reserve, heartbeat, finish, cancel, reap. Each decides
 * everything first and then writes, so that a refused operation leaves no trace. */
#include "store/sqlite/inside.h"

#include "base/json.h"
#include "base/need.h"
#include "core/retry.h"

/* A server may ask us to wait, but not for ever. */
static const int64_t HINT_MAX_MS = 24 * 3600 * 1000;
/* A lane is shared: one answer does not close it for longer; the next job asks again. */
static const int64_t LANE_BLOCK_MAX_MS = 3600 * 1000;
enum { QUEUE_FULL_WAIT_MS = 5000, TARGET_MAX = 4096, KEY_MAX = 256 };

/* ---- rows ---- */

static void read_row(struct store *s, struct query *q, struct job_row *r)
{
    int64_t lane = db_int(q, 2);
    need(lane >= 1 && lane <= (int64_t)s->now.lane_count);
    *r = (struct job_row){
        .seq = db_int(q, 0),
        .lane = &s->now.lanes[lane - 1],
        .state = (enum job_state)db_int(q, 3),
        .nonce = (uint64_t)db_int(q, 4),
        .fence = db_int(q, 5),
        .prio = db_int(q, 6),
        .rank = db_int(q, 7),
        .run_at_ms = db_int(q, 8),
        .started = db_int(q, 9) != 0,
        .suspect = db_int(q, 10) != 0,
        .cancel_asked = db_int(q, 11) != 0,
        .n_fail = db_int(q, 12),
        .n_crash = db_int(q, 13),
        .n_throttle = db_int(q, 14),
        .n_release = db_int(q, 15),
        .max_fail = db_int(q, 16),
        .max_crash = db_int(q, 17),
        .max_throttle = db_int(q, 18),
        .fail_base = db_int(q, 19),
        .next_batch = db_int(q, 20),
        .limit = db_int(q, 21),
        .have = db_int(q, 22),
        .users = db_int(q, 23),
        .crash_base = db_int(q, 25),
        .progressed = db_int(q, 26) != 0,
        .release_base = db_int(q, 27),
        .counts = (enum item_kind)db_int(q, 28),
        .mark = (enum store_mark)db_int(q, 29),
    };
    span_copy(db_text(q, 1), r->id, sizeof r->id);
    span_copy(db_text(q, 24), r->site, sizeof r->site);
}

static err find_row(struct store *s, struct span id, bool *out_found, struct job_row *out,
                    struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_JOB, &q, f, DB_T(id));
    if (e)
        return e;
    e = db_step(q, f);
    *out_found = e == E_OK;
    if (e == E_OK)
        read_row(s, q, out);
    db_end(q);
    return e == E_END ? E_OK : e;
}

err job_row_find(struct store *s, struct span id, struct job_row *out, struct fault *f)
{
    bool found;
    err e = find_row(s, id, &found, out, f);
    if (!e && !found)
        return fail(f, E_NOT_FOUND, "there is no job %.*s", SP(span_cut(id, 0, 60)));
    return e;
}

err job_row_held(struct store *s, struct span id, uint64_t nonce, struct job_row *out,
                 struct fault *f)
{
    bool found;
    err e = find_row(s, id, &found, out, f);
    if (e)
        return e;
    if (!found || out->state != JOB_ACTIVE || out->nonce != nonce)
        return fail(f, E_STALE, "the lease of job %.*s is no longer held",
                    SP(span_cut(id, 0, 60)));
    return E_OK;
}

/* Up to REAP_MAX rows of a query into s->rows. */
static err read_rows(struct store *s, struct query *q, size_t *out_count, struct fault *f)
{
    size_t n = 0;
    err e = E_END;
    while (n < REAP_MAX && (e = db_step(q, f)) == E_OK)
        read_row(s, q, &s->rows[n++]);
    db_end(q);
    *out_count = n;
    return e == E_END ? E_OK : e;
}

/* ---- accept ---- */

static err check_accept(const struct accept_args *a, struct fault *f)
{
    if (a->id.n == 0 || a->id.n >= ID_TEXT)
        return fail(f, E_BAD_INPUT, "the job id is not valid");
    if (a->site.n == 0 || a->site.n >= SITE_NAME || a->lane.n == 0 || a->lane.n >= LANE_NAME ||
        a->kind.n == 0)
        return fail(f, E_BAD_INPUT, "site, kind and lane of a job must be short names");
    if (a->spec.n > STORE_SPEC_MAX)
        return fail(f, E_BAD_INPUT, "the options may have %d bytes", STORE_SPEC_MAX);
    if (a->target.n > TARGET_MAX || a->idempotency_key.n > KEY_MAX)
        return fail(f, E_BAD_INPUT, "the target may have %d bytes, the idempotency key %d",
                    TARGET_MAX, KEY_MAX);
    if ((unsigned)a->mark > MARK_USED || a->variant.n > STORE_SPEC_MAX)
        return fail(f, E_BAD_INPUT, "the mark of the job is not valid");
    if (a->prio < 0 || a->prio > 9 || a->limit < 0)
        return fail(f, E_BAD_INPUT, "the priority must be 0 to 9, the limit 0 or more");
    if (a->counts != ITEM_POST && a->counts != ITEM_USER)
        return fail(f, E_BAD_INPUT, "a job counts posts or users");
    return E_OK;
}

/* E_END when no job has the key; E_OK and the reply when this request made one. */
static err find_by_key(struct store *s, const struct accept_args *a, struct accept_reply *out,
                       struct fault *f)
{
    if (a->idempotency_key.n == 0)
        return E_END;
    struct query *q;
    err e = db_ask(s->db, SQL_JOB_BY_KEY, &q, f, DB_T(a->idempotency_key));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e && (uint64_t)db_int(q, 1) != a->request_hash)
        e = fail(f, E_BAD_INPUT, "the idempotency key was used before with another request");
    if (!e) {
        span_copy(db_text(q, 0), out->id, sizeof out->id);
        out->replayed = true;
    }
    db_end(q);
    return e;
}

err jobs_room(struct store *s, struct fault *f)
{
    const int64_t *n = s->now.by_state;
    if (s->disk_full || s->disk_free < s->limits.disk_floor_bytes)
        return fail(
            f, E_DISK_FULL,
            "%lld MiB are free in %.120s, too little to accept a job; free some or lower "
            "store.disk_floor",
            (long long)(s->disk_free >> 20), s->dir);
    if (n[JOB_READY] + n[JOB_SCHEDULED] + n[JOB_BLOCKED] >= s->limits.ready_max) {
        if (f && !f->code)
            f->wait_ms = QUEUE_FULL_WAIT_MS;
        return fail(f, E_BUSY, "%lld jobs are waiting already; try again later",
                    (long long)s->limits.ready_max);
    }
    return E_OK;
}

static err write_accept(struct store *s, const struct accept_args *a, struct store_lane *lane,
                        wall now, struct fault *f)
{
    bool keyed = a->idempotency_key.n > 0;
    err e =
        db_run(s->db, SQL_ACCEPT, f, DB_T(a->id), DB_T(a->site), DB_T(a->kind), DB_T(a->target),
               DB_I(lanes_id(s, lane)), DB_T(a->spec), DB_I(a->limit), DB_I(a->prio),
               DB_I(lane_rank(now.ms, a->prio)), DB_I(now.ms), DB_I(s->limits.fail_max),
               DB_I(s->limits.crash_max), DB_I(s->limits.throttle_max),
               db_text_or_null(a->idempotency_key), keyed ? DB_I(a->request_hash) : DB_NULL,
               DB_I(a->counts), DB_I(a->mark), DB_T(a->variant.n ? a->variant : SPAN("")));
    if (e)
        return e;
    lanes_count(s, lane, JOB_STATES, JOB_READY);
    struct json_w w = event_body(s, JOB_READY);
    json_kv_text(&w, "site", a->site);
    json_kv_text(&w, "kind", a->kind);
    json_kv_text(&w, "target", a->target);
    json_kv_int(&w, "limit", a->limit);
    char id[ID_TEXT];
    return event_add(s, span_copy(a->id, id, sizeof id), "job.accepted", now, &w, f);
}

err store_accept(struct store *s, const struct accept_args *args, wall now,
                 struct accept_reply *out, struct fault *f)
{
    struct accept_reply reply = {0};
    bool exists;
    err e = store_usable(s, f);
    if (!e)
        e = check_accept(args, f);
    if (e)
        return e;
    e = find_by_key(s, args, &reply, f);
    if (e == E_OK)
        *out = reply;
    if (e != E_END)
        return e;
    e = jobs_room(s, f);
    if (!e)
        e = find_row(s, args->id, &exists, &s->rows[0], f);
    if (!e && exists)
        e = fail(f, E_CONFLICT, "there is a job %.*s already", SP(args->id));
    struct store_lane *lane = lanes_find(s, args->lane);
    if (!e && !lane && s->now.lane_count == LANES_MAX)
        e = fail(f, E_BUSY, "there are %d lanes already", LANES_MAX);
    if (!e && !lane)
        e = lanes_add(s, args->lane, &lane, f);
    if (!e)
        e = write_accept(s, args, lane, now, f);
    if (e)
        return e;
    span_copy(args->id, reply.id, sizeof reply.id);
    *out = reply;
    return E_OK;
}

/* ---- reserve ---- */

static err read_lease(struct query *q, struct arena *a, wall now, struct lease *l,
                      struct fault *f)
{
    struct span *const texts[] = {&l->site, &l->kind, &l->target, &l->spec, &l->cursor};
    span_copy(db_text(q, 1), l->id, sizeof l->id);
    for (int i = 0; i < 5; i++) {
        err e = db_keep(q, 3 + i, a, texts[i], f);
        if (e)
            return e;
    }
    l->fence = db_int(q, 2) + 1;
    l->attempt = l->fence;
    l->limit = db_int(q, 8);
    l->next_batch = db_int(q, 9);
    l->have = db_int(q, 10);
    l->filtered = db_int(q, 12);
    err e = db_keep(q, 14, a, &l->known, f);
    if (e)
        return e;
    l->waited_ms = now.ms > db_int(q, 11) ? now.ms - db_int(q, 11) : 0;
    return E_OK;
}

err store_reserve(struct store *s, struct span worker, uint64_t random, wall now,
                  struct arena *a, struct lease *out, struct fault *f)
{
    struct lease l = {.nonce = random ? random : 1};
    struct query *q;
    err e = store_usable(s, f);
    if (e)
        return e;
    /* Without room for its records a job would only fail. */
    struct store_lane *lane = s->disk_full ? NULL : lanes_pick(s, now.ms);
    if (!lane)
        return E_END;
    e = db_ask(s->db, SQL_NEXT_READY, &q, f, DB_I(lanes_id(s, lane)));
    if (e)
        return e;
    e = db_step(q, f);
    need(e != E_END); /* the lane counts a ready job */
    if (!e)
        e = read_lease(q, a, now, &l, f);
    int64_t seq = db_int(q, 0);
    enum store_mark mark = (enum store_mark)db_int(q, 13);
    db_end(q);
    if (e)
        return e;
    e = db_run(s->db, SQL_LEASE, f, DB_I(seq), DB_I(l.nonce), DB_T(worker),
               DB_I(now.ms + s->limits.lease_ms), DB_I(now.ms),
               mark == MARK_USED ? DB_T(l.known.n ? l.known : SPAN("")) : DB_NULL);
    if (e)
        return e;
    lanes_count(s, lane, JOB_READY, JOB_ACTIVE);
    lanes_started(s, lane, now.ms);
    struct json_w w = event_body(s, JOB_ACTIVE);
    json_kv_int(&w, "attempt", l.attempt);
    json_kv_text(&w, "worker", worker.p ? worker : SPAN(""));
    json_kv_int(&w, "waited_ms", l.waited_ms);
    e = event_add(s, l.id, "job.started", now, &w, f);
    if (e)
        return e;
    *out = l;
    return E_OK;
}

err store_started(struct store *s, struct span id, uint64_t nonce, struct fault *f)
{
    err e = store_usable(s, f);
    if (!e)
        e = db_run(s->db, SQL_STARTED, f, DB_T(id), DB_I(nonce));
    if (!e && db_changes(s->db) == 0)
        e = fail(f, E_STALE, "the lease of job %.*s is no longer held",
                 SP(span_cut(id, 0, 60)));
    return e;
}

err store_heartbeat(struct store *s, struct span id, uint64_t nonce, wall now,
                    struct heartbeat_reply *out, struct fault *f)
{
    struct query *q;
    err e = store_usable(s, f);
    if (!e)
        e = db_ask(s->db, SQL_HEARTBEAT, &q, f, DB_T(id), DB_I(nonce),
                   DB_I(now.ms + s->limits.lease_ms));
    if (e)
        return e;
    e = db_step(q, f);
    bool cancel = e == E_OK && db_int(q, 0) != 0;
    db_end(q);
    if (e == E_END)
        return fail(f, E_STALE, "the lease of job %.*s is no longer held",
                    SP(span_cut(id, 0, 60)));
    if (!e)
        out->cancel = cancel;
    return e;
}

/* ---- leaving the active state ---- */

enum count { COUNT_FAIL, COUNT_CRASH, COUNT_THROTTLE, COUNT_RELEASE, COUNT_OK, COUNT_VOID };

struct leaving {
    enum job_event on;
    enum count count; /* which counter takes the lease: the conservation law */
    int64_t wait_ms;  /* of a scheduled job */
    enum failure_class failure;
    enum verdict verdict;
    enum end_reason end;
    struct span why, report;
};

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t own_delay(const struct store *s, const struct job_row *r, int64_t n,
                         int64_t hint_ms)
{
    struct retry_policy policy = {.base_ms = s->limits.retry_base_ms,
                                  .cap_ms = s->limits.retry_cap_ms};
    return retry_delay_ms(&policy, span_of(r->id), n < 64 ? (int)n : 64, s->seed, hint_ms);
}

/* Charges the lease to `budget` and says what follows: again later, again at once, or the end.
 */
static void charge(const struct store *s, const struct job_row *r, enum failure_budget budget,
                   int64_t hint_ms, struct leaving *l)
{
    int64_t n;
    switch (budget) {
    case BUDGET_NONE:
        l->count = l->failure == FAILURE_CANCELLED ? COUNT_VOID : COUNT_FAIL;
        l->on = l->failure == FAILURE_CANCELLED ? JOB_ON_CANCEL : JOB_ON_GIVE_UP;
        return;
    case BUDGET_FAIL:
        n = r->n_fail + 1 - r->fail_base;
        l->count = COUNT_FAIL;
        l->on = n >= r->max_fail ? JOB_ON_GIVE_UP : JOB_ON_RETRY;
        l->wait_ms = own_delay(s, r, n, hint_ms);
        return;
    case BUDGET_CRASH:
        n = r->n_crash + 1 - r->crash_base;
        l->count = COUNT_CRASH;
        l->on = n >= r->max_crash ? JOB_ON_GIVE_UP : JOB_ON_LOST;
        /* The first time it was the worker; from the second on it may be the job. */
        l->wait_ms = n > 1 ? own_delay(s, r, n, 0) : 0;
        return;
    case BUDGET_THROTTLE:
        n = r->n_throttle + 1;
        l->count = COUNT_THROTTLE;
        l->on = n >= r->max_throttle ? JOB_ON_GIVE_UP : JOB_ON_THROTTLE;
        l->wait_ms = own_delay(s, r, n, hint_ms);
        return;
    case BUDGET_RELEASE:
        n = r->n_release + 1 - r->release_base;
        l->count = COUNT_RELEASE;
        l->on = n >= RELEASES_MAX ? JOB_ON_GIVE_UP : n > RELEASES_FREE ? JOB_ON_LOST : JOB_ON_RELEASE;
        l->wait_ms = n > RELEASES_FREE ? own_delay(s, r, n - RELEASES_FREE, 0) : 0;
        return;
    }
    bug("unknown budget");
}

static const char *leaving_event(enum job_state to, enum job_event on)
{
    if (to == JOB_SUCCEEDED)
        return "job.finished";
    if (to == JOB_CANCELLED)
        return "job.cancelled";
    if (to == JOB_DEAD)
        return "job.dead";
    if (on == JOB_ON_RELEASE)
        return "job.released";
    return on == JOB_ON_THROTTLE ? "job.throttled" : "job.retrying";
}

static struct json_w leaving_body(struct store *s, const struct job_row *r,
                                  const struct leaving *l, enum job_state to)
{
    struct json_w w = event_body(s, to);
    json_kv_int(&w, "attempt", r->fence);
    json_kv_int(&w, "have", r->have);
    if (to == JOB_SUCCEEDED) {
        json_kv_cstr(&w, "verdict", verdict_name(l->verdict));
        json_kv_cstr(&w, "end", end_reason_name(l->end));
    } else if (l->failure != FAILURE_NONE) {
        json_kv_cstr(&w, "failure", failure_name(l->failure));
    }
    if (l->why.n)
        json_kv_text(&w, "why", span_cut(l->why, 0, 1000));
    if (to == JOB_SCHEDULED)
        json_kv_int(&w, "retry_in_ms", l->wait_ms);
    return w;
}

static void count_ended(struct store *s, enum job_state to, enum verdict verdict)
{
    if (to == JOB_SUCCEEDED && verdict != VERDICT_NONE)
        s->now.ended[verdict - 1]++;
    else if (to == JOB_DEAD)
        s->now.ended[OUTCOME_DEAD]++;
    else if (to == JOB_CANCELLED)
        s->now.ended[OUTCOME_CANCELLED]++;
    else if (to == JOB_EXPIRED)
        s->now.ended[OUTCOME_EXPIRED]++;
}

/* One active job goes where the event leads. A released job keeps the rank it was leased with:
 * that was the smallest of its lane, so it is in front again. */
static err leave(struct store *s, const struct job_row *r, struct leaving *l, wall now,
                 enum job_state *out_state, struct fault *f)
{
    /* Once asked to stop, every ending but a good one is `cancelled`. */
    if (r->cancel_asked && l->on != JOB_ON_DONE) {
        l->on = JOB_ON_CANCEL;
        l->failure = FAILURE_CANCELLED;
    }
    enum job_state to = r->state;
    need(job_move(&to, l->on));
    int64_t run_at = to == JOB_SCHEDULED ? now.ms + l->wait_ms : now.ms;
    err e = db_run(s->db, SQL_LEAVE, f, DB_I(r->seq), DB_I(to),
                   DB_I(job_is_final(to) ? r->run_at_ms : run_at), DB_I(l->count == COUNT_FAIL),
                   DB_I(l->count == COUNT_CRASH), DB_I(l->count == COUNT_THROTTLE),
                   DB_I(l->count == COUNT_RELEASE), DB_I(l->count == COUNT_OK),
                   DB_I(l->count == COUNT_VOID), DB_I(l->failure), DB_I(l->verdict),
                   DB_I(l->end), db_text_or_null(l->why), db_text_or_null(l->report),
                   job_is_final(to) ? DB_I(now.ms) : DB_NULL);
    if (e)
        return e;
    lanes_count(s, r->lane, JOB_ACTIVE, to);
    count_ended(s, to, l->verdict);
    struct json_w w = leaving_body(s, r, l, to);
    e = event_add(s, r->id, leaving_event(to, l->on), now, &w, f);
    if (!e)
        *out_state = to;
    return e || !job_is_final(to) ? e : job_follow_up(s, r->seq, now, f);
}

/* A site that tells facts about the target, or gave records before it failed, is healthy. */
static enum breaker_sign sign_of(const struct finish_args *a, const struct job_row *r,
                                 enum failure_budget budget)
{
    const struct failure_row *row = failure_row(a->failure);
    if (budget == BUDGET_RELEASE || budget == BUDGET_CRASH)
        return BREAKER_NO_VERDICT;
    if (a->failure == FAILURE_NONE || row->about_target || r->progressed)
        return BREAKER_OK;
    return row->breaker ? BREAKER_HEALTH_ERROR : BREAKER_NO_VERDICT;
}

err store_finish(struct store *s, const struct finish_args *args, wall now,
                 struct finish_reply *out, struct fault *f)
{
    need((unsigned)args->failure < FAILURE_COUNT);
    struct job_row r;
    err e = store_usable(s, f);
    if (!e)
        e = job_row_held(s, args->id, args->nonce, &r, f);
    if (e)
        return e;
    bool overridden = args->budget == BUDGET_RELEASE || args->budget == BUDGET_CRASH;
    enum failure_budget budget = overridden ? args->budget : failure_row(args->failure)->budget;
    struct leaving l = {
        .failure = args->failure, .end = args->end, .why = args->why, .report = args->report};
    int64_t hint = smaller(args->wait_ms, HINT_MAX_MS);
    if (args->failure == FAILURE_NONE && !overridden) {
        l.on = JOB_ON_DONE;
        l.count = COUNT_OK;
        l.verdict = args->verdict;
    } else {
        charge(s, &r, budget, hint, &l);
    }
    /* Without a time from the server the lane rests as long as this job. */
    if (budget == BUDGET_THROTTLE)
        lanes_block(r.lane, now.ms + smaller(hint > 0 ? hint : l.wait_ms, LANE_BLOCK_MAX_MS));
    bool brought = l.on == JOB_ON_DONE &&
                   (r.mark == MARK_USED || (r.mark == MARK_WHEN_COMPLETE && l.verdict == VERDICT_COMPLETE));
    struct finish_reply reply = {0};
    int64_t trips = r.lane->breaker.trips;
    lanes_sign(r.lane, sign_of(args, &r, budget), r.seq, now.ms);
    if (r.lane->breaker.trips > trips) {
        reply.breaker_until_ms = r.lane->breaker.until_ms;
        span_copy(span_of(r.lane->name), reply.lane, sizeof reply.lane);
    }
    e = brought ? marks_move(s, &r, now, f) : E_OK;
    if (!e)
        e = leave(s, &r, &l, now, &reply.state, f);
    if (!e)
        e = field_counts_add(s, span_of(r.site), args->counts, now, f);
    if (e)
        return e;
    reply.retry_in_ms = reply.state == JOB_SCHEDULED ? l.wait_ms : 0;
    *out = reply;
    return E_OK;
}

/* ---- cancel ---- */

static err cancel_waiting(struct store *s, const struct job_row *r, wall now, struct fault *f)
{
    enum job_state to = r->state;
    need(job_move(&to, JOB_ON_CANCEL));
    err e = db_run(s->db, SQL_CANCEL_WAITING, f, DB_I(r->seq), DB_I(FAILURE_CANCELLED),
                   DB_I(now.ms));
    if (e)
        return e;
    lanes_count(s, r->lane, r->state, to);
    count_ended(s, to, VERDICT_NONE);
    struct json_w w = event_body(s, to);
    json_kv_int(&w, "have", r->have);
    e = event_add(s, r->id, "job.cancelled", now, &w, f);
    return e ? e : job_follow_up(s, r->seq, now, f);
}

err store_cancel(struct store *s, struct span id, wall now, struct cancel_reply *out,
                 struct fault *f)
{
    struct job_row r;
    err e = store_usable(s, f);
    if (!e)
        e = job_row_find(s, id, &r, f);
    if (e)
        return e;
    if (r.state != JOB_CANCELLED && job_is_final(r.state))
        return fail(f, E_CONFLICT, "job %s is %s already", r.id, job_state_name(r.state));
    struct cancel_reply reply = {.state = JOB_CANCELLED};
    if (r.state == JOB_ACTIVE) {
        reply = (struct cancel_reply){.state = JOB_ACTIVE, .active = true};
        if (!r.cancel_asked)
            e = db_run(s->db, SQL_CANCEL_ACTIVE, f, DB_I(r.seq));
    } else if (r.state != JOB_CANCELLED) {
        e = cancel_waiting(s, &r, now, f);
    }
    if (!e)
        *out = reply;
    return e;
}

/* ---- reap ---- */

static err promote(struct store *s, wall now, int64_t *out_promoted, struct fault *f)
{
    struct {
        int64_t seq, lane, run_at, prio;
    } due[REAP_MAX];
    size_t n = 0;
    struct query *q;
    err e = db_ask(s->db, SQL_DUE, &q, f, DB_I(now.ms), DB_I(REAP_MAX));
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK) {
        due[n].seq = db_int(q, 0);
        due[n].lane = db_int(q, 1);
        due[n].run_at = db_int(q, 2);
        due[n++].prio = db_int(q, 3);
    }
    db_end(q);
    for (size_t i = 0; e == E_END && i < n; i++) {
        need(due[i].lane >= 1 && due[i].lane <= (int64_t)s->now.lane_count);
        err wrote = db_run(s->db, SQL_PROMOTE, f, DB_I(due[i].seq),
                           DB_I(lane_rank(due[i].run_at, (int)due[i].prio)));
        if (wrote)
            return wrote;
        lanes_count(s, &s->now.lanes[due[i].lane - 1], JOB_SCHEDULED, JOB_READY);
    }
    *out_promoted = (int64_t)n;
    return e == E_END ? E_OK : e;
}

/* The second pass: nobody spoke for the job in time. A worker that never confirmed the start is
 * no crash: the lease was lost on the way. */
static err reap_one(struct store *s, const struct job_row *r, wall now, struct fault *f)
{
    enum job_state state;
    struct leaving l = {.failure = FAILURE_CRASH,
                        .why = SPAN("the worker was not heard of in time")};
    charge(s, r, r->started ? BUDGET_CRASH : BUDGET_RELEASE, 0, &l);
    lanes_sign(r->lane, BREAKER_NO_VERDICT, r->seq, now.ms);
    return leave(s, r, &l, now, &state, f);
}

err store_reap(struct store *s, wall now, struct reap_reply *out, struct fault *f)
{
    struct reap_reply reply = {0};
    struct query *q;
    size_t n = 0;
    err e = store_usable(s, f);
    if (e)
        return e;
    if (s->disk_full)
        disk_ballast_fill(s);
    /* Nobody could renew a lease while we slept (suspended machine, stopped process): give the
     * workers one period to speak before anyone is suspected. */
    bool slept = now.ms - s->reaped_ms > 2 * s->limits.lease_ms;
    s->reaped_ms = now.ms;
    if (slept)
        e = db_run(s->db, SQL_AMNESTY, f, DB_I(now.ms + 1), DB_I(now.ms + s->limits.lease_ms));
    if (!e)
        e = db_ask(s->db, SQL_LAPSED, &q, f, DB_I(now.ms), DB_I(REAP_MAX));
    if (!e)
        e = read_rows(s, q, &n, f);
    for (size_t i = 0; !e && i < n; i++) {
        const struct job_row *r = &s->rows[i];
        if (r->suspect) {
            e = reap_one(s, r, now, f);
            reply.reaped++;
        } else {
            e = db_run(s->db, SQL_SUSPECT, f, DB_I(r->seq),
                       DB_I(now.ms + s->limits.lease_ms / 3));
            reply.suspected++;
        }
    }
    if (!e)
        e = promote(s, now, &reply.promoted, f);
    if (!e)
        *out = reply;
    return e;
}

err jobs_release_all(struct store *s, wall now, struct fault *f)
{
    for (;;) {
        struct query *q;
        size_t n;
        err e = db_ask(s->db, SQL_LAPSED, &q, f, DB_I(INT64_MAX), DB_I(REAP_MAX));
        if (!e)
            e = read_rows(s, q, &n, f);
        if (e || n == 0)
            return e;
        for (size_t i = 0; i < n; i++) {
            enum job_state state;
            struct leaving l = {.why = SPAN("the service was restarted")};
            charge(s, &s->rows[i], BUDGET_RELEASE, 0, &l);
            if (l.on == JOB_ON_GIVE_UP) { /* each time this job ran the service ended */
                l.failure = FAILURE_CRASH;
                l.why = SPAN("the service ended again and again while this job ran");
            }
            lanes_sign(s->rows[i].lane, BREAKER_NO_VERDICT, s->rows[i].seq, now.ms);
            e = leave(s, &s->rows[i], &l, now, &state, f);
            if (e)
                return e;
        }
    }
}
