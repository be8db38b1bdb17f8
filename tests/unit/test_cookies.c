/* Cookies in the forms in which people have them. */
#include "wire/cookies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW 1800000000000

static bool is_ours(void *ctx, struct span domain)
{
    (void)ctx;
    return span_is(domain, "x.com") || span_ends(domain, SPAN(".x.com"));
}

static const struct span login[] = {{"auth_token", 10}, {"ct0", 3}};

struct read {
    err result;
    struct buf out;
    struct cookies_facts facts;
    struct fault fault;
};

static struct read read_text(struct span text, size_t login_count)
{
    struct read r = {.out = BUF(COOKIES_TEXT_MAX)};
    struct cookies_wanted wanted = {.domain = SPAN("x.com"),
                                    .belongs = is_ours,
                                    .login = login,
                                    .login_count = login_count};
    struct json_parser *parser = json_parser_new(COOKIES_TEXT_MAX * 2);
    r.result = cookies_read(text, &wanted, (wall){NOW}, parser, &r.out, &r.facts, &r.fault);
    json_parser_free(&parser);
    return r;
}

static void same(struct span text, size_t login_count, const char *expected, int64_t expires_ms)
{
    struct read r = read_text(text, login_count);
    if (r.result)
        fail_msg("%s: %s", err_name(r.result), r.fault.words);
    assert_true(span_is(buf_span(&r.out), expected) ||
                (print_message("%.*s\n", SP(buf_span(&r.out))), false));
    assert_int_equal(r.facts.expires_ms, expires_ms);
    buf_free(&r.out);
}

static void refused(struct span text, size_t login_count, err e, const char *words)
{
    struct read r = read_text(text, login_count);
    assert_int_equal(r.result, e);
    if (!strstr(r.fault.words, words))
        fail_msg("'%s' lacks '%s'", r.fault.words, words);
    assert_null(strstr(r.fault.words, "s3cr3t"));
    buf_free(&r.out);
}

static void the_text_of_a_cookie_header_is_read(void **state)
{
    (void)state;
    const char *expected =
        "[{\"name\":\"auth_token\",\"value\":\"a1=\",\"domain\":\"x.com\",\"path\":\"/\",\"secure\":true,"
        "\"httpOnly\":false},{\"name\":\"ct0\",\"value\":\"c\",\"domain\":\"x.com\",\"path\":\"/\",\"secure\":true,"
        "\"httpOnly\":false}]";
    same(SPAN("auth_token=a1=; ct0=c"), 2, expected, 0);
    same(SPAN(" Cookie: auth_token=a1=;ct0=c;\r\n"), 2, expected, 0);
    same(SPAN("{\"auth_token\":\"a1=\",\"ct0\":\"c\"}"), 2, expected, 0);
}

static void cookies_txt_is_read(void **state)
{
    (void)state;
    same(
        SPAN("# Netscape HTTP Cookie File\n"
             "#HttpOnly_.x.com\tTRUE\t/\tTRUE\t1900000000\tauth_token\ta1\n"
             ".x.com\tTRUE\t/\tTRUE\t1850000000\tct0\tc\r\n"
             ".example.org\tTRUE\t/\tFALSE\t0\tother\ts3cr3t\n"
             "x.com\tFALSE\t/i\tFALSE\t1700000000\told\ts3cr3t\n"
             "\n"
             "api.x.com\tFALSE\t/i\tFALSE\t0\tempty\t"),
        2,
        "[{\"name\":\"auth_token\",\"value\":\"a1\",\"domain\":\".x.com\",\"path\":\"/\",\"secure\":true,"
        "\"httpOnly\":true,\"expires\":1900000000},"
        "{\"name\":\"ct0\",\"value\":\"c\",\"domain\":\".x.com\",\"path\":\"/\",\"secure\":true,"
        "\"httpOnly\":false,\"expires\":1850000000},"
        "{\"name\":\"empty\",\"value\":\"\",\"domain\":\"api.x.com\",\"path\":\"/i\",\"secure\":false,"
        "\"httpOnly\":false}]",
        1850000000000);
}

static void what_extensions_and_playwright_export_is_read(void **state)
{
    (void)state;
    const char *expected =
        "[{\"name\":\"auth_token\",\"value\":\"a1\",\"domain\":\".x.com\",\"path\":\"/\",\"secure\":true,"
        "\"httpOnly\":true,\"expires\":1900000000},"
        "{\"name\":\"ct0\",\"value\":\"c\",\"domain\":\".x.com\",\"path\":\"/\",\"secure\":false,\"httpOnly\":false}]";
    same(
        SPAN(
            "[{\"domain\":\".x.com\",\"expirationDate\":1900000000.5,\"hostOnly\":false,\"httpOnly\":true,"
            "\"name\":\"auth_token\",\"path\":\"/\",\"sameSite\":\"lax\",\"secure\":true,\"value\":\"a1\"},"
            "{\"domain\":\".x.com\",\"name\":\"ct0\",\"value\":\"c\"}]"),
        2, expected, 1900000000000);
    same(
        SPAN(
            "{\"cookies\":[{\"domain\":\".x.com\",\"expires\":1900000000,\"httpOnly\":true,"
            "\"name\":\"auth_token\",\"path\":\"/\",\"secure\":true,\"value\":\"a1\"},"
            "{\"domain\":\".x.com\",\"expires\":-1,\"name\":\"ct0\",\"value\":\"c\"}],\"origins\":[]}"),
        2, expected, 1900000000000);
}

static void an_end_is_known_without_a_list_of_login_cookies_only_when_all_end(void **state)
{
    (void)state;
    struct read r = read_text(SPAN("[{\"name\":\"a\",\"value\":\"1\",\"expires\":1900000000},"
                                   "{\"name\":\"b\",\"value\":\"1\",\"expires\":1950000000}]"),
                              0);
    assert_int_equal(r.facts.expires_ms, 1950000000000);
    buf_free(&r.out);
    r = read_text(
        SPAN(
            "[{\"name\":\"a\",\"value\":\"1\",\"expires\":1900000000},{\"name\":\"b\",\"value\":\"1\"}]"),
        0);
    assert_int_equal(r.facts.expires_ms, 0);
    buf_free(&r.out);
}

static void what_is_no_login_is_refused_and_no_value_is_told(void **state)
{
    (void)state;
    refused(SPAN(""), 0, E_BAD_INPUT, "no cookies came");
    refused(SPAN("s3cr3t"), 0, E_BAD_INPUT, "these are no cookies");
    refused(SPAN("ct0=s3cr3t"), 2, E_BAD_INPUT, "auth_token");
    refused(SPAN("auth_token=s3cr3t\x01; ct0=1"), 2, E_BAD_INPUT, "cookie 1");
    refused(SPAN("auth_token=s3cr3t\nSet-Cookie: a=b; ct0=1"), 2, E_BAD_INPUT, "cookie 1");
    refused(SPAN("[{\"name\":\"auth_token\",\"value\":\"s3cr3t\""), 2, E_BAD_INPUT, "JSON");
    refused(SPAN("{\"auth_token\":[\"s3cr3t\"]}"), 2, E_BAD_INPUT, "cookie 1");
    refused(SPAN("[{\"name\":\"auth_token\",\"value\":\"s3cr3t\",\"domain\":\"evil-x.com\"}]"),
            0, E_BAD_INPUT, "none of 1");
    refused(SPAN(".x.com\tTRUE\t/\tTRUE\ts3cr3t\n"), 0, E_BAD_INPUT, "line 1");
    struct buf many = BUF(COOKIES_TEXT_MAX);
    for (int i = 0; i <= COOKIES_MAX; i++)
        buf_fmt(&many, "a%d=s3cr3t;", i);
    refused(buf_span(&many), 0, E_TOO_BIG, "more than");
    buf_clear(&many);
    buf_add_text(&many, "a=");
    for (int i = 0; i <= COOKIE_VALUE_MAX; i++)
        buf_add_char(&many, 's');
    refused(buf_span(&many), 0, E_BAD_INPUT, "too long");
    buf_free(&many);
}

static void what_was_written_is_read_again_as_the_same(void **state)
{
    (void)state;
    struct read once = read_text(SPAN("auth_token=\"q\\u\"; ct0=c; lang=en"), 2);
    assert_int_equal(once.result, E_OK);
    struct read again = read_text(buf_span(&once.out), 2);
    assert_int_equal(again.result, E_OK);
    assert_true(span_eq(buf_span(&once.out), buf_span(&again.out)));
    buf_free(&once.out);
    buf_free(&again.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_of_a_cookie_header_is_read),
        cmocka_unit_test(cookies_txt_is_read),
        cmocka_unit_test(what_extensions_and_playwright_export_is_read),
        cmocka_unit_test(an_end_is_known_without_a_list_of_login_cookies_only_when_all_end),
        cmocka_unit_test(what_is_no_login_is_refused_and_no_value_is_told),
        cmocka_unit_test(what_was_written_is_read_again_as_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
