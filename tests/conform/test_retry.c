/* What a job may say of its own retries (store.h: max_fail, finish_args.retry), held against both stores. */
#include "../lib/scenario.h"

static const char *accept_with(int64_t max_fail)
{
    const char *id = new_id();
    struct accept_args args = job_args(id, "x/normal");
    args.max_fail = max_fail;
    accept_args(&args);
    return id;
}

/* It starts as soon as it may. */
static struct lease next(const char *id)
{
    struct lease l;
    int64_t until = w->now + 24 * HOUR;
    while (!reserve(&l))
        assert_true(go_on(until));
    assert_string_equal(l.id, id);
    assert_int_equal(started(&l), E_OK);
    return l;
}

static enum job_state fail_once(const char *id)
{
    struct lease l = next(id);
    return finish(&l, FAILURE_RESOURCE).state;
}

static void a_job_ends_after_as_many_failures_in_a_row_as_it_asks_for(void **state)
{
    (void)state;
    static const struct {
        int64_t asked, most;
    } rows[] = {{0, 3}, {1, 1}, {2, 2}, {5, 5}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *id = accept_with(rows[i].asked);
        assert_int_equal(view(id).max_fail, rows[i].most);
        for (int64_t n = 1; n < rows[i].most; n++) {
            assert_int_equal(fail_once(id), JOB_SCHEDULED);
            assert_int_equal(view(id).fails, n);
        }
        assert_int_equal(fail_once(id), JOB_DEAD);
        assert_int_equal(view(id).n_fail, rows[i].most);
    }
}

static void what_it_brings_and_a_retry_by_hand_give_it_all_of_them_again(void **state)
{
    (void)state;
    const char *id = accept_with(2);
    assert_int_equal(fail_once(id), JOB_SCHEDULED);
    struct lease l = next(id);
    assert_int_equal(commit_batch(&l, 0, 1, 3), E_OK);
    assert_int_equal(view(id).fails, 0);
    assert_int_equal(finish(&l, FAILURE_RESOURCE).state, JOB_SCHEDULED);
    assert_int_equal(view(id).fails, 1);
    assert_int_equal(fail_once(id), JOB_DEAD);
    assert_int_equal(view(id).n_fail, 3);
    struct replay_args again = {.id = span_of(id)};
    struct replay_reply reply;
    begin();
    assert_int_equal(store_replay(w->s, &again, now(), &reply, &w->f), E_OK);
    commit();
    assert_true(view(id).fails == 0 && view(id).max_fail == 2);
    assert_int_equal(fail_once(id), JOB_SCHEDULED);
    assert_int_equal(fail_once(id), JOB_DEAD);
}

static void a_bound_that_is_none_is_refused(void **state)
{
    (void)state;
    static const int64_t wrong[] = {-1, STORE_FAIL_MAX + 1};
    for (size_t i = 0; i < 2; i++) {
        struct accept_args args = job_args(new_id(), "x/normal");
        struct accept_reply reply;
        args.max_fail = wrong[i];
        assert_int_equal(try_accept(&args, &reply), E_BAD_INPUT);
        assert_false(exists(args.id.p));
    }
}

static void jobs_of_a_batch_have_bounds_of_their_own(void **state)
{
    (void)state;
    struct accept_args jobs[2] = {job_args(new_id(), "x/normal"),
                                  job_args(new_id(), "x/normal")};
    jobs[0].max_fail = 7;
    struct batch_args batch = {.id = SPAN("bat_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
                               .tenant = SPAN("default"),
                               .name = SPAN(""),
                               .jobs = jobs,
                               .count = 2,
                               .idempotency_key = SPAN("one"),
                               .request_hash = 1};
    struct batch_reply reply;
    begin();
    assert_int_equal(store_batch_create(w->s, &batch, now(), w->a, &reply, &w->f), E_OK);
    commit();
    assert_int_equal(view(jobs[0].id.p).max_fail, 7);
    assert_int_equal(view(jobs[1].id.p).max_fail, 3);
}

/* ---- delays ---- */

static const struct retry_policy own = {.base_ms = 100, .cap_ms = 450, .factor = 3};

static int64_t end_with(const struct lease *l, enum failure_class failure,
                        enum failure_budget budget, int64_t wait_ms)
{
    struct finish_reply reply;
    struct finish_args args = finish_args_of(l, failure);
    args.budget = budget;
    args.wait_ms = wait_ms;
    args.retry = own;
    assert_int_equal(try_finish(&args, &reply), E_OK);
    assert_int_equal(reply.state, JOB_SCHEDULED);
    assert_int_equal(view(l->id).run_at_ms, w->now + reply.retry_in_ms);
    return reply.retry_in_ms;
}

static void within(int64_t got, int64_t least, int64_t most)
{
    if (got < least || got > most)
        fail_msg("%lld is not between %lld and %lld", (long long)got, (long long)least,
                 (long long)most);
}

static void a_job_that_failed_waits_as_it_asks_and_a_server_is_obeyed(void **state)
{
    (void)state;
    static const int64_t longest[] = {100, 300, 450, 450};
    const char *id = accept_with(20);
    for (size_t n = 0; n < 4; n++) {
        struct lease l = next(id);
        within(end_with(&l, FAILURE_RESOURCE, BUDGET_NONE, 0), longest[n] / 2, longest[n]);
    }
    struct lease l = next(id);
    within(end_with(&l, FAILURE_RESOURCE, BUDGET_NONE, MINUTE), MINUTE, MINUTE * 12 / 10);
}

static void a_job_whose_worker_died_waits_as_it_asks_from_the_second_time_on(void **state)
{
    (void)state;
    WITH(crash_max, 9);
    const char *id = accept_with(0);
    struct lease l = next(id);
    assert_int_equal(end_with(&l, FAILURE_CRASH, BUDGET_CRASH, 0), 0);
    l = next(id);
    within(end_with(&l, FAILURE_CRASH, BUDGET_CRASH, 0), 150, 300);
    l = next(id);
    within(end_with(&l, FAILURE_CRASH, BUDGET_CRASH, 0), 225, 450);
}

/* Nobody is there to say what the job asked for: the configured delay. */
static void a_job_that_nobody_speaks_for_waits_as_configured(void **state)
{
    (void)state;
    WITH(crash_max, 9);
    const char *id = accept_with(0);
    for (int n = 1; n <= 2; n++) {
        next(id);
        pass(w->limits.lease_ms + 1);
        pass(w->limits.lease_ms / 3 + 1);
        assert_int_equal(view(id).n_crash, n);
    }
    within(view(id).run_at_ms - w->now, 1000, 2000);
}

/* How fast a site may be asked again that limits is not for a job to say: its lane waits as long. */
static void a_site_that_limits_is_left_alone_as_configured(void **state)
{
    (void)state;
    const char *id = accept_with(0);
    struct lease l = next(id);
    int64_t wait = end_with(&l, FAILURE_RATE_LIMITED, BUDGET_NONE, 0);
    within(wait, 500, 1000);
    assert_int_equal(lane("x/normal").blocked_until_ms, w->now + wait);
}

static const struct CMUnitTest tests[] = {
    S(a_job_ends_after_as_many_failures_in_a_row_as_it_asks_for),
    S(what_it_brings_and_a_retry_by_hand_give_it_all_of_them_again),
    S(a_bound_that_is_none_is_refused),
    S(jobs_of_a_batch_have_bounds_of_their_own),
    S(a_job_that_failed_waits_as_it_asks_and_a_server_is_obeyed),
    S(a_job_whose_worker_died_waits_as_it_asks_from_the_second_time_on),
    S(a_job_that_nobody_speaks_for_waits_as_configured),
    S(a_site_that_limits_is_left_alone_as_configured),
};
RUN_ON_ALL_STORES(tests)
