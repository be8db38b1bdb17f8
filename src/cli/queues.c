/* queues.c - the queues of a running service. */
#include "cli/lanes.h"

#include "base/text.h"
#include "core/lane.h"
#include "os/clock.h"

enum {
    LIST_ROWS = 200,
    CELL = 96,
    WEIGHT_MAX = 10000,
    RUNNING_MAX = 10000,
    BURST_MAX = 10000,
    DEPTH_MAX = 10000000,
    ANSWER_MS = 40 * 1000
};
static const int64_t DAY_MS = 86400000;

/* ---- shared ---- */

struct span lanes_text(struct json v, const char *path)
{
    struct span text = SPAN_NONE;
    json_text(json_path(v, path), &text);
    return text;
}

long long lanes_number(struct json v, const char *path)
{
    int64_t n = 0;
    json_int(json_path(v, path), &n);
    return (long long)n;
}

const char *lanes_path(struct cli *c, const char *before, const char *name, const char *behind)
{
    struct lane_name parts;
    size_t slashes = 0;
    for (const char *p = name; *p; p++)
        slashes += *p == '/';
    if (!lane_name_parse(span_of(name), &parts)) {
        (void)cli_usage(
            c->words[0],
            "'%.100s' is no queue; one is TENANT/SITE/CLASS, such as default/x/normal",
            cli_printable(c, span_of(name)));
        return NULL;
    }
    return arena_fmt(c->arena, "%s/%s%s%s", before, slashes < 2 ? "default/" : "", name,
                     behind);
}

struct span lanes_body(struct cli *c, void (*more)(struct cli *c, struct json_w *w))
{
    struct buf text = BUF(8192);
    struct json_w w = json_w(&text);
    json_open(&w);
    json_kv_cstr(&w, "by", cli_user(c));
    if (c->reason)
        json_kv_cstr(&w, "reason", c->reason);
    if (more)
        more(c, &w);
    json_close(&w);
    struct span kept = arena_keep(c->arena, buf_span(&text));
    buf_free(&text);
    return kept;
}

int lanes_ask(struct cli *c, struct service *s, const char *method, const char *path,
              struct span body, void (*show)(struct cli *c, struct json root))
{
    struct client_answer answer;
    bool sets = strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
    struct client_request q = {
        .method = method,
        .path = path,
        .body = body,
        .headers = {sets ? "If-Match: *" : NULL}, /* whatever it is now */
        .timeout_ms = ANSWER_MS,
        .body_max = SERVICE_ANSWER_MAX};
    int code = service_send(s, &q, &answer);
    if (code)
        return code;
    if (c->json) {
        cli_put(c, buf_span(&answer.body));
        buf_free(&answer.body);
        return EXIT_DONE;
    }
    struct json_parser *parser = json_parser_new(SERVICE_ANSWER_MAX);
    struct json root;
    if (json_parse(parser, buf_span(&answer.body), &root, NULL)) {
        json_parser_free(&parser);
        return service_not_ours(&answer);
    }
    show(c, root);
    json_parser_free(&parser);
    buf_free(&answer.body);
    return EXIT_DONE;
}

static int check_number(const char *verb, const char *flag, const char *text, int64_t min,
                        int64_t max, bool duration)
{
    int64_t n;
    if (!text || strcmp(text, "default") == 0)
        return EXIT_DONE;
    return duration ? cli_duration(verb, flag, text, min, max, &n)
                    : cli_number(verb, flag, text, min, max, &n);
}

static void put_number(struct json_w *w, const char *key, const char *text, bool duration)
{
    int64_t n = 0;
    if (!text)
        return;
    bool number = duration ? when_duration(span_of(text), &n) : span_int(span_of(text), &n);
    if (number)
        json_kv_int(w, key, n);
    else
        json_kv_null(w, key);
}

void lanes_put_settings(struct cli *c, struct json_w *w)
{
    put_number(w, "weight", c->weight, false);
    put_number(w, "max_running", c->max_running, false);
    put_number(w, "max_depth", c->max_depth, false);
    put_number(w, "default_priority", c->default_priority, false);
    if (c->overflow && strcmp(c->overflow, "default") == 0)
        json_kv_null(w, "overflow");
    else if (c->overflow)
        json_kv_cstr(w, "overflow", c->overflow);
    if (!c->every && !c->burst)
        return;
    json_key(w, "rate");
    json_open(w);
    put_number(w, "every_ms", c->every, true);
    put_number(w, "burst", c->burst, false);
    json_close(w);
}

/* ---- queues: seen ---- */

/* "3m": how long it is since then; "-" without. */
static const char *since(struct cli *c, struct span when)
{
    static const struct {
        int64_t ms;
        char unit;
    } units[] = {{86400000, 'd'}, {3600000, 'h'}, {60000, 'm'}, {1000, 's'}};
    wall at;
    if (!when.n || !when_parse(when, &at))
        return "-";
    int64_t ms = clock_wall().ms - at.ms;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (ms >= 2 * units[i].ms)
            return arena_fmt(c->arena, "%lld%c", (long long)(ms / units[i].ms), units[i].unit);
    return "1s";
}

/* What is wrong with it, else what its next job waits for. */
static void add_now(struct buf *out, struct json queue)
{
    struct span trouble = lanes_text(queue, "trouble"),
                reason = lanes_text(queue, "waiting_for.reason");
    struct span until = lanes_text(queue, "waiting_for.until");
    if (trouble.n) {
        text_add_printable(out, trouble);
        return;
    }
    if (!reason.n) {
        buf_add_text(out, "open");
        return;
    }
    buf_add_text(out, "waits for ");
    text_add_printable(out, reason);
    if (until.n)
        buf_add_text(out, " until ");
    text_add_printable(out, until);
}

static void print_queue(struct cli *c, struct json queue)
{
    struct buf now = BUF(8192);
    add_now(&now, queue);
    char running[48];
    snprintf(running, sizeof running, "%lld/%lld", lanes_number(queue, "counts.active"),
             lanes_number(queue, "settings.max_running"));
    printf("%-32s  %7lld  %7s  %7lld  %6lld  %6s  %.*s\n",
           cli_printable(c, lanes_text(queue, "name")), lanes_number(queue, "counts.ready"),
           running,
           lanes_number(queue, "counts.scheduled") + lanes_number(queue, "counts.blocked"),
           lanes_number(queue, "settings.weight"),
           since(c, lanes_text(queue, "oldest_ready_at")), SP(buf_span(&now)));
    buf_free(&now);
}

static void say_more(struct cli *c, struct json root)
{
    bool more = false;
    if (json_bool(json_path(root, "page.has_more"), &more) && more)
        cli_note(
            c,
            "there are more: --tenant NAME, --site NAME or --troubled, or the API with ?after=");
}

static void print_queues(struct cli *c, struct json root)
{
    struct json data = json_get(root, SPAN("data"));
    if (json_count(data) == 0) {
        cli_note(c, "%s",
                 c->troubled ? "nothing holds any queue up"
                             : "no queue yet; one comes with its first job");
        return;
    }
    printf("%-32s  %7s  %7s  %7s  %6s  %6s  %s\n", "QUEUE", "READY", "RUNNING", "LATER",
           "WEIGHT", "OLDEST", "NOW");
    for (struct json_iter i = json_each(data); json_next(&i);)
        print_queue(c, i.value);
    say_more(c, root);
}

static int list(struct cli *c, struct service *s)
{
    struct buf path = BUF(4096);
    buf_fmt(&path, "/v1/queues?limit=%d%s", LIST_ROWS, c->troubled ? "&troubled=true" : "");
    if (c->tenant) {
        buf_add_text(&path, "&tenant=");
        text_add_url_escaped(&path, span_of(c->tenant));
    }
    if (c->site) {
        buf_add_text(&path, "&site=");
        text_add_url_escaped(&path, span_of(c->site));
    }
    buf_add_char(&path, '\0');
    int code = path.failed ? cli_usage("queues", "--tenant or --site is too long")
                           : lanes_ask(c, s, "GET", path.p, SPAN_NONE, print_queues);
    buf_free(&path);
    return code;
}

static const char *number_or_default(struct cli *c, struct json v, const char *path)
{
    int64_t n;
    return json_int(json_path(v, path), &n) ? arena_fmt(c->arena, "%lld", (long long)n)
                                            : "default";
}

static void show_queue(struct cli *c, struct json queue)
{
    static const struct {
        const char *name, *path, *own;
    } rows[] = {{"running", "settings.max_running", "own.max_running"},
                {"weight", "settings.weight", "own.weight"},
                {"every ms", "settings.rate.every_ms", "own.rate.every_ms"},
                {"burst", "settings.rate.burst", "own.rate.burst"},
                {"priority", "settings.default_priority", "own.default_priority"}};
    struct buf now = BUF(8192);
    add_now(&now, queue);
    printf("%-10s %s\n%-10s %.*s\n", "queue", cli_printable(c, lanes_text(queue, "name")),
           "now", SP(buf_span(&now)));
    printf("%-10s %lld ready, %lld running, %lld scheduled, %lld blocked\n", "jobs",
           lanes_number(queue, "counts.ready"), lanes_number(queue, "counts.active"),
           lanes_number(queue, "counts.scheduled"), lanes_number(queue, "counts.blocked"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        printf("%-10s %lld (own: %s)\n", rows[i].name, lanes_number(queue, rows[i].path),
               number_or_default(c, queue, rows[i].own));
    long long percent = lanes_number(queue, "pace.percent");
    if (percent > 0 && percent < 100)
        printf(
            "%-10s %lld %% of its rate, one start in %lld ms, since the site asked to wait\n",
            "pace", percent, lanes_number(queue, "pace.every_ms"));
    printf("%-10s %s, %lld failures in a row\n", "breaker",
           cli_printable(c, lanes_text(queue, "breaker.state")),
           lanes_number(queue, "breaker.failures"));
    buf_free(&now);
}

static void show_metrics(struct cli *c, struct json m)
{
    static const struct {
        const char *name, *count, *rate;
    } rows[] = {{"accepted", "accepted", "per_minute.accepted"},
                {"started", "started", "per_minute.started"},
                {"ended", "ended", "per_minute.ended"}};
    printf("%-10s %s, the last %lld s\n", "queue", cli_printable(c, lanes_text(m, "queue")),
           lanes_number(m, "window_s"));
    printf("%-10s %lld (%lld ready), %lld running\n", "waiting", lanes_number(m, "waiting"),
           lanes_number(m, "ready"), lanes_number(m, "active"));
    if (json_is(json_get(m, SPAN("oldest_age_s")), JSON_INT))
        printf("%-10s %lld s\n", "oldest", lanes_number(m, "oldest_age_s"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double rate = 0;
        json_real(json_path(m, rows[i].rate), &rate);
        printf("%-10s %lld, %.1f a minute\n", rows[i].name, lanes_number(m, rows[i].count),
               rate);
    }
    if (json_is(json_get(m, SPAN("time_to_start_ms")), JSON_OBJECT))
        printf("%-10s half within %lld ms, 99 of a hundred within %lld ms\n", "start",
               lanes_number(m, "time_to_start_ms.p50"),
               lanes_number(m, "time_to_start_ms.p99"));
}

static int metrics(struct cli *c, struct service *s, const char *name)
{
    int64_t ms;
    const char *rest = "/metrics";
    int code =
        c->window ? cli_duration("queues", "window", c->window, 60000, 600000, &ms) : EXIT_DONE;
    if (code)
        return code;
    if (c->window)
        rest = arena_fmt(c->arena, "/metrics?window=%s", c->window);
    return lanes_ask(c, s, "GET", lanes_path(c, "/v1/queues", name, rest), SPAN_NONE,
                     show_metrics);
}

/* ---- queues: changed ---- */

static void say_queue(struct cli *c, struct json queue)
{
    struct buf now = BUF(8192);
    add_now(&now, queue);
    cli_note(c, "%s: %.*s", cli_printable(c, lanes_text(queue, "name")), SP(buf_span(&now)));
    buf_free(&now);
}

static bool is_overflow(const char *text)
{
    return strcmp(text, "refuse") == 0 || strcmp(text, "drop_last") == 0 ||
           strcmp(text, "default") == 0;
}

static int check_settings(struct cli *c)
{
    int code = check_number("queues", "weight", c->weight, 1, WEIGHT_MAX, false);
    if (!code)
        code = check_number("queues", "max-running", c->max_running, 1, RUNNING_MAX, false);
    if (!code)
        code = check_number("queues", "every", c->every, 0, DAY_MS, true);
    if (!code)
        code = check_number("queues", "burst", c->burst, 1, BURST_MAX, false);
    if (!code)
        code = check_number("queues", "max-depth", c->max_depth, 0, DEPTH_MAX, false);
    if (!code)
        code = check_number("queues", "default-priority", c->default_priority, 0,
                            LANE_PRIORITY_MAX, false);
    if (!code && c->overflow && !is_overflow(c->overflow))
        code =
            cli_usage("queues", "--overflow must be refuse, drop_last or default, not '%.40s'",
                      c->overflow);
    if (!code && !c->weight && !c->max_running && !c->every && !c->burst && !c->max_depth &&
        !c->overflow && !c->default_priority)
        code =
            cli_usage("queues", "say what to set: --max-running, --weight, --every, --burst, "
                                "--max-depth, --overflow, --default-priority");
    return code;
}

/* One piece; adds to *cancelled. With --json each piece is a line. */
static int purge_piece(struct cli *c, struct service *s, const char *path, long long *cancelled,
                       bool *more)
{
    struct client_answer answer;
    struct json root;
    int code = service_ask(s, "POST", path, lanes_body(c, NULL), &answer);
    if (code)
        return code;
    struct json_parser *parser = json_parser_new(SERVICE_ANSWER_MAX);
    bool read = !json_parse(parser, buf_span(&answer.body), &root, NULL) &&
                json_bool(json_get(root, SPAN("more")), more);
    if (read)
        *cancelled += lanes_number(root, "cancelled");
    json_parser_free(&parser);
    if (!read)
        return service_not_ours(&answer);
    if (c->json)
        cli_put(c, buf_span(&answer.body));
    buf_free(&answer.body);
    return EXIT_DONE;
}

static void say_dry(struct cli *c, struct json root)
{
    cli_note(c, "%lld waiting jobs would be cancelled", lanes_number(root, "count"));
}

/* The service does a piece in one request. */
static int purge(struct cli *c, struct service *s, const char *name)
{
    const char *path = lanes_path(c, "/v1/queues", name, "/purge");
    const char *dry = lanes_path(c, "/v1/queues", name, "/purge?dry_run=true");
    long long cancelled = 0;
    bool more = true;
    if (c->dry_run)
        return lanes_ask(c, s, "POST", dry, lanes_body(c, NULL), say_dry);
    int code =
        cli_confirm(c, "queues", arena_fmt(c->arena, "cancels all jobs that wait in %s", name));
    while (!code && more)
        code = purge_piece(c, s, path, &cancelled, &more);
    if (!code && !c->json)
        cli_note(c, "%lld waiting jobs are cancelled; those that run go on", cancelled);
    return code;
}

enum {
    Q_LIST,
    Q_SHOW,
    Q_SET,
    Q_PAUSE,
    Q_RESUME,
    Q_CLOSE,
    Q_OPEN,
    Q_UNBLOCK,
    Q_PURGE,
    Q_METRICS
};
static const char *const queue_actions[] = {"list",   "show",    "set",  "pause",
                                            "resume", "close",   "open", "unblock",
                                            "purge",  "metrics", NULL};

int lanes_need_reason(const struct cli *c, const char *verb, const char *action)
{
    if (c->reason && *c->reason)
        return EXIT_DONE;
    return cli_usage(verb, "%s %s needs --reason TEXT: whoever finds it so wants to know", verb,
                     action);
}

static int check_queues(struct cli *c, int action)
{
    int code = EXIT_DONE;
    if (action == Q_LIST)
        return c->word_count > 2 ? cli_usage("queues", "too many words") : EXIT_DONE;
    if (c->word_count != 3)
        return cli_usage("queues", "queues %s needs one queue, such as default/x/normal",
                         queue_actions[action]);
    if (!lanes_path(c, "", c->words[2], ""))
        return EXIT_USAGE;
    if (action == Q_SET)
        code = check_settings(c);
    if (action == Q_PAUSE || action == Q_CLOSE || action == Q_PURGE || action == Q_UNBLOCK)
        code = lanes_need_reason(c, "queues", queue_actions[action]);
    return code;
}

static int run_queues(struct cli *c, struct service *s, int action)
{
    const char *name = c->word_count > 2 ? c->words[2] : "";
    if (action == Q_LIST)
        return list(c, s);
    const char *plain = lanes_path(c, "/v1/queues", name, "");
    if (action == Q_SHOW)
        return lanes_ask(c, s, "GET", plain, SPAN_NONE, show_queue);
    if (action == Q_SET)
        return lanes_ask(c, s, "PATCH", plain, lanes_body(c, lanes_put_settings), show_queue);
    if (action == Q_METRICS)
        return metrics(c, s, name);
    if (action == Q_PURGE)
        return purge(c, s, name);
    const char *act = arena_fmt(c->arena, "/%s", queue_actions[action]);
    return lanes_ask(c, s, "POST", lanes_path(c, "/v1/queues", name, act), lanes_body(c, NULL),
                     say_queue);
}

int queues_run(struct cli *c)
{
    struct service service;
    int action = cli_action(c, queue_actions), code = check_queues(c, action);
    if (!code)
        code = service_open(&service, c, NULL, NULL);
    if (code)
        return code;
    code = run_queues(c, &service, action);
    service_close(&service);
    return code;
}
