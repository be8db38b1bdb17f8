/* What a node promises of the batches that it takes while the queue is away: each is handed over whole and once, as single jobs
 * are (test_redis_spool.c). */
#include "../lib/spooled.h"

#include "store/ticket.h"

enum { SMALL = 5, LARGE = 45 }; /* in one script of the queue; in pieces */
static struct accept_args orders[LARGE];

static struct batch_args batch_args(size_t count)
{
    for (size_t i = 0; i < count; i++)
        orders[i] = job_args(new_id(), "x/normal");
    const char *id = made_id("bat");
    return (struct batch_args){.id = span_of(id),
                               .tenant = SPAN("default"),
                               .name = SPAN("nightly"),
                               .jobs = orders,
                               .count = count,
                               .idempotency_key = span_of(arena_fmt(w->ids, "of %s", id)),
                               .request_hash = 7};
}

static err take_batch(const struct batch_args *args, struct batch_reply *out)
{
    w->f = (struct fault){0};
    err e = spooling_take_batch(spool, args, MODE_NORMAL, now(), w->a, out, &w->f);
    return e ? e : spooling_sync(spool, &w->f);
}

static void take_whole(const struct batch_args *args)
{
    struct batch_reply reply;
    if (take_batch(args, &reply))
        fail_msg("%s", w->f.words);
    assert_int_equal(reply.durability, DURABILITY_SPOOLED);
    assert_true(reply.confirmed && !reply.replayed);
    assert_int_equal(reply.added, args->count);
    assert_string_equal(reply.id, args->id.p);
}

static struct batch_view batch(struct span id)
{
    struct batch_view v;
    w->f = (struct fault){0};
    if (store_batch(w->s, id, w->a, &v, &w->f))
        fail_msg("%s", w->f.words);
    return v;
}

static int64_t events_of(struct span id, const char *kind)
{
    struct event_view *events;
    size_t n;
    int64_t found = 0;
    assert_int_equal(store_events(w->s, 0, id, 100, w->a, &events, &n, &w->f), E_OK);
    for (size_t i = 0; i < n; i++)
        found += span_is(events[i].kind, kind);
    return found;
}

static void run_all(void)
{
    for (struct lease l; reserve(&l);)
        finish(&l, FAILURE_NONE);
}

static struct span ticket(void)
{
    struct buf text = BUF(TICKET_MAX);
    struct accept_args job = job_args("", "callbacks/normal");
    assert_int_equal(ticket_write(&job, &text, &w->f), E_OK);
    struct span kept = arena_keep(w->ids, buf_span(&text));
    buf_free(&text);
    return kept;
}

static void batches_are_handed_over_whole_and_end_once(void **state)
{
    (void)state;
    static const size_t sizes[] = {SMALL, LARGE};
    int64_t jobs = 0;
    for (size_t i = 0; i < 2; i++) {
        struct batch_args args = batch_args(sizes[i]);
        struct fault f = {0};
        int64_t size = (int64_t)sizes[i];
        args.calls[BATCH_COMPLETE] = ticket();
        args.parallel = 2;
        take_whole(&args);
        assert_int_equal(spooling_state(spool).waiting, size);
        assert_int_equal(spooling_asked(spool, args.id, &f), E_BUSY);
        assert_int_equal(spooling_asked(spool, orders[size - 1].id, &f), E_BUSY);
        int64_t accepted = w->now;
        w->now += HOUR;
        mode_set(MODE_DRAINING);
        hand_over();
        mode_set(MODE_NORMAL);
        assert_int_equal(spooling_asked(spool, args.id, &f), E_OK);
        struct batch_view v = batch(args.id);
        assert_true(v.sealed && v.parallel == 2 && span_is(v.name, "nightly"));
        assert_int_equal(v.created_ms, accepted);
        assert_int_equal(view(orders[0].id.p).created_ms, accepted);
        assert_int_equal(v.counts[JOB_READY] + v.counts[JOB_BLOCKED], size);
        /* A process that died before it noted that does it again, before its end and behind it. */
        for (int times = 0; times < 2; times++) {
            spooling_close(&spool);
            open_spool();
            hand_over();
            run_all();
        }
        jobs += size + 1; /* the callback's */
        assert_int_equal(jobs_count(), jobs);
        assert_int_equal(outlook().by_state[JOB_SUCCEEDED], jobs);
        assert_int_equal(batch(args.id).counts[JOB_SUCCEEDED], size);
        assert_int_equal(events_of(args.id, "batch.created"), 1);
        assert_int_equal(events_of(args.id, "batch.complete"), 1);
        assert_true(batch(args.id).calls[BATCH_COMPLETE].job[0]);
        assert_int_equal(walk_once(), 0);
    }
    assert_int_equal(spooling_state(spool).handed_over, SMALL + LARGE);
    for (int i = 0; i < 2; i++) { /* and that goes like that of single jobs */
        elapsed_ms += 61 * SECOND;
        bool more;
        assert_int_equal(spooling_hand_over(spool, w->s, now(), &more, &w->f), E_OK);
    }
    assert_int_equal(spooling_state(spool).handed_over, 0);
}

/* At every moment between being taken and being noted the process may end. */
static void a_batch_whose_queue_goes_on_the_way_comes_in_once(void **state)
{
    (void)state;
    bool more;
    struct batch_args args = batch_args(LARGE);
    take_whole(&args);
    queue_goes();
    assert_true(spooling_hand_over(spool, w->s, now(), &more, &w->f) != E_OK);
    assert_int_equal(spooling_state(spool).waiting, LARGE);
    assert_int_equal(spooling_state(spool).stuck, 0);
    spooling_close(&spool);
    open_spool();
    queue_comes();
    hand_over();
    assert_int_equal(batch(args.id).counts[JOB_READY], LARGE);
    assert_int_equal(jobs_count(), LARGE);
}

static void an_order_of_a_batch_is_known_here_while_it_waits_and_there_afterwards(void **state)
{
    (void)state;
    struct batch_reply reply;
    struct batch_args args = batch_args(SMALL), again;
    struct fault f = {0};
    orders[2].held = true;
    args.open = true;
    args.stop_after = 2;
    take_whole(&args);
    again = args;
    again.id = span_of(made_id("bat"));
    again.jobs = NULL;
    again.count = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(spooling_find_batch(spool, &again, now(), w->a, &reply, &f), E_OK);
        assert_true(reply.replayed && reply.waits);
        assert_string_equal(reply.id, args.id.p);
        assert_string_equal(reply.waits->id, args.id.p);
        assert_false(reply.waits->sealed);
        assert_int_equal(reply.waits->stop_after, 2);
        assert_int_equal(reply.waits->counts[JOB_READY], SMALL - 1);
        assert_int_equal(reply.waits->counts[JOB_SCHEDULED], 1);
        assert_true(span_is(reply.waits->name, "nightly"));
        spooling_close(&spool);
        open_spool();
    }
    again.request_hash = 8;
    assert_int_equal(spooling_find_batch(spool, &again, now(), w->a, &reply, &f), E_BAD_INPUT);
    hand_over();
    assert_int_equal(spooling_find_batch(spool, &args, now(), w->a, &reply, &f), E_END);
    assert_false(batch(args.id).sealed); /* jobs may be added to it now */
    begin();
    assert_int_equal(store_batch_create(w->s, &args, now(), w->a, &reply, &w->f), E_OK);
    commit();
    assert_true(reply.replayed);
    assert_string_equal(reply.id, args.id.p);
    /* Another node took the order as well, when the queue was back: both were answered. */
    struct batch_args here = batch_args(SMALL), there;
    take_whole(&here);
    there = here;
    there.id = span_of(made_id("bat"));
    struct accept_args others[SMALL];
    for (int i = 0; i < SMALL; i++)
        others[i] = job_args(new_id(), "x/normal");
    there.jobs = others;
    begin();
    assert_int_equal(store_batch_create(w->s, &there, now(), w->a, &reply, &w->f), E_OK);
    commit();
    for (int i = 0; i < 2; i++) {
        hand_over();
        assert_int_equal(batch(here.id).counts[JOB_READY], SMALL);
        assert_int_equal(batch(there.id).counts[JOB_READY], SMALL);
        spooling_close(&spool);
        open_spool();
    }
    assert_int_equal(jobs_count(), 3 * SMALL);
    assert_int_equal(spooling_state(spool).aside, 0);
}

static void a_batch_that_may_not_come_in_is_not_taken(void **state)
{
    (void)state;
    struct batch_reply reply;
    struct batch_args args = batch_args(SMALL);
    orders[3].prio = 77;
    assert_int_equal(take_batch(&args, &reply), E_BAD_INPUT);
    assert_int_equal(reply.refused_count, 1);
    assert_int_equal(reply.refused[0].index, 3);
    assert_int_equal(spooling_state(spool).waiting, 0);
    w->f = (struct fault){0};
    assert_int_equal(
        spooling_take_batch(spool, &args, MODE_MAINTENANCE, now(), w->a, &reply, &w->f),
        E_MAINTENANCE);
    for (int i = 0; i < MOST - SMALL + 1; i++)
        take_in("x/normal");
    args = batch_args(SMALL);
    assert_int_equal(take_batch(&args, &reply), E_BUSY);
    assert_int_equal(reply.refused_count, 0);
    assert_non_null(strstr(w->f.words, "store.spool_max"));
    args.partial = true; /* what it leaves out is what cannot be, not what is too much */
    assert_int_equal(take_batch(&args, &reply), E_BUSY);
    args = batch_args(SMALL - 1);
    orders[0].prio = 77;
    args.partial = true;
    assert_int_equal(take_batch(&args, &reply), E_OK);
    assert_int_equal(reply.added, SMALL - 2);
    assert_int_equal(reply.refused_count, 1);
    hand_over();
    assert_int_equal(batch(args.id).counts[JOB_READY], SMALL - 2);
    spooling_close(&spool);
    asked.disk_floor_bytes = INT64_MAX;
    open_spool();
    args = batch_args(SMALL);
    assert_int_equal(take_batch(&args, &reply), E_DISK_FULL);
}

/* As of single jobs; and it is told as it was taken, not as it is asked for now. */
static void a_batch_that_was_answered_is_answered_again_whatever_has_changed_since(void **state)
{
    (void)state;
    struct batch_reply reply;
    struct batch_args first = batch_args(SMALL), again = first;
    struct accept_args changed[SMALL];
    orders[1].unique_key = SPAN("u");
    orders[1].on_conflict = UNIQUE_REPLACE_PENDING;
    orders[2].held = true;
    take_whole(&first);
    hand_over();
    queue_goes();
    const char *newer = take_unique(UNIQUE_REPLACE_PENDING);
    int64_t taken = metric_get(METRIC_SPOOLED, 0);
    for (int i = 0; i < SMALL; i++) {
        changed[i] = orders[i];
        changed[i].id = span_of(new_id());
    }
    again.id = span_of(made_id("bat"));
    again.jobs = changed;
    again.count = SMALL - 1;
    for (int refusing = 0; refusing < 2; refusing++) {
        struct fault f = {0};
        changed[1].on_conflict = refusing ? UNIQUE_REJECT : UNIQUE_REPLACE_PENDING;
        assert_int_equal(
            spooling_take_batch(spool, &again, MODE_MAINTENANCE, now(), w->a, &reply, &f),
            E_OK);
        assert_true(reply.replayed && reply.waits);
        assert_string_equal(reply.id, first.id.p);
        assert_string_equal(reply.waits->id, first.id.p);
        assert_int_equal(reply.waits->counts[JOB_READY], SMALL - 1);
        assert_int_equal(reply.waits->counts[JOB_SCHEDULED], 1);
    }
    again.request_hash = 8;
    assert_int_equal(take_batch(&again, &reply), E_BAD_INPUT);
    assert_int_equal(metric_get(METRIC_SPOOLED, 0), taken);
    queue_comes();
    hand_over();
    assert_int_equal(state_of(newer), JOB_READY);
    assert_int_equal(batch(first.id).counts[JOB_CANCELLED], 1);
    assert_int_equal(jobs_count(), SMALL + 1);
}

/* Who is answered with an error orders again. */
static void a_batch_whose_answer_has_no_room_is_not_taken(void **state)
{
    (void)state;
    struct batch_reply reply;
    struct batch_args args = batch_args(SMALL);
    struct fault f = {0};
    bool taken = false;
    args.idempotency_key = SPAN_NONE;
    for (size_t room = 0; !taken; room += 16) { /* until there is enough */
        struct arena *small = arena_new(room + 1);
        taken =
            spooling_take_batch(spool, &args, MODE_NORMAL, now(), small, &reply, &f) == E_OK;
        assert_int_equal(spooling_sync(spool, &f), E_OK);
        assert_int_equal(spooling_state(spool).waiting, taken ? SMALL : 0);
        arena_free(&small);
        f = (struct fault){0};
    }
}

/* Within it, with what waits here, and with what the queue has. */
static void unique_keys_of_a_batch_are_as_of_single_jobs(void **state)
{
    (void)state;
    struct batch_reply reply;
    const char *single = take_unique(UNIQUE_REJECT);
    struct batch_args args = batch_args(SMALL);
    orders[1].unique_key = SPAN("u");
    orders[1].on_conflict = UNIQUE_RETURN_EXISTING;
    assert_int_equal(take_batch(&args, &reply), E_CONFLICT); /* equal work is there */
    assert_non_null(strstr(w->f.words, single));
    orders[1].on_conflict = UNIQUE_REJECT;
    assert_int_equal(take_batch(&args, &reply), E_CONFLICT);
    orders[1].on_conflict = UNIQUE_REPLACE_PENDING;
    for (int i = 3; i < SMALL; i++) {
        orders[i].unique_key = SPAN("v");
        orders[i].on_conflict = i == 3 ? UNIQUE_REJECT : UNIQUE_RETURN_EXISTING;
    }
    assert_int_equal(take_batch(&args, &reply), E_CONFLICT);
    assert_int_equal(reply.refused[0].index, 4);
    orders[4].on_conflict = UNIQUE_REPLACE_PENDING;
    take_whole(&args);
    const char *by = orders[1].id.p;
    /* Those of the batch are known to who comes later. */
    struct accept_args later = unique_args("x/normal", UNIQUE_RETURN_EXISTING);
    struct accept_reply there;
    assert_true(spooling_has_key(spool, &later));
    assert_int_equal(take(&later, &there), E_OK);
    assert_true(there.existing);
    assert_string_equal(there.id, orders[1].id.p);
    const char *newest = take_unique(UNIQUE_REPLACE_PENDING);
    /* And the queue has one. */
    struct accept_args live = job_args(new_id(), "x/normal");
    live.unique_key = SPAN("w");
    struct batch_args second = batch_args(2);
    orders[0].unique_key = SPAN("w");
    orders[0].on_conflict = UNIQUE_RETURN_EXISTING;
    w->now += SECOND;
    take_whole(&second);
    accept_args(&live);
    w->now += SECOND;
    hand_over();
    was_kept_out(single, by);
    assert_int_equal(state_of(newest), JOB_READY);
    assert_int_equal(batch(args.id).counts[JOB_CANCELLED], 2);
    assert_int_equal(batch(args.id).counts[JOB_READY], SMALL - 2);
    assert_int_equal(batch(second.id).counts[JOB_CANCELLED], 1);
    run_all();
    assert_int_equal(events_of(args.id, "batch.complete"), 1);
    assert_int_equal(events_of(args.id, "batch.success"), 0);
    assert_int_equal(walk_once(), 0);
}

static void a_batch_that_the_queue_does_not_take_yet_waits_and_holds_up_nobody(void **state)
{
    (void)state;
    struct batch_args args = batch_args(SMALL);
    struct fault f = {0};
    const char *key = arena_fmt(w->ids, "fulmar:{q}:b:%s", args.id.p);
    say("LPUSH", key, "foreign", NULL);
    take_whole(&args);
    struct batch_args other = batch_args(SMALL);
    take_whole(&other);
    const char *job = take_in("x/normal");
    for (int times = 0; times < 2; times++) {
        (void)hand_over_some();
        assert_true(exists(job));
        assert_int_equal(batch(other.id).counts[JOB_READY], SMALL);
        assert_int_equal(spooling_state(spool).waiting, SMALL);
        assert_int_equal(spooling_state(spool).stuck, SMALL);
        assert_int_equal(spooling_asked(spool, args.id, &f), E_BUSY);
    }
    say("DEL", key, NULL, NULL);
    hand_over();
    assert_int_equal(batch(args.id).counts[JOB_READY], SMALL);
    assert_int_equal(jobs_count(), 2 * SMALL + 1);
}

/* Somebody chose an id that one of its jobs has: its client was answered, so somebody is told. */
static void a_batch_that_can_never_come_in_is_set_aside_whole(void **state)
{
    (void)state;
    struct fault f = {0};
    struct batch_args args = batch_args(SMALL);
    take_whole(&args);
    struct accept_args chosen = job_args(orders[2].id.p, "x/normal");
    accept_args(&chosen);
    int64_t before = metric_get(METRIC_SPOOLED, 2);
    hand_over();
    assert_int_equal(jobs_count(), 1);
    assert_int_equal(spooling_state(spool).aside, SMALL);
    assert_int_equal(metric_get(METRIC_SPOOL, 2), SMALL);
    assert_int_equal(metric_get(METRIC_SPOOLED, 2), before + SMALL);
    assert_int_equal(spooling_asked(spool, args.id, &f), E_STORE);
    assert_non_null(strstr(f.words, chosen.id.p));
}

/* Copies, as of single jobs; when there is no room there is none, of the whole batch. */
static void copies_of_batches_come_in_anew_and_once(void **state)
{
    (void)state;
    struct batch_reply reply;
    int64_t again;
    struct batch_args args = batch_args(SMALL);
    orders[1].prio = 77;
    args.partial = true;
    begin();
    assert_int_equal(store_batch_create(w->s, &args, now(), w->a, &reply, &w->f), E_OK);
    commit();
    spooling_keep_batch(spool, &args, &reply, now());
    struct batch_args lost = batch_args(SMALL);
    spooling_keep_batch(spool, &lost, &(struct batch_reply){0}, now());
    struct batch_args none = batch_args(LARGE);
    int64_t before = metric_get(METRIC_SPOOLED, 4);
    spooling_keep_batch(spool, &none, &(struct batch_reply){0}, now());
    assert_int_equal(metric_get(METRIC_SPOOLED, 4), before + LARGE);
    assert_int_equal(spooling_sync(spool, &w->f), E_OK);
    assert_int_equal(spooling_state(spool).handed_over, 2 * SMALL - 1);
    assert_int_equal(spooling_again(spool, &again, &w->f), E_OK);
    assert_int_equal(again, 2 * SMALL - 1);
    hand_over();
    assert_int_equal(batch(args.id).counts[JOB_READY], SMALL - 1);
    assert_int_equal(batch(lost.id).counts[JOB_READY], SMALL);
    assert_int_equal(jobs_count(), 2 * SMALL - 1);
}

/* What was done, and is gone, is not done again. */
static void a_batch_that_has_been_is_not_done_again(void **state)
{
    (void)state;
    struct batch_args args = batch_args(SMALL);
    bool more;
    take_whole(&args);
    hand_over();
    run_all();
    forget_all();
    begin();
    assert_int_equal(store_retain_batches(w->s, (wall){w->now + 1}, &more, &w->f), E_OK);
    commit();
    struct batch_view v;
    assert_int_equal(store_batch(w->s, args.id, w->a, &v, &w->f), E_NOT_FOUND);
    for (int i = 0; i < 2; i++) {
        started_anew();
        assert_int_equal(jobs_count(), 0);
        assert_int_equal(spooling_state(spool).aside, 0);
        /* Also when it died before it noted that the queue had it. */
        spooling_close(&spool);
        sqlite3_close(
            other_hand("UPDATE spool_batch SET state=0,round=NULL,given_at=NULL,store=NULL"));
        open_spool();
    }
    asked.retain_ms = HOUR;
    hand_over();
    w->now += 2 * HOUR; /* the queue knows nothing of it any more */
    started_anew();
    assert_int_equal(spooling_state(spool).handed_over, 0);
    assert_int_equal(jobs_count(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPOOL(batches_are_handed_over_whole_and_end_once),
        SPOOL(a_batch_whose_queue_goes_on_the_way_comes_in_once),
        SPOOL(an_order_of_a_batch_is_known_here_while_it_waits_and_there_afterwards),
        SPOOL(a_batch_that_may_not_come_in_is_not_taken),
        SPOOL(a_batch_that_was_answered_is_answered_again_whatever_has_changed_since),
        SPOOL(a_batch_whose_answer_has_no_room_is_not_taken),
        SPOOL(unique_keys_of_a_batch_are_as_of_single_jobs),
        SPOOL(a_batch_that_the_queue_does_not_take_yet_waits_and_holds_up_nobody),
        SPOOL(a_batch_that_can_never_come_in_is_set_aside_whole),
        SPOOL(copies_of_batches_come_in_anew_and_once),
        SPOOL(a_batch_that_has_been_is_not_done_again),
    };
    maker = &store_makers[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
