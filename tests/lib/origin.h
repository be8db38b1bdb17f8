/* origin.h - a small origin on loopback, a process a connection, and a real egress process that reaches it and nothing
 * else. The test says what is answered. Include it in the one file of a test program, behind cmocka. */
#pragma once

#include "net/egress.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* `other` is the same one at another port. */
static uint16_t origin_port, other_port;
static char origin_text[64]; /* http://127.0.0.1:PORT */
static pid_t origin_pid, egress_pid;
static int egress_control;

/* Of the test: writes to fd what is answered to this head of a request. Runs in a process of its own. */
static void answer(int fd, struct span head);

static inline int listen_local(uint16_t *out_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    *out_port = ntohs(a.sin_port);
    return fd;
}

static inline void put(int fd, const void *bytes, size_t n)
{
    const char *p = bytes;
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            _exit(0);
        p += sent;
        n -= (size_t)sent;
    }
}

static inline _Noreturn void origin_serve(int fd)
{
    struct buf head = BUF(64 * 1024);
    char byte;
    while (!span_ends(buf_span(&head), SPAN("\r\n\r\n"))) {
        if (head.failed || recv(fd, &byte, 1, 0) <= 0)
            break;
        buf_add_char(&head, byte);
        if (head.n == 1 && byte == 22) /* TLS: this origin knows none */
            _exit(0);
    }
    answer(fd, buf_span(&head));
    shutdown(fd, SHUT_RDWR);
    _exit(0);
}

static inline _Noreturn void origin_run(int a, int b)
{
    struct pollfd p[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        poll(p, 2, -1);
        for (int i = 0; i < 2; i++) {
            if (!(p[i].revents & POLLIN))
                continue;
            int fd = accept4(p[i].fd, NULL, NULL, SOCK_CLOEXEC);
            if (fd >= 0 && fork() == 0)
                origin_serve(fd);
            close(fd);
        }
    }
}

/* Also again, when it was killed. host: the one name that may be asked for besides; NULL: nothing but the origin. */
static inline void start_egress(const char *host)
{
    int control[2];
    char hello[16], allow[2][32];
    snprintf(allow[0], sizeof allow[0], "127.0.0.1:%u", origin_port);
    snprintf(allow[1], sizeof allow[1], "127.0.0.1:%u", other_port);
    struct span allowed[] = {span_of(allow[0]), span_of(allow[1])},
                hosts[] = {span_of(host ? host : "")};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), 0);
    fflush(NULL);
    egress_pid = fork();
    if (egress_pid == 0) {
        struct egress_config c = {.allow = allowed,
                                  .allow_count = 2,
                                  .only = !host,
                                  .hosts = hosts,
                                  .host_count = host ? 1 : 0,
                                  .connect_timeout_ms = 700,
                                  .idle_timeout_ms = 5000,
                                  .dns = SPAN("127.0.0.1:1")};
        close(control[0]);
        dup2(open("/dev/null", O_WRONLY), 2);
        _exit(egress_run(&c, control[1]));
    }
    close(control[1]);
    egress_control = control[0];
    assert_true(recv(egress_control, hello, sizeof hello, 0) == 5);
}

static inline void start_origin(const char *host)
{
    int a = listen_local(&origin_port), b = listen_local(&other_port);
    fflush(NULL);
    origin_pid = fork();
    if (origin_pid == 0) {
        setpgid(0, 0); /* its own children end with it */
        origin_run(a, b);
    }
    setpgid(origin_pid, 0);
    close(a);
    close(b);
    snprintf(origin_text, sizeof origin_text, "http://127.0.0.1:%u", origin_port);
    start_egress(host);
}

static inline void end_origin(void)
{
    close(egress_control);
    kill(egress_pid, SIGKILL);
    waitpid(egress_pid, NULL, 0);
    kill(-origin_pid, SIGKILL);
    waitpid(origin_pid, NULL, 0);
}
