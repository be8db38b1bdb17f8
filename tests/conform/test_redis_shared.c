/* Promises of batches and webhooks where several nodes share a queue: whichever does a step, it is done once; and what a
 * hand broke of a batch is put right. */
#include "../lib/store.h"
#include "os/files.h"
#include "os/secret.h"
#include "store/ticket.h"
#include "store/webhooks.h"

enum { LEASE = 30000 };

static struct store *other; /* another node at the same queue */

static struct redis_place *place(void)
{
    return w->place;
}

static void open_other(const char *dir)
{
    struct redis_config config = {.url = span_of(place()->server.url),
                                  .node = SPAN("south"),
                                  .records = &kept_records,
                                  .archive = place()->archive,
                                  .state_dir = dir,
                                  .callers_time = true};
    struct fault f = {0};
    if (redis_open(&other, &config, &w->limits, 7, now(), &f))
        fail_msg("open: %s", f.words);
}

static int set_up_both(void **state)
{
    set_up(state);
    open_other(place()->server.dir);
    return 0;
}

static int tear_down_both(void **state)
{
    store_close(&other);
    return tear_down(state);
}

/* What follows is done by the other node. */
static void change_nodes(void)
{
    struct store *s = w->s;
    w->s = other;
    other = s;
}

static void ok(err e)
{
    if (e)
        fail_msg("%s: %s", err_name(e), w->f.words);
}

/* ---- batches ---- */

static struct accept_args orders[8];

static struct span ticket(const char *target)
{
    struct buf out = BUF(TICKET_MAX);
    struct accept_args job = job_args("");
    job.target = span_of(target);
    ok(ticket_write(&job, &out, &w->f));
    struct span kept = arena_keep(w->a, buf_span(&out));
    buf_free(&out);
    return kept;
}

static const char *batch_of(size_t count)
{
    const char *id = new_id("bat");
    struct batch_reply reply;
    for (size_t i = 0; i < count; i++)
        orders[i] = job_args(new_id("job"));
    struct batch_args args = {.id = span_of(id),
                              .jobs = orders,
                              .count = count,
                              .calls = {ticket("when-complete"), ticket("when-success")}};
    begin();
    ok(store_batch_create(w->s, &args, now(), w->a, &reply, &w->f));
    commit();
    return id;
}

static struct batch_view batch(const char *id)
{
    struct batch_view v;
    ok(store_batch(w->s, span_of(id), w->a, &v, &w->f));
    return v;
}

static void told_once(const char *id)
{
    assert_int_equal(events_of(id, "batch.complete"), 1);
    assert_int_equal(events_of(id, "batch.success"), 1);
    assert_int_equal(jobs_in(JOB_READY), 2); /* the callbacks */
    assert_true(batch(id).calls[BATCH_COMPLETE].job[0]);
    assert_true(batch(id).calls[BATCH_SUCCESS].job[0]);
}

static void a_batch_whose_jobs_end_on_two_nodes_has_its_callbacks_once(void **state)
{
    (void)state;
    const char *id = batch_of(2);
    struct lease here, there;
    assert_true(reserve(&here));
    change_nodes();
    assert_true(reserve(&there));
    finish(&there, FAILURE_NONE, "");
    assert_int_equal(batch(id).finished_ms, 0);
    change_nodes();
    finish(&here, FAILURE_NONE, "");
    tend();
    change_nodes();
    tend();
    told_once(id);
}

/* The queue is full when the last job ends; both nodes try for the callbacks later. */
static void callbacks_that_two_nodes_tend_come_once(void **state)
{
    (void)state;
    const char *id = batch_of(1);
    struct lease l;
    struct cancel_reply cancelled;
    assert_true(reserve(&l));
    const char *in_the_way = accept_job();
    w->limits.ready_max = 1;
    store_close(&w->s);
    store_close(&other);
    open_store(); /* gives the lease back */
    open_other(place()->server.dir);
    l = lease_of(l.id);
    finish(&l, FAILURE_NONE, "");
    assert_int_equal(batch(id).calls[BATCH_COMPLETE].due_ms, w->now + 5000);
    begin();
    ok(store_cancel(w->s, &(struct cancel_args){.id = span_of(in_the_way)}, now(), &cancelled,
                    &w->f));
    commit();
    w->now += 5000;
    for (int i = 0; i < 4; i++) {
        struct lease callback;
        tend();
        change_nodes();
        tend();
        if (reserve(&callback))
            finish(&callback, FAILURE_NONE, "");
        w->now += 5000;
    }
    assert_int_equal(events_of(id, "batch.complete"), 1);
    assert_int_equal(events_of(id, "batch.success"), 1);
    assert_int_equal(jobs_in(JOB_SUCCEEDED), 3);
    assert_int_equal(jobs_in(-1), 4);
}

/* The node that had the last job is gone; the reaper of another one ends it. */
static void a_job_of_a_batch_whose_node_died_ends_it_on_another(void **state)
{
    (void)state;
    const char *id = batch_of(1);
    struct lease l;
    struct reap_reply reaped;
    change_nodes();
    for (int life = 0; life < 2; life++) {
        assert_true(reserve(&l));
        begin();
        ok(store_started(w->s, span_of(l.id), l.nonce, &w->f));
        commit();
        change_nodes();
        for (int pass = 0; pass < 2; pass++) {
            w->now += w->limits.lease_ms + 1;
            begin();
            ok(store_reap(w->s, now(), &reaped, &w->f));
            commit();
        }
        w->now += 3600 * 1000;
        begin();
        ok(store_reap(w->s, now(), &reaped, &w->f));
        commit();
    }
    assert_int_equal(batch(id).counts[JOB_DEAD], 1);
    assert_int_equal(events_of(id, "batch.complete"), 1);
    assert_int_equal(events_of(id, "batch.success"), 0);
    assert_true(batch(id).calls[BATCH_COMPLETE].job[0]);
}

static int64_t walk_once(void)
{
    struct audit_reply r = {0};
    int64_t repaired = 0, walks;
    ok(redis_audit(w->s, now(), &r, &w->f));
    walks = r.walks + 2; /* one that began before is none */
    repaired = r.repaired;
    while (r.walks < walks) {
        ok(redis_audit(w->s, now(), &r, &w->f));
        repaired += r.repaired;
    }
    return repaired;
}

static void ask_redis(const char *const words[4])
{
    struct arena *a = arena_new(1 << 16);
    struct reply r = {0};
    ok(link_say(place()->watch, a, &r, &w->f, words[0], words[1], words[2], words[3], NULL));
    arena_free(&a);
}

static void s71_a_broken_index_of_a_batch_is_found_and_put_right(void **state)
{
    (void)state;
    const char *id = batch_of(3), *outside = accept_job();
    const char *job = orders[0].id.p;
    char ready[96], dead[96];
    snprintf(ready, sizeof ready, "fulmar:{q}:b:%s:2", id);
    snprintf(dead, sizeof dead, "fulmar:{q}:b:%s:5", id);
    assert_int_equal(walk_once(), 0);
    const char *const breaks[][4] = {
        {"ZREM", ready, job},
        {"ZREM", "fulmar:{q}:batches", id},
        /* and what is too much */
        {"ZADD", ready, "77", outside},
        {"ZADD", dead, "1", job},
        {"ZADD", dead, "99", "job_ghost"},
    };
    for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++) {
        ask_redis(breaks[i]);
        assert_true(walk_once() > 0);
        assert_int_equal(walk_once(), 0);
        struct batch_view *all;
        size_t n;
        bool more;
        ok(store_batches(w->s, SPAN_NONE, 10, w->a, &all, &n, &more, &w->f));
        assert_int_equal(n, 1);
        assert_int_equal(all[0].counts[JOB_READY], 3);
        assert_int_equal(all[0].counts[JOB_DEAD], 0);
    }
    for (int i = 0; i < 3; i++)
        end_job(orders[i].id.p, FAILURE_NONE);
    assert_int_equal(events_of(id, "batch.success"), 1);
}

/* ---- webhooks ---- */

static const char *hook(void)
{
    const char *id = new_id("whk");
    struct webhook_put args = {.id = span_of(id),
                               .name = SPAN("desk"),
                               .url = SPAN("https://receiver.example/fulmar"),
                               .types = SPAN("job.*"),
                               .secret =
                                   SPAN("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
                               .enabled = 1,
                               .revision = -1};
    begin();
    ok(store_webhook_add(w->s, &args, now(), &w->f));
    commit();
    return id;
}

static err try_take(size_t most, struct webhooks_taken *out)
{
    struct webhooks_take_args args = {.most = most, .lease_ms = LEASE, .at_s = w->now / 1000};
    begin();
    err e = store_webhooks_take(w->s, &args, now(), w->a, out, &w->f);
    commit();
    return e;
}

static void arrived(const struct webhook_attempt *t)
{
    struct webhook_done_reply reply;
    struct webhook_done_args args = {
        .did = t->did, .number = t->number, .arrived = true, .status = 204};
    begin();
    ok(store_webhook_done(w->s, &args, now(), &reply, &w->f));
    commit();
}

static void two_nodes_that_send_at_once_send_each_delivery_once_and_in_order(void **state)
{
    enum { JOBS = 30, PER_JOB = 3 };
    (void)state;
    const char *id = hook();
    struct map seen = {0};
    size_t sent = 0;
    for (int i = 0; i < JOBS; i++)
        end_job(accept_job(), FAILURE_NONE);
    for (int turn = 0; sent < (size_t)JOBS * PER_JOB; turn++) {
        struct webhooks_taken here, there;
        assert_true(turn < 200);
        ok(try_take(3, &here));
        change_nodes();
        ok(try_take(3, &there)); /* while those of the first are under way */
        assert_true(here.count + there.count <= WEBHOOK_AT_ONCE);
        for (size_t i = 0; i < here.count + there.count; i++) {
            const struct webhook_attempt *t =
                i < here.count ? &here.attempts[i] : &there.attempts[i - here.count];
            assert_null(map_find(&seen, t->event));
            map_add(&seen, t->event, w);
            arrived(t); /* by whichever node */
            sent++;
        }
    }
    map_free(&seen);
    struct webhook_view v;
    ok(store_webhook(w->s, span_of(id), w->a, &v, &w->f));
    assert_int_equal(v.delivered, JOBS * PER_JOB);
    assert_int_equal(v.open, 0);
    assert_int_equal(v.missed, 0);
}

/* Nothing could be signed there: the attempts would be used up for nothing. */
static void a_node_without_the_key_takes_no_delivery_and_says_so(void **state)
{
    (void)state;
    char dir[96];
    struct webhooks_taken t;
    struct secret_key *another = NULL;
    struct fault f = {0};
    snprintf(dir, sizeof dir, "%s/keyless", place()->server.dir);
    assert_int_equal(files_make_folder(dir, 0700, &f), E_OK);
    store_close(&other);
    open_other(dir);
    hook();
    end_job(accept_job(), FAILURE_NONE);
    change_nodes();
    assert_int_not_equal(try_take(4, &t), E_OK);
    assert_true(w->f.words[0] != '\0');
    /* It made a key of its own, before it was given that of the others. */
    assert_int_equal(secret_key_open(&another, dir, true, &f), E_OK);
    secret_key_close(&another);
    assert_int_not_equal(try_take(4, &t), E_OK);
    change_nodes();
    ok(try_take(4, &t));
    assert_int_equal(t.count, 1);
    assert_int_equal(t.attempts[0].number, 1);
}

/* The node that has it dies: after its time the other one sends it, and what the first one heard late counts for
 * nothing. */
static void a_delivery_of_a_node_that_died_is_sent_by_another_under_its_id(void **state)
{
    (void)state;
    struct webhooks_taken first, again;
    hook();
    end_job(accept_job(), FAILURE_NONE);
    ok(try_take(1, &first));
    assert_int_equal(first.count, 1);
    change_nodes();
    ok(try_take(1, &again));
    assert_int_equal(again.count, 0);
    assert_int_equal(again.next_ms, w->now + LEASE);
    w->now += LEASE;
    ok(try_take(1, &again));
    assert_int_equal(again.count, 1);
    assert_true(span_eq(again.attempts[0].event, first.attempts[0].event));
    assert_int_equal(again.attempts[0].number, 2);
}

/* Nobody tells it: it looks by itself, and hears of events from then on. */
static void a_node_that_knows_no_webhook_soon_finds_the_first_one_of_another(void **state)
{
    (void)state;
    struct webhooks_taken t;
    ok(try_take(4, &t));
    assert_int_equal(t.active, 0);
    assert_int_equal(t.next_ms, w->now + WEBHOOKS_LOOK_MS);
    assert_true(WEBHOOKS_LOOK_MS <= 10000);
    int64_t looks_at = t.next_ms;
    change_nodes();
    hook();
    end_job(accept_job(), FAILURE_NONE);
    change_nodes();
    w->now = looks_at;
    ok(try_take(4, &t));
    assert_int_equal(t.active, 1);
    assert_int_equal(t.count, 1);
}

static err reserve_with(const struct reserve_args *args, struct lease *out)
{
    begin();
    err e = store_reserve(w->s, args, now(), w->a, out, &w->f);
    commit();
    return e;
}

/* One node at a time makes room for a job that fits beside no others: not one that rests from that, or drains, though it
 * comes first. */
static void room_is_made_by_a_node_that_does_so_now(void **state)
{
    (void)state;
    struct lease l;
    struct accept_args large = job_args(new_id("job"));
    large.memory_bytes = 4000;
    large.prio = 9;
    begin();
    ok(store_accept(w->s, &large, now(), &(struct accept_reply){0}, &w->f));
    commit();
    for (int i = 0; i < 4; i++)
        accept_job();
    w->now += 10000;
    struct reserve_args rests = {.worker = SPAN("w"),
                                 .needs = NEEDS_PAGE,
                                 .memory_bytes = 1000},
                        makes = rests, emptied = rests;
    makes.room_after_ms = 5000;
    emptied.memory_bytes = STORE_MEMORY_ANY;
    emptied.memory_least = 4000;
    rests.random = 1, makes.random = 2, emptied.random = 3;
    ok(reserve_with(&rests, &l));
    assert_int_equal(l.passed_ms, 0);
    change_nodes();
    ok(reserve_with(&makes, &l));
    assert_int_equal(l.passed_bytes, 4000);
    change_nodes();
    makes.random = 4;
    ok(reserve_with(&makes, &l)); /* the other one is at it */
    assert_int_equal(l.passed_ms, 0);
    change_nodes();
    ok(reserve_with(&emptied, &l));
    assert_string_equal(l.id, large.id.p);
}

/* The one that has seen that the job is gone, or is tired of it, makes way for others with its next question. */
static void room_is_made_by_another_when_one_has_given_it_up(void **state)
{
    (void)state;
    struct lease l;
    struct accept_args large = job_args(new_id("job"));
    large.memory_bytes = 4000;
    large.prio = 9;
    begin();
    ok(store_accept(w->s, &large, now(), &(struct accept_reply){0}, &w->f));
    commit();
    for (int i = 0; i < 4; i++)
        accept_job();
    w->now += 10000;
    struct reserve_args makes = {.worker = SPAN("w"),
                                 .needs = NEEDS_PAGE,
                                 .memory_bytes = 1000,
                                 .room_after_ms = 5000},
                        rests = makes;
    rests.room_after_ms = 0;
    makes.random = 1, rests.random = 2;
    ok(reserve_with(&makes, &l));
    assert_string_equal(l.passed, large.id.p);
    ok(reserve_with(&rests, &l));
    assert_int_equal(l.passed_ms, 0);
    change_nodes();
    makes.random = 3;
    ok(reserve_with(&makes, &l));
    assert_string_equal(l.passed, large.id.p);
    assert_int_equal(l.passed_bytes, 4000);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up_both, tear_down_both)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(room_is_made_by_a_node_that_does_so_now),
        T(room_is_made_by_another_when_one_has_given_it_up),
        T(a_batch_whose_jobs_end_on_two_nodes_has_its_callbacks_once),
        T(callbacks_that_two_nodes_tend_come_once),
        T(a_job_of_a_batch_whose_node_died_ends_it_on_another),
        T(s71_a_broken_index_of_a_batch_is_found_and_put_right),
        T(two_nodes_that_send_at_once_send_each_delivery_once_and_in_order),
        T(a_node_that_knows_no_webhook_soon_finds_the_first_one_of_another),
        T(a_node_without_the_key_takes_no_delivery_and_says_so),
        T(a_delivery_of_a_node_that_died_is_sent_by_another_under_its_id),
    };
    maker = &store_makers[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
