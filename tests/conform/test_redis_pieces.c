/* A batch of more jobs than one script takes comes in pieces. Whoever dies in between, and behind whichever piece: it is there
 * whole, or nothing of it is and nothing stays. The node that dies is cut off from its Redis; another one looks. */
#include "../lib/store.h"

#include "../lib/between.h"
#include "store/lanes.h"
#include "store/dead.h"
#include "store/redis/transfer.h"
#include "store/ticket.h"

enum { JOBS = 60, PIECES = 3, COMMIT = PIECES, SCRIPTS = 2 * PIECES + 1 };

static struct between way;
static struct store *north;
static struct accept_args orders[JOBS];
static struct batch_reply reply;
static struct span tidied; /* whose pieces go away */

static struct redis_place *place(void)
{
    return w->place;
}

static void ok(err e)
{
    if (e)
        fail_msg("%s: %s", err_name(e), w->f.words);
}

static void make_orders(void)
{
    for (int i = 0; i < JOBS; i++) {
        orders[i] = job_args(new_id("job"));
        orders[i].unique_key = span_of(arena_fmt(w->a, "work %d", i));
        orders[i].on_conflict = UNIQUE_REJECT;
    }
}

static struct batch_args args_of(void)
{
    make_orders();
    return (struct batch_args){.id = span_of(new_id("bat")),
                               .jobs = orders,
                               .count = JOBS,
                               .idempotency_key = SPAN("once"),
                               .request_hash = 7};
}

static err create(const struct batch_args *args)
{
    begin();
    err e = store_batch_create(w->s, args, now(), w->a, &reply, &w->f);
    commit();
    return e;
}

static err add(const char *batch)
{
    struct batch_add_args args = {.id = span_of(batch),
                                  .jobs = orders,
                                  .count = JOBS,
                                  .idempotency_key = SPAN("more"),
                                  .request_hash = 7};
    make_orders();
    begin();
    err e = store_batch_add(w->s, &args, now(), w->a, &reply, &w->f);
    commit();
    return e;
}

static void cut_off(err e)
{
    assert_true(e == E_BUSY || e == E_STORE);
}

/* From here on a node speaks that dies when it has run so many scripts. */
static void begin_dying(int behind)
{
    struct redis_config config = {.url = span_of(way.url),
                                  .node = SPAN("north"),
                                  .records = &kept_records,
                                  .archive = place()->archive,
                                  .state_dir = place()->server.dir,
                                  .callers_time = true};
    north = w->s;
    if (redis_open(&w->s, &config, &w->limits, 7, now(), &w->f))
        fail_msg("open: %s", w->f.words);
    way.way = BETWEEN_CUTS;
    way.scripts = 0;
    way.first = behind;
    way.times = 1000;
}

static void end_dying(void)
{
    store_close(&w->s);
    w->s = north;
    way.times = 0;
    way.meanwhile = NULL;
    w->f = (struct fault){0};
}

static size_t keys_of(const char *pattern)
{
    struct arena *a = arena_new(1 << 20);
    struct reply r = {0};
    ok(link_say(place()->watch, a, &r, &w->f, "KEYS", pattern, NULL));
    size_t n = r.count;
    arena_free(&a);
    return n;
}

static int64_t ask(const char *verb, const char *key, const char *more)
{
    struct arena *a = arena_new(1 << 16);
    struct reply r = {0};
    ok(link_say(place()->watch, a, &r, &w->f, verb, key, more, NULL));
    int64_t n = r.number;
    arena_free(&a);
    return n;
}

static size_t staged_keys(void)
{
    return keys_of("fulmar:{q}:bg:*") + keys_of("fulmar:{q}:bstage") +
           keys_of("fulmar:{q}:bcoming") + keys_of("fulmar:{q}:bkeys");
}

static int64_t walk(void)
{
    struct audit_reply r;
    ok(redis_audit(w->s, now(), &r, &w->f));
    return r.repaired;
}

/* One walk that has begun behind this moment. */
static void walk_through(void)
{
    struct audit_reply r;
    ok(redis_audit(w->s, now(), &r, &w->f));
    for (int64_t before = r.walks; r.walks < before + 2;)
        ok(redis_audit(w->s, now(), &r, &w->f));
}

static bool is_there(const char *batch)
{
    struct batch_view v;
    return store_batch(w->s, span_of(batch), w->a, &v, &w->f) == E_OK;
}

static struct batch_view batch(const char *id)
{
    struct batch_view v;
    ok(store_batch(w->s, span_of(id), w->a, &v, &w->f));
    return v;
}

static err accept_like(const char *work)
{
    struct accept_reply ignored;
    struct accept_args one = job_args(new_id("job"));
    one.unique_key = span_of(work);
    one.on_conflict = UNIQUE_REJECT;
    begin();
    err e = store_accept(w->s, &one, now(), &ignored, &w->f);
    commit();
    return e;
}

static void ends_once(const char *id, int64_t left, int64_t all)
{
    struct lease l;
    for (int64_t i = 0; i < left; i++) {
        assert_int_equal(events_of(id, "batch.complete"), 0);
        assert_true(reserve(&l));
        finish(&l, FAILURE_NONE, "");
    }
    assert_false(reserve(&l));
    assert_int_equal(batch(id).counts[JOB_SUCCEEDED], all);
    assert_int_equal(events_of(id, "batch.complete"), 1);
}

/* ---- before the last piece ---- */

static void of_a_node_that_dies_between_pieces_nothing_is_there_and_nothing_stays(void **state)
{
    for (int behind = 0; behind <= COMMIT; behind++) {
        tear_down(state);
        set_up(state);
        way.to = place()->server.socket;
        struct batch_args args = args_of();
        int64_t last = store_last_event(w->s);
        begin_dying(behind);
        cut_off(create(&args));
        end_dying();
        assert_false(is_there(args.id.p));
        assert_int_equal(jobs_in(-1), 0);
        assert_int_equal(store_last_event(w->s), last);
        tend();
        assert_int_equal(jobs_in(-1), 0);
        assert_int_equal(staged_keys() > 0, behind > 0);
        assert_int_equal(walk(), 0); /* its node may be slow */
        /* Who asks again is not told of that one, and is held up by nothing of it. */
        const char *dead = args.id.p;
        args = args_of();
        ok(create(&args));
        assert_false(reply.replayed);
        assert_string_equal(reply.id, args.id.p);
        assert_int_equal(jobs_in(JOB_READY), JOBS);
        w->now += 61000;
        assert_int_equal(walk(), behind > 0);
        assert_int_equal(staged_keys(), 0);
        assert_false(is_there(dead));
        ends_once(reply.id, JOBS, JOBS);
    }
}

static void an_addition_that_stays_unfinished_changes_nothing_of_its_batch(void **state)
{
    (void)state;
    struct batch_args args = args_of();
    args.open = true;
    args.count = 1;
    orders[0].unique_key = SPAN_NONE;
    ok(create(&args));
    int64_t revision = batch(reply.id).revision;
    begin_dying(COMMIT);
    cut_off(add(args.id.p));
    end_dying();
    assert_int_equal(batch(args.id.p).revision, revision);
    assert_int_equal(jobs_in(-1), 1);
    begin();
    ok(store_batch_seal(w->s, args.id, now(), &w->f));
    commit();
    ends_once(args.id.p, 1, 1);
}

static void tidy_up(void)
{
    struct arena *a = arena_new(1 << 16);
    struct reply r = {0};
    struct fault f = {0};
    const char *list = arena_fmt(a, "fulmar:{q}:bg:%.*s", SP(tidied));
    if (link_say(place()->watch, a, &r, &f, "DEL", list, arena_fmt(a, "%s:k", list), NULL))
        abort();
    arena_free(&a);
}

/* Its node takes so long that another one has tidied up what was there. */
static void what_was_tidied_away_meanwhile_is_not_accepted_in_part(void **state)
{
    (void)state;
    struct batch_args args = args_of();
    for (int before = 1; before <= COMMIT; before++) {
        tidied = args.id;
        begin_dying(before);
        way.times = 0;
        way.meanwhile = tidy_up;
        assert_int_equal(create(&args), E_BUSY);
        end_dying();
        assert_int_equal(jobs_in(-1), 0);
        assert_int_equal(staged_keys(), 0);
    }
    ok(create(&args));
    assert_int_equal(jobs_in(JOB_READY), JOBS);
}

/* ---- behind it ---- */

static void what_was_accepted_comes_in_though_its_node_dies_on_the_way(void **state)
{
    for (int behind = COMMIT + 1; behind < SCRIPTS; behind++) {
        tear_down(state);
        set_up(state);
        way.to = place()->server.socket;
        struct batch_args args = args_of();
        begin_dying(behind);
        ok(create(&args));
        assert_int_equal(reply.added, JOBS);
        end_dying();
        assert_int_equal(jobs_in(-1), (behind - COMMIT - 1) * 20);
        struct batch_view v = batch(args.id.p);
        assert_true(v.sealed);
        assert_int_equal(v.counts[JOB_BLOCKED] + v.counts[JOB_READY], JOBS);
        /* All that are there end, and it is not complete. */
        struct lease l;
        int64_t ended = 0;
        for (; reserve(&l); ended++)
            finish(&l, FAILURE_NONE, "");
        assert_int_equal(events_of(args.id.p, "batch.complete"), 0);
        /* It is known by its key, and work that is to come is not taken twice. */
        struct span id = args.id;
        args = args_of();
        ok(create(&args));
        assert_true(reply.replayed);
        assert_string_equal(reply.id, id.p);
        assert_int_equal(accept_like("work 59"), E_BUSY);
        tend();
        assert_int_equal(jobs_in(-1), ended); /* its node may be at it */
        w->now += 2001;
        tend();
        assert_int_equal(jobs_in(-1), JOBS);
        assert_int_equal(accept_like("work 59"), E_CONFLICT);
        assert_int_equal(staged_keys(), 0);
        ends_once(id.p, JOBS - ended, JOBS);
        assert_int_equal(walk(), 0);
    }
}

/* Whoever asks for a job that was accepted, and is none yet, has it come in. */
static void a_job_that_is_to_come_is_found(void **state)
{
    (void)state;
    struct job_view v;
    struct batch_args args = args_of();
    begin_dying(COMMIT + 1);
    ok(create(&args));
    end_dying();
    assert_int_equal(jobs_in(-1), 0);
    assert_int_equal(store_job(w->s, SPAN("job_01NOBODYHASTHIS"), now(), w->a, &v, &w->f),
                     E_NOT_FOUND);
    assert_int_equal(jobs_in(-1), 0);
    w->f = (struct fault){0};
    ok(store_job(w->s, orders[JOBS - 1].id, now(), w->a, &v, &w->f));
    assert_int_equal(v.state, JOB_READY);
    assert_string_equal(v.batch, args.id.p);
    assert_int_equal(jobs_in(-1), JOBS);
    assert_int_equal(staged_keys(), 0);
    ends_once(args.id.p, JOBS, JOBS);
}

/* One is replaced by a job of the batch, and starts before that has come in. */
static void work_that_began_after_a_batch_was_accepted_is_waited_for(void **state)
{
    (void)state;
    struct lease l, next;
    struct batch_args args = args_of();
    ok(accept_like("work 59"));
    orders[59].on_conflict = UNIQUE_REPLACE_PENDING;
    begin_dying(COMMIT + 1);
    ok(create(&args));
    end_dying();
    assert_true(reserve(&l));
    w->now += 2001;
    tend();
    assert_int_equal(jobs_in(-1), JOBS + 1);
    assert_int_equal(jobs_in(JOB_BLOCKED), 1);
    finish(&l, FAILURE_NONE, "");
    assert_int_equal(jobs_in(JOB_READY), JOBS);
    while (reserve(&next))
        finish(&next, FAILURE_NONE, "");
    assert_int_equal(jobs_in(JOB_SUCCEEDED), JOBS + 1);
    assert_int_equal(events_of(args.id.p, "batch.complete"), 1);
}

static void a_move_takes_along_what_was_accepted(void **state)
{
    (void)state;
    struct batch_args args = args_of();
    struct transfer *t;
    struct redis_config config = {.url = span_of(place()->server.url)};
    begin_dying(COMMIT + 1);
    ok(create(&args));
    end_dying();
    ok(transfer_queue(&t, &config, SPAN("postgresql:///records"), &w->limits, &w->f));
    ok(t->ops->settle(t, false, &w->f));
    t->ops->close(&t);
    assert_int_equal(jobs_in(JOB_READY), JOBS);
    assert_int_equal(staged_keys(), 0);
}

static void who_acts_on_a_batch_waits_until_its_jobs_are_in(void **state)
{
    (void)state;
    struct batch_args args = args_of();
    struct operation_view operation;
    begin_dying(COMMIT + 1);
    ok(create(&args));
    end_dying();
    assert_int_equal(jobs_in(-1), 0);
    begin();
    ok(store_batch_cancel(w->s, args.id, span_of(new_id("opr")), now(), w->a, &operation,
                          &w->f));
    commit();
    while (jobs_in(JOB_CANCELLED) < JOBS) {
        w->now += 5000;
        tend();
    }
    assert_int_equal(jobs_in(-1), JOBS);
    assert_int_equal(events_of(args.id.p, "batch.complete"), 1);
}

static void set_depth(int64_t depth)
{
    struct lane_change c = {.name = SPAN("x/normal"),
                            .act = LANE_ACT_SET,
                            .settings = {LANE_UNCHANGED, LANE_UNCHANGED, LANE_UNCHANGED,
                                         LANE_UNCHANGED, LANE_UNCHANGED, LANE_UNCHANGED},
                            .by = SPAN("ann"),
                            .why = SPAN("a test")};
    c.settings.depth = depth;
    begin();
    ok(store_lane_change(w->s, &c, now(), &w->f));
    commit();
}

static void jobs_that_are_to_come_count_where_room_is_asked_for(void **state)
{
    (void)state;
    accept_job();
    set_depth(JOBS);
    struct batch_args args = args_of();
    assert_int_equal(create(&args), E_BUSY); /* one too many */
    assert_int_equal(jobs_in(-1), 1);
    set_depth(JOBS + 1);
    begin_dying(COMMIT + 1);
    ok(create(&args));
    end_dying();
    assert_int_equal(accept_like("something else"), E_BUSY);
    w->now += 2001;
    tend();
    assert_int_equal(jobs_in(JOB_READY), JOBS + 1);
    assert_int_equal(accept_like("something else"), E_BUSY);
    struct lease l;
    assert_true(reserve(&l));
    ok(accept_like("something else"));
    assert_int_equal(accept_like("yet something else"), E_BUSY);
}

/* ---- a script that fails half-way ---- */

enum { FIRST_BREAK = 26, LAST_BREAK = 29, ALREADY = 4 }; /* commands of a commit */
enum meanwhile { NODES_TEND, NOBODY_TENDS, SOMEBODY_SEALS, MEANWHILES };

static err add_without_work(const char *batch)
{
    make_orders();
    for (int i = 0; i < JOBS; i++)
        orders[i].unique_key = SPAN_NONE;
    struct batch_add_args args = {.id = span_of(batch),
                                  .jobs = orders,
                                  .count = JOBS,
                                  .idempotency_key = SPAN("more"),
                                  .request_hash = 7};
    begin();
    err e = store_batch_add(w->s, &args, now(), w->a, &reply, &w->f);
    commit();
    return e;
}

/* Whether its commit broke when it was accepted, and its batch did not know. */
static bool adds_with_break(const char *id, int calls)
{
    begin_dying(COMMIT);
    way.way = BETWEEN_BREAKS;
    way.calls = calls;
    way.times = 1;
    err e = add_without_work(id);
    assert_true(!e || e == E_STORE);
    end_dying();
    return e && ask("ZCARD", "fulmar:{q}:bcoming", NULL) > 0 &&
           batch(id).counts[JOB_BLOCKED] == 0;
}

static void seal(const char *batch)
{
    begin();
    ok(store_batch_seal(w->s, span_of(batch), now(), &w->f));
    commit();
}

static bool breaks_and_comes_once(int calls, enum meanwhile meanwhile)
{
    struct batch_args args = args_of();
    args.open = true;
    args.count = ALREADY;
    ok(create(&args));
    bool half = adds_with_break(args.id.p, calls);
    if (meanwhile == NODES_TEND) {
        w->now += 2001;
        tend();
    }
    if (meanwhile == SOMEBODY_SEALS)
        seal(args.id.p);
    err again = add_without_work(args.id.p);
    assert_true(!again || (again == E_CONFLICT && meanwhile == SOMEBODY_SEALS && !half));
    w->now += 2001;
    tend();
    int64_t all = again ? ALREADY : ALREADY + JOBS;
    const char *key = arena_fmt(w->a, "fulmar:{q}:b:%s", args.id.p);
    assert_int_equal(jobs_in(-1), all);
    assert_int_equal(ask("HEXISTS", key, "cm"), 0);
    seal(args.id.p);
    ends_once(args.id.p, all, all);
    return half;
}

static void an_addition_whose_commit_fails_half_way_comes_once(void **state)
{
    int half = 0;
    for (int calls = FIRST_BREAK; calls <= LAST_BREAK; calls++)
        for (int meanwhile = 0; meanwhile < MEANWHILES; meanwhile++) {
            tear_down(state);
            set_up(state);
            way.to = place()->server.socket;
            half += breaks_and_comes_once(calls, (enum meanwhile)meanwhile);
        }
    assert_true(half >= MEANWHILES); /* else these are other commands by now */
}

/* What is to come of one order counts where room is asked for, whatever becomes of the commit of another one. */
static bool breaks_and_counts(int calls)
{
    struct batch_args args = args_of();
    args.open = true;
    args.count = ALREADY;
    ok(create(&args));
    set_depth(ALREADY + 2 * JOBS);
    const char *first = args.id.p;
    if (!adds_with_break(first, calls))
        return false;
    args = args_of();
    args.idempotency_key = SPAN_NONE;
    for (int i = 0; i < JOBS; i++)
        orders[i].unique_key = SPAN_NONE;
    begin_dying(COMMIT + 1);
    ok(create(&args));
    end_dying();
    assert_int_equal(jobs_in(-1), ALREADY);
    assert_int_equal(accept_like("something else"), E_BUSY);
    seal(first); /* its jobs come in before */
    assert_int_equal(jobs_in(-1), ALREADY + JOBS);
    assert_int_equal(accept_like("something else"), E_BUSY);
    w->now += 2001;
    tend();
    assert_int_equal(jobs_in(-1), ALREADY + 2 * JOBS);
    assert_int_equal(accept_like("something else"), E_BUSY);
    struct lease l;
    assert_true(reserve(&l));
    ok(accept_like("something else"));
    assert_int_equal(keys_of("fulmar:{q}:bwait") + keys_of("fulmar:{q}:l:*:c"), 0);
    return true;
}

static void what_is_to_come_counts_whatever_becomes_of_another_order(void **state)
{
    bool half = false;
    for (int calls = LAST_BREAK; !half; calls++) {
        assert_in_range(calls, 0, 2 * LAST_BREAK);
        tear_down(state);
        set_up(state);
        way.to = place()->server.socket;
        half = breaks_and_counts(calls);
    }
}

static void the_key_of_an_addition_that_was_accepted_is_known(void **state)
{
    int half = 0;
    for (int calls = FIRST_BREAK; calls <= LAST_BREAK; calls++) {
        tear_down(state);
        set_up(state);
        way.to = place()->server.socket;
        struct batch_args args = args_of();
        args.open = true;
        args.count = ALREADY;
        ok(create(&args));
        if (!adds_with_break(args.id.p, calls))
            continue;
        half++;
        w->f = (struct fault){0};
        ok(store_batch_keyed(w->s, SPAN("default"), args.id, SPAN("more"), &w->f));
        assert_int_equal(
            store_batch_keyed(w->s, SPAN("default"), args.id, SPAN("another"), &w->f),
            E_NOT_FOUND);
    }
    assert_true(half > 0);
}

/* The last script of those that bring it in breaks behind each of its commands. */
static void of_a_batch_whose_end_fails_half_way_nothing_stays(void **state)
{
    bool broken = true;
    for (int calls = 1; broken; calls++) {
        tear_down(state);
        set_up(state);
        way.to = place()->server.socket;
        struct batch_args args = args_of();
        begin_dying(SCRIPTS);
        way.way = BETWEEN_BREAKS;
        way.calls = calls;
        way.times = 1;
        ok(create(&args));
        assert_int_equal(way.scripts > SCRIPTS, 1);
        end_dying();
        broken = staged_keys() > 0;
        assert_true(broken || calls > 1);
        w->now += 2001;
        tend();
        assert_int_equal(staged_keys(), 0);
        assert_int_equal(jobs_in(JOB_READY), JOBS);
        assert_true(batch(args.id.p).sealed);
    }
}

/* ---- somebody else's data ---- */

static const char *foreign_key(const char *prefix, const char *id)
{
    const char *key = arena_fmt(w->a, "fulmar:{q}:%s%s", prefix, id);
    ask("DEL", key, NULL);
    ask("SET", key, "somebody else's");
    return key;
}

static void a_job_that_meets_foreign_data_comes_in_when_that_is_gone(void **state)
{
    (void)state;
    struct operation_view operation;
    struct batch_args args = args_of();
    args.open = true;
    begin_dying(COMMIT + 1);
    ok(create(&args));
    end_dying();
    const char *id = orders[30].id.p, *key = foreign_key("j:", id);
    for (int i = 0; i < 3; i++) {
        w->now += 2001;
        tend();
        assert_int_equal(jobs_in(-1), JOBS - 1);
        assert_int_equal(events_of("", "queue.damaged"), 1);
    }
    assert_int_equal(batch(args.id.p).counts[JOB_BLOCKED], 1);
    /* Who acts on the batch reaches the others, and that one when it is in. */
    begin();
    ok(store_batch_cancel(w->s, args.id, span_of(new_id("opr")), now(), w->a, &operation,
                          &w->f));
    commit();
    while (jobs_in(JOB_CANCELLED) < JOBS - 1) {
        w->now += 5000;
        tend();
    }
    assert_int_equal(events_of(args.id.p, "batch.complete"), 0);
    ask("DEL", key, NULL);
    while (jobs_in(JOB_CANCELLED) < JOBS) {
        w->now += 5000;
        tend();
    }
    assert_int_equal(jobs_in(-1), JOBS);
    assert_int_equal(events_of(args.id.p, "batch.complete"), 1);
    assert_int_equal(staged_keys(), 0);
}

static void a_batch_that_cannot_come_in_holds_up_no_other(void **state)
{
    (void)state;
    struct batch_args args = args_of();
    begin_dying(COMMIT + 1);
    ok(create(&args));
    end_dying();
    foreign_key("b:", args.id.p);
    args = args_of();
    args.idempotency_key = SPAN_NONE;
    for (int i = 0; i < JOBS; i++)
        orders[i].unique_key = SPAN_NONE;
    begin_dying(COMMIT + 1);
    ok(create(&args));
    end_dying();
    struct arena *a = arena_new(1 << 16);
    struct reply r = {0};
    ok(link_say(place()->watch, a, &r, &w->f, "ZADD", "fulmar:{q}:bcdue", "1", "0:bat_0",
                NULL));
    arena_free(&a);
    w->now += 2001;
    begin();
    assert_int_equal(store_tend(w->s, now(), &w->f), E_STORE);
    commit();
    assert_int_equal(jobs_in(-1), JOBS);
    assert_int_equal(ask("ZCARD", "fulmar:{q}:bcdue", NULL), 0); /* callbacks are looked at */
}

static struct span ticket_in(const char *lane)
{
    struct buf out = BUF(TICKET_MAX);
    struct accept_args job = job_args("");
    job.lane = span_of(lane);
    job.site = span_of(arena_fmt(w->a, "%.*s", (int)strcspn(lane, "/"), lane));
    assert_int_equal(ticket_write(&job, &out, &w->f), E_OK);
    struct span kept = arena_keep(w->a, buf_span(&out));
    buf_free(&out);
    return kept;
}

/* A sealed batch of one job, behind which one more comes, into this lane. */
static const char *batch_with_call(const char *lane)
{
    struct batch_args args = args_of();
    args.count = 1;
    args.idempotency_key = SPAN_NONE;
    args.calls[BATCH_COMPLETE] = ticket_in(lane);
    orders[0].unique_key = SPAN_NONE;
    ok(create(&args));
    return args.id.p;
}

static err try_tend(void)
{
    begin();
    err e = store_tend(w->s, now(), &w->f);
    commit();
    w->f = (struct fault){0};
    return e;
}

/* The end of the last job is its end, and what comes behind it comes when it can; others are not held up. */
static void a_callback_that_meets_foreign_data_comes_when_that_is_gone(void **state)
{
    (void)state;
    struct lease l;
    const char *id = batch_with_call("later/normal"), *other,
               *key = foreign_key("l:", "later/normal");
    assert_true(reserve(&l));
    finish(&l, FAILURE_NONE, "");
    assert_int_equal(jobs_in(JOB_SUCCEEDED), 1);
    assert_int_equal(events_of(id, "batch.complete"), 1);
    assert_int_equal(batch(id).calls[BATCH_COMPLETE].due_ms, w->now + 5000);
    assert_true(batch(id).calls[BATCH_COMPLETE].why.n > 0);
    w->now += 5001;
    ok(try_tend());
    assert_int_equal(jobs_in(-1), 1);
    other = batch_with_call("x/normal");
    assert_true(reserve(&l));
    finish(&l, FAILURE_NONE, "");
    assert_true(batch(other).calls[BATCH_COMPLETE].job[0] != '\0');
    ask("DEL", key, NULL);
    w->now += 5001;
    ok(try_tend());
    assert_true(batch(id).calls[BATCH_COMPLETE].job[0] != '\0');
    assert_int_equal(batch(id).calls[BATCH_COMPLETE].due_ms, 0);
    assert_int_equal(jobs_in(JOB_READY), 2);
}

static void zadd(const char *key, const char *score, const char *member)
{
    struct arena *a = arena_new(1 << 16);
    struct reply r = {0};
    ok(link_say(place()->watch, a, &r, &w->f, "ZADD", arena_fmt(a, "fulmar:{q}:%s", key), score,
                member, NULL));
    arena_free(&a);
}

/* An operation that has begun, one job a minute behind the first. */
static const char *replay_of_two(void)
{
    struct lease l;
    struct operation_view v;
    const char *id = new_id("opr");
    struct operation_args args = {.id = span_of(id),
                                  .kind = OPERATION_REPLAY,
                                  .filter = {.failure = -1},
                                  .per_minute = 60};
    for (int i = 0; i < 2; i++) {
        accept_job();
        assert_true(reserve(&l));
        finish(&l, FAILURE_DRIFT, "");
    }
    begin();
    ok(store_operation_start(w->s, &args, now(), w->a, &v, &w->f));
    commit();
    assert_int_equal(v.state, OPERATION_RUNNING);
    return id;
}

/* Of an operation, a batch and a callback that cannot go on only it stands still. */
static void whatever_cannot_go_on_holds_up_nothing_that_is_due(void **state)
{
    (void)state;
    struct operation_view v;
    const char *operation = replay_of_two();
    zadd("opdue", "1", "opr_poisoned");
    zadd("bcdue", "1", "0:bat_poisoned");
    zadd("bsettle", "1", "bat_poisoned");
    foreign_key("op:", "opr_poisoned");
    foreign_key("b:", "bat_poisoned");
    w->now += 1000;
    assert_int_equal(try_tend(), E_STORE);
    ok(store_operation(w->s, span_of(operation), w->a, &v, &w->f));
    assert_int_equal(v.done, 2);
    ok(try_tend()); /* they are looked at again later */
    w->now += 5001;
    assert_int_equal(try_tend(), E_STORE);
}

/* What says who goes on with an operation or a callback, or when it may go, is put back by the walk. */
static void the_walk_finds_operations_and_callbacks_that_nobody_would_go_on_with(void **state)
{
    (void)state;
    struct lease l;
    struct operation_view v;
    const char *operation = replay_of_two();
    const char *call = batch_with_call("later/normal"),
               *key = foreign_key("l:", "later/normal");
    assert_true(reserve(&l));
    finish(&l, FAILURE_NONE, "");
    while (reserve(&l))
        finish(&l, FAILURE_NONE, "");
    ask("DEL", key, NULL);
    ask("DEL", "fulmar:{q}:opdue", NULL);
    ask("DEL", "fulmar:{q}:ops", NULL);
    ask("DEL", "fulmar:{q}:bcdue", NULL);
    w->now += 5001;
    ok(try_tend());
    ok(store_operation(w->s, span_of(operation), w->a, &v, &w->f));
    assert_int_equal(v.state, OPERATION_RUNNING);
    walk_through();
    assert_int_equal(ask("ZCARD", "fulmar:{q}:ops", NULL), 1);
    ok(try_tend());
    ok(store_operation(w->s, span_of(operation), w->a, &v, &w->f));
    assert_int_equal(v.state, OPERATION_DONE);
    assert_true(batch(call).calls[BATCH_COMPLETE].job[0] != '\0');
    ask("DEL", "fulmar:{q}:opend", NULL);
    walk_through();
    assert_int_equal(ask("ZCARD", "fulmar:{q}:opend", NULL), 1);
}

/* Whoever asked for it does not ask again. Whether it broke where the batch named an operation that was not there. */
static bool retry_breaks(int calls)
{
    struct lease l;
    struct operation_view v;
    struct operation_args args = {.id = span_of(new_id("opr")), .filter = {.failure = -1}};
    const char *id = batch_with_call("later/normal");
    assert_true(reserve(&l));
    finish(&l, FAILURE_DRIFT, "");
    int64_t before = jobs_in(JOB_READY);
    begin_dying(0);
    way.way = BETWEEN_BREAKS;
    way.calls = calls;
    way.times = 1;
    begin();
    assert_int_equal(store_batch_retry(w->s, span_of(id), &args, now(), w->a, &v, &w->f),
                     E_STORE);
    commit();
    end_dying();
    bool half = batch(id).operation[0] && keys_of("fulmar:{q}:op:*") == 0;
    walk_through();
    w->now += 5001;
    ok(try_tend());
    assert_int_equal(events_of(id, "batch.retried"), jobs_in(JOB_READY) > before);
    if (events_of(id, "batch.retried"))
        ok(store_operation(w->s, args.id, w->a, &v, &w->f));
    return half;
}

static void a_retry_that_was_told_takes_place_though_nobody_asks_again(void **state)
{
    int half = 0;
    for (int calls = 6; calls <= 36; calls += 5) {
        tear_down(state);
        set_up(state);
        way.to = place()->server.socket;
        half += retry_breaks(calls);
    }
    assert_true(half > 0); /* else these are other commands by now */
}

/* Whether it broke. */
static bool retention_breaks(int calls)
{
    struct lease l;
    struct retain_reply ignored;
    struct retain_args all = {.age_ms = 1, .dead_age_ms = 1};
    struct batch_args args = args_of();
    args.open = true;
    args.count = 1;
    ok(create(&args));
    assert_true(reserve(&l));
    finish(&l, FAILURE_NONE, "");
    w->now += 1000;
    begin_dying(0);
    way.way = BETWEEN_BREAKS;
    way.calls = calls;
    way.times = 1;
    begin();
    err e = store_retain(w->s, &all, now(), &ignored, &w->f);
    commit();
    end_dying();
    if (e && keys_of("fulmar:{q}:j:*") == 0) /* whose records the archive has yet */
        assert_int_equal(ask("ZCARD", "fulmar:{q}:gone", NULL), 1);
    walk_through();
    begin();
    ok(store_retain(w->s, &all, now(), &ignored, &w->f));
    commit();
    assert_int_equal(jobs_in(-1), 0);
    assert_int_equal(batch(args.id.p).gone_well, 1);
    assert_int_equal(batch(args.id.p).gone_otherwise, 0);
    return e != E_OK;
}

static void a_job_that_is_deleted_counts_once_and_the_archive_hears_of_it(void **state)
{
    bool broken = true;
    for (int calls = 20; broken; calls += 2) {
        tear_down(state);
        set_up(state);
        way.to = place()->server.socket;
        broken = retention_breaks(calls);
        assert_true(broken || calls > 30);
    }
}

/* Whose id is known for a while, for those that come in from a spool. */
static void a_batch_of_so_many_may_have_a_deleted_jobs_id(size_t count)
{
    struct lease l;
    struct retain_reply ignored;
    struct retain_args all = {.age_ms = 1, .dead_age_ms = 1};
    struct batch_args args = args_of();
    const char *id = accept_job();
    assert_true(reserve(&l));
    finish(&l, FAILURE_NONE, "");
    w->now += 1000;
    for (int i = 0; i < 2; i++) {
        begin();
        ok(store_retain(w->s, &all, now(), &ignored, &w->f));
        commit();
    }
    assert_int_equal(jobs_in(-1), 0);
    args.count = count;
    orders[0].id = span_of(id);
    ok(create(&args));
    assert_int_equal(reply.added, count);
    assert_int_equal(jobs_in(JOB_READY), count);
}
static void a_batch_may_have_the_id_of_a_job_that_was_deleted(void **state)
{
    a_batch_of_so_many_may_have_a_deleted_jobs_id(1);
    tear_down(state);
    set_up(state);
    a_batch_of_so_many_may_have_a_deleted_jobs_id(JOBS); /* in pieces */
}

/* ---- what a node accepted while this store was away ---- */

static const size_t sizes[] = {5, JOBS}; /* in one script, in pieces */
#define FOR_EACH_SIZE(size) for (size_t at = 0, size; at < 2 && (size = sizes[at], true); at++)

/* An hour ago, as the spool brings it. */
static struct batch_args spooled_args(size_t count)
{
    struct batch_args args = args_of();
    args.count = count;
    args.idempotency_key = span_of(arena_fmt(w->a, "of %s", args.id.p));
    args.accepted_ms = w->now - 3600000;
    for (size_t i = 0; i < count; i++)
        orders[i].accepted_ms = args.accepted_ms;
    return args;
}

static void close_lane(void)
{
    struct lane_change c = {.name = SPAN("x/normal"),
                            .act = LANE_ACT_CLOSE,
                            .by = SPAN("ann"),
                            .why = SPAN("a test")};
    begin();
    ok(store_lane_change(w->s, &c, now(), &w->f));
    commit();
}

static void set_mode(enum store_mode mode)
{
    begin();
    ok(store_mode_set(w->s, mode, SPAN("ann"), SPAN("a test"), now(), &w->f));
    commit();
}

static void a_batch_that_a_node_accepted_comes_in_whatever_may_come_in_now(void **state)
{
    (void)state;
    int64_t ready = 1;
    accept_job();
    set_depth(1);
    close_lane();
    set_mode(MODE_DRAINING);
    w->limits.ready_max = w->limits.lanes_max = 1;
    store_close(&w->s);
    open_store();
    FOR_EACH_SIZE(size)
    {
        struct batch_args args = spooled_args(size);
        for (size_t i = 0; i < size; i++)
            orders[i].unique_key = SPAN_NONE;
        orders[1].lane = SPAN("y/normal");
        orders[2].pool = SPAN("main");
        orders[2].operation = SPAN("posts");
        ok(create(&args));
        assert_int_equal(reply.added, size);
        ready += (int64_t)size;
        assert_int_equal(jobs_in(JOB_READY), ready);
        assert_int_equal(batch(args.id.p).created_ms, args.accepted_ms);
        assert_int_equal(view(orders[size - 1].id.p).created_ms, args.accepted_ms);
        assert_int_equal(staged_keys(), 0);
        struct batch_args other = args_of(); /* nothing new comes in that way */
        other.count = size;
        other.idempotency_key = SPAN("another");
        assert_int_equal(create(&other), E_DRAINING);
        assert_int_equal(walk(), 0);
    }
}

static void forget_all(void)
{
    struct retain_reply ignored;
    struct retain_args all = {.age_ms = 1, .dead_age_ms = 1};
    bool more;
    w->now += 1000;
    for (int i = 0; i < 3; i++) { /* what the archive has of it as well */
        begin();
        ok(store_retain(w->s, &all, now(), &ignored, &w->f));
        ok(store_retain_batches(w->s, (wall){w->now + 1}, &more, &w->f));
        commit();
    }
}

static void a_batch_that_a_node_brings_again_is_one_also_when_it_has_been(void **state)
{
    (void)state;
    FOR_EACH_SIZE(size)
    {
        struct batch_args args = spooled_args(size);
        for (int i = 0; i < 2; i++) {
            ok(create(&args));
            assert_string_equal(reply.id, args.id.p);
            assert_int_equal(reply.replayed, i == 1);
        }
        args.idempotency_key = SPAN_NONE; /* another node brought one with that */
        assert_int_equal(create(&args), E_CONFLICT);
        assert_int_equal(reply.refused_count, 0);
        assert_int_equal(jobs_in(-1), size);
        ends_once(args.id.p, (int64_t)size, (int64_t)size);
        forget_all();
        assert_false(is_there(args.id.p));
        assert_int_equal(create(&args), E_CONFLICT);
        assert_int_equal(reply.refused_count, 0);
        assert_int_equal(jobs_in(-1), 0);
        assert_int_equal(staged_keys(), 0);
        w->now += 660000; /* nobody brings it after so long */
        forget_all();
        assert_int_equal(ask("ZCARD", "fulmar:{q}:gone", NULL), 0);
    }
}

/* A job whose id is another one's by now: nothing of its batch comes in, and it is said which. */
static void a_batch_one_of_whose_ids_is_taken_is_refused_whole(void **state)
{
    (void)state;
    FOR_EACH_SIZE(size)
    {
        int64_t before = jobs_in(-1);
        const char *taken = accept_job();
        struct batch_args args = spooled_args(size);
        orders[3].id = span_of(taken);
        assert_int_equal(create(&args), E_CONFLICT);
        assert_int_equal(reply.refused_count, 1);
        assert_int_equal(reply.refused[0].index, 3);
        assert_int_equal(jobs_in(-1), before + 1);
        assert_false(is_there(args.id.p));
    }
}

enum { KEPT_OUT, REPLACES, FOLLOWS, REPLACED_BEFORE };

/* Of each way to meet a live job of one's key one, as test_redis_spool.c has it of single jobs. */
static void keys_of_jobs_that_a_node_accepted_are_as_of_single_ones(void **state)
{
    (void)state;
    FOR_EACH_SIZE(size)
    {
        struct batch_args args = spooled_args(size);
        const char *live[REPLACED_BEFORE];
        struct accept_reply ignored;
        struct lease runs;
        for (int i = FOLLOWS; i >= KEPT_OUT; i--) {
            struct accept_args one = job_args(new_id("job"));
            one.unique_key = orders[i].unique_key;
            one.accepted_ms = args.accepted_ms - 1000;
            live[i] = one.id.p;
            begin();
            ok(store_accept(w->s, &one, now(), &ignored, &w->f));
            commit();
            if (i == FOLLOWS)
                assert_true(reserve(&runs));
        }
        orders[KEPT_OUT].on_conflict = UNIQUE_RETURN_EXISTING;
        orders[REPLACES].on_conflict = UNIQUE_REPLACE_PENDING;
        orders[FOLLOWS].on_conflict = UNIQUE_RUN_AFTER_ACTIVE;
        orders[REPLACED_BEFORE].unique_key = orders[REPLACES].unique_key;
        orders[REPLACED_BEFORE].replaced_by = orders[REPLACES].id;
        ok(create(&args));
        assert_int_equal(reply.added, size);
        assert_int_equal(view(orders[KEPT_OUT].id.p).state, JOB_CANCELLED);
        assert_true(span_find(view(orders[KEPT_OUT].id.p).why, span_of(live[KEPT_OUT])) <
                    STORE_WHY_MAX);
        assert_int_equal(view(live[KEPT_OUT]).state, JOB_READY);
        assert_int_equal(view(orders[REPLACES].id.p).state, JOB_READY);
        assert_int_equal(view(live[REPLACES]).state, JOB_CANCELLED);
        assert_int_equal(view(orders[FOLLOWS].id.p).state, JOB_BLOCKED);
        assert_int_equal(view(orders[REPLACED_BEFORE].id.p).state, JOB_CANCELLED);
        struct batch_view v = batch(args.id.p);
        assert_int_equal(v.counts[JOB_CANCELLED], 2);
        assert_int_equal(v.counts[JOB_READY], size - 3);
        assert_int_equal(v.counts[JOB_BLOCKED], 1);
        finish(&runs, FAILURE_NONE, "");
        for (struct lease l; reserve(&l);)
            finish(&l, FAILURE_NONE, "");
        assert_int_equal(batch(args.id.p).counts[JOB_SUCCEEDED], size - 2);
        assert_int_equal(events_of(args.id.p, "batch.complete"), 1);
        assert_int_equal(staged_keys(), 0);
        assert_int_equal(walk(), 0);
    }
}

/* All of its jobs are kept out: then it is complete when it is there. */
static void a_batch_all_of_whose_jobs_end_at_once_is_complete(void **state)
{
    (void)state;
    FOR_EACH_SIZE(size)
    {
        struct batch_args args = spooled_args(size);
        args.parallel = 2;
        args.stop_after = 1;
        for (size_t i = 0; i < size; i++)
            orders[i].replaced_by = SPAN("job_newer");
        ok(create(&args));
        assert_int_equal(batch(args.id.p).counts[JOB_CANCELLED], size);
        assert_false(batch(args.id.p).stopped);
        assert_int_equal(events_of(args.id.p, "batch.complete"), 1);
        assert_int_equal(walk(), 0);
    }
}

/* Its node dies on the way, and brings it when it is started again. */
static void who_comes_again_behind_a_cut_finds_what_came_in(void **state)
{
    static const int cuts[] = {1, COMMIT, COMMIT + 1, SCRIPTS - 1};
    (void)state;
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        int behind = cuts[i];
        struct batch_args args = spooled_args(JOBS);
        begin_dying(behind);
        err e = create(&args);
        end_dying();
        assert_int_equal(e == E_OK, behind > COMMIT);
        err again = create(&args);
        assert_int_equal(again, E_OK);
        assert_int_equal(reply.replayed, behind > COMMIT);
        w->now += 2001;
        tend();
        assert_int_equal(jobs_in(JOB_READY), JOBS);
        assert_int_equal(events_of(args.id.p, "batch.created"), 1);
        assert_int_equal(staged_keys(), 0);
        ends_once(args.id.p, JOBS, JOBS);
    }
    assert_int_equal(walk(), 0);
}

/* Which has it in another batch. */
static void the_key_of_a_job_that_is_to_come_stays_with_that_one(void **state)
{
    (void)state;
    struct batch_args first = args_of();
    struct accept_args kept[JOBS];
    begin_dying(COMMIT + 1);
    ok(create(&first));
    end_dying();
    memcpy(kept, orders, sizeof kept);
    struct batch_args args = spooled_args(JOBS);
    args.idempotency_key = SPAN("another");
    ok(create(&args));
    assert_int_equal(batch(args.id.p).counts[JOB_CANCELLED], JOBS);
    assert_true(span_find(view(orders[7].id.p).why, kept[7].id) < STORE_WHY_MAX);
    w->now += 2001;
    tend();
    assert_int_equal(batch(first.id.p).counts[JOB_READY], JOBS);
    assert_int_equal(staged_keys(), 0);
}

/* ---- what earlier versions read ---- */

static void of_a_new_batch_the_last_job_of_each_row_is_noted(void **state)
{
    (void)state;
    for (size_t jobs = 1; jobs <= 6; jobs++) {
        struct batch_args args = args_of();
        args.open = true;
        args.parallel = 2;
        args.count = jobs;
        args.idempotency_key = SPAN_NONE;
        for (size_t i = 0; i < jobs; i++)
            orders[i].unique_key = SPAN_NONE;
        ok(create(&args));
        const char *key = arena_fmt(w->a, "fulmar:{q}:b:%s", args.id.p);
        assert_int_equal(ask("ZCARD", arena_fmt(w->a, "%s:t", key), NULL), jobs < 2 ? 1 : 2);
        assert_int_equal(ask("HEXISTS", key, "rw"), 0);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up_between, tear_down_between)

static int set_up_between(void **state)
{
    set_up(state);
    between_start(&way, place()->server.socket);
    return 0;
}

static int tear_down_between(void **state)
{
    between_end(&way);
    return tear_down(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(of_a_node_that_dies_between_pieces_nothing_is_there_and_nothing_stays),
        T(an_addition_that_stays_unfinished_changes_nothing_of_its_batch),
        T(what_was_tidied_away_meanwhile_is_not_accepted_in_part),
        T(what_was_accepted_comes_in_though_its_node_dies_on_the_way),
        T(a_job_that_is_to_come_is_found),
        T(work_that_began_after_a_batch_was_accepted_is_waited_for),
        T(a_move_takes_along_what_was_accepted),
        T(who_acts_on_a_batch_waits_until_its_jobs_are_in),
        T(jobs_that_are_to_come_count_where_room_is_asked_for),
        T(an_addition_whose_commit_fails_half_way_comes_once),
        T(what_is_to_come_counts_whatever_becomes_of_another_order),
        T(the_key_of_an_addition_that_was_accepted_is_known),
        T(of_a_batch_whose_end_fails_half_way_nothing_stays),
        T(a_job_that_meets_foreign_data_comes_in_when_that_is_gone),
        T(a_batch_that_cannot_come_in_holds_up_no_other),
        T(a_callback_that_meets_foreign_data_comes_when_that_is_gone),
        T(whatever_cannot_go_on_holds_up_nothing_that_is_due),
        T(the_walk_finds_operations_and_callbacks_that_nobody_would_go_on_with),
        T(a_retry_that_was_told_takes_place_though_nobody_asks_again),
        T(a_job_that_is_deleted_counts_once_and_the_archive_hears_of_it),
        T(a_batch_may_have_the_id_of_a_job_that_was_deleted),
        T(a_batch_that_a_node_accepted_comes_in_whatever_may_come_in_now),
        T(a_batch_that_a_node_brings_again_is_one_also_when_it_has_been),
        T(a_batch_one_of_whose_ids_is_taken_is_refused_whole),
        T(keys_of_jobs_that_a_node_accepted_are_as_of_single_ones),
        T(a_batch_all_of_whose_jobs_end_at_once_is_complete),
        T(who_comes_again_behind_a_cut_finds_what_came_in),
        T(the_key_of_a_job_that_is_to_come_stays_with_that_one),
        T(of_a_new_batch_the_last_job_of_each_row_is_noted),
    };
    signal(SIGPIPE, SIG_IGN); /* as the service does */
    maker = &store_makers[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
