/* spool_sql.h - table and statements of the spool; its file is its own. Part of sql.h. */
#pragma once

/* clang-format off */
#define SPOOL_SQL                                                                              \
    "CREATE TABLE IF NOT EXISTS spool("                                                        \
    "  number       INTEGER PRIMARY KEY AUTOINCREMENT,"                                        \
    "  id           TEXT NOT NULL UNIQUE,"                                                     \
    "  tenant       TEXT NOT NULL,"                                                            \
    "  at           INTEGER NOT NULL,"                                                         \
    "  run_at       INTEGER NOT NULL,"                                                         \
    "  ticket       TEXT NOT NULL,"                                                            \
    "  idem_key     TEXT,"                                                                     \
    "  idem_hash    INTEGER NOT NULL,"                                                         \
    "  handed_over  INTEGER NOT NULL DEFAULT 0 CHECK(handed_over IN (0,1))"                    \
    ") STRICT;"                                                                                \
    "CREATE UNIQUE INDEX IF NOT EXISTS spool_keys ON spool(tenant,idem_key) WHERE idem_key IS NOT NULL;" \
    "CREATE INDEX IF NOT EXISTS spool_waiting ON spool(number) WHERE handed_over=0;"           \
    "CREATE INDEX IF NOT EXISTS spool_settled ON spool(number) WHERE handed_over=1;"           \
    "CREATE TABLE IF NOT EXISTS spool_aside("                                                  \
    "  number       INTEGER PRIMARY KEY,"                                                      \
    "  id           TEXT NOT NULL UNIQUE,"                                                     \
    "  tenant       TEXT NOT NULL,"                                                            \
    "  at           INTEGER NOT NULL,"                                                         \
    "  run_at       INTEGER NOT NULL,"                                                         \
    "  ticket       TEXT NOT NULL,"                                                            \
    "  idem_key     TEXT,"                                                                     \
    "  idem_hash    INTEGER NOT NULL,"                                                         \
    "  why          TEXT NOT NULL"                                                             \
    ") STRICT;"                                                                                \
    /* Of entries with one, also of those that are set aside; an earlier version leaves rows of entries that it deletes. */ \
    "CREATE TABLE IF NOT EXISTS spool_unique("                                                 \
    "  number       INTEGER PRIMARY KEY,"                                                      \
    "  tenant       TEXT NOT NULL,"                                                            \
    "  key          TEXT NOT NULL,"                                                            \
    "  replaced_by  TEXT" /* the job that took its place while it waited */                    \
    ") STRICT;"                                                                                \
    "CREATE INDEX IF NOT EXISTS spool_unique_keys ON spool_unique(tenant,key);"                \
    /* Of entries that the queue has answered for, also while they wait anew; beside them, since an earlier version, which fills */ \
    /* all columns of an entry, may be started on the file again. It leaves rows here too. */  \
    "CREATE TABLE IF NOT EXISTS spool_given("                                                  \
    "  number       INTEGER PRIMARY KEY,"                                                      \
    "  round        INTEGER NOT NULL," /* in which it was handed over last */                  \
    "  at           INTEGER NOT NULL," /* when it was handed over first */                     \
    "  store        TEXT NOT NULL"     /* which queue has it; empty: nobody knows */           \
    ") STRICT;"                                                                                \
    /* Batches have numbers of their own: an earlier version knows nothing of these tables, and leaves them as they are. */ \
    "CREATE TABLE IF NOT EXISTS spool_batch("                                                  \
    "  number       INTEGER PRIMARY KEY AUTOINCREMENT,"                                        \
    "  id           TEXT NOT NULL UNIQUE,"                                                     \
    "  tenant       TEXT NOT NULL,"                                                            \
    "  name         TEXT NOT NULL,"                                                            \
    "  at           INTEGER NOT NULL,"                                                         \
    "  open         INTEGER NOT NULL CHECK(open IN (0,1)),"                                    \
    "  stop_after   INTEGER NOT NULL,"                                                         \
    "  parallel     INTEGER NOT NULL,"                                                         \
    "  complete     TEXT NOT NULL," /* tickets of its callbacks; empty: none */                \
    "  success      TEXT NOT NULL,"                                                            \
    "  idem_key     TEXT,"                                                                     \
    "  idem_hash    INTEGER NOT NULL,"                                                         \
    "  jobs         INTEGER NOT NULL,"                                                         \
    "  state        INTEGER NOT NULL DEFAULT 0 CHECK(state IN (0,1,2))," /* waits, handed over, set aside */ \
    "  why          TEXT NOT NULL DEFAULT '',"  /* it was set aside */                         \
    "  round        INTEGER," /* these as of spool_given; NULL: the queue never had it */      \
    "  given_at     INTEGER,"                                                                  \
    "  store        TEXT"                                                                      \
    ") STRICT;"                                                                                \
    "CREATE UNIQUE INDEX IF NOT EXISTS spool_batch_keys ON spool_batch(tenant,idem_key) WHERE idem_key IS NOT NULL AND state<2;" \
    "CREATE INDEX IF NOT EXISTS spool_batch_states ON spool_batch(state,number);"              \
    "CREATE TABLE IF NOT EXISTS spool_batch_job("                                              \
    "  batch        INTEGER NOT NULL,"                                                         \
    "  n            INTEGER NOT NULL,"                                                         \
    "  id           TEXT NOT NULL UNIQUE,"                                                     \
    "  tenant       TEXT NOT NULL,"                                                            \
    "  run_at       INTEGER NOT NULL,"                                                         \
    "  ticket       TEXT NOT NULL,"                                                            \
    "  unique_key   TEXT,"                                                                     \
    "  replaced_by  TEXT," /* as of spool_unique */                                            \
    "  PRIMARY KEY(batch,n)"                                                                   \
    ") STRICT;"                                                                                \
    "CREATE INDEX IF NOT EXISTS spool_batch_unique ON spool_batch_job(tenant,unique_key) WHERE unique_key IS NOT NULL;"
#define SPOOL_ENTRY                                                                            \
    "SELECT s.number,s.id,s.at,s.run_at,s.ticket,coalesce(s.idem_key,''),s.idem_hash,"         \
    "coalesce(u.replaced_by,''),EXISTS(SELECT 1 FROM spool_given g WHERE g.number=s.number)"   \
    " FROM spool s LEFT JOIN spool_unique u ON u.number=s.number"
#define SPOOL_PERHAPS_THERE                                                                    \
    "SELECT s.number FROM spool_given g CROSS JOIN spool s ON s.number=g.number WHERE s.handed_over=0"

/* It waits, and the queue perhaps has it. */
#define SPOOL_BATCH_PERHAPS "state=0 AND round IS NOT NULL"
#define SPOOL_BATCH_ENTRY                                                                      \
    "SELECT number,id,at,tenant,name,open,stop_after,parallel,complete,success,coalesce(idem_key,''),idem_hash,jobs," \
    "round IS NOT NULL FROM spool_batch"
#define SQL_SPOOL_BATCH_TABLE(X)                                                               \
    X(SQL_SPOOL_BATCH_ADD, "INSERT INTO spool_batch(id,tenant,name,at,open,stop_after,parallel,complete,success,idem_key,idem_hash,jobs)" \
                           " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)")                  \
    X(SQL_SPOOL_BATCH_JOB_ADD, "INSERT INTO spool_batch_job(batch,n,id,tenant,run_at,ticket,unique_key,replaced_by)" \
                               " VALUES(?1,?2,?3,?4,?5,?6,?7,?8)")                             \
    X(SQL_SPOOL_BATCH_KEY, "SELECT id,idem_hash,state FROM spool_batch WHERE tenant=?1 AND idem_key=?2 AND state<2") \
    X(SQL_SPOOL_BATCH_HAS, "SELECT state,round IS NOT NULL,why,1 FROM spool_batch WHERE id=?1 UNION ALL" \
                           " SELECT b.state,b.round IS NOT NULL,b.why,0 FROM spool_batch_job j JOIN spool_batch b ON b.number=j.batch" \
                           " WHERE j.id=?1 LIMIT 1")                                           \
    X(SQL_SPOOL_BATCH_NEXT, SPOOL_BATCH_ENTRY " WHERE state=0 AND number>?1 ORDER BY number LIMIT 1") \
    X(SQL_SPOOL_BATCH_WITH, SPOOL_BATCH_ENTRY " WHERE state<2 AND id=?1")                      \
    X(SQL_SPOOL_BATCH_JOBS, "SELECT id,run_at,ticket,coalesce(replaced_by,'') FROM spool_batch_job WHERE batch=?1 ORDER BY n") \
    X(SQL_SPOOL_BATCH_UNIQUE, "SELECT j.batch,j.n,j.id,b.at,j.run_at,j.ticket FROM spool_batch_job j JOIN spool_batch b ON b.number=j.batch" \
                              " WHERE j.tenant=?1 AND j.unique_key=?2 AND j.replaced_by IS NULL AND b.state=0 AND b.round IS NULL" \
                              " ORDER BY j.batch DESC,j.n DESC LIMIT 1")                       \
    X(SQL_SPOOL_BATCH_REPLACE, "UPDATE spool_batch_job SET replaced_by=?3 WHERE batch=?1 AND n=?2") \
    X(SQL_SPOOL_BATCH_WAITS, "SELECT max(jobs,1),round IS NOT NULL FROM spool_batch WHERE state=0 AND number=?1") \
    X(SQL_SPOOL_BATCH_GIVEN, "UPDATE spool_batch SET state=1,round=?2,given_at=coalesce(given_at,?3),store=?4 WHERE number=?1") \
    X(SQL_SPOOL_BATCH_ASIDE, "UPDATE spool_batch SET state=2,why=?2 WHERE number=?1")          \
    /* Its key may be another one's by now. */                                                 \
    X(SQL_SPOOL_BATCH_BACK, "UPDATE OR IGNORE spool_batch SET state=0,why='' WHERE state=2")   \
    X(SQL_SPOOL_BATCH_FIRST_GIVEN, "SELECT number,at,max(jobs,1) FROM spool_batch WHERE state=1 ORDER BY number LIMIT 1") \
    X(SQL_SPOOL_BATCH_LEAVE, "DELETE FROM spool_batch WHERE number=?1")                        \
    X(SQL_SPOOL_BATCH_JOBS_LEAVE, "DELETE FROM spool_batch_job WHERE batch=?1")                \
    X(SQL_SPOOL_BATCH_STRAY, "DELETE FROM spool_batch_job WHERE batch NOT IN (SELECT number FROM spool_batch)") \
    X(SQL_SPOOL_BATCH_SETTLE, "DELETE FROM spool_batch WHERE state=1 AND round<?1")            \
    X(SQL_SPOOL_BATCH_AGAIN, "UPDATE spool_batch SET state=0 WHERE state=1")                   \
    X(SQL_SPOOL_BATCH_PASSED, "DELETE FROM spool_batch WHERE " SPOOL_BATCH_PERHAPS             \
                              " AND (given_at<=?2 OR (?1<>'' AND store<>'' AND store<>?1))")   \
    X(SQL_SPOOL_BATCH_OLDEST, "SELECT at FROM spool_batch WHERE state=0 ORDER BY number LIMIT 1") \
    X(SQL_SPOOL_BATCH_COUNT, "SELECT coalesce(sum(max(jobs,1)*(state=0)),0),coalesce(sum(max(jobs,1)*(state=1)),0)," \
                             "coalesce(sum(max(jobs,1)*(state=2)),0),coalesce(sum(max(jobs,1)*(" SPOOL_BATCH_PERHAPS ")),0) FROM spool_batch") \
    X(SQL_SPOOL_BATCH_TABLES, "SELECT count(*) FROM sqlite_master WHERE type='table' AND name='spool_batch'")

#define SQL_SPOOL_TABLE(X)                                                                     \
    X(SQL_SPOOL_ADD, "INSERT INTO spool(id,tenant,at,run_at,ticket,idem_key,idem_hash) VALUES(?1,?2,?3,?4,?5,?6,?7)") \
    X(SQL_SPOOL_HAS, "SELECT s.handed_over OR EXISTS(SELECT 1 FROM spool_given g WHERE g.number=s.number)" \
                     " FROM spool s WHERE s.id=?1")                                            \
    X(SQL_SPOOL_KEY, "SELECT id,idem_hash,handed_over FROM spool WHERE tenant=?1 AND idem_key=?2")         \
    X(SQL_SPOOL_NEXT, SPOOL_ENTRY " WHERE s.handed_over=0 AND s.number>?1 ORDER BY s.number LIMIT 1") \
    X(SQL_SPOOL_UNIQUE, SPOOL_ENTRY " WHERE s.handed_over=0 AND u.tenant=?1 AND u.key=?2 AND u.replaced_by IS NULL" \
                        " AND NOT EXISTS(SELECT 1 FROM spool_given g WHERE g.number=s.number)" \
                        " ORDER BY s.number DESC LIMIT 1")                                     \
    X(SQL_SPOOL_UNIQUE_ADD, "INSERT OR REPLACE INTO spool_unique(number,tenant,key) VALUES(?1,?2,?3)") \
    X(SQL_SPOOL_UNIQUE_REPLACE, "UPDATE spool_unique SET replaced_by=?2 WHERE number=?1")      \
    X(SQL_SPOOL_UNIQUE_STRAY, "DELETE FROM spool_unique WHERE number NOT IN"                   \
                              " (SELECT number FROM spool UNION ALL SELECT number FROM spool_aside)") \
    X(SQL_SPOOL_UNIQUE_LEAVE, "DELETE FROM spool_unique WHERE number=?1")                      \
    X(SQL_SPOOL_GIVEN_STRAY, "DELETE FROM spool_given WHERE number NOT IN"                     \
                             " (SELECT number FROM spool UNION ALL SELECT number FROM spool_aside)") \
    X(SQL_SPOOL_IS_GIVEN, "SELECT 1 FROM spool_given WHERE number=?1")                         \
    X(SQL_SPOOL_GIVEN_LEAVE, "DELETE FROM spool_given WHERE number=?1")                        \
    X(SQL_SPOOL_DONE, "UPDATE spool SET handed_over=1 WHERE number=?1 AND handed_over=0")      \
    X(SQL_SPOOL_GIVEN, "INSERT INTO spool_given(number,round,at,store) VALUES(?1,?2,?3,?4)")   \
    X(SQL_SPOOL_GIVEN_ANEW, "UPDATE spool_given SET round=?2,store=?3 WHERE number=?1")        \
    X(SQL_SPOOL_SETTLE, "DELETE FROM spool WHERE handed_over=1 AND number IN (SELECT number FROM spool_given WHERE round<?1)") \
    X(SQL_SPOOL_FIRST_GIVEN, "SELECT number,at FROM spool WHERE handed_over=1 ORDER BY number LIMIT 1") \
    X(SQL_SPOOL_AGAIN, "UPDATE spool SET handed_over=0 WHERE handed_over=1")                   \
    /* An earlier version does not say which they are. */                                      \
    X(SQL_SPOOL_GIVEN_ALL, "INSERT OR IGNORE INTO spool_given SELECT number,0,at,'' FROM spool WHERE handed_over=1") \
    X(SQL_SPOOL_PERHAPS, "SELECT count(*) FROM (" SPOOL_PERHAPS_THERE ")")                     \
    X(SQL_SPOOL_PASSED, "DELETE FROM spool WHERE number IN (" SPOOL_PERHAPS_THERE              \
                        " AND (g.at<=?2 OR (?1<>'' AND g.store<>'' AND g.store<>?1)))")                   \
    X(SQL_SPOOL_OLDEST, "SELECT at FROM spool WHERE handed_over=0 ORDER BY number LIMIT 1")    \
    X(SQL_SPOOL_COUNT, "SELECT count(*),coalesce(sum(handed_over),0),(SELECT count(*) FROM spool_aside) FROM spool") \
    X(SQL_SPOOL_TABLES, "SELECT count(*) FROM sqlite_master WHERE type='table' AND name IN ('spool','spool_aside')") \
    X(SQL_SPOOL_ASIDE, "INSERT OR REPLACE INTO spool_aside SELECT number,id,tenant,at,run_at,ticket,idem_key,idem_hash,?2" \
                       " FROM spool WHERE number=?1") \
    X(SQL_SPOOL_LEAVE, "DELETE FROM spool WHERE number=?1") \
    X(SQL_SPOOL_BACK, "INSERT OR IGNORE INTO spool SELECT number,id,tenant,at,run_at,ticket,idem_key,idem_hash,0 FROM spool_aside") \
    X(SQL_SPOOL_IS_BACK, "DELETE FROM spool_aside WHERE id IN (SELECT id FROM spool)") \
    X(SQL_SPOOL_IS_ASIDE, "SELECT why FROM spool_aside WHERE id=?1") \
    SQL_SPOOL_BATCH_TABLE(X)
/* clang-format on */
