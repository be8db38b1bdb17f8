/* Where records stand in plain JSON: paths, every element, trees and chains, and their bounds. */
#include "base/json.h"
#include "base/yaml.h"
#include "extract/envelope.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

static struct json_parser *parser;
static struct arena *arena;
static struct buf told = BUF(1024 * 1024);

static bool on_seen(void *ctx, const struct seen *s)
{
    int64_t *stop_after = ctx;
    struct span name = SPAN("?");
    json_text(json_get(s->object, SPAN("n")), &name);
    buf_add(&told, name);
    return !stop_after || --*stop_after > 0;
}

static size_t read_paths(const char *paths, const struct root_path **out, struct fault *f)
{
    struct buf yaml = BUF(1000);
    struct form form = {.file = "t.yaml", .arena = arena, .fault = f};
    struct ynode *root;
    buf_fmt(&yaml, "items: %s\n", paths);
    assert_int_equal(yaml_parse(arena, "t.yaml", buf_span(&yaml), &root, f), E_OK);
    size_t count = envelope_read_roots(&form, root, "items", out);
    buf_free(&yaml);
    return form.failed ? 0 : count;
}

static void finds_in(const char *paths, struct span text, const char *wanted)
{
    const struct root_path *list;
    struct fault f = {0};
    struct json root;
    size_t count = read_paths(paths, &list, &f);
    if (!count || json_parse(parser, text, &root, &f))
        fail_msg("%s: %s", paths, f.words);
    buf_clear(&told);
    size_t n = envelope_roots(list, count, root, SEEN_POST, on_seen, NULL);
    if (!span_is(buf_span(&told), wanted) || n != strlen(wanted))
        fail_msg("%s: wanted %s, got %zu: %.*s", paths, wanted, n, SP(buf_span(&told)));
    arena_reset(arena);
}

static void finds(const char *paths, const char *json, const char *wanted)
{
    finds_in(paths, span_of(json), wanted);
}

static void refuses(const char *paths, const char *words)
{
    const struct root_path *list;
    struct fault f = {0};
    if (read_paths(paths, &list, &f))
        fail_msg("%s was accepted", paths);
    if (!strstr(f.words, words))
        fail_msg("%s: wanted %s, got %s", paths, words, f.words);
    arena_reset(arena);
}

static void test_paths(void **state)
{
    (void)state;
    finds("[a.b]", "{\"a\":{\"b\":{\"n\":\"1\"}}}", "1");
    finds("[\".\"]", "{\"n\":\"1\"}", "1");
    finds("[\"[*]\"]", "[{\"n\":\"1\"},7,{\"n\":\"2\"}]", "12");
    finds("[\"a[*].b\"]", "{\"a\":[{\"b\":{\"n\":\"1\"}},{},{\"b\":{\"n\":\"2\"}}]}", "12");
    finds("[x, a]", "{\"a\":{\"n\":\"1\"}}", "1"); /* the first that has any */
    finds("[\"a[*]\", b]", "{\"a\":[],\"b\":{\"n\":\"2\"}}", "2");
    finds("[a]", "{\"a\":[{\"n\":\"1\"}]}", "");
    finds("[\"a[*]\"]", "{\"a\":{\"n\":\"1\"}}", "");
}

static void test_trees(void **state)
{
    (void)state;
    const char *tree = "{\"t\":{\"n\":\"0\",\"r\":[{\"n\":\"1\",\"r\":[{\"n\":\"2\"},7,{\"n\":"
                       "\"3\",\"r\":[{\"n\":\"4\"}]}]},{\"n\":\"5\",\"r\":{\"n\":\"x\"}}]}}";
    finds("[\"t.r[*]+\"]", tree, "12345"); /* each before its own */
    finds("[\"t.r[*]\"]", tree, "15");
    const char *chain = "{\"t\":{\"n\":\"0\",\"p\":{\"n\":\"1\",\"p\":{\"n\":\"2\",\"p\":7}}}}";
    finds("[t.p+]", chain, "21"); /* the far end first */
    finds("[t.q+]", chain, "");
    refuses("[\"+\"]", "follows a member");
    refuses("[\"[*]+\"]", "follows a member");
    refuses("[\"a[*].b+\"]", "follows a member");
}

/* As deep as the reader of JSON allows, and as many as one page may have. */
static void test_bounds(void **state)
{
    (void)state;
    struct buf b = BUF(1024 * 1024), wanted = BUF(10000);
    for (int i = 0; i < 60; i++)
        buf_add_text(&b, "{\"n\":\"1\",\"p\":");
    buf_add_text(&b, "null");
    for (int i = 0; i < 60; i++)
        buf_add_text(&b, "}");
    for (int i = 0; i < 59; i++)
        buf_add_char(&wanted, '1');
    buf_add_char(&wanted, 0);
    finds_in("[p+]", buf_span(&b), wanted.p);
    buf_clear(&b);
    buf_clear(&wanted);
    buf_add_text(&b, "{\"r\":[");
    for (int i = 0; i < ENTRIES_MAX + 10; i++)
        buf_add_text(&b, i ? ",{\"n\":\"1\"}" : "{\"n\":\"1\"}");
    buf_add_text(&b, "]}");
    for (int i = 0; i < ENTRIES_MAX; i++)
        buf_add_char(&wanted, '1');
    buf_add_char(&wanted, 0);
    finds_in("[\"r[*]+\"]", buf_span(&b), wanted.p);
    finds_in("[\"r[*]\"]", buf_span(&b), wanted.p);
    buf_free(&b);
    buf_free(&wanted);
}

static void test_stopping(void **state)
{
    (void)state;
    const struct root_path *list;
    struct fault f = {0};
    struct json root;
    int64_t stop_after = 2;
    size_t count = read_paths("[\"r[*]+\"]", &list, &f);
    assert_int_equal(count, 1);
    assert_int_equal(json_parse(parser,
                                SPAN("{\"r\":[{\"n\":\"1\",\"r\":[{\"n\":\"2\"},"
                                     "{\"n\":\"3\"}]},{\"n\":\"4\"}]}"),
                                &root, &f),
                     E_OK);
    buf_clear(&told);
    envelope_roots(list, count, root, SEEN_POST, on_seen, &stop_after);
    assert_true(span_is(buf_span(&told), "12"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_stopping),
    };
    parser = json_parser_new(1024 * 1024);
    arena = arena_new(4 * 1024 * 1024);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&arena);
    json_parser_free(&parser);
    buf_free(&told);
    return failed;
}
