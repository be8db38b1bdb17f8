/* The promises of dead.h: jobs that come back, dead letters in groups, operations in pieces. */
#include "../lib/store.h"

#include "store/lanes.h"

static err replay(const char *id, bool reset, struct replay_reply *out)
{
    struct replay_args args = {.id = span_of(id), .reset = reset};
    begin();
    err e = store_replay(w->s, &args, now(), out, &w->f);
    commit();
    return e;
}

static const char *dead_job(enum failure_class failure, const char *why)
{
    const char *id = accept_job();
    struct lease l = lease_of(id);
    assert_int_equal(finish(&l, failure, why), JOB_DEAD);
    return id;
}

/* ---- replay ---- */

static void a_dead_job_comes_back_with_its_id_records_and_cursor(void **state)
{
    (void)state;
    const char *id = accept_job();
    struct lease l = lease_of(id);
    struct store_item item = {
        .kind = ITEM_POST, .id = SPAN("1"), .json = SPAN("{\"id\":\"1\"}")};
    struct commit_args batch = {.id = span_of(id),
                                .nonce = l.nonce,
                                .items = &item,
                                .count = 1,
                                .cursor = SPAN("page 2")};
    struct commit_reply brought;
    begin();
    assert_int_equal(store_commit_batch(w->s, &batch, now(), &brought, &w->f), E_OK);
    commit();
    assert_int_equal(finish(&l, FAILURE_DRIFT, "no entries"), JOB_DEAD);
    assert_int_equal(strlen(view(id).fingerprint), 16);

    struct replay_reply reply;
    assert_int_equal(replay(id, false, &reply), E_OK);
    assert_int_equal(reply.was, JOB_DEAD);
    assert_int_equal(reply.generation, 1);
    struct job_view v = view(id);
    assert_int_equal(v.state, JOB_READY);
    assert_int_equal(v.generation, 1);
    assert_string_equal(v.fingerprint, "");
    assert_int_equal(v.finished_ms, 0);
    assert_int_equal(v.failure, FAILURE_NONE);
    struct lease again = lease_of(id);
    assert_true(span_is(again.cursor, "page 2"));
    assert_int_equal(again.next_batch, 1);
    assert_int_equal(again.have, 1);
    assert_int_equal(again.fence, l.fence + 1);
    finish(&again, FAILURE_NONE, "");
    assert_int_equal(view(id).state, JOB_SUCCEEDED);
    assert_int_equal(events_of(id, "job.replayed"), 1);
}

static void
with_reset_the_list_is_read_from_its_beginning_and_nothing_is_lost_or_doubled(void **state)
{
    (void)state;
    const char *id = accept_job();
    struct lease l = lease_of(id);
    struct store_item items[] = {{.kind = ITEM_POST, .id = SPAN("1"), .json = SPAN("{}")},
                                 {.kind = ITEM_POST, .id = SPAN("2"), .json = SPAN("{}")}};
    struct commit_args batch = {.id = span_of(id),
                                .nonce = l.nonce,
                                .items = items,
                                .count = 1,
                                .cursor = SPAN("page 2")};
    struct commit_reply brought;
    struct replay_reply reply;
    begin();
    assert_int_equal(store_commit_batch(w->s, &batch, now(), &brought, &w->f), E_OK);
    commit();
    finish(&l, FAILURE_DRIFT, "no entries");
    assert_int_equal(replay(id, true, &reply), E_OK);
    l = lease_of(id);
    assert_int_equal(l.cursor.n, 0);
    batch = (struct commit_args){
        .id = span_of(id), .nonce = l.nonce, .batch = l.next_batch, .items = items, .count = 2};
    begin();
    assert_int_equal(store_commit_batch(w->s, &batch, now(), &brought, &w->f), E_OK);
    commit();
    assert_int_equal(brought.added, 1);
    assert_int_equal(brought.have, 2);
}

/* The next attempt of the job, whatever it waits for, ends so. */
static enum job_state fail_again(const char *id, enum failure_class failure)
{
    struct reap_reply reaped;
    w->now += 2 * 3600 * 1000;
    begin();
    assert_int_equal(store_reap(w->s, now(), &reaped, &w->f), E_OK);
    commit();
    end_job(id, failure);
    return view(id).state;
}

static void each_coming_back_gives_every_budget_its_full_bound_again(void **state)
{
    (void)state;
    const char *id = accept_job();
    struct replay_reply reply;
    int64_t most = w->limits.throttle_max, throttled = 0;
    for (int64_t generation = 0; generation < 5; generation++) {
        int64_t now_throttled = 1;
        while (fail_again(id, FAILURE_RATE_LIMITED) != JOB_DEAD)
            now_throttled++;
        throttled += now_throttled;
        assert_true(now_throttled >= most);
        assert_true(throttled <= most * (1 + generation));
        assert_int_equal(view(id).generation, generation);
        assert_int_equal(replay(id, false, &reply), E_OK);
    }
    for (int i = 0; i < 4; i++) { /* one failure is all that the limits of this store allow */
        assert_int_equal(fail_again(id, FAILURE_NETWORK), JOB_DEAD);
        assert_int_equal(replay(id, false, &reply), E_OK);
    }
    struct job_view v = view(id);
    assert_int_equal(v.fence,
                     v.n_fail + v.n_crash + v.n_throttle + v.n_release + v.n_ok + v.n_void);
}

static void what_is_live_or_succeeded_does_not_come_back_and_nothing_changes(void **state)
{
    (void)state;
    struct replay_reply reply;
    const char *waiting = accept_job();
    const char *good = accept_job();
    end_job(good, FAILURE_NONE);
    int64_t events = store_last_event(w->s);
    assert_int_equal(replay(waiting, false, &reply), E_CONFLICT);
    assert_non_null(strstr(w->f.words, "ready"));
    assert_int_equal(replay(good, false, &reply), E_CONFLICT);
    assert_non_null(strstr(w->f.words, "succeeded"));
    assert_int_equal(replay(new_id("job"), false, &reply), E_NOT_FOUND);
    assert_int_equal(store_last_event(w->s), events);
    struct cancel_reply cancelled;
    begin();
    assert_int_equal(store_cancel(w->s, &(struct cancel_args){.id = span_of(waiting)}, now(),
                                  &cancelled, &w->f),
                     E_OK);
    commit();
    assert_int_equal(replay(waiting, false, &reply), E_OK);
    assert_false(view(waiting).cancel_asked);
    end_job(waiting, FAILURE_NONE);
    assert_int_equal(view(waiting).state, JOB_SUCCEEDED);
}

static void a_full_queue_takes_nobody_back(void **state)
{
    (void)state;
    struct replay_reply reply;
    const char *id = dead_job(FAILURE_DRIFT, "no entries");
    w->limits.ready_max = 1;
    store_close(&w->s);
    open_store();
    accept_job();
    assert_int_equal(replay(id, false, &reply), E_BUSY);
    assert_int_equal(view(id).state, JOB_DEAD);
}

static const char *accept_args_of(struct accept_args args)
{
    struct accept_reply reply;
    begin();
    assert_int_equal(store_accept(w->s, &args, now(), &reply, &w->f), E_OK);
    commit();
    assert_true(span_is(args.id, reply.id));
    return args.id.p;
}

static void cancel(const char *id)
{
    struct cancel_reply cancelled;
    begin();
    assert_int_equal(
        store_cancel(w->s, &(struct cancel_args){.id = span_of(id)}, now(), &cancelled, &w->f),
        E_OK);
    commit();
}

/* S43: of one key one job is alive, whoever comes back. */
static void a_job_does_not_come_back_while_another_does_its_work(void **state)
{
    (void)state;
    struct replay_reply reply;
    struct accept_args args = job_args(new_id("job"));
    args.unique_key = SPAN("nasa's posts");
    const char *first = accept_args_of(args);
    end_job(first, FAILURE_DRIFT);
    assert_int_equal(view(first).state, JOB_DEAD);

    args.lane = SPAN("other/x/normal"); /* the key of another tenant is another key */
    args.id = span_of(new_id("job"));
    accept_args_of(args);
    assert_int_equal(replay(first, false, &reply), E_OK);
    end_job(first, FAILURE_DRIFT);

    args.lane = SPAN("x/normal");
    args.id = span_of(new_id("job"));
    const char *live = accept_args_of(args);
    int64_t events = store_last_event(w->s);
    assert_int_equal(replay(first, false, &reply), E_CONFLICT);
    assert_non_null(strstr(w->f.words, live));
    struct lease l = lease_of(live);
    assert_int_equal(replay(first, false, &reply), E_CONFLICT);
    assert_non_null(strstr(w->f.words, live));
    assert_true(store_last_event(w->s) > events); /* of the lease; none of a replay */
    assert_int_equal(events_of(first, "job.replayed"), 1);

    args.id = span_of(new_id("job")); /* it waits for the one that runs */
    args.on_conflict = UNIQUE_RUN_AFTER_ACTIVE;
    const char *next = accept_args_of(args);
    assert_int_equal(view(next).state, JOB_BLOCKED);
    assert_int_equal(replay(first, false, &reply), E_CONFLICT);
    finish(&l, FAILURE_NONE, "");
    assert_int_equal(replay(first, false, &reply), E_CONFLICT);
    assert_non_null(strstr(w->f.words, next));
    cancel(next);
    assert_int_equal(replay(first, false, &reply), E_OK);
    assert_int_equal(replay(next, false, &reply), E_CONFLICT);
    assert_non_null(strstr(w->f.words, first));
    assert_int_equal(view(first).generation, 2);
}

/* Who asks for it again does not want it to be over at once. */
static void a_job_that_expired_comes_back_without_its_times(void **state)
{
    (void)state;
    struct replay_reply reply;
    struct reap_reply reaped;
    struct accept_args args = job_args(new_id("job"));
    args.expires_ms = w->now + 1000;
    args.deadline_ms = w->now + 2000;
    const char *id = accept_args_of(args);
    w->now += 3000;
    begin();
    assert_int_equal(store_reap(w->s, now(), &reaped, &w->f), E_OK);
    commit();
    assert_int_equal(view(id).state, JOB_EXPIRED);
    assert_int_equal(replay(id, false, &reply), E_OK);
    assert_int_equal(reply.was, JOB_EXPIRED);
    begin();
    assert_int_equal(store_reap(w->s, now(), &reaped, &w->f), E_OK);
    commit();
    struct job_view v = view(id);
    assert_int_equal(v.state, JOB_READY);
    assert_int_equal(v.expires_ms, 0);
    assert_int_equal(v.deadline_ms, 0);
    w->limits.fail_max = 2;
    store_close(&w->s);
    open_store();
    struct lease l = lease_of(id);
    finish(&l, FAILURE_DRIFT, "no entries");
    assert_int_equal(view(id).state, JOB_DEAD);
}

static void crash_job(const char *id)
{
    struct lease l = lease_of(id);
    struct finish_args args = {
        .id = span_of(id), .nonce = l.nonce, .failure = FAILURE_CRASH, .budget = BUDGET_CRASH};
    struct finish_reply reply;
    begin();
    assert_int_equal(store_started(w->s, span_of(id), l.nonce, &w->f), E_OK);
    assert_int_equal(store_finish(w->s, &args, now(), &reply, &w->f), E_OK);
    commit();
    w->now += 3600 * 1000;
    struct reap_reply reaped;
    begin();
    assert_int_equal(store_reap(w->s, now(), &reaped, &w->f), E_OK);
    commit();
}

static void a_job_in_quarantine_comes_back_there(void **state)
{
    (void)state;
    struct replay_reply reply;
    struct lane_view lane;
    const char *quarantine = "default/x/quarantine";
    w->limits.fail_max = 2;
    store_close(&w->s);
    open_store();
    const char *id = accept_job();
    crash_job(id);
    crash_job(id);
    assert_int_equal(view(id).state, JOB_DEAD);
    assert_true(span_is(view(id).lane, quarantine));
    assert_int_equal(replay(id, false, &reply), E_OK);
    assert_true(span_is(view(id).lane, quarantine));
    assert_int_equal(store_lane(w->s, span_of(quarantine), now(), w->a, &lane, &w->f), E_OK);
    assert_int_equal(lane.ready, 1);
    end_job(id, FAILURE_NONE);
    assert_int_equal(store_lane(w->s, span_of(quarantine), now(), w->a, &lane, &w->f), E_OK);
    assert_int_equal(lane.ready + lane.active, 0);
}

static void bring(const struct lease *l, const char *json)
{
    struct store_item item = {.kind = ITEM_POST, .id = SPAN("1"), .json = span_of(json)};
    struct commit_args batch = {
        .id = span_of(l->id), .nonce = l->nonce, .items = &item, .count = 1};
    struct commit_reply brought;
    begin();
    assert_int_equal(store_commit_batch(w->s, &batch, now(), &brought, &w->f), E_OK);
    commit();
}

/* A job that runs again is no ended job whose records are to be kept within limits. */
static void what_a_job_has_counts_no_more_as_kept_when_it_comes_back(void **state)
{
    (void)state;
    struct replay_reply reply;
    struct retain_args limits = {.bytes = 60};
    struct retain_reply retained;
    const char *small = accept_job();
    struct lease l = lease_of(small);
    bring(&l, "{\"text\":\"0123456789\"}");
    finish(&l, FAILURE_NONE, "");
    const char *large = accept_job();
    l = lease_of(large);
    bring(&l, "{\"text\":\"0123456789012345678901234567890123456789\"}");
    struct cancel_reply cancelled;
    struct cancel_args force = {.id = span_of(large), .force = true};
    begin();
    assert_int_equal(store_cancel(w->s, &force, now(), &cancelled, &w->f), E_OK);
    commit();
    assert_int_equal(replay(large, false, &reply), E_OK);
    begin();
    assert_int_equal(store_retain(w->s, &limits, now(), &retained, &w->f), E_OK);
    commit();
    assert_int_equal(retained.deleted[RETAIN_BYTES], 0);
    end_job(large, FAILURE_NONE);
    begin();
    assert_int_equal(store_retain(w->s, &limits, now(), &retained, &w->f), E_OK);
    commit();
    assert_int_equal(retained.deleted[RETAIN_BYTES], 1);
}

/* Whatever keeps a new job out keeps an old one out as well. */
static void what_takes_no_jobs_takes_nobody_back(void **state)
{
    (void)state;
    struct replay_reply reply;
    const char *id = dead_job(FAILURE_DRIFT, "no entries");
    struct lane_change change = {.name = SPAN("x/normal"),
                                 .act = LANE_ACT_CLOSE,
                                 .by = SPAN("me"),
                                 .why = SPAN("a test")};
    begin();
    assert_int_equal(
        store_mode_set(w->s, MODE_DRAINING, SPAN("me"), SPAN("a test"), now(), &w->f), E_OK);
    commit();
    assert_int_equal(replay(id, false, &reply), E_DRAINING);
    begin();
    assert_int_equal(
        store_mode_set(w->s, MODE_NORMAL, SPAN("me"), SPAN("a test"), now(), &w->f), E_OK);
    assert_int_equal(store_lane_change(w->s, &change, now(), &w->f), E_OK);
    commit();
    assert_int_equal(replay(id, false, &reply), E_CLOSED);
    change.act = LANE_ACT_OPEN;
    begin();
    assert_int_equal(store_lane_change(w->s, &change, now(), &w->f), E_OK);
    commit();
    assert_int_equal(replay(id, false, &reply), E_OK);
}

/* ---- groups ---- */

static size_t groups_of(const struct dead_query *q, struct dead_group **out, bool *out_more)
{
    size_t n = 0;
    struct fault f = {0};
    if (store_dead_groups(w->s, q, w->a, out, &n, out_more, &f))
        fail_msg("store_dead_groups: %s", f.words);
    return n;
}

static void dead_jobs_are_grouped_by_what_they_died_of(void **state)
{
    (void)state;
    struct dead_group *g;
    bool more;
    for (int i = 0; i < 5; i++) {
        char why[64];
        w->now += 1000;
        snprintf(why, sizeof why, "no answer from x.com after %d ms", 9000 + i);
        dead_job(FAILURE_LOGIN_REQUIRED, why);
    }
    w->now += 1000;
    const char *last = dead_job(FAILURE_LOGIN_REQUIRED, "the connection was cut");
    dead_job(FAILURE_INTERNAL, "no 'entries'");
    struct dead_query q = {.filter = {.failure = -1}, .limit = 50};
    assert_int_equal(groups_of(&q, &g, &more), 3);
    assert_false(more);
    int64_t total = 0;
    for (int i = 0; i < 3; i++)
        total += g[i].count;
    assert_int_equal(total, 7);

    q.filter.failure = FAILURE_LOGIN_REQUIRED;
    assert_int_equal(groups_of(&q, &g, &more), 2);
    const struct dead_group *five = g[0].count == 5 ? &g[0] : &g[1];
    assert_int_equal(five->count, 5);
    assert_int_equal(five->first_ms, T0 + 1000);
    assert_int_equal(five->last_ms, T0 + 5000);
    assert_int_equal(five->example_count, 3);
    assert_true(span_is(five->examples[0].why, "no answer from x.com after 9004 ms"));
    assert_true(span_is(five->kind, "posts"));

    q.filter.fingerprint = span_of(view(last).fingerprint);
    assert_int_equal(groups_of(&q, &g, &more), 1);
    assert_string_equal(g[0].examples[0].id, last);
    q.filter =
        (struct dead_filter){.failure = -1, .since_ms = T0 + 3000, .until_ms = T0 + 4000};
    assert_int_equal(groups_of(&q, &g, &more), 1);
    assert_int_equal(g[0].count, 2);
    q.filter = (struct dead_filter){.failure = -1, .kind = SPAN("search")};
    assert_int_equal(groups_of(&q, &g, &more), 0);
    q.filter = (struct dead_filter){.failure = -1, .site = SPAN("y")};
    assert_int_equal(groups_of(&q, &g, &more), 0);
}

static void groups_come_page_by_page_each_once(void **state)
{
    (void)state;
    for (int i = 0; i < 23; i++) {
        char why[64];
        snprintf(why, sizeof why, "trouble of the kind %c", 'a' + i);
        dead_job(i % 2 ? FAILURE_INTERNAL : FAILURE_LOGIN_REQUIRED, why);
    }
    struct dead_query q = {.filter = {.failure = -1}, .limit = 5};
    bool more = true;
    int64_t seen = 0, pages = 0;
    char before[64] = "";
    while (more) {
        struct dead_group *g;
        size_t n = groups_of(&q, &g, &more);
        for (size_t i = 0; i < n; i++) {
            char at[64];
            snprintf(at, sizeof at, "%02d %s", (int)g[i].failure, g[i].fingerprint);
            assert_true(strcmp(at, before) > 0);
            memcpy(before, at, sizeof before);
        }
        seen += (int64_t)n;
        pages++;
        assert_true(n > 0);
        q.after.failure = (int)g[n - 1].failure;
        q.after.site = g[n - 1].site;
        q.after.fingerprint = span_of(g[n - 1].fingerprint);
    }
    assert_int_equal(seen, 23);
    assert_int_equal(pages, 5);
}

/* ---- operations ---- */

static struct operation_view start(const struct operation_args *args)
{
    struct operation_view v = {0};
    begin();
    err e = store_operation_start(w->s, args, now(), w->a, &v, &w->f);
    if (e)
        fail_msg("store_operation_start: %s", w->f.words);
    commit();
    return v;
}

static struct operation_view operation(const char *id)
{
    struct operation_view v;
    struct fault f = {0};
    if (store_operation(w->s, span_of(id), w->a, &v, &f))
        fail_msg("store_operation: %s", f.words);
    return v;
}

static int64_t due(void)
{
    struct outlook o;
    assert_int_equal(store_outlook(w->s, now(), &o, &w->f), E_OK);
    return o.next_ms;
}

/* Straight into the rows: 100 000 jobs by their whole lives would take minutes. */
static void make_dead(int count)
{
    char path[128], sql[1200];
    sqlite3 *db;
    struct lane_change heal = {.name = SPAN("x/normal"), .act = LANE_ACT_BREAKER_RESET};
    for (int i = 1; !w->dir && i < count; i++) {
        dead_job(FAILURE_NETWORK, "no answer from x.com");
        begin();
        assert_int_equal(store_lane_change(w->s, &heal, now(), &w->f), E_OK);
        commit();
    }
    dead_job(FAILURE_NETWORK, "no answer from x.com");
    if (!w->dir)
        return;
    store_close(&w->s);
    snprintf(path, sizeof path, "%s/fulmar.db", w->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    snprintf(
        sql, sizeof sql,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<%d)"
        " INSERT INTO jobs(id,site,tenant,needs,kind,target,lane_id,spec,job_limit,state,prio,rank,run_at,fence,n_fail,"
        "max_fail,max_crash,max_throttle,failure,why,fingerprint,created_at,finished_at)"
        " SELECT printf('job_%%026d',i),site,tenant,needs,kind,target,lane_id,spec,job_limit,state,prio,rank,run_at,fence,"
        "n_fail,max_fail,max_crash,max_throttle,failure,why,fingerprint,created_at,finished_at"
        " FROM jobs,n WHERE seq=1",
        count - 1);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    sqlite3_close(db);
    open_store();
}

/* S79: the work of one step is bounded, a crash in the middle loses and doubles nothing. */
static void a_bulk_replay_goes_on_after_a_crash_and_takes_each_job_once(void **state)
{
    (void)state;
    const char *size = getenv("SCENARIOS");
    const int jobs = size && strcmp(size, "full") == 0 ? 200000 : 5000; /* S79 */
    w->limits.ready_max = 2 * jobs;
    make_dead(jobs);
    const char *id = new_id("opr");
    struct operation_args args = {.id = span_of(id), .filter = {.failure = FAILURE_NETWORK}};
    struct operation_view v = start(&args);
    assert_in_range(v.done, 1, 100); /* a piece, as large as the store's are */
    int64_t steps = 1, before = v.done;
    bool crashed = false;
    while (v.state == OPERATION_RUNNING) {
        w->now = due();
        if (v.done >= jobs / 2 && !crashed) {
            /* A piece that was not committed is done again, by the next process. */
            begin();
            assert_int_equal(store_tend(w->s, now(), &w->f), E_OK);
            crash(true);
            crashed = true;
            assert_int_equal(operation(id).done, v.done);
        }
        tend();
        v = operation(id);
        assert_true(v.done - before <= 100);
        before = v.done;
        steps++;
        assert_true(steps < jobs);
    }
    assert_int_equal(v.done, jobs);
    assert_int_equal(v.skipped, 0);
    assert_int_equal(jobs_in(JOB_READY), jobs);
    assert_int_equal(events_of(NULL, "job.replayed"), jobs);
    struct job_view *page;
    size_t count, pages = 0;
    struct jobs_query q = {.state = -1, .limit = 500};
    do { /* once each */
        assert_int_equal(store_jobs(w->s, &q, now(), w->a, &page, &count, &w->f), E_OK);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(page[i].generation, 1);
        q.after = count ? span_of(page[count - 1].id) : q.after;
    } while (count == q.limit && ++pages < 20);
}

static void a_rate_is_kept_at_every_moment_and_nothing_is_caught_up_after_a_pause(void **state)
{
    (void)state;
    enum { RATE = 60 };
    make_dead(400);
    const char *id = new_id("opr");
    struct operation_args args = {
        .id = span_of(id), .filter = {.failure = -1}, .per_minute = RATE};
    int64_t began = w->now;
    struct operation_view v = start(&args);
    assert_int_equal(v.done, 1);
    while (w->now < began + 60000) {
        w->now = due();
        tend();
        v = operation(id);
        assert_true(v.done <= 2 + (w->now - began) * RATE / 60000);
    }
    assert_true(v.done >= RATE - 1);
    /* The machine sleeps for an hour: it does not bring back an hour's worth at once. */
    w->now += 3600 * 1000;
    int64_t before = v.done;
    tend();
    assert_true(operation(id).done <= before + 2);
}

static void a_job_that_dies_again_is_not_taken_twice(void **state)
{
    (void)state;
    const char *first = dead_job(FAILURE_NETWORK, "no answer");
    const char *second = dead_job(FAILURE_NETWORK, "no answer");
    const char *alive = accept_job(); /* it dies when the operation has begun: not its matter */
    const char *id = new_id("opr");
    struct operation_args args = {
        .id = span_of(id), .filter = {.failure = -1}, .per_minute = 1};
    assert_int_equal(start(&args).done, 1);
    w->now += 1;
    end_job(alive, FAILURE_NETWORK);
    end_job(first, FAILURE_NETWORK);
    const char *later = dead_job(FAILURE_NETWORK, "no answer");
    for (int i = 0; i < 5; i++) {
        w->now += 61000;
        tend();
    }
    struct operation_view v = operation(id);
    assert_int_equal(v.state, OPERATION_DONE);
    assert_int_equal(v.done, 2);
    assert_int_equal(view(first).generation, 1);
    assert_int_equal(view(second).generation, 1);
    assert_int_equal(view(alive).generation, 0);
    assert_int_equal(view(later).generation, 0);
    assert_int_equal(events_of(id, "operation.done"), 1);
}

static void an_operation_can_be_cancelled_and_what_is_done_stays(void **state)
{
    (void)state;
    make_dead(300);
    const char *id = new_id("opr");
    struct operation_args args = {.id = span_of(id), .filter = {.failure = -1}};
    int64_t done = start(&args).done;
    assert_in_range(done, 1, 100);
    for (int i = 0; i < 2; i++) { /* twice is fine */
        begin();
        assert_int_equal(store_operation_cancel(w->s, span_of(id), now(), &w->f), E_OK);
        commit();
    }
    w->now += 60000;
    tend();
    assert_int_equal(operation(id).state, OPERATION_STOPPED);
    assert_int_equal(operation(id).done, done);
    assert_int_equal(jobs_in(JOB_DEAD), 300 - done);
    assert_int_equal(due(), INT64_MAX);
    begin();
    assert_int_equal(store_operation_cancel(w->s, SPAN("opr_x"), now(), &w->f), E_NOT_FOUND);
    commit();
}

static void only_what_the_filter_names_is_touched(void **state)
{
    (void)state;
    const char *drifted = dead_job(FAILURE_DRIFT, "no entries");
    const char *cut = dead_job(FAILURE_NETWORK, "cut");
    const char *gone = dead_job(FAILURE_NETWORK, "gone away");
    const char *id = new_id("opr");
    struct operation_args args = {.id = span_of(id),
                                  .filter = {.failure = FAILURE_NETWORK,
                                             .fingerprint = span_of(view(cut).fingerprint),
                                             .kind = SPAN("posts")}};
    struct operation_view v = start(&args);
    assert_int_equal(v.state, OPERATION_DONE);
    assert_int_equal(v.done, 1);
    assert_int_equal(view(cut).state, JOB_READY);
    assert_int_equal(view(gone).state, JOB_DEAD);
    assert_int_equal(view(drifted).state, JOB_DEAD);
    args = (struct operation_args){.id = SPAN("opr_nonsense"), .filter = {.failure = -1}};
    begin();
    assert_int_equal(store_operation_start(w->s, &args, now(), w->a, &v, &w->f), E_BAD_INPUT);
    commit();
}

static void a_full_queue_makes_an_operation_wait_and_it_goes_on(void **state)
{
    (void)state;
    make_dead(10);
    w->limits.ready_max = 4;
    store_close(&w->s);
    open_store();
    const char *id = new_id("opr");
    struct operation_args args = {.id = span_of(id), .filter = {.failure = -1}};
    struct operation_view v = start(&args);
    assert_int_equal(v.done, 4);
    assert_int_equal(v.state, OPERATION_RUNNING);
    assert_int_equal(due(), w->now + 5000);
    struct lease l;
    for (int i = 0; i < 10 && v.state == OPERATION_RUNNING; i++) {
        while (reserve(&l))
            finish(&l, FAILURE_NONE, "");
        w->now += 5000;
        tend();
        v = operation(id);
    }
    assert_int_equal(v.state, OPERATION_DONE);
    assert_int_equal(v.done, 10);
    assert_int_equal(v.skipped, 0);
}

static void dead_jobs_are_deleted_by_a_filter_or_one_by_one(void **state)
{
    (void)state;
    const char *one = dead_job(FAILURE_DRIFT, "no entries");
    const char *other = dead_job(FAILURE_DRIFT, "no entries");
    const char *good = accept_job();
    end_job(good, FAILURE_NONE);
    struct operation_args args = {.id = span_of(new_id("opr")),
                                  .kind = OPERATION_DELETE,
                                  .filter = {.failure = -1},
                                  .job = span_of(one)};
    assert_int_equal(start(&args).done, 1);
    assert_int_equal(jobs_in(-1), 2);
    struct operation_view v;
    args.id = span_of(new_id("opr"));
    args.job = span_of(good);
    begin();
    assert_int_equal(store_operation_start(w->s, &args, now(), w->a, &v, &w->f), E_NOT_FOUND);
    commit();
    args.job = SPAN_NONE;
    assert_int_equal(start(&args).done, 1);
    assert_int_equal(jobs_in(JOB_SUCCEEDED), 1);
    assert_int_equal(jobs_in(-1), 1);
    struct outlook o;
    assert_int_equal(store_outlook(w->s, now(), &o, &w->f), E_OK);
    assert_int_equal(o.by_state[JOB_DEAD], 0);
    (void)other;
}

static void operations_that_ended_long_ago_are_forgotten(void **state)
{
    (void)state;
    bool more;
    dead_job(FAILURE_DRIFT, "no entries");
    struct operation_args args = {.id = span_of(new_id("opr")), .filter = {.failure = -1}};
    start(&args);
    begin();
    assert_int_equal(store_retain_batches(w->s, (wall){w->now}, &more, &w->f), E_OK);
    commit();
    assert_int_equal(operation(args.id.p).state, OPERATION_DONE);
    assert_int_equal(events_of(args.id.p, "operation.done"), 1);
    begin();
    assert_int_equal(store_retain_batches(w->s, (wall){w->now + 1}, &more, &w->f), E_OK);
    commit();
    assert_int_equal(store_operation(w->s, args.id, w->a, &(struct operation_view){0}, &w->f),
                     E_NOT_FOUND);
    assert_int_equal(events_of(args.id.p, "operation.done"), 0);
    assert_false(more);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static const struct CMUnitTest tests[] = {
    T(a_dead_job_comes_back_with_its_id_records_and_cursor),
    T(with_reset_the_list_is_read_from_its_beginning_and_nothing_is_lost_or_doubled),
    T(each_coming_back_gives_every_budget_its_full_bound_again),
    T(what_is_live_or_succeeded_does_not_come_back_and_nothing_changes),
    T(a_full_queue_takes_nobody_back),
    T(a_job_does_not_come_back_while_another_does_its_work),
    T(a_job_that_expired_comes_back_without_its_times),
    T(a_job_in_quarantine_comes_back_there),
    T(what_a_job_has_counts_no_more_as_kept_when_it_comes_back),
    T(what_takes_no_jobs_takes_nobody_back),
    T(dead_jobs_are_grouped_by_what_they_died_of),
    T(groups_come_page_by_page_each_once),
    T(a_bulk_replay_goes_on_after_a_crash_and_takes_each_job_once),
    T(a_rate_is_kept_at_every_moment_and_nothing_is_caught_up_after_a_pause),
    T(a_job_that_dies_again_is_not_taken_twice),
    T(an_operation_can_be_cancelled_and_what_is_done_stays),
    T(only_what_the_filter_names_is_touched),
    T(a_full_queue_makes_an_operation_wait_and_it_goes_on),
    T(dead_jobs_are_deleted_by_a_filter_or_one_by_one),
    T(operations_that_ended_long_ago_are_forgotten),
};
RUN_ON_ALL_STORES(tests)
