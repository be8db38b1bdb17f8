/* makers.h - the stores that a promise is held against: one row each. Include it in the one file of a test
 * program, above other cmocka users. */
#pragma once

#include "store/redis/link.h"
#include "store/redis/redis.h"
#include "store/store.h"

#include "archive.h" /* above cmocka, which has a fail() of its own */

#include <sqlite3.h>

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <cmocka.h>

#include "redis.h"

struct store_maker {
    const char *name;
    /* Makes a place of its own for a store and opens that. */
    void *(*make)(void);
    err (*open)(void *place, const struct store_limits *limits, wall now, struct store **out,
                struct fault *f);
    /* Ends the process in the middle of whatever it was doing: nothing that was not committed is there when
     * it is opened again. */
    void (*crash)(void *place, struct store **s, bool in_group);
    void (*remove)(void *place);
    /* A group begins: what is there now is there after a crash in it. NULL: the store sees to that itself. */
    void (*begun)(void *place);
    /* Work done so far, in units of the store's own that depend on nothing but what it was asked. Counted
     * from the next opening on. */
    void (*count_work)(bool wanted);
    int64_t (*work)(void);
    int64_t (*bytes)(
        void *place); /* that it takes on the disk, or in the memory of its server */
};

/* SQLite: a folder. Work is steps of its virtual machine. */
static inline int scenario_remove_entry(const char *path, const struct stat *st, int type,
                                        struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* In memory, when there is room: what a disk does to a store is tested elsewhere, and thousands of groups
 * would wait for it. */
static inline char *scenario_folder(char dir[64])
{
    struct statvfs room;
    const char *tmp = getenv("TMPDIR");
    if (!tmp || strlen(tmp) > 32)
        tmp = statvfs("/dev/shm", &room) == 0 && room.f_bavail * room.f_frsize > 512u << 20
                  ? "/dev/shm"
                  : "/tmp";
    snprintf(dir, 64, "%s/fulmar-scenario-XXXXXX", tmp);
    assert_non_null(mkdtemp(dir));
    return dir;
}

static int64_t sqlite_steps;
static bool sqlite_counts;

static inline int sqlite_step_done(void *ctx)
{
    (void)ctx;
    sqlite_steps++;
    return 0;
}

static inline int sqlite_opened(sqlite3 *db, char **why, const void *api)
{
    (void)why;
    (void)api;
    if (sqlite_counts)
        sqlite3_progress_handler(db, 1, sqlite_step_done, NULL);
    return SQLITE_OK;
}

static inline void sqlite_count_work(bool wanted)
{
    sqlite_counts = wanted;
}

static inline void *sqlite_make(void)
{
    static bool watched;
    if (!watched)
        sqlite3_auto_extension((void (*)(void))(void *)sqlite_opened);
    watched = true;
    return scenario_folder(calloc(1, 64));
}

static inline err sqlite_open(void *place, const struct store_limits *limits, wall now,
                              struct store **out, struct fault *f)
{
    return store_open(out, place, limits, 7, now, f);
}

static inline void sqlite_copy(const char *from_dir, const char *to_dir, const char *name)
{
    char path[128], piece[8192];
    snprintf(path, sizeof path, "%s/%s", from_dir, name);
    FILE *from = fopen(path, "rb");
    if (!from)
        return;
    snprintf(path, sizeof path, "%s/%s", to_dir, name);
    FILE *to = fopen(path, "wb");
    assert_non_null(to);
    for (size_t n; (n = fread(piece, 1, sizeof piece, from)) > 0;)
        assert_int_equal(fwrite(piece, 1, n, to), n);
    fclose(from);
    fclose(to);
    assert_int_equal(chmod(path, 0600), 0); /* a key that others may read is none */
}

/* What comes next finds what is in the files at this moment, and nothing else. */
static inline void sqlite_crash(void *place, struct store **s, bool in_group)
{
    char before[64];
    struct fault f = {0};
    memcpy(before, place, sizeof before);
    scenario_folder(place);
    sqlite_copy(before, place, "fulmar.db");
    sqlite_copy(before, place, "fulmar.db-wal");
    sqlite_copy(before, place, "fulmar.key");
    if (in_group) /* of the store that is thrown away */
        (void)!store_commit(*s, &f);
    store_close(s);
    nftw(before, scenario_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void sqlite_remove(void *place)
{
    nftw(place, scenario_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(place);
}

static inline int64_t sqlite_work(void)
{
    return sqlite_steps;
}

static inline int64_t sqlite_bytes(void *place)
{
    char path[128];
    struct stat file, log = {0};
    snprintf(path, sizeof path, "%s/fulmar.db", (const char *)place);
    assert_int_equal(stat(path, &file), 0);
    snprintf(path, sizeof path, "%s/fulmar.db-wal", (const char *)place);
    (void)!stat(path, &log);
    return file.st_size + log.st_size;
}

/* Redis: a server of its own, and an archive in this program. Work is the commands that it was given, those of
 * its scripts among them. */
struct redis_place {
    struct redis_server server;
    struct archive *archive;
    struct link *watch; /* of the test alone */
    off_t begun;        /* length of the append-only file */
};
static struct redis_place *redis_counted; /* whose work is asked for */
static int64_t redis_own_commands;        /* of the question itself */

static inline void redis_watch(struct redis_place *p)
{
    struct fault f = {0};
    link_free(&p->watch);
    assert_int_equal(
        link_new(&p->watch,
                 &(struct link_config){.url = span_of(p->server.url), .name = SPAN("watch")},
                 &f),
        E_OK);
}

static inline void *redis_place_make(void)
{
    /* With everysec a write may wait for the fsync before it, and a kill loses what was answered. */
    static const char *const options[] = {"--auto-aof-rewrite-percentage", "0", "--appendfsync",
                                          "always"};
    struct redis_place *p = calloc(1, sizeof *p);
    redis_make(&p->server);
    memcpy(p->server.options, options, sizeof options);
    redis_start(&p->server);
    p->archive = kept_open();
    redis_watch(p);
    return p;
}

static inline err redis_place_open(void *place, const struct store_limits *limits, wall now,
                                   struct store **out, struct fault *f)
{
    struct redis_place *p = place;
    char files[96];
    snprintf(files, sizeof files, "%s/files", p->server.dir);
    struct redis_config config = {.url = span_of(p->server.url),
                                  .files_dir = files,
                                  .records = &kept_records,
                                  .archive = p->archive,
                                  .state_dir = p->server.dir,
                                  .callers_time = true};
    redis_counted = p;
    return redis_open(out, &config, limits, 7, now, f);
}

static inline char *redis_log(const struct redis_place *p, char path[160])
{
    snprintf(path, 160, "%s/appendonlydir/appendonly.aof.1.incr.aof", p->server.dir);
    return path;
}

static inline void redis_begun(void *place)
{
    struct redis_place *p = place;
    struct stat st;
    char path[160];
    assert_int_equal(stat(redis_log(p, path), &st), 0);
    p->begun = st.st_size;
}

/* The server dies with the node. Of a group the power failed in, what was written since it began is lost. */
static inline void redis_crash(void *place, struct store **s, bool in_group)
{
    struct redis_place *p = place;
    char path[160];
    store_close(s);
    redis_end(&p->server, SIGKILL);
    if (in_group)
        assert_int_equal(truncate(redis_log(p, path), p->begun), 0);
    redis_start(&p->server);
}

static inline void redis_place_remove(void *place)
{
    struct redis_place *p = place;
    link_free(&p->watch);
    redis_remove(&p->server);
    kept_close(p->archive);
    if (redis_counted == p)
        redis_counted = NULL;
    free(p);
}

static inline int64_t redis_says(struct redis_place *p, const char *section, const char *name)
{
    struct arena *a = arena_new(1 << 20);
    struct reply r = {0};
    struct fault f = {0};
    if (link_say(p->watch, a, &r, &f, "INFO", section, NULL))
        fail_msg("INFO: %s", f.words);
    size_t at = span_find(r.text, span_of(name));
    assert_true(at < r.text.n);
    int64_t n = strtoll(r.text.p + at + strlen(name), NULL, 10);
    arena_free(&a);
    return n;
}

static inline void redis_count_work(bool wanted)
{
    (void)wanted;
}

static inline int64_t redis_work(void)
{
    return redis_says(redis_counted, "stats", "total_commands_processed:") -
           redis_own_commands++;
}

static inline int64_t redis_bytes(void *place)
{
    return redis_says(place, "memory", "used_memory:");
}

static const struct store_maker store_makers[] = {
    {"sqlite", sqlite_make, sqlite_open, sqlite_crash, sqlite_remove, NULL, sqlite_count_work,
     sqlite_work, sqlite_bytes},
    {"redis", redis_place_make, redis_place_open, redis_crash, redis_place_remove, redis_begun,
     redis_count_work, redis_work, redis_bytes},
};

/* The store at hand; a program runs on the first one unless it goes through them. */
static const struct store_maker *maker = store_makers;

/* main() of a program whose tests run on each store, or on the one that STORE names. */
#define RUN_ON_ALL_STORES(tests)                                                               \
    int main(void)                                                                             \
    {                                                                                          \
        int failed = 0, ran_ = 0;                                                              \
        for (size_t i_ = 0; i_ < sizeof store_makers / sizeof *store_makers; i_++) {           \
            const char *only_ = getenv("STORE");                                               \
            maker = &store_makers[i_];                                                         \
            if (only_ && *only_ && strcmp(only_, maker->name) != 0)                            \
                continue;                                                                      \
            print_message("store: %s\n", maker->name);                                         \
            ran_++;                                                                            \
            failed += cmocka_run_group_tests(tests, NULL, NULL);                               \
        }                                                                                      \
        if (!ran_)                                                                             \
            print_message("STORE names no store\n");                                           \
        return failed + !ran_;                                                                 \
    }
