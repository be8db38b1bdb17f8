#include "cli/ask.h"

enum { LIST_ROWS = 20, LIST_MAX = 100 };

static void put_row(struct ask *a, struct json o)
{
    printf("%-31s  %-7s  %-9s  %8lld  %8lld  %s\n", ask_shown(a, o, "id"),
           ask_shown(a, o, "kind"), ask_shown(a, o, "state"), ask_number(o, "done"),
           ask_number(o, "skipped"), ask_shown(a, o, "created_at"));
}

static int list(struct ask *a, int64_t limit)
{
    static const struct ask_table table = {
        .heading =
            "OPERATION                        KIND     STATE          DONE   SKIPPED  BEGAN",
        .when_empty = "no operation; dead retry and batches retry-failed begin one",
        .put_row = put_row,
    };
    char path[100];
    snprintf(path, sizeof path, "/v1/operations?limit=%lld", (long long)limit);
    return ask_list(a, path, &table);
}

static int show(struct ask *a)
{
    struct json o = a->root;
    if (a->c->json) {
        ask_print(a);
        return EXIT_DONE;
    }
    ask_line(a, "operation", o, "id");
    ask_line(a, "kind", o, "kind");
    ask_line(a, "state", o, "state");
    ask_line(a, "batch", o, "batch");
    ask_line(a, "class", o, "filter.class");
    ask_line(a, "site", o, "filter.site");
    ask_line(a, "fingerprint", o, "filter.fingerprint");
    printf("%-12s %lld done, %lld skipped\n", "jobs", ask_number(o, "done"),
           ask_number(o, "skipped"));
    if (ask_number(o, "per_minute"))
        printf("%-12s %lld a minute\n", "rate", ask_number(o, "per_minute"));
    ask_line(a, "began", o, "created_at");
    ask_line(a, "next piece", o, "next_at");
    ask_line(a, "finished", o, "finished_at");
    return EXIT_DONE;
}

int operations_run(struct cli *c)
{
    const char *action = c->action, *id = NULL;
    int64_t limit = LIST_ROWS;
    int code = EXIT_DONE;
    bool lists = strcmp(action, "list") == 0;
    if (!lists && !(id = ask_id(c, "operations", "opr", "operation", &code)))
        return code;
    if (c->limit && (!span_int(span_of(c->limit), &limit) || limit < 1 || limit > LIST_MAX))
        return cli_usage("operations", "--limit must be 1 to %d, not '%.40s'", LIST_MAX,
                         c->limit);
    struct ask a;
    code = ask_open(&a, c);
    if (code)
        return code;
    bool cancels = strcmp(action, "cancel") == 0;
    char path[100];
    snprintf(path, sizeof path, "/v1/operations/%s%s", id ? id : "", cancels ? "/cancel" : "");
    if (lists)
        code = list(&a, limit);
    else
        code = ask_send(&a, cancels ? "POST" : "GET", path, NULL, SPAN_NONE);
    if (!code && !lists)
        code = show(&a);
    ask_close(&a);
    return code;
}
