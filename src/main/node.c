/* The node: one loop (API, pool, browsers), one store thread beside it. It opens everything in the
 * order of need, and closes it in the reverse. Failure modes: the supervisor's socket ends → orderly
 * stop; a child ends → browsers or pool replace it; egress comes anew → listeners are given again. */
#include "main/roles.h"
#include "main/sites.h"

#include "api/api.h"
#include "base/log.h"
#include "base/need.h"
#include "browser/browser.h"
#include "browser/launch.h"
#include "core/metrics.h"
#include "net/domains.h"
#include "net/egress.h"
#include "net/fetch.h"
#include "os/clock.h"
#include "os/files.h"
#include "os/random.h"
#include "os/spawn.h"
#include "pool/pool.h"
#include "store/configured.h"
#include "store/thread.h"
#include "upkeep/presence.h"
#include "upkeep/schedules.h"
#include "upkeep/webhooks.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    OWN_FILES = 2048,
    SPOOL_ALWAYS = 2, /* of store.spool */
    ARENA_MAX = 4 * 1024 * 1024,
    BLOCKED_MAX = 512,
    EGRESS_SILENT_MS = 2000,
    MOST_VIEWS = 256
};

struct node {
    struct loop *loop;
    struct settings settings;
    struct sites *sites;
    struct store_thread *store;
    struct waker *waker;
    struct browsers *browsers;
    struct fetcher *fetcher;
    struct domain_rules domains; /* borrowed by the fetcher and the API */
    struct pool *pool;
    struct schedules *schedules;
    struct webhooks *webhooks;
    struct presence *presence;
    const char *state_dir;
    char files[512]; /* folder of media files */
    struct api *api;
    struct watch *control, *egress;
    struct listener_signal *children, *terminate;
    struct timer *hard_stop, *beat, *look; /* look: at the folder of the site packs */
    mono asked;                            /* egress was asked then; 0: nothing is open */
    enum isolation isolation;
    struct outlook outlook;        /* as the store said last */
    enum store_check check;        /* said last */
    int64_t spool_waiting, losses; /* likewise */
    int64_t looks;                 /* at the queue's server, of which the findings were said */
    char away[240];                /* why the store cannot be asked; empty: it can */
    bool joined, waited;           /* the store was there; it was not when the node started */
    wall started;
    bool stopping, ready_said;
    struct buf hosts; /* as egress was told last */
    char binary[256]; /* of the browser */
    int code;
};

static void say_ready(struct node *n)
{
    if (n->ready_said || !browsers_ready(n->browsers))
        return;
    n->ready_said = true;
    log_info("node.ready", F_C("isolation", isolation_name(n->isolation)));
}

/* ---- wake-ups ---- */

/* Once, when a large file was looked at wholly. */
static void say_check(struct node *n)
{
    struct fault damage = {0};
    enum store_check check = store_thread_check(n->store, damage.words);
    if (check == n->check)
        return;
    n->check = check;
    if (check == STORE_CHECK_DAMAGED)
        log_error("store.damaged", F_C("why", damage.words));
    else if (check == STORE_CHECK_DONE)
        log_info("store.checked", F_C("what", "all of the file is sound"));
}

/* When the first job was taken while the queue was away, and when all of them are there. */
static void say_spool(struct node *n)
{
    struct spooling_state now = store_thread_spool(n->store);
    int64_t before = n->spool_waiting;
    n->spool_waiting = now.waiting;
    if (!before && now.waiting)
        log_warn("spool.fills", F_N("waiting", now.waiting),
                 F_C("why", "the queue is away; jobs are taken onto this node's disk, and are "
                            "handed over when it is back"));
    else if (before && !now.waiting)
        log_info("spool.empty", F_C("what", "the queue has all jobs that were taken here"));
}

/* What was answered and is lost: somebody has to know, and to order it again. */
static void say_loss(struct node *n)
{
    struct store_loss loss;
    store_thread_loss(n->store, &loss);
    if (loss.count == n->losses)
        return;
    n->losses = loss.count;
    log_error("queue.lost", F_N("events", loss.events), F_N("jobs", loss.jobs),
              F_C("why",
                  "the Redis does not have what it had answered; a failover, a restart or a "
                  "hand lost it (docs: what is lost when)"));
    for (size_t i = 0; i < loss.named; i++)
        log_error(
            "queue.lost_job", F_C("job", loss.ids[i]),
            F_C("why",
                store_thread_spool(n->store).on
                    ? "it is handed over again when this node's spool has it, otherwise order it again"
                    : "order it again"));
}

static void say_findings(struct node *n)
{
    struct preflight_finding found[PREFLIGHT_MOST];
    int64_t looks;
    size_t count = store_thread_findings(n->store, found, &looks);
    for (size_t i = 0; looks != n->looks && i < count; i++)
        log_warn("store.queue", F_C("why", found[i].words));
    n->looks = looks;
}

/* Servers of several machines may be away when this node starts. */
static void say_joined(struct node *n)
{
    char why[sizeof n->away];
    if (n->joined) {
        say_findings(n); /* those of a server that took over */
        return;
    }
    n->joined = !store_thread_away(n->store, why, sizeof why);
    if (!n->joined && !n->waited)
        log_warn("store.away", F_C("why", why));
    if (n->joined && n->waited)
        log_info("store.joined", F_C("what", "the job store is there now"));
    n->waited = !n->joined;
    if (!n->joined)
        return;
    say_findings(n);
    if (n->presence)
        presence_say(n->presence);
}

static void count_desired(const struct node *n);

static void on_store(void *ctx)
{
    struct node *n = ctx;
    int64_t last_event = 0;
    if (!n->store)
        return;
    char why[sizeof n->away];
    if (n->pool)
        pool_away(n->pool, store_thread_away(n->store, why, sizeof why));
    store_thread_collect(n->store, &n->outlook, &last_event);
    say_joined(n);
    say_check(n);
    say_spool(n);
    say_loss(n);
    if (n->api) {
        api_mode(n->api, n->outlook.mode);
        api_new_events(n->api, last_event);
    }
    if (n->pool) {
        pool_kick(n->pool, n->outlook.startable, n->outlook.startable_light);
        count_desired(n);
    }
    if (n->schedules)
        schedules_told(n->schedules, &n->outlook);
    if (n->webhooks)
        webhooks_told(n->webhooks, last_event);
}

static void wake_loop(void *ctx)
{
    struct node *n = ctx;
    waker_wake(n->waker);
}

static void on_capacity(void *ctx)
{
    struct node *n = ctx;
    say_ready(n);
    if (n->pool)
        pool_kick(n->pool, n->outlook.startable, n->outlook.startable_light);
}

static void on_child(void *ctx, int signum)
{
    struct node *n = ctx;
    pid_t pid;
    int status;
    (void)signum;
    while (spawn_reap(&pid, &status)) {
        if (n->pool && pool_child_ended(n->pool, pid, status))
            continue;
        if (n->browsers)
            (void)browsers_child_ended(n->browsers, pid, status);
    }
}

/* ---- stopping ---- */

static void on_browsers_stopped(void *ctx)
{
    struct node *n = ctx;
    loop_stop(n->loop);
}

static void on_drained(void *ctx)
{
    struct node *n = ctx;
    browsers_stop(n->browsers, on_browsers_stopped, n);
}

static void on_hard_stop(void *ctx)
{
    (void)ctx;
    /* What hangs cannot be closed in order. The kernel ends workers and browsers with us; folders of
     * browsers are removed at the next start. */
    log_error("node.stop_forced", F_C("why", "jobs or browsers did not end in time"));
    role_why("it had to stop before everything had ended; the log says more");
    _exit(70);
}

static void stop(struct node *n, const char *why)
{
    if (n->stopping)
        return;
    n->stopping = true;
    log_info("node.stopping", F_C("why", why));
    int64_t grace_ms = SETTING(&n->settings, service, grace);
    n->hard_stop = timer_new(n->loop, on_hard_stop, n, "node.hard_stop");
    timer_start(n->hard_stop,
                grace_ms + SETTING(&n->settings, job, grace) + role_stop_ms(&n->settings));
    if (n->api)
        api_drain(n->api);
    if (n->presence)
        presence_say(n->presence);
    if (n->schedules)
        schedules_drain(n->schedules);
    if (n->webhooks)
        webhooks_drain(n->webhooks);
    if (n->pool)
        pool_drain(n->pool, grace_ms, on_drained, n);
    else
        loop_stop(n->loop);
}

/* ---- site packs ---- */

static void add_hosts(void *ctx, const struct packs *packs)
{
    struct buf *out = ctx;
    for (size_t i = 0; i < packs->count; i++) {
        const struct span *hosts = NULL;
        size_t count = pack_hosts(packs->pack[i], &hosts);
        for (size_t k = 0; k < count; k++) {
            buf_add(out, hosts[k]);
            buf_add_char(out, ' ');
        }
    }
}

/* Those of the packs in use, and of older ones that a job still works with. */
static void tell_hosts(struct node *n, bool again)
{
    struct buf hosts = BUF(EGRESS_HOSTS_MAX);
    if (n->pool)
        pool_each_packs(n->pool, add_hosts, &hosts);
    else
        add_hosts(&hosts, sites_packs(n->sites));
    if (hosts.failed)
        log_error("node.too_many_hosts", F_N("bytes_max", EGRESS_HOSTS_MAX));
    bool same = span_eq(buf_span(&hosts), buf_span(&n->hosts));
    if (hosts.failed || (same && !again) || egress_tell_hosts(ROLE_PEER_FD, buf_span(&hosts))) {
        buf_free(&hosts); /* what could not be told is told at the next look, or hello */
        return;
    }
    buf_free(&n->hosts);
    n->hosts = hosts;
}

static size_t blocked(const struct packs *packs, struct span out[BLOCKED_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < packs->count; i++) {
        const struct span *patterns = NULL;
        size_t count = pack_blocked(packs->pack[i], &patterns);
        for (size_t k = 0; k < count && n < BLOCKED_MAX; k++)
            out[n++] = patterns[k];
    }
    return n;
}

static void look_at_sites(struct node *n, bool force)
{
    struct span patterns[BLOCKED_MAX];
    if (!n->stopping && sites_look(n->sites, force, loop_now(n->loop), clock_wall())) {
        struct packs *packs = sites_packs(n->sites);
        browsers_block(n->browsers, patterns, blocked(packs, patterns));
        api_use(n->api, packs);
        pool_use(n->pool, packs);
    }
    tell_hosts(n, false);
}

static void on_look(void *ctx)
{
    struct node *n = ctx;
    look_at_sites(n, false);
    timer_start(n->look, SETTING(&n->settings, site, reload));
}

static void on_control(void *ctx, bool readable, bool writable)
{
    struct node *n = ctx;
    char word[64];
    (void)readable;
    (void)writable;
    ssize_t got = read(ROLE_SUPERVISOR_FD, word, sizeof word);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got > 0 && span_is((struct span){word, (size_t)got}, ROLE_RELOAD)) {
        log_info("node.reload", F_C("why", "asked to"));
        look_at_sites(n, true);
        return;
    }
    watch_close(&n->control); /* once is enough; beats still go the other way */
    stop(n, got > 0 ? "asked by the supervisor" : "the supervisor is gone");
}

static void on_egress(void *ctx, bool readable, bool writable)
{
    struct node *n = ctx;
    char word[64];
    (void)readable;
    (void)writable;
    ssize_t got = recv(ROLE_PEER_FD, word, sizeof word, MSG_DONTWAIT);
    struct span said = {word, got > 0 ? (size_t)got : 0};
    if (span_is(said, "hello")) {
        n->asked.ms = 0; /* a question to the one before is lost */
        tell_hosts(n, true);
        browsers_egress_hello(n->browsers);
        if (n->fetcher)
            fetcher_egress_hello(n->fetcher);
        if (n->webhooks)
            webhooks_egress_hello(n->webhooks);
    } else if (span_is(said, "pong") && n->asked.ms) {
        browsers_egress_answered(n->browsers, n->asked);
        n->asked.ms = 0;
    }
    if (got == 0) {
        watch_close(&n->egress);
        stop(n, "the way out is gone");
    }
}

/* ---- signs of life ---- */

static bool egress_is_silent(const struct node *n)
{
    return n->asked.ms && loop_now(n->loop).ms - n->asked.ms > EGRESS_SILENT_MS;
}

static void on_beat(void *ctx)
{
    struct node *n = ctx;
    mono now = loop_now(n->loop);
    role_beat();
    if (!n->asked.ms && egress_ping(ROLE_PEER_FD) == E_OK)
        n->asked = now;
    timer_start(n->beat, ROLE_BEAT_MS);
}

static void on_terminate(void *ctx, int signum)
{
    (void)signum;
    stop(ctx, "signal");
}

/* ---- what the API asks ---- */

static void status(void *ctx, struct api_status *out)
{
    struct node *n = ctx;
    struct pool_view pool = {0};
    struct browser_view views[64];
    size_t count = browsers_view(n->browsers, views, 64);
    *out = (struct api_status){.isolation = isolation_name(n->isolation)};
    if (n->pool)
        pool_view(n->pool, &pool);
    out->workers_idle = pool.idle;
    out->workers_busy = pool.busy + pool.stopping;
    out->workers_starting = pool.starting;
    for (size_t i = 0; i < count; i++) {
        out->browsers_ready += span_is(span_of(views[i].state), "ready");
        out->tabs_open += views[i].tabs;
    }
    bool away = store_thread_away(n->store, n->away, sizeof n->away);
    out->ready = !n->stopping && !away && browsers_ready(n->browsers);
    const char *trouble = browsers_trouble(n->browsers);
    out->why = n->stopping           ? "the service is stopping"
               : out->ready          ? NULL
               : away                ? n->away
               : trouble             ? trouble
               : egress_is_silent(n) ? "egress does not answer; the supervisor replaces it"
                                     : "no browser has answered a probe yet";
    out->queue = n->outlook;
    out->spool = store_thread_spool(n->store);
    store_thread_loss(n->store, &out->lost);
    out->site_count = sites_view(n->sites, out->sites, PACKS_MAX);
}

static struct api_worker shown_worker(const struct worker_view *v)
{
    struct api_worker out = {.number = v->number,
                             .state = v->state,
                             .hold = v->hold,
                             .pid = v->pid,
                             .jobs_served = v->jobs_served,
                             .attempt = v->attempt,
                             .running_ms = v->running_ms,
                             .has_page = v->has_page};
    memcpy(out.job, v->job, sizeof out.job);
    memcpy(out.step, v->step, sizeof out.step);
    return out;
}

static size_t workers(void *ctx, struct api_worker *out, size_t most)
{
    const struct node *n = ctx;
    struct worker_view *views = heap_get(MOST_VIEWS * sizeof *views);
    size_t count = n->pool ? pool_workers(n->pool, views, MOST_VIEWS) : 0;
    count = count < most ? count : most;
    for (size_t i = 0; i < count; i++)
        out[i] = shown_worker(&views[i]);
    free(views);
    return count;
}

static err worker_act(void *ctx, int64_t number, enum api_act act, struct fault *f)
{
    struct node *n = ctx;
    switch (act) {
    case ACT_QUIET:
        return pool_wish(n->pool, number, WORKER_QUIET, f);
    case ACT_RESUME:
        return pool_wish(n->pool, number, WORKER_WORKS, f);
    case ACT_STOP:
        return pool_wish(n->pool, number, WORKER_STOPPED, f);
    case ACT_KILL:
        return pool_kill(n->pool, number, f);
    }
    bug("unknown act");
}

static err worker_dump(void *ctx, int64_t number, struct api_worker_dump *out, struct fault *f)
{
    struct node *n = ctx;
    struct worker_dump d;
    err e = pool_dump(n->pool, number, &d, f);
    if (e)
        return e;
    *out = (struct api_worker_dump){.worker = shown_worker(&d.worker),
                                    .alive = d.alive,
                                    .process_state = d.process.state,
                                    .cpu_ms = d.process.cpu_ms,
                                    .threads = d.process.threads,
                                    .memory_bytes = d.process.memory_bytes,
                                    .batches = d.batches,
                                    .records = d.records,
                                    .quiet_ms = d.quiet_ms,
                                    .requests = d.requests,
                                    .net_bytes = d.net_bytes,
                                    .page = d.page,
                                    .unread_bytes = d.unread_bytes,
                                    .for_store = d.for_store,
                                    .for_fetch = d.for_fetch,
                                    .for_media = d.for_media,
                                    .for_pictures = d.for_pictures,
                                    .stop_asked = d.stop_asked};
    memcpy(out->lane, d.lane, sizeof out->lane);
    return E_OK;
}

static err worker_stack_ask(void *ctx, int64_t number, int64_t *out_pid, struct fault *f)
{
    struct node *n = ctx;
    pid_t pid = 0;
    err e = pool_stack_ask(n->pool, number, &pid, f);
    *out_pid = pid;
    return e;
}

static err worker_stack_take(void *ctx, int64_t number, int64_t pid, struct arena *a,
                             const char *const **out, size_t *out_count, struct fault *f)
{
    struct node *n = ctx;
    return pool_stack_take(n->pool, number, (pid_t)pid, a, out, out_count, f);
}

static err workers_scale(void *ctx, int64_t count, struct fault *f)
{
    struct node *n = ctx;
    return pool_scale(n->pool, count, f);
}

/* Workers that would have work: those that have it, and one for each job that nothing but workers holds up. */
static struct api_scale scale_of(const struct node *n)
{
    struct pool_view pool;
    struct scale_view scale;
    pool_view(n->pool, &pool);
    pool_scale_view(n->pool, &scale);
    int64_t busy = pool.busy + pool.stopping, all = busy + n->outlook.runnable;
    return (struct api_scale){.count = scale.count,
                              .most = scale.most,
                              .at_start = scale.at_start,
                              .busy = busy,
                              .runnable = n->outlook.runnable,
                              .desired = all < scale.most ? all : scale.most};
}

static void workers_scale_view(void *ctx, struct api_scale *out)
{
    *out = scale_of(ctx);
}

static void count_desired(const struct node *n)
{
    metric_set(METRIC_WORKERS_DESIRED, 0, scale_of(n).desired);
}

static err browser_recycle(void *ctx, int64_t number, struct fault *f)
{
    struct node *n = ctx;
    return browsers_recycle(n->browsers, number - 1, f);
}

static size_t browsers(void *ctx, struct api_browser *out, size_t most)
{
    const struct node *n = ctx;
    struct browser_view *views = heap_get(MOST_VIEWS * sizeof *views);
    size_t count = browsers_view(n->browsers, views, MOST_VIEWS);
    count = count < most ? count : most;
    for (size_t i = 0; i < count; i++)
        out[i] = (struct api_browser){.number = views[i].slot + 1,
                                      .state = views[i].state,
                                      .pid = views[i].pid,
                                      .pages = views[i].tabs,
                                      .jobs = views[i].jobs,
                                      .launches = views[i].launches,
                                      .age_ms = views[i].age_ms,
                                      .pss_bytes = views[i].pss_bytes,
                                      .recycle_reason = views[i].worn,
                                      .probe_ok = views[i].healthy,
                                      .probe_misses = views[i].misses,
                                      .probe_ms = views[i].probe_ms,
                                      .probe_age_ms = views[i].probe_age_ms};
    free(views);
    return count;
}

static int64_t host_turn_ms(void *ctx, struct span host)
{
    const struct node *n = ctx;
    struct buf url = BUF(512);
    buf_fmt(&url, "https://%.*s/", SP(host));
    int64_t ms = fetcher_turn_ms(n->fetcher, buf_span(&url));
    buf_free(&url);
    return ms;
}

static void cancelled(void *ctx, struct span job_id, bool force)
{
    struct node *n = ctx;
    pool_cancel(n->pool, job_id, force);
}

/* ---- starting ---- */

static err check_isolation(struct node *n, struct fault *f)
{
    static const enum isolation wanted[] = {ISOLATION_NAMESPACE, ISOLATION_LANDLOCK,
                                            ISOLATION_FLAGS};
    enum isolation least = wanted[SETTING(&n->settings, browser, isolation)];
    n->isolation = sandbox_probe();
    log_info("node.isolation", F_C("reached", isolation_name(n->isolation)),
             F_C("configured", isolation_name(least)),
             F_N("landlock_abi", sandbox_landlock_abi()));
    if (n->isolation >= least)
        return E_OK;
    return fail(
        f, E_CONFIG,
        "isolation reached is '%s', configured is '%s': allow user namespaces on this machine "
        "or lower browser.isolation",
        isolation_name(n->isolation), isolation_name(least));
}

/* Where files of media lie: on this machine, or where all machines find them. */
static err make_files_folder(struct node *n, const char *state_dir, struct fault *f)
{
    struct span shared = SETTING_S(&n->settings, store, files);
    if (shared.n && !SETTING_S(&n->settings, store, queue).n)
        return fail(f, E_CONFIG,
                    "store.files goes with store.queue: the embedded store has its files in "
                    "store.path");
    if (shared.n >= sizeof n->files || (shared.n && shared.p[0] != '/'))
        return fail(f, E_CONFIG,
                    "store.files must be a path from the root, of %zu bytes at most",
                    sizeof n->files - 1);
    if (shared.n)
        span_copy(shared, n->files, sizeof n->files);
    else
        snprintf(n->files, sizeof n->files, "%.400s/files", state_dir);
    return files_make_folder(n->files, 0700, f);
}

/* Node writes only below its state folder and that of files, and executes only this program, the browser and the
 * system's programs: nothing that it could write. Its children inherit that (Chromium needs its
 * shared memory and its own entries in /proc). Before the store thread starts: the rule is per
 * thread. */
static void confine(const char *state_dir, const char *files, const char *browser)
{
    char self[40];
    struct fault f = {0};
    snprintf(self, sizeof self, "/proc/self/fd/%d", spawn_self_fd());
    struct sandbox_path paths[LAUNCH_PATHS_MAX + 6] = {
        {state_dir, PATH_OWN}, {files, PATH_OWN}, {"/dev", PATH_OWN},
        {"/proc", PATH_OWN},   {"/", PATH_READ},  {self, PATH_RUN}};
    size_t n = 6 + launch_paths(browser, state_dir, paths + 6);
    if (sandbox_files(paths, n, false, &f))
        log_warn("node.landlock_missing", F_C("why", f.words));
    if (launch_needs_sockets(browser))
        log_warn(
            "node.api_within_reach",
            F_C("why",
                "the full browser needs Unix sockets; taken over, it could reach the API: install "
                "chromium-headless-shell"));
}

static void say_clock(struct node *n)
{
    wall last;
    char used[WHEN_TEXT], real[WHEN_TEXT];
    enum steady_start found = store_thread_clock_found(n->store, &last);
    if (found == STEADY_SOUND)
        return;
    log_warn(
        "store.clock", F_C("used_last", when_text(last, used)),
        F_C("clock", when_text(clock_wall(), real)),
        F_C("why",
            found == STEADY_BEHIND
                ? "the clock is behind the time at which the store was used last, which goes on from "
                  "there; set the clock right"
                : "the clock is far ahead of the time at which the store was used last; if it is wrong, stop "
                  "the service and set it right"));
}

/* The store of several machines, as the settings have it; out->queue NULL: the embedded one. */
static err read_shared(const struct settings *s, struct arena *a, struct shared_config *out,
                       struct fault *f)
{
    char host[HOST_NAME_MAX + 1] = "";
    struct span queue = SETTING_S(s, store, queue), archive = SETTING_S(s, store, archive),
                node = SETTING_S(s, store, node);
    if (!queue.n && !archive.n)
        return E_OK;
    if (!queue.n || !archive.n)
        return fail(
            f, E_CONFIG,
            "store.queue and store.archive go together: several machines share a Redis and a PostgreSQL");
    if (!node.n && gethostname(host, sizeof host - 1))
        return fail(f, E_CONFIG, "this machine has no name; set store.node");
    *out = (struct shared_config){
        .queue = arena_text(a, queue),
        .archive = arena_text(a, archive),
        .name = arena_text(a, SETTING_S(s, store, name)),
        .node = arena_text(a, node.n ? node : span_of(host)),
        .files_dir =
            SETTING_S(s, store, files).n ? arena_text(a, SETTING_S(s, store, files)) : NULL,
        .durability = (enum durability)SETTING(s, store, durability),
        .replicas = SETTING(s, store, replicas),
        .wait_ms = SETTING(s, store, durability_wait),
        .spool_most = SETTING(s, store, spool) ? SETTING(s, store, spool_max) : 0,
        .spool_always = SETTING(s, store, spool) == SPOOL_ALWAYS,
        .insists = SETTING(s, store, strict) == 0};
    return E_OK;
}

static err start_store(struct node *n, struct arena *a, const char *state_dir, struct fault *f)
{
    const struct settings *s = &n->settings;
    struct shared_config shared = {0};
    err e = read_shared(s, a, &shared, f);
    if (e)
        return e;
    struct store_thread_config c = {.state_dir = state_dir,
                                    .shared = shared.queue ? &shared : NULL,
                                    .limits = configured_limits(s),
                                    .retain = {.age_ms = SETTING(s, store, retention),
                                               .jobs = SETTING(s, store, retention_jobs),
                                               .bytes = SETTING(s, store, retention_bytes),
                                               .dead_age_ms = SETTING(s, dead, retention),
                                               .dead_jobs = SETTING(s, dead, retention_jobs)},
                                    .field_retention_ms = SETTING(s, store, field_retention),
                                    .readers = (int)SETTING(s, store, readers),
                                    .read_ms = SETTING(s, store, read_timeout),
                                    .seed = random_u64(),
                                    .now = clock_wall,
                                    .elapsed = clock_mono,
                                    .wake = wake_loop,
                                    .wake_ctx = n};
    n->waker = waker_new(n->loop, on_store, n, "store");
    e = store_thread_start(&n->store, &c, f);
    if (!e)
        say_clock(n);
    return e;
}

static err start_browsers(struct node *n, const char *state_dir, struct fault *f)
{
    const struct settings *s = &n->settings;
    static char folder[512];
    snprintf(folder, sizeof folder, "%s/run", state_dir);
    err e = files_make_folder(folder, 0700, f);
    if (e)
        return e;
    struct span patterns[BLOCKED_MAX];
    size_t pattern_count = blocked(sites_packs(n->sites), patterns);
    struct browsers_config c = {.binary = n->binary,
                                .run_folder = folder,
                                .egress_fd = ROLE_PEER_FD,
                                .isolation = n->isolation,
                                .count = (int)SETTING(s, browser, count),
                                .contexts_max = (int)SETTING(s, browser, contexts_max),
                                .jobs_max = SETTING(s, browser, jobs_max),
                                .age_max_ms = SETTING(s, browser, age_max),
                                .growth_max_percent = SETTING(s, browser, growth_max),
                                .probe_every_ms = SETTING(s, browser, probe_every),
                                .probe_timeout_ms = SETTING(s, browser, probe_timeout),
                                .command_timeout_ms = SETTING(s, browser, command_timeout),
                                .dispose_timeout_ms = SETTING(s, browser, dispose_timeout),
                                .start_timeout_ms = SETTING(s, browser, start_timeout),
                                .memory_max = SETTING(s, job, memory_max),
                                .body_max = SETTING(s, browser, body_max),
                                .blocked = patterns,
                                .blocked_count = pattern_count};
    return browsers_start(&n->browsers, n->loop, &c, on_capacity, n, f);
}

static err start_pool(struct node *n, struct fault *f)
{
    static char parts[512];
    snprintf(parts, sizeof parts, "%.500s/part", n->files);
    const struct settings *s = &n->settings;
    struct fetch_config fetch = {.egress_fd = ROLE_PEER_FD,
                                 .contact = SETTING_S(s, fetch, contact),
                                 .interval_ms = SETTING(s, fetch, interval),
                                 .domains = &n->domains,
                                 .body_max = (size_t)SETTING(s, fetch, body_max)};
    err e = domain_rules_read(SETTING_S(s, fetch, domains), &n->domains, f);
    if (!e)
        e = fetcher_start(&n->fetcher, n->loop, &fetch, f);
    if (e)
        return e;
    struct pool_config c = {.workers_at_start = (int)SETTING(s, worker, count),
                            .workers = (int)SETTING(s, worker, count_max),
                            .worker_jobs_max = SETTING(s, worker, max_jobs),
                            .worker_memory_max = SETTING(s, worker, memory_max),
                            .attempt_ms = SETTING(s, job, attempt_timeout),
                            .stall_ms = SETTING(s, job, stall_timeout),
                            .navigate_ms = SETTING(s, job, navigate_timeout),
                            .batch_ms = SETTING(s, job, batch_timeout),
                            .memory_patience_ms = SETTING(s, job, memory_patience),
                            .grace_ms = SETTING(s, job, grace),
                            .lease_ms = SETTING(s, job, lease),
                            .fenced = SETTING_S(s, store, queue).n > 0,
                            .body_max = SETTING(s, browser, body_max),
                            .evidence = (enum evidence_keep)SETTING(s, evidence, keep),
                            .fetch_ms = SETTING(s, fetch, timeout),
                            .fetcher = n->fetcher,
                            .packs = sites_packs(n->sites),
                            .media = {.folder = parts,
                                      .file_bytes = SETTING(s, media, file_bytes),
                                      .job_bytes = SETTING(s, media, job_bytes),
                                      .total_bytes = SETTING(s, media, total_bytes),
                                      .timeout_ms = SETTING(s, media, timeout),
                                      .interval_ms = SETTING(s, media, interval)}};
    return pool_start(&n->pool, n->loop, n->store, n->browsers, &c, f);
}

static wall clock_of(void *ctx, enum schedule_kind kind)
{
    struct node *n = ctx;
    return schedules_clock(n->schedules, kind);
}

static err start_schedules(struct node *n, struct fault *f)
{
    struct schedules_config c = {
        .loop = n->loop, .store = n->store, .cancelled = cancelled, .ctx = n};
    return schedules_start(&n->schedules, &c, f);
}

static err start_webhooks(struct node *n, struct fault *f)
{
    const struct settings *s = &n->settings;
    struct webhooks_config c = {.loop = n->loop,
                                .store = n->store,
                                .egress_fd = ROLE_PEER_FD,
                                .contact = SETTING_S(s, fetch, contact),
                                .timeout_ms = SETTING(s, webhook, timeout),
                                .base_ms = SETTING(s, webhook, retry_base)};
    return webhooks_start(&n->webhooks, &c, f);
}

static void describe(void *ctx, struct node_beat *out)
{
    struct node *n = ctx;
    struct api_status s;
    status(n, &s);
    out->workers = s.workers_idle + s.workers_busy + s.workers_starting;
    out->busy = s.workers_busy;
    out->browsers = s.browsers_ready;
    out->started_ms = n->started.ms;
    out->stopping = n->stopping;
    out->spool = s.spool.on;
    out->spooled = s.spool.waiting;
}

static void start_presence(struct node *n)
{
    struct presence_config c = {
        .loop = n->loop, .store = n->store, .describe = describe, .ctx = n};
    n->started = clock_wall();
    presence_start(&n->presence, &c);
}

static void webhook_changed(void *ctx)
{
    struct node *n = ctx;
    webhooks_changed(n->webhooks);
}

static err start_api(struct node *n, struct fault *f)
{
    const struct settings *s = &n->settings;
    /* Clients may not take the descriptors that browsers, workers and the store need. */
    int64_t most = SETTING(s, api, connections_max);
    int64_t room = files_raise_limit(most + OWN_FILES) - OWN_FILES;
    if (room < most) {
        log_warn("api.fewer_connections", F_N("connections_max", most),
                 F_N("room", room > 16 ? room : 16));
        most = room > 16 ? room : 16;
    }
    struct api_config c = {.listeners = {ROLE_TCP_FD, ROLE_UNIX_FD},
                           .body_max = SETTING(s, api, body_max),
                           .header_timeout_ms = SETTING(s, api, header_timeout),
                           .request_timeout_ms = SETTING(s, api, request_timeout),
                           .connections_max = most,
                           .waiting_max = SETTING(s, store, ready_max),
                           .lanes_max = SETTING(s, queue, lanes_max),
                           .files_dir = n->files,
                           .state_dir = n->state_dir,
                           .packs = sites_packs(n->sites),
                           .coalesce = SETTING(s, queue, coalesce) != 0,
                           .status = status,
                           .workers = workers,
                           .browsers = browsers,
                           .worker_act = worker_act,
                           .worker_dump = worker_dump,
                           .worker_stack_ask = worker_stack_ask,
                           .worker_stack_take = worker_stack_take,
                           .workers_scale = workers_scale,
                           .workers_scale_view = workers_scale_view,
                           .browser_recycle = browser_recycle,
                           .domains = &n->domains,
                           .fetch_every_ms = SETTING(s, fetch, interval),
                           .media_every_ms = SETTING(s, media, interval),
                           .host_turn_ms = host_turn_ms,
                           .cancelled = cancelled,
                           .clock = clock_of,
                           .webhook_changed = webhook_changed,
                           .ctx = n};
    return api_start(&n->api, n->loop, n->store, &c, f);
}

static err start_watches(struct node *n)
{
    err e = watch_new(&n->control, n->loop, ROLE_SUPERVISOR_FD, true, false, on_control, n,
                      "supervisor");
    if (!e)
        e = watch_new(&n->egress, n->loop, ROLE_PEER_FD, true, false, on_egress, n, "egress");
    if (!e)
        e = signal_new(&n->children, n->loop, SIGCHLD, on_child, n);
    if (!e)
        e = signal_new(&n->terminate, n->loop, SIGTERM, on_terminate, n);
    return e;
}

static err start(struct node *n, struct arena *a, const char *state_dir, struct fault *f)
{
    n->loop = loop_new();
    n->state_dir = state_dir;
    err e = role_settings(a, &n->settings, f);
    role_log("node", &n->settings);
    if (!e)
        e = sites_open(&n->sites, ROLE_SITES_FD, ROLE_PACKS_FD, &n->settings, clock_wall(), f);
    if (!e) /* what may be missing is looked for before anything is made */
        e = browser_find(SETTING_S(&n->settings, browser, binary), n->binary, f);
    if (!e)
        e = check_isolation(n, f);
    if (!e)
        e = make_files_folder(n, state_dir, f);
    if (!e)
        confine(state_dir, n->files, n->binary);
    if (!e)
        e = start_store(n, a, state_dir, f);
    if (!e)
        e = start_watches(n);
    if (!e)
        e = start_browsers(n, state_dir, f);
    if (!e)
        e = start_pool(n, f);
    if (!e)
        e = start_schedules(n, f);
    if (!e)
        e = start_webhooks(n, f);
    if (!e)
        e = start_api(n, f);
    if (e)
        return e;
    start_presence(n);
    n->beat = timer_new(n->loop, on_beat, n, "node.beat");
    timer_start(n->beat, 0);
    n->look = timer_new(n->loop, on_look, n, "node.look");
    if (SETTING(&n->settings, site, reload))
        timer_start(n->look, SETTING(&n->settings, site, reload));
    return E_OK;
}

static void finish(struct node *n)
{
    api_stop(&n->api);
    store_thread_stop(&n->store);
    presence_free(&n->presence);
    schedules_free(&n->schedules);
    webhooks_free(&n->webhooks);
    pool_free(&n->pool);
    fetcher_free(&n->fetcher);
    browsers_free(&n->browsers);
    watch_close(&n->control);
    watch_close(&n->egress);
    signal_close(&n->children);
    signal_close(&n->terminate);
    timer_close(&n->hard_stop);
    timer_close(&n->beat);
    timer_close(&n->look);
    waker_close(&n->waker);
    loop_free(&n->loop);
    sites_close(&n->sites);
    buf_free(&n->hosts);
}

/* 78: the configuration is not valid; 69: something that is needed is away, or another service is
 * here; 74: the disk or the kernel. */
static int start_code(err e)
{
    if (e == E_CONFIG || e == E_BAD_SYNTAX || e == E_BAD_INPUT)
        return 78;
    return e == E_CONFLICT || e == E_MOVED || e == E_NOT_FOUND ? 69 : 74;
}

int node_main(int argc, char **argv)
{
    struct fault f = {0};
    struct arena *a = arena_new(ARENA_MAX);
    struct node *n = heap_new_of(struct node);
    need(argc > 2);
    signal(SIGPIPE, SIG_IGN);
    spawn_become_reaper();
    err e = start(n, a, argv[2], &f);
    if (e) {
        log_error("node.start_failed", F_X("result", e), F_C("why", f.words));
        role_why(f.words[0] ? f.words : err_text(e));
        n->code = start_code(e);
        if (n->browsers) { /* leave no browser behind */
            browsers_stop(n->browsers, on_browsers_stopped, n);
            loop_run(n->loop);
        }
        _exit(n->code); /* nothing accepted, nothing half-done: the kernel closes the rest */
    }
    log_info("node.started", F_C("state", argv[2]),
             F_N("workers", SETTING(&n->settings, worker, count)));
    loop_run(n->loop);
    int code = n->code;
    finish(n);
    free(n);
    arena_free(&a);
    log_info("node.stopped", F_N("code", code));
    return code;
}
