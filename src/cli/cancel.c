#include "cli/cancel.h"

#include "base/id.h"
#include "core/job.h"

enum { CANCEL_MAX = 1000, PAGE = 200, GRACE_MAX_MS = 3600 * 1000 };

int cancel_check(struct cli *c)
{
    int64_t ms;
    enum job_state state;
    if (c->force && c->grace)
        return cli_usage("jobs", "--force is at once: one of --force and --grace");
    if (c->state && (!job_state_parse(span_of(c->state), &state) || job_is_final(state)))
        return cli_usage("jobs",
                         "--state must be blocked, scheduled, ready or active, not '%.40s'",
                         c->state);
    return c->grace ? cli_duration("jobs", "grace", c->grace, 1000, GRACE_MAX_MS, &ms)
                    : EXIT_DONE;
}

static void put_body(struct buf *out, struct cli *c)
{
    struct json_w w = json_w(out);
    int64_t ms = 0;
    json_open(&w);
    if (c->force)
        json_kv_bool(&w, "force", true);
    if (c->grace &&
        cli_duration("jobs", "grace", c->grace, 1000, GRACE_MAX_MS, &ms) == EXIT_DONE)
        json_kv_int(&w, "grace_s", ms / 1000);
    if (c->reason)
        json_kv_cstr(&w, "reason", c->reason);
    json_close(&w);
}

/* What became of it: told to stop, over although it ran, or over before it ran. */
static void say_done(struct cli *c, const char *id, const struct client_answer *answer)
{
    struct json_parser *parser = json_parser_new(SERVICE_ANSWER_MAX);
    struct json job;
    struct span started;
    bool forced = c->force && !json_parse(parser, buf_span(&answer->body), &job, NULL) &&
                  json_text(json_path(job, "started_at"), &started);
    if (answer->status == 202)
        cli_note(c, "%s is being stopped; look: fulmar jobs show %s", id, id);
    else
        cli_note(c, "%s is cancelled%s; look: fulmar jobs show %s", id,
                 forced ? " by force, what its worker still brings does not count" : "", id);
    json_parser_free(&parser);
}

static int cancel_one(struct cli *c, struct service *s, const char *id)
{
    struct client_answer answer;
    char path[100];
    struct buf body = BUF(4096);
    put_body(&body, c);
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id);
    int code = service_ask(s, "POST", path, buf_span(&body), &answer);
    buf_free(&body);
    if (code)
        return code;
    if (c->json)
        cli_put(c, buf_span(&answer.body));
    else
        say_done(c, id, &answer);
    buf_free(&answer.body);
    return EXIT_DONE;
}

/* Of several the first trouble is the exit code; the others are cancelled all the same. */
static int cancel_all(struct cli *c, struct service *s, const char *const *ids, size_t count)
{
    int first = EXIT_DONE;
    for (size_t i = 0; i < count; i++) {
        int code = cancel_one(c, s, ids[i]);
        if (code == EXIT_UNAVAILABLE)
            return code;
        first = first ? first : code;
    }
    return first;
}

/* ---- by a filter ---- */

struct found {
    const char *ids[CANCEL_MAX];
    size_t count;
    bool more;
};

static bool fits(const struct cli *c, struct json job)
{
    struct span site, state;
    enum job_state s;
    if (!json_text(json_get(job, SPAN("state")), &state) || !job_state_parse(state, &s) ||
        job_is_final(s))
        return false;
    return !c->site ||
           (json_text(json_get(job, SPAN("site")), &site) && span_is(site, c->site));
}

/* One page of jobs; *after is where the next one begins, empty when there is none. */
static int read_page(struct cli *c, struct service *s, const char *state, char after[ID_TEXT],
                     struct found *f)
{
    struct client_answer answer;
    char path[160];
    snprintf(path, sizeof path, "/v1/jobs?limit=%d&state=%s%s%s", PAGE, state,
             *after ? "&after=" : "", after);
    int code = service_ask(s, "GET", path, SPAN_NONE, &answer);
    if (code)
        return code;
    struct json_parser *parser = json_parser_new(SERVICE_ANSWER_MAX);
    struct json root;
    struct span id, next = SPAN("");
    if (json_parse(parser, buf_span(&answer.body), &root, NULL)) {
        json_parser_free(&parser);
        return service_not_ours(&answer);
    }
    for (struct json_iter i = json_each(json_get(root, SPAN("data"))); json_next(&i);) {
        if (!fits(c, i.value) || !json_text(json_get(i.value, SPAN("id")), &id))
            continue;
        f->more = f->more || f->count == CANCEL_MAX;
        if (f->count < CANCEL_MAX)
            f->ids[f->count++] = arena_text(c->arena, id);
    }
    (void)json_text(json_path(root, "page.next_after"), &next);
    span_copy(next, after, ID_TEXT);
    json_parser_free(&parser);
    buf_free(&answer.body);
    return EXIT_DONE;
}

static int find(struct cli *c, struct service *s, struct found *f)
{
    int code = EXIT_DONE;
    for (int i = 0; !code && i <= JOB_ACTIVE; i++) {
        const char *state = job_state_name((enum job_state)i);
        char after[ID_TEXT] = "";
        if (c->state && strcmp(c->state, state) != 0)
            continue;
        do
            code = read_page(c, s, state, after, f);
        while (!code && *after && !f->more);
    }
    return code;
}

static int cancel_filtered(struct cli *c, struct service *s)
{
    struct found *f = arena_get(c->arena, sizeof *f);
    *f = (struct found){0};
    int code = find(c, s, f);
    if (code)
        return code;
    const char *more = f->more ? "; there are more: call it again" : "";
    if (c->dry_run) {
        for (size_t i = 0; i < f->count; i++)
            printf("%s\n", f->ids[i]);
        cli_note(c, "%zu job%s would be cancelled%s", f->count, f->count == 1 ? "" : "s", more);
        return EXIT_DONE;
    }
    if (f->count == 0) {
        cli_note(c, "no such job");
        return EXIT_DONE;
    }
    code = cli_confirm(
        c, "jobs",
        arena_fmt(c->arena, "cancels %zu job%s%s", f->count, f->count == 1 ? "" : "s", more));
    return code ? code : cancel_all(c, s, f->ids, f->count);
}

int cancel_run(struct cli *c, struct service *s)
{
    size_t count = c->word_count > 2 ? c->word_count - 2 : 0;
    if (!count)
        return cancel_filtered(c, s);
    if (!c->dry_run)
        return cancel_all(c, s, c->words + 2, count);
    for (size_t i = 0; i < count; i++)
        printf("%s\n", c->words[2 + i]);
    cli_note(c, "%zu job%s would be cancelled", count, count == 1 ? "" : "s");
    return EXIT_DONE;
}
