#include "net/client.h"

#include "base/arena.h"
#include "base/need.h"
#include "net/curl.h"
#include "os/clock.h"

enum {
    TICK_MS = 100,
    CONNECT_MS = 5000,
    PATH_MAX_BYTES = 108,
};

struct client {
    CURLM *multi;
    CURL *easy;
    char base[300];   /* "http://localhost" or what was given, no slash at the end */
    char socket[256]; /* path of the Unix socket; empty = TCP */
    char shown[300];  /* for words */
    void (*on_exchange)(void *ctx, const struct client_exchange *x); /* NULL: nobody watches */
    void *exchange_ctx;
};

struct transfer {
    struct client *client;
    const struct client_request *request;
    struct client_answer *answer;
    mono last_byte;
    bool stopped;
};

err client_open(struct client **out, struct span server, struct fault *f)
{
    struct client *c = heap_new_of(struct client);
    span_copy(server, c->shown, sizeof c->shown);
    if (span_starts(server, SPAN("unix:")) && server.n > 5 && server.n - 5 < PATH_MAX_BYTES) {
        span_copy(span_cut(server, 5, server.n), c->socket, sizeof c->socket);
        snprintf(c->base, sizeof c->base, "http://localhost");
    } else if ((span_starts(server, SPAN("http://")) ||
                span_starts(server, SPAN("https://"))) &&
               server.n < sizeof c->base) {
        struct span base = server;
        while (base.n && base.p[base.n - 1] == '/')
            base.n--;
        span_copy(base, c->base, sizeof c->base);
    } else {
        free(c);
        return fail(f, E_BAD_INPUT, "server must be unix:/path or http://host:port, not '%.*s'",
                    (int)(server.n < 120 ? server.n : 120), server.p);
    }
    curl_begin();
    c->multi = curl_multi_init();
    c->easy = curl_easy_init();
    need(c->multi && c->easy);
    *out = c;
    return E_OK;
}

void client_close(struct client **handle)
{
    struct client *c = *handle;
    if (!c)
        return;
    curl_easy_cleanup(c->easy);
    curl_multi_cleanup(c->multi);
    curl_finish();
    free(c);
    *handle = NULL;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    struct span line = {bytes, size * count};
    size_t colon = span_find_char(line, ':');
    struct span name = span_cut(line, 0, colon),
                value = span_trim(span_cut(line, colon + 1, line.n));
    int64_t number;
    t->last_byte = clock_mono();
    if (colon < line.n && span_eq_nocase(name, SPAN("ETag")))
        span_copy(value, t->answer->etag, sizeof t->answer->etag);
    if (colon == line.n || !span_int(value, &number) || number < 0)
        return line.n;
    if (span_eq_nocase(name, SPAN("Retry-After")))
        t->answer->retry_after_s = number;
    else if (span_eq_nocase(name, SPAN("Next-After")))
        t->answer->next_after = number;
    return line.n;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    struct span piece = {bytes, size * count};
    long status = 0;
    t->last_byte = clock_mono();
    curl_easy_getinfo(t->client->easy, CURLINFO_RESPONSE_CODE, &status);
    if (t->request->on_bytes && status >= 200 && status < 300) {
        if (t->request->on_bytes(t->request->ctx, piece))
            return piece.n;
        t->stopped = true;
        return 0;
    }
    buf_add(&t->answer->body, piece);
    return t->answer->body.failed ? 0 : piece.n;
}

static struct curl_slist *headers_of(const struct client_request *q)
{
    struct curl_slist *list = NULL;
    bool typed = q->headers[0] && span_starts(span_of(q->headers[0]), SPAN("Content-Type:"));
    if (q->body.n) {
        if (!typed)
            list = curl_slist_append(list, "Content-Type: application/json");
        list = curl_slist_append(list, "Expect:"); /* the body is small: no extra turn */
    }
    for (size_t i = 0; i < sizeof q->headers / sizeof q->headers[0] && q->headers[i]; i++)
        list = curl_slist_append(list, q->headers[i]);
    return list;
}

static void set_up(struct client *c, struct transfer *t, const char *url,
                   struct curl_slist *headers)
{
    const struct client_request *q = t->request;
    CURL *h = c->easy;
    curl_easy_reset(h);
    curl_easy_setopt(h, CURLOPT_URL, url);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_PROXY,
                     ""); /* the service is ours: whatever the environment says */
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_USERAGENT, "fulmar");
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    if (q->timeout_ms > 0)
        curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)q->timeout_ms);
    if (c->socket[0])
        curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, c->socket);
    curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, q->method);
    if (strcmp(q->method, "HEAD") == 0)
        curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
    if (q->body.n || strcmp(q->method, "POST") == 0) {
        curl_easy_setopt(h, CURLOPT_POST, 1L);
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, q->body.n ? q->body.p : "");
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE, (long)q->body.n);
    }
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, t);
}

static err explain(const struct transfer *t, CURLcode code, struct fault *f)
{
    const char *who = t->client->shown;
    switch (code) {
    case CURLE_OK:
        return E_OK;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        return fail(f, E_NET, "no service answers at %.150s", who);
    case CURLE_OPERATION_TIMEDOUT:
        return fail(f, E_TIMEOUT, "%.150s did not answer in time", who);
    case CURLE_WRITE_ERROR:
        if (t->stopped)
            return E_CANCELLED;
        return fail(f, E_TOO_BIG, "%.150s answered more than was expected", who);
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
        return fail(f, E_NET, "the connection to %.150s broke", who);
    default:
        return fail(f, E_PROTOCOL, "%.150s: %s", who, curl_easy_strerror(code));
    }
}

/* Runs the transfer to its end; E_CANCELLED and E_TIMEOUT are ours. */
static err drive(struct transfer *t, struct fault *f)
{
    struct client *c = t->client;
    for (;;) {
        int running = 0, left;
        need(curl_multi_perform(c->multi, &running) == CURLM_OK);
        const CURLMsg *message = curl_multi_info_read(c->multi, &left);
        if (message && message->msg == CURLMSG_DONE)
            return explain(t, message->data.result, f);
        if (t->request->on_tick && !t->request->on_tick(t->request->ctx))
            return E_CANCELLED;
        int64_t silent_ms = clock_mono().ms - t->last_byte.ms;
        if (t->request->stall_ms > 0 && silent_ms > t->request->stall_ms)
            return fail(f, E_TIMEOUT, "%.150s has been silent for %lld s", c->shown,
                        (long long)(silent_ms / 1000));
        curl_multi_poll(c->multi, NULL, 0, TICK_MS, NULL);
    }
}

void client_watch(struct client *c,
                  void (*on_exchange)(void *ctx, const struct client_exchange *x), void *ctx)
{
    c->on_exchange = on_exchange;
    c->exchange_ctx = ctx;
}

err client_send(struct client *c, const struct client_request *q, struct client_answer *out,
                struct fault *f)
{
    *out = (struct client_answer){.body = BUF(q->body_max ? q->body_max : 1024 * 1024),
                                  .next_after = -1};
    struct transfer t = {.client = c, .request = q, .answer = out, .last_byte = clock_mono()};
    struct buf url = BUF(8192);
    buf_fmt(&url, "%s%s", c->base, q->path);
    buf_add_char(&url, '\0');
    if (url.failed) {
        buf_free(&url);
        return fail(f, E_TOO_BIG, "the request's path is too long");
    }
    mono began = clock_mono();
    struct curl_slist *headers = headers_of(q);
    set_up(c, &t, url.p, headers);
    need(curl_multi_add_handle(c->multi, c->easy) == CURLM_OK);
    err e = drive(&t, f);
    long status = 0;
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    out->status = (int)status;
    curl_multi_remove_handle(c->multi, c->easy);
    curl_slist_free_all(headers);
    buf_free(&url);
    if (c->on_exchange)
        c->on_exchange(c->exchange_ctx,
                       &(struct client_exchange){q, out, e, clock_mono().ms - began.ms});
    return e;
}
