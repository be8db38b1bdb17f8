#include "cli/evidence.h"

#include "base/id.h"
#include "base/text.h"

#include <sys/ioctl.h>
#include <unistd.h>

enum { ANSWER_MS = 40 * 1000, ANSWER_MAX = 16 * 1024 * 1024, LIST_ROWS = 20, LIST_MAX = 200 };

static struct span text_at(struct json v, const char *path)
{
    struct span text = SPAN_NONE;
    json_text(json_path(v, path), &text);
    return text;
}

static long long number_at(struct json v, const char *path)
{
    int64_t n = 0;
    json_int(json_path(v, path), &n);
    return (long long)n;
}

/* One request; 0 with *out to be freed, or an exit code with everything said. */
static int ask(struct service *s, const char *method, const char *path,
               struct client_answer *out)
{
    struct fault f = {0};
    struct client_request q = {
        .method = method, .path = path, .timeout_ms = ANSWER_MS, .body_max = ANSWER_MAX};
    err e = client_send(s->client, &q, out, &f);
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

static int not_ours(struct client_answer *a)
{
    cli_say("the answer cannot be read; is this a Fulmar service?");
    buf_free(&a->body);
    return EXIT_PROTOCOL;
}

/* ---- list ---- */

/* What the job is there for. */
static long long records_of(struct json job)
{
    return number_at(job, span_is(text_at(job, "records"), "users") ? "counts.users"
                                                                   : "counts.posts");
}

/* How it ended; in parentheses how its last attempt did, when it goes on. */
static const char *outcome_of(struct cli *c, struct json job)
{
    struct span failure = text_at(job, "failure.class"), verdict = text_at(job, "verdict");
    bool final = true;
    if (!failure.n)
        return verdict.n ? cli_printable(c, verdict) : "-";
    json_bool(json_path(job, "failure.final"), &final);
    const char *class = cli_printable(c, failure);
    return final ? class : arena_fmt(c->arena, "(%s)", class);
}

static void print_row(struct cli *c, struct json job)
{
    struct buf target = BUF(1024), safe = BUF(16 * 1024);
    text_add_printable(&safe, text_at(job, "target"));
    text_add_cut(&target, buf_span(&safe), 30);
    printf("%-31s  %-8s  %-10s  %-15s  %8lld  %.*s\n", cli_printable(c, text_at(job, "id")),
           cli_printable(c, text_at(job, "kind")), cli_printable(c, text_at(job, "state")),
           outcome_of(c, job), records_of(job), SP(buf_span(&target)));
    buf_free(&target);
    buf_free(&safe);
}

static int print_list(struct cli *c, struct client_answer *a)
{
    struct json_parser *parser = json_parser_new(ANSWER_MAX);
    struct json root;
    int code = EXIT_DONE;
    if (json_parse(parser, buf_span(&a->body), &root, NULL) ||
        !json_get(root, SPAN("data")).doc) {
        json_parser_free(&parser);
        return not_ours(a);
    }
    struct json data = json_get(root, SPAN("data"));
    if (json_count(data) == 0)
        cli_note(c, "no such job; submit one: fulmar get posts @nasa");
    else
        printf("%-31s  %-8s  %-10s  %-15s  %8s  %s\n", "JOB", "KIND", "STATE", "OUTCOME",
               "RECORDS", "TARGET");
    for (struct json_iter i = json_each(data); json_next(&i);)
        print_row(c, i.value);
    bool more = false;
    if (json_bool(json_path(root, "page.has_more"), &more) && more)
        cli_note(c, "there are more: --limit N, or --state STATE");
    json_parser_free(&parser);
    buf_free(&a->body);
    return code;
}

static int list(struct cli *c, struct service *s, int64_t limit)
{
    struct buf path = BUF(4096);
    buf_fmt(&path, "/v1/jobs?limit=%lld", (long long)limit);
    if (c->state) {
        buf_add_text(&path, "&state=");
        text_add_url_escaped(&path, span_of(c->state));
    }
    buf_add_char(&path, '\0');
    struct client_answer answer;
    int code =
        path.failed ? cli_usage("jobs", "--state is too long") : ask(s, "GET", path.p, &answer);
    buf_free(&path);
    if (code)
        return code;
    if (!c->json)
        return print_list(c, &answer);
    fwrite(answer.body.p, 1, answer.body.n, stdout);
    buf_free(&answer.body);
    return EXIT_DONE;
}

/* ---- show, cancel ---- */

static void print_line(struct cli *c, const char *name, struct span value)
{
    if (value.n)
        printf("%-10s %s\n", name, cli_printable(c, value));
}

static void print_waiting(struct cli *c, struct json job)
{
    struct span reason = text_at(job, "waiting_for.reason");
    struct span until = text_at(job, "waiting_for.until");
    if (reason.n)
        printf("%-10s for %s%s%s\n", "waits", cli_printable(c, reason),
               until.n ? " until " : "", until.n ? cli_printable(c, until) : "");
}

static void print_job(struct cli *c, struct json job)
{
    print_line(c, "job", text_at(job, "id"));
    printf("%-10s %s %s %s\n", "target", cli_printable(c, text_at(job, "site")),
           cli_printable(c, text_at(job, "kind")), cli_printable(c, text_at(job, "target")));
    print_line(c, "state", text_at(job, "state"));
    print_waiting(c, job);
    print_line(c, "verdict", text_at(job, "verdict"));
    print_line(c, "end", text_at(job, "end_reason"));
    print_line(c, "failure", text_at(job, "failure.class"));
    print_line(c, "meaning", text_at(job, "failure.meaning"));
    print_line(c, "why", text_at(job, "failure.why"));
    print_line(c, "advice", text_at(job, "failure.advice"));
    printf("%-10s %lld posts, %lld users, %lld rejected, %lld conflicts\n", "counts",
           number_at(job, "counts.posts"), number_at(job, "counts.users"),
           number_at(job, "counts.rejected"), number_at(job, "counts.conflicts"));
    printf("%-10s %lld started, %lld failed, %lld crashed, %lld throttled, %lld given back\n",
           "attempts", number_at(job, "attempts.started"), number_at(job, "attempts.failed"),
           number_at(job, "attempts.crashed"), number_at(job, "attempts.throttled"),
           number_at(job, "attempts.released"));
    print_line(c, "batch", text_at(job, "batch"));
    print_line(c, "accepted", text_at(job, "created_at"));
    print_line(c, "not before", text_at(job, "not_before"));
    print_line(c, "started", text_at(job, "started_at"));
    print_line(c, "finished", text_at(job, "finished_at"));
}

static int show_answer(struct cli *c, struct client_answer *a)
{
    if (c->json) {
        fwrite(a->body.p, 1, a->body.n, stdout);
        buf_free(&a->body);
        return EXIT_DONE;
    }
    struct json_parser *parser = json_parser_new(ANSWER_MAX);
    struct json job;
    if (json_parse(parser, buf_span(&a->body), &job, NULL)) {
        json_parser_free(&parser);
        return not_ours(a);
    }
    print_job(c, job);
    json_parser_free(&parser);
    buf_free(&a->body);
    return EXIT_DONE;
}

static int show(struct cli *c, struct service *s, const char *id)
{
    struct client_answer answer;
    char path[100];
    snprintf(path, sizeof path, "/v1/jobs/%s", id);
    int code = ask(s, "GET", path, &answer);
    return code ? code : show_answer(c, &answer);
}

static int cancel(struct cli *c, struct service *s, const char *id)
{
    struct client_answer answer;
    char path[100];
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id);
    int code = ask(s, "POST", path, &answer);
    if (code)
        return code;
    if (c->json)
        return show_answer(c, &answer);
    cli_note(c,
             answer.status == 202 ? "%s is being stopped; look: fulmar jobs show %s"
                                  : "%s is cancelled; look: fulmar jobs show %s",
             id, id);
    buf_free(&answer.body);
    return EXIT_DONE;
}

static int retry(struct cli *c, struct service *s, const char *id)
{
    struct client_answer answer;
    char path[100];
    snprintf(path, sizeof path, "/v1/jobs/%s/retry", id);
    int code = evidence_ask(s, "POST", path, c->reset ? SPAN("{\"reset\":true}") : SPAN("{}"), &answer);
    if (code)
        return code;
    if (c->json)
        return show_answer(c, &answer);
    cli_note(c, "%s will run again; look: fulmar jobs show %s", id, id);
    buf_free(&answer.body);
    return EXIT_DONE;
}

/* ---- log ---- */

static void print_event(struct cli *c, struct json event)
{
    struct buf data = BUF(64 * 1024);
    json_add_raw(&data, json_get(event, SPAN("data")));
    printf("%s  %-14s  %s\n", cli_printable(c, text_at(event, "at")),
           cli_printable(c, text_at(event, "event")), cli_printable(c, buf_span(&data)));
    buf_free(&data);
}

static int show_log(struct cli *c, struct service *s, const char *id)
{
    struct client_answer answer;
    char path[100];
    snprintf(path, sizeof path, "/v1/jobs/%s/log", id);
    int code = ask(s, "GET", path, &answer);
    if (code)
        return code;
    if (c->json) {
        fwrite(answer.body.p, 1, answer.body.n, stdout);
        buf_free(&answer.body);
        return EXIT_DONE;
    }
    struct json_parser *parser = json_parser_new(ANSWER_MAX);
    struct span rest = buf_span(&answer.body), line;
    struct json event;
    while (span_next(&rest, '\n', &line))
        if (line.n && !json_parse(parser, line, &event, NULL))
            print_event(c, event);
    json_parser_free(&parser);
    buf_free(&answer.body);
    return EXIT_DONE;
}

/* ---- what is no result ---- */

static void print_apart(struct cli *c, struct json line)
{
    struct buf values = BUF(64 * 1024);
    struct json v = json_get(line, SPAN("values"));
    if (v.doc)
        json_add_raw(&values, v);
    printf("%-20s  %-12s  %s\n", cli_printable(c, text_at(line, "id")),
           cli_printable(c, text_at(line, v.doc ? "field" : "check")),
           cli_printable(c, v.doc ? buf_span(&values) : text_at(line, "reason")));
    buf_free(&values);
}

/* Records kept apart, or conflicts: a line each; with --json as they are stored. */
static int show_apart(struct cli *c, struct service *s, const char *id, const char *what)
{
    struct client_answer answer;
    char path[100];
    snprintf(path, sizeof path, "/v1/jobs/%s/%s", id, what);
    int code = ask(s, "GET", path, &answer);
    if (code)
        return code;
    struct json_parser *parser = json_parser_new(ANSWER_MAX);
    struct span rest = buf_span(&answer.body), line;
    struct json record;
    if (c->json)
        fwrite(answer.body.p, 1, answer.body.n, stdout);
    while (!c->json && span_next(&rest, '\n', &line))
        if (line.n && !json_parse(parser, line, &record, NULL))
            print_apart(c, record);
    json_parser_free(&parser);
    buf_free(&answer.body);
    return EXIT_DONE;
}

/* ---- the verb ---- */

int jobs_run(struct cli *c)
{
    static const char *const actions[] = {"list",     "show",      "cancel", "retry", "log",
                                          "rejected", "conflicts", NULL};
    const char *action = c->word_count > 1 ? c->words[1] : "list";
    const char *id = c->word_count > 2 ? c->words[2] : NULL;
    bool lists = strcmp(action, "list") == 0, known = false;
    for (size_t i = 0; actions[i]; i++)
        known |= strcmp(actions[i], action) == 0;
    if (!known) {
        const char *near = text_nearest(span_of(action), actions);
        return near ? cli_usage("jobs", "unknown action '%.40s'; did you mean '%s'?", action,
                                near)
                    : cli_usage("jobs",
                                "unknown action '%.40s'; known are list, show, cancel, retry, log, rejected, "
                                "conflicts",
                                action);
    }
    if (!lists && !id)
        return cli_usage("jobs", "jobs %s needs the id of a job; fulmar jobs list shows them",
                         action);
    if (c->word_count > (lists ? 2U : 3U))
        return cli_usage("jobs", "too many words");
    if (!lists && !id_valid(span_of(id), "job")) {
        cli_say("'%s' is not the id of a job; fulmar jobs list shows them",
                cli_printable(c, span_of(id)));
        return EXIT_DATA;
    }
    int64_t limit = LIST_ROWS;
    if (lists && c->limit &&
        (!span_int(span_of(c->limit), &limit) || limit < 1 || limit > LIST_MAX))
        return cli_usage("jobs", "--limit must be 1 to %d, not '%.40s'", LIST_MAX, c->limit);
    struct service service;
    int code = service_open(&service, c, NULL, NULL);
    if (code)
        return code;
    if (lists)
        code = list(c, &service, limit);
    else if (strcmp(action, "show") == 0)
        code = show(c, &service, id);
    else if (strcmp(action, "cancel") == 0)
        code = cancel(c, &service, id);
    else if (strcmp(action, "retry") == 0)
        code = retry(c, &service, id);
    else if (strcmp(action, "log") != 0)
        code = show_apart(c, &service, id, action);
    else
        code = show_log(c, &service, id);
    service_close(&service);
    return code;
}
