/* service.h - the service a verb talks to: a running one, or one of its own for as long as it
 * lasts.
 *
 * An embedded service is this very program as `serve --embedded`, in a process group of its
 * own. It watches the read end of a pipe as descriptor 3: when this process ends in whatever
 * way, it stops. */
#pragma once

#include "cli/inside.h"

#include <sys/types.h>

enum { SERVICE_ANSWER_MAX = 16 * 1024 * 1024 };

struct service {
    struct client *client; /* for one request at a time */
    /* for another one beside it (an event stream is open on the first) */
    struct client *second;
    bool embedded;
    char shown[300]; /* "unix:/…", "http://…" */
    /* of an embedded one */
    pid_t pid;
    int life_fd, log_fd;
    bool ended, was_ready;
    int code; /* when it has died: what to exit with */
};

/* Finds it: --server, else $FULMAR_SERVER, else the local socket of the configuration; when
 * nobody answers at the local socket and `before_embed` is not NULL, asks that one (0 or an
 * exit code) and then starts a service. 0 or an exit code; the words are printed. interrupted:
 * looked at while waiting; may be NULL. */
int service_open(struct service *out, struct cli *c, int (*before_embed)(struct cli *c),
                 bool (*interrupted)(void));
/* An embedded one that has ended by itself: says why, once, and s->code is the exit code that
 * goes with it. False while it runs. */
bool service_died(struct service *s);
/* One request with what is wrong printed: 0 with *out to be freed, or an exit code. */
int service_send(struct service *s, const struct client_request *q, struct client_answer *out);
/* One request; 0 with *out to be freed, or an exit code with everything said. body: JSON; may be empty. */
int service_ask(struct service *s, const char *method, const char *path, struct span body,
                struct client_answer *out);
/* The answer cannot be read: says so, frees it and returns the exit code. */
int service_not_ours(struct client_answer *a);
/* Stops an embedded one and waits for it. */
void service_close(struct service *s);
