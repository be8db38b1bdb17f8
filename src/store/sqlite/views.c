/* views.c - jobs as people see them. */
#include "store/sqlite/inside.h"

#include "base/need.h"
#include "store/start.h"

/* A reader knows no lanes: that part of it is filled in afterwards (reader.c). */
void job_view_waiting(const struct store *s, wall now, struct job_view *v)
{
    if (v->state == JOB_SCHEDULED) {
        v->waiting = v->held ? WAITING_HOLD : WAITING_TIME;
        v->waiting_until_ms = v->held ? 0 : v->run_at_ms;
    }
    if (v->state == JOB_BLOCKED)
        v->waiting = WAITING_JOB;
    bool known = v->state == JOB_READY && !s->reading;
    const struct store_lane *l = known ? lanes_find(s, v->lane) : NULL;
    struct meter_sums sums = {0};
    if (l)
        v->waiting = lanes_waiting(s, l, now.ms, &v->waiting_until_ms);
    if (l && l->meter && v->ahead >= 0)
        sums = meter_read(l->meter, METER_WINDOW_MS, now.ms);
    start_guess(v, &sums, now);
}

static err job_view_read(const struct store *s, wall now, struct query *q, struct arena *a,
                         struct job_view *v, struct fault *f)
{
    *v = (struct job_view){
        .state = (enum job_state)db_int(q, 9),
        .failure = (enum failure_class)db_int(q, 10),
        .verdict = (enum verdict)db_int(q, 11),
        .end = (enum end_reason)db_int(q, 12),
        .limit = db_int(q, 13),
        .have = db_int(q, 14),
        .users = db_int(q, 15),
        .fence = db_int(q, 16),
        .n_fail = db_int(q, 17),
        .n_crash = db_int(q, 18),
        .n_throttle = db_int(q, 19),
        .n_release = db_int(q, 20),
        .next_batch = db_int(q, 21),
        .created_ms = db_int(q, 22),
        .run_at_ms = db_int(q, 23),
        .started_ms = db_int(q, 24),
        .finished_ms = db_int(q, 25),
        .cancel_asked = db_int(q, 26) != 0,
        .revision = db_int(q, 27),
        .counts = (enum item_kind)db_int(q, 28),
        .rejected = db_int(q, 29),
        .conflicts = db_int(q, 30),
        .filtered = db_int(q, 31),
        .n_ok = db_int(q, 32),
        .n_void = db_int(q, 33),
        .generation = db_int(q, 34),
        .prio = db_int(q, 35),
        .expires_ms = db_int(q, 36),
        .deadline_ms = db_int(q, 37),
        .source = (enum store_source)db_int(q, 39),
        .result_age_ms = db_int(q, 41),
        .number = db_int(q, 47),
        .max_fail = db_int(q, 48),
        .fails = db_int(q, 49),
        .lease_until_ms = db_int(q, 51),
        .ahead = -1,
    };
    v->held = v->run_at_ms == STORE_HELD_MS && v->state <= JOB_SCHEDULED;
    if (v->held)
        v->run_at_ms = db_int(q, 44) - lane_rank(0, (int)v->prio);
    v->usage = usage_read(db_text(q, 45));
    span_copy(db_text(q, 42), v->fingerprint, sizeof v->fingerprint);
    span_copy(db_text(q, 43), v->batch, sizeof v->batch);
    span_copy(db_text(q, 0), v->id, sizeof v->id);
    struct span *const texts[] = {&v->site, &v->kind,   &v->target, &v->lane,
                                  &v->spec, &v->cursor, &v->why,    &v->report};
    for (int i = 0; i < 8; i++) {
        err e = db_keep(q, 1 + i, a, texts[i], f);
        if (e)
            return e;
    }
    err e = db_keep(q, 38, a, &v->unique_key, f);
    if (!e)
        e = db_keep(q, 40, a, &v->from_job, f);
    if (!e && v->lease_until_ms)
        e = db_keep(q, 50, a, &v->worker, f);
    job_view_waiting(s, now, v);
    return e;
}

/* Where it stands among the ready jobs of its lane. */
struct place {
    int64_t lane, rank, seq;
};

static err read_one(struct store *s, struct span id, wall now, struct arena *a,
                    struct job_view *out, struct place *out_place, struct fault *f)
{
    struct query *q;
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    err e = db_ask(s->db, SQL_VIEW, &q, f, DB_T(id));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e)
        e = job_view_read(s, now, q, a, out, f);
    else if (e == E_END)
        e = fail(f, E_NOT_FOUND, "there is no job %.*s", SP(span_cut(id, 0, 60)));
    if (!e)
        *out_place = (struct place){db_int(q, 46), db_int(q, 44), db_int(q, 47)};
    db_end(q);
    return e;
}

/* Entries of an index, and no more of them than are told. */
static err count_ahead(struct store *s, const struct place *place, int64_t *out,
                       struct fault *f)
{
    int64_t ahead = 0;
    for (int needs = 0; needs < NEEDS_COUNT; needs++) {
        struct query *q;
        int64_t n = 0;
        err e = db_ask(s->db, SQL_AHEAD, &q, f, DB_I(place->lane), DB_I(needs),
                       DB_I(place->rank), DB_I(place->seq), DB_I(JOB_AHEAD_MOST + 1));
        if (!e)
            e = db_take_number(q, &n, f);
        if (e)
            return e;
        ahead += n;
    }
    *out = ahead <= JOB_AHEAD_MOST ? ahead : -1;
    return E_OK;
}

err sqlite_job(struct store *s, struct span id, wall now, struct arena *a, struct job_view *out,
               struct fault *f)
{
    struct job_view v;
    struct place place;
    err e = read_one(s, id, now, a, &v, &place, f);
    if (!e && v.state == JOB_READY)
        e = count_ahead(s, &place, &v.ahead, f);
    if (e)
        return e;
    job_view_waiting(s, now, &v);
    *out = v;
    reader_unsure(s, a, out, 1);
    return E_OK;
}

err sqlite_keyed(struct store *s, struct span tenant, struct span key, wall now,
                 char out_id[ID_TEXT], struct fault *f)
{
    struct query *q;
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    err e = db_ask(s->db, SQL_REQUEST, &q, f, DB_T(tenant), DB_T(key));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e && now.ms - db_int(q, 2) <= STORE_KEY_MS)
        span_copy(db_text(q, 0), out_id, ID_TEXT);
    else if (!e || e == E_END)
        e = asked_no_key(f);
    db_end(q);
    return e;
}

err job_view_find(struct store *s, struct span id, wall now, struct arena *a,
                  struct job_view *out, struct fault *f)
{
    struct place place;
    return read_one(s, id, now, a, out, &place, f);
}

err job_views_start(struct store *s, struct span after, int64_t *out_seq, struct fault *f)
{
    if (after.n == 0)
        return E_OK;
    struct query *q;
    err e = db_ask(s->db, SQL_SEQ, &q, f, DB_T(after));
    if (!e)
        e = db_take_number(q, out_seq, f);
    return e == E_END ? asked_no_after(after, f) : e;
}

err job_views_take(struct store *s, wall now, struct query *q, size_t limit, struct arena *a,
                   struct job_view **out, size_t *out_count, struct fault *f)
{
    struct job_view *all = arena_try(a, limit * sizeof *all);
    size_t n = 0;
    err e = all ? E_OK : fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    while (!e && (e = db_step(q, f)) == E_OK) {
        e = job_view_read(s, now, q, a, &all[n], n ? NULL : f);
        n += !e;
    }
    db_end(q);
    /* What fits is answered; the reader goes on after the last one. */
    if (e != E_END && !(e == E_TOO_BIG && n > 0))
        return e;
    *out = all;
    *out_count = n;
    reader_unsure(s, a, all, n);
    return E_OK;
}

err sqlite_jobs(struct store *s, const struct jobs_query *query, wall now, struct arena *a,
                struct job_view **out_jobs, size_t *out_count, struct fault *f)
{
    need(query->limit >= 1 && query->limit <= 500);
    int64_t before = INT64_MAX;
    struct query *q;
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    err e = job_views_start(s, query->after, &before, f);
    if (e)
        return e;
    e = query->state < 0 ? db_ask(s->db, SQL_VIEWS, &q, f, DB_I(before), DB_I(query->limit))
                         : db_ask(s->db, SQL_VIEWS_IN_STATE, &q, f, DB_I(before),
                                  DB_I(query->limit), DB_I(query->state));
    return e ? e : job_views_take(s, now, q, query->limit, a, out_jobs, out_count, f);
}
