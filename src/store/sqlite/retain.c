/* retain.c - what is deleted, and when. The oldest ended jobs go first, each at once: its row is deleted,
 * and what it had follows in as many calls as it takes (table `gone`), so that no reader ever sees half of
 * a job. */
#include "store/sqlite/inside.h"

#include "base/need.h"

enum { RETAIN_STEP = 100, RETAIN_ROWS = 5000, RETAIN_EVENTS = 1000 };
/* A mark is of use for as long as somebody comes back for what is new: a year longer than jobs stay. */
static const int64_t MARK_KEEP_MS = 365LL * 86400 * 1000;

/* ---- what a job had ---- */

/* Takes up to *rows items off the job; what no job holds is deleted. */
static err unlink_items(struct store *s, int64_t job, int64_t *rows, struct fault *f)
{
    err e = db_run(s->db, SQL_UNLINK_COUNT, f, DB_I(job), DB_I(*rows));
    if (!e)
        e = db_run(s->db, SQL_UNLINK_DELETE, f, DB_I(job), DB_I(*rows));
    if (!e)
        e = db_run(s->db, SQL_UNLINK, f, DB_I(job), DB_I(*rows));
    if (!e)
        *rows -= db_changes(s->db);
    return e;
}

static err delete_events(struct store *s, const char *id, int64_t *rows, struct fault *f)
{
    err e = db_run(s->db, SQL_EVENTS_DELETE, f, DB_T(span_of(id)), DB_I(*rows));
    if (!e)
        *rows -= db_changes(s->db);
    return e;
}

/* Deletes as much as *rows allows, which is 0 then when there is more. */
static err delete_rest(struct store *s, int64_t job, const char *id, int64_t *rows,
                       struct fault *f)
{
    err e = unlink_items(s, job, rows, f);
    if (!e && *rows > 0)
        e = files_release(s, job, rows, f);
    if (!e && *rows > 0)
        e = evidence_forget(s, job, rows, f);
    if (!e && *rows > 0)
        e = delete_events(s, id, rows, f);
    return e;
}

/* Goes on with jobs that are gone already. */
static err delete_rests(struct store *s, int64_t *rows, struct fault *f)
{
    while (*rows > 0) {
        char id[ID_TEXT];
        struct query *q;
        err e = db_ask_args(s->db, SQL_GONE, &q, f, NULL, 0);
        if (e)
            return e;
        e = db_step(q, f);
        int64_t job = e ? 0 : db_int(q, 0);
        if (!e)
            span_copy(db_text(q, 1), id, sizeof id);
        db_end(q);
        if (e)
            return e == E_END ? E_OK : e;
        e = delete_rest(s, job, id, rows, f);
        if (!e && *rows > 0)
            e = db_run(s->db, SQL_GONE_DELETE, f, DB_I(job));
        if (e)
            return e;
    }
    return E_OK;
}

err job_forget(struct store *s, const struct old_job *j, int64_t *rows, struct fault *f)
{
    err e = job_gone(s, j->seq, j->state, f);
    if (!e)
        e = db_run(s->db, SQL_JOB_DELETE, f, DB_I(j->seq));
    if (e)
        return e;
    lanes_count(s, j->lane, j->needs, j->state, JOB_STATES, s->group_ms);
    s->now.kept_bytes -= job_is_kept(j->state) ? j->bytes : 0;
    e = delete_rest(s, j->seq, j->id, rows, f);
    if (!e && *rows <= 0)
        e = db_run(s->db, SQL_GONE_ADD, f, DB_I(j->seq), DB_T(span_of(j->id)));
    return e;
}

/* ---- which jobs ---- */

static err read_old(struct store *s, enum sql id, struct old_job *out, size_t *out_count,
                    struct fault *f)
{
    struct query *q;
    size_t n = 0;
    err e = db_ask(s->db, id, &q, f, DB_I(RETAIN_STEP));
    if (e)
        return e;
    while (n < RETAIN_STEP && (e = db_step(q, f)) == E_OK) {
        struct old_job *j = &out[n++];
        *j = (struct old_job){.seq = db_int(q, 0),
                              .finished_ms = db_int(q, 1),
                              .bytes = db_int(q, 2),
                              .state = (enum job_state)db_int(q, 3),
                              .lane = lanes_by_id(s, db_int(q, 4)),
                              .needs = (enum store_needs)db_int(q, 5)};
        need(j->lane);
        span_copy(db_text(q, 6), j->id, sizeof j->id);
    }
    db_end(q);
    *out_count = n;
    return e == E_END ? E_OK : e;
}

/* The limit that the oldest job exceeds; RETAIN_LIMITS: none. */
static enum retain_limit kept_exceeds(const struct store *s, const struct retain_args *a,
                                      const struct old_job *oldest, wall now)
{
    const int64_t *n = s->now.by_state;
    if (a->age_ms > 0 && oldest->finished_ms < now.ms - a->age_ms)
        return RETAIN_AGE;
    if (a->jobs > 0 && n[JOB_SUCCEEDED] + n[JOB_CANCELLED] + n[JOB_EXPIRED] > a->jobs)
        return RETAIN_JOBS;
    return a->bytes > 0 && s->now.kept_bytes > a->bytes ? RETAIN_BYTES : RETAIN_LIMITS;
}

static enum retain_limit dead_exceeds(const struct store *s, const struct retain_args *a,
                                      const struct old_job *oldest, wall now)
{
    if (a->dead_age_ms > 0 && oldest->finished_ms < now.ms - a->dead_age_ms)
        return RETAIN_DEAD_AGE;
    return a->dead_jobs > 0 && s->now.by_state[JOB_DEAD] > a->dead_jobs ? RETAIN_DEAD_JOBS
                                                                        : RETAIN_LIMITS;
}

static err delete_old(struct store *s, const struct retain_args *a, bool dead, wall now,
                      int64_t *rows, struct retain_reply *reply, struct fault *f)
{
    struct old_job old[RETAIN_STEP];
    size_t n = 0, i = 0;
    enum retain_limit limit = RETAIN_LIMITS;
    err e = read_old(s, dead ? SQL_DEAD_OLD : SQL_KEPT_OLD, old, &n, f);
    for (; !e && i<n && * rows> 0; i++) {
        limit = dead ? dead_exceeds(s, a, &old[i], now) : kept_exceeds(s, a, &old[i], now);
        if (limit == RETAIN_LIMITS)
            break;
        e = job_forget(s, &old[i], rows, f);
        reply->deleted[limit]++;
        s->now.retained[limit]++;
    }
    reply->more |= i == RETAIN_STEP;
    return e;
}

err sqlite_retain(struct store *s, const struct retain_args *args, wall now,
                  struct retain_reply *out, struct fault *f)
{
    struct retain_reply reply = {0};
    int64_t rows = RETAIN_ROWS;
    err e = store_usable(s, f);
    if (!e)
        e = lanes_retain(s, &reply.more, f);
    if (!e)
        e = delete_rests(s, &rows, f);
    if (!e && rows > 0)
        e = delete_old(s, args, false, now, &rows, &reply, f);
    if (!e && rows > 0)
        e = delete_old(s, args, true, now, &rows, &reply, f);
    if (!e)
        e = db_run(s->db, SQL_REQUESTS_PRUNE, f, DB_I(now.ms - STORE_KEY_MS),
                   DB_I(RETAIN_EVENTS));
    if (!e && args->age_ms > 0)
        e = db_run(s->db, SQL_EVENTS_PRUNE, f, DB_I(now.ms - args->age_ms),
                   DB_I(RETAIN_EVENTS));
    if (!e && args->age_ms > 0)
        e = db_run(s->db, SQL_MARKS_PRUNE, f, DB_I(now.ms - args->age_ms - MARK_KEEP_MS),
                   DB_I(RETAIN_STEP));
    if (e)
        return e;
    reply.more |= rows <= 0;
    *out = reply;
    return E_OK;
}
