/* Scenarios S72-S78 and S84: what is kept is bounded, what goes goes whole, and who reads misses nothing. */
#include "../lib/scenario.h"

#include <malloc.h>
#include <string.h>

/* Each brings a record of that size and ends so. */
static void flow(int64_t jobs, size_t size, enum failure_class failure)
{
    for (int64_t i = 0; i < jobs; i++) {
        if (!w->in_group)
            begin();
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%07lld", (long long)++w->numbers);
        struct accept_args args = job_args(id, "x/normal");
        accept_args(&args);
        struct lease l = lease_next();
        if (size)
            assert_int_equal(commit_sized(&l, 0, 0, 1, size, NULL), E_OK);
        finish(&l, failure);
        if (i % 100 == 99 || i + 1 == jobs)
            commit();
        drop_texts();
    }
}

static int64_t ended(void)
{
    struct outlook o = outlook();
    return o.by_state[JOB_SUCCEEDED] + o.by_state[JOB_CANCELLED] + o.by_state[JOB_EXPIRED];
}

static void s72_what_is_kept_stays_within_its_limits_however_much_flows_through(void **state)
{
    (void)state;
    enum { STEP = 500, SIZE = 1000 };
    const int64_t most = scaled_from(1000, 10000);
    static const char *const by[RETAIN_LIMITS] = {"age", "jobs", "bytes", "dead_age",
                                                  "dead_jobs"};
    const struct retain_args limits[] = {
        {.age_ms = HOUR, .jobs = most, .bytes = INT64_MAX},
        {.age_ms = 100 * HOUR, .jobs = 10 * most, .bytes = most * SIZE / 2},
        {.age_ms = 2 * MINUTE, .jobs = 10 * most},
    };
    int64_t full = 0, deleted[RETAIN_LIMITS] = {0};
    for (int part = 0; part < 3; part++) {
        for (int turn = 0; turn < most * 3 / STEP; turn++) {
            flow(STEP, SIZE, FAILURE_NONE);
            w->now += MINUTE;
            struct retain_reply r = {.more = true};
            for (int call = 0; r.more; call++) {
                int64_t before = jobs_count();
                r = retain(&limits[part]);
                assert_true(before - jobs_count() <= 200); /* a bounded piece */
                assert_true(call < 2 + 10 * most);
                for (int i = 0; i < RETAIN_LIMITS; i++)
                    deleted[i] += r.deleted[i];
            }
            assert_true(ended() <= (part == 0 ? most : part == 1 ? most / 2 : 3 * STEP));
            store_idle(w->s);
        }
        if (part == 0)
            full = w->maker->bytes(w->place);
    }
    /* The file has room for what was there at most, and grew no more after that. */
    assert_true(w->maker->bytes(w->place) <= full * 3 / 2);
    assert_true(deleted[RETAIN_AGE] > 0 && deleted[RETAIN_JOBS] > 0 &&
                deleted[RETAIN_BYTES] > 0);
    for (int i = 0; i < RETAIN_LIMITS; i++)
        print_message("deleted by %s: %lld\n", by[i], (long long)deleted[i]);
    /* What is counted is what is there, also after a restart. */
    int64_t there = ended();
    reopen();
    assert_int_equal(ended(), there);
    assert_int_equal(retain(&(struct retain_args){.bytes = there * SIZE}).deleted[RETAIN_BYTES],
                     0);
    assert_int_equal(
        retain(&(struct retain_args){.bytes = there * SIZE - 1}).deleted[RETAIN_BYTES], 1);
}

static void s72_dead_jobs_have_limits_of_their_own(void **state)
{
    (void)state;
    flow(30, 100, FAILURE_DRIFT);
    w->now += HOUR;
    flow(20, 100, FAILURE_NONE);
    struct retain_reply r =
        retain(&(struct retain_args){.age_ms = 1, .jobs = 10, .bytes = 500});
    assert_int_equal(outlook().by_state[JOB_DEAD], 30);
    assert_int_equal(r.deleted[RETAIN_JOBS], 10);
    assert_int_equal(r.deleted[RETAIN_BYTES], 5);
    r = retain(&(struct retain_args){.dead_jobs = 12});
    assert_int_equal(r.deleted[RETAIN_DEAD_JOBS], 18);
    assert_false(exists("job_0000018"));
    assert_true(exists("job_0000019")); /* the oldest went */
    r = retain(&(struct retain_args){.dead_age_ms = HOUR});
    assert_int_equal(r.deleted[RETAIN_DEAD_AGE], 0);
    w->now += 1;
    r = retain(&(struct retain_args){.dead_age_ms = HOUR});
    assert_int_equal(r.deleted[RETAIN_DEAD_AGE], 12);
    assert_int_equal(ended(), 5);
}

static void s72_what_another_job_needs_stays(void **state)
{
    (void)state;
    const struct retain_args all = {.age_ms = 1, .dead_age_ms = 1, .jobs = 1, .bytes = 1};
    struct accept_args args = job_args(new_id(), "x/normal");
    const char *first = args.id.p;
    args.work = 5;
    accept_args(&args);
    struct lease l = start_next();
    assert_int_equal(commit_batch(&l, 0, 0, 7), E_OK);
    finish(&l, FAILURE_NONE);
    w->now += MINUTE;
    args.id = span_of(new_id());
    args.max_age_ms = HOUR; /* has the first one's result */
    const char *second = args.id.p;
    assert_int_equal(accept_args(&args).source, SOURCE_CACHE);
    retain(&(struct retain_args){.age_ms = MINUTE / 2});
    assert_true(exists(first));
    assert_int_equal(items_count(second), 7);
    w->now += MINUTE;
    retain(&all);
    assert_false(exists(second));
    retain(&all); /* nobody has it any more */
    assert_false(exists(first));
    /* A leader stays until all that waited for it have its result. */
    args.max_age_ms = 0;
    args.coalesce = true;
    args.work = 6;
    for (int i = 0; i < 50; i++) {
        args.id = span_of(new_id());
        if (i == 0)
            first = args.id.p;
        accept_args(&args);
        if (i == 0)
            l = start_next();
    }
    assert_int_equal(commit_batch(&l, 0, 0, 7), E_OK);
    begin();
    finish(&l, FAILURE_NONE);
    commit();
    w->now += 10;
    for (int i = 0; i < 5; i++) /* of those that have it already none is left to hold it */
        retain(&(struct retain_args){.age_ms = 1});
    assert_true(outlook().by_state[JOB_BLOCKED] > 0);
    assert_true(exists(first));
    while (outlook().by_state[JOB_BLOCKED] > 0)
        assert_true(go_on(w->now + MINUTE));
    for (int64_t i = 1; i < 50; i++) {
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%07lld", (long long)(w->numbers - 49 + i));
        if (exists(id))
            assert_int_equal(items_count(id), 7);
    }
    assert_int_equal(outlook().by_state[JOB_READY], 0); /* none had to do the work again */
}

static int64_t heap_bytes(void)
{
    malloc_trim(0);
    struct mallinfo2 m = mallinfo2();
    return (int64_t)(m.uordblks + m.hblkhd);
}

static void see_sites_once(int64_t count, int64_t from)
{
    for (int64_t i = 0; i < count; i++) {
        char name[40], id[ID_TEXT], key[24];
        if (!w->in_group)
            begin();
        snprintf(name, sizeof name, "site%lld/normal", (long long)(from + i));
        snprintf(id, sizeof id, "job_%07lld", (long long)++w->numbers);
        snprintf(key, sizeof key, "key-%lld", (long long)(from + i));
        struct accept_args args = job_args(id, name);
        args.idempotency_key = span_of(key);
        accept_args(&args);
        cancel(id, false);
        if (i % 2000 == 1999 || i + 1 == count)
            commit();
        drop_texts();
    }
}

static int64_t lanes_count(void)
{
    struct lane_view *lanes;
    size_t n;
    int64_t all = 0;
    struct lanes_query q = {.limit = 500};
    char last[LANE_NAME];
    struct span next;
    do {
        assert_int_equal(store_lanes(w->s, &q, now(), w->a, &lanes, &n, &next, &w->f), E_OK);
        all += (int64_t)n;
        span_copy(next, last, sizeof last);
        q.after = span_of(last);
        drop_texts();
    } while (last[0]);
    return all;
}

/* Every instant at which the store tends itself, until there is no more to delete. */
static void keep_house(const struct retain_args *args)
{
    struct retain_reply r = {.more = true};
    reap();
    for (int calls = 0; r.more; calls++) {
        if (calls % 50 == 0)
            begin();
        r = retain(args);
        if (calls % 50 == 49 || !r.more)
            commit();
        assert_true(calls < 100000);
    }
}

static void s73_what_was_seen_once_is_forgotten_and_gives_its_memory_back(void **state)
{
    (void)state;
    const int64_t sites = scaled(100000);
    const struct retain_args limits = {.age_ms = HOUR, .dead_age_ms = HOUR};
    int64_t after[2];
    for (int turn = 0; turn < 2; turn++) {
        see_sites_once(sites, 0);
        assert_int_equal(lanes_count(), sites);
        w->now += 3LL * 24 * HOUR;
        keep_house(&limits);
        assert_int_equal(jobs_count(), 0);
        assert_int_equal(lanes_count(), sites); /* not idle for long enough */
        w->now += 8LL * 24 * HOUR;              /* since the last of their jobs went */
        keep_house(&limits);
        assert_int_equal(lanes_count(), 0);
        store_idle(w->s);
        reap();
        after[turn] = heap_bytes();
    }
    print_message("bytes in use after the first and the second time: %lld, %lld\n",
                  (long long)after[0], (long long)after[1]);
    assert_true(after[1] * 100 <= after[0] * 105);
    /* One that somebody has set is not forgotten. */
    lane_max_active("kept/normal", 3);
    w->now += 30LL * 24 * HOUR;
    keep_house(&limits);
    assert_int_equal(lanes_count(), 1);
    assert_int_equal(lane("kept/normal").settings.max_active, 3);
    /* One that somebody held is, when its time has been over for long; one that somebody holds is not. */
    lane_act("held/normal", LANE_ACT_BREAKER_OPEN, HOUR);
    w->now += 9LL * 24 * HOUR;
    lane_act("later/normal", LANE_ACT_BREAKER_CLOSE, HOUR);
    keep_house(&limits);
    assert_int_equal(lanes_count(), 2);
    assert_int_equal(lane("later/normal").settings.depth, 0);
}

/* A session of a pool of its own is used once, rests because the site asked for it, and is removed. */
static void use_a_session_once(void)
{
    struct lease l;
    char id[ID_TEXT], session[ID_TEXT], pool[24],
        lane_name[64]; /* the test keeps nothing either */
    int64_t n = ++w->numbers;
    snprintf(id, sizeof id, "job_%07lld", (long long)n);
    snprintf(session, sizeof session, "ses_%07lld", (long long)n);
    snprintf(pool, sizeof pool, "p-%lld", (long long)n);
    snprintf(lane_name, sizeof lane_name, "x/normal@%s.posts", pool);
    struct session_add add = {.id = span_of(session),
                              .site = SPAN("x"),
                              .pool = span_of(pool),
                              .name = span_of(pool),
                              .emit_ms = MINUTE,
                              .burst = 1,
                              .max_active = 1};
    struct session_cookies cookies = {
        .session = add.id, .text = SPAN("[{\"name\":\"a\",\"value\":\"b\"}]"), .count = 1};
    assert_int_equal(store_session_add(w->s, &add, now(), &w->f), E_OK);
    assert_int_equal(store_session_cookies(w->s, &cookies, now(), &w->f), E_OK);
    struct accept_args args = job_args(id, lane_name);
    args.pool = add.pool;
    args.operation = SPAN("posts");
    accept_args(&args);
    assert_true(reserve(&l));
    assert_string_equal(l.session, session);
    throttle(&l, MINUTE);
    cancel(id, false);
    assert_int_equal(store_session_remove(w->s, add.id, &w->f), E_OK);
    drop_texts();
}

static void s73_sessions_that_were_removed_leave_nothing(void **state)
{
    (void)state;
    const int64_t sessions = scaled_from(1000, 10000);
    const struct retain_args limits = {.age_ms = HOUR, .dead_age_ms = HOUR};
    int64_t after[2], kept[2];
    for (int turn = 0; turn < 2; turn++) {
        struct session_view *list;
        size_t n;
        for (int64_t i = 0; i < sessions; i++) {
            if (!w->in_group)
                begin();
            use_a_session_once();
            if (i % 100 == 99 || i + 1 == sessions)
                commit();
        }
        w->now += 3LL * 24 * HOUR;
        keep_house(&limits);
        w->now += 8LL * 24 * HOUR;
        keep_house(&limits);
        assert_int_equal(lanes_count(), 0);
        assert_int_equal(
            store_sessions(w->s, SPAN_NONE, SPAN_NONE, now(), w->a, &list, &n, &w->f), E_OK);
        assert_int_equal(n, 0);
        store_idle(w->s);
        reap();
        after[turn] = heap_bytes();
        kept[turn] = w->maker->bytes(w->place);
    }
    print_message(
        "after %lld sessions and after twice as many: bytes in use %lld, %lld, kept %lld, %lld\n",
        (long long)sessions, (long long)after[0], (long long)after[1], (long long)kept[0],
        (long long)kept[1]);
    assert_true(after[1] * 100 <= after[0] * 105);
    assert_true(kept[1] * 100 <= kept[0] * 105);
}

static err replay_job(const char *id)
{
    struct replay_args args = {.id = span_of(id)};
    struct replay_reply ignored;
    GROUPED(store_replay(w->s, &args, now(), &ignored, &w->f));
}

static void s73_a_lane_stays_as_long_as_one_of_its_jobs(void **state)
{
    (void)state;
    const struct retain_args limits = {.age_ms = 30LL * 24 * HOUR,
                                       .dead_age_ms = 90LL * 24 * HOUR};
    const char *done = accept_job(), *dead = accept_job(), *crashed = accept_in("y/normal");
    for (struct lease l; reserve(&l); reap()) {
        if (strcmp(l.id, crashed) == 0)
            give_back(&l, BUDGET_CRASH); /* goes on in another lane, and ends there */
        else
            finish(&l, strcmp(l.id, dead) == 0 ? FAILURE_DRIFT : FAILURE_NONE);
    }
    assert_int_equal(lanes_count(), 3);
    w->now += 8LL * 24 * HOUR;
    keep_house(&limits);
    assert_int_equal(lanes_count(), 2);
    assert_int_equal(state_of(crashed), JOB_DEAD);
    assert_int_equal(replay_job(dead), E_OK);
    assert_int_equal(replay_job(crashed), E_OK);
    for (struct lease l; reserve(&l);)
        finish(&l, FAILURE_DRIFT);
    w->now += 31LL * 24 * HOUR;
    keep_house(&limits);
    assert_false(exists(done));
    assert_int_equal(lanes_count(), 2);
    w->now += 91LL * 24 * HOUR;
    keep_house(&limits);
    assert_int_equal(jobs_count(), 0);
    w->now += 8LL * 24 * HOUR;
    keep_house(&limits);
    assert_int_equal(lanes_count(), 0);
}

static void
s74_who_reads_while_jobs_are_deleted_sees_each_once_or_hears_that_it_is_gone(void **state)
{
    (void)state;
    enum { JOBS = 600, PAGE = 50 };
    flow(JOBS, 10, FAILURE_NONE);
    for (int delete_all = 0; delete_all < 2; delete_all++) {
        bool seen[2 * JOBS + 1] = {0};
        int64_t last = INT64_MAX, count = 0;
        size_t n;
        char after[ID_TEXT] = "";
        struct jobs_query q = {.state = -1, .limit = PAGE};
        err e;
        do {
            struct job_view *jobs;
            q.after = span_of(after);
            e = store_jobs(w->s, &q, now(), w->a, &jobs, &n, &w->f);
            for (size_t i = 0; !e && i < n; i++) {
                int64_t number = strtoll(jobs[i].id + 4, NULL, 10);
                assert_true(number < last && !seen[number]); /* newest first, each once */
                assert_true(last == INT64_MAX || number == last - 1);
                seen[number] = true;
                last = number;
                count++;
                assert_int_equal(items_count(jobs[i].id), 1); /* and whole */
            }
            if (!e && n)
                memcpy(after, jobs[n - 1].id, sizeof after);
            retain(&(struct retain_args){.jobs = delete_all              ? 1
                                                 : jobs_count() - 20 > 1 ? jobs_count() - 20
                                                                         : 1});
            if (delete_all)
                for (int i = 0; i < 10; i++)
                    retain(&(struct retain_args){.jobs = 1});
        } while (!e && n == PAGE);
        if (delete_all) /* what it wanted to go on after is not there */
            assert_int_equal(e, E_NOT_FOUND);
        else
            assert_true(e == E_OK && count > JOBS / 2);
        flow(JOBS, 10, FAILURE_NONE);
    }
    /* Records of a job that takes several calls to delete: all of them, or none. */
    accept_job();
    struct lease l = lease_next();
    for (int b = 0; b < 30; b++)
        assert_int_equal(commit_batch(&l, b, b * 400, 400), E_OK);
    finish(&l, FAILURE_NONE);
    w->now += 10;
    struct item_view *items;
    size_t n;
    assert_int_equal(
        store_items(w->s, span_of(l.id), -1, -1, 100, 1 << 20, w->a, &items, &n, &w->f), E_OK);
    assert_int_equal(n, 100);
    int64_t after = items[99].ord;
    struct retain_reply r;
    do
        r = retain(&(struct retain_args){.age_ms = 1});
    while (exists(l.id) && r.more);
    assert_true(r.more);
    w->f = (struct fault){0};
    assert_int_equal(
        store_items(w->s, span_of(l.id), -1, after, 100, 1 << 20, w->a, &items, &n, &w->f),
        E_NOT_FOUND);
    /* A new job is not taken for it, and what is left of it goes, also over a crash. */
    crash();
    const char *next = accept_job();
    assert_int_equal(items_count(next), 0);
    while (retain(&(struct retain_args){.age_ms = 1}).more)
        ;
    assert_true(exists(next));
}

/* Work of a hundred starts. */
static int64_t work_of_starts(void)
{
    int64_t began = w->maker->work();
    begin();
    for (int i = 0; i < 100; i++) {
        lease_next();
        drop_texts();
    }
    commit();
    return w->maker->work() - began;
}

static void s78_a_start_costs_the_same_whatever_else_there_is(void **state)
{
    (void)state;
    const int64_t many = scaled_from(100000, 1000000);
    w->maker->count_work(true);
    reopen();
    accept_many("x/normal", 1000);
    int64_t small = work_of_starts();
    w->maker->count_work(false);
    reopen(); /* counting takes its time */
    for (int64_t i = 0; i < many / 10; i++) {
        if (i % 2000 == 0)
            begin();
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%07lld", (long long)++w->numbers);
        struct accept_args args = job_args(id, "x/bulk");
        accept_args(&args);
        cancel(id, false);
        if (i % 2000 == 1999 || i + 1 == many / 10)
            commit();
    }
    lane_act("y/normal", LANE_ACT_PAUSE, 0);
    accept_many("y/normal", many / 10);
    accept_many("x/normal", many);
    w->maker->count_work(true);
    reopen();
    int64_t large = work_of_starts();
    print_message(
        "work of 100 starts: %lld steps of 1000 jobs, %lld of %lld and beside %lld blocked and ended ones\n",
        (long long)small, (long long)large, (long long)many, (long long)(many / 10));
    assert_true(large <= 2 * small);
}

static void s84_events_are_dense_and_who_comes_back_misses_none(void **state)
{
    (void)state;
    enum { JOBS = 40 };
    int64_t numbers[JOBS + 1] = {0}, after = 0, seen = 0;
    size_t n;
    char ids[JOBS + 1][ID_TEXT];
    for (int i = 1; i <= JOBS; i++) {
        memcpy(ids[i], accept_job(), 12);
        ids[i][11] = 0;
    }
    for (int step = 0; step < 4000; step++) {
        struct lease l;
        int what = (int)below(8);
        if (what < 3 && reserve(&l)) {
            if (below(2))
                assert_int_equal(commit_batch(&l, l.next_batch, (int)l.next_batch * 3, 3),
                                 E_OK);
            if (below(3))
                give_back(&l, below(2) ? BUDGET_RELEASE : BUDGET_CRASH);
            else
                finish(&l, below(2) ? FAILURE_NONE : FAILURE_RESOURCE);
        } else if (what == 3) {
            pass(below(20000));
        } else if (what == 4 && below(20) == 0) {
            begin(); /* lost: nobody may have heard of it */
            accept_job();
            crash();
        } else if (what == 5 && below(10) == 0) {
            struct cancel_reply c;
            (void)!try_cancel(ids[1 + below(JOBS)], below(2), &c);
        } else if (what > 5) { /* the reader is there again, wherever it was cut off */
            struct event_view *events;
            assert_int_equal(store_events(w->s, after, SPAN_NONE, (size_t)(1 + below(7)), w->a,
                                          &events, &n, &w->f),
                             E_OK);
            for (size_t i = 0; i < n; i++, seen++) {
                assert_true(events[i].seq > after);
                after = events[i].seq;
                int64_t number = strtoll(events[i].job.p + 4, NULL, 10);
                assert_true(number >= 1 && number <= JOBS);
                assert_int_equal(events[i].number, ++numbers[number]);
            }
        }
        drop_texts();
    }
    assert_true(seen > 300);
    /* One job's events by themselves, also when it ended long ago; they stay as long as the job, */
    w->now += HOUR;
    for (int i = 1; i <= JOBS; i++) {
        struct event_view *events;
        retain(&(struct retain_args){.dead_age_ms = 1});
        assert_int_equal(
            store_events(w->s, 0, span_of(ids[i]), 10000, w->a, &events, &n, &w->f), E_OK);
        if (!exists(ids[i])) { /* and go with it */
            assert_int_equal(n, 0);
            continue;
        }
        assert_true(n > 0);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(events[k].number, k + 1);
    }
}

static const struct CMUnitTest tests[] = {
    S(s72_what_is_kept_stays_within_its_limits_however_much_flows_through),
    S(s72_dead_jobs_have_limits_of_their_own),
    S(s72_what_another_job_needs_stays),
    S(s73_what_was_seen_once_is_forgotten_and_gives_its_memory_back),
    S(s73_sessions_that_were_removed_leave_nothing),
    S(s73_a_lane_stays_as_long_as_one_of_its_jobs),
    S(s74_who_reads_while_jobs_are_deleted_sees_each_once_or_hears_that_it_is_gone),
    S(s78_a_start_costs_the_same_whatever_else_there_is),
    S(s84_events_are_dense_and_who_comes_back_misses_none),
};
RUN_ON_ALL_STORES(tests)
