/* world.h - a store in a folder of its own, one operation a group, and a clock that the test moves.
 * Include it once, in the program's only file. */
#pragma once

#include "store/store.h"

#include <sqlite3.h>

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define T0 1800000000000 /* 2027-01-15T08:00:00Z, a whole minute */

struct world {
    char dir[64];
    struct store *s;
    struct store_limits limits;
    struct arena *a;
    int64_t now, numbers;
    uint64_t nonces;
    struct fault f;
};
static struct world *w;

static wall now(void)
{
    return (wall){w->now};
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void make_dir(char *dir, size_t size)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, size, "%s/fulmar-store-XXXXXX", tmp && strlen(tmp) < 32 ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
}

static void open_store(void)
{
    w->f = (struct fault){0};
    err e = store_open(&w->s, w->dir, &w->limits, 7, now(), &w->f);
    if (e)
        fail_msg("store_open: %s: %s", err_name(e), w->f.words);
}

/* Limits that few tests have an opinion about; theirs they set in what this gives, before world_open(). */
static struct store_limits world_limits(void)
{
    return (struct store_limits){
        .ready_max = 100000,
        .fail_max = 3,
        .crash_max = 2,
        .throttle_max = 4,
        .retry_base_ms = 1000,
        .retry_cap_ms = 60000,
        .lane_max_active = 100,
        .lane_burst = 1,
        .lease_ms = 15000,
    };
}

static int world_open(void **state, struct store_limits limits)
{
    w = calloc(1, sizeof *w);
    *state = w;
    make_dir(w->dir, sizeof w->dir);
    w->limits = limits;
    w->a = arena_new(256 << 20);
    w->now = T0;
    open_store();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_close(&w->s);
    arena_free(&w->a);
    nftw(w->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(w);
    w = NULL;
    return 0;
}

/* ---- one operation, one group ---- */

static void begin(void)
{
    w->f = (struct fault){0};
    assert_int_equal(store_begin(w->s, &w->f), E_OK);
}

static void commit(void)
{
    struct fault f = {0};
    err e = store_commit(w->s, &f);
    if (e)
        fail_msg("store_commit: %s", f.words);
}

/* ---- the rows, seen from outside ---- */

static sqlite3 *look(void)
{
    char path[128];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/fulmar.db", w->dir);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return db;
}

static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *q;
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return n;
}

__attribute__((unused)) static int64_t ask(const char *sql)
{
    sqlite3 *db = look();
    int64_t n = number(db, sql);
    sqlite3_close(db);
    return n;
}
