/* ops.c - the table of SQLite's operations. */
#include "store/sqlite/sqlite.h"

#define OPERATION(result, name, parameters, arguments) .name = sqlite_##name,
const struct store_ops sqlite_ops = {
    .name = "sqlite", .close = sqlite_close, .idle = sqlite_idle, STORE_OPERATIONS(OPERATION)};
