/* missing.c - operations that the store of several machines does not have yet. Each says so; what tends things
 * of which there are none finds none. */
#include "store/redis/inside.h"

#include "base/need.h"

err fail_missing(const char *what, struct fault *f)
{
    return fail(f, E_ABSENT,
                "the queue in Redis has no %s yet; use the embedded store for that", what);
}

/* The parameters are those of the table, and none is looked at. */
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define MISSING(name, what, ...)                                                               \
    err redis_##name(__VA_ARGS__)                                                              \
    {                                                                                          \
        return fail_missing(what, f);                                                          \
    }
MISSING(file_put, "files of media", struct store *s, const struct file_put_args *args, wall now,
        struct fault *f)
MISSING(file, "files of media", struct store *s, struct span hash, struct file_view *out,
        struct fault *f)
MISSING(batch_create, "batches", struct store *s, const struct batch_args *args, wall now,
        struct arena *a, struct batch_reply *out, struct fault *f)
MISSING(batch_add, "batches", struct store *s, const struct batch_add_args *args, wall now,
        struct arena *a, struct batch_reply *out, struct fault *f)
MISSING(batch_seal, "batches", struct store *s, struct span id, wall now, struct fault *f)
MISSING(batch_cancel, "batches", struct store *s, struct span id, struct span operation_id,
        wall now, struct arena *a, struct operation_view *out, struct fault *f)
MISSING(batch_retry, "batches", struct store *s, struct span id,
        const struct operation_args *args, wall now, struct arena *a,
        struct operation_view *out, struct fault *f)
MISSING(batch, "batches", struct store *s, struct span id, struct arena *a,
        struct batch_view *out, struct fault *f)
MISSING(batches, "batches", struct store *s, struct span after, size_t limit, struct arena *a,
        struct batch_view **out, size_t *out_count, bool *out_more, struct fault *f)
MISSING(batch_jobs, "batches", struct store *s, const struct batch_jobs_query *q, wall now,
        struct arena *a, struct job_view **out, size_t *out_count, struct fault *f)
MISSING(batch_items, "batches", struct store *s, struct span id, int kind, size_t limit,
        size_t bytes_max, struct arena *a, struct batch_place *place, struct item_view **out,
        size_t *out_count, struct fault *f)
MISSING(webhook_add, "webhooks", struct store *s, const struct webhook_put *args, wall now,
        struct fault *f)
MISSING(webhook_change, "webhooks", struct store *s, const struct webhook_put *args, wall now,
        struct fault *f)
MISSING(webhook_rotate, "webhooks", struct store *s, const struct webhook_ask *args, wall now,
        struct fault *f)
MISSING(webhook_remove, "webhooks", struct store *s, const struct webhook_ask *args,
        struct fault *f)
MISSING(webhook_replay, "webhooks", struct store *s, const struct webhook_ask *args, wall now,
        struct fault *f)
MISSING(webhook, "webhooks", struct store *s, struct span id, struct arena *a,
        struct webhook_view *out, struct fault *f)
MISSING(webhooks, "webhooks", struct store *s, struct arena *a, struct webhook_view **out,
        size_t *out_count, struct fault *f)
MISSING(deliveries, "webhooks", struct store *s, const struct deliveries_query *q,
        struct arena *a, struct delivery_view **out, size_t *out_count, struct fault *f)
MISSING(delivery, "webhooks", struct store *s, struct span id, struct arena *a,
        struct delivery_view *out, struct fault *f)
MISSING(delivery_again, "webhooks", struct store *s, struct span id, wall now,
        char out_id[ID_TEXT], struct fault *f)
MISSING(webhook_ping, "webhooks", struct store *s, struct span webhook, wall now,
        char out_id[ID_TEXT], struct fault *f)
MISSING(webhook_done, "webhooks", struct store *s, const struct webhook_done_args *args,
        wall now, struct webhook_done_reply *out, struct fault *f)

/* What a worker may call by a lease that it no longer has answers that first. */
err redis_file_take(struct store *s, const struct file_take_args *args,
                    struct file_take_reply *out, struct fault *f)
{
    struct archive_lease lease;
    need(s->in_group);
    store_fresh(s);
    err e = lease_held(s, args->id, args->nonce, &lease, f);
    return e ? e : fail_missing("files of media", f);
}

/* ---- duties ---- */

err redis_webhooks_take(struct store *s, const struct webhooks_take_args *args, wall now,
                        struct arena *a, struct webhooks_taken *out, struct fault *f)
{
    *out = (struct webhooks_taken){.next_ms = INT64_MAX};
    return E_OK;
}

err redis_files_tend(struct store *s, wall now, bool *out_more, struct fault *f)
{
    *out_more = false;
    return E_OK;
}

bool redis_evidence_sweep(struct store *s)
{
    return false;
}
