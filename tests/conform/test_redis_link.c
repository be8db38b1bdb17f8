/* The connection to Redis: every row of the table of what may be answered instead of a reply, by something
 * that plays Redis, cuts at any byte included, and by a real one. */
#include "os/clock.h"
#include "store/redis/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../lib/fake_redis.h"
#include "../lib/redis.h"

static struct fake_redis fake;
static struct link *l;
static struct arena *a;
static struct fault f;
static struct reply reply;

static void use_url(const char *url, int64_t call_ms)
{
    struct link_config config = {
        .url = span_of(url), .name = SPAN("test"), .connect_ms = 500, .call_ms = call_ms};
    link_free(&l);
    assert_int_equal(link_new(&l, &config, &f), E_OK);
}

static int set_up(void **state)
{
    (void)state;
    fake_make(&fake);
    a = arena_new(1 << 20);
    f = (struct fault){0};
    use_url(fake.url, 2000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    link_free(&l);
    fake_remove(&fake);
    arena_free(&a);
    return 0;
}

static err run(void)
{
    static const char settings[17 * 8]; /* as scripts/common.lua reads them */
    /* Time of the server, no number, a node; the schema twice, from the first lease on. */
    const struct span args[] = {
        SPAN(""),  {settings, sizeof settings}, SPAN(""), SPAN("node"), SPAN("1"), SPAN("1"),
        SPAN("-1")};
    f = (struct fault){0};
    arena_reset(a);
    return link_run(l, SCRIPT_OPEN, args, 7, a, &reply, &f);
}

/* ---- the table ---- */

static const struct {
    const char *says;
    enum trouble trouble;
    err code;
    int runs;        /* how often the script was sent altogether */
    int connections; /* made altogether */
    bool unknown;
} rows[] = {
    {"-LOADING Redis is loading the dataset in memory", TROUBLE_LOADING, E_BUSY, 1, 1, false},
    {"-READONLY You can't write against a read only replica.", TROUBLE_READONLY, E_BUSY, 2, 2,
     false},
    {"-MASTERDOWN Link with MASTER is down", TROUBLE_MASTERDOWN, E_BUSY, 2, 2, false},
    {"-BUSY Redis is busy running a script.", TROUBLE_BUSY, E_BUSY, 1, 1, false},
    {"-UNKILLABLE Sorry the script already executed write commands", TROUBLE_BUSY, E_BUSY, 1, 1,
     false},
    {"-OOM command not allowed when used memory > 'maxmemory'.", TROUBLE_OOM, E_DISK_FULL, 1, 1,
     false},
    {"-NOREPLICAS Not enough good replicas to write.", TROUBLE_NOREPLICAS, E_BUSY, 1, 1, false},
    {"-CLUSTERDOWN Hash slot not served", TROUBLE_CLUSTERDOWN, E_BUSY, 1, 1, false},
    {"-MOVED 3999 10.0.0.1:6381", TROUBLE_MOVED, E_STORE, 1, 1, false},
    {"-ASK 3999 10.0.0.1:6381", TROUBLE_MOVED, E_STORE, 1, 1, false},
    {"-TRYAGAIN Multiple keys request during rehashing of slot", TROUBLE_TRYAGAIN, E_BUSY, 1, 1,
     false},
    {"-CROSSSLOT Keys in request don't hash to the same slot", TROUBLE_CROSSSLOT, E_STORE, 1, 1,
     false},
    {"-MISCONF Redis is configured to save RDB snapshots", TROUBLE_MISCONF, E_BUSY, 1, 1,
     false},
    {"-WRONGTYPE Operation against a key holding the wrong kind of value", TROUBLE_SCRIPT,
     E_STORE, 1, 1, false},
    {"-ERR user_script:3: attempt to index a nil value script: 12, on @user_script:3.",
     TROUBLE_SCRIPT, E_STORE, 1, 1, false},
    {"-NOAUTH Authentication required.", TROUBLE_ACCESS, E_STORE, 1, 1, false},
    {"-NOPERM this user has no permissions to run the 'evalsha' command", TROUBLE_ACCESS,
     E_STORE, 1, 1, false},
    {"-ERR max number of clients reached", TROUBLE_CLIENTS, E_BUSY, 1, 1, false},
    {"-NOTHING that anybody knows", TROUBLE_SHAPE, E_STORE, 1, 1, true},
};

static void each_answer_that_is_no_reply_has_its_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[160];
        snprintf(text, sizeof text, "%s\r\n", rows[i].says);
        fake.plays[0].reply = fake.plays[1].reply = text;
        fake.runs = 0;
        fake.connections = 0;
        fake.asked = 0;
        fake_listen(&fake);
        use_url(fake.url, 2000);
        err e = run();
        struct link_state s = link_state(l);
        if (e != rows[i].code || s.trouble != rows[i].trouble || s.unknown != rows[i].unknown ||
            fake.runs != rows[i].runs || fake.connections != rows[i].connections)
            fail_msg("%s: %s, %s, unknown %d, %d runs, %d connections", rows[i].says,
                     err_name(e), trouble_rows[s.trouble].name, s.unknown, fake.runs,
                     fake.connections);
        if (e == E_BUSY && f.wait_ms <= 0 && trouble_rows[s.trouble].act == ACT_LATER)
            fail_msg("%s: nobody says when to come again", rows[i].says);
        assert_non_null(strstr(f.words, trouble_rows[s.trouble].words));
        assert_int_equal(s.connected, trouble_rows[s.trouble].link == LINK_KEEPS);
        fake_deafen(&fake);
    }
}

static void every_trouble_has_a_name_and_a_way_out(void **state)
{
    (void)state;
    for (int t = 1; t < TROUBLES; t++) {
        assert_non_null(trouble_rows[t].name);
        assert_true(strlen(trouble_rows[t].words) > 20);
        for (int u = 1; u < t; u++)
            assert_string_not_equal(trouble_rows[t].name, trouble_rows[u].name);
        if (trouble_rows[t].prefix)
            assert_int_equal(trouble_of(span_of(trouble_rows[t].prefix)), t);
    }
}

/* Many scripts are one text, which is loaded once: what Lua keeps slows each call down. */
static int texts(void)
{
    int n = 0;
    for (int i = 0; i < SCRIPT_COUNT; i++) {
        int first = 0;
        while (strcmp(script_rows[first].text, script_rows[i].text) != 0)
            first++;
        n += first == i;
    }
    return n;
}

static void forgotten_scripts_are_sent_whole_and_loaded_again(void **state)
{
    (void)state;
    assert_in_range(texts(), 1, 4);
    fake.plays[1].reply = "-NOSCRIPT No matching script.\r\n";
    fake_listen(&fake);
    assert_int_equal(run(), E_OK);
    assert_int_equal(run(), E_OK);
    assert_int_equal(fake.runs, 3);
    assert_string_equal(fake.seen[2], "EVAL");
    assert_int_equal(fake.loads, 2 * texts());
    assert_int_equal(run(), E_OK);
    assert_string_equal(fake.seen[3], "EVALSHA");
    fake.plays[4].reply = fake.plays[5].reply = "-NOSCRIPT No matching script.\r\n";
    assert_int_equal(run(), E_STORE); /* not for ever */
    assert_int_equal(fake.runs, 6);
    assert_false(link_state(l).unknown);
}

/* ---- cuts ---- */

static void a_reply_cut_at_any_byte_is_asked_for_again(void **state)
{
    (void)state;
    static const char whole[] = "*3\r\n:7\r\n$5\r\nab\r\nc\r\n*1\r\n$-1\r\n";
    for (int at = 1; at < (int)sizeof whole; at++) {
        fake.plays[0] = (struct fake_play){.reply = whole, .cut_after = at};
        fake.plays[1] = (struct fake_play){.reply = whole};
        fake.runs = 0;
        fake.connections = 0;
        fake.asked = 0;
        fake_listen(&fake);
        use_url(fake.url, 2000);
        assert_int_equal(run(), E_OK);
        assert_int_equal(fake.runs, 2);
        assert_int_equal(fake.connections, 2);
        assert_int_equal(reply_number(&reply, 0), 7);
        assert_true(span_is(reply_text(&reply, 1), "ab\r\nc"));
        assert_int_equal(reply_list(&reply, 2)->count, 1);
        assert_int_equal(link_state(l).trouble, TROUBLE_NONE);
        fake_deafen(&fake);
    }
}

static void what_was_cut_twice_is_unknown(void **state)
{
    (void)state;
    fake.plays[0].cut_after = fake.plays[1].cut_after = 1;
    fake_listen(&fake);
    assert_int_equal(run(), E_STORE);
    assert_true(link_state(l).unknown);
    assert_int_equal(fake.runs, 2);
    assert_int_equal(run(), E_OK);
    assert_false(link_state(l).unknown);
}

static void what_was_cut_and_then_refused_is_unknown_still(void **state)
{
    (void)state;
    fake.plays[0].cut_after = 1;
    fake.plays[1].reply = "-LOADING\r\n";
    fake_listen(&fake);
    assert_int_equal(run(), E_STORE);
    assert_true(link_state(l).unknown);
}

static void an_idle_connection_that_died_is_replaced_and_nothing_is_asked_twice(void **state)
{
    (void)state;
    fake.hang_up_when_idle = true;
    fake_listen(&fake);
    assert_int_equal(run(), E_OK);
    while (link_state(l).connected && fake.hang_up_when_idle)
        redis_nap();
    redis_nap(); /* either way the next call is right: found dead, or cut and asked again */
    assert_int_equal(run(), E_OK);
    assert_int_equal(fake.connections, 2);
    assert_int_equal(fake.runs, 2);
}

/* A short deadline is for what it is about: on a busy machine it may end a greeting as well, which is repeated. */
static void run_until_answered(void)
{
    while (run())
        redis_nap();
}

static void no_reply_in_time_ends_the_call_at_its_deadline(void **state)
{
    (void)state;
    fake_listen(&fake);
    use_url(fake.url, 150);
    run_until_answered();
    fake.plays[fake.asked].silent = fake.plays[fake.asked + 1].silent = true;
    assert_int_equal(run(), E_STORE);
    assert_true(link_state(l).unknown);
    run_until_answered(); /* the late one is not taken for this one's */
    assert_int_equal(reply.number, 1);
}

static void bytes_that_trickle_do_not_move_the_deadline(void **state)
{
    (void)state;
    enum { TRICKLE_MS = 100 };
    static const char slow[] =
        "$100\r\n0123456789012345678901234567890123456789012345678901234567890123456789";
    fake_listen(&fake);
    use_url(fake.url, 200);
    run_until_answered();
    fake.plays[fake.asked] = fake.plays[fake.asked + 1] =
        (struct fake_play){.reply = slow, .trickle_ms = TRICKLE_MS};
    mono began = clock_mono();
    assert_int_equal(run(), E_STORE);
    assert_true(clock_mono().ms - began.ms < (int64_t)sizeof slow * TRICKLE_MS);
}

static void what_is_no_redis_is_told(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "*-7\r\n",
        "$99999999999999999999\r\n",
        ":12x4\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fake.plays[0].reply = bad[i];
        fake.asked = 0;
        fake_listen(&fake);
        use_url(fake.url, 0); /* its deadline plays no part */
        err e = run();
        if (e != E_STORE && e != E_TOO_BIG)
            fail_msg("%s: %s", bad[i], err_name(e));
        fake_deafen(&fake);
    }
}

static void a_server_that_is_no_redis_or_too_old_is_refused(void **state)
{
    (void)state;
    fake.greeting[0] = "+HELLO\r\n";
    fake.greeting[1] =
        "$61\r\nredis_version:6.2.1\r\nrun_id:x\r\nmaster_replid:y\r\nrole:master\r\n\r\n";
    fake_listen(&fake);
    assert_int_equal(run(), E_STORE);
    assert_int_equal(fake.runs, 0);
    assert_false(link_state(l).unknown);
    use_url(fake.url, 2000);
    assert_int_equal(run(), E_CONFIG);
    assert_non_null(strstr(f.words, "7 or newer"));
}

/* ---- reconnecting ---- */

static void where_nobody_listens_is_not_asked_all_the_time(void **state)
{
    (void)state;
    assert_int_equal(run(), E_BUSY);
    assert_false(link_state(l).unknown);
    int64_t wait = f.wait_ms;
    assert_true(wait > 0 && wait <= 100);
    assert_int_equal(run(), E_BUSY); /* within the pause */
    for (int i = 0; i < 6; i++) {
        while (link_state(l).retry_ms > 0)
            redis_nap();
        assert_int_equal(run(), E_BUSY);
        assert_true(f.wait_ms > 0 && f.wait_ms <= 5000);
    }
    assert_true(link_state(l).retry_ms > 600); /* it doubles, with jitter */
    use_url(fake.url, 2000);
    fake_listen(&fake);
    assert_int_equal(run(), E_OK);
}

static void a_refused_user_is_not_tried_again_and_again(void **state)
{
    (void)state;
    char url[160];
    snprintf(url, sizeof url, "unix://scout:s%%40cret@%s", fake.socket);
    fake.auth = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    fake_listen(&fake);
    use_url(url, 2000);
    assert_int_equal(run(), E_STORE);
    assert_null(strstr(f.words, "cret"));
    fake_deafen(&fake);
    fake.auth = "-ERR unknown command 'AUTH', with args beginning with: 'scout' 's@cret'\r\n";
    fake_listen(&fake);
    use_url(url, 2000);
    assert_int_not_equal(run(), E_OK);
    assert_null(strstr(f.words, "cret"));
    fake_deafen(&fake);
    fake.auth = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    fake.connections = 0;
    fake_listen(&fake);
    use_url(url, 2000);
    assert_int_equal(run(), E_STORE);
    assert_true(link_state(l).retry_ms > 10000);
    assert_int_equal(run(), E_BUSY);
    assert_int_equal(fake.connections, 1);
}

static void the_sentinels_are_asked_where_the_primary_is(void **state)
{
    (void)state;
    struct redis_server primary, sentinel;
    char port[8], url[160];
    int ports[2] = {redis_port(), redis_port()};
    redis_make(&primary);
    redis_make(&sentinel);
    snprintf(port, sizeof port, "%d", ports[0]);
    const char *options[] = {"--port", port, "--bind", "127.0.0.1"};
    memcpy(primary.options, options, sizeof options);
    snprintf(sentinel.sentinel, sizeof sentinel.sentinel, "%s/sentinel.conf", sentinel.dir);
    FILE *file = fopen(sentinel.sentinel, "w");
    assert_non_null(file);
    fprintf(
        file,
        "port %d\nbind 127.0.0.1\nunixsocket %s\ndir %s\nsentinel monitor main 127.0.0.1 %d 1\n",
        ports[1], sentinel.socket, sentinel.dir, ports[0]);
    fclose(file);
    redis_start(&primary);
    redis_start(&sentinel);
    snprintf(url, sizeof url, "sentinel://127.0.0.1:1,127.0.0.1:%d/main",
             ports[1]); /* the first is dead */
    use_url(url, 2000);
    if (run())
        fail_msg("%s", f.words);
    assert_non_null(strstr(link_state(l).server, port));
    snprintf(url, sizeof url, "sentinel://127.0.0.1:%d/another", ports[1]);
    use_url(url, 2000);
    assert_int_equal(run(), E_BUSY);
    assert_int_equal(link_state(l).trouble, TROUBLE_REFUSED);
    assert_non_null(strstr(f.words, "no Sentinel knows"));
    redis_remove(&sentinel);
    redis_remove(&primary);
}

/* ---- a real one ---- */

static void a_real_one_that_restarts_or_forgets_its_scripts_is_not_noticed(void **state)
{
    (void)state;
    struct redis_server real;
    redis_make(&real);
    redis_start(&real);
    use_url(real.url, 2000);
    assert_int_equal(run(), E_OK);
    char before[48];
    memcpy(before, link_state(l).run_id, sizeof before);
    assert_int_equal(link_say(l, a, &reply, &f, "SCRIPT", "FLUSH", (char *)NULL), E_OK);
    assert_int_equal(run(), E_OK);
    assert_int_equal(link_state(l).connections, 1);
    for (int i = 0; i < 3; i++) {
        redis_end(&real, SIGKILL);
        redis_start(&real);
        assert_int_equal(run(), E_OK);
    }
    assert_int_equal(link_state(l).connections, 4);
    assert_string_not_equal(link_state(l).run_id, before);
    redis_remove(&real);
}

static void a_real_one_that_stands_still_ends_the_call_and_goes_on_later(void **state)
{
    (void)state;
    struct redis_server real;
    redis_make(&real);
    redis_start(&real);
    use_url(real.url, 200);
    run_until_answered();
    redis_signal(&real, SIGSTOP);
    assert_int_equal(run(), E_STORE);
    assert_true(link_state(l).unknown);
    redis_signal(&real, SIGCONT);
    run_until_answered();
    redis_remove(&real);
}

static void a_real_replica_takes_nothing_until_it_is_promoted(void **state)
{
    (void)state;
    struct redis_server real;
    redis_make(&real);
    real.options[0] = "--replicaof";
    real.options[1] = "127.0.0.1 1";
    redis_start(&real);
    use_url(real.url, 2000);
    assert_int_equal(run(), E_BUSY);
    assert_int_equal(link_state(l).trouble, TROUBLE_READONLY);
    redis_end(&real, SIGTERM);
    real.options[0] = NULL;
    redis_start(&real);
    err e;
    while ((e = run()) == E_BUSY)
        redis_nap();
    assert_int_equal(e, E_OK);
    assert_int_equal(link_say(l, a, &reply, &f, "REPLICAOF", "127.0.0.1", "1", (char *)NULL),
                     E_OK);
    e = run(); /* it became one under our hands */
    if (e != E_BUSY || link_state(l).trouble != TROUBLE_READONLY || link_state(l).unknown)
        fail_msg("%s, unknown %d: %s", err_name(e), link_state(l).unknown, f.words);
    redis_remove(&real);
}

static void a_real_one_that_another_script_blocks_is_busy(void **state)
{
    (void)state;
    struct redis_server real;
    redis_make(&real);
    real.options[0] = "--busy-reply-threshold";
    real.options[1] = "20";
    redis_start(&real);
    use_url(real.url, 0);
    assert_int_equal(run(), E_OK);
    /* Nobody waits for its end: the deadline of its caller passes first. */
    struct link *other = NULL;
    struct link_config config = {
        .url = span_of(real.url), .name = SPAN("test"), .call_ms = 100};
    assert_int_equal(link_new(&other, &config, &f), E_OK);
    while (link_say(other, a, &reply, NULL, "PING", (char *)NULL))
        redis_nap();
    assert_int_equal(
        link_say(other, a, &reply, &f, "EVAL", "while true do end", "0", (char *)NULL),
        E_STORE);
    assert_true(link_state(other).unknown);
    assert_int_equal(run(), E_BUSY);
    assert_int_equal(link_state(l).trouble, TROUBLE_BUSY);
    link_free(&other);
    redis_remove(&real);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_answer_that_is_no_reply_has_its_row, set_up,
                                        tear_down),
        cmocka_unit_test(every_trouble_has_a_name_and_a_way_out),
        cmocka_unit_test_setup_teardown(forgotten_scripts_are_sent_whole_and_loaded_again,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reply_cut_at_any_byte_is_asked_for_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_was_cut_twice_is_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_cut_and_then_refused_is_unknown_still, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            an_idle_connection_that_died_is_replaced_and_nothing_is_asked_twice, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(no_reply_in_time_ends_the_call_at_its_deadline, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(bytes_that_trickle_do_not_move_the_deadline, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_redis_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_server_that_is_no_redis_or_too_old_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(where_nobody_listens_is_not_asked_all_the_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_refused_user_is_not_tried_again_and_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_sentinels_are_asked_where_the_primary_is, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_real_one_that_restarts_or_forgets_its_scripts_is_not_noticed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_real_one_that_stands_still_ends_the_call_and_goes_on_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_real_replica_takes_nothing_until_it_is_promoted,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_real_one_that_another_script_blocks_is_busy, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
