/* backup.c - store/backup.h for SQLite. */
#include "store/backup.h"

#include "store/sqlite/check.h"
#include "store/sqlite/inside.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/upgrade.h"

#include "base/need.h"
#include "os/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 1024 };
/* Each start takes one; no service is started as often between a backup and its restore. */
static const int64_t EPOCHS_AHEAD = 1000000;

static err put_path(char out[PATH_SIZE], const char *dir, const char *name, struct fault *f)
{
    int n = snprintf(out, PATH_SIZE, "%s/%s", dir, name);
    return n > 0 && n < PATH_SIZE ? E_OK : fail(f, E_BAD_INPUT, "the path is too long");
}

static bool is_there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static err read_jobs(struct db *d, struct backup_view *out, struct fault *f)
{
    struct query *q;
    err e = db_ask_args(d, SQL_STATE_COUNTS, &q, f, NULL, 0);
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK) {
        out->jobs += db_int(q, 1);
        out->live += job_is_final((enum job_state)db_int(q, 0)) ? 0 : db_int(q, 1);
    }
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err look(struct db *d, const char *file, struct backup_view *out, struct fault *f)
{
    struct backup_view v = {0};
    int64_t version, pages;
    bool held;
    err e = db_number(d, SQL_USER_VERSION, &version, f);
    if (!e && version == 0)
        e = fail(f, E_STORE, "%.120s is no backup of a job store", file);
    if (!e)
        e = upgrade_version(d, &version, &held, f);
    if (!e && version > SCHEMA_VERSION)
        e = fail(f, E_STORE, "a newer version of Fulmar made %.120s; use that", file);
    if (!e)
        e = check_wholly(d, file, f);
    if (!e)
        e = db_number(d, SQL_PAGE_COUNT, &pages, f);
    if (!e)
        e = db_number(d, SQL_EPOCH, &v.epoch, f);
    if (!e)
        e = db_number(d, SQL_EVENT_LAST_AT, &v.last_ms, f);
    if (!e)
        e = read_jobs(d, &v, f);
    if (e)
        return e;
    struct stat st;
    v.bytes = stat(file, &st) == 0 ? st.st_size : 0;
    *out = v;
    return E_OK;
}

err store_backup_check(const char *file, struct backup_view *out, struct fault *f)
{
    struct db *d = NULL;
    if (!is_there(file))
        return fail(f, E_NOT_FOUND, "there is no file %.200s", file);
    err e = db_open_reader(&d, file, NULL, f);
    if (!e)
        e = look(d, file, out, f);
    db_close(&d);
    return e;
}

/* A file that is not whole has another name until it is. */
static err put_in_place(const char *part, const char *file, struct fault *f)
{
    int code = renameat2(AT_FDCWD, part, AT_FDCWD, file, RENAME_NOREPLACE);
    if (code != 0 &&
        errno == EINVAL) /* not every file system can; that it was not there was seen before */
        code = rename(part, file);
    if (code != 0)
        return errno == EEXIST ? fail(f, E_CONFLICT, "%.200s is there already", file)
                               : files_fault(f, "make", file);
    return files_sync_folder_of(file, f);
}

static err copy(const char *from, const char *file, struct fault *f)
{
    char part[PATH_SIZE];
    int n = snprintf(part, sizeof part, "%s.part", file);
    if (n <= 0 || n >= PATH_SIZE)
        return fail(f, E_BAD_INPUT, "the path is too long");
    if (is_there(file))
        return fail(f, E_CONFLICT, "%.200s is there already", file);
    (void)unlink(part);
    err e = db_copy(from, part, f);
    if (!e)
        e = put_in_place(part, file, f);
    if (e)
        (void)unlink(part);
    return e;
}

err store_backup_make(const char *state_dir, const char *file, struct backup_view *out,
                      struct fault *f)
{
    char path[PATH_SIZE];
    err e = put_path(path, state_dir, "fulmar.db", f);
    if (!e && !is_there(path))
        e = fail(f, E_NOT_FOUND, "there is no job store in %.200s", state_dir);
    if (!e)
        e = copy(path, file, f);
    return e ? e : store_backup_check(file, out, f);
}

static err raise_epoch(const char *path, struct fault *f)
{
    struct db *d = NULL;
    err e = db_open(&d, path, false, f);
    if (!e)
        e = db_run(d, SQL_EPOCH_RAISE, f, DB_I(EPOCHS_AHEAD));
    db_close(&d);
    return e;
}

/* Under the lock of the folder, so that no service begins with half of it. */
static err restore(const char *state_dir, const char *file, struct fault *f)
{
    char path[PATH_SIZE], fresh[PATH_SIZE], log[PATH_SIZE];
    err e = put_path(path, state_dir, "fulmar.db", f);
    if (!e)
        e = put_path(log, state_dir, "fulmar.db-wal", f);
    if (!e)
        e = put_path(fresh, state_dir, "fulmar.restored.db", f);
    if (!e && (is_there(path) || is_there(log)))
        e = fail(
            f, E_CONFLICT,
            "there is a job store in %.150s: move its files fulmar.db* away first, or choose another store.path",
            state_dir);
    if (e)
        return e;
    (void)unlink(fresh);
    e = copy(file, fresh, f);
    if (!e)
        e = raise_epoch(fresh, f);
    return e ? e : put_in_place(fresh, path, f);
}

err store_backup_restore(const char *state_dir, const char *file, struct backup_view *out,
                         struct fault *f)
{
    char path[PATH_SIZE], dir[PATH_SIZE];
    err e = store_backup_check(file, out, f);
    if (!e)
        e = put_path(dir, state_dir, "", f);
    if (e)
        return e;
    struct store *s = heap_new_of(struct store); /* only for its lock */
    s->dir = dir;
    s->lock_fd = -1;
    e = disk_lock(s, f);
    if (!e)
        e = restore(state_dir, file, f);
    if (!e)
        e = put_path(path, state_dir, "fulmar.db", f);
    if (!e)
        e = store_backup_check(path, out, f);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s);
    return e;
}
