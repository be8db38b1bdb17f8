#include "store/sqlite/upgrade.h"

#include "store/sqlite/schema.h"
#include "store/transfer.h"

#include <stdio.h>
#include <unistd.h>

/* clang-format off */
/* Version 4: queues of tenants and classes, times, unique keys, shared results, batches, schedules, sessions; events are numbered
 * within their job. Tables that did not change stay as they are.
 *
 * A queue had no tenant; its use is not known, and counts from its last event. Equal requests have a table of their own.
 * Nothing was ever blocked. */
#define UPGRADE_3_SQL                                                                          \
    "DROP INDEX jobs_ready; DROP INDEX jobs_due; DROP INDEX jobs_lease; DROP INDEX jobs_ended;" \
    "DROP INDEX jobs_state; DROP INDEX jobs_key; DROP INDEX events_job;"                       \
    "ALTER TABLE lanes RENAME TO lanes_3; ALTER TABLE jobs RENAME TO jobs_3; ALTER TABLE events RENAME TO events_3;" \
    SCHEMA_SINCE_3_SQL                                                                         \
    "INSERT INTO lanes(lane_id,name,weight,pass,tat_ms,blocked_until,br_state,br_fails,br_until,br_trips,used_at)" \
    " SELECT lane_id,iif(name LIKE '%/%/%',name,'default/'||name),weight,pass,tat_ms,blocked_until,br_state,br_fails,br_until," \
    "br_trips,(SELECT coalesce(max(at),0) FROM events_3) FROM lanes_3;"                        \
    "INSERT INTO events(seq,job,n,kind,at,body)"                                               \
    " SELECT seq,job,iif(job='',0,row_number() OVER (PARTITION BY job ORDER BY seq)),kind,at,body FROM events_3 ORDER BY seq;" \
    "DELETE FROM sqlite_sequence WHERE name='events';"                                         \
    "UPDATE sqlite_sequence SET name='events' WHERE name='events_3';"                          \
    "INSERT INTO jobs(seq,id,site,tenant,kind,target,lane_id,spec,job_limit,state,prio,rank,run_at,needs,events,fence,nonce," \
    "worker,lease_until,suspect,started,cancel_req,n_fail,n_crash,n_throttle,n_release,n_ok,n_void,max_fail,max_crash," \
    "max_throttle,fail_base,crash_base,release_base,progressed,next_batch,cursor,have,users,bytes,counts,rejected,conflicts," \
    "filtered,mark,variant,known,failure,verdict,end_reason,why,report,revision,created_at,started_at,finished_at)" \
    " SELECT seq,id,site,'default',kind,target,lane_id,spec,job_limit,iif(state=0,2,state),prio,rank,run_at,1,"  \
    "(SELECT count(*) FROM events e WHERE e.job=j.id),fence,nonce,"                            \
    "worker,lease_until,suspect,started,cancel_req,n_fail,n_crash,n_throttle,n_release,n_ok,n_void,max_fail,max_crash," \
    "max_throttle,fail_base,crash_base,release_base,progressed,next_batch,cursor,have,users,"  \
    "(SELECT coalesce(sum(length(CAST(i.json AS BLOB))),0) FROM items i WHERE i.job=j.seq),counts,rejected,conflicts," \
    "filtered,mark,variant,known,failure,verdict,end_reason,why,report,revision,created_at,started_at,finished_at" \
    " FROM jobs_3 j ORDER BY seq;"                                                             \
    "INSERT INTO requests(tenant,key,hash,job,at)"                                             \
    " SELECT 'default',idem_key,idem_hash,id,created_at FROM jobs_3 WHERE idem_key IS NOT NULL;" \
    "DROP TABLE jobs_3; DROP TABLE lanes_3; DROP TABLE events_3;"

/* Version 5: webhooks, batches of which so many jobs run at once. */
#define UPGRADE_4_SQL                                                                          \
    "ALTER TABLE batches ADD COLUMN parallel INTEGER NOT NULL DEFAULT 0 CHECK(parallel >= 0);" \
    WEBHOOKS_SQL

/* Version 6: operations on jobs of any kind, queues of a bounded depth. */
#define UPGRADE_5_SQL                                                                          \
    "ALTER TABLE lanes ADD COLUMN own_depth INTEGER NOT NULL DEFAULT -1;"                      \
    "ALTER TABLE lanes ADD COLUMN own_overflow INTEGER NOT NULL DEFAULT -1;"                   \
    "DROP INDEX operations_due; DROP INDEX operations_batch; DROP INDEX operations_ended;"     \
    "ALTER TABLE operations RENAME TO operations_5;"                                           \
    OPERATIONS_SQL                                                                             \
    "INSERT INTO operations(oid,id,kind,state,batch,failure,site,kind_of_job,fingerprint,since,until,reset,per_minute,cursor," \
    "last,due,done,skipped,created_at,updated_at,finished_at)"                                 \
    " SELECT oid,id,kind,state,batch,failure,site,kind_of_job,fingerprint,since,until,reset,per_minute,cursor,last,due,done," \
    "skipped,created_at,updated_at,finished_at FROM operations_5;"                             \
    "DELETE FROM sqlite_sequence WHERE name='operations';"                                     \
    "UPDATE sqlite_sequence SET name='operations' WHERE name='operations_5';"                  \
    "DROP TABLE operations_5;"

/* Version 7: operations on jobs with labels. Version 6 finds no job for these, rather than too many: sqlite/operations.c. And
 * an index, for a move to another store. */
#define UPGRADE_6_SQL OPERATIONS_LABELS_SQL "CREATE INDEX gone_id ON gone(id);"

/* Version 8: what jobs took. Version 7 counts nothing of it. */
#define UPGRADE_7_SQL "ALTER TABLE jobs ADD COLUMN usage TEXT NOT NULL DEFAULT '';"

/* Version 9: requests of sessions. */
#define UPGRADE_8_SQL "ALTER TABLE session_hours ADD COLUMN requests INTEGER NOT NULL DEFAULT 0;"

/* Version 10: what is held by hand, limits of webhooks, since when a breaker is as it is. Version 9 knows none of it. */
#define UPGRADE_9_SQL                                                                          \
    "ALTER TABLE lanes ADD COLUMN br_since INTEGER NOT NULL DEFAULT 0;"                        \
    "ALTER TABLE limits RENAME TO limits_9;" LIMITS_SQL                                        \
    "INSERT INTO limits(scope,name,max_active,weight,emit_ms,burst,tat_ms)"                    \
    " SELECT scope,name,max_active,weight,emit_ms,burst,tat_ms FROM limits_9;"                 \
    "DROP TABLE limits_9;" HANDS_SQL

/* Version 11: the priority of jobs that come into a lane without one. For version 10 that is 5 everywhere. */
#define UPGRADE_10_SQL "ALTER TABLE lanes ADD COLUMN own_prio INTEGER NOT NULL DEFAULT -1;"

/* Version 12: results by unique key. */
#define UPGRADE_11_SQL JOBS_FRESH_SQL

/* Version 13: how much of its rate a lane uses. Version 12 uses all of it. */
#define UPGRADE_12_SQL                                                                         \
    "ALTER TABLE lanes ADD COLUMN pace INTEGER NOT NULL DEFAULT 0;"                            \
    "ALTER TABLE lanes ADD COLUMN pace_since INTEGER NOT NULL DEFAULT 0;"
/* clang-format on */

/* A copy that an upgrade which did not come to its end left behind is of no use: the store is as it was. */
static err keep_copy(const char *path, int64_t version, struct fault *f)
{
    char copy[1024];
    int n = snprintf(copy, sizeof copy, "%s.version-%lld", path, (long long)version);
    if (n <= 0 || (size_t)n >= sizeof copy)
        return fail(f, E_STORE, "the path of the job store is too long");
    (void)unlink(copy);
    return db_copy(path, copy, f);
}

static const struct schema_step STEPS[] = {
    {3, SCHEMA_VERSION, UPGRADE_3_SQL, false}, /* makes most tables anew, as they are now */
    {4, 5, UPGRADE_4_SQL, false},
    {5, 6, UPGRADE_5_SQL, false},
    {6, 7, UPGRADE_6_SQL, true},
    {7, 8, UPGRADE_7_SQL, true},
    {8, 9, UPGRADE_8_SQL, true},
    {9, 10, UPGRADE_9_SQL, true},
    {10, 11, UPGRADE_10_SQL, true},
    {11, 12, UPGRADE_11_SQL, true},
    {12, 13, UPGRADE_12_SQL, true},
};
_Static_assert(SCHEMA_VERSION == 13, "a step leads there; user_version in store.c");
enum { STEPS_COUNT = sizeof STEPS / sizeof STEPS[0], NO_SECOND_NUMBER = 6 };

struct schema_plan upgrade_plan(int64_t window_ms)
{
    return (struct schema_plan){STEPS, STEPS_COUNT, window_ms};
}

struct store_age {
    int64_t version; /* that a Fulmar must know */
    int64_t tables;  /* that are there; not less */
    int64_t at_ms;   /* when these came; 0 with the version */
    bool held;       /* the version is kept beside the number that says so */
};

err upgrade_version(struct db *d, int64_t *out, bool *out_held, struct fault *f)
{
    err e = db_number(d, SQL_USER_VERSION, out, f);
    *out_held = !e && *out == TRANSFER_SCHEMA;
    if (*out_held)
        e = db_number(d, SQL_VERSION_HELD, out, f);
    return !e && *out == 0 ? fail(f, E_STORE, "the job store has lost its version") : e;
}

static err write_version(struct db *d, int64_t version, struct fault *f)
{
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA user_version=%lld", (long long)version);
    return db_script(d, sql, f);
}

err upgrade_hold(struct db *d, bool held, struct fault *f)
{
    int64_t version = 0;
    bool was = false;
    err e = upgrade_version(d, &version, &was, f);
    if (e || held == was)
        return e;
    e = held ? db_run(d, SQL_VERSION_HOLD, f, DB_I(version))
             : db_run_args(d, SQL_VERSION_FREE, f, NULL, 0);
    return e ? e : write_version(d, held ? TRANSFER_SCHEMA : version, f);
}

static err read_age(struct db *d, struct store_age *out, struct fault *f)
{
    struct query *q;
    *out = (struct store_age){0};
    err e = upgrade_version(d, &out->version, &out->held, f);
    out->tables = out->version;
    if (e || out->version < NO_SECOND_NUMBER)
        return e; /* these knew one only */
    e = db_ask_args(d, SQL_TABLES, &q, f, NULL, 0);
    if (e)
        return e;
    e = db_step(q, f);
    if (!e && db_int(q, 0) > out->version) {
        out->tables = db_int(q, 0);
        out->at_ms = db_int(q, 1);
    }
    db_end(q);
    return e == E_END ? E_OK : e;
}

static const struct schema_step *step_from(const struct schema_plan *plan, int64_t version)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->steps[i].from == version)
            return &plan->steps[i];
    return NULL;
}

/* The numbers after all steps from there; true when one of these takes something away. */
static bool age_after(const struct schema_plan *plan, struct store_age *age, wall now)
{
    const struct schema_step *step;
    bool taken = false;
    while ((step = step_from(plan, age->tables))) {
        age->tables = step->to;
        age->at_ms = now.ms;
        if (!step->alike) {
            age->version = age->tables;
            taken = true;
        }
    }
    if (age->tables > age->version && now.ms - age->at_ms >= plan->window_ms)
        age->version = age->tables;
    return taken;
}

static void add_steps(const struct schema_plan *plan, const struct store_age *was,
                      const struct store_age *is, struct buf *out)
{
    const struct schema_step *step;
    char numbers[256];
    buf_add_text(out, "BEGIN IMMEDIATE;");
    for (int64_t at = was->tables; (step = step_from(plan, at)); at = step->to)
        buf_add_text(out, step->sql);
    snprintf(numbers, sizeof numbers,
             "%s%lld%s;"
             "INSERT INTO meta(k,v,at) VALUES('tables',%lld,%lld)"
             " ON CONFLICT(k) DO UPDATE SET v=excluded.v,at=excluded.at;COMMIT;",
             is->held ? "UPDATE meta SET v=" : "PRAGMA user_version=", (long long)is->version,
             is->held ? " WHERE k='version'" : "", (long long)is->tables, (long long)is->at_ms);
    buf_add_text(out, numbers);
    buf_add_char(out, 0);
}

static err run_steps(struct db *d, const struct schema_plan *plan, const struct store_age *was,
                     const struct store_age *is, struct fault *f)
{
    struct buf script = BUF(1 << 20);
    add_steps(plan, was, is, &script);
    err e = db_script(d, buf_span(&script).p, f);
    buf_free(&script);
    return e;
}

err upgrade_store(struct db *d, const char *path, const struct schema_plan *plan, wall now,
                  struct fault *f)
{
    const int64_t ours = plan->steps[plan->count - 1].to;
    struct store_age was;
    err e = read_age(d, &was, f);
    if (e)
        return e;
    if (was.version > ours)
        return fail(f, E_STORE,
                    "a newer version of Fulmar made this job store; use that, or choose "
                    "another store.path");
    if (was.tables < ours && !step_from(plan, was.tables))
        return fail(
            f, E_STORE,
            "a development version of Fulmar made this job store, which this one cannot bring "
            "up to date; move it away, or choose another store.path");
    if (was.tables > ours)
        return E_OK; /* of a newer version, which left us what we know */
    struct store_age is = was;
    if (age_after(plan, &is, now) && (e = keep_copy(path, was.version, f)))
        return e;
    if (is.version == was.version && is.tables == was.tables)
        return E_OK;
    return run_steps(d, plan, &was, &is, f);
}
