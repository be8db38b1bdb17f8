/* What a node promises of the jobs that it takes while the queue is away: each is handed over once, in its order, whatever
 * the queue says meanwhile. What the queue lost: test_redis_history.c. */
#include "../lib/scenario.h"

#include "core/metrics.h"
#include "store/nodes.h"
#include "store/redis/transfer.h"
#include "store/spooling.h"
#include "store/ticket.h"

#include <string.h>

enum { MOST = 50 };
static struct spooling *spool;
static struct spooling_config asked; /* besides what each has; zero: nothing */
static int64_t elapsed_ms;

static mono elapsed(void)
{
    return (mono){elapsed_ms};
}

static struct redis_place *place(void)
{
    return w->place;
}

static void open_spool(void)
{
    struct spooling_config config = asked;
    struct fault f = {0};
    config.state_dir = place()->server.dir;
    config.most = asked.most ? asked.most : MOST;
    config.clock = elapsed;
    if (spooling_open(&spool, &config, &f))
        fail_msg("%s", f.words);
}

static int set_up_spool(void **state)
{
    set_up(state);
    asked = (struct spooling_config){0};
    elapsed_ms = 1000000;
    open_spool();
    return 0;
}

static int tear_down_spool(void **state)
{
    spooling_close(&spool);
    return tear_down(state);
}
#define SPOOL(name) cmocka_unit_test_setup_teardown(name, set_up_spool, tear_down_spool)

static err take(const struct accept_args *job, struct accept_reply *out)
{
    w->f = (struct fault){0};
    err e = spooling_take(spool, job, MODE_NORMAL, now(), w->a, out, &w->f);
    return e ? e : spooling_sync(spool, &w->f);
}

static const char *take_in(const char *lane)
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

static void hand_over(void)
{
    bool more = true;
    while (more)
        if (spooling_hand_over(spool, w->s, now(), &more, &w->f))
            fail_msg("%s", w->f.words);
    assert_int_equal(spooling_state(spool).waiting, 0);
}

static void queue_goes(void)
{
    redis_end(&place()->server, SIGKILL);
}

static void queue_comes(void)
{
    redis_start(&place()->server);
    redis_watch(place());
    struct outlook o;
    while (store_outlook(w->s, now(), &o, &w->f)) /* its pause between two attempts */
        redis_nap();
}

static void a_queue_that_is_away_is_told_from_one_that_refuses(void **state)
{
    (void)state;
    struct accept_args args = job_args(new_id(), "x/normal");
    struct accept_reply reply;
    WITH(ready_max, 1);
    accept_job();
    assert_int_equal(try_accept(&args, &reply), E_BUSY);
    assert_false(store_is_away(w->s));
    WITH(ready_max, 100);
    queue_goes();
    for (int i = 0; i < 3; i++) { /* also while it is not even tried */
        assert_true(try_accept(&args, &reply) != E_OK);
        assert_true(store_is_away(w->s));
    }
    queue_comes();
    assert_int_equal(try_accept(&args, &reply), E_OK);
    assert_false(store_is_away(w->s));
}

static void jobs_are_handed_over_once_and_keep_their_order_and_time(void **state)
{
    (void)state;
    enum { JOBS = 20 };
    const char *ids[JOBS];
    int64_t began = w->now;
    for (int i = 0; i < JOBS; i++) {
        ids[i] = take_in("x/normal");
        w->now += SECOND;
    }
    w->now += HOUR;
    accept_in("x/normal"); /* when the queue is back, before they are there */
    struct fault f = {0};
    assert_int_equal(spooling_asked(spool, span_of(ids[3]), &f), E_BUSY);
    hand_over();
    assert_int_equal(spooling_asked(spool, span_of(ids[3]), &f), E_OK);
    assert_int_equal(jobs_count(), JOBS + 1);
    for (int i = 0; i < JOBS; i++) { /* in the order in which they were accepted */
        struct lease l = start_next();
        assert_string_equal(l.id, ids[i]);
        assert_int_equal(view(ids[i]).created_ms, began + i * SECOND);
        finish(&l, FAILURE_NONE);
    }
    /* A process that died before it noted what it had handed over does it again. */
    spooling_close(&spool);
    open_spool();
    assert_int_equal(spooling_state(spool).waiting, JOBS);
    hand_over();
    assert_int_equal(jobs_count(), JOBS + 1);
    assert_int_equal(outlook().by_state[JOB_SUCCEEDED], JOBS);
    assert_int_equal(spooling_state(spool).handed_over, JOBS);
}

static void what_was_accepted_comes_in_whatever_the_queue_takes_now(void **state)
{
    (void)state;
    const char *closed = take_in("x/normal"), *later = take_in("y/normal");
    struct accept_args args = job_args(new_id(), "x/normal");
    args.pool = SPAN("main");
    args.operation = SPAN("posts");
    struct accept_reply reply;
    assert_int_equal(take(&args, &reply), E_OK);
    accept_in("z/normal");
    lane_act("x/normal", LANE_ACT_CLOSE, 0);
    mode_set(MODE_DRAINING);
    WITH(ready_max, 1);
    hand_over();
    assert_int_equal(state_of(closed), JOB_READY);
    assert_int_equal(state_of(later), JOB_READY);
    assert_int_equal(state_of(args.id.p), JOB_READY);
    /* Nothing new comes in that way, and nothing is taken by a node that knows of the mode. */
    args = job_args(new_id(), "y/normal");
    assert_int_equal(try_accept(&args, &reply), E_DRAINING);
    w->f = (struct fault){0};
    assert_int_equal(spooling_take(spool, &args, MODE_DRAINING, now(), w->a, &reply, &w->f),
                     E_DRAINING);
}

static void a_key_is_known_where_its_job_waits_and_each_job_runs(void **state)
{
    (void)state;
    struct accept_args args = job_args(new_id(), "x/normal"), same, other;
    struct accept_reply reply;
    struct fault f = {0};
    args.idempotency_key = SPAN("key");
    args.request_hash = 7;
    assert_int_equal(take(&args, &reply), E_OK);
    same = args;
    same.id = span_of(new_id());
    assert_int_equal(spooling_find(spool, &same, &reply, &f), E_OK);
    assert_true(reply.replayed);
    assert_string_equal(reply.id, args.id.p);
    other = same;
    other.request_hash = 8;
    assert_int_equal(spooling_find(spool, &other, &reply, &f), E_BAD_INPUT);
    /* Another node took the request as well, when the queue was back: both were answered, both run. */
    assert_int_equal(accept_args(&same).replayed, false);
    hand_over();
    assert_int_equal(jobs_count(), 2);
    assert_int_equal(state_of(args.id.p), JOB_READY);
    /* From now on it is the queue that knows the key. */
    assert_int_equal(spooling_find(spool, &same, &reply, &f), E_END);
    /* One that the queue had taken, though its answer was lost, is there once. */
    struct accept_args lost = job_args(new_id(), "x/normal");
    lost.idempotency_key = SPAN("lost");
    accept_args(&lost);
    assert_int_equal(take(&lost, &reply), E_OK);
    hand_over();
    assert_int_equal(jobs_count(), 3);
    /* An id that a client chose, and that is another job's by now, makes none. */
    struct accept_args chosen = job_args(lost.id.p, "x/normal");
    chosen.idempotency_key = SPAN("lost");
    chosen.request_hash = 9;
    spooling_close(&spool);
    assert_int_equal(unlink(arena_fmt(w->a, "%s/spool.db", place()->server.dir)), 0);
    open_spool();
    assert_int_equal(take(&chosen, &reply), E_OK);
    hand_over();
    assert_int_equal(jobs_count(), 3);
    /* Its client was answered: somebody is told. */
    assert_int_equal(spooling_state(spool).aside, 1);
}

static void what_may_not_come_in_is_not_taken_and_a_full_spool_says_so(void **state)
{
    (void)state;
    struct accept_args args = job_args(new_id(), "x/normal");
    struct accept_reply reply;
    args.prio = 77;
    assert_int_equal(take(&args, &reply), E_BAD_INPUT);
    for (int i = 0; i < MOST; i++)
        take_in("x/normal");
    args = job_args(new_id(), "x/normal");
    args.unique_key = SPAN("u");
    assert_int_equal(take(&args, &reply), E_BUSY);
    assert_non_null(strstr(w->f.words, "(50)"));
    assert_int_equal(spooling_state(spool).waiting, MOST);
}

/* ---- unique keys ---- */

static struct accept_args unique_args(const char *lane, enum unique_mode mode)
{
    struct accept_args args = job_args(new_id(), lane);
    args.unique_key = SPAN("u");
    args.on_conflict = mode;
    return args;
}

static const char *take_unique(enum unique_mode mode)
{
    struct accept_args args = unique_args("x/normal", mode);
    struct accept_reply reply;
    if (take(&args, &reply))
        fail_msg("%s", w->f.words);
    assert_false(reply.existing);
    assert_string_equal(reply.id, args.id.p);
    return args.id.p;
}

static const char *accept_unique(enum unique_mode mode)
{
    struct accept_args args = unique_args("x/normal", mode);
    assert_string_equal(accept_args(&args).id, args.id.p);
    return args.id.p;
}

/* It has ended, was accepted before, and says by which job. */
static void was_kept_out(const char *id, const char *by)
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

static void of_a_unique_key_one_job_waits_and_the_newest_comes_in(void **state)
{
    (void)state;
    struct accept_args args = unique_args("x/normal", UNIQUE_RETURN_EXISTING);
    struct accept_reply reply;
    const char *first = take_unique(UNIQUE_REJECT);
    const enum unique_mode existing[] = {UNIQUE_RETURN_EXISTING, UNIQUE_RUN_AFTER_ACTIVE};
    for (size_t i = 0; i < 2; i++) {
        args.on_conflict = existing[i];
        args.target = SPAN("another");
        assert_int_equal(take(&args, &reply), E_OK);
        assert_true(reply.existing && !reply.replayed);
        assert_string_equal(reply.id, first);
        assert_int_equal(reply.state, JOB_READY);
        assert_int_equal(reply.durability, DURABILITY_SPOOLED);
        assert_true(reply.waits && span_eq(reply.waits->target, job_args("", "x/n").target));
    }
    args.on_conflict = UNIQUE_REJECT;
    assert_int_equal(take(&args, &reply), E_CONFLICT);
    assert_non_null(strstr(w->f.words, first));
    assert_int_equal(spooling_state(spool).waiting, 1);
    args = unique_args("others/x/normal", UNIQUE_REJECT);
    assert_int_equal(take(&args, &reply), E_OK); /* another tenant's key is another key */
    const char *second = take_unique(UNIQUE_REPLACE_PENDING);
    spooling_close(
        &spool); /* a process that is killed knows as much when it has started again */
    open_spool();
    const char *third = take_unique(UNIQUE_REPLACE_PENDING);
    w->now += SECOND;
    hand_over();
    was_kept_out(first, second);
    was_kept_out(second, third);
    assert_int_equal(state_of(third), JOB_READY);
    assert_int_equal(state_of(args.id.p), JOB_READY);
    assert_int_equal(jobs_count(), 4);
    assert_int_equal(walk_once(), 0);
    /* The key goes with the job that has it. */
    cancel(third, false);
    (void)accept_unique(UNIQUE_REJECT);
}

/* While it waits here and the queue is back an order with its key is for this node; one with a key of its request, for the queue. */
static void who_has_the_key_of_one_that_waits_is_for_this_node(void **state)
{
    (void)state;
    struct accept_args args = unique_args("x/normal", UNIQUE_RETURN_EXISTING);
    assert_false(spooling_has_key(spool, &args));
    take_unique(UNIQUE_RETURN_EXISTING);
    assert_true(spooling_has_key(spool, &args));
    args.idempotency_key = SPAN("key");
    assert_false(spooling_has_key(spool, &args));
    args = unique_args("others/x/normal", UNIQUE_RETURN_EXISTING);
    assert_false(spooling_has_key(spool, &args));
    hand_over();
    args = unique_args("x/normal", UNIQUE_RETURN_EXISTING);
    assert_false(spooling_has_key(spool, &args));
}

enum live { LIVE_WAITS, LIVE_RUNS, LIVE_RUNS_WITH_SUCCESSOR };
static const struct meeting {
    enum unique_mode mode;
    enum live live;
    bool
        newer; /* what is live, or waits behind it, was accepted later than the one in the spool */
    enum {
        COMES,
        COMES_FOR_LIVE,
        COMES_BEHIND,
        COMES_FOR_SUCCESSOR,
        OUT,
        OUT_BY_SUCCESSOR
    } then;
} meetings[] = {
    {UNIQUE_RETURN_EXISTING, LIVE_WAITS, false, OUT},
    {UNIQUE_RETURN_EXISTING, LIVE_RUNS, false, OUT},
    {UNIQUE_RETURN_EXISTING, LIVE_WAITS, true, OUT},
    {UNIQUE_REJECT, LIVE_WAITS, false, OUT},
    {UNIQUE_REJECT, LIVE_RUNS, true, OUT},
    {UNIQUE_REPLACE_PENDING, LIVE_WAITS, false, COMES_FOR_LIVE},
    {UNIQUE_REPLACE_PENDING, LIVE_WAITS, true, OUT},
    {UNIQUE_REPLACE_PENDING, LIVE_RUNS, false, OUT},
    {UNIQUE_RUN_AFTER_ACTIVE, LIVE_WAITS, false, OUT},
    {UNIQUE_RUN_AFTER_ACTIVE, LIVE_RUNS, false, COMES_BEHIND},
    {UNIQUE_RUN_AFTER_ACTIVE, LIVE_RUNS_WITH_SUCCESSOR, false, COMES_FOR_SUCCESSOR},
    {UNIQUE_RUN_AFTER_ACTIVE, LIVE_RUNS_WITH_SUCCESSOR, true, OUT_BY_SUCCESSOR},
};

static void check_meeting(const struct meeting *m, const char *id, const char *live,
                          const char *successor)
{
    if (m->then >= OUT)
        was_kept_out(id, m->then == OUT ? live : successor);
    else if (m->then == COMES_FOR_LIVE)
        was_kept_out(live, "a newer request");
    else if (m->then == COMES_FOR_SUCCESSOR)
        was_kept_out(successor, "a newer request");
    if (m->then < OUT)
        assert_int_equal(state_of(id), m->then == COMES_FOR_LIVE ? JOB_READY : JOB_BLOCKED);
    if (m->then != COMES_FOR_LIVE)
        assert_int_equal(state_of(live), m->live == LIVE_WAITS ? JOB_READY : JOB_ACTIVE);
    if (m->then == OUT_BY_SUCCESSOR)
        assert_int_equal(state_of(successor), JOB_BLOCKED);
    assert_int_equal(walk_once(), 0);
}

static void meet(const struct meeting *m)
{
    struct lease l = {0};
    const char *id = NULL, *live, *successor = "";
    if (m->newer)
        id = take_unique(m->mode);
    w->now += SECOND;
    live = accept_unique(UNIQUE_REJECT);
    if (m->live >= LIVE_RUNS)
        l = start_next();
    if (m->live == LIVE_RUNS_WITH_SUCCESSOR)
        successor = accept_unique(UNIQUE_RUN_AFTER_ACTIVE);
    w->now += SECOND;
    if (!m->newer)
        id = take_unique(m->mode);
    w->now += SECOND;
    hand_over();
    check_meeting(m, id, live, successor);
    if (m->live >= LIVE_RUNS)
        finish(&l, FAILURE_NONE);
    for (struct lease next; reserve(&next);)
        finish(&next, FAILURE_NONE);
    assert_true(job_is_final(state_of(id)) && job_is_final(state_of(live)));
}

static void
who_meets_a_live_job_of_its_key_comes_in_as_it_may_or_ends_and_says_why(void **state)
{
    (void)state;
    int jobs = 0;
    for (size_t i = 0; i < sizeof meetings / sizeof *meetings; i++) {
        meet(&meetings[i]);
        jobs += meetings[i].live == LIVE_RUNS_WITH_SUCCESSOR ? 3 : 2;
        assert_int_equal(jobs_count(), jobs);
    }
    /* A process that died before it noted what it had handed over does it again, and nothing more is there. */
    spooling_close(&spool);
    open_spool();
    hand_over();
    assert_int_equal(jobs_count(), jobs);
}

static void what_cannot_be_read_is_set_aside_and_holds_up_nobody(void **state)
{
    (void)state;
    enum { JOBS = 5 };
    const char *ids[JOBS];
    sqlite3 *db = NULL;
    for (int i = 0; i < JOBS; i++)
        ids[i] = take_in("x/normal");
    spooling_close(&spool);
    assert_int_equal(sqlite3_open(arena_fmt(w->a, "%s/spool.db", place()->server.dir), &db),
                     SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db,
                     arena_fmt(w->a,
                               "UPDATE spool SET ticket='no ticket' WHERE id IN ('%s','%s')",
                               ids[0], ids[2]),
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    int64_t before = metric_get(METRIC_SPOOLED, 2);
    open_spool();
    hand_over();
    assert_int_equal(jobs_count(), JOBS - 2);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(exists(ids[i]), i != 0 && i != 2);
    struct spooling_state said = spooling_state(spool);
    assert_int_equal(said.aside, 2);
    assert_int_equal(metric_get(METRIC_SPOOL, 2), 2);
    assert_int_equal(metric_get(METRIC_SPOOLED, 2), before + 2);
    /* Who asks hears of it, and not that there is none. */
    struct fault f = {0};
    assert_int_equal(spooling_asked(spool, span_of(ids[2]), &f), E_STORE);
    assert_non_null(strstr(f.words, ids[2]));
    assert_int_equal(spooling_asked(spool, span_of(ids[1]), &f), E_OK);
}

/* ---- what the queue does not take yet ---- */

static void say(const char *verb, const char *key, const char *a, const char *b)
{
    struct reply r;
    struct fault f = {0};
    if (link_say(place()->watch, w->a, &r, &f, verb, key, a, b, NULL))
        fail_msg("%s %s: %s", verb, key, f.words);
}

static bool hand_over_some(void)
{
    bool more;
    w->f = (struct fault){0};
    if (spooling_hand_over(spool, w->s, now(), &more, &w->f))
        fail_msg("%s", w->f.words);
    return more;
}

static void what_meets_foreign_data_waits_and_holds_up_nobody(void **state)
{
    (void)state;
    enum { JOBS = 5 };
    const char *ids[JOBS];
    struct accept_reply reply;
    say("LPUSH", "fulmar:{q}:idem:default:k", "foreign", NULL);
    for (int i = 0; i < JOBS; i++) {
        struct accept_args args = job_args(new_id(), "x/normal");
        args.idempotency_key = i == 1 ? SPAN("k") : SPAN_NONE;
        assert_int_equal(take(&args, &reply), E_OK);
        ids[i] = args.id.p;
    }
    for (int times = 0; times < 3; times++) {
        assert_false(hand_over_some());
        for (int i = 0; i < JOBS; i++)
            assert_int_equal(exists(ids[i]), i != 1);
        assert_int_equal(spooling_state(spool).waiting, 1);
        assert_int_equal(spooling_state(spool).stuck, 1);
        assert_int_equal(metric_get(METRIC_SPOOL, 3), 1);
    }
    const char *later = take_in("x/normal"); /* behind it as well */
    (void)hand_over_some();
    assert_true(exists(later) && !exists(ids[1]));
    say("DEL", "fulmar:{q}:idem:default:k", NULL, NULL);
    hand_over();
    assert_true(exists(ids[1]));
    assert_int_equal(spooling_state(spool).stuck, 0); /* none waits */
    assert_int_equal(jobs_count(), JOBS + 1);
    assert_int_equal(spooling_state(spool).aside, 0);
    assert_int_equal(metric_get(METRIC_SPOOL, 3), 0);
}

/* A queue that refuses all of them is not asked for each all the time, and none is lost. */
static void where_many_are_refused_the_others_come_in_a_while_later(void **state)
{
    (void)state;
    enum { REFUSED = 120 };
    struct accept_reply reply;
    spooling_close(&spool);
    asked.most = 2 * REFUSED;
    open_spool();
    for (int i = 0; i < REFUSED; i++) {
        struct accept_args args = job_args(new_id(), "x/normal");
        args.idempotency_key = span_of(arena_fmt(w->ids, "k%d", i));
        say("LPUSH", arena_fmt(w->ids, "fulmar:{q}:idem:default:k%d", i), "foreign", NULL);
        assert_int_equal(take(&args, &reply), E_OK);
    }
    const char *last = take_in("x/normal");
    assert_false(hand_over_some());
    assert_false(exists(last));
    for (int i = 0; i < 3 && !exists(last); i++)
        assert_false(hand_over_some());
    assert_true(exists(last));
    assert_int_equal(spooling_state(spool).waiting, REFUSED);
    for (int i = 0; i < REFUSED; i++)
        say("DEL", arena_fmt(w->ids, "fulmar:{q}:idem:default:k%d", i), NULL, NULL);
    hand_over();
    assert_int_equal(jobs_count(), REFUSED + 1);
}

/* Of a batch that was accepted and whose job cannot come in: its key is taken, perhaps for long. */
static void who_meets_the_key_of_a_job_that_is_to_come_ends_and_says_why(void **state)
{
    (void)state;
    say("HSET", "fulmar:{q}:bkeys", "default\nu", "job_to_come");
    const char *id = take_unique(UNIQUE_RETURN_EXISTING);
    hand_over();
    was_kept_out(id, "job_to_come");
    say("DEL", "fulmar:{q}:bkeys", NULL, NULL);
}

/* ---- what may be lost, and what was done with ---- */

static void keep_copies(int count)
{
    for (int i = 0; i < count; i++) {
        struct accept_args args = job_args(new_id(), "x/normal");
        spooling_keep(spool, &args, now());
    }
    assert_int_equal(spooling_sync(spool, &w->f), E_OK);
}

/* Copies, an outage of more than a minute, a failover, and another one right behind it. */
static void a_copy_stays_for_a_minute_also_after_a_failover(void **state)
{
    (void)state;
    enum { COPIES = 120 };
    int64_t again = 0;
    spooling_close(&spool);
    asked.most = 2 * COPIES;
    open_spool();
    keep_copies(COPIES);
    elapsed_ms += 61 * SECOND;
    (void)hand_over_some();
    assert_int_equal(spooling_state(spool).handed_over, COPIES);
    elapsed_ms += 600 * SECOND;
    assert_int_equal(spooling_again(spool, &again, &w->f), E_OK);
    assert_int_equal(again, COPIES);
    assert_true(hand_over_some()); /* a piece of them */
    int64_t handed = spooling_state(spool).handed_over;
    assert_true(handed > 0);
    assert_int_equal(handed + spooling_state(spool).waiting, COPIES);
    assert_int_equal(spooling_again(spool, &again, &w->f), E_OK);
    assert_int_equal(again, handed);
    hand_over();
    assert_int_equal(jobs_count(), COPIES);
    for (int i = 0; i < 2; i++) { /* and no longer than two */
        assert_int_equal(spooling_state(spool).handed_over, COPIES);
        elapsed_ms += 61 * SECOND;
        (void)hand_over_some();
    }
    assert_int_equal(spooling_state(spool).handed_over, 0);
}

static sqlite3 *other_hand(const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(arena_fmt(w->a, "%s/spool.db", place()->server.dir), &db),
                     SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void
a_loss_that_cannot_be_noted_is_noted_later_and_nothing_is_given_up_before(void **state)
{
    (void)state;
    enum { COPIES = 5 };
    int64_t again;
    bool more;
    keep_copies(COPIES);
    sqlite3 *db = other_hand("BEGIN IMMEDIATE");
    assert_true(spooling_again(spool, &again, &w->f) != E_OK);
    for (int i = 0; i < 4; i++) {
        elapsed_ms += 61 * SECOND;
        w->f = (struct fault){0};
        assert_true(spooling_hand_over(spool, w->s, now(), &more, &w->f) != E_OK);
        assert_int_equal(spooling_state(spool).handed_over, COPIES);
    }
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    hand_over();
    assert_int_equal(jobs_count(), COPIES);
}

/* As on a full disk: the queue gets all of them, each once, and they are noted when they can be. */
static void what_cannot_be_noted_here_is_handed_over_all_the_same(void **state)
{
    (void)state;
    enum { JOBS = 150 };
    bool more;
    spooling_close(&spool);
    asked.most = JOBS;
    open_spool();
    for (int i = 0; i < JOBS; i++)
        take_in("x/normal");
    int64_t before = metric_get(METRIC_SPOOLED, 1);
    struct accept_args args = unique_args("x/normal", UNIQUE_RETURN_EXISTING);
    sqlite3 *db = other_hand("BEGIN IMMEDIATE");
    for (int i = 0; i < 4; i++) {
        w->f = (struct fault){0};
        assert_true(spooling_hand_over(spool, w->s, now(), &more, &w->f) != E_OK);
        assert_int_equal(more, i == 0);
    }
    assert_int_equal(jobs_count(), JOBS);
    assert_int_equal(metric_get(METRIC_SPOOLED, 1), before + JOBS);
    assert_int_equal(spooling_state(spool).waiting, JOBS);
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    hand_over();
    assert_int_equal(spooling_state(spool).handed_over, JOBS);
    assert_int_equal(metric_get(METRIC_SPOOLED, 1), before + JOBS);
    assert_false(spooling_has_key(spool, &args));
}

static void started_anew(void)
{
    if (spool)
        spooling_close(&spool);
    open_spool();
    hand_over();
}

static void forget_all(void)
{
    struct retain_args all = {.age_ms = 1};
    w->now += 2;
    (void)retain(&all);
    (void)retain(&all); /* what the archive had of it as well */
}

static int64_t gone(void)
{
    struct reply r;
    assert_int_equal(
        link_say(place()->watch, w->a, &r, &w->f, "ZCARD", "fulmar:{q}:gone", NULL), E_OK);
    return r.number;
}

/* The node is killed within the minute, and the job that it handed over was done, and is gone. */
static void a_job_that_has_been_is_not_done_again(void **state)
{
    (void)state;
    const char *id = take_in("x/normal");
    hand_over();
    struct lease l = start_next();
    finish(&l, FAILURE_NONE);
    forget_all();
    assert_false(exists(id));
    started_anew();
    assert_false(exists(id));
    assert_int_equal(jobs_count(), 0);
    /* Who orders under that id means a new one. */
    struct accept_args args = job_args(id, "x/normal");
    accept_args(&args);
    l = start_next();
    finish(&l, FAILURE_NONE);
    forget_all();
    assert_int_equal(gone(), 1);
    w->now += 11 * MINUTE;
    forget_all();
    assert_int_equal(gone(), 0);
}

/* Two nodes took one request while the queue was away, and the second one is started anew behind its handing over: its job is
 * there, under an id that is not the one of the key. */
static void a_job_whose_key_another_node_brought_is_known_when_it_comes_anew(void **state)
{
    (void)state;
    struct accept_reply reply;
    struct accept_args there = job_args(new_id(), "x/normal"), here;
    there.idempotency_key = SPAN("both");
    here = there;
    here.id = span_of(new_id());
    assert_int_equal(take(&here, &reply), E_OK);
    accept_args(&there);
    hand_over();
    started_anew();
    assert_int_equal(spooling_state(spool).aside, 0);
    assert_int_equal(jobs_count(), 2);
    struct fault f = {0};
    assert_int_equal(spooling_asked(spool, here.id, &f), E_OK);
    /* Where it has been, it is not done again. */
    for (int i = 0; i < 2; i++) {
        struct lease l = start_next();
        finish(&l, FAILURE_NONE);
    }
    forget_all();
    started_anew();
    assert_int_equal(jobs_count(), 0);
}

static void what_another_queue_had_or_this_one_forgot_is_not_handed_over(void **state)
{
    (void)state;
    keep_copies(3);
    spooling_close(&spool);
    sqlite3_close(other_hand("UPDATE spool_given SET store='another' WHERE number=2"));
    started_anew();
    assert_int_equal(jobs_count(), 2);
    keep_copies(1);
    asked.retain_ms = 2 * HOUR;
    w->now += HOUR;
    keep_copies(1);
    w->now += HOUR + MINUTE;
    const char *late = take_in("x/normal");
    started_anew();
    assert_int_equal(jobs_count(), 4); /* of the older copies those two that it has */
    assert_true(exists(late));
}

/* ---- batches ---- */

enum { SMALL = 5, LARGE = 45 }; /* in one script of the queue; in pieces */
static struct accept_args orders[LARGE];

static const char *new_batch_id(void)
{
    uint8_t random[10] = {0};
    int64_t n = ++w->numbers;
    memcpy(random, &n, sizeof n);
    char *id = arena_get(w->ids, ID_TEXT);
    id_make(id, "bat", (wall){T0}, random);
    return id;
}

static struct batch_args batch_args(size_t count)
{
    for (size_t i = 0; i < count; i++)
        orders[i] = job_args(new_id(), "x/normal");
    const char *id = new_batch_id();
    return (struct batch_args){.id = span_of(id),
                               .tenant = SPAN("default"),
                               .name = SPAN("nightly"),
                               .jobs = orders,
                               .count = count,
                               .idempotency_key = span_of(arena_fmt(w->ids, "of %s", id)),
                               .request_hash = 7};
}

static err take_batch(const struct batch_args *args, struct batch_reply *out)
{
    w->f = (struct fault){0};
    err e = spooling_take_batch(spool, args, MODE_NORMAL, now(), w->a, out, &w->f);
    return e ? e : spooling_sync(spool, &w->f);
}

static void take_whole(const struct batch_args *args)
{
    struct batch_reply reply;
    if (take_batch(args, &reply))
        fail_msg("%s", w->f.words);
    assert_int_equal(reply.durability, DURABILITY_SPOOLED);
    assert_true(reply.confirmed && !reply.replayed);
    assert_int_equal(reply.added, args->count);
    assert_string_equal(reply.id, args->id.p);
}

static struct batch_view batch(struct span id)
{
    struct batch_view v;
    w->f = (struct fault){0};
    if (store_batch(w->s, id, w->a, &v, &w->f))
        fail_msg("%s", w->f.words);
    return v;
}

static int64_t events_of(struct span id, const char *kind)
{
    struct event_view *events;
    size_t n;
    int64_t found = 0;
    assert_int_equal(store_events(w->s, 0, id, 100, w->a, &events, &n, &w->f), E_OK);
    for (size_t i = 0; i < n; i++)
        found += span_is(events[i].kind, kind);
    return found;
}

static void run_all(void)
{
    for (struct lease l; reserve(&l);)
        finish(&l, FAILURE_NONE);
}

static struct span ticket(void)
{
    struct buf text = BUF(TICKET_MAX);
    struct accept_args job = job_args("", "callbacks/normal");
    assert_int_equal(ticket_write(&job, &text, &w->f), E_OK);
    struct span kept = arena_keep(w->ids, buf_span(&text));
    buf_free(&text);
    return kept;
}

static void batches_are_handed_over_whole_and_end_once(void **state)
{
    (void)state;
    static const size_t sizes[] = {SMALL, LARGE};
    int64_t jobs = 0;
    for (size_t i = 0; i < 2; i++) {
        struct batch_args args = batch_args(sizes[i]);
        struct fault f = {0};
        int64_t size = (int64_t)sizes[i];
        args.calls[BATCH_COMPLETE] = ticket();
        args.parallel = 2;
        take_whole(&args);
        assert_int_equal(spooling_state(spool).waiting, size);
        assert_int_equal(spooling_asked(spool, args.id, &f), E_BUSY);
        assert_int_equal(spooling_asked(spool, orders[size - 1].id, &f), E_BUSY);
        int64_t accepted = w->now;
        w->now += HOUR;
        mode_set(MODE_DRAINING);
        hand_over();
        mode_set(MODE_NORMAL);
        assert_int_equal(spooling_asked(spool, args.id, &f), E_OK);
        struct batch_view v = batch(args.id);
        assert_true(v.sealed && v.parallel == 2 && span_is(v.name, "nightly"));
        assert_int_equal(v.created_ms, accepted);
        assert_int_equal(view(orders[0].id.p).created_ms, accepted);
        assert_int_equal(v.counts[JOB_READY] + v.counts[JOB_BLOCKED], size);
        /* A process that died before it noted that does it again, before its end and behind it. */
        for (int times = 0; times < 2; times++) {
            spooling_close(&spool);
            open_spool();
            hand_over();
            run_all();
        }
        jobs += size + 1; /* the callback's */
        assert_int_equal(jobs_count(), jobs);
        assert_int_equal(outlook().by_state[JOB_SUCCEEDED], jobs);
        assert_int_equal(batch(args.id).counts[JOB_SUCCEEDED], size);
        assert_int_equal(events_of(args.id, "batch.created"), 1);
        assert_int_equal(events_of(args.id, "batch.complete"), 1);
        assert_true(batch(args.id).calls[BATCH_COMPLETE].job[0]);
        assert_int_equal(walk_once(), 0);
    }
    assert_int_equal(spooling_state(spool).handed_over, SMALL + LARGE);
    for (int i = 0; i < 2; i++) { /* and that goes like that of single jobs */
        elapsed_ms += 61 * SECOND;
        bool more;
        assert_int_equal(spooling_hand_over(spool, w->s, now(), &more, &w->f), E_OK);
    }
    assert_int_equal(spooling_state(spool).handed_over, 0);
}

/* At every moment between being taken and being noted the process may end. */
static void a_batch_whose_queue_goes_on_the_way_comes_in_once(void **state)
{
    (void)state;
    bool more;
    struct batch_args args = batch_args(LARGE);
    take_whole(&args);
    queue_goes();
    assert_true(spooling_hand_over(spool, w->s, now(), &more, &w->f) != E_OK);
    assert_int_equal(spooling_state(spool).waiting, LARGE);
    assert_int_equal(spooling_state(spool).stuck, 0);
    spooling_close(&spool);
    open_spool();
    queue_comes();
    hand_over();
    assert_int_equal(batch(args.id).counts[JOB_READY], LARGE);
    assert_int_equal(jobs_count(), LARGE);
}

static void an_order_of_a_batch_is_known_here_while_it_waits_and_there_afterwards(void **state)
{
    (void)state;
    struct batch_reply reply;
    struct batch_args args = batch_args(SMALL), again;
    struct fault f = {0};
    orders[2].held = true;
    args.open = true;
    args.stop_after = 2;
    take_whole(&args);
    again = args;
    again.id = span_of(new_batch_id());
    again.jobs = NULL;
    again.count = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(spooling_find_batch(spool, &again, now(), w->a, &reply, &f), E_OK);
        assert_true(reply.replayed && reply.waits);
        assert_string_equal(reply.id, args.id.p);
        assert_string_equal(reply.waits->id, args.id.p);
        assert_false(reply.waits->sealed);
        assert_int_equal(reply.waits->stop_after, 2);
        assert_int_equal(reply.waits->counts[JOB_READY], SMALL - 1);
        assert_int_equal(reply.waits->counts[JOB_SCHEDULED], 1);
        assert_true(span_is(reply.waits->name, "nightly"));
        spooling_close(&spool);
        open_spool();
    }
    again.request_hash = 8;
    assert_int_equal(spooling_find_batch(spool, &again, now(), w->a, &reply, &f), E_BAD_INPUT);
    hand_over();
    assert_int_equal(spooling_find_batch(spool, &args, now(), w->a, &reply, &f), E_END);
    assert_false(batch(args.id).sealed); /* jobs may be added to it now */
    begin();
    assert_int_equal(store_batch_create(w->s, &args, now(), w->a, &reply, &w->f), E_OK);
    commit();
    assert_true(reply.replayed);
    assert_string_equal(reply.id, args.id.p);
    /* Another node took the order as well, when the queue was back: both were answered. */
    struct batch_args here = batch_args(SMALL), there;
    take_whole(&here);
    there = here;
    there.id = span_of(new_batch_id());
    struct accept_args others[SMALL];
    for (int i = 0; i < SMALL; i++)
        others[i] = job_args(new_id(), "x/normal");
    there.jobs = others;
    begin();
    assert_int_equal(store_batch_create(w->s, &there, now(), w->a, &reply, &w->f), E_OK);
    commit();
    for (int i = 0; i < 2; i++) {
        hand_over();
        assert_int_equal(batch(here.id).counts[JOB_READY], SMALL);
        assert_int_equal(batch(there.id).counts[JOB_READY], SMALL);
        spooling_close(&spool);
        open_spool();
    }
    assert_int_equal(jobs_count(), 3 * SMALL);
    assert_int_equal(spooling_state(spool).aside, 0);
}

static void a_batch_that_may_not_come_in_is_not_taken(void **state)
{
    (void)state;
    struct batch_reply reply;
    struct batch_args args = batch_args(SMALL);
    orders[3].prio = 77;
    assert_int_equal(take_batch(&args, &reply), E_BAD_INPUT);
    assert_int_equal(reply.refused_count, 1);
    assert_int_equal(reply.refused[0].index, 3);
    assert_int_equal(spooling_state(spool).waiting, 0);
    w->f = (struct fault){0};
    assert_int_equal(
        spooling_take_batch(spool, &args, MODE_MAINTENANCE, now(), w->a, &reply, &w->f),
        E_MAINTENANCE);
    for (int i = 0; i < MOST - SMALL + 1; i++)
        take_in("x/normal");
    args = batch_args(SMALL);
    assert_int_equal(take_batch(&args, &reply), E_BUSY);
    assert_int_equal(reply.refused_count, 0);
    assert_non_null(strstr(w->f.words, "store.spool_max"));
    args.partial = true; /* what it leaves out is what cannot be, not what is too much */
    assert_int_equal(take_batch(&args, &reply), E_BUSY);
    args = batch_args(SMALL - 1);
    orders[0].prio = 77;
    args.partial = true;
    assert_int_equal(take_batch(&args, &reply), E_OK);
    assert_int_equal(reply.added, SMALL - 2);
    assert_int_equal(reply.refused_count, 1);
    hand_over();
    assert_int_equal(batch(args.id).counts[JOB_READY], SMALL - 2);
    spooling_close(&spool);
    asked.disk_floor_bytes = INT64_MAX;
    open_spool();
    assert_int_equal(take_batch(&args, &reply), E_DISK_FULL);
}

/* Within it, with what waits here, and with what the queue has. */
static void unique_keys_of_a_batch_are_as_of_single_jobs(void **state)
{
    (void)state;
    struct batch_reply reply;
    const char *single = take_unique(UNIQUE_REJECT);
    struct batch_args args = batch_args(SMALL);
    orders[1].unique_key = SPAN("u");
    orders[1].on_conflict = UNIQUE_RETURN_EXISTING;
    assert_int_equal(take_batch(&args, &reply), E_CONFLICT); /* equal work is there */
    assert_non_null(strstr(w->f.words, single));
    orders[1].on_conflict = UNIQUE_REJECT;
    assert_int_equal(take_batch(&args, &reply), E_CONFLICT);
    orders[1].on_conflict = UNIQUE_REPLACE_PENDING;
    for (int i = 3; i < SMALL; i++) {
        orders[i].unique_key = SPAN("v");
        orders[i].on_conflict = i == 3 ? UNIQUE_REJECT : UNIQUE_RETURN_EXISTING;
    }
    assert_int_equal(take_batch(&args, &reply), E_CONFLICT);
    assert_int_equal(reply.refused[0].index, 4);
    orders[4].on_conflict = UNIQUE_REPLACE_PENDING;
    take_whole(&args);
    const char *by = orders[1].id.p;
    /* Those of the batch are known to who comes later. */
    struct accept_args later = unique_args("x/normal", UNIQUE_RETURN_EXISTING);
    struct accept_reply there;
    assert_true(spooling_has_key(spool, &later));
    assert_int_equal(take(&later, &there), E_OK);
    assert_true(there.existing);
    assert_string_equal(there.id, orders[1].id.p);
    const char *newest = take_unique(UNIQUE_REPLACE_PENDING);
    /* And the queue has one. */
    struct accept_args live = job_args(new_id(), "x/normal");
    live.unique_key = SPAN("w");
    struct batch_args second = batch_args(2);
    orders[0].unique_key = SPAN("w");
    orders[0].on_conflict = UNIQUE_RETURN_EXISTING;
    w->now += SECOND;
    take_whole(&second);
    accept_args(&live);
    w->now += SECOND;
    hand_over();
    was_kept_out(single, by);
    assert_int_equal(state_of(newest), JOB_READY);
    assert_int_equal(batch(args.id).counts[JOB_CANCELLED], 2);
    assert_int_equal(batch(args.id).counts[JOB_READY], SMALL - 2);
    assert_int_equal(batch(second.id).counts[JOB_CANCELLED], 1);
    run_all();
    assert_int_equal(events_of(args.id, "batch.complete"), 1);
    assert_int_equal(events_of(args.id, "batch.success"), 0);
    assert_int_equal(walk_once(), 0);
}

static void a_batch_that_the_queue_does_not_take_yet_waits_and_holds_up_nobody(void **state)
{
    (void)state;
    struct batch_args args = batch_args(SMALL);
    struct fault f = {0};
    const char *key = arena_fmt(w->ids, "fulmar:{q}:b:%s", args.id.p);
    say("LPUSH", key, "foreign", NULL);
    take_whole(&args);
    struct batch_args other = batch_args(SMALL);
    take_whole(&other);
    const char *job = take_in("x/normal");
    for (int times = 0; times < 2; times++) {
        (void)hand_over_some();
        assert_true(exists(job));
        assert_int_equal(batch(other.id).counts[JOB_READY], SMALL);
        assert_int_equal(spooling_state(spool).waiting, SMALL);
        assert_int_equal(spooling_state(spool).stuck, SMALL);
        assert_int_equal(spooling_asked(spool, args.id, &f), E_BUSY);
    }
    say("DEL", key, NULL, NULL);
    hand_over();
    assert_int_equal(batch(args.id).counts[JOB_READY], SMALL);
    assert_int_equal(jobs_count(), 2 * SMALL + 1);
}

/* Somebody chose an id that one of its jobs has: its client was answered, so somebody is told. */
static void a_batch_that_can_never_come_in_is_set_aside_whole(void **state)
{
    (void)state;
    struct fault f = {0};
    struct batch_args args = batch_args(SMALL);
    take_whole(&args);
    struct accept_args chosen = job_args(orders[2].id.p, "x/normal");
    accept_args(&chosen);
    int64_t before = metric_get(METRIC_SPOOLED, 2);
    hand_over();
    assert_int_equal(jobs_count(), 1);
    assert_int_equal(spooling_state(spool).aside, SMALL);
    assert_int_equal(metric_get(METRIC_SPOOL, 2), SMALL);
    assert_int_equal(metric_get(METRIC_SPOOLED, 2), before + SMALL);
    assert_int_equal(spooling_asked(spool, args.id, &f), E_STORE);
    assert_non_null(strstr(f.words, chosen.id.p));
}

/* Copies, as of single jobs; when there is no room there is none, of the whole batch. */
static void copies_of_batches_come_in_anew_and_once(void **state)
{
    (void)state;
    struct batch_reply reply;
    int64_t again;
    struct batch_args args = batch_args(SMALL);
    orders[1].prio = 77;
    args.partial = true;
    begin();
    assert_int_equal(store_batch_create(w->s, &args, now(), w->a, &reply, &w->f), E_OK);
    commit();
    spooling_keep_batch(spool, &args, &reply, now());
    struct batch_args lost = batch_args(SMALL);
    spooling_keep_batch(spool, &lost, &(struct batch_reply){0}, now());
    struct batch_args none = batch_args(LARGE);
    int64_t before = metric_get(METRIC_SPOOLED, 4);
    spooling_keep_batch(spool, &none, &(struct batch_reply){0}, now());
    assert_int_equal(metric_get(METRIC_SPOOLED, 4), before + LARGE);
    assert_int_equal(spooling_sync(spool, &w->f), E_OK);
    assert_int_equal(spooling_state(spool).handed_over, 2 * SMALL - 1);
    assert_int_equal(spooling_again(spool, &again, &w->f), E_OK);
    assert_int_equal(again, 2 * SMALL - 1);
    hand_over();
    assert_int_equal(batch(args.id).counts[JOB_READY], SMALL - 1);
    assert_int_equal(batch(lost.id).counts[JOB_READY], SMALL);
    assert_int_equal(jobs_count(), 2 * SMALL - 1);
}

/* What was done, and is gone, is not done again. */
static void a_batch_that_has_been_is_not_done_again(void **state)
{
    (void)state;
    struct batch_args args = batch_args(SMALL);
    bool more;
    take_whole(&args);
    hand_over();
    run_all();
    forget_all();
    begin();
    assert_int_equal(store_retain_batches(w->s, (wall){w->now + 1}, &more, &w->f), E_OK);
    commit();
    struct batch_view v;
    assert_int_equal(store_batch(w->s, args.id, w->a, &v, &w->f), E_NOT_FOUND);
    for (int i = 0; i < 2; i++) {
        started_anew();
        assert_int_equal(jobs_count(), 0);
        assert_int_equal(spooling_state(spool).aside, 0);
        /* Also when it died before it noted that the queue had it. */
        spooling_close(&spool);
        sqlite3_close(
            other_hand("UPDATE spool_batch SET state=0,round=NULL,given_at=NULL,store=NULL"));
        open_spool();
    }
    asked.retain_ms = HOUR;
    hand_over();
    w->now += 2 * HOUR; /* the queue knows nothing of it any more */
    started_anew();
    assert_int_equal(spooling_state(spool).handed_over, 0);
    assert_int_equal(jobs_count(), 0);
}

static void mark_moved(const char *state)
{
    struct reply r;
    struct fault f = {0};
    if (link_say(place()->watch, w->a, &r, &f, "HSET", "fulmar:{q}:meta", "mv", state, NULL))
        fail_msg("%s", f.words);
}

static void a_queue_that_was_moved_is_given_nothing_and_the_spool_keeps_it(void **state)
{
    (void)state;
    bool more = true;
    const char *id = take_in("x/normal");
    struct accept_args args = job_args(new_id(), "x/normal");
    struct accept_reply reply;
    mark_moved("2");
    w->f = (struct fault){0};
    assert_int_equal(spooling_hand_over(spool, w->s, now(), &more, &w->f), E_MOVED);
    assert_false(more);
    assert_int_equal(spooling_state(spool).waiting, 1);
    assert_int_equal(try_accept(&args, &reply), E_MOVED);
    mark_moved("0");
    hand_over();
    assert_int_equal(state_of(id), JOB_READY);
    assert_int_equal(jobs_count(), 1);
}

static void what_is_away_again_on_the_way_waits_on(void **state)
{
    (void)state;
    bool more;
    take_in("x/normal");
    take_in("x/normal");
    queue_goes();
    assert_true(spooling_hand_over(spool, w->s, now(), &more, &w->f) != E_OK);
    assert_int_equal(spooling_state(spool).waiting, 2);
    queue_comes();
    hand_over();
    assert_int_equal(jobs_count(), 2);
}

/* What a node that stands still has on its disk would be left behind. */
static void a_queue_is_not_moved_while_a_node_says_that_it_has_jobs_for_it(void **state)
{
    (void)state;
    struct transfer *t;
    struct redis_config config = {.url = span_of(place()->server.url)};
    struct node_view *nodes;
    size_t n;
    struct node_beat beat = {
        .version = "1", .host = "h", .stopping = true, .spool = true, .spooled = 3};
    begin();
    assert_int_equal(store_node_beat(w->s, &beat, now(), &w->f), E_OK);
    commit();
    assert_int_equal(store_nodes(w->s, now(), w->a, &nodes, &n, &w->f), E_OK);
    assert_true(n == 1 && nodes[0].says.spool && nodes[0].says.spooled == 3);
    assert_int_equal(
        transfer_queue(&t, &config, SPAN("postgresql:///records"), &w->limits, &w->f), E_OK);
    for (int dry = 0; dry < 2; dry++) {
        w->f = (struct fault){0};
        assert_int_equal(t->ops->settle(t, dry, &w->f), E_CONFLICT);
        assert_non_null(strstr(w->f.words, "node node has 3 jobs"));
    }
    beat.spooled = 0;
    begin();
    assert_int_equal(store_node_beat(w->s, &beat, now(), &w->f), E_OK);
    commit();
    assert_int_equal(t->ops->settle(t, false, &w->f), E_OK);
    t->ops->close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPOOL(a_queue_that_is_away_is_told_from_one_that_refuses),
        SPOOL(jobs_are_handed_over_once_and_keep_their_order_and_time),
        SPOOL(what_was_accepted_comes_in_whatever_the_queue_takes_now),
        SPOOL(a_key_is_known_where_its_job_waits_and_each_job_runs),
        SPOOL(what_may_not_come_in_is_not_taken_and_a_full_spool_says_so),
        SPOOL(of_a_unique_key_one_job_waits_and_the_newest_comes_in),
        SPOOL(who_has_the_key_of_one_that_waits_is_for_this_node),
        SPOOL(who_meets_a_live_job_of_its_key_comes_in_as_it_may_or_ends_and_says_why),
        SPOOL(what_cannot_be_read_is_set_aside_and_holds_up_nobody),
        SPOOL(what_meets_foreign_data_waits_and_holds_up_nobody),
        SPOOL(where_many_are_refused_the_others_come_in_a_while_later),
        SPOOL(who_meets_the_key_of_a_job_that_is_to_come_ends_and_says_why),
        SPOOL(a_copy_stays_for_a_minute_also_after_a_failover),
        SPOOL(a_loss_that_cannot_be_noted_is_noted_later_and_nothing_is_given_up_before),
        SPOOL(what_cannot_be_noted_here_is_handed_over_all_the_same),
        SPOOL(a_job_that_has_been_is_not_done_again),
        SPOOL(a_job_whose_key_another_node_brought_is_known_when_it_comes_anew),
        SPOOL(what_another_queue_had_or_this_one_forgot_is_not_handed_over),
        SPOOL(a_queue_that_was_moved_is_given_nothing_and_the_spool_keeps_it),
        SPOOL(a_queue_is_not_moved_while_a_node_says_that_it_has_jobs_for_it),
        SPOOL(what_is_away_again_on_the_way_waits_on),
        SPOOL(batches_are_handed_over_whole_and_end_once),
        SPOOL(a_batch_whose_queue_goes_on_the_way_comes_in_once),
        SPOOL(an_order_of_a_batch_is_known_here_while_it_waits_and_there_afterwards),
        SPOOL(a_batch_that_may_not_come_in_is_not_taken),
        SPOOL(unique_keys_of_a_batch_are_as_of_single_jobs),
        SPOOL(a_batch_that_the_queue_does_not_take_yet_waits_and_holds_up_nobody),
        SPOOL(a_batch_that_can_never_come_in_is_set_aside_whole),
        SPOOL(copies_of_batches_come_in_anew_and_once),
        SPOOL(a_batch_that_has_been_is_not_done_again),
    };
    maker = &store_makers[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
