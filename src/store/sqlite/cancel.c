/* cancel.c - ending jobs because somebody wants it. */
#include "store/sqlite/inside.h"

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

err store_cancel(struct store *s, const struct cancel_args *args, wall now, struct cancel_reply *out,
                 struct fault *f)
{
    struct job_row r;
    err e = store_usable(s, f);
    if (!e)
        e = job_row_find(s, args->id, &r, f);
    if (e)
        return e;
    if (r.state != JOB_CANCELLED && job_is_final(r.state))
        return fail(f, E_CONFLICT, "job %s is %s already", r.id, job_state_name(r.state));
    struct cancel_reply reply = {.state = JOB_CANCELLED, .active = r.state == JOB_ACTIVE};
    if (r.state == JOB_ACTIVE && args->force) {
        e = cancel_active(s, &r, SPAN("cancelled by force"), now, f);
    } else if (r.state == JOB_ACTIVE) {
        reply.state = JOB_ACTIVE;
        if (!r.cancel_asked)
            e = db_run(s->db, SQL_CANCEL_ACTIVE, f, DB_I(r.seq),
                       args->grace_ms > 0 ? DB_I(now.ms + args->grace_ms) : DB_NULL);
    } else if (r.state != JOB_CANCELLED) {
        e = job_end_waiting(s, &r, JOB_ON_CANCEL, SPAN_NONE, now, f);
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
