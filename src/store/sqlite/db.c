#include "store/sqlite/db.h"

#include "store/sqlite/log.h"

#include "base/need.h"

#include <sqlite3.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    PROGRESS_STEPS = 4000, /* of SQLite's machine: some 50 us, between two looks at the time */
    COPY_BUSY_MS = 10000,
    READER_BUSY_MS = 1000, /* the log is being started anew: an instant */
};

struct query {
    struct db *db;
    sqlite3_stmt *stmt;
};

struct db {
    sqlite3 *handle;
    struct query prepared[SQL_COUNT];
    int64_t page_bytes;
    int64_t wal_pages;
    err trouble;
    struct db_patience patience; /* of a reader */
};

static const char *const texts[] = {
#define SQL_TEXT(id, text) text,
    SQL_TABLE(SQL_TEXT)
#undef SQL_TEXT
};

static struct db_arg null_arg(void)
{
    return DB_NULL;
}

struct db_arg db_text_or_null(struct span s)
{
    return s.n ? DB_T(s) : null_arg();
}

static const char *file_name(sqlite3 *handle)
{
    const char *name = sqlite3_db_filename(handle, "main");
    return name ? name : "";
}

static err fail_cut(struct fault *f)
{
    return fail(f, E_TIMEOUT,
                "reading took too long and was cut off; ask for less at once, or raise "
                "store.read_timeout");
}

static err explain(sqlite3 *handle, struct fault *f)
{
    int code = sqlite3_extended_errcode(handle);
    int os = sqlite3_system_errno(handle);
    int primary = code & 0xff;
    /* Of the index of the log that finds no room to grow SQLite does not keep what the system said. */
    if (primary == SQLITE_FULL || code == SQLITE_IOERR_SHMSIZE ||
        (primary == SQLITE_IOERR && (os == ENOSPC || os == EDQUOT || os == EFBIG)))
        return fail(f, E_DISK_FULL, "the disk of the job store is full");
    if (primary == SQLITE_INTERRUPT)
        return fail_cut(f);
    if (primary == SQLITE_CONSTRAINT)
        return fail(f, E_BUG, "the job store refused a row: %s", sqlite3_errmsg(handle));
    if (primary == SQLITE_READONLY || primary == SQLITE_CANTOPEN || primary == SQLITE_PERM)
        return fail(
            f, E_STORE,
            "cannot write the job store %.100s: %.50s; check the owner and mode of store.path",
            file_name(handle), sqlite3_errmsg(handle));
    if (primary == SQLITE_NOTADB || primary == SQLITE_CORRUPT)
        return fail(
            f, E_STORE,
            "the job store %.100s is damaged (%.60s); restore a backup or choose another store.path",
            file_name(handle), sqlite3_errmsg(handle));
    return fail(f, E_STORE, "job store %.100s: %.100s (%d)", file_name(handle),
                sqlite3_errmsg(handle), code);
}

static err failed(struct db *d, struct fault *f)
{
    err e = explain(d->handle, f);
    if (!d->trouble)
        d->trouble = e;
    return e;
}

err db_trouble(const struct db *d)
{
    return d->trouble;
}

void db_forgive(struct db *d)
{
    d->trouble = E_OK;
}

static int on_wal(void *ctx, sqlite3 *handle, const char *name, int pages)
{
    (void)handle;
    (void)name;
    struct db *d = ctx;
    d->wal_pages = pages;
    return SQLITE_OK;
}

/* SQLite gives the log and its index the mode of the database file, so that is made first. */
static err make_file(const char *path, struct fault *f)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        err e = errno == ENOSPC || errno == EDQUOT ? E_DISK_FULL : E_STORE;
        return fail(f, e, "cannot open %s: %s; check the disk, owner and mode of store.path",
                    path, strerror(errno));
    }
    close(fd);
    return E_OK;
}

static err set_up(struct db *d, struct fault *f)
{
    /* page_size first: it only counts before the file has content. A commit is on disk when it
     * returns (synchronous=FULL); the owner of the connection decides when to checkpoint. */
    err e = db_script(d,
                      "PRAGMA page_size=8192;"
                      "PRAGMA journal_mode=WAL;"
                      "PRAGMA synchronous=FULL;"
                      "PRAGMA temp_store=MEMORY;"
                      "PRAGMA mmap_size=0;"
                      "PRAGMA cache_size=-16384;"
                      "PRAGMA foreign_keys=OFF;"
                      "PRAGMA journal_size_limit=67108864;",
                      f);
    if (e)
        return e;
    sqlite3_wal_autocheckpoint(d->handle, 0);
    sqlite3_wal_hook(d->handle, on_wal, d);
    struct query *q;
    e = db_ask_args(d, SQL_PAGE_SIZE, &q, f, NULL, 0);
    if (e)
        return e;
    e = db_step(q, f);
    if (e == E_OK)
        d->page_bytes = db_int(q, 0);
    db_end(q);
    return e;
}

/* Nobody asks SQLite how much memory it has, and counting it takes a lock each time. Too late, when somebody has
 * used SQLite in this process before, and no harm. */
static void set_up_library(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

err db_open(struct db **out, const char *path, bool doubted, struct fault *f)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up_library);
    err e = make_file(path, f);
    if (e)
        return e;
    struct db *d = heap_new_of(struct db);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (sqlite3_open_v2(path, &d->handle, flags, NULL) != SQLITE_OK)
        e = failed(d, f);
    if (!e)
        e = set_up(d, f);
    if (!e)
        e = log_settle(d, path, doubted, f);
    if (e) {
        d->trouble = e;
        db_close(&d);
        return e;
    }
    *out = d;
    return E_OK;
}

/* ---- readers ---- */

static bool is_reader(const struct db *d)
{
    return d->patience.over != NULL;
}

static int on_progress(void *ctx)
{
    struct db *d = ctx;
    return d->patience.over(d->patience.ctx);
}

static bool never_over(void *ctx)
{
    (void)ctx;
    return false;
}

err db_open_reader(struct db **out, const char *path, const struct db_patience *patience,
                   struct fault *f)
{
    struct db *d = heap_new_of(struct db);
    d->patience = patience ? *patience : (struct db_patience){.over = never_over};
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    err e = sqlite3_open_v2(path, &d->handle, flags, NULL) == SQLITE_OK ? E_OK : failed(d, f);
    if (!e) {
        sqlite3_busy_timeout(d->handle, READER_BUSY_MS);
        sqlite3_progress_handler(d->handle, PROGRESS_STEPS, on_progress, d);
        e = db_script(d,
                      "PRAGMA query_only=1; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0;"
                      "PRAGMA cache_size=-2048;",
                      f);
    }
    if (e) {
        db_close(&d);
        return e;
    }
    *out = d;
    return E_OK;
}

void db_close(struct db **d)
{
    if (!*d)
        return;
    for (int i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize((*d)->prepared[i].stmt);
    /* After trouble nothing that is known of the files is certain, so nothing is moved. A reader never
     * moves anything: two connections that do can damage the file (SQLite before 3.51.3). */
    int stays = (*d)->trouble != E_OK || is_reader(*d);
    sqlite3_db_config((*d)->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, stays, NULL);
    sqlite3_close((*d)->handle);
    free(*d);
    *d = NULL;
}

/* ---- copies ---- */

static err copy_pages(sqlite3 *from, sqlite3 *to, struct fault *f)
{
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    if (!b)
        return explain(to, f);
    /* In one go: what is written meanwhile does not make it begin again. */
    int code = sqlite3_backup_step(b, -1);
    sqlite3_backup_finish(b);
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return fail(f, E_BUSY, "another program holds the job store; try again");
    if (code == SQLITE_DONE)
        return E_OK;
    return sqlite3_errcode(to) ? explain(to, f) : explain(from, f);
}

static err copy_between(sqlite3 *from, sqlite3 *to, struct fault *f)
{
    sqlite3_busy_timeout(from, COPY_BUSY_MS);
    if (sqlite3_exec(to, "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=FULL", NULL, NULL,
                     NULL) != SQLITE_OK)
        return explain(to, f);
    err e = copy_pages(from, to, f);
    if (!e && sqlite3_exec(to, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL) != SQLITE_OK)
        e = explain(to, f);
    return e;
}

err db_copy(const char *from, const char *to, struct fault *f)
{
    sqlite3 *source = NULL, *copy = NULL;
    err e = make_file(to, f);
    if (!e && sqlite3_open_v2(from, &source, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
                              NULL) != SQLITE_OK)
        e = explain(source, f);
    if (!e && sqlite3_open_v2(to, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
                  SQLITE_OK)
        e = explain(copy, f);
    if (!e)
        e = copy_between(source, copy, f);
    if (source)
        sqlite3_db_config(source, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_close(copy);
    sqlite3_close(source);
    return e;
}

/* ---- statements ---- */

static int bind(sqlite3_stmt *s, int place, const struct db_arg *a)
{
    switch (a->type) {
    case DB_ARG_INT:
        return sqlite3_bind_int64(s, place, a->i);
    case DB_ARG_TEXT:
        return sqlite3_bind_text64(s, place, a->s.p ? a->s.p : "", a->s.n, SQLITE_STATIC,
                                   SQLITE_UTF8);
    case DB_ARG_NULL:
        return sqlite3_bind_null(s, place);
    }
    bug("unknown argument type");
}

err db_ask_args(struct db *d, enum sql id, struct query **out, struct fault *f,
                const struct db_arg *args, size_t n)
{
    need((unsigned)id < SQL_COUNT);
    struct query *q = &d->prepared[id];
    q->db = d;
    if (is_reader(d) && d->patience.over(d->patience.ctx))
        return fail_cut(f);
    if (!q->stmt && sqlite3_prepare_v3(d->handle, texts[id], -1, SQLITE_PREPARE_PERSISTENT,
                                       &q->stmt, NULL) != SQLITE_OK)
        return failed(d, f);
    need(sqlite3_bind_parameter_count(q->stmt) == (int)n);
    for (size_t i = 0; i < n; i++) {
        if (bind(q->stmt, (int)i + 1, &args[i]) != SQLITE_OK) {
            err e = failed(d, f);
            db_end(q);
            return e;
        }
    }
    *out = q;
    return E_OK;
}

err db_step(struct query *q, struct fault *f)
{
    int code = sqlite3_step(q->stmt);
    if (code == SQLITE_ROW)
        return E_OK;
    if (code == SQLITE_DONE)
        return E_END;
    return failed(q->db, f);
}

err db_run_args(struct db *d, enum sql id, struct fault *f, const struct db_arg *args, size_t n)
{
    struct query *q;
    err e = db_ask_args(d, id, &q, f, args, n);
    if (e)
        return e;
    e = db_step(q, f);
    db_end(q);
    need(e != E_OK);
    return e == E_END ? E_OK : e;
}

void db_end(struct query *q)
{
    if (!q)
        return;
    sqlite3_reset(q->stmt);
    sqlite3_clear_bindings(q->stmt);
}

int64_t db_int(struct query *q, int column)
{
    return sqlite3_column_int64(q->stmt, column);
}

struct span db_text(struct query *q, int column)
{
    const char *p = (const char *)sqlite3_column_text(q->stmt, column);
    int n = sqlite3_column_bytes(q->stmt, column);
    return p ? (struct span){p, (size_t)n} : SPAN_NONE;
}

err db_keep(struct query *q, int column, struct arena *a, struct span *out, struct fault *f)
{
    struct span kept = arena_keep(a, db_text(q, column));
    if (!kept.p)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    *out = kept;
    return E_OK;
}

err db_take_number(struct query *q, int64_t *out, struct fault *f)
{
    err e = db_step(q, f);
    if (!e)
        *out = db_int(q, 0);
    db_end(q);
    return e;
}

err db_number(struct db *d, enum sql id, int64_t *out, struct fault *f)
{
    struct query *q;
    *out = 0;
    err e = db_ask_args(d, id, &q, f, NULL, 0);
    if (!e)
        e = db_take_number(q, out, f);
    return e == E_END ? E_OK : e;
}

int64_t db_changes(struct db *d)
{
    return sqlite3_changes64(d->handle);
}

int64_t db_last_row(struct db *d)
{
    return sqlite3_last_insert_rowid(d->handle);
}

err db_script(struct db *d, const char *sql, struct fault *f)
{
    if (sqlite3_exec(d->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        return failed(d, f);
    return E_OK;
}

bool db_in_transaction(struct db *d)
{
    return !sqlite3_get_autocommit(d->handle);
}

/* ---- write-ahead log ---- */

int64_t db_wal_bytes(struct db *d)
{
    return d->wal_pages * d->page_bytes;
}

bool db_checkpoint(struct db *d, bool all)
{
    int mode = all ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
    int logged = 0, moved = 0;
    if (sqlite3_wal_checkpoint_v2(d->handle, NULL, mode, &logged, &moved) != SQLITE_OK ||
        moved < logged)
        return false;
    /* The next commit starts the log anew; until then there is nothing to move. */
    d->wal_pages = 0;
    return true;
}

int64_t db_page_bytes(const struct db *d)
{
    return d->page_bytes;
}

static sqlite3_file *file_of(struct db *d, bool log)
{
    sqlite3_file *file = NULL;
    int what = log ? SQLITE_FCNTL_JOURNAL_POINTER : SQLITE_FCNTL_FILE_POINTER;
    int code = sqlite3_file_control(d->handle, "main", what, &file);
    return code == SQLITE_OK && file && file->pMethods ? file : NULL;
}

static err io_done(int code, const char *what, struct fault *f)
{
    if (code == SQLITE_OK)
        return E_OK;
    if (code == SQLITE_FULL)
        return fail(f, E_DISK_FULL, "the disk of the job store is full");
    return fail(f, E_STORE, "job store: %s: %s (%d)", what, sqlite3_errstr(code), code);
}

err db_log_size(struct db *d, int64_t *out_bytes, struct fault *f)
{
    sqlite3_file *file = file_of(d, true);
    sqlite3_int64 size = 0;
    err e = file ? io_done(file->pMethods->xFileSize(file, &size), "size of the log", f) : E_OK;
    if (!e)
        *out_bytes = size;
    return e;
}

err db_log_read(struct db *d, int64_t at, void *p, int64_t n, struct fault *f)
{
    sqlite3_file *file = file_of(d, true);
    need(file);
    return io_done(file->pMethods->xRead(file, p, (int)n, at), "reading the log", f);
}

err db_log_write(struct db *d, int64_t at, const void *p, int64_t n, struct fault *f)
{
    sqlite3_file *file = file_of(d, true);
    need(file);
    return io_done(file->pMethods->xWrite(file, p, (int)n, at), "writing the log", f);
}

err db_log_sync(struct db *d, struct fault *f)
{
    sqlite3_file *file = file_of(d, true);
    need(file);
    return io_done(file->pMethods->xSync(file, SQLITE_SYNC_NORMAL), "syncing the log", f);
}

err db_page_read(struct db *d, int64_t page, void *p, int64_t n, struct fault *f)
{
    sqlite3_file *file = file_of(d, false);
    need(file);
    int code = file->pMethods->xRead(file, p, (int)n, (page - 1) * n);
    return io_done(code == SQLITE_IOERR_SHORT_READ ? SQLITE_OK : code, "reading the file", f);
}

const char *db_version(void)
{
    return sqlite3_libversion();
}
