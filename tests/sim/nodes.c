/* nodes.c - two workers each, memory that is promised to jobs, and what befalls a node: it crashes, it is stopped and goes on. */
#include "sim.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>

/* The plan of a job: what it is good for is drawn from its number and the seed alone. */
static uint64_t nature(const struct sim *s, int64_t job)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, s->watch.round * WATCH_JOBS + job);
    return span_hash(span_of(text), s->seed) % 100;
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
        if (m->result == E_DISK_FULL)
            return; /* and it is asked again */
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

void trouble(struct sim *s, const struct event *e)
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
    case FULL:
        say(s, "the disk is full");
        watch_disk(&s->watch, true);
        put(s, between(s, 10 * SECOND, 4 * MINUTE), ROOM, e->m);
        return;
    case ROOM:
        say(s, "the disk has room again");
        watch_disk(&s->watch, false);
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

void at_node(struct sim *s, const struct event *e)
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

void go_on(struct sim *s, int node)
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
