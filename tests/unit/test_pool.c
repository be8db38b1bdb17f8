/* What a slot promises, whatever the store and its worker do. The store's thread is this test, which answers as it is told;
 * a worker is this very program again, a process that does what the target of its job says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "pool/pool.h"

#include "../lib/pack.h"
#include "base/need.h"
#include "browser/inside.h"
#include "os/clock.h"
#include "os/spawn.h"
#include "worker/channel.h"
#include "worker/worker.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- the worker ---- */

enum { PAGES = 3 };

static void say(struct channel *c, struct frame f)
{
    if (channel_send(c, &f))
        _exit(1);
}
static struct frame hear(struct channel *c)
{
    struct frame f;
    if (channel_next(c, CHANNEL_FOREVER, &f))
        _exit(0); /* node is gone, or has closed it */
    return f;
}
static void fail_job(struct channel *c, enum failure_class class)
{
    say(c, (struct frame){.type = FRAME_FAIL, .n = {class}, .t = {SPAN("as it was told")}});
}

static void bring_pages(struct channel *c, int64_t first)
{
    for (int64_t batch = first; batch < PAGES; batch++) {
        say(c, (struct frame){.type = FRAME_RECORDS, .n = {batch, 1}, .t = {SPAN("cursor")}});
        struct frame f = hear(c);
        if (f.type == FRAME_CANCEL) {
            fail_job(c, FAILURE_CANCELLED);
            return;
        }
        if (f.type != FRAME_COMMITTED || f.n[0]) {
            fail_job(c, FAILURE_INTERNAL);
            return;
        }
    }
    say(c, (struct frame){.type = FRAME_DONE, .n = {VERDICT_COMPLETE, END_TERMINATE}});
}

static void work(struct channel *c, const struct frame *job)
{
    int64_t first = job->n[1];
    struct span target = job->t[3];
    if (span_is(target, "dies unseen"))
        _exit(1);
    say(c, (struct frame){.type = FRAME_PROGRESS, .t = {SPAN("take the job")}});
    if (span_is(target, "dies"))
        _exit(1);
    if (span_is(target, "breaks the protocol"))
        say(c, (struct frame){.type = FRAME_READY, .t = {SPAN("again")}});
    if (span_is(target, "pages")) {
        bring_pages(c, first);
        return;
    }
    while (span_is(target, "deaf"))
        (void)pause();
    while (hear(c).type != FRAME_CANCEL) {
    }
    fail_job(c, FAILURE_CANCELLED);
}

static int worker(int argc, char **argv)
{
    struct channel c;
    struct buf image, versions = BUF(4096);
    struct fault f;
    channel_init(&c, WORKER_SOCKET_FD);
    if (packs_read_image(WORKER_PACKS_FD, &image, &f))
        return 1;
    for (int i = 3; i < argc; i++) {
        struct pack *p;
        if (pack_open_image(&p, buf_span(&image), argv[i], &f))
            return 1;
        packs_add_version(&versions, p);
        pack_close(&p);
    }
    buf_free(&image);
    say(&c, (struct frame){.type = FRAME_READY, .n = {getpid()}, .t = {buf_span(&versions)}});
    for (;;) {
        struct frame job = hear(&c);
        if (job.type == FRAME_JOB)
            work(&c, &job);
    }
}

/* ---- the store's thread ---- */

enum { SAID_MOST = 512, LEASE_MS = 900, LATE_MS = 30000, TICK_MS = 5 };

struct said {
    enum store_verb verb;
    int64_t at_ms, batch;
    bool worker_runs; /* that w.watched is, when it was said */
    enum failure_class failure;
    enum failure_budget budget;
};

static struct world {
    struct loop *loop;
    struct timer *answers, *tick;
    struct listener_signal *ended;
    struct pool *pool;
    struct pool_config config;
    struct packs *packs;
    struct browsers browsers; /* there is none */
    mono late;
    bool (*awaited)(void);
    bool was_late, drained;
    pid_t watched;
    /* the store */
    const char *target, *site;
    int jobs; /* that may be reserved */
    bool cancel;
    err answer[STORE_VERBS];
    bool silent[STORE_VERBS];
    struct store_op *waiting[32];
    size_t waits;
    struct said said[SAID_MOST];
    size_t says;
} w;

static pid_t worker_pid(void)
{
    struct worker_view v[4];
    return pool_workers(w.pool, v, 4) ? v[0].pid : 0;
}

/* In code of its own: one whose end has begun closes what it has open, and is not gone yet. */
static bool runs(pid_t pid)
{
    enum { EXITING = 4 }; /* PF_EXITING of Linux's sched.h */
    char path[64];
    unsigned flags = EXITING;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    bool read = fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %u", &flags) == 1;
    fclose(f);
    return read && !(flags & EXITING);
}

void store_thread_post(struct store_thread *t, struct store_op *op)
{
    (void)t;
    need(w.waits < sizeof w.waiting / sizeof *w.waiting && w.says < SAID_MOST);
    struct said *s = &w.said[w.says++];
    *s = (struct said){
        .verb = op->verb, .at_ms = loop_now(w.loop).ms, .worker_runs = runs(w.watched)};
    if (op->verb == STORE_COMMIT)
        s->batch = op->in.commit.batch;
    if (op->verb == STORE_FINISH) {
        s->failure = op->in.finish.failure;
        s->budget = op->in.finish.budget;
    }
    w.waiting[w.waits++] = op;
    timer_start(w.answers, 0);
}
wall store_thread_now(struct store_thread *t)
{
    (void)t;
    return clock_wall();
}
void store_thread_hungry(struct store_thread *t, bool hungry)
{
    (void)t;
    (void)hungry;
}

static void give_job(struct store_op *op)
{
    if (!op->result && !w.jobs)
        op->result = E_END;
    if (op->result)
        return;
    w.jobs--;
    op->out.lease = (struct lease){.id = "job_01ARZ3NDEKTSV4RRFFQ6000001",
                                   .nonce = 7,
                                   .fence = 1,
                                   .attempt = 1,
                                   .site = span_of(w.site),
                                   .kind = SPAN("posts"),
                                   .target = span_of(w.target),
                                   .spec = SPAN("{}")};
}

static void on_answers(void *ctx)
{
    (void)ctx;
    struct store_op *ops[sizeof w.waiting / sizeof *w.waiting];
    size_t n = w.waits;
    memcpy(ops, w.waiting, sizeof ops);
    w.waits = 0;
    for (size_t i = 0; i < n; i++) {
        struct store_op *op = ops[i];
        if (w.silent[op->verb]) {
            w.waiting[w.waits++] = op;
            continue;
        }
        memset(&op->out, 0, sizeof op->out);
        op->result = w.answer[op->verb];
        if (op->verb == STORE_RESERVE)
            give_job(op);
        if (op->verb == STORE_HEARTBEAT)
            op->out.heartbeat.cancel = w.cancel;
        op->on_done(op);
    }
}
static void speak(enum store_verb verb)
{
    w.silent[verb] = false;
    timer_start(w.answers, 0);
}

static size_t count(enum store_verb verb)
{
    size_t n = 0;
    for (size_t i = 0; i < w.says; i++)
        n += w.said[i].verb == verb;
    return n;
}
static const struct said *nth(enum store_verb verb, size_t n) /* from 0 */
{
    for (size_t i = 0; i < w.says; i++)
        if (w.said[i].verb == verb && n-- == 0)
            return &w.said[i];
    fail_msg("it was not said so often");
    return NULL;
}

/* ---- the world ---- */

static void on_tick(void *ctx)
{
    (void)ctx;
    w.was_late = mono_past(w.late, loop_now(w.loop));
    if (w.was_late || w.awaited())
        loop_stop(w.loop);
    else
        timer_start(w.tick, TICK_MS);
}
static void until(bool (*awaited)(void))
{
    w.awaited = awaited;
    w.late = mono_add(clock_mono(), LATE_MS);
    timer_start(w.tick, TICK_MS);
    loop_run(w.loop);
    assert_false(w.was_late);
}
static void on_ended(void *ctx, int signum)
{
    (void)ctx;
    (void)signum;
    pid_t pid;
    int status;
    while (spawn_reap(&pid, &status))
        (void)pool_child_ended(w.pool, pid, status);
}
static bool an_idle_worker(void)
{
    struct pool_view v;
    pool_view(w.pool, &v);
    return v.idle == 1 && !v.busy && !v.stopping;
}
static bool it_has_drained(void)
{
    return w.drained;
}
static void on_drained(void *ctx)
{
    (void)ctx;
    w.drained = true;
}

static int setup(void **state)
{
    (void)state;
    struct fault f;
    w = (struct world){.site = "generic-feed", .target = "pages"};
    w.loop = loop_new();
    list_init(&w.browsers.all);
    w.packs = packs_new();
    packs_add(w.packs, open_site("generic-feed"), &(struct pack_places){0});
    if (packs_seal(w.packs, &f) || signal_new(&w.ended, w.loop, SIGCHLD, on_ended, NULL))
        return 1;
    w.answers = timer_new(w.loop, on_answers, NULL, "answers");
    w.tick = timer_new(w.loop, on_tick, NULL, "tick");
    w.config = (struct pool_config){.workers_at_start = 1,
                                    .workers = 1,
                                    .worker_jobs_max = 100,
                                    .worker_memory_max = 1 << 30,
                                    .attempt_ms = 60000,
                                    .stall_ms = 60000,
                                    .navigate_ms = 1000,
                                    .batch_ms = 1000,
                                    .grace_ms = 200,
                                    .lease_ms = LEASE_MS,
                                    .body_max = 1 << 20,
                                    .fenced = true,
                                    .fetch_ms = 1000,
                                    .packs = w.packs};
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    if (w.pool) {
        memset(w.answer, 0, sizeof w.answer);
        memset(w.silent, 0, sizeof w.silent);
        timer_start(w.answers, 0);
        pool_drain(w.pool, 0, on_drained, NULL);
        until(it_has_drained);
        pool_free(&w.pool);
    }
    packs_drop(&w.packs);
    timer_close(&w.answers);
    timer_close(&w.tick);
    signal_close(&w.ended);
    loop_free(&w.loop);
    return 0;
}

static void start(void)
{
    struct fault f;
    assert_int_equal(pool_start(&w.pool, w.loop, NULL, &w.browsers, &w.config, &f), E_OK);
    until(an_idle_worker);
}
static void give(const char *target)
{
    w.target = target;
    w.jobs++;
    pool_kick(w.pool, 1, 1);
}

static bool one_end(void)
{
    return count(STORE_FINISH) == 1;
}
static bool two_ends(void)
{
    return count(STORE_FINISH) == 2;
}
static bool three_ends(void)
{
    return count(STORE_FINISH) == 3;
}
static bool two_commits(void)
{
    return count(STORE_COMMIT) == 2;
}
static bool it_runs(void)
{
    return count(STORE_STARTED) == 1;
}

/* The worker goes on to the next job, which ends well. */
static void takes_another(void)
{
    w.says = 0;
    give("pages");
    until(one_end);
    assert_int_equal(nth(STORE_FINISH, 0)->failure, FAILURE_NONE);
    until(an_idle_worker);
}

/* ---- what is promised ---- */

static void a_job_ends_once_and_its_worker_takes_the_next_one(void **state)
{
    (void)state;
    start();
    pid_t pid = worker_pid();
    give("pages");
    until(one_end);
    until(an_idle_worker);
    assert_int_equal(count(STORE_COMMIT), PAGES);
    assert_int_equal(count(STORE_FINISH), 1);
    assert_int_equal(nth(STORE_FINISH, 0)->failure, FAILURE_NONE);
    takes_another();
    assert_int_equal(worker_pid(), pid);
}

static void
a_page_that_the_store_cannot_take_is_kept_and_nothing_is_begun_meanwhile(void **state)
{
    (void)state;
    w.config.workers_at_start = w.config.workers = 2;
    struct fault f;
    assert_int_equal(pool_start(&w.pool, w.loop, NULL, &w.browsers, &w.config, &f), E_OK);
    w.answer[STORE_COMMIT] = E_STORE;
    w.jobs = 1;
    pool_kick(w.pool, 1, 1);
    until(two_commits);
    w.jobs = 5;
    pool_kick(w.pool, 5, 5);
    assert_int_equal(count(STORE_RESERVE), 1);
    assert_int_equal(count(STORE_FINISH), 0);
    w.jobs = 0;
    w.answer[STORE_COMMIT] = E_OK;
    until(one_end);
    assert_int_equal(nth(STORE_FINISH, 0)->failure, FAILURE_NONE);
    assert_int_equal(count(STORE_COMMIT), 2 + PAGES); /* once more, and the others */
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(nth(STORE_COMMIT, i)->batch, 0);
    assert_true(nth(STORE_COMMIT, 1)->at_ms - nth(STORE_COMMIT, 0)->at_ms >= 500);
    assert_true(nth(STORE_COMMIT, 2)->at_ms - nth(STORE_COMMIT, 1)->at_ms >= 1000);
}

static void an_attempt_that_ends_while_its_page_waits_is_given_back_without_blame(void **state)
{
    (void)state;
    w.config.attempt_ms = 700;
    start();
    w.answer[STORE_COMMIT] = E_BUSY;
    give("pages");
    until(one_end);
    assert_int_equal(nth(STORE_FINISH, 0)->failure, FAILURE_CANCELLED);
    assert_int_equal(nth(STORE_FINISH, 0)->budget, BUDGET_RELEASE);
    w.answer[STORE_COMMIT] = E_OK;
    until(an_idle_worker);
    takes_another();
}

static bool three_beats(void)
{
    return count(STORE_HEARTBEAT) >= 3;
}
static bool four_beats(void)
{
    return count(STORE_HEARTBEAT) >= 4;
}
static void a_heartbeat_that_fails_is_sent_anew_at_once(void **state)
{
    (void)state;
    w.config.fenced = false; /* it is about its times alone */
    start();
    w.answer[STORE_HEARTBEAT] = E_BUSY;
    give("holds");
    until(three_beats);
    w.answer[STORE_HEARTBEAT] = E_OK;
    until(four_beats);
    assert_true(nth(STORE_HEARTBEAT, 0)->at_ms - nth(STORE_RESERVE, 0)->at_ms >= LEASE_MS / 3);
    /* Three of them are there before the second one of those that are answered would be. */
    assert_true(nth(STORE_HEARTBEAT, 1)->at_ms - nth(STORE_HEARTBEAT, 0)->at_ms < LEASE_MS / 3);
    assert_true(nth(STORE_HEARTBEAT, 2)->at_ms - nth(STORE_HEARTBEAT, 1)->at_ms < LEASE_MS / 3);
    assert_int_equal(count(STORE_FINISH), 0);
}

/* Its worker, which does not listen, is gone before the store is told anything. */
static void a_job_whose_lease_nobody_renews_is_stopped_and_given_back(void **state)
{
    (void)state;
    start();
    w.silent[STORE_HEARTBEAT] = true;
    give("deaf");
    until(it_runs);
    w.watched = worker_pid();
    assert_true(runs(w.watched));
    until(one_end);
    const struct said *end = nth(STORE_FINISH, 0);
    assert_int_equal(end->failure, FAILURE_CANCELLED);
    assert_int_equal(end->budget, BUDGET_RELEASE);
    assert_true(end->at_ms - nth(STORE_RESERVE, 0)->at_ms >= LEASE_MS - LEASE_MS / 3);
    assert_false(end->worker_runs);
    speak(STORE_HEARTBEAT);
    until(an_idle_worker);
    takes_another();
}

static void an_unrenewed_lease_of_a_store_of_this_process_alone_stops_nothing(void **state)
{
    (void)state;
    w.config.fenced = false;
    start();
    w.silent[STORE_HEARTBEAT] = w.silent[STORE_COMMIT] = true;
    give("pages");
    until(it_runs);
    int64_t began = clock_mono().ms;
    while (clock_mono().ms - began < LEASE_MS + 300) /* is what is tested */
        until(it_runs);
    assert_int_equal(count(STORE_FINISH), 0);
    speak(STORE_HEARTBEAT);
    speak(STORE_COMMIT);
    until(one_end);
    assert_int_equal(nth(STORE_FINISH, 0)->failure, FAILURE_NONE);
}

static void after_the_loss_of_its_lease_the_store_hears_nothing_of_a_job(void **state)
{
    (void)state;
    start();
    w.answer[STORE_COMMIT] = E_STALE;
    give("pages");
    until(it_runs);
    until(an_idle_worker);
    assert_int_equal(count(STORE_COMMIT), 1);
    assert_int_equal(count(STORE_FINISH), 0);
    w.answer[STORE_COMMIT] = E_OK;
    takes_another();
    w.says = 0;
    w.answer[STORE_HEARTBEAT] = E_STALE;
    give("holds");
    until(it_runs);
    until(an_idle_worker);
    assert_int_equal(count(STORE_FINISH), 0);
}

static void an_end_that_cannot_be_stored_is_told_again_and_its_lease_is_kept(void **state)
{
    (void)state;
    start();
    w.answer[STORE_FINISH] = E_STORE;
    give("pages");
    until(two_ends);
    assert_int_equal(count(STORE_RESERVE), 1); /* its slot is taken */
    w.answer[STORE_FINISH] = E_OK;
    until(an_idle_worker);
    assert_int_equal(count(STORE_FINISH), 3);
    assert_true(nth(STORE_FINISH, 1)->at_ms - nth(STORE_FINISH, 0)->at_ms >= 500);
    assert_true(nth(STORE_FINISH, 2)->at_ms - nth(STORE_FINISH, 1)->at_ms >= 1000);
    assert_true(count(STORE_HEARTBEAT) >= 2);
    takes_another();
}

static void a_worker_that_dies_is_charged_to_the_job_that_it_had_seen(void **state)
{
    (void)state;
    start();
    pid_t pid = worker_pid();
    give("dies");
    until(one_end);
    assert_int_equal(nth(STORE_FINISH, 0)->failure, FAILURE_CRASH);
    assert_int_equal(nth(STORE_FINISH, 0)->budget, BUDGET_CRASH);
    until(an_idle_worker);
    assert_int_not_equal(worker_pid(), pid);
    give("dies unseen");
    until(two_ends);
    assert_int_equal(nth(STORE_FINISH, 1)->budget, BUDGET_RELEASE);
    until(an_idle_worker);
    give("breaks the protocol");
    until(three_ends);
    assert_int_equal(nth(STORE_FINISH, 2)->failure, FAILURE_CRASH);
    until(an_idle_worker);
    takes_another();
}

static void a_job_of_a_site_that_is_not_here_is_given_back(void **state)
{
    (void)state;
    start();
    w.site = "elsewhere";
    give("pages");
    until(one_end);
    assert_int_equal(nth(STORE_FINISH, 0)->budget, BUDGET_RELEASE);
    assert_int_equal(count(STORE_STARTED), 0);
    w.site = "generic-feed";
    until(an_idle_worker);
    takes_another();
}

static void a_cancelled_job_ends_by_itself_or_by_force_and_its_slot_goes_on(void **state)
{
    (void)state;
    start();
    pid_t pid = worker_pid();
    w.cancel = true;
    give("holds");
    until(one_end);
    assert_int_equal(nth(STORE_FINISH, 0)->failure, FAILURE_CANCELLED);
    assert_int_equal(nth(STORE_FINISH, 0)->budget, BUDGET_NONE);
    w.cancel = false;
    until(an_idle_worker);
    assert_int_equal(worker_pid(), pid);
    w.says = 0;
    give("deaf");
    until(it_runs);
    pool_cancel(w.pool, SPAN("job_01ARZ3NDEKTSV4RRFFQ6000001"), true);
    until(an_idle_worker);
    assert_int_equal(count(STORE_FINISH), 0); /* its lease was void before */
    assert_int_not_equal(worker_pid(), pid);
    takes_another();
}

static void a_job_that_stands_still_is_stuck_also_when_its_worker_does_not_listen(void **state)
{
    (void)state;
    w.config.stall_ms = 300;
    start();
    give("holds");
    until(one_end);
    assert_int_equal(nth(STORE_FINISH, 0)->failure, FAILURE_STUCK);
    until(an_idle_worker);
    give("deaf");
    until(two_ends);
    assert_int_equal(nth(STORE_FINISH, 1)->failure, FAILURE_STUCK);
    until(an_idle_worker);
    takes_another();
}

/* The store has its page and is slow: no matter of the job. */
static void a_store_that_takes_its_time_makes_no_job_stuck(void **state)
{
    (void)state;
    w.config.stall_ms = 200;
    start();
    w.silent[STORE_COMMIT] = true;
    give("pages");
    until(it_runs);
    int64_t began = clock_mono().ms;
    while (clock_mono().ms - began < 700) /* is what is tested */
        until(it_runs);
    assert_int_equal(count(STORE_FINISH), 0);
    speak(STORE_COMMIT);
    until(one_end);
    assert_int_equal(nth(STORE_FINISH, 0)->failure, FAILURE_NONE);
}

static void what_a_drain_stops_is_given_back_without_blame(void **state)
{
    (void)state;
    start();
    give("holds");
    until(it_runs);
    pool_drain(w.pool, 0, on_drained, NULL);
    until(it_has_drained);
    assert_int_equal(nth(STORE_FINISH, 0)->failure, FAILURE_CANCELLED);
    assert_int_equal(nth(STORE_FINISH, 0)->budget, BUDGET_RELEASE);
    w.jobs = 1;
    pool_kick(w.pool, 1, 1);
    assert_int_equal(count(STORE_RESERVE), 1);
    pool_free(&w.pool);
}

static bool two_questions(void)
{
    return count(STORE_RESERVE) == 2;
}
static void a_store_that_cannot_be_asked_is_asked_again_by_itself(void **state)
{
    (void)state;
    start();
    w.answer[STORE_RESERVE] = E_STORE;
    give("pages");
    until(an_idle_worker);
    w.answer[STORE_RESERVE] = E_OK;
    until(two_questions);
    assert_true(nth(STORE_RESERVE, 1)->at_ms - nth(STORE_RESERVE, 0)->at_ms >= 1000);
    until(one_end);
    until(an_idle_worker);
    pool_away(w.pool, true);
    give("pages");
    assert_true(an_idle_worker());
    pool_away(w.pool, false);
    takes_another();
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    spawn_init();
    if (argc > 1 && !strcmp(argv[1], "@worker"))
        return worker(argc, argv);
    const struct CMUnitTest tests[] = {
        T(a_job_ends_once_and_its_worker_takes_the_next_one),
        T(a_page_that_the_store_cannot_take_is_kept_and_nothing_is_begun_meanwhile),
        T(an_attempt_that_ends_while_its_page_waits_is_given_back_without_blame),
        T(a_heartbeat_that_fails_is_sent_anew_at_once),
        T(a_job_whose_lease_nobody_renews_is_stopped_and_given_back),
        T(an_unrenewed_lease_of_a_store_of_this_process_alone_stops_nothing),
        T(after_the_loss_of_its_lease_the_store_hears_nothing_of_a_job),
        T(an_end_that_cannot_be_stored_is_told_again_and_its_lease_is_kept),
        T(a_worker_that_dies_is_charged_to_the_job_that_it_had_seen),
        T(a_job_of_a_site_that_is_not_here_is_given_back),
        T(a_cancelled_job_ends_by_itself_or_by_force_and_its_slot_goes_on),
        T(a_job_that_stands_still_is_stuck_also_when_its_worker_does_not_listen),
        T(a_store_that_takes_its_time_makes_no_job_stuck),
        T(what_a_drain_stops_is_given_back_without_blame),
        T(a_store_that_cannot_be_asked_is_asked_again_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
