/* proxyhead.h - the head of a request to the proxy, and how long its body is. Pure.
 *
 * Strict, because what is ambiguous here becomes a smuggled request behind us: CRLF line ends,
 * no folded lines, no space before the colon, at most one Content-Length and never beside
 * Transfer-Encoding, no user name in the URL. */
#pragma once

#include "base/span.h"

enum { PROXYHEAD_MAX = 16 * 1024 };

enum proxyhead_body { BODY_NONE, BODY_LENGTH, BODY_CHUNKED };

struct proxyhead {
    bool tunnel;           /* CONNECT */
    struct span method;    /* spans borrow from the bytes read */
    struct span authority; /* "x.com:443" as asked */
    struct span host;      /* without the port */
    uint16_t port;
    struct span path;   /* "/a?b"; "/" at least */
    struct span fields; /* header lines with their line ends */
    size_t size;        /* bytes of the head */
    enum proxyhead_body body;
    uint64_t length; /* BODY_LENGTH */
};
/* E_BUSY: the head is not whole yet. E_TOO_BIG, E_BAD_SYNTAX with *out_why in words. */
MUST_USE err proxyhead_read(struct span bytes, struct proxyhead *out, const char **out_why);
/* The same request in origin form: own Host, Connection: close, no hop-by-hop fields. */
void proxyhead_add_origin(struct buf *out, const struct proxyhead *h);

/* Finds the end of a body. */
struct proxybody {
    enum proxyhead_body kind;
    uint64_t left; /* of the body, or of the chunk */
    int state;
    bool done, broken;
    unsigned digits;
};
struct proxybody proxybody_of(const struct proxyhead *h);
/* How many of these bytes belong to the body. Sets done at its end, broken on bad chunks. */
size_t proxybody_take(struct proxybody *b, struct span bytes);
