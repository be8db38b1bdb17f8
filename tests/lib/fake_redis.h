/* fake_redis.h - something that speaks like a Redis and answers what a test tells it to. One connection at a
 * time, on a thread of its own. It greets a link as a Redis does (INFO, SCRIPT LOAD), so that plays are about
 * scripts alone; what else comes is answered +OK. Include it once, in the program's only file, behind cmocka.h. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { FAKE_PLAYS = 64, FAKE_SEEN = 64 };

/* What becomes of one script that it is asked to run, in order; behind the last one: ":1". */
struct fake_play {
    const char *reply; /* whole, "+OK\r\n"; NULL: ":1\r\n" */
    int cut_after; /* 0: not; otherwise only so many bytes of the reply, less one, then it hangs up */
    bool silent;    /* nothing comes, and the connection stays */
    int trickle_ms; /* between two bytes */
};

struct fake_redis {
    char dir[64], socket[96], url[128];
    struct fake_play plays[FAKE_PLAYS];
    /* instead of INFO's answer, of the first connections; NULL as usual */
    const char *greeting[4];
    /* Any bytes, behind the first raw_behind scripts: the answer to each, then it hangs up; NULL: none */
    const char *raw;
    size_t raw_count;
    int raw_behind;
    const char *auth;    /* answer to AUTH; NULL: +OK */
    const char *primary; /* a Sentinel: answer to its question; NULL: no such master */
    /* Read by the test when the link is quiet. */
    atomic_int connections, runs, whole, loads;
    char seen[FAKE_SEEN][64]; /* first words of what it was asked to run: "EVALSHA", "EVAL" */
    /* The thread's. */
    pthread_t thread;
    int listener, stop[2], asked;
    unsigned char in[65536]; /* read of the connection, and not looked at */
    size_t in_at, in_count;
    bool hang_up_when_idle; /* after the next reply */
};

static inline bool fake_write(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t k = send(fd, bytes, n, MSG_NOSIGNAL);
        if (k <= 0)
            return false;
        bytes += k;
        n -= (size_t)k;
    }
    return true;
}

/* Reads one byte, or tells that it is over. */
static inline int fake_byte(struct fake_redis *r, int fd)
{
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = r->stop[0], .events = POLLIN}};
    if (r->in_at < r->in_count)
        return r->in[r->in_at++];
    r->in_at = r->in_count = 0;
    if (poll(p, 2, -1) < 0 || p[1].revents)
        return -1;
    ssize_t n = read(fd, r->in, sizeof r->in);
    if (n <= 0)
        return -1;
    r->in_count = (size_t)n;
    return r->in[r->in_at++];
}

static inline long fake_number(struct fake_redis *r, int fd, char mark)
{
    long n = 0;
    int c = fake_byte(r, fd);
    if (c != mark)
        return -1;
    while ((c = fake_byte(r, fd)) >= '0' && c <= '9')
        n = n * 10 + (c - '0');
    return c == '\r' && fake_byte(r, fd) == '\n' ? n : -1;
}

/* The first two words of a request; what follows is read and forgotten. */
static inline bool fake_request(struct fake_redis *r, int fd, char words[2][64])
{
    long count = fake_number(r, fd, '*');
    memset(words, 0, 2 * 64);
    for (long i = 0; i < count; i++) {
        long n = fake_number(r, fd, '$');
        if (n < 0)
            return false;
        for (long k = 0; k < n + 2; k++) {
            int c = fake_byte(r, fd);
            if (c < 0)
                return false;
            if (i < 2 && k < n && k < 63)
                words[i][k] = (char)c;
        }
    }
    return count > 0;
}

static inline bool fake_info(struct fake_redis *r, int fd)
{
    int n = r->connections - 1;
    char body[256], reply[320];
    if (n < 4 && r->greeting[n])
        return fake_write(fd, r->greeting[n], strlen(r->greeting[n]));
    snprintf(body, sizeof body,
             "redis_version:7.0.15\r\nrun_id:run%d\r\nrole:master\r\nmaster_replid:hist\r\n",
             n);
    snprintf(reply, sizeof reply, "$%zu\r\n%s\r\n", strlen(body), body);
    return fake_write(fd, reply, strlen(reply));
}

static inline bool fake_play(struct fake_redis *r, int fd, const char *word)
{
    struct fake_play *play = &r->plays[r->asked < FAKE_PLAYS ? r->asked : FAKE_PLAYS - 1];
    if (r->asked < FAKE_SEEN)
        snprintf(r->seen[r->asked], sizeof r->seen[0], "%.63s", word);
    r->asked++;
    r->runs++;
    if (strcmp(word, "EVAL") == 0)
        r->whole++;
    if (r->raw && r->asked > r->raw_behind) {
        (void)fake_write(fd, r->raw, r->raw_count);
        return false;
    }
    if (play->silent)
        return true;
    const char *reply = play->reply ? play->reply : ":1\r\n";
    size_t n = play->cut_after ? (size_t)play->cut_after - 1 : strlen(reply);
    for (size_t i = 0; play->trickle_ms && i < n; i++) {
        struct pollfd p = {.fd = r->stop[0], .events = POLLIN};
        if (!fake_write(fd, reply + i, 1) || poll(&p, 1, play->trickle_ms) != 0)
            return false;
    }
    if (!play->trickle_ms && !fake_write(fd, reply, n))
        return false;
    return !play->cut_after;
}

static inline bool fake_answer(struct fake_redis *r, int fd, char words[2][64])
{
    char sha[64];
    if (strcmp(words[0], "INFO") == 0)
        return fake_info(r, fd);
    if (strcmp(words[0], "SCRIPT") == 0) {
        snprintf(sha, sizeof sha, "$40\r\n%040d\r\n", r->loads++);
        return fake_write(fd, sha, strlen(sha));
    }
    if (strcmp(words[0], "EVALSHA") == 0 || strcmp(words[0], "EVAL") == 0)
        return fake_play(r, fd, words[0]);
    const char *reply = "+OK\r\n";
    if (strcmp(words[0], "AUTH") == 0 && r->auth)
        reply = r->auth;
    if (strcmp(words[0], "SENTINEL") == 0)
        reply = r->primary ? r->primary : "*-1\r\n";
    return fake_write(fd, reply, strlen(reply));
}

static inline void *fake_thread(void *ctx)
{
    struct fake_redis *r = ctx;
    char words[2][64];
    for (;;) {
        struct pollfd p[2] = {{.fd = r->listener, .events = POLLIN},
                              {.fd = r->stop[0], .events = POLLIN}};
        if (poll(p, 2, -1) < 0 || p[1].revents)
            return NULL;
        int fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
        r->connections++;
        bool goes_on = fd >= 0;
        r->in_at = r->in_count = 0;
        while (goes_on && fake_request(r, fd, words)) {
            goes_on = fake_answer(r, fd, words);
            if (goes_on && r->hang_up_when_idle && words[0][0] == 'E')
                goes_on = r->hang_up_when_idle = false;
        }
        if (fd >= 0)
            close(fd);
    }
}

static inline void fake_listen(struct fake_redis *r)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", r->socket);
    r->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(r->listener >= 0);
    assert_int_equal(bind(r->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(r->listener, 16), 0);
    assert_int_equal(pipe2(r->stop, O_CLOEXEC), 0);
    assert_int_equal(pthread_create(&r->thread, NULL, fake_thread, r), 0);
}

static inline void fake_make(struct fake_redis *r)
{
    memset(r, 0, sizeof *r);
    snprintf(r->dir, sizeof r->dir, "/tmp/fulmar-fake-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    snprintf(r->socket, sizeof r->socket, "%s/redis.sock", r->dir);
    snprintf(r->url, sizeof r->url, "unix://%s", r->socket);
}

/* Nobody answers there any more; it can listen again. */
static inline void fake_deafen(struct fake_redis *r)
{
    if (r->stop[1] == 0)
        return;
    assert_int_equal(write(r->stop[1], "x", 1), 1);
    pthread_join(r->thread, NULL);
    close(r->stop[0]);
    close(r->stop[1]);
    close(r->listener);
    unlink(r->socket);
    r->stop[1] = 0;
}

static inline void fake_remove(struct fake_redis *r)
{
    fake_deafen(r);
    rmdir(r->dir);
}
