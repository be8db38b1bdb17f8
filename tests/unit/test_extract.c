/* The engine: conversions, paths, expanded text, envelopes, signs and limits, on answers made
 * here. */
#include "base/json.h"
#include "extract/convert.h"
#include "extract/expand.h"
#include "extract/map.h"
#include "extract/news.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../lib/reading.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BODY_BYTES = 8 * 1024 * 1024 };
#define COLLECTED ((wall){1786093200000}) /* 2026-08-07T09:00:00Z */

static struct buf body_room;
static const struct operation timeline_op = {.name = {"UserTweets", 10}, .role = OP_TIMELINE};
static const struct operation user_op = {.name = {"UserByScreenName", 16}, .role = OP_USER};

static struct json parsed(const char *text)
{
    struct json root;
    struct fault f = {0};
    if (json_parse(parser, span_of(text), &root, &f))
        fail_msg("%s: %s", f.words, text);
    return root;
}

static struct reading answer(const struct operation *op, int status, const char *headers,
                             struct span body)
{
    struct reading r;
    struct fault f = {0};
    arena_reset(arena);
    if (reader_answer(reader, op, status, span_of(headers), body, COLLECTED, arena, &r, &f))
        fail_msg("%s", f.words);
    return r;
}

/* ---- conversions ---- */

static void converts(enum conversion as, const char *json, const char *wanted)
{
    static const struct conv_row rows[] = {{{"animated_gif", 12}, {"gif", 3}},
                                           {{"none", 4}, {NULL, 0}}};
    static const struct conv_table table = {rows, 2, false};
    struct conv_extra extra = {
        .argument = as == CONV_WITHOUT || as == CONV_TEXT_MEMBER           ? SPAN("_normal")
                    : as == CONV_SNOWFLAKE_MS || as == CONV_SNOWFLAKE_TIME ? SPAN_NONE
                                                                           : SPAN("&name=orig"),
        .table = &table,
        .take = SPAN("url"),
        .rank = SPAN("bitrate"),
        .where = SPAN("content_type"),
        .equals = SPAN("video/mp4"),
    };
    char wrapped[1024], got[1024] = "-";
    snprintf(wrapped, sizeof wrapped, "[%s]", json);
    struct value v = convert(as, &extra, json_at(parsed(wrapped), 0), arena);
    if (v.kind == VALUE_TEXT)
        span_copy(v.text, got, sizeof got);
    else if (v.kind != VALUE_NONE)
        snprintf(got, sizeof got, "%s%lld", v.kind == VALUE_BOOL ? "bool " : "",
                 (long long)v.number);
    if (strcmp(got, wanted) != 0)
        fail_msg("%s of %s: wanted %s, got %s", convert_names()[as], json, wanted, got);
}

static void test_conversions(void **state)
{
    (void)state;
    arena_reset(arena);
    converts(CONV_TEXT, "\"a\"", "a");
    converts(CONV_TEXT, "1", "-");
    converts(CONV_TEXT, "null", "-");
    converts(CONV_NOT_EMPTY, "\"\"", "-");
    converts(CONV_ID, "\"18446744073709551615\"", "18446744073709551615");
    converts(CONV_ID, "20", "20");
    converts(CONV_ID, "9007199254740993", "9007199254740993");
    converts(CONV_ID, "\"12x\"", "-");
    converts(CONV_ID, "\"\"", "-");
    converts(CONV_ID, "-5", "-");
    converts(CONV_INT, "-5", "-5");
    converts(CONV_INT, "\"2525462\"", "2525462");
    converts(CONV_INT, "1.5", "-");
    converts(CONV_INT, "\"many\"", "-");
    converts(CONV_COUNT, "0", "0");
    converts(CONV_COUNT, "-1", "-");
    converts(CONV_COUNT, "\"99999999999999999999\"", "-");
    converts(CONV_BOOL, "true", "bool 1");
    converts(CONV_BOOL, "\"false\"", "bool 0");
    converts(CONV_BOOL, "1", "-");
    converts(CONV_TIME_X, "\"Wed Jul 08 21:59:10 +0000 2026\"", "2026-07-08T21:59:10Z");
    converts(CONV_TIME_X, "\"2026-07-08T21:59:10Z\"", "-");
    converts(CONV_TIME_RFC3339, "\"2024-04-18T20:37:10+02:00\"", "2024-04-18T18:37:10Z");
    converts(CONV_TIME_MS, "\"1690213128000\"", "2023-07-24T15:38:48Z");
    converts(CONV_SNOWFLAKE_MS, "\"1780666831310877100\"", "1713379030431");
    converts(CONV_SNOWFLAKE_MS, "\"20\"", "-");
    converts(CONV_SNOWFLAKE_MS, "\"29700859247\"", "-");
    converts(CONV_UNESCAPE, "\"a &amp;&lt;b&gt; &#39;\"", "a &<b> '");
    converts(CONV_UNESCAPE, "\"plain\"", "plain");
    converts(CONV_ENUM, "\"animated_gif\"", "gif");
    converts(CONV_ENUM, "\"none\"", "-");
    converts(CONV_ENUM, "\"hologram\"", "-");
    converts(CONV_ANCHOR_TEXT,
             "\"<a href=\\\"https://x\\\" rel=\\\"nofollow\\\">A &amp; B</a>\"", "A & B");
    converts(CONV_ANCHOR_TEXT, "\"web\"", "web");
    converts(CONV_ANCHOR_TEXT, "\"\"", "-");
    converts(CONV_ANCHOR_TEXT, "\"<a href\"", "-");
    converts(CONV_FILE_STEM, "\"https://p.com/media/K-e_y.jpg?a=/b.c\"", "K-e_y");
    converts(CONV_FILE_STEM, "\"https://p.com/media/\"", "-");
    converts(CONV_URL_AS_FORMAT, "\"https://p.com/media/KEY.png\"",
             "https://p.com/media/KEY?format=png&name=orig");
    converts(CONV_URL_AS_FORMAT, "\"https://p.com/media/KEY?format=jpg\"",
             "https://p.com/media/KEY?format=jpg");
    converts(CONV_AFTER_COLON, "\"745291183405076480:broadcast\"", "broadcast");
    converts(CONV_AFTER_COLON, "\"a:b\"", "a:b");
    converts(CONV_TEXT_MEMBER,
             "\"{\\\"a\\\":[{\\\"_normal\\\":\\\"https:\\\\/\\\\/p\\\\/K\\\"}]}\"",
             "https://p/K");
    converts(CONV_TEXT_MEMBER, "\"{\\\"a\\\":\\\"\\\\\\\"_normal\\\\\\\":\\\\\\\"x\\\"}\"",
             "-");
    converts(CONV_TEXT_MEMBER, "\"{\\\"_normal\\\":\\\"a\\\\u0041\\\"}\"", "-");
    converts(CONV_TEXT_MEMBER, "\"{\\\"_normal\\\":\\\"cut\"", "-");
    converts(CONV_TEXT_MEMBER, "\"{\\\"_normal\\\":\\\"\\\"}\"", "-");
    converts(CONV_WITHOUT, "\"https://p/K_normal.jpg\"", "https://p/K.jpg");
    converts(CONV_WITHOUT, "\"https://p/K.jpg\"", "https://p/K.jpg");
    converts(CONV_BEST,
             "[{\"content_type\":\"application/x-mpegURL\",\"url\":\"m3u8\"},"
             "{\"content_type\":\"video/mp4\",\"bitrate\":256000,\"url\":\"low\"},"
             "{\"content_type\":\"video/mp4\",\"bitrate\":832000,\"url\":\"high\"}]",
             "high");
    converts(CONV_BEST, "[{\"content_type\":\"video/mp4\",\"bitrate\":0,\"url\":\"gif\"}]",
             "gif");
    converts(CONV_BEST, "[{\"content_type\":\"application/x-mpegURL\",\"url\":\"m3u8\"}]", "-");
    converts(CONV_BEST, "{}", "-");
}

/* ---- expanded text ---- */

static void expands(const char *text, bool escaped, const char *links, const char *drop,
                    const char *wanted)
{
    static const struct expand_names names = {.url = {"url", 3},
                                              .expanded = {"expanded_url", 12},
                                              .indices = {"indices", 7},
                                              .drop_url = {"url", 3}};
    char all[4096];
    struct buf out = BUF(65536);
    snprintf(all, sizeof all, "{\"l\":%s,\"d\":%s}", links, drop);
    struct json root = parsed(all), d = json_get(root, SPAN("d"));
    expand_text(&out, span_of(text), escaped, json_get(root, SPAN("l")), &d, 1, &names);
    if (!span_is(buf_span(&out), wanted))
        fail_msg("wanted '%s', got '%.*s'", wanted, SP(buf_span(&out)));
    buf_free(&out);
}

static void test_expand(void **state)
{
    (void)state;
    expands("a &amp; https://t.co/1 b", true,
            "[{\"url\":\"https://t.co/1\",\"expanded_url\":\"https://e.org/"
            "?a&amp;b\",\"indices\":[8,22]}]",
            "[]", "a & https://e.org/?a&amp;b b");
    /* code points, not bytes and not UTF-16 units */
    expands("😀é https://t.co/1 ok", true,
            "[{\"url\":\"https://t.co/1\",\"expanded_url\":\"E\",\"indices\":[3,17]}]", "[]",
            "😀é E ok");
    /* a note is not escaped */
    expands("&amp; https://t.co/1", false,
            "[{\"url\":\"https://t.co/1\",\"expanded_url\":\"E\",\"indices\":[6,20]}]", "[]",
            "&amp; E");
    /* the media link goes, and what is left is trimmed */
    expands(" look https://t.co/m", true, "[]",
            "[{\"url\":\"https://t.co/m\"},{\"url\":\"https://t.co/m\"}]", "look");
    /* indices that do not fit: by the words; no expanded form: the link itself */
    expands("x https://t.co/1 https://t.co/2", true,
            "[{\"url\":\"https://t.co/1\",\"expanded_url\":\"E\",\"indices\":[0,99]},"
            "{\"url\":\"https://t.co/2\",\"indices\":[17,31]}]",
            "[]", "x E https://t.co/2");
    /* links in any order, overlapping, negative, huge, of other types */
    expands("https://t.co/2 https://t.co/1", true,
            "[{\"url\":\"https://t.co/1\",\"expanded_url\":\"B\",\"indices\":[15,29]},"
            "{\"url\":\"https://t.co/2\",\"expanded_url\":\"A\",\"indices\":[0,14]},"
            "{\"url\":\"https://t.co/"
            "2\",\"expanded_url\":\"C\",\"indices\":[-1,9223372036854775807]},"
            "{\"url\":7},\"x\",null]",
            "[]", "A B");
    expands("", true, "[]", "[]", "");
    expands("https://t.co/m", true, "null", "[{\"url\":\"https://t.co/m\"}]", "");
}

/* ---- maps of our own ---- */

static struct span run_map(const char *yaml, const char *json, struct buf *out,
                           bool *out_failed)
{
    struct fault f = {0};
    static struct field_hits rows[64];
    struct map_counters counters = {rows, 0};
    struct html_paths paths = {0};
    struct arena *a = arena_new(4 * 1024 * 1024);
    struct form form = {.file = "t.yaml", .arena = a, .fault = &f};
    struct ynode *root;
    static struct frame frame;
    struct json_w w = json_w(out);
    if (yaml_parse(a, "t.yaml", span_of(yaml), &root, &f))
        fail_msg("%s", f.words);
    const struct map *m = map_read(&form, root, &counters, &paths);
    if (!m)
        fail_msg("%s", f.words);
    struct map_run run = {.w = &w,
                          .scratch = a,
                          .base_url = SPAN("https://h"),
                          .op = SPAN("Op"),
                          .failed = CHECK_COUNT};
    static struct news news;
    run.news = &news;
    buf_clear(out);
    assert_true(map_load(m, parsed(json), &frame));
    map_look(&run, &frame);
    map_write(&run, &frame);
    if (out_failed)
        *out_failed = run.failed != CHECK_COUNT;
    arena_free(&a);
    return buf_span(out);
}

static void maps(const char *yaml, const char *json, const char *wanted)
{
    struct buf out = BUF(65536);
    struct span got = run_map(yaml, json, &out, NULL);
    if (!span_is(got, wanted))
        fail_msg("wanted %s\n     got %.*s", wanted, SP(got));
    buf_free(&out);
}

#define MAP_HEAD "name: t\nis: {id: id, need: [id]}\n"

static void test_paths(void **state)
{
    (void)state;
    /* members, alternatives, null is missing, an empty object is not */
    maps(MAP_HEAD "fields: {id: [a.b, c]}", "{\"a\":{\"b\":null},\"c\":\"y\"}",
         "{\"id\":\"y\"}");
    maps(MAP_HEAD "fields: {id: [a.b, c]}", "{\"c\":\"y\",\"a\":{\"b\":\"x\"}}",
         "{\"id\":\"x\"}");
    maps(MAP_HEAD "fields: {id: a.b}", "{\"a\":[1]}", "{\"id\":null}");
    /* an element, any, a select in a list and in an object */
    maps(MAP_HEAD "fields: {id: \"a[1].b\"}", "{\"a\":[{\"b\":\"0\"},{\"b\":\"1\"}]}",
         "{\"id\":\"1\"}");
    maps(MAP_HEAD "fields: {id: \"a.*.b\"}", "{\"a\":{\"x\":{\"c\":1},\"y\":{\"b\":\"1\"}}}",
         "{\"id\":\"1\"}");
    maps(MAP_HEAD "fields: {id: \"a[*].b\"}", "{\"a\":[3,{\"b\":\"1\"},{\"b\":\"2\"}]}",
         "{\"id\":\"1\"}");
    maps(MAP_HEAD "fields: {id: \"a[key=t].v\", n: \"a[key=n].v\"}",
         "{\"a\":[{\"key\":\"n\",\"v\":\"N\"},{\"v\":\"T\",\"key\":\"t\"},{\"key\":\"t\",\"v\":"
         "\"U\"}]}",
         "{\"id\":\"T\",\"n\":\"N\"}");
    maps(MAP_HEAD "fields: {id: \"a[key=t].v\"}", "{\"a\":{\"t\":{\"v\":\"T\"}}}",
         "{\"id\":\"T\"}");
    /* prefixes, unwrapping, lifting */
    maps(MAP_HEAD "prefixes: {p: [a, b.c]}\nfields: {id: \"@p.d\"}",
         "{\"b\":{\"c\":{\"d\":\"1\"}}}", "{\"id\":\"1\"}");
    maps(MAP_HEAD "unwrap: tweet\nfields: {id: a}", "{\"tweet\":{\"tweet\":{\"a\":\"1\"}}}",
         "{\"id\":\"1\"}");
    maps(MAP_HEAD "lift: legacy\nfields: {id: legacy.a, n: legacy.b.c}",
         "{\"legacy\":null,\"a\":\"1\",\"b\":{\"c\":\"2\"}}", "{\"id\":\"1\",\"n\":\"2\"}");
    maps(MAP_HEAD "lift: legacy\nfields: {id: legacy.a}", "{\"legacy\":{},\"a\":\"1\"}",
         "{\"id\":null}");
}

static void test_fields(void **state)
{
    (void)state;
    maps(MAP_HEAD "fields: {id: a, k: {value: xpost/1}, t: {template: \"{base}/{id}\"}, p: "
                  "{present: a}, q: {present: z}}",
         "{\"a\":\"1\"}",
         "{\"id\":\"1\",\"k\":\"xpost/1\",\"t\":\"https://h/1\",\"p\":true,\"q\":false}");
    maps(MAP_HEAD "fields: {id: a, t: {template: \"{base}/{id}\", otherwise: \"{base}/i\"}}",
         "{}", "{\"id\":null,\"t\":\"https://h/i\"}");
    maps(MAP_HEAD "fields: {id: a, o: {when: b, members: {c: b.c}}, u: {unless: b, from: a}}",
         "{\"a\":\"1\"}", "{\"id\":\"1\",\"o\":null,\"u\":\"1\"}");
    maps(MAP_HEAD "fields: {id: a, o: {when: b, members: {c: b.c}}, u: {unless: b, from: a}}",
         "{\"a\":\"1\",\"b\":{\"c\":\"2\"}}", "{\"id\":\"1\",\"o\":{\"c\":\"2\"},\"u\":null}");
    maps(MAP_HEAD "fields: {id: a, o: {blank_when: r, members: {c: a}}}",
         "{\"a\":\"1\",\"r\":{}}", "{\"id\":\"1\",\"o\":{\"c\":null}}");
    maps(
        MAP_HEAD "fields: {id: a, l: {each: b, of: t}, m: {each: b, members: {n: {from: n, "
                 "as: count}}}, i: {each: c, as: id}}",
        "{\"a\":\"1\",\"b\":[{\"t\":\"x\",\"n\":1},{\"n\":-1,\"t\":\"z\"},{\"t\":\"y\"}],\"c\":[\"1\",2]}",
        "{\"id\":\"1\",\"l\":[\"x\",\"z\",\"y\"],\"m\":[{\"n\":1},{\"n\":null},{\"n\":null}],\"i\":["
        "\"1\",\"2\"]}");
    /* an element that cannot be read makes the list unknown, not shorter */
    maps(MAP_HEAD "fields: {id: a, l: {each: b, of: t}, i: {each: c, as: id}, z: a}",
         "{\"a\":\"1\",\"b\":[{\"t\":\"x\"},{\"n\":-1}],\"c\":[\"1\",\"x\",2]}",
         "{\"id\":\"1\",\"l\":null,\"i\":null,\"z\":\"1\"}");
    /* a gate holds even where its list is missing */
    maps(MAP_HEAD "fields: {id: a, l: {each: [{path: n.l, if: n.t}, l], of: t}}",
         "{\"a\":\"1\",\"n\":{\"t\":\"note\"},\"l\":[{\"t\":\"cut\"}]}",
         "{\"id\":\"1\",\"l\":[]}");
    maps(
        MAP_HEAD
        "fields: {id: a, b: {from: [x, {path: l.b, if: l.s, otherwise: \"false\"}], as: bool}}",
        "{\"a\":\"1\",\"l\":{\"s\":1}}", "{\"id\":\"1\",\"b\":false}");
    maps(
        MAP_HEAD
        "fields: {id: a, b: {from: [x, {path: l.b, if: l.s, otherwise: \"false\"}], as: bool}}",
        "{\"a\":\"1\"}", "{\"id\":\"1\",\"b\":null}");
    maps(MAP_HEAD
         "fields: {id: a, l: {items: [{x: \"c[key=1]\", y: d}, {x: \"c[key=2].v\", y: d}]}}",
         "{\"a\":\"1\",\"d\":\"D\",\"c\":[{\"key\":\"2\",\"v\":\"two\"}]}",
         "{\"id\":\"1\",\"l\":[{\"x\":\"two\",\"y\":\"D\"}]}");
    maps(MAP_HEAD "fields: {id: a, k: {pick: [{is: r, when: x}, {is: q, when: y, unless: z}], "
                  "otherwise: p}}",
         "{\"a\":\"1\",\"y\":1,\"z\":1}", "{\"id\":\"1\",\"k\":\"p\"}");
    maps(MAP_HEAD "fields: {id: a, k: {pick: [{is: r, when: x}, {is: q, when: y, unless: z}], "
                  "otherwise: p}}",
         "{\"a\":\"1\",\"y\":1}", "{\"id\":\"1\",\"k\":\"q\"}");
    /* one level of records within records, and content of another object */
    maps(MAP_HEAD "fields: {id: a, r: {record: r}}",
         "{\"a\":\"1\",\"r\":{\"a\":\"2\",\"r\":{\"a\":\"3\"}}}",
         "{\"id\":\"1\",\"r\":{\"id\":\"2\",\"r\":null}}");
    maps(MAP_HEAD "fields: {id: a, r: {record: r}}", "{\"a\":\"1\",\"r\":{\"b\":\"2\"}}",
         "{\"id\":\"1\",\"r\":null}");
    maps(
        MAP_HEAD
        "content: r\nfields: {id: a, t: {content: true, from: t}, l: {content: true, each: l}}",
        "{\"a\":\"1\",\"t\":\"cut\",\"l\":[\"x\"],\"r\":{\"a\":\"2\",\"t\":\"whole\"}}",
        "{\"id\":\"1\",\"t\":\"whole\",\"l\":[]}");
    maps(MAP_HEAD "content: r\nfields: {id: a, t: {content: true, from: t}}",
         "{\"a\":\"1\",\"t\":\"cut\",\"r\":{\"t\":\"a stub without id\"}}",
         "{\"id\":\"1\",\"t\":\"cut\"}");
}

/* What tells a changed name from something that is not there. */
static void test_second_signs(void **state)
{
    (void)state;
    /* an object without the member that names it: the first one inside that has it */
    maps(MAP_HEAD "unwrap: t\nunwrap_with: a\nfields: {id: a}",
         "{\"x\":{\"b\":1},\"y\":{\"t\":{\"a\":\"1\"}}}", "{\"id\":\"1\"}");
    maps(MAP_HEAD "unwrap: t\nunwrap_with: a\nfields: {id: a}",
         "{\"x\":{\"b\":1},\"y\":{\"z\":{\"a\":\"1\"}}}", "{\"id\":null}");
    maps(MAP_HEAD "unwrap: t\nunwrap_with: a\nfields: {id: a}",
         "{\"x\":{\"b\":1},\"y\":{\"a\":\"1\"}}", "{\"id\":\"1\"}");
    maps(MAP_HEAD "unwrap: t\nunwrap_with: a\nfields: {id: a}",
         "{\"a\":\"1\",\"y\":{\"a\":\"2\"}}", "{\"id\":\"1\"}");
    /* a gate that only one word opens */
    maps(
        MAP_HEAD
        "fields: {id: a, u: {from: [{path: v, if: t, is: video}, {path: p, if: t, is: photo}]}}",
        "{\"a\":\"1\",\"t\":\"photo\",\"v\":\"V\",\"p\":\"P\"}", "{\"id\":\"1\",\"u\":\"P\"}");
    maps(MAP_HEAD "fields: {id: a, u: {from: [{path: p, if: t, is: photo}]}}",
         "{\"a\":\"1\",\"t\":\"video\",\"p\":\"poster\"}", "{\"id\":\"1\",\"u\":null}");
    /* gates and paths of one prefix go together */
    maps(
        MAP_HEAD
        "prefixes: {n: [x, \"*.y\"]}\nfields: {id: a, l: {each: [{path: \"@n.l\", if: \"@n.t\"}, l]}}",
        "{\"a\":\"1\",\"z\":{\"y\":{\"t\":\"T\",\"l\":[\"in\"]}},\"l\":[\"out\"]}",
        "{\"id\":\"1\",\"l\":[\"in\"]}");
    /* two texts that differ, and the end of a text */
    maps(MAP_HEAD
         "fields: {id: a, k: {pick: [{is: r, differ: {of: c, with: a}}], otherwise: p}}",
         "{\"a\":\"2\",\"c\":\"1\"}", "{\"id\":\"2\",\"k\":\"r\"}");
    maps(MAP_HEAD
         "fields: {id: a, k: {pick: [{is: r, differ: {of: c, with: a}}], otherwise: p}}",
         "{\"a\":\"2\"}", "{\"id\":\"2\",\"k\":\"p\"}");
    maps(
        MAP_HEAD
        "fields: {id: a, k: {pick: [{is: \"true\", ends: {of: t, word: +, least: 3}}], otherwise: \"false\", "
        "table_bool: true}}",
        "{\"a\":\"1\",\"t\":\"cut+ https://t.co/1\"}", "{\"id\":\"1\",\"k\":true}");
    maps(
        MAP_HEAD
        "fields: {id: a, k: {pick: [{is: \"true\", ends: {of: t, word: +, least: 3}}], otherwise: \"false\", "
        "table_bool: true}}",
        "{\"a\":\"1\",\"t\":\"c+\"}", "{\"id\":\"1\",\"k\":false}");
    /* read from the content alone */
    maps(MAP_HEAD "content: r\nfields: {id: a, o: {of_content: true, from: a}}",
         "{\"a\":\"1\",\"r\":{\"a\":\"2\"}}", "{\"id\":\"1\",\"o\":\"2\"}");
    maps(MAP_HEAD "content: r\nfields: {id: a, o: {of_content: true, from: a}}",
         "{\"a\":\"1\"}", "{\"id\":\"1\",\"o\":null}");
    /* a list that is not there, though its sign is in the text and the object has members nobody knows */
#define TAGS                                                                                   \
    MAP_HEAD "known: [k]\nfields: {id: a, l: {each: t, of: w, sign: \"#\", sign_in: x}}"
    maps(TAGS, "{\"a\":\"1\",\"x\":\"see #tag\"}", "{\"id\":\"1\",\"l\":[]}");
    maps(TAGS, "{\"a\":\"1\",\"x\":\"see #tag\",\"k\":1}", "{\"id\":\"1\",\"l\":[]}");
    maps(TAGS, "{\"a\":\"1\",\"x\":\"see #tag\",\"tags\":[]}", "{\"id\":\"1\",\"l\":null}");
    maps(TAGS, "{\"a\":\"1\",\"x\":\"item #1\",\"tags\":[]}", "{\"id\":\"1\",\"l\":[]}");
    maps(TAGS, "{\"a\":\"1\",\"x\":\"see #tag\",\"tags\":[],\"t\":[]}",
         "{\"id\":\"1\",\"l\":[]}");
    /* of several files without a rank none is the best */
#define BEST MAP_HEAD "fields: {id: a, b: {from: v, as: best, take: u, rank: r}}"
    maps(BEST, "{\"a\":\"1\",\"v\":[{\"u\":\"x\"},{\"u\":\"y\",\"r\":2}]}",
         "{\"id\":\"1\",\"b\":\"y\"}");
    maps(BEST, "{\"a\":\"1\",\"v\":[{\"u\":\"x\"},{\"u\":\"y\"}]}",
         "{\"id\":\"1\",\"b\":null}");
    maps(BEST, "{\"a\":\"1\",\"v\":[{\"u\":\"x\"}]}", "{\"id\":\"1\",\"b\":\"x\"}");
}

static bool fails(const char *yaml, const char *json)
{
    struct buf out = BUF(65536);
    bool failed = false;
    (void)run_map(yaml, json, &out, &failed);
    buf_free(&out);
    return failed;
}

/* The copy of a text that a repost carries, and links that no list explains. */
static void test_unread_parts(void **state)
{
    (void)state;
#define REPOST                                                                                 \
    MAP_HEAD                                                                                   \
    "checks: [{check: original, of: t, against: {path: n, as: id}, argument: \"RT @\", "       \
    "unless: o, zero: [l, v]}]\nfields: {id: a}"
    assert_true(fails(REPOST, "{\"a\":\"1\",\"t\":\"RT @x: y\",\"n\":7,\"l\":0}"));
    assert_false(fails(REPOST, "{\"a\":\"1\",\"t\":\"RT @x: y\",\"n\":7,\"l\":0,\"o\":{}}"));
    assert_false(fails(
        REPOST, "{\"a\":\"1\",\"t\":\"RT @x: y\",\"n\":7,\"l\":2}")); /* written by hand */
    assert_false(fails(REPOST, "{\"a\":\"1\",\"t\":\"RT @x: y\",\"n\":7,\"v\":\"9\"}"));
    assert_false(fails(REPOST, "{\"a\":\"1\",\"t\":\"RT @x: y\",\"n\":0,\"l\":0}"));
    assert_false(fails(REPOST, "{\"a\":\"1\",\"t\":\"plain\",\"n\":7,\"l\":0}"));
#define LINKS                                                                                  \
    MAP_HEAD                                                                                   \
    "fields: {id: a, t: {expand: {texts: [{path: t, links: l}], link: {url: u, expanded: e, "  \
    "indices: i}, drop: {each: m, url: u}, every: \"https://s/\"}}}"
    assert_false(fails(LINKS, "{\"a\":\"1\",\"t\":\"no links\"}"));
    assert_false(fails(
        LINKS,
        "{\"a\":\"1\",\"t\":\"x https://s/1 https://s/2\",\"l\":[{\"u\":\"https://s/1\"}],"
        "\"m\":[{\"u\":\"https://s/2\"}]}"));
    assert_true(fails(
        LINKS,
        "{\"a\":\"1\",\"t\":\"x https://s/1 https://s/2\",\"l\":[{\"u\":\"https://s/1\"}]}"));
}

static void test_checks(void **state)
{
    (void)state;
    static const char *const yaml =
        MAP_HEAD "checks: [{snowflake: a, time_x: t}]\nfields: {id: a, m: "
                 "{each: m, checks: [{suffix: id, of: key}], members: {id: id}}}";
    struct buf out = BUF(65536);
    bool failed = true;
    run_map(yaml,
            "{\"a\":\"1780666831310877100\",\"t\":\"Wed Apr 17 18:37:10 +0000 "
            "2024\",\"m\":[{\"id\":\"7\",\"key\":\"3_7\"}]}",
            &out, &failed);
    assert_false(failed);
    run_map(yaml, "{\"a\":\"1780666831310877100\",\"t\":\"Wed Apr 17 18:37:11 +0000 2024\"}",
            &out, &failed);
    assert_true(failed);
    run_map(yaml, "{\"a\":\"20\",\"t\":\"Wed Apr 17 18:37:11 +0000 2024\"}", &out, &failed);
    assert_false(failed);
    run_map(yaml, "{\"a\":\"1780666831310877100\",\"m\":[{\"id\":\"7\",\"key\":\"3_8\"}]}",
            &out, &failed);
    assert_true(failed);
    buf_free(&out);
}

/* ---- answers of the site's shape ---- */

/* created_at 2024-04-17T18:37:10Z + n minutes, and an id of that very second. */
static void add_post(struct buf *b, int n, const char *extra)
{
    static const char *const days[] = {"Wed", "Thu"};
    int64_t s = 1713379030 + (int64_t)n * 60;
    int64_t id = (s * 1000 - 1288834974657) * 4194304 + n;
    int minute = 37 + n, day = (18 * 60 + minute) / (24 * 60);
    buf_fmt(b,
            "{\"__typename\":\"Tweet\",\"rest_id\":\"%lld\",\"core\":{\"user_results\":{"
            "\"result\":{"
            "\"rest_id\":\"11\",\"core\":{\"screen_name\":\"nasa\",\"name\":\"NASA\"}}}},",
            (long long)id);
    buf_fmt(b,
            "\"legacy\":{\"created_at\":\"%s Apr %02d %02d:%02d:10 +0000 "
            "2024\",\"full_text\":\"post %d\","
            "\"lang\":\"en\",\"favorite_count\":%d%s}}",
            days[day], 17 + day, (18 + minute / 60) % 24, minute % 60, n, n, extra);
}

static void add_entry(struct buf *b, int n, const char *extra)
{
    buf_fmt(b,
            "{\"entryId\":\"tweet-%d\",\"content\":{\"itemContent\":{\"itemType\":"
            "\"TimelineTweet\",\"tweet_results\":{\"result\":",
            n);
    add_post(b, n, extra);
    buf_add_text(b, "}}}}");
}

static void add_cursor(struct buf *b, const char *value)
{
    buf_fmt(b,
            "{\"entryId\":\"cursor-bottom-0\",\"content\":{\"cursorType\":\"Bottom\",\"value\":"
            "\"%s\"}}",
            value);
}

#define PAGE_OPEN                                                                              \
    "{\"data\":{\"user\":{\"result\":{\"timeline\":{\"timeline\":{\"instructions\":[{"         \
    "\"type\":\"TimelineAddEntries\",\"entries\":["
#define PAGE_CLOSE "]}]}}}}}}"

static struct buf *page(void)
{
    buf_clear(&body_room);
    buf_add_text(&body_room, PAGE_OPEN);
    return &body_room;
}

static struct json record(const struct reading *r, size_t i)
{
    struct json root;
    assert_true(i < r->count);
    assert_int_equal(json_parse(parser, r->records[i].json, &root, NULL), E_OK);
    return root;
}

static void has_text(struct json v, const char *path, const char *wanted)
{
    struct span s = SPAN("(no text)");
    json_text(json_path(v, path), &s);
    if (!span_is(s, wanted))
        fail_msg("%s: wanted %s, got %.*s", path, wanted, SP(s));
}

static void test_page(void **state)
{
    (void)state;
    struct buf *b = page();
    add_entry(b, 1, "");
    buf_add_char(b, ',');
    add_entry(b, 2, ",\"in_reply_to_status_id_str\":\"5\",\"in_reply_to_user_id_str\":\"6\"");
    buf_add_char(b, ',');
    add_entry(b, 1, "");
    buf_add_char(b, ',');
    add_cursor(b, "NEXT");
    buf_add_text(b, PAGE_CLOSE);
    struct reading r =
        answer(&timeline_op, 200,
               "{\"X-Rate-Limit-Remaining\":\"20\",\"x-rate-limit-reset\":\"1786093200\"}",
               buf_span(b));
    assert_int_equal(r.sign, FAILURE_NONE);
    assert_int_equal(r.count, 2);
    assert_int_equal(r.posts, 2);
    assert_int_equal(r.entries, 3);
    assert_int_equal(r.repeated, 1);
    assert_int_equal(r.remaining, 20);
    assert_int_equal(r.reset_at_s, 1786093200);
    assert_true(span_is(r.cursor, "NEXT"));
    assert_false(r.terminated);
    assert_int_equal(r.records[0].created_at.ms, 1713379090000);
    assert_true(span_is(r.records[0].author_id, "11"));
    assert_false(r.records[0].repost);
    struct json post = record(&r, 1);
    has_text(post, "schema", "xpost/1");
    has_text(post, "kind", "reply");
    char url[64];
    snprintf(url, sizeof url, "https://x.com/nasa/status/%.*s", SP(r.records[1].id));
    has_text(post, "url", url);
    has_text(post, "reply_to.post_id", "5");
    has_text(post, "reply_to.user_id", "6");
}

static void test_members(void **state)
{
    (void)state;
    struct buf *b = page();
    add_entry(b, 1, "");
    buf_add_text(b, PAGE_CLOSE);
    struct reading r = answer(&timeline_op, 200, NULL, buf_span(b));
    struct json post = record(&r, 0);
    static const char *const keys[] = {
        "schema",
        "id",
        "url",
        "kind",
        "author",
        "created_at",
        "created_at_ms",
        "text",
        "text_raw",
        "text_truncated",
        "is_long",
        "lang",
        "counts",
        "urls",
        "hashtags",
        "cashtags",
        "mentions",
        "media",
        "media_pending",
        "conversation_id",
        "reply_to",
        "quote_of",
        "quoted",
        "repost_of",
        "reposted",
        "reposted_by",
        "is_pinned",
        "source_app",
        "possibly_sensitive",
        "sensitive_flags",
        "card",
        "article",
        "edit",
        "community",
        "community_note",
        "place",
        "coordinates",
        "is_self_thread",
        "thread_id",
        "withheld",
        "limited_actions",
        "voice",
        "position",
        "provenance",
        "quality",
    };
    size_t i = 0;
    for (struct json_iter k = json_each(post); json_next(&k); i++) {
        assert_true(i < sizeof keys / sizeof keys[0]);
        if (!span_is(k.key, keys[i]))
            fail_msg("member %zu: wanted %s, got %.*s", i, keys[i], SP(k.key));
    }
    assert_int_equal(i, sizeof keys / sizeof keys[0]);
    has_text(post, "kind", "post");
    has_text(post, "author.screen_name", "nasa");
    has_text(post, "created_at", "2024-04-17T18:38:10Z");
    has_text(post, "provenance.op", "UserTweets");
    has_text(post, "provenance.collected_at", "2026-08-07T09:00:00Z");
    assert_true(json_is(json_path(post, "counts.view"), JSON_NULL)); /* unknown is never 0 */
    assert_true(json_is(json_path(post, "reply_to"), JSON_NULL));
    assert_true(json_is(json_path(post, "card"), JSON_NULL));
    assert_int_equal(json_count(json_path(post, "urls")), 0);
    int64_t n = -1;
    assert_true(json_int(json_path(post, "counts.like"), &n));
    assert_int_equal(n, 1);
    assert_true(json_int(json_path(post, "created_at_ms"), &n));
    assert_int_equal(n, 1713379090000);
}

static void test_repost(void **state)
{
    (void)state;
    struct buf extra = BUF(65536);
    buf_add_text(&extra, ",\"retweet_count\":9,\"retweeted_status_result\":{\"result\":{\"__"
                         "typename\":\"TweetWithVisibilityResults\",\"tweet\":");
    add_post(&extra, 1, ",\"entities\":{\"hashtags\":[{\"text\":\"tag\"}]}");
    buf_add_text(&extra, "}}");
    buf_add_char(&extra, 0);
    struct buf *b = page();
    add_entry(b, 3, extra.p);
    buf_add_text(b, PAGE_CLOSE);
    struct reading r = answer(&timeline_op, 200, NULL, buf_span(b));
    assert_int_equal(r.posts, 1);
    assert_true(r.records[0].repost);
    struct json post = record(&r, 0);
    has_text(post, "kind", "repost");
    has_text(post, "text", "post 1");
    has_text(post, "created_at", "2024-04-17T18:40:10Z");
    has_text(post, "reposted.text", "post 1");
    has_text(post, "reposted.created_at", "2024-04-17T18:38:10Z");
    assert_true(json_is(json_path(post, "counts.repost"), JSON_NULL));
    assert_true(json_is(json_path(post, "reposted.counts.like"), JSON_INT));
    assert_true(json_is(json_path(post, "reposted.reposted"), JSON_NULL));
    assert_int_equal(json_count(json_path(post, "hashtags")), 1);
    struct span id = SPAN_NONE, of = SPAN_NONE;
    assert_true(json_text(json_path(post, "reposted.id"), &id) &&
                json_text(json_path(post, "repost_of"), &of));
    assert_true(span_eq(id, of));
    buf_free(&extra);
}

static void test_envelope(void **state)
{
    (void)state;
    struct buf *b = &body_room;
    buf_clear(b);
    buf_add_text(b, "{\"anything\":[{\"instructions\":7},{\"instructions\":[{\"type\":"
                    "\"TimelineClearCache\"},{\"type\":\"TimelinePinEntry\",\"entry\":");
    add_entry(b, 1, "");
    buf_add_text(b,
                 "},{\"type\":\"TimelineAddToModule\",\"moduleItems\":[{\"entryId\":\"profile-"
                 "grid-0-tweet-2\",\"item\":{\"itemContent\":{\"tweet_results\":{\"result\":");
    add_post(b, 2, "");
    buf_add_text(b, "}}}},{\"item\":{\"itemContent\":{\"promotedMetadata\":{},\"tweet_"
                    "results\":{\"result\":{}}}}}]},"
                    "{\"type\":\"TimelineAddEntries\",\"entries\":["
                    "{\"entryId\":\"who-to-follow-1\",\"content\":{\"items\":[{\"item\":{"
                    "\"itemContent\":{\"user_results\":{\"result\":{\"rest_id\":\"1\",\"core\":"
                    "{\"screen_name\":\"a\"}}}}}}]}},"
                    "{\"entryId\":\"conversationthread-1\",\"content\":{\"items\":[{"
                    "\"entryId\":\"conversationthread-1-tweet-3\",\"item\":{\"itemContent\":{"
                    "\"tweet_results\":{\"result\":");
    add_post(b, 3, "");
    buf_add_text(b, "}}}}]}},{\"entryId\":\"tweet-9\",\"content\":{\"itemContent\":{\"tweet_"
                    "results\":{}}}},"
                    "{\"entryId\":\"tweet-8\",\"content\":{\"itemContent\":{\"tweet_results\":{"
                    "\"result\":{\"__typename\":\"TweetTombstone\",\"tombstone\":{\"text\":{"
                    "\"text\":\"This Post is from a suspended account. Learn more\"}}}}}}},"
                    "{\"entryId\":\"tombstone-7\",\"content\":{\"itemContent\":{"
                    "\"tombstoneInfo\":{\"richText\":{\"text\":\"You’re unable to view this "
                    "Post because this account owner limits who can view their Posts.\"}}}}}]},"
                    "{\"type\":\"TimelineReplaceEntry\",\"entry\":");
    add_cursor(b, "REPLACED");
    buf_add_text(b, "},{\"type\":\"TimelineTerminateTimeline\",\"direction\":\"Top\"}]}]}");
    struct reading r = answer(&timeline_op, 200, NULL, buf_span(b));
    assert_int_equal(r.sign, FAILURE_NONE);
    assert_int_equal(r.posts, 3);
    assert_int_equal(r.promoted, 1);
    assert_int_equal(r.unavailable, 3);
    assert_int_equal(r.users, 0);
    assert_int_equal(r.entries, 7);
    assert_false(r.terminated);
    assert_true(span_is(r.cursor, "REPLACED"));
    assert_true(r.records[0].pinned);
    assert_int_equal(r.records[0].section, SECTION_PINNED);
    assert_int_equal(r.records[2].section, SECTION_REPLY);
    has_text(record(&r, 3), "state", "unknown");
    has_text(record(&r, 4), "state", "suspended");
    has_text(record(&r, 5), "state", "protected");
    assert_int_equal(r.records[5].kind, RECORD_UNAVAILABLE);
    r = answer(&timeline_op, 200, NULL,
               SPAN("{\"instructions\":[{\"type\":\"TimelineTerminateTimeline\",\"direction\":"
                    "\"Bottom\"}]}"));
    assert_true(r.terminated);
    assert_int_equal(r.sign, FAILURE_NONE);
}

/* How often the list's own signs told what, by which of them. */
static uint64_t told_by(const char *what, size_t way)
{
    const struct field_hits *fields = NULL;
    size_t n = reader_fields(reader, &fields);
    for (size_t i = 0; i < n; i++)
        if (span_is(fields[i].map, "timeline") && span_is(fields[i].field, what))
            return fields[i].hits[way];
    fail_msg("nothing is counted as timeline.%s", what);
    return 0;
}

/* A list in which names have changed: entries are texts with one post put in at "%". */
static struct reading changed(const char *instructions)
{
    struct buf *b = &body_room;
    buf_clear(b);
    for (const char *c = instructions; *c; c++)
        if (*c == '%')
            add_post(b, 1, "");
        else
            buf_add_char(b, *c);
    reader_forget(reader);
    return answer(&timeline_op, 200, NULL, buf_span(b));
}

#define ITEM(body)      "{\"itemType\":\"TimelineTweet\"," body "}"
#define POST_ITEM       ITEM("\"tweet_results\":{\"result\":%}")
#define ENTRY(id, item) "{\"entryId\":\"" id "\",\"content\":{\"itemContent\":" item "}}"
#define ADD(entries)    "{\"type\":\"TimelineAddEntries\",\"entries\":[" entries "]}"
#define LIST(steps)                                                                            \
    "{\"data\":{\"list\":{\"tweets_timeline\":{\"timeline\":{\"instructions\":[" steps "]}}}}}"

static void test_changed_lists(void **state)
{
    (void)state;
    struct reading r = changed(LIST(ADD(ENTRY("tweet-1", POST_ITEM))));
    assert_true(r.posts == 1 && r.entries == 1 && !r.unparsed);
    assert_true(told_by("place", 0) == 1 && told_by("post", 0) == 1);
    r = changed("{\"x\":{\"instructions\":[" ADD(ENTRY("tweet-1", POST_ITEM)) "]}}");
    assert_true(r.posts == 1 && told_by("place", 1) == 1);
    r = changed(LIST(ADD(ENTRY("post-1", POST_ITEM))));
    assert_true(r.posts == 1 && told_by("post", 2) == 1);
    r = changed(LIST(ADD(
        ENTRY("tweet-1", "{\"itemType\":\"TimelinePost\",\"tweet_results\":{\"result\":%}}"))));
    assert_true(r.posts == 1 && told_by("post", 1) == 1);
    /* advertisements: by what they carry, by name; what may be one is neither a post nor dropped as one */
    r = changed(LIST(ADD(ENTRY("promoted-tweet-1-a1b2", POST_ITEM))));
    assert_true(r.posts == 0 && r.promoted == 1 && told_by("promoted", 1) == 1);
    r = changed(LIST(ADD(ENTRY("tweet-1-5d47a", POST_ITEM) "," ENTRY("tweet-2", POST_ITEM))));
    assert_true(r.posts == 1 && r.promoted == 0 && r.unparsed == 1);
    r = changed(LIST(ADD(
        ENTRY("tweet-1", ITEM("\"promotedMetadata\":null,\"tweet_results\":{\"result\":%}")))));
    assert_true(r.posts == 1 && r.promoted == 0);
#define AD ENTRY("promoted-tweet-1-a", POST_ITEM)
    r = changed(LIST(ADD(AD "," AD "," AD "," AD "," AD)));
    assert_int_equal(r.sign, FAILURE_DRIFT);
    /* pinned: by its instruction, by what it says of itself */
#define PINNED                                                                                 \
    ITEM("\"socialContext\":{\"contextType\":\"Pin\"},\"tweet_results\":{\"result\":%}")
    r = changed(
        LIST("{\"type\":\"TimelineNailEntry\",\"entry\":" ENTRY("tweet-1", PINNED) "}"));
    assert_true(r.posts == 1 && r.records[0].pinned && told_by("pinned", 1) == 1);
    r = changed(
        LIST("{\"type\":\"TimelineNailEntry\",\"entry\":" ENTRY("tweet-1", POST_ITEM) "}"));
    assert_true(r.posts == 0 && r.unparsed == 1 && r.sign == FAILURE_DRIFT);
    r = changed(LIST("{\"type\":\"TimelineGrowModule\",\"parts\":[" ENTRY(
        "tweet-1", POST_ITEM) "]}," ADD("")));
    assert_true(r.posts == 0 && r.unparsed == 1);
    r = changed(LIST(
        "{\"type\":\"TimelineShowAlert\",\"alertType\":\"NewTweets\",\"usersResults\":[{\"id\":1}]}," ADD(
            "")));
    assert_true(r.unparsed == 0 && r.sign == FAILURE_NONE);
    /* entries without a name, or with other contents */
    r = changed(
        LIST(ADD("{\"name\":\"tweet-1\",\"content\":{\"itemContent\":" POST_ITEM "}}")));
    assert_true(r.posts == 0 && r.unparsed == 1 && r.sign == FAILURE_DRIFT);
    r = changed(
        LIST(ADD("{\"entryId\":\"tweet-1\",\"body\":{\"itemContent\":" POST_ITEM "}}")));
    assert_true(r.posts == 0 && r.unparsed == 1);
    r = changed(LIST(ADD(ENTRY("tweet-1", "{\"itemType\":\"TimelineCast\",\"cast\":%}"))));
    assert_true(r.posts == 0 && r.unparsed == 1);
    r = changed(LIST(ADD(ENTRY("spotlight-1", "{\"itemType\":\"TimelineSpotlight\"}"))));
    assert_true(r.unparsed == 0 && r.sign == FAILURE_NONE);
    struct buf news = BUF(64 * 1024);
    reader_counts(reader, &news);
    assert_true(span_find(buf_span(&news), SPAN("+timeline.TimelineSpotlight 1")) < news.n);
    buf_free(&news);
    /* people in a module are no members of the list, whatever it is called */
    r = changed(LIST(ADD(
        "{\"entryId\":\"people-box-1\",\"content\":{\"items\":[{\"entryId\":\"people-box-1-user-7\",\"item\":"
        "{\"itemContent\":{\"itemType\":\"TimelineUser\",\"user_results\":{\"result\":{\"rest_id\":\"7\","
        "\"core\":{\"screen_name\":\"a\"}}}}}}]}}")));
    assert_true(r.users == 0 && r.unparsed == 0 && told_by("box", 1) == 1);
    /* cursors */
    r = changed(LIST(ADD(ENTRY(
        "tweet-1", POST_ITEM) ",{\"entryId\":\"cursor-bottom-0\",\"content\":{\"cursorType\":"
                              "\"Older\",\"value\":\"NEXT\"}}")));
    assert_true(span_is(r.cursor, "NEXT") && told_by("cursor", 1) == 1);
}

/* ---- users ---- */

static void user_is(const char *result)
{
    buf_clear(&body_room);
    buf_fmt(&body_room, "{\"data\":{\"user\":{\"result\":%s}}}", result);
    struct reading r = answer(&user_op, 200, NULL, buf_span(&body_room));
    assert_int_equal(r.sign, FAILURE_NONE);
    assert_int_equal(r.users, 1);
    assert_true(span_is(r.user_id, "11"));
    assert_true(r.user_protected);
    assert_int_equal(r.user_posts, 42);
    struct json user = record(&r, 0);
    has_text(user, "schema", "xuser/1");
    has_text(user, "id", "11");
    has_text(user, "screen_name", "nasa");
    has_text(user, "url", "https://x.com/nasa");
    has_text(user, "created_at", "2007-12-19T20:20:32Z");
    has_text(user, "description", "space");
    has_text(user, "location", "Earth");
    has_text(user, "website", "https://nasa.gov");
    has_text(user, "avatar_url", "https://p/K.jpg");
    has_text(user, "banner_url", "https://b/1");
    int64_t n = 0;
    assert_true(json_int(json_path(user, "counts.followers"), &n));
    assert_int_equal(n, 7);
    assert_true(json_int(json_path(user, "counts.following"), &n));
    assert_int_equal(n, 8);
    assert_int_equal(json_count(json_path(user, "pinned_ids")), 1);
}

static void test_user_layouts(void **state)
{
    (void)state;
    user_is("{\"rest_id\":\"11\",\"legacy\":{\"screen_name\":\"nasa\",\"name\":\"NASA\","
            "\"created_at\":\"Wed Dec 19 20:20:32 +0000 2007\","
            "\"description\":\"space\",\"location\":\"Earth\",\"entities\":{\"url\":{\"urls\":["
            "{\"expanded_url\":\"https://nasa.gov\"}]}},"
            "\"profile_image_url_https\":\"https://p/"
            "K_normal.jpg\",\"profile_banner_url\":\"https://b/1\",\"followers_count\":7,"
            "\"friends_count\":8,\"statuses_count\":42,\"protected\":true,\"pinned_tweet_ids_"
            "str\":[\"5\"]}}");
    user_is("{\"rest_id\":\"11\",\"core\":{\"screen_name\":\"nasa\",\"name\":\"NASA\","
            "\"created_at\":\"Wed Dec 19 20:20:32 +0000 2007\"},"
            "\"avatar\":{\"image_url\":\"https://p/"
            "K_normal.jpg\"},\"location\":{\"location\":\"Earth\"},\"privacy\":{\"protected\":"
            "true},"
            "\"legacy\":{\"description\":\"space\",\"entities\":{\"url\":{\"urls\":[{"
            "\"expanded_url\":\"https://nasa.gov\"}]}},"
            "\"profile_banner_url\":\"https://b/"
            "1\",\"followers_count\":7,\"friends_count\":8,\"statuses_count\":42,\"pinned_"
            "tweet_ids_str\":[\"5\"]}}");
    user_is("{\"rest_id\":\"11\",\"core\":{\"screen_name\":\"nasa\",\"name\":\"NASA\","
            "\"created_at\":\"Wed Dec 19 20:20:32 +0000 2007\"},"
            "\"avatar\":{\"image_url\":\"https://p/"
            "K_normal.jpg\"},\"banner\":{\"image_url\":\"https://b/"
            "1\"},\"location\":{\"location\":\"Earth\"},"
            "\"profile_bio\":{\"description\":\"space\",\"entities\":{\"url\":{\"urls\":[{"
            "\"expanded_url\":\"https://nasa.gov\"}]}}},"
            "\"privacy\":{\"protected\":true},\"relationship_counts\":{\"followers\":7,"
            "\"following\":8},\"tweet_counts\":{\"tweets\":42},"
            "\"pinned_items\":{\"tweet_ids_str\":[\"5\"]}}");
}

/* ---- signs ---- */

static void sign_is(const struct operation *op, int status, const char *headers,
                    const char *body, enum failure_class wanted)
{
    struct reading r = answer(op, status, headers, span_of(body));
    if (r.sign != wanted)
        fail_msg("%d %s: wanted %s, got %s (%.*s)", status, body, failure_name(wanted),
                 failure_name(r.sign), SP(r.why));
    if (wanted != FAILURE_NONE && r.why.n == 0)
        fail_msg("%d %s: no words", status, body);
}

static void test_signs(void **state)
{
    (void)state;
    static const char *const quota = "{\"x-rate-limit-remaining\":\"97\"}";
    static const char *const cloudflare = "{\"cf-ray\":\"8f-FRA\",\"server\":\"cloudflare\"}";
    static const char *const challenge = "<!DOCTYPE html><title>Just a moment...</title>";
    sign_is(&user_op, 200, NULL, "{\"data\":{}}", FAILURE_NOT_FOUND);
    sign_is(&user_op, 200, NULL, "{\"data\":{\"user\":{}}}", FAILURE_NOT_FOUND);
    sign_is(&user_op, 200, NULL, "{\"dataset\":{}}", FAILURE_DRIFT);
    sign_is(&user_op, 200, NULL, "{\"data\":{\"user\":{\"result\":{\"id\":\"x\"}}}}",
            FAILURE_DRIFT);
    sign_is(&user_op, 200, NULL,
            "{\"data\":{\"user\":{\"result\":{\"__typename\":\"UserUnavailable\",\"reason\":"
            "\"Suspended\"}}}}",
            FAILURE_SUSPENDED);
    sign_is(&user_op, 200, NULL,
            "{\"data\":{\"user\":{\"result\":{\"__typename\":\"UserUnavailable\",\"message\":"
            "\"User is suspended\"}}}}",
            FAILURE_SUSPENDED);
    sign_is(&user_op, 200, NULL,
            "{\"data\":{\"user\":{\"result\":{\"__typename\":\"UserUnavailable\"}}}}",
            FAILURE_WITHHELD);
    sign_is(&timeline_op, 200, NULL,
            "{\"data\":{\"user\":{\"result\":{\"__typename\":\"UserUnavailable\",\"reason\":"
            "\"Protected\"}}}}",
            FAILURE_PROTECTED);
    sign_is(&timeline_op, 200, NULL,
            "{\"data\":{\"user\":{\"result\":{\"timeline\":{\"timeline\":{}}}}}}",
            FAILURE_NONE);
    sign_is(&timeline_op, 200, NULL,
            "{\"data\":{\"user\":{\"result\":{\"timeline\":{\"timeline\":{\"steps\":[]}}}}}}",
            FAILURE_DRIFT);
    sign_is(&timeline_op, 200, NULL,
            "{\"data\":{\"tweetResult\":{\"result\":{\"__typename\":\"TweetUnavailable\","
            "\"reason\":\"NsfwLoggedOut\"}}}}",
            FAILURE_WITHHELD);
    sign_is(&timeline_op, 200, NULL,
            "{\"errors\":[{\"message\":\"_Missing: No status found with that "
            "ID.\",\"extensions\":{\"code\":144}}],\"data\":{}}",
            FAILURE_NOT_FOUND);
    sign_is(&timeline_op, 200, NULL,
            "{\"errors\":[{\"message\":\"Rate limit exceeded.\",\"code\":88}]}",
            FAILURE_RATE_LIMITED);
    sign_is(&timeline_op, 200, quota,
            "{\"errors\":[{\"message\":\"Rate limit exceeded.\",\"code\":88}]}",
            FAILURE_SESSION_INVALID);
    sign_is(&timeline_op, 200, NULL,
            "{\"errors\":[{\"message\":\"BadRequest: Raw query length 513 exceeds max allowed "
            "512\",\"code\":214}],\"data\":{}}",
            FAILURE_BAD_INPUT);
    sign_is(&timeline_op, 200, NULL,
            "{\"errors\":[{\"message\":\"Dependency: Internal "
            "error.\",\"code\":0}],\"data\":{\"search_by_raw_query\":{}}}",
            FAILURE_NETWORK);
    sign_is(&timeline_op, 200, NULL,
            "{\"errors\":[{\"message\":\"Timeout: Unspecified\",\"code\":29}],\"data\":{}}",
            FAILURE_TIMEOUT);
    sign_is(&timeline_op, 200, NULL,
            "{\"errors\":[{\"message\":\"DownstreamOverCapacityError\"}]}", FAILURE_NETWORK);
    sign_is(&timeline_op, 200, NULL,
            "{\"errors\":[{\"message\":\"something nobody has seen\"}]}", FAILURE_NETWORK);
    sign_is(&timeline_op, 200, NULL,
            "{\"errors\":[{\"message\":\"suspended\",\"code\":63}],\"data\":{}}",
            FAILURE_SUSPENDED);
    sign_is(&timeline_op, 200, NULL,
            "{\"errors\":[{\"message\":\"no\",\"code\":\"179\"}],\"data\":{}}",
            FAILURE_PROTECTED);
    sign_is(&timeline_op, 400, NULL,
            "{\"errors\":[{\"message\":\"The following features cannot be null: "
            "x\",\"code\":336}]}",
            FAILURE_DRIFT);
    sign_is(&timeline_op, 401, NULL,
            "{\"errors\":[{\"code\":32,\"message\":\"Could not authenticate you.\"}]}",
            FAILURE_SESSION_INVALID);
    sign_is(&timeline_op, 401, NULL, "", FAILURE_SESSION_INVALID);
    sign_is(&timeline_op, 403, NULL, "{\"errors\":[{\"code\":326,\"message\":\"locked\"}]}",
            FAILURE_SESSION_INVALID);
    sign_is(&timeline_op, 403, NULL, "", FAILURE_SESSION_INVALID);
    sign_is(&timeline_op, 403, cloudflare, challenge, FAILURE_BLOCKED);
    sign_is(&timeline_op, 503, cloudflare, challenge, FAILURE_BLOCKED);
    sign_is(&timeline_op, 200, NULL, challenge, FAILURE_BLOCKED);
    sign_is(&timeline_op, 503, NULL, "", FAILURE_NETWORK);
    sign_is(&timeline_op, 404, NULL, "", FAILURE_BLOCKED);
    sign_is(&timeline_op, 302,
            "{\"Location\":\"/i/flow/login?redirect_after_login=%2Fsearch\"}", "",
            FAILURE_LOGIN_REQUIRED);
    sign_is(&timeline_op, 429, NULL, "Rate limit exceeded\n", FAILURE_RATE_LIMITED);
    sign_is(&timeline_op, 200, NULL, "", FAILURE_DRIFT);
    sign_is(&timeline_op, 200, NULL, "{\"data\":", FAILURE_DRIFT);
    sign_is(&timeline_op, 200, NULL, "[1,2]", FAILURE_DRIFT);
    sign_is(&timeline_op, 200, "not json", "{\"instructions\":[]}", FAILURE_NONE);
    struct reading r =
        answer(&timeline_op, 429, "{\"retry-after\":\"30\"}", SPAN("Rate limit exceeded"));
    assert_int_equal(r.reset_at_s, COLLECTED.ms / 1000 + 30);
    assert_int_equal(r.remaining, -1);
}

static void test_data_and_errors(void **state)
{
    (void)state;
    struct buf *b = page();
    add_entry(b, 1, "");
    buf_add_text(b,
                 "]}]}}}}},\"errors\":[{\"message\":\"Timeout: Unspecified\",\"code\":29}]}");
    struct reading r = answer(&timeline_op, 200, NULL, buf_span(b));
    assert_int_equal(r.posts, 1);
    assert_int_equal(r.sign, FAILURE_NONE);
    assert_true(span_is(r.why, "X's own servers did not answer in time"));
    /* nothing but cursors beside an error proves nothing; the cursor is still told */
    b = page();
    add_cursor(b, "DAAbottom");
    buf_add_text(b,
                 "]}]}}}}},\"errors\":[{\"message\":\"Timeout: Unspecified\",\"code\":29}]}");
    r = answer(&timeline_op, 200, NULL, buf_span(b));
    assert_int_equal(r.sign, FAILURE_TIMEOUT);
    assert_true(span_is(r.cursor, "DAAbottom"));
}

static void drifts(const char *from, const char *to)
{
    struct buf changed = BUF(BODY_BYTES);
    struct buf *b = page();
    add_entry(b, 1, "");
    buf_add_char(b, ',');
    add_entry(b, 2, "");
    buf_add_char(b, ',');
    add_cursor(b, "C");
    buf_add_text(b, PAGE_CLOSE);
    struct span rest = buf_span(b);
    size_t replaced = 0;
    for (size_t at; (at = span_find(rest, span_of(from))) < rest.n; replaced++) {
        buf_add(&changed, span_cut(rest, 0, at));
        buf_add_text(&changed, to);
        rest = span_cut(rest, at + strlen(from), rest.n);
    }
    buf_add(&changed, rest);
    assert_true(replaced > 0);
    struct reading r = answer(&timeline_op, 200, NULL, buf_span(&changed));
    if (r.sign != FAILURE_DRIFT)
        fail_msg("%s -> %s: wanted drift, got %s with %zu posts", from, to,
                 failure_name(r.sign), r.posts);
    assert_int_equal(r.posts, 0);
    buf_free(&changed);
}

static void test_drift(void **state)
{
    (void)state;
    drifts("tweet_results", "post_results");
    drifts("rest_id", "identifier");
    drifts("full_text", "body");
    drifts("created_at", "made_at");
    drifts("\"Wed Apr", "\"Mit Apr");
    drifts("\"legacy\"", "\"modern\"");
    drifts("\"instructions\"", "\"steps\"");
    drifts("18:", "17:"); /* every time contradicts its id */
    /* one bad post among good ones is counted, not fatal */
    struct buf *b = page();
    add_entry(b, 1, "");
    buf_add_text(b, ",{\"entryId\":\"tweet-7\",\"content\":{\"itemContent\":{\"tweet_results\":"
                    "{\"result\":{\"rest_id\":\"7\"}}}}}");
    buf_add_text(b, PAGE_CLOSE);
    struct reading r = answer(&timeline_op, 200, NULL, buf_span(b));
    assert_int_equal(r.sign, FAILURE_NONE);
    assert_int_equal(r.posts, 1);
    assert_int_equal(r.unparsed, 1);
    /* a page of cursors only is no drift */
    b = page();
    add_cursor(b, "C");
    buf_add_text(b, PAGE_CLOSE);
    r = answer(&timeline_op, 200, NULL, buf_span(b));
    assert_int_equal(r.sign, FAILURE_NONE);
    assert_int_equal(r.entries, 0);
}

static void page_is(const char *url, int status, const char *state, enum failure_class wanted)
{
    struct page_sign got = reader_page_sign(pack, span_of(url), status, span_of(state));
    if (got.is != wanted)
        fail_msg("%s %d '%s': wanted %s, got %s", url, status, state ? state : "",
                 failure_name(wanted), failure_name(got.is));
    assert_int_equal(wanted == FAILURE_NONE, got.why.n == 0);
}

static void test_a_page_says_that_there_is_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        bool empty, loading;
    } rows[] = {
        {"No results for “abc”\nTry searching for something else", true, false},
        {"@nobody hasn’t posted\nWhen they do, their posts will show up here.", true, false},
        {"page is loading", false, true},
        {"Something went wrong. Try reloading.", false, false},
        {"", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct page_sign s =
            reader_page_sign(pack, SPAN("https://x.com/nasa"), 200, span_of(rows[i].words));
        assert_int_equal(s.says_empty, rows[i].empty);
        assert_int_equal(s.loading, rows[i].loading);
    }
    /* Where the page ended up counts more than what stands there. */
    assert_false(
        reader_page_sign(pack, SPAN("https://x.com/login"), 200, span_of(rows[0].words))
            .says_empty);
}

static void test_page_signs(void **state)
{
    (void)state;
    page_is("https://x.com/nasa", 200, NULL, FAILURE_NONE);
    page_is("https://x.com/i/flow/login?redirect_after_login=%2Fnasa", 200, NULL,
            FAILURE_LOGIN_REQUIRED);
    page_is("http://127.0.0.1:9/account/access", 200, NULL, FAILURE_SESSION_INVALID);
    page_is("https://x.com/search?q=/i/flow/login", 200, NULL, FAILURE_NONE);
    page_is("https://x.com/a", 200,
            "Account suspended\nX suspends accounts which violate the X Rules",
            FAILURE_SUSPENDED);
    page_is("https://x.com/a", 200, "This account doesn’t exist\nTry searching for another.",
            FAILURE_NOT_FOUND);
    page_is("https://x.com/a", 200, "These posts are protected", FAILURE_PROTECTED);
    page_is("https://x.com/a", 200, "Something went wrong. Try reloading.Retry",
            FAILURE_NETWORK);
    page_is("https://x.com/a", 200,
            "Sorry, you are rate limited. Please wait a few moments then try again.",
            FAILURE_RATE_LIMITED);
    page_is("https://x.com/a", 200, "@nasa hasn’t posted", FAILURE_NONE);
    page_is("https://x.com/a", 429, NULL, FAILURE_RATE_LIMITED);
    page_is("https://x.com/a", 500, NULL, FAILURE_NETWORK);
    page_is("", 0, "", FAILURE_NONE);
}

/* ---- limits ---- */

static void test_limits(void **state)
{
    (void)state;
    struct reading r;
    struct fault f = {0};
    /* a body over the limit */
    struct reader *small = reader_new(pack, 100);
    struct buf *b = page();
    add_entry(b, 1, "");
    buf_add_text(b, PAGE_CLOSE);
    assert_int_equal(reader_answer(small, &timeline_op, 200, SPAN_NONE, buf_span(b), COLLECTED,
                                   arena, &r, &f),
                     E_TOO_BIG);
    reader_free(&small);
    assert_null(small);
    /* an arena that is too small */
    struct arena *tiny = arena_new(2048);
    f = (struct fault){0};
    assert_int_equal(reader_answer(reader, &timeline_op, 200, SPAN_NONE, buf_span(b), COLLECTED,
                                   tiny, &r, &f),
                     E_NO_MEMORY);
    arena_free(&tiny);
    /* a list in a post is cut, the post stays */
    struct buf extra = BUF(BODY_BYTES);
    buf_add_text(&extra, ",\"entities\":{\"hashtags\":[{\"text\":\"t\"}");
    for (int i = 0; i < 2000; i++)
        buf_add_text(&extra, ",{\"text\":\"t\"}");
    buf_add_text(&extra, "]}");
    buf_add_char(&extra, 0);
    b = page();
    buf_add_text(b, "{\"entryId\":\"tweet-1\",\"content\":{\"itemContent\":{\"tweet_results\":{"
                    "\"result\":");
    add_post(b, 1, extra.p);
    buf_add_text(b, "}}}}" PAGE_CLOSE);
    r = answer(&timeline_op, 200, NULL, buf_span(b));
    assert_int_equal(r.posts, 1);
    assert_int_equal(json_count(json_path(record(&r, 0), "hashtags")), MAP_LIST_MAX);
    buf_free(&extra);
    /* many entries: looked at up to the limit */
    b = page();
    for (int i = 0; i < 6000; i++)
        buf_add_text(
            b,
            "{\"entryId\":\"tweet-1\",\"content\":{\"itemContent\":{\"tweet_results\":{}}}},");
    add_cursor(b, "LATE");
    buf_add_text(b, PAGE_CLOSE);
    r = answer(&timeline_op, 200, NULL, buf_span(b));
    assert_int_equal(r.unavailable, 5000);
    assert_int_equal(r.cursor.n, 0);
    /* deep nesting is refused by the parser and becomes a sign */
    buf_clear(b);
    for (int i = 0; i < 3000; i++)
        buf_add_char(b, '[');
    r = answer(&timeline_op, 200, NULL, buf_span(b));
    assert_int_equal(r.sign, FAILURE_DRIFT);
}

static void test_counters(void **state)
{
    (void)state;
    const struct field_hits *fields = NULL;
    struct buf *b = page();
    add_entry(b, 1, "");
    buf_add_text(b, PAGE_CLOSE);
    reader_forget(reader);
    struct reading r = answer(&timeline_op, 200, NULL, buf_span(b));
    assert_int_equal(r.posts, 1);
    size_t n = reader_fields(reader, &fields), seen = 0;
    for (size_t i = 0; i < n; i++) {
        if (!span_is(fields[i].map, "post"))
            continue;
        if (span_is(fields[i].field, "text_raw")) { /* no note: the second path */
            assert_int_equal(fields[i].hits[0], 0);
            assert_int_equal(fields[i].hits[3], 1);
            assert_int_equal(fields[i].missing, 0);
            assert_int_equal(fields[i].paths, 4);
            seen++;
        }
        if (span_is(fields[i].field, "counts.view")) {
            assert_int_equal(fields[i].missing, 1);
            seen++;
        }
    }
    assert_int_equal(seen, 2);
    assert_true(r.fallbacks > 0);
    reader_forget(reader);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(fields[i].hits[0] + fields[i].hits[1] + fields[i].missing, 0);
}

static int set_up(void **state)
{
    (void)state;
    open_reading("x", BODY_BYTES);
    body_room = BUF(BODY_BYTES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close_reading();
    buf_free(&body_room);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversions),
        cmocka_unit_test(test_expand),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_second_signs),
        cmocka_unit_test(test_unread_parts),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_repost),
        cmocka_unit_test(test_envelope),
        cmocka_unit_test(test_user_layouts),
        cmocka_unit_test(test_changed_lists),
        cmocka_unit_test(test_signs),
        cmocka_unit_test(test_data_and_errors),
        cmocka_unit_test(test_drift),
        cmocka_unit_test(test_page_signs),
        cmocka_unit_test(test_a_page_says_that_there_is_nothing),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_counters),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
