#include "worker/page.h"

#include "base/json.h"
#include "base/need.h"
#include "os/clock.h"
#include "os/faults.h"

#include <stdio.h>

enum {
    NUDGE_MS = 1000,
    CALL_MS = 5000,
    GONE_MS = 1000,
    DOWNLOAD_MS = 3600000,        /* node answers, or ends the job, long before */
    SHOWN_MAX = 64 * 1024 * 1024, /* of messages not taken yet */
    TURN_MS = 300000, /* to wait for a turn at a host; the job's own limits end it before */
};

void page_init(struct page *p, struct channel *c, const struct pack *pack,
               const struct plan *plan, struct reader *r, struct json_parser *events,
               struct evidence *evidence, struct arena *a, struct arena *page_arena,
               struct fault *f)
{
    *p = (struct page){.channel = c,
                       .pack = pack,
                       .plan = plan,
                       .reader = r,
                       .events = events,
                       .evidence = evidence,
                       .arena = a,
                       .page_arena = page_arena,
                       .shown = BUF(SHOWN_MAX),
                       .fault = f};
}

void page_fini(struct page *p)
{
    buf_free(&p->shown);
}

/* ---- what the page's network does ---- */

static struct page_request *find_request(struct page *p, struct span id)
{
    for (size_t i = 0; i < p->request_count; i++)
        if (span_is(id, p->requests[i].id))
            return &p->requests[i];
    return NULL;
}

static void forget_request(struct page *p, struct page_request *r)
{
    size_t at = (size_t)(r - p->requests);
    need(at < p->request_count);
    memmove(r, r + 1, (p->request_count - at - 1) * sizeof *r);
    p->request_count--;
}

static struct span text_at(struct json v, const char *path)
{
    struct span s = SPAN_NONE;
    (void)json_text(json_path(v, path), &s);
    return s;
}

static void on_request(struct page *p, struct json params)
{
    struct span id = text_at(params, "requestId");
    const struct operation *op = plan_operation(p->plan, text_at(params, "request.url"));
    struct span method = text_at(params, "request.method");
    if (!op || !id.n || id.n >= PAGE_REQUEST_ID_MAX || span_is(method, "OPTIONS"))
        return;
    if (find_request(p, id) || p->request_count == PAGE_REQUESTS_MAX)
        return;
    struct page_request *r = &p->requests[p->request_count++];
    *r = (struct page_request){.operation = op};
    if (p->evidence->keep != EVIDENCE_NEVER)
        r->url = arena_keep(p->arena, text_at(params, "request.url"));
    span_copy(id, r->id, sizeof r->id);
    if (p->plan->focus.n) {
        struct buf cursor = BUF(READER_CURSOR_MAX);
        if (plan_request_cursor(p->plan, text_at(params, "request.url"), &cursor))
            r->cursor = arena_keep(p->arena, buf_span(&cursor));
        buf_free(&cursor);
    }
    p->api_calls++;
}

static void on_response(struct page *p, struct json params)
{
    int64_t status = 0;
    (void)json_int(json_path(params, "response.status"), &status);
    if (span_is(text_at(params, "type"), "Document")) {
        span_copy(text_at(params, "response.url"), p->document_url, sizeof p->document_url);
        p->document_status = (int)status;
        return;
    }
    struct page_request *r = find_request(p, text_at(params, "requestId"));
    if (!r)
        return;
    r->status = (int)status;
    struct buf raw = BUF(65536);
    json_add_raw(&raw, json_path(params, "response.headers"));
    if (!raw.failed)
        r->headers = arena_keep(p->arena, buf_span(&raw));
    buf_free(&raw);
    if (status == 429) {
        p->limit_status = (int)status;
        p->limit_headers = r->headers;
    }
}

static void on_finished(struct page *p, struct json params, bool failed)
{
    struct page_request *r = find_request(p, text_at(params, "requestId"));
    if (!r)
        return;
    struct span why = text_at(params, "errorText");
    /* The page itself went on elsewhere: nothing failed, and nothing will come. */
    if (p->watching || (failed && span_is(why, "net::ERR_ABORTED"))) {
        forget_request(p, r);
        return;
    }
    r->finished = true;
    if (failed)
        span_copy(why.n ? why : SPAN("request failed"), r->failed, sizeof r->failed);
}

void page_step(struct page *p, const char *step)
{
    need_step(step);
    if (!p->channel)
        return;
    /* That node is gone shows at the next read. */
    (void)!channel_send(p->channel,
                        &(struct frame){.type = FRAME_PROGRESS, .t = {span_of(step)}});
}

static err send_numbered(struct page *p, struct frame f, uint32_t *out_call)
{
    f.n[0] = *out_call = ++p->last_call;
    return channel_send(p->channel, &f);
}

static err send_call(struct page *p, struct frame f, int64_t timeout_ms, uint32_t *out_call)
{
    f.n[1] = timeout_ms;
    return send_numbered(p, f, out_call);
}

/* The page holds its first timeline request: let it start at our cursor, then hold nothing more. */
static err on_paused(struct page *p, struct json params)
{
    struct span id = text_at(params, "requestId"), url = text_at(params, "request.url");
    const struct operation *op = plan_operation(p->plan, url);
    struct buf changed = BUF(32768);
    struct span target = SPAN_NONE;
    uint32_t call = 0;
    err e = E_OK;
    bool ours = p->resume_cursor.n && op && op->role == OP_TIMELINE;
    if (ours && !plan_resume_url(p->plan, url, p->resume_cursor, &changed))
        target = buf_span(&changed);
    struct frame f = {.type = FRAME_CONTINUE, .t = {id, url, target}};
    e = send_call(p, f, CALL_MS, &call);
    if (!e && ours) {
        p->resume_cursor = SPAN_NONE;
        e = send_call(p, (struct frame){.type = FRAME_INTERCEPT}, CALL_MS, &call);
    }
    buf_free(&changed);
    return e;
}

/* Kept until it is its turn: messages also come while a batch is being committed. */
static void on_shown(struct page *p, struct json params)
{
    struct span text = text_at(params, "payload");
    uint32_t n = (uint32_t)text.n;
    if (!p->watching || !text.n ||
        !json_int(json_get(params, SPAN("executionContextId")), &p->world))
        return;
    buf_add(&p->shown, (struct span){(const char *)&n, sizeof n});
    buf_add(&p->shown, text);
    if (p->shown.failed && !p->told) {
        p->told = E_TOO_BIG;
        fail(p->fault, E_TOO_BIG, "the page shows more than can be read");
    }
}

static err on_event(struct page *p, struct span method, struct span text)
{
    struct json params;
    if (json_parse(p->events, text, &params, NULL))
        return E_OK; /* an event we cannot read is an event we did not see */
    if (span_is(method, "Network.requestWillBeSent"))
        on_request(p, params);
    else if (span_is(method, "Network.responseReceived"))
        on_response(p, params);
    else if (span_is(method, "Network.loadingFinished"))
        on_finished(p, params, false);
    else if (span_is(method, "Network.loadingFailed"))
        on_finished(p, params, true);
    else if (span_is(method, "Runtime.bindingCalled"))
        on_shown(p, params);
    else if (span_is(method, "Fetch.requestPaused"))
        return on_paused(p, params);
    return E_OK;
}

/* ---- waiting ---- */

static void note_spent(struct page *p, const struct frame *f)
{
    bool known = f->n[0] > BOUND_NONE && f->n[0] < BOUND_COUNT;
    if (known && !p->spent.which)
        p->spent = (struct spent){(enum bound)f->n[0], f->n[1], f->n[2]};
}

/* Takes one frame in: events change the page's state, an ending sets `told`. */
static err take(struct page *p, mono deadline, struct frame *out)
{
    err e = channel_next(p->channel, deadline, out);
    if (e)
        return e == E_END ? (p->told = E_SHUTDOWN) : e;
    if (out->type == FRAME_EVENT)
        return on_event(p, out->t[0], out->t[1]);
    if (out->type == FRAME_SPENT)
        note_spent(p, out);
    if (out->type == FRAME_CANCEL || out->type == FRAME_GONE) {
        err why = out->n[0] > E_OK && out->n[0] < E_COUNT ? (err)out->n[0] : E_BUG;
        if (!p->told)
            p->told = why;
        if (out->type == FRAME_GONE)
            fail(p->fault, why, "%.*s", SP(out->t[0]));
    }
    return E_OK;
}

err page_wait_frame(struct page *p, enum frame_type type, struct frame *out, mono deadline)
{
    for (;;) {
        err e = take(p, deadline, out);
        if (e)
            return e;
        if (out->type == type)
            return E_OK;
        if (p->told == E_SHUTDOWN)
            return p->told;
    }
}

static err wait_reply(struct page *p, uint32_t call, mono deadline, struct span *out_text)
{
    for (;;) {
        struct frame in;
        err e = take(p, deadline, &in);
        if (e)
            return e;
        if (p->told)
            return p->told;
        if (in.type != FRAME_REPLY || in.n[0] != call)
            continue;
        *out_text = in.t[0];
        return in.n[1] >= E_OK && in.n[1] < E_COUNT ? (err)in.n[1] : E_PROTOCOL;
    }
}

/* Sends a call and waits for its answer; the answer's text is valid until the next frame is taken. */
static err ask(struct page *p, struct frame f, int64_t budget_ms, struct span *out_text)
{
    if (p->told)
        return p->told;
    uint32_t call = 0;
    err e = send_call(p, f, budget_ms, &call);
    /* Node keeps the call's own deadline; ours is only for a node that does not answer. */
    return e ? e : wait_reply(p, call, mono_add(clock_mono(), budget_ms + CALL_MS), out_text);
}

/* ---- verbs ---- */

static err check_navigation(struct page *p, struct span answer)
{
    struct json v;
    struct span error = SPAN_NONE;
    if (json_parse(p->events, answer, &v, p->fault))
        return E_PROTOCOL;
    if (json_text(json_get(v, SPAN("errorText")), &error) && error.n)
        return fail(p->fault, E_NET, "the page could not be opened: %.*s", SP(error));
    return E_OK;
}

err page_goto(struct page *p, struct span url, struct span cursor, int64_t budget_ms)
{
    page_step(p, "goto");
    struct span answer = SPAN_NONE;
    err e;
    fault_point("worker.goto");
    p->request_count = 0;
    buf_clear(&p->shown);
    p->limit_status = 0;
    p->document_url[0] = '\0';
    p->document_status = 0;
    if (cursor.n) {
        p->resume_cursor = cursor;
        char pattern[160];
        for (size_t i = 0; i < p->plan->operation_count; i++) {
            const struct operation *op = &p->plan->operations[i];
            if (op->role != OP_TIMELINE || !op->cursor_member.n)
                continue;
            snprintf(pattern, sizeof pattern, "*/%.*s?*", SP(op->name));
            struct frame hold = {.type = FRAME_INTERCEPT, .t = {span_of(pattern)}};
            e = ask(p, hold, CALL_MS, &answer);
            if (e)
                return e;
            break;
        }
    }
    struct frame f = {.type = FRAME_GOTO, .t = {url}};
    e = ask(p, f, budget_ms, &answer);
    if (e == E_TIMEOUT) {
        uint32_t call = 0;
        (void)!send_call(p, (struct frame){.type = FRAME_STOP_LOADING}, CALL_MS, &call);
        return fail(p->fault, E_TIMEOUT, "the site did not answer the page within %lld ms%s",
                    (long long)budget_ms, p->own_navigation ? " (timeouts.navigation_s)" : "");
    }
    if (e)
        return fail(p->fault, e, "%.*s", SP(answer));
    return check_navigation(p, answer);
}

/* Evaluates an expression of the pack where the page is watched, else in the page itself. */
static err evaluate(struct page *p, struct span expression)
{
    uint32_t call = 0;
    if (p->told)
        return p->told;
    if (p->watching && !p->world)
        return E_OK; /* the page has not said anything yet */
    struct frame f = {.type = FRAME_EVAL, .n = {0, 0, p->world}, .t = {expression}};
    return send_call(p, f, CALL_MS, &call);
}

err page_more(struct page *p)
{
    return evaluate(p, p->watching ? SPAN("more") : p->plan->more);
}

err page_retry(struct page *p)
{
    return evaluate(p, SPAN("retry"));
}

err page_watch(struct page *p)
{
    struct span answer = SPAN_NONE;
    page_step(p, "watch");
    if (p->watching)
        return E_OK;
    p->watching = true;
    err e = ask(p, (struct frame){.type = FRAME_WATCH, .t = {SPAN("watch")}}, CALL_MS, &answer);
    return e ? fail(p->fault, e, "the page cannot be watched: %.*s",
                    SP(span_cut(answer, 0, 200)))
             : E_OK;
}

void page_picture(struct page *p, enum failure_class failure)
{
    struct span answer;
    if (!evidence_wants_picture(p->evidence->keep, failure))
        return;
    page_step(p, "picture");
    struct frame f = {.type = FRAME_PICTURE, .n = {0, (int64_t)failure}};
    uint32_t call = 0;
    if (p->told || send_numbered(p, f, &call))
        return;
    (void)!wait_reply(p, call, mono_add(clock_mono(), CALL_MS), &answer);
}

static struct page_request *ready_request(struct page *p)
{
    for (size_t i = 0; i < p->request_count; i++)
        if (p->requests[i].finished)
            return &p->requests[i];
    return NULL;
}

/* The page ended while it was asked: FRAME_GONE, which is on its way, says why. */
static err wait_gone(struct page *p, err e)
{
    struct frame in;
    mono deadline = mono_add(clock_mono(), GONE_MS);
    while (!p->told && !take(p, deadline, &in))
        ;
    return p->told ? p->told : e;
}

/* Reads one finished request: its body is asked for, unwrapped and turned into records. */
static err read_answer(struct page *p, struct page_request *slot, wall now, struct reading *out,
                       const struct operation **out_operation)
{
    struct page_request r = *slot;
    struct span answer = SPAN_NONE, body = SPAN_NONE;
    forget_request(p, slot);
    arena_reset(p->page_arena);
    *out_operation = r.operation;
    p->asked = r.cursor;
    if (r.failed[0])
        return fail(p->fault, E_NET, "%.*s: %s", SP(r.operation->name), r.failed);
    struct frame f = {.type = FRAME_BODY, .t = {span_of(r.id)}};
    err e = ask(p, f, CALL_MS, &answer);
    if (p->told)
        return p->told;
    if (e == E_PAGE_GONE || e == E_BROWSER_GONE || (e == E_TOO_BIG && !answer.n))
        return wait_gone(p, e);
    if (e && r.status == 200)
        return fail(p->fault, e == E_TIMEOUT || e == E_TOO_BIG ? e : E_NET,
                    "%.*s: the answer could not be read: %.*s", SP(r.operation->name),
                    SP(answer.n ? answer : span_of(err_text(e))));
    struct json v;
    if (!e && !json_parse(p->events, answer, &v, p->fault))
        (void)json_text(json_get(v, SPAN("body")), &body);
    evidence_take(p->evidence,
                  &(struct evidence_note){.strategy = plan_strategy_name(PLAN_CAPTURE),
                                          .name = r.operation->name,
                                          .url = r.url,
                                          .headers = r.headers,
                                          .body = body,
                                          .status = r.status,
                                          .at = now,
                                          .stays = r.operation->role == OP_USER});
    return reader_answer(p->reader, r.operation, r.status, r.headers, body, now, p->page_arena,
                         out, p->fault);
}

/* Nothing will come any more: page_sign() has the reason. */
static bool ended_elsewhere(const struct page *p)
{
    return p->document_url[0] &&
           reader_page_sign(p->pack, span_of(p->document_url), p->document_status, SPAN_NONE)
                   .is != FAILURE_NONE;
}

err page_next_batch(struct page *p, wall now, struct reading *out,
                    const struct operation **out_operation, int64_t budget_ms)
{
    page_step(p, "wait for data");
    mono deadline = mono_add(clock_mono(), budget_ms);
    mono nudge = mono_add(clock_mono(), NUDGE_MS);
    for (;;) {
        if (p->told)
            return p->told;
        struct page_request *r = ready_request(p);
        if (r)
            return read_answer(p, r, now, out, out_operation);
        bool late = mono_past(deadline, clock_mono()) || ended_elsewhere(p);
        if (p->spent.which && (late || p->request_count == 0))
            return E_END;
        if (late)
            return E_TIMEOUT;
        struct frame f;
        err e = take(p, nudge.ms < deadline.ms ? nudge : deadline, &f);
        if (e && e != E_TIMEOUT)
            return e;
        if (mono_past(nudge, clock_mono())) {
            nudge = mono_add(clock_mono(), NUDGE_MS);
            if (p->request_count == 0 && page_more(p))
                return p->told ? p->told : E_SHUTDOWN;
        }
    }
}

/* The first message that waits, taken out. */
static err take_shown(struct page *p, struct shown *out)
{
    uint32_t n = 0;
    struct span all = buf_span(&p->shown);
    need(all.n >= sizeof n);
    memcpy(&n, all.p, sizeof n);
    arena_reset(p->page_arena);
    err e = shown_read(p->events, span_cut(all, sizeof n, n), out, p->fault);
    buf_drop(&p->shown, sizeof n + n);
    return e;
}

err page_next_shown(struct page *p, struct shown *out, int64_t budget_ms)
{
    page_step(p, "wait for the page");
    mono deadline = mono_add(clock_mono(), budget_ms);
    mono nudge = mono_add(clock_mono(), NUDGE_MS);
    for (;;) {
        struct frame f;
        if (p->told)
            return p->told;
        if (p->shown.n)
            return take_shown(p, out);
        if (p->spent.which)
            return E_END;
        if (mono_past(deadline, clock_mono()) || ended_elsewhere(p))
            return E_TIMEOUT;
        err e = take(p, nudge.ms < deadline.ms ? nudge : deadline, &f);
        if (e && e != E_TIMEOUT)
            return e;
        if (mono_past(nudge, clock_mono())) {
            nudge = mono_add(clock_mono(), NUDGE_MS);
            if (p->request_count == 0 && page_more(p))
                return p->told ? p->told : E_SHUTDOWN;
        }
    }
}

static err keep_answer(struct page *p, const struct frame *f, struct page_answer *out)
{
    arena_reset(p->page_arena);
    *out = (struct page_answer){.status = (int)f->n[2],
                                .url = arena_keep(p->page_arena, f->t[0]),
                                .headers = arena_keep(p->page_arena, f->t[1]),
                                .body = arena_keep(p->page_arena, f->t[2])};
    if (!out->url.p || !out->headers.p || !out->body.p)
        return fail(p->fault, E_NO_MEMORY, "no memory for the answer");
    return E_OK;
}

/* Sends the call and waits for its answer, whose second number is an error. */
static err ask_node(struct page *p, const struct frame *f, int64_t budget_ms, int64_t wait_ms,
                    enum frame_type type, struct frame *in)
{
    uint32_t call = 0;
    if (p->told)
        return p->told;
    if (!frame_fits(f))
        return fail(p->fault, E_TOO_BIG, "the URL to fetch is too long");
    err e = send_call(p, *f, budget_ms, &call);
    mono deadline = mono_add(clock_mono(), wait_ms);
    while (!e) {
        e = take(p, deadline, in);
        if (!e && p->told)
            e = p->told;
        if (!e && in->type == type && in->n[0] == call)
            return in->n[1] >= E_OK && in->n[1] < E_COUNT ? (err)in->n[1] : E_PROTOCOL;
    }
    *in = (struct frame){0};
    return e;
}

err page_fetch(struct page *p, struct span source, struct span url, int64_t budget_ms,
               struct page_answer *out)
{
    struct frame f = {.type = FRAME_FETCH, .t = {source, url}}, in = {0};
    p->api_calls++;
    err e = ask_node(p, &f, budget_ms, budget_ms + TURN_MS, FRAME_FETCHED, &in);
    if (!e)
        return keep_answer(p, &in, out);
    if (in.type == FRAME_NONE)
        return e;
    return fail(p->fault, e, "%.*s", (int)(in.t[0].n > 200 ? 200 : in.t[0].n), in.t[0].p);
}

err page_media_robots(struct page *p, struct span url, int64_t budget_ms, int *out_status,
                      struct span *out_body)
{
    struct frame f = {.type = FRAME_FETCH, .t = {SPAN("media"), url}}, in = {0};
    err e = ask_node(p, &f, budget_ms, budget_ms + TURN_MS, FRAME_FETCHED, &in);
    *out_status = (int)in.n[2];
    *out_body = in.t[2];
    return e;
}

err page_download(struct page *p, struct span kind, struct span url, struct page_file *out)
{
    struct frame f = {.type = FRAME_DOWNLOAD, .t = {kind, url}}, in = {0};
    err e = ask_node(p, &f, DOWNLOAD_MS, DOWNLOAD_MS, FRAME_DOWNLOADED, &in);
    *out = (struct page_file){.status = (int)in.n[2]};
    if (e) {
        out->words = in.t[0];
        return e;
    }
    out->bytes = in.n[3];
    out->at_ms = in.n[4];
    out->known = in.n[5] == 1;
    out->hash = in.t[0];
    out->mime = in.t[1];
    out->path = in.t[2];
    return E_OK;
}

/* What an expression of the pack returns, in the job's arena; empty when it returns no text. */
static struct span said_by(struct page *p, const char *expression, int64_t budget_ms)
{
    struct span answer = SPAN_NONE, text = SPAN_NONE;
    struct json v;
    struct frame f = {.type = FRAME_EVAL, .t = {span_of(expression)}};
    if (pack_expression(p->pack, f.t[0]).n && !ask(p, f, budget_ms, &answer) &&
        !json_parse(p->events, answer, &v, NULL) &&
        json_text(json_path(v, "result.value"), &text))
        text = arena_keep(p->arena, text);
    return text;
}

bool page_has_guest(struct page *p, int64_t budget_ms)
{
    return span_is(said_by(p, "guest", budget_ms), "guest");
}

struct page_sign page_sign(struct page *p, const char *expression, int64_t budget_ms)
{
    struct span state = said_by(p, expression, budget_ms);
    return reader_page_sign(p->pack, span_of(p->document_url), p->document_status, state);
}
