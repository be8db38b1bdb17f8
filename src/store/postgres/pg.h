/* pg.h - the little of PostgreSQL that the archive uses: one connection, transactions,
 * statements, rows, COPY.
 *
 * The only file that knows libpq-fe.h is pg.c. Work is a function that pg_do() runs as one
 * transaction, and runs again where that is known to be harmless: after a serialization error
 * or a deadlock a few times, after a connection that ended before COMMIT was sent once. A
 * connection that ends while COMMIT is on its way leaves an unknown outcome: E_STORE, and the
 * words say so. Everything else is by the table in sqlstate.h.
 *
 * Every wait has a deadline: connect_ms for each host of the address, and for a statement
 * statement_ms on the server and PG_MARGIN_MS more here (less when patience_ms is short), for a server that is
 * gone or stands still. After a failed attempt to connect the next is made when its pause is over (100 ms
 * doubling to 5 s), calls meanwhile fail at once.
 *
 * Words never hold a password, nor what libpq says of an address it cannot read. */
#pragma once

#include "base/arena.h"
#include "base/when.h"
#include "store/postgres/sql.h"
#include "store/postgres/sqlstate.h"

struct pg;
enum { PG_WAIT_MS = 10000, PG_MARGIN_MS = 2000, PG_HOSTS = 8, PG_ROWS_BYTES = 64 << 20 };

struct pg_config {
    /* "postgresql://…", as libpq reads it; several hosts are tried in their order */
    struct span url;
    /* 0: as configured in the address, at most PG_WAIT_MS, or 3 s; there */
    int64_t connect_ms, statement_ms;
    int64_t
        patience_ms; /* at most so long for both together, see archive.h; 0: no other limit */
};
/* Reads the address, E_CONFIG with what is wrong; does not connect. */
MUST_USE err pg_new(struct pg **out, const struct pg_config *config, struct fault *f);
void pg_free(struct pg **p);
/* Asked on each new connection, before anything else is done with it; what it fails with is the
 * call's end, and the connection's. */
typedef err pg_work(struct pg *p, void *ctx, struct fault *f);
void pg_on_connect(struct pg *p, pg_work *check, void *ctx);

enum pg_mode {
    PG_READS, /* statements of their own; asked again on a new connection when this one has
                 ended */
    PG_WRITES /* one transaction */
};
MUST_USE err pg_do(struct pg *p, enum pg_mode mode, pg_work *work, void *ctx, struct fault *f);
/* Connects, when there is no connection and the pause since the last attempt is over. E_STORE. */
MUST_USE err pg_connected(struct pg *p, struct fault *f);
/* What the last call failed with was about access: user, password, database, rights. */
bool pg_was_denied(const struct pg *p);

/* ---- within the work ---- */
struct pg_arg {
    enum {
        PG_ARG_INT,
        PG_ARG_SHORT /* of COPY */,
        PG_ARG_TEXT,
        PG_ARG_BYTES,
        PG_ARG_INTS,
        PG_ARG_TEXTS
    } type;
    int64_t i;
    struct span s;
    const int64_t *ints;
    const struct span *texts;
    size_t count;
};
#define PG_I(v)     ((struct pg_arg){.type = PG_ARG_INT, .i = (int64_t)(v)})
#define PG_SHORT(v) ((struct pg_arg){.type = PG_ARG_SHORT, .i = (int64_t)(v)})
#define PG_T(v)     ((struct pg_arg){.type = PG_ARG_TEXT, .s = (v)})
#define PG_B(v)     ((struct pg_arg){.type = PG_ARG_BYTES, .s = (v)})
#define PG_IS(v, n) ((struct pg_arg){.type = PG_ARG_INTS, .ints = (v), .count = (n)})
#define PG_TS(v, n) ((struct pg_arg){.type = PG_ARG_TEXTS, .texts = (v), .count = (n)})
#define PG_ARGS(...)                                                                           \
    (const struct pg_arg[]){__VA_ARGS__},                                                      \
        sizeof((const struct pg_arg[]){__VA_ARGS__}) / sizeof(struct pg_arg)
enum { PG_ARGS_MAX = 16 };

struct pg_rows;
/* Binds $1, $2 …; the rows are all there, pg_end() gives them back. */
MUST_USE err pg_ask_args(struct pg *p, enum sql id, struct pg_rows **out, struct fault *f,
                         const struct pg_arg *args, size_t n);
#define pg_ask(p, id, out, f, ...) pg_ask_args(p, id, out, f, PG_ARGS(__VA_ARGS__))
/* Runs a statement whose rows nobody wants. */
MUST_USE err pg_run_args(struct pg *p, enum sql id, struct fault *f, const struct pg_arg *args,
                         size_t n);
#define pg_run(p, id, f, ...) pg_run_args(p, id, f, PG_ARGS(__VA_ARGS__))
MUST_USE err pg_script(struct pg *p, const char *sql,
                       struct fault *f); /* several, without arguments */

size_t pg_count(const struct pg_rows *r);
/* NULL reads as 0. What is no number, or not there, does so too, and fails the pg_do() that it is in: nothing of it stays. */
int64_t pg_int(const struct pg_rows *r, size_t row, int column);
/* A number as the server sends it, in 0 (NULL), 2, 4 or 8 bytes; false: it is none. */
bool pg_number(struct span cell, int64_t *out);
struct span pg_text(const struct pg_rows *r, size_t row, int column); /* until pg_end() */
/* A copy in the arena; E_TOO_BIG past its limit. NULL reads as empty. */
MUST_USE err pg_keep(const struct pg_rows *r, size_t row, int column, struct arena *a,
                     struct span *out, struct fault *f);
void pg_end(struct pg_rows *r); /* NULL is fine */

/* COPY … FROM STDIN (FORMAT binary): open, a row each, close. An error of the server comes at
 * the close. */
MUST_USE err pg_copy_open(struct pg *p, const char *sql, struct fault *f);
MUST_USE err pg_copy_row(struct pg *p, struct fault *f, const struct pg_arg *args, size_t n);
MUST_USE err pg_copy_close(struct pg *p, struct fault *f);
