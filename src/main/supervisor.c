/* The supervisor: holds the listening sockets, starts node and egress, starts them again when they
 * end, stops them when asked. It parses nothing but the configuration and never touches the store.
 *
 * Failure modes: a child dies → again at once, then with a growing pause; after six early deaths
 * (each within a second of its start) in a minute it gives up and says so. A child that cannot start (configuration, second daemon, no
 * browser) ends the service with that child's code. The supervisor itself dies → node and egress see
 * end of file and leave. */
#include "main/roles.h"

#include "base/log.h"
#include "base/need.h"
#include "os/clock.h"
#include "os/files.h"
#include "os/sandbox.h"
#include "os/spawn.h"
#include "upkeep/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BACKLOG = 1024,
    SETS_MAX = 64, /* --set on the command line */
    DEATHS_MAX = 5,
    LIFE_SHORT_MS = 1000,
    DEATHS_WINDOW_MS = 60000,
    RESTART_FIRST_MS = 100,
    STOP_SLACK_MS = 6000,
    LIFE_FD = 3, /* of an embedded service: its user's life */
    EXIT_CONFIG = 78,
    EXIT_UNAVAILABLE = 69,
    EXIT_TROUBLE = 70,
};

struct child {
    const char *name, *word;
    pid_t pid;
    mono deaths[DEATHS_MAX];
    int death_count;
    mono born;
    mono start_at; /* when to start it again */
    bool wanted;
};

struct supervisor {
    struct arena *arena;
    struct settings settings;
    char state_dir[CONFIG_PATH_MAX], sites_dir[CONFIG_PATH_MAX], socket_path[CONFIG_PATH_MAX];
    int tcp, unix_, sites, signals, life;
    int egress_pair[2];  /* [0] node's end, [1] egress's end; kept so that either may be replaced */
    int control;         /* to the node */
    struct child node, egress;
    bool embedded, stopping;
    mono stop_by;
    int code;
};

/* ---- preparing, before any privilege is dropped ---- */

static err listen_tcp(struct supervisor *s, struct fault *f)
{
    char host[64];
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)SETTING(&s->settings, api, port))};
    int one = 1;
    span_copy(SETTING_S(&s->settings, api, host), host, sizeof host);
    if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
        return fail(f, E_CONFIG, "api.host '%s' is not an IPv4 address", host);
    s->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->tcp < 0)
        return fail(f, E_OS, "no TCP socket: %s", strerror(errno));
    (void)setsockopt(s->tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s->tcp, (struct sockaddr *)&a, sizeof a) || listen(s->tcp, BACKLOG))
        return fail(f, E_CONFLICT, "cannot listen on %s port %lld (%s): stop what uses it or set api.port", host,
                    (long long)SETTING(&s->settings, api, port), strerror(errno));
    socklen_t size = sizeof a;
    if (!getsockname(s->tcp, (struct sockaddr *)&a, &size))
        s->settings.v[SET_api_port].number = ntohs(a.sin_port);
    return E_OK;
}

static err listen_unix(struct supervisor *s, struct fault *f)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    span_copy(span_of(s->socket_path), a.sun_path, sizeof a.sun_path);
    s->unix_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->unix_ < 0)
        return fail(f, E_OS, "no Unix socket: %s", strerror(errno));
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool taken = probe >= 0 && connect(probe, (struct sockaddr *)&a, sizeof a) == 0;
    if (probe >= 0)
        close(probe);
    if (taken)
        return fail(f, E_CONFLICT, "a service already answers on %s: stop it, or set another store.path", s->socket_path);
    (void)unlink(s->socket_path);
    mode_t before = umask(0117);
    int bad = bind(s->unix_, (struct sockaddr *)&a, sizeof a) || listen(s->unix_, BACKLOG);
    umask(before);
    return bad ? files_fault(f, "cannot listen on", s->socket_path) : E_OK;
}

static const char *service_user(struct supervisor *s)
{
    static char name[64];
    span_copy(SETTING_S(&s->settings, service, user), name, sizeof name);
    if (name[0])
        return name;
    return sandbox_user_exists("fulmar") ? "fulmar" : "nobody";
}

/* The state folder belongs to whom the service becomes. */
static err prepare_state(struct supervisor *s, struct fault *f)
{
    err e = files_make_folder(s->state_dir, 0700, f);
    if (e || geteuid() != 0)
        return e;
    struct passwd *user = getpwnam(service_user(s));
    if (!user)
        return fail(f, E_CONFIG, "there is no user '%s': create it or set service.user", service_user(s));
    if (chown(s->state_dir, user->pw_uid, user->pw_gid))
        return files_fault(f, "cannot hand over", s->state_dir);
    return E_OK;
}

static err prepare(struct supervisor *s, const char *config_file, const char *const *set, struct fault *f)
{
    char used[CONFIG_PATH_MAX];
    err e = config_load(s->arena, config_file, set, &s->settings, used, f);
    if (!e)
        e = config_state_dir(&s->settings, s->state_dir, f);
    if (!e)
        e = config_socket(&s->settings, s->socket_path, f);
    if (!e)
        e = config_sites_dir(&s->settings, s->sites_dir, f);
    role_log("supervisor", &s->settings);
    if (!e)
        e = prepare_state(s, f);
    if (!e)
        e = listen_tcp(s, f);
    if (!e)
        e = listen_unix(s, f);
    if (e)
        return e;
    s->sites = open(s->sites_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->sites < 0)
        return files_fault(f, "cannot open the site packs in", s->sites_dir);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s->egress_pair))
        return fail(f, E_OS, "no socket pair: %s", strerror(errno));
    if (geteuid() == 0) {
        struct passwd *user = getpwnam(service_user(s));
        if (user && chown(s->socket_path, user->pw_uid, user->pw_gid))
            return files_fault(f, "cannot hand over", s->socket_path);
        log_info("service.user", F_C("name", service_user(s)));
        e = sandbox_become_user(service_user(s), f);
    }
    return e;
}

/* ---- children ---- */

/* The settings as a file that only the child sees. */
static int settings_fd(const struct supervisor *s)
{
    struct buf text = BUF(256 * 1024);
    settings_write(&text, &s->settings);
    int fd = memfd_create("settings", MFD_CLOEXEC);
    bool ok = fd >= 0 && !text.failed && write(fd, text.p, text.n) == (ssize_t)text.n && lseek(fd, 0, SEEK_SET) == 0;
    buf_free(&text);
    if (!ok && fd >= 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static err start_child(struct supervisor *s, struct child *c, int control, struct fault *f)
{
    int settings = settings_fd(s);
    if (settings < 0)
        return fail(f, E_OS, "the settings cannot be passed on: %s", strerror(errno));
    bool node = c == &s->node;
    struct spawn sp = {.args = {node ? "fulmar: node" : "fulmar: egress", c->word, s->state_dir},
                       .env = {"LANG=C.UTF-8", "PATH=/usr/bin:/bin"},
                       .fds = {{control, ROLE_CONTROL_FD}, {settings, ROLE_SETTINGS_FD}, {s->sites, ROLE_SITES_FD}},
                       .fd_count = 3};
    if (node) {
        sp.fds[sp.fd_count].ours = s->egress_pair[0];
        sp.fds[sp.fd_count++].theirs = ROLE_EGRESS_FD;
        sp.fds[sp.fd_count].ours = s->tcp;
        sp.fds[sp.fd_count++].theirs = ROLE_TCP_FD;
        sp.fds[sp.fd_count].ours = s->unix_;
        sp.fds[sp.fd_count++].theirs = ROLE_UNIX_FD;
    }
    err e = spawn_start(&sp, &c->pid, f);
    close(settings);
    return e;
}

static err start_node(struct supervisor *s, struct fault *f)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return fail(f, E_OS, "no socket pair: %s", strerror(errno));
    err e = start_child(s, &s->node, pair[1], f);
    close(pair[1]);
    if (s->control >= 0)
        close(s->control);
    s->control = e ? -1 : pair[0];
    if (e)
        close(pair[0]);
    return e;
}

static err start(struct supervisor *s, struct child *c, struct fault *f)
{
    err e = c == &s->node ? start_node(s, f) : start_child(s, c, s->egress_pair[1], f);
    if (!e)
        c->born = clock_mono();
    if (!e)
        log_info("child.started", F_C("name", c->name), F_N("pid", c->pid));
    return e;
}

static void stop(struct supervisor *s, const char *why)
{
    if (s->stopping)
        return;
    s->stopping = true;
    log_info("service.stopping", F_C("why", why));
    s->stop_by = mono_add(clock_mono(), SETTING(&s->settings, service, grace) + SETTING(&s->settings, job, grace) + STOP_SLACK_MS);
    if (s->control >= 0) {
        close(s->control); /* end of file: the node leaves in order */
        s->control = -1;
    }
}

/* Exit codes by which a child says: starting me again cannot help. */
static bool final_code(int status)
{
    if (!WIFEXITED(status))
        return false;
    int code = WEXITSTATUS(status);
    return code == EXIT_CONFIG || code == EXIT_UNAVAILABLE || code == 11 || code == 74;
}

static void note_death(struct supervisor *s, struct child *c, int status)
{
    mono now = clock_mono();
    c->pid = 0;
    if (s->stopping) {
        if (c == &s->node && WIFEXITED(status) && WEXITSTATUS(status))
            s->code = WEXITSTATUS(status);
        return;
    }
    log_error("child.ended", F_C("name", c->name), F_N("code", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
              F_N("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
    if (final_code(status)) {
        s->code = WEXITSTATUS(status);
        stop(s, "a part of the service cannot start");
        return;
    }
    /* Only early deaths mean that starting again does not help. */
    if (now.ms - c->born.ms >= LIFE_SHORT_MS)
        c->death_count = 0;
    int recent = 0;
    for (int i = 0; i < c->death_count; i++)
        recent += now.ms - c->deaths[i].ms < DEATHS_WINDOW_MS;
    if (recent >= DEATHS_MAX) {
        log_error("child.given_up", F_C("name", c->name), F_N("deaths", recent + 1));
        s->code = EXIT_TROUBLE;
        stop(s, "a part of the service dies again and again at its start");
        return;
    }
    if (c->death_count == DEATHS_MAX) {
        memmove(c->deaths, c->deaths + 1, sizeof c->deaths - sizeof c->deaths[0]);
        c->death_count--;
    }
    c->deaths[c->death_count++] = now;
    c->start_at = mono_add(now, recent ? (int64_t)RESTART_FIRST_MS << recent : 0);
}

static void reap(struct supervisor *s)
{
    pid_t pid;
    int status;
    while (spawn_reap(&pid, &status)) {
        if (pid == s->node.pid)
            note_death(s, &s->node, status);
        else if (pid == s->egress.pid)
            note_death(s, &s->egress, status);
    }
}

/* Starts what is due; answers how long to wait for the next one. */
static int start_due(struct supervisor *s)
{
    struct child *children[] = {&s->egress, &s->node};
    mono now = clock_mono();
    int64_t wait_ms = 60000;
    for (size_t i = 0; i < 2; i++) {
        struct child *c = children[i];
        struct fault f = {0};
        if (c->pid || s->stopping)
            continue;
        if (!mono_past(c->start_at, now)) {
            int64_t left = mono_left(c->start_at, now);
            wait_ms = left < wait_ms ? left : wait_ms;
            continue;
        }
        if (start(s, c, &f)) {
            log_error("child.start_failed", F_C("name", c->name), F_C("why", f.words));
            c->start_at = mono_add(now, 1000);
            wait_ms = 1000;
        }
    }
    if (s->stopping)
        wait_ms = mono_left(s->stop_by, now);
    return (int)wait_ms;
}

static void end_stop(struct supervisor *s)
{
    if (!s->stopping)
        return;
    if (s->node.pid && mono_past(s->stop_by, clock_mono())) {
        log_error("child.killed", F_C("name", "node"), F_N("pid", s->node.pid));
        kill(s->node.pid, SIGKILL);
        s->stop_by = mono_add(clock_mono(), 2000);
        s->code = EXIT_TROUBLE;
    }
    if (!s->node.pid && s->egress_pair[0] >= 0) {
        close(s->egress_pair[0]); /* end of file: egress leaves */
        close(s->egress_pair[1]);
        s->egress_pair[0] = s->egress_pair[1] = -1;
        s->stop_by = mono_add(clock_mono(), 2000);
    }
    if (!s->node.pid && s->egress.pid && mono_past(s->stop_by, clock_mono()))
        kill(s->egress.pid, SIGKILL);
}

static void on_signals(struct supervisor *s)
{
    struct signalfd_siginfo info;
    while (read(s->signals, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo != SIGCHLD)
            stop(s, info.ssi_signo == SIGINT ? "interrupted" : "asked to");
    reap(s);
}

static void supervise(struct supervisor *s)
{
    for (;;) {
        int wait_ms = start_due(s);
        end_stop(s);
        if (s->stopping && !s->node.pid && !s->egress.pid)
            return;
        struct pollfd p[3] = {{.fd = s->signals, .events = POLLIN},
                              {.fd = s->stopping ? -1 : s->life, .events = POLLIN},
                              {.fd = s->control, .events = POLLIN}};
        if (poll(p, 3, wait_ms + 1) < 0 && errno != EINTR)
            bug("poll failed");
        if (p[0].revents)
            on_signals(s);
        if (p[1].revents)
            stop(s, "its user is gone");
        char word[64];
        if (p[2].revents && s->control >= 0 && read(s->control, word, sizeof word) <= 0) {
            close(s->control); /* the node ended: SIGCHLD says how */
            s->control = -1;
        }
    }
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int usage(const char *word)
{
    fprintf(stderr, "fulmar: serve does not know '%s'\nusage: fulmar serve [--config FILE] [--set section.name=value]...\n", word);
    return 64;
}

int supervisor_main(int argc, char **argv)
{
    struct supervisor *s = heap_new_of(struct supervisor);
    struct fault f = {0};
    const char *config_file = NULL, *set[SETS_MAX + 1] = {NULL};
    size_t sets = 0;
    s->tcp = s->unix_ = s->sites = s->life = s->control = -1;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            config_file = argv[++i];
        else if (strcmp(argv[i], "--set") == 0 && i + 1 < argc && sets < SETS_MAX)
            set[sets++] = argv[++i];
        else if (strcmp(argv[i], "--embedded") == 0)
            s->embedded = true;
        else
            return usage(argv[i]);
    }
    s->arena = arena_new(4 * 1024 * 1024);
    s->node = (struct child){.name = "node", .word = "@node"};
    s->egress = (struct child){.name = "egress", .word = "@egress"};
    s->life = s->embedded ? LIFE_FD : -1;
    signal(SIGPIPE, SIG_IGN);
    err e = prepare(s, config_file, set, &f);
    if (e) {
        fprintf(stderr, "fulmar: %s\n", f.words[0] ? f.words : err_text(e));
        return e == E_CONFLICT ? EXIT_UNAVAILABLE : e == E_OS || e == E_DISK_FULL ? 74 : EXIT_CONFIG;
    }
    s->signals = open_signals();
    log_info("service.started", F_N("port", SETTING(&s->settings, api, port)), F_C("socket", s->socket_path),
             F_C("state", s->state_dir));
    supervise(s);
    (void)unlink(s->socket_path);
    int code = s->code;
    log_info("service.stopped", F_N("code", code));
    arena_free(&s->arena);
    free(s);
    return code;
}
