/* The set of what came before: base/once.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/once.h"

#include <cmocka.h>

static bool add(struct once *s, const char *a, const char *b)
{
    const struct span parts[] = {span_of(a), span_of(b)};
    return once_add(s, parts, 2);
}

static void each_thing_is_new_once(void **state)
{
    (void)state;
    struct once s = ONCE(100000);
    char text[24];
    for (int turn = 0; turn < 2; turn++)
        for (int i = 0; i < 50000; i++) {
            snprintf(text, sizeof text, "%d", i);
            assert_int_equal(add(&s, text, "https://x.com"), turn == 0);
        }
    assert_int_equal(s.count, 50000);
    once_free(&s);
    assert_true(add(&s, "0", "https://x.com"));
    once_free(&s);
}

static void parts_are_told_from_each_other(void **state)
{
    (void)state;
    struct once s = ONCE(100);
    assert_true(add(&s, "12", "3"));
    assert_true(add(&s, "1", "23"));
    assert_true(add(&s, "123", ""));
    assert_true(add(&s, "", "123"));
    assert_true(add(&s, "", ""));
    assert_false(add(&s, "1", "23"));
    assert_false(add(&s, "", ""));
    once_free(&s);
}

static void a_full_one_keeps_no_more_and_says_new(void **state)
{
    (void)state;
    struct once s = ONCE(2);
    assert_true(add(&s, "a", ""));
    assert_true(add(&s, "b", ""));
    assert_true(add(&s, "c", ""));
    assert_true(add(&s, "c", ""));
    assert_false(add(&s, "b", ""));
    assert_int_equal(s.count, 2);
    once_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_thing_is_new_once),
        cmocka_unit_test(parts_are_told_from_each_other),
        cmocka_unit_test(a_full_one_keeps_no_more_and_says_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
