/* The promises of store.h, one test each. A second, read-only connection looks at the rows. */
#include "../lib/world.h"
#include "core/lane.h"
#include "store/lanes.h"
#include "store/sqlite/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void reopen(void)
{
    store_close(&w->s);
    open_store();
}

static int set_up(void **state)
{
    struct store_limits limits = world_limits();
    limits.retry_floor = 1000000;
    return world_open(state, limits);
}

static int tear_down_disk(void **state)
{
    (void)umount2(w->dir, MNT_DETACH); /* of a test that failed on its small disk */
    return tear_down(state);
}

static struct accept_args job_args(const char *id)
{
    return (struct accept_args){
        .id = span_of(id),
        .site = SPAN("x"),
        .kind = SPAN("posts"),
        .target = SPAN("nasa"),
        .lane = SPAN("x/normal"),
        .spec = SPAN("{}"),
        .prio = 5,
    };
}

static err accept_args(const struct accept_args *args, struct accept_reply *out)
{
    begin();
    err e = store_accept(w->s, args, now(), out, &w->f);
    commit();
    return e;
}

static void accept_job(const char *id)
{
    struct accept_reply reply;
    struct accept_args args = job_args(id);
    assert_int_equal(accept_args(&args, &reply), E_OK);
    assert_string_equal(reply.id, id);
    assert_false(reply.replayed);
}

static err reserve(struct lease *out)
{
    begin();
    err e = store_reserve(w->s,
                          &(struct reserve_args){
                              .worker = SPAN("w1"), .random = ++w->nonces, .needs = NEEDS_PAGE},
                          now(), w->a, out, &w->f);
    commit();
    return e;
}

static struct lease lease_next(void)
{
    struct lease l;
    assert_int_equal(reserve(&l), E_OK);
    return l;
}

static err started(const char *id, uint64_t nonce)
{
    begin();
    err e = store_started(w->s, span_of(id), nonce, &w->f);
    commit();
    return e;
}

static err heartbeat(const char *id, uint64_t nonce, bool *out_cancel)
{
    struct heartbeat_reply reply = {0};
    begin();
    err e = store_heartbeat(w->s, span_of(id), nonce, now(), &reply, &w->f);
    commit();
    if (out_cancel)
        *out_cancel = reply.cancel;
    return e;
}

static err finish_args(const struct finish_args *args, struct finish_reply *out)
{
    begin();
    err e = store_finish(w->s, args, now(), out, &w->f);
    commit();
    return e;
}

static struct finish_reply finish(const struct lease *l, enum failure_class failure)
{
    struct finish_reply reply;
    struct finish_args args = {.id = span_of(l->id), .nonce = l->nonce, .failure = failure};
    if (failure == FAILURE_NONE) {
        args.verdict = VERDICT_COMPLETE;
        args.end = END_TERMINATE;
    }
    assert_int_equal(finish_args(&args, &reply), E_OK);
    return reply;
}

static err cancel(const char *id, struct cancel_reply *out)
{
    begin();
    err e = store_cancel(w->s, &(struct cancel_args){.id = span_of(id)}, now(), out, &w->f);
    commit();
    return e;
}

static struct reap_reply reap(void)
{
    struct reap_reply reply;
    begin();
    assert_int_equal(store_reap(w->s, now(), &reply, &w->f), E_OK);
    commit();
    return reply;
}

/* All that ended before; how many. */
static int64_t retain_before(int64_t before_ms, bool *out_more)
{
    struct retain_args args = {.age_ms = 1, .dead_age_ms = 1};
    struct retain_reply r;
    begin();
    assert_int_equal(store_retain(w->s, &args, (wall){before_ms + 1}, &r, &w->f), E_OK);
    commit();
    if (out_more)
        *out_more = r.more;
    return r.deleted[RETAIN_AGE] + r.deleted[RETAIN_DEAD_AGE];
}

static struct job_view view(const char *id)
{
    struct job_view v;
    struct fault f = {0};
    err e = store_job(w->s, span_of(id), now(), w->a, &v, &f);
    if (e)
        fail_msg("store_job %s: %s", id, f.words);
    return v;
}

static struct outlook outlook(void)
{
    struct outlook o;
    assert_int_equal(store_outlook(w->s, now(), &o, &w->f), E_OK);
    return o;
}

/* Records first..first+count−1 of one kind as one batch. */
static err commit_kind(enum item_kind kind, const struct lease *l, int64_t batch, int first,
                       int count, const char *cursor, int64_t limit, struct commit_reply *out)
{
    static struct store_item items[256];
    static char ids[256][24], texts[256][48];
    assert_true(count <= 256);
    for (int i = 0; i < count; i++) {
        snprintf(ids[i], sizeof ids[i], "%d", first + i);
        snprintf(texts[i], sizeof texts[i], "{\"id\":\"%d\",\"batch\":%lld}", first + i,
                 (long long)batch);
        items[i] =
            (struct store_item){.kind = kind, .id = span_of(ids[i]), .json = span_of(texts[i])};
    }
    struct commit_args args = {.id = span_of(l->id),
                               .nonce = l->nonce,
                               .batch = batch,
                               .items = items,
                               .count = (size_t)count,
                               .cursor = span_of(cursor),
                               .limit = limit};
    begin();
    err e = store_commit_batch(w->s, &args, now(), out, &w->f);
    commit();
    return e;
}

static err commit_posts(const struct lease *l, int64_t batch, int first, int count,
                        const char *cursor, int64_t limit, struct commit_reply *out)
{
    return commit_kind(ITEM_POST, l, batch, first, count, cursor, limit, out);
}

/* ---- the rows, seen from outside ---- */

static uint64_t mix_rows(sqlite3 *db, const char *sql, uint64_t h)
{
    sqlite3_stmt *q;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
    while (sqlite3_step(q) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(q); i++) {
            const char *p = (const char *)sqlite3_column_text(q, i);
            h = span_hash(p ? span_of(p) : SPAN("~"), h + 1);
        }
    }
    sqlite3_finalize(q);
    return h;
}

/* One number for the whole content. */
static uint64_t content(void)
{
    sqlite3 *db = look();
    uint64_t h = mix_rows(db, "SELECT * FROM jobs ORDER BY seq", 1);
    h = mix_rows(db, "SELECT * FROM lanes ORDER BY lane_id", h);
    h = mix_rows(db, "SELECT * FROM items ORDER BY iid", h);
    h = mix_rows(db, "SELECT * FROM job_items ORDER BY job,ord", h);
    h = mix_rows(db, "SELECT * FROM events ORDER BY seq", h);
    h = mix_rows(db, "SELECT * FROM marks ORDER BY mid", h);
    sqlite3_close(db);
    return h;
}

/* Invariants of queue.md §15 that rows can show. Each query counts offenders. */
static const char *const offenders[] = {
    /* I2: one state and what belongs to it */
    "SELECT count(*) FROM jobs WHERE (state=3)<>(lease_until IS NOT NULL) OR (state=3)<>(nonce "
    "IS NOT NULL)"
    " OR (state=3)<>(worker IS NOT NULL) OR (state>=4)<>(finished_at IS NOT NULL)",
    /* I3: a nonce leads to one lease */
    "SELECT count(*)-count(DISTINCT nonce) FROM jobs WHERE state=3",
    /* I6: every lease is accounted for */
    "SELECT count(*) FROM jobs WHERE "
    "fence<>n_fail+n_crash+n_throttle+n_release+n_ok+n_void+(state=3)",
    /* I7: budgets */
    "SELECT count(*) FROM jobs WHERE n_fail-fail_base>max_fail OR n_crash-crash_base>max_crash OR "
    "n_throttle>max_throttle",
    "SELECT count(*) FROM jobs WHERE state<4 AND (n_fail-fail_base>=max_fail OR "
    "n_crash-crash_base>=max_crash OR n_fail-fail_base+n_crash-crash_base>=max_fail"
    " OR n_throttle>=max_throttle)",
    /* I8: at most one success, and a verdict with it only */
    "SELECT count(*) FROM jobs WHERE (n_ok=1)<>(state=4) OR (verdict<>0)<>(state=4)",
    /* I9: have is what is linked; within the limit; links are counted; batches fit */
    "SELECT count(*) FROM jobs j WHERE have<>(SELECT count(*) FROM job_items k JOIN items i "
    "USING(iid)"
    " WHERE k.job=j.seq AND i.kind=j.counts)",
    "SELECT count(*) FROM jobs j WHERE users<>(SELECT count(*) FROM job_items k JOIN items i "
    "USING(iid) WHERE k.job=j.seq AND i.kind=1)",
    "SELECT count(*) FROM jobs WHERE job_limit>0 AND have>job_limit",
    "SELECT count(*) FROM items i WHERE links<>(SELECT count(*) FROM job_items k WHERE "
    "k.iid=i.iid) OR links=0",
    "SELECT count(*) FROM job_items k JOIN jobs j ON j.seq=k.job WHERE "
    "k.ord>=j.next_batch*100000",
    "SELECT count(*) FROM jobs j WHERE next_batch<>(SELECT count(*) FROM events e WHERE "
    "e.job=j.id AND e.kind='job.progress')",
    /* I23: the last event of a job says its state */
    "SELECT count(*) FROM jobs j WHERE state IN (3,4,5,6) AND json_extract((SELECT body FROM "
    "events e WHERE e.job=j.id"
    " ORDER BY seq DESC LIMIT 1),'$.state')<>CASE state WHEN 3 THEN 'active' WHEN 4 THEN "
    "'succeeded' WHEN 5 THEN 'dead'"
    " ELSE 'cancelled' END",
    "SELECT count(*) FROM events WHERE json_valid(body)=0",
    "SELECT (SELECT count(*) FROM events WHERE kind='job.started')-(SELECT sum(fence) FROM "
    "jobs)",
};

static void check_invariants(void)
{
    sqlite3 *db = look();
    for (size_t i = 0; i < sizeof offenders / sizeof offenders[0]; i++) {
        int64_t n = number(db, offenders[i]);
        if (n != 0)
            fail_msg("%lld rows: %s", (long long)n, offenders[i]);
    }
    struct outlook o = outlook();
    for (int st = 0; st < JOB_STATES; st++) {
        char sql[80];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM jobs WHERE state=%d", st);
        assert_int_equal(number(db, sql), o.by_state[st]);
    }
    sqlite3_close(db);
}

/* ---- accept ---- */

static void in_child(void (*work)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        work();
        kill(getpid(), SIGKILL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void open_in_child(void)
{
    if (store_open(&w->s, w->dir, &w->limits, 7, now(), &w->f))
        _exit(2);
}

static void accept_three_and_one_more(void)
{
    struct accept_reply reply;
    const char *ids[] = {"job_a", "job_b", "job_c"};
    open_in_child();
    if (store_begin(w->s, &w->f))
        _exit(3);
    for (int i = 0; i < 3; i++) {
        struct accept_args args = job_args(ids[i]);
        if (store_accept(w->s, &args, now(), &reply, &w->f))
            _exit(4);
    }
    struct accept_args args = job_args("job_d");
    if (store_commit(w->s, &w->f) || store_begin(w->s, &w->f) ||
        store_accept(w->s, &args, now(), &reply, &w->f))
        _exit(5);
}

static void an_accepted_job_survives_a_kill_and_an_uncommitted_one_does_not(void **state)
{
    (void)state;
    store_close(&w->s);
    in_child(accept_three_and_one_more);
    open_store();
    assert_int_equal(view("job_a").state, JOB_READY);
    assert_int_equal(view("job_b").state, JOB_READY);
    assert_int_equal(view("job_c").state, JOB_READY);
    struct job_view v;
    assert_int_equal(store_job(w->s, SPAN("job_d"), now(), w->a, &v, &w->f), E_NOT_FOUND);
    check_invariants();
}

static void same_key_gives_the_same_job_and_another_body_is_refused(void **state)
{
    (void)state;
    struct accept_reply reply;
    struct accept_args args = job_args("job_1");
    args.idempotency_key = SPAN("k1");
    args.request_hash = UINT64_MAX - 5;
    assert_int_equal(accept_args(&args, &reply), E_OK);
    uint64_t before = content();
    args.id = SPAN("job_2");
    assert_int_equal(accept_args(&args, &reply), E_OK);
    assert_string_equal(reply.id, "job_1");
    assert_true(reply.replayed);
    args.request_hash = 12;
    assert_int_equal(accept_args(&args, &reply), E_BAD_INPUT);
    assert_true(content() == before);
    /* It lives on after the job's end and a restart. */
    struct lease l = lease_next();
    finish(&l, FAILURE_NONE);
    reopen();
    args.request_hash = UINT64_MAX - 5;
    assert_int_equal(accept_args(&args, &reply), E_OK);
    assert_string_equal(reply.id, "job_1");
}

static void a_refused_accept_leaves_no_trace(void **state)
{
    (void)state;
    struct accept_reply reply;
    accept_job("job_1");
    uint64_t before = content();
    struct accept_args args = job_args("job_1");
    args.lane = SPAN("y/normal");
    assert_int_equal(accept_args(&args, &reply), E_CONFLICT);
    args = job_args("");
    assert_int_equal(accept_args(&args, &reply), E_BAD_INPUT);
    args = job_args("job_2");
    args.prio = 10;
    assert_int_equal(accept_args(&args, &reply), E_BAD_INPUT);
    args = job_args("job_2");
    args.lane = SPAN("");
    assert_int_equal(accept_args(&args, &reply), E_BAD_INPUT);
    w->limits.ready_max = 1;
    reopen();
    args = job_args("job_2");
    assert_int_equal(accept_args(&args, &reply), E_BUSY);
    assert_true(w->f.wait_ms > 0);
    assert_true(content() == before);
    w->limits.ready_max = 10;
    w->limits.disk_floor_bytes = INT64_MAX;
    reopen();
    assert_int_equal(accept_args(&args, &reply), E_DISK_FULL);
    assert_true(content() == before);
}

/* ---- reserve ---- */

static void a_lease_carries_all_the_worker_needs(void **state)
{
    (void)state;
    struct accept_reply reply;
    struct accept_args args = job_args("job_1");
    args.limit = 40;
    args.spec = SPAN("{\"since\":\"2026-01-01\"}");
    assert_int_equal(accept_args(&args, &reply), E_OK);
    w->now += 250;
    struct lease l = lease_next();
    assert_string_equal(l.id, "job_1");
    assert_true(span_is(l.site, "x") && span_is(l.kind, "posts") && span_is(l.target, "nasa"));
    assert_true(span_is(l.spec, "{\"since\":\"2026-01-01\"}") && l.cursor.n == 0);
    assert_int_equal(l.limit, 40);
    assert_int_equal(l.fence, 1);
    assert_int_equal(l.attempt, 1);
    assert_int_equal(l.waited_ms, 250);
    struct lease none;
    assert_int_equal(reserve(&none), E_END);
    assert_int_equal(view("job_1").started_ms, T0 + 250);
}

static void higher_priority_first_then_first_come_first_served(void **state)
{
    (void)state;
    struct accept_reply reply;
    const struct {
        const char *id;
        int prio;
    } jobs[] = {{"job_a", 5}, {"job_b", 5}, {"job_c", 9}, {"job_d", 0}, {"job_e", 9}};
    for (int i = 0; i < 5; i++) {
        struct accept_args args = job_args(jobs[i].id);
        args.prio = jobs[i].prio;
        assert_int_equal(accept_args(&args, &reply), E_OK);
    }
    const char *order[] = {"job_c", "job_e", "job_a", "job_b", "job_d"};
    for (int i = 0; i < 5; i++)
        assert_string_equal(lease_next().id, order[i]);
}

static void lanes_share_by_weight_and_a_blocked_lane_blocks_no_other(void **state)
{
    (void)state;
    struct accept_reply reply;
    const char *lanes[] = {"x/interactive", "x/normal", "x/bulk"};
    for (int i = 0; i < 300; i++) {
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%03d", i);
        struct accept_args args = job_args(id);
        args.lane = span_of(lanes[i % 3]);
        args.kind = span_of(lanes[i % 3]);
        assert_int_equal(accept_args(&args, &reply), E_OK);
    }
    int n[3] = {0};
    for (int i = 0; i < 96; i++) {
        struct lease l = lease_next();
        for (int k = 0; k < 3; k++)
            n[k] += span_is(l.kind, lanes[k]);
        finish(&l, FAILURE_NONE);
    }
    /* 8:3:1 within one round */
    assert_in_range(n[0], 63, 65);
    assert_in_range(n[1], 23, 25);
    assert_in_range(n[2], 7, 9);
    struct lease l = lease_next();
    struct finish_args args = {.id = span_of(l.id),
                               .nonce = l.nonce,
                               .failure = FAILURE_RATE_LIMITED,
                               .wait_ms = 60000};
    struct finish_reply done;
    assert_int_equal(finish_args(&args, &done), E_OK);
    for (int i = 0; i < 20; i++) {
        struct lease other = lease_next();
        assert_false(span_eq(other.kind, l.kind));
        finish(&other, FAILURE_NONE);
    }
}

static void a_lane_never_runs_more_than_max_active(void **state)
{
    (void)state;
    struct lease l, other;
    w->limits.lane_max_active = 2;
    reopen();
    for (int i = 0; i < 4; i++) {
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%d", i);
        accept_job(id);
    }
    assert_int_equal(outlook().startable, 2);
    l = lease_next();
    lease_next();
    assert_int_equal(reserve(&other), E_END);
    assert_int_equal(outlook().startable, 0);
    finish(&l, FAILURE_NONE);
    assert_int_equal(outlook().startable, 1);
    lease_next();
    assert_int_equal(reserve(&other), E_END);
}

static void starts_of_a_lane_keep_their_distance(void **state)
{
    (void)state;
    struct lease l;
    w->limits.lane_emit_ms = 1000;
    w->limits.lane_burst = 2;
    reopen();
    for (int i = 0; i < 8; i++) {
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%d", i);
        accept_job(id);
    }
    assert_int_equal(outlook().startable, 2);
    lease_next();
    lease_next();
    assert_int_equal(reserve(&l), E_END);
    struct outlook o = outlook();
    assert_int_equal(o.startable, 0);
    assert_int_equal(o.next_ms, T0 + 1000);
    w->now = T0 + 999;
    assert_int_equal(reserve(&l), E_END);
    w->now = T0 + 1000;
    assert_int_equal(outlook().startable, 1);
    lease_next();
    assert_int_equal(reserve(&l), E_END);
}

static void the_breaker_opens_and_probes(void **state)
{
    (void)state;
    struct lease l, other;
    for (int i = 0; i < 9; i++) {
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%d", i);
        accept_job(id);
    }
    for (int i = 0; i < 5; i++) {
        l = lease_next();
        finish(&l, FAILURE_DRIFT);
    }
    assert_int_equal(reserve(&l), E_END);
    assert_int_equal(outlook().startable, 0);
    assert_int_equal(outlook().next_ms, T0 + 10000);
    w->now += 10000;
    assert_int_equal(outlook().startable, 1);
    reopen(); /* the breaker is remembered */
    l = lease_next();
    assert_int_equal(reserve(&other), E_END);
    struct finish_args args = {.id = span_of(l.id), .nonce = l.nonce, .budget = BUDGET_RELEASE};
    struct finish_reply reply;
    assert_int_equal(finish_args(&args, &reply), E_OK);
    l = lease_next(); /* a probe without a verdict is armed again */
    finish(&l, FAILURE_SUSPENDED);
    assert_int_equal(outlook().startable, 3);
}

/* ---- leases ---- */

static void a_stale_lease_changes_nothing(void **state)
{
    (void)state;
    struct commit_reply committed;
    struct finish_reply done;
    accept_job("job_1");
    accept_job("job_2");
    struct lease l = lease_next();
    struct finish_args back = {.id = span_of(l.id), .nonce = l.nonce, .budget = BUDGET_RELEASE};
    assert_int_equal(finish_args(&back, &done), E_OK);
    struct lease l2 = lease_next();
    assert_string_equal(l2.id, l.id);
    assert_int_equal(l2.fence, l.fence + 1);
    uint64_t before = content();
    const uint64_t wrong[] = {l.nonce, 0, l2.nonce + 1};
    const char *const ids[] = {"job_1", "job_2",
                               "job_3"}; /* leased by another, never leased, not there */
    for (int i = 0; i < 9; i++) {
        struct lease bad = {.nonce = wrong[i % 3]};
        snprintf(bad.id, sizeof bad.id, "%s", ids[i / 3]);
        struct finish_args args = {
            .id = span_of(bad.id), .nonce = bad.nonce, .verdict = VERDICT_COMPLETE};
        assert_int_equal(started(bad.id, bad.nonce), E_STALE);
        assert_int_equal(heartbeat(bad.id, bad.nonce, NULL), E_STALE);
        assert_int_equal(commit_posts(&bad, 0, 1, 3, "c", 0, &committed), E_STALE);
        assert_int_equal(finish_args(&args, &done), E_STALE);
    }
    assert_true(content() == before);
    assert_int_equal(started(l2.id, l2.nonce), E_OK);
    finish(&l2, FAILURE_NONE);
    before = content();
    struct finish_args again = {.id = span_of(l2.id), .nonce = l2.nonce};
    assert_int_equal(finish_args(&again, &done), E_STALE);
    assert_true(content() == before);
}

static void the_reaper_passes_twice(void **state)
{
    (void)state;
    accept_job("job_1");
    struct lease l = lease_next();
    assert_int_equal(started(l.id, l.nonce), E_OK);
    assert_int_equal(outlook().next_ms, T0 + 15000);
    w->now += 14999;
    assert_int_equal(reap().suspected, 0);
    w->now += 1;
    struct reap_reply r = reap();
    assert_int_equal(r.suspected, 1);
    assert_int_equal(r.reaped, 0);
    assert_int_equal(heartbeat(l.id, l.nonce, NULL), E_OK); /* late, but alive */
    w->now += 14999;
    assert_int_equal(reap().suspected, 0);
    w->now += 1;
    assert_int_equal(reap().suspected, 1);
    w->now += 5000;
    assert_int_equal(reap().reaped, 1);
    struct job_view v = view("job_1");
    assert_int_equal(v.state, JOB_READY); /* the first crash costs no time */
    assert_int_equal(v.n_crash, 1);
    assert_int_equal(v.failure, FAILURE_CRASH);
    assert_int_equal(heartbeat(l.id, l.nonce, NULL), E_STALE);
    l = lease_next();
    assert_int_equal(started(l.id, l.nonce), E_OK);
    for (int i = 0; i < 8 && view("job_1").state == JOB_ACTIVE; i++) {
        w->now += 15000;
        reap();
    }
    v = view("job_1");
    assert_int_equal(v.state, JOB_DEAD); /* the second crash was the last one allowed */
    assert_int_equal(v.n_crash, 2);
    check_invariants();
}

static void a_start_that_was_never_confirmed_is_no_crash(void **state)
{
    (void)state;
    accept_job("job_1");
    lease_next();
    w->now += 15000;
    reap();
    w->now += 5000;
    assert_int_equal(reap().reaped, 1);
    struct job_view v = view("job_1");
    assert_int_equal(v.state, JOB_READY);
    assert_int_equal(v.n_release, 1);
    assert_int_equal(v.n_crash, 0);
}

static void after_a_long_sleep_leases_get_one_more_period(void **state)
{
    (void)state;
    accept_job("job_1");
    struct lease l = lease_next();
    w->now += 3600000;
    struct reap_reply r = reap();
    assert_int_equal(r.suspected + r.reaped, 0);
    assert_int_equal(heartbeat(l.id, l.nonce, NULL), E_OK);
    assert_int_equal(view("job_1").state, JOB_ACTIVE);
}

static void a_restart_releases_what_ran_and_keeps_its_place(void **state)
{
    (void)state;
    struct commit_reply c;
    accept_job("job_1");
    accept_job("job_2");
    accept_job("job_3");
    struct lease l = lease_next();
    lease_next();
    assert_int_equal(started(l.id, l.nonce), E_OK);
    assert_int_equal(commit_posts(&l, 0, 100, 5, "page2", 0, &c), E_OK);
    struct cancel_reply cancelled;
    assert_int_equal(cancel("job_2", &cancelled), E_OK);
    assert_true(cancelled.active);
    w->now += 10;
    reopen();
    struct job_view v = view("job_1");
    assert_int_equal(v.state, JOB_READY);
    assert_int_equal(v.n_release, 1);
    assert_int_equal(v.n_crash, 0);
    assert_int_equal(view("job_2").state, JOB_CANCELLED);
    struct lease again = lease_next();
    assert_string_equal(again.id, "job_1"); /* in front of job_3 */
    assert_true(span_is(again.cursor, "page2"));
    assert_int_equal(again.next_batch, 1);
    assert_int_equal(again.have, 5);
    assert_int_equal(heartbeat(l.id, l.nonce, NULL), E_STALE);
    check_invariants();
}

/* ---- commit ---- */

static void batches_are_dense_and_a_repeated_one_writes_nothing(void **state)
{
    (void)state;
    struct commit_reply c;
    accept_job("job_1");
    struct lease l = lease_next();
    assert_int_equal(commit_posts(&l, 1, 1, 3, "c1", 0, &c), E_CONFLICT);
    assert_int_equal(commit_posts(&l, 0, 1, 3, "c1", 0, &c), E_OK);
    assert_int_equal(c.added, 3);
    assert_int_equal(c.have, 3);
    uint64_t before = content();
    assert_int_equal(commit_posts(&l, 0, 50, 3, "c9", 0, &c), E_OK);
    assert_true(c.duplicate);
    assert_int_equal(c.have, 3);
    assert_int_equal(commit_posts(&l, 2, 1, 3, "c9", 0, &c), E_CONFLICT);
    assert_int_equal(commit_posts(&l, -1, 1, 3, "c9", 0, &c), E_CONFLICT);
    assert_true(content() == before);
    assert_int_equal(commit_posts(&l, 1, 2, 3, "", 0, &c), E_OK); /* 2 and 3 again, 4 is new */
    assert_int_equal(c.added, 1);
    assert_int_equal(c.have, 4);
    assert_true(span_is(view("job_1").cursor, "c1")); /* an empty cursor keeps the old one */
    check_invariants();
}

static void first_text_of(const char *job, char out[64])
{
    struct item_view *items;
    size_t count;
    assert_int_equal(
        store_items(w->s, span_of(job), ITEM_POST, -1, 1, 1 << 20, w->a, &items, &count, &w->f),
        E_OK);
    assert_int_equal(count, 1);
    span_copy(items[0].json, out, 64);
}

static void the_first_reading_of_a_post_stands_and_other_jobs_do_not_change_it(void **state)
{
    (void)state;
    struct commit_reply c;
    char text[64];
    accept_job("job_1");
    struct lease l = lease_next();
    assert_int_equal(commit_posts(&l, 0, 1, 2, "c1", 0, &c), E_OK);
    assert_int_equal(commit_posts(&l, 1, 1, 2, "c2", 0, &c), E_OK); /* the same posts again */
    assert_int_equal(c.added, 0);
    accept_job("job_2");
    struct lease other = lease_next();
    assert_int_equal(commit_posts(&other, 0, 50, 1, "c1", 0, &c), E_OK);
    assert_int_equal(commit_posts(&other, 1, 1, 2, "c2", 0, &c), E_OK);
    assert_int_equal(c.added, 2);
    first_text_of("job_1", text);
    assert_string_equal(text, "{\"id\":\"1\",\"batch\":0}");
    check_invariants();
}

static void a_job_never_has_more_posts_than_its_limit(void **state)
{
    (void)state;
    struct commit_reply c;
    struct accept_reply reply;
    struct accept_args args = job_args("job_1");
    args.limit = 10;
    assert_int_equal(accept_args(&args, &reply), E_OK);
    struct lease l = lease_next();
    assert_int_equal(commit_posts(&l, 0, 1, 8, "c1", 10, &c), E_OK);
    assert_int_equal(commit_posts(&l, 1, 5, 8, "c2", 10, &c), E_OK);
    assert_int_equal(c.added, 2);
    assert_int_equal(c.have, 10);
    assert_int_equal(commit_posts(&l, 2, 100, 8, "c3", 0, &c),
                     E_OK); /* the job's own limit holds too */
    assert_int_equal(c.have, 10);
    assert_int_equal(ask("SELECT count(*) FROM items"), 10);
    check_invariants();
}

static void a_job_of_users_counts_users(void **state)
{
    (void)state;
    struct commit_reply c;
    struct accept_reply reply;
    struct accept_args args = job_args("job_1");
    args.limit = 10;
    args.counts = ITEM_USER;
    assert_int_equal(accept_args(&args, &reply), E_OK);
    struct lease l = lease_next();
    assert_int_equal(commit_kind(ITEM_USER, &l, 0, 1, 6, "c1", 10, &c), E_OK);
    assert_int_equal(c.added, 6);
    assert_int_equal(c.have, 6);
    assert_int_equal(commit_kind(ITEM_UNAVAILABLE, &l, 1, 1, 3, "c2", 10, &c), E_OK);
    assert_int_equal(c.have, 6);
    /* Three of these are known, and the limit stops the others at ten. */
    assert_int_equal(commit_kind(ITEM_USER, &l, 2, 4, 20, "c3", 10, &c), E_OK);
    assert_int_equal(c.added, 4);
    assert_int_equal(c.have, 10);
    assert_int_equal(commit_posts(&l, 3, 1, 1, "c4", 10, &c), E_BAD_INPUT);
    struct job_view v = view("job_1");
    assert_int_equal(v.counts, ITEM_USER);
    assert_int_equal(v.have, 10);
    assert_int_equal(v.users, 10);
    assert_int_equal(ask("SELECT count(*) FROM items WHERE kind=1"), 10);
    check_invariants();
}

static void what_is_no_result_is_counted_apart(void **state)
{
    (void)state;
    accept_job("job_1");
    struct lease l = lease_next();
    const struct store_item items[] = {
        {.kind = ITEM_POST, .id = SPAN("1"), .json = SPAN("{}")},
        {.kind = ITEM_REJECTED, .id = SPAN("2"), .json = SPAN("{\"check\":\"id_time\"}")},
        {.kind = ITEM_CONFLICT, .id = SPAN("1 text"), .json = SPAN("{\"field\":\"text\"}")},
        {.kind = ITEM_CONFLICT, .id = SPAN("1 media"), .json = SPAN("{}")},
    };
    struct commit_args args = {
        .id = span_of(l.id), .nonce = l.nonce, .items = items, .count = 4, .limit = 1};
    struct commit_reply c;
    struct item_view *v;
    size_t n;
    begin();
    assert_int_equal(store_commit_batch(w->s, &args, now(), &c, &w->f), E_OK);
    commit();
    assert_int_equal(c.have, 1);
    assert_int_equal(c.rejected, 1);
    assert_int_equal(c.conflicts, 2);
    struct job_view job = view("job_1");
    assert_int_equal(job.have, 1);
    assert_int_equal(job.rejected, 1);
    assert_int_equal(job.conflicts, 2);
    assert_int_equal(
        store_items(w->s, SPAN("job_1"), ITEM_REJECTED, -1, 100, 1 << 20, w->a, &v, &n, &w->f),
        E_OK);
    assert_int_equal(n, 1);
    assert_true(span_is(v[0].id, "2"));
    check_invariants();
}

static void count_fields(struct lease *l, int64_t batch, const char *text)
{
    struct commit_args args = {
        .id = span_of(l->id), .nonce = l->nonce, .batch = batch, .counts = span_of(text)};
    struct commit_reply c;
    begin();
    assert_int_equal(store_commit_batch(w->s, &args, now(), &c, &w->f), E_OK);
    commit();
}

static struct fields_view fields_of(const char *site, int64_t hours)
{
    struct fields_view out;
    assert_int_equal(store_fields(w->s, span_of(site), hours, now(), w->a, &out, &w->f), E_OK);
    return out;
}

static const struct field_view *field_in(const struct fields_view *all, const char *name)
{
    for (size_t i = 0; i < all->count; i++)
        if (span_is(all->fields[i].name, name))
            return &all->fields[i];
    fail_msg("no field %s", name);
    return NULL;
}

static void counts_of_fields_add_up_by_the_hour(void **state)
{
    (void)state;
    const int64_t hour = 3600000;
    accept_job("job_1");
    struct lease l = lease_next();
    assert_int_equal(fields_of("x", 24).count, 0);
    count_fields(&l, 0, "=1-a\npost.text 0 30\nuser.created_at 0 25\n");
    count_fields(&l, 1, "=1-a\npost.text 0 10 2\n");
    struct fields_view all = fields_of("x", 24);
    assert_true(span_is(all.version, "1-a"));
    assert_int_equal(all.count, 2);
    assert_int_equal(field_in(&all, "post.text")->now.hits[0], 40);
    assert_int_equal(field_in(&all, "post.text")->now.hits[1], 2);
    assert_int_equal(field_in(&all, "post.text")->mark, DRIFT_NONE);
    /* a batch that is told twice counts once */
    struct commit_args again = {.id = span_of(l.id),
                                .nonce = l.nonce,
                                .batch = 1,
                                .counts = SPAN("=1-a\npost.text 9\n")};
    struct commit_reply c;
    begin();
    assert_int_equal(store_commit_batch(w->s, &again, now(), &c, &w->f), E_OK);
    commit();
    assert_true(c.duplicate);
    /* two days later accounts have no time any more, and a member is there that was not */
    w->now += 48 * hour;
    begin();
    struct heartbeat_reply beat;
    assert_int_equal(store_heartbeat(w->s, span_of(l.id), l.nonce, now(), &beat, &w->f), E_OK);
    commit();
    count_fields(&l, 2, "=1-a\npost.text 0 30\nuser.created_at 20\n+user.made_at 20\n");
    all = fields_of("x", 24);
    assert_int_equal(field_in(&all, "post.text")->before.hits[0], 40);
    assert_int_equal(field_in(&all, "post.text")->mark, DRIFT_NONE);
    assert_int_equal(field_in(&all, "user.created_at")->mark, DRIFT_MISSING);
    const struct field_view *made = field_in(&all, "user.made_at");
    assert_true(made->member);
    assert_int_equal(made->mark, DRIFT_MEMBER);
    assert_int_equal(made->first_ms, w->now / hour * hour);
    int64_t marks[DRIFT_MARKS];
    assert_int_equal(store_drift(w->s, now(), marks, &w->f), E_OK);
    assert_int_equal(marks[DRIFT_MISSING], 1);
    assert_int_equal(marks[DRIFT_MEMBER], 1);
    assert_int_equal(marks[DRIFT_FALLBACK], 0);
    /* another version of the pack is another thing */
    w->now += hour;
    count_fields(&l, 3, "=2-b\npost.text 5\n");
    all = fields_of("x", 24);
    assert_true(span_is(all.version, "2-b"));
    assert_int_equal(all.count, 1);
    assert_int_equal(field_in(&all, "post.text")->before.hits[0], 0);
    /* what is old goes */
    begin();
    assert_int_equal(store_retain_fields(w->s, (wall){w->now - 24 * hour}, &w->f), E_OK);
    commit();
    assert_int_equal(
        ask("SELECT count(*) FROM field_counts WHERE hour * 3600000 < 1 + (SELECT max(hour) FROM "
            "field_counts) * 3600000 - 24 * 3600000"),
        0);
    assert_true(ask("SELECT count(*) FROM field_counts") > 0);
}

/* A worker that was taken over cannot fill the disk with names, nor put a count where none belongs. */
static void counts_of_fields_are_bounded(void **state)
{
    (void)state;
    accept_job("job_1");
    struct lease l = lease_next();
    struct buf text = BUF(4 << 20);
    buf_add_text(&text, "post.text 0 1\n=1-a\n");
    for (int i = 0; i < 6000; i++)
        buf_fmt(&text, "post.field_%d 1\n+post.member_%d 1\n", i, i);
    buf_add_text(&text, "junk\npost.x -5 7\n\n=\npost.y 1\n");
    buf_add_char(&text, '\0');
    count_fields(&l, 0, text.p);
    count_fields(&l, 1, text.p);
    assert_int_equal(ask("SELECT count(*) FROM field_counts"), 4096);
    assert_int_equal(ask("SELECT count(*) FROM field_counts WHERE path=-2"), 256);
    assert_int_equal(ask("SELECT count(*) FROM field_counts WHERE name='post.text'"), 0);
    assert_int_equal(fields_of("x", 24).count, 2048);
    buf_free(&text);
}

static void posts_users_and_unavailable_are_kept_apart(void **state)
{
    (void)state;
    accept_job("job_1");
    struct lease l = lease_next();
    const struct store_item items[] = {
        {.kind = ITEM_POST, .id = SPAN("1"), .created_ms = 5, .json = SPAN("{\"k\":\"post\"}")},
        {.kind = ITEM_USER, .id = SPAN("1"), .json = SPAN("{\"k\":\"user\"}")},
        {.kind = ITEM_UNAVAILABLE, .id = SPAN("1"), .json = SPAN("{\"k\":\"gone\"}")},
        {.kind = ITEM_POST, .id = SPAN("2"), .json = SPAN("{\"k\":\"post2\"}")},
    };
    struct commit_args args = {
        .id = span_of(l.id), .nonce = l.nonce, .items = items, .count = 4};
    struct commit_reply c;
    begin();
    assert_int_equal(store_commit_batch(w->s, &args, now(), &c, &w->f), E_OK);
    commit();
    assert_int_equal(c.have, 2);
    assert_int_equal(view("job_1").users, 1);
    struct item_view *v;
    size_t n;
    assert_int_equal(
        store_items(w->s, SPAN("job_1"), -1, -1, 100, 1 << 20, w->a, &v, &n, &w->f), E_OK);
    assert_int_equal(n, 4);
    assert_true(span_is(v[1].json, "{\"k\":\"user\"}") && v[1].kind == ITEM_USER);
    assert_int_equal(store_items(w->s, SPAN("job_1"), ITEM_POST, v[0].ord, 100, 1 << 20, w->a,
                                 &v, &n, &w->f),
                     E_OK);
    assert_int_equal(n, 1);
    assert_true(span_is(v[0].id, "2"));
    assert_int_equal(
        store_items(w->s, SPAN("job_9"), -1, -1, 100, 1 << 20, w->a, &v, &n, &w->f),
        E_NOT_FOUND);
    const struct store_item bad = {.kind = ITEM_POST};
    args = (struct commit_args){
        .id = span_of(l.id), .nonce = l.nonce, .batch = 1, .items = &bad, .count = 1};
    uint64_t before = content();
    begin();
    assert_int_equal(store_commit_batch(w->s, &args, now(), &c, &w->f), E_BAD_INPUT);
    commit();
    assert_true(content() == before);
}

static void what_was_left_out_is_counted_once(void **state)
{
    (void)state;
    accept_job("job_1");
    struct lease l = lease_next();
    assert_int_equal(l.filtered, 0);
    struct commit_args args = {
        .id = span_of(l.id), .nonce = l.nonce, .filtered = 20, .cursor = SPAN("c1")};
    struct commit_reply c;
    for (int i = 0; i < 2; i++) { /* the second time it is known already */
        begin();
        assert_int_equal(store_commit_batch(w->s, &args, now(), &c, &w->f), E_OK);
        commit();
        assert_true(c.duplicate == (i == 1));
    }
    args.batch = 1;
    args.filtered = 3;
    begin();
    assert_int_equal(store_commit_batch(w->s, &args, now(), &c, &w->f), E_OK);
    commit();
    assert_int_equal(view("job_1").filtered, 23);
    args.batch = 2;
    args.filtered = -1;
    begin();
    assert_int_equal(store_commit_batch(w->s, &args, now(), &c, &w->f), E_TOO_BIG);
    commit();
    assert_int_equal(view("job_1").filtered, 23);
}

static void items_come_in_page_order_and_in_bounded_portions(void **state)
{
    (void)state;
    struct commit_reply c;
    accept_job("job_1");
    struct lease l = lease_next();
    for (int b = 0; b < 5; b++)
        assert_int_equal(commit_posts(&l, b, b * 20, 20, "c", 0, &c), E_OK);
    int64_t after = -1, seen = 0;
    for (;;) {
        struct item_view *v;
        size_t n;
        assert_int_equal(
            store_items(w->s, SPAN("job_1"), -1, after, 7, 100, w->a, &v, &n, &w->f), E_OK);
        if (n == 0)
            break;
        assert_true(n <= 7);
        for (size_t i = 0; i < n; i++) {
            int64_t id;
            assert_true(span_int(v[i].id, &id) && id == seen++);
            assert_true(v[i].ord > after);
            after = v[i].ord;
        }
    }
    assert_int_equal(seen, 100);
}

/* ---- finish ---- */

static void every_failure_ends_as_the_table_says(void **state)
{
    (void)state;
    for (int c = FAILURE_NONE; c < FAILURE_COUNT; c++) {
        char id[ID_TEXT], lane[32];
        struct accept_reply accepted;
        snprintf(id, sizeof id, "job_%d", c);
        snprintf(lane, sizeof lane, "x%d/normal", c);
        struct accept_args args = job_args(id);
        args.lane = span_of(lane);
        assert_int_equal(accept_args(&args, &accepted), E_OK);
        struct lease l = lease_next();
        assert_string_equal(l.id, id);
        struct finish_reply r = finish(&l, (enum failure_class)c);
        struct job_view v = view(id);
        assert_int_equal(v.state, r.state);
        assert_int_equal(v.fence, 1);
        switch (failure_row((enum failure_class)c)->budget) {
        case BUDGET_NONE:
            assert_int_equal(r.state, c == FAILURE_NONE        ? JOB_SUCCEEDED
                                      : c == FAILURE_CANCELLED ? JOB_CANCELLED
                                                               : JOB_DEAD);
            assert_int_equal(v.finished_ms, w->now);
            assert_int_equal(v.verdict, c == FAILURE_NONE ? VERDICT_COMPLETE : VERDICT_NONE);
            break;
        case BUDGET_FAIL:
            assert_int_equal(v.n_fail, 1);
            assert_int_equal(r.state, JOB_SCHEDULED);
            assert_in_range(r.retry_in_ms, 500, 1000);
            assert_int_equal(v.run_at_ms, w->now + r.retry_in_ms);
            break;
        case BUDGET_CRASH:
            assert_int_equal(v.n_crash, 1);
            assert_int_equal(r.state, JOB_SCHEDULED);
            break;
        case BUDGET_THROTTLE:
            assert_int_equal(v.n_throttle, 1);
            assert_int_equal(v.n_fail, 0);
            assert_int_equal(r.state, JOB_SCHEDULED);
            break;
        case BUDGET_RELEASE:
            assert_int_equal(v.n_release, 1);
            assert_int_equal(r.state, JOB_READY);
            l = lease_next();
            finish(&l, FAILURE_NONE);
            break;
        }
        assert_int_equal(view(id).failure,
                         r.state == JOB_READY ? FAILURE_NONE : (enum failure_class)c);
    }
    check_invariants();
}

/* Fails the job once; true while it goes on. */
static bool fail_once(const char *id, enum failure_class c)
{
    struct lease l;
    w->now += 3600000;
    reap();
    if (reserve(&l))
        return false;
    assert_string_equal(l.id, id);
    return !job_is_final(finish(&l, c).state);
}

static void budgets_end_a_job(void **state)
{
    (void)state;
    static const struct {
        enum failure_class c;
        int attempts;
    } rows[] = {{FAILURE_RESOURCE, 3},
                {FAILURE_CRASH, 2},
                {FAILURE_RATE_LIMITED, 4},
                {FAILURE_BROWSER, 30}};
    for (int i = 0; i < 4; i++) {
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%d", i);
        accept_job(id);
        int n = 1;
        while (fail_once(id, rows[i].c))
            n++;
        assert_int_equal(n, rows[i].attempts);
        assert_int_equal(view(id).state, JOB_DEAD);
        assert_int_equal(view(id).failure, rows[i].c);
        assert_int_equal(view(id).fence, n);
    }
    check_invariants();
}

static void only_failures_in_a_row_without_progress_end_a_job(void **state)
{
    (void)state;
    struct commit_reply c;
    struct finish_reply r = {0};
    accept_job("job_1");
    for (int i = 0; i < 10; i++) {
        w->now += 3600000;
        reap();
        struct lease l = lease_next();
        assert_int_equal(commit_posts(&l, i, i * 3, 3, "c", 0, &c), E_OK);
        r = finish(&l, FAILURE_NETWORK);
        assert_int_equal(r.state, JOB_SCHEDULED);
        assert_in_range(r.retry_in_ms, 500, 1000); /* the delay starts over as well */
        w->now += 3600000;
        reap();
        l = lease_next(); /* and a success of another job keeps the breaker shut */
        assert_int_equal(commit_posts(&l, i, i * 3, 0, "c", 0, &c), E_OK);
        struct finish_args back = {
            .id = span_of(l.id), .nonce = l.nonce, .budget = BUDGET_RELEASE};
        assert_true(c.duplicate);
        assert_int_equal(finish_args(&back, &r), E_OK);
    }
    struct job_view v = view("job_1");
    assert_int_equal(v.n_fail, 10);
    assert_int_equal(v.have, 30);
    check_invariants();
    int n = 1;
    while (fail_once("job_1", FAILURE_RESOURCE))
        n++;
    assert_int_equal(n, 2); /* the tenth was already one without progress after it */
}

static void only_crashes_in_a_row_without_progress_end_a_job(void **state)
{
    (void)state;
    struct commit_reply c;
    struct finish_reply r = {0};
    struct finish_args crash = {.failure = FAILURE_CRASH, .budget = BUDGET_CRASH};
    accept_job("job_1");
    for (int i = 0; i < 5; i++) {
        struct lease l = lease_next();
        assert_int_equal(commit_posts(&l, i, i * 3, 3, "c", 0, &c), E_OK);
        crash.id = span_of(l.id);
        crash.nonce = l.nonce;
        assert_int_equal(finish_args(&crash, &r), E_OK);
        assert_int_equal(r.state, JOB_SCHEDULED);
        if (i == 0)
            assert_int_equal(r.retry_in_ms, 0); /* at once */
        else
            assert_true(r.retry_in_ms > 0); /* whatever it brought, it is slowed down */
        w->now += r.retry_in_ms;
        assert_int_equal(reap().promoted, 1);
    }
    check_invariants();
    struct lease l = lease_next();
    crash.id = span_of(l.id);
    crash.nonce = l.nonce;
    assert_int_equal(finish_args(&crash, &r), E_OK);
    assert_int_equal(r.state,
                     JOB_DEAD); /* the fifth was already one without progress after it */
    check_invariants();
}

/* A job that kills what runs it is given back without blame, but not for ever and not at full
 * speed. */
static void releases_in_a_row_wait_longer_and_longer(void **state)
{
    (void)state;
    struct commit_reply c;
    accept_job("job_1");
    for (int round = 0; round < 2; round++) {
        struct lease l = lease_next();
        assert_int_equal(commit_posts(&l, round, round * 3, 3, "c", 0, &c), E_OK);
        assert_int_equal(finish(&l, FAILURE_BROWSER).state, JOB_READY); /* progress: all anew */
        for (int i = 0; i < 3; i++) {
            l = lease_next();
            assert_int_equal(finish(&l, FAILURE_BROWSER).state,
                             i < 2 ? JOB_READY : JOB_SCHEDULED);
        }
        w->now += 3600000;
        reap();
    }
    check_invariants();
}

/* The service ends whenever this job runs: it may not take all others along for ever. */
static void a_job_under_which_the_service_dies_ends(void **state)
{
    (void)state;
    accept_job("job_1");
    int deaths = 0;
    for (; deaths < 100 && !job_is_final(view("job_1").state); deaths++) {
        lease_next();
        reopen();
        w->now += 3600000;
        reap();
    }
    assert_int_equal(deaths, 30);
    struct job_view v = view("job_1");
    assert_int_equal(v.state, JOB_DEAD);
    assert_int_equal(v.failure, FAILURE_CRASH);
    check_invariants();
}

static void a_cursor_has_a_limit(void **state)
{
    (void)state;
    static char long_cursor[STORE_CURSOR_MAX + 2];
    struct commit_reply c;
    memset(long_cursor, 'c', sizeof long_cursor - 1);
    accept_job("job_1");
    struct lease l = lease_next();
    uint64_t before = content();
    assert_int_equal(commit_posts(&l, 0, 0, 3, long_cursor, 0, &c), E_BAD_INPUT);
    assert_true(content() == before);
    long_cursor[STORE_CURSOR_MAX] = '\0';
    assert_int_equal(commit_posts(&l, 0, 0, 3, long_cursor, 0, &c), E_OK);
}

/* A site that gave posts before it failed is healthy: one long job on a shaky line must not close
 * the lane for all others. */
static void failures_after_progress_do_not_open_the_breaker(void **state)
{
    (void)state;
    struct commit_reply c;
    for (int i = 0; i < 12; i++) {
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%d", i);
        accept_job(id);
    }
    for (int i = 0; i < 8; i++) {
        struct lease l = lease_next();
        assert_int_equal(commit_posts(&l, 0, i * 3, 3, "c", 0, &c), E_OK);
        assert_int_equal(finish(&l, FAILURE_NETWORK).breaker_until_ms, 0);
    }
    assert_true(outlook().startable > 0);
    assert_int_equal(outlook().lanes[LANE_OPEN], 1);
}

static void one_bad_target_does_not_open_the_breaker(void **state)
{
    (void)state;
    accept_job("job_1");
    for (int i = 0; i < 3; i++)
        fail_once("job_1", FAILURE_NETWORK); /* to its end: three attempts, one target */
    for (int i = 2; i < 6; i++) {
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%d", i);
        accept_job(id);
    }
    for (int i = 0; i < 3; i++) {
        struct lease l = lease_next();
        assert_int_equal(finish(&l, FAILURE_DRIFT).breaker_until_ms, 0);
    }
    struct lease l = lease_next(); /* the fifth target in a row */
    assert_true(finish(&l, FAILURE_DRIFT).breaker_until_ms > 0);
}

static void a_waiting_job_says_what_it_waits_for(void **state)
{
    (void)state;
    struct finish_reply r = {0};
    for (int i = 0; i < 9; i++) {
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%d", i);
        accept_job(id);
    }
    assert_int_equal(view("job_8").waiting, WAITING_WORKER);
    struct lease l;
    int64_t until = 0;
    for (int i = 0; i < 5; i++) {
        l = lease_next();
        assert_int_equal(view(l.id).waiting, WAITING_NONE);
        r = finish(&l, FAILURE_NETWORK);
        until = r.breaker_until_ms;
        assert_int_equal(until > 0, i == 4);
    }
    assert_string_equal(r.lane, "x/normal");
    assert_int_equal(view(l.id).waiting, WAITING_TIME);
    assert_int_equal(view(l.id).waiting_until_ms, w->now + r.retry_in_ms);
    assert_int_equal(view("job_8").waiting, WAITING_BREAKER);
    assert_int_equal(view("job_8").waiting_until_ms, until);
    assert_int_equal(outlook().lanes[LANE_BREAKER_OPEN], 1);
    assert_string_equal(waiting_name(WAITING_BREAKER), "breaker");
    w->now = until;
    l = lease_next(); /* the probe */
    assert_int_equal(view("job_8").waiting, WAITING_BREAKER);
    finish(&l, FAILURE_NONE);
    assert_int_equal(view("job_8").waiting, WAITING_WORKER);
    l = lease_next();
    struct finish_args slow = {.id = span_of(l.id),
                               .nonce = l.nonce,
                               .failure = FAILURE_RATE_LIMITED,
                               .wait_ms = 90000};
    assert_int_equal(finish_args(&slow, &r), E_OK);
    assert_int_equal(view("job_8").waiting, WAITING_SITE);
    assert_int_equal(view("job_8").waiting_until_ms, w->now + 90000);
}

static void a_throttle_blocks_the_lane_for_as_long_as_the_site_said(void **state)
{
    (void)state;
    struct lease l;
    struct finish_reply r;
    accept_job("job_1");
    accept_job("job_2");
    accept_job("job_3");
    struct lease first = lease_next(), second = lease_next();
    struct finish_args args = {.id = span_of(first.id),
                               .nonce = first.nonce,
                               .failure = FAILURE_RATE_LIMITED,
                               .wait_ms = 60000};
    assert_int_equal(finish_args(&args, &r), E_OK);
    assert_int_equal(r.state, JOB_SCHEDULED);
    assert_in_range(r.retry_in_ms, 60000, 72000); /* jitter only adds */
    /* A shorter wait does not shorten the longer one. */
    args = (struct finish_args){.id = span_of(second.id),
                                .nonce = second.nonce,
                                .failure = FAILURE_RATE_LIMITED,
                                .wait_ms = 1000};
    assert_int_equal(finish_args(&args, &r), E_OK);
    assert_int_equal(reserve(&l), E_END);
    w->now = T0 + 59999;
    reap();
    assert_int_equal(outlook().startable, 0);
    assert_int_equal(outlook().next_ms, T0 + 60000);
    assert_int_equal(reserve(&l), E_END);
    w->now = T0 + 60000;
    assert_int_equal(outlook().startable, 2); /* job_3, and job_2 whose wait is over */
    assert_int_equal(view("job_1").n_fail, 0);
    assert_int_equal(view("job_1").n_throttle, 1);
    /* Another failure with a hint does not block the lane. */
    l = lease_next();
    args = (struct finish_args){
        .id = span_of(l.id), .nonce = l.nonce, .failure = FAILURE_NETWORK, .wait_ms = 90000};
    assert_int_equal(finish_args(&args, &r), E_OK);
    assert_true(r.retry_in_ms >= 90000);
    assert_int_equal(reserve(&l), E_OK);
}

static void a_released_job_is_in_front_again(void **state)
{
    (void)state;
    accept_job("job_1");
    w->now += 5;
    accept_job("job_2");
    struct lease l = lease_next();
    w->now += 500;
    struct finish_args args = {.id = span_of(l.id), .nonce = l.nonce, .budget = BUDGET_RELEASE};
    struct finish_reply r;
    assert_int_equal(finish_args(&args, &r), E_OK);
    assert_int_equal(r.state, JOB_READY);
    l = lease_next();
    assert_string_equal(l.id, "job_1");
    assert_int_equal(l.waited_ms, 0);
    args = (struct finish_args){.id = span_of(l.id),
                                .nonce = l.nonce,
                                .failure = FAILURE_NETWORK,
                                .budget = BUDGET_CRASH,
                                .why = SPAN("it died"),
                                .report = SPAN("{\"a\":1}")};
    assert_int_equal(finish_args(&args, &r), E_OK);
    struct job_view v = view("job_1");
    assert_int_equal(v.n_crash, 1);
    assert_true(span_is(v.why, "it died") && span_is(v.report, "{\"a\":1}"));
}

/* ---- cancel ---- */

static void cancel_does_what_each_state_allows(void **state)
{
    (void)state;
    struct cancel_reply r;
    assert_int_equal(cancel("job_0", &r), E_NOT_FOUND);
    accept_job("job_1"); /* ready */
    assert_int_equal(cancel("job_1", &r), E_OK);
    assert_int_equal(r.state, JOB_CANCELLED);
    assert_int_equal(view("job_1").failure, FAILURE_CANCELLED);
    uint64_t before = content();
    assert_int_equal(cancel("job_1", &r), E_OK); /* again: nothing more happens */
    assert_int_equal(r.state, JOB_CANCELLED);
    assert_true(content() == before);

    accept_job("job_2"); /* scheduled */
    struct lease l = lease_next();
    finish(&l, FAILURE_NETWORK);
    assert_int_equal(cancel("job_2", &r), E_OK);
    assert_int_equal(view("job_2").state, JOB_CANCELLED);

    accept_job("job_3"); /* active: a flag, and from then on every ending but ok is cancelled */
    l = lease_next();
    bool asked = true;
    assert_int_equal(heartbeat(l.id, l.nonce, &asked), E_OK);
    assert_false(asked);
    assert_int_equal(cancel("job_3", &r), E_OK);
    assert_true(r.active);
    assert_int_equal(r.state, JOB_ACTIVE);
    assert_int_equal(heartbeat(l.id, l.nonce, &asked), E_OK);
    assert_true(asked);
    assert_true(view("job_3").cancel_asked);
    assert_int_equal(finish(&l, FAILURE_NETWORK).state, JOB_CANCELLED);
    assert_int_equal(view("job_3").n_fail, 1);

    accept_job("job_4");
    l = lease_next();
    assert_int_equal(cancel("job_4", &r), E_OK);
    assert_int_equal(finish(&l, FAILURE_CANCELLED).state, JOB_CANCELLED);

    accept_job("job_5"); /* it was faster */
    l = lease_next();
    assert_int_equal(cancel("job_5", &r), E_OK);
    assert_int_equal(finish(&l, FAILURE_NONE).state, JOB_SUCCEEDED);
    before = content();
    assert_int_equal(cancel("job_5", &r), E_CONFLICT);
    assert_true(content() == before);

    accept_job("job_6"); /* and the worker may be dead */
    l = lease_next();
    assert_int_equal(started(l.id, l.nonce), E_OK);
    assert_int_equal(cancel("job_6", &r), E_OK);
    w->now += 15000;
    reap();
    w->now += 15000;
    reap();
    assert_int_equal(view("job_6").state, JOB_CANCELLED);
    check_invariants();
}

/* ---- retention, queries, events ---- */

static void retention_deletes_old_ended_jobs_and_what_only_they_held(void **state)
{
    (void)state;
    struct commit_reply c;
    accept_job("job_1");
    struct lease l = lease_next();
    assert_int_equal(commit_posts(&l, 0, 0, 10, "c", 0, &c), E_OK);
    finish(&l, FAILURE_NONE);
    w->now += 1000;
    accept_job("job_2");
    accept_job("job_3");
    l = lease_next();
    assert_int_equal(commit_posts(&l, 0, 5, 10, "c", 0, &c), E_OK);
    finish(&l, FAILURE_NONE);
    assert_int_equal(retain_before(T0, NULL), 0);
    assert_int_equal(retain_before(T0 + 1, NULL), 1);
    struct job_view v;
    assert_int_equal(store_job(w->s, SPAN("job_1"), now(), w->a, &v, &w->f), E_NOT_FOUND);
    assert_int_equal(ask("SELECT count(*) FROM items"), 10);
    assert_int_equal(ask("SELECT count(*) FROM items WHERE links<>1"), 0);
    assert_int_equal(ask("SELECT count(*) FROM events WHERE job='job_1'"), 0);
    int64_t last = store_last_event(w->s);
    w->now += 100000;
    assert_int_equal(retain_before(w->now, NULL), 1);
    assert_int_equal(view("job_3").state,
                     JOB_READY); /* not ended: stays, with what happened to it */
    assert_int_equal(ask("SELECT count(*) FROM job_items"), 0);
    assert_int_equal(ask("SELECT count(*) FROM events WHERE job<>'job_3'"), 0);
    assert_int_equal(ask("SELECT count(*) FROM events"), 1);
    assert_int_equal(outlook().by_state[JOB_SUCCEEDED], 0);
    reopen(); /* event numbers go on although all are gone */
    assert_int_equal(store_last_event(w->s), last);
    accept_job("job_4");
    assert_int_equal(store_last_event(w->s), last + 1);
}

static void a_job_with_many_items_is_deleted_in_steps(void **state)
{
    (void)state;
    struct commit_reply c;
    accept_job("job_1");
    struct lease l = lease_next();
    for (int b = 0; b < 28; b++)
        assert_int_equal(commit_posts(&l, b, b * 250, 250, "c", 0, &c), E_OK);
    finish(&l, FAILURE_NONE);
    bool more;
    assert_int_equal(retain_before(w->now + 1, &more), 1);
    assert_true(more);
    assert_int_equal(ask("SELECT count(*) FROM items"), 2000);
    struct job_view v; /* nobody sees half of it */
    assert_int_equal(store_job(w->s, SPAN("job_1"), now(), w->a, &v, &w->f), E_NOT_FOUND);
    reopen(); /* and what comes next does not take its place */
    accept_job("job_2");
    assert_int_equal(retain_before(w->now + 1, &more), 0);
    assert_false(more);
    assert_int_equal(ask("SELECT count(*) FROM items"), 0);
    assert_int_equal(ask("SELECT count(*) FROM gone"), 0);
}

static void jobs_are_listed_newest_first(void **state)
{
    (void)state;
    for (int i = 0; i < 25; i++) {
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%02d", i);
        accept_job(id);
    }
    struct lease l = lease_next();
    finish(&l, FAILURE_NONE);
    struct jobs_query q = {.state = -1, .limit = 10};
    char last[ID_TEXT] = "";
    int seen = 0;
    for (;;) {
        struct job_view *v;
        size_t n;
        q.after = span_of(last);
        assert_int_equal(store_jobs(w->s, &q, now(), w->a, &v, &n, &w->f), E_OK);
        for (size_t i = 0; i < n; i++) {
            char want[ID_TEXT];
            snprintf(want, sizeof want, "job_%02d", 24 - seen++);
            assert_string_equal(v[i].id, want);
            snprintf(last, sizeof last, "%s", v[i].id);
        }
        if (n == 0)
            break;
    }
    assert_int_equal(seen, 25);
    struct job_view *v;
    size_t n;
    q = (struct jobs_query){.state = JOB_SUCCEEDED, .limit = 10};
    assert_int_equal(store_jobs(w->s, &q, now(), w->a, &v, &n, &w->f), E_OK);
    assert_int_equal(n, 1);
    assert_string_equal(v[0].id, "job_00");
    q.after = SPAN("job_99");
    assert_int_equal(store_jobs(w->s, &q, now(), w->a, &v, &n, &w->f), E_NOT_FOUND);
}

static void every_move_leaves_an_event(void **state)
{
    (void)state;
    struct commit_reply c;
    accept_job("job_1");
    struct lease l = lease_next();
    assert_int_equal(commit_posts(&l, 0, 1, 2, "c", 0, &c), E_OK);
    finish(&l, FAILURE_NETWORK);
    w->now += 5000;
    reap();
    l = lease_next();
    finish(&l, FAILURE_BROWSER);
    l = lease_next();
    finish(&l, FAILURE_RATE_LIMITED);
    w->now += 5000;
    reap();
    accept_job("job_2");
    l = lease_next();
    finish(&l, FAILURE_NONE);
    const char *kinds[] = {"job.accepted", "job.started",  "job.progress", "job.retrying",
                           "job.started",  "job.released", "job.started",  "job.throttled",
                           "job.started",  "job.finished"};
    struct event_view *v;
    size_t n;
    assert_int_equal(store_events(w->s, 0, SPAN("job_1"), 100, w->a, &v, &n, &w->f), E_OK);
    assert_int_equal(n, 10);
    for (size_t i = 0; i < n; i++)
        assert_true(span_is(v[i].kind, kinds[i]));
    assert_true(span_is(
        v[2].body, "{\"state\":\"active\",\"batch\":0,\"added\":2,\"have\":2,\"users\":0}"));
    assert_true(span_is(v[9].body, "{\"state\":\"succeeded\",\"attempt\":4,\"have\":2,"
                                   "\"verdict\":\"complete\",\"end\":\"terminate\"}"));
    assert_int_equal(store_events(w->s, 0, SPAN(""), 4, w->a, &v, &n, &w->f), E_OK);
    assert_int_equal(n, 4);
    assert_int_equal(store_events(w->s, v[3].seq, SPAN(""), 100, w->a, &v, &n, &w->f), E_OK);
    assert_int_equal(n, 7);
    for (size_t i = 1; i < n; i++)
        assert_int_equal(v[i].seq, v[i - 1].seq + 1);
    assert_int_equal(v[n - 1].seq, store_last_event(w->s));
}

static void the_outlook_names_the_next_instant(void **state)
{
    (void)state;
    assert_true(outlook().next_ms == INT64_MAX);
    assert_int_equal(outlook().startable, 0);
    accept_job("job_1");
    assert_int_equal(outlook().startable, 1);
    assert_true(outlook().next_ms == INT64_MAX);
    struct lease l = lease_next();
    assert_int_equal(outlook().next_ms, T0 + 15000);
    struct finish_reply r = finish(&l, FAILURE_NETWORK);
    assert_int_equal(outlook().next_ms, T0 + r.retry_in_ms);
    assert_int_equal(outlook().by_state[JOB_SCHEDULED], 1);
    w->now += r.retry_in_ms;
    assert_int_equal(reap().promoted, 1);
    assert_int_equal(outlook().startable, 1);
}

/* ---- opening ---- */

static void a_second_process_is_refused_with_the_first_ones_pid(void **state)
{
    (void)state;
    struct store *other = NULL;
    struct fault f = {0};
    char pid[24];
    assert_int_equal(store_open(&other, w->dir, &w->limits, 7, now(), &f), E_CONFLICT);
    snprintf(pid, sizeof pid, "process %d ", (int)getpid());
    assert_non_null(strstr(f.words, pid));
    assert_non_null(strstr(f.words, "stop it or choose another store.path"));
    assert_null(other);
    store_close(&w->s);
    open_store(); /* the file is still there, the lock is not */
}

static void what_cannot_be_opened_says_why(void **state)
{
    (void)state;
    char path[128];
    struct store *s = NULL;
    store_close(&w->s);
    snprintf(path, sizeof path, "%s/fulmar.lock/sub", w->dir);
    assert_int_equal(store_open(&s, path, &w->limits, 7, now(), &w->f), E_STORE);
    assert_non_null(strstr(w->f.words, "store.path"));

    w->f = (struct fault){0};
    snprintf(path, sizeof path, "%s/fulmar.db", w->dir);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(store_open(&s, w->dir, &w->limits, 7, now(), &w->f), E_STORE);
    assert_non_null(strstr(w->f.words, "newer version"));

    w->f = (struct fault){0};
    int fd = open(path, O_WRONLY | O_TRUNC);
    char junk[8192];
    memset(junk, 'j', sizeof junk);
    assert_int_equal(write(fd, junk, sizeof junk), sizeof junk);
    close(fd);
    assert_int_equal(store_open(&s, w->dir, &w->limits, 7, now(), &w->f), E_STORE);
    assert_non_null(strstr(w->f.words, "damaged"));
    assert_null(s);
    assert_int_equal(unlink(path), 0);
    open_store();
}

static void the_file_is_private_and_set_up_for_durability(void **state)
{
    (void)state;
    struct stat st;
    char path[128];
    accept_job("job_1");
    const char *names[] = {"fulmar.db", "fulmar.db-wal", "fulmar.lock"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", w->dir, names[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    assert_int_equal(ask("PRAGMA page_size"), 8192);
    sqlite3 *db = look();
    assert_true(mix_rows(db, "PRAGMA journal_mode", 1) == span_hash(SPAN("wal"), 2));
    sqlite3_close(db);
}

/* SQLite's calls come by here. */
static int64_t syncs;

int fdatasync(int fd)
{
    syncs++;
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    syncs++;
    return (int)syscall(SYS_fsync, fd);
}

static void no_group_is_answered_before_the_disk_has_it(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%d", i);
        begin();
        struct accept_reply reply;
        struct accept_args args = job_args(id);
        assert_int_equal(store_accept(w->s, &args, now(), &reply, &w->f), E_OK);
        int64_t before = syncs;
        commit();
        assert_true(syncs > before);
    }
}

static void the_log_is_moved_into_the_file_when_nothing_waits(void **state)
{
    (void)state;
    char path[128];
    struct stat before, after;
    struct commit_reply c;
    accept_job("job_1");
    struct lease l = lease_next();
    for (int b = 0; b < 200; b++)
        assert_int_equal(commit_posts(&l, b, b * 100, 100, "c", 0, &c), E_OK);
    snprintf(path, sizeof path, "%s/fulmar.db", w->dir);
    assert_int_equal(stat(path, &before), 0);
    store_idle(w->s);
    assert_int_equal(stat(path, &after), 0);
    assert_true(after.st_size > before.st_size);
    assert_int_equal(ask("SELECT count(*) FROM items"), 20000);
}

/* What runs once at opening, or looks at a bounded number of rows from one end. */
static bool may_scan(enum sql id)
{
    return id == SQL_EVIDENCE_SUM || id == SQL_KEPT_BYTES || id == SQL_LANES ||
           id == SQL_LANE_COUNTS || id == SQL_EVENTS_PRUNE || id == SQL_EVENT_LAST ||
           id == SQL_FILE_TOTALS || id == SQL_GONE || id == SQL_LIMITS ||
           id == SQL_STATE_COUNTS || id == SQL_CHECK_COUNTS || id == SQL_CHECK_WHOLLY ||
           id == SQL_CHECK_NAME || id == SQL_CHECK_PIECE || id == SQL_SPOOL_COUNT ||
           id == SQL_MOVE_EMPTY;
}

static void no_statement_walks_a_table_or_sorts(void **state)
{
    (void)state;
    static const char *const texts[] = {
#define TEXT(id, text) text,
        SQL_TABLE(TEXT)
#undef TEXT
    };
    char path[128];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/fulmar.db", w->dir);
    store_close(&w->s);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, SPOOL_SQL, NULL, NULL, NULL),
                     SQLITE_OK); /* of a file of its own */
    for (int i = 0; i < SQL_COUNT; i++) {
        char sql[2048];
        sqlite3_stmt *q;
        bool spool = strstr(texts[i], "spool") != NULL; /* in a file of its own */
        if (span_starts(span_of(texts[i]), SPAN("PRAGMA")) || spool || may_scan((enum sql)i))
            continue;
        snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", texts[i]);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
        while (sqlite3_step(q) == SQLITE_ROW) {
            const char *step = (const char *)sqlite3_column_text(q, 3);
            /* A walk along an index is how a list in order is read; LIMIT ends it. */
            bool walk =
                strstr(step, "SCAN") && !strstr(step, "CONSTANT ROW") &&
                !strstr(step, "SCAN sqlite_sequence") && /* a row for each table */
                !strstr(step, "USING INDEX") && !strstr(step, "USING COVERING INDEX") &&
                !strstr(step, "SCAN (subquery"); /* of a SELECT with a LIMIT of its own */
            if (walk || strstr(step, "TEMP B-TREE"))
                fail_msg("%s: %s", texts[i], step);
        }
        sqlite3_finalize(q);
    }
    sqlite3_close(db);
}

static void a_walk_along_lanes_is_bounded_and_goes_on_where_it_was(void **state)
{
    (void)state;
    enum { LANES = LANES_LOOKED + 100 };
    begin();
    for (int i = 0; i < LANES; i++) {
        struct accept_reply reply;
        struct accept_args args = job_args(arena_fmt(w->a, "job_%d", i));
        args.lane = span_of(arena_fmt(w->a, "m%05d/x/normal", i));
        assert_int_equal(store_accept(w->s, &args, now(), &reply, &w->f), E_OK);
    }
    struct lane_change pause = {.name = span_of(arena_fmt(w->a, "m%05d/x/normal", LANES - 1)),
                                .act = LANE_ACT_PAUSE,
                                .why = SPAN("held")};
    assert_int_equal(store_lane_change(w->s, &pause, now(), &w->f), E_OK);
    commit();
    struct lanes_query q = {.troubled = true, .limit = 20};
    struct lane_view *lanes;
    struct span next;
    size_t n;
    assert_int_equal(store_lanes(w->s, &q, now(), w->a, &lanes, &n, &next, &w->f), E_OK);
    assert_int_equal(n, 0);
    assert_true(span_eq(next, span_of(arena_fmt(w->a, "m%05d/x/normal", LANES_LOOKED - 1))));
    q.after = next;
    assert_int_equal(store_lanes(w->s, &q, now(), w->a, &lanes, &n, &next, &w->f), E_OK);
    assert_int_equal(n, 1);
    assert_true(span_eq(lanes[0].name, pause.name));
    assert_int_equal(next.n, 0);
}

/* ---- marks ---- */

static struct lease start_marked(const char *id, enum store_mark mark, const char *variant)
{
    struct accept_args args = job_args(id);
    struct accept_reply reply;
    args.mark = mark;
    args.variant = span_of(variant);
    assert_int_equal(accept_args(&args, &reply), E_OK);
    struct lease l = lease_next();
    assert_string_equal(l.id, id);
    return l;
}

/* Posts `newest` and older, one second apart, newest first: as a list has them. */
static void bring(const struct lease *l, int newest, int count)
{
    struct store_item *items = calloc((size_t)count, sizeof *items);
    char(*ids)[16] = calloc((size_t)count, sizeof *ids);
    struct commit_reply c;
    for (int i = 0; i < count; i++) {
        snprintf(ids[i], sizeof ids[i], "p%d", newest - i);
        items[i] = (struct store_item){.kind = ITEM_POST,
                                       .id = span_of(ids[i]),
                                       .created_ms = T0 - 1000000 + (newest - i) * 1000,
                                       .json = SPAN("{}")};
    }
    struct commit_args args = {.id = span_of(l->id),
                               .nonce = l->nonce,
                               .batch = l->next_batch,
                               .items = items,
                               .count = (size_t)count};
    begin();
    assert_int_equal(store_commit_batch(w->s, &args, now(), &c, &w->f), E_OK);
    commit();
    free(ids);
    free(items);
}

static void expect_known(struct lease *l, int newest, size_t count)
{
    struct span rest = l->known, line;
    char first[64];
    size_t n = 0;
    if (count == 0) {
        assert_int_equal(rest.n, 0);
        return;
    }
    snprintf(first, sizeof first, "%lld", (long long)(T0 - 1000000 + newest * 1000));
    assert_true(span_next(&rest, '\n', &line));
    assert_true(span_is(line, first));
    snprintf(first, sizeof first, "%lld p%d", (long long)(T0 - 1000000 + newest * 1000),
             newest);
    assert_true(span_starts(rest, span_of(first)));
    while (span_next(&rest, '\n', &line))
        n++;
    assert_int_equal(n, count);
}

static void a_mark_moves_with_the_end_of_a_job_and_outlives_it(void **state)
{
    (void)state;
    struct lease l = start_marked("job_1", MARK_USED, "{}");
    expect_known(&l, 0, 0); /* the first one has all to read */
    bring(&l, 50, 30);
    finish(&l, FAILURE_NONE);
    l = start_marked("job_2", MARK_USED, "{}");
    expect_known(&l, 50, 30);
    bring(&l, 53, 3);
    finish(&l, FAILURE_NONE);
    assert_int_equal(retain_before(T0 + 1000, NULL), 2);
    reopen();
    l = start_marked("job_3", MARK_USED, "{}");
    expect_known(&l, 53, 33);
    finish(&l, FAILURE_NONE); /* nothing new: it stays */
    l = start_marked("job_4", MARK_USED, "{}");
    expect_known(&l, 53, 33);
    finish(&l, FAILURE_NONE);
    retain_before(T0 + 366LL * 86400000, NULL);
    l = start_marked("job_5", MARK_USED, "{}");
    expect_known(&l, 0, 0); /* a year later nobody came back for it */
}

static void jobs_that_end_badly_do_not_move_the_mark(void **state)
{
    (void)state;
    struct lease l = start_marked("job_1", MARK_USED, "{}");
    bring(&l, 50, 30);
    finish(&l, FAILURE_SUSPENDED);
    l = start_marked("job_2", MARK_USED, "{}");
    expect_known(&l, 0, 0);
    bring(&l, 50, 30);
    struct cancel_reply c;
    assert_int_equal(cancel("job_2", &c), E_OK);
    finish(&l, FAILURE_CANCELLED);
    l = start_marked("job_3", MARK_USED, "{}");
    expect_known(&l, 0, 0);
    bring(&l, 50, 30);
    /* The end and the mark are one transaction. */
    begin();
    struct finish_reply reply;
    struct finish_args args = {.id = span_of(l.id),
                               .nonce = l.nonce,
                               .verdict = VERDICT_COMPLETE,
                               .end = END_TERMINATE};
    assert_int_equal(store_finish(w->s, &args, now(), &reply, &w->f), E_OK);
    /* Seen from outside, as by one who comes after a kill at this point. */
    assert_int_equal(ask("SELECT count(*) FROM marks"), 0);
    assert_int_equal(ask("SELECT state FROM jobs WHERE id='job_3'"), JOB_ACTIVE);
    commit();
    assert_int_equal(ask("SELECT count(*) FROM marks"), 1);
    assert_int_equal(ask("SELECT count(*) FROM jobs WHERE known IS NOT NULL"), 0);
}

static void an_attempt_does_not_stop_at_what_came_meanwhile(void **state)
{
    (void)state;
    struct lease l = start_marked("job_0", MARK_USED, "{}");
    bring(&l, 50, 30);
    finish(&l, FAILURE_NONE);
    l = start_marked("job_1", MARK_USED, "{}");
    expect_known(&l, 50, 30);
    bring(&l, 60, 5);
    struct lease other = start_marked("job_2", MARK_USED, "{}");
    bring(&other, 60, 10);
    finish(&other, FAILURE_NONE);
    finish(&l, FAILURE_NETWORK); /* again later: with the mark of its first start */
    w->now += 120000;
    reap();
    l = lease_next();
    assert_string_equal(l.id, "job_1");
    expect_known(&l, 50, 30);
    finish(&l, FAILURE_NONE);
    l = start_marked("job_3", MARK_USED, "{}");
    expect_known(&l, 60, 40); /* of both, each once */
}

static void ordinary_jobs_move_the_mark_when_they_have_it_all(void **state)
{
    (void)state;
    struct lease l = start_marked("job_1", MARK_STAYS, "{}");
    bring(&l, 50, 30);
    finish(&l, FAILURE_NONE);
    l = start_marked("job_2", MARK_WHEN_COMPLETE, "{}");
    expect_known(&l, 0, 0);
    bring(&l, 50, 30);
    struct finish_reply reply;
    struct finish_args args = {
        .id = span_of(l.id), .nonce = l.nonce, .verdict = VERDICT_PARTIAL, .end = END_LIMIT};
    assert_int_equal(finish_args(&args, &reply), E_OK);
    l = start_marked("job_3", MARK_USED, "{}");
    expect_known(&l, 0, 0);
    finish(&l, FAILURE_SUSPENDED);
    l = start_marked("job_4", MARK_WHEN_COMPLETE, "{}");
    bring(&l, 50, 30);
    finish(&l, FAILURE_NONE);
    l = start_marked("job_5", MARK_USED, "{}");
    expect_known(&l, 50, 30);
    finish(&l, FAILURE_SUSPENDED);
    l = start_marked("job_6", MARK_USED, "{\"exclude\":[\"replies\"]}"); /* another list */
    expect_known(&l, 0, 0);
}

static void a_mark_is_bounded_and_never_of_tomorrow(void **state)
{
    (void)state;
    struct lease l = start_marked("job_1", MARK_USED, "{}");
    bring(&l, 900, 250);
    finish(&l, FAILURE_NONE);
    l = start_marked("job_2", MARK_USED, "{}");
    expect_known(&l, 900, STORE_MARK_POSTS);
    char longest[700];
    memset(longest, 'i', sizeof longest);
    const struct store_item items[] = {
        {.kind = ITEM_POST,
         .id = SPAN("tomorrow"),
         .created_ms = T0 + 86400000,
         .json = SPAN("{}")},
        {.kind = ITEM_POST,
         .id = {longest, sizeof longest},
         .created_ms = T0,
         .json = SPAN("{}")},
        {.kind = ITEM_USER, .id = SPAN("somebody"), .created_ms = T0, .json = SPAN("{}")},
    };
    struct commit_args args = {
        .id = span_of(l.id), .nonce = l.nonce, .items = items, .count = 3};
    struct commit_reply c;
    begin();
    assert_int_equal(store_commit_batch(w->s, &args, now(), &c, &w->f), E_OK);
    commit();
    finish(&l, FAILURE_NONE);
    l = start_marked("job_3", MARK_USED, "{}");
    char first[64];
    snprintf(first, sizeof first, "%lld\n%lld tomorrow\n%lld p900\n", (long long)T0,
             (long long)(T0 + 86400000), (long long)(T0 - 100000));
    assert_true(span_starts(l.known, span_of(first)));
}

/* ---- full disk ---- */

static void fill_disk(const char *dir)
{
    char path[128], block[4096];
    memset(block, 'f', sizeof block);
    snprintf(path, sizeof path, "%s/filler", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0)
        continue;
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

static void drop_filler(const char *dir)
{
    char path[128];
    snprintf(path, sizeof path, "%s/filler", dir);
    assert_int_equal(unlink(path), 0);
}

static void on_a_full_disk_jobs_end_and_none_is_accepted(void **state)
{
    (void)state;
    store_close(&w->s);
    if (mount("tmpfs", w->dir, "tmpfs", 0, "size=8m") != 0) {
        open_store();
        skip();
    }
    open_store();
    struct commit_reply c;
    for (int i = 0; i < 20; i++) {
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%02d", i);
        accept_job(id);
    }
    struct lease running[8];
    for (int i = 0; i < 8; i++)
        running[i] = lease_next();
    assert_int_equal(commit_posts(&running[0], 0, 0, 100, "c1", 0, &c), E_OK);
    fill_disk(w->dir);
    err e = E_OK;
    int64_t batch = 1;
    /* Commit until the disk says no. */
    for (; e == E_OK && batch < 1000; batch++) {
        struct store_item item = {.kind = ITEM_POST,
                                  .json = SPAN("{\"filler\":\"0123456789\"}")};
        char id[32];
        snprintf(id, sizeof id, "full%lld", (long long)batch);
        item.id = span_of(id);
        struct commit_args args = {.id = span_of(running[0].id),
                                   .nonce = running[0].nonce,
                                   .batch = batch,
                                   .items = &item,
                                   .count = 1};
        begin();
        e = store_commit_batch(w->s, &args, now(), &c, &w->f);
        struct fault f = {0};
        err committed = store_commit(w->s, &f);
        e = e ? e : committed;
    }
    assert_int_equal(e, E_DISK_FULL);
    uint64_t before = content();
    /* Now the ballast is free, for endings only. */
    struct accept_args more = job_args("job_99");
    struct accept_reply accepted;
    assert_int_equal(accept_args(&more, &accepted), E_DISK_FULL);
    assert_int_equal(commit_posts(&running[1], 0, 0, 100, "c1", 0, &c), E_DISK_FULL);
    /* A job that started now would only fail. */
    struct lease none;
    assert_int_equal(reserve(&none), E_END);
    assert_int_equal(outlook().startable, 0);
    assert_int_equal(view("job_09").waiting, WAITING_DISK);
    assert_true(content() == before);
    for (int i = 0; i < 4; i++)
        assert_int_equal(finish(&running[i], FAILURE_NONE).state, JOB_SUCCEEDED);
    for (int i = 4; i < 8; i++)
        assert_int_equal(finish(&running[i], FAILURE_NETWORK).state, JOB_SCHEDULED);
    struct cancel_reply r;
    assert_int_equal(cancel("job_10", &r), E_OK);
    reap();
    check_invariants();
    reopen(); /* closing made room for a new ballast; filled again, the store still opens */
    store_close(&w->s);
    fill_disk(w->dir);
    open_store();
    assert_int_equal(view("job_00").state, JOB_SUCCEEDED);
    assert_int_equal(view("job_10").state, JOB_CANCELLED);
    assert_int_equal(accept_args(&more, &accepted), E_DISK_FULL);
    drop_filler(w->dir);
    reap(); /* room again: the ballast is laid anew */
    assert_int_equal(accept_args(&more, &accepted), E_OK);
    check_invariants();
    store_close(&w->s);
    assert_int_equal(umount(w->dir), 0);
    open_store();
}

/* ---- random operations ---- */

static uint64_t rnd_state;

static uint64_t rnd(uint64_t below)
{
    rnd_state ^= rnd_state << 13;
    rnd_state ^= rnd_state >> 7;
    rnd_state ^= rnd_state << 17;
    return rnd_state % below;
}

enum { HELD = 24, EPISODES = 12, STEPS = 700 };

struct held {
    struct lease l;
    int64_t batch;
};

static void random_commit(struct held *h)
{
    struct commit_reply c;
    int64_t batch = rnd(4) ? h->batch : h->batch + (int64_t)rnd(3) - 1;
    enum item_kind kind = view(h->l.id).counts;
    if (rnd(10) ==
        0) /* of the other kind: a job of posts keeps users beside, one of users no posts */
        kind = kind == ITEM_POST ? ITEM_USER : ITEM_POST;
    err e =
        commit_kind(kind, &h->l, batch, (int)rnd(60), (int)rnd(12), rnd(2) ? "c" : "", 0, &c);
    assert_true(e == E_OK || e == E_STALE || e == E_CONFLICT || e == E_BAD_INPUT);
    if (e == E_OK && !c.duplicate)
        h->batch = batch + 1;
}

static void random_finish(struct held *h)
{
    struct finish_reply r;
    struct finish_args args = {
        .id = span_of(h->l.id), .nonce = h->l.nonce, .wait_ms = (int64_t)rnd(3000)};
    args.failure = rnd(3) ? (enum failure_class)rnd(FAILURE_COUNT) : FAILURE_NONE;
    args.verdict = VERDICT_COMPLETE;
    if (rnd(6) == 0)
        args.budget = rnd(2) ? BUDGET_RELEASE : BUDGET_CRASH;
    err e = finish_args(&args, &r);
    assert_true(e == E_OK || e == E_STALE);
}

static void random_accept(int *count)
{
    char id[ID_TEXT], key[16], lane[16];
    struct accept_reply reply;
    snprintf(id, sizeof id, "job_%d", rnd(10) ? (*count)++ : (int)rnd((uint64_t)*count + 1));
    snprintf(key, sizeof key, "k%d", (int)rnd(30));
    snprintf(lane, sizeof lane, "x%d/%s", (int)rnd(2), rnd(2) ? "normal" : "bulk");
    struct accept_args args = job_args(id);
    args.lane = span_of(lane);
    args.prio = (int)rnd(10);
    args.limit = rnd(2) ? (int64_t)rnd(20) : 0;
    args.counts = rnd(4) ? ITEM_POST : ITEM_USER;
    args.request_hash = rnd(3);
    args.idempotency_key = rnd(3) ? SPAN_NONE : span_of(key);
    err e = accept_args(&args, &reply);
    assert_true(e == E_OK || e == E_CONFLICT || e == E_BAD_INPUT);
}

static void random_step(struct held *held, int *held_count, int *jobs)
{
    static const int64_t steps_ms[] = {0, 0, 1, 5, 50, 300, 1500, 4000, 9000};
    struct held *h =
        *held_count ? &held[rnd((uint64_t)(*held_count < HELD ? *held_count : HELD))] : NULL;
    char id[ID_TEXT];
    struct cancel_reply r;
    w->now += steps_ms[rnd(9)];
    switch (rnd(12)) {
    case 0:
    case 1:
        random_accept(jobs);
        return;
    case 2:
    case 3:
    case 4: {
        struct held fresh = {0};
        if (reserve(&fresh.l))
            return;
        fresh.batch = fresh.l.next_batch;
        held[(*held_count)++ % HELD] = fresh;
        if (rnd(2))
            assert_int_equal(started(fresh.l.id, fresh.l.nonce), E_OK);
        return;
    }
    case 5:
    case 6:
        if (h)
            random_commit(h);
        return;
    case 7:
    case 8:
        if (h)
            random_finish(h);
        return;
    case 9:
        if (h)
            (void)heartbeat(h->l.id, h->l.nonce, NULL);
        return;
    case 10:
        snprintf(id, sizeof id, "job_%d", (int)rnd((uint64_t)*jobs + 1));
        if (rnd(4) == 0)
            (void)cancel(id, &r);
        return;
    default:
        reap();
        return;
    }
}

static void invariants_hold_after_any_sequence_of_operations(void **state)
{
    (void)state;
    const char *given = getenv("FULMAR_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 20260101;
    for (int episode = 0; episode < EPISODES; episode++, seed++) {
        struct held held[HELD];
        int held_count = 0, jobs = 0;
        rnd_state = seed * 0x9e3779b97f4a7c15u | 1;
        tear_down_disk(state);
        set_up(state);
        print_message("seed %llu\n", (unsigned long long)seed);
        w->limits.lane_max_active = 3;
        w->limits.lane_emit_ms = episode % 3 ? 0 : 700;
        reopen();
        for (int step = 0; step < STEPS; step++) {
            random_step(held, &held_count, &jobs);
            if (step % 25 == 0)
                check_invariants();
            if (step % 200 == 199)
                reopen();
        }
        check_invariants();
        assert_true(ask("SELECT count(*) FROM jobs WHERE state>=4") > 10);
        assert_int_equal(
            ask("SELECT count(*) FROM (SELECT lane_id FROM jobs WHERE state=3 GROUP BY lane_id"
                " HAVING count(*)>3)"),
            0);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_accepted_job_survives_a_kill_and_an_uncommitted_one_does_not),
        T(same_key_gives_the_same_job_and_another_body_is_refused),
        T(a_refused_accept_leaves_no_trace),
        T(a_lease_carries_all_the_worker_needs),
        T(higher_priority_first_then_first_come_first_served),
        T(lanes_share_by_weight_and_a_blocked_lane_blocks_no_other),
        T(a_lane_never_runs_more_than_max_active),
        T(starts_of_a_lane_keep_their_distance),
        T(the_breaker_opens_and_probes),
        T(a_stale_lease_changes_nothing),
        T(the_reaper_passes_twice),
        T(a_start_that_was_never_confirmed_is_no_crash),
        T(after_a_long_sleep_leases_get_one_more_period),
        T(a_restart_releases_what_ran_and_keeps_its_place),
        T(batches_are_dense_and_a_repeated_one_writes_nothing),
        T(the_first_reading_of_a_post_stands_and_other_jobs_do_not_change_it),
        T(a_job_never_has_more_posts_than_its_limit),
        T(a_job_of_users_counts_users),
        T(what_is_no_result_is_counted_apart),
        T(counts_of_fields_add_up_by_the_hour),
        T(counts_of_fields_are_bounded),
        T(posts_users_and_unavailable_are_kept_apart),
        T(what_was_left_out_is_counted_once),
        T(a_mark_moves_with_the_end_of_a_job_and_outlives_it),
        T(jobs_that_end_badly_do_not_move_the_mark),
        T(an_attempt_does_not_stop_at_what_came_meanwhile),
        T(ordinary_jobs_move_the_mark_when_they_have_it_all),
        T(a_mark_is_bounded_and_never_of_tomorrow),
        T(items_come_in_page_order_and_in_bounded_portions),
        T(every_failure_ends_as_the_table_says),
        T(budgets_end_a_job),
        T(only_failures_in_a_row_without_progress_end_a_job),
        T(only_crashes_in_a_row_without_progress_end_a_job),
        T(releases_in_a_row_wait_longer_and_longer),
        T(a_job_under_which_the_service_dies_ends),
        T(a_cursor_has_a_limit),
        T(failures_after_progress_do_not_open_the_breaker),
        T(one_bad_target_does_not_open_the_breaker),
        T(a_waiting_job_says_what_it_waits_for),
        T(a_throttle_blocks_the_lane_for_as_long_as_the_site_said),
        T(a_released_job_is_in_front_again),
        T(cancel_does_what_each_state_allows),
        T(retention_deletes_old_ended_jobs_and_what_only_they_held),
        T(a_job_with_many_items_is_deleted_in_steps),
        T(jobs_are_listed_newest_first),
        T(every_move_leaves_an_event),
        T(the_outlook_names_the_next_instant),
        T(a_second_process_is_refused_with_the_first_ones_pid),
        T(what_cannot_be_opened_says_why),
        T(the_file_is_private_and_set_up_for_durability),
        T(no_group_is_answered_before_the_disk_has_it),
        T(the_log_is_moved_into_the_file_when_nothing_waits),
        T(no_statement_walks_a_table_or_sorts),
        T(a_walk_along_lanes_is_bounded_and_goes_on_where_it_was),
        T(on_a_full_disk_jobs_end_and_none_is_accepted),
        T(invariants_hold_after_any_sequence_of_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
