#include "store/sqlite/check.h"

#include "store/sqlite/inside.h"
#include "store/sqlite/sqlite.h"

#include "base/need.h"

static const int64_t WHOLLY_BYTES = 64 << 20;

/* Columns of SQL_CHECK_COUNTS: two that have to be the same, and what it means when they are not. */
static const struct {
    int rows, entries;
    const char *lost;
} pairs[] = {
    {0, 1, "the index of ids"},        {0, 2, "the index of states"},
    {3, 4, "the index of ready jobs"}, {5, 6, "the index of due jobs"},
    {7, 8, "the index of leases"},     {9, 10, "the index of ended jobs"},
};

static err fail_damaged(const char *path, struct span what, struct fault *f)
{
    return fail(f, E_STORE,
                "%.100s is damaged (%.*s); restore a backup or choose another store.path", path,
                SP(span_cut(what, 0, 70)));
}

static err check_counts(struct db *d, const char *path, struct fault *f)
{
    struct query *q = NULL;
    err e = db_ask_args(d, SQL_CHECK_COUNTS, &q, f, NULL, 0);
    if (!e)
        e = db_step(q, f);
    for (size_t i = 0; !e && i < sizeof pairs / sizeof pairs[0]; i++)
        if (db_int(q, pairs[i].rows) != db_int(q, pairs[i].entries))
            e = fail_damaged(path, span_of(pairs[i].lost), f);
    db_end(q);
    return e;
}

err check_wholly(struct db *d, const char *path, struct fault *f)
{
    struct query *q = NULL;
    err e = db_ask_args(d, SQL_CHECK_WHOLLY, &q, f, NULL, 0);
    if (!e)
        e = db_step(q, f);
    if (!e && !span_is(db_text(q, 0), "ok"))
        e = fail_damaged(path, db_text(q, 0), f);
    db_end(q);
    return e;
}

static err file_bytes(struct db *d, int64_t *out_bytes, struct fault *f)
{
    struct query *q = NULL;
    err e = db_ask_args(d, SQL_PAGE_COUNT, &q, f, NULL, 0);
    if (!e)
        e = db_step(q, f);
    if (!e)
        *out_bytes = db_int(q, 0) * db_page_bytes(d);
    db_end(q);
    return e;
}

/* ---- in pieces ---- */

enum { TABLE_NAME = 64 };

/* E_END: there is none any more. */
static err name_table(struct db *d, int64_t place, char out[TABLE_NAME], struct fault *f)
{
    struct query *q = NULL;
    err e = db_ask(d, SQL_CHECK_NAME, &q, f, DB_I(place));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e)
        span_copy(db_text(q, 0), out, TABLE_NAME);
    db_end(q);
    return e;
}

err sqlite_reader_check(struct store *reader, int64_t *place, struct fault *f)
{
    char table[TABLE_NAME];
    struct query *q = NULL;
    need(reader->reading);
    reader->reading->makes_way = true;
    err e = name_table(reader->db, *place, table, f);
    if (!e)
        e = db_ask(reader->db, SQL_CHECK_PIECE, &q, f, DB_T(span_of(table)));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e && !span_is(db_text(q, 0), "ok"))
        e = fail_damaged(reader->path, db_text(q, 0), f);
    db_end(q);
    *place += !e;
    return e;
}

bool sqlite_check_due(const struct store *s)
{
    return s->check_due;
}

err check_file(struct db *d, const char *path, bool *out_wholly, struct fault *f)
{
    int64_t bytes = 0;
    err e = file_bytes(d, &bytes, f);
    if (!e)
        e = check_counts(d, path, f);
    *out_wholly = bytes <= WHOLLY_BYTES;
    if (!e && *out_wholly)
        e = check_wholly(d, path, f);
    return e;
}
