#include "cli/ask.h"
#include "cli/cancel.h"
#include "cli/events.h"
#include "cli/evidence.h"
#include "cli/face.h"
#include "cli/many.h"
#include "cli/parts.h"
#include "cli/wait.h"

#include "base/text.h"

#include <sys/ioctl.h>
#include <unistd.h>

enum {
    LIST_ROWS = 20,
    LIST_MAX = 200,
    CURSOR_MAX = 256,
    PAGES_MOST =
        40, /* that are asked for one after the other: 200 000 jobs that are looked at */
};

/* ---- list ---- */

/* What the job is there for. */
static long long records_of(struct json job)
{
    return ask_number(job, span_is(ask_text(job, "records"), "users") ? "counts.users"
                                                                      : "counts.posts");
}

/* How it ended; in parentheses how its last attempt did, when it goes on. */
static const char *outcome_of(struct cli *c, struct json job)
{
    struct span failure = ask_text(job, "failure.class"), verdict = ask_text(job, "verdict");
    bool final = true;
    if (!failure.n)
        return verdict.n ? cli_printable(c, verdict) : "-";
    json_bool(json_path(job, "failure.final"), &final);
    const char *class = cli_printable(c, failure);
    return final ? class : arena_fmt(c->arena, "(%s)", class);
}

static const char *shown_time(struct cli *c, struct json job, const char *path)
{
    struct span text = ask_text(job, path);
    return text.n ? cli_printable(c, text) : "-";
}

static void put_labels(struct cli *c, struct json job)
{
    for (struct json_iter i = json_each(json_get(job, SPAN("labels"))); json_next(&i);) {
        struct span value = SPAN_NONE;
        json_text(i.value, &value);
        printf(" %s=%s", cli_printable(c, i.key), cli_printable(c, value));
    }
}

static void print_row(struct cli *c, struct json job)
{
    struct buf target = BUF(1024), safe = BUF(16 * 1024);
    text_add_printable(&safe, ask_text(job, "target"));
    text_add_cut(&target, buf_span(&safe), 30);
    struct span state = ask_text(job, "state");
    printf("%-31s  %-8s  %s%-10s%s  %-15s  %8lld  ", cli_printable(c, ask_text(job, "id")),
           cli_printable(c, ask_text(job, "kind")), face_on(stdout, face_of_state(state)),
           cli_printable(c, state), face_off(stdout), outcome_of(c, job), records_of(job));
    if (c->wide)
        printf("%-24s  %4lld  %-24s  %-24s  ", cli_printable(c, ask_text(job, "lane")),
               ask_number(job, "priority"), shown_time(c, job, "created_at"),
               shown_time(c, job, "finished_at"));
    printf("%.*s", SP(buf_span(&target)));
    if (c->wide)
        put_labels(c, job);
    printf("\n");
    buf_free(&target);
    buf_free(&safe);
}

static void print_heading(const struct cli *c)
{
    printf("%s%-31s  %-8s  %-10s  %-15s  %8s  ", face_on(stdout, COLOR_BOLD), "JOB", "KIND",
           "STATE", "OUTCOME", "RECORDS");
    if (c->wide)
        printf("%-24s  %4s  %-24s  %-24s  ", "QUEUE", "PRIO", "ACCEPTED", "ENDED");
    printf("TARGET%s%s\n", c->wide ? " LABELS" : "", face_off(stdout));
}

/* Where it was asked for. */
static void note_count(const struct cli *c, struct json root)
{
    struct span kind = ask_text(root, "counts.kind");
    long long n = ask_number(root, "counts.value");
    if (kind.n)
        cli_note(c, "%s%lld job%s",
                 span_is(kind, "gte")        ? "at least "
                 : span_is(kind, "estimate") ? "about "
                                             : "",
                 n, n == 1 ? "" : "s");
}

/* How far a list has come. */
struct listing {
    int64_t left, rows; /* that are still wanted, that were shown */
    bool more;
    char cursor[CURSOR_MAX]; /* where it goes on; empty: at the beginning, or not at all */
};

static void print_rows(struct cli *c, struct json root, struct listing *l)
{
    struct json data = json_get(root, SPAN("data"));
    int64_t n = (int64_t)json_count(data);
    if (n && !l->rows)
        print_heading(c);
    for (struct json_iter i = json_each(data); json_next(&i);)
        print_row(c, i.value);
    l->rows += n;
    l->left -= n < l->left ? n : l->left;
    l->more = false;
    json_bool(json_path(root, "page.has_more"), &l->more);
    span_copy(ask_text(root, "page.next_cursor"), l->cursor, sizeof l->cursor);
}

static int print_page(struct cli *c, struct client_answer *a, struct listing *l)
{
    struct json_parser *parser = json_parser_new(SERVICE_ANSWER_MAX);
    struct json root;
    if (json_parse(parser, buf_span(&a->body), &root, NULL) ||
        !json_get(root, SPAN("data")).doc) {
        json_parser_free(&parser);
        return service_not_ours(a);
    }
    print_rows(c, root, l);
    note_count(c, root);
    json_parser_free(&parser);
    buf_free(&a->body);
    return EXIT_DONE;
}

static int ask_page(struct cli *c, struct service *s, const struct listing *l,
                    struct client_answer *out)
{
    struct buf path = BUF(4096);
    buf_fmt(&path, "/v1/jobs?limit=%lld", (long long)l->left);
    many_add_query(&path, c);
    if (l->cursor[0]) {
        buf_add_text(&path, "&cursor=");
        text_add_url_escaped(&path, span_of(l->cursor));
    }
    buf_add_char(&path, '\0');
    int code = path.failed ? cli_usage("jobs", "the filter is too long")
                           : service_ask(s, "GET", path.p, SPAN_NONE, out);
    buf_free(&path);
    return code;
}

static void note_rest(const struct cli *c, const struct listing *l, bool began)
{
    if (!l->rows && l->more)
        cli_note(c, "no such job among those that were looked at; further back: --cursor %s",
                 l->cursor);
    else if (!l->rows)
        cli_note(c,
                 began ? "no such job; submit one: fulmar get posts @nasa" : "no further job");
    else if (l->more)
        cli_note(c, "there are more: --limit N, --cursor %s, or a filter such as --state STATE",
                 l->cursor);
}

/* A page of the service may be short, or empty, though there are more such jobs: then the next one is asked for. */
static int print_list(struct cli *c, struct service *s, struct listing *l)
{
    bool began = !l->cursor[0];
    struct client_answer answer;
    int code = EXIT_DONE, pages = 0;
    do {
        code = ask_page(c, s, l, &answer);
        if (!code)
            code = print_page(c, &answer, l);
        c->count = NULL; /* that was said */
    } while (!code && l->more && l->left && l->cursor[0] && ++pages < PAGES_MOST);
    if (!code)
        note_rest(c, l, began);
    return code;
}

static int list(struct cli *c, struct service *s, int64_t limit)
{
    struct listing l = {.left = limit};
    if (c->cursor)
        span_copy(span_of(c->cursor), l.cursor, sizeof l.cursor);
    if (!c->json)
        return print_list(c, s, &l);
    struct client_answer answer;
    int code = ask_page(c, s, &l, &answer);
    if (code)
        return code;
    cli_put(c, buf_span(&answer.body));
    buf_free(&answer.body);
    return EXIT_DONE;
}

/* ---- show ---- */

static void print_line(struct cli *c, const char *name, struct span value)
{
    if (value.n)
        printf("%-10s %s\n", name, cli_printable(c, value));
}

static void print_waiting(struct cli *c, struct json job)
{
    struct span reason = ask_text(job, "waiting_for.reason");
    struct span until = ask_text(job, "waiting_for.until");
    if (reason.n)
        printf("%-10s for %s%s%s\n", "waits", cli_printable(c, reason),
               until.n ? " until " : "", until.n ? cli_printable(c, until) : "");
}

static void print_place(struct cli *c, struct json job)
{
    struct span start = ask_text(job, "est_start_at");
    if (json_is(json_get(job, SPAN("queue_position")), JSON_INT))
        printf("%-10s %lld of its queue%s%s\n", "place", ask_number(job, "queue_position"),
               start.n ? ", starts about " : "", start.n ? cli_printable(c, start) : "");
}

/* In units of so many; "-" where it is not known. */
static const char *shown_part(struct cli *c, struct json usage, const char *name, int unit)
{
    if (!json_is(json_path(usage, name), JSON_INT))
        return "-";
    return arena_fmt(c->arena, "%lld", ask_number(usage, name) / unit);
}

/* What its attempts took, as far as it was measured. */
static void print_usage(struct cli *c, struct json job)
{
    enum { KIB = 1024, MIB = 1024 * 1024 };
    struct json usage = json_get(job, SPAN("usage"));
    if (!json_is(usage, JSON_OBJECT))
        return;
    printf("%-10s %s ms of a processor, %s MiB at most, %s requests, %s KiB received\n", "took",
           shown_part(c, usage, "cpu_ms", 1), shown_part(c, usage, "peak_pss_bytes", MIB),
           shown_part(c, usage, "requests", 1), shown_part(c, usage, "net_bytes", KIB));
}

/* Of a result that another job brought. */
static void print_source(struct cli *c, struct json job)
{
    struct span source = ask_text(job, "result.source"),
                from = ask_text(job, "result.from_job");
    if (from.n)
        printf("%-10s %s: the result of %s", "source", cli_printable(c, source),
               cli_printable(c, from));
    if (from.n && json_is(json_path(job, "result.age_s"), JSON_INT))
        printf(", %lld s old", ask_number(job, "result.age_s"));
    if (from.n)
        printf("\n");
}

static void print_option(struct cli *c, const char *at, struct span key, struct json v)
{
    struct buf raw = BUF(64 * 1024);
    struct span text;
    if (!json_text(v, &text)) {
        json_add_raw(&raw, v);
        text = buf_span(&raw);
    }
    printf(" %s%s=%s", at, cli_printable(c, key), cli_printable(c, text));
    buf_free(&raw);
}

/* What its order asks for: limit=20 timeouts.navigation_s=5. */
static void print_options(struct cli *c, struct json job)
{
    struct json options = json_get(job, SPAN("options"));
    if (!json_count(options))
        return;
    printf("%-10s", "options");
    for (struct json_iter i = json_each(options); json_next(&i);) {
        if (!json_is(i.value, JSON_OBJECT)) {
            print_option(c, "", i.key, i.value);
            continue;
        }
        const char *at = arena_fmt(c->arena, "%s.", cli_printable(c, i.key));
        for (struct json_iter k = json_each(i.value); json_next(&k);)
            print_option(c, at, k.key, k.value);
    }
    printf("\n");
}

static void print_budget(struct cli *c, struct json job)
{
    struct span name = ask_text(job, "report.budget.name");
    if (name.n)
        printf("%-10s %s: %lld of %lld used\n", "budget", cli_printable(c, name),
               ask_number(job, "report.budget.used"), ask_number(job, "report.budget.most"));
}

static void print_labels(struct cli *c, struct json job)
{
    struct json labels = json_get(job, SPAN("labels"));
    if (!json_count(labels))
        return;
    printf("%-10s", "labels");
    put_labels(c, job);
    printf("\n");
}

static void print_job(struct cli *c, struct json job)
{
    print_line(c, "job", ask_text(job, "id"));
    printf("%-10s %s %s %s\n", "target", cli_printable(c, ask_text(job, "site")),
           cli_printable(c, ask_text(job, "kind")), cli_printable(c, ask_text(job, "target")));
    printf("%-10s %s, priority %lld\n", "queue", cli_printable(c, ask_text(job, "lane")),
           ask_number(job, "priority"));
    print_line(c, "unique", ask_text(job, "unique_key"));
    print_options(c, job);
    print_labels(c, job);
    print_line(c, "state", ask_text(job, "state"));
    print_waiting(c, job);
    print_place(c, job);
    print_line(c, "verdict", ask_text(job, "verdict"));
    print_line(c, "end", ask_text(job, "end_reason"));
    print_budget(c, job);
    print_source(c, job);
    print_line(c, "failure", ask_text(job, "failure.class"));
    print_line(c, "meaning", ask_text(job, "failure.meaning"));
    print_line(c, "why", ask_text(job, "failure.why"));
    print_line(c, "advice", ask_text(job, "failure.advice"));
    printf("%-10s %lld posts, %lld users, %lld rejected, %lld conflicts\n", "counts",
           ask_number(job, "counts.posts"), ask_number(job, "counts.users"),
           ask_number(job, "counts.rejected"), ask_number(job, "counts.conflicts"));
    printf(
        "%-10s %lld started, %lld failed, %lld crashed, %lld throttled, %lld given back, %lld made void\n",
        "attempts", ask_number(job, "attempts.started"), ask_number(job, "attempts.failed"),
        ask_number(job, "attempts.crashed"), ask_number(job, "attempts.throttled"),
        ask_number(job, "attempts.released"), ask_number(job, "attempts.voided"));
    if (ask_number(job, "attempts.max_failed"))
        printf("%-10s %lld of %lld in a row\n", "failures",
               ask_number(job, "attempts.failed_in_row"),
               ask_number(job, "attempts.max_failed"));
    print_usage(c, job);
    print_line(c, "batch", ask_text(job, "batch"));
    print_line(c, "accepted", ask_text(job, "created_at"));
    print_line(c, "not before", ask_text(job, "not_before"));
    print_line(c, "expires", ask_text(job, "expires_at"));
    print_line(c, "deadline", ask_text(job, "deadline_at"));
    print_line(c, "started", ask_text(job, "started_at"));
    print_line(c, "finished", ask_text(job, "finished_at"));
}

static int show_answer(struct cli *c, struct client_answer *a)
{
    if (c->json) {
        cli_put(c, buf_span(&a->body));
        buf_free(&a->body);
        return EXIT_DONE;
    }
    struct json_parser *parser = json_parser_new(SERVICE_ANSWER_MAX);
    struct json job;
    if (json_parse(parser, buf_span(&a->body), &job, NULL)) {
        json_parser_free(&parser);
        return service_not_ours(a);
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
    int code = service_ask(s, "GET", path, SPAN_NONE, &answer);
    return code ? code : show_answer(c, &answer);
}

static int retry(struct cli *c, struct service *s, const char *id)
{
    struct client_answer answer;
    char path[100];
    snprintf(path, sizeof path, "/v1/jobs/%s/retry", id);
    int code = evidence_ask(s, "POST", path, c->reset ? SPAN("{\"reset\":true}") : SPAN("{}"),
                            &answer);
    if (code)
        return code;
    if (c->json && !c->wait)
        return show_answer(c, &answer);
    if (!c->json)
        cli_note(c, "%s will run again; look: fulmar jobs show %s", id, id);
    buf_free(&answer.body);
    return c->wait ? wait_for_jobs(c, s, &id, 1) : EXIT_DONE;
}

/* ---- log ---- */

static int show_log(struct cli *c, struct service *s, const char *id)
{
    struct client_answer answer;
    char path[100];
    snprintf(path, sizeof path, "/v1/jobs/%s/log", id);
    int code = service_ask(s, "GET", path, SPAN_NONE, &answer);
    if (code)
        return code;
    struct json_parser *parser = json_parser_new(SERVICE_ANSWER_MAX);
    struct span rest = buf_span(&answer.body), line;
    struct json event;
    while (span_next(&rest, '\n', &line))
        if (line.n && !json_parse(parser, line, &event, NULL))
            events_print(c, line, event);
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
    printf("%-20s  %-12s  %s\n", cli_printable(c, ask_text(line, "id")),
           cli_printable(c, ask_text(line, v.doc ? "field" : "check")),
           cli_printable(c, v.doc ? buf_span(&values) : ask_text(line, "reason")));
    buf_free(&values);
}

/* Records kept apart, or conflicts: a line each; with --json as they are stored. */
static int show_apart(struct cli *c, struct service *s, const char *id, const char *what)
{
    struct client_answer answer;
    char path[100];
    snprintf(path, sizeof path, "/v1/jobs/%s/%s", id, what);
    int code = service_ask(s, "GET", path, SPAN_NONE, &answer);
    if (code)
        return code;
    struct json_parser *parser = json_parser_new(SERVICE_ANSWER_MAX);
    struct span rest = buf_span(&answer.body), line;
    struct json record;
    if (c->json)
        cli_put(c, buf_span(&answer.body));
    while (!c->json && span_next(&rest, '\n', &line))
        if (line.n && !json_parse(parser, line, &record, NULL))
            print_apart(c, record);
    json_parser_free(&parser);
    buf_free(&answer.body);
    return EXIT_DONE;
}

/* ---- the verb ---- */

enum { LIST, CREATE, SHOW, CANCEL, RETRY, LOG, REJECTED, CONFLICTS, WAIT };
static const char *const actions[] = {"list", "create",   "show",      "cancel", "retry",
                                      "log",  "rejected", "conflicts", "wait",   NULL};

static bool takes_filter(int action)
{
    return action == CANCEL || action == RETRY;
}

static int retry_all(struct cli *c, struct service *s)
{
    int first = EXIT_DONE;
    for (size_t i = 2; i < c->word_count; i++) {
        int code = retry(c, s, c->words[i]);
        first = first ? first : code;
    }
    return first;
}

static int run_action(struct cli *c, struct service *s, int action, int64_t limit)
{
    switch (action) {
    case LIST:
        return list(c, s, limit);
    case SHOW:
        return show(c, s, c->words[2]);
    case CANCEL:
        return cancel_run(c, s);
    case RETRY:
        return retry_all(c, s);
    case WAIT:
        return wait_for_jobs(c, s, c->words + 2, c->word_count - 2);
    case LOG:
        return show_log(c, s, c->words[2]);
    default:
        return show_apart(c, s, c->words[2], actions[action]);
    }
}

int jobs_run(struct cli *c)
{
    int64_t limit = LIST_ROWS, wait_ms;
    int action = cli_action(c, actions), code = EXIT_DONE;
    if (action == CREATE)
        return get_create(c);
    if (action == LIST && c->word_count > 2)
        return cli_usage("jobs", "too many words");
    if (action == LIST && c->limit &&
        (!span_int(span_of(c->limit), &limit) || limit < 1 || limit > LIST_MAX))
        return cli_usage("jobs", "--limit must be 1 to %d, not '%.40s'", LIST_MAX, c->limit);
    if (action == LIST)
        code = parts_check_labels(c, "jobs", false);
    if (action == LIST && !code)
        code = many_check_list(c);
    else if (action != LIST)
        code = takes_filter(action) ? many_check(c) : ask_jobs(c, action == WAIT);
    if (!code && takes_filter(action) && c->word_count < 3)
        return many_run(c);
    if (!code && action == CANCEL)
        code = cancel_check(c);
    if (!code)
        code = wait_limit(c, "jobs", &wait_ms);
    struct service service;
    if (!code)
        code = service_open(&service, c, NULL, NULL);
    if (code)
        return code;
    code = run_action(c, &service, action, limit);
    service_close(&service);
    return code;
}
