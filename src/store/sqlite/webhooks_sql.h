/* webhooks_sql.h - tables and statements of webhooks.c. `secret` is sealed. */
#pragma once

/* clang-format off */
#define WEBHOOKS_SQL                                                                           \
    "CREATE TABLE webhooks("                                                                   \
    "  wid        INTEGER PRIMARY KEY,"                                                        \
    "  id         TEXT NOT NULL UNIQUE,"                                                       \
    "  name       TEXT NOT NULL,"                                                              \
    "  url        TEXT NOT NULL,"                                                              \
    "  types      TEXT NOT NULL,"                                                              \
    "  secret     TEXT NOT NULL,"                                                              \
    "  secret_n   INTEGER NOT NULL DEFAULT 1," /* grows with each rotation */                  \
    "  old_secret TEXT,"                                                                       \
    "  old_until  INTEGER NOT NULL DEFAULT 0,"                                                 \
    "  enabled    INTEGER NOT NULL CHECK(enabled IN (0,1)),"                                   \
    "  off_at     INTEGER NOT NULL DEFAULT 0,"                                                 \
    "  off_why    TEXT NOT NULL DEFAULT '',"                                                   \
    "  place      INTEGER NOT NULL,"            /* events up to here were looked at */         \
    "  seen       INTEGER NOT NULL,"            /* the farthest that it ever was */            \
    "  rest_until INTEGER NOT NULL DEFAULT 0,"                                                 \
    "  fails      INTEGER NOT NULL DEFAULT 0,"  /* in a row */                                 \
    "  failing_at INTEGER NOT NULL DEFAULT 0,"  /* since; 0 not */                             \
    "  delivered  INTEGER NOT NULL DEFAULT 0,"                                                 \
    "  failed     INTEGER NOT NULL DEFAULT 0,"                                                 \
    "  dead       INTEGER NOT NULL DEFAULT 0,"                                                 \
    "  missed     INTEGER NOT NULL DEFAULT 0,"                                                 \
    "  last_ok_at INTEGER NOT NULL DEFAULT 0,"                                                 \
    "  created_at INTEGER NOT NULL,"                                                           \
    "  updated_at INTEGER NOT NULL,"                                                           \
    "  revision   INTEGER NOT NULL DEFAULT 1"                                                  \
    ") STRICT;"                                                                                \
    "CREATE TABLE deliveries("                                                                 \
    "  did      INTEGER PRIMARY KEY AUTOINCREMENT,"                                            \
    "  id       TEXT NOT NULL UNIQUE,"                                                         \
    "  wid      INTEGER NOT NULL,"                                                             \
    "  seq      INTEGER NOT NULL,"              /* of the event; 0: a ping */                  \
    "  subject  TEXT NOT NULL,"                                                                \
    "  event    TEXT NOT NULL,"                 /* its id, as receivers know it */             \
    "  kind     TEXT NOT NULL,"                                                                \
    "  at       INTEGER NOT NULL,"                                                             \
    "  body     TEXT NOT NULL,"                                                                \
    "  state    INTEGER NOT NULL DEFAULT 0 CHECK(state BETWEEN 0 AND 2),"                      \
    "  due      INTEGER NOT NULL,"              /* while it is sent: when it counts as lost */ \
    "  leased   INTEGER NOT NULL DEFAULT 0,"    /* it is being sent until then */              \
    "  attempts INTEGER NOT NULL DEFAULT 0,"                                                   \
    "  status   INTEGER NOT NULL DEFAULT 0,"                                                   \
    "  why      TEXT NOT NULL DEFAULT '',"                                                     \
    "  ended_at INTEGER NOT NULL DEFAULT 0,"                                                   \
    "  CHECK((state = 0) = (ended_at = 0))"                                                    \
    ") STRICT;"                                                                                \
    "CREATE INDEX deliveries_due ON deliveries(wid, due) WHERE state = 0;"                     \
    "CREATE INDEX deliveries_order ON deliveries(wid, subject, did) WHERE state = 0;"          \
    "CREATE INDEX deliveries_sent ON deliveries(wid, leased) WHERE state = 0;"                 \
    "CREATE INDEX deliveries_ended ON deliveries(wid, did) WHERE state <> 0;"                  \
    "CREATE INDEX deliveries_of ON deliveries(wid, did);"                                      \
    "CREATE INDEX deliveries_state ON deliveries(wid, state, did);"

#define SQL_WEBHOOK_OPEN "(SELECT count(*) FROM deliveries d INDEXED BY deliveries_due WHERE d.wid=w.wid AND d.state=0)"
#define SQL_WEBHOOK_VIEW                                                                       \
    "w.wid,w.id,w.name,w.url,w.types,w.off_why,w.enabled,w.off_at,w.old_until," SQL_WEBHOOK_OPEN ",w.place," /* 0-10 */ \
    "w.fails,w.failing_at,w.rest_until,w.delivered,w.failed,w.dead,w.missed,w.last_ok_at," /* 11-18 */ \
    "w.created_at,w.updated_at,w.revision,w.secret_n," /* 19-22 */                          \
    "coalesce(h.who,''),coalesce(h.why,''),coalesce(h.at,0),coalesce(h.until,0)" /* 23-26 */   \
    " FROM webhooks w LEFT JOIN hands h ON h.of=2 AND h.key=w.id"
/* The first of each subject that has not arrived: only that may be sent. */
#define SQL_DELIVERY_HEAD                                                                      \
    " FROM deliveries d INDEXED BY deliveries_due WHERE d.wid=?1 AND d.state=0 AND NOT EXISTS" \
    "(SELECT 1 FROM deliveries e INDEXED BY deliveries_order WHERE e.wid=d.wid AND e.state=0 AND e.subject=d.subject AND e.did<d.did)"
#define SQL_DELIVERY_VIEW                                                                      \
    "d.did,d.id,w.id,d.event,d.subject,d.kind,d.why,d.state,d.seq,d.attempts,d.status,d.at,d.due,d.ended_at,w.wid" \
    " FROM deliveries d JOIN webhooks w USING(wid)"
#define SQL_WEBHOOKS_TABLE(X)                                                                  \
    X(SQL_WEBHOOK_COUNT, "SELECT count(*) FROM webhooks INDEXED BY sqlite_autoindex_webhooks_1") \
    X(SQL_WEBHOOK_ADD, "INSERT INTO webhooks(id,name,url,types,secret,enabled,place,seen,created_at,updated_at)" \
                       " VALUES(?1,?2,?3,?4,?5,?6,?7,?7,?8,?8)")                                  \
    X(SQL_WEBHOOK, "SELECT " SQL_WEBHOOK_VIEW " WHERE w.id=?1")                                \
    X(SQL_WEBHOOK_IS, "SELECT 1 FROM webhooks WHERE id=?1")                                    \
    X(SQL_WEBHOOKS, "SELECT " SQL_WEBHOOK_VIEW " WHERE w.id>'' ORDER BY w.id")                 \
    X(SQL_WEBHOOK_CHANGE, "UPDATE webhooks SET name=coalesce(?2,name),url=coalesce(?3,url),types=coalesce(?4,types)," \
                          "enabled=iif(?5<0,enabled,?5),off_at=CASE ?5 WHEN 0 THEN ?6 WHEN 1 THEN 0 ELSE off_at END," \
                          "off_why=CASE ?5 WHEN 0 THEN 'switched off' WHEN 1 THEN '' ELSE off_why END," \
                          "fails=iif(?5=1,0,fails),failing_at=iif(?5=1,0,failing_at),rest_until=iif(?5=1,0,rest_until)," \
                          "updated_at=?6,revision=revision+1 WHERE wid=?1")                    \
    X(SQL_WEBHOOK_ROTATE, "UPDATE webhooks SET old_secret=secret,old_until=?3,secret=?2,secret_n=secret_n+1," \
                          "updated_at=?4,revision=revision+1 WHERE wid=?1")                    \
    X(SQL_WEBHOOK_REMOVE, "DELETE FROM webhooks WHERE wid=?1")                                 \
    X(SQL_WEBHOOK_PLACE, "UPDATE webhooks SET place=?2,seen=max(seen,?2),missed=missed+?3 WHERE wid=?1")         \
    X(SQL_WEBHOOK_FAILS, "SELECT fails FROM webhooks WHERE wid=?1")                            \
    X(SQL_WEBHOOKS_ON, "SELECT w.wid,w.id,w.url,w.types,w.secret,w.secret_n,coalesce(w.old_secret,''),w.old_until," \
                       "w.place,max(w.rest_until,coalesce(h.until,0)),w.fails," SQL_WEBHOOK_OPEN ",w.seen," \
                       "coalesce(l.max_active,0),coalesce(l.emit_ms,0),coalesce(l.burst,1),coalesce(l.tat_ms,0)" \
                       " FROM webhooks w LEFT JOIN hands h ON h.of=2 AND h.key=w.id LEFT JOIN limits l ON l.scope=3 AND l.name=w.id" \
                       " WHERE w.id>'' AND w.enabled=1 ORDER BY w.id")         \
    X(SQL_WEBHOOK_WELL, "UPDATE webhooks SET fails=0,failing_at=0,rest_until=0,delivered=delivered+1,last_ok_at=?2 WHERE wid=?1") \
    X(SQL_WEBHOOK_ILL, "UPDATE webhooks SET fails=fails+1,failing_at=iif(failing_at=0,?2,failing_at)," \
                       "rest_until=max(rest_until,?3),failed=failed+1,dead=dead+?4 WHERE wid=?1"  \
                       " RETURNING failing_at,enabled,id")                                     \
    X(SQL_WEBHOOK_OFF, "UPDATE webhooks SET enabled=0,off_at=?2,off_why=?3,updated_at=?2,revision=revision+1 WHERE wid=?1") \
    X(SQL_WEBHOOK_RESTED, "UPDATE webhooks SET rest_until=0,fails=iif(?2,0,fails),failing_at=iif(?2,0,failing_at)" \
                          " WHERE wid=?1")                                                     \
    X(SQL_DELIVERIES_HURRY, "UPDATE deliveries SET due=?2 WHERE wid=?1 AND state=0 AND due>?2 AND leased<=?2") \
    X(SQL_WEBHOOK_LIMITS, "SELECT w.id,coalesce(l.max_active,0),coalesce(l.emit_ms,0),coalesce(l.burst,1)," \
                          "(SELECT count(*) FROM deliveries d INDEXED BY deliveries_sent WHERE d.wid=w.wid AND d.state=0 AND d.leased>0)" \
                          " FROM webhooks w LEFT JOIN limits l ON l.scope=3 AND l.name=w.id WHERE w.id>=?1 AND w.id<=?2 ORDER BY w.id") \
    X(SQL_WEBHOOK_LIMIT_DELETE, "DELETE FROM limits WHERE scope=3 AND name=?1")                \
    X(SQL_DELIVERY_ADD, "INSERT INTO deliveries(id,wid,seq,subject,event,kind,at,body,due)"    \
                        " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)")                                 \
    X(SQL_DELIVERY_AGAIN, "INSERT INTO deliveries(id,wid,seq,subject,event,kind,at,body,due)"  \
                          " SELECT ?2,wid,seq,subject,event,kind,at,body,?3 FROM deliveries WHERE did=?1") \
    X(SQL_DELIVERIES_SENT, "SELECT count(*),min(leased) FROM deliveries INDEXED BY deliveries_sent" \
                           " WHERE wid=?1 AND state=0 AND leased>?2")                          \
    X(SQL_DELIVERIES_DUE, "SELECT d.did,d.id,d.event,d.kind,d.at,d.body,d.seq,d.subject,d.attempts" SQL_DELIVERY_HEAD \
                          " AND d.due<=?2 ORDER BY d.due LIMIT ?3")                            \
    X(SQL_DELIVERY_NEXT, "SELECT d.due" SQL_DELIVERY_HEAD " ORDER BY d.due LIMIT 1")           \
    X(SQL_DELIVERY_SEND, "UPDATE deliveries SET leased=?2,due=?2,attempts=attempts+1 WHERE did=?1") \
    X(SQL_DELIVERY_OPEN, "SELECT wid,attempts,id FROM deliveries WHERE did=?1 AND state=0")    \
    X(SQL_DELIVERY_END, "UPDATE deliveries SET state=?2,status=?3,why=?4,leased=0,ended_at=?5 WHERE did=?1") \
    X(SQL_DELIVERY_WAIT, "UPDATE deliveries SET status=?2,why=?3,leased=0,due=?4 WHERE did=?1") \
    X(SQL_DELIVERIES_PRUNE, "DELETE FROM deliveries WHERE did IN (SELECT did FROM deliveries INDEXED BY deliveries_ended" \
                            " WHERE wid=?1 AND state<>0 ORDER BY did DESC LIMIT 16 OFFSET ?2)") \
    X(SQL_DELIVERIES_DELETE, "DELETE FROM deliveries WHERE wid=?1")                            \
    X(SQL_DELIVERY, "SELECT " SQL_DELIVERY_VIEW " WHERE d.id=?1")                              \
    X(SQL_DELIVERIES, "SELECT " SQL_DELIVERY_VIEW " WHERE d.wid=?1 AND d.did<?2 ORDER BY d.did DESC LIMIT ?3") \
    X(SQL_DELIVERIES_IN, "SELECT " SQL_DELIVERY_VIEW " WHERE d.wid=?1 AND d.state=?4 AND d.did<?2 ORDER BY d.did DESC LIMIT ?3")
/* clang-format on */
