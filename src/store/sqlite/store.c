/* store.c - opening, groups, outlook. Operations are in jobs.c, items.c, events.c, views.c, what is deleted
 * in retain.c. */
#include "store/store.h"

#include "store/sqlite/check.h"
#include "store/sqlite/inside.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/transfer.h"
#include "store/sqlite/upgrade.h"

#include "os/files.h"
#include "os/secret.h"

#include "base/need.h"
#include "core/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const int64_t WAL_IDLE_BYTES = 4 << 20;
static const int64_t WAL_MAX_BYTES = 64 << 20;
static const int64_t WAL_FULL_BYTES = 256 << 10; /* on a full disk the log must not grow */

/* ---- open ---- */

static char *path_in(const char *dir, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        bug("no memory");
    return path;
}

err store_schema(struct store *s, struct fault *f)
{
    struct schema_plan plan = upgrade_plan(s->limits.rollback_ms);
    int64_t version;
    err e = db_number(s->db, SQL_USER_VERSION, &version, f);
    if (e)
        return e;
    if (version > 0)
        return upgrade_store(s->db, s->path, &plan, (wall){s->group_ms}, f);
    /* One transaction: a crash in between leaves an empty file, not half a schema. */
    _Static_assert(SCHEMA_VERSION == 13, "user_version below");
    return db_script(s->db, "BEGIN IMMEDIATE;" SCHEMA_SQL "PRAGMA user_version=13; COMMIT;", f);
}

/* Connection, schema, and what is kept in memory of the rows. */
static err attach(struct store *s, struct fault *f)
{
    bool wholly = true;
    err e = db_open(&s->db, s->path, s->doubted, f);
    if (!e)
        disk_doubt(s, false);
    if (!e)
        e = store_schema(s, f);
    if (!e)
        e = transfer_check(s->db, f);
    if (!e)
        e = check_file(s->db, s->path, &wholly, f);
    s->check_due = !wholly;
    if (!e)
        e = modes_load(s, f);
    if (!e)
        e = clock_load(s, f);
    if (!e)
        e = lanes_load(s, (wall){s->group_ms}, f);
    if (!e)
        e = db_number(s->db, SQL_EVENT_LAST, &s->now.last_event, f);
    if (!e)
        e = db_number(s->db, SQL_EVIDENCE_SUM, &s->now.evidence_bytes, f);
    if (!e)
        e = db_number(s->db, SQL_KEPT_BYTES, &s->now.kept_bytes, f);
    if (!e)
        e = files_load(s, f);
    if (e) {
        disk_doubt(s, true);
        db_close(&s->db);
    }
    return e;
}

static err take_over(struct store *s, wall now, struct fault *f)
{
    err e = sqlite_begin(s, f);
    if (e)
        return e;
    e = modes_new_epoch(s, now, f);
    if (!e)
        e = jobs_release_all(s, now, f);
    int64_t settled = 0;
    for (s->unsettled = true; !e && s->unsettled;) /* of a process that ended in between */
        e = waits_settle_rest(s, now, &settled, f);
    err committed = sqlite_commit(s, f);
    return e ? e : committed;
}

/* On a full disk the ballast makes room for the log: what runs can end, nothing new comes in.
 */
static err start_up(struct store *s, struct fault *f)
{
    struct fault first = {0};
    disk_ballast_fill(s);
    bool laid = !s->disk_full;
    err e = attach(s, &first);
    if (!e)
        e = take_over(s, (wall){s->group_ms}, &first);
    if (e != E_DISK_FULL || !laid)
        return e ? fail(f, e, "%s", first.words) : E_OK;
    disk_ballast_give(s);
    if (!s->db && (e = attach(s, f)))
        return e;
    return take_over(s, (wall){s->group_ms}, f);
}

err sqlite_open(struct store **out, const char *state_dir, const struct store_limits *limits,
                uint64_t seed, wall now, struct fault *f)
{
    struct store *s = heap_new_of(struct store);
    s->head.ops = &sqlite_ops;
    s->gate = gate_new();
    s->dir = path_in(state_dir, ".");
    s->path = path_in(state_dir, "fulmar.db");
    s->ballast_path = path_in(state_dir, "fulmar.ballast");
    s->dir[strlen(state_dir)] = 0;
    s->lock_fd = -1;
    s->limits = *limits;
    s->seed = seed;
    s->group_ms = now.ms;
    s->scratch = BUF(256 * 1024);
    s->sweep_left = SWEEP_FOLDERS; /* of a process that ended between a file and its row */
    err e = disk_lock(s, f);
    if (!e)
        e = start_up(s, f);
    if (e) {
        sqlite_close(&s);
        return e;
    }
    s->reaped_ms = s->found_ms;
    *out = s;
    return E_OK;
}

void sqlite_close(struct store **s)
{
    if (!*s)
        return;
    need(!(*s)->in_group);
    if ((*s)->reading)
        reader_leave(*s);
    else
        gate_free(&(*s)->gate);
    db_close(&(*s)->db);
    secret_key_close(&(*s)->key);
    if ((*s)->lock_fd >= 0)
        close((*s)->lock_fd);
    lanes_free(*s);
    buf_free(&(*s)->scratch);
    free((*s)->dir);
    free((*s)->path);
    free((*s)->ballast_path);
    free(*s);
    *s = NULL;
}

/* ---- groups ---- */

err store_usable(struct store *s, struct fault *f)
{
    need(s->in_group);
    err e = db_trouble(s->db);
    return e ? fail(f, e, "%s; an earlier operation of the group met it", err_text(e)) : E_OK;
}

err sqlite_begin(struct store *s, struct fault *f)
{
    need(!s->in_group);
    if (!s->db) {
        err e = attach(s, f);
        if (e)
            return e;
        gate_open(s, true);
    }
    db_forgive(s->db);
    err e = db_script(s->db, "BEGIN IMMEDIATE", f);
    if (e)
        return e;
    s->saved = s->now;
    s->disk_free = files_free_bytes(s->dir);
    s->limits_changed = false;
    s->in_group = true;
    return E_OK;
}

static void undo(struct store *s, err why)
{
    struct fault ignored = {0};
    if (db_in_transaction(s->db) && db_script(s->db, "ROLLBACK", &ignored))
        why = E_STORE;
    s->now = s->saved;
    s->unsettled = true;
    lanes_after_group(s, false);
    files_after_group(s, false);
    if (why == E_DISK_FULL)
        disk_ballast_give(s);
    if (why == E_DISK_FULL && !s->limits_changed)
        return;
    /* After an I/O error nothing that the handle believes is certain: read it all again. A
     * failure to do so shows in the next sqlite_begin(). */
    disk_doubt(s, true);
    gate_close(s);
    db_close(&s->db);
    (void)attach(s, &ignored);
    gate_open(s, s->db != NULL);
}

/* Nobody comes in to read until the log is in the file. Those inside are given their time, and no more
 * than as much log again. */
static void shorten_when_alone(struct store *s)
{
    if (!gate_has_readers(s)) {
        (void)db_checkpoint(s->db, true);
        gate_open(s, true);
    } else if (db_wal_bytes(s->db) > 2 * WAL_MAX_BYTES) {
        gate_shut(s, true);
    }
}

/* A checkpoint that fails loses nothing: the log stays and the next one tries again. A log that must become
 * shorter (`firm`) and cannot, because somebody always reads what is in it, asks for a pause of readers. */
static void shorten_log(struct store *s, int64_t most_bytes, bool firm)
{
    if (gate_is_shut(s)) {
        shorten_when_alone(s);
        return;
    }
    if (db_wal_bytes(s->db) <= most_bytes || db_checkpoint(s->db, s->disk_full))
        return;
    if (firm && gate_has_readers(s))
        gate_shut(s, false);
}

err sqlite_commit(struct store *s, struct fault *f)
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
    for (int i = 0; i < RETAIN_LIMITS; i++)
        metric_add(METRIC_JOBS_DELETED, i, s->now.retained[i] - s->saved.retained[i]);
    metric_set(METRIC_RECORD_BYTES, 0, s->now.kept_bytes);
    lanes_after_group(s, true);
    files_after_group(s, true);
    shorten_log(s, s->disk_full ? WAL_FULL_BYTES : WAL_MAX_BYTES, true);
    return E_OK;
}

/* ---- a part of a group that may be taken back ---- */

err group_mark(struct store *s, struct fault *f)
{
    s->marked = s->now;
    lanes_mark(s);
    return db_script(s->db, "SAVEPOINT part", f);
}

err group_keep(struct store *s, struct fault *f)
{
    lanes_after_mark(s, true);
    return db_script(s->db, "RELEASE part", f);
}

err group_rewind(struct store *s, struct fault *f)
{
    s->now = s->marked;
    lanes_after_mark(s, false);
    return db_script(s->db, "ROLLBACK TO part; RELEASE part", f);
}

void sqlite_idle(struct store *s)
{
    need(!s->in_group);
    if (s->db)
        shorten_log(s, WAL_IDLE_BYTES, false);
}

/* ---- outlook ---- */

static err sooner(struct store *s, enum sql id, int64_t *next_ms, struct fault *f)
{
    struct query *q;
    err e = db_ask_args(s->db, id, &q, f, NULL, 0);
    if (e)
        return e;
    e = db_step(q, f);
    if (!e && db_int(q, 0) < *next_ms && db_int(q, 0) != STORE_HELD_MS)
        *next_ms = db_int(q, 0);
    db_end(q);
    return e == E_END ? E_OK : e;
}

/* By two clocks, when they differ; told in the store's time. */
static err first_due(struct store *s, int64_t *next_ms, struct fault *f)
{
    if (!s->real_ahead_ms)
        return sooner(s, SQL_FIRST_DUE, next_ms, f);
    err e = E_OK;
    for (int never_ran = 0; !e && never_ran <= 1; never_ran++) {
        struct query *q;
        e = db_ask(s->db, SQL_FIRST_DUE_OF_CLOCK, &q, f, DB_I(never_ran));
        if (!e)
            e = db_step(q, f);
        else
            break;
        bool none = e || db_int(q, 0) == STORE_HELD_MS;
        int64_t at = none ? INT64_MAX : db_int(q, 0) - run_clock_ms(s, !never_ran, (wall){0});
        *next_ms = at < *next_ms ? at : *next_ms;
        db_end(q);
        e = e == E_END ? E_OK : e;
    }
    return e;
}

err sqlite_outlook(struct store *s, wall now, struct outlook *out, struct fault *f)
{
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    struct outlook o = {.next_ms = INT64_MAX};
    err e = first_due(s, &o.next_ms, f);
    if (!e)
        e = sooner(s, SQL_FIRST_LAPSE, &o.next_ms, f);
    if (!e)
        e = sooner(s, SQL_FIRST_STOP, &o.next_ms, f);
    if (!e)
        e = sooner(s, SQL_FIRST_OVER, &o.next_ms, f);
    if (!e)
        e = sooner(s, SQL_OPERATION_FIRST, &o.next_ms, f);
    if (!e)
        e = sooner(s, SQL_CALL_FIRST, &o.next_ms, f);
    if (s->unsettled)
        o.next_ms = now.ms;
    if (!e)
        e = schedules_outlook(s, o.schedule_ms, f);
    if (e)
        return e;
    lanes_outlook(s, now.ms, &o);
    o.mode = s->mode;
    o.disk_full = s->disk_full;
    memcpy(o.by_state, s->now.by_state, sizeof o.by_state);
    *out = o;
    return E_OK;
}

const char *store_version(void)
{
    return db_version();
}
