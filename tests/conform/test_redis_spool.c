/* What a node promises of the jobs that it takes while the queue is away: each is handed over once, in its order, whatever
 * the queue says meanwhile. Batches: test_redis_spool_batches.c; what
 * the queue lost: test_redis_history.c. */
#include "../lib/spooled.h"

#include "store/nodes.h"
#include "store/redis/transfer.h"

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

static void a_key_is_known_where_its_job_waits_and_its_work_is_done_once(void **state)
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
    assert_int_equal(spooling_find(spool, &same, now(), &reply, &f), E_OK);
    assert_true(reply.replayed);
    assert_string_equal(reply.id, args.id.p);
    other = same;
    other.request_hash = 8;
    assert_int_equal(spooling_find(spool, &other, now(), &reply, &f), E_BAD_INPUT);
    /* Another node took the request as well, when the queue was back: both were answered, and are there. */
    assert_int_equal(accept_args(&same).replayed, false);
    hand_over();
    assert_int_equal(jobs_count(), 2);
    assert_int_equal(state_of(same.id.p), JOB_READY);
    assert_int_equal(state_of(args.id.p), JOB_BLOCKED); /* it has what that one brings */
    /* From now on it is the queue that knows the key. */
    assert_int_equal(spooling_find(spool, &same, now(), &reply, &f), E_END);
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

/* The queue took an order just before it went, its answer was lost, and who asked again was answered by this node. */
static const char *taken_twice(struct accept_args *first)
{
    struct accept_reply reply;
    *first = job_args(new_id(), "x/normal");
    first->idempotency_key = span_of(first->id.p);
    first->unique_key = span_of(first->id.p);
    first->request_hash = 7;
    accept_args(first);
    struct accept_args again = *first;
    again.id = span_of(new_id());
    assert_int_equal(take(&again, &reply), E_OK);
    return again.id.p;
}

static void what_was_taken_twice_for_one_request_is_done_once(void **state)
{
    (void)state;
    for (int ended = 0; ended < 2; ended++) {
        struct accept_args first;
        const char *again = taken_twice(&first);
        if (!ended)
            hand_over();
        struct lease l = start_next();
        assert_string_equal(l.id, first.id.p);
        assert_int_equal(commit_batch(&l, 0, 0, 3), E_OK);
        finish(&l, FAILURE_NONE);
        if (ended)
            hand_over();
        assert_true(has_none());
        assert_int_equal(state_of(again), JOB_SUCCEEDED);
        assert_int_equal(view(again).have, 3);
        assert_int_equal(spooling_state(spool).waiting, 0);
        started_anew(); /* it is handed over again, and is there */
        assert_int_equal(spooling_state(spool).aside, 0);
        assert_int_equal(view(again).have, 3);
        assert_int_equal(jobs_count(), 2 * (ended + 1));
    }
    assert_int_equal(walk_once(), 0);
}

static void what_was_taken_twice_goes_on_by_itself_when_the_first_one_fails(void **state)
{
    (void)state;
    for (int ended = 0; ended < 2; ended++) {
        struct accept_args first;
        const char *again = taken_twice(&first);
        if (!ended)
            hand_over();
        cancel(first.id.p, false);
        if (ended)
            hand_over();
        struct lease l = start_next();
        assert_string_equal(l.id, again);
        finish(&l, FAILURE_NONE);
        assert_int_equal(state_of(again), JOB_SUCCEEDED);
    }
}

/* A request that the queue has, and who answered for it is away: it is answered again, and nothing else comes of it. */
static void what_was_answered_is_answered_again_whatever_has_changed_since(void **state)
{
    (void)state;
    struct accept_args first = unique_args("x/normal", UNIQUE_REPLACE_PENDING);
    struct accept_reply reply;
    first.idempotency_key = SPAN("k");
    first.request_hash = 7;
    assert_int_equal(take(&first, &reply), E_OK);
    hand_over();
    queue_goes();
    const char *newer = take_unique(UNIQUE_REPLACE_PENDING);
    struct accept_args again = first, refusing;
    again.id = span_of(new_id());
    refusing = again;
    refusing.on_conflict = UNIQUE_REJECT;
    int64_t taken = metric_get(METRIC_SPOOLED, 0);
    struct fault f = {0};
    assert_int_equal(spooling_take(spool, &again, MODE_MAINTENANCE, now(), w->a, &reply, &f),
                     E_OK);
    assert_true(reply.replayed && !reply.existing);
    assert_string_equal(reply.id, first.id.p);
    assert_int_equal(take(&refusing, &reply), E_OK);
    assert_string_equal(reply.id, first.id.p);
    again.request_hash = 8;
    assert_int_equal(take(&again, &reply), E_BAD_INPUT);
    assert_int_equal(metric_get(METRIC_SPOOLED, 0), taken);
    queue_comes();
    hand_over();
    assert_int_equal(state_of(newer), JOB_READY); /* nothing took its place */
    assert_int_equal(state_of(first.id.p), JOB_CANCELLED);
    assert_int_equal(jobs_count(), 2);
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

static const char *accept_unique(enum unique_mode mode)
{
    struct accept_args args = unique_args("x/normal", mode);
    assert_string_equal(accept_args(&args).id, args.id.p);
    return args.id.p;
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
    struct lease l = start_next();
    finish(&l, FAILURE_NONE);
    assert_int_equal(state_of(here.id.p), JOB_SUCCEEDED);
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
        SPOOL(a_key_is_known_where_its_job_waits_and_its_work_is_done_once),
        SPOOL(what_was_taken_twice_for_one_request_is_done_once),
        SPOOL(what_was_taken_twice_goes_on_by_itself_when_the_first_one_fails),
        SPOOL(what_was_answered_is_answered_again_whatever_has_changed_since),
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
    };
    maker = &store_makers[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
