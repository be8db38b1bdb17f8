/* A damaged store is refused by name, on a real disk. tests/crash does it at every place. */
#include "store/store.h"

#include <sqlite3.h>

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { GROUPS = 3 };
static const wall now = {1800000000000};
static const struct store_limits limits = {.ready_max = 100,
                                           .fail_max = 3,
                                           .crash_max = 2,
                                           .throttle_max = 4,
                                           .retry_base_ms = 1000,
                                           .retry_cap_ms = 60000,
                                           .lane_max_active = 100,
                                           .lane_burst = 1,
                                           .lease_ms = 15000};
static char dir[64];
static struct store *store;
static struct fault fault;

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static err open_store(void)
{
    fault = (struct fault){0};
    return store_open(&store, dir, &limits, 7, now, &fault);
}

static const char *id_of(int n)
{
    static char id[ID_TEXT];
    snprintf(id, sizeof id, "job_%d", n);
    return id;
}

static err accept_one(int n)
{
    struct accept_reply reply;
    struct accept_args args = {.id = span_of(id_of(n)),
                               .site = SPAN("x"),
                               .kind = SPAN("posts"),
                               .target = SPAN("nasa"),
                               .lane = SPAN("x/normal"),
                               .spec = SPAN("{}")};
    err e = store_begin(store, &fault);
    if (!e)
        e = store_accept(store, &args, now, &reply, &fault);
    return e ? e : store_commit(store, &fault);
}

/* A service that accepts one job in each group, and is killed: all is in the log. */
static int leave_a_log(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/fulmar-damage-XXXXXX",
             tmp && strlen(tmp) < 32 ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        bool sound = open_store() == E_OK;
        for (int i = 0; sound && i < GROUPS; i++)
            sound = accept_one(i) == E_OK;
        if (sound)
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    store_close(&store);
    nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static int64_t size_of(const char *name)
{
    struct stat st;
    return stat(path_of(name), &st) == 0 ? (int64_t)st.st_size : -1;
}

static void flip(const char *name, int64_t at)
{
    char byte;
    int fd = open(path_of(name), O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void expect_jobs(int from, int to, err want)
{
    struct arena *a = arena_new(1 << 20);
    for (int i = from; i < to; i++) {
        struct job_view v;
        assert_int_equal(store_job(store, span_of(id_of(i)), now, a, &v, &fault), want);
    }
    arena_free(&a);
}

static void a_log_with_whole_groups_behind_a_broken_one_is_refused_and_kept(void **state)
{
    (void)state;
    int64_t size = size_of("fulmar.db-wal");
    assert_true(size > 4 * 8216);
    flip("fulmar.db-wal", size / 2);
    assert_int_equal(open_store(), E_STORE);
    assert_non_null(strstr(fault.words, "fulmar.db-wal is damaged at byte"));
    assert_int_equal(size_of("fulmar.db-wal"), size);
    flip("fulmar.db-wal", size / 2);
    flip("fulmar.db-wal", 20); /* of its header: SQLite would take the log for empty */
    assert_int_equal(open_store(), E_STORE);
    assert_non_null(strstr(fault.words, "fulmar.db-wal is damaged at byte 0"));
    flip("fulmar.db-wal", 20);
    assert_int_equal(open_store(), E_OK);
    expect_jobs(0, GROUPS, E_OK);
}

static void what_is_behind_it_can_be_dropped_by_hand(void **state)
{
    (void)state;
    sqlite3 *db;
    flip("fulmar.db-wal", size_of("fulmar.db-wal") / 2);
    assert_int_equal(open_store(), E_STORE);
    assert_int_equal(sqlite3_open(path_of("fulmar.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(open_store(), E_OK);
    expect_jobs(GROUPS - 1, GROUPS, E_NOT_FOUND);
    assert_int_equal(accept_one(GROUPS - 1), E_OK);
}

static void a_broken_last_group_is_one_that_was_being_written(void **state)
{
    (void)state;
    flip("fulmar.db-wal", size_of("fulmar.db-wal") - 100);
    assert_int_equal(open_store(), E_OK);
    expect_jobs(0, GROUPS - 1, E_OK);
    expect_jobs(GROUPS - 1, GROUPS, E_NOT_FOUND);
}

static void an_index_that_lacks_jobs_is_refused(void **state)
{
    (void)state;
    sqlite3 *db;
    char *why = NULL;
    assert_int_equal(sqlite3_open(path_of("fulmar.db"), &db), SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
    sqlite3_exec(
        db,
        "CREATE INDEX none ON jobs(lane_id, rank, seq) WHERE state = 99; PRAGMA writable_schema=ON;"
        "UPDATE sqlite_schema SET rootpage=(SELECT sum(rootpage) FROM sqlite_schema"
        " WHERE name IN ('none','jobs_ready'))-rootpage WHERE name IN ('none','jobs_ready')",
        NULL, NULL, &why);
    assert_null(why);
    sqlite3_close(db);
    assert_int_equal(open_store(), E_STORE);
    assert_non_null(strstr(fault.words, "fulmar.db is damaged (the index of ready jobs)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_log_with_whole_groups_behind_a_broken_one_is_refused_and_kept, leave_a_log,
            clean_up),
        cmocka_unit_test_setup_teardown(what_is_behind_it_can_be_dropped_by_hand, leave_a_log,
                                        clean_up),
        cmocka_unit_test_setup_teardown(a_broken_last_group_is_one_that_was_being_written,
                                        leave_a_log, clean_up),
        cmocka_unit_test_setup_teardown(an_index_that_lacks_jobs_is_refused, leave_a_log,
                                        clean_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
