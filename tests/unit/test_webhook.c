/* Signatures and rules of webhooks: base64, os/sign.h, core/webhook.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base64.h"
#include "core/webhook.h"
#include "os/sign.h"

#include <cmocka.h>

static void base64_is_written_as_it_is_read(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"", ""},        {"M", "TQ=="},        {"Ma", "TWE="},
        {"Man", "TWFu"}, {"Many", "TWFueQ=="}, {"\xff\xfe\xfd", "//79"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct buf out = BUF(64), back = BUF(64);
        base64_add(&out, span_of(pairs[i][0]));
        assert_true(span_is(buf_span(&out), pairs[i][1]));
        assert_true(base64_add_plain(&back, buf_span(&out)));
        assert_true(span_is(buf_span(&back), pairs[i][0]));
        buf_free(&out);
        buf_free(&back);
    }
}

/* The example of the Standard Webhooks specification. */
static void a_signature_is_what_the_standard_says(void **state)
{
    (void)state;
    struct span secret = SPAN("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
                id = SPAN("msg_p5jXN8AQM9LWM0D4loKWxJek"),
                body = SPAN("{\"test\": 2432232314}");
    struct buf out = BUF(128);
    sign_add(&out, secret, id, 1614265330, body);
    assert_true(span_is(buf_span(&out), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    buf_free(&out);
    struct span several =
        SPAN("v1,AAAA v1a,BBBB v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    assert_true(sign_verify(secret, id, 1614265330, body, several));
    assert_false(sign_verify(secret, id, 1614265331, body, several));
    assert_false(sign_verify(secret, id, 1614265330, SPAN("{\"test\": 2432232315}"), several));
    assert_false(sign_verify(secret, id, 1614265330, body, SPAN("")));
    assert_false(sign_verify(secret, id, 1614265330, body, SPAN("v1,g0hM9SsE")));
}

static void secrets_are_24_to_64_bytes_and_new_ones_differ(void **state)
{
    (void)state;
    char a[SIGN_SECRET_MAX], b[SIGN_SECRET_MAX];
    sign_secret_make(a);
    sign_secret_make(b);
    assert_true(sign_secret_valid(span_of(a)) && sign_secret_valid(span_of(b)));
    assert_string_not_equal(a, b);
    assert_false(sign_secret_valid(SPAN("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="))); /* 23 */
    assert_true(sign_secret_valid(SPAN("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz")));
    assert_false(sign_secret_valid(SPAN("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz")));
    assert_false(sign_secret_valid(SPAN("whsec_")));
    assert_false(sign_secret_valid(SPAN("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI!")));
    assert_false(sign_secret_valid(
        SPAN("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzMDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzMDEyMzQ1"
             "Njc4OTAxMjM0NTY3ODkwMTIz"))); /* 72 */
}

static void delays_are_the_published_ones_give_or_take_a_fifth(void **state)
{
    (void)state;
    static const int64_t seconds[] = {5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400};
    for (int i = 0; i < WEBHOOK_ATTEMPTS - 1; i++) {
        int64_t least = INT64_MAX, most = 0;
        for (uint64_t random = 0; random < 2000; random++) {
            int64_t ms = webhook_delay_ms(i + 2, 5000, 0, random * 0x9e3779b97f4a7c15u);
            least = ms < least ? ms : least;
            most = ms > most ? ms : most;
        }
        assert_in_range(least, seconds[i] * 800, seconds[i] * 810);
        assert_in_range(most, seconds[i] * 1190, seconds[i] * 1200);
    }
    assert_int_equal(webhook_delay_ms(2, 5000, 60000, 7), 60000);
}

static void
a_receiver_rests_from_the_fifth_failure_on_and_never_longer_than_half_an_hour(void **state)
{
    (void)state;
    assert_int_equal(webhook_rest_ms(4, 5000), 0);
    assert_int_equal(webhook_rest_ms(5, 5000), 30000);
    assert_int_equal(webhook_rest_ms(6, 5000), 60000);
    assert_int_equal(webhook_rest_ms(11, 5000), 1800000);
    assert_int_equal(webhook_rest_ms(INT64_MAX, 5000), 1800000);
}

static void types_are_names_groups_or_all(void **state)
{
    (void)state;
    assert_true(webhook_wants(SPAN("job.finished batch.*"), SPAN("job.finished")));
    assert_true(webhook_wants(SPAN("job.finished batch.*"), SPAN("batch.complete")));
    assert_false(webhook_wants(SPAN("job.finished batch.*"), SPAN("job.dead")));
    assert_false(webhook_wants(SPAN("job.finished"), SPAN("job.finished_again")));
    assert_false(webhook_wants(SPAN("job.*"), SPAN("jobs.x")));
    assert_true(webhook_wants(SPAN("*"), SPAN("mode.changed")));
    assert_false(webhook_wants(SPAN(""), SPAN("mode.changed")));
    static const char *const ends[] = {"job.finished", "job.dead", "job.cancelled",
                                       "job.expired", "job.repaired"};
    static const char *const others[] = {"job.accepted",   "job.retrying",
                                         "job.stopping",   "job.replayed",
                                         "batch.complete", "job.finished_again"};
    for (size_t k = 0; k < sizeof ends / sizeof *ends; k++)
        assert_true(webhook_is_end(span_of(ends[k])) && webhook_type_known(span_of(ends[k])));
    for (size_t k = 0; k < sizeof others / sizeof *others; k++)
        assert_false(webhook_is_end(span_of(others[k])));
    assert_true(webhook_type_known(SPAN("job.*")) && webhook_type_known(SPAN("*")));
    assert_false(webhook_type_known(SPAN("job.finnished")) || webhook_type_known(SPAN("jo.*")));
    assert_string_equal(webhook_type_near(SPAN("job.finnished")), "job.finished");
}

static void one_that_failed_too_often_gets_one_request_whatever_its_limit_says(void **state)
{
    (void)state;
    assert_int_equal(webhook_at_once(0, 0), WEBHOOK_AT_ONCE);
    assert_int_equal(webhook_at_once(WEBHOOK_FAILS_MAX - 1, 9), 9);
    assert_int_equal(webhook_at_once(WEBHOOK_FAILS_MAX, 9), 1);
    assert_int_equal(webhook_at_once(0, WEBHOOK_AT_ONCE_MOST), WEBHOOK_AT_ONCE_MOST);
    assert_int_equal(webhook_at_once(0, WEBHOOK_AT_ONCE_MOST + 1), WEBHOOK_AT_ONCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_written_as_it_is_read),
        cmocka_unit_test(a_signature_is_what_the_standard_says),
        cmocka_unit_test(secrets_are_24_to_64_bytes_and_new_ones_differ),
        cmocka_unit_test(delays_are_the_published_ones_give_or_take_a_fifth),
        cmocka_unit_test(
            a_receiver_rests_from_the_fifth_failure_on_and_never_longer_than_half_an_hour),
        cmocka_unit_test(one_that_failed_too_often_gets_one_request_whatever_its_limit_says),
        cmocka_unit_test(types_are_names_groups_or_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
