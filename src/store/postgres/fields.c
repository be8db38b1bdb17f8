/* fields.c - where the members of records came from: counts by site, hour, version of the pack
 * and field. */
#include "store/counted.h"
#include "store/postgres/inside.h"

#include "base/need.h"

enum { DAY_HOURS = 24, FIELDS_BYTES = 8 * 1024 * 1024 };

/* ---- writing ---- */

struct adding {
    struct span site, counts;
    int64_t hour;
    /* of one version of the pack */
    struct span version;
    int64_t rows, members; /* that there are in this hour */
    struct span names[COUNTED_ROWS_MAX];
    int64_t paths[COUNTED_ROWS_MAX], numbers[COUNTED_ROWS_MAX];
    size_t count;
};

static err flush(struct pg *p, struct adding *a, struct fault *f)
{
    if (!a->count)
        return E_OK;
    return pg_run(p, SQL_FIELDS_ADD, f, PG_T(a->site), PG_I(a->hour), PG_T(a->version),
                  PG_TS(a->names, a->count), PG_IS(a->paths, a->count),
                  PG_IS(a->numbers, a->count));
}

/* What comes from a worker is bounded here, whatever the worker thinks. */
static err begin_version(struct pg *p, struct adding *a, struct span version, struct fault *f)
{
    struct pg_rows *rows;
    err e = flush(p, a, f);
    if (!e)
        e = pg_ask(p, SQL_FIELD_ROWS, &rows, f, PG_T(a->site), PG_I(a->hour), PG_T(version));
    if (e)
        return e;
    a->rows = tally(rows, 0, 0);
    a->members = tally(rows, 0, 1);
    pg_end(rows);
    a->version = version;
    a->count = 0;
    return E_OK;
}

static void add_count(struct adding *a, struct span name, int path, int64_t n)
{
    if (n <= 0 || a->rows >= COUNTED_ROWS_MAX ||
        (path == COUNTED_MEMBER && a->members >= COUNTED_MEMBERS_MAX))
        return;
    a->rows++;
    a->members += path == COUNTED_MEMBER;
    need(a->count < COUNTED_ROWS_MAX);
    a->names[a->count] = name;
    a->paths[a->count] = path;
    a->numbers[a->count++] = n;
}

static void add_line(struct adding *a, const struct drift_line *line)
{
    if (line->news) {
        add_count(a, line->name, COUNTED_MEMBER, line->hits[0]);
        return;
    }
    add_count(a, line->name, COUNTED_MISSING, line->missing);
    for (size_t i = 0; i < line->paths; i++)
        add_count(a, line->name, (int)i, line->hits[i]);
}

static err add_work(struct pg *p, void *ctx, struct fault *f)
{
    struct adding *a = ctx;
    struct span rest = a->counts, version = SPAN_NONE;
    struct drift_line line;
    a->version = SPAN_NONE;
    a->count = 0;
    err e = pg_run(p, SQL_NO_WAIT, f, PG_I(0));
    while (!e && drift_next_line(&rest, &version, &line)) {
        if (!version.n)
            continue;
        if (version.p != a->version.p)
            e = begin_version(p, a, version, f);
        if (!e)
            add_line(a, &line);
    }
    return e ? e : flush(p, a, f);
}

err archive_fields_add(struct archive *a, struct span site, struct span counts, wall now,
                       struct fault *f)
{
    if (!counts.n)
        return E_OK;
    struct adding *adding = heap_new_of(struct adding);
    adding->site = site;
    adding->counts = counts;
    adding->hour = now.ms / COUNTED_HOUR_MS;
    err e = pg_do(a->pg, PG_WRITES, add_work, adding, f);
    free(adding);
    return e;
}

/* ---- reading ---- */

struct looking {
    struct span site;
    int64_t since; /* hour */
    struct arena *arena;
    struct fields_view view;
};

static err newest_version(struct pg *p, struct looking *l, struct fault *f)
{
    struct pg_rows *rows;
    err e = pg_ask(p, SQL_FIELD_VERSION, &rows, f, PG_T(l->site));
    if (e)
        return e;
    l->view.version = SPAN_NONE;
    if (pg_count(rows))
        e = pg_keep(rows, 0, 0, l->arena, &l->view.version, f);
    pg_end(rows);
    return e;
}

static err fields_work(struct pg *p, void *ctx, struct fault *f)
{
    struct looking *l = ctx;
    struct pg_rows *rows;
    l->view.count = 0;
    err e = newest_version(p, l, f);
    if (e || !l->view.version.n)
        return e;
    e = pg_ask(p, SQL_FIELDS, &rows, f, PG_T(l->site), PG_T(l->view.version), PG_I(l->since),
               PG_I(l->since - (int64_t)FIELD_DAYS_BEFORE * DAY_HOURS));
    if (e)
        return e;
    for (size_t i = 0; !e && i < pg_count(rows); i++) {
        struct counted_row row = {pg_text(rows, i, 0), pg_int(rows, i, 1), tally(rows, i, 2),
                                  tally(rows, i, 3), tally(rows, i, 4)};
        e = counted_take(&l->view, &row, l->arena, f);
    }
    pg_end(rows);
    return e == E_END ? E_OK : e;
}

err archive_fields(struct archive *a, struct span site, int64_t hours, wall now,
                   struct arena *arena, struct fields_view *out, struct fault *f)
{
    struct looking l = {.site = site,
                        .since = now.ms / COUNTED_HOUR_MS - hours + 1,
                        .arena = arena,
                        .view.fields =
                            arena_try(arena, COUNTED_FIELDS_MAX * sizeof *l.view.fields)};
    if (!l.view.fields)
        return fail(f, E_TOO_BIG, "the answer of the archive does not fit");
    err e = pg_do(a->pg, PG_READS, fields_work, &l, f);
    if (e)
        return e;
    counted_mark(&l.view);
    *out = l.view;
    return E_OK;
}

struct sites {
    struct arena *arena;
    struct span names[COUNTED_SITES_MAX];
    size_t count;
    int64_t before; /* hour */
};

/* Every site that was counted; each is one step in the index. */
static err sites_work(struct pg *p, void *ctx, struct fault *f)
{
    struct sites *s = ctx;
    struct span last = SPAN("");
    err e = E_OK;
    for (s->count = 0; !e && s->count < COUNTED_SITES_MAX; last = s->names[s->count++]) {
        struct pg_rows *rows;
        e = pg_ask(p, SQL_FIELD_SITE, &rows, f, PG_T(last));
        if (e)
            return e;
        bool there = pg_text(rows, 0, 0).n > 0;
        if (there)
            e = pg_keep(rows, 0, 0, s->arena, &s->names[s->count], f);
        pg_end(rows);
        if (!there)
            break;
    }
    return e;
}

err archive_drift(struct archive *a, wall now, int64_t out_marks[DRIFT_MARKS], struct fault *f)
{
    struct fields_view view;
    int64_t marks[DRIFT_MARKS] = {0};
    struct sites s = {.arena = arena_new(FIELDS_BYTES)};
    struct arena *fields = arena_new(FIELDS_BYTES);
    err e = pg_do(a->pg, PG_READS, sites_work, &s, f);
    for (size_t i = 0; i < s.count && !e; i++) {
        arena_reset(fields);
        e = archive_fields(a, s.names[i], DAY_HOURS, now, fields, &view, f);
        for (size_t k = 0; !e && k < view.count; k++)
            marks[view.fields[k].mark]++;
    }
    arena_free(&s.arena);
    arena_free(&fields);
    if (!e)
        memcpy(out_marks, marks, sizeof marks);
    return e;
}

static err prune_work(struct pg *p, void *ctx, struct fault *f)
{
    struct sites *s = ctx;
    err e = sites_work(p, s, f);
    for (size_t i = 0; i < s->count && !e; i++)
        e = pg_run(p, SQL_FIELDS_PRUNE, f, PG_T(s->names[i]), PG_I(s->before));
    return e;
}

err archive_fields_retain(struct archive *a, wall before, struct fault *f)
{
    struct sites s = {.arena = arena_new(FIELDS_BYTES), .before = before.ms / COUNTED_HOUR_MS};
    err e = pg_do(a->pg, PG_WRITES, prune_work, &s, f);
    arena_free(&s.arena);
    return e;
}
