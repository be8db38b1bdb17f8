/* What went through a lane in the last ten minutes. */
#include "core/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const int64_t T0 = 1800000000000;
enum { MINUTE = 60000 };

static void what_is_counted_is_read_for_ten_minutes(void **state)
{
    (void)state;
    struct meter m = {0};
    for (int i = 0; i < 20; i++) {
        meter_add(&m, METER_ACCEPTED, 0, T0 + i * MINUTE);
        meter_add(&m, METER_STARTED, 5, T0 + i * MINUTE);
        meter_add(&m, METER_ENDED, 0, T0 + i * MINUTE);
        struct meter_sums sums = meter_read(&m, METER_WINDOW_MS, T0 + i * MINUTE);
        int64_t wanted = i < 10 ? i + 1 : 10;
        assert_int_equal(sums.accepted, wanted);
        assert_int_equal(sums.started, wanted);
        assert_int_equal(sums.ended, wanted);
    }
    /* Of fewer: whole minutes, one at least, and the last of them is now. */
    assert_int_equal(meter_read(&m, 3 * MINUTE, T0 + 19 * MINUTE).started, 3);
    assert_int_equal(meter_read(&m, 4 * MINUTE - 1, T0 + 19 * MINUTE).started, 3);
    assert_int_equal(meter_read(&m, 1, T0 + 19 * MINUTE).ended, 1);
    assert_int_equal(meter_read(&m, 3 * MINUTE, T0 + 21 * MINUTE).started, 1);
    assert_int_equal(meter_read(&m, 99 * MINUTE, T0 + 19 * MINUTE).accepted, 10);
    assert_int_equal(meter_read(&m, METER_WINDOW_MS, T0 + 24 * MINUTE).accepted, 5);
    assert_int_equal(meter_read(&m, METER_WINDOW_MS, T0 + 40 * MINUTE).accepted, 0);
    meter_add(&m, METER_ACCEPTED, 0, T0 + 40 * MINUTE);
    assert_int_equal(meter_read(&m, METER_WINDOW_MS, T0 + 40 * MINUTE).accepted, 1);
}

static void times_are_the_bound_that_so_many_stay_below(void **state)
{
    (void)state;
    struct meter m = {0};
    assert_int_equal(meter_read(&m, METER_WINDOW_MS, T0).p50_ms, -1);
    for (int i = 0; i < 98; i++)
        meter_add(&m, METER_STARTED, i % 2 ? 40 : 3, T0);
    meter_add(&m, METER_STARTED, 4000, T0);
    meter_add(&m, METER_STARTED, 999999999, T0);
    struct meter_sums sums = meter_read(&m, METER_WINDOW_MS, T0);
    assert_int_equal(sums.p50_ms, 50);
    assert_int_equal(sums.p99_ms, 5000);
    assert_true(sums.p95_ms >= sums.p50_ms && sums.p95_ms <= sums.p99_ms);
    assert_int_equal(meter_wait_of(0), 0);
    assert_int_equal(meter_wait_of(10), 0);
    assert_int_equal(meter_wait_of(11), 1);
    assert_int_equal(meter_wait_of(INT64_MAX), METER_WAITS - 1);
}

/* A clock that was set back counts into the minute that it says, as long as that is kept. */
static void a_clock_that_goes_back_loses_nothing_new(void **state)
{
    (void)state;
    struct meter m = {0};
    meter_add(&m, METER_ACCEPTED, 0, T0);
    meter_add(&m, METER_ACCEPTED, 0, T0 - 3 * MINUTE);
    meter_add(&m, METER_ACCEPTED, 0, T0 - 30 * MINUTE);
    assert_int_equal(meter_read(&m, METER_WINDOW_MS, T0).accepted, 2);
}

static void starts_to_come_are_guessed_from_those_that_were(void **state)
{
    (void)state;
    struct meter m = {0};
    struct meter_sums none = meter_read(&m, METER_WINDOW_MS, T0);
    assert_int_equal(meter_start_ms(&none, 3, 0, T0), 0);
    const int64_t began = T0 / MINUTE * MINUTE;
    for (int i = 0; i < 6; i++)
        meter_add(&m, METER_STARTED, 0, began + i * MINUTE / 3);
    struct meter_sums sums = meter_read(&m, METER_WINDOW_MS, began + 2 * MINUTE);
    assert_int_equal(sums.first_ms, began);
    assert_int_equal(meter_start_ms(&sums, 0, 0, began + 2 * MINUTE), began + 2 * MINUTE);
    assert_int_equal(meter_start_ms(&sums, 9, 0, began + 2 * MINUTE), began + 5 * MINUTE);
    assert_int_equal(meter_start_ms(&sums, 3, began + 9 * MINUTE, began + 2 * MINUTE),
                     began + 10 * MINUTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_counted_is_read_for_ten_minutes),
        cmocka_unit_test(times_are_the_bound_that_so_many_stay_below),
        cmocka_unit_test(starts_to_come_are_guessed_from_those_that_were),
        cmocka_unit_test(a_clock_that_goes_back_loses_nothing_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
