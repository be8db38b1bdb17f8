/* waits.c - jobs that wait for another one to end. */
#include "store/sqlite/inside.h"

#include "base/json.h"
#include "base/need.h"

/* Columns of SQL_FROM. */
enum {
    FROM_SEQ,
    FROM_ID,
    FROM_FINISHED,
    FROM_HAVE,
    FROM_USERS,
    FROM_VERDICT,
    FROM_END,
    FROM_REPORT,
    FROM_BATCH,
    FROM_SHARED,
    FROM_REJECTED,
    FROM_CONFLICTS,
    FROM_FILTERED
};
enum { LEADERS = 4 }; /* in one call */

/* It had no lease; it counts as one that the store granted and ended itself, so that every job that
 * succeeded has exactly one good ending. */
err waits_answer(struct store *s, const struct job_row *r, struct query *from,
                 enum store_source source, wall now, struct fault *f)
{
    enum job_state to = r->state;
    enum verdict verdict = (enum verdict)db_int(from, FROM_VERDICT);
    int64_t owner =
        db_int(from, FROM_SHARED) ? db_int(from, FROM_SHARED) : db_int(from, FROM_SEQ);
    int64_t age = source == SOURCE_SHARED ? 0 : now.ms - db_int(from, FROM_FINISHED);
    need(job_move(&to, JOB_ON_ANSWER));
    char of[ID_TEXT];
    span_copy(db_text(from, FROM_ID), of, sizeof of);
    err e = db_run(s->db, SQL_ANSWERED, f, DB_I(r->seq), DB_I(db_int(from, FROM_HAVE)),
                   DB_I(db_int(from, FROM_USERS)), DB_I(verdict), DB_I(db_int(from, FROM_END)),
                   db_text_or_null(db_text(from, FROM_REPORT)), DB_I(db_int(from, FROM_BATCH)),
                   DB_I(source), DB_I(owner), DB_I(age), DB_I(now.ms),
                   DB_I(db_int(from, FROM_REJECTED)), DB_I(db_int(from, FROM_CONFLICTS)),
                   DB_I(db_int(from, FROM_FILTERED)));
    if (e)
        return e;
    lanes_count(s, r->lane, r->needs, r->state, to, now.ms);
    job_count_ended(s, to, verdict);
    struct json_w w = event_body(s, to);
    json_kv_int(&w, "have", db_int(from, FROM_HAVE));
    json_kv_cstr(&w, "verdict", verdict_name(verdict));
    json_kv_cstr(&w, "source", source_name(source));
    json_kv_cstr(&w, "from_job", of);
    e = webhooks_call_back(s, r, &w, f);
    if (!e)
        e = event_add(s, r->id, "job.finished", now, &w, f);
    return e ? e : job_ended(s, r, to, now, f);
}

static err go_on(struct store *s, const struct job_row *r, wall now, struct fault *f)
{
    enum job_state to = r->state;
    bool later = r->run_at_ms > run_clock_ms(s, r->fence, now);
    int64_t at = later ? r->run_at_ms : now.ms;
    bool held = r->run_at_ms == STORE_HELD_MS; /* its rank says since when it waits */
    need(job_move(&to, later ? JOB_ON_WAIT_OVER : JOB_ON_DUE));
    err e = db_run(s->db, SQL_UNBLOCK, f, DB_I(r->seq), DB_I(to), DB_I(at),
                   DB_I(held ? r->rank : lane_rank(at, (int)r->prio)));
    if (!e)
        lanes_count(s, r->lane, r->needs, r->state, to, now.ms);
    return e;
}

/* The job that does this work now, other than those that wait for it; 0 none. */
static err find_live(struct store *s, int64_t work, int64_t *out_seq, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_LIVE_WORK, &q, f, DB_I(work));
    if (e)
        return e;
    e = db_step(q, f);
    *out_seq = e ? 0 : db_int(q, 0);
    db_end(q);
    return e == E_END ? E_OK : e;
}

/* There is no result to share: the first of those that waited does the work, the others wait for it. */
static err share_again(struct store *s, const struct job_row *r, wall now, struct fault *f)
{
    int64_t live = 0;
    err e = find_live(s, r->work, &live, f);
    if (e)
        return e;
    return live ? db_run(s->db, SQL_WAIT_FOR, f, DB_I(r->seq), DB_I(live))
                : go_on(s, r, now, f);
}

static err settle_one(struct store *s, const struct job_row *r, int64_t leader, bool succeeded,
                      wall now, struct fault *f)
{
    struct query *q;
    if (r->waits_how != WAITS_SHARE)
        return go_on(s, r, now, f);
    if (!succeeded)
        return share_again(s, r, now, f);
    err e = db_ask(s->db, SQL_FROM, &q, f, DB_I(leader));
    if (e)
        return e;
    e = db_step(q, f);
    need(e != E_END);
    if (!e)
        e = waits_answer(s, r, q, SOURCE_SHARED, now, f);
    db_end(q);
    return e;
}

err waits_settle(struct store *s, int64_t leader, wall now, int64_t *count, struct fault *f)
{
    struct job_row rows[WAITS_STEP], of;
    struct query *q;
    size_t n = 0;
    bool there = false;
    err e = db_ask(s->db, SQL_WAITERS, &q, f, DB_I(leader), DB_I(WAITS_STEP));
    if (!e)
        e = job_rows_read(s, q, rows, WAITS_STEP, &n, f);
    if (!e && n)
        e = job_row_by_seq(s, leader, &there, &of, f);
    for (size_t i = 0; !e && i < n; i++)
        e = settle_one(s, &rows[i], leader, there && of.state == JOB_SUCCEEDED, now, f);
    if (n == WAITS_STEP)
        s->unsettled = true;
    *count += (int64_t)n;
    return e;
}

err waits_settle_rest(struct store *s, wall now, int64_t *count, struct fault *f)
{
    int64_t leaders[LEADERS];
    size_t n = 0;
    struct query *q;
    if (!s->unsettled)
        return E_OK;
    err e = db_ask(s->db, SQL_UNSETTLED, &q, f, DB_I(LEADERS));
    if (e)
        return e;
    while (n < LEADERS && (e = db_step(q, f)) == E_OK)
        leaders[n++] = db_int(q, 0);
    db_end(q);
    s->unsettled = n == LEADERS;
    for (size_t i = 0; (e == E_OK || e == E_END) && i < n; i++)
        e = waits_settle(s, leaders[i], now, count, f);
    return e == E_END ? E_OK : e;
}
