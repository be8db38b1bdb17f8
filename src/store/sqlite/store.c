/* store.c - opening, groups, retention, outlook. Operations are in jobs.c, items.c, events.c,
 * views.c. */
#include "store/store.h"

#include "store/sqlite/inside.h"
#include "store/sqlite/schema.h"

#include "base/need.h"
#include "core/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const int64_t WAL_IDLE_BYTES = 4 << 20;
static const int64_t WAL_MAX_BYTES = 64 << 20;
static const int64_t WAL_FULL_BYTES = 256 << 10; /* on a full disk the log must not grow */
/* A mark is of use for as long as somebody comes back for what is new: a year longer than jobs stay. */
static const int64_t MARK_KEEP_MS = 365LL * 86400 * 1000;
enum { RETAIN_JOBS = 100, RETAIN_ROWS = 5000, RETAIN_EVENTS = 1000 };

/* ---- open ---- */

static char *path_in(const char *dir, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        bug("no memory");
    return path;
}

static err read_number(struct db *d, enum sql id, int64_t *out, struct fault *f)
{
    struct query *q;
    err e = db_ask_args(d, id, &q, f, NULL, 0);
    if (e)
        return e;
    e = db_step(q, f);
    *out = e ? 0 : db_int(q, 0);
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err make_schema(struct db *d, struct fault *f)
{
    int64_t version;
    err e = read_number(d, SQL_USER_VERSION, &version, f);
    if (e)
        return e;
    if (version > SCHEMA_VERSION)
        return fail(f, E_STORE,
                    "a newer version of Fulmar made this job store; use that, or choose "
                    "another store.path");
    if (version == SCHEMA_VERSION)
        return E_OK;
    if (version > 0)
        return fail(f, E_STORE,
                    "a development version of Fulmar made this job store, which this one cannot bring "
                    "up to date; move it away, or choose another store.path");
    /* One transaction: a crash in between leaves an empty file, not half a schema. */
    _Static_assert(SCHEMA_VERSION == 4, "user_version below");
    return db_script(d, "BEGIN IMMEDIATE;" SCHEMA_SQL "PRAGMA user_version=4; COMMIT;", f);
}

/* Connection, schema, and what is kept in memory of the rows. */
static err attach(struct store *s, struct fault *f)
{
    err e = db_open(&s->db, s->path, f);
    if (!e)
        e = make_schema(s->db, f);
    if (!e)
        e = lanes_load(s, f);
    if (!e)
        e = read_number(s->db, SQL_EVENT_LAST, &s->now.last_event, f);
    if (!e)
        e = read_number(s->db, SQL_EVIDENCE_SUM, &s->now.evidence_bytes, f);
    if (!e)
        e = files_load(s, f);
    if (e)
        db_close(&s->db);
    return e;
}

static err take_over(struct store *s, wall now, struct fault *f)
{
    err e = store_begin(s, f);
    if (e)
        return e;
    e = jobs_release_all(s, now, f);
    err committed = store_commit(s, f);
    return e ? e : committed;
}

/* On a full disk the ballast makes room for the log: what runs can end, nothing new comes in.
 */
static err start_up(struct store *s, wall now, struct fault *f)
{
    struct fault first = {0};
    disk_ballast_fill(s);
    bool laid = !s->disk_full;
    err e = attach(s, &first);
    if (!e)
        e = take_over(s, now, &first);
    if (e != E_DISK_FULL || !laid)
        return e ? fail(f, e, "%s", first.words) : E_OK;
    disk_ballast_give(s);
    if (!s->db && (e = attach(s, f)))
        return e;
    return take_over(s, now, f);
}

err store_open(struct store **out, const char *state_dir, const struct store_limits *limits,
               uint64_t seed, wall now, struct fault *f)
{
    struct store *s = heap_new_of(struct store);
    s->dir = path_in(state_dir, ".");
    s->path = path_in(state_dir, "fulmar.db");
    s->ballast_path = path_in(state_dir, "fulmar.ballast");
    s->dir[strlen(state_dir)] = 0;
    s->lock_fd = -1;
    s->limits = *limits;
    s->seed = seed;
    s->reaped_ms = now.ms;
    s->scratch = BUF(256 * 1024);
    s->sweep_left = SWEEP_FOLDERS; /* of a process that ended between a file and its row */
    err e = disk_lock(s, f);
    if (!e)
        e = start_up(s, now, f);
    if (e) {
        store_close(&s);
        return e;
    }
    *out = s;
    return E_OK;
}

void store_close(struct store **s)
{
    if (!*s)
        return;
    need(!(*s)->in_group);
    db_close(&(*s)->db);
    if ((*s)->lock_fd >= 0)
        close((*s)->lock_fd);
    buf_free(&(*s)->scratch);
    free((*s)->dir);
    free((*s)->path);
    free((*s)->ballast_path);
    free(*s);
    *s = NULL;
}

/* ---- groups ---- */

static void copy_tally(struct tally *to, const struct tally *from)
{
    memcpy(to, from, offsetof(struct tally, lanes) + from->lane_count * sizeof from->lanes[0]);
}

err store_usable(struct store *s, struct fault *f)
{
    need(s->in_group);
    err e = db_trouble(s->db);
    return e ? fail(f, e, "%s; an earlier operation of the group met it", err_text(e)) : E_OK;
}

err store_begin(struct store *s, struct fault *f)
{
    need(!s->in_group);
    if (!s->db) {
        err e = attach(s, f);
        if (e)
            return e;
    }
    db_forgive(s->db);
    err e = db_script(s->db, "BEGIN IMMEDIATE", f);
    if (e)
        return e;
    copy_tally(&s->saved, &s->now);
    s->disk_free = disk_free_bytes(s);
    s->in_group = true;
    return E_OK;
}

static void undo(struct store *s, err why)
{
    struct fault ignored = {0};
    if (db_in_transaction(s->db) && db_script(s->db, "ROLLBACK", &ignored))
        why = E_STORE;
    copy_tally(&s->now, &s->saved);
    files_after_group(s, false);
    if (why == E_DISK_FULL) {
        disk_ballast_give(s);
        return;
    }
    /* After an I/O error nothing that the handle believes is certain: read it all again. A
     * failure to do so shows in the next store_begin(). */
    db_close(&s->db);
    (void)attach(s, &ignored);
}

/* A checkpoint that fails loses nothing: the log stays and the next one tries again. */
static void shorten_log(struct store *s, int64_t most_bytes)
{
    if (db_wal_bytes(s->db) > most_bytes)
        db_checkpoint(s->db, s->disk_full);
}

err store_commit(struct store *s, struct fault *f)
{
    need(s->in_group);
    s->in_group = false;
    struct fault cause = {0};
    err e = db_trouble(s->db);
    if (!e)
        e = lanes_flush(s, &cause);
    if (!e)
        e = db_script(s->db, "COMMIT", &cause);
    if (e) {
        undo(s, e);
        return fail(f, e, "%s", cause.code ? cause.words : err_text(e));
    }
    for (int i = 0; i < OUTCOMES; i++)
        metric_add(METRIC_JOBS_FINISHED, i, s->now.ended[i] - s->saved.ended[i]);
    files_after_group(s, true);
    shorten_log(s, s->disk_full ? WAL_FULL_BYTES : WAL_MAX_BYTES);
    return E_OK;
}

/* ---- a part of a group that may be taken back ---- */

err group_mark(struct store *s, struct fault *f)
{
    copy_tally(&s->marked, &s->now);
    return db_script(s->db, "SAVEPOINT part", f);
}

err group_keep(struct store *s, struct fault *f)
{
    return db_script(s->db, "RELEASE part", f);
}

err group_rewind(struct store *s, struct fault *f)
{
    copy_tally(&s->now, &s->marked);
    return db_script(s->db, "ROLLBACK TO part; RELEASE part", f);
}

void store_idle(struct store *s)
{
    need(!s->in_group);
    if (s->db)
        shorten_log(s, WAL_IDLE_BYTES);
}

/* ---- retention ---- */

/* Takes up to *rows items off the job; what no job holds is deleted. */
static err unlink_items(struct store *s, int64_t job, int64_t *rows, struct fault *f)
{
    err e = db_run(s->db, SQL_UNLINK_COUNT, f, DB_I(job), DB_I(*rows));
    if (!e)
        e = db_run(s->db, SQL_UNLINK_DELETE, f, DB_I(job), DB_I(*rows));
    if (!e)
        e = db_run(s->db, SQL_UNLINK, f, DB_I(job), DB_I(*rows));
    if (!e)
        *rows -= db_changes(s->db);
    return e;
}

/* A job with more items than *rows goes over several calls. */
err job_forget(struct store *s, int64_t seq, enum job_state state, int64_t *rows, bool *out_gone,
               struct fault *f)
{
    err e = unlink_items(s, seq, rows, f);
    if (!e && *rows > 0)
        e = files_release(s, seq, rows, f);
    if (!e && *rows > 0)
        e = evidence_forget(s, seq, rows, f);
    *out_gone = !e && *rows > 0;
    if (!*out_gone)
        return e;
    e = job_gone(s, seq, state, f);
    if (!e)
        e = db_run(s->db, SQL_JOB_DELETE, f, DB_I(seq));
    if (!e)
        s->now.by_state[state]--;
    return e;
}

err store_retain(struct store *s, wall before, int64_t *out_deleted, bool *out_more,
                 struct fault *f)
{
    struct {
        int64_t seq;
        enum job_state state;
    } old[RETAIN_JOBS];
    size_t n = 0;
    struct query *q;
    err e = store_usable(s, f);
    if (!e)
        e = db_ask(s->db, SQL_OLD, &q, f, DB_I(before.ms), DB_I(RETAIN_JOBS));
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK) {
        old[n].seq = db_int(q, 0);
        old[n++].state = (enum job_state)db_int(q, 1);
    }
    db_end(q);
    if (e != E_END)
        return e;
    int64_t rows = RETAIN_ROWS, deleted = 0;
    for (size_t i = 0; i < n && rows > 0; i++) {
        bool gone = false;
        e = job_forget(s, old[i].seq, old[i].state, &rows, &gone, f);
        if (e)
            return e;
        deleted += gone;
    }
    e = db_run(s->db, SQL_EVENTS_PRUNE, f, DB_I(before.ms), DB_I(RETAIN_EVENTS));
    if (!e)
        e = db_run(s->db, SQL_MARKS_PRUNE, f, DB_I(before.ms - MARK_KEEP_MS), DB_I(RETAIN_JOBS));
    if (e)
        return e;
    *out_deleted = deleted;
    *out_more = deleted == RETAIN_JOBS || rows <= 0;
    return E_OK;
}

/* ---- outlook ---- */

static err sooner(struct store *s, enum sql id, int64_t *next_ms, struct fault *f)
{
    struct query *q;
    err e = db_ask_args(s->db, id, &q, f, NULL, 0);
    if (e)
        return e;
    e = db_step(q, f);
    if (!e && db_int(q, 0) < *next_ms)
        *next_ms = db_int(q, 0);
    db_end(q);
    return e == E_END ? E_OK : e;
}

err store_outlook(struct store *s, wall now, struct outlook *out, struct fault *f)
{
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    struct outlook o = {.next_ms = INT64_MAX};
    err e = sooner(s, SQL_FIRST_DUE, &o.next_ms, f);
    if (!e)
        e = sooner(s, SQL_FIRST_LAPSE, &o.next_ms, f);
    if (!e)
        e = sooner(s, SQL_OPERATION_FIRST, &o.next_ms, f);
    if (!e)
        e = sooner(s, SQL_CALL_FIRST, &o.next_ms, f);
    if (e)
        return e;
    lanes_outlook(s, now.ms, &o);
    memcpy(o.by_state, s->now.by_state, sizeof o.by_state);
    *out = o;
    return E_OK;
}

const char *store_version(void)
{
    return db_version();
}
