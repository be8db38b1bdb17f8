/* scenario.h - programs about promises of the queue, for any store behind store/store.h. Include it in the
 * one file of a test program.
 *
 * A store is made by a row of `store_makers` (makers.h); every scenario runs on each of them and asks only through
 * operations and queries. Time is virtual: world.now is what the store is told, so a month costs nothing. */
#pragma once

#include "core/lane.h"
#include "makers.h"
#include "store/evidence.h"
#include "store/lanes.h"

#define T0 1800000000000
enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };

/* ---- the world of one scenario ---- */

struct world {
    const struct store_maker *maker;
    void *place;
    struct store *s;
    struct store_limits limits;
    struct arena *a;   /* of texts in replies; reset by drop_texts() */
    struct arena *ids; /* of jobs */
    int64_t now, numbers;
    uint64_t nonces, requests;
    bool in_group;
    struct fault f;
};
static struct world *w;

/* A tenth of a size of the design: SCENARIOS=full runs all at that size, SCENARIOS=small at a fiftieth of it. */
static inline int64_t scaled(int64_t full)
{
    const char *size = getenv("SCENARIOS");
    if (size && strcmp(size, "full") == 0)
        return full;
    return size && strcmp(size, "small") == 0 ? full / 50 : full / 10;
}

/* The same where a promise only shows from a size on: how far a file grows, for one. */
static inline int64_t scaled_from(int64_t least, int64_t full)
{
    int64_t size = scaled(full);
    return size > least ? size : least;
}

static inline wall now(void)
{
    return (wall){w->now};
}

static inline void open_store(void)
{
    w->f = (struct fault){0};
    err e = w->maker->open(w->place, &w->limits, now(), &w->s, &w->f);
    if (e)
        fail_msg("open: %s: %s", err_name(e), w->f.words);
}

static inline void reopen(void)
{
    store_close(&w->s);
    open_store();
}

static inline void crash(void)
{
    w->maker->crash(w->place, &w->s, w->in_group);
    w->in_group = false;
    open_store();
}

static inline struct world *world_new(void)
{
    struct world *fresh = calloc(1, sizeof *fresh), *before = w;
    fresh->maker = maker;
    fresh->limits = (struct store_limits){
        .ready_max = 10000000,
        .fail_max = 3,
        .crash_max = 2,
        .throttle_max = 4,
        .retry_base_ms = 1000,
        .retry_cap_ms = 60000,
        .retry_floor = 1000000,
        .lane_max_active = 1000,
        .lane_burst = 1,
        .lease_ms = 15000,
        .attempt_ms = 300000,
        .evidence_bytes = 1 << 20,
        .evidence_job_bytes = 1 << 20,
        .evidence_job_count = 10,
        .evidence_age_ms = HOUR,
    };
    fresh->a = arena_new(512 << 20);
    fresh->ids = arena_new(64 << 20);
    fresh->now = T0;
    fresh->place = fresh->maker->make();
    w = fresh;
    open_store();
    w = before;
    return fresh;
}

static inline void world_free(struct world *old)
{
    if (old->s && !old->in_group)
        store_close(&old->s);
    old->maker->remove(old->place);
    arena_free(&old->a);
    arena_free(&old->ids);
    free(old);
}

static inline int set_up(void **state)
{
    *state = w = world_new();
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    w->maker->count_work(false);
    world_free(w);
    w = NULL;
    return 0;
}

static inline void drop_texts(void)
{
    arena_reset(w->a);
}

/* The store again, with the limits of now. */
#define WITH(member, value) (w->limits.member = (value), reopen())

/* ---- operations: each a group of its own, unless one is open ---- */

static inline void begin(void)
{
    w->f = (struct fault){0};
    if (w->maker->begun)
        w->maker->begun(w->place);
    assert_int_equal(store_begin(w->s, &w->f), E_OK);
    w->in_group = true;
}

static inline void commit(void)
{
    struct fault f = {0};
    w->in_group = false;
    err e = store_commit(w->s, &f);
    if (e)
        fail_msg("commit: %s", f.words);
}

static inline bool enter(void)
{
    bool own = !w->in_group;
    if (own)
        begin();
    else
        w->f = (struct fault){0};
    return own;
}

static inline err leave(bool own, err e)
{
    if (own)
        commit();
    return e;
}

#define GROUPED(call)                                                                          \
    do {                                                                                       \
        bool own_ = enter();                                                                   \
        return leave(own_, (call));                                                            \
    } while (0)

static inline const char *new_id(void)
{
    return arena_fmt(w->ids, "job_%07lld", (long long)++w->numbers);
}

/* As a client gets them. */
static inline const char *made_id(const char *kind)
{
    uint8_t random[10] = {0};
    int64_t n = ++w->numbers;
    memcpy(random, &n, sizeof n);
    char *id = arena_get(w->ids, ID_TEXT);
    id_make(id, kind, (wall){T0}, random);
    return id;
}

static inline struct accept_args job_args(const char *id, const char *lane)
{
    return (struct accept_args){
        .id = span_of(id),
        .site = SPAN("x"),
        .kind = SPAN("posts"),
        .target = SPAN("nasa"),
        .lane = span_of(lane),
        .spec = SPAN("{}"),
        .prio = 5,
    };
}

static inline err try_accept(const struct accept_args *args, struct accept_reply *out)
{
    GROUPED(store_accept(w->s, args, now(), out, &w->f));
}

static inline struct accept_reply accept_args(const struct accept_args *args)
{
    struct accept_reply reply = {0};
    err e = try_accept(args, &reply);
    if (e)
        fail_msg("accept: %s: %s", err_name(e), w->f.words);
    return reply;
}

static inline const char *accept_in(const char *lane)
{
    const char *id = new_id();
    struct accept_args args = job_args(id, lane);
    accept_args(&args);
    return id;
}

static inline const char *accept_job(void)
{
    return accept_in("x/normal");
}

static inline void accept_many(const char *lane, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (!w->in_group)
            begin();
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%07lld", (long long)++w->numbers);
        struct accept_args args = job_args(id, lane);
        accept_args(&args);
        if (i % 4000 == 3999 || i + 1 == count)
            commit();
    }
}

static inline err reserve_as(const struct reserve_args *wanted, struct lease *out)
{
    struct reserve_args args = *wanted;
    if (!args.worker.p)
        args.worker = SPAN("w1");
    if (!args.random)
        args.random = ++w->nonces;
    GROUPED(store_reserve(w->s, &args, now(), w->a, out, &w->f));
}

static inline bool reserve(struct lease *out)
{
    err e = reserve_as(&(struct reserve_args){.needs = NEEDS_PAGE}, out);
    if (e != E_OK && e != E_END)
        fail_msg("reserve: %s", w->f.words);
    return e == E_OK;
}

static inline bool has_none(void)
{
    struct lease l;
    return !reserve(&l);
}

/* Work of finding that no job may start. */
static inline int64_t work_of_none(void)
{
    begin();
    int64_t began = w->maker->work();
    assert_true(has_none());
    int64_t work = w->maker->work() - began;
    commit();
    return work;
}

static inline struct lease lease_next(void)
{
    struct lease l;
    if (!reserve(&l))
        fail_msg("no job may start");
    return l;
}

static inline err started(const struct lease *l)
{
    GROUPED(store_started(w->s, span_of(l->id), l->nonce, &w->f));
}

static inline struct lease start_next(void)
{
    struct lease l = lease_next();
    assert_int_equal(started(&l), E_OK);
    return l;
}

static inline err heartbeat(const struct lease *l, bool *out_cancel)
{
    struct heartbeat_reply reply = {0};
    bool own = enter();
    err e = store_heartbeat(w->s, span_of(l->id), l->nonce, now(), &reply, &w->f);
    if (out_cancel)
        *out_cancel = reply.cancel;
    return leave(own, e);
}

static inline err try_finish(const struct finish_args *args, struct finish_reply *out)
{
    GROUPED(store_finish(w->s, args, now(), out, &w->f));
}

static inline struct finish_args finish_args_of(const struct lease *l,
                                                enum failure_class failure)
{
    struct finish_args args = {.id = span_of(l->id), .nonce = l->nonce, .failure = failure};
    if (failure == FAILURE_NONE) {
        args.verdict = VERDICT_COMPLETE;
        args.end = END_TERMINATE;
    }
    return args;
}

static inline struct finish_reply finish(const struct lease *l, enum failure_class failure)
{
    struct finish_reply reply = {0};
    struct finish_args args = finish_args_of(l, failure);
    err e = try_finish(&args, &reply);
    if (e)
        fail_msg("finish: %s: %s", err_name(e), w->f.words);
    return reply;
}

/* The attempt's process died, the job is given back, or the site asked to wait. */
static inline struct finish_reply give_back(const struct lease *l, enum failure_budget budget)
{
    struct finish_reply reply = {0};
    struct finish_args args =
        finish_args_of(l, budget == BUDGET_CRASH ? FAILURE_CRASH : FAILURE_NONE);
    args.budget = budget;
    assert_int_equal(try_finish(&args, &reply), E_OK);
    return reply;
}

static inline struct finish_reply throttle(const struct lease *l, int64_t wait_ms)
{
    struct finish_reply reply = {0};
    struct finish_args args = finish_args_of(l, FAILURE_RATE_LIMITED);
    args.wait_ms = wait_ms;
    assert_int_equal(try_finish(&args, &reply), E_OK);
    return reply;
}

static inline err try_cancel(const char *id, bool force, struct cancel_reply *out)
{
    GROUPED(store_cancel(w->s, &(struct cancel_args){.id = span_of(id), .force = force}, now(),
                         out, &w->f));
}

static inline struct cancel_reply cancel(const char *id, bool force)
{
    struct cancel_reply reply = {0};
    assert_int_equal(try_cancel(id, force, &reply), E_OK);
    return reply;
}

/* Records first … first+count−1, each with its id and `size` more bytes, as one batch. */
static inline err commit_sized(const struct lease *l, int64_t batch, int first, int count,
                               size_t size, struct commit_reply *out)
{
    static struct store_item items[512];
    static char ids[512][24], filler[65536];
    struct commit_reply ignored;
    char cursor[24];
    assert_true(count <= 512 && size < sizeof filler);
    if (!filler[0])
        memset(filler, 'f', sizeof filler - 1);
    for (int i = 0; i < count; i++) {
        snprintf(ids[i], sizeof ids[i], "%d", first + i);
        items[i] = (struct store_item){
            .kind = ITEM_POST, .id = span_of(ids[i]), .json = {filler, size ? size : 1}};
        if (!size)
            items[i].json = SPAN("{}");
    }
    snprintf(cursor, sizeof cursor, "cursor %lld", (long long)batch);
    struct commit_args args = {.id = span_of(l->id),
                               .nonce = l->nonce,
                               .batch = batch,
                               .items = items,
                               .count = (size_t)count,
                               .cursor = span_of(cursor)};
    GROUPED(store_commit_batch(w->s, &args, now(), out ? out : &ignored, &w->f));
}

static inline err commit_batch(const struct lease *l, int64_t batch, int first, int count)
{
    return commit_sized(l, batch, first, count, 0, NULL);
}

static inline struct reap_reply reap(void)
{
    struct reap_reply reply;
    bool own = enter();
    assert_int_equal(store_reap(w->s, now(), &reply, &w->f), E_OK);
    leave(own, E_OK);
    return reply;
}

static inline struct retain_reply retain(const struct retain_args *args)
{
    struct retain_reply reply;
    bool own = enter();
    err e = store_retain(w->s, args, now(), &reply, &w->f);
    if (e)
        fail_msg("retain: %s", w->f.words);
    leave(own, E_OK);
    return reply;
}

static inline err lane_change(const struct lane_change *c)
{
    GROUPED(store_lane_change(w->s, c, now(), &w->f));
}

static inline void lane_act(const char *name, enum lane_act act, int64_t hold_ms)
{
    struct lane_change c = {.name = span_of(name),
                            .act = act,
                            .hold_ms = hold_ms,
                            .by = SPAN("ann"),
                            .why = SPAN("a test")};
    assert_int_equal(lane_change(&c), E_OK);
}

static inline struct lane_change lane_sets(const char *name)
{
    return (struct lane_change){.name = span_of(name),
                                .act = LANE_ACT_SET,
                                .settings = lane_settings_all(LANE_UNCHANGED)};
}

static inline void lane_max_active(const char *name, int64_t most)
{
    struct lane_change c = lane_sets(name);
    c.settings.max_active = most;
    assert_int_equal(lane_change(&c), E_OK);
}

static inline void lane_rate(const char *name, int64_t emit_ms, int64_t burst)
{
    struct lane_change c = lane_sets(name);
    c.settings.emit_ms = emit_ms;
    c.settings.burst = burst;
    assert_int_equal(lane_change(&c), E_OK);
}

static inline void limit_set(enum limit_scope scope, const char *name, int64_t max_active,
                             int64_t emit_ms)
{
    struct limit_view v = {.scope = scope,
                           .name = span_of(name),
                           .max_active = max_active,
                           .weight = LANE_UNCHANGED,
                           .emit_ms = emit_ms,
                           .burst = LANE_UNCHANGED};
    bool own = enter();
    assert_int_equal(store_limit_set(w->s, &v, now(), &w->f), E_OK);
    leave(own, E_OK);
}

static inline void mode_set(enum store_mode mode)
{
    bool own = enter();
    assert_int_equal(store_mode_set(w->s, mode, SPAN("ann"), SPAN("a test"), now(), &w->f),
                     E_OK);
    leave(own, E_OK);
}

/* ---- queries ---- */

static inline bool exists(const char *id)
{
    struct job_view v;
    struct fault f = {0};
    err e = store_job(w->s, span_of(id), now(), w->a, &v, &f);
    assert_true(e == E_OK || e == E_NOT_FOUND);
    return e == E_OK;
}

static inline struct job_view view(const char *id)
{
    struct job_view v;
    struct fault f = {0};
    err e = store_job(w->s, span_of(id), now(), w->a, &v, &f);
    if (e)
        fail_msg("job %s: %s", id, f.words);
    return v;
}

static inline enum job_state state_of(const char *id)
{
    return view(id).state;
}

static inline struct outlook outlook(void)
{
    struct outlook o;
    assert_int_equal(store_outlook(w->s, now(), &o, &w->f), E_OK);
    return o;
}

static inline struct lane_view lane(const char *name)
{
    struct lane_view v;
    assert_int_equal(store_lane(w->s, span_of(name), now(), w->a, &v, &w->f), E_OK);
    return v;
}

static inline int64_t jobs_count(void)
{
    struct outlook o = outlook();
    int64_t n = 0;
    for (int i = 0; i < JOB_STATES; i++)
        n += o.by_state[i];
    return n;
}

static inline size_t items_of(const char *id, struct item_view **out_items)
{
    size_t count = 0;
    struct fault f = {0};
    err e = store_items(w->s, span_of(id), -1, -1, 10000, 1 << 30, w->a, out_items, &count, &f);
    if (e != E_OK && e != E_END)
        fail_msg("items of %s: %s: %s", id, err_name(e), f.words);
    return count;
}

static inline size_t items_count(const char *id)
{
    struct item_view *items;
    return items_of(id, &items);
}

static inline void look_at_jobs(struct buf *b)
{
    struct job_view *jobs;
    size_t n = 0;
    struct jobs_query q = {.state = -1, .limit = 500};
    do {
        assert_int_equal(store_jobs(w->s, &q, now(), w->a, &jobs, &n, &w->f), E_OK);
        for (size_t i = 0; i < n; i++) {
            const struct job_view *v = &jobs[i];
            buf_fmt(
                b,
                "%s %.*s %s fence %lld fail %lld crash %lld throttle %lld release %lld ok %lld void %lld ",
                v->id, SP(v->lane), job_state_name(v->state), (long long)v->fence,
                (long long)v->n_fail, (long long)v->n_crash, (long long)v->n_throttle,
                (long long)v->n_release, (long long)v->n_ok, (long long)v->n_void);
            buf_fmt(
                b,
                "batch %lld cursor %.*s have %lld run %lld ended %lld asked %d generation %lld\n",
                (long long)v->next_batch, SP(v->cursor), (long long)v->have,
                (long long)v->run_at_ms, (long long)v->finished_ms, v->cancel_asked,
                (long long)v->generation);
            struct item_view *items;
            size_t count = items_of(v->id, &items);
            for (size_t k = 0; k < count; k++)
                buf_fmt(b, "  %lld %.*s\n", (long long)items[k].ord, SP(items[k].id));
        }
        if (n)
            q.after = span_of(jobs[n - 1].id);
    } while (n == q.limit);
}

static inline void look_at_lanes(struct buf *b)
{
    struct lane_view *lanes;
    size_t n = 0;
    struct lanes_query q = {.limit = 500};
    struct span next;
    do {
        assert_int_equal(store_lanes(w->s, &q, now(), w->a, &lanes, &n, &next, &w->f), E_OK);
        for (size_t i = 0; i < n; i++) {
            const struct lane_view *v = &lanes[i];
            buf_fmt(
                b,
                "%.*s blocked %lld scheduled %lld ready %lld active %lld until %lld breaker %d %lld %lld\n",
                SP(v->name), (long long)v->blocked, (long long)v->scheduled,
                (long long)v->ready, (long long)v->active, (long long)v->blocked_until_ms,
                (int)v->breaker.state, (long long)v->breaker.fails,
                (long long)v->breaker.trips);
        }
        q.after = next;
    } while (next.n);
}

static inline void look_at_events(struct buf *b)
{
    struct event_view *events;
    size_t n = 0;
    int64_t after = 0;
    do {
        assert_int_equal(store_events(w->s, after, SPAN_NONE, 5000, w->a, &events, &n, &w->f),
                         E_OK);
        for (size_t i = 0; i < n; i++)
            buf_fmt(b, "%lld %.*s %lld %.*s %.*s\n", (long long)events[i].seq,
                    SP(events[i].job), (long long)events[i].number, SP(events[i].kind),
                    SP(events[i].body));
        after = n ? events[n - 1].seq : after;
    } while (n == 5000);
}

/* The abstract state, as queries tell it: one text in the arena. */
static inline struct span look(void)
{
    struct buf b = BUF(64 << 20);
    look_at_jobs(&b);
    look_at_lanes(&b);
    look_at_events(&b);
    assert_int_equal(b.failed, E_OK);
    struct span text = arena_keep(w->a, buf_span(&b));
    buf_free(&b);
    return text;
}

static inline void same_look(struct span before, struct span after)
{
    if (span_eq(before, after))
        return;
    struct span one, other;
    while (span_next(&before, '\n', &one) && span_next(&after, '\n', &other))
        if (!span_eq(one, other))
            fail_msg("was: %.*s\nis:  %.*s", SP(one), SP(other));
    fail_msg("one has more than the other");
}

/* ---- the walk of the queue in Redis ---- */

/* One whole walk, from wherever it stands; how much was put right. */
static inline int64_t walk_once(void)
{
    struct audit_reply r = {0};
    int64_t repaired = 0, walks = -1;
    for (int step = 0; step < 10000; step++) {
        if (redis_audit(w->s, now(), &r, &w->f))
            fail_msg("%s", w->f.words);
        repaired += r.repaired;
        if (walks < 0)
            walks = r.walks;
        if (r.walks >= walks + 2) /* from wherever it stood: one whole walk */
            return repaired;
    }
    fail_msg("the walk does not end");
    return 0;
}

/* ---- time ---- */

/* To the next instant of which the store says that something falls due, `until` at the latest; does what is
 * due. False: there is none before. */
static inline bool go_on(int64_t until)
{
    int64_t next = outlook().next_ms;
    if (next > until) {
        w->now = until;
        return false;
    }
    if (next > w->now)
        w->now = next;
    reap();
    return true;
}

static inline void pass(int64_t ms)
{
    w->now += ms;
    reap();
}

static uint64_t scenario_random = 88172645463325252u;

static inline int64_t below(int64_t n)
{
    scenario_random ^= scenario_random << 13;
    scenario_random ^= scenario_random >> 7;
    scenario_random ^= scenario_random << 17;
    return (int64_t)((scenario_random >> 11) % (uint64_t)n);
}

/* ---- running ---- */

#define S(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
