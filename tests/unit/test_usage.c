/* What attempts took, as text, together, and as people read it. */
#include "core/usage.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static void as_text_it_is_the_same_again(void **state)
{
    (void)state;
    char text[USAGE_TEXT];
    struct usage u = usage_none();
    u.n[USAGE_CPU_MS] = 12;
    u.n[USAGE_WORKING] = USAGE_MOST;
    struct usage again = usage_read(usage_write(&u, text));
    assert_memory_equal(&again, &u, sizeof u);
    for (int i = 0; i < USAGE_PARTS; i++)
        u.n[i] = USAGE_MOST;
    again = usage_read(usage_write(&u, text));
    assert_memory_equal(&again, &u, sizeof u);
}

static void what_is_no_number_is_not_known(void **state)
{
    (void)state;
    struct usage u = usage_read(SPAN("7 x -1 4"));
    assert_int_equal(u.n[USAGE_CPU_MS], 7);
    assert_int_equal(u.n[USAGE_PEAK_BYTES], USAGE_UNKNOWN);
    assert_int_equal(u.n[USAGE_NET_BYTES], USAGE_UNKNOWN);
    assert_int_equal(u.n[USAGE_REQUESTS], 4);
    assert_int_equal(u.n[USAGE_WORKING], USAGE_UNKNOWN);
}

static void attempts_are_summed_and_the_larger_peak_counts(void **state)
{
    (void)state;
    struct usage sum = usage_read(SPAN("10 500 -1 1")), more = usage_read(SPAN("5 300 8 -1"));
    usage_add(&sum, &more);
    assert_int_equal(sum.n[USAGE_CPU_MS], 15);
    assert_int_equal(sum.n[USAGE_PEAK_BYTES], 500);
    assert_int_equal(sum.n[USAGE_NET_BYTES], 8);
    assert_int_equal(sum.n[USAGE_REQUESTS], 1);
    assert_int_equal(sum.n[USAGE_CONTEXT_MS], USAGE_UNKNOWN);
}

static void steps_belong_to_phases(void **state)
{
    (void)state;
    assert_int_equal(usage_phase_of(SPAN("goto")), USAGE_NAVIGATING);
    assert_int_equal(usage_phase_of(SPAN("wait for data")), USAGE_WAITING);
    assert_int_equal(usage_phase_of(SPAN("fetch timeline")), USAGE_FETCHING);
    assert_int_equal(usage_phase_of(SPAN("commit")), USAGE_STORING);
    assert_int_equal(usage_phase_of(SPAN("take the job")), USAGE_WORKING);
}

static void people_read_null_where_nothing_is_known(void **state)
{
    (void)state;
    struct buf text = BUF(4096);
    struct json_w w = json_w(&text);
    struct usage u = usage_read(SPAN("7 -1 3 2 -1"));
    json_open(&w);
    usage_put(&w, &u);
    json_close(&w);
    assert_true(span_is(buf_span(&text),
                        "{\"usage\":{\"cpu_ms\":7,\"peak_pss_bytes\":null,\"net_bytes\":3,"
                        "\"requests\":2,\"context_ms\":null},\"phases\":null}"));
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_text_it_is_the_same_again),
        cmocka_unit_test(what_is_no_number_is_not_known),
        cmocka_unit_test(attempts_are_summed_and_the_larger_peak_counts),
        cmocka_unit_test(steps_belong_to_phases),
        cmocka_unit_test(people_read_null_where_nothing_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
