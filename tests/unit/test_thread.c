/* The thread around a post: how deep an answer stands, which branches were followed, where it ends; and
 * how the answers of the page are read for it. */
#include "worker/inside.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../lib/pack.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static struct arena *arena;
static struct collection *c;
static struct plan_step step = {.end_repeat_pages = 3};

static int set_up(void **state)
{
    (void)state;
    arena = arena_new(8 << 20);
    c = arena_new_of(arena, struct collection);
    c->arena = arena;
    c->step = &step;
    c->plan.focus = SPAN("1");
    c->plan.depth = true;
    c->thread.depth = -1;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static struct record post(const char *id, const char *reply_to, enum record_section section)
{
    return (struct record){.kind = RECORD_POST,
                           .section = section,
                           .id = span_of(id),
                           .reply_to = span_of(reply_to)};
}

#define MAIN          post("1", NULL, SECTION_MAIN)
#define REPLY(id, to) post(id, to, SECTION_REPLY)

static void measure(struct record *records, size_t count)
{
    thread_measure(c, &(struct reading){.records = records, .count = count});
}

static void wants(struct record r, bool wanted)
{
    if (thread_wants(c, &r) != wanted)
        fail_msg("%.*s: wanted %d", SP(r.id), wanted);
}

static void replies_are_wanted_to_their_depth(void **state)
{
    (void)state;
    struct record page[] = {MAIN, REPLY("2", "1"), REPLY("3", "2"), REPLY("4", "3"),
                            post("9", NULL, SECTION_THREAD)};
    c->thread.depth = 2;
    measure(page, 5);
    wants(page[0], true);
    wants(page[1], true);
    wants(page[2], true);
    wants(page[3], false);
    wants(page[4], true);
    wants((struct record){.kind = RECORD_UNAVAILABLE, .section = SECTION_REPLY}, true);
    assert_int_equal(c->thread.unplaced, 0);
}

static void an_answer_may_come_before_what_it_answers(void **state)
{
    (void)state;
    struct record page[] = {REPLY("4", "3"), REPLY("3", "2"), REPLY("2", "1"), MAIN};
    struct record later[] = {REPLY("5", "4")};
    c->thread.depth = 3;
    measure(page, 4);
    measure(later, 1);
    wants(page[0], true);
    wants(later[0], false);
}

static void an_answer_to_nothing_that_was_shown_is_left_out_and_counted(void **state)
{
    (void)state;
    struct record page[] = {MAIN, REPLY("7", "6"), REPLY("8", NULL)};
    c->thread.depth = 5;
    measure(page, 3);
    wants(page[1], false);
    wants(page[2], false);
    assert_int_equal(c->thread.unplaced, 2);
    c->thread.depth = -1; /* where depth does not matter, its place does not either */
    wants(page[1], true);
    assert_int_equal(c->thread.unplaced, 2);
}

/* A site that knows its post by another name than the target's: the main record says which one it is. */
static void the_main_post_is_what_all_of_it_is_about(void **state)
{
    (void)state;
    struct record first[] = {post("at://a/1", NULL, SECTION_MAIN)};
    struct record page[] = {REPLY("at://a/2", "at://a/1"), REPLY("at://a/3", "at://a/2"),
                            REPLY("at://a/4", "1")};
    c->plan.focus = SPAN_NONE;
    c->thread.depth = 1;
    measure(first, 1);
    measure(page, 3);
    wants(first[0], true);
    wants(page[0], true);
    wants(page[1], false);
    wants(page[2], false); /* no post of this thread */
    assert_int_equal(c->thread.unplaced, 1);
    c->plan.depth = false; /* lists of another kind have no depth */
    wants(page[1], true);
}

static void without_depth_there_are_no_answers(void **state)
{
    (void)state;
    struct record page[] = {MAIN, REPLY("2", "1"), REPLY("7", "6")};
    c->thread.depth = 0;
    measure(page, 3);
    wants(page[0], true);
    wants(page[1], false);
    wants(page[2], false);
    wants((struct record){.kind = RECORD_UNAVAILABLE, .section = SECTION_REPLY}, false);
    assert_int_equal(c->thread.unplaced, 0);
}

/* asked: the cursor of the page; shown: its own and those of its branches, apart by spaces. */
static err page(const char *asked, const char *cursor, const char *more, int64_t fresh,
                bool main)
{
    struct record records[] = {MAIN};
    struct span list[8], rest = span_of(more);
    struct reading r = {
        .cursor = span_of(cursor), .records = records, .count = main, .more = list};
    while (rest.n && span_next(&rest, ' ', &list[r.more_count]))
        r.more_count++;
    c->page.asked = span_of(asked);
    return thread_note_end(c, &r, fresh);
}

static void it_is_whole_when_every_branch_was_followed(void **state)
{
    (void)state;
    assert_int_equal(page(NULL, "a", "b c", 5, true), E_OK);
    assert_int_equal(c->thread.open, 3);
    assert_int_equal(page("b", NULL, "d", 3, false), E_OK);
    assert_int_equal(page("a", NULL, NULL, 3, false), E_OK);
    assert_int_equal(page("c", NULL, NULL, 3, false), E_OK);
    assert_int_equal(c->end, END_NONE);
    assert_int_equal(page("d", NULL, NULL, 3, false), E_OK);
    assert_int_equal(c->end, END_TERMINATE);
}

static void the_same_cursor_again_is_no_new_branch(void **state)
{
    (void)state;
    assert_int_equal(page(NULL, "a", NULL, 5, true), E_OK);
    assert_int_equal(page("a", "a", NULL, 0, false), E_OK);
    assert_int_equal(c->end, END_TERMINATE);
}

static void an_answer_that_comes_before_its_cursor_was_seen_counts(void **state)
{
    (void)state;
    assert_int_equal(page("b", NULL, NULL, 5, true), E_OK);
    c->end = END_NONE;
    assert_int_equal(page(NULL, NULL, "b", 5, false), E_OK);
    assert_int_equal(c->end, END_TERMINATE);
}

static void cursors_without_end_and_without_records_end_it(void **state)
{
    (void)state;
    assert_int_equal(page(NULL, "a", NULL, 5, true), E_OK);
    assert_int_equal(page("a", "b", NULL, 0, false), E_OK);
    assert_int_equal(page("b", "c", NULL, 0, false), E_OK);
    assert_int_equal(c->end, END_NONE);
    assert_int_equal(page("c", "d", NULL, 0, false), E_OK);
    assert_int_equal(c->end, END_NO_NEW_IDS);
}

static void without_depth_the_first_page_is_all(void **state)
{
    (void)state;
    c->thread.depth = 0;
    assert_int_equal(page(NULL, "a", "b", 2, true), E_OK);
    assert_int_equal(c->end, END_TERMINATE);
}

static void a_page_without_the_post_is_drift(void **state)
{
    (void)state;
    assert_int_equal(page(NULL, "a", NULL, 5, false), E_PAGE);
    assert_int_equal(c->failure, FAILURE_DRIFT);
}

/* ---- reading ---- */

static struct pack *pack;

static int open_pack(void **state)
{
    (void)state;
    pack = open_site("x");
    return 0;
}

static int close_pack(void **state)
{
    (void)state;
    pack_close(&pack);
    return 0;
}

#define TWEET(id, to)                                                                             \
    "{\"itemType\":\"TimelineTweet\",\"tweet_results\":{\"result\":{\"__typename\":\"Tweet\","    \
    "\"rest_id\":\"" id                                                                           \
    "\",\"core\":{\"user_results\":{\"result\":{\"rest_id\":\"9\",\"core\":"                      \
    "{\"screen_name\":\"a\",\"name\":\"A\"}}}},\"legacy\":{\"created_at\":\"Wed Jul 08 21:59:10 " \
    "+0000 2026\",\"full_text\":\"t\",\"in_reply_to_status_id_str\":" to "}}}}"
#define ENTRY(name, item)                                                                      \
    "{\"entryId\":\"" name "\",\"content\":{\"entryType\":\"TimelineTimelineItem\","           \
    "\"itemContent\":" item "}}"
#define ITEM(name, item) "{\"entryId\":\"" name "\",\"item\":{\"itemContent\":" item "}}"
#define MODULE(name, items)                                                                    \
    "{\"entryId\":\"" name                                                                     \
    "\",\"content\":{\"entryType\":\"TimelineTimelineModule\",\"items\":[" items "]}}"
#define CURSOR(type, value)                                                                    \
    "{\"itemType\":\"TimelineTimelineCursor\",\"cursorType\":\"" type "\",\"value\":\"" value  \
    "\"}"
#define THREAD(entries)                                                                        \
    "{\"data\":{\"threaded_conversation_with_injections_v2\":{\"instructions\":[{\"type\":"    \
    "\"TimelineAddEntries\",\"entries\":[" entries "]}]}}}"
#define TOMB(type, inner)                                                                      \
    "{\"itemType\":\"TimelineTweet\",\"tweet_results\":{\"result\":{\"__typename\":\"" type    \
    "\"," inner "}}}"

static const struct operation detail = {.name = {"TweetDetail", 11}, .role = OP_TIMELINE};
static const struct operation alone = {.name = {"TweetResultByRestId", 19}, .role = OP_POST};

static struct reading read_with(struct reader *r, const struct operation *op, const char *body)
{
    struct reading out;
    struct fault f = {0};
    if (reader_answer(r, op, 200, SPAN_NONE, span_of(body), (wall){1786093200000}, arena, &out,
                      &f))
        fail_msg("%s", f.words);
    return out;
}

static void records_are_placed_around_the_post(void **state)
{
    (void)state;
    struct reader *r = reader_new(pack, 1 << 20);
    reader_focus(r, SPAN("1"));
    struct reading got = read_with(
        r, &detail,
        THREAD(ENTRY("tweet-5", TWEET("5", "null")) "," ENTRY("tweet-1", TWEET("1", "\"5\"")) "," MODULE(
            "conversationthread-2",
            ITEM("conversationthread-2-tweet-2", TWEET("2", "\"1\"")) "," ITEM(
                "conversationthread-2-cursor-showmore-1",
                CURSOR(
                    "ShowMore",
                    "m"))) "," ENTRY("tweet-3",
                                     TWEET(
                                         "3",
                                         "\"1\"")) "," MODULE("tweetdetailrelatedtweets-7",
                                                              ITEM("tweetdetailrelatedtweets-7-tweet-8", TWEET("8", "null")) "," ITEM(
                                                                  "tweetdetailrelatedtweets-7-c",
                                                                  CURSOR(
                                                                      "ShowMore",
                                                                      "never"))) "," ENTRY("cursor-showmorethreads-1",
                                                                                           CURSOR(
                                                                                               "ShowMoreThreads",
                                                                                               "n"))));
    static const struct {
        const char *id, *reply_to;
        enum record_section section;
    } rows[] = {{"5", "", SECTION_THREAD},
                {"1", "5", SECTION_MAIN},
                {"2", "1", SECTION_REPLY},
                {"3", "1", SECTION_REPLY},
                {"8", "", SECTION_RELATED}};
    assert_int_equal(got.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_true(span_is(got.records[i].id, rows[i].id));
        assert_true(span_is(got.records[i].reply_to, rows[i].reply_to));
        assert_int_equal(got.records[i].section, rows[i].section);
    }
    assert_true(span_find(got.records[1].json, SPAN("\"section\":\"main\"")) <
                got.records[1].json.n);
    assert_int_equal(got.more_count, 2);
    assert_true(span_is(got.more[0], "m") && span_is(got.more[1], "n"));
    assert_int_equal(got.cursor.n, 0);
    /* On a later page there is no post above. */
    got = read_with(r, &detail, THREAD(ENTRY("tweet-6", TWEET("6", "\"1\""))));
    assert_int_equal(got.records[0].section, SECTION_REPLY);
    /* Items that are added to a module have its name. */
    got = read_with(r, &detail,
                    "{\"instructions\":[{\"type\":\"TimelineAddToModule\",\"moduleEntryId\":"
                    "\"tweetdetailrelatedtweets-7\",\"moduleItems\":[" ITEM(
                        "x-1", TWEET("10", "null")) "]}]}");
    assert_int_equal(got.records[0].section, SECTION_RELATED);
    reader_focus(r, SPAN_NONE);
    got = read_with(r, &detail, THREAD(ENTRY("tweet-1", TWEET("1", "null"))));
    assert_int_equal(got.records[0].section, SECTION_TIMELINE);
    reader_free(&r);
}

static void a_post_that_is_not_there_is_the_sign_of_its_thread(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const struct operation *op;
        enum failure_class sign;
    } rows[] = {
        {THREAD(ENTRY(
             "tweet-1",
             TOMB(
                 "TweetTombstone",
                 "\"tombstone\":{\"text\":{\"text\":\"This Post is from a suspended account. Learn more\"}}"))),
         &detail, FAILURE_SUSPENDED},
        {THREAD(ENTRY("tweet-1", TOMB("TweetUnavailable", "\"reason\":\"Protected\""))),
         &detail, FAILURE_PROTECTED},
        {THREAD(ENTRY("tweet-1", TOMB("TweetUnavailable", "\"reason\":\"Deleted\""))), &detail,
         FAILURE_NOT_FOUND},
        {THREAD(ENTRY(
             "tombstone-1",
             "{\"itemType\":\"TimelineTombstone\",\"tombstoneInfo\":{\"richText\":{\"text\":\"This Post was deleted by the Post author.\"}}}")),
         &detail, FAILURE_NOT_FOUND},
        {THREAD(ENTRY("tweet-1", "{\"itemType\":\"TimelineTweet\",\"tweet_results\":{}}")),
         &detail, FAILURE_NOT_FOUND},
        {"{\"errors\":[{\"message\":\"_Missing: No status found with that ID\",\"code\":144}],\"data\":{}}",
         &detail, FAILURE_NOT_FOUND},
        {"{\"errors\":[{\"message\":\"Sorry, you are not authorized to see this status.\",\"code\":179}],\"data\":{}}",
         &detail, FAILURE_PROTECTED},
        {"{\"data\":{\"tweetResult\":{}}}", &alone, FAILURE_NOT_FOUND},
        {"{\"data\":{\"list\":{}}}", &detail, FAILURE_NOT_FOUND},
        /* That of another post is one record less, and nothing else. */
        {THREAD(ENTRY("tweet-1", TWEET("1", "\"21\"")) "," ENTRY(
             "tweet-21", TOMB("TweetUnavailable", "\"reason\":\"Deleted\""))),
         &detail, FAILURE_NONE},
    };
    struct reader *r = reader_new(pack, 1 << 20);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        reader_focus(r, SPAN("1"));
        struct reading got = read_with(r, rows[i].op, rows[i].body);
        if (got.sign != rows[i].sign)
            fail_msg("row %zu: %s", i, failure_name(got.sign));
        if (!got.sign) {
            assert_int_equal(got.unavailable, 1);
            assert_true(span_is(got.records[1].place, "tweet-21"));
        }
    }
    reader_free(&r);
}

static void users_that_cannot_be_read_are_said(void **state)
{
    (void)state;
    struct reader *r = reader_new(pack, 1 << 20);
    struct reading got = read_with(
        r, &(struct operation){.name = {"Followers", 9}, .role = OP_TIMELINE},
        "{\"instructions\":[{\"type\":\"TimelineAddEntries\",\"entries\":[" ENTRY(
            "user-1",
            "{\"itemType\":\"TimelineUser\",\"account_results\":{}}") "," ENTRY("user-2",
                                                                                "{\"itemType\":\"TimelineUser\",\"user_results\":{}}") "]}]}");
    assert_int_equal(got.unparsed, 1);
    assert_int_equal(got.unavailable, 1);
    assert_int_equal(got.entries, 2);
    reader_free(&r);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(replies_are_wanted_to_their_depth),
        T(an_answer_may_come_before_what_it_answers),
        T(an_answer_to_nothing_that_was_shown_is_left_out_and_counted),
        T(the_main_post_is_what_all_of_it_is_about),
        T(without_depth_there_are_no_answers),
        T(it_is_whole_when_every_branch_was_followed),
        T(the_same_cursor_again_is_no_new_branch),
        T(an_answer_that_comes_before_its_cursor_was_seen_counts),
        T(cursors_without_end_and_without_records_end_it),
        T(without_depth_the_first_page_is_all),
        T(a_page_without_the_post_is_drift),
        T(records_are_placed_around_the_post),
        T(a_post_that_is_not_there_is_the_sign_of_its_thread),
        T(users_that_cannot_be_read_are_said),
    };
    return cmocka_run_group_tests(tests, open_pack, close_pack);
}
