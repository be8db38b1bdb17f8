#include "cli/many.h"

#include "cli/ask.h"
#include "cli/parts.h"

#include "base/text.h"
#include "store/dead.h"

enum { BODY_MAX = 64 * 1024 };

/* Flags of the call and what the service calls them. */
static const struct part parts[] = {
    {"state", offsetof(struct cli, state)},
    {"site", offsetof(struct cli, site)},
    {"kind", offsetof(struct cli, kind)},
    {"tenant", offsetof(struct cli, tenant)},
    {"target", offsetof(struct cli, target)},
    {"queue", offsetof(struct cli, queue)},
    {"class", offsetof(struct cli, class)},
    {"failure", offsetof(struct cli, failure)},
    {"created_after", offsetof(struct cli, since)},
    {"created_before", offsetof(struct cli, until)},
};
enum { PARTS = sizeof parts / sizeof *parts };

static bool has_filter(const struct cli *c)
{
    return c->held || c->labels[0] || parts_any(c, parts, PARTS);
}

static void add_part(struct buf *path, const char *name, const char *value)
{
    if (!value)
        return;
    buf_fmt(path, "&%s=", name);
    text_add_url_escaped(path, span_of(value));
}

void many_add_query(struct buf *path, const struct cli *c)
{
    parts_add_query(path, c, parts, PARTS);
    if (c->held)
        buf_add_text(path, "&held=true");
    parts_add_labels(path, c);
    add_part(path, "sort", c->oldest ? "created_at" : c->sort);
    add_part(path, "count", c->count);
    add_part(path, "fields", c->fields);
}

int many_check_list(const struct cli *c)
{
    if (c->oldest && c->sort)
        return cli_usage("jobs", "--oldest is --sort created_at: give one of them");
    if (c->fields && !c->json)
        return cli_usage(
            "jobs",
            "--fields goes with --json, -o jsonl, csv or plain, or --jq; a table has -o wide");
    return EXIT_DONE;
}

static void put_filter(struct json_w *w, const struct cli *c)
{
    json_key(w, "filter");
    json_open(w);
    parts_put(w, c, parts, PARTS);
    if (c->held)
        json_kv_bool(w, "held", true);
    parts_put_labels(w, c);
    json_close(w);
}

/* 0 or an exit code. */
static int write_action(const struct cli *c, struct buf *out)
{
    int64_t limit = 0, rate = 0;
    struct json_w w = json_w(out);
    int code =
        c->limit ? cli_number("jobs", "limit", c->limit, 1, INT32_MAX, &limit) : EXIT_DONE;
    if (!code && c->per_minute)
        code = cli_number("jobs", "per-minute", c->per_minute, 1, OPERATION_RATE_MOST, &rate);
    json_open(&w);
    json_kv_cstr(&w, "action", c->action);
    put_filter(&w, c);
    if (limit)
        json_kv_int(&w, "limit", limit);
    if (rate)
        json_kv_int(&w, "per_minute", rate);
    if (c->reset)
        json_kv_bool(&w, "reset", true);
    if (c->reason)
        json_kv_cstr(&w, "reason", c->reason);
    json_close(&w);
    return code;
}

int many_check(struct cli *c)
{
    bool ids = c->word_count > 2, filter = has_filter(c);
    int code = parts_check_labels(c, "jobs", false);
    if (code)
        return code;
    if (ids && (filter || c->all))
        return cli_usage("jobs",
                         "jobs %s takes ids, or a filter such as --state and --site, not both",
                         c->action);
    if (ids)
        return ask_jobs(c, true);
    if (!filter && !c->all)
        return cli_usage(
            "jobs",
            "jobs %s needs the id of a job (fulmar jobs list shows them), a filter such as --state, "
            "or --all",
            c->action);
    if (c->force || c->grace || c->wait)
        return cli_usage("jobs", "--%s goes with ids",
                         c->force   ? "force"
                         : c->grace ? "grace"
                                    : "wait");
    return EXIT_DONE;
}

/* How many there are, said before anything is done. 0: go on. */
static int count(struct ask *a, struct span body)
{
    int code = ask_send(a, "POST", "/v1/jobs/actions?dry_run=true", NULL, body);
    if (code)
        return code;
    if (a->c->dry_run)
        return ask_dry_run(a, "jobs");
    long long jobs = ask_number(a->root, "count");
    if (!jobs) {
        cli_note(a->c, "no such job");
        return EXIT_DONE;
    }
    bool exact = span_is(ask_text(a->root, "count_kind"), "exact");
    return cli_confirm(a->c, "jobs",
                       arena_fmt(a->c->arena, "is to %s %s%lld job%s", a->c->action,
                                 exact ? "" : "at least ", jobs, jobs == 1 ? "" : "s"));
}

static int act(struct ask *a)
{
    struct buf body = BUF(BODY_MAX);
    int code = write_action(a->c, &body);
    if (!code)
        code = count(a, buf_span(&body));
    bool none = !code && !a->c->dry_run && !ask_number(a->root, "count");
    if (!code && !a->c->dry_run && !none) {
        code = ask_send(a, "POST", "/v1/jobs/actions", NULL, buf_span(&body));
        if (!code)
            code = ask_operation(a);
    }
    buf_free(&body);
    return code;
}

int many_run(struct cli *c)
{
    struct ask a;
    int code = ask_open(&a, c);
    if (code)
        return code;
    code = act(&a);
    ask_close(&a);
    return code;
}
