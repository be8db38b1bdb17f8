/* Documents: formats, markup and its limits, maps of XPaths, and every other source of the X pack on
 * pages made here. */
#include "base/json.h"
#include "extract/format.h"
#include "extract/map.h"
#include "extract/site.h"

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

static struct json parsed(struct span text)
{
    struct json root;
    struct fault f = {0};
    if (json_parse(parser, text, &root, &f))
        fail_msg("%s: %.*s", f.words, SP(text));
    return root;
}

/* ---- formats ---- */

static void time_is(const char *format, const char *text, const char *wanted)
{
    wall t = {0};
    char got[WHEN_TEXT] = "-";
    if (format_time(span_of(format), span_of(text), &t))
        when_text(t, got);
    if (strcmp(got, wanted) != 0)
        fail_msg("'%s' by '%s': wanted %s, got %s", text, format, wanted, got);
}

static void test_times(void **state)
{
    (void)state;
    time_is("%b %d, %Y · %I:%M %p %z", "Feb 20, 2026 · 10:33 AM UTC", "2026-02-20T10:33:00Z");
    time_is("%b %d, %Y · %I:%M %p %z", "Feb 20, 2026 · 12:05 AM UTC", "2026-02-20T00:05:00Z");
    time_is("%b %d, %Y · %I:%M %p %z", "Feb 20, 2026 · 12:05 PM UTC", "2026-02-20T12:05:00Z");
    time_is("%b %d, %Y · %I:%M %p %z", "Feb 20, 2026 · 13:05 PM UTC", "-");
    time_is("%b %d, %Y · %I:%M %p %z", "Feb 20, 2026 · 10:33 AM UTC x", "-");
    time_is("%b %d, %Y · %I:%M %p %z", "Feb 30, 2026 · 10:33 AM UTC", "-");
    time_is("%d/%m/%Y, %H:%M:%S", "27/4/2019, 05:45:08", "2019-04-27T05:45:08Z");
    time_is("%d/%m/%Y, %H:%M:%S", "29/2/2020, 05:45:08", "2020-02-29T05:45:08Z");
    time_is("%d/%m/%Y, %H:%M:%S", "29/2/2019, 05:45:08", "-");
    time_is("%d/%m/%Y, %H:%M:%S", "27/13/2019, 05:45:08", "-");
    time_is("%I:%M %p - %d %b %Y", "4:35 AM - 14 Dec 2013", "2013-12-14T04:35:00Z");
    time_is("%a, %d %b %Y %H:%M:%S %z", "Fri, 06 Feb 2026 21:09:45 GMT",
            "2026-02-06T21:09:45Z");
    time_is("%a, %d %b %Y %H:%M:%S %z", "Fri, 06 Feb 2026 21:09:45 +0130",
            "2026-02-06T19:39:45Z");
    time_is("%a, %d %b %Y %H:%M:%S %z", "Fri, 06 Feb 2026 21:09:45 -01:30",
            "2026-02-06T22:39:45Z");
    time_is("%a, %d %b %Y %H:%M:%S %z", "Fri, 06 Feb 2026 21:09:45 EST",
            "2026-02-07T02:09:45Z");
    time_is("%a, %d %b %Y %H:%M:%S %z", "Fri, 06 Feb 2026 21:09:45 XST", "-");
    time_is("%B %d, %Y", "June 8, 2026", "2026-06-08T00:00:00Z");
    time_is("%B %d, %Y", "Juni 8, 2026", "-");
    time_is("%B %d, %Y", "June 8, 1926", "-");
    time_is("%B %d, %Y", "", "-");
    time_is("%", "%", "-");
    time_is("%q", "q", "-");
}

static void converts(enum conversion as, const char *text, const char *wanted)
{
    static const struct span reply[] = {{"reply", 5}, {"replies", 7}};
    static const struct span among[] = {{"reply", 5},   {"replies", 7}, {"like", 4},
                                        {"likes", 5},   {"view", 4},    {"views", 5},
                                        {"reposts", 7}, {"liked", 5}};
    static const struct span strip[] = {{"/pic/orig/", 10}, {"/pic/", 5}, {"/video/*/", 9}};
    static const struct span strip64[] = {{"/pic/enc/", 9}, {"/video/enc/*/", 13}};
    static const struct span hosts[] = {{"video.twimg.com/", 16}};
    struct conv_extra x = {
        .argument = as == CONV_UNPROXY ? SPAN("https://pbs.twimg.com/") : SPAN("/status/"),
        .words = reply,
        .word_count = 2,
        .among = among,
        .among_count = 8,
        .absent = 0,
        .strip = strip,
        .strip_count = 3,
        .strip64 = strip64,
        .strip64_count = 2,
        .hosts = hosts,
        .host_count = 1,
        .without_query = as == CONV_UNPROXY && strstr(text, "name") != NULL,
    };
    char got[1024] = "-";
    struct value v = convert_text(as, &x, span_of(text), arena);
    if (v.kind == VALUE_TEXT)
        span_copy(v.text, got, sizeof got);
    else if (v.kind == VALUE_REAL)
        snprintf(got, sizeof got, "%g", v.real);
    else if (v.kind != VALUE_NONE)
        snprintf(got, sizeof got, "%lld", (long long)v.number);
    if (strcmp(got, wanted) != 0)
        fail_msg("%s of '%s': wanted %s, got %s", convert_names()[as], text, wanted, got);
}

static void test_numbers(void **state)
{
    (void)state;
    arena_reset(arena);
    converts(CONV_COUNT_TEXT, " 1,209,063 votes • Final results", "1209063");
    converts(CONV_COUNT_TEXT, "354", "354");
    converts(CONV_COUNT_TEXT, "0", "0");
    converts(CONV_COUNT_TEXT, "", "-");
    converts(CONV_COUNT_TEXT, "votes", "-");
    converts(CONV_COUNT_TEXT, "8.7K", "-");
    converts(CONV_COUNT_TEXT, "1.5", "-");
    converts(CONV_COUNT_TEXT, "1,20", "-");
    converts(CONV_COUNT_TEXT, "1,2000", "-");
    converts(CONV_COUNT_TEXT, "-5", "-");
    converts(CONV_COUNT_TEXT, "99999999999999999999", "-");
    converts(CONV_COUNT_SHORT, "8.7K", "8700");
    converts(CONV_COUNT_SHORT, "1.2M Followers", "1200000");
    converts(CONV_COUNT_SHORT, "3B", "3000000000");
    converts(CONV_COUNT_SHORT, "762 Following", "762");
    converts(CONV_COUNT_SHORT, "4,319 posts", "4319");
    converts(CONV_COUNT_SHORT, "9999999999999999K", "-");
    converts(CONV_COUNT_LABEL, "3 replies, 25 reposts, 217 likes, 52901 views", "3");
    converts(CONV_COUNT_LABEL, "1 reply, 2 likes, Liked", "1");
    converts(CONV_COUNT_LABEL, "25 reposts, 217 likes", "0"); /* a zero has no part */
    converts(CONV_COUNT_LABEL, "", "0");
    converts(CONV_COUNT_LABEL, "1,234 replies, 5 likes", "1234");
    converts(CONV_COUNT_LABEL, "3 Antworten, 217 Gefällt-mir", "-"); /* not 0 */
    converts(CONV_COUNT_LABEL, "x", "-");
    converts(CONV_PERCENT, "69.8%", "69.8");
    converts(CONV_PERCENT, "0%", "0");
    converts(CONV_PERCENT, "100%", "100");
    converts(CONV_PERCENT, "101%", "-");
    converts(CONV_PERCENT, "%", "-");
    converts(CONV_PERCENT, ".5%", "-");
    converts(CONV_PERCENT, "12", "-");
    converts(CONV_DIGITS_AFTER, "/nasa/status/1780666831310877100#m", "1780666831310877100");
    converts(CONV_DIGITS_AFTER, "/nasa", "-");
    converts(CONV_DIGITS_AFTER, "/nasa/status/x", "-");
    converts(CONV_SNOWFLAKE_TIME, "/nasa/status/1780666831310877100#m", "2024-04-17T18:37:10Z");
    converts(CONV_SNOWFLAKE_TIME, "/nasa/status/20", "-");
    converts(CONV_SNOWFLAKE_MS, "/nasa/status/1780666831310877100", "1713379030431");
}

static void test_urls(void **state)
{
    (void)state;
    arena_reset(arena);
    converts(CONV_UNPROXY, "/pic/orig/media%2FKEY.jpg", "https://pbs.twimg.com/media/KEY.jpg");
    converts(CONV_UNPROXY, "/pic/media%2FKEY.jpg%3Fname%3Dorig",
             "https://pbs.twimg.com/media/KEY.jpg");
    converts(CONV_UNPROXY,
             "/pic/enc/bWVkaWEvS0VZLmpwZw==", "https://pbs.twimg.com/media/KEY.jpg");
    converts(CONV_UNPROXY, "/pic/enc/bWVkaWEvS0VZLmpwZw",
             "https://pbs.twimg.com/media/KEY.jpg");
    converts(CONV_UNPROXY, "/pic/enc/!!", "-");
    converts(CONV_UNPROXY, "/pic/enc/", "-");
    converts(CONV_UNPROXY, "/pic/enc/_____w==", "-"); /* no text */
    converts(CONV_UNPROXY, "/pic/video.twimg.com%2Ftweet_video%2FA.mp4",
             "https://video.twimg.com/tweet_video/A.mp4");
    converts(CONV_UNPROXY, "/video/A1B2/https%3A%2F%2Fvideo.twimg.com%2Fv%2Fa.mp4%3Ftag%3D14",
             "https://video.twimg.com/v/a.mp4?tag=14");
    converts(CONV_UNPROXY, "/video/enc/A1B2/aHR0cHM6Ly92LmMvYS5tcDQ", "https://v.c/a.mp4");
    converts(CONV_UNPROXY, "/pic/%4", "-");
    converts(CONV_UNPROXY, "https://e.org/a", "https://e.org/a");
    converts(CONV_UNPROXY, "/other", "-");
    converts(CONV_UNPROXY, "", "-");
    converts(CONV_FORMAT_AS_ENDING, "https://p/media/KEY?format=png&name=small",
             "https://p/media/KEY.png");
    converts(CONV_FORMAT_AS_ENDING, "https://p/media/KEY.jpg", "https://p/media/KEY.jpg");
    converts(CONV_FORMAT_AS_ENDING, "https://p/media/KEY.jpg?name=x",
             "https://p/media/KEY.jpg");
    converts(CONV_FORMAT_AS_ENDING, "blob:https://x.com/1", "-");
    converts(CONV_HTML_TEXT, "<p>a &amp; b<br>c</p><p>d</p>", "a & b\nc\n\nd");
    converts(CONV_HTML_TEXT, "", "-");
    converts(CONV_TRIM, "  a b ", "a b");
    converts(CONV_TRIM, "   ", "-");
}

/* ---- documents ---- */

static struct html_doc *opened(enum html_kind kind, struct span text)
{
    struct html_doc *doc = NULL;
    struct fault f = {0};
    if (html_open(&doc, kind, text, &f))
        fail_msg("%s", f.words);
    return doc;
}

static const struct html_path *path_of(struct html_paths *set, const char *text)
{
    const struct html_path *path = NULL;
    char why[160];
    if (!html_path_read(arena, set, span_of(text), &path, why, sizeof why))
        fail_msg("%s: %s", text, why);
    return path;
}

static void finds(const char *html, const char *path, const char *wanted)
{
    struct html_paths set = {0};
    struct html_doc *doc = opened(HTML_PAGE, span_of(html));
    const struct html_found *f = html_find(doc, path_of(&set, path), html_root(doc), arena);
    char got[512] = "-";
    if (f && f->text.p)
        span_copy(f->text, got, sizeof got);
    else if (f)
        span_copy(html_text(doc, f->nodes[0], arena), got, sizeof got);
    if (strcmp(got, wanted) != 0)
        fail_msg("%s of %s: wanted '%s', got '%s'", path, html, wanted, got);
    html_close(&doc);
    assert_null(doc);
    html_paths_free(&set);
}

static void test_finding(void **state)
{
    (void)state;
    arena_reset(arena);
    finds("<p class='a b'>x</p>", "//p[has-class('b')]", "x");
    finds("<p class='ab'>x</p>", "//p[has-class('b')]", "-");
    finds("<p class='a\tb'>x</p>", "//p[has-class('b')]/@class", "a\tb");
    finds("<p>x</p>", "//p[has-class('')]", "-");
    finds("<p id=''>x</p>", "//p/@id", ""); /* there, and empty */
    finds("<p id=''>x</p>", "string(//p/@id)", "-");
    finds("<p>x</p>", "count(//p)", "1");
    finds("<p>x</p>", "number('x')", "-");
    finds("<p>x</p>", "1 = 1", "true");
    finds("<p>x</p>", "1 = 2", "-");
    finds("<p> a <img alt='😀'> <b>b</b><br>c<script>var x</script></p>", "//p", "a 😀 b\nc");
    finds("<div>a<p>b</p><p>c</p></div>", "//div", "a\n\nb\n\nc");
    finds("<script>{\"a\":1}</script>", "//script", "{\"a\":1}");
    finds("<p>caf\xE9 \xFF</p>", "//p", "caf\xEF\xBF\xBD \xEF\xBF\xBD"); /* no UTF-8 */
    finds("<meta charset='shift_jis'><p>é</p>", "//p", "é");             /* not believed */
}

static void bad_path(const char *path, const char *words)
{
    struct html_paths set = {0};
    const struct html_path *out = NULL;
    char why[160] = "";
    assert_false(html_path_read(arena, &set, span_of(path), &out, why, sizeof why));
    assert_null(set.first);
    if (!strstr(why, words))
        fail_msg("%s: wanted '%s', got '%s'", path, words, why);
}

static void test_bad_paths(void **state)
{
    (void)state;
    arena_reset(arena);
    bad_path("//p[", "expression expected at character 5");
    bad_path("//p[@a=']", "text without its closing quote at character");
    bad_path("nix:p", "prefix of a namespace");
    bad_path("", "0 characters");
    bad_path("no-such('x')", "unknown function");
    bad_path("$x", "variables");
    bad_path("has-class()", "number of arguments");
    char long_path[HTML_PATH_MAX + 2];
    memset(long_path, 'a', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = 0;
    bad_path(long_path, "characters; 1 to");
}

static err opens_as(enum html_kind kind, struct span text)
{
    struct html_doc *doc = NULL;
    err e = html_open(&doc, kind, text, NULL);
    html_close(&doc);
    return e;
}

static struct span many(struct buf *b, const char *start, const char *each, int n,
                        const char *end)
{
    buf_clear(b);
    buf_add_text(b, start);
    for (int i = 0; i < n; i++)
        buf_add_text(b, each);
    buf_add_text(b, end);
    return buf_span(b);
}

static void test_document_limits(void **state)
{
    (void)state;
    struct buf b = BUF((size_t)HTML_BYTES_MAX + 1024);
    assert_int_equal(opens_as(HTML_PAGE, SPAN("")), E_BAD_SYNTAX);
    assert_int_equal(opens_as(HTML_PAGE, SPAN("just words")), E_OK);
    assert_int_equal(opens_as(HTML_XML, SPAN("<a><b></a>")), E_BAD_SYNTAX);
    assert_int_equal(opens_as(HTML_XML, SPAN("{}")), E_BAD_SYNTAX);
    /* depth, elements, attributes, bytes */
    assert_int_equal(opens_as(HTML_PAGE, many(&b, "", "<div>", 240, "")), E_OK);
    assert_int_equal(opens_as(HTML_PAGE, many(&b, "", "<div>", 100000, "")), E_TOO_BIG);
    assert_int_equal(opens_as(HTML_XML, many(&b, "", "<a>", 100000, "")), E_TOO_BIG);
    assert_int_equal(opens_as(HTML_PAGE, many(&b, "", "<i></i>", 250000, "")), E_TOO_BIG);
    assert_int_equal(opens_as(HTML_PAGE, many(&b, "", "<!---->", 250000, "")), E_TOO_BIG);
    assert_int_equal(opens_as(HTML_PAGE, many(&b, "<p>", "words ", 1400000, "</p>")),
                     E_TOO_BIG);
    /* one tag with a great many different attributes does not take for ever */
    buf_clear(&b);
    buf_add_text(&b, "<p");
    for (int i = 0; i < 400000; i++)
        buf_fmt(&b, " a%x", i);
    buf_add_text(&b, ">x</p>");
    err e = opens_as(HTML_PAGE, buf_span(&b));
    assert_true(e == E_OK || e == E_BAD_SYNTAX || e == E_TOO_BIG);
    /* entities of the document's own, and of elsewhere */
    assert_int_equal(opens_as(HTML_XML, SPAN("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>")),
                     E_BAD_SYNTAX);
    assert_int_equal(
        opens_as(HTML_XML,
                 SPAN("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>")),
        E_BAD_SYNTAX);
    buf_free(&b);
}

static void test_work_limit(void **state)
{
    (void)state;
    struct html_paths set = {0};
    struct buf b = BUF(BODY_BYTES);
    arena_reset(arena);
    struct html_doc *doc = opened(HTML_PAGE, many(&b, "", "<i></i>", 20000, ""));
    const struct html_path *path =
        path_of(&set, "//i[count(preceding::i) = count(following::i)]");
    assert_null(html_find(doc, path, html_root(doc), arena));
    assert_true(html_exhausted(doc));
    html_close(&doc);
    /* more nodes than are taken: cut, and said */
    doc = opened(HTML_PAGE, buf_span(&b));
    const struct html_found *f = html_find(doc, path_of(&set, "//i"), html_root(doc), arena);
    assert_int_equal(f->count, HTML_FOUND_MAX);
    assert_true(html_exhausted(doc));
    html_close(&doc);
    html_paths_free(&set);
    buf_free(&b);
}

static void test_changes(void **state)
{
    (void)state;
    struct html_paths set = {0};
    arena_reset(arena);
    struct html_doc *doc = opened(HTML_PAGE, SPAN("<div>a<b>x<i>y</i></b></div>"));
    const struct html_found *b = html_find(doc, path_of(&set, "//b"), html_root(doc), arena);
    const struct html_path *inner = path_of(&set, ".//i");
    html_cut(doc, b->nodes[0]);
    html_cut(doc, b->nodes[0]); /* a second time: nothing */
    html_cut(doc, html_root(doc));
    assert_null(html_find(doc, inner, html_root(doc), arena));
    assert_non_null(html_find(doc, inner, b->nodes[0], arena));
    html_close(&doc);
    doc =
        opened(HTML_XML, SPAN("<rss><d><![CDATA[<p>a <a href='u'>l</a></p>]]></d><d/></rss>"));
    const struct html_found *d = html_find(doc, path_of(&set, "//d"), html_root(doc), arena);
    html_unpack(doc, d->nodes[0]);
    html_unpack(doc, d->nodes[1]);
    const struct html_found *u =
        html_find(doc, path_of(&set, "//d/p/a/@href"), html_root(doc), arena);
    assert_non_null(u);
    assert_true(span_is(html_text(doc, u->nodes[0], arena), "u"));
    html_close(&doc);
    /* One inside the other: what was found in there stays readable. */
    doc = opened(HTML_XML, SPAN("<rss><d>a<d>&lt;p>b&lt;/p></d></d></rss>"));
    d = html_find(doc, path_of(&set, "//d"), html_root(doc), arena);
    assert_int_equal(d->count, 2);
    html_unpack(doc, d->nodes[0]);
    html_unpack(doc, d->nodes[1]);
    assert_true(span_is(html_text(doc, d->nodes[1], arena), "b"));
    assert_true(span_is(html_text(doc, d->nodes[0], arena), "a\n\nb"));
    html_close(&doc);
    html_paths_free(&set);
}

/* ---- maps ---- */

static void maps(const char *yaml, const char *html, const char *wanted)
{
    struct fault f = {0};
    static struct field_hits rows[64];
    struct map_counters counters = {rows, 0};
    struct html_paths paths = {0};
    struct arena *a = arena_new(16 * 1024 * 1024);
    struct form form = {.file = "t.yaml", .arena = a, .fault = &f};
    struct ynode *root;
    static struct frame frame;
    struct buf out = BUF(65536);
    struct json_w w = json_w(&out);
    if (yaml_parse(a, "t.yaml", span_of(yaml), &root, &f))
        fail_msg("%s", f.words);
    const struct map *m = map_read(&form, root, &counters, &paths);
    if (!m)
        fail_msg("%s", f.words);
    struct html_doc *doc = opened(HTML_PAGE, span_of(html));
    const struct html_found *found =
        html_find(doc, path_of(&paths, "//article"), html_root(doc), a);
    struct map_run run = {.w = &w, .scratch = a, .doc = doc, .base_url = SPAN("https://h")};
    assert_true(map_load_node(&run, m, found->nodes[0], &frame));
    map_write(&run, &frame);
    if (!span_is(buf_span(&out), wanted))
        fail_msg("wanted %s\n     got %.*s", wanted, SP(buf_span(&out)));
    html_close(&doc);
    html_paths_free(&paths);
    buf_free(&out);
    arena_free(&a);
}

#define MAP_HEAD "name: t\nlocator: html\nis: {id: id, need: [id]}\n"

static void test_maps(void **state)
{
    (void)state;
    arena_reset(arena);
    maps(MAP_HEAD
         "fields: {id: [\"b/@x\", \"b/@y\"], n: {from: i, as: count_text}, k: {value: null}}",
         "<article><b y='1'></b><i>1,234</i></article>",
         "{\"id\":\"1\",\"n\":1234,\"k\":null}");
    maps(MAP_HEAD "prefixes: {p: \".//i\"}\nfields: {id: \"@x\", t: \"{p}[2]\", h: {present: "
                  "\"{p}\"}}",
         "<article x=1><i>a</i><i>b</i></article>", "{\"id\":\"1\",\"t\":\"b\",\"h\":true}");
    maps(
        MAP_HEAD
        "fields: {id: \"@x\", l: {each: i, as: without, argument: \"#\"}, m: {each: i, "
        "members: {c: \"@c\", t: \".\"}}}",
        "<article x=1><i c=2>#a</i><i>b</i></article>",
        "{\"id\":\"1\",\"l\":[\"a\",\"b\"],\"m\":[{\"c\":\"2\",\"t\":\"#a\"},{\"c\":null,\"t\":"
        "\"b\"}]}");
    /* text with replacements; the first rule that holds */
    maps(MAP_HEAD "fields: {id: \"@x\", t: {read: p, otherwise: \"\", instead: [{of: "
                  "\"self::a[starts-with(., '@')]\", put: \".\"}, {of: \"self::a\", put: "
                  "\"@href\"}]}}",
         "<article x=1><p>see <a href='/u'>@u</a> at <a href='https://e.org/long'>e.org/…</a>"
         "</p></article>",
         "{\"id\":\"1\",\"t\":\"see @u at https://e.org/long\"}");
    maps(MAP_HEAD "fields: {id: \"@x\", t: {read: p, otherwise: \"\"}}",
         "<article x=1></article>", "{\"id\":\"1\",\"t\":\"\"}");
    /* a record inside: its inside is its own, but for paths that start with it */
    maps(
        MAP_HEAD
        "fields: {id: \"@x\", t: \".//p\", q: {record: div}, of: \"div/@x\", k: {pick: "
        "[{is: quote, when: div}], otherwise: post}}",
        "<article x=1><div x=2><p>in</p><div x=3></div></div></article>",
        "{\"id\":\"1\",\"t\":null,\"q\":{\"id\":\"2\",\"t\":\"in\",\"q\":null,\"of\":\"3\",\"k\":"
        "\"quote\"},\"of\":\"2\",\"k\":\"quote\"}");
    maps(MAP_HEAD
         "fields: {id: \"@x\", q: {record: div, missing: {when: i, members: {s: {value: "
         "gone}}}}}",
         "<article x=1><i></i></article>", "{\"id\":\"1\",\"q\":{\"s\":\"gone\"}}");
    maps(MAP_HEAD
         "fields: {id: \"@x\", q: {record: div, missing: {when: i, members: {s: {value: "
         "gone}}}}}",
         "<article x=1></article>", "{\"id\":\"1\",\"q\":null}");
}

static void bad_map(const char *yaml, const char *words)
{
    struct fault f = {0};
    static struct field_hits rows[64];
    struct map_counters counters = {rows, 0};
    struct html_paths paths = {0};
    struct arena *a = arena_new(16 * 1024 * 1024);
    struct form form = {.file = "t.yaml", .arena = a, .fault = &f};
    struct ynode *root;
    if (yaml_parse(a, "t.yaml", span_of(yaml), &root, &f))
        fail_msg("%s", f.words);
    assert_null(map_read(&form, root, &counters, &paths));
    if (strncmp(f.words, words, strlen(words)) != 0)
        fail_msg("wanted: %s\n     got: %s", words, f.words);
    html_paths_free(&paths);
    arena_free(&a);
}

static void test_bad_maps(void **state)
{
    (void)state;
    bad_map(MAP_HEAD "fields:\n  id: \"//p[\"", "t.yaml:5:7: XPath '//p[': ");
    bad_map(MAP_HEAD "fields:\n  id: \"{nix}/p\"",
            "t.yaml:5:7: there is no prefix 'nix' in this file");
    bad_map(MAP_HEAD "fields:\n  id: {from: a, as: count_label}",
            "t.yaml:5:7: 'words' is missing here");
    bad_map(MAP_HEAD "fields:\n  id: {from: a, as: time_format}",
            "t.yaml:5:7: 'argument' is missing here");
    bad_map(MAP_HEAD "lift: a\nfields: {id: a}", "t.yaml:4:7: 'lift' is for maps of JSON");
    bad_map("name: t\nlocator: htlm\nis: {id: id, need: [id]}\nfields: {id: a}",
            "t.yaml:2:10: unknown locator 'htlm'; did you mean 'html'?");
    bad_map("name: t\nis: {id: id, need: [id]}\nfields: {id: a, t: {read: b}}",
            "t.yaml:3:20: 'read' is for maps with 'locator: html'");
    bad_map(MAP_HEAD "fields: {id: a, t: {read: b, instead: [{of: \"(\", put: \".\"}]}}",
            "t.yaml:4:45: XPath '(': ");
}

/* ---- sources of the X pack ---- */

static struct reading document(const char *source, int status, const char *body)
{
    struct reading r;
    struct fault f = {0};
    arena_reset(arena);
    if (reader_document(reader, span_of(source), status, SPAN_NONE, span_of(body), COLLECTED,
                        arena, &r, &f))
        fail_msg("%s", f.words);
    return r;
}

static struct json record(const struct reading *r, size_t i)
{
    assert_true(i < r->count);
    return parsed(r->records[i].json);
}

static void value_is(struct json v, const char *path, const char *wanted)
{
    struct buf b = BUF(65536);
    struct json at = json_path(v, path);
    if (at.doc)
        json_add_raw(&b, at);
    else
        buf_add_text(&b, "-");
    if (!span_is(buf_span(&b), wanted))
        fail_msg("%s: wanted %s, got %.*s", path, wanted, SP(buf_span(&b)));
    buf_free(&b);
}

/* 2024-04-17T18:37:10Z */
#define ID1 "1780666831310877100"
/* 2024-04-17T13:48:23Z */
#define ID2 "1780594156789755947"

#define NITTER(inside)                                                                         \
    "<!DOCTYPE html><html><body><div class='container'><div class='timeline-container'><div "  \
    "class='timeline'>" inside "</div></div></div></body></html>"
#define NITTER_DATE(user, id, title)                                                           \
    "<span class='tweet-date'><a href='/" user "/status/" id "#m' title='" title               \
    "'>17 Apr</a></span>"
#define NITTER_STAT(icon, n)                                                                   \
    "<span class='tweet-stat'><div class='icon-container'><span class='" icon "'></span>" n    \
    "</div></span>"

static void test_nitter(void **state)
{
    (void)state;
    struct reading r = document(
        "nitter_timeline", 200,
        NITTER(
            "<div class='timeline-item show-more'><a href='?'>Load newest</a></div>"
            "<div class='timeline-item ' data-username='ann'><div class='tweet-body'>"
            "<div class='pinned'>Pinned</div>"
            "<a class='fullname' title='Ann 😀'>Ann</a><a class='username'>@ann</a>" NITTER_DATE(
                "ann", ID1,
                "Apr 17, 2024 · 6:37 PM UTC") "<div class='tweet-content media-body'>a &amp; b <a href='/search?q=%23x'>#x</a> "
                                              "<a href='https://e.org/whole'>e.org/wh…</a> <a href='/bob' title='Bob'>@bob</a></div>"
                                              "<div class='attachments'><div class='attachment'><video class='gif' "
                                              "poster='/pic/enc/dHdlZXRfdmlkZW9fdGh1bWIvSy5qcGc='>"
                                              "<source src='/pic/video.twimg.com%2Ftweet_video%2FK.mp4'></video></div></div>"
                                              "<div class='quote quote-big'><a class='quote-link' href='/cat/status/" ID2
                                              "#m'></a>"
                                              "<a class='fullname' title='Cat'>Cat</a><a class='username'>@cat</a>" NITTER_DATE(
                                                  "cat", ID2,
                                                  "17/4/2024, 13:48:23") "<div class='quote-text'>inner</div></div>"
                                                                         "<div class='tweet-stats'>" NITTER_STAT(
                                                                             "icon-comment",
                                                                             " 1,234")
                                                                             NITTER_STAT(
                                                                                 "icon-retweet",
                                                                                 "")
                                                                                 NITTER_STAT(
                                                                                     "icon-heart",
                                                                                     " 9.9K")
                                                                                     NITTER_STAT(
                                                                                         "icon-views",
                                                                                         " ") "</div></div></div>"
                                                                                              "<div class='unavailable timeline-item'><a class='unavailable-box' "
                                                                                              "href='/i/status/7#m'>This Post was deleted by the Post author.</a></div>"
                                                                                              "<div class='show-more'><a href='?cursor=A%3D%3D#r'>Load more</a></div>"));
    assert_int_equal(r.sign, FAILURE_NONE);
    assert_int_equal(r.posts, 1);
    assert_int_equal(r.unavailable, 1);
    assert_true(span_is(r.cursor, "A=="));
    assert_true(r.records[0].pinned);
    struct json p = record(&r, 0);
    value_is(p, "id", "\"" ID1 "\"");
    value_is(p, "kind", "\"quote\"");
    value_is(p, "author", "{\"id\":null,\"screen_name\":\"ann\",\"name\":\"Ann 😀\"}");
    value_is(p, "created_at", "\"2024-04-17T18:37:10Z\"");
    value_is(p, "text", "\"a & b #x https://e.org/whole @bob\"");
    value_is(p, "counts",
             "{\"reply\":1234,\"repost\":0,\"like\":null,\"quote\":null,\"bookmark\":null,"
             "\"view\":null}");
    value_is(p, "hashtags", "[\"x\"]");
    value_is(p, "mentions", "[{\"screen_name\":\"bob\",\"name\":\"Bob\"}]");
    value_is(
        p, "media",
        "[{\"key\":\"K\",\"type\":\"gif\",\"url\":\"https://video.twimg.com/tweet_video/K.mp4\","
        "\"thumb_url\":\"https://pbs.twimg.com/tweet_video_thumb/K.jpg\",\"alt\":null}]");
    value_is(p, "quote_of", "\"" ID2 "\"");
    value_is(p, "quoted.text", "\"inner\"");
    value_is(p, "quoted.author.screen_name", "\"cat\"");
    value_is(p, "provenance.source", "\"nitter_html\"");
    p = record(&r, 1);
    value_is(p, "id", "\"7\"");
    value_is(p, "state", "\"deleted\"");
}

static void test_nitter_reposts(void **state)
{
    (void)state;
    /* a post and its author's own repost of it are two; a wrong time is kept out */
    struct reading r = document(
        "nitter_timeline", 200,
        NITTER("<div class='timeline-item'><a class='username'>@ann</a>" NITTER_DATE(
            "ann", ID1,
            "Apr 17, 2024 · 6:37 PM UTC") "</div>"
                                          "<div class='timeline-item'><div class='retweet-header'><span> Ann A retweeted"
                                          "</span></div><a class='username'>@ann</a>" NITTER_DATE(
                                              "ann", ID1,
                                              "Apr 17, 2024 · 6:37 PM UTC") "<div class='quote unavailable'><div>This tweet is unavailable</div></div></div>"
                                                                            "<div class='timeline-item'><a class='username'>@ann</a>" NITTER_DATE(
                                                                                "ann", ID2,
                                                                                "Apr 18, 2024 · 6:37 PM UTC") "</div>"));
    assert_int_equal(r.posts, 2);
    assert_int_equal(r.rejected, 1);
    assert_false(r.records[0].repost);
    assert_true(r.records[1].repost);
    value_is(record(&r, 1), "reposted_by", "{\"name\":\"Ann A\"}");
    value_is(record(&r, 1), "quoted.reason_text", "\"This tweet is unavailable\"");
}

static void test_nitter_account(void **state)
{
    (void)state;
    struct reading r = document(
        "nitter_profile", 200,
        NITTER("<div class='profile-banner'><a "
               "href='/pic/https%3A%2F%2Fpbs.twimg.com%2Fprofile_banners%2F42%2F1'></a></div>"
               "<div class='profile-card'><a class='profile-card-avatar' "
               "href='/pic/profile_images%2F1%2FK.jpg'></a><a class='profile-card-fullname' "
               "title='Ann'>Ann</a><a class='profile-card-username'>@ann</a><div "
               "class='profile-bio'><p>hi <a href='https://e.org/x'>e.org…</a></p></div><div "
               "class='profile-joindate'><a title='4:35 AM - 14 Dec 2013'></a></div><ul "
               "class='profile-statlist'><li class='posts'><span "
               "class='profile-stat-num'>4,054</span></li></ul></div>"
               "<h2 class='timeline-none'>No items found</h2>"));
    assert_int_equal(r.users, 1);
    assert_true(span_is(r.user_id, "42"));
    assert_int_equal(r.user_posts, 4054);
    assert_true(r.says_empty);
    assert_int_equal(r.sign, FAILURE_NONE);
    value_is(record(&r, 0), "description", "\"hi https://e.org/x\"");
    value_is(record(&r, 0), "created_at", "\"2013-12-14T04:35:00Z\"");
    value_is(record(&r, 0), "avatar_url", "\"https://pbs.twimg.com/profile_images/1/K.jpg\"");
    value_is(record(&r, 0), "counts.followers", "null");
    /* without a banner the handle is the name */
    r = document("nitter_profile", 200,
                 NITTER("<div class='profile-card'><a "
                        "class='profile-card-username'>@ann</a></div>"));
    assert_true(span_is(r.records[0].id, "@ann"));
    assert_int_equal(r.sign, FAILURE_NONE);
}

#define FEED(items)                                                                            \
    "<?xml version='1.0' encoding='UTF-8'?><rss xmlns:dc='http://purl.org/dc/elements/1.1/'>"  \
    "<channel><title>t</title>" items "</channel></rss>"

static void test_feed(void **state)
{
    (void)state;
    struct reading r = document(
        "nitter_feed", 200,
        FEED("<item><title>RT by @zoe: x</title><dc:creator>@ann</dc:creator><description>"
             "<![CDATA[<p>a &amp; b<br>\n<a href=\"https://n.example/bob\">@bob</a> "
             "<a href=\"https://e.org/whole\">e.org/w…</a></p><img "
             "src=\"https://n.example/pic/media%2FK.jpg\" /><blockquote>other</blockquote>]]>"
             "</description><pubDate>Wed, 17 Apr 2024 18:37:10 GMT</pubDate>"
             "<guid>" ID1 "</guid><link>https://n.example/ann/status/" ID1 "#m</link></item>"
             "<item><title>R to @bob: y</title><dc:creator>@ann</dc:creator><description>y"
             "</description><pubDate>Wed, 17 Apr 2024 13:48:23 GMT</pubDate>"
             "<guid>https://n.example/ann/status/" ID2 "#m</guid>"
             "<link>https://n.example/ann/status/" ID2 "#m</link></item>"));
    assert_int_equal(r.posts, 2);
    struct json p = record(&r, 0);
    value_is(p, "kind", "\"repost\"");
    value_is(p, "text", "\"a & b\\n\\n@bob https://e.org/whole\"");
    value_is(p, "reposted_by.screen_name", "\"zoe\"");
    value_is(p, "author.screen_name", "\"ann\"");
    value_is(
        p, "media",
        "[{\"key\":\"K\",\"type\":\"photo\",\"url\":\"https://pbs.twimg.com/media/K.jpg\",\"thumb_url\":"
        "null}]");
    value_is(p, "created_at", "\"2024-04-17T18:37:10Z\"");
    p = record(&r, 1);
    value_is(p, "id", "\"" ID2 "\"");
    value_is(p, "reply_to.screen_name", "\"bob\"");
    r = document("nitter_feed", 200, FEED(""));
    assert_int_equal(r.sign, FAILURE_EMPTY_SUSPECT);
    r = document("nitter_feed", 200, "<rss><channel><item></channel></rss>");
    assert_int_equal(r.sign, FAILURE_DRIFT);
}

static void test_syndication(void **state)
{
    (void)state;
    struct reading r = document(
        "tweet_result", 200,
        "{\"__typename\":\"Tweet\",\"id_str\":\"" ID1 "\",\"created_at\":\"2024-04-17T18:37:10."
        "000Z\",\"text\":\"a &amp; https://t.co/1 https://t.co/m\",\"lang\":\"en\","
        "\"favorite_count\":3,\"conversation_count\":4,\"note_tweet\":{\"id\":\"n\"},\"user\":{"
        "\"id_str\":\"9\",\"name\":\"Ann\",\"screen_name\":\"ann\"},\"entities\":{\"urls\":[{"
        "\"url\":\"https://t.co/1\",\"expanded_url\":\"https://e.org\",\"indices\":[8,22]}]},"
        "\"mediaDetails\":[{\"type\":\"photo\",\"url\":\"https://t.co/m\",\"media_url_https\":"
        "\"https://p/media/K.jpg\"}],\"quoted_tweet\":{\"id_str\":\"" ID2
        "\",\"created_at\":\"2024-04-17T13:48:23.000Z\",\"text\":\"q\",\"reply_count\":1,\"user\":{"
        "\"id_str\":\"8\",\"screen_name\":\"cat\"}}}");
    assert_int_equal(r.posts, 1);
    struct json p = record(&r, 0);
    value_is(p, "text", "\"a & https://e.org\"");
    value_is(p, "text_truncated", "true");
    value_is(
        p, "counts",
        "{\"reply\":4,\"repost\":null,\"like\":3,\"quote\":null,\"bookmark\":null,\"view\":"
        "null}");
    value_is(p, "quoted.counts.reply", "1");
    value_is(p, "quoted.author.screen_name", "\"cat\"");
    value_is(p, "position.section", "\"main\"");
    /* an id that is of another second */
    r = document("tweet_result", 200,
                 "{\"__typename\":\"Tweet\",\"id_str\":\"" ID1
                 "\",\"created_at\":\"2024-04-17T18:37:11Z\",\"text\":\"a\"}");
    assert_int_equal(r.rejected, 1);
    assert_int_equal(r.sign, FAILURE_DRIFT);
}

static void test_timeline_profile(void **state)
{
    (void)state;
    struct reading r = document(
        "timeline_profile", 200,
        "<html><body><div>x</div><script id='__NEXT_DATA__' type='application/json'>{\"props\":{"
        "\"pageProps\":{\"timeline\":{\"entries\":[{\"content\":{\"tweet\":{\"id_str\":\"" ID1
        "\",\"created_at\":\"Wed Apr 17 18:37:10 +0000 2024\",\"full_text\":\"RT @cat: cut…\","
        "\"user\":{\"id_str\":\"9\",\"screen_name\":\"ann\"},\"favorite_count\":0,"
        "\"retweeted_status\":{\"id_str\":\"" ID2
        "\",\"created_at\":\"Wed Apr 17 13:48:23 +0000 2024\",\"full_text\":\"whole &lt;3\","
        "\"favorite_count\":5,\"user\":{\"id_str\":\"8\",\"screen_name\":\"cat\"}}}}}]}}}}"
        "</script></body></html>");
    assert_int_equal(r.posts, 1);
    assert_true(r.records[0].repost);
    struct json p = record(&r, 0);
    value_is(p, "text", "\"whole <3\"");
    value_is(p, "counts.like", "null");
    value_is(p, "reposted.counts.like", "5");
    value_is(p, "repost_of", "\"" ID2 "\"");
    value_is(p, "position.section", "\"timeline\"");
    r = document(
        "timeline_profile", 200,
        "<script id='__NEXT_DATA__'>{\"props\":{\"pageProps\":{\"timeline\":{\"entries\":"
        "[]}}}}</script>");
    assert_int_equal(r.sign, FAILURE_EMPTY_SUSPECT);
    r = document("timeline_profile", 200, "<p>no script</p>");
    assert_int_equal(r.sign, FAILURE_DRIFT);
}

static void test_oembed(void **state)
{
    (void)state;
    struct reading r = document(
        "oembed", 200,
        "{\"url\":\"https://twitter.com/ann/status/20\",\"author_name\":\"Ann\",\"author_url\":"
        "\"https://twitter.com/ann\",\"html\":\"<blockquote><p lang=\\\"en\\\">just "
        "a<br>test</p>&mdash; Ann (@ann) <a href=\\\"x\\\">March 21, 2006</a></blockquote>\"}");
    assert_int_equal(r.posts, 1);
    struct json p = record(&r, 0);
    value_is(p, "id", "\"20\"");
    value_is(p, "created_at", "\"2006-03-21T00:00:00Z\""); /* no time in an old id */
    value_is(p, "text", "\"just a\\ntest\"");
    value_is(p, "lang", "\"en\"");
}

/* ---- the page itself ---- */

#define DOM(inside)                                                                                       \
    "<html><body><noscript>Something went wrong</noscript><main><div data-testid='primaryColumn'>" inside \
    "</div></main><form id='ScriptLoadFailure' style='display:none'>Something went "                      \
    "wrong</form></body></html>"
#define DOM_HEAD(user, id, time)                                                               \
    "<div data-testid='UserAvatar-Container-" user                                             \
    "'></div><div data-testid='User-Name'><div "                                               \
    "dir='ltr'><span>Name <img alt='😀'></span></div><a href='/" user "'>@" user                \
    "</a><a href='/" user "/status/" id "'><time datetime='" time ".000Z'></time></a></div>"
#define DOM_GROUP(label)                                                                       \
    "<div role='group' aria-label='" label "'><button data-testid='reply'></button></div>"

static const char two_posts[] = DOM(
    "<section><div data-testid='cellInnerDiv'><article data-testid='tweet' tabindex='0'>"
    "<div data-testid='socialContext'>Pinned</div>" DOM_HEAD(
        "ann", ID1,
        "2024-04-17T18:37:10") "<div data-testid='tweetText' lang='en'>see <a href='https://t.co/1'><span "
                               "aria-hidden='true'>https://</span>e.org/w<span aria-hidden='true'>hole</span><span "
                               "aria-hidden='true'>…</span></a> <a href='/hashtag/x?src=hashtag_click'>#x</a> "
                               "<img alt='😀'> <a href='/bob/status/5'>x.com/…</a></div>"
                               "<a data-testid='tweet-text-show-more-link'>Show more</a>"
                               "<div data-testid='tweetPhoto' aria-label='a dog'><img alt='Image' "
                               "src='https://pbs.twimg.com/media/K?format=png&amp;name=small'></div>"
                               "<div data-testid='tweetPhoto'><div role='progressbar'></div></div>"
                               "<div data-testid='tweetPhoto'><div data-testid='placementTracking'><div "
                               "data-testid='videoPlayer'><video poster='https://pbs.twimg.com/t/P.jpg'><source "
                               "src='blob:x'></video></div></div></div>"
                               "<div><div role='link' tabindex='0'><div data-testid='UserAvatar-Container-cat'></div>"
                               "<div data-testid='User-Name'><div dir='ltr'>Cat</div></div><time "
                               "datetime='2024-04-17T13:48:23.000Z'></time><div data-testid='tweetText' "
                               "lang='fr'>inner</div></div></div>" DOM_GROUP(
                                   "3 replies, 1 like, 52901 views") "</article></div>"
                                                                     "<div data-testid='placementTracking'><div data-testid='top-impression-pixel'></div>"
                                                                     "<article data-testid='tweet'><span>Ad</span></article></div>"
                                                                     "<div data-testid='cellInnerDiv'><article data-testid='tweet' tabindex='0'><a "
                                                                     "href='/zoe'><span data-testid='socialContext'>Zoe reposted</span></a>" DOM_HEAD(
                                                                         "cat", ID2,
                                                                         "2024-04-17T13:48:23")
                                                                         DOM_GROUP(
                                                                             "") "<div data-testid='card.wrapper'><div data-testid='cardPoll'><ul role='list'><li role='listitem'><div "
                                                                                 "dir='ltr'>Yes</div><div dir='ltr'>69.8%</div></li></ul><span>1,209 "
                                                                                 "votes</span><span>Final results</span></div></div></article></div>"
                                                                                 "<div data-testid='UserCell'></div>"
                                                                                 "<article>This Post is from a suspended account. Learn more</article></section>");

static void test_dom(void **state)
{
    (void)state;
    struct reading r = document("dom", 200, two_posts);
    assert_int_equal(r.sign, FAILURE_NONE);
    assert_int_equal(r.posts, 2);
    assert_int_equal(r.promoted, 1);
    assert_int_equal(r.unavailable, 1);
    assert_int_equal(r.users, 0);
    struct json p = record(&r, 0);
    value_is(p, "text", "\"see https://e.org/whole #x 😀 https://x.com/bob/status/5\"");
    value_is(p, "text_truncated", "true");
    value_is(p, "author.name", "\"Name 😀\"");
    value_is(
        p, "counts",
        "{\"reply\":3,\"repost\":0,\"like\":1,\"quote\":null,\"bookmark\":0,\"view\":52901}");
    value_is(
        p, "media",
        "[{\"key\":\"K\",\"type\":\"photo\",\"url\":\"https://pbs.twimg.com/media/K.png\",\"thumb_url\":"
        "null,\"alt\":\"a dog\"},{\"key\":\"P\",\"type\":\"video\",\"url\":null,\"thumb_url\":\"https://"
        "pbs.twimg.com/t/P.jpg\",\"alt\":null}]");
    value_is(p, "media_pending", "true");
    value_is(p, "lang", "\"en\"");
    value_is(p, "is_pinned", "true");
    value_is(p, "quoted.id", "null");
    value_is(p, "quoted.text", "\"inner\"");
    value_is(p, "quoted.author", "{\"id\":null,\"screen_name\":\"cat\",\"name\":\"Cat\"}");
    p = record(&r, 1);
    value_is(p, "kind", "\"repost\"");
    value_is(p, "reposted_by", "{\"screen_name\":\"zoe\",\"name\":\"Zoe\"}");
    value_is(
        p, "counts",
        "{\"reply\":0,\"repost\":0,\"like\":0,\"quote\":null,\"bookmark\":0,\"view\":null}");
    value_is(
        p, "card.poll",
        "{\"options\":[{\"label\":\"Yes\",\"percent\":69.8}],\"total_votes\":1209,\"final\":"
        "true}");
    value_is(record(&r, 2), "state", "\"suspended\"");
}

/* How often a rule or a field of the page came by its way-th sign. */
static uint64_t came_by(const char *map, const char *field, size_t way)
{
    const struct field_hits *fields = NULL;
    size_t n = reader_fields(reader, &fields);
    for (size_t i = 0; i < n; i++)
        if (span_is(fields[i].map, map) && span_is(fields[i].field, field))
            return fields[i].hits[way];
    fail_msg("nothing is counted as %s.%s", map, field);
    return 0;
}

/* One test id has another name: the records are the same, and the counts say by which sign. */
static void test_renamed_test_ids(void **state)
{
    (void)state;
    static const struct {
        const char *id, *map, *field;
        size_t way;
    } cases[] = {
        {"tweetText", "dom_post", "text", 1},
        {"socialContext", "dom_post", "reposted_by.screen_name", 1},
        {"socialContext", "dom", "pinned", 1},
        {"tweetPhoto", "dom_post", "media", 1},
        {"tweet-text-show-more-link", "dom_post", "text_truncated", 1},
        {"card.wrapper", "dom_post", "card.poll.options", 0},
        {"cardPoll", "dom_post", "card.poll.options", 2},
        {"placementTracking", "dom", "promoted", 1},
        {"cellInnerDiv", "dom", "place", 2},
        {"primaryColumn", "dom", "place", 1},
    };
    static char page[sizeof two_posts + 512], first[4096], second[4096];
    reader_forget(reader);
    struct reading r = document("dom", 200, two_posts);
    span_copy(r.records[0].json, first, sizeof first);
    span_copy(r.records[1].json, second, sizeof second);
    assert_true(strlen(first) > 1000 && strlen(second) > 1000);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *out = page;
        size_t n = strlen(cases[i].id);
        for (const char *c = two_posts; *c;) {
            bool found = strncmp(c, cases[i].id, n) == 0 && (c[n] == '\'' || c[n] == '-');
            out += snprintf(out, (size_t)(page + sizeof page - out), "%.*s%s",
                            (int)(found ? n : 1), c, found ? "2" : "");
            c += found ? n : 1;
        }
        reader_forget(reader);
        r = document("dom", 200, page);
        if (r.posts != 2 || r.promoted != 1 || r.unparsed ||
            !span_is(r.records[0].json, first) || !span_is(r.records[1].json, second))
            fail_msg("%s renamed: %zu posts, %zu unparsed\n%.*s\n%s\n%.*s\n%s", cases[i].id,
                     r.posts, r.unparsed, SP(r.records[0].json), first, SP(r.records[1].json),
                     second);
        if (!came_by(cases[i].map, cases[i].field, cases[i].way))
            fail_msg("%s renamed shows nowhere", cases[i].id);
    }
}

static void test_dom_accounts(void **state)
{
    (void)state;
    struct reading r = document(
        "dom", 200,
        DOM("<section><button data-testid='UserCell'><div "
            "data-testid='UserAvatar-Container-ann'></div><a href='/ann'><div "
            "dir='ltr'>Ann</div></a><button data-testid='42-follow'></button><div dir='auto'>Click "
            "to Follow ann</div><div dir='auto'>bio</div></button></section>"));
    assert_int_equal(r.users, 1);
    assert_true(span_is(r.records[0].id, "42"));
    value_is(record(&r, 0), "description", "\"bio\"");
    r = document(
        "dom_profile", 200,
        "<script type='application/ld+json' data-testid='UserProfileSchema-test'>{\"dateCreated\":"
        "\"2013-12-14T04:35:55.000Z\",\"mainEntity\":{\"identifier\":\"42\",\"additionalName\":"
        "\"ann\",\"interactionStatistic\":[{\"name\":\"Tweets\",\"userInteractionCount\":7}]},"
        "\"relatedLink\":[\"https://t.co/1\",\"https://e.org\"]}</script>" DOM(
            "<div data-testid='UserName'><div dir='ltr'>Ann</div><span>@ann</span></div>"));
    assert_true(span_is(r.user_id, "42"));
    assert_int_equal(r.user_posts, 7);
    value_is(record(&r, 0), "website", "\"https://e.org\"");
    value_is(record(&r, 0), "counts_exact", "true");
    /* no schema: the head, in short numbers */
    r = document(
        "dom_profile", 200,
        DOM("<h2>Ann</h2><div>4.3K posts</div><button data-testid='42-follow'></button>"
            "<div data-testid='UserName'><div dir='ltr'>Ann</div><span>@ann</span><svg "
            "data-testid='icon-lock'></svg></div><a href='/ann/followers'>12 Followers"
            "</a>"));
    assert_true(span_is(r.user_id, "42"));
    assert_true(r.user_protected);
    assert_int_equal(r.user_posts, 4300);
    value_is(record(&r, 0), "counts_exact", "false");
    value_is(record(&r, 0), "counts.followers", "12");
}

/* ---- signs, row by row ---- */

struct row {
    const char *words, *state;
    enum failure_class is;
};

static void said(const char *source, const char *body, const struct row *row)
{
    struct reading r = document(source, 200, body);
    if (r.sign != row->is || !span_is(r.state, row->state))
        fail_msg("'%s': wanted %s (%s), got %s (%.*s)", row->words, row->state,
                 failure_name(row->is), failure_name(r.sign), SP(r.state));
    assert_int_equal(r.posts, 0);
    assert_int_equal(r.says_empty,
                     row->is == FAILURE_NONE && strstr(row->state, "empty") != NULL);
    assert_int_equal(r.loading, strcmp(row->state, "loading") == 0);
    assert_int_equal(r.terminated, strcmp(row->state, "end") == 0);
}

static void test_page_states(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"Account suspended", "suspended", FAILURE_SUSPENDED},
        {"X suspends accounts which violate the X Rules", "suspended", FAILURE_SUSPENDED},
        {"This account doesn’t exist", "not_found", FAILURE_NOT_FOUND},
        {"Hmm...this page doesn’t exist. Try searching for something else.", "not_found",
         FAILURE_NOT_FOUND},
        {"These posts are protected", "protected", FAILURE_PROTECTED},
        {"These Tweets are protected", "protected", FAILURE_PROTECTED},
        {"@u has blocked you", "blocked", FAILURE_PROTECTED},
        {"You’re blocked", "blocked", FAILURE_PROTECTED},
        {"Sorry, you are rate limited. Please wait a few moments then try again.",
         "rate_limited", FAILURE_RATE_LIMITED},
        {"Caution: This account is temporarily restricted", "restricted", FAILURE_WITHHELD},
        {"Caution: This profile may include potentially sensitive content", "sensitive",
         FAILURE_WITHHELD},
        {"Age-restricted adult content", "age_restricted", FAILURE_WITHHELD},
        {"@u hasn’t posted", "empty", FAILURE_NONE},
        {"No results for “q”", "search_empty", FAILURE_NONE},
    };
    char page[2048];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(page, sizeof page, DOM("<div data-testid='empty_state_header_text'>%s</div>"),
                 rows[i].words);
        said("dom", page, &rows[i]);
        snprintf(page, sizeof page, DOM("<div data-testid='error-detail'>%s</div>"),
                 rows[i].words);
        said("dom", page, &rows[i]);
    }
    said(
        "dom",
        DOM("<div><span>Something went wrong. Try reloading.</span><button>Retry</button></div>"),
        &(struct row){"retry", "error_retry", FAILURE_NETWORK});
    said("dom",
         DOM("<div data-testid='sheetDialog'><div id='modal-header'>Sign in to X</div></div>"),
         &(struct row){"login", "login_wall", FAILURE_LOGIN_REQUIRED});
    said(
        "dom",
        DOM("<div><h1>Your account has been locked.</h1><form action='/account/access'></form></div>"),
        &(struct row){"locked", "account_locked", FAILURE_SESSION_INVALID});
    said("dom", DOM("<div role='progressbar'></div>"),
         &(struct row){"loading", "loading", FAILURE_NONE});
    said(
        "dom",
        "<div data-testid='primaryColumn'></div><form id='ScriptLoadFailure' style=''>x</form>",
        &(struct row){"script", "script_fail", FAILURE_NETWORK});
    said("dom", DOM(""), &(struct row){"nothing", "", FAILURE_EMPTY_SUSPECT});
    said("dom", "<p>another page</p>", &(struct row){"no frame", "", FAILURE_DRIFT});
    /* words in posts never count */
    struct reading r = document(
        "dom", 200,
        DOM("<article data-testid='tweet'>" DOM_HEAD(
            "ann", ID1,
            "2024-04-17T18:37:10") "<div data-testid='tweetText'>Account suspended</div><div "
                                   "data-testid='error-detail'>Account suspended</div><button>Retry</button></article>"));
    assert_int_equal(r.sign, FAILURE_NONE);
    assert_int_equal(r.state.n, 0);
    assert_int_equal(r.posts, 1);
}

/* A name that is there and empty names nobody. */
static void test_nameless(void **state)
{
    (void)state;
    struct reading r = document(
        "nitter_timeline", 200,
        NITTER(
            "<div class='profile-card'><a class='profile-card-username' href='/x'></a></div>"));
    for (size_t i = 0; i < r.count; i++)
        assert_true(r.records[i].id.n > 0);
    assert_int_equal(r.users, 0);
}

static void test_nitter_states(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"<div class='error-panel'><span>User \"x\" not found</span></div>", "not_found",
         FAILURE_NOT_FOUND},
        {"<div class='error-panel'><span>Tweet not found</span></div>", "not_found",
         FAILURE_NOT_FOUND},
        {"<div class='error-panel'><span>User \"x\" has been suspended</span></div>",
         "suspended", FAILURE_SUSPENDED},
        {"<div class='error-panel'><span>Instance has been rate limited.<br>Use another</span></div>",
         "rate_limited", FAILURE_RATE_LIMITED},
        {"<div class='timeline-protected'><h2>This account's tweets are protected.</h2></div>",
         "protected", FAILURE_PROTECTED},
        {"<h2 class='timeline-none'>No items found</h2>", "empty", FAILURE_NONE},
        {"<h2 class='timeline-end'>No more items</h2>", "end", FAILURE_NONE},
    };
    char page[1024];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(page, sizeof page, NITTER("%s"), rows[i].words);
        said("nitter_timeline", page, &rows[i]);
    }
    said("nitter_timeline", NITTER(""),
         &(struct row){"nothing", "empty_or_withheld", FAILURE_EMPTY_SUSPECT});
    said("nitter_timeline", "<p>hello</p>", &(struct row){"another page", "", FAILURE_DRIFT});
}

static void test_tombstones(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"This Post was deleted by the Post author. Learn more", "deleted", FAILURE_NOT_FOUND},
        {"This Post is from a suspended account.", "suspended", FAILURE_SUSPENDED},
        {"This Post is from an account that no longer exists.", "not_found", FAILURE_NOT_FOUND},
        {"You’re unable to view this Post because this account owner limits who can view their "
         "Posts.",
         "protected", FAILURE_PROTECTED},
        {"Age-restricted adult content.", "age_restricted", FAILURE_WITHHELD},
        {"This Post from @x has been withheld in Germany in response to a legal demand.",
         "withheld", FAILURE_WITHHELD},
        {"This Post violated the X Rules.", "withheld", FAILURE_WITHHELD},
        {"This Post is unavailable.", "unknown", FAILURE_WITHHELD},
        {"There’s a new version of this Post.", "edited", FAILURE_NOT_FOUND},
    };
    char body[1024];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(
            body, sizeof body,
            "{\"__typename\":\"TweetTombstone\",\"tombstone\":{\"text\":{\"text\":\"%s\"}}}",
            rows[i].words);
        said("tweet_result", body, &rows[i]);
    }
    said("tweet_result", "{\"__typename\":\"TweetTombstone\",\"tombstone\":{}}",
         &(struct row){"empty tombstone", "age_restricted", FAILURE_WITHHELD});
    said("tweet_result", "{}", &(struct row){"empty", "not_found", FAILURE_NOT_FOUND});
    said("tweet_result", "{\"a\":1}", &(struct row){"another shape", "", FAILURE_DRIFT});
    said("tweet_result", "[]", &(struct row){"a list", "", FAILURE_DRIFT});
}

static void test_statuses(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        int status;
        enum failure_class is;
    } rows[] = {
        {"nitter_timeline", 404, FAILURE_NOT_FOUND},
        {"nitter_timeline", 429, FAILURE_RATE_LIMITED},
        {"nitter_timeline", 403, FAILURE_BLOCKED},
        {"nitter_timeline", 502, FAILURE_NETWORK},
        {"nitter_timeline", 418, FAILURE_DRIFT},
        {"nitter_feed", 404,
         FAILURE_NONE}, /* the end, or no feeds there: no word about the account */
        {"nitter_feed", 400, FAILURE_BLOCKED},
        {"nitter_feed", 429, FAILURE_RATE_LIMITED},
        {"nitter_feed", 503, FAILURE_NETWORK},
        {"tweet_result", 404, FAILURE_NOT_FOUND},
        {"tweet_result", 429, FAILURE_RATE_LIMITED},
        {"tweet_result", 403, FAILURE_BLOCKED},
        {"tweet_result", 500, FAILURE_NETWORK},
        {"timeline_profile", 404, FAILURE_NOT_FOUND},
        {"timeline_profile", 429, FAILURE_RATE_LIMITED},
        {"oembed", 404, FAILURE_NOT_FOUND},
        {"oembed", 403, FAILURE_PROTECTED},
        {"oembed", 429, FAILURE_RATE_LIMITED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct reading r = document(rows[i].source, rows[i].status, "<p>words</p>");
        if (r.sign != rows[i].is)
            fail_msg("%s %d: wanted %s, got %s", rows[i].source, rows[i].status,
                     failure_name(rows[i].is), failure_name(r.sign));
        r = document(rows[i].source, rows[i].status, "");
        assert_int_equal(r.sign, rows[i].is);
    }
    /* the body of an error says more than its status */
    struct reading r = document("nitter_timeline", 404,
                                NITTER("<div class='error-panel'><span>User \"x\" has been "
                                       "suspended</span></div>"));
    assert_int_equal(r.sign, FAILURE_SUSPENDED);
    r = document("nitter_timeline", 200, "<title>Just a moment...</title>");
    assert_int_equal(r.sign, FAILURE_BLOCKED);
}

static void test_reading_limits(void **state)
{
    (void)state;
    struct reading r;
    struct fault f = {0};
    assert_int_equal(reader_document(reader, SPAN("nix"), 200, SPAN_NONE, SPAN(""), COLLECTED,
                                     arena, &r, &f),
                     E_NOT_FOUND);
    struct reader *small = reader_new(pack, 10);
    assert_int_equal(reader_document(small, SPAN("dom"), 200, SPAN_NONE, SPAN("01234567890"),
                                     COLLECTED, arena, &r, NULL),
                     E_TOO_BIG);
    reader_free(&small);
    /* a page of far too many elements is drift, not a crash; so is one of far too many posts */
    struct buf b = BUF(BODY_BYTES);
    r = document("dom", 200, "");
    assert_int_equal(r.sign, FAILURE_DRIFT);
    struct span page = many(&b, "", "<i></i>", 250000, "\0");
    assert_int_equal(
        reader_document(reader, SPAN("dom"), 200, SPAN_NONE, page, COLLECTED, arena, &r, &f),
        E_OK);
    assert_int_equal(r.sign, FAILURE_DRIFT);
    page = many(&b, "<div class='container'><div class='timeline-container'>",
                "<div class='timeline-item'></div>", 6000, "</div></div>");
    assert_int_equal(reader_document(reader, SPAN("nitter_timeline"), 200, SPAN_NONE, page,
                                     COLLECTED, arena, &r, &f),
                     E_OK);
    assert_int_equal(r.sign, FAILURE_DRIFT);
    assert_int_equal(r.unparsed, HTML_FOUND_MAX);
    struct arena *tiny = arena_new(2048);
    page = span_of(NITTER("<div class='timeline-item'><a class='username'>@ann</a>" NITTER_DATE(
        "ann", ID1, "Apr 17, 2024 · 6:37 PM UTC") "</div>"));
    assert_int_equal(reader_document(reader, SPAN("nitter_timeline"), 200, SPAN_NONE, page,
                                     COLLECTED, tiny, &r, NULL),
                     E_NO_MEMORY);
    arena_free(&tiny);
    buf_free(&b);
}

static int set_up(void **state)
{
    (void)state;
    open_reading("x", BODY_BYTES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close_reading();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_finding),
        cmocka_unit_test(test_bad_paths),
        cmocka_unit_test(test_document_limits),
        cmocka_unit_test(test_work_limit),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_bad_maps),
        cmocka_unit_test(test_nitter),
        cmocka_unit_test(test_nitter_reposts),
        cmocka_unit_test(test_nitter_account),
        cmocka_unit_test(test_feed),
        cmocka_unit_test(test_syndication),
        cmocka_unit_test(test_timeline_profile),
        cmocka_unit_test(test_oembed),
        cmocka_unit_test(test_dom),
        cmocka_unit_test(test_renamed_test_ids),
        cmocka_unit_test(test_dom_accounts),
        cmocka_unit_test(test_page_states),
        cmocka_unit_test(test_nitter_states),
        cmocka_unit_test(test_nameless),
        cmocka_unit_test(test_tombstones),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_reading_limits),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
