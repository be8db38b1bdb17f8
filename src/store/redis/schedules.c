/* schedules.c - schedules and their runs in a shared queue. What they decide about times is in timetable.h, as for every
 * store; what they decide about jobs, and write, in the scripts of these names.
 *
 * A change reads the schedule, decides, and writes when the schedule is still as it was read; else it begins anew. Firing is
 * bound to the revision and the last slot that its caller saw, and goes on in pieces: each settles the slots whose jobs it
 * makes, so a node that dies in between leaves the others to the next node that looks. */
#include "store/timetable.h"

#include "store/redis/inside.h"
#include "store/ticket.h"

#include "base/need.h"

enum { TRIES = 32, LIST_STEP = 16, RUNS_STEP = 100, SLOTS_STEP = 16 };

/* ---- a schedule as it was read ---- */

enum view_part {
    VIEW_FIELDS,
    VIEW_ID,
    VIEW_LIVE,
    VIEW_PENDING,
    VIEW_WAKE,
    VIEW_ENDED,
    VIEW_TICKET,
    VIEW_JOB
};
enum ended_part { ENDED_NUMBER, ENDED_AT, ENDED_STATE, ENDED_FOUND };
struct seen {
    struct schedule_view v;
    int64_t version, read_at_ms;
    int64_t wake_ms;           /* 0 also when nobody has to look */
    const struct reply *ended; /* runs that nobody looked at yet */
};

static struct schedule read_rule(const struct reply *h)
{
    struct schedule rule = {
        .kind = (enum schedule_kind)reply_field(h, "ki"),
        .interval_ms = reply_field(h, "iv"),
        .least_ms = reply_field(h, "lo"),
        .most_ms = reply_field(h, "mo"),
        .posts_wanted = reply_field(h, "pw"),
        .jitter_ms = reply_field(h, "ji"),
        .end = {reply_field(h, "en")},
        .missed = (enum schedule_missed)reply_field(h, "mi"),
        .overlap = (enum schedule_overlap)reply_field(h, "ov"),
        .catch_up_ms = reply_field(h, "cu"),
        .catch_up_max = (int)reply_field(h, "cm"),
        .grace_ms = reply_field(h, "gr"),
    };
    rule.start.ms = reply_field(h, rule.kind == SCHEDULE_CRON ? "st" : "an");
    return rule;
}

static void read_numbers(const struct reply *r, struct seen *out)
{
    const struct reply *h = reply_list(r, VIEW_FIELDS);
    *out = (struct seen){
        .v = {.terms = {.rule = read_rule(h)},
              .start_given_ms = reply_field(h, "st"),
              .paused_ms = reply_field(h, "pa"),
              .last = {reply_field(h, "ls")},
              .next_ms = reply_field(h, "nx"),
              .fired = reply_field(h, "fi"),
              .skipped = reply_field(h, "sk"),
              .missed = reply_field(h, "ps"),
              .last_found = reply_field(h, "fo") - 1,
              .live = reply_number(r, VIEW_LIVE),
              .pending = reply_number(r, VIEW_PENDING),
              .revision = reply_field(h, "rv"),
              .created_ms = reply_field(h, "ca"),
              .updated_ms = reply_field(h, "ua")},
        .version = reply_field(h, "vn"),
        .read_at_ms = reply_field(h, "rd"),
        .wake_ms = reply_number(r, VIEW_WAKE),
        .ended = reply_list(r, VIEW_ENDED),
    };
    span_copy(reply_text(r, VIEW_ID), out->v.id, sizeof out->v.id);
    span_copy(reply_field_text(h, "lj"), out->v.last_job, sizeof out->v.last_job);
}

static err read_seen(const struct reply *r, struct arena *a, struct seen *out, struct fault *f)
{
    read_numbers(r, out);
    struct schedule_view *v = &out->v;
    const struct reply *h = reply_list(r, VIEW_FIELDS);
    const struct {
        struct span *to, from;
    } texts[] = {{&v->tenant, reply_field_text(h, "te")},
                 {&v->name, reply_field_text(h, "na")},
                 {&v->terms.cron, reply_field_text(h, "cr")},
                 {&v->terms.zone, reply_field_text(h, "zo")},
                 {&v->ticket, reply_text(r, VIEW_TICKET)},
                 {&v->job, reply_text(r, VIEW_JOB)},
                 {&v->paused_by, reply_field_text(h, "pb")},
                 {&v->paused_why, reply_field_text(h, "py")}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        err e = store_keep(a, texts[i].from, texts[i].to, f);
        if (e)
            return e;
    }
    return v->terms.rule.kind == SCHEDULE_CRON
               ? cron_parse(v->terms.cron, &v->terms.rule.cron, f)
               : E_OK;
}

static err look(struct store *s, const struct call *c, struct reply *out, struct fault *f)
{
    return store_look(s, SCRIPT_SCHEDULE_LOOK, c, s->now, out, f);
}

static err read_one(struct store *s, const struct call *c, struct span id, struct arena *a,
                    struct seen *out, struct fault *f)
{
    struct reply r;
    err e = look(s, c, &r, f);
    if (!e && said(&r) == SAID_NONE)
        e = timetable_none(id, f);
    return e ? e : read_seen(reply_list(&r, 1), a, out, f);
}

/* By id or name. */
static err find(struct store *s, struct span tenant, struct span id, int64_t revision,
                struct arena *a, struct seen *out, struct fault *f)
{
    struct call c = {0};
    call_text(&c, SPAN("one"));
    call_text(&c, tenant);
    call_text(&c, id);
    call_flag(&c, id_valid(id, "sch"));
    err e = read_one(s, &c, id, a, out, f);
    return e ? e : timetable_revision(&out->v, revision, f);
}

static err find_any(struct store *s, struct span id, struct arena *a, struct seen *out,
                    struct fault *f)
{
    struct call c = {0};
    call_text(&c, SPAN("of"));
    call_text(&c, id);
    return read_one(s, &c, id, a, out, f);
}

/* The schedule changes faster than it can be read and written. */
static err fail_restless(struct fault *f)
{
    return fail(f, E_BUSY, "the schedule is being changed; try again");
}

/* ---- what people change ---- */

static void put_schedule(struct call *c, const struct schedule_put *p, struct span id,
                         const struct seen *old, const struct timetable_place *at,
                         struct span ticket)
{
    const struct schedule *r = &p->terms.rule;
    const int64_t numbers[] = {r->kind,
                               at->interval_ms,
                               r->least_ms,
                               r->most_ms,
                               r->posts_wanted,
                               r->jitter_ms,
                               r->start.ms,
                               r->end.ms,
                               r->missed,
                               r->overlap,
                               r->catch_up_ms,
                               r->catch_up_max,
                               r->grace_ms,
                               at->anchor_ms,
                               at->last_ms,
                               at->next_ms,
                               schedule_start(r, id, (wall){0}).ms};
    call_text(c, id);
    call_flag(c, p->create);
    call_flag(c, p->dry);
    call_number(c, old->version);
    call_text(c, p->tenant);
    call_text(c, p->name);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        call_number(c, numbers[i]);
    call_text(c, p->terms.cron);
    call_text(c, p->terms.zone);
    call_text(c, ticket);
    call_text(c, p->job_text);
}

static err put_answer(const struct reply *r, const struct schedule_put *p, struct fault *f)
{
    if (said(r) == SAID_TAKEN)
        return timetable_taken(p->name, f);
    return said(r) == SAID_FULL ? timetable_full(f) : E_OK;
}

/* *out_again: it was changed meanwhile. */
static err put_once(struct store *s, const struct schedule_put *p, struct span ticket, wall now,
                    struct arena *a, bool *out_again, struct seen *out, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    struct seen old = {0};
    char kept[ID_TEXT];
    *out_again = false;
    err e = p->create ? E_OK : find(s, p->tenant, p->id, p->revision, a, &old, f);
    if (e)
        return e;
    struct timetable_place at = timetable_place(p, p->create ? NULL : &old.v);
    struct span id =
        span_of(span_copy(p->create ? p->id : span_of(old.v.id), kept, sizeof kept));
    put_schedule(&c, p, id, &old, &at, ticket);
    e = store_write(s, SCRIPT_SCHEDULE_PUT, &c, now, &r, f);
    if (!e)
        e = put_answer(&r, p, f);
    *out_again = !e && said(&r) == SAID_STALE;
    if (e || *out_again)
        return e;
    if (!p->dry)
        return find_any(s, id, a, out, f);
    timetable_preview(p, &at, now, &old.v);
    *out = old;
    return E_OK;
}

err redis_schedule_put(struct store *s, const struct schedule_put *args, wall now,
                       struct arena *a, struct schedule_view *out, struct fault *f)
{
    struct seen seen;
    struct buf ticket = BUF(TICKET_MAX);
    bool again = true;
    need(s->in_group);
    store_fresh(s);
    err e = timetable_asked(args, f);
    if (!e)
        e = ticket_write(&args->job, &ticket, f);
    for (int i = 0; !e && again && i < TRIES; i++)
        e = put_once(s, args, buf_span(&ticket), now, a, &again, &seen, f);
    buf_free(&ticket);
    if (!e && again)
        e = fail_restless(f);
    if (!e)
        *out = seen.v;
    return e;
}

err redis_schedule_delete(struct store *s, const struct schedule_ask *args, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    need(s->in_group);
    store_fresh(s);
    call_text(&c, args->tenant);
    call_text(&c, args->id);
    call_flag(&c, id_valid(args->id, "sch"));
    call_number(&c, args->revision);
    call_flag(&c, args->dry);
    err e = store_write(s, SCRIPT_SCHEDULE_DELETE, &c, s->now, &r, f);
    if (!e && said(&r) == SAID_NONE)
        return timetable_none(args->id, f);
    if (!e && said(&r) == SAID_STALE)
        return timetable_revision(&(struct schedule_view){.revision = reply_number(&r, 1)},
                                  args->revision, f);
    return e;
}

static err pause_once(struct store *s, const struct schedule_ask *p, wall now, struct arena *a,
                      bool *out_again, struct seen *out, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    *out_again = false;
    err e = find(s, p->tenant, p->id, p->revision, a, out, f);
    if (e || p->dry || p->paused == (out->v.paused_ms != 0))
        return e;
    const struct schedule *rule = &out->v.terms.rule;
    call_text(&c, span_of(out->v.id));
    call_number(&c, out->version);
    call_flag(&c, p->paused);
    call_text(&c, p->by);
    call_text(&c, p->why);
    call_number(&c, p->slot_now.ms);
    call_number(&c,
                rule->kind == SCHEDULE_CRON ? p->next_ms : timetable_next(rule, p->slot_now));
    e = store_write(s, SCRIPT_SCHEDULE_PAUSE, &c, now, &r, f);
    *out_again = !e && said(&r) == SAID_STALE;
    return e || *out_again ? e : read_seen(reply_list(&r, 1), a, out, f);
}

err redis_schedule_pause(struct store *s, const struct schedule_ask *args, wall now,
                         struct arena *a, struct schedule_view *out, struct fault *f)
{
    struct seen seen;
    bool again = true;
    err e = E_OK;
    need(s->in_group);
    store_fresh(s);
    for (int i = 0; !e && again && i < TRIES; i++)
        e = pause_once(s, args, now, a, &again, &seen, f);
    if (!e && again)
        e = fail_restless(f);
    if (!e)
        *out = seen.v;
    return e;
}

/* ---- runs ---- */

/* Puts the job behind the other arguments; nothing when such a job is not accepted any more. The script counts its times from
 * its own now. */
static err put_job(struct store *s, struct call *c, const struct seen *of, struct arena *a,
                   struct accept_args *out, struct fault *f)
{
    struct fault why = {0};
    err e = ticket_job(of->v.ticket, (wall){0}, a, out, &why);
    out->id = span_of(of->v.id); /* until the script gives each its own */
    if (!e)
        e = accept_put(s, c, out, &why);
    if (!e || e == E_BAD_INPUT || e == E_BAD_SYNTAX)
        return E_OK;
    return fail(f, e, "%s", why.words);
}

/* Lines "slot id". */
static void put_slots(struct store *s, struct call *c, const struct seen *of, const wall *slots,
                      size_t count)
{
    struct buf lines = BUF(SLOTS_STEP * (ID_TEXT + CALL_NUMBER + 2));
    for (size_t i = 0; i < count; i++) {
        char id[ID_TEXT];
        schedule_slot_id(id, span_of(of->v.id), slots[i]);
        buf_fmt(&lines, "%lld %s\n", (long long)slots[i].ms, id);
    }
    struct span kept = arena_keep(s->own, lines.n ? buf_span(&lines) : SPAN(""));
    need(!lines.failed && kept.p);
    buf_free(&lines);
    call_text(c, kept);
}

enum fired_part {
    FIRED_MADE = 1,
    FIRED_KNOWN,
    FIRED_PENDING,
    FIRED_SKIPPED,
    FIRED_LAST,
    FIRED_CANCELS,
    FIRED_REFUSAL,
    FIRED_SETTLED
};

static void add_fired(const struct reply *r, struct schedule_fired *done)
{
    const struct reply *cancels = reply_list(r, FIRED_CANCELS);
    done->made += reply_number(r, FIRED_MADE);
    done->known += reply_number(r, FIRED_KNOWN);
    done->pending += reply_number(r, FIRED_PENDING);
    done->skipped += reply_number(r, FIRED_SKIPPED);
    if (reply_text(r, FIRED_LAST).n)
        span_copy(reply_text(r, FIRED_LAST), done->last_job, sizeof done->last_job);
    for (size_t i = 0; i < cancels->count && done->cancels < SCHEDULE_CANCELS_MAX; i++)
        span_copy(reply_text(cancels, i), done->cancelled[done->cancels++], ID_TEXT);
}

/* Why the job could not be made now, when it could not. */
static err refusal_of(struct store *s, const struct reply *r, const struct accept_args *job,
                      struct fault *f)
{
    const struct reply *refusal = reply_list(r, FIRED_REFUSAL);
    return refusal->count
               ? accept_refused(s, refusal, job->id, job->lane, job->site, job->pool, f)
               : E_OK;
}

/* ---- firing ---- */

static size_t step_of(size_t left)
{
    return left < SLOTS_STEP ? left : SLOTS_STEP;
}

/* A piece: the slots from `at` on. */
static err fire_piece(struct store *s, const struct schedule_fire *args, const struct seen *of,
                      size_t at, wall now, struct arena *a, struct reply *out,
                      struct accept_args *out_job, struct fault *f)
{
    struct call c = {0};
    size_t n = step_of(args->count - at), end = at + n;
    bool once = of->v.terms.rule.missed == SCHEDULE_ONCE, all = end == args->count;
    int64_t missed = all && args->missed > 0 ? args->missed : 0;
    int64_t missed_at = args->count ? args->slots[0].ms - 1 : args->settled.ms;
    call_text(&c, args->id);
    call_number(&c, args->revision);
    call_number(&c, at ? args->slots[at - 1].ms : args->last.ms);
    call_number(&c, all ? args->settled.ms : args->slots[end - 1].ms);
    call_number(&c, all ? args->next_ms : args->slots[end].ms);
    call_number(&c, missed);
    call_number(&c, once ? 0 : missed_at);
    call_number(&c, once ? 1 + missed : 1);
    put_slots(s, &c, of, args->slots + at, n);
    err e = put_job(s, &c, of, a, out_job, f);
    return e ? e : store_write(s, SCRIPT_SCHEDULE_FIRE, &c, now, out, f);
}

/* Piece by piece. E_…: why it went no further than *out_settled slots. */
static err fire_all(struct store *s, const struct schedule_fire *args, const struct seen *of,
                    wall now, struct arena *a, struct schedule_fired *done, size_t *out_settled,
                    struct fault *f)
{
    *out_settled = 0;
    do {
        struct reply r;
        struct accept_args job;
        err e = fire_piece(s, args, of, *out_settled, now, a, &r, &job, f);
        if (e)
            return e;
        if (said(&r) == SAID_STALE) { /* somebody goes on with what is left */
            done->stale = *out_settled == 0;
            return E_OK;
        }
        add_fired(&r, done);
        *out_settled += (size_t)reply_number(&r, FIRED_SETTLED);
        e = refusal_of(s, &r, &job, f);
        if (e)
            return e;
        need(*out_settled > 0 || args->count == 0);
    } while (*out_settled < args->count);
    return E_OK;
}

err redis_schedule_fire(struct store *s, const struct schedule_fire *args, wall now,
                        struct arena *a, struct schedule_fired *out, struct fault *f)
{
    struct seen of;
    struct fault gone = {0};
    struct schedule_fired done = {0};
    size_t settled = 0;
    need(s->in_group && args->count <= SCHEDULE_CATCH_UP_MAX);
    store_fresh(s);
    s->now = now.ms ? now : s->now;
    err e = find_any(s, args->id, a, &of, &gone);
    if (e && e != E_NOT_FOUND)
        return fail(f, e, "%s", gone.words);
    if (e || of.v.last.ms != args->last.ms || of.v.revision != args->revision ||
        of.v.paused_ms) {
        *out = (struct schedule_fired){.stale = true};
        return E_OK;
    }
    e = fire_all(s, args, &of, now, a, &done, &settled, f);
    if (e && (settled == 0 || err_class(e) != ERR_WAIT))
        return e;
    if (e && f) /* no room for the next one; those before it are done */
        *f = (struct fault){0};
    *out = done;
    return E_OK;
}

static err trigger_once(struct store *s, const struct schedule_ask *args, wall now,
                        struct arena *a, struct reply *out, struct accept_args *out_job,
                        struct fault *f)
{
    struct call c = {0};
    struct seen of;
    char id[ID_TEXT];
    err e = find(s, args->tenant, args->id, args->revision, a, &of, f);
    if (e)
        return e;
    timetable_trigger_id(&of.v, now, id);
    call_text(&c, span_of(of.v.id));
    call_number(&c, of.v.revision);
    call_number(&c, now.ms);
    call_text(&c, span_of(id));
    call_flag(&c, args->dry);
    e = put_job(s, &c, &of, a, out_job, f);
    return e ? e : store_write(s, SCRIPT_SCHEDULE_TRIGGER, &c, now, out, f);
}

err redis_schedule_trigger(struct store *s, const struct schedule_ask *args, wall now,
                           struct arena *a, struct schedule_fired *out, struct fault *f)
{
    struct reply r = {0};
    struct accept_args job;
    struct schedule_fired done = {0};
    need(s->in_group);
    store_fresh(s);
    s->now = now.ms ? now : s->now;
    err e = E_OK;
    for (int i = 0; !e && (i == 0 || said(&r) == SAID_STALE) && i < TRIES; i++)
        e = trigger_once(s, args, now, a, &r, &job, f);
    if (e)
        return e;
    if (said(&r) == SAID_STALE)
        return fail_restless(f);
    if (said(&r) == SAID_TAKEN)
        return timetable_overlap(reply_text(&r, 1), f);
    add_fired(&r, &done);
    e = refusal_of(s, &r, &job, f);
    if (!e)
        e = timetable_triggered(&done, f);
    if (!e)
        *out = done;
    return e;
}

static err backfill_piece(struct store *s, const struct schedule_backfill *args, size_t at,
                          wall now, struct arena *a, struct reply *out,
                          struct accept_args *out_job, struct fault *f)
{
    struct call c = {0};
    struct seen of;
    err e = find(s, args->tenant, args->id, -1, a, &of, f);
    if (e)
        return e;
    call_text(&c, span_of(of.v.id));
    call_number(&c, of.v.revision);
    call_flag(&c, args->dry);
    put_slots(s, &c, &of, args->slots + at, step_of(args->count - at));
    e = put_job(s, &c, &of, a, out_job, f);
    return e ? e : store_write(s, SCRIPT_SCHEDULE_BACKFILL, &c, now, out, f);
}

static err backfill_all(struct store *s, const struct schedule_backfill *args, wall now,
                        struct arena *a, struct schedule_fired *done, struct fault *f)
{
    struct reply r;
    struct accept_args job;
    int stale = 0;
    for (size_t at = 0; at == 0 || at < args->count;) {
        err e = backfill_piece(s, args, at, now, a, &r, &job, f);
        if (e)
            return e;
        if (said(&r) == SAID_STALE && ++stale < TRIES)
            continue;
        if (said(&r) == SAID_STALE)
            return fail_restless(f);
        add_fired(&r, done);
        e = refusal_of(s, &r, &job, f);
        if (e)
            return e;
        at += SLOTS_STEP;
    }
    return E_OK;
}

err redis_schedule_backfill(struct store *s, const struct schedule_backfill *args, wall now,
                            struct arena *a, struct schedule_fired *out, struct fault *f)
{
    struct schedule_fired done = {0};
    need(s->in_group && args->count <= SCHEDULE_CATCH_UP_MAX);
    store_fresh(s);
    s->now = now.ms ? now : s->now;
    err e = backfill_all(s, args, now, a, &done, f);
    if (e && !(done.made && !args->dry && err_class(e) == ERR_WAIT))
        return e;
    if (e && f)
        *f = (struct fault){0};
    *out = done;
    return E_OK;
}

/* ---- what time brings ---- */

static bool wants_attention(const struct seen *c)
{
    int64_t wake = timetable_wake(&c->v.terms.rule, span_of(c->v.id), c->v.next_ms);
    return c->ended->count || (c->v.pending && !c->v.live) || c->wake_ms != wake;
}

static void note_ended(struct store *s, struct call *c, struct seen *of)
{
    struct buf numbers = BUF(64 * CALL_NUMBER);
    for (size_t i = 0; i < of->ended->count; i++) {
        const struct reply *run = reply_list(of->ended, i);
        timetable_note(&of->v, &of->read_at_ms,
                       &(struct timetable_ended){reply_number(run, ENDED_AT),
                                                 (enum job_state)reply_number(run, ENDED_STATE),
                                                 reply_number(run, ENDED_FOUND)});
        buf_fmt(&numbers, "%lld ", (long long)reply_number(run, ENDED_NUMBER));
    }
    struct span kept = arena_keep(s->own, numbers.n ? buf_span(&numbers) : SPAN(""));
    need(!numbers.failed && kept.p);
    buf_free(&numbers);
    call_text(c, kept);
}

static err attend_once(struct store *s, struct seen *of, wall now, wall clock, struct arena *a,
                       struct reply *out, struct fault *f)
{
    struct call c = {0}, numbers = {0};
    struct accept_args job;
    int64_t was_ms = of->v.terms.rule.interval_ms;
    note_ended(s, &numbers, of);
    timetable_adapted(&of->v, was_ms, clock);
    const struct schedule *rule = &of->v.terms.rule;
    call_text(&c, span_of(of->v.id));
    call_number(&c, of->version);
    call_number(&c, clock.ms);
    call_number(&c, rule->interval_ms);
    call_number(&c, rule->kind == SCHEDULE_CRON ? 0 : rule->start.ms);
    call_number(&c, of->v.next_ms);
    call_number(&c, of->v.last_found);
    call_number(&c, of->read_at_ms);
    call_text(&c, numbers.args[0]);
    err e = of->v.pending && !of->v.live ? put_job(s, &c, of, a, &job, f) : E_OK;
    return e ? e : store_write(s, SCRIPT_SCHEDULE_ATTEND, &c, now, out, f);
}

/* As it is behind that; its texts are what they were. */
static void read_again(const struct reply *r, struct seen *of)
{
    struct seen fresh;
    read_numbers(r, &fresh);
    fresh.v.tenant = of->v.tenant;
    fresh.v.name = of->v.name;
    fresh.v.terms.cron = of->v.terms.cron;
    fresh.v.terms.zone = of->v.terms.zone;
    fresh.v.terms.rule.cron = of->v.terms.rule.cron;
    fresh.v.ticket = of->v.ticket;
    fresh.v.job = of->v.job;
    fresh.v.paused_by = of->v.paused_by;
    fresh.v.paused_why = of->v.paused_why;
    *of = fresh;
}

/* *out_there: it was not deleted meanwhile. */
static err attend(struct store *s, struct seen *of, wall now, wall clock, struct arena *a,
                  bool *out_there, struct fault *f)
{
    char id[ID_TEXT];
    *out_there = true;
    span_copy(span_of(of->v.id), id, sizeof id);
    for (int i = 0; wants_attention(of) && i < TRIES; i++) {
        struct reply r;
        struct fault gone = {0};
        err e = attend_once(s, of, now, clock, a, &r, f);
        if (e)
            return e;
        if (said(&r) == SAID_OK) {
            read_again(reply_list(&r, 1), of);
            return E_OK;
        }
        e = find_any(s, span_of(id), a, of, &gone); /* another node was here */
        *out_there = e != E_NOT_FOUND;
        if (e)
            return *out_there ? fail(f, e, "%s", gone.words) : E_OK;
    }
    return E_OK; /* whoever changes it all the time also attends to it */
}

/* Up to SCHEDULES_DUE_MAX that must be looked at by one of the clocks. */
static err read_due(struct store *s, int clock, wall until, struct arena *a, struct seen *out,
                    size_t *out_count, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    call_text(&c, SPAN("due"));
    call_number(&c, clock);
    call_number(&c, until.ms);
    call_number(&c, SCHEDULES_DUE_MAX);
    err e = look(s, &c, &r, f);
    size_t n = 0;
    for (; !e && n + 1 < r.count && n < SCHEDULES_DUE_MAX; n++)
        e = read_seen(reply_list(&r, n + 1), a, &out[n], f);
    *out_count = n;
    return e;
}

/* Runs that ended, or wait for that, first: they change what is due. */
static err due_by(struct store *s, int clock, wall at, wall now, struct arena *a,
                  struct schedules_due *out, struct fault *f)
{
    struct seen *all = arena_try(a, SCHEDULES_DUE_MAX * sizeof *all);
    size_t n = 0;
    if (!all)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    err e = read_due(s, clock, at, a, all, &n, f);
    for (size_t i = 0; !e && i < n; i++) {
        bool there;
        e = attend(s, &all[i], now, at, a, &there, f);
        if (!e && there && out->count < SCHEDULES_DUE_MAX && timetable_is_due(&all[i].v, at))
            out->due[out->count++] = all[i].v;
    }
    return e;
}

/* What is settled beyond now, because a clock was wrong, is to be looked at. */
static err look_ahead(struct store *s, wall now, wall elapsed, struct fault *f)
{
    struct reply r;
    char from[CALL_NUMBER] = "0";
    do {
        struct call c = {0};
        call_text(&c, SPAN("ahead"));
        call_text(&c, span_of(from));
        call_number(&c, now.ms);
        call_number(&c, elapsed.ms);
        err e = look(s, &c, &r, f);
        if (e)
            return e;
        span_copy(reply_text(&r, 1), from, sizeof from);
    } while (strcmp(from, "0") != 0);
    return E_OK;
}

err redis_schedules_due(struct store *s, wall now, wall elapsed, bool set_back, struct arena *a,
                        struct schedules_due *out, struct fault *f)
{
    struct schedules_due due = {.due = arena_try(a, SCHEDULES_DUE_MAX * sizeof *due.due)};
    need(s->in_group);
    store_fresh(s);
    s->now = now.ms ? now : s->now;
    err e = due.due ? E_OK : fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    if (!e && set_back)
        e = look_ahead(s, now, elapsed, f);
    if (!e)
        e = due_by(s, 0, now, now, a, &due, f);
    if (!e)
        e = due_by(s, 1, elapsed, now, a, &due, f);
    if (!e)
        *out = due;
    return e;
}

/* ---- queries ---- */

err redis_schedule(struct store *s, struct span tenant, struct span id, struct arena *a,
                   struct schedule_view *out, struct fault *f)
{
    struct seen seen;
    store_fresh(s);
    err e = find(s, tenant, id, -1, a, &seen, f);
    if (!e)
        *out = seen.v;
    return e;
}

static err next_list(struct store *s, struct span tenant, struct span after, size_t most,
                     struct reply *out, struct fault *f)
{
    struct call c = {0};
    store_fresh(s);
    call_text(&c, SPAN("list"));
    call_text(&c, tenant);
    call_text(&c, after);
    call_number(&c, (int64_t)most);
    return look(s, &c, out, f);
}

err redis_schedules(struct store *s, const struct schedules_query *q, struct arena *a,
                    struct schedules_list *out, struct fault *f)
{
    struct reply r;
    struct span after = q->after;
    size_t n = 0, step;
    need(q->limit >= 1 && q->limit <= 501);
    struct schedule_view *all = arena_try(a, q->limit * sizeof *all);
    if (!all)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    err e;
    do {
        step = q->limit - n < LIST_STEP ? q->limit - n : LIST_STEP;
        e = next_list(s, q->tenant, after, step, &r, f);
        for (size_t i = 1; !e && i < r.count; i++) {
            struct seen seen;
            e = read_seen(reply_list(&r, i), a, &seen, n ? NULL : f);
            if (!e)
                all[n++] = seen.v;
        }
        after = n ? all[n - 1].name : after;
    } while (!e && n < q->limit && r.count == step + 1);
    /* What fits is answered; the reader goes on after the last one. */
    if (e && !(e == E_TOO_BIG && n > 0))
        return e;
    *out = (struct schedules_list){.rows = all, .count = n};
    return E_OK;
}

enum run_part {
    RUN_NUMBER,
    RUN_SLOT,
    RUN_CAUSE,
    RUN_STATE,
    RUN_WHY,
    RUN_SLOTS,
    RUN_JOB,
    RUN_AT,
    RUN_ENDED,
    RUN_JOB_STATE,
    RUN_FOUND
};

static void read_run(const struct reply *r, struct schedule_run *out)
{
    *out = (struct schedule_run){
        .n = reply_number(r, RUN_NUMBER),
        .slot = {reply_number(r, RUN_SLOT)},
        .cause = (enum schedule_cause)reply_number(r, RUN_CAUSE),
        .state = (enum schedule_run_state)reply_number(r, RUN_STATE),
        .why = (enum schedule_why)reply_number(r, RUN_WHY),
        .slots = reply_number(r, RUN_SLOTS),
        .at_ms = reply_number(r, RUN_AT),
        .ended_ms = reply_number(r, RUN_ENDED),
        .job_state = (enum job_state)reply_number(r, RUN_JOB_STATE),
        .found = reply_number(r, RUN_FOUND),
    };
    span_copy(reply_text(r, RUN_JOB), out->job, sizeof out->job);
}

static err next_runs(struct store *s, const char *id, int64_t before, size_t most,
                     struct reply *out, struct fault *f)
{
    struct call c = {0};
    store_fresh(s);
    call_text(&c, SPAN("runs"));
    call_text(&c, span_of(id));
    call_number(&c, before > 0 ? before : 0);
    call_number(&c, (int64_t)most);
    return look(s, &c, out, f);
}

err redis_schedule_runs(struct store *s, const struct schedule_runs_query *q, struct arena *a,
                        struct schedule_runs *out, struct fault *f)
{
    struct seen of;
    struct reply r;
    int64_t before = q->before;
    size_t n = 0, step;
    need(q->limit >= 1 && q->limit <= 501);
    store_fresh(s);
    err e = find(s, q->tenant, q->id, -1, a, &of, f);
    if (e)
        return e;
    struct schedule_run *all = arena_try(a, q->limit * sizeof *all);
    if (!all)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    do {
        step = q->limit - n < RUNS_STEP ? q->limit - n : RUNS_STEP;
        e = next_runs(s, of.v.id, before, step, &r, f);
        if (!e && said(&r) == SAID_NONE)
            e = timetable_none(q->id, f);
        for (size_t i = 1; !e && i < r.count; i++)
            read_run(reply_list(&r, i), &all[n++]);
        before = n ? all[n - 1].n : before;
    } while (!e && n < q->limit && r.count == step + 1);
    if (!e)
        *out = (struct schedule_runs){.rows = all, .count = n};
    return e;
}
