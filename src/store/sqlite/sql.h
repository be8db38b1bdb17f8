/* sql.h - every statement the store runs: THE table. Prepared once per connection.
 *
 * State numbers are those of enum job_state, written out: SQLite uses a partial index only when the
 * query repeats the index's WHERE term literally. INDEXED BY where the planner, which knows no
 * statistics, would take jobs_state and sort. */
#pragma once

#include "store/sqlite/batches_sql.h"

#define SQL_JOB_ROW                                                                            \
    "seq,id,lane_id,state,coalesce(nonce,0),fence,prio,rank,run_at,started,suspect,cancel_req," \
    "n_fail,n_crash,n_throttle,n_release,max_fail,max_crash,max_throttle,fail_base,next_batch," \
    "job_limit,have,users,site,crash_base,progressed,release_base,counts,mark"
#define SQL_JOB_VIEW                                                                           \
    "j.id,j.site,j.kind,j.target,l.name,j.spec,j.cursor,j.why,j.report,j.state,j.failure,j.verdict,j.end_reason," \
    "j.job_limit,j.have,j.users,j.fence,j.n_fail,j.n_crash,j.n_throttle,j.n_release,j.next_batch,"                \
    "j.created_at,j.run_at,j.started_at,j.finished_at,j.cancel_req,j.revision,j.counts,j.rejected,j.conflicts,j.filtered," \
    "j.generation,coalesce(j.fingerprint,''),coalesce((SELECT b.id FROM batches b WHERE b.bid=j.batch),'')" \
    " FROM jobs j JOIN lanes l USING(lane_id)"

/* clang-format off */
#define SQL_EVIDENCE_VIEW \
    "n,kind,attempt,batch,reason,status,at,bytes,strategy,name,url,headers,hash FROM evidence"
#define SQL_EVIDENCE_TABLE(X)                                                                  \
    X(SQL_EVIDENCE_SUM, "SELECT coalesce(sum(stored),0) FROM evidence_files")                  \
    X(SQL_EVIDENCE_USED, "SELECT count(*),coalesce(sum(bytes),0),coalesce(max(n),0),coalesce(sum(kind=?2),0)" \
                         " FROM evidence WHERE job=?1")                                        \
    X(SQL_EVIDENCE_FILE, "SELECT stored FROM evidence_files WHERE hash=?1")                    \
    X(SQL_EVIDENCE_FILE_ADD, "INSERT INTO evidence_files(hash,bytes,stored,refs) VALUES(?1,?2,?3,1)" \
                             " ON CONFLICT(hash) DO UPDATE SET refs=refs+1,stored=excluded.stored")  \
    X(SQL_EVIDENCE_FILE_LESS, "UPDATE evidence_files SET refs=refs-1 WHERE hash=?1")           \
    X(SQL_EVIDENCE_FILE_GONE, "DELETE FROM evidence_files WHERE hash=?1 AND refs=0 RETURNING stored") \
    X(SQL_EVIDENCE_ADD, "INSERT INTO evidence(job,n,kind,attempt,batch,reason,status,at,bytes,strategy,name,url,headers,hash)" \
                        " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)")             \
    X(SQL_EVIDENCE_DELETE, "DELETE FROM evidence WHERE eid=?1")                                \
    X(SQL_EVIDENCE_OLD, "SELECT eid,job,kind,hash FROM evidence WHERE at<?1 ORDER BY at,eid LIMIT ?2") \
    X(SQL_EVIDENCE_OF_JOB, "SELECT eid,job,kind,hash FROM evidence WHERE job=?1 ORDER BY n LIMIT ?2") \
    X(SQL_EVIDENCE_LIST, "SELECT " SQL_EVIDENCE_VIEW " WHERE job=?1 ORDER BY n LIMIT ?2")      \
    X(SQL_EVIDENCE_ONE, "SELECT " SQL_EVIDENCE_VIEW " WHERE job=?1 AND n=?2")                  \
    X(SQL_GAP_ADD, "INSERT INTO evidence_gaps(job,kind,gap,n) VALUES(?1,?2,?3,?4)"             \
                   " ON CONFLICT(job,kind,gap) DO UPDATE SET n=n+excluded.n")                  \
    X(SQL_GAPS, "SELECT kind,gap,n FROM evidence_gaps WHERE job=?1 ORDER BY kind,gap")         \
    X(SQL_GAPS_DELETE, "DELETE FROM evidence_gaps WHERE job=?1")                               \
    X(SQL_ITEM_READ, "SELECT iid,json FROM items WHERE job=?1 AND kind=?2 AND item_id=?3")     \
    X(SQL_ITEM_REPLACE, "UPDATE items SET json=?2,created_ms=?3 WHERE iid=?1")                 \
    X(SQL_JOB_FACTS, "SELECT revision,failure,n_void FROM jobs WHERE seq=?1")                  \
    X(SQL_REPAIR, "UPDATE jobs SET state=4,failure=0,verdict=?2,end_reason=?3,why=?4,report=coalesce(?5,report)," \
                  "n_ok=1,n_fail=n_fail-?6,n_crash=n_crash-?7,n_throttle=n_throttle-?8,n_release=n_release-?9,n_void=n_void-?10," \
                  "fail_base=min(fail_base,n_fail-?6),crash_base=min(crash_base,n_crash-?7),"  \
                  "release_base=min(release_base,n_release-?9),finished_at=?11,fingerprint=NULL,revision=revision+1 WHERE seq=?1")

#define SQL_TABLE(X)                                                                           \
    X(SQL_PAGE_SIZE, "PRAGMA page_size")                                                       \
    X(SQL_USER_VERSION, "PRAGMA user_version")                                                 \
    X(SQL_LANES, "SELECT lane_id,name,weight,pass,tat_ms,blocked_until,br_state,br_fails,br_until,br_trips" \
                 " FROM lanes ORDER BY lane_id")                                               \
    X(SQL_LANE_COUNTS, "SELECT lane_id,state,count(*) FROM jobs GROUP BY lane_id,state")       \
    X(SQL_LANE_ADD, "INSERT INTO lanes(lane_id,name,weight) VALUES(?1,?2,?3)")                 \
    X(SQL_LANE_WRITE, "UPDATE lanes SET pass=?2,tat_ms=?3,blocked_until=?4,br_state=?5,br_fails=?6,br_until=?7," \
                      "br_trips=?8 WHERE lane_id=?1")                                          \
    X(SQL_JOB, "SELECT " SQL_JOB_ROW " FROM jobs WHERE id=?1")                                 \
    X(SQL_JOB_BY_KEY, "SELECT id,idem_hash FROM jobs WHERE idem_key=?1")                       \
    X(SQL_ACCEPT, "INSERT INTO jobs(id,site,kind,target,lane_id,spec,job_limit,state,prio,rank,run_at," \
                  "max_fail,max_crash,max_throttle,idem_key,idem_hash,created_at,counts,mark,variant)" \
                  " VALUES(?1,?2,?3,?4,?5,?6,?7,2,?8,?9,?10,?11,?12,?13,?14,?15,?10,?16,?17,?18)") \
    X(SQL_NEXT_READY, "SELECT seq,id,fence,site,kind,target,spec,cursor,job_limit,next_batch,have,run_at,filtered,mark," \
                      "CASE WHEN mark=2 THEN coalesce(known,(SELECT m.posts FROM marks m WHERE m.site=jobs.site AND m.kind=jobs.kind" \
                      " AND m.target=jobs.target AND m.variant=jobs.variant),'') END"            \
                      " FROM jobs INDEXED BY jobs_ready WHERE lane_id=?1 AND state=2 ORDER BY rank,seq LIMIT 1")     \
    X(SQL_LEASE, "UPDATE jobs SET state=3,fence=fence+1,nonce=?2,worker=?3,lease_until=?4,suspect=0,started=0,progressed=0," \
                 "started_at=coalesce(started_at,?5),known=?6,revision=revision+1 WHERE seq=?1") \
    X(SQL_STARTED, "UPDATE jobs SET started=1,revision=revision+1 WHERE id=?1 AND state=3 AND nonce=?2") \
    X(SQL_HEARTBEAT, "UPDATE jobs SET lease_until=?3,suspect=0 WHERE id=?1 AND state=3 AND nonce=?2" \
                     " RETURNING cancel_req")                                                  \
    X(SQL_ITEM_FIND, "SELECT iid FROM items WHERE job=?1 AND kind=?2 AND item_id=?3")          \
    X(SQL_ITEM_ADD, "INSERT INTO items(job,site,kind,item_id,created_ms,json,links) VALUES(?1,?2,?3,?4,?5,?6,1)") \
    X(SQL_ITEM_LINK, "INSERT INTO job_items(job,ord,iid) VALUES(?1,?2,?3)")                    \
    X(SQL_COMMIT, "UPDATE jobs SET next_batch=next_batch+1,cursor=coalesce(?2,cursor),have=?3,users=?4,fail_base=?5,crash_base=?6,progressed=?7,release_base=?8,filtered=filtered+?9," \
                  "revision=revision+1 WHERE seq=?1")                                          \
    X(SQL_APART, "UPDATE jobs SET rejected=rejected+?2,conflicts=conflicts+?3 WHERE seq=?1")   \
    X(SQL_LEAVE, "UPDATE jobs SET state=?2,run_at=?3,n_fail=n_fail+?4,n_crash=n_crash+?5,n_throttle=n_throttle+?6," \
                 "n_release=n_release+?7,n_ok=n_ok+?8,n_void=n_void+?9,failure=?10,verdict=?11,end_reason=?12," \
                 "why=?13,report=coalesce(?14,report),finished_at=?15,known=iif(?15 IS NULL,known,NULL),nonce=NULL,worker=NULL,lease_until=NULL," \
                 "suspect=0,started=0,revision=revision+1 WHERE seq=?1")                       \
    X(SQL_CANCEL_WAITING, "UPDATE jobs SET state=6,failure=?2,finished_at=?3,known=NULL,cancel_req=1,revision=revision+1" \
                          " WHERE seq=?1")                                                     \
    X(SQL_CANCEL_ACTIVE, "UPDATE jobs SET cancel_req=1,revision=revision+1 WHERE seq=?1")      \
    X(SQL_DUE, "SELECT seq,lane_id,run_at,prio FROM jobs INDEXED BY jobs_due WHERE state=1 AND run_at<=?1 ORDER BY run_at,seq LIMIT ?2") \
    X(SQL_PROMOTE, "UPDATE jobs SET state=2,rank=?2,revision=revision+1 WHERE seq=?1")         \
    X(SQL_LAPSED, "SELECT " SQL_JOB_ROW " FROM jobs INDEXED BY jobs_lease WHERE state=3 AND lease_until<=?1 ORDER BY lease_until,seq LIMIT ?2") \
    X(SQL_SUSPECT, "UPDATE jobs SET suspect=1,lease_until=?2,revision=revision+1 WHERE seq=?1") \
    X(SQL_AMNESTY, "UPDATE jobs INDEXED BY jobs_lease SET lease_until=?2 WHERE state=3 AND lease_until<?1")          \
    X(SQL_FIRST_DUE, "SELECT run_at FROM jobs INDEXED BY jobs_due WHERE state=1 ORDER BY run_at,seq LIMIT 1")      \
    X(SQL_FIRST_LAPSE, "SELECT lease_until FROM jobs INDEXED BY jobs_lease WHERE state=3 ORDER BY lease_until LIMIT 1") \
    X(SQL_OLD, "SELECT seq,state FROM jobs WHERE finished_at IS NOT NULL AND finished_at<?1 ORDER BY finished_at LIMIT ?2") \
    X(SQL_UNLINK_COUNT, "UPDATE items SET links=links-1 WHERE iid IN"                          \
                        " (SELECT iid FROM job_items WHERE job=?1 ORDER BY ord LIMIT ?2)")     \
    X(SQL_UNLINK_DELETE, "DELETE FROM items WHERE links=0 AND iid IN"                          \
                         " (SELECT iid FROM job_items WHERE job=?1 ORDER BY ord LIMIT ?2)")    \
    X(SQL_UNLINK, "DELETE FROM job_items WHERE job=?1 AND ord IN"                              \
                  " (SELECT ord FROM job_items WHERE job=?1 ORDER BY ord LIMIT ?2)")           \
    X(SQL_MARK, "SELECT m.posts FROM marks m JOIN jobs j USING(site,kind,target,variant) WHERE j.seq=?1") \
    X(SQL_MARK_POSTS, "SELECT i.item_id,i.created_ms FROM job_items k CROSS JOIN items i USING(iid)" \
                      " WHERE k.job=?1 AND i.kind=0 ORDER BY k.ord LIMIT ?2")                  \
    X(SQL_MARK_MOVE, "INSERT INTO marks(site,kind,target,variant,posts,updated_at)"            \
                     " SELECT site,kind,target,variant,?2,?3 FROM jobs WHERE seq=?1"           \
                     " ON CONFLICT(site,kind,target,variant) DO UPDATE SET posts=excluded.posts,updated_at=excluded.updated_at") \
    X(SQL_MARKS_PRUNE, "DELETE FROM marks WHERE mid IN"                                        \
                       " (SELECT mid FROM marks WHERE updated_at<?1 ORDER BY updated_at LIMIT ?2)") \
    X(SQL_JOB_DELETE, "DELETE FROM jobs WHERE seq=?1")                                         \
    X(SQL_EVENT_ADD, "INSERT INTO events(job,kind,at,body) VALUES(?1,?2,?3,?4)")               \
    X(SQL_EVENTS_PRUNE, "DELETE FROM events WHERE seq IN"                                      \
                        " (SELECT seq FROM (SELECT seq,at FROM events ORDER BY seq LIMIT ?2) WHERE at<?1)") \
    X(SQL_EVENT_LAST, "SELECT seq FROM sqlite_sequence WHERE name='events'")                   \
    X(SQL_EVENTS, "SELECT seq,at,job,kind,body FROM events WHERE seq>?1 ORDER BY seq LIMIT ?2") \
    X(SQL_EVENTS_OF_JOB, "SELECT seq,at,job,kind,body FROM events WHERE job=?3 AND seq>?1 ORDER BY seq LIMIT ?2") \
    X(SQL_VIEW, "SELECT " SQL_JOB_VIEW " WHERE j.id=?1")                                       \
    X(SQL_SEQ, "SELECT seq FROM jobs WHERE id=?1")                                             \
    X(SQL_VIEWS, "SELECT " SQL_JOB_VIEW " WHERE j.seq<?1 ORDER BY j.seq DESC LIMIT ?2")        \
    X(SQL_VIEWS_IN_STATE, "SELECT " SQL_JOB_VIEW " WHERE j.state=?3 AND j.seq<?1 ORDER BY j.seq DESC LIMIT ?2") \
    X(SQL_ITEMS, "SELECT k.ord,i.kind,i.item_id,i.json FROM job_items k CROSS JOIN items i USING(iid)" \
                 " WHERE k.job=?1 AND k.ord>?2 AND (?3<0 OR i.kind=?3) ORDER BY k.ord LIMIT ?4") \
    SQL_EVIDENCE_TABLE(X)                                                                      \
    SQL_BATCHES_TABLE(X)                                                                       \
    X(SQL_FILE_BY_HASH, "SELECT fid,hash,suffix,mime,bytes,first_seen,0 FROM files WHERE hash=?1") \
    X(SQL_FILE_BY_URL, "SELECT f.fid,f.hash,f.suffix,f.mime,f.bytes,u.at,u.status FROM file_urls u" \
                       " JOIN files f USING(fid) WHERE u.site=?1 AND u.url=?2")                \
    X(SQL_FILE_ADD, "INSERT INTO files(hash,suffix,mime,bytes,first_seen) VALUES(?1,?2,?3,?4,?5)") \
    X(SQL_FILE_URL_ADD, "INSERT OR REPLACE INTO file_urls(site,url,fid,status,at) VALUES(?1,?2,?3,?4,?5)") \
    X(SQL_JOB_FILE_ADD, "INSERT OR IGNORE INTO job_files(job,fid) VALUES(?1,?2)")              \
    X(SQL_FILE_HELD, "UPDATE files SET refs=refs+1 WHERE fid=?1")                              \
    X(SQL_JOB_FILE_BYTES, "SELECT coalesce(sum(f.bytes),0) FROM job_files k JOIN files f USING(fid) WHERE k.job=?1") \
    X(SQL_FILE_TOTALS, "SELECT count(*),coalesce(sum(bytes),0) FROM files")                    \
    X(SQL_FILES_LET_GO, "UPDATE files SET refs=refs-1 WHERE fid IN"                            \
                        " (SELECT fid FROM job_files WHERE job=?1 ORDER BY fid LIMIT ?2)")     \
    X(SQL_JOB_FILES_DELETE, "DELETE FROM job_files WHERE job=?1 AND fid IN"                    \
                            " (SELECT fid FROM job_files WHERE job=?1 ORDER BY fid LIMIT ?2)") \
    X(SQL_FILES_FREE, "SELECT fid,hash,suffix,mime,bytes,first_seen,0 FROM files INDEXED BY files_free WHERE refs=0 ORDER BY fid LIMIT ?1") \
    X(SQL_FILE_URLS_DELETE, "DELETE FROM file_urls WHERE fid=?1")                              \
    X(SQL_FILE_DELETE, "DELETE FROM files WHERE fid=?1")                                       \
    X(SQL_FIELD_ROWS, "SELECT count(*),coalesce(sum(path=-2),0) FROM field_counts WHERE site=?1 AND hour=?2 AND version=?3") \
    X(SQL_FIELD_ADD, "INSERT INTO field_counts(site,hour,version,name,path,n) VALUES(?1,?2,?3,?4,?5,?6)" \
                     " ON CONFLICT DO UPDATE SET n=n+excluded.n")                              \
    X(SQL_FIELD_VERSION, "SELECT version FROM field_counts WHERE site=?1 ORDER BY hour DESC LIMIT 1") \
    X(SQL_FIELDS, "SELECT name,path,sum(CASE WHEN hour>=?3 THEN n ELSE 0 END),sum(CASE WHEN hour<?3 THEN n ELSE 0 END)," \
                  "min(hour) FROM field_counts WHERE site=?1 AND version=?2 AND hour>=?4"  \
                  " GROUP BY name,path ORDER BY name,path")                                    \
    X(SQL_FIELD_SITE, "SELECT min(site) FROM field_counts WHERE site>?1")                      \
    X(SQL_FIELDS_PRUNE, "DELETE FROM field_counts WHERE site=?1 AND hour<?2")
/* clang-format on */

#define SQL_ID(id, text) id,
enum sql { SQL_TABLE(SQL_ID) SQL_COUNT };
#undef SQL_ID
