/* sqlite.h - the store of one machine: the table of its operations (store/ops.h), and how it is opened. */
#pragma once

#include "store/ops.h"

/* As store_open(). */
MUST_USE err sqlite_open(struct store **out, const char *state_dir,
                         const struct store_limits *limits, uint64_t seed, wall now,
                         struct fault *f);

void sqlite_close(struct store **s);
void sqlite_idle(struct store *s);
void sqlite_clock_found(struct store *s, wall *out_at, wall *out_last);
void sqlite_clock_tell(struct store *s, int64_t real_ahead_ms);
err sqlite_reader_open(struct store **out, struct store *of, int64_t most_ms, struct fault *f);
err sqlite_reader_begin(struct store *reader, struct fault *f);
bool sqlite_reader_end(struct store *reader, struct unsure **out_unsure);
void sqlite_reader_stop(struct store *reader);
bool sqlite_check_due(const struct store *s);
err sqlite_reader_check(struct store *reader, int64_t *place, struct fault *f);
void sqlite_reader_finish(struct store *of, struct unsure *unsure, wall now);
#define OPERATION(result, name, parameters, arguments) result sqlite_##name parameters;
STORE_OPERATIONS(OPERATION)
#undef OPERATION

extern const struct store_ops sqlite_ops;
