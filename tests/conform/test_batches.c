/* The promises of batches.h: counts from rows, callbacks once whatever crashes, no batch that waits for
 * what is gone. */
#include "../lib/store.h"

#include "store/evidence.h"
#include "store/lanes.h"
#include "store/ticket.h"

enum { JOBS_MOST = 1000 };
static const char *ids[JOBS_MOST]; /* of the jobs of the batch made last */

static struct accept_args orders[JOBS_MOST];

static void make_orders(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ids[i] = new_id("job");
        orders[i] = job_args(ids[i]);
    }
}

static struct span ticket(const char *target)
{
    struct buf out = BUF(TICKET_MAX);
    struct fault f = {0};
    struct accept_args job = job_args("");
    job.target = span_of(target);
    assert_int_equal(ticket_write(&job, &out, &f), E_OK);
    struct span kept = arena_keep(w->a, buf_span(&out));
    buf_free(&out);
    return kept;
}

static struct batch_args args_of(size_t count)
{
    make_orders(count);
    return (struct batch_args){.id = span_of(new_id("bat")),
                               .name = SPAN("mayors"),
                               .jobs = orders,
                               .count = count,
                               .calls = {ticket("when-complete"), ticket("when-success")}};
}

static err create(const struct batch_args *args, struct batch_reply *out)
{
    begin();
    err e = store_batch_create(w->s, args, now(), w->a, out, &w->f);
    commit();
    return e;
}

/* A batch of so many jobs, sealed. */
static const char *batch_of(size_t count)
{
    struct batch_args args = args_of(count);
    struct batch_reply reply;
    assert_int_equal(create(&args, &reply), E_OK);
    assert_int_equal(reply.added, count);
    return args.id.p;
}

static struct batch_view batch(const char *id)
{
    struct batch_view v;
    struct fault f = {0};
    if (store_batch(w->s, span_of(id), w->a, &v, &f))
        fail_msg("store_batch: %s", f.words);
    return v;
}

static int64_t jobs_for(const char *target)
{
    struct arena *a = arena_new(64 << 20);
    struct jobs_query q = {.state = -1, .limit = 500};
    struct job_view *jobs;
    struct fault f = {0};
    size_t count;
    int64_t n = 0;
    do {
        if (store_jobs(w->s, &q, now(), a, &jobs, &count, &f))
            fail_msg("store_jobs: %s", f.words);
        for (size_t i = 0; i < count; i++)
            n += span_is(jobs[i].target, target);
        q.after = count ? span_of(jobs[count - 1].id) : q.after;
    } while (count);
    arena_free(&a);
    return n;
}

static int64_t batches_there(void)
{
    struct batch_view *all;
    size_t n;
    bool more;
    struct fault f = {0};
    if (store_batches(w->s, SPAN_NONE, 100, w->a, &all, &n, &more, &f))
        fail_msg("store_batches: %s", f.words);
    return (int64_t)n;
}

/* What was announced of the batch, and the jobs that were made for it, agree and are right. */
static void announced(const char *id, bool complete, bool success)
{
    assert_int_equal(events_of(id, "batch.complete"), complete);
    assert_int_equal(events_of(id, "batch.success"), success);
    assert_int_equal(jobs_for("when-complete"), complete);
    assert_int_equal(jobs_for("when-success"), success);
    struct batch_view v = batch(id);
    assert_int_equal(v.calls[BATCH_COMPLETE].at_ms > 0, complete);
    assert_int_equal(v.calls[BATCH_SUCCESS].at_ms > 0, success);
    assert_int_equal(v.finished_ms > 0, complete);
}

static err seal(const char *id)
{
    begin();
    err e = store_batch_seal(w->s, span_of(id), now(), &w->f);
    commit();
    return e;
}

static err add_jobs(const char *id, size_t count, struct batch_reply *out)
{
    struct batch_add_args args = {.id = span_of(id), .jobs = orders, .count = count};
    begin();
    err e = store_batch_add(w->s, &args, now(), w->a, out, &w->f);
    commit();
    return e;
}

static void cancel_job(const char *id)
{
    struct cancel_reply reply;
    begin();
    assert_int_equal(
        store_cancel(w->s, &(struct cancel_args){.id = span_of(id)}, now(), &reply, &w->f),
        E_OK);
    commit();
}

/* ---- making ---- */

/* S11: one of many cannot be accepted. */
static void a_batch_is_stored_whole_or_not_at_all(void **state)
{
    (void)state;
    const char *there = accept_job();
    struct batch_args args = args_of(1000);
    struct batch_reply reply;
    orders[700].id = span_of(there);
    int64_t jobs = jobs_in(-1), last = store_last_event(w->s);
    struct outlook before, after;
    assert_int_equal(store_outlook(w->s, now(), &before, &w->f), E_OK);
    assert_int_equal(create(&args, &reply), E_CONFLICT);
    assert_int_equal(reply.refused_count, 1);
    assert_int_equal(reply.refused[0].index, 700);
    assert_non_null(strstr(w->f.words, "job 700"));
    assert_int_equal(jobs_in(-1), jobs);
    assert_int_equal(store_last_event(w->s), last);
    assert_int_equal(batches_there(), 0);
    assert_int_equal(store_outlook(w->s, now(), &after, &w->f), E_OK);
    assert_memory_equal(&before, &after, sizeof before);
    /* And what the store believes in memory is right: it goes on. */
    end_job(there, FAILURE_NONE);
}

static void a_partial_batch_is_stored_without_what_was_refused_which_is_named(void **state)
{
    (void)state;
    const char *there = accept_job();
    struct batch_args args = args_of(1000);
    struct batch_reply reply;
    orders[700].id = span_of(there);
    args.partial = true;
    assert_int_equal(create(&args, &reply), E_OK);
    assert_int_equal(reply.added, 999);
    assert_int_equal(reply.refused_count, 1);
    assert_int_equal(reply.refused[0].index, 700);
    assert_int_equal(reply.refused[0].code, E_CONFLICT);
    struct batch_view v = batch(args.id.p);
    assert_int_equal(v.counts[JOB_READY], 999);
    assert_string_equal(view(there).batch, "");
    assert_string_equal(view(ids[3]).batch, args.id.p);
}

static void a_refused_part_of_a_group_leaves_the_other_operations_of_it_alone(void **state)
{
    (void)state;
    struct batch_args args = args_of(10);
    struct accept_args one = job_args(new_id("job"));
    struct accept_reply accepted;
    struct batch_reply reply;
    orders[9].prio = 77;
    begin();
    assert_int_equal(store_accept(w->s, &one, now(), &accepted, &w->f), E_OK);
    assert_int_equal(store_batch_create(w->s, &args, now(), w->a, &reply, &w->f), E_BAD_INPUT);
    commit();
    assert_int_equal(jobs_in(-1), 1);
    end_job(one.id.p, FAILURE_NONE);
}

static int64_t ready_in(const char *lane)
{
    struct lane_view v;
    struct fault f = {0};
    err e = store_lane(w->s, span_of(lane), now(), w->a, &v, &f);
    if (e != E_NOT_FOUND)
        assert_int_equal(e, E_OK);
    return e ? -1 : v.ready;
}

static err accept_in(const char *lane)
{
    struct accept_args one = job_args(new_id("job"));
    struct accept_reply accepted;
    one.lane = span_of(lane);
    return store_accept(w->s, &one, now(), &accepted, &w->f);
}

/* Lanes that the group touched before the part, lanes that the part touched first, lanes that it made. */
static void lanes_and_limits_are_what_they_were_before_a_refused_part(void **state)
{
    (void)state;
    begin();
    assert_int_equal(accept_in("x/interactive"), E_OK);
    commit();
    w->limits.lanes_max = 4;
    store_close(&w->s);
    open_store();
    for (int i = 0; i < 3; i++) {
        struct batch_args args = args_of(10);
        struct batch_reply reply;
        for (int k = 3; k < 6; k++)
            orders[k].lane = SPAN("x/interactive");
        orders[6].lane = SPAN("other/y/bulk");
        orders[7].lane = SPAN("other/z/bulk");
        orders[9].prio = 77;
        memset(args.calls, 0, sizeof args.calls);
        begin();
        assert_int_equal(accept_in("x/normal"), E_OK);
        assert_int_equal(store_batch_create(w->s, &args, now(), w->a, &reply, &w->f),
                         E_BAD_INPUT);
        assert_int_equal(ready_in("x/normal"), 2 * i + 1);
        assert_int_equal(ready_in("x/interactive"), 1 + i);
        assert_int_equal(ready_in("other/y/bulk"), -1);
        w->f = (struct fault){0};
        args.id = span_of(new_id("bat"));
        args.count = 3; /* these fit */
        assert_int_equal(store_batch_create(w->s, &args, now(), w->a, &reply, &w->f), E_OK);
        assert_int_equal(store_batch_cancel(w->s, args.id, span_of(new_id("opr")), now(), w->a,
                                            &(struct operation_view){0}, &w->f),
                         E_OK);
        assert_int_equal(accept_in("x/normal"), E_OK);
        assert_int_equal(accept_in("x/interactive"), E_OK);
        commit();
        struct outlook o;
        assert_int_equal(store_outlook(w->s, now(), &o, &w->f), E_OK);
        assert_int_equal(o.by_state[JOB_READY],
                         ready_in("x/normal") + ready_in("x/interactive"));
        assert_int_equal(o.runnable, jobs_in(JOB_READY));
    }
    /* There is room for the lanes that were taken back, under the numbers they had. */
    begin();
    assert_int_equal(accept_in("other/y/bulk"), E_OK);
    assert_int_equal(accept_in("other/z/bulk"), E_OK);
    commit();
    int64_t here = ready_in("x/normal"), there = ready_in("x/interactive");
    store_close(&w->s);
    open_store();
    assert_int_equal(ready_in("x/normal"), here);
    assert_int_equal(ready_in("x/interactive"), there);
    assert_int_equal(ready_in("other/y/bulk"), 1);
    struct lease l;
    int64_t got = 0;
    while (reserve(&l))
        got++;
    assert_int_equal(got, here + there + 2);
}

/* The part is taken back, then the whole group. */
static void a_refused_part_of_a_group_that_is_lost_leaves_nothing(void **state)
{
    (void)state;
    begin();
    assert_int_equal(accept_in("x/normal"), E_OK);
    commit();
    struct batch_args args = args_of(4);
    struct batch_reply reply;
    orders[1].lane = SPAN("y/normal");
    orders[3].prio = 77;
    begin();
    assert_int_equal(accept_in("x/normal"), E_OK);
    assert_int_equal(accept_in("z/normal"), E_OK);
    assert_int_equal(store_batch_create(w->s, &args, now(), w->a, &reply, &w->f), E_BAD_INPUT);
    crash(true);
    assert_int_equal(ready_in("x/normal"), 1);
    assert_int_equal(ready_in("y/normal"), -1);
    assert_int_equal(ready_in("z/normal"), -1);
}

static void a_batch_larger_than_the_queue_is_refused_whole(void **state)
{
    (void)state;
    struct batch_args args = args_of(20);
    struct batch_reply reply;
    w->limits.ready_max = 10;
    store_close(&w->s);
    open_store();
    assert_int_equal(create(&args, &reply), E_BUSY);
    assert_true(w->f.wait_ms > 0);
    assert_int_equal(jobs_in(-1), 0);
}

/* batch: that it was added to; empty: that it made one. */
static err keyed(const char *tenant, struct span batch, const char *key)
{
    return store_batch_keyed(w->s, span_of(tenant), batch, span_of(key), &w->f);
}

static void the_same_key_gives_the_same_batch(void **state)
{
    (void)state;
    struct batch_args args = args_of(3);
    struct batch_reply reply;
    args.tenant = SPAN("default");
    args.idempotency_key = SPAN("k1");
    args.request_hash = 5;
    assert_int_equal(keyed("default", SPAN_NONE, "k1"), E_NOT_FOUND);
    assert_int_equal(create(&args, &reply), E_OK);
    assert_int_equal(keyed("default", SPAN_NONE, "k1"), E_OK);
    assert_int_equal(keyed("other", SPAN_NONE, "k1"), E_NOT_FOUND);
    assert_int_equal(keyed("default", SPAN_NONE, "k2"), E_NOT_FOUND);
    assert_int_equal(keyed("default", args.id, "k1"), E_NOT_FOUND);
    struct batch_args again = args_of(3);
    again.tenant = SPAN("default");
    again.idempotency_key = SPAN("k1");
    again.request_hash = 5;
    assert_int_equal(create(&again, &reply), E_OK);
    assert_true(reply.replayed);
    assert_string_equal(reply.id, args.id.p);
    again.request_hash = 6;
    assert_int_equal(create(&again, &reply), E_BAD_INPUT);
    assert_int_equal(jobs_in(-1), 3);
    assert_int_equal(batches_there(), 1);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    struct batch_reply reply;
    struct batch_args args = args_of(1);
    args.count = 0;
    assert_int_equal(create(&args, &reply), E_BAD_INPUT);
    args = args_of(1);
    args.id = SPAN("bat_x");
    assert_int_equal(create(&args, &reply), E_BAD_INPUT);
    args = args_of(1);
    args.stop_after = BATCH_STOP_MOST + 1;
    assert_int_equal(create(&args, &reply), E_BAD_INPUT);
    args = args_of(1);
    args.count = BATCH_ADD_MOST + 1;
    assert_int_equal(create(&args, &reply), E_TOO_BIG);
    args = args_of(1);
    orders[0].idempotency_key = SPAN("k");
    assert_int_equal(create(&args, &reply), E_BAD_INPUT);
    assert_int_equal(seal(new_id("bat")), E_NOT_FOUND);
    assert_int_equal(batches_there(), 0);
}

/* ---- the end ---- */

/* Ways in which a job ends. */
enum way { WELL, DIES, GIVEN_UP, CANCELLED_WAITING, CANCELLED_RUNNING, LOST, REPAIRED, WAYS };

static void lose(const char *id, bool last_open)
{
    struct lease l = lease_of(id);
    struct reap_reply reaped;
    begin();
    assert_int_equal(store_started(w->s, span_of(id), l.nonce, &w->f), E_OK);
    commit();
    for (int pass = 0; pass < 2; pass++) {
        w->now += w->limits.lease_ms + 1;
        begin();
        assert_int_equal(store_reap(w->s, now(), &reaped, &w->f), E_OK);
        if (pass == 0 || !last_open)
            commit();
    }
}

/* Everything up to the move that ends the job. */
static struct lease prepare(const char *id, enum way way)
{
    struct lease l = {0};
    if (way == REPAIRED)
        end_job(id, FAILURE_INTERNAL);
    else if (way != CANCELLED_WAITING && way != LOST)
        l = lease_of(id);
    if (way == CANCELLED_RUNNING)
        cancel_job(id);
    return l;
}

/* The move itself, in an open group. */
static void move_open(const char *id, enum way way, const struct lease *l)
{
    struct cancel_reply cancelled;
    struct repair_reply repaired;
    struct repair_args repair = {.id = span_of(id), .done = true, .verdict = VERDICT_PARTIAL};
    switch (way) {
    case WELL:
        finish_open(l, FAILURE_NONE, "");
        return;
    case DIES:
    case CANCELLED_RUNNING:
        finish_open(l, FAILURE_INTERNAL, "no");
        return;
    case GIVEN_UP:
        finish_open(l, FAILURE_NOT_FOUND, "no such account");
        return;
    case CANCELLED_WAITING:
        assert_int_equal(store_cancel(w->s, &(struct cancel_args){.id = span_of(id)}, now(),
                                      &cancelled, &w->f),
                         E_OK);
        return;
    case REPAIRED:
        repair.revision = view(id).revision;
        assert_int_equal(store_repair(w->s, &repair, now(), &repaired, &w->f), E_OK);
        return;
    case LOST:
    case WAYS:
        break;
    }
}

static void end_by(const char *id, enum way way)
{
    struct lease l = prepare(id, way);
    if (way == LOST) {
        lose(id, false); /* it has one attempt */
        return;
    }
    begin();
    move_open(id, way, &l);
    commit();
}

static void a_batch_is_complete_with_its_last_job_and_a_success_when_all_went_well(void **state)
{
    (void)state;
    const char *id = batch_of(3);
    for (int i = 0; i < 3; i++) {
        announced(id, false, false);
        end_job(ids[i], FAILURE_NONE);
    }
    announced(id, true, true);
    struct batch_view v = batch(id);
    assert_int_equal(v.counts[JOB_SUCCEEDED], 3);
    assert_true(span_is(view(v.calls[BATCH_SUCCESS].job).target, "when-success"));
}

static void one_that_failed_makes_it_complete_and_no_success(void **state)
{
    (void)state;
    for (int way = DIES; way < WAYS; way++) {
        if (way == REPAIRED)
            continue;
        tear_down(state);
        set_up(state);
        const char *id = batch_of(2);
        const char *first = ids[0], *second = ids[1];
        end_by(first, (enum way)way);
        announced(id, false, false);
        end_job(second, FAILURE_NONE);
        announced(id, true, false);
    }
}

/* S75: a hundred jobs with endings of all kinds; the process ends before, in and behind the group that
 * ends the last one. */
static void the_callback_comes_once_wherever_a_crash_falls(void **state)
{
    enum { BEFORE, IN_GROUP, BEHIND, CRASHES };
    for (int last = 0; last < WAYS; last++) {
        for (int at = 0; at < CRASHES; at++) {
            tear_down(state);
            set_up(state);
            if (last == LOST)
                continue; /* a reopening gives its lease back: see below */
            const char *id = batch_of(last == REPAIRED ? 1 : 100);
            bool was = last == REPAIRED;
            const char *it = ids[was ? 0 : 99];
            for (int i = 0; i < 99 && !was; i++)
                end_by(ids[i], (enum way)(i % LOST));
            struct lease l = prepare(it, (enum way)last);
            announced(id, was, false);
            if (at == BEFORE) {
                crash(false);
            } else {
                begin();
                move_open(it, (enum way)last, &l);
                if (at == BEHIND)
                    commit();
                crash(at == IN_GROUP);
            }
            /* What was to be stopped and runs no more is cancelled by the next process as it opens. */
            bool ended = at == BEHIND || last == CANCELLED_RUNNING;
            announced(id, was || ended, was && ended);
            if (!ended) { /* the next process ends it */
                w->now += 3600 * 1000;
                if (last == WELL || last == DIES || last == GIVEN_UP)
                    l = lease_of(it);
                begin();
                move_open(it, (enum way)last, &l);
                commit();
            }
            announced(id, true, was);
            crash(false);
            tend();
            announced(id, true, was);
        }
    }
}

static void a_job_that_the_reaper_ends_is_noticed_as_well_in_or_behind_a_crash(void **state)
{
    for (int in_group = 0; in_group < 2; in_group++) {
        tear_down(state);
        set_up(state);
        const char *id = batch_of(1);
        prepare(ids[0], LOST);
        lose(ids[0], in_group);
        if (in_group) {
            crash(true);
            announced(id, false, false);
            end_job(ids[0], FAILURE_INTERNAL);
        }
        announced(id, true, false);
        crash(false);
        announced(id, true, false);
    }
}

static void a_callback_waits_for_a_full_queue_and_comes_once(void **state)
{
    (void)state;
    const char *id = batch_of(1);
    const char *only = ids[0];
    w->limits.ready_max = 1;
    store_close(&w->s);
    open_store();
    struct lease l = lease_of(only);
    const char *other = accept_job(); /* the queue is full again */
    finish(&l, FAILURE_NONE, "");
    assert_int_equal(view(only).state, JOB_SUCCEEDED);
    assert_int_equal(events_of(id, "batch.complete"), 1);
    assert_int_equal(jobs_for("when-complete"), 0);
    struct batch_view v = batch(id);
    assert_int_equal(v.calls[BATCH_COMPLETE].due_ms, w->now + 5000);
    struct outlook o;
    assert_int_equal(store_outlook(w->s, now(), &o, &w->f), E_OK);
    assert_int_equal(o.next_ms, w->now + 5000);
    w->now += 5000;
    tend();
    assert_int_equal(jobs_for("when-complete"), 0);
    end_job(other, FAILURE_NONE);
    w->now += 5000;
    begin();
    assert_int_equal(store_tend(w->s, now(), &w->f), E_OK);
    crash(true);
    assert_int_equal(jobs_for("when-complete"), 0);
    for (int i = 0; i < 5; i++) {
        tend();
        struct lease callback;
        if (reserve(&callback))
            finish(&callback, FAILURE_NONE, "");
        w->now += 5000;
    }
    announced(id, true, true);
}

static void a_callback_that_cannot_be_made_is_told_and_harms_nothing(void **state)
{
    (void)state;
    struct batch_args args = args_of(1);
    struct batch_reply reply;
    args.calls[BATCH_COMPLETE] = SPAN("{\"site\":7}");
    args.calls[BATCH_SUCCESS] = SPAN_NONE;
    assert_int_equal(create(&args, &reply), E_OK);
    end_job(ids[0], FAILURE_NONE);
    assert_int_equal(events_of(reply.id, "batch.callback_failed"), 1);
    struct batch_view v = batch(reply.id);
    assert_true(v.calls[BATCH_COMPLETE].why.n > 0);
    assert_int_equal(v.calls[BATCH_COMPLETE].due_ms, 0);
    assert_true(v.calls[BATCH_SUCCESS].at_ms > 0);
    assert_false(v.calls[BATCH_SUCCESS].asked);
    assert_int_equal(view(ids[0]).state, JOB_SUCCEEDED);
}

/* Its times count from when it is made. */
static void a_callback_has_the_time_it_was_given_from_its_beginning(void **state)
{
    (void)state;
    struct buf out = BUF(TICKET_MAX);
    struct accept_args wanted = job_args("");
    struct batch_args args = args_of(1);
    struct batch_reply reply;
    wanted.expires_ms = 60000;
    wanted.deadline_ms = 3600000;
    assert_int_equal(ticket_write(&wanted, &out, &w->f), E_OK);
    args.calls[BATCH_COMPLETE] = arena_keep(w->a, buf_span(&out));
    buf_free(&out);
    assert_int_equal(create(&args, &reply), E_OK);
    w->now += 1000;
    end_job(ids[0], FAILURE_NONE);
    struct job_view job = view(batch(reply.id).calls[BATCH_COMPLETE].job);
    assert_int_equal(job.expires_ms, w->now + 60000);
    assert_int_equal(job.deadline_ms, w->now + 3600000);
    struct reap_reply reaped;
    begin();
    assert_int_equal(store_reap(w->s, now(), &reaped, &w->f), E_OK);
    commit();
    assert_int_equal(view(job.id).state, JOB_READY);
}

/* Somebody else asked for the same: that job is the one that the callback names. */
static void a_callback_whose_work_is_being_done_names_the_job_that_does_it(void **state)
{
    (void)state;
    struct buf out = BUF(TICKET_MAX);
    struct accept_args wanted = job_args(""), other = job_args(new_id("job"));
    struct accept_reply accepted;
    struct batch_args args = args_of(1);
    struct batch_reply reply;
    wanted.unique_key = other.unique_key = SPAN("the same");
    assert_int_equal(ticket_write(&wanted, &out, &w->f), E_OK);
    args.calls[BATCH_COMPLETE] = arena_keep(w->a, buf_span(&out));
    buf_free(&out);
    assert_int_equal(create(&args, &reply), E_OK);
    begin();
    assert_int_equal(store_accept(w->s, &other, now(), &accepted, &w->f), E_OK);
    commit();
    end_job(ids[0], FAILURE_NONE);
    tend();
    assert_string_equal(batch(reply.id).calls[BATCH_COMPLETE].job, other.id.p);
    assert_int_equal(batch(reply.id).calls[BATCH_COMPLETE].due_ms, 0);
}

/* ---- jobs that end in other ways ---- */

/* All of it is answered when it is made. */
static void a_batch_whose_jobs_have_answers_already_is_complete_at_once(void **state)
{
    (void)state;
    struct accept_args first = job_args(new_id("job"));
    struct accept_reply accepted;
    first.work = 42;
    begin();
    assert_int_equal(store_accept(w->s, &first, now(), &accepted, &w->f), E_OK);
    commit();
    end_job(first.id.p, FAILURE_NONE);
    struct batch_args args = args_of(3);
    struct batch_reply reply;
    for (int i = 0; i < 3; i++) {
        orders[i].work = 42;
        orders[i].max_age_ms = 60000;
    }
    assert_int_equal(create(&args, &reply), E_OK);
    assert_int_equal(batch(reply.id).counts[JOB_SUCCEEDED], 3);
    announced(reply.id, true, true);
}

/* They wait for a job that does their work, and end with it. */
static void a_batch_of_jobs_that_share_a_result_is_complete_with_it(void **state)
{
    (void)state;
    struct accept_args first = job_args(new_id("job"));
    struct accept_reply accepted;
    first.work = 42;
    begin();
    assert_int_equal(store_accept(w->s, &first, now(), &accepted, &w->f), E_OK);
    commit();
    struct batch_args args = args_of(40); /* more than go on at once */
    struct batch_reply reply;
    for (int i = 0; i < 40; i++) {
        orders[i].work = 42;
        orders[i].coalesce = true;
    }
    assert_int_equal(create(&args, &reply), E_OK);
    assert_int_equal(batch(reply.id).counts[JOB_BLOCKED], 40);
    end_job(first.id.p, FAILURE_NONE);
    announced(reply.id, false, false);
    for (int i = 0; i < 5; i++) {
        struct reap_reply reaped;
        begin();
        assert_int_equal(store_reap(w->s, now(), &reaped, &w->f), E_OK);
        commit();
    }
    assert_int_equal(batch(reply.id).counts[JOB_SUCCEEDED], 40);
    announced(reply.id, true, true);
}

/* A newer request takes the place of the last job of a batch, and the callback of that batch is about the
 * same work: both want the key. Nothing of it may be lost, and of one key one job is alive. */
static void a_callback_with_a_unique_key_comes_when_nobody_else_is_at_work(void **state)
{
    (void)state;
    struct buf out = BUF(TICKET_MAX);
    struct accept_args wanted = job_args(""), newer = job_args(new_id("job"));
    struct accept_reply accepted;
    struct batch_reply reply;
    struct batch_args args = args_of(1);
    wanted.target = SPAN("when-complete");
    wanted.unique_key = newer.unique_key = orders[0].unique_key = SPAN("the same");
    wanted.on_conflict = newer.on_conflict = UNIQUE_REPLACE_PENDING;
    assert_int_equal(ticket_write(&wanted, &out, &w->f), E_OK);
    args.calls[BATCH_COMPLETE] = arena_keep(w->a, buf_span(&out));
    buf_free(&out);
    assert_int_equal(create(&args, &reply), E_OK);
    begin();
    assert_int_equal(store_accept(w->s, &newer, now(), &accepted, &w->f), E_OK);
    commit();
    assert_int_equal(view(ids[0]).state, JOB_CANCELLED);
    assert_int_equal(view(newer.id.p).state, JOB_READY);
    assert_int_equal(events_of(reply.id, "batch.complete"), 1);
    assert_int_equal(jobs_for("when-complete"), 0);
    struct outlook o;
    assert_int_equal(store_outlook(w->s, now(), &o, &w->f), E_OK);
    assert_int_equal(o.next_ms, w->now);
    crash(false);
    tend();
    assert_int_equal(jobs_for("when-complete"), 1);
    assert_int_equal(view(newer.id.p).state, JOB_CANCELLED);
    tend();
    assert_int_equal(jobs_for("when-complete"), 1);
    assert_true(batch(reply.id).calls[BATCH_COMPLETE].job[0]);
}

/* Several jobs are expired in one pass; the callback of the first would cancel the second, which the pass
 * has read already. */
static void a_callback_does_not_touch_what_a_pass_of_the_reaper_is_about_to_touch(void **state)
{
    (void)state;
    struct buf out = BUF(TICKET_MAX);
    struct accept_args wanted = job_args(""), second = job_args(new_id("job"));
    struct accept_reply accepted;
    struct batch_reply reply;
    struct batch_args args = args_of(1);
    wanted.target = SPAN("when-complete");
    wanted.unique_key = second.unique_key = SPAN("the same");
    wanted.on_conflict = UNIQUE_REPLACE_PENDING;
    assert_int_equal(ticket_write(&wanted, &out, &w->f), E_OK);
    args.calls[BATCH_COMPLETE] = arena_keep(w->a, buf_span(&out));
    buf_free(&out);
    orders[0].expires_ms = w->now + 1000;
    second.expires_ms = w->now + 1001;
    assert_int_equal(create(&args, &reply), E_OK);
    begin();
    assert_int_equal(store_accept(w->s, &second, now(), &accepted, &w->f), E_OK);
    commit();
    w->now += 2000;
    struct reap_reply reaped;
    begin();
    assert_int_equal(store_reap(w->s, now(), &reaped, &w->f), E_OK);
    assert_int_equal(store_tend(w->s, now(), &w->f), E_OK);
    commit();
    assert_int_equal(reaped.expired, 2);
    assert_int_equal(view(second.id.p).state, JOB_EXPIRED);
    announced(reply.id, true, false);
}

/* ---- S76 ---- */

static void jobs_that_retention_deletes_count_as_ended(void **state)
{
    (void)state;
    struct batch_args args = args_of(3);
    struct batch_reply reply;
    struct retain_args all = {.age_ms = 1, .dead_age_ms = 1};
    struct retain_reply retained;
    bool more;
    args.open = true;
    assert_int_equal(create(&args, &reply), E_OK);
    end_job(ids[0], FAILURE_NONE);
    end_job(ids[1], FAILURE_INTERNAL);
    end_job(ids[2], FAILURE_NONE);
    begin();
    assert_int_equal(store_retain(w->s, &all, (wall){w->now + 2}, &retained, &w->f), E_OK);
    assert_int_equal(store_retain_batches(w->s, (wall){w->now}, &more, &w->f), E_OK);
    commit();
    assert_int_equal(retained.deleted[RETAIN_AGE], 2);
    assert_int_equal(retained.deleted[RETAIN_DEAD_AGE], 1);
    struct batch_view v = batch(reply.id);
    assert_int_equal(v.gone_well, 2);
    assert_int_equal(v.gone_otherwise, 1);
    announced(reply.id, false, false);
    assert_int_equal(seal(reply.id), E_OK);
    announced(reply.id, true, false); /* one of them had not gone well */
    begin();
    assert_int_equal(store_retain_batches(w->s, (wall){w->now + 1}, &more, &w->f), E_OK);
    commit();
    assert_int_equal(batches_there(), 0);
    assert_int_equal(events_of(reply.id, "batch.created"), 0);
    assert_int_equal(events_of(reply.id, "batch.complete"), 0);
}

static void a_job_that_comes_back_after_the_callback_brings_no_second_one(void **state)
{
    (void)state;
    const char *id = batch_of(2);
    struct replay_reply replayed;
    struct replay_args replay = {.id = span_of(ids[0])};
    end_job(ids[0], FAILURE_INTERNAL);
    end_job(ids[1], FAILURE_NONE);
    announced(id, true, false);
    begin();
    assert_int_equal(store_replay(w->s, &replay, now(), &replayed, &w->f), E_OK);
    commit();
    announced(id, true, false);
    end_job(ids[0], FAILURE_INTERNAL);
    announced(id, true, false);
    begin();
    assert_int_equal(store_replay(w->s, &replay, now(), &replayed, &w->f), E_OK);
    commit();
    end_job(ids[0], FAILURE_NONE);
    announced(id, true, true); /* it was none before */
}

static struct operation_view cancel_batch(const char *id)
{
    struct operation_view v = {0};
    begin();
    err e =
        store_batch_cancel(w->s, span_of(id), span_of(new_id("opr")), now(), w->a, &v, &w->f);
    if (e)
        fail_msg("store_batch_cancel: %s", w->f.words);
    commit();
    return v;
}

static void cancelling_ends_what_waits_tells_what_runs_and_completes(void **state)
{
    (void)state;
    const char *id = batch_of(5);
    struct lease l = lease_of(ids[0]);
    end_job(ids[1], FAILURE_NONE);
    struct operation_view v = cancel_batch(id);
    assert_int_equal(v.kind, OPERATION_CANCEL);
    assert_int_equal(v.state, OPERATION_DONE);
    assert_string_equal(v.batch, id);
    struct batch_view b = batch(id);
    assert_int_equal(b.counts[JOB_CANCELLED], 3);
    assert_int_equal(b.counts[JOB_ACTIVE], 1);
    assert_true(b.sealed && b.stopped);
    announced(id, false, false);
    struct heartbeat_reply heard;
    begin();
    assert_int_equal(store_heartbeat(w->s, span_of(l.id), l.nonce, now(), &heard, &w->f), E_OK);
    commit();
    assert_true(heard.cancel);
    finish(&l, FAILURE_INTERNAL, "stopped");
    announced(id, true, false);
    struct operation_view again;
    begin();
    assert_int_equal(store_batch_cancel(w->s, span_of(id), span_of(new_id("opr")), now(), w->a,
                                        &again, &w->f),
                     E_CONFLICT);
    commit();
}

static void a_large_batch_is_cancelled_in_pieces_also_across_a_crash(void **state)
{
    (void)state;
    const char *id = batch_of(1000);
    struct operation_view v = cancel_batch(id);
    assert_int_equal(v.state, OPERATION_RUNNING);
    assert_string_equal(batch(id).operation, v.id);
    assert_in_range(v.done, 1, 100); /* a piece, as large as the store's are */
    for (int i = 0; i < 60; i++) {
        w->now += 1000;
        if (i == 4) {
            begin();
            assert_int_equal(store_tend(w->s, now(), &w->f), E_OK);
            crash(true);
        }
        tend();
    }
    assert_int_equal(batch(id).counts[JOB_CANCELLED], 1000);
    assert_string_equal(batch(id).operation, "");
    announced(id, true, false);
}

static void an_open_batch_whose_jobs_have_ended_is_completed_by_a_cancel(void **state)
{
    (void)state;
    struct batch_args args = args_of(1);
    struct batch_reply reply;
    args.open = true;
    assert_int_equal(create(&args, &reply), E_OK);
    end_job(ids[0], FAILURE_NONE);
    announced(reply.id, false, false);
    cancel_batch(reply.id);
    announced(reply.id, true, true);
}

/* ---- S77 ---- */

/* Two jobs that are added and end, and a seal: every order of these five in which a job ends only when
 * it was added. Wherever the seal falls, a job that was accepted is waited for. */
static void play(const char *order)
{
    struct batch_args args = args_of(2);
    struct batch_reply reply;
    struct accept_args pair[2] = {orders[0], orders[1]};
    const char *job[2] = {ids[0], ids[1]};
    bool added[2] = {false, false}, ended[2] = {false, false}, sealed = false;
    args.open = true;
    args.count = 0;
    assert_int_equal(create(&args, &reply), E_OK);
    for (; *order; order++) {
        int i = *order == 'B' || *order == 'b';
        bool adds = *order == 'A' || *order == 'B';
        if (*order == 's') {
            assert_int_equal(seal(reply.id), E_OK);
            sealed = true;
        } else if (adds) {
            struct batch_reply more;
            orders[0] = pair[i];
            err e = add_jobs(reply.id, 1, &more);
            assert_int_equal(e, sealed ? E_CONFLICT : E_OK);
            added[i] = e == E_OK;
        } else if (added[i]) {
            end_job(job[i], FAILURE_NONE);
            ended[i] = true;
        }
        bool all = ended[0] == added[0] && ended[1] == added[1];
        announced(reply.id, sealed && all, sealed && all);
        struct batch_view v = batch(reply.id);
        assert_int_equal(v.counts[JOB_SUCCEEDED], ended[0] + ended[1]);
        assert_int_equal(v.counts[JOB_READY], added[0] + added[1] - ended[0] - ended[1]);
    }
    assert_true(sealed);
}

static int orders_played;

static void permute(void **state, char *order, int at)
{
    if (at == 5) {
        const char *A = strchr(order, 'A'), *a = strchr(order, 'a'), *B = strchr(order, 'B'),
                   *b = strchr(order, 'b');
        if (a < A || b < B)
            return;
        tear_down(state);
        set_up(state);
        play(order);
        orders_played++;
        return;
    }
    for (int i = at; i < 5; i++) {
        char c = order[at];
        order[at] = order[i];
        order[i] = c;
        permute(state, order, at + 1);
        order[i] = order[at];
        order[at] = c;
    }
}

static void in_every_order_of_adding_ending_and_sealing_the_count_is_right(void **state)
{
    char order[] = "AaBbs";
    orders_played = 0;
    permute(state, order, 0);
    assert_int_equal(orders_played, 30);
}

static void an_addition_may_be_asked_for_again(void **state)
{
    (void)state;
    struct batch_args args = args_of(1);
    struct batch_reply reply;
    args.open = true;
    assert_int_equal(create(&args, &reply), E_OK);
    make_orders(4);
    struct batch_add_args add = {.id = span_of(reply.id),
                                 .jobs = orders,
                                 .count = 4,
                                 .idempotency_key = SPAN("part 1"),
                                 .request_hash = 3};
    for (int i = 0; i < 3; i++) {
        struct batch_reply more;
        begin();
        assert_int_equal(store_batch_add(w->s, &add, now(), w->a, &more, &w->f), E_OK);
        commit();
        assert_int_equal(more.added, 4);
        assert_int_equal(more.replayed, i > 0);
        make_orders(4);
    }
    assert_int_equal(batch(reply.id).counts[JOB_READY], 5);
    assert_int_equal(keyed("default", add.id, "part 1"), E_OK);
    assert_int_equal(keyed("default", add.id, "part 2"), E_NOT_FOUND);
    assert_int_equal(keyed("default", SPAN_NONE, "part 1"), E_NOT_FOUND);
    assert_int_equal(keyed("default", SPAN("bat_01ARZ3NDEKTSV4RRFFQ69G5FAZ"), "part 1"),
                     E_NOT_FOUND);
    add.request_hash = 4;
    begin();
    assert_int_equal(store_batch_add(w->s, &add, now(), w->a, &reply, &w->f), E_BAD_INPUT);
    commit();
}

/* ---- policy, retry ---- */

static const char *batch_that_stops(size_t jobs, int64_t failures)
{
    struct batch_args args = args_of(jobs);
    struct batch_reply reply;
    args.stop_after = failures;
    assert_int_equal(create(&args, &reply), E_OK);
    return arena_text(w->a, span_of(reply.id));
}

static void after_so_many_failures_the_rest_is_cancelled(void **state)
{
    (void)state;
    const char *id = batch_that_stops(10, 2);
    end_job(ids[0], FAILURE_INTERNAL);
    end_job(ids[1], FAILURE_NONE);
    assert_false(batch(id).stopped);
    end_job(ids[2], FAILURE_NOT_FOUND);
    assert_true(batch(id).stopped);
    assert_int_equal(events_of(id, "batch.stopped"), 1);
    crash(false); /* the operation is a row: the next process does it */
    tend();
    struct batch_view v = batch(id);
    assert_int_equal(v.counts[JOB_CANCELLED], 7);
    announced(id, true, false);
}

/* ---- so many at once ---- */

/* Leases all that may start; how many are active then. */
static size_t start_all(struct lease *held, size_t count)
{
    while (reserve(&held[count]))
        count++;
    return count;
}

static void no_more_than_so_many_of_a_batch_run_at_once_whenever_they_were_added(void **state)
{
    (void)state;
    static struct lease held[64];
    struct batch_args args = args_of(10);
    struct batch_reply reply;
    args.open = true;
    args.parallel = 3;
    assert_int_equal(create(&args, &reply), E_OK);
    const char *id = arena_text(w->a, span_of(reply.id));
    assert_int_equal(batch(id).counts[JOB_READY], 3);
    assert_int_equal(batch(id).counts[JOB_BLOCKED], 7);
    accept_job(); /* of no batch: it is held up by nothing */
    size_t n = start_all(held, 0);
    assert_int_equal(n, 4);
    for (int turn = 0, ended = 0; ended < 21; turn++) {
        size_t at = (size_t)turn * 7 % n;
        struct lease l = held[at];
        held[at] = held[--n];
        finish(&l, turn % 4 == 1 ? FAILURE_NOT_FOUND : FAILURE_NONE, "");
        ended++;
        if (turn == 3) { /* later, while some have ended and some have not */
            make_orders(10);
            struct batch_add_args add = {.id = span_of(id), .jobs = orders, .count = 10};
            begin();
            assert_int_equal(store_batch_add(w->s, &add, now(), w->a, &reply, &w->f), E_OK);
            commit();
        }
        if (turn == 8) {
            crash(false);
            n = 0; /* who had them is gone with its leases */
        }
        n = start_all(held, n);
        assert_in_range(batch(id).counts[JOB_ACTIVE], turn < 6 ? 3 : 0, 3);
        assert_true(n > 0 || ended == 21);
    }
    struct batch_view v = batch(id);
    assert_int_equal(v.counts[JOB_SUCCEEDED] + v.counts[JOB_DEAD], 20);
    assert_int_equal(v.parallel, 3);
}

/* A row whose last job is cancelled while it waits ends with the one before: what comes next waits for that. */
static void a_job_that_is_cancelled_while_it_waits_frees_no_place(void **state)
{
    (void)state;
    struct batch_args args = args_of(2);
    struct batch_reply reply;
    struct lease first, second;
    args.open = true;
    args.parallel = 1;
    assert_int_equal(create(&args, &reply), E_OK);
    assert_true(reserve(&first));
    assert_string_equal(first.id, ids[0]);
    cancel_job(ids[1]);
    make_orders(1);
    assert_int_equal(add_jobs(reply.id, 1, &(struct batch_reply){0}), E_OK);
    assert_false(reserve(&second));
    finish(&first, FAILURE_NONE, "");
    assert_true(reserve(&second));
    assert_string_equal(second.id, ids[0]);
}

/* Jobs of one batch that are about the same work, in each of the ways in which that is decided. */
static void equal_work_within_a_batch_is_decided_before_anything_is_stored(void **state)
{
    static const struct {
        enum unique_mode mode;
        err whole;
        int64_t added;
    } rows[] = {{UNIQUE_RETURN_EXISTING, E_CONFLICT, 1},
                {UNIQUE_REJECT, E_CONFLICT, 1},
                {UNIQUE_REPLACE_PENDING, E_OK, 2},
                {UNIQUE_RUN_AFTER_ACTIVE, E_CONFLICT, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int partial = 0; partial < 2; partial++) {
            tear_down(state);
            set_up(state);
            struct batch_args args = args_of(2);
            struct batch_reply reply;
            args.partial = partial;
            for (int k = 0; k < 2; k++) {
                orders[k].unique_key = SPAN("the same");
                orders[k].on_conflict = rows[i].mode;
            }
            err e = create(&args, &reply);
            assert_int_equal(e, partial ? E_OK : rows[i].whole);
            assert_int_equal(jobs_in(-1), e ? 0 : rows[i].added);
            assert_int_equal(jobs_in(JOB_READY), e ? 0 : 1);
            assert_int_equal(reply.refused_count, rows[i].whole ? 1 : 0);
            assert_int_equal(batches_there(), e ? 0 : 1);
        }
}

static err try_retry(const char *id, struct operation_view *out)
{
    struct operation_args args = {.id = span_of(new_id("opr"))};
    begin();
    err e = store_batch_retry(w->s, span_of(id), &args, now(), w->a, out, &w->f);
    commit();
    return e;
}

static struct operation_view retry_batch(const char *id)
{
    struct operation_view v = {0};
    if (try_retry(id, &v))
        fail_msg("store_batch_retry: %s", w->f.words);
    return v;
}

/* One that came back stands in no row: what comes next waits for the last one of its row, not for that. */
static void what_came_back_is_not_the_end_of_a_row(void **state)
{
    (void)state;
    struct batch_args args = args_of(2);
    struct batch_reply reply;
    struct lease first, second, again, third;
    args.open = true;
    args.parallel = 1;
    assert_int_equal(create(&args, &reply), E_OK);
    assert_true(reserve(&first));
    finish(&first, FAILURE_NOT_FOUND, "");
    assert_true(reserve(&second));
    retry_batch(reply.id);
    assert_true(reserve(&again));
    assert_string_equal(again.id, first.id);
    make_orders(1);
    assert_int_equal(add_jobs(reply.id, 1, &(struct batch_reply){0}), E_OK);
    assert_false(reserve(&third));
    finish(&again, FAILURE_NONE, "");
    assert_false(reserve(&third)); /* the second one runs still */
    finish(&second, FAILURE_NONE, "");
    assert_true(reserve(&third));
    assert_string_equal(third.id, ids[0]);
}

/* Who waits for a job of a batch without being of it takes nobody's place in a row. */
static void a_job_of_no_batch_that_waits_for_one_of_it_is_in_no_row(void **state)
{
    (void)state;
    struct batch_args args = args_of(1);
    struct batch_reply reply;
    struct accept_reply outside;
    struct lease first, l;
    args.open = true;
    args.parallel = 1;
    orders[0].unique_key = SPAN("k");
    assert_int_equal(create(&args, &reply), E_OK);
    assert_true(reserve(&first));
    struct accept_args other = orders[0];
    other.id = SPAN("job_01ARZ3NDEKTSV4RRFFQ6900OUT");
    other.on_conflict = UNIQUE_RUN_AFTER_ACTIVE;
    begin();
    assert_int_equal(store_accept(w->s, &other, now(), &outside, &w->f), E_OK);
    commit();
    assert_int_equal(outside.state, JOB_BLOCKED);
    make_orders(1);
    assert_int_equal(add_jobs(reply.id, 1, &(struct batch_reply){0}), E_OK);
    assert_false(reserve(&l));
    finish(&first, FAILURE_NONE, "");
    assert_true(reserve(&l));
    assert_true(reserve(&l));
    assert_false(reserve(&l));
}

static void the_failed_jobs_of_a_batch_come_back_and_can_make_it_a_success(void **state)
{
    (void)state;
    const char *id = batch_of(4);
    const char *elsewhere = accept_job();
    end_job(elsewhere, FAILURE_INTERNAL);
    for (int i = 0; i < 4; i++)
        end_job(ids[i], i % 2 ? FAILURE_INTERNAL : FAILURE_NONE);
    announced(id, true, false);
    struct operation_view v = retry_batch(id);
    assert_int_equal(v.state, OPERATION_DONE);
    assert_int_equal(v.done, 2);
    assert_int_equal(view(elsewhere).state, JOB_DEAD);
    assert_int_equal(batch(id).counts[JOB_READY], 2);
    end_job(ids[1], FAILURE_NONE);
    announced(id, true, false);
    end_job(ids[3], FAILURE_NONE);
    announced(id, true, true);
    assert_int_equal(try_retry(id, &v), E_CONFLICT);
}

static void a_stopped_batch_that_is_retried_counts_its_failures_from_new(void **state)
{
    (void)state;
    const char *id = batch_that_stops(3, 1);
    end_job(ids[0], FAILURE_INTERNAL);
    tend();
    assert_int_equal(batch(id).counts[JOB_CANCELLED], 2);
    retry_batch(id);
    assert_false(batch(id).stopped);
    end_job(ids[0], FAILURE_NONE);
    assert_int_equal(batch(id).counts[JOB_SUCCEEDED], 1);
    announced(id, true, false); /* two were cancelled */
}

/* ---- reading ---- */

static void its_jobs_and_batches_come_page_by_page(void **state)
{
    (void)state;
    const char *all[3];
    for (int i = 0; i < 3; i++)
        all[i] = batch_of(7);
    end_job(ids[4], FAILURE_NONE);
    struct batch_jobs_query q = {.id = span_of(all[2]), .state = -1, .limit = 3};
    struct job_view *jobs;
    size_t n, seen = 0;
    do {
        assert_int_equal(store_batch_jobs(w->s, &q, now(), w->a, &jobs, &n, &w->f), E_OK);
        for (size_t i = 0; i < n; i++)
            assert_string_equal(jobs[i].id, ids[seen++]);
        if (n)
            q.after = span_of(jobs[n - 1].id);
    } while (n);
    assert_int_equal(seen, 7);
    q = (struct batch_jobs_query){.id = span_of(all[2]), .state = JOB_SUCCEEDED, .limit = 3};
    assert_int_equal(store_batch_jobs(w->s, &q, now(), w->a, &jobs, &n, &w->f), E_OK);
    assert_int_equal(n, 1);
    assert_string_equal(jobs[0].id, ids[4]);
    struct batch_view *batches;
    bool more;
    assert_int_equal(store_batches(w->s, SPAN_NONE, 2, w->a, &batches, &n, &more, &w->f), E_OK);
    assert_int_equal(n, 2);
    assert_string_equal(batches[0].id, all[2]);
    assert_int_equal(batches[0].counts[JOB_READY], 6);
    assert_int_equal(
        store_batches(w->s, span_of(batches[1].id), 2, w->a, &batches, &n, &more, &w->f), E_OK);
    assert_int_equal(n, 1);
    assert_false(more);
    assert_string_equal(batches[0].id, all[0]);
}

static void records_of_all_its_jobs_come_as_one_list(void **state)
{
    (void)state;
    enum { JOBS = 150 };
    const char *id = batch_of(JOBS);
    int64_t expected = 0;
    struct lease l;
    for (int job = 0; reserve(&l); job++) {
        struct store_item items[5];
        char names[5][24], texts[5][32];
        struct commit_reply brought;
        int count = job % 40 == 39 ? 5 : 0; /* a few have records, most none */
        for (int i = 0; i < count; i++) {
            snprintf(names[i], sizeof names[i], "%d", i);
            snprintf(texts[i], sizeof texts[i], "{\"n\":%lld}", (long long)expected++);
            items[i] = (struct store_item){
                .kind = ITEM_POST, .id = span_of(names[i]), .json = span_of(texts[i])};
        }
        struct commit_args args = {
            .id = span_of(l.id), .nonce = l.nonce, .items = items, .count = (size_t)count};
        begin();
        assert_int_equal(store_commit_batch(w->s, &args, now(), &brought, &w->f), E_OK);
        commit();
        finish(&l, FAILURE_NONE, "");
    }
    assert_true(expected > 0);
    struct batch_place place = {0};
    int64_t seen = 0;
    for (int turns = 0; !place.end; turns++) {
        struct item_view *items;
        size_t n;
        assert_int_equal(store_batch_items(w->s, span_of(id), ITEM_POST, 3, 1 << 20, w->a,
                                           &place, &items, &n, &w->f),
                         E_OK);
        assert_true(n <= 3);
        for (size_t i = 0; i < n; i++) {
            char text[32];
            snprintf(text, sizeof text, "{\"n\":%lld}", (long long)seen++);
            assert_true(span_is(items[i].json, text));
        }
        assert_true(turns < 200);
    }
    assert_int_equal(seen, expected);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static const struct CMUnitTest tests[] = {
    T(a_batch_is_stored_whole_or_not_at_all),
    T(a_partial_batch_is_stored_without_what_was_refused_which_is_named),
    T(a_refused_part_of_a_group_leaves_the_other_operations_of_it_alone),
    T(lanes_and_limits_are_what_they_were_before_a_refused_part),
    T(a_refused_part_of_a_group_that_is_lost_leaves_nothing),
    T(a_batch_larger_than_the_queue_is_refused_whole),
    T(the_same_key_gives_the_same_batch),
    T(nonsense_is_refused),
    T(a_batch_is_complete_with_its_last_job_and_a_success_when_all_went_well),
    T(one_that_failed_makes_it_complete_and_no_success),
    T(the_callback_comes_once_wherever_a_crash_falls),
    T(a_job_that_the_reaper_ends_is_noticed_as_well_in_or_behind_a_crash),
    T(a_callback_waits_for_a_full_queue_and_comes_once),
    T(a_callback_that_cannot_be_made_is_told_and_harms_nothing),
    T(a_callback_has_the_time_it_was_given_from_its_beginning),
    T(a_callback_whose_work_is_being_done_names_the_job_that_does_it),
    T(a_batch_whose_jobs_have_answers_already_is_complete_at_once),
    T(a_batch_of_jobs_that_share_a_result_is_complete_with_it),
    T(a_callback_with_a_unique_key_comes_when_nobody_else_is_at_work),
    T(a_callback_does_not_touch_what_a_pass_of_the_reaper_is_about_to_touch),
    T(jobs_that_retention_deletes_count_as_ended),
    T(a_job_that_comes_back_after_the_callback_brings_no_second_one),
    T(cancelling_ends_what_waits_tells_what_runs_and_completes),
    T(a_large_batch_is_cancelled_in_pieces_also_across_a_crash),
    T(an_open_batch_whose_jobs_have_ended_is_completed_by_a_cancel),
    T(in_every_order_of_adding_ending_and_sealing_the_count_is_right),
    T(an_addition_may_be_asked_for_again),
    T(after_so_many_failures_the_rest_is_cancelled),
    T(no_more_than_so_many_of_a_batch_run_at_once_whenever_they_were_added),
    T(a_job_that_is_cancelled_while_it_waits_frees_no_place),
    T(equal_work_within_a_batch_is_decided_before_anything_is_stored),
    T(the_failed_jobs_of_a_batch_come_back_and_can_make_it_a_success),
    T(what_came_back_is_not_the_end_of_a_row),
    T(a_job_of_no_batch_that_waits_for_one_of_it_is_in_no_row),
    T(a_stopped_batch_that_is_retried_counts_its_failures_from_new),
    T(its_jobs_and_batches_come_page_by_page),
    T(records_of_all_its_jobs_come_as_one_list),
};
RUN_ON_ALL_STORES(tests)
