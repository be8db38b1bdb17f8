/* store.h - a store of its own, one operation a group, for tests of what lies on top of jobs. A program runs on
 * the first store of makers.h unless it goes through them. Include it once, in the program's only file. */
#pragma once

#include "makers.h"
#include "store/batches.h"

#define T0 1800000000000

struct world {
    void *place;
    const char *dir; /* of SQLite; else NULL */
    struct store *s;
    struct store_limits limits;
    struct arena *a;
    int64_t now, numbers;
    uint64_t nonces;
    struct fault f;
};
static struct world *w;

static inline wall now(void)
{
    return (wall){w->now};
}

static inline void open_store(void)
{
    w->f = (struct fault){0};
    err e = maker->open(w->place, &w->limits, now(), &w->s, &w->f);
    if (e)
        fail_msg("open: %s: %s", err_name(e), w->f.words);
}

static inline int set_up(void **state)
{
    w = calloc(1, sizeof *w);
    *state = w;
    w->place = maker->make();
    w->dir = maker == store_makers ? w->place : NULL;
    w->limits = (struct store_limits){
        .ready_max = 100000,
        .fail_max = 1,
        .crash_max = 2,
        .retry_floor = 1000000,
        .throttle_max = 2,
        .retry_base_ms = 1000,
        .retry_cap_ms = 60000,
        .lane_max_active = 1000,
        .lane_burst = 1,
        .lease_ms = 15000,
    };
    w->a = arena_new(256 << 20);
    w->now = T0;
    open_store();
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    store_close(&w->s);
    arena_free(&w->a);
    maker->remove(w->place);
    free(w);
    w = NULL;
    return 0;
}

static inline void begin(void)
{
    w->f = (struct fault){0};
    if (maker->begun)
        maker->begun(w->place);
    assert_int_equal(store_begin(w->s, &w->f), E_OK);
}

static inline void commit(void)
{
    struct fault f = {0};
    err e = store_commit(w->s, &f);
    if (e)
        fail_msg("store_commit: %s", f.words);
}

/* The process ends here, in the middle of a group or not. */
static inline void crash(bool in_group)
{
    maker->crash(w->place, &w->s, in_group);
    open_store();
}

static inline const char *new_id(const char *kind)
{
    uint8_t random[10] = {0};
    int64_t n = ++w->numbers;
    memcpy(random, &n, sizeof n);
    char *id = arena_get(w->a, ID_TEXT);
    id_make(id, kind, (wall){T0}, random);
    return id;
}

static inline struct accept_args job_args(const char *id)
{
    return (struct accept_args){
        .id = span_of(id),
        .site = SPAN("x"),
        .kind = SPAN("posts"),
        .target = SPAN("nasa"),
        .lane = SPAN("x/normal"),
        .spec = SPAN("{}"),
        .prio = 5,
    };
}

static inline const char *accept_job(void)
{
    const char *id = new_id("job");
    struct accept_args args = job_args(id);
    struct accept_reply reply;
    begin();
    assert_int_equal(store_accept(w->s, &args, now(), &reply, &w->f), E_OK);
    commit();
    return id;
}

static inline bool reserve(struct lease *out)
{
    begin();
    struct reserve_args args = {
        .worker = SPAN("w1"), .random = ++w->nonces, .needs = NEEDS_PAGE};
    err e = store_reserve(w->s, &args, now(), w->a, out, &w->f);
    commit();
    assert_true(e == E_OK || e == E_END);
    return e == E_OK;
}

/* Leases until this job is held; others that come first are given back at the end. */
static inline struct lease lease_of(const char *id)
{
    static struct lease others[200];
    struct lease found = {0}, l;
    size_t n = 0;
    while (!found.id[0] && n < 200 && reserve(&l)) {
        if (strcmp(l.id, id) == 0)
            found = l;
        else
            others[n++] = l;
    }
    for (size_t i = 0; i < n; i++) {
        struct finish_args args = {
            .id = span_of(others[i].id), .nonce = others[i].nonce, .budget = BUDGET_RELEASE};
        struct finish_reply reply;
        begin();
        assert_int_equal(store_finish(w->s, &args, now(), &reply, &w->f), E_OK);
        commit();
    }
    assert_string_equal(found.id, id);
    return found;
}

/* Without a commit. */
static inline enum job_state finish_open(const struct lease *l, enum failure_class failure,
                                         const char *why)
{
    struct finish_reply reply;
    struct finish_args args = {
        .id = span_of(l->id), .nonce = l->nonce, .failure = failure, .why = span_of(why)};
    if (failure == FAILURE_NONE) {
        args.verdict = VERDICT_COMPLETE;
        args.end = END_TERMINATE;
    }
    err e = store_finish(w->s, &args, now(), &reply, &w->f);
    if (e)
        fail_msg("store_finish: %s", w->f.words);
    return reply.state;
}

static inline enum job_state finish(const struct lease *l, enum failure_class failure,
                                    const char *why)
{
    begin();
    enum job_state state = finish_open(l, failure, why);
    commit();
    return state;
}

static inline void end_job(const char *id, enum failure_class failure)
{
    struct lease l = lease_of(id);
    finish(&l, failure, failure ? "the site said no" : "");
}

static inline struct job_view view(const char *id)
{
    struct job_view v;
    struct fault f = {0};
    err e = store_job(w->s, span_of(id), now(), w->a, &v, &f);
    if (e)
        fail_msg("store_job %s: %s", id, f.words);
    return v;
}

static inline void tend(void)
{
    begin();
    err e = store_tend(w->s, now(), &w->f);
    if (e)
        fail_msg("store_tend: %s", w->f.words);
    commit();
}

/* ---- seen by queries ---- */

static inline int64_t jobs_in(int state)
{
    struct outlook o;
    int64_t n = 0;
    assert_int_equal(store_outlook(w->s, now(), &o, &w->f), E_OK);
    for (int i = 0; i < JOB_STATES; i++)
        n += state < 0 || i == state ? o.by_state[i] : 0;
    return n;
}

/* Events of that kind; of one job or operation, or of all (NULL). */
static inline int64_t events_of(const char *subject, const char *kind)
{
    struct event_view *events;
    size_t count;
    int64_t n = 0, after = 0;
    do {
        assert_int_equal(
            store_events(w->s, after, span_of(subject), 1000, w->a, &events, &count, &w->f),
            E_OK);
        for (size_t i = 0; i < count; i++)
            n += span_is(events[i].kind, kind);
        after = count ? events[count - 1].seq : after;
    } while (count == 1000);
    return n;
}
