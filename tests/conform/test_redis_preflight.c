/* Whether a Redis keeps what it is given, and how safe a job is when its acceptance is answered. */
#include "store/redis/preflight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../lib/redis.h"

static struct redis_server server;
static struct link *l;
static struct arena *a;
static struct fault f;
static struct preflight_facts facts;
static struct preflight_finding found[PREFLIGHT_MOST];

static int set_up(void **state)
{
    (void)state;
    redis_make(&server);
    a = arena_new(1 << 20);
    f = (struct fault){0};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    link_free(&l);
    redis_remove(&server);
    arena_free(&a);
    return 0;
}

static void read_facts(const char *url)
{
    struct link_config config = {.url = span_of(url), .name = SPAN("test")};
    link_free(&l);
    assert_int_equal(link_new(&l, &config, &f), E_OK);
    if (preflight_read(l, a, &facts, &f))
        fail_msg("%s", f.words);
}

static size_t judge(enum durability wanted)
{
    memset(found, 0, sizeof found);
    return preflight_judge(&facts, wanted, found);
}

static bool says(size_t count, const char *words, bool refuses)
{
    for (size_t i = 0; i < count; i++)
        if (strstr(found[i].words, words))
            return found[i].refuses == refuses;
    return false;
}

static void a_redis_that_keeps_its_jobs_is_found_well(void **state)
{
    (void)state;
    redis_start(&server);
    read_facts(server.url);
    assert_true(facts.readable && facts.appends);
    assert_int_equal(facts.sync, SYNC_EVERYSEC);
    assert_int_equal(judge(DURABILITY_MEMORY), 0);
    assert_true(says(judge(DURABILITY_REPLICATED), "has no replica", false));
    assert_int_equal(says(judge(DURABILITY_FSYNC), "appendfsync always", true),
                     !facts.waits_for_file);
}

static void settings_that_lose_jobs_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *options[4];
        const char *says;
        bool refuses;
    } bad[] = {
        {{"--maxmemory-policy", "allkeys-lru", "--maxmemory", "100mb"}, "evicts keys", true},
        {{"--maxmemory-policy", "volatile-ttl", "--maxmemory", "100mb"}, "evicts keys", true},
        {{"--maxmemory-policy", "allkeys-lru"}, "as soon as maxmemory is set", false},
        {{"--appendonly", "no"}, "appendonly is off", true},
        {{"--appendfsync", "no"}, "appendfsync is no", true},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        memset(server.options, 0, sizeof server.options);
        memcpy(server.options, bad[i].options, sizeof bad[i].options);
        redis_start(&server);
        read_facts(server.url);
        if (!says(judge(DURABILITY_MEMORY), bad[i].says, bad[i].refuses))
            fail_msg("%s %s is not found", bad[i].options[0], bad[i].options[1]);
        redis_end(&server, SIGTERM);
    }
}

static void what_cannot_be_asked_is_said(void **state)
{
    (void)state;
    char url[160];
    const char *options[] = {"--user", "scout", "on", ">secret", "~*", "+@all", "-config"};
    memcpy(server.options, options, sizeof options);
    redis_start(&server);
    snprintf(url, sizeof url, "unix://scout:secret@%s", server.socket);
    read_facts(url);
    assert_false(facts.readable);
    assert_true(strlen(facts.version) > 2);
    assert_true(says(judge(DURABILITY_MEMORY), "cannot be checked", false));
    assert_true(link_state(l).connected); /* nobody is thrown out for asking */
}

static void what_is_not_copied_in_time_is_unconfirmed_and_stays_written(void **state)
{
    (void)state;
    struct reply r;
    bool reached = true;
    redis_start(&server);
    read_facts(server.url);
    struct durability_args args = {
        .wanted = DURABILITY_REPLICATED, .replicas = 1, .wait_ms = 20};
    assert_int_equal(link_say(l, a, &r, &f, "SET", "k", "v", (char *)NULL), E_OK);
    durability_reach(l, &facts, &args, a, &reached);
    assert_false(reached);
    assert_int_equal(link_say(l, a, &r, &f, "GET", "k", (char *)NULL), E_OK);
    assert_true(span_is(r.text, "v"));
    args.wanted = DURABILITY_MEMORY;
    durability_reach(l, &facts, &args, a, &reached);
    assert_true(reached);
    redis_end(&server, SIGKILL); /* lost meanwhile: no error either */
    args.wanted = DURABILITY_REPLICATED;
    durability_reach(l, &facts, &args, a, &reached);
    assert_false(reached);
}

static void what_a_replica_has_is_replicated(void **state)
{
    (void)state;
    struct redis_server copy;
    struct reply r;
    bool reached = false;
    char port[8], of[32];
    snprintf(port, sizeof port, "%d", redis_port());
    snprintf(of, sizeof of, "127.0.0.1 %s", port);
    const char *options[] = {
        "--port", port, "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0"};
    memcpy(server.options, options, sizeof options);
    redis_make(&copy);
    copy.options[0] = "--replicaof";
    copy.options[1] = of;
    redis_start(&server);
    redis_start(&copy);
    do {
        read_facts(server.url);
        redis_nap();
    } while (facts.replicas == 0);
    assert_true(says(judge(DURABILITY_REPLICATED), "min-replicas-to-write is 0", false));
    struct durability_args args = {
        .wanted = DURABILITY_REPLICATED, .replicas = 1, .wait_ms = 4000};
    assert_int_equal(link_say(l, a, &r, &f, "SET", "k", "v", (char *)NULL), E_OK);
    durability_reach(l, &facts, &args, a, &reached);
    assert_true(reached);
    redis_signal(&copy, SIGSTOP);
    args.wait_ms = 20;
    assert_int_equal(link_say(l, a, &r, &f, "SET", "k", "w", (char *)NULL), E_OK);
    durability_reach(l, &facts, &args, a, &reached);
    assert_false(reached);
    redis_remove(&copy);
}

static void with_appendfsync_always_an_answer_is_on_the_disk(void **state)
{
    (void)state;
    struct reply r;
    bool reached = false;
    server.options[0] = "--appendfsync";
    server.options[1] = "always";
    redis_start(&server);
    read_facts(server.url);
    assert_int_equal(judge(DURABILITY_FSYNC), 0);
    struct durability_args args = {.wanted = DURABILITY_FSYNC, .wait_ms = 1000};
    assert_int_equal(link_say(l, a, &r, &f, "SET", "k", "v", (char *)NULL), E_OK);
    durability_reach(l, &facts, &args, a, &reached);
    assert_true(reached);
    redis_end(&server, SIGKILL);
    redis_start(&server);
    while (link_say(l, a, &r, NULL, "GET", "k", (char *)NULL))
        redis_nap();
    assert_true(span_is(r.text, "v"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_redis_that_keeps_its_jobs_is_found_well, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(settings_that_lose_jobs_are_refused_by_name, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_asked_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            what_is_not_copied_in_time_is_unconfirmed_and_stays_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_replica_has_is_replicated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(with_appendfsync_always_an_answer_is_on_the_disk,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
