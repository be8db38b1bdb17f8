/* raw.c - the verb api: one request to the service as it is said. */
#include "cli/ask.h"
#include "cli/interrupt.h"

#include "base/text.h"
#include "os/files.h"

#include <ctype.h>
#include <fcntl.h>
#include <unistd.h>

enum {
    BODY_MAX = 32 * 1024 * 1024,
    ANSWER_MAX = 64 * 1024 * 1024,
    ANSWER_MS = 120 * 1000,
    SILENT_MS = 90 * 1000, /* of a stream: the service sends a sign of life every 15 s */
    PATH_BYTES = 8000,
};

static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", NULL};

struct raw {
    struct cli *c;
    struct service service;
    struct client_request request;
    struct buf body;
    const char *path; /* of the page at hand */
    bool unwritten;
};

static bool on_bytes(void *ctx, struct span bytes)
{
    struct raw *r = ctx;
    r->unwritten = fwrite(bytes.p, 1, bytes.n, stdout) != bytes.n || fflush(stdout);
    return !r->unwritten;
}

static bool on_tick(void *ctx)
{
    (void)ctx;
    return !interrupted();
}

static int say_failure(const struct raw *r, err e, const struct fault *f)
{
    if (interrupted())
        return EXIT_INTERRUPTED;
    if (r->unwritten) {
        cli_say("standard output cannot be written");
        return EXIT_IO;
    }
    cli_say("%s", f->words[0] ? f->words : err_text(e));
    return cli_exit_of(e);
}

/* In a form that was asked for the answer is needed as a whole; else it goes out as it comes. */
static int send_one(struct raw *r, struct client_answer *out)
{
    struct fault f = {0};
    bool whole = r->c->json || r->c->paginate;
    r->request.path = r->path;
    r->request.timeout_ms = whole ? ANSWER_MS : 0;
    r->request.stall_ms = whole ? 0 : SILENT_MS;
    r->request.on_bytes = whole ? NULL : on_bytes;
    err e = client_send(r->service.client, &r->request, out, &f);
    int code = e ? say_failure(r, e, &f) : EXIT_DONE;
    if (!code && out->status >= 300)
        code = strcmp(r->request.method, "HEAD") == 0 ? cli_exit_of_status(out->status)
                                                      : cli_problem(out);
    if (code)
        buf_free(&out->body);
    return code;
}

/* Where the next page begins: in the arena, NULL when there is none. */
static const char *next_of(struct raw *r, struct span body)
{
    struct json_parser *parser = json_parser_new(ANSWER_MAX);
    struct json root;
    struct span next = SPAN_NONE;
    bool more = false;
    const char *kept = NULL;
    if (!json_parse(parser, body, &root, NULL) &&
        json_bool(json_path(root, "page.has_more"), &more) && more &&
        json_text(json_path(root, "page.next_after"), &next))
        kept = arena_text(r->c->arena, next);
    json_parser_free(&parser);
    return kept;
}

static void put_page(struct raw *r, struct span body)
{
    if (r->c->json) {
        cli_put(r->c, body);
        return;
    }
    if (!body.n)
        return;
    fwrite(body.p, 1, body.n, stdout);
    if (body.p[body.n - 1] != '\n')
        fputc('\n', stdout);
}

static int send_pages(struct raw *r)
{
    const char *first = r->path, *next = "";
    while (next) {
        struct client_answer answer;
        int code = send_one(r, &answer);
        if (code)
            return code;
        put_page(r, buf_span(&answer.body));
        next = r->c->paginate ? next_of(r, buf_span(&answer.body)) : NULL;
        buf_free(&answer.body);
        struct buf escaped = BUF(1024);
        text_add_url_escaped(&escaped, span_of(next));
        r->path = arena_fmt(r->c->arena, "%s%cafter=%.*s", first,
                            strchr(first, '?') ? '&' : '?', SP(buf_span(&escaped)));
        buf_free(&escaped);
    }
    return EXIT_DONE;
}

/* --data TEXT, @FILE or @-. */
static int read_body(struct raw *r)
{
    const char *data = r->c->data;
    struct fault f = {0};
    err e = E_OK;
    if (data && data[0] != '@')
        buf_add_text(&r->body, data);
    else if (data)
        e = strcmp(data, "@-") == 0 ? files_read_input(&r->body, &f)
                                    : files_read(AT_FDCWD, data + 1, BODY_MAX, &r->body, &f);
    if (e)
        cli_say("%s", f.words);
    r->request.body = buf_span(&r->body);
    return e ? cli_exit_of(e) : EXIT_DONE;
}

static int read_method(struct raw *r)
{
    char *method = arena_text(r->c->arena, span_of(r->c->words[1]));
    for (char *p = method; p && *p; p++)
        *p = (char)toupper((unsigned char)*p);
    for (size_t i = 0; methods[i]; i++)
        if (strcmp(method, methods[i]) == 0)
            r->request.method = methods[i];
    if (r->request.method)
        return EXIT_DONE;
    const char *near = text_nearest(span_of(method), methods);
    return near ? cli_usage("api", "unknown method '%.20s'; did you mean '%s'?", method, near)
                : cli_usage("api",
                            "unknown method '%.20s'; known are GET, POST, PUT, PATCH, "
                            "DELETE and HEAD",
                            method);
}

static int check_call(struct raw *r)
{
    struct cli *c = r->c;
    if (c->word_count != 3)
        return cli_usage("api", "api needs a method and a path: fulmar api GET /v1/jobs");
    int code = read_method(r);
    if (!code && c->paginate && strcmp(r->request.method, "GET") != 0)
        code = cli_usage("api", "--paginate goes with GET");
    if (!code && (c->words[2][0] != '/' || strlen(c->words[2]) > PATH_BYTES))
        code = cli_usage("api", "the path begins with a slash: /v1/jobs, not '%.40s'",
                         c->words[2]);
    _Static_assert((int)CLI_MANY_MAX < (int)CLIENT_HEADERS,
                   "all of them fit, with one of our own");
    for (size_t i = 0; !code && i < CLI_MANY_MAX && c->headers[i]; i++) {
        if (!strchr(c->headers[i], ':') || strpbrk(c->headers[i], "\r\n"))
            code = cli_usage("api", "--header must be one line, 'Name: value'");
        r->request.headers[i] = c->headers[i];
    }
    r->path = c->words[2];
    return code ? code : read_body(r);
}

int raw_run(struct cli *c)
{
    struct raw r = {.c = c, .body = BUF(BODY_MAX)};
    r.request = (struct client_request){.body_max = ANSWER_MAX, .on_tick = on_tick, .ctx = &r};
    int code = check_call(&r);
    if (!code)
        code = service_open(&r.service, c, NULL, NULL);
    if (!code) {
        interrupt_catch();
        code = send_pages(&r);
        service_close(&r.service);
    }
    buf_free(&r.body);
    return code;
}
