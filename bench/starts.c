/* starts.c - what a start costs the store beside other jobs: few, a hundred thousand that are blocked, a million
 * that wait for their turn, a million that have ended; what they take on the disk and in memory. Time inside
 * the store, without the disk. Usage: starts [directory] [scale in percent] */
#include "store/lanes.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { STARTS = 2000, GROUP = 5000, LANES = 100 };
static const int64_t T0 = 1800000000000;

static struct store *store;
static char dir[256];
static int64_t serial, times_ns[STARTS];

static void need_ok(err e, const struct fault *f)
{
    if (e) {
        fprintf(stderr, "%s\n", f->words);
        exit(1);
    }
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

static void add_jobs(const char *lane, int64_t count, bool ended)
{
    struct fault f = {0};
    for (int64_t i = 0; i < count; i++) {
        char id[ID_TEXT];
        struct accept_reply reply;
        struct cancel_reply gone;
        if (i % GROUP == 0)
            need_ok(store_begin(store, &f), &f);
        snprintf(id, sizeof id, "job_%012lld", (long long)serial++);
        struct accept_args args = {.id = span_of(id),
                                   .site = SPAN("x"),
                                   .kind = SPAN("posts"),
                                   .target = SPAN("nasa"),
                                   .lane = span_of(lane),
                                   .spec = SPAN("{\"limit\":500}"),
                                   .limit = 500,
                                   .prio = 5};
        need_ok(store_accept(store, &args, (wall){T0}, &reply, &f), &f);
        if (ended)
            need_ok(store_cancel(store, &(struct cancel_args){.id = span_of(id)}, (wall){T0},
                                 &gone, &f),
                    &f);
        if (i % GROUP == GROUP - 1 || i + 1 == count)
            need_ok(store_commit(store, &f), &f);
    }
}

/* Of the database and its log. */
static double file_mb(void)
{
    static const char *const names[] = {"fulmar.db", "fulmar.db-wal"};
    double mb = 0;
    for (int i = 0; i < 2; i++) {
        char path[300];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        mb += stat(path, &st) ? 0 : (double)st.st_size / 1e6;
    }
    return mb;
}

static double memory_mb(void)
{
    long pages = 0, ours = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%ld %ld", &pages, &ours) != 2)
        ours = 0;
    if (f)
        fclose(f);
    return (double)ours * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static int by_size(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void measure(const char *beside, int64_t count)
{
    struct fault f = {0};
    struct arena *a = arena_new(1 << 20);
    for (int i = 0; i < LANES; i++) {
        char lane[32];
        snprintf(lane, sizeof lane, "default/free%d/interactive", i);
        add_jobs(lane, STARTS / LANES, false);
    }
    need_ok(store_begin(store, &f), &f);
    for (int64_t i = 0; i < STARTS; i++) {
        struct lease l;
        struct finish_reply r;
        int64_t began = now_ns();
        need_ok(store_reserve(store,
                              &(struct reserve_args){.worker = SPAN("w"),
                                                     .random = (uint64_t)i + 1,
                                                     .needs = NEEDS_PAGE},
                              (wall){T0}, a, &l, &f),
                &f);
        times_ns[i] = now_ns() - began;
        need_ok(store_finish(store,
                             &(struct finish_args){.id = span_of(l.id),
                                                   .nonce = l.nonce,
                                                   .verdict = VERDICT_COMPLETE},
                             (wall){T0}, &r, &f),
                &f);
        arena_reset(a);
    }
    need_ok(store_commit(store, &f), &f);
    qsort(times_ns, STARTS, sizeof *times_ns, by_size);
    printf("%-28s  %9lld  %8.1f  %8.1f  %8.1f  %9.1f\n", beside, (long long)count,
           (double)times_ns[STARTS / 2] / 1000, (double)times_ns[STARTS * 99 / 100] / 1000,
           file_mb(), memory_mb());
    fflush(stdout);
    arena_free(&a);
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
    struct fault f = {0};
    int64_t percent = argc > 2 ? strtoll(argv[2], NULL, 10) : 100;
    struct store_limits limits = {.ready_max = INT64_MAX,
                                  .fail_max = 5,
                                  .crash_max = 2,
                                  .throttle_max = 50,
                                  .retry_base_ms = 2000,
                                  .retry_cap_ms = 300000,
                                  .retry_floor = 20,
                                  .retry_percent = 20,
                                  .lane_max_active = 16,
                                  .lane_burst = 1,
                                  .lease_ms = 15000};
    snprintf(dir, sizeof dir, "%s/fulmar-bench-XXXXXX", argc > 1 ? argv[1] : ".");
    if (!mkdtemp(dir)) {
        perror(dir);
        return 1;
    }
    need_ok(store_open(&store, dir, &limits, 7, (wall){T0}, &f), &f);
    printf("%-28s  %9s  %8s  %8s  %8s  %9s\n", "reserve beside", "jobs", "p50 us", "p99 us",
           "files MB", "memory MB");
    measure("nothing", 0);
    struct lane_change pause = {.name = SPAN("default/blocked/normal"),
                                .act = LANE_ACT_PAUSE,
                                .by = SPAN("bench"),
                                .why = SPAN("bench")};
    need_ok(store_begin(store, &f), &f);
    need_ok(store_lane_change(store, &pause, (wall){T0}, &f), &f);
    need_ok(store_commit(store, &f), &f);
    add_jobs("default/blocked/normal", 1000 * percent, false);
    measure("jobs of a blocked lane", 1000 * percent);
    add_jobs("default/x/bulk", 10000 * percent, true);
    measure("jobs that have ended", 10000 * percent);
    add_jobs("default/x/bulk", 10000 * percent, false);
    measure("jobs that wait their turn", 10000 * percent);
    store_close(&store);
    nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
