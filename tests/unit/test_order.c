/* An order: which list its mark is of, and whether it moves it. */
#include "api/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static struct pack *pack;

static int open_pack(void **state)
{
    (void)state;
    struct fault f = {0};
    int fd = open(getenv("FULMAR_SITES") ? getenv("FULMAR_SITES") : "sites", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    err e = pack_open(&pack, fd, "x", &f);
    close(fd);
    return e != E_OK;
}

static int close_pack(void **state)
{
    (void)state;
    pack_close(&pack);
    return 0;
}

static void marks_belong_to_a_list(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        enum store_mark mark;
        const char *variant;
    } rows[] = {
        {"", MARK_WHEN_COMPLETE, "{}"},
        {",\"limit\":5,\"priority\":2,\"fields\":[\"text\"]", MARK_WHEN_COMPLETE, "{}"},
        {",\"since\":\"2026-02-06\"", MARK_STAYS, "{}"},
        {",\"until\":\"2026-02-06\"", MARK_STAYS, "{}"},
        {",\"since_last\":false", MARK_WHEN_COMPLETE, "{}"},
        {",\"since_last\":true", MARK_USED, "{}"},
        {",\"since_last\":true,\"until\":\"2026-02-06\",\"limit\":7", MARK_USED, "{}"},
        /* However it is written, it is one list. */
        {",\"since_last\":true,\"exclude\":[\"reposts\",\"replies\",\"reposts\"]", MARK_USED,
         "{\"exclude\":[\"replies\",\"reposts\"]}"},
        {",\"exclude\":[\"replies\",\"reposts\"]", MARK_WHEN_COMPLETE, "{\"exclude\":[\"replies\",\"reposts\"]}"},
        {",\"include\":[\"replies\"],\"exclude\":[\"quotes\"]", MARK_WHEN_COMPLETE,
         "{\"exclude\":[\"quotes\"],\"include\":[\"replies\"]}"},
    };
    struct json_parser *parser = json_parser_new(1 << 20);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena *a = arena_new(1 << 20);
        struct order o;
        struct order_refusal refusal;
        char *body = arena_fmt(a, "{\"kind\":\"posts\",\"target\":\"@nasa\"%s}", rows[i].options);
        if (!order_read(&o, &refusal, parser, &pack, 1, span_of(body), a))
            fail_msg("%s: %.*s", rows[i].options, SP(refusal.detail));
        if (o.mark != rows[i].mark || !span_is(o.variant, rows[i].variant))
            fail_msg("%s: %d %.*s", rows[i].options, (int)o.mark, SP(o.variant));
        arena_free(&a);
    }
    struct arena *a = arena_new(1 << 20);
    struct order o;
    struct order_refusal refusal;
    assert_true(order_read(&o, &refusal, parser, &pack, 1, SPAN("{\"kind\":\"profile\",\"target\":\"@nasa\"}"), a));
    assert_int_equal(o.mark, MARK_STAYS);
    arena_free(&a);
    json_parser_free(&parser);
}

static void what_cannot_be_brought_in_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *body, *words;
    } rows[] = {
        {"{\"kind\":\"media\",\"target\":\"@nasa\",\"include\":[\"replies\"]}", "media has no replies to bring in"},
        {"{\"kind\":\"thread\",\"target\":\"20\",\"include\":[\"reposts\"]}", "thread has no reposts to bring in"},
        {"{\"kind\":\"profile\",\"target\":\"@nasa\",\"include\":[\"reposts\"]}", "profile has no posts to bring in"},
        {"{\"kind\":\"posts\",\"target\":\"@nasa\",\"include\":[\"replys\"]}", "did you mean"},
        {"{\"kind\":\"posts\",\"target\":\"@nasa\",\"include\":[\"quotes\"],\"exclude\":[\"quotes\"]}",
         "both included and excluded"},
    };
    struct json_parser *parser = json_parser_new(1 << 20);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena *a = arena_new(1 << 20);
        struct order o;
        struct order_refusal refusal;
        assert_false(order_read(&o, &refusal, parser, &pack, 1, span_of(rows[i].body), a));
        assert_int_equal(refusal.error_count, 1);
        struct span said = refusal.errors[0].detail;
        if (span_find(said, span_of(rows[i].words)) == said.n)
            fail_msg("row %zu: %.*s", i, SP(said));
        arena_free(&a);
    }
    json_parser_free(&parser);
}

/* The pack may be replaced before the store has the order. */
static void an_order_keeps_nothing_of_the_pack(void **state)
{
    (void)state;
    struct json_parser *parser = json_parser_new(1 << 20);
    struct arena *a = arena_new(1 << 20);
    struct order o;
    struct order_refusal refusal;
    assert_true(order_read(&o, &refusal, parser, &pack, 1, SPAN("{\"kind\":\"posts\",\"target\":\"@nasa\"}"), a));
    close_pack(NULL);
    assert_true(span_is(o.site, "x") && span_is(o.kind, "posts") && span_is(o.lane, "x/normal"));
    assert_int_equal(open_pack(NULL), 0);
    arena_free(&a);
    json_parser_free(&parser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_belong_to_a_list),
        cmocka_unit_test(what_cannot_be_brought_in_is_refused),
        cmocka_unit_test(an_order_keeps_nothing_of_the_pack),
    };
    return cmocka_run_group_tests(tests, open_pack, close_pack);
}
