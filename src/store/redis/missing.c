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

err redis_files_tend(struct store *s, wall now, bool *out_more, struct fault *f)
{
    *out_more = false;
    return E_OK;
}

bool redis_evidence_sweep(struct store *s)
{
    return false;
}
