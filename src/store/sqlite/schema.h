/* schema.h - the tables. The CHECKs say what queue.md §2 says: a lease iff active, an end iff final,
 * and the conservation law: every lease ever granted is accounted for exactly once. */
#pragma once

#include "store/sqlite/batches_sql.h"
#include "store/sqlite/schedules_sql.h"
#include "store/sqlite/webhooks_sql.h"

enum { SCHEMA_VERSION = 13 };

/* clang-format off */
#define LIMITS_SQL                                                                             \
    "CREATE TABLE limits(" /* of all, of a tenant, a site, a webhook */                        \
    "  scope      INTEGER NOT NULL CHECK(scope BETWEEN 0 AND 3),"                              \
    "  name       TEXT NOT NULL,"                                                              \
    "  max_active INTEGER NOT NULL DEFAULT 0 CHECK(max_active >= 0),"                          \
    "  weight     INTEGER NOT NULL DEFAULT 0 CHECK(weight >= 0),"                              \
    "  emit_ms    INTEGER NOT NULL DEFAULT 0 CHECK(emit_ms >= 0),"                             \
    "  burst      INTEGER NOT NULL DEFAULT 1 CHECK(burst >= 1),"                               \
    "  tat_ms     INTEGER NOT NULL DEFAULT 0,"                                                 \
    "  PRIMARY KEY(scope, name)"                                                               \
    ") WITHOUT ROWID, STRICT;"
/* Who holds something by hand, and until when: of: 0 a lane, 1 a session, 2 a webhook; key: name or id. Of lanes these
 * are only the words: br_forced says until when. */
#define HANDS_SQL                                                                              \
    "CREATE TABLE hands("                                                                      \
    "  of    INTEGER NOT NULL CHECK(of BETWEEN 0 AND 2),"                                      \
    "  key   TEXT NOT NULL,"                                                                   \
    "  who   TEXT NOT NULL,"                                                                   \
    "  why   TEXT NOT NULL,"                                                                   \
    "  at    INTEGER NOT NULL,"                                                                \
    "  until INTEGER NOT NULL,"                                                                \
    "  PRIMARY KEY(of, key)"                                                                   \
    ") WITHOUT ROWID, STRICT;"                                                                 \
    "CREATE INDEX hands_until ON hands(until);"

#define JOBS_FRESH_SQL                                                                         \
    "CREATE INDEX jobs_fresh ON jobs(tenant, unique_key, finished_at) WHERE state = 4 AND unique_key IS NOT NULL;"
#define SCHEMA_SINCE_3_SQL                                                                     \
    "CREATE TABLE lanes("                                                                      \
    "  lane_id       INTEGER PRIMARY KEY,"                                                     \
    "  name          TEXT NOT NULL UNIQUE,"                                                    \
    "  weight        INTEGER NOT NULL CHECK(weight > 0),"                                      \
    "  pass          INTEGER NOT NULL DEFAULT 0,"                                              \
    "  tat_ms        INTEGER NOT NULL DEFAULT 0,"                                              \
    "  blocked_until INTEGER NOT NULL DEFAULT 0,"                                              \
    "  br_state      INTEGER NOT NULL DEFAULT 0 CHECK(br_state BETWEEN 0 AND 2),"              \
    "  br_fails      INTEGER NOT NULL DEFAULT 0,"                                              \
    "  br_until      INTEGER NOT NULL DEFAULT 0,"                                              \
    "  br_trips      INTEGER NOT NULL DEFAULT 0,"                                              \
    "  br_forced     INTEGER NOT NULL DEFAULT 0,"                                              \
    "  br_since      INTEGER NOT NULL DEFAULT 0,"                                              \
    "  own_weight    INTEGER NOT NULL DEFAULT -1," /* -1: as configured */                     \
    "  own_active    INTEGER NOT NULL DEFAULT -1,"                                             \
    "  own_emit      INTEGER NOT NULL DEFAULT -1,"                                             \
    "  own_burst     INTEGER NOT NULL DEFAULT -1,"                                             \
    "  own_depth     INTEGER NOT NULL DEFAULT -1,"                                             \
    "  own_overflow  INTEGER NOT NULL DEFAULT -1,"                                             \
    "  own_prio      INTEGER NOT NULL DEFAULT -1,"                                             \
    "  pace          INTEGER NOT NULL DEFAULT 0," /* percent of its rate; 0: all */          \
    "  pace_since    INTEGER NOT NULL DEFAULT 0,"                                              \
    "  paused        INTEGER NOT NULL DEFAULT 0 CHECK(paused IN (0,1)),"                       \
    "  closed        INTEGER NOT NULL DEFAULT 0 CHECK(closed IN (0,1)),"                       \
    "  note_by       TEXT,"                                                                    \
    "  note_why      TEXT,"                                                                    \
    "  note_at       INTEGER,"                                                                 \
    "  used_at       INTEGER NOT NULL DEFAULT 0"                                               \
    ") STRICT;"                                                                                \
    "CREATE INDEX lanes_used ON lanes(used_at);"                                               \
    LIMITS_SQL HANDS_SQL                                                                       \
    "CREATE TABLE meta(k TEXT PRIMARY KEY, v, who TEXT, why TEXT, at INTEGER) WITHOUT ROWID;"  \
    "INSERT INTO meta(k,v) VALUES('epoch',0),('mode',0);"                                      \
    "CREATE TABLE requests(" /* that were answered: the same again gives the same job */       \
    "  tenant TEXT NOT NULL,"                                                                  \
    "  key    TEXT NOT NULL,"                                                                  \
    "  hash   INTEGER NOT NULL,"                                                               \
    "  job    TEXT NOT NULL,"                                                                  \
    "  at     INTEGER NOT NULL,"                                                               \
    "  PRIMARY KEY(tenant, key)"                                                               \
    ") WITHOUT ROWID, STRICT;"                                                                 \
    "CREATE INDEX requests_age ON requests(at);"                                               \
    "CREATE TABLE jobs("                                                                       \
    "  seq          INTEGER PRIMARY KEY AUTOINCREMENT," /* never again: rows of `gone` have it still */ \
    "  id           TEXT NOT NULL UNIQUE,"                                                     \
    "  site         TEXT NOT NULL,"                                                            \
    "  tenant       TEXT NOT NULL,"                                                            \
    "  pool         TEXT NOT NULL DEFAULT ''," /* of sessions; '' none */                      \
    "  operation    TEXT NOT NULL DEFAULT ''," /* that the site counts it under */             \
    "  kind         TEXT NOT NULL,"                                                            \
    "  target       TEXT NOT NULL,"                                                            \
    "  lane_id      INTEGER NOT NULL REFERENCES lanes(lane_id),"                               \
    "  spec         TEXT NOT NULL,"                                                            \
    "  job_limit    INTEGER NOT NULL CHECK(job_limit >= 0),"                                   \
    "  state        INTEGER NOT NULL CHECK(state BETWEEN 0 AND 7),"                            \
    "  prio         INTEGER NOT NULL CHECK(prio BETWEEN 0 AND 9),"                             \
    "  rank         INTEGER NOT NULL,"                                                         \
    "  run_at       INTEGER NOT NULL," /* due, or since when it is ready */                    \
    "  over_at      INTEGER," /* waits until then at most */                                   \
    "  deadline_at  INTEGER,"                                                                  \
    "  attempt_ms   INTEGER NOT NULL DEFAULT 0,"                                               \
    "  stall_ms     INTEGER NOT NULL DEFAULT 0,"                                               \
    "  needs        INTEGER NOT NULL CHECK(needs BETWEEN 0 AND 1),"                            \
    "  memory       INTEGER NOT NULL DEFAULT 0,"                                               \
    "  unique_key   TEXT,"                                                                     \
    "  work         INTEGER,"                                                                  \
    "  waits_on     INTEGER," /* job that must end first */                                    \
    "  waits_how    INTEGER NOT NULL DEFAULT 0 CHECK(waits_how BETWEEN 0 AND 2),"              \
    "  source       INTEGER NOT NULL DEFAULT 0 CHECK(source BETWEEN 0 AND 3),"                 \
    "  shared_from  INTEGER," /* job whose items are this one's */                             \
    "  result_age   INTEGER NOT NULL DEFAULT 0,"                                               \
    "  generation   INTEGER NOT NULL DEFAULT 0,"                                               \
    "  events       INTEGER NOT NULL DEFAULT 0," /* written so far */                          \
    "  fence        INTEGER NOT NULL DEFAULT 0,"                                               \
    "  nonce        INTEGER,"                                                                  \
    "  worker       TEXT,"                                                                     \
    "  request      INTEGER," /* of that worker */                                             \
    "  stop_by      INTEGER," /* asked to stop: by force from then on */                       \
    "  lease_until  INTEGER,"                                                                  \
    "  suspect      INTEGER NOT NULL DEFAULT 0 CHECK(suspect IN (0,1)),"                       \
    "  started      INTEGER NOT NULL DEFAULT 0 CHECK(started IN (0,1)),"                       \
    "  cancel_req   INTEGER NOT NULL DEFAULT 0 CHECK(cancel_req IN (0,1)),"                    \
    "  n_fail       INTEGER NOT NULL DEFAULT 0,"                                               \
    "  n_crash      INTEGER NOT NULL DEFAULT 0,"                                               \
    "  n_throttle   INTEGER NOT NULL DEFAULT 0,"                                               \
    "  n_release    INTEGER NOT NULL DEFAULT 0,"                                               \
    "  n_ok         INTEGER NOT NULL DEFAULT 0 CHECK(n_ok <= 1),"                              \
    "  n_void       INTEGER NOT NULL DEFAULT 0,"                                               \
    "  max_fail     INTEGER NOT NULL,"                                                         \
    "  max_crash    INTEGER NOT NULL,"                                                         \
    "  max_throttle INTEGER NOT NULL,"                                                         \
    /* n_fail, n_crash, n_release when counted records were last added: only those in a row without progress \
     * are bounded, so that a long job on a shaky line ends, and the counts stay true to the law. */ \
    "  fail_base    INTEGER NOT NULL DEFAULT 0 CHECK(fail_base <= n_fail),"                    \
    "  crash_base   INTEGER NOT NULL DEFAULT 0 CHECK(crash_base <= n_crash),"                  \
    "  release_base INTEGER NOT NULL DEFAULT 0 CHECK(release_base <= n_release),"              \
    "  progressed   INTEGER NOT NULL DEFAULT 0 CHECK(progressed IN (0,1))," /* this lease added counted records */ \
    "  next_batch   INTEGER NOT NULL DEFAULT 0,"                                               \
    "  cursor       TEXT,"                                                                     \
    "  have         INTEGER NOT NULL DEFAULT 0 CHECK(job_limit = 0 OR have <= job_limit),"     \
    "  users        INTEGER NOT NULL DEFAULT 0,"                                               \
    "  bytes        INTEGER NOT NULL DEFAULT 0," /* of its records */                          \
    "  counts       INTEGER NOT NULL DEFAULT 0 CHECK(counts BETWEEN 0 AND 1)," /* kind of item that have counts */ \
    "  rejected     INTEGER NOT NULL DEFAULT 0,"                                               \
    "  conflicts    INTEGER NOT NULL DEFAULT 0,"                                               \
    "  filtered     INTEGER NOT NULL DEFAULT 0," /* posts left out, as the job asks */         \
    "  mark         INTEGER NOT NULL DEFAULT 0 CHECK(mark BETWEEN 0 AND 2),"                   \
    "  variant      TEXT NOT NULL DEFAULT '',"                                                 \
    "  known        TEXT," /* the mark as it was at the first start; not of ended jobs */       \
    "  failure      INTEGER NOT NULL DEFAULT 0,"                                               \
    "  verdict      INTEGER NOT NULL DEFAULT 0,"                                               \
    "  end_reason   INTEGER NOT NULL DEFAULT 0,"                                               \
    "  why          TEXT,"                                                                     \
    "  report       TEXT,"                                                                     \
    "  batch        INTEGER," /* bid */                                                        \
    "  fingerprint  TEXT," /* of the death, of dead jobs */                                    \
    "  revision     INTEGER NOT NULL DEFAULT 1,"                                               \
    "  usage        TEXT NOT NULL DEFAULT ''," /* of its attempts: core/usage.h */             \
    "  created_at   INTEGER NOT NULL,"                                                         \
    "  started_at   INTEGER,"                                                                  \
    "  finished_at  INTEGER,"                                                                  \
    "  CHECK(counts = 0 OR have = users),"                                                     \
    "  CHECK((state = 3) = (lease_until IS NOT NULL)),"                                        \
    "  CHECK((state = 3) = (nonce IS NOT NULL)),"                                              \
    "  CHECK((state >= 4) = (finished_at IS NOT NULL)),"                                       \
    "  CHECK((state = 4) = (n_ok = 1)),"                                                       \
    "  CHECK(fingerprint IS NULL OR state = 5),"                                               \
    "  CHECK((state = 0) = (waits_on IS NOT NULL)),"                                           \
    "  CHECK((source = 0) = (shared_from IS NULL)),"                                           \
    "  CHECK(stop_by IS NULL OR (state = 3 AND cancel_req = 1)),"                              \
    "  CHECK(n_fail - fail_base <= max_fail AND n_crash - crash_base <= max_crash AND"         \
    "        n_throttle <= max_throttle * (1 + generation)),"                                  \
    "  CHECK(fence = n_fail + n_crash + n_throttle + n_release + n_ok + n_void + (state = 3))" \
    ") STRICT;"                                                                                \
    "CREATE INDEX jobs_ready ON jobs(lane_id, needs, rank, seq) WHERE state = 2;"              \
    "CREATE INDEX jobs_of_lane ON jobs(lane_id, state);"                                       \
    "CREATE INDEX jobs_asked ON jobs(worker, request) WHERE state = 3 AND request IS NOT NULL;" \
    "CREATE INDEX jobs_stop ON jobs(stop_by, seq) WHERE stop_by IS NOT NULL;"                  \
    "CREATE INDEX jobs_over ON jobs(over_at, seq) WHERE state <= 2 AND over_at IS NOT NULL;"   \
    "CREATE INDEX jobs_waits ON jobs(waits_on, seq) WHERE waits_on IS NOT NULL;"               \
    "CREATE INDEX jobs_shared ON jobs(shared_from) WHERE shared_from IS NOT NULL;"             \
    "CREATE INDEX jobs_work ON jobs(work) WHERE state <= 3 AND work IS NOT NULL;"              \
    JOBS_FRESH_SQL                                                                             \
    "CREATE INDEX jobs_answer ON jobs(work, finished_at) WHERE state = 4 AND work IS NOT NULL;" \
    "CREATE UNIQUE INDEX jobs_unique ON jobs(tenant, unique_key, state = 0)"                   \
    " WHERE unique_key IS NOT NULL AND state <= 3;"                                            \
    "CREATE INDEX jobs_due ON jobs(run_at, seq) WHERE state = 1;"                              \
    "CREATE INDEX jobs_lease ON jobs(lease_until, seq) WHERE state = 3;"                       \
    "CREATE INDEX jobs_kept ON jobs(finished_at, bytes) WHERE finished_at IS NOT NULL AND state<>5;" \
    "CREATE INDEX jobs_dead ON jobs(finished_at) WHERE state=5;"                               \
    "CREATE TABLE gone(job INTEGER PRIMARY KEY, id TEXT NOT NULL) STRICT;" /* deleted; what it had is left */ \
    "CREATE INDEX gone_id ON gone(id);"                                                        \
    "CREATE INDEX jobs_state ON jobs(state, seq);"                                             \
    "CREATE TABLE events("                                                                     \
    "  seq  INTEGER PRIMARY KEY AUTOINCREMENT,"                                                \
    "  job  TEXT NOT NULL,"                                                                    \
    "  n    INTEGER NOT NULL," /* of this job: 1, 2, 3 ... */                                  \
    "  kind TEXT NOT NULL,"                                                                    \
    "  at   INTEGER NOT NULL,"                                                                 \
    "  body TEXT NOT NULL"                                                                     \
    ") STRICT;"                                                                                \
    "CREATE INDEX events_job ON events(job, seq);"                                             \
    BATCHES_JOBS_SQL SCHEDULES_SQL SESSIONS_SQL BATCHES_SQL WEBHOOKS_SQL

/* What a store of version 3 has already. */
#define SCHEMA_OF_3_SQL                                                                        \
    "CREATE TABLE items("                                                                      \
    "  iid        INTEGER PRIMARY KEY,"                                                        \
    "  job        INTEGER NOT NULL," /* whose reading this is: each job keeps its own */       \
    "  site       TEXT NOT NULL,"                                                              \
    "  kind       INTEGER NOT NULL CHECK(kind BETWEEN 0 AND 4),"                               \
    "  item_id    TEXT NOT NULL,"                                                              \
    "  created_ms INTEGER NOT NULL,"                                                           \
    "  links      INTEGER NOT NULL CHECK(links >= 0)," /* jobs that hold it */                 \
    "  json       TEXT NOT NULL,"                                                              \
    "  UNIQUE(job, kind, item_id)"                                                             \
    ") STRICT;"                                                                                \
    "CREATE TABLE job_items("                                                                  \
    "  job  INTEGER NOT NULL,"                                                                 \
    "  ord  INTEGER NOT NULL," /* batch * 100000 + index */                                    \
    "  iid  INTEGER NOT NULL,"                                                                 \
    "  PRIMARY KEY(job, ord)"                                                                  \
    ") WITHOUT ROWID, STRICT;"                                                                 \
    "CREATE UNIQUE INDEX job_items_once ON job_items(job, iid);"                               \
    "CREATE TABLE marks("                                                                      \
    "  mid        INTEGER PRIMARY KEY,"                                                        \
    "  site       TEXT NOT NULL,"                                                              \
    "  kind       TEXT NOT NULL,"                                                              \
    "  target     TEXT NOT NULL,"                                                              \
    "  variant    TEXT NOT NULL,"                                                              \
    "  posts      TEXT NOT NULL," /* as struct lease says */                                   \
    "  updated_at INTEGER NOT NULL,"                                                           \
    "  UNIQUE(site, kind, target, variant)"                                                    \
    ") STRICT;"                                                                                \
    "CREATE INDEX marks_age ON marks(updated_at);"                                             \
    FIELDS_SQL EVIDENCE_SQL FILES_SQL

#define SCHEMA_SQL SCHEMA_SINCE_3_SQL SCHEMA_OF_3_SQL

/* Which path each field of a record came from, by the hour. */
#define FIELDS_SQL                                                                             \
    "CREATE TABLE field_counts("                                                               \
    "  site    TEXT NOT NULL,"                                                                 \
    "  hour    INTEGER NOT NULL," /* since 1970 */                                             \
    "  version TEXT NOT NULL,"    /* of the site pack */                                       \
    "  name    TEXT NOT NULL,"    /* field, or member that no map knows */                     \
    "  path    INTEGER NOT NULL CHECK(path BETWEEN -2 AND 19)," /* -1 missing, -2 a member */  \
    "  n       INTEGER NOT NULL,"                                                              \
    "  PRIMARY KEY(site, version, name, path, hour)"                                           \
    ") WITHOUT ROWID, STRICT;"                                                                 \
    "CREATE INDEX field_counts_hour ON field_counts(site, hour, version, path);"

/* What jobs read, kept as evidence. The bytes are in files called after their digest; a row of
 * evidence_files is one of them, with how many pieces name it. A file without a row is removed. */
#define EVIDENCE_SQL                                                                           \
    "CREATE TABLE evidence_files("                                                             \
    "  hash   TEXT PRIMARY KEY,"                                                               \
    "  bytes  INTEGER NOT NULL CHECK(bytes >= 0),"                                             \
    "  stored INTEGER NOT NULL CHECK(stored > 0)," /* compressed, on the disk */               \
    "  refs   INTEGER NOT NULL CHECK(refs >= 0)"                                               \
    ") WITHOUT ROWID, STRICT;"                                                                 \
    "CREATE TABLE evidence("                                                                   \
    "  eid      INTEGER PRIMARY KEY AUTOINCREMENT,"                                            \
    "  job      INTEGER NOT NULL,"                                                             \
    "  n        INTEGER NOT NULL,"  /* in the job, from 1, in the order in which they came */  \
    "  kind     INTEGER NOT NULL CHECK(kind BETWEEN 0 AND 2),"                                 \
    "  attempt  INTEGER NOT NULL,"                                                             \
    "  batch    INTEGER NOT NULL,"  /* of the records that were read from it */                \
    "  reason   INTEGER NOT NULL,"  /* failure that it was kept for; 0: always */              \
    "  status   INTEGER NOT NULL,"                                                             \
    "  at       INTEGER NOT NULL,"                                                             \
    "  bytes    INTEGER NOT NULL,"                                                             \
    "  strategy TEXT NOT NULL,"                                                                \
    "  name     TEXT NOT NULL,"                                                                \
    "  url      TEXT NOT NULL,"                                                                \
    "  headers  TEXT NOT NULL,"                                                                \
    "  hash     TEXT NOT NULL,"                                                                \
    "  UNIQUE(job, n)"                                                                         \
    ") STRICT;"                                                                                \
    "CREATE INDEX evidence_at ON evidence(at, eid);"                                           \
    "CREATE TABLE evidence_gaps("                                                              \
    "  job  INTEGER NOT NULL,"                                                                 \
    "  kind INTEGER NOT NULL CHECK(kind BETWEEN 0 AND 2),"                                     \
    "  gap  INTEGER NOT NULL CHECK(gap > 0),"                                                  \
    "  n    INTEGER NOT NULL CHECK(n > 0),"                                                    \
    "  PRIMARY KEY(job, kind, gap)"                                                            \
    ") WITHOUT ROWID, STRICT;"

/* Files of media. Named by their content; `refs` jobs hold them. */
#define FILES_SQL                                                                              \
    "CREATE TABLE files("                                                        \
    "  fid        INTEGER PRIMARY KEY,"                                                        \
    "  hash       TEXT NOT NULL UNIQUE CHECK(length(hash) = 64),"                              \
    "  suffix     TEXT NOT NULL,"                                                              \
    "  mime       TEXT NOT NULL,"                                                              \
    "  bytes      INTEGER NOT NULL CHECK(bytes > 0),"                                          \
    "  first_seen INTEGER NOT NULL,"                                                           \
    "  refs       INTEGER NOT NULL DEFAULT 0 CHECK(refs >= 0)"                                 \
    ") STRICT;"                                                                                \
    "CREATE INDEX files_free ON files(fid) WHERE refs = 0;"                      \
    "CREATE TABLE file_urls(" /* where it came from: not fetched again */        \
    "  site   TEXT NOT NULL,"                                                                  \
    "  url    TEXT NOT NULL,"                                                                  \
    "  fid    INTEGER NOT NULL,"                                                               \
    "  status INTEGER NOT NULL,"                                                               \
    "  at     INTEGER NOT NULL,"                                                               \
    "  PRIMARY KEY(site, url)"                                                                 \
    ") WITHOUT ROWID, STRICT;"                                                                 \
    "CREATE INDEX file_urls_of ON file_urls(fid);"                               \
    "CREATE TABLE job_files("                                                    \
    "  job INTEGER NOT NULL,"                                                                  \
    "  fid INTEGER NOT NULL,"                                                                  \
    "  PRIMARY KEY(job, fid)"                                                                  \
    ") WITHOUT ROWID, STRICT;"

/* Logins. What a session may do now is derived from these facts. `cookies` is sealed. */
#define SESSIONS_SQL                                                                           \
    "CREATE TABLE sessions("                                                                   \
    "  sid            INTEGER PRIMARY KEY,"                                                    \
    "  id             TEXT NOT NULL UNIQUE,"                                                   \
    "  site           TEXT NOT NULL,"                                                          \
    "  pool           TEXT NOT NULL,"                                                          \
    "  name           TEXT NOT NULL,"                                                          \
    "  emit_ms        INTEGER NOT NULL CHECK(emit_ms >= 0)," /* its own rate; 0 none */        \
    "  burst          INTEGER NOT NULL CHECK(burst >= 1),"                                     \
    "  max_active     INTEGER NOT NULL CHECK(max_active >= 1),"                                \
    "  tat            INTEGER NOT NULL DEFAULT 0,"                                             \
    "  used_at        INTEGER NOT NULL DEFAULT 0,"                                             \
    "  last_ok_at     INTEGER NOT NULL DEFAULT 0,"                                             \
    "  fails          INTEGER NOT NULL DEFAULT 0," /* in a row */                              \
    "  locked_at      INTEGER NOT NULL DEFAULT 0," /* by a person; 0 not */                    \
    "  lock_reason    TEXT NOT NULL DEFAULT '',"                                               \
    "  refused_at     INTEGER NOT NULL DEFAULT 0," /* by the site; 0 not */                    \
    "  refusal        TEXT NOT NULL DEFAULT '',"                                               \
    "  cookies        TEXT,"                                                                   \
    "  cookie_count   INTEGER NOT NULL DEFAULT 0,"                                             \
    "  cookie_version INTEGER NOT NULL DEFAULT 0,"                                             \
    "  expires_at     INTEGER NOT NULL DEFAULT 0," /* of the cookies; 0 never */               \
    "  print          TEXT NOT NULL DEFAULT '',"                                               \
    "  created_at     INTEGER NOT NULL,"                                                       \
    "  updated_at     INTEGER NOT NULL,"                                                       \
    "  revision       INTEGER NOT NULL DEFAULT 1,"                                             \
    "  UNIQUE(site, name),"                                                                    \
    "  CHECK((cookies IS NULL) = (print = ''))"                                                \
    ") STRICT;"                                                                                \
    "CREATE INDEX sessions_pool ON sessions(site, pool, name);"                                \
    "CREATE INDEX sessions_name ON sessions(name);"                                            \
    "CREATE TABLE session_rests("                                                              \
    "  session   INTEGER NOT NULL,"                                                            \
    "  operation TEXT NOT NULL," /* '*': all */                                                \
    "  until     INTEGER NOT NULL,"                                                            \
    "  PRIMARY KEY(session, operation)"                                                        \
    ") WITHOUT ROWID, STRICT;"                                                                 \
    "CREATE TABLE session_leases(" /* an active job and the session it was given */            \
    "  job            INTEGER PRIMARY KEY,"                                                    \
    "  session        INTEGER NOT NULL,"                                                       \
    "  operation      TEXT NOT NULL,"                                                          \
    "  cookie_version INTEGER NOT NULL"                                                        \
    ") STRICT;"                                                                                \
    "CREATE INDEX session_leases_of ON session_leases(session);"                               \
    "CREATE TABLE session_hours(" /* jobs it was given to, and their requests, of the last day */                  \
    "  session INTEGER NOT NULL,"                                                              \
    "  hour    INTEGER NOT NULL,"                                                              \
    "  n       INTEGER NOT NULL,"                                                              \
    "  requests INTEGER NOT NULL DEFAULT 0,"                                                   \
    "  PRIMARY KEY(session, hour)"                                                             \
    ") WITHOUT ROWID, STRICT;"
/* clang-format on */
