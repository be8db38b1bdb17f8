/* The promises of store/thread.h: grouped commits, each answer once, on time, and durable. */
#include "../lib/calls.h"
#include "core/metrics.h"

#include <sqlite3.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

static wall real_now(void)
{
    return (wall){read_ms(CLOCK_REALTIME)};
}

static int set_up(void **state)
{
    world_make(state, real_now, 15000);
    start();
    return 0;
}

static int tear_down_mount(void **state)
{
    (void)umount2(w->dir, MNT_DETACH);
    return tear_down(state);
}

static struct call *reserved(struct call *c)
{
    c->arena = arena_new(1 << 20);
    c->op.in.reserve = (struct reserve_args){.worker = SPAN("w1")};
    c->op.in.reserve.needs = NEEDS_PAGE;
    c->op.in.reserve.random = ++w->nonces;
    assert_int_equal(answer(c, STORE_RESERVE), E_OK);
    return c;
}

static err finish(const struct lease *l, enum failure_class failure, struct finish_reply *out)
{
    struct call c = {0};
    c.op.in.finish = (struct finish_args){.id = span_of(l->id),
                                          .nonce = l->nonce,
                                          .failure = failure,
                                          .verdict = failure ? VERDICT_NONE : VERDICT_COMPLETE};
    err e = answer(&c, STORE_FINISH);
    *out = c.op.out.finish;
    return e;
}

/* ---- tests ---- */

static void many_callers_share_few_commits_and_each_is_answered_once(void **state)
{
    (void)state;
    enum { CALLS = 500 };
    struct call *calls = calloc(CALLS, sizeof *calls);
    int64_t commits = metric_get(METRIC_STORE_TX, 0), ok = metric_get(METRIC_STORE_OPS, 0);
    for (int i = 0; i < CALLS; i++) {
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%03d", i);
        prepare_accept(&calls[i], id);
        post(&calls[i], STORE_ACCEPT);
        assert_int_equal(calls[i].done, 0); /* never before post returned */
    }
    wait_for(w->answered == CALLS);
    turn(0);
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(calls[i].done, 1);
        assert_int_equal(calls[i].op.result, E_OK);
        assert_string_equal(calls[i].op.out.accept.id, calls[i].id);
    }
    assert_true(metric_get(METRIC_STORE_TX, 0) - commits < CALLS / 10);
    assert_int_equal(metric_get(METRIC_STORE_OPS, 0) - ok, CALLS);
    assert_int_equal(w->outlook.startable, OUTLOOK_STARTS);
    assert_int_equal(w->outlook.runnable, CALLS);
    assert_int_equal(w->outlook.by_state[JOB_READY], CALLS);
    assert_int_equal(w->last_event, CALLS);
    assert_int_equal(metric_get(METRIC_JOBS, JOB_READY), CALLS);
    free(calls);
}

static void a_read_sees_what_was_posted_before_it(void **state)
{
    (void)state;
    struct call write = {0}, read_job = {.arena = arena_new(1 << 20)},
                list = {.arena = arena_new(1 << 20)};
    struct call events = {.arena = arena_new(1 << 20)}, items = {.arena = arena_new(1 << 20)};
    prepare_accept(&write, "job_1");
    post(&write, STORE_ACCEPT);
    read_job.op.in.job.id = SPAN("job_1");
    post(&read_job, STORE_JOB);
    list.op.in.jobs = (struct jobs_query){.state = -1, .limit = 10};
    post(&list, STORE_JOBS);
    events.op.in.events.job = SPAN("job_1");
    events.op.in.events.limit = 10;
    post(&events, STORE_EVENTS);
    items.op.in.items.id = SPAN("job_2");
    items.op.in.items.limit = 10;
    assert_int_equal(answer(&items, STORE_ITEMS), E_NOT_FOUND);
    assert_non_null(strstr(items.op.fault.words, "job_2"));
    assert_int_equal(read_job.op.result, E_OK);
    assert_int_equal(read_job.op.out.job.state, JOB_READY);
    assert_int_equal(list.op.out.jobs.count, 1);
    assert_int_equal(events.op.out.events.count, 1);
    arena_free(&read_job.arena);
    arena_free(&list.arena);
    arena_free(&events.arena);
    arena_free(&items.arena);
}

static void a_job_walks_through_all_its_verbs(void **state)
{
    (void)state;
    accept_job("job_1");
    struct call c = {0}, lease = {0};
    const struct lease *l = &reserved(&lease)->op.out.lease;
    c.op.in.lease.id = span_of(l->id);
    c.op.in.lease.nonce = l->nonce;
    assert_int_equal(answer(&c, STORE_STARTED), E_OK);
    assert_int_equal(answer(&c, STORE_HEARTBEAT), E_OK);
    assert_false(c.op.out.heartbeat.cancel);
    const struct store_item item = {.kind = ITEM_POST, .id = SPAN("1"), .json = SPAN("{}")};
    c.op.in.commit = (struct commit_args){
        .id = span_of(l->id), .nonce = l->nonce, .items = &item, .count = 1};
    assert_int_equal(answer(&c, STORE_COMMIT), E_OK);
    assert_int_equal(c.op.out.commit.added, 1);
    c.op.in.cancel = (struct cancel_args){.id = span_of(l->id)};
    assert_int_equal(answer(&c, STORE_CANCEL), E_OK);
    assert_true(c.op.out.cancel.active);
    struct finish_reply r;
    assert_int_equal(finish(l, FAILURE_NONE, &r), E_OK);
    assert_int_equal(r.state, JOB_SUCCEEDED);
    assert_int_equal(finish(l, FAILURE_NONE, &r), E_STALE);
    assert_int_equal(w->outlook.by_state[JOB_SUCCEEDED], 1);
    arena_free(&lease.arena);
}

static void due_jobs_are_startable_on_time_without_a_poll(void **state)
{
    (void)state;
    int64_t missed = metric_get(METRIC_MISSED_WAKEUPS, 0);
    for (int i = 0; i < 6; i++) {
        char id[ID_TEXT];
        struct call lease = {0};
        struct finish_reply r;
        snprintf(id, sizeof id, "job_%d", i);
        accept_job(id);
        const struct lease *l = &reserved(&lease)->op.out.lease;
        assert_string_equal(l->id, id);
        int64_t before =
            real_now().ms; /* the store reads the clock between here and its answer */
        assert_int_equal(finish(l, FAILURE_RESOURCE, &r), E_OK);
        assert_int_equal(r.state, JOB_SCHEDULED);
        wait_for(w->outlook.startable == 1);
        if (real_now().ms < before + r.retry_in_ms)
            fail_msg("%lld ms early", (long long)(before + r.retry_in_ms - real_now().ms));
        arena_free(&lease.arena);
        assert_int_equal(finish(&reserved(&lease)->op.out.lease, FAILURE_NONE, &r), E_OK);
        arena_free(&lease.arena);
    }
    assert_int_equal(metric_get(METRIC_MISSED_WAKEUPS, 0), missed);
}

static void lapsed_leases_are_found_without_being_asked(void **state)
{
    (void)state;
    int64_t missed = metric_get(METRIC_MISSED_WAKEUPS, 0);
    store_thread_stop(&w->t);
    w->config.limits.lease_ms = 300;
    start();
    accept_job("job_1");
    struct call lease = {0}, c = {0};
    c.op.in.lease.id = SPAN("job_1");
    c.op.in.lease.nonce = reserved(&lease)->op.out.lease.nonce;
    assert_int_equal(answer(&c, STORE_STARTED), E_OK);
    wait_for(w->outlook.by_state[JOB_ACTIVE] == 0);
    wait_for(w->outlook.startable == 1); /* after its backoff */
    assert_int_equal(answer(&c, STORE_HEARTBEAT), E_STALE);
    assert_int_equal(metric_get(METRIC_MISSED_WAKEUPS, 0), missed);
    arena_free(&lease.arena);
}

static void retention_runs_by_itself(void **state)
{
    (void)state;
    store_thread_stop(&w->t);
    w->config.limits.lease_ms = 1000; /* a poll each second */
    w->config.retain.age_ms = 1;
    start();
    accept_job("job_1");
    struct call c = {0};
    c.op.in.cancel = (struct cancel_args){.id = SPAN("job_1")};
    assert_int_equal(answer(&c, STORE_CANCEL), E_OK);
    c.arena = arena_new(1 << 20);
    wait_for(answer(&c, STORE_JOB) == E_NOT_FOUND);
    arena_free(&c.arena);
}

static void post_once_more(struct store_op *op)
{
    struct call *c = op->ctx;
    if (++c->done == 1)
        store_thread_post(w->t, op);
}

static void stopping_answers_everything(void **state)
{
    (void)state;
    enum { CALLS = 300 };
    struct call *calls = calloc(CALLS, sizeof *calls), late = {0};
    for (int i = 0; i < CALLS; i++) {
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%03d", i);
        prepare_accept(&calls[i], id);
        post(&calls[i], STORE_ACCEPT);
    }
    prepare_accept(&late, "job_late");
    late.op.verb = STORE_ACCEPT;
    late.op.ctx = &late;
    late.op.on_done = post_once_more;
    store_thread_post(w->t, &late.op);
    store_thread_stop(&w->t);
    assert_null(w->t);
    assert_int_equal(w->answered, CALLS);
    assert_int_equal(late.done, 2);
    assert_int_equal(late.op.result, E_SHUTDOWN); /* posted by a callback after the end */
    start();
    turn(0);
    assert_int_equal(w->outlook.by_state[JOB_READY], CALLS + 1);
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(calls[i].op.result, E_OK);
    free(calls);
}

static int acknowledge_fd;

static void on_accepted(struct store_op *op)
{
    struct call *c = op->ctx;
    if (op->result || write(acknowledge_fd, c->id, sizeof c->id) != sizeof c->id)
        _exit(3);
    w->answered++;
    c->done = 1;
}

/* Accepts without end and tells the parent of each one that was acknowledged. */
static void storm(void)
{
    enum { CALLS = 64 };
    static struct call calls[CALLS];
    int serial = 0;
    struct fault f = {0};
    if (store_thread_start(&w->t, &w->config, &f))
        _exit(2);
    for (int i = 0; i < CALLS; i++)
        calls[i].done = 1;
    for (;;) {
        for (int i = 0; i < CALLS; i++) {
            if (!calls[i].done)
                continue;
            char id[ID_TEXT];
            snprintf(id, sizeof id, "job_%08d", serial++);
            prepare_accept(&calls[i], id);
            calls[i].done = 0;
            calls[i].op.verb = STORE_ACCEPT;
            calls[i].op.ctx = &calls[i];
            calls[i].op.on_done = on_accepted;
            store_thread_post(w->t, &calls[i].op);
        }
        turn(1000);
    }
}

static void what_was_acknowledged_is_there_after_a_kill(void **state)
{
    (void)state;
    enum { ENOUGH = 2000 };
    struct call c = {.arena = arena_new(1 << 20)};
    int pipes[2], n = 0;
    char(*ids)[ID_TEXT] = calloc(100000, ID_TEXT);
    store_thread_stop(&w->t);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        acknowledge_fd = pipes[1];
        storm();
        _exit(1);
    }
    close(pipes[1]);
    while (n < 100000 && read(pipes[0], ids[n], ID_TEXT) == ID_TEXT) {
        if (++n == ENOUGH)
            assert_int_equal(kill(pid, SIGKILL), 0);
    }
    close(pipes[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(n >= ENOUGH);
    start();
    for (int i = 0; i < n; i++) {
        c.op.in.job.id = span_of(ids[i]);
        if (answer(&c, STORE_JOB))
            fail_msg("%s was acknowledged and is gone", ids[i]);
        arena_reset(c.arena);
    }
    free(ids);
    arena_free(&c.arena);
}

static void a_full_disk_refuses_accepts_and_lets_jobs_end(void **state)
{
    (void)state;
    store_thread_stop(&w->t);
    if (mount("tmpfs", w->dir, "tmpfs", 0, "size=8m") != 0) {
        start();
        skip();
    }
    start();
    struct call lease[3], c = {0};
    memset(lease, 0, sizeof lease);
    for (int i = 0; i < 3; i++) {
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%d", i);
        accept_job(id);
        reserved(&lease[i]);
    }
    char path[128];
    static char block[4096];
    snprintf(path, sizeof path, "%s/filler", w->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    while (write(fd, block, sizeof block) > 0)
        continue;
    close(fd);
    err e = E_OK;
    for (int i = 0; !e && i < 3000; i++) {
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_full%d", i);
        prepare_accept(&c, id);
        e = answer(&c, STORE_ACCEPT);
    }
    assert_int_equal(e, E_DISK_FULL);
    assert_true(c.op.fault.words[0] != 0);
    for (int i = 0; i < 3; i++) {
        struct finish_reply r;
        assert_int_equal(finish(&lease[i].op.out.lease, FAILURE_NONE, &r), E_OK);
        assert_int_equal(r.state, JOB_SUCCEEDED);
        arena_free(&lease[i].arena);
    }
    assert_int_equal(unlink(path), 0);
    prepare_accept(&c, "job_again");
    wait_for(answer(&c, STORE_ACCEPT) == E_OK); /* by itself, within a poll */
    store_thread_stop(&w->t);
    assert_int_equal(umount(w->dir), 0);
    start();
}

/* One operation that the schema refuses must not take the others of its group along. */
static void a_poisoned_operation_fails_alone(void **state)
{
    (void)state;
    enum { CALLS = 40 };
    static struct call calls[CALLS];
    char path[128];
    sqlite3 *db;
    store_thread_stop(&w->t);
    snprintf(path, sizeof path, "%s/fulmar.db", w->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db,
                     "CREATE TRIGGER poison BEFORE INSERT ON jobs WHEN NEW.id='job_13'"
                     " BEGIN SELECT RAISE(ABORT,'poison'); END",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    start();
    for (int i = 0; i < CALLS; i++) {
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%d", i);
        prepare_accept(&calls[i], id);
        post(&calls[i], STORE_ACCEPT);
    }
    wait_for(w->answered == CALLS);
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(calls[i].op.result, i == 13 ? E_BUG : E_OK);
    wait_for(w->outlook.by_state[JOB_READY] == CALLS - 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down_mount)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(many_callers_share_few_commits_and_each_is_answered_once),
        T(a_read_sees_what_was_posted_before_it),
        T(a_job_walks_through_all_its_verbs),
        T(due_jobs_are_startable_on_time_without_a_poll),
        T(lapsed_leases_are_found_without_being_asked),
        T(retention_runs_by_itself),
        T(stopping_answers_everything),
        T(what_was_acknowledged_is_there_after_a_kill),
        T(a_full_disk_refuses_accepts_and_lets_jobs_end),
        T(a_poisoned_operation_fails_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
