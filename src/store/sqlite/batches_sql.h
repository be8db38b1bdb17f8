/* batches_sql.h - tables and statements of batches, dead letters and operations; parts of schema.h
 * and sql.h. */
#pragma once

/* clang-format off */
/* A batch of jobs. What its jobs are is read from their rows (jobs.batch); only of those that are
 * deleted a count stays. batch_calls: what was announced, once each. */
#define OPERATIONS_SQL                                                                         \
    "CREATE TABLE operations("                                                                 \
    "  oid         INTEGER PRIMARY KEY AUTOINCREMENT,"                                         \
    "  id          TEXT NOT NULL UNIQUE,"                                                      \
    "  kind        INTEGER NOT NULL CHECK(kind BETWEEN 0 AND 5),"                              \
    "  state       INTEGER NOT NULL DEFAULT 0 CHECK(state BETWEEN 0 AND 2),"                   \
    "  batch       INTEGER," /* of its jobs; else of all dead ones */                          \
    "  failure     INTEGER NOT NULL," /* -1 any */                                             \
    "  site        TEXT NOT NULL,"                                                             \
    "  kind_of_job TEXT NOT NULL,"                                                             \
    "  fingerprint TEXT NOT NULL,"                                                             \
    "  since       INTEGER NOT NULL,"                                                          \
    "  until       INTEGER NOT NULL," /* deaths after it are no matter of this operation */    \
    "  reset       INTEGER NOT NULL,"                                                          \
    "  per_minute  INTEGER NOT NULL,"                                                          \
    "  cursor      INTEGER NOT NULL," /* jobs up to this number are done with */               \
    "  last        INTEGER NOT NULL," /* the newest job when it began */                       \
    "  due         INTEGER NOT NULL," /* of the next piece */                                  \
    "  done        INTEGER NOT NULL DEFAULT 0,"                                                \
    "  skipped     INTEGER NOT NULL DEFAULT 0,"                                                \
    "  created_at  INTEGER NOT NULL,"                                                          \
    "  updated_at  INTEGER NOT NULL,"                                                          \
    "  finished_at INTEGER,"                                                                   \
    "  many        INTEGER NOT NULL DEFAULT 0," /* of jobs of a filter, whatever they are; then also: */ \
    "  states      INTEGER NOT NULL DEFAULT 0,"                                                \
    "  class       INTEGER NOT NULL DEFAULT -1,"                                               \
    "  tenant      TEXT NOT NULL DEFAULT '',"                                                  \
    "  target      TEXT NOT NULL DEFAULT '',"                                                  \
    "  lane        TEXT NOT NULL DEFAULT '',"                                                  \
    "  held        INTEGER NOT NULL DEFAULT 0,"                                                \
    "  most        INTEGER NOT NULL DEFAULT 0," /* jobs; 0: any number */                      \
    "  prio        INTEGER NOT NULL DEFAULT 0,"                                                \
    "  why         TEXT NOT NULL DEFAULT '',"                                                  \
    "  CHECK((state = 0) = (finished_at IS NULL))"                                             \
    ") STRICT;"                                                                                \
    "CREATE INDEX operations_due ON operations(due) WHERE state = 0;"                          \
    "CREATE INDEX operations_batch ON operations(batch) WHERE state = 0;"                      \
    "CREATE INDEX operations_ended ON operations(finished_at) WHERE finished_at IS NOT NULL;"
/* Since version 7. */
#define OPERATIONS_LABELS_SQL                                                                  \
    "ALTER TABLE operations ADD COLUMN labels TEXT NOT NULL DEFAULT '';"

#define BATCHES_SQL                                                                            \
    "CREATE TABLE batches("                                                                    \
    "  bid         INTEGER PRIMARY KEY AUTOINCREMENT,"                                         \
    "  id          TEXT NOT NULL UNIQUE,"                                                      \
    "  tenant      TEXT NOT NULL,"                                                             \
    "  name        TEXT NOT NULL,"                                                             \
    "  sealed      INTEGER NOT NULL CHECK(sealed IN (0,1)),"                                   \
    "  stopped     INTEGER NOT NULL DEFAULT 0 CHECK(stopped IN (0,1)),"                        \
    "  stop_after  INTEGER NOT NULL CHECK(stop_after >= 0),"                                   \
    "  parallel    INTEGER NOT NULL DEFAULT 0 CHECK(parallel >= 0)," /* 0: any number */       \
    "  gone_well   INTEGER NOT NULL DEFAULT 0,"                                                \
    "  gone_other  INTEGER NOT NULL DEFAULT 0,"                                                \
    "  on_complete TEXT," /* tickets */                                                        \
    "  on_success  TEXT,"                                                                      \
    "  idem_key    TEXT,"                                                                      \
    "  idem_hash   INTEGER,"                                                                   \
    "  revision    INTEGER NOT NULL DEFAULT 1,"                                                \
    "  created_at  INTEGER NOT NULL,"                                                          \
    "  updated_at  INTEGER NOT NULL,"                                                          \
    "  finished_at INTEGER," /* complete for the first time */                                 \
    "  CHECK((idem_key IS NULL) = (idem_hash IS NULL)),"                                       \
    "  CHECK(finished_at IS NULL OR sealed = 1),"                                              \
    "  CHECK(stopped = 0 OR sealed = 1)"                                                       \
    ") STRICT;"                                                                                \
    "CREATE UNIQUE INDEX batches_key ON batches(tenant, idem_key) WHERE idem_key IS NOT NULL;" \
    "CREATE INDEX batches_age ON batches(updated_at);"                                         \
    "CREATE TABLE batch_calls("                                                                \
    "  batch INTEGER NOT NULL,"                                                                \
    "  kind  INTEGER NOT NULL CHECK(kind IN (0,1)),"                                           \
    "  at    INTEGER NOT NULL,"                                                                \
    "  job   TEXT,"                                                                            \
    "  due   INTEGER," /* its job could not be accepted: tried again then */                   \
    "  why   TEXT,"                                                                            \
    "  PRIMARY KEY(batch, kind)"                                                               \
    ") WITHOUT ROWID, STRICT;"                                                                 \
    "CREATE INDEX batch_calls_due ON batch_calls(due) WHERE due IS NOT NULL;"                  \
    "CREATE TABLE batch_adds(" /* additions that may be asked for again */                     \
    "  batch INTEGER NOT NULL,"                                                                \
    "  key   TEXT NOT NULL,"                                                                   \
    "  hash  INTEGER NOT NULL,"                                                                \
    "  added INTEGER NOT NULL,"                                                                \
    "  PRIMARY KEY(batch, key)"                                                                \
    ") WITHOUT ROWID, STRICT;"                                                                 \
    OPERATIONS_SQL OPERATIONS_LABELS_SQL

/* Indexes of the columns that batches and dead letters have in `jobs`. */
#define BATCHES_JOBS_SQL                                                                       \
    "CREATE INDEX jobs_batch ON jobs(batch, state) WHERE batch IS NOT NULL;"                   \
    "CREATE INDEX jobs_of_batch ON jobs(batch) WHERE batch IS NOT NULL;"                       \
    "CREATE INDEX jobs_print ON jobs(failure, site, fingerprint, finished_at) WHERE fingerprint IS NOT NULL;"

#define SQL_BATCH_ROW                                                                          \
    "bid,id,name,sealed,stopped,stop_after,gone_well,gone_other,created_at,updated_at,"        \
    "coalesce(finished_at,0),revision,on_complete IS NOT NULL,on_success IS NOT NULL,parallel FROM batches"
#define SQL_OPERATION_ROW                                                                      \
    "o.oid,o.id,o.kind,o.state,coalesce(o.batch,0),o.failure,o.site,o.kind_of_job,o.fingerprint,o.since,o.until,o.reset," \
    "o.per_minute,o.cursor,o.last,o.due,o.done,o.skipped,o.created_at,o.updated_at,coalesce(o.finished_at,0),"  \
    "coalesce((SELECT b.id FROM batches b WHERE b.bid=o.batch),''),o.many,o.states,o.class,o.tenant,o.target,o.lane,o.held," \
    "o.most,o.prio,o.why,o.labels FROM operations o"
#define SQL_CANDIDATE "seq,id,state,failure,site,kind,fingerprint,finished_at FROM jobs"
#define SQL_GROUP_IS "failure=?1 AND site=?2 AND fingerprint=?3 AND finished_at BETWEEN ?4 AND ?5"

#define SQL_BATCHES_TABLE(X)                                                                   \
    X(SQL_ENDED_JOB, "SELECT coalesce(batch,0),state,site,kind,failure,coalesce(why,'') FROM jobs WHERE seq=?1") \
    X(SQL_FINGERPRINT, "UPDATE jobs SET fingerprint=?2 WHERE seq=?1")                          \
    X(SQL_REPLAY_FACTS, "SELECT tenant,coalesce(unique_key,''),site,pool FROM jobs WHERE seq=?1") \
    X(SQL_REPLAY, "UPDATE jobs SET state=2,rank=?2,run_at=?3,generation=generation+1,fail_base=n_fail,crash_base=n_crash," \
                  "release_base=n_release,over_at=NULL,deadline_at=NULL,"                      \
                  "cancel_req=0,failure=0,verdict=0,end_reason=0,why=NULL,finished_at=NULL,fingerprint=NULL," \
                  "cursor=iif(?4,NULL,cursor),revision=revision+1 WHERE seq=?1")               \
    X(SQL_LAST_JOB, "SELECT coalesce(max(seq),0) FROM jobs")                                   \
    X(SQL_GROUP_NEXT, "SELECT failure,site,fingerprint FROM jobs INDEXED BY jobs_print WHERE fingerprint IS NOT NULL" \
                      " AND (failure,site,fingerprint)>(?1,?2,?3) ORDER BY failure,site,fingerprint LIMIT 1") \
    X(SQL_GROUP_COUNT, "SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_print WHERE " SQL_GROUP_IS " LIMIT ?6)") \
    X(SQL_GROUP_FIRST, "SELECT finished_at,kind FROM jobs INDEXED BY jobs_print WHERE " SQL_GROUP_IS " ORDER BY finished_at LIMIT 1") \
    X(SQL_GROUP_NEWEST, "SELECT id,target,coalesce(why,''),finished_at FROM jobs INDEXED BY jobs_print WHERE " SQL_GROUP_IS \
                        " ORDER BY finished_at DESC LIMIT ?6")                                 \
    X(SQL_BATCH_ADD, "INSERT INTO batches(id,tenant,name,sealed,stop_after,on_complete,on_success,idem_key,idem_hash,created_at,updated_at,parallel)" \
                     " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?10,?11)")                            \
    X(SQL_BATCH_BY_KEY, "SELECT id,idem_hash FROM batches WHERE tenant=?1 AND idem_key=?2")    \
    X(SQL_BATCH, "SELECT " SQL_BATCH_ROW " WHERE id=?1")                                       \
    X(SQL_BATCH_NUMBER, "SELECT " SQL_BATCH_ROW " WHERE bid=?1")                               \
    X(SQL_BATCHES, "SELECT " SQL_BATCH_ROW " WHERE bid<?1 ORDER BY bid DESC LIMIT ?2")         \
    X(SQL_BATCH_TICKET, "SELECT iif(?2,on_success,on_complete) FROM batches WHERE bid=?1")     \
    X(SQL_BATCH_TOUCH, "UPDATE batches SET sealed=?2,stopped=?3,updated_at=?4,finished_at=coalesce(finished_at,?5),"  \
                       "revision=revision+1 WHERE bid=?1")                                     \
    X(SQL_BATCH_GONE, "UPDATE batches SET gone_well=gone_well+?2,gone_other=gone_other+?3 WHERE bid=?1") \
    X(SQL_BATCH_CHILD, "UPDATE jobs SET batch=?2 WHERE id=?1")                                 \
    X(SQL_BATCH_COUNTS, "SELECT state,count(*) FROM jobs INDEXED BY jobs_batch WHERE batch=?1 GROUP BY state") \
    X(SQL_BATCH_SIZE, "SELECT count(*) FROM jobs INDEXED BY jobs_of_batch WHERE batch=?1")     \
    X(SQL_BATCH_TAILS, "SELECT seq FROM jobs j INDEXED BY jobs_batch WHERE j.batch=?1 AND j.state=?2 AND j.generation=0 AND NOT EXISTS" \
                       "(SELECT 1 FROM jobs w INDEXED BY jobs_waits WHERE w.waits_on IS NOT NULL AND w.waits_on=j.seq AND w.batch=?1) LIMIT ?3") \
    X(SQL_BATCH_LIVE, "SELECT 1 FROM jobs INDEXED BY jobs_batch WHERE batch=?1 AND state<4 LIMIT 1") \
    X(SQL_BATCH_BAD, "SELECT 1 FROM jobs INDEXED BY jobs_batch WHERE batch=?1 AND state>4 LIMIT 1") \
    X(SQL_BATCH_FAILED, "SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_batch WHERE batch=?1 AND state IN (5,7) LIMIT ?2)") \
    X(SQL_BATCH_JOBS, "SELECT " SQL_JOB_VIEW " WHERE j.batch=?1 AND j.seq>?2 AND (?3<0 OR j.state=?3) ORDER BY j.seq LIMIT ?4") \
    X(SQL_BATCH_JOBS_IN_STATE, "SELECT " SQL_JOB_VIEW " WHERE j.batch=?1 AND j.state=?3 AND j.seq>?2 ORDER BY j.seq LIMIT ?4") \
    X(SQL_BATCH_JOB_NEXT, "SELECT seq,id FROM jobs INDEXED BY jobs_of_batch WHERE batch=?1 AND seq>=?2 ORDER BY seq LIMIT 1") \
    X(SQL_CALL_ADD, "INSERT OR IGNORE INTO batch_calls(batch,kind,at) VALUES(?1,?2,?3)")       \
    X(SQL_CALL_SET, "UPDATE batch_calls SET job=?3,due=?4,why=?5 WHERE batch=?1 AND kind=?2")  \
    X(SQL_CALLS, "SELECT kind,at,coalesce(job,''),coalesce(due,0),coalesce(why,'') FROM batch_calls WHERE batch=?1 ORDER BY kind") \
    X(SQL_CALLS_DUE, "SELECT batch,kind FROM batch_calls INDEXED BY batch_calls_due WHERE due IS NOT NULL AND due<=?1 ORDER BY due LIMIT 1") \
    X(SQL_CALL_FIRST, "SELECT due FROM batch_calls INDEXED BY batch_calls_due WHERE due IS NOT NULL ORDER BY due LIMIT 1") \
    X(SQL_BATCH_ADDED, "SELECT hash,added FROM batch_adds WHERE batch=?1 AND key=?2")          \
    X(SQL_BATCH_ADDED_NOTE, "INSERT INTO batch_adds(batch,key,hash,added) VALUES(?1,?2,?3,?4)") \
    X(SQL_BATCHES_OLD, "SELECT bid,id FROM batches INDEXED BY batches_age WHERE updated_at<?1 AND NOT EXISTS"  \
                       " (SELECT 1 FROM jobs INDEXED BY jobs_of_batch WHERE batch=bid) ORDER BY updated_at LIMIT ?2") \
    X(SQL_BATCH_DELETE, "DELETE FROM batches WHERE bid=?1")                                    \
    X(SQL_CALLS_DELETE, "DELETE FROM batch_calls WHERE batch=?1")                              \
    X(SQL_ADDS_DELETE, "DELETE FROM batch_adds WHERE batch=?1")                                \
    X(SQL_OPERATION_ADD, "INSERT INTO operations(id,kind,batch,failure,site,kind_of_job,fingerprint,since,until,reset,per_minute," \
                         "cursor,last,due,created_at,updated_at,many,states,class,tenant,target,lane,held,most,prio,why,labels)" \
                         " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?14,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,?25)") \
    X(SQL_OPERATION, "SELECT " SQL_OPERATION_ROW " WHERE o.id=?1")                             \
    X(SQL_OPERATIONS, "SELECT " SQL_OPERATION_ROW " WHERE o.oid<?1 ORDER BY o.oid DESC LIMIT ?2") \
    X(SQL_OPERATION_DUE, "SELECT " SQL_OPERATION_ROW " INDEXED BY operations_due WHERE o.state=0 AND o.due<=?1 ORDER BY o.due LIMIT 1") \
    X(SQL_OPERATION_FIRST, "SELECT due FROM operations INDEXED BY operations_due WHERE state=0 ORDER BY due LIMIT 1") \
    X(SQL_OPERATION_OF_BATCH, "SELECT id FROM operations INDEXED BY operations_batch WHERE state=0 AND batch=?1 LIMIT 1") \
    X(SQL_OPERATION_MOVE, "UPDATE operations SET state=?2,cursor=?3,due=?4,done=?5,skipped=?6,updated_at=?7,finished_at=?8 WHERE oid=?1") \
    X(SQL_OPERATIONS_OLD_EVENTS, "DELETE FROM events WHERE seq IN (SELECT seq FROM (SELECT id FROM operations INDEXED BY operations_ended" \
                                 " WHERE finished_at IS NOT NULL AND finished_at<?1 ORDER BY finished_at LIMIT ?2)" \
                                 " CROSS JOIN events INDEXED BY events_job WHERE job=id)") \
    X(SQL_OPERATIONS_OLD, "DELETE FROM operations WHERE oid IN (SELECT oid FROM operations INDEXED BY operations_ended" \
                          " WHERE finished_at IS NOT NULL AND finished_at<?1 ORDER BY finished_at LIMIT ?2)") \
    X(SQL_CANDIDATES, "SELECT " SQL_CANDIDATE " INDEXED BY jobs_state WHERE state=5 AND seq>?1 AND seq<=?2 ORDER BY seq LIMIT ?3") \
    X(SQL_CANDIDATES_OF_BATCH, "SELECT " SQL_CANDIDATE " INDEXED BY jobs_of_batch WHERE batch=?4 AND seq>?1 AND seq<=?2 ORDER BY seq LIMIT ?3")
/* clang-format on */
