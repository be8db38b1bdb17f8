/* store.c - durable accepts per second with 1, 16 and 64 callers; each waits for its answer
 * before it asks again. Prints a table. Usage: store [directory] (the disk that is measured) */
#include "store/thread.h"

#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/metrics.h"

enum { CALLERS_MAX = 64, RUN_MS = 3000, LATENCIES_MAX = 1 << 20 };

struct caller {
    struct store_op op;
    char id[ID_TEXT];
    int64_t began_us;
};

static struct store_thread *thread;
static int wake_fd;
static int64_t serial, latency_count;
static int64_t *latencies_us;
static bool stopping;

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static wall real_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (wall){t.tv_sec * 1000 + t.tv_nsec / 1000000};
}

static void wake(void *ctx)
{
    const uint64_t one = 1;
    (void)ctx;
    if (write(wake_fd, &one, sizeof one) != sizeof one)
        abort();
}

static void ask(struct caller *c)
{
    snprintf(c->id, sizeof c->id, "job_%012lld", (long long)serial++);
    c->op.in.accept = (struct accept_args){
        .id = span_of(c->id),
        .site = SPAN("x"),
        .kind = SPAN("posts"),
        .target = SPAN("nasa"),
        .lane = SPAN("x/normal"),
        .spec = SPAN("{\"limit\":500}"),
        .limit = 500,
        .prio = 5,
    };
    c->began_us = now_us();
    store_thread_post(thread, &c->op);
}

static void on_done(struct store_op *op)
{
    struct caller *c = op->ctx;
    if (op->result) {
        fprintf(stderr, "accept: %s\n", op->fault.words);
        exit(1);
    }
    if (latency_count < LATENCIES_MAX)
        latencies_us[latency_count++] = now_us() - c->began_us;
    if (!stopping)
        ask(c);
}

static int by_size(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void measure(int callers)
{
    static struct caller all[CALLERS_MAX];
    int64_t commits = metric_get(METRIC_STORE_TX, 0);
    latency_count = 0;
    stopping = false;
    int64_t began = now_us();
    for (int i = 0; i < callers; i++) {
        all[i].op.verb = STORE_ACCEPT;
        all[i].op.ctx = &all[i];
        all[i].op.on_done = on_done;
        ask(&all[i]);
    }
    int64_t expected = 0;
    while (!stopping || latency_count < expected) {
        struct pollfd p = {.fd = wake_fd, .events = POLLIN};
        uint64_t n;
        if (poll(&p, 1, 1000) == 1 && read(wake_fd, &n, sizeof n) != sizeof n)
            abort();
        if (!stopping && now_us() - began >= RUN_MS * 1000) {
            stopping = true;
            expected = latency_count + callers;
        }
        store_thread_collect(thread, NULL, NULL);
    }
    double seconds = (double)(now_us() - began) / 1e6;
    commits = metric_get(METRIC_STORE_TX, 0) - commits;
    qsort(latencies_us, (size_t)latency_count, sizeof *latencies_us, by_size);
    printf("%7d  %10.0f  %9.0f  %12.1f  %8.2f  %8.2f\n", callers,
           (double)latency_count / seconds, (double)commits / seconds,
           (double)latency_count / (double)(commits ? commits : 1),
           (double)latencies_us[latency_count / 2] / 1000,
           (double)latencies_us[latency_count * 99 / 100] / 1000);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int main(int argc, char **argv)
{
    char dir[256];
    struct fault f = {0};
    snprintf(dir, sizeof dir, "%s/fulmar-bench-XXXXXX", argc > 1 ? argv[1] : ".");
    if (!mkdtemp(dir)) {
        perror(dir);
        return 1;
    }
    struct store_thread_config config = {
        .state_dir = dir,
        .limits = {.ready_max = INT64_MAX,
                   .fail_max = 5,
                   .crash_max = 2,
                   .throttle_max = 50,
                   .retry_base_ms = 2000,
                   .retry_cap_ms = 300000,
                   .lane_max_active = 16,
        .retry_floor = 1000000,
                   .lane_burst = 1,
                   .lease_ms = 15000},
        .now = real_now,
        .wake = wake,
    };
    latencies_us = calloc(LATENCIES_MAX, sizeof *latencies_us);
    wake_fd = eventfd(0, EFD_CLOEXEC);
    if (!latencies_us || store_thread_start(&thread, &config, &f)) {
        fprintf(stderr, "%s\n", f.words);
        return 1;
    }
    printf("SQLite %s\ncallers   accepts/s  commits/s  accepts/commit    p50 ms    p99 ms\n",
           store_version());
    measure(1);
    measure(16);
    measure(64);
    store_thread_stop(&thread);
    nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(latencies_us);
    return 0;
}
