/* What watches a page says one thing in one shape, and is believed in nothing else. */
#include "extract/shown.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

enum { MESSAGE_MAX = 8 * 1024 * 1024 };

#define FLAGS                                                                                  \
    "\"answers\":true,\"bottom\":false,\"busy\":true,\"retry\":false,\"more\":true,\"guest\":false,\"folded\":true,\"shut\":false"

static err read_text(const char *text, struct shown *out)
{
    struct json_parser *p = json_parser_new(MESSAGE_MAX);
    struct fault f = {0};
    err e = shown_read(p, span_of(text), out, &f);
    if (e)
        assert_true(f.words[0]);
    else
        assert_true(span_is(out->html, "<p>a</p>"));
    json_parser_free(&p);
    return e;
}

static void every_member_is_read(void **state)
{
    (void)state;
    struct shown s = {0};
    assert_int_equal(read_text("{\"n\":7," FLAGS ",\"html\":\"<p>a</p>\"}", &s), E_OK);
    assert_int_equal(s.number, 7);
    assert_true(s.answers && !s.bottom && s.busy && !s.retry && s.more && !s.guest &&
                s.folded && !s.shut);
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "[]",
        "\"html\"",
        "{\"n\":7," FLAGS "}",
        "{" FLAGS ",\"html\":\"\"}",
        "{\"n\":0," FLAGS ",\"html\":\"\"}",
        "{\"n\":\"7\"," FLAGS ",\"html\":\"\"}",
        "{\"n\":7," FLAGS ",\"html\":null}",
        "{\"n\":7,\"answers\":1,\"bottom\":false,\"busy\":true,\"retry\":false,\"more\":true,\"guest\":false,"
        "\"html\":\"\"}",
        "{\"n\":7,\"answers\":true,\"bottom\":false,\"busy\":true,\"retry\":false,\"more\":true,\"guest\":false,"
        "\"html\":\"\"}",
        "{\"n\":7,\"html\":\"\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct shown s = {.number = 99};
        if (read_text(texts[i], &s) != E_SHAPE)
            fail_msg("%s", texts[i]);
        assert_int_equal(s.number, 99);
    }
}

static void too_much_at_once_is_refused(void **state)
{
    (void)state;
    char *text = malloc(MESSAGE_MAX);
    struct shown s;
    assert_non_null(text);
    int n = snprintf(text, MESSAGE_MAX, "{\"n\":7," FLAGS ",\"html\":\"");
    memset(text + n, 'a', SHOWN_HTML_MAX + 1);
    snprintf(text + n + SHOWN_HTML_MAX + 1, 3, "\"}");
    assert_int_equal(read_text(text, &s), E_TOO_BIG);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_is_read),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(too_much_at_once_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
