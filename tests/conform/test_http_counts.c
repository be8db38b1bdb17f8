/* How many jobs a list has, and how many an action would touch: as exactly as the words say, and never at the cost of others. */
#include "../lib/asked.h"

#include "../lib/many.h"
#include "../lib/postgres.h"
#include "../lib/redis.h"

#include "core/metrics.h"

#include <stdatomic.h>

enum { MANY = 10100, OLD = 5200, DAY_MS = 24 * 3600 * 1000 };

static void submit(const char *tenant, bool ends)
{
    char body[200], text[512], path[600];
    snprintf(body, sizeof body,
             "{\"kind\":\"posts\",\"target\":\"@nasa\",\"tenant\":\"%s\",\"priority\":9}",
             tenant);
    struct answer_of a = ask("POST", "/v1/jobs", body);
    assert_int_equal(a.status, 202);
    member(&a.body, "id", text);
    buf_free(&a.body);
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", text);
    if (ends)
        EXPECT("POST", path, "", 200, NULL);
}

/* A count has its time: on a machine that is slow just now it says less, and is asked for again. */
enum { TRIES = 100 };

static int64_t counted(const char *query, const char *kind)
{
    char path[256], is[512], value[512];
    int64_t n = 0;
    snprintf(path, sizeof path, "/v1/jobs?limit=1&%s", query);
    for (int tries = 0; tries < TRIES; tries++) {
        struct answer_of a = ask("GET", path, "");
        member(&a.body, "counts.kind", is);
        member(&a.body, "counts.value", value);
        bool again = strcmp(kind, "gte") != 0 && strcmp(is, "gte") == 0;
        if (a.status != 200 || !span_int(span_of(value), &n))
            fail_msg("%s: %.*s", path, SP(buf_span(&a.body)));
        buf_free(&a.body);
        if (!again)
            break;
    }
    if (strcmp(is, kind) != 0)
        fail_msg("%s: %s %lld, not %s", path, is, (long long)n, kind);
    return n;
}

static int64_t reads(void)
{
    return metric_get(METRIC_STORE_OPS, 0);
}

/* ---- the embedded store ---- */

static const char *const old[] = {"old", NULL}, *const halves[] = {"odd", "even", NULL},
                         *const rare[] = {"rare", NULL};

static int start_many(void **state)
{
    if (asked_start(state))
        return 1;
    server.behind_ms = 3LL * DAY_MS;
    submit_many(client, OLD, old);
    for (int i = 0; i < 30; i++)
        submit("past", true);
    server.behind_ms = 0;
    submit_many(client, MANY, halves);
    return 0;
}

static void jobs_are_counted_as_far_as_is_asked(void **state)
{
    (void)state;
    submit("few", false);
    submit("few", true);
    assert_int_equal(counted("tenant=few&count=exact", "exact"), 2);
    assert_int_equal(counted("tenant=few&count=exact&sort=-finished_at", "exact"), 1);
    assert_int_equal(counted("tenant=few&count=estimate&state=cancelled", "exact"), 1);
    assert_int_equal(counted("tenant=none&count=exact", "exact"), 0);
    EXPECT("GET", "/v1/jobs?tenant=few", "", 200, "counts", "null");
    EXPECT("GET", "/v1/jobs?tenant=few&count=none", "", 200, "counts", "null");
    refused("GET", "/v1/jobs?count=all", "", 400, "", "count is none of none, estimate, exact");
    assert_int_equal(counted("count=exact", "gte"), 10000);
    assert_int_equal(counted("count=exact&tenant=odd", "exact"), MANY / 2);
    assert_int_equal(counted("count=estimate&tenant=odd&created_after=2020-01-01", "exact"),
                     MANY / 2);
    int64_t all = counted("count=estimate&state=ready", "estimate"),
            odd = counted("count=estimate&tenant=odd&state=ready", "estimate");
    assert_true(all >= MANY + OLD && all < MANY + OLD + 200);
    assert_true(odd > all * 45 / 100 && odd < all * 55 / 100);
}

/* Thousands of newer jobs in other states say nothing about them. */
static void an_estimate_is_of_the_states_that_are_wanted(void **state)
{
    (void)state;
    assert_int_equal(counted("count=estimate&tenant=past&sort=-finished_at", "exact"), 30);
    assert_int_equal(counted("count=estimate&tenant=past&sort=finished_at", "exact"), 30);
    assert_int_equal(counted("count=estimate&tenant=past&state=cancelled,dead", "exact"), 30);
    /* those of which there is nothing to be seen among the newest: at least so many, and no guess */
    assert_int_equal(counted("count=estimate&tenant=past&state=cancelled,blocked", "gte"), 0);
}

/* The newest first, and no farther than the bound: whatever there is from before it. */
static void a_count_with_a_bound_in_time_ends_at_the_bound(void **state)
{
    (void)state;
    char query[200], at[WHEN_TEXT];
    int64_t before = reads();
    when_text((wall){clock_wall().ms + 2LL * DAY_MS}, at);
    snprintf(query, sizeof query, "count=exact&created_after=%s", at);
    assert_int_equal(counted(query, "exact"), 0);
    assert_int_equal(reads() - before, 2); /* the page, and one look */
    when_text((wall){clock_wall().ms - DAY_MS / 2}, at);
    snprintf(query, sizeof query, "count=exact&tenant=old&created_after=%s", at);
    assert_int_equal(counted(query, "exact"), 0);
    snprintf(query, sizeof query, "count=exact&created_before=%s", at);
    assert_int_equal(counted(query, "exact"), OLD + 30);
}

/* How many reads of the store it took. */
static int64_t dry(const char *filter, const char *count, const char *kind)
{
    char body[300], is[512], value[512];
    int64_t before = 0;
    snprintf(body, sizeof body, "{\"action\":\"hold\",\"dry_run\":true,\"filter\":{%s}}",
             filter);
    for (int tries = 0; tries < TRIES; tries++) {
        before = reads();
        struct answer_of a = ask("POST", "/v1/jobs/actions", body);
        assert_int_equal(a.status, 200);
        member(&a.body, "count_kind", is);
        member(&a.body, "count", value);
        buf_free(&a.body);
        if (strcmp(is, kind) == 0 && strcmp(value, count) == 0)
            return reads() - before;
        assert_string_equal(is, "at_least");
    }
    fail_msg("%s: %s %s, not %s %s", filter, is, value, kind, count);
    return 0;
}

/* Each look is one read of the store: between two of them others have their turn. */
static void a_count_goes_in_slices(void **state)
{
    (void)state;
    int64_t looks = (MANY + OLD) / 5000 + 1, were = dry("\"tenant\":\"nobody\"", "0", "exact");
    if (were < 1 + looks)
        fail_msg("%lld reads", (long long)were);
    (void)dry("\"tenant\":\"odd\"", "5050", "exact");
    (void)dry("", "10000", "at_least");
}

static void *count_apart(void *arg)
{
    struct client *own;
    struct client_answer a;
    struct fault f = {0};
    char address[64];
    bool *fine = arg;
    snprintf(address, sizeof address, "http://127.0.0.1:%d", server.port);
    struct client_request q = {.method = "GET",
                               .path = "/v1/jobs?limit=1&count=exact&tenant=odd",
                               .timeout_ms = ANSWER_MS,
                               .body_max = ANSWER_BYTES};
    if (client_open(&own, span_of(address), &f))
        return NULL;
    if (!client_send(own, &q, &a, &f)) {
        /* exact, or as many as were seen when its time was up */
        *fine = a.status == 200 && contains(&a.body, "\"counts\":{\"kind\":");
        buf_free(&a.body);
    }
    client_close(&own);
    return NULL;
}

static void counts_take_turns_and_each_is_answered(void **state)
{
    (void)state;
    enum { COUNTS = 12 };
    pthread_t threads[COUNTS];
    bool fine[COUNTS] = {false};
    for (int i = 0; i < COUNTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_apart, &fine[i]), 0);
    for (int i = 0; i < COUNTS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < COUNTS; i++)
        assert_true(fine[i]);
}

/* ---- a store that has no time ---- */

static int start_impatient(void **state)
{
    server.read_ms = 1;
    if (asked_start(state))
        return 1;
    submit_many(client, OLD, halves);
    submit_many(client, 2, rare);
    return 0;
}

/* The page is there, the count is not: then it is as many as were seen, whatever was guessed before. */
static void a_count_that_is_cut_off_says_what_was_seen(void **state)
{
    (void)state;
    static const char *const queries[] = {"estimate", "exact"};
    for (size_t i = 0; i < 2; i++) {
        struct answer_of a = {0};
        char path[200], kind[512], value[512];
        snprintf(path, sizeof path, "/v1/jobs?limit=1&tenant=rare&count=%s", queries[i]);
        for (int tries = 0; a.status != 200; tries++) { /* the page, too, may be cut off */
            buf_free(&a.body);
            a = ask("GET", path, "");
            assert_true(tries < 2000 && (a.status == 200 || a.status == 504));
        }
        member(&a.body, "counts.kind", kind);
        member(&a.body, "counts.value", value);
        if (strcmp(kind, "gte") != 0 || strcmp(value, "2") != 0)
            fail_msg("%s: %.*s", path, SP(buf_span(&a.body)));
        buf_free(&a.body);
    }
}

/* ---- a store that all nodes share, which no other thread reads ---- */

static struct redis_server redis;
static struct postgres *postgres;
static struct shared_config shared;

static int start_shared(void **state)
{
    postgres = postgres_start(NULL, false);
    if (!postgres)
        return 0;
    redis_make(&redis);
    redis_start(&redis);
    shared = (struct shared_config){.queue = redis.url,
                                    .archive = postgres->url,
                                    .name = "q",
                                    .node = "counts",
                                    .insists = true,
                                    .state_dir = server.folder};
    server.shared = &shared;
    if (asked_start(state))
        return 1;
    submit_many(client, OLD, halves);
    return 0;
}

static int stop_shared(void **state)
{
    int code = postgres ? asked_stop(state) : 0;
    if (postgres)
        redis_remove(&redis);
    postgres_stop(&postgres);
    return code;
}

static void *dry_run(void *done)
{
    (void)dry("\"tenant\":\"nobody\"", "0", "exact");
    atomic_store((atomic_bool *)done, true);
    return NULL;
}

/* What lasts as long as all jobs are is no reason to lose those that run: their heartbeats come between its slices. */
static void a_lease_is_kept_while_jobs_are_counted(void **state)
{
    (void)state;
    if (!postgres)
        skip();
    struct arena *arena = arena_new(1 << 20);
    struct store_op op = {.verb = STORE_RESERVE, .arena = arena};
    op.in.reserve = (struct reserve_args){
        .worker = SPAN("test"), .needs = NEEDS_PAGE, .random = random_u64() | 1};
    run_op(&op);
    assert_int_equal(op.result, E_OK);
    struct lease l = op.out.lease;
    pthread_t thread;
    atomic_bool done = false;
    int64_t before = reads(), beats = 0;
    assert_int_equal(pthread_create(&thread, NULL, dry_run, &done), 0);
    while (!atomic_load(&done)) {
        struct store_op beat = {.verb = STORE_HEARTBEAT};
        beat.in.lease.id = span_of(l.id);
        beat.in.lease.nonce = l.nonce;
        run_op(&beat);
        assert_int_equal(beat.result, E_OK);
        beats++;
    }
    pthread_join(thread, NULL);
    assert_true(reads() - before - beats >= 1 + OLD / 5000 + 1);
    assert_true(beats >= OLD / 5000);
    assert_int_equal(counted("count=exact&tenant=odd", "exact"), OLD / 2);
    assert_int_equal(counted("count=estimate&tenant=nobody&state=cancelled,dead", "exact"), 0);
    arena_free(&arena);
}

int main(void)
{
    static const struct CMUnitTest many[] = {
        cmocka_unit_test(an_estimate_is_of_the_states_that_are_wanted),
        cmocka_unit_test(a_count_with_a_bound_in_time_ends_at_the_bound),
        cmocka_unit_test(a_count_goes_in_slices),
        cmocka_unit_test(counts_take_turns_and_each_is_answered),
        cmocka_unit_test(jobs_are_counted_as_far_as_is_asked),
    };
    static const struct CMUnitTest impatient[] = {
        cmocka_unit_test(a_count_that_is_cut_off_says_what_was_seen),
    };
    static const struct CMUnitTest together[] = {
        cmocka_unit_test(a_lease_is_kept_while_jobs_are_counted),
    };
    int failed = cmocka_run_group_tests(many, start_many, asked_stop);
    failed += cmocka_run_group_tests(impatient, start_impatient, asked_stop);
    server.read_ms = 2000;
    return failed + cmocka_run_group_tests(together, start_shared, stop_shared);
}
