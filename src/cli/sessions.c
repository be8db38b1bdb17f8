/* sessions.c - the verb: people's own logins. Cookies are read from a file or standard input, go to the
 * service, and are forgotten here. */
#include "cli/ask.h"
#include "cli/service.h"

#include "base/id.h"
#include "base/text.h"
#include "os/files.h"
#include "os/secret.h"
#include "store/sessions.h"
#include "wire/cookies.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

enum {
    ANSWER_MS = 40 * 1000,
    ANSWER_MAX = 16 * 1024 * 1024,
    BODY_MAX = 4096,
    EVERY_MAX_S = 86400,
    LOOK_MS = 200
};

/* ---- asking ---- */

static int ask(struct service *s, const char *method, const char *path, struct span body,
               const char *type, struct client_answer *out)
{
    struct client_request q = {.method = method,
                               .path = path,
                               .body = body,
                               .headers = {type},
                               .timeout_ms = ANSWER_MS,
                               .body_max = ANSWER_MAX};
    return service_send(s, &q, out);
}

static char *path_of(struct cli *c, const char *name, const char *rest)
{
    return arena_fmt(c->arena, "/v1/sessions/%s%s", name, rest);
}

/* ---- tables ---- */

/* "SearchTimeline until 2026-…" for each, or why it is out. */
static const char *rests_of(struct cli *c, struct json session)
{
    struct buf text = BUF(4096);
    struct json rests = json_get(session, SPAN("cooldowns"));
    if (json_count(rests) == 0)
        buf_add(&text, ask_text(session, "reason"));
    for (struct json_iter i = json_each(rests); json_next(&i);) {
        struct span until = SPAN_NONE;
        json_text(i.value, &until);
        buf_fmt(&text, "%s%.*s until %.*s", text.n ? ", " : "", SP(i.key), SP(until));
    }
    if (text.n == 0)
        buf_add_char(&text, '-');
    char *shown = cli_printable(c, buf_span(&text));
    buf_free(&text);
    return shown;
}

static void print_row(struct cli *c, struct json v)
{
    struct span used = ask_text(v, "used_at");
    printf("%-20s  %-12s  %-10s  %-8s  %4lld  %5lld  %-24s  %s\n",
           cli_printable(c, ask_text(v, "name")), cli_printable(c, ask_text(v, "pool")),
           cli_printable(c, ask_text(v, "site")), cli_printable(c, ask_text(v, "state")),
           ask_number(v, "active"), ask_number(v, "leases_24h"),
           used.n ? cli_printable(c, used) : "-", rests_of(c, v));
}

static int with_answer(struct cli *c, struct client_answer *a,
                       void (*print)(struct cli *c, struct json v))
{
    struct json_parser *parser = json_parser_new(ANSWER_MAX);
    struct json root;
    int code = EXIT_DONE;
    if (c->json) {
        cli_put(c, buf_span(&a->body));
    } else if (json_parse(parser, buf_span(&a->body), &root, NULL)) {
        cli_say("the answer cannot be read; is this a Fulmar service?");
        code = EXIT_PROTOCOL;
    } else {
        print(c, root);
    }
    json_parser_free(&parser);
    buf_free(&a->body);
    return code;
}

static void print_list(struct cli *c, struct json root)
{
    struct json data = json_get(root, SPAN("data"));
    if (json_count(data) == 0)
        cli_note(c, "no session yet; add one: fulmar sessions add NAME --from cookies.txt");
    else
        printf("%-20s  %-12s  %-10s  %-8s  %4s  %5s  %-24s  %s\n", "NAME", "POOL", "SITE",
               "STATE", "JOBS", "24H", "USED", "RESTS");
    for (struct json_iter i = json_each(data); json_next(&i);)
        print_row(c, i.value);
}

static int list(struct cli *c, struct service *s)
{
    struct client_answer answer;
    struct buf path = BUF(1024);
    buf_add_text(&path, "/v1/sessions?pool=");
    text_add_url_escaped(&path, span_of(c->pool ? c->pool : ""));
    buf_add_text(&path, "&site=");
    text_add_url_escaped(&path, span_of(c->site ? c->site : ""));
    buf_add_char(&path, '\0');
    int code = path.failed ? cli_usage("sessions", "the name is too long")
                           : ask(s, "GET", path.p, SPAN_NONE, NULL, &answer);
    buf_free(&path);
    return code ? code : with_answer(c, &answer, print_list);
}

static void print_line(struct cli *c, const char *name, struct span value)
{
    if (value.n)
        printf("%-12s %s\n", name, cli_printable(c, value));
}

static void print_session(struct cli *c, struct json v)
{
    print_line(c, "session", ask_text(v, "id"));
    print_line(c, "name", ask_text(v, "name"));
    print_line(c, "site", ask_text(v, "site"));
    print_line(c, "pool", ask_text(v, "pool"));
    print_line(c, "state", ask_text(v, "state"));
    print_line(c, "why", ask_text(v, "reason"));
    print_line(c, "since", ask_text(v, "since"));
    for (struct json_iter i = json_each(json_get(v, SPAN("cooldowns"))); json_next(&i);) {
        struct span until = SPAN_NONE;
        json_text(i.value, &until);
        printf("%-12s %s until %s\n", "rests", cli_printable(c, i.key),
               cli_printable(c, until));
    }
    if (ask_number(v, "rate.every_ms"))
        printf("%-12s one job in %lld ms, %lld at once\n", "rate",
               ask_number(v, "rate.every_ms"), ask_number(v, "rate.burst"));
    printf(
        "%-12s %lld now of %lld at once, %lld in 24 hours (%lld requests), %lld failed in a row\n",
        "jobs", ask_number(v, "active"), ask_number(v, "max_active"),
        ask_number(v, "leases_24h"), ask_number(v, "requests_24h"),
        ask_number(v, "failures_in_a_row"));
    print_line(c, "last used", ask_text(v, "used_at"));
    print_line(c, "last good", ask_text(v, "last_ok_at"));
    printf("%-12s %lld%s\n", "cookies", ask_number(v, "cookies"),
           ask_number(v, "cookies") ? ""
                                    : "; send some: fulmar sessions cookies NAME --from FILE");
    print_line(c, "fingerprint", ask_text(v, "fingerprint"));
    print_line(c, "expires", ask_text(v, "expires_at"));
    print_line(c, "created", ask_text(v, "created_at"));
}

/* ---- cookies ---- */

static int read_cookies(struct cli *c, struct buf *out)
{
    struct fault f = {0};
    bool input = !c->from || strcmp(c->from, "-") == 0;
    if (input && isatty(STDIN_FILENO))
        cli_note(
            c,
            "cookies, then Ctrl-D (they are shown as you paste them; --from FILE shows nothing):");
    err e = input ? files_read_input(out, &f)
                  : files_read(AT_FDCWD, c->from, COOKIES_TEXT_MAX, out, &f);
    if (e)
        cli_say("%s", f.words);
    return e ? cli_exit_of(e) : EXIT_DONE;
}

/* Sends what was read for the session `name`. */
static int send_cookies(struct cli *c, struct service *s, const char *name, struct buf *text)
{
    struct client_answer answer;
    bool rotates = strcmp(c->action, "rotate") == 0;
    int code = ask(s, "POST", path_of(c, name, rotates ? "/rotate" : "/cookies"),
                   buf_span(text), "Content-Type: text/plain", &answer);
    if (code)
        return code;
    if (c->json)
        return with_answer(c, &answer, NULL);
    cli_note(
        c, "the cookies of %s are sealed; use them: fulmar get search 'heat pump' --pool POOL",
        name);
    buf_free(&answer.body);
    return EXIT_DONE;
}

static int set_cookies(struct cli *c, struct service *s, const char *name)
{
    struct buf text = BUF(COOKIES_TEXT_MAX + BODY_MAX);
    int code = read_cookies(c, &text);
    if (!code)
        code = send_cookies(c, s, name, &text);
    secret_wipe_buf(&text);
    return code;
}

/* ---- add ---- */

static int number_flag(const char *flag, const char *text, int64_t most, int64_t *out)
{
    if (!text || (span_int(span_of(text), out) && *out >= 1 && *out <= most))
        return EXIT_DONE;
    return cli_usage("sessions", "--%s must be 1 to %lld, not '%.40s'", flag, (long long)most,
                     text);
}

static void write_add(struct cli *c, const char *name, int64_t every_s, int64_t burst,
                      struct buf *out)
{
    struct json_w w = json_w(out);
    json_open(&w);
    json_kv_cstr(&w, "name", name);
    if (c->site)
        json_kv_cstr(&w, "site", c->site);
    if (c->pool)
        json_kv_cstr(&w, "pool", c->pool);
    if (every_s) {
        json_key(&w, "rate");
        json_open(&w);
        json_kv_int(&w, "every_ms", every_s * 1000);
        json_kv_int(&w, "burst", burst);
        json_close(&w);
    }
    json_close(&w);
}

/* The session's id, so that another site's session of that name is not meant. */
static char *id_in(struct cli *c, struct client_answer *a)
{
    struct json_parser *parser = json_parser_new(ANSWER_MAX);
    struct json root;
    char *id = json_parse(parser, buf_span(&a->body), &root, NULL)
                   ? NULL
                   : arena_text(c->arena, ask_text(root, "id"));
    json_parser_free(&parser);
    return id && id_valid(span_of(id), "ses") ? id : NULL;
}

static int add(struct cli *c, struct service *s, const char *name)
{
    struct client_answer answer;
    struct buf body = BUF(BODY_MAX), text = BUF(COOKIES_TEXT_MAX + BODY_MAX);
    int64_t every_s = 0, burst = 1;
    int code = number_flag("every", c->every, EVERY_MAX_S, &every_s);
    if (!code)
        code = number_flag("burst", c->burst, 1000, &burst);
    if (!code) /* before anything is made */
        code = read_cookies(c, &text);
    if (!code) {
        write_add(c, name, every_s, burst, &body);
        code = ask(s, "POST", "/v1/sessions", buf_span(&body), NULL, &answer);
    }
    if (!code) {
        const char *id = id_in(c, &answer);
        buf_free(&answer.body);
        code = send_cookies(c, s, id ? id : name, &text);
        if (code && ask(s, "DELETE", path_of(c, id ? id : name, ""), SPAN_NONE, NULL,
                        &answer) == EXIT_DONE)
            buf_free(&answer.body); /* all or nothing */
    }
    buf_free(&body);
    secret_wipe_buf(&text);
    return code;
}

/* ---- lock, unlock, remove ---- */

static int change(struct cli *c, struct service *s, const char *name, const char *action)
{
    struct client_answer answer;
    struct buf body = BUF(BODY_MAX);
    struct json_w w = json_w(&body);
    bool remove = strcmp(action, "remove") == 0;
    json_open(&w);
    if (c->reason)
        json_kv_cstr(&w, "reason", c->reason);
    json_close(&w);
    int code = body.failed ? cli_usage("sessions", "--reason is too long")
               : remove    ? ask(s, "DELETE", path_of(c, name, ""), SPAN_NONE, NULL, &answer)
                        : ask(s, "POST", path_of(c, name, arena_fmt(c->arena, "/%s", action)),
                              buf_span(&body), NULL, &answer);
    buf_free(&body);
    if (code)
        return code;
    if (c->json && !remove)
        return with_answer(c, &answer, NULL);
    cli_note(c, "%s is %s", name,
             remove                        ? "gone"
             : strcmp(action, "lock") == 0 ? "locked"
                                           : "unlocked");
    buf_free(&answer.body);
    return EXIT_DONE;
}

/* ---- validate ---- */

/* 0 with the ended job in *out, to be freed. */
static int wait_for(struct service *s, const char *job, struct client_answer *out,
                    struct json_parser *parser, struct json *out_root)
{
    char path[80];
    snprintf(path, sizeof path, "/v1/jobs/%.40s", job);
    for (;;) {
        int code = ask(s, "GET", path, SPAN_NONE, NULL, out);
        if (code)
            return code;
        if (json_parse(parser, buf_span(&out->body), out_root, NULL))
            return service_not_ours(out);
        enum job_state state;
        if (job_state_parse(ask_text(*out_root, "state"), &state) && job_is_final(state))
            return EXIT_DONE;
        buf_free(&out->body);
        poll(NULL, 0, LOOK_MS);
    }
}

static int say_validated(struct cli *c, const char *name, struct json job)
{
    struct span class = ask_text(job, "failure.class"), state = ask_text(job, "state");
    bool in = span_is(state, "succeeded");
    bool out = span_is(class, "session_invalid") || span_is(class, "login_required");
    if (in)
        cli_note(c, "%s is logged in", name);
    else if (out)
        cli_say("%s is not logged in: %s", name,
                cli_printable(c, ask_text(job, "failure.why")));
    else
        cli_say("it could not be found out: the visit %s ended as %s %s",
                cli_printable(c, ask_text(job, "id")), cli_printable(c, state),
                cli_printable(c, class));
    return in ? EXIT_DONE : out ? EXIT_JOB_FAILED : EXIT_TRY_LATER;
}

static int validate(struct cli *c, struct service *s, const char *name)
{
    struct client_answer answer;
    struct json root;
    char job[ID_TEXT];
    int code = ask(s, "POST", path_of(c, name, "/validate"), SPAN_NONE, NULL, &answer);
    if (code)
        return code;
    struct json_parser *parser = json_parser_new(ANSWER_MAX);
    code = json_parse(parser, buf_span(&answer.body), &root, NULL) ? service_not_ours(&answer)
                                                                   : EXIT_DONE;
    if (!code) {
        span_copy(ask_text(root, "id"), job, sizeof job);
        buf_free(&answer.body);
        code = wait_for(s, job, &answer, parser, &root);
    }
    if (!code && c->json)
        cli_put(c, buf_span(&answer.body));
    if (!code)
        code = say_validated(c, name, root);
    buf_free(&answer.body);
    json_parser_free(&parser);
    return code;
}

/* ---- the verb ---- */

static int run(struct cli *c, struct service *s, const char *action, const char *name)
{
    struct client_answer answer;
    if (strcmp(action, "list") == 0)
        return list(c, s);
    if (strcmp(action, "add") == 0)
        return add(c, s, name);
    if (strcmp(action, "cookies") == 0 || strcmp(action, "rotate") == 0)
        return set_cookies(c, s, name);
    if (strcmp(action, "validate") == 0)
        return validate(c, s, name);
    if (strcmp(action, "show") != 0)
        return change(c, s, name, action);
    int code = ask(s, "GET", path_of(c, name, ""), SPAN_NONE, NULL, &answer);
    return code ? code : with_answer(c, &answer, print_session);
}

int sessions_run(struct cli *c)
{
    const char *action = c->action, *name = c->word_count > 2 ? c->words[2] : NULL;
    bool lists = strcmp(action, "list") == 0;
    if (!lists && !name)
        return cli_usage("sessions",
                         "sessions %s needs a name; fulmar sessions list shows them", action);
    if (c->word_count > (lists ? 2U : 3U)) /* perhaps cookies: they are not repeated */
        return cli_usage("sessions",
                         "too many words; cookies are read from --from FILE or standard input");
    if (name && !session_name_valid(span_of(name)) && !id_valid(span_of(name), "ses")) {
        cli_say("this is no name of a session: 1 to 32 letters, digits, '-', '_' or '.'");
        return EXIT_DATA;
    }
    struct service service;
    int code = service_open(&service, c, NULL, NULL);
    if (code)
        return code;
    code = run(c, &service, action, name);
    service_close(&service);
    return code;
}
