#include "cli/face.h"

#include "base/text.h"
#include "cli/inside.h"
#include "net/client.h"
#include "os/clock.h"

#include <unistd.h>

enum { BODY_SHOWN = 2048, TIME_LENGTH = 24 /* of 2026-02-06T21:09:45.123Z */ };

/* ---- colours ---- */

static bool colored_out, colored_err;

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value && *value;
}

/* Of one file: what is said with the call, then the environment, then whether it is a terminal. */
static bool wants_color(const char *mode, int fd)
{
    const char *term = getenv("TERM"), *force = getenv("CLICOLOR_FORCE");
    if (mode && strcmp(mode, "auto") != 0)
        return strcmp(mode, "always") == 0;
    if (is_set("NO_COLOR") || (term && strcmp(term, "dumb") == 0))
        return false;
    return (force && *force && strcmp(force, "0") != 0) || isatty(fd);
}

const char *face_on(FILE *to, enum color color)
{
    static const char *const codes[] = {"", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m"};
    return (to == stderr ? colored_err : colored_out) ? codes[color] : "";
}

const char *face_off(FILE *to)
{
    return (to == stderr ? colored_err : colored_out) ? "\x1b[0m" : "";
}

enum color face_of_state(struct span state)
{
    static const struct {
        const char *state;
        enum color color;
    } rows[] = {
        {"succeeded", COLOR_GREEN},  {"dead", COLOR_RED},       {"expired", COLOR_RED},
        {"cancelled", COLOR_YELLOW}, {"active", COLOR_BOLD},    {"running", COLOR_BOLD},
        {"invalid", COLOR_RED},      {"cooling", COLOR_YELLOW}, {"locked", COLOR_YELLOW}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (span_is(state, rows[i].state))
            return rows[i].color;
    return COLOR_PLAIN;
}

/* ---- times ---- */

bool face_relative(struct span text, wall now, char *out, size_t size)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}};
    wall at;
    if (text.n != TIME_LENGTH || text.p[TIME_LENGTH - 1] != 'Z' || !when_parse(text, &at))
        return false;
    int64_t ms = now.ms > at.ms ? now.ms - at.ms : at.ms - now.ms;
    size_t i = 0;
    while (i + 1 < sizeof units / sizeof *units && ms < 2 * units[i].ms)
        i++; /* 90m rather than 1h: nothing is said with half of it left out */
    snprintf(out, size, now.ms >= at.ms ? "%lld%s ago" : "in %lld%s",
             (long long)(ms / units[i].ms), units[i].unit);
    return true;
}

/* ---- the wire ---- */

static bool has_secrets(struct span path)
{
    return span_starts(path, SPAN("/v1/webhooks")) ||
           span_find(path, SPAN("/cookies")) < path.n ||
           span_find(path, SPAN("/rotate")) < path.n;
}

static void say_body(const char *sign, struct span path, struct span body)
{
    struct buf safe = BUF(8 * BODY_SHOWN);
    if (!body.n)
        return;
    if (has_secrets(path)) {
        fprintf(stderr, "%s %zu bytes, not shown\n", sign, body.n);
        return;
    }
    text_add_printable(&safe, span_trim(span_cut(body, 0, BODY_SHOWN)));
    fprintf(stderr, "%s %.*s%s\n", sign, SP(buf_span(&safe)), body.n > BODY_SHOWN ? " …" : "");
    buf_free(&safe);
}

static void say_exchange(void *ctx, const struct client_exchange *x)
{
    const struct cli *c = ctx;
    struct span path = span_of(x->request->path);
    struct buf safe = BUF(16 * 1024);
    text_add_printable(&safe, path);
    fprintf(stderr, "> %s %.*s  %zu bytes\n", x->request->method, SP(buf_span(&safe)),
            x->request->body.n);
    buf_free(&safe);
    if (c->verbose > 1)
        say_body(">", path, x->request->body);
    if (x->result)
        fprintf(stderr, "< %s after %lld ms\n", err_text(x->result), (long long)x->took_ms);
    else
        fprintf(stderr, "< %d  %zu bytes in %lld ms\n", x->answer->status, x->answer->body.n,
                (long long)x->took_ms);
    if (c->verbose > 1)
        say_body("<", path, buf_span(&x->answer->body));
}

void face_watch(struct cli *c, struct client *client)
{
    if (c->verbose)
        client_watch(client, say_exchange, c);
}

/* ---- the call ---- */

int face_start(struct cli *c)
{
    static const char *const modes[] = {"auto", "always", "never", NULL};
    static const char *const times[] = {"relative", "iso", NULL};
    bool known = !c->color, timed = !c->time;
    for (size_t i = 0; modes[i]; i++)
        known = known || strcmp(c->color, modes[i]) == 0;
    for (size_t i = 0; times[i]; i++)
        timed = timed || strcmp(c->time, times[i]) == 0;
    if (!known)
        return cli_usage(c->words[0], "--color must be auto, always or never, not '%.40s'",
                         c->color);
    if (!timed)
        return cli_usage(c->words[0], "--time must be relative or iso, not '%.40s'", c->time);
    colored_out = wants_color(c->color, STDOUT_FILENO);
    colored_err = wants_color(c->color, STDERR_FILENO);
    c->relative = c->time ? strcmp(c->time, "relative") == 0 : isatty(STDOUT_FILENO);
    c->now = clock_wall();
    return EXIT_DONE;
}
