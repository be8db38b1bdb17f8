/* batches.c - batches of jobs (store/batches.h). The decisions are in batch.lua and batch_act.lua, and in batches.lua what
 * follows when a job of one ends. */
#include "store/batches.h"

#include "base/id.h"
#include "base/need.h"
#include "os/random.h"
#include "store/redis/inside.h"
#include "store/ticket.h"

enum {
    LIST_STEP = 50,
    JOBS_STEP = 50,
    EMPTY_JOBS_MOST = 64, /* jobs without a record that one reading passes over */
    CALLS_AT_ONCE = 16,
    ORDERS_AT_ONCE = 16,   /* that upkeep brings in */
    JOBS_BYTES = 48 << 20, /* of one call, as they are sent */
    /* That one script takes: Redis does nothing else meanwhile. More come in pieces of so many. */
    JOBS_AT_ONCE = 20,
    TOKEN = ID_TEXT + CALL_NUMBER,
    ENTERS_MOST = BATCH_ADD_MOST / JOBS_AT_ONCE + 1,
};

/* ---- jobs as one text: what take.lua is asked for each ---- */

/* Jobs that come into a batch, and what becomes of them. */
struct order {
    const struct accept_args *jobs;
    size_t count;
    bool partial;
    struct span batch, tenant, key; /* batch empty: they make one */
    uint64_t hash;
    int64_t accepted_ms; /* of a new one */
    char *token;         /* of their pieces, when one script does not take them all */
    size_t staged;       /* so many are */
    /* Jobs that cannot even be asked for, by index, and why; E_OK: asked for. */
    err *unfit;
    struct span *unfit_words;
    struct arena *arena;
    struct batch_reply reply;
};

static err order_init(struct order *o, struct fault *f)
{
    struct arena *a = o->arena;
    o->unfit = arena_try(a, (o->count + 1) * sizeof *o->unfit);
    o->unfit_words = arena_try(a, (o->count + 1) * sizeof *o->unfit_words);
    o->reply.refused = arena_try(a, (o->count + 1) * sizeof *o->reply.refused);
    return o->unfit && o->unfit_words && o->reply.refused
               ? E_OK
               : fail(f, E_TOO_BIG, "the answer of the job store does not fit");
}

/* One job; its texts are made in the arena of the operation. */
static err pack_job(struct store *s, const struct accept_args *job, struct buf *out,
                    struct fault *f)
{
    struct call c = {0};
    err e = accept_put(s, &c, job, f);
    buf_clear(out);
    for (size_t i = 0; !e && i < c.count; i++)
        packed_add(out, c.args[i]);
    if (!e && out->failed)
        e = fail(f, E_TOO_BIG, "the texts of the job are too long");
    return e;
}

static err note_unfit(struct order *o, size_t i, err e, const struct fault *own,
                      struct fault *f)
{
    o->unfit[i] = e;
    return store_keep(o->arena, span_of(own->words), &o->unfit_words[i], f);
}

/* Those from `first` to before `end`; those that cannot be asked for are empty. */
static err pack_jobs(struct store *s, struct order *o, size_t first, size_t end,
                     struct buf *out, struct fault *f)
{
    struct buf one = BUF(8 * STORE_SPEC_MAX);
    err e = E_OK;
    for (size_t i = first; !e && i < end; i++) {
        struct fault own = {0};
        err bad = asked_child(&o->jobs[i], &own);
        if (!bad)
            bad = pack_job(s, &o->jobs[i], &one, &own);
        if (bad)
            e = note_unfit(o, i, bad, &own, f);
        packed_add(out, bad ? SPAN("") : buf_span(&one));
    }
    buf_free(&one);
    if (!e && out->failed)
        e = fail(f, E_TOO_BIG, "the jobs have more than %d MiB; add them in several parts",
                 JOBS_BYTES >> 20);
    return e;
}

/* ---- what was refused ---- */

enum { REFUSAL_INDEX, REFUSAL_REPLY };

/* Behind its index stands what take.lua said of it. */
static err why_refused(struct store *s, const struct reply *said_of,
                       const struct accept_args *job, struct fault *f)
{
    const struct reply reply = {.kind = REPLY_LIST,
                                .list = said_of->list + REFUSAL_REPLY,
                                .count = said_of->count - REFUSAL_REPLY};
    if (said(&reply) == SAID_OK)
        return asked_child_there(reply_text(&reply, 1), f);
    return accept_refused(s, &reply, job->id, job->lane, job->site, job->pool, f);
}

static err read_refusal(struct store *s, const struct reply *r, struct order *o,
                        struct fault *f)
{
    size_t i = (size_t)reply_number(r, REFUSAL_INDEX);
    struct fault own = {0};
    if (r->count == 0 || i >= o->count)
        return fail(f, E_STORE, "a script of the queue answered in a shape that is not ours");
    if (o->unfit[i])
        return asked_child_refused(&o->reply, i, o->unfit[i], o->unfit_words[i], o->arena, f);
    err why = why_refused(s, r, &o->jobs[i], &own);
    if (f && !f->code && own.wait_ms)
        f->wait_ms = own.wait_ms;
    return asked_child_refused(&o->reply, i, why, span_of(own.words), o->arena, f);
}

/* The reply of one script behind its first words: how many came in, and which did not. */
static err read_added(struct store *s, const struct reply *r, struct order *o, struct fault *f)
{
    enum { ADDED = 2, REFUSALS };
    struct fault hint = {0};
    err e = E_OK;
    o->reply.added = reply_number(r, ADDED);
    for (size_t i = REFUSALS; !e && i + 1 < r->count; i++)
        e = read_refusal(s, reply_list(r, i), o, &hint);
    if (e)
        return fail(f, e, "%s", hint.words);
    if (said(r) != SAID_END || !o->reply.refused_count)
        return E_OK;
    if (f && !f->code)
        f->wait_ms = hint.wait_ms;
    return asked_batch_refused(&o->reply, !o->partial, f);
}

/* ---- making one, adding to it ---- */

/* The job of a callback, as take.lua is asked for it, its times counting from then; or why there can be none. */
err callback_put(struct store *s, struct call *c, struct span ticket, struct fault *f)
{
    struct fault own = {0};
    struct accept_args job;
    struct buf packed = BUF(8 * STORE_SPEC_MAX);
    char id[ID_TEXT];
    uint8_t random[10];
    call_text(c, ticket);
    random_bytes(random, sizeof random);
    id_make(id, "job", s->now, random);
    err e = ticket.n ? ticket_job(ticket, (wall){0}, s->own, &job, &own) : E_END;
    job.id = span_of(id);
    if (!e)
        e = pack_job(s, &job, &packed, &own);
    struct span kept = arena_keep(s->own, e ? SPAN("") : buf_span(&packed));
    struct span words = arena_keep(s->own, e && e != E_END ? span_of(own.words) : SPAN(""));
    buf_free(&packed);
    if (!kept.p || !words.p)
        return fail(f, E_TOO_BIG, "the job of a callback is too long");
    call_text(c, kept);
    call_text(c, words);
    if (words.n)
        call_json(s, c, words);
    else
        call_text(c, SPAN_NONE);
    return E_OK;
}

/* Why nothing of an order is even looked at; E_OK: it is, or was before. */
static err not_begun(const struct reply *r, struct span id, struct fault *f)
{
    if (said(r) == SAID_NONE)
        return asked_no_batch(id, f);
    if (said(r) == SAID_BODY)
        return asked_key_used(f);
    if (said(r) == SAID_STATE)
        return asked_batch_exists(id, f);
    if (said(r) == SAID_CLOSED)
        return asked_batch_sealed(id, f);
    if (said(r) == SAID_STALE)
        return fail(f, E_BUSY, "it took too long until all jobs were there; order them again");
    return said(r) == SAID_FULL ? asked_batch_full(f) : E_OK;
}

static bool was_before(const struct reply *r)
{
    return said(r) == SAID_OK && reply_text(r, 1).n > 0;
}

static err ask_stage(struct store *s, struct order *o, size_t first, wall now,
                     struct reply *out, struct fault *f)
{
    struct call c = {0};
    struct buf jobs = BUF(JOBS_BYTES);
    size_t end = o->count - first < JOBS_AT_ONCE ? o->count : first + JOBS_AT_ONCE;
    store_fresh(s);
    err e = pack_jobs(s, o, first, end, &jobs, f);
    call_text(&c, SPAN("stage"));
    call_text(&c, span_of(o->token));
    call_text(&c, o->batch);
    call_flag(&c, o->partial);
    call_text(&c, o->tenant);
    call_text(&c, o->key);
    call_hex(&c, o->hash);
    call_number(&c, (int64_t)first);
    call_text(&c, buf_span(&jobs));
    call_number(&c, o->accepted_ms);
    if (!e)
        e = store_write(s, SCRIPT_BATCH, &c, now, out, f);
    buf_free(&jobs);
    return e;
}

/* Puts jobs that one script does not take beside the queue, in pieces: nothing of them counts until all are there. The
 * last reply is left in *out. */
static err stage(struct store *s, struct order *o, wall now, struct reply *out, struct fault *f)
{
    err e = E_OK;
    for (size_t first = 0; !e && first < o->count; first += JOBS_AT_ONCE) {
        e = ask_stage(s, o, first, now, out, f);
        if (!e && was_before(out))
            return E_OK;
        if (!e)
            e = not_begun(out, o->batch.n ? o->batch : span_of(o->token), f);
        if (!e)
            e = read_added(s, out, o, f);
        o->staged += e ? 0 : (size_t)o->reply.added;
    }
    return !e && !o->staged ? asked_batch_refused(&o->reply, false, f) : e;
}

/* What is not committed goes; the walk takes what cannot be reached now. */
static void drop_staged(struct store *s, const struct order *o, wall now)
{
    struct reply ignored;
    struct call c = {0};
    store_fresh(s);
    call_text(&c, SPAN("drop"));
    call_text(&c, span_of(o->token));
    err e = store_write(s, SCRIPT_BATCH_ACT, &c, now, &ignored, NULL);
    (void)e;
}

/* Some jobs that were accepted become jobs of the queue. token empty: of those that are due first, whose token it becomes. */
static err enter(struct store *s, char token[TOKEN], wall now, bool *out_more, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    store_fresh(s);
    call_text(&c, SPAN("enter"));
    call_text(&c, span_of(token));
    err e = store_write(s, SCRIPT_BATCH_ACT, &c, now, &r, f);
    if (e)
        return e;
    *out_more = reply_number(&r, 1) != 0;
    span_copy(reply_text(&r, 2), token, TOKEN);
    return E_OK;
}

/* All that belong together. */
static err enter_all(struct store *s, char token[TOKEN], wall now, struct fault *f)
{
    err e = E_OK;
    bool more = true;
    for (int i = 0; !e && more && i < ENTERS_MOST; i++)
        e = enter(s, token, now, &more, f);
    return e;
}

/* Those that cannot come in hold up no others, while Redis is there; the first error is the caller's. */
err batches_enter(struct store *s, wall now, struct fault *f)
{
    err first = E_OK;
    bool some = true;
    for (int i = 0; some && i < ORDERS_AT_ONCE; i++) {
        char token[TOKEN] = "";
        err e = enter_all(s, token, now, first ? NULL : f);
        some = e ? link_state(s->link).connected : token[0] != '\0';
        first = first ? first : e;
    }
    return first;
}

err batch_job_enter(struct store *s, struct span id, wall now, bool *out, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    char token[TOKEN];
    store_fresh(s);
    call_text(&c, SPAN("with"));
    call_text(&c, id);
    err e = store_look(s, SCRIPT_BATCH_ACT, &c, now, &r, f);
    if (e)
        return e;
    span_copy(reply_text(&r, 1), token, sizeof token);
    *out = token[0] != '\0';
    return *out ? enter_all(s, token, now, f) : E_OK;
}

/* Behind the other arguments: the jobs, or how many of them are staged. */
static err put_jobs(struct store *s, struct order *o, struct call *c, struct buf *jobs,
                    struct fault *f)
{
    err e = o->staged ? E_OK : pack_jobs(s, o, 0, o->count, jobs, f);
    call_text(c, buf_span(jobs));
    call_number(c, (int64_t)o->staged);
    call_text(c, span_of(o->token));
    return e;
}

static err ask_create(struct store *s, const struct batch_args *args, struct order *o, wall now,
                      struct reply *out, struct fault *f)
{
    struct call c = {0};
    struct buf jobs = BUF(JOBS_BYTES);
    err e = E_OK;
    store_fresh(s);
    call_text(&c, SPAN("create"));
    call_text(&c, args->id);
    call_text(&c, args->tenant);
    call_text(&c, args->name);
    call_json(s, &c, args->name);
    call_flag(&c, !args->open);
    call_number(&c, args->stop_after);
    call_number(&c, args->parallel);
    call_text(&c, args->idempotency_key);
    call_hex(&c, args->request_hash);
    call_flag(&c, args->partial);
    for (int i = 0; !e && i < BATCH_CALLS; i++)
        e = callback_put(s, &c, args->calls[i], f);
    if (!e)
        e = put_jobs(s, o, &c, &jobs, f);
    call_number(&c, o->accepted_ms);
    if (!e)
        e = store_write(s, SCRIPT_BATCH, &c, now, out, f);
    buf_free(&jobs);
    return e;
}

static err ask_add(struct store *s, const struct batch_add_args *args, struct order *o,
                   wall now, struct reply *out, struct fault *f)
{
    struct call c = {0};
    struct buf jobs = BUF(JOBS_BYTES);
    store_fresh(s);
    call_text(&c, SPAN("add"));
    call_text(&c, args->id);
    call_flag(&c, args->partial);
    call_text(&c, args->idempotency_key);
    call_hex(&c, args->request_hash);
    call_number(&c, BATCH_JOBS_MOST);
    call_number(&c, (int64_t)args->count);
    err e = put_jobs(s, o, &c, &jobs, f);
    if (!e)
        e = store_write(s, SCRIPT_BATCH, &c, now, out, f);
    buf_free(&jobs);
    return e;
}

static int by_index(const void *a, const void *b)
{
    const struct batch_refusal *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* What the script said that takes them, or lets them come. */
static err read_order(struct store *s, struct order *o, const struct reply *r, struct span id,
                      struct fault *f)
{
    err e = not_begun(r, id, f);
    if (e)
        return e;
    o->reply.replayed = was_before(r);
    span_copy(o->reply.replayed && !o->batch.n ? reply_text(r, 1) : id, o->reply.id,
              sizeof o->reply.id);
    e = read_added(s, r, o, f);
    qsort(o->reply.refused, o->reply.refused_count, sizeof *o->reply.refused, by_index);
    return e;
}

/* e: of the last question, whose reply is r. */
static err order_end(struct store *s, struct order *o, err e, const struct reply *r,
                     struct span id, int64_t connections, wall now, struct batch_reply *out,
                     struct fault *f)
{
    bool answered = !e;
    err later = E_OK;
    if (!e)
        e = read_order(s, o, r, id, f);
    *out = o->reply; /* also what was refused */
    /* They are accepted: what does not come in now comes by the upkeep of any node. */
    if (!e && o->staged && !o->reply.replayed)
        later = enter_all(s, o->token, now, NULL);
    else if (o->count > JOBS_AT_ONCE)
        drop_staged(s, o, now);
    (void)later;
    if (answered)
        accepted_some(s, connections);
    return e;
}

err redis_batch_create(struct store *s, const struct batch_args *args, wall now,
                       struct arena *a, struct batch_reply *out, struct fault *f)
{
    struct reply r = {0};
    char token[TOKEN];
    struct order o = {.jobs = args->jobs,
                      .count = args->count,
                      .partial = args->partial,
                      .tenant = args->tenant,
                      .key = args->idempotency_key,
                      .hash = args->request_hash,
                      .accepted_ms = args->accepted_ms,
                      .token = token,
                      .arena = a};
    need(s->in_group);
    s->now = now.ms ? now : s->now;
    int64_t connections = link_state(s->link).connections;
    span_copy(args->id, token, sizeof token);
    err e = asked_batch_new(args, f);
    if (!e)
        e = order_init(&o, f);
    if (!e && o.count > JOBS_AT_ONCE)
        e = stage(s, &o, now, &r, f);
    if (!e && !was_before(&r))
        e = ask_create(s, args, &o, now, &r, f);
    return order_end(s, &o, e, &r, args->id, connections, now, out, f);
}

err redis_batch_add(struct store *s, const struct batch_add_args *args, wall now,
                    struct arena *a, struct batch_reply *out, struct fault *f)
{
    struct reply r = {0};
    char token[TOKEN];
    struct order o = {.jobs = args->jobs,
                      .count = args->count,
                      .partial = args->partial,
                      .batch = args->id,
                      .key = args->idempotency_key,
                      .hash = args->request_hash,
                      .token = token,
                      .arena = a};
    need(s->in_group);
    int64_t connections = link_state(s->link).connections;
    snprintf(token, sizeof token, "%.*s:%016llx", SP(span_cut(args->id, 0, ID_TEXT - 1)),
             (unsigned long long)random_u64());
    err e = asked_batch_jobs(args->count, args->idempotency_key, f);
    if (!e)
        e = order_init(&o, f);
    if (!e && o.count > JOBS_AT_ONCE)
        e = stage(s, &o, now, &r, f);
    if (!e && !was_before(&r))
        e = ask_add(s, args, &o, now, &r, f);
    return order_end(s, &o, e, &r, args->id, connections, now, out, f);
}

err redis_batch_keyed(struct store *s, struct span tenant, struct span batch, struct span key,
                      struct fault *f)
{
    struct reply r;
    struct call c = {0};
    store_fresh(s);
    call_text(&c, SPAN("keyed"));
    call_text(&c, batch);
    call_text(&c, tenant);
    call_text(&c, key);
    err e = store_look(s, SCRIPT_BATCH, &c, (wall){0}, &r, f);
    return !e && said(&r) == SAID_NONE ? asked_no_key(f) : e;
}

/* ---- seal, cancel, retry ---- */

static err act(struct store *s, struct call *c, struct span id, wall now, struct reply *out,
               struct fault *f)
{
    char token[TOKEN];
    err e = store_write(s, SCRIPT_BATCH_ACT, c, now, out, f);
    for (int i = 0; !e && said(out) == SAID_COMING && i < ENTERS_MOST; i++) {
        span_copy(reply_text(out, 1), token, sizeof token);
        e = enter_all(s, token, now, f);
        if (!e)
            e = store_write(s, SCRIPT_BATCH_ACT, c, now, out, f);
    }
    if (!e && said(out) == SAID_NONE)
        e = asked_no_batch(id, f);
    return !e && said(out) == SAID_COMING
               ? fail(f, E_BUSY, "jobs of batch %.*s are coming in still", SP(id))
               : e;
}

err redis_batch_seal(struct store *s, struct span id, wall now, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    need(s->in_group);
    store_fresh(s);
    call_text(&c, SPAN("seal"));
    call_text(&c, id);
    return act(s, &c, id, now, &r, f);
}

err redis_batch_cancel(struct store *s, struct span id, struct span operation_id, wall now,
                       struct arena *a, struct operation_view *out, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    struct operation_args args = {
        .id = operation_id, .kind = OPERATION_CANCEL, .filter = {.failure = -1}};
    need(s->in_group);
    store_fresh(s);
    err e = asked_operation(&args, f);
    if (e)
        return e;
    call_text(&c, SPAN("cancel"));
    call_text(&c, id);
    call_text(&c, operation_id);
    e = act(s, &c, id, now, &r, f);
    if (!e && said(&r) == SAID_STATE)
        e = asked_batch_ended(id, f);
    if (!e && said(&r) == SAID_BODY)
        e = asked_operation_exists(operation_id, f);
    return e ? e : operation_view_of(reply_list(&r, 1), a, out, f);
}

err redis_batch_retry(struct store *s, struct span id, const struct operation_args *args,
                      wall now, struct arena *a, struct operation_view *out, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    struct operation_args own = {.id = args->id,
                                 .kind = OPERATION_REPLAY,
                                 .filter = {.failure = -1},
                                 .per_minute = args->per_minute,
                                 .reset = args->reset};
    need(s->in_group);
    store_fresh(s);
    err e = asked_operation(&own, f);
    if (e)
        return e;
    call_text(&c, SPAN("retry"));
    call_text(&c, id);
    call_text(&c, own.id);
    call_number(&c, own.per_minute);
    call_flag(&c, own.reset);
    e = act(s, &c, id, now, &r, f);
    if (!e && said(&r) == SAID_STATE)
        e = asked_batch_well(id, f);
    if (!e && said(&r) == SAID_TAKEN)
        e = asked_batch_busy(reply_text(&r, 1), f);
    if (!e && said(&r) == SAID_BODY)
        e = asked_operation_exists(own.id, f);
    return e ? e : operation_view_of(reply_list(&r, 1), a, out, f);
}

/* ---- callbacks that could not be made at once ---- */

enum call_part { CALL_SOME = 1, CALL_BATCH, CALL_KIND, CALL_WHY, CALL_JOB };
enum {
    TAKE_ID = 0,
    TAKE_LANE = 5,
    TAKE_POOL = 26,
    TAKE_SITE = 27
}; /* of take.lua's arguments */

/* Says in words why it has no job. */
static err say_why(struct store *s, const struct reply *r, wall now, struct fault *f)
{
    struct reply ignored;
    struct call c = {0};
    struct fault own = {0};
    const struct reply *job = reply_list(r, CALL_JOB);
    err why = accept_refused(s, reply_list(r, CALL_WHY), reply_text(job, TAKE_ID),
                             reply_text(job, TAKE_LANE), reply_text(job, TAKE_SITE),
                             reply_text(job, TAKE_POOL), &own);
    if (why == E_STORE)
        return fail(f, why, "%s", own.words);
    call_text(&c, SPAN("refused"));
    call_text(&c, reply_text(r, CALL_BATCH));
    call_number(&c, reply_number(r, CALL_KIND));
    call_flag(&c, err_class(why) == ERR_WAIT);
    call_text(&c, span_of(own.words));
    call_json(s, &c, span_of(own.words));
    return store_write(s, SCRIPT_BATCH_ACT, &c, now, &ignored, f);
}

/* One that cannot be made holds up no others, as above. */
err callbacks_again(struct store *s, wall now, struct fault *f)
{
    struct reply r;
    err first = E_OK;
    bool some = true;
    for (int i = 0; some && i < CALLS_AT_ONCE; i++) {
        struct call c = {0};
        store_fresh(s);
        call_text(&c, SPAN("tend"));
        call_text(&c, SPAN_NONE);
        err e = store_write(s, SCRIPT_BATCH_ACT, &c, now, &r, first ? NULL : f);
        some = e ? link_state(s->link).connected : reply_number(&r, CALL_SOME) != 0;
        if (!e && some && said(&r) == SAID_FIRST)
            e = say_why(s, &r, now, first ? NULL : f);
        first = first ? first : e;
    }
    return first;
}

/* ---- queries ---- */

enum view_part { VIEW_FIELDS, VIEW_COUNTS, VIEW_CALLS, VIEW_ID };
enum { CALL_PARTS = 4, CALL_ASKED = BATCH_CALLS * CALL_PARTS };

static err read_call(const struct reply *r, size_t i, struct arena *a,
                     struct batch_call_view *out, struct fault *f)
{
    enum { AT, JOB, DUE, WHY };
    size_t at = i * CALL_PARTS;
    *out = (struct batch_call_view){.asked = reply_number(r, CALL_ASKED + i) != 0,
                                    .at_ms = reply_number(r, at + AT),
                                    .due_ms = reply_number(r, at + DUE)};
    span_copy(reply_text(r, at + JOB), out->job, sizeof out->job);
    return store_keep(a, reply_text(r, at + WHY), &out->why, f);
}

static err read_batch(const struct reply *r, struct arena *a, struct batch_view *out,
                      struct fault *f)
{
    const struct reply *fields = reply_list(r, VIEW_FIELDS);
    *out = (struct batch_view){.sealed = reply_field(fields, "se") || reply_field(fields, "sl"),
                               .stopped = reply_field(fields, "st") != 0,
                               .stop_after = reply_field(fields, "sa"),
                               .parallel = reply_field(fields, "pl"),
                               .gone_well = reply_field(fields, "gw"),
                               .gone_otherwise = reply_field(fields, "go"),
                               .created_ms = reply_field(fields, "ca"),
                               .updated_ms = reply_field(fields, "ua"),
                               .finished_ms = reply_field(fields, "fa"),
                               .revision = reply_field(fields, "rv")};
    span_copy(reply_text(r, VIEW_ID), out->id, sizeof out->id);
    span_copy(reply_field_text(fields, "op"), out->operation, sizeof out->operation);
    for (size_t i = 0; i < JOB_STATES; i++)
        out->counts[i] = reply_number(reply_list(r, VIEW_COUNTS), i);
    out->counts[JOB_BLOCKED] += reply_field(fields, "cm"); /* accepted, and about to come in */
    err e = store_keep(a, reply_field_text(fields, "na"), &out->name, f);
    for (size_t i = 0; !e && i < BATCH_CALLS; i++)
        e = read_call(reply_list(r, VIEW_CALLS), i, a, &out->calls[i], f);
    return e;
}

static err look(struct store *s, const struct call *c, struct span id, struct reply *out,
                struct fault *f)
{
    err e = store_look(s, SCRIPT_BATCH, c, (wall){0}, out, f);
    if (!e && said(out) == SAID_NONE)
        e = asked_no_batch(id, f);
    return e;
}

err redis_batch(struct store *s, struct span id, struct arena *a, struct batch_view *out,
                struct fault *f)
{
    struct reply r;
    struct call c = {0};
    store_fresh(s);
    call_text(&c, SPAN("view"));
    call_text(&c, id);
    err e = look(s, &c, id, &r, f);
    return e ? e : read_batch(reply_list(&r, 1), a, out, f);
}

err redis_batches(struct store *s, struct span after, size_t limit, struct arena *a,
                  struct batch_view **out, size_t *out_count, bool *out_more, struct fault *f)
{
    struct reply r = {0};
    char last[ID_TEXT];
    size_t n = 0, step;
    need(limit >= 1 && limit <= 100);
    span_copy(after, last, sizeof last);
    struct batch_view *all = arena_try(a, limit * sizeof *all);
    if (!all)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    do {
        struct call c = {0};
        step = limit - n < LIST_STEP ? limit - n : LIST_STEP;
        store_fresh(s);
        call_text(&c, SPAN("list"));
        call_text(&c, span_of(last));
        call_number(&c, (int64_t)step);
        err e = look(s, &c, after, &r, f);
        for (size_t i = 1; !e && i < r.count; i++) {
            e = read_batch(reply_list(&r, i), a, &all[n], f);
            memcpy(last, all[n++].id, sizeof last);
        }
        if (e)
            return e;
    } while (n < limit && r.count == step + 1);
    *out = all;
    *out_count = n;
    *out_more = n == limit;
    return E_OK;
}

static err next_jobs(struct store *s, const struct batch_jobs_query *q, int64_t behind,
                     size_t most, wall now, struct reply *out, struct fault *f)
{
    struct call c = {0};
    store_fresh(s);
    call_text(&c, SPAN("batch"));
    call_text(&c, q->id);
    call_number(&c, q->state);
    call_number(&c, behind);
    call_number(&c, (int64_t)most);
    err e = store_look(s, SCRIPT_VIEW, &c, now, out, f);
    if (!e && said(out) == SAID_NONE)
        e = asked_no_batch(q->id, f);
    return e;
}

err redis_batch_jobs(struct store *s, const struct batch_jobs_query *q, wall now,
                     struct arena *a, struct job_view **out, size_t *out_count, struct fault *f)
{
    int64_t behind = 0;
    size_t n = 0, step;
    struct reply r = {0};
    need(q->limit >= 1 && q->limit <= 501);
    store_fresh(s);
    err e = q->after.n ? job_place(s, q->after, now, &behind, f) : E_OK;
    if (e)
        return e;
    struct job_view *all = arena_try(a, q->limit * sizeof *all);
    if (!all)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    do {
        step = q->limit - n < JOBS_STEP ? q->limit - n : JOBS_STEP;
        e = next_jobs(s, q, behind, step, now, &r, f);
        if (!e)
            e = job_views_add(&r, a, all, &n, &behind, f);
    } while (!e && n < q->limit && r.count == step + 1);
    /* What fits is answered; the reader goes on after the last one. */
    if (e && !(e == E_TOO_BIG && n > 0))
        return e;
    *out = all;
    *out_count = n;
    return E_OK;
}

/* The first job of the batch at or behind place->job, and whose records it has; E_END: none. */
static err job_at(struct store *s, struct span id, struct batch_place *place,
                  char owner[ID_TEXT], struct fault *f)
{
    enum { NEXT_NUMBER = 1, NEXT_JOB, NEXT_OWNER };
    struct reply r;
    struct call c = {0};
    store_fresh(s);
    call_text(&c, SPAN("next"));
    call_text(&c, id);
    call_number(&c, place->job);
    err e = look(s, &c, id, &r, f);
    if (e || said(&r) == SAID_END)
        return e ? e : E_END;
    if (place->job != reply_number(&r, NEXT_NUMBER))
        *place = (struct batch_place){.job = reply_number(&r, NEXT_NUMBER), .ord = -1};
    span_copy(reply_text(&r, NEXT_OWNER), owner, ID_TEXT);
    return E_OK;
}

err redis_batch_items(struct store *s, struct span id, int kind, size_t limit, size_t bytes_max,
                      struct arena *a, struct batch_place *place, struct item_view **out,
                      size_t *out_count, struct fault *f)
{
    char owner[ID_TEXT];
    err e = E_OK;
    *out = NULL;
    *out_count = 0;
    for (int i = 0; !e && i < EMPTY_JOBS_MOST && *out_count == 0; i++) {
        e = job_at(s, id, place, owner, f);
        if (!e && s->config.records)
            e = s->config.records->items(s->config.archive, span_of(owner), kind, place->ord,
                                         limit, bytes_max, a, out, out_count, f);
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
