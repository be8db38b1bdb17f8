/* client.h - a blocking HTTP client for the command line.
 *
 * Speaks to one server, over a Unix socket or TCP, one request at a time, connections reused.
 * No redirects, no proxy from the environment. While it waits it calls on_tick about ten times
 * a second, so that a line of progress lives and Ctrl-C is heard. */
#pragma once

#include "base/span.h"

struct client;

/* server: "unix:/path", "http://host:port" or "https://host". E_BAD_INPUT for anything else. */
MUST_USE err client_open(struct client **out, struct span server, struct fault *f);
void client_close(struct client **c);

enum { CLIENT_HEADERS = 20 };

struct client_request {
    const char *method; /* "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" */
    const char *path;   /* "/v1/jobs?limit=5" */
    struct span body; /* JSON, unless headers[0] is another Content-Type; sent when not empty */
    const char *headers[CLIENT_HEADERS]; /* "Name: value", NULL-terminated */
    int64_t timeout_ms; /* the whole answer has come by then; 0 = a stream without an end */
    int64_t stall_ms;   /* no byte for this long ends it (E_TIMEOUT); 0 = never */
    size_t body_max;    /* of the answer, when it is kept */
    /* A 2xx answer is handed over piece by piece and not kept; false stops (E_CANCELLED). NULL:
     * kept. */
    bool (*on_bytes)(void *ctx, struct span bytes);
    bool (*on_tick)(void *ctx); /* false stops (E_CANCELLED); may be NULL */
    void *ctx;
};

struct client_answer {
    int status;
    struct buf body; /* the whole answer, or of an error; owned by the caller: buf_free() */
    int64_t retry_after_s; /* 0 = not said */
    int64_t next_after;    /* Next-After header; -1 = not said */
    char etag[160];        /* with its quotes; empty = not said */
};

/* One request and what became of it. */
struct client_exchange {
    const struct client_request *request;
    const struct client_answer *answer; /* without what on_bytes took */
    err result;
    int64_t took_ms;
};
/* Called after each, until another one is given; NULL: nobody. */
void client_watch(struct client *c,
                  void (*on_exchange)(void *ctx, const struct client_exchange *x), void *ctx);

/* E_NET: nobody answers there (words say who). E_TIMEOUT. E_PROTOCOL: not HTTP, or cut in the
 * middle. Any status is E_OK. *out is always safe to buf_free(). */
MUST_USE err client_send(struct client *c, const struct client_request *q,
                         struct client_answer *out, struct fault *f);
