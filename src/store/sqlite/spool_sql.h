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
    ") STRICT;"
#define SPOOL_ENTRY                                                                            \
    "SELECT s.number,s.id,s.at,s.run_at,s.ticket,coalesce(s.idem_key,''),s.idem_hash,"         \
    "coalesce(u.replaced_by,''),EXISTS(SELECT 1 FROM spool_given g WHERE g.number=s.number)"   \
    " FROM spool s LEFT JOIN spool_unique u ON u.number=s.number"
#define SPOOL_PERHAPS_THERE                                                                    \
    "SELECT s.number FROM spool_given g CROSS JOIN spool s ON s.number=g.number WHERE s.handed_over=0"

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
    X(SQL_SPOOL_FIRST_GIVEN, "SELECT number FROM spool WHERE handed_over=1 ORDER BY number LIMIT 1") \
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
    X(SQL_SPOOL_IS_ASIDE, "SELECT why FROM spool_aside WHERE id=?1")
/* clang-format on */
