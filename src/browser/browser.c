#include "browser/browser.h"

#include <stdlib.h>
#include <sys/wait.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/log.h"
#include "base/need.h"
#include "browser/inside.h"
#include "core/metrics.h"

enum { STEP_MS = 100, STEP_WAITING_MS = 15, EGRESS_SLOW_MS = 1500 };

void browsers_soon(struct browsers *f)
{
    f->soon = true;
    timer_start(f->tick, 0);
}

/* ---- counting ---- */

static int owned_tabs(const struct browser *b)
{
    int n = 0;
    list_each(&b->tabs, at, after)
    {
        const struct tab *t = LIST_OF(at, struct tab, node);
        n += t->face && !t->probe;
    }
    return n;
}

static int room_of(const struct browser *b)
{
    if (b->state != BROWSER_READY)
        return 0;
    int room = b->fleet->config.contexts_max - owned_tabs(b);
    return room > 0 ? room : 0;
}

int browsers_room(const struct browsers *f)
{
    int room = 0;
    if (f->stopping)
        return 0;
    list_each(&f->all, at, after)
    {
        room += room_of(LIST_OF(at, struct browser, node));
    }
    return room;
}

bool browsers_ready(const struct browsers *f)
{
    mono now = loop_now(f->loop);
    int64_t lately = 3 * f->config.probe_every_ms + f->config.probe_timeout_ms;
    list_each(&f->all, at, after)
    {
        const struct browser *b = LIST_OF(at, struct browser, node);
        if (b->state == BROWSER_READY && b->probed_good &&
            now.ms - b->last_good_probe.ms <= lately)
            return true;
    }
    return false;
}

size_t browsers_view(const struct browsers *f, struct browser_view *out, size_t max)
{
    static const char *const names[] = {"starting", "ready", "draining"};
    size_t n = 0;
    list_each(&f->all, at, after)
    {
        const struct browser *b = LIST_OF(at, struct browser, node);
        if (b->state > BROWSER_DRAINING || n == max)
            continue;
        out[n++] = (struct browser_view){
            .slot = b->slot,
            .pid = b->pid,
            .state = names[b->state],
            .tabs = owned_tabs(b),
            .jobs = b->jobs,
            .launches = f->slots[b->slot].launches,
            .age_ms = loop_now(f->loop).ms - b->started.ms,
            .pss_bytes = b->pss_bytes,
            .worn = b->worn,
            .healthy = b->probed_good && !b->probe.misses,
            .misses = b->probe.misses,
            .probe_ms = b->last_good_probe.ms ? b->probe.took_ms : -1,
            .probe_age_ms =
                b->last_good_probe.ms ? loop_now(f->loop).ms - b->last_good_probe.ms : -1,
        };
    }
    return n;
}

/* ---- the fleet ---- */

/* One that serves its slot, or is about to. */
static bool slot_is_served(const struct browsers *f, int slot)
{
    list_each(&f->all, at, after)
    {
        const struct browser *b = LIST_OF(at, struct browser, node);
        if (b->slot == slot && !b->retire && b->state <= BROWSER_READY)
            return true;
    }
    return false;
}

static void fill_slots(struct browsers *f, mono now)
{
    for (int i = 0; i < f->config.count; i++) {
        struct fault fault = {0};
        if (slot_is_served(f, i) || !mono_past(f->slots[i].next_start, now))
            continue;
        if (browser_start(f, i, &fault))
            log_error("browser.not_started", F_N("slot", i), F_C("words", fault.words));
        return; /* one at a time: starting costs more than serving */
    }
}

static bool replacement_ready(const struct browsers *f, const struct browser *old)
{
    list_each(&f->all, at, after)
    {
        const struct browser *b = LIST_OF(at, struct browser, node);
        if (b != old && b->slot == old->slot && !b->retire && b->state == BROWSER_READY)
            return true;
    }
    return false;
}

static bool is_old(const struct browser *b, mono now)
{
    const struct browsers_config *c = &b->fleet->config;
    return b->worn || (c->jobs_max > 0 && b->jobs >= c->jobs_max) ||
           (c->age_max_ms > 0 && now.ms - b->started.ms >= c->age_max_ms);
}

err browsers_recycle(struct browsers *f, int64_t slot, struct fault *fault)
{
    bool there = false;
    list_each(&f->all, at, after)
    {
        struct browser *b = LIST_OF(at, struct browser, node);
        if (b->slot != slot || b->state > BROWSER_DRAINING)
            continue;
        there = true;
        if (b->state != BROWSER_READY || b->retire)
            continue;
        b->worn = b->worn ? b->worn : "recycle_asked";
        return E_OK;
    }
    return there ? fail(fault, E_CONFLICT, "browser %lld is not ready, or is replaced already",
                        (long long)slot + 1)
                 : fail(fault, E_NOT_FOUND,
                        "this node has no browser %lld; GET /v1/browsers lists them",
                        (long long)slot + 1);
}

/* One retires at a time, and its replacement is ready before it stops taking pages. */
static void retire_one(struct browsers *f, mono now)
{
    struct browser *next = NULL;
    list_each(&f->all, at, after)
    {
        struct browser *b = LIST_OF(at, struct browser, node);
        if (b->retire && b->state <= BROWSER_DRAINING)
            return;
        if (!next && b->state == BROWSER_READY && is_old(b, now))
            next = b;
    }
    if (!next)
        return;
    log_info("browser.retires", F_N("slot", next->slot), F_N("pid", next->pid),
             F_N("jobs", next->jobs), F_N("age_ms", now.ms - next->started.ms));
    next->retire = true;
}

static void drain(struct browser *b)
{
    if (b->retire && b->state == BROWSER_READY && replacement_ready(b->fleet, b))
        b->state = BROWSER_DRAINING;
    if (b->state == BROWSER_DRAINING && owned_tabs(b) == 0)
        browser_end(b);
}

/* One context waits with everything set up, so that a job does not. */
static void keep_prepared(struct browser *b)
{
    if (b->state != BROWSER_READY || b->retire ||
        !mono_past(b->prepare_after, loop_now(b->fleet->loop)))
        return;
    list_each(&b->tabs, at, after)
    {
        const struct tab *t = LIST_OF(at, struct tab, node);
        if (!t->face && !t->gone)
            return;
    }
    tab_new(b, NULL, NULL, false);
}

static bool is_waiting(const struct browser *b)
{
    return b->state == BROWSER_ENDING || b->state == BROWSER_KILLED;
}

static void tell(struct browsers *f)
{
    if (f->capacity_grew && !f->stopping) {
        f->capacity_grew = false;
        if (browsers_room(f) > 0 && f->on_capacity)
            f->on_capacity(f->ctx);
    }
    if (!f->stopping || f->stopped_told)
        return;
    list_each(&f->all, at, after)
    {
        if (LIST_OF(at, struct browser, node)->state != BROWSER_GONE)
            return;
    }
    f->stopped_told = true;
    if (f->on_stopped)
        f->on_stopped(f->stopped_ctx);
}

static void step_one(struct browser *b, mono now)
{
    browser_step(b, now);
    list_each(&b->tabs, at, after)
    {
        tab_step(LIST_OF(at, struct tab, node), now);
    }
    if (!b->fleet->stopping) {
        drain(b);
        keep_prepared(b);
    }
    tab_prepare_next(b);
}

static void count(const struct browsers *f)
{
    int64_t by_state[BROWSER_DRAINING + 1] = {0}, contexts = 0;
    list_each(&f->all, at, after)
    {
        const struct browser *b = LIST_OF(at, struct browser, node);
        if (b->state <= BROWSER_DRAINING)
            by_state[b->state]++;
        list_each(&b->tabs, tab_at, tab_after)
        {
            const struct tab *t = LIST_OF(tab_at, struct tab, node);
            contexts += t->context[0] && t->state < TAB_LOST;
        }
    }
    for (int i = 0; i <= BROWSER_DRAINING; i++)
        metric_set(METRIC_BROWSERS, i, by_state[i]);
    metric_set(METRIC_BROWSER_CONTEXTS, 0, contexts);
}

static void browsers_step(void *ctx)
{
    struct browsers *f = ctx;
    mono now = loop_now(f->loop);
    int64_t next = STEP_MS;
    f->soon = false;
    list_each(&f->all, at, after)
    {
        struct browser *b = LIST_OF(at, struct browser, node);
        step_one(b, now);
        if (is_waiting(b))
            next = STEP_WAITING_MS;
        if (b->state == BROWSER_GONE && list_empty(&b->tabs))
            browser_free(b);
    }
    if (!f->stopping) {
        retire_one(f, now);
        fill_slots(f, now);
    }
    count(f);
    tell(f);
    timer_start(f->tick, f->soon ? 0 : next);
}

/* ---- the face ---- */

static char *keep_text(struct span s)
{
    char *text = heap_get(s.n + 1);
    return span_copy(s, text, s.n + 1);
}

static char *blocked_params(const struct span *patterns, size_t count)
{
    static const char *const heavy[] = {
        "*.png",  "*.jpg", "*.jpeg", "*.gif", "*.webp", "*.avif",  "*.ico", "*.mp4",
        "*.webm", "*.m4s", "*.m3u8", "*.mp3", "*.woff", "*.woff2", "*.ttf", "*.otf"};
    struct buf text = BUF(256 * 1024);
    struct json_w w = json_w(&text);
    json_open(&w);
    json_key(&w, "urls");
    json_open_array(&w);
    for (size_t i = 0; i < sizeof heavy / sizeof *heavy; i++)
        json_put_text(&w, span_of(heavy[i]));
    for (size_t i = 0; i < count; i++)
        json_put_text(&w, patterns[i]);
    json_close_array(&w);
    json_close(&w);
    char *kept = keep_text(buf_span(&text));
    buf_free(&text);
    return kept;
}

err browsers_start(struct browsers **out, struct loop *l, const struct browsers_config *config,
                   void (*on_capacity)(void *ctx), void *ctx, struct fault *f)
{
    if (config->count < 1 ||
        config->count > (int)(sizeof(((struct browsers *)0)->slots) / sizeof(struct slot)))
        return fail(f, E_CONFIG, "browser.count must be from 1 to 64, not %d", config->count);
    char path[256];
    err e = browser_find(span_of(config->binary), path, f);
    if (e)
        return e;
    struct browsers *b = heap_new_of(struct browsers);
    b->loop = l;
    b->config = *config;
    b->binary = keep_text(span_of(path));
    b->run_folder = keep_text(span_of(config->run_folder));
    b->user_agent = (struct span){keep_text(config->user_agent), config->user_agent.n};
    b->blocked_json = blocked_params(config->blocked, config->blocked_count);
    b->config.blocked = NULL;
    b->config.binary = b->binary;
    b->config.run_folder = b->run_folder;
    b->on_capacity = on_capacity;
    b->ctx = ctx;
    list_init(&b->all);
    size_t swept = profile_sweep(b->run_folder);
    if (swept > 0)
        log_info("browser.folders_removed", F_N("count", swept));
    b->tick = timer_new(l, browsers_step, b, "browsers");
    browsers_soon(b);
    *out = b;
    return E_OK;
}

void browsers_block(struct browsers *f, const struct span *patterns, size_t count)
{
    free(f->blocked_json);
    f->blocked_json = blocked_params(patterns, count);
}

void browsers_stop(struct browsers *f, void (*on_stopped)(void *ctx), void *ctx)
{
    f->stopping = true;
    f->on_stopped = on_stopped;
    f->stopped_ctx = ctx;
    list_each(&f->all, at, after)
    {
        browser_end(LIST_OF(at, struct browser, node));
    }
    browsers_soon(f);
}

void browsers_free(struct browsers **at)
{
    struct browsers *f = *at;
    if (!f)
        return;
    *at = NULL;
    list_each(&f->all, place, after)
    {
        struct browser *b = LIST_OF(place, struct browser, node);
        need(b->state == BROWSER_GONE); /* stop first */
        list_each(&b->tabs, tab_place, tab_after)
            tab_free(LIST_OF(tab_place, struct tab, node));
        browser_free(b);
    }
    timer_close(&f->tick);
    free(f->binary);
    free(f->run_folder);
    free((char *)(uintptr_t)f->user_agent.p);
    free(f->blocked_json);
    free(f);
}

bool browsers_child_ended(struct browsers *f, pid_t pid, int status)
{
    list_each(&f->all, at, after)
    {
        struct browser *b = LIST_OF(at, struct browser, node);
        if (b->pid != pid || b->reaped)
            continue;
        log_info("browser.ended", F_N("slot", b->slot), F_N("pid", pid),
                 F_N("code", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
                 F_N("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
        b->reaped = true;
        browser_kill(b, "crash", "its process ended");
        browsers_soon(f);
        return true;
    }
    return false;
}

/* Probes were missed because of the way out. */
static void forgive(struct browsers *f)
{
    list_each(&f->all, at, after)
    {
        LIST_OF(at, struct browser, node)->probe.misses = 0;
    }
}

void browsers_egress_hello(struct browsers *f)
{
    forgive(f);
    list_each(&f->all, at, after)
    {
        struct browser *b = LIST_OF(at, struct browser, node);
        probe_end(b); /* it went through the egress before */
        browser_give(b);
    }
}

void browsers_egress_answered(struct browsers *f, mono asked)
{
    if (loop_now(f->loop).ms - asked.ms >= EGRESS_SLOW_MS)
        forgive(f);
    f->egress_asked = asked;
}

const char *browsers_trouble(const struct browsers *f)
{
    return f->trouble[0] ? f->trouble : NULL;
}

/* The ready one with the fewest pages. */
static struct browser *pick(struct browsers *f)
{
    struct browser *best = NULL;
    list_each(&f->all, at, after)
    {
        struct browser *b = LIST_OF(at, struct browser, node);
        if (room_of(b) > 0 && (!best || room_of(b) > room_of(best)))
            best = b;
    }
    return best;
}

static struct tab *prepared_tab(struct browser *b)
{
    list_each(&b->tabs, at, after)
    {
        struct tab *t = LIST_OF(at, struct tab, node);
        if (!t->face && !t->gone && t->state <= TAB_OPEN)
            return t;
    }
    return NULL;
}

err tab_open(struct tab **out, struct browsers *f, const struct tab_face *face, void *ctx,
             struct fault *fault)
{
    if (f->stopping)
        return fail(fault, E_SHUTDOWN, "the browsers are being stopped");
    struct browser *b = pick(f);
    if (!b)
        return fail(fault, E_BUSY, "no browser has room for a page now");
    struct tab *t = prepared_tab(b);
    if (t)
        tab_take(t, face, ctx);
    else
        t = tab_new(b, face, ctx, false);
    b->jobs++;
    *out = t;
    return E_OK;
}
