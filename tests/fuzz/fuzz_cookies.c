/* Cookies as people send them: whatever is accepted is read again as the same, and no words tell a value. */
#include "base/need.h"
#include "wire/cookies.h"

static bool is_ours(void *ctx, struct span domain)
{
    (void)ctx;
    return span_is(domain, "x.com") || span_ends(domain, SPAN(".x.com"));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct json_parser *parser = json_parser_new((size_t)COOKIES_TEXT_MAX * 2);
    struct cookies_wanted wanted = {.domain = SPAN("x.com"), .belongs = is_ours};
    struct buf once = BUF(COOKIES_TEXT_MAX), again = BUF(COOKIES_TEXT_MAX);
    struct cookies_facts facts, same;
    struct fault f = {0};
    struct span text = {(const char *)bytes, n};
    wall now = {1800000000000};
    err e = cookies_read(text, &wanted, now, parser, &once, &facts, &f);
    need(e == E_OK || f.words[0]);
    if (e == E_OK) {
        need(facts.kept > 0 && facts.kept <= COOKIES_MAX);
        need(cookies_read(buf_span(&once), &wanted, now, parser, &again, &same, &f) == E_OK);
        need(span_eq(buf_span(&once), buf_span(&again)));
        need(same.kept == facts.kept);
    }
    buf_free(&once);
    buf_free(&again);
    json_parser_free(&parser);
    return 0;
}
