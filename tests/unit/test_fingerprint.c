/* Which dead jobs died of the same thing. */
#include "core/fingerprint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void words_are(const char *words, const char *expected)
{
    struct buf out = BUF(FINGERPRINT_WORDS);
    fingerprint_words(span_of(words), &out);
    buf_add_char(&out, '\0');
    assert_int_equal(out.failed, E_OK);
    assert_string_equal(out.p, expected);
    buf_free(&out);
}

static void what_is_of_one_job_alone_is_replaced(void **state)
{
    (void)state;
    words_are("no answer from api.x.com:443 after 12.4 s", "no answer from <host> after <n> s");
    words_are("No  answer from\tx.com after 9ms.", "no answer from <host> after <n>.");
    words_are("operation 'UserTweets' of @nasa is not known: field \"legacy.full_text\"",
              "operation <quoted> of <id> is not known: field <quoted>");
    words_are("job job_01J5ZQ3K4M5N6P7Q8R9S0T1V2W at https://x.com/nasa/status/18 is gone",
              "job <id> at <host> is gone");
    words_are("cannot open /var/lib/fulmar/a.db: no space", "cannot open <path>: no space");
    words_are("connect to 2001:db8::1 and 10.0.0.1 refused",
              "connect to <host> and <n> refused");
    words_are("at 2026-02-06T21:09:45Z 80% of #opendata", "at <n> <n> of <id>");
    words_are("", "");
}

static void an_apostrophe_opens_no_quote(void **state)
{
    (void)state;
    words_are("the site's list can't end: it's \"one", "the site's list can't end: it's \"one");
    words_are("'it's so' is no answer", "<quoted> is no answer");
}

static void print_of(const char *site, const char *kind, enum failure_class c,
                     const char *words, char out[FINGERPRINT_TEXT])
{
    fingerprint_make(span_of(site), span_of(kind), c, span_of(words), out);
    assert_true(fingerprint_valid(span_of(out)));
}

static void one_trouble_has_one_fingerprint_and_another_has_another(void **state)
{
    (void)state;
    char first[FINGERPRINT_TEXT], other[FINGERPRINT_TEXT];
    print_of("x", "posts", FAILURE_NETWORK, "no answer from x.com after 9 s", first);
    print_of("x", "posts", FAILURE_NETWORK, "no answer from api.x.com after 12.4 s", other);
    assert_string_equal(first, other);
    print_of("x", "search", FAILURE_NETWORK, "no answer from x.com after 9 s", other);
    assert_string_not_equal(first, other);
    print_of("y", "posts", FAILURE_NETWORK, "no answer from x.com after 9 s", other);
    assert_string_not_equal(first, other);
    print_of("x", "posts", FAILURE_TIMEOUT, "no answer from x.com after 9 s", other);
    assert_string_not_equal(first, other);
    print_of("x", "posts", FAILURE_NETWORK, "x.com closed the connection", other);
    assert_string_not_equal(first, other);
}

/* It is stored: another value for the same words would split every group at an update. */
static void a_fingerprint_never_changes(void **state)
{
    (void)state;
    char print[FINGERPRINT_TEXT];
    print_of("x", "posts", FAILURE_DRIFT, "UserTweets: no 'entries' after 3 pages", print);
    assert_string_equal(print, "6f0a822213aee05b");
}

/* Words come from pages: whatever they are, the result is bounded and the same again. */
static void any_words_are_bounded(void **state)
{
    (void)state;
    static const char pool[] = "ab09'\"`./:@#%-_ \t\n\xc3\xa4\xff~()[]{}T,";
    uint64_t random = 7;
    for (int round = 0; round < 20000; round++) {
        char text[1200];
        size_t n = (random >> 33) % sizeof text;
        for (size_t i = 0; i < n; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            text[i] = pool[(random >> 33) % (sizeof pool - 1)];
        }
        struct buf once = BUF(FINGERPRINT_WORDS), again = BUF(FINGERPRINT_WORDS);
        fingerprint_words((struct span){text, n}, &once);
        fingerprint_words((struct span){text, n}, &again);
        assert_int_equal(once.failed, E_OK);
        assert_true(span_eq(buf_span(&once), buf_span(&again)));
        buf_free(&once);
        buf_free(&again);
        random += n;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_of_one_job_alone_is_replaced),
        cmocka_unit_test(an_apostrophe_opens_no_quote),
        cmocka_unit_test(one_trouble_has_one_fingerprint_and_another_has_another),
        cmocka_unit_test(a_fingerprint_never_changes),
        cmocka_unit_test(any_words_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
