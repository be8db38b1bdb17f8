/* The table of errors, and faults. */
#include "base/err.h"
#include "base/span.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#undef fail /* cmocka's; ours is meant here */

static void fault_keeps_the_first_cause(void **state)
{
    (void)state;
    struct fault f = {0};
    assert_int_equal(fail(&f, E_NET, "host %s\nis gone", "a"), E_NET);
    assert_int_equal(fail(&f, E_PAGE, "page did not load"), E_PAGE);
    assert_int_equal(f.code, E_NET);
    assert_string_equal(f.words, "host a is gone");
    assert_int_equal(fail(NULL, E_PAGE, "nobody reads this"), E_PAGE);
}

static void fault_words_never_end_inside_a_character(void **state)
{
    (void)state;
    for (int lead = 0; lead < 8; lead++) {
        struct fault f = {0};
        struct buf b = BUF(1000);
        for (int i = 0; i < lead; i++)
            buf_add_char(&b, '.');
        while (b.n < 400)
            buf_add_text(&b, lead % 2 ? "\xf0\x9f\x98\x80" : "\xe2\x82\xac");
        buf_add_char(&b, '\0');
        assert_int_equal(fail(&f, E_NET, "%s", b.p), E_NET);
        size_t n = strlen(f.words);
        assert_true(n > 230 && n < sizeof f.words);
        assert_int_equal((n - (size_t)lead) % (lead % 2 ? 4 : 3), 0);
        buf_free(&b);
    }
}

static void every_error_has_a_complete_row(void **state)
{
    (void)state;
    for (int e = 0; e < E_COUNT; e++) {
        assert_true(strncmp(err_name((err)e), "E_", 2) == 0);
        assert_true(strlen(err_text((err)e)) > 1);
        assert_true(err_http((err)e) >= 200 && err_http((err)e) < 600);
        assert_true((err_class((err)e) == ERR_NONE) == (e == E_OK));
    }
    assert_string_equal(err_name(E_TIMEOUT), "E_TIMEOUT");
    assert_int_equal(err_http(E_BAD_INPUT), 422);
    assert_int_equal(err_class(E_BUG), ERR_BUG);
    assert_int_equal(err_class(E_MOVED), ERR_BUG); /* a person has to say where it is now */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fault_keeps_the_first_cause),
        cmocka_unit_test(fault_words_never_end_inside_a_character),
        cmocka_unit_test(every_error_has_a_complete_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
