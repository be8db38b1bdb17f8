#include "cli/cancel.h"

#include "base/id.h"
#include "core/job.h"

enum { GRACE_MAX_MS = 3600 * 1000 };

int cancel_check(struct cli *c)
{
    int64_t ms;
    if (c->force && c->grace)
        return cli_usage("jobs", "--force is at once: one of --force and --grace");
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

int cancel_run(struct cli *c, struct service *s)
{
    size_t count = c->word_count - 2;
    if (!c->dry_run)
        return cancel_all(c, s, c->words + 2, count);
    for (size_t i = 0; i < count; i++)
        printf("%s\n", c->words[2 + i]);
    cli_note(c, "%zu job%s would be cancelled", count, count == 1 ? "" : "s");
    return EXIT_DONE;
}
