/* artifacts.c - the verb: what a job read, listed, written into a folder or as a WARC. */
#include "cli/evidence.h"

#include "base/id.h"
#include "os/digest.h"
#include "os/files.h"

#include <fcntl.h>
#include <stdio.h>

enum { ANSWER_MS = 60 * 1000, LIST_BYTES = 16 * 1024 * 1024, PATH_BYTES = 600 };

int evidence_ask(struct service *s, const char *method, const char *path, struct span body,
                 struct client_answer *out)
{
    struct client_request q = {.method = method,
                               .path = path,
                               .body = body,
                               .timeout_ms = ANSWER_MS,
                               .body_max = LIST_BYTES};
    return service_send(s, &q, out);
}

/* ---- the list ---- */

static struct span keep_text(struct arena *a, struct json v, const char *key)
{
    struct span text = SPAN_NONE;
    (void)json_text(json_get(v, span_of(key)), &text);
    return arena_keep(a, text);
}

static int64_t number_of(struct json v, const char *key)
{
    int64_t n = 0;
    (void)json_int(json_get(v, span_of(key)), &n);
    return n;
}

static void read_piece(struct arena *a, struct json v, struct piece *out)
{
    struct buf raw = BUF(64 * 1024);
    struct json headers = json_get(v, SPAN("headers"));
    *out = (struct piece){.n = number_of(v, "n"),
                          .attempt = number_of(v, "attempt"),
                          .batch = number_of(v, "batch"),
                          .at_ms = number_of(v, "collected_at_ms"),
                          .status = number_of(v, "status"),
                          .bytes = number_of(v, "bytes"),
                          .strategy = keep_text(a, v, "strategy"),
                          .name = keep_text(a, v, "name"),
                          .url = keep_text(a, v, "url"),
                          .sha256 = keep_text(a, v, "sha256"),
                          .reason = keep_text(a, v, "reason")};
    (void)evidence_kind_parse(keep_text(a, v, "kind"), &out->kind);
    for (struct json_iter i = json_each(headers); json_next(&i);) {
        struct span type;
        if (span_eq_nocase(i.key, SPAN("content-type")) && json_text(i.value, &type))
            out->type = arena_keep(a, type);
    }
    json_add_raw(&raw, headers);
    out->headers = arena_keep(a, buf_span(&raw));
    buf_free(&raw);
}

static bool read_list(struct arena *a, struct json root, struct pieces *out)
{
    struct json data = json_get(root, SPAN("data")), gaps = json_get(root, SPAN("not_kept"));
    if (!json_is(data, JSON_ARRAY))
        return false;
    out->all = arena_try(a, (json_count(data) + 1) * sizeof *out->all);
    for (struct json_iter i = json_each(data); out->all && json_next(&i);)
        read_piece(a, i.value, &out->all[out->count++]);
    for (struct json_iter i = json_each(gaps); json_next(&i);) {
        struct span kind = SPAN_NONE;
        (void)json_text(json_get(i.value, SPAN("kind")), &kind);
        if (span_is(kind, "response"))
            out->missing += number_of(i.value, "count");
        if (!out->why.n)
            out->why = keep_text(a, i.value, "meaning");
    }
    return out->all != NULL;
}

int evidence_of(struct cli *c, struct service *s, const char *job, struct arena *a,
                struct pieces *out)
{
    (void)c;
    char path[100];
    struct client_answer answer;
    struct json root;
    *out = (struct pieces){0};
    snprintf(path, sizeof path, "/v1/jobs/%s/artifacts", job);
    int code = evidence_ask(s, "GET", path, SPAN_NONE, &answer);
    if (code)
        return code;
    struct json_parser *parser = json_parser_new(LIST_BYTES);
    bool fine =
        !json_parse(parser, buf_span(&answer.body), &root, NULL) && read_list(a, root, out);
    out->raw = arena_keep(a, buf_span(&answer.body));
    json_parser_free(&parser);
    buf_free(&answer.body);
    if (fine)
        return EXIT_DONE;
    cli_say("the answer cannot be read; is this a Fulmar service?");
    return EXIT_PROTOCOL;
}

int evidence_bytes(struct service *s, const char *job, const struct piece *p, struct buf *out)
{
    char path[120], hash[DIGEST_TEXT];
    struct client_answer answer;
    snprintf(path, sizeof path, "/v1/jobs/%s/artifacts/%lld", job, (long long)p->n);
    int code = evidence_ask(s, "GET", path, SPAN_NONE, &answer);
    if (code)
        return code;
    *out = answer.body;
    if (span_is(p->sha256, digest_text(buf_span(out), hash)))
        return EXIT_DONE;
    cli_say("artifact %lld of %s is not what its digest says", (long long)p->n, job);
    buf_free(out);
    return EXIT_DATA;
}

static void print_list(struct cli *c, const struct pieces *p)
{
    char when[WHEN_TEXT];
    if (p->count)
        printf("%4s  %-10s  %7s  %6s  %-20s  %10s  %-20s  %s\n", "N", "KIND", "ATTEMPT",
               "STATUS", "NAME", "BYTES", "COLLECTED", "KEPT FOR");
    for (size_t i = 0; i < p->count; i++) {
        const struct piece *a = &p->all[i];
        printf("%4lld  %-10s  %7lld  %6lld  %-20s  %10lld  %-20s  %s\n", (long long)a->n,
               evidence_kind_name(a->kind), (long long)a->attempt, (long long)a->status,
               cli_printable(c, a->name), (long long)a->bytes,
               when_text((wall){a->at_ms}, when), cli_printable(c, a->reason));
    }
}

/* ---- into a folder ---- */

/* Of what a site is called on our disk: letters, digits and '-' only. */
static void safe_name(struct span name, char out[40])
{
    size_t n = 0;
    for (size_t i = 0; i < name.n && n < 39; i++) {
        char c = name.p[i];
        bool letter =
            ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9') || c == '_';
        out[n++] = letter ? c : '-';
    }
    out[n] = '\0';
}

static const char *ending_of(const struct piece *p)
{
    static const char *const endings[][2] = {
        {"json", "json"}, {"html", "html"}, {"xml", "xml"}};
    if (p->kind == EVIDENCE_SCREENSHOT)
        return "jpg";
    if (p->kind == EVIDENCE_DOM)
        return "htm"; /* no recording */
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (span_find(p->type, span_of(endings[i][0])) < p->type.n)
            return endings[i][1];
    return "bin";
}

static int write_file(const char *path, struct span bytes)
{
    struct fault f = {0};
    err e = files_write(path, bytes, &f);
    if (!e)
        return EXIT_DONE;
    cli_say("%s", f.words);
    return e == E_DISK_FULL ? EXIT_IO : EXIT_CANNOT_CREATE;
}

/* Beside the pieces lies what is known of them. A response is called so that `fulmar site test` takes the
 * folder as it is: OPERATION-number.json. */
static int write_folder(struct cli *c, struct service *s, const char *job,
                        const struct pieces *p)
{
    struct fault f = {0};
    char path[PATH_BYTES], name[40];
    if (files_make_folder(c->out, 0700, &f)) {
        cli_say("%s", f.words);
        return EXIT_CANNOT_CREATE;
    }
    int code = EXIT_DONE;
    for (size_t i = 0; !code && i < p->count; i++) {
        struct buf bytes;
        safe_name(p->all[i].name, name);
        int n = snprintf(path, sizeof path, "%s/%s-%lld.%s", c->out, name,
                         (long long)p->all[i].n, ending_of(&p->all[i]));
        if (n < 0 || n >= (int)sizeof path)
            return cli_usage("artifacts", "the path of --out is too long");
        code = evidence_bytes(s, job, &p->all[i], &bytes);
        if (code)
            return code;
        code = write_file(path, buf_span(&bytes));
        buf_free(&bytes);
    }
    snprintf(path, sizeof path, "%s/artifacts.list", c->out);
    if (!code)
        code = write_file(path, p->raw);
    if (!code)
        cli_note(c, "%zu artifacts of %s are in %s", p->count, job, c->out);
    return code;
}

/* ---- the verb ---- */

static int run(struct cli *c, struct service *s, const char *job, struct arena *a)
{
    struct pieces p;
    int code = evidence_of(c, s, job, a, &p);
    if (code)
        return code;
    if (c->json)
        cli_put(c, p.raw);
    else if (!c->out && !c->warc)
        print_list(c, &p);
    if (p.why.n)
        cli_note(c, "not everything was kept: %s", cli_printable(c, p.why));
    if (!p.count) {
        cli_note(c, "%s has no evidence; evidence.keep or get --evidence says when it is kept",
                 job);
        return EXIT_NOT_FOUND;
    }
    if (c->out)
        code = write_folder(c, s, job, &p);
    if (!code && c->warc)
        code = evidence_warc(c, s, job, &p, c->warc);
    return code;
}

int artifacts_run(struct cli *c)
{
    const char *job = c->word_count > 1 ? c->words[1] : NULL;
    struct service service;
    if (!job || c->word_count > 2)
        return cli_usage("artifacts",
                         "artifacts needs the id of one job; fulmar jobs list shows them");
    if (!id_valid(span_of(job), "job")) {
        cli_say("'%s' is not the id of a job; fulmar jobs list shows them",
                cli_printable(c, span_of(job)));
        return EXIT_DATA;
    }
    int code = service_open(&service, c, NULL, NULL);
    if (code)
        return code;
    struct arena *a = arena_new(64 * 1024 * 1024);
    code = run(c, &service, job, a);
    arena_free(&a);
    service_close(&service);
    return code;
}
