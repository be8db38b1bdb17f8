/* http.h - the HTTP server: the only code that knows libmicrohttpd.
 *
 * Happy path: a connection is accepted → its head is whole by header_timeout → checks
 * (ambiguous messages, Host, foreign origins) → on_head, which may answer already → body, at
 * most body_max bytes, whole by request_timeout, or taken as it comes, part by part → on_request → request_answer() now or later,
 * or request_stream(). libmicrohttpd's epoll descriptor is watched by the node's loop; nothing
 * blocks.
 *
 * Failure modes: a trickled head or body is cut (the socket is shut down) at its absolute
 * deadline; a handler that has no answer by request_timeout is answered 504; a client that does
 * not read a stream for request_timeout is cut; too large a body is 413 before it is read; a
 * head above 32 KiB is 431; two Hosts, two Content-Lengths, Content-Length with chunked, NUL
 * bytes or folded lines in the head are 400 and the connection is closed.
 *
 * Everything on the loop's thread. */
#pragma once

#include "base/arena.h"
#include "base/list.h"
#include "base/when.h"
#include "loop/loop.h"

struct http;
struct http_connection;

/* One request, from its whole head until its answer went out or its connection broke. */
struct request {
    struct span method, path; /* path raw, without query */
    struct span body;         /* from on_request on */
    struct span id;      /* request id: the client's X-Request-Id when it is sane, else ours */
    struct arena *arena; /* for this request only; not for what a store operation needs */
    bool secret; /* of whoever answers: the body is wiped with the request; set in on_head */
    bool head;   /* HEAD: answered like GET, without the body */
    const void *route; /* of whoever answers; set in on_head */
    int64_t body_max;  /* of the configuration; may be raised in on_head */
    bool large;        /* of whoever answers: it counts as one with a large body */
    bool picked; /* likewise: the rows of its list have no other members than those asked for */
    /* Of whoever answers, set in on_head: takes of the body what it can, as it comes; 0: nothing before request_more().
     * Minds body_max itself, since it may have done something already. NULL: the body is kept whole. */
    size_t (*take)(struct request *r, struct span bytes);
    int64_t taken; /* bytes of the body, by `take` before this */
    void *owner;   /* of whoever answers: what on_gone has to clean up; NULL = nothing */
    struct http *http;
    /* below: http.c only */
    struct http_connection *connection;
    struct buf received;
    mono begun;
    void *response; /* waits for the server's next turn */
    int status;
    void *stream;
    bool held, seen, answered;
};

struct http_face {
    void (*on_head)(void *ctx, struct request *r);    /* may answer, may set r->route */
    void (*on_request)(void *ctx, struct request *r); /* answer, stream, or request_hold() */
    void (*on_gone)(void *ctx, struct request *r); /* the request ends, answered or not; once */
    void (*on_late)(void *ctx, struct request *r); /* held too long: must answer now */
    void *ctx;
};

struct http_config {
    int listeners[2]; /* TCP, Unix; −1 none; owned from now on, also on failure */
    int64_t body_max, header_timeout_ms, request_timeout_ms, connections_max;
};

MUST_USE err http_start(struct http **out, struct loop *l, const struct http_config *config,
                        const struct http_face *face, struct fault *f);
/* Cuts every connection; on_gone comes for every open request before it returns. */
void http_stop(struct http **h);

/* Fulmar-Mode of every answer from now on; NULL: none. Stays the caller's. */
void http_say_mode(struct http *h, const char *mode);

/* Value of a header, empty when it is not there. Names without regard to case. */
struct span request_header(const struct request *r, const char *name);
/* Value of a query parameter, percent-decoded, in the request's arena; false when not there. */
bool request_query(struct request *r, const char *name, struct span *out_value);
/* "&name=value" as it came, when it is there. */
void request_query_copy(struct request *r, const char *name, struct buf *out);
struct query_pair {
    struct span name, raw, value; /* behind the prefix; as it came; decoded */
};
/* Parameters whose names begin with the prefix, in their order: how many there are, `most` of them in out. */
size_t request_query_all(struct request *r, const char *prefix, struct query_pair *out,
                         size_t most);
/* Name of a query parameter that is not in the NULL-terminated list, or empty; "label.*" in it stands for all that begin so. */
struct span request_query_unknown(struct request *r, const char *const *known);

/* Keeps the request open until request_answer() or request_stream() comes from elsewhere. */
void request_hold(struct request *r);

/* Of a body that is taken as it comes: more of it, which has the time of a whole one. All of it has twenty times that. */
void request_more(struct request *r);

/* Likewise, for so much longer than others: an answer that waits for something to happen. */
enum { HTTP_WAIT_MOST_MS = 60 * 1000, HTTP_HEAD_MAX = 32 * 1024 };
void request_hold_long(struct request *r);

struct answer {
    int status;
    const char *type; /* Content-Type */
    struct span body; /* copied */
    /* name, value, name, value, …, NULL; copied. Unless one of them says otherwise, no
     * answer may be stored (Cache-Control) */
    const char *headers[16];
    bool closes; /* the connection ends after it */
};
/* Of 304 the body (or file) is that of the answer that the client has: only its length is told, as RFC 9110 §8.6 wants it. */
/* Exactly once per request, or request_stream(). */
void request_answer(struct request *r, const struct answer *answer);

/* A part of a file as the body, piece by piece: never whole in memory. Owns the descriptor. A file that
 * is shorter than that breaks the connection. */
void request_answer_file(struct request *r, const struct answer *head, int fd, int64_t from,
                         int64_t count);

/* A body of unknown length. on_pull asks for more, at once or later: exactly one stream_feed(),
 * stream_end() or stream_fail() answers it, but stream_feed() may also come without being
 * asked. */
struct stream_face {
    void (*on_pull)(void *ctx, struct request *r);
    void *ctx;
};
void request_stream(struct request *r, const struct answer *head,
                    const struct stream_face *face);
void stream_feed(struct request *r, struct span bytes);
void stream_end(struct request *r);  /* the body is whole */
void stream_fail(struct request *r); /* the connection breaks, so that the client can tell */
/* Nothing is waiting to be sent: the client has taken all that was fed. */
bool stream_drained(const struct request *r);
