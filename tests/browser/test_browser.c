/* Real Chromium, a real egress process, an origin of its own. Skipped with a message when there
 * is no browser on this machine. As root it drops to nobody first: Chromium's own sandbox stays
 * on. */
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

/* ---- the origin ---- */

static int origin_fd;
static uint16_t origin_port;

static const struct {
    const char *path, *type, *body;
} PAGES[] = {
    {"/hello", "text/html",
     "<title>hello</title><script>fetch('/"
     "data').then(r=>r.json()).then(d=>document.title=d.word)</script>"},
    {"/data", "application/json", "{\"word\":\"fetched\"}"},
    {"/loop", "text/html", "<title>loop</title><script>setTimeout(()=>{for(;;);},0)</script>"},
    {"/bomb", "text/html",
     "<title>bomb</title><script>const a=[];setInterval(()=>{const b=new "
     "Uint8Array(20e6);b.fill(7);a.push(b)},10)</script>"},
    {"/alert", "text/html",
     "<title>alert</title><script>alert('one');document.title='after "
     "'+confirm('two')</script>"},
    {"/ads", "text/html",
     "<title>ads</title><script>fetch('/ads/"
     "data').then(()=>document.title='came',()=>document.title='blocked')</script>"},
    {"/leave", "text/html",
     "<title>leave</title><script>onbeforeunload=e=>{e.preventDefault();return 'x'}</script>"},
};

static void answer(int fd, struct span head)
{
    char text[1024];
    struct span rest = head, method, path;
    if (!span_next(&rest, ' ', &method) || !span_next(&rest, ' ', &path))
        return;
    for (size_t i = 0; i < sizeof PAGES / sizeof *PAGES; i++) {
        if (!span_is(path, PAGES[i].path))
            continue;
        int n = snprintf(text, sizeof text,
                         "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: "
                         "%zu\r\nConnection: close\r\n\r\n%s",
                         PAGES[i].type, strlen(PAGES[i].body), PAGES[i].body);
        (void)!write(fd, text, (size_t)n);
        return;
    }
    struct span none =
        SPAN("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    (void)!write(fd, none.p, none.n);
}

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

static bool find_text(struct span s, const char *key, char *out, size_t size)
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":\"", key);
    size_t at = span_find(s, span_of(quoted));
    if (at == s.n)
        return false;
    struct span rest = span_cut(s, at + strlen(quoted), SIZE_MAX);
    span_copy(span_cut(rest, 0, span_find_char(rest, '"')), out, size);
    return true;
}

static void page_event(void *ctx, struct span method, struct span params)
{
    struct page *p = ctx;
    char id[64];
    p->events++;
    if (span_is(method, "Network.responseReceived") &&
        span_find(params, SPAN("/data\"")) < params.n)
        find_text(params, "requestId", p->data_request, sizeof p->data_request);
    if (span_is(method, "Network.loadingFinished") &&
        find_text(params, "requestId", id, sizeof id) && strcmp(id, p->data_request) == 0)
        p->data_loaded = true;
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

static pid_t browser_pid(void)
{
    struct browser_view v[8];
    size_t n = browsers_view(w.browsers, v, 8);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(v[i].state, "ready") == 0)
            return v[i].pid;
    }
    return -1;
}

/* ---- tests ---- */

static void opens_and_reads(void **state)
{
    (void)state;
    struct browsers_config config = usual();
    world_open(&config);
    struct page p = {0};
    page_open(&p);
    page_go(&p, "/hello");
    WAIT_FOR(p.data_loaded);
    char params[100];
    snprintf(params, sizeof params, "{\"requestId\":\"%s\"}", p.data_request);
    assert_true(says(page_ask(&p, "Network.getResponseBody", params),
                     "{\\\"word\\\":\\\"fetched\\\"}"));
    page_wait_title(&p, "\"fetched\"");
    assert_true(p.events > 3);
    /* What reaches beyond the page is refused here. */
    const struct span file = SPAN("{\"url\":\"file:///etc/passwd\"}");
    assert_int_equal(tab_call(p.tab, 1, "Page.navigate", file, 1000), E_DENIED);
    assert_int_equal(tab_call(p.tab, 1, "Page.navigate",
                              SPAN("{\"url\":\"http://a/\",\"url\":\"file:///\"}"), 1000),
                     E_DENIED);
    assert_int_equal(tab_call(p.tab, 1, "Page.navigate",
                              SPAN("{\"u\\u0072l\":\"file:///\",\"url\":\"http://a\"}"), 1000),
                     E_DENIED);
    assert_int_equal(tab_call(p.tab, 1, "Browser.close", SPAN_NONE, 1000), E_DENIED);
    assert_int_equal(tab_call(p.tab, 1, "DOM.setFileInputFiles", SPAN_NONE, 1000), E_DENIED);
    page_call(&p, 2, "Runtime.noSuchThing", "{}", 5000);
    WAIT_FOR(p.replied[2]);
    assert_int_equal(p.reply_err[2], E_BAD_INPUT);
    assert_true(says(buf_span(&p.reply[2]), "noSuchThing"));
    WAIT_FOR(browsers_ready(w.browsers));
    page_close(&p);
    assert_int_equal(browsers_room(w.browsers), 4);
    world_close();
}

/* A private address that the config does not name: egress answers, the network is not reached.
 */
static void private_addresses(void **state)
{
    (void)state;
    struct browsers_config config = usual();
    world_open(&config);
    struct page p = {0};
    page_open(&p);
    page_ask(&p, "Page.navigate", "{\"url\":\"http://127.0.0.1/\"}");
    page_wait(&p, "document.documentElement.innerText", "egress: ");
    assert_true(says(page_ask(&p, "Page.navigate", "{\"url\":\"https://169.254.169.254/\"}"),
                     "ERR_TUNNEL_CONNECTION_FAILED"));
    page_close(&p);
    world_close();
}

static void dialogs(void **state)
{
    (void)state;
    struct browsers_config config = usual();
    world_open(&config);
    struct page p = {0};
    page_open(&p);
    page_go(&p, "/alert");
    page_wait_title(&p, "after false");
    page_go(&p, "/leave");
    page_ask(&p, "Runtime.evaluate", "{\"expression\":\"1\",\"userGesture\":true}");
    page_go(&p, "/hello");
    page_wait_title(&p, "fetched");
    page_close(&p);
    world_close();
}

static void page_crash(void **state)
{
    (void)state;
    struct browsers_config config = usual();
    world_open(&config);
    struct page p = {0}, neighbour = {0};
    page_open(&p);
    page_open(&neighbour);
    pid_t pid = browser_pid();
    page_call(&p, 1, "Runtime.evaluate",
              "{\"expression\":\"new Promise(()=>{})\",\"awaitPromise\":true}", 60000);
    page_call(&p, 2, "Page.crash", "{}", 60000);
    WAIT_FOR(p.gone);
    assert_int_equal(p.gone_err, E_PAGE_GONE);
    assert_false(p.gone_before_replies);
    assert_int_equal(p.reply_err[1], E_PAGE_GONE);
    assert_int_equal(
        tab_call(p.tab, 3, "Runtime.evaluate", SPAN("{\"expression\":\"1\"}"), 1000),
        E_PAGE_GONE);
    page_close(&p);
    page_go(&neighbour, "/hello");
    page_close(&neighbour);
    assert_int_equal(browser_pid(), pid);
    world_close();
}

static void expect_replaced(struct page *p, pid_t old)
{
    WAIT_FOR(p->gone);
    assert_int_equal(p->gone_err, E_BROWSER_GONE);
    assert_false(p->gone_before_replies);
    assert_true(p->replied[1]);
    assert_int_equal(p->reply_err[1], E_BROWSER_GONE);
    page_close(p);
    WAIT_FOR(browser_pid() > 0 && browser_pid() != old);
    struct page again = {0};
    page_open(&again);
    page_go(&again, "/hello");
    page_close(&again);
}

static void browser_killed(void **state)
{
    (void)state;
    struct browsers_config config = usual();
    world_open(&config);
    struct page p = {0};
    page_open(&p);
    pid_t pid = browser_pid();
    page_call(&p, 1, "Runtime.evaluate",
              "{\"expression\":\"new Promise(()=>{})\",\"awaitPromise\":true}", 60000);
    kill(pid, SIGKILL);
    expect_replaced(&p, pid);
    world_close();
}

static void browser_stopped(void **state)
{
    (void)state;
    struct browsers_config config = usual();
    config.probe_every_ms = 200;
    config.probe_timeout_ms = 3000;
    world_open(&config);
    struct page p = {0};
    page_open(&p);
    WAIT_FOR(browsers_ready(w.browsers));
    pid_t pid = browser_pid();
    page_call(&p, 1, "Runtime.evaluate",
              "{\"expression\":\"new Promise(()=>{})\",\"awaitPromise\":true}", 60000);
    kill(pid, SIGSTOP);
    expect_replaced(&p, pid);
    world_close();
}

static void endless_loop(void **state)
{
    (void)state;
    struct browsers_config config = usual();
    world_open(&config);
    struct page p = {0};
    page_open(&p);
    pid_t pid = browser_pid();
    page_go(&p, "/loop");
    int64_t from = clock_mono().ms;
    page_call(&p, 1, "Runtime.evaluate", "{\"expression\":\"1+1\"}", 700);
    WAIT_FOR(p.replied[1]);
    /* The page may have answered just before it began to loop; the next one meets the loop. */
    if (!p.reply_err[1]) {
        from = clock_mono().ms;
        page_call(&p, 2, "Runtime.evaluate", "{\"expression\":\"1+1\"}", 700);
        WAIT_FOR(p.replied[2]);
        assert_int_equal(p.reply_err[2], E_TIMEOUT);
    } else {
        assert_int_equal(p.reply_err[1], E_TIMEOUT);
    }
    assert_true(clock_mono().ms - from >= 690);
    page_close(&p);
    assert_int_equal(browser_pid(), pid);
    world_close();
}

static void memory_bomb(void **state)
{
    (void)state;
    struct browsers_config config = usual();
    config.memory_max = 300 << 20;
    world_open(&config);
    struct page p = {0}, neighbour = {0};
    page_open(&p);
    page_open(&neighbour);
    pid_t pid = browser_pid();
    page_go(&neighbour, "/hello");
    page_go(&p, "/bomb");
    WAIT_FOR(p.gone);
    assert_int_equal(p.gone_err, E_TOO_BIG);
    assert_non_null(strstr(p.words, "memory"));
    page_wait_title(&neighbour, "fetched");
    page_close(&p);
    page_close(&neighbour);
    assert_int_equal(browser_pid(), pid);
    world_close();
}

static int open_descriptors(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void many_cycles(void **state)
{
    (void)state;
    struct browsers_config config = usual();
    config.probe_every_ms = 3600000;
    world_open(&config);
    int before = 0;
    for (int i = 0; i < 50; i++) {
        struct page p = {0};
        page_open(&p);
        if (i % 10 == 0)
            page_go(&p, "/hello");
        page_close(&p);
        /* Counted when everything that is opened once has been. */
        if (i == 4)
            before = open_descriptors();
    }
    /* Some belong to pages and renderers that are on their way in or out. */
    WAIT_FOR(open_descriptors() <= before + 4);
    world_close();
}

/* The replacement is ready before the old one stops taking pages: there is always room. */
static void retirement(void **state)
{
    (void)state;
    struct browsers_config config = usual();
    config.jobs_max = 3;
    world_open(&config);
    struct page held = {0};
    page_open(&held);
    pid_t first = browser_pid();
    for (int i = 0; i < 2; i++) {
        struct page p = {0};
        page_open(&p);
        page_close(&p);
    }
    bool always_room = true;
    WAIT_FOR((always_room = always_room && browsers_room(w.browsers) > 0) &&
             browser_pid() != first);
    assert_true(always_room);
    page_go(&held, "/hello"); /* the old one serves what it has */
    assert_int_equal(kill(first, 0), 0);
    page_close(&held);
    WAIT_FOR(kill(first, 0) != 0);
    world_close();
}

static void start_failure(void **state)
{
    (void)state;
    struct browsers_config config = usual();
    config.binary = "/bin/false";
    world_open(&config);
    w.late = false;
    timer_start(w.guard, 3500);
    while (!w.late)
        loop_run(w.loop);
    assert_int_equal(browsers_room(w.browsers), 0);
    assert_non_null(browsers_trouble(w.browsers));
    assert_non_null(strstr(browsers_trouble(w.browsers), "no browser starts"));
    assert_false(browsers_ready(w.browsers));
    struct page p = {0};
    assert_int_equal(tab_open(&p.tab, w.browsers, &FACE, &p, NULL), E_BUSY);
    world_close();
    config.binary = "/no/such/browser";
    struct fault f = {0};
    struct loop *l = loop_new();
    assert_int_equal(browsers_start(&w.browsers, l, &config, on_capacity, NULL, &f),
                     E_NOT_FOUND);
    assert_non_null(strstr(f.words, "/no/such/browser"));
    loop_free(&l);
}

/* Stop while pages are open and one is being prepared. */
static void stop_in_the_middle(void **state)
{
    (void)state;
    struct browsers_config config = usual();
    config.count = 2;
    world_open(&config);
    struct page p = {0}, early = {0};
    page_open(&p);
    page_go(&p, "/loop");
    assert_int_equal(tab_open(&early.tab, w.browsers, &FACE, &early, NULL), E_OK);
    browsers_stop(w.browsers, on_stopped, NULL);
    assert_true(p.gone);
    assert_int_equal(p.gone_err, E_SHUTDOWN);
    WAIT_FOR(early.ready);
    assert_int_equal(early.ready_err, E_SHUTDOWN);
    page_close(&p);
    tab_close(early.tab);
    WAIT_FOR(early.closed);
    assert_int_equal(tab_open(&early.tab, w.browsers, &FACE, &early, NULL), E_SHUTDOWN);
    WAIT_FOR(w.stopped);
    w.stopped = false;
    browsers_free(&w.browsers);
    signal_close(&w.child);
    timer_close(&w.guard);
    loop_free(&w.loop);
    assert_int_equal(processes_left(), 0);
    assert_int_equal(folders_left(), 0);
}

/* Folders of a dead owner go at the next start; those of a living one stay. */
static void old_folders(void **state)
{
    (void)state;
    struct profile living;
    char dead[128], other[128];
    snprintf(dead, sizeof dead, "%s/browser-4194000-7/profile", run_folder);
    snprintf(other, sizeof other, "%s/something-else", run_folder);
    assert_int_equal(files_make_folder(dead, 0700, NULL), E_OK);
    assert_int_equal(files_make_folder(other, 0700, NULL), E_OK);
    assert_int_equal(profile_make(&living, run_folder, 999, NULL), E_OK);
    assert_int_equal(profile_sweep(run_folder), 1);
    assert_int_equal(access(dead, F_OK), -1);
    assert_int_equal(access(living.path, F_OK), 0);
    assert_int_equal(access(other, F_OK), 0);
    assert_int_equal(profile_remove(&living, NULL), E_OK);
    assert_int_equal(files_remove_tree(other, NULL), E_OK);
    assert_int_equal(folders_left(), 0);
}

/* Without zygotes no page can be opened any more, and no event says so. */
static void zygotes_killed(void **state)
{
    (void)state;
    struct browsers_config config = usual();
    config.probe_every_ms = 200;
    config.probe_timeout_ms = 3000;
    config.command_timeout_ms = 2000;
    world_open(&config);
    struct page p = {0};
    page_open(&p);
    WAIT_FOR(browsers_ready(w.browsers));
    pid_t pid = browser_pid();
    assert_true(for_each_process("--type=zygote", SIGKILL) > 0);
    WAIT_FOR(browser_pid() > 0 && browser_pid() != pid);
    page_close(&p);
    struct page again = {0};
    page_open(&again);
    page_go(&again, "/hello");
    page_close(&again);
    world_close();
}

static void blocked_addresses(void **state)
{
    (void)state;
    struct browsers_config config = usual();
    struct span blocked[] = {SPAN("*/ads/*")};
    config.blocked = blocked;
    config.blocked_count = 1;
    config.user_agent = SPAN("Test Agent (of ours)");
    world_open(&config);
    struct page p = {0};
    page_open(&p);
    page_go(&p, "/ads");
    page_wait_title(&p, "blocked");
    assert_true(
        says(page_ask(&p, "Runtime.evaluate", "{\"expression\":\"navigator.userAgent\"}"),
             "Test Agent (of ours)"));
    page_close(&p);
    world_close();
}

static void lesser_isolation(void **state)
{
    (void)state;
    enum isolation tiers[] = {ISOLATION_FLAGS, ISOLATION_LANDLOCK};
    for (size_t i = 0; i < 2; i++) {
        int pid = fork();
        if (pid == 0) {
            uint16_t port;
            int listener;
            _exit(sandbox_connect_only(&port, &listener, tiers[i] == ISOLATION_LANDLOCK, NULL)
                      ? 1
                      : 0);
        }
        int status = 1;
        waitpid(pid, &status, 0);
        if (status != 0)
            continue; /* this kernel has no such tier */
        struct browsers_config config = usual();
        config.isolation = tiers[i];
        world_open(&config);
        struct page p = {0};
        page_open(&p);
        page_go(&p, "/hello");
        page_wait_title(&p, "fetched");
        page_ask(&p, "Page.navigate", "{\"url\":\"http://127.0.0.1/\"}");
        page_wait(&p, "document.documentElement.innerText", "egress: ");
        page_close(&p);
        world_close();
    }
}

static int start_egress(void);

/* Egress dies and comes back: it gets every listener again, pages that are open work on. */
static void egress_restarts(void **state)
{
    (void)state;
    struct browsers_config config = usual();
    config.probe_every_ms = 300;
    world_open(&config);
    struct page p = {0};
    page_open(&p);
    page_go(&p, "/hello");
    pid_t pid = browser_pid();
    pid_t old = egress_pid;
    kill(old, SIGKILL);
    while (waitpid(old, NULL, 0) < 0 && errno == EINTR)
        ;
    assert_int_equal(start_egress(), 0);
    browsers_egress_hello(w.browsers);
    page_go(&p, "/hello");
    page_wait_title(&p, "fetched");
    page_close(&p);
    assert_int_equal(browser_pid(), pid);
    world_close();
}

/* The pids of all that are there, in order of slots. */
static size_t browser_pids(pid_t out[8])
{
    struct browser_view v[8];
    size_t n = browsers_view(w.browsers, v, 8);
    for (size_t i = 0; i < n; i++)
        out[i] = v[i].pid;
    return n;
}

/* Egress hangs and says nothing to whoever asks: no browser pays for it. */
static void egress_hangs(void **state)
{
    (void)state;
    struct browsers_config config = usual();
    pid_t before[8], after[8];
    config.count = 2;
    config.probe_every_ms = 200;
    config.probe_timeout_ms = 700;
    world_open(&config);
    WAIT_FOR(browser_pids(before) == 2 && browsers_room(w.browsers) == 8 &&
             browsers_ready(w.browsers));
    browsers_egress_answered(w.browsers, clock_mono());
    kill(egress_pid, SIGSTOP);
    mono asked = clock_mono();
    w.late = false;
    timer_start(w.guard, 8000);
    while (!w.late)
        loop_run(w.loop);
    assert_int_equal(browser_pids(after), 2);
    assert_memory_equal(before, after, 2 * sizeof *before);
    kill(egress_pid, SIGCONT);
    browsers_egress_answered(w.browsers, asked);
    WAIT_FOR(browsers_ready(w.browsers));
    assert_int_equal(browser_pids(after), 2);
    assert_memory_equal(before, after, 2 * sizeof *before);
    world_close();
}

/* It hangs where nobody asks it: one browser is tried anew, and that shows that it was not the
 * browsers. */
static void all_miss(void **state)
{
    (void)state;
    struct browsers_config config = usual();
    pid_t before[8], after[8];
    config.count = 2;
    config.probe_every_ms = 200;
    config.probe_timeout_ms = 700;
    world_open(&config);
    WAIT_FOR(browser_pids(before) == 2 && browsers_room(w.browsers) == 8 &&
             browsers_ready(w.browsers));
    kill(egress_pid, SIGSTOP);
    w.late = false;
    timer_start(w.guard, 10000);
    while (!w.late)
        loop_run(w.loop);
    kill(egress_pid, SIGCONT);
    assert_int_equal(browser_pids(after), 2);
    int kept = 0;
    for (int i = 0; i < 2; i++)
        kept += after[i] == before[0] || after[i] == before[1];
    assert_int_equal(kept, 1);
    WAIT_FOR(browsers_ready(w.browsers));
    world_close();
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

int main(int argc, char **argv)
{
    spawn_init();
    if (argc > 1 && strcmp(argv[1], "@launch") == 0)
        return launch_main(argc, argv);
    struct fault f = {0};
    const char *level = getenv("FULMAR_TEST_LOG");
    log_setup("test", LOG_LOGFMT, level ? LOG_DEBUG : LOG_ERROR, clock_wall);
    if (browser_find(SPAN_NONE, binary, &f) != E_OK) {
        printf("skipped: %s\n", f.words);
        return 0;
    }
    if (getuid() == 0 && sandbox_become_user("nobody", &f) != E_OK) {
        printf("skipped: %s\n", f.words);
        return 0;
    }
    if (sandbox_probe() != ISOLATION_NAMESPACE) {
        printf("skipped: no network namespaces on this machine (%s)\n",
               isolation_name(sandbox_probe()));
        return 0;
    }
    spawn_become_reaper();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_and_reads),   cmocka_unit_test(private_addresses),
        cmocka_unit_test(dialogs),           cmocka_unit_test(page_crash),
        cmocka_unit_test(browser_killed),    cmocka_unit_test(browser_stopped),
        cmocka_unit_test(endless_loop),      cmocka_unit_test(memory_bomb),
        cmocka_unit_test(many_cycles),       cmocka_unit_test(retirement),
        cmocka_unit_test(start_failure),     cmocka_unit_test(stop_in_the_middle),
        cmocka_unit_test(old_folders),       cmocka_unit_test(zygotes_killed),
        cmocka_unit_test(blocked_addresses), cmocka_unit_test(lesser_isolation),
        cmocka_unit_test(egress_restarts),   cmocka_unit_test(egress_hangs),
        cmocka_unit_test(all_miss),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, setup, teardown);
}
