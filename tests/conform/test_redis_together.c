/* What waits at one moment and is done by one script answers what it would have answered alone, and leaves what that would
 * have left. */
#include "../lib/scenario.h"

#include "store/apply.h"
#include "store/nodes.h"

#include <string.h>

enum { OPS = 64 };

static struct store_op ops[OPS];
static size_t count;

static struct store_op *next_op(enum store_verb verb)
{
    assert_true(count < OPS);
    ops[count] = (struct store_op){.verb = verb, .arena = w->a};
    return &ops[count++];
}

static struct accept_args *accept_next(const char *id, const char *lane)
{
    struct store_op *op = next_op(STORE_ACCEPT);
    op->in.accept = job_args(id, lane);
    return &op->in.accept;
}

static void reserve_next(uint64_t random)
{
    next_op(STORE_RESERVE)->in.reserve =
        (struct reserve_args){.worker = SPAN("w1"), .needs = NEEDS_PAGE, .random = random};
}

static void finish_next(const struct lease *l, enum failure_class failure)
{
    next_op(STORE_FINISH)->in.finish = finish_args_of(l, failure);
}

static void speak_next(enum store_verb verb, const struct lease *l)
{
    struct store_op *op = next_op(verb);
    op->in.lease.id = span_of(l->id);
    op->in.lease.nonce = l->nonce;
}

/* Those that wait, at once or one after the other. */
static void run_them(bool together)
{
    struct store_op *all[OPS];
    for (size_t i = 0; i < count; i++) {
        all[i] = &ops[i];
        ops[i].answered = false;
        ops[i].fault = (struct fault){0};
    }
    begin();
    if (together)
        store_together(w->s, all, count, now());
    for (size_t i = 0; i < count; i++)
        if (!ops[i].answered)
            ops[i].result = apply_write(w->s, &ops[i], now());
    commit();
}

static void say_op(struct buf *b, const struct store_op *op)
{
    buf_fmt(b, "%s %s", err_name(op->result), op->fault.words);
    if (op->result) {
        buf_add_char(b, '\n');
        return;
    }
    const struct accept_reply *a = &op->out.accept;
    const struct lease *l = &op->out.lease;
    const struct finish_reply *r = &op->out.finish;
    if (op->verb == STORE_ACCEPT)
        buf_fmt(b, " %s %d %d %d %d", a->id, a->replayed, a->existing, a->state, a->source);
    else if (op->verb == STORE_RESERVE)
        buf_fmt(b, " %s %lld %llx %.*s %.*s", l->id, (long long)l->fence,
                (unsigned long long)l->nonce, SP(l->lane), SP(l->target));
    else if (op->verb == STORE_FINISH)
        buf_fmt(b, " %d %lld %lld %s", r->state, (long long)r->retry_in_ms,
                (long long)r->breaker_until_ms, r->session);
    else
        buf_fmt(b, " %d", op->out.heartbeat.cancel);
    buf_add_char(b, '\n');
}

/* What each answered, and what is there now. */
static void say_all(struct buf *b)
{
    for (size_t i = 0; i < count; i++)
        say_op(b, &ops[i]);
    struct event_view *events;
    size_t n;
    assert_int_equal(store_events(w->s, 0, SPAN_NONE, 5000, w->a, &events, &n, &w->f), E_OK);
    for (size_t i = 0; i < n; i++)
        buf_fmt(b, "%lld %.*s %lld %.*s %.*s\n", (long long)events[i].seq, SP(events[i].job),
                (long long)events[i].number, SP(events[i].kind), SP(events[i].body));
    struct span seen = look();
    buf_add(b, seen);
    count = 0;
}

static void come_in(void)
{
    for (int i = 0; i < 6; i++)
        accept_next(arena_fmt(w->ids, "job_a%d", i), i % 2 ? "x/normal" : "y/bulk")->prio = i;
    accept_next("job_a1", "x/normal"); /* it is there */
    struct accept_args *one = accept_next("job_k1", "x/normal"),
                       *again = accept_next("job_k2", "x/normal"),
                       *other = accept_next("job_k3", "x/normal");
    one->idempotency_key = again->idempotency_key = other->idempotency_key = SPAN("key");
    one->request_hash = again->request_hash = 7;
    other->request_hash = 8;
    one = accept_next("job_u1", "x/normal");
    again = accept_next("job_u2", "x/normal");
    other = accept_next("job_u3", "x/normal");
    one->unique_key = again->unique_key = other->unique_key = SPAN("unique");
    again->on_conflict = UNIQUE_REJECT;
    other->on_conflict = UNIQUE_REPLACE_PENDING;
    one = accept_next("job_w1", "z/normal");
    again = accept_next("job_w2", "z/normal");
    one->work = again->work = 99;
    again->coalesce = true;
    accept_next("job_l1", "not a lane");
    for (int i = 0; i < 12; i++)
        accept_next(arena_fmt(w->ids, "job_b%02d", i), "t/x/bulk");
}

static void the_story(bool together, struct buf *b)
{
    struct lease l[8];
    come_in();
    run_them(together);
    say_all(b);
    for (uint64_t i = 0; i < 6; i++)
        reserve_next(100 + i);
    reserve_next(102); /* asked again */
    run_them(together);
    for (int i = 0; i < 6; i++)
        l[i] = ops[i].out.lease;
    say_all(b);
    struct lease stale = l[0];
    stale.nonce++;
    speak_next(STORE_STARTED, &l[0]);
    speak_next(STORE_HEARTBEAT, &l[1]);
    speak_next(STORE_HEARTBEAT, &stale);
    finish_next(&l[0], FAILURE_NONE);
    finish_next(&l[1], FAILURE_NETWORK);
    finish_next(&l[2], FAILURE_DRIFT);
    finish_next(&l[2], FAILURE_DRIFT); /* a second time */
    finish_next(&stale, FAILURE_NONE);
    reserve_next(200);
    finish_next(&l[3], FAILURE_RATE_LIMITED);
    reserve_next(201);
    run_them(together);
    say_all(b);
    for (uint64_t i = 0; i < 30; i++)
        reserve_next(300 + i);
    run_them(together);
    say_all(b);
}

static void several_at_once_answer_and_leave_what_they_would_alone(void **state)
{
    (void)state;
    struct buf alone = BUF(1 << 20), together = BUF(1 << 20);
    the_story(false, &alone);
    struct world *own = w, *second = world_new();
    w = second;
    the_story(true, &together);
    assert_int_equal(alone.failed, E_OK);
    same_look(buf_span(&alone), buf_span(&together));
    w = own;
    world_free(second);
    buf_free(&alone);
    buf_free(&together);
}

static int64_t scripts_run(void)
{
    struct redis_place *p = w->place;
    struct reply r = {0};
    assert_int_equal(link_say(p->watch, w->a, &r, &w->f, "INFO", "commandstats", NULL), E_OK);
    size_t at = span_find(r.text, SPAN("cmdstat_evalsha:calls="));
    return at < r.text.n ? strtoll(r.text.p + at + 22, NULL, 10) : 0;
}

static void many_that_wait_take_few_turns(void **state)
{
    (void)state;
    for (int i = 0; i < OPS; i++)
        accept_next(arena_fmt(w->ids, "job_%02d", i), "x/normal");
    int64_t before = scripts_run();
    run_them(true);
    assert_int_equal(scripts_run() - before, 2);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ops[i].result, E_OK);
    count = 0;
    assert_int_equal(outlook().by_state[JOB_READY], OPS);
}

/* One whose key somebody else has used spoils nobody's turn. */
static void one_of_several_that_fails_in_redis_fails_alone(void **state)
{
    (void)state;
    struct redis_place *p = w->place;
    struct reply r;
    assert_int_equal(
        link_say(p->watch, w->a, &r, &w->f, "SET", "fulmar:{q}:j:job_2", "x", NULL), E_OK);
    for (int i = 0; i < 5; i++)
        accept_next(arena_fmt(w->ids, "job_%d", i), "x/normal");
    run_them(true);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ops[i].result, i == 2 ? E_STORE : E_OK);
    count = 0;
    assert_int_equal(outlook().by_state[JOB_READY], 4);
}

static void put_foreign(const char *key)
{
    struct redis_place *p = w->place;
    struct reply r;
    assert_int_equal(link_say(p->watch, w->a, &r, &w->f, "SET", key, "x", NULL), E_OK);
}

static void drop_key(const char *key)
{
    struct redis_place *p = w->place;
    struct reply r;
    assert_int_equal(link_say(p->watch, w->a, &r, &w->f, "DEL", key, NULL), E_OK);
}

static struct accept_args *accept_with_key(const char *id, const char *lane)
{
    struct accept_args *args = accept_next(id, lane);
    args->idempotency_key = arena_keep(w->ids, span_of(id));
    args->request_hash = 7;
    return args;
}

/* A worker's question, alone: what it got, or E_END. */
static err lease_alone(const char *id, uint64_t random)
{
    struct lease l;
    err e = reserve_as(&(struct reserve_args){.needs = NEEDS_PAGE, .random = random}, &l);
    if (!e)
        assert_string_equal(l.id, id);
    return e;
}

static void what_comes_in_beside_a_lane_that_is_foreign_is_there(void **state)
{
    (void)state;
    put_foreign("fulmar:{q}:l:y/bulk");
    accept_with_key("job_a", "x/normal");
    accept_with_key("job_b", "y/bulk");
    run_them(true);
    assert_int_equal(ops[0].result, E_OK);
    assert_int_equal(ops[0].out.accept.replayed, 0);
    assert_int_equal(ops[1].result, E_STORE);
    count = 0;
    assert_int_equal(outlook().by_state[JOB_READY], 1);
    assert_int_equal(lease_alone("job_a", 1), E_OK);
    drop_key("fulmar:{q}:l:y/bulk");
}

/* Neither do the indexes of a lane that is about to be written: it leaves nothing, and those beside it are there. */
static void what_comes_in_beside_an_index_that_is_foreign_is_there(void **state)
{
    (void)state;
    put_foreign("fulmar:{q}:l:y/bulk:s");
    accept_with_key("job_a", "x/normal");
    accept_with_key("job_b", "y/bulk")->run_at_ms = w->now + MINUTE;
    accept_with_key("job_c", "z/bulk");
    int64_t before = scripts_run();
    run_them(true);
    assert_int_equal(scripts_run() - before, 2); /* the others were not asked again */
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ops[i].result, i == 1 ? E_STORE : E_OK);
    count = 0;
    assert_int_equal(outlook().by_state[JOB_SCHEDULED], 0);
    assert_int_equal(walk_once(), 0);
    drop_key("fulmar:{q}:l:y/bulk:s");
}

/* What all of them write is foreign: nothing can come in, and when that is over a request is no answer to itself. */
static void a_key_names_no_job_that_was_not_stored(void **state)
{
    (void)state;
    put_foreign("fulmar:{q}:s:2");
    accept_with_key("job_a", "x/normal");
    accept_with_key("job_b", "x/normal");
    run_them(true);
    assert_int_equal(ops[0].result, E_STORE);
    assert_int_equal(ops[1].result, E_STORE);
    drop_key("fulmar:{q}:s:2");
    run_them(true);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(ops[i].result, E_OK);
        assert_int_equal(ops[i].out.accept.replayed, 0);
    }
    count = 0;
    assert_int_equal(outlook().by_state[JOB_READY], 2);
    assert_int_equal(lease_alone("job_a", 1), E_OK); /* each once */
    assert_int_equal(lease_alone("job_b", 2), E_OK);
    assert_int_equal(lease_alone("", 3), E_END);
}

static void a_member_of_a_lane_without_a_job_holds_up_nobody(void **state)
{
    (void)state;
    struct redis_place *p = w->place;
    struct reply r;
    accept_next("job_a", "x/normal");
    accept_next("job_b", "y/bulk");
    run_them(true);
    count = 0;
    for (int i = 0; i < 3; i++)
        assert_int_equal(link_say(p->watch, w->a, &r, &w->f, "ZADD", "fulmar:{q}:l:x/normal:1",
                                  "-1", arena_fmt(w->ids, "00000000009%d:job_gone", i), NULL),
                         E_OK);
    reserve_next(1);
    reserve_next(2);
    run_them(true);
    assert_int_equal(ops[0].result, E_OK);
    assert_int_equal(ops[1].result, E_OK);
    assert_string_not_equal(ops[0].out.lease.id, ops[1].out.lease.id);
    count = 0;
    assert_int_equal(link_say(p->watch, w->a, &r, &w->f, "ZADD", "fulmar:{q}:l:x/normal:1",
                              "-1", "000000000090:job_gone", NULL),
                     E_OK);
    accept_next("job_c", "x/normal");
    run_them(true);
    count = 0;
    assert_int_equal(lease_alone("job_c", 3), E_OK);
    assert_int_equal(lease_alone("", 4), E_END);
}

/* A full lane gives the place of its last job to one that starts before it, also when a member behind has no job. */
static void a_member_without_a_job_is_not_the_last_of_a_full_lane(void **state)
{
    (void)state;
    struct redis_place *p = w->place;
    struct reply r;
    struct accept_reply ignored;
    struct lane_change full = lane_sets("x/normal");
    full.settings.depth = 3;
    full.settings.overflow = OVERFLOW_DROP_LAST;
    assert_int_equal(lane_change(&full), E_OK);
    accept_next("job_a", "x/normal");
    accept_next("job_b", "x/normal");
    run_them(true);
    count = 0;
    assert_int_equal(link_say(p->watch, w->a, &r, &w->f, "ZADD", "fulmar:{q}:l:x/normal:1",
                              "9007199254740991", "000000000090:job_gone", NULL),
                     E_OK);
    struct accept_args urgent = job_args("job_c", "x/normal");
    urgent.prio = 9;
    assert_int_equal(try_accept(&urgent, &ignored), E_OK);
    assert_int_equal(state_of("job_c"), JOB_READY);
}

/* One job's texts are foreign: the others start, and it does when they are not any more. */
static void a_job_that_cannot_start_takes_no_other_along(void **state)
{
    (void)state;
    accept_next("job_a", "x/normal");
    accept_next("job_b", "x/normal")->mark = 2;
    run_them(true);
    count = 0;
    put_foreign("fulmar:{q}:t:job_b");
    reserve_next(1);
    reserve_next(2);
    run_them(true);
    assert_int_equal(ops[0].result, E_OK);
    assert_string_equal(ops[0].out.lease.id, "job_a");
    assert_int_equal(ops[1].result, E_END);
    struct lease held = ops[0].out.lease;
    count = 0;
    assert_int_equal(heartbeat(&held, NULL), E_OK);
    drop_key("fulmar:{q}:t:job_b");
    assert_true(walk_once() > 0);
    assert_int_equal(lease_alone("job_b", 3), E_OK);
}

/* Foreign data in the place of what is there, if anything is; and what was there back in its place. */
static void swap(const char *key)
{
    struct redis_place *p = w->place;
    struct reply r;
    (void)!link_say(p->watch, w->a, &r, NULL, "RENAME", key, "aside", NULL);
    put_foreign(key);
}
static void swap_back(const char *key)
{
    struct redis_place *p = w->place;
    struct reply r;
    drop_key(key);
    (void)!link_say(p->watch, w->a, &r, NULL, "RENAME", "aside", key, NULL);
}

/* Nobody's turn waits for one that cannot start; it starts when it can. */
static void others_start(const char *key)
{
    struct lease l;
    accept_next("job_b", "x/normal")->mark = 2;
    accept_next("job_a", "x/normal");
    accept_next("job_c", "y/normal");
    run_them(true);
    count = 0;
    swap(key);
    for (uint64_t i = 0; i < 4; i++)
        reserve_next(1 + i);
    run_them(true);
    assert_string_equal(ops[0].out.lease.id, "job_a");
    assert_string_equal(ops[1].out.lease.id, "job_c");
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ops[i].result, i < 2 ? E_OK : E_END);
    count = 0;
    (void)walk_once();
    assert_int_equal(walk_once(), 0);
    assert_int_equal(reserve_as(&(struct reserve_args){.needs = NEEDS_PAGE, .random = 9}, &l),
                     E_END);
    swap_back(key);
    assert_true(walk_once() > 0);
    assert_int_equal(lease_alone("job_b", 10), E_OK);
}

/* Such a job left its lane's turn: when it ends, the lane still has the others. */
static void the_end_of_a_job_that_could_not_start_leaves_its_lane_awake(void **state)
{
    (void)state;
    accept_next("job_b", "x/normal")->mark = 2;
    accept_next("job_a", "x/normal");
    run_them(true);
    swap("fulmar:{q}:t:job_b");
    assert_int_equal(lease_alone("job_a", 1), E_OK);
    swap_back("fulmar:{q}:t:job_b");
    count = 0;
    accept_next("job_c", "x/normal");
    run_them(true);
    cancel("job_b", false);
    assert_int_equal(lease_alone("job_c", 2), E_OK);
    count = 0;
}

static bool was_said_once(const char *kind, const char *body)
{
    struct event_view *events;
    size_t n, said = 0;
    assert_int_equal(store_events(w->s, 0, SPAN_NONE, 5000, w->a, &events, &n, &w->f), E_OK);
    for (size_t i = 0; i < n; i++)
        said += span_is(events[i].kind, kind) && span_is(events[i].body, body);
    return said == 1;
}

static void a_job_with_foreign_texts_stops_no_other_start(void **state)
{
    (void)state;
    others_start("fulmar:{q}:t:job_b");
    assert_true(was_said_once("queue.damaged", "{\"job\":\"job_b\"}"));
}

/* Of three leases that nobody renewed one job's texts are somebody else's: the others come back, and it does when they are not. */
static void a_job_with_foreign_texts_is_not_in_the_way_of_others_that_lapse(void **state)
{
    (void)state;
    struct lease l[3];
    const char *texts = "fulmar:{q}:t:job_b";
    accept_next("job_a", "x/normal");
    accept_next("job_b", "x/normal");
    accept_next("job_c", "x/normal");
    run_them(true);
    count = 0;
    for (int i = 0; i < 3; i++)
        l[i] = lease_next();
    swap(texts);
    (void)reap();
    for (int i = 0; i < 5; i++) {
        w->now += w->limits.lease_ms;
        (void)reap();
    }
    assert_int_equal(state_of("job_a"), JOB_READY);
    assert_int_equal(state_of("job_c"), JOB_READY);
    assert_true(was_said_once("queue.damaged", "{\"job\":\"job_b\"}"));
    swap_back(texts);
    assert_int_equal(state_of("job_b"), JOB_ACTIVE);
    (void)walk_once();
    for (int i = 0; i < 5; i++) {
        w->now += w->limits.lease_ms;
        (void)reap();
    }
    assert_int_equal(state_of("job_b"), JOB_READY);
    assert_int_equal(heartbeat(&l[1], NULL), E_STALE);
}

/* What leaves its lane because it cannot start is said, also when who met it does not come in. */
static void a_job_that_cannot_start_is_said_by_who_is_refused(void **state)
{
    (void)state;
    struct accept_args args = job_args("job_c", "x/normal");
    struct accept_reply ignored;
    struct lane_change c = lane_sets("x/normal");
    c.settings.depth = 1;
    c.settings.overflow = OVERFLOW_DROP_LAST;
    accept_next("job_b", "x/normal");
    run_them(true);
    count = 0;
    assert_int_equal(lane_change(&c), E_OK);
    swap("fulmar:{q}:j:job_b");
    assert_int_equal(try_accept(&args, &ignored), E_BUSY);
    assert_true(was_said_once("queue.damaged", "{\"job\":\"job_b\"}"));
    swap_back("fulmar:{q}:j:job_b");
}

static void a_job_that_is_foreign_itself_stops_no_other_start(void **state)
{
    (void)state;
    others_start("fulmar:{q}:j:job_b");
    assert_true(was_said_once("queue.damaged", "{\"job\":\"job_b\"}"));
}

static void a_lane_that_is_foreign_stops_no_other_start(void **state)
{
    (void)state;
    const char *lane = "fulmar:{q}:l:x/normal";
    accept_next("job_b", "x/normal");
    accept_next("job_c", "y/normal");
    run_them(true);
    count = 0;
    swap(lane);
    assert_int_equal(lease_alone("job_c", 1), E_OK);
    swap_back(lane);
    assert_int_equal(lease_alone("job_b", 2), E_OK);
}

static void an_end_that_cannot_be_written_takes_no_other_along(void **state)
{
    (void)state;
    struct lease l[2];
    accept_next("job_a", "x/normal");
    accept_next("job_b", "x/normal");
    reserve_next(1);
    reserve_next(2);
    run_them(true);
    for (int i = 0; i < 2; i++)
        l[i] = ops[2 + i].out.lease;
    count = 0;
    drop_key("fulmar:{q}:t:job_b");
    put_foreign("fulmar:{q}:t:job_b");
    finish_next(&l[0], FAILURE_NETWORK);
    finish_next(&l[1], FAILURE_NETWORK);
    for (int i = 0; i < 2; i++) /* which is kept among the texts */
        ops[i].in.finish.why = SPAN("no way there");
    run_them(true);
    assert_int_equal(ops[0].result, E_OK);
    assert_int_equal(ops[1].result, E_STORE);
    drop_key("fulmar:{q}:t:job_b");
    run_them(true); /* the first one's lease is over */
    assert_int_equal(ops[0].result, E_STALE);
    assert_int_equal(ops[1].result, E_OK);
    count = 0;
    assert_int_equal(outlook().by_state[JOB_SCHEDULED], 2);
}

/* What somebody hears who follows the log of all events a few at a time, each behind the last one that he heard of. */
static void heard_of(const char *id, const char *kinds)
{
    struct event_view *events;
    size_t n = 1;
    struct buf b = BUF(4096);
    for (int64_t after = 0; n > 0;) {
        assert_int_equal(store_events(w->s, after, SPAN_NONE, 2, w->a, &events, &n, &w->f),
                         E_OK);
        for (size_t i = 0; i < n; i++) {
            assert_true(events[i].seq > after);
            after = events[i].seq;
            if (span_is(events[i].job, id))
                buf_fmt(&b, "%.*s %lld\n", SP(events[i].kind), (long long)events[i].number);
        }
    }
    assert_string_equal(arena_fmt(w->a, "%.*s", SP(buf_span(&b))), kinds);
    buf_free(&b);
}

static void a_start_that_fails_half_way_is_no_event(void **state)
{
    (void)state;
    struct lease l;
    accept_next("job_a", "x/normal");
    run_them(true);
    count = 0;
    swap("fulmar:{q}:words");
    assert_int_equal(reserve_as(&(struct reserve_args){.needs = NEEDS_PAGE, .random = 1}, &l),
                     E_STORE);
    heard_of("job_a", "job.accepted 1\n");
    swap_back("fulmar:{q}:words");
    assert_true(walk_once() > 0);
    assert_int_equal(reserve_as(&(struct reserve_args){.needs = NEEDS_PAGE, .random = 3}, &l),
                     E_OK);
    finish(&l, FAILURE_NONE);
    heard_of("job_a", "job.accepted 1\njob.started 2\njob.finished 3\n");
}

/* A node of an earlier version logged what it did not do, and what its job did since is behind that. */
static void the_log_shows_each_event_in_its_place_whatever_stands_before(void **state)
{
    (void)state;
    struct redis_place *p = w->place;
    struct reply r;
    struct lease l;
    accept_next("job_a", "x/normal");
    accept_next("job_b", "y/bulk");
    run_them(true);
    count = 0;
    put_foreign("fulmar:{q}:e:job_b"); /* of one job, and nobody else hears less */
    assert_int_equal(reserve_as(&(struct reserve_args){.needs = NEEDS_PAGE, .random = 1}, &l),
                     E_OK);
    assert_string_equal(l.id, "job_a");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(link_say(p->watch, w->a, &r, &w->f, "XADD", "fulmar:{q}:ev",
                                  i ? "11-0" : "10-0", "j", "job_a", "n", "3", NULL),
                         E_OK);
        assert_int_equal(link_say(p->watch, w->a, &r, &w->f, "RPUSH", "fulmar:{q}:e:job_a",
                                  i ? "11|1|job.dead|{}" : "10|1|job.finished|{}", NULL),
                         E_OK);
    }
    heard_of("job_a", "job.accepted 1\njob.started 2\n");
    finish(&l, FAILURE_NONE);
    heard_of("job_a", "job.accepted 1\njob.started 2\njob.finished 3\n");
    heard_of("job_b", "job.accepted 1\n");
    drop_key("fulmar:{q}:e:job_b");
}

/* The last thing that a script does, when all is there: nothing is denied for it. */
static void what_is_there_is_answered_also_when_nobody_can_be_told_of_it(void **state)
{
    (void)state;
    put_foreign("fulmar:{q}:wake");
    accept_with_key("job_a", "x/normal");
    accept_with_key("job_b", "x/normal");
    run_them(true);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(ops[i].result, E_OK);
        assert_int_equal(ops[i].out.accept.replayed, 0);
    }
    count = 0;
    drop_key("fulmar:{q}:wake");
    assert_int_equal(outlook().by_state[JOB_READY], 2);
}

/* job_0 to job_2 run, the second of them in this lane. */
static void lease_three(struct lease l[3], const char *second)
{
    for (int i = 0; i < 3; i++)
        accept_next(arena_fmt(w->ids, "job_%d", i), i == 1 ? second : "x/normal");
    for (uint64_t i = 0; i < 3; i++)
        reserve_next(1 + i);
    run_them(true);
    for (int i = 0; i < 3; i++)
        l[i] = ops[3 + i].out.lease;
    count = 0;
}

static void an_end_beside_an_index_that_is_foreign_is_written_once(void **state)
{
    (void)state;
    struct lease l[3];
    lease_three(l, "y/bulk");
    put_foreign("fulmar:{q}:l:y/bulk:e");
    put_foreign("fulmar:{q}:l:z/bulk:t");
    for (int i = 0; i < 3; i++)
        finish_next(&l[i], FAILURE_NONE);
    run_them(true);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ops[i].result, strcmp(l[i].id, "job_1") == 0 ? E_STORE : E_OK);
    count = 0;
    heard_of("job_1", "job.accepted 1\njob.started 2\n");
    drop_key("fulmar:{q}:l:y/bulk:e");
    assert_int_equal(walk_once(), 0);
    for (int i = 0; i < 3; i++)
        if (strcmp(l[i].id, "job_1") == 0)
            finish(&l[i], FAILURE_NONE);
    for (int i = 0; i < 3; i++)
        heard_of(l[i].id, "job.accepted 1\njob.started 2\njob.finished 3\n");
    /* What only counts costs no job. */
    accept_next("job_3", "z/bulk");
    accept_next("job_4", "z/bulk");
    run_them(true);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ops[i].result, E_OK);
    count = 0;
    drop_key("fulmar:{q}:l:z/bulk:t");
}

/* A batch, and behind it the end of its job, beside the ends of others. */
static void what_a_worker_brought_before_its_end_is_kept(void **state)
{
    (void)state;
    struct lease l[3];
    lease_three(l, "x/normal");
    struct store_item item = {.kind = ITEM_POST, .id = SPAN("1"), .json = SPAN("{}")};
    next_op(STORE_COMMIT)->in.commit = (struct commit_args){.id = span_of(l[0].id),
                                                            .nonce = l[0].nonce,
                                                            .items = &item,
                                                            .count = 1,
                                                            .cursor = SPAN("cursor")};
    for (int i = 0; i < 3; i++)
        finish_next(&l[i], FAILURE_NONE);
    run_them(true);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ops[i].result, E_OK);
    count = 0;
    assert_int_equal(view("job_0").have, 1);
    assert_int_equal(outlook().by_state[JOB_SUCCEEDED], 3);
}

static struct span kept_for(const char *what, const char *node)
{
    struct redis_place *p = w->place;
    struct reply r;
    assert_int_equal(link_say(p->watch, w->ids, &r, &w->f, "HGET", what, node, NULL), E_OK);
    return r.text;
}

static void beat_of(struct store *s)
{
    const struct node_beat says = {.version = "1.2.3", .host = "moss"};
    assert_int_equal(store_begin(s, &w->f), E_OK);
    assert_int_equal(store_node_beat(s, &says, now(), &w->f), E_OK);
    assert_int_equal(store_commit(s, &w->f), E_OK);
}

/* What a node was answered last, in case that it asks again, goes with the node; the number of its call stays. */
static void what_a_node_was_answered_goes_with_the_node(void **state)
{
    (void)state;
    struct redis_place *p = w->place;
    struct store *own = w->s, *other;
    struct redis_config config = {.url = span_of(p->server.url),
                                  .node = SPAN("another"),
                                  .records = &kept_records,
                                  .archive = p->archive,
                                  .callers_time = true};
    assert_int_equal(redis_open(&other, &config, &w->limits, 7, now(), &w->f), E_OK);
    for (int i = 0; i < 4; i++)
        accept_next(arena_fmt(w->ids, "job_%d", i), "x/normal");
    run_them(true);
    count = 0;
    w->s = other;
    beat_of(other);
    for (uint64_t i = 0; i < 4; i++)
        reserve_next(1 + i);
    run_them(true);
    count = 0;
    w->s = own;
    assert_true(kept_for("fulmar:{q}:last", "another").n > 100);
    assert_true(kept_for("fulmar:{q}:leased", "another").n > 0);
    w->now += NODE_KEPT_MS + 1;
    beat_of(own);
    assert_int_equal(kept_for("fulmar:{q}:leased", "another").n, 0);
    struct span last = kept_for("fulmar:{q}:last", "another");
    assert_true(last.n > 0 && last.n < 64 && last.p[last.n - 1] == '|');
    beat_of(other); /* it comes back */
    assert_true(kept_for("fulmar:{q}:last", "another").n > last.n);
    store_close(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        S(several_at_once_answer_and_leave_what_they_would_alone),
        S(many_that_wait_take_few_turns),
        S(one_of_several_that_fails_in_redis_fails_alone),
        S(what_comes_in_beside_a_lane_that_is_foreign_is_there),
        S(what_comes_in_beside_an_index_that_is_foreign_is_there),
        S(a_key_names_no_job_that_was_not_stored),
        S(a_member_of_a_lane_without_a_job_holds_up_nobody),
        S(a_member_without_a_job_is_not_the_last_of_a_full_lane),
        S(a_job_that_cannot_start_takes_no_other_along),
        S(the_end_of_a_job_that_could_not_start_leaves_its_lane_awake),
        S(a_job_with_foreign_texts_stops_no_other_start),
        S(a_job_with_foreign_texts_is_not_in_the_way_of_others_that_lapse),
        S(a_job_that_cannot_start_is_said_by_who_is_refused),
        S(a_job_that_is_foreign_itself_stops_no_other_start),
        S(a_lane_that_is_foreign_stops_no_other_start),
        S(an_end_that_cannot_be_written_takes_no_other_along),
        S(an_end_beside_an_index_that_is_foreign_is_written_once),
        S(a_start_that_fails_half_way_is_no_event),
        S(the_log_shows_each_event_in_its_place_whatever_stands_before),
        S(what_is_there_is_answered_also_when_nobody_can_be_told_of_it),
        S(what_a_worker_brought_before_its_end_is_kept),
        S(what_a_node_was_answered_goes_with_the_node),
    };
    maker = &store_makers[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
