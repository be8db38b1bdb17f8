/* hands.c - the verbs workers and browsers: what does the work of a node, what each does now, and what is wanted of them. */
#include "cli/ask.h"
#include "cli/wait.h"

#include "os/clock.h"

#include <poll.h>

static const char *shown_ms(struct ask *a, struct json v, const char *path)
{
    if (!json_is(json_path(v, path), JSON_INT))
        return "-";
    return arena_fmt(a->c->arena, "%llds", ask_number(v, path) / 1000);
}

static const char *shown_or_dash(struct ask *a, struct json v, const char *path)
{
    return ask_text(v, path).n ? ask_shown(a, v, path) : "-";
}

static void put_worker(struct ask *a, struct json v)
{
    printf("%6lld  %-10s  %-9s  %7lld  %6lld  %-30s  %6s  %s\n", ask_number(v, "number"),
           ask_shown(a, v, "state"), shown_or_dash(a, v, "hold"), ask_number(v, "pid"),
           ask_number(v, "jobs_served"), shown_or_dash(a, v, "job"),
           shown_ms(a, v, "running_ms"), shown_or_dash(a, v, "step"));
}

static void put_browser(struct ask *a, struct json v)
{
    bool measured = json_is(json_get(v, SPAN("pss_bytes")), JSON_INT);
    printf("%7lld  %-9s  %7lld  %5lld  %6lld  %8lld  %s\n", ask_number(v, "number"),
           ask_shown(a, v, "state"), ask_number(v, "pid"), ask_number(v, "pages"),
           ask_number(v, "jobs"), ask_number(v, "age_s"),
           measured ? arena_fmt(a->c->arena, "%lld MiB", ask_number(v, "pss_bytes") >> 20)
                    : "-");
}

static int list(struct ask *a)
{
    static const struct ask_table workers = {
        .heading =
            "WORKER  STATE       HOLD           PID    JOBS  JOB                                FOR  STEP",
        .when_empty = "no worker; fulmar status says why",
        .put_row = put_worker,
    };
    static const struct ask_table browsers = {
        .heading = "BROWSER  STATE          PID  PAGES    JOBS     AGE s  MEMORY",
        .when_empty = "no browser; fulmar doctor says what this machine lacks",
        .put_row = put_browser,
    };
    return strcmp(a->c->words[0], "workers") == 0 ? ask_list(a, "/v1/workers", &workers)
                                                  : ask_list(a, "/v1/browsers", &browsers);
}

static void put_one(struct ask *a, struct json v)
{
    printf("%-12s %lld, pid %lld\n", "worker", ask_number(v, "number"), ask_number(v, "pid"));
    ask_line(a, "state", v, "state");
    ask_line(a, "hold", v, "hold");
    ask_line(a, "job", v, "job");
    ask_line(a, "step", v, "step");
    printf("%-12s %s\n%-12s %lld jobs\n", "running for", shown_ms(a, v, "running_ms"), "served",
           ask_number(v, "jobs_served"));
}

static int show_worker(struct ask *a, const char *number)
{
    int code =
        ask_send(a, "GET", arena_fmt(a->c->arena, "/v1/workers/%s", number), NULL, SPAN_NONE);
    if (code)
        return code;
    if (a->c->json)
        ask_print(a);
    else
        put_one(a, a->root);
    return EXIT_DONE;
}

static void put_one_browser(struct ask *a, struct json v)
{
    bool probed = json_is(json_path(v, "probe.latency_ms"), JSON_INT), good = false;
    (void)json_bool(json_path(v, "probe.ok"), &good);
    printf("%-12s %lld, pid %lld\n", "browser", ask_number(v, "number"), ask_number(v, "pid"));
    ask_line(a, "state", v, "state");
    printf("%-12s %lld open, %lld jobs served, %lld s old\n", "pages", ask_number(v, "pages"),
           ask_number(v, "jobs"), ask_number(v, "age_s"));
    printf("%-12s %lld since the node started\n", "launches", ask_number(v, "launches"));
    printf("%-12s %s, %lld missed", "probe", good ? "good" : "not good",
           ask_number(v, "probe.misses"));
    if (probed)
        printf(", the last good one took %lld ms", ask_number(v, "probe.latency_ms"));
    printf("\n");
    ask_line(a, "replaced", v, "recycle_reason");
}

static int show_browser(struct ask *a, const char *number)
{
    int code =
        ask_send(a, "GET", arena_fmt(a->c->arena, "/v1/browsers/%s", number), NULL, SPAN_NONE);
    if (code)
        return code;
    if (a->c->json)
        ask_print(a);
    else
        put_one_browser(a, a->root);
    return EXIT_DONE;
}

/* ---- what is wanted of one ---- */

static struct span reason_of(const struct cli *c, const char *count, struct buf *out)
{
    struct json_w w = json_w(out);
    json_open(&w);
    if (count) {
        json_key(&w, "count");
        json_put_raw(&w, span_of(count));
    }
    if (c->reason)
        json_kv_cstr(&w, "reason", c->reason);
    json_close(&w);
    return buf_span(out);
}

static int ask_for(struct ask *a, const char *path, const char *count)
{
    struct buf body = BUF(4096);
    int code = ask_send(a, "POST", path, NULL, reason_of(a->c, count, &body));
    buf_free(&body);
    return code;
}

static void put_stack(struct ask *a, struct json v)
{
    const char *title = "stack";
    for (struct json_iter i = json_each(json_get(v, SPAN("stack"))); json_next(&i);) {
        struct span call = SPAN_NONE;
        json_text(i.value, &call);
        printf("%-12s %s\n", title, cli_printable(a->c, call));
        title = "";
    }
    ask_line(a, "no stack", v, "stack_missing");
}

static void put_dump(struct ask *a, struct json v)
{
    put_one(a, json_get(v, SPAN("worker")));
    ask_line(a, "process", v, "process.state");
    if (json_is(json_get(v, SPAN("process")), JSON_OBJECT))
        printf("%-12s %lld ms, %lld threads, %lld KiB\n", "cpu",
               ask_number(v, "process.cpu_ms"), ask_number(v, "process.threads"),
               ask_number(v, "process.pss_bytes") >> 10);
    ask_line(a, "queue", v, "progress.lane");
    if (json_is(json_get(v, SPAN("progress")), JSON_OBJECT))
        printf("%-12s %lld pages, %lld records, %lld requests, silent for %s\n", "progress",
               ask_number(v, "progress.batches"), ask_number(v, "progress.records"),
               ask_number(v, "progress.requests"), shown_ms(a, v, "progress.silent_ms"));
    if (json_is(json_get(v, SPAN("page")), JSON_OBJECT))
        printf("%-12s %s of browser %lld, target %s, %lld commands open\n", "page",
               shown_or_dash(a, v, "page.state"), ask_number(v, "page.browser"),
               shown_or_dash(a, v, "page.target"), ask_number(v, "page.open_calls"));
    for (struct json_iter i = json_each(json_get(v, SPAN("waits_for"))); json_next(&i);) {
        struct span name = SPAN_NONE;
        json_text(i.value, &name);
        printf("%-12s %s\n", "waits for", cli_printable(a->c, name));
    }
    put_stack(a, v);
}

static int act(struct ask *a, const char *number)
{
    const char *verb = a->c->action;
    bool browser = strcmp(a->c->words[0], "browsers") == 0;
    int code =
        ask_for(a, arena_fmt(a->c->arena, "/v1/%s/%s/%s", a->c->words[0], number, verb), NULL);
    if (code)
        return code;
    if (a->c->json)
        ask_print(a);
    else if (strcmp(verb, "dump") == 0)
        put_dump(a, a->root);
    else if (browser)
        cli_note(a->c, "browser %s is replaced when its pages are done", number);
    else if (strcmp(verb, "resume") == 0)
        cli_note(a->c, "worker %s takes jobs again", number);
    else if (strcmp(verb, "quiet") == 0)
        cli_note(a->c, "worker %s takes no further job; again: fulmar workers resume %s",
                 number, number);
    else if (strcmp(verb, "stop") == 0)
        cli_note(a->c, "worker %s gives its job back and ends; again: fulmar workers resume %s",
                 number, number);
    else
        cli_note(a->c,
                 "worker %s was killed; its job is given back, another one takes its place",
                 number);
    return EXIT_DONE;
}

/* ---- how many ---- */

static void put_scale(struct ask *a, struct json v)
{
    printf("%-12s %lld of at most %lld, %lld configured\n", "workers", ask_number(v, "count"),
           ask_number(v, "most"), ask_number(v, "configured"));
    printf("%-12s %lld\n%-12s %lld\n%-12s %lld\n", "busy", ask_number(v, "busy"), "runnable",
           ask_number(v, "runnable"), "desired", ask_number(v, "desired"));
    for (struct json_iter i = json_each(json_get(v, SPAN("leases"))); json_next(&i);)
        printf("%-12s worker %lld has %s for %s%s%s\n", "lease", ask_number(i.value, "worker"),
               ask_shown(a, i.value, "job"), shown_ms(a, i.value, "running_ms"),
               ask_text(i.value, "hold").n ? ", " : "", ask_shown(a, i.value, "hold"));
}

/* Until none but those that are wanted has a job. */
static int wait_for_leases(struct ask *a, int64_t wait_ms)
{
    enum { LOOK_MS = 200 };
    mono until = mono_add(clock_mono(), wait_ms);
    for (;;) {
        bool left = false;
        int code = ask_send(a, "GET", "/v1/workers/scale", NULL, SPAN_NONE);
        if (code)
            return code;
        for (struct json_iter i = json_each(json_get(a->root, SPAN("leases"))); json_next(&i);)
            left = left || span_is(ask_text(i.value, "hold"), "scaled_in");
        if (!left)
            return EXIT_DONE;
        if (wait_ms && mono_past(until, clock_mono()))
            return EXIT_WAIT_TIMEOUT;
        poll(NULL, 0, LOOK_MS);
    }
}

static int scale(struct ask *a, const char *count, int64_t wait_ms)
{
    int code = count ? ask_for(a, "/v1/workers/scale", count)
                     : ask_send(a, "GET", "/v1/workers/scale", NULL, SPAN_NONE);
    if (!code && count && a->c->wait)
        code = wait_for_leases(a, wait_ms);
    if (code && code != EXIT_WAIT_TIMEOUT)
        return code;
    if (a->c->json)
        ask_print(a);
    else
        put_scale(a, a->root);
    return code;
}

/* ---- the verbs ---- */

static int run(struct ask *a, const char *word, int64_t wait_ms)
{
    if (strcmp(a->c->action, "list") == 0)
        return list(a);
    if (strcmp(a->c->action, "scale") == 0)
        return scale(a, word, wait_ms);
    if (strcmp(a->c->action, "show") != 0)
        return act(a, word);
    return strcmp(a->c->words[0], "browsers") == 0 ? show_browser(a, word)
                                                   : show_worker(a, word);
}

int hands_run(struct cli *c)
{
    struct ask a;
    int64_t n = 0, wait_ms = 0;
    const char *verb = c->words[0], *word = c->word_count > 2 ? c->words[2] : NULL;
    bool scales = strcmp(c->action, "scale") == 0, lists = strcmp(c->action, "list") == 0;
    if (c->word_count > (lists ? 2U : 3U))
        return cli_usage(verb, "too many words");
    if (!word && !lists && !scales)
        return cli_usage(verb, "%s %s needs a number; fulmar %s list shows them", verb,
                         c->action, verb);
    int code = word ? cli_number(verb, scales ? "count" : "number", word, scales ? 0 : 1,
                                 INT32_MAX, &n)
                    : EXIT_DONE;
    if (!code && c->wait && (!scales || !word))
        code = cli_usage(verb, "--wait goes with workers scale COUNT");
    if (!code)
        code = wait_limit(c, verb, &wait_ms);
    if (!code)
        code = ask_open(&a, c);
    if (code)
        return code;
    code = run(&a, word, wait_ms);
    ask_close(&a);
    return code;
}
