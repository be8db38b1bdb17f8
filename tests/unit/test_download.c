/* Files of media through a real egress process, from a small origin on loopback: whole, cut, gone on with,
 * and everything that must not be taken for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "net/download.h"
#include "os/files.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/origin.h"

enum { BYTES = 100000, PIECE = 40000, NAP_US = 30000 };

static char content[BYTES];
#define TAG "\"v1\""

/* ---- the origin: a process per connection, an answer per path ---- */

__attribute__((format(printf, 2, 3))) static void say(int fd, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    put(fd, text, (size_t)n);
}

/* From `from` on, at most `most` bytes of it: less than announced when `most` is less than the rest. */
static void say_file(int fd, int64_t from, int64_t most, const char *tag)
{
    int64_t rest = BYTES - from;
    if (from > 0)
        say(fd, "HTTP/1.1 206 Part\r\nContent-Range: bytes %lld-%d/%d\r\n", (long long)from,
            BYTES - 1, BYTES);
    else
        say(fd, "HTTP/1.1 200 OK\r\n");
    say(fd, "Content-Type: image/jpeg\r\nContent-Length: %lld\r\n%s%s%s\r\n", (long long)rest,
        tag ? "ETag: " : "", tag ? tag : "", tag ? "\r\n" : "");
    put(fd, content + from, (size_t)(most < rest ? most : rest));
}

static void say_bytes(int fd, const char *type, const char *bytes)
{
    say(fd, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s", type,
        strlen(bytes), bytes);
}

static void say_odd(int fd, struct span path, int64_t from)
{
    if (span_is(path, "/html"))
        say_bytes(fd, "text/html", "<!doctype html><p>Something went wrong");
    else if (span_is(path, "/pretends"))
        say_bytes(fd, "image/jpeg", "<!doctype html><p>Something went wrong");
    else if (span_is(path, "/png"))
        say_bytes(fd, "image/png", "\x89PNG\r\n\x1a\n0123456789");
    else if (span_is(path, "/empty"))
        say_bytes(fd, "image/jpeg", "");
    else if (span_is(path, "/big"))
        say(fd,
            "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 999999999\r\n\r\n"
            "\xff\xd8\xff");
    else if (span_is(path, "/endless")) {
        say(fd, "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n");
        for (;;)
            put(fd, content, BYTES);
    } else if (span_is(path, "/slow")) {
        say(fd, "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 5000\r\n\r\n");
        for (size_t i = 0;; i++) {
            put(fd, content + i, 1);
            usleep(NAP_US);
        }
    } else if (span_is(path, "/429"))
        say(fd, "HTTP/1.1 429 Slow\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n");
    else if (span_is(path, "/here"))
        say(fd, "HTTP/1.1 302 Found\r\nLocation: /whole\r\nContent-Length: 2\r\n\r\nno");
    else if (span_is(path, "/elsewhere"))
        say(fd, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%u/whole\r\n\r\n",
            other_port);
    else if (span_is(path, "/over"))
        say(fd, "HTTP/1.1 416 No\r\nContent-Range: bytes */%lld\r\nContent-Length: 0\r\n\r\n",
            (long long)(from ? BYTES : 0));
    else
        say(fd, "HTTP/1.1 %.3s Odd\r\nContent-Length: 2\r\n\r\nno", path.p + 1);
}

static void answer(int fd, struct span head)
{
    struct span line = span_cut(head, 4, span_find(head, SPAN(" HTTP/")) - 4);
    struct span rest = span_cut(head, span_find(head, SPAN("Range: bytes=")) + 13, 20);
    int64_t from = 0;
    if (!span_int(span_cut(rest, 0, span_find_char(rest, '-')), &from))
        from = 0;
    bool same = span_find(head, SPAN("If-Range: " TAG)) < head.n;
    if (span_is(line, "/whole"))
        say_file(fd, same ? from : 0, BYTES, TAG);
    else if (span_is(line, "/cut"))
        say_file(fd, same ? from : 0, PIECE, TAG);
    else if (span_is(line, "/cut/untagged"))
        say_file(fd, 0, PIECE, NULL);
    else if (span_is(line, "/cut/weak"))
        say_file(fd, 0, PIECE, "W/" TAG);
    else if (span_is(line, "/cut/hard"))
        say_file(fd, same ? from : 0, from ? 0 : PIECE, TAG);
    else if (span_is(line, "/changed"))
        say_file(fd, 0, BYTES, "\"v2\"");
    else if (span_is(line, "/wrong/part"))
        say_file(fd, from ? from - 1 : 0, BYTES, TAG);
    else
        say_odd(fd, line, from);
}

/* ---- the world: egress, a loop, a fetcher, a folder ---- */

static struct {
    struct loop *loop;
    struct fetcher *fetcher;
    struct timer *late;
    char folder[64], part[100], tag[110];
} world;

static struct {
    bool done;
    int progress;
    err failed;
    int status;
    int64_t bytes, fetched;
    char words[240], hash[DIGEST_TEXT], mime[40];
} got;

static void on_progress(void *ctx)
{
    (void)ctx;
    got.progress++;
}

static void on_done(void *ctx, const struct download_answer *a)
{
    (void)ctx;
    got.done = true;
    got.failed = a->failed;
    got.status = a->status;
    got.bytes = a->bytes;
    got.fetched = a->fetched;
    span_copy(span_of(a->words), got.words, sizeof got.words);
    memcpy(got.hash, a->hash, sizeof got.hash);
    span_copy(span_of(a->type ? a->type->mime : ""), got.mime, sizeof got.mime);
    loop_stop(world.loop);
}

static void on_late(void *ctx)
{
    (void)ctx;
    loop_stop(world.loop);
}

static const struct span types[] = {{"image/jpeg", 10}, {"image/gif", 9}};

static err start(const char *path, int64_t bytes_max, int64_t timeout_ms, struct download **out)
{
    char url[300];
    struct fault f = {0};
    snprintf(url, sizeof url, "%s%s", origin_text, path);
    struct download_request q = {.url = span_of(url),
                                 .origin = span_of(origin_text),
                                 .folder = span_of(world.folder),
                                 .name = SPAN("a1"),
                                 .types = types,
                                 .type_count = 2,
                                 .bytes_max = bytes_max,
                                 .timeout_ms = timeout_ms,
                                 .interval_ms = 1,
                                 .patience_ms = 1000};
    struct download_face face = {on_progress, on_done, NULL};
    memset(&got, 0, sizeof got);
    return download_start(out, world.fetcher, world.loop, &q, &face, &f);
}

static err ask_with(const char *path, int64_t bytes_max, int64_t timeout_ms)
{
    struct download *d = NULL;
    assert_int_equal(start(path, bytes_max, timeout_ms, &d), E_OK);
    assert_false(got.done);
    timer_start(world.late, 10000);
    loop_run(world.loop);
    timer_stop(world.late);
    assert_true(got.done);
    return got.failed;
}

static err ask(const char *path)
{
    return ask_with(path, BYTES * 2, 5000);
}

static int64_t part_bytes(void)
{
    struct stat st;
    return stat(world.part, &st) ? -1 : (int64_t)st.st_size;
}

static void no_part(void)
{
    (void)unlink(world.part);
    (void)unlink(world.tag);
}

/* What an earlier try left. */
static void leave(const char *path, int64_t bytes, const char *tag)
{
    char text[400];
    struct fault f = {0};
    snprintf(text, sizeof text, "%s%s\n%s\nimage/jpeg\n", origin_text, path, tag);
    assert_int_equal(files_write(world.part, (struct span){content, (size_t)bytes}, &f), E_OK);
    assert_int_equal(files_write(world.tag, span_of(text), &f), E_OK);
}

static void is_whole(void)
{
    struct digest s;
    char sum[DIGEST_TEXT];
    struct buf file = BUF(BYTES * 2);
    digest_init(&s);
    digest_add(&s, (struct span){content, BYTES});
    digest_end(&s, sum);
    assert_int_equal(got.failed, E_OK);
    assert_int_equal(got.bytes, BYTES);
    assert_string_equal(got.hash, sum);
    assert_string_equal(got.mime, "image/jpeg");
    assert_int_equal(files_read(AT_FDCWD, world.part, BYTES * 2, &file, NULL), E_OK);
    assert_true(span_eq(buf_span(&file), (struct span){content, BYTES}));
    buf_free(&file);
}

/* ---- tests ---- */

static void a_file_comes_whole(void **state)
{
    (void)state;
    no_part();
    assert_int_equal(ask("/whole"), E_OK);
    is_whole();
    assert_int_equal(got.status, 200);
    assert_true(got.progress > 0);
    no_part();
    assert_int_equal(ask("/here"), E_OK);
    is_whole();
}

static void a_cut_file_is_gone_on_with(void **state)
{
    (void)state;
    no_part();
    assert_int_equal(ask("/cut"), E_OK);
    is_whole();
    assert_int_equal(got.status, 206);
    assert_int_equal(got.fetched, BYTES);
}

static void what_an_earlier_try_left_is_gone_on_with(void **state)
{
    (void)state;
    leave("/whole", 70001, TAG);
    assert_int_equal(ask("/whole"), E_OK);
    is_whole();
    assert_int_equal(got.fetched, BYTES - 70001);
    /* Nothing is missing. */
    leave("/over", BYTES, TAG);
    assert_int_equal(ask("/over"), E_OK);
    is_whole();
    assert_int_equal(got.fetched, 0);
}

static void a_part_that_does_not_fit_is_started_over(void **state)
{
    (void)state;
    static const char *const paths[] = {"/changed", "/wrong/part", "/whole", "/whole"};
    for (size_t i = 0; i < 4; i++) {
        leave(paths[i], 5000, i == 2 ? "\"old\"" : TAG);
        if (i == 3) /* its tag belongs to another URL */
            leave("/other", 5000, TAG);
        assert_int_equal(ask(paths[i]), E_OK);
        is_whole();
        assert_true(got.fetched >= BYTES);
    }
    leave("/over", 5000,
          TAG); /* the host says that it is longer than we have, and has no more */
    assert_int_equal(ask("/over"), E_SHAPE);
    assert_int_equal(part_bytes(), -1);
}

static void what_cannot_be_gone_on_with_leaves_no_part(void **state)
{
    (void)state;
    no_part();
    assert_int_equal(ask("/cut/untagged"), E_NET);
    assert_int_equal(part_bytes(), -1);
    assert_int_equal(ask("/cut/weak"), E_NET);
    assert_int_equal(part_bytes(), -1);
    assert_int_equal(ask("/cut/hard"), E_NET);
    assert_int_equal(part_bytes(), PIECE); /* the next try goes on here */
}

static void what_is_no_file_of_its_type_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        err failed;
        int status;
    } cases[] = {
        {"/html", E_SHAPE, 200},    {"/pretends", E_SHAPE, 200}, {"/png", E_SHAPE, 200},
        {"/empty", E_SHAPE, 200},   {"/big", E_TOO_BIG, 200},    {"/endless", E_TOO_BIG, 200},
        {"/404", E_NOT_FOUND, 404}, {"/410", E_NOT_FOUND, 410},  {"/403", E_DENIED, 403},
        {"/500", E_NET, 500},       {"/204", E_SHAPE, 204},      {"/400", E_SHAPE, 400},
        {"/elsewhere", E_SHAPE, 0},
    };
    no_part();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        err e = ask(cases[i].path);
        if (e != cases[i].failed || got.status != cases[i].status || !got.words[0])
            fail_msg("%s: %s, status %d, '%s'", cases[i].path, err_name(e), got.status,
                     got.words);
        if (part_bytes() >= 0)
            fail_msg("%s leaves a part", cases[i].path);
    }
    assert_int_equal(ask_with("/slow", BYTES, 400), E_TIMEOUT);
    assert_int_equal(ask_with("/whole", BYTES - 1, 5000), E_TOO_BIG);
    assert_int_equal(ask_with("/whole", BYTES, 5000), E_OK);
}

static void a_cancelled_one_leaves_its_part_and_says_nothing(void **state)
{
    (void)state;
    struct download *d = NULL;
    leave("/slow", 100, TAG);
    assert_int_equal(start("/slow", BYTES, 5000, &d), E_OK);
    timer_start(world.late, 200);
    loop_run(world.loop);
    download_cancel(&d);
    assert_null(d);
    timer_start(world.late, 50);
    loop_run(world.loop);
    assert_false(got.done);
    assert_true(part_bytes() >= 0);
    no_part();
}

/* Last: the host is left alone from then on. */
static void a_host_that_asks_to_wait_long_is_left_alone(void **state)
{
    (void)state;
    char url[100];
    assert_int_equal(ask("/429"), E_THROTTLED);
    assert_int_equal(got.status, 429);
    snprintf(url, sizeof url, "%s/whole", origin_text);
    assert_true(fetcher_turn_ms(world.fetcher, span_of(url)) > 50000);
    for (int port = 1000; port < 2000; port++) { /* and no other one */
        snprintf(url, sizeof url, "http://127.0.0.1:%d/", port);
        assert_int_equal(fetcher_turn_ms(world.fetcher, span_of(url)), 0);
        if (port < 1200)
            fetcher_rest(world.fetcher, span_of(url), 50000);
    }
}

/* ---- set up ---- */

static int set_up(void **state)
{
    (void)state;
    static const char front[] = "\xff\xd8\xff\xe0\0\x10JFIF";
    for (size_t i = 0; i < BYTES; i++)
        content[i] = (char)(i * 31 + i / 256);
    memcpy(content, front, sizeof front - 1);
    snprintf(world.folder, sizeof world.folder, "/tmp/fulmar-download.XXXXXX");
    if (!mkdtemp(world.folder))
        return -1;
    snprintf(world.part, sizeof world.part, "%s/a1", world.folder);
    snprintf(world.tag, sizeof world.tag, "%s/a1.tag", world.folder);
    start_origin(NULL);
    world.loop = loop_new();
    world.late = timer_new(world.loop, on_late, NULL, "late");
    struct fetch_config c = {.egress_fd = egress_control, .interval_ms = 1, .body_max = BYTES};
    assert_int_equal(fetcher_start(&world.fetcher, world.loop, &c, NULL), E_OK);
    fetcher_egress_hello(world.fetcher);
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    fetcher_free(&world.fetcher);
    timer_close(&world.late);
    loop_free(&world.loop);
    end_origin();
    nftw(world.folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_comes_whole),
        cmocka_unit_test(a_cut_file_is_gone_on_with),
        cmocka_unit_test(what_an_earlier_try_left_is_gone_on_with),
        cmocka_unit_test(a_part_that_does_not_fit_is_started_over),
        cmocka_unit_test(what_cannot_be_gone_on_with_leaves_no_part),
        cmocka_unit_test(what_is_no_file_of_its_type_is_refused),
        cmocka_unit_test(a_cancelled_one_leaves_its_part_and_says_nothing),
        cmocka_unit_test(a_host_that_asks_to_wait_long_is_left_alone),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
