#include "core/evidence.h"
#include "os/digest.h"
#include "store/compress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void names_read_back_and_every_gap_has_words(void **state)
{
    (void)state;
    for (int i = 0; i < EVIDENCE_KEEPS; i++) {
        enum evidence_keep k = EVIDENCE_KEEPS;
        assert_true(
            evidence_keep_parse(span_of(evidence_keep_name((enum evidence_keep)i)), &k));
        assert_int_equal(k, i);
    }
    for (int i = 0; i < EVIDENCE_KINDS; i++) {
        enum evidence_kind k = EVIDENCE_KINDS;
        assert_true(
            evidence_kind_parse(span_of(evidence_kind_name((enum evidence_kind)i)), &k));
        assert_int_equal(k, i);
    }
    for (int i = 0; i < GAPS; i++) {
        assert_true(strlen(evidence_gap_words((enum evidence_gap)i)) > 10);
        assert_true(strlen(evidence_gap_name((enum evidence_gap)i)) > 3);
    }
    enum evidence_keep k;
    assert_false(evidence_keep_parse(SPAN("sometimes"), &k));
}

static void what_is_kept_when(void **state)
{
    (void)state;
    for (int c = 0; c < FAILURE_COUNT; c++) {
        enum failure_class f = (enum failure_class)c;
        assert_false(evidence_of_failure(EVIDENCE_NEVER, f));
        assert_false(evidence_wants_picture(EVIDENCE_NEVER, f));
        /* A picture is only taken of what is kept anyway. */
        if (evidence_wants_picture(EVIDENCE_ON_FAILURE, f))
            assert_true(evidence_of_failure(EVIDENCE_ON_FAILURE, f));
    }
    assert_true(evidence_of_failure(EVIDENCE_ON_FAILURE, FAILURE_DRIFT));
    assert_false(evidence_of_failure(EVIDENCE_ON_FAILURE, FAILURE_NONE));
    assert_false(evidence_of_failure(EVIDENCE_ALWAYS, FAILURE_CANCELLED));
    assert_true(evidence_wants_picture(EVIDENCE_ALWAYS, FAILURE_STUCK));
    assert_false(evidence_wants_picture(EVIDENCE_ALWAYS, FAILURE_NOT_FOUND));
    assert_true(evidence_shows(FAILURE_DRIFT) && evidence_shows(FAILURE_EMPTY_SUSPECT));
    assert_false(evidence_shows(FAILURE_NETWORK) || evidence_shows(FAILURE_NONE));
}

static void headers_that_identify_somebody_are_never_kept(void **state)
{
    (void)state;
    static const char *const kept[] = {"Content-Type", "x-rate-limit-remaining", "LINK",
                                       "date",         "ratelimit-policy",       "RateLimit",
                                       "retry-after"};
    static const char *const refused[] = {"set-cookie",
                                          "Set-Cookie2",
                                          "cookie",
                                          "authorization",
                                          "Proxy-Authorization",
                                          "x-csrf-token",
                                          "www-authenticate",
                                          "x-guest-token",
                                          "x-auth-token",
                                          "location",
                                          "content-type-options",
                                          "ratelimitx",
                                          "",
                                          "x-rate-limi",
                                          "x-served-by",
                                          "x-transaction-id"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        assert_true(evidence_header_kept(span_of(kept[i])));
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_false(evidence_header_kept(span_of(refused[i])));
}

static void urls_lose_their_secrets(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"https://x.com/a/b?c=1&d=2", "https://x.com/a/b?c=1&d=2"},
        {"https://u:pw@x.com/a#frag", "https://x.com/a"},
        {"https://x.com/@user?max_id=1", "https://x.com/@user?max_id=1"},
        {"https://x.com/?access_token=abc&x=1", "https://x.com/?access_token=***&x=1"},
        {"https://x.com/?X-Amz-Signature=abc", "https://x.com/?X-Amz-Signature=***"},
        {"https://x.com/?key=abc&keyword=heat", "https://x.com/?key=***&keyword=heat"},
        {"https://x.com/?API_KEY=abc&sig", "https://x.com/?API_KEY=***&sig"},
        {"https://u@x.com?next=a@b", "https://x.com?next=a@b"},
        {"", ""},
        {"https://x.com/?", "https://x.com/?"},
        {"https://x.com/?a&&token=1&", "https://x.com/?a&&token=***&"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct buf b = BUF(1000);
        evidence_url(&b, span_of(pairs[i][0]));
        if (!span_is(buf_span(&b), pairs[i][1]))
            fail_msg("%s → %.*s", pairs[i][0], SP(buf_span(&b)));
        buf_free(&b);
    }
}

static void digests_are_those_of_the_standard(void **state)
{
    (void)state;
    char text[DIGEST_TEXT];
    assert_string_equal(digest_text(SPAN(""), text),
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_string_equal(digest_text(SPAN("abc"), text),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(digest_is_text(span_of(text)));
    assert_false(digest_is_text(SPAN("../../../../etc/passwd")));
    text[5] = 'G';
    assert_false(digest_is_text(span_of(text)));
}

static void what_was_compressed_comes_back_and_damage_shows(void **state)
{
    (void)state;
    static char body[200000];
    memset(body, 'a', sizeof body);
    struct buf frame = BUF(1 << 20), back = BUF(1 << 20);
    struct span all = {body, sizeof body};
    assert_int_equal(compress_add(&frame, all), E_OK);
    assert_true(frame.n < 1000);
    assert_int_equal(compress_take(&back, buf_span(&frame), sizeof body), E_OK);
    assert_true(span_eq(buf_span(&back), all));
    buf_clear(&back);
    assert_int_equal(compress_take(&back, buf_span(&frame), sizeof body - 1), E_TOO_BIG);
    for (size_t n = 0; n < frame.n; n++) {
        buf_clear(&back);
        assert_int_not_equal(compress_take(&back, (struct span){frame.p, n}, sizeof body),
                             E_OK);
    }
    frame.p[frame.n - 1] ^= 1; /* the checksum */
    buf_clear(&back);
    assert_int_equal(compress_take(&back, buf_span(&frame), sizeof body), E_BAD_SYNTAX);
    assert_int_equal(compress_take(&back, SPAN("not zstd at all"), 100), E_BAD_SYNTAX);
    buf_free(&frame);
    buf_free(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_read_back_and_every_gap_has_words),
        cmocka_unit_test(what_is_kept_when),
        cmocka_unit_test(headers_that_identify_somebody_are_never_kept),
        cmocka_unit_test(urls_lose_their_secrets),
        cmocka_unit_test(digests_are_those_of_the_standard),
        cmocka_unit_test(what_was_compressed_comes_back_and_damage_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
