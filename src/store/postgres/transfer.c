/* transfer.c - rows of the archive for a move, and into it. */
#include "store/postgres/inside.h"

#include "base/need.h"

enum { ROWS_AT_ONCE = 100, BODIES_AT_ONCE = 6 };

/* ---- out ---- */

struct knowing {
    const struct span *jobs;
    size_t count;
    int64_t *next_batches;
};

static err know_work(struct pg *p, void *ctx, struct fault *f)
{
    const struct knowing *k = ctx;
    struct pg_rows *rows;
    err e = pg_ask(p, SQL_MOVE_JOBS, &rows, f, PG_TS(k->jobs, k->count));
    if (e)
        return e;
    for (size_t i = 0; i < k->count; i++)
        k->next_batches[i] = -1;
    for (size_t i = 0; !e && i < pg_count(rows); i++) {
        uint64_t number = (uint64_t)pg_int(rows, i, 0);
        if (number >= 1 && number <= k->count)
            k->next_batches[number - 1] = pg_int(rows, i, 1);
        else
            e = not_ours(f);
    }
    pg_end(rows);
    return e;
}

err archive_move_jobs(struct archive *a, const struct span *jobs, size_t count,
                      int64_t *out_next_batches, struct fault *f)
{
    struct knowing k = {jobs, count, out_next_batches};
    return count ? pg_do(a->pg, PG_READS, know_work, &k, f) : E_OK;
}

struct giving {
    const struct archive_move_ask *ask;
    struct arena *arena;
    struct moved_page *page;
};

static err ask_rows(struct pg *p, const struct archive_move_ask *q, size_t *most,
                    struct pg_rows **out, struct fault *f)
{
    *most = q->kind == MOVE_BODIES ? BODIES_AT_ONCE : ROWS_AT_ONCE;
    struct span rest = q->place.two, version = {0};
    switch (q->kind) {
    case MOVE_BODIES:
        return pg_ask(p, SQL_OUT_BODIES, out, f, PG_T(q->place.one), PG_I(*most));
    case MOVE_FIELDS:
        (void)span_next(&rest, '\n', &version);
        return pg_ask(p, SQL_OUT_FIELDS, out, f, PG_T(q->place.one), PG_T(version), PG_T(rest),
                      PG_I(q->place.two.n ? q->place.b : -9), PG_I(q->place.a), PG_I(*most));
    case MOVE_EVIDENCE:
        return pg_ask(p, SQL_OUT_EVIDENCE, out, f, PG_T(q->job), PG_I(q->after), PG_I(q->bound),
                      PG_I(*most));
    case MOVE_GAPS:
        return pg_ask(p, SQL_OUT_GAPS, out, f, PG_T(q->job), PG_I(q->after), PG_I(q->bound),
                      PG_I(*most));
    default:
        need(q->kind == MOVE_RECORDS);
        return pg_ask(p, SQL_OUT_RECORDS, out, f, PG_T(q->job), PG_I(q->after),
                      PG_I(q->bound * ORD_PER_BATCH), PG_I(*most));
    }
}

static err keep_row(const struct pg_rows *rows, size_t n, enum moved_kind kind, struct arena *a,
                    struct moved_row *out, struct fault *f)
{
    const struct moved_shape *shape = &moved_shapes[kind];
    err e = E_OK;
    for (size_t i = 0; !e && i < shape->count; i++) {
        if (shape->fields[i].type == MOVED_NUMBER)
            out->v[i].n = pg_int(rows, n, (int)i);
        else
            e = pg_keep(rows, n, (int)i, a, &out->v[i].text, f);
    }
    return e;
}

/* Behind its last row; of jobs the caller says where. */
static void next_place(const struct archive_move_ask *q, const struct moved_row *last,
                       struct arena *a, struct moved_place *out)
{
    *out = (struct moved_place){.one = SPAN(""), .two = SPAN("")};
    if (q->kind == MOVE_BODIES)
        out->one = last->v[0].text;
    else if (q->kind == MOVE_FIELDS) {
        out->a = last->v[4].n;
        out->b = last->v[3].n;
        out->one = last->v[0].text;
        out->two =
            span_of(arena_fmt(a, "%.*s\n%.*s", SP(last->v[1].text), SP(last->v[2].text)));
    }
}

static err give_work(struct pg *p, void *ctx, struct fault *f)
{
    const struct giving *g = ctx;
    struct moved_page *page = g->page;
    struct pg_rows *rows;
    size_t most = 0;
    err e = ask_rows(p, g->ask, &most, &rows, f);
    if (e)
        return e;
    page->rows = arena_get(g->arena, (pg_count(rows) + 1) * sizeof *page->rows);
    page->last = pg_count(rows) < most;
    page->next = g->ask->place;
    for (page->count = 0; !e && page->count < pg_count(rows); page->count++)
        e = keep_row(rows, page->count, g->ask->kind, g->arena, &page->rows[page->count], f);
    pg_end(rows);
    if (!e && page->count)
        next_place(g->ask, &page->rows[page->count - 1], g->arena, &page->next);
    return e;
}

err archive_move_out(struct archive *a, const struct archive_move_ask *ask, struct arena *arena,
                     struct moved_page *out, struct fault *f)
{
    struct giving g = {ask, arena, out};
    return pg_do(a->pg, PG_READS, give_work, &g, f);
}

/* ---- in ---- */

struct taking {
    enum moved_kind kind;
    const struct moved_page *page;
};

/* Records of one job: rows from `from`, `n` of them. */
static err put_records(struct pg *p, const struct moved_row *rows, size_t n, struct fault *f)
{
    enum { JOB, ORD, SITE, KIND, ID, CREATED, JSON };
    int64_t ords[MOVED_PAGE], created[MOVED_PAGE], kinds[MOVED_PAGE];
    struct span ids[MOVED_PAGE], texts[MOVED_PAGE];
    struct held_job job;
    err e = job_lock(p, rows[0].v[JOB].text, &job, f);
    if (!e && !job.result)
        e = result_renew(p, &job, rows[0].v[SITE].text, f);
    for (size_t i = 0; i < n; i++) {
        ords[i] = rows[i].v[ORD].n;
        created[i] = rows[i].v[CREATED].n;
        kinds[i] = rows[i].v[KIND].n;
        ids[i] = rows[i].v[ID].text;
        texts[i] = rows[i].v[JSON].text;
    }
    if (e)
        return e;
    return pg_run(p, SQL_IN_RECORDS, f, PG_I(job.seq), PG_I(job.result), PG_IS(ords, n),
                  PG_IS(created, n), PG_IS(kinds, n), PG_TS(ids, n), PG_TS(texts, n),
                  PG_I(ords[n - 1] / ORD_PER_BATCH + 1));
}

static err put_all_records(struct pg *p, const struct moved_page *page, struct fault *f)
{
    err e = E_OK;
    for (size_t at = 0, n; !e && at < page->count; at += n) {
        struct span job = page->rows[at].v[0].text;
        for (n = 1; at + n < page->count && n < MOVED_PAGE; n++)
            if (!span_eq(page->rows[at + n].v[0].text, job))
                break;
        e = put_records(p, page->rows + at, n, f);
    }
    return e;
}

static err put_fields(struct pg *p, const struct moved_value *v, struct fault *f)
{
    return pg_run(p, SQL_IN_FIELDS, f, PG_T(v[0].text), PG_T(v[1].text), PG_T(v[2].text),
                  PG_I(v[3].n), PG_I(v[4].n), PG_I(v[5].n));
}

static err put_piece(struct pg *p, enum moved_kind kind, const struct moved_value *v,
                     struct fault *f)
{
    struct held_job job;
    err e = job_lock(p, v[0].text, &job, f);
    if (e)
        return e;
    if (kind == MOVE_GAPS)
        return pg_run(p, SQL_IN_GAPS, f, PG_I(job.seq), PG_I(v[1].n), PG_I(v[2].n),
                      PG_I(v[3].n));
    return pg_run(p, SQL_IN_EVIDENCE, f, PG_I(job.seq), PG_I(v[1].n), PG_I(v[2].n),
                  PG_I(v[3].n), PG_I(v[4].n), PG_I(v[5].n), PG_I(v[6].n), PG_I(v[7].n),
                  PG_I(v[8].n), PG_T(v[9].text), PG_T(v[10].text), PG_T(v[11].text),
                  PG_T(v[12].text), PG_T(v[13].text));
}

static err put_row(struct pg *p, enum moved_kind kind, const struct moved_value *v,
                   struct fault *f)
{
    if (kind == MOVE_BODIES)
        return pg_run(p, SQL_IN_BODIES, f, PG_T(v[0].text), PG_I(v[1].n), PG_I(v[2].text.n),
                      PG_B(v[2].text));
    return kind == MOVE_FIELDS ? put_fields(p, v, f) : put_piece(p, kind, v, f);
}

static err take_work(struct pg *p, void *ctx, struct fault *f)
{
    const struct taking *t = ctx;
    err e = E_OK;
    if (t->kind == MOVE_RECORDS)
        return put_all_records(p, t->page, f);
    for (size_t i = 0; !e && i < t->page->count; i++)
        e = put_row(p, t->kind, t->page->rows[i].v, f);
    return e;
}

err archive_move_in(struct archive *a, enum moved_kind kind, const struct moved_page *page,
                    struct fault *f)
{
    struct taking t = {kind, page};
    return page->count ? pg_do(a->pg, PG_WRITES, take_work, &t, f) : E_OK;
}

/* ---- as a whole ---- */

struct span archive_id(const struct archive *a)
{
    return span_of(a->schema.id);
}

static err there_work(struct pg *p, void *ctx, struct fault *f)
{
    bool *out = ctx;
    struct pg_rows *rows;
    err e = pg_ask(p, SQL_MOVE_THERE, &rows, f, PG_I(0));
    if (e)
        return e;
    *out = pg_int(rows, 0, 0) == 0;
    pg_end(rows);
    return E_OK;
}

err archive_move_empty(struct archive *a, bool *out, struct fault *f)
{
    return pg_do(a->pg, PG_READS, there_work, out, f);
}

static err clear_work(struct pg *p, void *ctx, struct fault *f)
{
    (void)ctx;
    return pg_script(p,
                     "TRUNCATE fulmar_jobs,fulmar_results,fulmar_records,fulmar_forgotten,"
                     "fulmar_bodies,fulmar_evidence,fulmar_gaps,fulmar_fields",
                     f);
}

err archive_move_clear(struct archive *a, struct fault *f)
{
    return pg_do(a->pg, PG_WRITES, clear_work, NULL, f);
}
