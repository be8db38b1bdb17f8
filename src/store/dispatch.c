/* dispatch.c - the operations of store.h and its sisters, by the table of the store's kind. */
#include "store/ops.h"

#include "store/sqlite/sqlite.h"

static const struct store_ops *ops_of(const struct store *s)
{
    return ((const struct store_head *)(const void *)s)->ops;
}

err store_open(struct store **out, const char *state_dir, const struct store_limits *limits,
               uint64_t seed, wall now, struct fault *f)
{
    return sqlite_open(out, state_dir, limits, seed, now, f);
}

void store_close(struct store **s)
{
    if (*s)
        ops_of(*s)->close(s);
}

void store_idle(struct store *s)
{
    ops_of(s)->idle(s);
}

enum durability store_durability(const struct store *s, bool *out_confirmed)
{
    *out_confirmed = true;
    return ops_of(s)->durability ? ops_of(s)->durability(s, out_confirmed) : DURABILITY_FSYNC;
}

void store_together(struct store *s, struct store_op **ops, size_t n, wall now)
{
    if (ops_of(s)->together)
        ops_of(s)->together(s, ops, n, now);
}

bool store_is_away(const struct store *s)
{
    return ops_of(s)->is_away && ops_of(s)->is_away(s);
}

err store_keeps(struct store *s, struct fault *f)
{
    return ops_of(s)->keeps ? ops_of(s)->keeps(s, f) : E_OK;
}

struct span store_id(const struct store *s)
{
    return ops_of(s)->id ? ops_of(s)->id(s) : SPAN("");
}

const struct store_loss *store_loss(const struct store *s)
{
    static const struct store_loss none;
    return ops_of(s)->loss ? ops_of(s)->loss(s) : &none;
}

err store_replication(struct store *s, struct store_replication *out, struct fault *f)
{
    *out = (struct store_replication){0};
    return ops_of(s)->replication ? ops_of(s)->replication(s, out, f) : E_OK;
}

void store_clock_found(struct store *s, wall *out_at, wall *out_last)
{
    *out_at = *out_last = (wall){0};
    if (ops_of(s)->clock_found)
        ops_of(s)->clock_found(s, out_at, out_last);
}

void store_clock_tell(struct store *s, int64_t real_ahead_ms)
{
    if (ops_of(s)->clock_tell)
        ops_of(s)->clock_tell(s, real_ahead_ms);
}

bool store_has_readers(const struct store *s)
{
    return ops_of(s)->reader_open != NULL;
}

err store_reader_open(struct store **out, struct store *of, int64_t most_ms, struct fault *f)
{
    return ops_of(of)->reader_open(out, of, most_ms, f);
}

void store_reader_close(struct store **reader)
{
    store_close(reader);
}

err store_reader_begin(struct store *reader, struct fault *f)
{
    return ops_of(reader)->reader_begin(reader, f);
}

bool store_reader_end(struct store *reader, struct unsure **out_unsure)
{
    return ops_of(reader)->reader_end(reader, out_unsure);
}

void store_reader_stop(struct store *reader)
{
    ops_of(reader)->reader_stop(reader);
}

bool store_check_due(const struct store *s)
{
    return ops_of(s)->check_due && ops_of(s)->check_due(s);
}

err store_reader_check(struct store *reader, int64_t *place, struct fault *f)
{
    return ops_of(reader)->reader_check(reader, place, f);
}

void store_reader_finish(struct store *of, struct unsure *unsure, wall now)
{
    ops_of(of)->reader_finish(of, unsure, now);
}

#define OPERATION(result, name, parameters, arguments)                                         \
    result store_##name parameters                                                             \
    {                                                                                          \
        return ops_of(s)->name arguments;                                                      \
    }
STORE_OPERATIONS(OPERATION)
