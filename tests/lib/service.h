/* service.h - the API over a real store, on a loop in a thread of its own, for tests. One per
 * program. Include it once, in the program's only file. */
#pragma once

#include "api/api.h"
#include "os/clock.h"
#include "os/files.h"
#include "os/random.h"
#include "upkeep/schedules.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    HEADER_MS = 700,
    REQUEST_MS = 1500,
    BODY_MAX = 64 * 1024,
};

/* ---- the service under test, in a thread of its own ---- */

struct task { /* something to do on the loop's thread */
    void (*run)(struct task *t);
    void *ctx;
    bool done;
    struct task *next;
};

static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct loop *loop;
    struct waker *store_wake, *task_wake;
    struct store_thread *store;
    struct api *api;
    struct schedules *schedules;
    struct packs *packs;
    struct task *tasks;
    char folder[96], socket[108];
    int listeners[2];
    uint16_t port;
    bool ready;
    void (*on_group)(void); /* on the loop, after each group of the store; may be NULL */
    int cancelled, forced;
    const struct shared_config *shared; /* of several machines; NULL: the embedded store */
    int64_t body_max, request_ms;       /* api.body_max, api.request_timeout */
    int64_t read_ms, behind_ms;         /* a reader's time; how late the store's clock is */
    int64_t acts[4], scaled;            /* what was wanted of workers: the number of each */
    int stack_looks, stack_slow;        /* for a stack, and so many before it is there */
    char cancelled_id[ID_TEXT];
    struct outlook outlook;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER,
            .changed = PTHREAD_COND_INITIALIZER,
            .ready = true,
            .body_max = BODY_MAX,
            .request_ms = REQUEST_MS,
            .read_ms = 2000};

static void on_store(void *ctx)
{
    (void)ctx;
    int64_t last_event;
    store_thread_collect(server.store, &server.outlook, &last_event);
    if (server.api) {
        api_mode(server.api, server.outlook.mode);
        api_new_events(server.api, last_event);
    }
    if (server.schedules)
        schedules_told(server.schedules, &server.outlook);
    if (server.on_group)
        server.on_group();
}

static void wake_loop(void *ctx)
{
    (void)ctx;
    waker_wake(server.store_wake);
}

static void on_tasks(void *ctx)
{
    (void)ctx;
    for (;;) {
        pthread_mutex_lock(&server.lock);
        struct task *t = server.tasks;
        if (t)
            server.tasks = t->next;
        pthread_mutex_unlock(&server.lock);
        if (!t)
            return;
        t->run(t);
    }
}

static void task_done(struct task *t)
{
    pthread_mutex_lock(&server.lock);
    t->done = true;
    pthread_cond_broadcast(&server.changed);
    pthread_mutex_unlock(&server.lock);
}

/* Runs it on the loop's thread and waits for task_done(). */
static void on_loop(void (*run)(struct task *), void *ctx)
{
    struct task t = {.run = run, .ctx = ctx};
    pthread_mutex_lock(&server.lock);
    t.next = server.tasks;
    server.tasks = &t;
    pthread_mutex_unlock(&server.lock);
    waker_wake(server.task_wake);
    pthread_mutex_lock(&server.lock);
    while (!t.done)
        pthread_cond_wait(&server.changed, &server.lock);
    pthread_mutex_unlock(&server.lock);
}

/* ---- the store, from the test ---- */

static inline void service_op_done(struct store_op *op)
{
    task_done(op->ctx);
}

static inline void service_post(struct task *t)
{
    struct store_op *op = t->ctx;
    op->on_done = service_op_done;
    op->ctx = t;
    store_thread_post(server.store, op);
}

/* Runs it on the store's thread and waits for it. */
static inline void run_op(struct store_op *op)
{
    on_loop(service_post, op);
}

/* Leases jobs until this one is held; the lanes of the tests hold few. */
static inline struct lease lease_of(const char *id, struct arena *a)
{
    for (int i = 0; i < 64; i++) {
        struct store_op op = {.verb = STORE_RESERVE, .arena = a};
        op.in.reserve = (struct reserve_args){
            .worker = SPAN("test"), .needs = NEEDS_PAGE, .random = random_u64() | 1};
        run_op(&op);
        assert_int_equal(op.result, E_OK);
        if (strcmp(op.out.lease.id, id) == 0)
            return op.out.lease;
    }
    fail_msg("job %s is never leased", id);
    return (struct lease){0};
}

static void on_status(void *ctx, struct api_status *out)
{
    (void)ctx;
    *out = (struct api_status){.ready = server.ready,
                               .why = "no browser is <ready>",
                               .isolation = "namespace",
                               .queue = server.outlook,
                               .workers_idle = 2,
                               .browsers_ready = 1};
}

static size_t on_workers(void *ctx, struct api_worker *out, size_t most)
{
    (void)ctx;
    assert_true(most >= 2);
    out[0] = (struct api_worker){.number = 1, .state = "idle", .pid = 77, .jobs_served = 3};
    out[1] = (struct api_worker){.number = 2,
                                 .state = "running",
                                 .pid = 78,
                                 .job = "job_01ARZ3NDEKTSV4RRFFQ69G5FAV",
                                 .step = "goto",
                                 .attempt = 2,
                                 .running_ms = 1500,
                                 .has_page = true};
    return 2;
}

static size_t on_browsers(void *ctx, struct api_browser *out, size_t most)
{
    (void)ctx;
    assert_true(most >= 1);
    out[0] = (struct api_browser){.number = 1,
                                  .state = "ready",
                                  .pid = 99,
                                  .pages = 1,
                                  .jobs = 12,
                                  .launches = 3,
                                  .age_ms = 65000,
                                  .probe_ok = true,
                                  .probe_ms = 12,
                                  .probe_age_ms = 500};
    return 1;
}

static err on_worker_act(void *ctx, int64_t number, enum api_act act, struct fault *f)
{
    (void)ctx;
    if (number > 2)
        return (fail)(f, E_NOT_FOUND, "this node has no worker %lld", (long long)number);
    if (act == ACT_RESUME)
        return (fail)(f, E_CONFLICT, "worker %lld is scaled in", (long long)number);
    server.acts[act] = number;
    return E_OK;
}

static err on_worker_dump(void *ctx, int64_t number, struct api_worker_dump *out,
                          struct fault *f)
{
    struct api_worker all[2];
    if (number > 2)
        return (fail)(f, E_NOT_FOUND, "this node has no worker %lld", (long long)number);
    on_workers(ctx, all, 2);
    *out = (struct api_worker_dump){.worker = all[number - 1],
                                    .alive = number == 2,
                                    .process_state = 'S',
                                    .cpu_ms = 1200,
                                    .threads = 1,
                                    .lane = "default/x/normal",
                                    .batches = 3,
                                    .records = 60,
                                    .quiet_ms = 700,
                                    .requests = 9,
                                    .page = {.state = number == 2 ? "open" : NULL,
                                             .target = "T1",
                                             .cost = {.cpu_ms = 7, .peak_pss_bytes = -1}},
                                    .for_store = true};
    return E_OK;
}

static err on_stack_ask(void *ctx, int64_t number, int64_t *out_pid, struct fault *f)
{
    (void)ctx;
    server.stack_looks = 0;
    *out_pid = 88;
    return number == 2 ? E_OK : (fail)(f, E_CONFLICT, "it has no process");
}

/* Not at once. */
static err on_stack_take(void *ctx, int64_t number, int64_t pid, struct arena *a,
                         const char *const **out, size_t *out_count, struct fault *f)
{
    static const char *const stack[] = {"poll+0x4f in libc.so.6", "channel_next+0x111"};
    (void)ctx;
    (void)a;
    if (number != 2 || pid != 88 || ++server.stack_looks < server.stack_slow)
        return (fail)(f, E_BUSY, "it has not answered");
    *out = stack;
    *out_count = 2;
    return E_OK;
}

static err on_scale(void *ctx, int64_t count, struct fault *f)
{
    (void)ctx;
    if (count > 4)
        return (fail)(f, E_BAD_INPUT, "0 to 4 workers may be wanted here");
    server.scaled = count;
    return E_OK;
}

static void on_scale_view(void *ctx, struct api_scale *out)
{
    (void)ctx;
    *out = (struct api_scale){.count = server.scaled,
                              .most = 4,
                              .at_start = 2,
                              .busy = 1,
                              .runnable = 7,
                              .desired = 4};
}

static err on_recycle(void *ctx, int64_t number, struct fault *f)
{
    (void)ctx;
    return number == 1
               ? E_OK
               : (fail)(f, E_NOT_FOUND, "this node has no browser %lld", (long long)number);
}

static void on_cancelled(void *ctx, struct span id, bool force)
{
    (void)ctx;
    server.forced += force;
    server.cancelled++;
    span_copy(id, server.cancelled_id, sizeof server.cancelled_id);
}

static wall on_clock(void *ctx, enum schedule_kind kind)
{
    (void)ctx;
    return schedules_clock(server.schedules, kind);
}

static int listen_tcp(uint16_t *out_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 4096), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    *out_port = ntohs(a.sin_port);
    return fd;
}

static int listen_unix(const char *path)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    assert_true(fd >= 0);
    snprintf(a.sun_path, sizeof a.sun_path, "%.*s", (int)sizeof a.sun_path - 1, path);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 64), 0);
    return fd;
}

static void *serve(void *ctx)
{
    (void)ctx;
    loop_run(server.loop);
    return NULL;
}

static void start_api(struct task *t)
{
    static char files[512];
    struct fault f = {0};
    snprintf(files, sizeof files, "%s/files", server.folder);
    static const struct domain_rules domains = {.rule = {{{"*.example.org", 13}, 9000}},
                                                .count = 1};
    struct api_config config = {
        .listeners = {server.listeners[0], server.listeners[1]},
        .body_max = server.body_max,
        .header_timeout_ms = HEADER_MS,
        .request_timeout_ms = server.request_ms,
        .connections_max = 8192,
        .waiting_max = 100000,
        .lanes_max = 200000,
        .files_dir = files,
        .state_dir = server.folder,
        .packs = server.packs,
        .status = on_status,
        .workers = on_workers,
        .browsers = on_browsers,
        .worker_act = on_worker_act,
        .worker_dump = on_worker_dump,
        .worker_stack_ask = on_stack_ask,
        .worker_stack_take = on_stack_take,
        .workers_scale = on_scale,
        .workers_scale_view = on_scale_view,
        .browser_recycle = on_recycle,
        .cancelled = on_cancelled,
        .clock = on_clock,
        .domains = &domains,
        .fetch_every_ms = 2000,
        .media_every_ms = 500,
    };
    struct schedules_config schedules = {
        .loop = server.loop, .store = server.store, .cancelled = on_cancelled};
    if (!server.schedules && schedules_start(&server.schedules, &schedules, &f))
        fail_msg("schedules_start: %s", f.words);
    if (api_start(&server.api, server.loop, server.store, &config, &f))
        fail_msg("api_start: %s", f.words);
    on_store(NULL);
    task_done(t);
}

/* With other settings, on another port. What is due goes on meanwhile. */
static inline void start_anew(struct task *t)
{
    api_stop(&server.api);
    server.listeners[0] = listen_tcp(&server.port);
    server.listeners[1] = -1;
    start_api(t);
}

static void stop_api(struct task *t)
{
    api_stop(&server.api);
    store_thread_stop(&server.store);
    schedules_free(&server.schedules);
    waker_close(&server.store_wake);
    waker_close(&server.task_wake);
    loop_stop(server.loop);
    task_done(t);
}

static wall service_now(void)
{
    return (wall){clock_wall().ms - server.behind_ms};
}

static void start_store(void)
{
    struct fault f = {0};
    struct store_thread_config config = {
        .state_dir = server.folder,
        .shared = server.shared,
        .limits = {.ready_max = 100000,
                   .fail_max = 5,
                   .crash_max = 2,
                   .throttle_max = 50,
                   .retry_base_ms = 2000,
                   .retry_cap_ms = 300000,
                   .lane_max_active = 64,
                   .lane_burst = 64,
                   .lease_ms = 60000,
                   .evidence_age_ms = 86400000,
                   .evidence_bytes = 64 << 20,
                   .evidence_job_bytes = 8 << 20,
                   .evidence_job_count = 20},
        .retain = {.age_ms = 30LL * 86400 * 1000, .dead_age_ms = 30LL * 86400 * 1000},
        .readers = 2,
        .read_ms = server.read_ms,
        .seed = 7,
        .now = service_now,
        .wake = wake_loop,
    };
    if (store_thread_start(&server.store, &config, &f))
        fail_msg("store_thread_start: %s", f.words);
}

/* Everything but the API, which must start on the loop. server.folder and server.socket are
 * set. */
static int service_open_parts(void)
{
    struct fault f = {0};
    server.listeners[0] = listen_tcp(&server.port);
    server.listeners[1] = listen_unix(server.socket);
    const char *folder = getenv("FULMAR_SITES") ? getenv("FULMAR_SITES") : "sites";
    int sites = open(folder, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    struct pack *pack = NULL;
    if (sites < 0 || pack_open(&pack, sites, "x", &f)) {
        fprintf(stderr, "site packs are read from the top folder of the checkout: %s\n",
                f.words);
        return 1;
    }
    close(sites);
    server.packs = packs_new();
    packs_add(server.packs, pack, &(struct pack_places){0});
    server.loop = loop_new();
    server.store_wake = waker_new(server.loop, on_store, NULL, "store");
    server.task_wake = waker_new(server.loop, on_tasks, NULL, "tasks");
    start_store();
    return 0;
}

static int group_start(void **state)
{
    (void)state;
    snprintf(server.folder, sizeof server.folder, "/tmp/fulmar-test-XXXXXX");
    assert_non_null(mkdtemp(server.folder));
    snprintf(server.socket, sizeof server.socket, "%s/fulmar.sock", server.folder);
    if (service_open_parts())
        return 1;
    assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
    on_loop(start_api, NULL);
    return 0;
}

static int group_stop(void **state)
{
    (void)state;
    on_loop(stop_api, NULL);
    pthread_join(server.thread, NULL);
    loop_free(&server.loop);
    packs_drop(&server.packs);
    return files_remove_tree(server.folder, NULL) != E_OK;
}
