/* asked.h - a real API over a real store (service.h), asked as a client asks: what is wanted of an answer is said by
 * its members. Include it once, in the program's only file. */
#pragma once

#include "service.h"

#include "base/json.h"
#include "net/client.h"

enum { ANSWER_MS = 20 * 1000, ANSWER_BYTES = 1 << 20 };

static struct client *client;
static const char *if_match; /* "If-Match: …" of the next requests; NULL: none */

struct answer_of {
    int status;
    struct buf body;
    int64_t retry_after_s;
};

static struct answer_of ask(const char *method, const char *path, const char *body)
{
    struct client_answer a;
    struct fault f = {0};
    struct client_request q = {.method = method,
                               .path = path,
                               .body = span_of(body),
                               .headers = {if_match},
                               .timeout_ms = ANSWER_MS,
                               .body_max = ANSWER_BYTES};
    if (client_send(client, &q, &a, &f))
        fail_msg("%s %s: %s", method, path, f.words);
    return (struct answer_of){a.status, a.body, a.retry_after_s};
}

static bool contains(const struct buf *b, const char *what)
{
    return span_find(buf_span(b), span_of(what)) < b->n;
}

/* A member as text, by dotted path. */
static void member(const struct buf *body, const char *path, char out[512])
{
    struct json_parser *p = json_parser_new(ANSWER_BYTES);
    struct json root;
    struct buf raw = BUF(65536);
    struct span text;
    if (json_parse(p, buf_span(body), &root, NULL))
        fail_msg("not JSON: %.*s", SP(buf_span(body)));
    struct json v = json_path(root, path);
    if (json_text(v, &text)) {
        span_copy(text, out, 512);
    } else {
        json_add_raw(&raw, v);
        span_copy(buf_span(&raw), out, 512);
    }
    buf_free(&raw);
    json_parser_free(&p);
}

/* A request with this status, whose answer has these members: path, value, …, NULL. */
static void expect(const char *method, const char *path, const char *body, int status,
                   const char *const *wanted)
{
    struct answer_of a = ask(method, path, body);
    char text[512];
    if (a.status != status)
        fail_msg("%s %s %s: wanted %d, got %d: %.*s", method, path, body, status, a.status,
                 SP(buf_span(&a.body)));
    for (; wanted && wanted[0]; wanted += 2) {
        member(&a.body, wanted[0], text);
        if (strcmp(text, wanted[1]) != 0)
            fail_msg("%s %s: %s is %s, not %s: %.*s", method, path, wanted[0], text, wanted[1],
                     SP(buf_span(&a.body)));
    }
    buf_free(&a.body);
}
#define EXPECT(method, path, body, status, ...)                                                \
    expect(method, path, body, status, (const char *const[]){__VA_ARGS__, NULL})

/* A refusal that says these words about this member. */
static void refused(const char *method, const char *path, const char *body, int status,
                    const char *pointer, const char *words)
{
    struct answer_of a = ask(method, path, body);
    char where[128];
    snprintf(where, sizeof where, "\"pointer\":\"%s\"", pointer);
    if (a.status != status || (*pointer && !contains(&a.body, where)) ||
        !contains(&a.body, words))
        fail_msg("%s %s %s: wanted %d, %s, %s; got %d: %.*s", method, path, body, status,
                 pointer, words, a.status, SP(buf_span(&a.body)));
    buf_free(&a.body);
}

static int asked_start(void **state)
{
    struct fault f = {0};
    char address[64];
    if (group_start(state))
        return 1;
    snprintf(address, sizeof address, "http://127.0.0.1:%d", server.port);
    return client_open(&client, span_of(address), &f) != E_OK;
}

static int asked_stop(void **state)
{
    client_close(&client);
    return group_stop(state);
}
