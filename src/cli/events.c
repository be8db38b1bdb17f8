/* events.c - the verb follow: what happens to a job, to a batch, or at all, as it happens. */
#include "cli/events.h"

#include "cli/ask.h"
#include "cli/batches.h"
#include "cli/follow.h"
#include "cli/interrupt.h"
#include "cli/outcome.h"
#include "cli/wait.h"

#include "base/id.h"
#include "base/text.h"
#include "core/job.h"

enum { PATIENCE_MS = 60 * 1000, ASK_MS = 5000, DATA_MAX = 64 * 1024 };

/* What can be followed to its end. */
struct subject {
    const char *kind, *path;
    bool (*is_end)(struct json event); /* it may be its last one */
    bool (*has_ended)(struct json object);
    int (*conclude)(struct ask *a); /* a->root is the object: says how it ended */
};

struct watch {
    struct ask ask;
    const struct subject *subject; /* NULL: all that happens */
    const char *id, *path;         /* of it */
};

void events_print(struct cli *c, struct span text, struct json event)
{
    if (c->json) {
        cli_put(c, text);
        return;
    }
    static const char *const about[] = {"job", "batch", "operation"};
    struct buf line = BUF(DATA_MAX), safe = BUF(4 * DATA_MAX);
    buf_fmt(&line, "%.*s  %-16.*s  ", SP(ask_text(event, "at")), SP(ask_text(event, "event")));
    for (size_t i = 0; i < 3 && c->word_count == 1; i++) /* of everything: which one it is */
        if (ask_text(event, about[i]).n)
            buf_fmt(&line, "%.*s  ", SP(ask_text(event, about[i])));
    json_add_raw(&line, json_get(event, SPAN("data")));
    /* Not in the arena of the call: this may go on for weeks. */
    text_add_printable(&safe, buf_span(&line));
    printf("%.*s\n", SP(buf_span(&safe)));
    buf_free(&line);
    buf_free(&safe);
}

/* ---- what can be followed ---- */

static bool is_last_of_job(struct json event)
{
    enum job_state state;
    return job_state_parse(ask_text(event, "data.state"), &state) && job_is_final(state);
}

static bool job_has_ended(struct json job)
{
    enum job_state state;
    return job_state_parse(ask_text(job, "state"), &state) && job_is_final(state);
}

static int conclude_job(struct ask *a)
{
    return outcome_say(a->c, a->root);
}

static bool is_last_of_batch(struct json event)
{
    struct span name = ask_text(event, "event");
    return span_is(name, "batch.complete") || span_is(name, "batch.success");
}

static bool batch_has_ended(struct json batch)
{
    struct span state = ask_text(batch, "state");
    return span_is(state, "complete") || span_is(state, "success");
}

static bool is_last_of_operation(struct json event)
{
    struct span name = ask_text(event, "event");
    return span_is(name, "operation.done") || span_is(name, "operation.cancelled");
}

static bool operation_has_ended(struct json operation)
{
    return ask_text(operation, "finished_at").n > 0;
}

static const struct subject subjects[] = {
    {"job", "/v1/jobs/", is_last_of_job, job_has_ended, conclude_job},
    {"bat", "/v1/batches/", is_last_of_batch, batch_has_ended, batches_outcome},
    {"opr", "/v1/operations/", is_last_of_operation, operation_has_ended, ask_operation},
};

/* ---- following ---- */

/* As it is now: what was taken up again goes on behind an older end. False as well when nobody answers. */
static bool is_over(void *ctx)
{
    struct watch *w = ctx;
    struct client_answer answer;
    struct json root;
    if (!w->subject)
        return false;
    struct json_parser *parser = json_parser_new(SERVICE_ANSWER_MAX);
    struct client_request q = {
        .method = "GET", .path = w->path, .timeout_ms = ASK_MS, .body_max = SERVICE_ANSWER_MAX};
    bool over =
        !client_send(w->ask.service.second, &q, &answer, NULL) && answer.status == 200 &&
        !json_parse(parser, buf_span(&answer.body), &root, NULL) && w->subject->has_ended(root);
    buf_free(&answer.body);
    json_parser_free(&parser);
    return over;
}

static bool on_event(void *ctx, struct span text, struct json event)
{
    struct watch *w = ctx;
    events_print(w->ask.c, text, event);
    fflush(stdout);
    return !w->subject || !w->subject->is_end(event) || !is_over(w);
}

static bool on_tick(void *ctx)
{
    struct watch *w = ctx;
    return !interrupted() && !w->ask.c->broken;
}

static void on_cut(void *ctx)
{
    struct watch *w = ctx;
    cli_note(w->ask.c, "the connection was lost; reconnecting…");
}

/* Of a job that has ended: all of it at once. */
static int print_log(struct watch *w)
{
    struct client_answer answer;
    struct json event;
    int code = service_ask(&w->ask.service, "GET",
                           arena_fmt(w->ask.c->arena, "%s/log", w->path), SPAN_NONE, &answer);
    if (code)
        return code;
    struct json_parser *parser = json_parser_new(SERVICE_ANSWER_MAX);
    struct span rest = buf_span(&answer.body), line;
    while (span_next(&rest, '\n', &line))
        if (line.n && !json_parse(parser, line, &event, NULL))
            events_print(w->ask.c, line, event);
    json_parser_free(&parser);
    buf_free(&answer.body);
    return EXIT_DONE;
}

static int stream(struct watch *w, int64_t after)
{
    struct follow f = {.service = &w->ask.service,
                       .id = w->id,
                       .after = after,
                       .patience_ms = PATIENCE_MS,
                       .on_event = on_event,
                       .on_tick = on_tick,
                       .on_cut = on_cut,
                       .is_over = is_over,
                       .ctx = w};
    interrupt_catch();
    int code = follow_events(&f);
    if (!code && interrupted())
        code = w->subject && strcmp(w->subject->kind, "job") == 0
                   ? wait_interrupted(w->ask.c, &w->ask.service, w->id)
                   : EXIT_INTERRUPTED;
    return code;
}

static int follow(struct watch *w)
{
    struct cli *c = w->ask.c;
    int64_t after = w->subject ? 0 : -1;
    int code =
        c->after ? cli_number(c->words[0], "after", c->after, 0, INT64_MAX, &after) : EXIT_DONE;
    if (!code && w->subject)
        code = ask_send(&w->ask, "GET", w->path, NULL, SPAN_NONE);
    if (code)
        return code;
    bool job = w->subject && strcmp(w->subject->kind, "job") == 0;
    if (!w->subject || !w->subject->has_ended(w->ask.root))
        code = stream(w, after);
    else if (job)
        code = print_log(w);
    if (!code && w->subject)
        code = ask_send(&w->ask, "GET", w->path, NULL, SPAN_NONE);
    if (code || !w->subject)
        return code;
    c->json = false; /* how it ended is said, not put behind the events */
    return w->subject->conclude(&w->ask);
}

/* ---- the verb ---- */

static const struct subject *subject_of(const char *id)
{
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++)
        if (id_valid(span_of(id), subjects[i].kind))
            return &subjects[i];
    return NULL;
}

/* fulmar follow [ID], fulmar jobs follow JOB */
int follow_run(struct cli *c)
{
    bool of_jobs = *c->action;
    size_t at = of_jobs ? 2 : 1;
    struct watch w = {.id = c->word_count > at ? c->words[at] : NULL};
    if (c->word_count > at + 1 || (of_jobs && !w.id))
        return cli_usage(c->words[0], "one at a time: fulmar follow JOB, BATCH or OPERATION");
    w.subject = w.id ? subject_of(w.id) : NULL;
    if (w.id && (!w.subject || (of_jobs && w.subject != &subjects[0]))) {
        cli_say("'%s' is not the id of a job%s", cli_printable(c, span_of(w.id)),
                of_jobs ? "" : ", a batch or an operation");
        return EXIT_DATA;
    }
    if (w.id)
        w.path = arena_fmt(c->arena, "%s%s", w.subject->path, w.id);
    int code = ask_open(&w.ask, c);
    if (code)
        return code;
    code = follow(&w);
    ask_close(&w.ask);
    return code;
}
