/* The store of several machines as it is used: the queue in a Redis, what jobs bring in a PostgreSQL, both of this
 * program's own. */
#include "../lib/scenario.h"

#include "../lib/postgres.h"
#include "os/clock.h"
#include "store/thread.h"

#include <signal.h>
#include <string.h>

static struct archive *archive;

static void open_both(void)
{
    struct redis_place *p = w->place;
    struct archive_config to = {.url = span_of(postgres_of_group()->url)};
    struct redis_config config = {
        .url = span_of(p->server.url), .records = &records_of_archive, .callers_time = true};
    w->f = (struct fault){0};
    if (!archive && archive_open(&archive, &to, &w->f))
        fail_msg("archive: %s", w->f.words);
    config.archive = archive;
    if (redis_open(&w->s, &config, &w->limits, 7, now(), &w->f))
        fail_msg("open: %s", w->f.words);
}

static int set_up_both(void **state)
{
    if (!postgres_of_group())
        return 0;
    postgres_clear(postgres_of_group());
    set_up(state);
    store_close(&w->s);
    open_both();
    return 0;
}

static int tear_down_both(void **state)
{
    if (!postgres_of_group())
        return 0;
    store_close(&w->s);
    archive_close(&archive);
    open_store(); /* what tear_down() closes */
    return tear_down(state);
}

static void redis_dies(void)
{
    struct redis_place *p = w->place;
    store_close(&w->s);
    redis_end(&p->server, SIGKILL);
    redis_start(&p->server);
    open_both();
}

static void
a_job_goes_on_at_its_batch_after_the_queue_died_and_has_each_record_once(void **state)
{
    (void)state;
    if (!postgres_of_group())
        skip();
    const char *id = accept_job();
    struct lease l = start_next();
    for (int b = 0; b < 4; b++)
        assert_int_equal(commit_batch(&l, b, b * 5, 5), E_OK);
    /* The fifth reached the archive, and the queue died before it moved the cursor. */
    struct store_item item = {.kind = ITEM_POST, .id = SPAN("ahead"), .json = SPAN("{}")};
    struct archive_commit ahead = {.lease = {span_of(id), l.epoch, l.fence},
                                   .site = SPAN("x"),
                                   .batch = 4,
                                   .items = &item,
                                   .count = 1};
    struct archive_committed done;
    assert_int_equal(archive_commit(archive, &ahead, now(), &done, &w->f), E_OK);
    assert_int_equal(items_count(id), 21);
    redis_dies();
    assert_int_equal(commit_batch(&l, 4, 20, 5), E_STALE);
    l = start_next();
    assert_int_equal(l.next_batch, 4);
    for (int b = 4; b < 10; b++)
        assert_int_equal(commit_batch(&l, b, b * 5, 5), E_OK);
    assert_int_equal(finish(&l, FAILURE_NONE).state, JOB_SUCCEEDED);
    struct item_view *items;
    assert_int_equal(items_of(id, &items), 50);
    for (int i = 0; i < 50; i++)
        assert_int_equal(strtol(items[i].id.p, NULL, 10), i);
    assert_int_equal(view(id).have, 50);
}

static void a_lease_of_before_writes_nothing_to_the_archive_either(void **state)
{
    (void)state;
    if (!postgres_of_group())
        skip();
    const char *id = accept_job();
    struct lease old = start_next();
    assert_int_equal(commit_batch(&old, 0, 0, 3), E_OK);
    give_back(&old, BUDGET_RELEASE);
    struct lease l = start_next();
    assert_int_equal(commit_batch(&l, 1, 3, 3), E_OK);
    assert_int_equal(commit_batch(&old, 2, 90, 3), E_STALE);
    struct store_item item = {.kind = ITEM_POST, .id = SPAN("late"), .json = SPAN("{}")};
    struct archive_commit late = {.lease = {span_of(id), old.epoch, old.fence},
                                  .site = SPAN("x"),
                                  .batch = 2,
                                  .items = &item,
                                  .count = 1};
    struct archive_committed done;
    assert_int_equal(archive_commit(archive, &late, now(), &done, &w->f),
                     E_STALE); /* past the queue */
    assert_int_equal(items_count(id), 6);
}

static void evidence_and_fields_are_those_of_the_job(void **state)
{
    (void)state;
    if (!postgres_of_group())
        skip();
    accept_job();
    struct lease l = start_next();
    struct evidence_args args = {.id = span_of(l.id),
                                 .nonce = l.nonce,
                                 .strategy = SPAN("capture"),
                                 .name = SPAN("page"),
                                 .url = SPAN("https://x.test/"),
                                 .headers = SPAN("{}"),
                                 .at_ms = w->now,
                                 .body = SPAN("what was read")};
    struct evidence_reply reply;
    struct evidence_list list;
    struct evidence_view piece;
    begin();
    if (store_evidence_add(w->s, &args, now(), &reply, &w->f))
        fail_msg("%s", w->f.words);
    commit();
    assert_int_equal(reply.n, 1);
    assert_int_equal(store_evidence_list(w->s, span_of(l.id), w->a, &list, &w->f), E_OK);
    assert_int_equal(list.count, 1);
    assert_int_equal(store_evidence_read(w->s, span_of(l.id), 1, w->a, &piece, &w->f), E_OK);
    assert_true(span_is(piece.body, "what was read"));
    assert_int_equal(store_evidence_list(w->s, SPAN("job_none"), w->a, &list, &w->f),
                     E_NOT_FOUND);
    struct fields_view fields;
    assert_int_equal(store_fields(w->s, SPAN("x"), 24, now(), w->a, &fields, &w->f), E_OK);
    assert_int_equal(fields.count, 0);
}

static void a_dead_job_is_repaired_with_what_its_evidence_gives(void **state)
{
    (void)state;
    if (!postgres_of_group())
        skip();
    const char *id = accept_job();
    struct lease l = start_next();
    assert_int_equal(commit_batch(&l, 0, 0, 3), E_OK);
    assert_int_equal(finish(&l, FAILURE_DRIFT).state, JOB_DEAD);
    struct store_item items[] = {
        {.kind = ITEM_POST, .id = SPAN("2"), .json = SPAN("{\"new\":1}")},
        {.kind = ITEM_POST, .id = SPAN("3"), .json = SPAN("{}")}};
    struct repair_args args = {.id = span_of(id),
                               .revision = view(id).revision - 1,
                               .items = items,
                               .count = 2,
                               .done = true,
                               .verdict = VERDICT_COMPLETE,
                               .end = END_TERMINATE};
    struct repair_reply reply;
    begin();
    assert_int_equal(store_repair(w->s, &args, now(), &reply, &w->f),
                     E_CONFLICT); /* it changed meanwhile */
    args.revision++;
    w->f = (struct fault){0};
    if (store_repair(w->s, &args, now(), &reply, &w->f))
        fail_msg("%s", w->f.words);
    commit();
    assert_int_equal(reply.added, 1);
    assert_int_equal(reply.replaced, 1);
    struct job_view v = view(id);
    assert_int_equal(v.state, JOB_SUCCEEDED);
    assert_int_equal(v.have, 4);
    assert_int_equal(v.n_ok, 1);
    assert_int_equal(v.fence, v.n_ok + v.n_fail);
    assert_int_equal(v.fingerprint[0], 0);
    assert_int_equal(items_count(id), 4);
    begin();
    assert_int_equal(store_repair(w->s, &args, now(), &reply, &w->f),
                     E_CONFLICT); /* no longer dead */
    commit();
}

static void what_is_deleted_leaves_the_archive_too_also_over_a_crash(void **state)
{
    (void)state;
    if (!postgres_of_group())
        skip();
    struct archive_sizes sizes;
    for (int i = 0; i < 10; i++) {
        accept_job();
        struct lease l = start_next();
        assert_int_equal(commit_batch(&l, 0, i * 10, 10), E_OK);
        finish(&l, FAILURE_NONE);
    }
    assert_int_equal(archive_sizes(archive, &sizes, &w->f), E_OK);
    assert_int_equal(sizes.records, 100);
    w->now += HOUR;
    retain(&(struct retain_args){.jobs = 6});
    redis_dies();
    for (int i = 0; retain(&(struct retain_args){.jobs = 6}).more; i++)
        assert_true(i < 100);
    assert_int_equal(archive_sizes(archive, &sizes, &w->f), E_OK);
    assert_int_equal(sizes.records, 60);
    assert_int_equal(jobs_count(), 6);
}

/* ---- as the service opens it ---- */

static bool answered;

static void on_done(struct store_op *op)
{
    (void)op;
    answered = true;
}

static void wake(void *ctx)
{
    (void)ctx;
}

static void ask_thread(struct store_thread *t, struct store_op *op)
{
    struct outlook o;
    int64_t last;
    op->arena = w->a;
    op->on_done = on_done;
    answered = false;
    store_thread_post(t, op);
    while (!answered) {
        store_thread_collect(t, &o, &last);
        redis_nap();
    }
    if (op->result)
        fail_msg("%s: %s", err_name(op->result), op->fault.words);
}

static void the_thread_of_the_store_works_on_a_shared_queue(void **state)
{
    (void)state;
    if (!postgres_of_group())
        skip();
    struct redis_place *p = w->place;
    struct store_thread *t;
    archive_close(&archive); /* one thread uses an archive */
    struct shared_config shared = {.queue = p->server.url,
                                   .archive = postgres_of_group()->url,
                                   .name = "q",
                                   .node = "node",
                                   .insists = true};
    struct store_thread_config config = {.shared = &shared,
                                         .state_dir = p->server.dir,
                                         .limits = w->limits,
                                         .seed = 7,
                                         .now = clock_wall,
                                         .wake = wake};
    if (store_thread_start(&t, &config, &w->f))
        fail_msg("%s", w->f.words);
    const char *id = new_id();
    struct store_op accept = {.verb = STORE_ACCEPT, .in.accept = job_args(id, "x/normal")};
    ask_thread(t, &accept);
    struct store_op reserve = {
        .verb = STORE_RESERVE,
        .in.reserve = {.worker = SPAN("w"), .random = 1, .needs = NEEDS_PAGE}};
    ask_thread(t, &reserve);
    assert_string_equal(reserve.out.lease.id, id);
    struct store_item item = {.kind = ITEM_POST, .id = SPAN("1"), .json = SPAN("{}")};
    struct store_op commit = {
        .verb = STORE_COMMIT,
        .in.commit = {
            .id = span_of(id), .nonce = reserve.out.lease.nonce, .items = &item, .count = 1}};
    ask_thread(t, &commit);
    assert_int_equal(commit.out.commit.added, 1);
    store_thread_stop(&t);
    store_close(&w->s);
    open_both();
    assert_int_equal(items_count(id), 1);
    assert_int_equal(state_of(id), JOB_READY); /* its node has started anew */
}

/* ---- a PostgreSQL that says nothing ---- */

/* The first process and those of its connections. */
static void signal_postgres(int signum)
{
    const struct postgres *p = postgres_of_group();
    static char pids[1024]; /* that were stopped */
    if (signum == SIGSTOP &&
        !postgres_ask(p, "SELECT string_agg(pid::text,' ') FROM pg_stat_activity", pids,
                      sizeof pids))
        fail_msg("its processes are not known");
    char *rest = pids;
    for (long pid = strtol(rest, &rest, 10); pid > 0; pid = strtol(rest, &rest, 10))
        (void)kill((pid_t)pid, signum);
    assert_int_equal(kill(p->pid, signum), 0);
}

static bool beaten, committed;
static void on_beat(struct store_op *op)
{
    (void)op;
    beaten = true;
}
static void on_commit(struct store_op *op)
{
    (void)op;
    committed = true;
}

/* A page that it does not take holds up no heartbeat until the lease of this job, and of others, is over. */
static void a_silent_archive_holds_up_no_heartbeat_for_too_long(void **state)
{
    (void)state;
    enum { LEASE_MS = 12000 };
    if (!postgres_of_group())
        skip();
    struct redis_place *p = w->place;
    struct store_thread *t;
    struct outlook o;
    int64_t last;
    archive_close(&archive);
    w->limits.lease_ms = LEASE_MS;
    struct shared_config shared = {.queue = p->server.url,
                                   .archive = postgres_of_group()->url,
                                   .name = "q",
                                   .node = "node",
                                   .insists = true};
    struct store_thread_config config = {.shared = &shared,
                                         .state_dir = p->server.dir,
                                         .limits = w->limits,
                                         .seed = 7,
                                         .now = clock_wall,
                                         .wake = wake};
    if (store_thread_start(&t, &config, &w->f))
        fail_msg("%s", w->f.words);
    const char *id = new_id();
    struct store_op accept = {.verb = STORE_ACCEPT, .in.accept = job_args(id, "x/normal")};
    ask_thread(t, &accept);
    struct store_op reserve = {
        .verb = STORE_RESERVE,
        .in.reserve = {.worker = SPAN("w"), .random = 1, .needs = NEEDS_PAGE}};
    ask_thread(t, &reserve);
    uint64_t nonce = reserve.out.lease.nonce;
    struct store_item item = {.kind = ITEM_POST, .id = SPAN("1"), .json = SPAN("{}")};
    struct store_op commit = {
        .verb = STORE_COMMIT,
        .arena = w->a,
        .on_done = on_commit,
        .in.commit = {.id = span_of(id), .nonce = nonce, .items = &item, .count = 1}};
    struct store_op beat = {.verb = STORE_HEARTBEAT,
                            .arena = w->ids,
                            .on_done = on_beat,
                            .in.lease = {span_of(id), nonce}};
    beaten = committed = false;
    signal_postgres(SIGSTOP);
    int64_t began = clock_mono().ms;
    store_thread_post(t, &commit);
    store_thread_post(t, &beat);
    while (!beaten || !committed) {
        store_thread_collect(t, &o, &last);
        redis_nap();
    }
    int64_t took = clock_mono().ms - began;
    signal_postgres(SIGCONT);
    assert_int_equal(beat.result, E_OK);
    assert_int_equal(commit.result, E_STORE);
    assert_true(took < LEASE_MS * 2 / 3); /* it is told to stop then */
    for (err e = E_STORE; e; e = commit.result) {
        committed = false;
        store_thread_post(t, &commit);
        while (!committed) {
            store_thread_collect(t, &o, &last);
            redis_nap();
        }
    }
    assert_int_equal(commit.out.commit.added, 1);
    store_thread_stop(&t);
    store_close(&w->s);
    open_both();
    assert_int_equal(items_count(id), 1);
}

#define B(name) cmocka_unit_test_setup_teardown(name, set_up_both, tear_down_both)

int main(void)
{
    const struct CMUnitTest tests[] = {
        B(a_job_goes_on_at_its_batch_after_the_queue_died_and_has_each_record_once),
        B(a_lease_of_before_writes_nothing_to_the_archive_either),
        B(evidence_and_fields_are_those_of_the_job),
        B(a_dead_job_is_repaired_with_what_its_evidence_gives),
        B(what_is_deleted_leaves_the_archive_too_also_over_a_crash),
        B(the_thread_of_the_store_works_on_a_shared_queue),
        B(a_silent_archive_holds_up_no_heartbeat_for_too_long),
    };
    maker = &store_makers[1];
    return cmocka_run_group_tests(tests, postgres_group_start, postgres_group_stop);
}
