/* repair.c - records that were read again from a dead job's evidence take their places. */
#include "store/postgres/inside.h"

struct mending {
    const struct archive_mending *args;
    struct staged staged;
    struct repair_reply out;
};

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
    err e = result_check_batch(args->batch, f);
    if (!e)
        e = asked_items(args->items, args->count, ITEM_UNAVAILABLE, false, args->job, f);
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
