/* redis.h - a Redis of a test's own: on a socket in a folder of its own, ended by its pid. Include it once,
 * in the program's only file, behind cmocka.h. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct redis_server {
    char dir[64];            /* socket, append-only file, log */
    char socket[96];         /* path */
    char url[128];           /* "unix:///…" */
    const char *options[16]; /* of the next start: "--maxmemory", "2mb", ...; the last NULL */
    char sentinel[96];       /* its file, when it is a Sentinel; else empty */
    pid_t pid;               /* 0: not running */
};

static inline void redis_nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static inline bool redis_answers(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char reply[7] = "";
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool well = fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
                write(fd, "PING\r\n", 6) == 6 && read(fd, reply, 7) > 0 && reply[0] != 0;
    if (fd >= 0)
        close(fd);
    return well && (reply[0] == '+' || strncmp(reply, "-NOAUTH", 7) == 0);
}

static inline void redis_exec(const struct redis_server *r, pid_t parent)
{
    const char *words[40] = {
        "redis-server", "--port", "0",         "--unixsocket",  r->socket,
        "--dir",        r->dir,   "--logfile", "redis.log",     "--appendonly",
        "yes",          "--save", "",          "--appendfsync", "everysec"};
    size_t n = 15;
    if (r->sentinel[0]) {
        words[1] = r->sentinel;
        words[2] = "--sentinel";
        n = 3;
    }
    for (size_t i = 0; i < 16 && r->options[i]; i++)
        words[n++] = r->options[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that dies takes it along */
    if (getppid() == parent)
        execvp(words[0], (char *const *)(void *)words);
    _exit(127);
}

static inline void redis_start(struct redis_server *r)
{
    pid_t parent = getpid();
    r->pid = fork();
    assert_true(r->pid >= 0);
    if (r->pid == 0)
        redis_exec(r, parent);
    while (!redis_answers(r->socket)) {
        int status;
        if (waitpid(r->pid, &status, WNOHANG) == r->pid)
            fail_msg("redis-server ended with %d; see %s/redis.log", status, r->dir);
        redis_nap();
    }
}

static inline void redis_signal(struct redis_server *r, int signal)
{
    assert_true(r->pid > 0);
    kill(r->pid, signal);
}

/* It refuses to end, and forgets that it was asked to, while it writes its first append-only file, as one does that has just become a
 * primary: so it is asked until it has ended. */
static inline void redis_end(struct redis_server *r, int signal)
{
    const struct timespec nap = {.tv_nsec = 5000000};
    for (int i = 0; r->pid > 0 && (i == 0 || waitpid(r->pid, NULL, WNOHANG) == 0); i++) {
        if (i % 20 == 0) {
            kill(r->pid, SIGCONT);
            kill(r->pid, signal);
        }
        nanosleep(&nap, NULL);
    }
    r->pid = 0;
}

/* A port of this machine that nobody has at the moment. */
static inline int redis_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    close(fd);
    return ntohs(at.sin_port);
}

/* In memory where there is room: how a disk does is not what these tests are about. */
static inline void redis_make(struct redis_server *r)
{
    *r = (struct redis_server){0};
    snprintf(r->dir, sizeof r->dir, "%s/fulmar-redis-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(r->dir));
    snprintf(r->socket, sizeof r->socket, "%s/redis.sock", r->dir);
    snprintf(r->url, sizeof r->url, "unix://%s", r->socket);
}

static inline int redis_remove_entry(const char *path, const struct stat *st, int type,
                                     struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void redis_remove(struct redis_server *r)
{
    redis_end(r, SIGKILL);
    nftw(r->dir, redis_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
