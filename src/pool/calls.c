/* calls.c - what a worker may ask for: only what the pack and the job's own target allow. */
#include "pool/inside.h"

#include "base/json.h"
#include "extract/media.h"
#include "os/faults.h"
#include "wire/cookies.h"

enum {
    ROBOTS_KEEP_MS = 24 * 3600 * 1000, /* RFC 9309: not longer */
    TURN_MOST_MS =
        240 * 1000, /* a host whose turn is later is not waited for; the worker waits longer */
};

static int64_t stall_ms(const struct slot *s)
{
    return s->lease.stall_ms ? s->lease.stall_ms : s->pool->config.stall_ms;
}

void slot_progress(struct slot *s)
{
    if (slot_has_job(s))
        timer_start(s->stall, stall_ms(s));
}

bool slot_waits_for_turn(struct slot *s)
{
    int64_t turn_ms = s->fetch ? fetch_turn_ms(s->fetch) : 0;
    if (turn_ms > 0)
        timer_start(s->stall, turn_ms + stall_ms(s));
    return turn_ms > 0;
}

/* ---- of its tab ---- */

/* Only pages of the site: its base URL, or https on one of its hosts. */
static bool url_allowed(const struct slot *s, struct span url)
{
    struct span base = s->site.base_url.n ? s->site.base_url : pack_base_url(s->site.pack);
    if (span_starts(url, base) &&
        (url.n == base.n || url.p[base.n] == '/' || url.p[base.n] == '?'))
        return true;
    return false;
}

static void refuse(struct slot *s, int64_t call, err e, struct span words)
{
    slot_tell(s, &(struct frame){.type = FRAME_REPLY, .n = {call, e}, .t = {words}});
}

static void call_tab(struct slot *s, const struct frame *f, const char *method,
                     struct span params)
{
    int64_t timeout_ms = f->n[1] < 1 ? 1 : f->n[1] > 600000 ? 600000 : f->n[1];
    if (!s->tab_open || s->tab_gone) {
        refuse(s, f->n[0], E_PAGE_GONE, SPAN("the tab is gone"));
        return;
    }
    err e = tab_call(s->tab, (uint32_t)f->n[0], method, params, timeout_ms);
    if (e)
        refuse(s, f->n[0], e, span_of(err_text(e)));
}

/* Frees `params`. */
static void call_tab_with(struct slot *s, const struct frame *f, const char *method,
                          struct buf *params)
{
    struct span text;
    if (buf_end(params, &text))
        refuse(s, f->n[0], E_TOO_BIG, SPAN_NONE);
    else
        call_tab(s, f, method, text);
    buf_free(params);
}

static void call_with_text(struct slot *s, const struct frame *f, const char *method,
                           const char *member, struct span text)
{
    struct buf b = BUF(256 * 1024);
    struct json_w w = json_w(&b);
    struct span params;
    json_open(&w);
    json_kv_text(&w, member, text);
    json_close(&w);
    if (buf_end(&b, &params))
        refuse(s, f->n[0], E_TOO_BIG, SPAN_NONE);
    else
        call_tab(s, f, method, params);
    buf_free(&b);
}

static void evaluate(struct slot *s, const struct frame *f)
{
    struct span expression = pack_expression(s->site.pack, f->t[0]);
    struct buf b = BUF(256 * 1024);
    struct json_w w = json_w(&b);
    if (!expression.n) {
        refuse(s, f->n[0], E_DENIED, SPAN("the pack has no such expression"));
        return;
    }
    json_open(&w);
    json_kv_text(&w, "expression", expression);
    if (f->n[2] > 0)
        json_kv_int(&w, "contextId", f->n[2]);
    json_kv_bool(&w, "returnByValue", true);
    json_kv_bool(&w, "awaitPromise", true); /* "settled" says it when the page does */
    json_kv_int(&w, "timeout", 1000);
    json_close(&w);
    call_tab_with(s, f, "Runtime.evaluate", &b);
}

/* A step of node's own before the worker's call: it is answered first, and what it says counts. */
static void watch_step(struct slot *s, const char *method, struct span params)
{
    if (s->watch_failed)
        return;
    if (!s->tab_open || s->tab_gone)
        s->watch_failed = E_PAGE_GONE;
    else
        s->watch_failed = tab_call(s->tab, WATCH_STEP, method, params, 5000);
}

/* The expression runs in a world of its own in every document from now on, and only that world gets
 * the function by which it speaks: a page that calls it by name calls nothing. */
static void watch(struct slot *s, const struct frame *f)
{
    struct span expression = pack_expression(s->site.pack, f->t[0]);
    struct buf b = BUF(256 * 1024);
    struct json_w w = json_w(&b);
    if (!expression.n) {
        refuse(s, f->n[0], E_DENIED, SPAN("the pack has no such expression"));
        return;
    }
    s->watching = true;
    s->watch_call = (uint32_t)f->n[0];
    s->watch_failed = E_OK;
    /* Without it the function does not reach new documents. */
    watch_step(s, "Runtime.enable", SPAN("{}"));
    watch_step(
        s, "Runtime.addBinding",
        SPAN("{\"name\":\"" WATCH_HAND "\",\"executionContextName\":\"" WATCH_WORLD "\"}"));
    json_open(&w);
    json_kv_text(&w, "source", expression);
    json_kv_cstr(&w, "worldName", WATCH_WORLD);
    json_close(&w);
    call_tab_with(s, f, "Page.addScriptToEvaluateOnNewDocument", &b);
}

static void intercept(struct slot *s, const struct frame *f)
{
    struct buf b = BUF(16 * 1024);
    struct json_w w = json_w(&b);
    if (!f->t[0].n) {
        call_tab(s, f, "Fetch.disable", SPAN("{}"));
        return;
    }
    json_open(&w);
    json_key(&w, "patterns");
    json_open_array(&w);
    json_open(&w);
    json_kv_text(&w, "urlPattern", f->t[0]);
    json_kv_cstr(&w, "requestStage", "Request");
    json_close(&w);
    json_close_array(&w);
    json_close(&w);
    call_tab_with(s, f, "Fetch.enable", &b);
}

static void go_on(struct slot *s, const struct frame *f)
{
    struct buf b = BUF(128 * 1024);
    struct json_w w = json_w(&b);
    if (f->t[2].n && !url_allowed(s, f->t[2])) {
        refuse(s, f->n[0], E_DENIED, SPAN("URL is not the site's"));
        return;
    }
    json_open(&w);
    json_kv_text(&w, "requestId", f->t[0]);
    if (f->t[2].n)
        json_kv_text(&w, "url", f->t[2]);
    json_close(&w);
    call_tab_with(s, f, "Fetch.continueRequest", &b);
}

/* ---- without a browser ---- */

static void answer_fetch(struct slot *s, int64_t call, const struct fetch_answer *a)
{
    struct frame f = {.type = FRAME_FETCHED, .n = {call, a->failed, a->status}};
    f.t[0] = a->failed ? span_of(a->words) : a->url;
    if (!a->failed) {
        f.t[1] = a->headers;
        f.t[2] = a->body;
    }
    if (!frame_fits(&f))
        f = (struct frame){.type = FRAME_FETCHED,
                           .n = {call, E_TOO_BIG},
                           .t = {SPAN("the answer is larger than a frame")}};
    slot_tell(s, &f);
}

static void on_fetched(void *ctx, const struct fetch_answer *a)
{
    struct slot *s = slot_of(ctx);
    s->fetch = NULL;
    if (s->state != SLOT_RUNNING && s->state != SLOT_STOPPING)
        return;
    slot_progress(s);
    slot_meter_request(s, (int64_t)(a->head.n + a->body.n));
    answer_fetch(s, s->fetch_call, a);
}

/* robots.txt of a host of media files, for a job that fetches them. */
static err start_media_robots(struct slot *s, const struct frame *f, struct fault *why)
{
    struct buf url = BUF(4096);
    struct fetch_request q = {
        .timeout_ms = f->n[1], .turn_most_ms = TURN_MOST_MS, .keep_ms = ROBOTS_KEEP_MS};
    struct span origin = media_origin(f->t[1]);
    if (!slot_wants_media(s) ||
        !pack_media_origin(s->site.pack, origin,
                           pack_target_host(s->site.pack, s->lease.kind, s->lease.target)) ||
        !span_is(span_cut(f->t[1], origin.n, f->t[1].n), "/robots.txt"))
        return fail(why, E_DENIED, "this is no host of media files");
    slot_media_url(s, f->t[1], &url);
    q.url = buf_span(&url);
    q.origin = media_origin(q.url);
    q.interval_ms = s->pool->config.media.interval_ms;
    s->fetch_call = f->n[0];
    err e = fetch_start(&s->fetch, s->pool->config.fetcher, &q, on_fetched, s, why);
    buf_free(&url);
    return e;
}

/* The instance that the URL lies on; empty when on none. */
static struct span instance_of(const struct slot *s, struct span url)
{
    struct span rest = s->site.instances, word;
    while (span_next(&rest, ' ', &word)) {
        struct span base = span_cut(word, span_find_char(word, '=') + 1, word.n);
        if (base.n && span_starts(url, base) &&
            (url.n == base.n || url.p[base.n] == '/' || url.p[base.n] == '?'))
            return base;
    }
    return SPAN_NONE;
}

/* Only the site: what the pack and the job's own target say, whatever the worker asks. What a site
 * asks of robots is worth keeping. */
static err start_fetch(struct slot *s, const struct frame *f, struct fault *why)
{
    struct buf base = BUF(4096);
    struct fetch_request q = {
        .url = f->t[1], .timeout_ms = f->n[1], .turn_most_ms = TURN_MOST_MS};
    if (s->fetch)
        return fail(why, E_BUSY, "one request at a time");
    if (slot_bounds_spent(s))
        return fail(why, E_END, "a budget of the job is used up");
    if (q.timeout_ms < 1 || q.timeout_ms > 600000)
        return fail(why, E_BAD_INPUT, "the time for the request is out of range");
    if (span_is(f->t[0], "media"))
        return start_media_robots(s, f, why);
    err e =
        pack_base(s->site.pack, s->lease.kind, s->lease.target, s->site.base_url, &base, why);
    struct span instance = instance_of(s, q.url);
    q.origin = instance.n ? instance : buf_span(&base);
    q.host_count = pack_hosts(s->site.pack, &q.hosts);
    q.any_redirect = pack_any_redirect(s->site.pack);
    bool robots = span_is(f->t[0], "robots") && span_ends(f->t[1], SPAN("/robots.txt"));
    struct buf cookies = BUF(COOKIES_TEXT_MAX);
    if (robots)
        q.keep_ms = ROBOTS_KEEP_MS;
    else if (!instance.n)
        slot_login_header(s, q.url, &cookies);
    q.cookies = buf_span(&cookies);
    s->fetch_call = f->n[0];
    if (!e)
        e = fetch_start(&s->fetch, s->pool->config.fetcher, &q, on_fetched, s, why);
    secret_wipe_buf(&cookies);
    buf_free(&base);
    return e;
}

static void fetch(struct slot *s, const struct frame *f)
{
    struct fault why = {0};
    fault_point("node.fetch");
    slot_progress(s);
    err e = start_fetch(s, f, &why);
    if (e)
        answer_fetch(s, f->n[0], &(struct fetch_answer){.failed = e, .words = why.words});
}

/* ---- the call ---- */

bool slot_call(struct slot *s, const struct frame *f)
{
    switch ((int)f->type) {
    case FRAME_GOTO:
        fault_point("node.goto");
        slot_progress(s);
        if (slot_bounds_spent(s))
            refuse(s, f->n[0], E_END, SPAN("a budget of the job is used up"));
        else if (url_allowed(s, f->t[0]))
            call_with_text(s, f, "Page.navigate", "url", f->t[0]);
        else
            refuse(s, f->n[0], E_DENIED, SPAN("URL is not the site's"));
        return true;
    case FRAME_BODY:
        fault_point("node.body");
        call_with_text(s, f, "Network.getResponseBody", "requestId", f->t[0]);
        return true;
    case FRAME_EVAL:
        evaluate(s, f);
        return true;
    case FRAME_WATCH:
        watch(s, f);
        return true;
    case FRAME_STOP_LOADING:
        call_tab(s, f, "Page.stopLoading", SPAN("{}"));
        return true;
    case FRAME_INTERCEPT:
        intercept(s, f);
        return true;
    case FRAME_CONTINUE:
        go_on(s, f);
        return true;
    case FRAME_FETCH:
        fetch(s, f);
        return true;
    case FRAME_DOWNLOAD:
        slot_download(s, f);
        return true;
    default:
        return false;
    }
}
