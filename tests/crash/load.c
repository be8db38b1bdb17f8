#include "load.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    ROUND_MS = 400,
    RESTART_ROUND = 16,
    RESTART_TRIES = 20,
    WORKERS = 3,
    RETAIN_ROUND = 30,
    RETAINED_ROUNDS = 10,
    OPS_MOST = 48
};
static const int64_t T0 = 1800000000000;
static const int64_t RETAIN_BEFORE = 1800000004000; /* what ended by then goes: ten rounds */

enum fate {
    GOOD,
    FAILS_ONCE, /* the first attempt ends with a failure of the network */
    PERMANENT,
    THROTTLED, /* the first attempt is asked to wait */
    RELEASED,  /* the first attempt is given back */
    LAPSES,    /* the worker of the first attempt is never heard of again */
    CANCEL_WAITING,
    CANCEL_ACTIVE,
};
static const struct plan {
    const char *lane;
    int64_t batches, arrives;
    enum fate fate;
    bool keyed;
    enum store_mark mark;
    bool fat; /* its records are big: the log gets long */
} plans[LOAD_JOBS] = {
    {"x/normal", 1, 0, GOOD, false, MARK_STAYS, false},
    {"x/normal", 0, 0, CANCEL_WAITING, true, MARK_STAYS, false},
    {"x/normal", 3, 0, FAILS_ONCE, false, MARK_STAYS, false},
    {"y/interactive", 2, 1, GOOD, true, MARK_USED, false},
    {"y/interactive", 0, 2, PERMANENT, false, MARK_STAYS, false},
    {"z/bulk", 2, 2, THROTTLED, true, MARK_STAYS, false},
    {"z/bulk", 1, 3, RELEASED, false, MARK_STAYS, false},
    {"x/normal", 2, 4, LAPSES, true, MARK_STAYS, false},
    {"x/normal", 4, 5, CANCEL_ACTIVE, false, MARK_STAYS, true},
    {"x/normal", 4, 6, GOOD, true, MARK_WHEN_COMPLETE, true},
    {"y/interactive", 2, 8, GOOD, false, MARK_USED, false},
    {"y/interactive", 2, 10, FAILS_ONCE, true, MARK_STAYS, true},
    {"z/bulk", 3, 12, GOOD, false, MARK_STAYS, true},
    {"z/bulk", 2, 14, GOOD, true, MARK_STAYS, false},
    {"x/normal", 3, 16, GOOD, false, MARK_STAYS, true},
    {"x/normal", 2, 18, GOOD, true, MARK_STAYS, false},
    {"y/interactive", 3, 20, THROTTLED, false, MARK_STAYS, true},
    {"z/bulk", 0, 22, CANCEL_WAITING, false, MARK_STAYS, false},
    {"x/normal", 2, 24, RELEASED, true, MARK_STAYS, true},
    {"z/bulk", 2, 26, FAILS_ONCE, false, MARK_STAYS, false},
    {"y/interactive", 3, 28, GOOD, true, MARK_USED, true},
    {"x/normal", 0, 30, PERMANENT, true, MARK_STAYS, false},
    {"z/bulk", 3, 32, GOOD, false, MARK_WHEN_COMPLETE, true},
    {"x/normal", 2, 34, GOOD, true, MARK_STAYS, false},
};

static _Noreturn void __attribute__((format(printf, 2, 3)))
broken(struct load *l, const char *format, ...)
{
    char why[LOAD_WHY];
    va_list list;
    va_start(list, format);
    vsnprintf(why, sizeof why, format, list);
    va_end(list);
    l->broken(why);
    abort();
}

static wall now_of(const struct load *l)
{
    return (wall){l->now};
}

static struct span id_of(int64_t job, char out[ID_TEXT])
{
    snprintf(out, ID_TEXT, "job_%026" PRId64, job + 1);
    return span_of(out);
}

static int64_t number_of(struct span id)
{
    int64_t n = 0;
    return span_int(span_cut(id, 4, SIZE_MAX), &n) && n >= 1 && n <= LOAD_JOBS ? n - 1 : -1;
}

struct store_limits load_limits(void)
{
    return (struct store_limits){
        .ready_max = 100,
        .fail_max = 5,
        .crash_max = 3,
        .throttle_max = 5,
        .retry_base_ms = 1000,
        .retry_cap_ms = 8000,
        .lane_max_active = 2,
        .retry_floor = 1000,
        .lane_emit_ms = 100,
        .lane_burst = 2,
        .lease_ms = 15000,
        .evidence_age_ms = INT64_MAX / 2,
        .evidence_bytes = 1 << 20,
        .evidence_job_bytes = 1 << 18,
        .evidence_job_count = 10,
    };
}

/* ---- one group ---- */

enum verb { ACCEPT, RESERVE, STARTED, HEARTBEAT, BATCH, FINISH, CANCEL, REAP, RETAIN };
static const char *const verb_names[] = {"accept", "reserve", "started", "heartbeat", "batch",
                                         "finish", "cancel",  "reap",    "retain"};
struct op {
    enum verb verb;
    int64_t job;
};
struct group {
    struct op ops[OPS_MOST];
    size_t count;
    int64_t refused;
    struct load_view after; /* known when it is acknowledged */
};

static void add(struct group *g, enum verb verb, int64_t job)
{
    if (g->count < OPS_MOST)
        g->ops[g->count++] = (struct op){verb, job};
}

static bool acts_once(enum fate fate)
{
    return fate == FAILS_ONCE || fate == THROTTLED || fate == RELEASED;
}

static void plan_lease(struct load *l, struct group *g, int64_t job)
{
    const struct plan *p = &plans[job];
    const struct load_job *j = &l->known.jobs[job];
    if (!j->started) {
        add(g, STARTED, job);
        return;
    }
    if (p->fate == LAPSES && j->attempts <= 1 && j->batches >= 1)
        return;
    if (l->now - j->beaten_ms > l->limits.lease_ms / 4)
        add(g, HEARTBEAT, job);
    if (j->batches < p->batches &&
        !(acts_once(p->fate) && j->attempts <= 1 && j->batches >= 1) &&
        !(p->fate == CANCEL_ACTIVE && j->cancel_asked)) {
        add(g, BATCH, job);
        if (j->batches + 1 < p->batches || job % 2)
            return; /* in odd jobs the last batch and the end are two groups */
    }
    add(g, FINISH, job);
}

static void plan_group(struct load *l, struct group *g)
{
    int64_t held = 0;
    for (int64_t i = 0; i < LOAD_JOBS; i++) {
        const struct load_job *j = &l->known.jobs[i];
        held += j->nonce != 0;
        if (!j->accepted && plans[i].arrives <= l->round)
            add(g, ACCEPT, i);
        if (j->accepted && !j->over && !j->cancel_asked &&
            (plans[i].fate == CANCEL_WAITING ||
             (plans[i].fate == CANCEL_ACTIVE && j->batches >= 2)))
            add(g, CANCEL, i);
        if (j->nonce)
            plan_lease(l, g, i);
    }
    for (; held < WORKERS && l->round > 0; held++)
        add(g, RESERVE, -1);
    if (l->round >= RETAIN_ROUND && !l->known.retained)
        add(g, RETAIN, -1);
}

/* ---- operations ---- */

static void drop_lease(struct load_job *j)
{
    j->nonce = 0;
    j->started = false;
}

static err do_accept(struct load *l, int64_t job, struct load_view *v, struct fault *f)
{
    char id[ID_TEXT], target[32], key[32];
    const struct plan *p = &plans[job];
    snprintf(target, sizeof target, "target-%" PRId64, job % 5);
    snprintf(key, sizeof key, "key-%" PRId64, job);
    struct accept_args args = {
        .id = id_of(job, id),
        .site = span_cut(span_of(p->lane), 0, 1),
        .kind = SPAN("posts"),
        .target = span_of(target),
        .lane = span_of(p->lane),
        .spec = SPAN("{\"limit\":0}"),
        .prio = (int)(job % 10),
        .mark = p->mark,
        .idempotency_key = p->keyed ? span_of(key) : SPAN_NONE,
        .request_hash = (uint64_t)job,
    };
    struct accept_reply reply;
    err e = store_accept(l->s, &args, now_of(l), &reply, f);
    bool repeated = (!e && reply.replayed) || e == E_CONFLICT;
    if (!e && !span_is(args.id, reply.id))
        broken(l, "job %" PRId64 " was accepted as %s", job, reply.id);
    if (repeated && !l->clients_repeat)
        broken(l, "job %" PRId64 " was there before it was accepted", job);
    if (p->keyed && e == E_CONFLICT)
        broken(l, "job %" PRId64 " was accepted with its key, which is gone", job);
    if (e && !repeated)
        return e;
    v->jobs[job].accepted = true;
    v->jobs[job].state = JOB_READY;
    return E_OK;
}

static err do_reserve(struct load *l, struct load_view *v, struct fault *f)
{
    struct lease lease;
    err e =
        store_reserve(l->s,
                      &(struct reserve_args){
                          .worker = SPAN("worker"), .random = ++l->nonces, .needs = NEEDS_PAGE},
                      now_of(l), l->a, &lease, f);
    if (e == E_END)
        return E_OK;
    if (e)
        return e;
    int64_t job = number_of(span_of(lease.id));
    if (job < 0)
        broken(l, "the lease of a job that nobody sent: %s", lease.id);
    struct load_job *j = &v->jobs[job];
    char cursor[24] = "";
    if (j->over)
        broken(l, "job %" PRId64 " ended and was leased again", job);
    if (j->nonce && !l->clients_repeat)
        broken(l, "job %" PRId64 " was leased twice", job);
    if (lease.next_batch < j->batches || (lease.next_batch > j->batches + 1))
        broken(l, "job %" PRId64 " had %" PRId64 " batches and goes on at %" PRId64, job,
               j->batches, lease.next_batch);
    if (lease.next_batch)
        snprintf(cursor, sizeof cursor, "c%" PRId64, lease.next_batch);
    if (!span_is(lease.cursor, cursor) || lease.have != lease.next_batch * LOAD_ITEMS)
        broken(l,
               "job %" PRId64 " goes on at batch %" PRId64 " with cursor %.*s and %" PRId64
               " records",
               job, lease.next_batch, SP(lease.cursor), lease.have);
    j->batches = lease.next_batch;
    j->nonce = lease.nonce;
    j->started = false;
    j->attempts++;
    j->beaten_ms = l->now;
    j->state = JOB_ACTIVE;
    return E_OK;
}

static err do_batch(struct load *l, int64_t job, struct load_view *v, struct fault *f)
{
    char id[ID_TEXT], cursor[24], ids[LOAD_ITEMS][48];
    struct buf texts[LOAD_ITEMS];
    struct load_job *j = &v->jobs[job];
    struct store_item items[LOAD_ITEMS];
    snprintf(cursor, sizeof cursor, "c%" PRId64, j->batches + 1);
    for (int64_t i = 0; i < LOAD_ITEMS; i++) {
        snprintf(ids[i], sizeof ids[i], "%" PRId64 "-%" PRId64, job,
                 j->batches * LOAD_ITEMS + i);
        texts[i] = BUF(2 * LOAD_FAT);
        buf_fmt(&texts[i], "{\"id\":\"%s\",\"text\":\"%*s\"}", ids[i],
                plans[job].fat ? LOAD_FAT : 1, "said");
        items[i] = (struct store_item){.kind = ITEM_POST,
                                       .id = span_of(ids[i]),
                                       .created_ms = T0 + i,
                                       .json = buf_span(&texts[i])};
    }
    struct commit_args args = {.id = id_of(job, id),
                               .nonce = j->nonce,
                               .batch = j->batches,
                               .items = items,
                               .count = LOAD_ITEMS,
                               .cursor = span_of(cursor)};
    struct commit_reply reply = {0};
    err e = store_commit_batch(l->s, &args, now_of(l), &reply, f);
    for (int i = 0; i < LOAD_ITEMS; i++)
        buf_free(&texts[i]);
    if (!e && reply.duplicate && !l->clients_repeat)
        broken(l, "batch %" PRId64 " of job %" PRId64 " was there before", j->batches, job);
    if (!e)
        j->batches++;
    return e;
}

static struct finish_args ending(const struct load *l, int64_t job)
{
    const struct load_job *j = &l->known.jobs[job];
    struct finish_args args = {
        .verdict = VERDICT_COMPLETE, .end = END_TERMINATE, .why = SPAN("as planned")};
    bool first = j->attempts <= 1;
    if (plans[job].fate == FAILS_ONCE && first)
        args = (struct finish_args){.failure = FAILURE_NETWORK, .why = SPAN("cut")};
    if (plans[job].fate == THROTTLED && first)
        args = (struct finish_args){.failure = FAILURE_RATE_LIMITED, .wait_ms = 2000};
    if (plans[job].fate == RELEASED && first)
        args = (struct finish_args){.budget = BUDGET_RELEASE};
    if (plans[job].fate == PERMANENT)
        args = (struct finish_args){.failure = FAILURE_SUSPENDED, .why = SPAN("suspended")};
    if (plans[job].fate == CANCEL_ACTIVE || plans[job].fate == CANCEL_WAITING)
        args = (struct finish_args){.failure = FAILURE_CANCELLED};
    return args;
}

static err do_finish(struct load *l, int64_t job, struct load_view *v, struct fault *f)
{
    char id[ID_TEXT];
    struct load_job *j = &v->jobs[job];
    struct finish_args args = ending(l, job);
    struct finish_reply reply;
    args.id = id_of(job, id);
    args.nonce = j->nonce;
    err e = store_finish(l->s, &args, now_of(l), &reply, f);
    if (e)
        return e;
    drop_lease(j);
    j->state = reply.state;
    j->over = job_is_final(reply.state);
    return E_OK;
}

static err do_cancel(struct load *l, int64_t job, struct load_view *v, struct fault *f)
{
    char id[ID_TEXT];
    struct cancel_reply reply;
    struct load_job *j = &v->jobs[job];
    err e =
        store_cancel(l->s, &(struct cancel_args){.id = id_of(job, id)}, now_of(l), &reply, f);
    if (e)
        return e;
    j->cancel_asked = true;
    if (!reply.active) {
        j->over = true;
        j->state = JOB_CANCELLED;
    }
    return E_OK;
}

static err do_started(struct load *l, int64_t job, struct load_view *v, struct fault *f)
{
    char id[ID_TEXT];
    err e = store_started(l->s, id_of(job, id), v->jobs[job].nonce, f);
    v->jobs[job].started = !e;
    return e;
}

static err do_beat(struct load *l, int64_t job, struct load_view *v, struct fault *f)
{
    char id[ID_TEXT];
    struct heartbeat_reply reply;
    err e = store_heartbeat(l->s, id_of(job, id), v->jobs[job].nonce, now_of(l), &reply, f);
    if (!e)
        v->jobs[job].beaten_ms = l->now;
    if (!e && reply.cancel != v->jobs[job].cancel_asked && !l->clients_repeat)
        broken(l, "the heartbeat of job %" PRId64 " does not know of the cancel", job);
    return e;
}

static err do_upkeep(struct load *l, enum verb verb, struct load_view *v, struct fault *f)
{
    struct reap_reply reaped;
    struct retain_reply retained;
    const struct retain_args keep = {.age_ms = 1, .dead_age_ms = 1};
    if (verb == REAP)
        return store_reap(l->s, now_of(l), &reaped, f);
    v->retained = true;
    return store_retain(l->s, &keep, (wall){RETAIN_BEFORE + 1}, &retained, f);
}

/* Another lease is in force, or none: nothing of it was done. */
static void note_stale(struct load *l, const struct op *op, struct load_view *v)
{
    if (!l->clients_repeat && plans[op->job].fate != LAPSES)
        broken(l, "%s of job %" PRId64 " is stale", verb_names[op->verb], op->job);
    drop_lease(&v->jobs[op->job]);
}

static err do_op(struct load *l, const struct op *op, struct load_view *v, struct fault *f)
{
    switch (op->verb) {
    case ACCEPT:
        return do_accept(l, op->job, v, f);
    case RESERVE:
        return do_reserve(l, v, f);
    case STARTED:
        return do_started(l, op->job, v, f);
    case HEARTBEAT:
        return do_beat(l, op->job, v, f);
    case BATCH:
        return do_batch(l, op->job, v, f);
    case FINISH:
        return do_finish(l, op->job, v, f);
    case CANCEL:
        return do_cancel(l, op->job, v, f);
    case REAP:
    case RETAIN:
        return do_upkeep(l, op->verb, v, f);
    }
    broken(l, "unknown operation");
}

static void do_all(struct load *l, struct group *g)
{
    uint32_t refused = 0; /* jobs */
    _Static_assert(LOAD_JOBS <= 32, "one bit each");
    for (size_t i = 0; i < g->count; i++) {
        const struct op *op = &g->ops[i];
        struct fault f = {0};
        if (op->job >= 0 && op->verb != ACCEPT && op->verb != CANCEL &&
            (!g->after.jobs[op->job].nonce || refused & 1u << op->job))
            continue; /* lost within this group, or what comes before it was not done */
        err e = do_op(l, op, &g->after, &f);
        if (e == E_STALE)
            note_stale(l, op, &g->after);
        else if (e == E_STORE || e == E_DISK_FULL)
            refused |= op->job >= 0 ? 1u << op->job : 0, g->refused++;
        else if (e)
            broken(l, "%s of job %" PRId64 " answered %s: %s", verb_names[op->verb], op->job,
                   err_name(e), f.words);
    }
}

/* ---- rounds ---- */

/* Jobs as the store shows them: what a client that asks would learn. */
static void look(struct load *l, struct load_view *v)
{
    struct job_view *all;
    size_t n;
    struct fault f = {0};
    struct jobs_query q = {.state = -1, .limit = 100};
    if (store_jobs(l->s, &q, now_of(l), l->a, &all, &n, &f))
        return; /* the disk refused; it learns the next time */
    for (size_t i = 0; i < n; i++) {
        int64_t job = number_of(span_of(all[i].id));
        if (job < 0)
            broken(l, "a job that nobody sent: %s", all[i].id);
        struct load_job *j = &v->jobs[job];
        if (j->over && all[i].state != j->state)
            broken(l, "job %" PRId64 " was %s and is %s", job, job_state_name(j->state),
                   job_state_name(all[i].state));
        if (!j->accepted)
            continue;
        j->state = all[i].state;
        j->over = job_is_final(j->state);
        j->cancel_asked = j->cancel_asked || all[i].cancel_asked;
        if (j->over && all[i].next_batch > j->batches)
            j->batches = all[i].next_batch; /* by an answer that was lost */
        if (j->nonce && j->state != JOB_ACTIVE)
            drop_lease(j);
        if (j->over && all[i].finished_ms < RETAIN_BEFORE)
            j->gone = true;
    }
}

/* Ends and marks of life go through on a full disk, when the ballast was given back. */
static bool needs_no_room(enum verb v)
{
    return v == STARTED || v == HEARTBEAT || v == FINISH || v == CANCEL;
}

static err write_group(struct load *l, struct group *g)
{
    struct fault f = {0};
    g->after = l->known;
    err e = store_begin(l->s, &f);
    if (e)
        return e;
    do_all(l, g);
    if (l->mistake == LOAD_ANSWERS_EARLY && l->on_answer)
        l->on_answer(l->ctx);
    return store_commit(l->s, &f);
}

static void tell(struct load *l)
{
    look(l, &l->known);
    if (l->on_group)
        l->on_group(l->ctx);
}

static void acknowledge(struct load *l, const struct group *g)
{
    l->known = g->after;
    l->refused += g->refused;
    l->known.groups++;
    l->known.ops += (int64_t)g->count;
    if (l->on_answer && l->mistake != LOAD_ANSWERS_EARLY)
        l->on_answer(l->ctx);
    tell(l);
}

static void write_what_needs_no_room(struct load *l, const struct group *full)
{
    struct group g = {0};
    for (size_t i = 0; i < full->count; i++)
        if (needs_no_room(full->ops[i].verb) &&
            !(i && full->ops[i - 1].verb == BATCH && full->ops[i - 1].job == full->ops[i].job))
            add(&g, full->ops[i].verb,
                full->ops[i].job); /* the end waits for the answer to the batch */
    err e = g.count ? write_group(l, &g) : E_OK;
    int64_t stuck = e ? (int64_t)g.count : g.refused;
    l->full_stuck += stuck;
    l->full_ended += (int64_t)g.count - stuck;
    if (!e && g.count)
        acknowledge(l, &g);
}

static void pass_time(struct load *l, bool idle)
{
    struct outlook o;
    struct fault f = {0};
    l->now += ROUND_MS;
    if (idle && !store_outlook(l->s, now_of(l), &o, &f) && o.next_ms != INT64_MAX &&
        o.next_ms > l->now)
        l->now = o.next_ms;
}

static bool all_over(const struct load *l)
{
    for (int i = 0; i < LOAD_JOBS; i++)
        if (!l->known.jobs[i].accepted || !l->known.jobs[i].over)
            return false;
    return l->known.retained;
}

/* Nobody holds a lease that is worked on, and nothing is there to be asked for. */
static bool is_idle(const struct load *l, const struct group *g)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->ops[i].verb != RESERVE && g->ops[i].verb != REAP)
            return false;
    return l->round > RETAIN_ROUND;
}

/* An orderly stop and start. */
static void restart(struct load *l)
{
    l->known.restarted = true;
    load_close(l);
    load_open(l, RESTART_TRIES);
    for (int i = 0; i < LOAD_JOBS; i++)
        drop_lease(&l->known.jobs[i]);
    if (l->on_answer)
        l->on_answer(l->ctx);
    tell(l);
}

bool load_round(struct load *l)
{
    struct group g = {0};
    if (l->round >= RESTART_ROUND && !l->known.restarted)
        restart(l);
    if (all_over(l))
        return false;
    if (l->round > LOAD_ROUNDS)
        broken(l, "not every job ended");
    arena_reset(l->a);
    plan_group(l, &g);
    add(&g, REAP, -1);
    bool idle = is_idle(l, &g);
    err e = write_group(l, &g);
    if (e) {
        l->failed++;
        l->full += e == E_DISK_FULL;
        l->clients_repeat = true;
        if (e == E_DISK_FULL)
            write_what_needs_no_room(l, &g);
    } else {
        acknowledge(l, &g);
    }
    store_idle(l->s);
    l->round++;
    pass_time(l, idle);
    return true;
}

/* ---- start ---- */

void load_open(struct load *l, int tries)
{
    struct fault f = {0};
    if (!l->now)
        l->now = T0;
    for (int i = 0; i < tries; i++) {
        f = (struct fault){0};
        if (!store_open(&l->s, l->dir, &l->limits, 7, now_of(l), &f))
            return;
        l->reopened++;
        l->clients_repeat = true;
    }
    broken(l, "the store does not open: %s", f.words);
}

void load_close(struct load *l)
{
    store_close(&l->s);
}

void load_after_crash(struct load *l)
{
    struct fault f = {0};
    l->clients_repeat = true;
    l->now += ROUND_MS;
    if (store_begin(l->s, &f))
        broken(l, "no group after the start: %s", f.words);
    for (int64_t i = 0; i < LOAD_JOBS; i++) {
        struct load_job *j = &l->known.jobs[i];
        struct load_view v = l->known;
        if (!j->nonce)
            continue;
        err e = do_batch(l, i, &v, &f);
        if (e != E_STALE)
            broken(l, "job %" PRId64 ": a lease of before the crash gets %s", i, err_text(e));
        drop_lease(j);
    }
    f = (struct fault){0};
    if (store_commit(l->s, &f))
        broken(l, "the first group after the start: %s", f.words);
}

/* ---- what the store has, against what is known ---- */

static bool same_state(const struct load_job *j, const struct job_view *v)
{
    if (j->state == JOB_ACTIVE && j->cancel_asked)
        return v->state == JOB_CANCELLED;
    if (j->state == JOB_ACTIVE)
        return v->state == JOB_READY || v->state == JOB_SCHEDULED;
    return v->state == j->state;
}

void load_compare(struct load *l, const struct load_view *known, bool values,
                  char why[LOAD_WHY])
{
    why[0] = 0;
    for (int64_t i = 0; i < LOAD_JOBS && !why[0]; i++) {
        char id[ID_TEXT], cursor[24] = "";
        struct fault f = {0};
        struct job_view v;
        const struct load_job *j = &known->jobs[i];
        arena_reset(l->a);
        err e = store_job(l->s, id_of(i, id), now_of(l), l->a, &v, &f);
        bool gone = j->gone && known->retained;
        if (e && e != E_NOT_FOUND)
            snprintf(why, LOAD_WHY, "job %" PRId64 " cannot be read: %s", i, f.words);
        else if (e && j->accepted && !gone)
            snprintf(why, LOAD_WHY, "job %" PRId64 " was accepted and is not there", i);
        else if (!e && (!j->accepted || gone))
            snprintf(why, LOAD_WHY, "job %" PRId64 " is there and should not be", i);
        if (e || why[0])
            continue;
        if (j->batches)
            snprintf(cursor, sizeof cursor, "c%" PRId64, j->batches);
        if (!same_state(j, &v))
            snprintf(why, LOAD_WHY, "job %" PRId64 " was %s and is %s", i,
                     job_state_name(j->state), job_state_name(v.state));
        else if (values && (v.next_batch != j->batches || v.have != j->batches * LOAD_ITEMS ||
                            !span_is(v.cursor, cursor)))
            snprintf(why, LOAD_WHY,
                     "job %" PRId64 " had %" PRId64 " batches and has %" PRId64 ", %" PRId64
                     " records, cursor %.*s",
                     i, j->batches, v.next_batch, v.have, SP(v.cursor));
    }
}

/* ---- the end ---- */

static enum job_state end_of(enum fate fate)
{
    switch (fate) {
    case PERMANENT:
        return JOB_DEAD;
    case CANCEL_WAITING:
    case CANCEL_ACTIVE:
        return JOB_CANCELLED;
    case GOOD:
    case FAILS_ONCE:
    case THROTTLED:
    case RELEASED:
    case LAPSES:
        break;
    }
    return JOB_SUCCEEDED;
}

static void check_records(struct load *l, int64_t job)
{
    char id[ID_TEXT], want[40];
    struct fault f = {0};
    struct item_view *items;
    size_t n;
    int64_t batches = l->known.jobs[job].batches;
    if (store_items(l->s, id_of(job, id), -1, -1, 1000, 4 << 20, l->a, &items, &n, &f))
        broken(l, "the records of job %" PRId64 ": %s", job, f.words);
    if ((int64_t)n != batches * LOAD_ITEMS)
        broken(l, "job %" PRId64 " has %zu records of %" PRId64, job, n, batches * LOAD_ITEMS);
    for (int64_t i = 0; i < (int64_t)n; i++) {
        snprintf(want, sizeof want, "%" PRId64 "-%" PRId64, job, i);
        if (!span_is(items[i].id, want) ||
            items[i].ord != i / LOAD_ITEMS * 100000 + i % LOAD_ITEMS)
            broken(l, "record %" PRId64 " of job %" PRId64 " is %.*s", i, job, SP(items[i].id));
    }
}

static void check_job(struct load *l, int64_t job)
{
    char id[ID_TEXT];
    struct job_view v;
    struct fault f = {0};
    const struct plan *p = &plans[job];
    err e = store_job(l->s, id_of(job, id), now_of(l), l->a, &v, &f);
    if (e == E_NOT_FOUND && l->known.jobs[job].gone)
        return;
    if (e)
        broken(l, "job %" PRId64 " at the end: %s", job, f.words);
    if (v.state != end_of(p->fate))
        broken(l, "job %" PRId64 " ended as %s", job, job_state_name(v.state));
    if (v.state == JOB_SUCCEEDED && v.next_batch != p->batches)
        broken(l, "job %" PRId64 " has %" PRId64 " batches of %" PRId64, job, v.next_batch,
               p->batches);
    check_records(l, job);
}

/* A life: accepted once, then starts and ends of leases in turn, an end once. */
static void check_events(struct load *l)
{
    struct event_view *all;
    size_t n;
    struct fault f = {0};
    int accepted[LOAD_JOBS] = {0}, running[LOAD_JOBS] = {0}, ended[LOAD_JOBS] = {0},
        numbers[LOAD_JOBS] = {0};
    if (store_events(l->s, 0, SPAN_NONE, 2000, l->a, &all, &n, &f))
        broken(l, "events: %s", f.words);
    if (!n || all[n - 1].seq != store_last_event(l->s))
        broken(l, "the last event is not the last");
    for (size_t i = 0; i < n; i++) {
        int64_t job = number_of(all[i].job);
        struct span kind = all[i].kind;
        if (i && all[i].seq <= all[i - 1].seq)
            broken(l, "event %" PRId64 " is out of order", all[i].seq);
        if (job < 0 || l->known.jobs[job].gone)
            continue; /* its events went with it */
        if (all[i].number != ++numbers[job])
            broken(l, "job %" PRId64 " lacks event %d", job, numbers[job]);
        if (ended[job])
            broken(l, "job %" PRId64 " ended and then: %.*s", job, SP(kind));
        if (span_is(kind, "job.accepted") && ++accepted[job] > 1)
            broken(l, "job %" PRId64 " was accepted twice", job);
        else if (span_is(kind, "job.started") && ++running[job] > 1)
            broken(l, "job %" PRId64 " was started twice at once", job);
        else if (span_is(kind, "job.finished") || span_is(kind, "job.dead") ||
                 span_is(kind, "job.cancelled"))
            ended[job] = 1;
        else if (span_is(kind, "job.retrying") || span_is(kind, "job.throttled") ||
                 span_is(kind, "job.released"))
            running[job]--;
    }
    for (int i = 0; i < LOAD_JOBS; i++)
        if (!l->known.jobs[i].gone &&
            (!ended[i] || (!accepted[i] && plans[i].arrives > RETAINED_ROUNDS)))
            broken(l, "the events of job %d are not a whole life", i);
}

void load_check_end(struct load *l)
{
    arena_reset(l->a);
    for (int64_t i = 0; i < LOAD_JOBS; i++)
        check_job(l, i);
    arena_reset(l->a);
    check_events(l);
}
