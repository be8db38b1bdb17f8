/* batches.c - jobs that belong together: accepted wholly or not at all, announced once when the last one has ended, with their
 * callback's job; so many at once as was asked. And operations on many: each job is touched once. */
#include "look.h"

#include "store/ticket.h"

#include <inttypes.h>
#include <stdio.h>

static int64_t first_of(int64_t batch)
{
    return WATCH_ALONE + batch * WATCH_BATCH_JOBS;
}

static int64_t batch_of(int64_t number)
{
    return number < WATCH_ALONE || number >= WATCH_JOBS
               ? WATCH_NOBODY
               : (number - WATCH_ALONE) / WATCH_BATCH_JOBS;
}

/* ---- what is heard ---- */

static void on_call(struct watch *w, int64_t batch, enum batch_call call)
{
    struct watch_batch *b = &w->seen.batches[batch];
    if (!b->sealed)
        broken(w, "batch %" PRId64 " was said to be over while jobs may be added to it", batch);
    for (int64_t i = first_of(batch); i < first_of(batch) + WATCH_BATCH_JOBS; i++) {
        enum job_state is = job_of(w, i)->state;
        if (!over(is) || (call == BATCH_SUCCESS && is != JOB_SUCCEEDED))
            broken(w, "batch %" PRId64 " was said to be over, job %" PRId64 " is %s", batch, i,
                   job_state_name(is));
    }
    if (++b->called[call] > 1)
        broken(w, "the end of batch %" PRId64 " was announced twice", batch);
}

bool batch_takes(struct watch *w, const struct event_view *v)
{
    if (!span_starts(v->job, SPAN("bat_")))
        return false;
    for (int64_t i = 0; i < WATCH_BATCHES; i++) {
        if (!span_is(v->job, w->seen.batches[i].id))
            continue;
        if (span_is(v->kind, "batch.complete"))
            on_call(w, i, BATCH_COMPLETE);
        else if (span_is(v->kind, "batch.success"))
            on_call(w, i, BATCH_SUCCESS);
    }
    return true;
}

void batch_on_start(struct watch *w, int64_t number)
{
    int64_t batch = batch_of(number), active = 1;
    int64_t most = batch == WATCH_NOBODY ? 0 : w->batch_orders[batch].parallel;
    if (!most || job_of(w, number)->generation)
        return;
    for (int64_t i = first_of(batch); i < first_of(batch) + WATCH_BATCH_JOBS; i++)
        active += job_of(w, i)->state == JOB_ACTIVE && !job_of(w, i)->generation;
    if (active > most)
        broken(w, "%" PRId64 " jobs of batch %" PRId64 " run at once", active, batch);
}

void batch_on_replay(struct watch *w, int64_t number)
{
    struct watch_operation *o = &w->seen.operation;
    if (!w->operating)
        return;
    if (o->touched[number])
        broken(w, "job %" PRId64 " came back twice by one operation", number);
    o->touched[number] = true;
    o->done++;
    w->sights[SIGHT_by_operation]++;
}

bool watch_batches_called(const struct watch *w)
{
    int64_t calls = 0;
    for (int64_t i = 0; i < WATCH_BATCHES; i++)
        for (int call = 0; call < BATCH_CALLS; call++)
            calls += w->seen.batches[i].called[call];
    return calls == w->seen.made - w->seen.slots;
}

/* ---- making one ---- */

static void write_ticket(struct watch *w, struct buf *out)
{
    struct fault f = {0};
    struct accept_args job = {.site = SPAN("x"),
                              .kind = SPAN("posts"),
                              .target = SPAN("what-comes-after"),
                              .lane = span_of(watch_lane_names[WATCH_CALLED]),
                              .spec = SPAN("{}")};
    if (ticket_write(&job, out, &f))
        broken(w, "no ticket: %s", f.words);
}

struct watch_part { /* of a batch's jobs, under ids of this try */
    int64_t first, count;
    char ids[WATCH_BATCH_JOBS][ID_TEXT];
    struct accept_args jobs[WATCH_BATCH_JOBS];
};

static void part_init(struct watch *w, struct watch_part *p, int64_t first, int64_t count,
                      int64_t try)
{
    *p = (struct watch_part){.first = first, .count = count};
    for (int64_t i = 0; i < count; i++) {
        const struct watch_order *o = &w->orders[first + i];
        id_of_try(w, first + i, try, p->ids[i]);
        p->jobs[i] = (struct accept_args){.id = span_of(p->ids[i]),
                                          .site = SPAN("x"),
                                          .kind = SPAN("posts"),
                                          .target = span_of(p->ids[i]),
                                          .lane = span_of(watch_lane_names[o->lane]),
                                          .spec = SPAN("{}"),
                                          .prio = o->prio};
    }
}

/* All of them are there, or none. True: they may be asked for again later, and nothing is to be said of the answer. */
static bool check_part(struct watch *w, int64_t batch, const struct watch_part *p, bool existed,
                       err e, const struct batch_reply *r, const struct fault *f)
{
    bool wait = false;
    for (int64_t i = p->first; !existed && !wait && i < p->first + p->count; i++)
        wait = keys_is_later(w, w->orders[i].lane, e);
    if (e && !wait)
        broken(w, "jobs of batch %" PRId64 " were refused: %s", batch, f->words);
    if (!e && r->replayed != existed)
        broken(w, "jobs of batch %" PRId64 " came %s", batch, r->replayed ? "again" : "first");
    for (int64_t i = p->first; (!e || !existed) && i < p->first + p->count; i++)
        if (job_of(w, i)->exists != !e)
            broken(w, "jobs of batch %" PRId64 " were %s, job %" PRId64 " is%s there", batch,
                   e ? "refused" : "accepted", i, e ? "" : " not");
    return wait;
}

static int64_t first_count(const struct watch *w, int64_t batch)
{
    return w->batch_orders[batch].open ? WATCH_BATCH_FIRST : WATCH_BATCH_JOBS;
}

err watch_batch_make(struct watch *w, int64_t batch, int64_t try, int64_t now, bool *out_wait)
{
    struct watch_part part;
    char id[ID_TEXT], key[48];
    struct buf ticket = BUF(TICKET_MAX);
    struct fault f = {0};
    struct batch_reply reply = {.replayed = false};
    struct watch_batch *b = &w->seen.batches[batch];
    bool existed = b->exists, open = w->batch_orders[batch].open;
    part_init(w, &part, first_of(batch), first_count(w, batch), try);
    snprintf(id, sizeof id, "bat_%020" PRId64 "%06" PRId64, w->round * WATCH_BATCHES + batch,
             try);
    snprintf(key, sizeof key, "batch-%" PRId64 "-%" PRId64, w->round, batch);
    write_ticket(w, &ticket);
    if (!existed)
        memcpy(b->id, id, ID_TEXT); /* its events are to be known */
    struct batch_args args = {.id = span_of(id),
                              .tenant = SPAN("default"),
                              .name = SPAN("simulated"),
                              .open = open,
                              .stop_after = w->batch_orders[batch].stop_after,
                              .parallel = w->batch_orders[batch].parallel,
                              .jobs = part.jobs,
                              .count = (size_t)part.count,
                              .calls = {buf_span(&ticket), buf_span(&ticket)},
                              .idempotency_key = span_of(key),
                              .request_hash = 1};
    arena_reset(w->a);
    err e = store_batch_create(w->s, &args, (wall){now}, w->a, &reply, &f);
    buf_free(&ticket);
    hear(w, now);
    *out_wait = check_part(w, batch, &part, existed, e, &reply, &f);
    if (e)
        return e;
    if (strcmp(reply.id, b->id) != 0)
        broken(w, "batch %" PRId64 " is %s, and became %s", batch, b->id, reply.id);
    b->exists = true;
    b->added = b->added || !open;
    b->sealed = b->sealed || !open;
    w->sights[SIGHT_batches] += !existed;
    return E_OK;
}

err watch_batch_add(struct watch *w, int64_t batch, int64_t try, int64_t now, bool *out_wait)
{
    struct watch_part part;
    char key[48];
    struct fault f = {0};
    struct batch_reply reply = {.replayed = false};
    struct watch_batch *b = &w->seen.batches[batch];
    bool added = b->added;
    *out_wait = !b->exists;
    if (*out_wait)
        return E_NOT_FOUND;
    part_init(w, &part, first_of(batch) + WATCH_BATCH_FIRST,
              WATCH_BATCH_JOBS - WATCH_BATCH_FIRST, try);
    snprintf(key, sizeof key, "rest-%" PRId64 "-%" PRId64, w->round, batch);
    struct batch_add_args args = {.id = span_of(b->id),
                                  .jobs = part.jobs,
                                  .count = (size_t)part.count,
                                  .idempotency_key = span_of(key),
                                  .request_hash = 1};
    arena_reset(w->a);
    err e = store_batch_add(w->s, &args, (wall){now}, w->a, &reply, &f);
    hear(w, now);
    *out_wait = check_part(w, batch, &part, added, e, &reply, &f);
    b->added = b->added || !e;
    w->sights[SIGHT_added] += !e && !added;
    return e;
}

err watch_batch_seal(struct watch *w, int64_t batch, int64_t now, bool *out_wait)
{
    struct fault f = {0};
    struct watch_batch *b = &w->seen.batches[batch];
    *out_wait = !b->added;
    if (*out_wait)
        return E_NOT_FOUND;
    b->sealed = true; /* it may be over with that */
    err e = store_batch_seal(w->s, span_of(b->id), (wall){now}, &f);
    if (e)
        broken(w, "batch %" PRId64 " was not sealed: %s", batch, f.words);
    hear(w, now);
    return e;
}

/* ---- many at once ---- */

static void look_at_operation(struct watch *w)
{
    struct watch_operation *o = &w->seen.operation;
    struct operation_view v;
    struct fault f = {0};
    if (!o->running)
        return;
    arena_reset(w->a);
    if (store_operation(w->s, span_of(o->id), w->a, &v, &f))
        broken(w, "an operation is not there: %s", f.words);
    o->running = v.state == OPERATION_RUNNING;
    if (v.kind == OPERATION_REPLAY && v.done != o->done)
        broken(w, "an operation says that it brought back %" PRId64 " jobs, %" PRId64 " came",
               v.done, o->done);
}

err watch_retry(struct watch *w, int64_t batch, uint64_t random, int64_t now)
{
    struct operation_view v;
    struct fault f = {0};
    struct watch_operation *o = &w->seen.operation;
    char id[ID_TEXT];
    if (o->running || (batch != WATCH_NOBODY && !w->seen.batches[batch].exists))
        return E_BUSY;
    snprintf(id, sizeof id, "opr_%026" PRIu64, random);
    struct operation_args args = {.id = span_of(id),
                                  .kind = OPERATION_REPLAY,
                                  .filter = {.failure = -1},
                                  .per_minute = random % 2 ? 30 : 0};
    struct watch_operation before = *o;
    *o = (struct watch_operation){.running = true};
    memcpy(o->id, id, ID_TEXT);
    w->operating = true;
    arena_reset(w->a);
    err e = batch == WATCH_NOBODY
                ? store_operation_start(w->s, &args, (wall){now}, w->a, &v, &f)
                : store_batch_retry(w->s, span_of(w->seen.batches[batch].id), &args,
                                    (wall){now}, w->a, &v, &f);
    hear(w, now);
    w->operating = false;
    if (e) {
        if ((e != E_CONFLICT && !disk_refuses(e)) || o->done)
            broken(w, "an operation was refused: %s", f.words);
        *o = before;
        return e;
    }
    w->sights[SIGHT_operations]++;
    look_at_operation(w);
    return E_OK;
}

void batch_tend(struct watch *w, int64_t now)
{
    struct fault f = {0};
    w->operating = true;
    if (store_tend(w->s, (wall){now}, &f))
        broken(w, "tend: %s", f.words);
    hear(w, now);
    w->operating = false;
    look_at_operation(w);
}

/* ---- everything once more ---- */

static void audit_calls(struct watch *w, int64_t batch, bool all_over)
{
    const struct watch_batch *b = &w->seen.batches[batch];
    struct batch_view v;
    struct fault f = {0};
    arena_reset(w->a);
    if (store_batch(w->s, span_of(b->id), w->a, &v, &f))
        broken(w, "batch %" PRId64 " is not there: %s", batch, f.words);
    for (int call = 0; call < BATCH_CALLS; call++) {
        bool said = v.calls[call].at_ms != 0;
        int64_t number = number_of(w, span_of(v.calls[call].job));
        if (said != (b->called[call] == 1))
            broken(w, "batch %" PRId64 " was announced %" PRId64 " times, and says %d", batch,
                   b->called[call], said);
        if (v.calls[call].job[0] && (number < WATCH_JOBS || !job_of(w, number)->exists))
            broken(w, "the callback of batch %" PRId64 " is not there", batch);
        if (all_over && said && !v.calls[call].job[0])
            broken(w, "batch %" PRId64 " is over, and its callback never came: %.*s", batch,
                   SP(v.calls[call].why));
        w->sights[SIGHT_callbacks] += all_over && said;
    }
    if (all_over && !b->called[BATCH_COMPLETE])
        broken(w, "all jobs of batch %" PRId64 " have ended, and nobody said so", batch);
}

void batch_audit(struct watch *w, bool all_over)
{
    for (int64_t i = 0; i < WATCH_BATCHES; i++)
        if (w->seen.batches[i].exists)
            audit_calls(w, i, all_over);
    if (all_over && !watch_batches_called(w))
        broken(w, "%" PRId64 " callbacks were made, and as many batches did not end",
               w->seen.made - w->seen.slots);
}
