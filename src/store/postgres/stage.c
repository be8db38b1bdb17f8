/* stage.c - records on their way into one statement: as arrays of its arguments, or, when there is much of them,
 * by COPY into a temporary table. */
#include "store/postgres/inside.h"

#include "base/map.h"
#include "base/need.h"

static void stage(struct staged *s, struct map *seen, const struct store_item *it, int64_t ord,
                  enum staged_wins wins)
{
    const struct store_item **had = map_find(seen, it->id);
    if (had) {
        if (wins == STAGED_LAST)
            *had = it;
        return;
    }
    s->items[s->count] = it;
    s->ords[s->count] = ord;
    map_add(seen, it->id, &s->items[s->count]);
    s->count++;
}

void staged_init(struct staged *s, const struct store_item *items, size_t count,
                 int64_t first_ord, enum staged_wins wins)
{
    struct map seen[ITEM_CONFLICT + 1] = {0};
    *s = (struct staged){.items = heap_get((count + 1) * sizeof(struct store_item *)),
                         .ords = heap_get((count + 1) * sizeof(int64_t))};
    for (size_t i = 0; i < count; i++)
        stage(s, &seen[items[i].kind], &items[i], first_ord + (int64_t)i, wins);
    for (size_t i = 0; i <= ITEM_CONFLICT; i++)
        map_free(&seen[i]);
    for (size_t i = 0; i < s->count; i++)
        s->bytes += s->items[i]->id.n + s->items[i]->json.n;
}

void staged_fini(struct staged *s)
{
    free(s->items);
    free(s->ords);
    free(s->kinds);
    free(s->created);
    free(s->ids);
    free(s->texts);
    *s = (struct staged){0};
}

static void make_arrays(struct staged *s)
{
    if (s->kinds)
        return;
    s->kinds = heap_get((s->count + 1) * sizeof *s->kinds);
    s->created = heap_get((s->count + 1) * sizeof *s->created);
    s->ids = heap_get((s->count + 1) * sizeof *s->ids);
    s->texts = heap_get((s->count + 1) * sizeof *s->texts);
    for (size_t i = 0; i < s->count; i++) {
        s->kinds[i] = s->items[i]->kind;
        s->created[i] = s->items[i]->created_ms;
        s->ids[i] = s->items[i]->id;
        s->texts[i] = s->items[i]->json;
    }
}

/* The table belongs to the connection and is empty at the start of each transaction. */
static err copy_rows(struct staged *s, struct pg *p, struct fault *f)
{
    err e = E_OK;
    if (pg_first_time(p))
        e = pg_script(
            p,
            "CREATE TEMPORARY TABLE IF NOT EXISTS fulmar_batch(ord bigint, kind bigint, "
            "id text COLLATE \"C\", created_ms bigint, json text) ON COMMIT DELETE ROWS",
            f);
    if (!e)
        e = pg_copy_open(p, "COPY fulmar_batch FROM STDIN (FORMAT binary)", f);
    for (size_t i = 0; !e && i < s->count; i++) {
        const struct store_item *it = s->items[i];
        e = pg_copy_row(p, f,
                        PG_ARGS(PG_I(s->ords[i]), PG_I(it->kind), PG_T(it->id),
                                PG_I(it->created_ms), PG_T(it->json)));
    }
    return e ? e : pg_copy_close(p, f);
}

err staged_send(struct staged *s, struct pg *p, struct fault *f)
{
    s->copied = s->bytes >= s->copy_from && s->count > 0;
    if (s->copied)
        return copy_rows(s, p, f);
    make_arrays(s);
    return E_OK;
}

static int64_t room_of(const struct held_job *job, enum item_kind counts, int64_t limit)
{
    int64_t have = job->has.kinds[counts];
    if (limit <= 0)
        return INT64_MAX;
    return limit > have ? limit - have : 0;
}

err staged_add(const struct staged *s, struct pg *p, struct held_job *job,
               enum item_kind counts, int64_t limit, int64_t next_batch,
               struct counts *out_added, struct fault *f)
{
    struct pg_rows *rows;
    struct pg_arg args[10] = {PG_I(job->seq),
                              PG_I(job->result),
                              PG_I(counts),
                              PG_I(room_of(job, counts, limit)),
                              PG_I(next_batch),
                              PG_IS(s->ords, s->count),
                              PG_IS(s->kinds, s->count),
                              PG_TS(s->ids, s->count),
                              PG_IS(s->created, s->count),
                              PG_TS(s->texts, s->count)};
    err e = s->copied ? pg_ask_args(p, SQL_RECORDS_ADD_COPIED, &rows, f, args, 5)
                      : pg_ask_args(p, SQL_RECORDS_ADD, &rows, f, args, 10);
    if (e)
        return e;
    need(pg_count(rows) == 1);
    job->has = counts_read(rows, 0);
    *out_added = (struct counts){0};
    for (int kind = 0; kind <= ITEM_CONFLICT; kind++)
        out_added->kinds[kind] = pg_int(rows, 0, ITEM_CONFLICT + 2 + kind);
    pg_end(rows);
    return E_OK;
}

err staged_replace(const struct staged *s, struct pg *p, const struct held_job *job,
                   int64_t *out_replaced, struct fault *f)
{
    struct pg_rows *rows;
    struct pg_arg args[6] = {
        PG_I(job->seq),          PG_I(job->result),           PG_IS(s->kinds, s->count),
        PG_TS(s->ids, s->count), PG_IS(s->created, s->count), PG_TS(s->texts, s->count)};
    err e = s->copied ? pg_ask_args(p, SQL_RECORDS_REPLACE_COPIED, &rows, f, args, 2)
                      : pg_ask_args(p, SQL_RECORDS_REPLACE, &rows, f, args, 6);
    if (e)
        return e;
    need(pg_count(rows) == 1);
    *out_replaced = pg_int(rows, 0, 0);
    pg_end(rows);
    return E_OK;
}
