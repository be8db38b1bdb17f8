#include "net/resolve.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

#include <ares.h>

#include "base/arena.h"
#include "base/need.h"

enum { SOCKETS_MAX = 64, TRY_MS = 2000, TRIES = 3 };

struct dns_socket {
    struct resolver *resolver;
    int fd;
    struct watch *watch; /* NULL: free place */
};

struct resolver {
    struct loop *loop;
    ares_channel channel;
    struct timer *timer;
    struct dns_socket sockets[SOCKETS_MAX];
    bool closing;
};

struct lookup {
    void (*on_found)(void *ctx, err e, const struct sockaddr_storage *found, size_t count);
    void *ctx;
    struct lookup **owner; /* where the owner keeps us; cleared when we end. NULL: forgotten */
};

static void arm(struct resolver *r)
{
    struct timeval longest = {.tv_sec = 5}, left;
    struct timeval *wait = ares_timeout(r->channel, &longest, &left);
    bool busy = false;
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        busy |= r->sockets[i].watch != NULL;
    if (busy)
        timer_start(r->timer, (int64_t)wait->tv_sec * 1000 + wait->tv_usec / 1000 + 1);
    else
        timer_stop(r->timer);
}

static void on_time(void *ctx)
{
    struct resolver *r = ctx;
    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm(r);
}

static void on_socket(void *ctx, bool readable, bool writable)
{
    struct dns_socket *s = ctx;
    struct resolver *r = s->resolver;
    int fd = s->fd;
    ares_process_fd(r->channel, readable ? fd : ARES_SOCKET_BAD,
                    writable ? fd : ARES_SOCKET_BAD);
    arm(r);
}

/* c-ares tells which of its sockets wants what; neither means it is about to close it. */
static void on_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
    struct resolver *r = ctx;
    struct dns_socket *place = NULL;
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        struct dns_socket *s = &r->sockets[i];
        if (s->watch && s->fd == fd) {
            place = s;
            break;
        }
        if (!s->watch && !place)
            place = s;
    }
    if (!readable && !writable) {
        if (place && place->watch && place->fd == fd)
            watch_close(&place->watch);
        return;
    }
    if (!place || r->closing)
        return; /* the query then ends by its own timeout */
    if (place->watch) {
        watch_set(place->watch, readable, writable);
        return;
    }
    place->resolver = r;
    place->fd = fd;
    if (watch_new(&place->watch, r->loop, fd, readable, writable, on_socket, place, "dns") !=
        E_OK)
        place->watch = NULL;
}

err resolver_new(struct resolver **out, struct loop *l, struct span servers, struct fault *f)
{
    struct resolver *r = heap_new_of(struct resolver);
    r->loop = l;
    char only_dns[] = "b";
    struct ares_options o = {
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
        .timeout = TRY_MS,
        .tries = TRIES,
        .lookups = only_dns,
        .sock_state_cb = on_state,
        .sock_state_cb_data = r,
    };
    int bad = ares_library_init(ARES_LIB_INIT_ALL);
    if (!bad)
        bad = ares_init_options(&r->channel, &o,
                                ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                    ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
    if (bad) {
        free(r);
        return fail(f, E_OS, "the name resolver did not start: %s", ares_strerror(bad));
    }
    char text[512];
    if (servers.n > 0 &&
        ares_set_servers_ports_csv(r->channel, span_copy(servers, text, sizeof text)) !=
            ARES_SUCCESS) {
        ares_destroy(r->channel);
        free(r);
        return fail(f, E_CONFIG, "these are no name servers: \"%.*s\"", SP(servers));
    }
    r->timer = timer_new(l, on_time, r, "dns timer");
    *out = r;
    return E_OK;
}

void resolver_free(struct resolver **at)
{
    struct resolver *r = *at;
    if (!r)
        return;
    *at = NULL;
    r->closing = true;
    ares_destroy(r->channel); /* ends every lookup with ARES_EDESTRUCTION */
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        watch_close(&r->sockets[i].watch);
    timer_close(&r->timer);
    ares_library_cleanup();
    free(r);
}

static err error_of(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return E_OK;
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME:
    case ARES_ENONAME:
        return E_NOT_FOUND;
    case ARES_ETIMEOUT:
        return E_TIMEOUT;
    case ARES_EDESTRUCTION:
    case ARES_ECANCELLED:
        return E_SHUTDOWN;
    default:
        return E_NET;
    }
}

static void on_answer(void *ctx, int status, int timeouts, struct ares_addrinfo *answer)
{
    (void)timeouts;
    struct lookup *look = ctx;
    struct sockaddr_storage found[RESOLVE_MAX] = {0};
    size_t count = 0;
    err e = error_of(status);
    for (struct ares_addrinfo_node *n = answer ? answer->nodes : NULL; n && count < RESOLVE_MAX;
         n = n->ai_next) {
        if ((size_t)n->ai_addrlen <= sizeof found[0])
            memcpy(&found[count++], n->ai_addr, (size_t)n->ai_addrlen);
    }
    if (answer)
        ares_freeaddrinfo(answer);
    if (!e && count == 0)
        e = E_NOT_FOUND;
    struct lookup **owner = look->owner;
    if (owner) {
        *owner = NULL;
        if (e != E_SHUTDOWN)
            look->on_found(look->ctx, e, found, count);
    }
    free(look);
}

void resolver_look(struct resolver *r, const char *name, uint16_t port,
                   void (*on_found)(void *ctx, err e, const struct sockaddr_storage *found,
                                    size_t count),
                   void *ctx, struct lookup **out_lookup)
{
    struct lookup *look = heap_new_of(struct lookup);
    look->on_found = on_found;
    look->ctx = ctx;
    look->owner = out_lookup;
    *out_lookup = look;
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct ares_addrinfo_hints hints = {.ai_flags = ARES_AI_NUMERICSERV | ARES_AI_NOSORT,
                                        .ai_family = AF_UNSPEC,
                                        .ai_socktype = SOCK_STREAM};
    ares_getaddrinfo(r->channel, name, service, &hints, on_answer, look);
    arm(r);
}

void lookup_forget(struct lookup **at)
{
    if (!*at)
        return;
    (*at)->owner = NULL;
    *at = NULL;
}
