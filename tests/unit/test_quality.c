/* What an order calls a good result: every ending against every wish. */
#include "core/quality.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct quality read_text(const char *options)
{
    struct json_parser *parser = json_parser_new(1 << 16);
    struct json root;
    assert_int_equal(json_parse(parser, span_of(options), &root, NULL), E_OK);
    struct quality q = quality_read(root);
    json_parser_free(&parser);
    return q;
}

static void wishes_are_read_from_options(void **state)
{
    (void)state;
    struct quality q = read_text("{\"quality\":{\"min_posts\":7,\"on_empty\":\"accept\"}}");
    assert_true(q.min_posts == 7 && q.on_empty == ON_EMPTY_ACCEPT);
    q = read_text("{\"quality\":{\"on_empty\":\"fail\"}}");
    assert_true(q.min_posts == 0 && q.on_empty == ON_EMPTY_FAIL);
    q = read_text("{\"limit\":5}");
    assert_true(q.min_posts == 0 && q.on_empty == ON_EMPTY_SUSPECT);
}

static void an_ending_becomes_what_the_order_makes_of_it(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        struct quality q;
        int64_t have;
        bool lost, spent;
        struct judged before, after;
        enum quality_says says;
    } rows[] = {
        /* Nobody asks: everything stays as it is. */
        {{0}, 0, false, false, {0, VERDICT_EMPTY_CONFIRMED, false}, {0, VERDICT_EMPTY_CONFIRMED, false}, QUALITY_NOTHING},
        {{0}, 0, false, false, {FAILURE_EMPTY_SUSPECT, 0, false}, {FAILURE_EMPTY_SUSPECT, 0, false}, QUALITY_NOTHING},
        {{0}, 9, true, true, {0, VERDICT_PARTIAL, false}, {0, VERDICT_PARTIAL, false}, QUALITY_NOTHING},
        /* Nothing came and nobody said that there is nothing: it is not claimed. */
        {{0, ON_EMPTY_ACCEPT}, 0, false, false, {FAILURE_EMPTY_SUSPECT, 0, false}, {0, VERDICT_PARTIAL, false}, QUALITY_ACCEPTED},
        /* What the site did say is said. */
        {{0, ON_EMPTY_ACCEPT}, 0, false, false, {0, VERDICT_EMPTY_CONFIRMED, false}, {0, VERDICT_EMPTY_CONFIRMED, false}, QUALITY_NOTHING},
        /* Something came and could not be read: that is not an empty list. */
        {{0, ON_EMPTY_ACCEPT}, 0, true, false, {FAILURE_EMPTY_SUSPECT, 0, false}, {FAILURE_EMPTY_SUSPECT, 0, false}, QUALITY_NOTHING},
        {{0, ON_EMPTY_ACCEPT}, 3, false, false, {FAILURE_EMPTY_SUSPECT, 0, false}, {FAILURE_EMPTY_SUSPECT, 0, false}, QUALITY_NOTHING},
        /* Other failures are none of it. */
        {{0, ON_EMPTY_ACCEPT}, 0, false, false, {FAILURE_DRIFT, 0, false}, {FAILURE_DRIFT, 0, false}, QUALITY_NOTHING},
        {{5, ON_EMPTY_FAIL}, 0, false, false, {FAILURE_NETWORK, 0, false}, {FAILURE_NETWORK, 0, false}, QUALITY_NOTHING},
        {{0, ON_EMPTY_FAIL}, 0, false, false, {0, VERDICT_EMPTY_CONFIRMED, false}, {FAILURE_EMPTY_SUSPECT, 0, true}, QUALITY_EMPTY},
        {{0, ON_EMPTY_FAIL}, 0, false, false, {0, VERDICT_COMPLETE, false}, {FAILURE_EMPTY_SUSPECT, 0, true}, QUALITY_EMPTY},
        {{0, ON_EMPTY_FAIL}, 0, false, false, {FAILURE_EMPTY_SUSPECT, 0, false}, {FAILURE_EMPTY_SUSPECT, 0, false}, QUALITY_NOTHING},
        {{0, ON_EMPTY_FAIL}, 1, false, false, {0, VERDICT_COMPLETE, false}, {0, VERDICT_COMPLETE, false}, QUALITY_NOTHING},
        {{5, 0}, 4, false, false, {0, VERDICT_COMPLETE, false}, {FAILURE_EMPTY_SUSPECT, 0, false}, QUALITY_TOO_FEW},
        {{5, 0}, 4, false, true, {0, VERDICT_PARTIAL, false}, {FAILURE_EMPTY_SUSPECT, 0, true}, QUALITY_TOO_FEW},
        {{5, 0}, 5, false, true, {0, VERDICT_PARTIAL, false}, {0, VERDICT_PARTIAL, false}, QUALITY_NOTHING},
        {{1, 0}, 0, false, false, {0, VERDICT_EMPTY_CONFIRMED, false}, {FAILURE_EMPTY_SUSPECT, 0, false}, QUALITY_TOO_FEW},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct judged j = rows[i].before;
        enum quality_says says =
            quality_judge(&rows[i].q, rows[i].have, rows[i].lost, rows[i].spent, &j);
        if (says != rows[i].says || j.failure != rows[i].after.failure ||
            j.verdict != rows[i].after.verdict || j.final != rows[i].after.final)
            fail_msg("row %zu: says %d, failure %d, verdict %d, final %d", i, (int)says,
                     (int)j.failure, (int)j.verdict, (int)j.final);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wishes_are_read_from_options),
        cmocka_unit_test(an_ending_becomes_what_the_order_makes_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
