#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/need.h"
#include "browser/inside.h"
#include "core/metrics.h"

enum {
    WIDTH = 1280,
    HEIGHT = 2000,
    FLOOD_WINDOW_MS = 10000,
    FLOOD_BYTES = 160 << 20, /* of events in the window: no honest page pushes that */
    BUFFER_FACTOR = 8,       /* bodies kept by the browser until we ask, in body_max */
};

static void dispose(struct tab *t);

static mono now_of(const struct tab *t)
{
    return loop_now(t->browser->fleet->loop);
}

static bool keep_id(char *to, struct span id)
{
    if (id.n == 0 || id.n >= ID_SIZE)
        return false;
    span_copy(id, to, ID_SIZE);
    return true;
}

static err ask(struct tab *t, struct span session, const char *method, struct span params,
               broker_answer *on_answer)
{
    return browser_ask(t->browser, t, session, method, params,
                       t->browser->fleet->config.command_timeout_ms, on_answer, t, 0);
}

/* ---- preparing ---- */

static void prepared(struct tab *t)
{
    if (t->browser->preparing == t)
        t->browser->preparing = NULL;
    browsers_soon(t->browser->fleet);
}

/* A step failed: the context (if there is one) goes, the owner hears of it at on_ready. */
static void prepare_failed(struct tab *t, err e, const char *step, struct span payload)
{
    struct span said = SPAN_NONE;
    char words[WORDS_SIZE];
    cdp_member_text(payload, "message", &said);
    snprintf(words, sizeof words, "%s: %s%s%.*s", step, err_text(e), said.n ? ": " : "",
             SP(span_cut(said, 0, 80)));
    log_warn("browser.tab_not_ready", F_N("slot", t->browser->slot), F_X("result", e),
             F_C("words", words));
    /* A context whose id never came cannot be disposed of, and a browser that does not answer
     * here will not answer elsewhere: look closer now, replace it soon. */
    t->browser->worn = "probe_failed";
    t->browser->prepare_after = mono_add(now_of(t), 1000);
    t->browser->probe.next = now_of(t);
    tab_gone(t, E_BROWSER_GONE, words);
}

void tab_mapped(struct browser *b)
{
    struct tab *t = b->preparing;
    if (!t || t->state != TAB_SETUP || t->setup_left > 0)
        return;
    t->state = TAB_OPEN;
    prepared(t);
}

static void on_setup(void *ctx, uint32_t tag, err e, struct span payload)
{
    (void)tag;
    struct tab *t = ctx;
    t->setup_left--;
    if (t->state != TAB_SETUP)
        return;
    if (e && !t->setup_failed) {
        struct span said = SPAN_NONE;
        cdp_member_text(payload, "message", &said);
        snprintf(t->setup_words, sizeof t->setup_words, "%.*s", SP(span_cut(said, 0, 120)));
        t->setup_failed = e;
    }
    if (t->setup_left > 0)
        return;
    /* The barrier: every set-up command is answered. */
    if (t->setup_failed) {
        prepare_failed(t, t->setup_failed,
                       t->setup_words[0] ? t->setup_words : "setting the page up", SPAN_NONE);
        return;
    }
    memory_ask(t->browser, true);
}

static err set_up_one(struct tab *t, struct span session, const char *method,
                      struct span params)
{
    err e = ask(t, session, method, params, on_setup);
    if (!e)
        t->setup_left++;
    return e;
}

static void set_up(struct tab *t)
{
    const struct browsers *f = t->browser->fleet;
    struct span session = span_of(t->session);
    char network[160], download[160];
    int64_t body = f->config.body_max;
    snprintf(network, sizeof network,
             "{\"maxTotalBufferSize\":%" PRId64 ",\"maxResourceBufferSize\":%" PRId64 "}",
             body * BUFFER_FACTOR, body);
    snprintf(download, sizeof download, "{\"behavior\":\"deny\",\"browserContextId\":\"%s\"}",
             t->context);
    const struct {
        struct span session;
        const char *method;
        struct span params;
    } batch[] = {
        {SPAN_NONE, "Browser.setDownloadBehavior", span_of(download)},
        {session, "Page.enable", SPAN_NONE},
        {session, "Network.enable", span_of(network)},
        /* Otherwise answers come from a service worker and their bodies are missed. */
        {session, "Network.setBypassServiceWorker", SPAN("{\"bypass\":true}")},
        {session, "Network.setBlockedURLs", span_of(f->blocked_json)},
        {session, "Emulation.setFocusEmulationEnabled", SPAN("{\"enabled\":true}")},
    };
    t->state = TAB_SETUP;
    err e = E_OK;
    for (size_t i = 0; !e && i < sizeof batch / sizeof *batch; i++)
        e = set_up_one(t, batch[i].session, batch[i].method, batch[i].params);
    if (e)
        prepare_failed(t, e, "setting the page up", SPAN_NONE);
}

static void on_attached(void *ctx, uint32_t tag, err e, struct span payload)
{
    (void)tag;
    struct tab *t = ctx;
    struct span id;
    if (t->state != TAB_ATTACH)
        return;
    if (!e && (!cdp_member_text(payload, "sessionId", &id) || !keep_id(t->session, id)))
        e = E_PROTOCOL;
    if (e)
        prepare_failed(t, e, "attaching to the page", payload);
    else
        set_up(t);
}

static void on_target(void *ctx, uint32_t tag, err e, struct span payload)
{
    (void)tag;
    struct tab *t = ctx;
    struct span id;
    char params[160];
    if (t->state != TAB_TARGET)
        return;
    if (!e && (!cdp_member_text(payload, "targetId", &id) || !keep_id(t->target, id)))
        e = E_PROTOCOL;
    if (!e) {
        t->state = TAB_ATTACH;
        snprintf(params, sizeof params, "{\"targetId\":\"%s\",\"flatten\":true}", t->target);
        e = ask(t, SPAN_NONE, "Target.attachToTarget", span_of(params), on_attached);
    }
    if (e)
        prepare_failed(t, e, "opening a page", payload);
}

static void on_context(void *ctx, uint32_t tag, err e, struct span payload)
{
    (void)tag;
    struct tab *t = ctx;
    struct span id;
    char params[200];
    t->context_asked = false;
    if (!e && (!cdp_member_text(payload, "browserContextId", &id) || !keep_id(t->context, id)))
        e = E_PROTOCOL;
    if (t->state != TAB_CONTEXT) {
        /* Closed meanwhile; now there is something to dispose of. */
        if (t->state == TAB_DISPOSE)
            dispose(t);
        return;
    }
    if (!e) {
        t->state = TAB_TARGET;
        snprintf(
            params, sizeof params,
            "{\"url\":\"about:blank\",\"browserContextId\":\"%s\",\"width\":%d,\"height\":%d}",
            t->context, WIDTH, HEIGHT);
        e = ask(t, SPAN_NONE, "Target.createTarget", span_of(params), on_target);
    }
    if (e)
        prepare_failed(t, e, "making a context", payload);
}

/* One at a time, so that a new renderer process tells whose it is. */
void tab_prepare_next(struct browser *b)
{
    if (b->preparing || !browser_takes_calls(b))
        return;
    list_each(&b->tabs, at, after)
    {
        struct tab *t = LIST_OF(at, struct tab, node);
        if (t->state != TAB_QUEUED)
            continue;
        b->preparing = t;
        if (++b->prepare_number == 0)
            b->prepare_number = 1;
        b->fresh_after = b->renderer_order;
        t->state = TAB_CONTEXT;
        err e = ask(t, SPAN_NONE, "Target.createBrowserContext",
                    SPAN("{\"disposeOnDetach\":true}"), on_context);
        t->context_asked = e == E_OK;
        if (e)
            prepare_failed(t, e, "making a context", SPAN_NONE);
        return;
    }
}

struct tab *tab_new(struct browser *b, const struct tab_face *face, void *ctx, bool probe)
{
    struct tab *t = heap_new_of(struct tab);
    t->browser = b;
    t->face = face;
    t->ctx = ctx;
    t->probe = probe;
    t->cost = (struct tab_cost){-1, -1};
    list_add(&b->tabs, &t->node);
    tab_prepare_next(b);
    return t;
}

void tab_take(struct tab *t, const struct tab_face *face, void *ctx)
{
    t->face = face;
    t->ctx = ctx;
    browsers_soon(t->browser->fleet);
}

/* ---- the end ---- */

static void tell_gone(struct tab *t)
{
    if (!t->face || !t->ready_told || t->gone_told || t->close_asked)
        return;
    t->gone_told = true;
    if (t->face->on_gone)
        t->face->on_gone(t->ctx, t->gone, t->gone_words);
}

void tab_gone(struct tab *t, err e, const char *words)
{
    if (t->gone)
        return;
    /* Before it was handed over nothing is the fault of the job that waits for it. */
    t->gone = t->ready_told || e == E_SHUTDOWN ? e : E_BROWSER_GONE;
    snprintf(t->gone_words, sizeof t->gone_words, "%s", words);
    prepared(t);
    /* A crashed page never answers: whoever waits hears it here, first of all. */
    if (!t->close_asked)
        broker_end_owner(t->browser->broker, t, t->gone);
    tell_gone(t);
    if (t->state < TAB_DISPOSE && !t->close_asked)
        dispose(t);
}

void tab_lost(struct tab *t, const char *words)
{
    if (t->state == TAB_CLOSED)
        return;
    t->state = TAB_LOST;
    tab_gone(t, t->browser->fleet->stopping ? E_SHUTDOWN : E_BROWSER_GONE, words);
    broker_forget_owner(t->browser->broker, t);
    browsers_soon(t->browser->fleet);
}

static void closed(struct tab *t)
{
    t->state = TAB_CLOSED;
    memory_forget_tab(t->browser, t);
    browsers_soon(t->browser->fleet);
}

/* The browser answered and the renderer is gone: the place is free. */
static void check_closed(struct tab *t)
{
    if (t->state != TAB_DISPOSE && t->state != TAB_RENDERER)
        return;
    if (t->disposed && memory_renderers_of(t->browser, t) == 0)
        closed(t);
    else if (t->disposed)
        t->state = TAB_RENDERER;
}

void tab_renderer_ended(struct tab *t)
{
    check_closed(t);
}

static void on_disposed(void *ctx, uint32_t tag, err e, struct span payload)
{
    (void)tag;
    (void)payload;
    struct tab *t = ctx;
    if (t->state != TAB_DISPOSE)
        return;
    /* A refusal means that there is no such context: that is as good. */
    t->disposed = e == E_OK || e == E_PROTOCOL;
    check_closed(t);
}

/* Always, whatever happened. Answers of the page do not matter any more. */
static void dispose(struct tab *t)
{
    const struct browsers_config *config = &t->browser->fleet->config;
    char params[160];
    bool nothing = t->state == TAB_QUEUED;
    t->state = TAB_DISPOSE;
    t->deadline = mono_add(now_of(t), config->dispose_timeout_ms);
    prepared(t);
    if (nothing) {
        t->disposed = true;
        check_closed(t);
        return;
    }
    if (t->context_asked)
        return; /* on_context comes back here */
    broker_forget_owner(t->browser->broker, t);
    if (!t->context[0]) {
        t->disposed = true; /* its id never came; the browser is worn and will be replaced */
        check_closed(t);
        return;
    }
    snprintf(params, sizeof params, "{\"browserContextId\":\"%s\"}", t->context);
    err e =
        browser_ask(t->browser, t, SPAN_NONE, "Target.disposeBrowserContext", span_of(params),
                    config->dispose_timeout_ms + KILL_WAIT_MS, on_disposed, t, 0);
    if (e)
        log_warn("browser.not_disposed", F_N("slot", t->browser->slot), F_X("result", e));
}

struct tab_cost tab_cost(struct tab *t)
{
    if (t->state == TAB_OPEN)
        memory_cost(t->browser, t);
    return t->cost;
}

void tab_look(struct tab *t, struct tab_view *out)
{
    static const char *const states[] = {
        [TAB_QUEUED] = "queued",   [TAB_CONTEXT] = "context",   [TAB_TARGET] = "target",
        [TAB_ATTACH] = "attach",   [TAB_SETUP] = "setup",       [TAB_OPEN] = "open",
        [TAB_DISPOSE] = "dispose", [TAB_RENDERER] = "renderer", [TAB_LOST] = "lost",
        [TAB_CLOSED] = "closed"};
    *out = (struct tab_view){.state = states[t->state],
                             .open_calls = t->calls,
                             .browser = t->browser->slot + 1,
                             .renderers = (int)memory_renderers_of(t->browser, t),
                             .cost = tab_cost(t)};
    memcpy(out->context, t->context, sizeof out->context);
    memcpy(out->target, t->target, sizeof out->target);
    memcpy(out->session, t->session, sizeof out->session);
}

void tab_close(struct tab *t)
{
    need(t->face && !t->close_asked);
    t->close_asked = true;
    if (t->state < TAB_DISPOSE)
        dispose(t);
    else
        browsers_soon(t->browser->fleet);
}

/* The ladder: dispose → its renderer is killed → the browser is. */
static void climb(struct tab *t, mono now)
{
    if (!mono_past(t->deadline, now))
        return;
    if (!t->renderer_killed) {
        log_warn("browser.renderer_killed", F_N("slot", t->browser->slot),
                 F_N("disposed", t->disposed),
                 F_N("renderers", memory_renderers_of(t->browser, t)));
        t->renderer_killed = true;
        t->deadline = mono_add(now, KILL_WAIT_MS);
        memory_kill_of(t->browser, t);
        return;
    }
    browser_kill(t->browser, "hang", "a context was not disposed of in time");
}

bool tab_step(struct tab *t, mono now)
{
    if ((t->state == TAB_DISPOSE || t->state == TAB_RENDERER) &&
        browser_takes_calls(t->browser))
        climb(t, now);
    /* Nothing below may be told from inside a call of the owner, so it is told here. */
    bool known = t->state == TAB_OPEN || t->gone;
    if (t->face && known && !t->ready_told && !t->close_asked) {
        t->ready_told = true;
        t->gone_told = t->gone != E_OK;
        t->face->on_ready(t->ctx, t->gone, t->gone ? t->gone_words : "");
    }
    if (t->state == TAB_LOST && t->browser->state == BROWSER_GONE)
        t->state = TAB_CLOSED;
    if (t->state != TAB_CLOSED || (t->face && !t->close_asked))
        return false;
    if (t->face)
        t->face->on_closed(t->ctx);
    t->browser->fleet->capacity_grew = true;
    tab_free(t);
    return true;
}

void tab_free(struct tab *t)
{
    struct browser *b = t->browser;
    if (b->preparing == t)
        b->preparing = NULL;
    if (b->broker)
        broker_forget_owner(b->broker, t);
    memory_forget_tab(b, t);
    list_remove(&t->node);
    free(t);
}

/* ---- talking ---- */

/* What a page's session may be asked. The rest reaches beyond the page: other contexts, files
 * of this machine, the browser itself. */
static bool method_allowed(struct span method)
{
    static const char *const domains[] = {
        "Page.",        "Runtime.", "Network.",     "DOM.",          "Input.",
        "Emulation.",   "Storage.", "Performance.", "Fetch.",        "Log.",
        "DOMSnapshot.", "CSS.",     "Inspector.",   "Accessibility."};
    static const char *const refused[] = {"Page.setDownloadBehavior",
                                          "DOM.setFileInputFiles",
                                          "DOM.getFileInfo",
                                          "Network.loadNetworkResource",
                                          "Page.close",
                                          "Network.setBypassServiceWorker"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (span_is(method, refused[i]))
            return false;
    }
    for (size_t i = 0; i < method.n; i++) {
        char c = method.p[i];
        if (c != '.' && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && !(c >= '0' && c <= '9'))
            return false;
    }
    for (size_t i = 0; i < sizeof domains / sizeof *domains; i++) {
        if (span_starts(method, span_of(domains[i])))
            return true;
    }
    return false;
}

/* file: shows files of this machine, chrome: crashes or hangs on request. The last "url" would
 * win in the browser, so there may be one only, and its key must be plain. */
static bool navigation_allowed(struct span params)
{
    struct span url, rest = params;
    if (!cdp_member_text(params, "url", &url))
        return false;
    size_t count = 0;
    for (size_t at; (at = span_find(rest, SPAN("\"url\""))) < rest.n; count++)
        rest = span_cut(rest, at + 5, SIZE_MAX);
    if (count != 1 || span_find(params, SPAN("\\u")) != params.n)
        return span_is(url, "about:blank") && count == 1;
    struct span head = span_cut(url, 0, 8);
    return span_is(url, "about:blank") || span_eq_nocase(head, SPAN("https://")) ||
           span_eq_nocase(span_cut(head, 0, 7), SPAN("http://"));
}

static void on_answer(void *ctx, uint32_t tag, err e, struct span payload)
{
    struct tab *t = ctx;
    t->calls--;
    struct span words = payload;
    if (e == E_PROTOCOL && !cdp_member_text(payload, "message", &words))
        words = payload;
    /* The browser said no: for the owner that is a refused input, not a broken peer. */
    t->face->on_reply(t->ctx, tag, e == E_PROTOCOL ? E_BAD_INPUT : e, words);
}

err tab_call(struct tab *t, uint32_t call, const char *method, struct span params_json,
             int64_t timeout_ms)
{
    if (t->gone)
        return t->gone;
    if (!t->ready_told || t->close_asked)
        return E_CONFLICT;
    if (t->calls >= TAB_CALLS_MAX)
        return E_BUSY;
    if (!method_allowed(span_of(method)))
        return E_DENIED;
    if (strcmp(method, "Page.navigate") == 0 && !navigation_allowed(params_json))
        return E_DENIED;
    err e = browser_ask(t->browser, t, span_of(t->session), method, params_json, timeout_ms,
                        on_answer, t, call);
    if (!e)
        t->calls++;
    return e == E_END ? E_BROWSER_GONE : e;
}

/* ---- events ---- */

static struct tab *tab_of(struct browser *b, struct span session)
{
    list_each(&b->tabs, at, after)
    {
        struct tab *t = LIST_OF(at, struct tab, node);
        if (t->session[0] && span_is(session, t->session))
            return t;
    }
    return NULL;
}

static struct tab *tab_of_target(struct browser *b, struct span target)
{
    list_each(&b->tabs, at, after)
    {
        struct tab *t = LIST_OF(at, struct tab, node);
        if (t->target[0] && span_is(target, t->target))
            return t;
    }
    return NULL;
}

static void crashed(struct tab *t, struct span params)
{
    struct span status = SPAN("crashed");
    int64_t code = 0;
    char words[WORDS_SIZE];
    struct browser *b = t->browser;
    metric_add(METRIC_RENDERER_CRASHES, 0, 1);
    cdp_member_text(params, "status", &status);
    cdp_member_int(params, "errorCode", &code);
    bool too_big = !mono_past(b->too_big_until, now_of(t));
    if (too_big)
        snprintf(words, sizeof words,
                 "the page used more memory than %" PRId64 " MB and was ended",
                 b->fleet->config.memory_max >> 20);
    else
        snprintf(words, sizeof words, "the page's process ended: %.*s, code %" PRId64,
                 SP(span_cut(status, 0, 40)), code);
    tab_gone(t, too_big ? E_TOO_BIG : E_PAGE_GONE, words);
}

static void ignore(void *ctx, uint32_t tag, err e, struct span payload)
{
    (void)ctx;
    (void)tag;
    (void)e;
    (void)payload;
}

/* Everything waits until a dialog is answered: at once, and only leaving is agreed to. */
static void answer_dialog(struct tab *t, struct span params)
{
    struct span type = SPAN_NONE;
    cdp_member_text(params, "type", &type);
    struct span answer =
        span_is(type, "beforeunload") ? SPAN("{\"accept\":true}") : SPAN("{\"accept\":false}");
    (void)!browser_ask(t->browser, t, span_of(t->session), "Page.handleJavaScriptDialog",
                       answer, t->browser->fleet->config.command_timeout_ms, ignore, NULL, 0);
}

static bool floods(struct tab *t, size_t n)
{
    mono now = now_of(t);
    if (mono_past(t->flood_until, now)) {
        t->flood_until = mono_add(now, FLOOD_WINDOW_MS);
        t->flood_bytes = 0;
    }
    t->flood_bytes += (int64_t)n;
    return t->flood_bytes > FLOOD_BYTES;
}

static void session_event(struct tab *t, const struct cdp_message *m)
{
    if (span_is(m->method, "Inspector.targetCrashed"))
        crashed(t, m->payload);
    else if (span_is(m->method, "Inspector.detached"))
        tab_gone(t, E_PAGE_GONE, "the browser detached the page");
    else if (span_is(m->method, "Page.javascriptDialogOpening"))
        answer_dialog(t, m->payload);
    else if (floods(t, m->payload.n))
        tab_gone(t, E_TOO_BIG, "the page pushed too much data");
    else if (t->state == TAB_OPEN && t->ready_told && !t->close_asked)
        t->face->on_event(t->ctx, m->method, m->payload);
}

void tab_event(struct browser *b, const struct cdp_message *m)
{
    struct span id;
    struct tab *t = NULL;
    if (m->session.n > 0) {
        t = tab_of(b, m->session);
        if (t && !t->gone && t->state < TAB_DISPOSE)
            session_event(t, m);
        return;
    }
    if (cdp_member_text(m->payload, "targetId", &id))
        t = tab_of_target(b, id);
    if (!t && cdp_member_text(m->payload, "sessionId", &id))
        t = tab_of(b, id);
    if (!t || t->gone || t->state >= TAB_DISPOSE)
        return;
    if (span_is(m->method, "Target.targetCrashed"))
        crashed(t, m->payload);
    else if (span_is(m->method, "Target.targetDestroyed") ||
             span_is(m->method, "Target.detachedFromTarget"))
        tab_gone(t, E_PAGE_GONE, "the browser closed the page");
}
