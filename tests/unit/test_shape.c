/* The forms of -o, and what --jq makes: JSON in, text out. */
#include "cli/shape.h"

#include "base/json.h"
#include "base/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { TEXT_MAX = 1024 * 1024 };

static const char list[] =
    "{\"object\":\"list\",\"data\":[{\"id\":\"a\",\"n\":1,\"why\":null,\"by\":{\"name\":\"x, y\"}},"
    "{\"id\":\"b\",\"why\":{\"class\":\"drift\"},\"tags\":[1,\"=2\"]}],\"page\":{\"has_more\":false}}";

static struct shape *shape_of(enum shape_form form, const char *expression, const char *columns)
{
    struct shape *s = NULL;
    struct fault f = {0};
    if (shape_new(&s, form, expression, columns, &f))
        fail_msg("%s", f.words);
    return s;
}

/* What comes of the text, in one piece. */
static void shapes(enum shape_form form, const char *expression, const char *columns,
                   const char *text, const char *expected)
{
    struct shape *s = shape_of(form, expression, columns);
    struct buf out = BUF(TEXT_MAX);
    struct fault f = {0};
    if (shape_add(s, span_of(text), &out, &f))
        fail_msg("%s", f.words);
    if (!span_is(buf_span(&out), expected))
        fail_msg("wanted:\n%s\ngot:\n%.*s", expected, SP(buf_span(&out)));
    buf_free(&out);
    shape_free(&s);
}

static void json_is_as_it_came(void **state)
{
    (void)state;
    shapes(SHAPE_JSON, NULL, NULL, "{\"a\": 1}\n", "{\"a\": 1}\n");
    shapes(SHAPE_JSON, NULL, NULL, "{\"a\":1}\n\n{\"b\":2}", "{\"a\":1}\n{\"b\":2}\n");
    shapes(SHAPE_NONE, NULL, NULL, list, "");
    shapes(SHAPE_NONE, ".data[].id", NULL, list, "");
}

static void a_list_gives_a_line_a_row(void **state)
{
    (void)state;
    shapes(SHAPE_JSONL, NULL, NULL, "{\"data\":[{\"id\":\"a\"},{\"id\":\"b\"}]}",
           "{\"id\":\"a\"}\n{\"id\":\"b\"}\n");
    shapes(SHAPE_JSONL, NULL, NULL, "{\"id\":\"a\"}", "{\"id\":\"a\"}\n");
    shapes(SHAPE_JSONL, NULL, NULL, "{\"data\":[]}", "");
}

static void columns_are_those_of_all_rows(void **state)
{
    (void)state;
    shapes(SHAPE_CSV, NULL, NULL, list,
           "id,n,by.name,why.class,tags\r\n"
           "a,1,\"x, y\",,\r\n"
           "b,,,drift,\"[1,\"\"=2\"\"]\"\r\n");
    shapes(SHAPE_PLAIN, NULL, NULL, list,
           "id\tn\tby.name\twhy.class\ttags\n"
           "a\t1\tx, y\t\t\n"
           "b\t\t\tdrift\t[1,\"=2\"]\n");
    shapes(SHAPE_PLAIN, NULL, NULL, "{\"t\":\"a\\tb\\nc\\\\d\"}", "t\na\\tb\\nc\\\\d\n");
    shapes(SHAPE_CSV, NULL, NULL, "{\"a.b\":1,\"a\":{\"b\":2}}", "a.b\r\n1\r\n");
    shapes(SHAPE_CSV, NULL, NULL, "{\"data\":[]}", "");
    shapes(SHAPE_CSV, NULL, NULL, "{\"=x\":\"=1\"}", "\"'=x\"\r\n\"'=1\"\r\n");
}

static void columns_may_be_named(void **state)
{
    (void)state;
    shapes(SHAPE_PLAIN, NULL, "why.class,id,none", list,
           "why.class\tid\tnone\n\ta\t\ndrift\tb\t\n");
    struct shape *s = NULL;
    struct fault f = {0};
    assert_int_equal(shape_new(&s, SHAPE_CSV, NULL, "id,,n", &f), E_BAD_INPUT);
    assert_null(s);
}

/* Pieces of a stream: titles once, the columns of the first piece. */
static void titles_come_once(void **state)
{
    (void)state;
    struct shape *s = shape_of(SHAPE_CSV, NULL, NULL);
    struct buf out = BUF(TEXT_MAX);
    assert_int_equal(shape_add(s, SPAN("{\"id\":1}\n{\"id\":2}\n"), &out, NULL), E_OK);
    assert_int_equal(shape_add(s, SPAN("{\"more\":1,\"id\":3}\n"), &out, NULL), E_OK);
    assert_true(span_is(buf_span(&out), "id\r\n1\r\n2\r\n3\r\n"));
    buf_free(&out);
    shape_free(&s);
}

static void yaml_is_read_by_people_and_readers(void **state)
{
    (void)state;
    shapes(SHAPE_YAML, NULL, NULL, list,
           "object: list\n"
           "data:\n"
           "  - id: a\n"
           "    \"n\": 1\n"
           "    why: null\n"
           "    by:\n"
           "      name: \"x, y\"\n"
           "  - id: b\n"
           "    why:\n"
           "      class: drift\n"
           "    tags:\n"
           "      - 1\n"
           "      - \"=2\"\n"
           "page:\n"
           "  has_more: false\n");
    shapes(SHAPE_YAML, NULL, NULL, "[[1,2],[],{}]\n\"yes\"",
           "- - 1\n  - 2\n- []\n- {}\n---\n\"yes\"\n");
}

/* Every text comes back from a reader of YAML as it was. */
static void every_text_survives_yaml(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "plain words", "yes",    "No",         "null",  "1e3",  "0x1",      "-",
        "- a",         "a: b",   "a #b",       "",      " a",   "a ",       "\"",
        "\\",          "a\nb\n", "\t",         "\x01",  "\x7f", "🛰",     "\xc2\x85x",
        "\u2028",      "\ufeff", "2026-02-06", "@nasa", "#tag", "{a: [1]}", "~",
        "=",           "!x",     "%y",         "|"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf json = BUF(TEXT_MAX), out = BUF(TEXT_MAX);
        struct json_w w = json_w(&json);
        json_open(&w);
        json_kv_cstr(&w, texts[i][0] ? texts[i] : "empty", texts[i]);
        json_close(&w);
        struct shape *s = shape_of(SHAPE_YAML, NULL, NULL);
        assert_int_equal(shape_add(s, buf_span(&json), &out, NULL), E_OK);
        struct arena *a = arena_new(TEXT_MAX);
        struct ynode *root = NULL;
        struct fault f = {0};
        if (yaml_parse(a, "x", buf_span(&out), &root, &f))
            fail_msg("%.*s: %s", SP(buf_span(&out)), f.words);
        assert_true(root->kind == YNODE_MAP && root->count == 1);
        if (!span_is(root->first->text, texts[i]))
            fail_msg("%.*s came back as '%.*s'", SP(buf_span(&out)), SP(root->first->text));
        arena_free(&a);
        shape_free(&s);
        buf_free(&json);
        buf_free(&out);
    }
}

static void an_expression_sees_the_answer_or_each_row(void **state)
{
    (void)state;
    shapes(SHAPE_JSON, ".data[].id", NULL, list, "a\nb\n");
    shapes(SHAPE_JSON, ".data | length", NULL, list, "2\n");
    shapes(SHAPE_JSON, "{n: .data[0].n}", NULL, list, "{\"n\":1}\n");
    shapes(SHAPE_JSON, "empty", NULL, list, "");
    shapes(SHAPE_JSONL, ".id", NULL, list, "a\nb\n");
    shapes(SHAPE_CSV, "{id, class: .why.class?}", NULL, list, "id,class\r\na,\r\nb,drift\r\n");
    shapes(SHAPE_PLAIN, "[.id, .n]", NULL, list, "a\t1\nb\t\n");
    shapes(SHAPE_PLAIN, ".id", NULL, list, "a\nb\n");
    shapes(SHAPE_YAML, ".data[0].by", NULL, list, "name: \"x, y\"\n");
}

static void a_wrong_expression_says_why(void **state)
{
    (void)state;
    struct shape *s = NULL;
    struct fault f = {0};
    assert_int_equal(shape_new(&s, SHAPE_JSON, ".data[", NULL, &f), E_BAD_INPUT);
    assert_true(span_find(span_of(f.words), SPAN("syntax error")) < strlen(f.words));
    assert_null(s);
    s = shape_of(SHAPE_JSON, ".data.x", NULL);
    struct buf out = BUF(TEXT_MAX);
    f = (struct fault){0};
    assert_int_equal(shape_add(s, span_of(list), &out, &f), E_BAD_INPUT);
    assert_true(span_find(span_of(f.words), SPAN("Cannot index array")) < strlen(f.words));
    f = (struct fault){0};
    assert_int_equal(shape_add(s, SPAN("no json"), &out, &f), E_BAD_SYNTAX);
    buf_free(&out);
    shape_free(&s);
}

static void too_much_is_said(void **state)
{
    (void)state;
    struct shape *s = shape_of(SHAPE_YAML, NULL, NULL);
    struct buf out = BUF(16);
    assert_int_equal(shape_add(s, span_of(list), &out, NULL), E_TOO_BIG);
    buf_free(&out);
    shape_free(&s);
}

static void names_are_the_forms(void **state)
{
    (void)state;
    enum shape_form form;
    for (size_t i = 0; shape_names()[i]; i++)
        assert_true(shape_parse(span_of(shape_names()[i]), &form) &&
                    form == (enum shape_form)i);
    assert_false(shape_parse(SPAN("xml"), &form));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_as_it_came),
        cmocka_unit_test(a_list_gives_a_line_a_row),
        cmocka_unit_test(columns_are_those_of_all_rows),
        cmocka_unit_test(columns_may_be_named),
        cmocka_unit_test(titles_come_once),
        cmocka_unit_test(yaml_is_read_by_people_and_readers),
        cmocka_unit_test(every_text_survives_yaml),
        cmocka_unit_test(an_expression_sees_the_answer_or_each_row),
        cmocka_unit_test(a_wrong_expression_says_why),
        cmocka_unit_test(too_much_is_said),
        cmocka_unit_test(names_are_the_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
