#include "cli/ask.h"
#include "cli/parts.h"
#include "cli/wait.h"

#include "base/id.h"
#include "base/text.h"
#include "base/when.h"
#include "core/fingerprint.h"
#include "store/dead.h"

enum { LIST_ROWS = 20 };

/* ---- the filter ---- */

static const struct part filters[] = {
    {"class", offsetof(struct cli, class)}, {"site", offsetof(struct cli, site)},
    {"kind", offsetof(struct cli, kind)},   {"fingerprint", offsetof(struct cli, fingerprint)},
    {"since", offsetof(struct cli, since)}, {"until", offsetof(struct cli, until)},
};
enum { FILTERS = sizeof filters / sizeof *filters };

static bool has_filter(const struct cli *c)
{
    return parts_any(c, filters, FILTERS);
}

static int check_filter(const struct cli *c)
{
    enum failure_class class;
    wall when;
    const char *dates[] = {c->since, c->until};
    if (c->class && !failure_parse(span_of(c->class), &class))
        return cli_usage("dead", "--class must be a failure such as drift, not '%.40s'",
                         c->class);
    if (c->fingerprint && !fingerprint_valid(span_of(c->fingerprint)))
        return cli_usage(
            "dead", "--fingerprint must be 16 hexadecimal digits, as dead list shows them");
    for (int i = 0; i < 2; i++)
        if (dates[i] && !when_parse(span_of(dates[i]), &when))
            return cli_usage("dead",
                             "--%s must be a date (2026-02-06) or a date and time "
                             "(2026-02-06T12:00:00Z), not '%.40s'",
                             i ? "until" : "since", dates[i]);
    return EXIT_DONE;
}

/* ---- list ---- */

static void print_group(struct ask *a, struct json g)
{
    struct json example = json_at(json_get(g, SPAN("examples")), 0);
    struct buf words = BUF(1024), safe = BUF(64 * 1024);
    text_add_printable(&safe, ask_text(example, "why"));
    text_add_cut(&words, buf_span(&safe), 60);
    printf("%s%6lld  %-15s  %-8s  %-8s  %-16s  %-24s  %.*s\n",
           span_is(ask_text(g, "count_kind"), "exact") ? " " : "≥", ask_number(g, "count"),
           ask_shown(a, g, "class"), ask_shown(a, g, "site"), ask_shown(a, g, "kind"),
           ask_shown(a, g, "fingerprint"), ask_shown(a, g, "last_at"), SP(buf_span(&words)));
    buf_free(&words);
    buf_free(&safe);
}

static int list(struct ask *a)
{
    int64_t limit = LIST_ROWS;
    const char *given = a->c->limit;
    if (given && (!span_int(span_of(given), &limit) || limit < 1 || limit > DEAD_GROUPS_MOST))
        return cli_usage("dead", "--limit must be 1 to %d, not '%.40s'", DEAD_GROUPS_MOST,
                         given);
    struct buf path = BUF(4096);
    buf_fmt(&path, "/v1/dead-letters?limit=%lld", (long long)limit);
    parts_add_query(&path, a->c, filters, FILTERS);
    buf_add_char(&path, '\0');
    int code = path.failed ? cli_usage("dead", "the filter is too long")
                           : ask_send(a, "GET", path.p, NULL, SPAN_NONE);
    buf_free(&path);
    if (code)
        return code;
    if (a->c->json) {
        ask_print(a);
        return EXIT_DONE;
    }
    struct json data = json_get(a->root, SPAN("data"));
    bool more = false;
    if (json_count(data) == 0)
        cli_note(a->c, "no dead job%s", has_filter(a->c) ? " is so" : "");
    else
        printf(" %6s  %-15s  %-8s  %-8s  %-16s  %-24s  %s\n", "JOBS", "CLASS", "SITE", "KIND",
               "FINGERPRINT", "LAST", "WORDS");
    for (struct json_iter i = json_each(data); json_next(&i);)
        print_group(a, i.value);
    if (json_bool(json_path(a->root, "page.has_more"), &more) && more)
        cli_note(a->c, "there are more groups: --limit N, or a filter such as --class drift");
    else if (json_count(data))
        cli_note(a->c, "once the cause is gone: fulmar dead retry --fingerprint PRINT");
    return EXIT_DONE;
}

/* ---- one ---- */

static int show(struct ask *a, const char *id)
{
    char path[100];
    snprintf(path, sizeof path, "/v1/dead-letters/%s", id);
    int code = ask_send(a, "GET", path, NULL, SPAN_NONE);
    if (code)
        return code;
    if (a->c->json) {
        ask_print(a);
        return EXIT_DONE;
    }
    struct json job = a->root;
    ask_line(a, "job", job, "id");
    printf("%-12s %s %s %s\n", "target", ask_shown(a, job, "site"), ask_shown(a, job, "kind"),
           ask_shown(a, job, "target"));
    ask_line(a, "class", job, "failure.class");
    ask_line(a, "meaning", job, "failure.meaning");
    ask_line(a, "why", job, "failure.why");
    ask_line(a, "advice", job, "failure.advice");
    ask_line(a, "fingerprint", job, "fingerprint");
    ask_line(a, "batch", job, "batch");
    ask_line(a, "died", job, "finished_at");
    cli_note(a->c, "what it read: fulmar artifacts %s · again: fulmar dead retry %s", id, id);
    return EXIT_DONE;
}

static int retry_one(struct ask *a, const char *id)
{
    char path[100];
    snprintf(path, sizeof path, "/v1/dead-letters/%s/retry", id);
    int code =
        ask_send(a, "POST", path, NULL, a->c->reset ? SPAN("{\"reset\":true}") : SPAN("{}"));
    if (code)
        return code;
    if (a->c->wait)
        return wait_for_jobs(a->c, &a->service, &id, 1);
    if (a->c->json)
        ask_print(a);
    else
        cli_note(a->c, "%s will run again; look: fulmar jobs show %s", id, id);
    return EXIT_DONE;
}

static int delete_one(struct ask *a, const char *id)
{
    char path[100];
    snprintf(path, sizeof path, "/v1/dead-letters/%s", id);
    if (!a->c->yes || a->c->dry_run) {
        int code = ask_send(a, "GET", path, NULL, SPAN_NONE);
        if (!code)
            cli_note(a->c,
                     "%s would be deleted with what it read and brought; really: fulmar dead "
                     "delete %s --yes",
                     id, id);
        return code || a->c->dry_run ? code : EXIT_USAGE;
    }
    int code = ask_send(a, "DELETE", path, NULL, SPAN_NONE);
    if (!code)
        cli_note(a->c, "%s is deleted", id);
    return code;
}

/* ---- many ---- */

static int retry_many(struct ask *a)
{
    struct cli *c = a->c;
    struct buf body = BUF(8 * 1024);
    struct json_w w = json_w(&body);
    int64_t rate = 0;
    if (c->per_minute &&
        (!span_int(span_of(c->per_minute), &rate) || rate < 1 || rate > OPERATION_RATE_MOST))
        return cli_usage("dead", "--per-minute must be 1 to %d, not '%.40s'",
                         OPERATION_RATE_MOST, c->per_minute);
    json_open(&w);
    json_key(&w, "filter");
    json_open(&w);
    parts_put(&w, c, filters, FILTERS);
    json_close(&w);
    if (rate)
        json_kv_int(&w, "per_minute", rate);
    if (c->reset)
        json_kv_bool(&w, "reset", true);
    json_close(&w);
    int code =
        ask_send(a, "POST",
                 c->dry_run ? "/v1/dead-letters/retry?dry_run=true" : "/v1/dead-letters/retry",
                 NULL, buf_span(&body));
    buf_free(&body);
    if (code)
        return code;
    return c->dry_run ? ask_dry_run(a, "jobs") : ask_operation(a);
}

static int delete_many(struct ask *a)
{
    struct cli *c = a->c;
    struct buf path = BUF(4096);
    bool dry = c->dry_run || !c->yes;
    buf_fmt(&path, "/v1/dead-letters?dry_run=%s%s", dry ? "true" : "false",
            c->all ? "&all=true" : "");
    parts_add_query(&path, c, filters, FILTERS);
    buf_add_char(&path, '\0');
    int code = path.failed ? cli_usage("dead", "the filter is too long")
                           : ask_send(a, "DELETE", path.p, NULL, SPAN_NONE);
    buf_free(&path);
    if (code)
        return code;
    if (!dry)
        return ask_operation(a);
    code = ask_dry_run(a, "jobs");
    if (code || c->dry_run)
        return code;
    cli_note(
        c,
        "nothing was deleted; the same with --yes deletes them, with what they read and brought");
    return EXIT_USAGE;
}

static int act(struct ask *a, const char *action, const char *id)
{
    bool retries = strcmp(action, "retry") == 0;
    if (strcmp(action, "list") == 0)
        return list(a);
    if (strcmp(action, "show") == 0)
        return show(a, id);
    if (id)
        return retries ? retry_one(a, id) : delete_one(a, id);
    return retries ? retry_many(a) : delete_many(a);
}

int dead_run(struct cli *c)
{
    const char *action = c->action, *id = NULL;
    int code = EXIT_DONE;
    bool lists = strcmp(action, "list") == 0, shows = strcmp(action, "show") == 0;
    if (lists && c->word_count > 2)
        return cli_usage("dead", "too many words");
    if ((shows || c->word_count > 2) && !lists &&
        !(id = ask_id(c, "dead", "job", "job", &code)))
        return code;
    if (id && (has_filter(c) || c->all || (c->per_minute && !shows)))
        return cli_usage("dead", "give a job, or a filter, not both");
    if (!lists && !shows && !id && !has_filter(c) && !c->all)
        return cli_usage(
            "dead", "dead %s needs a job, a filter such as --class drift, or --all", action);
    code = check_filter(c);
    if (code)
        return code;
    struct ask a;
    code = ask_open(&a, c);
    if (code)
        return code;
    code = act(&a, action, id);
    ask_close(&a);
    return code;
}
