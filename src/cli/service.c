#include "cli/service.h"

#include "cli/face.h"

#include "base/text.h"
#include "os/clock.h"
#include "os/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    START_MS = 20 * 1000,
    POLL_MS = 50,
    STOP_MS = 30 * 1000, /* service.grace, then browsers and profiles are cleaned up */
    ANSWER_MS = 40 * 1000,
    LIFE_FD = 3,
    LOG_TAIL = 8 * 1024,
};

/* What a service needs of our environment; nothing else goes along. */
static const char *const kept_names[] = {
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "XDG_STATE_HOME",
    "XDG_CONFIG_HOME",
    "FULMAR_SITES",
    "TZ",
    "FULMAR_CONFIG",
    "LD_LIBRARY_PATH",
    "ASAN_OPTIONS",
    "UBSAN_OPTIONS",
    NULL,
};

static bool somebody_listens(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return false;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool there = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        close(fd);
    return there;
}

static int open_clients(struct service *s, struct cli *c)
{
    struct fault f = {0};
    err e = client_open(&s->client, span_of(s->shown), &f);
    if (!e)
        e = client_open(&s->second, span_of(s->shown), &f);
    if (!e) {
        face_watch(c, s->client);
        face_watch(c, s->second);
        return EXIT_DONE;
    }
    cli_say("%s", f.words);
    return cli_exit_of(e);
}

/* ---- an embedded service ---- */

/* The text of `why=…` in a line of the log. */
static bool why_of(struct span line, struct buf *out)
{
    size_t at = span_find(line, SPAN(" why="));
    if (at == line.n)
        return false;
    struct span rest = span_cut(line, at + 5, line.n);
    bool quoted = rest.n && rest.p[0] == '"';
    for (size_t i = quoted; i < rest.n && rest.p[i] != (quoted ? '"' : ' '); i++) {
        if (quoted && rest.p[i] == '\\' && i + 1 < rest.n)
            i++;
        buf_add_char(out, rest.p[i]);
    }
    return out->n > 0;
}

/* Why it ended, as well as its log says: the sentence it left for people (`fulmar: …`), else
 * the reason of its last error, else its last line. */
static void read_reason(const struct service *s, struct buf *out)
{
    static const struct span ours = {"fulmar: ", 8};
    char text[LOG_TAIL];
    off_t size = lseek(s->log_fd, 0, SEEK_END);
    off_t from = size > LOG_TAIL ? size - LOG_TAIL : 0;
    ssize_t n = pread(s->log_fd, text, sizeof text, from);
    struct span rest = {text, n > 0 ? (size_t)n : 0}, line;
    struct span sentence = SPAN_NONE, error = SPAN_NONE, last = SPAN_NONE;
    while (span_next(&rest, '\n', &line)) {
        if (line.n)
            last = line;
        if (span_starts(line, ours))
            sentence = span_cut(line, ours.n, line.n);
        if (span_find(line, SPAN(" error ")) < line.n &&
            span_find(line, SPAN(" why=")) < line.n)
            error = line;
    }
    if (sentence.n)
        buf_add(out, sentence);
    else if (!why_of(error, out))
        buf_add(out, last);
}

/* What a service says by its code is ours to pass on: the configuration, a missing part, the
 * disk. All else is a fault of this program. */
static int code_of(int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    if (code == EXIT_CONFLICT)
        return EXIT_UNAVAILABLE; /* another service has the state folder */
    return code >= EXIT_USAGE && code <= EXIT_CONFIG ? code : EXIT_SOFTWARE;
}

/* "fulmar: BEFORE: reason"; false when there is none. */
static bool say_reason(const struct service *s, const char *before)
{
    struct buf reason = BUF(LOG_TAIL), safe = BUF(4 * LOG_TAIL);
    read_reason(s, &reason);
    text_add_printable(&safe, buf_span(&reason));
    bool there = safe.n > 0;
    if (there)
        cli_say("%s: %.*s", before, SP(buf_span(&safe)));
    buf_free(&reason);
    buf_free(&safe);
    return there;
}

static void say_died(const struct service *s, int status)
{
    if (WIFSIGNALED(status)) {
        cli_say("the service was ended by signal %d", WTERMSIG(status));
        say_reason(s, "its last words");
    } else if (!say_reason(s,
                           s->was_ready ? "the service ended" : "the service did not start")) {
        cli_say("the service ended with code %d and without a word", WEXITSTATUS(status));
    }
}

bool service_died(struct service *s)
{
    int status;
    if (!s->embedded)
        return false;
    if (!s->ended && waitpid(s->pid, &status, WNOHANG) == s->pid) {
        s->ended = true;
        s->code = code_of(status);
        say_died(s, status);
    }
    return s->ended;
}

static void fill_environment(struct spawn *sp, struct arena *a)
{
    size_t n = 0;
    for (size_t i = 0; kept_names[i] && n + 1 < sizeof sp->env / sizeof sp->env[0]; i++) {
        const char *value = getenv(kept_names[i]);
        if (value)
            sp->env[n++] = arena_fmt(a, "%s=%s", kept_names[i], value);
    }
}

static int start(struct service *s, struct cli *c)
{
    int pipe_fds[2];
    struct fault f = {0};
    s->log_fd = memfd_create("fulmar-log", MFD_CLOEXEC);
    if (s->log_fd < 0 || pipe2(pipe_fds, O_CLOEXEC)) {
        cli_say("the operating system gives no more descriptors");
        return EXIT_SOFTWARE;
    }
    /* It serves this command through the socket of the state folder; the address of the
     * configuration may belong to another service, so it gets a port nobody else wants. */
    struct spawn sp = {.args = {"fulmar", "serve", "--embedded", "--set", "api.port=0", "--set",
                                "api.host=127.0.0.1"},
                       .fds = {{pipe_fds[0], LIFE_FD}, {s->log_fd, 2}},
                       .fd_count = 2,
                       .own_group = true};
    char file[CONFIG_PATH_MAX + CONFIG_PATH_MAX];
    if (c->config_file[0]) {
        char folder[CONFIG_PATH_MAX] = "";
        bool relative = c->config_file[0] != '/' && getcwd(folder, sizeof folder);
        snprintf(file, sizeof file, "%s%s%s", relative ? folder : "", relative ? "/" : "",
                 c->config_file);
        sp.args[7] = "--config";
        sp.args[8] = file;
    }
    fill_environment(&sp, c->arena);
    err e = spawn_start(&sp, &s->pid, &f);
    close(pipe_fds[0]);
    s->life_fd = pipe_fds[1];
    if (e) {
        cli_say("a service could not be started: %s", f.words);
        return EXIT_SOFTWARE;
    }
    s->embedded = true;
    return EXIT_DONE;
}

/* 200 from /readyz; `why` is what it said instead. */
static bool is_ready(struct service *s, char *why, size_t size)
{
    struct client_answer answer;
    struct client_request q = {.method = "GET", .path = "/readyz", .timeout_ms = 2000};
    err e = client_send(s->client, &q, &answer, NULL);
    bool ready = !e && answer.status == 200;
    if (!e && !ready)
        span_copy(span_trim(buf_span(&answer.body)), why, size);
    buf_free(&answer.body);
    return ready;
}

static bool is_stopping(struct service *s)
{
    char why[256] = "";
    return !is_ready(s, why, sizeof why) && strcmp(why, "the service is stopping") == 0;
}

/* An embedded service of an earlier command may be about to end: it is no service for us, and
 * ours can start only when it is gone. False: it stays. */
static bool outlast(struct service *s, const char *socket_path, bool (*interrupted)(void))
{
    mono deadline = mono_add(clock_mono(), STOP_MS);
    while (!mono_past(deadline, clock_mono()) && !(interrupted && interrupted())) {
        if (!is_stopping(s))
            return !somebody_listens(socket_path);
        poll(NULL, 0, POLL_MS);
    }
    return false;
}

static int wait_ready(struct service *s, const char *socket_path, bool (*interrupted)(void))
{
    char why[256] = "it does not listen yet";
    mono deadline = mono_add(clock_mono(), START_MS);
    while (!mono_past(deadline, clock_mono())) {
        if (service_died(s))
            return s->code;
        if (interrupted && interrupted())
            return EXIT_INTERRUPTED;
        s->was_ready = somebody_listens(socket_path) && is_ready(s, why, sizeof why);
        if (s->was_ready)
            return EXIT_DONE;
        poll(NULL, 0, POLL_MS);
    }
    cli_say("the service was not ready after %d s: %s. `fulmar doctor` may know why.",
            START_MS / 1000, why);
    say_reason(s, "its last words");
    return EXIT_UNAVAILABLE;
}

static int embed(struct service *s, struct cli *c, const char *socket_path,
                 bool (*interrupted)(void))
{
    cli_note(
        c, "no service is running; starting one for this command (to keep one: fulmar serve)");
    int code = start(s, c);
    if (!code)
        code = open_clients(s, c);
    if (!code)
        code = wait_ready(s, socket_path, interrupted);
    return code;
}

/* ---- face ---- */

static int find(struct service *out, struct cli *c, int (*before_embed)(struct cli *c),
                bool (*interrupted)(void))
{
    const char *named = c->server ? c->server : getenv("FULMAR_SERVER");
    if (named && *named) {
        snprintf(out->shown, sizeof out->shown, "%s", named);
        return open_clients(out, c);
    }
    int code = cli_settings(c);
    if (code)
        return code;
    char path[CONFIG_PATH_MAX];
    struct fault f = {0};
    err e = config_socket(&c->settings, path, &f);
    if (e) {
        cli_say("%s", f.words);
        return cli_exit_of(e);
    }
    snprintf(out->shown, sizeof out->shown, "unix:%s", path);
    if (somebody_listens(path)) {
        code = open_clients(out, c);
        if (code || !before_embed || !outlast(out, path, interrupted))
            return code;
        client_close(&out->client);
        client_close(&out->second);
    }
    if (!before_embed) {
        cli_say("no service answers at %s; start one: fulmar serve", path);
        return EXIT_UNAVAILABLE;
    }
    code = before_embed(c);
    return code ? code : embed(out, c, path, interrupted);
}

int service_open(struct service *out, struct cli *c, int (*before_embed)(struct cli *c),
                 bool (*interrupted)(void))
{
    *out = (struct service){.life_fd = -1, .log_fd = -1};
    int code = find(out, c, before_embed, interrupted);
    if (code)
        service_close(out);
    return code;
}

int service_send(struct service *s, const struct client_request *q, struct client_answer *out)
{
    struct fault f = {0};
    err e = client_send(s->client, q, out, &f);
    int code = EXIT_DONE;
    if (e) {
        cli_say("%s", f.words[0] ? f.words : err_text(e));
        code = cli_exit_of(e);
    } else if (out->status < 200 || out->status > 299) {
        code = cli_problem(out);
    }
    if (code)
        buf_free(&out->body);
    return code;
}

int service_ask(struct service *s, const char *method, const char *path, struct span body,
                struct client_answer *out)
{
    struct client_request q = {.method = method,
                               .path = path,
                               .body = body,
                               .timeout_ms = ANSWER_MS,
                               .body_max = SERVICE_ANSWER_MAX};
    return service_send(s, &q, out);
}

int service_not_ours(struct client_answer *a)
{
    cli_say("the answer cannot be read; is this a Fulmar service?");
    buf_free(&a->body);
    return EXIT_PROTOCOL;
}

static bool ended_by(struct service *s, int64_t ms)
{
    mono deadline = mono_add(clock_mono(), ms);
    int status;
    while (!s->ended && !mono_past(deadline, clock_mono())) {
        pid_t got = waitpid(s->pid, &status, WNOHANG);
        s->ended = got == s->pid || (got < 0 && errno == ECHILD);
        if (!s->ended)
            poll(NULL, 0, POLL_MS);
    }
    return s->ended;
}

void service_close(struct service *s)
{
    client_close(&s->client);
    client_close(&s->second);
    if (s->life_fd >= 0)
        close(s->life_fd); /* it hears of that */
    if (s->embedded && !ended_by(s, STOP_MS)) {
        kill(s->pid, SIGTERM);
        if (!ended_by(s, 2000)) {
            spawn_kill_group(s->pid);
            ended_by(s, 2000);
        }
    }
    if (s->log_fd >= 0)
        close(s->log_fd);
    s->life_fd = s->log_fd = -1;
    s->embedded = false;
}
