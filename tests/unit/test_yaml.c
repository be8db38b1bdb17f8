/* YAML trees. */
#include "base/yaml.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = arena_new(32 * 1024 * 1024);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static struct ynode *parse(const char *text)
{
    struct ynode *root = NULL;
    struct fault f = {0};
    arena_reset(arena);
    if (yaml_parse(arena, "t.yaml", span_of(text), &root, &f))
        fail_msg("refused: %s", f.words);
    return root;
}

static void refused_span(struct span text, err code, const char *words)
{
    static struct ynode untouched;
    struct ynode *root = &untouched;
    struct fault f = {0};
    arena_reset(arena);
    err e = yaml_parse(arena, "t.yaml", text, &root, &f);
    if (e != code || !strstr(f.words, words))
        fail_msg("'%.*s': got %s '%s', not '%s'", text.n < 60 ? (int)text.n : 60, text.p,
                 err_name(e), f.words, words);
    assert_ptr_equal(root, &untouched);
}

static void refused(const char *text, err code, const char *words)
{
    refused_span(span_of(text), code, words);
}

static void builds_a_tree_with_places(void **state)
{
    (void)state;
    struct ynode *root = parse("# a comment\n"
                               "name: x\n"
                               "list:\n"
                               "  - one\n"
                               "  - {k: v, 'q': \"null\"}\n"
                               "  - []\n"
                               "empty:\n"
                               "text: |\n"
                               "  two\n"
                               "  lines\n");
    assert_int_equal(root->kind, YNODE_MAP);
    assert_int_equal(root->count, 4);
    struct ynode *name = ynode_find(root, "name");
    assert_ptr_equal(name, root->first);
    assert_true(span_is(name->text, "x") && !name->quoted);
    assert_int_equal(name->key_line, 2);
    assert_int_equal(name->key_column, 1);
    assert_int_equal(name->line, 2);
    assert_int_equal(name->column, 7);
    struct ynode *list = ynode_find(root, "list");
    assert_int_equal(list->kind, YNODE_LIST);
    assert_int_equal(list->count, 3);
    assert_int_equal(list->key_line, 3);
    assert_int_equal(list->line, 4);
    assert_int_equal(list->column, 3);
    assert_true(span_is(list->first->text, "one"));
    struct ynode *map = list->first->next;
    assert_int_equal(map->kind, YNODE_MAP);
    assert_int_equal(map->line, 5);
    assert_int_equal(map->column, 5);
    assert_int_equal(map->first->key_column, 6);
    assert_true(span_is(ynode_find(map, "q")->text, "null"));
    assert_true(ynode_find(map, "q")->quoted);
    assert_null(ynode_find(map, "q")->next);
    assert_int_equal(map->next->kind, YNODE_LIST);
    assert_int_equal(map->next->count, 0);
    assert_null(map->next->next);
    assert_true(span_is(ynode_find(root, "empty")->text, ""));
    assert_false(ynode_find(root, "empty")->quoted);
    assert_true(span_is(ynode_find(root, "text")->text, "two\nlines\n"));
    assert_true(ynode_find(root, "text")->quoted);
    assert_null(ynode_find(root, "missing"));
    assert_null(ynode_find(list, "missing"));
    assert_null(ynode_find(NULL, "missing"));
}

static void tree_outlives_the_text(void **state)
{
    (void)state;
    char text[] = "key: value";
    struct ynode *root = parse(text);
    memset(text, '-', sizeof text - 1);
    assert_true(span_is(root->first->key, "key"));
    assert_true(span_is(root->first->text, "value"));
}

static void empty_text_is_an_empty_map(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n\n", "# only a comment\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct ynode *root = parse(texts[i]);
        assert_int_equal(root->kind, YNODE_MAP);
        assert_int_equal(root->count, 0);
    }
    struct ynode *root = NULL;
    assert_int_equal(yaml_parse(arena, "t.yaml", SPAN_NONE, &root, NULL), E_OK);
    assert_int_equal(root->kind, YNODE_MAP);
    assert_int_equal(parse("[]")->kind, YNODE_LIST);
    assert_int_equal(parse("word")->kind, YNODE_TEXT);
}

static void faults_name_line_and_column(void **state)
{
    (void)state;
    refused("a: 1\nb: [1, 2\n", E_BAD_SYNTAX, "t.yaml:3:1:");
    refused("a: 1\n\tb: 2\n", E_BAD_SYNTAX, "t.yaml:2:1:");
    refused("a: 'x\n", E_BAD_SYNTAX, "t.yaml:2:1:");
    refused("a: 1\nb\n", E_BAD_SYNTAX, "t.yaml:3:1:");
    refused("a: b: c\n", E_BAD_SYNTAX, "t.yaml:1:5:");
    refused("a: 1\nb: \xff\n", E_BAD_SYNTAX, "t.yaml:");
    refused("a: \x01\n", E_BAD_SYNTAX, "t.yaml:");
}

static void refuses_what_we_do_not_support(void **state)
{
    (void)state;
    refused("a: 1\nb: 2\na: 3\n", E_BAD_SYNTAX,
            "t.yaml:3:1: key 'a' was given before, in line 1");
    refused("x:\n  - {k: 1, \"k\": 2}\n", E_BAD_SYNTAX, "t.yaml:2:12: key 'k'");
    refused("a: &x 1\nb: *x\n", E_BAD_SYNTAX, "t.yaml:1:4: anchors");
    refused("a: &x {}\n", E_BAD_SYNTAX, "anchors");
    refused("a: &x []\n", E_BAD_SYNTAX, "anchors");
    refused("a: *x\n", E_BAD_SYNTAX, "t.yaml:1:4: alias");
    refused("a: !!int 1\n", E_BAD_SYNTAX, "t.yaml:1:4: tags");
    refused("a: !x {}\n", E_BAD_SYNTAX, "tags");
    refused("a: !x []\n", E_BAD_SYNTAX, "tags");
    refused("!x a: 1\n", E_BAD_SYNTAX, "tags");
    refused("? [a]\n: 1\n", E_BAD_SYNTAX, "key must be plain text");
    refused("? {a: 1}\n: 1\n", E_BAD_SYNTAX, "key must be plain text");
    refused("a: 1\n---\nb: 1\n", E_BAD_SYNTAX, "second document");
}

static void the_same_key_in_other_mappings_is_fine(void **state)
{
    (void)state;
    struct ynode *root = parse("a: {k: 1, j: {k: 2}}\nb: {k: 3}\nk: 4\n");
    assert_true(span_is(ynode_find(ynode_find(root, "b"), "k")->text, "3"));
    assert_true(span_is(ynode_find(root, "k")->text, "4"));
}

static struct buf nested(size_t depth)
{
    struct buf b = BUF(1024 * 1024);
    for (size_t i = 0; i < depth; i++)
        buf_add_char(&b, '[');
    for (size_t i = 0; i < depth; i++)
        buf_add_char(&b, ']');
    return b;
}

static void depth_is_limited(void **state)
{
    (void)state;
    struct buf most = nested(32), bomb = nested(33), huge = nested(100000);
    struct ynode *root = NULL;
    arena_reset(arena);
    assert_int_equal(yaml_parse(arena, "t.yaml", buf_span(&most), &root, NULL), E_OK);
    refused_span(buf_span(&bomb), E_TOO_BIG, "t.yaml:1:33: nested deeper");
    refused_span(buf_span(&huge), E_TOO_BIG, "nested deeper");
    buf_free(&most);
    buf_free(&bomb);
    buf_free(&huge);
}

static void node_count_is_limited(void **state)
{
    (void)state;
    struct buf b = BUF(4 * 1024 * 1024);
    for (int i = 0; i < 65535; i++)
        buf_fmt(&b, "k%d: v\n", i);
    struct ynode *root = NULL;
    arena_reset(arena);
    assert_int_equal(yaml_parse(arena, "t.yaml", buf_span(&b), &root, NULL), E_OK);
    assert_int_equal(root->count, 65535);
    buf_add_text(&b, "one_more: v\n");
    refused_span(buf_span(&b), E_TOO_BIG, "t.yaml:65536:1: file has too many nodes");
    buf_free(&b);
}

static void memory_is_limited(void **state)
{
    (void)state;
    struct arena *small = arena_new(1000);
    struct ynode *root = NULL;
    struct fault f = {0};
    err e = yaml_parse(small, "t.yaml", SPAN("a: [1, 2, 3, 4, 5, 6, 7, 8, 9]"), &root, &f);
    assert_int_equal(e, E_TOO_BIG);
    assert_null(root);
    arena_free(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builds_a_tree_with_places),
        cmocka_unit_test(tree_outlives_the_text),
        cmocka_unit_test(empty_text_is_an_empty_map),
        cmocka_unit_test(faults_name_line_and_column),
        cmocka_unit_test(refuses_what_we_do_not_support),
        cmocka_unit_test(the_same_key_in_other_mappings_is_fine),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(node_count_is_limited),
        cmocka_unit_test(memory_is_limited),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
