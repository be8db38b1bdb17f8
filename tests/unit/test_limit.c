/* How much of its rate a key uses: halves when it is asked to wait, tenths back (core/limit.h). */
#include "core/lane.h"
#include "core/limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { MINUTE = 60000 };
static const struct limit_pace_policy policy = {.least = 10, .clean_ms = 5 * MINUTE};

static void each_time_it_is_asked_to_wait_the_rate_is_half_of_what_it_was(void **state)
{
    (void)state;
    static const int64_t halves[] = {50, 25, 12, 10, 10};
    struct limit_pace p = {0};
    for (int i = 0; i < 5; i++) {
        int64_t was = limit_pace_percent(&p);
        assert_int_equal(limit_pace_down(&p, &policy, false, 1000 * (i + 1)), was != halves[i]);
        assert_int_equal(limit_pace_percent(&p), halves[i]);
        assert_int_equal(p.since_ms, 1000 * (i + 1));
    }
    assert_int_equal(limit_paced(600, &p), 6000);
}

static void those_that_ran_when_it_was_asked_count_once(void **state)
{
    (void)state;
    struct limit_pace p = {0};
    assert_true(limit_pace_down(&p, &policy, false, 1000));
    for (int i = 0; i < 16; i++)
        assert_false(limit_pace_down(&p, &policy, true, 2000));
    assert_int_equal(limit_pace_percent(&p), 50);
    assert_int_equal(p.since_ms, 2000); /* clean is what comes after the last one */
}

static void each_clean_time_brings_a_tenth_until_all_of_it_is_used(void **state)
{
    (void)state;
    struct limit_pace p = {0};
    assert_true(limit_pace_down(&p, &policy, false, 0));
    assert_false(limit_pace_up(&p, &policy, 5 * MINUTE - 1));
    for (int64_t i = 1; i <= 4; i++) {
        assert_true(limit_pace_up(&p, &policy, i * 5 * MINUTE));
        assert_false(limit_pace_up(&p, &policy, i * 5 * MINUTE + 1));
        assert_int_equal(limit_pace_percent(&p), 50 + 10 * i);
    }
    assert_true(limit_pace_up(&p, &policy, 25 * MINUTE));
    assert_int_equal(p.percent, 0);
    assert_int_equal(p.since_ms, 0);
    assert_false(limit_pace_up(&p, &policy, 30 * MINUTE));
}

static void a_key_that_rested_for_long_takes_all_its_steps_at_once(void **state)
{
    (void)state;
    struct limit_pace p = {.percent = 10, .since_ms = 1000}, q = p;
    assert_true(limit_pace_up(&p, &policy, 1000 + 16 * MINUTE));
    assert_int_equal(p.percent, 40);
    assert_int_equal(p.since_ms, 1000 + 15 * MINUTE);
    assert_true(limit_pace_up(&q, &policy, INT64_MAX / 4));
    assert_int_equal(limit_pace_percent(&q), LIMIT_PACE_ALL);
}

static void without_a_policy_a_rate_stays_as_it_is(void **state)
{
    (void)state;
    struct limit_pace p = {0};
    assert_false(limit_pace_down(&p, &(struct limit_pace_policy){0, 1000}, false, 1000));
    assert_false(limit_pace_down(&p, &(struct limit_pace_policy){100, 1000}, false, 1000));
    assert_int_equal(p.percent, 0);
    assert_int_equal(limit_paced(700, &p), 700);
    assert_int_equal(limit_paced(0, &(struct limit_pace){.percent = 10}), 0);
}

/* Whatever the percents, a change of the pace itself lets nothing start that could not before, or keeps back more than one start. */
static void a_change_keeps_what_is_saved_and_what_is_owed(void **state)
{
    (void)state;
    for (int64_t was = 1; was <= 100; was++)
        for (int64_t is = 1; is <= 100; is += 7)
            for (int64_t owed = -3; owed <= 6; owed++) {
                struct limit_pace a = {.percent = was}, b = {.percent = is};
                int64_t burst = 4, now = 1000000, before = limit_paced(250, &a),
                        after = limit_paced(250, &b);
                int64_t tat = now + owed * before;
                int64_t moved = limit_tat_paced(tat, &a, &b, now);
                bool starts = lane_start_at(tat, before, burst) <= now;
                if (!starts)
                    assert_true(lane_start_at(moved, after, burst) > now);
                assert_true(moved <= now + (owed > 0 ? owed : 0) * (after + 100 / is) + 1);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_time_it_is_asked_to_wait_the_rate_is_half_of_what_it_was),
        cmocka_unit_test(those_that_ran_when_it_was_asked_count_once),
        cmocka_unit_test(each_clean_time_brings_a_tenth_until_all_of_it_is_used),
        cmocka_unit_test(a_key_that_rested_for_long_takes_all_its_steps_at_once),
        cmocka_unit_test(without_a_policy_a_rate_stays_as_it_is),
        cmocka_unit_test(a_change_keeps_what_is_saved_and_what_is_owed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
