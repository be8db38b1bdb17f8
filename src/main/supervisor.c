/* The supervisor: holds the listening sockets, starts node and egress, starts them again when they
 * end, stops them when asked. It parses nothing but the configuration and never touches the store.
 *
 * Failure modes: a child dies → again at once, then with a growing pause; after six early deaths in
 * a row (each within a second of its start) it gives up and says so. A child that hangs or is
 * stopped → its beat stays away → SIGKILL, and again from the top. A child that cannot start
 * (configuration, second daemon, no browser) ends the service with that child's code and words; one
 * that has served is tried again, because what is in its way may pass. The
 * supervisor itself dies → node and egress see end of file and leave.
 *
 * Signals of a terminal or a service manager reach the supervisor only: its children have groups of
 * their own and are deaf to them, so that node can finish in order before egress goes. */
#include "main/place.h"
#include "main/roles.h"

#include "base/log.h"
#include "base/need.h"
#include "os/clock.h"
#include "os/faults.h"
#include "os/secret.h"
#include "os/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SETS_MAX = 64, /* --set on the command line */
    DEATHS_KEPT = 12,
    EARLY_MAX = 6,
    LIFE_SHORT_MS = 1000,
    DEATHS_WINDOW_MS = 60000,
    RESTART_FIRST_MS = 100,
    STOP_SLACK_MS = 3000, /* node forces itself to end before that */
    RESTARTS_FREE = 4,    /* in a minute; then there is a pause, and it grows */
    RESTART_MAX_MS = 10000,
    RESTART_LATER_MS = 2000,
    LOOK_MS = ROLE_BEAT_MS,
    SILENT_MIN = 3, /* looks without a beat: fewer may be chance */
    /* more of them before the first beat: a large store is checked then */
    SILENT_STARTING = 50,
    LIFE_FD = 3, /* of an embedded service: its user's life */
    EXIT_CONFIG = 78,
    EXIT_UNAVAILABLE = 69,
    EXIT_TROUBLE = 70,
    EXIT_INPUT_OUTPUT = 74,
    EXIT_NO_INPUT = 66, /* a file that was named is not there */
};

struct child {
    const char *name, *word;
    pid_t pid;
    mono deaths[DEATHS_KEPT]; /* the last ones */
    int death_count, early;   /* early: in a row, each within LIFE_SHORT_MS */
    bool served;              /* it has beaten, in one of its lives */
    mono born;
    mono start_at; /* when to start it again */
    int talk; /* our end of its socket: beats and last words come, "stop" goes; −1 none */
    bool beat, lives; /* since the last look; ever */
    int silent;       /* looks in a row without a beat */
    char why[240];    /* what it said before it ended */
};

struct supervisor {
    struct arena *arena;
    struct place place;
    int signals, life;
    int packs; /* memory in which a node leaves the site packs to the next one */
    /* [0] node's end, [1] egress's end; kept so that either may be replaced */
    int egress_pair[2];
    struct child node, egress;
    bool embedded, stopping, terminal; /* terminal: it was started on one */
    mono stop_by, look_at;
    int code;
    char why[280]; /* of the code, for a person */
};

/* ---- children ---- */

/* Its own group and deaf: Ctrl-C and the like are the supervisor's to answer. */
static err spawn_child(struct supervisor *s, struct child *c, int talk, struct fault *f)
{
    bool node = c == &s->node;
    int settings = place_settings(&s->place, node);
    if (settings < 0)
        return fail(f, E_OS, "the settings cannot be passed on: %s", strerror(errno));
    struct spawn sp = {
        .args = {node ? "fulmar: node" : "fulmar: egress", c->word, s->place.state_dir},
        .env = {"LANG=C.UTF-8", "PATH=/usr/bin:/bin", node ? secret_credentials() : NULL},
        .fds = {{talk, ROLE_SUPERVISOR_FD},
                {s->egress_pair[node ? 0 : 1], ROLE_PEER_FD},
                {settings, ROLE_SETTINGS_FD},
                {s->place.sites, ROLE_SITES_FD}},
        .fd_count = 4,
        .own_group = true,
        .deaf = true};
    if (node) {
        sp.fds[sp.fd_count].ours = s->place.tcp;
        sp.fds[sp.fd_count++].theirs = ROLE_TCP_FD;
        sp.fds[sp.fd_count].ours = s->place.unix_;
        sp.fds[sp.fd_count++].theirs = ROLE_UNIX_FD;
        sp.fds[sp.fd_count].ours = s->packs;
        sp.fds[sp.fd_count++].theirs = ROLE_PACKS_FD;
    }
    fault_point("supervisor.start");
    err e = spawn_start(&sp, &c->pid, f);
    fault_point("supervisor.started");
    close(settings);
    return e;
}

static void hang_up(struct child *c)
{
    if (c->talk >= 0)
        close(c->talk);
    c->talk = -1;
}

static err start(struct supervisor *s, struct child *c, struct fault *f)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return fail(f, E_OS, "no socket pair: %s", strerror(errno));
    err e = spawn_child(s, c, pair[1], f);
    close(pair[1]);
    if (e) {
        close(pair[0]);
        return e;
    }
    hang_up(c);
    c->talk = pair[0];
    c->born = clock_mono();
    c->beat = c->lives = false;
    c->silent = 0;
    c->why[0] = '\0';
    log_info("child.started", F_C("name", c->name), F_N("pid", c->pid));
    return E_OK;
}

/* All that a child has said. */
static void hear(struct child *c)
{
    char text[sizeof c->why];
    while (c->talk >= 0) {
        ssize_t n = recv(c->talk, text, sizeof text - 1, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            hang_up(c); /* it ended: SIGCHLD says how */
            return;
        }
        struct span said = {text, (size_t)n};
        if (span_is(said, ROLE_BEAT))
            c->beat = true;
        else if (span_starts(said, SPAN(ROLE_WHY)))
            span_copy(span_cut(said, strlen(ROLE_WHY), SIZE_MAX), c->why, sizeof c->why);
    }
}

/* Beats are counted by looks, not by the clock: after a sleep of the machine, or of this process,
 * one look is due, and what came meanwhile has been heard before it. */
static void look(struct supervisor *s)
{
    struct child *children[] = {&s->egress, &s->node};
    int64_t watchdog_ms = SETTING(&s->place.settings, service, watchdog);
    int most =
        (int)(watchdog_ms / LOOK_MS) > SILENT_MIN ? (int)(watchdog_ms / LOOK_MS) : SILENT_MIN;
    mono now = clock_mono();
    if (!mono_past(s->look_at, now))
        return;
    s->look_at = mono_add(now, LOOK_MS);
    for (size_t i = 0; i < 2; i++) {
        struct child *c = children[i];
        c->silent = c->beat ? 0 : c->silent + 1;
        c->lives |= c->beat;
        c->served |= c->lives;
        c->beat = false;
        if (!c->pid || s->stopping || !watchdog_ms ||
            c->silent < most + (c->lives ? 0 : SILENT_STARTING))
            continue;
        log_error("child.silent", F_C("name", c->name), F_N("pid", c->pid),
                  F_N("beats_missed", c->silent));
        kill(c->pid, SIGKILL);
        c->silent = 0;
    }
}

/* The first code and its words stay. */
static void set_code(struct supervisor *s, int code, const char *why)
{
    if (s->code)
        return;
    s->code = code;
    span_copy(span_of(why), s->why, sizeof s->why);
}

static void set_code_of(struct supervisor *s, const struct child *c, int code,
                        const char *otherwise)
{
    char words[sizeof s->why];
    snprintf(words, sizeof words, "%s %s", c->name, otherwise);
    set_code(s, code, c->why[0] ? c->why : words);
}

static void stop(struct supervisor *s, const char *why)
{
    if (s->stopping)
        return;
    s->stopping = true;
    log_info("service.stopping", F_C("why", why));
    s->stop_by = mono_add(clock_mono(), SETTING(&s->place.settings, service, grace) +
                                            SETTING(&s->place.settings, job, grace) +
                                            role_stop_ms(&s->place.settings) + STOP_SLACK_MS);
    if (s->node.talk >= 0 && send(s->node.talk, "stop", 4, MSG_DONTWAIT | MSG_NOSIGNAL) != 4)
        hang_up(&s->node); /* end of file says the same */
}

/* Exit codes by which a child says: starting me again cannot help. */
static bool final_code(int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    return code == EXIT_CONFIG || code == EXIT_UNAVAILABLE || code == EXIT_INPUT_OUTPUT;
}

/* How long to wait before the next start: not at all for what happens now and then. */
static int64_t pause_ms(struct child *c, mono now)
{
    int recent = 0;
    for (int i = 0; i < c->death_count; i++)
        recent += now.ms - c->deaths[i].ms < DEATHS_WINDOW_MS;
    if (c->death_count == DEATHS_KEPT) {
        memmove(c->deaths, c->deaths + 1, sizeof c->deaths - sizeof c->deaths[0]);
        c->death_count--;
    }
    c->deaths[c->death_count++] = now;
    int more = c->early > 1 && recent <= RESTARTS_FREE ? c->early - 1 : recent - RESTARTS_FREE;
    int64_t ms = more <= 0 ? 0 : (int64_t)RESTART_FIRST_MS << (more - 1);
    return ms < RESTART_MAX_MS ? ms : RESTART_MAX_MS;
}

static void note_death(struct supervisor *s, struct child *c, int status)
{
    mono now = clock_mono();
    c->pid = 0;
    hear(c);
    if (s->stopping) {
        if (c == &s->node && status)
            set_code_of(s, c, WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_TROUBLE,
                        "did not end in order; the log says more");
        return;
    }
    log_error("child.ended", F_C("name", c->name),
              F_N("code", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
              F_N("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
    /* Once it has served, what kept it from starting may pass: a full disk, a lock of a child that
     * is just ending. */
    if (final_code(status) && c->served) {
        c->start_at = mono_add(now, RESTART_LATER_MS);
        return;
    }
    if (final_code(status)) {
        set_code_of(s, c, WEXITSTATUS(status), "cannot start; the log says more");
        stop(s, "a part of the service cannot start");
        return;
    }
    c->early = now.ms - c->born.ms < LIFE_SHORT_MS ? c->early + 1 : 0;
    if (c->early >= EARLY_MAX) {
        log_error("child.given_up", F_C("name", c->name), F_N("deaths", c->early));
        set_code_of(s, c, EXIT_TROUBLE, "dies again and again at its start; the log says more");
        stop(s, "a part of the service dies again and again at its start");
        return;
    }
    c->start_at = mono_add(now, pause_ms(c, now));
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
    int64_t wait_ms = mono_left(s->look_at, now);
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
        }
    }
    if (s->stopping && mono_left(s->stop_by, now) < wait_ms)
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
        set_code(s, EXIT_TROUBLE, "node did not stop in time and was killed");
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

static bool has_terminal(void)
{
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* A person's "read it again" and the end of the terminal come as the same signal. */
static void on_hangup(struct supervisor *s)
{
    if (s->terminal && !has_terminal()) {
        stop(s, "its terminal is gone");
        return;
    }
    log_info("service.reload", F_C("why", "SIGHUP"));
    if (!s->stopping && s->node.talk >= 0)
        (void)!send(s->node.talk, ROLE_RELOAD, strlen(ROLE_RELOAD),
                    MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void on_signals(struct supervisor *s)
{
    struct signalfd_siginfo info;
    while (read(s->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP)
            on_hangup(s);
        else if (info.ssi_signo != SIGCHLD)
            stop(s, info.ssi_signo == SIGINT ? "interrupted" : "asked to");
    }
    reap(s);
}

static void supervise(struct supervisor *s)
{
    for (;;) {
        int wait_ms = start_due(s);
        end_stop(s);
        if (s->stopping && !s->node.pid && !s->egress.pid)
            return;
        struct pollfd p[4] = {{.fd = s->signals, .events = POLLIN},
                              {.fd = s->stopping ? -1 : s->life, .events = POLLIN},
                              {.fd = s->node.talk, .events = POLLIN},
                              {.fd = s->egress.talk, .events = POLLIN}};
        if (poll(p, 4, wait_ms + 1) < 0 && errno != EINTR)
            bug("poll failed");
        hear(&s->node);
        hear(&s->egress);
        if (p[0].revents)
            on_signals(s);
        if (p[1].revents)
            stop(s, "its user is gone");
        look(s);
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

static int usage(const char *unknown)
{
    static const char text[] =
        "usage: fulmar serve [--config FILE] [--set section.name=value]...\n"
        "Runs the service in the foreground until it is told to stop (Ctrl-C, SIGTERM).\n"
        "  --config FILE              settings\n"
        "  --set section.name=value   one setting, stronger than the file; may be repeated\n"
        "All settings: fulmar config init -\n";
    if (unknown)
        fprintf(stderr, "fulmar: serve does not know '%s'\n", unknown);
    fputs(text, unknown ? stderr : stdout);
    return unknown ? 64 : 0;
}

/* E_OK, or why the service cannot start; the code in s. */
static err prepare(struct supervisor *s, const char *config_file, const char *const *set,
                   struct fault *f)
{
    err e = place_open(&s->place, s->arena, config_file, set, f);
    if (!e && (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s->egress_pair) ||
               (s->packs = memfd_create("packs", MFD_CLOEXEC)) < 0))
        e = fail(f, E_OS, "no socket pair, or no memory: %s", strerror(errno));
    if (e)
        set_code(s,
                 e == E_CONFLICT                 ? EXIT_UNAVAILABLE
                 : e == E_NOT_FOUND              ? EXIT_NO_INPUT
                 : e == E_OS || e == E_DISK_FULL ? EXIT_INPUT_OUTPUT
                                                 : EXIT_CONFIG,
                 f->words[0] ? f->words : err_text(e));
    return e;
}

static void run(struct supervisor *s)
{
    const struct place *p = &s->place;
    s->signals = open_signals();
    s->terminal = has_terminal();
    s->look_at = mono_add(clock_mono(), LOOK_MS);
    log_info("service.started", F_N("port", SETTING(&p->settings, api, port)),
             F_C("socket", p->socket_path), F_C("state", p->state_dir));
    supervise(s);
    place_leave(p);
    log_info("service.stopped", F_N("code", s->code));
}

int supervisor_main(int argc, char **argv)
{
    struct supervisor *s = heap_new_of(struct supervisor);
    struct fault f = {0};
    const char *config_file = NULL, *set[SETS_MAX + 1] = {NULL};
    size_t sets = 0;
    s->life = -1;
    s->place.tcp = s->place.unix_ = s->place.sites = -1;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            config_file = argv[++i];
        else if (strcmp(argv[i], "--set") == 0 && i + 1 < argc && sets < SETS_MAX)
            set[sets++] = argv[++i];
        else if (strcmp(argv[i], "--embedded") == 0)
            s->embedded = true;
        else {
            free(s);
            return usage(strcmp(argv[i], "--help") && strcmp(argv[i], "-h") ? argv[i] : NULL);
        }
    }
    s->arena = arena_new(4 * 1024 * 1024);
    s->node = (struct child){.name = "node", .word = "@node", .talk = -1};
    s->egress = (struct child){.name = "egress", .word = "@egress", .talk = -1};
    s->life = s->embedded ? LIFE_FD : -1;
    signal(SIGPIPE, SIG_IGN);
    if (!prepare(s, config_file, set, &f))
        run(s);
    /* The last line tells a person why, whatever the log said before. */
    if (s->code)
        fprintf(stderr, "fulmar: %s\n", s->why);
    int code = s->code;
    arena_free(&s->arena);
    free(s);
    return code;
}
