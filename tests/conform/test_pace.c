/* How much of its rate a lane uses: less when the site asks to wait, and step by step all of it again (queue.md §7, adaptive
 * limits): the same on every store. */
#include "../lib/scenario.h"

#include <string.h>

enum { EMIT_MS = 1000, WAIT_MS = 3000, CLEAN_MS = 300000, LEAST = 10 };

static int set_up_pace(void **state)
{
    set_up(state);
    w->limits.pace = (struct limit_pace_policy){LEAST, CLEAN_MS};
    w->limits.throttle_max = 100;
    reopen();
    lane_rate("x/normal", EMIT_MS, 1);
    accept_many("x/normal", 60);
    return 0;
}

static int64_t percent_of(const char *name)
{
    struct lane_view v = lane(name);
    return limit_pace_percent(&v.pace);
}

static int64_t percent(void)
{
    return percent_of("x/normal");
}

/* How often a change was said, and the last one. */
static int64_t told(int64_t *out_last)
{
    struct event_view *events;
    size_t n = 0;
    int64_t count = 0;
    assert_int_equal(store_events(w->s, 0, SPAN_NONE, 5000, w->a, &events, &n, &w->f), E_OK);
    for (size_t i = 0; i < n; i++) {
        if (!span_is(events[i].kind, "lane.paced"))
            continue;
        char *body = arena_text(w->a, events[i].body);
        long long last = 0;
        assert_int_equal(sscanf(body, "{\"lane\":\"x/normal\",\"percent\":%lld}", &last), 1);
        *out_last = last;
        count++;
    }
    return count;
}

/* The next one starts after exactly so long, and ends well. */
static void next_in(int64_t ms)
{
    struct lease l;
    if (ms > 0) {
        pass(ms - 1);
        assert_true(has_none());
        assert_int_equal(outlook().next_ms, w->now + 1);
        pass(1);
    }
    assert_true(reserve(&l));
    assert_int_equal(started(&l), E_OK);
    finish(&l, FAILURE_NONE);
}

static void asked_to_wait(void)
{
    struct lease l = start_next();
    throttle(&l, WAIT_MS);
    pass(WAIT_MS);
}

static void a_site_that_asks_to_wait_is_asked_half_as_often_from_then_on(void **state)
{
    (void)state;
    int64_t last = 0;
    next_in(0);
    next_in(EMIT_MS);
    pass(EMIT_MS);
    asked_to_wait();
    assert_int_equal(percent(), 50);
    assert_int_equal(told(&last), 1);
    assert_int_equal(last, 50);
    next_in(0);
    next_in(2 * EMIT_MS);
    next_in(2 * EMIT_MS);
    assert_int_equal(lane("x/normal").settings.emit_ms, EMIT_MS); /* what was set */
}

static void it_goes_down_by_halves_and_no_further_than_the_least(void **state)
{
    (void)state;
    static const int64_t halves[] = {50, 25, 12, 10, 10};
    int64_t last = 0;
    for (size_t i = 0; i < 5; i++) {
        asked_to_wait();
        assert_int_equal(percent(), halves[i]);
        pass(20 * EMIT_MS);
    }
    assert_int_equal(told(&last), 4);
}

static void those_that_ran_when_it_was_asked_are_one_sign(void **state)
{
    (void)state;
    struct lease some[5];
    lane_rate("x/normal", EMIT_MS, 5);
    for (int i = 0; i < 5; i++)
        some[i] = start_next();
    for (int i = 0; i < 5; i++)
        throttle(&some[i], WAIT_MS);
    assert_int_equal(percent(), 50);
}

static void with_each_clean_time_it_uses_a_tenth_more_until_it_uses_all(void **state)
{
    (void)state;
    int64_t last = 0;
    asked_to_wait();
    for (int64_t is = 50; is < 100; is += 10) {
        pass(CLEAN_MS - 2 * EMIT_MS - 1);
        next_in(0);
        assert_int_equal(percent(), is); /* not yet */
        pass(2 * EMIT_MS + 1);
        next_in(0);
        assert_int_equal(percent(), is + 10);
        assert_int_equal(told(&last), 2 + (is - 50) / 10);
        assert_int_equal(last, is + 10);
    }
    assert_int_equal(lane("x/normal").pace.since_ms, 0);
    next_in(EMIT_MS);
    next_in(EMIT_MS);
}

static void what_it_owes_stays_as_many_starts(void **state)
{
    (void)state;
    lane_rate("x/normal", EMIT_MS, 3);
    for (int i = 0; i < 2; i++) {
        struct lease l = start_next();
        finish(&l, FAILURE_NONE);
    }
    struct lease l = start_next();
    throttle(&l, 1); /* three were started at once, and none is saved */
    pass(1);
    assert_true(has_none());
    next_in(2 * EMIT_MS - 1);
    next_in(2 * EMIT_MS);
}

static void a_rate_that_is_set_anew_is_used_wholly_and_so_is_one_that_is_unblocked(void **state)
{
    (void)state;
    asked_to_wait();
    assert_int_equal(percent(), 50);
    struct lane_change c = lane_sets("x/normal");
    c.settings.weight = 7; /* not the rate */
    assert_int_equal(lane_change(&c), E_OK);
    assert_int_equal(percent(), 50);
    lane_rate("x/normal", 2 * EMIT_MS, 1);
    assert_int_equal(percent(), 100);
    pass(2 * EMIT_MS);
    asked_to_wait();
    assert_int_equal(percent(), 50);
    lane_act("x/normal", LANE_ACT_UNBLOCK, 0);
    assert_int_equal(percent(), 100);
}

static void it_stays_over_a_restart(void **state)
{
    (void)state;
    asked_to_wait();
    struct limit_pace before = lane("x/normal").pace;
    crash();
    assert_int_equal(percent(), 50);
    assert_int_equal(lane("x/normal").pace.since_ms, before.since_ms);
    next_in(0);
    next_in(2 * EMIT_MS);
}

static void a_lane_without_a_rate_has_nothing_to_slow_down(void **state)
{
    (void)state;
    int64_t last = 0;
    accept_many("y/normal", 3);
    lane_rate("x/normal", 0, 1);
    for (int i = 0; i < 4; i++)
        asked_to_wait(); /* one or the other */
    assert_int_equal(percent(), 100);
    assert_int_equal(percent_of("y/normal"), 100);
    assert_int_equal(told(&last), 0);
}

static void where_the_least_is_all_a_rate_stays_as_it_is(void **state)
{
    (void)state;
    w->limits.pace.least = 100;
    reopen();
    asked_to_wait();
    assert_int_equal(percent(), 100);
    next_in(0);
    next_in(EMIT_MS);
}

#define P(name) cmocka_unit_test_setup_teardown(name, set_up_pace, tear_down)

static const struct CMUnitTest tests[] = {
    P(a_site_that_asks_to_wait_is_asked_half_as_often_from_then_on),
    P(it_goes_down_by_halves_and_no_further_than_the_least),
    P(those_that_ran_when_it_was_asked_are_one_sign),
    P(with_each_clean_time_it_uses_a_tenth_more_until_it_uses_all),
    P(what_it_owes_stays_as_many_starts),
    P(a_rate_that_is_set_anew_is_used_wholly_and_so_is_one_that_is_unblocked),
    P(it_stays_over_a_restart),
    P(a_lane_without_a_rate_has_nothing_to_slow_down),
    P(where_the_least_is_all_a_rate_stays_as_it_is),
};

RUN_ON_ALL_STORES(tests)
