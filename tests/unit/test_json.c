/* JSON: reading and writing. */
#include "base/json.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX = 8 * 1024 * 1024 };

static struct json_parser *parser;

static int setup(void **state)
{
    (void)state;
    parser = json_parser_new(MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    json_parser_free(&parser);
    return parser ? 1 : 0;
}

static struct json parse(const char *text)
{
    struct json root = JSON_MISSING;
    struct fault f = {0};
    if (json_parse(parser, span_of(text), &root, &f))
        fail_msg("'%s' was refused: %s", text, f.words);
    return root;
}

static void refused(const char *text, err code, const char *words)
{
    struct json root = {"untouched", 9};
    struct fault f = {0};
    err e = json_parse(parser, span_of(text), &root, &f);
    if (e != code || !strstr(f.words, words))
        fail_msg("'%.80s': got %s, '%s', not '%s'", text, err_name(e), f.words, words);
    assert_int_equal(root.at, 9);
}

static void raw_is(struct json v, const char *expected)
{
    struct buf b = BUF(MAX);
    json_add_raw(&b, v);
    buf_add_char(&b, '\0');
    assert_int_equal(b.failed, E_OK);
    assert_string_equal(b.p, expected);
    buf_free(&b);
}

static void text_is(struct json v, struct span expected)
{
    struct span text;
    assert_true(json_text(v, &text));
    assert_true(span_eq(text, expected));
}

static void types_and_getters(void **state)
{
    (void)state;
    struct json o = parse("{\"n\":null,\"t\":true,\"f\":false,\"i\":-5,\"r\":2.5,\"s\":\"x\","
                          "\"a\":[1,[2],{}],\"o\":{\"k\":1}}");
    static const struct {
        const char *key;
        enum json_type type;
    } rows[] = {{"n", JSON_NULL},  {"t", JSON_BOOL},   {"f", JSON_BOOL},
                {"i", JSON_INT},   {"r", JSON_REAL},   {"s", JSON_TEXT},
                {"a", JSON_ARRAY}, {"o", JSON_OBJECT}, {"missing", JSON_NONE}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct json v = json_get(o, span_of(rows[i].key));
        enum json_type t = rows[i].type;
        assert_int_equal(json_type(v), t);
        assert_true(json_is(v, t));
        struct span s = SPAN("-");
        int64_t n = 77;
        double r = 77;
        bool b = true;
        assert_int_equal(json_text(v, &s), t == JSON_TEXT);
        assert_int_equal(json_int(v, &n), t == JSON_INT);
        assert_int_equal(json_real(v, &r), t == JSON_INT || t == JSON_REAL);
        assert_int_equal(json_bool(v, &b), t == JSON_BOOL);
        assert_true(span_is(s, t == JSON_TEXT ? "x" : "-"));
        assert_true(n == (t == JSON_INT ? -5 : 77));
        assert_true(fabs(r - (t == JSON_INT ? -5 : t == JSON_REAL ? 2.5 : 77)) < 1e-9);
        assert_int_equal(b, strcmp(rows[i].key, "f") != 0);
    }
    assert_int_equal(json_count(o), 8);
    assert_int_equal(json_count(json_get(o, SPAN("a"))), 3);
    assert_int_equal(json_count(json_get(o, SPAN("s"))), 0);
    assert_int_equal(json_type(json_at(json_get(o, SPAN("a")), 2)), JSON_OBJECT);
    assert_int_equal(json_type(json_at(json_get(o, SPAN("a")), 3)), JSON_NONE);
    assert_int_equal(json_type(json_at(o, 0)), JSON_NONE);
    raw_is(json_at(json_get(o, SPAN("a")), 1), "[2]");
}

static void missing_answers_not_there(void **state)
{
    (void)state;
    struct json none = JSON_MISSING;
    int64_t n;
    assert_int_equal(json_type(none), JSON_NONE);
    assert_false(json_int(none, &n));
    assert_null(json_get(none, SPAN("a")).doc);
    assert_null(json_at(none, 0).doc);
    assert_null(json_path(none, "a.b").doc);
    assert_null(json_find(none, SPAN("a"), JSON_INT).doc);
    assert_int_equal(json_count(none), 0);
    struct json_iter i = json_each(none);
    assert_false(json_next(&i));
    raw_is(none, "null");
}

static void paths(void **state)
{
    (void)state;
    struct json o = parse("{\"data\":{\"user\":{\"result\":{\"id\":7}},\"list\":[1]}}");
    raw_is(json_path(o, "data.user.result.id"), "7");
    raw_is(json_path(o, "data.user.result"), "{\"id\":7}");
    assert_null(json_path(o, "data.user.nobody.id").doc);
    assert_null(json_path(o, "data.list.0").doc);
    assert_null(json_path(o, "data.user.result.id.more").doc);
}

static void first_of_twin_keys_wins(void **state)
{
    (void)state;
    struct json o = parse("{\"a\":1,\"a\":2,\"\":3}");
    raw_is(json_get(o, SPAN("a")), "1");
    raw_is(json_get(o, SPAN("")), "3");
    assert_int_equal(json_count(o), 3);
}

static void each_visits_all_in_order(void **state)
{
    (void)state;
    struct json o = parse("{\"a\":[1,2],\"b\":{\"c\":[]},\"d\":1.5,\"e\":\"x\",\"f\":null}");
    struct buf b = BUF(200);
    for (struct json_iter i = json_each(o); json_next(&i);) {
        buf_add(&b, i.key);
        json_add_raw(&b, i.value);
    }
    assert_true(span_is(buf_span(&b), "a[1,2]b{\"c\":[]}d1.5e\"x\"fnull"));
    buf_clear(&b);
    for (struct json_iter i = json_each(parse("[1,[2,3],{\"k\":4},-5.5,[],true]"));
         json_next(&i);) {
        json_add_raw(&b, i.value);
        buf_add_char(&b, ' ');
    }
    assert_true(span_is(buf_span(&b), "1 [2,3] {\"k\":4} -5.5 [] true "));
    buf_free(&b);
    struct json_iter i = json_each(parse("{}"));
    assert_false(json_next(&i));
    i = json_each(parse("\"text\""));
    assert_false(json_next(&i));
}

static void find_goes_depth_first(void **state)
{
    (void)state;
    struct json o =
        parse("{\"x\":{\"k\":\"text\",\"y\":[[],{},{\"k\":1}]},\"k\":2,\"z\":[{\"k\":[9]}]}");
    raw_is(json_find(o, SPAN("k"), JSON_INT), "1");
    raw_is(json_find(o, SPAN("k"), JSON_TEXT), "\"text\"");
    raw_is(json_find(o, SPAN("k"), JSON_ARRAY), "[9]");
    assert_null(json_find(o, SPAN("k"), JSON_OBJECT).doc);
    assert_null(json_find(o, SPAN("text"), JSON_TEXT).doc); /* a value, not a key */
    /* Only below the value that was given. */
    assert_null(json_find(json_get(o, SPAN("z")), SPAN("k"), JSON_INT).doc);
    assert_null(json_find(json_path(o, "x.k"), SPAN("k"), JSON_INT).doc);
    raw_is(json_find(parse("{\"k\":{\"k\":{\"k\":5}}}"), SPAN("k"), JSON_INT), "5");
    raw_is(json_find(parse("{\"k\":{\"k\":{\"k\":5}}}"), SPAN("k"), JSON_OBJECT),
           "{\"k\":{\"k\":5}}");
}

static void numbers_keep_their_digits(void **state)
{
    (void)state;
    int64_t n = 0;
    assert_true(json_int(parse("9223372036854775807"), &n));
    assert_true(n == INT64_MAX);
    assert_true(json_int(parse("-9223372036854775808"), &n));
    assert_true(n == INT64_MIN);
    assert_true(json_int(parse("9007199254740993"), &n)); /* 2^53 + 1 */
    assert_true(n == INT64_C(9007199254740993));
    struct json big = parse("18446744073709551615");
    assert_int_equal(json_type(big), JSON_INT);
    n = 5;
    assert_false(json_int(big, &n));
    assert_int_equal(n, 5);
    raw_is(big, "18446744073709551615");
    double r = 0;
    assert_true(json_real(big, &r));
    assert_true(r > 1.8e19 && r < 1.9e19);
}

static void numbers_beyond_64_bits_become_reals(void **state)
{
    (void)state;
    double r = 0;
    struct json o =
        parse("{\"a\":123456789012345678901234567890,\"b\":-9223372036854775809,\"c\":1}");
    assert_int_equal(json_type(json_get(o, SPAN("a"))), JSON_REAL);
    assert_true(json_real(json_get(o, SPAN("a")), &r));
    assert_true(fabs(r / 123456789012345678901234567890.0 - 1) < 1e-14);
    assert_true(json_real(json_get(o, SPAN("b")), &r));
    assert_true(fabs(r / -9223372036854775809.0 - 1) < 1e-14);
    raw_is(json_get(o, SPAN("c")), "1");
    refused("[1e999]", E_BAD_SYNTAX, "number");
}

static void escapes(void **state)
{
    (void)state;
    text_is(parse("\"\\/ \\\" \\\\ \\b\\f\\n\\r\\t \\u0041\\u00e9\\u20ac\""),
            SPAN("/ \" \\ \b\f\n\r\t A\xc3\xa9\xe2\x82\xac"));
    text_is(parse("\"https:\\/\\/t.co\\/x\""), SPAN("https://t.co/x"));
    text_is(parse("\"\\ud83d\\ude00\""), SPAN("\xf0\x9f\x98\x80"));
    text_is(parse("\"a\\u0000b\""), SPAN("a\0b"));
    text_is(json_get(parse("{\"\\u006bey\":\"v\"}"), SPAN("key")), SPAN("v"));
}

static void half_surrogates_are_mended(void **state)
{
    (void)state;
#define FFFD "\xef\xbf\xbd"
    static const struct {
        const char *text;
        struct span value;
    } rows[] = {
        {"\"a\\ud83dx\"", SPAN("a" FFFD "x")},
        {"\"a\\ud83d\"", SPAN("a" FFFD)},
        {"\"\\uDE00\"", SPAN(FFFD)},
        {"\"\\ude00\\ud83d\"", SPAN(FFFD FFFD)},
        {"\"\\ud83d\\ud83d\\ude00\"", SPAN(FFFD "\xf0\x9f\x98\x80")},
        {"\"\\ud83d\\u0041\"", SPAN(FFFD "A")},
        {"\"\\ud83d\\n\"", SPAN(FFFD "\n")},
        {"\"\\ud83d\\\\ude00\"", SPAN(FFFD "\\ude00")},
        {"\"\\\\ud83d \\ud83d\"", SPAN("\\ud83d " FFFD)}, /* the first is no escape at all */
        {"\"\\ud83d\\ude00 \\udbff\"", SPAN("\xf0\x9f\x98\x80 " FFFD)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        text_is(parse(rows[i].text), rows[i].value);
    struct json o = parse("{\"\\ud800k\":[1,\"\\udfff\"],\"after\":\"ok\"}");
    text_is(json_get(o, SPAN("after")), SPAN("ok"));
    raw_is(o, "{\"" FFFD "k\":[1,\"" FFFD "\"],\"after\":\"ok\"}");
#undef FFFD
}

static void pretty_and_compact_are_the_same(void **state)
{
    (void)state;
    raw_is(parse(" \n{ \"a\" :\t[ 1 , 2.0 ,\r\n{ } , [ ] ] , \"b\" : { \"c\" : null } } \n"),
           "{\"a\":[1,2.0,{},[]],\"b\":{\"c\":null}}");
    raw_is(parse("\xef\xbb\xbf{\"mark\":1}"), "{\"mark\":1}");
    raw_is(parse("5"), "5");
    raw_is(parse(" \"x\" "), "\"x\"");
}

static void faults_name_the_offset(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "offset 0"},
        {"   ", "offset 3"},
        {"{\"a\":1", "offset 6"},
        {"{\"a\" 1}", "offset 5: a colon"},
        {"{\"a\":1,}", "offset 7: a key"},
        {"{a:1}", "offset 1: a key"},
        {"[1,]", "offset 3: a value"},
        {"[1 2]", "offset 3: a comma or ]"},
        {"{\"a\":1]", "offset 6: a comma or }"},
        {"[1] x", "offset 4: there is more"},
        {"[tru]", "offset 1: a value"},
        {"\"abc", "offset 4: text ends inside"},
        {"\"a\\x\"", "offset 3: unknown escape"},
        {"\"a\\u12g4\"", "four hexadecimal"},
        {"\"a\nb\"", "offset 2: control"},
        {"\"a\xff"
         "b\"",
         "offset 2: not UTF-8"},
        {"[01]", "offset 1: a number starts with 0"},
        {"[1.]", "offset 3: a digit"},
        {"[-]", "offset 2: a digit"},
        {"[1e]", "offset 3: a digit"},
        {"[+1]", "offset 1: a value"},
        {"[.5]", "offset 1: a value"},
        {"nul", "offset 0: a value"},
        {"{\"a\":\"\\ud83d\",}", "offset 14: a key"}, /* mending does not hide what is broken */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        refused(rows[i].text, E_BAD_SYNTAX, rows[i].words);
    raw_is(parse("[1]"), "[1]"); /* the parser works on */
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    const char whole[] =
        "{\"a\":[1,-2.5e3,true,null,\"x\\u00e9\\ud83d\\ude00\\n\"],\"b\":{\"c\":{}}}";
    for (size_t n = 0; n + 1 < sizeof whole; n++) {
        struct json root;
        struct fault f = {0};
        char *exact = malloc(n + 1); /* so that a sanitizer sees reads past the end */
        memcpy(exact, whole, n);
        assert_int_equal(json_parse(parser, (struct span){exact, n}, &root, &f), E_BAD_SYNTAX);
        assert_non_null(strstr(f.words, "offset"));
        free(exact);
    }
    parse(whole);
}

static char *nested(size_t depth, const char *open, const char *middle, char close)
{
    struct buf b = BUF(MAX);
    for (size_t i = 0; i < depth; i++)
        buf_add_text(&b, open);
    buf_add_text(&b, middle);
    for (size_t i = 0; i < depth; i++)
        buf_add_char(&b, close);
    buf_add_char(&b, '\0');
    return b.p;
}

static void depth_is_limited(void **state)
{
    (void)state;
    static const struct {
        const char *open;
        char close;
    } kinds[] = {{"[", ']'}, {"{\"k\":", '}'}};
    for (size_t k = 0; k < 2; k++) {
        char *most = nested(64, kinds[k].open, "\"x\"", kinds[k].close);
        raw_is(parse(most), most);
        if (k == 1)
            raw_is(json_find(parse(most), SPAN("k"), JSON_TEXT), "\"x\"");
        free(most);
        char *empty = nested(64, kinds[k].open, "[]", kinds[k].close);
        raw_is(parse(empty), empty);
        free(empty);
        static const size_t bombs[] = {65, 66, 1000, 100000};
        for (size_t i = 0; i < sizeof bombs / sizeof bombs[0]; i++) {
            char *bomb = nested(bombs[i], kinds[k].open, "1", kinds[k].close);
            refused(bomb, E_TOO_BIG, "deeper than 64");
            free(bomb);
        }
    }
}

static void size_is_limited(void **state)
{
    (void)state;
    struct json_parser *small = json_parser_new(10);
    struct json root;
    struct fault f = {0};
    assert_int_equal(json_parse(small, SPAN("[123456789]"), &root, &f), E_TOO_BIG);
    assert_int_equal(json_parse(small, SPAN("[12345678]"), &root, NULL), E_OK);
    json_parser_free(&small);
}

static void parser_is_reused_for_growing_texts(void **state)
{
    (void)state;
    struct buf b = BUF(MAX);
    for (int items = 1; items < 200000; items *= 3) {
        buf_clear(&b);
        struct json_w w = json_w(&b);
        json_open_array(&w);
        for (int i = 0; i < items; i++)
            json_put_int(&w, i);
        json_close_array(&w);
        struct json root;
        assert_int_equal(json_parse(parser, buf_span(&b), &root, NULL), E_OK);
        assert_int_equal(json_count(root), items);
        int64_t last = -1;
        assert_true(json_int(json_at(root, (size_t)items - 1), &last));
        assert_int_equal(last, items - 1);
    }
    buf_free(&b);
}

/* ---- writer ---- */

static void writer_places_commas(void **state)
{
    (void)state;
    struct buf b = BUF(1000);
    struct json_w w = json_w(&b);
    json_open(&w);
    json_kv_text(&w, "a", SPAN("x\"y"));
    json_kv_text(&w, "none", SPAN_NONE);
    json_kv_cstr(&w, "c", "z");
    json_kv_cstr(&w, "nothing", NULL);
    json_kv_int(&w, "i", INT64_MIN);
    json_kv_given(&w, "given", 7);
    json_kv_given(&w, "left_out", 0);
    json_kv_known(&w, "known", true, 0);
    json_kv_known(&w, "unknown", false, 9);
    json_kv_bool(&w, "t", true);
    json_kv_null(&w, "n");
    json_key(&w, "list");
    json_open_array(&w);
    json_put_int(&w, 1);
    json_open(&w);
    json_close(&w);
    json_open_array(&w);
    json_close_array(&w);
    json_put_raw(&w, SPAN("{\"raw\":[1]}"));
    json_put_real(&w, 0.1);
    json_put_real(&w, 3);
    json_put_real(&w, (double)NAN);
    json_put_real(&w, (double)-INFINITY);
    json_put_real(&w, 1e300);
    json_put_bool(&w, false);
    json_close_array(&w);
    json_key_span(&w, SPAN("k\n"));
    json_put_text(&w, SPAN(""));
    json_close(&w);
    const char expected[] =
        "{\"a\":\"x\\\"y\",\"none\":null,\"c\":\"z\",\"nothing\":null,\"i\":-"
        "9223372036854775808,"
        "\"given\":7,\"known\":0,\"unknown\":null,\"t\":true,\"n\":null,\"list\":[1,{},[],{\"raw\":[1]},0.1,3.0,null,null,1e+300,false],"
        "\"k\\n\":\"\"}";
    buf_add_char(&b, '\0');
    assert_string_equal(b.p, expected);
    raw_is(parse(expected), expected);
    buf_free(&b);
}

static void writer_mends_broken_utf8(void **state)
{
    (void)state;
    struct buf b = BUF(1000);
    json_add_string(&b, SPAN("a\xff\n\xed\xa0\x80z\x7f\x01"));
    assert_true(span_is(buf_span(&b), "\"a\xef\xbf\xbd\\n\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz"
                                      "\\u007f\\u0001\""));
    buf_free(&b);
}

static void writer_stops_at_the_limit(void **state)
{
    (void)state;
    struct buf b = BUF(20);
    struct json_w w = json_w(&b);
    struct span text;
    json_open_array(&w);
    for (int i = 0; i < 100; i++)
        json_put_int(&w, i);
    json_close_array(&w);
    assert_int_equal(buf_end(&b, &text), E_TOO_BIG);
    assert_true(b.cap <= 20);
    buf_free(&b);
}

/* ---- random trees, written, read and compared ---- */

static uint64_t dice_state;

static uint64_t dice(uint64_t sides)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 7;
    dice_state ^= dice_state << 17;
    return (dice_state >> 11) % sides;
}

/* Text made of pieces that are awkward somewhere. */
static struct span any_text(char room[128])
{
    static const char *const pieces[] = {"a",
                                         "\"",
                                         "\\",
                                         "/",
                                         "\n",
                                         "\x01",
                                         "ü",
                                         "€",
                                         "😀",
                                         "\\u0041",
                                         "\xe2\x80\xa8",
                                         "\x7f",
                                         "long plain text "};
    size_t n = 0;
    for (uint64_t count = dice(8); count > 0; count--) {
        const char *piece = pieces[dice(sizeof pieces / sizeof pieces[0])];
        memcpy(room + n, piece, strlen(piece));
        n += strlen(piece);
        if (dice(20) == 0)
            room[n++] = '\0';
    }
    return (struct span){room, n};
}

static double any_real(void)
{
    double r;
    do {
        uint64_t bits = dice(UINT32_MAX) << 32 | dice(UINT32_MAX);
        memcpy(&r, &bits, sizeof r);
    } while (!isfinite(r));
    return dice(2) ? r : (double)dice(1000) / 8;
}

static void write_tree(struct json_w *w, int depth)
{
    char room[128];
    uint64_t kind = dice(depth > 6 ? 5 : 7), count;
    switch (kind) {
    case 0:
        json_put_null(w);
        break;
    case 1:
        json_put_bool(w, dice(2));
        break;
    case 2:
        json_put_int(w, (int64_t)(dice(UINT64_MAX) << dice(40)));
        break;
    case 3:
        json_put_real(w, any_real());
        break;
    case 4:
        json_put_text(w, any_text(room));
        break;
    case 5:
        json_open_array(w);
        for (count = dice(6); count > 0; count--)
            write_tree(w, depth + 1);
        json_close_array(w);
        break;
    default:
        json_open(w);
        for (count = dice(6); count > 0; count--) {
            json_key_span(w, any_text(room));
            write_tree(w, depth + 1);
        }
        json_close(w);
    }
}

/* Rolls the same dice as write_tree did and expects to meet the same values. */
static void compare_tree(struct json v, int depth)
{
    char room[128];
    uint64_t kind = dice(depth > 6 ? 5 : 7), count;
    bool truth;
    int64_t n;
    double r;
    struct json_iter i;
    switch (kind) {
    case 0:
        assert_int_equal(json_type(v), JSON_NULL);
        break;
    case 1:
        assert_true(json_bool(v, &truth));
        assert_int_equal(truth, dice(2));
        break;
    case 2: {
        int64_t expected = (int64_t)(dice(UINT64_MAX) << dice(40));
        assert_true(json_int(v, &n));
        assert_true(n == expected);
        break;
    }
    case 3: {
        double expected = any_real();
        assert_int_equal(json_type(v), JSON_REAL);
        assert_true(json_real(v, &r));
        assert_memory_equal(&r, &expected, sizeof r);
        break;
    }
    case 4:
        text_is(v, any_text(room));
        break;
    default:
        assert_int_equal(json_type(v), kind == 5 ? JSON_ARRAY : JSON_OBJECT);
        count = dice(6);
        assert_int_equal(json_count(v), count);
        i = json_each(v);
        for (; count > 0; count--) {
            assert_true(json_next(&i));
            if (kind != 5)
                assert_true(span_eq(i.key, any_text(room)));
            compare_tree(i.value, depth + 1);
        }
        assert_false(json_next(&i));
    }
}

static void random_trees_survive(void **state)
{
    (void)state;
    struct buf b = BUF(MAX), again = BUF(MAX);
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        buf_clear(&b);
        buf_clear(&again);
        struct json_w w = json_w(&b);
        dice_state = seed * 0x9e3779b97f4a7c15;
        write_tree(&w, 0);
        struct json root;
        assert_int_equal(json_parse(parser, buf_span(&b), &root, NULL), E_OK);
        dice_state = seed * 0x9e3779b97f4a7c15;
        compare_tree(root, 0);
        json_add_raw(&again, root);
        assert_true(span_eq(buf_span(&b), buf_span(&again)));
    }
    buf_free(&b);
    buf_free(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_and_getters),
        cmocka_unit_test(missing_answers_not_there),
        cmocka_unit_test(paths),
        cmocka_unit_test(first_of_twin_keys_wins),
        cmocka_unit_test(each_visits_all_in_order),
        cmocka_unit_test(find_goes_depth_first),
        cmocka_unit_test(numbers_keep_their_digits),
        cmocka_unit_test(numbers_beyond_64_bits_become_reals),
        cmocka_unit_test(escapes),
        cmocka_unit_test(half_surrogates_are_mended),
        cmocka_unit_test(pretty_and_compact_are_the_same),
        cmocka_unit_test(faults_name_the_offset),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(size_is_limited),
        cmocka_unit_test(parser_is_reused_for_growing_texts),
        cmocka_unit_test(writer_places_commas),
        cmocka_unit_test(writer_mends_broken_utf8),
        cmocka_unit_test(writer_stops_at_the_limit),
        cmocka_unit_test(random_trees_survive),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
