/* Real Chromium, a real egress process, an origin of its own. Skipped with a message when there
 * is no browser on this machine. As root it drops to nobody first: Chromium's own sandbox stays
 * on. */
#include "../lib/chromium.h"

/* ---- the origin ---- */

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
    int64_t from;
    do { /* until it has begun to loop */
        from = clock_mono().ms;
        page_call(&p, 1, "Runtime.evaluate", "{\"expression\":\"1+1\"}", 700);
        WAIT_FOR(p.replied[1]);
    } while (!p.reply_err[1]);
    assert_int_equal(p.reply_err[1], E_TIMEOUT);
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

int main(int argc, char **argv)
{
    int code;
    if (!begin(argc, argv, &code))
        return code;
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
