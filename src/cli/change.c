/* change.c - jobs that are held, released, changed, deleted and run again, and what became of their attempts. */
#include "cli/ask.h"
#include "cli/many.h"
#include "cli/parts.h"
#include "cli/wait.h"
#include "cli/wish.h"

#include "api/order.h"
#include "api/terms.h"
#include "base/id.h"
#include "base/when.h"

enum { BODY_MAX = 64 * 1024, ATTEMPTS_MAX = 200 };

/* ---- attempts ---- */

static void put_attempt(struct ask *a, struct json v)
{
    struct span failure = ask_text(v, "failure"), verdict = ask_text(v, "verdict");
    bool ended = json_is(json_get(v, SPAN("took_ms")), JSON_INT);
    const char *took =
        ended ? arena_fmt(a->c->arena, "%lld ms", ask_number(v, "took_ms")) : "-";
    printf("%4lld  %-10s  %-15s  %-24s  %12s  %5lld  %7lld  %s\n", ask_number(v, "number"),
           ask_shown(a, v, "state"),
           failure.n   ? ask_shown(a, v, "failure")
           : verdict.n ? ask_shown(a, v, "verdict")
                       : "-",
           ask_shown(a, v, "started_at"), took, ask_number(v, "batches"),
           ask_number(v, "added"), ask_shown(a, v, "why"));
}

static int attempts(struct ask *a, const char *id)
{
    static const struct ask_table table = {
        .heading = "   N  STATE       OUTCOME          STARTED                           TOOK"
                   "  PAGES  RECORDS  WHY",
        .when_empty = "no attempt yet; what it waits for: fulmar jobs show JOB",
        .put_row = put_attempt,
    };
    return ask_list(
        a, arena_fmt(a->c->arena, "/v1/jobs/%s/attempts?limit=%d", id, ATTEMPTS_MAX), &table);
}

/* ---- hold, release, delete ---- */

static int hold_or_release(struct ask *a, const char *id)
{
    bool holds = strcmp(a->c->action, "hold") == 0;
    struct buf body = BUF(BODY_MAX);
    struct json_w w = json_w(&body);
    json_open(&w);
    if (a->c->reason)
        json_kv_cstr(&w, "reason", a->c->reason);
    json_close(&w);
    int code = ask_send(a, "POST", arena_fmt(a->c->arena, "/v1/jobs/%s/%s", id, a->c->action),
                        NULL, buf_span(&body));
    buf_free(&body);
    if (code)
        return code;
    if (a->c->json)
        ask_print(a);
    else if (holds)
        cli_note(a->c, "%s is held; let it go: fulmar jobs release %s", id, id);
    else
        cli_note(a->c, "%s may start; look: fulmar jobs show %s", id, id);
    return EXIT_DONE;
}

static int delete_one(struct ask *a, const char *id)
{
    int code =
        ask_send(a, "DELETE", arena_fmt(a->c->arena, "/v1/jobs/%s", id), NULL, SPAN_NONE);
    if (!code)
        cli_note(a->c, "%s is deleted, with all that it brought", id);
    return code;
}

/* ---- set ---- */

/* "none" takes a value back. 0 or an exit code. */
static int put_number(struct json_w *w, const char *key, const char *flag, const char *text,
                      int64_t least, int64_t most)
{
    int64_t n = 0;
    if (!text)
        return EXIT_DONE;
    bool none = strcmp(text, "none") == 0;
    int code = none ? EXIT_DONE : cli_number("jobs", flag, text, least, most, &n);
    if (none)
        json_kv_null(w, key);
    else
        json_kv_int(w, key, n);
    return code;
}

static int put_seconds(struct json_w *w, const char *key, const char *flag, const char *text,
                       int64_t most_s)
{
    int64_t ms = 0;
    if (!text)
        return EXIT_DONE;
    bool none = strcmp(text, "none") == 0;
    int code = none ? EXIT_DONE : cli_duration("jobs", flag, text, 1000, most_s * 1000, &ms);
    if (none)
        json_kv_null(w, key);
    else
        json_kv_int(w, key, ms / 1000);
    return code;
}

static int put_timeouts(const struct cli *c, struct json_w *w)
{
    if (!c->attempt_timeout && !c->idle_timeout)
        return EXIT_DONE;
    json_key(w, "timeouts");
    json_open(w);
    int code =
        put_seconds(w, "attempt_s", "attempt-timeout", c->attempt_timeout, TERMS_ATTEMPT_MAX_S);
    if (!code)
        code = put_seconds(w, "idle_s", "idle-timeout", c->idle_timeout, TERMS_IDLE_MAX_S);
    json_close(w);
    return code;
}

static int put_not_before(const struct cli *c, struct json_w *w)
{
    wall when;
    if (!c->not_before)
        return EXIT_DONE;
    if (strcmp(c->not_before, "none") == 0)
        json_kv_null(w, "not_before");
    else if (when_parse(span_of(c->not_before), &when))
        json_kv_cstr(w, "not_before", c->not_before);
    else
        return cli_usage("jobs",
                         "--not-before must be a date (2026-02-06), a date and time "
                         "(2026-02-06T12:00:00Z) or none, not '%.40s'",
                         c->not_before);
    return EXIT_DONE;
}

static int write_change(const struct cli *c, struct buf *out)
{
    struct json_w w = json_w(out);
    if (!c->priority && !c->limit && !c->not_before && !c->expires && !c->deadline &&
        !c->attempt_timeout && !c->idle_timeout && !c->labels[0])
        return cli_usage("jobs",
                         "say what to set: --priority, --limit, --not-before, --expires, "
                         "--deadline, --attempt-timeout, --idle-timeout; none takes one back; "
                         "--label team=press, and team= takes it back");
    json_open(&w);
    int code = parts_check_labels(c, "jobs", true);
    parts_put_labels(&w, c);
    if (!code)
        code = put_number(&w, "priority", "priority", c->priority, 0, 9);
    if (!code)
        code = put_number(&w, "limit", "limit", c->limit, 1, ORDER_LIMIT_MAX);
    if (!code)
        code = put_not_before(c, &w);
    if (!code)
        code = put_seconds(&w, "expires_s", "expires", c->expires, TERMS_WAIT_MAX_S);
    if (!code)
        code = put_seconds(&w, "deadline_s", "deadline", c->deadline, TERMS_WAIT_MAX_S);
    if (!code)
        code = put_timeouts(c, &w);
    if (c->reason)
        json_kv_cstr(&w, "reason", c->reason);
    json_close(&w);
    return code;
}

static int set(struct ask *a, const char *id, struct span body)
{
    int code = ask_send(a, "PATCH", arena_fmt(a->c->arena, "/v1/jobs/%s", id), NULL, body);
    if (code)
        return code;
    if (a->c->json)
        ask_print(a);
    else
        cli_note(a->c, "%s is changed; look: fulmar jobs show %s", id, id);
    return EXIT_DONE;
}

/* ---- rerun ---- */

static int rerun(struct ask *a, const char *id, struct span body)
{
    int code = ask_send(a, "POST", arena_fmt(a->c->arena, "/v1/jobs/%s/rerun", id), NULL, body);
    if (code)
        return code;
    const char *made = arena_text(a->c->arena, ask_text(a->root, "id"));
    if (!made || !id_valid(span_of(made), "job"))
        return service_not_ours(&a->answer);
    if (a->c->json && !a->c->wait)
        ask_print(a);
    if (!a->c->json) {
        printf("%s\n", made);
        fflush(stdout);
        cli_note(a->c, "%s asks for the same; look: fulmar jobs show %s", made, made);
    }
    return a->c->wait ? wait_for_jobs(a->c, &a->service, &made, 1) : EXIT_DONE;
}

/* ---- the actions ---- */

/* jobs hold, release, delete JOB...: all are tried, the first trouble is the exit code. */
int change_many_run(struct cli *c)
{
    struct ask a;
    bool deletes = strcmp(c->action, "delete") == 0;
    int code = many_check(c), first = EXIT_DONE;
    if (!code && c->word_count < 3)
        return many_run(c);
    if (!code && c->dry_run)
        return cli_usage("jobs", "--dry-run goes with a filter");
    if (!code && deletes)
        code = cli_confirm(c, "jobs", "deletes jobs with their records, evidence and events");
    if (!code)
        code = ask_open(&a, c);
    if (code)
        return code;
    for (size_t i = 2; i < c->word_count; i++) {
        code = deletes ? delete_one(&a, c->words[i]) : hold_or_release(&a, c->words[i]);
        first = first ? first : code;
    }
    ask_close(&a);
    return first;
}

/* jobs set, rerun, attempts JOB */
int change_run(struct cli *c)
{
    struct ask a;
    struct wish wish = {0};
    struct buf body = BUF(BODY_MAX);
    struct json_w w = json_w(&body);
    bool sets = strcmp(c->action, "set") == 0, reruns = strcmp(c->action, "rerun") == 0;
    int64_t wait_ms;
    int code = ask_jobs(c, false);
    if (!code && sets)
        code = write_change(c, &body);
    if (!code && reruns)
        code = wish_check(&wish, c, "jobs");
    if (!code && reruns)
        wish_write(&wish, c, NULL, NULL, &w);
    if (!code)
        code = wait_limit(c, "jobs", &wait_ms);
    if (!code)
        code = ask_open(&a, c);
    if (!code) {
        const char *id = c->words[2];
        code = sets     ? set(&a, id, buf_span(&body))
               : reruns ? rerun(&a, id, buf_span(&body))
                        : attempts(&a, id);
        ask_close(&a);
    }
    buf_free(&body);
    return code;
}
