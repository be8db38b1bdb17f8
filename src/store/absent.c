#include "store/absent.h"

#include "store/ops.h"

enum { WAIT_MS = 1000 };

struct store {
    struct store_head head;
    struct fault why;
    bool passes;
};

static err not_there(const struct store *s, struct fault *f)
{
    bool first = f && !f->code;
    err e = fail(f, s->passes ? E_BUSY : E_STORE, "%s", s->why.words);
    if (first) {
        f->wait_ms = WAIT_MS;
        f->away = true;
    }
    return e;
}

/* What else its operations are given does not matter here. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define ANSWER_err     not_there(s, f)
#define ANSWER_int64_t 0
#define ANSWER_bool    false
#define OPERATION(result, name, parameters, arguments)                                         \
    static result absent_##name parameters                                                     \
    {                                                                                          \
        return ANSWER_##result;                                                                \
    }
STORE_SINGLE_OPERATIONS(OPERATION)
#undef OPERATION
#define OPERATION(result, name, parameters, arguments)                                         \
    static result absent_##name parameters                                                     \
    {                                                                                          \
        return E_OK;                                                                           \
    }
STORE_GROUP_OPERATIONS(OPERATION)
#undef OPERATION

static void absent_idle(struct store *s)
{
}
#pragma GCC diagnostic pop

static void absent_close(struct store **s)
{
    free(*s);
    *s = NULL;
}

static bool absent_is_away(const struct store *s)
{
    return s->passes;
}

#define OPERATION(result, name, parameters, arguments) .name = absent_##name,
static const struct store_ops absent_ops = {.name = "absent",
                                            .close = absent_close,
                                            .idle = absent_idle,
                                            .is_away = absent_is_away,
                                            STORE_OPERATIONS(OPERATION)};
#undef OPERATION

struct store *absent_new(void)
{
    struct store *s = heap_new_of(struct store);
    s->head.ops = &absent_ops;
    return s;
}

void absent_because(struct store *s, const struct fault *why, bool passes)
{
    s->why = *why;
    s->passes = passes;
}
