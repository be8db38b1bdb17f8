/* sql.h - every statement the store runs: THE table. Prepared once per connection.
 *
 * State numbers are those of enum job_state, written out: SQLite uses a partial index only when the
 * query repeats the index's WHERE term literally. INDEXED BY where the planner, which knows no
 * statistics, would take jobs_state and sort. */
#pragma once

#include "store/sqlite/batches_sql.h"
#include "store/sqlite/schedules_sql.h"
#include "store/sqlite/spool_sql.h"
#include "store/sqlite/transfer_sql.h"
#include "store/sqlite/webhooks_sql.h"

#define SQL_JOB_ROW                                                                                      \
    "seq,id,lane_id,state,coalesce(nonce,0),fence,prio,rank,run_at,started,suspect,cancel_req,"          \
    "n_fail,n_crash,n_throttle,n_release,max_fail,max_crash,max_throttle,fail_base,next_batch,"          \
    "job_limit,have,users,site,crash_base,progressed,release_base,counts,mark,needs,generation,over_at," \
    "waits_on,waits_how,coalesce(work,0),deadline_at,shared_from,bytes,instr(spec,'\"callback\":{'),failure"
#define SQL_JOB_VIEW                                                                                                           \
    "j.id,j.site,j.kind,j.target,l.name,j.spec,j.cursor,j.why,j.report,j.state,j.failure,j.verdict,j.end_reason,"              \
    "j.job_limit,j.have,j.users,j.fence,j.n_fail,j.n_crash,j.n_throttle,j.n_release,j.next_batch,"                             \
    "j.created_at,j.run_at,j.started_at,j.finished_at,j.cancel_req,j.revision,j.counts,j.rejected,j.conflicts,j.filtered,"     \
    "j.n_ok,j.n_void,j.generation,j.prio,j.over_at,j.deadline_at,j.unique_key,j.source,"                                       \
    "(SELECT o.id FROM jobs o WHERE o.seq=j.shared_from),j.result_age,"                                                        \
    "coalesce(j.fingerprint,''),coalesce((SELECT b.id FROM batches b WHERE b.bid=j.batch),''),j.rank,j.usage,j.lane_id,j.seq," \
    "j.max_fail,j.n_fail-j.fail_base+j.n_crash-j.crash_base,coalesce(j.worker,''),coalesce(j.lease_until,0)"                   \
    " FROM jobs j JOIN lanes l USING(lane_id)"

#define SQL_FOUND_COLUMNS                                                                      \
    "j.seq,j.id,j.state,j.failure,j.site,j.kind,j.target,l.name,j.created_at,j.run_at,j.spec,coalesce(j.finished_at,0)"
#define SQL_FOUND SQL_FOUND_COLUMNS " FROM jobs j JOIN lanes l USING(lane_id)"
#define SQL_FOUND_ENDED(index)                                                                 \
    SQL_FOUND_COLUMNS " FROM jobs j INDEXED BY " index " CROSS JOIN lanes l USING(lane_id)"

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

/* What ended may go, the oldest first; not what another job waits for, or has the result of. */
#define SQL_NOT_NEEDED                                                                         \
    " AND NOT EXISTS(SELECT 1 FROM jobs f INDEXED BY jobs_shared WHERE f.shared_from IS NOT NULL AND f.shared_from=jobs.seq)" \
    " AND NOT EXISTS(SELECT 1 FROM jobs f INDEXED BY jobs_waits WHERE f.waits_on IS NOT NULL AND f.waits_on=jobs.seq)"
#define SQL_RETAIN_TABLE(X)                                                                    \
    X(SQL_KEPT_BYTES, "SELECT coalesce(sum(bytes),0) FROM jobs INDEXED BY jobs_kept WHERE finished_at IS NOT NULL AND state<>5") \
    X(SQL_KEPT_OLD, "SELECT seq,finished_at,bytes,state,lane_id,needs,id FROM jobs INDEXED BY jobs_kept" \
                    " WHERE finished_at IS NOT NULL AND state<>5" SQL_NOT_NEEDED " ORDER BY finished_at LIMIT ?1") \
    X(SQL_DEAD_OLD, "SELECT seq,finished_at,bytes,state,lane_id,needs,id FROM jobs INDEXED BY jobs_dead" \
                    " WHERE state=5" SQL_NOT_NEEDED " ORDER BY finished_at LIMIT ?1")          \
    X(SQL_NOBODY_NEEDS, "SELECT 1 FROM jobs WHERE seq=?1" SQL_NOT_NEEDED)                         \
    X(SQL_GONE_ADD, "INSERT INTO gone(job,id) VALUES(?1,?2)")                                  \
    X(SQL_GONE, "SELECT job,id FROM gone ORDER BY job LIMIT 1")                                \
    X(SQL_GONE_DELETE, "DELETE FROM gone WHERE job=?1")                                        \
    X(SQL_EVENTS_DELETE, "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE job=?1 ORDER BY seq LIMIT ?2)") \
    X(SQL_EVENTS_PRUNE, "DELETE FROM events WHERE seq IN"                                      \
                        " (SELECT seq FROM (SELECT seq,at FROM events WHERE job='' ORDER BY seq LIMIT ?2) WHERE at<?1)")
#define SQL_SESSION_WHOLE "cookies IS NOT NULL AND locked_at=0 AND (expires_at=0 OR expires_at>"
#define SQL_SESSION_GOOD "refused_at=0 AND " SQL_SESSION_WHOLE
#define SQL_SESSION_CANDIDATE                                                                  \
    "SELECT sid,id,used_at,tat,emit_ms,burst,max_active,"                                      \
    "(SELECT count(*) FROM session_leases l WHERE l.session=s.sid),"                           \
    "max((SELECT coalesce(max(until),0) FROM session_rests r WHERE r.session=s.sid AND r.operation IN (?3,'*'))," \
    "coalesce((SELECT until FROM hands h WHERE h.of=1 AND h.key=s.id),0)),"
#define SQL_SESSION_SHOWN(since)                                                               \
    "sid,id,site,pool,name,emit_ms,burst,tat,max_active,used_at,last_ok_at,fails,cookie_count,expires_at,"       \
    "created_at,updated_at,locked_at,lock_reason,refused_at,refusal,print,revision,"           \
    "(SELECT count(*) FROM session_leases l WHERE l.session=s.sid),"                           \
    "(SELECT coalesce(sum(n),0) FROM session_hours h WHERE h.session=s.sid AND h.hour>" since ")," \
    "(SELECT coalesce(sum(requests),0) FROM session_hours h WHERE h.session=s.sid AND h.hour>" since ")"
#define SQL_HANDS_TABLE(X)                                                                     \
    X(SQL_HAND, "SELECT who,why,at,until FROM hands WHERE of=?1 AND key=?2")                   \
    X(SQL_HAND_SET, "INSERT INTO hands(of,key,who,why,at,until) VALUES(?1,?2,?3,?4,?5,?6)"     \
                    " ON CONFLICT(of,key) DO UPDATE SET who=excluded.who,why=excluded.why,at=excluded.at,until=excluded.until") \
    X(SQL_HAND_DELETE, "DELETE FROM hands WHERE of=?1 AND key=?2")                             \
    X(SQL_HANDS_OVER, "DELETE FROM hands WHERE until<=?1")
#define SQL_SESSIONS_TABLE(X)                                                                  \
    X(SQL_SESSION_FIND, "SELECT sid,id,site,pool,cookie_version,print FROM sessions WHERE id=?1 OR name=?1 LIMIT 2") \
    X(SQL_SESSIONS_NAMED, "SELECT count(*) FROM sessions WHERE site=?1 AND name=?2 AND ?3=?3") \
    X(SQL_SESSIONS_IN_POOL, "SELECT count(*) FROM sessions WHERE site=?1 AND pool=?2 AND ?3=?3") \
    X(SQL_SESSIONS_USABLE, "SELECT count(*) FROM sessions WHERE site=?1 AND pool=?2 AND " SQL_SESSION_GOOD "?3)") \
    X(SQL_SESSION_USED, "SELECT count(*) FROM session_leases WHERE session=(SELECT sid FROM sessions WHERE id=?1)" \
                        " AND ?2=?2 AND ?3=?3")                                                \
    X(SQL_SESSION_ADD, "INSERT INTO sessions(id,site,pool,name,emit_ms,burst,max_active,created_at,updated_at)" \
                       " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?8)")                                  \
    X(SQL_SESSION_COOKIES, "UPDATE sessions SET cookies=?2,cookie_count=?3,expires_at=?4,print=?5," \
                           "cookie_version=cookie_version+1,refused_at=0,refusal='',fails=0,updated_at=?6," \
                           "revision=revision+1 WHERE sid=?1")                                 \
    X(SQL_SESSION_LOCK, "UPDATE sessions SET locked_at=CASE WHEN ?2=0 THEN 0 WHEN locked_at>0 THEN locked_at ELSE ?4 END," \
                        "lock_reason=?3,updated_at=?4,revision=revision+1 WHERE sid=?1")       \
    X(SQL_SESSION_CLOSES, "SELECT cookies IS NOT NULL,refused_at>0,expires_at>0 AND expires_at<=?2,locked_at>0," \
                          "(SELECT count(*) FROM session_rests r WHERE r.session=s.sid AND r.until>?2),fails FROM sessions s WHERE sid=?1") \
    X(SQL_SESSION_CLOSE, "UPDATE sessions SET locked_at=0,lock_reason='',fails=iif(?2,0,fails),updated_at=?3," \
                         "revision=revision+1 WHERE sid=?1")                                   \
    X(SQL_SESSION_TOUCH, "UPDATE sessions SET updated_at=?2,revision=revision+1 WHERE sid=?1") \
    X(SQL_SESSION_DELETE, "DELETE FROM sessions WHERE sid=?1")                                 \
    X(SQL_SESSION_ALONE, SQL_SESSION_CANDIDATE SQL_SESSION_WHOLE "?4) FROM sessions s WHERE site=?1 AND id=?2 LIMIT ?5") \
    X(SQL_SESSION_ALONE_USABLE, "SELECT count(*) FROM sessions WHERE site=?1 AND id=?2 AND " SQL_SESSION_WHOLE "?3)") \
    X(SQL_SESSION_CANDIDATES, SQL_SESSION_CANDIDATE SQL_SESSION_GOOD "?4) FROM sessions s WHERE site=?1 AND pool=?2 ORDER BY name LIMIT ?5") \
    X(SQL_SESSION_TAKE, "UPDATE sessions SET used_at=?2,tat=CASE WHEN emit_ms>0 THEN max(tat,?2)+emit_ms ELSE 0 END," \
                        "revision=revision+1 WHERE sid=?1")                                    \
    X(SQL_SESSION_LEASE, "INSERT INTO session_leases(job,session,operation,cookie_version)"    \
                         " SELECT ?1,sid,?3,cookie_version FROM sessions WHERE sid=?2")        \
    X(SQL_SESSION_RELEASE, "DELETE FROM session_leases WHERE job=?1")                          \
    X(SQL_SESSION_OF_JOB, "SELECT s.sid,s.id,s.site,s.pool,s.cookie_version,l.cookie_version,l.operation,j.pool=s.id" \
                          " FROM session_leases l JOIN sessions s ON s.sid=l.session JOIN jobs j ON j.seq=l.job WHERE l.job=?1") \
    X(SQL_SESSION_SEALED, "SELECT s.id,s.cookie_version,s.cookies FROM session_leases l JOIN sessions s ON s.sid=l.session" \
                          " WHERE l.job=?1 AND s.cookies IS NOT NULL")                         \
    X(SQL_SESSION_OK, "UPDATE sessions SET last_ok_at=?2,fails=0,refused_at=iif(?3,0,refused_at),refusal=iif(?3,'',refusal)," \
                      "revision=revision+1 WHERE sid=?1") \
    X(SQL_SESSION_FAILED, "UPDATE sessions SET fails=fails+1,updated_at=?2,revision=revision+1 WHERE sid=?1") \
    X(SQL_SESSION_REFUSED, "UPDATE sessions SET refused_at=?3,refusal=?2,updated_at=?3,revision=revision+1 WHERE sid=?1") \
    X(SQL_SESSION_REST, "INSERT INTO session_rests(session,operation,until) VALUES(?1,?2,?3)"  \
                        " ON CONFLICT DO UPDATE SET until=max(until,excluded.until)")          \
    X(SQL_SESSION_RESTS, "SELECT operation,until FROM session_rests WHERE session=?1 AND until>?2 ORDER BY operation LIMIT ?3") \
    X(SQL_SESSION_RESTS_OLD, "DELETE FROM session_rests WHERE session=?1 AND until<=?2")       \
    X(SQL_SESSION_RESTS_DELETE, "DELETE FROM session_rests WHERE session=?1")                  \
    X(SQL_SESSION_HOUR, "INSERT INTO session_hours(session,hour,n) VALUES(?1,?2,1) ON CONFLICT DO UPDATE SET n=n+1") \
    X(SQL_SESSION_ASKED, "INSERT INTO session_hours(session,hour,n,requests) VALUES(?1,?2,0,?3)" \
                         " ON CONFLICT DO UPDATE SET requests=requests+?3")                     \
    X(SQL_SESSION_HOURS_OLD, "DELETE FROM session_hours WHERE session=?1 AND hour<=?2")        \
    X(SQL_SESSION_HOURS_DELETE, "DELETE FROM session_hours WHERE session=?1")                  \
    X(SQL_SESSION_VIEW, "SELECT " SQL_SESSION_SHOWN("?2") " FROM sessions s WHERE id=?1")         \
    X(SQL_SESSION_VIEWS, "SELECT " SQL_SESSION_SHOWN("?4") " FROM sessions s WHERE site>=?1 AND site<=?2 AND (?3='' OR pool=?3)" \
                         " ORDER BY site,pool,name")
/* Entries of an index against rows of the table; check.c says which against which. */
#define SQL_CHECK_TABLE(X)                                                                     \
    X(SQL_PAGE_COUNT, "PRAGMA page_count")                                                     \
    X(SQL_CHECK_WHOLLY, "PRAGMA integrity_check(1)")                                           \
    X(SQL_CHECK_NAME, "SELECT name FROM sqlite_schema WHERE type='table' AND name NOT LIKE 'sqlite_%'" \
                       " ORDER BY name LIMIT 1 OFFSET ?1")                                     \
    X(SQL_CHECK_PIECE, "SELECT integrity_check FROM pragma_integrity_check(?1) LIMIT 1")       \
    X(SQL_CHECK_COUNTS, "SELECT (SELECT count(*) FROM jobs NOT INDEXED),"                      \
                        "(SELECT count(*) FROM jobs INDEXED BY sqlite_autoindex_jobs_1 WHERE id>=''),"  \
                        "(SELECT count(*) FROM jobs INDEXED BY jobs_state WHERE state>=0),"    \
                        "(SELECT count(*) FROM jobs INDEXED BY jobs_state WHERE state=2),"     \
                        "(SELECT count(*) FROM jobs INDEXED BY jobs_ready WHERE state=2),"     \
                        "(SELECT count(*) FROM jobs INDEXED BY jobs_state WHERE state=1),"     \
                        "(SELECT count(*) FROM jobs INDEXED BY jobs_due WHERE state=1),"       \
                        "(SELECT count(*) FROM jobs INDEXED BY jobs_state WHERE state=3),"     \
                        "(SELECT count(*) FROM jobs INDEXED BY jobs_lease WHERE state=3),"     \
                        "(SELECT count(*) FROM jobs INDEXED BY jobs_state WHERE state>=4),"    \
                        "((SELECT count(*) FROM jobs INDEXED BY jobs_kept WHERE finished_at IS NOT NULL AND state<>5)" \
                        "+(SELECT count(*) FROM jobs INDEXED BY jobs_dead WHERE state=5))")

#define SQL_TABLE(X)                                                                           \
    X(SQL_PAGE_SIZE, "PRAGMA page_size")                                                       \
    X(SQL_USER_VERSION, "PRAGMA user_version")                                                 \
    X(SQL_VERSION_HELD, "SELECT v FROM meta WHERE k='version'")                                \
    X(SQL_VERSION_HOLD, "INSERT INTO meta(k,v) VALUES('version',?1)")                          \
    X(SQL_VERSION_FREE, "DELETE FROM meta WHERE k='version'")                                  \
    X(SQL_TABLES, "SELECT v,coalesce(at,0) FROM meta WHERE k='tables'")                        \
    X(SQL_EPOCH, "SELECT v FROM meta WHERE k='epoch'")                                         \
    X(SQL_EPOCH_RAISE, "UPDATE meta SET v=v+?1 WHERE k='epoch'")                               \
    X(SQL_META, "SELECT v,who,why,at FROM meta WHERE k=?1")                                    \
    X(SQL_META_SET, "UPDATE meta SET v=?2,who=?3,why=?4,at=?5 WHERE k=?1")                     \
    X(SQL_LANES, "SELECT lane_id,name,pass,tat_ms,blocked_until,br_state,br_fails,br_until,br_trips,br_forced," \
                 "own_weight,own_active,own_emit,own_burst,paused,closed,own_depth,own_overflow,br_since,own_prio,pace,pace_since FROM lanes ORDER BY lane_id") \
    X(SQL_LANE_COUNTS, "SELECT lane_id,state,needs,count(*) FROM jobs WHERE state<=3 GROUP BY lane_id,state,needs") \
    X(SQL_STATE_COUNTS, "SELECT state,count(*) FROM jobs GROUP BY state")                      \
    X(SQL_LANE_ADD, "INSERT INTO lanes(lane_id,name,weight,pass,used_at) VALUES(?1,?2,?3,?4,?5)") \
    X(SQL_LANE_WRITE, "UPDATE lanes SET pass=?2,tat_ms=?3,blocked_until=?4,br_state=?5,br_fails=?6,br_until=?7," \
                      "br_trips=?8,br_forced=?9,own_weight=?10,own_active=?11,own_emit=?12,own_burst=?13,paused=?14,closed=?15," \
                      "used_at=iif(?16>used_at+3600000,?16,used_at),own_depth=?17,own_overflow=?18,br_since=?19,own_prio=?20,pace=?21,pace_since=?22 WHERE lane_id=?1") \
    X(SQL_LANE_NOTE, "UPDATE lanes SET note_by=?2,note_why=?3,note_at=?4 WHERE lane_id=?1")    \
    X(SQL_LANE_VIEW, "SELECT note_by,note_why,note_at FROM lanes WHERE lane_id=?1")            \
    X(SQL_LANE_NAMES, "SELECT lane_id FROM lanes WHERE name>?1 ORDER BY name LIMIT ?2")        \
    X(SQL_LANE_OLDEST, "SELECT run_at FROM jobs INDEXED BY jobs_ready WHERE lane_id=?1 AND state=2 AND needs=?2 ORDER BY rank,seq LIMIT 1") \
    X(SQL_LANE_LAST, "SELECT " SQL_JOB_ROW " FROM jobs INDEXED BY jobs_ready WHERE lane_id=?1 AND state=2 AND needs=?2" \
                     " ORDER BY rank DESC,seq DESC LIMIT 1")                                   \
    X(SQL_LANE_WAITING, "SELECT " SQL_JOB_ROW " FROM jobs INDEXED BY jobs_of_lane WHERE lane_id=?1 AND state<=2 LIMIT ?2") \
    X(SQL_LANES_IDLE, "SELECT lane_id,own_weight=-1 AND own_active=-1 AND own_emit=-1 AND own_burst=-1 AND own_depth=-1 AND own_overflow=-1 AND own_prio=-1 AND paused=0 AND closed=0" \
                      " AND br_forced<=?3 AND NOT EXISTS(SELECT 1 FROM jobs j INDEXED BY jobs_of_lane WHERE j.lane_id=l.lane_id)" \
                      " FROM lanes l INDEXED BY lanes_used WHERE used_at<?1 ORDER BY used_at LIMIT ?2") \
    X(SQL_LANE_KEPT, "UPDATE lanes SET used_at=?2 WHERE lane_id=?1")                           \
    X(SQL_LANE_DELETE, "DELETE FROM lanes WHERE lane_id=?1")                                   \
    X(SQL_LANE_ACTIVE, "SELECT count(*) FROM jobs INDEXED BY jobs_of_lane WHERE lane_id=?1 AND state=3") \
    X(SQL_LIMITS, "SELECT scope,name,max_active,weight,emit_ms,burst,tat_ms FROM limits")      \
    X(SQL_LIMIT_SET, "INSERT INTO limits(scope,name,max_active,weight,emit_ms,burst,tat_ms) VALUES(?1,?2,?3,?4,?5,?6,?7)" \
                     " ON CONFLICT(scope,name) DO UPDATE SET max_active=excluded.max_active,weight=excluded.weight," \
                     "emit_ms=excluded.emit_ms,burst=excluded.burst,tat_ms=excluded.tat_ms")   \
    X(SQL_LIMIT_TAT_OF, "SELECT tat_ms FROM limits WHERE scope=?1 AND name=?2")                \
    X(SQL_LIMIT_TAT, "UPDATE limits SET tat_ms=?3 WHERE scope=?1 AND name=?2")                 \
    X(SQL_REQUEST, "SELECT job,hash,at FROM requests WHERE tenant=?1 AND key=?2")              \
    X(SQL_REQUEST_ADD, "INSERT INTO requests(tenant,key,hash,job,at) VALUES(?1,?2,?3,?4,?5)")  \
    X(SQL_REQUESTS_PRUNE, "DELETE FROM requests WHERE (tenant,key) IN"                         \
                          " (SELECT tenant,key FROM requests INDEXED BY requests_age WHERE at<?1 ORDER BY at LIMIT ?2)") \
    X(SQL_JOB, "SELECT " SQL_JOB_ROW " FROM jobs WHERE id=?1")                                 \
    X(SQL_JOB_BY_SEQ, "SELECT " SQL_JOB_ROW " FROM jobs WHERE seq=?1")                         \
    X(SQL_LIVE_KEY, "SELECT " SQL_JOB_ROW " FROM jobs WHERE tenant=?1 AND unique_key=?2 AND (state=0)=?3" \
                    " AND unique_key IS NOT NULL AND state<=3")                                \
    X(SQL_LIVE_WORK, "SELECT seq FROM jobs INDEXED BY jobs_work WHERE work=?1 AND state<=3 AND work IS NOT NULL" \
                     " AND waits_on IS NULL AND run_at<9007199254740991 ORDER BY seq LIMIT 1")   \
    X(SQL_ANSWER, "SELECT o.seq,o.finished_at FROM jobs a INDEXED BY jobs_answer JOIN jobs o ON o.seq=coalesce(a.shared_from,a.seq)" \
                  " WHERE a.work=?1 AND a.state=4 AND a.work IS NOT NULL ORDER BY a.finished_at DESC LIMIT 1") \
    X(SQL_FRESH, "SELECT o.seq,o.finished_at,a.counts FROM jobs a INDEXED BY jobs_fresh JOIN jobs o ON o.seq=coalesce(a.shared_from,a.seq)" \
                 " WHERE a.tenant=?1 AND a.unique_key=?2 AND a.state=4 AND a.unique_key IS NOT NULL ORDER BY a.finished_at DESC LIMIT 1") \
    X(SQL_FROM, "SELECT seq,id,finished_at,have,users,verdict,end_reason,report,next_batch,shared_from,rejected,conflicts,filtered" \
                " FROM jobs WHERE seq=?1")                                                     \
    X(SQL_ACCEPT, "INSERT INTO jobs(id,site,kind,target,lane_id,spec,job_limit,state,prio,rank,run_at," \
                  "max_fail,max_crash,max_throttle,tenant,created_at,counts,mark,variant,over_at,deadline_at,attempt_ms," \
                  "stall_ms,needs,memory,unique_key,work,waits_on,waits_how,pool,operation,events)" \
                  " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,?25,?26," \
                  "?27,?28,?29,?30,?31,1)")                                                      \
    X(SQL_ANSWERED, "UPDATE jobs SET state=4,fence=fence+1,n_ok=1,have=?2,users=?3,verdict=?4,end_reason=?5,report=?6," \
                    "next_batch=?7,source=?8,shared_from=?9,result_age=?10,finished_at=?11,rejected=?12,conflicts=?13," \
                    "filtered=?14,started_at=coalesce(started_at,?11),waits_on=NULL,waits_how=0,revision=revision+1 WHERE seq=?1") \
    X(SQL_HEAD, "SELECT seq,rank,memory,attempt_ms,pool,operation,site,run_at FROM jobs INDEXED BY jobs_ready WHERE lane_id=?1 AND state=2 AND needs=?2" \
                " ORDER BY rank,seq LIMIT ?3")                                                  \
    X(SQL_LEASE_ROW, "SELECT seq,id,fence,site,kind,target,spec,cursor,job_limit,next_batch,have,run_at,filtered,mark," \
                     "CASE WHEN mark=2 THEN coalesce(known,(SELECT m.posts FROM marks m WHERE m.site=jobs.site AND m.kind=jobs.kind" \
                     " AND m.target=jobs.target AND m.variant=jobs.variant),'') END,"          \
                     "attempt_ms,stall_ms,deadline_at,needs,nonce,usage FROM jobs WHERE seq=?1")     \
    X(SQL_ASKED, "SELECT seq FROM jobs INDEXED BY jobs_asked WHERE worker=?1 AND request=?2 AND state=3 AND request IS NOT NULL") \
    X(SQL_LEASE, "UPDATE jobs SET state=3,fence=fence+1,nonce=?2,worker=?3,lease_until=?4,suspect=0,started=0,progressed=0," \
                 "started_at=coalesce(started_at,?5),known=?6,request=?7,events=events+1,revision=revision+1 WHERE seq=?1") \
    X(SQL_STARTED, "UPDATE jobs SET started=1,revision=revision+1 WHERE id=?1 AND state=3 AND nonce=?2") \
    X(SQL_HEARTBEAT, "UPDATE jobs SET lease_until=?3,suspect=0 WHERE id=?1 AND state=3 AND nonce=?2" \
                     " RETURNING cancel_req")                                                  \
    X(SQL_ITEM_FIND, "SELECT iid FROM items WHERE job=?1 AND kind=?2 AND item_id=?3")          \
    X(SQL_ITEM_ADD, "INSERT INTO items(job,site,kind,item_id,created_ms,json,links) VALUES(?1,?2,?3,?4,?5,?6,1)") \
    X(SQL_ITEM_LINK, "INSERT INTO job_items(job,ord,iid) VALUES(?1,?2,?3)")                    \
    X(SQL_COMMIT, "UPDATE jobs SET next_batch=next_batch+1,cursor=coalesce(?2,cursor),have=?3,users=?4,fail_base=?5,crash_base=?6,progressed=?7,release_base=?8,filtered=filtered+?9,bytes=bytes+?10," \
                  "events=events+?11,revision=revision+1 WHERE seq=?1")                        \
    X(SQL_APART, "UPDATE jobs SET rejected=rejected+?2,conflicts=conflicts+?3 WHERE seq=?1")   \
    X(SQL_LEAVE, "UPDATE jobs SET state=?2,run_at=?3,n_fail=n_fail+?4,n_crash=n_crash+?5,n_throttle=n_throttle+?6," \
                 "n_release=n_release+?7,n_ok=n_ok+?8,n_void=n_void+?9,failure=?10,verdict=?11,end_reason=?12," \
                 "why=?13,report=coalesce(?14,report),finished_at=?15,known=iif(?15 IS NULL,known,NULL),nonce=NULL,worker=NULL,request=NULL,lease_until=NULL," \
                 "suspect=0,started=0,stop_by=NULL,lane_id=?16,usage=coalesce(?17,usage),events=events+1,revision=revision+1 WHERE seq=?1") \
    X(SQL_AHEAD, "SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_ready WHERE lane_id=?1 AND state=2 AND needs=?2" \
                 " AND (rank,seq)<(?3,?4) LIMIT ?5)")                                          \
    X(SQL_USAGE, "SELECT usage FROM jobs WHERE seq=?1")                                        \
    X(SQL_END_WAITING, "UPDATE jobs SET state=?2,failure=?3,why=?4,finished_at=?5,known=NULL,cancel_req=?6,waits_on=NULL," \
                       "waits_how=0,events=events+1,revision=revision+1 WHERE seq=?1")         \
    X(SQL_CANCEL_ACTIVE, "UPDATE jobs SET cancel_req=1,stop_by=?2,revision=revision+1 WHERE seq=?1") \
    X(SQL_STOP_DUE, "SELECT " SQL_JOB_ROW " FROM jobs INDEXED BY jobs_stop WHERE stop_by IS NOT NULL AND stop_by<=?1" \
                    " ORDER BY stop_by,seq LIMIT ?2")                                          \
    X(SQL_FIRST_STOP, "SELECT stop_by FROM jobs INDEXED BY jobs_stop WHERE stop_by IS NOT NULL ORDER BY stop_by,seq LIMIT 1") \
    X(SQL_OVER, "SELECT " SQL_JOB_ROW " FROM jobs INDEXED BY jobs_over WHERE state<=2 AND over_at IS NOT NULL AND over_at<=?1" \
                " ORDER BY over_at,seq LIMIT ?2")                                              \
    X(SQL_FIRST_OVER, "SELECT over_at FROM jobs INDEXED BY jobs_over WHERE state<=2 AND over_at IS NOT NULL ORDER BY over_at,seq LIMIT 1") \
    X(SQL_WAITERS, "SELECT " SQL_JOB_ROW " FROM jobs INDEXED BY jobs_waits WHERE waits_on IS NOT NULL AND waits_on=?1 ORDER BY seq LIMIT ?2") \
    X(SQL_UNSETTLED, "SELECT DISTINCT f.waits_on FROM jobs f INDEXED BY jobs_waits LEFT JOIN jobs l ON l.seq=f.waits_on" \
                     " WHERE f.waits_on IS NOT NULL AND (l.seq IS NULL OR l.state>=4) LIMIT ?1") \
    X(SQL_WAIT_FOR, "UPDATE jobs SET waits_on=?2 WHERE seq=?1")                                \
    X(SQL_UNBLOCK, "UPDATE jobs SET state=?2,run_at=?3,rank=?4,waits_on=NULL,waits_how=0,revision=revision+1 WHERE seq=?1") \
    X(SQL_DUE, "SELECT " SQL_JOB_ROW " FROM jobs INDEXED BY jobs_due WHERE state=1 AND run_at<=?1 ORDER BY run_at,seq LIMIT ?2") \
    X(SQL_DUE_OF_CLOCK, "SELECT " SQL_JOB_ROW " FROM jobs INDEXED BY jobs_due WHERE state=1 AND run_at<=?1" \
                        " AND (fence=0)=?3 ORDER BY run_at,seq LIMIT ?2")                      \
    X(SQL_FIRST_DUE_OF_CLOCK, "SELECT run_at FROM jobs INDEXED BY jobs_due WHERE state=1 AND (fence=0)=?1" \
                              " ORDER BY run_at,seq LIMIT 1")                                  \
    X(SQL_CHANGE, "UPDATE jobs SET state=?2,prio=?3,rank=?4,run_at=?5,over_at=?6,deadline_at=?7,"  \
                  "attempt_ms=iif(?8<0,attempt_ms,?8),stall_ms=iif(?9<0,stall_ms,?9),job_limit=?10," \
                  "events=events+1,revision=revision+1 WHERE seq=?1")                          \
    X(SQL_CHANGE_WORK, "UPDATE jobs SET spec=?2,work=?3 WHERE seq=?1")                         \
    X(SQL_SPEC, "SELECT spec FROM jobs WHERE seq=?1")                                          \
    X(SQL_LABEL, "UPDATE jobs SET spec=?2,events=events+?3,revision=revision+?3 WHERE seq=?1") \
    X(SQL_SHARER, "SELECT id FROM jobs INDEXED BY jobs_waits WHERE waits_on IS NOT NULL AND waits_on=?1 AND waits_how=2" \
                  " ORDER BY seq LIMIT 1")                                                     \
    X(SQL_LATER, "UPDATE jobs SET run_at=?2 WHERE seq=?1")                                     \
    X(SQL_PROMOTE, "UPDATE jobs SET state=2,rank=?2,revision=revision+1 WHERE seq=?1")         \
    X(SQL_LAPSED, "SELECT " SQL_JOB_ROW " FROM jobs INDEXED BY jobs_lease WHERE state=3 AND lease_until<=?1 ORDER BY lease_until,seq LIMIT ?2") \
    X(SQL_SUSPECT, "UPDATE jobs SET suspect=1,lease_until=?2,revision=revision+1 WHERE seq=?1") \
    X(SQL_AMNESTY, "UPDATE jobs INDEXED BY jobs_lease SET lease_until=?2 WHERE state=3 AND lease_until<?1")          \
    X(SQL_FIRST_DUE, "SELECT run_at FROM jobs INDEXED BY jobs_due WHERE state=1 ORDER BY run_at,seq LIMIT 1")      \
    X(SQL_FIRST_LAPSE, "SELECT lease_until FROM jobs INDEXED BY jobs_lease WHERE state=3 ORDER BY lease_until LIMIT 1") \
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
    X(SQL_EVENT_NUMBER, "UPDATE jobs SET events=events+1 WHERE id=?1 RETURNING events")        \
    X(SQL_EVENT_COUNTED, "INSERT INTO events(job,n,kind,at,body) VALUES(?1,(SELECT events FROM jobs WHERE id=?1),?2,?3,?4)") \
    X(SQL_EVENT_ADD, "INSERT INTO events(job,n,kind,at,body) VALUES(?1,?2,?3,?4,?5)")          \
    X(SQL_CLOCK, "SELECT v FROM meta WHERE k='clock'")                                         \
    X(SQL_CLOCK_KEEP, "INSERT INTO meta(k,v) VALUES('clock',?1) ON CONFLICT(k) DO UPDATE SET v=?1") \
    X(SQL_EVENT_LAST_AT, "SELECT at FROM events WHERE seq<=9223372036854775807 ORDER BY seq DESC LIMIT 1")                    \
    X(SQL_EVENT_LAST, "SELECT seq FROM sqlite_sequence WHERE name='events'")                   \
    X(SQL_EVENTS, "SELECT seq,at,job,kind,body,n FROM events WHERE seq>?1 ORDER BY seq LIMIT ?2") \
    X(SQL_EVENTS_OF_JOB, "SELECT seq,at,job,kind,body,n FROM events WHERE job=?3 AND seq>?1 ORDER BY seq LIMIT ?2") \
    X(SQL_VIEW, "SELECT " SQL_JOB_VIEW " WHERE j.id=?1")                                       \
    X(SQL_ITEMS_OF, "SELECT coalesce(shared_from,seq) FROM jobs WHERE id=?1")                  \
    X(SQL_SEQ, "SELECT seq FROM jobs WHERE id=?1")                                             \
    X(SQL_VIEWS, "SELECT " SQL_JOB_VIEW " WHERE j.seq<?1 ORDER BY j.seq DESC LIMIT ?2")        \
    X(SQL_VIEWS_IN_STATE, "SELECT " SQL_JOB_VIEW " WHERE j.state=?3 AND j.seq<?1 ORDER BY j.seq DESC LIMIT ?2") \
    X(SQL_FIND_NEW, "SELECT " SQL_FOUND " WHERE j.seq<?1 ORDER BY j.seq DESC LIMIT ?2")        \
    X(SQL_FIND_OLD, "SELECT " SQL_FOUND " WHERE j.seq>?1 ORDER BY j.seq LIMIT ?2")             \
    X(SQL_FIND_NEW_IN_STATE, "SELECT " SQL_FOUND " WHERE j.state=?3 AND j.seq<?1 ORDER BY j.seq DESC LIMIT ?2") \
    X(SQL_FIND_OLD_IN_STATE, "SELECT " SQL_FOUND " WHERE j.state=?3 AND j.seq>?1 ORDER BY j.seq LIMIT ?2") \
    X(SQL_ENDED, "SELECT coalesce(finished_at,0),state=5,bytes,seq FROM jobs WHERE id=?1")     \
    X(SQL_FIND_ENDED_NEW, "SELECT " SQL_FOUND_ENDED("jobs_kept") " WHERE j.finished_at IS NOT NULL AND j.state<>5" \
                          " AND (j.finished_at,j.bytes,j.seq)<(?1,?2,?3) ORDER BY j.finished_at DESC,j.bytes DESC,j.seq DESC LIMIT ?4") \
    X(SQL_FIND_ENDED_OLD, "SELECT " SQL_FOUND_ENDED("jobs_kept") " WHERE j.finished_at IS NOT NULL AND j.state<>5" \
                          " AND (j.finished_at,j.bytes,j.seq)>(?1,?2,?3) ORDER BY j.finished_at,j.bytes,j.seq LIMIT ?4") \
    X(SQL_FIND_DEAD_NEW, "SELECT " SQL_FOUND_ENDED("jobs_dead") " WHERE j.state=5 AND (j.finished_at,j.seq)<(?1,?2)" \
                         " ORDER BY j.finished_at DESC,j.seq DESC LIMIT ?3")                   \
    X(SQL_FIND_DEAD_OLD, "SELECT " SQL_FOUND_ENDED("jobs_dead") " WHERE j.state=5 AND (j.finished_at,j.seq)>(?1,?2)" \
                         " ORDER BY j.finished_at,j.seq LIMIT ?3")                             \
    X(SQL_ITEMS, "SELECT k.ord,i.kind,i.item_id,i.json FROM job_items k CROSS JOIN items i USING(iid)" \
                 " WHERE k.job=?1 AND k.ord>?2 AND (?3<0 OR i.kind=?3) ORDER BY k.ord LIMIT ?4") \
    SQL_CHECK_TABLE(X)                                                                         \
    SQL_EVIDENCE_TABLE(X)                                                                      \
    SQL_SCHEDULES_TABLE(X)                                                                     \
    SQL_RETAIN_TABLE(X)                                                                        \
    SQL_HANDS_TABLE(X)                                                                         \
    SQL_SESSIONS_TABLE(X)                                                                      \
    SQL_WEBHOOKS_TABLE(X)                                                                      \
    SQL_BATCHES_TABLE(X)                                                                       \
    SQL_SPOOL_TABLE(X)                                                                         \
    SQL_TRANSFER_TABLE(X)                                                                      \
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
