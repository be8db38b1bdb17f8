/* limits.c - limits above queues, and what the service as a whole does. */
#include "cli/lanes.h"

#include "base/text.h"
#include "core/lane.h"

enum { RUNNING_MAX = 1000000, WEIGHT_MAX = 10000, BURST_MAX = 10000, CELL = 128 };
static const int64_t DAY_MS = 86400000;

/* ---- limits ---- */

static void print_limit(struct cli *c, const char *of, struct json limit)
{
    long long most = lanes_number(limit, "max_running"),
              every = lanes_number(limit, "rate.every_ms");
    struct span name = lanes_text(limit, "name");
    char shown[24] = "any", weight[24] = "-", rate[64] = "-";
    if (most)
        snprintf(shown, sizeof shown, "%lld", most);
    if (json_path(limit, "weight").doc)
        snprintf(weight, sizeof weight, "%lld", lanes_number(limit, "weight"));
    if (every)
        snprintf(rate, sizeof rate, "one in %lld ms, %lld at once", every,
                 lanes_number(limit, "rate.burst"));
    printf("%-7s  %-32s  %8lld  %8s  %6s  %s\n", of, name.n ? cli_printable(c, name) : "",
           lanes_number(limit, "running"), shown, weight, rate);
}

static void print_heading(struct cli *c, struct json root)
{
    printf("%-7s  %-32s  %8s  %8s  %6s  %s\n", "OF", "NAME", "RUNNING", "AT MOST", "WEIGHT",
           "RATE");
    print_limit(c, "all", json_get(root, SPAN("all")));
}

static void print_domains(struct cli *c, struct json root)
{
    for (struct json_iter i = json_each(json_get(root, SPAN("domains"))); json_next(&i);)
        printf("%-7s  %-32s  %8s  %8s  %6s  one in %lld ms\n", "domain",
               cli_printable(c, lanes_text(i.value, "domain")), "-", "-", "-",
               lanes_number(i.value, "every_ms"));
}

static void print_rows(struct cli *c, struct json root)
{
    for (struct json_iter i = json_each(json_get(root, SPAN("tenants"))); json_next(&i);)
        print_limit(c, "tenant", i.value);
    for (struct json_iter i = json_each(json_get(root, SPAN("sites"))); json_next(&i);)
        print_limit(c, "site", i.value);
    for (struct json_iter i = json_each(json_get(root, SPAN("webhooks"))); json_next(&i);)
        print_limit(c, "webhook", i.value);
}

static void print_limits(struct cli *c, struct json root)
{
    print_heading(c, root);
    print_rows(c, root);
    print_domains(c, root);
}

/* Where the next page begins; empty: this was the last. What is of no page stands around the rows of all of them. */
static void print_page(struct cli *c, struct json root, bool first, char next[CELL])
{
    bool more = false;
    if (json_bool(json_path(root, "page.has_more"), &more) && more)
        span_copy(lanes_text(root, "page.next_after"), next, CELL);
    if (c->json)
        return;
    if (first)
        print_heading(c, root);
    print_rows(c, root);
    if (!next[0])
        print_domains(c, root);
}

/* All pages, one after the other; with --json one document each. */
static int show_limits(struct cli *c, struct service *s)
{
    char after[CELL] = "", next[CELL];
    int code;
    do {
        struct client_answer answer;
        struct json root;
        struct json_parser *parser = json_parser_new(SERVICE_ANSWER_MAX);
        const char *path =
            after[0] ? arena_fmt(c->arena, "/v1/limits?after=%s", after) : "/v1/limits";
        next[0] = '\0';
        code = service_ask(s, "GET", path, SPAN_NONE, &answer);
        if (!code && json_parse(parser, buf_span(&answer.body), &root, NULL)) {
            code = service_not_ours(&answer);
        } else if (!code) {
            print_page(c, root, !after[0], next);
            if (c->json)
                cli_put(c, buf_span(&answer.body));
            buf_free(&answer.body);
        }
        json_parser_free(&parser);
        memcpy(after, next, sizeof after);
    } while (!code && after[0]);
    return code;
}

static void explain(struct cli *c, struct json root)
{
    struct span trouble = lanes_text(root, "trouble"),
                reason = lanes_text(root, "waiting_for.reason");
    printf("%-10s %s\n", "queue", cli_printable(c, lanes_text(root, "queue")));
    printf("%-10s %s\n", "jobs", cli_printable(c, lanes_text(root, "max_running.why")));
    printf("%-10s %s\n", "rate", cli_printable(c, lanes_text(root, "rate.why")));
    printf("%-10s %lld of its tenant's queues, whose tenant has %lld\n", "weight",
           lanes_number(root, "share.queue_weight"), lanes_number(root, "share.tenant_weight"));
    printf("%-10s %lld: %s\n", "priority", lanes_number(root, "default_priority.value"),
           cli_printable(c, lanes_text(root, "default_priority.why")));
    for (struct json_iter i = json_each(json_path(root, "max_running.limits"));
         json_next(&i);) {
        long long most = lanes_number(i.value, "max_running");
        struct span name = lanes_text(i.value, "name");
        char shown[24] = "any number";
        if (most)
            snprintf(shown, sizeof shown, "%lld", most);
        printf("%-10s %lld running of %s: %s %s\n", "", lanes_number(i.value, "running"), shown,
               cli_printable(c, lanes_text(i.value, "of")),
               name.n ? cli_printable(c, name) : "");
    }
    if (trouble.n || reason.n)
        printf("%-10s %s\n", "now",
               trouble.n ? cli_printable(c, trouble)
                         : arena_fmt(c->arena, "its next job waits for %s",
                                     cli_printable(c, reason)));
}

static struct span limit_body(struct cli *c)
{
    struct buf text = BUF(4096);
    struct json_w w = json_w(&text);
    json_open(&w);
    lanes_put_settings(c, &w);
    json_close(&w);
    struct span kept = arena_keep(c->arena, buf_span(&text));
    buf_free(&text);
    return kept;
}

/* The path of what is set; NULL: a wrong call, said. */
static const char *limit_path(struct cli *c)
{
    const char *of = c->word_count > 2 ? c->words[2] : "",
               *name = c->word_count > 3 ? c->words[3] : "";
    bool tenant = strcmp(of, "tenant") == 0, site = strcmp(of, "site") == 0,
         webhook = strcmp(of, "webhook") == 0;
    if (strcmp(of, "all") == 0 && c->word_count == 3 && !c->weight && !c->every && !c->burst)
        return "/v1/limits/all";
    if ((tenant || site || webhook) && c->word_count == 4 &&
        lane_word_is_plain(span_of(name)) && (tenant || !c->weight) &&
        !(tenant && (c->every || c->burst)))
        return arena_fmt(c->arena, "/v1/limits/%ss/%s", of, name);
    (void)cli_usage(
        "limits",
        "limits set takes: all --max-running N; tenant NAME with --max-running and --weight; "
        "site NAME or webhook ID with --max-running, --every and --burst");
    return NULL;
}

static int check_limits(struct cli *c)
{
    int code = EXIT_DONE;
    if (c->max_running)
        code =
            cli_number("limits", "max-running", c->max_running, 0, RUNNING_MAX, &(int64_t){0});
    if (!code && c->weight)
        code = cli_number("limits", "weight", c->weight, 1, WEIGHT_MAX, &(int64_t){0});
    if (!code && c->every)
        code = cli_duration("limits", "every", c->every, 0, DAY_MS, &(int64_t){0});
    if (!code && c->burst)
        code = cli_number("limits", "burst", c->burst, 1, BURST_MAX, &(int64_t){0});
    if (!code && !c->max_running && !c->weight && !c->every && !c->burst)
        code =
            cli_usage("limits", "say what to set: --max-running, --weight, --every, --burst");
    return code;
}

static void explain_webhook(struct cli *c, struct json root)
{
    struct span trouble = lanes_text(root, "trouble");
    printf("%-10s %s\n", "webhook", cli_printable(c, lanes_text(root, "webhook")));
    printf("%-10s %s, %lld are under way\n", "requests",
           cli_printable(c, lanes_text(root, "max_running.why")),
           lanes_number(root, "max_running.running"));
    printf("%-10s %s\n", "rate", cli_printable(c, lanes_text(root, "rate.why")));
    if (trouble.n)
        printf("%-10s %s\n", "now", cli_printable(c, trouble));
}

static void explain_domain(struct cli *c, struct json root)
{
    struct span rule = lanes_text(root, "rule");
    printf("%-10s %s\n", "domain", cli_printable(c, lanes_text(root, "domain")));
    printf("%-10s %s\n", "rule", rule.n ? cli_printable(c, rule) : "none of fetch.domains");
    printf("%-10s one in %lld ms (%s)\n", "pages", lanes_number(root, "pages.every_ms"),
           cli_printable(c, lanes_text(root, "pages.wins")));
    printf("%-10s one in %lld ms (%s)\n", "media", lanes_number(root, "media.every_ms"),
           cli_printable(c, lanes_text(root, "media.wins")));
    printf("%-10s in %lld ms, on one of %lld connections\n", "next",
           lanes_number(root, "next_in_ms"), lanes_number(root, "connections"));
}

static int explain_one(struct cli *c, struct service *s)
{
    bool domain = strcmp(c->words[2], "domain") == 0;
    struct buf path = BUF(4096);
    buf_fmt(&path, "/v1/limits/effective?%s=", c->words[2]);
    text_add_url_escaped(&path, span_of(c->words[3]));
    buf_add_char(&path, '\0');
    int code = path.failed ? cli_usage("limits", "a name is too long")
                           : lanes_ask(c, s, "GET", path.p, SPAN_NONE,
                                       domain ? explain_domain : explain_webhook);
    buf_free(&path);
    return code;
}

static int run_explain(struct cli *c, struct service *s)
{
    if (c->word_count == 4)
        return explain_one(c, s);
    const char *tenant = c->tenant ? c->tenant : "default", *site = c->site ? c->site : "x";
    const char *class = c->class ? c->class : "normal";
    struct buf path = BUF(4096);
    buf_add_text(&path, "/v1/limits/effective?tenant=");
    text_add_url_escaped(&path, span_of(tenant));
    buf_add_text(&path, "&site=");
    text_add_url_escaped(&path, span_of(site));
    buf_add_text(&path, "&class=");
    text_add_url_escaped(&path, span_of(class));
    buf_add_char(&path, '\0');
    int code = path.failed ? cli_usage("limits", "a name is too long")
                           : lanes_ask(c, s, "GET", path.p, SPAN_NONE, explain);
    buf_free(&path);
    return code;
}

enum { L_SHOW, L_SET, L_EXPLAIN };
static const char *const limit_actions[] = {"show", "set", "explain", NULL};

int limits_run(struct cli *c)
{
    struct service service;
    const char *path = NULL;
    int action = cli_action(c, limit_actions), code = EXIT_DONE;
    if (action == L_SET) {
        path = limit_path(c);
        code = path ? check_limits(c) : EXIT_USAGE;
    } else if (action == L_EXPLAIN && c->word_count == 4 &&
               ((strcmp(c->words[2], "webhook") == 0 &&
                 lane_word_is_plain(span_of(c->words[3]))) ||
                strcmp(c->words[2], "domain") == 0)) {
        code = c->tenant || c->site || c->class
                   ? cli_usage("limits", "--tenant, --site and --class are of a queue")
                   : EXIT_DONE;
    } else if (c->word_count > 2) {
        code = cli_usage("limits", "too many words");
    }
    if (!code)
        code = service_open(&service, c, NULL, NULL);
    if (code)
        return code;
    if (action == L_EXPLAIN)
        code = run_explain(c, &service);
    else if (action == L_SET)
        code = lanes_ask(c, &service, "PATCH", path, limit_body(c), print_limits);
    else
        code = show_limits(c, &service);
    service_close(&service);
    return code;
}

/* ---- mode ---- */

static void print_mode(struct cli *c, struct json m)
{
    struct span by = lanes_text(m, "by"), reason = lanes_text(m, "reason"),
                when = lanes_text(m, "since");
    bool takes = false, starts = false;
    json_bool(json_path(m, "effects.takes_jobs"), &takes);
    json_bool(json_path(m, "effects.starts_jobs"), &starts);
    printf("%-10s %s: %s jobs, %s\n", "mode", cli_printable(c, lanes_text(m, "mode")),
           takes ? "takes" : "takes no", starts ? "starts those that it has" : "starts none");
    if (by.n)
        printf("%-10s %s\n", "by", cli_printable(c, by));
    if (when.n)
        printf("%-10s %s\n", "since", cli_printable(c, when));
    if (reason.n)
        printf("%-10s %s\n", "reason", cli_printable(c, reason));
}

static void put_mode(struct cli *c, struct json_w *w)
{
    json_kv_cstr(w, "mode", c->words[2]);
}

static int check_mode(struct cli *c)
{
    static const char *const modes[] = {"normal", "paused", "draining", "maintenance", NULL};
    if (c->word_count != 3)
        return cli_usage("mode", "mode set needs one of normal, paused, draining, maintenance");
    for (size_t i = 0; modes[i]; i++) {
        if (strcmp(modes[i], c->words[2]) != 0)
            continue;
        if (i == 0 || (c->reason && *c->reason))
            return EXIT_DONE;
        return cli_usage("mode",
                         "mode set %s needs --reason TEXT: whoever finds it so wants to know",
                         modes[i]);
    }
    const char *near = text_nearest(span_of(c->words[2]), modes);
    return near ? cli_usage("mode", "unknown mode '%.40s'; did you mean '%s'?", c->words[2],
                            near)
                : cli_usage(
                      "mode",
                      "unknown mode '%.40s'; known are normal, paused, draining, maintenance",
                      c->words[2]);
}

int mode_run(struct cli *c)
{
    static const char *const actions[] = {"show", "set", NULL};
    struct service service;
    int action = cli_action(c, actions), code = EXIT_DONE;
    if (action == 1)
        code = check_mode(c);
    else if (c->word_count > 2)
        code = cli_usage("mode", "too many words");
    if (!code)
        code = service_open(&service, c, NULL, NULL);
    if (code)
        return code;
    if (action == 1)
        code = lanes_ask(c, &service, "PUT", "/v1/mode", lanes_body(c, put_mode), print_mode);
    else
        code = lanes_ask(c, &service, "GET", "/v1/mode", SPAN_NONE, print_mode);
    service_close(&service);
    return code;
}
