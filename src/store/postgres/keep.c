/* keep.c - what becomes of records when their job has ended: other jobs get them too, or they
 * go. */
#include "store/postgres/inside.h"

/* ---- sharing ---- */

struct sharing {
    struct span from, to;
};

/* One that nobody wrote for has no row, and nothing to give. */
static err lock_giver(struct pg *p, struct span job, struct held_job *out, struct fault *f)
{
    struct pg_rows *rows;
    err e = pg_ask(p, SQL_JOB_LOCK, &rows, f, PG_T(job));
    if (e)
        return e;
    *out = (struct held_job){0};
    if (pg_count(rows))
        held_read(rows, out);
    pg_end(rows);
    return E_OK;
}

static err share_work(struct pg *p, void *ctx, struct fault *f)
{
    const struct sharing *s = ctx;
    struct held_job from, to;
    err e = lock_giver(p, s->from, &from, f);
    if (e || !from.result)
        return e;
    e = job_lock(p, s->to, &to, f);
    if (e || from.result == to.result)
        return e;
    e = pg_run(p, SQL_SHARED_MARK, f, PG_I(from.seq));
    if (!e)
        e = pg_run(p, SQL_SHARE, f, PG_I(to.seq), PG_I(from.seq));
    if (!e)
        e = pg_run(p, SQL_RESULT_MORE, f, PG_I(from.result));
    if (!e && to.result)
        e = pg_run(p, SQL_RESULT_LESS, f, PG_I(to.result));
    return e;
}

err archive_share(struct archive *a, struct span from, struct span to, struct fault *f)
{
    struct sharing s = {from, to};
    if (span_eq(from, to))
        return E_OK;
    return pg_do(a->pg, PG_WRITES, share_work, &s, f);
}

/* ---- forgetting ---- */

struct forgetting {
    const struct span *jobs;
    int64_t *results;
    size_t count;
    bool more;
};

/* Two statements: a result that a job was given while the first one waited for its row is there
 * only for a statement that begins later. */
static err take_jobs(struct pg *p, struct forgetting *g, struct fault *f)
{
    struct pg_rows *rows;
    err e = pg_ask(p, SQL_FORGET_JOBS, &rows, f, PG_TS(g->jobs, g->count));
    if (e)
        return e;
    size_t n = pg_count(rows) < g->count ? pg_count(rows) : g->count;
    for (size_t i = 0; i < n; i++)
        g->results[i] = pg_int(rows, i, 0);
    pg_end(rows);
    return n ? pg_run(p, SQL_FORGET_RESULTS, f, PG_IS(g->results, n)) : E_OK;
}

static err find_one(struct pg *p, enum sql which, int64_t *out, struct fault *f)
{
    struct pg_rows *rows;
    err e = pg_ask_args(p, which, &rows, f, NULL, 0);
    if (e)
        return e;
    *out = pg_count(rows) ? pg_int(rows, 0, 0) : 0;
    pg_end(rows);
    return E_OK;
}

static err take_evidence(struct pg *p, struct fault *f)
{
    int64_t job = 0, left = PIECES_AT_ONCE;
    err e = E_OK;
    while (!e && left > 0) {
        e = find_one(p, SQL_FORGOTTEN, &job, f);
        if (e || !job)
            return e;
        left--; /* a job without evidence is something too */
        e = evidence_forget_some(p, job, &left, f);
        if (!e && left > 0)
            e = pg_run(p, SQL_FORGOTTEN_END, f, PG_I(job));
    }
    return e;
}

static err empty_result(struct pg *p, int64_t result, int64_t *left, struct fault *f)
{
    struct pg_rows *rows;
    int64_t most = *left;
    err e = pg_ask(p, SQL_RESULT_EMPTY, &rows, f, PG_I(result), PG_I(most));
    if (e)
        return e;
    int64_t gone = tally(rows, 0, 0);
    pg_end(rows);
    *left -= gone + 1;
    return gone < most ? pg_run(p, SQL_RESULT_END, f, PG_I(result)) : E_OK;
}

static err take_records(struct pg *p, struct fault *f)
{
    int64_t result = 0, left = RECORDS_AT_ONCE;
    err e = E_OK;
    while (!e && left > 0) {
        e = find_one(p, SQL_RESULT_FREE, &result, f);
        if (e || !result)
            return e;
        e = empty_result(p, result, &left, f);
    }
    return e;
}

static err forget_work(struct pg *p, void *ctx, struct fault *f)
{
    struct forgetting *g = ctx;
    int64_t more = 0;
    err e = g->count ? take_jobs(p, g, f) : E_OK;
    if (!e)
        e = take_evidence(p, f);
    if (!e)
        e = take_records(p, f);
    if (!e)
        e = find_one(p, SQL_LEFT, &more, f);
    g->more = more != 0;
    return e;
}

err archive_forget(struct archive *a, const struct span *jobs, size_t count, bool *out_more,
                   struct fault *f)
{
    struct forgetting g = {.jobs = jobs, .count = count};
    g.results = heap_get((count + 1) * sizeof *g.results);
    err e = pg_do(a->pg, PG_WRITES, forget_work, &g, f);
    free(g.results);
    if (!e)
        *out_more = g.more;
    return e;
}
