/* fields.c - fulmar site fields: where the fields of a site's records came from, and what of it is not as
 * it was. */
#include "cli/ask.h"
#include "cli/fields.h"

#include "cli/service.h"

#include "base/text.h"

enum { ANSWER_MS = 40 * 1000, ANSWER_MAX = 16 * 1024 * 1024, PATHS_SHOWN = 6 };

/* "12.3%", or "-" where nothing was counted. */
static void add_share(struct buf *out, struct json share)
{
    double real = 0;
    if (json_real(share, &real))
        buf_fmt(out, " %6.1f%%", real * 100);
    else
        buf_fmt(out, " %7s", "-");
}

static void print_field(struct cli *c, struct json field)
{
    struct buf line = BUF(4096);
    struct span changed = ask_text(field, "changed");
    struct json paths = json_path(field, "now.paths");
    buf_fmt(&line, "%c %-40s %9lld", changed.n ? '!' : ' ',
            cli_printable(c, ask_text(field, "name")), ask_number(field, "now.records"));
    add_share(&line, json_path(field, "now.missing"));
    add_share(&line, json_path(field, "before.missing"));
    for (size_t i = 0; i < json_count(paths) && i < PATHS_SHOWN; i++)
        add_share(&line, json_at(paths, i));
    if (changed.n)
        buf_fmt(&line, "  %s", cli_printable(c, changed));
    printf("%.*s\n", SP(buf_span(&line)));
    buf_free(&line);
}

static void print_member(struct cli *c, struct json member)
{
    struct span changed = ask_text(member, "changed");
    printf("%c %-60s %9lld times, first in the hour of %s\n", changed.n ? '!' : ' ',
           cli_printable(c, ask_text(member, "name")), ask_number(member, "seen"),
           cli_printable(c, ask_text(member, "first_seen")));
}

static void print_table(struct cli *c, struct json root)
{
    struct json fields = json_get(root, SPAN("fields"));
    struct json members = json_get(root, SPAN("unknown_members"));
    if (!json_count(fields)) {
        cli_note(c, "nothing was read from this site lately");
        return;
    }
    printf("%s, pack %s: the last %lld hours, before: the %lld days before them\n",
           cli_printable(c, ask_text(root, "site")),
           cli_printable(c, ask_text(root, "version")), ask_number(root, "hours"),
           ask_number(root, "days_before"));
    printf("  %-40s %9s %8s %8s  %s\n", "FIELD", "RECORDS", "MISSING", "BEFORE",
           "FROM ITS PATHS, IN THEIR ORDER");
    for (struct json_iter i = json_each(fields); json_next(&i);)
        print_field(c, i.value);
    if (json_count(members))
        printf("\nmembers of the site's answers that no map knows\n");
    for (struct json_iter i = json_each(members); json_next(&i);)
        print_member(c, i.value);
    long long changed = ask_number(root, "changed");
    cli_note(c,
             changed ? "%lld changed (marked !): the site may have changed its answers"
                     : "%lld changed",
             changed);
}

static int show(struct cli *c, struct client_answer *a)
{
    struct json root;
    if (a->status < 200 || a->status > 299)
        return cli_problem(a);
    if (c->json) {
        cli_put(c, buf_span(&a->body));
        return EXIT_DONE;
    }
    struct json_parser *parser = json_parser_new(ANSWER_MAX);
    bool fine = json_parse(parser, buf_span(&a->body), &root, NULL) == E_OK &&
                json_is(json_get(root, SPAN("fields")), JSON_ARRAY);
    if (fine)
        print_table(c, root);
    else
        cli_say("the answer cannot be read; is this a Fulmar service?");
    json_parser_free(&parser);
    return fine ? EXIT_DONE : EXIT_PROTOCOL;
}

int fields_show(struct cli *c, const char *site)
{
    int64_t hours = 24;
    struct service service;
    struct client_answer answer;
    struct fault f = {0};
    struct buf path = BUF(4096);
    if (c->hours && (!span_int(span_of(c->hours), &hours) || hours < 1 || hours > 744))
        return cli_usage("site", "--hours must be 1 to 744, not '%.40s'", c->hours);
    buf_add_text(&path, "/v1/sites/");
    text_add_url_escaped(&path, span_of(site));
    buf_fmt(&path, "/fields?hours=%lld", (long long)hours);
    buf_add_char(&path, '\0');
    int code = path.failed ? cli_usage("site", "the name is too long")
                           : service_open(&service, c, NULL, NULL);
    if (code) {
        buf_free(&path);
        return code;
    }
    struct client_request q = {
        .method = "GET", .path = path.p, .timeout_ms = ANSWER_MS, .body_max = ANSWER_MAX};
    err e = client_send(service.client, &q, &answer, &f);
    if (e)
        cli_say("%s", f.words[0] ? f.words : err_text(e));
    code = e ? cli_exit_of(e) : show(c, &answer);
    if (!e)
        buf_free(&answer.body);
    service_close(&service);
    buf_free(&path);
    return code;
}
