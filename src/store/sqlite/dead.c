/* dead.c - dead letters in groups, found by skipping from group to group through one index. */
#include "store/dead.h"
#include "store/sqlite/inside.h"

#include "base/need.h"

struct place { /* of a group in the index */
    int failure;
    char site[SITE_NAME], fingerprint[FINGERPRINT_TEXT];
};

static int64_t until_of(const struct dead_filter *filter)
{
    return filter->until_ms > 0 ? filter->until_ms : INT64_MAX;
}

/* The group behind `at`; E_END when there is none. */
static err next_group(struct store *s, struct place *at, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_GROUP_NEXT, &q, f, DB_I(at->failure), DB_T(span_of(at->site)),
                   DB_T(span_of(at->fingerprint)));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e) {
        at->failure = (int)db_int(q, 0);
        span_copy(db_text(q, 1), at->site, sizeof at->site);
        span_copy(db_text(q, 2), at->fingerprint, sizeof at->fingerprint);
    }
    db_end(q);
    return e;
}

#define GROUP_ARGS(at, filter)                                                                 \
    DB_I((at)->failure), DB_T(span_of((at)->site)), DB_T(span_of((at)->fingerprint)),          \
        DB_I((filter)->since_ms), DB_I(until_of(filter))

/* E_END: nobody of the group died in the time asked for. */
static err read_first(struct store *s, const struct place *at, const struct dead_filter *filter,
                      struct arena *a, struct dead_group *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_GROUP_FIRST, &q, f, GROUP_ARGS(at, filter));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e) {
        out->first_ms = db_int(q, 0);
        e = db_keep(q, 1, a, &out->kind, f);
    }
    db_end(q);
    return e;
}

static err read_examples(struct store *s, const struct place *at,
                         const struct dead_filter *filter, struct arena *a,
                         struct dead_group *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_GROUP_NEWEST, &q, f, GROUP_ARGS(at, filter), DB_I(DEAD_EXAMPLES));
    if (e)
        return e;
    while (out->example_count < DEAD_EXAMPLES && (e = db_step(q, f)) == E_OK) {
        struct dead_example *x = &out->examples[out->example_count++];
        span_copy(db_text(q, 0), x->id, sizeof x->id);
        x->at_ms = db_int(q, 3);
        e = db_keep(q, 1, a, &x->target, f);
        if (!e)
            e = db_keep(q, 2, a, &x->why, f);
        if (e)
            break;
    }
    db_end(q);
    out->last_ms = out->example_count ? out->examples[0].at_ms : out->first_ms;
    return e == E_END ? E_OK : e;
}

static err count_group(struct store *s, const struct place *at,
                       const struct dead_filter *filter, int64_t *out_count, struct fault *f)
{
    struct query *q;
    err e =
        db_ask(s->db, SQL_GROUP_COUNT, &q, f, GROUP_ARGS(at, filter), DB_I(DEAD_COUNT_MOST));
    return e ? e : db_take_number(q, out_count, f);
}

/* E_END: the group is not what is asked for. */
static err read_group(struct store *s, const struct place *at, const struct dead_filter *filter,
                      struct arena *a, struct dead_group *out, struct fault *f)
{
    *out = (struct dead_group){.failure = (enum failure_class)at->failure};
    if ((filter->site.n && !span_is(filter->site, at->site)) ||
        (filter->fingerprint.n && !span_is(filter->fingerprint, at->fingerprint)))
        return E_END;
    err e = read_first(s, at, filter, a, out, f);
    if (e)
        return e;
    if (filter->kind.n && !span_eq(filter->kind, out->kind))
        return E_END;
    e = count_group(s, at, filter, &out->count, f);
    if (!e)
        e = read_examples(s, at, filter, a, out, f);
    out->site = arena_keep(a, span_of(at->site));
    if (!e && !out->site.p)
        e = fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    memcpy(out->fingerprint, at->fingerprint, sizeof out->fingerprint);
    return e;
}

/* Where to begin: behind the last group seen, or before the first of the class. */
static struct place start_of(const struct dead_query *q)
{
    struct place at = {.failure = q->filter.failure >= 0 ? q->filter.failure : -1};
    if (q->after.site.n) {
        at.failure = q->after.failure;
        span_copy(q->after.site, at.site, sizeof at.site);
        span_copy(q->after.fingerprint, at.fingerprint, sizeof at.fingerprint);
    }
    return at;
}

err sqlite_dead_groups(struct store *s, const struct dead_query *q, struct arena *a,
                       struct dead_group **out_groups, size_t *out_count, bool *out_more,
                       struct fault *f)
{
    enum { LOOKS_MOST = 1000 }; /* groups that do not match cost time as well */
    need(q->limit >= 1 && q->limit <= DEAD_GROUPS_MOST);
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    struct dead_group *all = arena_try(a, q->limit * sizeof *all);
    if (!all)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    struct place at = start_of(q);
    size_t n = 0;
    bool more = false;
    for (int looks = 0; !more; looks++) {
        err e = next_group(s, &at, f);
        if (e && e != E_END)
            return e;
        if (e == E_END || (q->filter.failure >= 0 && at.failure != q->filter.failure))
            break;
        more = n == q->limit || looks == LOOKS_MOST;
        e = more ? E_END : read_group(s, &at, &q->filter, a, &all[n], f);
        if (e && e != E_END)
            return e;
        n += e == E_OK;
    }
    *out_groups = all;
    *out_count = n;
    *out_more = more;
    return E_OK;
}
