/* accept.c - taking a job: equal requests, equal work, what there is room for. */
#include "store/sqlite/inside.h"

#include "store/sessions.h"

#include "base/json.h"
#include "base/need.h"

/* Everything that is decided before anything is written. */
struct accepting {
    const struct accept_args *args;
    struct lane_name lane;
    int prio; /* that it gets */
    struct accept_reply reply;
    struct job_row live;      /* that has the unique key */
    struct job_row successor; /* that waits for it */
    struct job_row last;      /* of a full lane: the new one takes its place */
    bool drops;
    enum unique_decision unique;
    bool answered;          /* SQL_FROM of `from` is the result */
    int64_t from, waits_on; /* numbers of jobs */
    enum waits_how waits_how;
    enum store_source source;
};

/* E_END when no job has the key; E_OK and the reply when this request made one. */
static err find_request(struct store *s, struct accepting *t, struct fault *f)
{
    const struct accept_args *a = t->args;
    if (a->idempotency_key.n == 0)
        return E_END;
    struct query *q;
    err e = db_ask(s->db, SQL_REQUEST, &q, f, DB_T(t->lane.tenant), DB_T(a->idempotency_key));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e && (uint64_t)db_int(q, 1) != a->request_hash)
        e = asked_key_used(f);
    if (!e) {
        span_copy(db_text(q, 0), t->reply.id, sizeof t->reply.id);
        t->reply.replayed = true;
    }
    db_end(q);
    return e;
}

err accept_find_live(struct store *s, struct span tenant, struct span unique_key, bool blocked,
                     struct job_row *out, bool *out_found, struct fault *f)
{
    struct query *q;
    size_t n = 0;
    err e = db_ask(s->db, SQL_LIVE_KEY, &q, f, DB_T(tenant), DB_T(unique_key), DB_I(blocked));
    if (!e)
        e = job_rows_read(s, q, out, 1, &n, f);
    *out_found = n > 0;
    return e;
}

/* Equal work that is alive. E_CONFLICT: refused. */
static err decide_unique(struct store *s, struct accepting *t, struct fault *f)
{
    struct unique_facts facts = {0};
    struct span tenant = t->lane.tenant, key = t->args->unique_key;
    if (key.n == 0)
        return E_OK;
    err e = accept_find_live(s, tenant, key, false, &t->live, &facts.live, f);
    if (!e)
        e = accept_find_live(s, tenant, key, true, &t->successor, &facts.successor, f);
    if (e)
        return e;
    if (!facts.live &&
        facts.successor) { /* waits for another job, and is the live one itself */
        t->live = t->successor;
        facts = (struct unique_facts){.live = true};
    }
    facts.state = t->live.state;
    t->unique = unique_decide(t->args->on_conflict, &facts);
    if (t->unique == UNIQUE_REFUSE)
        return fail(f, E_CONFLICT, "job %s is about the same work and has not ended; it is %s",
                    t->live.id, job_state_name(t->live.state));
    if (t->unique == UNIQUE_EXISTING) {
        span_copy(span_of(t->live.id), t->reply.id, sizeof t->reply.id);
        t->reply.existing = true;
        t->reply.state = t->live.state;
    }
    if (t->unique == UNIQUE_ACCEPT_AFTER || t->unique == UNIQUE_REPLACE_AFTER) {
        t->waits_on = t->live.seq;
        t->waits_how = WAITS_AFTER;
    }
    return E_OK;
}

static bool replaces_live(const struct accepting *t)
{
    return t->unique == UNIQUE_REPLACE || t->unique == UNIQUE_REPLACE_BOTH;
}

static bool replaces_successor(const struct accepting *t)
{
    return t->unique == UNIQUE_REPLACE_AFTER || t->unique == UNIQUE_REPLACE_BOTH;
}

/* The site cannot be read now, as far as anybody knows. */
static bool is_failing(const struct store *s, struct span lane, wall now)
{
    const struct store_lane *l = lanes_find(s, lane);
    return l && l->now.breaker.state != BREAKER_CLOSED &&
           (l->now.breaker.state == BREAKER_HALF_OPEN || l->now.breaker.until_ms > now.ms);
}

/* A result of its unique key, of a job that reads the same kind of records. */
static err decide_fresh(struct store *s, struct accepting *t, wall now, struct fault *f)
{
    const struct accept_args *a = t->args;
    struct query *q;
    if (a->fresh_within_ms <= 0 || !a->unique_key.n || t->waits_on)
        return E_OK;
    err e = db_ask(s->db, SQL_FRESH, &q, f, DB_T(t->lane.tenant), DB_T(a->unique_key));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e) {
        struct unique_answer answer = {.exists = db_int(q, 2) == (int64_t)a->counts,
                                       .age_ms = now.ms - db_int(q, 1)};
        t->from = db_int(q, 0);
        t->answered = unique_reuse(&answer, a->fresh_within_ms, -1) != UNIQUE_WORK;
        t->source = t->answered ? SOURCE_CACHE : SOURCE_OWN;
    }
    db_end(q);
    return e == E_END ? E_OK : e;
}

/* Equal work that was done, or is being done. */
static err decide_reuse(struct store *s, struct accepting *t, wall now, struct fault *f)
{
    const struct accept_args *a = t->args;
    struct query *q;
    if (!a->work || t->waits_on || t->answered)
        return E_OK;
    if (a->max_age_ms > 0 || a->stale_if_error_ms > 0) {
        struct unique_answer answer = {.failing = is_failing(s, a->lane, now)};
        err e = db_ask(s->db, SQL_ANSWER, &q, f, DB_I(a->work));
        if (e)
            return e;
        e = db_step(q, f);
        if (!e) {
            answer.exists = true;
            answer.age_ms = now.ms - db_int(q, 1); /* of who read it, whoever has it since */
            t->from = db_int(q, 0);
        }
        db_end(q);
        if (e && e != E_END)
            return e;
        enum unique_reuse reuse =
            unique_reuse(&answer, a->max_age_ms > 0 ? a->max_age_ms : -1,
                         a->stale_if_error_ms > 0 ? a->stale_if_error_ms : -1);
        t->answered = reuse != UNIQUE_WORK;
        t->source = reuse == UNIQUE_WORK    ? SOURCE_OWN
                    : reuse == UNIQUE_STALE ? SOURCE_STALE
                                            : SOURCE_CACHE;
    }
    if (t->answered || !a->coalesce || a->after)
        return E_OK;
    err e = db_ask(s->db, SQL_LIVE_WORK, &q, f, DB_I(a->work));
    if (e)
        return e;
    e = db_step(q, f);
    bool replaced =
        !e && replaces_live(t) && db_int(q, 0) == t->live.seq; /* it brings nothing */
    if (!e && !replaced) {
        t->waits_on = db_int(q, 0);
        t->waits_how = WAITS_SHARE;
    }
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err check_open(struct store *s, const struct store_lane *l, struct fault *f)
{
    err e = asked_mode(s->mode, f);
    return !e && l && l->now.closed ? asked_closed(span_of(l->name), f) : e;
}

static err check_room(struct store *s, struct fault *f)
{
    const int64_t *n = s->now.by_state;
    if (s->disk_full || s->disk_free < s->limits.disk_floor_bytes)
        return asked_disk(s->disk_free, s->dir, f);
    bool full = n[JOB_READY] + n[JOB_SCHEDULED] + n[JOB_BLOCKED] >= s->limits.ready_max;
    return full ? asked_full(s->limits.ready_max, f) : E_OK;
}

static int64_t waiting_in(const struct store_lane *l)
{
    const struct lane_facts *n = &l->now;
    return n->blocked + n->scheduled + n->ready[NEEDS_NOTHING] + n->ready[NEEDS_PAGE];
}

/* Of an ended job that comes back: it drops nobody. */
static err check_lane(struct store *s, const struct store_lane *l, struct fault *f)
{
    if (!l)
        return E_OK;
    int64_t depth = lanes_settings(s, l).depth;
    return depth && waiting_in(l) >= depth ? asked_depth(span_of(l->name), depth, f) : E_OK;
}

err accept_check(struct store *s, const struct store_lane *lane, struct fault *f)
{
    err e = check_open(s, lane, f);
    if (!e)
        e = check_room(s, f);
    return e ? e : check_lane(s, lane, f);
}

/* The ready job of the lane that would start last. */
static err find_last(struct store *s, const struct store_lane *l, struct job_row *out,
                     bool *out_found, struct fault *f)
{
    err e = E_OK;
    *out_found = false;
    for (int needs = 0; !e && needs < NEEDS_COUNT; needs++) {
        struct job_row r;
        struct query *q;
        size_t n = 0;
        e = db_ask(s->db, SQL_LANE_LAST, &q, f, DB_I(l->id), DB_I(needs));
        if (!e)
            e = job_rows_read(s, q, &r, 1, &n, f);
        if (e || !n)
            continue;
        bool later =
            !*out_found || r.rank > out->rank || (r.rank == out->rank && r.seq > out->seq);
        *out = later ? r : *out;
        *out_found = true;
    }
    return e;
}

/* Jobs of the lane whose places it takes. */
static int64_t takes_places(const struct accepting *t, const struct store_lane *l)
{
    return (replaces_live(t) && t->live.lane == l) +
           (replaces_successor(t) && t->successor.lane == l);
}

/* A lane that is full takes a job only in the place of another one. */
static err check_depth(struct store *s, struct accepting *t, wall now, struct fault *f)
{
    const struct accept_args *a = t->args;
    const struct store_lane *l = lanes_find(s, a->lane);
    if (!l || t->answered)
        return E_OK;
    struct lane_settings set = lanes_settings(s, l);
    if (!set.depth || waiting_in(l) - takes_places(t, l) < set.depth)
        return E_OK;
    int64_t at = a->run_at_ms > 0 ? a->run_at_ms : now.ms;
    bool ready = !a->held && !t->waits_on && !s->batching && at <= run_clock_ms(s, 0, now);
    err e = set.overflow == OVERFLOW_DROP_LAST && ready
                ? find_last(s, l, &t->last, &t->drops, f)
                : E_OK;
    t->drops = t->drops && lane_rank(at, t->prio) < t->last.rank &&
               t->last.seq != t->live.seq && t->last.seq != t->successor.seq;
    return e || t->drops ? e : asked_depth(a->lane, set.depth, f);
}

static struct db_arg or_null(int64_t n)
{
    return n ? DB_I(n) : DB_NULL;
}

static err write_row(struct store *s, const struct accepting *t, enum job_state state,
                     const struct store_lane *lane, wall now, struct fault *f)
{
    const struct accept_args *a = t->args;
    int64_t run_at = a->run_at_ms > 0 ? a->run_at_ms : now.ms;
    struct lane_name of;
    need(lane_name_parse(span_of(lane->name), &of));
    return db_run(
        s->db, SQL_ACCEPT, f, DB_T(a->id), DB_T(a->site), DB_T(a->kind), DB_T(a->target),
        DB_I(lane->id), DB_T(a->spec), DB_I(a->limit), DB_I(state), DB_I(t->prio),
        DB_I(lane_rank(run_at, t->prio)), DB_I(a->held ? STORE_HELD_MS : run_at),
        DB_I(a->max_fail ? a->max_fail : s->limits.fail_max), DB_I(s->limits.crash_max),
        DB_I(s->limits.throttle_max), DB_T(of.tenant), DB_I(now.ms), DB_I(a->counts),
        DB_I(a->mark), DB_T(a->variant.n ? a->variant : SPAN("")),
        or_null(clock_of_client(s, asked_least(a->expires_ms, a->deadline_ms))),
        or_null(clock_of_client(s, a->deadline_ms)), DB_I(a->attempt_ms), DB_I(a->stall_ms),
        DB_I(a->needs), DB_I(a->memory_bytes), db_text_or_null(a->unique_key),
        a->work ? DB_I(a->work) : DB_NULL, state == JOB_BLOCKED ? DB_I(t->waits_on) : DB_NULL,
        DB_I(state == JOB_BLOCKED ? t->waits_how : WAITS_NOT),
        DB_T(a->pool.n ? a->pool : SPAN("")), DB_T(a->pool.n ? a->operation : SPAN("")));
}

static err write_event(struct store *s, const struct accepting *t, enum job_state state,
                       wall now, struct fault *f)
{
    const struct accept_args *a = t->args;
    struct json_w w = event_body(s, state);
    json_kv_text(&w, "site", a->site);
    json_kv_text(&w, "kind", a->kind);
    json_kv_text(&w, "target", a->target);
    json_kv_int(&w, "limit", a->limit);
    return event_add_counted(s, t->reply.id, "job.accepted", now, &w, f);
}

/* The earlier result is this job's, at once. */
static err answer(struct store *s, const struct accepting *t, wall now, struct fault *f)
{
    struct job_row r;
    struct query *q;
    err e = job_row_find(s, t->args->id, &r, f);
    if (!e)
        e = db_ask(s->db, SQL_FROM, &q, f, DB_I(t->from));
    if (e)
        return e;
    e = db_step(q, f);
    need(e != E_END); /* it was found in this group */
    if (!e)
        e = waits_answer(s, &r, q, t->source, now, f);
    db_end(q);
    return e;
}

/* Whose place it takes: that of equal work, and in a full lane that of the last one. */
static err replace(struct store *s, const struct accepting *t, wall now, struct fault *f)
{
    const struct span why = SPAN("a newer request took its place");
    err e = E_OK;
    if (replaces_successor(t)) /* first: it would be let go on by the end of the other one */
        e = job_end_waiting(s, &t->successor, JOB_ON_CANCEL, why, now, f);
    if (!e && replaces_live(t))
        e = job_end_waiting(s, &t->live, JOB_ON_CANCEL, why, now, f);
    if (!e && t->drops)
        e = job_end_waiting(s, &t->last, JOB_ON_CANCEL, SPAN(ACCEPT_DROPPED), now, f);
    return e;
}

static err write_accept(struct store *s, struct accepting *t, wall now, struct fault *f)
{
    const struct accept_args *a = t->args;
    struct store_lane *lane;
    bool later = a->held || a->run_at_ms > run_clock_ms(s, 0, now);
    enum job_state state = t->waits_on ? JOB_BLOCKED : later ? JOB_SCHEDULED : JOB_READY;
    err e = lanes_want(s, a->lane, now, &lane, f);
    if (!e)
        e = replace(s, t, now, f);
    if (!e)
        e = write_row(s, t, state, lane, now, f);
    if (!e && a->idempotency_key.n)
        e = db_run(s->db, SQL_REQUEST_ADD, f, DB_T(t->lane.tenant), DB_T(a->idempotency_key),
                   DB_I(a->request_hash), DB_T(a->id), DB_I(now.ms));
    if (e)
        return e;
    lanes_count(s, lane, a->needs, JOB_STATES, state, now.ms);
    lanes_meter(lane, METER_ACCEPTED, 0, now.ms);
    span_copy(a->id, t->reply.id, sizeof t->reply.id);
    t->reply.state = state;
    e = write_event(s, t, state, now, f);
    if (e || !t->answered)
        return e;
    t->reply.state = JOB_SUCCEEDED;
    t->reply.source = t->source;
    return answer(s, t, now, f);
}

/* A job whose pool has nobody who could ever serve it would wait for a person. */
err accept_check_session(struct store *s, struct span site, struct span pool, wall now,
                         struct fault *f)
{
    int64_t usable = 1;
    err e = pool.n ? sessions_usable(s, site, pool, now, &usable, f) : E_OK;
    if (!e && !usable)
        e = fail(f, E_SESSION,
                 "pool %.*s of %.*s has no session that can be used; see: fulmar sessions list",
                 SP(pool), SP(site));
    return e;
}

static int priority_of(const struct accept_args *a, const struct store_lane *l)
{
    return lane_priority(a->prio, !a->prio_of_lane, l ? l->now.own.prio : LANE_AS_CONFIGURED);
}

static err decide(struct store *s, struct accepting *t, wall now, struct fault *f)
{
    const struct accept_args *a = t->args;
    const struct store_lane *lane = lanes_find(s, a->lane);
    bool exists;
    err e = check_open(s, lane, f);
    t->prio = priority_of(a, lane);
    if (!e)
        e = job_exists(s, a->id, &exists, f);
    if (!e && exists)
        e = fail(f, E_CONFLICT, "there is a job %.*s already", SP(a->id));
    if (!e)
        e = decide_unique(s, t, f);
    if (!e && !t->reply.existing)
        e = decide_fresh(s, t, now, f);
    if (!e && !t->reply.existing)
        e = decide_reuse(s, t, now, f);
    if (!e && a->after && !t->waits_on && !t->answered) {
        t->waits_on = a->after;
        t->waits_how = WAITS_AFTER;
    }
    if (!e && !t->reply.existing)
        e = check_room(s, f);
    if (!e && !t->reply.existing)
        e = check_depth(s, t, now, f);
    if (!e && !t->reply.existing && !t->answered)
        e = accept_check_session(s, a->site, a->pool, now, f);
    if (!e && !lane)
        e = lanes_room(s, f);
    return e;
}

err sqlite_accept(struct store *s, const struct accept_args *args, wall now,
                  struct accept_reply *out, struct fault *f)
{
    struct accepting t = {.args = args};
    err e = store_usable(s, f);
    if (!e)
        e = asked_accept(args, &t.lane, f);
    if (e)
        return e;
    e = find_request(s, &t, f);
    if (e == E_OK)
        *out = t.reply;
    if (e != E_END)
        return e;
    e = decide(s, &t, now, f);
    bool inner = s->accepting;
    s->accepting = true;
    if (!e && !t.reply.existing)
        e = write_accept(s, &t, now, f);
    s->accepting = inner;
    if (!e)
        *out = t.reply;
    return e;
}
