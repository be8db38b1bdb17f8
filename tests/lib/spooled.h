/* spooled.h - a Redis that goes and comes, and the spool of a node that takes jobs meanwhile. Include it once, in the program's
 * only file. */
#pragma once

#include "scenario.h"

#include "core/metrics.h"
#include "store/spooling.h"

#include <string.h>

enum { MOST = 50 };
static struct spooling *spool;
static struct spooling_config asked; /* besides what each has; zero: nothing */
static int64_t elapsed_ms;

static inline mono elapsed(void)
{
    return (mono){elapsed_ms};
}

static inline struct redis_place *place(void)
{
    return w->place;
}

static inline void open_spool(void)
{
    struct spooling_config config = asked;
    struct fault f = {0};
    config.state_dir = place()->server.dir;
    config.most = asked.most ? asked.most : MOST;
    config.clock = elapsed;
    if (spooling_open(&spool, &config, &f))
        fail_msg("%s", f.words);
}

static inline int set_up_spool(void **state)
{
    set_up(state);
    asked = (struct spooling_config){0};
    elapsed_ms = 1000000;
    open_spool();
    return 0;
}

static inline int tear_down_spool(void **state)
{
    spooling_close(&spool);
    return tear_down(state);
}
#define SPOOL(name) cmocka_unit_test_setup_teardown(name, set_up_spool, tear_down_spool)

static inline err take(const struct accept_args *job, struct accept_reply *out)
{
    w->f = (struct fault){0};
    err e = spooling_take(spool, job, MODE_NORMAL, now(), w->a, out, &w->f);
    return e ? e : spooling_sync(spool, &w->f);
}

static inline const char *take_in(const char *lane)
{
    struct accept_args args = job_args(new_id(), lane);
    struct accept_reply reply;
    if (take(&args, &reply))
        fail_msg("%s", w->f.words);
    assert_int_equal(reply.durability, DURABILITY_SPOOLED);
    assert_true(reply.confirmed && !reply.replayed);
    assert_string_equal(reply.id, args.id.p);
    return args.id.p;
}

static inline void hand_over(void)
{
    bool more = true;
    while (more)
        if (spooling_hand_over(spool, w->s, now(), &more, &w->f))
            fail_msg("%s", w->f.words);
    assert_int_equal(spooling_state(spool).waiting, 0);
}

static inline void queue_goes(void)
{
    redis_end(&place()->server, SIGKILL);
}

static inline void queue_comes(void)
{
    redis_start(&place()->server);
    redis_watch(place());
    struct outlook o;
    while (store_outlook(w->s, now(), &o, &w->f)) /* its pause between two attempts */
        redis_nap();
}

static inline struct accept_args unique_args(const char *lane, enum unique_mode mode)
{
    struct accept_args args = job_args(new_id(), lane);
    args.unique_key = SPAN("u");
    args.on_conflict = mode;
    return args;
}

static inline const char *take_unique(enum unique_mode mode)
{
    struct accept_args args = unique_args("x/normal", mode);
    struct accept_reply reply;
    if (take(&args, &reply))
        fail_msg("%s", w->f.words);
    assert_false(reply.existing);
    assert_string_equal(reply.id, args.id.p);
    return args.id.p;
}

/* It has ended, was accepted before, and says by which job. */
static inline void was_kept_out(const char *id, const char *by)
{
    struct job_view v = view(id);
    struct event_view *events;
    size_t n;
    assert_int_equal(v.state, JOB_CANCELLED);
    if (!strstr(arena_fmt(w->a, "%.*s", SP(v.why)), by))
        fail_msg("%s does not name %s: %.*s", id, by, SP(v.why));
    assert_true(span_is(v.unique_key, "u"));
    assert_int_equal(store_events(w->s, 0, span_of(id), 10, w->a, &events, &n, &w->f), E_OK);
    assert_int_equal(n, 2);
    assert_true(span_is(events[0].kind, "job.accepted"));
    assert_true(span_is(events[1].kind, "job.cancelled"));
}

static inline sqlite3 *other_hand(const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(arena_fmt(w->a, "%s/spool.db", place()->server.dir), &db),
                     SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static inline void started_anew(void)
{
    if (spool)
        spooling_close(&spool);
    open_spool();
    hand_over();
}

static inline void forget_all(void)
{
    struct retain_args all = {.age_ms = 1};
    w->now += 2;
    (void)retain(&all);
    (void)retain(&all); /* what the archive had of it as well */
}

static inline void say(const char *verb, const char *key, const char *a, const char *b)
{
    struct reply r;
    struct fault f = {0};
    if (link_say(place()->watch, w->a, &r, &f, verb, key, a, b, NULL))
        fail_msg("%s %s: %s", verb, key, f.words);
}

static inline bool hand_over_some(void)
{
    bool more;
    w->f = (struct fault){0};
    if (spooling_hand_over(spool, w->s, now(), &more, &w->f))
        fail_msg("%s", w->f.words);
    return more;
}
