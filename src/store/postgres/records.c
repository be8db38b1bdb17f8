/* records.c - batches of records in, pages of them out. */
#include "store/postgres/inside.h"

#include "base/need.h"

enum { PAGE_ROWS = 100, LINE_MOST = 600, NEWEST_TEXT_MAX = 48 * 1024 };

/* ---- a job's row and its result ---- */

static struct counts counts_read(const struct pg_rows *rows, int column)
{
    struct counts c = {0};
    for (int kind = 0; kind <= ITEM_CONFLICT; kind++)
        c.kinds[kind] = tally(rows, 0, column + kind);
    c.bytes = tally(rows, 0, column + ITEM_CONFLICT + 1);
    return c;
}

void held_read(const struct pg_rows *rows, struct held_job *out)
{
    *out = (struct held_job){.seq = pg_int(rows, 0, 0),
                             .result = pg_int(rows, 0, 1),
                             .shared = pg_int(rows, 0, 2) != 0,
                             .next_batch = tally(rows, 0, 3),
                             .has = counts_read(rows, 4)};
}

err fence_pass(struct pg *p, const struct archive_lease *lease, struct held_job *out,
               struct fault *f)
{
    struct pg_rows *rows;
    err e = pg_ask(p, SQL_FENCE, &rows, f, PG_T(lease->job), PG_I(lease->epoch),
                   PG_I(lease->fence));
    if (e)
        return e;
    if (pg_count(rows) == 1)
        held_read(rows, out);
    else
        e = fail(f, E_STALE, "the lease of job %.*s is no longer held",
                 SP(span_cut(lease->job, 0, 60)));
    pg_end(rows);
    return e;
}

err job_lock(struct pg *p, struct span job, struct held_job *out, struct fault *f)
{
    struct pg_rows *rows;
    err e = pg_ask(p, SQL_JOB_MAKE, &rows, f, PG_T(job));
    if (e)
        return e;
    held_read(rows, out);
    pg_end(rows);
    return E_OK;
}

err result_renew(struct pg *p, struct held_job *job, struct span site, struct fault *f)
{
    struct pg_rows *rows;
    err e = job->result ? pg_run(p, SQL_RESULT_LESS, f, PG_I(job->result)) : E_OK;
    if (!e)
        e = pg_ask(p, SQL_RESULT_NEW, &rows, f, PG_I(job->seq), PG_T(site), PG_I(job->result));
    if (e)
        return e;
    *job = (struct held_job){.seq = job->seq, .result = pg_int(rows, 0, 0)};
    pg_end(rows);
    return E_OK;
}

/* What the other jobs have stays as it is. */
static err copy_before(struct pg *p, struct held_job *job, struct span site, int64_t batch,
                       struct fault *f)
{
    struct pg_rows *rows;
    int64_t before = job->result;
    err e = result_renew(p, job, site, f);
    if (!e)
        e = pg_ask(p, SQL_RESULT_COPY, &rows, f, PG_I(job->seq), PG_I(job->result),
                   PG_I(before), PG_I(batch * ORD_PER_BATCH), PG_I(batch));
    if (e)
        return e;
    job->has = counts_read(rows, 0);
    job->next_batch = batch;
    pg_end(rows);
    return E_OK;
}

static err delete_from(struct pg *p, struct held_job *job, int64_t batch, struct fault *f)
{
    struct pg_rows *rows;
    err e = pg_ask(p, SQL_REWIND, &rows, f, PG_I(job->seq), PG_I(job->result),
                   PG_I(batch * ORD_PER_BATCH), PG_I(batch));
    if (e)
        return e;
    job->has = counts_read(rows, 0);
    job->next_batch = batch;
    pg_end(rows);
    return E_OK;
}

err result_rewind(struct pg *p, struct held_job *job, struct span site, int64_t batch,
                  struct fault *f)
{
    if (!job->shared && (!job->result || batch >= job->next_batch))
        return E_OK;
    if (batch == 0) /* however many there are: they go piece by piece later */
        return result_renew(p, job, site, f);
    return job->shared ? copy_before(p, job, site, batch, f) : delete_from(p, job, batch, f);
}

err result_check_batch(int64_t batch, struct fault *f)
{
    return batch >= 0 && batch <= BATCH_MAX
               ? E_OK
               : fail(f, E_BAD_INPUT, "there is no batch %lld", (long long)batch);
}

/* ---- writing ---- */

struct committing {
    const struct archive_commit *args;
    struct staged staged;
    struct archive_committed out;
};

static struct archive_committed committed_of(const struct held_job *job, enum item_kind counts,
                                             const struct counts *added)
{
    return (struct archive_committed){
        .added = added->kinds[counts],
        .rejected = added->kinds[ITEM_REJECTED],
        .conflicts = added->kinds[ITEM_CONFLICT],
        .have = job->has.kinds[counts],
        .users = job->has.kinds[ITEM_USER],
        .bytes = job->has.bytes,
    };
}

static err commit_work(struct pg *p, void *ctx, struct fault *f)
{
    struct committing *c = ctx;
    const struct archive_commit *args = c->args;
    struct held_job job;
    struct counts added;
    err e = fence_pass(p, &args->lease, &job, f);
    if (!e)
        e = result_rewind(p, &job, args->site, args->batch, f);
    if (!e && !job.result)
        e = result_renew(p, &job, args->site, f);
    if (!e)
        e = staged_add(&c->staged, p, &job, args->counts, args->limit, args->batch + 1, &added,
                       f);
    if (!e)
        c->out = committed_of(&job, args->counts, &added);
    return e;
}

err archive_commit(struct archive *a, const struct archive_commit *args, wall now,
                   struct archive_committed *out, struct fault *f)
{
    struct committing c = {.args = args};
    (void)now;
    err e = result_check_batch(args->batch, f);
    if (!e)
        e = asked_items(args->items, args->count, ITEM_CONFLICT, args->counts == ITEM_USER,
                        args->lease.job, f);
    if (e)
        return e;
    staged_init(&c.staged, a, args->items, args->count, args->batch * ORD_PER_BATCH,
                STAGED_FIRST);
    e = pg_do(a->pg, PG_WRITES, commit_work, &c, f);
    staged_fini(&c.staged);
    if (!e)
        *out = c.out;
    return e;
}

struct rewinding {
    const struct archive_lease *lease;
    int64_t batch;
    enum item_kind counts;
    struct archive_committed out;
};

static err rewind_work(struct pg *p, void *ctx, struct fault *f)
{
    struct rewinding *r = ctx;
    struct held_job job;
    const struct counts none = {0};
    err e = fence_pass(p, r->lease, &job, f);
    if (!e && r->batch < job.next_batch)
        e = result_rewind(p, &job, SPAN(""), r->batch, f);
    if (!e)
        r->out = committed_of(&job, r->counts, &none);
    return e;
}

err archive_rewind(struct archive *a, const struct archive_lease *lease, enum item_kind counts,
                   int64_t batch, struct archive_committed *out, struct fault *f)
{
    struct rewinding r = {.lease = lease, .batch = batch, .counts = counts};
    err e = result_check_batch(batch, f);
    if (!e)
        e = pg_do(a->pg, PG_WRITES, rewind_work, &r, f);
    if (!e)
        *out = r.out;
    return e;
}

/* ---- reading ---- */

struct reading {
    struct span job;
    int kind;
    int64_t after;
    size_t limit, bytes_max;
    struct arena *arena;
    struct item_view *items;
    size_t count, bytes;
    bool full;
};

/* What fits is answered; the reader goes on after the last one. */
static err keep_item(struct reading *r, const struct pg_rows *rows, size_t row, struct fault *f)
{
    struct item_view *v = &r->items[r->count];
    struct fault *words = r->count ? NULL : f;
    int64_t kind = pg_int(rows, row, 1);
    if (kind < 0 || kind > ITEM_CONFLICT)
        return not_ours(f);
    v->ord = pg_int(rows, row, 0);
    v->kind = (enum item_kind)kind;
    err e = pg_keep(rows, row, 2, r->arena, &v->id, words);
    if (!e)
        e = pg_keep(rows, row, 3, r->arena, &v->json, words);
    if (e) {
        r->full = true;
        return r->count ? E_OK : e;
    }
    r->bytes += v->json.n;
    r->count++;
    r->full = r->count == r->limit || r->bytes >= r->bytes_max;
    return E_OK;
}

/* A page at a time: where the answer ends only its texts say. */
static err read_page(struct pg *p, struct reading *r, bool *out_last, struct fault *f)
{
    struct pg_rows *rows;
    size_t wanted = r->limit - r->count < PAGE_ROWS ? r->limit - r->count : PAGE_ROWS;
    int64_t after = r->count ? r->items[r->count - 1].ord : r->after;
    err e = pg_ask(p, SQL_RECORDS, &rows, f, PG_T(r->job), PG_I(after), PG_I(r->kind),
                   PG_I(wanted));
    if (e)
        return e;
    size_t n = pg_count(rows);
    for (size_t i = 0; !e && !r->full && i < n; i++)
        e = keep_item(r, rows, i, f);
    *out_last = n < wanted;
    pg_end(rows);
    return e;
}

static err items_work(struct pg *p, void *ctx, struct fault *f)
{
    struct reading *r = ctx;
    bool last = false;
    err e = E_OK;
    r->count = r->bytes = 0;
    r->full = false;
    while (!e && !last && !r->full)
        e = read_page(p, r, &last, f);
    return e;
}

err archive_items(struct archive *a, struct span job, int kind, int64_t after, size_t limit,
                  size_t bytes_max, struct arena *arena, struct item_view **out,
                  size_t *out_count, struct fault *f)
{
    need(limit > 0 && limit <= 10000);
    struct reading r = {.job = job,
                        .kind = kind,
                        .after = after,
                        .limit = limit,
                        .bytes_max = bytes_max,
                        .arena = arena,
                        .items = arena_try(arena, limit * sizeof *r.items)};
    if (!r.items)
        return fail(f, E_TOO_BIG, "the answer of the archive does not fit");
    err e = pg_do(a->pg, PG_READS, items_work, &r, f);
    if (e)
        return e;
    *out = r.items;
    *out_count = r.count;
    return E_OK;
}

struct newest {
    struct span job;
    struct buf lines;
};

/* As marks are: a few hundred long ids must not fill a frame, and a line is a line. */
static void add_line(struct buf *lines, int64_t created_ms, struct span id)
{
    if (!id.n || id.n > LINE_MOST || lines->n + id.n + 32 > NEWEST_TEXT_MAX ||
        span_find_char(id, '\n') < id.n)
        return;
    buf_fmt(lines, "%lld ", (long long)created_ms);
    buf_add(lines, id);
    buf_add_char(lines, '\n');
}

static err newest_work(struct pg *p, void *ctx, struct fault *f)
{
    struct newest *n = ctx;
    struct pg_rows *rows;
    err e = pg_ask(p, SQL_NEWEST, &rows, f, PG_T(n->job), PG_I(STORE_MARK_POSTS));
    if (e)
        return e;
    buf_clear(&n->lines);
    for (size_t i = 0; i < pg_count(rows); i++)
        add_line(&n->lines, pg_int(rows, i, 0), pg_text(rows, i, 1));
    pg_end(rows);
    return E_OK;
}

err archive_newest(struct archive *a, struct span job, struct arena *arena, struct span *out,
                   struct fault *f)
{
    struct newest n = {.job = job, .lines = BUF(NEWEST_TEXT_MAX)};
    err e = pg_do(a->pg, PG_READS, newest_work, &n, f);
    struct span kept = e ? SPAN_NONE : arena_keep(arena, buf_span(&n.lines));
    buf_free(&n.lines);
    if (!e && !kept.p)
        e = fail(f, E_TOO_BIG, "the answer of the archive does not fit");
    if (!e)
        *out = kept;
    return e;
}
