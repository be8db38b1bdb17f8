/* repair.c - records that were read again from a dead job's evidence take their places. */
#include "store/postgres/inside.h"

struct mending {
    const struct archive_mending *args;
    struct staged staged;
    struct repair_reply out;
};

static err check(const struct archive_mending *a, struct fault *f)
{
    if (a->count > ORD_PER_BATCH)
        return fail(f, E_TOO_BIG, "a batch may hold %d records", ORD_PER_BATCH);
    if (a->batch < 0 || a->batch > BATCH_MAX)
        return fail(f, E_BAD_INPUT, "there is no batch %lld", (long long)a->batch);
    for (size_t i = 0; i < a->count; i++) {
        const struct store_item *it = &a->items[i];
        if ((unsigned)it->kind > ITEM_UNAVAILABLE || it->id.n == 0)
            return fail(f, E_BAD_INPUT, "record %zu has no id or an unknown kind", i);
    }
    return E_OK;
}

static err repair_work(struct pg *p, void *ctx, struct fault *f)
{
    struct mending *m = ctx;
    const struct archive_mending *args = m->args;
    struct repair_reply reply = {0};
    struct held_job job;
    struct counts added;
    err e = job_lock(p, args->job, &job, f);
    if (!e)
        e = result_rewind(p, &job, args->site, args->batch, f);
    if (!e && !job.result)
        e = result_renew(p, &job, args->site, f);
    if (!e)
        e = staged_replace(&m->staged, p, &job, &reply.replaced, f);
    if (!e)
        e = staged_add(&m->staged, p, &job, args->counts, args->limit, args->batch + 1, &added,
                       f);
    if (e)
        return e;
    for (int kind = 0; kind <= ITEM_CONFLICT; kind++)
        reply.added += added.kinds[kind];
    reply.have = job.has.kinds[args->counts];
    m->out = reply;
    return E_OK;
}

err archive_repair(struct archive *a, const struct archive_mending *args, wall now,
                   struct repair_reply *out, struct fault *f)
{
    struct mending m = {.args = args};
    (void)now;
    err e = check(args, f);
    if (e)
        return e;
    staged_init(&m.staged, a, args->items, args->count, args->batch * ORD_PER_BATCH,
                STAGED_LAST);
    e = pg_do(a->pg, PG_WRITES, repair_work, &m, f);
    staged_fini(&m.staged);
    if (!e)
        *out = m.out;
    return e;
}
