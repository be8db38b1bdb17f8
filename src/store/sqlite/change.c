/* change.c - a job that waits is changed, held, or let go. */
#include "store/sqlite/inside.h"

#include "base/json.h"
#include "base/need.h"
#include "core/labels.h"

/* What the row is to say. */
struct changing {
    enum job_state to;
    int64_t prio, rank, run_at, over_at, deadline, limit;
    struct buf spec; /* with other labels; empty: the options stay as they are */
};

static bool is_held(const struct job_row *r)
{
    return r->run_at_ms == STORE_HELD_MS;
}

/* Since when, or from when on, it may start when nobody holds it. Of a held job the rank remembers it. */
static int64_t start_of(const struct job_row *r)
{
    if (is_held(r))
        return r->rank - lane_rank(0, (int)r->prio);
    return r->state == JOB_READY ? 0 : r->run_at_ms;
}

static int64_t given(int64_t change, int64_t before)
{
    return change == CHANGE_NOT ? before : change;
}

static int64_t of_client(const struct store *s, int64_t change, int64_t before)
{
    return change == CHANGE_NOT ? before : clock_of_client(s, change);
}

/* When it gives up waiting: at its own time, or at its deadline, which may have been that time. */
static void set_ends(const struct store *s, const struct job_row *r, const struct job_change *c,
                     struct changing *t)
{
    int64_t over = r->over_at_ms == r->deadline_ms ? 0 : r->over_at_ms;
    t->deadline = of_client(s, c->deadline_ms, r->deadline_ms);
    over = of_client(s, c->expires_ms, over);
    t->over_at = !over || (t->deadline && t->deadline < over) ? t->deadline : over;
}

/* Whether its time or its hold changes: else it keeps the place that it has among the others. */
static bool moves(const struct job_row *r, const struct job_change *c, int64_t clock)
{
    bool holds = c->hold != HOLD_AS_IT_IS && is_held(r) != (c->hold == HOLD_ON);
    bool due_already = r->state == JOB_READY && c->run_at_ms <= clock;
    return holds || (c->run_at_ms != CHANGE_NOT && !due_already);
}

static void set_start(const struct store *s, const struct job_row *r,
                      const struct job_change *c, wall now, struct changing *t)
{
    int64_t clock = run_clock_ms(s, r->fence, now), at = start_of(r);
    bool held = c->hold == HOLD_AS_IT_IS ? is_held(r) : c->hold == HOLD_ON;
    if (!moves(r, c, clock)) {
        t->to = r->state;
        t->run_at = r->run_at_ms;
        t->rank = r->rank + lane_rank(0, (int)t->prio) - lane_rank(0, (int)r->prio);
        return;
    }
    if (c->run_at_ms != CHANGE_NOT)
        at = r->fence ? clock_of_client(s, c->run_at_ms) : c->run_at_ms;
    bool later = held || at > clock;
    t->to = r->state;
    if (t->to != JOB_BLOCKED)
        need(job_move(&t->to, later ? JOB_ON_HOLD : JOB_ON_DUE));
    t->run_at = held ? STORE_HELD_MS : later ? at : now.ms;
    t->rank = lane_rank(held ? at : t->run_at, (int)t->prio);
}

static err write_change(struct store *s, const struct job_row *r, const struct job_change *c,
                        const struct changing *t, wall now, struct fault *f)
{
    err e = db_run(s->db, SQL_CHANGE, f, DB_I(r->seq), DB_I(t->to), DB_I(t->prio),
                   DB_I(t->rank), DB_I(t->run_at), t->over_at ? DB_I(t->over_at) : DB_NULL,
                   t->deadline ? DB_I(t->deadline) : DB_NULL, DB_I(c->attempt_ms),
                   DB_I(c->stall_ms), DB_I(t->limit));
    if (!e && c->limit != CHANGE_NOT)
        e = db_run(s->db, SQL_CHANGE_WORK, f, DB_I(r->seq), DB_T(c->spec),
                   c->work ? DB_I(c->work) : DB_NULL);
    if (!e && t->spec.n)
        e = db_run(s->db, SQL_LABEL, f, DB_I(r->seq), DB_T(buf_span(&t->spec)), DB_I(0));
    if (!e && t->to != r->state)
        lanes_count(s, r->lane, r->needs, r->state, t->to, now.ms);
    return e;
}

static void put_labels(struct json_w *w, struct span spec)
{
    struct span labels = labels_of(spec, NULL);
    json_key(w, "labels");
    json_put_raw(w, labels.n ? labels : SPAN("{}"));
}

static err tell(struct store *s, const struct job_row *r, const struct job_change *c,
                const struct changing *t, wall now, struct fault *f)
{
    struct json_w w = event_body(s, t->to);
    json_kv_int(&w, "priority", t->prio);
    json_kv_int(&w, "limit", t->limit);
    json_kv_bool(&w, "held", t->run_at == STORE_HELD_MS);
    if (t->spec.n)
        put_labels(&w, buf_span(&t->spec));
    if (c->why.n)
        json_kv_text(&w, "why", c->why);
    return event_add_counted(s, r->id, asked_change_event(c->hold), now, &w, f);
}

/* ---- labels ---- */

static err label(struct store *s, const struct job_row *r, const struct job_change *c,
                 struct buf *out, struct fault *f)
{
    struct query *q;
    if (!c->labels.n)
        return E_OK;
    err e = db_ask(s->db, SQL_SPEC, &q, f, DB_I(r->seq));
    if (!e) {
        e = db_step(q, f);
        if (!e &&
            labels_change(c->limit != CHANGE_NOT ? c->spec : db_text(q, 0), c->labels, out))
            e = asked_labels_full(span_of(r->id), f);
        db_end(q);
    }
    if (!e && (out->failed || out->n > STORE_SPEC_MAX))
        e = asked_options_long(f);
    return e;
}

static err label_only(struct store *s, const struct job_row *r, const struct job_change *c,
                      struct span spec, wall now, struct fault *f)
{
    err e = db_run(s->db, SQL_LABEL, f, DB_I(r->seq), DB_T(spec), DB_I(1));
    if (e)
        return e;
    struct json_w w = event_body(s, r->state);
    put_labels(&w, spec);
    if (c->why.n)
        json_kv_text(&w, "why", c->why);
    return event_add_counted(s, r->id, asked_change_event(HOLD_AS_IT_IS), now, &w, f);
}

/* Who waits for its result wants just this result, and soon. */
static err check_sharers(struct store *s, const struct job_row *r, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_SHARER, &q, f, DB_I(r->seq));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e)
        e = asked_shared(span_of(r->id), db_text(q, 0), f);
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err revision_of(struct store *s, const struct job_row *r, int64_t *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_JOB_FACTS, &q, f, DB_I(r->seq));
    return e ? e : db_take_number(q, out, f);
}

static err may_change(struct store *s, const struct job_row *r, const struct job_change *c,
                      struct fault *f)
{
    int64_t revision;
    bool labels = asked_labels_only(c);
    if (!labels && r->state >= JOB_ACTIVE)
        return asked_waits(span_of(r->id), r->state, f);
    if (c->limit > 0 && c->limit < r->have)
        return asked_has_more(span_of(r->id), r->have, f);
    err e = revision_of(s, r, &revision, f);
    if (!e && c->revision >= 0 && c->revision != revision)
        e = asked_revision(span_of(r->id), revision, f);
    if (!e && (c->hold == HOLD_ON || c->limit != CHANGE_NOT))
        e = check_sharers(s, r, f);
    return e;
}

/* A hold of what is held already changes nothing; nor does letting go of what nobody holds. */
static bool is_so(const struct job_row *r, const struct job_change *c)
{
    bool only = c->prio == CHANGE_NOT && c->run_at_ms == CHANGE_NOT &&
                c->expires_ms == CHANGE_NOT && c->deadline_ms == CHANGE_NOT &&
                c->attempt_ms == CHANGE_NOT && c->stall_ms == CHANGE_NOT &&
                c->limit == CHANGE_NOT && !c->labels.n;
    return only && (c->hold == HOLD_AS_IT_IS || is_held(r) == (c->hold == HOLD_ON));
}

err sqlite_change(struct store *s, const struct job_change *args, wall now, struct fault *f)
{
    struct job_row r;
    err e = store_usable(s, f);
    if (!e)
        e = asked_change(args, f);
    if (!e)
        e = job_row_find(s, args->id, &r, f);
    if (!e)
        e = may_change(s, &r, args, f);
    if (e || is_so(&r, args))
        return e;
    struct changing t = {.prio = args->prio == CHANGE_PRIO_OF_LANE
                                     ? lanes_settings(s, r.lane).prio
                                     : given(args->prio, r.prio),
                         .limit = given(args->limit, r.limit),
                         .spec = BUF(2 * STORE_SPEC_MAX)};
    e = label(s, &r, args, &t.spec, f);
    if (!e && asked_labels_only(args)) {
        e = label_only(s, &r, args, buf_span(&t.spec), now, f);
    } else if (!e) {
        set_ends(s, &r, args, &t);
        set_start(s, &r, args, now, &t);
        e = write_change(s, &r, args, &t, now, f);
        e = e ? e : tell(s, &r, args, &t, now, f);
    }
    buf_free(&t.spec);
    return e;
}
