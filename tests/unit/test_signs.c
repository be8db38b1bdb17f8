/* Every row of sites/x/signs.yaml: something that it, and no row before it, is meant for. A row that nothing
 * here is meant for fails the test, so that no sign comes without its proof. Needs no recordings. */
#include "base/json.h"
#include "extract/reader.h"
#include "extract/site.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../lib/pack.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS_MAX = 64, BODY_BYTES = 1 << 20 };

static struct pack *pack;
static struct json_parser *parser, *header_parser;
static struct arena *arena;

static struct json parsed(struct json_parser *p, const char *text)
{
    struct json root;
    if (!text)
        return JSON_MISSING;
    assert_int_equal(json_parse(p, span_of(text), &root, NULL), E_OK);
    return root;
}

/* Which rows had their case. */
struct tally {
    const char *section;
    bool seen[ROWS_MAX];
};

static void all_seen(const struct tally *t, size_t rows)
{
    assert_true(rows <= ROWS_MAX && rows > 0);
    for (size_t i = 0; i < rows; i++)
        if (!t->seen[i])
            fail_msg("signs.yaml, %s: no case for row %zu", t->section, i + 1);
}

static void note(struct tally *t, size_t row, size_t rows, const char *what)
{
    if (row >= rows)
        fail_msg("%s: no row takes %s", t->section, what);
    t->seen[row] = true;
}

/* The table cut to its first n rows says nothing but FAILURE_INTERNAL of what no row takes. */
static size_t first_row(struct sign (*ask)(const struct signs *s, const void *what),
                        struct sign_table *(*table)(struct signs *s), const void *what)
{
    struct signs s = pack->signs;
    struct sign_table *t = table(&s);
    size_t rows = t->count;
    t->otherwise = FAILURE_INTERNAL;
    for (size_t n = 0; n < rows; n++) {
        t->count = n + 1;
        struct sign got = ask(&s, what);
        if (got.is != FAILURE_INTERNAL && (got.is != FAILURE_NONE || got.state.n))
            return n;
    }
    return rows;
}

static void is(enum failure_class wanted, struct sign got, const char *what)
{
    if (got.is != wanted)
        fail_msg("%s: wanted %s, got %s", what, failure_name(wanted), failure_name(got.is));
}

/* ---- errors[] of an answer ---- */

struct error_case {
    const char *error;
    int64_t remaining;
    enum failure_class is;
    const char *why; /* words of it; NULL: those of the site */
};
static struct sign ask_error(const struct signs *s, const void *what)
{
    const struct error_case *c = what;
    char body[600];
    snprintf(body, sizeof body, "{\"errors\":[%s]}", c->error);
    return signs_errors(s, parsed(parser, body), c->remaining);
}
static struct sign_table *error_table(struct signs *s)
{
    return &s->error_rules;
}

static void each_error_means_one_thing(void **state)
{
    (void)state;
    static const struct error_case cases[] = {
        {"{\"code\":17,\"message\":\"User not found.\"}", -1, FAILURE_NOT_FOUND,
         "no such account"},
        {"{\"code\":34,\"message\":\"Sorry, that page does not exist\"}", -1, FAILURE_NOT_FOUND,
         "no such account"},
        {"{\"code\":50,\"message\":\"User not found.\"}", -1, FAILURE_NOT_FOUND,
         "no such account"},
        {"{\"message\":\"_Missing: No status found with that ID.\",\"extensions\":{\"code\":144}}",
         -1, FAILURE_NOT_FOUND, "no such post"},
        {"{\"code\":22,\"message\":\"Not authorized to view\"}", -1, FAILURE_PROTECTED,
         "approved followers"},
        {"{\"code\":179,\"message\":\"Sorry, you are not authorized to see this status.\"}", -1,
         FAILURE_PROTECTED, "approved followers"},
        {"{\"code\":47,\"message\":\"suspended\"}", -1, FAILURE_SUSPENDED,
         "the account is suspended"},
        {"{\"code\":63,\"message\":\"User has been suspended.\"}", -1, FAILURE_SUSPENDED,
         "the account is suspended"},
        {"{\"code\":421,\"message\":\"unavailable\"}", -1, FAILURE_WITHHELD,
         "the post no more, or not here"},
        {"{\"code\":422,\"message\":\"withheld\"}", -1, FAILURE_WITHHELD,
         "the post no more, or not here"},
        {"{\"code\":88,\"message\":\"Rate limit exceeded.\"}", 0, FAILURE_RATE_LIMITED,
         "of this window"},
        {"{\"code\":88,\"message\":\"Rate limit exceeded.\"}", 97, FAILURE_SESSION_INVALID,
         "the session is restricted"},
        {"{\"code\":32,\"message\":\"Could not authenticate you.\"}", -1,
         FAILURE_SESSION_INVALID, "session was refused"},
        {"{\"code\":37,\"message\":\"no\"}", -1, FAILURE_SESSION_INVALID,
         "session was refused"},
        {"{\"code\":64,\"message\":\"Your account is suspended\"}", -1, FAILURE_SESSION_INVALID,
         "session was refused"},
        {"{\"code\":326,\"message\":\"this account is temporarily locked\"}", -1,
         FAILURE_SESSION_INVALID, "unlock it"},
        {"{\"code\":353,\"message\":\"csrf\"}", -1, FAILURE_SESSION_INVALID, "csrf cookie"},
        {"{\"code\":89,\"message\":\"Invalid or expired token.\"}", -1, FAILURE_SESSION_INVALID,
         "the page's token"},
        {"{\"code\":239,\"message\":\"bad guest token\"}", -1, FAILURE_SESSION_INVALID,
         "the page's token"},
        {"{\"code\":200,\"message\":\"forbidden\"}", -1, FAILURE_SESSION_INVALID,
         "forbids this"},
        {"{\"code\":366,\"message\":\"flow\"}", -1, FAILURE_SESSION_INVALID, "login flow"},
        {"{\"code\":399,\"message\":\"flow\"}", -1, FAILURE_SESSION_INVALID, "login flow"},
        {"{\"code\":112,\"message\":\"You must specify either a list ID or a slug\"}", -1,
         FAILURE_BAD_INPUT, "list or timeline"},
        {"{\"code\":214,\"message\":\"BadRequest: ERROR_EMPTY_QUERY\"}", -1, FAILURE_BAD_INPUT,
         NULL},
        {"{\"code\":336,\"message\":\"The following features cannot be null: x\"}", -1,
         FAILURE_DRIFT, "is stale"},
        {"{\"code\":25,\"message\":\"Timeout\"}", -1, FAILURE_TIMEOUT,
         "did not answer in time"},
        {"{\"code\":29,\"message\":\"Timeout: Unspecified\"}", -1, FAILURE_TIMEOUT,
         "did not answer in time"},
        {"{\"code\":131,\"message\":\"Internal error\"}", -1, FAILURE_NETWORK,
         "an error of its own"},
        {"{\"message\":\"Timeout: Unspecified\"}", -1, FAILURE_TIMEOUT,
         "did not answer in time"},
        {"{\"message\":\"LoadShed\"}", -1, FAILURE_NETWORK, "over capacity"},
        {"{\"message\":\"DownstreamOverCapacityError\"}", -1, FAILURE_NETWORK, "over capacity"},
        {"{\"message\":\"Over capacity\"}", -1, FAILURE_NETWORK, "over capacity"},
        {"{\"message\":\"Dependency: Unspecified\"}", -1, FAILURE_NETWORK, "servers failed"},
        {"{\"message\":\"ServiceUnavailable: 503\"}", -1, FAILURE_NETWORK, "servers failed"},
        {"{\"message\":\"Internal: Unspecified\"}", -1, FAILURE_NETWORK, "servers failed"},
        {"{\"message\":\"Rate limit exceeded\"}", -1, FAILURE_RATE_LIMITED, "of this window"},
        {"{\"message\":\"Authorization: Denied by access control\"}", -1,
         FAILURE_SESSION_INVALID, "unlock it"},
    };
    struct tally t = {.section = "error_rules"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        note(&t, first_row(ask_error, error_table, &cases[i]), pack->signs.error_rules.count,
             cases[i].error);
        struct sign got = ask_error(&pack->signs, &cases[i]);
        is(cases[i].is, got, cases[i].error);
        const char *words = cases[i].why ? cases[i].why : "ERROR_EMPTY_QUERY";
        if (span_find(got.why, span_of(words)) == got.why.n)
            fail_msg("%s: the reason is '%.*s', not '%s'", cases[i].error, SP(got.why), words);
    }
    all_seen(&t, pack->signs.error_rules.count);
    const struct error_case nobody = {"{\"code\":9999,\"message\":\"news\"}", -1,
                                      FAILURE_NETWORK, NULL};
    is(FAILURE_NETWORK, ask_error(&pack->signs, &nobody), "an error nobody knows");
}

/* Of what a new page mends: a token that is used up, and no session that was refused. */
static void errors_of_tokens_ask_for_a_new_page(void **state)
{
    (void)state;
    static const int codes[] = {89, 239, 353, 32, 37, 64, 88, 200, 326, 366, 399, 131, 336};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        char error[64];
        snprintf(error, sizeof error, "{\"code\":%d,\"message\":\"no\"}", codes[i]);
        const struct error_case one = {error, -1, FAILURE_NONE, NULL};
        assert_int_equal(ask_error(&pack->signs, &one).says == SAYS_RENEW, i < 3);
    }
}

/* ---- the answer as such ---- */

struct answer_case {
    int status;
    const char *headers, *body;
    enum failure_class is;
};
static struct sign ask_answer(const struct signs *s, const void *what)
{
    const struct answer_case *c = what;
    return signs_answer(s, c->status, parsed(header_parser, c->headers), span_of(c->body));
}
static struct sign_table *answer_table(struct signs *s)
{
    return &s->answers;
}

static void each_kind_of_answer_means_one_thing(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        {429, NULL, "Rate limit exceeded\n", FAILURE_RATE_LIMITED},
        {302, "{\"Location\":\"/i/flow/login?redirect_after_login=%2Fa\"}", "",
         FAILURE_LOGIN_REQUIRED},
        {503, "{\"cf-ray\":\"8f\"}", "<!DOCTYPE html>", FAILURE_BLOCKED},
        {403, "{\"Server\":\"cloudflare\"}", "<html>", FAILURE_BLOCKED},
        {200, NULL, "<!DOCTYPE html><title>Just a moment...</title>", FAILURE_BLOCKED},
        {401, NULL, "", FAILURE_SESSION_INVALID},
        {403, NULL, "", FAILURE_SESSION_INVALID},
        {404, NULL, "", FAILURE_BLOCKED},
        {404, NULL, "<html>", FAILURE_DRIFT},
        {421, NULL, "", FAILURE_NETWORK},
        {422, NULL, "", FAILURE_DRIFT},
        {400, NULL, "no", FAILURE_DRIFT},
        {410, NULL, "", FAILURE_DRIFT},
        {500, NULL, "", FAILURE_NETWORK},
        {599, NULL, "", FAILURE_NETWORK},
    };
    struct tally t = {.section = "answers"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[40];
        snprintf(name, sizeof name, "answer %zu with %d", i + 1, cases[i].status);
        note(&t, first_row(ask_answer, answer_table, &cases[i]), pack->signs.answers.count,
             name);
        is(cases[i].is, ask_answer(&pack->signs, &cases[i]), name);
        if (!ask_answer(&pack->signs, &cases[i]).why.n)
            fail_msg("%s: no reason is given", name);
    }
    all_seen(&t, pack->signs.answers.count);
    is(FAILURE_DRIFT, signs_answer(&pack->signs, 200, JSON_MISSING, SPAN("words")), "words");
}

/* ---- pages and what they say ---- */

static struct sign ask_page(const struct signs *s, const void *what)
{
    return signs_page(s, span_of(what), 200, SPAN_NONE);
}
static struct sign_table *page_table(struct signs *s)
{
    return &s->pages;
}

static void each_place_a_page_ends_at_means_one_thing(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        enum failure_class is;
    } cases[] = {
        {"https://x.com/i/flow/login?redirect_after_login=%2Fa", FAILURE_LOGIN_REQUIRED},
        {"https://x.com/login", FAILURE_LOGIN_REQUIRED},
        {"https://x.com/account/access", FAILURE_SESSION_INVALID},
    };
    struct tally t = {.section = "pages"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        note(&t, first_row(ask_page, page_table, cases[i].url), pack->signs.pages.count,
             cases[i].url);
        is(cases[i].is, ask_page(&pack->signs, cases[i].url), cases[i].url);
    }
    all_seen(&t, pack->signs.pages.count);
    is(FAILURE_NONE, ask_page(&pack->signs, "https://x.com/nasa"), "an account's page");
}

static struct sign ask_words(const struct signs *s, const void *what)
{
    return signs_words(s, span_of(what));
}
static struct sign_table *state_table(struct signs *s)
{
    return &s->states;
}

static void each_word_of_a_page_means_one_thing(void **state)
{
    (void)state;
    static const struct {
        const char *words, *state;
        enum failure_class is;
        enum sign_says says;
    } cases[] = {
        {"Account suspended\nX suspends accounts which violate the X Rules", "suspended",
         FAILURE_SUSPENDED, SAYS_NOTHING},
        {"User \"a\" has been suspended", "suspended", FAILURE_SUSPENDED, SAYS_NOTHING},
        {"This account doesn’t exist\nTry searching for another.", "not_found",
         FAILURE_NOT_FOUND, SAYS_NOTHING},
        {"Hmm...this page doesn’t exist. Try searching for something else.", "not_found",
         FAILURE_NOT_FOUND, SAYS_NOTHING},
        {"User \"a\" not found", "not_found", FAILURE_NOT_FOUND, SAYS_NOTHING},
        {"Tweet not found", "not_found", FAILURE_NOT_FOUND, SAYS_NOTHING},
        {"These posts are protected\nOnly approved followers can see @a’s posts.", "protected",
         FAILURE_PROTECTED, SAYS_NOTHING},
        {"@a has blocked you\nYou can view public posts from @a", "blocked", FAILURE_PROTECTED,
         SAYS_NOTHING},
        {"You’re blocked", "blocked", FAILURE_PROTECTED, SAYS_NOTHING},
        {"@a’s account has been withheld in Germany in response to a legal demand. Learn more",
         "withheld", FAILURE_WITHHELD, SAYS_NOTHING},
        {"Sorry, you are rate limited. Please wait a few moments then try again.",
         "rate_limited", FAILURE_RATE_LIMITED, SAYS_NOTHING},
        {"Instance has been rate limited.", "rate_limited", FAILURE_RATE_LIMITED, SAYS_NOTHING},
        {"Your account has been locked", "account_locked", FAILURE_SESSION_INVALID,
         SAYS_NOTHING},
        {"Sign in to X", "login_wall", FAILURE_LOGIN_REQUIRED, SAYS_NOTHING},
        {"Caution: This account is temporarily restricted", "restricted", FAILURE_WITHHELD,
         SAYS_NOTHING},
        {"Caution: This profile may include potentially sensitive content", "sensitive",
         FAILURE_WITHHELD, SAYS_NOTHING},
        {"Age-restricted adult content. This content might not be appropriate",
         "age_restricted", FAILURE_WITHHELD, SAYS_NOTHING},
        {"No results for “q”\nTry searching for something else, or check your Search settings to "
         "see if they’re protecting you from potentially sensitive content.",
         "search_empty", FAILURE_NONE, SAYS_EMPTY},
        {"@a hasn’t posted\nWhen they do, their posts will show up here.", "empty",
         FAILURE_NONE, SAYS_EMPTY},
        {"No items found", "empty", FAILURE_NONE, SAYS_EMPTY},
        {"No more items", "end", FAILURE_NONE, SAYS_END},
        {"the page is loading", "loading", FAILURE_NONE, SAYS_WAIT},
        {"Something went wrong. Try reloading.", "error_retry", FAILURE_NETWORK, SAYS_NOTHING},
        {"the page could not start", "script_fail", FAILURE_NETWORK, SAYS_NOTHING},
    };
    struct tally t = {.section = "states"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sign got = ask_words(&pack->signs, cases[i].words);
        note(&t, first_row(ask_words, state_table, cases[i].words), pack->signs.states.count,
             cases[i].words);
        is(cases[i].is, got, cases[i].words);
        if (!span_is(got.state, cases[i].state) || got.says != cases[i].says)
            fail_msg("%s: wanted %s, got %.*s", cases[i].words, cases[i].state, SP(got.state));
    }
    all_seen(&t, pack->signs.states.count);
}

/* ---- objects in place of records ---- */

static void each_object_in_place_of_a_record_means_one_thing(void **state)
{
    (void)state;
    static const struct {
        size_t row;
        const char *object, *state;
        enum failure_class is;
    } cases[] = {
        {0, "{\"__typename\":\"TweetTombstone\",\"tombstone\":{}}", "age_restricted",
         FAILURE_WITHHELD},
        {1,
         "{\"__typename\":\"TweetTombstone\",\"tombstone\":{\"text\":{\"text\":\"This Post is from "
         "a suspended account. Learn more\"}}}",
         "suspended", FAILURE_SUSPENDED},
        {1,
         "{\"__typename\":\"TweetTombstone\",\"tombstone\":{\"richText\":{\"text\":\"This Post is "
         "unavailable.\"}}}",
         "unknown", FAILURE_WITHHELD},
        {2, "{\"__typename\":\"TweetUnavailable\",\"reason\":\"Deleted\"}", "deleted",
         FAILURE_NOT_FOUND},
        {2, "{\"__typename\":\"TweetUnavailable\"}", "unknown", FAILURE_WITHHELD},
        {3, "{\"__typename\":\"TweetPreviewDisplay\"}", "preview_only", FAILURE_WITHHELD},
        {4, "{\"__typename\":\"UserUnavailable\",\"message\":\"User is suspended\"}",
         "suspended", FAILURE_SUSPENDED},
        {4, "{\"__typename\":\"UserUnavailable\",\"unavailable_reason\":\"Suspended\"}",
         "suspended", FAILURE_SUSPENDED},
        {4, "{\"__typename\":\"UserUnavailable\",\"reason\":\"Protected\"}", "protected",
         FAILURE_PROTECTED},
    };
    struct tally t = {.section = "unavailable.types"};
    const struct signs *s = &pack->signs;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct absent got;
        struct json object = parsed(parser, cases[i].object);
        struct signs before = *s;
        before.absence_count = cases[i].row;
        assert_false(signs_absence(&before, object, &got));
        before.absence_count = cases[i].row + 1;
        assert_true(signs_absence(&before, object, &got));
        note(&t, cases[i].row, s->absence_count, cases[i].object);
        if (!span_is(got.state, cases[i].state))
            fail_msg("%s: wanted %s, got %.*s", cases[i].object, cases[i].state, SP(got.state));
        is(cases[i].is, signs_of_state(s, got.state), cases[i].object);
    }
    all_seen(&t, s->absence_count);
    struct absent got;
    assert_false(signs_absence(s, parsed(parser, "{\"__typename\":\"Tweet\"}"), &got));
}

static void each_reason_and_text_means_one_state(void **state)
{
    (void)state;
    static const char *const reasons[][2] = {
        {"Suspended", "suspended"},
        {"Protected", "protected"},
        {"Deleted", "deleted"},
        {"NsfwLoggedOut", "age_restricted"},
        {"NsfwViewerHasNoStatedAge", "age_restricted"},
        {"NsfwViewerIsUnderage", "age_restricted"},
        {"Withheld", "withheld"},
        {"NotFound", "not_found"},
    };
    static const char *const texts[][2] = {
        {"This Tweet is from a suspended account. {learnmore}", "suspended"},
        {"User is suspended", "suspended"},
        {"This Post is from an account that no longer exists. Learn more", "not_found"},
        {"This Post was deleted by the Post author. Learn more", "deleted"},
        {"You’re unable to view this Post because this account owner limits who can view their "
         "Posts. Learn more",
         "protected"},
        {"Age-restricted adult content. This content might not be appropriate for people under 18 "
         "years old.",
         "age_restricted"},
        {"This Post from @a has been withheld in Germany in response to a legal demand.",
         "withheld"},
        {"This Post violated the X Rules. Learn more", "withheld"},
        {"You’re unable to view this Post because you are blocked by its author", "blocked"},
        {"There’s a new version of this Post.", "edited"},
        {"This Post is unavailable. Learn more", "unknown"},
    };
    const struct signs *s = &pack->signs;
    struct tally by_reason = {.section = "unavailable.reasons"};
    struct tally by_text = {.section = "unavailable.texts"};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        char object[120];
        struct absent got;
        size_t row = 0;
        snprintf(object, sizeof object,
                 "{\"__typename\":\"TweetUnavailable\",\"reason\":\"%s\"}", reasons[i][0]);
        while (row < s->reason_count && !span_is(s->reasons[row].from, reasons[i][0]))
            row++;
        note(&by_reason, row, s->reason_count, reasons[i][0]);
        assert_true(signs_absence(s, parsed(parser, object), &got));
        assert_true(span_is(got.state, reasons[i][1]));
    }
    all_seen(&by_reason, s->reason_count);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct signs cut = *s;
        struct span got = signs_text_state(s, span_of(texts[i][0]));
        if (!span_is(got, texts[i][1]))
            fail_msg("%s: wanted %s, got %.*s", texts[i][0], texts[i][1], SP(got));
        for (cut.text_count = 1; cut.text_count <= s->text_count; cut.text_count++)
            if (!span_is(signs_text_state(&cut, span_of(texts[i][0])), "unknown"))
                break;
        if (cut.text_count <= s->text_count)
            by_text.seen[cut.text_count - 1] = true;
    }
    all_seen(&by_text, s->text_count);
}

static void each_state_has_its_class(void **state)
{
    (void)state;
    static const struct {
        const char *state;
        enum failure_class is;
    } cases[] = {
        {"suspended", FAILURE_SUSPENDED},     {"protected", FAILURE_PROTECTED},
        {"deleted", FAILURE_NOT_FOUND},       {"not_found", FAILURE_NOT_FOUND},
        {"age_restricted", FAILURE_WITHHELD}, {"withheld", FAILURE_WITHHELD},
        {"blocked", FAILURE_PROTECTED},       {"preview_only", FAILURE_WITHHELD},
        {"edited", FAILURE_NOT_FOUND},        {"restricted", FAILURE_WITHHELD},
        {"sensitive", FAILURE_WITHHELD},      {"unknown", FAILURE_WITHHELD},
    };
    const struct signs *s = &pack->signs;
    struct tally t = {.section = "unavailable.states"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t row = 0;
        while (row < s->class_count && !span_is(s->classes[row].state, cases[i].state))
            row++;
        note(&t, row, s->class_count, cases[i].state);
        is(cases[i].is, signs_of_state(s, span_of(cases[i].state)), cases[i].state);
        assert_true(signs_of_state(s, span_of(cases[i].state)).why.n > 0);
    }
    all_seen(&t, s->class_count);
    /* every state that a reason or a text names has a class */
    for (size_t i = 0; i < s->reason_count; i++)
        assert_true(signs_of_state(s, s->reasons[i].to).is != FAILURE_NONE);
    for (size_t i = 0; i < s->text_count; i++)
        assert_true(signs_of_state(s, s->texts[i].why).is != FAILURE_NONE);
}

/* ---- the whole way: an answer with its headers ---- */

static void a_limit_says_when_it_opens_again(void **state)
{
    (void)state;
    static const struct operation op = {.name = {"UserTweets", 10}, .role = OP_TIMELINE};
    static const wall now = {1786093200000};
    struct reader *reader = reader_new(pack, BODY_BYTES);
    struct reading r;
    static const struct {
        const char *headers;
        int64_t reset_s;
    } cases[] = {
        {"{\"x-rate-limit-reset\":\"1786093500\",\"x-rate-limit-remaining\":\"0\"}",
         1786093500},
        {"{\"retry-after\":\"30\"}", 1786093230},
        {"{\"x-rate-limit-reset\":\"soon\"}", 0},
        {NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        arena_reset(arena);
        assert_int_equal(reader_answer(reader, &op, 429, span_of(cases[i].headers),
                                       SPAN("Rate limit exceeded\n"), now, arena, &r, NULL),
                         E_OK);
        assert_int_equal(r.sign, FAILURE_RATE_LIMITED);
        assert_int_equal(r.reset_at_s, cases[i].reset_s);
        assert_int_equal(r.remaining, i == 0 ? 0 : -1);
    }
    reader_free(&reader);
}

static int set_up(void **state)
{
    (void)state;
    pack = open_site("x");
    parser = json_parser_new(BODY_BYTES);
    header_parser = json_parser_new(BODY_BYTES);
    arena = arena_new((size_t)BODY_BYTES * 4);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    json_parser_free(&parser);
    json_parser_free(&header_parser);
    arena_free(&arena);
    pack_close(&pack);
    return 0;
}

#define T(name) cmocka_unit_test(name)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(each_error_means_one_thing),
        T(errors_of_tokens_ask_for_a_new_page),
        T(each_kind_of_answer_means_one_thing),
        T(each_place_a_page_ends_at_means_one_thing),
        T(each_word_of_a_page_means_one_thing),
        T(each_object_in_place_of_a_record_means_one_thing),
        T(each_reason_and_text_means_one_state),
        T(each_state_has_its_class),
        T(a_limit_says_when_it_opens_again),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
