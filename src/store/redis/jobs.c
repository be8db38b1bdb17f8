/* jobs.c - taking a job, stopping it, having it back. The decisions are in the scripts of these names. */
#include "store/redis/inside.h"

#include "base/need.h"
#include "core/options.h"
#include "store/dead.h"

/* ---- fixed texts: "5:posts4:nasa…" ---- */

static void fixed_write(const struct accept_args *a, struct buf *out)
{
    const struct span texts[FIXED_TEXTS] = {a->site,
                                            a->kind,
                                            a->target,
                                            a->spec,
                                            a->variant,
                                            a->pool,
                                            a->pool.n ? a->operation : SPAN_NONE};
    for (int i = 0; i < FIXED_TEXTS; i++)
        packed_add(out, texts[i]);
}

void fixed_read(struct span text, struct span out[FIXED_TEXTS])
{
    for (int i = 0; i < FIXED_TEXTS; i++)
        out[i] = SPAN("");
    for (int i = 0; i < FIXED_TEXTS; i++) {
        int64_t n = 0;
        size_t colon = span_find_char(text, ':');
        if (!span_int(span_cut(text, 0, colon), &n) || n < 0 || (size_t)n > text.n - colon - 1)
            return;
        out[i] = span_cut(text, colon + 1, (size_t)n);
        text = span_cut(text, colon + 1 + (size_t)n, text.n);
    }
}

/* ---- accept ---- */

static void put_accept(struct call *c, const struct accept_args *a,
                       const struct lane_name *lane, struct span fixed)
{
    call_text(c, a->id);
    call_lane(c, lane);
    call_text(c, a->lane);
    call_text(c, fixed);
    const int64_t numbers[] = {a->limit,       a->counts,
                               a->prio,        a->mark,
                               a->needs,       a->memory_bytes,
                               a->run_at_ms,   asked_least(a->expires_ms, a->deadline_ms),
                               a->deadline_ms, a->attempt_ms,
                               a->stall_ms};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        call_number(c, numbers[i]);
    call_text(c, a->idempotency_key);
    if (a->idempotency_key.n)
        call_hex(c, a->request_hash);
    else
        call_text(c, SPAN_NONE);
    call_text(c, a->unique_key);
    call_number(c, a->on_conflict);
    if (a->work)
        call_hex(c, (uint64_t)a->work);
    else
        call_text(c, SPAN_NONE);
    call_flag(c, a->coalesce);
    call_number(c, a->max_age_ms);
    call_number(c, a->stale_if_error_ms);
    call_text(c, a->pool);
    call_text(c, a->pool.n ? a->site : SPAN_NONE);
    call_flag(c, a->held);
    call_number(c, a->accepted_ms);
    call_number(c, a->max_fail);
    call_text(c, options_callback(a->spec));
    call_text(c, a->replaced_by);
    call_flag(c, a->prio_of_lane);
    call_number(c, a->fresh_within_ms);
}

/* Most say nothing of most: what is nothing or 0 behind the last word that says something. */
static void drop_nothing(struct call *c)
{
    while (c->count && (!c->args[c->count - 1].n || span_is(c->args[c->count - 1], "0")))
        c->count--;
}

struct span accept_packed(struct store *s, struct call *c)
{
    drop_nothing(c);
    return call_packed(s, c);
}

err accept_put(struct store *s, struct call *c, const struct accept_args *a, struct fault *f)
{
    struct lane_name lane;
    struct buf fixed = BUF(4 * STORE_SPEC_MAX);
    err e = asked_accept(a, &lane, f);
    if (e)
        return e;
    fixed_write(a, &fixed);
    struct span kept = arena_keep(s->own, buf_span(&fixed));
    if (fixed.failed || !kept.p)
        e = fail(f, E_TOO_BIG, "the texts of the job are too long");
    else
        put_accept(c, a, &lane, kept);
    buf_free(&fixed);
    return e;
}

err accept_refused(struct store *s, const struct reply *r, struct span id, struct span lane,
                   struct span site, struct span pool, struct fault *f)
{
    switch (said(r)) {
    case SAID_MODE:
        return asked_mode((enum store_mode)reply_number(r, 1), f);
    case SAID_CLOSED:
        return asked_closed(lane, f);
    case SAID_FULL:
        return reply_number(r, 1) ? asked_depth(reply_text(r, 2), reply_number(r, 1), f)
                                  : asked_full(s->limits.ready_max, f);
    case SAID_BODY:
        return asked_key_used(f);
    case SAID_TAKEN:
        return fail(f, E_CONFLICT,
                    "job %.*s is about the same work and has not ended; it is %s",
                    SP(reply_text(r, 1)), job_state_name((enum job_state)reply_number(r, 2)));
    case SAID_LANES:
        return asked_lanes_full(s->limits.lanes_max, f);
    case SAID_SESSION:
        return fail(
            f, E_SESSION,
            "pool %.*s of %.*s has no session that can be used; see: fulmar sessions list",
            SP(pool), SP(site));
    case SAID_STATE:
        return fail(f, E_CONFLICT, "there is a job %.*s already", SP(id));
    case SAID_NONE:
        return fail_no_job(id, f);
    case SAID_COMING:
        return fail(f, E_BUSY, "a batch that is coming in has a job about the same work");
    case SAID_OK:
    case SAID_END:
    case SAID_STALE:
    case SAID_FIRST:
    case SAID_ALONE:
        break;
    }
    return fail(f, E_STORE, "a script of the queue answered in a shape that is not ours");
}

void accepted_some(struct store *s, int64_t connections)
{
    s->accepted = true;
    s->doubtful = s->doubtful || link_state(s->link).connections != connections;
}

err accept_read(struct store *s, const struct accept_args *args, const struct reply *r,
                int64_t connections, struct accept_reply *out, struct fault *f)
{
    if (said(r) == SAID_STATE && s->broke)
        return fail(f, E_STORE, "job %.*s is stored, and perhaps not all that belongs to it",
                    SP(args->id));
    if (said(r) != SAID_OK)
        return accept_refused(s, r, args->id, args->lane, args->site, args->pool, f);
    *out = (struct accept_reply){.replayed = reply_number(r, 2) != 0,
                                 .existing = reply_number(r, 3) != 0,
                                 .state = (enum job_state)reply_number(r, 4),
                                 .source = (enum store_source)reply_number(r, 5)};
    span_copy(reply_text(r, 1), out->id, sizeof out->id);
    accepted_some(s, connections);
    if (!out->replayed && !out->existing)
        history_accepted(s, out->id);
    return E_OK;
}

err redis_accept(struct store *s, const struct accept_args *args, wall now,
                 struct accept_reply *out, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    need(s->in_group);
    store_fresh(s);
    int64_t connections = link_state(s->link).connections;
    err e = accept_put(s, &c, args, f);
    if (!e)
        e = store_write_words(s, SCRIPT_ACCEPT, (struct span[]){accept_packed(s, &c)}, 1, now,
                              &r, f);
    return e ? e : accept_read(s, args, &r, connections, out, f);
}

/* ---- change ---- */

static err change_refused(const struct reply *r, struct span id, struct fault *f)
{
    enum said why = said(r);
    if (why == SAID_NONE)
        return fail_no_job(id, f);
    if (why == SAID_FULL)
        return asked_has_more(id, reply_number(r, 1), f);
    if (why == SAID_STALE)
        return asked_revision(id, reply_number(r, 1), f);
    if (why == SAID_TAKEN)
        return asked_shared(id, reply_text(r, 1), f);
    if (why == SAID_LANES)
        return asked_labels_full(id, f);
    if (why == SAID_BODY)
        return asked_options_long(f);
    return asked_waits(id, (enum job_state)reply_number(r, 1), f);
}

err redis_change(struct store *s, const struct job_change *args, wall now, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    need(s->in_group);
    store_fresh(s);
    err e = asked_change(args, f);
    if (e)
        return e;
    call_text(&c, args->id);
    const int64_t numbers[] = {args->revision,   args->hold,       args->prio,
                               args->run_at_ms,  args->expires_ms, args->deadline_ms,
                               args->attempt_ms, args->stall_ms,   args->limit};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        call_number(&c, numbers[i]);
    call_text(&c, args->spec);
    if (args->work)
        call_hex(&c, (uint64_t)args->work);
    else
        call_text(&c, SPAN_NONE);
    call_text(&c, args->why);
    call_json(s, &c, args->why);
    call_text(&c, span_of(asked_change_event(args->hold)));
    call_text(&c, args->labels);
    e = store_write(s, SCRIPT_CHANGE, &c, now, &r, f);
    if (!e && said(&r) != SAID_OK)
        e = change_refused(&r, args->id, f);
    return e;
}

err redis_forget(struct store *s, struct span id, wall now, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    need(s->in_group);
    store_fresh(s);
    call_text(&c, id);
    err e = store_write(s, SCRIPT_FORGET, &c, now, &r, f);
    if (!e && said(&r) == SAID_OK)
        history_forget(s, id);
    if (e || said(&r) == SAID_OK)
        return e;
    if (said(&r) == SAID_NONE)
        return fail_no_job(id, f);
    return said(&r) == SAID_TAKEN ? asked_needed(id, f)
                                  : asked_ended(id, (enum job_state)reply_number(&r, 1), f);
}

/* ---- cancel, replay ---- */

err redis_cancel(struct store *s, const struct cancel_args *args, wall now,
                 struct cancel_reply *out, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    char forced[2 * STORE_WHY_MAX] = "cancelled by force";
    need(s->in_group);
    store_fresh(s);
    if (args->why.n > STORE_WHY_MAX)
        return fail(f, E_BAD_INPUT, "why a job is cancelled may have %d bytes", STORE_WHY_MAX);
    if (args->why.n)
        snprintf(forced, sizeof forced, "cancelled by force: %.*s", SP(args->why));
    call_text(&c, args->id);
    call_flag(&c, args->force);
    call_number(&c, args->grace_ms);
    call_text(&c, args->why);
    call_json(s, &c, args->why);
    call_text(&c, span_of(forced));
    call_json(s, &c, span_of(forced));
    err e = store_write(s, SCRIPT_CANCEL, &c, now, &r, f);
    if (e)
        return e;
    if (said(&r) == SAID_NONE)
        return fail_no_job(args->id, f);
    if (said(&r) == SAID_STATE)
        return fail(f, E_CONFLICT, "job %.*s is %s already", SP(args->id),
                    job_state_name((enum job_state)reply_number(&r, 1)));
    *out = (struct cancel_reply){.state = (enum job_state)reply_number(&r, 1),
                                 .active = reply_number(&r, 2) != 0};
    return E_OK;
}

err redis_replay(struct store *s, const struct replay_args *args, wall now,
                 struct replay_reply *out, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    need(s->in_group);
    store_fresh(s);
    call_text(&c, args->id);
    call_flag(&c, args->reset);
    err e = store_write(s, SCRIPT_REPLAY, &c, now, &r, f);
    if (!e && said(&r) == SAID_STATE)
        return fail(
            f, E_CONFLICT,
            "job %.*s is %s; only one that is dead, cancelled or expired can be retried",
            SP(args->id), job_state_name((enum job_state)reply_number(&r, 1)));
    if (!e && said(&r) != SAID_OK)
        e = accept_refused(s, &r, args->id, reply_text(&r, 1), reply_text(&r, 1),
                           reply_text(&r, 2), f);
    if (!e)
        *out = (struct replay_reply){.was = (enum job_state)reply_number(&r, 1),
                                     .generation = reply_number(&r, 2)};
    return e;
}
