/* What media may be fetched and in which order; what a file is; parts of files; their sums. */
#include "os/digest.h"
#include "core/filetype.h"
#include "extract/media.h"
#include "wire/range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/pack.h"

static struct pack *pack;
static struct json_parser *parser;
static struct arena *arena;
static struct span target_host;

static int open_pack(void **state)
{
    (void)state;
    pack = open_site("x");
    parser = json_parser_new(65536);
    arena = arena_new(1 << 20);
    return 0;
}

static int close_pack(void **state)
{
    (void)state;
    pack_close(&pack);
    json_parser_free(&parser);
    arena_free(&arena);
    return 0;
}

/* The URLs, one behind the other with spaces. */
static void expect_urls(const char *kind, const char *media, const char *wanted)
{
    struct json root;
    struct span urls[MEDIA_URLS_MAX];
    struct buf got = BUF(65536);
    const struct media_rule *r = pack_media(pack, span_of(kind));
    assert_non_null(r);
    assert_int_equal(json_parse(parser, span_of(media), &root, NULL), E_OK);
    size_t n = media_urls(r, root, target_host, arena, urls);
    for (size_t i = 0; i < n; i++)
        buf_fmt(&got, "%s%.*s", i ? " " : "", SP(urls[i]));
    char text[4096];
    assert_string_equal(span_copy(buf_span(&got), text, sizeof text), wanted);
    buf_free(&got);
}

static void a_photo_is_asked_for_as_orig_then_smaller(void **state)
{
    (void)state;
    expect_urls("photo", "{\"url\":\"https://pbs.twimg.com/media/Gab_1.png\"}",
                "https://pbs.twimg.com/media/Gab_1?format=png&name=orig "
                "https://pbs.twimg.com/media/Gab_1?format=png&name=4096x4096 "
                "https://pbs.twimg.com/media/Gab_1?format=png&name=large");
    expect_urls("photo",
                "{\"url\":\"https://pbs.twimg.com/media/Gab_1?format=jpg&name=small\"}",
                "https://pbs.twimg.com/media/Gab_1?format=jpg&name=orig "
                "https://pbs.twimg.com/media/Gab_1?format=jpg&name=4096x4096 "
                "https://pbs.twimg.com/media/Gab_1?format=jpg&name=large");
    expect_urls("photo", "{\"url\":\"https://pbs.twimg.com/media/nosuffix\"}", "");
    expect_urls("photo", "{\"url\":null}", "");
}

static void a_video_is_the_variant_of_the_highest_bitrate(void **state)
{
    (void)state;
    expect_urls("video",
                "{\"url\":\"https://video.twimg.com/a/3.mp4\",\"variants\":["
                "{\"url\":\"https://video.twimg.com/a/l.m3u8\",\"content_type\":"
                "\"application/x-mpegURL\",\"bitrate\":null},"
                "{\"url\":\"https://video.twimg.com/a/1.mp4\",\"content_type\":\"video/mp4\","
                "\"bitrate\":256000},"
                "{\"url\":\"https://video.twimg.com/a/3.mp4\",\"content_type\":\"video/mp4\","
                "\"bitrate\":2176000},"
                "{\"url\":\"https://evil.test/a/4.mp4\",\"content_type\":\"video/mp4\","
                "\"bitrate\":9999999},"
                "{\"url\":\"https://video.twimg.com/a/2.mp4\",\"content_type\":\"video/mp4\","
                "\"bitrate\":832000}]}",
                "https://video.twimg.com/a/3.mp4 https://video.twimg.com/a/2.mp4 "
                "https://video.twimg.com/a/1.mp4");
    expect_urls("gif",
                "{\"url\":\"https://video.twimg.com/tweet_video/g.mp4\",\"variants\":[{\"url\":"
                "\"https://video.twimg.com/tweet_video/g.mp4\",\"content_type\":\"video/mp4\","
                "\"bitrate\":0}]}",
                "https://video.twimg.com/tweet_video/g.mp4");
    expect_urls("video", "{\"url\":\"https://video.twimg.com/a/3.mp4\",\"variants\":[]}",
                "https://video.twimg.com/a/3.mp4");
}

static void what_is_no_media_is_never_asked_for(void **state)
{
    (void)state;
    static const char *const never[] = {
        "https://pbs.twimg.com/profile_images/1/a_normal.jpg",
        "https://pbs.twimg.com/profile_banners/1/2",
        "https://pbs.twimg.com/card_img/1/a.jpg",
        "https://abs.twimg.com/emoji/v2/72x72/1f600.png",
        "https://pbs.twimg.com/media/",
        "http://pbs.twimg.com/media/a.jpg",
        "https://pbs.twimg.com.evil.test/media/a.jpg",
        "https://pbs.twimg.com@evil.test/media/a.jpg",
        "https://pbs.twimg.com/media/../profile_images/a.jpg",
        "https://pbs.twimg.com/media/%2e%2E/a.jpg",
        "https://pbs.twimg.com/media/a b.jpg",
        "https://video.twimg.com/a.mp4",
        "file:///etc/passwd",
    };
    const struct media_rule *photo = pack_media(pack, SPAN("photo"));
    assert_true(pack_has_media(pack));
    assert_null(pack_media(pack, SPAN("avatar")));
    assert_true(media_allows(photo, SPAN("https://pbs.twimg.com/media/a?format=jpg&name=orig"),
                             SPAN_NONE));
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        if (media_allows(photo, span_of(never[i]), SPAN("evil.test")))
            fail_msg("%s passes as a photo", never[i]);
    assert_true(pack_media_origin(pack, SPAN("https://pbs.twimg.com"), SPAN_NONE));
    assert_true(
        pack_media_origin(pack, media_origin(SPAN("https://video.twimg.com/x?y")), SPAN_NONE));
    assert_false(pack_media_origin(pack, SPAN("https://x.com"), SPAN("x.com")));
}

static void open_other(const char *name)
{
    pack_close(&pack);
    pack = open_site(name);
}

/* Files of an instance lie on the host of the job's target, or on one below it, and nowhere else. */
static void media_may_lie_at_the_target_s_own_host(void **state)
{
    (void)state;
    open_other("mastodon");
    struct span host = pack_target_host(pack, SPAN("posts"), SPAN("alice@example.test"));
    assert_true(span_is(host, "example.test"));
    assert_int_equal(pack_target_host(pack, SPAN("nosuch"), SPAN("alice@example.test")).n, 0);
    static const struct {
        const char *url;
        bool fine;
    } rows[] = {
        {"https://example.test/system/media_attachments/files/1/original/a.png", true},
        {"https://files.example.test/media_attachments/files/1/original/a.png", true},
        {"https://a.b.EXAMPLE.test/a.png", true},
        {"https://example.test/", false},
        {"https://example.test:8443/a.png", false},
        {"http://files.example.test/a.png", false},
        {"https://evilexample.test/a.png", false},
        {"https://example.test.evil.test/a.png", false},
        {"https://.example.test/a.png", false},
        {"https://files.example.test@evil.test/a.png", false},
        {"https://evil.test/?https://files.example.test/a.png", false},
        {"https://{host}/a.png", false},
        {"https://files.example.test/../a.png", false},
    };
    const struct media_rule *photo = pack_media(pack, SPAN("photo"));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (media_allows(photo, span_of(rows[i].url), host) != rows[i].fine)
            fail_msg("%s", rows[i].url);
        if (media_allows(photo, span_of(rows[i].url), SPAN_NONE))
            fail_msg("%s passes for a target without a host", rows[i].url);
    }
    assert_true(pack_media_origin(pack, SPAN("https://files.example.test"), host));
    assert_false(pack_media_origin(pack, SPAN("https://files.other.test"), host));
    assert_false(pack_media_origin(pack, SPAN("https://example.test"), SPAN_NONE));
    target_host = host;
    expect_urls("gif", "{\"url\":\"https://files.example.test/m/a.mp4\"}",
                "https://files.example.test/m/a.mp4");
    expect_urls("photo", "{\"url\":\"https://elsewhere.test/m/a.png\"}", "");
    target_host = SPAN_NONE;
    open_other("bluesky");
    assert_int_equal(pack_target_host(pack, SPAN("posts"), SPAN("alice.test")).n, 0);
    expect_urls(
        "photo",
        "{\"url\":\"https://cdn.bsky.app/img/feed_fullsize/plain/did:plc:a/bafy@jpeg\"}",
        "https://cdn.bsky.app/img/feed_fullsize/plain/did:plc:a/bafy@jpeg");
    expect_urls("photo",
                "{\"url\":\"https://cdn.bsky.app/img/avatar/plain/did:plc:a/bafy@jpeg\"}", "");
    assert_null(pack_media(pack, SPAN("video")));
    open_other("x");
}

static void a_file_is_what_its_first_bytes_say(void **state)
{
    (void)state;
    static const struct {
        const char *mime;
        struct span front;
        bool fits;
    } cases[] = {
        {"image/jpeg", {"\xff\xd8\xff\xe0\0\x10JFIF\0\1", 12}, true},
        {"image/jpeg", {"<!doctype ht", 12}, false},
        {"IMAGE/PNG; q=1", {"\x89PNG\r\n\x1a\n\0\0\0\r", 12}, true},
        {"image/png", {"\xff\xd8\xff\xe0\0\x10JFIF\0\1", 12}, false},
        {"image/gif", {"GIF89a\1\0\1\0\x80\0", 12}, true},
        {"image/gif", {"GIF8 is old.", 12}, false},
        {"image/webp", {"RIFF\x24\0\0\0WEBP", 12}, true},
        {"image/webp", {"RIFF\x24\0\0\0WAVE", 12}, false},
        {"video/mp4",
         {"\0\0\0\x20"
          "ftypisom",
          12},
         true},
        {"video/mp4", {"#EXTM3U\n#EXT", 12}, false},
        {"video/webm", {"\x1a\x45\xdf\xa3\1\0\0\0\0\0\0\x1f", 12}, true},
        {"image/jpeg", {"\xff\xd8", 2}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct filetype *t = filetype_find(span_of(cases[i].mime));
        assert_non_null(t);
        if (filetype_fits(t, cases[i].front) != cases[i].fits)
            fail_msg("case %zu: %s", i, cases[i].mime);
    }
    assert_null(filetype_find(SPAN("text/html")));
    assert_null(filetype_find(SPAN("image/svg+xml")));
    assert_null(filetype_find(SPAN("")));
}

static void an_answer_to_a_range_says_how_to_go_on(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *range;
        int64_t have;
        enum range_answer wanted;
        int64_t total;
    } cases[] = {
        {200, "", 0, RANGE_WHOLE, -1},
        {200, "", 500, RANGE_WHOLE, -1},
        {206, "bytes 500-999/1000", 500, RANGE_REST, 1000},
        {206, "bytes 500-999/*", 500, RANGE_REST, -1},
        {206, "bytes 0-999/1000", 500, RANGE_AGAIN, -1},
        {206, "bytes 500-999/400", 500, RANGE_AGAIN, -1},
        {206, "", 500, RANGE_AGAIN, -1},
        {206, "pages 5-9/10", 5, RANGE_AGAIN, -1},
        {206, "bytes 500-999/-1", 500, RANGE_AGAIN, -1},
        {416, "bytes */500", 500, RANGE_READY, 500},
        {416, "bytes */400", 500, RANGE_AGAIN, -1},
        {416, "", 500, RANGE_AGAIN, -1},
        {416, "bytes */0", 0, RANGE_OTHER, -1},
        {404, "", 500, RANGE_OTHER, -1},
        {204, "", 0, RANGE_OTHER, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t total = -2;
        enum range_answer got =
            range_judge(cases[i].status, span_of(cases[i].range), cases[i].have, &total);
        if (got != cases[i].wanted || total != cases[i].total)
            fail_msg("case %zu: %d, total %lld", i, (int)got, (long long)total);
    }
}

static void a_client_may_ask_for_a_part(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        enum range_wish wanted;
        int64_t from, count;
    } cases[] = {
        {"bytes=0-99", RANGE_PART, 0, 100},
        {"bytes=900-", RANGE_PART, 900, 100},
        {"bytes=-10", RANGE_PART, 990, 10},
        {"bytes=-5000", RANGE_PART, 0, 1000},
        {"bytes=500-5000", RANGE_PART, 500, 500},
        {"bytes=1000-", RANGE_NONE, 0, 0},
        {"bytes=-0", RANGE_NONE, 0, 0},
        {"bytes=9-5", RANGE_ALL, 0, 0},
        {"bytes=0-1,5-6", RANGE_ALL, 0, 0},
        {"bytes=-", RANGE_ALL, 0, 0},
        {"bytes=--5", RANGE_ALL, 0, 0},
        {"items=0-5", RANGE_ALL, 0, 0},
        {"", RANGE_ALL, 0, 0},
        {"bytes=99999999999999999999-", RANGE_ALL, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t from = 0, count = 0;
        enum range_wish got = range_read(span_of(cases[i].header), 1000, &from, &count);
        if (got != cases[i].wanted || from != cases[i].from || count != cases[i].count)
            fail_msg("%s: %d, %lld+%lld", cases[i].header, (int)got, (long long)from,
                     (long long)count);
    }
}

static void sums_are_those_of_the_standard(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sum;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char sum[DIGEST_TEXT];
    struct digest s;
    for (size_t i = 0; i < 3; i++) {
        digest_init(&s);
        digest_add(&s, span_of(cases[i].text));
        digest_end(&s, sum);
        assert_string_equal(sum, cases[i].sum);
    }
    /* A million times 'a', in pieces of every length. */
    char block[200];
    memset(block, 'a', sizeof block);
    digest_init(&s);
    for (size_t left = 1000000, n = 1; left; n = n % sizeof block + 1) {
        n = n < left ? n : left;
        digest_add(&s, (struct span){block, n});
        left -= n;
    }
    digest_end(&s, sum);
    assert_string_equal(sum,
                        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_photo_is_asked_for_as_orig_then_smaller),
        cmocka_unit_test(a_video_is_the_variant_of_the_highest_bitrate),
        cmocka_unit_test(what_is_no_media_is_never_asked_for),
        cmocka_unit_test(media_may_lie_at_the_target_s_own_host),
        cmocka_unit_test(a_file_is_what_its_first_bytes_say),
        cmocka_unit_test(an_answer_to_a_range_says_how_to_go_on),
        cmocka_unit_test(a_client_may_ask_for_a_part),
        cmocka_unit_test(sums_are_those_of_the_standard),
    };
    return cmocka_run_group_tests(tests, open_pack, close_pack);
}
