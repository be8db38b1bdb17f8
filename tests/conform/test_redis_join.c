/* A node of several machines that starts while one of its servers is away: it is there, says what it waits for, takes jobs
 * onto its own disk when it may, and joins when the servers are there. */
#include "../lib/scenario.h"

#include "../lib/between.h"
#include "../lib/postgres.h"
#include "os/clock.h"
#include "store/thread.h"

#include <string.h>

static struct store_thread *thread;
static struct shared_config shared;
static bool answered;

static struct redis_server *redis(void)
{
    return &((struct redis_place *)w->place)->server;
}

static int set_up_node(void **state)
{
    if (!postgres_of_group())
        return 0;
    postgres_clear(postgres_of_group());
    set_up(state);
    store_close(&w->s);
    shared = (struct shared_config){.queue = redis()->url,
                                    .archive = postgres_of_group()->url,
                                    .name = "q",
                                    .node = "north",
                                    .insists = true,
                                    .spool_most = 10};
    return 0;
}

static int tear_down_node(void **state)
{
    if (!postgres_of_group())
        return 0;
    store_thread_stop(&thread);
    open_store(); /* what tear_down() closes */
    return tear_down(state);
}

static void wake(void *ctx)
{
    (void)ctx;
}

static void on_done(struct store_op *op)
{
    (void)op;
    answered = true;
}

static err start_node(void)
{
    struct store_thread_config config = {.shared = &shared,
                                         .state_dir = redis()->dir,
                                         .limits = w->limits,
                                         .seed = 7,
                                         .now = clock_wall,
                                         .wake = wake};
    w->f = (struct fault){0};
    return store_thread_start(&thread, &config, &w->f);
}

static err ask(struct store_op *op)
{
    struct outlook o;
    int64_t last;
    op->arena = w->a;
    op->on_done = on_done;
    answered = false;
    store_thread_post(thread, op);
    while (!answered) {
        store_thread_collect(thread, &o, &last);
        redis_nap();
    }
    return op->result;
}

static struct store_op accept_op(void)
{
    return (struct store_op){.verb = STORE_ACCEPT, .in.accept = job_args(new_id(), "x/normal")};
}

static bool is_away(char *words)
{
    char ignored[240];
    return store_thread_away(thread, words ? words : ignored, 240);
}

static void joined(void)
{
    while (is_away(NULL))
        redis_nap();
}

static enum job_state state_at(const char *id)
{
    struct store_op job = {.verb = STORE_JOB, .in.job.id = span_of(id)};
    err e = ask(&job);
    if (e)
        fail_msg("%s: %s", id, job.fault.words);
    return job.out.job.state;
}

static void without_its_redis_a_node_takes_jobs_says_why_it_waits_and_joins(void **state)
{
    (void)state;
    char words[240];
    if (!postgres_of_group())
        skip();
    redis_end(redis(), SIGKILL);
    assert_int_equal(start_node(), E_OK);
    assert_true(is_away(words));
    assert_non_null(strstr(words, "Redis cannot be reached"));
    struct store_op taken = accept_op(), again = taken, job = {.verb = STORE_JOB};
    assert_int_equal(ask(&taken), E_OK);
    assert_int_equal(taken.out.accept.durability, DURABILITY_SPOOLED);
    job.in.job.id = taken.in.accept.id;
    assert_int_equal(ask(&job), E_BUSY); /* it waits here, and is none that is not there */
    /* The same over a restart: nobody has seen the Redis yet. */
    store_thread_stop(&thread);
    assert_int_equal(start_node(), E_OK);
    again.in.accept.idempotency_key = SPAN_NONE;
    assert_int_equal(ask(&again), E_CONFLICT);
    assert_int_equal(store_thread_spool(thread).waiting, 1);
    redis_start(redis());
    joined();
    while (store_thread_spool(thread).waiting > 0)
        redis_nap();
    assert_int_equal(state_at(taken.in.accept.id.p), JOB_READY);
    struct store_op fresh = accept_op(),
                    reserve = {
                        .verb = STORE_RESERVE,
                        .in.reserve = {.worker = SPAN("w"), .random = 1, .needs = NEEDS_PAGE}};
    assert_int_equal(ask(&fresh), E_OK);
    assert_true(fresh.out.accept.durability != DURABILITY_SPOOLED);
    assert_int_equal(ask(&reserve), E_OK);
    assert_string_equal(reserve.out.lease.id, taken.in.accept.id.p);
}

static void without_a_spool_a_node_refuses_jobs_until_its_redis_is_there(void **state)
{
    (void)state;
    if (!postgres_of_group())
        skip();
    shared.spool_most = 0;
    redis_end(redis(), SIGKILL);
    assert_int_equal(start_node(), E_OK);
    struct store_op job = accept_op();
    assert_int_equal(ask(&job), E_BUSY);
    assert_non_null(strstr(job.fault.words, "Redis cannot be reached"));
    assert_true(job.fault.wait_ms > 0);
    redis_start(redis());
    joined();
    assert_int_equal(ask(&job), E_OK);
}

static void one_that_stands_still_holds_up_no_start_for_ever(void **state)
{
    (void)state;
    if (!postgres_of_group() ||
        scaled(10) < 10) /* it waits for an answer as long as a call may */
        skip();
    redis_signal(redis(), SIGSTOP);
    assert_int_equal(start_node(), E_OK);
    assert_true(is_away(NULL));
    struct store_op job = accept_op();
    assert_int_equal(ask(&job), E_OK);
    assert_int_equal(job.out.accept.durability, DURABILITY_SPOOLED);
    redis_signal(redis(), SIGCONT);
    joined();
    while (store_thread_spool(thread).waiting > 0)
        redis_nap();
    assert_int_equal(state_at(job.in.accept.id.p), JOB_READY);
}

static void without_its_archive_a_node_waits_likewise(void **state)
{
    (void)state;
    char words[240];
    if (!postgres_of_group())
        skip();
    postgres_end(postgres_of_group(), SIGQUIT);
    assert_int_equal(start_node(), E_OK);
    assert_true(is_away(words));
    assert_non_null(strstr(words, "archive"));
    struct store_op job = accept_op();
    assert_int_equal(ask(&job), E_OK);
    assert_int_equal(job.out.accept.durability, DURABILITY_SPOOLED);
    assert_true(postgres_run(postgres_of_group()));
    joined();
    while (store_thread_spool(thread).waiting > 0)
        redis_nap();
    assert_int_equal(state_at(job.in.accept.id.p), JOB_READY);
}

static void what_a_person_has_to_mend_is_said_at_the_start_and_waited_for_later(void **state)
{
    (void)state;
    char words[240];
    const char *options[] = {"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"};
    if (!postgres_of_group())
        skip();
    shared.insists = false;
    redis_end(redis(), SIGTERM);
    memcpy(redis()->options, options, sizeof options);
    redis_start(redis());
    assert_int_equal(start_node(), E_CONFIG);
    assert_non_null(strstr(w->f.words, "noeviction"));
    /* One that comes later and would lose jobs is not used, and no job is taken for it. */
    redis_end(redis(), SIGTERM);
    assert_int_equal(start_node(), E_OK);
    redis_start(redis());
    while (is_away(words) && !strstr(words, "noeviction"))
        redis_nap();
    struct store_op job = accept_op();
    assert_int_equal(ask(&job), E_STORE);
    assert_non_null(strstr(job.fault.words, "noeviction"));
    redis_end(redis(), SIGTERM);
    redis()->options[0] = NULL; /* somebody has put it right */
    redis_start(redis());
    joined();
    assert_int_equal(ask(&job), E_OK);
}

/* Of a failover's new primary nobody has seen the settings. */
static void a_server_that_takes_over_is_judged_as_the_first_one_was(void **state)
{
    (void)state;
    const char *options[] = {"--appendfsync", "no", NULL};
    struct preflight_finding found[PREFLIGHT_MOST];
    int64_t first, looks;
    if (!postgres_of_group())
        skip();
    shared.insists = false;
    assert_int_equal(start_node(), E_OK);
    joined();
    assert_int_equal(store_thread_findings(thread, found, &first), 0);
    redis_end(redis(), SIGTERM);
    memcpy(redis()->options, options, sizeof options);
    redis_start(redis());
    do {
        redis_nap();
    } while (store_thread_findings(thread, found, &looks) == 0);
    assert_int_equal(looks, first + 1);
    assert_true(found[0].refuses && strstr(found[0].words, "appendfsync is no"));
    struct store_op job = accept_op(); /* jobs wait there: it is used all the same */
    assert_int_equal(ask(&job), E_OK);
}

static void say(const char *verb, const char *key, const char *a, const char *b)
{
    struct reply r;
    struct fault f = {0};
    struct link *l = NULL;
    struct link_config config = {.url = span_of(redis()->url), .name = SPAN("q")};
    assert_int_equal(link_new(&l, &config, &f), E_OK);
    if (link_say(l, w->a, &r, &f, verb, key, a, b, NULL))
        fail_msg("%s %s: %s", verb, key, f.words);
    link_free(&l);
}

static void wait_here(int64_t count)
{
    mono deadline = mono_add(clock_mono(), 20 * SECOND);
    while (store_thread_spool(thread).waiting != count) {
        if (mono_past(deadline, clock_mono()))
            fail_msg("%lld wait", (long long)store_thread_spool(thread).waiting);
        redis_nap();
    }
}

/* Into the spool of a node that does not run. */
static void took_before(const struct accept_args *jobs, size_t count)
{
    struct spooling *spool;
    struct accept_reply reply;
    struct fault f = {0};
    struct spooling_config config = {.state_dir = redis()->dir, .most = 10};
    assert_int_equal(spooling_open(&spool, &config, &f), E_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(
            spooling_take(spool, &jobs[i], MODE_NORMAL, clock_wall(), w->a, &reply, &f), E_OK);
    assert_int_equal(spooling_sync(spool, &f), E_OK);
    spooling_close(&spool);
}

/* One job waits here, since foreign data lies under the key of its request, though the queue has it; the next one does not wait
 * for that. Nor does it wait for a duty of upkeep that meets foreign data all the time. */
static void what_the_queue_knows_it_says_and_its_troubles_hold_up_no_other_duty(void **state)
{
    (void)state;
    if (!postgres_of_group())
        skip();
    assert_int_equal(start_node(), E_OK);
    struct store_op there = accept_op();
    assert_int_equal(ask(&there), E_OK);
    store_thread_stop(&thread);
    struct accept_args jobs[] = {there.in.accept, job_args(new_id(), "x/normal")};
    jobs[0].idempotency_key = SPAN("k");
    took_before(jobs, 2);
    say("LPUSH", "fulmar:{q}:idem:default:k", "foreign", NULL);
    assert_int_equal(start_node(), E_OK);
    joined();
    wait_here(1);
    assert_int_equal(state_at(jobs[1].id.p), JOB_READY);
    struct store_op events = {.verb = STORE_EVENTS,
                              .in.events = {.job = jobs[0].id, .limit = 10}},
                    cancel = {.verb = STORE_CANCEL, .in.cancel.id = jobs[0].id};
    assert_int_equal(state_at(jobs[0].id.p), JOB_READY);
    assert_int_equal(ask(&events), E_OK);
    assert_int_equal(events.out.events.count, 1);
    assert_int_equal(ask(&cancel), E_OK);
    assert_int_equal(state_at(jobs[0].id.p), JOB_CANCELLED);
    assert_int_equal(store_thread_spool(thread).waiting, 1);
    say("SET", "fulmar:{q}:op:foreign", "x", NULL);
    say("ZADD", "fulmar:{q}:opdue", "1", "foreign");
    say("DEL", "fulmar:{q}:idem:default:k", NULL, NULL);
    wait_here(0);
}

static struct store_op create_op(struct accept_args jobs[2], struct batch_args *batch)
{
    const char *id = made_id("bat");
    for (int i = 0; i < 2; i++)
        jobs[i] = job_args(new_id(), "x/normal");
    *batch = (struct batch_args){.id = span_of(id),
                                 .tenant = SPAN("default"),
                                 .idempotency_key = span_of(id),
                                 .request_hash = 7,
                                 .jobs = jobs,
                                 .count = 2};
    return (struct store_op){.verb = STORE_BATCH_CREATE, .in.batch_create = batch};
}

/* The queue has it perhaps, without the jobs that it refused: to answer for all of them would be wrong, and nobody knows for which. */
static void a_batch_that_the_queue_perhaps_has_in_part_is_not_taken_here(void **state)
{
    (void)state;
    struct between between;
    struct accept_args jobs[2], live = job_args(new_id(), "x/normal");
    struct batch_args batch;
    if (!postgres_of_group())
        skip();
    between_start(&between, redis()->socket);
    between.only = "$6\r\ncreate\r\n";
    between.way = BETWEEN_LOSES;
    shared.queue = between.url;
    assert_int_equal(start_node(), E_OK);
    joined();
    live.unique_key = SPAN("u");
    struct store_op there = {.verb = STORE_ACCEPT, .in.accept = live};
    assert_int_equal(ask(&there), E_OK);
    struct store_op whole = create_op(jobs, &batch);
    between.times = 2; /* also when it is sent again */
    if (ask(&whole))
        fail_msg("%s", whole.fault.words);
    assert_int_equal(whole.out.batch.durability, DURABILITY_SPOOLED);
    assert_int_equal(between.scripts, 2);
    joined();
    wait_here(0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(state_at(jobs[i].id.p), JOB_READY);
    struct store_op partial = create_op(jobs, &batch), again = partial;
    const char *first = batch.id.p;
    batch.partial = true;
    jobs[0].unique_key = live.unique_key;
    jobs[0].on_conflict = UNIQUE_REJECT;
    between.scripts = 0;
    assert_int_equal(ask(&partial), E_STORE);
    assert_non_null(strstr(partial.fault.words, "perhaps it was done"));
    assert_int_equal(between.scripts, 2);
    assert_int_equal(store_thread_spool(thread).waiting, 0);
    /* Nor when the client asks again, as a service does, under an id of its own, and nothing is sent any more. */
    redis_end(redis(), SIGKILL);
    batch.id = span_of(made_id("bat"));
    assert_true(ask(&again) != E_OK);
    assert_int_equal(store_thread_spool(thread).waiting, 0);
    redis_start(redis());
    joined();
    again = (struct store_op){.verb = STORE_BATCH_CREATE, .in.batch_create = &batch};
    assert_int_equal(ask(&again), E_OK); /* it was, and who asks again hears so */
    assert_true(again.out.batch.replayed);
    assert_string_equal(again.out.batch.id, first);
    struct store_op refused = {.verb = STORE_JOB, .in.job.id = jobs[0].id};
    assert_int_equal(ask(&refused), E_NOT_FOUND);
    assert_int_equal(state_at(jobs[1].id.p), JOB_READY);
    store_thread_stop(&thread);
    between_end(&between);
}

#define N(name) cmocka_unit_test_setup_teardown(name, set_up_node, tear_down_node)

int main(void)
{
    const struct CMUnitTest tests[] = {
        N(without_its_redis_a_node_takes_jobs_says_why_it_waits_and_joins),
        N(without_a_spool_a_node_refuses_jobs_until_its_redis_is_there),
        N(one_that_stands_still_holds_up_no_start_for_ever),
        N(without_its_archive_a_node_waits_likewise),
        N(a_batch_that_the_queue_perhaps_has_in_part_is_not_taken_here),
        N(what_the_queue_knows_it_says_and_its_troubles_hold_up_no_other_duty),
        N(what_a_person_has_to_mend_is_said_at_the_start_and_waited_for_later),
        N(a_server_that_takes_over_is_judged_as_the_first_one_was),
    };
    maker = &store_makers[1];
    return cmocka_run_group_tests(tests, postgres_group_start, postgres_group_stop);
}
