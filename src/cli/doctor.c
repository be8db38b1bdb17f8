#include "cli/checks.h"

#include "browser/browser.h"
#include "extract/pack.h"
#include "os/clock.h"
#include "os/files.h"
#include "os/sandbox.h"
#include "os/spawn.h"
#include "store/sqlite/spool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BROWSER_MIB = 175, /* measured: one Chromium */
    TAB_MIB = 40,
    VERSION_MS = 10 * 1000,
    FILES_LEAST = 1024,
    FILES_GOOD = 4096,
};

struct doctor {
    struct cli *cli;
    struct checks *checks;
    struct settings *settings;
    char state_dir[CONFIG_PATH_MAX];
};

/* ---- configuration, folders, disk ---- */

static void check_config(struct doctor *d)
{
    struct fault f = {0};
    err e = config_load(d->cli->arena, d->cli->config, NULL, &d->cli->settings,
                        d->cli->config_file, &f);
    d->settings = &d->cli->settings;
    if (e) {
        settings_default(d->settings);
        checks_add(d->checks, "config", HEALTH_FAIL,
                   "correct the file, then: fulmar config check", "%s",
                   f.words[0] ? f.words : err_text(e));
        return;
    }
    checks_add(d->checks, "config", HEALTH_OK, NULL, "%s",
               d->cli->config_file[0] ? d->cli->config_file
                                      : "no file; every setting has its default");
}

static void check_sites(struct doctor *d)
{
    char folder[CONFIG_PATH_MAX], **names, good[200] = "";
    size_t count, bad = 0;
    struct fault f = {0};
    err e = config_sites_dir(d->settings, folder, &f);
    if (!e)
        e = files_list(folder, d->cli->arena, &names, &count, &f);
    if (e) {
        checks_add(d->checks, "sites", HEALTH_FAIL,
                   "set site.path or $FULMAR_SITES to the folder of the site packs", "%s",
                   f.words);
        return;
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < count; i++) {
        struct pack *pack = NULL;
        struct fault why = {0};
        if (faccessat(fd, arena_fmt(d->cli->arena, "%s/site.yaml", names[i]), R_OK, 0))
            continue;
        if (pack_open(&pack, fd, names[i], &why)) {
            bad++;
            checks_add(d->checks, "sites", HEALTH_FAIL, "correct the pack, or install it again",
                       "%s", why.words);
            continue;
        }
        size_t used = strlen(good);
        snprintf(good + used, sizeof good - used, "%s%.*s %.*s", used ? ", " : "",
                 SP(pack_name(pack)), SP(pack_version(pack)));
        pack_close(&pack);
    }
    if (fd >= 0)
        close(fd);
    if (!good[0] && !bad)
        checks_add(d->checks, "sites", HEALTH_FAIL,
                   "install the site packs there, or set site.path", "no site pack in %s",
                   folder);
    else if (good[0])
        checks_add(d->checks, "sites", HEALTH_OK, NULL, "%s: %s", folder, good);
}

/* The folder itself or, when it is not there yet, the nearest one above it. */
static void nearest_there(char path[CONFIG_PATH_MAX])
{
    while (access(path, F_OK) != 0) {
        char *slash = strrchr(path, '/');
        if (!slash || slash == path) {
            memcpy(path, "/", 2);
            return;
        }
        *slash = '\0';
    }
}

/* What a service that was killed could not say: jobs that only this disk has. */
static void check_spool(struct doctor *d)
{
    struct fault f = {0};
    struct spool_view spool = {0};
    if (!d->state_dir[0])
        return;
    if (spool_peek(d->state_dir, &spool, &f))
        checks_add(d->checks, "spool", HEALTH_WARN, "run this as the user of the service", "%s",
                   f.words);
    else if (spool.waiting)
        checks_add(d->checks, "spool", HEALTH_WARN,
                   "start the service on this folder, with store.queue and store.spool, under "
                   "whichever name: it hands them over",
                   "%lld jobs in %s/spool.db that the Redis does not have yet",
                   (long long)spool.waiting, d->state_dir);
    if (spool.aside)
        checks_add(d->checks, "spool", HEALTH_WARN,
                   "the log of the service names them (spool.aside): order them again",
                   "%lld jobs in %s/spool.db that the Redis did not take",
                   (long long)spool.aside, d->state_dir);
}

static void check_state_dir(struct doctor *d)
{
    struct fault f = {0};
    if (config_state_dir(d->settings, d->state_dir, &f)) {
        checks_add(d->checks, "state folder", HEALTH_FAIL, "set store.path", "%s", f.words);
        return;
    }
    char there[CONFIG_PATH_MAX];
    memcpy(there, d->state_dir, sizeof there);
    nearest_there(there);
    if (access(there, W_OK | X_OK) != 0)
        checks_add(d->checks, "state folder", HEALTH_FAIL,
                   "make it writable for this user, or set store.path to one that is",
                   "%s cannot be written", there);
    else if (strcmp(there, d->state_dir) != 0)
        checks_add(d->checks, "state folder", HEALTH_OK, NULL, "%s (will be made)",
                   d->state_dir);
    else
        checks_add(d->checks, "state folder", HEALTH_OK, NULL, "%s", d->state_dir);

    struct statvfs disk;
    if (statvfs(there, &disk))
        return;
    int64_t available = (int64_t)(disk.f_bavail * disk.f_frsize),
            floor = SETTING(d->settings, store, disk_floor);
    enum health health = available < floor                 ? HEALTH_FAIL
                         : available < floor + (1LL << 30) ? HEALTH_WARN
                                                           : HEALTH_OK;
    checks_add(d->checks, "disk", health,
               "free some space there; below store.disk_floor no job is accepted",
               "%lld MiB available at %s", (long long)(available >> 20), there);
}

static void check_socket(struct doctor *d)
{
    char path[CONFIG_PATH_MAX];
    struct fault f = {0};
    if (config_socket(d->settings, path, &f))
        checks_add(d->checks, "socket", HEALTH_FAIL, "set api.socket to a shorter path", "%s",
                   f.words);
    else
        checks_add(d->checks, "socket", HEALTH_OK, NULL, "%s", path);
}

/* ---- the browser and its walls ---- */

/* First line that `binary --version` prints; false when it does not run. */
static bool version_of(const char *binary, char out[120])
{
    int fds[2];
    pid_t pid;
    if (pipe2(fds, O_CLOEXEC))
        return false;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct spawn s = {.path = binary,
                      .args = {binary, "--version"},
                      .env = {"PATH=/usr/bin:/bin", "HOME=/nonexistent"},
                      .fds = {{null, 0}, {fds[1], 1}, {null, 2}},
                      .fd_count = 3,
                      .own_group = true};
    err e = spawn_start(&s, &pid, NULL);
    close(fds[1]);
    if (null >= 0)
        close(null);
    size_t n = 0;
    mono deadline = mono_add(clock_mono(), VERSION_MS);
    while (!e && n < 119) {
        struct pollfd p = {.fd = fds[0], .events = POLLIN};
        if (poll(&p, 1, (int)mono_left(deadline, clock_mono())) != 1)
            break;
        ssize_t got = read(fds[0], out + n, 119 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    close(fds[0]);
    if (!e) {
        spawn_kill_group(pid);
        waitpid(pid, NULL, 0);
    }
    span_copy(span_trim(span_cut((struct span){out, n}, 0,
                                 span_find_char((struct span){out, n}, '\n'))),
              out, 120);
    return !e && n > 0;
}

static void check_browser(struct doctor *d)
{
    char path[256], version[120];
    struct fault f = {0};
    if (browser_find(SETTING_S(d->settings, browser, binary), path, &f)) {
        checks_add(d->checks, "chromium", HEALTH_FAIL,
                   "apt install chromium-headless-shell, or set browser.binary", "%s", f.words);
        return;
    }
    if (version_of(path, version))
        checks_add(d->checks, "chromium", HEALTH_OK, NULL, "%s (%s)", path, version);
    else
        checks_add(d->checks, "chromium", HEALTH_FAIL,
                   "install it again, or set browser.binary to one that runs",
                   "%s does not say its version", path);
}

static void check_isolation(struct doctor *d)
{
    static const enum isolation least[] = {ISOLATION_NAMESPACE, ISOLATION_LANDLOCK,
                                           ISOLATION_FLAGS};
    int64_t wanted = SETTING(d->settings, browser, isolation);
    enum isolation reached = sandbox_probe();
    enum isolation needed = wanted >= 0 && wanted < 3 ? least[wanted] : ISOLATION_NAMESPACE;
    checks_add(d->checks, "isolation", reached >= needed ? HEALTH_OK : HEALTH_FAIL,
               "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, "
               "user.max_user_namespaces>0), run as "
               "root, or lower browser.isolation knowing what that means",
               "browsers get: %s; wanted: %s", isolation_name(reached), isolation_name(needed));
}

static void check_namespaces(struct doctor *d)
{
    struct buf text = BUF(64);
    int64_t most = -1;
    if (!files_read(AT_FDCWD, "/proc/sys/user/max_user_namespaces", 64, &text, NULL))
        span_int(span_trim(buf_span(&text)), &most);
    buf_free(&text);
    checks_add(d->checks, "user namespaces", most > 0 ? HEALTH_OK : HEALTH_WARN,
               "sysctl user.max_user_namespaces=15000",
               most > 0 ? "at most %lld" : "none allowed (%lld)", (long long)most);
}

static void check_landlock(struct doctor *d)
{
    long version =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version > 0)
        checks_add(d->checks, "landlock", HEALTH_OK, NULL, "version %ld", version);
    else
        checks_add(
            d->checks, "landlock", HEALTH_WARN,
            "use a kernel from 5.13 on with lsm=landlock; without it one wall is missing",
            "this kernel has none");
}

/* ---- limits of the machine ---- */

static void check_files(struct doctor *d)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files))
        return;
    enum health health = files.rlim_max < FILES_LEAST  ? HEALTH_FAIL
                         : files.rlim_max < FILES_GOOD ? HEALTH_WARN
                                                       : HEALTH_OK;
    checks_add(d->checks, "open files", health,
               "raise the hard limit: LimitNOFILE= of the service, or ulimit -Hn",
               "at most %llu", (unsigned long long)files.rlim_max);
}

static void check_shm(struct doctor *d)
{
    struct statvfs shm;
    if (statvfs("/dev/shm", &shm)) {
        checks_add(d->checks, "/dev/shm", HEALTH_WARN,
                   "mount a tmpfs there; pages of the browser live in it", "is not there");
        return;
    }
    int64_t mib = (int64_t)(shm.f_blocks * shm.f_frsize) >> 20;
    checks_add(d->checks, "/dev/shm", mib < 64 ? HEALTH_WARN : HEALTH_OK,
               "make it larger (containers: --shm-size=1g)", "%lld MiB", (long long)mib);
}

static int64_t available_mib(void)
{
    struct buf text = BUF(16 * 1024);
    int64_t kib = -1;
    if (!files_read(AT_FDCWD, "/proc/meminfo", 16 * 1024, &text, NULL)) {
        struct span rest = buf_span(&text), line;
        while (span_next(&rest, '\n', &line)) {
            if (!span_starts(line, SPAN("MemAvailable:")))
                continue;
            struct span value = span_trim(span_cut(line, 13, line.n));
            span_int(span_cut(value, 0, span_find_char(value, ' ')), &kib);
        }
    }
    buf_free(&text);
    return kib < 0 ? -1 : kib / 1024;
}

static void check_memory(struct doctor *d)
{
    int64_t have = available_mib();
    int64_t wanted = SETTING(d->settings, browser, count) * BROWSER_MIB +
                     SETTING(d->settings, worker, count) * TAB_MIB;
    if (have < 0)
        return;
    checks_add(d->checks, "memory", have < wanted ? HEALTH_WARN : HEALTH_OK,
               "lower browser.count and worker.count",
               "%lld MiB available; browsers and their pages take about %lld MiB",
               (long long)have, (long long)wanted);
}

static void check_clock(struct doctor *d)
{
    char when[WHEN_TEXT];
    wall now = clock_wall();
    bool sane = now.ms > when_days(2024, 1, 1) * 86400000LL;
    checks_add(d->checks, "clock", sane ? HEALTH_OK : HEALTH_FAIL,
               "set the clock; certificates and ids depend on it", "%s", when_text(now, when));
}

static void check_sqlite(struct doctor *d)
{
    int major = 0, minor = 0, patch = 0;
    if (sscanf(store_version(), "%d.%d.%d", &major, &minor, &patch) != 3)
        return;
    bool fixed = major > 3 || (major == 3 && (minor > 51 || (minor == 51 && patch >= 3)));
    checks_add(
        d->checks, "sqlite", fixed ? HEALTH_OK : HEALTH_WARN,
        "3.51.3 mends a rare corruption of the write-ahead log with several connections; "
        "Fulmar writes with one, "
        "so an update is welcome but not urgent",
        "%s", store_version());
}

/* ---- the port, and who we are ---- */

static bool parse_listen(const struct doctor *d, struct sockaddr_storage *out,
                         socklen_t *out_size)
{
    char host[128];
    uint16_t port = htons((uint16_t)SETTING(d->settings, api, port));
    span_copy(SETTING_S(d->settings, api, host), host, sizeof host);
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    *out = (struct sockaddr_storage){0};
    if (strcmp(host, "localhost") == 0 || inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = port;
        if (strcmp(host, "localhost") == 0)
            v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        *out_size = sizeof *v4;
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
        return false;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = port;
    *out_size = sizeof *v6;
    return true;
}

static bool service_answers(const char *server)
{
    struct client *client = NULL;
    struct client_answer answer = {0};
    struct client_request q = {.method = "GET", .path = "/livez", .timeout_ms = 2000};
    bool ours = !client_open(&client, span_of(server), NULL) &&
                !client_send(client, &q, &answer, NULL) && answer.status == 200 &&
                span_is(buf_span(&answer.body), "ok\n");
    buf_free(&answer.body);
    client_close(&client);
    return ours;
}

static void check_port(struct doctor *d)
{
    struct sockaddr_storage address;
    socklen_t size;
    long long port = (long long)SETTING(d->settings, api, port);
    struct span host = SETTING_S(d->settings, api, host);
    if (!parse_listen(d, &address, &size)) {
        checks_add(d->checks, "port", HEALTH_FAIL, "set api.host to an IP address",
                   "api.host is '%.*s'", SP(host));
        return;
    }
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0)
        return;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    int error = bind(fd, (struct sockaddr *)&address, size) ? errno : 0;
    close(fd);
    bool v6 = address.ss_family == AF_INET6;
    char *server = arena_fmt(d->cli->arena, "http://%s%.*s%s:%lld", v6 ? "[" : "", SP(host),
                             v6 ? "]" : "", port);
    if (!error)
        checks_add(d->checks, "port", HEALTH_OK, NULL, "%.*s port %lld is free", SP(host),
                   port);
    else if (error == EADDRINUSE && service_answers(server))
        checks_add(d->checks, "port", HEALTH_OK, NULL, "a Fulmar service answers at %s",
                   server);
    else if (error == EADDRINUSE)
        checks_add(d->checks, "port", HEALTH_FAIL, "set api.port to another one",
                   "%s is taken by another program", server);
    else
        checks_add(d->checks, "port", HEALTH_FAIL,
                   "set api.host and api.port to what this user may listen on",
                   "%s cannot be listened on", server);
}

static void check_user(struct doctor *d)
{
    if (getuid() != 0) {
        checks_add(d->checks, "user", HEALTH_OK, NULL, "not root");
        return;
    }
    char name[CONFIG_USER_MAX];
    if (sandbox_user_exists(config_user(d->settings, name)))
        checks_add(d->checks, "user", HEALTH_INFO, NULL, "root: the service becomes user %s",
                   name);
    else
        checks_add(d->checks, "user", HEALTH_FAIL,
                   "make the user, or set service.user to one that is there",
                   "root: the service should become user %s, who does not exist", name);
}

/* ---- the verb ---- */

int doctor_run(struct cli *c)
{
    static void (*const steps[])(struct doctor * d) = {
        check_config,   check_sites,   check_state_dir, check_spool,
        check_socket,   check_browser, check_isolation, check_namespaces,
        check_landlock, check_files,   check_shm,       check_memory,
        check_clock,    check_sqlite,  check_port,      check_user,
    };
    if (c->word_count > 1)
        return cli_usage("doctor", "too many words");
    struct doctor d = {.cli = c, .checks = arena_new_of(c->arena, struct checks)};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        size_t before = d.checks->count;
        steps[i](&d);
        if (!c->json)
            checks_print(c, d.checks, before);
    }
    bool healthy = checks_pass(d.checks);
    if (c->json)
        checks_put(c, d.checks, "doctor");
    else if (!c->quiet)
        printf("%s\n",
               healthy ? "this machine can run Fulmar" : "something has to be mended first");
    return healthy ? EXIT_DONE : EXIT_UNHEALTHY;
}
