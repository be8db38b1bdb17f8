/* fields.c - where the members of records came from: counts by site, hour, pack version and field, written
 * with the batch they belong to; and what of it is not as it was (core/drift.h). */
#include "store/sqlite/inside.h"

#include "core/drift.h"
#include "store/counted.h"

enum { DAY_HOURS = 24, FIELDS_BYTES = 8 * 1024 * 1024 };

/* ---- writing ---- */

struct adding {
    struct store *s;
    struct span site, version;
    int64_t hour, rows, members;
};

/* What comes from a worker is bounded here, whatever the worker thinks. */
static err begin_version(struct adding *a, struct fault *f)
{
    struct query *q;
    err e =
        db_ask(a->s->db, SQL_FIELD_ROWS, &q, f, DB_T(a->site), DB_I(a->hour), DB_T(a->version));
    if (e)
        return e;
    e = db_step(q, f);
    a->rows = e ? 0 : db_int(q, 0);
    a->members = e ? 0 : db_int(q, 1);
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err add_count(struct adding *a, struct span name, int path, int64_t n, struct fault *f)
{
    if (n <= 0 || a->rows >= COUNTED_ROWS_MAX ||
        (path == COUNTED_MEMBER && a->members >= COUNTED_MEMBERS_MAX))
        return E_OK;
    a->rows++;
    a->members += path == COUNTED_MEMBER;
    return db_run(a->s->db, SQL_FIELD_ADD, f, DB_T(a->site), DB_I(a->hour), DB_T(a->version),
                  DB_T(name), DB_I(path), DB_I(n));
}

static err add_line(struct adding *a, const struct drift_line *line, struct fault *f)
{
    if (line->news)
        return add_count(a, line->name, COUNTED_MEMBER, line->hits[0], f);
    err e = add_count(a, line->name, COUNTED_MISSING, line->missing, f);
    for (size_t i = 0; i < line->paths && !e; i++)
        e = add_count(a, line->name, (int)i, line->hits[i], f);
    return e;
}

err field_counts_add(struct store *s, struct span site, struct span counts, wall now,
                     struct fault *f)
{
    struct adding a = {.s = s, .site = site, .hour = now.ms / COUNTED_HOUR_MS};
    struct drift_line line;
    struct span version = SPAN_NONE;
    err e = E_OK;
    while (!e && drift_next_line(&counts, &version, &line)) {
        if (!version.n)
            continue;
        if (version.p != a.version.p) {
            a.version = version;
            e = begin_version(&a, f);
        }
        if (!e)
            e = add_line(&a, &line, f);
    }
    return e;
}

/* ---- reading ---- */

static err newest_version(struct store *s, struct span site, struct arena *a, struct span *out,
                          struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_FIELD_VERSION, &q, f, DB_T(site));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e)
        e = db_keep(q, 0, a, out, f);
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err take_row(struct query *q, struct arena *a, struct fields_view *out, struct fault *f)
{
    struct counted_row row = {db_text(q, 0), db_int(q, 1), db_int(q, 2), db_int(q, 3),
                              db_int(q, 4)};
    return counted_take(out, &row, a, f);
}

err sqlite_fields(struct store *s, struct span site, int64_t hours, wall now, struct arena *a,
                  struct fields_view *out, struct fault *f)
{
    struct fields_view view = {0};
    struct query *q;
    int64_t since = now.ms / COUNTED_HOUR_MS - hours + 1;
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    view.fields = arena_try(a, COUNTED_FIELDS_MAX * sizeof *view.fields);
    if (!view.fields)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    err e = newest_version(s, site, a, &view.version, f);
    if (!e && !view.version.n) {
        *out = view;
        return E_OK;
    }
    if (!e)
        e = db_ask(s->db, SQL_FIELDS, &q, f, DB_T(site), DB_T(view.version), DB_I(since),
                   DB_I(since - (int64_t)FIELD_DAYS_BEFORE * DAY_HOURS));
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK && (e = take_row(q, a, &view, f)) == E_OK)
        continue;
    db_end(q);
    if (e != E_END)
        return e;
    counted_mark(&view);
    *out = view;
    return E_OK;
}

/* Every site that was counted, in the arena; each is one step in the index. */
static err find_sites(struct store *s, struct arena *a, struct span *sites, size_t *out_count,
                      struct fault *f)
{
    struct span last = SPAN("");
    size_t n = 0;
    while (n < COUNTED_SITES_MAX) {
        struct query *q;
        err e = db_ask(s->db, SQL_FIELD_SITE, &q, f, DB_T(last));
        if (e)
            return e;
        e = db_step(q, f);
        if (!e && db_text(q, 0).n)
            e = db_keep(q, 0, a, &sites[n], f);
        else if (!e)
            e = E_END;
        db_end(q);
        if (e == E_END)
            break;
        if (e)
            return e;
        last = sites[n++];
    }
    *out_count = n;
    return E_OK;
}

err sqlite_drift(struct store *s, wall now, int64_t out_marks[DRIFT_MARKS], struct fault *f)
{
    struct span sites[COUNTED_SITES_MAX];
    struct fields_view view;
    size_t count = 0;
    int64_t marks[DRIFT_MARKS] = {0};
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    struct arena *names = arena_new(FIELDS_BYTES), *fields = arena_new(FIELDS_BYTES);
    err e = find_sites(s, names, sites, &count, f);
    for (size_t i = 0; i < count && !e; i++) {
        arena_reset(fields);
        e = sqlite_fields(s, sites[i], DAY_HOURS, now, fields, &view, f);
        for (size_t k = 0; !e && k < view.count; k++)
            marks[view.fields[k].mark]++;
    }
    arena_free(&names);
    arena_free(&fields);
    if (!e)
        memcpy(out_marks, marks, sizeof marks);
    return e;
}

err sqlite_retain_fields(struct store *s, wall before, struct fault *f)
{
    struct span sites[COUNTED_SITES_MAX];
    size_t count = 0;
    err e = store_usable(s, f);
    if (e)
        return e;
    struct arena *names = arena_new(FIELDS_BYTES);
    e = find_sites(s, names, sites, &count, f);
    for (size_t i = 0; i < count && !e; i++)
        e = db_run(s->db, SQL_FIELDS_PRUNE, f, DB_T(sites[i]),
                   DB_I(before.ms / COUNTED_HOUR_MS));
    arena_free(&names);
    return e;
}
