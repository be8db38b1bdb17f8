/* sql.h - every statement the archive runs: THE table. Prepared once per connection, when first
 * used.
 *
 * Tables are those of schema.h. A result is what records belong to: a job has one, and jobs
 * that share their records have the same. */
#pragma once

/* clang-format off */

/* A job's row as struct held_job reads it. */
#define SQL_HELD \
    "seq,coalesce(result,0),shared::int,next_batch,posts,users,unavailable,rejected,conflicts,bytes"
/* Of rows (kind, bytes). */
#define SQL_SUMS \
    "count(*) FILTER (WHERE kind=0) AS posts,count(*) FILTER (WHERE kind=1) AS users," \
    "count(*) FILTER (WHERE kind=2) AS unavailable,count(*) FILTER (WHERE kind=3) AS rejected," \
    "count(*) FILTER (WHERE kind=4) AS conflicts,coalesce(sum(bytes),0)::bigint AS bytes"
#define SQL_COUNT_BY(sign) \
    "posts=j.posts" sign "s.posts,users=j.users" sign "s.users,unavailable=j.unavailable" sign "s.unavailable," \
    "rejected=j.rejected" sign "s.rejected,conflicts=j.conflicts" sign "s.conflicts,bytes=j.bytes" sign "s.bytes"
#define SQL_COUNTED "j.posts,j.users,j.unavailable,j.rejected,j.conflicts,j.bytes"

#define SQL_COUNTS_ADD_TEXT \
    "UPDATE fulmar_jobs SET next_batch=greatest(next_batch,$2),posts=posts+$3,users=users+$4," \
    "unavailable=unavailable+$5,rejected=rejected+$6,conflicts=conflicts+$7,bytes=bytes+$8 WHERE seq=$1"
#define SQL_RECORDS_TABLE(X)                                                                   \
    /* The fence: no row comes back when a newer lease has written for this job. */            \
    X(SQL_FENCE, "INSERT INTO fulmar_jobs AS j(id,epoch,fence) VALUES($1,$2,$3)"               \
        " ON CONFLICT(id) DO UPDATE SET epoch=excluded.epoch,fence=excluded.fence"             \
        " WHERE (j.epoch,j.fence)<=(excluded.epoch,excluded.fence) RETURNING " SQL_HELD)       \
    /* The row of who holds no lease: as it is, locked; made when there is none. */         \
    X(SQL_JOB_MAKE, "INSERT INTO fulmar_jobs AS j(id,epoch,fence) VALUES($1,0,0)"              \
        " ON CONFLICT(id) DO UPDATE SET epoch=j.epoch RETURNING " SQL_HELD)                    \
    X(SQL_JOB_LOCK, "SELECT " SQL_HELD " FROM fulmar_jobs WHERE id=$1 FOR UPDATE")             \
    X(SQL_RESULT_NEW, "WITH n AS (INSERT INTO fulmar_results(site,holders) SELECT coalesce(nullif($2,'')," \
        "(SELECT site FROM fulmar_results WHERE result=$3),''),1 RETURNING result) "           \
         \
        "UPDATE fulmar_jobs j SET result=n.result,shared=false,next_batch=0,posts=0,users=0,unavailable=0," \
        "rejected=0,conflicts=0,bytes=0 FROM n WHERE j.seq=$1 RETURNING n.result")             \
    X(SQL_RESULT_LESS, "UPDATE fulmar_results SET holders=holders-1 WHERE result=$1")          \
    X(SQL_RESULT_MORE, "UPDATE fulmar_results SET holders=holders+1 WHERE result=$1")          \
    X(SQL_RESULT_COPY, "WITH copied AS (INSERT INTO fulmar_records(result,ord,kind,id,created_ms,json)" \
        "  SELECT $2,ord,kind,id,created_ms,json FROM fulmar_records WHERE result=$3 AND ord<$4 ORDER BY ord" \
        "  RETURNING kind,octet_length(json) AS bytes),"                                       \
        "s AS (SELECT " SQL_SUMS " FROM copied) "                                              \
        "UPDATE fulmar_jobs j SET next_batch=$5," SQL_COUNT_BY("+") " FROM s WHERE j.seq=$1"   \
        " RETURNING " SQL_COUNTED)                                                             \
    X(SQL_REWIND, "WITH gone AS (DELETE FROM fulmar_records WHERE result=$2 AND ord>=$3"       \
        "  RETURNING kind,octet_length(json) AS bytes),"                                       \
        "s AS (SELECT " SQL_SUMS " FROM gone) "                                                \
        "UPDATE fulmar_jobs j SET next_batch=least(j.next_batch,$4)," SQL_COUNT_BY("-") " FROM s WHERE j.seq=$1" \
        " RETURNING " SQL_COUNTED)                                                             \
    /* Which of these the result has, by their numbers. LIMIT keeps this a look into the index for each, \
     * whatever the planner thinks of sizes. */                                                \
    X(SQL_RECORDS_KNOWN, "SELECT g.n FROM unnest($2::bigint[],$3::text[]) WITH ORDINALITY AS g(kind,id,n)" \
        " JOIN LATERAL (SELECT FROM fulmar_records r WHERE r.result=$1 AND r.kind=g.kind AND r.id=g.id LIMIT 1) o ON true") \
    X(SQL_RECORDS_ADD, "WITH added AS (INSERT INTO fulmar_records(result,ord,created_ms,kind,id,json)" \
        "  SELECT $9,g.* FROM unnest($10::bigint[],$11::bigint[],$12::bigint[],$13::text[],$14::text[]) AS g) " \
        SQL_COUNTS_ADD_TEXT)                                                                   \
    X(SQL_COUNTS_ADD, SQL_COUNTS_ADD_TEXT)                                       \
    X(SQL_RECORDS_REPLACE, "WITH changed AS (UPDATE fulmar_records r SET json=g.json,created_ms=g.created_ms" \
        "  FROM unnest($3::bigint[],$4::text[],$5::bigint[],$6::text[]) AS g(kind,id,created_ms,json)" \
        "  JOIN LATERAL (SELECT ctid,octet_length(o.json) AS bytes FROM fulmar_records o"      \
        "    WHERE o.result=$2 AND o.kind=g.kind AND o.id=g.id AND o.json<>g.json LIMIT 1) o ON true" \
        "  WHERE r.ctid=o.ctid RETURNING octet_length(g.json)-o.bytes AS more),"               \
        "s AS (SELECT count(*) AS n,coalesce(sum(more),0)::bigint AS more FROM changed) "      \
        "UPDATE fulmar_jobs j SET bytes=j.bytes+s.more FROM s WHERE j.seq=$1 RETURNING s.n,j.bytes") \
    X(SQL_RECORDS, "SELECT ord,kind,id,json FROM fulmar_records"                               \
        " WHERE result=(SELECT result FROM fulmar_jobs WHERE id=$1) AND ord>$2 AND ($3::bigint<0 OR kind=$3)" \
        " ORDER BY ord LIMIT $4")                                                              \
    X(SQL_NEWEST, "SELECT created_ms,id FROM fulmar_records"                                   \
        " WHERE result=(SELECT result FROM fulmar_jobs WHERE id=$1) AND kind=0 ORDER BY ord LIMIT $2")

/* Forgetting: the job is gone at once, what it brought in bounded pieces. */
#define SQL_KEEP_TABLE(X)                                                                      \
    X(SQL_SHARED_MARK, "UPDATE fulmar_jobs SET shared=true WHERE seq=$1")                      \
    X(SQL_SHARE, "UPDATE fulmar_jobs t SET shared=true,result=f.result,next_batch=f.next_batch,posts=f.posts," \
        "users=f.users,unavailable=f.unavailable,rejected=f.rejected,conflicts=f.conflicts,bytes=f.bytes" \
        " FROM fulmar_jobs f WHERE t.seq=$1 AND f.seq=$2")                                     \
    X(SQL_FORGET_JOBS, "WITH gone AS (DELETE FROM fulmar_jobs WHERE seq IN"                    \
        "  (SELECT seq FROM fulmar_jobs WHERE id=ANY($1::text[]) ORDER BY seq FOR UPDATE) RETURNING seq,result)," \
        "kept AS (INSERT INTO fulmar_forgotten(seq) SELECT seq FROM gone)"                     \
        "SELECT coalesce(result,0) FROM gone")                                                 \
    X(SQL_FORGET_RESULTS, "UPDATE fulmar_results r SET holders=holders-g.n FROM"               \
        " (SELECT result,count(*)::int AS n FROM unnest($1::bigint[]) AS result GROUP BY result) g" \
        " WHERE r.result=g.result")                                                            \
    X(SQL_FORGOTTEN, "SELECT seq FROM fulmar_forgotten ORDER BY seq LIMIT 1 FOR UPDATE SKIP LOCKED") \
    X(SQL_FORGOTTEN_END, "WITH gaps AS (DELETE FROM fulmar_gaps WHERE job=$1) DELETE FROM fulmar_forgotten WHERE seq=$1") \
    X(SQL_RESULT_FREE, "SELECT result FROM fulmar_results WHERE holders=0 ORDER BY result LIMIT 1 FOR UPDATE SKIP LOCKED") \
    X(SQL_RESULT_EMPTY, "WITH gone AS (DELETE FROM fulmar_records WHERE ctid=ANY(ARRAY("       \
        "  SELECT ctid FROM fulmar_records WHERE result=$1 LIMIT $2)) RETURNING 1) SELECT count(*) FROM gone") \
    X(SQL_RESULT_END, "DELETE FROM fulmar_results WHERE result=$1")                            \
    X(SQL_LEFT, "SELECT (EXISTS(SELECT FROM fulmar_forgotten) OR EXISTS(SELECT FROM fulmar_results WHERE holders=0))::int") \
    X(SQL_JOBS, "SELECT id FROM fulmar_jobs WHERE id>$1 ORDER BY id LIMIT $2")                 \
    X(SQL_SIZES, "SELECT (SELECT count(*) FROM fulmar_jobs),n,(SELECT count(*) FROM fulmar_evidence)," \
        "bytes+(SELECT coalesce(sum(stored),0) FROM fulmar_bodies)::bigint FROM (SELECT "      \
        "coalesce(sum(posts+users+unavailable+rejected+conflicts),0)::bigint AS n,"            \
        "coalesce(sum(bytes),0)::bigint AS bytes FROM (SELECT DISTINCT ON (result) * FROM fulmar_jobs" \
        " WHERE result IS NOT NULL ORDER BY result) d) r")

#define SQL_EVIDENCE_VIEW \
    "n,kind,attempt,batch,reason,status,at,bytes,strategy,name,url,headers,hash FROM fulmar_evidence"
#define SQL_EVIDENCE_OLD_COLUMNS "SELECT eid,job,kind,hash FROM fulmar_evidence"
#define SQL_EVIDENCE_TABLE(X)                                                                  \
    X(SQL_EVIDENCE_USED, "SELECT count(*),coalesce(sum(bytes),0)::bigint,coalesce(max(n),0),"  \
        "count(*) FILTER (WHERE kind=$2) FROM fulmar_evidence WHERE job=$1")                   \
    X(SQL_BODY_AGAIN, "UPDATE fulmar_bodies SET refs=refs+1 WHERE hash=$1 RETURNING refs")     \
    X(SQL_BODY_ADD, "INSERT INTO fulmar_bodies(hash,bytes,stored,refs,frame) VALUES($1,$2,$3,1,$4)" \
        " ON CONFLICT(hash) DO UPDATE SET refs=fulmar_bodies.refs+1")                          \
    X(SQL_BODY, "SELECT frame FROM fulmar_bodies WHERE hash=$1")                               \
    X(SQL_BODY_LESS, "UPDATE fulmar_bodies SET refs=refs-1 WHERE hash=$1 RETURNING refs,stored") \
    X(SQL_BODY_GONE, "DELETE FROM fulmar_bodies WHERE hash=$1 AND refs=0")                     \
    X(SQL_BODIES_SUM, "SELECT coalesce(sum(stored),0)::bigint FROM fulmar_bodies")             \
    X(SQL_EVIDENCE_ADD, "INSERT INTO fulmar_evidence(job,n,kind,attempt,batch,reason,status,at,bytes,strategy,name,url,headers,hash)" \
        " VALUES($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)")                             \
    X(SQL_EVIDENCE_DELETE, "DELETE FROM fulmar_evidence WHERE eid=$1 RETURNING eid")           \
    X(SQL_EVIDENCE_OLD, SQL_EVIDENCE_OLD_COLUMNS " WHERE at<$1 ORDER BY at,eid LIMIT $2")      \
    X(SQL_EVIDENCE_OF_JOB, SQL_EVIDENCE_OLD_COLUMNS " WHERE job=$1 ORDER BY n LIMIT $2")       \
    X(SQL_EVIDENCE_LIST, "SELECT " SQL_EVIDENCE_VIEW " WHERE job=(SELECT seq FROM fulmar_jobs WHERE id=$1) ORDER BY n LIMIT $2") \
    X(SQL_EVIDENCE_ONE, "SELECT " SQL_EVIDENCE_VIEW " WHERE job=(SELECT seq FROM fulmar_jobs WHERE id=$1) AND n=$2") \
    X(SQL_GAP_ADD, "INSERT INTO fulmar_gaps AS g(job,kind,gap,n) SELECT $1,$2,$3,$4"           \
        " WHERE EXISTS(SELECT FROM fulmar_jobs WHERE seq=$1)"                                  \
        " ON CONFLICT(job,kind,gap) DO UPDATE SET n=g.n+excluded.n")                           \
    X(SQL_GAPS, "SELECT kind,gap,n FROM fulmar_gaps WHERE job=(SELECT seq FROM fulmar_jobs WHERE id=$1) ORDER BY kind,gap")

/* A loss of the last moments is a loss of counts, not of records; so nobody waits for the disk. */
#define SQL_FIELDS_TABLE(X)                                                                    \
    X(SQL_NO_WAIT, "SELECT set_config('synchronous_commit','off',true) WHERE $1::bigint=0")    \
    X(SQL_FIELD_ROWS, "SELECT count(*),count(*) FILTER (WHERE path=-2) FROM fulmar_fields WHERE site=$1 AND hour=$2 AND version=$3") \
    X(SQL_FIELDS_ADD, "INSERT INTO fulmar_fields AS o(site,hour,version,name,path,n)"          \
        " SELECT $1,$2,$3,g.name,g.path,sum(g.n)::bigint FROM unnest($4::text[],$5::bigint[],$6::bigint[]) AS g(name,path,n)" \
        " GROUP BY g.name,g.path ORDER BY g.name,g.path"                                       \
        " ON CONFLICT(site,version,name,path,hour) DO UPDATE SET n=o.n+excluded.n")            \
    X(SQL_FIELD_VERSION, "SELECT version FROM fulmar_fields WHERE site=$1 ORDER BY hour DESC,version DESC LIMIT 1") \
    X(SQL_FIELDS, "SELECT name,path,coalesce(sum(n) FILTER (WHERE hour>=$3),0)::bigint,"       \
        "coalesce(sum(n) FILTER (WHERE hour<$3),0)::bigint,min(hour) FROM fulmar_fields"       \
        " WHERE site=$1 AND version=$2 AND hour>=$4 GROUP BY name,path ORDER BY name,path")    \
    X(SQL_FIELD_SITE, "SELECT min(site) FROM fulmar_fields WHERE site>$1")                     \
    X(SQL_FIELDS_PRUNE, "DELETE FROM fulmar_fields WHERE site=$1 AND hour<$2")

#define SQL_SCHEMA_TABLE(X)                                                                    \
    /* Limits of this connection: as asked for, else as configured, at most so long. */        \
    X(SQL_SESSION, "SELECT t.ms,set_config('statement_timeout',t.ms::text,false),"             \
        "set_config('lock_timeout',greatest(t.ms/2,1)::text,false),"                           \
        "set_config('idle_in_transaction_session_timeout',(2*t.ms)::text,false),"              \
        "set_config('synchronous_commit',CASE WHEN current_setting('synchronous_commit')='off' THEN 'on'" \
        " ELSE current_setting('synchronous_commit') END,false) FROM (SELECT CASE WHEN $1>0 THEN $1" \
        " WHEN setting::bigint BETWEEN 1 AND $2 THEN setting::bigint ELSE $2 END AS ms"        \
        " FROM pg_settings WHERE name='statement_timeout') t")                                 \
    X(SQL_SCHEMA_LOCK, "SELECT pg_advisory_xact_lock($1::int8::int4,hashtext(current_schema()))") \
    X(SQL_SCHEMA_IS_THERE, "SELECT (to_regclass('fulmar_archive') IS NOT NULL)::int WHERE $1::bigint=0") \
    X(SQL_SCHEMA, "SELECT version,min_writer,id::text FROM fulmar_archive WHERE $1::bigint=0") \
    X(SQL_SCHEMA_MADE, "INSERT INTO fulmar_archive(id,version,min_reader,min_writer) VALUES(gen_random_uuid(),0,0,0) RETURNING $1::bigint") \
    X(SQL_SCHEMA_NEXT, "UPDATE fulmar_archive SET version=$1,min_reader=greatest(min_reader,$2),min_writer=greatest(min_writer,$3)")

/* Rows of a move, out and in; what is there already stays. */
#define SQL_MOVE_TABLE(X)                                                                      \
    X(SQL_MOVE_JOBS, "SELECT g.n,j.next_batch FROM unnest($1::text[]) WITH ORDINALITY AS g(id,n) JOIN fulmar_jobs j ON j.id=g.id") \
    X(SQL_OUT_RECORDS, "SELECT $1::text,ord,(SELECT s.site FROM fulmar_results s WHERE s.result=r.result),kind,id,created_ms,json" \
        " FROM fulmar_records r WHERE result=(SELECT result FROM fulmar_jobs WHERE id=$1) AND ord>$2 AND ord<$3 ORDER BY ord LIMIT $4") \
    X(SQL_OUT_EVIDENCE, "SELECT $1::text,n,kind,attempt,batch,reason,status,at,bytes,strategy,name,url,headers,hash FROM fulmar_evidence" \
        " WHERE job=(SELECT seq FROM fulmar_jobs WHERE id=$1) AND n>$2 AND $3::bigint>=0 ORDER BY n LIMIT $4") \
    X(SQL_OUT_GAPS, "SELECT $1::text,kind,gap,n FROM fulmar_gaps WHERE job=(SELECT seq FROM fulmar_jobs WHERE id=$1)" \
        " AND kind*100+gap>$2 AND $3::bigint>=0 ORDER BY kind,gap LIMIT $4")                   \
    X(SQL_OUT_BODIES, "SELECT hash,bytes,frame FROM fulmar_bodies WHERE refs>0 AND hash>$1 ORDER BY hash LIMIT $2") \
    X(SQL_OUT_FIELDS, "SELECT site,version,name,path,hour,n FROM fulmar_fields WHERE (site,version,name,path,hour)>($1,$2,$3,$4,$5)" \
        " ORDER BY site,version,name,path,hour LIMIT $6")                                      \
    X(SQL_IN_RECORDS, "WITH added AS (INSERT INTO fulmar_records(result,ord,created_ms,kind,id,json)" \
        "  SELECT $2,g.* FROM unnest($3::bigint[],$4::bigint[],$5::bigint[],$6::text[],$7::text[]) AS g" \
        "  ON CONFLICT DO NOTHING RETURNING kind,octet_length(json) AS bytes),"                \
        "s AS (SELECT " SQL_SUMS " FROM added) "                                               \
        "UPDATE fulmar_jobs j SET next_batch=greatest(j.next_batch,$8)," SQL_COUNT_BY("+") " FROM s WHERE j.seq=$1") \
    X(SQL_IN_BODIES, "INSERT INTO fulmar_bodies(hash,bytes,stored,refs,frame) VALUES($1,$2,$3,0,$4) ON CONFLICT(hash) DO NOTHING") \
    X(SQL_IN_EVIDENCE, "WITH added AS (INSERT INTO fulmar_evidence(job,n,kind,attempt,batch,reason,status,at,bytes,strategy,name,url,headers,hash)" \
        " VALUES($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14) ON CONFLICT(job,n) DO NOTHING RETURNING hash)" \
        "UPDATE fulmar_bodies SET refs=refs+1 WHERE hash IN(SELECT hash FROM added)")          \
    X(SQL_IN_GAPS, "INSERT INTO fulmar_gaps(job,kind,gap,n) VALUES($1,$2,$3,$4) ON CONFLICT DO NOTHING") \
    X(SQL_IN_FIELDS, "INSERT INTO fulmar_fields(site,version,name,path,hour,n) VALUES($1,$2,$3,$4,$5,$6) ON CONFLICT DO NOTHING") \
    X(SQL_MOVE_THERE, "SELECT (EXISTS(SELECT FROM fulmar_jobs) OR EXISTS(SELECT FROM fulmar_fields) OR EXISTS(SELECT FROM fulmar_bodies)" \
        " OR EXISTS(SELECT FROM fulmar_results))::int WHERE $1::bigint=0")

#define SQL_TABLE(X) SQL_MOVE_TABLE(X) SQL_SCHEMA_TABLE(X) SQL_RECORDS_TABLE(X) SQL_KEEP_TABLE(X) SQL_EVIDENCE_TABLE(X) SQL_FIELDS_TABLE(X)
/* clang-format on */

#define SQL_ID(id, text) id,
enum sql { SQL_TABLE(SQL_ID) SQL_COUNT };
#undef SQL_ID
