#include "cli/wait.h"

#include "cli/ask.h"
#include "cli/follow.h"
#include "cli/interrupt.h"
#include "cli/outcome.h"

#include "core/job.h"
#include "os/clock.h"

enum { PATIENCE_MS = 60 * 1000, ASK_MS = 10 * 1000, JOB_MAX = 4 * 1024 * 1024 };

struct waiting {
    struct cli *c;
    struct service *service;
    const char *id;
    struct json_parser *parser;
    struct client_answer answer; /* the job as it was last seen */
    struct json job;
    mono deadline; /* .ms 0: none */
    bool late;
};

int wait_limit(const struct cli *c, const char *verb, int64_t *out_ms)
{
    static const int64_t most_ms = (int64_t)30 * 86400000;
    *out_ms = 0;
    if (c->timeout)
        return cli_duration(verb, "timeout", c->timeout, 1, most_ms, out_ms);
    return c->wait && *c->wait ? cli_duration(verb, "wait", c->wait, 1, most_ms, out_ms)
                               : EXIT_DONE;
}

/* Asks for the job; false: nobody answers. */
static bool look(struct waiting *w)
{
    char path[100];
    snprintf(path, sizeof path, "/v1/jobs/%s", w->id);
    struct client_request q = {
        .method = "GET", .path = path, .timeout_ms = ASK_MS, .body_max = JOB_MAX};
    buf_free(&w->answer.body);
    w->job = JSON_MISSING;
    return !client_send(w->service->second, &q, &w->answer, NULL) && w->answer.status == 200 &&
           !json_parse(w->parser, buf_span(&w->answer.body), &w->job, NULL);
}

static bool has_ended(void *ctx)
{
    struct waiting *w = ctx;
    enum job_state state;
    return look(w) && job_state_parse(ask_text(w->job, "state"), &state) && job_is_final(state);
}

/* An older end of a job that was taken up again is no end. */
static bool on_event(void *ctx, struct span text, struct json event)
{
    (void)text;
    enum job_state state;
    return !job_state_parse(ask_text(event, "data.state"), &state) || !job_is_final(state) ||
           !has_ended(ctx);
}

static bool on_tick(void *ctx)
{
    struct waiting *w = ctx;
    w->late = w->deadline.ms && mono_past(w->deadline, clock_mono());
    return !w->late && !interrupted();
}

static void on_cut(void *ctx)
{
    struct waiting *w = ctx;
    cli_note(w->c, "the connection was lost; reconnecting…");
}

static int end_of_one(struct waiting *w)
{
    if (w->c->json)
        cli_put(w->c, buf_span(&w->answer.body));
    return outcome_say(w->c, w->job);
}

static int say_late(struct waiting *w)
{
    if (w->c->json && look(w))
        cli_put(w->c, buf_span(&w->answer.body));
    cli_note(w->c, "%s goes on; the time to wait is over; look: fulmar jobs show %s", w->id,
             w->id);
    return EXIT_WAIT_TIMEOUT;
}

int wait_interrupted(struct cli *c, struct service *s, const char *id)
{
    char path[100];
    struct client_answer answer;
    if (!c->cancel_on_interrupt) {
        cli_note(c,
                 "stopped following; %s goes on\nagain: fulmar jobs wait %s · stop it: fulmar "
                 "jobs cancel %s",
                 id, id, id);
        return EXIT_INTERRUPTED;
    }
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id);
    if (service_ask(s, "POST", path, SPAN("{}"), &answer) == EXIT_DONE) {
        cli_note(c, "%s is cancelled, or told to stop", id);
        buf_free(&answer.body);
    }
    return EXIT_INTERRUPTED;
}

static int wait_for_one(struct waiting *w)
{
    struct follow f = {.service = w->service,
                       .id = w->id,
                       .after = 0,
                       .patience_ms = PATIENCE_MS,
                       .on_event = on_event,
                       .on_tick = on_tick,
                       .on_cut = on_cut,
                       .is_over = has_ended,
                       .ctx = w};
    bool ended = has_ended(w);
    if (!ended && w->answer.status >= 400)
        return cli_problem(&w->answer);
    int code = ended ? EXIT_DONE : follow_events(&f);
    if (code)
        return code;
    if (w->late)
        return say_late(w);
    return interrupted() ? wait_interrupted(w->c, w->service, w->id) : end_of_one(w);
}

/* Which of two endings a script has to hear of first. */
static int worse(int a, int b)
{
    static const int order[] = {
        EXIT_INTERRUPTED, EXIT_WAIT_TIMEOUT, EXIT_SOFTWARE, EXIT_UNAVAILABLE, EXIT_TRY_LATER,
        EXIT_DRIFT,       EXIT_EMPTY,        EXIT_BLOCKED,  EXIT_JOB_FAILED,  EXIT_PARTIAL};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (a == order[i] || b == order[i])
            return order[i];
    return a ? a : b;
}

/* The bits of --exit-mask: every kind of ending, where the exit status is only the worst one. */
static int bit_of(int code)
{
    static const struct {
        int code, bit;
    } bits[] = {{EXIT_DONE, 0},        {EXIT_JOB_FAILED, 1}, {EXIT_PARTIAL, 2},
                {EXIT_DRIFT, 4},       {EXIT_EMPTY, 4},      {EXIT_TRY_LATER, 4},
                {EXIT_UNAVAILABLE, 4}, {EXIT_BLOCKED, 8},    {EXIT_NO_PERMISSION, 16},
                {EXIT_DATA, 32},       {EXIT_USAGE, 32},     {EXIT_NOT_FOUND, 64},
                {EXIT_UNREACHED, 64},  {EXIT_SOFTWARE, 128}, {EXIT_IO, 128}};
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
        if (bits[i].code == code)
            return bits[i].bit;
    return 1;
}

int wait_for_jobs(struct cli *c, struct service *s, const char *const *ids, size_t count)
{
    int64_t limit_ms = 0;
    int code = wait_limit(c, c->words[0], &limit_ms), mask = 0;
    struct waiting w = {.c = c, .service = s, .parser = json_parser_new(JOB_MAX)};
    if (limit_ms)
        w.deadline = mono_add(clock_mono(), limit_ms);
    interrupt_catch();
    for (size_t i = 0; i < count && !interrupted() && !w.late; i++) {
        w.id = ids[i];
        int one = wait_for_one(&w);
        mask |= bit_of(one);
        code = worse(code, one);
    }
    if (c->exit_mask)
        fprintf(stderr, "exit-mask: %d\n", mask);
    buf_free(&w.answer.body);
    json_parser_free(&w.parser);
    return code;
}
