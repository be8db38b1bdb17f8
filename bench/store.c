/* store.c - what the store does in a second, on the disk, beside what SQLite does there at all: rows of a table
 * with one key, and the very rows of a job (with their indexes and the event), by a loop that decides nothing, committed one by
 * one and in groups; accepts of 1, 16 and 256 callers, each of which waits for its answer before it asks again;
 * starts with their ends, of as many workers; the time from an accept to its start at 200 jobs a second. What is
 * compared is measured in turns, and the best turn of each counts: a neighbour that builds slows them all.
 * Usage: store [directory] (the disk that is measured) */
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
#include "store/sqlite/schema.h"
#include "store/sqlite/sql.h"

enum {
    CALLERS_MAX = 256,
    RUN_MS = 600,
    TURNS = 5,
    PACED_MS = 10000,
    PACE_US = 5000,
    LATENCIES_MAX = 1 << 20
};

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

enum raw { RAW_PLAIN, RAW_JOB, RAWS };

struct raw_db {
    sqlite3 *db;
    sqlite3_stmt *insert, *event;
    int64_t count;
};

static const char *const texts[] = {
#define SQL_TEXT(id, text) text,
    SQL_TABLE(SQL_TEXT)
#undef SQL_TEXT
};

static void prepare(struct raw_db *r, const char *sql, sqlite3_stmt **out)
{
    if (sqlite3_prepare_v2(r->db, sql, -1, out, NULL)) {
        fprintf(stderr, "%s\n", sqlite3_errmsg(r->db));
        exit(1);
    }
}

/* Set up as the store sets its own up. */
static void raw_open(struct raw_db *r, const char *dir, enum raw kind)
{
    char path[300];
    snprintf(path, sizeof path, "%s/raw-%d.db", dir, (int)kind);
    if (sqlite3_open_v2(path, &r->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL))
        exit(1);
    run_sql(
        r->db,
        "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "PRAGMA cache_size=-16384; PRAGMA foreign_keys=OFF; PRAGMA wal_autocheckpoint=8192");
    if (kind == RAW_JOB) {
        run_sql(r->db, SCHEMA_SQL
                "INSERT INTO lanes(lane_id,name,weight) VALUES(1,'default/x/normal',3)");
        prepare(r, texts[SQL_ACCEPT], &r->insert);
        prepare(r, texts[SQL_EVENT_ADD], &r->event);
    } else {
        run_sql(r->db, "CREATE TABLE t(id TEXT PRIMARY KEY, body TEXT)");
        prepare(r, "INSERT INTO t VALUES(?, ?)", &r->insert);
    }
}

static void raw_close(struct raw_db *r)
{
    sqlite3_finalize(r->insert);
    sqlite3_finalize(r->event);
    sqlite3_close(r->db);
}

static void step(sqlite3_stmt *s)
{
    if (sqlite3_step(s) != SQLITE_DONE) {
        fprintf(stderr, "%s\n", sqlite3_errmsg(sqlite3_db_handle(s)));
        exit(1);
    }
    sqlite3_reset(s);
}

static void text(sqlite3_stmt *s, int place, const char *value)
{
    sqlite3_bind_text(s, place, value, -1, SQLITE_STATIC);
}

/* The values that accepts below have, in the order of SQL_ACCEPT. */
static void insert_job(struct raw_db *r, const char *id, int64_t now_ms)
{
    static const char *const texts_at[] = {
        [2] = "x",        [3] = "posts", [4] = "nasa", [6] = "{\"limit\":500}",
        [15] = "default", [19] = "",     [30] = "",    [31] = ""};
    static const int64_t numbers[32] = {
        [5] = 1, [7] = 500, [8] = JOB_READY, [9] = 5, [12] = 5, [13] = 2, [14] = 50};
    for (int i = 2; i < 32; i++) {
        if (texts_at[i])
            text(r->insert, i, texts_at[i]);
        else if (i == 10 || i == 11 || i == 16)
            sqlite3_bind_int64(r->insert, i, now_ms);
        else if (i != 20 && i != 21 && (i < 26 || i == 29))
            sqlite3_bind_int64(r->insert, i, numbers[i]);
    }
    text(r->insert, 1, id);
    step(r->insert);
    text(r->event, 1, id);
    sqlite3_bind_int64(r->event, 2, 1);
    text(r->event, 3, "job.accepted");
    sqlite3_bind_int64(r->event, 4, now_ms);
    text(
        r->event, 5,
        "{\"state\":\"ready\",\"site\":\"x\",\"kind\":\"posts\",\"target\":\"nasa\",\"limit\":500}");
    step(r->event);
}

static void insert_plain(struct raw_db *r, const char *id)
{
    static char body[200];
    memset(body, 'b', sizeof body);
    text(r->insert, 1, id);
    sqlite3_bind_text(r->insert, 2, body, sizeof body, SQLITE_STATIC);
    step(r->insert);
}

/* Rows a second, so many a commit. */
static double raw_rows(struct raw_db *r, enum raw kind, int rows)
{
    int64_t began = now_us(), count = 0;
    while (now_us() - began < RUN_MS * 1000) {
        run_sql(r->db, "BEGIN IMMEDIATE");
        for (int i = 0; i < rows; i++, count++) {
            char id[ID_TEXT];
            snprintf(id, sizeof id, "job_%012lld", (long long)r->count++);
            if (kind == RAW_JOB)
                insert_job(r, id, real_now().ms);
            else
                insert_plain(r, id);
        }
        run_sql(r->db, "COMMIT");
    }
    return (double)count / ((double)(now_us() - began) / 1e6);
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

struct turn {
    double per_second, per_commit, p50_ms, p99_ms;
};

static struct turn take_turn(int callers, void (*begin)(struct caller *c))
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
    double seconds = (double)(now_us() - began) / 1e6;
    commits = metric_get(METRIC_STORE_TX, 0) - commits;
    qsort(latencies_us, (size_t)latency_count, sizeof *latencies_us, by_size);
    return (struct turn){.per_second = (double)latency_count / seconds,
                         .per_commit = (double)latency_count / (double)(commits ? commits : 1),
                         .p50_ms = latency_ms(50),
                         .p99_ms = latency_ms(99)};
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* raw: NULL: there is nothing to compare with. */
static void measure(const char *what, int callers, void (*begin)(struct caller *c),
                    struct raw_db *raw)
{
    double rows[RAWS] = {0};
    struct turn best = {0};
    for (int i = 0; i < TURNS; i++) {
        for (int k = 0; raw && k < RAWS; k++)
            rows[k] = larger(rows[k], raw_rows(&raw[k], (enum raw)k, callers));
        struct turn t = take_turn(callers, begin);
        best = t.per_second > best.per_second ? t : best;
    }
    printf("%-16s  %7d  %10.0f  %10.1f  %8.2f  %8.2f", what, callers, best.per_second,
           best.per_commit, best.p50_ms, best.p99_ms);
    if (raw)
        printf("  %10.0f  %5.0f %%  %10.0f  %5.0f %%", rows[RAW_JOB],
               100 * best.per_second / rows[RAW_JOB], rows[RAW_PLAIN],
               100 * best.per_second / rows[RAW_PLAIN]);
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
    printf(
        "from accept to start at %d jobs a second: %lld jobs, p50 %.2f ms, p99 %.2f ms, longest %.2f ms",
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
    struct raw_db raw[RAWS] = {0};
    for (int k = 0; k < RAWS; k++)
        raw_open(&raw[k], dir, (enum raw)k);
    printf(
        "\n%-16s  callers  per second  per commit    p50 ms    p99 ms    a job's rows       plain rows\n",
        "");
    for (int i = 0; i < 3; i++)
        measure("accepts", callers[i], begin_accepts, raw);
    for (int i = 0; i < 3; i++)
        measure("starts and ends", callers[i], begin_starts, NULL);
    for (int k = 0; k < RAWS; k++)
        raw_close(&raw[k]);
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
