/* reserve.c - leasing a job, and keeping the lease. */
#include "store/sqlite/inside.h"

#include "store/sessions.h"

#include "base/json.h"
#include "base/need.h"

/* ---- which job ---- */

struct head { /* first of a lane */
    int64_t seq, rank, memory, attempt_ms, ready_ms;
    char pool[SESSION_NAME], operation[SESSION_NAME],
        site[SITE_NAME]; /* pool empty: needs no session */
    struct session_pick session;
};

/* How far the look for a job has come. */
struct look {
    int64_t peeks; /* that are left */
    struct head
        passed; /* of the first ones of lanes that take too much memory the one that has been ready for longest */
};

static bool is_too_large(const struct reserve_args *a, const struct head *h)
{
    return a->memory_bytes != STORE_MEMORY_ANY && h->memory > a->memory_bytes;
}

static bool fits(const struct store *s, const struct reserve_args *a, const struct head *h)
{
    int64_t time = h->attempt_ms ? h->attempt_ms : s->limits.attempt_ms;
    return !is_too_large(a, h) && h->memory >= a->memory_least &&
           (a->time_ms == 0 || time <= a->time_ms);
}

static bool is_before(const struct head *h, const struct head *other)
{
    return !other->seq || h->rank < other->rank ||
           (h->rank == other->rank && h->seq < other->seq);
}

static void read_head(struct query *q, struct head *out)
{
    *out = (struct head){.seq = db_int(q, 0),
                         .rank = db_int(q, 1),
                         .memory = db_int(q, 2),
                         .attempt_ms = db_int(q, 3),
                         .ready_ms = db_int(q, 7)};
    span_copy(db_text(q, 4), out->pool, sizeof out->pool);
    span_copy(db_text(q, 5), out->operation, sizeof out->operation);
    span_copy(db_text(q, 6), out->site, sizeof out->site);
}

static err head_of(struct store *s, const struct store_lane *l, int needs, struct head *out,
                   struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_HEAD, &q, f, DB_I(l->id), DB_I(needs), DB_I(1));
    if (e)
        return e;
    e = db_step(q, f);
    need(e != E_END); /* the lane counts a ready job */
    if (!e)
        read_head(q, out);
    db_end(q);
    return e;
}

/* The first with these needs that fits, unless *found is before it. Each that is looked at costs a look but the first. */
static err find_fitting(struct store *s, const struct reserve_args *a,
                        const struct store_lane *l, int needs, int64_t *peeks,
                        struct head *found, struct fault *f)
{
    struct query *q;
    int64_t most = *peeks < PEEK_MAX - 1 ? *peeks : PEEK_MAX - 1;
    bool first = true;
    err e = db_ask(s->db, SQL_HEAD, &q, f, DB_I(l->id), DB_I(needs), DB_I(1 + most));
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK) {
        struct head h;
        read_head(q, &h);
        if (!is_before(&h, found))
            break;
        *peeks -= !first;
        first = false;
        if (fits(s, a, &h)) {
            *found = h;
            break;
        }
    }
    db_end(q);
    return e == E_END ? E_OK : e;
}

/* The first of the lane by rank among those whose needs can be met and that fit: one that does not holds up nobody behind
 * it, as far as is looked. E_END: none does. */
static err first_of(struct store *s, const struct reserve_args *a, const struct store_lane *l,
                    struct look *look, struct head *out, struct fault *f)
{
    struct head top = {.seq = 0}, h;
    err e = E_OK;
    for (int n = NEEDS_NOTHING; !e && n <= (int)a->needs; n++) {
        if (l->now.ready[n] == 0)
            continue;
        e = head_of(s, l, n, &h, f);
        if (!e && is_before(&h, &top))
            top = h;
    }
    *out = top;
    if (e || (top.seq && fits(s, a, &top)))
        return e;
    if (top.seq && is_too_large(a, &top) &&
        (!look->passed.seq || top.ready_ms < look->passed.ready_ms))
        look->passed = top;
    *out = (struct head){.seq = 0};
    for (int n = NEEDS_NOTHING; !e && n <= (int)a->needs; n++)
        if (l->now.ready[n])
            e = find_fitting(s, a, l, n, &look->peeks, out, f);
    return !e && !out->seq ? E_END : e;
}

static bool knows_site(const struct reserve_args *a, const struct store_lane *l)
{
    for (size_t i = 0; i < a->site_count; i++)
        if (span_is(a->sites[i], l->site->name))
            return true;
    return !a->sites;
}

/* E_END: none of its pool can be used now; the lane is parked until one can. */
static err find_session(struct store *s, struct store_lane *l, struct head *h, wall now,
                        struct fault *f)
{
    int64_t open_ms = INT64_MAX;
    if (!h->pool[0])
        return E_OK;
    err e = sessions_pick(s, span_of(h->site), span_of(h->pool), span_of(h->operation), now,
                          &h->session, &open_ms, f);
    if (e == E_END)
        lanes_park(s, l, open_ms, now.ms);
    return e;
}

/* E_END: none may start here and now. Lanes of which no job fits here stand aside meanwhile. */
static err choose(struct store *s, const struct reserve_args *a, wall now, struct look *look,
                  struct store_lane **out, struct head *out_head, struct fault *f)
{
    struct store_lane *aside[RESERVE_ASIDE], *l;
    size_t count = 0;
    err e = E_END;
    while (e == E_END && count < RESERVE_ASIDE && (l = lanes_pick(s, a->needs, now.ms))) {
        if (knows_site(a, l)) {
            e = first_of(s, a, l, look, out_head, f);
            if (!e) {
                e = find_session(s, l, out_head, now, f);
                if (e == E_END)
                    continue; /* parked */
                *out = l;
                break;
            }
        }
        aside[count++] = l;
        lanes_set_aside(s, l);
    }
    for (size_t i = 0; i < count; i++)
        lanes_place(s, aside[i], now.ms);
    return e;
}

/* Rows are the truth: what memory believes of the lane's running jobs is held against them at each start. */
static err check_active(struct store *s, const struct store_lane *l, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_LANE_ACTIVE, &q, f, DB_I(l->id));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e)
        need(db_int(q, 0) == l->now.active);
    db_end(q);
    return e;
}

/* ---- its lease ---- */

enum {
    LEASE_KNOWN = 14,
    LEASE_ATTEMPT,
    LEASE_STALL,
    LEASE_DEADLINE,
    LEASE_NEEDS,
    LEASE_NONCE,
    LEASE_USAGE
};

static err read_lease(const struct store *s, struct query *q, struct arena *a, wall now,
                      struct lease *l, struct fault *f)
{
    struct span *const texts[] = {&l->site, &l->kind, &l->target, &l->spec, &l->cursor};
    span_copy(db_text(q, 1), l->id, sizeof l->id);
    for (int i = 0; i < 5; i++) {
        err e = db_keep(q, 3 + i, a, texts[i], f);
        if (e)
            return e;
    }
    l->fence = db_int(q, 2);
    l->limit = db_int(q, 8);
    l->next_batch = db_int(q, 9);
    l->have = db_int(q, 10);
    l->waited_ms = now.ms > db_int(q, 11) ? now.ms - db_int(q, 11) : 0;
    l->filtered = db_int(q, 12);
    l->epoch = s->epoch;
    l->attempt_ms = db_int(q, LEASE_ATTEMPT);
    l->stall_ms = db_int(q, LEASE_STALL);
    l->deadline_ms = db_int(q, LEASE_DEADLINE);
    l->usage = usage_read(db_text(q, LEASE_USAGE));
    return db_keep(q, LEASE_KNOWN, a, &l->known, f);
}

static err lease_of(struct store *s, int64_t seq, struct arena *a, wall now, struct lease *l,
                    enum store_mark *out_mark, enum store_needs *out_needs, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_LEASE_ROW, &q, f, DB_I(seq));
    if (e)
        return e;
    e = db_step(q, f);
    need(e != E_END);
    if (!e)
        e = read_lease(s, q, a, now, l, f);
    *out_mark = (enum store_mark)db_int(q, 13);
    *out_needs = (enum store_needs)db_int(q, LEASE_NEEDS);
    if (!e && db_int(q, LEASE_NONCE))
        l->nonce = (uint64_t)db_int(q, LEASE_NONCE);
    db_end(q);
    return e;
}

/* The same question of the same worker: the same lease. E_END: it has none by this number. */
static err asked_before(struct store *s, const struct reserve_args *args, struct arena *a,
                        wall now, struct lease *out, struct fault *f)
{
    struct query *q;
    struct job_row r;
    bool found;
    enum store_mark mark;
    enum store_needs needs;
    if (args->request == 0)
        return E_END;
    *out = (struct lease){0};
    err e = db_ask(s->db, SQL_ASKED, &q, f, DB_T(args->worker), DB_I(args->request));
    if (e)
        return e;
    e = db_step(q, f);
    int64_t seq = e ? 0 : db_int(q, 0);
    db_end(q);
    if (!e)
        e = lease_of(s, seq, a, now, out, &mark, &needs, f);
    if (!e)
        e = job_row_by_seq(s, seq, &found, &r, f);
    if (e)
        return e;
    out->attempt = out->fence;
    out->lane = arena_keep(a, span_of(r.lane->name));
    out->quarantine = r.lane->class == LANE_QUARANTINE;
    return E_OK;
}

static err write_lease(struct store *s, const struct reserve_args *args, int64_t seq,
                       const struct lease *l, enum store_mark mark, wall now, struct fault *f)
{
    return db_run(s->db, SQL_LEASE, f, DB_I(seq), DB_I(l->nonce), DB_T(args->worker),
                  DB_I(now.ms + s->limits.lease_ms), DB_I(now.ms),
                  mark == MARK_USED ? DB_T(l->known.n ? l->known : SPAN("")) : DB_NULL,
                  args->request ? DB_I(args->request) : DB_NULL);
}

err sqlite_reserve(struct store *s, const struct reserve_args *args, wall now, struct arena *a,
                   struct lease *out, struct fault *f)
{
    struct lease l = {.nonce = args->random ? args->random : 1};
    struct store_lane *lane = NULL;
    struct head head = {.seq = 0};
    struct look look = {.peeks = PEEKS_MAX};
    enum store_mark mark;
    enum store_needs needs;
    need((unsigned)args->needs < NEEDS_COUNT);
    err e = store_usable(s, f);
    if (!e)
        e = asked_before(s, args, a, now, out, f);
    if (e != E_END)
        return e;
    if (s->disk_full) /* without room for its records a job would only fail */
        return E_END;
    e = choose(s, args, now, &look, &lane, &head, f);
    if (!e)
        e = check_active(s, lane, f);
    if (!e)
        e = lease_of(s, head.seq, a, now, &l, &mark, &needs, f);
    if (!e && !(l.lane = arena_keep(a, span_of(lane->name))).p)
        e = fail(f, E_TOO_BIG, "the lease does not fit");
    if (!e && head.session.sid)
        e = sessions_take(s, &head.session, head.seq, span_of(head.operation), now, f);
    if (!e)
        e = write_lease(s, args, head.seq, &l, mark, now, f);
    if (e)
        return e;
    memcpy(l.session, head.session.id, sizeof l.session);
    l.attempt = ++l.fence;
    l.quarantine = lane->class == LANE_QUARANTINE;
    int64_t waited = now.ms - look.passed.ready_ms;
    if (look.passed.seq && args->room_after_ms > 0 && waited >= args->room_after_ms) {
        struct job_row passed;
        bool found;
        e = job_row_by_seq(s, look.passed.seq, &found, &passed, f);
        if (e)
            return e;
        need(found);
        l.passed_ms = waited;
        l.passed_bytes = look.passed.memory;
        span_copy(span_of(passed.id), l.passed, sizeof l.passed);
    }
    lanes_count(s, lane, needs, JOB_READY, JOB_ACTIVE, now.ms);
    bool paced = lanes_started(s, lane, now.ms);
    limit_started(&lane->retries, false, now.ms);
    lanes_meter(lane, METER_STARTED, l.waited_ms, now.ms);
    struct json_w w = event_body(s, JOB_ACTIVE);
    json_kv_int(&w, "attempt", l.attempt);
    json_kv_text(&w, "worker", args->worker.p ? args->worker : SPAN(""));
    json_kv_int(&w, "waited_ms", l.waited_ms);
    if (l.session[0])
        json_kv_cstr(&w, "session", l.session);
    e = event_add_counted(s, l.id, "job.started", now, &w, f);
    if (!e && paced)
        e = lanes_say_pace(s, lane, now, f);
    if (e)
        return e;
    *out = l;
    return E_OK;
}

err sqlite_started(struct store *s, struct span id, uint64_t nonce, struct fault *f)
{
    err e = store_usable(s, f);
    if (!e)
        e = db_run(s->db, SQL_STARTED, f, DB_T(id), DB_I(nonce));
    if (!e && db_changes(s->db) == 0)
        e = fail(f, E_STALE, "the lease of job %.*s is no longer held",
                 SP(span_cut(id, 0, 60)));
    return e;
}

err sqlite_heartbeat(struct store *s, struct span id, uint64_t nonce, wall now,
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
