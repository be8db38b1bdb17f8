/* Each thing that Redis or the way to it may answer instead of a reply, at each script of a run of the queue, once
 * and for a while, and a server that comes and goes: what the table in trouble.h says is done, and in the end
 * everything happened once. Not here: a refused user, after whom a link rests for half a minute. */
#include "../lib/scenario.h"

#include "../lib/between.h"
#include "store/apply.h"
#include "store/schedules.h"
#include "store/batches.h"
#include "store/sessions.h"
#include "store/ticket.h"
#include "store/webhooks.h"

#include <string.h>

static struct between way;

/* ---- one run of the queue, each step of which may be taken again ---- */

static struct lease leases[5];

static err take(int number, const char *lane)
{
    struct accept_args args = job_args(arena_fmt(w->ids, "job_%d", number), lane);
    struct accept_reply ignored;
    return try_accept(&args, &ignored);
}
static err take_first(void)
{
    return take(1, "x/normal");
}
static err take_second(void)
{
    return take(2, "x/normal");
}
static err take_third(void)
{
    return take(3, "y/bulk");
}
static err take_fourth(void)
{
    return take(4, "z/bulk");
}

static err lease_number(int number)
{
    err e = reserve_as(
        &(struct reserve_args){.needs = NEEDS_PAGE, .random = 1000 + (uint64_t)number},
        &leases[number]);
    return e;
}
static err lease_first(void)
{
    return lease_number(1);
}
static err lease_second(void)
{
    return lease_number(2);
}
static err lease_third(void)
{
    return lease_number(3);
}
static err start_first(void)
{
    return started(&leases[1]);
}
static err beat_first(void)
{
    return heartbeat(&leases[1], NULL);
}
static err store_first(void)
{
    return commit_batch(&leases[1], 0, 0, 5);
}
static err store_more(void)
{
    return commit_batch(&leases[1], 1, 5, 5);
}

static err end(int number, enum failure_class failure)
{
    struct finish_args args = finish_args_of(&leases[number], failure);
    struct finish_reply ignored;
    return try_finish(&args, &ignored);
}
static err end_first(void)
{
    return end(1, FAILURE_NONE);
}
static err end_second(void)
{
    return end(2, FAILURE_NETWORK);
}
static err end_third(void)
{
    return end(3, FAILURE_DRIFT);
}

static err replay_third(void)
{
    struct replay_args args = {.id = span_of(leases[3].id)};
    struct replay_reply ignored;
    GROUPED(store_replay(w->s, &args, now(), &ignored, &w->f));
}
static err cancel_fourth(void)
{
    struct cancel_reply ignored;
    return try_cancel(arena_fmt(w->ids, "job_%d", 4), true, &ignored);
}
static err lane_with(enum lane_act act)
{
    struct lane_change c = {
        .name = SPAN("x/normal"), .act = act, .by = SPAN("ann"), .why = SPAN("a test")};
    return lane_change(&c);
}
static err pause_lane(void)
{
    return lane_with(LANE_ACT_PAUSE);
}
static err resume_lane(void)
{
    return lane_with(LANE_ACT_RESUME);
}
static err limit_site(void)
{
    struct limit_view v = {.scope = LIMIT_SITE,
                           .name = SPAN("x"),
                           .max_active = 3,
                           .weight = LANE_UNCHANGED,
                           .emit_ms = LANE_UNCHANGED,
                           .burst = LANE_UNCHANGED};
    GROUPED(store_limit_set(w->s, &v, now(), &w->f));
}
static err drain(void)
{
    GROUPED(store_mode_set(w->s, MODE_DRAINING, SPAN("ann"), SPAN("a test"), now(), &w->f));
}
static err back_to_normal(void)
{
    GROUPED(store_mode_set(w->s, MODE_NORMAL, SPAN("ann"), SPAN("a test"), now(), &w->f));
}
static err new_schedule(void)
{
    struct schedule_put p = {.id = SPAN("sch_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
                             .tenant = SPAN("default"),
                             .name = SPAN("nasa"),
                             .terms.rule = {.kind = SCHEDULE_INTERVAL,
                                            .interval_ms = HOUR,
                                            .grace_ms = 1000,
                                            .catch_up_ms = HOUR},
                             .job = job_args("", "x/normal"),
                             .job_text = SPAN("{}"),
                             .create = true,
                             .slot_now = now()};
    struct schedule_view ignored;
    GROUPED(store_schedule_put(w->s, &p, now(), w->a, &ignored, &w->f));
}
static struct span batch = SPAN("bat_01ARZ3NDEKTSV4RRFFQ69G5FAV");
static struct span large = SPAN("bat_01ARZ3NDEKTSV4RRFFQ69G5FAW");
enum { LARGE = 27, LARGE_AT_ONCE = 2, SMALL = 3 };
static err new_batch_of(int64_t parallel)
{
    struct accept_args jobs[2] = {job_args("job_5", "b/bulk"), job_args("job_6", "b/bulk")};
    struct batch_args args = {.id = batch,
                              .open = true,
                              .parallel = parallel,
                              .jobs = jobs,
                              .count = 2,
                              .idempotency_key = SPAN("batch"),
                              .request_hash = 1};
    struct batch_reply ignored;
    GROUPED(store_batch_create(w->s, &args, now(), w->a, &ignored, &w->f));
}
static err new_batch(void)
{
    return new_batch_of(1);
}
static err new_loose_batch(void)
{
    return new_batch_of(0);
}
static err more_of_batch(void)
{
    struct accept_args jobs[1] = {job_args("job_7", "b/bulk")};
    struct batch_add_args args = {.id = batch,
                                  .jobs = jobs,
                                  .count = 1,
                                  .idempotency_key = SPAN("more"),
                                  .request_hash = 1};
    struct batch_reply ignored;
    GROUPED(store_batch_add(w->s, &args, now(), w->a, &ignored, &w->f));
}
static err seal_batch(void)
{
    GROUPED(store_batch_seal(w->s, batch, now(), &w->f));
}
/* Two jobs, behind which two more come: one when they have ended, one when they went well. */
static struct span called = SPAN("bat_01ARZ3NDEKTSV4RRFFQ69G5FAX");
enum { CALLED = 2, WITH_CALLS = 4 };
static struct span ticket_of(const char *target)
{
    struct buf out = BUF(TICKET_MAX);
    struct accept_args job = job_args("", "c/bulk");
    job.target = span_of(target);
    assert_int_equal(ticket_write(&job, &out, &w->f), E_OK);
    struct span kept = arena_keep(w->ids, buf_span(&out));
    buf_free(&out);
    return kept;
}
static err new_called_batch(void)
{
    struct accept_args jobs[CALLED] = {job_args("job_8", "b/bulk"),
                                       job_args("job_9", "b/bulk")};
    struct batch_args args = {.id = called,
                              .open = true,
                              .jobs = jobs,
                              .count = CALLED,
                              .calls = {ticket_of("complete"), ticket_of("success")},
                              .idempotency_key = SPAN("called"),
                              .request_hash = 1};
    struct batch_reply ignored;
    GROUPED(store_batch_create(w->s, &args, now(), w->a, &ignored, &w->f));
}
static err seal_called(void)
{
    GROUPED(store_batch_seal(w->s, called, now(), &w->f));
}
static err end_second_well(void)
{
    return end(2, FAILURE_NONE);
}
/* More than one script takes: two pieces, what accepts them, two that come in. */
static err new_large_batch(void)
{
    static struct accept_args jobs[LARGE];
    struct batch_args args = {.id = large,
                              .parallel = LARGE_AT_ONCE,
                              .jobs = jobs,
                              .count = LARGE,
                              .idempotency_key = SPAN("large"),
                              .request_hash = 1};
    struct batch_reply ignored;
    for (int i = 0; i < LARGE; i++)
        jobs[i] = job_args(arena_fmt(w->ids, "job_large_%d", i), "b/bulk");
    GROUPED(store_batch_create(w->s, &args, now(), w->a, &ignored, &w->f));
}
static err bring_in(void)
{
    w->now = T0 + 3 * SECOND;
    GROUPED(store_tend(w->s, now(), &w->f));
}
static err cancel_batch(void)
{
    struct operation_view ignored;
    GROUPED(store_batch_cancel(w->s, batch, SPAN("opr_01ARZ3NDEKTSV4RRFFQ69G5FAV"), now(), w->a,
                               &ignored, &w->f));
}
static err new_webhook(void)
{
    struct webhook_put args = {.id = SPAN("whk_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
                               .name = SPAN("desk"),
                               .url = SPAN("https://receiver.example/"),
                               .types = SPAN("batch.*"),
                               .secret =
                                   SPAN("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
                               .enabled = 1,
                               .revision = -1};
    GROUPED(store_webhook_add(w->s, &args, now(), &w->f));
}
static struct webhooks_taken taken;
static err take_deliveries(void)
{
    struct webhooks_take_args args = {.most = 4, .lease_ms = HOUR, .at_s = 1};
    struct webhooks_taken some;
    begin();
    err e = store_webhooks_take(w->s, &args, now(), w->a, &some, &w->f);
    commit();
    if (!e && some.count)
        taken = some;
    return e;
}
static err deliveries_came(void)
{
    struct webhook_done_reply ignored;
    struct webhook_done_args args = {.arrived = true, .status = 204};
    err e = E_OK;
    for (size_t i = 0; !e && i < taken.count; i++) {
        args.did = taken.attempts[i].did;
        args.number = taken.attempts[i].number;
        begin();
        e = store_webhook_done(w->s, &args, now(), &ignored, &w->f);
        commit();
    }
    return e;
}
/* ---- what waits at one moment ---- */

static bool asked_again; /* a step, since something was in the way */

/* As the store's thread does it. The first trouble of all, or E_OK. */
static err group(struct store_op *ops, size_t n)
{
    struct store_op *all[16];
    err first = E_OK;
    assert_true(n <= 16);
    for (size_t i = 0; i < n; i++)
        all[i] = &ops[i];
    begin();
    store_together(w->s, all, n, now());
    for (size_t i = 0; i < n; i++) {
        if (!ops[i].answered)
            ops[i].result = apply_write(w->s, &ops[i], now());
        if (ops[i].verb == STORE_ACCEPT && ops[i].result == E_CONFLICT && !asked_again)
            fail_msg("%s", ops[i].fault.words); /* nobody else has these ids */
        bool trouble =
            ops[i].result == E_BUSY || ops[i].result == E_STORE || ops[i].result == E_DISK_FULL;
        if (trouble && !first) {
            first = ops[i].result;
            w->f = ops[i].fault;
        }
    }
    commit();
    return first;
}
static struct store_op op_of(enum store_verb verb)
{
    return (struct store_op){.verb = verb, .arena = w->a};
}
static struct store_op accept_op(int number, const char *lane)
{
    struct store_op op = op_of(STORE_ACCEPT);
    op.in.accept = job_args(arena_fmt(w->ids, "job_%d", number), lane);
    return op;
}
static struct store_op reserve_op(int number)
{
    struct store_op op = op_of(STORE_RESERVE);
    op.in.reserve = (struct reserve_args){
        .worker = SPAN("w1"), .needs = NEEDS_PAGE, .random = 1000 + (uint64_t)number};
    return op;
}
static struct store_op speak_op(enum store_verb verb, int number)
{
    struct store_op op = op_of(verb);
    op.in.lease.id = span_of(leases[number].id);
    op.in.lease.nonce = leases[number].nonce;
    return op;
}
static struct store_op finish_op(int number, enum failure_class failure)
{
    struct store_op op = op_of(STORE_FINISH);
    op.in.finish = finish_args_of(&leases[number], failure);
    return op;
}
static err take_some(void)
{
    struct store_op ops[] = {accept_op(1, "x/normal"), accept_op(2, "x/normal"),
                             accept_op(3, "y/bulk"), accept_op(4, "z/bulk")};
    return group(ops, 4);
}
static err lease_some(void)
{
    struct store_op ops[] = {reserve_op(1), reserve_op(2), reserve_op(3)};
    err e = group(ops, 3);
    for (int i = 0; i < 3; i++)
        if (!ops[i].result)
            leases[i + 1] = ops[i].out.lease;
    return e;
}
static err speak_of_some(void)
{
    struct store_op ops[] = {speak_op(STORE_STARTED, 1), speak_op(STORE_HEARTBEAT, 2)};
    return group(ops, 2);
}
static err end_some(void)
{
    struct store_op ops[] = {finish_op(1, FAILURE_NONE), finish_op(2, FAILURE_NETWORK),
                             finish_op(3, FAILURE_DRIFT)};
    return group(ops, 3);
}

static err look_for_lost(void)
{
    struct reap_reply ignored;
    w->now = T0 + MINUTE;
    GROUPED(store_reap(w->s, now(), &ignored, &w->f));
}
static err forget_old(void)
{
    struct retain_args args = {.age_ms = HOUR, .jobs = 1};
    struct retain_reply ignored;
    GROUPED(store_retain(w->s, &args, now(), &ignored, &w->f));
}
static err view_first(void)
{
    struct job_view ignored;
    return store_job(w->s, SPAN("job_2"), now(), w->a, &ignored, &w->f);
}
static err outlook_now(void)
{
    struct outlook ignored;
    return store_outlook(w->s, now(), &ignored, &w->f);
}

typedef err step_of_run(void);
static step_of_run *const with_jobs[] = {
    take_first,    take_second, take_third, take_fourth,    new_schedule, limit_site,
    lease_first,   start_first, beat_first, store_first,    store_more,   end_first,
    lease_second,  end_second,  pause_lane, lease_third,    end_third,    replay_third,
    cancel_fourth, resume_lane, drain,      back_to_normal, view_first,   outlook_now,
    look_for_lost, forget_old,
};
static step_of_run *const with_batches[] = {
    new_webhook,     new_batch,       more_of_batch, seal_batch,
    take_deliveries, deliveries_came, cancel_batch,  outlook_now,
};
static step_of_run *const with_loose_batches[] = {new_loose_batch, more_of_batch, outlook_now};
static step_of_run *const with_late_seal[] = {
    new_called_batch, lease_first, lease_second, end_first, end_second_well, seal_called,
};
static step_of_run *const with_early_seal[] = {
    new_called_batch, lease_first, lease_second, end_first, seal_called, end_second_well,
};
static step_of_run *const with_groups[] = {
    take_some, lease_some, speak_of_some, end_some, outlook_now,
};
static step_of_run *const with_pieces[] = {new_large_batch, bring_in, outlook_now};
/* What is done in a run; each by itself, since every trouble meets every script of it. */
#define COURSE(steps) steps, sizeof steps / sizeof *steps
static const struct course {
    step_of_run *const *steps;
    int count;
    bool well; /* each step is well in the end, also when it was taken again */
    struct span
        batch; /* that its first steps make; none: it makes none that has `jobs` in the end */
    int jobs;
    int from,
        breaks; /* so many scripts are broken, and that is all; 0: all are, and meet each trouble */
} courses[] = {
    {COURSE(with_jobs), .well = false},
    {COURSE(with_groups), .well = false},
    {COURSE(with_batches), .well = true, .batch = SPAN("bat_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
     .jobs = SMALL},
    {COURSE(with_pieces), .well = true, .batch = SPAN("bat_01ARZ3NDEKTSV4RRFFQ69G5FAW"),
     .jobs = LARGE},
    {COURSE(with_loose_batches), .well = true, .batch = SPAN("bat_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
     .jobs = SMALL, .breaks = 2},
    {COURSE(with_late_seal), .batch = SPAN("bat_01ARZ3NDEKTSV4RRFFQ69G5FAX"), .jobs = CALLED,
     .from = 5, .breaks = 1},
    {COURSE(with_early_seal), .batch = SPAN("bat_01ARZ3NDEKTSV4RRFFQ69G5FAX"), .jobs = CALLED,
     .from = 5, .breaks = 1},
};
enum { COURSES = sizeof courses / sizeof *courses };
static const struct course *course = courses;

static bool is_trouble(err e)
{
    return e == E_BUSY || e == E_STORE || e == E_DISK_FULL;
}

/* Each step until it is not trouble that it meets. The first trouble of all goes to *out. */
static void run(err *out_first)
{
    *out_first = E_OK;
    for (int i = 0; i < course->count; i++) {
        err e;
        for (int tries = 0; is_trouble(e = course->steps[i]()) && tries < 1000; tries++) {
            asked_again = true;
            *out_first = *out_first ? *out_first : e;
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        }
        if (is_trouble(e))
            fail_msg("step %d still says %s", i, w->f.words);
        bool again = *out_first != E_OK;
        if (e && !again)
            fail_msg("step %d: %s: %s", i, err_name(e), w->f.words);
    }
}

/* A queue without anything, behind the same server. */
static void begin_anew(void)
{
    struct redis_place *p = w->place;
    struct reply ignored;
    asked_again = false;
    store_close(&w->s);
    kept_close(p->archive);
    p->archive = kept_open();
    way.times = 0;
    assert_int_equal(link_say(p->watch, w->a, &ignored, &w->f, "FLUSHALL", NULL), E_OK);
    (void)unlink(arena_fmt(w->a, "%s/queue.id", p->server.dir)); /* that it was used before */
    struct redis_config config = {.url = span_of(way.url),
                                  .records = &kept_records,
                                  .archive = p->archive,
                                  .state_dir = p->server.dir,
                                  .callers_time = true};
    w->now = T0;
    w->f = (struct fault){0};
    if (redis_open(&w->s, &config, &w->limits, 7, now(), &w->f))
        fail_msg("open: %s", w->f.words);
    memset(leases, 0, sizeof leases);
    taken = (struct webhooks_taken){0};
    drop_texts();
    way.scripts = 0;
}

/* Jobs with their records and events, and lanes. Not by their numbers among all: a person who changes a limit
 * again because the answer was lost has changed it twice. */
static struct span look_at_all(void)
{
    struct buf b = BUF(1 << 20);
    struct event_view *events;
    size_t n;
    look_at_jobs(&b);
    look_at_lanes(&b);
    assert_int_equal(store_events(w->s, 0, SPAN_NONE, 5000, w->a, &events, &n, &w->f), E_OK);
    for (size_t i = 0; i < n; i++)
        if (events[i].job.n)
            buf_fmt(&b, "%.*s %lld %.*s %.*s\n", SP(events[i].job), (long long)events[i].number,
                    SP(events[i].kind), SP(events[i].body));
    assert_int_equal(b.failed, E_OK);
    struct span text = arena_keep(w->a, buf_span(&b));
    buf_free(&b);
    return text;
}

static char *expected; /* what there is after a run in which nothing went wrong */
static int scripts_of_a_run;

static void run_undisturbed(void)
{
    err ignored;
    begin_anew();
    run(&ignored);
    scripts_of_a_run = way.scripts;
    struct span seen = look_at_all();
    free(expected);
    expected = calloc(1, seen.n + 1);
    memcpy(expected, seen.p, seen.n);
}

static const struct strike {
    const char *name;
    enum between_way way;
    const char *reply;
    err once;  /* what the first who asks is told where it happens once */
    err often; /* and where it goes on for three times */
} strikes[] = {
    {"noscript", BETWEEN_ANSWERS, "-NOSCRIPT No matching script\r\n", E_OK, E_STORE},
    {"loading", BETWEEN_ANSWERS, "-LOADING Redis is loading\r\n", E_BUSY, E_BUSY},
    {"readonly", BETWEEN_ANSWERS, "-READONLY You can't write\r\n", E_OK, E_BUSY},
    {"masterdown", BETWEEN_ANSWERS, "-MASTERDOWN Link with MASTER is down\r\n", E_OK, E_BUSY},
    {"busy", BETWEEN_ANSWERS, "-BUSY Redis is busy running a script\r\n", E_BUSY, E_BUSY},
    {"oom", BETWEEN_ANSWERS, "-OOM command not allowed\r\n", E_DISK_FULL, E_DISK_FULL},
    {"noreplicas", BETWEEN_ANSWERS, "-NOREPLICAS Not enough good replicas\r\n", E_BUSY, E_BUSY},
    {"clusterdown", BETWEEN_ANSWERS, "-CLUSTERDOWN Hash slot not served\r\n", E_BUSY, E_BUSY},
    {"moved", BETWEEN_ANSWERS, "-MOVED 3999 127.0.0.1:6381\r\n", E_STORE, E_STORE},
    {"tryagain", BETWEEN_ANSWERS, "-TRYAGAIN Multiple keys\r\n", E_BUSY, E_BUSY},
    {"crossslot", BETWEEN_ANSWERS, "-CROSSSLOT Keys in request\r\n", E_STORE, E_STORE},
    {"misconf", BETWEEN_ANSWERS, "-MISCONF Redis is configured to save\r\n", E_BUSY, E_BUSY},
    {"a script's mistake", BETWEEN_ANSWERS, "-ERR user_script:1: script: mistake\r\n", E_STORE,
     E_STORE},
    {"an error that nobody knows", BETWEEN_ANSWERS, "-ODD what is this\r\n", E_STORE, E_STORE},
    {"cut before", BETWEEN_CUTS, NULL, E_OK, E_STORE},
    {"cut behind", BETWEEN_LOSES, NULL, E_OK, E_STORE},
};

static void strike_each(const struct strike *s, int times, int first, int stride)
{
    bool parts = course->steps == with_groups && strstr(s->name, "mistake");
    if (parts && times > 1) /* some of a group come in later then */
        return;
    for (int at = first % stride; at < scripts_of_a_run; at += stride) {
        err told;
        begin_anew();
        way.way = s->way;
        way.reply = s->reply;
        way.first = at;
        way.times = times;
        run(&told);
        way.times = 0;
        err wanted = times == 1 ? s->once : s->often;
        /* A script of several that fails by a mistake is none: each is asked alone. Who brings in a batch that was accepted
         * says nothing of it. */
        if (told != wanted && !(parts && !told) && course->steps != with_pieces)
            fail_msg("course %d: %s at script %d, %d times: told %s, not %s",
                     (int)(course - courses), s->name, at, times, err_name(told),
                     err_name(wanted));
        struct span seen = look_at_all(), as_it_should_be = span_of(expected);
        if (!span_eq(seen, as_it_should_be))
            print_message("%s at script %d, %d times:\n", s->name, at, times);
        same_look(as_it_should_be, seen);
    }
}

static void s68_each_trouble_at_each_script_changes_nothing_in_the_end(void **state)
{
    (void)state;
    for (course = courses; course < courses + COURSES && !course->breaks; course++) {
        run_undisturbed();
        for (size_t i = 0; i < sizeof strikes / sizeof *strikes; i++)
            strike_each(&strikes[i], 1, (int)i, course->steps == with_pieces ? 3 : 1);
        assert_int_equal(taken.count > 0, course->steps == with_batches);
    }
}

static void s68_a_trouble_that_lasts_changes_nothing_either(void **state)
{
    (void)state;
    int stride = scaled(10) < 10 ? 4 : 1; /* each trouble at other scripts */
    for (course = courses; course < courses + COURSES && !course->breaks; course++) {
        run_undisturbed();
        for (size_t i = 0; i < sizeof strikes / sizeof *strikes; i++)
            strike_each(&strikes[i], 3, (int)i, stride);
    }
}

/* ---- a script that fails half-way ---- */

static void put_right(void)
{
    for (int i = 0; walk_once() > 0; i++)
        assert_true(i < 5);
}

/* ---- who follows the log of all events, as streams and webhooks do ---- */

enum { HEARD_MOST = 500 };
static struct heard {
    char job[ID_TEXT], kind[48];
    int64_t number;
} heard[HEARD_MOST];
static size_t heard_count;
static int64_t heard_to;

static void hear_on(void)
{
    struct event_view *events;
    size_t n = 1;
    while (n > 0) {
        assert_int_equal(store_events(w->s, heard_to, SPAN_NONE, 3, w->a, &events, &n, &w->f),
                         E_OK);
        for (size_t i = 0; i < n; i++) {
            struct heard *h = &heard[heard_count++];
            assert_true(heard_count < HEARD_MOST);
            assert_true(events[i].seq > heard_to);
            heard_to = events[i].seq;
            h->number = events[i].number;
            span_copy(events[i].job, h->job, sizeof h->job);
            span_copy(events[i].kind, h->kind, sizeof h->kind);
        }
    }
}

/* Of this job: the numbers from 1 on, each once and in order, and what the job itself says. */
static void check_heard_of(const struct job_view *v, int at, int calls)
{
    struct event_view *own;
    size_t n, k = 0;
    static const char *const ends[] = {[JOB_SUCCEEDED] = "job.finished",
                                       [JOB_DEAD] = "job.dead",
                                       [JOB_CANCELLED] = "job.cancelled"};
    assert_int_equal(store_events(w->s, 0, span_of(v->id), 5000, w->a, &own, &n, &w->f), E_OK);
    for (size_t i = 0; i < heard_count; i++) {
        if (strcmp(heard[i].job, v->id) != 0)
            continue;
        if (k == n || !span_is(own[k].kind, heard[i].kind) ||
            own[k].number != heard[i].number || heard[i].number != (int64_t)k + 1)
            fail_msg(
                "script %d, stopped behind %d commands: heard of %s as its event %zu that it was %s (%lld)",
                at, calls, v->id, k + 1, heard[i].kind, (long long)heard[i].number);
        k++;
    }
    if (k != n || !n || !span_is(own[n - 1].kind, ends[v->state]))
        fail_msg(
            "script %d, stopped behind %d commands: heard of %zu of %zu events of %s, which is %s, the last %.*s",
            at, calls, k, n, v->id, job_state_name(v->state), SP(own[n - 1].kind));
}

/* Of a batch or an operation: what its own list says, each once and in its order, and each kind of them no more than `most`
 * times. Returns how many of `kind` there are. */
static size_t heard_of(struct span id, const char *kind, int at, int calls)
{
    struct event_view *own;
    size_t n, k = 0, found = 0;
    assert_int_equal(store_events(w->s, 0, id, 5000, w->a, &own, &n, &w->f), E_OK);
    for (size_t i = 0; i < heard_count; i++) {
        if (!span_is(id, heard[i].job))
            continue;
        if (k == n || !span_is(own[k].kind, heard[i].kind))
            fail_msg("script %d, stopped behind %d commands: heard of %.*s that it was %s", at,
                     calls, SP(id), heard[i].kind);
        k++;
    }
    if (k != n)
        fail_msg("script %d, stopped behind %d commands: heard of %zu of %zu events of %.*s",
                 at, calls, k, n, SP(id));
    for (size_t i = 0; i < n; i++)
        found += span_is(own[i].kind, kind);
    return found;
}

static void check_happened(struct span id, const char *kind, bool has, int at, int calls)
{
    size_t n = heard_of(id, kind, at, calls);
    if (n != has)
        fail_msg("script %d, stopped behind %d commands: %zu times %s of %.*s", at, calls, n,
                 kind, SP(id));
}

/* What the batch is says what happened to it. */
static void check_heard_of_batch(struct span id, int at, int calls)
{
    struct batch_view v;
    struct operation_view o;
    struct fault f = {0};
    if (store_batch(w->s, id, w->a, &v, &f))
        return; /* not in this course */
    check_happened(id, "batch.created", true, at, calls);
    check_happened(id, "batch.complete", v.finished_ms > 0, at, calls);
    check_happened(id, "batch.success", v.calls[BATCH_SUCCESS].at_ms > 0, at, calls);
    if (!span_eq(id, large)) {
        check_happened(id, "batch.cancelled", v.stopped, at, calls);
        check_happened(id, "batch.sealed", v.sealed, at, calls);
    }
    if (!store_operation(w->s, SPAN("opr_01ARZ3NDEKTSV4RRFFQ69G5FAV"), w->a, &o, &f))
        check_happened(SPAN("opr_01ARZ3NDEKTSV4RRFFQ69G5FAV"), "operation.done",
                       o.state == OPERATION_DONE, at, calls);
}

static void check_heard(int at, int calls)
{
    struct job_view *jobs;
    size_t n = 0;
    struct jobs_query q = {.state = -1, .limit = 500};
    hear_on();
    check_heard_of_batch(batch, at, calls);
    check_heard_of_batch(large, at, calls);
    check_heard_of_batch(called, at, calls);
    assert_int_equal(store_jobs(w->s, &q, now(), w->a, &jobs, &n, &w->f), E_OK);
    for (size_t i = 0; i < n; i++)
        check_heard_of(&jobs[i], at, calls);
}

static bool broke; /* at least once in this course */

static void run_broken(void)
{
    broke = asked_again = false;
    for (int i = 0; i < course->count; i++) {
        err e = course->steps[i]();
        if (is_trouble(e)) {
            broke = asked_again = true;
            hear_on();
            put_right();
            e = course->steps[i]();
            if (is_trouble(e))
                fail_msg("step %d after what was put right: %s", i, w->f.words);
        }
        /* Of a cancellation that somebody else went on with it is said that it is there. */
        if (e && course->well && course->steps[i] != cancel_batch)
            fail_msg("script %d, stopped behind %d commands: step %d: %s", way.first, way.calls,
                     i, w->f.words);
    }
    if (!broke && way.scripts > scripts_of_a_run) { /* a group, that was asked one by one */
        broke = true;
        put_right();
    }
}

static bool all_have_ended(void)
{
    struct outlook o = outlook();
    return o.by_state[JOB_BLOCKED] + o.by_state[JOB_SCHEDULED] + o.by_state[JOB_READY] +
               o.by_state[JOB_ACTIVE] ==
           0;
}

static int64_t running_of(struct span id)
{
    struct batch_view v;
    struct fault f = {0};
    err e = store_batch(w->s, id, w->a, &v, &f);
    return e ? 0 : v.counts[JOB_ACTIVE];
}

/* Whatever starts at once, of a batch there are no more than it says. */
static void rows_hold(void)
{
    struct lease some[8];
    size_t n = 0;
    while (n < sizeof some / sizeof *some && reserve(&some[n]))
        n++;
    assert_in_range(running_of(batch), 0, course->steps == with_loose_batches ? SMALL : 1);
    assert_in_range(running_of(large), 0, LARGE_AT_ONCE);
    while (n > 0)
        finish(&some[--n], FAILURE_NONE);
}

static void tend_now(void)
{
    begin();
    if (store_tend(w->s, now(), &w->f))
        fail_msg("tend: %s", w->f.words);
    commit();
}

/* Whatever the queue has can be reached, and ends; what was accepted comes in before. */
static void let_all_end(void)
{
    struct lease l;
    w->now += 3 * SECOND;
    tend_now();
    rows_hold();
    for (int i = 0; i < (span_eq(course->batch, called) ? 2 : 0) || !all_have_ended(); i++) {
        if (i == 200)
            fail_msg("not all jobs end: %.*s", SP(look()));
        w->now += 20 * SECOND; /* leases lapse: nobody gives them more time for a gap */
        (void)reap();
        while (reserve(&l))
            finish(&l, FAILURE_NONE);
        tend_now();
    }
}

/* Who was told that they were taken has them, each once. */
static void check_jobs_of_batch(int at, int calls)
{
    struct batch_view v;
    int64_t n = 0;
    if (store_batch(w->s, course->batch, w->a, &v, &w->f))
        fail_msg("script %d, stopped behind %d commands: no batch: %s", at, calls, w->f.words);
    for (int i = JOB_SUCCEEDED; i < JOB_STATES; i++)
        n += v.counts[i];
    if (n != course->jobs)
        fail_msg("script %d, stopped behind %d commands: the batch has %lld jobs, not %d", at,
                 calls, (long long)n, course->jobs);
}

/* What comes behind the jobs of a batch came, once, and not before they had ended. */
static void check_calls(int at, int calls)
{
    struct batch_view v;
    struct job_view *jobs;
    size_t n, ended_of = 0;
    struct jobs_query q = {.state = JOB_SUCCEEDED, .limit = 500};
    assert_int_equal(store_batch(w->s, called, w->a, &v, &w->f), E_OK);
    for (int i = 0; i < BATCH_CALLS; i++)
        if (!v.calls[i].at_ms || !v.calls[i].job[0] || v.calls[i].due_ms)
            fail_msg("script %d, stopped behind %d commands: callback %d has no job", at, calls,
                     i);
    assert_int_equal(store_jobs(w->s, &q, now(), w->a, &jobs, &n, &w->f), E_OK);
    if (n != WITH_CALLS)
        fail_msg("script %d, stopped behind %d commands: %zu jobs", at, calls, n);
    for (size_t i = 0; i < heard_count; i++) {
        bool of_batch =
            strcmp(heard[i].job, "job_8") == 0 || strcmp(heard[i].job, "job_9") == 0;
        ended_of += of_batch && strcmp(heard[i].kind, "job.finished") == 0;
        if (strcmp(heard[i].kind, "batch.complete") == 0 && ended_of != CALLED)
            fail_msg("script %d, stopped behind %d commands: complete with %zu of its jobs", at,
                     calls, ended_of);
    }
}

static void break_each(int at, int stride)
{
    for (int calls = 1 + at % stride;; calls += stride) {
        begin_anew();
        heard_count = 0;
        heard_to = 0;
        way.way = BETWEEN_BREAKS;
        way.calls = calls;
        way.first = at;
        way.times = 1;
        run_broken();
        way.times = 0;
        if (!broke)
            return; /* it has no more than so many */
        let_all_end();
        check_heard(at, calls);
        if (course->jobs)
            check_jobs_of_batch(at, calls);
        if (span_eq(course->batch, called))
            check_calls(at, calls);
        if (walk_once() > 0)
            fail_msg("course %d, script %d, stopped behind %d commands: not put right at once",
                     (int)(course - courses), at, calls);
    }
}

static void s86_a_script_that_fails_half_way_leaves_what_can_be_put_right(void **state)
{
    (void)state;
    int stride = scaled(10) < 10 ? 3 : 1;
    for (course = courses; course < courses + COURSES; course++) {
        run_undisturbed();
        int end_at = course->breaks ? course->from + course->breaks : scripts_of_a_run;
        for (int at = course->from; at < end_at; at++)
            break_each(at, course->steps == with_pieces ? 8 * stride : stride);
    }
}

/* ---- a server that comes and goes ---- */

/* The step again until it is no trouble any more; how long that took. */
static int64_t until_well(err (*step)(void))
{
    struct timespec began, now_is;
    err e;
    clock_gettime(CLOCK_MONOTONIC, &began);
    while (is_trouble(e = step()))
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_int_equal(e, E_OK);
    clock_gettime(CLOCK_MONOTONIC, &now_is);
    return (now_is.tv_sec - began.tv_sec) * 1000 + (now_is.tv_nsec - began.tv_nsec) / 1000000;
}

static int made, ended;
static struct lease held;

static err make_one(void)
{
    return take(100 + made, "x/normal");
}
static err lease_one(void)
{
    return reserve_as(
        &(struct reserve_args){.needs = NEEDS_PAGE, .random = 5000 + (uint64_t)ended}, &held);
}
static err end_one(void)
{
    struct finish_args args = finish_args_of(&held, FAILURE_NONE);
    struct finish_reply ignored;
    err e = try_finish(&args, &ignored);
    return e == E_STALE ? E_OK : e; /* it had been done, and what said so was lost */
}

static void s63_twenty_restarts_lose_nothing_and_each_is_over_in_seconds(void **state)
{
    (void)state;
    enum { RESTARTS = 20, JOBS_EACH = 10 };
    struct redis_place *p = w->place;
    begin_anew();
    for (int i = 0; i < RESTARTS; i++) {
        for (int k = 0; k < JOBS_EACH; k++, made++)
            until_well(make_one);
        until_well(lease_one);
        redis_end(&p->server, i % 2 ? SIGKILL : SIGTERM);
        assert_true(is_trouble(end_one()));
        redis_start(&p->server);
        assert_true(until_well(end_one) < 5000);
        ended++;
    }
    for (; ended < made; ended++) {
        until_well(lease_one);
        until_well(end_one);
    }
    struct outlook o = outlook();
    assert_int_equal(o.by_state[JOB_SUCCEEDED], made);
    assert_int_equal(o.by_state[JOB_READY] + o.by_state[JOB_ACTIVE], 0);
}

static int set_up_between(void **state)
{
    set_up(state);
    between_start(&way, ((struct redis_place *)w->place)->server.socket);
    return 0;
}

static int tear_down_between(void **state)
{
    store_close(&w->s);
    between_end(&way);
    free(expected);
    return tear_down(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s68_each_trouble_at_each_script_changes_nothing_in_the_end),
        cmocka_unit_test(s68_a_trouble_that_lasts_changes_nothing_either),
        cmocka_unit_test(s86_a_script_that_fails_half_way_leaves_what_can_be_put_right),
        cmocka_unit_test(s63_twenty_restarts_lose_nothing_and_each_is_over_in_seconds),
    };
    signal(SIGPIPE, SIG_IGN); /* as the service does */
    maker = &store_makers[1];
    return cmocka_run_group_tests(tests, set_up_between, tear_down_between);
}
