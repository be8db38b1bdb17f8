#include "base/base64.h"
#include "cli/gzip.h"
#include "os/digest.h"
#include "wire/warc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void a_record_is_as_the_standard_writes_it(void **state)
{
    (void)state;
    struct buf out = BUF(10000);
    unsigned char digest[DIGEST_BYTES];
    const unsigned char info[WARC_ID] = {0};
    digest_sha256(SPAN("abd"), digest);
    struct warc_record r = {.type = WARC_RESOURCE,
                            .id = {0, 1, 2, 3, 4, 5, 0xff, 7, 0xff, 9, 10, 11, 12, 13, 14, 15},
                            .info = info,
                            .digest = digest,
                            .uri = SPAN("https://x.com/a"),
                            .content_type = SPAN("text/plain"),
                            .date = {1770412185123},
                            .block = SPAN("abd")};
    warc_add(&out, &r);
    assert_true(span_is(
        buf_span(&out),
        "WARC/1.1\r\n"
        "WARC-Type: resource\r\n"
        "WARC-Record-ID: <urn:uuid:00010203-0405-4f07-bf09-0a0b0c0d0e0f>\r\n"
        "WARC-Date: 2026-02-06T21:09:45.123Z\r\n"
        "WARC-Warcinfo-ID: <urn:uuid:00000000-0000-4000-8000-000000000000>\r\n"
        "WARC-Target-URI: https://x.com/a\r\n"
        "WARC-Block-Digest: sha256:UUWRLHZGFMWG3W3SJJQYIC7PYNXLGDEIQ55EAMFWLS7IMKMEJHEQ====\r\n"
        "WARC-Payload-Digest: sha256:UUWRLHZGFMWG3W3SJJQYIC7PYNXLGDEIQ55EAMFWLS7IMKMEJHEQ====\r\n"
        "Content-Type: text/plain\r\n"
        "Content-Length: 3\r\n\r\n"
        "abd\r\n\r\n"));
    buf_free(&out);
}

static void nothing_from_outside_ends_a_line_of_the_head(void **state)
{
    (void)state;
    struct buf out = BUF(10000);
    struct warc_record r = {.type = WARC_RESOURCE,
                            .uri = SPAN("https://x.com/a b\r\nWARC-Type: response"),
                            .content_type = SPAN("text/html\r\n\r\nHTTP/1.1 200"),
                            .block = SPAN("")};
    warc_add(&out, &r);
    struct span rest = buf_span(&out), line;
    int lines = 0;
    while (span_next(&rest, '\n', &line)) {
        assert_false(span_starts(line, SPAN("WARC-Type: response")));
        assert_false(span_starts(line, SPAN("HTTP/1.1")));
        lines++;
    }
    assert_int_equal(lines, 7 + 3); /* seven of the head, an empty one, the block, its end */
    buf_clear(&out);
    warc_add_field(&out, "why", SPAN("one\r\ntwo"));
    assert_true(span_is(buf_span(&out), "why: one  two\r\n"));
    buf_free(&out);
}

static void base64_is_read_whole_or_not_at_all(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"TWFu", "Man"},       {"TWE=", "Ma"},
                                           {"TQ==", "M"},         {"", ""},
                                           {"TWFuTWE=", "ManMa"}, {"+/+/", "\xfb\xff\xbf"}};
    static const char *const bad[] = {"TWF",  "TWF*",  "T===", "TQ==TWFu",
                                      "=TWF", "TW\nu", "TW u"};
    struct buf out = BUF(100);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        buf_clear(&out);
        if (*pairs[i][0])
            assert_true(base64_add_plain(&out, span_of(pairs[i][0])));
        assert_true(span_is(buf_span(&out), pairs[i][1]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        buf_clear(&out);
        assert_false(base64_add_plain(&out, span_of(bad[i])));
        assert_int_equal(out.n, 0);
    }
    struct buf small = BUF(2);
    assert_false(base64_add_plain(&small, SPAN("TWFu")));
    buf_free(&small);
    buf_free(&out);
}

static void a_member_begins_as_gzip_does(void **state)
{
    (void)state;
    struct buf out = BUF(1000), small = BUF(4);
    assert_int_equal(gzip_add(&out, SPAN("hello hello hello")), E_OK);
    assert_true(out.n > 18 && (unsigned char)out.p[0] == 0x1f &&
                (unsigned char)out.p[1] == 0x8b);
    size_t one = out.n;
    assert_int_equal(gzip_add(&out, SPAN("")), E_OK); /* members follow each other */
    assert_true(out.n > one && (unsigned char)out.p[one] == 0x1f);
    assert_int_equal(gzip_add(&small, SPAN("hello")), E_TOO_BIG);
    buf_free(&out);
    buf_free(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_as_the_standard_writes_it),
        cmocka_unit_test(nothing_from_outside_ends_a_line_of_the_head),
        cmocka_unit_test(base64_is_read_whole_or_not_at_all),
        cmocka_unit_test(a_member_begins_as_gzip_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
