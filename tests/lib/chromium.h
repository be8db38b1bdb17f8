/* chromium.h - real Chromium under test: a real egress process, an origin of its own on loopback, pages
 * and the loop they live on. As root it drops to nobody first: Chromium's own sandbox stays on. Include it
 * once, in the program's only file, which says what the origin answers and what it does with events. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/log.h"
#include "browser/browser.h"
#include "browser/launch.h"
#include "browser/profile.h"
#include "net/egress.h"
#include "os/clock.h"
#include "os/files.h"
#include "os/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { CALLS = 16, PATIENCE_MS = 60000 };

/* A program uses what it needs. */
#pragma GCC diagnostic ignored "-Wunused-function"

/* The program's own: one request of the origin, answered whole; one event of a page. */
static void answer(int fd, struct span head);
static void page_event(void *ctx, struct span method, struct span params);

/* ---- the origin ---- */

static int origin_fd;
static uint16_t origin_port;

static void *origin_serve(void *ctx)
{
    int fd = (int)(intptr_t)ctx;
    char head[8192];
    size_t n = 0;
    while (n < sizeof head && span_find((struct span){head, n}, SPAN("\r\n\r\n")) == n) {
        ssize_t got = read(fd, head + n, sizeof head - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    answer(fd, (struct span){head, n});
    shutdown(fd, SHUT_WR);
    while (read(fd, head, sizeof head) > 0)
        ;
    close(fd);
    return NULL;
}

static void *origin_run(void *ctx)
{
    for (;;) {
        int fd = accept4(origin_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return ctx;
        pthread_t thread;
        if (pthread_create(&thread, NULL, origin_serve, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
    }
}

static void origin_listen(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof a;
    origin_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(origin_fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(origin_fd, 64) != 0 ||
        getsockname(origin_fd, (struct sockaddr *)&a, &size) != 0)
        abort();
    origin_port = ntohs(a.sin_port);
}

/* ---- the world of one test ---- */

static bool says(struct span s, const char *text)
{
    return span_find(s, span_of(text)) < s.n;
}

static pid_t egress_pid;
static int egress_control = -1;
static char run_folder[64];
static char binary[256];

struct world {
    struct loop *loop;
    struct browsers *browsers;
    struct listener_signal *child;
    struct watch *control;
    struct timer *guard;
    bool late, stopped;
    int capacity;
};

static struct world w;

/* A page as its owner sees it. */
struct page {
    struct tab *tab;
    bool ready, gone, closed;
    err ready_err, gone_err;
    char words[200];
    int answered; /* calls */
    bool replied[CALLS];
    err reply_err[CALLS];
    struct buf reply[CALLS];
    bool gone_before_replies;
    int pending;
    int events;
    char data_request[64];
    bool data_loaded;
};

static void on_guard(void *ctx)
{
    (void)ctx;
    w.late = true;
    loop_stop(w.loop);
}

static void on_child(void *ctx, int signum)
{
    (void)ctx;
    (void)signum;
    pid_t pid;
    int status;
    while (spawn_reap(&pid, &status))
        browsers_child_ended(w.browsers, pid, status);
    loop_stop(w.loop);
}

static void on_capacity(void *ctx)
{
    (void)ctx;
    w.capacity++;
    loop_stop(w.loop);
}

static void on_stopped(void *ctx)
{
    (void)ctx;
    w.stopped = true;
    loop_stop(w.loop);
}

/* Turns the loop until the condition holds. */
#define WAIT_FOR(cond)                                                                         \
    do {                                                                                       \
        w.late = false;                                                                        \
        timer_start(w.guard, PATIENCE_MS);                                                     \
        while (!(cond) && !w.late)                                                             \
            loop_run(w.loop);                                                                  \
        timer_stop(w.guard);                                                                   \
        if (!(cond))                                                                           \
            fail_msg("waited in vain for %s", #cond);                                          \
    } while (0)

static void page_ready(void *ctx, err e, const char *words)
{
    struct page *p = ctx;
    p->ready = true;
    p->ready_err = e;
    if (e)
        snprintf(p->words, sizeof p->words, "%s", words);
    loop_stop(w.loop);
}

static void page_reply(void *ctx, uint32_t call, err e, struct span result)
{
    struct page *p = ctx;
    assert_true(call < CALLS && !p->replied[call]);
    p->replied[call] = true;
    p->reply_err[call] = e;
    p->pending--;
    buf_clear(&p->reply[call]);
    buf_add(&p->reply[call], result);
    loop_stop(w.loop);
}

static void page_gone(void *ctx, err e, const char *words)
{
    struct page *p = ctx;
    assert_false(p->gone);
    p->gone = true;
    p->gone_err = e;
    p->gone_before_replies = p->pending > 0;
    snprintf(p->words, sizeof p->words, "%s", words);
    loop_stop(w.loop);
}

static void page_closed(void *ctx)
{
    struct page *p = ctx;
    p->closed = true;
    p->tab = NULL;
    loop_stop(w.loop);
}

static const struct tab_face FACE = {page_ready, page_reply, page_event, page_gone,
                                     page_closed};

static pid_t
    groups[64]; /* of every browser a test has seen; a group's number is its leader's pid */
static size_t group_count;

static bool is_ours(struct span command, pid_t pid)
{
    if (says(command, run_folder))
        return true;
    pid_t group = getpgid(pid);
    for (size_t i = 0; i < group_count; i++) {
        if (groups[i] == group)
            return true;
    }
    return false;
}

static void note_groups(void)
{
    struct browser_view v[8];
    size_t n = browsers_view(w.browsers, v, 8);
    for (size_t i = 0; i < n; i++) {
        if (v[i].pid > 1 && group_count < sizeof groups / sizeof *groups)
            groups[group_count++] = v[i].pid;
    }
}

static void page_open(struct page *p)
{
    struct fault f = {0};
    for (int i = 0; i < CALLS; i++)
        p->reply[i] = BUF(1 << 20);
    WAIT_FOR(browsers_room(w.browsers) > 0);
    note_groups();
    if (tab_open(&p->tab, w.browsers, &FACE, p, &f) != E_OK)
        fail_msg("no page: %s", f.words);
    assert_false(p->ready); /* never from inside the call */
    WAIT_FOR(p->ready);
    if (p->ready_err)
        fail_msg("page not ready: %s", p->words);
}

static void page_close(struct page *p)
{
    tab_close(p->tab);
    assert_false(p->closed);
    WAIT_FOR(p->closed);
    for (int i = 0; i < CALLS; i++)
        buf_free(&p->reply[i]);
}

static void page_call(struct page *p, uint32_t call, const char *method, const char *params,
                      int64_t ms)
{
    p->replied[call] = false;
    p->pending++;
    assert_int_equal(tab_call(p->tab, call, method, span_of(params), ms), E_OK);
}

static struct span page_ask(struct page *p, const char *method, const char *params)
{
    page_call(p, 0, method, params, 20000);
    WAIT_FOR(p->replied[0]);
    if (p->reply_err[0])
        fail_msg("%s answered %s: %.*s", method, err_name(p->reply_err[0]),
                 SP(buf_span(&p->reply[0])));
    return buf_span(&p->reply[0]);
}

static void page_go(struct page *p, const char *path)
{
    char params[200];
    snprintf(params, sizeof params, "{\"url\":\"http://127.0.0.1:%u%s\"}", origin_port, path);
    struct span result = page_ask(p, "Page.navigate", params);
    if (span_find(result, SPAN("errorText")) < result.n)
        fail_msg("navigation failed: %.*s", SP(result));
}

static void page_wait(struct page *p, const char *expression, const char *text)
{
    char params[200];
    snprintf(params, sizeof params, "{\"expression\":\"%s\"}", expression);
    for (int64_t end = clock_mono().ms + PATIENCE_MS; clock_mono().ms < end;) {
        if (says(page_ask(p, "Runtime.evaluate", params), text))
            return;
    }
    fail_msg("%s never became %s", expression, text);
}

static void page_wait_title(struct page *p, const char *title)
{
    page_wait(p, "document.title", title);
}

static struct browsers_config usual(void)
{
    return (struct browsers_config){
        .binary = binary,
        .run_folder = run_folder,
        .egress_fd = egress_control,
        .isolation = ISOLATION_NAMESPACE,
        .count = 1,
        .contexts_max = 4,
        .jobs_max = 1000,
        .age_max_ms = 3600000,
        .growth_max_percent = 1000,
        .probe_every_ms = 10000,
        .probe_timeout_ms = 15000,
        .command_timeout_ms = 20000,
        .dispose_timeout_ms = 3000,
        .start_timeout_ms = 30000,
        .memory_max = 800 << 20,
        .body_max = 8 << 20,
    };
}

static void world_open(const struct browsers_config *config)
{
    struct fault f = {0};
    w = (struct world){.loop = loop_new()};
    w.guard = timer_new(w.loop, on_guard, NULL, "guard");
    if (browsers_start(&w.browsers, w.loop, config, on_capacity, NULL, &f) != E_OK)
        fail_msg("not started: %s", f.words);
    assert_int_equal(signal_new(&w.child, w.loop, SIGCHLD, on_child, NULL), E_OK);
}

/* Processes of our browsers whose command line names `with`. Returns how many; signals them if
 * asked. */
static int for_each_process(const char *with, int signum)
{
    int n = 0;
    DIR *dir = opendir("/proc");
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[300];
        struct buf text = BUF(1 << 20);
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
            files_read(AT_FDCWD, path, 1 << 19, &text, NULL) == E_OK &&
            is_ours(buf_span(&text), (pid_t)strtol(entry->d_name, NULL, 10)) &&
            says(buf_span(&text), with)) {
            n++;
            if (signum)
                kill((pid_t)strtol(entry->d_name, NULL, 10), signum);
        }
        buf_free(&text);
    }
    closedir(dir);
    return n;
}

static int processes_left(void)
{
    return for_each_process("", 0);
}

static size_t folders_left(void)
{
    struct arena *a = arena_new(1 << 20);
    char **names;
    size_t count = 0;
    if (files_list(run_folder, a, &names, &count, NULL) != E_OK)
        count = 0;
    arena_free(&a);
    return count;
}

static void world_close(void)
{
    note_groups();
    browsers_stop(w.browsers, on_stopped, NULL);
    assert_false(w.stopped);
    WAIT_FOR(w.stopped);
    assert_int_equal(processes_left(), 0);
    assert_int_equal(folders_left(), 0);
    group_count = 0;
    browsers_free(&w.browsers);
    signal_close(&w.child);
    timer_close(&w.guard);
    loop_free(&w.loop);
}

/* ---- around all tests ---- */

static int egress_side = -1; /* egress's end, kept for the next one */

static int start_egress(void)
{
    int control[2] = {egress_control, egress_side};
    static char allowed[32];
    static struct span allow[1];
    snprintf(allowed, sizeof allowed, "127.0.0.1:%u", origin_port);
    allow[0] = span_of(allowed);
    static struct egress_config config;
    config = (struct egress_config){
        .allow = allow, .allow_count = 1, .connect_timeout_ms = 5000, .idle_timeout_ms = 20000};
    if (egress_control < 0 &&
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) != 0)
        return 1;
    egress_pid = fork();
    if (egress_pid == 0) {
        /* Nothing of the browsers: their pipes must end when we close them. */
        close_range(3, (unsigned)control[1] - 1, 0);
        close_range((unsigned)control[1] + 1, ~0U, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        _exit(egress_run(&config, control[1]));
    }
    egress_side = control[1];
    egress_control = control[0];
    char hello[16];
    size_t n, count;
    int fds[4];
    return egress_pid < 0 ||
           files_receive_fds(egress_control, hello, sizeof hello, &n, fds, &count) != E_OK;
}

static int setup(void **state)
{
    (void)state;
    origin_listen();
    if (start_egress())
        return 1;
    pthread_t thread;
    if (pthread_create(&thread, NULL, origin_run, NULL) != 0 || pthread_detach(thread) != 0)
        return 1;
    snprintf(run_folder, sizeof run_folder, "/tmp/fulmar-test-browser-%d", (int)getpid());
    return files_make_folder(run_folder, 0700, NULL) != E_OK;
}

static int teardown(void **state)
{
    (void)state;
    close(egress_control);
    close(egress_side);
    while (waitpid(egress_pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return files_remove_tree(run_folder, NULL) != E_OK;
}

/* The beginning of main(). False: it is over, with *out_code. */
static bool begin(int argc, char **argv, int *out_code)
{
    *out_code = 0;
    spawn_init();
    if (argc > 1 && strcmp(argv[1], "@launch") == 0) {
        *out_code = launch_main(argc, argv);
        return false;
    }
    struct fault f = {0};
    const char *level = getenv("FULMAR_TEST_LOG");
    log_setup("test", LOG_LOGFMT, level ? LOG_DEBUG : LOG_ERROR, clock_wall);
    if (browser_find(SPAN_NONE, binary, &f) != E_OK) {
        printf("skipped: %s\n", f.words);
        return false;
    }
    if (getuid() == 0 && sandbox_become_user("nobody", &f) != E_OK) {
        printf("skipped: %s\n", f.words);
        return false;
    }
    if (sandbox_probe() != ISOLATION_NAMESPACE) {
        printf("skipped: no network namespaces on this machine (%s)\n",
               isolation_name(sandbox_probe()));
        return false;
    }
    spawn_become_reaper();
    return true;
}
