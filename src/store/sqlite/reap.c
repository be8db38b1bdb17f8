/* reap.c - what time does to jobs: due, lapsed, over. */
#include "store/sqlite/inside.h"

#include "base/need.h"
#include "core/retry.h"

/* A job that is tried again because it failed starts only as the lane's share of retries allows: an empty
 * budget delays, it ends nothing. */
static err promote_one(struct store *s, const struct job_row *r, wall now, int64_t *promoted,
                       struct fault *f)
{
    bool again = retry_is_shared(r->failure, r->lane->class == LANE_QUARANTINE);
    struct limit_retry_policy policy = {s->limits.retry_floor, s->limits.retry_percent};
    int64_t at = again ? limit_retry_at(&r->lane->retries, &policy, now.ms) : now.ms;
    if (at > now.ms)
        return db_run(s->db, SQL_LATER, f, DB_I(r->seq), DB_I(at));
    err e = db_run(
        s->db, SQL_PROMOTE, f, DB_I(r->seq),
        DB_I(lane_rank(r->run_at_ms - run_clock_ms(s, r->fence, now) + now.ms, (int)r->prio)));
    if (e)
        return e;
    if (again)
        limit_retried(&r->lane->retries, now.ms);
    lanes_count(s, r->lane, r->needs, JOB_SCHEDULED, JOB_READY, now.ms);
    ++*promoted;
    return E_OK;
}

static err promote_rows(struct store *s, struct query *q, wall now, int64_t *out_promoted,
                        struct fault *f)
{
    size_t n = 0;
    err e = job_rows_read(s, q, s->rows, REAP_MAX, &n, f);
    for (size_t i = 0; !e && i < n; i++)
        e = promote_one(s, &s->rows[i], now, out_promoted, f);
    return e;
}

/* Those that never ran by the clock of their clients, the others by the store's: they are two when somebody
 * has set the clock. */
static err promote_apart(struct store *s, wall now, int64_t *out_promoted, struct fault *f)
{
    err e = E_OK;
    for (int never_ran = 0; !e && never_ran <= 1; never_ran++) {
        struct query *q;
        int64_t due_ms = run_clock_ms(s, !never_ran, now);
        e = db_ask(s->db, SQL_DUE_OF_CLOCK, &q, f, DB_I(due_ms), DB_I(REAP_MAX),
                   DB_I(never_ran));
        if (!e)
            e = promote_rows(s, q, now, out_promoted, f);
    }
    return e;
}

static err promote(struct store *s, wall now, int64_t *out_promoted, struct fault *f)
{
    struct query *q;
    if (s->real_ahead_ms)
        return promote_apart(s, now, out_promoted, f);
    err e = db_ask(s->db, SQL_DUE, &q, f, DB_I(now.ms), DB_I(REAP_MAX));
    return e ? e : promote_rows(s, q, now, out_promoted, f);
}

static err expire(struct store *s, wall now, int64_t *out_expired, struct fault *f)
{
    size_t n = 0;
    struct query *q;
    err e = db_ask(s->db, SQL_OVER, &q, f, DB_I(now.ms), DB_I(REAP_MAX));
    if (!e)
        e = job_rows_read(s, q, s->rows, REAP_MAX, &n, f);
    for (size_t i = 0; !e && i < n; i++) {
        const struct job_row *r = &s->rows[i];
        bool dead = r->deadline_ms && r->deadline_ms <= now.ms;
        e = job_end_waiting(s, r, JOB_ON_EXPIRE,
                            dead ? SPAN("its deadline has passed")
                                 : SPAN("it waited as long as it might"),
                            now, f);
    }
    *out_expired = (int64_t)n;
    return e;
}

/* The second pass: nobody spoke for the job in time. A worker that never confirmed the start is
 * no crash: the lease was lost on the way. */
static err reap_one(struct store *s, const struct job_row *r, wall now, struct fault *f)
{
    enum job_state state;
    struct leaving l = {.failure = FAILURE_CRASH,
                        .why = SPAN("the worker was not heard of in time")};
    job_charge(s, r, r->started ? BUDGET_CRASH : BUDGET_RELEASE, 0, &l);
    lanes_sign(s, r->lane, BREAKER_NO_VERDICT, r->seq, now.ms);
    return job_leave(s, r, &l, now, &state, f);
}

static err reap_lapsed(struct store *s, wall now, struct reap_reply *reply, struct fault *f)
{
    struct query *q;
    size_t n = 0;
    err e = db_ask(s->db, SQL_LAPSED, &q, f, DB_I(now.ms), DB_I(REAP_MAX));
    if (!e)
        e = job_rows_read(s, q, s->rows, REAP_MAX, &n, f);
    for (size_t i = 0; !e && i < n; i++) {
        const struct job_row *r = &s->rows[i];
        if (r->suspect) {
            e = reap_one(s, r, now, f);
            reply->reaped++;
        } else {
            e = db_run(s->db, SQL_SUSPECT, f, DB_I(r->seq),
                       DB_I(now.ms + s->limits.lease_ms / 3));
            reply->suspected++;
        }
    }
    return e;
}

err sqlite_reap(struct store *s, wall now, struct reap_reply *out, struct fault *f)
{
    struct reap_reply reply = {0};
    err e = store_usable(s, f);
    if (e)
        return e;
    s->group_ms = now.ms;
    if (s->disk_full)
        disk_ballast_fill(s);
    /* Nobody could renew a lease while we slept (suspended machine, stopped process): give the
     * workers one period to speak before anyone is suspected. */
    bool slept = now.ms - s->reaped_ms > 2 * s->limits.lease_ms;
    s->reaped_ms = now.ms;
    if (slept)
        e = db_run(s->db, SQL_AMNESTY, f, DB_I(now.ms + 1), DB_I(now.ms + s->limits.lease_ms));
    if (!e)
        e = reap_lapsed(s, now, &reply, f);
    if (!e)
        e = cancel_overdue(s, now, &reply.forced, f);
    if (!e)
        e = expire(s, now, &reply.expired, f);
    if (!e)
        e = waits_settle_rest(s, now, &reply.settled, f);
    if (!e)
        e = promote(s, now, &reply.promoted, f);
    if (!e)
        e = clock_keep(s, now, f);
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
            e = job_rows_read(s, q, s->rows, REAP_MAX, &n, f);
        if (e || n == 0)
            return e;
        for (size_t i = 0; i < n; i++) {
            enum job_state state;
            struct leaving l = {.why = SPAN("the service was restarted")};
            job_charge(s, &s->rows[i], BUDGET_RELEASE, 0, &l);
            if (l.on == JOB_ON_GIVE_UP) { /* each time this job ran the service ended */
                l.failure = FAILURE_CRASH;
                l.why = SPAN("the service ended again and again while this job ran");
            }
            lanes_sign(s, s->rows[i].lane, BREAKER_NO_VERDICT, s->rows[i].seq, now.ms);
            e = job_leave(s, &s->rows[i], &l, now, &state, f);
            if (e)
                return e;
        }
    }
}
