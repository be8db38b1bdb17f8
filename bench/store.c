/* store.c - what the store does in a second, on the disk, beside what SQLite does there at all: rows
 * committed one by one and in groups (of SQLite: accepts to the rows of as many a commit); accepts of 1, 16 and 256 callers, each of which waits for its answer
 * before it asks again; starts with their ends, of as many workers; the time from an accept to its start at
 * 200 jobs a second. Usage: store [directory] (the disk that is measured) */
#include "store/thread.h"

#include <ftw.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/metrics.h"

enum { CALLERS_MAX = 256, RUN_MS = 3000, PACED_MS = 10000, PACE_US = 5000, LATENCIES_MAX = 1 << 20 };

struct caller {
    struct store_op op;
    struct arena *arena;
    char id[ID_TEXT];
    uint64_t nonce;
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

/* ---- what the disk and SQLite can do ---- */

static void run_sql(sqlite3 *db, const char *sql)
{
    char *words = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &words)) {
        fprintf(stderr, "%s: %s\n", sql, words);
        exit(1);
    }
}

/* Rows per second into one table with a key of text, as much text as a job has, committed as the store
 * commits. */
static double raw_rows(const char *dir, int rows)
{
    char path[300];
    sqlite3 *db;
    sqlite3_stmt *insert;
    snprintf(path, sizeof path, "%s/raw-%d.db", dir, rows);
    if (sqlite3_open(path, &db))
        exit(1);
    run_sql(db, "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                "PRAGMA cache_size=-16384; CREATE TABLE t(id TEXT PRIMARY KEY, body TEXT)");
    if (sqlite3_prepare_v2(db, "INSERT INTO t VALUES(?, ?)", -1, &insert, NULL))
        exit(1);
    char body[200], id[ID_TEXT];
    memset(body, 'b', sizeof body);
    int64_t count = 0, began = now_us();
    while (now_us() - began < RUN_MS * 1000) {
        run_sql(db, "BEGIN IMMEDIATE");
        for (int i = 0; i < rows; i++, count++) {
            snprintf(id, sizeof id, "job_%012lld", (long long)count);
            sqlite3_bind_text(insert, 1, id, -1, SQLITE_STATIC);
            sqlite3_bind_text(insert, 2, body, sizeof body, SQLITE_STATIC);
            if (sqlite3_step(insert) != SQLITE_DONE)
                exit(1);
            sqlite3_reset(insert);
        }
        run_sql(db, "COMMIT");
    }
    double per_second = (double)count / ((double)(now_us() - began) / 1e6);
    sqlite3_finalize(insert);
    sqlite3_close(db);
    printf("rows of SQLite alone, %3d a commit   %8.0f a second\n", rows, per_second);
    return per_second;
}

/* ---- the store ---- */

static void need(struct store_op *op, const char *what)
{
    if (!op->result)
        return;
    fprintf(stderr, "%s: %s\n", what, op->fault.words);
    exit(1);
}

static void post(struct caller *c, enum store_verb verb, void (*on_done)(struct store_op *op))
{
    arena_reset(c->arena);
    c->op.verb = verb;
    c->op.on_done = on_done;
    store_thread_post(thread, &c->op);
}

static void done_in(int64_t us)
{
    if (latency_count < LATENCIES_MAX)
        latencies_us[latency_count++] = us;
}

static void post_accept(struct caller *c, void (*on_done)(struct store_op *op))
{
    snprintf(c->id, sizeof c->id, "job_%012lld", (long long)serial++);
    c->op.in.accept = (struct accept_args){
        .id = span_of(c->id),
        .site = SPAN("x"),
        .kind = SPAN("posts"),
        .target = SPAN("nasa"),
        .lane = SPAN("default/x/normal"),
        .spec = SPAN("{\"limit\":500}"),
        .limit = 500,
        .prio = 5,
    };
    c->began_us = now_us();
    post(c, STORE_ACCEPT, on_done);
}

static void accepted(struct store_op *op)
{
    struct caller *c = op->ctx;
    need(op, "accept");
    done_in(now_us() - c->began_us);
    if (!stopping)
        post_accept(c, accepted);
}

static void begin_accepts(struct caller *c)
{
    post_accept(c, accepted);
}

static void post_reserve(struct caller *c, void (*on_done)(struct store_op *op))
{
    c->op.in.reserve = (struct reserve_args){
        .worker = SPAN("w"), .random = (uint64_t)++serial, .needs = NEEDS_PAGE};
    post(c, STORE_RESERVE, on_done);
}

static void ended(struct store_op *op);

static void started(struct store_op *op)
{
    struct caller *c = op->ctx;
    need(op, "reserve");
    snprintf(c->id, sizeof c->id, "%s", op->out.lease.id);
    c->nonce = op->out.lease.nonce;
    c->op.in.finish = (struct finish_args){
        .id = span_of(c->id), .nonce = c->nonce, .verdict = VERDICT_COMPLETE};
    post(c, STORE_FINISH, ended);
}

static void ended(struct store_op *op)
{
    struct caller *c = op->ctx;
    need(op, "finish");
    done_in(now_us() - c->began_us);
    c->began_us = now_us();
    if (!stopping)
        post_reserve(c, started);
}

static void begin_starts(struct caller *c)
{
    c->began_us = now_us();
    post_reserve(c, started);
}

static int by_size(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void collect(int wait_ms)
{
    struct pollfd p = {.fd = wake_fd, .events = POLLIN};
    uint64_t n;
    if (poll(&p, 1, wait_ms) == 1 && read(wake_fd, &n, sizeof n) != sizeof n)
        abort();
    store_thread_collect(thread, NULL, NULL);
}

static double latency_ms(int64_t percent)
{
    return (double)latencies_us[latency_count * percent / 100] / 1000;
}

static struct caller all[CALLERS_MAX];

/* raw: rows a second of as many a commit; 0: nothing to compare with. */
static void measure(const char *what, int callers, void (*begin)(struct caller *c), double raw)
{
    int64_t commits = metric_get(METRIC_STORE_TX, 0);
    latency_count = 0;
    stopping = false;
    int64_t began = now_us(), expected = 0;
    for (int i = 0; i < callers; i++)
        begin(&all[i]);
    while (!stopping || latency_count < expected) {
        collect(1000);
        if (!stopping && now_us() - began >= RUN_MS * 1000) {
            stopping = true;
            expected = latency_count + callers;
        }
    }
    double per_second = (double)latency_count / ((double)(now_us() - began) / 1e6);
    commits = metric_get(METRIC_STORE_TX, 0) - commits;
    qsort(latencies_us, (size_t)latency_count, sizeof *latencies_us, by_size);
    printf("%-16s  %7d  %10.0f  %10.1f  %8.2f  %8.2f", what, callers, per_second,
           (double)latency_count / (double)(commits ? commits : 1), latency_ms(50), latency_ms(99));
    if (raw > 0)
        printf("  %8.0f %%", 100 * per_second / raw);
    printf("\n");
    fflush(stdout);
}

/* ---- from accept to start ---- */

static int64_t paced_open;

static void paced_ended(struct store_op *op)
{
    need(op, "finish");
    paced_open--;
    ((struct caller *)op->ctx)->began_us = 0;
}

static void paced_started(struct store_op *op)
{
    struct caller *c = op->ctx;
    need(op, "reserve");
    done_in(now_us() - c->began_us);
    snprintf(c->id, sizeof c->id, "%s", op->out.lease.id);
    c->op.in.finish = (struct finish_args){
        .id = span_of(c->id), .nonce = op->out.lease.nonce, .verdict = VERDICT_COMPLETE};
    post(c, STORE_FINISH, paced_ended);
}

/* There is a free worker for it. */
static void paced_accepted(struct store_op *op)
{
    need(op, "accept");
    post_reserve(op->ctx, paced_started);
}

static void pace(void)
{
    int64_t began = now_us(), next = began, left_out = 0;
    latency_count = 0;
    while (now_us() - began < PACED_MS * 1000 || paced_open) {
        for (; next <= now_us() && next - began < PACED_MS * 1000; next += PACE_US) {
            int free = 0;
            while (free < CALLERS_MAX && all[free].began_us)
                free++;
            if (free == CALLERS_MAX) {
                left_out++;
                continue;
            }
            paced_open++;
            post_accept(&all[free], paced_accepted);
        }
        collect(1);
    }
    qsort(latencies_us, (size_t)latency_count, sizeof *latencies_us, by_size);
    printf("from accept to start at %d jobs a second: %lld jobs, p50 %.2f ms, p99 %.2f ms, longest %.2f ms",
           1000000 / PACE_US, (long long)latency_count, latency_ms(50), latency_ms(99),
           (double)latencies_us[latency_count - 1] / 1000);
    if (left_out)
        printf(", %lld left out: not kept up with", (long long)left_out);
    printf("\n");
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
                   .lane_max_active = CALLERS_MAX,
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
    for (int i = 0; i < CALLERS_MAX; i++)
        all[i] = (struct caller){.op = {.ctx = &all[i]}, .arena = arena_new(1 << 16)};
    for (int i = 0; i < CALLERS_MAX; i++)
        all[i].op.arena = all[i].arena;
    printf("SQLite %s\n", store_version());
    static const int callers[] = {1, 16, CALLERS_MAX};
    double raw[3];
    for (int i = 0; i < 3; i++)
        raw[i] = raw_rows(dir, callers[i]);
    printf("\n%-16s  callers  per second  per commit    p50 ms    p99 ms  of SQLite\n", "");
    for (int i = 0; i < 3; i++)
        measure("accepts", callers[i], begin_accepts, raw[i]);
    for (int i = 0; i < 3; i++)
        measure("starts and ends", callers[i], begin_starts, 0);
    for (int i = 0; i < CALLERS_MAX; i++)
        all[i].began_us = 0;
    printf("\n");
    pace();
    store_thread_stop(&thread);
    nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    for (int i = 0; i < CALLERS_MAX; i++)
        arena_free(&all[i].arena);
    free(latencies_us);
    return 0;
}
