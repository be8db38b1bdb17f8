#include "cli/ask.h"

#include "cli/face.h"

#include "base/id.h"

enum { ANSWER_MS = 60 * 1000, ANSWER_MAX = 32 * 1024 * 1024 };

int ask_open(struct ask *a, struct cli *c)
{
    *a = (struct ask){.c = c};
    int code = service_open(&a->service, c, NULL, NULL);
    if (!code)
        a->parser = json_parser_new(ANSWER_MAX);
    return code;
}

void ask_close(struct ask *a)
{
    buf_free(&a->answer.body);
    json_parser_free(&a->parser);
    service_close(&a->service);
}

int ask_send(struct ask *a, const char *method, const char *path, const char *key,
             struct span body)
{
    struct client_request q = {.method = method,
                               .path = path,
                               .body = body,
                               .timeout_ms = ANSWER_MS,
                               .body_max = ANSWER_MAX};
    if (key)
        q.headers[0] = arena_fmt(a->c->arena, "Idempotency-Key: %s", key);
    else if (a->match)
        q.headers[0] = "If-Match: *";
    buf_free(&a->answer.body);
    a->root = JSON_MISSING;
    int code = service_send(&a->service, &q, &a->answer);
    if (code)
        return code;
    if (a->answer.status == 204 ||
        !json_parse(a->parser, buf_span(&a->answer.body), &a->root, NULL))
        return EXIT_DONE;
    cli_say("the answer cannot be read; is this a Fulmar service?");
    return EXIT_PROTOCOL;
}

struct span ask_text(struct json v, const char *path)
{
    struct span text = SPAN_NONE;
    json_text(json_path(v, path), &text);
    return text;
}

long long ask_number(struct json v, const char *path)
{
    int64_t n = 0;
    json_int(json_path(v, path), &n);
    return (long long)n;
}

char *ask_shown(struct ask *a, struct json v, const char *path)
{
    return cli_printable(a->c, ask_text(v, path));
}

void ask_print(struct ask *a)
{
    cli_put(a->c, buf_span(&a->answer.body));
}

void ask_line(struct ask *a, const char *name, struct json v, const char *path)
{
    if (ask_text(v, path).n)
        printf("%-12s %s\n", name, ask_shown(a, v, path));
}

int ask_list(struct ask *a, const char *path, const struct ask_table *t)
{
    int code = ask_send(a, "GET", path, NULL, SPAN_NONE);
    if (code)
        return code;
    if (a->c->json) {
        ask_print(a);
        return EXIT_DONE;
    }
    struct json data = json_get(a->root, SPAN("data"));
    if (json_count(data) == 0)
        cli_note(a->c, "%s", t->when_empty);
    else
        printf("%s%s%s\n", face_on(stdout, COLOR_BOLD), t->heading, face_off(stdout));
    for (struct json_iter i = json_each(data); json_next(&i);)
        t->put_row(a, i.value);
    return EXIT_DONE;
}

/* What an operation or its dry run does to a job. */
static const char *done_words(struct span action)
{
    static const struct {
        const char *action, *done;
    } words[] = {{"replay", "taken up again"},
                 {"retry", "taken up again"},
                 {"cancel", "cancelled or told to stop"},
                 {"delete", "deleted"},
                 {"hold", "held"},
                 {"release", "released"},
                 {"set_priority", "changed"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (span_is(action, words[i].action))
            return words[i].done;
    return "made";
}

int ask_operation(struct ask *a)
{
    struct json o = a->root;
    if (a->c->json) {
        ask_print(a);
        return EXIT_DONE;
    }
    char *id = ask_shown(a, o, "id"), *kind = ask_shown(a, o, "kind");
    struct span state = ask_text(o, "state");
    const char *done = done_words(span_of(kind));
    if (span_is(state, "running"))
        cli_note(
            a->c,
            "%lld jobs %s so far; it goes on by itself\nlook: fulmar operations show %s · stop it: "
            "fulmar operations cancel %s",
            ask_number(o, "done"), done, id, id);
    else
        cli_note(a->c, "%lld jobs %s", ask_number(o, "done"), done);
    if (ask_number(o, "skipped"))
        cli_note(a->c, "%lld were left out: they were no longer what they had been",
                 ask_number(o, "skipped"));
    return EXIT_DONE;
}

int ask_dry_run(struct ask *a, const char *noun)
{
    if (a->c->json) {
        ask_print(a);
        return EXIT_DONE;
    }
    bool exact = span_is(ask_text(a->root, "count_kind"), "exact");
    printf("%s%lld %s would be %s\n", exact ? "" : "at least ", ask_number(a->root, "count"),
           noun, done_words(ask_text(a->root, "action")));
    for (struct json_iter i = json_each(json_get(a->root, SPAN("groups"))); json_next(&i);)
        printf("  %6lld  %-16s  %-10s  %-10s  %s\n", ask_number(i.value, "count"),
               ask_shown(a, i.value, "class"), ask_shown(a, i.value, "site"),
               ask_shown(a, i.value, "kind"), ask_shown(a, i.value, "fingerprint"));
    for (struct json_iter i = json_each(json_get(a->root, SPAN("examples"))); json_next(&i);)
        printf("  %s  %-10s  %s\n", ask_shown(a, i.value, "id"), ask_shown(a, i.value, "state"),
               ask_shown(a, i.value, "target"));
    return EXIT_DONE;
}

const char *ask_id(struct cli *c, const char *verb, const char *kind, const char *noun,
                   int *out_code)
{
    const char *id = c->word_count > 2 ? c->words[2] : NULL;
    *out_code = EXIT_DONE;
    if (!id)
        *out_code =
            cli_usage(verb, "%s %s needs the id of %s %s; fulmar %s list shows them", verb,
                      c->words[1], strchr("aeiou", noun[0]) ? "an" : "a", noun, verb);
    else if (c->word_count > 3)
        *out_code = cli_usage(verb, "too many words");
    else if (!id_valid(span_of(id), kind)) {
        cli_say("'%s' is not the id of %s %s; fulmar %s list shows them",
                cli_printable(c, span_of(id)), strchr("aeiou", noun[0]) ? "an" : "a", noun,
                verb);
        *out_code = EXIT_DATA;
    }
    return *out_code ? NULL : id;
}

int ask_jobs(struct cli *c, bool several)
{
    size_t count = c->word_count > 2 ? c->word_count - 2 : 0;
    if (!count)
        return cli_usage("jobs", "jobs %s needs the id of a job; fulmar jobs list shows them",
                         c->action);
    if (count > 1 && !several)
        return cli_usage("jobs", "too many words");
    for (size_t i = 0; i < count; i++) {
        if (id_valid(span_of(c->words[2 + i]), "job"))
            continue;
        cli_say("'%s' is not the id of a job; fulmar jobs list shows them",
                cli_printable(c, span_of(c->words[2 + i])));
        return EXIT_DATA;
    }
    return EXIT_DONE;
}
