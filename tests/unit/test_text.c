/* UTF-8, entities, terminal safety, URLs, suggestions. */
#include "base/text.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

typedef void adder(struct buf *out, struct span s);

static void check(adder *add, struct span in, const char *expected)
{
    struct buf b = BUF(4096);
    add(&b, in);
    buf_add_char(&b, '\0');
    assert_int_equal(b.failed, E_OK);
    assert_string_equal(b.p, expected);
    buf_free(&b);
}

static void every_code_point_survives(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        struct buf b = BUF(8);
        text_add_code(&b, c);
        size_t at = 0;
        bool surrogate = c >= 0xd800 && c < 0xe000;
        uint32_t back = text_next(buf_span(&b), &at);
        if (back != (surrogate ? 0xfffd : c) || at != b.n || !text_valid(buf_span(&b)))
            fail_msg("U+%04X did not survive", c);
        buf_free(&b);
    }
}

static void broken_bytes_are_found(void **state)
{
    (void)state;
    static const struct span bad[] = {
        SPAN("\x80"),             /* continuation alone */
        SPAN("\xc0\xaf"),         /* overlong / */
        SPAN("\xc1\xbf"),         /* overlong */
        SPAN("\xe0\x80\xaf"),     /* overlong */
        SPAN("\xf0\x80\x80\xaf"), /* overlong */
        SPAN("\xed\xa0\x80"),     /* surrogate */
        SPAN("\xf4\x90\x80\x80"), /* above U+10FFFF */
        SPAN("\xf5\x80\x80\x80"),
        SPAN("\xff"),
        SPAN("\xe2\x82"),
        SPAN("\xe2\x82x"),
        SPAN("\xf0\x9f\x98"),
        SPAN("\xc3"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t at = 0;
        assert_false(text_valid(bad[i]));
        assert_int_equal(text_next(bad[i], &at), 0xfffd);
        assert_int_equal(at, 1);
        struct buf b = BUF(64); /* also far behind plain text, where the fast path ends */
        buf_add(&b, SPAN("0123456789abcdefg"));
        buf_add(&b, bad[i]);
        assert_false(text_valid(buf_span(&b)));
        buf_free(&b);
    }
    assert_true(text_valid(SPAN("")));
    assert_true(text_valid(SPAN("0123456789 gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80 0123456789")));
}

static void entities_become_characters(void **state)
{
    (void)state;
    check(text_add_unescaped, SPAN("a &amp; b &lt;i&gt; &quot;q&quot; &#39;x&#39; &apos;"),
          "a & b <i> \"q\" 'x' '");
    check(text_add_unescaped, SPAN("&#8364;&#x20AC;&#X20ac;&euro;"), "€€€€");
    check(text_add_unescaped, SPAN("&nbsp;&yuml;&eacute;&hellip;&#128512;"),
          "\xc2\xa0ÿé…\xf0\x9f\x98\x80");
    check(text_add_unescaped, SPAN("&#150;&#x80;"), "–€");
    check(text_add_unescaped, SPAN("&#0;&#xd800;&#1114112;&#99999999;"),
          "\ufffd\ufffd\ufffd\ufffd");
    check(text_add_unescaped, SPAN("&amp;lt;"), "&lt;"); /* once, not twice */
    check(text_add_unescaped, SPAN("AT&T & &; &unknown; &# &#; &#x; &#12a; &amp"),
          "AT&T & &; &unknown; &# &#; &#x; &#12a; &amp");
    check(text_add_unescaped, SPAN(""), "");
}

static void html_is_escaped_and_comes_back(void **state)
{
    (void)state;
    check(text_add_escaped_html, SPAN("<a href=\"x\">'&'</a>"),
          "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
    struct buf escaped = BUF(4096), back = BUF(4096);
    char all[255];
    for (int i = 0; i < 255; i++)
        all[i] = (char)(i + 1);
    text_add_escaped_html(&escaped, (struct span){all, sizeof all});
    text_add_unescaped(&back, buf_span(&escaped));
    assert_true(span_eq(buf_span(&back), (struct span){all, sizeof all}));
    buf_free(&escaped);
    buf_free(&back);
}

static void terminals_are_safe(void **state)
{
    (void)state;
    check(text_add_printable, SPAN("a\nb\tc\rd"), "a b c␍d");
    check(text_add_printable, SPAN("\x1b[31mred\x07\x7f"), "␛[31mred␇␡");
    check(text_add_printable,
          SPAN("\xc2\x9b"
               "31m"),
          "\ufffd31m"); /* C1 CSI */
    check(text_add_printable,
          SPAN("x\u202e"
               "evil\u2066"
               "y"),
          "x\ufffdevil\ufffdy");
    check(text_add_printable,
          SPAN("a\u200b"
               "b\ufeff"),
          "a\ufffdb\ufffd");
    check(text_add_printable, SPAN("grün 日本 \xff"), "grün 日本 \ufffd");
}

static void cut(const char *in, size_t columns, const char *expected, size_t used)
{
    struct buf b = BUF(256);
    assert_int_equal(text_add_cut(&b, span_of(in), columns), used);
    buf_add_char(&b, '\0');
    assert_string_equal(b.p, expected);
    buf_free(&b);
}

static void cuts_at_characters(void **state)
{
    (void)state;
    cut("hello", 5, "hello", 5);
    cut("hello", 9, "hello", 5);
    cut("hello", 4, "hel…", 4);
    cut("hello", 1, "…", 1);
    cut("h", 1, "h", 1);
    cut("hello", 0, "", 0);
    cut("", 3, "", 0);
    cut("grün日本", 5, "grün…", 5);
    cut("grün日本", 6, "grün日本", 6);
}

static void urls_are_escaped_and_come_back(void **state)
{
    (void)state;
    check(text_add_url_escaped, SPAN("a b&c=ü/~-._"), "a%20b%26c%3D%C3%BC%2F~-._");
    struct buf escaped = BUF(1024), back = BUF(1024);
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    text_add_url_escaped(&escaped, (struct span){all, sizeof all});
    assert_true(text_add_url_unescaped(&back, buf_span(&escaped)));
    assert_true(span_eq(buf_span(&back), (struct span){all, sizeof all}));
    buf_clear(&back);
    assert_true(text_add_url_unescaped(&back, SPAN("%2f%2F+")));
    assert_true(span_is(buf_span(&back), "//+"));
    assert_false(text_add_url_unescaped(&back, SPAN("%")));
    assert_false(text_add_url_unescaped(&back, SPAN("ab%2")));
    assert_false(text_add_url_unescaped(&back, SPAN("%g0")));
    assert_false(text_add_url_unescaped(&back, SPAN("%0g")));
    buf_free(&escaped);
    buf_free(&back);
}

static void suggests_the_nearest_word(void **state)
{
    (void)state;
    static const char *const words[] = {"listen", "listen_backlog", "timeout", "retry", "x",
                                        NULL};
    assert_string_equal(text_nearest(SPAN("listen_backlogg"), words), "listen_backlog");
    assert_string_equal(text_nearest(SPAN("lisetn"), words), "listen");
    assert_string_equal(text_nearest(SPAN("tmeout"), words), "timeout");
    assert_string_equal(text_nearest(SPAN("tiemotu"), words), "timeout"); /* two swaps */
    assert_string_equal(text_nearest(SPAN("retry"), words), "retry");
    assert_null(text_nearest(SPAN("something"), words));
    assert_null(text_nearest(SPAN("y"), words)); /* nothing of "x" is left */
    assert_null(text_nearest(SPAN(""), words));
    char length[500];
    memset(length, 'a', sizeof length);
    assert_null(text_nearest((struct span){length, sizeof length}, words));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_survives),
        cmocka_unit_test(broken_bytes_are_found),
        cmocka_unit_test(entities_become_characters),
        cmocka_unit_test(html_is_escaped_and_comes_back),
        cmocka_unit_test(terminals_are_safe),
        cmocka_unit_test(cuts_at_characters),
        cmocka_unit_test(urls_are_escaped_and_come_back),
        cmocka_unit_test(suggests_the_nearest_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
