/* jobs.c - rows of jobs, and how a job ends its lease or its life. Accepting is in accept.c, leasing in
 * reserve.c, cancelling in cancel.c, what time does in reap.c, waiting for other jobs in waits.c. Each
 * decides everything first and then writes, so that a refused operation leaves no trace. */
#include "store/sqlite/inside.h"
#include "store/sessions.h"

#include "base/json.h"
#include "base/need.h"
#include "core/retry.h"

/* A server may ask us to wait, its jobs and their lane, but not for ever. */
static const int64_t HINT_MAX_MS = 24 * 3600 * 1000;

/* ---- rows ---- */

static void read_row(struct store *s, struct query *q, struct job_row *r)
{
    struct store_lane *lane = lanes_by_id(s, db_int(q, 2));
    need(lane);
    *r = (struct job_row){
        .seq = db_int(q, 0),
        .lane = lane,
        .state = (enum job_state)db_int(q, 3),
        .nonce = (uint64_t)db_int(q, 4),
        .fence = db_int(q, 5),
        .prio = db_int(q, 6),
        .rank = db_int(q, 7),
        .run_at_ms = db_int(q, 8),
        .started = db_int(q, 9) != 0,
        .suspect = db_int(q, 10) != 0,
        .cancel_asked = db_int(q, 11) != 0,
        .n_fail = db_int(q, 12),
        .n_crash = db_int(q, 13),
        .n_throttle = db_int(q, 14),
        .n_release = db_int(q, 15),
        .max_fail = db_int(q, 16),
        .max_crash = db_int(q, 17),
        .max_throttle = db_int(q, 18),
        .fail_base = db_int(q, 19),
        .next_batch = db_int(q, 20),
        .limit = db_int(q, 21),
        .have = db_int(q, 22),
        .users = db_int(q, 23),
        .crash_base = db_int(q, 25),
        .progressed = db_int(q, 26) != 0,
        .release_base = db_int(q, 27),
        .counts = (enum item_kind)db_int(q, 28),
        .mark = (enum store_mark)db_int(q, 29),
        .needs = (enum store_needs)db_int(q, 30),
        .generation = db_int(q, 31),
        .over_at_ms = db_int(q, 32),
        .waits_on = db_int(q, 33),
        .waits_how = (enum waits_how)db_int(q, 34),
        .work = db_int(q, 35),
        .deadline_ms = db_int(q, 36),
        .shared_from = db_int(q, 37),
        .bytes = db_int(q, 38),
        .calls_back = db_int(q, 39) != 0,
        .failure = (enum failure_class)db_int(q, 40),
    };
    span_copy(db_text(q, 1), r->id, sizeof r->id);
    span_copy(db_text(q, 24), r->site, sizeof r->site);
}

static err take_row(struct store *s, struct query *q, bool *out_found, struct job_row *out,
                    struct fault *f)
{
    err e = db_step(q, f);
    *out_found = e == E_OK;
    if (e == E_OK)
        read_row(s, q, out);
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err find_row(struct store *s, struct span id, bool *out_found, struct job_row *out,
                    struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_JOB, &q, f, DB_T(id));
    return e ? e : take_row(s, q, out_found, out, f);
}

err job_row_by_seq(struct store *s, int64_t seq, bool *out_found, struct job_row *out,
                   struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_JOB_BY_SEQ, &q, f, DB_I(seq));
    return e ? e : take_row(s, q, out_found, out, f);
}

err job_exists(struct store *s, struct span id, bool *out, struct fault *f)
{
    struct job_row r;
    return find_row(s, id, out, &r, f);
}

err job_row_find(struct store *s, struct span id, struct job_row *out, struct fault *f)
{
    bool found;
    err e = find_row(s, id, &found, out, f);
    if (!e && !found)
        return fail(f, E_NOT_FOUND, "there is no job %.*s", SP(span_cut(id, 0, 60)));
    return e;
}

err job_row_held(struct store *s, struct span id, uint64_t nonce, struct job_row *out,
                 struct fault *f)
{
    bool found;
    err e = find_row(s, id, &found, out, f);
    if (e)
        return e;
    if (!found || out->state != JOB_ACTIVE || out->nonce != nonce)
        return fail(f, E_STALE, "the lease of job %.*s is no longer held",
                    SP(span_cut(id, 0, 60)));
    return E_OK;
}

err job_rows_read(struct store *s, struct query *q, struct job_row *rows, size_t most,
                  size_t *out_count, struct fault *f)
{
    size_t n = 0;
    err e = E_END;
    while (n < most && (e = db_step(q, f)) == E_OK)
        read_row(s, q, &rows[n++]);
    db_end(q);
    *out_count = n;
    return e == E_END ? E_OK : e;
}

/* ---- leaving the active state ---- */

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* own: what the job asks for; all 0: as configured. */
static int64_t delay(const struct store *s, const struct job_row *r,
                     const struct retry_policy *own, int64_t n, int64_t hint_ms)
{
    struct retry_policy policy = {.base_ms = s->limits.retry_base_ms,
                                  .cap_ms = s->limits.retry_cap_ms};
    policy = retry_with(own, &policy);
    return retry_delay_ms(&policy, span_of(r->id), n < RETRY_STEPS ? (int)n : RETRY_STEPS,
                          s->seed, hint_ms);
}

static void charge(const struct store *s, const struct job_row *r, enum failure_budget budget,
                   int64_t hint_ms, struct retry_had *had, struct leaving *l)
{
    static const struct retry_policy configured = {0};
    int64_t n;
    switch (budget) {
    case BUDGET_NONE:
        l->count = l->failure == FAILURE_CANCELLED ? COUNT_VOID : COUNT_FAIL;
        l->on = l->failure == FAILURE_CANCELLED ? JOB_ON_CANCEL : JOB_ON_GIVE_UP;
        return;
    case BUDGET_FAIL:
        had->fails++;
        l->count = COUNT_FAIL;
        l->on = retry_is_last(had, r->max_fail, r->max_crash) ? JOB_ON_GIVE_UP : JOB_ON_RETRY;
        l->wait_ms = delay(s, r, &l->retry, had->fails, hint_ms);
        return;
    case BUDGET_CRASH:
        had->crashes++;
        n = retry_crash_step(r->n_crash + 1);
        l->count = COUNT_CRASH;
        l->on = retry_is_last(had, r->max_fail, r->max_crash) ? JOB_ON_GIVE_UP : JOB_ON_LOST;
        l->wait_ms = n ? delay(s, r, &l->retry, n, 0) : 0;
        return;
    case BUDGET_THROTTLE:
        n = r->n_throttle + 1;
        l->count = COUNT_THROTTLE;
        l->on = n >= r->max_throttle * (1 + r->generation) ? JOB_ON_GIVE_UP : JOB_ON_THROTTLE;
        l->wait_ms = delay(s, r, &configured, n, hint_ms);
        return;
    case BUDGET_RELEASE:
        n = r->n_release + 1 - r->release_base;
        l->count = COUNT_RELEASE;
        l->on = n >= RELEASES_MAX   ? JOB_ON_GIVE_UP
                : n > RELEASES_FREE ? JOB_ON_LOST
                                    : JOB_ON_RELEASE;
        l->wait_ms = n > RELEASES_FREE ? delay(s, r, &configured, n - RELEASES_FREE, 0) : 0;
        return;
    }
    bug("unknown budget");
}

void job_charge(const struct store *s, const struct job_row *r, enum failure_budget budget,
                int64_t hint_ms, struct leaving *l)
{
    struct retry_had had = {.fails = r->n_fail - r->fail_base,
                            .crashes = r->n_crash - r->crash_base,
                            .starts = r->fence,
                            .generation = r->generation};
    charge(s, r, budget, hint_ms, &had, l);
    if (l->on == JOB_ON_GIVE_UP || l->on == JOB_ON_CANCEL || !retry_starts_are_over(&had))
        return;
    l->on = JOB_ON_GIVE_UP;
    l->why = SPAN(RETRY_STARTS_WORDS);
}

static const char *leaving_event(enum job_state to, enum job_event on)
{
    if (to == JOB_SUCCEEDED)
        return "job.finished";
    if (to == JOB_CANCELLED)
        return "job.cancelled";
    if (to == JOB_DEAD)
        return "job.dead";
    if (on == JOB_ON_RELEASE)
        return "job.released";
    return on == JOB_ON_THROTTLE ? "job.throttled" : "job.retrying";
}

static struct json_w leaving_body(struct store *s, const struct job_row *r,
                                  const struct leaving *l, enum job_state to)
{
    struct json_w w = event_body(s, to);
    json_kv_int(&w, "attempt", r->fence);
    json_kv_int(&w, "have", r->have);
    if (to == JOB_SUCCEEDED) {
        json_kv_cstr(&w, "verdict", verdict_name(l->verdict));
        json_kv_cstr(&w, "end", end_reason_name(l->end));
    } else if (l->failure != FAILURE_NONE) {
        json_kv_cstr(&w, "failure", failure_name(l->failure));
    }
    if (l->why.n)
        json_kv_text(&w, "why", span_cut(l->why, 0, 1000));
    if (to == JOB_SCHEDULED)
        json_kv_int(&w, "retry_in_ms", l->wait_ms);
    if (l->usage.n) {
        struct usage usage = usage_read(l->usage);
        usage_put(&w, &usage);
    }
    return w;
}

void job_count_ended(struct store *s, enum job_state to, enum verdict verdict)
{
    if (to == JOB_SUCCEEDED && verdict != VERDICT_NONE)
        s->now.ended[verdict - 1]++;
    else if (to == JOB_DEAD)
        s->now.ended[OUTCOME_DEAD]++;
    else if (to == JOB_CANCELLED)
        s->now.ended[OUTCOME_CANCELLED]++;
    else if (to == JOB_EXPIRED)
        s->now.ended[OUTCOME_EXPIRED]++;
}

/* What kills its worker runs alone from the second time on: its lane from now on. */
static err lane_after(struct store *s, const struct job_row *r, const struct leaving *l,
                      enum job_state to, wall now, struct store_lane **out, struct fault *f)
{
    *out = r->lane;
    if (job_is_final(to) || l->count != COUNT_CRASH || r->lane->class == LANE_QUARANTINE)
        return E_OK;
    return lanes_quarantine_of(s, r->lane, now, out, f);
}

/* What its attempts took, with this one: as text in out. */
static err sum_usage(struct store *s, int64_t seq, struct span more, char out[USAGE_TEXT],
                     struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_USAGE, &q, f, DB_I(seq));
    if (e)
        return e;
    e = db_step(q, f);
    struct usage sum = e ? usage_none() : usage_read(db_text(q, 0)), last = usage_read(more);
    db_end(q);
    usage_add(&sum, &last);
    usage_write(&sum, out);
    return e;
}

/* A released job keeps the rank it was leased with: that was the smallest of its lane, so it is in
 * front again. */
err job_leave(struct store *s, const struct job_row *r, struct leaving *l, wall now,
              enum job_state *out_state, struct fault *f)
{
    struct store_lane *lane;
    /* Once asked to stop, every ending but a good one is `cancelled`. */
    if (r->cancel_asked && l->on != JOB_ON_DONE) {
        l->on = JOB_ON_CANCEL;
        l->failure = FAILURE_CANCELLED;
    }
    enum job_state to = r->state;
    need(job_move(&to, l->on));
    /* Nobody wants it any more: that is its end, and not another wait. */
    if (!job_is_final(to) && r->deadline_ms && r->deadline_ms <= now.ms &&
        l->count != COUNT_RELEASE) {
        to = r->state;
        l->on = JOB_ON_GIVE_UP;
        need(job_move(&to, l->on));
    }
    int64_t run_at = to == JOB_SCHEDULED ? now.ms + l->wait_ms : now.ms;
    char usage[USAGE_TEXT];
    err e = lane_after(s, r, l, to, now, &lane, f);
    if (!e && l->usage.n)
        e = sum_usage(s, r->seq, l->usage, usage, f);
    if (e)
        return e;
    e = db_run(s->db, SQL_LEAVE, f, DB_I(r->seq), DB_I(to),
               DB_I(job_is_final(to) ? r->run_at_ms : run_at), DB_I(l->count == COUNT_FAIL),
               DB_I(l->count == COUNT_CRASH), DB_I(l->count == COUNT_THROTTLE),
               DB_I(l->count == COUNT_RELEASE), DB_I(l->count == COUNT_OK),
               DB_I(l->count == COUNT_VOID), DB_I(l->failure), DB_I(l->verdict), DB_I(l->end),
               db_text_or_null(l->why), db_text_or_null(l->report),
               job_is_final(to) ? DB_I(now.ms) : DB_NULL, DB_I(lane->id),
               l->usage.n ? DB_T(span_of(usage)) : DB_NULL);
    if (e)
        return e;
    e = sessions_release(s, r->seq, f);
    if (e)
        return e;
    lanes_count(s, r->lane, r->needs, JOB_ACTIVE, lane == r->lane ? to : JOB_STATES, now.ms);
    if (lane != r->lane)
        lanes_count(s, lane, r->needs, JOB_STATES, to, now.ms);
    job_count_ended(s, to, l->verdict);
    struct json_w w = leaving_body(s, r, l, to);
    if (job_is_final(to))
        e = webhooks_call_back(s, r, &w, f);
    if (!e)
        e = event_add_counted(s, r->id, leaving_event(to, l->on), now, &w, f);
    if (!e && job_is_final(to))
        e = job_ended(s, r, to, now, f);
    if (!e)
        *out_state = to;
    return e;
}

static const char *waiting_end_event(enum job_state to)
{
    return to == JOB_EXPIRED ? "job.expired" : "job.cancelled";
}

err job_end_waiting(struct store *s, const struct job_row *r, enum job_event on,
                    struct span why, wall now, struct fault *f)
{
    enum job_state to = r->state;
    need(job_move(&to, on));
    bool cancelled = to == JOB_CANCELLED;
    err e = db_run(s->db, SQL_END_WAITING, f, DB_I(r->seq), DB_I(to),
                   DB_I(cancelled ? FAILURE_CANCELLED : FAILURE_NONE), db_text_or_null(why),
                   DB_I(now.ms), DB_I(cancelled));
    if (e)
        return e;
    lanes_count(s, r->lane, r->needs, r->state, to, now.ms);
    job_count_ended(s, to, VERDICT_NONE);
    struct json_w w = event_body(s, to);
    json_kv_int(&w, "have", r->have);
    if (why.n)
        json_kv_text(&w, "why", why);
    e = webhooks_call_back(s, r, &w, f);
    if (!e)
        e = event_add_counted(s, r->id, waiting_end_event(to), now, &w, f);
    return e ? e : job_ended(s, r, to, now, f);
}

err job_ended(struct store *s, const struct job_row *r, enum job_state to, wall now,
              struct fault *f)
{
    int64_t count = 0;
    s->now.kept_bytes += job_is_kept(to) ? r->bytes : 0;
    lanes_meter(r->lane, METER_ENDED, 0, now.ms);
    err e = waits_settle(s, r->seq, now, &count, f);
    return e ? e : job_follow_up(s, r->seq, now, f);
}

/* A site that tells facts about the target, or gave records before it failed, is healthy. */
static enum breaker_sign sign_of(const struct finish_args *a, const struct job_row *r,
                                 enum failure_budget budget)
{
    const struct failure_row *row = failure_row(a->failure);
    if (budget == BUDGET_RELEASE || budget == BUDGET_CRASH)
        return BREAKER_NO_VERDICT;
    if (a->failure == FAILURE_NONE || row->about_target || r->progressed)
        return BREAKER_OK;
    return row->breaker && !a->final ? BREAKER_HEALTH_ERROR : BREAKER_NO_VERDICT;
}

/* It was the session that the site limited or refused: the job is due again at once, and the lane is
 * parked while no other can be used. Refused with nobody else in the pool, it ends. A long job may meet
 * more limits than its budget has, as long as it brings something in between. */
static void go_on_with_another(const struct store *s, const struct job_row *r,
                               const struct session_noted *noted, struct leaving *l)
{
    if (l->on == JOB_ON_THROTTLE)
        l->wait_ms = 0;
    bool others = noted->others || (l->failure == FAILURE_RATE_LIMITED && r->progressed);
    if (others && l->on == JOB_ON_GIVE_UP)
        job_charge(s, r, BUDGET_RELEASE, 0, l);
    else if (noted->lost)
        l->failure =
            FAILURE_SESSION_INVALID; /* a login page is shown to a login that is none */
}

err sqlite_finish(struct store *s, const struct finish_args *args, wall now,
                  struct finish_reply *out, struct fault *f)
{
    need((unsigned)args->failure < FAILURE_COUNT);
    struct job_row r;
    err e = store_usable(s, f);
    if (!e)
        e = job_row_held(s, args->id, args->nonce, &r, f);
    if (e)
        return e;
    bool overridden = args->budget == BUDGET_RELEASE || args->budget == BUDGET_CRASH;
    enum failure_budget budget =
        overridden ? args->budget : failure_charged(args->failure, args->final);
    struct leaving l = {.failure = args->failure,
                        .end = args->end,
                        .why = args->why,
                        .report = args->report,
                        .usage = args->usage,
                        .retry = args->retry};
    int64_t hint = smaller(args->wait_ms, HINT_MAX_MS);
    if (args->failure == FAILURE_NONE && !overridden) {
        l.on = JOB_ON_DONE;
        l.count = COUNT_OK;
        l.verdict = args->verdict;
    } else {
        job_charge(s, &r, budget, hint, &l);
    }
    struct session_noted noted;
    bool of_order = args->final && args->failure != FAILURE_NONE;
    e = sessions_note(s, r.seq, overridden || of_order ? FAILURE_CANCELLED : args->failure,
                      hint > 0 ? hint : l.wait_ms, args->why,
                      usage_read(args->usage).n[USAGE_REQUESTS], now, &noted, f);
    if (e)
        return e;
    if (noted.held)
        go_on_with_another(s, &r, &noted, &l);
    /* Without a time from the server the lane rests as long as this job. */
    if (budget == BUDGET_THROTTLE && !noted.held &&
        lanes_block(s, r.lane, now.ms + (hint > 0 ? hint : l.wait_ms), now.ms))
        e = lanes_say_pace(s, r.lane, now, f);
    if (e)
        return e;
    bool brought = l.on == JOB_ON_DONE &&
                   (r.mark == MARK_USED ||
                    (r.mark == MARK_WHEN_COMPLETE && l.verdict == VERDICT_COMPLETE));
    struct finish_reply reply = {0};
    if (noted.lost)
        memcpy(reply.session, noted.id, sizeof reply.session);
    int64_t trips = r.lane->now.breaker.trips;
    lanes_sign(s, r.lane, sign_of(args, &r, budget), r.seq, now.ms);
    if (r.lane->now.breaker.trips > trips) {
        reply.breaker_until_ms = r.lane->now.breaker.until_ms;
        span_copy(span_of(r.lane->name), reply.lane, sizeof reply.lane);
    }
    e = brought ? marks_move(s, &r, now, f) : E_OK;
    if (!e)
        e = job_leave(s, &r, &l, now, &reply.state, f);
    if (!e)
        e = field_counts_add(s, span_of(r.site), args->counts, now, f);
    if (e)
        return e;
    reply.retry_in_ms = reply.state == JOB_SCHEDULED ? l.wait_ms : 0;
    *out = reply;
    return E_OK;
}
