/* The store of the version before is opened, brought up to date where it lies, and can be given back (S19). The store
 * is made of the schema as it was (tests/data/store-3.sql), with jobs in every state. */
#include "store/dead.h"
#include "store/evidence.h"
#include "store/lanes.h"
#include "store/sqlite/schema.h"
#include "store/transfer.h"
#include "store/sqlite/upgrade.h"
#include "store/store.h"

#include "os/files.h"

#include <sqlite3.h>

#include <fcntl.h>
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

#define T0 1800000000000
static const wall now = {T0 + 60000};
static char dir[64];
static struct fault fault;
static struct store *store;
static struct arena *arena;
static const struct store_limits limits = {.ready_max = 1000,
                                           .fail_max = 5,
                                           .crash_max = 3,
                                           .throttle_max = 50,
                                           .retry_base_ms = 1000,
                                           .retry_cap_ms = 60000,
                                           .lane_max_active = 100,
                                           .retry_floor = 100,
                                           .lane_burst = 1,
                                           .lease_ms = 15000};

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void run(const char *file, const char *sql)
{
    sqlite3 *db;
    char *why = NULL;
    assert_int_equal(sqlite3_open(path_of(file), &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s", why);
    sqlite3_close(db);
}

static int64_t ask(const char *file, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *q;
    assert_int_equal(sqlite3_open(path_of(file), &db), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return n;
}

/* What a row of each state had in version 3; number 8 has a key of its request, and number 1 a lease. */
#define OLD_ROWS                                                                                                                                \
    "INSERT INTO lanes(lane_id,name,weight,br_fails) VALUES(1,'x/normal',3,2);"                                                                 \
    "INSERT INTO jobs(seq,id,site,kind,target,lane_id,spec,job_limit,state,prio,rank,run_at,fence,nonce,worker,lease_until,"                    \
    "started,max_fail,max_crash,max_throttle,next_batch,cursor,have,created_at,started_at)"                                                     \
    " VALUES(1,'job_active','x','posts','nasa',1,'{}',100,3,5,1799999850000,1799999999000,1,77,'w1',1800000015000,1,5,3,50,1,'c1',2,"           \
    "1799999999000,1800000000000);"                                                                                                             \
    "INSERT INTO jobs(seq,id,site,kind,target,lane_id,spec,job_limit,state,prio,rank,run_at,fence,n_fail,max_fail,max_crash,"                   \
    "max_throttle,failure,created_at,started_at)"                                                                                               \
    " VALUES(2,'job_scheduled','x','posts','esa',1,'{}',0,1,5,0,1800003600000,1,1,5,3,50,10,1799999999000,1800000000000);"                      \
    "INSERT INTO jobs(seq,id,site,kind,target,lane_id,spec,job_limit,state,prio,rank,run_at,max_fail,max_crash,max_throttle,"                   \
    "created_at) VALUES(3,'job_ready','x','posts','jaxa',1,'{}',0,2,5,1799999850001,1800000000001,5,3,50,1800000000001);"                       \
    "INSERT INTO jobs(seq,id,site,kind,target,lane_id,spec,job_limit,state,prio,rank,run_at,fence,n_ok,max_fail,max_crash,"                     \
    "max_throttle,verdict,end_reason,have,created_at,started_at,finished_at)"                                                                   \
    " VALUES(4,'job_succeeded','x','posts','isro',1,'{}',0,4,5,0,1799999999000,1,1,5,3,50,1,1,1,1799999999000,1799999999100,1799999999900);"    \
    "INSERT INTO jobs(seq,id,site,kind,target,lane_id,spec,job_limit,state,prio,rank,run_at,fence,n_fail,max_fail,max_crash,"                   \
    "max_throttle,failure,why,created_at,started_at,finished_at)"                                                                               \
    " VALUES(5,'job_dead','x','posts','csa',1,'{}',0,5,5,0,1799999999000,5,5,5,3,50,10,'no answer',1799999999000,1799999999100,1799999999900);" \
    "INSERT INTO jobs(seq,id,site,kind,target,lane_id,spec,job_limit,state,prio,rank,run_at,max_fail,max_crash,max_throttle,"                   \
    "failure,cancel_req,created_at,finished_at)"                                                                                                \
    " VALUES(6,'job_cancelled','x','posts','dlr',1,'{}',0,6,5,0,1799999999000,5,3,50,18,1,1799999999000,1799999999900);"                        \
    "INSERT INTO jobs(seq,id,site,kind,target,lane_id,spec,job_limit,state,prio,rank,run_at,max_fail,max_crash,max_throttle,"                   \
    "created_at,finished_at)"                                                                                                                   \
    " VALUES(7,'job_expired','x','posts','cnes',1,'{}',0,7,5,0,1799999999000,5,3,50,1799999999000,1799999999900);"                              \
    "INSERT INTO jobs(seq,id,site,kind,target,lane_id,spec,job_limit,state,prio,rank,run_at,max_fail,max_crash,max_throttle,"                   \
    "idem_key,idem_hash,created_at)"                                                                                                            \
    " VALUES(8,'job_keyed','x','posts','uksa',1,'{}',0,2,5,1799999850002,1800000000002,5,3,50,'k1',4242,1800000000002);"                        \
    "INSERT INTO items VALUES(1,1,'x',0,'p1',1799999990000,1,'{\"id\":\"p1\"}'),(2,1,'x',0,'p2',1799999991000,1,'{\"id\":\"p2\"}'),"            \
    "(3,4,'x',0,'p1',1799999990000,1,'{\"id\":\"p1\"}');"                                                                                       \
    "INSERT INTO job_items VALUES(1,0,1),(1,1,2),(4,0,3);"                                                                                      \
    "INSERT INTO marks(site,kind,target,variant,posts,updated_at) VALUES('x','posts','isro','','1799999990000 p1',1799999999900);"              \
    "INSERT INTO events(seq,job,kind,at,body) VALUES(11,'job_active','job.accepted',1799999999000,'{}'),"                                       \
    "(12,'job_succeeded','job.accepted',1799999999000,'{}'),(13,'job_active','job.started',1800000000000,'{}'),"                                \
    "(14,'','mode.changed',1800000000000,'{}'),(15,'job_active','job.progress',1800000000500,'{}'),"                                            \
    "(16,'job_active','job.gone',1800000000600,'{}');"                                                                                          \
    "DELETE FROM events WHERE seq=16;"

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");
    struct buf sql = BUF(1 << 20);
    (void)state;
    snprintf(dir, sizeof dir, "%s/fulmar-upgrade-XXXXXX",
             tmp && strlen(tmp) < 32 ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    fault = (struct fault){0};
    arena = arena_new(4 << 20);
    assert_int_equal(files_read(AT_FDCWD, "tests/data/store-3.sql", 1 << 20, &sql, &fault),
                     E_OK);
    buf_add_char(&sql, 0);
    run("fulmar.db", buf_span(&sql).p);
    run("fulmar.db", OLD_ROWS);
    buf_free(&sql);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_close(&store);
    arena_free(&arena);
    nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static void fine(err e)
{
    if (e)
        fail_msg("%s: %s", err_name(e), fault.words);
}

static struct job_view look(const char *id)
{
    struct job_view v;
    fine(store_job(store, span_of(id), now, arena, &v, &fault));
    return v;
}

static struct job_view look_closed(const char *id)
{
    fine(store_open(&store, dir, &limits, 7, now, &fault));
    struct job_view v = look(id);
    store_close(&store);
    return v;
}

static void s19_a_store_of_version_3_goes_on_with_every_job_as_it_was(void **state)
{
    (void)state;
    static const enum job_state states[] = {JOB_READY /* its worker is gone */,
                                            JOB_SCHEDULED,
                                            JOB_READY,
                                            JOB_SUCCEEDED,
                                            JOB_DEAD,
                                            JOB_CANCELLED,
                                            JOB_EXPIRED,
                                            JOB_READY};
    static const char *const ids[] = {"job_active",    "job_scheduled", "job_ready",
                                      "job_succeeded", "job_dead",      "job_cancelled",
                                      "job_expired",   "job_keyed"};
    fine(store_open(&store, dir, &limits, 7, now, &fault));
    struct outlook o;
    fine(store_outlook(store, now, &o, &fault));
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        struct job_view v = look(ids[i]);
        assert_int_equal(v.state, states[i]);
        assert_true(span_is(v.lane, "default/x/normal"));
    }
    assert_int_equal(o.by_state[JOB_READY], 3);
    assert_int_equal(o.by_state[JOB_SUCCEEDED], 1);
    struct job_view v = look("job_active");
    assert_int_equal(v.have, 2);
    assert_int_equal(v.next_batch, 1);
    assert_true(span_is(v.cursor, "c1"));
    assert_int_equal(v.n_release, 1);
    struct item_view *items;
    size_t count;
    fine(store_items(store, SPAN("job_active"), -1, -1, 10, 1 << 20, arena, &items, &count,
                     &fault));
    assert_int_equal(count, 2);
    struct event_view *events;
    fine(store_events(store, 0, SPAN("job_active"), 10, arena, &events, &count, &fault));
    assert_int_equal(count, 4); /* and the release by this start */
    for (size_t i = 0; i < count; i++)
        assert_int_equal(events[i].number, (int64_t)i + 1);
    assert_int_equal(events[3].seq, 17); /* no number comes twice */
}

static void what_follows_is_as_in_a_store_of_today(void **state)
{
    (void)state;
    struct accept_reply reply;
    struct accept_args again = {.id = SPAN("job_again"),
                                .site = SPAN("x"),
                                .kind = SPAN("posts"),
                                .target = SPAN("uksa"),
                                .lane = SPAN("default/x/normal"),
                                .spec = SPAN("{}"),
                                .prio = 5,
                                .idempotency_key = SPAN("k1"),
                                .request_hash = 4242};
    struct lease l;
    struct finish_reply done;
    fine(store_open(&store, dir, &limits, 7, now, &fault));
    fine(store_begin(store, &fault));
    fine(store_accept(store, &again, now, &reply, &fault));
    assert_string_equal(reply.id, "job_keyed");
    assert_true(reply.replayed);
    fine(store_reserve(
        store, &(struct reserve_args){.worker = SPAN("w"), .random = 1, .needs = NEEDS_PAGE},
        now, arena, &l, &fault));
    assert_string_equal(l.id, "job_active"); /* in front again, at its batch */
    assert_int_equal(l.next_batch, 1);
    const struct store_item item = {.kind = ITEM_POST, .id = SPAN("p3"), .json = SPAN("{}")};
    struct commit_args batch = {
        .id = SPAN("job_active"), .nonce = l.nonce, .batch = 1, .items = &item, .count = 1};
    struct commit_reply committed;
    fine(store_commit_batch(store, &batch, now, &committed, &fault));
    assert_int_equal(committed.have, 3);
    struct finish_args end = {
        .id = SPAN("job_active"), .nonce = l.nonce, .verdict = VERDICT_COMPLETE};
    fine(store_finish(store, &end, now, &done, &fault));
    assert_int_equal(done.state, JOB_SUCCEEDED);
    fine(store_commit(store, &fault));
    store_close(&store);
    fine(store_open(&store, dir, &limits, 7, now,
                    &fault)); /* the file is whole, and not brought up again */
    assert_int_equal(look("job_active").have, 3);
}

static void
s19_the_version_before_is_kept_and_an_earlier_fulmar_refuses_the_new_one(void **state)
{
    (void)state;
    fine(store_open(&store, dir, &limits, 7, now, &fault));
    store_close(&store);
    /* version 3 goes by this number, and says that a newer one made the store */
    assert_true(ask("fulmar.db", "PRAGMA user_version") > 3);
    assert_int_equal(ask("fulmar.db.version-3", "PRAGMA user_version"), 3);
    assert_int_equal(ask("fulmar.db.version-3", "SELECT count(*) FROM jobs"), 8);
    assert_int_equal(
        ask("fulmar.db.version-3", "SELECT count(*) FROM jobs WHERE state=3 AND nonce=77"), 1);
    assert_int_equal(ask("fulmar.db", "SELECT count(*) FROM jobs"), 8);
    assert_int_equal(
        ask("fulmar.db",
            "SELECT count(*) FROM sqlite_schema WHERE name LIKE '%\\_3' ESCAPE '\\'"),
        0);
    /* and so does this one with a store of the version to come */
    char newer[64];
    snprintf(newer, sizeof newer, "PRAGMA user_version=%d", SCHEMA_VERSION + 1);
    run("fulmar.db", newer);
    assert_int_equal(store_open(&store, dir, &limits, 7, now, &fault), E_STORE);
    assert_non_null(strstr(fault.words, "newer"));
}

/* What version 6 brought is taken out again, which is version 5. */
/* clang-format off */
#define BACK_TO_12 "ALTER TABLE lanes DROP COLUMN pace; ALTER TABLE lanes DROP COLUMN pace_since;"
#define BACK_TO_11 BACK_TO_12 "DROP INDEX jobs_fresh;"
#define BACK_TO_10 BACK_TO_11 "ALTER TABLE lanes DROP COLUMN own_prio;"
#define BACK_TO_9 BACK_TO_10 "DROP TABLE hands; ALTER TABLE lanes DROP COLUMN br_since;"
#define BACK_TO_7 BACK_TO_9 "ALTER TABLE jobs DROP COLUMN usage; ALTER TABLE session_hours DROP COLUMN requests;"
#define BACK_TO_5                                                                              \
    BACK_TO_7 "DROP INDEX gone_id; ALTER TABLE lanes DROP COLUMN own_depth; ALTER TABLE lanes DROP COLUMN own_overflow;"     \
    "DROP TABLE operations;"                                                                   \
    "CREATE TABLE operations(oid INTEGER PRIMARY KEY AUTOINCREMENT,id TEXT NOT NULL UNIQUE,"   \
    "kind INTEGER NOT NULL CHECK(kind BETWEEN 0 AND 2),state INTEGER NOT NULL DEFAULT 0,"      \
    "batch INTEGER,failure INTEGER NOT NULL,site TEXT NOT NULL,kind_of_job TEXT NOT NULL,"     \
    "fingerprint TEXT NOT NULL,since INTEGER NOT NULL,until INTEGER NOT NULL,"                 \
    "reset INTEGER NOT NULL,per_minute INTEGER NOT NULL,cursor INTEGER NOT NULL,"              \
    "last INTEGER NOT NULL,due INTEGER NOT NULL,done INTEGER NOT NULL DEFAULT 0,"              \
    "skipped INTEGER NOT NULL DEFAULT 0,created_at INTEGER NOT NULL,updated_at INTEGER NOT NULL," \
    "finished_at INTEGER) STRICT;"                                                             \
    "CREATE INDEX operations_due ON operations(due) WHERE state = 0;"                          \
    "CREATE INDEX operations_batch ON operations(batch) WHERE state = 0;"                      \
    "CREATE INDEX operations_ended ON operations(finished_at) WHERE finished_at IS NOT NULL;"
/* clang-format on */

/* An operation that was under way goes on. */
static void s19_a_store_of_version_5_goes_on_with_its_operations(void **state)
{
    (void)state;
    fine(store_open(&store, dir, &limits, 7, now, &fault));
    store_close(&store);
    run("fulmar.db", BACK_TO_5
        "INSERT INTO operations(oid,id,kind,failure,site,kind_of_job,fingerprint,since,until,reset,per_minute,cursor,last,due,"
        "created_at,updated_at) VALUES(7,'opr_1',1,-1,'','','',0,1899999999999,0,0,0,100,0,1,1),"
        "(9,'opr_2',1,-1,'','','',0,1899999999999,0,0,0,100,1999999999999,1,1);"
        "DELETE FROM operations WHERE oid=9; PRAGMA user_version=5");
    fine(store_open(&store, dir, &limits, 7, now, &fault));
    assert_int_equal(look("job_dead").state, JOB_DEAD);
    fine(store_begin(store, &fault));
    fine(store_tend(store, now, &fault));
    fine(store_commit(store, &fault));
    store_close(&store);
    assert_int_equal(ask("fulmar.db", "PRAGMA user_version"), SCHEMA_VERSION);
    assert_int_equal(ask("fulmar.db.version-5", "PRAGMA user_version"), 5);
    assert_int_equal(ask("fulmar.db", "SELECT count(*) FROM jobs"), 7); /* the dead one went */
    assert_int_equal(
        ask("fulmar.db", "SELECT count(*) FROM operations WHERE state=1 AND many=0 AND done=1"),
        1);
    assert_int_equal(ask("fulmar.db", "SELECT own_depth FROM lanes"), -1);
    assert_int_equal(
        ask("fulmar.db", "SELECT seq FROM sqlite_sequence WHERE name='operations'"),
        9); /* no number comes again */
}

static void s19_a_store_of_version_6_goes_on_with_its_operations(void **state)
{
    (void)state;
    fine(store_open(&store, dir, &limits, 7, now, &fault));
    store_close(&store);
    run("fulmar.db", BACK_TO_7
        "DROP INDEX gone_id; ALTER TABLE operations DROP COLUMN labels;"
        "INSERT INTO operations(id,kind,failure,site,kind_of_job,fingerprint,since,until,reset,per_minute,cursor,"
        "last,due,created_at,updated_at,many,states) VALUES('opr_6',1,-1,'','','',0,0,0,0,0,100,0,1,1,1,32);"
        "DELETE FROM meta WHERE k='tables'; PRAGMA user_version=6");
    struct store_limits patient = limits;
    patient.rollback_ms = 3600000;
    fine(store_open(&store, dir, &patient, 7, now, &fault));
    struct operation_view v;
    struct operation_args args = {.id = SPAN("opr_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
                                  .kind = OPERATION_DELETE,
                                  .many = true,
                                  .jobs = jobs_filter_all(),
                                  .filter = {.failure = -1}};
    args.jobs.labels = SPAN("{\"team\":\"press\"}");
    args.jobs.lane = SPAN("default/x/normal");
    fine(store_begin(store, &fault));
    fine(store_tend(store, now, &fault));
    fine(store_operation_start(store, &args, now, arena, &v, &fault));
    fine(store_commit(store, &fault));
    assert_true(span_is(v.jobs.lane, "default/x/normal"));
    store_close(&store);
    assert_int_equal(ask("fulmar.db", "PRAGMA user_version"), 6);
    assert_int_equal(ask("fulmar.db", "SELECT v FROM meta WHERE k='tables'"), SCHEMA_VERSION);
    assert_int_equal(ask("fulmar.db", "SELECT done FROM operations WHERE labels=''"), 1);
    /* Version 6 finds no job for what it does not understand. */
    assert_int_equal(
        ask("fulmar.db", "SELECT count(*) FROM operations o JOIN lanes l ON l.name=o.lane"), 0);
}

/* Jobs of version 7 have no usage, and what it does with them later stays without. */
static void s19_a_store_of_version_7_goes_on_and_may_be_gone_back_to(void **state)
{
    (void)state;
    fine(store_open(&store, dir, &limits, 7, now, &fault));
    store_close(&store);
    run("fulmar.db", BACK_TO_7 "DELETE FROM meta WHERE k='tables'; PRAGMA user_version=7");
    struct store_limits patient = limits;
    patient.rollback_ms = 3600000;
    fine(store_open(&store, dir, &patient, 7, now, &fault));
    assert_int_equal(look("job_dead").usage.n[USAGE_CPU_MS], USAGE_UNKNOWN);
    store_close(&store);
    assert_int_equal(ask("fulmar.db", "PRAGMA user_version"), 7);
    assert_int_equal(ask("fulmar.db", "SELECT v FROM meta WHERE k='tables'"), SCHEMA_VERSION);
    assert_int_equal(ask("fulmar.db", "SELECT count(*) FROM jobs WHERE usage=''"), 8);
}

/* Limits stay, and webhooks can have some then, which version 9 lets be. */
static void s19_a_store_of_version_9_goes_on_with_its_limits(void **state)
{
    (void)state;
    fine(store_open(&store, dir, &limits, 7, now, &fault));
    store_close(&store);
    run("fulmar.db", BACK_TO_9
        "DROP TABLE limits;"
        "CREATE TABLE limits(scope INTEGER NOT NULL CHECK(scope BETWEEN 0 AND 2),name TEXT NOT NULL,"
        "max_active INTEGER NOT NULL DEFAULT 0 CHECK(max_active >= 0),weight INTEGER NOT NULL DEFAULT 0 CHECK(weight >= 0),"
        "emit_ms INTEGER NOT NULL DEFAULT 0 CHECK(emit_ms >= 0),burst INTEGER NOT NULL DEFAULT 1 CHECK(burst >= 1),"
        "tat_ms INTEGER NOT NULL DEFAULT 0,PRIMARY KEY(scope, name)) WITHOUT ROWID, STRICT;"
        "INSERT INTO limits(scope,name,max_active,emit_ms,burst,tat_ms) VALUES(2,'x',3,2000,2,77);"
        "DELETE FROM meta WHERE k='tables'; PRAGMA user_version=9");
    struct store_limits patient = limits;
    patient.rollback_ms = 3600000;
    fine(store_open(&store, dir, &patient, 7, now, &fault));
    store_close(&store);
    assert_int_equal(ask("fulmar.db", "PRAGMA user_version"), 9);
    assert_int_equal(ask("fulmar.db", "SELECT v FROM meta WHERE k='tables'"), SCHEMA_VERSION);
    assert_int_equal(
        ask("fulmar.db", "SELECT max_active+emit_ms+burst+tat_ms FROM limits WHERE scope=2"),
        3 + 2000 + 2 + 77);
    run("fulmar.db", "INSERT INTO limits(scope,name,max_active) VALUES(3,'whk_1',2)");
}

/* Version 10 takes 5 for every order without a priority, and writes no default of a lane. */
static void s19_a_store_of_version_10_goes_on_and_may_be_gone_back_to(void **state)
{
    (void)state;
    fine(store_open(&store, dir, &limits, 7, now, &fault));
    store_close(&store);
    run("fulmar.db", BACK_TO_10 "DELETE FROM meta WHERE k='tables'; PRAGMA user_version=10");
    struct store_limits patient = limits;
    patient.rollback_ms = 3600000;
    fine(store_open(&store, dir, &patient, 7, now, &fault));
    struct lane_change c = {.name = SPAN("default/x/normal"),
                            .act = LANE_ACT_SET,
                            .settings = lane_settings_all(LANE_UNCHANGED)};
    c.settings.prio = 8;
    fine(store_begin(store, &fault));
    fine(store_lane_change(store, &c, now, &fault));
    fine(store_commit(store, &fault));
    store_close(&store);
    assert_int_equal(ask("fulmar.db", "PRAGMA user_version"), 10);
    assert_int_equal(ask("fulmar.db", "SELECT v FROM meta WHERE k='tables'"), SCHEMA_VERSION);
    /* as it adds a lane, and writes one */
    run("fulmar.db",
        "INSERT INTO lanes(lane_id,name,weight,pass,used_at) VALUES(77,'new/x/normal',300,0,1);"
        "UPDATE lanes SET own_depth=4");
    fine(store_open(&store, dir, &patient, 7, now, &fault));
    struct lane_view v;
    fine(store_lane(store, SPAN("new/x/normal"), now, arena, &v, &fault));
    assert_int_equal(v.own.prio, LANE_AS_CONFIGURED);
    fine(store_lane(store, SPAN("default/x/normal"), now, arena, &v, &fault));
    assert_int_equal(v.own.prio, 8);
}

/* Results of jobs that ended before are found by their unique key, and those that version 11 ends meanwhile. */
static void s19_a_store_of_version_11_finds_results_by_unique_key(void **state)
{
    (void)state;
    fine(store_open(&store, dir, &limits, 7, now, &fault));
    store_close(&store);
    run("fulmar.db", BACK_TO_11 "UPDATE jobs SET unique_key='k' WHERE id='job_succeeded';"
                                "DELETE FROM meta WHERE k='tables'; PRAGMA user_version=11");
    struct store_limits patient = limits;
    patient.rollback_ms = 3600000;
    fine(store_open(&store, dir, &patient, 7, now, &fault));
    struct accept_reply reply;
    struct accept_args args = {.id = SPAN("job_fresh"),
                               .site = SPAN("x"),
                               .kind = SPAN("posts"),
                               .target = SPAN("nasa"),
                               .lane = SPAN("default/x/normal"),
                               .spec = SPAN("{}"),
                               .unique_key = SPAN("k"),
                               .fresh_within_ms = INT64_MAX / 2};
    fine(store_begin(store, &fault));
    fine(store_accept(store, &args, now, &reply, &fault));
    fine(store_commit(store, &fault));
    assert_int_equal(reply.state, JOB_SUCCEEDED);
    store_close(&store);
    assert_int_equal(ask("fulmar.db", "PRAGMA user_version"), 11);
    assert_int_equal(ask("fulmar.db", "SELECT v FROM meta WHERE k='tables'"), SCHEMA_VERSION);
}

/* Version 12 uses all of a rate, and takes away nothing of what is known of it. */
static void s19_a_store_of_version_12_goes_on_and_may_be_gone_back_to(void **state)
{
    (void)state;
    fine(store_open(&store, dir, &limits, 7, now, &fault));
    store_close(&store);
    run("fulmar.db", BACK_TO_12 "DELETE FROM meta WHERE k='tables'; PRAGMA user_version=12");
    struct store_limits patient = limits;
    patient.rollback_ms = 3600000;
    struct lane_view v;
    fine(store_open(&store, dir, &patient, 7, now, &fault));
    fine(store_lane(store, SPAN("default/x/normal"), now, arena, &v, &fault));
    assert_int_equal(v.pace.percent, 0);
    store_close(&store);
    assert_int_equal(ask("fulmar.db", "PRAGMA user_version"), 12);
    assert_int_equal(ask("fulmar.db", "SELECT v FROM meta WHERE k='tables'"), SCHEMA_VERSION);
    run("fulmar.db", "UPDATE lanes SET pace=50,pace_since=7"); /* this version */
    run("fulmar.db",                                           /* that one */
        "INSERT INTO lanes(lane_id,name,weight,pass,used_at) VALUES(77,'new/x/normal',300,0,1);"
        "UPDATE lanes SET tat_ms=4");
    fine(store_open(&store, dir, &patient, 7, now, &fault));
    fine(store_lane(store, SPAN("new/x/normal"), now, arena, &v, &fault));
    assert_int_equal(v.pace.percent, 0);
    fine(store_lane(store, SPAN("default/x/normal"), now, arena, &v, &fault));
    assert_int_equal(v.pace.percent, 50);
}

/* What version 5 brought is taken out too, which is version 4. */
static void s19_a_store_of_version_4_goes_on_with_every_job_as_it_was(void **state)
{
    (void)state;
    fine(store_open(&store, dir, &limits, 7, now, &fault));
    store_close(&store);
    run("fulmar.db", BACK_TO_5
        "DROP TABLE webhooks; DROP TABLE deliveries; ALTER TABLE batches DROP COLUMN parallel;"
        "INSERT INTO batches(id,tenant,name,sealed,stop_after,created_at,updated_at) VALUES('bat_1','default','b',0,0,1,1);"
        "PRAGMA user_version=4");
    fine(store_open(&store, dir, &limits, 7, now, &fault));
    assert_int_equal(look("job_dead").state, JOB_DEAD);
    store_close(&store);
    assert_int_equal(ask("fulmar.db", "PRAGMA user_version"), SCHEMA_VERSION);
    assert_int_equal(ask("fulmar.db.version-4", "PRAGMA user_version"), 4);
    assert_int_equal(ask("fulmar.db", "SELECT count(*) FROM jobs"), 8);
    assert_int_equal(ask("fulmar.db", "SELECT parallel FROM batches"), 0);
    assert_int_equal(ask("fulmar.db", "SELECT count(*) FROM webhooks"), 0);
    assert_int_equal(
        ask("fulmar.db",
            "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'deliveries\\_%' ESCAPE '\\'"),
        6);
}

/* ---- a version to come, that takes nothing away, and then one that does ---- */

static const struct schema_step TO_COME[] = {
    {SCHEMA_VERSION, SCHEMA_VERSION + 1,
     "ALTER TABLE jobs ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue';"
     "CREATE INDEX jobs_colour ON jobs(colour);",
     true},
    {SCHEMA_VERSION + 1, SCHEMA_VERSION + 2, "ALTER TABLE jobs DROP COLUMN why;", false},
};
enum { WINDOW_MS = 3600000 };

/* What the version to come does with the store when it starts. */
static err start_to_come(size_t steps, wall at)
{
    const struct schema_plan plan = {TO_COME, steps, WINDOW_MS};
    struct db *d = NULL;
    err e = db_open(&d, path_of("fulmar.db"), false, &fault);
    if (!e)
        e = upgrade_store(d, path_of("fulmar.db"), &plan, at, &fault);
    db_close(&d);
    return e;
}

static void accept_one(const char *id)
{
    struct accept_reply reply;
    struct accept_args order = {.id = span_of(id),
                                .site = SPAN("x"),
                                .kind = SPAN("posts"),
                                .target = SPAN("nasa"),
                                .lane = SPAN("default/x/normal"),
                                .spec = SPAN("{}"),
                                .prio = 5};
    fine(store_open(&store, dir, &limits, 7, now, &fault));
    fine(store_begin(store, &fault));
    fine(store_accept(store, &order, now, &reply, &fault));
    fine(store_commit(store, &fault));
    store_close(&store);
}

static void s19_the_version_before_works_on_the_same_file_until_the_window_is_over(void **state)
{
    (void)state;
    const wall in_time = {now.ms + WINDOW_MS - 1}, late = {now.ms + WINDOW_MS};
    accept_one("job_first");
    fine(start_to_come(1, now));
    assert_int_equal(ask("fulmar.db", "PRAGMA user_version"), SCHEMA_VERSION);
    assert_int_equal(ask("fulmar.db", "SELECT v FROM meta WHERE k='tables'"),
                     SCHEMA_VERSION + 1);
    accept_one("job_back"); /* this Fulmar, which is the version before */
    assert_int_equal(look_closed("job_first").state, JOB_READY);
    fine(start_to_come(1, in_time)); /* not brought up twice */
    assert_int_equal(ask("fulmar.db", "SELECT count(*) FROM jobs WHERE colour='blue'"), 10);
    accept_one("job_again");
    fine(start_to_come(1, late));
    assert_int_equal(ask("fulmar.db", "PRAGMA user_version"), SCHEMA_VERSION + 1);
    assert_int_equal(ask("fulmar.db", "SELECT count(*) FROM jobs WHERE colour='blue'"), 11);
    assert_int_equal(store_open(&store, dir, &limits, 7, now, &fault), E_STORE);
    assert_non_null(strstr(fault.words, "newer"));
}

static void what_takes_something_away_keeps_a_copy_and_ends_the_window(void **state)
{
    (void)state;
    accept_one("job_first");
    fine(start_to_come(1, now));
    accept_one("job_back");
    fine(start_to_come(2, now));
    assert_int_equal(ask("fulmar.db", "PRAGMA user_version"), SCHEMA_VERSION + 2);
    assert_int_equal(ask("fulmar.db", "SELECT v FROM meta WHERE k='tables'"),
                     SCHEMA_VERSION + 2);
    assert_int_equal(store_open(&store, dir, &limits, 7, now, &fault), E_STORE);
    char copy[64];
    snprintf(copy, sizeof copy, "fulmar.db.version-%d", SCHEMA_VERSION);
    assert_int_equal(ask(copy, "SELECT count(*) FROM jobs WHERE colour='blue'"), 10);
    assert_int_equal(rename(path_of("fulmar.db"), path_of("new.db")), 0);
    char from[128];
    snprintf(from, sizeof from, "%s", path_of(copy));
    assert_int_equal(rename(from, path_of("fulmar.db")), 0);
    accept_one("job_given_back"); /* the copy is what the version before can go on with */
}

static void hold(bool held)
{
    struct db *d = NULL;
    fine(db_open(&d, path_of("fulmar.db"), false, &fault));
    fine(upgrade_hold(d, held, &fault));
    db_close(&d);
}

/* While it is moved: its tables are brought up, and nobody may use it before it is free again. */
static void what_no_version_may_use_stays_so_when_it_is_brought_up(void **state)
{
    (void)state;
    const wall late = {now.ms + WINDOW_MS};
    accept_one("job_first");
    hold(true);
    hold(true);
    fine(start_to_come(1, now));
    assert_int_equal(ask("fulmar.db", "PRAGMA user_version"), TRANSFER_SCHEMA);
    assert_int_equal(ask("fulmar.db", "SELECT v FROM meta WHERE k='tables'"),
                     SCHEMA_VERSION + 1);
    assert_int_equal(ask("fulmar.db", "SELECT v FROM meta WHERE k='version'"), SCHEMA_VERSION);
    fine(start_to_come(1, late));
    assert_int_equal(ask("fulmar.db", "PRAGMA user_version"), TRANSFER_SCHEMA);
    hold(false);
    assert_int_equal(ask("fulmar.db", "PRAGMA user_version"), SCHEMA_VERSION + 1);
    assert_int_equal(ask("fulmar.db", "SELECT count(*) FROM meta WHERE k='version'"), 0);
}

static void an_upgrade_that_cannot_be_done_leaves_the_store_as_it_was(void **state)
{
    (void)state;
    run("fulmar.db", "CREATE TABLE jobs_3(x)"); /* in the way */
    assert_int_not_equal(store_open(&store, dir, &limits, 7, now, &fault), E_OK);
    assert_int_equal(ask("fulmar.db", "PRAGMA user_version"), 3);
    assert_int_equal(ask("fulmar.db", "SELECT count(*) FROM jobs"), 8);
    run("fulmar.db", "DROP TABLE jobs_3");
    fine(store_open(&store, dir, &limits, 7, now, &fault));
    assert_int_equal(look("job_dead").state, JOB_DEAD);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(s19_a_store_of_version_3_goes_on_with_every_job_as_it_was),
        T(what_follows_is_as_in_a_store_of_today),
        T(s19_the_version_before_is_kept_and_an_earlier_fulmar_refuses_the_new_one),
        T(s19_a_store_of_version_4_goes_on_with_every_job_as_it_was),
        T(s19_a_store_of_version_5_goes_on_with_its_operations),
        T(s19_a_store_of_version_6_goes_on_with_its_operations),
        T(s19_a_store_of_version_7_goes_on_and_may_be_gone_back_to),
        T(s19_a_store_of_version_9_goes_on_with_its_limits),
        T(s19_a_store_of_version_10_goes_on_and_may_be_gone_back_to),
        T(s19_a_store_of_version_11_finds_results_by_unique_key),
        T(s19_a_store_of_version_12_goes_on_and_may_be_gone_back_to),
        T(s19_the_version_before_works_on_the_same_file_until_the_window_is_over),
        T(what_takes_something_away_keeps_a_copy_and_ends_the_window),
        T(what_no_version_may_use_stays_so_when_it_is_brought_up),
        T(an_upgrade_that_cannot_be_done_leaves_the_store_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
