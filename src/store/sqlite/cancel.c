/* cancel.c - ending jobs because somebody wants it. */
#include "store/sqlite/inside.h"

#include "base/json.h"
#include "base/need.h"

/* By force: the lease is void from now on, whatever its worker still does. */
static err cancel_active(struct store *s, const struct job_row *r, struct span why, wall now,
                         struct fault *f)
{
    enum job_state state;
    struct leaving l = {
        .on = JOB_ON_CANCEL, .count = COUNT_VOID, .failure = FAILURE_CANCELLED, .why = why};
    lanes_sign(s, r->lane, BREAKER_NO_VERDICT, r->seq, now.ms);
    return job_leave(s, r, &l, now, &state, f);
}

/* "cancelled by force: it hangs" */
static struct span why_of(const struct cancel_args *args, const char *how,
                          char out[2 * STORE_WHY_MAX])
{
    if (!args->why.n)
        return args->force ? span_of(how) : SPAN_NONE;
    snprintf(out, 2 * STORE_WHY_MAX, "%s: %.*s", how, SP(args->why));
    return span_of(out);
}

/* Its worker is told; what comes of it is another event. */
static err ask_to_stop(struct store *s, const struct job_row *r, const struct cancel_args *args,
                       wall now, struct fault *f)
{
    if (r->cancel_asked)
        return E_OK;
    err e = db_run(s->db, SQL_CANCEL_ACTIVE, f, DB_I(r->seq),
                   args->grace_ms > 0 ? DB_I(now.ms + args->grace_ms) : DB_NULL);
    if (e)
        return e;
    struct json_w w = event_body(s, JOB_ACTIVE);
    if (args->grace_ms > 0)
        json_kv_int(&w, "grace_ms", args->grace_ms);
    if (args->why.n)
        json_kv_text(&w, "why", args->why);
    return event_add(s, r->id, "job.stopping", now, &w, f);
}

err sqlite_cancel(struct store *s, const struct cancel_args *args, wall now,
                  struct cancel_reply *out, struct fault *f)
{
    struct job_row r;
    char words[2 * STORE_WHY_MAX];
    err e = store_usable(s, f);
    if (!e && args->why.n > STORE_WHY_MAX)
        e = fail(f, E_BAD_INPUT, "why a job is cancelled may have %d bytes", STORE_WHY_MAX);
    if (!e)
        e = job_row_find(s, args->id, &r, f);
    if (e)
        return e;
    if (r.state != JOB_CANCELLED && job_is_final(r.state))
        return fail(f, E_CONFLICT, "job %s is %s already", r.id, job_state_name(r.state));
    struct cancel_reply reply = {.state = JOB_CANCELLED, .active = r.state == JOB_ACTIVE};
    if (r.state == JOB_ACTIVE && args->force) {
        e = cancel_active(s, &r, why_of(args, "cancelled by force", words), now, f);
    } else if (r.state == JOB_ACTIVE) {
        reply.state = JOB_ACTIVE;
        e = ask_to_stop(s, &r, args, now, f);
    } else if (r.state != JOB_CANCELLED) {
        e = job_end_waiting(s, &r, JOB_ON_CANCEL, args->why, now, f);
    }
    if (!e)
        *out = reply;
    return e;
}

err cancel_overdue(struct store *s, wall now, int64_t *out_count, struct fault *f)
{
    struct query *q;
    size_t n = 0;
    err e = db_ask(s->db, SQL_STOP_DUE, &q, f, DB_I(now.ms), DB_I(REAP_MAX));
    if (!e)
        e = job_rows_read(s, q, s->rows, REAP_MAX, &n, f);
    for (size_t i = 0; !e && i < n; i++)
        e = cancel_active(s, &s->rows[i], SPAN("did not stop in time when asked to"), now, f);
    *out_count = (int64_t)n;
    return e;
}
