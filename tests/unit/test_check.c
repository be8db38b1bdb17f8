/* What of a record is checked against itself, what happens to one that fails, and what is told of members
 * that nobody knows. */
#include "base/json.h"
#include "core/drift.h"
#include "extract/check.h"
#include "extract/order.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../lib/reading.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BODY_BYTES = 16 * 1024 * 1024 };
#define COLLECTED ((wall){1786093200000})

static struct operation list_op = {.name = {"UserTweets", 10}, .role = OP_TIMELINE};
static const struct operation user_op = {.name = {"UserByScreenName", 16}, .role = OP_USER};

/* ---- the rules ---- */

static void each_rule_says_ok_fail_or_nothing(void **state)
{
    (void)state;
    static const struct {
        enum check_id id;
        const char *of, *against, *argument;
        enum check_result wanted;
    } rows[] = {
        {CHECK_ID_TIME, "1780666831310877100", "2024-04-17T18:37:10Z", "", CHECK_OK},
        {CHECK_ID_TIME, "1780666831310877100", "2024-04-17T18:37:11Z", "", CHECK_FAIL},
        {CHECK_ID_TIME, "20", "2006-03-21T20:50:14Z", "", CHECK_NA}, /* before snowflakes */
        {CHECK_ID_TIME, "29700859247", "2010-11-04T21:00:00Z", "", CHECK_NA},
        {CHECK_ID_TIME, "", "2024-04-17T18:37:10Z", "", CHECK_NA},
        {CHECK_MEDIA_KEY, "7", "3_7", "", CHECK_OK},
        {CHECK_MEDIA_KEY, "7", "3_8", "", CHECK_FAIL},
        {CHECK_MEDIA_KEY, "7", "", "", CHECK_NA},
        {CHECK_MEDIA_TYPE, "13_7", "7_ 13_", "", CHECK_OK},
        {CHECK_MEDIA_TYPE, "3_7", "7_ 13_", "", CHECK_FAIL},
        {CHECK_USER_NODE, "44196397", "VXNlcjo0NDE5NjM5Nw==", "User:", CHECK_OK},
        {CHECK_USER_NODE, "44196398", "VXNlcjo0NDE5NjM5Nw==", "User:", CHECK_FAIL},
        {CHECK_USER_NODE, "44196397", "not base64!", "User:", CHECK_NA},
        {CHECK_CONVERSATION, "5", "5", "", CHECK_OK},
        {CHECK_CONVERSATION, "6", "5", "", CHECK_FAIL},
        {CHECK_REPLY, "9", "10", "", CHECK_OK}, /* by value, not by letters */
        {CHECK_REPLY, "10", "10", "", CHECK_FAIL},
        {CHECK_REPLY, "18446744073709551615", "18446744073709551616", "", CHECK_OK},
        {CHECK_REPLY, "x", "10", "", CHECK_NA},
        {CHECK_QUOTED, "11", "10", "", CHECK_FAIL},
        {CHECK_REPOSTED, "9", "10", "", CHECK_OK},
        {CHECK_EDITS, "5", "5", "", CHECK_OK},
        {CHECK_EDITS, "6", "5", "", CHECK_FAIL},
        /* key of a photo and the id in its first eight bytes */
        {CHECK_MEDIA_FILE, "GLYpyZ6aUAAcEeW", "1780666831310877100", "", CHECK_FAIL},
        {CHECK_MEDIA_FILE, "AAAAAAAAAAEx", "1", "", CHECK_OK},
        {CHECK_MEDIA_FILE, "AAAA", "1", "", CHECK_NA},
        {CHECK_MEDIA_TIME, "1780666831310877100", "1780666800000000000", "", CHECK_OK},
        {CHECK_MEDIA_TIME, "1780666831310877100", "1790666831310877100", "", CHECK_FAIL},
        {CHECK_MEDIA_TIME, "1780666831310877100", "20", "", CHECK_NA},
        {CHECK_ORDER, "1", "2", "", CHECK_NA}, /* known to the reader only */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct check_input in = {.of = span_of(rows[i].of),
                                 .against = span_of(rows[i].against),
                                 .argument = span_of(rows[i].argument)};
        enum check_result got = check_apply(check_row(rows[i].id)->rule, &in);
        if (got != rows[i].wanted)
            fail_msg("%s of '%s' and '%s': wanted %s, got %s", check_row(rows[i].id)->name,
                     rows[i].of, rows[i].against, check_result_name(rows[i].wanted),
                     check_result_name(got));
    }
}

static void a_sheet_keeps_failures_and_counts_what_could_be_made(void **state)
{
    (void)state;
    struct check_sheet s = {0};
    assert_int_equal(check_score(&s), -1);
    assert_int_equal(check_hard_failure(&s), CHECK_COUNT);
    check_note(&s, CHECK_MEDIA_TYPE, CHECK_OK);
    check_note(&s, CHECK_MEDIA_TYPE, CHECK_FAIL);
    check_note(&s, CHECK_MEDIA_TYPE, CHECK_OK); /* the next file: the first one still failed */
    check_note(&s, CHECK_ID_TIME, CHECK_OK);
    assert_int_equal(check_score(&s), 50);
    assert_int_equal(check_hard_failure(&s), CHECK_COUNT); /* soft */
    check_note(&s, CHECK_REPLY, CHECK_FAIL);
    assert_int_equal(check_hard_failure(&s), CHECK_REPLY);
    for (int i = 0; i < CHECK_COUNT; i++)
        assert_true(strlen(check_row((enum check_id)i)->why) > 20);
}

/* ---- answers ---- */

struct post {
    int n;
    const char *author, *legacy, *top, *sort; /* more members; sort key, NULL: as the number */
};

/* created_at 2024-04-17T18:37:10Z + n minutes, and an id of that very second. */
static long long id_of(int n)
{
    return (1713379030000LL + (long long)n * 60000 - 1288834974657) * 4194304 + n;
}

static void add_object(struct buf *b, const struct post *p)
{
    const char *author = p->author ? p->author : "11";
    buf_fmt(b,
            "{\"__typename\":\"Tweet\",\"rest_id\":\"%lld\",\"core\":{\"user_results\":{"
            "\"result\":{\"rest_id\":\"%s\",\"core\":{\"screen_name\":\"nasa\",\"name\":"
            "\"NASA\"}}}},\"legacy\":{\"created_at\":\"Wed Apr 17 18:%02d:10 +0000 2024\","
            "\"full_text\":\"post %d\",\"lang\":\"en\"%s}%s}",
            id_of(p->n), author, 37 + p->n, p->n, p->legacy ? p->legacy : "",
            p->top ? p->top : "");
}

static struct reading page_of(const struct post *posts, size_t count)
{
    struct buf b = BUF(BODY_BYTES);
    struct reading r;
    struct fault f = {0};
    buf_add_text(&b, "{\"data\":{\"user\":{\"result\":{\"timeline\":{\"timeline\":{"
                     "\"instructions\":[{\"type\":\"TimelineAddEntries\",\"entries\":[");
    for (size_t i = 0; i < count; i++) {
        buf_fmt(&b, "%s{\"entryId\":\"tweet-1\",\"sortIndex\":\"", i ? "," : "");
        if (posts[i].sort)
            buf_add_text(&b, posts[i].sort);
        else
            buf_fmt(&b, "%lld", id_of(posts[i].n));
        buf_add_text(&b, "\",\"content\":{\"itemContent\":{\"itemType\":\"TimelineTweet\","
                         "\"tweet_results\":{\"result\":");
        add_object(&b, &posts[i]);
        buf_add_text(&b, "}}}}");
    }
    buf_add_text(&b, "]}]}}}}}}");
    arena_reset(arena);
    if (reader_answer(reader, &list_op, 200, SPAN_NONE, buf_span(&b), COLLECTED, arena, &r, &f))
        fail_msg("%s", f.words);
    buf_free(&b);
    return r;
}

static struct json parsed(const struct record *rec)
{
    struct json root;
    assert_int_equal(json_parse(parser, rec->json, &root, NULL), E_OK);
    return root;
}

static void text_is(struct json v, const char *path, const char *wanted)
{
    struct span s = SPAN("(no text)");
    json_text(json_path(v, path), &s);
    if (!span_is(s, wanted))
        fail_msg("%s: wanted %s, got %.*s", path, wanted, SP(s));
}

static void a_record_says_which_checks_it_passed(void **state)
{
    (void)state;
    const struct post p = {1, NULL,
                           ",\"conversation_id_str\":\"5\",\"extended_entities\":{\"media\":[{"
                           "\"id_str\":\"1\",\"media_key\":\"99_1\",\"type\":\"photo\","
                           "\"media_url_https\":\"https://p/media/AAAAAAAAAAEx.jpg\"}]}",
                           NULL, NULL};
    struct reading r = page_of(&p, 1);
    assert_int_equal(r.posts, 1);
    struct json post = parsed(&r.records[0]);
    int64_t score = 0;
    text_is(post, "quality.checks.id_time", "ok");
    text_is(post, "quality.checks.conversation", "ok");
    text_is(post, "quality.checks.media_key", "ok");
    text_is(post, "quality.checks.media_file", "ok");
    text_is(post, "quality.checks.media_type", "fail"); /* soft: the record stays */
    text_is(post, "quality.checks.reply", "na");
    assert_true(json_int(json_path(post, "quality.score"), &score));
    assert_int_equal(score, 80);
}

static void kept_apart(const struct post *p, const char *check)
{
    struct post both[] = {*p, {1, NULL, NULL, NULL, NULL}};
    struct reading r = page_of(both, 2);
    assert_int_equal(r.rejected, 1);
    assert_int_equal(r.posts, 1);
    assert_int_equal(r.count, 2);
    assert_int_equal(r.records[0].kind, RECORD_REJECTED);
    assert_int_equal(r.records[1].kind, RECORD_POST);
    struct json line = parsed(&r.records[0]);
    text_is(line, "schema", "xrejected/1");
    text_is(line, "check", check);
    text_is(line, "raw.legacy.lang", "en"); /* as the site sent it */
    text_is(line, "record.author.screen_name", "nasa");
    text_is(line, "provenance.op", "UserTweets");
}

static void a_record_that_fails_a_hard_check_is_kept_apart(void **state)
{
    (void)state;
    char legacy[200];
    struct post p = {2, NULL, NULL, NULL, NULL};
    snprintf(legacy, sizeof legacy, ",\"in_reply_to_status_id_str\":\"%lld\"", id_of(3));
    p.legacy = legacy;
    kept_apart(&p, "reply");
    snprintf(legacy, sizeof legacy, ",\"conversation_id_str\":\"%lld\"", id_of(3));
    kept_apart(&p, "conversation");
    p.legacy = ",\"extended_entities\":{\"media\":[{\"id_str\":\"1\",\"media_key\":\"3_2\","
               "\"type\":\"photo\",\"media_url_https\":\"https://p/media/K.jpg\"}]}";
    kept_apart(&p, "media_key");
    /* what is quoted or passed on lies in the record: it cannot be better than that */
    struct buf inner = BUF(65536);
    const struct post bad = {1, NULL, ",\"conversation_id_str\":\"9999999999999999999\"", NULL,
                             NULL};
    buf_add_text(&inner, ",\"quoted_status_result\":{\"result\":");
    add_object(&inner, &bad);
    buf_add(&inner, SPAN("}\0"));
    p = (struct post){2, NULL, NULL, inner.p, NULL};
    kept_apart(&p, "conversation");
    buf_free(&inner);
}

static void posts_of_others_in_an_own_list_are_kept_apart(void **state)
{
    (void)state;
    const struct post posts[] = {{3, "11", NULL, NULL, NULL}, {2, "12", NULL, NULL, NULL}};
    reader_expect_author(reader, SPAN("11"));
    struct reading r = page_of(posts, 2);
    assert_int_equal(r.rejected, 1);
    text_is(parsed(&r.records[0]), "quality.checks.author", "ok");
    text_is(parsed(&r.records[1]), "check", "author");
    /* a repost is by the one who passed it on */
    struct buf inner = BUF(65536);
    buf_add_text(&inner, ",\"retweeted_status_result\":{\"result\":");
    add_object(&inner, &posts[1]);
    buf_add(&inner, SPAN("}\0"));
    const struct post repost = {4, "13", inner.p, NULL, NULL};
    r = page_of(&repost, 1);
    assert_int_equal(r.rejected, 0);
    text_is(parsed(&r.records[0]), "quality.checks.author", "na");
    buf_free(&inner);
    reader_forget(reader);
    r = page_of(posts, 2);
    assert_int_equal(r.rejected, 0);
}

static void the_order_of_a_list_is_checked_as_it_promises(void **state)
{
    (void)state;
    const struct post by_key[] = {
        {1, NULL, NULL, NULL, "90"}, {9, NULL, NULL, NULL, "80"}, {2, NULL, NULL, NULL, "85"}};
    list_op.order = ORDER_ENTRIES;
    struct reading r = page_of(by_key, 3);
    assert_int_equal(r.disorder, 1);
    assert_int_equal(r.posts, 2);
    assert_int_equal(r.rejected, 1);
    text_is(parsed(&r.records[0]), "quality.checks.order", "ok");
    text_is(parsed(&r.records[1]), "check", "order"); /* 80 between 90 and 85 */
    text_is(parsed(&r.records[2]), "quality.checks.order", "ok");
    list_op.order = ORDER_IDS;
    r = page_of(by_key, 3);
    assert_int_equal(r.disorder, 1);
    assert_int_equal(r.rejected, 1);
    text_is(parsed(&r.records[1]), "quality.checks.order", "ok");
    list_op.order = ORDER_NONE;
    r = page_of(by_key, 3);
    assert_int_equal(r.disorder, 0);
    text_is(parsed(&r.records[1]), "quality.checks.order", "na");
}

/* One post that stands above all the others, and is no newer, is the one in the wrong place. What is read a second
 * time for that is counted once. */
static void an_old_post_above_the_list_costs_no_other(void **state)
{
    (void)state;
    static const struct post posts[] = {{1, NULL, NULL, NULL, NULL},
                                        {9, NULL, NULL, NULL, NULL},
                                        {8, NULL, NULL, NULL, NULL},
                                        {7, NULL, NULL, NULL, NULL},
                                        {7, NULL, NULL, NULL, NULL}};
    struct buf text = BUF(1 << 20);
    list_op.order = ORDER_IDS;
    reader_forget(reader);
    struct reading r = page_of(posts, 5);
    list_op.order = ORDER_NONE;
    assert_int_equal(r.rejected, 1);
    assert_int_equal(r.posts, 3);
    assert_int_equal(r.repeated, 1); /* the same again is no disorder */
    assert_int_equal(r.records[0].kind, RECORD_REJECTED);
    text_is(parsed(&r.records[0]), "record.quality.checks.order", "fail");
    reader_counts(reader, &text);
    assert_true(span_find(buf_span(&text), SPAN("\npost.id 0 5")) < text.n);
    buf_free(&text);
}

static void as_few_as_can_be_stand_in_the_wrong_place(void **state)
{
    (void)state;
    static const struct {
        uint64_t keys[8];
        size_t n;
        const char *stay;
    } rows[] = {
        {{0}, 0, ""},
        {{5}, 1, "y"},
        {{5, 4, 4, 1}, 4, "yyyy"},
        {{1, 9, 8, 7}, 4, "nyyy"},
        {{9, 8, 7, 10}, 4, "yyyn"},
        {{9, 3, 8, 7, 2}, 5, "ynyyy"},
        {{1, 2, 3, 4}, 4, "nnny"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool out[8] = {0};
        order_outcasts(rows[i].keys, rows[i].n, out);
        for (size_t k = 0; k < rows[i].n; k++)
            if (out[k] != (rows[i].stay[k] == 'n'))
                fail_msg("row %zu: the key at %zu", i, k);
    }
}

/* A page of another server, asked for by a handle. */
static void others_between_the_posts_of_a_handle_are_kept_apart(void **state)
{
    (void)state;
#define ITEM(who, id, classes, head)                                                           \
    "<div class=\"timeline-item " classes "\" data-username=\"" who                            \
    "\"><div class=\"tweet-body\">" head                                                       \
    "<a class=\"fullname\" title=\"N\">N</a><a class=\"username\">@" who                       \
    "</a><span class=\"tweet-date\"><a href=\"/" who "/status/" id                             \
    "#m\" title=\"Jun 14, 2026 · 11:31 AM UTC\">x</a></span><div class=\"tweet-content\">t</div></div></div>"
    const char *page =
        "<html><body><div class=\"container\"><div class=\"timeline-container\"><div class=\"timeline\">" ITEM(
            "Someone", "2066121430466560001", "", "")
            ITEM("stranger", "2066121430466560002", "", "")
                ITEM("friend", "2066121430466560003", "",
                     "<div class=\"retweet-header\"><span>Someone retweeted</span></div>")
                    ITEM("asker", "2066121430466560004", "thread",
                         "") "</div></div></div></body></html>";
    struct fault f = {0};
    struct reading r;
    reader_expect_handle(reader, SPAN("someone"));
    arena_reset(arena);
    assert_int_equal(reader_document(reader, SPAN("nitter_timeline"), 200, SPAN_NONE,
                                     span_of(page), COLLECTED, arena, &r, &f),
                     E_OK);
    assert_int_equal(r.posts, 3);
    assert_int_equal(r.rejected, 1);
    text_is(parsed(&r.records[0]), "quality.checks.author", "ok");
    text_is(parsed(&r.records[1]), "check", "author");
    text_is(parsed(&r.records[3]), "author.screen_name", "asker"); /* in a thread: context */
    reader_forget(reader);
    assert_int_equal(reader_document(reader, SPAN("nitter_timeline"), 200, SPAN_NONE,
                                     span_of(page), COLLECTED, arena, &r, &f),
                     E_OK);
    assert_int_equal(r.rejected, 0);
}

/* ---- members ---- */

static void raw_is(struct json v, const char *path, const char *wanted)
{
    struct buf b = BUF(65536);
    struct json at = json_path(v, path);
    if (at.doc)
        json_add_raw(&b, at);
    if (!span_is(buf_span(&b), wanted))
        fail_msg("%s: wanted %s, got %.*s", path, wanted, SP(buf_span(&b)));
    buf_free(&b);
}

static void members_are_read_where_the_site_sends_them(void **state)
{
    (void)state;
    char top[500], id[24];
    snprintf(id, sizeof id, "%lld", id_of(1));
    snprintf(top, sizeof top,
             ",\"edit_control\":{\"edit_tweet_ids\":[\"7\",\"%s\"],\"edits_remaining\":\"4\","
             "\"editable_until_msecs\":\"1713382690000\"}",
             id);
    const struct post p = {
        1, NULL,
        ",\"withheld_in_countries\":[\"DE\",\"FR\"],\"withheld_scope\":\"status\","
        "\"withheld_copyright\":true,\"self_thread\":{\"id_str\":\"5\"},"
        "\"limited_actions\":\"limited_replies\","
        "\"coordinates\":{\"type\":\"Point\",\"coordinates\":[13.4,52.5]},"
        "\"extended_entities\":{\"media\":[{\"id_str\":\"1\",\"type\":\"video\","
        "\"media_url_https\":\"https://p/K.jpg\",\"source_user_id_str\":\"77\","
        "\"video_info\":{\"aspect_ratio\":[16,9]},"
        "\"features\":{\"all\":{\"tags\":[{\"user_id\":\"8\",\"name\":\"T\",\"screen_name\":"
        "\"t\"}]}},\"sensitive_media_warning\":{\"adult_content\":false}},"
        "{\"id_str\":\"2\",\"type\":\"photo\",\"media_url_https\":\"https://p/L.jpg\","
        "\"sensitive_media_warning\":{\"adult_content\":true,\"other\":true}}]}",
        top, NULL};
    reader_forget(reader);
    struct reading r = page_of(&p, 1);
    struct json post = parsed(&r.records[0]);
    raw_is(post, "withheld",
           "{\"countries\":[\"DE\",\"FR\"],\"scope\":\"status\",\"copyright\":true}");
    raw_is(post, "is_self_thread", "true");
    raw_is(post, "thread_id", "\"5\"");
    raw_is(post, "limited_actions", "\"limited_replies\"");
    raw_is(post, "coordinates", "{\"lon\":13.4,\"lat\":52.5}");
    raw_is(post, "sensitive_flags", "[\"adult_content\",\"other\"]");
    raw_is(post, "media_pending", "false");
    raw_is(post, "position", "{\"page\":1,\"index\":0,\"section\":\"timeline\"}");
    raw_is(post, "edit.is_latest", "true");
    raw_is(post, "edit.edits_left", "4");
    raw_is(post, "provenance.fields", "{\"url\":\"derived\",\"created_at_ms\":\"id\"}");
    struct json media = json_path(post, "media");
    raw_is(json_at(media, 0), "aspect", "[16,9]");
    raw_is(json_at(media, 0), "tagged_users",
           "[{\"id\":\"8\",\"screen_name\":\"t\",\"name\":\"T\"}]");
    raw_is(json_at(media, 0), "from_user.id", "\"77\"");
    raw_is(json_at(media, 0), "sensitive", "[]");
    raw_is(json_at(media, 1), "sensitive", "[\"adult_content\",\"other\"]");
    /* an older version: there is a newer one */
    snprintf(top, sizeof top,
             ",\"edit_control\":{\"edit_control_initial\":{\"edit_tweet_ids\":[\"%s\","
             "\"9999999999999999999\"]},\"initial_tweet_id\":\"%s\"}",
             id, id);
    const struct post older = {1, NULL, NULL, top, NULL};
    r = page_of(&older, 1);
    post = parsed(&r.records[0]);
    raw_is(post, "edit.is_latest", "false");
    raw_is(post, "quality.checks.edits", "\"ok\"");
    raw_is(post, "position.page", "2");
    raw_is(post, "withheld", "null");
    raw_is(post, "is_self_thread", "null");
}

/* ---- counts ---- */

static bool told(struct span text, const char *line)
{
    struct span part;
    while (span_next(&text, '\n', &part))
        if (span_is(part, line))
            return true;
    return false;
}

static void counts_are_told_once_and_new_members_by_name(void **state)
{
    (void)state;
    const struct post p = {1, NULL, ",\"mood\":1,\"entities\":{\"moods\":[]}", ",\"aura\":{}",
                           NULL};
    struct buf text = BUF(DRIFT_TEXT_MAX);
    reader_forget(reader);
    page_of(&p, 1);
    reader_counts(reader, &text);
    assert_true(span_starts(buf_span(&text), SPAN("=1-")));
    assert_true(told(buf_span(&text), "+post.legacy.mood 1"));
    assert_true(told(buf_span(&text), "+post.legacy.entities.moods 1"));
    assert_true(told(buf_span(&text), "+post.aura 1"));
    assert_false(told(buf_span(&text), "+post.__typename 1")); /* known and not needed */
    assert_true(told(buf_span(&text), "post.text_raw 0 0 0 0 1"));
    assert_true(told(buf_span(&text), "post.counts.view 1"));
    buf_clear(&text);
    reader_counts(reader, &text);
    assert_int_equal(text.n, 0);
    page_of(&p, 1);
    reader_counts(reader, &text);
    assert_true(told(buf_span(&text), "+post.aura 1"));
    buf_free(&text);
}

/* A member of accounts that goes under another name gives nulls only: it has to show here. */
static void a_renamed_member_of_an_account_shows(void **state)
{
    (void)state;
    static const char body[] =
        "{\"data\":{\"user\":{\"result\":{\"__typename\":\"User\",\"rest_id\":\"11\",\"core\":{"
        "\"made_at\":\"Wed Apr 17 18:37:10 +0000 2024\",\"screen_name\":\"nasa\",\"name\":"
        "\"NASA\"}}}}}";
    struct buf text = BUF(DRIFT_TEXT_MAX);
    struct reading r;
    reader_forget(reader);
    assert_int_equal(reader_answer(reader, &user_op, 200, SPAN_NONE, span_of(body), COLLECTED,
                                   arena, &r, NULL),
                     E_OK);
    assert_int_equal(r.users, 1);
    reader_counts(reader, &text);
    assert_true(told(buf_span(&text), "user.created_at 1"));
    assert_true(told(buf_span(&text), "+user.core.made_at 1"));
    buf_free(&text);
}

static void what_a_site_names_its_members_cannot_flood_or_forge(void **state)
{
    (void)state;
    struct buf legacy = BUF(1 << 20), text = BUF(DRIFT_TEXT_MAX);
    for (int i = 0; i < 500; i++)
        buf_fmt(&legacy, ",\"member_%d\":1", i);
    buf_add_text(&legacy, ",\"a\\nb 1\":1,\"=x\":1,\"\":1,\"");
    for (int i = 0; i < 300; i++)
        buf_add_char(&legacy, 'm');
    buf_add(&legacy, SPAN("\":1\0"));
    const struct post p = {1, NULL, legacy.p, NULL, NULL};
    reader_forget(reader);
    page_of(&p, 1);
    reader_counts(reader, &text);
    struct span rest = buf_span(&text), line, all = rest;
    size_t news = 0;
    while (span_next(&rest, '\n', &line))
        news += span_starts(line, SPAN("+"));
    assert_int_equal(news, 64);
    assert_true(span_find(all, SPAN("a\nb")) == all.n);
    buf_free(&legacy);
    buf_free(&text);
}

/* ---- recorded answers ---- */

static void sweep(const char *folder, size_t *files, size_t *records, struct buf *news)
{
    static const char *const failed = "\"fail\"";
    DIR *d = opendir(folder);
    struct buf body = BUF(BODY_BYTES);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        char path[800];
        struct reading r;
        size_t n;
        if (!strstr(e->d_name, ".json") || strstr(e->d_name, ".expect.") ||
            strstr(e->d_name, ".ndjson"))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        buf_clear(&body);
        while ((n = fread(buf_room(&body, 65536), 1, 65536, f)) > 0)
            body.n += n;
        fclose(f);
        bool user =
            strncmp(e->d_name, "user_by", 7) == 0 || strncmp(e->d_name, "user_about", 10) == 0;
        list_op.order = strncmp(e->d_name, "user_tweets", 11) == 0 ? ORDER_ENTRIES
                        : strncmp(e->d_name, "search", 6) == 0     ? ORDER_IDS
                                                                   : ORDER_NONE;
        arena_reset(arena);
        reader_forget(reader);
        assert_int_equal(reader_answer(reader, user ? &user_op : &list_op, 200, SPAN_NONE,
                                       buf_span(&body), COLLECTED, arena, &r, NULL),
                         E_OK);
        for (size_t i = 0; i < r.count; i++)
            if (span_find(r.records[i].json, span_of(failed)) < r.records[i].json.n)
                fail_msg("%s: %.*s fails a check", path, SP(r.records[i].id));
        assert_int_equal(r.rejected, 0);
        assert_int_equal(r.disorder, 0);
        reader_counts(reader, news);
        (*files)++;
        *records += r.posts + r.users;
    }
    list_op.order = ORDER_NONE;
    buf_free(&body);
    if (d)
        closedir(d);
}

/* Every check holds on what the answers below a folder say, and every member of them is known. */
static size_t pass_and_bring_no_news(const char *where, size_t *out_files)
{
    static const char *const folders[] = {"l1", "l2", "l3", "cases", "errors", "seq"};
    size_t records = 0;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char path[500];
        snprintf(path, sizeof path, "%s/graphql/%s", where, folders[i]);
        struct buf text = BUF(BODY_BYTES);
        sweep(path, out_files, &records, &text);
        struct span rest = buf_span(&text), line;
        while (span_next(&rest, '\n', &line))
            if (span_starts(line, SPAN("+")))
                fail_msg("%s: nobody knows %.*s", path, SP(line));
        buf_free(&text);
    }
    return records;
}

static void own_answers_pass_and_bring_no_news(void **state)
{
    (void)state;
    size_t files = 0, records = pass_and_bring_no_news("tests/data/shapes", &files);
    assert_true(files >= 60 && records >= 150);
}

/* The same of what the site really sent. */
static void recorded_answers_pass_and_bring_no_news(void **state)
{
    (void)state;
    const char *where = getenv("FULMAR_FIXTURES");
    size_t files = 0,
           records = pass_and_bring_no_news(where ? where : "../shared/fixtures/x", &files);
    if (!files) {
        printf("skipped: no answers recorded from the site\n");
        skip();
    }
    printf("%zu files, %zu records, every check held\n", files, records);
    assert_true(records >= 500);
}

/* The same of one answer of another source: its news, as they are told. */
static void news_of(const char *site, const char *source, const char *path, struct buf *out)
{
    struct fault f = {0};
    struct pack *other = open_site(site);
    struct buf body = BUF(BODY_BYTES);
    struct reading r;
    size_t n;
    FILE *h = fopen(path, "rb");
    if (!h)
        fail_msg("%s: %m", path);
    while ((n = fread(buf_room(&body, 65536), 1, 65536, h)) > 0)
        body.n += n;
    fclose(h);
    struct reader *own = reader_new(other, BODY_BYTES);
    arena_reset(arena);
    assert_int_equal(reader_document(own, span_of(source), 200, SPAN_NONE, buf_span(&body),
                                     COLLECTED, arena, &r, &f),
                     E_OK);
    buf_clear(out);
    reader_counts(own, out);
    reader_free(&own);
    pack_close(&other);
    buf_free(&body);
}

static void answers_of_other_sources_bring_news_where_there_is_some(void **state)
{
    (void)state;
    static const char *const quiet[][3] = {
        {"bluesky", "author_feed", "tests/data/bluesky/author_feed-1.json"},
        {"bluesky", "search", "tests/data/bluesky/search-1.json"},
        {"bluesky", "thread", "tests/data/bluesky/thread-1.json"},
        {"bluesky", "profile", "tests/data/bluesky/profile-1.json"},
        {"bluesky", "followers", "tests/data/bluesky/followers-1.json"},
        {"mastodon", "statuses", "tests/data/mastodon/statuses-1.json"},
        {"mastodon", "account", "tests/data/mastodon/account-1.json"},
        {"mastodon", "context", "tests/data/mastodon/context-1.json"},
        {"mastodon", "followers", "tests/data/mastodon/followers-1.json"},
    };
    struct buf text = BUF(64 * 1024);
    for (size_t i = 0; i < sizeof quiet / sizeof quiet[0]; i++) {
        news_of(quiet[i][0], quiet[i][1], quiet[i][2], &text);
        size_t at = span_find(buf_span(&text), SPAN("\n+"));
        if (at < text.n || !text.n)
            fail_msg("%s: nobody knows %.*s", quiet[i][2],
                     SP(span_cut(buf_span(&text), at, 80)));
    }
    news_of("bluesky", "author_feed", "tests/data/bluesky/author_feed-drift.json", &text);
    assert_true(told(buf_span(&text), "+post.post.renamed 1"));
    buf_free(&text);
}

/* A source promises an order as well; what has no time of its own in the list is not held to it. */
static void lists_of_other_sources_are_checked_as_they_promise(void **state)
{
    (void)state;
#define STATUS(id, time, more)                                                                              \
    "{\"id\":\"" id "\",\"uri\":\"https://m/" id "\",\"url\":\"https://m/" id                               \
    "\",\"created_at\":\"" time "\",\"content\":"                                                           \
    "\"<p>x</p>\",\"account\":{\"id\":\"9\",\"acct\":\"a\",\"username\":\"a\",\"display_name\":\"A\"}" more \
    "}"
#define OLD "2026-01-01T00:00:00.000Z"
#define NEW "2026-02-01T00:00:00.000Z"
    static const struct {
        const char *body;
        size_t disorder;
    } rows[] = {
        {"[" STATUS("2", NEW, "") "," STATUS("1", OLD, "") "]", 0},
        {"[" STATUS("2", NEW, "") "," STATUS("1", NEW, "") "]", 0},
        {"[" STATUS("1", OLD, "") "," STATUS("2", NEW, "") "]", 1},
        {"[" STATUS("1", OLD, "") "," STATUS("3", NEW, ",\"reblog\":" STATUS("2", NEW, "")) "]",
         0},
    };
    struct fault f = {0};
    struct pack *other = open_site("mastodon");
    struct reading r;
    struct reader *own = reader_new(other, BODY_BYTES);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        arena_reset(arena);
        assert_int_equal(reader_document(own, SPAN("statuses"), 200, SPAN_NONE,
                                         span_of(rows[i].body), COLLECTED, arena, &r, &f),
                         E_OK);
        assert_int_equal(r.posts, 2);
        assert_int_equal(r.disorder, rows[i].disorder);
        assert_int_equal(reader_document(own, SPAN("statuses_replies"), 200, SPAN_NONE,
                                         span_of(rows[i].body), COLLECTED, arena, &r, &f),
                         E_OK);
        assert_int_equal(r.disorder, 0); /* that one promises nothing */
    }
    reader_free(&own);
    pack_close(&other);
}

static int set_up(void **state)
{
    (void)state;
    open_reading("x", BODY_BYTES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close_reading();
    return 0;
}

#define T(name) cmocka_unit_test(name)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(each_rule_says_ok_fail_or_nothing),
        T(a_sheet_keeps_failures_and_counts_what_could_be_made),
        T(a_record_says_which_checks_it_passed),
        T(a_record_that_fails_a_hard_check_is_kept_apart),
        T(posts_of_others_in_an_own_list_are_kept_apart),
        T(the_order_of_a_list_is_checked_as_it_promises),
        T(an_old_post_above_the_list_costs_no_other),
        T(as_few_as_can_be_stand_in_the_wrong_place),
        T(others_between_the_posts_of_a_handle_are_kept_apart),
        T(members_are_read_where_the_site_sends_them),
        T(counts_are_told_once_and_new_members_by_name),
        T(a_renamed_member_of_an_account_shows),
        T(what_a_site_names_its_members_cannot_flood_or_forge),
        T(own_answers_pass_and_bring_no_news),
        T(recorded_answers_pass_and_bring_no_news),
        T(answers_of_other_sources_bring_news_where_there_is_some),
        T(lists_of_other_sources_are_checked_as_they_promise),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
