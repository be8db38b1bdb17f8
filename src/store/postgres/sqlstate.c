#include "store/postgres/sqlstate.h"

#include "base/need.h"

/* clang-format off */
const struct sqlstate_row sqlstate_rows[] = {
    {"08",    E_STORE,     SQLSTATE_LOST,    "the connection has ended"},
    {"0A000", E_BUG,       SQLSTATE_KEEPS,   "this server cannot do that"},
    {"22021", E_BAD_INPUT, SQLSTATE_KEEPS,   "a text holds bytes that are no UTF-8, or a zero byte"},
    {"22",    E_BUG,       SQLSTATE_KEEPS,   "a value was refused"},
    {"23",    E_BUG,       SQLSTATE_KEEPS,   "a rule of the tables was broken"},
    {"25006", E_STORE,     SQLSTATE_RENEWS,  "the server is read-only: a replica, or set so; the address must lead to the primary"},
    {"25P03", E_STORE,     SQLSTATE_LOST,    "the server ended a transaction that stood still"},
    {"28",    E_STORE,     SQLSTATE_RESTS,   "it does not let this user in: check user, password and pg_hba.conf"},
    {"3D000", E_STORE,     SQLSTATE_RESTS,   "the database of the address does not exist: createdb"},
    {"3F000", E_STORE,     SQLSTATE_RESTS,   "the search_path names no schema that exists"},
    {"40001", E_BUSY,      SQLSTATE_AGAIN,   "other transactions were in the way"},
    {"40P01", E_BUSY,      SQLSTATE_AGAIN,   "transactions waited for each other"},
    {"40003", E_STORE,     SQLSTATE_UNKNOWN, "nobody knows whether it was done"},
    {"42501", E_STORE,     SQLSTATE_RESTS,   "the role of the address may not do that: the schema should be its own"},
    {"42P01", E_STORE,     SQLSTATE_RESTS,   "a table of the archive is gone"},
    {"42703", E_STORE,     SQLSTATE_RESTS,   "a table of the archive is not as Fulmar made it"},
    {"42",    E_BUG,       SQLSTATE_KEEPS,   "the server does not understand"},
    {"53100", E_DISK_FULL, SQLSTATE_KEEPS,   "no space left on the disk of the archive; make room there"},
    {"53300", E_BUSY,      SQLSTATE_RENEWS,  "it has as many connections as max_connections allows"},
    {"53",    E_BUSY,      SQLSTATE_KEEPS,   "it has no room for that now"},
    {"54",    E_TOO_BIG,   SQLSTATE_KEEPS,   "larger than the server takes"},
    {"55P03", E_BUSY,      SQLSTATE_KEEPS,   "another transaction holds what is needed"},
    {"57014", E_BUSY,      SQLSTATE_KEEPS,   "it took longer than a statement may"},
    {"57P01", E_STORE,     SQLSTATE_LOST,    "the server ended the connection"},
    {"57P02", E_STORE,     SQLSTATE_LOST,    "the server ended the connection"},
    {"57P03", E_BUSY,      SQLSTATE_RENEWS,  "the server is starting or stopping"},
    {"57P04", E_STORE,     SQLSTATE_RESTS,   "the database was dropped"},
    {"57P05", E_STORE,     SQLSTATE_LOST,    "the server ended the connection"},
    {"58",    E_STORE,     SQLSTATE_KEEPS,   "the server's machine refuses: see its log"},
    {"XX001", E_STORE,     SQLSTATE_KEEPS,   "its data are damaged: stop, keep the files, restore a backup"},
    {"XX002", E_STORE,     SQLSTATE_KEEPS,   "an index is damaged: REINDEX, or restore a backup"},
    {"",      E_STORE,     SQLSTATE_KEEPS,   "see the server's log"},
};
const struct sqlstate_row sqlstate_refused = {"", E_STORE, SQLSTATE_RENEWS, "nothing was sent"};
const struct sqlstate_row sqlstate_lost    = {"", E_STORE, SQLSTATE_LOST, "the connection has ended"};
const struct sqlstate_row sqlstate_late    = {"", E_STORE, SQLSTATE_RENEWS, "no answer in time"};
/* clang-format on */
const size_t sqlstate_count = sizeof sqlstate_rows / sizeof sqlstate_rows[0];

const struct sqlstate_row *sqlstate_find(struct span state)
{
    const struct sqlstate_row *best = NULL;
    for (size_t i = 0; i < sqlstate_count; i++) {
        struct span prefix = span_of(sqlstate_rows[i].prefix);
        if (span_starts(state, prefix) && (!best || prefix.n > strlen(best->prefix)))
            best = &sqlstate_rows[i];
    }
    need(best);
    return best;
}
