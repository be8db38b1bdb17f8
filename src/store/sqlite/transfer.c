/* transfer.c - rows of the embedded store for a move, and into it. What each kind is, in SQL, is in transfer_sql.h. */
#include "store/sqlite/transfer.h"

#include "base/need.h"
#include "os/clock.h"
#include "os/files.h"
#include "store/filed.h"
#include "store/sqlite/inside.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 1024, PLACE_COLUMNS = 4, MARK_TEXT = 16 * 1024 };
static const int64_t LOG_MAX_BYTES = 64 << 20;

struct embedded {
    struct transfer head;
    struct store s; /* its lock, its connection, its folder: nothing of it runs */
    char dir[PATH_SIZE], path[PATH_SIZE];
    struct store_limits limits;
    bool made;   /* the file, under the lock that it still has */
    bool undone; /* and it goes with it */
};

static const struct transfer_ops embedded_ops;

static struct embedded *of(struct transfer *t)
{
    return (struct embedded *)t;
}

/* What the rows of a kind are read with and written with; `with` SQL_COUNT: nothing more. */
struct statements {
    enum sql out, in, with;
};
#define ROWS(kind)      [MOVE_##kind] = {SQL_OUT_##kind, SQL_IN_##kind, SQL_COUNT}
#define ROWS_WITH(kind) [MOVE_##kind] = {SQL_OUT_##kind, SQL_IN_##kind, SQL_WITH_##kind}
static const struct statements statements[MOVE_KINDS] = {
    ROWS_WITH(SERVICE),  ROWS(LIMITS),     ROWS(LANES),      ROWS(SESSIONS),
    ROWS(RESTS),         ROWS(HOURS),      ROWS(MARKS),      ROWS(BATCHES),
    ROWS(CALLS),         ROWS(ADDS),       ROWS(SCHEDULES),  ROWS(OPERATIONS),
    ROWS(JOBS),          ROWS(REQUESTS),   ROWS(RUNS),       ROWS(WEBHOOKS),
    ROWS(HANDS),         ROWS(DELIVERIES), ROWS(EVENTS),     ROWS(BODIES),
    ROWS_WITH(RECORDS),  ROWS(GAPS),       ROWS(FIELDS),     ROWS(FILES),
    ROWS_WITH(EVIDENCE), ROWS(URLS),       ROWS_WITH(HOLDS), ROWS_WITH(COUNTERS)};

/* ---- the mark ---- */

static err read_mark(struct db *d, struct transfer_mark *out, struct fault *f)
{
    struct query *q;
    struct span who, id;
    *out = (struct transfer_mark){.kind = -1};
    err e = db_ask_args(d, SQL_MOVE_MARK, &q, f, NULL, 0);
    if (e)
        return e;
    e = db_step(q, f);
    if (!e) {
        out->state = (enum transfer_state)db_int(q, 0);
        who = db_text(q, 1);
        if (span_next(&who, ' ', &id))
            span_copy(id, out->id, sizeof out->id);
        span_copy(who, out->other, sizeof out->other);
        out->at_ms = db_int(q, 3);
        (void)transfer_place_read(db_text(q, 2), out);
    }
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err embedded_mark(struct transfer *t, struct transfer_mark *out, struct fault *f)
{
    return read_mark(of(t)->s.db, out, f);
}

/* Of what the mark says no other version knows: it sees the number. */
static err hold(struct db *d, enum transfer_state state, struct fault *f)
{
    return upgrade_hold(d, transfer_holds(state), f);
}

static err write_mark(struct db *d, const struct transfer_mark *mark, struct fault *f)
{
    struct buf who = BUF(512), place = BUF(MARK_TEXT);
    buf_fmt(&who, "%s %s", mark->id, mark->other);
    transfer_place_write(mark, &place);
    need(!who.failed && !place.failed);
    err e = db_run(d, SQL_MOVE_MARK_SET, f, DB_I(mark->state), DB_T(buf_span(&who)),
                   DB_T(buf_span(&place)), DB_I(mark->at_ms));
    buf_free(&who);
    buf_free(&place);
    return e ? e : hold(d, mark->state, f);
}

static err end_group(struct db *d, err e, struct fault *f)
{
    struct fault quiet = {0};
    if (!e)
        e = db_script(d, "COMMIT", f);
    if (e && db_in_transaction(d) && db_script(d, "ROLLBACK", &quiet))
        return E_STORE; /* nothing that the connection believes is certain: what follows fails */
    return e;
}

static err embedded_set_mark(struct transfer *t, const struct transfer_mark *mark,
                             struct fault *f)
{
    struct db *d = of(t)->s.db;
    err e = db_script(d, "BEGIN IMMEDIATE", f);
    return e ? e : end_group(d, write_mark(d, mark, f), f);
}

err transfer_check(struct db *d, struct fault *f)
{
    struct transfer_mark *mark = heap_new_of(struct transfer_mark);
    err e = read_mark(d, mark, f);
    if (!e && transfer_holds(mark->state))
        e = transfer_refuse(mark->state, span_of(mark->other), f);
    free(mark);
    return e;
}

/* ---- opening ---- */

/* What root writes there the service could not read. */
static err check_owner(const struct embedded *x, struct fault *f)
{
    struct stat st;
    if (stat(x->dir, &st) || st.st_uid == geteuid())
        return E_OK;
    return fail(
        f, E_DENIED,
        "%.120s belongs to another user (%u): run this as that user, setpriv --reuid=%u "
        "--clear-groups fulmar store move",
        x->dir, (unsigned)st.st_uid, (unsigned)st.st_uid);
}

/* Who else looks at the folder has no lock: only this tells whose file it is. */
static err make_file(struct embedded *x, struct fault *f)
{
    int fd = open(x->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? E_OK : files_fault(f, "make", x->path);
    x->made = true;
    close(fd);
    return E_OK;
}

static err attach(struct embedded *x, bool make, struct fault *f)
{
    x->s.lock_fd = -1;
    err e = disk_lock(&x->s, f);
    if (!e && make)
        e = make_file(x, f);
    if (!e)
        e = db_open(&x->s.db, x->path, x->s.doubted, f);
    return e ? e : store_schema(&x->s, f);
}

static void detach(struct embedded *x)
{
    db_close(&x->s.db);
    if (x->s.lock_fd >= 0)
        close(x->s.lock_fd);
    x->s.lock_fd = -1;
    x->made = false; /* from here on others may have used it */
}

void transfer_sqlite_undo(struct transfer *t)
{
    if (t->ops == &embedded_ops)
        of(t)->undone = true;
}

static void remove_made(struct embedded *x)
{
    static const char *const names[] = {"fulmar.db", "fulmar.db-wal", "fulmar.db-shm",
                                        "fulmar.lock"};
    char file[PATH_SIZE + 16];
    need(x->made && x->s.lock_fd >= 0);
    db_close(&x->s.db);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(file, sizeof file, "%s/%s", x->dir, names[i]);
        (void)unlink(file);
    }
}

static void embedded_close(struct transfer **t)
{
    if (of(*t)->made && of(*t)->undone)
        remove_made(of(*t));
    detach(of(*t));
    free(*t);
    *t = NULL;
}

/* Having the lock is being alone. */
static err embedded_alone(struct transfer *t, struct fault *f)
{
    (void)t;
    (void)f;
    return E_OK;
}

/* As any start of the service: an older schema is brought up, what was running is given back, what has ended is settled. */
static err embedded_settle(struct transfer *t, bool dry, struct fault *f)
{
    struct embedded *x = of(t);
    struct transfer_mark *mark = heap_new_of(struct transfer_mark);
    struct store *s = NULL;
    err e = read_mark(x->s.db, mark, f);
    bool settled = e || dry || transfer_holds(mark->state);
    free(mark);
    if (settled)
        return e;
    detach(x);
    e = sqlite_open(&s, x->dir, &x->limits, 0, clock_wall(), f);
    sqlite_close(&s);
    return e ? e : attach(x, false, f);
}

static err embedded_empty(struct transfer *t, bool *out, struct fault *f)
{
    int64_t rows = 0;
    err e = db_number(of(t)->s.db, SQL_MOVE_EMPTY, &rows, f);
    *out = rows == 0;
    return e;
}

/* ---- emptying ---- */

static err remove_beside(const char *path, const char *ending, struct fault *f)
{
    char file[PATH_SIZE + 16];
    snprintf(file, sizeof file, "%s%s", path, ending);
    return unlink(file) && errno != ENOENT ? files_fault(f, "remove", file) : E_OK;
}

static err remove_log(const char *path, struct fault *f)
{
    err e = remove_beside(path, "-wal", f);
    return e ? e : remove_beside(path, "-shm", f);
}

/* All is in the file itself then. */
static err shut(struct db **d, const char *path, struct fault *f)
{
    bool moved = db_checkpoint(*d, true);
    db_close(d);
    return moved
               ? remove_log(path, f)
               : fail(f, E_STORE, "the log of %.150s cannot be moved into it: try again", path);
}

/* An empty store with this mark, which no service has seen. */
static err make_empty(struct embedded *x, char *path, const struct transfer_mark *mark,
                      struct fault *f)
{
    struct store *s = heap_new_of(struct store);
    s->path = path;
    s->limits = x->limits;
    s->group_ms = x->s.group_ms;
    err e = remove_beside(path, "", f);
    if (!e)
        e = remove_log(path, f);
    if (!e)
        e = db_open(&s->db, path, false, f);
    if (!e)
        e = store_schema(s, f);
    if (!e)
        e = db_script(s->db, "BEGIN IMMEDIATE", f);
    if (!e)
        e = end_group(s->db, write_mark(s->db, mark, f), f);
    if (!e)
        e = shut(&s->db, path, f);
    db_close(&s->db);
    free(s);
    return e;
}

/* The empty file takes the place of the old one in one step, its mark in it: at no moment may a service start on it. Evidence and
 * media files stay where they lie: they are called after what is in them, and what no row names is removed by the service. */
static err embedded_clear(struct transfer *t, struct fault *f)
{
    struct embedded *x = of(t);
    struct transfer_mark *mark = heap_new_of(struct transfer_mark);
    char fresh[PATH_SIZE + 16];
    snprintf(fresh, sizeof fresh, "%s/" DISK_HALF_MADE, x->dir);
    err e = read_mark(x->s.db, mark, f);
    if (!e)
        e = make_empty(x, fresh, mark, f);
    free(mark);
    if (!e)
        e = shut(&x->s.db, x->path, f);
    if (!e && rename(fresh, x->path) != 0)
        e = files_fault(f, "rename to", x->path);
    if (!e)
        e = files_sync_folder_of(x->path, f);
    return e ? e : db_open(&x->s.db, x->path, false, f);
}

/* ---- rows out ---- */

/* Bytes that lie beside the row; what is missing is told when the row's canonical form is made. */
static err fetch(struct embedded *x, enum moved_kind kind, struct moved_row *row,
                 struct arena *a, struct fault *f)
{
    struct buf frame;
    struct fault quiet = {0};
    struct filed name;
    char folder[FILED_PATH], path[FILED_PATH];
    if (kind == MOVE_BODIES) {
        err e = evidence_frame(&x->s, row->v[0].text, &frame, &quiet);
        row->v[2].text = arena_keep(a, e ? SPAN("") : buf_span(&frame));
        buf_free(&frame);
        return row->v[2].text.p ? E_OK : fail(f, E_TOO_BIG, "a page of evidence does not fit");
    }
    snprintf(folder, sizeof folder, "%.480s/files", x->dir);
    span_copy(row->v[0].text, name.hash, sizeof name.hash);
    span_copy(row->v[1].text, name.suffix, sizeof name.suffix);
    bool there = filed_path(folder, &name, path) && filed_size(path) == row->v[3].n;
    row->v[5].text = arena_keep(a, there ? span_of(path) : SPAN(""));
    return E_OK;
}

static err read_row(struct query *q, enum moved_kind kind, struct arena *a,
                    struct moved_row *row, size_t *bytes, struct fault *f)
{
    const struct moved_shape *shape = &moved_shapes[kind];
    err e = E_OK;
    for (size_t i = 0; !e && i < shape->count; i++) {
        if (shape->fields[i].type == MOVED_NUMBER || shape->fields[i].type == MOVED_HEX)
            row->v[i].n = db_int(q, (int)i);
        else
            e = db_keep(q, (int)i, a, &row->v[i].text, f);
        *bytes += row->v[i].text.n;
    }
    return e;
}

static err read_place(struct query *q, int column, struct arena *a, struct moved_place *out,
                      struct fault *f)
{
    out->a = db_int(q, column);
    out->b = db_int(q, column + 1);
    err e = db_keep(q, column + 2, a, &out->one, f);
    return e ? e : db_keep(q, column + 3, a, &out->two, f);
}

static struct span or_empty(struct span s)
{
    return s.p ? s : SPAN("");
}

static err embedded_out(struct transfer *t, enum moved_kind kind,
                        const struct moved_place *place, struct arena *a,
                        struct moved_page *out, struct fault *f)
{
    struct embedded *x = of(t);
    struct query *q;
    size_t bytes = 0;
    struct moved_page page = {.rows = arena_get(a, MOVED_PAGE * sizeof(struct moved_row)),
                              .next = *place};
    err e = db_ask(x->s.db, statements[kind].out, &q, f, DB_I(place->a), DB_I(place->b),
                   DB_T(or_empty(place->one)), DB_T(or_empty(place->two)), DB_I(MOVED_PAGE));
    if (e)
        return e;
    while (bytes < MOVED_PAGE_BYTES && page.count < MOVED_PAGE && (e = db_step(q, f)) == E_OK) {
        struct moved_row *row = &page.rows[page.count++];
        e = read_row(q, kind, a, row, &bytes, f);
        if (!e)
            e = read_place(q, (int)moved_shapes[kind].count, a, &page.next, f);
        if (!e && (kind == MOVE_BODIES || kind == MOVE_FILES))
            e = fetch(x, kind, row, a, f);
        bytes += kind == MOVE_BODIES ? row->v[2].text.n : 0;
        if (e)
            break;
    }
    db_end(q);
    page.last = e == E_END;
    *out = page;
    return e == E_END ? E_OK : e;
}

/* ---- rows in ---- */

static err keep_beside(struct embedded *x, enum moved_kind kind, const struct moved_row *row,
                       struct fault *f)
{
    struct filed name;
    char folder[FILED_PATH], from[FILED_PATH];
    if (kind == MOVE_BODIES)
        return evidence_frame_keep(&x->s, row->v[0].text, row->v[2].text, f);
    if (kind != MOVE_FILES || !row->v[5].text.n)
        return E_OK;
    snprintf(folder, sizeof folder, "%.480s/files", x->dir);
    span_copy(row->v[0].text, name.hash, sizeof name.hash);
    span_copy(row->v[1].text, name.suffix, sizeof name.suffix);
    return filed_copy(folder, span_copy(row->v[5].text, from, sizeof from), &name, f);
}

static err put_row(struct embedded *x, enum moved_kind kind, const struct moved_row *row,
                   struct fault *f)
{
    const struct moved_shape *shape = &moved_shapes[kind];
    struct db_arg args[MOVED_FIELDS];
    for (size_t i = 0; i < shape->count; i++) {
        const struct moved_value *v = &row->v[i];
        bool text = shape->fields[i].type == MOVED_TEXT || shape->fields[i].type == MOVED_FILE;
        args[i] = text ? DB_T(or_empty(v->text)) : DB_I(v->n);
        if (shape->fields[i].type == MOVED_FRAME)
            args[i] = DB_I(v->text.n);
    }
    err e = keep_beside(x, kind, row, f);
    if (!e)
        e = db_run_args(x->s.db, statements[kind].in, f, args, shape->count);
    bool wanted = !e && statements[kind].with != SQL_COUNT &&
                  (shape->keys == 0 || db_changes(x->s.db) > 0);
    return wanted ? db_run_args(x->s.db, statements[kind].with, f, args, shape->count) : e;
}

static err embedded_in(struct transfer *t, enum moved_kind kind, const struct moved_page *page,
                       const struct transfer_mark *mark, struct fault *f)
{
    struct embedded *x = of(t);
    err e = db_script(x->s.db, "BEGIN IMMEDIATE", f);
    if (e)
        return e;
    for (size_t i = 0; !e && i < page->count; i++)
        e = put_row(x, kind, &page->rows[i], f);
    if (!e)
        e = write_mark(x->s.db, mark, f);
    e = end_group(x->s.db, e, f);
    if (!e && db_wal_bytes(x->s.db) > LOG_MAX_BYTES)
        (void)db_checkpoint(x->s.db, false);
    return e;
}

/* Whatever another store holds this one can hold. */
static err embedded_takes(struct transfer *t, enum moved_kind kind, const struct moved_row *row,
                          struct fault *f)
{
    (void)t;
    (void)kind;
    (void)row;
    (void)f;
    return E_OK;
}

static err embedded_epoch(struct transfer *t, int64_t *out, struct fault *f)
{
    return db_number(of(t)->s.db, SQL_EPOCH, out, f);
}

static err embedded_finish(struct transfer *t, int64_t epoch, struct fault *f)
{
    int64_t own = 0;
    err e = embedded_epoch(t, &own, f);
    if (!e && own < epoch)
        e = db_run(of(t)->s.db, SQL_EPOCH_RAISE, f, DB_I(epoch - own));
    return e;
}

static const struct transfer_ops embedded_ops = {
    .close = embedded_close,
    .mark = embedded_mark,
    .set_mark = embedded_set_mark,
    .alone = embedded_alone,
    .settle = embedded_settle,
    .empty = embedded_empty,
    .clear = embedded_clear,
    .out = embedded_out,
    .in = embedded_in,
    .takes = embedded_takes,
    .epoch = embedded_epoch,
    .finish = embedded_finish,
};

/* Cut off it would be the name of another one. */
err transfer_sqlite_name(const char *state_dir, char out[TRANSFER_NAME], struct fault *f)
{
    static const int most = TRANSFER_NAME - (int)sizeof "sqlite:";
    char *path = realpath(state_dir, NULL);
    int n = snprintf(out, TRANSFER_NAME, "sqlite:%s", path ? path : state_dir);
    free(path);
    return n < TRANSFER_NAME
               ? E_OK
               : fail(
                     f, E_BAD_INPUT,
                     "the path of a folder that is moved, or moved into, has at most %d bytes; "
                     "rename or mount it to a shorter one: %.80s",
                     most, state_dir);
}

err transfer_sqlite(struct transfer **out, const char *state_dir, bool make,
                    const struct store_limits *limits, struct fault *f)
{
    struct embedded *x = heap_new_of(struct embedded);
    x->head.ops = &embedded_ops;
    x->limits = *limits;
    x->s.limits = *limits;
    x->s.dir = x->dir;
    x->s.path = x->path;
    x->s.group_ms = clock_wall().ms;
    x->s.lock_fd = -1;
    int n = snprintf(x->dir, sizeof x->dir, "%s", state_dir);
    int m = snprintf(x->path, sizeof x->path, "%.1000s/fulmar.db", state_dir);
    err e = n < PATH_SIZE - 16 && m < PATH_SIZE
                ? E_OK
                : fail(f, E_BAD_INPUT, "the path of the store is too long");
    if (!e && !make && access(x->path, F_OK) != 0)
        e = fail(f, E_NOT_FOUND, "there is no job store in %.200s", state_dir);
    if (!e && make)
        e = files_make_folder(x->dir, 0700, f);
    if (!e)
        e = transfer_sqlite_name(state_dir, x->head.name, f);
    if (!e)
        e = check_owner(x, f);
    if (!e)
        e = attach(x, make, f);
    if (e) {
        struct transfer *t = &x->head;
        transfer_sqlite_undo(t);
        embedded_close(&t);
        return e;
    }
    *out = &x->head;
    return E_OK;
}
