/* schedules.c - schedules and their runs: kept, settled slot by slot, and their jobs made. The tables
 * and the trigger that notes the end of a job are in schedules_sql.h. */
#include "store/timetable.h"

#include "store/sqlite/inside.h"
#include "store/ticket.h"

#include "base/need.h"

enum { LIVE_MAX = 64, FRESH_MAX = 64, PRUNE_MAX = 100, BUSY_MS = 5000 };

/* ---- rows ---- */

struct row {
    int64_t sid, read_at_ms;
    struct schedule_view v;
};

static err read_texts(struct query *q, struct arena *a, struct schedule_view *v,
                      struct fault *f)
{
    struct span *const texts[] = {&v->tenant, &v->name, &v->terms.cron, &v->terms.zone,
                                  &v->ticket, &v->job,  &v->paused_by,  &v->paused_why};
    for (int i = 0; i < 8; i++) {
        err e = db_keep(q, 28 + i, a, texts[i], f);
        if (e)
            return e;
    }
    span_copy(db_text(q, 1), v->id, sizeof v->id);
    span_copy(db_text(q, 19), v->last_job, sizeof v->last_job);
    return v->terms.rule.kind == SCHEDULE_CRON
               ? cron_parse(v->terms.cron, &v->terms.rule.cron, f)
               : E_OK;
}

static err read_schedule(struct query *q, struct arena *a, struct row *out, struct fault *f)
{
    struct schedule rule = {
        .kind = (enum schedule_kind)db_int(q, 2),
        .interval_ms = db_int(q, 3),
        .least_ms = db_int(q, 4),
        .most_ms = db_int(q, 5),
        .posts_wanted = db_int(q, 6),
        .jitter_ms = db_int(q, 7),
        .end = {db_int(q, 9)},
        .missed = (enum schedule_missed)db_int(q, 10),
        .overlap = (enum schedule_overlap)db_int(q, 11),
        .catch_up_ms = db_int(q, 12),
        .catch_up_max = (int)db_int(q, 13),
        .grace_ms = db_int(q, 14),
    };
    rule.start.ms = rule.kind == SCHEDULE_CRON ? db_int(q, 8) : db_int(q, 16);
    *out = (struct row){
        .sid = db_int(q, 0),
        .read_at_ms = db_int(q, 24),
        .v = {.terms = {.rule = rule},
              .start_given_ms = db_int(q, 8),
              .paused_ms = db_int(q, 15),
              .last = {db_int(q, 17)},
              .next_ms = db_int(q, 18),
              .fired = db_int(q, 20),
              .skipped = db_int(q, 21),
              .missed = db_int(q, 22),
              .last_found = db_int(q, 23),
              .revision = db_int(q, 25),
              .created_ms = db_int(q, 26),
              .updated_ms = db_int(q, 27),
              .live = db_int(q, 36),
              .pending = db_int(q, 37)},
    };
    return read_texts(q, a, &out->v, f);
}

/* The one row of a query, or E_END. */
static err one_schedule(struct query *q, struct arena *a, struct row *out, struct fault *f)
{
    err e = db_step(q, f);
    if (!e)
        e = read_schedule(q, a, out, f);
    db_end(q);
    return e;
}

static err find(struct store *s, struct span tenant, struct span id, struct arena *a,
                struct row *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, id_valid(id, "sch") ? SQL_SCHEDULE_BY_ID : SQL_SCHEDULE_BY_NAME, &q,
                   f, DB_T(tenant), DB_T(id));
    if (!e)
        e = one_schedule(q, a, out, f);
    return e == E_END ? timetable_none(id, f) : e;
}

static err find_revision(struct store *s, struct span tenant, struct span id, int64_t revision,
                         struct arena *a, struct row *out, struct fault *f)
{
    err e = find(s, tenant, id, a, out, f);
    return e ? e : timetable_revision(&out->v, revision, f);
}

static struct db_arg time_or_null(int64_t ms)
{
    return ms ? DB_I(ms) : DB_NULL;
}

/* ---- what people change ---- */

static err write_put(struct store *s, const struct schedule_put *p, struct span id,
                     struct timetable_place at, struct span ticket, bool paused, wall now,
                     struct fault *f)
{
    const struct schedule *r = &p->terms.rule;
    int64_t next = paused ? 0 : at.next_ms;
    return db_run(
        s->db, p->create ? SQL_SCHEDULE_ADD : SQL_SCHEDULE_CHANGE, f, DB_T(id), DB_T(p->tenant),
        DB_T(p->name), DB_I(r->kind), DB_T(p->terms.cron.n ? p->terms.cron : SPAN("")),
        DB_T(p->terms.zone.n ? p->terms.zone : SPAN("")), DB_I(at.interval_ms),
        DB_I(r->least_ms), DB_I(r->most_ms), DB_I(r->posts_wanted), DB_I(r->jitter_ms),
        DB_I(r->start.ms), DB_I(r->end.ms), DB_I(r->missed), DB_I(r->overlap),
        DB_I(r->catch_up_ms), DB_I(r->catch_up_max), DB_I(r->grace_ms), DB_T(ticket),
        DB_T(p->job_text), DB_I(at.anchor_ms), DB_I(at.last_ms), time_or_null(next),
        time_or_null(timetable_wake(r, id, next)), DB_I(now.ms));
}

static err check_name(struct store *s, const struct schedule_put *p, const struct row *old,
                      struct arena *a, struct fault *f)
{
    struct row other;
    struct query *q;
    err e = timetable_asked(p, f);
    if (e)
        return e;
    e = db_ask(s->db, SQL_SCHEDULE_BY_NAME, &q, f, DB_T(p->tenant), DB_T(p->name));
    if (!e)
        e = one_schedule(q, a, &other, f);
    if (e == E_END)
        return E_OK;
    if (!e && (p->create || other.sid != old->sid))
        e = timetable_taken(p->name, f);
    return e;
}

static err check_count(struct store *s, struct fault *f)
{
    struct query *q;
    err e = db_ask_args(s->db, SQL_SCHEDULE_COUNT, &q, f, NULL, 0);
    if (e)
        return e;
    e = db_step(q, f);
    int64_t count = e ? 0 : db_int(q, 0);
    db_end(q);
    if (!e && count >= SCHEDULES_MAX)
        e = timetable_full(f);
    return e;
}

err sqlite_schedule_put(struct store *s, const struct schedule_put *args, wall now,
                        struct arena *a, struct schedule_view *out, struct fault *f)
{
    struct row old = {0};
    struct buf ticket = BUF(TICKET_MAX);
    err e = store_usable(s, f);
    if (!e && !args->create)
        e = find_revision(s, args->tenant, args->id, args->revision, a, &old, f);
    if (!e)
        e = check_name(s, args, &old, a, f);
    if (!e && args->create)
        e = check_count(s, f);
    if (!e)
        e = ticket_write(&args->job, &ticket, f);
    if (e)
        goto out;
    struct timetable_place at = timetable_place(args, args->create ? NULL : &old.v);
    struct span id = args->create ? args->id : span_of(old.v.id);
    if (args->dry) {
        timetable_preview(args, &at, now, &old.v);
    } else {
        e = write_put(s, args, id, at, buf_span(&ticket), old.v.paused_ms != 0, now, f);
        char kept[ID_TEXT];
        if (!e)
            e = find(s, args->tenant, span_of(span_copy(id, kept, sizeof kept)), a, &old, f);
    }
    if (!e)
        *out = old.v;
out:
    buf_free(&ticket);
    return e;
}

err sqlite_schedule_delete(struct store *s, const struct schedule_ask *args, struct fault *f)
{
    struct row r;
    struct arena *a = arena_new(TICKET_MAX + 2 * SCHEDULE_JOB_MAX);
    err e = store_usable(s, f);
    if (!e)
        e = find_revision(s, args->tenant, args->id, args->revision, a, &r, f);
    if (!e && !args->dry)
        e = db_run(s->db, SQL_RUNS_DELETE, f, DB_I(r.sid));
    if (!e && !args->dry)
        e = db_run(s->db, SQL_SCHEDULE_DELETE, f, DB_I(r.sid));
    arena_free(&a);
    return e;
}

static err write_pause(struct store *s, const struct schedule_ask *p, const struct row *r,
                       wall now, struct fault *f)
{
    const struct schedule *rule = &r->v.terms.rule;
    if (p->paused) {
        err e = db_run(s->db, SQL_SCHEDULE_PAUSE, f, DB_I(r->sid), DB_I(now.ms),
                       DB_T(p->by.n ? p->by : SPAN("")), DB_T(p->why.n ? p->why : SPAN("")));
        return e ? e
                 : db_run(s->db, SQL_RUNS_DROP_PENDING, f, DB_I(r->sid),
                          DB_I(SCHEDULE_WHY_PAUSED));
    }
    int64_t next = rule->kind == SCHEDULE_CRON ? p->next_ms : timetable_next(rule, p->slot_now);
    return db_run(s->db, SQL_SCHEDULE_RESUME, f, DB_I(r->sid), DB_I(p->slot_now.ms),
                  time_or_null(next),
                  time_or_null(timetable_wake(rule, span_of(r->v.id), next)), DB_I(now.ms));
}

err sqlite_schedule_pause(struct store *s, const struct schedule_ask *args, wall now,
                          struct arena *a, struct schedule_view *out, struct fault *f)
{
    struct row r;
    err e = store_usable(s, f);
    if (!e)
        e = find_revision(s, args->tenant, args->id, args->revision, a, &r, f);
    if (!e && args->paused != (r.v.paused_ms != 0) && !args->dry) {
        e = write_pause(s, args, &r, now, f);
        if (!e)
            e = find(s, args->tenant, span_of(r.v.id), a, &r, f);
    }
    if (!e)
        *out = r.v;
    return e;
}

/* ---- runs ---- */

enum made { MADE, MADE_ENDED /* it had its result at once */, MADE_BEFORE, MADE_NOT };

static enum made made_of(err e, const struct accept_reply *reply)
{
    if (e)
        return e == E_CONFLICT ? MADE_BEFORE : MADE_NOT;
    if (reply->existing) /* another job does this work */
        return MADE_BEFORE;
    return reply->state >= JOB_SUCCEEDED ? MADE_ENDED : MADE;
}

/* E_OK: made, or there already, or such a job is not accepted any more. Else: not now. */
static err make_job(struct store *s, const struct schedule_view *v, const char *id, wall now,
                    struct arena *a, enum made *out, struct fault *f)
{
    struct accept_args job;
    struct accept_reply reply = {0};
    struct fault why = {0};
    err e = ticket_job(v->ticket, (wall){now.ms + s->real_ahead_ms}, a, &job, &why);
    job.id = span_of(id);
    if (!e)
        e = sqlite_accept(s, &job, now, &reply, &why);
    *out = made_of(e, &reply);
    if (!e || e == E_CONFLICT || e == E_BAD_INPUT || e == E_BAD_SYNTAX)
        return E_OK;
    if (f && !f->code)
        f->wait_ms = why.wait_ms;
    return fail(f, e, "%s", why.words);
}

static err add_run(struct store *s, int64_t sid, wall slot, enum schedule_cause cause,
                   enum schedule_run_state state, enum schedule_why why, int64_t slots,
                   const char *job, wall now, struct fault *f)
{
    err e = db_run(s->db, SQL_RUN_ADD, f, DB_I(sid), DB_I(slot.ms), DB_I(cause), DB_I(state),
                   DB_I(why), DB_I(slots), job ? DB_T(span_of(job)) : DB_NULL, DB_I(now.ms));
    return e ? e
             : db_run(s->db, SQL_RUNS_PRUNE, f, DB_I(sid), DB_I(SCHEDULE_RUNS_KEPT),
                      DB_I(PRUNE_MAX));
}

/* Of a job that ended before its run was there. */
static err end_run(struct store *s, int64_t sid, const char *job, struct fault *f)
{
    err e = db_run(s->db, SQL_RUN_ENDED, f, DB_T(span_of(job)));
    return e ? e : db_run(s->db, SQL_SCHEDULE_WOKEN, f, DB_I(sid));
}

/* Jobs of a schedule that have not ended. */
struct alive {
    size_t count;
    bool running, waiting; /* one has started; one has not, or is pending */
    char job[LIVE_MAX][ID_TEXT];
};

static err read_alive(struct store *s, const struct row *r, struct alive *out, struct fault *f)
{
    struct query *q;
    *out = (struct alive){0};
    err e = db_ask(s->db, SQL_RUNS_LIVE, &q, f, DB_I(r->sid), DB_I(LIVE_MAX));
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK) {
        span_copy(db_text(q, 0), out->job[out->count++], ID_TEXT);
        out->running |= db_int(q, 1) > 0;
        out->waiting |= db_int(q, 1) == 0;
    }
    db_end(q);
    if (e != E_END)
        return e;
    e = db_ask(s->db, SQL_RUN_PENDING, &q, f, DB_I(r->sid));
    if (e)
        return e;
    e = db_step(q, f);
    out->waiting |= e == E_OK;
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err is_known(struct store *s, int64_t sid, wall slot, bool with_job, bool *out,
                    struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_RUN_KNOWN, &q, f, DB_I(sid), DB_I(slot.ms), DB_I(with_job));
    if (e)
        return e;
    e = db_step(q, f);
    *out = e == E_OK;
    db_end(q);
    return e == E_END ? E_OK : e;
}

/* The ones that run are told to stop, those that wait end at once. */
static err cancel_alive(struct store *s, const struct alive *alive, wall now,
                        struct schedule_fired *out, struct fault *f)
{
    for (size_t i = 0; i < alive->count; i++) {
        struct cancel_reply reply = {0};
        struct fault ended = {0};
        err e = sqlite_cancel(s, &(struct cancel_args){.id = span_of(alive->job[i])}, now,
                              &reply, &ended);
        if (e && e != E_CONFLICT && e != E_NOT_FOUND)
            return fail(f, e, "%s", ended.words);
        if (!e && reply.active && out->cancels < SCHEDULE_CANCELS_MAX)
            span_copy(span_of(alive->job[i]), out->cancelled[out->cancels++], ID_TEXT);
    }
    return E_OK;
}

struct firing {
    struct store *s;
    const struct row *r;
    wall now, slot;
    enum schedule_cause cause;
    int64_t slots; /* that the run stands for */
    struct arena *a;
    struct schedule_fired *out;
};

static err fire_job(const struct firing *g, const char *id, struct fault *f)
{
    enum made made;
    err e = make_job(g->s, &g->r->v, id, g->now, g->a, &made, f);
    if (e)
        return e;
    if (made == MADE_BEFORE) {
        g->out->known++;
        return E_OK;
    }
    if (made == MADE_NOT) {
        g->out->skipped++;
        return add_run(g->s, g->r->sid, g->slot, g->cause, SCHEDULE_RUN_SKIPPED,
                       SCHEDULE_WHY_REFUSED, g->slots, NULL, g->now, f);
    }
    g->out->made++;
    span_copy(span_of(id), g->out->last_job, ID_TEXT);
    e = add_run(g->s, g->r->sid, g->slot, g->cause, SCHEDULE_RUN_LIVE, SCHEDULE_WHY_NONE,
                g->slots, id, g->now, f);
    return e || made == MADE ? e : end_run(g->s, g->r->sid, id, f);
}

static err fire_as_policy(const struct firing *g, const char *id, struct fault *f)
{
    struct alive alive;
    int64_t made = g->out->made;
    err e = read_alive(g->s, g->r, &alive, f);
    if (e)
        return e;
    switch (schedule_meet(g->r->v.terms.rule.overlap, alive.running, alive.waiting)) {
    case SCHEDULE_GO:
        return fire_job(g, id, f);
    case SCHEDULE_GO_PASS:
        g->out->skipped++;
        return add_run(g->s, g->r->sid, g->slot, g->cause, SCHEDULE_RUN_SKIPPED,
                       SCHEDULE_WHY_OVERLAP, g->slots, NULL, g->now, f);
    case SCHEDULE_GO_AFTER:
        g->out->pending++;
        return add_run(g->s, g->r->sid, g->slot, g->cause, SCHEDULE_RUN_PENDING,
                       SCHEDULE_WHY_NONE, g->slots, NULL, g->now, f);
    case SCHEDULE_GO_AND_CANCEL: /* the new job first: when it is refused the old one goes on */
        e = fire_job(g, id, f);
        return e || g->out->made == made ? e : cancel_alive(g->s, &alive, g->now, g->out, f);
    }
    bug("unknown decision");
}

/* ---- firing ---- */

static err settle(struct store *s, const struct row *r, wall last, int64_t next_ms,
                  int64_t missed, const struct schedule_fired *done, struct fault *f)
{
    int64_t next = r->v.paused_ms ? 0 : next_ms;
    return db_run(s->db, SQL_SCHEDULE_SETTLE, f, DB_I(r->sid), DB_I(last.ms),
                  time_or_null(next),
                  time_or_null(timetable_wake(&r->v.terms.rule, span_of(r->v.id), next)),
                  DB_I(done->made), DB_I(done->skipped), DB_I(missed),
                  db_text_or_null(span_of(done->last_job)));
}

static err fire_slot(struct firing *g, struct fault *f)
{
    char id[ID_TEXT];
    bool known;
    err e = is_known(g->s, g->r->sid, g->slot, false, &known, f);
    if (!e && known)
        g->out->known++;
    if (e || known)
        return e;
    schedule_slot_id(id, span_of(g->r->v.id), g->slot);
    return fire_as_policy(g, id, f);
}

static err note_missed(const struct firing *g, const struct schedule_fire *args,
                       struct fault *f)
{
    if (args->missed <= 0 || g->r->v.terms.rule.missed == SCHEDULE_ONCE)
        return E_OK;
    wall last = args->count ? (wall){args->slots[0].ms - 1} : args->settled;
    return add_run(g->s, g->r->sid, last, SCHEDULE_BY_SLOT, SCHEDULE_RUN_SKIPPED,
                   SCHEDULE_WHY_MISSED, args->missed, NULL, g->now, f);
}

err sqlite_schedule_fire(struct store *s, const struct schedule_fire *args, wall now,
                         struct arena *a, struct schedule_fired *out, struct fault *f)
{
    struct row r;
    struct query *q;
    struct schedule_fired done = {0};
    need(args->count <= SCHEDULE_CATCH_UP_MAX);
    err e = store_usable(s, f);
    if (!e)
        e = db_ask(s->db, SQL_SCHEDULE_OF, &q, f, DB_T(args->id));
    if (!e)
        e = one_schedule(q, a, &r, f);
    if (e == E_END || (!e && (r.v.last.ms != args->last.ms || r.v.revision != args->revision ||
                              r.v.paused_ms))) {
        *out = (struct schedule_fired){.stale = true};
        return E_OK;
    }
    struct firing g = {.s = s,
                       .r = &r,
                       .now = now,
                       .cause = SCHEDULE_BY_SLOT,
                       .slots = 1,
                       .a = a,
                       .out = &done};
    bool once = !e && r.v.terms.rule.missed == SCHEDULE_ONCE;
    size_t i = 0;
    for (; !e && i < args->count; i++) {
        g.slot = args->slots[i];
        g.slots = once && args->missed > 0 ? 1 + args->missed : 1;
        e = fire_slot(&g, f);
    }
    if (e && (i <= 1 || err_class(e) != ERR_WAIT))
        return e;
    if (e) { /* no room for this one; those before it are done */
        if (f)
            *f = (struct fault){0};
        e = settle(s, &r, args->slots[i - 2], args->slots[i - 1].ms, 0, &done, f);
    } else {
        e = note_missed(&g, args, f);
        if (!e)
            e = settle(s, &r, args->settled, args->next_ms, args->missed, &done, f);
    }
    if (!e)
        *out = done;
    return e;
}

err sqlite_schedule_trigger(struct store *s, const struct schedule_ask *args, wall now,
                            struct arena *a, struct schedule_fired *out, struct fault *f)
{
    struct row r;
    struct alive alive;
    char id[ID_TEXT];
    struct schedule_fired done = {0};
    err e = store_usable(s, f);
    if (!e)
        e = find_revision(s, args->tenant, args->id, args->revision, a, &r, f);
    if (!e)
        e = read_alive(s, &r, &alive, f);
    if (e)
        return e;
    enum schedule_go go = schedule_meet(r.v.terms.rule.overlap, alive.running, alive.waiting);
    if (go == SCHEDULE_GO_PASS)
        return timetable_overlap(alive.count ? span_of(alive.job[0]) : SPAN(""), f);
    if (args->dry) {
        *out = (struct schedule_fired){.made = go != SCHEDULE_GO_AFTER,
                                       .pending = go == SCHEDULE_GO_AFTER};
        return E_OK;
    }
    struct firing g = {.s = s,
                       .r = &r,
                       .now = now,
                       .slot = now,
                       .cause = SCHEDULE_BY_TRIGGER,
                       .slots = 1,
                       .a = a,
                       .out = &done};
    timetable_trigger_id(&r.v, now, id);
    e = fire_as_policy(&g, id, f);
    if (!e)
        e = timetable_triggered(&done, f);
    if (!e)
        e = db_run(s->db, SQL_SCHEDULE_COUNTED, f, DB_I(r.sid), DB_I(done.made),
                   db_text_or_null(span_of(done.last_job)));
    if (!e)
        *out = done;
    return e;
}

err sqlite_schedule_backfill(struct store *s, const struct schedule_backfill *args, wall now,
                             struct arena *a, struct schedule_fired *out, struct fault *f)
{
    struct row r;
    struct schedule_fired done = {0};
    need(args->count <= SCHEDULE_CATCH_UP_MAX);
    err e = store_usable(s, f);
    if (!e)
        e = find(s, args->tenant, args->id, a, &r, f);
    if (e)
        return e;
    for (size_t i = 0; !e && i < args->count; i++) {
        struct firing g = {.s = s,
                           .r = &r,
                           .now = now,
                           .slot = args->slots[i],
                           .cause = SCHEDULE_BY_BACKFILL,
                           .slots = 1,
                           .a = a,
                           .out = &done};
        char id[ID_TEXT];
        bool known;
        schedule_slot_id(id, span_of(r.v.id), g.slot);
        e = is_known(s, r.sid, g.slot, true, &known, f);
        if (e)
            break;
        if (known)
            done.known++;
        else if (args->dry)
            done.made++;
        else
            e = fire_job(&g, id, f);
    }
    bool some = done.made && !args->dry;
    if (e && !(some && err_class(e) == ERR_WAIT))
        return e;
    if (f && e)
        *f = (struct fault){0};
    e = some ? db_run(s->db, SQL_SCHEDULE_COUNTED, f, DB_I(r.sid), DB_I(done.made),
                      DB_T(span_of(done.last_job)))
             : E_OK;
    if (!e)
        *out = done;
    return e;
}

/* ---- what time brings ---- */

/* What its ended runs found; the interval of an adaptive one follows. */
static err look_at_ended(struct store *s, struct row *r, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_RUNS_FRESH, &q, f, DB_I(r->sid), DB_I(FRESH_MAX));
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK) {
        struct timetable_ended run = {db_int(q, 0), (enum job_state)db_int(q, 1), db_int(q, 2)};
        timetable_note(&r->v, &r->read_at_ms, &run);
    }
    db_end(q);
    return e == E_END ? db_run(s->db, SQL_RUNS_SEEN, f, DB_I(r->sid)) : e;
}

/* The pending run gets its job when nothing of the schedule is alive. out_again_ms: when to look once more; -1: not because
 * of that. */
static err make_pending(struct store *s, struct row *r, wall now, struct arena *a,
                        int64_t *out_again_ms, struct fault *f)
{
    struct query *q;
    char id[ID_TEXT];
    enum made made;
    struct fault busy = {0};
    if (r->v.live || !r->v.pending)
        return E_OK;
    err e = db_ask(s->db, SQL_RUN_PENDING, &q, f, DB_I(r->sid));
    if (e)
        return e;
    e = db_step(q, f);
    int64_t rid = e ? 0 : db_int(q, 0);
    wall slot = {e ? 0 : db_int(q, 1)};
    bool triggered = !e && (enum schedule_cause)db_int(q, 2) == SCHEDULE_BY_TRIGGER;
    db_end(q);
    if (e)
        return e == E_END ? E_OK : e;
    if (triggered)
        timetable_trigger_id(&r->v, slot, id);
    else
        schedule_slot_id(id, span_of(r->v.id), slot);
    e = make_job(s, &r->v, id, now, a, &made, &busy);
    if (err_class(e) == ERR_WAIT || e == E_SESSION) {
        *out_again_ms = BUSY_MS;
        return E_OK;
    }
    if (e)
        return fail(f, e, "%s", busy.words);
    if (made == MADE_BEFORE || made == MADE_NOT)
        return db_run(s->db, SQL_RUN_DROPPED, f, DB_I(rid), DB_I(SCHEDULE_WHY_REFUSED));
    e = db_run(s->db, SQL_RUN_MADE, f, DB_I(rid), DB_T(span_of(id)), DB_I(now.ms));
    if (!e && made == MADE_ENDED) {
        *out_again_ms = 0;
        e = end_run(s, r->sid, id, f);
    }
    return e ? e
             : db_run(s->db, SQL_SCHEDULE_COUNTED, f, DB_I(r->sid), DB_I(1), DB_T(span_of(id)));
}

static err attend(struct store *s, struct row *r, wall now, wall clock, struct arena *a,
                  struct fault *f)
{
    struct schedule *rule = &r->v.terms.rule;
    int64_t was_ms = rule->interval_ms;
    int64_t again_ms = -1;
    err e = look_at_ended(s, r, f);
    if (!e)
        e = make_pending(s, r, now, a, &again_ms, f);
    if (e)
        return e;
    timetable_adapted(&r->v, was_ms, clock);
    int64_t wake = timetable_wake(rule, span_of(r->v.id), r->v.next_ms);
    if (again_ms >= 0 && (!wake || wake > clock.ms + again_ms))
        wake = clock.ms + again_ms;
    return db_run(s->db, SQL_SCHEDULE_ATTENDED, f, DB_I(r->sid), DB_I(rule->interval_ms),
                  DB_I(rule->kind == SCHEDULE_CRON ? 0 : rule->start.ms),
                  time_or_null(r->v.next_ms), time_or_null(wake),
                  r->v.last_found < 0 ? DB_NULL : DB_I(r->v.last_found),
                  time_or_null(r->read_at_ms));
}

/* Up to SCHEDULES_DUE_MAX rows that must be looked at by one of the clocks. */
static err read_due(struct store *s, int clock, wall until, struct arena *a, struct row *out,
                    size_t *count, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_SCHEDULES_DUE, &q, f, DB_I(clock), DB_I(until.ms),
                   DB_I(SCHEDULES_DUE_MAX));
    if (e)
        return e;
    *count = 0;
    while ((e = db_step(q, f)) == E_OK) {
        e = read_schedule(q, a, &out[*count], f);
        if (e)
            break;
        ++*count;
    }
    db_end(q);
    return e == E_END ? E_OK : e;
}

/* Runs that ended, or wait for that, first: they change what is due. */
static err due_by(struct store *s, int clock, wall at, wall now, struct arena *a,
                  struct schedules_due *out, struct fault *f)
{
    struct row *rows = arena_try(a, SCHEDULES_DUE_MAX * sizeof *rows);
    size_t n = 0;
    if (!rows)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    err e = read_due(s, clock, at, a, rows, &n, f);
    for (size_t i = 0; !e && i < n; i++)
        e = attend(s, &rows[i], now, at, a, f);
    if (e)
        return e;
    for (size_t i = 0; i < n && out->count < SCHEDULES_DUE_MAX; i++)
        if (timetable_is_due(&rows[i].v, at))
            out->due[out->count++] = rows[i].v;
    return E_OK;
}

err sqlite_schedules_due(struct store *s, wall now, wall elapsed, bool set_back,
                         struct arena *a, struct schedules_due *out, struct fault *f)
{
    struct schedules_due due = {.due = arena_try(a, SCHEDULES_DUE_MAX * sizeof *due.due)};
    wall real = {now.ms + s->real_ahead_ms};
    err e = store_usable(s, f);
    if (!e && !due.due)
        e = fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    if (!e && set_back)
        e = db_run(s->db, SQL_SCHEDULES_AHEAD, f, DB_I(real.ms), DB_I(elapsed.ms));
    if (!e)
        e = due_by(s, 0, real, now, a, &due, f);
    if (!e)
        e = due_by(s, 1, elapsed, now, a, &due, f);
    if (!e)
        *out = due;
    return e;
}

err schedules_outlook(struct store *s, int64_t out_ms[2], struct fault *f)
{
    err e = E_OK;
    for (int clock = 0; clock < 2 && !e; clock++) {
        struct query *q;
        out_ms[clock] = INT64_MAX;
        e = db_ask(s->db, SQL_SCHEDULE_WAKE, &q, f, DB_I(clock));
        if (e)
            return e;
        e = db_step(q, f);
        if (!e)
            out_ms[clock] = db_int(q, 0);
        db_end(q);
        e = e == E_END ? E_OK : e;
    }
    return e;
}

/* ---- queries ---- */

err sqlite_schedule(struct store *s, struct span tenant, struct span id, struct arena *a,
                    struct schedule_view *out, struct fault *f)
{
    struct row r;
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    err e = find(s, tenant, id, a, &r, f);
    if (!e)
        *out = r.v;
    return e;
}

err sqlite_schedules(struct store *s, const struct schedules_query *query, struct arena *a,
                     struct schedules_list *out, struct fault *f)
{
    struct query *q;
    struct row r;
    size_t n = 0;
    need(query->limit >= 1 && query->limit <= 501);
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    struct schedule_view *all = arena_try(a, query->limit * sizeof *all);
    if (!all)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    err e = db_ask(s->db, SQL_SCHEDULES, &q, f, DB_T(query->tenant),
                   DB_T(query->after.n ? query->after : SPAN("")), DB_I(query->limit));
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK && (e = read_schedule(q, a, &r, n ? NULL : f)) == E_OK)
        all[n++] = r.v;
    db_end(q);
    /* What fits is answered; the reader goes on after the last one. */
    if (e != E_END && !(e == E_TOO_BIG && n > 0))
        return e;
    *out = (struct schedules_list){.rows = all, .count = n};
    return E_OK;
}

static void read_run(struct query *q, struct schedule_run *out)
{
    *out = (struct schedule_run){
        .n = db_int(q, 0),
        .slot = {db_int(q, 1)},
        .cause = (enum schedule_cause)db_int(q, 2),
        .state = (enum schedule_run_state)db_int(q, 3),
        .why = (enum schedule_why)db_int(q, 4),
        .slots = db_int(q, 5),
        .at_ms = db_int(q, 7),
        .ended_ms = db_int(q, 8),
        .job_state = (enum job_state)db_int(q, 9),
        .found = db_int(q, 10),
    };
    span_copy(db_text(q, 6), out->job, sizeof out->job);
}

err sqlite_schedule_runs(struct store *s, const struct schedule_runs_query *query,
                         struct arena *a, struct schedule_runs *out, struct fault *f)
{
    struct query *q;
    struct row r;
    size_t n = 0;
    need(query->limit >= 1 && query->limit <= 501);
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    err e = find(s, query->tenant, query->id, a, &r, f);
    if (e)
        return e;
    struct schedule_run *all = arena_try(a, query->limit * sizeof *all);
    if (!all)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    e = db_ask(s->db, SQL_RUNS, &q, f, DB_I(r.sid),
               DB_I(query->before > 0 ? query->before : INT64_MAX), DB_I(query->limit));
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK)
        read_run(q, &all[n++]);
    db_end(q);
    if (e != E_END)
        return e;
    *out = (struct schedule_runs){.rows = all, .count = n};
    return E_OK;
}
