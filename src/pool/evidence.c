/* evidence.c - what a job read, on its way into the store; and pictures of a page that failed.
 *
 * Happy path: the worker's EVIDENCE frames come just before its FAIL, each is copied and posted to
 * the store, whose order puts them before the ending. Then, for failures that a picture explains,
 * the tab is asked for a screenshot and for what it shows as HTML, from a world of scripts of its
 * own that the page cannot reach; both become artifacts, and only then the tab is closed and
 * the ending written.
 *
 * Failure modes: the page is gone or says nothing by the deadline (a gap with the reason, and the stop
 * ladder goes on from there); too much is on its way (a gap); the store is full (its gap). None of them
 * changes how the job ends. */
#include "pool/inside.h"

#include "base/base64.h"
#include "base/json.h"
#include "core/metrics.h"
#include "os/clock.h"
#include "wire/cdp.h"

enum {
    /* bytes of evidence that the store has not answered yet */
    ON_THE_WAY_MAX = 64 * 1024 * 1024,
    PICTURE_MS = 2000,
    REPLY_MAX = 12 * 1024 * 1024,
    /* Numbers that no worker's call gets to in the jobs of its life. */
    CALL_SCREEN = 0xfffffff0u,
    CALL_FRAME,
    CALL_WORLD,
    CALL_DOM,
};

/* Without scripts, styles, and what a form or a page keeps to itself; at most 1 MiB. */
static const char take_dom[] =
    "(()=>{const root=document.documentElement;if(!root)return '';"
    "const copy=root.cloneNode(true);"
    "for(const e of copy.querySelectorAll('script,style,noscript,template,iframe,object,embed,svg,"
    "canvas,link[rel~=preload],input[type=hidden],input[type=password],meta[name*=csrf i],"
    "meta[name*=token i]'))e.remove();"
    "for(const e of [copy,...copy.querySelectorAll('*')])for(const a of [...e.attributes])"
    "if(/^on|^style$|nonce|token|csrf/i.test(a.name)||a.value.length>2000||"
    "(a.name==='value'&&e.localName==='input'))e.removeAttribute(a.name);"
    "const bytes=new TextEncoder().encode(copy.outerHTML.slice(0,1048576));let text='';"
    "for(let i=0;i<bytes.length;i+=8192)"
    "text+=String.fromCharCode.apply(null,bytes.subarray(i,i+8192));"
    "return btoa(text)})()";

/* ---- to the store ---- */

struct piece {
    struct store_op op; /* first: found from the operation */
    struct pool *pool;
    char id[ID_TEXT];
    struct buf bytes;
};

static void on_kept(struct store_op *op)
{
    struct piece *p = (struct piece *)(void *)op;
    bool kept = !op->result && op->out.evidence.gap == GAP_NONE;
    metric_add(METRIC_EVIDENCE, kept ? 0 : 1, 1);
    if (op->result && op->result != E_STALE && op->result != E_SHUTDOWN)
        log_warn("evidence.not_kept", F_C("job", p->id), F_X("result", op->result),
                 F_C("why", op->fault.words));
    p->pool->evidence_bytes -= p->bytes.n;
    buf_free(&p->bytes);
    free(p);
}

/* Copies the texts of the piece behind each other; the spans then lie in the copy. */
static void keep_texts(struct piece *p, struct evidence_args *a)
{
    struct span *const texts[] = {&a->strategy, &a->name, &a->url, &a->headers, &a->body};
    size_t at[5];
    for (int i = 0; i < 5; i++) {
        at[i] = p->bytes.n;
        buf_add(&p->bytes, *texts[i]);
    }
    need(!p->bytes.failed);
    for (int i = 0; i < 5; i++)
        *texts[i] = span_cut(buf_span(&p->bytes), at[i], texts[i]->n);
}

static void post(struct slot *s, const struct evidence_args *args)
{
    struct evidence_args a = *args;
    size_t size = a.strategy.n + a.name.n + a.url.n + a.headers.n + a.body.n;
    if (s->pool->evidence_bytes + size > ON_THE_WAY_MAX)
        a = (struct evidence_args){
            .kind = args->kind, .gap = GAP_BUSY, .gaps = 1, .reason = args->reason};
    struct piece *p = heap_new_of(struct piece);
    p->pool = s->pool;
    p->bytes = BUF(size);
    span_copy(span_of(s->lease.id), p->id, sizeof p->id);
    keep_texts(p, &a);
    s->pool->evidence_bytes += p->bytes.n;
    a.id = span_of(p->id);
    a.nonce = s->lease.nonce;
    p->op = (struct store_op){.verb = STORE_EVIDENCE, .on_done = on_kept, .in.evidence = a};
    store_thread_post(s->pool->store, &p->op);
}

bool slot_evidence(struct slot *s, const struct frame *f)
{
    if (f->n[3] < FAILURE_NONE || f->n[3] >= FAILURE_COUNT || f->n[4] < GAP_NONE ||
        f->n[4] >= GAPS || f->n[5] < 1)
        return false;
    struct evidence_args a = {.kind = EVIDENCE_RESPONSE,
                              .status = (int)(f->n[0] & 0xffff),
                              .at_ms = f->n[1],
                              .batch = f->n[2],
                              .reason = (enum failure_class)f->n[3],
                              .gap = (enum evidence_gap)f->n[4],
                              .gaps = f->n[5],
                              .strategy = f->t[0],
                              .name = f->t[1],
                              .url = f->t[2],
                              .headers = f->t[3],
                              .body = f->t[4]};
    if (slot_keep(s) != EVIDENCE_NEVER)
        post(s, &a);
    return true;
}

enum evidence_keep slot_keep(const struct slot *s)
{
    struct json spec;
    struct span name;
    enum evidence_keep keep = s->pool->config.evidence;
    if (s->lease.spec.n && json_parse(s->pool->json, s->lease.spec, &spec, NULL) == E_OK &&
        json_text(json_get(spec, SPAN("evidence")), &name))
        (void)evidence_keep_parse(name, &keep);
    return keep;
}

/* ---- pictures ---- */

static void post_picture(struct slot *s, enum evidence_kind kind, struct span body,
                         enum evidence_gap gap)
{
    bool screen = kind == EVIDENCE_SCREENSHOT;
    s->pictures_left -= s->pictures_left > 0;
    *(screen ? &s->screen_done : &s->dom_done) = true;
    post(s, &(struct evidence_args){
                .kind = kind,
                .gap = gap,
                .gaps = 1,
                .reason = s->picture_reason,
                .at_ms = clock_wall().ms,
                .strategy = SPAN("page"),
                .name = screen ? SPAN("screenshot") : SPAN("dom"),
                .headers = screen ? SPAN("{\"content-type\":\"image/jpeg\"}")
                                  : SPAN("{\"content-type\":\"text/html; charset=utf-8\"}"),
                .body = body,
            });
}

static void gap_of_the_rest(struct slot *s, enum evidence_gap gap)
{
    if (!s->screen_done)
        post_picture(s, EVIDENCE_SCREENSHOT, SPAN_NONE, gap);
    if (!s->dom_done)
        post_picture(s, EVIDENCE_DOM, SPAN_NONE, gap);
}

static bool ask(struct slot *s, uint32_t call, const char *method, struct span params)
{
    return tab_call(s->tab, call, method, params, PICTURE_MS) == E_OK;
}

static bool start(struct slot *s, enum failure_class reason)
{
    if (!s->tab_open || s->release || s->lease_lost || s->pool->draining ||
        !evidence_wants_picture(slot_keep(s), reason))
        return false;
    s->screen_done = s->dom_done = false;
    s->pictures_left = 2;
    s->picture_reason = reason;
    if (s->tab_gone || !s->tab) {
        gap_of_the_rest(s, GAP_PAGE_GONE);
        return false;
    }
    if (!ask(s, CALL_SCREEN, "Page.captureScreenshot",
             SPAN("{\"format\":\"jpeg\",\"quality\":60,\"optimizeForSpeed\":true}")))
        post_picture(s, EVIDENCE_SCREENSHOT, SPAN_NONE, GAP_PAGE_GONE);
    if (!ask(s, CALL_FRAME, "Page.getFrameTree", SPAN("{}")))
        post_picture(s, EVIDENCE_DOM, SPAN_NONE, GAP_PAGE_GONE);
    s->picturing = s->pictures_left > 0;
    int64_t most = s->pool->config.lease_ms / 3; /* nobody renews the lease meanwhile */
    if (s->picturing)
        timer_start(s->picture, most < PICTURE_MS ? most : PICTURE_MS);
    return s->picturing;
}

bool slot_pictures_start(struct slot *s)
{
    if (!s->picturing)
        return start(s, s->ending.failure);
    s->picture_call =
        0; /* the job ended while they were made: nobody waits for them any more */
    return true;
}

bool slot_picture(struct slot *s, const struct frame *f)
{
    if (f->n[0] < 1 || f->n[0] > UINT32_MAX || f->n[1] <= FAILURE_NONE ||
        f->n[1] >= FAILURE_COUNT || s->picturing)
        return false;
    s->picture_call = (uint32_t)f->n[0];
    if (!start(s, (enum failure_class)f->n[1]))
        slot_pictures_tell(s);
    return true;
}

void slot_pictures_tell(struct slot *s)
{
    if (s->picture_call)
        slot_tell(s, &(struct frame){.type = FRAME_REPLY, .n = {s->picture_call, E_OK}});
    s->picture_call = 0;
}

bool slot_pictures_asked(uint32_t call)
{
    return call >= CALL_SCREEN && call <= CALL_DOM;
}

static void keep_base64(struct slot *s, enum evidence_kind kind, bool there, struct span text)
{
    struct buf plain = BUF(EVIDENCE_PIECE_MAX);
    bool fine = there && text.n && base64_add_plain(&plain, text);
    slot_login_hide(s, plain.p, plain.n);
    enum evidence_gap gap = fine ? GAP_NONE : plain.failed ? GAP_TOO_LARGE : GAP_PAGE_SILENT;
    post_picture(s, kind, fine ? buf_span(&plain) : SPAN_NONE, gap);
    buf_free(&plain);
}

/* A world of its own in the page's frame: the page cannot change what is asked there. */
static bool ask_world(struct slot *s, struct span reply)
{
    struct span tree, frame, id;
    char params[200];
    if (!cdp_member(reply, "frameTree", &tree) || !cdp_member(tree, "frame", &frame) ||
        !cdp_member_text(frame, "id", &id) || id.n > 64)
        return false;
    snprintf(params, sizeof params, "{\"frameId\":\"%.*s\",\"worldName\":\"evidence\"}",
             SP(id));
    return ask(s, CALL_WORLD, "Page.createIsolatedWorld", span_of(params));
}

static bool ask_dom(struct slot *s, struct span reply)
{
    int64_t world;
    struct span params;
    struct buf b = BUF(8 * 1024);
    struct json_w w = json_w(&b);
    if (!cdp_member_int(reply, "executionContextId", &world))
        return false;
    json_open(&w);
    json_kv_cstr(&w, "expression", take_dom);
    json_kv_int(&w, "contextId", world);
    json_kv_bool(&w, "returnByValue", true);
    json_kv_int(&w, "timeout", PICTURE_MS);
    json_close(&w);
    bool asked = !buf_end(&b, &params) && ask(s, CALL_DOM, "Runtime.evaluate", params);
    buf_free(&b);
    return asked;
}

static void take_reply(struct slot *s, uint32_t call, bool fine, struct span reply)
{
    struct span inner = SPAN_NONE, text = SPAN_NONE;
    bool there = false;
    switch (call) {
    case CALL_SCREEN:
        if (!s->screen_done)
            keep_base64(s, EVIDENCE_SCREENSHOT, fine && cdp_member_text(reply, "data", &text),
                        text);
        return;
    case CALL_FRAME:
        fine = fine && ask_world(s, reply);
        break;
    case CALL_WORLD:
        fine = fine && ask_dom(s, reply);
        break;
    case CALL_DOM:
        there = fine && cdp_member(reply, "result", &inner) &&
                cdp_member_text(inner, "value", &text);
        if (!s->dom_done)
            keep_base64(s, EVIDENCE_DOM, there, text);
        return;
    default: /* a late answer to the worker */
        return;
    }
    if (!fine && !s->dom_done)
        post_picture(s, EVIDENCE_DOM, SPAN_NONE, GAP_PAGE_SILENT);
}

bool slot_pictures_reply(struct slot *s, uint32_t call, err e, struct span reply)
{
    bool fine = !e && reply.n <= REPLY_MAX;
    if (e == E_PAGE_GONE || e == E_BROWSER_GONE)
        gap_of_the_rest(s, GAP_PAGE_GONE);
    take_reply(s, call, fine, reply);
    return s->pictures_left == 0;
}

void slot_pictures_give_up(struct slot *s, enum evidence_gap gap)
{
    gap_of_the_rest(s, gap);
}
