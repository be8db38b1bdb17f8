/* db.h - the little of SQLite that the store uses: one connection, prepared statements, errors.
 *
 * The only file that knows sqlite3.h is db.c. A statement is asked for by its row in sql.h,
 * prepared once, and reset by db_end(). Errors: E_DISK_FULL when the disk is full, E_BUG when a
 * constraint of the schema was broken (then our code is wrong), E_STORE for all else. */
#pragma once

#include "base/arena.h"
#include "store/sqlite/sql.h"

struct db;
struct query;

/* Opens or makes the file (mode 0600) and sets the connection up: WAL, every commit on disk
 * before it returns, checkpoints only by db_checkpoint(), and by db_close() when there was no
 * trouble. doubted: see log.h. */
MUST_USE err db_open(struct db **out, const char *path, bool doubted, struct fault *f);
/* Another connection to an open file, which only reads it: one thread at a time. over: asked now and then
 * while it reads; true cuts the statement off with E_TIMEOUT; patience NULL: never. It never checkpoints. */
struct db_patience {
    bool (*over)(void *ctx);
    void *ctx;
};
MUST_USE err db_open_reader(struct db **out, const char *path,
                            const struct db_patience *patience, struct fault *f);
void db_close(struct db **d);
/* What a file holds at this moment into a new one (0600), whole and on the disk, which needs no log beside it. Another
 * connection may write the first meanwhile. */
MUST_USE err db_copy(const char *from, const char *to, struct fault *f);

/* ---- statements ---- */
struct db_arg {
    enum { DB_ARG_INT, DB_ARG_TEXT, DB_ARG_NULL } type;
    int64_t i;
    struct span s;
};
#define DB_I(v) ((struct db_arg){.type = DB_ARG_INT, .i = (int64_t)(v)})
#define DB_T(v) ((struct db_arg){.type = DB_ARG_TEXT, .s = (v)})
#define DB_NULL ((struct db_arg){.type = DB_ARG_NULL})
/* A text, or NULL when it is empty; a time, or NULL when it is 0. */
struct db_arg db_text_or_null(struct span s);

MUST_USE err db_ask_args(struct db *d, enum sql id, struct query **out, struct fault *f,
                         const struct db_arg *args, size_t n);
MUST_USE err db_run_args(struct db *d, enum sql id, struct fault *f, const struct db_arg *args,
                         size_t n);
#define DB_ARGS(...)                                                                           \
    (const struct db_arg[]){__VA_ARGS__},                                                      \
        sizeof((const struct db_arg[]){__VA_ARGS__}) / sizeof(struct db_arg)
/* Binds ?1, ?2 …; rows come from db_step(). */
#define db_ask(d, id, out, f, ...) db_ask_args(d, id, out, f, DB_ARGS(__VA_ARGS__))
/* Runs a statement that gives no rows. */
#define db_run(d, id, f, ...) db_run_args(d, id, f, DB_ARGS(__VA_ARGS__))

MUST_USE err db_step(struct query *q, struct fault *f); /* E_OK: a row; E_END: no more */
void db_end(struct query *q);                           /* NULL is fine */
int64_t db_int(struct query *q, int column);            /* NULL reads as 0 */
struct span db_text(struct query *q, int column);       /* until the next step */
/* A copy in the arena; E_TOO_BIG past its limit. NULL reads as empty. */
MUST_USE err db_keep(struct query *q, int column, struct arena *a, struct span *out,
                     struct fault *f);
/* The first column of the first row, E_END: there is none. Ends the query. */
MUST_USE err db_take_number(struct query *q, int64_t *out, struct fault *f);
/* Likewise of a query without arguments; 0: there is none. */
MUST_USE err db_number(struct db *d, enum sql id, int64_t *out, struct fault *f);
int64_t db_changes(struct db *d);  /* rows of the last write */
int64_t db_last_row(struct db *d); /* rowid of the last insert */

MUST_USE err db_script(struct db *d, const char *sql, struct fault *f);
/* The first failure of any statement since db_forgive(): a group that met one must be rolled
 * back. */
err db_trouble(const struct db *d);
void db_forgive(struct db *d);
bool db_in_transaction(struct db *d);

/* ---- write-ahead log ---- */
int64_t db_wal_bytes(struct db *d); /* after the last commit */
/* Moves the log into the file. all: and gives its space back to the disk. When that fails, or a reader
 * still needs a part of it, nothing is lost: the log stays as it is, the answer is false, and the next call
 * tries again. */
bool db_checkpoint(struct db *d, bool all);
/* The bytes of the log and of pages of the file, from 1, for log.c. */
int64_t db_page_bytes(const struct db *d);
MUST_USE err db_log_size(struct db *d, int64_t *out_bytes, struct fault *f);
MUST_USE err db_log_read(struct db *d, int64_t at, void *p, int64_t n, struct fault *f);
MUST_USE err db_log_write(struct db *d, int64_t at, const void *p, int64_t n, struct fault *f);
MUST_USE err db_log_sync(struct db *d, struct fault *f);
MUST_USE err db_page_read(struct db *d, int64_t page, void *p, int64_t n, struct fault *f);
const char *db_version(void);
