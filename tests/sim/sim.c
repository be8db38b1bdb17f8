/* sim.c - the queue under everything that may happen to it, in virtual time.
 *
 * Three nodes with two workers each, a service around the real store, clients and operators talk by
 * messages that come late, twice or not at all. Nodes crash, are stopped and go on later as if nothing
 * had been; the power fails before and after a group is written; the clock is set; sites fail, ask to
 * wait, and come back. After each step the promises of the queue are checked (watch.h). Then the faults
 * stop, and every job has to end. The same seed does the same again, step by step.
 *
 * sim [seed=1] [count=1] [storms=1] [mistake=NAME] [trace]
 *   count    so many seeds, one after another
 *   storms   so many of each, one after the other on one store, a quiet day between two: nothing that is held (memory,
 *            descriptors, the file) may grow. 72 are a day of faults
 *   mistake  fence, early, loss, twice, sleep: put in on purpose; exit 0 when it is found
 * Exit 1: a promise was broken; the seed, the step and the last steps are printed. */
#include "watch.h"

#include "base/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    NODES = 3,
    WORKERS = 2, /* of each node */
    EVENTS = 8192,
    TRACE = 60, /* last lines that are printed with a broken promise */
    LINE = 160,
    SECOND = 1000,
    MINUTE = 60 * SECOND,
    STORM_MS = 20 * MINUTE, /* then the faults stop */
    ANSWER_MS = 2 * SECOND, /* a call without an answer is made again */
    POLL_MS = 5 * SECOND,
    FULL_AFTER = 8, /* storms */
    HELD_SLACK = 64 << 10,
};
static const int64_t MIB = 1 << 20, NODE_BYTES = 1024 * MIB; /* for jobs of a node */
enum {
    PATIENCE_MS = 10 * SECOND, /* job.memory_patience */
    IF_ANY = 1,                /* of a WAKE: when the store says that a job could start */
    MISFIT_MS = SECOND / 2,    /* no job fitted: others give memory back without a word */
    LARGE_MS =
        60 *
        SECOND, /* after that a large job has started, in fair weather, when nobody else waits for room */
    CROWDED_MS = 8 * MINUTE, /* of a crowded storm: until then the weather is fair */
};
static const int64_t T0 = 1800000000000;
static const int64_t CALM_MS = 24 * 60 * (int64_t)MINUTE; /* every job ended by then */

enum what {
    SUBMIT, /* a client sends */
    HEARD,  /* it is answered */
    HAND,   /* an operator sends */
    ARRIVE, /* a message is at the service */
    FLUSH,  /* the service does what has arrived, as one group */
    TEND,
    ANSWER, /* a message is at the node */
    WAKE,
    ASK_AGAIN, /* the node heard nothing */
    BEAT,
    STEP,    /* the worker has done a piece */
    GIVE_UP, /* by its own clock the lease is over */
    CRASH,
    UP,
    STOP,
    CONTINUE,
    LOOK, /* a node looks after schedules */
    SEND, /* … after what the receiver is to be told, */
    TOLD, /* who hears of it, or is not there, */
    SENT, /* and what the node hears of that */
    POWER,
    CLOCK,
    OUTAGE,
};
enum call {
    ACCEPT, /* of clients */
    BATCH,
    ADD,
    SEAL,
    CANCEL, /* of operators */
    LANE,
    MODE,
    REPLAY,
    RETRY,
    FIRE,    /* of nodes, in no worker's name */
    RESERVE, /* of nodes */
    STARTED,
    HEARTBEAT,
    RECORDS,
    FINISH
};
static const char *const call_names[] = {
    "accept", "batch", "add to",  "seal",    "cancel",    "lane",    "mode",  "replay",
    "retry",  "fire",  "reserve", "started", "heartbeat", "records", "finish"};

struct message {
    enum call call;
    int node, worker;
    int64_t life, ask; /* of the node that sent it; which question of the worker */
    int64_t sent;
    int64_t job, batch;
    int64_t try; /* of a client's request */
    struct watch_due due;
    struct watch_sent sent_event;
    bool arrived;
    struct ask memory;
    int64_t passed_ms, passed_bytes;
    int64_t kind; /* of what an operator does */
    uint64_t nonce;
    struct watch_ending ending;
    /* the answer */
    err result;
    bool cancel, wait;
};
struct event {
    int64_t at, order;
    enum what what;
    struct message m;
};
enum worker_state { IDLE, ASKING, WORKING, TELLING, ENDING };
struct worker {
    enum worker_state state;
    /* numbers of its questions and leases: what is for an earlier one is late */
    int64_t ask, lease;
    int64_t job, batch, trusts_until;
    uint64_t nonce;
    struct watch_ending ending;
    struct room_offer offer; /* while it asks */
    int64_t promised, taken; /* bytes, while it works; promised: 0 when the job does not say */
};
struct node {
    bool up, stopped;
    struct room_turn turn;
    int64_t rest_until;
    int64_t life;
    struct worker workers[WORKERS];
    struct event held[256]; /* what came while it was stopped */
    size_t held_count;
};
struct held { /* by this process and the store */
    int64_t bytes, descriptors, file_bytes;
};
struct sim {
    uint64_t seed, random;
    int64_t storms, stormy; /* so many; time with faults */
    struct held first;
    int64_t now, order, steps, offset, down_until[WATCH_LANES];
    struct event events[EVENTS]; /* a heap */
    size_t event_count;
    struct node nodes[NODES];
    struct message inbox[512];
    size_t inbox_count;
    bool flush_set, rude, over;
    /* Memory is short and everybody is there: no faults for CROWDED_MS. foul_ms: the last time that something held jobs up. */
    bool crowded;
    int64_t foul_ms, came_ms[WATCH_ALL];
    int64_t tend_at;
    struct watch watch;
    bool heard[WATCH_JOBS]; /* what became of its request; that of a batch by its first job */
    char dir[64];
    bool trace;
    char lines[TRACE][LINE];
    int64_t line_count;
    uint64_t hash; /* of all lines */
    jmp_buf end;
    char why[WATCH_WHY];
};

static void __attribute__((format(printf, 2, 3))) say(struct sim *s, const char *format, ...)
{
    char *line = s->lines[s->line_count++ % TRACE];
    int n = snprintf(line, LINE, "%6" PRId64 " %10" PRId64 " ", s->steps, s->now);
    va_list list;
    va_start(list, format);
    vsnprintf(line + n, LINE - (size_t)n, format, list);
    va_end(list);
    s->hash = span_hash(span_of(line), s->hash);
    if (s->trace)
        puts(line);
}

static void on_broken(void *ctx, const char *why)
{
    struct sim *s = ctx;
    snprintf(s->why, sizeof s->why, "%s", why);
    longjmp(s->end, 1);
}

/* ---- chance ---- */

static int64_t below(struct sim *s, int64_t n)
{
    s->random = s->random * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((s->random >> 33) % (uint64_t)n);
}

static bool one_in(struct sim *s, int64_t n)
{
    return !s->over && below(s, n) == 0;
}

static int64_t between(struct sim *s, int64_t from, int64_t to)
{
    return from + below(s, to - from + 1);
}

/* ---- events ---- */

static bool sooner(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void put(struct sim *s, int64_t in_ms, enum what what, struct message m)
{
    if (s->event_count == EVENTS)
        on_broken(s, "the simulation has too many events");
    size_t i = s->event_count++;
    struct event e = {s->now + in_ms, s->order++, what, m};
    for (; i && sooner(&e, &s->events[(i - 1) / 2]); i = (i - 1) / 2)
        s->events[i] = s->events[(i - 1) / 2];
    s->events[i] = e;
}

static struct event take(struct sim *s)
{
    struct event first = s->events[0], last = s->events[--s->event_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->event_count)
            break;
        if (child + 1 < s->event_count && sooner(&s->events[child + 1], &s->events[child]))
            child++;
        if (!sooner(&s->events[child], &last))
            break;
        s->events[i] = s->events[child];
        i = child;
    }
    s->events[i] = last;
    return first;
}

/* A message takes its time, comes twice, or is lost. */
static void post(struct sim *s, enum what what, struct message m)
{
    if (one_in(s, 40))
        return;
    int64_t delay =
        one_in(s, 50) ? between(s, SECOND, 3 * s->watch.limits.lease_ms) : between(s, 1, 40);
    put(s, delay, what, m);
    if (one_in(s, 40))
        put(s, delay + between(s, 1, 4 * s->watch.limits.lease_ms), what, m);
}

/* ---- the service ---- */

static int64_t store_now(const struct sim *s)
{
    return T0 + s->now + s->offset;
}

/* Tells idle workers that there is work, and sets the one timer. */
static void look_ahead(struct sim *s)
{
    int64_t next = watch_ahead(&s->watch, store_now(s)), in = POLL_MS;
    for (int i = 0; s->watch.seen.startable > 0 && i < NODES; i++)
        put(s, between(s, 1, 5), WAKE, (struct message){.node = i});
    if (next != INT64_MAX && next - store_now(s) < in)
        in = next > store_now(s) ? next - store_now(s) : 1;
    if (s->tend_at <= s->now || s->now + in < s->tend_at) {
        s->tend_at = s->now + in;
        put(s, in, TEND, (struct message){0});
    }
}

static void arrive(struct sim *s, struct message m)
{
    if (s->inbox_count == sizeof s->inbox / sizeof s->inbox[0])
        return; /* the listen queue is full */
    if (s->over && (m.call == LANE || m.call == MODE))
        return; /* what was said in the storm comes too late */
    s->inbox[s->inbox_count++] = m;
    if (!s->flush_set)
        put(s, between(s, 0, 8), FLUSH, m);
    s->flush_set = true;
}

/* The plan of a job: what it is good for is drawn from its number and the seed alone. */
static uint64_t nature(const struct sim *s, int64_t job)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, s->watch.round * WATCH_JOBS + job);
    return span_hash(span_of(text), s->seed) % 100;
}

/* Of clients and operators, in words. */
static void say_asked(struct sim *s, const struct message *m, const char *answer)
{
    static const char *const wishes[WISHES] = {"or the one there is", "or nothing",
                                               "in place of others",  "behind what runs",
                                               "or a fresh result",   "or a shared result"};
    static const char *const stops[] = {" by force", " within 2 s", ""};
    static const char *const acts[LANE_ACTS] = {[LANE_ACT_PAUSE] = "pause",
                                                [LANE_ACT_RESUME] = "resume",
                                                [LANE_ACT_CLOSE] = "close",
                                                [LANE_ACT_OPEN] = "open"};
    const struct watch_order *o = &s->watch.orders[m->job];
    switch (m->call) {
    case ACCEPT:
        if (o->work == WATCH_NOBODY)
            say(s, "accept job %" PRId64 ", try %" PRId64 "%s: %s", m->job, m->try,
                m->nonce == 1 ? "" : ", another body", answer);
        else
            say(s, "accept job %" PRId64 ", try %" PRId64 ", work %" PRId64 " %s: %s", m->job,
                m->try, o->work, wishes[o->wish], answer);
        return;
    case CANCEL:
        say(s, "cancel job %" PRId64 "%s: %s", m->job, stops[m->kind], answer);
        return;
    case LANE:
        say(s, "%s lane %s: %s", acts[m->kind], watch_lane_names[m->job], answer);
        return;
    case MODE:
        say(s, "the service is %s: %s", mode_name((enum store_mode)m->kind), answer);
        return;
    case REPLAY:
        say(s, "replay job %" PRId64 "%s: %s", m->job, m->kind ? "" : " from its beginning",
            answer);
        return;
    case FIRE:
        say(s, "node %d fires schedule %" PRId64 " as of %" PRId64 ": %s", m->node,
            m->due.schedule, m->due.at_ms - T0, answer);
        return;
    default:
        say(s, "%s batch %" PRId64 ": %s", call_names[m->call], m->batch, answer);
        return;
    }
}

static void serve(struct sim *s, struct message *m)
{
    struct watch *w = &s->watch;
    struct watch_lease lease = {0};
    int64_t now = store_now(s);
    watch_note(w, now);
    switch (m->call) {
    case ACCEPT:
        m->result = watch_accept(w, m->job, m->try, m->nonce, now, &m->wait);
        break;
    case BATCH:
        m->result = watch_batch_make(w, m->batch, m->try, now, &m->wait);
        break;
    case ADD:
        m->result = watch_batch_add(w, m->batch, m->try, now, &m->wait);
        break;
    case SEAL:
        m->result = watch_batch_seal(w, m->batch, now, &m->wait);
        break;
    case CANCEL:
        m->result = watch_cancel(w, m->job,
                                 (struct watch_stop){.force = m->kind == 0,
                                                     .grace_ms = m->kind == 1 ? 2 * SECOND : 0},
                                 now, &m->cancel);
        break;
    case LANE:
        m->result = watch_lane_act(w, m->job, (enum lane_act)m->kind, now);
        break;
    case MODE:
        m->result = watch_mode(w, (enum store_mode)m->kind, now);
        break;
    case REPLAY:
        m->result = watch_replay(w, m->job, m->kind == 0, now);
        break;
    case FIRE:
        m->result = watch_fire(w, &m->due, now);
        break;
    case RETRY:
        m->result = watch_retry(w, m->batch, (uint64_t)s->order, now);
        break;
    case RESERVE:
        m->result = watch_reserve(w, (uint64_t)below(s, INT32_MAX) << 24 | (uint64_t)s->order,
                                  &m->memory, now, &lease);
        m->passed_ms = lease.passed_ms;
        m->passed_bytes = lease.passed_bytes;
        m->job = lease.job;
        m->batch = lease.next_batch;
        m->nonce = lease.nonce;
        break;
    case STARTED:
        m->result = watch_started(w, m->job, m->nonce, now);
        break;
    case HEARTBEAT:
        m->result = watch_heartbeat(w, m->job, m->nonce, now, &m->cancel);
        break;
    case RECORDS:
        m->result = watch_records(w, m->job, m->nonce, m->batch, now);
        break;
    case FINISH:
        m->result = watch_finish(w, m->job, m->nonce, m->ending, now);
        break;
    }
    watch_refused(w, call_names[m->call], m->call == BATCH || m->call == ADD, m->result, now);
    const char *answer = m->result ? err_text(m->result) : "ok";
    if (m->call >= RESERVE)
        say(s, "%s job %" PRId64 " batch %" PRId64 " of node %d.%d: %s", call_names[m->call],
            m->job, m->batch, m->node, m->worker, answer);
    else
        say_asked(s, m, answer);
}

static void flush(struct sim *s)
{
    struct watch *w = &s->watch;
    bool lost = one_in(s, 400);
    s->flush_set = false;
    watch_begin(w, store_now(s), lost);
    for (size_t i = 0; i < s->inbox_count; i++)
        serve(s, &s->inbox[i]);
    size_t count = s->inbox_count;
    s->inbox_count = 0;
    if (lost) {
        say(s, "power fails before the group is written");
        watch_power(w, store_now(s));
        look_ahead(s);
        return;
    }
    watch_commit(w, store_now(s));
    if (one_in(s, 400)) {
        say(s, "power fails before the answers");
        watch_power(w, store_now(s));
        look_ahead(s);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct message *m = &s->inbox[i];
        struct watch_job *j = &w->seen.jobs[m->job];
        if (m->call <= SEAL && !m->result)
            j->acknowledged = j->exists;
        if (m->call <= SEAL)
            post(s, HEARD, *m);
        else if (m->call >= RESERVE)
            post(s, ANSWER, *m);
    }
    look_ahead(s);
    if (s->steps % 64 == 0)
        watch_audit(w, store_now(s), false);
}

/* A job that takes more than is left beside others waits as long as the node is patient, until what runs there has ended, and
 * for those that wait for room before it. */
static void check_large(struct sim *s)
{
    int64_t large[WATCH_ALL], count = 0,
                              came = 0; /* those that ended had their turns meanwhile */
    for (int64_t i = 0; s->crowded && i < WATCH_ALL; i++) {
        const struct watch_job *j = &s->watch.seen.jobs[i];
        bool is_large = j->exists && s->watch.orders[i].memory_bytes > NODE_BYTES / 2;
        came += is_large;
        if (!j->exists || job_is_final(j->state))
            s->came_ms[i] = 0;
        else if (is_large)
            large[count++] = i;
    }
    for (int64_t i = 0; i < count; i++) {
        const struct watch_job *j = &s->watch.seen.jobs[large[i]];
        const struct watch_lane *l = &s->watch.seen.lanes[j->lane];
        bool held_up = l->blocked_until > store_now(s) || l->breaker_until > 0 || l->paused;
        if (s->came_ms[large[i]] == 0 || held_up)
            s->came_ms[large[i]] = s->now;
        int64_t since = s->came_ms[large[i]], waited;
        since = since > s->foul_ms ? since : s->foul_ms;
        waited = s->now - since;
        if (j->fence > 0 || j->after != WATCH_NOBODY)
            continue;
        if (waited <= LARGE_MS * came)
            continue;
        snprintf(s->why, sizeof s->why,
                 "job %" PRId64 ", which takes %" PRId64 " MiB, was passed over for %" PRId64
                 " ms",
                 large[i], s->watch.orders[large[i]].memory_bytes / MIB, waited);
        longjmp(s->end, 1);
    }
}

static void tend(struct sim *s)
{
    if (s->now < s->tend_at)
        return; /* an earlier timer that was set anew */
    watch_begin(&s->watch, store_now(s), false);
    watch_tend(&s->watch, store_now(s));
    watch_commit(&s->watch, store_now(s));
    look_ahead(s);
    check_large(s);
}

/* Each node by itself: between looking and firing others may have done so. */
static void look_after_schedules(struct sim *s, int node)
{
    enum { LOOK_MS = 15 * SECOND };
    struct watch_due due[WATCH_SCHEDULES];
    if (s->over)
        return;
    put(s, between(s, SECOND, LOOK_MS), LOOK, (struct message){.node = node});
    if (!s->nodes[node].up || s->nodes[node].stopped)
        return;
    watch_begin(&s->watch, store_now(s), false);
    size_t n = watch_due(&s->watch, store_now(s), due);
    watch_commit(&s->watch, store_now(s));
    look_ahead(s);
    for (size_t i = 0; i < n; i++)
        post(s, ARRIVE, (struct message){.call = FIRE, .node = node, .due = due[i]});
}

/* ---- what a receiver is told ---- */

static void send_events(struct sim *s, int node)
{
    struct watch_sent sent[WATCH_SENT];
    put(s, between(s, 5 * SECOND, 25 * SECOND), SEND, (struct message){.node = node});
    if (!s->nodes[node].up || s->nodes[node].stopped)
        return;
    watch_begin(&s->watch, store_now(s), false);
    size_t n = watch_hook_take(&s->watch, store_now(s), sent);
    watch_commit(&s->watch, store_now(s));
    look_ahead(s);
    for (size_t i = 0; i < n; i++)
        post(
            s, TOLD,
            (struct message){.node = node, .life = s->nodes[node].life, .sent_event = sent[i]});
}

/* It has its troubles; and its answer may be lost, though it knows by then. */
static void told(struct sim *s, struct message m)
{
    m.arrived = !one_in(s, 12);
    if (m.arrived)
        watch_hook_hear(&s->watch, &m.sent_event);
    post(s, SENT, m);
}

static void sent(struct sim *s, const struct message *m)
{
    const struct node *n = &s->nodes[m->node];
    if (!n->up || n->stopped || m->life != n->life)
        return;
    watch_begin(&s->watch, store_now(s), false);
    watch_hook_done(&s->watch, &m->sent_event, m->arrived, store_now(s));
    watch_commit(&s->watch, store_now(s));
    look_ahead(s);
}

/* ---- nodes ---- */

static struct worker *worker_of(struct sim *s, const struct message *m)
{
    return &s->nodes[m->node].workers[m->worker];
}

static void ask(struct sim *s, int node, int worker, struct message m)
{
    struct worker *k = &s->nodes[node].workers[worker];
    m.node = node;
    m.worker = worker;
    m.life = s->nodes[node].life;
    m.job = k->job;
    m.nonce = k->nonce;
    m.batch = k->batch;
    m.ending = k->ending;
    m.sent = s->now;
    m.ask = m.call == STARTED || m.call == HEARTBEAT ? k->lease : ++k->ask;
    post(s, ARRIVE, m);
    if (m.call != STARTED && m.call != HEARTBEAT)
        put(s, ANSWER_MS, ASK_AGAIN, m);
}

static void idle(struct worker *k)
{
    *k = (struct worker){.ask = k->ask + 1, .lease = k->lease + 1};
}

static bool runs(const struct worker *k)
{
    return k->state > ASKING;
}

/* As the pool's (pool/bounds.c): what there is, what runs with what it has taken, what is on its way. */
static struct room_offer offer_of(const struct node *n)
{
    int64_t there = NODE_BYTES;
    for (int i = 0; i < WORKERS; i++)
        there -= runs(&n->workers[i]) ? n->workers[i].taken : 0;
    struct room r = room_begin(there > 0 ? there : 0);
    for (int i = 0; i < WORKERS; i++) {
        const struct worker *k = &n->workers[i];
        if (runs(k))
            room_add_job(&r, ask_promised(k->promised, NEEDS_PAGE), k->taken);
        else if (k->state == ASKING)
            room_add_question(&r, k->offer, true);
    }
    return room_turn_offer(&n->turn, &r);
}

static void wake(struct sim *s, int node)
{
    struct node *n = &s->nodes[node];
    if (s->now < n->rest_until)
        return;
    for (int i = 0; i < WORKERS; i++) {
        struct worker *k = &n->workers[i];
        struct message call = {.call = RESERVE};
        if (k->state != IDLE)
            continue;
        k->offer = offer_of(n);
        if (k->offer.kind == ROOM_NOTHING) {
            n->rest_until = s->now + MISFIT_MS;
            put(s, MISFIT_MS, WAKE, (struct message){.node = node, .kind = IF_ANY});
            return;
        }
        call.memory = ask_of(&n->turn, k->offer, true, PATIENCE_MS, s->now);
        k->state = ASKING;
        ask(s, node, i, call);
    }
}

/* What a node has promised to the jobs that run on it is there, unless one that takes more runs alone. */
static void check_promised(struct sim *s, int node)
{
    int64_t promised = 0, count = 0;
    for (int i = 0; i < WORKERS; i++) {
        const struct worker *k = &s->nodes[node].workers[i];
        promised += runs(k) ? k->promised : 0;
        count += runs(k);
    }
    if (count < 2 || promised <= NODE_BYTES)
        return;
    snprintf(s->why, sizeof s->why,
             "node %d promised %" PRId64 " MiB to %" PRId64 " jobs, and has %" PRId64, node,
             promised / MIB, count, NODE_BYTES / MIB);
    longjmp(s->end, 1);
}

static void later(struct sim *s, const struct worker *k, const struct message *m, int64_t in_ms,
                  enum what what)
{
    struct message own = {
        .node = m->node, .worker = m->worker, .life = m->life, .ask = k->lease};
    put(s, in_ms, what, own);
}

static void beat(struct sim *s, struct worker *k, const struct message *m)
{
    struct message call = {.call = HEARTBEAT};
    ask(s, m->node, m->worker, call);
    later(s, k, m, s->watch.limits.lease_ms / 3, BEAT);
}

static int64_t piece_ms(struct sim *s)
{
    return s->crowded ? between(s, 2 * SECOND, 6 * SECOND) : between(s, 50, 4 * SECOND);
}

/* What the answer says of memory. True: others may be there. */
static bool on_room(struct sim *s, const struct message *m)
{
    struct node *n = &s->nodes[m->node];
    struct lease l = {.passed_ms = m->passed_ms, .passed_bytes = m->passed_bytes};
    enum ask_news news = ask_heard(&n->turn, &m->memory, m->result, &l, PATIENCE_MS, s->now);
    if (news == ASK_BEGINS)
        say(s, "node %d makes room for %" PRId64 " MiB", m->node, l.passed_bytes / MIB);
    else if (news == ASK_MADE)
        say(s, "node %d made room", m->node);
    else if (m->result && m->memory.memory_bytes != STORE_MEMORY_ANY)
        n->rest_until = s->now + MISFIT_MS;
    return news == ASK_MADE || m->memory.memory_bytes == STORE_MEMORY_ANY;
}

static void on_lease(struct sim *s, struct worker *k, const struct message *m)
{
    bool others = on_room(s, m);
    if (others && !(m->result && m->memory.memory_least == 0))
        put(s, 1, WAKE, (struct message){.node = m->node});
    else if (s->nodes[m->node].rest_until > s->now)
        put(s, MISFIT_MS, WAKE, (struct message){.node = m->node, .kind = IF_ANY});
    if (m->result) {
        idle(k);
        return;
    }
    k->state = WORKING;
    k->lease++;
    k->job = m->job;
    k->nonce = m->nonce;
    k->batch = m->batch;
    k->promised = s->watch.orders[m->job].memory_bytes;
    k->taken = 0;
    check_promised(s, m->node);
    k->trusts_until = s->now + s->watch.limits.lease_ms;
    ask(s, m->node, m->worker, (struct message){.call = STARTED});
    later(s, k, m, s->watch.limits.lease_ms / 3, BEAT);
    later(s, k, m, piece_ms(s), STEP);
    if (!s->rude)
        later(s, k, m, s->watch.limits.lease_ms, GIVE_UP);
}

static void end_with(struct sim *s, struct worker *k, const struct message *m,
                     struct watch_ending e)
{
    k->state = ENDING;
    k->ending = e;
    ask(s, m->node, m->worker, (struct message){.call = FINISH});
}

/* What becomes of the next piece of work: by the job's nature, the site's weather, and chance. */
static bool goes_wrong(struct sim *s, const struct worker *k, struct watch_ending *out)
{
    uint64_t is = nature(s, k->job);
    *out = (struct watch_ending){0};
    if (is < 5)
        out->failure = FAILURE_NOT_FOUND;
    else if (is < 9)
        *out = (struct watch_ending){FAILURE_CRASH, BUDGET_CRASH, 0};
    else if (s->now < s->down_until[s->watch.orders[k->job].lane])
        out->failure = FAILURE_NETWORK;
    else if (s->watch.orders[k->job].lane == WATCH_SESSIONED && one_in(s, 6))
        *out =
            (struct watch_ending){one_in(s, 10) ? FAILURE_BLOCKED : FAILURE_RATE_LIMITED,
                                  BUDGET_NONE, one_in(s, 4) ? 0 : between(s, SECOND, MINUTE)};
    else if (is < 20 && one_in(s, 2))
        out->failure = FAILURE_TIMEOUT;
    else if (is < 30 && one_in(s, 3))
        *out = (struct watch_ending){FAILURE_RATE_LIMITED, BUDGET_NONE,
                                     one_in(s, 2) ? 0 : between(s, SECOND, MINUTE)};
    else if (one_in(s, 60))
        *out = (struct watch_ending){FAILURE_BROWSER, BUDGET_RELEASE, 0};
    else
        return false;
    return true;
}

static void work(struct sim *s, struct worker *k, const struct message *m)
{
    struct watch_ending e;
    if (goes_wrong(s, k, &e)) {
        end_with(s, k, m, e);
    } else if (k->batch >= watch_batches(k->job)) {
        end_with(s, k, m, (struct watch_ending){0});
    } else {
        k->state = TELLING;
        ask(s, m->node, m->worker, (struct message){.call = RECORDS});
    }
}

static void on_answer(struct sim *s, const struct message *m)
{
    struct worker *k = worker_of(s, m);
    if (m->call == STARTED || m->call == HEARTBEAT) {
        if (m->ask != k->lease || k->state <= ASKING)
            return;
        if (m->result == E_STALE) {
            idle(k);
        } else if (m->call == HEARTBEAT) {
            k->trusts_until = m->sent + s->watch.limits.lease_ms - SECOND;
            if (m->cancel && k->state == WORKING)
                end_with(s, k, m, (struct watch_ending){FAILURE_CANCELLED, BUDGET_NONE, 0});
        }
        return;
    }
    if (m->ask != k->ask)
        return; /* an answer to an earlier question */
    if (m->call == RESERVE && k->state == ASKING) {
        on_lease(s, k, m);
    } else if (m->call == RECORDS && k->state == TELLING) {
        k->ask++;
        if (m->result) {
            idle(k);
            return;
        }
        k->batch++;
        k->taken += (k->promised - k->taken) / 2; /* not all of it at once */
        k->state = WORKING;
        later(s, k, m, piece_ms(s), STEP);
    } else if (m->call == FINISH && k->state == ENDING) {
        idle(k);
        put(s, between(s, 1, 50), WAKE, (struct message){.node = m->node});
    }
}

/* The same question again, with the same nonce; a lease that may have been given is not taken up. */
static void ask_again(struct sim *s, const struct message *m)
{
    struct worker *k = worker_of(s, m);
    if (m->ask != k->ask || k->state == IDLE || k->state == WORKING)
        return;
    if (m->call == RESERVE) {
        idle(k);
        put(s, 1, WAKE, (struct message){.node = m->node});
        return;
    }
    ask(s, m->node, m->worker, (struct message){.call = m->call});
}

static void give_up(struct sim *s, const struct message *m)
{
    struct worker *k = worker_of(s, m);
    if (m->ask != k->lease || k->state <= ASKING)
        return;
    if (s->now < k->trusts_until) {
        later(s, k, m, k->trusts_until - s->now, GIVE_UP);
        return;
    }
    say(s, "node %d.%d gives job %" PRId64 " up by itself", m->node, m->worker, k->job);
    idle(k);
    put(s, 1, WAKE, (struct message){.node = m->node});
}

/* ---- trouble ---- */

static void trouble(struct sim *s, const struct event *e)
{
    struct node *n = &s->nodes[e->m.node];
    int64_t before = store_now(s);
    s->foul_ms = s->now;
    switch (e->what) {
    case CRASH:
        say(s, "node %d crashes", e->m.node);
        n->up = false;
        n->life++;
        n->held_count = 0;
        n->stopped = false;
        n->turn = (struct room_turn){.emptying = false};
        n->rest_until = 0;
        memset(n->workers, 0, sizeof n->workers);
        put(s, between(s, 100, 40 * SECOND), UP, e->m);
        return;
    case UP:
        n->up = true;
        say(s, "node %d is up", e->m.node);
        wake(s, e->m.node);
        return;
    case STOP:
        if (!n->up || n->stopped)
            return;
        say(s, "node %d is stopped", e->m.node);
        n->stopped = true;
        put(s, between(s, SECOND, 5 * s->watch.limits.lease_ms), CONTINUE, e->m);
        return;
    case POWER:
        say(s, "the service is started anew");
        s->inbox_count = 0;
        watch_power(&s->watch, store_now(s));
        look_ahead(s);
        return;
    case CLOCK:
        s->offset +=
            below(s, 2) ? between(s, -60 * MINUTE, 60 * MINUTE) : between(s, -SECOND, SECOND);
        say(s, "the clock is set: %+" PRId64 " ms in all", s->offset);
        watch_clock(&s->watch, before);
        look_ahead(s);
        return;
    case OUTAGE:
        s->down_until[e->m.job] = s->now + between(s, MINUTE, 8 * MINUTE);
        say(s, "%s is down", watch_lane_names[e->m.job]);
        return;
    default:
        return;
    }
}

/* What is for a node that is not there is lost; for one that is stopped it waits. */
static bool reaches(struct sim *s, const struct event *e)
{
    struct node *n = &s->nodes[e->m.node];
    if (!n->up || (e->what != WAKE && e->m.life != n->life))
        return false;
    if (!n->stopped)
        return true;
    if (n->held_count < sizeof n->held / sizeof n->held[0])
        n->held[n->held_count++] = *e;
    return false;
}

static void at_node(struct sim *s, const struct event *e)
{
    struct worker *k = worker_of(s, &e->m);
    if (!reaches(s, e))
        return;
    switch (e->what) {
    case WAKE:
        if (e->m.kind != IF_ANY || s->watch.seen.startable > 0)
            wake(s, e->m.node);
        return;
    case ANSWER:
        on_answer(s, &e->m);
        return;
    case ASK_AGAIN:
        ask_again(s, &e->m);
        return;
    case BEAT:
        if (e->m.ask == k->lease && k->state > ASKING)
            beat(s, k, &e->m);
        return;
    case STEP:
        if (e->m.ask == k->lease && k->state == WORKING)
            work(s, k, &e->m);
        return;
    case GIVE_UP:
        give_up(s, &e->m);
        return;
    default:
        return;
    }
}

static void go_on(struct sim *s, int node)
{
    struct node *n = &s->nodes[node];
    if (!n->stopped)
        return;
    say(s, "node %d goes on", node);
    n->stopped = false;
    for (size_t i = 0; i < n->held_count; i++)
        put(s, 0, n->held[i].what, n->held[i].m);
    n->held_count = 0;
    wake(s, node);
}

/* ---- clients ---- */

/* Until it is answered the same request comes again, with another id; now and then with another body, and refused. */
static void submit(struct sim *s, const struct message *m)
{
    struct message call = {
        .call = m->call, .job = m->job, .batch = m->batch, .try = m->try, .nonce = 1};
    struct message next = *m;
    if (s->heard[m->job]) {
        if (m->call == ACCEPT && one_in(s, 4) && s->watch.seen.jobs[m->job].acknowledged) {
            call.nonce = 2;
            post(s, ARRIVE, call);
        }
        return;
    }
    post(s, ARRIVE, call);
    next.try++;
    put(s, ANSWER_MS, SUBMIT, next);
}

static void step(struct sim *s, const struct event *e)
{
    struct message m = e->m;
    switch (e->what) {
    case SUBMIT:
        submit(s, &m);
        return;
    case HEARD:
        s->heard[m.job] |= !m.wait;
        return;
    case HAND:
        s->foul_ms = m.call == LANE || m.call == MODE ? s->now : s->foul_ms;
        post(s, ARRIVE, m);
        return;
    case ARRIVE:
        arrive(s, m);
        return;
    case FLUSH:
        flush(s);
        return;
    case TEND:
        tend(s);
        return;
    case CONTINUE:
        go_on(s, m.node);
        return;
    case LOOK:
        look_after_schedules(s, m.node);
        return;
    case SEND:
        send_events(s, m.node);
        return;
    case TOLD:
        told(s, m);
        return;
    case SENT:
        sent(s, &m);
        return;
    case CRASH:
    case UP:
    case STOP:
    case POWER:
    case CLOCK:
    case OUTAGE:
        trouble(s, e);
        return;
    case WAKE:
    case ANSWER:
    case ASK_AGAIN:
    case BEAT:
    case STEP:
    case GIVE_UP:
        at_node(s, e);
        return;
    }
}

/* ---- a run ---- */

/* Of a crowded storm: all at once, a few of them large and first in turn, the others such that two fit on a node. */
static void draw_memory(struct sim *s, int64_t job, struct watch_order *o, int64_t *at)
{
    enum { LARGE = 40 };
    if (s->crowded) {
        bool large = job % LARGE == 5;
        o->memory_bytes = (large ? 900 : between(s, 250, 500)) * MIB;
        o->prio = large ? 9 : o->prio;
        o->work = large ? WATCH_NOBODY : o->work; /* it waits for memory alone */
        *at = between(s, 0, 30 * SECOND);
        return;
    }
    int64_t is = below(s, 10);
    if (is < 4)
        o->memory_bytes = between(s, 64, 400) * MIB;
    else if (is < 6)
        o->memory_bytes = between(s, 600, 1500) * MIB;
}

/* Half of the jobs are about the same as others, which come at about the same time. */
static struct watch_order draw_order(struct sim *s, int64_t job, int64_t *at)
{
    struct watch_order o = {.lane = job % WATCH_ASKED,
                            .prio = (int)(job % 10),
                            .work = WATCH_NOBODY,
                            .keyless = below(s, 8) == 0};
    if (below(s, 2))
        return o;
    o.work = below(s, WATCH_WORKS);
    o.wish = o.work < WATCH_WORKS / 2       ? (enum watch_wish)below(s, WISH_FRESH)
             : o.work < WATCH_WORKS * 3 / 4 ? WISH_FRESH
                                            : WISH_SHARE;
    o.young = o.wish == WISH_EXISTING && below(s, 2);
    *at =
        o.work * MINUTE + between(s, 0, o.wish == WISH_FRESH || o.young ? 5 * MINUTE : MINUTE);
    return o;
}

/* By which of its jobs it is known what became of the later requests. */
static int64_t added_job(int64_t batch)
{
    return WATCH_ALONE + batch * WATCH_BATCH_JOBS + WATCH_BATCH_FIRST;
}

static int64_t sealed_job(int64_t batch)
{
    return added_job(batch) + 1;
}

static void plan_batch(struct sim *s, int64_t batch)
{
    int64_t first = WATCH_ALONE + batch * WATCH_BATCH_JOBS, at = between(s, 0, STORM_MS / 2);
    struct message m = {.call = BATCH, .job = first, .batch = batch};
    s->watch.batch_orders[batch].parallel = below(s, 2) ? 0 : between(s, 1, 3);
    s->watch.batch_orders[batch].stop_after = below(s, 3) ? 0 : between(s, 1, 3);
    for (int64_t i = first; i < first + WATCH_BATCH_JOBS; i++)
        s->watch.orders[i] = (struct watch_order){
            .lane = i % WATCH_SESSIONED, .prio = (int)(i % 10), .work = WATCH_NOBODY};
    put(s, at, SUBMIT, m);
    s->watch.batch_orders[batch].open = below(s, 2);
    if (s->watch.batch_orders[batch].open) {
        s->watch.batch_orders[batch].stop_after = 0; /* it would be sealed by that */
        m = (struct message){.call = ADD, .job = added_job(batch), .batch = batch};
        put(s, at + between(s, 0, 5 * MINUTE), SUBMIT, m);
        m = (struct message){.call = SEAL, .job = sealed_job(batch), .batch = batch};
        put(s, at + between(s, 0, 10 * MINUTE), SUBMIT, m);
    }
    m.call = RETRY;
    for (int64_t n = below(s, 3); n > 0; n--)
        put(s, at + between(s, MINUTE, STORM_MS / 2), HAND, m);
}

static const int64_t hand_ms = 2 * MINUTE; /* for so long something is held up, about */

static int64_t trouble_at(struct sim *s)
{
    return between(s, s->crowded ? CROWDED_MS : 0, STORM_MS);
}

static void plan_hands(struct sim *s)
{
    for (int64_t n = below(s, 4); n > 0; n--) {
        struct message m = {.call = LANE, .job = below(s, WATCH_ASKED)};
        int64_t at = trouble_at(s);
        bool pause = below(s, 2);
        m.kind = pause ? LANE_ACT_PAUSE : LANE_ACT_CLOSE;
        put(s, at, HAND, m);
        m.kind = pause ? LANE_ACT_RESUME : LANE_ACT_OPEN;
        put(s, at + between(s, SECOND, hand_ms), HAND, m);
    }
    for (int64_t n = below(s, 3); n > 0; n--) {
        struct message m = {.call = MODE, .kind = between(s, MODE_PAUSED, MODE_MAINTENANCE)};
        int64_t at = trouble_at(s);
        put(s, at, HAND, m);
        m.kind = MODE_NORMAL;
        put(s, at + between(s, SECOND, hand_ms), HAND, m);
    }
    for (int64_t n = below(s, 3); n > 0; n--)
        put(s, between(s, 5 * MINUTE, STORM_MS), HAND,
            (struct message){.call = RETRY, .batch = WATCH_NOBODY});
}

/* Nobody holds anything up any more. */
static void calm(struct sim *s)
{
    watch_begin(&s->watch, store_now(s), false);
    for (int64_t i = 0; i < WATCH_ASKED; i++) {
        watch_lane_act(&s->watch, i, LANE_ACT_RESUME, store_now(s));
        watch_lane_act(&s->watch, i, LANE_ACT_OPEN, store_now(s));
    }
    watch_mode(&s->watch, MODE_NORMAL, store_now(s));
    watch_schedules_end(&s->watch, store_now(s));
    watch_commit(&s->watch, store_now(s));
    look_ahead(s);
}

static void plan(struct sim *s)
{
    for (int64_t i = 0; i < WATCH_ALONE; i++) {
        int64_t at = between(s, 0, STORM_MS * 3 / 4);
        struct message m = {.call = ACCEPT, .job = i};
        s->watch.orders[i] = draw_order(s, i, &at);
        draw_memory(s, i, &s->watch.orders[i], &at);
        put(s, at, SUBMIT, m);
        m.kind = below(s, 3);
        m.call = CANCEL;
        if (below(s, 8) == 0)
            put(s, at + between(s, 0, below(s, 2) ? MINUTE : SECOND), HAND, m);
        m.kind = below(s, 2);
        m.call = REPLAY;
        if (below(s, 4) == 0)
            put(s, at + between(s, SECOND, 5 * MINUTE), HAND, m);
    }
    for (int64_t i = 0; i < WATCH_BATCHES; i++)
        plan_batch(s, i);
    plan_hands(s);
    for (int i = 0; i < NODES; i++) {
        s->nodes[i].up = true;
        put(s, SECOND, LOOK, (struct message){.node = i});
        put(s, SECOND, SEND, (struct message){.node = i});
        for (int64_t n = below(s, 6); n > 0; n--)
            put(s, trouble_at(s), CRASH, (struct message){.node = i});
        for (int64_t n = below(s, 6); n > 0; n--)
            put(s, trouble_at(s), STOP, (struct message){.node = i});
    }
    for (int64_t n = below(s, 4); n > 0; n--)
        put(s, trouble_at(s), POWER, (struct message){0});
    for (int64_t n = below(s, 3) ? 0 : below(s, 6); n > 0; n--)
        put(s, trouble_at(s), CLOCK, (struct message){0});
    for (int64_t n = below(s, 4); n > 0; n--)
        put(s, trouble_at(s), OUTAGE, (struct message){.job = below(s, WATCH_ASKED)});
}

static bool all_over(const struct sim *s)
{
    for (int i = 0; i < WATCH_ALL; i++) {
        const struct watch_job *j = &s->watch.seen.jobs[i];
        int64_t in = i < WATCH_JOBS ? (i - WATCH_ALONE) % WATCH_BATCH_JOBS : WATCH_NOBODY;
        int64_t batch = (i - WATCH_ALONE) / WATCH_BATCH_JOBS;
        bool asked = i < WATCH_ALONE || in == 0 ||
                     (in > 0 && s->watch.batch_orders[batch].open &&
                      (i == added_job(batch) || i == sealed_job(batch)));
        if ((asked && !s->heard[i]) || (j->exists && !job_is_final(j->state)))
            return false;
    }
    return !s->watch.seen.operation.running && watch_batches_called(&s->watch) &&
           watch_hook_knows_all(&s->watch);
}

/* Everybody is there again, and nothing is on its way. */
static void start_over(struct sim *s)
{
    s->event_count = s->inbox_count = 0;
    s->flush_set = s->over = false;
    s->tend_at = 0;
    memset(s->nodes, 0, sizeof s->nodes);
    memset(s->down_until, 0, sizeof s->down_until);
    memset(s->heard, 0, sizeof s->heard);
    memset(s->came_ms, 0, sizeof s->came_ms);
}

static void storm(struct sim *s)
{
    int64_t began = s->now;
    s->foul_ms = began;
    plan(s);
    watch_begin(&s->watch, store_now(s), false);
    watch_schedules_put(&s->watch, store_now(s));
    watch_commit(&s->watch, store_now(s));
    look_ahead(s);
    while (s->event_count && s->now < began + STORM_MS + CALM_MS && !(s->over && all_over(s))) {
        struct event e = take(s);
        s->now = e.at;
        s->steps++;
        bool first = !s->over && s->now >= began + STORM_MS;
        s->over = s->now >= began + STORM_MS;
        if (first)
            calm(s);
        step(s, &e);
    }
    watch_audit(&s->watch, store_now(s), true);
    s->stormy += s->now - began;
    s->now += CALM_MS;
    watch_clear(&s->watch, store_now(s));
}

/* Of this process and the store, when nothing is left of what was there to do. */
static struct held look_at_held(const struct sim *s)
{
    struct held h = {.bytes = (int64_t)mallinfo2().uordblks};
    char path[sizeof s->dir + 16];
    struct stat st;
    DIR *open_now = opendir("/proc/self/fd");
    for (; open_now && readdir(open_now);)
        h.descriptors++;
    if (open_now)
        closedir(open_now);
    snprintf(path, sizeof path, "%s/fulmar.db", s->dir);
    h.file_bytes = stat(path, &st) ? 0 : st.st_size;
    return h;
}

static void most(int64_t *a, int64_t b)
{
    *a = b > *a ? b : *a;
}

/* The same again, and again: what is held must not grow. It swings with what the store has looked at last, so that the
 * most after the first storms is what counts. */
static void check_held(struct sim *s, int64_t round)
{
    struct held now = look_at_held(s), *first = &s->first;
    if (round < FULL_AFTER) {
        most(&first->bytes, now.bytes);
        most(&first->descriptors, now.descriptors);
        most(&first->file_bytes, now.file_bytes);
        return;
    }
    if (now.descriptors > first->descriptors)
        snprintf(s->why, sizeof s->why,
                 "%" PRId64 " descriptors after storm %" PRId64 ", %" PRId64 " before",
                 now.descriptors, round + 1, first->descriptors);
    else if (now.bytes > first->bytes + first->bytes / 20 + HELD_SLACK)
        snprintf(s->why, sizeof s->why,
                 "%" PRId64 " bytes of memory after storm %" PRId64 ", %" PRId64 " before",
                 now.bytes, round + 1, first->bytes);
    else if (now.file_bytes > 2 * first->file_bytes)
        snprintf(s->why, sizeof s->why,
                 "a file of %" PRId64 " bytes after storm %" PRId64 ", %" PRId64 " before",
                 now.file_bytes, round + 1, first->file_bytes);
    else
        return;
    longjmp(s->end, 1);
}

static void play(struct sim *s)
{
    watch_open(&s->watch, store_now(s));
    for (int64_t round = 0; round < s->storms; round++) {
        if (round) {
            start_over(s);
            watch_next_round(&s->watch, store_now(s));
        }
        storm(s);
        check_held(s, round);
    }
}

static void draw_limits(struct sim *s)
{
    s->watch.limits = (struct store_limits){
        .ready_max = 2 * WATCH_ALL,
        .fail_max = between(s, 2, 5),
        .crash_max = between(s, 2, 3),
        .throttle_max = between(s, 2, 50),
        .retry_base_ms = between(s, 200, 5000),
        .retry_cap_ms = between(s, 10000, 600000),
        .lane_max_active = between(s, 1, 4),
        .retry_floor = 1000000,
        .lane_emit_ms = below(s, 2) ? 0 : between(s, 200, 4000),
        .lane_burst = between(s, 1, 4),
        .lease_ms = 3000 * between(s, 1, 5),
    };
    s->watch.site_limit = s->watch.tenant_limit = (struct watch_limit){.burst = 1};
    if (s->crowded) {
        s->watch.limits.lane_max_active = NODES * WORKERS;
        s->watch.limits.lane_emit_ms = 0;
        return;
    }
    if (below(s, 2))
        s->watch.site_limit = (struct watch_limit){
            between(s, 0, 2), below(s, 2) ? 0 : between(s, 200, 6000), between(s, 1, 3)};
    if (below(s, 2))
        s->watch.tenant_limit.most = between(s, 2, 5); /* tenants have no rate */
}

static void remove_dir(const char *dir)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    if (system(command))
        fprintf(stderr, "%s is left\n", dir);
}

/* One seed; false: a promise was broken. */
static bool run(struct sim *s, uint64_t seed, int64_t storms, enum watch_mistake mistake,
                bool trace, int64_t totals[SIGHTS])
{
    memset(s, 0, sizeof *s);
    s->seed = seed;
    s->storms = storms;
    s->random = seed * 0x9e3779b97f4a7c15u + 1;
    s->trace = trace;
    for (int i = 0; i < 4; i++)
        (void)below(s, 2);
    s->rude =
        below(s, 3) == 0; /* nodes that do not stop by themselves when their lease is over */
    s->crowded = below(s, 4) == 0;
    draw_limits(s);
    snprintf(s->dir, sizeof s->dir, "%s/fulmar-sim-XXXXXX",
             access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    if (!mkdtemp(s->dir)) {
        perror(s->dir);
        exit(2);
    }
    s->watch.dir = s->dir;
    s->watch.store_seed = seed;
    s->watch.mistake = mistake;
    s->watch.a = arena_new(4 << 20);
    s->watch.broken = on_broken;
    s->watch.ctx = s;
    bool good = setjmp(s->end) == 0;
    if (good)
        play(s);
    if (s->watch.s)
        watch_close(&s->watch);
    arena_free(&s->watch.a);
    remove_dir(s->dir);
    for (int i = 0; i < SIGHTS; i++)
        totals[i] += s->watch.sights[i];
    return good;
}

static void tell_broken(const struct sim *s)
{
    int64_t from = s->line_count > TRACE ? s->line_count - TRACE : 0;
    for (int64_t i = from; !s->trace && i < s->line_count; i++)
        puts(s->lines[i % TRACE]);
    printf("BROKEN: %s\nseed %" PRIu64 ", step %" PRId64 ", %" PRId64
           " ms; again with: make sim SEED=%" PRIu64 " STORMS=%" PRId64 "\n",
           s->why, s->seed, s->steps, s->now, s->seed, s->storms);
}

/* Locks of a file are between processes, and there is one: a third of the time would go into asking for them. */
static int without_locks(int fd, int op, ...)
{
    va_list list;
    va_start(list, op);
    void *arg = va_arg(list, void *);
    va_end(list);
    return op == F_SETLK || op == F_SETLKW ? 0 : fcntl(fd, op, arg);
}

static void ask_for_no_locks(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    (void)vfs->xSetSystemCall(vfs, "fcntl", (sqlite3_syscall_ptr)without_locks);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int find_mistake(struct sim *s, enum watch_mistake mistake, uint64_t seed, int64_t count)
{
    int64_t totals[SIGHTS] = {0};
    for (int64_t i = 0; i < count; i++) {
        if (run(s, seed + (uint64_t)i, 1, mistake, false, totals))
            continue;
        printf("found with seed %" PRIu64 " at step %" PRId64 ": %s\n", s->seed, s->steps,
               s->why);
        return 0;
    }
    printf("NOT FOUND in %" PRId64 " seeds\n", count);
    return 1;
}

/* A simulation in which nothing happens proves nothing. */
static int tell_sights(const int64_t totals[SIGHTS], int64_t count)
{
    int missing = 0;
    for (int i = 0; i < SIGHTS; i++) {
        printf("  %-14s %" PRId64 "\n", watch_sight_names[i], totals[i]);
        missing += count >= 50 && !totals[i];
    }
    if (missing)
        puts("some of these never happened");
    return missing != 0;
}

static int simulate(struct sim *s, uint64_t seed, int64_t count, int64_t storms, bool trace)
{
    int64_t totals[SIGHTS] = {0}, ignored[SIGHTS] = {0};
    double began = seconds();
    int64_t virtual_ms = 0, steps = 0;
    for (int64_t i = 0; i < count; i++) {
        bool good = run(s, seed + (uint64_t)i, storms, MISTAKE_NONE, trace, totals);
        uint64_t hash = s->hash;
        virtual_ms += s->stormy;
        steps += s->steps;
        if (!good) {
            tell_broken(s);
            return 1;
        }
        if (i % 100 == 0 && storms == 1 &&
            (!run(s, seed + (uint64_t)i, storms, MISTAKE_NONE, false, ignored) ||
             s->hash != hash)) {
            printf("seed %" PRIu64 " did not do the same again\n", s->seed);
            return 1;
        }
    }
    double took = seconds() - began;
    printf("%" PRId64 " seeds from %" PRIu64 ": every promise kept in %" PRId64
           " steps; %.1f h in %.1f s, %.0f times as fast\n",
           count, seed, steps, (double)virtual_ms / 3600e3, took,
           (double)virtual_ms / 1000 / took);
    return tell_sights(totals, count);
}

int main(int argc, char **argv)
{
    static const char *const mistakes[MISTAKES] = {"none", "fence", "early",
                                                   "loss", "twice", "sleep"};
    static struct sim sim;
    uint64_t seed = 1;
    int64_t count = 1, storms = 1;
    enum watch_mistake mistake = MISTAKE_NONE;
    bool trace = false;
    ask_for_no_locks();
    for (int i = 1; i < argc; i++) {
        if (sscanf(argv[i], "seed=%" SCNu64, &seed) == 1 ||
            sscanf(argv[i], "count=%" SCNd64, &count) == 1 ||
            sscanf(argv[i], "storms=%" SCNd64, &storms) == 1)
            continue;
        if (strcmp(argv[i], "trace") == 0) {
            trace = true;
            continue;
        }
        for (int k = 1; k < MISTAKES; k++)
            if (strncmp(argv[i], "mistake=", 8) == 0 && strcmp(argv[i] + 8, mistakes[k]) == 0)
                mistake = (enum watch_mistake)k;
        if (mistake == MISTAKE_NONE) {
            fprintf(
                stderr,
                "sim: %s is not known; [seed=N] [count=N] [storms=N] [mistake=fence|early|loss|twice|sleep] [trace]\n",
                argv[i]);
            return 2;
        }
    }
    return mistake ? find_mistake(&sim, mistake, seed, count)
                   : simulate(&sim, seed, count, storms, trace);
}
