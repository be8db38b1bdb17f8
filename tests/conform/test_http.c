/* Our HTTP server against the torture table and its own contract: a real loop, a real store in
 * a folder of its own, the site packs of the checkout, and raw bytes over TCP and the Unix
 * socket. */
#include "../lib/service.h"

#include "base/json.h"
#include "base/yaml.h"
#include "os/random.h"

#include <limits.h>
#include <poll.h>
#include <sys/resource.h>

enum {
    ANSWER_MS = 20 * 1000, /* a test waits at most this long for anything */
    ANSWER_BYTES = 8 * 1024 * 1024,
};

static void commit_posts(const struct lease *l, int64_t batch, int from, int count)
{
    struct arena *a = arena_new(32 * 1024 * 1024);
    struct store_item *items = arena_get(a, (size_t)count * sizeof *items);
    for (int i = 0; i < count; i++) {
        items[i].kind = ITEM_POST;
        items[i].id = span_of(arena_fmt(a, "%s-%d", l->id, from + i));
        items[i].created_ms = 1700000000000 + i;
        items[i].json = span_of(
            arena_fmt(a, "{\"id\":\"%d\",\"text\":\"post number %d of a long list of posts\"}",
                      from + i, from + i));
    }
    struct store_op op = {.verb = STORE_COMMIT, .arena = a};
    op.in.commit = (struct commit_args){.id = span_of(l->id),
                                        .nonce = l->nonce,
                                        .batch = batch,
                                        .items = items,
                                        .count = (size_t)count};
    run_op(&op);
    if (op.result)
        fail_msg("commit: %s %s", err_name(op.result), op.fault.words);
    arena_free(&a);
}

static void finish(const struct lease *l, enum failure_class failure, enum verdict verdict,
                   const char *why, const char *report)
{
    struct store_op op = {.verb = STORE_FINISH};
    op.in.finish = (struct finish_args){.id = span_of(l->id),
                                        .nonce = l->nonce,
                                        .failure = failure,
                                        .verdict = verdict,
                                        .end = failure ? END_NONE : END_TERMINATE,
                                        .why = span_of(why),
                                        .report = span_of(report)};
    run_op(&op);
    if (op.result)
        fail_msg("finish: %s %s", err_name(op.result), op.fault.words);
}

/* ---- bytes ---- */

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(server.port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static int dial_unix(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%.*s", (int)sizeof a.sun_path - 1, server.socket);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void put(int fd, struct span bytes)
{
    while (bytes.n) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the server may refuse in the middle */
        bytes = span_cut(bytes, (size_t)n, bytes.n);
    }
}

static bool readable(int fd, int64_t ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, (int)ms) == 1;
}

struct reply {
    int status; /* 0: the connection ended without an answer */
    struct buf text;
    struct span head, body; /* body decoded when it was chunked */
    struct buf decoded;
    bool closed, whole;
};

static struct span header(const struct reply *r, const char *name)
{
    struct span rest = r->head, line;
    while (span_next(&rest, '\n', &line)) {
        size_t colon = span_find_char(line, ':');
        if (span_eq_nocase(span_cut(line, 0, colon), span_of(name)))
            return span_trim(span_cut(line, colon + 1, line.n));
    }
    return SPAN_NONE;
}

static bool dechunk(struct reply *r, struct span raw)
{
    buf_clear(&r->decoded);
    for (;;) {
        size_t end = span_find(raw, SPAN("\r\n"));
        if (end == raw.n)
            return false;
        char digits[32], *stop;
        span_copy(span_cut(raw, 0, end), digits, sizeof digits);
        size_t n = strtoul(digits, &stop, 16);
        if (stop == digits || raw.n < end + 2 + n + 2)
            return false;
        buf_add(&r->decoded, span_cut(raw, end + 2, n));
        raw = span_cut(raw, end + 2 + n + 2, raw.n);
        if (n == 0)
            return true;
    }
}

/* What came so far as an answer; true when it is whole. */
static bool parse(struct reply *r, bool head_only)
{
    struct span all = buf_span(&r->text);
    size_t end = span_find(all, SPAN("\r\n\r\n"));
    if (end == all.n || !span_starts(all, SPAN("HTTP/1.")))
        return false;
    r->head = span_cut(all, 0, end + 2);
    int64_t status, length;
    assert_true(span_int(span_cut(all, 9, 3), &status));
    r->status = (int)status;
    struct span raw = span_cut(all, end + 4, all.n);
    if (status == 100) {
        buf_drop(&r->text, end + 4);
        return parse(r, head_only);
    }
    if (head_only)
        return true;
    if (span_is(header(r, "Transfer-Encoding"), "chunked")) {
        bool whole = dechunk(r, raw);
        r->body = buf_span(&r->decoded);
        return whole;
    }
    r->body = raw;
    return span_int(header(r, "Content-Length"), &length) && raw.n >= (size_t)length;
}

static struct reply take(int fd, bool head_only)
{
    struct reply r = {.text = BUF(ANSWER_BYTES), .decoded = BUF(ANSWER_BYTES)};
    mono deadline = mono_add(clock_mono(), ANSWER_MS);
    while (!(r.whole = parse(&r, head_only)) && !r.closed) {
        if (!readable(fd, mono_left(deadline, clock_mono())))
            fail_msg("no whole answer in %d ms: %.*s", ANSWER_MS,
                     (int)(r.text.n < 300 ? r.text.n : 300), r.text.p);
        char *room = buf_room(&r.text, 65536);
        assert_non_null(room);
        ssize_t n = recv(fd, room, 65536, 0);
        r.closed = n <= 0;
        r.text.n += n > 0 ? (size_t)n : 0;
    }
    return r;
}

static void drop(struct reply *r)
{
    buf_free(&r->text);
    buf_free(&r->decoded);
}

/* The connection ends within ms without a further answer. */
static bool ends(int fd, int64_t ms)
{
    char c[4096];
    mono deadline = mono_add(clock_mono(), ms);
    while (readable(fd, mono_left(deadline, clock_mono())))
        if (recv(fd, c, sizeof c, 0) <= 0)
            return true;
    return false;
}

static struct reply ask(struct span bytes, bool head_only)
{
    int fd = dial();
    put(fd, bytes);
    struct reply r = take(fd, head_only);
    close(fd);
    return r;
}

/* Sends raw bytes, wants a status, and that the connection is closed when `closes`. */
static void expect_raw(struct span bytes, int status, bool closes)
{
    int fd = dial();
    put(fd, bytes);
    struct reply r = take(fd, false);
    if (r.status != status)
        fail_msg("wanted %d, got %d for: %.*s", status, r.status,
                 (int)(bytes.n < 200 ? bytes.n : 200), bytes.p);
    if (closes)
        assert_true(r.closed || ends(fd, ANSWER_MS));
    drop(&r);
    close(fd);
}

static struct reply request(const char *method, const char *path, const char *headers,
                            const char *body)
{
    struct buf text = BUF(BODY_MAX * 4);
    buf_fmt(&text, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s", method, path, headers);
    if (body)
        buf_fmt(&text, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                strlen(body));
    buf_add_text(&text, "Connection: close\r\n\r\n");
    if (body)
        buf_add_text(&text, body);
    struct reply r = ask(buf_span(&text), strcmp(method, "HEAD") == 0);
    buf_free(&text);
    return r;
}

static struct reply get(const char *path)
{
    return request("GET", path, "", NULL);
}

static void expect(const char *method, const char *path, const char *headers, const char *body,
                   int status)
{
    struct reply r = request(method, path, headers, body);
    if (r.status != status)
        fail_msg("%s %s: wanted %d, got %d: %.*s", method, path, status, r.status, SP(r.body));
    drop(&r);
}

static bool contains(struct span text, const char *what)
{
    return span_find(text, span_of(what)) < text.n;
}

/* A member of a JSON answer as text, by dotted path. */
static char *member(struct span json, const char *path, char out[256])
{
    struct json_parser *p = json_parser_new(ANSWER_BYTES);
    struct json root;
    struct buf raw = BUF(65536);
    struct span text;
    if (json_parse(p, json, &root, NULL))
        fail_msg("not JSON: %.*s", SP(json));
    struct json v = json_path(root, path);
    if (json_text(v, &text)) {
        span_copy(text, out, 256);
    } else {
        json_add_raw(&raw, v);
        span_copy(buf_span(&raw), out, 256);
    }
    buf_free(&raw);
    json_parser_free(&p);
    return out;
}

static void submit(const char *body, char id[256])
{
    struct reply r = request("POST", "/v1/jobs", "", body);
    if (r.status != 202)
        fail_msg("POST: %d %.*s", r.status, SP(r.body));
    member(r.body, "id", id);
    drop(&r);
}

/* ---- the torture table ---- */

static void no_host_or_two_hosts_are_400(void **state)
{
    (void)state;
    expect_raw(SPAN("GET /livez HTTP/1.1\r\n\r\n"), 400, true);
    expect_raw(SPAN("GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"), 400,
               true);
    expect_raw(SPAN("GET /livez HTTP/1.1\r\nHost: localhost\r\nhost: evil.example\r\n\r\n"),
               400, true);
}

static void content_length_with_chunked_is_400_and_closes(void **state)
{
    (void)state;
    expect_raw(SPAN("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
               400, true);
}

static void two_content_lengths_are_400_and_close(void **state)
{
    (void)state;
    expect_raw(SPAN("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                    "4\r\nContent-Length: 9\r\n\r\n{}  "),
               400, true);
    expect_raw(SPAN("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                    "4\r\nContent-Length: 4\r\n\r\n{}  "),
               400, true);
}

static void signed_content_lengths_are_400(void **state)
{
    (void)state;
    expect_raw(
        SPAN("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: +5\r\n\r\n{}   "),
        400, true);
    expect_raw(SPAN("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"),
               400, true);
    expect_raw(
        SPAN("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5 5\r\n\r\n{}   "),
        400, true);
}

static void a_coding_other_than_chunked_is_400(void **state)
{
    (void)state;
    expect_raw(SPAN("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, "
                    "chunked\r\n\r\n0\r\n\r\n"),
               400, true);
}

static void space_before_the_colon_is_400(void **state)
{
    (void)state;
    expect_raw(SPAN("GET /livez HTTP/1.1\r\nHost : localhost\r\n\r\n"), 400, true);
    expect_raw(SPAN("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Thing : a\r\n\r\n"), 400,
               true);
}

static void a_nul_or_a_fold_in_the_head_is_400(void **state)
{
    (void)state;
    expect_raw(SPAN("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Thing: a\0b\r\n\r\n"), 400,
               true);
    expect_raw(SPAN("GET /livez HTTP/1.1\r\nX-Thing: a\0b\r\nHost: localhost\r\n\r\n"), 400,
               true);
    expect_raw(
        SPAN("GET /livez HTTP/1.1\r\nHost: localhost\0.evil.example\r\nX-Thing: a\r\n\r\n"),
        400, true);
    expect_raw(SPAN("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-\0Thing: a\r\n\r\n"), 400,
               true);
    expect_raw(
        SPAN("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Thing: a\r\n b\r\nX-More: c\r\n\r\n"),
        400, true);
}

static void ordinary_heads_are_not_refused(void **state)
{
    (void)state;
    expect_raw(SPAN("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"), 200, false);
    expect_raw(SPAN("GET /livez HTTP/1.1\r\nHost:localhost\r\nX-Empty:\r\nX-Blank:   "
                    "\r\nX-Spaced:   a b  \r\n"
                    "X-Tab:\tc\t\r\nAccept: */*\r\n\r\n"),
               200, false);
    expect_raw(SPAN("GET /livez HTTP/1.0\r\n\r\n"), 200, true);
    struct buf text = BUF(65536);
    buf_add_text(&text, "GET /livez HTTP/1.1\r\nHost: localhost\r\n");
    for (int i = 0; i < 120; i++)
        buf_fmt(&text, "X-Number-%d: %0100d\r\n", i, i);
    buf_add_text(&text, "\r\n");
    expect_raw(buf_span(&text), 200, false);
    buf_free(&text);
}

static void sixty_four_kilobytes_of_headers_are_431(void **state)
{
    (void)state;
    struct buf text = BUF(128 * 1024);
    buf_add_text(&text, "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: ");
    for (int i = 0; i < 64 * 1024; i++)
        buf_add_char(&text, 'a');
    buf_add_text(&text, "\r\n\r\n");
    expect_raw(buf_span(&text), 431, true);
    buf_free(&text);
}

/* Sends a byte every 50 ms until the connection ends; answers how long that took. */
static int64_t trickle(int fd, struct span bytes)
{
    mono began = clock_mono();
    for (size_t i = 0; i < bytes.n && clock_mono().ms - began.ms < ANSWER_MS; i++) {
        put(fd, span_cut(bytes, i, 1));
        char c;
        if (readable(fd, 50) && recv(fd, &c, 1, 0) <= 0)
            break;
    }
    return clock_mono().ms - began.ms;
}

static void a_trickled_head_is_cut_at_the_head_deadline(void **state)
{
    (void)state;
    struct buf text = BUF(8192);
    buf_add_text(&text, "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
    for (int i = 0; i < 2000; i++)
        buf_add_char(&text, 'a');
    int fd = dial();
    int64_t took = trickle(fd, buf_span(&text));
    assert_in_range(took, HEADER_MS - 100, HEADER_MS + 2000);
    close(fd);
    fd = dial(); /* a connection that says nothing at all ends as well */
    assert_true(ends(fd, HEADER_MS + 2000));
    close(fd);
    buf_free(&text);
}

/* The service has no time for longer than a head may take; meanwhile the rest of one comes. */
static void send_the_rest(struct task *t)
{
    put(*(int *)t->ctx, SPAN("Host: localhost\r\n\r\n"));
    mono until = mono_add(clock_mono(), HEADER_MS + 200);
    while (!mono_past(until, clock_mono()))
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    task_done(t);
}

static void what_came_in_time_is_answered_though_the_service_was_late(void **state)
{
    (void)state;
    int fd = dial();
    put(fd, SPAN("GET /livez HTTP/1.1\r\n"));
    expect("GET", "/livez", "", NULL, 200); /* behind it: that one has been looked at */
    on_loop(send_the_rest, &fd);
    struct reply r = take(fd, false);
    assert_int_equal(r.status, 200);
    drop(&r);
    close(fd);
}

static void a_trickled_body_is_cut_at_the_body_deadline(void **state)
{
    (void)state;
    struct buf body = BUF(8192);
    for (int i = 0; i < 2000; i++)
        buf_add_char(&body, ' ');
    int fd = dial();
    put(fd,
        SPAN("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
             "Content-Length: 2000\r\n\r\n"));
    int64_t took = trickle(fd, buf_span(&body));
    assert_in_range(took, REQUEST_MS - 100, REQUEST_MS + 2000);
    close(fd);
    buf_free(&body);
}

static void a_body_over_the_limit_is_413_before_it_is_read(void **state)
{
    (void)state;
    /* No byte of the body is ever sent. */
    expect_raw(
        SPAN("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
             "Content-Length: 1000000\r\n\r\n"),
        413, true);
    expect_raw(SPAN("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                    "Content-Length: 99999999999\r\n\r\n"),
               413, true);
}

static void a_chunked_body_over_the_limit_is_413(void **state)
{
    (void)state;
    struct buf text = BUF(BODY_MAX * 4);
    buf_add_text(
        &text,
        "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 80; i++) {
        buf_add_text(&text, "400\r\n");
        for (int j = 0; j < 1024; j++)
            buf_add_char(&text, ' ');
        buf_add_text(&text, "\r\n");
    }
    buf_add_text(&text, "0\r\n\r\n");
    expect_raw(buf_span(&text), 413, true);
    buf_free(&text);
}

static void an_unknown_method_is_405_with_allow(void **state)
{
    (void)state;
    struct reply r = request("BREW", "/livez", "", NULL);
    assert_int_equal(r.status, 405);
    assert_true(span_is(header(&r, "Allow"), "GET, HEAD"));
    drop(&r);
    r = request("DELETE", "/v1/jobs", "", NULL);
    assert_int_equal(r.status, 405);
    assert_true(span_is(header(&r, "Allow"), "POST, GET, HEAD"));
    drop(&r);
}

static void idle_connections_do_not_slow_livez(void **state)
{
    (void)state;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int count = 5000;
    if (limit.rlim_cur < 10500)
        count = (int)(limit.rlim_cur - 500) / 2;
    int *fds = calloc((size_t)count, sizeof *fds);
    assert_non_null(fds);
    /* Each asks once and then stays silent: kept alive, so the head deadline does not end it.
     */
    for (int i = 0; i < count; i++) {
        fds[i] = dial();
        put(fds[i], SPAN("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        struct reply r = take(fds[i], false);
        assert_int_equal(r.status, 200);
        drop(&r);
    }
    int64_t best = INT64_MAX;
    for (int i = 0; i < 5; i++) {
        int64_t began = clock_mono_us();
        struct reply r = get("/livez");
        int64_t took = clock_mono_us() - began;
        assert_int_equal(r.status, 200);
        best = took < best ? took : best;
        drop(&r);
    }
    print_message("/livez beside %d idle connections: %lld us\n", count, (long long)best);
    assert_true(best < 50 * 1000);
    for (int i = 0; i < count; i++)
        close(fds[i]);
    free(fds);
}

/* ---- who may ask ---- */

static void foreign_hosts_and_origins_are_refused(void **state)
{
    (void)state;
    expect_raw(SPAN("GET /v1/jobs HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 421, true);
    expect_raw(SPAN("GET /v1/jobs HTTP/1.1\r\nHost: localhost.evil.example:80\r\n\r\n"), 421,
               true);
    expect_raw(SPAN("GET /livez HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n"), 200, false);
    expect_raw(SPAN("GET /livez HTTP/1.1\r\nHost: [::1]:8470\r\n\r\n"), 200, false);
    expect("POST", "/v1/jobs", "Origin: http://evil.example\r\n", "{}", 403);
    expect("POST", "/v1/jobs", "Sec-Fetch-Site: cross-site\r\n", "{}", 403);
    expect("POST", "/v1/jobs", "Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n",
           "{}", 422);
}

static void the_unix_socket_takes_any_host(void **state)
{
    (void)state;
    int fd = dial_unix();
    put(fd, SPAN("GET /livez HTTP/1.1\r\nHost: whatever\r\n\r\n"));
    struct reply r = take(fd, false);
    assert_int_equal(r.status, 200);
    assert_true(span_is(r.body, "ok\n"));
    drop(&r);
    close(fd);
}

static void unknown_paths_and_parameters_are_problems(void **state)
{
    (void)state;
    char text[256];
    struct reply r = get("/v2/jobs");
    assert_int_equal(r.status, 404);
    assert_true(span_is(header(&r, "Content-Type"), "application/problem+json"));
    assert_string_equal(member(r.body, "type", text), "urn:fulmar:problem:not-found");
    assert_string_equal(member(r.body, "status", text), "404");
    drop(&r);
    expect("GET", "/v1/jobs/", "", NULL, 404);
    expect("GET", "/v1/jobs/job_1", "", NULL, 404);
    expect("GET", "/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV", "", NULL, 404);
    expect("GET", "/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV/posts", "", NULL, 404);
    expect("GET", "/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV/posts?limit=5", "", NULL, 404);
    r = get("/v1/jobs?limti=5");
    assert_int_equal(r.status, 400);
    assert_true(contains(r.body, "did you mean \\\"limit\\\"?"));
    drop(&r);
    expect("GET", "/v1/jobs?limit=0", "", NULL, 400);
    expect("GET", "/v1/jobs?state=asleep", "", NULL, 400);
    expect("GET", "/v1/jobs?after=nonsense", "", NULL, 400);
}

static void the_request_id_is_kept_when_it_is_sane(void **state)
{
    (void)state;
    struct reply r = request("GET", "/livez", "X-Request-Id: abc-1.2_3\r\n", NULL);
    assert_true(span_is(header(&r, "X-Request-Id"), "abc-1.2_3"));
    drop(&r);
    r = request("GET", "/livez", "X-Request-Id: a b\r\n", NULL);
    assert_true(span_starts(header(&r, "X-Request-Id"), SPAN("req_")));
    drop(&r);
}

/* ---- health ---- */

static void health_says_what_is(void **state)
{
    (void)state;
    char text[256];
    struct reply r = get("/readyz");
    assert_int_equal(r.status, 200);
    drop(&r);
    server.ready = false;
    r = get("/readyz");
    assert_int_equal(r.status, 503);
    assert_true(contains(r.body, "no browser is"));
    drop(&r);
    r = get("/readyz?verbose");
    assert_int_equal(r.status, 503);
    assert_string_equal(member(r.body, "ready", text), "false");
    assert_string_equal(member(r.body, "workers.idle", text), "2");
    drop(&r);
    r = get("/");
    assert_true(contains(r.body, "no browser is &lt;ready&gt;"));
    drop(&r);
    server.ready = true;
    r = get("/metrics");
    assert_int_equal(r.status, 200);
    assert_true(contains(r.body, "fulmar_http_requests_total{code=\"5xx\"}"));
    drop(&r);
}

static void head_has_no_body(void **state)
{
    (void)state;
    struct reply r = request("HEAD", "/livez", "", NULL);
    assert_int_equal(r.status, 200);
    assert_true(span_is(header(&r, "Content-Length"), "3"));
    assert_true(span_ends(buf_span(&r.text), SPAN("\r\n\r\n")));
    drop(&r);
    expect("HEAD", "/v1/jobs", "", NULL, 200);
    expect("HEAD", "/v1/events", "", NULL, 200);
}

/* ---- jobs ---- */

static void a_job_is_accepted_shown_and_listed(void **state)
{
    (void)state;
    char id[256], text[256], path[300];
    struct reply r = request("POST", "/v1/jobs", "",
                             "{\"kind\":\"posts\",\"target\":\"@NASA\",\"limit\":20,\"since\":"
                             "\"2026-02-06\",\"priority\":3}");
    assert_int_equal(r.status, 202);
    member(r.body, "id", id);
    snprintf(path, sizeof path, "/v1/jobs/%s", id);
    assert_true(span_is(header(&r, "Location"), path));
    assert_string_equal(member(r.body, "site", text), "x");
    assert_string_equal(member(r.body, "lane", text), "default/x/normal");
    assert_string_equal(member(r.body, "state", text), "ready");
    assert_string_equal(member(r.body, "limit", text), "20");
    assert_string_equal(member(r.body, "options.since", text), "2026-02-06T00:00:00Z");
    assert_string_equal(member(r.body, "verdict", text), "null");
    drop(&r);
    r = get(path);
    assert_int_equal(r.status, 200);
    assert_string_equal(member(r.body, "id", text), id);
    member(r.body, "target", text);
    assert_true(span_eq_nocase(span_of(text), SPAN("nasa")));
    assert_string_equal(member(r.body, "links.self", text), path);
    drop(&r);
    r = get("/v1/jobs?state=ready&limit=5");
    assert_int_equal(r.status, 200);
    assert_true(contains(r.body, id));
    drop(&r);
    r = get("/");
    assert_true(contains(r.body, id));
    assert_true(contains(header(&r, "Content-Security-Policy"), "default-src 'none'"));
    drop(&r);
}

/* What a job is about, and which options its target has. */
static void products_and_depths_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *body, *member, *value;
    } fine[] = {
        {"{\"kind\":\"posts\",\"target\":\"@nasa\"}", "records", "posts"},
        {"{\"kind\":\"followers\",\"target\":\"@nasa\"}", "records", "users"},
        {"{\"kind\":\"search\",\"target\":\"heat\",\"product\":\"people\"}", "records",
         "users"},
        {"{\"kind\":\"search\",\"target\":\"heat\",\"product\":null}", "records", "posts"},
        {"{\"kind\":\"hashtag\",\"target\":\"#heat\",\"product\":\"top\"}", "options.product",
         "top"},
        {"{\"kind\":\"thread\",\"target\":\"https://x.com/a/status/20\",\"depth\":0}",
         "options.depth", "0"},
        {"{\"kind\":\"thread\",\"target\":\"https://x.com/a/status/20\"}", "target", "20"},
        {"{\"kind\":\"list\",\"target\":\"https://x.com/i/lists/7?s=20\"}", "target", "7"},
    };
    static const struct {
        const char *body, *pointer, *words;
    } wrong[] = {
        {"{\"kind\":\"search\",\"target\":\"heat\",\"product\":\"latets\"}", "/product",
         "did you mean 'latest'?"},
        {"{\"kind\":\"search\",\"target\":\"heat\",\"product\":7}", "/product",
         "must be a text"},
        {"{\"kind\":\"posts\",\"target\":\"@nasa\",\"product\":\"top\"}", "/product",
         "posts has no products"},
        {"{\"kind\":\"posts\",\"target\":\"@nasa\",\"depth\":1}", "/depth",
         "posts has no depth"},
        {"{\"kind\":\"thread\",\"target\":\"20\",\"depth\":-1}", "/depth", "must be 0 to 100"},
        {"{\"kind\":\"thread\",\"target\":\"@nasa\"}", "/target",
         "a post by its id or its URL"},
    };
    char text[256];
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        struct reply r = request("POST", "/v1/jobs", "", fine[i].body);
        assert_int_equal(r.status, 202);
        assert_string_equal(member(r.body, fine[i].member, text), fine[i].value);
        drop(&r);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct reply r = request("POST", "/v1/jobs", "", wrong[i].body);
        assert_int_equal(r.status, 422);
        if (!contains(r.body, wrong[i].pointer) || !contains(r.body, wrong[i].words))
            fail_msg("%s: %.*s", wrong[i].body, SP(r.body));
        drop(&r);
    }
}

static void mistakes_in_a_body_are_named(void **state)
{
    (void)state;
    char text[256];
    expect("POST", "/v1/jobs", "", "{\"kind\":", 400);
    expect("POST", "/v1/jobs", "", "[]", 400);
    expect("POST", "/v1/jobs", "", "", 400);
    struct reply r = request("POST", "/v1/jobs", "",
                             "{\"kind\":\"posts\",\"target\":\"@nasa\",\"limti\":3}");
    assert_int_equal(r.status, 400);
    assert_true(contains(r.body, "\"pointer\":\"/limti\""));
    assert_true(contains(r.body, "did you mean \\\"limit\\\"?"));
    drop(&r);
    r = request("POST", "/v1/jobs", "",
                "{\"kind\":\"posts\",\"target\":\"not a "
                "handle!\",\"limit\":0,\"since\":\"yesterday\",\"priority\":10}");
    assert_int_equal(r.status, 422);
    assert_string_equal(member(r.body, "code", text), "validation_failed");
    assert_true(contains(r.body, "/target") && contains(r.body, "/limit") &&
                contains(r.body, "/since") && contains(r.body, "/priority"));
    drop(&r);
    r = request("POST", "/v1/jobs", "", "{\"kind\":\"post\",\"target\":\"@nasa\"}");
    assert_int_equal(r.status, 422);
    assert_true(contains(r.body, "did you mean \\\"posts\\\"?"));
    drop(&r);
    expect("POST", "/v1/jobs", "",
           "{\"site\":\"nowhere\",\"kind\":\"posts\",\"target\":\"@nasa\"}", 422);
    expect("POST", "/v1/jobs", "",
           "{\"kind\":\"posts\",\"kind\":\"posts\",\"target\":\"@nasa\"}", 400);
    expect("POST", "/v1/jobs", "", "{\"kind\":\"posts\",\"target\":\"@nasa\",\"limit\":100001}",
           422);
    expect("POST", "/v1/jobs", "", "{\"kind\":\"posts\",\"target\":\"@nasa\",\"limit\":1.5}",
           422);
    expect("POST", "/v1/jobs", "",
           "{\"kind\":\"posts\",\"target\":\"@nasa\",\"since\":\"2026-02-07\",\"until\":\"2026-"
           "02-06\"}",
           422);
    expect_raw(SPAN("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
                    "Content-Length: 2\r\nConnection: close\r\n\r\n{}"),
               415, true);
}

static void a_key_makes_a_request_repeatable(void **state)
{
    (void)state;
    char first[256], second[256];
    const char *body = "{\"kind\":\"posts\",\"target\":\"@nasa\",\"limit\":7}";
    struct reply r = request("POST", "/v1/jobs", "Idempotency-Key: \"key-1\"\r\n", body);
    assert_int_equal(r.status, 202);
    assert_false(header(&r, "Idempotency-Replayed").n);
    member(r.body, "id", first);
    drop(&r);
    r = request("POST", "/v1/jobs", "Idempotency-Key: key-1\r\n", body);
    assert_int_equal(r.status, 202);
    assert_true(span_is(header(&r, "Idempotency-Replayed"), "true"));
    assert_string_equal(member(r.body, "id", second), first);
    drop(&r);
    r = request("POST", "/v1/jobs", "Idempotency-Key: key-1\r\n",
                "{\"kind\":\"posts\",\"target\":\"@esa\"}");
    assert_int_equal(r.status, 422);
    assert_string_equal(member(r.body, "code", second), "idempotency_mismatch");
    drop(&r);
    expect("POST", "/v1/jobs", "Idempotency-Key: a b\r\n", body, 400);
    /* Whoever lost the answer asks which job it was. */
    r = get("/v1/jobs?idempotency_key=key-1");
    assert_int_equal(r.status, 200);
    assert_true(contains(r.body, first));
    assert_true(contains(r.body, "\"has_more\":false"));
    drop(&r);
    r = get("/v1/jobs?idempotency_key=%22key-1%22&tenant=press");
    assert_int_equal(r.status, 200);
    assert_true(contains(r.body, "\"data\":[]"));
    drop(&r);
    expect("GET", "/v1/jobs?idempotency_key=key-1&state=ready", "", NULL, 400);
    expect("GET", "/v1/jobs?idempotency_key=", "", NULL, 400);
}

static int64_t jobs_of(const char *query)
{
    char path[100];
    snprintf(path, sizeof path, "/v1/jobs?limit=200&%s", query);
    struct reply r = get(path);
    int64_t n = 0;
    for (struct span rest = r.body; rest.n; n++) {
        size_t at = span_find(rest, SPAN("\"object\":\"job\""));
        if (at == rest.n)
            break;
        rest = span_cut(rest, at + 1, rest.n);
    }
    drop(&r);
    return n;
}

/* Whole pieces of it. A client that says no more is cut off like any other; what it hears nothing of stays accepted, and
 * comes back under the same key. */
static void orders_of_a_stream_are_accepted_while_they_come(void **state)
{
    (void)state;
    enum { LINES = 250, FIRST = 150, PIECE = 100 };
    const char *headers =
        "Content-Type: application/x-ndjson\r\nAccept: application/x-ndjson\r\n"
        "Idempotency-Key: half\r\n";
    struct buf body = BUF(32 * 1024), head = BUF(1024);
    size_t first = 0;
    for (int i = 0; i < LINES; i++) {
        buf_fmt(&body, "{\"kind\":\"posts\",\"target\":\"@h%d\",\"tenant\":\"half\"}\n", i);
        first = i + 1 == FIRST ? body.n : first;
    }
    buf_fmt(&head,
            "POST /v1/jobs/bulk HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n",
            headers, body.n);
    int fd = dial();
    put(fd, buf_span(&head));
    put(fd, span_cut(buf_span(&body), 0, first));
    mono late = mono_add(clock_mono(), 10000);
    while (jobs_of("tenant=half") < PIECE && !mono_past(late, clock_mono()))
        ;
    char byte;
    assert_true(readable(fd, 10000));
    assert_true(recv(fd, &byte, 1, 0) <= 0);
    close(fd);
    assert_int_equal(jobs_of("tenant=half"), PIECE);
    buf_add_char(&body, '\0');
    struct reply r = request("POST", "/v1/jobs/bulk", headers, body.p);
    assert_int_equal(r.status, 207);
    struct span rest = r.body, line = SPAN_NONE;
    for (int i = 0; i < LINES; i++) {
        assert_true(span_next(&rest, '\n', &line));
        assert_int_equal(span_find(line, SPAN("\"replayed\":true")) < line.n, i < PIECE);
    }
    assert_true(span_next(&rest, '\n', &line));
    assert_true(span_starts(
        line, SPAN("{\"object\":\"bulk\",\"accepted\":250,\"refused\":0,\"complete\":true}")));
    drop(&r);
    buf_free(&body);
    buf_free(&head);
}

static void expect_with_tag(const char *path, const char *tag, int status)
{
    char header_line[100];
    snprintf(header_line, sizeof header_line, "If-None-Match: %s\r\n", tag);
    struct reply r = request("GET", path, header_line, NULL);
    assert_int_equal(r.status, status);
    assert_int_equal(r.body.n == 0, status == 304);
    drop(&r);
}

static void take_tag(const char *path, char tag[64])
{
    struct reply r = get(path);
    assert_int_equal(r.status, 200);
    span_copy(header(&r, "ETag"), tag, 64);
    assert_true(tag[0]);
    drop(&r);
}

/* But a job that waits or runs: its place, its phase and its lease change without it. */
static void what_the_client_has_is_not_sent_again(void **state)
{
    (void)state;
    char id[256], path[300], tag[64], other[64];
    struct arena *a = arena_new(1 << 20);
    submit("{\"kind\":\"posts\",\"target\":\"@tagged\",\"priority\":9}", id);
    snprintf(path, sizeof path, "/v1/jobs/%s", id);
    take_tag(path, tag);
    expect_with_tag(path, tag, 200);
    struct lease l = lease_of(id, a);
    expect_with_tag(path, tag, 200);
    take_tag(path, tag);
    expect_with_tag(path, tag, 200);
    expect_with_tag(path, "*", 200);
    finish(&l, FAILURE_NONE, VERDICT_COMPLETE, "", "");
    expect_with_tag(path, tag, 200);
    take_tag(path, tag);
    expect_with_tag(path, tag, 304);
    expect_with_tag(path, "*", 304);
    expect_with_tag(path, "\"r0\"", 200);
    take_tag("/v1/mode", other);
    expect_with_tag("/v1/mode", other, 304);
    expect_with_tag("/v1/mode", tag, 200);
    arena_free(&a);
}

/* What is told apart by its text is 304 as long as that is the same. What has parts that live beside its revision (counts, use,
 * cooldowns, the next run) is always shown: its tag is for If-Match. */
static void every_answer_that_has_a_tag_knows_it_again(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool lives;
    } routes[] = {{"/v1/jobs", false},          {"/v1/jobs?limit=1&fields=id,state", false},
                  {"/v1/batches", false},       {"/v1/schedules", false},
                  {"/v1/schedules/tags", true}, {"/v1/schedules/tags/runs", false},
                  {"/v1/queues", false},        {"/v1/queues/tags/x/normal", true},
                  {"/v1/breakers", false},      {"/v1/breakers/tags/x/normal", false},
                  {"/v1/dead-letters", false},  {"/v1/operations", false},
                  {"/v1/sessions", false},      {"/v1/sessions/tags", true},
                  {"/v1/webhooks", false},      {"/v1/workers", false},
                  {"/v1/workers/2", false},     {"/v1/nodes", false},
                  {"/v1/limits", true},         {"/v1/mode", false}};
    char tag[64], id[256], path[300];
    struct reply r = request("POST", "/v1/schedules", "Content-Type: application/json\r\n",
                             "{\"name\":\"tags\",\"cron\":\"0 0 1 1 *\",\"job\":{\"kind\":"
                             "\"posts\",\"target\":\"@esa\"}}");
    assert_int_equal(r.status, 201);
    drop(&r);
    r = request("POST", "/v1/sessions", "Content-Type: application/json\r\n",
                "{\"name\":\"tags\"}");
    assert_int_equal(r.status, 201);
    drop(&r);
    submit("{\"kind\":\"posts\",\"target\":\"@tags\",\"tenant\":\"tags\"}", id);
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        take_tag(routes[i].path, tag);
        expect_with_tag(routes[i].path, tag, routes[i].lives ? 200 : 304);
        expect_with_tag(routes[i].path, "\"b0\"", 200);
    }
    take_tag("/v1/jobs?tenant=tags", tag);
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id);
    r = request("POST", path, "", "");
    assert_int_equal(r.status, 200);
    drop(&r);
    expect_with_tag("/v1/jobs?tenant=tags", tag, 200);
    r = request("DELETE", "/v1/schedules/tags", "If-Match: *\r\n", NULL);
    assert_int_equal(r.status, 204);
    drop(&r);
}

/* Of a connection that stays: from the answer to the next one. The head has all that the whole answer has of these. */
static void expect_unchanged(int fd, const char *method, const char *path, const char *tag)
{
    static const char *const alike[] = {"Content-Length", "ETag", "Cache-Control", NULL};
    struct buf text = BUF(4096);
    struct reply whole = get(path);
    assert_int_equal(whole.status, 200);
    assert_true(whole.body.n > 0);
    buf_fmt(&text, "%s %s HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: %s\r\n\r\n", method,
            path, tag);
    put(fd, buf_span(&text));
    struct reply r = take(fd, true);
    assert_int_equal(r.status, 304);
    for (int i = 0; alike[i]; i++) {
        if (!span_eq(header(&r, alike[i]), header(&whole, alike[i])))
            fail_msg("%s: %s is %.*s of the 304, %.*s of the 200", path, alike[i],
                     SP(header(&r, alike[i])), SP(header(&whole, alike[i])));
    }
    assert_false(header(&r, "Content-Type").p || header(&r, "Transfer-Encoding").p ||
                 header(&r, "Content-Range").p);
    assert_int_equal(r.text.n, r.head.n + 2); /* nothing behind the empty line */
    assert_false(readable(fd, 30));
    buf_free(&text);
    drop(&whole);
    drop(&r);
}

static void an_answer_without_its_body_tells_its_length_and_the_connection_goes_on(void **state)
{
    (void)state;
    char id[256], path[300], tag[64], mode[64], both[80];
    struct arena *a = arena_new(1 << 20);
    submit("{\"kind\":\"posts\",\"target\":\"@unchanged\",\"priority\":9}", id);
    struct lease l = lease_of(id, a);
    finish(&l, FAILURE_NONE, VERDICT_COMPLETE, "", "");
    snprintf(path, sizeof path, "/v1/jobs/%s", id);
    take_tag(path, tag);
    take_tag("/v1/mode", mode);
    int fd = dial();
    expect_unchanged(fd, "GET", path, tag);
    expect_unchanged(fd, "GET", "/v1/mode", mode);
    expect_unchanged(fd, "HEAD", path, tag);
    snprintf(both, sizeof both, "\"r0\", %s", tag);
    expect_unchanged(fd, "GET", path, both);
    put(fd, SPAN("GET /v1/mode HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    struct reply r = take(fd, false);
    assert_int_equal(r.status, 200);
    assert_true(contains(r.body, "\"object\":\"mode\""));
    drop(&r);
    close(fd);
    arena_free(&a);
}

/* Set by whomever, and told when the store has it. */
static void expect_mode(const char *mode)
{
    mono late = mono_add(clock_mono(), 10000);
    struct buf body = BUF(200);
    buf_fmt(&body, "{\"mode\":\"%s\",\"reason\":\"drill\"}%c", mode, 0);
    expect("PUT", "/v1/mode", "If-Match: *\r\n", body.p, 200);
    buf_free(&body);
    for (bool same = false; !same;) {
        struct reply r = get("/livez");
        struct span told = header(&r, "Fulmar-Mode");
        same = span_is(told.n ? told : SPAN("normal"), mode);
        drop(&r);
        assert_false(mono_past(late, clock_mono()));
    }
}

static void every_answer_says_the_mode_that_is_not_normal(void **state)
{
    (void)state;
    expect_mode("paused");
    expect_mode("maintenance");
    expect_mode("normal");
}

static void cancelling_follows_the_state(void **state)
{
    (void)state;
    char id[256], path[300], text[256];
    struct arena *a = arena_new(1 << 20);
    submit("{\"kind\":\"posts\",\"target\":\"@waiting\"}", id);
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id);
    struct reply r = request("POST", path, "", NULL);
    assert_int_equal(r.status, 200);
    assert_string_equal(member(r.body, "state", text), "cancelled");
    drop(&r);
    expect("POST", path, "", NULL, 200); /* already so */

    submit("{\"kind\":\"posts\",\"target\":\"@running\",\"priority\":9}", id);
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id);
    struct lease l = lease_of(id, a);
    int before = server.cancelled;
    r = request("POST", path, "", NULL);
    assert_int_equal(r.status, 202);
    assert_string_equal(member(r.body, "state", text), "active");
    assert_string_equal(member(r.body, "cancel_requested", text), "true");
    drop(&r);
    assert_int_equal(server.cancelled, before + 1);
    assert_string_equal(server.cancelled_id, id);

    finish(&l, FAILURE_NONE, VERDICT_COMPLETE, "", "");
    expect("POST", path, "", NULL, 409);
    expect("POST", "/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV/cancel", "", NULL, 404);
    arena_free(&a);
}

static void a_cancel_by_force_is_at_once_and_says_why(void **state)
{
    (void)state;
    char id[256], path[300], log[300], text[256];
    struct arena *a = arena_new(1 << 20);
    submit("{\"kind\":\"posts\",\"target\":\"@hanging\",\"priority\":9}", id);
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id);
    snprintf(log, sizeof log, "/v1/jobs/%s/log", id);
    struct lease l = lease_of(id, a);
    commit_posts(&l, 0, 0, 3);
    expect("POST", path, "", "{\"force\":\"yes\"}", 422);
    expect("POST", path, "", "{\"force\":true,\"grace_s\":5}", 422);
    expect("POST", path, "", "{\"grace_s\":0}", 422);
    expect("POST", path, "", "{\"forse\":true}", 400);
    char raw[512];
    snprintf(
        raw, sizeof raw,
        "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n"
        "Connection: close\r\n\r\n{\"force\":true}",
        path);
    expect_raw(span_of(raw), 415, true);
    struct reply r = request("POST", path, "", "{\"grace_s\":30,\"reason\":\"it is <slow>\"}");
    assert_int_equal(r.status, 202);
    drop(&r);
    r = get(log);
    assert_true(contains(
        r.body, "\"event\":\"job.stopping\",\"data\":{\"state\":\"active\",\"grace_ms\":30000,"
                "\"why\":\"it is <slow>\"}"));
    drop(&r);
    int forced = server.forced;
    r = request("POST", path, "", "{\"force\":true,\"reason\":\"it hangs\"}");
    assert_int_equal(r.status, 200);
    assert_string_equal(member(r.body, "state", text), "cancelled");
    assert_string_equal(member(r.body, "failure.why", text), "cancelled by force: it hangs");
    assert_string_equal(member(r.body, "attempts.voided", text), "1");
    drop(&r);
    assert_int_equal(server.forced, forced + 1);
    /* What its worker still brings changes nothing. */
    struct store_item item = {.kind = ITEM_POST, .id = SPAN("late"), .json = SPAN("{}")};
    struct store_op op = {.verb = STORE_COMMIT, .arena = a};
    op.in.commit = (struct commit_args){
        .id = span_of(l.id), .nonce = l.nonce, .batch = 1, .items = &item, .count = 1};
    run_op(&op);
    assert_int_equal(op.result, E_STALE);
    submit("{\"kind\":\"posts\",\"target\":\"@waiting2\"}", id);
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id);
    r = request("POST", path, "", "{\"reason\":\"not wanted\"}");
    assert_int_equal(r.status, 200);
    assert_string_equal(member(r.body, "failure.why", text), "not wanted");
    drop(&r);
    arena_free(&a);
}

/* What an order says of its place in the queue is there again when its job is shown. */
static void an_order_says_whose_it_is_and_when(void **state)
{
    (void)state;
    char text[256], id[256], first[256], path[300];
    struct reply r = request(
        "POST", "/v1/jobs", "",
        "{\"kind\":\"posts\",\"target\":\"@times\",\"tenant\":\"press\",\"class\":\"bulk\",\"priority\":8,"
        "\"not_before\":\"2099-01-01T00:00:00Z\",\"expires_s\":60,\"deadline_s\":120,\"unique\":{\"key\":\"k1\"}}");
    assert_int_equal(r.status, 202);
    static const char *const rows[][2] = {{"lane", "press/x/bulk"},
                                          {"tenant", "press"},
                                          {"class", "bulk"},
                                          {"priority", "8"},
                                          {"state", "scheduled"},
                                          {"not_before", "2099-01-01T00:00:00.000Z"},
                                          {"expires_at", "2099-01-01T00:01:00.000Z"},
                                          {"deadline_at", "2099-01-01T00:02:00.000Z"},
                                          {"unique_key", "k1"},
                                          {"waiting_for.reason", "time"},
                                          {"generation", "0"},
                                          {"result", "null"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(member(r.body, rows[i][0], text), rows[i][1]);
    member(r.body, "id", first);
    drop(&r);
    /* The same key: that job, and nothing is made; of another tenant it is another key. */
    r = request(
        "POST", "/v1/jobs", "",
        "{\"kind\":\"posts\",\"target\":\"@other\",\"tenant\":\"press\",\"unique\":{\"key\":\"k1\"}}");
    assert_int_equal(r.status, 200);
    assert_true(span_is(header(&r, "Unique-Match"), first));
    assert_string_equal(member(r.body, "id", id), first);
    drop(&r);
    r = request("POST", "/v1/jobs", "",
                "{\"kind\":\"posts\",\"target\":\"@other\",\"tenant\":\"press\","
                "\"unique\":{\"key\":\"k1\",\"on_conflict\":\"reject\"}}");
    assert_int_equal(r.status, 409);
    assert_string_equal(member(r.body, "code", text), "unique_conflict");
    assert_true(contains(r.body, first));
    drop(&r);
    r = request("POST", "/v1/jobs", "",
                "{\"kind\":\"posts\",\"target\":\"@other\",\"unique\":{\"key\":\"k1\"}}");
    assert_int_equal(r.status, 202);
    assert_string_not_equal(member(r.body, "id", id), first);
    drop(&r);
    /* The newest request stands. */
    r = request("POST", "/v1/jobs", "",
                "{\"kind\":\"posts\",\"target\":\"@newest\",\"tenant\":\"press\","
                "\"unique\":{\"key\":\"k1\",\"on_conflict\":\"replace\"}}");
    assert_int_equal(r.status, 202);
    assert_string_not_equal(member(r.body, "id", id), first);
    drop(&r);
    snprintf(path, sizeof path, "/v1/jobs/%s", first);
    r = get(path);
    assert_string_equal(member(r.body, "state", id), "cancelled");
    drop(&r);
}

static void equal_work_is_shared_and_an_answer_used_again(void **state)
{
    (void)state;
    char one[256], two[256], path[300], text[256];
    struct arena *a = arena_new(1 << 20);
    const char *order =
        "{\"kind\":\"posts\",\"target\":\"@equal\",\"limit\":3,\"coalesce\":true,\"priority\":9}";
    submit(order, one);
    struct reply r = request("POST", "/v1/jobs", "", order);
    assert_int_equal(r.status, 202);
    assert_string_equal(member(r.body, "state", text), "blocked");
    assert_string_equal(member(r.body, "waiting_for.reason", text), "job");
    member(r.body, "id", two);
    drop(&r);
    struct lease l = lease_of(one, a);
    commit_posts(&l, 0, 0, 3);
    finish(&l, FAILURE_NONE, VERDICT_COMPLETE, "", "");
    snprintf(path, sizeof path, "/v1/jobs/%s", two);
    r = get(path);
    assert_string_equal(member(r.body, "state", text), "succeeded");
    assert_string_equal(member(r.body, "result.source", text), "shared");
    assert_string_equal(member(r.body, "result.from_job", text), one);
    assert_string_equal(member(r.body, "result.age_s", text), "null");
    drop(&r);
    snprintf(path, sizeof path, "/v1/jobs/%s/posts", two);
    r = get(path);
    assert_true(contains(r.body, "post number 2 "));
    drop(&r);
    r = request(
        "POST", "/v1/jobs", "",
        "{\"kind\":\"posts\",\"target\":\"@equal\",\"limit\":3,\"max_age_s\":600,\"tenant\":\"lab\"}");
    assert_int_equal(r.status, 202);
    assert_string_equal(member(r.body, "state", text), "succeeded");
    assert_string_equal(member(r.body, "result.source", text), "cache");
    assert_string_equal(member(r.body, "result.age_s", text), "0");
    drop(&r);
    snprintf(path, sizeof path, "/v1/jobs/%s", one);
    r = get(path);
    assert_string_equal(member(r.body, "result.source", text), "own");
    assert_string_equal(member(r.body, "result.from_job", text), "null");
    drop(&r);
    arena_free(&a);
}

static void a_failed_job_is_200_and_explains_itself(void **state)
{
    (void)state;
    char id[256], path[300], text[256];
    struct arena *a = arena_new(1 << 20);
    submit("{\"kind\":\"posts\",\"target\":\"@gone\",\"priority\":9}", id);
    struct lease l = lease_of(id, a);
    finish(&l, FAILURE_SUSPENDED, VERDICT_NONE,
           "the account <script>alert(1)</script> is suspended",
           "{\"pages\":1,\"requests\":3}");
    snprintf(path, sizeof path, "/v1/jobs/%s", id);
    struct reply r = get(path);
    assert_int_equal(r.status, 200);
    assert_string_equal(member(r.body, "state", text), "dead");
    assert_string_equal(member(r.body, "failure.class", text), "suspended");
    assert_string_equal(member(r.body, "failure.final", text), "true");
    assert_true(strlen(member(r.body, "failure.advice", text)) > 4);
    assert_string_equal(member(r.body, "report.requests", text), "3");
    drop(&r);
    r = get("/");
    assert_true(contains(r.body, "&lt;script&gt;"));
    assert_false(contains(r.body, "<script>"));
    drop(&r);
    snprintf(path, sizeof path, "/v1/jobs/%s/log", id);
    r = get(path);
    assert_int_equal(r.status, 200);
    assert_true(contains(r.body, "\"event\":\"job.accepted\"") &&
                contains(r.body, "\"event\":\"job.dead\""));
    drop(&r);
    arena_free(&a);
}

static size_t count_lines(struct span text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    return n;
}

static void posts_come_whole_or_in_pages(void **state)
{
    (void)state;
    enum { POSTS = 6000, BATCH = 500 };
    char id[256], path[400];
    struct arena *a = arena_new(1 << 20);
    submit("{\"kind\":\"posts\",\"target\":\"@many\",\"priority\":9}", id);
    struct lease l = lease_of(id, a);
    for (int i = 0; i < POSTS / BATCH; i++)
        commit_posts(&l, l.next_batch + i, i * BATCH, BATCH);

    snprintf(path, sizeof path, "/v1/jobs/%s/posts", id);
    struct reply r = get(path);
    assert_int_equal(r.status, 200);
    assert_true(r.whole);
    assert_true(span_is(header(&r, "Content-Type"), "application/x-ndjson"));
    assert_true(span_is(header(&r, "Job-State"), "active"));
    assert_int_equal(count_lines(r.body), POSTS);
    assert_true(span_starts(r.body, SPAN("{\"id\":\"0\"")));
    drop(&r);

    size_t seen = 0, pages = 0;
    char next[400];
    snprintf(next, sizeof next, "/v1/jobs/%s/posts?limit=1000", id);
    for (;;) {
        r = get(next);
        assert_int_equal(r.status, 200);
        size_t n = count_lines(r.body);
        struct span link = header(&r, "Link");
        seen += n;
        pages++;
        if (!n)
            break;
        assert_true(n <= 1000);
        span_copy(span_cut(link, 1, span_find_char(link, '>') - 1), next, sizeof next);
        drop(&r);
    }
    assert_false(header(&r, "Link").p);
    drop(&r);
    assert_int_equal(seen, POSTS);
    assert_true(pages >= POSTS / 1000);

    snprintf(path, sizeof path, "/v1/jobs/%s/users", id);
    r = get(path);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body.n, 0);
    drop(&r);
    finish(&l, FAILURE_NONE, VERDICT_COMPLETE, "", "");
    arena_free(&a);
}

static void options_of_a_job_are_checked_and_shown(void **state)
{
    (void)state;
    static const struct {
        const char *option, *pointer, *words;
    } rows[] = {
        {"\"exclude\":[\"replys\"]", "/exclude/0", "did you mean \\\"replies\\\"?"},
        {"\"exclude\":[\"replies\",\"everything else\"]", "/exclude/1",
         "known are: replies, reposts, quotes"},
        {"\"exclude\":\"replies\"", "/exclude", "must be a list of texts"},
        {"\"exclude\":[]", "/exclude", "must be a list of texts"},
        {"\"include\":[\"replys\"]", "/include/0", "did you mean \\\"replies\\\"?"},
        {"\"include\":[\"replies\"],\"exclude\":[\"replies\"]", "/include",
         "both included and excluded"},
        {"\"fields\":[\"id\",\"likes\"]", "/fields/1", "did you mean \\\"counts.like\\\"?"},
        {"\"fields\":[\"id\",7]", "/fields", "must be a list of texts"},
        {"\"fields\":[\"counts.followers\"]", "/fields/0", "\"code\":\"unknown\""},
        {"\"since_last\":\"yes\"", "/since_last", "must be true or false"},
        {"\"since-last\":true", "/since-last", "did you mean \\\"since_last\\\"?"},
        {"\"feilds\":[\"id\"]", "/feilds", "did you mean \\\"fields\\\"?"},
    };
    char id[256], path[400], body[400];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(body, sizeof body, "{\"kind\":\"posts\",\"target\":\"@nasa\",%s}",
                 rows[i].option);
        struct reply r = request("POST", "/v1/jobs", "", body);
        char pointer[100];
        snprintf(pointer, sizeof pointer, "\"pointer\":\"%s\"", rows[i].pointer);
        if (r.status / 100 != 4 || !contains(r.body, pointer) ||
            !contains(r.body, rows[i].words))
            fail_msg("%s: %d %.*s", rows[i].option, r.status, SP(r.body));
        drop(&r);
    }
    expect("POST", "/v1/jobs", "",
           "{\"kind\":\"profile\",\"target\":\"@nasa\",\"exclude\":[\"replies\"]}", 422);
    expect("POST", "/v1/jobs", "",
           "{\"kind\":\"profile\",\"target\":\"@nasa\",\"fields\":[\"counts.followers\"]}",
           202);
    expect("POST", "/v1/jobs", "",
           "{\"kind\":\"profile\",\"target\":\"@nasa\",\"since_last\":true}", 422);
    submit(
        "{\"kind\":\"posts\",\"target\":\"@options\",\"since_last\":true,\"exclude\":[\"quotes\",\"replies\"],"
        "\"fields\":[\"text\",\"counts.like\"]}",
        id);
    snprintf(path, sizeof path, "/v1/jobs/%s", id);
    struct reply r = get(path);
    assert_true(contains(r.body, "\"exclude\":[\"replies\",\"quotes\"]"));
    assert_true(contains(r.body, "\"fields\":[\"text\",\"counts.like\"]"));
    assert_true(contains(r.body, "\"since_last\":true"));
    assert_true(contains(r.body, "\"filtered\":0"));
    drop(&r);
}

/* The store has the whole record; what is delivered is what was asked for. */
static void records_are_delivered_with_the_fields_asked_for(void **state)
{
    (void)state;
    char id[256], path[400];
    struct arena *a = arena_new(1 << 20);
    submit("{\"kind\":\"posts\",\"target\":\"@fields\",\"priority\":9,\"fields\":[\"lang\"]}",
           id);
    struct lease l = lease_of(id, a);
    commit_posts(&l, l.next_batch, 0, 3);
    static const struct {
        const char *query, *first;
        int status;
    } rows[] = {
        {"", "{\"id\":\"0\"}\n", 200}, /* of the job: these records have no lang */
        {"?limit=1", "{\"id\":\"0\"}\n", 200},
        {"?fields=*", "{\"id\":\"0\",\"text\":\"post number 0 of a long list of posts\"}\n",
         200},
        {"?fields=text&limit=1",
         "{\"id\":\"0\",\"text\":\"post number 0 of a long list of posts\"}\n", 200},
        {"?fields=id,lang", "{\"id\":\"0\"}\n", 200},
        {"?fields=txt", "did you mean \\\"text\\\"?", 400},
        {"?fields=text,,lang", "fields must be names", 400},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(path, sizeof path, "/v1/jobs/%s/posts%s", id, rows[i].query);
        struct reply r = get(path);
        bool right = r.status == 200 ? span_starts(r.body, span_of(rows[i].first))
                                     : contains(r.body, rows[i].first);
        if (r.status != rows[i].status || !right)
            fail_msg("%s: %d %.*s", rows[i].query, r.status, SP(r.body));
        drop(&r);
    }
    snprintf(path, sizeof path, "/v1/jobs/%s/posts?limit=1&fields=text,lang", id);
    struct reply r = get(path);
    struct span link = header(&r, "Link");
    assert_true(span_find(link, SPAN("&fields=text,lang>")) < link.n);
    drop(&r);
    snprintf(path, sizeof path, "/v1/jobs/%s/unavailable?fields=id", id);
    expect("GET", path, "", "", 400);
    finish(&l, FAILURE_NONE, VERDICT_COMPLETE, "", "");
    arena_free(&a);
}

/* A line a medium, behind the post that it is of; posts without any end no page and no stream. What the worker counted of
 * the fields is part of the result. */
static void media_are_a_list_of_their_own_and_the_result_says_how_full_it_is(void **state)
{
    (void)state;
    char id[256], path[400], text[400];
    struct arena *a = arena_new(1 << 20);
    submit("{\"kind\":\"posts\",\"target\":\"@pictures\",\"priority\":9}", id);
    struct lease l = lease_of(id, a);
    commit_posts(&l, l.next_batch, 0, 300); /* more than a page of the stream, without any */
    struct store_item items[] = {
        {.kind = ITEM_POST,
         .id = SPAN("901"),
         .json = SPAN(
             "{\"id\":\"901\",\"url\":\"https://x.example/a/901\",\"created_at\":\"2026-01-02T03:04:05.000Z\","
             "\"media\":[{\"type\":\"photo\",\"url\":\"https://m.example/1.jpg\",\"alt\":null},"
             "{\"type\":\"video\",\"url\":\"https://m.example/2.mp4\",\"variants\":[{\"bitrate\":1}]}]}")},
        {.kind = ITEM_POST, .id = SPAN("902"), .json = SPAN("{\"id\":\"902\",\"media\":[]}")},
    };
    struct store_op op = {.verb = STORE_COMMIT, .arena = a};
    op.in.commit = (struct commit_args){.id = span_of(id),
                                        .nonce = l.nonce,
                                        .batch = l.next_batch + 1,
                                        .items = items,
                                        .count = 2};
    run_op(&op);
    assert_int_equal(op.result, E_OK);
    static const char two[] =
        "{\"post_id\":\"901\",\"post_url\":\"https://x.example/a/901\",\"created_at\":\"2026-01-02T03:04:05.000Z\","
        "\"index\":0,\"type\":\"photo\",\"url\":\"https://m.example/1.jpg\",\"alt\":null}\n"
        "{\"post_id\":\"901\",\"post_url\":\"https://x.example/a/901\",\"created_at\":\"2026-01-02T03:04:05.000Z\","
        "\"index\":1,\"type\":\"video\",\"url\":\"https://m.example/2.mp4\",\"variants\":[{\"bitrate\":1}]}\n";
    snprintf(path, sizeof path, "/v1/jobs/%s/media", id);
    struct reply r = get(path);
    assert_int_equal(r.status, 200);
    if (!span_is(r.body, two))
        fail_msg("%.*s", SP(r.body));
    drop(&r);
    snprintf(path, sizeof path, "/v1/jobs/%s/media?limit=300", id);
    r = get(path);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body.n, 0);
    struct span link = header(&r, "Link");
    snprintf(text, sizeof text, "/media?after=%.*s&limit=300>", SP(header(&r, "Next-After")));
    assert_true(span_find(link, span_of(text)) < link.n);
    snprintf(path, sizeof path, "/v1/jobs/%s/media?after=%.*s&limit=5", id,
             SP(header(&r, "Next-After")));
    drop(&r);
    r = get(path);
    assert_true(span_is(r.body, two));
    drop(&r);
    expect("GET", "/v1/jobs/job_00000000000000000000000000/media", "", "", 404);
    finish(
        &l, FAILURE_NONE, VERDICT_COMPLETE, "",
        "{\"media\":2,\"quality\":{\"records\":302,\"score\":0.5,\"field_fill\":{\"text\":0.99}}}");
    snprintf(path, sizeof path, "/v1/jobs/%s", id);
    r = get(path);
    assert_string_equal(member(r.body, "result.posts", text), "302");
    assert_string_equal(member(r.body, "result.users", text), "0");
    assert_string_equal(member(r.body, "result.media", text), "2");
    assert_string_equal(member(r.body, "result.complete", text), "true");
    assert_string_equal(member(r.body, "result.quality.field_fill.text", text), "0.99");
    drop(&r);
    arena_free(&a);
}

/* An attempt that had nothing left to bring knows nothing of what others had brought; lists are asked for too often. */
static void what_an_attempt_did_not_count_is_null_and_not_0(void **state)
{
    (void)state;
    char id[256], path[300], text[400];
    struct arena *a = arena_new(1 << 20);
    submit("{\"kind\":\"posts\",\"target\":\"@counted\",\"tenant\":\"counted\",\"priority\":9}",
           id);
    struct lease l = lease_of(id, a);
    commit_posts(&l, l.next_batch, 0, 3);
    finish(&l, FAILURE_NONE, VERDICT_COMPLETE, "",
           "{\"media\":0,\"quality\":{\"records\":0,\"score\":null,\"field_fill\":{}}}");
    snprintf(path, sizeof path, "/v1/jobs/%s", id);
    struct reply r = get(path);
    assert_string_equal(member(r.body, "result.posts", text), "3");
    assert_string_equal(member(r.body, "result.media", text), "null");
    assert_string_equal(member(r.body, "result.quality", text), "null");
    drop(&r);
    r = get("/v1/jobs?tenant=counted");
    assert_true(contains(
        r.body, "\"posts\":3,\"users\":0,\"complete\":true,\"media\":null,\"quality\":null}"));
    drop(&r);
    arena_free(&a);
}

/* The next page is asked for with the same labels. */
static void a_page_leads_to_the_next_one_with_its_labels(void **state)
{
    (void)state;
    char id[256];
    for (int i = 0; i < 2; i++)
        submit("{\"kind\":\"posts\",\"target\":\"@paged\",\"labels\":{\"paged\":\"a b\"}}", id);
    struct reply r = get("/v1/jobs?label.paged=a%20b&limit=1");
    struct span link = header(&r, "Link");
    assert_true(span_find(link, SPAN("&label.paged=a%20b>")) < link.n);
    drop(&r);
}

static int stream_status(void)
{
    struct reply r =
        request("POST", "/v1/jobs/bulk",
                "Content-Type: application/x-ndjson\r\nAccept: application/x-ndjson\r\n",
                "{\"kind\":\"posts\",\"target\":\"@few\"}\n");
    int status = r.status;
    drop(&r);
    return status;
}

static void wait_for_status(int status)
{
    mono deadline = mono_add(clock_mono(), ANSWER_MS);
    while (stream_status() != status)
        assert_false(mono_past(deadline, clock_mono()));
}

/* Their bodies lie in memory: only so many at once, and each makes room when it is gone. */
static void only_so_many_large_bodies_are_read_at_once(void **state)
{
    (void)state;
    static const char head[] =
        "POST /v1/jobs/bulk HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
        "Accept: application/x-ndjson\r\nContent-Length: 30000000\r\n\r\n{";
    int fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = dial();
        assert_int_equal(write(fds[i], head, sizeof head - 1), sizeof head - 1);
    }
    wait_for_status(503);
    close(fds[0]);
    wait_for_status(207);
    for (int i = 1; i < 4; i++)
        close(fds[i]);
    expect("POST", "/v1/jobs/bulk",
           "Content-Type: application/x-ndjson\r\nAccept: application/json\r\n", "{}\n", 207);
}

static void many_orders_are_looked_at_and_none_is_accepted(void **state)
{
    (void)state;
    static const char
        path[] = "/v1/jobs/bulk?dry_run=true",
        list[] = "Content-Type: application/json\r\n",
        lines[] = "Content-Type: application/x-ndjson\r\nAccept: application/x-ndjson\r\n";
    struct reply r =
        request("POST", path, list,
                "[{\"kind\":\"posts\",\"target\":\"@dry\",\"tenant\":\"dry\",\"priority\":7},"
                "{\"kind\":\"posts\",\"target\":\"no name\",\"tenant\":\"dry\"}]");
    assert_int_equal(r.status, 200);
    assert_true(contains(r.body,
                         "{\"object\":\"dry_run\",\"results\":[{\"index\":0,\"status\":202,"
                         "\"lane\":\"dry/x/normal\",\"priority\":7},"
                         "{\"index\":1,\"status\":422,"));
    assert_true(contains(
        r.body, "\"action\":\"create\",\"count\":1,\"count_kind\":\"exact\",\"refused\":1}"));
    drop(&r);
    struct buf orders = BUF(64 * 1024); /* more than a piece */
    for (int i = 0; i < 230; i++)
        buf_fmt(&orders, "{\"kind\":\"posts\",\"target\":\"@d%d\",\"tenant\":\"dry\"}\n", i);
    buf_add_char(&orders, '\0');
    r = request("POST", path, lines, orders.p);
    assert_int_equal(r.status, 200);
    struct span rest = r.body, line = SPAN_NONE;
    for (int i = 0; i < 230; i++)
        assert_true(span_next(&rest, '\n', &line) &&
                    contains(line, "\"lane\":\"dry/x/normal\""));
    assert_true(span_next(&rest, '\n', &line));
    assert_true(span_is(line, "{\"object\":\"dry_run\",\"action\":\"create\",\"count\":230,"
                              "\"count_kind\":\"exact\",\"refused\":0,\"complete\":true}"));
    drop(&r);
    buf_free(&orders);
    assert_int_equal(jobs_of("tenant=dry"), 0);
    expect("POST", "/v1/jobs/bulk?dry_run=perhaps", list, "[]", 400);
    expect("POST", "/v1/jobs/bulk?dry_run=perhaps", lines, "{}\n", 400);
}

static void a_reader_that_does_not_read_is_cut(void **state)
{
    (void)state;
    char id[256];
    struct arena *a = arena_new(1 << 20);
    submit("{\"kind\":\"posts\",\"target\":\"@stalled\",\"priority\":9}", id);
    struct lease l = lease_of(id, a);
    struct arena *big = arena_new(64 << 20);
    char *padding = arena_get(big, 2000);
    memset(padding, 'x', 1999);
    struct store_item *items = arena_get(big, 2000 * sizeof *items);
    for (int batch = 0; batch < 5; batch++) {
        for (int i = 0; i < 2000; i++)
            items[i] = (struct store_item){
                .kind = ITEM_POST,
                .id = span_of(arena_fmt(big, "%s-%d", id, batch * 2000 + i)),
                .json = span_of(arena_fmt(big, "{\"t\":\"%s\"}", padding))};
        struct store_op op = {.verb = STORE_COMMIT, .arena = big};
        op.in.commit = (struct commit_args){.id = span_of(id),
                                            .nonce = l.nonce,
                                            .batch = l.next_batch + batch,
                                            .items = items,
                                            .count = 2000};
        run_op(&op);
        assert_int_equal(op.result, E_OK);
    }
    /* 20 MB are more than the buffers of both sockets: the server waits for us, but not for
     * ever. */
    int fd = dial();
    int small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    struct buf text = BUF(1024);
    buf_fmt(&text, "GET /v1/jobs/%s/posts HTTP/1.1\r\nHost: localhost\r\n\r\n", id);
    put(fd, buf_span(&text));
    struct pollfd gone = {.fd = fd, .events = POLLRDHUP};
    assert_int_equal(poll(&gone, 1, REQUEST_MS + 5000), 1);
    finish(&l, FAILURE_NONE, VERDICT_COMPLETE, "", "");
    buf_free(&text);
    close(fd);
    arena_free(&big);
    arena_free(&a);
}

/* ---- events ---- */

/* Reads the stream until it holds the text, or fails after a while. */
static void read_until(int fd, struct buf *all, const char *what)
{
    mono deadline = mono_add(clock_mono(), ANSWER_MS);
    while (!contains(buf_span(all), what)) {
        if (!readable(fd, mono_left(deadline, clock_mono())))
            fail_msg("%s never came; so far: %.*s", what, SP(buf_span(all)));
        char *room = buf_room(all, 65536);
        assert_non_null(room);
        ssize_t n = recv(fd, room, 65536, 0);
        if (n <= 0)
            fail_msg("the stream ended before %s; so far: %.*s", what, SP(buf_span(all)));
        all->n += (size_t)n;
    }
}

static void events_flow_and_resume_without_loss(void **state)
{
    (void)state;
    char id[256], other[256];
    struct arena *a = arena_new(1 << 20);
    submit("{\"kind\":\"posts\",\"target\":\"@events\",\"priority\":9}", id);

    struct buf text = BUF(1024), all = BUF(ANSWER_BYTES);
    int fd = dial();
    buf_fmt(&text, "GET /v1/events?job=%s&after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n", id);
    put(fd, buf_span(&text));
    read_until(fd, &all, "event: job.accepted");
    assert_true(contains(buf_span(&all), "Content-Type: text/event-stream"));
    assert_true(contains(buf_span(&all), "retry: "));

    submit("{\"kind\":\"posts\",\"target\":\"@others\"}", other); /* not ours: filtered */
    struct lease l = lease_of(id, a);
    commit_posts(&l, l.next_batch, 0, 5);
    read_until(fd, &all, "event: job.progress");
    assert_true(contains(buf_span(&all), "event: job.started"));
    assert_false(contains(buf_span(&all), other));
    close(fd);

    /* While nobody listens it goes on; the last number seen brings the rest. */
    struct span seen = buf_span(&all);
    size_t at = span_find(seen, SPAN("event: job.progress"));
    struct span before = span_cut(seen, 0, at), line, last = SPAN_NONE;
    while (span_next(&before, '\n', &line))
        if (span_starts(line, SPAN("id: ")))
            last = span_trim(span_cut(line, 4, line.n));
    assert_true(last.n > 0);
    finish(&l, FAILURE_NONE, VERDICT_COMPLETE, "", "");
    buf_clear(&text);
    buf_fmt(&text,
            "GET /v1/events?job=%s HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: %.*s\r\n\r\n",
            id, SP(last));
    buf_clear(&all);
    fd = dial();
    put(fd, buf_span(&text));
    read_until(fd, &all, "event: job.finished");
    assert_false(contains(buf_span(&all), "event: job.progress"));
    assert_false(contains(buf_span(&all), "event: job.accepted"));
    close(fd);
    buf_free(&text);
    buf_free(&all);
    arena_free(&a);
}

static void bad_event_positions_are_refused(void **state)
{
    (void)state;
    expect("GET", "/v1/events?after=x", "", NULL, 400);
    expect("GET", "/v1/events", "Last-Event-ID: x\r\n", NULL, 400);
    expect("GET", "/v1/events?job=x", "", NULL, 400);
}

static void clients_that_vanish_leave_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        int fd = dial();
        put(fd, SPAN("GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        struct linger now = {.l_onoff = 1};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(fd);
    }
    for (int i = 0; i < 20; i++) {
        int fd = dial();
        put(fd, SPAN("GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\nGET /livez "
                     "HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        struct reply r = take(fd, false);
        assert_int_equal(r.status, 200);
        drop(&r);
        close(fd);
    }
    expect("GET", "/livez", "", NULL, 200);
}

/* ---- evidence ---- */

static wall collected; /* when the pieces came: old ones would be removed under the test */

static void keep_piece(const struct lease *l, enum evidence_kind kind, struct span headers,
                       struct span body, enum evidence_gap gap)
{
    struct store_op op = {.verb = STORE_EVIDENCE};
    op.in.evidence = (struct evidence_args){.id = span_of(l->id),
                                            .nonce = l->nonce,
                                            .kind = kind,
                                            .gap = gap,
                                            .reason = FAILURE_DRIFT,
                                            .status = 200,
                                            .at_ms = collected.ms,
                                            .strategy = SPAN("capture"),
                                            .name = SPAN("UserTweets"),
                                            .url = SPAN("https://x.com/UserTweets"),
                                            .headers = headers,
                                            .body = body};
    run_op(&op);
    assert_int_equal(op.result, E_OK);
}

static void artifacts_are_listed_and_come_as_downloads(void **state)
{
    (void)state;
    char id[256], path[300], text[256];
    struct arena *a = arena_new(1 << 20);
    collected = clock_wall();
    submit("{\"kind\":\"posts\",\"target\":\"@proof\",\"priority\":9,\"evidence\":\"always\"}",
           id);
    struct lease l = lease_of(id, a);
    assert_true(span_find(l.spec, SPAN("\"evidence\":\"always\"")) < l.spec.n);
    keep_piece(&l, EVIDENCE_RESPONSE, SPAN("{\"Content-Type\":\"text/html; charset=utf-8\"}"),
               SPAN("<script>alert(1)</script>"), GAP_NONE);
    keep_piece(&l, EVIDENCE_RESPONSE, SPAN("{\"content-type\":\"text/html\\r\\nX-Evil: 1\"}"),
               SPAN("two"), GAP_NONE);
    keep_piece(&l, EVIDENCE_SCREENSHOT, SPAN("{}"), SPAN("\xff\xd8\xff"), GAP_NONE);
    keep_piece(&l, EVIDENCE_DOM, SPAN("{}"), SPAN_NONE, GAP_PAGE_SILENT);
    snprintf(path, sizeof path, "/v1/jobs/%s/artifacts", id);
    struct reply r = get(path);
    assert_int_equal(r.status, 200);
    assert_true(contains(r.body, "\"kind\":\"response\"") &&
                contains(r.body, "\"kind\":\"screenshot\""));
    char when[WHEN_TEXT];
    snprintf(text, sizeof text, "\"collected_at\":\"%s\"", when_text_ms(collected, when));
    assert_true(contains(r.body, text));
    assert_true(contains(r.body, "\"reason\":\"drift\""));
    assert_true(contains(r.body, "\"not_kept\":[{\"kind\":\"dom\",\"reason\":\"page_silent\""));
    drop(&r);
    snprintf(path, sizeof path, "/v1/jobs/%s/artifacts/1", id);
    r = get(path);
    assert_int_equal(r.status, 200);
    assert_true(span_is(r.body, "<script>alert(1)</script>"));
    assert_true(span_is(header(&r, "Content-Type"), "text/html"));
    assert_true(
        span_starts(header(&r, "Content-Disposition"), SPAN("attachment; filename=\"job_")));
    assert_true(span_starts(header(&r, "Content-Security-Policy"), SPAN("sandbox")));
    assert_true(span_is(header(&r, "X-Content-Type-Options"), "nosniff"));
    drop(&r);
    snprintf(path, sizeof path, "/v1/jobs/%s/artifacts/2", id);
    r = get(path);
    assert_true(span_is(header(&r, "Content-Type"), "application/octet-stream"));
    assert_false(header(&r, "X-Evil").p);
    drop(&r);
    snprintf(path, sizeof path, "/v1/jobs/%s/artifacts/3", id);
    r = get(path);
    assert_true(span_is(header(&r, "Content-Type"), "image/jpeg"));
    drop(&r);
    finish(&l, FAILURE_NONE, VERDICT_COMPLETE, "", "");
    static const char *const none[] = {"4", "0", "99999999999999999999", "../1", "1/2",
                                       "x", ""};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        snprintf(path, sizeof path, "/v1/jobs/%s/artifacts/%s", id, none[i]);
        expect("GET", path, "", NULL, 404);
    }
    expect("GET", "/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV/artifacts", "", NULL, 404);
    struct reply bad =
        request("POST", "/v1/jobs", "",
                "{\"kind\":\"posts\",\"target\":\"@a\",\"evidence\":\"sometimes\"}");
    assert_int_equal(bad.status, 422);
    assert_true(contains(bad.body, "/evidence"));
    (void)text;
    drop(&bad);
    arena_free(&a);
}

static void a_dead_job_is_repaired_once_and_only_as_it_was_seen(void **state)
{
    (void)state;
    char id[256], path[300], text[256], body[600];
    struct arena *a = arena_new(1 << 20);
    submit("{\"kind\":\"posts\",\"target\":\"@mended\",\"priority\":9}", id);
    struct lease l = lease_of(id, a);
    snprintf(path, sizeof path, "/v1/jobs/%s/repair", id);
    expect("POST", path, "", "{\"revision\":2,\"items\":[]}", 409); /* active */
    finish(&l, FAILURE_DRIFT, VERDICT_NONE, "of a shape we do not know", "");
    snprintf(path, sizeof path, "/v1/jobs/%s", id);
    struct reply r = get(path);
    member(r.body, "revision", text);
    drop(&r);
    snprintf(path, sizeof path, "/v1/jobs/%s/repair", id);
    static const char *const wrong[] = {
        "{\"items\":[]}",
        "{\"revision\":1}",
        "{\"revision\":1,\"items\":{}}",
        "{\"revision\":1,\"items\":[{\"kind\":\"post\",\"id\":\"1\"}]}",
        "{\"revision\":1,\"items\":[{\"kind\":\"thing\",\"id\":\"1\",\"record\":\"{}\"}]}",
        "{\"revision\":1,\"items\":[{\"kind\":\"post\",\"id\":\"1\",\"record\":\"{\\n}\"}]}",
        "{\"revision\":1,\"items\":[{\"kind\":\"post\",\"id\":\"1\",\"record\":\"{no json\"}]}",
        "{\"revision\":1,\"items\":[],\"finish\":{\"verdict\":\"none\"}}",
        "{\"revision\":1,\"items\":[],\"finish\":{\"verdict\":\"partial\",\"report\":\"{\"}}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect("POST", path, "", wrong[i], 422);
    expect("POST", path, "", "[]", 400);
    expect("POST", path, "", "{\"revision\":999,\"items\":[]}", 409);
    snprintf(body, sizeof body,
             "{\"revision\":%s,\"items\":[{\"kind\":\"post\",\"id\":\"1\",\"created_at_ms\":5,"
             "\"record\":\"{\\\"id\\\":\\\"1\\\"}\"}],\"finish\":{\"verdict\":\"partial\","
             "\"end_reason\":\"budget\",\"report\":\"{\\\"pages\\\":1}\"}}",
             text);
    r = request("POST", path, "", body);
    assert_int_equal(r.status, 200);
    assert_string_equal(member(r.body, "state", text), "succeeded");
    assert_string_equal(member(r.body, "verdict", text), "partial");
    assert_string_equal(member(r.body, "end_reason", text), "budget");
    assert_string_equal(member(r.body, "report.pages", text), "1");
    assert_string_equal(member(r.body, "counts.posts", text), "1");
    drop(&r);
    expect("POST", path, "", body, 409);
    snprintf(path, sizeof path, "/v1/jobs/%s/posts", id);
    r = get(path);
    assert_true(span_is(r.body, "{\"id\":\"1\"}\n"));
    drop(&r);
    snprintf(path, sizeof path, "/v1/jobs/%s/log", id);
    r = get(path);
    assert_true(contains(r.body, "\"event\":\"job.repaired\"") &&
                contains(r.body, "\"was\":\"drift\""));
    drop(&r);
    arena_free(&a);
}

/* ---- files of media ---- */

static void an_order_may_ask_for_files(void **state)
{
    (void)state;
    char id[256], text[256];
    submit("{\"kind\":\"posts\",\"target\":\"@nasa\",\"media\":\"download\"}", id);
    char path[300];
    snprintf(path, sizeof path, "/v1/jobs/%s", id);
    struct reply r = get(path);
    assert_string_equal(member(r.body, "options.media", text), "download");
    drop(&r);
    expect("POST", "/v1/jobs", "",
           "{\"kind\":\"posts\",\"target\":\"@nasa\",\"media\":\"urls\"}", 202);
    r = request("POST", "/v1/jobs", "",
                "{\"kind\":\"posts\",\"target\":\"@nasa\",\"media\":\"downlod\"}");
    assert_int_equal(r.status, 422);
    assert_true(contains(r.body, "did you mean \\\"download\\\"?"));
    drop(&r);
    expect("POST", "/v1/jobs", "", "{\"kind\":\"posts\",\"target\":\"@nasa\",\"media\":true}",
           422);
}

/* Keeps a file as a job would; returns its hash. */
static void keep_file(struct span content, char hash[DIGEST_TEXT])
{
    char id[256], path[300];
    struct fault f = {0};
    struct digest sum;
    struct arena *a = arena_new(1 << 20);
    submit("{\"kind\":\"posts\",\"target\":\"@files\",\"media\":\"download\"}", id);
    struct lease l = lease_of(id, a);
    digest_init(&sum);
    digest_add(&sum, content);
    digest_end(&sum, hash);
    snprintf(path, sizeof path, "%s/files/part", server.folder);
    assert_int_equal(files_make_folder(path, 0700, &f), E_OK);
    snprintf(path, sizeof path, "%s/files/part/one", server.folder);
    assert_int_equal(files_write(path, content, &f), E_OK);
    struct store_op op = {.verb = STORE_FILE_PUT};
    op.in.file_put = (struct file_put_args){.id = span_of(l.id),
                                            .nonce = l.nonce,
                                            .url = SPAN("https://pbs.twimg.com/media/A"),
                                            .part = SPAN("one"),
                                            .hash = span_of(hash),
                                            .suffix = SPAN("jpg"),
                                            .mime = SPAN("image/jpeg"),
                                            .bytes = (int64_t)content.n,
                                            .status = 200};
    run_op(&op);
    if (op.result)
        fail_msg("put: %s", op.fault.words);
    arena_free(&a);
}

static void a_file_is_an_attachment_that_never_changes(void **state)
{
    (void)state;
    enum { BYTES = 300000 };
    char *content = heap_get(BYTES), hash[DIGEST_TEXT], path[100], headers[200];
    for (size_t i = 0; i < BYTES; i++)
        content[i] = (char)(i * 7 + i / 251);
    keep_file((struct span){content, BYTES}, hash);
    snprintf(path, sizeof path, "/v1/files/%s", hash);
    struct reply r = get(path);
    assert_int_equal(r.status, 200);
    assert_true(span_eq(r.body, (struct span){content, BYTES}));
    assert_true(span_is(header(&r, "Content-Type"), "image/jpeg"));
    assert_true(contains(header(&r, "Content-Disposition"), "attachment; filename="));
    assert_true(span_is(header(&r, "X-Content-Type-Options"), "nosniff"));
    assert_true(contains(header(&r, "Content-Security-Policy"), "sandbox"));
    assert_true(contains(header(&r, "Cache-Control"), "immutable"));
    assert_true(contains(header(&r, "ETag"), hash));
    drop(&r);
    r = request("GET", path, "Range: bytes=1000-1999\r\n", NULL);
    assert_int_equal(r.status, 206);
    assert_true(span_eq(r.body, (struct span){content + 1000, 1000}));
    assert_true(span_is(header(&r, "Content-Range"), "bytes 1000-1999/300000"));
    drop(&r);
    r = request("GET", path, "Range: bytes=299990-\r\nIf-Range: \"another\"\r\n", NULL);
    assert_int_equal(r.status, 200);
    drop(&r);
    r = request("GET", path, "Range: bytes=300000-\r\n", NULL);
    assert_int_equal(r.status, 416);
    assert_true(span_is(header(&r, "Content-Range"), "bytes */300000"));
    drop(&r);
    snprintf(headers, sizeof headers, "\"%s\"", hash);
    int fd = dial();
    expect_unchanged(fd, "GET", path, headers);
    expect_unchanged(fd, "GET", path, headers);
    close(fd);
    expect("HEAD", path, "", NULL, 200);
    expect("POST", path, "", "{}", 405);
    free(content);
}

static void no_path_leads_to_another_file(void **state)
{
    (void)state;
    expect("GET", "/v1/files/0000000000000000000000000000000000000000000000000000000000000000",
           "", NULL, 404);
    expect("GET", "/v1/files/..%2f..%2ffulmar.db", "", NULL, 404);
    expect("GET", "/v1/files/../fulmar.db", "", NULL, 404);
    expect("GET", "/v1/files/part", "", NULL, 404);
    expect("GET", "/v1/files/", "", NULL, 404);
}

/* ---- the description ---- */

/* Every path of api/openapi.yaml is there with exactly the methods that it lists. */
/* ---- schedules ---- */

#define LATER "\"start_at\":\"2090-01-01\""
#define NASA                                                                                   \
    "\"job\":{\"kind\":\"posts\",\"target\":\"@NASA\",\"since_last\":true,\"limit\":50}"

static struct reply make_schedule(const char *body, int status)
{
    struct reply r = request("POST", "/v1/schedules", "", body);
    if (r.status != status)
        fail_msg("%s: wanted %d, got %d: %.*s", body, status, r.status, SP(r.body));
    return r;
}

static void made(struct reply r)
{
    drop(&r);
}

static void expect_member(struct span json, const char *path, const char *wanted)
{
    char text[256];
    assert_string_equal(member(json, path, text), wanted);
}

static void a_schedule_is_made_shown_listed_changed_and_deleted(void **state)
{
    (void)state;
    char id[256], path[300], tag[64], match[100];
    struct reply r = make_schedule(
        "{\"name\":\"nasa\",\"cron\":\"30 2 * * *\",\"timezone\":\"Europe/Berlin\"," LATER
        "," NASA "}",
        201);
    member(r.body, "id", id);
    assert_true(id_valid(span_of(id), "sch"));
    snprintf(path, sizeof path, "/v1/schedules/%s", id);
    assert_true(span_is(header(&r, "Location"), path));
    expect_member(r.body, "spec.cron", "30 2 * * *");
    expect_member(r.body, "spec.missed", "once");
    expect_member(r.body, "spec.overlap", "skip");
    expect_member(r.body, "spec.job.limit", "50");
    expect_member(r.body, "status.state", "active");
    expect_member(r.body, "status.next_at",
                  "2090-01-01T01:30:00.000Z"); /* half past two in Berlin */
    drop(&r);
    r = get("/v1/schedules/nasa"); /* by its name as well */
    assert_int_equal(r.status, 200);
    expect_member(r.body, "id", id);
    span_copy(header(&r, "ETag"), tag, sizeof tag);
    drop(&r);
    made(make_schedule("{\"name\":\"nasa\",\"interval_s\":60," LATER "," NASA "}", 409));

    /* What is shown as spec is what may be given. */
    const char *change =
        "{\"name\":\"nasa-hourly\",\"interval_s\":3600,\"overlap\":\"queue_one\"," LATER
        "," NASA "}";
    expect("PUT", path, "", change, 428);
    expect("PUT", path, "If-Match: r1\r\n", change, 400);
    expect("PUT", path, "If-Match: \"r7\"\r\n", change, 412);
    snprintf(match, sizeof match, "If-Match: %s\r\n", tag);
    expect("PUT", "/v1/schedules/nasa?dry_run=true", match, change, 200);
    expect("GET", "/v1/schedules/nasa", "", NULL, 200); /* not renamed yet */
    r = request("PUT", path, match, change);
    assert_int_equal(r.status, 200);
    expect_member(r.body, "revision", "2");
    expect_member(r.body, "spec.interval_s", "3600");
    drop(&r);
    expect("GET", "/v1/schedules/nasa", "", NULL, 404);

    made(make_schedule("{\"name\":\"esa\",\"interval_s\":60," LATER "," NASA "}", 201));
    r = get("/v1/schedules?limit=1");
    expect_member(r.body, "page.next_after", "esa");
    assert_true(contains(header(&r, "Link"), "after=esa"));
    drop(&r);
    r = get("/v1/schedules?limit=1&after=esa");
    expect_member(r.body, "page.has_more", "false");
    assert_true(contains(r.body, "nasa-hourly"));
    drop(&r);

    expect("DELETE", "/v1/schedules/esa", "", NULL, 428);
    expect("DELETE", "/v1/schedules/esa?dry_run=true", "If-Match: *\r\n", NULL, 200);
    expect("DELETE", "/v1/schedules/esa", "If-Match: *\r\n", NULL, 204);
    expect("DELETE", "/v1/schedules/esa", "If-Match: *\r\n", NULL, 404);
    expect("DELETE", path, "If-Match: \"r2\"\r\n", NULL, 204);
    expect("GET", path, "", NULL, 404);
    expect("GET", "/v1/schedules/No%20Such", "", NULL, 404);
}

static void a_schedule_is_changed_in_part(void **state)
{
    (void)state;
    const char *path = "/v1/schedules/part", *any = "If-Match: *\r\n";
    made(make_schedule(
        "{\"name\":\"part\",\"cron\":\"30 2 * * *\",\"timezone\":\"Europe/Berlin\",\"jitter_s\":30," LATER
        "," NASA "}",
        201));
    expect("PATCH", path, "", "{\"jitter_s\":7}", 428);
    expect("PATCH", path, "If-Match: \"r9\"\r\n", "{\"jitter_s\":7}", 412);
    expect("PATCH", "/v1/schedules/nobody", any, "{\"jitter_s\":7}", 404);
    expect("PATCH", path, any, "[]", 400);
    expect("PATCH", path, any, "{\"jiter_s\":7}", 400);
    expect("PATCH", path, any, "{\"jitter_s\":-7}", 422);
    expect("PATCH", path, any, "{\"interval_s\":60}",
           422); /* it has cron: they exclude each other */
    expect("PATCH", path, any, "{\"job\":{\"limt\":7}}", 400);
    struct reply r = request(
        "PATCH", path, "If-Match: \"r1\"\r\nContent-Type: application/merge-patch+json\r\n",
        "{\"jitter_s\":null,\"job\":{\"limit\":7},\"overlap\":\"allow\"}");
    assert_int_equal(r.status, 200);
    expect_member(r.body, "revision", "2");
    expect_member(r.body, "spec.cron", "30 2 * * *");
    expect_member(r.body, "spec.timezone", "Europe/Berlin");
    expect_member(r.body, "spec.jitter_s", "null");
    expect_member(r.body, "spec.overlap", "allow");
    expect_member(r.body, "spec.job.limit", "7");
    expect_member(r.body, "spec.job.target", "@NASA");
    expect_member(r.body, "spec.job.since_last", "true");
    expect_member(r.body, "status.next_at", "2090-01-01T01:30:00.000Z");
    drop(&r);
    r = request("PATCH", "/v1/schedules/part?dry_run=true", any,
                "{\"cron\":null,\"timezone\":null,\"interval_s\":60}");
    assert_int_equal(r.status, 200);
    expect_member(r.body, "spec.interval_s", "60");
    drop(&r);
    r = get(path);
    expect_member(r.body, "spec.cron", "30 2 * * *");
    expect_member(r.body, "revision", "2");
    drop(&r);
    expect("DELETE", path, any, NULL, 204);
}

static void mistakes_in_a_schedule_are_named_with_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int status;
        const char *pointer;
        const char *words;
    } rows[] = {
        {"{}", 422, "/name", "short name"},
        {"[]", 400, NULL, "object"},
        {"{\"name\":\"a\",\"intervall_s\":60," NASA "}", 400, "/intervall_s", "interval_s"},
        {"{\"name\":\"a\",\"interval_s\":60,\"interval_s\":60," NASA "}", 400, "/interval_s",
         "2 times"},
        {"{\"name\":\"Nasa!\",\"interval_s\":60," NASA "}", 422, "/name", "a-z"},
        {"{\"name\":\"preview\",\"interval_s\":60," NASA "}", 422, "/name", "a-z"},
        {"{\"name\":\"a\"," NASA "}", 422, "/interval_s", "one of"},
        {"{\"name\":\"a\",\"interval_s\":0," NASA "}", 422, "/interval_s", "1 to"},
        {"{\"name\":\"a\",\"cron\":\"61 * * * *\"," NASA "}", 422, "/cron", "minute"},
        {"{\"name\":\"a\",\"cron\":\"0 0 30 2 *\"," NASA "}", 422, "/cron", "no such time"},
        {"{\"name\":\"a\",\"cron\":\"@daily\",\"timezone\":\"Europe/Berln\"," NASA "}", 422,
         "/timezone", "Berln"},
        {"{\"name\":\"a\",\"interval_s\":60,\"timezone\":\"UTC\"," NASA "}", 422, "/timezone",
         "cron"},
        {"{\"name\":\"a\",\"cron\":\"@daily\",\"interval_s\":60," NASA "}", 422, "/cron",
         "exclude"},
        {"{\"name\":\"a\",\"interval_s\":60,\"overlap\":\"queue-one\"," NASA "}", 422,
         "/overlap", "queue_one"},
        {"{\"name\":\"a\",\"interval_s\":60,\"missed\":7," NASA "}", 422, "/missed",
         "must be a text such as"},
        {"{\"name\":\"a\",\"interval_s\":60,\"start_at\":\"soon\"," NASA "}", 422, "/start_at",
         "RFC 3339"},
        {"{\"name\":\"a\",\"adaptive\":{\"least\":60}," NASA "}", 400, "/adaptive/least",
         "least_s"},
        {"{\"name\":\"a\",\"adaptive\":{\"least_s\":60,\"most_s\":6}," NASA "}", 422,
         "/adaptive/most_s", "below"},
        {"{\"name\":\"a\",\"interval_s\":60}", 422, "/job", "each run"},
        {"{\"name\":\"a\",\"interval_s\":60,\"job\":{\"kind\":\"posts\",\"target\":\"@nasa\",\"limt\":5}}",
         400, "/job/limt", "limit"},
        {"{\"name\":\"a\",\"interval_s\":60,\"job\":{\"kind\":\"posts\",\"target\":\"a b c\"}}",
         422, "/job/target", ""},
        {"{\"name\":\"a\",\"adaptive\":{},\"job\":{\"kind\":\"posts\",\"target\":\"@nasa\"}}",
         422, "/job/since_last", "since_last"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char pointer[100];
        struct reply r = make_schedule(rows[i].body, rows[i].status);
        snprintf(pointer, sizeof pointer, "\"pointer\":\"%s\"",
                 rows[i].pointer ? rows[i].pointer : "");
        if ((rows[i].pointer && !contains(r.body, pointer)) || !contains(r.body, rows[i].words))
            fail_msg("%s: %.*s", rows[i].body, SP(r.body));
        drop(&r);
    }
    expect("POST", "/v1/schedules?dry_run=yes", "", "{}", 400);
    expect("POST", "/v1/schedules?dryrun=true", "", "{}", 400);
}

static void a_preview_shows_both_sides_of_a_clock_change(void **state)
{
    (void)state;
    struct reply r = request(
        "POST", "/v1/schedules/preview", "",
        "{\"cron\":\"30 2 * * *\",\"timezone\":\"Europe/Berlin\",\"from\":\"2026-10-24\",\"count\":3}");
    assert_int_equal(r.status, 200);
    static const char *const days[] = {
        "{\"at\":\"2026-10-24T00:30:00.000Z\",\"local\":\"2026-10-24T02:30:00\",\"utc_offset\":\"+02:00\"}",
        "{\"at\":\"2026-10-25T00:30:00.000Z\",\"local\":\"2026-10-25T02:30:00\",\"utc_offset\":\"+02:00\"}",
        "{\"at\":\"2026-10-26T01:30:00.000Z\",\"local\":\"2026-10-26T02:30:00\",\"utc_offset\":\"+01:00\"}",
    };
    for (int i = 0; i < 3; i++)
        if (!contains(r.body, days[i]))
            fail_msg("%s is not in %.*s", days[i], SP(r.body));
    drop(&r);
    r = request(
        "POST", "/v1/schedules/preview", "",
        "{\"cron\":\"30 2 * * *\",\"timezone\":\"Europe/Berlin\",\"from\":\"2026-03-29\",\"count\":1}");
    assert_true(contains(
        r.body, "\"local\":\"2026-03-29T03:00:00\",\"utc_offset\":\"+02:00\"")); /* the gap */
    drop(&r);
    r = request("POST", "/v1/schedules/preview", "",
                "{\"interval_s\":60,\"from\":\"2026-03-29\"}");
    assert_true(contains(r.body, "2026-03-29T00:00:00.000Z") &&
                contains(r.body, "2026-03-29T00:09:00.000Z") &&
                !contains(r.body, "2026-03-29T00:10:00.000Z"));
    drop(&r);
    expect("POST", "/v1/schedules/preview", "", "{\"interval_s\":60,\"count\":101}", 422);
}

static void a_schedule_is_paused_resumed_triggered_and_filled_up(void **state)
{
    (void)state;
    char job[256], again[256];
    made(make_schedule("{\"name\":\"fill\",\"cron\":\"0 0 1 1 *\"," NASA "}", 201));
    struct reply r = request("POST", "/v1/schedules/fill/pause", "",
                             "{\"reason\":\"too loud\",\"by\":\"ann\"}");
    assert_int_equal(r.status, 200);
    expect_member(r.body, "status.state", "paused");
    expect_member(r.body, "status.paused.reason", "too loud");
    expect_member(r.body, "status.paused.by", "ann");
    expect_member(r.body, "status.next_at", "null");
    drop(&r);
    expect("POST", "/v1/schedules/fill/pause", "", "{\"why\":\"x\"}", 400);
    r = request("POST", "/v1/schedules/fill/trigger", "", NULL);
    assert_int_equal(r.status, 202);
    member(r.body, "job", job);
    assert_true(span_ends(header(&r, "Location"), span_of(job)));
    drop(&r);
    r = request("POST", "/v1/schedules/fill/trigger", "", NULL); /* it is not over yet */
    assert_int_equal(r.status, 409);
    assert_true(contains(r.body, job));
    drop(&r);
    r = request("POST", "/v1/schedules/fill/resume", "", NULL);
    expect_member(r.body, "status.state", "active");
    assert_true(contains(r.body, "-01-01T00:00:00.000Z"));
    drop(&r);

    const char *span = "{\"from\":\"2019-06-01\",\"to\":\"2022-06-01\"}";
    r = request("POST", "/v1/schedules/fill/backfill?dry_run=true", "", span);
    expect_member(r.body, "made", "3");
    drop(&r);
    r = request("POST", "/v1/schedules/fill/backfill", "", span);
    assert_int_equal(r.status, 202);
    expect_member(r.body, "made", "3");
    drop(&r);
    r = request("POST", "/v1/schedules/fill/backfill", "", span);
    expect_member(r.body, "made", "0");
    expect_member(r.body, "known", "3");
    drop(&r);
    expect("POST", "/v1/schedules/fill/backfill", "",
           "{\"from\":\"2019-06-01\",\"to\":\"2090-06-01\"}", 422);
    expect("POST", "/v1/schedules/fill/backfill", "", "{}", 422);

    r = get("/v1/schedules/fill/runs?limit=3");
    expect_member(r.body, "page.has_more", "true");
    assert_true(contains(r.body, "\"cause\":\"backfill\",\"state\":\"live\""));
    member(r.body, "page.next_after", again);
    drop(&r);
    char path[300];
    snprintf(path, sizeof path, "/v1/schedules/fill/runs?limit=3&after=%s", again);
    r = get(path);
    expect_member(r.body, "page.has_more", "false");
    assert_true(contains(r.body, "\"cause\":\"trigger\"") && contains(r.body, job));
    drop(&r);
    expect("DELETE", "/v1/schedules/fill", "If-Match: *\r\n", NULL, 204);
    expect("GET", "/v1/schedules/fill/runs", "", NULL, 404);
    snprintf(path, sizeof path, "/v1/jobs/%s", job); /* its jobs are there */
    expect("GET", path, "", NULL, 200);
}

/* The job's id by which it is found, once the loop's timer fired. */
static void wait_for(const char *path, const char *what)
{
    mono deadline = mono_add(clock_mono(), ANSWER_MS);
    for (;;) {
        struct reply r = get(path);
        bool there = contains(r.body, what);
        if (!there && mono_past(deadline, clock_mono()))
            fail_msg("%s never says %s: %.*s", path, what, SP(r.body));
        drop(&r);
        if (there)
            return;
        poll(NULL, 0, 5);
    }
}

static void a_schedule_fires_when_it_is_due_and_hears_of_the_end(void **state)
{
    (void)state;
    char job[256];
    struct arena *a = arena_new(1 << 20);
    mono began = clock_mono();
    made(make_schedule(
        "{\"name\":\"soon\",\"interval_s\":1,\"overlap\":\"queue_one\"," NASA "}", 201));
    wait_for("/v1/schedules/soon", "\"fired\":1"); /* the first at once, */
    struct reply r = get("/v1/schedules/soon");
    member(r.body, "status.last_job", job);
    drop(&r);
    struct lease l = lease_of(job, a);
    wait_for("/v1/schedules/soon",
             "\"pending\":1"); /* the second a second later, and it waits */
    assert_true(clock_mono().ms - began.ms >= 900);
    commit_posts(&l, 0, 0, 3);
    finish(&l, FAILURE_NONE, VERDICT_COMPLETE, "", "");
    wait_for("/v1/schedules/soon", "\"fired\":2"); /* no slot is waited for */
    wait_for("/v1/schedules/soon", "\"last_found\":3");
    expect("DELETE", "/v1/schedules/soon", "If-Match: *\r\n", NULL, 204);
    arena_free(&a);
}

/* ---- waiting ---- */

static int send_waiting(const char *method, const char *path, const char *headers,
                        const char *body)
{
    struct buf text = BUF(BODY_MAX * 4);
    int fd = dial();
    buf_fmt(&text, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s", method, path,
            headers);
    if (body)
        buf_fmt(&text, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                strlen(body));
    buf_fmt(&text, "\r\n%s", body ? body : "");
    put(fd, buf_span(&text));
    buf_free(&text);
    return fd;
}

static void newest_job(char id[256])
{
    struct reply r = get("/v1/jobs?limit=1");
    size_t at = span_find(r.body, SPAN("\"id\":\""));
    span_copy(span_cut(r.body, at + 6, 30), id, 256);
    drop(&r);
}

static void a_request_that_waits_for_the_start_is_answered_then(void **state)
{
    (void)state;
    char id[256], path[300], text[256];
    struct arena *a = arena_new(1 << 20);
    submit("{\"kind\":\"posts\",\"target\":\"@starts\",\"priority\":9}", id);
    snprintf(path, sizeof path, "/v1/jobs/%s?wait_for=running", id);
    int fd = send_waiting("GET", path, "Prefer: wait=30\r\n", NULL);
    assert_false(readable(fd, 200));
    struct lease l = lease_of(id, a);
    struct reply r = take(fd, false);
    assert_int_equal(r.status, 200);
    assert_string_equal(member(r.body, "state", text), "active");
    assert_true(span_is(header(&r, "Preference-Applied"), "wait=30"));
    drop(&r);
    close(fd);
    finish(&l, FAILURE_NONE, VERDICT_EMPTY_CONFIRMED, "", "");
    snprintf(path, sizeof path, "/v1/jobs/%s?wait_for=never", id);
    expect("GET", path, "", NULL, 400);
    arena_free(&a);
}

/* Longer than any other request may take: who waits is not late. */
static void a_request_that_waits_is_answered_when_the_job_ends(void **state)
{
    (void)state;
    char id[256], path[300], text[256];
    struct arena *a = arena_new(1 << 20);
    submit("{\"kind\":\"posts\",\"target\":\"@waited\",\"priority\":9}", id);
    snprintf(path, sizeof path, "/v1/jobs/%s", id);
    int fd = send_waiting("GET", path, "Prefer: respond-async, wait=3600\r\n", NULL);
    assert_false(readable(fd, REQUEST_MS + 300));
    struct lease l = lease_of(id, a); /* an event that is no end */
    assert_false(readable(fd, 200));
    mono began = clock_mono();
    finish(&l, FAILURE_NONE, VERDICT_EMPTY_CONFIRMED, "", "");
    struct reply r = take(fd, false);
    assert_true(clock_mono().ms - began.ms < 5000);
    assert_int_equal(r.status, 200);
    assert_string_equal(member(r.body, "state", text), "succeeded");
    assert_true(span_is(header(&r, "Preference-Applied"), "wait=60"));
    assert_true(header(&r, "ETag").n > 0);
    drop(&r);
    close(fd);
    r = request("GET", path, "Prefer: wait=30\r\n", NULL); /* there is nothing to wait for */
    assert_int_equal(r.status, 200);
    drop(&r);
    arena_free(&a);
}

static void a_request_that_waited_long_enough_says_how_it_is(void **state)
{
    (void)state;
    char id[256], path[300], text[256];
    submit("{\"kind\":\"posts\",\"target\":\"@slow\",\"not_before\":\"2099-01-01\"}", id);
    snprintf(path, sizeof path, "/v1/jobs/%s", id);
    mono began = clock_mono();
    struct reply r = request("GET", path, "Prefer: wait=1\r\n", NULL);
    assert_true(clock_mono().ms - began.ms >= 1000);
    assert_int_equal(r.status, 200);
    assert_string_equal(member(r.body, "state", text), "scheduled");
    assert_true(span_is(header(&r, "Preference-Applied"), "wait=1"));
    drop(&r);
    static const char *const not_waits[] = {"Prefer: wait=0\r\n", "Prefer: wait=soon\r\n",
                                            "Prefer: wait\r\n", "Prefer: return=minimal\r\n"};
    for (size_t i = 0; i < sizeof not_waits / sizeof *not_waits; i++) {
        r = request("GET", path, not_waits[i], NULL);
        assert_int_equal(r.status, 200);
        assert_false(header(&r, "Preference-Applied").n);
        drop(&r);
    }
    expect("GET", "/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV", "Prefer: wait=30\r\n", NULL, 404);
    snprintf(path, sizeof path, "/v1/jobs/%s/result", id);
    r = get(path);
    assert_int_equal(r.status, 409);
    assert_true(contains(r.body, "Prefer: wait"));
    drop(&r);
}

static void who_submits_may_wait_for_the_end(void **state)
{
    (void)state;
    char id[256], path[300], where[300], text[256];
    struct arena *a = arena_new(1 << 20);
    const char *body = "{\"kind\":\"posts\",\"target\":\"@posted\",\"priority\":9}";
    int fd = send_waiting("POST", "/v1/jobs", "Prefer: wait=30\r\n", body);
    assert_false(readable(fd, 200));
    newest_job(id);
    struct lease l = lease_of(id, a);
    commit_posts(&l, 0, 0, 2);
    finish(&l, FAILURE_NONE, VERDICT_COMPLETE, "", "");
    struct reply r = take(fd, false);
    assert_int_equal(r.status, 200);
    assert_string_equal(member(r.body, "state", text), "succeeded");
    assert_true(span_ends(header(&r, "Location"), span_of(id)));
    assert_true(span_is(header(&r, "Preference-Applied"), "wait=30"));
    drop(&r);
    close(fd);
    r = request("POST", "/v1/jobs", "Prefer: wait=1\r\n", body);
    assert_int_equal(r.status, 202);
    assert_true(span_is(header(&r, "Preference-Applied"), "wait=1"));
    drop(&r);
    snprintf(path, sizeof path, "/v1/jobs/%s/result", id);
    r = get(path);
    assert_int_equal(r.status, 303);
    snprintf(where, sizeof where, "/v1/jobs/%s/posts", id);
    assert_true(span_is(header(&r, "Location"), where));
    assert_true(span_is(header(&r, "Job-State"), "succeeded"));
    drop(&r);
    arena_free(&a);
}

/* It ends and is deleted while a client waits for it: the client hears that it ended, or that it is gone. */
static void who_waits_for_a_job_that_goes_is_answered(void **state)
{
    (void)state;
    char id[256], path[300], result[300], cancel[300], text[256];
    for (int i = 0; i < 5; i++) {
        submit("{\"kind\":\"posts\",\"target\":\"@going\",\"coalesce\":false}", id);
        snprintf(path, sizeof path, "/v1/jobs/%s", id);
        snprintf(result, sizeof result, "/v1/jobs/%s/result", id);
        snprintf(cancel, sizeof cancel, "/v1/jobs/%s/cancel", id);
        int job = send_waiting("GET", path, "Prefer: wait=30\r\n", NULL);
        int records = send_waiting("GET", result, "Prefer: wait=30\r\n", NULL);
        expect("POST", cancel, "", NULL, 200);
        expect("DELETE", path, "", NULL, 204);
        struct reply r = take(job, false);
        assert_true(r.status == 404 || (r.status == 200 && strcmp(member(r.body, "state", text),
                                                                  "cancelled") == 0));
        drop(&r);
        r = take(records, false);
        assert_int_equal(r.status, 404);
        drop(&r);
        close(job);
        close(records);
    }
}

static void a_result_is_where_the_records_are(void **state)
{
    (void)state;
    char id[256], path[300], where[300];
    struct arena *a = arena_new(1 << 20);
    submit("{\"kind\":\"followers\",\"target\":\"@nasa\",\"priority\":9}", id);
    snprintf(path, sizeof path, "/v1/jobs/%s/result", id);
    struct lease l = lease_of(id, a);
    int fd = send_waiting("GET", path, "Prefer: wait=30\r\n", NULL);
    assert_false(readable(fd, 200));
    finish(&l, FAILURE_NONE, VERDICT_EMPTY_CONFIRMED, "", "");
    struct reply r = take(fd, false);
    assert_int_equal(r.status, 303);
    snprintf(where, sizeof where, "/v1/jobs/%s/users", id);
    assert_true(span_is(header(&r, "Location"), where));
    drop(&r);
    close(fd);
    submit("{\"kind\":\"posts\",\"target\":\"@nothing\"}", id);
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id);
    expect("POST", path, "", NULL, 200);
    snprintf(path, sizeof path, "/v1/jobs/%s/result", id);
    expect("GET", path, "", NULL, 404);
    expect("GET", "/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV/result", "", NULL, 404);
    arena_free(&a);
}

static void a_batch_is_waited_for_too(void **state)
{
    (void)state;
    char batch[256], id[256], path[300], text[256];
    struct arena *a = arena_new(1 << 20);
    struct reply r =
        request("POST", "/v1/batches", "Idempotency-Key: wait-1\r\n",
                "{\"jobs\":[{\"kind\":\"posts\",\"target\":\"@in_it\",\"priority\":9}]}");
    assert_int_equal(r.status, 202);
    member(r.body, "id", batch);
    drop(&r);
    newest_job(id);
    snprintf(path, sizeof path, "/v1/batches/%s", batch);
    int fd = send_waiting("GET", path, "Prefer: wait=30\r\n", NULL);
    assert_false(readable(fd, 200));
    struct lease l = lease_of(id, a);
    finish(&l, FAILURE_NONE, VERDICT_EMPTY_CONFIRMED, "", "");
    r = take(fd, false);
    assert_int_equal(r.status, 200);
    assert_string_equal(member(r.body, "state", text), "success");
    assert_true(span_is(header(&r, "Preference-Applied"), "wait=30"));
    drop(&r);
    close(fd);
    arena_free(&a);
}

/* Who went away while it waited is forgotten; those who stay are answered. */
static void waiters_that_vanish_leave_nothing(void **state)
{
    (void)state;
    char id[256], path[300], text[256];
    int fds[20];
    submit("{\"kind\":\"posts\",\"target\":\"@left\",\"not_before\":\"2099-01-01\"}", id);
    snprintf(path, sizeof path, "/v1/jobs/%s", id);
    for (int i = 0; i < 20; i++)
        fds[i] = send_waiting("GET", path, "Prefer: wait=30\r\n", NULL);
    assert_false(readable(fds[19], 200));
    for (int i = 0; i < 19; i++)
        close(fds[i]);
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id);
    expect("POST", path, "", NULL, 200);
    struct reply r = take(fds[19], false);
    assert_string_equal(member(r.body, "state", text), "cancelled");
    drop(&r);
    close(fds[19]);
}

/* ---- ids of clients, reruns, attempts ---- */

static void workers_and_browsers_say_what_they_do(void **state)
{
    (void)state;
    char text[256];
    struct reply r = get("/v1/workers");
    assert_int_equal(r.status, 200);
    assert_true(contains(
        r.body, "\"number\":1,\"state\":\"idle\",\"hold\":null,\"pid\":77,\"jobs_served\":3,"
                "\"job\":null,\"attempt\":null,\"step\":null"));
    drop(&r);
    r = get("/v1/workers/2");
    assert_string_equal(member(r.body, "job", text), "job_01ARZ3NDEKTSV4RRFFQ69G5FAV");
    assert_string_equal(member(r.body, "step", text), "goto");
    assert_string_equal(member(r.body, "running_ms", text), "1500");
    assert_string_equal(member(r.body, "has_page", text), "true");
    drop(&r);
    expect("GET", "/v1/workers/3", "", NULL, 404);
    expect("POST", "/v1/workers", "", "{}", 405);
    r = get("/v1/browsers");
    assert_true(contains(
        r.body,
        "\"number\":1,\"state\":\"ready\",\"pid\":99,\"pages\":1,\"jobs\":12,\"launches\":3,"
        "\"age_s\":65,\"pss_bytes\":null,\"recycle_reason\":null,\"probe\":{"
        "\"ok\":true,\"misses\":0,\"latency_ms\":12,\"last_ok_at\":\"20"));
    drop(&r);
    r = get("/v1/browsers/1");
    assert_string_equal(member(r.body, "probe.ok", text), "true");
    drop(&r);
    expect("GET", "/v1/browsers/2", "", NULL, 404);
}

/* It is answered when the worker has said it, and without it when that takes too long. */
static void a_dump_waits_for_the_stack_of_its_worker(void **state)
{
    (void)state;
    server.stack_slow = 5;
    struct reply r = request("POST", "/v1/workers/2/dump", "", "");
    assert_int_equal(r.status, 200);
    assert_true(contains(r.body,
                         "\"stack\":[\"poll+0x4f in libc.so.6\",\"channel_next+0x111\"],"
                         "\"stack_missing\":null,"));
    drop(&r);
    server.stack_slow = INT_MAX;
    int64_t began = clock_mono().ms;
    int left = dial(); /* goes away while it waits */
    put(left, SPAN("POST /v1/workers/2/dump HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                   "0\r\n\r\n"));
    assert_false(readable(left, 50));
    close(left);
    r = request("POST", "/v1/workers/2/dump", "", "");
    assert_int_equal(r.status, 200);
    assert_true(
        contains(r.body, "\"stack\":null,\"stack_missing\":\"it did not answer within"));
    assert_true(clock_mono().ms - began < 3000);
    server.stack_slow = 0;
    drop(&r);
}

static void workers_are_told_what_is_wanted_of_them(void **state)
{
    (void)state;
    char text[256];
    static const struct {
        const char *path;
        enum api_act act;
    } acts[] = {{"/v1/workers/2/quiet", ACT_QUIET},
                {"/v1/workers/1/stop", ACT_STOP},
                {"/v1/workers/2/kill", ACT_KILL}};
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        expect("POST", acts[i].path, "", i ? "" : "{\"reason\":\"drill\"}", 200);
        assert_int_equal(server.acts[acts[i].act], acts[i].path[12] - '0');
    }
    expect("POST", "/v1/workers/2/resume", "", "", 409);
    expect("POST", "/v1/workers/3/quiet", "", "", 404);
    expect("POST", "/v1/workers/none/quiet", "", "", 404);
    expect("POST", "/v1/workers/2/quiet", "", "{\"reson\":\"x\"}", 400);
    expect("GET", "/v1/workers/2/quiet", "", NULL, 405);
    struct reply r = request("POST", "/v1/workers/2/dump", "", "");
    assert_int_equal(r.status, 200);
    assert_string_equal(member(r.body, "worker.job", text), "job_01ARZ3NDEKTSV4RRFFQ69G5FAV");
    assert_string_equal(member(r.body, "process.cpu_ms", text), "1200");
    assert_string_equal(member(r.body, "progress.records", text), "60");
    assert_string_equal(member(r.body, "progress.requests", text), "9");
    assert_string_equal(member(r.body, "page.target", text), "T1");
    assert_true(contains(r.body, "\"context\":null"));
    assert_true(contains(r.body, "\"cpu_ms\":7,\"peak_pss_bytes\":null"));
    assert_true(contains(r.body, "\"waits_for\":[\"store\"]"));
    drop(&r);
    r = request("POST", "/v1/workers/1/dump", "", "");
    assert_true(contains(r.body,
                         "\"process\":null,\"stack\":null,\"stack_missing\":\"it has no "
                         "process\",\"progress\":null,\"page\":null"));
    drop(&r);
    r = request("POST", "/v1/workers/scale", "", "{\"count\":3,\"reason\":\"drill\"}");
    assert_int_equal(r.status, 200);
    assert_string_equal(member(r.body, "count", text), "3");
    assert_string_equal(member(r.body, "desired", text), "4");
    assert_true(contains(r.body, "\"leases\":[{\"worker\":2,\"hold\":null,\"job\":\"job_"));
    drop(&r);
    expect("GET", "/v1/workers/scale", "", NULL, 200);
    expect("POST", "/v1/workers/scale", "", "{\"count\":5}", 422);
    expect("POST", "/v1/workers/scale", "", "{\"count\":-1}", 422);
    expect("POST", "/v1/workers/scale", "", "{}", 422);
    expect("POST", "/v1/browsers/1/recycle", "", "", 202);
    expect("POST", "/v1/browsers/2/recycle", "", "", 404);
}

static void a_client_may_choose_the_id(void **state)
{
    (void)state;
    char text[256];
    const char *path = "/v1/jobs/job_01BX5ZZKBKACTAV9WEVGEMMVS0";
    const char *body = "{\"kind\":\"posts\",\"target\":\"@chosen\"}";
    struct reply r = request("PUT", path, "", body);
    assert_int_equal(r.status, 202);
    assert_string_equal(member(r.body, "id", text), path + 9);
    assert_true(span_is(header(&r, "Location"), path));
    drop(&r);
    r = request("PUT", path, "", body); /* the answer was lost: once more */
    assert_int_equal(r.status, 200);
    assert_true(span_is(header(&r, "Idempotency-Replayed"), "true"));
    assert_string_equal(member(r.body, "id", text), path + 9);
    drop(&r);
    r = request("PUT", path, "", "{\"kind\":\"posts\",\"target\":\"@another\"}");
    assert_int_equal(r.status, 409);
    assert_string_equal(member(r.body, "code", text), "conflict_state");
    drop(&r);
    r = request("PUT", path, "If-None-Match: *\r\n", body);
    assert_int_equal(r.status, 412);
    assert_string_equal(member(r.body, "code", text), "precondition_failed");
    drop(&r);
    /* of an id that a POST made */
    char made[256], put[300];
    submit(body, made);
    snprintf(put, sizeof put, "/v1/jobs/%s", made);
    expect("PUT", put, "", body, 409);
    expect("PUT", put, "If-None-Match: *\r\n", body, 412);
    expect("PUT", "/v1/jobs/job_01BX5ZZKBKACTAV9WEVGEMMVS1", "If-None-Match: *\r\n", body, 202);
    expect("PUT", "/v1/jobs/job_01BX5ZZKBKACTAV9WEVGEMMVS2", "If-None-Match: \"r1\"\r\n", body,
           400);
    expect("PUT", "/v1/jobs/job_01BX5ZZKBKACTAV9WEVGEMMVS2", "Idempotency-Key: k\r\n", body,
           400);
    expect("PUT", "/v1/jobs/mine", "", body, 404);
    expect("PUT", "/v1/jobs/job_01BX5ZZKBKACTAV9WEVGEMMVS2", "", "{\"kind\":\"posts\"}", 422);
}

static void a_unique_key_holds_for_chosen_ids_too(void **state)
{
    (void)state;
    char first[256], text[256];
    const char *body =
        "{\"kind\":\"posts\",\"target\":\"@keyed\",\"unique\":{\"key\":\"put\"}}";
    submit(body, first);
    struct reply r = request("PUT", "/v1/jobs/job_01BX5ZZKBKACTAV9WEVGEMMVS3", "", body);
    assert_int_equal(r.status, 200);
    assert_true(span_is(header(&r, "Unique-Match"), first));
    assert_string_equal(member(r.body, "id", text), first);
    drop(&r);
    r = request(
        "PUT", "/v1/jobs/job_01BX5ZZKBKACTAV9WEVGEMMVS3", "",
        "{\"kind\":\"posts\",\"target\":\"@keyed\",\"unique\":{\"key\":\"put\",\"on_conflict\":"
        "\"reject\"}}");
    assert_int_equal(r.status, 409);
    assert_string_equal(member(r.body, "code", text), "unique_conflict");
    assert_true(contains(r.body, first));
    drop(&r);
}

static void a_job_is_run_again_as_a_new_one(void **state)
{
    (void)state;
    char first[256], second[256], path[300], text[256];
    submit(
        "{\"kind\":\"search\",\"target\":\"heat pump lang:en\",\"limit\":7,\"product\":\"top\","
        "\"priority\":3,\"class\":\"bulk\",\"tenant\":\"press\",\"fields\":[\"text\"],"
        "\"since\":\"2026-02-01\",\"not_before\":\"2099-01-01\"}",
        first);
    snprintf(path, sizeof path, "/v1/jobs/%s/rerun", first);
    struct reply r = request("POST", path, "", NULL);
    assert_int_equal(r.status, 202);
    member(r.body, "id", second);
    assert_string_not_equal(first, second);
    assert_true(span_ends(header(&r, "Location"), span_of(second)));
    static const char *const members[][2] = {{"kind", "search"},
                                             {"target", "heat pump lang:en"},
                                             {"limit", "7"},
                                             {"options.product", "top"},
                                             {"priority", "3"},
                                             {"lane", "press/x/bulk"},
                                             {"options.fields", "[\"text\"]"},
                                             {"options.since", "2026-02-01T00:00:00Z"},
                                             {"state", "ready"},
                                             {"options.rerun_of", NULL}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        assert_string_equal(member(r.body, members[i][0], text),
                            members[i][1] ? members[i][1] : first);
    drop(&r);
    r = request("POST", path, "Idempotency-Key: again-1\r\n",
                "{\"limit\":null,\"priority\":8}");
    assert_int_equal(r.status, 202);
    assert_string_equal(member(r.body, "limit", text), "null");
    assert_string_equal(member(r.body, "priority", text), "8");
    member(r.body, "id", first);
    drop(&r);
    r = request("POST", path, "Idempotency-Key: again-1\r\n",
                "{\"limit\":null,\"priority\":8}");
    assert_string_equal(member(r.body, "id", text), first);
    assert_true(span_is(header(&r, "Idempotency-Replayed"), "true"));
    drop(&r);
    expect("POST", path, "", "{\"limit\":0}", 422);
    expect("POST", path, "", "[]", 400);
    expect("POST", path, "", "{\"limmit\":3}", 400);
    expect("POST", "/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV/rerun", "", NULL, 404);
    /* of a rerun: what it repeats is that one */
    snprintf(path, sizeof path, "/v1/jobs/%s/rerun", second);
    r = request("POST", path, "", NULL);
    assert_string_equal(member(r.body, "options.rerun_of", text), second);
    drop(&r);
    expect("POST", "/v1/jobs", "", "{\"kind\":\"posts\",\"target\":\"@a\",\"rerun_of\":\"me\"}",
           422);
}

static void attempts_say_what_became_of_each(void **state)
{
    (void)state;
    char id[256], path[300], text[256];
    struct arena *a = arena_new(1 << 20);
    submit("{\"kind\":\"posts\",\"target\":\"@attempted\",\"tenant\":\"again\"}", id);
    snprintf(path, sizeof path, "/v1/jobs/%s/attempts", id);
    struct reply r = get(path);
    assert_string_equal(member(r.body, "data", text), "[]");
    drop(&r);
    struct lease l = lease_of(id, a);
    commit_posts(&l, 0, 0, 3);
    finish(&l, FAILURE_NETWORK, VERDICT_NONE, "the line was cut", "");
    r = get(path);
    assert_true(contains(r.body, "\"number\":1,\"state\":\"retrying\",\"worker\":\"test\""));
    assert_true(contains(r.body, "\"batches\":1,\"added\":3"));
    assert_true(contains(r.body, "\"failure\":\"network\",\"why\":\"the line was cut\""));
    assert_false(contains(r.body, "\"retry_in_ms\":null"));
    drop(&r);
    snprintf(text, sizeof text, "/v1/jobs/%.40s", id);
    expect("PATCH", text, "", "{\"not_before\":null}", 200);
    l = lease_of(id, a);
    r = get(path);
    assert_true(contains(r.body, "\"number\":2,\"state\":\"active\",\"worker\":\"test\""));
    drop(&r);
    finish(&l, FAILURE_NONE, VERDICT_COMPLETE, "", "");
    snprintf(path, sizeof path, "/v1/jobs/%s/attempts?limit=1", id);
    r = get(path);
    assert_string_equal(member(r.body, "page.next_after", text), "1");
    drop(&r);
    snprintf(path, sizeof path, "/v1/jobs/%s/attempts?after=1", id);
    r = get(path);
    assert_true(contains(r.body, "\"number\":2,\"state\":\"finished\""));
    assert_false(contains(r.body, "\"number\":1"));
    drop(&r);
    snprintf(path, sizeof path, "/v1/jobs/%s/attempts/2", id);
    r = get(path);
    assert_string_equal(member(r.body, "verdict", text), "complete");
    drop(&r);
    snprintf(path, sizeof path, "/v1/jobs/%s/attempts/3", id);
    expect("GET", path, "", NULL, 404);
    expect("GET", "/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV/attempts", "", NULL, 404);
    arena_free(&a);
}

static void events_of_a_job_come_as_a_list_or_a_stream(void **state)
{
    (void)state;
    char id[256], path[600], text[256];
    submit("{\"kind\":\"posts\",\"target\":\"@told\"}", id);
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id);
    expect("POST", path, "", NULL, 200);
    snprintf(path, sizeof path, "/v1/jobs/%s/events", id);
    struct reply r = get(path);
    assert_int_equal(r.status, 200);
    assert_true(contains(r.body, "job.accepted") && contains(r.body, "job.cancelled"));
    assert_string_equal(member(r.body, "page.has_more", text), "false");
    drop(&r);
    snprintf(path, sizeof path, "/v1/jobs/%s/events?limit=1", id);
    r = get(path);
    assert_true(contains(r.body, "job.accepted") && !contains(r.body, "job.cancelled"));
    member(r.body, "page.next_after", text);
    drop(&r);
    snprintf(path, sizeof path, "/v1/jobs/%s/events?after=%s", id, text);
    r = get(path);
    assert_true(!contains(r.body, "job.accepted") && contains(r.body, "job.cancelled"));
    drop(&r);
    snprintf(path, sizeof path, "/v1/jobs/%s/events", id);
    int fd = send_waiting("GET", path, "Accept: text/event-stream\r\n", NULL);
    r = take(fd, true);
    assert_true(span_starts(header(&r, "Content-Type"), SPAN("text/event-stream")));
    drop(&r);
    close(fd);
    expect("GET", "/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV/events", "", NULL, 404);
    expect("GET", "/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV/events",
           "Accept: text/event-stream\r\n", NULL, 404);
}

static void the_description_is_what_is_served(void **state)
{
    (void)state;
    struct arena *a = arena_new(16 << 20);
    struct buf text = BUF(1 << 20);
    struct ynode *root;
    struct fault f = {0};
    assert_int_equal(files_read(AT_FDCWD, "api/openapi.yaml", 1 << 20, &text, &f), E_OK);
    if (yaml_parse(a, "openapi.yaml", buf_span(&text), &root, &f))
        fail_msg("%s", f.words);
    const struct ynode *paths = ynode_find(root, "paths");
    assert_non_null(paths);
    assert_true(paths->count >= 12);
    for (const struct ynode *p = paths->first; p; p = p->next) {
        static const char *const holes[][2] = {
            {"{id}", "job_01ARZ3NDEKTSV4RRFFQ69G5FAV"},
            {"{n}", "1"},
            {"{number}", "1"},
            {"{batch}", "bat_01ARZ3NDEKTSV4RRFFQ69G5FAV"},
            {"{operation}", "opr_01ARZ3NDEKTSV4RRFFQ69G5FAV"},
            {"{tenant}", "default"},
            {"{site}", "x"},
            {"{class}", "normal"},
            {"{name}", "x"},
            {"{sha256}", "00"}};
        static const char *const words[][2] = {{"post", "POST"},
                                               {"get", "GET, HEAD"},
                                               {"put", "PUT"},
                                               {"patch", "PATCH"},
                                               {"delete", "DELETE"}};
        char path[200], methods[64] = "";
        span_copy(p->key, path, sizeof path);
        for (size_t i = 0; i < sizeof holes / sizeof *holes; i++) {
            char with[200];
            struct span at = span_of(path), hole = span_of(holes[i][0]);
            size_t where = span_find(at, hole);
            if (where == at.n)
                continue;
            snprintf(with, sizeof with, "%.*s%s%.*s", SP(span_cut(at, 0, where)), holes[i][1],
                     SP(span_cut(at, where + hole.n, at.n)));
            snprintf(path, sizeof path, "%s", with);
        }
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (ynode_find(p, words[i][0]))
                snprintf(methods + strlen(methods), sizeof methods - strlen(methods), "%s%s",
                         methods[0] ? ", " : "", words[i][1]);
        struct reply r = request("OPTIONS", path, "", NULL);
        if (r.status != 405 || !span_is(header(&r, "Allow"), methods))
            fail_msg("%s: described as %s, served as %.*s (%d)", path, methods,
                     SP(header(&r, "Allow")), r.status);
        drop(&r);
    }
    buf_free(&text);
    arena_free(&a);
}

/* ---- last: no more jobs ---- */

static void use_request_ms(int64_t ms)
{
    server.request_ms = ms;
    on_loop(start_anew, NULL);
}

/* An open stream of orders that says the same again and again. How long it lasted. */
static int64_t stream_until_cut(struct span text, int each_ms)
{
    mono begun = clock_mono(), late = mono_add(begun, ANSWER_MS);
    int fd = dial();
    put(fd, SPAN("POST /v1/jobs/bulk HTTP/1.1\r\nHost: localhost\r\n"
                 "Content-Type: application/x-ndjson\r\nAccept: application/x-ndjson\r\n"
                 "Content-Length: 30000000\r\n\r\n"));
    while (!readable(fd, each_ms)) {
        assert_false(mono_past(late, clock_mono()));
        put(fd, text);
    }
    close(fd);
    return clock_mono().ms - begun.ms;
}

/* Blank lines are no orders, and bring no time. Orders that are refused do, but not for ever. */
static void a_stream_ends_whatever_it_says(void **state)
{
    (void)state;
    enum { PIECE = 100, BLANK_MS = 400, REFUSED_MS = 80 };
    struct buf blank = BUF(1024), refused = BUF(1024);
    for (int i = 0; i < PIECE; i++) {
        buf_add_char(&blank, '\n');
        buf_add_text(&refused, "x\n");
    }
    use_request_ms(BLANK_MS);
    assert_true(stream_until_cut(buf_span(&blank), 20) < 10 * BLANK_MS);
    use_request_ms(REFUSED_MS);
    stream_until_cut(buf_span(&refused), 20);
    use_request_ms(REQUEST_MS);
    buf_free(&blank);
    buf_free(&refused);
}

/* Chunked, so that nobody knows before. What was accepted is told, instead of a refusal that hides it. */
static void a_stream_that_becomes_too_large_says_what_it_accepted(void **state)
{
    (void)state;
    enum { LINES = 150, PIECE = 100, CHUNK = 1 << 16, TOO_MANY = (32 << 20) / CHUNK };
    struct buf orders = BUF(32 * 1024), head = BUF(1024), chunk = BUF(CHUNK + 16);
    use_request_ms(ANSWER_MS);
    for (int i = 0; i < LINES; i++)
        buf_fmt(&orders, "{\"kind\":\"posts\",\"target\":\"@g%d\",\"tenant\":\"great\"}\n", i);
    buf_fmt(&head,
            "POST /v1/jobs/bulk HTTP/1.1\r\nHost: localhost\r\n"
            "Content-Type: application/x-ndjson\r\nAccept: application/x-ndjson\r\n"
            "Transfer-Encoding: chunked\r\n\r\n%zx\r\n",
            orders.n);
    buf_fmt(&chunk, "%x\r\n", CHUNK);
    for (int i = 0; i < CHUNK; i++)
        buf_add_char(&chunk, ' ');
    buf_add_text(&chunk, "\r\n");
    int fd = dial();
    put(fd, buf_span(&head));
    put(fd, buf_span(&orders));
    put(fd, SPAN("\r\n"));
    for (int i = 0; i < TOO_MANY; i++)
        put(fd, buf_span(&chunk));
    put(fd, SPAN("0\r\n\r\n"));
    struct reply r = take(fd, false);
    assert_int_equal(r.status, 207);
    struct span rest = r.body, line = SPAN_NONE;
    for (int i = 0; i < PIECE; i++)
        assert_true(span_next(&rest, '\n', &line) && contains(line, "\"status\":202"));
    assert_true(span_next(&rest, '\n', &line) && !rest.n);
    assert_true(span_starts(line, SPAN("{\"object\":\"bulk\",\"accepted\":100,\"refused\":0,"
                                       "\"complete\":false,\"code\":\"too_many\"")));
    drop(&r);
    close(fd);
    use_request_ms(REQUEST_MS);
    assert_int_equal(jobs_of("tenant=great"), PIECE);
    buf_free(&orders);
    buf_free(&head);
    buf_free(&chunk);
}

static void drain_api(struct task *t)
{
    api_drain(server.api);
    task_done(t);
}

static void a_draining_service_accepts_nothing_and_still_answers(void **state)
{
    (void)state;
    int stream = dial(); /* an open stream must not keep the service from stopping */
    put(stream, SPAN("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    struct reply open = take(stream, true);
    assert_int_equal(open.status, 200);
    drop(&open);
    char id[256], path[300];
    submit("{\"kind\":\"posts\",\"target\":\"@late\",\"not_before\":\"2099-01-01\"}", id);
    snprintf(path, sizeof path, "/v1/jobs/%s", id);
    int waits = send_waiting("GET", path, "Prefer: wait=60\r\n", NULL);
    assert_false(readable(waits, 200));
    on_loop(drain_api, NULL);
    open = take(waits, false); /* nobody is kept waiting by a service that stops */
    assert_int_equal(open.status, 200);
    drop(&open);
    close(waits);
    struct reply r =
        request("POST", "/v1/jobs", "", "{\"kind\":\"posts\",\"target\":\"@nasa\"}");
    assert_int_equal(r.status, 503);
    assert_true(header(&r, "Retry-After").n > 0);
    drop(&r);
    expect("GET", "/readyz", "", NULL, 503);
    expect("GET", "/v1/jobs", "", NULL, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_host_or_two_hosts_are_400),
        cmocka_unit_test(content_length_with_chunked_is_400_and_closes),
        cmocka_unit_test(two_content_lengths_are_400_and_close),
        cmocka_unit_test(signed_content_lengths_are_400),
        cmocka_unit_test(a_coding_other_than_chunked_is_400),
        cmocka_unit_test(space_before_the_colon_is_400),
        cmocka_unit_test(a_nul_or_a_fold_in_the_head_is_400),
        cmocka_unit_test(ordinary_heads_are_not_refused),
        cmocka_unit_test(sixty_four_kilobytes_of_headers_are_431),
        cmocka_unit_test(a_trickled_head_is_cut_at_the_head_deadline),
        cmocka_unit_test(what_came_in_time_is_answered_though_the_service_was_late),
        cmocka_unit_test(a_trickled_body_is_cut_at_the_body_deadline),
        cmocka_unit_test(a_body_over_the_limit_is_413_before_it_is_read),
        cmocka_unit_test(a_chunked_body_over_the_limit_is_413),
        cmocka_unit_test(an_unknown_method_is_405_with_allow),
        cmocka_unit_test(idle_connections_do_not_slow_livez),
        cmocka_unit_test(foreign_hosts_and_origins_are_refused),
        cmocka_unit_test(the_unix_socket_takes_any_host),
        cmocka_unit_test(unknown_paths_and_parameters_are_problems),
        cmocka_unit_test(the_request_id_is_kept_when_it_is_sane),
        cmocka_unit_test(health_says_what_is),
        cmocka_unit_test(head_has_no_body),
        cmocka_unit_test(a_job_is_accepted_shown_and_listed),
        cmocka_unit_test(products_and_depths_are_checked),
        cmocka_unit_test(mistakes_in_a_body_are_named),
        cmocka_unit_test(a_key_makes_a_request_repeatable),
        cmocka_unit_test(orders_of_a_stream_are_accepted_while_they_come),
        cmocka_unit_test(what_the_client_has_is_not_sent_again),
        cmocka_unit_test(every_answer_that_has_a_tag_knows_it_again),
        cmocka_unit_test(
            an_answer_without_its_body_tells_its_length_and_the_connection_goes_on),
        cmocka_unit_test(every_answer_says_the_mode_that_is_not_normal),
        cmocka_unit_test(cancelling_follows_the_state),
        cmocka_unit_test(a_cancel_by_force_is_at_once_and_says_why),
        cmocka_unit_test(an_order_says_whose_it_is_and_when),
        cmocka_unit_test(equal_work_is_shared_and_an_answer_used_again),
        cmocka_unit_test(a_failed_job_is_200_and_explains_itself),
        cmocka_unit_test(posts_come_whole_or_in_pages),
        cmocka_unit_test(options_of_a_job_are_checked_and_shown),
        cmocka_unit_test(records_are_delivered_with_the_fields_asked_for),
        cmocka_unit_test(media_are_a_list_of_their_own_and_the_result_says_how_full_it_is),
        cmocka_unit_test(what_an_attempt_did_not_count_is_null_and_not_0),
        cmocka_unit_test(a_page_leads_to_the_next_one_with_its_labels),
        cmocka_unit_test(only_so_many_large_bodies_are_read_at_once),
        cmocka_unit_test(many_orders_are_looked_at_and_none_is_accepted),
        cmocka_unit_test(a_reader_that_does_not_read_is_cut),
        cmocka_unit_test(events_flow_and_resume_without_loss),
        cmocka_unit_test(bad_event_positions_are_refused),
        cmocka_unit_test(clients_that_vanish_leave_nothing),
        cmocka_unit_test(artifacts_are_listed_and_come_as_downloads),
        cmocka_unit_test(a_dead_job_is_repaired_once_and_only_as_it_was_seen),
        cmocka_unit_test(an_order_may_ask_for_files),
        cmocka_unit_test(a_file_is_an_attachment_that_never_changes),
        cmocka_unit_test(no_path_leads_to_another_file),
        cmocka_unit_test(a_schedule_is_made_shown_listed_changed_and_deleted),
        cmocka_unit_test(a_schedule_is_changed_in_part),
        cmocka_unit_test(mistakes_in_a_schedule_are_named_with_their_place),
        cmocka_unit_test(a_preview_shows_both_sides_of_a_clock_change),
        cmocka_unit_test(a_schedule_is_paused_resumed_triggered_and_filled_up),
        cmocka_unit_test(a_schedule_fires_when_it_is_due_and_hears_of_the_end),
        cmocka_unit_test(a_request_that_waits_for_the_start_is_answered_then),
        cmocka_unit_test(a_request_that_waits_is_answered_when_the_job_ends),
        cmocka_unit_test(a_request_that_waited_long_enough_says_how_it_is),
        cmocka_unit_test(who_submits_may_wait_for_the_end),
        cmocka_unit_test(who_waits_for_a_job_that_goes_is_answered),
        cmocka_unit_test(a_result_is_where_the_records_are),
        cmocka_unit_test(a_batch_is_waited_for_too),
        cmocka_unit_test(waiters_that_vanish_leave_nothing),
        cmocka_unit_test(workers_and_browsers_say_what_they_do),
        cmocka_unit_test(a_dump_waits_for_the_stack_of_its_worker),
        cmocka_unit_test(workers_are_told_what_is_wanted_of_them),
        cmocka_unit_test(a_client_may_choose_the_id),
        cmocka_unit_test(a_unique_key_holds_for_chosen_ids_too),
        cmocka_unit_test(a_job_is_run_again_as_a_new_one),
        cmocka_unit_test(attempts_say_what_became_of_each),
        cmocka_unit_test(events_of_a_job_come_as_a_list_or_a_stream),
        cmocka_unit_test(the_description_is_what_is_served),
        cmocka_unit_test(a_stream_ends_whatever_it_says),
        cmocka_unit_test(a_stream_that_becomes_too_large_says_what_it_accepted),
        cmocka_unit_test(a_draining_service_accepts_nothing_and_still_answers),
    };
    return cmocka_run_group_tests(tests, group_start, group_stop);
}
