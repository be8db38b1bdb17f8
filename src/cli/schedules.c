#include "cli/ask.h"
#include "cli/service.h"
#include "cli/wait.h"
#include "cli/wish.h"

#include "base/need.h"
#include "base/text.h"
#include "base/when.h"

enum {
    ANSWER_MS = 40 * 1000,
    ANSWER_MAX = 16 * 1024 * 1024,
    LIST_ROWS = 20,
    LIST_MAX = 200,
    PREVIEW_MAX = 100
};

struct schedules {
    struct cli *cli;
    struct service service;
    struct json_parser *parser;
    const char *action, *name;
    struct buf body;
    int64_t rows;
    bool match; /* sends If-Match: * */
};

/* Text fit for a terminal; "-" for nothing. */
static const char *shown(struct schedules *s, struct span text)
{
    return text.n ? cli_printable(s->cli, text) : "-";
}

/* ---- asking ---- */

/* 0 with *out to be freed and, unless it has no body, *root; or an exit code with everything said. */
static int ask(struct schedules *s, const char *method, const char *path,
               struct client_answer *out, struct json *root)
{
    struct fault f = {0};
    struct client_request q = {.method = method,
                               .path = path,
                               .body = buf_span(&s->body),
                               .headers = {s->match ? "If-Match: *" : NULL},
                               .timeout_ms = ANSWER_MS,
                               .body_max = ANSWER_MAX};
    err e = client_send(s->service.client, &q, out, &f);
    int code = EXIT_DONE;
    if (e) {
        cli_say("%s", f.words[0] ? f.words : err_text(e));
        code = cli_exit_of(e);
    } else if (out->status < 200 || out->status > 299) {
        code = cli_problem(out);
    } else if (out->body.n && json_parse(s->parser, buf_span(&out->body), root, NULL)) {
        cli_say("the answer cannot be read; is this a Fulmar service?");
        code = EXIT_PROTOCOL;
    }
    if (code)
        buf_free(&out->body);
    return code;
}

static int finish(struct schedules *s, struct client_answer *a)
{
    if (s->cli->json)
        cli_put(s->cli, buf_span(&a->body));
    buf_free(&a->body);
    return EXIT_DONE;
}

/* "/v1/schedules/NAME/what", with dry_run when it is asked for. */
static char *path_of(struct schedules *s, const char *what)
{
    struct buf path = BUF(1024);
    buf_add_text(&path, "/v1/schedules/");
    text_add_url_escaped(&path, span_of(s->name));
    buf_fmt(&path, "%s%s", what, s->cli->dry_run ? "?dry_run=true" : "");
    char *kept = path.failed ? NULL : arena_text(s->cli->arena, buf_span(&path));
    buf_free(&path);
    return kept ? kept : arena_fmt(s->cli->arena, "/v1/schedules/-");
}

/* ---- the call as a body ---- */

/* A duration in whole seconds. 0 or an exit code. */
static int put_seconds(struct json_w *w, const char *flag, const char *key, const char *text)
{
    int64_t ms;
    if (!text)
        return EXIT_DONE;
    if (!when_duration(span_of(text), &ms) || ms % 1000)
        return cli_usage("schedules",
                         "--%s must be whole seconds, such as 30s, 15m, 2h or 7d, not '%.40s'",
                         flag, text);
    json_kv_int(w, key, ms / 1000);
    return EXIT_DONE;
}

static int put_number(struct json_w *w, const char *flag, const char *key, const char *text)
{
    int64_t n;
    if (!text)
        return EXIT_DONE;
    if (!span_int(span_of(text), &n))
        return cli_usage("schedules", "--%s must be a whole number, not '%.40s'", flag, text);
    json_kv_int(w, key, n);
    return EXIT_DONE;
}

static void put_text(struct json_w *w, const char *key, const char *text)
{
    if (text)
        json_kv_cstr(w, key, text);
}

/* --adaptive 5m,1d */
static int put_adaptive(struct cli *c, struct json_w *w)
{
    struct span rest = span_of(c->adaptive), least, most;
    if (!c->adaptive)
        return c->wanted ? cli_usage("schedules", "--wanted goes with --adaptive") : EXIT_DONE;
    if (!span_next(&rest, ',', &least) || !span_next(&rest, ',', &most) || rest.n)
        return cli_usage("schedules",
                         "--adaptive needs the least and the most interval: --adaptive 5m,1d");
    json_key(w, "adaptive");
    json_open(w);
    int code = put_seconds(w, "adaptive", "least_s", arena_text(c->arena, least));
    if (!code)
        code = put_seconds(w, "adaptive", "most_s", arena_text(c->arena, most));
    if (!code)
        code = put_number(w, "wanted", "posts_wanted", c->wanted);
    json_close(w);
    return code;
}

static int put_times(struct cli *c, struct json_w *w)
{
    int code = put_seconds(w, "every", "interval_s", c->every);
    put_text(w, "cron", c->cron);
    put_text(w, "timezone", c->timezone);
    put_text(w, "start_at", c->start);
    put_text(w, "end_at", c->end);
    if (!code)
        code = put_adaptive(c, w);
    if (!code)
        code = put_seconds(w, "jitter", "jitter_s", c->jitter);
    return code;
}

/* The service says which names of policies there are. */
static int put_policies(struct cli *c, struct json_w *w)
{
    int code = put_seconds(w, "grace", "grace_s", c->grace);
    put_text(w, "overlap", c->overlap);
    put_text(w, "missed", c->missed);
    if (!code)
        code = put_seconds(w, "catch-up", "catch_up_s", c->catch_up);
    if (!code)
        code = put_number(w, "catch-up-max", "catch_up_max", c->catch_up_max);
    return code;
}

static int write_schedule(struct schedules *s)
{
    struct cli *c = s->cli;
    struct wish wish = {0};
    struct buf job = BUF(64 * 1024);
    if (!c->cron && !c->every && !c->adaptive)
        return cli_usage("schedules",
                         "say when: --cron '30 2 * * *', --every 15m or --adaptive 5m,1d");
    int code = wish_check(&wish, c, "schedules");
    if (code)
        return code;
    struct json_w w = json_w(&s->body), inner = json_w(&job);
    wish_write(&wish, c, c->words[3], c->words[4], &inner);
    json_open(&w);
    json_kv_cstr(&w, "name", s->name);
    code = put_times(c, &w);
    if (!code)
        code = put_policies(c, &w);
    json_key(&w, "job");
    json_put_raw(&w, buf_span(&job));
    json_close(&w);
    buf_free(&job);
    return code;
}

/* ---- words ---- */

static const char *rule_of(struct schedules *s, struct json spec)
{
    struct cli *c = s->cli;
    struct span cron = ask_text(spec, "cron");
    if (cron.n)
        return arena_fmt(c->arena, "%s %s", cli_printable(c, cron),
                         cli_printable(c, ask_text(spec, "timezone")));
    if (json_get(spec, SPAN("adaptive")).doc)
        return arena_fmt(
            c->arena, "adaptive %lld-%lld s, %lld posts", ask_number(spec, "adaptive.least_s"),
            ask_number(spec, "adaptive.most_s"), ask_number(spec, "adaptive.posts_wanted"));
    return arena_fmt(c->arena, "every %lld s", ask_number(spec, "interval_s"));
}

static void print_line(const char *name, const char *value)
{
    printf("%-10s %s\n", name, value);
}

static void print_schedule(struct schedules *s, struct json v)
{
    struct json spec = json_get(v, SPAN("spec"));
    struct span reason = ask_text(v, "status.paused.reason"),
                by = ask_text(v, "status.paused.by");
    print_line("schedule", shown(s, ask_text(v, "name")));
    print_line("id", shown(s, ask_text(v, "id")));
    printf("%-10s %s %s\n", "collects", shown(s, ask_text(spec, "job.kind")),
           shown(s, ask_text(spec, "job.target")));
    print_line("when", rule_of(s, spec));
    print_line("state", shown(s, ask_text(v, "status.state")));
    if (ask_text(v, "status.paused.since").n)
        printf("%-10s since %s%s%s%s%s\n", "paused",
               shown(s, ask_text(v, "status.paused.since")), by.n ? " by " : "",
               by.n ? shown(s, by) : "", reason.n ? ": " : "",
               reason.n ? shown(s, reason) : "");
    print_line("next", shown(s, ask_text(v, "status.next_at")));
    if (ask_number(v, "status.interval_s"))
        printf("%-10s %lld s\n", "interval", ask_number(v, "status.interval_s"));
    print_line("overlap", shown(s, ask_text(spec, "overlap")));
    print_line("missed", shown(s, ask_text(spec, "missed")));
    printf("%-10s %lld made, %lld skipped, %lld missed; %lld alive, %lld pending\n", "runs",
           ask_number(v, "status.fired"), ask_number(v, "status.skipped"),
           ask_number(v, "status.missed"), ask_number(v, "status.live"),
           ask_number(v, "status.pending"));
    if (json_is(json_path(v, "status.last_found"), JSON_INT))
        printf("%-10s %lld records\n", "last found", ask_number(v, "status.last_found"));
    print_line("last job", shown(s, ask_text(v, "status.last_job")));
}

static void print_row(struct schedules *s, struct json v)
{
    struct buf target = BUF(1024), safe = BUF(16 * 1024);
    text_add_printable(&safe, ask_text(v, "spec.job.target"));
    text_add_cut(&target, buf_span(&safe), 24);
    printf("%-20s  %-7s  %-24s  %6lld  %-28s  %s %.*s\n", shown(s, ask_text(v, "name")),
           shown(s, ask_text(v, "status.state")), shown(s, ask_text(v, "status.next_at")),
           ask_number(v, "status.fired"), rule_of(s, json_get(v, SPAN("spec"))),
           shown(s, ask_text(v, "spec.job.kind")), SP(buf_span(&target)));
    buf_free(&target);
    buf_free(&safe);
}

static void print_run(struct schedules *s, struct json v)
{
    struct span why = ask_text(v, "why"), job = ask_text(v, "job");
    bool ended = json_is(json_get(v, SPAN("found")), JSON_INT);
    char found[32] = "-";
    if (ended)
        snprintf(found, sizeof found, "%lld", ask_number(v, "found"));
    printf("%-24s  %-8s  %-8s  %-10s  %8s  %s\n", shown(s, ask_text(v, "slot")),
           shown(s, ask_text(v, "cause")), shown(s, ask_text(v, "state")),
           shown(s, ended ? ask_text(v, "job_state") : why), found, shown(s, job));
}

static void print_slot(struct schedules *s, struct json v)
{
    printf("%-19s  %-6s  %s\n", shown(s, ask_text(v, "local")),
           shown(s, ask_text(v, "utc_offset")), shown(s, ask_text(v, "at")));
}

static void print_all(struct schedules *s, struct json list, const char *head,
                      void (*print)(struct schedules *s, struct json v))
{
    struct json data = json_get(list, SPAN("data"));
    bool more = false;
    if (json_count(data))
        printf("%s\n", head);
    for (struct json_iter i = json_each(data); json_next(&i);)
        print(s, i.value);
    if (json_bool(json_path(list, "page.has_more"), &more) && more)
        cli_note(s->cli, "there are more: --limit N");
}

/* ---- the actions ---- */

static int list(struct schedules *s)
{
    char path[100];
    struct client_answer a;
    struct json root = JSON_MISSING;
    snprintf(path, sizeof path, "/v1/schedules?limit=%lld", (long long)s->rows);
    int code = ask(s, "GET", path, &a, &root);
    if (code)
        return code;
    if (!s->cli->json && json_count(json_get(root, SPAN("data"))) == 0)
        cli_note(
            s->cli,
            "no schedule; make one: fulmar schedules create nasa posts @nasa --every 15m --since-last");
    else if (!s->cli->json)
        print_all(s, root,
                  arena_fmt(s->cli->arena, "%-20s  %-7s  %-24s  %6s  %-28s  %s", "SCHEDULE",
                            "STATE", "NEXT", "MADE", "WHEN", "COLLECTS"),
                  print_row);
    return finish(s, &a);
}

static int runs(struct schedules *s)
{
    struct client_answer a;
    struct json root = JSON_MISSING;
    int code =
        ask(s, "GET",
            arena_fmt(s->cli->arena, "%s?limit=%lld", path_of(s, "/runs"), (long long)s->rows),
            &a, &root);
    if (code)
        return code;
    if (!s->cli->json)
        print_all(s, root,
                  arena_fmt(s->cli->arena, "%-24s  %-8s  %-8s  %-10s  %8s  %s", "SLOT", "CAUSE",
                            "STATE", "OUTCOME", "RECORDS", "JOB"),
                  print_run);
    return finish(s, &a);
}

static int show(struct schedules *s)
{
    struct client_answer a;
    struct json root = JSON_MISSING;
    int code = ask(s, "GET", path_of(s, ""), &a, &root);
    if (code)
        return code;
    if (!s->cli->json)
        print_schedule(s, root);
    return finish(s, &a);
}

static int create(struct schedules *s)
{
    struct cli *c = s->cli;
    struct client_answer a;
    struct json root = JSON_MISSING;
    bool new = strcmp(s->action, "create") == 0;
    s->match = !new;
    int code =
        ask(s, new ? "POST" : "PUT",
            new ? arena_fmt(c->arena, "/v1/schedules%s", c->dry_run ? "?dry_run=true" : "")
                : path_of(s, ""),
            &a, &root);
    if (code)
        return code;
    cli_note(c, "%s %s; next: %s%s", s->name,
             c->dry_run ? "would be scheduled"
             : new      ? "is scheduled"
                        : "is changed",
             shown(s, ask_text(root, "status.next_at")),
             c->dry_run ? " (nothing was written)" : "");
    return finish(s, &a);
}

static int pause_or_resume(struct schedules *s)
{
    struct cli *c = s->cli;
    struct client_answer a;
    struct json root = JSON_MISSING;
    bool pause = strcmp(s->action, "pause") == 0;
    if (pause) {
        struct json_w w = json_w(&s->body);
        json_open(&w);
        put_text(&w, "reason", c->reason);
        put_text(&w, "by", getenv("USER"));
        json_close(&w);
    }
    int code = ask(s, "POST", path_of(s, pause ? "/pause" : "/resume"), &a, &root);
    if (code)
        return code;
    if (c->dry_run)
        cli_note(c, "%s would be %s (nothing was written)", s->name,
                 pause ? "paused" : "resumed");
    else if (pause)
        cli_note(c, "%s is paused; go on: fulmar schedules resume %s", s->name, s->name);
    else
        cli_note(c, "%s goes on; next: %s", s->name,
                 shown(s, ask_text(root, "status.next_at")));
    return finish(s, &a);
}

static int fire(struct schedules *s, const char *what)
{
    struct cli *c = s->cli;
    struct client_answer a;
    struct json root = JSON_MISSING;
    int code = ask(s, "POST", path_of(s, what), &a, &root);
    if (code)
        return code;
    const char *would = c->dry_run ? "would be " : "";
    struct span job = ask_text(root, "job");
    if (ask_number(root, "pending"))
        cli_note(c, "a run %smade when the running one has ended",
                 c->dry_run ? "would be " : "is ");
    else
        cli_note(c, "%lld %s %smade, %lld had one already", ask_number(root, "made"),
                 ask_number(root, "made") == 1 ? "job" : "jobs", would,
                 ask_number(root, "known"));
    const char *id = arena_text(c->arena, job);
    if (job.n && !c->wait)
        cli_note(c, "look: fulmar jobs show %s", shown(s, job));
    if (!job.n || !c->wait)
        return finish(s, &a);
    buf_free(&a.body);
    return wait_for_jobs(c, &s->service, &id, 1);
}

static int backfill(struct schedules *s)
{
    struct cli *c = s->cli;
    struct json_w w = json_w(&s->body);
    json_open(&w);
    put_text(&w, "from", c->from);
    put_text(&w, "to", c->to);
    json_close(&w);
    return fire(s, "/backfill");
}

static int delete (struct schedules *s)
{
    struct client_answer a;
    struct json root = JSON_MISSING;
    s->match = true;
    int code = ask(s, "DELETE", path_of(s, ""), &a, &root);
    if (code)
        return code;
    cli_note(s->cli, "%s %s; jobs that it made go on", s->name,
             s->cli->dry_run ? "would be deleted (nothing was written)" : "is deleted");
    buf_free(&a.body);
    return EXIT_DONE;
}

/* Of a schedule that there is: what it says of itself. An interval goes on from its next slot. */
static int write_known(struct schedules *s)
{
    struct client_answer a;
    struct json root = JSON_MISSING;
    struct json_w w;
    int code = ask(s, "GET", path_of(s, ""), &a, &root);
    if (code)
        return code;
    w = json_w(&s->body);
    json_open(&w);
    for (struct json_iter i = json_each(json_get(root, SPAN("spec"))); json_next(&i);) {
        struct buf raw = BUF(64 * 1024);
        json_add_raw(&raw, i.value);
        json_key_span(&w, i.key);
        json_put_raw(&w, buf_span(&raw));
        buf_free(&raw);
    }
    struct span next = ask_text(root, "status.next_at");
    if (s->cli->from)
        json_kv_cstr(&w, "from", s->cli->from);
    else if (next.n && !ask_text(root, "spec.cron").n)
        json_kv_text(&w, "from", next);
    if (s->cli->limit)
        json_kv_int(&w, "count", s->rows);
    json_close(&w);
    buf_free(&a.body);
    return EXIT_DONE;
}

static int write_preview(struct schedules *s)
{
    struct cli *c = s->cli;
    struct json_w w = json_w(&s->body);
    json_open(&w);
    int code = put_times(c, &w);
    put_text(&w, "from", c->from);
    if (c->limit)
        json_kv_int(&w, "count", s->rows);
    json_close(&w);
    return code;
}

static int preview(struct schedules *s)
{
    struct client_answer a;
    struct json root = JSON_MISSING;
    int code = s->name ? write_known(s) : EXIT_DONE;
    if (!code)
        code = ask(s, "POST", "/v1/schedules/preview", &a, &root);
    if (code)
        return code;
    if (!s->cli->json)
        print_all(s, root,
                  arena_fmt(s->cli->arena, "%-19s  %-6s  %s", "LOCAL", "OFFSET", "UTC"),
                  print_slot);
    return finish(s, &a);
}

static int trigger(struct schedules *s)
{
    return fire(s, "/trigger");
}

/* ---- the verb ---- */

static const struct action {
    const char *name;
    size_t least, most; /* words, with the verb and this */
    int (*run)(struct schedules *s);
    const char *needs;
} actions[] = {
    {"list", 1, 2, list, ""},
    {"show", 3, 3, show, "the name of a schedule"},
    {"create", 5, 5, create,
     "a name, a kind and a target: fulmar schedules create nasa posts @nasa --every 15m"},
    {"change", 5, 5, create, "a name, a kind and a target: all of it is given anew"},
    {"pause", 3, 3, pause_or_resume, "the name of a schedule"},
    {"resume", 3, 3, pause_or_resume, "the name of a schedule"},
    {"trigger", 3, 3, trigger, "the name of a schedule"},
    {"backfill", 3, 3, backfill, "the name of a schedule"},
    {"preview", 2, 3, preview, ""},
    {"delete", 3, 3, delete, "the name of a schedule"},
    {"runs", 3, 3, runs, "the name of a schedule"},
};
enum { ACTIONS = sizeof actions / sizeof actions[0] };

static const struct action *action_named(const char *name)
{
    for (size_t i = 0; i < ACTIONS; i++)
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    bug("an action of the table that schedules does not know");
}

/* What can be judged here is a wrong call, whatever answers. */
static int check(struct schedules *s, const struct action *a)
{
    struct cli *c = s->cli;
    int64_t most = a->run == preview ? PREVIEW_MAX : LIST_MAX;
    if (c->word_count < a->least)
        return cli_usage("schedules", "schedules %s needs %s", a->name, a->needs);
    if (c->word_count > a->most)
        return cli_usage("schedules", "too many words");
    bool rows = a->run == list || a->run == runs || a->run == preview;
    s->rows = LIST_ROWS;
    if (rows && c->limit &&
        (!span_int(span_of(c->limit), &s->rows) || s->rows < 1 || s->rows > most))
        return cli_usage("schedules", "--limit must be 1 to %lld, not '%.40s'", (long long)most,
                         c->limit);
    if (a->run == backfill && !c->from)
        return cli_usage(
            "schedules",
            "schedules backfill needs --from, and may have --to: dates or RFC 3339");
    if (a->run == preview && !s->name)
        return c->cron || c->every || c->adaptive
                   ? write_preview(s)
                   : cli_usage(
                         "schedules",
                         "preview needs the name of a schedule, or --cron, --every or --adaptive");
    return a->run == create ? write_schedule(s) : EXIT_DONE;
}

int schedules_run(struct cli *c)
{
    const struct action *a = action_named(c->action);
    struct schedules s = {.cli = c,
                          .action = a->name,
                          .name = c->word_count > 2 ? c->words[2] : NULL,
                          .body = BUF(256 * 1024)};
    int code = check(&s, a);
    if (!code)
        code = service_open(&s.service, c, NULL, NULL);
    if (!code) {
        s.parser = json_parser_new(ANSWER_MAX);
        code = a->run(&s);
        json_parser_free(&s.parser);
        service_close(&s.service);
    }
    buf_free(&s.body);
    return code;
}
