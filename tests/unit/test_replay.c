/* Evidence read again: what the job would have, how it would end, and when that may become its result. */
#include "os/clock.h"
#include "os/files.h"
#include "worker/replay.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

enum { BODIES_MAX = 16 };

struct tape {
    struct replay_answer answers[BODIES_MAX];
    size_t count, at;
    struct buf texts[BODIES_MAX];
    int posts, users;
    char last_id[64];
    err breaks; /* of on_record */
};

static struct pack *x, *bluesky;

static void answer_of(struct tape *t, int64_t attempt, const char *strategy, const char *name,
                      struct span body, int status)
{
    t->answers[t->count++] = (struct replay_answer){.attempt = attempt,
                                                    .batch = (int64_t)t->count,
                                                    .strategy = span_of(strategy),
                                                    .name = span_of(name),
                                                    .headers = SPAN("{}"),
                                                    .body = body,
                                                    .status = status,
                                                    .at = {1780000000000}};
}

static void recorded(struct tape *t, int64_t attempt, const char *strategy, const char *name,
                     const char *file)
{
    struct fault f = {0};
    struct buf *b = &t->texts[t->count];
    *b = BUF(4 << 20);
    assert_int_equal(files_read(AT_FDCWD, file, 4 << 20, b, &f), E_OK);
    answer_of(t, attempt, strategy, name, buf_span(b), 200);
}

/* The site has renamed a member since. */
static void changed(struct tape *t, const char *from, const char *to)
{
    struct buf out = BUF(4 << 20);
    struct span rest = t->answers[t->count - 1].body;
    for (size_t at; (at = span_find(rest, span_of(from))) < rest.n;) {
        buf_add(&out, span_cut(rest, 0, at));
        buf_add_text(&out, to);
        rest = span_cut(rest, at + strlen(from), rest.n);
    }
    buf_add(&out, rest);
    buf_free(&t->texts[t->count - 1]);
    t->texts[t->count - 1] = out;
    t->answers[t->count - 1].body = buf_span(&out);
}

static err next(void *ctx, struct replay_answer *out, struct fault *f)
{
    struct tape *t = ctx;
    (void)f;
    if (t->at == t->count)
        return E_END;
    *out = t->answers[t->at++];
    return E_OK;
}

static err on_record(void *ctx, const struct frame_item *i, struct fault *f)
{
    struct tape *t = ctx;
    (void)f;
    if (t->breaks)
        return t->breaks;
    t->posts += i->kind == RECORD_POST;
    t->users += i->kind == RECORD_USER;
    span_copy(i->id, t->last_id, sizeof t->last_id);
    return E_OK;
}

static err run_pack(struct tape *t, const struct pack *p, struct collect_order order,
                    struct replay_result *out, struct arena *a)
{
    struct fault f = {0};
    struct arena *page = arena_new(64 << 20);
    struct reader *r = reader_new(p, 8 << 20);
    struct json_parser *parser = json_parser_new(1 << 20);
    struct replay_face face = {next, on_record, t};
    if (!order.kind.n)
        order.kind = SPAN("posts");
    err e = replay_collect(p, r, parser, &order, &face, a, page, out, &f);
    json_parser_free(&parser);
    reader_free(&r);
    arena_free(&page);
    for (size_t i = 0; i < t->count; i++)
        buf_free(&t->texts[i]);
    return e;
}

static struct replay_result run(struct tape *t, int64_t limit, struct arena *a)
{
    struct replay_result out;
    struct collect_order order = {.target = SPAN("practice_100"), .limit = limit};
    assert_int_equal(run_pack(t, x, order, &out, a), E_OK);
    return out;
}

static void account(struct tape *t, int64_t attempt)
{
    recorded(t, attempt, "capture", "UserByScreenName", "tests/data/x/UserByScreenName-1.json");
}

static void page(struct tape *t, int64_t attempt)
{
    recorded(t, attempt, "capture", "UserTweets", "tests/data/x/UserTweets-1.json");
}

#define TAPE()                                                                                 \
    struct arena *a = arena_new(256 << 20);                                                    \
    struct tape t = {0}

static void good_answers_give_the_records_and_no_more_than_partial(void **state)
{
    (void)state;
    TAPE();
    account(&t, 1);
    page(&t, 1);
    struct replay_result r = run(&t, 0, a);
    assert_int_equal(r.ending.failure, FAILURE_NONE);
    assert_int_equal(r.ending.verdict, VERDICT_PARTIAL); /* the end of the list is not there */
    assert_int_equal(r.ending.end, END_BUDGET);
    assert_int_equal(r.answers, 2);
    assert_int_equal(r.posts, t.posts);
    assert_int_equal(t.posts, 21);
    assert_int_equal(t.users, 1);
    assert_true(span_find(r.ending.report, SPAN("\"posts\":21")) < r.ending.report.n);
    arena_free(&a);
}

static void the_limit_of_the_job_holds(void **state)
{
    (void)state;
    TAPE();
    account(&t, 1);
    page(&t, 1);
    struct replay_result r = run(&t, 7, a);
    assert_int_equal(t.posts, 7);
    assert_int_equal(r.ending.end, END_LIMIT);
    arena_free(&a);
}

static void a_shape_that_is_not_known_is_still_drift(void **state)
{
    (void)state;
    TAPE();
    account(&t, 1);
    page(&t, 1);
    changed(&t, "\"full_text\":", "\"body_text\":");
    struct replay_result r = run(&t, 0, a);
    assert_int_equal(r.ending.failure, FAILURE_DRIFT);
    assert_int_equal(t.posts, 0);
    assert_false(replay_repairs(FAILURE_DRIFT, &r.ending, 0));
    arena_free(&a);
}

static void the_last_attempt_says_how_it_ends(void **state)
{
    (void)state;
    TAPE();
    account(&t, 1);
    answer_of(&t, 1, "capture", "UserTweets", SPAN("Rate limit exceeded"), 429);
    page(&t, 1); /* never came: what follows a failure is of no use */
    account(&t, 2);
    page(&t, 2);
    struct replay_result r = run(&t, 0, a);
    assert_int_equal(r.ending.failure, FAILURE_NONE);
    assert_int_equal(t.posts, 21);
    arena_free(&a);
    a = arena_new(256 << 20);
    struct tape other = {0};
    account(&other, 1);
    page(&other, 1);
    answer_of(&other, 2, "capture", "UserTweets", SPAN("Rate limit exceeded"), 429);
    r = run(&other, 0, a);
    assert_int_equal(r.ending.failure, FAILURE_RATE_LIMITED);
    assert_int_equal(other.posts, 21); /* what was read stays read */
    arena_free(&a);
}

static void a_refusal_is_of_the_session_or_of_nobody_s(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        enum failure_class is;
    } rows[] = {{"{}", FAILURE_LOGIN_REQUIRED},
                {"{\"session\":{\"pool\":\"research\"}}", FAILURE_SESSION_INVALID}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        TAPE();
        struct replay_result r;
        struct collect_order order = {.target = SPAN("practice_100"),
                                      .spec = span_of(rows[i].spec)};
        answer_of(&t, 1, "capture", "UserByScreenName", SPAN("{}"), 401);
        assert_int_equal(run_pack(&t, x, order, &r, a), E_OK);
        assert_int_equal(r.ending.failure, rows[i].is);
        arena_free(&a);
    }
}

static void no_answer_is_no_success(void **state)
{
    (void)state;
    TAPE();
    struct replay_result r = run(&t, 0, a);
    assert_int_equal(r.ending.failure, FAILURE_EMPTY_SUSPECT);
    arena_free(&a);
}

static void an_answer_that_the_pack_does_not_know_is_drift(void **state)
{
    (void)state;
    TAPE();
    answer_of(&t, 1, "capture", "NoSuchOperation", SPAN("{}"), 200);
    struct replay_result r = run(&t, 0, a);
    assert_int_equal(r.ending.failure, FAILURE_DRIFT);
    arena_free(&a);
    a = arena_new(64 << 20);
    struct tape other = {0};
    answer_of(&other, 1, "telepathy", "UserTweets", SPAN("{}"), 200);
    r = run(&other, 0, a);
    assert_int_equal(r.ending.failure, FAILURE_DRIFT);
    arena_free(&a);
}

static void an_end_that_the_evidence_shows_is_complete(void **state)
{
    (void)state;
    TAPE();
    recorded(&t, 1, "fetch", "profile", "tests/data/bluesky/profile-1.json");
    recorded(&t, 1, "fetch", "author_feed", "tests/data/bluesky/author_feed-1.json");
    recorded(&t, 1, "fetch", "author_feed", "tests/data/bluesky/author_feed-2.json");
    struct replay_result r;
    struct collect_order order = {.target = SPAN("alice.test")};
    assert_int_equal(run_pack(&t, bluesky, order, &r, a), E_OK);
    assert_int_equal(r.ending.failure, FAILURE_NONE);
    assert_true(t.posts > 10);
    assert_int_equal(t.users, 1);
    assert_int_equal(r.ending.verdict,
                     r.ending.end == END_BUDGET ? VERDICT_PARTIAL : VERDICT_COMPLETE);
    arena_free(&a);
    a = arena_new(64 << 20);
    struct tape drifted = {0};
    recorded(&drifted, 1, "fetch", "profile", "tests/data/bluesky/profile-1.json");
    recorded(&drifted, 1, "fetch", "author_feed", "tests/data/bluesky/author_feed-drift.json");
    assert_int_equal(run_pack(&drifted, bluesky, order, &r, a), E_OK);
    assert_int_equal(r.ending.failure, FAILURE_DRIFT);
    arena_free(&a);
}

/* The page asked for it with a token that had run out, and then anew: the branches that the first answer left open
 * are those of a page that is gone. */
static void a_thread_that_was_read_anew_is_weighed_by_what_came_then(void **state)
{
    (void)state;
    static const char refused[] = "{\"errors\":[{\"code\":353,\"message\":\"refused\"}]}";
    const char *file = "tests/data/x/TweetDetail-1.json";
    struct collect_order order = {.kind = SPAN("thread"),
                                  .target = SPAN("2070400701817684268")};
    struct replay_result r;
    TAPE();
    recorded(&t, 1, "capture", "TweetDetail", file);
    answer_of(&t, 1, "capture", "TweetDetail", span_of(refused), 403);
    recorded(&t, 1, "capture", "TweetDetail", file);
    changed(&t, "ShowMore", "None"); /* all branches are open */
    assert_int_equal(run_pack(&t, x, order, &r, a), E_OK);
    assert_int_equal(r.ending.failure, FAILURE_NONE);
    assert_int_equal(r.ending.end, END_TERMINATE);
    assert_int_equal(r.ending.verdict, VERDICT_COMPLETE);
    arena_free(&a);
}

/* ---- what the page showed ---- */

static void shown_page(struct tape *t, const char *file, const char *headers)
{
    char path[200];
    snprintf(path, sizeof path, "tests/data/shapes/dom/synthetic/%s.html", file);
    recorded(t, 1, "dom", "dom", path);
    t->answers[t->count - 1].headers = span_of(headers);
}

static struct replay_result run_page(struct tape *t, const char *kind, struct arena *a)
{
    struct replay_result out;
    struct collect_order order = {.kind = span_of(kind), .target = SPAN("harbour_notes")};
    assert_int_equal(run_pack(t, x, order, &out, a), E_OK);
    return out;
}

static void what_the_page_showed_is_read_again(void **state)
{
    (void)state;
    TAPE();
    shown_page(&t, "scroll_01", "{}");
    shown_page(&t, "scroll_02", "{}"); /* the windows overlap */
    struct replay_result r = run_page(&t, "posts", a);
    assert_int_equal(r.ending.failure, FAILURE_NONE);
    assert_int_equal(r.ending.verdict, VERDICT_PARTIAL);
    assert_int_equal(t.posts, 7);
    arena_free(&a);
    a = arena_new(256 << 20);
    struct tape people = {0};
    shown_page(&people, "people", "{}");
    r = run_page(&people, "followers", a);
    assert_int_equal(r.ending.failure, FAILURE_NONE);
    assert_int_equal(people.users, 4);
    arena_free(&a);
    a = arena_new(256 << 20);
    struct tape profile = {0};
    shown_page(&profile, "profile", "{}");
    profile.answers[0].name = SPAN("dom_profile");
    r = run_page(&profile, "profile", a);
    assert_int_equal(r.ending.verdict, VERDICT_COMPLETE);
    assert_int_equal(profile.users, 1);
    assert_int_equal(profile.posts, 0);
    arena_free(&a);
}

/* Of a server that only the operator could name. */
static void what_others_showed_is_read_again(void **state)
{
    (void)state;
    TAPE();
    recorded(&t, 1, "fetch", "nitter_timeline", "tests/data/shapes/nitter/profile.html");
    recorded(&t, 1, "fetch", "nitter_timeline", "tests/data/shapes/nitter/profile_2.html");
    struct replay_result r = run_page(&t, "posts", a);
    assert_int_equal(r.ending.verdict, VERDICT_SAMPLED);
    assert_int_equal(t.posts, 8);
    arena_free(&a);
    a = arena_new(256 << 20);
    struct tape feed = {0};
    recorded(&feed, 1, "fetch", "nitter_list_feed", "tests/data/shapes/nitter/feed.xml");
    assert_int_equal(run_page(&feed, "list", a).ending.failure, FAILURE_NONE);
    assert_int_equal(feed.posts, 7);
    arena_free(&a);
}

static void a_page_of_another_shape_is_still_drift(void **state)
{
    (void)state;
    TAPE();
    shown_page(&t, "scroll_01", "{}");
    changed(&t, "data-testid=\"tweet\"", "data-testid=\"postCell\"");
    struct replay_result r = run_page(&t, "posts", a);
    assert_int_equal(r.ending.failure, FAILURE_DRIFT);
    assert_int_equal(t.posts, 0);
    arena_free(&a);
    a = arena_new(256 << 20);
    struct tape few = {0}; /* one post alone is no page of them, and yet it is all there is */
    answer_of(
        &few, 1, "dom", "dom",
        SPAN(
            "<div data-testid=\"primaryColumn\"><section><article data-testid=\"postCell\">x</article></section></div>"),
        200);
    r = run_page(&few, "posts", a);
    assert_int_equal(r.ending.failure, FAILURE_DRIFT);
    arena_free(&a);
    a = arena_new(256 << 20);
    struct tape other = {0};
    shown_page(&other, "scroll_01", "{}");
    other.answers[0].name = SPAN("nosuch"); /* the pack reads pages by another source now */
    r = run_page(&other, "posts", a);
    assert_int_equal(r.ending.failure, FAILURE_DRIFT);
    arena_free(&a);
}

static void what_a_page_said_is_said_again(void **state)
{
    (void)state;
    static const struct {
        const char *page, *headers;
        enum failure_class is;
    } rows[] = {
        {"state_suspended", "{}", FAILURE_SUSPENDED},
        {"state_login_wall", "{\"x-fulmar-page\":\"guest \"}", FAILURE_LOGIN_REQUIRED},
        {"state_retry", "{\"x-fulmar-page\":\"retry\"}", FAILURE_NETWORK},
        {"state_retry", "{}", FAILURE_NETWORK},
        {"state_rate_limited", "{\"x-fulmar-page\":\"retry\"}", FAILURE_RATE_LIMITED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        TAPE();
        shown_page(&t, rows[i].page, rows[i].headers);
        struct replay_result r = run_page(&t, "posts", a);
        if (r.ending.failure != rows[i].is)
            fail_msg("%s: %s", rows[i].page, failure_name(r.ending.failure));
        arena_free(&a);
    }
    TAPE();
    shown_page(&t, "state_no_posts", "{}");
    assert_int_equal(run_page(&t, "posts", a).ending.verdict, VERDICT_EMPTY_CONFIRMED);
    arena_free(&a);
    a = arena_new(256 << 20);
    struct tape again = {0}; /* it was tried again, and then the posts came */
    shown_page(&again, "state_retry", "{\"x-fulmar-page\":\"retry\"}");
    shown_page(&again, "scroll_01", "{}");
    assert_int_equal(run_page(&again, "posts", a).ending.failure, FAILURE_NONE);
    assert_int_equal(again.posts, 4);
    arena_free(&a);
}

static void trouble_of_ours_is_not_the_job_s(void **state)
{
    (void)state;
    TAPE();
    struct replay_result r;
    struct collect_order order = {.target = SPAN("practice_100")};
    account(&t, 1);
    page(&t, 1);
    t.breaks = E_TOO_BIG;
    assert_int_equal(run_pack(&t, x, order, &r, a), E_TOO_BIG);
    arena_free(&a);
}

static void what_may_become_the_result(void **state)
{
    (void)state;
    struct collect_result good = {.verdict = VERDICT_PARTIAL}, bad = {.failure = FAILURE_DRIFT},
                          nothing = {.verdict = VERDICT_NONE};
    assert_true(
        replay_repairs(FAILURE_DRIFT, &good, 0)); /* the answers said it, and take it back */
    assert_true(replay_repairs(FAILURE_NETWORK, &good, 1));
    assert_false(replay_repairs(FAILURE_NETWORK, &good, 0)); /* it is in no answer */
    assert_false(replay_repairs(FAILURE_DRIFT, &bad, 5));
    assert_false(replay_repairs(FAILURE_DRIFT, &nothing, 5));
    assert_false(replay_repairs(FAILURE_NONE, &good, 5)); /* it did not fail */
}

static int open_packs(void **state)
{
    (void)state;
    struct fault f = {0};
    int fd = open("sites", O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    assert_int_equal(pack_open(&x, fd, "x", &f), E_OK);
    assert_int_equal(pack_open(&bluesky, fd, "bluesky", &f), E_OK);
    close(fd);
    return 0;
}

static int close_packs(void **state)
{
    (void)state;
    pack_close(&x);
    pack_close(&bluesky);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_answers_give_the_records_and_no_more_than_partial),
        cmocka_unit_test(the_limit_of_the_job_holds),
        cmocka_unit_test(a_shape_that_is_not_known_is_still_drift),
        cmocka_unit_test(the_last_attempt_says_how_it_ends),
        cmocka_unit_test(a_refusal_is_of_the_session_or_of_nobody_s),
        cmocka_unit_test(no_answer_is_no_success),
        cmocka_unit_test(an_answer_that_the_pack_does_not_know_is_drift),
        cmocka_unit_test(an_end_that_the_evidence_shows_is_complete),
        cmocka_unit_test(a_thread_that_was_read_anew_is_weighed_by_what_came_then),
        cmocka_unit_test(what_the_page_showed_is_read_again),
        cmocka_unit_test(what_others_showed_is_read_again),
        cmocka_unit_test(a_page_of_another_shape_is_still_drift),
        cmocka_unit_test(what_a_page_said_is_said_again),
        cmocka_unit_test(trouble_of_ours_is_not_the_job_s),
        cmocka_unit_test(what_may_become_the_result),
    };
    return cmocka_run_group_tests(tests, open_packs, close_packs);
}
