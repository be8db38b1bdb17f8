#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/need.h"
#include "browser/inside.h"
#include "browser/launch.h"
#include "core/metrics.h"
#include "net/egress.h"
#include "os/spawn.h"

enum { DATA_MAX_MIN = 1 << 30, CALLS_PER_TAB = TAB_CALLS_MAX + 16 };

bool browser_takes_calls(const struct browser *b)
{
    return b->state == BROWSER_READY || b->state == BROWSER_DRAINING;
}

err browser_ask(struct browser *b, const void *owner, struct span session, const char *method,
                struct span params, int64_t timeout_ms, broker_answer *on_answer, void *ctx,
                uint32_t tag)
{
    if (!b->pipe)
        return E_BROWSER_GONE;
    return broker_call(b->broker, owner, session, method, params, timeout_ms, on_answer, ctx,
                       tag);
}

/* ---- start ---- */

static err send_command(void *ctx, struct span command)
{
    struct browser *b = ctx;
    return b->pipe ? devpipe_send(b->pipe, command) : E_END;
}

static void on_event(void *ctx, const struct cdp_message *m)
{
    tab_event(ctx, m);
}

static void on_message(void *ctx, struct span text)
{
    struct browser *b = ctx;
    broker_take(b->broker, text);
}

static void on_pipe_end(void *ctx, err why)
{
    browser_kill(ctx, "crash",
                 why == E_TOO_BIG ? "it sent a message that is too long" : "its pipe ended");
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void browser_give(struct browser *b)
{
    struct fault fault = {0};
    if (b->listener_fd < 0 || b->fleet->config.egress_fd < 0)
        return;
    /* When egress is away it will say hello and get it again. */
    if (egress_give(b->fleet->config.egress_fd, b->listener_fd, b->life_read, &fault))
        log_warn("browser.egress_away", F_N("slot", b->slot), F_C("words", fault.words));
}

static void on_control(void *ctx, bool readable, bool writable)
{
    (void)readable;
    (void)writable;
    struct browser *b = ctx;
    struct fault fault = {0};
    err e = launch_receive(b->control_fd, &b->listener_fd, &fault);
    if (e == E_BUSY)
        return;
    watch_close(&b->control);
    close_fd(&b->control_fd);
    if (e)
        browser_kill(b, "crash", fault.words);
    else
        browser_give(b);
}

/* Read always, so that it never blocks there; kept for the case that it does not start. */
static void on_complaint(void *ctx, bool readable, bool writable)
{
    (void)readable;
    (void)writable;
    struct browser *b = ctx;
    char text[4096];
    ssize_t n = read(b->stderr_fd, text, sizeof text);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        watch_close(&b->complaints);
        return;
    }
    struct span rest = {text, (size_t)n}, line;
    while (span_next(&rest, '\n', &line)) {
        if (line.n > 0)
            span_copy(line, b->complaint, sizeof b->complaint);
    }
}

static void on_version(void *ctx, uint32_t tag, err e, struct span payload)
{
    (void)tag;
    struct browser *b = ctx;
    struct span product = SPAN_NONE;
    if (b->state != BROWSER_STARTING)
        return;
    if (e) {
        browser_kill(b, "hang", "it did not say its version in time");
        return;
    }
    cdp_member_text(payload, "product", &product);
    b->state = BROWSER_READY;
    b->fleet->early_deaths = 0;
    b->fleet->trouble[0] = '\0';
    b->ready_at = loop_now(b->fleet->loop);
    metric_add(METRIC_BROWSER_LAUNCHES, metric_label(METRIC_BROWSER_LAUNCHES, SPAN("ok")), 1);
    b->probe.next = b->memory_next = b->growth_next = b->ready_at;
    log_info("browser.ready", F_N("slot", b->slot), F_N("pid", b->pid), F_S("product", product),
             F_N("ms", b->ready_at.ms - b->started.ms));
    b->fleet->capacity_grew = true;
    browsers_soon(b->fleet);
}

static void on_nothing(void *ctx, uint32_t tag, err e, struct span payload)
{
    (void)ctx;
    (void)tag;
    (void)e;
    (void)payload;
}

static err greet(struct browser *b)
{
    int64_t ms = b->fleet->config.start_timeout_ms;
    err e = browser_ask(b, b, SPAN_NONE, "Browser.getVersion", SPAN_NONE, ms, on_version, b, 0);
    if (!e)
        e = browser_ask(b, b, SPAN_NONE, "Target.setDiscoverTargets",
                        SPAN("{\"discover\":true}"), ms, on_nothing, b, 0);
    if (!e)
        e = browser_ask(b, b, SPAN_NONE, "Browser.setDownloadBehavior",
                        SPAN("{\"behavior\":\"deny\"}"), ms, on_nothing, b, 0);
    return e;
}

static err connect_pipes(struct browser *b, const struct launched *l)
{
    b->control_fd = l->control_fd;
    b->stderr_fd = l->stderr_fd;
    err e =
        devpipe_new(&b->pipe, b->fleet->loop, l->from_fd, l->to_fd, on_message, on_pipe_end, b);
    if (e) {
        close(l->from_fd);
        close(l->to_fd);
        return e;
    }
    e = watch_new(&b->control, b->fleet->loop, b->control_fd, true, false, on_control, b,
                  "launcher");
    if (!e)
        e = watch_new(&b->complaints, b->fleet->loop, b->stderr_fd, true, false, on_complaint,
                      b, "browser's stderr");
    return e ? e : greet(b);
}

static err launch(struct browser *b, struct fault *f)
{
    const struct browsers_config *config = &b->fleet->config;
    int64_t room = config->memory_max + (512 << 20);
    struct launch l = {
        .binary = b->fleet->binary,
        .folder = b->profile.path,
        .isolation = config->isolation,
        .data_max = room > DATA_MAX_MIN ? room : DATA_MAX_MIN,
        .user_agent = b->fleet->user_agent,
    };
    struct launched launched;
    int life[2];
    if (pipe2(life, O_CLOEXEC) != 0)
        return fail(f, E_OS, "no pipe for a browser: errno %d", errno);
    b->life_read = life[0];
    b->life_write = life[1];
    err e = launch_start(&l, &launched, f);
    if (e)
        return e;
    b->pid = launched.pid;
    e = connect_pipes(b, &launched);
    return e ? fail(f, e, "the browser cannot be spoken to: %s", err_text(e)) : E_OK;
}

err browser_start(struct browsers *f, int slot, struct fault *fault)
{
    struct browser *b = heap_new_of(struct browser);
    b->fleet = f;
    b->slot = slot;
    b->profile.lock_fd = b->control_fd = b->stderr_fd = b->listener_fd = b->life_read =
        b->life_write = -1;
    list_init(&b->tabs);
    list_init(&b->renderers);
    b->broker = broker_new(f->loop, (size_t)(f->config.contexts_max + 4) * CALLS_PER_TAB,
                           send_command, on_event, b);
    b->started = loop_now(f->loop);
    b->deadline = mono_add(b->started, f->config.start_timeout_ms);
    list_add(&f->all, &b->node);
    f->slots[slot].launches++;
    err e = profile_make(&b->profile, f->run_folder, f->number++, fault);
    if (!e)
        e = launch(b, fault);
    if (e)
        browser_kill(b, "crash", fault && fault->words[0] ? fault->words : err_text(e));
    return e;
}

/* ---- end ---- */

/* Nobody can talk to it any more: all who waited hear so. */
static void browser_lost(struct browser *b, const char *why)
{
    devpipe_close(&b->pipe);
    watch_close(&b->control);
    close_fd(&b->control_fd);
    close_fd(&b->life_write); /* egress lets go of the listener and its connections */
    close_fd(&b->life_read);
    close_fd(&b->listener_fd);
    b->probe.running = false;
    b->preparing = NULL;
    list_each(&b->tabs, at, after)
    {
        tab_lost(LIST_OF(at, struct tab, node), why);
    }
    probe_end(b);
    broker_end_all(b->broker, E_BROWSER_GONE);
    browsers_soon(b->fleet);
}

/* One that never was ready is a failed launch, not an end. */
static void count_end(const struct browser *b, const char *reason)
{
    if (b->ready_at.ms)
        metric_add(METRIC_BROWSER_EXITS, metric_label(METRIC_BROWSER_EXITS, span_of(reason)),
                   1);
    else if (!b->fleet->stopping)
        metric_add(METRIC_BROWSER_LAUNCHES,
                   metric_label(METRIC_BROWSER_LAUNCHES, SPAN("failed")), 1);
}

static const char *why_it_retires(const struct browser *b)
{
    const struct browsers_config *c = &b->fleet->config;
    if (b->fleet->stopping)
        return "shutdown";
    if (b->worn)
        return b->worn;
    return c->jobs_max > 0 && b->jobs >= c->jobs_max ? "recycle_jobs" : "recycle_age";
}

void browser_end(struct browser *b)
{
    if (b->state >= BROWSER_ENDING)
        return;
    log_info("browser.ending", F_N("slot", b->slot), F_N("pid", b->pid), F_N("jobs", b->jobs));
    count_end(b, why_it_retires(b));
    b->state = BROWSER_ENDING;
    b->deadline = mono_add(loop_now(b->fleet->loop), END_WAIT_MS);
    browser_lost(b, "the browser is being closed");
}

static void note_failure(struct browser *b)
{
    enum {
        STEADY_MS = 60000,
        BACKOFF_FIRST_MS = 500,
        BACKOFF_MAX_MS = 30000,
        DOUBLINGS_MAX = 6
    };
    struct slot *s = &b->fleet->slots[b->slot];
    mono now = loop_now(b->fleet->loop);
    if (b->ready_at.ms && now.ms - b->ready_at.ms > STEADY_MS)
        s->failures = 0;
    int64_t wait = (int64_t)BACKOFF_FIRST_MS
                   << (s->failures < DOUBLINGS_MAX ? s->failures : DOUBLINGS_MAX);
    /* The first death of one that worked is no reason to wait. */
    if (b->ready_at.ms && s->failures == 0)
        wait = 0;
    s->failures++;
    s->next_start = mono_add(now, wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS);
}

/* One that never starts is tried for ever; somebody should look. */
static void note_early_death(struct browser *b, const char *why)
{
    enum { DEATHS_MIN = 3, SAY_EVERY_MS = 60000 };
    struct browsers *f = b->fleet;
    mono now = loop_now(f->loop);
    if (b->ready_at.ms || f->stopping || ++f->early_deaths < DEATHS_MIN)
        return;
    snprintf(f->trouble, sizeof f->trouble,
             "no browser starts (%d tries): %s%s%s; check browser.binary with fulmar doctor",
             f->early_deaths, why, b->complaint[0] ? "; it said: " : "", b->complaint);
    if (f->early_said.ms && now.ms - f->early_said.ms < SAY_EVERY_MS)
        return;
    f->early_said = now;
    log_error("browser.does_not_start", F_N("tries", f->early_deaths), F_C("why", f->trouble));
}

void browser_kill(struct browser *b, const char *reason, const char *why)
{
    if (b->state >= BROWSER_KILLED)
        return;
    bool ending = b->state == BROWSER_ENDING;
    if (!ending) {
        log_warn("browser.killed", F_N("slot", b->slot), F_N("pid", b->pid), F_C("words", why),
                 F_C("said", b->ready_at.ms ? "" : b->complaint));
        note_failure(b);
        note_early_death(b, why);
        count_end(b, reason);
    }
    b->state = BROWSER_KILLED;
    b->deadline = mono_add(loop_now(b->fleet->loop), KILL_WAIT_MS);
    if (b->pid > 1 && !b->reaped)
        spawn_kill_group(b->pid);
    if (!ending)
        browser_lost(b, why);
}

static bool group_is_empty(const struct browser *b)
{
    return b->pid <= 1 || (kill(-b->pid, 0) != 0 && errno == ESRCH);
}

/* Reaped, but others of its group may take a moment: the number of the group stays theirs until
 * then. */
static void bury(struct browser *b, mono now)
{
    if (!b->reaped && b->pid > 1) {
        if (mono_past(b->deadline, now) && b->state == BROWSER_ENDING)
            browser_kill(b, "hang", "it did not leave by itself");
        return;
    }
    if (!group_is_empty(b)) {
        spawn_kill_group(b->pid);
        if (!mono_past(b->deadline, now) || b->state == BROWSER_ENDING) {
            if (b->state == BROWSER_ENDING && mono_past(b->deadline, now)) {
                b->state = BROWSER_KILLED;
                b->deadline = mono_add(now, KILL_WAIT_MS);
            }
            return;
        }
        log_error("browser.group_left", F_N("slot", b->slot), F_N("pid", b->pid));
    }
    struct fault fault = {0};
    if (profile_remove(&b->profile, &fault) && !mono_past(b->deadline, now))
        return;
    if (fault.words[0])
        log_warn("browser.folder_kept", F_C("words", fault.words));
    b->state = BROWSER_GONE;
    browsers_soon(b->fleet);
}

void browser_step(struct browser *b, mono now)
{
    if (b->state == BROWSER_STARTING && mono_past(b->deadline, now))
        browser_kill(b, "hang", "it did not start in time");
    if (browser_takes_calls(b)) {
        memory_step(b, now);
        probe_step(b, now);
    }
    if (b->state == BROWSER_ENDING || b->state == BROWSER_KILLED)
        bury(b, now);
}

void browser_free(struct browser *b)
{
    need(list_empty(&b->tabs));
    memory_end(b);
    watch_close(&b->complaints);
    close_fd(&b->stderr_fd);
    broker_free(&b->broker);
    if (b->profile.lock_fd >= 0)
        close(b->profile.lock_fd);
    list_remove(&b->node);
    free(b);
}
