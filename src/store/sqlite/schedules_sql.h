/* schedules_sql.h - tables and statements of schedules.c; parts of schema.h and sql.h. */
#pragma once

/* clang-format off */
/* `wake`: when somebody has to look at it, by the clock it goes by (0 the wall's, 1 elapsed time): the next
 * slot and its share of the jitter; 0 when a job of its has ended; NULL: never.
 * The trigger: whatever ends a job, the run of a schedule that made it ends with it. */
#define SCHEDULES_SQL                                                                          \
    "CREATE TABLE schedules("                                                                  \
    "  sid          INTEGER PRIMARY KEY,"                                                      \
    "  id           TEXT NOT NULL UNIQUE,"                                                     \
    "  tenant       TEXT NOT NULL,"                                                            \
    "  name         TEXT NOT NULL CHECK(length(name) BETWEEN 1 AND 64),"                       \
    "  kind         INTEGER NOT NULL CHECK(kind BETWEEN 0 AND 2),"                             \
    "  clock        INTEGER NOT NULL CHECK(clock = (kind <> 0)),"                              \
    "  cron         TEXT NOT NULL,"                                                            \
    "  zone         TEXT NOT NULL,"                                                            \
    "  interval_ms  INTEGER NOT NULL," /* of an adaptive one: the present */                   \
    "  least_ms     INTEGER NOT NULL,"                                                         \
    "  most_ms      INTEGER NOT NULL,"                                                         \
    "  posts_wanted INTEGER NOT NULL,"                                                         \
    "  jitter_ms    INTEGER NOT NULL,"                                                         \
    "  start_at     INTEGER NOT NULL," /* as given; 0: not */                                  \
    "  end_at       INTEGER NOT NULL,"                                                         \
    "  missed       INTEGER NOT NULL CHECK(missed BETWEEN 0 AND 2),"                           \
    "  overlap      INTEGER NOT NULL CHECK(overlap BETWEEN 0 AND 3),"                          \
    "  catch_up_ms  INTEGER NOT NULL,"                                                         \
    "  catch_up_max INTEGER NOT NULL,"                                                         \
    "  grace_ms     INTEGER NOT NULL,"                                                         \
    "  ticket       TEXT NOT NULL,"                                                            \
    "  job          TEXT NOT NULL,"                                                            \
    "  paused_at    INTEGER,"                                                                  \
    "  paused_by    TEXT NOT NULL DEFAULT '',"                                                 \
    "  paused_why   TEXT NOT NULL DEFAULT '',"                                                 \
    "  anchor       INTEGER NOT NULL," /* slots of an interval are counted from here */        \
    "  last_slot    INTEGER NOT NULL," /* settled up to here */                                \
    "  next_at      INTEGER,"                                                                  \
    "  wake         INTEGER,"                                                                  \
    "  last_job     TEXT,"                                                                     \
    "  fired        INTEGER NOT NULL DEFAULT 0,"                                               \
    "  skipped      INTEGER NOT NULL DEFAULT 0,"                                               \
    "  passed       INTEGER NOT NULL DEFAULT 0," /* missed slots */                            \
    "  found        INTEGER,"                                                                  \
    "  read_at      INTEGER," /* the last run that ended well was fired then */                \
    "  revision     INTEGER NOT NULL DEFAULT 1,"                                               \
    "  created_at   INTEGER NOT NULL,"                                                         \
    "  updated_at   INTEGER NOT NULL,"                                                         \
    "  UNIQUE(tenant, name),"                                                                  \
    "  CHECK((kind = 0) = (cron <> '')),"                                                      \
    "  CHECK(kind = 0 OR interval_ms > 0),"                                                    \
    "  CHECK(kind <> 2 OR interval_ms BETWEEN least_ms AND most_ms),"                          \
    "  CHECK(paused_at IS NULL OR next_at IS NULL)"                                            \
    ") STRICT;"                                                                                \
    "CREATE INDEX schedules_wake ON schedules(clock, wake) WHERE wake IS NOT NULL;"            \
    "CREATE TABLE schedule_runs("                                                              \
    "  rid       INTEGER PRIMARY KEY AUTOINCREMENT,"                                           \
    "  sid       INTEGER NOT NULL,"                                                            \
    "  slot      INTEGER NOT NULL,"                                                            \
    "  cause     INTEGER NOT NULL CHECK(cause BETWEEN 0 AND 2),"                               \
    "  state     INTEGER NOT NULL CHECK(state BETWEEN 0 AND 3),"                               \
    "  why       INTEGER NOT NULL DEFAULT 0 CHECK(why BETWEEN 0 AND 4),"                       \
    "  slots     INTEGER NOT NULL DEFAULT 1 CHECK(slots > 0),"                                 \
    "  job       TEXT,"                                                                        \
    "  at        INTEGER NOT NULL,"                                                            \
    "  ended_at  INTEGER,"                                                                     \
    "  job_state INTEGER,"                                                                     \
    "  found     INTEGER,"                                                                     \
    "  fresh     INTEGER NOT NULL DEFAULT 0," /* it has ended, and nobody looked yet */        \
    "  UNIQUE(sid, slot, cause),"                                                              \
    "  CHECK((state IN (1,2)) = (job IS NOT NULL)),"                                           \
    "  CHECK((state = 2) = (ended_at IS NOT NULL)),"                                           \
    "  CHECK((state = 3) = (why <> 0))"                                                        \
    ") STRICT;"                                                                                \
    "CREATE INDEX schedule_runs_of ON schedule_runs(sid, rid);"                                \
    "CREATE INDEX schedule_runs_open ON schedule_runs(sid, state);"           \
    "CREATE INDEX schedule_runs_fresh ON schedule_runs(sid, rid) WHERE fresh = 1;"             \
    "CREATE INDEX schedule_runs_job ON schedule_runs(job) WHERE job IS NOT NULL;"              \
    "CREATE TRIGGER schedule_job_ended AFTER UPDATE OF state ON jobs"                          \
    "  WHEN new.state >= 4 AND old.state < 4 BEGIN"                                            \
    "  UPDATE schedules SET wake=0 WHERE sid IN (SELECT sid FROM schedule_runs WHERE job=new.id AND state=1);" \
    "  UPDATE schedule_runs SET state=2,job_state=new.state,found=new.have,ended_at=new.finished_at,fresh=1" \
    "    WHERE job=new.id AND state=1;"                                                        \
    "END;"

#define SQL_SCHEDULE_VIEW                                                                      \
    "sid,id,kind,interval_ms,least_ms,most_ms,posts_wanted,jitter_ms,start_at,end_at,missed,overlap," /* 0-11 */ \
    "catch_up_ms,catch_up_max,grace_ms,coalesce(paused_at,0),anchor,last_slot,coalesce(next_at,0)," /* 12-18 */ \
    "coalesce(last_job,''),fired,skipped,passed,coalesce(found,-1),coalesce(read_at,0),revision,created_at,updated_at," /* 19-27 */ \
    "tenant,name,cron,zone,ticket,job,paused_by,paused_why," /* 28-35 */                        \
    "(SELECT count(*) FROM schedule_runs r WHERE r.sid=schedules.sid AND r.state=1)," /* 36 */ \
    "(SELECT count(*) FROM schedule_runs r WHERE r.sid=schedules.sid AND r.state=0)" /* 37 */ \
    " FROM schedules"
/* Who has not looked yet at a run that ended still has to: only SQL_SCHEDULE_ATTENDED takes that back. */
#define SQL_WAKE(at) "CASE WHEN wake=0 THEN 0 ELSE " at " END"
#define SQL_SCHEDULES_TABLE(X)                                                                 \
    X(SQL_SCHEDULE_BY_ID, "SELECT " SQL_SCHEDULE_VIEW " WHERE id=?2 AND tenant=?1")            \
    X(SQL_SCHEDULE_BY_NAME, "SELECT " SQL_SCHEDULE_VIEW " WHERE tenant=?1 AND name=?2")        \
    X(SQL_SCHEDULE_OF, "SELECT " SQL_SCHEDULE_VIEW " WHERE id=?1")                             \
    X(SQL_SCHEDULES, "SELECT " SQL_SCHEDULE_VIEW " WHERE tenant=?1 AND name>?2 ORDER BY name LIMIT ?3") \
    X(SQL_SCHEDULES_DUE, "SELECT " SQL_SCHEDULE_VIEW " INDEXED BY schedules_wake WHERE clock=?1 AND wake IS NOT NULL AND wake<=?2" \
                         " ORDER BY wake LIMIT ?3")                                            \
    X(SQL_SCHEDULE_WAKE, "SELECT wake FROM schedules INDEXED BY schedules_wake WHERE clock=?1 AND wake IS NOT NULL ORDER BY wake LIMIT 1") \
    X(SQL_SCHEDULES_AHEAD, "UPDATE schedules INDEXED BY schedules_wake SET wake=0 WHERE wake IS NOT NULL AND last_slot>CASE clock WHEN 0 THEN ?1 ELSE ?2 END") \
    X(SQL_SCHEDULE_COUNT, "SELECT count(*) FROM schedules")                                    \
    X(SQL_SCHEDULE_ADD, "INSERT INTO schedules(id,tenant,name,kind,clock,cron,zone,interval_ms,least_ms,most_ms,posts_wanted," \
                        "jitter_ms,start_at,end_at,missed,overlap,catch_up_ms,catch_up_max,grace_ms,ticket,job,"    \
                        "anchor,last_slot,next_at,wake,created_at,updated_at)"                 \
                        " VALUES(?1,?2,?3,?4,?4<>0,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,?25,?25)") \
    X(SQL_SCHEDULE_CHANGE, "UPDATE schedules SET name=?3,kind=?4,clock=?4<>0,cron=?5,zone=?6,interval_ms=?7,least_ms=?8,most_ms=?9," \
                           "posts_wanted=?10,jitter_ms=?11,start_at=?12,end_at=?13,missed=?14,overlap=?15,catch_up_ms=?16," \
                           "catch_up_max=?17,grace_ms=?18,ticket=?19,job=?20,anchor=?21,last_slot=?22,next_at=?23,wake=" SQL_WAKE("?24") "," \
                           "updated_at=?25,revision=revision+1 WHERE id=?1 AND tenant=?2")     \
    X(SQL_SCHEDULE_PAUSE, "UPDATE schedules SET paused_at=?2,paused_by=?3,paused_why=?4,next_at=NULL,wake=" SQL_WAKE("NULL") "," \
                          "updated_at=?2,revision=revision+1 WHERE sid=?1")                    \
    X(SQL_SCHEDULE_RESUME, "UPDATE schedules SET paused_at=NULL,paused_by='',paused_why='',last_slot=?2,next_at=?3,wake=" SQL_WAKE("?4") "," \
                           "updated_at=?5,revision=revision+1 WHERE sid=?1")                   \
    X(SQL_SCHEDULE_SETTLE, "UPDATE schedules SET last_slot=?2,next_at=?3,wake=" SQL_WAKE("?4") ",fired=fired+?5,skipped=skipped+?6,passed=passed+?7," \
                           "last_job=coalesce(?8,last_job) WHERE sid=?1")                      \
    X(SQL_SCHEDULE_COUNTED, "UPDATE schedules SET fired=fired+?2,last_job=coalesce(?3,last_job) WHERE sid=?1") \
    X(SQL_SCHEDULE_ATTENDED, "UPDATE schedules SET interval_ms=?2,anchor=?3,next_at=?4,wake=?5,found=?6,read_at=?7 WHERE sid=?1") \
    X(SQL_SCHEDULE_WOKEN, "UPDATE schedules SET wake=0 WHERE sid=?1")                          \
    X(SQL_SCHEDULE_DELETE, "DELETE FROM schedules WHERE sid=?1")                               \
    X(SQL_RUN_ADD, "INSERT INTO schedule_runs(sid,slot,cause,state,why,slots,job,at) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)" \
                   " ON CONFLICT(sid,slot,cause) DO UPDATE SET state=1,why=excluded.why,job=excluded.job,at=excluded.at" \
                   " WHERE schedule_runs.state=3 AND excluded.state=1") /* passed over, and made after all */ \
    X(SQL_RUN_KNOWN, "SELECT 1 FROM schedule_runs WHERE sid=?1 AND slot=?2 AND (cause=0 OR cause=2) AND (?3=0 OR job IS NOT NULL)") \
    X(SQL_RUNS_LIVE, "SELECT r.job,coalesce(j.fence,1) FROM schedule_runs r LEFT JOIN jobs j ON j.id=r.job" \
                     " WHERE r.sid=?1 AND r.state=1 ORDER BY r.rid DESC LIMIT ?2") \
    X(SQL_RUN_PENDING, "SELECT rid,slot,cause FROM schedule_runs WHERE sid=?1 AND state=0 ORDER BY rid LIMIT 1") \
    X(SQL_RUN_MADE, "UPDATE schedule_runs SET state=1,job=?2,at=?3 WHERE rid=?1")              \
    X(SQL_RUN_ENDED, "UPDATE schedule_runs SET state=2,job_state=j.state,found=j.have,ended_at=j.finished_at,fresh=1 FROM jobs j" \
                     " WHERE schedule_runs.job=?1 AND schedule_runs.state=1 AND j.id=?1 AND j.state>=4") \
    X(SQL_RUN_DROPPED, "UPDATE schedule_runs SET state=3,why=?2 WHERE rid=?1")                 \
    X(SQL_RUNS_DROP_PENDING, "UPDATE schedule_runs SET state=3,why=?2 WHERE sid=?1 AND state=0") \
    X(SQL_RUNS_FRESH, "SELECT at,job_state,found FROM schedule_runs INDEXED BY schedule_runs_fresh WHERE sid=?1 AND fresh=1 ORDER BY rid LIMIT ?2") \
    X(SQL_RUNS_SEEN, "UPDATE schedule_runs SET fresh=0 WHERE sid=?1 AND fresh=1")              \
    X(SQL_RUNS, "SELECT rid,slot,cause,state,why,slots,coalesce(job,''),at,coalesce(ended_at,0),coalesce(job_state,0),coalesce(found,0)" \
                " FROM schedule_runs INDEXED BY schedule_runs_of WHERE sid=?1 AND rid<?2 ORDER BY rid DESC LIMIT ?3") \
    X(SQL_RUNS_PRUNE, "DELETE FROM schedule_runs WHERE rid IN (SELECT rid FROM schedule_runs WHERE sid=?1 AND state>=2 AND fresh=0" \
                      " AND rid<=(SELECT rid FROM schedule_runs WHERE sid=?1 ORDER BY rid DESC LIMIT 1 OFFSET ?2) LIMIT ?3)") \
    X(SQL_RUNS_DELETE, "DELETE FROM schedule_runs WHERE sid=?1")
/* clang-format on */
