/* Sites that need no browser: what their packs make of answers as the web really has them. */
#include "base/json.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/reading.h"

enum { BODY_BYTES = 4 * 1024 * 1024 };

static const wall now = {1786093200000}; /* 2026-08-07T09:00:00Z */

static struct reading answer(const char *source, int status, const char *headers,
                             struct span body)
{
    struct reading r;
    struct fault f = {0};
    arena_reset(arena);
    if (reader_document(reader, span_of(source), status, span_of(headers), body, now, arena, &r,
                        &f))
        fail_msg("%s", f.words);
    return r;
}

static void value_is(const struct reading *r, size_t i, const char *path, const char *wanted)
{
    struct buf b = BUF(65536);
    struct json root;
    assert_true(i < r->count);
    assert_int_equal(json_parse(parser, r->records[i].json, &root, NULL), E_OK);
    struct json at = json_path(root, path);
    if (at.doc)
        json_add_raw(&b, at);
    if (!span_is(buf_span(&b), wanted))
        fail_msg("%s: wanted %s, got %.*s", path, wanted, SP(buf_span(&b)));
    buf_free(&b);
}

static int close_site(void **state)
{
    (void)state;
    close_reading();
    return 0;
}

static int open_feeds(void **state)
{
    (void)state;
    open_reading("generic-feed", BODY_BYTES);
    return 0;
}

static int open_bluesky(void **state)
{
    (void)state;
    open_reading("bluesky", BODY_BYTES);
    return 0;
}

static int open_mastodon(void **state)
{
    (void)state;
    open_reading("mastodon", BODY_BYTES);
    return 0;
}

/* ---- feeds ---- */

#define RSS(head, inside)                                                                      \
    head "<rss version='2.0'><channel><title>t</title><item><guid>g1</guid>" inside            \
         "</item></channel></rss>"

static void title_is(struct span feed, const char *content_type, const char *wanted)
{
    char headers[200];
    snprintf(headers, sizeof headers, "{\"Content-Type\":\"%s\"}", content_type);
    struct reading r = answer("feed", 200, headers, feed);
    if (r.sign != FAILURE_NONE)
        fail_msg("%s: sign %d: %.*s", wanted, r.sign, SP(r.why));
    value_is(&r, 0, "title", wanted);
}

/* What a feed is written in is said by its first bytes, the header, or the feed itself; it is never
 * taken for UTF-8 when it is not. */
static void encodings(void **state)
{
    (void)state;
    static const char wide[] =
        "\xFF\xFE<\0r\0s\0s\0>\0<\0c\0h\0a\0n\0n\0e\0l\0>\0<\0i\0t\0e\0m\0>\0"
        "<\0g\0u\0i\0d\0>\0g\0<\0/\0g\0u\0i\0d\0>\0<\0t\0i\0t\0l\0e\0>\0"
        "\xE9\0=\xD8\x00\xDE<\0/\0t\0i\0t\0l\0e\0>\0<\0/\0i\0t\0e\0m\0>\0"
        "<\0/\0c\0h\0a\0n\0n\0e\0l\0>\0<\0/\0r\0s\0s\0>";
    title_is(
        SPAN(RSS("<?xml version='1.0' encoding='ISO-8859-1'?>", "<title>Caf\xE9 \x80</title>")),
        "text/xml", "\"Café €\"");
    title_is(SPAN(RSS("", "<title>\xCF\xF0\xE8\xE2\xE5\xF2</title>")),
             "application/rss+xml; Charset=\\\"Windows-1251\\\"", "\"Привет\"");
    title_is(SPAN(RSS("<?xml version='1.0' encoding='utf-8'?>", "<title>a\xF0</title>")),
             "text/xml;charset=koi8-r", "\"aП\"");
    title_is((struct span){wide, sizeof wide}, "text/xml", "\"é😀\"");
    /* They say one thing, and send UTF-8. */
    title_is(SPAN(RSS("<?xml version='1.0' encoding='iso-8859-1'?>", "<title>Café</title>")),
             "text/xml; charset=us-ascii", "\"Café\"");
    /* Broken, but said to be UTF-8, or nothing said: what is no character shows as that. */
    title_is(SPAN(RSS("<?xml version='1.0' encoding='UTF-8'?>", "<title>a\xE9</title>")),
             "text/xml", "\"a\xEF\xBF\xBD\"");
    title_is(SPAN(RSS("", "<title>a\xE9</title>")), "text/xml", "\"a\xEF\xBF\xBD\"");
    struct reading r = answer("feed", 200, "{\"content-type\":\"text/xml; charset=Shift_JIS\"}",
                              SPAN(RSS("", "<title>\x83\x65</title>")));
    assert_int_equal(r.sign, FAILURE_DRIFT);
    assert_true(span_is(r.why, "the document is written in 'Shift_JIS', which is not read"));
    r = answer("feed", 200, "",
               SPAN(RSS("<?xml version='1.0' encoding='iso-2022-jp'?>",
                        "<title>\x1B$B%F%9\x1B(B</title>")));
    assert_int_equal(r.sign, FAILURE_DRIFT);
}

#define ATOM(inside)                                                                           \
    "<feed xmlns='http://www.w3.org/2005/Atom'><entry><id>e1</id>" inside "</entry></feed>"

static void item_is(const char *feed, const char *path, const char *wanted)
{
    struct reading r = answer("feed", 200, "{}", span_of(feed));
    if (r.sign != FAILURE_NONE)
        fail_msg("%s: sign %d: %.*s", feed, r.sign, SP(r.why));
    value_is(&r, 0, path, wanted);
}

/* Atom says what a text is: plain, HTML, or markup of its own. RSS does not: it is HTML. */
static void texts(void **state)
{
    (void)state;
    item_is(ATOM("<title>vector&lt;int&gt; &amp; co</title>"), "title", "\"vector<int> & co\"");
    item_is(ATOM("<title type='text'>a &lt;b> c</title>"), "title", "\"a <b> c\"");
    item_is(ATOM("<title type='html'>a &lt;b>c&lt;/b> &amp;amp; d</title>"), "title",
            "\"a c & d\"");
    item_is(ATOM("<content type='xhtml'><div xmlns='http://www.w3.org/1999/xhtml'><p>a &lt;b> "
                 "c</p><p>d</p></div></content>"),
            "text", "\"a <b> c\\n\\nd\"");
    item_is(ATOM("<summary>1 &lt; 2</summary>"), "text", "\"1 < 2\"");
    item_is(ATOM("<content type='html'>&lt;p>a&lt;/p></content>"), "text", "\"a\"");
    item_is(RSS("", "<description>&lt;b>a&lt;/b> b</description>"), "text", "\"a b\"");
}

/* What stands on lines of its own is not glued together. */
static void lines(void **state)
{
    (void)state;
    static const struct {
        const char *html, *wanted;
    } rows[] = {
        {"<div>a</div><div>b</div>", "\"a\\nb\""},
        {"<p>a</p>b", "\"a\\nb\""},
        {"a<p>b</p>", "\"a\\n\\nb\""},
        {"<h2>a</h2><p>b</p>", "\"a\\n\\nb\""},
        {"<p>a</p><ul><li>b</li><li>c <b>d</b></li></ul>e", "\"a\\nb\\nc d\\ne\""},
        {"<blockquote>a</blockquote>b", "\"a\\nb\""},
        {"<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "\"a b\\nc\""},
        {"a <i>b</i><b>c</b>", "\"a bc\""},
        {" <ul>\n <li>a</li>\n <li>b</li></ul>", "\"a\\n b\""},
        {"<div>\n<p>a</p>\n<p>b</p>\n</div>", "\"a\\n\\nb\""},
        {"a<br>b", "\"a\\nb\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char feed[600];
        snprintf(feed, sizeof feed, RSS("", "<description><![CDATA[%s]]></description>"),
                 rows[i].html);
        item_is(feed, "text", rows[i].wanted);
    }
}

/* A link is whole, or it is none. */
static void links(void **state)
{
    (void)state;
    reader_page_url(reader, SPAN("https://a.test/feeds/all.xml"));
    item_is(RSS("", "<link> /one </link>"), "url", "\"https://a.test/one\"");
    item_is(RSS("", "<link>two?x=1&amp;y</link>"), "url", "\"https://a.test/feeds/two?x=1&y\"");
    item_is(RSS("", "<link>https://b.test/ü x</link>"), "url", "\"https://b.test/ü x\"");
    item_is(RSS("", "<link>//b.test/x</link>"), "url", "\"https://b.test/x\"");
    item_is(RSS("", "<link>javascript:alert(1)</link>"), "url", "null");
    item_is(RSS("", "<guid>g</guid><enclosure url='a.mp3'/>"), "media",
            "[{\"type\":null,\"url\":\"https://a.test/feeds/a.mp3\",\"content_type\":null,"
            "\"bytes\":null}]");
    item_is("<feed xmlns='http://www.w3.org/2005/Atom' xml:base='https://c.test/x/'><entry "
            "xml:base='y/'><id>e1</id><link href='z'/></entry></feed>",
            "url", "\"https://c.test/x/y/z\"");
    item_is("<feed xmlns='http://www.w3.org/2005/Atom' xml:base='/b/'><entry><id>e1</id>"
            "<link href='z'/></entry></feed>",
            "url", "\"https://a.test/b/z\"");
    reader_page_url(reader, SPAN_NONE);
    item_is(RSS("", "<link>/one</link>"), "url", "null");
    item_is(RSS("", "<link>https://a.test/one</link>"), "url", "\"https://a.test/one\"");
}

static void times(void **state)
{
    (void)state;
    item_is(RSS("", "<pubDate>Tue, 02 Jan 2024 10:00:00 EST</pubDate>"), "created_at",
            "\"2024-01-02T15:00:00Z\"");
    item_is(RSS("", "<pubDate>Tue, 02 Jan 2024 10:00:00 PDT</pubDate>"), "created_at",
            "\"2024-01-02T17:00:00Z\"");
    item_is(RSS("", "<pubDate>Tue, 02 Jan 2024 10:00:00 +0530</pubDate>"), "created_at",
            "\"2024-01-02T04:30:00Z\"");
    item_is(RSS("", "<pubDate>Tue, 02 Jan 2024 10:00:00</pubDate>"), "created_at", "null");
    item_is(RSS("", "<pubDate>Tue, 02 Jan 2024 10:00:00 MESZ</pubDate>"), "created_at", "null");
    item_is(
        "<rss xmlns='http://example.test/rss2'><channel><language>de</language><item>"
        "<guid>g</guid><pubDate>Tue, 02 Jan 2024 10:00:00 GMT</pubDate></item></channel></rss>",
        "created_at", "\"2024-01-02T10:00:00Z\"");
}

/* ---- mastodon ---- */

static void next_is(const char *headers, const char *cursor)
{
    struct reading r = answer("statuses", 200, headers, SPAN("[]"));
    if (!span_is(r.cursor, cursor) || r.terminated != (cursor[0] == '\0'))
        fail_msg("%s: cursor '%.*s', %s", headers, SP(r.cursor),
                 r.terminated ? "end" : "no end");
}

/* A link that is overlooked would pass for the end of the list. */
static void next_pages(void **state)
{
    (void)state;
    next_is(
        "{\"Link\":\"<https://a.test/2>; rel=\\\"next\\\", <https://a.test/0>; rel=\\\"prev\\\"\"}",
        "https://a.test/2");
    next_is(
        "{\"Link\":\"<https://a.test/0>; rel=\\\"prev\\\", <https://a.test/2>; rel=\\\"next\\\"\"}",
        "https://a.test/2");
    next_is("{\"Link\":\"</style.css>; rel=preload; as=style\","
            "\"link\":\"<https://a.test/2>; rel=\\\"next\\\"\"}",
            "https://a.test/2");
    next_is("{\"link\":\"<https://a.test/2?a=1,2;b>;title=\\\"x\\\";REL=next\"}",
            "https://a.test/2?a=1,2;b");
    next_is(
        "{\"link\":\"<https://a.test/2>; rel=\\\"last Next\\\",<https://a.test/0>; rel=prev\"}",
        "https://a.test/2");
    next_is("{\"link\":\"<https://a.test/0>; rel=prev\"}", "");
    next_is("{\"link\":\"<https://a.test/0>; title=\\\"rel=next\\\"\"}", "");
    next_is("{}", "");
    next_is("{\"link\":\"<\"}", "");
}

/* Forty were asked for and forty came, without a word on the next page: no proof that it is the last. */
static void a_full_page_is_no_end(void **state)
{
    (void)state;
    for (int n = 39; n <= 40; n++) {
        struct buf b = BUF(BODY_BYTES);
        buf_add_char(&b, '[');
        for (int i = 0; i < n; i++)
            buf_fmt(
                &b,
                "%s{\"id\":\"%d\",\"created_at\":\"2024-01-01T00:00:00.000Z\",\"content\":\"\","
                "\"uri\":\"u\",\"account\":{\"id\":\"1\",\"acct\":\"a\"}}",
                i ? "," : "", 100 + i);
        buf_add_char(&b, ']');
        struct reading r = answer("statuses", 200, "{}", buf_span(&b));
        assert_int_equal(r.posts, n);
        assert_int_equal(r.terminated, n == 39);
        buf_free(&b);
    }
}

/* Mastodon searches posts only for those who are logged in, and answers others with an empty list. */
static void an_empty_search_proves_nothing(void **state)
{
    (void)state;
    struct reading r =
        answer("search", 200, "{}", SPAN("{\"accounts\":[],\"statuses\":[],\"hashtags\":[]}"));
    assert_int_equal(r.sign, FAILURE_LOGIN_REQUIRED);
    assert_false(r.says_empty);
}

static void waits_until(const char *headers, int64_t seconds_from_now)
{
    struct reading r = answer("statuses", 429, headers, SPAN("{}"));
    int64_t wanted = seconds_from_now < 0 ? 0 : now.ms / 1000 + seconds_from_now;
    assert_int_equal(r.sign, FAILURE_RATE_LIMITED);
    if (r.reset_at_s != wanted)
        fail_msg("%s: %lld, not %lld", headers, (long long)r.reset_at_s, (long long)wanted);
}

/* A day at most, whatever the site says and in which unit. */
static void how_long_to_wait(void **state)
{
    (void)state;
    waits_until("{}", -1);
    waits_until("{\"Retry-After\":\"7\"}", 7);
    waits_until("{\"Retry-After\":\"0\"}", 0);
    waits_until("{\"Retry-After\":\"-5\"}", -1);
    waits_until("{\"Retry-After\":\"Fri, 07 Aug 2026 09:02:00 GMT\"}", 120);
    waits_until("{\"Retry-After\":\"soon\"}", -1);
    waits_until("{\"Retry-After\":\"100000\"}", 86400);
    waits_until("{\"X-RateLimit-Reset\":\"2026-08-07T09:05:00.000Z\",\"Retry-After\":\"7\"}",
                300);
    waits_until("{\"X-RateLimit-Reset\":\"1786093200500\"}", 86400);
    waits_until("{\"X-RateLimit-Reset\":\"9223372036854775807\"}", 86400);
}

static void a_suspended_account_is_said(void **state)
{
    (void)state;
    struct reading r = answer("account", 200, "{}",
                              SPAN("{\"id\":\"1\",\"acct\":\"a\",\"suspended\":true,"
                                   "\"statuses_count\":0}"));
    assert_true(r.user_suspended);
    value_is(&r, 0, "state", "\"suspended\"");
    r = answer("account", 200, "{}",
               SPAN("{\"id\":\"1\",\"acct\":\"a\",\"followers_count\":-1}"));
    assert_false(r.user_suspended);
    value_is(&r, 0, "suspended", "null");
    value_is(&r, 0, "counts.followers", "null");
}

/* ---- bluesky ---- */

/* The time of a post is its author's word, and may be none. */
static void a_post_without_a_time_is_read(void **state)
{
    (void)state;
    struct reading r = answer(
        "search", 200, "{}",
        SPAN("{\"posts\":[{\"uri\":\"at://did:plc:a/app.bsky.feed.post/1\",\"author\":{\"did\":"
             "\"did:plc:a\",\"handle\":\"a.test\"},\"record\":{\"text\":\"t\",\"createdAt\":"
             "\"yesterday\"},\"indexedAt\":\"2024-01-02T03:04:05.000Z\"}]}"));
    assert_int_equal(r.posts, 1);
    value_is(&r, 0, "created_at", "\"2024-01-02T03:04:05Z\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(encodings, open_feeds, close_site),
        cmocka_unit_test_setup_teardown(texts, open_feeds, close_site),
        cmocka_unit_test_setup_teardown(lines, open_feeds, close_site),
        cmocka_unit_test_setup_teardown(links, open_feeds, close_site),
        cmocka_unit_test_setup_teardown(times, open_feeds, close_site),
        cmocka_unit_test_setup_teardown(next_pages, open_mastodon, close_site),
        cmocka_unit_test_setup_teardown(a_full_page_is_no_end, open_mastodon, close_site),
        cmocka_unit_test_setup_teardown(an_empty_search_proves_nothing, open_mastodon,
                                        close_site),
        cmocka_unit_test_setup_teardown(how_long_to_wait, open_mastodon, close_site),
        cmocka_unit_test_setup_teardown(a_post_without_a_time_is_read, open_bluesky,
                                        close_site),
        cmocka_unit_test_setup_teardown(a_suspended_account_is_said, open_mastodon, close_site),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
