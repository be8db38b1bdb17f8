/* kept.c - what jobs brought beside their queue: records, evidence, counts of fields. The archive has them; the
 * queue says who may write, and whether there is such a job. */
#include "store/redis/inside.h"

#include "base/need.h"

/* E_NOT_FOUND. *out_owner: whose records the job has, as a result may be shared. */
static err find_job(struct store *s, struct span id, struct span *out_owner, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    store_fresh(s);
    call_text(&c, SPAN("owner"));
    call_text(&c, id);
    err e = store_look(s, SCRIPT_VIEW, &c, (wall){0}, &r, f);
    if (!e && said(&r) == SAID_NONE)
        e = fail_no_job(id, f);
    if (!e)
        *out_owner = reply_text(&r, 1);
    return e;
}

/* ---- records ---- */

err redis_items(struct store *s, struct span id, int kind, int64_t after, size_t limit,
                size_t bytes_max, struct arena *a, struct item_view **out_items,
                size_t *out_count, struct fault *f)
{
    struct span owner;
    need(limit > 0 && limit <= 10000);
    err e = find_job(s, id, &owner, f);
    if (e)
        return e;
    if (s->config.records)
        return s->config.records->items(s->config.archive, owner, kind, after, limit, bytes_max,
                                        a, out_items, out_count, f);
    *out_items = NULL;
    *out_count = 0;
    return E_OK;
}

/* ---- evidence ---- */

static struct archive_limits limits_of(const struct store *s)
{
    return (struct archive_limits){.age_ms = s->limits.evidence_age_ms,
                                   .bytes = s->limits.evidence_bytes,
                                   .job_bytes = s->limits.evidence_job_bytes,
                                   .job_count = s->limits.evidence_job_count};
}

err redis_evidence_add(struct store *s, const struct evidence_args *args, wall now,
                       struct evidence_reply *out, struct fault *f)
{
    struct archive_limits limits = limits_of(s);
    struct archive_lease lease;
    need(s->in_group);
    store_fresh(s);
    err e = lease_held(s, args->id, args->nonce, &lease, f);
    if (!e && !s->config.records)
        e = fail_missing("evidence", f);
    return e ? e
             : s->config.records->evidence_add(s->config.archive, &lease, args, &limits, now,
                                               out, f);
}

err redis_evidence_list(struct store *s, struct span id, struct arena *a,
                        struct evidence_list *out, struct fault *f)
{
    struct span owner;
    err e = find_job(s, id, &owner, f);
    if (e)
        return e;
    *out = (struct evidence_list){0};
    return s->config.records
               ? s->config.records->evidence_list(s->config.archive, id, a, out, f)
               : E_OK;
}

err redis_evidence_read(struct store *s, struct span id, int64_t n, struct arena *a,
                        struct evidence_view *out, struct fault *f)
{
    struct span owner;
    err e = find_job(s, id, &owner, f);
    if (!e && !s->config.records)
        e = fail(f, E_NOT_FOUND, "the job has no piece of evidence %lld", (long long)n);
    return e ? e : s->config.records->evidence_read(s->config.archive, id, n, a, out, f);
}

err redis_evidence_retain(struct store *s, wall now, bool *out_more, struct fault *f)
{
    struct archive_limits limits = limits_of(s);
    *out_more = false;
    return s->config.records ? s->config.records->evidence_retain(s->config.archive, &limits,
                                                                  now, out_more, f)
                             : E_OK;
}

/* ---- counts of fields ---- */

err redis_fields(struct store *s, struct span site, int64_t hours, wall now, struct arena *a,
                 struct fields_view *out, struct fault *f)
{
    *out = (struct fields_view){0};
    return s->config.records
               ? s->config.records->fields(s->config.archive, site, hours, now, a, out, f)
               : E_OK;
}

err redis_drift(struct store *s, wall now, int64_t out_marks[DRIFT_MARKS], struct fault *f)
{
    memset(out_marks, 0, DRIFT_MARKS * sizeof *out_marks);
    return s->config.records ? s->config.records->drift(s->config.archive, now, out_marks, f)
                             : E_OK;
}

err redis_retain_fields(struct store *s, wall before, struct fault *f)
{
    return s->config.records ? s->config.records->fields_retain(s->config.archive, before, f)
                             : E_OK;
}
