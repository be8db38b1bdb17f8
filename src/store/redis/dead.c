/* dead.c - dead jobs in groups, and operations on many of them: what dead.lua and operation.lua say, as values. */
#include "store/dead.h"

#include "base/need.h"
#include "store/redis/inside.h"

enum {
    GROUPS_STEP = 20,
    GROUP_KEY = SITE_NAME + FINGERPRINT_TEXT + 8,
    LOOKS_MOST = 1000,
    OPERATIONS_STEP = 50,
    AT_ONCE = 4
};
static const int64_t LAST_MS = INT64_MAX >> 11; /* numbers in Lua are exact up to 2^53 */

/* ---- groups ---- */

enum group_part {
    GROUP_FAILURE,
    GROUP_SITE,
    GROUP_PRINT,
    GROUP_COUNT,
    GROUP_FIRST,
    GROUP_KIND,
    GROUP_EXAMPLES
};

static err read_examples(const struct reply *r, struct arena *a, struct dead_group *out,
                         struct fault *f)
{
    for (size_t i = GROUP_EXAMPLES; i < r->count && out->example_count < DEAD_EXAMPLES; i++) {
        const struct reply *from = reply_list(r, i);
        struct dead_example *x = &out->examples[out->example_count++];
        span_copy(reply_text(from, 0), x->id, sizeof x->id);
        x->at_ms = reply_number(from, 3);
        err e = store_keep(a, reply_text(from, 1), &x->target, f);
        if (!e)
            e = store_keep(a, reply_text(from, 2), &x->why, f);
        if (e)
            return e;
    }
    out->last_ms = out->example_count ? out->examples[0].at_ms : out->first_ms;
    return E_OK;
}

static bool is_asked_for(const struct reply *r, const struct dead_filter *by)
{
    return reply_number(r, GROUP_COUNT) > 0 &&
           (!by->site.n || span_eq(by->site, reply_text(r, GROUP_SITE))) &&
           (!by->fingerprint.n || span_eq(by->fingerprint, reply_text(r, GROUP_PRINT))) &&
           (!by->kind.n || span_eq(by->kind, reply_text(r, GROUP_KIND)));
}

static err read_group(const struct reply *r, struct arena *a, struct dead_group *out,
                      struct fault *f)
{
    *out = (struct dead_group){.failure = (enum failure_class)reply_number(r, GROUP_FAILURE),
                               .count = reply_number(r, GROUP_COUNT),
                               .first_ms = reply_number(r, GROUP_FIRST)};
    span_copy(reply_text(r, GROUP_PRINT), out->fingerprint, sizeof out->fingerprint);
    err e = store_keep(a, reply_text(r, GROUP_SITE), &out->site, f);
    if (!e)
        e = store_keep(a, reply_text(r, GROUP_KIND), &out->kind, f);
    return e ? e : read_examples(r, a, out, f);
}

static void group_key(int failure, struct span site, struct span print, char out[GROUP_KEY])
{
    snprintf(out, GROUP_KEY, "%02d\n%.*s\n%.*s", failure, SP(site), SP(print));
}

static err next_groups(struct store *s, const struct dead_filter *by, const char *key,
                       bool behind, struct reply *out, struct fault *f)
{
    struct call c = {0};
    store_fresh(s);
    call_text(&c, span_of(key));
    call_flag(&c, behind);
    call_number(&c, by->since_ms);
    call_number(&c, by->until_ms > 0 ? by->until_ms : LAST_MS);
    call_number(&c, GROUPS_STEP);
    return store_look(s, SCRIPT_DEAD, &c, (wall){0}, out, f);
}

err redis_dead_groups(struct store *s, const struct dead_query *q, struct arena *a,
                      struct dead_group **out_groups, size_t *out_count, bool *out_more,
                      struct fault *f)
{
    char key[GROUP_KEY] = "";
    struct reply r = {0};
    size_t n = 0;
    bool behind = q->after.site.n > 0, more = false, over = false;
    need(q->limit >= 1 && q->limit <= DEAD_GROUPS_MOST);
    struct dead_group *all = arena_try(a, q->limit * sizeof *all);
    if (!all)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    if (behind)
        group_key(q->after.failure, q->after.site, q->after.fingerprint, key);
    else if (q->filter.failure >= 0)
        snprintf(key, sizeof key, "%02d\n", q->filter.failure);
    for (int looks = 0; !over && !more; behind = true) {
        err e = next_groups(s, &q->filter, key, behind, &r, f);
        over = e || r.count < GROUPS_STEP + 1;
        for (size_t i = 1; !e && i < r.count && !more; i++) {
            const struct reply *group = reply_list(&r, i);
            int failure = (int)reply_number(group, GROUP_FAILURE);
            group_key(failure, reply_text(group, GROUP_SITE), reply_text(group, GROUP_PRINT),
                      key);
            if (q->filter.failure >= 0 && failure != q->filter.failure) {
                over = true;
                break;
            }
            more = n == q->limit || ++looks > LOOKS_MOST;
            if (!more && is_asked_for(group, &q->filter))
                e = read_group(group, a, &all[n++], f);
        }
        if (e)
            return e;
    }
    *out_groups = all;
    *out_count = n;
    *out_more = more;
    return E_OK;
}

/* ---- operations ---- */

err operation_view_of(const struct reply *r, struct arena *a, struct operation_view *out,
                      struct fault *f)
{
    *out = (struct operation_view){.kind = (enum operation_kind)reply_field(r, "kind"),
                                   .state = (enum operation_state)reply_field(r, "state"),
                                   .failure = (int)reply_field(r, "failure"),
                                   .since_ms = reply_field(r, "since"),
                                   .until_ms = reply_field(r, "til"),
                                   .per_minute = reply_field(r, "rate"),
                                   .done = reply_field(r, "done"),
                                   .skipped = reply_field(r, "skipped"),
                                   .reset = reply_field(r, "reset") != 0,
                                   .created_ms = reply_field(r, "ca"),
                                   .updated_ms = reply_field(r, "ua"),
                                   .finished_ms = reply_field(r, "fa"),
                                   .due_ms = reply_field(r, "due"),
                                   .many = reply_field(r, "many") != 0,
                                   .most = reply_field(r, "most"),
                                   .prio = (int)reply_field(r, "prio")};
    out->jobs = (struct jobs_filter){.states = (unsigned)reply_field(r, "states"),
                                     .class = (int)reply_field(r, "class"),
                                     .failure = out->failure,
                                     .since_ms = out->since_ms,
                                     .until_ms = out->until_ms,
                                     .held = reply_field(r, "held") != 0};
    span_copy(reply_field_text(r, "id"), out->id, sizeof out->id);
    span_copy(reply_field_text(r, "ba"), out->batch, sizeof out->batch);
    span_copy(reply_field_text(r, "fp"), out->fingerprint, sizeof out->fingerprint);
    const struct {
        const char *name;
        struct span *to;
    } texts[] = {{"site", &out->site},          {"jk", &out->job_kind},
                 {"tenant", &out->jobs.tenant}, {"target", &out->jobs.target},
                 {"lane", &out->jobs.lane},     {"why", &out->why},
                 {"labels", &out->jobs.labels}};
    err e = E_OK;
    for (size_t i = 0; !e && i < sizeof texts / sizeof *texts; i++)
        e = store_keep(a, reply_field_text(r, texts[i].name), texts[i].to, f);
    out->jobs.lane = asked_lane_of(out->jobs.lane);
    out->jobs.site = out->site;
    out->jobs.kind = out->job_kind;
    return e;
}

static err fail_no_operation(struct span id, struct fault *f)
{
    return fail(f, E_NOT_FOUND, "there is no operation %.*s", SP(span_cut(id, 0, 60)));
}

static void put_operation(struct store *s, struct call *c, const struct operation_args *a)
{
    const struct dead_filter *by = &a->filter;
    call_text(c, SPAN("start"));
    call_text(c, a->id);
    call_number(c, a->kind);
    call_number(c, by->failure);
    call_text(c, by->site);
    call_text(c, by->kind);
    call_text(c, by->fingerprint);
    call_number(c, by->since_ms);
    call_number(c, by->until_ms < LAST_MS ? by->until_ms : LAST_MS);
    call_flag(c, a->reset);
    call_number(c, a->per_minute);
    call_text(c, a->job);
    call_flag(c, a->many);
    call_number(c, a->most);
    call_number(c, a->prio);
    call_text(c, a->why);
    call_json(s, c, a->why);
    call_filter(c, &a->jobs);
}

err redis_operation_start(struct store *s, const struct operation_args *args, wall now,
                          struct arena *a, struct operation_view *out, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    need(s->in_group);
    store_fresh(s);
    if (!args->many && args->kind != OPERATION_REPLAY && args->kind != OPERATION_DELETE)
        return fail(f, E_BAD_INPUT, "dead jobs can be replayed or deleted");
    err e = asked_operation(args, f);
    if (e)
        return e;
    put_operation(s, &c, args);
    e = store_write(s, SCRIPT_OPERATION, &c, now, &r, f);
    if (e)
        return e;
    if (said(&r) == SAID_NONE)
        return fail_no_job(args->job, f);
    if (said(&r) == SAID_STATE)
        return fail(f, E_NOT_FOUND, "job %.*s is %s, not dead", SP(args->job),
                    job_state_name((enum job_state)reply_number(&r, 1)));
    if (said(&r) == SAID_TAKEN)
        return asked_operation_exists(args->id, f);
    return operation_view_of(reply_list(&r, 1), a, out, f);
}

err redis_operation_cancel(struct store *s, struct span id, wall now, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    need(s->in_group);
    store_fresh(s);
    call_text(&c, SPAN("cancel"));
    call_text(&c, id);
    err e = store_write(s, SCRIPT_OPERATION, &c, now, &r, f);
    if (e)
        return e;
    if (said(&r) == SAID_NONE)
        return fail_no_operation(id, f);
    return said(&r) == SAID_STATE ? fail(f, E_CONFLICT, "operation %.*s is done", SP(id))
                                  : E_OK;
}

err redis_operation(struct store *s, struct span id, struct arena *a,
                    struct operation_view *out, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    store_fresh(s);
    call_text(&c, SPAN("view"));
    call_text(&c, id);
    err e = store_look(s, SCRIPT_OPERATION, &c, (wall){0}, &r, f);
    if (e)
        return e;
    return said(&r) == SAID_NONE ? fail_no_operation(id, f)
                                 : operation_view_of(reply_list(&r, 1), a, out, f);
}

err redis_operations(struct store *s, struct span after, size_t limit, struct arena *a,
                     struct operation_view **out, size_t *out_count, struct fault *f)
{
    struct reply r = {0};
    char last[ID_TEXT];
    size_t n = 0;
    need(limit >= 1 && limit <= 200);
    span_copy(after, last, sizeof last);
    struct operation_view *all = arena_try(a, limit * sizeof *all);
    if (!all)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    do {
        struct call c = {0};
        store_fresh(s);
        call_text(&c, SPAN("list"));
        call_text(&c, span_of(last));
        call_number(&c, (int64_t)(limit - n < OPERATIONS_STEP ? limit - n : OPERATIONS_STEP));
        err e = store_look(s, SCRIPT_OPERATION, &c, (wall){0}, &r, f);
        if (!e && said(&r) == SAID_NONE)
            e = fail_no_operation(after, f);
        for (size_t i = 1; !e && i < r.count; i++) {
            e = operation_view_of(reply_list(&r, i), a, &all[n], f);
            memcpy(last, all[n++].id, sizeof last);
        }
        if (e)
            return e;
    } while (n < limit && r.count == OPERATIONS_STEP + 1);
    *out = all;
    *out_count = n;
    return E_OK;
}

/* One verb without an operation or a batch. */
static err go_through(struct store *s, enum script script, const char *verb, int64_t before_ms,
                      wall now, bool *out_more, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    store_fresh(s);
    call_text(&c, span_of(verb));
    call_number(&c, before_ms);
    err e = store_write(s, script, &c, now, &r, f);
    *out_more = !e && reply_number(&r, 1) != 0;
    return e;
}

err redis_tend(struct store *s, wall now, struct fault *f)
{
    bool more = true;
    err first = E_OK;
    need(s->in_group);
    /* One that cannot go on holds up no others, while Redis is there; the first error is the caller's. */
    for (int i = 0; more && i < AT_ONCE; i++) {
        err e = go_through(s, SCRIPT_OPERATION, "tend", 0, now, &more, first ? NULL : f);
        more = e ? link_state(s->link).connected : more;
        first = first ? first : e;
    }
    if (first && !link_state(s->link).connected)
        return first;
    err e = batches_enter(s, now, first ? NULL : f);
    first = first ? first : e;
    e = callbacks_again(s, now, first ? NULL : f);
    return first ? first : e;
}

err redis_retain_batches(struct store *s, wall before, bool *out_more, struct fault *f)
{
    bool more = false;
    need(s->in_group);
    err e = go_through(s, SCRIPT_OPERATION, "retain", before.ms, (wall){0}, out_more, f);
    if (!e)
        e = go_through(s, SCRIPT_BATCH_ACT, "retain", before.ms, (wall){0}, &more, f);
    *out_more = *out_more || more;
    return e;
}
