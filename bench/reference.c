/* reference - the least program that does a job of the service, to compare the service with.
 *
 *   reference --site URL [--handle NAME] [--posts 100] [--jobs 40] [--at-once 4] [--browsers 1]
 *             [--warm N] [--ids FILE] [--binary PATH]
 *
 * Each job: a fresh browser context, /HANDLE, scroll, the bodies of the page's UserTweets calls
 * by Network.getResponseBody until so many posts are counted, the context disposed of. It
 * drives Chromium on the DevTools pipe, with its sandbox on, and has nothing that makes the
 * service a service: no queue, no records, no processes of its own, no network namespace, no
 * egress.
 *
 * One line of name=value pairs goes to stdout. CPU is that of the processes in /proc, children
 * that have ended and were waited for included; memory is the proportional set size of the
 * browsers when half of the jobs are done. Warm-up jobs come first and count nowhere. */
#include "base/json.h"
#include "base/need.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    BROWSERS_MAX = 2,
    AT_ONCE_MAX = 64,
    JOBS_MAX = 100000,
    POSTS_MAX = 1000,
    INBOX_MAX = 64 * 1024 * 1024,
    BODY_MAX = 8 * 1024 * 1024,
    PIDS_MAX = 4096,
    NUDGE_MS = 1000, /* scroll again when the page has asked for nothing for so long */
    JOB_MS = 60000,
    START_MS = 10000,
    SETTLE_MS = 3000, /* renderers of disposed contexts are gone by then */
    ID_TEXT = 72,
};

struct options {
    const char *site, *handle, *binary, *ids_file;
    int posts, jobs, at_once, browsers, warm;
};

struct browser {
    pid_t pid;
    int to, from; /* ends of the DevTools pipe */
    struct buf inbox;
    char profile[64];
};

/* What the slot waits for. */
enum step {
    STEP_IDLE,
    STEP_CONTEXT,
    STEP_TARGET,
    STEP_SESSION,
    STEP_SETUP,
    STEP_READ,
    STEP_DISPOSE
};

struct slot {
    struct browser *browser;
    enum step step;
    int setup_left;
    char context[ID_TEXT], session[ID_TEXT], request[ID_TEXT];
    uint32_t call;      /* whose answer moves the step on */
    uint32_t body_call; /* of the body asked for; 0 none */
    int64_t began_us, counted_us, nudge_us;
    char ids[POSTS_MAX][24];
    int posts;
};

struct sample {
    /* from the start until all posts are counted; until disposed */
    double counted_ms, whole_ms;
};

static struct {
    struct options o;
    struct browser browsers[BROWSERS_MAX];
    struct slot slots[AT_ONCE_MAX];
    struct sample *samples;
    struct json_parser *envelope, *body;
    uint32_t last_call;
    int wanted, begun, done;
    int64_t nudges, pss_kb;
    bool ids_written;
} all;

/* Moves to the end of the list, and once more when the list has grown by what was just read:
 * the body is often here before the page has laid it out. */
static const char SCROLL[] =
    "(() => { const root = document.documentElement, from = root.scrollHeight;"
    " const go = () => { const h = root.scrollHeight;"
    " window.scrollTo(0, Math.max(0, h - window.innerHeight - 400)); window.scrollTo(0, h); };"
    " const grown = new ResizeObserver(() => {"
    " if (root.scrollHeight > from) { grown.disconnect(); go(); } });"
    " go(); grown.observe(root); return from; })()";

/* ---- ending ---- */

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    (void)!remove(path);
    return 0;
}

static void browser_close(struct browser *b)
{
    if (b->pid > 0) {
        kill(-b->pid, SIGKILL);
        while (waitpid(b->pid, NULL, 0) < 0 && errno == EINTR)
            ;
        b->pid = 0;
    }
    if (b->profile[0])
        (void)nftw(b->profile, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    b->profile[0] = '\0';
}

static void close_all(void)
{
    for (int i = 0; i < BROWSERS_MAX; i++)
        browser_close(&all.browsers[i]);
}

__attribute__((format(printf, 1, 2))) static _Noreturn void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("reference: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    close_all();
    exit(1);
}

static volatile sig_atomic_t asked_to_stop;

static void on_signal(int signal_number)
{
    asked_to_stop = signal_number;
}

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- what processes cost ---- */

struct process {
    pid_t pid, parent;
    int64_t ticks; /* own and of children waited for */
    bool below;    /* below the root asked about, or the root */
};

static bool read_text(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, out, size - 1);
    close(fd);
    if (n <= 0)
        return false;
    out[n] = '\0';
    return true;
}

static bool process_read(const char *pid, struct process *out)
{
    char path[64], text[1024];
    long long user, system, child_user, child_system;
    int parent;
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    if (!read_text(path, text, sizeof text))
        return false;
    /* The name may hold anything, also spaces and brackets: the numbers come after the last
     * one. */
    const char *rest = strrchr(text, ')');
    if (!rest ||
        sscanf(rest + 2, "%*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld %lld %lld",
               &parent, &user, &system, &child_user, &child_system) != 5)
        return false;
    *out = (struct process){(pid_t)strtol(pid, NULL, 10), parent,
                            user + system + child_user + child_system, false};
    return true;
}

static size_t processes_read(struct process *out, size_t max)
{
    DIR *folder = opendir("/proc");
    size_t count = 0;
    if (!folder)
        die("/proc cannot be read: %s", strerror(errno));
    for (struct dirent *e; count < max && (e = readdir(folder));)
        if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && process_read(e->d_name, &out[count]))
            count++;
    closedir(folder);
    return count;
}

static void mark_below(struct process *p, size_t count, pid_t root)
{
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; i < count; i++) {
            bool below = p[i].pid == root;
            if (p[i].below)
                continue;
            for (size_t k = 0; k < count && !below; k++)
                below = p[k].below && p[k].pid == p[i].parent;
            again |= below;
            p[i].below = below;
        }
    }
}

static int64_t process_pss_kb(pid_t pid)
{
    char path[64], text[2048];
    long long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    if (!read_text(path, text, sizeof text))
        return 0;
    const char *line = strstr(text, "\nPss:");
    return line && sscanf(line, "\nPss: %lld", &kb) == 1 ? kb : 0;
}

struct tree {
    int64_t cpu_ms, pss_kb;
    int processes;
};

/* All browsers with everything below them. */
static struct tree tree_read(bool with_memory)
{
    static struct process list[PIDS_MAX];
    struct tree t = {0};
    size_t count = processes_read(list, PIDS_MAX);
    for (int i = 0; i < all.o.browsers; i++)
        mark_below(list, count, all.browsers[i].pid);
    for (size_t i = 0; i < count; i++) {
        if (!list[i].below)
            continue;
        t.processes++;
        t.cpu_ms += list[i].ticks * 1000 / sysconf(_SC_CLK_TCK);
        if (with_memory)
            t.pss_kb += process_pss_kb(list[i].pid);
    }
    return t;
}

static int64_t own_cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000LL + u.ru_utime.tv_usec +
           u.ru_stime.tv_usec;
}

/* ---- starting Chromium ---- */

static void become_nobody(void)
{
    struct passwd *user = getpwnam("nobody");
    if (!user || setgroups(0, NULL) || setresgid(user->pw_gid, user->pw_gid, user->pw_gid) ||
        setresuid(user->pw_uid, user->pw_uid, user->pw_uid))
        _exit(127);
}

static _Noreturn void browser_child(const struct browser *b, int read_end, int write_end,
                                    pid_t parent)
{
    char profile[96], home[96];
    snprintf(profile, sizeof profile, "--user-data-dir=%s", b->profile);
    snprintf(home, sizeof home, "HOME=%s", b->profile);
    const char *args[] = {all.o.binary,
                          "--remote-debugging-pipe",
                          profile,
                          "--disable-gpu",
                          "--disable-background-networking",
                          "--disable-component-update",
                          "--disable-default-apps",
                          "--disable-extensions",
                          "--disable-sync",
                          "--no-first-run",
                          "--mute-audio",
                          "--disable-breakpad",
                          "--metrics-recording-only",
                          "--disable-domain-reliability",
                          "--password-store=basic",
                          "--disable-dev-shm-usage",
                          "--block-new-web-contents",
                          "--disable-background-timer-throttling",
                          "--disable-backgrounding-occluded-windows",
                          "--disable-renderer-backgrounding",
                          "--blink-settings=imagesEnabled=false",
                          "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
                          "--disable-features=Translate,OptimizationHints,MediaRouter,"
                          "SpareRendererForSitePerProcess,"
                          "BackForwardCache",
                          NULL};
    const char *env[] = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", home, NULL};
    int null_fd = open("/dev/null", O_RDWR);
    setpgid(0, 0);
    int in = fcntl(read_end, F_DUPFD, 16), out = fcntl(write_end, F_DUPFD, 16);
    if (null_fd < 0 || in < 0 || out < 0 || dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 ||
        dup2(null_fd, 2) < 0 || dup2(in, 3) < 0 || dup2(out, 4) < 0)
        _exit(127);
    close_range(5, ~0U, 0);
    if (geteuid() == 0)
        become_nobody();
    /* Changing the user clears the death signal, so it comes after. */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent || chdir("/"))
        _exit(127);
    execve(all.o.binary, (char *const *)(uintptr_t)args, (char *const *)(uintptr_t)env);
    _exit(127);
}

static void browser_open(struct browser *b)
{
    int down[2], up[2];
    snprintf(b->profile, sizeof b->profile, "/tmp/fulmar-reference.XXXXXX");
    if (!mkdtemp(b->profile) || pipe2(down, O_CLOEXEC) || pipe2(up, O_CLOEXEC))
        die("no folder or pipe for a browser: %s", strerror(errno));
    struct passwd *user = getpwnam("nobody");
    if (geteuid() == 0 && (!user || chown(b->profile, user->pw_uid, user->pw_gid)))
        die("the profile cannot be handed to nobody: %s", strerror(errno));
    pid_t parent = getpid();
    b->inbox = BUF(INBOX_MAX);
    b->pid = fork();
    if (b->pid == 0)
        browser_child(b, down[0], up[1], parent);
    if (b->pid < 0)
        die("cannot fork: %s", strerror(errno));
    close(down[0]);
    close(up[1]);
    b->to = down[1];
    b->from = up[0];
}

/* ---- the DevTools pipe ---- */

static void send_all(const struct browser *b, struct span text)
{
    while (text.n) {
        ssize_t n = write(b->to, text.p, text.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            die("the browser went away: %s", strerror(errno));
        text = span_cut(text, (size_t)n, text.n);
    }
}

/* The number of a command says which slot it is of: number % AT_ONCE_MAX. */
__attribute__((format(printf, 3, 4))) static uint32_t
command(struct slot *s, const char *method, const char *params, ...)
{
    struct buf b = BUF(65536);
    uint32_t call = ++all.last_call * AT_ONCE_MAX + (uint32_t)(s - all.slots);
    buf_fmt(&b, "{\"id\":%u,\"method\":\"%s\",\"params\":{", call, method);
    va_list ap;
    va_start(ap, params);
    buf_vfmt(&b, params, ap);
    va_end(ap);
    buf_add_char(&b, '}');
    if (s->session[0])
        buf_fmt(&b, ",\"sessionId\":\"%s\"", s->session);
    buf_add_text(&b, "}");
    buf_add_char(&b, '\0');
    send_all(s->browser, buf_span(&b));
    buf_free(&b);
    return call;
}

/* ---- one job ---- */

static void job_start(struct slot *s)
{
    *s = (struct slot){.browser = s->browser, .step = STEP_CONTEXT, .began_us = now_us()};
    all.begun++;
    s->call = command(s, "Target.createBrowserContext", "\"disposeOnDetach\":true");
}

static void job_scroll(struct slot *s)
{
    command(s, "Runtime.evaluate", "\"expression\":\"%s\",\"returnByValue\":true", SCROLL);
    s->nudge_us = now_us() + NUDGE_MS * 1000;
}

static void job_set_up(struct slot *s)
{
    command(s, "Page.enable", "%s", "");
    command(s, "Network.setBypassServiceWorker", "\"bypass\":true");
    command(s, "Network.enable", "\"maxTotalBufferSize\":%d,\"maxResourceBufferSize\":%d",
            4 * BODY_MAX, BODY_MAX);
    s->setup_left = 3;
    s->step = STEP_SETUP;
}

static void write_ids(const struct slot *s)
{
    if (!all.o.ids_file || all.ids_written)
        return;
    FILE *f = fopen(all.o.ids_file, "w");
    if (!f)
        die("%s cannot be written: %s", all.o.ids_file, strerror(errno));
    for (int i = 0; i < s->posts; i++)
        fprintf(f, "%s\n", s->ids[i]);
    fclose(f);
    all.ids_written = true;
}

static void job_end(struct slot *s)
{
    all.samples[all.done++] = (struct sample){(double)(s->counted_us - s->began_us) / 1000,
                                              (double)(now_us() - s->began_us) / 1000};
    s->step = STEP_IDLE;
    if (all.done == all.wanted / 2)
        all.pss_kb = tree_read(true).pss_kb;
    if (all.begun < all.wanted)
        job_start(s);
}

static void count_entry(struct slot *s, struct json entry)
{
    struct span id;
    if (!json_text(json_get(entry, SPAN("entryId")), &id) || !span_starts(id, SPAN("tweet-")))
        return;
    id = span_cut(id, 6, id.n);
    for (int i = 0; i < s->posts; i++)
        if (span_is(id, s->ids[i]))
            return; /* a pinned post comes again at its own place */
    if (s->posts < all.o.posts)
        span_copy(id, s->ids[s->posts++], sizeof s->ids[0]);
}

static void count_posts(struct slot *s, struct span text)
{
    struct json root;
    struct fault f = {0};
    if (json_parse(all.body, text, &root, &f))
        die("an answer of the page cannot be read: %s", f.words);
    struct json_iter step = json_each(json_find(root, SPAN("instructions"), JSON_ARRAY));
    while (json_next(&step)) {
        count_entry(s, json_get(step.value, SPAN("entry")));
        struct json_iter entry = json_each(json_get(step.value, SPAN("entries")));
        while (json_next(&entry))
            count_entry(s, entry.value);
    }
}

static void on_body(struct slot *s, struct json result)
{
    struct span text;
    if (!json_text(json_get(result, SPAN("body")), &text))
        die("a body came without text");
    s->body_call = 0;
    count_posts(s, text);
    if (s->posts < all.o.posts) {
        job_scroll(s);
        return;
    }
    s->counted_us = now_us();
    write_ids(s);
    s->session[0] = '\0'; /* a command to the browser itself */
    s->step = STEP_DISPOSE;
    s->call =
        command(s, "Target.disposeBrowserContext", "\"browserContextId\":\"%s\"", s->context);
}

static void keep_text(struct json from, const char *name, char out[ID_TEXT])
{
    struct span text;
    if (!json_text(json_get(from, span_of(name)), &text) || text.n >= ID_TEXT)
        die("an answer has no '%s'", name);
    span_copy(text, out, ID_TEXT);
}

static void on_answer(struct slot *s, uint32_t call, struct json result)
{
    char target[ID_TEXT];
    struct span why;
    bool any_call = s->step == STEP_SETUP || s->step == STEP_READ;
    if (!any_call && call != s->call)
        return;
    switch (s->step) {
    case STEP_CONTEXT:
        keep_text(result, "browserContextId", s->context);
        s->call = command(s, "Target.createTarget",
                          "\"url\":\"about:blank\",\"browserContextId\":\"%s\",\"width\":1280,"
                          "\"height\":2000",
                          s->context);
        s->step = STEP_TARGET;
        break;
    case STEP_TARGET:
        keep_text(result, "targetId", target);
        s->call =
            command(s, "Target.attachToTarget", "\"targetId\":\"%s\",\"flatten\":true", target);
        s->step = STEP_SESSION;
        break;
    case STEP_SESSION:
        keep_text(result, "sessionId", s->session);
        job_set_up(s);
        break;
    case STEP_SETUP:
        if (--s->setup_left)
            break;
        command(s, "Page.navigate", "\"url\":\"%s/%s\"", all.o.site, all.o.handle);
        s->nudge_us = now_us() + NUDGE_MS * 1000;
        s->step = STEP_READ;
        break;
    case STEP_READ:
        if (json_text(json_get(result, SPAN("errorText")), &why))
            die("the page could not be opened: %.*s", SP(why));
        if (call == s->body_call)
            on_body(s, result);
        break;
    case STEP_DISPOSE:
        job_end(s);
        break;
    case STEP_IDLE:
        break;
    }
}

static void on_event(struct slot *s, struct span method, struct json params)
{
    struct span id, url;
    if (span_is(method, "Inspector.targetCrashed"))
        die("a page crashed");
    if (s->step != STEP_READ || !json_text(json_get(params, SPAN("requestId")), &id))
        return;
    if (span_is(method, "Network.responseReceived")) {
        if (!json_text(json_path(params, "response.url"), &url) || id.n >= ID_TEXT ||
            span_find(url, SPAN("/UserTweets?")) == url.n)
            return;
        span_copy(id, s->request, sizeof s->request);
    } else if (span_is(method, "Network.loadingFinished") && span_is(id, s->request)) {
        s->request[0] = '\0';
        s->body_call = command(s, "Network.getResponseBody", "\"requestId\":\"%.*s\"", SP(id));
    } else if (span_is(method, "Network.loadingFailed") && span_is(id, s->request)) {
        die("a call of the page failed");
    }
}

/* ---- the loop ---- */

static struct slot *slot_of_session(struct span session)
{
    for (int i = 0; i < all.o.at_once; i++)
        if (all.slots[i].session[0] && span_is(session, all.slots[i].session))
            return &all.slots[i];
    return NULL;
}

static void on_message(struct span text)
{
    struct json m;
    struct span session, method, why;
    struct fault f = {0};
    int64_t call;
    if (json_parse(all.envelope, text, &m, &f))
        die("the browser sent something that cannot be read: %s", f.words);
    bool has_session = json_text(json_get(m, SPAN("sessionId")), &session);
    if (json_int(json_get(m, SPAN("id")), &call)) {
        struct slot *s = &all.slots[call % AT_ONCE_MAX];
        if (s->step == STEP_DISPOSE && has_session)
            return; /* an answer of the page that is being closed */
        if (json_text(json_path(m, "error.message"), &why))
            die("the browser refused a command: %.*s", SP(why));
        on_answer(s, (uint32_t)call, json_get(m, SPAN("result")));
    } else if (has_session && json_text(json_get(m, SPAN("method")), &method)) {
        struct slot *s = slot_of_session(session);
        if (s)
            on_event(s, method, json_get(m, SPAN("params")));
    }
}

static void browser_read(struct browser *b)
{
    char *room = buf_room(&b->inbox, 256 * 1024);
    if (!room)
        die("the browser sent too much at once");
    ssize_t n = read(b->from, room, 256 * 1024);
    if (n < 0 && errno == EINTR)
        return;
    if (n <= 0)
        die("the browser ended; does it start with its sandbox as an unprivileged user?");
    size_t done = 0, fresh = b->inbox.n;
    b->inbox.n += (size_t)n;
    /* What was there before has no end of message in it. */
    for (char *end; (end = memchr(b->inbox.p + fresh, '\0', b->inbox.n - fresh));) {
        size_t at = (size_t)(end - b->inbox.p);
        on_message((struct span){b->inbox.p + done, at - done});
        done = fresh = at + 1;
    }
    buf_drop(&b->inbox, done);
}

static void look_at_clock(void)
{
    int64_t now = now_us();
    for (int i = 0; i < all.o.at_once; i++) {
        struct slot *s = &all.slots[i];
        if (s->step == STEP_IDLE)
            continue;
        if (now - s->began_us > JOB_MS * 1000LL)
            die("a job did not end in %d s: step %d, %d posts", JOB_MS / 1000, (int)s->step,
                s->posts);
        if (s->step == STEP_READ && !s->request[0] && !s->body_call && now > s->nudge_us) {
            all.nudges++;
            job_scroll(s);
        }
    }
}

static void wait_once(int timeout_ms)
{
    struct pollfd p[BROWSERS_MAX];
    for (int i = 0; i < all.o.browsers; i++)
        p[i] = (struct pollfd){.fd = all.browsers[i].from, .events = POLLIN};
    if (poll(p, (nfds_t)all.o.browsers, timeout_ms) < 0 && errno != EINTR)
        die("poll: %s", strerror(errno));
    if (asked_to_stop)
        die("stopped by signal %d", (int)asked_to_stop);
    for (int i = 0; i < all.o.browsers; i++)
        if (p[i].revents)
            browser_read(&all.browsers[i]);
}

static void run_jobs(int count)
{
    all.wanted = count;
    all.begun = all.done = 0;
    for (int i = 0; i < all.o.at_once && i < count; i++) {
        all.slots[i].browser = &all.browsers[i % all.o.browsers];
        job_start(&all.slots[i]);
    }
    while (all.done < count) {
        wait_once(100);
        look_at_clock();
    }
}

/* The renderers of disposed contexts end a little later; their time belongs to the jobs. */
static struct tree settle(int processes)
{
    int64_t until = now_us() + SETTLE_MS * 1000LL;
    struct tree t = tree_read(false);
    while (t.processes > processes && now_us() < until) {
        wait_once(20);
        t = tree_read(false);
    }
    return t;
}

/* ---- result ---- */

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Nearest rank; sorts. */
static double percentile(double *v, int n, int percent)
{
    qsort(v, (size_t)n, sizeof *v, compare);
    int rank = (n * percent + 99) / 100;
    return v[rank > 0 ? rank - 1 : 0];
}

static void report(double seconds, int64_t browser_ms, int64_t own_us)
{
    int n = all.o.jobs;
    double *counted = calloc((size_t)n, sizeof *counted),
           *whole = calloc((size_t)n, sizeof *whole);
    need(counted && whole);
    for (int i = 0; i < n; i++) {
        counted[i] = all.samples[i].counted_ms;
        whole[i] = all.samples[i].whole_ms;
    }
    printf(
        "program=reference jobs=%d at_once=%d browsers=%d seconds=%.2f jobs_per_min=%.1f "
        "median_ms=%.0f p95_ms=%.0f whole_median_ms=%.0f whole_p95_ms=%.0f browser_cpu_ms=%.0f "
        "own_cpu_ms=%.1f browser_pss_mb=%.0f own_pss_mb=%.1f nudges=%lld\n",
        n, all.o.at_once, all.o.browsers, seconds, n * 60 / seconds, percentile(counted, n, 50),
        percentile(counted, n, 95), percentile(whole, n, 50), percentile(whole, n, 95),
        (double)browser_ms / n, (double)own_us / 1000 / n, (double)all.pss_kb / 1024,
        (double)process_pss_kb(getpid()) / 1024, (long long)all.nudges);
    free(counted);
    free(whole);
}

static void open_browsers(void)
{
    struct slot *s = &all.slots[0];
    for (int i = 0; i < all.o.browsers; i++) {
        struct browser *b = &all.browsers[i];
        browser_open(b);
        s->browser = b;
        command(s, "Browser.getVersion", "%s", "");
        int64_t until = now_us() + START_MS * 1000LL;
        struct pollfd p = {.fd = b->from, .events = POLLIN};
        while (poll(&p, 1, 100) == 0)
            if (now_us() > until)
                die("the browser did not answer in %d s", START_MS / 1000);
        browser_read(b);
    }
}

static int number(const char *text, int most, const char *what)
{
    int64_t v;
    if (!span_int(span_of(text), &v) || v < 0 || v > most)
        die("%s must be a number up to %d", what, most);
    return (int)v;
}

static void read_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"site", required_argument, NULL, 's'},    {"handle", required_argument, NULL, 'h'},
        {"posts", required_argument, NULL, 'p'},   {"jobs", required_argument, NULL, 'j'},
        {"at-once", required_argument, NULL, 'a'}, {"browsers", required_argument, NULL, 'b'},
        {"warm", required_argument, NULL, 'w'},    {"ids", required_argument, NULL, 'i'},
        {"binary", required_argument, NULL, 'x'},  {NULL, 0, NULL, 0}};
    struct options *o = &all.o;
    *o = (struct options){.handle = "practice_500",
                          .binary = "/usr/lib/chromium/chromium-headless-shell",
                          .posts = 100,
                          .jobs = 40,
                          .at_once = 4,
                          .browsers = 1,
                          .warm = -1};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (c) {
        case 's':
            o->site = optarg;
            break;
        case 'h':
            o->handle = optarg;
            break;
        case 'i':
            o->ids_file = optarg;
            break;
        case 'x':
            o->binary = optarg;
            break;
        case 'p':
            o->posts = number(optarg, POSTS_MAX, "--posts");
            break;
        case 'j':
            o->jobs = number(optarg, JOBS_MAX, "--jobs");
            break;
        case 'a':
            o->at_once = number(optarg, AT_ONCE_MAX, "--at-once");
            break;
        case 'b':
            o->browsers = number(optarg, BROWSERS_MAX, "--browsers");
            break;
        case 'w':
            o->warm = number(optarg, JOBS_MAX, "--warm");
            break;
        default:
            exit(64);
        }
    }
    if (!o->site || !o->posts || !o->jobs || !o->at_once || !o->browsers)
        die("usage: reference --site URL [--handle NAME] [--posts N] [--jobs N] [--at-once N] "
            "[--browsers 1|2] [--warm N] [--ids FILE] [--binary PATH]");
    if (o->warm < 0)
        o->warm = o->at_once;
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    all.envelope = json_parser_new(INBOX_MAX);
    all.body = json_parser_new(BODY_MAX);
    int most = all.o.warm > all.o.jobs ? all.o.warm : all.o.jobs;
    all.samples = calloc((size_t)most, sizeof *all.samples);
    need(all.samples);
    open_browsers();
    int idle = tree_read(false).processes;
    if (all.o.warm)
        run_jobs(all.o.warm);
    all.nudges = 0;
    struct tree before = settle(idle);
    int64_t own_before = own_cpu_us(), began = now_us();
    run_jobs(all.o.jobs);
    double seconds = (double)(now_us() - began) / 1e6;
    int64_t own_after = own_cpu_us();
    struct tree after = settle(before.processes);
    report(seconds, after.cpu_ms - before.cpu_ms, own_after - own_before);
    close_all();
    json_parser_free(&all.envelope);
    json_parser_free(&all.body);
    free(all.samples);
    return 0;
}
