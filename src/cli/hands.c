/* hands.c - the verbs workers and browsers: what does the work of a node, and what each does now. */
#include "cli/ask.h"

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
    printf("%6lld  %-10s  %7lld  %6lld  %-30s  %6s  %s\n", ask_number(v, "number"),
           ask_shown(a, v, "state"), ask_number(v, "pid"), ask_number(v, "jobs_served"),
           shown_or_dash(a, v, "job"), shown_ms(a, v, "running_ms"),
           shown_or_dash(a, v, "step"));
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
            "WORKER  STATE           PID    JOBS  JOB                                FOR  STEP",
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

static int show_worker(struct ask *a)
{
    int64_t n = 0;
    int code = cli_number("workers", "number", a->c->words[2], 1, INT32_MAX, &n);
    if (!code)
        code = ask_send(a, "GET", arena_fmt(a->c->arena, "/v1/workers/%lld", (long long)n),
                        NULL, SPAN_NONE);
    if (code)
        return code;
    if (a->c->json) {
        ask_print(a);
        return EXIT_DONE;
    }
    struct json v = a->root;
    printf("%-12s %lld, pid %lld\n", "worker", ask_number(v, "number"), ask_number(v, "pid"));
    ask_line(a, "state", v, "state");
    ask_line(a, "job", v, "job");
    ask_line(a, "step", v, "step");
    printf("%-12s %s\n%-12s %lld jobs\n", "running for", shown_ms(a, v, "running_ms"), "served",
           ask_number(v, "jobs_served"));
    return EXIT_DONE;
}

/* workers list, workers show N, browsers list */
int hands_run(struct cli *c)
{
    struct ask a;
    bool shows = strcmp(c->action, "show") == 0;
    if (c->word_count > (shows ? 3U : 2U) || (shows && c->word_count < 3))
        return cli_usage(c->words[0], shows
                                          ? "workers show needs the number of a worker; fulmar "
                                            "workers list shows them"
                                          : "too many words");
    int code = ask_open(&a, c);
    if (code)
        return code;
    code = shows ? show_worker(&a) : list(&a);
    ask_close(&a);
    return code;
}
