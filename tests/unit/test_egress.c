/* A real egress process, clients on loopback, a small origin and a small name server as
 * threads. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include "base/arena.h"
#include "net/egress.h"
#include "net/proxyhead.h"
#include "os/clock.h"
#include "os/files.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { BIG = 3 << 20, ANSWER_MAX = 8 << 20 };

static int listen_local(uint16_t *out_port, int type)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    *out_port = ntohs(a.sin_port);
    return fd;
}

static bool send_all(int fd, struct span s)
{
    while (s.n > 0) {
        ssize_t put = send(fd, s.p, s.n, MSG_NOSIGNAL);
        if (put <= 0)
            return false;
        s = span_cut(s, (size_t)put, SIZE_MAX);
    }
    return true;
}

static void read_all(int fd, struct buf *out)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 10000) == 1) {
        char *room = buf_room(out, 4096);
        ssize_t got = room ? recv(fd, room, 4096, 0) : 0;
        if (got <= 0)
            return;
        out->n += (size_t)got;
    }
    fprintf(stderr, "nothing came for 10 s\n");
}

/* ---- the origin: a thread per connection, like the world outside ---- */

static int origin_fd;
static uint16_t origin_port;

static void answer_big(int fd)
{
    char *bytes = heap_get(BIG);
    for (size_t i = 0; i < BIG; i++)
        bytes[i] = (char)('a' + i % 23);
    send_all(fd, SPAN("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"));
    send_all(fd, (struct span){bytes, BIG});
    free(bytes);
}

/* Sends back what it received once the whole body (given by /echo/N) is there. */
static void answer_echo(int fd, struct buf *seen)
{
    size_t head = span_find(buf_span(seen), SPAN("\r\n\r\n")) + 4;
    size_t body = (size_t)atol(seen->p + strlen("POST /echo/"));
    while (seen->n < head + body) {
        char *room = buf_room(seen, 4096);
        ssize_t got = recv(fd, room, 4096, 0);
        if (got <= 0)
            return;
        seen->n += (size_t)got;
    }
    send_all(fd, SPAN("HTTP/1.1 200 OK\r\n\r\n"));
    send_all(fd, buf_span(seen));
}

static void echo_raw(int fd, struct buf *seen)
{
    send_all(fd, buf_span(seen));
    char bytes[4096];
    for (ssize_t got; (got = recv(fd, bytes, sizeof bytes, 0)) > 0;)
        send_all(fd, (struct span){bytes, (size_t)got});
    send_all(fd, SPAN("bye")); /* after the half-close of the other side */
}

/* Connections that the other side has closed as well; shared with the process of the world outside. */
static atomic_int *origin_ended;

static void *origin_serve(void *ctx)
{
    int fd = (int)(intptr_t)ctx;
    struct buf seen = BUF(ANSWER_MAX);
    char byte;
    while (!span_ends(buf_span(&seen), SPAN("\r\n\r\n")) &&
           !span_starts(buf_span(&seen), SPAN("raw"))) {
        if (recv(fd, &byte, 1, 0) <= 0)
            break;
        buf_add_char(&seen, byte);
    }
    struct span head = buf_span(&seen);
    if (span_starts(head, SPAN("GET /big "))) {
        answer_big(fd);
    } else if (span_starts(head, SPAN("GET /never "))) {
        while (recv(fd, &byte, 1, 0) > 0)
            ;
    } else if (span_starts(head, SPAN("GET /cut "))) {
    } else if (span_starts(head, SPAN("POST /echo/"))) {
        answer_echo(fd, &seen);
    } else if (span_starts(head, SPAN("raw"))) {
        echo_raw(fd, &seen);
    } else if (head.n > 0) {
        send_all(fd, SPAN("HTTP/1.1 200 OK\r\nX-Seen: yes\r\n\r\n"));
        send_all(fd, head);
    }
    shutdown(fd, SHUT_WR);
    while (recv(fd, &byte, 1, 0) > 0)
        ;
    close(fd);
    ++*origin_ended;
    buf_free(&seen);
    return NULL;
}

static void *origin_run(void *ctx)
{
    (void)ctx;
    for (;;) {
        int fd = accept4(origin_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL;
        pthread_t thread;
        if (pthread_create(&thread, NULL, origin_serve, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
    }
}

/* ---- a name server: good.test → 127.0.0.1, mixed.test → public and private, else no such name
 * ---- */

static int dns_fd;
static uint16_t dns_port;

static size_t dns_record(unsigned char *at, const unsigned char ip[4])
{
    const unsigned char head[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4};
    memcpy(at, head, sizeof head);
    memcpy(at + sizeof head, ip, 4);
    return sizeof head + 4;
}

static void *dns_run(void *ctx)
{
    (void)ctx;
    for (;;) {
        unsigned char m[512];
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t n = recvfrom(dns_fd, m, 300, 0, (struct sockaddr *)&from, &size);
        if (n <= 0)
            return NULL;
        size_t end = 12;
        while (end < (size_t)n && m[end])
            end += m[end] + 1U;
        bool a_record = m[end + 2] == 1;
        end += 5;
        struct span name = {(const char *)m + 13, 4};
        if (span_is(name, "hang"))
            continue;
        bool known = span_is(name, "good") || span_is(name, "mixe");
        m[2] = 0x81;
        m[3] = known ? 0x80 : 0x83;
        m[7] = 0;
        memset(m + 8, 0, 4);
        if (known && a_record) {
            end += dns_record(m + end, (const unsigned char[]){127, 0, 0, 1});
            m[7] = 1;
        }
        if (span_is(name, "mixe") && a_record) {
            end += dns_record(m + end, (const unsigned char[]){8, 8, 8, 8});
            m[7] = 2;
        }
        sendto(dns_fd, m, end, 0, (struct sockaddr *)&from, size);
    }
}

/* ---- the process under test ---- */

struct world {
    pid_t pid;
    int control, listener, life_read, life_write;
    uint16_t port;
};

static void wait_hello(int control)
{
    struct pollfd p = {.fd = control, .events = POLLIN};
    char text[16];
    size_t n, count;
    int fds[4];
    assert_int_equal(poll(&p, 1, 10000), 1);
    assert_int_equal(files_receive_fds(control, text, sizeof text, &n, fds, &count), E_OK);
    assert_true(span_is((struct span){text, n}, "hello"));
}

static void world_open(struct world *w, const struct egress_config *config)
{
    int control[2], life[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), 0);
    assert_int_equal(pipe2(life, O_CLOEXEC), 0);
    w->listener = listen_local(&w->port, SOCK_STREAM);
    fflush(NULL);
    w->pid = fork();
    if (w->pid == 0) {
        close(control[0]);
        close(life[1]);
        int null_fd = open("/dev/null", O_WRONLY);
        dup2(null_fd, 2);
        _exit(egress_run(config, control[1]));
    }
    close(control[1]);
    w->control = control[0];
    w->life_read = life[0];
    w->life_write = life[1];
    wait_hello(w->control);
    assert_int_equal(egress_give(w->control, w->listener, w->life_read, NULL), E_OK);
}

static void world_close(struct world *w)
{
    int status = -1;
    close(w->control);
    assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    close(w->listener);
    close(w->life_read);
    if (w->life_write >= 0)
        close(w->life_write);
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void ask(const struct world *w, struct buf *out, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void ask(const struct world *w, struct buf *out, const char *fmt, ...)
{
    struct buf text = BUF(100 * 1024);
    va_list ap;
    va_start(ap, fmt);
    buf_vfmt(&text, fmt, ap);
    va_end(ap);
    int fd = connect_to(w->port);
    send_all(fd, buf_span(&text));
    buf_clear(out);
    read_all(fd, out);
    close(fd);
    buf_free(&text);
}

static bool has(const struct buf *b, const char *text)
{
    return span_find(buf_span(b), span_of(text)) < b->n;
}

static void expect(const struct buf *b, const char *start, const char *inside)
{
    if (!span_starts(buf_span(b), span_of(start)) || !has(b, inside))
        fail_msg("expected \"%s\" with \"%s\", got \"%.*s\"", start, inside,
                 SP(span_cut(buf_span(b), 0, 600)));
}

static char allowed_text[32];
static struct span allowed[3];
static char dns_text[32];

static struct egress_config permissive(void)
{
    return (struct egress_config){.allow = allowed,
                                  .allow_count = 3,
                                  .connect_timeout_ms = 700,
                                  .idle_timeout_ms = 700,
                                  .dns = span_of(dns_text)};
}

static void forwards(void **state)
{
    (void)state;
    struct world w;
    struct egress_config config = permissive();
    world_open(&w, &config);
    struct buf b = BUF(ANSWER_MAX);
    ask(&w, &b,
        "GET http://127.0.0.1:%u/a?b=1 HTTP/1.1\r\nHost: other.example\r\nProxy-Connection: "
        "keep-alive\r\nAccept: x\r\n"
        "Connection: keep-alive, X-Mine\r\nX-Mine: 1\r\n\r\n",
        origin_port);
    expect(&b, "HTTP/1.1 200 OK\r\nX-Seen", "\r\n\r\nGET /a?b=1 HTTP/1.1\r\nHost: 127.0.0.1:");
    expect(&b, "HTTP", "Accept: x\r\nConnection: close\r\n\r\n");
    assert_false(has(&b, "other.example") || has(&b, "Proxy-") || has(&b, "X-Mine"));
    ask(&w, &b, "GET http://fulmar.internal/probe HTTP/1.1\r\n\r\n");
    expect(&b, "HTTP/1.1 200", "<title>fulmar probe</title>");
    ask(&w, &b, "GET http://127.0.0.1:%u/big HTTP/1.1\r\n\r\n", origin_port);
    assert_true(b.n > BIG);
    for (size_t i = 0; i < BIG; i += 997)
        assert_int_equal(b.p[b.n - BIG + i], 'a' + i % 23);
    buf_free(&b);
    world_close(&w);
}

/* A body longer than every buffer on the way; what follows it never reaches the host. */
static void forwards_bodies(void **state)
{
    (void)state;
    struct world w;
    struct egress_config config = permissive();
    world_open(&w, &config);
    struct buf b = BUF(ANSWER_MAX), text = BUF(ANSWER_MAX);
    enum { BODY = 600000 };
    buf_fmt(&text, "POST http://127.0.0.1:%u/echo/%d HTTP/1.1\r\nContent-Length: %d\r\n\r\n",
            origin_port, BODY, BODY);
    for (size_t i = 0; i < BODY; i++)
        buf_add_char(&text, (char)('A' + i % 19));
    buf_add_text(&text, "GET http://10.0.0.1/smuggled HTTP/1.1\r\n\r\n");
    int fd = connect_to(w.port);
    assert_true(send_all(fd, buf_span(&text)));
    read_all(fd, &b);
    close(fd);
    assert_true(b.n > BODY);
    assert_int_equal(b.p[b.n - 1], 'A' + (BODY - 1) % 19);
    assert_false(has(&b, "smuggled"));
    ask(&w, &b,
        "POST http://127.0.0.1:%u/echo/15 HTTP/1.1\r\nTransfer-Encoding: "
        "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /x",
        origin_port);
    expect(&b, "HTTP/1.1 200", "\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    assert_false(has(&b, "GET /x"));
    buf_free(&b);
    buf_free(&text);
    world_close(&w);
}

static void tunnels(void **state)
{
    (void)state;
    struct world w;
    struct egress_config config = permissive();
    world_open(&w, &config);
    struct buf b = BUF(ANSWER_MAX);
    int fd = connect_to(w.port);
    char text[200];
    snprintf(text, sizeof text, "CONNECT 127.0.0.1:%u HTTP/1.1\r\nHost: x\r\n\r\n",
             origin_port);
    send_all(fd, span_of(text));
    const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    assert_int_equal(recv(fd, text, sizeof established - 1, MSG_WAITALL),
                     sizeof established - 1);
    assert_memory_equal(text, established, sizeof established - 1);
    send_all(fd, SPAN("raw bytes"));
    assert_int_equal(recv(fd, text, 9, MSG_WAITALL), 9);
    assert_memory_equal(text, "raw bytes", 9);
    shutdown(fd, SHUT_WR); /* the other direction lives on */
    read_all(fd, &b);
    assert_true(span_is(buf_span(&b), "bye"));
    close(fd);
    buf_free(&b);
    world_close(&w);
}

/* A client keeps a tunnel for later; a site that has closed its end is not held on to for that. */
static void lets_go_of_a_site_that_ended(void **state)
{
    (void)state;
    struct world w;
    struct egress_config config = permissive();
    world_open(&w, &config);
    struct buf b = BUF(ANSWER_MAX);
    int fd = connect_to(w.port), before = *origin_ended;
    char text[200];
    snprintf(text, sizeof text, "CONNECT 127.0.0.1:%u HTTP/1.1\r\nHost: x\r\n\r\n",
             origin_port);
    send_all(fd, span_of(text));
    send_all(fd, SPAN("GET /kept HTTP/1.1\r\n\r\n"));
    read_all(fd, &b);
    assert_true(has(&b, "X-Seen: yes"));
    for (int i = 0; i < 1000 && *origin_ended == before; i++)
        usleep(5000);
    assert_true(*origin_ended > before); /* while fd is still open */
    close(fd);
    buf_free(&b);
    world_close(&w);
}

static void denies(void **state)
{
    (void)state;
    static const char *const private_hosts[] = {
        "127.0.0.1",   "2130706433",      "0x7f.1",     "0177.0.0.1",
        "127.1",       "localhost",       "[::1]",      "[::ffff:127.0.0.1]",
        "10.0.0.1",    "169.254.169.254", "0",          "127.0.0.1.",
        "192.168.1.1", "[fe80::1]",       "mixed.test", "good.test",
    };
    struct world w;
    struct egress_config config = permissive();
    config.allow_count = 0;
    world_open(&w, &config);
    struct buf b = BUF(ANSWER_MAX);
    for (size_t i = 0; i < sizeof private_hosts / sizeof *private_hosts; i++) {
        ask(&w, &b, "GET http://%s/ HTTP/1.1\r\n\r\n", private_hosts[i]);
        expect(&b, "HTTP/1.1 403 ", "Fulmar-Reason: private-address\r\n");
        ask(&w, &b, "CONNECT %s:443 HTTP/1.1\r\n\r\n", private_hosts[i]);
        expect(&b, "HTTP/1.1 403 ", "Fulmar-Reason: private-address\r\n");
    }
    ask(&w, &b, "CONNECT 8.8.8.8:25 HTTP/1.1\r\n\r\n");
    expect(&b, "HTTP/1.1 403 ", "Fulmar-Reason: port\r\n");
    ask(&w, &b, "GET http://nowhere.test/ HTTP/1.1\r\n\r\n");
    expect(&b, "HTTP/1.1 502 ", "Fulmar-Reason: no-such-name\r\n");
    buf_free(&b);
    world_close(&w);
}

/* Egress has heard what was sent before: it answers in order. */
static void wait_pong(int control)
{
    struct pollfd p = {.fd = control, .events = POLLIN};
    char text[16];
    size_t n, count;
    int fds[4];
    assert_int_equal(egress_ping(control), E_OK);
    assert_int_equal(poll(&p, 1, 10000), 1);
    assert_int_equal(files_receive_fds(control, text, sizeof text, &n, fds, &count), E_OK);
    assert_true(span_is((struct span){text, n}, "pong"));
}

static void hosts_that_are_told(void **state)
{
    (void)state;
    struct world w;
    struct egress_config config = permissive();
    config.hosts_told = true;
    world_open(&w, &config);
    struct buf b = BUF(ANSWER_MAX);
    ask(&w, &b, "GET http://nowhere.test/ HTTP/1.1\r\n\r\n"); /* nothing was told yet */
    expect(&b, "HTTP/1.1 403 ", "Fulmar-Reason: host\r\n");
    assert_int_equal(egress_tell_hosts(w.control, SPAN("x.com *.test ")), E_OK);
    wait_pong(w.control);
    ask(&w, &b, "GET http://nowhere.test/ HTTP/1.1\r\n\r\n");
    expect(&b, "HTTP/1.1 502 ", "no-such-name");
    ask(&w, &b, "GET http://example.com/ HTTP/1.1\r\n\r\n");
    expect(&b, "HTTP/1.1 403 ", "Fulmar-Reason: host\r\n");
    assert_int_equal(egress_tell_hosts(w.control, SPAN("x.com ")),
                     E_OK); /* instead, not in addition */
    wait_pong(w.control);
    ask(&w, &b, "GET http://nowhere.test/ HTTP/1.1\r\n\r\n");
    expect(&b, "HTTP/1.1 403 ", "Fulmar-Reason: host\r\n");
    buf_free(&b);
    world_close(&w);
}

static void allow_lists(void **state)
{
    (void)state;
    struct world w;
    struct span hosts[] = {SPAN("x.com"), SPAN("*.test")};
    struct egress_config config = permissive();
    config.hosts = hosts;
    config.host_count = 2;
    world_open(&w, &config);
    struct buf b = BUF(ANSWER_MAX);
    ask(&w, &b, "GET http://example.com/ HTTP/1.1\r\n\r\n");
    expect(&b, "HTTP/1.1 403 ", "Fulmar-Reason: host\r\n");
    ask(&w, &b, "GET http://8.8.8.8/ HTTP/1.1\r\n\r\n");
    expect(&b, "HTTP/1.1 403 ", "Fulmar-Reason: host\r\n");
    ask(&w, &b, "GET http://nowhere.test/ HTTP/1.1\r\n\r\n");
    expect(&b, "HTTP/1.1 502 ", "no-such-name");
    /* The allow list names host and port: numbers by any spelling, names resolved. */
    ask(&w, &b, "GET http://127.1:%u/ok HTTP/1.1\r\n\r\n", origin_port);
    expect(&b, "HTTP/1.1 200 ", "GET /ok ");
    ask(&w, &b, "GET http://good.test:%u/ok HTTP/1.1\r\n\r\n", origin_port);
    expect(&b, "HTTP/1.1 200 ", "Host: good.test:");
    world_close(&w);
    config.only = true;
    world_open(&w, &config);
    ask(&w, &b, "GET http://x.com/ HTTP/1.1\r\n\r\n");
    expect(&b, "HTTP/1.1 403 ", "Fulmar-Reason: not-allowed\r\n");
    ask(&w, &b, "GET http://127.0.0.1:%u/ok HTTP/1.1\r\n\r\n", origin_port);
    expect(&b, "HTTP/1.1 200 ", "GET /ok ");
    buf_free(&b);
    world_close(&w);
}

static void refuses_bad_requests(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "GET https://x.com/ HTTP/1.1\r\n\r\n",
        "GET ftp://x.com/ HTTP/1.1\r\n\r\n",
        "GET file:///etc/passwd HTTP/1.1\r\n\r\n",
        "GET http://user@x.com/ HTTP/1.1\r\n\r\n",
        "GET http://x.com:0/ HTTP/1.1\r\n\r\n",
        "GET http:/// HTTP/1.1\r\n\r\n",
        "GET http://x.com/\r\n\r\n",
        "GET http://x.com/ HTTP/2.0\r\n\r\n",
        "CONNECT x.com HTTP/1.1\r\n\r\n",
        "GET http://x.com/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "GET http://x.com/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET http://x.com/ HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
        "GET http://x.com/ HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        "GET http://x.com/ HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET http://x.com/ HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
        "GET http://x.com/ HTTP/1.1\r\nA: \x01\r\n\r\n",
        "GET http://1.2.3.999/ HTTP/1.1\r\n\r\n",
        "GET http://x_\xc3\xa9.com/ HTTP/1.1\r\n\r\n",
        "G\x01T http://x.com/ HTTP/1.1\r\n\r\n",
    };
    struct world w;
    struct egress_config config = permissive();
    world_open(&w, &config);
    struct buf b = BUF(ANSWER_MAX);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ask(&w, &b, "%s", bad[i]);
        if (!span_starts(buf_span(&b), SPAN("HTTP/1.1 400 ")))
            fail_msg("%s got %.*s", bad[i], SP(buf_span(&b)));
    }
    static char many[PROXYHEAD_MAX + 100];
    memset(many, 'a', sizeof many - 1);
    many[sizeof many - 1] = '\0';
    ask(&w, &b, "GET http://x.com/ HTTP/1.1\r\nA: %s", many);
    expect(&b, "HTTP/1.1 431 ", "16 KiB");
    buf_free(&b);
    world_close(&w);
}

/* Every wait ends: silent host, silent name server, refused connection, cut connection. */
static void deadlines(void **state)
{
    (void)state;
    struct world w;
    struct egress_config config = permissive();
    world_open(&w, &config);
    struct buf b = BUF(ANSWER_MAX);
    int64_t from = clock_mono().ms;
    ask(&w, &b, "GET http://127.0.0.1:%u/never HTTP/1.1\r\n\r\n", origin_port);
    expect(&b, "HTTP/1.1 504 ", "Fulmar-Reason: timeout\r\n");
    assert_in_range(clock_mono().ms - from, 600, 5000);
    from = clock_mono().ms;
    ask(&w, &b, "GET http://hang.test/ HTTP/1.1\r\n\r\n");
    expect(&b, "HTTP/1.1 504 ", "Fulmar-Reason: timeout\r\n");
    assert_in_range(clock_mono().ms - from, 600, 5000);
    ask(&w, &b, "GET http://127.0.0.1:%u/cut HTTP/1.1\r\n\r\n", origin_port);
    expect(&b, "HTTP/1.1 502 ", "Fulmar-Reason: no-answer\r\n");
    ask(&w, &b, "GET http://127.0.0.1:1/ HTTP/1.1\r\n\r\n");
    expect(&b, "HTTP/1.1 502 ", "Fulmar-Reason: connect-failed\r\n");
    buf_free(&b);
    world_close(&w);
}

/* The browser's end is seen by the pipe: its tunnels fall, its listener is let go. */
static void life_ends(void **state)
{
    (void)state;
    struct world w;
    struct egress_config config = permissive();
    config.idle_timeout_ms = 60000;
    world_open(&w, &config);
    int fd = connect_to(w.port);
    char text[200];
    snprintf(text, sizeof text, "CONNECT 127.0.0.1:%u HTTP/1.1\r\n\r\n", origin_port);
    send_all(fd, span_of(text));
    assert_true(recv(fd, text, sizeof text, 0) > 0);
    close(w.life_write);
    w.life_write = -1;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_true(recv(fd, text, sizeof text, 0) <= 0);
    close(fd);
    /* Given again with a new pipe, as after a restart of egress. */
    int life[2];
    assert_int_equal(pipe2(life, O_CLOEXEC), 0);
    assert_int_equal(egress_give(w.control, w.listener, life[0], NULL), E_OK);
    struct buf b = BUF(ANSWER_MAX);
    ask(&w, &b, "GET http://127.0.0.1:%u/again HTTP/1.1\r\n\r\n", origin_port);
    expect(&b, "HTTP/1.1 200 ", "GET /again ");
    buf_free(&b);
    close(life[0]);
    close(life[1]);
    world_close(&w);
}

/* More clients than places: the ones beyond wait in the queue and are served when others leave.
 */
static int beats_fd;

static void write_beat(void)
{
    (void)!write(beats_fd, "b", 1);
}

/* It shows that it lives, inside its sandbox: by itself, and when asked. */
static void signs_of_life(void **state)
{
    (void)state;
    struct egress_config config = permissive();
    struct world w;
    int beats[2], fds[4];
    char text[64];
    size_t n, count;
    assert_int_equal(pipe2(beats, O_CLOEXEC), 0);
    beats_fd = beats[1];
    config.beat = write_beat;
    config.beat_ms = 20;
    world_open(&w, &config);
    close(beats[1]);
    for (int i = 0; i < 5; i++)
        assert_int_equal(read(beats[0], text, 1), 1);
    for (int i = 0; i < 3; i++) {
        struct pollfd p = {.fd = w.control, .events = POLLIN};
        assert_int_equal(egress_ping(w.control), E_OK);
        assert_int_equal(poll(&p, 1, 10000), 1);
        assert_int_equal(files_receive_fds(w.control, text, sizeof text, &n, fds, &count),
                         E_OK);
        assert_true(span_is((struct span){text, n}, "pong") && count == 0);
    }
    world_close(&w);
    while (read(beats[0], text, sizeof text) > 0)
        ;
    close(beats[0]);
}

static void many_connections(void **state)
{
    (void)state;
    enum { MANY = 530 };
    struct world w;
    struct egress_config config = permissive();
    world_open(&w, &config);
    int fds[MANY];
    for (int i = 0; i < MANY; i++)
        fds[i] = connect_to(w.port);
    struct buf b = BUF(ANSWER_MAX);
    for (int i = 0; i < MANY / 2; i++)
        close(fds[i]);
    ask(&w, &b, "GET http://127.0.0.1:%u/late HTTP/1.1\r\n\r\n", origin_port);
    expect(&b, "HTTP/1.1 200 ", "GET /late ");
    for (int i = MANY / 2; i < MANY; i++)
        close(fds[i]);
    buf_free(&b);
    world_close(&w);
}

/* The world outside is a process of its own: this one stays without threads, because what it forks
 * goes on without exec, and a fork beside threads may inherit a lock that nobody will open. */
static pid_t outside;

static _Noreturn void run_outside(void)
{
    pthread_t thread;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (pthread_create(&thread, NULL, origin_run, NULL) == 0)
        dns_run(NULL);
    _exit(1);
}

static int start_world(void **state)
{
    (void)state;
    origin_fd = listen_local(&origin_port, SOCK_STREAM);
    dns_fd = listen_local(&dns_port, SOCK_DGRAM);
    snprintf(allowed_text, sizeof allowed_text, "127.0.0.1:%u", origin_port);
    static char name_text[32];
    snprintf(name_text, sizeof name_text, "good.test:%u", origin_port);
    snprintf(dns_text, sizeof dns_text, "127.0.0.1:%u", dns_port);
    allowed[0] = span_of(allowed_text);
    allowed[1] = span_of(name_text);
    allowed[2] = SPAN("127.0.0.1:1"); /* nobody listens there */
    origin_ended = mmap(NULL, sizeof *origin_ended, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (origin_ended == MAP_FAILED)
        return 1;
    fflush(NULL);
    outside = fork();
    if (outside == 0)
        run_outside();
    return outside < 0;
}

static int end_world(void **state)
{
    (void)state;
    kill(outside, SIGKILL);
    return waitpid(outside, NULL, 0) != outside;
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forwards),
        cmocka_unit_test(forwards_bodies),
        cmocka_unit_test(tunnels),
        cmocka_unit_test(denies),
        cmocka_unit_test(lets_go_of_a_site_that_ended),
        cmocka_unit_test(allow_lists),
        cmocka_unit_test(hosts_that_are_told),
        cmocka_unit_test(refuses_bad_requests),
        cmocka_unit_test(deadlines),
        cmocka_unit_test(life_ends),
        cmocka_unit_test(signs_of_life),
        cmocka_unit_test(many_connections),
    };
    return cmocka_run_group_tests(tests, start_world, end_world);
}
