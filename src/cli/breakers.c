/* breakers.c - what keeps work from starting for a time: of queues, sites, sessions, webhooks, the store. */
#include "cli/lanes.h"

#include "base/text.h"

static const int64_t DAY_MS = 86400000;

/* ---- showing ---- */

static const char *ratio_of(struct cli *c, struct json b)
{
    double ratio;
    if (!json_real(json_path(b, "failure_ratio"), &ratio))
        return "-";
    return arena_fmt(c->arena, "%.0f%% of %lld", ratio * 100, lanes_number(b, "samples"));
}

static const char *number_of(struct cli *c, struct json b, const char *path)
{
    int64_t n;
    return json_int(json_path(b, path), &n) ? arena_fmt(c->arena, "%lld", (long long)n) : "-";
}

static const char *text_of(struct cli *c, struct json b, const char *path)
{
    struct span text = lanes_text(b, path);
    return text.n ? cli_printable(c, text) : "-";
}

static void print_breaker(struct cli *c, struct json b)
{
    printf("%-40s  %-7s  %-9s  %8s  %8s  %-12s  %-24s  %s\n", text_of(c, b, "key"),
           text_of(c, b, "kind"), text_of(c, b, "state"), number_of(c, b, "failures"),
           number_of(c, b, "openings"), ratio_of(c, b), text_of(c, b, "until"),
           text_of(c, b, "by_hand_until"));
}

static void print_breakers(struct cli *c, struct json root)
{
    struct json data = json_get(root, SPAN("data"));
    bool more = false;
    if (json_count(data) == 0) {
        cli_note(c, "%s",
                 c->all || c->state || c->kind ? "there is no such breaker"
                                               : "all breakers are closed, and nothing failed "
                                                 "lately");
        return;
    }
    printf("%-40s  %-7s  %-9s  %8s  %8s  %-12s  %-24s  %s\n", "KEY", "KIND", "STATE",
           "FAILURES", "OPENINGS", "FAILED", "OPEN UNTIL", "BY HAND UNTIL");
    for (struct json_iter i = json_each(data); json_next(&i);)
        print_breaker(c, i.value);
    if (json_bool(json_path(root, "page.has_more"), &more) && more)
        cli_note(c, "there are more: --kind KIND, --state STATE, or the API with ?after=");
}

static void show_breaker(struct cli *c, struct json b)
{
    static const struct {
        const char *name, *path;
    } rows[] = {{"key", "key"},     {"kind", "kind"},     {"state", "state"},
                {"since", "since"}, {"until", "until"},   {"by hand", "by_hand_until"},
                {"by", "by"},       {"reason", "reason"}, {"trouble", "trouble"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (lanes_text(b, rows[i].path).n)
            printf("%-10s %s\n", rows[i].name, text_of(c, b, rows[i].path));
    printf("%-10s %s in a row, opened %s times, %s of the last ten minutes\n", "failures",
           number_of(c, b, "failures"), number_of(c, b, "openings"), ratio_of(c, b));
    if (json_path(b, "queues").doc)
        printf("%-10s %lld counted something, %lld are open, %lld half open\n", "queues",
               lanes_number(b, "queues.counted"), lanes_number(b, "queues.open"),
               lanes_number(b, "queues.half_open"));
}

static void say_breaker(struct cli *c, struct json b)
{
    struct span hand = lanes_text(b, "by_hand_until");
    cli_note(c, "%s: its breaker is %s%s%s", text_of(c, b, "key"), text_of(c, b, "state"),
             hand.n ? ", by hand until " : "", hand.n ? cli_printable(c, hand) : "");
}

static void say_dry(struct cli *c, struct json root)
{
    cli_note(c, "%s of the breakers of %lld queues would be done", c->action,
             lanes_number(root, "count"));
}

/* ---- which one ---- */

enum { B_LIST, B_SHOW, B_OPEN, B_CLOSE, B_RESET };
static const char *const actions[] = {"list", "show", "open", "close", "reset", NULL};

static bool is_of(const char *key, const char *kind)
{
    return strncmp(key, kind, strlen(kind)) == 0 && key[strlen(kind)];
}

/* "sites/x" and the like has one slash, and is no queue: a site of that name has queues of three words. */
static bool is_named(const char *key)
{
    static const char *const kinds[] = {"sites/", "sessions/", "webhooks/"};
    const char *slash = strchr(key, '/');
    if (strcmp(key, "store") == 0)
        return true;
    for (size_t i = 0; slash && !strchr(slash + 1, '/') && i < sizeof kinds / sizeof *kinds;
         i++)
        if (is_of(key, kinds[i]))
            return true;
    return false;
}

/* NULL: a wrong word, said. */
static const char *path_of(struct cli *c, const char *key, const char *behind)
{
    if (!is_named(key))
        return lanes_path(c, "/v1/breakers", key, behind);
    struct buf path = BUF(4096);
    const char *slash = strchr(key, '/');
    buf_add_text(&path, "/v1/breakers/");
    buf_add(&path, slash ? (struct span){key, (size_t)(slash + 1 - key)} : span_of(key));
    if (slash)
        text_add_url_escaped(&path, span_of(slash + 1));
    buf_add_text(&path, behind);
    buf_add_char(&path, '\0');
    const char *kept = path.failed ? NULL : arena_fmt(c->arena, "%s", path.p);
    if (!kept)
        (void)cli_usage("breakers", "the name is too long");
    buf_free(&path);
    return kept;
}

static void put_ttl(struct cli *c, struct json_w *w)
{
    int64_t ms;
    if (c->ttl && when_duration(span_of(c->ttl), &ms))
        json_kv_int(w, "ttl_s", ms / 1000);
}

/* ---- running ---- */

static int check_act(struct cli *c, int action)
{
    int64_t ms;
    const char *key = c->words[2];
    bool site = is_named(key) && is_of(key, "sites/");
    if (c->dry_run && !site)
        return cli_usage("breakers", "--dry-run is for sites, which have many queues");
    if (action == B_RESET)
        return c->ttl ? cli_usage("breakers", "reset takes no --ttl") : EXIT_DONE;
    int code = lanes_need_reason(c, "breakers", actions[action]);
    if (code || !c->ttl)
        return code;
    if (action == B_CLOSE && is_named(key) && !site)
        return cli_usage("breakers", "a session or webhook is closed for good: no --ttl");
    return cli_duration("breakers", "ttl", c->ttl, 1000, DAY_MS, &ms);
}

static int check(struct cli *c, int action)
{
    if (action == B_LIST)
        return c->word_count > 2 ? cli_usage("breakers", "too many words") : EXIT_DONE;
    if (c->word_count != 3)
        return cli_usage("breakers",
                         "breakers %s needs one key: a queue, such as default/x/normal, or "
                         "sites/SITE, sessions/SESSION, webhooks/ID",
                         actions[action]);
    if (!path_of(c, c->words[2], ""))
        return EXIT_USAGE;
    return action == B_SHOW ? EXIT_DONE : check_act(c, action);
}

static int list(struct cli *c, struct service *s)
{
    struct buf path = BUF(4096);
    buf_add_text(&path, "/v1/breakers?limit=200");
    if (c->all)
        buf_add_text(&path, "&all=true");
    if (c->kind) {
        buf_add_text(&path, "&kind=");
        text_add_url_escaped(&path, span_of(c->kind));
    }
    if (c->state) {
        buf_add_text(&path, "&state=");
        text_add_url_escaped(&path, span_of(c->state));
    }
    buf_add_char(&path, '\0');
    int code = path.failed ? cli_usage("breakers", "a word is too long")
                           : lanes_ask(c, s, "GET", path.p, SPAN_NONE, print_breakers);
    buf_free(&path);
    return code;
}

static int act(struct cli *c, struct service *s, int action)
{
    const char *behind =
        arena_fmt(c->arena, "/%s%s", actions[action], c->dry_run ? "?dry_run=true" : "");
    return lanes_ask(c, s, "POST", path_of(c, c->words[2], behind), lanes_body(c, put_ttl),
                     c->dry_run ? say_dry : say_breaker);
}

int breakers_run(struct cli *c)
{
    struct service service;
    int action = cli_action(c, actions), code = check(c, action);
    if (!code)
        code = service_open(&service, c, NULL, NULL);
    if (code)
        return code;
    if (action == B_LIST)
        code = list(c, &service);
    else if (action == B_SHOW)
        code =
            lanes_ask(c, &service, "GET", path_of(c, c->words[2], ""), SPAN_NONE, show_breaker);
    else
        code = act(c, &service, action);
    service_close(&service);
    return code;
}
