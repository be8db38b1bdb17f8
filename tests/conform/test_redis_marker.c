/* A node hears of work that another one left, whatever became of the connection meanwhile. */
#include "os/clock.h"
#include "store/redis/marker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../lib/redis.h"

static struct redis_server server;
static struct marker *w, *other;
static struct link *l;
static struct arena *a;
static struct fault f;
static atomic_int woken;

static void wake(void *ctx)
{
    (void)ctx;
    woken++;
}

static void start(struct marker **out)
{
    struct marker_config config = {
        .url = span_of(server.url), .name = SPAN("test"), .wake = wake, .wait_ms = 300};
    assert_int_equal(marker_start(out, &config, &f), E_OK);
    marker_hungry(*out, true);
}

static int set_up(void **state)
{
    (void)state;
    woken = 0;
    f = (struct fault){0};
    a = arena_new(1 << 20);
    redis_make(&server);
    redis_start(&server);
    struct link_config config = {.url = span_of(server.url), .name = SPAN("test")};
    assert_int_equal(link_new(&l, &config, &f), E_OK);
    start(&w);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    marker_stop(&other);
    marker_stop(&w);
    link_free(&l);
    redis_remove(&server);
    arena_free(&a);
    return 0;
}

static void mark(void)
{
    struct reply r;
    while (link_say(l, a, &r, NULL, "ZADD", "fulmar:{test}:wake", "0", "w", (char *)NULL))
        redis_nap();
}

static void wait_for(int n)
{
    mono began = clock_mono();
    while (woken < n) {
        if (clock_mono().ms - began.ms > 20000)
            fail_msg("woken %d times, not %d", woken, n);
        redis_nap();
    }
}

static void each_marker_wakes_one_node(void **state)
{
    (void)state;
    start(&other);
    for (int i = 1; i <= 20; i++) {
        mark();
        wait_for(i);
    }
    while (marker_state(w).answered_ms < 0 || marker_state(other).answered_ms < 0)
        redis_nap();
    assert_int_equal(woken, 20);
    assert_int_equal(marker_state(w).wakes + marker_state(other).wakes, 20);
}

static void a_node_without_room_leaves_the_marker_to_others(void **state)
{
    (void)state;
    start(&other);
    marker_hungry(w, false);
    for (int i = 1; i <= 10; i++) {
        mark();
        wait_for(i);
    }
    assert_true(marker_state(w).wakes <=
                1); /* it may have been waiting, and then gave it back */
    int before = woken;
    marker_hungry(w, true);
    marker_hungry(other, false);
    mark();
    wait_for(before + 1);
}

static void a_restart_of_redis_is_slept_through(void **state)
{
    (void)state;
    mark();
    wait_for(1);
    for (int i = 0; i < 2; i++) {
        redis_end(&server, SIGKILL);
        redis_start(&server);
        mark();
        wait_for(2 + i);
    }
    assert_true(marker_state(w).connections >= 2);
}

static void a_connection_that_went_silent_is_thrown_away(void **state)
{
    (void)state;
    mark();
    wait_for(1);
    int64_t connections = marker_state(w).connections;
    redis_signal(&server, SIGSTOP); /* nothing is refused or reset: it just never answers */
    while (marker_state(w).answered_ms < 1000)
        redis_nap();
    assert_true(marker_state(w).silent_ms >= 1000);
    redis_signal(&server, SIGCONT);
    while (woken < 2) { /* what the dead connection had asked for may still take one */
        mark();
        redis_nap();
    }
    assert_true(marker_state(w).connections > connections);
    assert_true(marker_state(w).silent_ms < 1000);
    marker_hungry(w, false); /* it does not ask */
    assert_int_equal(marker_state(w).silent_ms, 0);
}

static void an_idle_node_asks_once_a_wait_and_no_more(void **state)
{
    (void)state;
    struct reply r;
    while (marker_state(w).answered_ms < 0)
        redis_nap();
    assert_int_equal(link_say(l, a, &r, &f, "CONFIG", "RESETSTAT", (char *)NULL), E_OK);
    mono began = clock_mono();
    while (clock_mono().ms - began.ms < 1500)
        redis_nap();
    assert_int_equal(link_say(l, a, &r, &f, "INFO", "commandstats", (char *)NULL), E_OK);
    size_t at = span_find(r.text, SPAN("cmdstat_bzpopmin:calls="));
    int calls = at < r.text.n ? (int)strtol(r.text.p + at + 23, NULL, 10) : 0;
    assert_true(calls >= 1 && calls <= (clock_mono().ms - began.ms) / 300 + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_marker_wakes_one_node, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_node_without_room_leaves_the_marker_to_others, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_restart_of_redis_is_slept_through, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_connection_that_went_silent_is_thrown_away, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_idle_node_asks_once_a_wait_and_no_more, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
