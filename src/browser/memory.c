#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "browser/inside.h"
#include "browser/process.h"

enum { WATCH_EVERY_MS = 500, GROWTH_EVERY_MS = 30000, BLAME_MS = 2000, GROWTH_JOBS = 10 };

static void renderer_free(struct renderer *r)
{
    watch_close(&r->watch);
    close(r->fd);
    list_remove(&r->node);
    free(r);
}

/* Its process ended. */
static void on_ended(void *ctx, bool readable, bool writable)
{
    (void)readable;
    (void)writable;
    struct renderer *r = ctx;
    struct tab *t = r->tab;
    renderer_free(r);
    if (t)
        tab_renderer_ended(t);
}

static struct renderer *find(struct browser *b, pid_t pid)
{
    list_each(&b->renderers, at, after)
    {
        struct renderer *r = LIST_OF(at, struct renderer, node);
        if (r->pid == pid)
            return r;
    }
    return NULL;
}

static struct renderer *renderer_new(struct browser *b, pid_t pid)
{
    int fd = process_open(pid);
    if (fd < 0)
        return NULL;
    struct renderer *r = heap_new_of(struct renderer);
    r->browser = b;
    r->pid = pid;
    r->fd = fd;
    r->order = ++b->renderer_order;
    if (watch_new(&r->watch, b->fleet->loop, fd, true, false, on_ended, r, "renderer") !=
        E_OK) {
        close(fd);
        free(r);
        return NULL;
    }
    list_add(&b->renderers, &r->node);
    return r;
}

size_t memory_renderers_of(const struct browser *b, const struct tab *t)
{
    size_t n = 0;
    list_each(&b->renderers, at, after)
    {
        n += LIST_OF(at, struct renderer, node)->tab == t;
    }
    return n;
}

void memory_kill_of(struct browser *b, const struct tab *t)
{
    list_each(&b->renderers, at, after)
    {
        struct renderer *r = LIST_OF(at, struct renderer, node);
        if (r->tab == t)
            process_kill(r->fd);
    }
}

void memory_forget_tab(struct browser *b, const struct tab *t)
{
    list_each(&b->renderers, at, after)
    {
        struct renderer *r = LIST_OF(at, struct renderer, node);
        if (r->tab == t)
            r->tab = NULL;
    }
}

void memory_end(struct browser *b)
{
    list_each(&b->renderers, at, after)
    {
        renderer_free(LIST_OF(at, struct renderer, node));
    }
}

static bool is_live(const struct tab *t)
{
    return t->state == TAB_OPEN || t->state == TAB_SETUP;
}

/* DevTools does not say which renderer belongs to which page. Contexts are made one after the
 * other, so the new renderer is the new tab's; later, when a page moved to another process, the
 * one tab without a renderer gets the one renderer without a tab. In doubt a renderer stays
 * nobody's: its memory is watched all the same, and a crash event names the tab. */
static void assign(struct browser *b, struct tab *fresh)
{
    struct renderer *stray = NULL;
    size_t strays = 0, bare = 0;
    list_each(&b->renderers, at, after)
    {
        struct renderer *r = LIST_OF(at, struct renderer, node);
        if (!r->tab && (!fresh || r->order > b->fresh_after)) {
            stray = r;
            strays++;
        }
    }
    if (strays != 1)
        return;
    struct tab *heir = fresh;
    list_each(&b->tabs, at, after)
    {
        struct tab *t = LIST_OF(at, struct tab, node);
        if (is_live(t) && memory_renderers_of(b, t) == 0) {
            bare++;
            heir = fresh ? fresh : t;
        }
    }
    if (fresh || bare == 1)
        stray->tab = heir;
}

static void take_process(struct browser *b, struct span item)
{
    struct span type;
    int64_t id;
    if (!cdp_member_text(item, "type", &type) || !cdp_member_int(item, "id", &id) || id <= 1 ||
        id > INT32_MAX)
        return;
    if (!span_is(type, "renderer")) {
        if (b->pid_count < PROCESSES_MAX)
            b->pids[b->pid_count++] = (pid_t)id;
        return;
    }
    if (!find(b, (pid_t)id))
        renderer_new(b, (pid_t)id);
}

static void take_processes(struct browser *b, bool tag, struct span payload)
{
    struct span list, item;
    if (!cdp_member(payload, "processInfo", &list))
        return;
    b->pid_count = 0;
    for (int i = 0; i < PROCESSES_MAX && cdp_next_item(&list, &item); i++)
        take_process(b, item);
    struct tab *fresh = tag ? b->preparing : NULL;
    assign(b, fresh && fresh->state == TAB_SETUP && memory_renderers_of(b, fresh) == 0 ? fresh
                                                                                       : NULL);
}

static void on_processes(void *ctx, uint32_t tag, err e, struct span payload)
{
    struct browser *b = ctx;
    if (!tag)
        b->pids_asked = false;
    /* The tab it was asked for may have been closed meanwhile: the next one has its own answer. */
    bool fresh = tag && tag == b->prepare_number;
    if (!e)
        take_processes(b, fresh, payload);
    if (fresh)
        tab_mapped(b);
}

void memory_ask(struct browser *b, bool for_new)
{
    if (b->pids_asked && !for_new)
        return;
    err e = browser_ask(b, b, SPAN_NONE, "SystemInfo.getProcessInfo", SPAN_NONE,
                        b->fleet->config.command_timeout_ms, on_processes, b,
                        for_new ? b->prepare_number : 0);
    if (!for_new)
        b->pids_asked = e == E_OK;
    else if (e)
        tab_mapped(b);
}

/* To ask the kernel for proportional memory takes milliseconds: what is the renderer's own is cheap to know, and its part
 * of what renderers share is as watch_growth() found it last. */
static void note_cost(struct renderer *r)
{
    struct tab_cost *cost = &r->tab->cost;
    int64_t cpu = process_cpu_ms(r->pid), own = process_own(r->pid);
    if (cpu > r->cpu_ms) {
        cost->cpu_ms = (cost->cpu_ms > 0 ? cost->cpu_ms : 0) + cpu - r->cpu_ms;
        r->cpu_ms = cpu;
    }
    if (own >= 0 && own + r->browser->shared_part > cost->peak_pss_bytes)
        cost->peak_pss_bytes = own + r->browser->shared_part;
}

void memory_cost(struct browser *b, struct tab *t)
{
    list_each(&b->renderers, at, after)
    {
        struct renderer *r = LIST_OF(at, struct renderer, node);
        if (r->tab == t)
            note_cost(r);
    }
}

static void watch_one(struct browser *b, struct renderer *r, mono now)
{
    int64_t max = b->fleet->config.memory_max, bytes = process_resident(r->pid);
    if (r->tab)
        note_cost(r);
    if (max <= 0 || bytes <= max || r->too_big)
        return;
    log_warn("browser.page_too_big", F_N("slot", b->slot), F_N("renderer", r->pid),
             F_N("bytes", bytes), F_N("max", max));
    r->too_big = true;
    b->too_big_until = mono_add(now, BLAME_MS);
    char words[WORDS_SIZE];
    snprintf(words, sizeof words, "the page used more memory than %" PRId64 " MB and was ended",
             max >> 20);
    struct tab *t = r->tab;
    process_kill(r->fd);
    if (t)
        tab_gone(t, E_TOO_BIG, words);
}

/* Proportional memory of the processes that stay when pages go. */
static void watch_growth(struct browser *b)
{
    int64_t sum = 0, all = 0;
    for (size_t i = 0; i < b->pid_count; i++) {
        int64_t bytes = process_pss(b->pids[i]);
        sum += bytes > 0 ? bytes : 0;
    }
    list_each(&b->renderers, at, after)
    {
        pid_t pid = LIST_OF(at, struct renderer, node)->pid;
        int64_t bytes = process_pss(pid), own = process_own(pid);
        all += bytes > 0 ? bytes : 0;
        if (bytes > own && own > 0)
            b->shared_part = bytes - own;
    }
    b->pss_bytes = sum + all;
    if (sum == 0 || b->jobs < GROWTH_JOBS)
        return;
    if (b->pss_first == 0)
        b->pss_first = sum;
    int64_t percent = b->fleet->config.growth_max_percent;
    if (percent > 0 && !b->worn && sum > b->pss_first / 100 * percent) {
        log_info("browser.grew", F_N("slot", b->slot), F_N("bytes", sum),
                 F_N("first", b->pss_first));
        b->worn = "recycle_memory";
    }
}

void memory_step(struct browser *b, mono now)
{
    if (mono_past(b->memory_next, now)) {
        b->memory_next = mono_add(now, WATCH_EVERY_MS);
        list_each(&b->renderers, at, after)
            watch_one(b, LIST_OF(at, struct renderer, node), now);
        if (!list_empty(&b->tabs))
            memory_ask(b, false);
    }
    if (mono_past(b->growth_next, now) && b->pid_count > 0) {
        b->growth_next = mono_add(now, GROWTH_EVERY_MS);
        watch_growth(b);
    }
}
