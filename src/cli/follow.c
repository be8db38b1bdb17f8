#include "cli/follow.h"

#include "os/clock.h"
#include "wire/sse.h"

#include <poll.h>

enum {
    FRAME_MAX = 1024 * 1024,
    SILENT_MS = 60 * 1000, /* the service sends a sign of life every 15 s */
    RETRY_MS = 300,
};

struct following {
    struct follow *f;
    struct sse_reader stream;
    struct json_parser *parser;
    mono heard; /* when the service last answered */
    bool enough, cut;
};

static void on_frame(void *ctx, int64_t id, struct span name, struct span data)
{
    (void)id;
    (void)name;
    struct following *w = ctx;
    struct json event;
    if (w->enough || json_parse(w->parser, data, &event, NULL))
        return;
    w->enough = !w->f->on_event(w->f->ctx, data, event);
}

static bool on_bytes(void *ctx, struct span bytes)
{
    struct following *w = ctx;
    w->heard = clock_mono();
    w->cut = false;
    bool fine = sse_read(&w->stream, bytes, on_frame, w) == E_OK;
    w->f->after = w->stream.last_id;
    return fine && !w->enough;
}

static bool on_tick(void *ctx)
{
    struct following *w = ctx;
    w->enough = w->enough || (w->f->on_tick && !w->f->on_tick(w->f->ctx));
    return !w->enough;
}

/* One connection, until it ends in whatever way. */
static err stream(struct following *w, struct client_answer *out, struct fault *fault)
{
    char path[120], position[60];
    snprintf(path, sizeof path, "/v1/events%s%s", w->f->id ? "?job=" : "",
             w->f->id ? w->f->id : "");
    snprintf(position, sizeof position, "Last-Event-ID: %lld", (long long)w->f->after);
    struct client_request q = {.method = "GET",
                               .path = path,
                               .headers = {w->f->after >= 0 ? position : NULL},
                               .stall_ms = SILENT_MS,
                               .on_bytes = on_bytes,
                               .on_tick = on_tick,
                               .ctx = w};
    /* What is left of a frame that was cut is no beginning of the next one. */
    sse_reader_fini(&w->stream);
    w->stream = sse_reader(FRAME_MAX);
    w->stream.last_id = w->stream.frame_id = w->f->after;
    return client_send(w->f->service->client, &q, out, fault);
}

/* A service that is starting, stopping or has too many streams is one that will answer later. */
static bool is_refused(const struct client_answer *a)
{
    return a->status >= 400 && a->status != 429 && a->status != 503 && a->status != 504;
}

static bool goes_on(struct following *w)
{
    struct follow *f = w->f;
    if (f->is_over && f->is_over(f->ctx))
        return false;
    if (!w->cut && f->on_cut)
        f->on_cut(f->ctx);
    w->cut = true;
    poll(NULL, 0, RETRY_MS);
    return on_tick(w);
}

static int read_all(struct following *w)
{
    for (;;) {
        struct client_answer answer;
        struct fault fault = {0};
        err e = stream(w, &answer, &fault);
        if (w->enough) {
            buf_free(&answer.body);
            return EXIT_DONE;
        }
        if (!e && is_refused(&answer)) {
            int code = cli_problem(&answer);
            buf_free(&answer.body);
            return code;
        }
        buf_free(&answer.body);
        if (service_died(w->f->service))
            return w->f->service->code;
        if (clock_mono().ms - w->heard.ms > w->f->patience_ms) {
            cli_say("%s", fault.words[0] ? fault.words : err_text(e ? e : E_NET));
            return cli_exit_of(e ? e : E_NET);
        }
        if (!goes_on(w))
            return EXIT_DONE;
    }
}

int follow_events(struct follow *f)
{
    struct following w = {.f = f, .stream = sse_reader(FRAME_MAX), .heard = clock_mono()};
    w.parser = json_parser_new(FRAME_MAX);
    int code = read_all(&w);
    sse_reader_fini(&w.stream);
    json_parser_free(&w.parser);
    return code;
}
