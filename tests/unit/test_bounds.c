/* What a job may take: how it is kept among its options, and when it is used up. */
#include "core/bounds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static struct bounds read_text(const char *options)
{
    struct json_parser *parser = json_parser_new(1 << 16);
    struct json root;
    assert_int_equal(json_parse(parser, span_of(options), &root, NULL), E_OK);
    struct bounds b = bounds_read(root);
    json_parser_free(&parser);
    return b;
}

static void what_is_kept_is_what_was_given(void **state)
{
    (void)state;
    struct bounds given = {.navigation_s = 7}, none = {0};
    for (int i = 1; i < BOUND_COUNT; i++)
        given.most[i] = 1000 + i;
    for (int round = 0; round < 2; round++) {
        struct bounds b = round ? none : given;
        struct buf text = BUF(4096);
        struct json_w w = json_w(&text);
        json_open(&w);
        bounds_put(&w, &b);
        json_close(&w);
        buf_add_char(&text, '\0');
        assert_int_equal(strcmp(text.p, "{}") == 0, round);
        struct bounds again = read_text(text.p);
        assert_memory_equal(&again, &b, sizeof b);
        buf_free(&text);
    }
    /* What is of another shape was not written by us, and bounds nothing. */
    struct bounds b = read_text("{\"max_pages\":\"7\",\"timeouts\":5,\"max_bytes\":null}");
    assert_memory_equal(&b, &none, sizeof b);
}

static void a_budget_is_used_up_when_all_of_it_is(void **state)
{
    (void)state;
    struct bounds b = {0};
    for (int i = 1; i < BOUND_COUNT; i++)
        assert_false(bounds_reached(&b, (enum bound)i, INT64_MAX));
    b.most[BOUND_PAGES] = 3;
    b.most[BOUND_BYTES] = 65536;
    assert_false(bounds_reached(&b, BOUND_PAGES, 2));
    assert_true(bounds_reached(&b, BOUND_PAGES, 3));
    assert_false(bounds_reached(&b, BOUND_BYTES, 65535));
    assert_true(bounds_reached(&b, BOUND_BYTES, 65536));
    b.most[BOUND_REQUESTS] = 1;
    assert_true(bounds_reached(&b, BOUND_REQUESTS, 1));
}

/* In MiB and seconds as people say them, in bytes and ms as they are measured. */
static void a_ceiling_may_be_reached_and_not_passed(void **state)
{
    (void)state;
    struct bounds b = {0};
    b.most[BOUND_MEMORY] = BOUND_MEMORY_MAX_MIB;
    b.most[BOUND_CPU] = 2;
    assert_false(bounds_reached(&b, BOUND_MEMORY, 8192LL << 20));
    assert_true(bounds_reached(&b, BOUND_MEMORY, (8192LL << 20) + 1));
    assert_false(bounds_reached(&b, BOUND_CPU, 2000));
    assert_true(bounds_reached(&b, BOUND_CPU, 2001));
}

static void the_words_name_both_numbers_and_the_member(void **state)
{
    (void)state;
    char words[BOUND_WORDS];
    assert_string_equal(
        bounds_words(BOUND_BYTES, 65536, 70001, words).p,
        "max_bytes (65536) was used up before anything was read: 70001; rerun it with more");
    assert_string_equal(bounds_words(BOUND_MEMORY, 256, 300 << 20, words).p,
                        "the attempt took 300 MiB of memory, resources.memory_mib allows 256");
    assert_string_equal(bounds_words(BOUND_CPU, 2, 2345, words).p,
                        "the attempt took 2345 ms of a processor, resources.cpu_s allows 2 s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_is_what_was_given),
        cmocka_unit_test(a_budget_is_used_up_when_all_of_it_is),
        cmocka_unit_test(a_ceiling_may_be_reached_and_not_passed),
        cmocka_unit_test(the_words_name_both_numbers_and_the_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
