/* batches.c - batches: made, added to, sealed; what follows when one of their jobs ends. */
#include "store/batches.h"
#include "store/sqlite/inside.h"
#include "store/ticket.h"

#include "base/json.h"
#include "base/need.h"

enum {
    CALL_WAIT_MS = 5000, /* the queue is full: the callback is accepted later */
    CALLS_AT_ONCE = 16,
    OLD_MOST = 50,
    EVENTS_MOST = 1000,    /* of a batch, deleted at once */
    EMPTY_JOBS_MOST = 64,  /* jobs without a record that one reading passes over */
    COUNTED_MOST = 500000, /* jobs that one list of batches counts */
};

struct batch {
    int64_t bid, stop_after, parallel, gone_well, gone_other, created, updated, finished,
        revision;
    char id[ID_TEXT];
    bool sealed, stopped, asked[BATCH_CALLS];
};

static void read_batch(struct query *q, struct batch *b)
{
    *b = (struct batch){
        .bid = db_int(q, 0),
        .sealed = db_int(q, 3) != 0,
        .stopped = db_int(q, 4) != 0,
        .stop_after = db_int(q, 5),
        .gone_well = db_int(q, 6),
        .gone_other = db_int(q, 7),
        .created = db_int(q, 8),
        .updated = db_int(q, 9),
        .finished = db_int(q, 10),
        .revision = db_int(q, 11),
        .asked = {db_int(q, 12) != 0, db_int(q, 13) != 0},
        .parallel = db_int(q, 14),
    };
    span_copy(db_text(q, 1), b->id, sizeof b->id);
}

/* One row of one of the two statements that find a batch; E_END: none. */
static err step_batch(struct query *q, struct arena *a, struct span *out_name,
                      struct batch *out, struct fault *f)
{
    err e = db_step(q, f);
    if (!e)
        read_batch(q, out);
    if (!e && out_name)
        e = db_keep(q, 2, a, out_name, f);
    db_end(q);
    return e;
}

static err find_batch(struct store *s, struct span id, struct batch *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_BATCH, &q, f, DB_T(id));
    if (!e)
        e = step_batch(q, NULL, NULL, out, f);
    return e == E_END ? asked_no_batch(id, f) : e;
}

/* A number that a statement answers; 0 when it has no row. */
static err ask_number(struct store *s, enum sql id, int64_t batch, int64_t *out,
                      struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, id, &q, f, DB_I(batch));
    if (e)
        return e;
    e = db_step(q, f);
    *out = e ? 0 : db_int(q, 0);
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err touch_batch(struct store *s, const struct batch *b, wall now, struct fault *f)
{
    return db_run(s->db, SQL_BATCH_TOUCH, f, DB_I(b->bid), DB_I(b->sealed), DB_I(b->stopped),
                  DB_I(now.ms), b->finished ? DB_I(b->finished) : DB_NULL);
}

/* An id that is the same again for the same thing of the same batch: made twice, it is one job. */
static void derive_id(const struct batch *b, const char *kind, uint64_t salt, wall now,
                      char out[ID_TEXT])
{
    uint8_t random[10];
    uint64_t first = span_hash(span_of(b->id), salt), second = span_hash(span_of(b->id), ~salt);
    memcpy(random, &first, 8);
    memcpy(random + 8, &second, 2);
    id_make(out, kind, now, random);
}

/* ---- callbacks ---- */

static const char *const call_names[BATCH_CALLS] = {"batch.complete", "batch.success"};

/* The ticket of the call, in the arena; empty: no job was asked for. */
static err read_ticket(struct store *s, const struct batch *b, enum batch_call call,
                       struct arena *a, struct span *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_BATCH_TICKET, &q, f, DB_I(b->bid), DB_I(call == BATCH_SUCCESS));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e)
        e = db_keep(q, 0, a, out, f);
    db_end(q);
    return e;
}

/* What keeps a callback's job from being accepted is not the matter of the job that ended. */
static bool is_ours(struct store *s, err e)
{
    return db_trouble(s->db) || e == E_STORE || e == E_BUG;
}

/* Callers above us may be about to touch other jobs, or to write a new one. A job with a unique key may
 * take the place of those, so it comes when nobody is above us: sqlite_tend() accepts it. */
static bool must_wait(const struct store *s, const struct accept_args *job)
{
    return s->accepting || (job->unique_key.n && !s->tending);
}

/* E_END: not now. */
static err accept_call(struct store *s, const struct batch *b, enum batch_call call,
                       struct arena *a, wall now, char out_job[ID_TEXT], struct fault *f)
{
    struct span ticket;
    struct accept_args job;
    struct accept_reply reply;
    err e = read_ticket(s, b, call, a, &ticket, f);
    if (!e)
        e = ticket_job(ticket, (wall){now.ms + s->real_ahead_ms}, a, &job, f);
    if (e)
        return e;
    derive_id(b, "job", (uint64_t)call, (wall){b->created}, out_job);
    job.id = span_of(out_job);
    if (must_wait(s, &job))
        return E_END;
    e = sqlite_accept(s, &job, now, &reply, f);
    if (!e)
        memcpy(out_job, reply.id, ID_TEXT); /* equal work may be there */
    return e;
}

/* Accepts the job of a call that was announced, or notes why not. */
static err make_call(struct store *s, const struct batch *b, enum batch_call call, wall now,
                     struct fault *f)
{
    struct arena *a = arena_new(4 * TICKET_MAX);
    struct fault own = {0};
    char job[ID_TEXT];
    err e = accept_call(s, b, call, a, now, job, &own);
    arena_free(&a);
    if (e && is_ours(s, e))
        return fail(f, e, "%s", own.words);
    bool later = err_class(e) == ERR_WAIT || e == E_DISK_FULL || e == E_END;
    int64_t due = e == E_END ? now.ms : now.ms + CALL_WAIT_MS;
    err wrote = db_run(s->db, SQL_CALL_SET, f, DB_I(b->bid), DB_I(call),
                       e ? DB_NULL : DB_T(span_of(job)), later ? DB_I(due) : DB_NULL,
                       e && e != E_END ? DB_T(span_of(own.words)) : DB_NULL);
    if (wrote || !e || later)
        return wrote;
    struct json_w w = event_open(s);
    json_kv_cstr(&w, "callback", call == BATCH_SUCCESS ? "success" : "complete");
    json_kv_cstr(&w, "why", own.words);
    return event_add(s, b->id, "batch.callback_failed", now, &w, f);
}

/* Announces it, unless it was announced before: the row decides. */
static err announce(struct store *s, const struct batch *b, enum batch_call call, wall now,
                    struct fault *f)
{
    err e = db_run(s->db, SQL_CALL_ADD, f, DB_I(b->bid), DB_I(call), DB_I(now.ms));
    if (e || db_changes(s->db) == 0)
        return e;
    struct json_w w = event_open(s);
    json_kv_cstr(&w, "state", call == BATCH_SUCCESS ? "success" : "complete");
    e = event_add(s, b->id, call_names[call], now, &w, f);
    return e || !b->asked[call] ? e : make_call(s, b, call, now, f);
}

static err call_again(struct store *s, wall now, struct fault *f)
{
    for (int i = 0; i < CALLS_AT_ONCE; i++) {
        struct query *q;
        struct batch b;
        err e = db_ask(s->db, SQL_CALLS_DUE, &q, f, DB_I(now.ms));
        if (e)
            return e;
        e = db_step(q, f);
        int64_t bid = e ? 0 : db_int(q, 0);
        enum batch_call call = e ? BATCH_COMPLETE : (enum batch_call)db_int(q, 1);
        db_end(q);
        if (e)
            return e == E_END ? E_OK : e;
        e = db_ask(s->db, SQL_BATCH_NUMBER, &q, f, DB_I(bid));
        if (!e)
            e = step_batch(q, NULL, NULL, &b, f);
        if (!e)
            e = make_call(s, &b, call, now, f);
        if (e)
            return e == E_END ? fail(f, E_STORE, "the job store is damaged (batches)") : e;
    }
    return E_OK;
}

err batches_call_again(struct store *s, wall now, struct fault *f)
{
    s->tending = true;
    err e = call_again(s, now, f);
    s->tending = false;
    return e;
}

/* ---- the end of a job ---- */

/* Sealed and nothing live: complete; and nothing that did not succeed: success. */
static err settle(struct store *s, struct batch *b, wall now, struct fault *f)
{
    int64_t live = 0, bad = 0;
    if (!b->sealed)
        return E_OK;
    err e = ask_number(s, SQL_BATCH_LIVE, b->bid, &live, f);
    if (e || live)
        return e;
    if (!b->finished) {
        b->finished = now.ms;
        e = touch_batch(s, b, now, f);
    }
    if (!e)
        e = announce(s, b, BATCH_COMPLETE, now, f);
    if (!e)
        e = ask_number(s, SQL_BATCH_BAD, b->bid, &bad, f);
    if (e || bad || b->gone_other)
        return e;
    return announce(s, b, BATCH_SUCCESS, now, f);
}

static err count_failed(struct store *s, const struct batch *b, int64_t *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_BATCH_FAILED, &q, f, DB_I(b->bid), DB_I(b->stop_after));
    if (!e)
        e = db_take_number(q, out, f);
    if (!e)
        *out += b->gone_other;
    return e;
}

/* Too many failed: what has not ended is cancelled, by an operation, not in this transaction. */
static err stop(struct store *s, struct batch *b, wall now, struct fault *f)
{
    int64_t live;
    char id[ID_TEXT];
    err e = ask_number(s, SQL_BATCH_LIVE, b->bid, &live, f);
    if (e || !live)
        return e;
    b->stopped = b->sealed = true;
    e = touch_batch(s, b, now, f);
    if (!e)
        e = operations_stop_for_batch(s, b->bid, now, f);
    if (e)
        return e;
    derive_id(b, "opr", (uint64_t)now.ms, now, id);
    struct operation_args args = {
        .id = span_of(id), .kind = OPERATION_CANCEL, .filter = {.failure = -1}};
    e = operations_for_batch(s, b->bid, &args, now, NULL, NULL, f);
    if (e)
        return e;
    struct json_w w = event_open(s);
    json_kv_int(&w, "failures", b->stop_after);
    json_kv_cstr(&w, "operation", id);
    return event_add(s, b->id, "batch.stopped", now, &w, f);
}

err batches_child_ended(struct store *s, int64_t batch, enum job_state state, wall now,
                        struct fault *f)
{
    struct batch b;
    struct query *q;
    int64_t failed = 0;
    err e = db_ask(s->db, SQL_BATCH_NUMBER, &q, f, DB_I(batch));
    if (!e)
        e = step_batch(q, NULL, NULL, &b, f);
    if (e)
        return e == E_END ? fail(f, E_STORE, "the job store is damaged (batches)") : e;
    bool fails = state == JOB_DEAD || state == JOB_EXPIRED;
    if (fails && b.stop_after && !b.stopped) {
        e = count_failed(s, &b, &failed, f);
        if (!e && failed >= b.stop_after)
            e = stop(s, &b, now, f);
    }
    return e ? e : settle(s, &b, now, f);
}

/* ---- adding ---- */

/* Of one job alone: another one may still be accepted. */
static bool is_soft(struct store *s, err e)
{
    return !db_trouble(s->db) &&
           (e == E_CONFLICT || e == E_BAD_INPUT || err_class(e) == ERR_WAIT || e == E_TOO_BIG ||
            e == E_DISK_FULL || e == E_SESSION);
}

static err add_one(struct store *s, int64_t bid, struct parallel *p,
                   const struct accept_args *args, wall now, struct fault *f)
{
    struct accept_reply reply = {0};
    struct accept_args with_row = *args;
    const struct accept_args *job = &with_row;
    with_row.after = parallel_after(p);
    err e = asked_child(job, f);
    s->batching = true;
    if (!e)
        e = sqlite_accept(s, job, now, &reply, f);
    s->batching = false;
    /* A job that was there before (an equal one, by its unique key) stays what it is. */
    if (!e && !span_is(job->id, reply.id))
        e = asked_child_there(span_of(reply.id), f);
    if (!e)
        e = db_run(s->db, SQL_BATCH_CHILD, f, DB_T(job->id), DB_I(bid));
    return e ? e : parallel_added(s, p, job->id, f);
}

/* All of them, or with `partial` all that can be. On an error the caller takes back what is there. */
static err add_all(struct store *s, int64_t bid, struct parallel *p,
                   const struct accept_args *jobs, size_t count, bool partial, wall now,
                   struct arena *a, struct batch_reply *reply, struct fault *f)
{
    reply->refused = arena_try(a, (count + 1) * sizeof *reply->refused);
    if (!reply->refused)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    for (size_t i = 0; i < count; i++) {
        struct fault own = {0};
        err e = add_one(s, bid, p, &jobs[i], now, &own);
        if (e && !is_soft(s, e))
            return fail(f, e, "%s", own.words);
        reply->added += e == E_OK;
        if (!e)
            continue;
        err kept = asked_child_refused(reply, i, e, span_of(own.words), a, f);
        if (kept)
            return kept;
        if (partial)
            continue;
        if (f && !f->code)
            f->wait_ms = own.wait_ms;
        return asked_batch_refused(reply, true, f);
    }
    return count && !reply->added ? asked_batch_refused(reply, false, f) : E_OK;
}

/* Ends the part that group_mark() began: kept when e is E_OK, else taken back; e stays what it was. */
static err end_part(struct store *s, err e, struct fault *f)
{
    if (!e)
        return group_keep(s, f);
    err undone = db_trouble(s->db) ? E_OK : group_rewind(s, f);
    return undone ? undone : e;
}

/* E_END: no batch has the key. */
static err find_by_key(struct store *s, const struct batch_args *a, struct batch_reply *out,
                       struct fault *f)
{
    struct query *q;
    if (a->idempotency_key.n == 0)
        return E_END;
    err e = db_ask(s->db, SQL_BATCH_BY_KEY, &q, f, DB_T(a->tenant), DB_T(a->idempotency_key));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e && (uint64_t)db_int(q, 1) != a->request_hash)
        e = asked_key_used(f);
    if (!e) {
        span_copy(db_text(q, 0), out->id, sizeof out->id);
        out->replayed = true;
    }
    db_end(q);
    return e;
}

static err write_batch(struct store *s, const struct batch_args *a, wall now, struct fault *f)
{
    bool keyed = a->idempotency_key.n > 0;
    return db_run(s->db, SQL_BATCH_ADD, f, DB_T(a->id), DB_T(a->tenant), DB_T(a->name),
                  DB_I(!a->open), DB_I(a->stop_after),
                  db_text_or_null(a->calls[BATCH_COMPLETE]),
                  db_text_or_null(a->calls[BATCH_SUCCESS]), db_text_or_null(a->idempotency_key),
                  keyed ? DB_I(a->request_hash) : DB_NULL, DB_I(now.ms), DB_I(a->parallel));
}

static err create(struct store *s, const struct batch_args *args, wall now, struct arena *a,
                  struct batch_reply *reply, struct fault *f)
{
    struct parallel p;
    err e = write_batch(s, args, now, f);
    int64_t bid = db_last_row(s->db);
    if (!e)
        e = parallel_open(s, bid, args->parallel, &p, f);
    if (!e)
        e = add_all(s, bid, &p, args->jobs, args->count, args->partial, now, a, reply, f);
    if (e)
        return e;
    span_copy(args->id, reply->id, sizeof reply->id);
    struct json_w w = event_open(s);
    json_kv_text(&w, "name", args->name.n ? args->name : SPAN(""));
    json_kv_int(&w, "jobs", reply->added);
    json_kv_bool(&w, "sealed", !args->open);
    e = event_add(s, reply->id, "batch.created", now, &w, f);
    struct batch b;
    if (!e)
        e = find_batch(s, args->id, &b, f);
    return e ? e : settle(s, &b, now, f); /* earlier results may have answered all jobs */
}

err sqlite_batch_create(struct store *s, const struct batch_args *args, wall now,
                        struct arena *a, struct batch_reply *out, struct fault *f)
{
    struct batch_reply reply = {0};
    struct batch taken;
    struct fault quiet = {0};
    err e = store_usable(s, f);
    if (!e)
        e = asked_batch_new(args, f);
    if (e)
        return e;
    e = find_by_key(s, args, &reply, f);
    if (e == E_OK)
        *out = reply;
    if (e != E_END)
        return e;
    e = find_batch(s, args->id, &taken, &quiet);
    if (e != E_NOT_FOUND)
        return e ? e : asked_batch_exists(args->id, f);
    e = group_mark(s, f);
    if (!e)
        e = end_part(s, create(s, args, now, a, &reply, f), f);
    *out = reply; /* also what was refused */
    return e;
}

/* E_END: this addition was not made before. */
static err find_added(struct store *s, const struct batch *b, const struct batch_add_args *a,
                      struct batch_reply *out, struct fault *f)
{
    struct query *q;
    if (a->idempotency_key.n == 0)
        return E_END;
    err e = db_ask(s->db, SQL_BATCH_ADDED, &q, f, DB_I(b->bid), DB_T(a->idempotency_key));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e && (uint64_t)db_int(q, 0) != a->request_hash)
        e = asked_key_used(f);
    if (!e) {
        out->added = db_int(q, 1);
        out->replayed = true;
    }
    db_end(q);
    return e;
}

err sqlite_batch_keyed(struct store *s, struct span tenant, struct span batch, struct span key,
                       struct fault *f)
{
    struct query *q;
    struct batch b;
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    err e = batch.n ? find_batch(s, batch, &b, f) : E_OK;
    if (!e)
        e = batch.n ? db_ask(s->db, SQL_BATCH_ADDED, &q, f, DB_I(b.bid), DB_T(key))
                    : db_ask(s->db, SQL_BATCH_BY_KEY, &q, f, DB_T(tenant), DB_T(key));
    if (e)
        return e;
    e = db_step(q, f);
    db_end(q);
    return e == E_END ? asked_no_key(f) : e;
}

static err add_to(struct store *s, struct batch *b, const struct batch_add_args *args, wall now,
                  struct arena *a, struct batch_reply *reply, struct fault *f)
{
    struct parallel p;
    err e = parallel_open(s, b->bid, b->parallel, &p, f);
    if (!e)
        e = add_all(s, b->bid, &p, args->jobs, args->count, args->partial, now, a, reply, f);
    if (!e && args->idempotency_key.n)
        e = db_run(s->db, SQL_BATCH_ADDED_NOTE, f, DB_I(b->bid), DB_T(args->idempotency_key),
                   DB_I(args->request_hash), DB_I(reply->added));
    return e ? e : touch_batch(s, b, now, f);
}

err sqlite_batch_add(struct store *s, const struct batch_add_args *args, wall now,
                     struct arena *a, struct batch_reply *out, struct fault *f)
{
    struct batch_reply reply = {0};
    struct batch b;
    int64_t size = 0;
    err e = store_usable(s, f);
    if (!e)
        e = asked_batch_jobs(args->count, args->idempotency_key, f);
    if (!e)
        e = find_batch(s, args->id, &b, f);
    if (e)
        return e;
    memcpy(reply.id, b.id, sizeof reply.id);
    e = find_added(s, &b, args, &reply, f);
    if (e == E_OK)
        *out = reply;
    if (e != E_END)
        return e;
    if (b.sealed)
        return asked_batch_sealed(args->id, f);
    e = ask_number(s, SQL_BATCH_SIZE, b.bid, &size, f);
    if (!e && size + (int64_t)args->count > BATCH_JOBS_MOST)
        e = asked_batch_full(f);
    if (!e)
        e = group_mark(s, f);
    if (e)
        return e;
    e = end_part(s, add_to(s, &b, args, now, a, &reply, f), f);
    *out = reply;
    return e;
}

err sqlite_batch_seal(struct store *s, struct span id, wall now, struct fault *f)
{
    struct batch b;
    err e = store_usable(s, f);
    if (!e)
        e = find_batch(s, id, &b, f);
    if (e || b.sealed)
        return e;
    b.sealed = true;
    e = touch_batch(s, &b, now, f);
    if (e)
        return e;
    struct json_w w = event_open(s);
    e = event_add(s, b.id, "batch.sealed", now, &w, f);
    return e ? e : settle(s, &b, now, f);
}

/* ---- cancel, retry ---- */

err sqlite_batch_cancel(struct store *s, struct span id, struct span operation_id, wall now,
                        struct arena *a, struct operation_view *out, struct fault *f)
{
    struct batch b;
    int64_t live = 0;
    struct operation_args args = {
        .id = operation_id, .kind = OPERATION_CANCEL, .filter = {.failure = -1}};
    err e = store_usable(s, f);
    if (!e)
        e = find_batch(s, id, &b, f);
    if (!e)
        e = ask_number(s, SQL_BATCH_LIVE, b.bid, &live, f);
    if (!e && !live && b.sealed)
        e = asked_batch_ended(id, f);
    if (e)
        return e;
    /* Whatever brings jobs back must not do so behind our back. */
    e = operations_stop_for_batch(s, b.bid, now, f);
    b.sealed = b.stopped = true;
    if (!e)
        e = touch_batch(s, &b, now, f);
    if (e)
        return e;
    struct json_w w = event_open(s);
    json_kv_text(&w, "operation", operation_id);
    e = event_add(s, b.id, "batch.cancelled", now, &w, f);
    if (!e)
        e = operations_for_batch(s, b.bid, &args, now, a, out, f);
    return e || live ? e : settle(s, &b, now, f);
}

err sqlite_batch_retry(struct store *s, struct span id, const struct operation_args *args,
                       wall now, struct arena *a, struct operation_view *out, struct fault *f)
{
    struct batch b;
    struct query *q;
    int64_t failed = 0;
    struct operation_args own = {.id = args->id,
                                 .kind = OPERATION_REPLAY,
                                 .filter = {.failure = -1},
                                 .per_minute = args->per_minute,
                                 .reset = args->reset};
    err e = store_usable(s, f);
    if (!e)
        e = find_batch(s, id, &b, f);
    if (!e)
        e = db_ask(s->db, SQL_BATCH_FAILED, &q, f, DB_I(b.bid), DB_I(1));
    if (e)
        return e;
    e = db_step(q, f);
    failed = e ? 0 : db_int(q, 0);
    db_end(q);
    if (!e && !failed)
        e = asked_batch_well(id, f);
    if (!e)
        e = operations_for_batch(s, b.bid, &own, now, a, out, f);
    if (e)
        return e;
    /* Its failures count from new. */
    b.stopped = false;
    e = touch_batch(s, &b, now, f);
    if (e)
        return e;
    struct json_w w = event_open(s);
    json_kv_text(&w, "operation", own.id);
    return event_add(s, b.id, "batch.retried", now, &w, f);
}

/* ---- queries ---- */

static err read_counts(struct store *s, int64_t bid, struct batch_view *v, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_BATCH_COUNTS, &q, f, DB_I(bid));
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK) {
        int64_t state = db_int(q, 0);
        need(state >= 0 && state < JOB_STATES);
        v->counts[state] = db_int(q, 1);
    }
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err read_calls(struct store *s, int64_t bid, struct arena *a, struct batch_view *v,
                      struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_CALLS, &q, f, DB_I(bid));
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK) {
        struct batch_call_view *c = &v->calls[db_int(q, 0) == BATCH_SUCCESS];
        c->at_ms = db_int(q, 1);
        c->due_ms = db_int(q, 3);
        span_copy(db_text(q, 2), c->job, sizeof c->job);
        e = db_keep(q, 4, a, &c->why, f);
        if (e)
            break;
    }
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err read_operation(struct store *s, int64_t bid, struct batch_view *v, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_OPERATION_OF_BATCH, &q, f, DB_I(bid));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e)
        span_copy(db_text(q, 0), v->operation, sizeof v->operation);
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err fill_view(struct store *s, const struct batch *b, struct span name, struct arena *a,
                     struct batch_view *v, struct fault *f)
{
    *v = (struct batch_view){
        .name = name,
        .sealed = b->sealed,
        .stopped = b->stopped,
        .stop_after = b->stop_after,
        .parallel = b->parallel,
        .gone_well = b->gone_well,
        .gone_otherwise = b->gone_other,
        .created_ms = b->created,
        .updated_ms = b->updated,
        .finished_ms = b->finished,
        .revision = b->revision,
    };
    memcpy(v->id, b->id, sizeof v->id);
    for (int i = 0; i < BATCH_CALLS; i++)
        v->calls[i].asked = b->asked[i];
    err e = read_counts(s, b->bid, v, f);
    if (!e)
        e = read_operation(s, b->bid, v, f);
    return e ? e : read_calls(s, b->bid, a, v, f);
}

err sqlite_batch(struct store *s, struct span id, struct arena *a, struct batch_view *out,
                 struct fault *f)
{
    struct batch b;
    struct span name;
    struct query *q;
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    err e = db_ask(s->db, SQL_BATCH, &q, f, DB_T(id));
    if (!e)
        e = step_batch(q, a, &name, &b, f);
    if (e == E_END)
        return asked_no_batch(id, f);
    return e ? e : fill_view(s, &b, name, a, out, f);
}

static int64_t jobs_of(const struct batch_view *v)
{
    int64_t n = 0;
    for (int i = 0; i < JOB_STATES; i++)
        n += v->counts[i];
    return n;
}

err sqlite_batches(struct store *s, struct span after, size_t limit, struct arena *a,
                   struct batch_view **out, size_t *out_count, bool *out_more, struct fault *f)
{
    need(limit >= 1 && limit <= 100);
    struct batch b = {.bid = INT64_MAX};
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    struct batch_view *all = arena_try(a, limit * sizeof *all);
    if (!all)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    err e = after.n ? find_batch(s, after, &b, f) : E_OK;
    size_t n = 0;
    /* Counting large batches takes time: a page ends early then. */
    for (int64_t counted = 0; !e && n < limit && counted < COUNTED_MOST;) {
        struct query *q;
        struct span name;
        e = db_ask(s->db, SQL_BATCHES, &q, f, DB_I(b.bid), DB_I(1));
        if (!e)
            e = step_batch(q, a, &name, &b, f);
        if (!e)
            e = fill_view(s, &b, name, a, &all[n], f);
        if (!e)
            counted += jobs_of(&all[n++]);
    }
    if (e && e != E_END)
        return e;
    *out = all;
    *out_count = n;
    *out_more = e == E_OK;
    return E_OK;
}

static err start_of(struct store *s, struct span after, int64_t *out_seq, struct fault *f)
{
    *out_seq = 0;
    return after.n ? items_job(s, after, out_seq, f) : E_OK;
}

err sqlite_batch_jobs(struct store *s, const struct batch_jobs_query *query, wall now,
                      struct arena *a, struct job_view **out, size_t *out_count,
                      struct fault *f)
{
    need(query->limit >= 1 && query->limit <= 501);
    struct batch b;
    struct query *q;
    int64_t seq;
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    err e = find_batch(s, query->id, &b, f);
    if (!e)
        e = start_of(s, query->after, &seq, f);
    if (!e)
        e = db_ask(s->db, query->state < 0 ? SQL_BATCH_JOBS : SQL_BATCH_JOBS_IN_STATE, &q, f,
                   DB_I(b.bid), DB_I(seq), DB_I(query->state), DB_I(query->limit));
    return e ? e : job_views_take(s, now, q, query->limit, a, out, out_count, f);
}

/* The first job of the batch at or behind place->job; E_END: none. */
static err job_at(struct store *s, int64_t bid, struct batch_place *place, char id[ID_TEXT],
                  struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_BATCH_JOB_NEXT, &q, f, DB_I(bid), DB_I(place->job));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e && place->job != db_int(q, 0))
        *place = (struct batch_place){.job = db_int(q, 0), .ord = -1};
    if (!e)
        span_copy(db_text(q, 1), id, ID_TEXT);
    db_end(q);
    return e;
}

err sqlite_batch_items(struct store *s, struct span id, int kind, size_t limit,
                       size_t bytes_max, struct arena *a, struct batch_place *place,
                       struct item_view **out, size_t *out_count, struct fault *f)
{
    struct batch b;
    char job[ID_TEXT];
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    err e = find_batch(s, id, &b, f);
    *out_count = 0;
    for (int i = 0; !e && i < EMPTY_JOBS_MOST && *out_count == 0; i++) {
        e = job_at(s, b.bid, place, job, f);
        if (!e)
            e = sqlite_items(s, span_of(job), kind, place->ord, limit, bytes_max, a, out,
                             out_count, f);
        if (e)
            break;
        if (*out_count)
            place->ord = (*out)[*out_count - 1].ord;
        else
            *place = (struct batch_place){.job = place->job + 1, .ord = -1};
    }
    place->end = e == E_END;
    return e == E_END ? E_OK : e;
}

/* ---- retention ---- */

/* *out_more: it has more events than go at once. */
static err forget(struct store *s, int64_t bid, const char *id, bool *out_more, struct fault *f)
{
    err e = db_run(s->db, SQL_EVENTS_DELETE, f, DB_T(span_of(id)), DB_I(EVENTS_MOST));
    if (!e && db_changes(s->db) == EVENTS_MOST) {
        *out_more = true;
        return E_OK;
    }
    if (!e)
        e = db_run(s->db, SQL_CALLS_DELETE, f, DB_I(bid));
    if (!e)
        e = db_run(s->db, SQL_ADDS_DELETE, f, DB_I(bid));
    return e ? e : db_run(s->db, SQL_BATCH_DELETE, f, DB_I(bid));
}

err batches_retain(struct store *s, wall before, bool *out_more, struct fault *f)
{
    struct {
        int64_t bid;
        char id[ID_TEXT];
    } old[OLD_MOST];
    size_t n = 0;
    struct query *q;
    err e = db_ask(s->db, SQL_BATCHES_OLD, &q, f, DB_I(before.ms), DB_I(OLD_MOST));
    if (e)
        return e;
    while (n < OLD_MOST && (e = db_step(q, f)) == E_OK) {
        old[n].bid = db_int(q, 0);
        span_copy(db_text(q, 1), old[n++].id, sizeof old[0].id);
    }
    db_end(q);
    e = e == E_END ? E_OK : e;
    *out_more = n == OLD_MOST;
    for (size_t i = 0; !e && i < n; i++)
        e = forget(s, old[i].bid, old[i].id, out_more, f);
    return e;
}
