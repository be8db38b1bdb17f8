/* What a node promises of the jobs that it takes while the queue is away: each is handed over once, in its order, whatever
 * the queue says meanwhile. What the queue lost: test_redis_history.c. */
#include "../lib/scenario.h"

#include "core/metrics.h"
#include "store/nodes.h"
#include "store/redis/transfer.h"
#include "store/spooling.h"

#include <string.h>

enum { MOST = 50 };
static struct spooling *spool;

static struct redis_place *place(void)
{
    return w->place;
}

static void open_spool(void)
{
    struct spooling_config config = {.state_dir = place()->server.dir, .most = MOST};
    struct fault f = {0};
    if (spooling_open(&spool, &config, &f))
        fail_msg("%s", f.words);
}

static int set_up_spool(void **state)
{
    set_up(state);
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
    err e = spooling_take(spool, job, MODE_NORMAL, now(), out, &w->f);
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
    assert_int_equal(spooling_take(spool, &args, MODE_DRAINING, now(), &reply, &w->f),
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

static void what_only_the_queue_can_say_is_not_taken_and_a_full_spool_says_so(void **state)
{
    (void)state;
    struct accept_args args = job_args(new_id(), "x/normal");
    struct accept_reply reply;
    args.unique_key = SPAN("u");
    assert_int_equal(take(&args, &reply), E_BUSY);
    assert_non_null(strstr(w->f.words, "unique key"));
    args.unique_key = SPAN_NONE;
    args.prio = 77;
    assert_int_equal(take(&args, &reply), E_BAD_INPUT);
    for (int i = 0; i < MOST; i++)
        take_in("x/normal");
    args = job_args(new_id(), "x/normal");
    assert_int_equal(take(&args, &reply), E_BUSY);
    assert_non_null(strstr(w->f.words, "(50)"));
    assert_int_equal(spooling_state(spool).waiting, MOST);
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
    struct node_beat beat = {.version = "1", .host = "h", .stopping = true, .spooled = 3};
    begin();
    assert_int_equal(store_node_beat(w->s, &beat, now(), &w->f), E_OK);
    commit();
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
        SPOOL(what_only_the_queue_can_say_is_not_taken_and_a_full_spool_says_so),
        SPOOL(what_cannot_be_read_is_set_aside_and_holds_up_nobody),
        SPOOL(a_queue_that_was_moved_is_given_nothing_and_the_spool_keeps_it),
        SPOOL(a_queue_is_not_moved_while_a_node_says_that_it_has_jobs_for_it),
        SPOOL(what_is_away_again_on_the_way_waits_on),
    };
    maker = &store_makers[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
