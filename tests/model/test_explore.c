/* Every state of small worlds: one or two jobs, workers whose messages come late, twice or after
 * their lease was lost, a reaper, people who cancel and replay, a service that dies. A lease may
 * lapse and a delay may end at any moment, so that no timing is left out. Invariants of the design
 * are checked on every edge. MODEL_SIM=1 adds the worlds with two jobs. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { GRANTS = 64, FIRST_NONCE = 1000, FAR = 1000000000, CODE_MAX = 4096, TRACE_MAX = 64 };

/* What the world knows beside the model: who was given which lease, and what was completed. */
struct ghost {
    int64_t granted;
    int64_t job_of[GRANTS], epoch_of[GRANTS]; /* of lease FIRST_NONCE + i */
    int64_t ok[3][3];                         /* job, generation */
};
struct world {
    struct ghost g;
    struct model m;
};

/* Which world is walked through. */
struct setup {
    const char *name;
    struct model_rules rules;
    int64_t jobs, max_active;
    int64_t unique;       /* all jobs share this key */
    int64_t releases_max; /* giving back more often tells nothing new */
    int64_t generations, epochs, restarts;
    bool wide; /* more than the prototype's world: starts, health, sessions of time, people */
    size_t states_max;
};

struct run {
    const struct setup *setup;
    unsigned char *codes; /* of all states, one after the other */
    size_t used, size;
    struct node {
        size_t at, n, parent;
        char how[40];
    } * nodes;
    size_t count, room;
    size_t *table, slots; /* index of a node + 1 */
    size_t edges, ended;
    const char *broken;
    size_t broken_from;
    char broken_by[40];
    /* of the state under work */
    size_t from;
    struct world *here, *next;
    bool moved; /* an edge that is not a cancel leads on */
};

/* ---- states as bytes: small numbers in few of them ---- */

static size_t put_number(unsigned char *out, int64_t value)
{
    uint64_t u = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    size_t n = 0;
    for (; u >= 128; u >>= 7)
        out[n++] = (unsigned char)(u | 128);
    out[n++] = (unsigned char)u;
    return n;
}

static size_t get_number(const unsigned char *in, int64_t *out)
{
    uint64_t u = 0;
    size_t n = 0;
    for (;; n++) {
        u |= (uint64_t)(in[n] & 127) << 7 * n;
        if (in[n] < 128)
            break;
    }
    *out = (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
    return n + 1;
}

static size_t put_numbers(unsigned char *out, const void *from, size_t bytes)
{
    const int64_t *v = from;
    size_t n = 0;
    for (size_t i = 0; i < bytes / sizeof *v; i++)
        n += put_number(out + n, v[i]);
    return n;
}

static size_t get_numbers(const unsigned char *in, void *to, size_t bytes)
{
    int64_t *v = to;
    size_t n = 0;
    for (size_t i = 0; i < bytes / sizeof *v; i++)
        n += get_number(in + n, &v[i]);
    return n;
}

enum { HEAD = offsetof(struct model, tenant_max) };

static size_t encode(const struct world *w, unsigned char *out)
{
    size_t n = put_numbers(out, &w->m, HEAD);
    n += put_numbers(out + n, w->m.sealed, sizeof w->m.sealed);
    n += put_numbers(out + n, w->m.lanes, (size_t)w->m.lane_count * sizeof w->m.lanes[0]);
    n += put_numbers(out + n, w->m.items, (size_t)w->m.item_count * sizeof w->m.items[0]);
    n += put_numbers(out + n, w->m.jobs, (size_t)w->m.job_count * sizeof w->m.jobs[0]);
    n += put_number(out + n, w->g.granted);
    n += put_numbers(out + n, w->g.job_of, (size_t)w->g.granted * sizeof w->g.job_of[0]);
    n += put_numbers(out + n, w->g.epoch_of, (size_t)w->g.granted * sizeof w->g.epoch_of[0]);
    return n + put_numbers(out + n, w->g.ok, sizeof w->g.ok);
}

static void decode(const unsigned char *in, struct world *w)
{
    in += get_numbers(in, &w->m, HEAD);
    in += get_numbers(in, w->m.sealed, sizeof w->m.sealed);
    in += get_numbers(in, w->m.lanes, (size_t)w->m.lane_count * sizeof w->m.lanes[0]);
    in += get_numbers(in, w->m.items, (size_t)w->m.item_count * sizeof w->m.items[0]);
    in += get_numbers(in, w->m.jobs, (size_t)w->m.job_count * sizeof w->m.jobs[0]);
    in += get_number(in, &w->g.granted);
    in += get_numbers(in, w->g.job_of, (size_t)w->g.granted * sizeof w->g.job_of[0]);
    in += get_numbers(in, w->g.epoch_of, (size_t)w->g.granted * sizeof w->g.epoch_of[0]);
    get_numbers(in, w->g.ok, sizeof w->g.ok);
}

/* What cannot change what happens next is taken out, so that equal states are equal bytes. */
static void tidy(const struct run *r, struct world *w)
{
    if (!r->setup->wide)
        memset(w->m.vtime, 0, sizeof w->m.vtime);         /* one lane */
    memset(w->m.tenant_pass, 0, sizeof w->m.tenant_pass); /* one tenant */
    w->m.tenant_vtime = 0;
    for (int64_t i = 0; i < w->m.job_count; i++) {
        struct model_job *j = &w->m.jobs[i];
        if (j->state != MODEL_READY)
            j->rank = 0;
        if (!r->setup->wide)
            j->progressed = j->have = 0;
    }
    w->m.lanes[0].last_bad = 0;
}

static uint64_t hash(const unsigned char *p, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h ^ h >> 32;
}

static void *grow(void *p, size_t *room, size_t want, size_t one)
{
    if (want <= *room)
        return p;
    while (*room < want)
        *room = *room ? *room * 2 : 1024;
    p = realloc(p, *room * one);
    if (!p)
        abort();
    return p;
}

static void rehash(struct run *r)
{
    free(r->table);
    r->slots = r->slots ? r->slots * 2 : 4096;
    r->table = calloc(r->slots, sizeof *r->table);
    if (!r->table)
        abort();
    for (size_t i = 0; i < r->count; i++) {
        size_t at = hash(r->codes + r->nodes[i].at, r->nodes[i].n) & (r->slots - 1);
        while (r->table[at])
            at = (at + 1) & (r->slots - 1);
        r->table[at] = i + 1;
    }
}

/* True when the state is new. */
static bool remember(struct run *r, const unsigned char *code, size_t n, const char *how)
{
    if (2 * r->count >= r->slots)
        rehash(r);
    size_t at = hash(code, n) & (r->slots - 1);
    for (; r->table[at]; at = (at + 1) & (r->slots - 1)) {
        const struct node *o = &r->nodes[r->table[at] - 1];
        if (o->n == n && memcmp(r->codes + o->at, code, n) == 0)
            return false;
    }
    r->table[at] = r->count + 1;
    r->codes = grow(r->codes, &r->size, r->used + n, 1);
    memcpy(r->codes + r->used, code, n);
    r->nodes = grow(r->nodes, &r->room, r->count + 1, sizeof *r->nodes);
    struct node *o = &r->nodes[r->count++];
    *o = (struct node){.at = r->used, .n = n, .parent = r->from};
    snprintf(o->how, sizeof o->how, "%s", how);
    r->used += n;
    return true;
}

/* ---- edges ---- */

static struct world *copy(struct run *r)
{
    size_t used = offsetof(struct world, m.jobs) +
                  (size_t)r->here->m.job_count * sizeof(struct model_job);
    memcpy(r->next, r->here, used);
    return r->next;
}

static void broken(struct run *r, const char *what, const char *how)
{
    if (r->broken)
        return;
    r->broken = what;
    r->broken_from = r->from;
    snprintf(r->broken_by, sizeof r->broken_by, "%s", how);
}

enum edge { BY_SYSTEM, BY_WORKER, BY_CANCEL, BY_REPLAY };

/* What must hold between a state and the next one. */
static const char *check_move(const struct run *r, enum edge kind)
{
    for (int64_t i = 0; i < r->here->m.job_count; i++) {
        const struct model_job *a = &r->here->m.jobs[i], *b = &r->next->m.jobs[i];
        if (b->fence < a->fence || b->fence > a->fence + 1)
            return "I5: the fence went back or jumped";
        if (b->fence > a->fence && a->state != MODEL_READY)
            return "I5: a lease of a job that was not ready";
        if (a->state >= MODEL_SUCCEEDED && kind != BY_REPLAY &&
            (b->state != a->state || b->fence != a->fence))
            return "I8: an ended job moved";
        if (a->state == MODEL_SUCCEEDED && b->state != MODEL_SUCCEEDED)
            return "I8: a success was undone";
        if (kind != BY_WORKER && kind != BY_REPLAY && b->next_batch != a->next_batch)
            return "I9: a batch without its worker";
    }
    return NULL;
}

static void edge(struct run *r, enum edge kind, const char *how)
{
    static unsigned char code[CODE_MAX];
    r->edges++;
    const char *what = model_check(&r->next->m, &r->setup->rules);
    if (!what)
        what = check_move(r, kind);
    if (what)
        broken(r, what, how);
    tidy(r, r->next);
    size_t n = encode(r->next, code);
    const struct node *from = &r->nodes[r->from];
    bool same = from->n == n && memcmp(r->codes + from->at, code, n) == 0;
    r->moved |= !same && kind != BY_CANCEL;
    remember(r, code, n, how);
}

/* A refused operation must leave the state byte-identical. */
static void refused(struct run *r, const char *how)
{
    static unsigned char code[CODE_MAX];
    size_t n = encode(r->next, code);
    const struct node *from = &r->nodes[r->from];
    if (from->n != n || memcmp(r->codes + from->at, code, n) != 0)
        broken(r, "I21: a refused operation changed the state", how);
}

static void edges_of_queue(struct run *r)
{
    const struct model_rules *rules = &r->setup->rules;
    struct world *w = copy(r);
    int64_t nonce = FIRST_NONCE + w->g.granted;
    struct model_reply reply = model_reserve(&w->m, rules, 0, 0, nonce, 0, 0, 10, 0);
    if (reply.word == MODEL_OK) {
        if (w->g.granted == GRANTS)
            abort();
        w->g.job_of[w->g.granted] = reply.job;
        w->g.epoch_of[w->g.granted++] = w->m.epoch;
        edge(r, BY_SYSTEM, "reserve");
    } else {
        refused(r, "reserve");
    }
    w = copy(r);
    if (model_promote(&w->m, rules, 100, FAR).n)
        edge(r, BY_SYSTEM, "delay over");
    for (int64_t i = 0; i < r->here->m.job_count; i++) {
        if (r->here->m.jobs[i].state != MODEL_ACTIVE)
            continue;
        w = copy(r);
        struct model_job *j = &w->m.jobs[i];
        j->lease_until = 0;
        model_reap(&w->m, rules, 50, 0);
        if (j->state == MODEL_ACTIVE)
            j->lease_until = 10;
        edge(r, BY_SYSTEM, "lease over");
    }
}

static void edges_of_finish(struct run *r, const struct model_job *j, struct model_lease l,
                            bool current)
{
    static const struct {
        const char *name;
        struct model_ending ending;
    } endings[] = {
        {"finish ok", {MODEL_DONE, MODEL_HEALTHY, 0, 0}},
        {"finish fail", {MODEL_FAIL, MODEL_NO_VERDICT, 0, 0}},
        {"finish throttle", {MODEL_THROTTLE, MODEL_NO_VERDICT, 5, 0}},
        {"finish release", {MODEL_RELEASE, MODEL_NO_VERDICT, 0, 0}},
        {"finish perm", {MODEL_PERMANENT, MODEL_NO_VERDICT, 0, 0}},
        {"finish health", {MODEL_FAIL, MODEL_UNHEALTHY, 0, 0}},
    };
    for (int k = 0; k < (r->setup->wide ? 6 : 5); k++) {
        if (endings[k].ending.budget == MODEL_RELEASE && j->n_release >= r->setup->releases_max)
            continue;
        char how[40];
        snprintf(how, sizeof how, "%s %lld by lease %lld", endings[k].name, (long long)l.job,
                 (long long)(l.nonce - FIRST_NONCE + 1));
        struct world *w = copy(r);
        int64_t generation = j->generation;
        if (model_finish(&w->m, &r->setup->rules, l, endings[k].ending, 0).word != MODEL_OK) {
            refused(r, how);
            continue;
        }
        if (!current)
            broken(r, "I4: finish accepted from a lost lease", how);
        if (k == 0 && ++w->g.ok[l.job][generation] > 1)
            broken(r, "I8: two completions", how);
        edge(r, BY_WORKER, how);
    }
}

static void edges_of_lease(struct run *r, const struct model_job *j, struct model_lease l)
{
    const struct model_rules *rules = &r->setup->rules;
    bool current =
        j->state == MODEL_ACTIVE && j->nonce == l.nonce && l.epoch == r->here->m.epoch;
    edges_of_finish(r, j, l, current);
    for (int64_t b = j->next_batch - 1; b <= j->next_batch + r->setup->wide; b++) {
        if (b < 0 || b > 1)
            continue;
        struct world *w = copy(r);
        struct model_batch_item item = {b + 1, 1};
        struct model_reply reply = model_commit(&w->m, rules, l, b, &item, 1, b + 1);
        if (reply.word != MODEL_OK) {
            refused(r, "commit");
            continue;
        }
        if (!current)
            broken(r, "I4: batch accepted from a lost lease", "commit");
        if (w->m.jobs[j - r->here->m.jobs].cursor != w->m.jobs[j - r->here->m.jobs].next_batch)
            broken(r, "I9: the cursor is not that of the last batch", "commit");
        edge(r, BY_WORKER, "commit");
    }
    struct world *w = copy(r);
    if (model_heartbeat(&w->m, rules, l, 10, 0).word == MODEL_OK && !current)
        broken(r, "I4: heartbeat accepted from a lost lease", "heartbeat");
    edge(r, BY_WORKER, "heartbeat");
    if (!r->setup->wide)
        return;
    w = copy(r);
    if (model_started(&w->m, rules, l).word == MODEL_OK && !current)
        broken(r, "I4: start accepted from a lost lease", "started");
    edge(r, BY_WORKER, "started");
}

static void edges_of_people(struct run *r, int64_t job)
{
    const struct model_rules *rules = &r->setup->rules;
    for (int force = 0; force < 2; force++) {
        struct world *w = copy(r);
        struct model_reply reply = model_cancel(&w->m, rules, job, force, 0);
        if (reply.word == MODEL_OK || reply.word == MODEL_ASKED)
            edge(r, BY_CANCEL, force ? "cancel now" : "cancel");
        else
            refused(r, "cancel");
        if (reply.word == MODEL_OK && model_find(&w->m, job)->state != MODEL_CANCELLED)
            broken(r, "I17: cancelled, and yet not", "cancel");
    }
    for (int reset = 0; reset < 2; reset++) {
        if (model_find(&r->here->m, job)->generation >= r->setup->generations)
            break;
        struct world *w = copy(r);
        if (model_replay(&w->m, rules, job, reset, 0).word == MODEL_OK)
            edge(r, BY_REPLAY, reset ? "replay from the start" : "replay");
        else
            refused(r, "replay");
    }
    if (!r->setup->wide)
        return;
    struct world *w = copy(r);
    model_find(&w->m, job)->expires_at = 1;
    if (model_expire(&w->m, rules, 1).n) {
        model_find(&w->m, job)->expires_at = 0;
        model_find(&w->m, job)->finished_at = 0;
        edge(r, BY_SYSTEM, "too late");
    }
}

static void edges_of_time(struct run *r)
{
    const struct model_rules *rules = &r->setup->rules;
    struct world *w = copy(r);
    if (w->m.lanes[0].blocked_until || w->m.lanes[0].until) {
        w->m.lanes[0].blocked_until = w->m.lanes[0].until = 0;
        edge(r, BY_SYSTEM, "lane opens");
    }
    int64_t releases = 0, active = 0;
    for (int64_t i = 0; i < r->here->m.job_count; i++) {
        releases += r->here->m.jobs[i].n_release;
        active += r->here->m.jobs[i].state == MODEL_ACTIVE;
    }
    if (active && releases < r->setup->restarts) {
        w = copy(r);
        model_restart(&w->m, rules, 0);
        edge(r, BY_SYSTEM, "service restarts");
    }
    if (r->here->m.epoch <= r->setup->epochs) {
        w = copy(r);
        model_restore(&w->m);
        edge(r, BY_SYSTEM, "backup opened");
    }
}

static void visit(struct run *r)
{
    bool all_ended = true;
    r->moved = false;
    edges_of_queue(r);
    for (int64_t i = 0; i < r->here->m.job_count; i++) {
        const struct model_job *j = &r->here->m.jobs[i];
        all_ended &= j->state >= MODEL_SUCCEEDED;
        for (int64_t k = 0; k < r->here->g.granted; k++) {
            if (r->here->g.job_of[k] == j->id)
                edges_of_lease(
                    r, j, (struct model_lease){j->id, FIRST_NONCE + k, r->here->g.epoch_of[k]});
        }
        edges_of_people(r, j->id);
    }
    if (r->setup->wide)
        edges_of_time(r);
    r->ended += all_ended;
    /* The prototype's world never opens a lane again; there only a cancel leads on. */
    if (r->setup->wide && !all_ended && !r->moved)
        broken(r, "I7: a job that can only be cancelled", "nothing");
}

static void print_trace(const struct run *r)
{
    size_t path[TRACE_MAX], n = 0;
    for (size_t i = r->broken_from; i && n < TRACE_MAX; i = r->nodes[i].parent)
        path[n++] = i;
    printf("  %s:", r->broken);
    while (n > 0)
        printf(" %s;", r->nodes[path[--n]].how);
    printf(" %s\n", r->broken_by);
}

static size_t trace_length(const struct run *r)
{
    size_t n = 1;
    for (size_t i = r->broken_from; i; i = r->nodes[i].parent)
        n++;
    return n;
}

static void first_state(const struct setup *s, struct world *w)
{
    memset(w, 0, sizeof *w);
    model_init(&w->m);
    model_lane_add(
        &w->m,
        (struct model_lane){.born = 1, .weight = 100, .max_active = s->max_active, .burst = 1});
    w->m.lanes_born = 1;
    for (int64_t i = 1; i <= s->jobs; i++) {
        struct model_accept a = {.id = i};
        /* With a shared key the second job is accepted when the first has ended, and replayed
         * against it: it is there from the start, cancelled. */
        a.unique = s->unique;
        if (i > 1 && s->unique) {
            model_cancel(&w->m, &s->rules, i - 1, false, 0);
        }
        if (model_accept(&w->m, &s->rules, &a, 0).word != MODEL_OK)
            abort();
    }
}

static void run_world(const struct setup *s, struct run *r)
{
    static struct world here, next;
    static unsigned char code[CODE_MAX];
    struct timespec began, ended;
    clock_gettime(CLOCK_MONOTONIC, &began);
    *r = (struct run){.setup = s, .here = &here, .next = &next};
    memset(&next, 0, sizeof next);
    first_state(s, &here);
    tidy(r, &here);
    remember(r, code, encode(&here, code), "start");
    for (size_t i = 0; i < r->count && !r->broken && r->count <= s->states_max; i++) {
        r->from = i;
        decode(r->codes + r->nodes[i].at, &here);
        visit(r);
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("%s: %zu states, %zu edges, %zu with all jobs ended, %.1f s%s\n", s->name, r->count,
           r->edges, r->ended,
           (double)(ended.tv_sec - began.tv_sec) +
               (double)(ended.tv_nsec - began.tv_nsec) / 1e9,
           r->broken                  ? ", broken"
           : r->count > s->states_max ? ", cut short"
                                      : "");
    if (r->broken)
        print_trace(r);
}

static void end_world(struct run *r)
{
    free(r->codes);
    free(r->nodes);
    free(r->table);
}

/* ---- worlds ---- */

/* The rules of the prototype, so that its counts can be compared. */
static struct setup prototype(int64_t jobs, int64_t releases_max)
{
    struct setup s = {.name = "prototype's world",
                      .jobs = jobs,
                      .max_active = 2,
                      .releases_max = releases_max,
                      .states_max = 4000000};
    s.rules = model_rules_of_prototype();
    return s;
}

static struct setup wide(int64_t jobs, const char *name)
{
    struct setup s = {.name = name,
                      .jobs = jobs,
                      .max_active = 2,
                      .releases_max = 1,
                      .generations = 1,
                      .epochs = 1,
                      .restarts = 2,
                      .wide = true,
                      .states_max = 3000000};
    s.rules = model_rules_of_design();
    s.rules.fail_max = s.rules.crash_max = s.rules.throttle_max = 2;
    s.rules.release_max = 3;
    s.rules.breaker_fails = 2;
    s.rules.breaker_open_ms = 5;
    s.rules.window_least = 0;
    s.rules.lease_ms = 10;
    s.rules.suspect_ms = 10;
    s.rules.delay = model_rules_of_prototype().delay;
    return s;
}

static void clean(const struct setup *s, size_t states, size_t edges)
{
    struct run r;
    run_world(s, &r);
    assert_null(r.broken);
    assert_true(r.ended > 0 && r.count <= s->states_max);
    if (states) {
        assert_int_equal(r.count, states);
        assert_int_equal(r.edges, edges);
    }
    end_world(&r);
}

/* A mutated world must be found broken, by that invariant, within so many steps. */
static void found(const struct setup *s, const char *invariant, size_t steps)
{
    struct run r;
    run_world(s, &r);
    assert_non_null(r.broken);
    assert_int_equal(strncmp(r.broken, invariant, strlen(invariant)), 0);
    assert_true(trace_length(&r) <= steps);
    end_world(&r);
}

static bool all_worlds(void)
{
    const char *text = getenv("MODEL_SIM");
    return text && *text && *text != '0';
}

/* The design's own prototype, written in another language, counts the same. */
static void one_job_is_clean_and_counts_as_the_prototype_did(void **state)
{
    (void)state;
    struct setup s = prototype(1, 1);
    clean(&s, 999, 5453);
}

/* Three wide worlds rather than one: their product would be too large to walk through. */
static void one_job_with_starts_health_and_restarts_is_clean(void **state)
{
    (void)state;
    struct setup s = wide(1, "one job: starts, breaker, restarts of the service");
    s.generations = s.epochs = 0;
    clean(&s, 0, 0);
}

static void one_job_with_replays_is_clean(void **state)
{
    (void)state;
    struct setup s = wide(1, "one job: replay, expiry");
    s.epochs = s.restarts = s.releases_max = 0;
    s.rules.fail_max = s.rules.crash_max = s.rules.throttle_max = s.rules.release_max = 1;
    clean(&s, 0, 0);
}

static void one_job_with_backups_is_clean(void **state)
{
    (void)state;
    struct setup s = wide(1, "one job: a backup is opened twice");
    s.generations = s.restarts = s.releases_max = 0;
    s.epochs = 2;
    s.rules.crash_max = s.rules.throttle_max = s.rules.release_max = 1;
    clean(&s, 0, 0);
}

static void without_the_fence_a_wrong_completion_is_found(void **state)
{
    (void)state;
    struct setup s = prototype(1, 1);
    s.name = "mutation: state is running in place of the fence";
    s.rules.any_active_writes = true;
    found(&s, "I4", 4);
}

static void a_forgotten_probe_is_found(void **state)
{
    (void)state;
    struct setup s = wide(1, "mutation: a probe without verdict is forgotten");
    s.rules.probe_forgotten = true;
    found(&s, "I14", 16);
}

static void two_jobs_of_one_lane_are_clean(void **state)
{
    (void)state;
    if (!all_worlds())
        skip();
    struct setup s = prototype(2, 0);
    s.name = "prototype's world, two jobs";
    clean(&s, 359510, 3566581);
}

static void two_jobs_of_one_key_are_clean(void **state)
{
    (void)state;
    if (!all_worlds())
        skip();
    struct setup s = prototype(2, 0);
    s.name = "two jobs of one unique key, with replay";
    s.unique = 7;
    s.generations = s.max_active = 1;
    s.rules.fail_max = s.rules.throttle_max = s.rules.crash_max = 1;
    clean(&s, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_job_is_clean_and_counts_as_the_prototype_did),
        cmocka_unit_test(one_job_with_starts_health_and_restarts_is_clean),
        cmocka_unit_test(one_job_with_replays_is_clean),
        cmocka_unit_test(one_job_with_backups_is_clean),
        cmocka_unit_test(without_the_fence_a_wrong_completion_is_found),
        cmocka_unit_test(a_forgotten_probe_is_found),
        cmocka_unit_test(two_jobs_of_one_lane_are_clean),
        cmocka_unit_test(two_jobs_of_one_key_are_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
