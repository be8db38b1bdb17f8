#include "base/log.h"
#include "browser/inside.h"
#include "core/metrics.h"

/* "Connected" is not "healthy": a new context, a navigation through egress, an evaluation, the
 * end. */

enum {
    CALL_NAVIGATE = 1,
    CALL_EVALUATE,
    MISSES_MAX = 2,
    EGRESS_WAIT_MS = 3000, /* egress is asked every second */
    KILL_AGAIN_MS = 60000, /* when killing one has not helped */
};

static void finish(struct browser *b)
{
    b->probe.running = false;
    b->probe.next = mono_add(loop_now(b->fleet->loop), b->fleet->config.probe_every_ms);
}

/* The answer came, but from a way out that does not work: no fault of this browser. */
static void no_way_out(struct browser *b, struct span words)
{
    log_warn("browser.probe_no_way_out", F_N("slot", b->slot), F_S("words", words));
    b->probed_good = false;
    b->probe.misses = 0;
    finish(b);
}

static void miss(struct browser *b, const char *words)
{
    b->probe.misses++;
    b->probe.missed = loop_now(b->fleet->loop);
    metric_add(METRIC_PROBE_FAILURES, 0, 1);
    log_warn("browser.probe_missed", F_N("slot", b->slot), F_N("misses", b->probe.misses),
             F_C("words", words));
    b->probe.running = false;
    b->probe.next = loop_now(b->fleet->loop);
    browsers_soon(b->fleet);
}

static void let_go(struct browser *b)
{
    struct tab *t = b->probe.tab;
    b->probe.tab = NULL;
    if (t)
        tab_close(t);
}

static void on_ready(void *ctx, err e, const char *words)
{
    struct browser *b = ctx;
    if (!b->probe.running)
        return;
    if (!e)
        e = tab_call(b->probe.tab, CALL_NAVIGATE, "Page.navigate",
                     SPAN("{\"url\":\"http://fulmar.internal/probe\"}"),
                     b->fleet->config.probe_timeout_ms);
    if (e) {
        miss(b, words[0] ? words : err_text(e));
        let_go(b);
    }
}

static void on_navigated(struct browser *b, struct span result)
{
    struct span words;
    if (cdp_member_text(result, "errorText", &words)) {
        no_way_out(b, words);
        let_go(b);
        return;
    }
    err e = tab_call(
        b->probe.tab, CALL_EVALUATE, "Runtime.evaluate",
        SPAN("{\"expression\":\"location.href\",\"returnByValue\":true,\"timeout\":2000}"),
        b->fleet->config.probe_timeout_ms);
    if (e) {
        miss(b, err_text(e));
        let_go(b);
    }
}

static void on_reply(void *ctx, uint32_t call, err e, struct span result)
{
    struct browser *b = ctx;
    if (!b->probe.running)
        return;
    if (!e && call == CALL_NAVIGATE) {
        on_navigated(b, result);
        return;
    }
    if (!e && span_find(result, SPAN("\"http://fulmar.internal/probe\"")) == result.n)
        e = E_PAGE;
    if (e)
        miss(b, err_text(e));
    let_go(b); /* when all was well on_closed counts it */
}

static void on_event(void *ctx, struct span method, struct span params)
{
    (void)ctx;
    (void)method;
    (void)params;
}

static void on_gone(void *ctx, err e, const char *words)
{
    (void)e;
    struct browser *b = ctx;
    if (b->probe.running)
        miss(b, words);
    let_go(b);
}

static void on_closed(void *ctx)
{
    struct browser *b = ctx;
    if (!b->probe.running || b->probe.tab)
        return;
    b->probe.misses = 0;
    b->fleet->probe_kill.ms = 0;
    b->probed_good = true;
    b->last_good_probe = loop_now(b->fleet->loop);
    b->probe.took_ms = b->last_good_probe.ms - b->probe.began.ms;
    finish(b);
}

static const struct tab_face FACE = {on_ready, on_reply, on_event, on_gone, on_closed};

/* Too often missed: is it this browser, or what all of them need? */
static void judge(struct browser *b, mono now)
{
    struct browsers *f = b->fleet;
    bool egress_lives = !f->egress_asked.ms || f->egress_asked.ms >= b->probe.missed.ms;
    if (!egress_lives) {
        if (now.ms - b->probe.missed.ms >= EGRESS_WAIT_MS)
            no_way_out(b, SPAN("egress does not answer"));
        return;
    }
    if (f->probe_kill.ms && now.ms - f->probe_kill.ms < KILL_AGAIN_MS) {
        no_way_out(b, SPAN("the browser before missed its probes too"));
        return;
    }
    f->probe_kill = now;
    browser_kill(b, "probe_failed", "it does not answer its health probe");
}

void probe_step(struct browser *b, mono now)
{
    struct probe *p = &b->probe;
    if (p->running && mono_past(p->deadline, now)) {
        miss(b, "not done in time");
        let_go(b);
    }
    if (p->misses >= MISSES_MAX) {
        judge(b, now);
        return;
    }
    if (p->running || !mono_past(p->next, now))
        return;
    p->running = true;
    p->began = now;
    p->deadline = mono_add(now, b->fleet->config.probe_timeout_ms);
    p->tab = tab_new(b, &FACE, b, true);
}

void probe_end(struct browser *b)
{
    b->probe.running = false;
    let_go(b);
}
