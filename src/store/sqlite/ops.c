/* ops.c - the table of SQLite's operations. */
#include "store/sqlite/sqlite.h"

#define OPERATION(result, name, parameters, arguments) .name = sqlite_##name,
const struct store_ops sqlite_ops = {.name = "sqlite",
                                     .close = sqlite_close,
                                     .idle = sqlite_idle,
                                     .clock_found = sqlite_clock_found,
                                     .clock_tell = sqlite_clock_tell,
                                     .reader_open = sqlite_reader_open,
                                     .reader_begin = sqlite_reader_begin,
                                     .reader_end = sqlite_reader_end,
                                     .reader_finish = sqlite_reader_finish,
                                     .reader_stop = sqlite_reader_stop,
                                     .check_due = sqlite_check_due,
                                     .reader_check = sqlite_reader_check,
                                     STORE_OPERATIONS(OPERATION)};
