/* Four nodes ask one queue for work at the same time, as fast as they can: rates, numbers at once and a site's wish to
 * wait hold over all of them, in any window of time. What happened is read from the log of events, whose times are those
 * of the server that all nodes share. */
#include "os/clock.h"
#include "store/redis/redis.h"
#include "store/store.h"

#include "../lib/archive.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../lib/redis.h"

enum {
    NODES = 4,
    LANES = 2,
    JOBS = 45, /* of each lane */
    ACTIVE = 2,
    ACTIVE_IN_ALL = 3,
    EMIT_MS = 20,
    BURST = 3,
    THROTTLE_EVERY = 15, /* such a job meets a site that asks to wait, once */
    THROTTLE_MS = 150,
    EVENTS = 1000,
};
static const char *const lanes[LANES] = {"default/x/normal", "default/y/normal"};
static const struct store_limits limits = {.ready_max = 1000,
                                           .fail_max = 5,
                                           .crash_max = 3,
                                           .throttle_max = 50,
                                           .retry_base_ms = 1,
                                           .retry_cap_ms = 2,
                                           .lane_max_active = ACTIVE,
                                           .active_max = ACTIVE_IN_ALL,
                                           .lane_emit_ms = EMIT_MS,
                                           .lane_burst = BURST,
                                           .retry_floor = 1000,
                                           .lease_ms = 15000};

static struct redis_server server;
static atomic_int ended, reserved_by[NODES];

struct node {
    int number;
    struct store *store;
    struct archive *archive;
    struct arena *a;
    struct fault f;
    const char *failed; /* by a thread, which may not fail() */
    uint64_t asked;
};

static wall now(void)
{
    return clock_wall();
}

static void open_node(struct node *n)
{
    char name[8];
    snprintf(name, sizeof name, "n%d", n->number);
    n->archive = kept_open();
    n->a = arena_new(4 << 20);
    struct redis_config config = {.url = span_of(server.url),
                                  .node = span_of(name),
                                  .records = &kept_records,
                                  .archive = n->archive,
                                  .state_dir = server.dir};
    if (redis_open(&n->store, &config, &limits, (uint64_t)n->number + 1, now(), &n->f))
        fail_msg("open: %s", n->f.words);
}

static void close_node(struct node *n)
{
    store_close(&n->store);
    kept_close(n->archive);
    arena_free(&n->a);
}

static void order(struct node *n)
{
    for (int i = 0; i < LANES * JOBS; i++) {
        char id[ID_TEXT];
        struct accept_reply reply;
        snprintf(id, sizeof id, "job_%026d", i);
        struct accept_args args = {.id = span_of(id),
                                   .site = i % LANES ? SPAN("y") : SPAN("x"),
                                   .kind = SPAN("posts"),
                                   .target = span_of(id),
                                   .lane = span_of(lanes[i % LANES]),
                                   .spec = SPAN("{}"),
                                   .prio = 5};
        if (store_begin(n->store, &n->f) ||
            store_accept(n->store, &args, now(), &reply, &n->f) ||
            store_commit(n->store, &n->f))
            fail_msg("accept: %s", n->f.words);
    }
}

static bool asks_to_wait(const struct lease *l)
{
    return l->attempt == 1 && strtol(l->id + 4, NULL, 10) / LANES % THROTTLE_EVERY == 0;
}

static err end_one(struct node *n, const struct lease *l)
{
    struct finish_args end = {
        .id = span_of(l->id), .nonce = l->nonce, .verdict = VERDICT_COMPLETE};
    struct finish_reply reply;
    if (asks_to_wait(l)) {
        end.verdict = VERDICT_NONE;
        end.failure = FAILURE_RATE_LIMITED;
        end.wait_ms = THROTTLE_MS;
    }
    err e = store_finish(n->store, &end, now(), &reply, &n->f);
    if (!e && reply.state == JOB_SUCCEEDED)
        ended++;
    return e;
}

static err work_once(struct node *n)
{
    struct lease l;
    struct reap_reply reaped;
    struct reserve_args ask = {.worker = SPAN("w"),
                               .random = ++n->asked << 8 | (uint64_t)n->number,
                               .needs = NEEDS_PAGE};
    err e = store_begin(n->store, &n->f);
    if (!e)
        e = store_reserve(n->store, &ask, now(), n->a, &l, &n->f);
    if (e == E_END) {
        redis_nap();
        e = store_reap(n->store, now(), &reaped, &n->f);
    } else if (!e) {
        reserved_by[n->number]++;
        if (n->asked % 3)
            redis_nap();
        e = end_one(n, &l);
    }
    err committed = store_commit(n->store, &n->f);
    arena_reset(n->a);
    return e ? e : committed;
}

static void *work(void *ctx)
{
    struct node *n = ctx;
    mono began = clock_mono();
    while (ended < LANES * JOBS && !n->failed) {
        if (work_once(n))
            n->failed = n->f.words;
        else if (clock_mono().ms - began.ms > 60000)
            n->failed = "not all jobs ended in a minute";
    }
    return NULL;
}

/* ---- what the log says ---- */

struct seen {
    int64_t starts[JOBS * 4], count, active;
    int64_t waits_until;
};

static void on_start(struct seen *s, int64_t at_ms, int64_t active_in_all)
{
    s->starts[s->count++] = at_ms;
    s->active++;
    assert_in_range(s->active, 1, ACTIVE);
    assert_in_range(active_in_all, 1, ACTIVE_IN_ALL);
    if (at_ms < s->waits_until)
        fail_msg("a start %lld ms before the site wanted it",
                 (long long)(s->waits_until - at_ms));
}

/* In any window there are no more starts than a burst and what the rate gives in that time. */
static void rate_holds(const struct seen *s)
{
    for (int64_t i = 0; i < s->count; i++)
        for (int64_t k = i; k < s->count; k++) {
            int64_t window = s->starts[k] - s->starts[i];
            if (k - i + 1 > BURST + window / EMIT_MS)
                fail_msg("%lld starts within %lld ms", (long long)(k - i + 1),
                         (long long)window);
        }
}

static void read_log(struct node *n, struct seen seen[LANES])
{
    struct event_view *events;
    size_t count;
    int64_t active = 0;
    if (store_events(n->store, 0, SPAN_NONE, EVENTS, n->a, &events, &count, &n->f))
        fail_msg("events: %s", n->f.words);
    assert_true(count < EVENTS);
    for (size_t i = 0; i < count; i++) {
        const struct event_view *e = &events[i];
        if (!span_starts(e->job, SPAN("job_")))
            continue;
        struct seen *s = &seen[strtol(e->job.p + 4, NULL, 10) % LANES];
        if (span_is(e->kind, "job.started")) {
            on_start(s, e->at_ms, ++active);
        } else if (!span_is(e->kind, "job.accepted")) {
            bool well = span_is(e->kind, "job.finished");
            s->active--;
            active--;
            if (!well)
                s->waits_until = e->at_ms + THROTTLE_MS;
        }
    }
}

static void limits_hold_over_four_nodes_in_any_window(void **state)
{
    (void)state;
    static struct node nodes[NODES];
    static struct seen seen[LANES];
    pthread_t threads[NODES];
    for (int i = 0; i < NODES; i++) {
        nodes[i].number = i;
        open_node(&nodes[i]);
    }
    order(&nodes[0]);
    for (int i = 0; i < NODES; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &nodes[i]), 0);
    for (int i = 0; i < NODES; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < NODES; i++) {
        if (nodes[i].failed)
            fail_msg("node %d: %s", i, nodes[i].failed);
        assert_true(reserved_by[i] > 0);
    }
    read_log(&nodes[0], seen);
    for (int i = 0; i < LANES; i++) {
        assert_int_equal(seen[i].count, JOBS + JOBS / THROTTLE_EVERY);
        assert_int_equal(seen[i].active, 0);
        rate_holds(&seen[i]);
    }
    for (int i = 0; i < NODES; i++)
        close_node(&nodes[i]);
}

static int set_up(void **state)
{
    (void)state;
    redis_make(&server);
    redis_start(&server);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    redis_remove(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(limits_hold_over_four_nodes_in_any_window, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
