/* fetch.h - HTTP without a browser: node's pooled client. Every connection goes through egress.
 *
 * Happy path: egress is given our listener, at the start and whenever it says hello; fetch_start → its turn at the host →
 * connection from the pool, or a new one to the listener, behind which egress is → answer whole and
 * within its limits → on_done.
 *
 * It asks only where the request says it may: `origin` as it is, https on `hosts`, and the same for
 * each of at most five redirects, which wait for their turn as well; from https never back to http.
 * TLS is verified here, so egress carries only sealed bytes. No cookies but those that a request brings, no credentials, no proxy
 * from the environment, no name is resolved here.
 *
 * A request that is dropped before its turn gives that back, unless somebody has the next one already.
 *
 * Failure modes: not allowed by the request or by egress (E_DENIED), its turn is too far off (E_THROTTLED), redirected to where it may not go
 * or too often (E_SHAPE), no connection, cut or bad TLS
 * (E_NET), the whole answer is not there by timeout_ms, however it trickles (E_TIMEOUT), more bytes
 * after decoding than body_max, or more than 64 KiB of head (E_TOO_BIG), egress ends (E_NET). Any
 * status is an answer. */
#pragma once

#include "loop/loop.h"

struct fetcher;
struct fetch; /* a request under way */
struct domain_rules;

enum { FETCH_AT_ONCE = 4 };
struct fetch_config {
    int egress_fd;       /* control socket to egress; borrowed */
    struct span contact; /* URL in the User-Agent: who asks, and where to complain */
    int64_t interval_ms; /* least time between two requests to one origin */
    size_t body_max;
    int64_t host_connections; /* at once to one host; 0: FETCH_AT_ONCE */
    const struct domain_rules
        *domains; /* hosts that are asked more rarely; NULL: none; borrowed */
};
MUST_USE err fetcher_start(struct fetcher **out, struct loop *l,
                           const struct fetch_config *config, struct fault *f);
/* Egress is there, or there again. */
void fetcher_egress_hello(struct fetcher *fr);
void fetcher_free(struct fetcher **fr); /* no callback comes any more */

/* Takes the body piece by piece, as it is sent (no decoding); of a redirect nothing comes. `head`: the
 * lines of the answer's head. False stops: the request ends with E_CANCELLED. The request itself must
 * not be cancelled from within. */
struct fetch_sink {
    bool (*on_bytes)(void *ctx, int status, struct span head, struct span bytes);
    void *ctx;
};

enum { FETCH_HEADERS = 6 };
struct fetch_request {
    struct span url;
    int64_t timeout_ms; /* for the whole answer, from the moment it is its turn */
    int64_t
        turn_most_ms; /* it does not wait longer for its turn: E_THROTTLED; 0: as long as it takes */
    struct span origin;       /* "https://host", "http://127.0.0.1:8471" */
    const struct span *hosts; /* patterns as in egress_config; borrowed until the end */
    size_t host_count;
    bool any_redirect; /* redirects may lead to any host (egress still refuses private ones) */
    /* a 2xx or 4xx answer serves the same URL for so long; 0: it is not kept */
    int64_t keep_ms;
    int64_t interval_ms;           /* 0: as fetch_config says */
    const struct fetch_sink *sink; /* NULL: the body is kept; borrowed until the end */
    /* "Cookie: a=1", sent to `origin` alone, never to where it redirects; copied, wiped */
    struct span cookies;
    const char *headers[FETCH_HEADERS]; /* "Range: bytes=5-", NULL-terminated; copied */
    /* its bytes are posted; p NULL: it is a GET. A redirect is then the answer; copied */
    struct span post;
};
/* Whether it is the URL of an HTTP server: scheme, host, no user. out_sealed: by TLS; may be NULL. */
bool fetch_url_valid(struct span url, bool *out_sealed);

struct fetch_answer {
    err failed; /* E_OK: the rest is there */
    const char *words;
    int status;
    struct span url, headers, body; /* final URL; headers as a JSON object, as sent; borrowed */
    struct span head;               /* the headers as lines */
    int64_t retry_after_ms;         /* what the header of that name says; 0: nothing */
};
/* Value of a header in the lines of a head; empty when it is not there. */
struct span fetch_header(struct span head, struct span name);

/* E_DENIED, E_BAD_INPUT, E_THROTTLED: never starts. on_done comes once, and the request is gone with it. */
MUST_USE err fetch_start(struct fetch **out, struct fetcher *fr, const struct fetch_request *q,
                         void (*on_done)(void *ctx, const struct fetch_answer *a), void *ctx,
                         struct fault *f);
void fetch_cancel(struct fetch **r); /* NULL inside is fine */
/* How long it waits for its turn still; 0: it is under way. */
int64_t fetch_turn_ms(const struct fetch *r);

/* Nothing more goes to the origin of this URL for so long. */
void fetcher_rest(struct fetcher *fr, struct span url, int64_t ms);
/* How long a request to it would wait for its turn. */
int64_t fetcher_turn_ms(const struct fetcher *fr, struct span url);
