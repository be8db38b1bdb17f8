/* Counts as text, the rule that says what is not as it was, and two readings of one post. */
#include "base/json.h"
#include "core/drift.h"
#include "extract/merge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* ---- text ---- */

static void what_is_written_comes_back(void **state)
{
    (void)state;
    struct buf b = BUF(DRIFT_TEXT_MAX);
    struct drift_line in = {
        .map = SPAN("post"), .name = SPAN("text"), .missing = 2, .paths = 4};
    struct drift_line news = {.news = true, .name = SPAN("post.mood"), .hits = {3}, .paths = 1};
    in.hits[1] = 5;
    drift_add_version(&b, SPAN("1-abc"));
    drift_add_line(&b, &in);
    drift_add_line(&b, &news);
    assert_true(span_is(buf_span(&b), "=1-abc\npost.text 2 0 5\n+post.mood 3\n"));
    struct span rest = buf_span(&b), version = SPAN_NONE;
    struct drift_line out;
    assert_true(drift_next_line(&rest, &version, &out));
    assert_true(span_is(version, "1-abc") && span_is(out.name, "post.text") && !out.news);
    assert_int_equal(out.missing, 2);
    assert_int_equal(out.paths, 2);
    assert_int_equal(out.hits[1], 5);
    assert_true(drift_next_line(&rest, &version, &out));
    assert_true(out.news && span_is(out.name, "post.mood"));
    assert_int_equal(out.hits[0], 3);
    assert_false(drift_next_line(&rest, &version, &out));
    buf_free(&b);
}

/* The text comes from a process that may have been taken over. */
static void lines_that_are_none_are_passed_over(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "\n\n",
        "name",
        "name x",
        "name -1",
        "name 1 -1",
        "+name",
        "+name 1 2",
        "+",
        " 1 2",
        "name 1 99999999999999999999999",
        "=",
        "name 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 x",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct span rest = span_of(bad[i]), version = SPAN_NONE;
        struct drift_line out;
        while (drift_next_line(&rest, &version, &out))
            if (out.paths > DRIFT_PATHS || i + 1 < sizeof bad / sizeof bad[0])
                fail_msg("'%s' was read", bad[i]);
    }
    char name[DRIFT_NAME + 9];
    memset(name, 'n', sizeof name);
    memcpy(name + DRIFT_NAME, " 1 2\nb 3", 9);
    struct span rest = span_of(name), version = SPAN_NONE;
    struct drift_line out;
    assert_true(drift_next_line(&rest, &version, &out));
    assert_true(span_is(out.name, "b"));
    /* and what is written is bounded */
    struct buf b = BUF(DRIFT_TEXT_MAX * 2);
    struct drift_line line = {.name = SPAN("a.field.of.some.length"), .paths = 1, .hits = {1}};
    for (int i = 0; i < 5000; i++)
        drift_add_line(&b, &line);
    assert_true(b.n <= DRIFT_TEXT_MAX);
    buf_free(&b);
}

/* ---- the rule ---- */

static void judged(struct drift_counts before, struct drift_counts now, enum drift_mark wanted)
{
    enum drift_mark got = drift_judge(&before, &now);
    if (got != wanted)
        fail_msg("%lld/%lld then %lld/%lld missing: wanted %s, got %s",
                 (long long)before.missing, (long long)before.hits[0], (long long)now.missing,
                 (long long)now.hits[0], drift_mark_name(wanted), drift_mark_name(got));
}
#define C(missing, ...) ((struct drift_counts){missing, {__VA_ARGS__}})

static void a_field_is_marked_when_it_is_not_as_it_was(void **state)
{
    (void)state;
    judged(C(0, 1000), C(0, 1000), DRIFT_NONE);
    judged(C(0, 1000), C(300, 700), DRIFT_MISSING);
    judged(C(0, 20), C(4), DRIFT_MISSING);     /* few accounts, but none of them */
    judged(C(0, 1000), C(1), DRIFT_NONE);      /* one of one is chance */
    judged(C(0, 1000), C(2, 998), DRIFT_NONE); /* sure, and too little to matter */
    judged(C(500, 500), C(520, 480), DRIFT_NONE);
    judged(C(500, 500), C(900, 100), DRIFT_MISSING);
    judged(C(0, 10), C(10), DRIFT_NONE); /* nobody knows what was usual */
    judged(C(0), C(0), DRIFT_NONE);
    judged(C(0, 1000), C(0, 100, 400), DRIFT_FALLBACK);
    judged(C(0, 0, 1000), C(0, 0, 500), DRIFT_NONE); /* the second path is its usual one */
    judged(C(0, 0, 1000), C(0, 400, 100), DRIFT_FALLBACK);
    judged(C(0, 850, 150), C(0, 850, 0, 150),
           DRIFT_FALLBACK); /* another sign tells the same few */
    judged(C(0, 850, 150), C(0, 850, 147, 3), DRIFT_NONE);
    judged(C(0, 850, 150, 1), C(0, 850, 140, 10), DRIFT_NONE); /* it came before */
    judged(C(0, 500, 500), C(0, 300, 200), DRIFT_NONE);
    judged(C(0, 1000), C(900, 0, 100), DRIFT_MISSING); /* the worse of both */
    judged(C(100, 0), C(0, 100), DRIFT_NONE);          /* better than it was */
}

static double next_double(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(*seed >> 11) / 9007199254740992.0;
}

/* Stated: by chance less than once in ten thousand looks at a field. */
static void a_healthy_site_is_not_marked(void **state)
{
    (void)state;
    static const double shares[] = {0, 0.01, 0.1, 0.5, 0.9};
    uint64_t seed = 4711;
    int marked = 0;
    for (int look = 0; look < 20000; look++) {
        double p = shares[look % 5];
        struct drift_counts before = {0}, now = {0};
        for (int i = 0; i < 100; i++)
            *(next_double(&seed) < p ? &before.missing : &before.hits[0]) += 1;
        for (int i = 0; i < 50; i++)
            *(next_double(&seed) < p ? &now.missing : &now.hits[0]) += 1;
        marked += drift_judge(&before, &now) != DRIFT_NONE;
    }
    /* The share before is counted, not known, so a few more than two may come. */
    if (marked > 10)
        fail_msg("%d of 20000 looks at a healthy site were marked", marked);
}

static void the_tail_is_never_too_small(void **state)
{
    (void)state;
    assert_true(drift_tail(0, 10, 0.5) >= 1);
    assert_true(drift_tail(5, 10, 0.5) >= 1);
    assert_true(drift_tail(10, 10, 0.5) >= 1.0 / 1024 && drift_tail(10, 10, 0.5) < 0.01);
    assert_true(drift_tail(4, 4, 1.0 / 22) < 1e-4);
    assert_true(drift_tail(3, 0, 0.5) >= 1);
}

/* ---- two readings ---- */

static struct json_parser *parser;
static struct arena *arena;

static struct merge_side side(const char *json)
{
    struct json root;
    struct merge_side out;
    assert_int_equal(json_parse(parser, span_of(json), &root, NULL), E_OK);
    assert_true(merge_read(root, arena, &out));
    return out;
}

#define FILE(key, type, width)                                                                 \
    "{\"key\":\"" key "\",\"type\":\"" type "\",\"alt\":\"of " key " " #width                  \
    "\",\"width\":" #width ",\"height\":" #width ",\"duration_ms\":" #width "}"
/* Members that say another thing with other words. */
#define EVERY(id, number, truth, word)                                                         \
    "\"is_long\":" truth ",\"hashtags\":[\"" word "\"],\"cashtags\":[\"" word                  \
    "\"],\"mentions\":[{\"screen_name\":\"" word                                               \
    "\"},{\"screen_name\":\"bob\"}],\"thread_id\":\"" id "\",\"source_app\":\"" word           \
    "\",\"card\":{\"title\":\"" word "\",\"poll\":{\"options\":[{\"label\":\"" word            \
    "\",\"votes\":" number "}]}},\"article\":{\"id\":\"" id "\"},\"community\":{\"id\":\"" id  \
    "\"},\"place\":{\"id\":\"" id "\"}"
#define POST(source, rest) "{\"provenance\":{\"source\":\"" source "\"}," rest "}"

static void readings_disagree_only_where_both_say_something(void **state)
{
    (void)state;
    struct merge_side full = side(POST(
        "graphql",
        "\"text\":\"one  two\\nthree\",\"created_at\":\"2026-01-01T00:00:00Z\",\"author\":{"
        "\"screen_name\":\"NASA\",\"id\":\"11\",\"name\":\"The NASA\"},\"media\":[" FILE(
            "A", "photo",
            640) "," FILE("B", "gif",
                          320) "],"
                               "\"lang\":\"en\",\"urls\":[{\"expanded\":\"https://a\"},{\"expanded\":\"https://b\"}],"
                               "\"reply_to\":{\"post_id\":\"1\",\"user_id\":\"5\",\"screen_name\":\"Ann\"},\"quote_of\":\"2\","
                               "\"repost_of\":\"3\",\"conversation_id\":\"4\",\"counts\":{\"like\":1}," EVERY(
                                   "11", "640", "true", "a")));
    struct merge_side shown = side(POST(
        "dom",
        "\"text\":\" one two three \",\"created_at\":\"2026-01-01T00:00:00Z\",\"author\":{"
        "\"screen_name\":\"nasa\"},\"media\":[{\"url\":\"u\"}],\"lang\":\"en\",\"urls\":["
        "{\"expanded\":\"https://a\"}],\"reply_to\":{\"post_id\":null},\"quote_of\":null,"
        "\"hashtags\":[],\"mentions\":[{\"screen_name\":\"BOB\"}],\"is_long\":null,\"card\":null,\"counts\":{\"like\":2}"));
    for (int f = 0; f < MERGE_FIELDS; f++)
        if (merge_conflict((enum merge_field)f, &full, &shown))
            fail_msg("%s", merge_field_name((enum merge_field)f));
    struct merge_side other = side(POST(
        "dom",
        "\"text\":\"one two\",\"created_at\":\"2026-01-01T00:00:01Z\",\"author\":{"
        "\"screen_name\":\"esa\",\"id\":\"12\",\"name\":\"The ESA\"},\"media\":[" FILE(
            "A", "video",
            641) "],\"lang\":\"de\",\"urls\":[{\"expanded\":"
                 "\"https://a\"},{\"expanded\":\"https://c\"}],\"reply_to\":{\"post_id\":\"9\",\"user_id\":\"9\","
                 "\"screen_name\":\"Eve\"},\"quote_of\":\"9\",\"repost_of\":\"9\",\"conversation_id\":\"9\"," EVERY(
                     "12", "641", "false", "x")));
    for (int f = 0; f < MERGE_FIELDS; f++)
        if (!merge_conflict((enum merge_field)f, &full, &other))
            fail_msg("%s is the same", merge_field_name((enum merge_field)f));
    for (int f = 0; f < MERGE_FIELDS; f++)
        assert_false(merge_conflict((enum merge_field)f, &full, &full));
    struct merge_side cut = side(POST("dom", "\"text\":\"one tw\",\"text_truncated\":true"));
    assert_false(merge_conflict(MERGE_TEXT, &full, &cut));
    assert_false(merge_conflict(MERGE_CREATED_AT, &full, &cut)); /* not said */
    struct merge_side less = side(
        POST("dom", "\"text\":\"one tw\",\"text_truncated\":true,\"media_pending\":true,"
                    "\"media\":[{\"key\":\"B\"}],\"urls\":[{\"expanded\":\"https://c\"}]"));
    assert_false(merge_conflict(MERGE_URLS, &full, &less));
    assert_false(merge_conflict(MERGE_MEDIA, &full, &less));
    struct merge_side answer = side(POST("graphql", "\"text\":\"@a @b one two three\""));
    assert_false(merge_conflict(MERGE_TEXT, &answer, &shown));
    /* A page does not show the link to what stands below the words, nor any words of an article. */
    struct merge_side linked = side(
        POST("graphql", "\"text\":\"one two three https://a.example/b\\nhttp://c.example\""));
    struct merge_side inside =
        side(POST("graphql", "\"text\":\"one https://a.example/b two three\""));
    struct merge_side article = side(POST("dom", "\"text\":\"\""));
    assert_false(merge_conflict(MERGE_TEXT, &linked, &shown));
    assert_false(merge_conflict(MERGE_TEXT, &linked, &article));
    assert_true(merge_conflict(MERGE_TEXT, &inside, &shown));
    struct merge_side glued = side(POST("dom", "\"text\":\"onetwo three\""));
    assert_true(merge_conflict(MERGE_TEXT, &full, &glued));
}

static void the_rules_say_whose_word_counts(void **state)
{
    (void)state;
    static const char *const ranks[] = {"graphql",    "syndication", "dom",    "nitter_html",
                                        "nitter_rss", "oembed",      "unheard"};
    for (size_t i = 1; i < sizeof ranks / sizeof ranks[0]; i++)
        assert_true(merge_rank(span_of(ranks[i - 1])) < merge_rank(span_of(ranks[i])));
    struct merge_side api = side(POST("graphql", "\"text\":\"short\",\"created_at\":\"a\""));
    struct merge_side dom = side(POST("dom", "\"text\":\"longer text\",\"created_at\":\"b\""));
    struct merge_side cut =
        side(POST("graphql", "\"text\":\"the longest text of all\",\"text_truncated\":true"));
    assert_int_equal(merge_pick(MERGE_TEXT, &api, &dom), 1);
    assert_int_equal(merge_pick(MERGE_TEXT, &cut, &api), 1); /* whole before long */
    assert_int_equal(merge_pick(MERGE_TEXT, &api, &cut), 0);
    assert_int_equal(merge_pick(MERGE_CREATED_AT, &api, &dom), 0);
    assert_int_equal(merge_pick(MERGE_CREATED_AT, &dom, &api), 1);
    assert_int_equal(merge_pick(MERGE_CREATED_AT, &dom, &cut), 0); /* nothing never wins */
    assert_int_equal(merge_pick(MERGE_CREATED_AT, &cut, &dom), 1);
    assert_int_equal(merge_pick(MERGE_MEDIA, &dom, &api), 0); /* nobody says */
}

static int set_up(void **state)
{
    (void)state;
    parser = json_parser_new(1 << 20);
    arena = arena_new(1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    json_parser_free(&parser);
    arena_free(&arena);
    return 0;
}

#define T(name) cmocka_unit_test(name)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_written_comes_back),
        T(lines_that_are_none_are_passed_over),
        T(a_field_is_marked_when_it_is_not_as_it_was),
        T(a_healthy_site_is_not_marked),
        T(the_tail_is_never_too_small),
        T(readings_disagree_only_where_both_say_something),
        T(the_rules_say_whose_word_counts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
