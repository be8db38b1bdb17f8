/* Times and their texts. */
#include "base/when.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <time.h>

static uint64_t dice_state = 1;

static uint64_t dice(void)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 7;
    dice_state ^= dice_state << 17;
    return dice_state;
}

/* Between the years 0000 and 9999. */
static wall any_time(void)
{
    const int64_t first = INT64_C(-62167219200000), last = INT64_C(253402300799999);
    return (wall){first + (int64_t)(dice() % (uint64_t)(last - first + 1))};
}

static int64_t parsed(const char *text)
{
    wall t = {-1};
    return when_parse(span_of(text), &t) ? t.ms : INT64_MIN;
}

static int64_t parsed_x(const char *text)
{
    wall t = {-1};
    return when_parse_x(span_of(text), &t) ? t.ms : INT64_MIN;
}

static void known_texts(void **state)
{
    (void)state;
    char text[WHEN_TEXT];
    assert_string_equal(when_text((wall){0}, text), "1970-01-01T00:00:00Z");
    assert_string_equal(when_text((wall){1770412185123}, text), "2026-02-06T21:09:45Z");
    assert_string_equal(when_text_ms((wall){1770412185123}, text), "2026-02-06T21:09:45.123Z");
    assert_string_equal(when_text_ms((wall){-1}, text), "1969-12-31T23:59:59.999Z");
    assert_string_equal(when_text((wall){951782400000}, text), "2000-02-29T00:00:00Z");
    assert_int_equal(strlen(when_text_ms((wall){INT64_MIN}, text)), 30);
    assert_int_equal(strlen(when_text_ms((wall){INT64_MAX}, text)), 29);
}

static void text_reads_back_as_the_same_time(void **state)
{
    (void)state;
    char text[WHEN_TEXT];
    for (int i = 0; i < 200000; i++) {
        wall t = any_time();
        assert_true(parsed(when_text_ms(t, text)) == t.ms);
        int64_t ms = t.ms % 1000 < 0 ? t.ms % 1000 + 1000 : t.ms % 1000;
        assert_true(parsed(when_text(t, text)) == t.ms - ms);
    }
}

static void agrees_with_the_c_library(void **state)
{
    (void)state;
    for (int i = 0; i < 50000; i++) {
        wall t = any_time();
        t.ms -= t.ms % 1000;
        time_t seconds = (time_t)(t.ms / 1000);
        struct tm tm;
        assert_non_null(gmtime_r(&seconds, &tm));
        char text[WHEN_TEXT], theirs[WHEN_TEXT * 2], x[64];
        snprintf(theirs, sizeof theirs, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        assert_string_equal(when_text(t, text), theirs);
        assert_true(strftime(x, sizeof x, "%a %b %d %H:%M:%S +0000 ", &tm) > 0);
        size_t n = strlen(x);
        snprintf(x + n, sizeof x - n, "%04d", tm.tm_year + 1900);
        assert_true(parsed_x(x) == t.ms);
        assert_int_equal(when_days(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday),
                         (t.ms - ((t.ms % 86400000) + 86400000) % 86400000) / 86400000);
    }
}

static void reads_variants(void **state)
{
    (void)state;
    const int64_t t = 1770412185000;
    assert_true(parsed("2026-02-06T21:09:45Z") == t);
    assert_true(parsed("2026-02-06t21:09:45z") == t);
    assert_true(parsed("2026-02-06 21:09:45Z") == t);
    assert_true(parsed("2026-02-06T23:09:45+02:00") == t);
    assert_true(parsed("2026-02-06T15:39:45-05:30") == t);
    assert_true(parsed("2026-02-06T21:09:45.5Z") == t + 500);
    assert_true(parsed("2026-02-06T21:09:45.123456789Z") == t + 123);
    assert_true(parsed("2026-02-06") == t - 76185000);
    assert_true(parsed("1970-01-01") == 0);
    assert_true(parsed("2016-12-31T23:59:60Z") == parsed("2017-01-01T00:00:00Z"));
    assert_true(parsed_x("Wed Jul 08 21:59:10 +0000 2026") == parsed("2026-07-08T21:59:10Z"));
    assert_true(parsed_x("Wed Jul 08 21:59:10 +0200 2026") == parsed("2026-07-08T19:59:10Z"));
}

static void refuses_what_is_no_time(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2026",
        "2026-02",
        "2026-2-6",
        "2026-02-30",
        "2025-02-29",
        "1900-02-29",
        "2026-13-01",
        "2026-00-01",
        "2026-01-00",
        "2026-04-31",
        "2026-02-06T",
        "2026-02-06T21:09Z",
        "2026-02-06T24:00:00Z",
        "2026-02-06T21:60:00Z",
        "2026-02-06T21:09:61Z",
        "2026-02-06T21:09:45",
        "2026-02-06T21:09:45.Z",
        "2026-02-06T21:09:45Zx",
        "2026-02-06T21:09:45+2:00",
        "2026-02-06T21:09:45+24:00",
        "2026-02-06T21:09:45+0200",
        "2026-02-06Z",
        " 2026-02-06",
        "2026-02-06 ",
        "-026-02-06",
        "20260206",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_true(parsed(bad[i]) == INT64_MIN);
    static const char *const bad_x[] = {
        "",
        "Wed",
        "Wed Jul 08 21:59:10 +0000",
        "Wed Jul 08 21:59:10 +0000 20266",
        "Xyz Jul 08 21:59:10 +0000 2026",
        "Wed Jux 08 21:59:10 +0000 2026",
        "Wed Jul 8 21:59:10 +0000 2026",
        "Wed Feb 30 21:59:10 +0000 2026",
        "Wed Jul 08 25:59:10 +0000 2026",
        "Wed Jul 08 21:59:10 0000 2026",
        "Wed Jul 08 21:59:10 +00:00 2026",
        "WedJul 08 21:59:10 +0000 2026",
    };
    for (size_t i = 0; i < sizeof bad_x / sizeof bad_x[0]; i++)
        assert_true(parsed_x(bad_x[i]) == INT64_MIN);
    /* Every shortened text is refused too, and the result stays untouched. */
    for (size_t n = 0; n < 20; n++) {
        wall t = {77};
        assert_int_equal(when_parse((struct span){"2026-02-06T21:09:45Z", n}, &t), n == 10);
        if (n != 10)
            assert_int_equal(t.ms, 77);
    }
}

static void reads_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"500ms", 500},  {"30s", 30000},    {"5m", 300000},
                {"2h", 7200000}, {"7d", 604800000}, {"0s", 0}};
    static const char *const bad[] = {"",
                                      "5",
                                      "s",
                                      "-5s",
                                      "5 s",
                                      "5S",
                                      "5w",
                                      "5ss",
                                      "1.5s",
                                      "9223372036854775807s",
                                      "99999999999999999999ms"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t ms = -1;
        assert_true(when_duration(span_of(good[i].text), &ms));
        assert_true(ms == good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ms = -1;
        assert_false(when_duration(span_of(bad[i]), &ms));
        assert_true(ms == -1);
    }
}

static void clocks_compare(void **state)
{
    (void)state;
    mono now = {1000};
    mono deadline = mono_add(now, 50);
    assert_int_equal(mono_left(deadline, now), 50);
    assert_int_equal(mono_left(now, deadline), 0);
    assert_false(mono_past(deadline, now));
    assert_true(mono_past(deadline, deadline));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts),
        cmocka_unit_test(text_reads_back_as_the_same_time),
        cmocka_unit_test(agrees_with_the_c_library),
        cmocka_unit_test(reads_variants),
        cmocka_unit_test(refuses_what_is_no_time),
        cmocka_unit_test(reads_durations),
        cmocka_unit_test(clocks_compare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
