/* Scenarios S32-S37: what somebody stops, stops. */
#include "../lib/scenario.h"

#include <string.h>

/* A day of looking for work finds nothing. */
static void expect_never_starts(const char *id)
{
    struct span before = look();
    for (int i = 0; i < 24 * 60; i++) {
        pass(MINUTE);
        assert_true(has_none());
    }
    assert_int_equal(state_of(id), JOB_CANCELLED);
    assert_int_equal(view(id).fence, 0);
    same_look(before, look());
}

static void s32_a_waiting_job_is_cancelled_at_once_and_never_starts(void **state)
{
    (void)state;
    enum { READY, SCHEDULED, BLOCKED, WAYS };
    for (int way = 0; way < WAYS; way++) {
        for (int force = 0; force < 2; force++) {
            struct accept_args args = job_args(new_id(), "x/normal");
            struct accept_reply reply;
            const char *id = args.id.p, *leader = NULL;
            args.unique_key = SPAN("u");
            if (way == SCHEDULED)
                args.run_at_ms = w->now + HOUR;
            if (way == BLOCKED) { /* waits for the one that runs */
                accept_args(&args);
                struct lease l = start_next();
                leader = arena_text(w->ids, span_of(l.id));
                args.id = span_of(id = new_id());
                args.on_conflict = UNIQUE_RUN_AFTER_ACTIVE;
            }
            reply = accept_args(&args);
            assert_int_equal(reply.state, way == READY       ? JOB_READY
                                          : way == SCHEDULED ? JOB_SCHEDULED
                                                             : JOB_BLOCKED);
            struct cancel_reply c = cancel(id, force);
            assert_int_equal(c.state, JOB_CANCELLED);
            assert_false(c.active);
            if (leader)
                cancel(leader, true);
            args.id = span_of(new_id()); /* the key is free */
            args.run_at_ms = 0;
            args.on_conflict = UNIQUE_REJECT;
            accept_args(&args);
            cancel(args.id.p, true);
            assert_int_equal(try_cancel(id, force, &c),
                             E_OK); /* and asked again it is no news */
            expect_never_starts(id);
        }
    }
}

static void s33_a_running_job_hears_of_it_and_keeps_what_it_has(void **state)
{
    (void)state;
    bool stop;
    const char *id = accept_job();
    struct lease l = start_next();
    assert_int_equal(commit_batch(&l, 0, 0, 5), E_OK);
    assert_int_equal(heartbeat(&l, &stop), E_OK);
    assert_false(stop);
    struct cancel_reply c = cancel(id, false);
    assert_true(c.active && c.state == JOB_ACTIVE);
    assert_int_equal(heartbeat(&l, &stop), E_OK);
    assert_true(stop);
    assert_int_equal(commit_batch(&l, 1, 5, 5), E_OK); /* the page that it was at */
    assert_int_equal(finish(&l, FAILURE_CANCELLED).state, JOB_CANCELLED);
    assert_int_equal(items_count(id), 10);
    pass(HOUR);
    assert_true(has_none());
    /* One that does not listen ends by force when its grace is over. */
    id = accept_job();
    l = start_next();
    begin();
    assert_int_equal(store_cancel(w->s,
                                  &(struct cancel_args){.id = span_of(id), .grace_ms = 5000},
                                  now(), &c, &w->f),
                     E_OK);
    commit();
    assert_true(outlook().next_ms <= w->now + 5000);
    pass(4999);
    assert_int_equal(heartbeat(&l, &stop), E_OK);
    pass(1);
    assert_int_equal(state_of(id), JOB_CANCELLED);
    assert_int_equal(heartbeat(&l, &stop), E_STALE);
}

static void s35_after_a_forced_cancel_was_answered_nothing_is_written(void **state)
{
    (void)state;
    const char *id = accept_job();
    struct lease l = start_next();
    assert_int_equal(commit_batch(&l, 0, 0, 5), E_OK);
    cancel(id, true);
    struct span before = look();
    w->now += 1;
    assert_int_equal(commit_batch(&l, 1, 5, 5), E_STALE);
    assert_int_equal(heartbeat(&l, NULL), E_STALE);
    struct finish_reply r;
    struct finish_args done = finish_args_of(&l, FAILURE_NONE);
    assert_int_equal(try_finish(&done, &r), E_STALE);
    same_look(before, look());
    assert_int_equal(items_count(id), 5);
    crash(); /* it was on the disk before the answer */
    assert_int_equal(state_of(id), JOB_CANCELLED);
}

static void s36_an_attempt_that_took_too_long_is_tried_again_by_the_rules(void **state)
{
    (void)state;
    struct accept_args args = job_args(new_id(), "x/normal");
    args.attempt_ms = 2000;
    args.stall_ms = 700;
    accept_args(&args);
    for (int n = 1; n <= 3; n++) {
        struct lease l = start_next();
        assert_int_equal(l.attempt_ms, 2000); /* the one who runs it holds it to that */
        assert_int_equal(l.stall_ms, 700);
        struct finish_reply r = finish(&l, FAILURE_TIMEOUT);
        assert_int_equal(r.state, n < 3 ? JOB_SCHEDULED : JOB_DEAD);
        assert_int_equal(view(l.id).n_fail, n);
        if (n < 3)
            assert_true(r.retry_in_ms >= 500 << (n - 1) && r.retry_in_ms <= 1000 << (n - 1));
        pass(r.retry_in_ms);
    }
}

static void s37_work_that_was_done_counts_though_a_cancel_was_asked_for(void **state)
{
    (void)state;
    const char *id = accept_job();
    struct lease l = start_next();
    cancel(id, false);
    assert_int_equal(finish(&l, FAILURE_NONE).state, JOB_SUCCEEDED);
    struct cancel_reply c;
    assert_int_equal(try_cancel(id, false, &c), E_CONFLICT);
    assert_non_null(strstr(w->f.words, "succeeded"));
    /* Any other ending is a cancelled job. */
    for (int f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++) {
        id = accept_job();
        l = start_next();
        cancel(id, false);
        assert_int_equal(finish(&l, (enum failure_class)f).state, JOB_CANCELLED);
        assert_int_equal(view(id).failure, FAILURE_CANCELLED);
        lane_act("x/normal", LANE_ACT_UNBLOCK, 0);
        lane_act("x/normal", LANE_ACT_BREAKER_RESET, 0);
    }
    static const enum failure_budget budgets[] = {BUDGET_RELEASE, BUDGET_CRASH};
    for (int i = 0; i < 2; i++) {
        id = accept_job();
        l = start_next();
        cancel(id, false);
        assert_int_equal(give_back(&l, budgets[i]).state, JOB_CANCELLED);
    }
    id = accept_job(); /* also the silent ones: reaped, or of a service that died */
    l = start_next();
    cancel(id, false);
    pass(15000);
    pass(5000);
    assert_int_equal(state_of(id), JOB_CANCELLED);
    id = accept_job();
    l = start_next();
    cancel(id, false);
    crash();
    assert_int_equal(state_of(id), JOB_CANCELLED);
}

static const struct CMUnitTest tests[] = {
    S(s32_a_waiting_job_is_cancelled_at_once_and_never_starts),
    S(s33_a_running_job_hears_of_it_and_keeps_what_it_has),
    S(s35_after_a_forced_cancel_was_answered_nothing_is_written),
    S(s36_an_attempt_that_took_too_long_is_tried_again_by_the_rules),
    S(s37_work_that_was_done_counts_though_a_cancel_was_asked_for),
};
RUN_ON_ALL_STORES(tests)
