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
    ") STRICT;"

#define SQL_SPOOL_TABLE(X)                                                                     \
    X(SQL_SPOOL_ADD, "INSERT INTO spool(id,tenant,at,run_at,ticket,idem_key,idem_hash) VALUES(?1,?2,?3,?4,?5,?6,?7)") \
    X(SQL_SPOOL_HAS, "SELECT handed_over FROM spool WHERE id=?1")                              \
    X(SQL_SPOOL_KEY, "SELECT id,idem_hash,handed_over FROM spool WHERE tenant=?1 AND idem_key=?2")         \
    X(SQL_SPOOL_NEXT, "SELECT number,id,at,run_at,ticket,coalesce(idem_key,''),idem_hash FROM spool"  \
                      " WHERE handed_over=0 ORDER BY number LIMIT 1")                          \
    X(SQL_SPOOL_DONE, "UPDATE spool SET handed_over=1 WHERE number=?1")                        \
    X(SQL_SPOOL_SETTLE, "DELETE FROM spool WHERE handed_over=1 AND number<=?1")                               \
    X(SQL_SPOOL_AGAIN, "UPDATE spool SET handed_over=0 WHERE handed_over=1")                   \
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
