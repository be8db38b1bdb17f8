/* bulk.c - jobs bulk: orders of a file, one a line, each accepted or refused by itself. */
#include "cli/ask.h"

#include "os/files.h"
#include "os/random.h"

#include <fcntl.h>

enum {
    FILE_MAX = 256 * 1024 * 1024,
    PART_LINES = 1000,       /* as many as the service takes at once */
    PART_BYTES = 512 * 1024, /* half of what a body may have */
    ANSWER_MS = 120 * 1000,
};

struct bulk {
    struct ask ask;
    char key[80];
    size_t sent; /* lines of earlier parts */
    long long accepted, refused;
};

static int read_orders(struct cli *c, struct buf *out)
{
    const char *path = c->words[2];
    struct fault f = {0};
    err e = strcmp(path, "-") == 0 ? files_read_input(out, &f)
                                   : files_read(AT_FDCWD, path, FILE_MAX, out, &f);
    if (e)
        cli_say("%s", f.words);
    return e ? cli_exit_of(e) : EXIT_DONE;
}

static void print_result(struct bulk *b, struct json r)
{
    struct span job = ask_text(r, "job");
    struct json first = json_at(json_get(r, SPAN("errors")), 0);
    struct span pointer = ask_text(first, "pointer");
    const char *why =
        pointer.n ? ask_shown(&b->ask, first, "detail") : ask_shown(&b->ask, r, "detail");
    bool taken = ask_number(r, "status") < 300;
    if (taken)
        printf("%6lld  %3lld  %s\n", (long long)b->sent + ask_number(r, "index") + 1,
               ask_number(r, "status"), ask_shown(&b->ask, r, job.n ? "job" : "lane"));
    else
        printf("%6lld  %3lld  %s%s%s\n", (long long)b->sent + ask_number(r, "index") + 1,
               ask_number(r, "status"), pointer.n ? ask_shown(&b->ask, first, "pointer") : "",
               pointer.n ? ": " : "", why);
}

/* One part; the key makes it the same part when it is sent again. */
static int send_part(struct bulk *b, struct span lines, size_t count)
{
    struct ask *a = &b->ask;
    struct client_request q = {
        .method = "POST",
        .path = a->c->dry_run ? "/v1/jobs/bulk?dry_run=true" : "/v1/jobs/bulk",
        .body = lines,
        .headers = {"Content-Type: application/x-ndjson",
                    arena_fmt(a->c->arena, "Idempotency-Key: %s-%zu", b->key, b->sent)},
        .timeout_ms = ANSWER_MS,
        .body_max = SERVICE_ANSWER_MAX};
    buf_free(&a->answer.body);
    int code = service_send(&a->service, &q, &a->answer);
    if (code)
        return code;
    if (json_parse(a->parser, buf_span(&a->answer.body), &a->root, NULL))
        return service_not_ours(&a->answer);
    b->accepted += ask_number(a->root, a->c->dry_run ? "count" : "accepted");
    b->refused += ask_number(a->root, "refused");
    if (a->c->json)
        ask_print(a);
    for (struct json_iter i = json_each(json_get(a->root, SPAN("results")));
         !a->c->json && json_next(&i);)
        print_result(b, i.value);
    b->sent += count;
    return EXIT_DONE;
}

/* Takes the next lines out of *rest. */
static struct span next_part(struct span *rest, size_t *out_count)
{
    struct span part = {rest->p, 0}, line;
    *out_count = 0;
    while (*out_count < PART_LINES && part.n < PART_BYTES && span_next(rest, '\n', &line)) {
        part.n = (size_t)(line.p + line.n - part.p);
        *out_count += span_trim(line).n > 0;
    }
    return part;
}

static int send_all(struct bulk *b, struct span rest)
{
    int code = EXIT_DONE;
    while (!code && rest.n) {
        size_t count;
        struct span part = next_part(&rest, &count);
        if (count)
            code = send_part(b, part, count);
    }
    if (code && b->sent && !b->ask.c->dry_run)
        cli_say("%zu orders were sent; the same command with --key %s goes on", b->sent,
                b->key);
    return code;
}

int bulk_run(struct cli *c)
{
    struct bulk b = {0};
    struct buf orders = BUF(FILE_MAX);
    if (c->word_count != 3)
        return cli_usage("jobs",
                         "jobs bulk needs a file with one order a line; - is standard input");
    if (c->key && strlen(c->key) > 64)
        return cli_usage("jobs", "--key may have 64 characters");
    snprintf(b.key, sizeof b.key, "%s", c->key ? c->key : "");
    if (!c->key)
        snprintf(b.key, sizeof b.key, "cli-%016llx%016llx", (unsigned long long)random_u64(),
                 (unsigned long long)random_u64());
    int code = read_orders(c, &orders);
    if (!code)
        code = ask_open(&b.ask, c);
    if (!code) {
        code = send_all(&b, buf_span(&orders));
        ask_close(&b.ask);
    }
    buf_free(&orders);
    if (code)
        return code;
    cli_note(
        c, c->dry_run ? "%lld would be accepted, %lld refused" : "%lld accepted, %lld refused",
        b.accepted, b.refused);
    return !b.refused ? EXIT_DONE : b.accepted ? EXIT_PARTIAL : EXIT_DATA;
}
