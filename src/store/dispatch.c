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

#define OPERATION(result, name, parameters, arguments)                                         \
    result store_##name parameters                                                             \
    {                                                                                          \
        return ops_of(s)->name arguments;                                                      \
    }
STORE_OPERATIONS(OPERATION)
