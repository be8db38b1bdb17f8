/* Labels: what they may be, how they are kept among a job's options, found and changed. */
#include "core/labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void names_and_values_are_bounded(void **state)
{
    (void)state;
    char long_text[LABEL_VALUE_MOST + 2];
    memset(long_text, 'a', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
    struct span text = span_of(long_text);
    assert_true(label_name_valid(SPAN("team")) && label_name_valid(SPAN("a.B_c-9")));
    assert_true(label_name_valid(span_cut(text, 0, LABEL_NAME_MOST)));
    assert_false(label_name_valid(span_cut(text, 0, LABEL_NAME_MOST + 1)));
    assert_false(label_name_valid(SPAN("")) || label_name_valid(SPAN("a b")) ||
                 label_name_valid(SPAN("a\"")) || label_name_valid(SPAN("ä")));
    assert_true(label_value_valid(SPAN("heat pump, {Zürich}: 50 %")));
    assert_true(label_value_valid(span_cut(text, 0, LABEL_VALUE_MOST)));
    assert_false(label_value_valid(text) || label_value_valid(SPAN("")) ||
                 label_value_valid(SPAN("a\nb")) || label_value_valid(SPAN("a\"b")) ||
                 label_value_valid(SPAN("a\\b")) || label_value_valid(SPAN("\xff")) ||
                 label_value_valid(SPAN("\x7f")));
}

static void they_are_written_by_name_and_read_again(void **state)
{
    (void)state;
    struct labels l = {0}, again;
    struct buf out = BUF(LABELS_TEXT);
    labels_write(&l, &out);
    assert_int_equal(out.n, 0);
    assert_true(labels_set(&l, SPAN("team"), SPAN("press")));
    assert_true(labels_set(&l, SPAN("desk"), SPAN("a}b,{c:")));
    assert_true(labels_set(&l, SPAN("old"), SPAN_NONE));
    assert_true(labels_set(&l, SPAN("team"), SPAN("science")));
    labels_write(&l, &out);
    assert_true(
        span_is(buf_span(&out), "{\"desk\":\"a}b,{c:\",\"old\":null,\"team\":\"science\"}"));
    assert_true(labels_read(&again, buf_span(&out)));
    assert_int_equal(again.count, 3);
    assert_true(span_is(again.list[0].value, "a}b,{c:") && !again.list[1].value.p &&
                span_is(again.list[2].name, "team"));
    static const char *const wrong[] = {"x",
                                        "{",
                                        "{\"a\":1}",
                                        "{\"a\":\"b\"",
                                        "{\"a\":\"b\"]",
                                        "{\"a\"}",
                                        "{\"a\":\"}",
                                        "{a:\"b\"}",
                                        "{\"a\":\"\"}",
                                        "{\"a b\":\"c\"}",
                                        "{\"a\":\"b\" ,\"c\":\"d\"}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (labels_read(&again, span_of(wrong[i])))
            fail_msg("read: %s", wrong[i]);
    buf_free(&out);
}

static void they_are_the_last_member_of_the_options(void **state)
{
    (void)state;
    struct span rest;
    assert_int_equal(labels_of(SPAN("{\"limit\":5}"), &rest).n, 0);
    assert_true(span_is(rest, "{\"limit\":5"));
    assert_int_equal(labels_of(SPAN("{}"), &rest).n, 0);
    assert_true(span_is(rest, "{"));
    assert_true(span_is(labels_of(SPAN("{\"labels\":{\"a\":\"}\"}}"), &rest), "{\"a\":\"}\"}"));
    assert_true(span_is(rest, "{"));
    assert_true(span_is(labels_of(SPAN("{\"limit\":5,\"labels\":{\"a\":\"b\"}}"), &rest),
                        "{\"a\":\"b\"}"));
    assert_true(span_is(rest, "{\"limit\":5"));
    assert_int_equal(labels_of(SPAN(""), &rest).n, 0);
}

/* What another option says is no label, however it is written. */
static void only_labels_match(void **state)
{
    (void)state;
    const struct span options =
        SPAN("{\"product\":\"top\",\"fields\":[\"\\\"team\\\":\\\"x\\\"\"],"
             "\"labels\":{\"desk\":\"team\",\"team\":\"press\"}}");
    assert_true(labels_match(options, SPAN_NONE));
    assert_true(labels_match(options, SPAN("{\"team\":\"press\"}")));
    assert_true(labels_match(options, SPAN("{\"desk\":\"team\",\"team\":\"press\"}")));
    assert_false(labels_match(options, SPAN("{\"product\":\"top\"}")));
    assert_false(labels_match(options, SPAN("{\"team\":\"x\"}")));
    assert_false(labels_match(options, SPAN("{\"team\":\"pres\"}")));
    assert_false(labels_match(options, SPAN("{\"eam\":\"press\"}")));
    assert_false(labels_match(options, SPAN("{\"desk\":\"team\",\"who\":\"anna\"}")));
    assert_false(labels_match(SPAN("{}"), SPAN("{\"team\":\"press\"}")));
}

static void changes(const char *options, const char *change, const char *wanted)
{
    struct buf out = BUF(4096);
    assert_int_equal(labels_change(span_of(options), span_of(change), &out), E_OK);
    if (!span_is(buf_span(&out), wanted))
        fail_msg("%s with %s: %.*s", options, change, SP(buf_span(&out)));
    buf_free(&out);
}

static void they_are_set_and_go(void **state)
{
    (void)state;
    changes("{}", "{\"a\":\"1\"}", "{\"labels\":{\"a\":\"1\"}}");
    changes("", "{\"a\":\"1\"}", "{\"labels\":{\"a\":\"1\"}}");
    changes("{\"limit\":5}", "{\"b\":\"2\",\"c\":null}",
            "{\"limit\":5,\"labels\":{\"b\":\"2\"}}");
    changes("{\"limit\":5,\"labels\":{\"a\":\"1\",\"c\":\"3\"}}", "{\"b\":\"2\",\"c\":null}",
            "{\"limit\":5,\"labels\":{\"a\":\"1\",\"b\":\"2\"}}");
    changes("{\"limit\":5,\"labels\":{\"a\":\"1\"}}", "{\"a\":null}", "{\"limit\":5}");
    changes("{\"labels\":{\"a\":\"1\"}}", "{\"a\":null}", "{}");
}

static void there_are_not_too_many(void **state)
{
    (void)state;
    struct labels l = {0};
    char names[LABELS_MOST][8];
    struct buf options = BUF(LABELS_TEXT + 64), out = BUF(LABELS_TEXT + 64);
    for (int i = 0; i < LABELS_MOST; i++) {
        snprintf(names[i], sizeof names[i], "n%d", i);
        assert_true(labels_set(&l, span_of(names[i]), SPAN("v")));
    }
    assert_false(labels_set(&l, SPAN("more"), SPAN("v")));
    assert_true(labels_set(&l, SPAN("n3"), SPAN("w")));
    buf_add_text(&options, "{\"labels\":");
    labels_write(&l, &options);
    buf_add_char(&options, '}');
    assert_int_equal(labels_change(buf_span(&options), SPAN("{\"more\":\"v\"}"), &out),
                     E_TOO_BIG);
    /* What goes makes room, whatever it is called. */
    assert_int_equal(
        labels_change(buf_span(&options), SPAN("{\"more\":\"v\",\"n0\":null}"), &out), E_OK);
    buf_free(&options);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_values_are_bounded),
        cmocka_unit_test(they_are_written_by_name_and_read_again),
        cmocka_unit_test(they_are_the_last_member_of_the_options),
        cmocka_unit_test(only_labels_match),
        cmocka_unit_test(they_are_set_and_go),
        cmocka_unit_test(there_are_not_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
