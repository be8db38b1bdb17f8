/* archive.c - opening the archive; what is asked of it as a whole. */
#include "store/postgres/inside.h"

#include "base/need.h"

err archive_open(struct archive **out, const struct archive_config *config, struct fault *f)
{
    struct archive *a = heap_new_of(struct archive);
    struct pg_config pg = {config->url, config->connect_ms, config->statement_ms,
                           config->patience_ms};
    a->schema = (struct schema_wanted){.steps = schema_steps, .count = schema_step_count};
    a->copy_from = config->copy_bytes > 0 ? (size_t)config->copy_bytes : ARCHIVE_COPY_BYTES;
    err e = pg_new(&a->pg, &pg, f);
    if (!e) {
        pg_on_connect(a->pg, schema_check, &a->schema);
        e = pg_do(a->pg, PG_WRITES, schema_bring, &a->schema, f);
        if (e && pg_was_denied(a->pg))
            e = E_CONFIG;
    }
    if (e) {
        archive_close(&a);
        return e;
    }
    *out = a;
    return E_OK;
}

void archive_close(struct archive **a)
{
    if (!*a)
        return;
    pg_free(&(*a)->pg);
    free(*a);
    *a = NULL;
}

err archive_alive(struct archive *a, struct fault *f)
{
    return pg_connected(a->pg, f);
}

/* ---- what rows say ---- */

int64_t tally(const struct pg_rows *rows, size_t row, int column)
{
    const int64_t most = (int64_t)1 << 53;
    int64_t n = pg_int(rows, row, column);
    return n < 0 ? 0 : n > most ? most : n;
}

err not_ours(struct fault *f)
{
    return fail(f, E_STORE,
                "the archive has a row that is not Fulmar's, or of a newer version");
}

/* ---- as a whole ---- */

static err read_sizes(struct pg *p, void *ctx, struct fault *f)
{
    struct archive_sizes *out = ctx;
    struct pg_rows *rows;
    err e = pg_ask_args(p, SQL_SIZES, &rows, f, NULL, 0);
    if (e)
        return e;
    *out = (struct archive_sizes){.jobs = tally(rows, 0, 0),
                                  .records = tally(rows, 0, 1),
                                  .evidence = tally(rows, 0, 2),
                                  .bytes = tally(rows, 0, 3)};
    pg_end(rows);
    return E_OK;
}

err archive_sizes(struct archive *a, struct archive_sizes *out, struct fault *f)
{
    struct archive_sizes sizes;
    err e = pg_do(a->pg, PG_READS, read_sizes, &sizes, f);
    if (!e)
        *out = sizes;
    return e;
}

struct listing {
    struct span after;
    size_t limit;
    struct arena *arena;
    struct span *ids;
    size_t count;
};

static err read_jobs(struct pg *p, void *ctx, struct fault *f)
{
    struct listing *l = ctx;
    struct pg_rows *rows;
    err e = pg_ask(p, SQL_JOBS, &rows, f, PG_T(l->after), PG_I(l->limit));
    if (e)
        return e;
    for (l->count = 0; !e && l->count < l->limit && l->count < pg_count(rows); l->count++)
        e = pg_keep(rows, l->count, 0, l->arena, &l->ids[l->count], f);
    pg_end(rows);
    return e;
}

err archive_jobs(struct archive *a, struct span after, size_t limit, struct arena *arena,
                 struct span **out, size_t *out_count, struct fault *f)
{
    need(limit > 0 && limit <= 1000);
    struct listing l = {.after = after, .limit = limit, .arena = arena};
    l.ids = arena_try(arena, limit * sizeof *l.ids);
    if (!l.ids)
        return fail(f, E_TOO_BIG, "the answer of the archive does not fit");
    err e = pg_do(a->pg, PG_READS, read_jobs, &l, f);
    if (e)
        return e;
    *out = l.ids;
    *out_count = l.count;
    return E_OK;
}
