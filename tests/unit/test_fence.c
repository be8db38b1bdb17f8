/* When a node that hears nothing of its lease any more stops the job by itself. */
#include "core/fence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static mono at(int64_t ms)
{
    return (mono){1000000 + ms};
}

static void a_job_is_told_a_third_before_its_lease_ends(void **state)
{
    (void)state;
    struct fence f;
    fence_start(&f, at(0), 30000);
    assert_int_equal(fence_left_ms(&f, at(0)), 20000);
    assert_int_equal(fence_left_ms(&f, at(19999)), 1);
    assert_int_equal(fence_left_ms(&f, at(20000)), 0);
    assert_int_equal(fence_left_ms(&f, at(99999)), 0);
}

static void a_heartbeat_counts_from_when_it_was_asked(void **state)
{
    (void)state;
    struct fence f;
    fence_start(&f, at(0), 30000);
    fence_prove(&f, at(10000)); /* answered whenever: the lease may have begun just then */
    assert_int_equal(fence_left_ms(&f, at(29000)), 1000);
    fence_prove(&f, at(5000)); /* the answer to an earlier one comes later */
    assert_int_equal(fence_left_ms(&f, at(29000)), 1000);
}

static void an_answer_after_the_end_renews(void **state)
{
    (void)state;
    struct fence f;
    fence_start(&f, at(0), 30000);
    assert_int_equal(fence_left_ms(&f, at(25000)), 0);
    fence_prove(&f, at(15000)); /* nobody else has had it: the queue says that it holds */
    assert_int_equal(fence_left_ms(&f, at(25000)), 10000);
}

static void no_grace_goes_beyond_the_lease(void **state)
{
    (void)state;
    struct fence f;
    fence_start(&f, at(0), 30000);
    assert_int_equal(fence_grace_ms(&f, 5000, at(20000)), 5000);
    assert_int_equal(fence_grace_ms(&f, 5000, at(27000)), 3000);
    assert_int_equal(fence_grace_ms(&f, 5000, at(30000)), 0);
    assert_int_equal(fence_grace_ms(&f, 5000, at(90000)), 0); /* it was asleep */
    fence_start(&f, at(0), 6000); /* a short lease: the longest grace is what is left of it */
    assert_int_equal(fence_grace_ms(&f, 5000, at(4000)), 2000);
}

/* Whatever the answers, and however late they come: stop and grace are over by the end of the lease in the queue. */
static void no_job_outlives_its_lease(void **state)
{
    (void)state;
    for (int64_t lease = 300; lease < 40000; lease = lease * 7 / 5) {
        for (int64_t late = 0; late <= lease; late += lease / 7) {
            struct fence f;
            fence_start(&f, at(0), lease);
            int64_t ends = late + lease; /* of the lease: it heard the question so much later */
            int64_t told = fence_left_ms(&f, at(0));
            int64_t over = told + fence_grace_ms(&f, 5000, at(told));
            assert_true(told > 0 && over <= ends);
        }
    }
}

/* Also one that was due just when the store's thread began to wait. */
static void a_heartbeat_behind_a_silent_server_comes_in_time(void **state)
{
    (void)state;
    for (int64_t lease = 10000; lease < 1000000; lease = lease * 7 / 5) {
        struct fence f;
        fence_start(&f, at(0), lease);
        int64_t beat = lease / 3, heard = beat + fence_patience_ms(lease);
        assert_true(heard < fence_left_ms(&f, at(0)));
        assert_true(fence_patience_ms(lease) > lease / 4);
    }
    assert_int_equal(fence_patience_ms(30000), 9000);
    assert_int_equal(fence_patience_ms(1000), 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_told_a_third_before_its_lease_ends),
        cmocka_unit_test(a_heartbeat_counts_from_when_it_was_asked),
        cmocka_unit_test(an_answer_after_the_end_renews),
        cmocka_unit_test(no_grace_goes_beyond_the_lease),
        cmocka_unit_test(no_job_outlives_its_lease),
        cmocka_unit_test(a_heartbeat_behind_a_silent_server_comes_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
