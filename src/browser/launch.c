#include "browser/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/need.h"
#include "browser/browser.h"
#include "os/files.h"
#include "os/spawn.h"

enum {
    PIPE_SIZE = 1 << 20,
    FILES_MAX = 4096,
    NICE = 5,
    FD_TO_BROWSER = 3,
    FD_FROM_BROWSER = 4,
    FD_CONTROL = 5,
    NAMESPACE_PORT = 3128,
    FLAGS_MAX = 48,
    SHARED_MEMORY_MIN = 512 << 20,
};

/* ---- node's side ---- */

static void close_all(int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
}

err launch_start(const struct launch *l, struct launched *out, struct fault *f)
{
    int to[2] = {-1, -1}, from[2] = {-1, -1}, control[2] = {-1, -1}, words[2] = {-1, -1};
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0 ||
        pipe2(words, O_CLOEXEC | O_NONBLOCK) != 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) != 0) {
        close_all(to, 2);
        close_all(from, 2);
        close_all(words, 2);
        return fail(f, E_OS,
                    "no descriptors for a browser: errno %d; raise the limit on open files",
                    errno);
    }
    /* Best effort: a busy browser must not wait for us after every 64 KiB. */
    (void)!fcntl(to[1], F_SETPIPE_SZ, PIPE_SIZE);
    (void)!fcntl(from[0], F_SETPIPE_SZ, PIPE_SIZE);
    char tier[8], parent[16], agent[512];
    snprintf(tier, sizeof tier, "%d", (int)l->isolation);
    snprintf(parent, sizeof parent, "%d", (int)getpid());
    struct spawn s = {
        .args = {"fulmar: launcher", "@launch", l->binary, l->folder, tier, parent,
                 span_copy(l->user_agent, agent, sizeof agent)},
        .fds = {{to[0], FD_TO_BROWSER},
                {from[1], FD_FROM_BROWSER},
                {control[1], FD_CONTROL},
                {words[1], 2}},
        .fd_count = 4,
        .own_group = true,
        .death_signal = SIGKILL,
        .data_max = l->data_max,
        .files_max = FILES_MAX,
        .nice = NICE,
        .folder = l->folder,
    };
    err e = spawn_start(&s, &out->pid, f);
    close(to[0]);
    close(from[1]);
    close(control[1]);
    close(words[1]);
    if (e) {
        close(words[0]);
        close(to[1]);
        close(from[0]);
        close(control[0]);
        return e;
    }
    out->to_fd = to[1];
    out->from_fd = from[0];
    out->control_fd = control[0];
    out->stderr_fd = words[0];
    return E_OK;
}

err launch_receive(int control_fd, int *out_listener, struct fault *f)
{
    char text[240];
    size_t n, count;
    int fds[4];
    err e = files_receive_fds(control_fd, text, sizeof text, &n, fds, &count);
    if (e == E_BUSY)
        return e;
    struct span said = {text, e ? 0 : n};
    if (!e && count == 1 && span_is(said, "listener")) {
        *out_listener = fds[0];
        return E_OK;
    }
    close_all(fds, 4);
    if (e == E_END)
        return fail(f, E_OS, "the browser's launcher ended before it opened its network");
    return fail(f, E_OS, "the browser's launcher: %.*s", SP(said));
}

err browser_find(struct span configured, char out_path[256], struct fault *f)
{
    static const char *const usual[] = {"/usr/lib/chromium/chromium-headless-shell",
                                        "/usr/lib/chromium/chromium"};
    if (configured.n > 0) {
        span_copy(configured, out_path, 256);
        if (access(out_path, X_OK) == 0)
            return E_OK;
        return fail(
            f, E_NOT_FOUND,
            "there is no browser at %s; correct the path or install chromium-headless-shell",
            out_path);
    }
    for (size_t i = 0; i < 2; i++) {
        if (access(usual[i], X_OK) == 0) {
            span_copy(span_of(usual[i]), out_path, 256);
            return E_OK;
        }
    }
    return fail(
        f, E_NOT_FOUND,
        "no browser was found; install the package chromium-headless-shell or set its path");
}

/* ---- walls around the browser ---- */

static bool holds(const char *folder, const char *path)
{
    size_t n = strlen(folder);
    return strncmp(folder, path, n) == 0 &&
           (path[n] == '/' || path[n] == '\0' || (n == 1 && *folder == '/'));
}

size_t launch_paths(const char *binary, const char *private_path,
                    struct sandbox_path out[LAUNCH_PATHS_MAX])
{
    static const char *const system_folders[] = {
        "/bin",       "/sbin",          "/lib",           "/lib32",           "/lib64",
        "/usr/bin",   "/usr/sbin",      "/usr/lib",       "/usr/lib32",       "/usr/lib64",
        "/usr/share", "/usr/local/bin", "/usr/local/lib", "/usr/local/share", "/opt"};
    static char real[PATH_MAX], folder[PATH_MAX];
    char kept[PATH_MAX];
    size_t n = 0;
    if (!realpath(private_path, kept))
        return 0;
    for (size_t i = 0; i < sizeof system_folders / sizeof *system_folders; i++) {
        if (!holds(system_folders[i], kept))
            out[n++] = (struct sandbox_path){system_folders[i], PATH_RUN};
    }
    if (!realpath(binary, real))
        return n;
    out[n++] = (struct sandbox_path){real, PATH_RUN};
    size_t end = (size_t)(strrchr(real, '/') - real);
    span_copy((struct span){real, end ? end : 1}, folder, sizeof folder);
    if (!holds(folder, kept))
        out[n++] = (struct sandbox_path){folder, PATH_RUN};
    return n;
}

/* For one instance per profile; the headless shell does without. */
bool launch_needs_sockets(const char *binary)
{
    return span_ends(span_of(binary), SPAN("/chromium"));
}

/* Without Landlock Chromium runs all the same: node has said at its start that it is missing.
 */
static err wall_in(const char *binary, const char *folder, struct fault *f)
{
    static const struct sandbox_path fixed[] = {{"/etc", PATH_READ},
                                                {"/sys", PATH_READ},
                                                {"/proc", PATH_WRITE},
                                                {"/var/cache/fontconfig", PATH_READ},
                                                {"/run/systemd/resolve", PATH_READ},
                                                {"/dev/null", PATH_WRITE},
                                                {"/dev/zero", PATH_WRITE},
                                                {"/dev/full", PATH_WRITE},
                                                {"/dev/random", PATH_READ},
                                                {"/dev/urandom", PATH_READ},
                                                {"/dev/shm", PATH_OWN}};
    enum { FIXED = sizeof fixed / sizeof *fixed };
    struct sandbox_path paths[LAUNCH_PATHS_MAX + FIXED + 1];
    size_t n = launch_paths(binary, folder, paths);
    memcpy(paths + n, fixed, sizeof fixed);
    n += FIXED;
    paths[n++] = (struct sandbox_path){folder, PATH_OWN};
    err e = sandbox_landlock_abi() > 0 ? sandbox_files(paths, n, true, f) : E_OK;
    if (!e && !launch_needs_sockets(binary))
        e = sandbox_browser(f);
    return e;
}

/* ---- the launcher's side ---- */

struct flags {
    char *list[FLAGS_MAX];
    size_t n;
};

static void add(struct flags *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct flags *g, const char *fmt, ...)
{
    need(g->n + 1 < FLAGS_MAX);
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&g->list[g->n], fmt, ap) < 0)
        bug("no memory for the browser's flags");
    va_end(ap);
    g->list[++g->n] = NULL;
}

static void add_fixed(struct flags *g)
{
    static const char *const fixed[] = {
        "--headless", /* the shell ignores it, the full browser needs it */
        "--remote-debugging-pipe",
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
        "--block-new-web-contents",
        "--disable-background-timer-throttling",
        "--disable-backgrounding-occluded-windows",
        "--disable-renderer-backgrounding",
        "--blink-settings=imagesEnabled=false",
        /* Without the first, loopback and link-local go past the proxy; without "force", WebRTC
           does. */
        "--proxy-bypass-list=<-loopback>",
        "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ("--disable-features=Translate,OptimizationHints,MediaRouter,"
         "SpareRendererForSitePerProcess,BackForwardCache,PaintHolding"),
        "--js-flags=--max-old-space-size=256",
        "--log-level=3",
        "--lang=en-US",
    };
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        add(g, "%s", fixed[i]);
}

static bool shared_memory_is_small(void)
{
    struct statvfs v;
    return statvfs("/dev/shm", &v) != 0 || access("/dev/shm", W_OK) != 0 ||
           v.f_bavail * v.f_frsize < SHARED_MEMORY_MIN;
}

static void add_flags(struct flags *g, const char *binary, const char *folder, uint16_t port,
                      const char *agent)
{
    add(g, "%s", binary);
    add_fixed(g);
    add(g, "--user-data-dir=%s/profile", folder);
    add(g, "--proxy-server=127.0.0.1:%u", port);
    if (shared_memory_is_small())
        add(g, "--disable-dev-shm-usage");
    if (*agent)
        add(g, "--user-agent=%s", agent);
}

/* A clean environment: proxy variables, session buses and the like would change what it does.
 */
static void add_env(struct flags *env, const char *folder)
{
    static const char *const names[] = {"HOME",           "TMPDIR",        "XDG_CONFIG_HOME",
                                        "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        add(env, "%s=%s", names[i], folder);
    add(env, "PATH=/usr/bin:/bin");
    add(env, "LANG=C.UTF-8");
    add(env, "TZ=UTC");
}

static err open_network(enum isolation tier, uint16_t *port, int *out_listener, struct fault *f)
{
    *port = NAMESPACE_PORT;
    if (tier == ISOLATION_NAMESPACE)
        return sandbox_network(*port, out_listener, f);
    return sandbox_connect_only(port, out_listener, tier == ISOLATION_LANDLOCK, f);
}

static err prepare(enum isolation tier, pid_t parent, uint16_t *port, struct fault *f)
{
    int listener = -1;
    err e = open_network(tier, port, &listener, f);
    if (e)
        return e;
    e = files_send_fds(FD_CONTROL, SPAN("listener"), &listener, 1);
    close(listener);
    if (e)
        return fail(f, e, "node did not take the listener");
    e = sandbox_no_new_privs(f);
    /* The kernel forgets it with the new user namespace. */
    if (!e && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        e = fail(f, E_OS, "no death signal: errno %d", errno);
    if (!e && getppid() != parent)
        e = fail(f, E_SHUTDOWN, "node has gone");
    return e;
}

static int complain(const char *words)
{
    char text[240];
    int n = snprintf(text, sizeof text, "error: %s", words);
    if (n > 0 && files_send_fds(FD_CONTROL, span_of(text), NULL, 0) != E_OK)
        fprintf(stderr, "fulmar launcher: %s\n", words);
    return 70;
}

int launch_main(int argc, char **argv)
{
    if (argc != 7)
        return complain("wrong number of arguments");
    const char *binary = argv[2], *folder = argv[3], *agent = argv[6];
    int64_t tier, parent;
    if (!span_int(span_of(argv[4]), &tier) || tier < ISOLATION_FLAGS ||
        tier > ISOLATION_NAMESPACE || !span_int(span_of(argv[5]), &parent))
        return complain("wrong arguments");
    struct fault fault = {0};
    uint16_t port;
    struct flags flags = {0}, env = {0};
    if (prepare((enum isolation)tier, (pid_t)parent, &port, &fault))
        return complain(fault.words);
    add_flags(&flags, binary, folder, port, agent);
    add_env(&env, folder);
    files_close_on_exec(FD_CONTROL, true);
    if (wall_in(binary, folder, &fault))
        return complain(fault.words);
    execve(binary, flags.list, env.list);
    snprintf(fault.words, sizeof fault.words, "cannot run %s: errno %d", binary, errno);
    return complain(fault.words);
}
