#include "api/http.h"

#include "base/id.h"
#include "base/log.h"
#include "base/need.h"
#include "base/text.h"
#include "core/metrics.h"
#include "os/clock.h"
#include "os/random.h"
#include "os/secret.h"
#include "wire/problem.h"

#include <microhttpd.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    /* memory of a connection: its head, its answer's head, a piece of body */
    HEAD_MAX = HTTP_HEAD_MAX,
    BODY_TIMES = 20,             /* request timeouts that a body taken as it comes may last */
    KEEP_ALIVE_MS = 60 * 1000,   /* from an answer to the whole head of the next request */
    LINGER_MS = 5 * 1000,        /* to send an answer that came at the last moment */
    ARENA_MAX = 4 * 1024 * 1024, /* of one request */
    STREAM_MAX = 4 * 1024 * 1024,
    STREAM_PIECE = 16 * 1024,
    FILE_PIECE = 64 * 1024,
    CONNECTION_MAGIC = 0x434f4e4e,
};

/* What a connection is waiting for. Each phase has one fixed time, so its list is ordered by
 * deadline and only the first of each list must be looked at. */
enum phase {
    PHASE_HEAD,
    PHASE_REQUEST,
    PHASE_WAIT, /* a request that is held long */
    PHASE_LINGER,
    PHASE_STREAM,
    PHASE_IDLE,
    PHASE_FREE,
    PHASES
};

struct http_connection {
    unsigned magic;
    struct http *http;
    struct MHD_Connection *mhd;
    struct list node; /* in http->phases[phase] */
    enum phase phase;
    mono deadline;
    int fd;
    bool unix_socket, suspended;
    struct request *request;
};

struct door { /* one listening socket */
    struct http *http;
    struct MHD_Daemon *mhd;
    struct watch *watch;
    bool unix_socket;
};

struct http {
    struct loop *loop;
    struct http_config config;
    struct http_face face;
    struct door doors[2];
    struct timer *turn;      /* runs the daemons again, soon */
    struct timer *deadlines; /* first deadline of all connections */
    mono alarm;              /* when `deadlines` fires */
    struct list phases[PHASES];
    bool running, again;
    const char *mode; /* NULL: as ever */
};

struct stream_state {
    struct stream_face face;
    struct request *request; /* NULL once it is gone */
    struct buf waiting;
    size_t sent; /* of waiting */
    bool pulled, ended, failed;
    int fd; /* of request_answer_file() */
    off_t from;
};

/* ---- deadlines ---- */

static int64_t phase_ms(const struct http *h, enum phase phase)
{
    switch (phase) {
    case PHASE_HEAD:
        return h->config.header_timeout_ms;
    case PHASE_REQUEST:
    case PHASE_STREAM:
        return h->config.request_timeout_ms;
    case PHASE_WAIT:
        return h->config.request_timeout_ms + HTTP_WAIT_MOST_MS;
    case PHASE_LINGER:
        return LINGER_MS;
    case PHASE_IDLE:
        return KEEP_ALIVE_MS;
    case PHASE_FREE:
    case PHASES:
        break;
    }
    return INT64_MAX / 2;
}

static struct http_connection *first_in(const struct http *h, enum phase phase)
{
    if (list_empty(&h->phases[phase]))
        return NULL;
    return LIST_OF(h->phases[phase].next, struct http_connection, node);
}

static void set_alarm(struct http *h)
{
    mono first = {INT64_MAX};
    for (int p = 0; p < PHASE_FREE; p++) {
        const struct http_connection *c = first_in(h, (enum phase)p);
        if (c && c->deadline.ms < first.ms)
            first = c->deadline;
    }
    h->alarm = first;
    if (first.ms == INT64_MAX)
        timer_stop(h->deadlines);
    else
        timer_start(h->deadlines, mono_left(first, clock_mono()) + 1);
}

static void enter(struct http_connection *c, enum phase phase)
{
    struct http *h = c->http;
    list_remove(&c->node);
    c->phase = phase;
    c->deadline = mono_add(clock_mono(), phase_ms(h, phase));
    list_add(&h->phases[phase], &c->node);
    /* An alarm that is too early only looks again; one that is too late must be moved. */
    if (phase != PHASE_FREE && c->deadline.ms < h->alarm.ms)
        set_alarm(h);
}

static void wake(struct http_connection *c)
{
    if (!c->suspended)
        return;
    c->suspended = false;
    MHD_resume_connection(c->mhd);
    timer_start(c->http->turn, 0);
}

static void cut(struct http_connection *c)
{
    /* Closing throws away what the client did not take, instead of keeping it in the kernel. */
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
               sizeof(struct linger));
    shutdown(c->fd, SHUT_RDWR);
    if (c->request && c->request->stream)
        ((struct stream_state *)c->request->stream)->failed = true;
    enter(c, PHASE_FREE);
    wake(c);
    timer_start(c->http->turn, 0);
}

static void too_late(struct http_connection *c)
{
    struct request *r = c->request;
    bool asks = c->phase == PHASE_REQUEST || c->phase == PHASE_WAIT;
    if (asks && r && r->held && !r->answered) {
        enter(c, PHASE_LINGER);
        c->http->face.on_late(c->http->face.ctx, r);
        need(r->answered);
        return;
    }
    log_debug("http.cut", F_N("phase", c->phase));
    cut(c);
}

/* ---- turns of the daemons ---- */

static void run(struct http *h)
{
    if (h->running) { /* a callback of a daemon asked for another turn */
        h->again = true;
        return;
    }
    h->running = true;
    h->again = false;
    int64_t next = INT64_MAX;
    for (int i = 0; i < 2; i++) {
        struct MHD_Daemon *d = h->doors[i].mhd;
        MHD_UNSIGNED_LONG_LONG ms;
        if (!d)
            continue;
        MHD_run(d);
        if (MHD_get_timeout(d, &ms) == MHD_YES && (int64_t)ms < next)
            next = (int64_t)ms;
    }
    h->running = false;
    if (h->again)
        next = 0;
    if (next != INT64_MAX)
        timer_start(h->turn, next);
}

/* It may be us who are late: what has come is read before anybody is cut off. */
static void on_deadline(void *ctx)
{
    struct http *h = ctx;
    mono now = clock_mono();
    run(h);
    for (int p = 0; p < PHASE_FREE; p++) {
        struct http_connection *c;
        while ((c = first_in(h, (enum phase)p)) && mono_past(c->deadline, now))
            too_late(c);
    }
    set_alarm(h);
}

static void on_turn(void *ctx)
{
    run(ctx);
}

static void on_readable(void *ctx, bool readable, bool writable)
{
    (void)readable;
    (void)writable;
    struct door *door = ctx;
    run(door->http);
}

__attribute__((format(printf, 2, 0))) static void on_message(void *ctx, const char *fmt,
                                                             va_list ap)
{
    (void)ctx;
    struct buf text = BUF(512);
    buf_vfmt(&text, fmt, ap);
    log_debug("http.library", F_S("text", span_trim(buf_span(&text))));
    buf_free(&text);
}

/* ---- reading a request ---- */

static struct http_connection *connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_connection *c = info ? info->socket_context : NULL;
    need(c && c->magic == CONNECTION_MAGIC);
    return c;
}

struct span request_header(const struct request *r, const char *name)
{
    return span_of(MHD_lookup_connection_value(r->connection->mhd, MHD_HEADER_KIND, name));
}

static bool raw_query(struct request *r, const char *name, struct span *out)
{
    const char *raw = NULL;
    size_t n = 0;
    if (MHD_lookup_connection_value_n(r->connection->mhd, MHD_GET_ARGUMENT_KIND, name,
                                      strlen(name), &raw, &n) != MHD_YES)
        return false;
    *out = (struct span){raw, raw ? n : 0};
    return true;
}

void request_query_copy(struct request *r, const char *name, struct buf *out)
{
    struct span value;
    if (raw_query(r, name, &value))
        buf_fmt(out, "&%s=%.*s", name, SP(value));
}

static struct span unescaped(struct request *r, struct span value)
{
    struct buf text = BUF(HEAD_MAX);
    if (!text_add_url_unescaped(&text,
                                value)) { /* a broken escape: shown as it came, to be refused */
        buf_clear(&text);
        buf_add(&text, value);
    }
    value = arena_keep(r->arena, buf_span(&text));
    buf_free(&text);
    return value;
}

bool request_query(struct request *r, const char *name, struct span *out_value)
{
    struct span value;
    if (!raw_query(r, name, &value))
        return false;
    *out_value = unescaped(r, value);
    return out_value->p != NULL;
}

struct pairs {
    struct request *request;
    struct span prefix;
    struct query_pair *out;
    size_t most, count;
};

static enum MHD_Result add_pair(void *ctx, enum MHD_ValueKind kind, const char *key,
                                const char *value)
{
    (void)kind;
    struct pairs *p = ctx;
    struct span name = span_of(key), raw = span_of(value);
    if (!span_starts(name, p->prefix))
        return MHD_YES;
    if (p->count < p->most)
        p->out[p->count] = (struct query_pair){.name = span_cut(name, p->prefix.n, name.n),
                                               .raw = raw,
                                               .value = unescaped(p->request, raw)};
    p->count++;
    return MHD_YES;
}

size_t request_query_all(struct request *r, const char *prefix, struct query_pair *out,
                         size_t most)
{
    struct pairs p = {.request = r, .prefix = span_of(prefix), .out = out, .most = most};
    MHD_get_connection_values(r->connection->mhd, MHD_GET_ARGUMENT_KIND, add_pair, &p);
    return p.count;
}

struct unknown {
    const char *const *known;
    struct span found;
};

static enum MHD_Result look_for_unknown(void *ctx, enum MHD_ValueKind kind, const char *key,
                                        const char *value)
{
    (void)kind;
    (void)value;
    struct unknown *u = ctx;
    for (const char *const *k = u->known; *k; k++) {
        struct span known = span_of(*k);
        bool family = span_ends(known, SPAN(".*"));
        known.n -= family;
        if (family ? span_starts(span_of(key), known) : span_is(span_of(key), *k))
            return MHD_YES;
    }
    u->found = span_of(key);
    return MHD_NO;
}

struct span request_query_unknown(struct request *r, const char *const *known)
{
    struct unknown u = {.known = known};
    MHD_get_connection_values(r->connection->mhd, MHD_GET_ARGUMENT_KIND, look_for_unknown, &u);
    return u.found;
}

/* ---- ambiguous messages ---- */

struct head_facts {
    int hosts, lengths, codings;
    struct span host, coding;
    const char *expected; /* where the next line must begin; NULL: unknown */
    bool torn;            /* the lines do not lie one behind the other */
    bool odd_name;        /* a name with something else than token characters */
};

static bool is_token(struct span name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] > '~' || strchr("\"(),/:;<=>?@[\\]{}", name.p[i]))
            return false;
    return name.n > 0;
}

static enum MHD_Result look_at_header(void *ctx, enum MHD_ValueKind kind, const char *key,
                                      const char *value)
{
    (void)kind;
    struct head_facts *facts = ctx;
    struct span name = span_of(key);
    if (span_eq_nocase(name, SPAN("host"))) {
        facts->hosts++;
        facts->host = span_of(value);
    } else if (span_eq_nocase(name, SPAN("content-length"))) {
        facts->lengths++;
    } else if (span_eq_nocase(name, SPAN("transfer-encoding"))) {
        facts->codings++;
        facts->coding = span_of(value);
    }
    if (!is_token(name))
        facts->odd_name = true;
    if (facts->expected && facts->expected != key)
        facts->torn = true;
    facts->expected = value ? value + strlen(value) + 2 : NULL; /* behind CR LF */
    return MHD_YES;
}

/* The library of Debian 12 (0.9.75) ends a header at a NUL byte and silently drops what is
 * behind it; later ones refuse it by themselves. It keeps the head in one piece, lines in
 * order, CR LF overwritten, so what it dropped shows as a gap between the end of a value and
 * the next name. */
static bool keeps_head_in_place(void)
{
    return strncmp(MHD_get_version(), "0.9.75", 6) == 0;
}

static bool head_is_torn(const struct http_connection *c, const struct head_facts *facts,
                         const char *start)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (facts->torn)
        return true;
    /* Behind the last line there is one empty line, and that is the end of the head. */
    return info && facts->expected && facts->expected + 2 != start + info->header_size;
}

static const char *head_mistake(struct http_connection *c, struct head_facts *facts,
                                const char *start, const char *version)
{
    *facts = (struct head_facts){0};
    MHD_get_connection_values(c->mhd, MHD_HEADER_KIND, look_at_header, facts);
    if (facts->odd_name)
        return "a header name with white space or other characters that no name has";
    if (facts->hosts > 1)
        return "more than one Host header";
    if (facts->hosts == 0 && strcmp(version, "HTTP/1.0") != 0)
        return "no Host header";
    if (facts->lengths > 1)
        return "more than one Content-Length header";
    if (facts->lengths && facts->codings)
        return "Content-Length together with Transfer-Encoding";
    if (facts->codings > 1 ||
        (facts->codings && !span_eq_nocase(facts->coding, SPAN("chunked"))))
        return "Transfer-Encoding other than chunked";
    if (keeps_head_in_place() && head_is_torn(c, facts, start))
        return "a NUL byte or a folded line in the head";
    return NULL;
}

/* ---- whom a request may name, and who may send it ---- */

static struct span without_port(struct span host)
{
    if (host.n && host.p[0] == '[') {
        size_t end = span_find_char(host, ']');
        return span_cut(host, 0, end == host.n ? end : end + 1);
    }
    return span_cut(host, 0, span_find_char(host, ':'));
}

/* Our own end of the connection as text, IPv6 in brackets. */
static struct span own_address(const struct http_connection *c, char out[64])
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char text[INET6_ADDRSTRLEN] = "";
    if (getsockname(c->fd, (struct sockaddr *)&address, &size))
        return SPAN_NONE;
    if (address.ss_family == AF_INET)
        inet_ntop(AF_INET, &((struct sockaddr_in *)&address)->sin_addr, text, sizeof text);
    else if (address.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&address)->sin6_addr, text, sizeof text);
    snprintf(out, 64, address.ss_family == AF_INET6 ? "[%s]" : "%s", text);
    return span_of(out);
}

/* A page of some other site can make a browser send requests here under that site's name (DNS
 * rebinding). It cannot make the browser name us. */
static bool host_is_ours(const struct http_connection *c, struct span host)
{
    if (c->unix_socket || !host.n)
        return true;
    struct span name = without_port(host);
    char own[64];
    return span_eq_nocase(name, SPAN("localhost")) || span_is(name, "127.0.0.1") ||
           span_is(name, "[::1]") || span_eq_nocase(name, own_address(c, own));
}

/* True when a browser says that a page of another site makes this request. */
static bool from_elsewhere(const struct request *r, struct span host)
{
    struct span site = request_header(r, "Sec-Fetch-Site");
    if (site.n && !span_is(site, "same-origin") && !span_is(site, "none"))
        return true;
    struct span origin = request_header(r, "Origin");
    if (!origin.n)
        return false;
    size_t slashes = span_find(origin, SPAN("://"));
    return slashes == origin.n ||
           !span_eq_nocase(span_cut(origin, slashes + 3, origin.n), host);
}

/* ---- answers ---- */

static void refuse(struct request *r, int status, const char *code, const char *detail,
                   bool closes)
{
    struct buf body = BUF(4096);
    problem_write(&body, &(struct problem){.status = status,
                                           .code = code,
                                           .detail = span_of(detail),
                                           .request_id = r->id});
    request_answer(r, &(struct answer){.status = status,
                                       .type = "application/problem+json",
                                       .body = buf_span(&body),
                                       .closes = closes});
    buf_free(&body);
}

static void add_headers(struct MHD_Response *m, const struct request *r, const struct answer *a)
{
    if (a->type && a->status != 304)
        MHD_add_response_header(m, "Content-Type", a->type);
    bool stored = false;
    for (size_t i = 0; i + 1 < sizeof a->headers / sizeof a->headers[0] && a->headers[i];
         i += 2)
        stored = stored || strcmp(a->headers[i], "Cache-Control") == 0;
    if (!stored)
        MHD_add_response_header(m, "Cache-Control", "no-store");
    MHD_add_response_header(m, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(m, "Server", "fulmar");
    char id[80];
    if (r->http->mode)
        MHD_add_response_header(m, "Fulmar-Mode", r->http->mode);
    MHD_add_response_header(m, "X-Request-Id", span_copy(r->id, id, sizeof id));
    for (size_t i = 0; i + 1 < sizeof a->headers / sizeof a->headers[0] && a->headers[i];
         i += 2)
        if (MHD_add_response_header(m, a->headers[i], a->headers[i + 1]) != MHD_YES)
            log_warn("http.header", F_C("name", a->headers[i]));
    if (a->closes)
        MHD_add_response_header(m, "Connection", "close");
}

/* The library takes a response only inside its handler; anything else is given on its next
 * call. */
static void hand_over(struct request *r, struct MHD_Response *m, int status)
{
    need(!r->answered);
    r->answered = true;
    r->response = m;
    r->status = status;
    if (r->connection->phase == PHASE_WAIT)
        enter(r->connection, PHASE_REQUEST); /* time to take it */
    metric_add(METRIC_HTTP_REQUESTS, status / 100 - 2, 1);
    wake(r->connection);
}

void http_say_mode(struct http *h, const char *mode)
{
    h->mode = mode;
}

void request_answer(struct request *r, const struct answer *a)
{
    static char nothing;
    void *bytes = a->body.n ? memcpy(heap_get(a->body.n), a->body.p, a->body.n) : &nothing;
    struct MHD_Response *m = MHD_create_response_from_buffer(
        a->body.n, bytes, a->body.n ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    need(m);
    add_headers(m, r, a);
    hand_over(r, m, a->status);
}

void request_hold(struct request *r)
{
    r->held = true;
}

void request_more(struct request *r)
{
    int64_t each = r->http->config.request_timeout_ms;
    mono last = mono_add(r->begun, (BODY_TIMES - 1) * each);
    r->held = false;
    if (!r->answered && !mono_past(last, clock_mono()))
        enter(r->connection, PHASE_REQUEST);
    wake(r->connection);
}

void request_hold_long(struct request *r)
{
    r->held = true;
    enter(r->connection, PHASE_WAIT);
}

static ssize_t on_read(void *ctx, uint64_t position, char *out, size_t max)
{
    (void)position;
    struct stream_state *s = ctx;
    if (s->failed || !s->request)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    struct http_connection *c = s->request->connection;
    if (!buf_span(&s->waiting).n && !s->ended && !s->pulled) {
        s->pulled = true;
        s->face.on_pull(s->face.ctx, s->request);
        if (s->failed)
            return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t left = s->waiting.n - s->sent;
    if (left) {
        size_t n = left < max ? left : max;
        memcpy(out, s->waiting.p + s->sent, n);
        s->sent += n;
        if (s->sent == s->waiting.n) {
            buf_clear(&s->waiting);
            s->sent = 0;
        }
        enter(c, PHASE_STREAM);
        return (ssize_t)n;
    }
    if (s->ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    /* Everything fed has gone out. Nothing is owed to the client, so nothing is late: what
     * feeds the stream has its own deadlines. */
    enter(c, PHASE_FREE);
    MHD_suspend_connection(c->mhd);
    c->suspended = true;
    return 0;
}

static void on_read_over(void *ctx)
{
    struct stream_state *s = ctx;
    if (s->request)
        s->request->stream = NULL;
    buf_free(&s->waiting);
    free(s);
}

void request_stream(struct request *r, const struct answer *head,
                    const struct stream_face *face)
{
    struct stream_state *s = heap_new_of(struct stream_state);
    s->face = *face;
    s->request = r;
    s->waiting = BUF(STREAM_MAX);
    struct MHD_Response *m = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_PIECE,
                                                               on_read, s, on_read_over);
    need(m);
    add_headers(m, r, head);
    r->stream = s;
    hand_over(r, m, head->status);
}

/* A read of a few pages that the kernel mostly has already. */
static ssize_t on_read_file(void *ctx, uint64_t position, char *out, size_t max)
{
    struct stream_state *s = ctx;
    if (s->failed || !s->request)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    ssize_t n = pread(s->fd, out, max, s->from + (off_t)position);
    if (n <= 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    enter(s->request->connection, PHASE_STREAM);
    return n;
}

static void on_file_over(void *ctx)
{
    struct stream_state *s = ctx;
    close(s->fd);
    on_read_over(ctx);
}

void request_answer_file(struct request *r, const struct answer *head, int fd, int64_t from,
                         int64_t count)
{
    struct stream_state *s = heap_new_of(struct stream_state);
    s->request = r;
    s->fd = fd;
    s->from = from;
    struct MHD_Response *m = MHD_create_response_from_callback((uint64_t)count, FILE_PIECE,
                                                               on_read_file, s, on_file_over);
    need(m);
    add_headers(m, r, head);
    r->stream = s;
    hand_over(r, m, head->status);
}

static struct stream_state *stream_of(struct request *r)
{
    need(r->stream);
    return r->stream;
}

void stream_feed(struct request *r, struct span bytes)
{
    struct stream_state *s = stream_of(r);
    s->pulled = false;
    buf_add(&s->waiting, bytes);
    if (s->waiting.failed)
        s->failed = true;
    if (r->connection->suspended)
        enter(r->connection, PHASE_STREAM);
    wake(r->connection);
}

void stream_end(struct request *r)
{
    stream_of(r)->ended = true;
    if (r->connection->suspended)
        enter(r->connection, PHASE_STREAM);
    wake(r->connection);
}

void stream_fail(struct request *r)
{
    stream_of(r)->failed = true;
    wake(r->connection);
}

bool stream_drained(const struct request *r)
{
    const struct stream_state *s = r->stream;
    return s && s->pulled && s->waiting.n == s->sent;
}

/* ---- the life of a request ---- */

static bool sane_id(struct span id)
{
    if (!id.n || id.n > 64)
        return false;
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        bool fine = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                    (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == '-';
        if (!fine)
            return false;
    }
    return true;
}

static struct request *request_new(struct http_connection *c, const char *method,
                                   const char *url)
{
    struct request *r = heap_new_of(struct request);
    r->http = c->http;
    r->connection = c;
    r->arena = arena_new(ARENA_MAX);
    r->method = arena_keep(r->arena, span_of(method));
    r->path = arena_keep(r->arena, span_of(url));
    r->head = span_is(r->method, "HEAD");
    r->begun = clock_mono();
    r->body_max = c->http->config.body_max;
    r->received = BUF((size_t)r->body_max);
    struct span id = request_header(r, "X-Request-Id");
    if (sane_id(id)) {
        r->id = arena_keep(r->arena, id);
    } else {
        char made[ID_TEXT];
        uint8_t random[10];
        random_bytes(random, sizeof random);
        id_make(made, "req", clock_wall(), random);
        r->id = arena_keep(r->arena, span_of(made));
    }
    c->request = r;
    return r;
}

static void request_free(struct request *r)
{
    r->http->face.on_gone(r->http->face.ctx, r);
    if (r->stream)
        ((struct stream_state *)r->stream)->request = NULL;
    if (r->response)
        MHD_destroy_response(r->response);
    r->connection->request = NULL;
    if (r->secret)
        secret_wipe_buf(&r->received);
    buf_free(&r->received);
    arena_free(&r->arena);
    free(r);
}

static void refuse_large(struct request *r)
{
    bool raised = r->body_max > r->http->config.body_max;
    refuse(r, 413, "body_too_large",
           raised ? "the body is larger than any may be"
                  : "the body is larger than api.body_max",
           true);
}

/* The head is whole: everything that can be refused without the body is refused here. */
static void look_at_head(struct request *r, const char *start, const char *version)
{
    struct http_connection *c = r->connection;
    struct head_facts facts;
    const char *mistake = head_mistake(c, &facts, start, version);
    if (mistake) {
        refuse(r, 400, "malformed_request", mistake, true);
        return;
    }
    if (!host_is_ours(c, facts.host)) {
        refuse(r, 421, "wrong_host", "the Host header names another server than this one",
               true);
        return;
    }
    if (!r->head && !span_is(r->method, "GET") && from_elsewhere(r, facts.host)) {
        refuse(r, 403, "foreign_origin", "a page of another site may not change anything here",
               true);
        return;
    }
    int64_t length;
    struct span said = request_header(r, "Content-Length");
    c->http->face.on_head(c->http->face.ctx, r);
    r->received.max = (size_t)r->body_max;
    if (!r->answered && said.n && span_int(said, &length) && length > r->body_max)
        refuse_large(r);
}

static enum MHD_Result give_response(struct request *r)
{
    struct MHD_Response *m = r->response;
    r->response = NULL;
    enum MHD_Result done = MHD_queue_response(r->connection->mhd, (unsigned)r->status, m);
    MHD_destroy_response(m);
    return done;
}

/* As it comes: how much of it was taken. */
static size_t take_some(struct request *r, struct span bytes)
{
    size_t n = 0, more;
    while (n < bytes.n && !r->answered &&
           (more = r->take(r, span_cut(bytes, n, bytes.n))) > 0) {
        n += more;
        r->taken += (int64_t)more;
    }
    return n;
}

/* How much is left of it, for later. Behind an answer nobody wants the rest. */
static size_t take_body(struct request *r, struct span bytes)
{
    size_t left = 0;
    if (r->answered)
        return 0;
    if (r->take)
        left = bytes.n - take_some(r, bytes);
    else
        buf_add(&r->received, bytes);
    if (r->received.failed)
        refuse_large(r);
    return r->answered ? 0 : left;
}

static enum MHD_Result on_access(void *ctx, struct MHD_Connection *mhd, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *data_size, void **request)
{
    (void)ctx;
    struct http_connection *c = connection_of(mhd);
    struct request *r = *request;
    if (!r) {
        *request = r = request_new(c, method, url);
        enter(c, PHASE_REQUEST);
        look_at_head(r, method, version); /* the method is where the head starts */
        return r->response ? give_response(r) : MHD_YES;
    }
    if (*data_size) {
        *data_size = take_body(r, (struct span){data, *data_size});
        if (*data_size) { /* the library looks at what is left when it goes on, and not before */
            MHD_suspend_connection(mhd);
            c->suspended = true;
        }
        return MHD_YES;
    }
    if (!r->seen && !r->answered) {
        r->seen = true;
        r->body = buf_span(&r->received);
        c->http->face.on_request(c->http->face.ctx, r);
    }
    if (r->response)
        return give_response(r);
    need(r->held);
    MHD_suspend_connection(mhd);
    c->suspended = true;
    return MHD_YES;
}

static void on_completed(void *ctx, struct MHD_Connection *mhd, void **request,
                         enum MHD_RequestTerminationCode how)
{
    (void)ctx;
    (void)how;
    struct request *r = *request;
    if (!r)
        return;
    *request = NULL;
    request_free(r);
    enter(connection_of(mhd), PHASE_IDLE);
}

static void on_connection(void *ctx, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct door *door = ctx;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        struct http_connection *c = heap_new_of(struct http_connection);
        c->magic = CONNECTION_MAGIC;
        c->http = door->http;
        c->mhd = mhd;
        c->unix_socket = door->unix_socket;
        c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        *socket_context = c;
        enter(c, PHASE_HEAD);
        return;
    }
    struct http_connection *c = *socket_context;
    need(c && c->magic == CONNECTION_MAGIC);
    if (c->request)
        request_free(c->request);
    list_remove(&c->node);
    c->magic = 0;
    free(c);
    *socket_context = NULL;
}

/* Paths and parameters stay as they came; request_query() decodes. */
static size_t keep_escapes(void *ctx, struct MHD_Connection *mhd, char *text)
{
    (void)ctx;
    (void)mhd;
    return strlen(text);
}

/* ---- starting and stopping ---- */

static err open_door(struct http *h, int i, struct fault *f)
{
    struct door *door = &h->doors[i];
    int fd = h->config.listeners[i];
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size))
        return fail(f, E_OS, "a listening socket is not one");
    door->http = h;
    door->unix_socket = address.ss_family == AF_UNIX;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return fail(f, E_OS, "a listening socket cannot be made non-blocking");
    /* MHD_USE_ERROR_LOG only so that its words come to our log, at debug. */
    unsigned kind = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    door->mhd = MHD_start_daemon(
        kind, 0, NULL, NULL, on_access, h, MHD_OPTION_EXTERNAL_LOGGER, on_message, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)h->config.connections_max,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_MAX, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, h, MHD_OPTION_NOTIFY_CONNECTION, on_connection, door,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_END);
    if (!door->mhd)
        return fail(f, E_OS, "the HTTP server could not be started");
    h->config.listeners[i] = -1; /* closed by the library */
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(door->mhd, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info)
        return fail(f, E_OS, "the HTTP server has no epoll descriptor");
    return watch_new(&door->watch, h->loop, info->epoll_fd, true, false, on_readable, door,
                     "http");
}

err http_start(struct http **out, struct loop *l, const struct http_config *config,
               const struct http_face *face, struct fault *f)
{
    struct http *h = heap_new_of(struct http);
    h->loop = l;
    h->config = *config;
    h->face = *face;
    h->alarm = (mono){INT64_MAX};
    for (int p = 0; p < PHASES; p++)
        list_init(&h->phases[p]);
    h->turn = timer_new(l, on_turn, h, "http turn");
    h->deadlines = timer_new(l, on_deadline, h, "http deadlines");
    for (int i = 0; i < 2; i++) {
        if (config->listeners[i] < 0)
            continue;
        err e = open_door(h, i, f);
        if (e) {
            http_stop(&h);
            return e;
        }
    }
    run(h);
    *out = h;
    return E_OK;
}

/* The library aborts when it is stopped with suspended connections: wake them, broken. */
static void wake_all(struct http *h)
{
    for (int p = 0; p < PHASES; p++) {
        list_each(&h->phases[p], node, after)
        {
            struct http_connection *c = LIST_OF(node, struct http_connection, node);
            struct request *r = c->request;
            if (!c->suspended)
                continue;
            if (r && !r->answered)
                refuse(r, 503, "draining", "the service is stopping", true);
            else if (r && r->stream)
                stream_fail(r);
            c->suspended = false;
            MHD_resume_connection(c->mhd);
        }
    }
}

void http_stop(struct http **handle)
{
    struct http *h = *handle;
    if (!h)
        return;
    wake_all(h);
    for (int i = 0; i < 2; i++) {
        struct door *door = &h->doors[i];
        if (door->watch)
            watch_close(&door->watch);
        if (door->mhd) {
            MHD_run(door->mhd);
            MHD_stop_daemon(door->mhd);
        }
        if (h->config.listeners[i] >= 0)
            close(h->config.listeners[i]);
    }
    timer_close(&h->turn);
    timer_close(&h->deadlines);
    free(h);
    *handle = NULL;
}
