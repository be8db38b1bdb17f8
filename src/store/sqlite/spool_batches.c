/* spool_batches.c - batches in a spool: one row each, and one for each of their jobs. */
#include "core/lane.h"
#include "store/sqlite/spool_inside.h"
#include "store/ticket.h"

#include <string.h>

static int64_t counts_as(const struct batch_args *batch)
{
    return batch->count ? (int64_t)batch->count : 1;
}

/* ---- adding ---- */

static struct span tenant_of(const struct accept_args *job)
{
    struct lane_name lane;
    return lane_name_parse(job->lane, &lane) ? lane.tenant : SPAN_NONE;
}

/* An earlier request with this key; E_END: there is none. */
static err find_request(struct spool *s, const struct batch_args *batch,
                        struct spool_reply *out, bool *out_waits, struct fault *f)
{
    struct query *q;
    if (!batch->idempotency_key.n)
        return E_END;
    err e = spool_row(s->db, SQL_SPOOL_BATCH_KEY,
                      DB_ARGS(DB_T(batch->tenant), DB_T(batch->idempotency_key)), &q, f);
    return e ? e : spool_read_key(q, batch->request_hash, out, out_waits, f);
}

err spool_find_batch(struct spool *s, const struct batch_args *batch, enum spool_known known,
                     struct spool_reply *out, struct fault *f)
{
    struct spool_reply reply;
    bool waits = true;
    if (!spool_may_know(s, SPOOL_BATCH, known))
        return E_END;
    err e = find_request(s, batch, &reply, &waits, f);
    if (!waits && known == SPOOL_WAITS)
        return E_END;
    if (!e)
        *out = reply;
    return e;
}

/* Whether each can be kept, before anything is written. */
static err look_at_jobs(struct spool *s, const struct batch_args *batch, struct fault *f)
{
    size_t bytes = 0;
    bool waits;
    for (size_t i = 0; i < batch->count; i++) {
        const struct accept_args *job = &batch->jobs[i];
        struct span ticket;
        if (!tenant_of(job).n)
            return fail(f, E_BAD_INPUT, "%.*s is not the name of a lane", SP(job->lane));
        if (spool_entry(s, job->id, &waits))
            return fail(f, E_CONFLICT, "there is a job %.*s already", SP(job->id));
        err e = spool_ticket(s, job, &ticket, f);
        if (e)
            return e;
        bytes += ticket.n;
    }
    return bytes > SPOOL_BATCH_BYTES
               ? fail(f, E_TOO_BIG,
                      "the jobs have more than %d MiB; order them in several batches",
                      SPOOL_BATCH_BYTES >> 20)
               : E_OK;
}

static err write_job(struct spool *s, int64_t number, size_t n, const struct accept_args *job,
                     struct fault *f)
{
    struct span ticket;
    err e = spool_ticket(s, job, &ticket, f);
    return e ? e
             : db_run(s->db, SQL_SPOOL_BATCH_JOB_ADD, f, DB_I(number), DB_I(n), DB_T(job->id),
                      DB_T(tenant_of(job)), DB_I(job->run_at_ms), DB_T(ticket),
                      db_text_or_null(job->unique_key), db_text_or_null(job->replaced_by));
}

static err write_batch(struct spool *s, const struct batch_args *batch, wall now,
                       int64_t *out_number, struct fault *f)
{
    err e = spool_begin(s, f);
    if (!e)
        e = db_run(s->db, SQL_SPOOL_BATCH_ADD, f, DB_T(batch->id), DB_T(batch->tenant),
                   DB_T(batch->name), DB_I(now.ms), DB_I(batch->open), DB_I(batch->stop_after),
                   DB_I(batch->parallel), DB_T(batch->calls[BATCH_COMPLETE]),
                   DB_T(batch->calls[BATCH_SUCCESS]), db_text_or_null(batch->idempotency_key),
                   DB_I(batch->request_hash), DB_I(batch->count));
    *out_number = e ? 0 : db_last_row(s->db);
    for (size_t i = 0; !e && i < batch->count; i++)
        e = write_job(s, *out_number, i, &batch->jobs[i], f);
    return e;
}

static err add(struct spool *s, const struct batch_args *batch, wall now, bool copy,
               struct spool_reply *out, struct fault *f)
{
    struct spool_reply reply = {0};
    bool waits;
    err e = find_request(s, batch, out, &waits, f);
    if (e != E_END)
        return e;
    e = spool_entry(s, batch->id, &waits)
            ? fail(f, E_CONFLICT, "there is a batch %.*s already", SP(batch->id))
            : look_at_jobs(s, batch, f);
    if (!e && counts_as(batch) > s->most)
        e = fail(f, E_BUSY,
                 "the queue cannot be reached, and at most %lld jobs may wait on this node "
                 "(store.spool_max); order them in smaller batches, or when the queue is back",
                 (long long)s->most);
    if (!e)
        e = spool_make_room(s, counts_as(batch), copy, f);
    if (!e)
        e = write_batch(s, batch, now, &reply.number, f);
    if (e)
        return e;
    s->now.of[SPOOL_BATCH].waiting += counts_as(batch);
    span_copy(batch->id, reply.id, sizeof reply.id);
    *out = reply;
    return E_OK;
}

err spool_add_batch(struct spool *s, const struct batch_args *batch, wall now,
                    struct spool_reply *out, struct fault *f)
{
    return add(s, batch, now, false, out, f);
}

err spool_add_batch_copy(struct spool *s, const struct batch_args *batch, wall now,
                         const struct spool_given *given, struct fault *f)
{
    struct spool_reply reply = {0};
    err e = add(s, batch, now, true, &reply, f);
    return e || !reply.number ? e : spool_batch_handed_over(s, reply.number, given, f);
}

bool spool_batch_has(struct spool *s, struct span id, struct spool_batch_has *out)
{
    struct query *q;
    if (spool_row(s->db, SQL_SPOOL_BATCH_HAS, DB_ARGS(DB_T(id)), &q, NULL))
        return false;
    *out = (struct spool_batch_has){
        .state = (int)db_int(q, 0), .given = db_int(q, 1) != 0, .is_batch = db_int(q, 3) != 0};
    span_copy(span_cut(db_text(q, 2), 0, sizeof out->why - 1), out->why, sizeof out->why);
    db_end(q);
    return true;
}

/* ---- reading ---- */

/* In the arena; each as it is handed over, but for when it was accepted. */
static err read_job(struct spool *s, struct query *q, struct arena *a, struct accept_args *out,
                    struct fault *f)
{
    struct accept_args job = {0};
    struct span id;
    err e = db_keep(q, 0, a, &id, f);
    if (!e)
        e = ticket_read(db_text(q, 2), s->parser, a, &job, f);
    if (!e)
        e = db_keep(q, 3, a, &job.replaced_by, f);
    if (e)
        return e;
    job.id = id;
    job.run_at_ms = db_int(q, 1);
    *out = job;
    return E_OK;
}

static err read_jobs(struct spool *s, const struct spooled *entry, size_t count,
                     struct arena *a, struct accept_args *out, struct fault *f)
{
    struct query *q;
    size_t n = 0;
    err e = db_ask(s->db, SQL_SPOOL_BATCH_JOBS, &q, f, DB_I(entry->number));
    if (e)
        return e;
    for (e = db_step(q, f); !e && n < count; n++) {
        e = read_job(s, q, a, &out[n], f);
        out[n].accepted_ms = entry->at.ms;
        if (!e)
            e = db_step(q, f);
    }
    db_end(q);
    if (e && e != E_END)
        return e;
    return !e || n != count
               ? fail(f, E_BAD_SYNTAX, "batch %.*s does not have the %zu jobs that it was of",
                      SP(entry->batch.id), count)
               : E_OK;
}

enum {
    COLUMN_NUMBER,
    COLUMN_ID,
    COLUMN_AT,
    COLUMN_TENANT,
    COLUMN_NAME,
    COLUMN_OPEN,
    COLUMN_STOP_AFTER,
    COLUMN_PARALLEL,
    COLUMN_CALLS,
    COLUMN_KEY = COLUMN_CALLS + BATCH_CALLS,
    COLUMN_HASH,
    COLUMN_JOBS,
    COLUMN_GIVEN,
};

static err read_texts(struct query *q, struct arena *a, struct batch_args *b, struct fault *f)
{
    err e = db_keep(q, COLUMN_TENANT, a, &b->tenant, f);
    if (!e)
        e = db_keep(q, COLUMN_NAME, a, &b->name, f);
    for (int i = 0; !e && i < BATCH_CALLS; i++)
        e = db_keep(q, COLUMN_CALLS + i, a, &b->calls[i], f);
    return e ? e : db_keep(q, COLUMN_KEY, a, &b->idempotency_key, f);
}

/* One that cannot be read has its number and id all the same. Ends the query. */
static err read_batch(struct spool *s, struct query *q, struct arena *a, struct spooled *out,
                      struct fault *f)
{
    int64_t count = db_int(q, COLUMN_JOBS);
    struct accept_args *jobs = NULL;
    *out = (struct spooled){.kind = SPOOL_BATCH,
                            .number = db_int(q, COLUMN_NUMBER),
                            .at.ms = db_int(q, COLUMN_AT),
                            .given = db_int(q, COLUMN_GIVEN) != 0,
                            .jobs = count > 0 ? count : 1};
    struct batch_args *b = &out->batch;
    *b = (struct batch_args){.open = db_int(q, COLUMN_OPEN) != 0,
                             .stop_after = db_int(q, COLUMN_STOP_AFTER),
                             .parallel = db_int(q, COLUMN_PARALLEL),
                             .request_hash = (uint64_t)db_int(q, COLUMN_HASH),
                             .accepted_ms = out->at.ms};
    err e = db_keep(q, COLUMN_ID, a, &b->id, f);
    if (!e)
        e = read_texts(q, a, b, f);
    db_end(q);
    if (!e && (count < 0 || count > BATCH_ADD_MOST))
        e = fail(f, E_BAD_SYNTAX, "batch %.*s has %lld jobs", SP(b->id), (long long)count);
    if (!e)
        jobs = arena_try(a, ((size_t)count + 1) * sizeof *jobs);
    if (!e && !jobs)
        e = fail(f, E_TOO_BIG, "batch %.*s is longer than its reader has room for", SP(b->id));
    if (!e)
        e = read_jobs(s, out, (size_t)count, a, jobs, f);
    b->jobs = e ? NULL : jobs;
    b->count = e ? 0 : (size_t)count;
    return e;
}

err spool_next_batch(struct spool *s, int64_t after, struct arena *a, struct spooled *out,
                     struct fault *f)
{
    struct query *q;
    err e = spool_row(s->db, SQL_SPOOL_BATCH_NEXT, DB_ARGS(DB_I(after)), &q, f);
    return e ? e : read_batch(s, q, a, out, f);
}

err spool_batch(struct spool *s, struct span id, struct arena *a, struct spooled *out,
                struct fault *f)
{
    struct query *q;
    err e = spool_row(s->db, SQL_SPOOL_BATCH_WITH, DB_ARGS(DB_T(id)), &q, f);
    return e ? e : read_batch(s, q, a, out, f);
}

err spool_live_in_batch(struct spool *s, struct span tenant, struct span key, struct arena *a,
                        struct spooled *out, struct fault *f)
{
    struct query *q;
    const struct count *is = &s->now.of[SPOOL_BATCH];
    if (is->waiting == is->perhaps)
        return E_END;
    err e = spool_row(s->db, SQL_SPOOL_BATCH_UNIQUE, DB_ARGS(DB_T(tenant), DB_T(key)), &q, f);
    if (e)
        return e;
    *out = (struct spooled){.kind = SPOOL_BATCH,
                            .number = db_int(q, 0),
                            .place = db_int(q, 1),
                            .at.ms = db_int(q, 3),
                            .jobs = 1};
    struct span id;
    e = db_keep(q, 2, a, &id, f);
    if (!e)
        e = ticket_read(db_text(q, 5), s->parser, a, &out->job, f);
    if (!e)
        out->job.id = id;
    out->job.run_at_ms = db_int(q, 4);
    db_end(q);
    return e;
}

err spool_replace_in_batch(struct spool *s, const struct spooled *live, struct span by,
                           struct fault *f)
{
    err e = spool_begin(s, f);
    return e ? e
             : db_run(s->db, SQL_SPOOL_BATCH_REPLACE, f, DB_I(live->number), DB_I(live->place),
                      DB_T(by));
}

/* ---- what becomes of it ---- */

/* Of one that waits: as how many it counts, and whether the queue had it once. E_END: none does. */
static err waits(struct spool *s, int64_t number, int64_t *out_jobs, bool *out_given,
                 struct fault *f)
{
    struct query *q;
    err e = spool_row(s->db, SQL_SPOOL_BATCH_WAITS, DB_ARGS(DB_I(number)), &q, f);
    if (e)
        return e;
    *out_jobs = db_int(q, 0);
    *out_given = db_int(q, 1) != 0;
    db_end(q);
    return E_OK;
}

static void waits_no_more(struct spool *s, int64_t jobs, bool given)
{
    s->now.of[SPOOL_BATCH].waiting -= jobs;
    s->now.of[SPOOL_BATCH].perhaps -= given ? jobs : 0;
}

err spool_batch_handed_over(struct spool *s, int64_t number, const struct spool_given *given,
                            struct fault *f)
{
    int64_t jobs;
    bool before;
    err e = spool_begin(s, f);
    if (!e)
        e = waits(s, number, &jobs, &before, f);
    if (e)
        return e == E_END ? E_OK : e;
    e = db_run(s->db, SQL_SPOOL_BATCH_GIVEN, f, DB_I(number), DB_I(given->round),
               DB_I(given->at.ms), DB_T(given->store));
    if (e)
        return e;
    waits_no_more(s, jobs, before);
    s->now.of[SPOOL_BATCH].handed_over += jobs;
    return E_OK;
}

err spool_batch_aside(struct spool *s, int64_t number, struct span why, struct fault *f)
{
    int64_t jobs;
    bool before;
    err e = spool_begin(s, f);
    if (!e)
        e = waits(s, number, &jobs, &before, f);
    if (e)
        return e == E_END ? E_OK : e;
    e = db_run(s->db, SQL_SPOOL_BATCH_ASIDE, f, DB_I(number), DB_T(why));
    if (e)
        return e;
    waits_no_more(s, jobs, before);
    s->now.of[SPOOL_BATCH].aside += jobs;
    return E_OK;
}

err spool_bring_back_batches(struct spool *s, struct fault *f)
{
    err e = db_run_args(s->db, SQL_SPOOL_BATCH_BACK, f, NULL, 0);
    return e ? e : db_run_args(s->db, SQL_SPOOL_BATCH_STRAY, f, NULL, 0);
}

err spool_oldest_batch(struct spool *s, int64_t *out_number, int64_t *out_at, int64_t *out_jobs,
                       struct fault *f)
{
    struct query *q;
    *out_at = INT64_MAX;
    err e = spool_row(s->db, SQL_SPOOL_BATCH_FIRST_GIVEN, NULL, 0, &q, f);
    if (e)
        return e == E_END ? E_OK : e;
    *out_number = db_int(q, 0);
    *out_at = db_int(q, 1);
    *out_jobs = db_int(q, 2);
    db_end(q);
    return E_OK;
}

err spool_batch_leave(struct spool *s, int64_t number, int64_t jobs, struct fault *f)
{
    err e = db_run(s->db, SQL_SPOOL_BATCH_LEAVE, f, DB_I(number));
    if (!e)
        e = db_run(s->db, SQL_SPOOL_BATCH_JOBS_LEAVE, f, DB_I(number));
    s->now.of[SPOOL_BATCH].handed_over -= e ? 0 : jobs;
    return e;
}

err spool_count_batches(struct db *d, struct count *out, struct fault *f)
{
    struct query *q;
    err e = spool_row(d, SQL_SPOOL_BATCH_COUNT, NULL, 0, &q, f);
    if (e)
        return e;
    *out = (struct count){db_int(q, 0), db_int(q, 1), db_int(q, 2), db_int(q, 3)};
    db_end(q);
    return E_OK;
}

/* Some went: their jobs as well. */
static err count_anew(struct spool *s, struct fault *f)
{
    if (!db_changes(s->db))
        return E_OK;
    err e = db_run_args(s->db, SQL_SPOOL_BATCH_STRAY, f, NULL, 0);
    return e ? e : spool_count_batches(s->db, &s->now.of[SPOOL_BATCH], f);
}

err spool_settle_batches(struct spool *s, int64_t before_round, struct fault *f)
{
    if (s->now.of[SPOOL_BATCH].handed_over == 0)
        return E_OK;
    err e = db_run(s->db, SQL_SPOOL_BATCH_SETTLE, f, DB_I(before_round));
    return e ? e : count_anew(s, f);
}

err spool_again_batches(struct spool *s, struct fault *f)
{
    struct count *is = &s->now.of[SPOOL_BATCH];
    err e = db_run_args(s->db, SQL_SPOOL_BATCH_AGAIN, f, NULL, 0);
    if (e)
        return e;
    is->waiting += is->handed_over;
    is->perhaps += is->handed_over;
    is->handed_over = 0;
    return E_OK;
}

err spool_pass_batches(struct spool *s, struct span store, wall by, struct fault *f)
{
    if (s->now.of[SPOOL_BATCH].perhaps == 0)
        return E_OK;
    err e = spool_begin(s, f);
    if (!e)
        e = db_run(s->db, SQL_SPOOL_BATCH_PASSED, f, DB_T(store), DB_I(by.ms));
    return e ? e : count_anew(s, f);
}
