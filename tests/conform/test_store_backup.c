/* The promises of store/backup.h: whole, taken at full load, made a store again that fences what came before (S18). */
#include "store/backup.h"
#include "store/sqlite/schema.h"
#include "store/thread.h"
#include "store/transfer.h"

#include <sqlite3.h>

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

enum { CALLERS = 64, BEFORE = 20000 };

static char dir[64];
static struct fault fault;
static const struct store_limits limits = {.ready_max = 10000000,
                                           .fail_max = 3,
                                           .crash_max = 2,
                                           .throttle_max = 4,
                                           .retry_base_ms = 1000,
                                           .retry_cap_ms = 60000,
                                           .lane_max_active = 1000,
                                           .retry_floor = 1000000,
                                           .lane_burst = 1,
                                           .lease_ms = 60000};

static wall real_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (wall){t.tv_sec * 1000 + t.tv_nsec / 1000000};
}

static const char *path_of(const char *name)
{
    static char paths[4][128];
    static int at;
    char *path = paths[at++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    snprintf(dir, sizeof dir, "%s/fulmar-backup-XXXXXX",
             tmp && strlen(tmp) < 32 ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    fault = (struct fault){0};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static void fine(err e)
{
    if (e)
        fail_msg("%s: %s", err_name(e), fault.words);
}

static struct store *open_in(const char *name)
{
    struct store *s = NULL;
    fine(store_open(&s, path_of(name), &limits, 7, real_now(), &fault));
    return s;
}

static struct accept_args job_args(const char *id)
{
    return (struct accept_args){.id = span_of(id),
                                .site = SPAN("x"),
                                .kind = SPAN("posts"),
                                .target = SPAN("nasa"),
                                .lane = SPAN("default/x/normal"),
                                .spec = SPAN("{}"),
                                .prio = 5};
}

static void accept_one(struct store *s, const char *id)
{
    struct accept_reply reply;
    struct accept_args args = job_args(id);
    fine(store_begin(s, &fault));
    fine(store_accept(s, &args, real_now(), &reply, &fault));
    fine(store_commit(s, &fault));
}

/* ---- load ---- */

struct caller {
    struct store_op op;
    char id[ID_TEXT];
};

static struct store_thread *thread;
static int wake_fd;
static int64_t serial, accepted;
static bool stopping;

static void wake(void *ctx)
{
    const uint64_t one = 1;
    (void)ctx;
    if (write(wake_fd, &one, sizeof one) != sizeof one)
        abort();
}

static void post(struct caller *c);

static void on_accepted(struct store_op *op)
{
    assert_int_equal(op->result, E_OK);
    accepted++;
    if (!stopping)
        post(op->ctx);
}

static void post(struct caller *c)
{
    snprintf(c->id, sizeof c->id, "job_%08lld", (long long)serial++);
    c->op.verb = STORE_ACCEPT;
    c->op.ctx = c;
    c->op.on_done = on_accepted;
    c->op.in.accept = job_args(c->id);
    store_thread_post(thread, &c->op);
}

static void collect(void)
{
    struct pollfd p = {.fd = wake_fd, .events = POLLIN};
    uint64_t n;
    if (poll(&p, 1, 1000) == 1 && read(wake_fd, &n, sizeof n) != sizeof n)
        abort();
    store_thread_collect(thread, NULL, NULL);
}

struct backup_run {
    const char *from, *to;
    struct backup_view view;
    err result;
    struct fault fault;
    atomic_bool done;
};

static void *run_backup(void *arg)
{
    struct backup_run *b = arg;
    b->result = store_backup_make(b->from, b->to, &b->view, &b->fault);
    b->done = true;
    wake(NULL);
    return NULL;
}

static void s18_a_backup_at_full_load_is_whole_and_holds_what_was_answered_before(void **state)
{
    (void)state;
    static struct caller callers[CALLERS];
    struct store_thread_config config = {.state_dir = path_of("a"),
                                         .limits = limits,
                                         .now = real_now,
                                         .wake = wake,
                                         .readers = 2,
                                         .read_ms = 2000};
    pthread_t backup_thread;
    wake_fd = eventfd(0, EFD_CLOEXEC);
    serial = accepted = 0;
    stopping = false;
    fine(store_thread_start(&thread, &config, &fault));
    for (int i = 0; i < CALLERS; i++)
        post(&callers[i]);
    while (accepted < BEFORE)
        collect();
    struct backup_run b = {.from = config.state_dir, .to = path_of("copy.db")};
    int64_t before = accepted;
    assert_int_equal(pthread_create(&backup_thread, NULL, run_backup, &b), 0);
    while (!b.done)
        collect();
    int64_t after = accepted;
    pthread_join(backup_thread, NULL);
    stopping = true;
    while (accepted < serial)
        collect();
    store_thread_stop(&thread);
    close(wake_fd);
    if (b.result)
        fail_msg("%s", b.fault.words);
    assert_true(after > before); /* the service went on */
    assert_true(b.view.jobs >= before && b.view.jobs <= serial);
    assert_int_equal(b.view.live, b.view.jobs);
    struct backup_view restored;
    fine(store_backup_restore(path_of("b"), b.to, &restored, &fault));
    assert_int_equal(restored.jobs, b.view.jobs);
    struct store *s = open_in("b");
    struct outlook o;
    fine(store_outlook(s, real_now(), &o, &fault));
    assert_int_equal(o.by_state[JOB_READY], b.view.jobs);
    store_close(&s);
}

static void s18_a_restored_store_knows_no_lease_from_before(void **state)
{
    (void)state;
    struct store *s = open_in("a");
    struct arena *a = arena_new(1 << 20);
    struct lease before, after;
    struct backup_view view;
    struct finish_reply reply;
    struct heartbeat_reply beat;
    struct commit_reply committed;
    accept_one(s, "job_1");
    fine(store_begin(s, &fault));
    fine(store_reserve(
        s, &(struct reserve_args){.worker = SPAN("w"), .random = 1, .needs = NEEDS_PAGE},
        real_now(), a, &before, &fault));
    fine(store_started(s, SPAN("job_1"), before.nonce, &fault));
    fine(store_commit(s, &fault));
    fine(store_backup_make(path_of("a"), path_of("copy.db"), &view, &fault));
    store_close(&s);
    for (int i = 0; i < 3; i++) { /* the old service is started again and again */
        s = open_in("a");
        store_close(&s);
    }
    fine(store_backup_restore(path_of("b"), path_of("copy.db"), &view, &fault));
    s = open_in("b");
    fine(store_begin(s, &fault));
    assert_int_equal(store_heartbeat(s, SPAN("job_1"), before.nonce, real_now(), &beat, NULL),
                     E_STALE);
    struct commit_args batch = {.id = SPAN("job_1"), .nonce = before.nonce};
    assert_int_equal(store_commit_batch(s, &batch, real_now(), &committed, NULL), E_STALE);
    struct finish_args end = {
        .id = SPAN("job_1"), .nonce = before.nonce, .verdict = VERDICT_COMPLETE};
    assert_int_equal(store_finish(s, &end, real_now(), &reply, NULL), E_STALE);
    fine(store_reserve(
        s, &(struct reserve_args){.worker = SPAN("w"), .random = 2, .needs = NEEDS_PAGE},
        real_now(), a, &after, &fault));
    fine(store_commit(s, &fault));
    assert_true(after.epoch >
                before.epoch + 100); /* and of whatever the old service comes to */
    assert_true(after.fence > before.fence);
    store_close(&s);
    arena_free(&a);
}

static void a_backup_writes_over_nothing(void **state)
{
    (void)state;
    struct backup_view view;
    struct store *s = open_in("a");
    accept_one(s, "job_1");
    assert_int_equal(store_backup_make(path_of("none"), path_of("copy.db"), &view, NULL),
                     E_NOT_FOUND);
    fine(store_backup_make(path_of("a"), path_of("copy.db"), &view, &fault));
    assert_int_equal(store_backup_make(path_of("a"), path_of("copy.db"), &view, &fault),
                     E_CONFLICT);
    assert_non_null(strstr(fault.words, "copy.db"));
    /* a service runs there */
    fault = (struct fault){0};
    assert_int_equal(store_backup_restore(path_of("a"), path_of("copy.db"), &view, &fault),
                     E_CONFLICT);
    store_close(&s);
    fault = (struct fault){0};
    assert_int_equal(store_backup_restore(path_of("a"), path_of("copy.db"), &view, &fault),
                     E_CONFLICT);
    assert_non_null(strstr(fault.words, "move"));
    s = open_in("a");
    store_close(&s);
}

static void do_on_file(const char *file, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Also of a store that is moved, which keeps its version beside the number that no version knows. */
static void a_backup_of_a_newer_version_is_told_and_not_restored(void **state)
{
    (void)state;
    struct backup_view view;
    char sql[160];
    struct store *s = open_in("store");
    accept_one(s, "job_1");
    store_close(&s);
    fine(store_backup_make(path_of("store"), path_of("copy"), &view, &fault));
    for (int version = SCHEMA_VERSION; version < SCHEMA_VERSION + 2; version++) {
        bool knows = version == SCHEMA_VERSION;
        fault = (struct fault){0};
        snprintf(
            sql, sizeof sql,
            "PRAGMA user_version=%d; INSERT OR REPLACE INTO meta(k,v) VALUES('version',%d)",
            TRANSFER_SCHEMA, version);
        do_on_file(path_of("copy"), sql);
        assert_int_equal(store_backup_check(path_of("copy"), &view, &fault),
                         knows ? E_OK : E_STORE);
        if (!knows)
            assert_non_null(strstr(fault.words, "newer version"));
    }
    fault = (struct fault){0};
    assert_int_equal(store_backup_restore(path_of("else"), path_of("copy"), &view, &fault),
                     E_STORE);
    assert_int_not_equal(access(path_of("else/fulmar.db"), F_OK), 0);
}

static void a_damaged_backup_is_told_and_not_restored(void **state)
{
    (void)state;
    struct backup_view view;
    char junk[4096];
    struct store *s = open_in("a");
    for (int i = 0; i < 400; i++) {
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%d", i);
        accept_one(s, id);
    }
    fine(store_backup_make(path_of("a"), path_of("copy.db"), &view, &fault));
    store_close(&s);
    fine(store_backup_check(path_of("copy.db"), &view, &fault));
    assert_int_equal(view.jobs, 400);
    int fd = open(path_of("copy.db"), O_RDWR);
    memset(junk, 0x5a, sizeof junk);
    assert_int_equal(pwrite(fd, junk, sizeof junk, view.bytes / 2 & ~INT64_C(8191)),
                     sizeof junk);
    close(fd);
    assert_int_equal(store_backup_check(path_of("copy.db"), &view, &fault), E_STORE);
    assert_non_null(strstr(fault.words, "copy.db"));
    assert_int_equal(store_backup_restore(path_of("b"), path_of("copy.db"), &view, NULL),
                     E_STORE);
    assert_int_equal(access(path_of("b/fulmar.db"), F_OK), -1);
    fd = open(path_of("text.db"), O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, junk, sizeof junk), sizeof junk);
    close(fd);
    assert_int_equal(store_backup_check(path_of("text.db"), &view, NULL), E_STORE);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(s18_a_backup_at_full_load_is_whole_and_holds_what_was_answered_before),
        T(s18_a_restored_store_knows_no_lease_from_before),
        T(a_backup_writes_over_nothing),
        T(a_backup_of_a_newer_version_is_told_and_not_restored),
        T(a_damaged_backup_is_told_and_not_restored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
