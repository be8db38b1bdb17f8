/* between.h - stands between a store and its Redis and, when told so, strikes: it answers one script, or some in a
 * row, with an error of its own, or lets it happen and hangs up. Everything else passes. Include it once, in the
 * program's only file, behind cmocka.h. */
#pragma once

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BETWEEN_PAIRS = 8, BETWEEN_BYTES = 4 << 20 };

enum between_way {
    BETWEEN_ANSWERS, /* `reply` instead of Redis, which never hears of it */
    BETWEEN_CUTS,    /* hangs up, and Redis never hears of it */
    BETWEEN_LOSES,   /* Redis does it; what it says is lost with the connection */
    BETWEEN_BREAKS,  /* Redis does the first `calls` commands of it, and then it fails */
};

struct between_pair {
    int store, redis; /* sockets; −1: free */
    char *in;         /* of the store, not yet a whole request */
    size_t n;
    bool lost; /* whatever Redis says next */
};

struct between {
    char dir[64], socket[96], url[128];
    const char *to; /* path of the server's socket */
    /* Set by the test while no call is on its way. */
    enum between_way way;
    const char *reply;
    int calls;
    const char *
        only; /* scripts whose request has these bytes; the others pass, and are not counted. NULL: all */
    void (*meanwhile)(void); /* called before script `first` goes on; NULL: nothing */
    atomic_int first,
        times;          /* number of the script to strike, from 0; how many; times 0: none */
    atomic_int scripts; /* seen since the test set it to 0 */
    pthread_t thread;
    int listener, stop[2];
    struct between_pair pairs[BETWEEN_PAIRS];
};

static inline bool between_send(int fd, const char *bytes, size_t n)
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

static inline void between_hang_up(struct between_pair *p)
{
    if (p->store < 0)
        return;
    close(p->store);
    close(p->redis);
    p->store = p->redis = -1;
}

static inline int between_dial(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static inline void between_accept(struct between *b)
{
    int fd = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC);
    struct between_pair *p = b->pairs;
    while (p < b->pairs + BETWEEN_PAIRS && p->store >= 0)
        p++;
    int redis = fd >= 0 && p < b->pairs + BETWEEN_PAIRS ? between_dial(b->to) : -1;
    if (redis < 0) {
        if (fd >= 0)
            close(fd);
        return;
    }
    p->store = fd;
    p->redis = redis;
    p->n = 0;
    p->lost = false;
}

/* Behind "*3\r\n" or "$5\r\n": its number; NULL: not all of it is there. */
static inline const char *between_number(const char *at, const char *end, long *out)
{
    const char *line = memchr(at, '\n', (size_t)(end - at));
    if (!line)
        return NULL;
    *out = strtol(at + 1, NULL, 10);
    return line + 1;
}

/* How long the first request is, 0: not all of it is there. */
static inline size_t between_request(const char *in, size_t n, bool *out_script)
{
    const char *at = in, *end = in + n;
    long words, bytes;
    *out_script = false;
    if (!(at = between_number(at, end, &words)))
        return 0;
    for (long i = 0; i < words; i++) {
        if (at >= end || !(at = between_number(at, end, &bytes)) || end - at < bytes + 2)
            return 0;
        if (i == 0)
            *out_script = strncasecmp(at, "EVAL", 4) == 0;
        at += bytes + 2;
    }
    return (size_t)(at - in);
}

/* The whole script on its way, with a stop in it. */
static inline bool between_break(struct between *b, struct between_pair *p, size_t n)
{
    static const char head[] = "redis.call, {}, {}"; /* common.lua begins with it */
    char stop[160], start[40];
    const char *end = p->in + n, *text, *at;
    long words, bytes = 0;
    at = between_number(p->in, end, &words);
    at = between_number(at, end, &bytes) + bytes + 2; /* EVAL */
    const char *length = at;
    text = between_number(at, end, &bytes);
    at = memmem(text, (size_t)bytes, head, sizeof head - 1);
    if (!at)
        return false;
    int more =
        snprintf(stop, sizeof stop,
                 "(function(n) return function(...) n = n - 1 if n < 0 then error('stopped') "
                 "end return redis.call(...) end end)(%d), {}, {}",
                 b->calls) -
        (int)(sizeof head - 1);
    int k = snprintf(start, sizeof start, "$%ld\r\n", bytes + more);
    return between_send(p->redis, p->in, (size_t)(length - p->in)) &&
           between_send(p->redis, start, (size_t)k) &&
           between_send(p->redis, text, (size_t)(at - text)) &&
           between_send(p->redis, stop, strlen(stop)) &&
           between_send(p->redis, at + sizeof head - 1, (size_t)(end - at) - (sizeof head - 1));
}

/* "$7\r\nEVALSHA": it names the script, and does not send it. */
static inline bool between_names(const struct between_pair *p)
{
    const char *line = memchr(p->in, '\n', p->n);
    return line && line[2] == '7';
}

/* Of a script: false when that is the end of the connection. */
static inline bool between_script(struct between *b, struct between_pair *p, size_t n)
{
    static const char unknown[] = "-NOSCRIPT send it whole\r\n";
    if (b->only && !memmem(p->in, n, b->only, strlen(b->only)))
        return between_send(p->redis, p->in, n);
    bool breaks =
        b->way == BETWEEN_BREAKS && b->scripts >= b->first && b->scripts < b->first + b->times;
    if (breaks && between_names(p))
        return between_send(p->store, unknown, sizeof unknown - 1);
    int number = b->scripts++;
    if (breaks)
        return between_break(b, p, n);
    if (b->meanwhile && number == b->first)
        b->meanwhile();
    bool strikes = number >= b->first && number < b->first + b->times;
    if (strikes && b->way == BETWEEN_CUTS)
        return false;
    if (strikes && b->way == BETWEEN_ANSWERS)
        return between_send(p->store, b->reply, strlen(b->reply));
    p->lost = strikes;
    return between_send(p->redis, p->in, n);
}

static inline bool between_asks(struct between *b, struct between_pair *p)
{
    ssize_t k = read(p->store, p->in + p->n, BETWEEN_BYTES - p->n);
    if (k <= 0)
        return false;
    p->n += (size_t)k;
    bool script;
    for (size_t n; (n = between_request(p->in, p->n, &script)) > 0;) {
        if (script ? !between_script(b, p, n) : !between_send(p->redis, p->in, n))
            return false;
        memmove(p->in, p->in + n, p->n - n);
        p->n -= n;
    }
    return true;
}

static inline bool between_says(struct between_pair *p)
{
    char bytes[8192];
    ssize_t k = read(p->redis, bytes, sizeof bytes);
    return k > 0 && !p->lost && between_send(p->store, bytes, (size_t)k);
}

static inline void *between_main(void *arg)
{
    struct between *b = arg;
    for (;;) {
        struct pollfd fds[2 + 2 * BETWEEN_PAIRS] = {{.fd = b->stop[0], .events = POLLIN},
                                                    {.fd = b->listener, .events = POLLIN}};
        for (int i = 0; i < BETWEEN_PAIRS; i++) {
            fds[2 + 2 * i] = (struct pollfd){.fd = b->pairs[i].store, .events = POLLIN};
            fds[3 + 2 * i] = (struct pollfd){.fd = b->pairs[i].redis, .events = POLLIN};
        }
        if (poll(fds, 2 + 2 * BETWEEN_PAIRS, -1) < 0 || fds[0].revents)
            return NULL;
        for (int i = 0; i < BETWEEN_PAIRS; i++) {
            struct between_pair *p = &b->pairs[i];
            if ((fds[3 + 2 * i].revents && !between_says(p)) ||
                (fds[2 + 2 * i].revents && !between_asks(b, p)))
                between_hang_up(p);
        }
        if (fds[1].revents)
            between_accept(b);
    }
}

static inline void between_start(struct between *b, const char *to)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    *b = (struct between){.to = to, .dir = "/tmp/fulmar-between.XXXXXX"};
    assert_non_null(mkdtemp(b->dir));
    snprintf(b->socket, sizeof b->socket, "%s/socket", b->dir);
    snprintf(b->url, sizeof b->url, "unix://%s", b->socket);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", b->socket);
    for (int i = 0; i < BETWEEN_PAIRS; i++) {
        b->pairs[i] =
            (struct between_pair){.store = -1, .redis = -1, .in = malloc(BETWEEN_BYTES)};
        assert_non_null(b->pairs[i].in);
    }
    b->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(b->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(b->listener, 8), 0);
    assert_int_equal(pipe(b->stop), 0);
    assert_int_equal(pthread_create(&b->thread, NULL, between_main, b), 0);
}

static inline void between_end(struct between *b)
{
    assert_int_equal(write(b->stop[1], "x", 1), 1);
    pthread_join(b->thread, NULL);
    for (int i = 0; i < BETWEEN_PAIRS; i++) {
        between_hang_up(&b->pairs[i]);
        free(b->pairs[i].in);
    }
    close(b->listener);
    close(b->stop[0]);
    close(b->stop[1]);
    unlink(b->socket);
    rmdir(b->dir);
}
