/* transfer_sql.h - rows of moves: what each kind gives, page by page, and how it takes a row; parts of sql.h.
 *
 * SQL_OUT_…: the fields of the kind in their order, then the place behind the row (two numbers, two texts). ?1 to ?4 are the
 * place to begin behind, ?5 is how many. SQL_IN_…: the fields as ?1, ?2 …; what is there already stays. SQL_WITH_…: also done when
 * the row was new, with the same arguments. `?5=?5` only names an argument that the statement does not need. */
#pragma once

/* clang-format off */
#define SQL_TRANSFER_TABLE(X) \
    X(SQL_OUT_SERVICE, "SELECT v,coalesce(who,''),coalesce(why,''),coalesce(at,0),coalesce((SELECT max_active FROM limits WHERE" \
        " scope=0),0),1,?2,?3,?4 FROM meta WHERE k='mode' AND ?1=0 LIMIT ?5") \
    X(SQL_IN_SERVICE, "UPDATE meta SET v=?1,who=nullif(?2,''),why=nullif(?3,''),at=nullif(?4,0) WHERE k='mode' AND ?5=?5") \
    X(SQL_WITH_SERVICE, "INSERT INTO limits(scope,name,max_active) SELECT 0,'',?5 WHERE ?5>0 ON CONFLICT(scope,name) DO UPDATE SET" \
        " max_active=excluded.max_active") \
    X(SQL_OUT_LIMITS, "SELECT scope,name,max_active,weight,emit_ms,iif(emit_ms=0,1,burst),iif(emit_ms=0,0,tat_ms),scope,0,name," \
        "'' FROM limits WHERE scope>0 AND max_active+weight+emit_ms>0 AND (scope,name)>(?1,?3) ORDER BY scope,name" \
        " LIMIT ?5") \
    X(SQL_IN_LIMITS, "INSERT INTO limits(scope,name,max_active,weight,emit_ms,burst,tat_ms) VALUES(?1,?2,?3,?4,?5,?6,?7) ON" \
        " CONFLICT(scope,name) DO NOTHING") \
    X(SQL_OUT_LANES, "SELECT name,tat_ms,blocked_until,br_state,br_fails,br_until,br_trips,br_forced,own_weight,own_active," \
        "own_emit,own_burst,own_depth,own_overflow,paused,closed,coalesce(note_by,''),coalesce(note_why,'')," \
        "coalesce(note_at,0),br_since,own_prio,0,0,name,'' FROM lanes WHERE name>?3 ORDER BY name LIMIT ?5") \
    X(SQL_IN_LANES, "INSERT INTO lanes(name,weight,tat_ms,blocked_until,br_state,br_fails,br_until,br_trips,br_forced," \
        "own_weight,own_active,own_emit,own_burst,own_depth,own_overflow,paused,closed,note_by,note_why,note_at," \
        "br_since,own_prio,used_at) VALUES(?1,max(1,?9),?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,nullif(?17,'')," \
        "nullif(?18,''),nullif(?19,0),?20,?21,CAST(unixepoch() AS INTEGER)*1000) ON CONFLICT(name) DO NOTHING") \
    X(SQL_OUT_SESSIONS, "SELECT id,site,pool,name,emit_ms,burst,max_active,tat,used_at,last_ok_at,fails,locked_at,iif(locked_at>0," \
        "lock_reason,''),refused_at,iif(refused_at>0,refusal,''),coalesce(cookies,''),cookie_count,cookie_version," \
        "expires_at,print,created_at,updated_at,revision,sid,0,'','' FROM sessions WHERE sid>?1 ORDER BY sid LIMIT" \
        " ?5") \
    X(SQL_IN_SESSIONS, "INSERT INTO sessions(id,site,pool,name,emit_ms,burst,max_active,tat,used_at,last_ok_at,fails,locked_at," \
        "lock_reason,refused_at,refusal,cookies,cookie_count,cookie_version,expires_at,print,created_at,updated_at," \
        "revision) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,nullif(?16,''),?17,?18,?19,?20,?21," \
        "?22,?23) ON CONFLICT(id) DO NOTHING") \
    X(SQL_OUT_RESTS, "SELECT s.id,r.operation,r.until,r.session,0,r.operation,'' FROM session_rests r JOIN sessions s ON" \
        " s.sid=r.session WHERE (r.session,r.operation)>(?1,?3) ORDER BY r.session,r.operation LIMIT ?5") \
    X(SQL_IN_RESTS, "INSERT INTO session_rests(session,operation,until) SELECT sid,?2,?3 FROM sessions WHERE id=?1 ON" \
        " CONFLICT(session,operation) DO NOTHING") \
    X(SQL_OUT_HOURS, "SELECT s.id,h.hour,h.n,h.requests,h.session,h.hour,'','' FROM session_hours h JOIN sessions s ON s.sid=h.session" \
        " WHERE (h.session,h.hour)>(?1,?2) ORDER BY h.session,h.hour LIMIT ?5") \
    X(SQL_IN_HOURS, "INSERT INTO session_hours(session,hour,n,requests) SELECT sid,?2,?3,?4 FROM sessions WHERE id=?1 ON CONFLICT(session," \
        "hour) DO NOTHING") \
    X(SQL_OUT_MARKS, "SELECT site,kind,target,variant,posts,updated_at,mid,0,'','' FROM marks WHERE mid>?1 ORDER BY mid LIMIT ?5") \
    X(SQL_IN_MARKS, "INSERT INTO marks(site,kind,target,variant,posts,updated_at) VALUES(?1,?2,?3,?4,?5,?6) ON CONFLICT(site," \
        "kind,target,variant) DO NOTHING") \
    X(SQL_OUT_BATCHES, "SELECT bid,id,tenant,name,sealed,stopped,stop_after,parallel,gone_well,gone_other,coalesce(on_complete," \
        "''),coalesce(on_success,''),coalesce(idem_key,''),coalesce(idem_hash,0),revision,created_at,updated_at," \
        "coalesce(finished_at,0),bid,0,'','' FROM batches WHERE bid>?1 ORDER BY bid LIMIT ?5") \
    X(SQL_IN_BATCHES, "INSERT INTO batches(bid,id,tenant,name,sealed,stopped,stop_after,parallel,gone_well,gone_other," \
        "on_complete,on_success,idem_key,idem_hash,revision,created_at,updated_at,finished_at) VALUES(?1,?2,?3,?4," \
        "?5,?6,?7,?8,?9,?10,nullif(?11,''),nullif(?12,''),nullif(?13,''),iif(?13='',NULL,?14),?15,?16,?17," \
        "nullif(?18,0)) ON CONFLICT(bid) DO NOTHING") \
    X(SQL_OUT_CALLS, "SELECT b.id,c.kind,c.at,coalesce(c.job,''),coalesce(c.due,0),coalesce(c.why,''),c.batch,c.kind,'','' FROM" \
        " batch_calls c JOIN batches b ON b.bid=c.batch WHERE (c.batch,c.kind)>(?1,iif(?1=0,-1,?2)) ORDER BY" \
        " c.batch,c.kind LIMIT ?5") \
    X(SQL_IN_CALLS, "INSERT INTO batch_calls(batch,kind,at,job,due,why) SELECT bid,?2,?3,nullif(?4,''),nullif(?5,0),nullif(?6," \
        "'') FROM batches WHERE id=?1 ON CONFLICT(batch,kind) DO NOTHING") \
    X(SQL_OUT_ADDS, "SELECT b.id,c.key,c.hash,c.added,c.batch,0,c.key,'' FROM batch_adds c JOIN batches b ON b.bid=c.batch" \
        " WHERE (c.batch,c.key)>(?1,?3) ORDER BY c.batch,c.key LIMIT ?5") \
    X(SQL_IN_ADDS, "INSERT INTO batch_adds(batch,key,hash,added) SELECT bid,?2,?3,?4 FROM batches WHERE id=?1 ON" \
        " CONFLICT(batch,key) DO NOTHING") \
    X(SQL_OUT_SCHEDULES, "SELECT id,tenant,name,kind,cron,zone,interval_ms,least_ms,most_ms,posts_wanted,jitter_ms,start_at,end_at," \
        "missed,overlap,catch_up_ms,catch_up_max,grace_ms,ticket,job,coalesce(paused_at,0),paused_by,paused_why," \
        "anchor,last_slot,coalesce(next_at,0),coalesce(last_job,''),fired,skipped,passed,coalesce(found+1,0)," \
        "coalesce(read_at,0),revision,created_at,updated_at,0,0,id,'' FROM schedules WHERE id>?3 ORDER BY id LIMIT" \
        " ?5") \
    X(SQL_IN_SCHEDULES, "INSERT INTO schedules(id,tenant,name,kind,clock,cron,zone,interval_ms,least_ms,most_ms,posts_wanted," \
        "jitter_ms,start_at,end_at,missed,overlap,catch_up_ms,catch_up_max,grace_ms,ticket,job,paused_at,paused_by," \
        "paused_why,anchor,last_slot,next_at,wake,last_job,fired,skipped,passed,found,read_at,revision,created_at," \
        "updated_at) VALUES(?1,?2,?3,?4,?4<>0,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20," \
        "nullif(?21,0),?22,?23,?24,?25,nullif(?26,0),0,nullif(?27,''),?28,?29,?30,iif(?31=0,NULL,?31-1),nullif(?32," \
        "0),?33,?34,?35) ON CONFLICT(id) DO NOTHING") \
    X(SQL_OUT_OPERATIONS, "SELECT o.oid,o.id,o.kind,o.state,coalesce((SELECT b.id FROM batches b WHERE b.bid=o.batch),''),o.failure," \
        "o.site,o.kind_of_job,o.fingerprint,o.since,o.until,o.reset,o.per_minute,o.cursor,o.last,o.due,o.done," \
        "o.skipped,o.created_at,o.updated_at,coalesce(o.finished_at,0),o.many,o.states,iif(o.many,o.class,-1)," \
        "o.tenant,o.target,o.lane,o.held,o.most,o.prio,o.why,o.labels,o.oid,0,'','' FROM operations o WHERE" \
        " o.oid>?1 ORDER BY o.oid LIMIT ?5") \
    X(SQL_IN_OPERATIONS, "INSERT INTO operations(oid,id,kind,state,batch,failure,site,kind_of_job,fingerprint,since,until,reset," \
        "per_minute,cursor,last,due,done,skipped,created_at,updated_at,finished_at,many,states,class,tenant,target," \
        "lane,held,most,prio,why,labels) VALUES(?1,?2,?3,?4,(SELECT bid FROM batches WHERE id=?5),?6,?7,?8,?9,?10," \
        "?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,nullif(?21,0),?22,?23,?24,?25,?26,?27,?28,?29,?30,?31,?32) ON" \
        " CONFLICT(oid) DO NOTHING") \
    X(SQL_OUT_JOBS, "SELECT j.seq,j.id,j.tenant,j.site,j.kind,j.target,j.spec,j.variant,j.pool,j.operation,l.name,j.job_limit," \
        "j.counts,j.state,j.prio,iif(j.state=2,j.rank,0),j.run_at,iif(j.state<2 AND j.run_at=9007199254740991," \
        "j.rank+j.prio*30000,0),coalesce(j.over_at,0),coalesce(j.deadline_at,0),j.attempt_ms,j.stall_ms,j.needs," \
        "j.memory,coalesce(j.unique_key,''),coalesce(j.work,0),coalesce((SELECT w.id FROM jobs w WHERE" \
        " w.seq=j.waits_on),''),coalesce(j.waits_on,0),j.waits_how,j.source,coalesce((SELECT w.id FROM jobs w" \
        " WHERE w.seq=j.shared_from),''),coalesce(j.shared_from,0),j.result_age,j.generation,j.events,j.fence," \
        "j.cancel_req,j.n_fail,j.n_crash,j.n_throttle,j.n_release,j.n_ok,j.n_void,j.max_fail,j.max_crash," \
        "j.max_throttle,j.fail_base,j.crash_base,j.release_base,j.next_batch,coalesce(j.cursor,''),j.have,j.users," \
        "j.bytes,j.rejected,j.conflicts,j.filtered,j.mark,j.mark=2 AND j.known IS NOT NULL,iif(j.mark=2," \
        "coalesce(j.known,''),''),j.failure,j.verdict,j.end_reason,coalesce(j.why,''),coalesce(j.report,'')," \
        "coalesce((SELECT b.id FROM batches b WHERE b.bid=j.batch),''),coalesce(j.fingerprint,''),j.revision," \
        "j.created_at,coalesce(j.started_at,0),coalesce(j.finished_at,0),j.usage,j.seq,0,'','' FROM jobs j CROSS JOIN" \
        " lanes l ON l.lane_id=j.lane_id WHERE j.seq>?1 ORDER BY j.seq LIMIT ?5") \
    X(SQL_IN_JOBS, "INSERT INTO jobs(seq,id,tenant,site,kind,target,spec,variant,pool,operation,lane_id,job_limit,counts," \
        "state,prio,rank,run_at,over_at,deadline_at,attempt_ms,stall_ms,needs,memory,unique_key,work,waits_on," \
        "waits_how,source,shared_from,result_age,generation,events,fence,cancel_req,n_fail,n_crash,n_throttle," \
        "n_release,n_ok,n_void,max_fail,max_crash,max_throttle,fail_base,crash_base,release_base,next_batch,cursor," \
        "have,users,bytes,rejected,conflicts,filtered,mark,known,failure,verdict,end_reason,why,report,batch," \
        "fingerprint,revision,created_at,started_at,finished_at,usage) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,(SELECT" \
        " lane_id FROM lanes WHERE name=?11),?12,?13,?14,?15,CASE WHEN ?14=2 THEN ?16 WHEN ?18<>0 THEN" \
        " ?18-?15*30000 ELSE ?17-?15*30000 END,?17,nullif(?19,0),nullif(?20,0),?21,?22,?23,?24,nullif(?25,'')," \
        "nullif(?26,0),iif(?27='' AND ?28=0,NULL,?28),?29,?30,iif(?31='' AND ?32=0,NULL,?32),?33,?34,?35,?36,?37," \
        "?38,?39,?40,?41,?42,?43,?44,?45,?46,?47,?48,?49,?50,nullif(?51,''),?52,?53,?54,?55,?56,?57,?58,iif(?59," \
        "?60,NULL),?61,?62,?63,nullif(?64,''),nullif(?65,''),(SELECT bid FROM batches WHERE id=?66),nullif(?67,'')," \
        "?68,?69,nullif(?70,0),nullif(?71,0),?72) ON CONFLICT(seq) DO NOTHING") \
    X(SQL_OUT_REQUESTS, "SELECT tenant,key,hash,job,at,0,0,tenant,key FROM requests WHERE (tenant,key)>(?3,?4) ORDER BY tenant,key" \
        " LIMIT ?5") \
    X(SQL_IN_REQUESTS, "INSERT INTO requests(tenant,key,hash,job,at) VALUES(?1,?2,?3,?4,?5) ON CONFLICT(tenant,key) DO NOTHING") \
    X(SQL_OUT_RUNS, "SELECT s.id,r.rid,r.slot,r.cause,r.state,r.why,r.slots,coalesce(r.job,''),r.at,coalesce(r.ended_at,0)," \
        "coalesce(r.job_state,0),coalesce(r.found,0),r.fresh,r.rid,0,'','' FROM schedule_runs r CROSS JOIN" \
        " schedules s ON s.sid=r.sid WHERE r.rid>?1 ORDER BY r.rid LIMIT ?5") \
    X(SQL_IN_RUNS, "INSERT INTO schedule_runs(sid,rid,slot,cause,state,why,slots,job,at,ended_at,job_state,found,fresh)" \
        " SELECT sid,?2,?3,?4,?5,?6,?7,nullif(?8,''),?9,iif(?5=2,?10,NULL),iif(?5=2,?11,NULL),iif(?5=2,?12,NULL)," \
        "?13 FROM schedules WHERE id=?1 ON CONFLICT(rid) DO NOTHING") \
    X(SQL_OUT_WEBHOOKS, "SELECT id,name,url,types,secret,secret_n,coalesce(old_secret,''),old_until,enabled,off_at,off_why,place," \
        "seen,rest_until,fails,failing_at,delivered,failed,dead,missed,last_ok_at,created_at,updated_at,revision,0," \
        "0,id,'' FROM webhooks WHERE id>?3 ORDER BY id LIMIT ?5") \
    X(SQL_IN_WEBHOOKS, "INSERT INTO webhooks(id,name,url,types,secret,secret_n,old_secret,old_until,enabled,off_at,off_why,place," \
        "seen,rest_until,fails,failing_at,delivered,failed,dead,missed,last_ok_at,created_at,updated_at,revision)" \
        " VALUES(?1,?2,?3,?4,?5,?6,nullif(?7,''),?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23," \
        "?24) ON CONFLICT(id) DO NOTHING") \
    X(SQL_OUT_HANDS, "SELECT of,key,who,why,at,until,of,0,key,'' FROM hands WHERE (of,key)>(?1,?3) ORDER BY of,key LIMIT ?5") \
    X(SQL_IN_HANDS, "INSERT INTO hands(of,key,who,why,at,until) VALUES(?1,?2,?3,?4,?5,?6) ON CONFLICT(of,key) DO NOTHING") \
    X(SQL_OUT_DELIVERIES, "SELECT d.did,d.id,w.id,d.seq,d.subject,d.event,d.kind,d.at,d.body,d.state,d.due,d.attempts,d.status,d.why," \
        "d.ended_at,d.did,0,'','' FROM deliveries d CROSS JOIN webhooks w ON w.wid=d.wid WHERE d.did>?1 ORDER BY" \
        " d.did LIMIT ?5") \
    X(SQL_IN_DELIVERIES, "INSERT INTO deliveries(did,id,wid,seq,subject,event,kind,at,body,state,due,attempts,status,why,ended_at)" \
        " SELECT ?1,?2,wid,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15 FROM webhooks WHERE id=?3 ON CONFLICT(did) DO" \
        " NOTHING") \
    X(SQL_OUT_EVENTS, "SELECT seq,job,n,kind,at,body,seq,0,'','' FROM events WHERE seq>?1 AND NOT EXISTS(SELECT 1 FROM gone g" \
        " WHERE g.id=events.job) ORDER BY seq LIMIT ?5") \
    X(SQL_IN_EVENTS, "INSERT INTO events(seq,job,n,kind,at,body) VALUES(?1,?2,?3,?4,?5,?6) ON CONFLICT(seq) DO NOTHING") \
    X(SQL_OUT_RECORDS, "SELECT j.id,k.ord,i.site,i.kind,i.item_id,i.created_ms,i.json,k.job,k.ord,'','' FROM job_items k CROSS" \
        " JOIN jobs j ON j.seq=k.job CROSS JOIN items i ON i.iid=k.iid WHERE (k.job,k.ord)>(?1,iif(?1=0,-1,?2))" \
        " ORDER BY k.job,k.ord LIMIT ?5") \
    X(SQL_IN_RECORDS, "INSERT INTO items(job,site,kind,item_id,created_ms,json,links) SELECT seq,?3,?4,?5,?6,?7,1 FROM jobs" \
        " WHERE id=?1 ON CONFLICT(job,kind,item_id) DO NOTHING") \
    X(SQL_WITH_RECORDS, "INSERT INTO job_items(job,ord,iid) SELECT seq,?2,last_insert_rowid() FROM jobs WHERE id=?1 AND ?7=?7") \
    X(SQL_OUT_BODIES, "SELECT hash,bytes,hash,0,0,hash,'' FROM evidence_files WHERE refs>0 AND hash>?3 ORDER BY hash LIMIT ?5") \
    X(SQL_IN_BODIES, "INSERT INTO evidence_files(hash,bytes,stored,refs) VALUES(?1,?2,?3,0) ON CONFLICT(hash) DO NOTHING") \
    X(SQL_OUT_EVIDENCE, "SELECT j.id,v.n,v.kind,v.attempt,v.batch,v.reason,v.status,v.at,v.bytes,v.strategy,v.name,v.url,v.headers," \
        "v.hash,v.eid,0,'','' FROM evidence v CROSS JOIN jobs j ON j.seq=v.job WHERE v.eid>?1 ORDER BY v.eid LIMIT" \
        " ?5") \
    X(SQL_IN_EVIDENCE, "INSERT INTO evidence(job,n,kind,attempt,batch,reason,status,at,bytes,strategy,name,url,headers,hash)" \
        " SELECT seq,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14 FROM jobs WHERE id=?1 ON CONFLICT(job,n) DO" \
        " NOTHING") \
    X(SQL_WITH_EVIDENCE, "UPDATE evidence_files SET refs=refs+1 WHERE hash=?14") \
    X(SQL_OUT_GAPS, "SELECT j.id,g.kind,g.gap,g.n,g.job,g.kind*100+g.gap,'','' FROM evidence_gaps g CROSS JOIN jobs j ON" \
        " j.seq=g.job WHERE (g.job,g.kind*100+g.gap)>(?1,?2) AND g.job>=?1 ORDER BY g.job,g.kind,g.gap LIMIT ?5") \
    X(SQL_IN_GAPS, "INSERT INTO evidence_gaps(job,kind,gap,n) SELECT seq,?2,?3,?4 FROM jobs WHERE id=?1 ON CONFLICT(job,kind," \
        "gap) DO NOTHING") \
    X(SQL_OUT_FIELDS, "SELECT site,version,name,path,hour,n,hour,path,site,version||char(10)||name FROM field_counts WHERE (site," \
        "version,name,path,hour)>(?3,substr(?4,1,instr(?4,char(10))-1),substr(?4,instr(?4,char(10))+1),iif(?4=''," \
        "-9,?2),?1) ORDER BY site,version,name,path,hour LIMIT ?5") \
    X(SQL_IN_FIELDS, "INSERT INTO field_counts(site,version,name,path,hour,n) VALUES(?1,?2,?3,?4,?5,?6) ON CONFLICT(site," \
        "version,name,path,hour) DO NOTHING") \
    X(SQL_OUT_FILES, "SELECT hash,suffix,mime,bytes,first_seen,hash,fid,0,'','' FROM files WHERE refs>0 AND fid>?1 ORDER BY fid" \
        " LIMIT ?5") \
    X(SQL_IN_FILES, "INSERT INTO files(hash,suffix,mime,bytes,first_seen) SELECT ?1,?2,?3,?4,?5 WHERE ?6=?6 ON CONFLICT(hash)" \
        " DO NOTHING") \
    X(SQL_OUT_URLS, "SELECT u.site,u.url,f.hash,u.status,u.at,u.fid,0,u.site,u.url FROM file_urls u INDEXED BY file_urls_of" \
        " CROSS JOIN files f ON f.fid=u.fid WHERE f.refs>0 AND u.fid>=?1 AND (u.fid,u.site,u.url)>(?1,?3,?4) ORDER" \
        " BY u.fid,u.site,u.url LIMIT ?5") \
    X(SQL_IN_URLS, "INSERT INTO file_urls(site,url,fid,status,at) SELECT ?1,?2,fid,?4,?5 FROM files WHERE hash=?3 ON" \
        " CONFLICT(site,url) DO NOTHING") \
    X(SQL_OUT_HOLDS, "SELECT j.id,f.hash,k.job,k.fid,'','' FROM job_files k CROSS JOIN jobs j ON j.seq=k.job CROSS JOIN files f" \
        " ON f.fid=k.fid WHERE (k.job,k.fid)>(?1,?2) ORDER BY k.job,k.fid LIMIT ?5") \
    X(SQL_IN_HOLDS, "INSERT INTO job_files(job,fid) SELECT j.seq,f.fid FROM jobs j,files f WHERE j.id=?1 AND f.hash=?2 ON" \
        " CONFLICT(job,fid) DO NOTHING") \
    X(SQL_WITH_HOLDS, "UPDATE files SET refs=refs+1 WHERE hash=?2") \
    X(SQL_OUT_COUNTERS, "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name='jobs'),0),coalesce((SELECT seq FROM" \
        " sqlite_sequence WHERE name='events'),0),coalesce((SELECT seq FROM sqlite_sequence WHERE name='batches')," \
        "0),coalesce((SELECT seq FROM sqlite_sequence WHERE name='operations'),0),coalesce((SELECT seq FROM" \
        " sqlite_sequence WHERE name='deliveries'),0),coalesce((SELECT seq FROM sqlite_sequence WHERE" \
        " name='schedule_runs'),0),1,?2,?3,?4 WHERE ?1=0 LIMIT ?5") \
    X(SQL_IN_COUNTERS, "INSERT INTO sqlite_sequence(name,seq) SELECT column1,0 FROM (VALUES('jobs'),('events'),('batches')," \
        "('operations'),('deliveries'),('schedule_runs')) WHERE column1 NOT IN (SELECT name FROM sqlite_sequence)" \
        " AND ?6=?6") \
    X(SQL_WITH_COUNTERS, "UPDATE sqlite_sequence SET seq=CASE name WHEN 'jobs' THEN ?1 WHEN 'events' THEN ?2 WHEN 'batches' THEN ?3" \
        " WHEN 'operations' THEN ?4 WHEN 'deliveries' THEN ?5 WHEN 'schedule_runs' THEN ?6 ELSE seq END") \
    X(SQL_MOVE_MARK, "SELECT v,coalesce(who,''),coalesce(why,''),coalesce(at,0) FROM meta WHERE k='move'") \
    X(SQL_MOVE_MARK_SET, "INSERT INTO meta(k,v,who,why,at) VALUES('move',?1,?2,?3,?4)" \
        " ON CONFLICT(k) DO UPDATE SET v=excluded.v,who=excluded.who,why=excluded.why,at=excluded.at") \
    X(SQL_MOVE_EMPTY, "SELECT count(*) FROM (SELECT 1 FROM jobs UNION ALL SELECT 1 FROM batches UNION ALL SELECT 1 FROM schedules" \
        " UNION ALL SELECT 1 FROM sessions UNION ALL SELECT 1 FROM webhooks UNION ALL SELECT 1 FROM events UNION ALL SELECT 1 FROM lanes" \
        " UNION ALL SELECT 1 FROM limits LIMIT 1)")
/* clang-format on */
