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

/* A queue without an archive keeps nothing of that. */
static err fail_no_archive(const char *what, struct fault *f)
{
    return fail(f, E_ABSENT, "a queue without an archive keeps no %s", what);
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
        e = fail_no_archive("evidence", f);
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

/* ---- repair ---- */

enum { LOOK_BATCH = 1, LOOK_COUNTS, LOOK_LIMIT, LOOK_SITE, LOOK_FAILURE };

/* 1 to 5: failures, crashes, throttles, releases, voids. */
static int counter_of(enum failure_class failure)
{
    enum failure_budget budget = failure_row(failure)->budget;
    return budget == BUDGET_CRASH      ? 2
           : budget == BUDGET_THROTTLE ? 3
           : budget == BUDGET_RELEASE  ? 4
                                       : 1;
}

static err check_repair(const struct repair_args *a, const struct reply *r, struct fault *f)
{
    switch (said(r)) {
    case SAID_NONE:
        return fail_no_job(a->id, f);
    case SAID_STATE:
        return fail(f, E_CONFLICT, "job %.*s is %s; only a dead one can be repaired", SP(a->id),
                    job_state_name((enum job_state)reply_number(r, 1)));
    case SAID_STALE:
        return fail(f, E_CONFLICT, "job %.*s has changed meanwhile", SP(a->id));
    case SAID_END:
        return fail(f, E_CONFLICT, "job %.*s never ran", SP(a->id));
    case SAID_OK:
    case SAID_TAKEN:
    case SAID_FULL:
    case SAID_MODE:
    case SAID_CLOSED:
    case SAID_BODY:
    case SAID_LANES:
    case SAID_SESSION:
    case SAID_FIRST:
    case SAID_ALONE:
    case SAID_COMING:
        break;
    }
    return E_OK;
}

static err write_repair(struct store *s, const struct repair_args *a, int64_t have,
                        enum failure_class was, wall now, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    call_text(&c, SPAN("write"));
    call_text(&c, a->id);
    call_number(&c, a->revision);
    call_number(&c, have);
    call_flag(&c, a->done);
    call_number(&c, a->verdict);
    call_number(&c, a->end);
    call_text(&c, span_of(end_reason_name(a->end)));
    call_text(&c, a->report);
    call_number(&c, counter_of(was));
    call_text(&c, span_of(failure_name(was)));
    err e = store_write(s, SCRIPT_REPAIR, &c, now, &r, f);
    return e ? e : check_repair(a, &r, f);
}

/* Records first; what the queue then says of them it says of those. */
err redis_repair(struct store *s, const struct repair_args *args, wall now,
                 struct repair_reply *out, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    struct repair_reply brought = {0};
    need(s->in_group);
    store_fresh(s);
    call_text(&c, SPAN("look"));
    call_text(&c, args->id);
    call_number(&c, args->revision);
    err e = store_look(s, SCRIPT_REPAIR, &c, now, &r, f);
    if (!e)
        e = check_repair(args, &r, f);
    if (!e)
        e = asked_repair(args, f);
    if (!e && !s->config.records)
        e = fail_no_archive("records", f);
    if (e)
        return e;
    struct archive_mending mending = {.job = args->id,
                                      .site = reply_text(&r, LOOK_SITE),
                                      .counts = (enum item_kind)reply_number(&r, LOOK_COUNTS),
                                      .batch = reply_number(&r, LOOK_BATCH),
                                      .limit = reply_number(&r, LOOK_LIMIT),
                                      .items = args->items,
                                      .count = args->count};
    e = s->config.records->repair(s->config.archive, &mending, now, &brought, f);
    if (!e)
        e = write_repair(s, args, brought.have,
                         (enum failure_class)reply_number(&r, LOOK_FAILURE), now, f);
    if (!e)
        *out = brought;
    return e;
}

/* It is in the archive: there are no files of it without a row. */
bool redis_evidence_sweep(struct store *s)
{
    (void)s;
    return false;
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
