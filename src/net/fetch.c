#include "net/fetch.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "net/address.h"
#include "net/curl.h"
#include "net/domains.h"
#include "net/egress.h"
#include "os/clock.h"
#include "os/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    REDIRECTS_MAX = 5,
    HEAD_MAX = 64 * 1024,
    URL_MAX = 8 * 1024,
    NAME_MAX_SIZE = 256,
    CONNS_KEPT = 16, /* idle connections */
    PLACES = 256,    /* origins whose last request is remembered */
    KEPT = 64,       /* answers that serve again */
    KEPT_BODY_MAX = 512 * 1024,
    HTTP_PORT = 80,
    HTTPS_PORT = 443,
    BACKLOG = 128,
};

/* When the next request may go to an origin. */
struct place {
    uint64_t origin;
    mono next;
};

struct kept {
    char *url; /* NULL: free */
    char *headers, *body;
    size_t body_size;
    int status;
    mono until;
};

struct fetcher {
    struct loop *loop;
    struct fetch_config config;
    char agent[400];
    CURLM *multi;
    int listener, life[2]; /* of egress; life as in egress_give() */
    struct sockaddr_un name;
    socklen_t name_size;
    struct timer *tick;
    struct list requests;
    struct place places[PLACES];
    struct kept kept[KEPT];
};

/* A descriptor that libcurl wants watched. */
struct plug {
    struct fetcher *owner;
    curl_socket_t fd;
    struct watch *watch;
};

struct origin {
    char scheme[8], host[NAME_MAX_SIZE];
    int port;
};

struct fetch {
    struct list node;
    struct fetcher *owner;
    struct fetch_request q; /* its texts are below */
    struct origin origin;
    CURLU *url;
    CURL *easy; /* NULL while it waits for its turn */
    struct timer *turn;
    mono deadline;
    int64_t left_ms;       /* of timeout_ms, while it waits for its turn */
    uint64_t place;        /* where it waits */
    mono turn_at, next_at; /* its turn there, and the one behind it */
    int64_t interval_ms;
    int redirects;
    struct buf head, body;
    char reason[32];            /* why egress refused */
    bool too_big, stopped;      /* stopped: the sink wants no more */
    struct curl_slist *lines;   /* of q.headers */
    struct curl_slist *cookies; /* of q.cookies, and then `lines` */
    const struct kept *found;
    char words[240];
    void (*on_done)(void *ctx, const struct fetch_answer *a);
    void *ctx;
};

static const char TURN_FAR[] =
    "its turn is too far off: others wait for it, or it asked to be left alone";
static void advance(struct fetcher *fr);

/* ---- where a request may go ---- */

static bool part(CURLU *u, CURLUPart what, unsigned flags, char *out, size_t size)
{
    char *text = NULL;
    if (curl_url_get(u, what, &text, flags) != CURLUE_OK)
        return false;
    struct span s = span_of(text);
    bool fits = s.n < size;
    span_copy(s, out, size);
    curl_free(text);
    return fits;
}

static bool origin_of(CURLU *u, struct origin *out)
{
    char port[8];
    int64_t number = 0;
    if (!part(u, CURLUPART_SCHEME, 0, out->scheme, sizeof out->scheme) ||
        !part(u, CURLUPART_HOST, 0, out->host, sizeof out->host) ||
        !part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT, port, sizeof port) ||
        !span_int(span_of(port), &number))
        return false;
    out->port = (int)number;
    return strcmp(out->scheme, "http") == 0 || strcmp(out->scheme, "https") == 0;
}

static bool same_origin(const struct origin *a, const struct origin *b)
{
    return strcmp(a->scheme, b->scheme) == 0 && a->port == b->port &&
           span_eq_nocase(span_of(a->host), span_of(b->host));
}

static CURLU *url_read(struct span text, struct origin *out)
{
    char room[URL_MAX];
    if (text.n >= sizeof room || memchr(text.p, '\0', text.n))
        return NULL;
    CURLU *u = curl_url();
    need(u);
    bool fine = curl_url_set(u, CURLUPART_URL, span_copy(text, room, sizeof room),
                             CURLU_DISALLOW_USER) == CURLUE_OK &&
                origin_of(u, out);
    if (fine)
        return u;
    curl_url_cleanup(u);
    return NULL;
}

bool fetch_url_valid(struct span url, bool *out_sealed)
{
    struct origin o;
    CURLU *u = url_read(url, &o);
    if (u && out_sealed)
        *out_sealed = strcmp(o.scheme, "https") == 0;
    curl_url_cleanup(u);
    return u != NULL;
}

static bool may_ask(const struct fetch *r, const struct origin *to)
{
    if (same_origin(to, &r->origin) || (r->redirects > 0 && r->q.any_redirect))
        return true;
    if (strcmp(to->scheme, "https") != 0 || to->port != HTTPS_PORT)
        return false;
    for (size_t i = 0; i < r->q.host_count; i++)
        if (address_host_matches(span_of(to->host), r->q.hosts[i]))
            return true;
    return false;
}

/* ---- answers that are kept ---- */

static const struct kept *kept_find(const struct fetcher *fr, const char *url)
{
    mono now = loop_now(fr->loop);
    for (size_t i = 0; i < KEPT; i++)
        if (fr->kept[i].url && !mono_past(fr->kept[i].until, now) &&
            strcmp(fr->kept[i].url, url) == 0)
            return &fr->kept[i];
    return NULL;
}

static void kept_drop(struct kept *k)
{
    free(k->url);
    free(k->headers);
    free(k->body);
    *k = (struct kept){0};
}

static char *copy_of(struct span s)
{
    char *p = heap_get(s.n + 1);
    memcpy(p, s.p ? s.p : "", s.n);
    return p;
}

/* In a free place, or in that of the one that ends first. */
static void kept_add(struct fetcher *fr, const struct fetch *r, const struct fetch_answer *a)
{
    struct kept *place = &fr->kept[0];
    for (size_t i = 0; i < KEPT && place->url; i++)
        if (!fr->kept[i].url || fr->kept[i].until.ms < place->until.ms)
            place = &fr->kept[i];
    kept_drop(place);
    *place = (struct kept){.url = copy_of(r->q.url),
                           .headers = copy_of(a->headers),
                           .body = copy_of(a->body),
                           .body_size = a->body.n,
                           .status = a->status,
                           .until = mono_add(loop_now(fr->loop), r->q.keep_ms)};
}

static bool worth_keeping(const struct fetch *r, const struct fetch_answer *a)
{
    return r->q.keep_ms > 0 && !r->found && !a->failed && a->body.n <= KEPT_BODY_MAX &&
           ((a->status >= 200 && a->status < 300) || (a->status >= 400 && a->status < 500)) &&
           a->status != 429;
}

/* ---- the end of a request ---- */

static void detach(struct fetch *r)
{
    if (!r->easy)
        return;
    curl_multi_remove_handle(r->owner->multi, r->easy);
    curl_easy_cleanup(r->easy);
    r->easy = NULL;
}

static void give_turn_back(struct fetch *r);

static void drop(struct fetch *r)
{
    give_turn_back(r);
    detach(r);
    list_remove(&r->node);
    timer_close(&r->turn);
    curl_url_cleanup(r->url);
    buf_free(&r->head);
    buf_free(&r->body);
    if (r->cookies) {
        secret_wipe(r->cookies->data, strlen(r->cookies->data));
        r->cookies->next = NULL; /* those are `lines` */
        curl_slist_free_all(r->cookies);
    }
    curl_slist_free_all(r->lines);
    free((char *)(uintptr_t)r->q.url.p);
    free((char *)(uintptr_t)r->q.post.p);
    free(r);
}

static void done(struct fetch *r, struct fetch_answer a)
{
    void (*on_done)(void *, const struct fetch_answer *) = r->on_done;
    void *ctx = r->ctx;
    log_debug("fetch.done", F_S("url", r->q.url), F_N("status", a.status),
              F_X("result", a.failed), F_C("why", a.failed ? a.words : ""));
    if (worth_keeping(r, &a))
        kept_add(r->owner, r, &a);
    list_remove(&r->node); /* whoever asks for another one now does not meet it */
    on_done(ctx, &a);
    drop(r);
}

static void failed(struct fetch *r, err e, const char *words, const char *detail)
{
    char host[NAME_MAX_SIZE] = "";
    (void)part(r->url, CURLUPART_HOST, 0, host, sizeof host);
    snprintf(r->words, sizeof r->words, "%.80s: %.60s%.90s", host, words, detail);
    done(r, (struct fetch_answer){.failed = e, .words = r->words});
}

/* ---- what libcurl asks of us ---- */

static size_t on_header(char *bytes, size_t size, size_t count, void *ctx)
{
    struct fetch *r = ctx;
    struct span line = {bytes, size * count};
    if (span_starts(line, SPAN("HTTP/"))) { /* of the tunnel, an interim answer, or the last */
        buf_clear(&r->head);
        r->reason[0] = '\0';
        return line.n;
    }
    size_t colon = span_find_char(line, ':');
    if (span_eq_nocase(span_cut(line, 0, colon), SPAN("Fulmar-Reason")))
        span_copy(span_trim(span_cut(line, colon + 1, line.n)), r->reason, sizeof r->reason);
    buf_add(&r->head, line);
    r->too_big = r->head.failed != E_OK;
    return r->too_big ? 0 : line.n;
}

static size_t give_to_sink(struct fetch *r, struct span piece)
{
    long status = 0;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 300 && status < 400 && !r->q.post.p)
        return piece.n;
    r->stopped = !r->q.sink->on_bytes(r->q.sink->ctx, (int)status, buf_span(&r->head), piece);
    return r->stopped ? 0 : piece.n;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
    struct fetch *r = ctx;
    struct span piece = {bytes, size * count};
    if (r->q.sink)
        return give_to_sink(r, piece);
    buf_add(&r->body, piece);
    r->too_big = r->body.failed != E_OK;
    return r->too_big ? 0 : piece.n;
}

/* Wherever libcurl wants to connect to: every connection goes to our listener, behind which egress
 * is. */
static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    const struct fetcher *fr = ctx;
    (void)purpose;
    if (fr->name_size > sizeof address->addr)
        return CURL_SOCKET_BAD;
    address->family = AF_UNIX;
    address->socktype = SOCK_STREAM;
    address->protocol = 0;
    address->addrlen = fr->name_size;
    memcpy(&address->addr, &fr->name, fr->name_size);
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static void on_plug(void *ctx, bool readable, bool writable)
{
    struct plug *p = ctx;
    struct fetcher *fr = p->owner;
    int running, what = (readable ? CURL_CSELECT_IN : 0) | (writable ? CURL_CSELECT_OUT : 0);
    curl_multi_socket_action(fr->multi, p->fd, what, &running);
    advance(fr);
}

static void unplug(struct fetcher *fr, struct plug *p)
{
    curl_multi_assign(fr->multi, p->fd, NULL);
    watch_close(&p->watch);
    free(p);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    struct fetcher *fr = ctx;
    struct plug *p = socket_ctx;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (p)
            unplug(fr, p);
        return 0;
    }
    bool in = what & CURL_POLL_IN, out = what & CURL_POLL_OUT;
    if (p) {
        watch_set(p->watch, in, out);
        return 0;
    }
    p = heap_new_of(struct plug);
    *p = (struct plug){.owner = fr, .fd = fd};
    if (watch_new(&p->watch, fr->loop, fd, in, out, on_plug, p, "fetch")) {
        free(p);
        return -1;
    }
    curl_multi_assign(fr->multi, fd, p);
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    struct fetcher *fr = ctx;
    (void)multi;
    if (timeout_ms < 0)
        timer_stop(fr->tick);
    else
        timer_start(fr->tick, timeout_ms);
    return 0;
}

static void on_tick(void *ctx)
{
    struct fetcher *fr = ctx;
    int running;
    curl_multi_socket_action(fr->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    advance(fr);
}

/* ---- sending ---- */

/* Not where it was redirected to elsewhere. */
static bool goes_to_origin(const struct fetch *r)
{
    struct origin to;
    return origin_of(r->url, &to) && same_origin(&to, &r->origin);
}

static void set_up(struct fetch *r)
{
    struct fetcher *fr = r->owner;
    CURL *h = r->easy;
    curl_easy_setopt(h, CURLOPT_CURLU, r->url);
    curl_easy_setopt(h, CURLOPT_PRIVATE, r);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    /* A number, so that nothing is resolved here; where it leads is on_open()'s to say. */
    curl_easy_setopt(h, CURLOPT_PROXY, "http://127.0.0.1:3128");
    curl_easy_setopt(h, CURLOPT_NOPROXY, "");
    /* Also without TLS: else all hosts are one to libcurl, and four that do not answer stop all. */
    curl_easy_setopt(h, CURLOPT_HTTPPROXYTUNNEL, 1L);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, fr);
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(h, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(h, CURLOPT_ACCEPT_ENCODING, r->q.sink ? NULL : "gzip");
    curl_easy_setopt(h, CURLOPT_HTTPHEADER,
                     goes_to_origin(r) && r->cookies ? r->cookies : r->lines);
    curl_easy_setopt(h, CURLOPT_USERAGENT, fr->agent);
    if (r->q.post.p) {
        curl_easy_setopt(h, CURLOPT_POST, 1L);
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, r->q.post.p);
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->q.post.n);
    }
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, r);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, r);
    int64_t left = mono_left(r->deadline, clock_mono());
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)(left > 1 ? left : 1));
}

static void send_now(struct fetch *r)
{
    buf_clear(&r->head);
    buf_clear(&r->body);
    r->easy = curl_easy_init();
    need(r->easy);
    set_up(r);
    need(curl_multi_add_handle(r->owner->multi, r->easy) == CURLM_OK);
}

static void on_turn(void *ctx)
{
    struct fetch *r = ctx;
    const struct kept *k = r->found;
    if (k && k->url && strcmp(k->url, r->q.url.p) == 0) {
        done(r, (struct fetch_answer){.status = k->status,
                                      .url = r->q.url,
                                      .headers = span_of(k->headers),
                                      .body = {k->body, k->body_size}});
        return;
    }
    r->found = NULL;
    r->deadline = mono_add(clock_mono(), r->left_ms);
    send_now(r);
}

/* Of two requests to a host with and without TLS one is the next of the other, however its name is
 * spelled. */
static uint64_t place_key(const struct origin *o)
{
    char name[NAME_MAX_SIZE];
    size_t n = 0;
    for (; o->host[n] && n < sizeof name; n++)
        name[n] =
            o->host[n] >= 'A' && o->host[n] <= 'Z' ? (char)(o->host[n] | 0x20) : o->host[n];
    n -= n && name[n - 1] == '.';
    bool usual = o->port == HTTP_PORT || o->port == HTTPS_PORT;
    return span_hash((struct span){name, n}, usual ? 1 : (uint64_t)o->port + 1);
}

static const struct place *known_place(const struct fetcher *fr, uint64_t key)
{
    for (size_t i = 0; i < PLACES; i++)
        if (fr->places[i].origin == key)
            return &fr->places[i];
    return NULL;
}

/* An origin that is new takes the place of the one that may be asked soonest. Where that one has to wait
 * still, all have, and the new one waits with it: never is a host asked too soon. */
static struct place *place_of(struct fetcher *fr, const struct origin *o)
{
    uint64_t key = place_key(o);
    const struct place *known = known_place(fr, key);
    struct place *p = known ? &fr->places[known - fr->places] : &fr->places[0];
    for (size_t i = 1; !known && i < PLACES; i++)
        if (fr->places[i].next.ms < p->next.ms)
            p = &fr->places[i];
    if (!known && mono_past(p->next, loop_now(fr->loop)))
        *p = (struct place){.origin = key};
    return p;
}

/* Its turn at the origin is taken, unless that is too far off. */
static bool take_turn(struct fetch *r, const struct origin *o)
{
    struct fetcher *fr = r->owner;
    mono now = loop_now(fr->loop);
    struct place *p = place_of(fr, o);
    int64_t wait = mono_left(p->next, now);
    if (r->q.turn_most_ms > 0 && wait > r->q.turn_most_ms)
        return false;
    r->place = p->origin;
    r->turn_at = wait > 0 ? p->next : now;
    p->next = r->next_at = mono_add(
        r->turn_at, domain_every_ms(fr->config.domains, span_of(o->host), r->interval_ms));
    timer_start(r->turn, wait > 0 ? wait : 0);
    return true;
}

int64_t fetch_turn_ms(const struct fetch *r)
{
    return timer_on(r->turn) ? mono_left(r->turn_at, loop_now(r->owner->loop)) : 0;
}

static void give_turn_back(struct fetch *r)
{
    const struct place *known =
        timer_on(r->turn) && !r->found ? known_place(r->owner, r->place) : NULL;
    struct place *p = known ? &r->owner->places[known - r->owner->places] : NULL;
    if (p && p->next.ms == r->next_at.ms)
        p->next = r->turn_at;
}

void fetcher_rest(struct fetcher *fr, struct span url, int64_t ms)
{
    struct origin o;
    CURLU *u = url_read(url, &o);
    curl_url_cleanup(u);
    struct place *p = u ? place_of(fr, &o) : NULL;
    mono until = mono_add(loop_now(fr->loop), ms);
    if (p && p->next.ms < until.ms)
        p->next = until;
}

int64_t fetcher_turn_ms(const struct fetcher *fr, struct span url)
{
    struct origin o;
    CURLU *u = url_read(url, &o);
    curl_url_cleanup(u);
    if (!u)
        return 0;
    const struct place *p = known_place(fr, place_key(&o));
    int64_t wait = p ? mono_left(p->next, loop_now(fr->loop)) : 0;
    return wait > 0 ? wait : 0;
}

/* ---- what came ---- */

struct span fetch_header(struct span head, struct span name)
{
    struct span line;
    while (span_next(&head, '\n', &line)) {
        size_t colon = span_find_char(line, ':');
        if (colon < line.n && span_eq_nocase(span_cut(line, 0, colon), name))
            return span_trim(span_cut(line, colon + 1, line.n));
    }
    return SPAN("");
}

static void put_headers(struct json_w *w, struct span head)
{
    struct span line;
    while (span_next(&head, '\n', &line)) {
        size_t colon = span_find_char(line, ':');
        bool secret = span_eq_nocase(span_cut(line, 0, colon), SPAN("Set-Cookie"));
        if (colon == line.n || colon == 0 || secret) /* cookies are nobody's business */
            continue;
        json_key_span(w, span_cut(line, 0, colon));
        json_put_text(w, span_trim(span_cut(line, colon + 1, line.n)));
    }
}

static void answered(struct fetch *r, int status)
{
    char *url = NULL;
    curl_off_t wait_s = 0;
    curl_easy_getinfo(r->easy, CURLINFO_RETRY_AFTER, &wait_s);
    struct buf headers = BUF(HEAD_MAX * 8);
    struct json_w w = json_w(&headers);
    json_open(&w);
    put_headers(&w, buf_span(&r->head));
    json_close(&w);
    struct span text;
    if (buf_end(&headers, &text))
        text = SPAN("{}");
    (void)curl_url_get(r->url, CURLUPART_URL, &url, 0);
    done(r, (struct fetch_answer){.status = status,
                                  .url = span_of(url),
                                  .headers = text,
                                  .body = buf_span(&r->body),
                                  .head = buf_span(&r->head),
                                  .retry_after_ms = wait_s > 0 ? (int64_t)wait_s * 1000 : 0});
    curl_free(url);
    buf_free(&headers);
}

static void redirected(struct fetch *r, const char *to)
{
    struct origin from, next;
    bool was_sealed = origin_of(r->url, &from) && strcmp(from.scheme, "https") == 0;
    char target[200];
    span_copy(span_of(to), target, sizeof target);
    if (++r->redirects > REDIRECTS_MAX) {
        detach(r);
        failed(r, E_SHAPE, "more than five redirects", "");
        return;
    }
    CURLU *u = url_read(span_of(to), &next);
    detach(r);
    if (!u || !may_ask(r, &next) || (was_sealed && strcmp(next.scheme, "https") != 0)) {
        curl_url_cleanup(u);
        failed(r, E_SHAPE, "redirects to where this job may not go: ", target);
        return;
    }
    curl_url_cleanup(r->url);
    r->url = u;
    r->left_ms = mono_left(r->deadline, clock_mono());
    if (!take_turn(r, &next))
        failed(r, E_THROTTLED, TURN_FAR, "");
}

static err refusal(const char *reason)
{
    static const char *const final[] = {"private-address", "port", "host", "not-allowed",
                                        "bad-request"};
    for (size_t i = 0; i < sizeof final / sizeof final[0]; i++)
        if (strcmp(reason, final[i]) == 0)
            return E_DENIED;
    return strcmp(reason, "timeout") == 0 ? E_TIMEOUT : E_NET;
}

static void finished(struct fetch *r, CURLcode code)
{
    long status = 0;
    char *to = NULL;
    if (code != CURLE_OK && r->stopped) {
        failed(r, E_CANCELLED, "stopped", "");
        return;
    }
    if (code != CURLE_OK && r->too_big) {
        failed(r, E_TOO_BIG, "the answer is larger than its limit", "");
        return;
    }
    if (code != CURLE_OK &&
        r->reason[0]) { /* no tunnel: what a site says behind one is its own */
        failed(r, refusal(r->reason), "egress did not connect: ", r->reason);
        return;
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        failed(r, E_TIMEOUT, "no whole answer in time", "");
        return;
    }
    if (code != CURLE_OK) {
        failed(r, E_NET, "", curl_easy_strerror(code));
        return;
    }
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(r->easy, CURLINFO_REDIRECT_URL, &to);
    if (to && !r->q.post.p && status >= 300 && status < 400)
        redirected(r, to);
    else
        answered(r, (int)status);
}

/* The one function that moves requests on. */
static void advance(struct fetcher *fr)
{
    int left;
    for (const CURLMsg *m; (m = curl_multi_info_read(fr->multi, &left));) {
        struct fetch *r = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode code = m->data.result;
        need(curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &r) == CURLE_OK && r);
        finished(r, code);
    }
}

/* ---- asking ---- */

err fetch_start(struct fetch **out, struct fetcher *fr, const struct fetch_request *q,
                void (*on_done)(void *ctx, const struct fetch_answer *a), void *ctx,
                struct fault *f)
{
    struct origin to;
    struct fetch *r = heap_new_of(struct fetch);
    CURLU *u = url_read(q->origin, &r->origin);
    err e = u ? E_OK
              : fail(f, E_BAD_INPUT, "'%.*s' is no place to ask",
                     (int)(q->origin.n > 100 ? 100 : q->origin.n), q->origin.p);
    curl_url_cleanup(u);
    r->q = *q;
    r->url = e ? NULL : url_read(q->url, &to);
    if (!e && !r->url)
        e = fail(f, E_BAD_INPUT, "this is no URL");
    if (!e && !may_ask(r, &to))
        e = fail(f, E_DENIED, "the job may not ask %.100s", to.host);
    if (e) {
        curl_url_cleanup(r->url);
        free(r);
        return e;
    }
    r->owner = fr;
    r->q.url = (struct span){copy_of(q->url), q->url.n};
    r->q.origin = SPAN_NONE;
    if (q->post.p)
        r->q.post = (struct span){copy_of(q->post), q->post.n};
    for (size_t i = 0; i < FETCH_HEADERS && q->headers[i]; i++)
        r->lines = curl_slist_append(r->lines, q->headers[i]);
    if (q->cookies.n) {
        char *text = copy_of(q->cookies);
        r->cookies = curl_slist_append(NULL, text);
        need(r->cookies);
        r->cookies->next = r->lines;
        secret_wipe(text, q->cookies.n);
        free(text);
    }
    r->q.cookies = SPAN_NONE;
    r->head = BUF(HEAD_MAX);
    r->body = BUF(fr->config.body_max);
    r->left_ms = q->timeout_ms;
    r->on_done = on_done;
    r->ctx = ctx;
    r->turn = timer_new(fr->loop, on_turn, r, "fetch.turn");
    r->found = q->keep_ms > 0 ? kept_find(fr, r->q.url.p) : NULL;
    list_add(&fr->requests, &r->node);
    r->interval_ms = q->interval_ms > 0 ? q->interval_ms : fr->config.interval_ms;
    if (r->found) {
        timer_start(r->turn, 0);
    } else if (!take_turn(r, &to)) {
        drop(r);
        return fail(f, E_THROTTLED, "%.80s: %s", to.host, TURN_FAR);
    }
    *out = r;
    return E_OK;
}

void fetch_cancel(struct fetch **handle)
{
    struct fetch *r = *handle;
    *handle = NULL;
    if (r)
        drop(r);
}

/* ---- life ---- */

/* A name that the kernel chooses, short enough for libcurl. */
static err listen_here(struct fetcher *fr, struct fault *f)
{
    struct sockaddr_un any = {.sun_family = AF_UNIX};
    fr->name_size = sizeof fr->name;
    fr->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fr->listener < 0 || pipe2(fr->life, O_CLOEXEC | O_NONBLOCK) != 0 ||
        bind(fr->listener, (struct sockaddr *)&any, sizeof any.sun_family) != 0 ||
        listen(fr->listener, BACKLOG) != 0 ||
        getsockname(fr->listener, (struct sockaddr *)&fr->name, &fr->name_size) != 0)
        return fail(f, E_OS, "the way to egress cannot be made: %s", strerrordesc_np(errno));
    return E_OK;
}

static void name_agent(struct fetcher *fr)
{
    struct buf b = BUF(sizeof fr->agent - 1);
    buf_fmt(&b, "Fulmar/%s", FULMAR_VERSION);
    if (fr->config.contact.n)
        buf_fmt(&b, " (+%.*s)", SP(fr->config.contact));
    span_copy(buf_span(&b), fr->agent, sizeof fr->agent);
    buf_free(&b);
}

static void open_multi(struct fetcher *fr)
{
    curl_begin();
    fr->multi = curl_multi_init();
    need(fr->multi);
    curl_multi_setopt(fr->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(fr->multi, CURLMOPT_SOCKETDATA, fr);
    curl_multi_setopt(fr->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(fr->multi, CURLMOPT_TIMERDATA, fr);
    curl_multi_setopt(fr->multi, CURLMOPT_MAXCONNECTS, (long)CONNS_KEPT);
    curl_multi_setopt(fr->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                      fr->config.host_connections ? (long)fr->config.host_connections
                                                  : (long)FETCH_AT_ONCE);
}

err fetcher_start(struct fetcher **out, struct loop *l, const struct fetch_config *config,
                  struct fault *f)
{
    struct fetcher *fr = heap_new_of(struct fetcher);
    *fr = (struct fetcher){.loop = l, .config = *config, .listener = -1, .life = {-1, -1}};
    list_init(&fr->requests);
    name_agent(fr);
    fr->tick = timer_new(l, on_tick, fr, "fetch.tick");
    open_multi(fr);
    err e = listen_here(fr, f);
    if (e) {
        fetcher_free(&fr);
        return e;
    }
    /* It may be there since before: a replaced node hears no hello. If it is away, it says hello. */
    fetcher_egress_hello(fr);
    *out = fr;
    return E_OK;
}

void fetcher_egress_hello(struct fetcher *fr)
{
    struct fault f = {0};
    if (egress_give_own(fr->config.egress_fd, fr->listener, fr->life[0], &f))
        log_warn("fetch.no_way_out", F_C("why", f.words));
}

void fetcher_free(struct fetcher **handle)
{
    struct fetcher *fr = *handle;
    if (!fr)
        return;
    list_each(&fr->requests, at, after)
    {
        drop(LIST_OF(at, struct fetch, node));
    }
    curl_multi_cleanup(fr->multi);
    curl_finish();
    timer_close(&fr->tick);
    for (size_t i = 0; i < KEPT; i++)
        kept_drop(&fr->kept[i]);
    for (size_t i = 0; i < 2; i++)
        if (fr->life[i] >= 0)
            close(fr->life[i]);
    if (fr->listener >= 0)
        close(fr->listener);
    free(fr);
    *handle = NULL;
}
