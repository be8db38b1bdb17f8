/* Spans and buffers. */
#include "base/span.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static void compares(void **state)
{
    (void)state;
    assert_true(span_is(SPAN("abc"), "abc"));
    assert_false(span_is(SPAN("abc"), "ab"));
    assert_true(span_eq(SPAN_NONE, SPAN("")));
    assert_true(span_eq_nocase(SPAN("Content-TYPE"), SPAN("content-type")));
    assert_false(span_eq_nocase(SPAN("a["), SPAN("a{"))); /* differ by the case bit only */
    assert_true(span_starts(SPAN("abc"), SPAN("ab")));
    assert_true(span_starts(SPAN("abc"), SPAN("")));
    assert_false(span_starts(SPAN("a"), SPAN("ab")));
    assert_true(span_ends(SPAN("abc"), SPAN("bc")));
    assert_false(span_ends(SPAN("c"), SPAN("bc")));
    assert_true(span_is(span_of(NULL), ""));
}

static void cut_clamps(void **state)
{
    (void)state;
    assert_true(span_is(span_cut(SPAN("abcdef"), 2, 3), "cde"));
    assert_true(span_is(span_cut(SPAN("abc"), 1, SIZE_MAX), "bc"));
    assert_true(span_is(span_cut(SPAN("abc"), 9, 1), ""));
    assert_int_equal(span_cut(SPAN_NONE, 0, 5).n, 0);
}

static void trims_and_finds(void **state)
{
    (void)state;
    assert_true(span_is(span_trim(SPAN(" \t\r\n a b \v\f")), "a b"));
    assert_true(span_is(span_trim(SPAN("  ")), ""));
    assert_int_equal(span_blank(SPAN(" \t\r\n a ")), 5);
    assert_int_equal(span_blank(SPAN("  ")), 2);
    assert_int_equal(span_blank(SPAN_NONE), 0);
    assert_int_equal(span_find(SPAN("hello"), SPAN("lo")), 3);
    assert_int_equal(span_find(SPAN("hello"), SPAN("x")), 5);
    assert_int_equal(span_find(SPAN("hello"), SPAN("")), 0);
    assert_int_equal(span_find(SPAN("a"), SPAN("abc")), 1);
    assert_int_equal(span_find_char(SPAN("a=b"), '='), 1);
    assert_int_equal(span_find_char(SPAN("ab"), '='), 2);
    assert_int_equal(span_find_char(SPAN_NONE, '='), 0);
}

static void next_walks_parts(void **state)
{
    (void)state;
    struct span rest = SPAN("a,,b,"), part;
    assert_true(span_next(&rest, ',', &part));
    assert_true(span_is(part, "a"));
    assert_true(span_next(&rest, ',', &part));
    assert_true(span_is(part, ""));
    assert_true(span_next(&rest, ',', &part));
    assert_true(span_is(part, "b"));
    assert_false(span_next(&rest, ',', &part));
}

static void reads_integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0},
                {"-0", 0},
                {"007", 7},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN}};
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1x",
                                      "--1",
                                      "0x1",
                                      "1.0",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999999"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t value = 42;
        assert_true(span_int(span_of(good[i].text), &value));
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t value = 42;
        assert_false(span_int(span_of(bad[i]), &value));
        assert_int_equal(value, 42);
    }
}

static void hash_depends_on_every_byte(void **state)
{
    (void)state;
    char text[40] = {0};
    for (size_t n = 1; n < sizeof text; n++) {
        uint64_t before = span_hash((struct span){text, n}, 7);
        assert_true(before == span_hash((struct span){text, n}, 7));
        assert_true(before != span_hash((struct span){text, n}, 8));
        assert_true(before != span_hash((struct span){text, n - 1}, 7));
        for (size_t i = 0; i < n; i++) {
            text[i] ^= 1;
            assert_true(before != span_hash((struct span){text, n}, 7));
            text[i] ^= 1;
        }
    }
}

static void copy_is_always_terminated(void **state)
{
    (void)state;
    char dst[4] = "???";
    assert_string_equal(span_copy(SPAN("abcdef"), dst, sizeof dst), "abc");
    assert_string_equal(span_copy(SPAN("ab"), dst, sizeof dst), "ab");
    assert_string_equal(span_copy(SPAN_NONE, dst, sizeof dst), "");
    assert_string_equal(span_copy(SPAN("abc"), dst, 1), "");
}

static void buf_grows_to_its_maximum_and_no_further(void **state)
{
    (void)state;
    struct buf b = BUF(1000);
    struct span text;
    for (int i = 0; i < 1000; i++)
        buf_add_char(&b, (char)('a' + i % 26));
    assert_int_equal(buf_end(&b, &text), E_OK);
    assert_int_equal(text.n, 1000);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(text.p[i], 'a' + i % 26);
    assert_true(b.cap <= 1000);
    buf_add_char(&b, 'x');
    assert_int_equal(buf_end(&b, &text), E_TOO_BIG);
    assert_int_equal(b.n, 1000);
    buf_free(&b);
    assert_int_equal(b.max, 1000);
}

static void buf_failure_sticks_until_cleared(void **state)
{
    (void)state;
    struct buf b = BUF(4);
    struct span text = SPAN("untouched");
    buf_add(&b, SPAN("12345"));
    buf_add(&b, SPAN("1"));
    assert_int_equal(b.n, 0);
    assert_int_equal(buf_end(&b, &text), E_TOO_BIG);
    assert_true(span_is(text, "untouched"));
    buf_clear(&b);
    buf_add(&b, SPAN("1234"));
    assert_int_equal(buf_end(&b, &text), E_OK);
    assert_true(span_is(text, "1234"));
    buf_free(&b);
}

static void buf_formats_short_and_long(void **state)
{
    (void)state;
    struct buf b = BUF(2000);
    buf_fmt(&b, "%d-%s", 7, "x");
    assert_true(span_is(buf_span(&b), "7-x"));
    buf_fmt(&b, "%01500d", 1);
    assert_int_equal(b.n, 1503);
    assert_int_equal(b.p[1502], '1');
    buf_fmt(&b, "%01500d", 1);
    assert_int_equal(b.failed, E_TOO_BIG);
    buf_free(&b);
    struct buf exact = BUF(300); /* the text fits, a NUL behind it would not */
    buf_fmt(&exact, "%0300d", 5);
    assert_int_equal(exact.failed, E_OK);
    assert_int_equal(exact.n, 300);
    buf_free(&exact);
}

static void buf_room_and_drop(void **state)
{
    (void)state;
    struct buf b = BUF(10);
    char *room = buf_room(&b, 6);
    assert_non_null(room);
    memcpy(room, "abcdef", 6);
    b.n += 6;
    buf_drop(&b, 2);
    assert_true(span_is(buf_span(&b), "cdef"));
    assert_null(buf_room(&b, 7));
    assert_int_equal(b.failed, E_TOO_BIG);
    buf_clear(&b);
    buf_drop(&b, 0);
    assert_non_null(buf_room(&b, 10));
    buf_free(&b);
    assert_null(b.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),
        cmocka_unit_test(cut_clamps),
        cmocka_unit_test(trims_and_finds),
        cmocka_unit_test(next_walks_parts),
        cmocka_unit_test(reads_integers),
        cmocka_unit_test(hash_depends_on_every_byte),
        cmocka_unit_test(copy_is_always_terminated),
        cmocka_unit_test(buf_grows_to_its_maximum_and_no_further),
        cmocka_unit_test(buf_failure_sticks_until_cleared),
        cmocka_unit_test(buf_formats_short_and_long),
        cmocka_unit_test(buf_room_and_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
