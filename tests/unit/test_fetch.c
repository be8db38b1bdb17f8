/* Node's HTTP client through a real egress process, to a small origin on loopback. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include "base/arena.h"
#include "net/domains.h"
#include "net/fetch.h"
#include "net/robots.h"
#include "os/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/origin.h"

/* Besides the origin, which egress lets be reached at both ports: not to go there is the client's own doing. */
#define HOST "only.example"

enum { BODY_MAX = 100 * 1024, BIG = 200 * 1024, NAP_US = 30000 };

/* 300 000 times 'a', and {"small":true}, packed by gzip. */
static const unsigned char packed_big[] = {
    31,  139, 8,  0, 0, 0, 0, 0, 2, 3, 237, 193, 1, 13, 0, 0, 0, 194, 160, 172, 239, 95, 194,
    30,  14,  40, 0, 0, 0, 0, 0, 0, 0, 0,   0,   0, 0,  0, 0, 0, 0,   0,   0,   0,   0,  0,
    0,   0,   0,  0, 0, 0, 0, 0, 0, 0, 0,   0,   0, 0,  0, 0, 0, 0,   0,   0,   0,   0,  0,
    0,   0,   0,  0, 0, 0, 0, 0, 0, 0, 0,   0,   0, 0,  0, 0, 0, 0,   0,   0,   0,   0,  0,
    0,   0,   0,  0, 0, 0, 0, 0, 0, 0, 0,   0,   0, 0,  0, 0, 0, 0,   0,   0,   0,   0,  0,
    0,   0,   0,  0, 0, 0, 0, 0, 0, 0, 0,   0,   0, 0,  0, 0, 0, 0,   0,   0,   0,   0,  0,
    0,   0,   0,  0, 0, 0, 0, 0, 0, 0, 0,   0,   0, 0,  0, 0, 0, 0,   0,   0,   0,   0,  0,
    0,   0,   0,  0, 0, 0, 0, 0, 0, 0, 0,   0,   0, 0,  0, 0, 0, 0,   0,   0,   0,   0,  0,
    0,   0,   0,  0, 0, 0, 0, 0, 0, 0, 0,   0,   0, 0,  0, 0, 0, 0,   0,   0,   0,   0,  0,
    0,   0,   0,  0, 0, 0, 0, 0, 0, 0, 0,   0,   0, 0,  0, 0, 0, 0,   0,   0,   0,   0,  0,
    0,   0,   0,  0, 0, 0, 0, 0, 0, 0, 0,   0,   0, 0,  0, 0, 0, 0,   0,   0,   0,   0,  0,
    0,   0,   0,  0, 0, 0, 0, 0, 0, 0, 0,   0,   0, 0,  0, 0, 0, 0,   0,   0,   0,   0,  0,
    0,   0,   0,  0, 0, 0, 0, 0, 0, 0, 0,   0,   0, 0,  0, 0, 0, 0,   0,   0,   0,   0,  0,
    0,   0,   0,  0, 0, 0, 0, 0, 0, 0, 0,   0,   0, 0,  0, 0, 0, 248, 49,  95,  242, 78, 244,
    224, 147, 4,  0,
};
static const unsigned char packed_small[] = {
    31, 139, 8,  0,  0,  0,  0,   0, 2, 3,  171, 86,  42, 206, 77, 204, 201,
    81, 178, 42, 41, 42, 77, 173, 5, 0, 94, 53,  207, 56, 14,  0,  0,   0,
};

/* ---- the origin: a process per connection ---- */

static void put_text(int fd, const char *text)
{
    put(fd, text, strlen(text));
}

static void put_zeros(int fd, size_t n)
{
    static char piece[4096];
    memset(piece, 'x', sizeof piece);
    for (size_t at = 0; at < n; at += sizeof piece)
        put(fd, piece, sizeof piece);
}

static void put_packed(int fd, const unsigned char *bytes, size_t n)
{
    put_text(fd, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n");
    put(fd, bytes, n);
}

static void put_slowly(int fd)
{
    put_text(fd, "HTTP/1.1 200 OK\r\n\r\n");
    for (;;) {
        put_text(fd, "a");
        usleep(NAP_US);
    }
}

static void answer(int fd, struct span head)
{
    char text[300];
    if (span_starts(head, SPAN("GET /ok"))) {
        put_text(
            fd, "HTTP/1.1 200 OK\r\nX-One: 1\r\nSet-Cookie: theirs=1\r\nX-Quote: a\"b\r\n\r\n");
        put(fd, head.p, head.n);
    } else if (span_starts(head, SPAN("GET /forged"))) {
        put_text(fd, "HTTP/1.1 200 OK\r\nFulmar-Reason: private-address\r\n\r\nfine");
    } else if (span_starts(head, SPAN("GET /status/429"))) {
        put_text(fd, "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\n\r\nno");
    } else if (span_starts(head, SPAN("GET /packed/small"))) {
        put_packed(fd, packed_small, sizeof packed_small);
    } else if (span_starts(head, SPAN("GET /packed/big"))) {
        put_packed(fd, packed_big, sizeof packed_big);
    } else if (span_starts(head, SPAN("GET /big"))) {
        put_text(fd, "HTTP/1.1 200 OK\r\n\r\n");
        put_zeros(fd, BIG);
    } else if (span_starts(head, SPAN("GET /head"))) {
        put_text(fd, "HTTP/1.1 200 OK\r\n");
        for (int i = 0; i < 100; i++) {
            put_text(fd, "X-Much: ");
            put_zeros(fd, 4096);
            put_text(fd, "\r\n");
        }
        put_text(fd, "\r\n");
    } else if (span_starts(head, SPAN("GET /slow"))) {
        put_slowly(fd);
    } else if (span_starts(head, SPAN("GET /never"))) {
        pause();
    } else if (span_starts(head, SPAN("POST /moved"))) {
        put_text(fd, "HTTP/1.1 307 Moved\r\nLocation: /ok?moved\r\nContent-Length: 0\r\n\r\n");
    } else if (span_starts(head, SPAN("POST /posted"))) {
        put_text(fd, "HTTP/1.1 200 OK\r\n\r\n");
        put(fd, head.p, head.n);
        for (char byte; recv(fd, &byte, 1, 0) == 1;) {
            put(fd, &byte, 1);
            if (byte == '.')
                break;
        }
    } else if (span_starts(head, SPAN("GET /to/ok"))) {
        put_text(fd, "HTTP/1.1 302 Found\r\nLocation: /ok?moved\r\n\r\n");
    } else if (span_starts(head, SPAN("GET /to/elsewhere"))) {
        snprintf(text, sizeof text,
                 "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%u/ok\r\n\r\n", other_port);
        put_text(fd, text);
    } else if (span_starts(head, SPAN("GET /to/file"))) {
        put_text(fd, "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n");
    } else if (span_starts(head, SPAN("GET /to/itself"))) {
        put_text(fd, "HTTP/1.1 302 Found\r\nLocation: /to/itself\r\n\r\n");
    }
}

/* ---- the world: egress, a loop, a fetcher ---- */

static struct {
    struct loop *loop;
    struct fetcher *fetcher;
    const struct domain_rules *domains;
    struct timer *late;
} world;

static struct {
    bool done;
    err failed;
    int status;
    char words[240], url[300];
    struct buf headers, body;
} got;

static void on_done(void *ctx, const struct fetch_answer *a)
{
    (void)ctx;
    got.done = true;
    got.failed = a->failed;
    got.status = a->status;
    span_copy(span_of(a->words), got.words, sizeof got.words);
    span_copy(a->url, got.url, sizeof got.url);
    buf_clear(&got.headers);
    buf_clear(&got.body);
    buf_add(&got.headers, a->headers);
    buf_add(&got.body, a->body);
    loop_stop(world.loop);
}

static void on_late(void *ctx)
{
    (void)ctx;
    loop_stop(world.loop);
}

static void run(int64_t ms)
{
    timer_start(world.late, ms);
    loop_run(world.loop);
    timer_stop(world.late);
}

static const char *cookies; /* of the next requests */
static bool any_redirect;
static struct span post;

static err ask_where(const char *url, const char *origin, int64_t timeout_ms, int64_t keep_ms)
{
    struct fetch *r = NULL;
    struct fault f = {0};
    struct fetch_request q = {.url = span_of(url),
                              .timeout_ms = timeout_ms,
                              .origin = span_of(origin),
                              .keep_ms = keep_ms,
                              .any_redirect = any_redirect,
                              .cookies = span_of(cookies),
                              .post = post,
                              .headers = {"X-1: a", "X-2: b", "X-3: c", "X-4: d", "X-5: e"}};
    got.done = false;
    err e = fetch_start(&r, world.fetcher, &q, on_done, NULL, &f);
    assert_false(got.done);
    if (e)
        return e;
    run(10000);
    assert_true(got.done);
    return got.failed;
}

static err ask(const char *path, int64_t timeout_ms)
{
    char url[300];
    snprintf(url, sizeof url, "%s%s", origin_text, path);
    return ask_where(url, origin_text, timeout_ms, 0);
}

static bool body_has(const char *text)
{
    return span_find(buf_span(&got.body), span_of(text)) < got.body.n;
}

static bool headers_have(const char *text)
{
    return span_find(buf_span(&got.headers), span_of(text)) < got.headers.n;
}

static void open_fetcher(int64_t interval_ms)
{
    struct fetch_config c = {.egress_fd = egress_control,
                             .contact = SPAN("https://example.org/bot"),
                             .interval_ms = interval_ms,
                             .domains = world.domains,
                             .body_max = BODY_MAX};
    assert_int_equal(fetcher_start(&world.fetcher, world.loop, &c, NULL), E_OK);
    fetcher_egress_hello(world.fetcher);
}

/* ---- tests ---- */

static void answers(void **state)
{
    (void)state;
    assert_int_equal(ask("/ok?a=b%20c", 3000), E_OK);
    assert_int_equal(got.status, 200);
    assert_true(body_has("GET /ok?a=b%20c HTTP/1.1\r\n"));
    assert_true(body_has("User-Agent: Fulmar/"));
    assert_true(body_has(" (+https://example.org/bot)\r\n"));
    assert_true(headers_have("\"X-One\":\"1\"") && headers_have("\"X-Quote\":\"a\\\"b\""));
    assert_int_equal(ask("/status/429", 3000), E_OK);
    assert_int_equal(got.status, 429);
    assert_true(headers_have("\"Retry-After\":\"7\""));
    assert_int_equal(ask("/packed/small", 3000), E_OK);
    assert_true(span_is(buf_span(&got.body), "{\"small\":true}"));
}

static void what_is_posted_arrives_with_its_headers_and_a_redirect_is_its_answer(void **state)
{
    (void)state;
    char much[8193];
    memset(much, 'a', sizeof much - 1);
    much[sizeof much - 1] = '.';
    post = (struct span){much, sizeof much};
    assert_int_equal(ask("/posted", 3000), E_OK);
    assert_int_equal(got.status, 200);
    assert_true(body_has("X-1: a\r\n") && body_has("X-5: e\r\n") &&
                body_has("Content-Length: 8193\r\n"));
    assert_true(span_ends(buf_span(&got.body), post));
    assert_int_equal(ask("/moved", 3000), E_OK);
    assert_int_equal(got.status, 307);
    assert_true(span_ends(span_of(got.url), SPAN("/moved")));
    post = SPAN_NONE;
}

static void a_url_is_of_an_http_server_without_a_user(void **state)
{
    (void)state;
    bool sealed = false;
    assert_true(fetch_url_valid(SPAN("https://a.example/x?y"), &sealed) && sealed);
    assert_true(fetch_url_valid(SPAN("http://127.0.0.1:81/"), &sealed) && !sealed);
    assert_false(fetch_url_valid(SPAN("ftp://a.example/"), NULL));
    assert_false(fetch_url_valid(SPAN("https://user@a.example/"), NULL));
    assert_false(fetch_url_valid(SPAN("a.example/x"), NULL));
    assert_false(fetch_url_valid(SPAN("file:///etc/passwd"), NULL));
}

/* Only egress says that it did not connect. */
static void forged(void **state)
{
    (void)state;
    assert_int_equal(ask("/forged", 3000), E_OK);
    assert_true(body_has("fine"));
}

static void limits(void **state)
{
    (void)state;
    assert_int_equal(ask("/big", 3000), E_TOO_BIG);
    assert_int_equal(ask("/packed/big", 3000), E_TOO_BIG);
    assert_int_equal(ask("/head", 3000), E_TOO_BIG);
    assert_int_equal(ask("/slow", 300), E_TIMEOUT);
    assert_int_equal(ask("/never", 300), E_TIMEOUT);
    assert_int_equal(ask("/cut", 3000), E_NET);
}

static void redirects(void **state)
{
    (void)state;
    assert_int_equal(ask("/to/ok", 3000), E_OK);
    assert_true(body_has("GET /ok?moved"));
    assert_true(span_ends(span_of(got.url), SPAN("/ok?moved")));
    assert_int_equal(ask("/to/elsewhere", 3000), E_SHAPE);
    assert_non_null(strstr(got.words, "may not go"));
    assert_int_equal(ask("/to/file", 3000), E_SHAPE);
    assert_int_equal(ask("/to/itself", 3000), E_SHAPE);
}

static void cookies_go_to_the_origin_alone_and_none_come_back(void **state)
{
    (void)state;
    assert_int_equal(ask("/ok", 3000), E_OK);
    assert_false(body_has("Cookie"));
    assert_true(headers_have("X-One"));
    assert_false(headers_have("theirs"));
    cookies = "Cookie: ours=1; more=2";
    assert_int_equal(ask("/ok", 3000), E_OK);
    assert_true(body_has("Cookie: ours=1; more=2\r\n"));
    assert_int_equal(ask("/to/ok", 3000), E_OK);
    assert_true(body_has("Cookie: ours=1; more=2\r\n"));
    any_redirect = true;
    assert_int_equal(ask("/to/elsewhere", 3000), E_OK);
    assert_true(body_has("GET /ok"));
    assert_false(body_has("ours"));
    any_redirect = false;
    cookies = NULL;
}

static void refuses(void **state)
{
    (void)state;
    char url[100];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/ok", other_port);
    assert_int_equal(ask_where(url, origin_text, 1000, 0), E_DENIED);
    snprintf(url, sizeof url, "http://user@127.0.0.1:%u/ok", origin_port);
    assert_int_equal(ask_where(url, origin_text, 1000, 0), E_BAD_INPUT);
    assert_int_equal(ask_where("file:///etc/passwd", "file:///", 1000, 0), E_BAD_INPUT);
    assert_int_equal(ask_where("ftp://a.example/", "ftp://a.example", 1000, 0), E_BAD_INPUT);
    /* What egress refuses: private addresses that it was not told of, ports, names unknown. */
    assert_int_equal(ask_where("http://10.0.0.1/", "http://10.0.0.1", 2000, 0), E_DENIED);
    assert_non_null(strstr(got.words, "private-address"));
    assert_int_equal(ask_where("https://127.0.0.1/", "https://127.0.0.1", 2000, 0), E_DENIED);
    assert_int_equal(ask_where("http://a.example:99/", "http://a.example:99", 2000, 0),
                     E_DENIED);
    assert_true(ask_where("http://a.example/", "http://a.example", 2000, 0) != E_DENIED);
}

/* A tunnel leads to the origin, and what does not speak TLS there is no answer. */
static void sealed(void **state)
{
    (void)state;
    char origin[64];
    snprintf(origin, sizeof origin, "https://127.0.0.1:%u", origin_port);
    assert_int_equal(ask_where(origin, origin, 2000, 0), E_NET);
}

static void keeps(void **state)
{
    (void)state;
    char url[100], first[40];
    snprintf(url, sizeof url, "%s/ok/kept", origin_text);
    assert_int_equal(ask_where(url, origin_text, 1000, 60000), E_OK);
    span_copy(buf_span(&got.body), first, sizeof first);
    kill(origin_pid, SIGSTOP);
    err e = ask_where(url, origin_text, 300, 60000);
    err other = ask("/ok/kept", 300); /* this one does not want what is kept */
    kill(origin_pid, SIGCONT);
    assert_int_equal(e, E_OK);
    assert_int_equal(other, E_TIMEOUT);
}

static void turns(void **state)
{
    (void)state;
    fetcher_free(&world.fetcher);
    open_fetcher(250);
    mono start = loop_now(world.loop);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask("/ok", 3000), E_OK);
    int64_t took = loop_now(world.loop).ms - start.ms;
    assert_true(took >= 450 && took < 5000);
    /* A redirect is a request as well: these were five. */
    assert_int_equal(ask("/to/ok", 3000), E_OK);
    took = loop_now(world.loop).ms - start.ms;
    assert_true(took >= 950 && took < 10000);
    /* A host that is to be asked more rarely than others is. */
    static const struct domain_rules rules = {.rule = {{{"127.0.0.1", 9}, 600}}, .count = 1};
    fetcher_free(&world.fetcher);
    world.domains = &rules;
    open_fetcher(10);
    start = loop_now(world.loop);
    for (int i = 0; i < 2; i++)
        assert_int_equal(ask("/ok", 3000), E_OK);
    took = loop_now(world.loop).ms - start.ms;
    assert_true(took >= 590 && took < 5000);
    fetcher_free(&world.fetcher);
    world.domains = NULL;
    open_fetcher(0);
}

static void
a_turn_that_is_not_used_is_given_back_and_one_too_far_off_is_not_waited_for(void **state)
{
    (void)state;
    struct fetch *r = NULL, *behind = NULL;
    char url[100];
    snprintf(url, sizeof url, "%s/ok", origin_text);
    struct fetch_request q = {
        .url = span_of(url), .timeout_ms = 3000, .origin = span_of(origin_text)};
    fetcher_free(&world.fetcher);
    open_fetcher(60000);
    assert_int_equal(ask("/ok", 3000), E_OK);
    int64_t turn = fetcher_turn_ms(world.fetcher, q.url);
    assert_true(turn > 50000);
    /* Whoever goes away before its turn leaves it to the next one, */
    assert_int_equal(fetch_start(&r, world.fetcher, &q, on_done, NULL, NULL), E_OK);
    assert_true(fetch_turn_ms(r) > 50000);
    assert_true(fetcher_turn_ms(world.fetcher, q.url) > turn + 50000);
    fetch_cancel(&r);
    assert_true(fetcher_turn_ms(world.fetcher, q.url) <= turn);
    /* unless that one has a turn of its own already: never is a host asked too soon. */
    assert_int_equal(fetch_start(&r, world.fetcher, &q, on_done, NULL, NULL), E_OK);
    assert_int_equal(fetch_start(&behind, world.fetcher, &q, on_done, NULL, NULL), E_OK);
    fetch_cancel(&r);
    assert_true(fetcher_turn_ms(world.fetcher, q.url) > turn + 110000);
    fetch_cancel(&behind);
    struct fault f = {0};
    q.turn_most_ms = 10000;
    turn = fetcher_turn_ms(world.fetcher, q.url);
    assert_int_equal(fetch_start(&r, world.fetcher, &q, on_done, NULL, &f), E_THROTTLED);
    assert_non_null(strstr(f.words, "127.0.0.1: its turn is too far off"));
    assert_true(fetcher_turn_ms(world.fetcher, q.url) <= turn);
    fetcher_free(&world.fetcher);
    open_fetcher(0);
}

static void on_stuck(void *ctx, const struct fetch_answer *a)
{
    struct fetch **r = ctx;
    (void)a;
    *r = NULL;
}

/* Hosts that do not answer hold up nobody but those who ask them. */
static void hosts_are_apart(void **state)
{
    (void)state;
    struct fetch *stuck[6];
    char never[100], other[64], url[100];
    snprintf(never, sizeof never, "%s/never", origin_text);
    for (size_t i = 0; i < 6; i++) {
        struct fetch_request q = {
            .url = span_of(never), .timeout_ms = 60000, .origin = span_of(origin_text)};
        assert_int_equal(fetch_start(&stuck[i], world.fetcher, &q, on_stuck, &stuck[i], NULL),
                         E_OK);
    }
    snprintf(other, sizeof other, "http://127.0.0.1:%u", other_port);
    snprintf(url, sizeof url, "%s/ok", other);
    err e = ask_where(url, other, 3000, 0);
    for (size_t i = 0; i < 6; i++)
        fetch_cancel(&stuck[i]);
    assert_int_equal(e, E_OK);
}

static void cancels(void **state)
{
    (void)state;
    struct fetch *r = NULL;
    char url[100];
    snprintf(url, sizeof url, "%s/never", origin_text);
    struct fetch_request q = {
        .url = span_of(url), .timeout_ms = 3000, .origin = span_of(origin_text)};
    got.done = false;
    assert_int_equal(fetch_start(&r, world.fetcher, &q, on_done, NULL, NULL), E_OK);
    run(100);
    fetch_cancel(&r);
    assert_null(r);
    run(100);
    assert_false(got.done);
    assert_int_equal(ask("/ok", 3000), E_OK);
    got.done = false;
    assert_int_equal(fetch_start(&r, world.fetcher, &q, on_done, NULL, NULL), E_OK);
    run(50);
    fetcher_free(&world.fetcher); /* with a request under way */
    open_fetcher(0);
    assert_false(got.done);
}

/* Egress ends in the middle: the request fails; the next one waits for the next egress. */
static void egress_ends(void **state)
{
    (void)state;
    struct fetch *r = NULL;
    int status;
    char url[100];
    snprintf(url, sizeof url, "%s/never", origin_text);
    struct fetch_request q = {
        .url = span_of(url), .timeout_ms = 5000, .origin = span_of(origin_text)};
    got.done = false;
    assert_int_equal(fetch_start(&r, world.fetcher, &q, on_done, NULL, NULL), E_OK);
    run(100);
    kill(egress_pid, SIGKILL);
    waitpid(egress_pid, &status, 0);
    run(3000);
    assert_true(got.done);
    assert_int_equal(got.failed, E_NET);
    assert_int_equal(ask("/ok", 300), E_TIMEOUT);
    int old = egress_control;
    start_egress(HOST);
    dup2(egress_control, old);
    close(egress_control);
    egress_control = old;
    fetcher_egress_hello(world.fetcher);
    assert_int_equal(ask("/ok", 3000), E_OK);
}

static void robots(void **state)
{
    (void)state;
    static const struct {
        const char *text, *path;
        bool allowed;
    } rows[] = {
        {"", "/a", true},
        {"User-agent: *\nDisallow: /", "/a", false},
        {"User-agent: *\nDisallow:", "/a", true},
        {"user-agent: *\ndisallow: /a\nallow: /a/b", "/a/b/c", true},
        {"User-agent: *\nAllow: /a/b\nDisallow: /a", "/a/c", false},
        {"User-agent: *\nDisallow: /a\nAllow: /a", "/a", true},
        {"User-agent: other\nDisallow: /\n\nUser-agent: *\nAllow: /", "/a", true},
        {"User-agent: *\nDisallow: /\nUser-agent: FULMAR\nDisallow: /x", "/a", true},
        {"User-agent: one\nUser-agent: fulmar\nDisallow: /a", "/a", false},
        {"User-agent: fulmar\nDisallow: /a\nUser-agent: two\nDisallow: /b", "/b", true},
        {"User-agent: fulmar\nDisallow: /a\n\nUser-agent: fulmar\nDisallow: /b", "/b", false},
        {"User-agent: *\nDisallow: /*.json$", "/a/b.json", false},
        {"User-agent: *\nDisallow: /*.json$", "/a/b.json?x", true},
        {"User-agent: *\nDisallow: /a*b*c", "/a1b2c3", false},
        {"User-agent: *\nDisallow: /a*b*c", "/a1c", true},
        {"\xEF\xBB\xBFUser-agent: *\r\nDisallow: /a # no\r\n", "/a", false},
        {"Sitemap: https://x/\nUser-agent: *\nSitemap: https://x/\nDisallow: /a", "/a", false},
        {"Disallow: /a", "/a", true},
        {"User-agent: *\nDisallow: /$", "/", false},
        {"User-agent: *\nDisallow: /$", "/a", true},
        {"User-agent: *\rDisallow: /a\r", "/a", false},
        {"User-agent: Fulmar/0.1\nDisallow: /", "/a", false},
        {"User-agent: fulmarine\nDisallow: /", "/a", true},
        {"User-agent: * all\nDisallow: /", "/a", false},
        {"User-agent: *\nDisallow: /%66eed", "/feed", false},
        {"User-agent: *\nDisallow: /feed", "/%66eed", false},
        {"User-agent: *\nDisallow: /\xE3\x83\x84", "/%e3%83%84/x", false},
        {"User-agent: *\nDisallow: /a%2fb", "/a/b", true},
        {"User-agent: *\nDisallow: /a%2fb", "/a%2Fb", false},
        {"User-agent: *\nDisallow: /a%2A$", "/a*", false},
        {"User-agent: *\nDisallow: /a%2A$", "/ab", true},
        {"User-agent: *\nDisallow: /a%", "/a%", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (robots_allow(span_of(rows[i].text), SPAN("Fulmar"), span_of(rows[i].path)) !=
            rows[i].allowed)
            fail_msg("row %zu: %s", i, rows[i].text);
}

static int start_world(void **state)
{
    (void)state;
    got.headers = BUF(1 << 20);
    got.body = BUF(1 << 20);
    start_origin(HOST);
    world.loop = loop_new();
    world.late = timer_new(world.loop, on_late, NULL, "late");
    open_fetcher(0);
    return 0;
}

static int end_world(void **state)
{
    (void)state;
    fetcher_free(&world.fetcher);
    timer_close(&world.late);
    loop_free(&world.loop);
    end_origin();
    buf_free(&got.headers);
    buf_free(&got.body);
    return 0;
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(robots),
        cmocka_unit_test(answers),
        cmocka_unit_test(limits),
        cmocka_unit_test(cookies_go_to_the_origin_alone_and_none_come_back),
        cmocka_unit_test(refuses),
        cmocka_unit_test(redirects),
        cmocka_unit_test(sealed),
        cmocka_unit_test(keeps),
        cmocka_unit_test(turns),
        cmocka_unit_test(
            a_turn_that_is_not_used_is_given_back_and_one_too_far_off_is_not_waited_for),
        cmocka_unit_test(cancels),
        cmocka_unit_test(hosts_are_apart),
        cmocka_unit_test(forged),
        cmocka_unit_test(what_is_posted_arrives_with_its_headers_and_a_redirect_is_its_answer),
        cmocka_unit_test(a_url_is_of_an_http_server_without_a_user),
        cmocka_unit_test(egress_ends),
    };
    return cmocka_run_group_tests(tests, start_world, end_world);
}
