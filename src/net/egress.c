#include "net/egress.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/log.h"
#include "base/need.h"
#include "net/address.h"
#include "net/proxyhead.h"
#include "net/resolve.h"
#include "os/faults.h"
#include "os/files.h"
#include "os/sandbox.h"

enum {
    CONNS_MAX = 512,
    DOORS_MAX = 64,
    FLOW_SIZE = 64 * 1024,
    ACCEPTS_PER_TURN = 32,
    MOVES_PER_TURN = 8,
    HEAD_TIMEOUT_MS = 10000,
    LINGER_MS = 2000,
    RETRY_ACCEPT_MS = 100,
    OWN_MAX = 64,
    NAME_MAX_SIZE = 254,
};
#define HOSTS_HEAD "hosts "

struct egress {
    struct loop *loop;
    const struct egress_config *config;
    struct resolver *resolver;
    int control_fd;
    struct watch *control;
    struct list doors, conns;
    size_t door_count, conn_count;
    struct timer *retry; /* after "too many open files" */
    struct timer *beat;
    bool paused;
    struct buf hosts;                     /* told by node, separated by spaces */
    struct sockaddr_storage own[OWN_MAX]; /* addresses of this machine */
    size_t own_count;
};

/* A listening socket in a browser's network, or node's own, with the pipe that says the browser still lives.
 */
struct door {
    struct list node;
    struct egress *egress;
    int fd, life_fd;
    bool own; /* node's: any public host */
    struct watch *watch, *life;
};

/* Bytes on their way in one direction. */
struct flow {
    char *bytes;
    size_t start, end;
    bool eof;  /* nothing more will come in */
    bool shut; /* and that was passed on */
};

enum conn_state { CONN_HEAD, CONN_RESOLVE, CONN_CONNECT, CONN_RELAY, CONN_REPLY };

struct conn {
    struct list node;
    struct egress *egress;
    struct door *door;
    enum conn_state state;
    int down_fd, up_fd; /* the browser's side, the world's side */
    struct watch *down, *up;
    struct timer *timer;
    mono deadline, armed;  /* armed: when the timer will fire */
    struct flow out, in;   /* down → up, up → down */
    bool tunnel, answered; /* answered: a byte came from above */
    struct proxybody body;
    struct buf forward; /* the rewritten head, until a connection is there */
    bool trusted;       /* the config names this host and port */
    char host[NAME_MAX_SIZE];
    uint16_t port;
    struct lookup *lookup;
    struct sockaddr_storage found[RESOLVE_MAX];
    size_t found_count, found_at;
};

static void conn_close(struct conn *c);
static void conn_move(struct conn *c);
static void conn_connect_next(struct conn *c);
static void doors_apply(struct egress *g);

/* ---- flows ---- */

static size_t flow_held(const struct flow *f)
{
    return f->end - f->start;
}

static size_t flow_room(struct flow *f)
{
    if (f->start == f->end)
        f->start = f->end = 0;
    if (f->end == FLOW_SIZE && f->start > 0) {
        memmove(f->bytes, f->bytes + f->start, flow_held(f));
        f->end -= f->start;
        f->start = 0;
    }
    return FLOW_SIZE - f->end;
}

/* For texts of ours, which always fit: the flow is empty then. */
static void flow_put(struct flow *f, struct span s)
{
    need(flow_room(f) >= s.n);
    memcpy(f->bytes + f->end, s.p, s.n);
    f->end += s.n;
}

enum moved { MOVED_NOTHING, MOVED_SOME, MOVED_BROKEN };

static enum moved flow_read(struct flow *f, int fd, size_t max, struct span *out_new)
{
    size_t room = flow_room(f);
    if (room > max)
        room = max;
    *out_new = SPAN_NONE;
    if (room == 0 || f->eof)
        return MOVED_NOTHING;
    ssize_t got = recv(fd, f->bytes + f->end, room, 0);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? MOVED_NOTHING : MOVED_BROKEN;
    if (got == 0) {
        f->eof = true;
        return MOVED_SOME;
    }
    *out_new = (struct span){f->bytes + f->end, (size_t)got};
    f->end += (size_t)got;
    return MOVED_SOME;
}

static enum moved flow_write(struct flow *f, int fd)
{
    if (flow_held(f) == 0)
        return MOVED_NOTHING;
    ssize_t put = send(fd, f->bytes + f->start, flow_held(f), MSG_NOSIGNAL);
    if (put < 0)
        return errno == EAGAIN || errno == EINTR ? MOVED_NOTHING : MOVED_BROKEN;
    f->start += (size_t)put;
    return MOVED_SOME;
}

/* ---- answers of our own ---- */

static void conn_until(struct conn *c, int64_t ms)
{
    c->deadline = mono_add(loop_now(c->egress->loop), ms);
    /* A later deadline is noticed when the timer fires; only an earlier one must move it. */
    if (timer_on(c->timer) && c->armed.ms <= c->deadline.ms)
        return;
    c->armed = c->deadline;
    timer_start(c->timer, ms);
}

static void drop_up(struct conn *c)
{
    lookup_forget(&c->lookup);
    watch_close(&c->up);
    if (c->up_fd >= 0)
        close(c->up_fd);
    c->up_fd = -1;
}

static const char *status_text(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 408:
        return "Request Timeout";
    case 431:
        return "Request Header Fields Too Large";
    case 502:
        return "Bad Gateway";
    default:
        return "Gateway Timeout";
    }
}

static void conn_reply_page(struct conn *c, int status, const char *reason, const char *type,
                            const char *page)
{
    drop_up(c);
    c->in.start = c->in.end = 0;
    struct buf text = BUF(8 * 1024);
    buf_fmt(&text,
            "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: "
            "no-store\r\nConnection: close\r\n",
            status, status_text(status), type, strlen(page));
    if (reason)
        buf_fmt(&text, "Fulmar-Reason: %s\r\n", reason);
    buf_fmt(&text, "\r\n%s", page);
    flow_put(&c->in, buf_span(&text));
    buf_free(&text);
    c->in.eof = true;
    c->state = CONN_REPLY;
    conn_until(c, LINGER_MS);
    conn_move(c);
}

static void conn_reply(struct conn *c, int status, const char *reason, const char *words)
{
    log_info("egress.refused", F_C("host", c->host), F_N("port", c->port),
             F_N("status", status), F_C("reason", reason));
    char page[400];
    snprintf(page, sizeof page, "egress: %s\n", words);
    conn_reply_page(c, status, reason, "text/plain", page);
}

static void conn_denied(struct conn *c, const char *reason, const char *words)
{
    conn_reply(c, 403, reason, words);
}

/* ---- policy ---- */

static bool same_host(struct span a, struct span b)
{
    struct sockaddr_storage one, two;
    socklen_t one_size, two_size;
    if (address_numeric(a, 1, &one, &one_size) && address_numeric(b, 1, &two, &two_size))
        return one_size == two_size && memcmp(&one, &two, one_size) == 0;
    return address_host_matches(a, b);
}

static bool in_allow(const struct egress_config *config, struct span host, uint16_t port)
{
    for (size_t i = 0; i < config->allow_count; i++) {
        struct span allowed;
        uint16_t allowed_port;
        if (address_split(config->allow[i], 0, &allowed, &allowed_port) &&
            allowed_port == port && same_host(host, allowed))
            return true;
    }
    return false;
}

static bool port_allowed(const struct egress_config *config, uint16_t port)
{
    if (config->port_count == 0)
        return port == 80 || port == 443;
    for (size_t i = 0; i < config->port_count; i++) {
        if (config->ports[i] == port)
            return true;
    }
    return false;
}

static bool host_allowed(const struct egress *g, struct span host)
{
    const struct egress_config *config = g->config;
    struct span rest = buf_span(&g->hosts), name;
    while (span_next(&rest, ' ', &name))
        if (address_host_matches(host, name))
            return true;
    if (config->host_count == 0)
        return !config->hosts_told;
    for (size_t i = 0; i < config->host_count; i++) {
        if (address_host_matches(host, config->hosts[i]))
            return true;
    }
    return false;
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET)
        return memcmp(&((const struct sockaddr_in *)a)->sin_addr,
                      &((const struct sockaddr_in *)b)->sin_addr, 4) == 0;
    return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)b)->sin6_addr, 16) == 0;
}

static bool may_reach(const struct conn *c, const struct sockaddr_storage *a)
{
    if (c->trusted)
        return true;
    if (!address_public((const struct sockaddr *)a))
        return false;
    /* This machine's own address in its IPv6 dress is still its own. */
    struct sockaddr_storage plain = *a;
    address_unmap(&plain);
    for (size_t i = 0; i < c->egress->own_count; i++) {
        if (same_address(&plain, &c->egress->own[i]))
            return false;
    }
    return true;
}

/* A name that DNS could know; the last label of one is never a number. */
static bool is_name(struct span host)
{
    if (host.n == 0 || host.n >= NAME_MAX_SIZE)
        return false;
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        bool fine = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
                    c == '-' || c == '_' || c == '.';
        if (!fine)
            return false;
    }
    if (host.p[host.n - 1] == '.')
        host.n--;
    size_t from = host.n;
    while (from > 0 && host.p[from - 1] != '.')
        from--;
    struct span last = span_cut(host, from, SIZE_MAX);
    for (size_t i = 0; i < last.n; i++) {
        if ((last.p[i] | 0x20) >= 'a' && (last.p[i] | 0x20) <= 'z')
            return true;
    }
    return false;
}

static void note_own_addresses(struct egress *g)
{
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) != 0)
        return;
    for (struct ifaddrs *i = all; i && g->own_count < OWN_MAX; i = i->ifa_next) {
        if (!i->ifa_addr)
            continue;
        size_t size = 0;
        if (i->ifa_addr->sa_family == AF_INET)
            size = sizeof(struct sockaddr_in);
        else if (i->ifa_addr->sa_family == AF_INET6)
            size = sizeof(struct sockaddr_in6);
        if (size > 0)
            memcpy(&g->own[g->own_count++], i->ifa_addr, size);
    }
    freeifaddrs(all);
}

/* ---- connecting ---- */

static void conn_relay(struct conn *c)
{
    c->state = CONN_RELAY;
    if (c->tunnel) {
        flow_put(&c->in, SPAN("HTTP/1.1 200 Connection established\r\n\r\n"));
        c->answered = true;
    } else {
        /* What is left in the flow is the start of the body; the head goes before it. */
        struct flow whole = {.bytes = heap_get(FLOW_SIZE)};
        flow_put(&whole, buf_span(&c->forward));
        flow_put(&whole, (struct span){c->out.bytes + c->out.start, flow_held(&c->out)});
        whole.eof = c->out.eof;
        free(c->out.bytes);
        c->out = whole;
        buf_free(&c->forward);
    }
    conn_until(c, c->egress->config->idle_timeout_ms);
    conn_move(c);
}

static void on_up(void *ctx, bool readable, bool writable)
{
    struct conn *c = ctx;
    (void)readable;
    if (c->state != CONN_CONNECT) {
        conn_move(c);
        return;
    }
    if (!writable)
        return;
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(c->up_fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    if (error)
        conn_connect_next(c);
    else
        conn_relay(c);
}

static bool connect_one(struct conn *c, const struct sockaddr_storage *a)
{
    socklen_t size =
        a->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    drop_up(c);
    c->up_fd = socket(a->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (c->up_fd < 0)
        return false;
    int one = 1;
    setsockopt(c->up_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->up_fd, (const struct sockaddr *)a, size) != 0 && errno != EINPROGRESS)
        return false;
    return watch_new(&c->up, c->egress->loop, c->up_fd, false, true, on_up, c, "egress up") ==
           E_OK;
}

/* One address after the other within the same deadline; an address without a route fails at
 * once. */
static void conn_connect_next(struct conn *c)
{
    c->state = CONN_CONNECT;
    while (c->found_at < c->found_count) {
        if (connect_one(c, &c->found[c->found_at++]))
            return;
    }
    conn_reply(c, 502, "connect-failed", "the host refused the connection");
}

static void conn_check_and_connect(struct conn *c)
{
    for (size_t i = 0; i < c->found_count; i++) {
        /* All must be fine: a name with one private address is an attack, not an accident. */
        if (!may_reach(c, &c->found[i])) {
            conn_denied(c, "private-address", "the host has an address that is not public");
            return;
        }
    }
    conn_connect_next(c);
}

static void on_found(void *ctx, err e, const struct sockaddr_storage *found, size_t count)
{
    struct conn *c = ctx;
    if (e == E_NOT_FOUND) {
        conn_reply(c, 502, "no-such-name", "the host name does not exist");
        return;
    }
    if (e) {
        conn_reply(c, e == E_TIMEOUT ? 504 : 502, e == E_TIMEOUT ? "timeout" : "no-such-name",
                   "the host name was not resolved");
        return;
    }
    memcpy(c->found, found, count * sizeof *found);
    c->found_count = count;
    conn_check_and_connect(c);
}

static const char PROBE_PAGE[] =
    "<!doctype html><title>fulmar probe</title><p>The way out works.</p>\n";

static bool is_probe(const struct proxyhead *h)
{
    return !h->tunnel && h->port == 80 && span_eq_nocase(h->host, SPAN("fulmar.internal")) &&
           span_is(h->path, "/probe");
}

static void conn_request(struct conn *c, const struct proxyhead *h)
{
    const struct egress_config *config = c->egress->config;
    socklen_t size;
    c->tunnel = h->tunnel;
    c->port = h->port;
    span_copy(h->host, c->host, sizeof c->host);
    struct span host = h->host;
    /* RFC 6761: these names mean loopback and are never asked of a name server. */
    bool loopback = address_host_matches(host, SPAN("localhost")) ||
                    address_host_matches(host, SPAN("*.localhost"));
    bool numeric =
        address_numeric(loopback ? SPAN("127.0.0.1") : host, h->port, &c->found[0], &size);
    if (is_probe(h)) {
        conn_reply_page(c, 200, NULL, "text/html", PROBE_PAGE);
        return;
    }
    if (!numeric && !is_name(host)) {
        conn_reply(c, 400, "bad-request", "this is no host name");
        return;
    }
    c->trusted = in_allow(config, host, h->port);
    if (!c->trusted && config->only)
        conn_denied(c, "not-allowed", "only hosts on the allow list are reachable");
    else if (!c->trusted && !c->door->own && !host_allowed(c->egress, host))
        conn_denied(c, "host", "the host is not on the list of hosts");
    else if (!c->trusted && !port_allowed(config, h->port))
        conn_denied(c, "port", "the port is not allowed");
    else {
        conn_until(c, config->connect_timeout_ms);
        c->found_count = numeric ? 1 : 0;
        if (numeric) {
            conn_check_and_connect(c);
        } else {
            c->state = CONN_RESOLVE;
            resolver_look(c->egress->resolver, c->host, c->port, on_found, c, &c->lookup);
        }
    }
}

/* ---- moving bytes ---- */

static void conn_head(struct conn *c)
{
    struct span added;
    /* Never more than a head: its rewritten form must fit into the flow with what came behind
     * it. */
    enum moved m = flow_read(&c->out, c->down_fd, PROXYHEAD_MAX - flow_held(&c->out), &added);
    if (m == MOVED_BROKEN || (c->out.eof && flow_held(&c->out) == 0)) {
        conn_close(c);
        return;
    }
    struct proxyhead h;
    const char *why;
    err e = proxyhead_read((struct span){c->out.bytes + c->out.start, flow_held(&c->out)}, &h,
                           &why);
    if (e == E_BUSY && !c->out.eof)
        return;
    if (e) {
        conn_reply(c, e == E_TOO_BIG ? 431 : 400, "bad-request",
                   e == E_BUSY ? "the request ended in its head" : why);
        return;
    }
    c->forward = BUF(PROXYHEAD_MAX * 2);
    if (!h.tunnel)
        proxyhead_add_origin(&c->forward, &h);
    c->body = proxybody_of(&h);
    c->out.start += h.size;
    if (!h.tunnel) {
        size_t held = flow_held(&c->out);
        size_t take =
            proxybody_take(&c->body, (struct span){c->out.bytes + c->out.start, held});
        c->out.end = c->out.start + take;
    }
    conn_request(c, &h);
}

static bool fail_from_above(struct conn *c)
{
    if (c->answered)
        return false;
    conn_reply(c, 502, "no-answer", "the host closed the connection without an answer");
    return true;
}

/* Down to up. A plain request has one body; what follows it is read and forgotten, so that a
 * reused connection can never carry a request for another host to this one. */
static enum moved move_out(struct conn *c)
{
    struct span added;
    enum moved m = flow_read(&c->out, c->down_fd, FLOW_SIZE, &added);
    if (m == MOVED_BROKEN)
        return m;
    if (!c->tunnel && added.n > 0) {
        size_t take = proxybody_take(&c->body, added);
        c->out.end -= added.n - take;
        if (c->body.broken)
            return MOVED_BROKEN;
    }
    enum moved w = flow_write(&c->out, c->up_fd);
    if (w == MOVED_BROKEN) {
        /* The host may have answered early and closed: its answer still counts. */
        c->out.start = c->out.end;
        c->out.eof = c->out.shut = true;
        return MOVED_SOME;
    }
    if (c->tunnel && c->out.eof && !c->out.shut && flow_held(&c->out) == 0) {
        shutdown(c->up_fd, SHUT_WR);
        c->out.shut = true;
    }
    return m == MOVED_SOME || w == MOVED_SOME ? MOVED_SOME : MOVED_NOTHING;
}

/* Up to down. */
static enum moved move_in(struct conn *c, bool *out_replied)
{
    struct span added;
    enum moved m =
        c->up_fd >= 0 ? flow_read(&c->in, c->up_fd, FLOW_SIZE, &added) : MOVED_NOTHING;
    if (m == MOVED_SOME && !c->in.eof)
        c->answered = true;
    if (m == MOVED_BROKEN || (m == MOVED_SOME && c->in.eof)) {
        *out_replied = fail_from_above(c);
        if (*out_replied)
            return MOVED_SOME;
    }
    if (m == MOVED_BROKEN)
        c->in.eof = true;
    enum moved w = flow_write(&c->in, c->down_fd);
    if (w == MOVED_BROKEN)
        return w;
    if (c->in.eof && !c->in.shut && flow_held(&c->in) == 0) {
        shutdown(c->down_fd, SHUT_WR);
        c->in.shut = true;
    }
    return m != MOVED_NOTHING || w == MOVED_SOME ? MOVED_SOME : MOVED_NOTHING;
}

static void conn_interest(struct conn *c)
{
    bool reading_down = !c->out.eof && flow_room(&c->out) > 0;
    watch_set(c->down, reading_down, flow_held(&c->in) > 0);
    if (c->up)
        watch_set(c->up, !c->in.eof && flow_room(&c->in) > 0, flow_held(&c->out) > 0);
}

static void conn_relay_move(struct conn *c)
{
    bool progress = false;
    fault_point("egress.relay");
    for (int i = 0; i < MOVES_PER_TURN; i++) {
        bool replied = false;
        enum moved in = move_in(c, &replied);
        if (replied)
            return;
        enum moved out = in == MOVED_BROKEN ? in : move_out(c);
        if (in == MOVED_BROKEN || out == MOVED_BROKEN || (c->in.shut && !c->tunnel)) {
            conn_close(c);
            return;
        }
        if (c->in
                .shut) { /* no more will come: the site is let go of, the client sees the end */
            drop_up(c);
            c->state = CONN_REPLY;
            conn_until(c, LINGER_MS);
            conn_move(c);
            return;
        }
        if (in == MOVED_NOTHING && out == MOVED_NOTHING)
            break;
        progress = true;
    }
    if (progress)
        conn_until(c, c->egress->config->idle_timeout_ms);
    conn_interest(c);
}

/* Our own answer: write it, close our side, then wait for theirs so that no reset eats the
 * answer. */
static void conn_reply_move(struct conn *c)
{
    char nowhere[4096];
    if (flow_write(&c->in, c->down_fd) == MOVED_BROKEN) {
        conn_close(c);
        return;
    }
    if (flow_held(&c->in) == 0 && !c->in.shut) {
        shutdown(c->down_fd, SHUT_WR);
        c->in.shut = true;
    }
    ssize_t got = recv(c->down_fd, nowhere, sizeof nowhere, 0);
    if (c->in.shut && (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))) {
        conn_close(c);
        return;
    }
    watch_set(c->down, got != 0, flow_held(&c->in) > 0);
}

static void conn_move(struct conn *c)
{
    switch (c->state) {
    case CONN_HEAD:
        conn_head(c);
        break;
    case CONN_RELAY:
        conn_relay_move(c);
        break;
    case CONN_REPLY:
        conn_reply_move(c);
        break;
    case CONN_RESOLVE:
    case CONN_CONNECT:
        break;
    }
}

static void on_down(void *ctx, bool readable, bool writable)
{
    (void)writable;
    struct conn *c = ctx;
    if (c->state != CONN_RESOLVE && c->state != CONN_CONNECT) {
        conn_move(c);
        return;
    }
    /* Nothing can be done yet; but a browser that gave up frees the place. */
    char peek;
    ssize_t got = readable ? recv(c->down_fd, &peek, 1, MSG_PEEK) : 1;
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        conn_close(c);
    else
        watch_set(c->down, false, false);
}

static void on_deadline(void *ctx)
{
    struct conn *c = ctx;
    int64_t left = mono_left(c->deadline, loop_now(c->egress->loop));
    if (left > 0) {
        c->armed = c->deadline;
        timer_start(c->timer, left);
        return;
    }
    if (c->state == CONN_RESOLVE || c->state == CONN_CONNECT)
        conn_reply(c, 504, "timeout", "the host was not reached in time");
    else if (c->state == CONN_RELAY && !c->answered)
        conn_reply(c, 504, "timeout", "the host did not answer in time");
    else if (c->state == CONN_HEAD && flow_held(&c->out) > 0)
        conn_reply(c, 408, "bad-request", "the request head did not come in time");
    else
        conn_close(c);
}

/* ---- connections and doors ---- */

static void conn_close(struct conn *c)
{
    struct egress *g = c->egress;
    drop_up(c);
    watch_close(&c->down);
    close(c->down_fd);
    timer_close(&c->timer);
    buf_free(&c->forward);
    free(c->out.bytes);
    free(c->in.bytes);
    list_remove(&c->node);
    free(c);
    g->conn_count--;
    if (g->paused) {
        g->paused = false;
        doors_apply(g);
    }
}

static bool conn_open(struct door *d, int fd)
{
    struct egress *g = d->egress;
    struct conn *c = heap_new_of(struct conn);
    c->egress = g;
    c->door = d;
    c->down_fd = fd;
    c->up_fd = -1;
    if (watch_new(&c->down, g->loop, fd, true, false, on_down, c, "egress down") != E_OK) {
        free(c);
        close(fd);
        return false;
    }
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->out.bytes = heap_get(FLOW_SIZE);
    c->in.bytes = heap_get(FLOW_SIZE);
    c->timer = timer_new(g->loop, on_deadline, c, "egress deadline");
    list_add(&g->conns, &c->node);
    g->conn_count++;
    conn_until(c, HEAD_TIMEOUT_MS);
    return true;
}

/* The name of node's own listener can be seen by everybody on this machine: whoever connects to it
 * has to be of our own user. Closes what is not. */
static bool may_enter(const struct door *d, int fd)
{
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    if (!d->own ||
        (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == getuid()))
        return true;
    log_warn("egress.stranger", F_N("uid", peer.uid), F_N("pid", peer.pid));
    close(fd);
    return false;
}

static void on_door(void *ctx, bool readable, bool writable)
{
    (void)readable;
    (void)writable;
    struct door *d = ctx;
    struct egress *g = d->egress;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        if (g->conn_count >= CONNS_MAX) {
            g->paused = true;
            doors_apply(g);
            return;
        }
        int fd = accept4(d->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            if (may_enter(d, fd))
                conn_open(d, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_warn("egress.no_descriptors", F_N("connections", g->conn_count));
            g->paused = true;
            doors_apply(g);
            timer_start(g->retry, RETRY_ACCEPT_MS);
        }
        return;
    }
}

static void on_retry(void *ctx)
{
    struct egress *g = ctx;
    g->paused = false;
    doors_apply(g);
}

static void doors_apply(struct egress *g)
{
    list_each(&g->doors, at, after)
        watch_set(LIST_OF(at, struct door, node)->watch, !g->paused, false);
}

static void door_close(struct door *d)
{
    struct egress *g = d->egress;
    list_each(&g->conns, at, after)
    {
        struct conn *c = LIST_OF(at, struct conn, node);
        if (c->door == d)
            conn_close(c);
    }
    watch_close(&d->watch);
    watch_close(&d->life);
    close(d->fd);
    close(d->life_fd);
    list_remove(&d->node);
    g->door_count--;
    free(d);
}

static void on_life(void *ctx, bool readable, bool writable)
{
    (void)readable;
    (void)writable;
    struct door *d = ctx;
    char byte;
    ssize_t got = read(d->life_fd, &byte, 1);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        door_close(d);
}

static err door_open(struct egress *g, int fd, int life_fd, bool own)
{
    if (g->door_count >= DOORS_MAX)
        return E_TOO_BIG;
    struct door *d = heap_new_of(struct door);
    d->egress = g;
    d->fd = fd;
    d->life_fd = life_fd;
    d->own = own;
    err e = watch_new(&d->watch, g->loop, fd, !g->paused, false, on_door, d, "egress door");
    if (!e)
        e = watch_new(&d->life, g->loop, life_fd, true, false, on_life, d, "egress life");
    if (e) {
        watch_close(&d->watch);
        free(d);
        return e;
    }
    list_add(&g->doors, &d->node);
    g->door_count++;
    return E_OK;
}

static bool message_taken(struct egress *g, struct span message, const int *fds, size_t count)
{
    bool own = span_is(message, "own listener");
    if (count != 2 || !(own || span_is(message, "listener")))
        return false;
    return door_open(g, fds[0], fds[1], own) == E_OK;
}

static bool hosts_taken(struct egress *g, struct span message, size_t fds)
{
    struct span head = SPAN(HOSTS_HEAD);
    if (fds || !g->config->hosts_told || !span_starts(message, head))
        return false;
    buf_clear(&g->hosts);
    buf_add(&g->hosts, span_cut(message, head.n, message.n));
    return true;
}

static void on_control(void *ctx, bool readable, bool writable)
{
    (void)readable;
    (void)writable;
    struct egress *g = ctx;
    static char message[EGRESS_HOSTS_MAX + 64];
    size_t n, count;
    int fds[4];
    for (;;) {
        err e = files_receive_fds(g->control_fd, message, sizeof message, &n, fds, &count);
        if (e == E_BUSY)
            return;
        if (e == E_END || e == E_OS) {
            loop_stop(g->loop);
            return;
        }
        if (!e && count == 0 && span_is((struct span){message, n}, "ping")) {
            /* Nobody reads at the other end: it does not miss the answer either. */
            (void)!files_send_fds(g->control_fd, SPAN("pong"), NULL, 0);
            continue;
        }
        if (!e && (hosts_taken(g, (struct span){message, n}, count) ||
                   message_taken(g, (struct span){message, n}, fds, count)))
            continue;
        log_warn("egress.bad_message", F_N("fds", count), F_N("doors", g->door_count));
        for (size_t i = 0; i < count; i++)
            close(fds[i]);
    }
}

static void on_beat(void *ctx)
{
    struct egress *g = ctx;
    g->config->beat();
    timer_start(g->beat, g->config->beat_ms);
}

static err egress_start(struct egress *g, struct fault *f)
{
    (void)files_raise_limit(CONNS_MAX * 2 + DOORS_MAX * 2 + 256);
    note_own_addresses(g);
    /* What reads files does so now; afterwards none can be opened. */
    err e = resolver_new(&g->resolver, g->loop, g->config->dns, f);
    if (!e)
        e = sandbox_egress(f);
    if (!e && watch_new(&g->control, g->loop, g->control_fd, true, false, on_control, g,
                        "egress control") != E_OK)
        e = fail(f, E_OS, "the control socket cannot be watched");
    if (!e && files_send_fds(g->control_fd, SPAN("hello"), NULL, 0) != E_OK)
        e = fail(f, E_OS, "nobody is at the other end of the control socket");
    if (!e && g->config->beat)
        timer_start(g->beat, 0);
    return e;
}

int egress_run(const struct egress_config *config, int control_fd)
{
    struct egress g = {.loop = loop_new(),
                       .config = config,
                       .control_fd = control_fd,
                       .hosts = BUF(EGRESS_HOSTS_MAX)};
    struct fault fault = {0};
    list_init(&g.doors);
    list_init(&g.conns);
    g.retry = timer_new(g.loop, on_retry, &g, "egress accept again");
    g.beat = timer_new(g.loop, on_beat, &g, "egress beat");
    err e = egress_start(&g, &fault);
    if (e)
        log_error("egress.not_started", F_X("result", e), F_C("words", fault.words));
    else
        loop_run(g.loop);
    list_each(&g.doors, at, after)
    {
        door_close(LIST_OF(at, struct door, node));
    }
    list_each(&g.conns, at, after)
    {
        conn_close(LIST_OF(at, struct conn, node));
    }
    buf_free(&g.hosts);
    watch_close(&g.control);
    resolver_free(&g.resolver);
    timer_close(&g.retry);
    timer_close(&g.beat);
    loop_free(&g.loop);
    return e ? 1 : 0;
}

err egress_ping(int control_fd)
{
    return files_send_fds(control_fd, SPAN("ping"), NULL, 0);
}

err egress_tell_hosts(int control_fd, struct span names)
{
    struct buf text = BUF(EGRESS_HOSTS_MAX + 64);
    buf_add_text(&text, HOSTS_HEAD);
    buf_add(&text, names);
    err e = names.n > EGRESS_HOSTS_MAX ? E_TOO_BIG
                                       : files_send_fds(control_fd, buf_span(&text), NULL, 0);
    buf_free(&text);
    return e;
}

static err give(int control_fd, struct span message, int listener_fd, int life_fd,
                struct fault *f)
{
    int fds[2] = {listener_fd, life_fd};
    err e = files_send_fds(control_fd, message, fds, 2);
    if (e)
        return fail(f, e == E_END ? E_OS : e, "egress did not take the listener: %s",
                    err_text(e));
    return E_OK;
}

err egress_give(int control_fd, int listener_fd, int life_fd, struct fault *f)
{
    return give(control_fd, SPAN("listener"), listener_fd, life_fd, f);
}

err egress_give_own(int control_fd, int listener_fd, int life_fd, struct fault *f)
{
    return give(control_fd, SPAN("own listener"), listener_fd, life_fd, f);
}
