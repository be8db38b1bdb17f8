/* thread.c - one thread owns the store. It takes everything that waits, applies it as one group
 * with one commit, and hands it back. While one commit waits for the disk the next group
 * collects, so there is no artificial delay.
 *
 * When a group fails: a full disk gives the ballast back and lets only what ends jobs try
 * again; an operation that the schema refuses must not take its neighbours along, so they are
 * run one by one; after an I/O error everything is answered with it and the store is opened
 * anew. */
#include "store/thread.h"

#include "store/batches.h"
#include "store/apply.h"
#include "store/clock.h"
#include "store/spooling.h"
#include "store/together.h"

#include "base/need.h"
#include "core/metrics.h"
#include "os/clock.h"
#include "os/faults.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

enum {
    GROUP_MAX = 512,
    POLL_MS = 5000,    /* the safety poll: must find nothing */
    LOOK_MS = 1000,    /* of what other machines did a look may bring the first news */
    TROUBLE_MS = 250,  /* rest after the upkeep of a broken store failed */
    DRIFT_MS = 300000, /* between two looks at all fields of all sites */
    MORE_MS = 100,     /* between two steps of a long deletion */
    CHECK_MS = 600000, /* for one table of a large file, on a slow disk */
    CHECK_REST_MS = 50,
    CHECK_AGAIN_MS = 2000, /* after it made way */
    UNSURE_MOST = 256,
    SAME_MS = 50,   /* clocks that differ by no more are one */
    STEP_MS = 1000, /* a clock that moved so much by itself was set */
};

struct ops {
    struct store_op *first, *last;
};

/* A thread that reads. */
struct eyes {
    struct store_thread *of;
    struct store *reader;
    pthread_t thread;
};

struct store_thread {
    struct store_thread_config config;
    struct shared *shared;     /* whose store it is; NULL: the embedded one */
    struct store *store;       /* the thread's alone between start and join, */
    struct spooling *spooling; /* likewise; NULL: no job is taken while the queue is away */
    pthread_t thread;
    struct eyes checker; /* reader NULL: there is nothing to look at */
    struct eyes eyes[STORE_READERS_MAX];
    int eye_count; /* that run */
    pthread_mutex_t clock_lock;
    struct steady steady; /* under clock_lock */
    enum steady_start found;
    wall found_last;
    pthread_mutex_t lock;
    pthread_cond_t posted, asked, ends;
    /* under the lock */
    struct ops waiting, to_read, done;
    enum store_check check;
    struct fault damage;
    bool idle_wanted; /* the last reader left, and the log is to be shortened */
    bool closing;     /* readers: end when there is nothing left */
    bool told;        /* another machine left work */
    bool stopping, stopped;
    struct outlook outlook;
    struct spooling_state spooled;
    struct store_loss lost;
    int64_t last_event;
    struct store_trouble trouble;
    struct fault away; /* why the store could not be asked the last time; no code: it could */
    /* Requests for a part of a batch that the queue perhaps has: the last ones, of the thread. */
    uint64_t unsure[UNSURE_MOST];
    size_t unsure_next;
    struct fault
        unkept; /* why it could not keep what jobs bring when that was looked at last; of the thread */
};

/* ---- lists ---- */

static void ops_add(struct ops *l, struct store_op *op)
{
    op->next = NULL;
    if (l->last)
        l->last->next = op;
    else
        l->first = op;
    l->last = op;
}

static struct store_op *ops_shift(struct ops *l)
{
    struct store_op *op = l->first;
    if (!op)
        return NULL;
    l->first = op->next;
    if (!l->first)
        l->last = NULL;
    op->next = NULL;
    return op;
}

static size_t ops_take(struct ops *from, struct store_op **out, size_t most)
{
    size_t n = 0;
    while (n < most && from->first)
        out[n++] = ops_shift(from);
    return n;
}

/* ---- time ---- */

static wall read_time(struct store_thread *t, int64_t *out_real_ahead_ms)
{
    *out_real_ahead_ms = 0;
    if (!t->config.elapsed)
        return t->config.now();
    pthread_mutex_lock(&t->clock_lock);
    wall real = t->config.now();
    wall now = steady_now(&t->steady, real, t->config.elapsed());
    pthread_mutex_unlock(&t->clock_lock);
    int64_t ahead = real.ms - now.ms;
    *out_real_ahead_ms = ahead > SAME_MS || ahead < -SAME_MS ? ahead : 0;
    return now;
}

wall store_thread_now(struct store_thread *t)
{
    int64_t ahead;
    return read_time(t, &ahead);
}

enum steady_start store_thread_clock_found(const struct store_thread *t, wall *out_last)
{
    *out_last = t->found_last;
    return t->found;
}

/* For what the store's thread does next. */
static wall tell_time(struct store_thread *t)
{
    int64_t ahead;
    wall now = read_time(t, &ahead);
    if (t->config.elapsed)
        store_clock_tell(t->store, ahead);
    metric_set(METRIC_CLOCK_AHEAD, 0, ahead);
    return now;
}

/* Time goes on where the store has it. */
static void start_time(struct store_thread *t)
{
    wall at, real = t->config.now(), ignored;
    store_clock_found(t->store, &at, &t->found_last);
    t->found = steady_start(t->found_last, real, &ignored);
    if (t->config.elapsed && at.ms)
        t->steady = (struct steady){.at = at, .seen = t->config.elapsed(), .runs = true};
    if (t->found != STEADY_SOUND)
        metric_add(METRIC_CLOCK_STEPS, 0, 1);
}

/* ---- applying ---- */

static int64_t elapsed_ms(const struct timespec *since)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

static void answer_all(struct store_op **ops, size_t n, err e, const struct fault *f)
{
    for (size_t i = 0; i < n; i++) {
        ops[i]->result = e;
        ops[i]->fault = *f;
    }
}

/* ---- while the queue is away ---- */

/* Orders: what this node takes when the queue cannot. */
static bool is_order(const struct store_op *op)
{
    return op->verb == STORE_ACCEPT || op->verb == STORE_BATCH_CREATE;
}

static enum durability *durability_of(struct store_op *op, bool **out_confirmed)
{
    bool job = op->verb == STORE_ACCEPT;
    *out_confirmed = job ? &op->out.accept.confirmed : &op->out.batch.confirmed;
    return job ? &op->out.accept.durability : &op->out.batch.durability;
}

static bool is_spooled(struct store_op *op)
{
    bool *confirmed;
    return is_order(op) && *durability_of(op, &confirmed) == DURABILITY_SPOOLED;
}

static err find_here(struct store_thread *t, struct store_op *op, wall now, struct fault *f)
{
    if (op->verb == STORE_BATCH_CREATE)
        return spooling_find_batch(t->spooling, op->in.batch_create, now, op->arena,
                                   &op->out.batch, f);
    err waits = spooling_find(t->spooling, &op->in.accept, now, &op->out.accept, f);
    return waits == E_END && spooling_has_key(t->spooling, &op->in.accept)
               ? spooling_take(t->spooling, &op->in.accept, t->outlook.mode, now, op->arena,
                               &op->out.accept, f)
               : waits;
}

/* Whether its job, or its batch, is here already, from an earlier request, or one with its unique key: then it is answered. */
static bool waits_here(struct store_thread *t, struct store_op *op, wall now)
{
    struct fault f = {0};
    if (!t->spooling || !is_order(op))
        return false;
    err waits = find_here(t, op, now, &f);
    if (waits == E_END)
        return false;
    if (waits && op->verb == STORE_BATCH_CREATE)
        op->out.batch = (struct batch_reply){0};
    op->result = waits;
    op->fault = f;
    op->answered = true;
    return true;
}

static bool was_unsure(const struct store_thread *t, uint64_t request)
{
    for (size_t i = 0; i < UNSURE_MOST; i++)
        if (t->unsure[i] == request)
            return true;
    return false;
}

/* Not an order of a part of a batch that the queue perhaps has (E_STORE) without the jobs that it refused: who orders that way would be
 * answered for all of them, and handing it over would find it there. Nor when the same request comes again: the queue knows it. */
static bool is_perhaps_there(struct store_thread *t, const struct store_op *op)
{
    const struct batch_args *batch = op->in.batch_create;
    if (op->verb != STORE_BATCH_CREATE || !batch->partial)
        return false;
    uint64_t request = span_hash(batch->idempotency_key, span_hash(batch->tenant, 1));
    if (batch->idempotency_key.n && was_unsure(t, request))
        return true;
    if (op->result == E_STORE)
        t->unsure[t->unsure_next++ % UNSURE_MOST] = request;
    return op->result == E_STORE;
}

/* The queue could not. */
static bool may_be_taken_here(struct store_thread *t, const struct store_op *op)
{
    bool away = (op->result == E_BUSY || op->result == E_STORE || op->result == E_DISK_FULL) &&
                store_is_away(t->store);
    return t->spooling && away && !is_perhaps_there(t, op);
}

/* Takes it when the queue cannot. */
static void take_here(struct store_thread *t, struct store_op *op, wall now)
{
    struct fault f = {0};
    if (!may_be_taken_here(t, op) ||
        waits_here(t, op, now)) /* one before it in this group is the same */
        return;
    if (op->verb == STORE_BATCH_CREATE)
        op->result = spooling_take_batch(t->spooling, op->in.batch_create, t->outlook.mode, now,
                                         op->arena, &op->out.batch, &f);
    else
        op->result = spooling_take(t->spooling, &op->in.accept, t->outlook.mode, now, op->arena,
                                   &op->out.accept, &f);
    op->fault = f;
}

static void keep_here(struct store_thread *t, struct store_op *op, wall now)
{
    const struct accept_reply *r = &op->out.accept;
    bool keep = t->spooling && spooling_keeps(t->spooling) && !op->result;
    if (keep && op->verb == STORE_BATCH_CREATE && !op->out.batch.replayed)
        spooling_keep_batch(t->spooling, op->in.batch_create, &op->out.batch, now);
    else if (keep && op->verb == STORE_ACCEPT && !r->replayed && !r->existing)
        spooling_keep(t->spooling, &op->in.accept, now);
    take_here(t, op, now);
}

/* What the group took here is on the disk, or was not taken; what could not be is forgotten before the next one. */
static void sync_spool(struct store_thread *t, struct store_op **ops, size_t n)
{
    struct fault f = {0};
    err e = spooling_sync(t->spooling, &f);
    for (size_t i = 0; e && i < n; i++)
        if (!ops[i]->result && is_spooled(ops[i]))
            answer_all(&ops[i], 1, e, &f);
}

/* Which job or batch it asks for; empty: for none. */
static struct span subject_of(const struct store_op *op)
{
    if (op->verb == STORE_JOB)
        return op->in.job.id;
    if (op->verb == STORE_ITEMS)
        return op->in.items.id;
    if (op->verb == STORE_EVENTS)
        return op->in.events.job;
    if (op->verb == STORE_READ || op->verb == STORE_WRITE)
        return op->in.work.about;
    return op->verb == STORE_CANCEL ? op->in.cancel.id : SPAN_NONE;
}

/* What waits here is nothing that is not there; events are asked for without asking whether it is. */
static void note_spooled(struct store_thread *t, struct store_op *op)
{
    struct fault f = {0};
    struct span id = subject_of(op);
    bool none = op->verb == STORE_EVENTS && !op->result && op->out.events.count == 0;
    if (!t->spooling || !id.n || (op->result != E_NOT_FOUND && !none))
        return;
    err e = spooling_asked(t->spooling, id, &f);
    if (e)
        answer_all(&op, 1, e, &f);
}

/* Whether the queue was found to have lost its last moments; the spool sees it by itself. */
static void note_loss(struct store_thread *t)
{
    const struct store_loss *loss = store_loss(t->store);
    if (loss->count == t->lost.count) /* nobody else writes it */
        return;
    pthread_mutex_lock(&t->lock);
    t->lost = *loss;
    pthread_mutex_unlock(&t->lock);
}

/* A piece; true: there is more. What the queue cannot take now is offered again the next time. */
static bool hand_over(struct store_thread *t)
{
    struct fault said = {0}; /* by the spool, or by whoever asks the queue */
    bool more = false;
    if (!t->spooling || store_is_away(t->store))
        return false;
    (void)!spooling_hand_over(t->spooling, t->store, tell_time(t), &more, &said);
    return more;
}

static void publish_spool(struct store_thread *t)
{
    if (!t->spooling)
        return;
    struct spooling_state now = spooling_state(t->spooling);
    pthread_mutex_lock(&t->lock);
    t->spooled = now;
    pthread_mutex_unlock(&t->lock);
}

/* How safe it is in the queue. */
static void note_durability(struct store_thread *t, struct store_op *op)
{
    bool *confirmed, sure;
    enum durability *is = durability_of(op, &confirmed);
    *is = store_durability(t->store, &sure);
    *confirmed = sure;
}

/* One transaction. On failure nothing of it is there and no result was given. */
static err write_group(struct store_thread *t, struct store_op **ops, size_t n, struct fault *f)
{
    struct timespec began;
    clock_gettime(CLOCK_MONOTONIC, &began);
    wall now = tell_time(t);
    err e = store_begin(t->store, f);
    if (e)
        return e;
    bool here[GROUP_MAX];
    for (size_t i = 0; i < n; i++) {
        ops[i]->fault = (struct fault){0};
        ops[i]->answered = false;
        here[i] = waits_here(t, ops[i], now);
    }
    store_together(t->store, ops, n, now);
    for (size_t i = 0; i < n; i++) {
        if (!ops[i]->answered)
            ops[i]->result = apply_write(t->store, ops[i], now);
        if (is_order(ops[i]) && !here[i])
            keep_here(t, ops[i], now);
        note_spooled(t, ops[i]);
        fault_point_if(ops[i]->verb == STORE_RESERVE && !ops[i]->result, "store.reserve");
        fault_point_if(ops[i]->verb == STORE_COMMIT, "store.commit");
        fault_point_if(ops[i]->verb == STORE_FINISH, "store.finish");
    }
    e = store_commit(t->store, f);
    if (t->spooling)
        sync_spool(t, ops, n);
    for (size_t i = 0; i < n && !e; i++)
        if (is_order(ops[i]) && !is_spooled(ops[i]))
            note_durability(t, ops[i]);
    metric_time(METRIC_STORE_TX, elapsed_ms(&began));
    return e;
}

static void write_one_by_one(struct store_thread *t, struct store_op **ops, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct fault f = {0};
        err e = write_group(t, &ops[i], 1, &f);
        if (e)
            answer_all(&ops[i], 1, e, &f);
    }
}

static void write_with_ballast(struct store_thread *t, struct store_op **ops, size_t n,
                               const struct fault *full)
{
    struct store_op *again[GROUP_MAX];
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (op_needs_no_room(ops[i]))
            again[count++] = ops[i];
        else
            answer_all(&ops[i], 1, E_DISK_FULL, full);
    }
    struct fault f = {0};
    err e = count ? write_group(t, again, count, &f) : E_OK;
    if (e)
        answer_all(again, count, e, &f);
}

static void write_all(struct store_thread *t, struct store_op **ops, size_t n)
{
    struct fault f = {0};
    if (n == 0)
        return;
    err e = write_group(t, ops, n, &f);
    if (e == E_DISK_FULL)
        write_with_ballast(t, ops, n, &f);
    else if (e == E_BUG && n > 1)
        write_one_by_one(t, ops, n);
    else if (e)
        answer_all(ops, n, e, &f);
}

static void count_result(err e)
{
    int label = 1; /* refused */
    if (e == E_OK || e == E_END)
        label = 0;
    else if (e == E_STORE || e == E_MOVED || e == E_DISK_FULL || e == E_BUG)
        label = 2;
    metric_add(METRIC_STORE_OPS, label, 1);
}

/* Or what a reader could not know about its jobs. */
static void read_here(struct store_thread *t, struct store_op *op)
{
    wall now = store_thread_now(t);
    if (op->unsure) {
        store_reader_finish(t->store, op->unsure, now);
        op->unsure = NULL;
        return;
    }
    op->fault = (struct fault){0};
    op->result = apply_read(t->store, op, now);
    note_spooled(t, op);
}

/* Writes first, then reads: a read that is done here sees everything that was posted before it. */
static void run(struct store_thread *t, struct store_op **ops, size_t n)
{
    struct store_op *writes[GROUP_MAX];
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!op_reads(ops[i]))
            writes[count++] = ops[i];
    }
    write_all(t, writes, count);
    for (size_t i = 0; i < n; i++) {
        if (op_reads(ops[i]))
            read_here(t, ops[i]);
        count_result(ops[i]->result);
    }
}

/* ---- upkeep ---- */

/* What one duty of a queue of several machines meets, such as foreign data under its keys, keeps no other one from being done, for each is a
 * transition of its own; in the embedded store all are one transaction. Returns whether the next one is done. */
static bool goes_on(struct store_thread *t, err e, err *first)
{
    *first = *first ? *first : e;
    return !*first || (t->shared && !store_is_away(t->store));
}

struct kept_up {
    struct reap_reply reaped;
    struct retain_reply retained;
    bool more_evidence, more_files, more_batches;
};

static err retain_all(struct store_thread *t, wall now, struct kept_up *up, struct fault *f)
{
    const struct store_thread_config *c = &t->config;
    err first = E_OK;
    if (!goes_on(t, store_retain(t->store, &c->retain, now, &up->retained, f), &first))
        return first;
    if (c->retain.age_ms > 0 &&
        !goes_on(t,
                 store_retain_batches(t->store, (wall){now.ms - c->retain.age_ms},
                                      &up->more_batches, f),
                 &first))
        return first;
    if (!goes_on(t, store_evidence_retain(t->store, now, &up->more_evidence, f), &first))
        return first;
    if (!goes_on(t, store_files_tend(t->store, now, &up->more_files, f), &first))
        return first;
    if (c->field_retention_ms > 0)
        (void)goes_on(t,
                      store_retain_fields(t->store, (wall){now.ms - c->field_retention_ms}, f),
                      &first);
    return first;
}

/* Reap, promote, and on a poll retention too. out_found: work whose time had come; out_more:
 * there is more to delete; both as far as it went. Returns the first error. */
static err tend(struct store_thread *t, bool poll, int64_t *out_found, bool *out_more)
{
    struct fault f = {0};
    struct kept_up up = {0};
    wall now = tell_time(t);
    err first = store_begin(t->store, &f);
    if (first)
        return first;
    bool on = goes_on(t, store_reap(t->store, now, &up.reaped, &f), &first) &&
              goes_on(t, store_tend(t->store, now, &f), &first);
    if (on && poll)
        (void)goes_on(t, retain_all(t, now, &up, &f), &first);
    err committed = store_commit(t->store, &f);
    if (committed || (first && !t->shared))
        return first ? first : committed;
    *out_found = up.reaped.promoted + up.reaped.suspected + up.reaped.reaped +
                 up.reaped.expired + up.reaped.forced + up.reaped.settled;
    if (poll)
        *out_more = store_evidence_sweep(t->store) || up.retained.more || up.more_evidence ||
                    up.more_files || up.more_batches;
    return first;
}

static void publish_gauges(const struct outlook *o)
{
    for (int i = 0; i < JOB_STATES; i++)
        metric_set(METRIC_JOBS, i, o->by_state[i]);
    for (int i = 0; i < LANE_WORDS; i++)
        metric_set(METRIC_LANES, i, o->lanes[i]);
    metric_set(METRIC_RUNNABLE, 0, o->runnable);
}

/* Under the lock. */
static void note_trouble(struct store_thread *t, bool away, bool disk_full, wall now)
{
    struct store_trouble *is = &t->trouble;
    if (is->away != away || is->disk_full != disk_full)
        is->since_ms = now.ms;
    is->away = away;
    is->disk_full = disk_full;
    is->failures = away ? is->failures + 1 : 0;
}

/* Whether what jobs bring can be kept. It may take a while to hear that it cannot: nobody waits for an answer meanwhile. */
static void look_at_archive(struct store_thread *t)
{
    t->unkept = (struct fault){0};
    (void)!store_keeps(t->store, &t->unkept);
}

/* What may start now, what comes next, whether what it brings can be kept; told to the loop. False when the store cannot say. */
static bool look_ahead(struct store_thread *t, struct outlook *out)
{
    struct fault f = {0};
    wall now = tell_time(t);
    err e = store_outlook(t->store, now, out, &f);
    bool kept = e || t->unkept.code == E_OK;
    if (!kept)
        f = t->unkept;
    if (!e) {
        publish_gauges(out);
        metric_set(METRIC_QUEUE_LOOKED, 0, clock_wall().ms / 1000);
    }
    pthread_mutex_lock(&t->lock);
    t->away = f;
    note_trouble(t, e || !kept, e ? t->trouble.disk_full : out->disk_full, now);
    if (!e) {
        t->outlook = *out;
        t->last_event = store_last_event(t->store);
    }
    pthread_mutex_unlock(&t->lock);
    return !e;
}

/* ---- the thread ---- */

static struct timespec instant_in(int64_t ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

/* Sleeps until something is posted, or for wait_ms. out_idle: it is a good moment for what waits for one. */
static size_t next_group(struct store_thread *t, int64_t wait_ms, struct store_op **ops,
                         bool *out_idle, bool *out_stop)
{
    struct timespec until = instant_in(wait_ms);
    pthread_mutex_lock(&t->lock);
    while (!t->waiting.first && !t->stopping && !t->idle_wanted && !t->told && wait_ms > 0) {
        if (pthread_cond_timedwait(&t->posted, &t->lock, &until))
            break;
    }
    size_t n = ops_take(&t->waiting, ops, GROUP_MAX);
    *out_idle = n == 0 || t->idle_wanted;
    t->idle_wanted = false;
    *out_stop = t->stopping && n == 0;
    pthread_mutex_unlock(&t->lock);
    return n;
}

static void hand_back(struct store_thread *t, struct store_op **ops, size_t n)
{
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < n; i++)
        ops_add(&t->done, ops[i]);
    pthread_mutex_unlock(&t->lock);
}

struct watch {
    int64_t poll_ms; /* time between two polls */
    struct timespec polled, looked, idled;
    struct timespec rested; /* trouble began: no upkeep for TROUBLE_MS */
    bool resting;
    struct timespec drift_at; /* last look at the fields */
    bool drift_seen;
    bool more;       /* retention had more to delete than one call may */
    bool spool_more; /* likewise of jobs to be handed over */
    int64_t real_ahead_ms;
    struct outlook known; /* last told to the loop */
    bool sure;            /* known is true */
    bool told;            /* another machine left work, and it was not looked at yet */
};

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t sleep_ms(struct store_thread *t, const struct watch *w)
{
    int64_t left = w->poll_ms - elapsed_ms(&w->polled);
    if (t->shared)
        left = sooner(left, LOOK_MS - elapsed_ms(&w->looked));
    if (w->resting)
        return TROUBLE_MS;
    if (w->more)
        left = sooner(left, MORE_MS);
    if (w->spool_more)
        return 0;
    if (w->sure && w->known.next_ms != INT64_MAX)
        left = sooner(left, w->known.next_ms - store_thread_now(t).ms);
    return left > 0 ? left : 0;
}

/* A poll that finds what no due instant announced means that a wake-up was missed. */
static bool missed(struct store_thread *t, const struct outlook *before,
                   const struct outlook *after, int64_t found)
{
    /* The clock is read last: what fell due while we looked was not missed. */
    return (found > 0 || after->startable > before->startable) &&
           before->next_ms > store_thread_now(t).ms;
}

/* Whether the sites are what they were, for /metrics. What cannot be read now is read the next time. */
static void watch_drift(struct store_thread *t, struct watch *w)
{
    int64_t marks[DRIFT_MARKS];
    struct fault f = {0};
    if (w->drift_seen && elapsed_ms(&w->drift_at) < DRIFT_MS)
        return;
    w->drift_seen = true;
    clock_gettime(CLOCK_MONOTONIC, &w->drift_at);
    if (store_drift(t->store, store_thread_now(t), marks, &f))
        return;
    for (int i = DRIFT_NONE + 1; i < DRIFT_MARKS; i++)
        metric_set(METRIC_DRIFT, i - 1, marks[i]);
}

static bool was_told(struct store_thread *t)
{
    pthread_mutex_lock(&t->lock);
    bool told = t->told;
    t->told = false;
    pthread_mutex_unlock(&t->lock);
    return told;
}

static bool is_away(struct store_thread *t)
{
    pthread_mutex_lock(&t->lock);
    bool away = t->away.code != E_OK;
    pthread_mutex_unlock(&t->lock);
    return away;
}

/* Somebody set the clock on the wall: what goes by that one may be due at once. */
static bool was_set(struct store_thread *t, struct watch *w)
{
    int64_t before = w->real_ahead_ms;
    (void)read_time(t, &w->real_ahead_ms);
    int64_t moved = w->real_ahead_ms - before;
    if (moved <= STEP_MS && moved >= -STEP_MS)
        return false;
    metric_add(METRIC_CLOCK_STEPS, 0, 1);
    return true;
}

/* Servers that were away when this machine started may be there now. */
static void join(struct store_thread *t)
{
    if (t->shared && shared_join(t->shared, tell_time(t)))
        t->store = shared_store(t->shared);
}

/* Runs the upkeep that is due. Returns whether the loop should hear of it. */
static bool keep_up(struct store_thread *t, struct watch *w)
{
    w->told = was_told(t) || w->told;
    if (w->resting && elapsed_ms(&w->rested) < TROUBLE_MS)
        return false;
    w->resting = false;
    join(t);
    bool due =
        w->told || was_set(t, w) || (w->sure && w->known.next_ms <= store_thread_now(t).ms);
    int64_t since_ms = elapsed_ms(&w->polled);
    bool poll = since_ms >= w->poll_ms || (w->more && since_ms >= MORE_MS);
    bool look = w->spool_more || (t->shared && elapsed_ms(&w->looked) >= LOOK_MS);
    if (!due && !poll && !look && w->sure)
        return false;
    w->told = false;
    clock_gettime(CLOCK_MONOTONIC, &w->looked);
    if (poll)
        clock_gettime(CLOCK_MONOTONIC, &w->polled);
    struct outlook before = w->known;
    bool away_before = is_away(t);
    bool sure_before = w->sure;
    int64_t found = 0;
    err e = tend(t, poll, &found, &w->more);
    if (!e && poll)
        watch_drift(t, w);
    note_loss(t);
    w->spool_more = hand_over(t);
    publish_spool(t);
    look_at_archive(t);
    w->sure = look_ahead(t, &w->known);
    if (e || !w->sure) {
        w->resting = true;
        clock_gettime(CLOCK_MONOTONIC, &w->rested);
    }
    if (!w->sure || (e && !t->shared))
        return false;
    /* What others did is no secret that we should have known. */
    if (!due && !t->shared && sure_before && !w->real_ahead_ms &&
        missed(t, &before, &w->known, found))
        metric_add(METRIC_MISSED_WAKEUPS, 0, 1);
    return due || found > 0 || !sure_before || is_away(t) != away_before ||
           w->known.startable != before.startable;
}

static void *thread_main(void *arg)
{
    struct store_thread *t = arg;
    struct store_op *ops[GROUP_MAX];
    int64_t lease_ms = t->config.limits.lease_ms;
    struct watch w = {.poll_ms = lease_ms < POLL_MS ? lease_ms : POLL_MS};
    clock_gettime(CLOCK_MONOTONIC, &w.polled);
    w.looked = w.idled = w.polled;
    (void)read_time(t, &w.real_ahead_ms);
    w.sure = look_ahead(t, &w.known);
    t->config.wake(
        t->config.wake_ctx); /* an earlier process may have left jobs that can start */
    for (bool stop = false, idle; !stop;) {
        size_t n = next_group(t, sleep_ms(t, &w), ops, &idle, &stop);
        if (n) {
            run(t, ops, n);
            w.sure = look_ahead(t, &w.known);
            publish_spool(t);
            hand_back(t, ops, n);
            t->config.wake(t->config.wake_ctx);
        }
        /* What a store of several machines does beside its work is little, and is done under any load. */
        if (idle || (t->shared && elapsed_ms(&w.idled) >= LOOK_MS)) {
            clock_gettime(CLOCK_MONOTONIC, &w.idled);
            store_idle(t->store);
            if (t->shared)
                shared_look(t->shared);
        }
        if (keep_up(t, &w))
            t->config.wake(t->config.wake_ctx);
    }
    return NULL;
}

/* ---- threads that read ---- */

static struct store_op *next_read(struct store_thread *t)
{
    pthread_mutex_lock(&t->lock);
    while (!t->to_read.first && !t->closing)
        pthread_cond_wait(&t->asked, &t->lock);
    struct store_op *op = ops_shift(&t->to_read);
    pthread_mutex_unlock(&t->lock);
    return op;
}

/* Whether the store's thread should shorten its log now. */
static bool read_apart(struct eyes *y, struct store_op *op)
{
    op->fault = (struct fault){0};
    op->unsure = NULL;
    op->result = store_reader_begin(y->reader, &op->fault);
    if (op->result)
        return false;
    op->result = apply_read(y->reader, op, store_thread_now(y->of));
    struct unsure *unsure;
    bool wanted = store_reader_end(y->reader, &unsure);
    if (!op->result)
        op->unsure = unsure;
    return wanted;
}

static void *reader_main(void *arg)
{
    struct eyes *y = arg;
    struct store_thread *t = y->of;
    for (struct store_op *op; (op = next_read(t));) {
        bool wanted = read_apart(y, op);
        bool whole = !op->unsure;
        if (whole)
            count_result(op->result);
        pthread_mutex_lock(&t->lock);
        ops_add(whole ? &t->done : &t->waiting, op);
        t->idle_wanted = t->idle_wanted || wanted;
        if (wanted || !whole)
            pthread_cond_signal(&t->posted);
        pthread_mutex_unlock(&t->lock);
        if (whole)
            t->config.wake(t->config.wake_ctx);
    }
    return NULL;
}

/* ---- what was not looked at at the start ---- */

/* False: the service is stopping. */
static bool rest_between(struct store_thread *t, int64_t ms)
{
    struct timespec until = instant_in(ms);
    pthread_mutex_lock(&t->lock);
    while (!t->closing && pthread_cond_timedwait(&t->ends, &t->lock, &until) == 0)
        ;
    bool goes_on = !t->closing;
    pthread_mutex_unlock(&t->lock);
    return goes_on;
}

/* E_TIMEOUT: not now. */
static err check_piece(struct eyes *y, int64_t *place, struct fault *f)
{
    struct unsure *none;
    err e = store_reader_begin(y->reader, NULL);
    if (e)
        return E_TIMEOUT;
    e = store_reader_check(y->reader, place, f);
    if (store_reader_end(y->reader, &none)) {
        pthread_mutex_lock(&y->of->lock);
        y->of->idle_wanted = true;
        pthread_cond_signal(&y->of->posted);
        pthread_mutex_unlock(&y->of->lock);
    }
    return e;
}

static void say_checked(struct store_thread *t, enum store_check result, const struct fault *f)
{
    pthread_mutex_lock(&t->lock);
    t->check = result;
    t->damage = *f;
    pthread_mutex_unlock(&t->lock);
    metric_set(METRIC_STORE_CHECK, 0, result);
    t->config.wake(t->config.wake_ctx);
}

static void *checker_main(void *arg)
{
    struct eyes *y = arg;
    int64_t place = 0, rest_ms = CHECK_REST_MS;
    while (rest_between(y->of, rest_ms)) {
        struct fault f = {0};
        err e = check_piece(y, &place, &f);
        if (e && e != E_TIMEOUT) {
            say_checked(y->of, e == E_END ? STORE_CHECK_DONE : STORE_CHECK_DAMAGED, &f);
            return NULL;
        }
        rest_ms = e ? CHECK_AGAIN_MS : CHECK_REST_MS;
    }
    return NULL;
}

/* ---- face ---- */

static err start_thread(pthread_t *out, void *(*run_it)(void *arg), void *arg, struct fault *f)
{
    /* Signals belong to the loop. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(out, NULL, run_it, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code ? fail(f, E_OS, "cannot start a thread of the store: %s", strerror(code))
                : E_OK;
}

static void stop_readers(struct store_thread *t)
{
    pthread_mutex_lock(&t->lock);
    t->closing = true;
    pthread_cond_broadcast(&t->asked);
    pthread_cond_broadcast(&t->ends);
    pthread_mutex_unlock(&t->lock);
    if (t->checker.reader) {
        store_reader_stop(t->checker.reader);
        pthread_join(t->checker.thread, NULL);
        store_reader_close(&t->checker.reader);
    }
    for (; t->eye_count > 0; t->eye_count--) {
        struct eyes *y = &t->eyes[t->eye_count - 1];
        pthread_join(y->thread, NULL);
        store_reader_close(&y->reader);
    }
}

static err start_checker(struct store_thread *t, struct fault *f)
{
    struct eyes *y = &t->checker;
    if (t->config.readers == 0 || !store_has_readers(t->store) || !store_check_due(t->store))
        return E_OK;
    y->of = t;
    t->check = STORE_CHECK_RUNS;
    metric_set(METRIC_STORE_CHECK, 0, t->check);
    err e = store_reader_open(&y->reader, t->store, CHECK_MS, f);
    if (!e && (e = start_thread(&y->thread, checker_main, y, f)))
        store_reader_close(&y->reader);
    return e;
}

static err start_readers(struct store_thread *t, struct fault *f)
{
    need(t->config.readers <= STORE_READERS_MAX);
    err e = E_OK;
    while (!e && store_has_readers(t->store) && t->eye_count < t->config.readers) {
        struct eyes *y = &t->eyes[t->eye_count];
        y->of = t;
        e = store_reader_open(&y->reader, t->store, t->config.read_ms, f);
        if (!e && (e = start_thread(&y->thread, reader_main, y, f)))
            store_reader_close(&y->reader);
        t->eye_count += !e;
    }
    if (!e)
        e = start_checker(t, f);
    if (e)
        stop_readers(t);
    return e;
}

static void free_thread(struct store_thread **t)
{
    if ((*t)->shared)
        shared_close(&(*t)->shared);
    else
        store_close(&(*t)->store);
    spooling_close(&(*t)->spooling);
    pthread_cond_destroy(&(*t)->asked);
    pthread_cond_destroy(&(*t)->ends);
    pthread_mutex_destroy(&(*t)->clock_lock);
    pthread_cond_destroy(&(*t)->posted);
    pthread_mutex_destroy(&(*t)->lock);
    free(*t);
    *t = NULL;
}

/* On a thread of the store's: another machine left work. */
static void on_told(void *ctx)
{
    struct store_thread *t = ctx;
    pthread_mutex_lock(&t->lock);
    t->told = true;
    pthread_cond_signal(&t->posted);
    pthread_mutex_unlock(&t->lock);
}

static err open_store(struct store_thread *t, struct fault *f)
{
    const struct store_thread_config *c = &t->config;
    if (!c->shared)
        return store_open(&t->store, c->state_dir, &c->limits, c->seed, c->now(), f);
    struct shared_config shared = *c->shared;
    shared.wake = on_told;
    shared.ctx = t;
    shared.state_dir = c->state_dir;
    struct spooling_config spool = {c->state_dir,        shared.spool_most,
                                    shared.spool_always, c->limits.disk_floor_bytes,
                                    c->retain.age_ms,    NULL};
    err e = shared_open(&t->shared, &shared, &c->limits, c->seed, c->now(), f);
    if (!e)
        t->store = shared_store(t->shared);
    if (!e && spool.most > 0)
        e = spooling_open(&t->spooling, &spool, f);
    return e;
}

err store_thread_start(struct store_thread **out, const struct store_thread_config *config,
                       struct fault *f)
{
    struct store_thread *t = heap_new_of(struct store_thread);
    t->config = *config;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&t->posted, &attr);
    pthread_cond_init(&t->asked, &attr);
    pthread_cond_init(&t->ends, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&t->lock, NULL);
    pthread_mutex_init(&t->clock_lock, NULL);
    struct outlook first; /* for a collect that comes before the thread had its first turn */
    err e = open_store(t, f);
    t->config.shared = NULL; /* the caller's */
    if (!e) {
        start_time(t);
        /* Servers that are away now are waited for. */
        e = look_ahead(t, &first) || t->shared
                ? start_readers(t, f)
                : fail(f, E_STORE, "the job store cannot be read");
    }
    if (!e && (e = start_thread(&t->thread, thread_main, t, f)))
        stop_readers(t);
    if (e) {
        free_thread(&t);
        return e;
    }
    *out = t;
    return E_OK;
}

static void post_locked(struct store_thread *t, struct store_op *op)
{
    need((unsigned)op->verb < STORE_VERBS && op->on_done);
    if (t->stopped) {
        op->fault = (struct fault){0};
        op->result = fail(&op->fault, E_SHUTDOWN, "the service is stopping");
        ops_add(&t->done, op);
    } else if (t->eye_count > 0 && op_reads_rows(op)) {
        ops_add(&t->to_read, op);
        pthread_cond_signal(&t->asked);
    } else {
        op->unsure = NULL;
        ops_add(&t->waiting, op);
        pthread_cond_signal(&t->posted);
    }
}

void store_thread_post(struct store_thread *t, struct store_op *op)
{
    store_thread_post_all(t, op, 1);
}

void store_thread_post_all(struct store_thread *t, struct store_op *ops, size_t n)
{
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < n; i++)
        post_locked(t, &ops[i]);
    pthread_mutex_unlock(&t->lock);
}

void store_thread_hungry(struct store_thread *t, bool hungry)
{
    if (t->shared)
        shared_hungry(t->shared, hungry);
}

size_t store_thread_findings(struct store_thread *t,
                             struct preflight_finding out[PREFLIGHT_MOST], int64_t *out_looks)
{
    *out_looks = 0;
    return t->shared ? shared_findings(t->shared, out, out_looks) : 0;
}

bool store_thread_away(struct store_thread *t, char *words, size_t size)
{
    pthread_mutex_lock(&t->lock);
    bool away = t->away.code != E_OK;
    snprintf(words, size, "%s", t->away.words);
    pthread_mutex_unlock(&t->lock);
    return away;
}

void store_thread_trouble(struct store_thread *t, struct store_trouble *out)
{
    pthread_mutex_lock(&t->lock);
    *out = t->trouble;
    pthread_mutex_unlock(&t->lock);
}

void store_thread_loss(struct store_thread *t, struct store_loss *out)
{
    pthread_mutex_lock(&t->lock);
    *out = t->lost;
    pthread_mutex_unlock(&t->lock);
}

struct spooling_state store_thread_spool(struct store_thread *t)
{
    pthread_mutex_lock(&t->lock);
    struct spooling_state state = t->spooled;
    pthread_mutex_unlock(&t->lock);
    return state;
}

void store_thread_collect(struct store_thread *t, struct outlook *out_outlook,
                          int64_t *out_last_event)
{
    pthread_mutex_lock(&t->lock);
    struct ops done = t->done;
    t->done = (struct ops){0};
    if (out_outlook)
        *out_outlook = t->outlook;
    if (out_last_event)
        *out_last_event = t->last_event;
    pthread_mutex_unlock(&t->lock);
    for (struct store_op *op; (op = ops_shift(&done));)
        op->on_done(op);
}

enum store_check store_thread_check(struct store_thread *t, char *out_words)
{
    pthread_mutex_lock(&t->lock);
    enum store_check check = t->check;
    if (check == STORE_CHECK_DAMAGED)
        memcpy(out_words, t->damage.words, sizeof t->damage.words);
    pthread_mutex_unlock(&t->lock);
    return check;
}

void store_thread_stop(struct store_thread **t)
{
    if (!*t)
        return;
    stop_readers(*t); /* first: what they read may have to be finished by the store's thread */
    pthread_mutex_lock(&(*t)->lock);
    (*t)->stopping = true;
    pthread_cond_signal(&(*t)->posted);
    pthread_mutex_unlock(&(*t)->lock);
    pthread_join((*t)->thread, NULL);
    /* An on_done that posts again is answered too, with E_SHUTDOWN. */
    pthread_mutex_lock(&(*t)->lock);
    (*t)->stopped = true;
    pthread_mutex_unlock(&(*t)->lock);
    while ((*t)->done.first)
        store_thread_collect(*t, NULL, NULL);
    free_thread(t);
}
