/* stage.c - records of one call: each once, without those that the job has, as arrays of one
 * statement's arguments or, when there is much of them, by COPY. */
#include "store/postgres/inside.h"

#include "base/map.h"
#include "base/need.h"

static void make_arrays(struct staged *s)
{
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

void staged_init(struct staged *s, const struct archive *a, const struct store_item *items,
                 size_t count, int64_t first_ord, enum staged_wins wins)
{
    struct map seen[ITEM_CONFLICT + 1] = {0};
    *s = (struct staged){.items = heap_get((count + 1) * sizeof(struct store_item *)),
                         .ords = heap_get((count + 1) * sizeof(int64_t)),
                         .copy_from = a->copy_from};
    for (size_t i = 0; i < count; i++)
        stage(s, &seen[items[i].kind], &items[i], first_ord + (int64_t)i, wins);
    for (size_t i = 0; i <= ITEM_CONFLICT; i++)
        map_free(&seen[i]);
    make_arrays(s);
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

/* ---- what of them is added ---- */

/* The locked row of the job keeps this true until the end of the transaction. */
static err find_known(const struct staged *s, struct pg *p, const struct held_job *job,
                      bool *known, struct fault *f)
{
    struct pg_rows *rows;
    memset(known, 0, s->count);
    if (job->has.bytes == 0 && job->next_batch == 0)
        return E_OK;
    err e = pg_ask(p, SQL_RECORDS_KNOWN, &rows, f, PG_I(job->result), PG_IS(s->kinds, s->count),
                   PG_TS(s->ids, s->count));
    if (e)
        return e;
    for (size_t i = 0; !e && i < pg_count(rows); i++) {
        uint64_t number = (uint64_t)pg_int(rows, i, 0);
        if (number >= 1 && number <= s->count)
            known[number - 1] = true;
        else
            e = not_ours(f);
    }
    pg_end(rows);
    return e;
}

/* What is new, in its order, up to the room there is for what the job counts. */
static void pick(const struct staged *s, const bool *known, const struct held_job *job,
                 enum item_kind counts, int64_t limit, struct staged *out, struct counts *added)
{
    for (size_t i = 0; i < s->count; i++) {
        enum item_kind kind = s->items[i]->kind;
        bool full =
            kind == counts && limit > 0 && job->has.kinds[kind] + added->kinds[kind] >= limit;
        if (known[i] || full)
            continue;
        out->items[out->count] = s->items[i];
        out->ords[out->count++] = s->ords[i];
        added->kinds[kind]++;
        added->bytes += (int64_t)s->items[i]->json.n;
    }
}

/* ---- how they are sent ---- */

static err send_copied(const struct staged *s, struct pg *p, const struct held_job *job,
                       struct fault *f)
{
    err e = pg_copy_open(
        p, "COPY fulmar_records(result,ord,created_ms,kind,id,json) FROM STDIN (FORMAT binary)",
        f);
    for (size_t i = 0; !e && i < s->count; i++) {
        const struct store_item *it = s->items[i];
        e = pg_copy_row(p, f,
                        PG_ARGS(PG_I(job->result), PG_I(s->ords[i]), PG_I(it->created_ms),
                                PG_SHORT(it->kind), PG_T(it->id), PG_T(it->json)));
    }
    return e ? e : pg_copy_close(p, f);
}

/* Records by COPY and their counts, or both in one statement, which is a way to the server
 * less. */
static err send(struct staged *s, struct pg *p, const struct held_job *job, int64_t next_batch,
                const struct counts *added, struct fault *f)
{
    struct pg_arg args[14] = {PG_I(job->seq), PG_I(next_batch)};
    for (int kind = 0; kind <= ITEM_CONFLICT; kind++)
        args[2 + kind] = PG_I(added->kinds[kind]);
    args[7] = PG_I(added->bytes);
    if (added->bytes >= (int64_t)s->copy_from) {
        err e = send_copied(s, p, job, f);
        return e ? e : pg_run_args(p, SQL_COUNTS_ADD, f, args, 8);
    }
    make_arrays(s);
    args[8] = PG_I(job->result);
    args[9] = PG_IS(s->ords, s->count);
    args[10] = PG_IS(s->created, s->count);
    args[11] = PG_IS(s->kinds, s->count);
    args[12] = PG_TS(s->ids, s->count);
    args[13] = PG_TS(s->texts, s->count);
    return pg_run_args(p, SQL_RECORDS_ADD, f, args, 14);
}

err staged_add(const struct staged *s, struct pg *p, struct held_job *job,
               enum item_kind counts, int64_t limit, int64_t next_batch,
               struct counts *out_added, struct fault *f)
{
    struct staged picked = {.items = heap_get((s->count + 1) * sizeof *picked.items),
                            .ords = heap_get((s->count + 1) * sizeof *picked.ords),
                            .copy_from = s->copy_from};
    struct counts added = {0};
    bool *known = heap_get(s->count + 1);
    err e = find_known(s, p, job, known, f);
    if (!e) {
        pick(s, known, job, counts, limit, &picked, &added);
        e = send(&picked, p, job, next_batch, &added, f);
    }
    free(known);
    staged_fini(&picked);
    if (e)
        return e;
    for (int kind = 0; kind <= ITEM_CONFLICT; kind++)
        job->has.kinds[kind] += added.kinds[kind];
    job->has.bytes += added.bytes;
    *out_added = added;
    return E_OK;
}

err staged_replace(const struct staged *s, struct pg *p, struct held_job *job,
                   int64_t *out_replaced, struct fault *f)
{
    struct pg_rows *rows;
    err e = pg_ask(p, SQL_RECORDS_REPLACE, &rows, f, PG_I(job->seq), PG_I(job->result),
                   PG_IS(s->kinds, s->count), PG_TS(s->ids, s->count),
                   PG_IS(s->created, s->count), PG_TS(s->texts, s->count));
    if (e)
        return e;
    *out_replaced = tally(rows, 0, 0);
    job->has.bytes = tally(rows, 0, 1);
    pg_end(rows);
    return E_OK;
}
