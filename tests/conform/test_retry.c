/* What a job may say of its own retries (store.h: max_fail, finish_args.retry), held against both stores. */
#include "../lib/scenario.h"
#include "core/limit.h"
#include "core/retry.h"

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

/* f: it failed, c: its worker died, t: the site limited it, r: it was given back. */
static enum job_state end_as(const char *id, char how)
{
    struct lease l = next(id);
    if (how == 't')
        return throttle(&l, SECOND).state;
    if (how == 'r')
        return give_back(&l, BUDGET_RELEASE).state;
    return how == 'c' ? give_back(&l, BUDGET_CRASH).state : finish(&l, FAILURE_RESOURCE).state;
}

static void what_ran_and_did_not_succeed_counts_together_and_nothing_else_does(void **state)
{
    (void)state;
    static const struct {
        int64_t most; /* attempts */
        const char *ends;
        enum job_state then;
    } rows[] = {
        {1, "f", JOB_DEAD},         {1, "c", JOB_DEAD},       {1, "t", JOB_SCHEDULED},
        {1, "r", JOB_READY},        {1, "trtrc", JOB_DEAD},   {2, "f", JOB_SCHEDULED},
        {2, "c", JOB_SCHEDULED},    {2, "ff", JOB_DEAD},      {2, "fc", JOB_DEAD},
        {2, "cf", JOB_DEAD},        {2, "cc", JOB_DEAD},      {2, "ctrf", JOB_DEAD},
        {5, "ff", JOB_SCHEDULED},   {5, "cc", JOB_SCHEDULED}, {5, "ccc", JOB_DEAD},
        {5, "cfcf", JOB_SCHEDULED}, {5, "cfcff", JOB_DEAD},   {5, "ffftrf", JOB_SCHEDULED},
        {5, "fffcf", JOB_DEAD},
    };
    WITH(crash_max, 3);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *id = accept_with(rows[i].most), *at = rows[i].ends;
        int64_t ran = 0;
        for (; *at; at++) {
            enum job_state now_is = end_as(id, *at), then = at[1] ? JOB_DEAD : rows[i].then;
            ran += *at == 'f' || *at == 'c';
            if (at[1] ? now_is == then : now_is != then)
                fail_msg("%lld attempts, %s: %s after %s", (long long)rows[i].most,
                         rows[i].ends, job_state_name(now_is), at);
            assert_int_equal(view(id).fails, ran);
        }
        if (view(id).state != JOB_DEAD)
            cancel(id, false);
    }
}

/* What it brings gives it its attempts again, and no new pace; and so many starts are enough for anybody. */
static void a_job_that_brings_a_record_and_kills_its_worker_slows_down_and_ends(void **state)
{
    (void)state;
    static const struct retry_policy pace = {.base_ms = 1000, .cap_ms = HOUR};
    const char *id = accept_with(0);
    w->limits.retry_cap_ms = HOUR;
    reopen();
    for (int n = 1; n <= RETRY_STARTS_MAX; n++) {
        struct lease l;
        struct finish_reply r;
        if (n % 100 == 1)
            begin();
        w->now += 2LL * HOUR;
        reap();
        assert_true(reserve(&l));
        assert_int_equal(started(&l), E_OK);
        assert_int_equal(commit_batch(&l, l.next_batch, n, 1), E_OK);
        r = give_back(&l, BUDGET_CRASH);
        assert_int_equal(r.state, n < RETRY_STARTS_MAX ? JOB_SCHEDULED : JOB_DEAD);
        if (n < RETRY_STARTS_MAX)
            assert_int_equal(
                r.retry_in_ms,
                n == 1 ? 0 : retry_delay_ms(&pace, span_of(id), retry_crash_step(n), 7, 0));
        if (n > 1 && n < 12)
            assert_true(r.retry_in_ms >= 1000LL << (n - 2)); /* they grow */
        if (n % 100 == 0)
            commit();
        drop_texts();
    }
    struct job_view v = view(id);
    assert_int_equal(v.fence, RETRY_STARTS_MAX);
    assert_int_equal(v.have, RETRY_STARTS_MAX);
    assert_int_equal(v.failure, FAILURE_CRASH);
    assert_true(span_is(v.why, RETRY_STARTS_WORDS));
    struct replay_args again = {.id = span_of(id)};
    struct replay_reply reply;
    begin();
    assert_int_equal(store_replay(w->s, &again, now(), &reply, &w->f), E_OK);
    commit();
    assert_int_equal(end_as(id, 'c'), JOB_SCHEDULED); /* a person may have it started again */
}

/* Of two that are due at once, in a lane that has no share of retries but the one of each slice, how many go on; both are ended
 * then. */
static int go_on_of(const char *const ids[2])
{
    w->now += 2 * LIMIT_RETRY_SLICE_MS; /* due, both, and none has gone on in this slice */
    int n = 0;
    reap();
    for (int i = 0; i < 2; i++) {
        n += state_of(ids[i]) == JOB_READY;
        cancel(ids[i], false);
    }
    lane_act("x/normal", LANE_ACT_UNBLOCK, 0);
    lane_act("x/normal", LANE_ACT_BREAKER_RESET, 0);
    return n;
}

static void failures_pay_the_share_of_retries_and_crashes_and_waits_do_not(void **state)
{
    (void)state;
    w->limits.retry_floor = w->limits.retry_percent = 0;
    reopen();
    for (enum failure_class c = FAILURE_NONE + 1; c < FAILURE_COUNT; c++) {
        enum failure_budget budget = failure_row(c)->budget;
        if (budget == BUDGET_NONE || budget == BUDGET_RELEASE)
            continue;
        const char *ids[2] = {accept_with(9), accept_with(9)};
        struct lease l[2];
        for (int i = 0; i < 2; i++)
            l[i] = next(ids[i]);
        for (int i = 0; i < 2; i++)
            assert_int_equal(finish(&l[i], c).state, JOB_SCHEDULED);
        if (go_on_of(ids) != (budget == BUDGET_FAIL ? 1 : 2))
            fail_msg("%s", failure_name(c));
    }
    /* A worker that never said that it had begun: from the fourth time on the job waits, and pays nothing. */
    const char *ids[2] = {accept_with(9), accept_with(9)};
    for (int n = 0; n < 4; n++) {
        struct lease l;
        for (int i = 0; i < 2; i++)
            assert_true(reserve(&l));
        w->now += w->limits.lease_ms + 1;
        reap();
        w->now += w->limits.lease_ms / 3 + 1;
        reap();
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(state_of(ids[i]), JOB_SCHEDULED);
        assert_int_equal(view(ids[i]).n_release, 4);
    }
    assert_int_equal(go_on_of(ids), 2);
}

/* One that failed once, and is limited since, pays for that one failure alone. */
static void a_job_that_waits_for_something_else_pays_no_second_time(void **state)
{
    (void)state;
    w->limits.retry_percent = 0;
    WITH(retry_floor, 1);
    const char *id = accept_with(9);
    assert_int_equal(end_as(id, 'f'), JOB_SCHEDULED);
    assert_int_equal(end_as(id, 't'), JOB_SCHEDULED);
    w->now = view(id).run_at_ms;
    reap();
    assert_int_equal(state_of(id), JOB_READY);
}

static void no_share_of_retries_holds_a_job_back_for_ever(void **state)
{
    (void)state;
    w->limits.retry_floor = w->limits.retry_percent = 0;
    reopen();
    static const char ends[] = "cf";
    for (int i = 0; ends[i]; i++) {
        const char *id = accept_with(9);
        assert_int_equal(end_as(id, ends[i]), JOB_SCHEDULED);
        assert_int_equal(end_as(id, 'f'),
                         JOB_SCHEDULED); /* it has started again, within a day */
        assert_int_equal(view(id).fence, 2);
        cancel(id, false);
    }
}

/* A node that dies takes all the jobs along that ran on it: they are due at once. */
static void jobs_whose_node_died_go_on_at_once_however_many_there_are(void **state)
{
    (void)state;
    enum { MANY = 30 };
    w->limits.retry_floor = w->limits.retry_percent = 0;
    reopen();
    const char *ids[MANY];
    for (int i = 0; i < MANY; i++) {
        ids[i] = accept_with(9);
        assert_int_equal(end_as(ids[i], 'c'), JOB_SCHEDULED);
    }
    for (int i = 0; i < MANY; i++) /* so many times it may take, and no time */
        reap();
    for (int i = 0; i < MANY; i++)
        assert_int_equal(state_of(ids[i]), JOB_READY);
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
    const char *id = accept_with(9);
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
    const char *id = accept_with(9);
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
    S(what_ran_and_did_not_succeed_counts_together_and_nothing_else_does),
    S(a_job_that_brings_a_record_and_kills_its_worker_slows_down_and_ends),
    S(failures_pay_the_share_of_retries_and_crashes_and_waits_do_not),
    S(a_job_that_waits_for_something_else_pays_no_second_time),
    S(no_share_of_retries_holds_a_job_back_for_ever),
    S(jobs_whose_node_died_go_on_at_once_however_many_there_are),
    S(a_bound_that_is_none_is_refused),
    S(jobs_of_a_batch_have_bounds_of_their_own),
    S(a_job_that_failed_waits_as_it_asks_and_a_server_is_obeyed),
    S(a_job_whose_worker_died_waits_as_it_asks_from_the_second_time_on),
    S(a_job_that_nobody_speaks_for_waits_as_configured),
    S(a_site_that_limits_is_left_alone_as_configured),
};
RUN_ON_ALL_STORES(tests)
