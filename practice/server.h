/* server.h - the practice site on a socket.
 *
 * A few threads with epoll serve everything; a request that must wait holds no thread. */
#pragma once

#include "faults.h"
#include "model.h"

struct server;

struct server_options {
    const char *host; /* numeric address */
    uint16_t port;    /* 0: any free one */
    struct model model;
    int64_t rate_limit; /* calls per operation and client; 0: no limit */
    int64_t rate_window_s;
    unsigned threads;
    struct faults faults; /* in force from the start */
};

/* E_BAD_INPUT: the host is no address. E_CONFLICT: the port is in use. E_DENIED, E_OS. */
MUST_USE err server_open(const struct server_options *options, struct server **out_server,
                         struct fault *f);
uint16_t server_port(const struct server *s);
/* Ends within moments, whatever is being waited for. */
void server_close(struct server **s);
