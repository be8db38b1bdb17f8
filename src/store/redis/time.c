/* time.c - what time does: jobs that fall due, leases that lapse, what is deleted. In bounded pieces. */
#include "store/redis/inside.h"

#include "base/need.h"
#include "core/metrics.h"

enum { PIECE = 64, PIECES_MOST = 4000 };

err redis_reap(struct store *s, wall now, struct reap_reply *out, struct fault *f)
{
    struct reap_reply all = {0};
    int64_t part = 1, left = PIECE;
    need(s->in_group);
    for (int i = 0; part && i < PIECES_MOST; i++) {
        struct reply r;
        struct call c = {0};
        store_fresh(s);
        call_number(&c, part);
        call_number(&c, left);
        err e = store_write(s, SCRIPT_REAP, &c, now, &r, f);
        if (e)
            return e;
        int64_t *const counts[] = {&all.promoted, &all.suspected, &all.reaped,
                                   &all.expired,  &all.forced,    &all.settled};
        for (size_t k = 0; k < 6; k++)
            *counts[k] += reply_number(&r, 3 + k);
        part = reply_number(&r, 1);
        left = reply_number(&r, 2);
    }
    *out = all;
    return E_OK;
}

/* What jobs brought goes after they are gone, a piece at a time. A crash in between forgets none: the queue keeps
 * their ids until the archive has nothing of them. */
static err forget_records(struct store *s, const struct reply *ids, wall now, bool *out_more,
                          struct fault *f)
{
    struct reply r;
    struct call c = {0};
    bool more = false;
    *out_more = false;
    if (ids->count == 0)
        return E_OK;
    for (size_t i = 0; i < ids->count && i < CALL_ARGS; i++)
        call_text(&c, reply_text(ids, i));
    err e = E_OK;
    if (s->config.records)
        e = s->config.records->forget(s->config.archive, c.args, c.count, &more, f);
    if (!e && !more)
        e = store_look(s, SCRIPT_GONE, &c, now, &r, f);
    *out_more = more || (!e && reply_number(&r, 1) > 0);
    return e;
}

err redis_retain(struct store *s, const struct retain_args *args, wall now,
                 struct retain_reply *out, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    const int64_t limits[] = {args->age_ms, args->jobs, args->bytes, args->dead_age_ms,
                              args->dead_jobs};
    struct retain_reply reply = {0};
    need(s->in_group);
    store_fresh(s);
    for (int i = 0; i < RETAIN_LIMITS; i++)
        call_number(&c, limits[i] < INT64_MAX >> 11 ? limits[i] : INT64_MAX >> 11);
    err e = store_write(s, SCRIPT_RETAIN, &c, now, &r, f);
    if (e)
        return e;
    for (size_t i = 0; i < RETAIN_LIMITS; i++) {
        reply.deleted[i] = reply_number(reply_list(&r, 1), i);
        s->deleted[i] += reply.deleted[i];
    }
    bool more;
    e = forget_records(s, reply_list(&r, 3), now, &more, f);
    reply.more = more || reply_number(&r, 2) != 0;
    if (!e)
        *out = reply;
    return e;
}

err redis_audit(struct store *s, wall now, struct audit_reply *out, struct fault *f)
{
    struct reply r;
    store_fresh(s);
    err e = store_look(s, SCRIPT_AUDIT, &(struct call){0}, now, &r, f);
    if (e)
        return e;
    *out = (struct audit_reply){.repaired = reply_number(&r, 1), .walks = reply_number(&r, 3)};
    metric_add(METRIC_QUEUE_REPAIRS, 0, out->repaired);
    return E_OK;
}
