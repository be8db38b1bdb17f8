/* called.h - the command line called as it is in life: in a process of its own, what it prints kept. Include it once, in
 * the program's only file, behind cmocka. */
#pragma once

#include "base/span.h"
#include "cli/cli.h"
#include "os/clock.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALL_MS = 40 * 1000, OUTPUT_MAX = 4 * 1024 * 1024 };

struct call {
    int code; /* exit code, or 1000 + signal */
    struct buf out, err;
    int out_fd, err_fd;
    pid_t pid;
};

static inline int spool(void)
{
    char path[] = "/tmp/fulmar-cli-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

static inline struct call begin(const char *const *args)
{
    struct call c = {
        .out = BUF(OUTPUT_MAX), .err = BUF(OUTPUT_MAX), .out_fd = spool(), .err_fd = spool()};
    char *argv[64] = {NULL};
    int argc = 0;
    argv[argc++] = strdup("fulmar");
    for (; args[argc - 1] && argc < 63; argc++)
        argv[argc] = strdup(args[argc - 1]);
    fflush(NULL);
    c.pid = fork();
    assert_true(c.pid >= 0);
    if (c.pid == 0) {
        setpgid(0, 0);
        dup2(c.out_fd, STDOUT_FILENO);
        dup2(c.err_fd, STDERR_FILENO);
        int code = cli_main(argc, argv);
        fflush(NULL);
        _exit(code);
    }
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return c;
}

static inline void read_all(int fd, struct buf *out)
{
    char piece[4096];
    ssize_t n;
    off_t at = 0;
    while ((n = pread(fd, piece, sizeof piece, at)) > 0) {
        buf_add(out, (struct span){piece, (size_t)n});
        at += n;
    }
}

static inline void end(struct call *c)
{
    int status = 0;
    mono deadline = mono_add(clock_mono(), CALL_MS);
    while (waitpid(c->pid, &status, WNOHANG) == 0) {
        if (mono_past(deadline, clock_mono())) {
            kill(c->pid, SIGKILL);
            waitpid(c->pid, &status, 0);
            break;
        }
        poll(NULL, 0, 5);
    }
    c->code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    read_all(c->out_fd, &c->out);
    read_all(c->err_fd, &c->err);
    close(c->out_fd);
    close(c->err_fd);
}

static inline void drop(struct call *c)
{
    buf_free(&c->out);
    buf_free(&c->err);
}

#define CALL(...) call((const char *const[]){__VA_ARGS__, NULL})
static inline struct call call(const char *const *args)
{
    struct call c = begin(args);
    end(&c);
    return c;
}

static inline void expect_code(struct call *c, int code)
{
    if (c->code != code)
        fail_msg("wanted exit code %d, got %d; it said: %.*s", code, c->code,
                 SP(buf_span(&c->err)));
}

static inline bool says(const struct buf *b, const char *what)
{
    return span_find(buf_span(b), span_of(what)) < b->n;
}

static inline size_t lines(const struct buf *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        n += b->p[i] == '\n';
    return n;
}

/* A call that must end with this code and say these words on standard error. */
#define EXPECT(code, words, ...)                                                               \
    do {                                                                                       \
        struct call c_ = CALL(__VA_ARGS__);                                                    \
        expect_code(&c_, code);                                                                \
        if (!says(&c_.err, words))                                                             \
            fail_msg("wanted '%s' in: %.*s", words, SP(buf_span(&c_.err)));                    \
        drop(&c_);                                                                             \
    } while (0)

static inline char *server_flag(void)
{
    static char flag[200];
    snprintf(flag, sizeof flag, "--server=unix:%s", server.socket);
    return flag;
}
