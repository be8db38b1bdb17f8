/* operations.c - many jobs touched in bounded pieces: replayed or deleted by a filter, cancelled or
 * replayed by their batch. A piece and how far it came are one transaction. */
#include "store/batches.h"
#include "store/sqlite/inside.h"

#include "base/json.h"
#include "base/need.h"
#include "core/labels.h"

enum {
    PIECE_MOST = 100,   /* jobs touched at once */
    LOOK_MOST = 2000,   /* rows looked at for them */
    DELETE_ROWS = 5000, /* records deleted at once */
    GRACE_MS = 60000,   /* a running job stops itself, or is ended by force then */
    OPERATIONS_AT_ONCE = 4,
    PAUSE_MS = 20,    /* between two pieces without a rate: others want the store too */
    BEHIND_MS = 1000, /* what a rate may catch up on */
    WAIT_MS = 5000,   /* the queue or the disk is full */
    OLD_MOST = 100,
};

/* The part of a row that a piece works with. */
struct operation {
    int64_t oid, batch, since, until, per_minute, cursor, last, due, done, skipped;
    char id[ID_TEXT];
    enum operation_kind kind;
    int failure;
    char site[SITE_NAME], job_kind[SITE_NAME], fingerprint[FINGERPRINT_TEXT];
    bool reset;
    bool many; /* of jobs of any kind: */
    unsigned states;
    int class, prio;
    char tenant[LANE_WORD_MAX + 1], lane[FILED_LANE], target[TARGET_MAX + 1],
        why[STORE_WHY_MAX + 1], labels[LABELS_TEXT + 1];
    bool held;
    int64_t most;
};

static struct jobs_filter filter_of(const struct operation *o)
{
    return (struct jobs_filter){.states = o->states,
                                .tenant = span_of(o->tenant),
                                .site = span_of(o->site),
                                .kind = span_of(o->job_kind),
                                .target = span_of(o->target),
                                .lane = asked_lane_of(span_of(o->lane)),
                                .class = o->class,
                                .failure = o->failure,
                                .since_ms = o->since,
                                .until_ms = o->until,
                                .held = o->held,
                                .labels = span_of(o->labels)};
}

static void read_operation(struct query *q, struct operation *o)
{
    *o = (struct operation){
        .oid = db_int(q, 0),
        .kind = (enum operation_kind)db_int(q, 2),
        .batch = db_int(q, 4),
        .failure = (int)db_int(q, 5),
        .since = db_int(q, 9),
        .until = db_int(q, 10),
        .reset = db_int(q, 11) != 0,
        .per_minute = db_int(q, 12),
        .cursor = db_int(q, 13),
        .last = db_int(q, 14),
        .due = db_int(q, 15),
        .done = db_int(q, 16),
        .skipped = db_int(q, 17),
        .many = db_int(q, 22) != 0,
        .states = (unsigned)db_int(q, 23),
        .class = (int)db_int(q, 24),
        .held = db_int(q, 28) != 0,
        .most = db_int(q, 29),
        .prio = (int)db_int(q, 30),
    };
    span_copy(db_text(q, 25), o->tenant, sizeof o->tenant);
    span_copy(db_text(q, 26), o->target, sizeof o->target);
    span_copy(db_text(q, 27), o->lane, sizeof o->lane);
    span_copy(db_text(q, 31), o->why, sizeof o->why);
    span_copy(db_text(q, 32), o->labels, sizeof o->labels);
    span_copy(db_text(q, 1), o->id, sizeof o->id);
    span_copy(db_text(q, 6), o->site, sizeof o->site);
    span_copy(db_text(q, 7), o->job_kind, sizeof o->job_kind);
    span_copy(db_text(q, 8), o->fingerprint, sizeof o->fingerprint);
}

static err read_view(struct query *q, struct arena *a, struct operation_view *v,
                     struct fault *f)
{
    struct operation o;
    read_operation(q, &o);
    *v = (struct operation_view){
        .kind = o.kind,
        .state = (enum operation_state)db_int(q, 3),
        .failure = o.failure,
        .since_ms = o.since,
        .until_ms = o.until,
        .per_minute = o.per_minute,
        .done = o.done,
        .skipped = o.skipped,
        .reset = o.reset,
        .created_ms = db_int(q, 18),
        .updated_ms = db_int(q, 19),
        .finished_ms = db_int(q, 20),
        .due_ms = o.due,
        .many = o.many,
        .most = o.most,
        .prio = o.prio,
        .jobs = filter_of(&o),
    };
    memcpy(v->id, o.id, sizeof v->id);
    memcpy(v->fingerprint, o.fingerprint, sizeof v->fingerprint);
    span_copy(db_text(q, 21), v->batch, sizeof v->batch);
    struct {
        int column;
        struct span *to;
    } texts[] = {{6, &v->site},         {7, &v->job_kind},   {25, &v->jobs.tenant},
                 {26, &v->jobs.target}, {27, &v->jobs.lane}, {31, &v->why},
                 {32, &v->jobs.labels}};
    err e = E_OK;
    for (size_t i = 0; !e && i < sizeof texts / sizeof *texts; i++)
        e = db_keep(q, texts[i].column, a, texts[i].to, f);
    v->jobs.lane = asked_lane_of(v->jobs.lane);
    v->jobs.site = v->site;
    v->jobs.kind = v->job_kind;
    return e;
}

/* ---- one piece ---- */

struct candidate {
    int64_t seq;
    char id[ID_TEXT];
    enum job_state state;
};

static bool matches(const struct operation *o, struct query *q)
{
    enum job_state state = (enum job_state)db_int(q, 2);
    if (o->kind == OPERATION_CANCEL)
        return !job_is_final(state);
    if (state != JOB_DEAD && !(o->batch && state == JOB_EXPIRED))
        return false;
    int64_t at = db_int(q, 7);
    return at >= o->since && at <= o->until && (o->failure < 0 || o->failure == db_int(q, 3)) &&
           (!o->site[0] || span_is(db_text(q, 4), o->site)) &&
           (!o->job_kind[0] || span_is(db_text(q, 5), o->job_kind)) &&
           (!o->fingerprint[0] || span_is(db_text(q, 6), o->fingerprint));
}

/* Likewise, of jobs of any kind. */
static err find_many(struct store *s, struct operation *o, size_t most, struct candidate *out,
                     size_t *out_count, bool *out_end, struct fault *f)
{
    struct query *q;
    struct jobs_facts facts;
    struct jobs_filter filter = filter_of(o);
    size_t n = 0;
    int looks = 0;
    err e = find_ask(s, &filter, true, o->cursor, LOOK_MOST, &q, f);
    if (e)
        return e;
    while (n < most && (e = db_step(q, f)) == E_OK && db_int(q, 0) <= o->last) {
        looks++;
        find_read(q, &facts);
        if (jobs_filter_matches(&filter, &facts)) {
            out[n].seq = db_int(q, 0);
            out[n].state = facts.state;
            span_copy(db_text(q, 1), out[n++].id, sizeof out[0].id);
        } else if (n == 0) {
            o->cursor = db_int(q, 0);
        }
    }
    *out_end = (e == E_END && looks < LOOK_MOST) || (!e && n < most);
    db_end(q);
    *out_count = n;
    return e == E_END ? E_OK : e;
}

/* The next jobs, at most `most`; *out_end: there are no more behind them. o->cursor stays in front of
 * what is found and is otherwise moved over what does not match. */
static err find_candidates(struct store *s, struct operation *o, size_t most,
                           struct candidate *out, size_t *out_count, bool *out_end,
                           struct fault *f)
{
    struct query *q;
    if (o->many)
        return find_many(s, o, most, out, out_count, out_end, f);
    err e = o->batch ? db_ask(s->db, SQL_CANDIDATES_OF_BATCH, &q, f, DB_I(o->cursor),
                              DB_I(o->last), DB_I(LOOK_MOST), DB_I(o->batch))
                     : db_ask(s->db, SQL_CANDIDATES, &q, f, DB_I(o->cursor), DB_I(o->last),
                              DB_I(LOOK_MOST));
    if (e)
        return e;
    size_t n = 0;
    int looks = 0;
    while (n < most && (e = db_step(q, f)) == E_OK) {
        looks++;
        if (matches(o, q)) {
            out[n].seq = db_int(q, 0);
            out[n].state = (enum job_state)db_int(q, 2);
            span_copy(db_text(q, 1), out[n++].id, sizeof out[0].id);
        } else if (n == 0) {
            o->cursor = db_int(q, 0);
        }
    }
    db_end(q);
    *out_end = e == E_END && looks < LOOK_MOST;
    *out_count = n;
    return e == E_END ? E_OK : e;
}

static err forget(struct store *s, struct span id, int64_t *rows, struct fault *f)
{
    struct job_row r;
    struct query *q;
    err e = job_row_find(s, id, &r, f);
    if (!e && !job_is_final(r.state))
        e = asked_ended(id, r.state, f);
    if (!e)
        e = db_ask(s->db, SQL_NOBODY_NEEDS, &q, f, DB_I(r.seq));
    if (e)
        return e;
    e = db_step(q, f);
    if (e == E_END)
        e = asked_needed(id, f);
    db_end(q);
    if (e)
        return e;
    struct old_job old = {
        .seq = r.seq, .bytes = r.bytes, .state = r.state, .lane = r.lane, .needs = r.needs};
    memcpy(old.id, r.id, sizeof old.id);
    return job_forget(s, &old, rows, f);
}

err sqlite_forget(struct store *s, struct span id, wall now, struct fault *f)
{
    int64_t rows = DELETE_ROWS;
    err e = store_usable(s, f);
    s->group_ms = now.ms;
    return e ? e : forget(s, id, &rows, f);
}

static err change(struct store *s, const struct operation *o, struct span id, wall now,
                  struct fault *f)
{
    struct job_change c = job_change_none(id);
    if (o->kind == OPERATION_PRIORITY)
        c.prio = o->prio;
    else
        c.hold = o->kind == OPERATION_HOLD ? HOLD_ON : HOLD_OFF;
    c.why = span_of(o->why);
    return sqlite_change(s, &c, now, f);
}

/* E_CONFLICT: it is no longer what it was, or may not. */
static err touch(struct store *s, const struct operation *o, const struct candidate *c,
                 int64_t *rows, wall now, struct fault *f)
{
    struct replay_args replay = {.id = span_of(c->id), .reset = o->reset};
    struct cancel_args cancel = {
        .id = span_of(c->id), .grace_ms = GRACE_MS, .why = span_of(o->why)};
    struct replay_reply replayed;
    struct cancel_reply cancelled;
    switch (o->kind) {
    case OPERATION_REPLAY:
        return sqlite_replay(s, &replay, now, &replayed, f);
    case OPERATION_CANCEL:
        return sqlite_cancel(s, &cancel, now, &cancelled, f);
    case OPERATION_DELETE:
        return forget(s, span_of(c->id), rows, f);
    case OPERATION_HOLD:
    case OPERATION_RELEASE:
    case OPERATION_PRIORITY:
        return change(s, o, span_of(c->id), now, f);
    case OPERATION_KINDS:
        break;
    }
    bug("no such operation");
}

static int64_t interval_of(const struct operation *o)
{
    return o->per_minute ? (60000 + o->per_minute - 1) / o->per_minute : 0;
}

/* How many the rate allows now, and the number that was asked for; moves o->due over none of them yet. */
static size_t allowed(struct operation *o, int64_t now_ms)
{
    int64_t step = interval_of(o), n, left = o->most ? o->most - o->done : PIECE_MOST;
    if (!step)
        return left < PIECE_MOST ? (size_t)left : PIECE_MOST;
    if (o->due < now_ms - BEHIND_MS)
        o->due = now_ms - BEHIND_MS;
    n = o->due > now_ms ? 0 : (now_ms - o->due) / step + 1;
    n = n < left ? n : left;
    return n < PIECE_MOST ? (size_t)n : PIECE_MOST;
}

static err end_operation(struct store *s, const struct operation *o, enum operation_state state,
                         wall now, struct fault *f)
{
    err e = db_run(s->db, SQL_OPERATION_MOVE, f, DB_I(o->oid), DB_I(state), DB_I(o->cursor),
                   DB_I(o->due), DB_I(o->done), DB_I(o->skipped), DB_I(now.ms), DB_I(now.ms));
    if (e)
        return e;
    struct json_w w = event_open(s);
    json_kv_cstr(&w, "kind", operation_kind_name(o->kind));
    json_kv_int(&w, "done", o->done);
    json_kv_int(&w, "skipped", o->skipped);
    return event_add(s, o->id,
                     state == OPERATION_DONE ? "operation.done" : "operation.cancelled", now,
                     &w, f);
}

/* Touches what was found, one after the other. *out_wait: something is full. */
static err touch_all(struct store *s, struct operation *o, const struct candidate *found,
                     size_t n, wall now, bool *out_wait, bool *out_all, struct fault *f)
{
    int64_t rows = DELETE_ROWS;
    *out_all = true;
    for (size_t i = 0; i < n; i++) {
        struct fault own = {0};
        err e = rows > 0 ? touch(s, o, &found[i], &rows, now, &own) : E_END;
        *out_wait = err_class(e) == ERR_WAIT || (e == E_DISK_FULL && !db_trouble(s->db));
        if (*out_wait || e == E_END) {
            *out_all = false;
            return E_OK;
        }
        if (e && e != E_CONFLICT && e != E_NOT_FOUND && e != E_SESSION)
            return fail(f, e, "%s", own.words);
        o->cursor = found[i].seq;
        o->done += e == E_OK;
        o->skipped += e != E_OK;
        o->due += e == E_OK ? interval_of(o) : 0;
    }
    return E_OK;
}

static err do_piece(struct store *s, struct operation *o, wall now, struct fault *f)
{
    struct candidate found[PIECE_MOST];
    size_t n = 0, most = allowed(o, now.ms);
    bool end = false, wait = false, all = true;
    if (!most)
        return E_OK;
    err e = find_candidates(s, o, most, found, &n, &end, f);
    if (!e)
        e = touch_all(s, o, found, n, now, &wait, &all, f);
    if (e)
        return e;
    if ((end && all) || (o->most && o->done >= o->most))
        return end_operation(s, o, OPERATION_DONE, now, f);
    int64_t due = o->due > now.ms ? o->due : now.ms + PAUSE_MS;
    if (wait)
        due = now.ms + WAIT_MS;
    return db_run(s->db, SQL_OPERATION_MOVE, f, DB_I(o->oid), DB_I(OPERATION_RUNNING),
                  DB_I(o->cursor), DB_I(due), DB_I(o->done), DB_I(o->skipped), DB_I(now.ms),
                  DB_NULL);
}

err sqlite_tend(struct store *s, wall now, struct fault *f)
{
    err e = store_usable(s, f);
    for (int i = 0; !e && i < OPERATIONS_AT_ONCE; i++) {
        struct operation o;
        struct query *q;
        e = db_ask(s->db, SQL_OPERATION_DUE, &q, f, DB_I(now.ms));
        if (e)
            return e;
        e = db_step(q, f);
        if (!e)
            read_operation(q, &o);
        db_end(q);
        if (!e)
            e = do_piece(s, &o, now, f);
    }
    if (e && e != E_END)
        return e;
    return batches_call_again(s, now, f);
}

/* ---- beginning and stopping ---- */

static err find_view(struct store *s, struct span id, struct arena *a,
                     struct operation_view *out, struct operation *o, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_OPERATION, &q, f, DB_T(id));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e && out)
        e = read_view(q, a, out, f);
    else if (e == E_END)
        e = fail(f, E_NOT_FOUND, "there is no operation %.*s", SP(span_cut(id, 0, 60)));
    if (!e && o)
        read_operation(q, o);
    db_end(q);
    return e;
}

static err newest_job(struct store *s, int64_t *out, struct fault *f)
{
    struct query *q;
    err e = db_ask_args(s->db, SQL_LAST_JOB, &q, f, NULL, 0);
    return e ? e : db_take_number(q, out, f);
}

/* The jobs it is about have numbers above first and at most last. */
static err range_of(struct store *s, const struct operation_args *a, int64_t *first,
                    int64_t *last, struct fault *f)
{
    *first = 0;
    if (a->job.n == 0)
        return newest_job(s, last, f);
    struct job_row r;
    err e = job_row_find(s, a->job, &r, f);
    if (!e && r.state != JOB_DEAD)
        e = fail(f, E_NOT_FOUND, "job %s is %s, not dead", r.id, job_state_name(r.state));
    if (e)
        return e;
    *first = r.seq - 1;
    *last = r.seq;
    return E_OK;
}

/* The columns that both kinds of filter have. */
static struct dead_filter rows_of(const struct operation_args *a, wall now)
{
    struct dead_filter by = a->filter;
    if (a->many)
        return (struct dead_filter){.failure = a->jobs.failure,
                                    .site = a->jobs.site,
                                    .kind = a->jobs.kind,
                                    .since_ms = a->jobs.since_ms,
                                    .until_ms = a->jobs.until_ms};
    if (!by.until_ms || by.until_ms > now.ms)
        by.until_ms = now.ms;
    return by;
}

static err add(struct store *s, int64_t batch, const struct operation_args *a, wall now,
               struct arena *arena, struct operation_view *out, struct fault *f)
{
    char lane[FILED_LANE];
    const struct jobs_filter *jobs = &a->jobs;
    const struct dead_filter by = rows_of(a, now);
    int64_t first, last;
    struct operation o;
    err e = asked_operation(a, f);
    if (!e)
        e = range_of(s, a, &first, &last, f);
    if (!e) {
        struct fault quiet = {0};
        e = find_view(s, a->id, NULL, NULL, &o, &quiet);
        e = e == E_NOT_FOUND ? E_OK : e ? e : asked_operation_exists(a->id, f);
    }
    if (!e)
        e = db_run(s->db, SQL_OPERATION_ADD, f, DB_T(a->id), DB_I(a->kind),
                   batch ? DB_I(batch) : DB_NULL, DB_I(by.failure), DB_T(by.site),
                   DB_T(by.kind), DB_T(by.fingerprint), DB_I(by.since_ms), DB_I(by.until_ms),
                   DB_I(a->reset), DB_I(a->per_minute), DB_I(first), DB_I(last), DB_I(now.ms),
                   DB_I(a->many), DB_I(jobs->states), DB_I(a->many ? jobs->class : -1),
                   DB_T(jobs->tenant), DB_T(jobs->target), DB_T(asked_lane_filed(jobs, lane)),
                   DB_I(jobs->held), DB_I(a->most), DB_I(a->prio), DB_T(a->why),
                   DB_T(jobs->labels));
    if (e || !out)
        return e;
    e = find_view(s, a->id, NULL, NULL, &o, f);
    if (!e)
        e = do_piece(s, &o, now, f);
    return e ? e : find_view(s, a->id, arena, out, NULL, f);
}

err sqlite_operation_start(struct store *s, const struct operation_args *args, wall now,
                           struct arena *a, struct operation_view *out, struct fault *f)
{
    err e = store_usable(s, f);
    if (!e && !args->many && args->kind == OPERATION_CANCEL)
        e = fail(f, E_BAD_INPUT, "dead jobs can be replayed or deleted");
    return e ? e : add(s, 0, args, now, a, out, f);
}

err operations_stop_for_batch(struct store *s, int64_t batch, wall now, struct fault *f)
{
    struct operation o;
    struct query *q;
    char id[ID_TEXT];
    err e = db_ask(s->db, SQL_OPERATION_OF_BATCH, &q, f, DB_I(batch));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e)
        span_copy(db_text(q, 0), id, sizeof id);
    db_end(q);
    if (!e)
        e = find_view(s, span_of(id), NULL, NULL, &o, f);
    if (!e)
        e = end_operation(s, &o, OPERATION_STOPPED, now, f);
    return e == E_END ? E_OK : e;
}

err operations_for_batch(struct store *s, int64_t batch, const struct operation_args *args,
                         wall now, struct arena *a, struct operation_view *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_OPERATION_OF_BATCH, &q, f, DB_I(batch));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e)
        e = asked_batch_busy(db_text(q, 0), f);
    db_end(q);
    return e == E_END ? add(s, batch, args, now, a, out, f) : e;
}

err sqlite_operation_cancel(struct store *s, struct span id, wall now, struct fault *f)
{
    struct operation o;
    struct operation_view v;
    struct arena *a = arena_new(64 * 1024);
    err e = store_usable(s, f);
    if (!e)
        e = find_view(s, id, a, &v, &o, f);
    if (!e && v.state == OPERATION_DONE)
        e = fail(f, E_CONFLICT, "operation %s is done", v.id);
    if (!e && v.state == OPERATION_RUNNING)
        e = end_operation(s, &o, OPERATION_STOPPED, now, f);
    arena_free(&a);
    return e;
}

/* ---- queries ---- */

err sqlite_operation(struct store *s, struct span id, struct arena *a,
                     struct operation_view *out, struct fault *f)
{
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    return find_view(s, id, a, out, NULL, f);
}

err sqlite_operations(struct store *s, struct span after, size_t limit, struct arena *a,
                      struct operation_view **out, size_t *out_count, struct fault *f)
{
    need(limit >= 1 && limit <= 200);
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    struct operation_view *all = arena_try(a, limit * sizeof *all);
    struct operation o = {.oid = INT64_MAX};
    struct query *q;
    size_t n = 0;
    if (!all)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    err e = after.n ? find_view(s, after, a, NULL, &o, f) : E_OK;
    if (!e)
        e = db_ask(s->db, SQL_OPERATIONS, &q, f, DB_I(o.oid), DB_I(limit));
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK && (e = read_view(q, a, &all[n], f)) == E_OK)
        n++;
    db_end(q);
    if (e != E_END)
        return e;
    *out = all;
    *out_count = n;
    return E_OK;
}

err sqlite_retain_batches(struct store *s, wall before, bool *out_more, struct fault *f)
{
    err e = store_usable(s, f);
    if (!e)
        e = db_run(s->db, SQL_OPERATIONS_OLD_EVENTS, f, DB_I(before.ms), DB_I(OLD_MOST));
    if (!e)
        e = db_run(s->db, SQL_OPERATIONS_OLD, f, DB_I(before.ms), DB_I(OLD_MOST));
    int64_t gone = e ? 0 : db_changes(s->db);
    if (!e)
        e = batches_retain(s, before, out_more, f);
    if (!e)
        *out_more = *out_more || gone == OLD_MOST;
    return e;
}
