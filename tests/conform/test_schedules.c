/* The promises of store/schedules.h and core/schedule.h together, one test each: a schedule in a real store,
 * looked at as upkeep/schedules.c does, at times that the test gives. */
#include "../lib/store.h"

#include "os/zone.h"
#include "store/schedules.h"

enum { MINUTE = 60000, HOUR = 3600000 };
#define DAY INT64_C(86400000)

/* Beside the world: how far elapsed time is off the wall clock, and where a schedule counts. */
static struct {
    int64_t elapsed_off;
    struct zone zone;
} place;

static wall now_of(const struct schedule *rule)
{
    return (wall){w->now + (rule->kind == SCHEDULE_CRON ? 0 : place.elapsed_off)};
}

static int set_up_schedules(void **state)
{
    place.elapsed_off = 0;
    place.zone = (struct zone){.goes_on = true};
    return set_up(state);
}

static void assert_ok(err e)
{
    if (e)
        fail_msg("%s: %s", err_name(e), w->f.words);
}

/* ---- schedules ---- */

static struct schedule_put every(const char *id, int64_t interval_ms)
{
    return (struct schedule_put){
        .id = span_of(id),
        .tenant = SPAN("default"),
        .name = SPAN("nasa"),
        .terms.rule = {.kind = SCHEDULE_INTERVAL, .interval_ms = interval_ms, .grace_ms = 1000},
        .job = {.site = SPAN("x"),
                .kind = SPAN("posts"),
                .target = SPAN("nasa"),
                .lane = SPAN("x/normal"),
                .spec = SPAN("{\"since_last\":true}"),
                .prio = 5,
                .mark = MARK_USED,
                .variant = SPAN("{}")},
        .job_text = SPAN("{\"kind\":\"posts\",\"target\":\"@nasa\",\"since_last\":true}"),
        .create = true,
        .slot_now = now(),
    };
}
#define ID    "sch_01J00000000000000000000001"
#define OTHER "sch_01J00000000000000000000002"

static struct schedule_put at_times(const char *id, const char *cron)
{
    struct schedule_put p = every(id, 0);
    wall next;
    p.terms = (struct schedule_terms){
        .cron = span_of(cron), .zone = SPAN("UTC"), .rule.grace_ms = 1000};
    assert_int_equal(cron_parse(p.terms.cron, &p.terms.rule.cron, NULL), E_OK);
    p.next_ms = schedule_next(&p.terms.rule, &place.zone, now(), &next) ? 0 : next.ms;
    return p;
}

static err try_put(const struct schedule_put *p, struct schedule_view *out)
{
    struct schedule_view view;
    begin();
    err e = store_schedule_put(w->s, p, now(), w->a, out ? out : &view, &w->f);
    commit();
    return e;
}

static void put(const struct schedule_put *p)
{
    assert_ok(try_put(p, NULL));
}

static struct schedule_view view_of(const char *id)
{
    struct schedule_view v;
    assert_ok(store_schedule(w->s, SPAN("default"), span_of(id), w->a, &v, &w->f));
    return v;
}

static struct schedules_due due(bool set_back)
{
    struct schedules_due d;
    begin();
    assert_ok(store_schedules_due(w->s, now(), (wall){w->now + place.elapsed_off}, set_back,
                                  w->a, &d, &w->f));
    commit();
    return d;
}

static err try_fire(const struct schedule_view *v, struct schedule_fired *out)
{
    struct schedule_settled *x = arena_new_of(w->a, struct schedule_settled);
    schedule_settle(&v->terms.rule, &place.zone, span_of(v->id), v->last,
                    now_of(&v->terms.rule), x);
    struct schedule_fire fire = {.id = span_of(v->id),
                                 .revision = v->revision,
                                 .last = v->last,
                                 .slots = x->slots,
                                 .count = x->count,
                                 .missed = x->missed,
                                 .settled = x->settled,
                                 .next_ms = x->next_ms};
    begin();
    err e = store_schedule_fire(w->s, &fire, now(), w->a, out, &w->f);
    commit();
    return e;
}

/* What upkeep does when the outlook says so; jobs made. */
static int64_t look_again(bool set_back)
{
    int64_t made = 0;
    struct schedules_due d = due(set_back);
    for (size_t i = 0; i < d.count; i++) {
        struct schedule_fired fired;
        assert_ok(try_fire(&d.due[i], &fired));
        made += fired.made;
    }
    return made;
}

static bool is_due(void)
{
    struct outlook o;
    assert_int_equal(store_outlook(w->s, now(), &o, &w->f), E_OK);
    return o.schedule_ms[0] <= w->now || o.schedule_ms[1] <= w->now + place.elapsed_off;
}

/* Time passes, and every instant that is announced is looked at. Jobs made. */
static int64_t pass(int64_t ms)
{
    int64_t until = w->now + ms, made = 0;
    for (int turns = 0; turns < 100000; turns++) {
        struct outlook o;
        assert_int_equal(store_outlook(w->s, now(), &o, &w->f), E_OK);
        int64_t next =
            o.schedule_ms[1] == INT64_MAX ? INT64_MAX : o.schedule_ms[1] - place.elapsed_off;
        next = o.schedule_ms[0] < next ? o.schedule_ms[0] : next;
        if (next > until)
            break;
        w->now = next > w->now ? next : w->now;
        made += look_again(false);
    }
    w->now = until;
    return made;
}

/* ---- jobs ---- */

static struct lease start(void)
{
    struct lease l;
    begin();
    assert_ok(store_reserve(w->s,
                            &(struct reserve_args){.worker = SPAN("w1"),
                                                   .random = ++w->nonces,
                                                   .needs = NEEDS_PAGE},
                            now(), w->a, &l, &w->f));
    commit();
    return l;
}

static void commit_posts(const struct lease *l, int64_t posts)
{
    struct store_item *items = arena_get(w->a, ((size_t)posts + 1) * sizeof *items);
    for (int64_t i = 0; i < posts; i++)
        items[i] =
            (struct store_item){.kind = ITEM_POST,
                                .id = span_of(arena_fmt(w->a, "%s-%lld", l->id, (long long)i)),
                                .created_ms = T0 - i,
                                .json = SPAN("{}")};
    struct commit_args c = {.id = span_of(l->id),
                            .nonce = l->nonce,
                            .batch = 0,
                            .items = items,
                            .count = (size_t)posts};
    struct commit_reply reply;
    begin();
    assert_ok(store_commit_batch(w->s, &c, now(), &reply, &w->f));
    commit();
}

static void end(const struct lease *l, enum failure_class failure)
{
    struct finish_args args = {.id = span_of(l->id),
                               .nonce = l->nonce,
                               .failure = failure,
                               .verdict = failure ? VERDICT_NONE : VERDICT_COMPLETE,
                               .end = END_TERMINATE};
    struct finish_reply reply;
    begin();
    assert_ok(store_finish(w->s, &args, now(), &reply, &w->f));
    commit();
}

static enum job_state state_of(const char *job)
{
    struct job_view v;
    assert_ok(store_job(w->s, span_of(job), now(), w->a, &v, &w->f));
    return v.state;
}

static struct schedule_runs runs_of(const char *id)
{
    struct schedule_runs runs;
    struct schedule_runs_query q = {.tenant = SPAN("default"), .id = span_of(id), .limit = 500};
    assert_ok(store_schedule_runs(w->s, &q, w->a, &runs, &w->f));
    return runs;
}

static int64_t jobs_about(const char *target)
{
    struct job_view *all;
    size_t count;
    int64_t n = 0;
    assert_ok(store_jobs(w->s, &(struct jobs_query){.state = -1, .limit = 500}, now(), w->a,
                         &all, &count, &w->f));
    for (size_t i = 0; i < count; i++)
        n += span_is(all[i].target, target);
    return n;
}

/* Slots from `from` on that have a live run, each counted once. */
static int64_t live_slots(const char *id, int64_t from)
{
    struct schedule_runs runs = runs_of(id);
    int64_t n = 0;
    for (size_t i = 0; i < runs.count; i++) {
        bool again = false;
        for (size_t k = 0; k < i; k++)
            again |= runs.rows[k].state == SCHEDULE_RUN_LIVE &&
                     runs.rows[k].slot.ms == runs.rows[i].slot.ms;
        n += runs.rows[i].state == SCHEDULE_RUN_LIVE && runs.rows[i].slot.ms >= from && !again;
    }
    return n;
}

static int64_t runs_count(const char *id)
{
    struct schedule_runs_query q = {.tenant = SPAN("default"), .id = span_of(id), .limit = 500};
    struct schedule_runs runs;
    int64_t n = 0;
    do {
        assert_ok(store_schedule_runs(w->s, &q, w->a, &runs, &w->f));
        n += (int64_t)runs.count;
        q.before = runs.count ? runs.rows[runs.count - 1].n : q.before;
    } while (runs.count == 500);
    return n;
}

static int64_t skipped_runs(const char *id)
{
    struct schedule_runs runs = runs_of(id);
    int64_t n = 0;
    for (size_t i = 0; i < runs.count; i++)
        n += runs.rows[i].state == SCHEDULE_RUN_SKIPPED;
    return n;
}

static size_t schedules_count(void)
{
    struct schedules_list list;
    assert_ok(store_schedules(
        w->s, &(struct schedules_query){.tenant = SPAN("default"), .limit = 500}, w->a, &list,
        &w->f));
    return list.count;
}

/* ---- S44: the service was down across five slots ---- */

static int64_t after_five_slots(enum schedule_missed policy, int most)
{
    struct schedule_put p = every(ID, MINUTE);
    p.terms.rule.missed = policy;
    p.terms.rule.catch_up_ms = DAY;
    p.terms.rule.catch_up_max = most;
    p.terms.rule.overlap = SCHEDULE_OVERLAP_ALLOW;
    put(&p);
    assert_int_equal(look_again(false), 1); /* the first run, at once */
    w->now += 5 * MINUTE + 30000;
    store_close(&w->s);
    open_store();
    return look_again(true);
}

static void skip_makes_up_for_no_slot_that_passed_while_the_service_was_down(void **state)
{
    (void)state;
    assert_int_equal(after_five_slots(SCHEDULE_SKIP, 0), 0);
    struct schedule_view v = view_of(ID);
    assert_int_equal(v.missed, 5);
    assert_int_equal(v.next_ms, T0 + 6 * MINUTE);
    struct schedule_runs runs = runs_of(ID); /* and says so */
    assert_true(runs.rows[0].state == SCHEDULE_RUN_SKIPPED &&
                runs.rows[0].why == SCHEDULE_WHY_MISSED && runs.rows[0].slots == 5);
    assert_int_equal(pass(MINUTE), 1);
}

static void
once_makes_one_run_for_all_slots_that_passed_while_the_service_was_down(void **state)
{
    (void)state;
    assert_int_equal(after_five_slots(SCHEDULE_ONCE, 0), 1);
    assert_int_equal(runs_of(ID).rows[0].slots, 5);
    assert_int_equal(runs_of(ID).rows[0].slot.ms, T0 + 5 * MINUTE);
    assert_int_equal(look_again(true), 0);
}

static void catch_up_makes_the_newest_runs_up_to_its_most(void **state)
{
    (void)state;
    assert_int_equal(after_five_slots(SCHEDULE_CATCH_UP, 3), 3);
    assert_int_equal(view_of(ID).missed, 2);
    assert_int_equal(live_slots(ID, T0 + 3 * MINUTE), 3);
    assert_int_equal(look_again(true), 0);
}

static void a_slot_has_one_job_when_three_instances_fire_at_once(void **state)
{
    (void)state;
    struct schedule_put p = every(ID, MINUTE);
    p.terms.rule.missed = SCHEDULE_CATCH_UP;
    p.terms.rule.catch_up_ms = DAY;
    p.terms.rule.overlap = SCHEDULE_OVERLAP_ALLOW;
    put(&p);
    w->now += 5 * MINUTE;
    struct schedules_due seen[3];
    for (int i = 0; i < 3; i++)
        seen[i] = due(false);
    int64_t made = 0, stale = 0;
    for (int i = 0; i < 3; i++) {
        struct schedule_fired fired;
        assert_int_equal(seen[i].count, 1);
        assert_ok(try_fire(&seen[i].due[0], &fired));
        made += fired.made;
        stale += fired.stale;
    }
    assert_int_equal(made, 6);
    assert_int_equal(stale, 2);
    assert_int_equal(jobs_in(-1), 6);
}

static void a_slot_that_somebody_else_fired_is_known_by_its_id(void **state)
{
    (void)state;
    struct schedule_put p = every(ID, MINUTE);
    char id[ID_TEXT];
    struct accept_args job = p.job;
    struct accept_reply reply;
    put(&p);
    schedule_slot_id(id, SPAN(ID), (wall){T0});
    job.id = span_of(id);
    begin();
    assert_ok(
        store_accept(w->s, &job, now(), &reply, &w->f)); /* its run was lost, the job was not */
    commit();
    assert_int_equal(look_again(false), 0);
    assert_int_equal(jobs_in(-1), 1);
    assert_int_equal(pass(MINUTE), 1); /* and it goes on */
}

/* ---- S80 ---- */

static void half_past_two_comes_once_a_day_across_both_clock_changes(void **state)
{
    (void)state;
    assert_ok(zone_load(SPAN("Europe/Berlin"), &place.zone, &w->f));
    static const char *const from[] = {"2027-03-25T12:00:00Z", "2027-10-28T12:00:00Z"};
    for (int i = 0; i < 2; i++) {
        struct schedule_put p;
        wall at;
        assert_true(when_parse(span_of(from[i]), &at));
        w->now = at.ms;
        p = at_times(i ? OTHER : ID, "30 2 * * *");
        p.name = i ? SPAN("autumn") : SPAN("spring");
        p.terms.rule.overlap = SCHEDULE_OVERLAP_ALLOW;
        put(&p);
        for (int day = 0; day < 7; day++)
            assert_int_equal(pass(DAY), 1); /* from noon to noon */
        struct schedule_ask gone = {.tenant = p.tenant, .id = p.id, .revision = -1};
        begin();
        assert_ok(store_schedule_delete(w->s, &gone, &w->f));
        commit();
    }
}

static void a_changed_zone_rule_neither_repeats_nor_loses_the_day(void **state)
{
    (void)state;
    struct schedule_put p = at_times(ID, "30 2 * * *"); /* the zone is UTC so far */
    p.terms.rule.overlap = SCHEDULE_OVERLAP_ALLOW;
    p.terms.rule.missed = SCHEDULE_ONCE;
    put(&p);
    assert_int_equal(pass(DAY), 1);
    assert_ok(zone_load(SPAN("Europe/Berlin"), &place.zone,
                        &w->f)); /* new files: 02:30 is an hour earlier */
    for (int day = 0; day < 5; day++)
        assert_int_equal(pass(DAY), 1);
}

/* ---- S70 ---- */

static void a_clock_that_is_set_repeats_no_slot_and_stops_no_schedule(void **state)
{
    (void)state;
    struct schedule_put p = at_times(ID, "*/10 * * * *");
    p.terms.rule.overlap = SCHEDULE_OVERLAP_ALLOW;
    put(&p);
    assert_int_equal(pass(2 * HOUR), 12);
    w->now -= HOUR; /* back */
    assert_int_equal(look_again(true), 0);
    assert_int_equal(pass(HOUR), 0); /* these slots had their jobs */
    assert_int_equal(pass(HOUR), 6);
    w->now += 10 * 365 * DAY; /* ten years on, by mistake … */
    (void)look_again(true);
    (void)pass(10 * MINUTE);
    w->now -= 10 * 365 * DAY; /* … and right again */
    (void)look_again(true);
    assert_int_equal(pass(HOUR), 6);
    assert_int_equal(live_slots(ID, 0), runs_count(ID) - skipped_runs(ID)); /* no slot twice */
}

static void an_interval_goes_by_elapsed_time_whatever_the_clock_says(void **state)
{
    (void)state;
    struct schedule_put p = every(ID, 10 * MINUTE);
    p.terms.rule.overlap = SCHEDULE_OVERLAP_ALLOW;
    put(&p);
    assert_int_equal(pass(HOUR - 1), 6); /* the first at once */
    w->now += HOUR;                      /* somebody sets the clock; no time passes */
    place.elapsed_off -= HOUR;
    assert_int_equal(look_again(true), 0);
    assert_int_equal(pass(HOUR), 6);
    w->now -= 3 * HOUR;
    place.elapsed_off += 3 * HOUR;
    assert_int_equal(look_again(true), 0);
    assert_int_equal(pass(HOUR), 6);
}

/* ---- S81 ---- */

static struct lease running(enum schedule_overlap overlap)
{
    struct schedule_put p = every(ID, MINUTE);
    p.terms.rule.overlap = overlap;
    put(&p);
    assert_int_equal(look_again(false), 1);
    return start();
}

static void skip_leaves_a_slot_out_while_the_run_before_is_alive(void **state)
{
    (void)state;
    struct lease l = running(SCHEDULE_OVERLAP_SKIP);
    assert_int_equal(pass(3 * MINUTE), 0);
    assert_int_equal(view_of(ID).skipped, 3);
    struct schedule_run r = runs_of(ID).rows[0];
    assert_true(r.state == SCHEDULE_RUN_SKIPPED && r.why == SCHEDULE_WHY_OVERLAP);
    end(&l, FAILURE_NONE);
    assert_int_equal(pass(MINUTE), 1);
}

static void queue_one_keeps_one_run_until_the_one_before_has_ended(void **state)
{
    (void)state;
    struct lease l = running(SCHEDULE_OVERLAP_QUEUE_ONE);
    assert_int_equal(pass(3 * MINUTE), 0);
    struct schedule_view v = view_of(ID);
    assert_true(v.pending == 1 && v.live == 1 && v.skipped == 2);
    assert_false(is_due());
    end(&l, FAILURE_NONE);
    assert_true(is_due()); /* by itself: nobody waits for a slot */
    (void)due(false);
    v = view_of(ID);
    assert_true(v.pending == 0 && v.live == 1 && v.fired == 2);
    char id[ID_TEXT];
    schedule_slot_id(id, SPAN(ID),
                     (wall){T0 + MINUTE}); /* the one that was kept, under its own id */
    assert_int_equal(state_of(id), JOB_READY);
    assert_int_equal(pass(MINUTE - 1), 0);
}

static void an_end_that_comes_between_looking_and_firing_is_not_forgotten(void **state)
{
    (void)state;
    struct lease l = running(SCHEDULE_OVERLAP_QUEUE_ONE);
    struct schedule_fired fired;
    assert_int_equal(pass(MINUTE), 0); /* one is pending */
    w->now += MINUTE;
    struct schedules_due d = due(false);
    end(&l, FAILURE_NONE);
    assert_ok(try_fire(&d.due[0], &fired));
    assert_true(fired.made == 0 && fired.skipped == 1);
    assert_true(is_due());
    (void)due(false);
    assert_int_equal(view_of(ID).live, 1);
    assert_false(is_due());

    l = start(); /* likewise between an end and a change */
    assert_int_equal(pass(MINUTE), 0);
    end(&l, FAILURE_NONE);
    struct schedule_put edit = every(ID, MINUTE);
    edit.create = false;
    edit.revision = -1;
    edit.terms.rule.overlap = SCHEDULE_OVERLAP_QUEUE_ONE;
    put(&edit);
    assert_true(is_due());
    (void)due(false);
    assert_int_equal(view_of(ID).live, 1);
}

static void a_queued_run_waits_for_room_in_the_queue(void **state)
{
    (void)state;
    struct lease l = running(SCHEDULE_OVERLAP_QUEUE_ONE);
    assert_int_equal(pass(MINUTE), 0);
    w->limits.ready_max = 0; /* full */
    end(&l, FAILURE_NONE);
    store_close(&w->s);
    open_store();
    (void)due(false);
    assert_int_equal(view_of(ID).pending, 1);
    assert_false(is_due()); /* and it is asked again later, not at once */
    w->limits.ready_max = 100;
    store_close(&w->s);
    open_store();
    w->now += 5000;
    assert_true(is_due());
    (void)due(false);
    assert_int_equal(view_of(ID).live, 1);
}

static void cancel_running_asks_the_one_before_to_stop(void **state)
{
    (void)state;
    struct lease l = running(SCHEDULE_OVERLAP_CANCEL);
    struct schedule_fired fired;
    w->now += MINUTE;
    struct schedules_due d = due(false);
    assert_int_equal(d.count, 1);
    assert_ok(try_fire(&d.due[0], &fired));
    assert_true(fired.made == 1 && fired.cancels == 1);
    assert_string_equal(fired.cancelled[0], l.id); /* for the pool to tell its worker */
    struct heartbeat_reply beat;
    begin();
    assert_ok(store_heartbeat(w->s, span_of(l.id), l.nonce, now(), &beat, &w->f));
    commit();
    assert_true(beat.cancel);
    end(&l, FAILURE_CANCELLED);
    assert_int_equal(view_of(ID).live, 1);
    assert_int_equal(pass(MINUTE), 1); /* the next one ends the one that waits */
    assert_int_equal(jobs_in(JOB_CANCELLED), 2);
}

static void allow_lets_runs_overlap(void **state)
{
    (void)state;
    (void)running(SCHEDULE_OVERLAP_ALLOW);
    assert_int_equal(pass(3 * MINUTE), 3);
    assert_int_equal(view_of(ID).live, 4);
}

static void the_next_run_comes_whatever_became_of_the_last(void **state)
{
    (void)state;
    struct lease l = running(SCHEDULE_OVERLAP_SKIP);
    end(&l, FAILURE_NOT_FOUND);
    assert_int_equal(state_of(l.id), JOB_DEAD);
    assert_int_equal(pass(MINUTE), 1);
    struct cancel_reply reply;
    begin();
    assert_ok(store_cancel(w->s, &(struct cancel_args){.id = span_of(runs_of(ID).rows[0].job)},
                           now(), &reply, &w->f));
    commit();
    assert_int_equal(pass(MINUTE), 1);
    struct schedule_runs runs = runs_of(ID);
    assert_true(runs.rows[1].job_state == JOB_CANCELLED && runs.rows[2].job_state == JOB_DEAD);
}

/* ---- S82 ---- */

static struct schedule_put change(const char *name, int64_t interval_ms)
{
    struct schedule_put p = every(ID, interval_ms);
    p.create = false;
    p.revision = -1;
    p.name = span_of(name);
    return p;
}

static void a_renamed_schedule_goes_on_with_its_slots(void **state)
{
    (void)state;
    struct lease l = running(SCHEDULE_OVERLAP_SKIP);
    struct schedule_put p = change("nasa-news", MINUTE);
    p.terms.rule.overlap = SCHEDULE_OVERLAP_SKIP;
    put(&p);
    assert_int_equal(look_again(false), 0); /* no second run of a slot that had one */
    assert_int_equal(pass(MINUTE), 0);      /* its job is still its job: it overlaps */
    end(&l, FAILURE_NONE);
    assert_int_equal(pass(MINUTE), 1);
    assert_int_equal(store_schedule(w->s, SPAN("default"), SPAN("nasa"), w->a,
                                    &(struct schedule_view){0}, &w->f),
                     E_NOT_FOUND);
}

static void
an_edit_while_a_job_waits_makes_no_second_one_and_the_next_run_is_as_edited(void **state)
{
    (void)state;
    struct schedule_put p = every(ID, MINUTE);
    p.terms.rule.overlap = SCHEDULE_OVERLAP_ALLOW;
    put(&p);
    assert_int_equal(look_again(false), 1);
    struct schedules_due none = due(false);
    assert_int_equal(none.count, 0);
    w->now += MINUTE;
    struct schedules_due before = due(false); /* seen, and not fired yet */
    struct schedule_put edit = change("nasa", MINUTE);
    edit.terms.rule.overlap = SCHEDULE_OVERLAP_ALLOW;
    edit.job.target = SPAN("esa");
    put(&edit);
    struct schedule_fired fired;
    assert_ok(try_fire(&before.due[0], &fired));
    assert_true(fired.stale && fired.made == 0); /* what was seen before is not made */
    assert_int_equal(look_again(false), 1);
    assert_int_equal(jobs_about("nasa"), 1);
    assert_int_equal(jobs_about("esa"), 1);
}

static void a_change_of_the_interval_settles_what_is_past(void **state)
{
    (void)state;
    struct schedule_put p = every(ID, HOUR);
    p.terms.rule.overlap = SCHEDULE_OVERLAP_ALLOW;
    put(&p);
    assert_int_equal(look_again(false), 1);
    w->now += 30 * MINUTE;
    struct schedule_put edit = change("nasa", 7 * MINUTE);
    edit.terms.rule.overlap = SCHEDULE_OVERLAP_ALLOW;
    edit.terms.rule.missed = SCHEDULE_CATCH_UP;
    edit.terms.rule.catch_up_ms = DAY;
    put(&edit);
    assert_int_equal(look_again(false), 0); /* not the four slots that it would have had */
    assert_int_equal(view_of(ID).next_ms, T0 + 35 * MINUTE);
}

static void a_deleted_schedule_leaves_its_job_and_nothing_else(void **state)
{
    (void)state;
    struct lease l = running(SCHEDULE_OVERLAP_QUEUE_ONE);
    assert_int_equal(pass(MINUTE), 0); /* one is pending */
    w->now += MINUTE;
    struct schedules_due seen = due(false);
    struct schedule_ask gone = {.tenant = SPAN("default"), .id = SPAN("nasa"), .revision = -1};
    begin();
    assert_ok(store_schedule_delete(w->s, &gone, &w->f));
    commit();
    struct schedule_fired fired;
    assert_ok(try_fire(&seen.due[0], &fired));
    assert_true(fired.stale);
    end(&l, FAILURE_NONE);
    assert_false(is_due());
    assert_int_equal(pass(DAY), 0);
    assert_int_equal(jobs_in(-1), 1);
    struct schedule_runs_query q = {.tenant = SPAN("default"), .id = SPAN(ID), .limit = 1};
    assert_int_equal(store_schedule_runs(w->s, &q, w->a, &(struct schedule_runs){0}, &w->f),
                     E_NOT_FOUND);
    /* Under the same name there may be another; it has slots of its own. */
    struct schedule_put p = every(OTHER, MINUTE);
    put(&p);
    assert_int_equal(look_again(false), 1);
}

/* ---- what people change ---- */

static void a_name_is_taken_once_and_a_change_needs_the_revision_that_was_seen(void **state)
{
    (void)state;
    struct schedule_put p = every(ID, MINUTE), twin = every(OTHER, MINUTE);
    struct schedule_view v;
    put(&p);
    assert_int_equal(try_put(&twin, NULL), E_CONFLICT);
    twin.name = SPAN("esa");
    put(&twin);
    struct schedule_put edit = change("esa", MINUTE);
    assert_int_equal(try_put(&edit, NULL), E_CONFLICT);
    edit.name = SPAN("nasa");
    edit.revision = 1;
    assert_ok(try_put(&edit, &v));
    assert_int_equal(v.revision, 2);
    assert_int_equal(try_put(&edit, NULL), E_STALE);
    struct schedule_ask gone = {.tenant = SPAN("default"), .id = SPAN("nasa"), .revision = 1};
    begin();
    assert_int_equal(store_schedule_delete(w->s, &gone, &w->f), E_STALE);
    commit();
    edit.id = SPAN("nobody");
    assert_int_equal(try_put(&edit, NULL), E_NOT_FOUND);
    assert_int_equal(schedules_count(), 2);
}

static void a_dry_run_says_what_would_be_and_changes_nothing(void **state)
{
    (void)state;
    struct schedule_put p = every(ID, MINUTE);
    struct schedule_view v;
    p.dry = true;
    assert_ok(try_put(&p, &v));
    assert_int_equal(v.next_ms, T0);
    assert_int_equal(schedules_count(), 0);
    p.dry = false;
    put(&p);
    struct schedule_ask ask = {.tenant = SPAN("default"),
                               .id = SPAN("nasa"),
                               .revision = -1,
                               .dry = true,
                               .paused = true};
    struct schedule_fired fired;
    begin();
    assert_ok(store_schedule_trigger(w->s, &ask, now(), w->a, &fired, &w->f));
    assert_int_equal(fired.made, 1);
    assert_ok(store_schedule_pause(w->s, &ask, now(), w->a, &v, &w->f));
    assert_ok(store_schedule_delete(w->s, &ask, &w->f));
    commit();
    assert_int_equal(jobs_in(-1), 0);
    assert_int_equal(view_of("nasa").revision, 1);
}

static struct schedule_view set_paused(bool paused)
{
    struct schedule_view v;
    struct schedule_ask ask = {.tenant = SPAN("default"),
                               .id = SPAN(ID),
                               .revision = -1,
                               .paused = paused,
                               .by = SPAN("ann"),
                               .why = SPAN("holiday"),
                               .slot_now = now()};
    begin();
    assert_ok(store_schedule_pause(w->s, &ask, now(), w->a, &v, &w->f));
    commit();
    return v;
}

static void what_passes_while_it_is_paused_is_not_missed(void **state)
{
    (void)state;
    struct lease l = running(SCHEDULE_OVERLAP_QUEUE_ONE);
    assert_int_equal(pass(MINUTE), 0);
    struct schedule_view v = set_paused(true);
    assert_true(v.paused_ms == w->now && span_is(v.paused_by, "ann") &&
                span_is(v.paused_why, "holiday"));
    assert_int_equal(set_paused(true).revision, v.revision);
    end(&l, FAILURE_NONE);
    assert_int_equal(pass(10 * MINUTE + 1), 0);
    assert_int_equal(runs_of(ID).rows[0].why, SCHEDULE_WHY_PAUSED);
    v = set_paused(false);
    assert_int_equal(v.next_ms, T0 + 12 * MINUTE);
    assert_int_equal(v.missed, 0);
    assert_int_equal(pass(MINUTE), 1);
}

static err trigger(struct schedule_fired *out)
{
    struct schedule_ask ask = {.tenant = SPAN("default"), .id = SPAN("nasa"), .revision = -1};
    begin();
    err e = store_schedule_trigger(w->s, &ask, now(), w->a, out, &w->f);
    commit();
    return e;
}

static void a_trigger_makes_a_run_now_and_moves_no_slot(void **state)
{
    (void)state;
    struct schedule_fired fired;
    struct schedule_put p = every(ID, HOUR);
    put(&p);
    assert_ok(trigger(&fired)); /* in the millisecond of its first slot */
    assert_int_equal(fired.made, 1);
    assert_int_equal(look_again(false), 0); /* skip: that one is alive */
    assert_int_equal(trigger(&fired), E_CONFLICT);
    assert_non_null(strstr(w->f.words, fired.last_job));
    struct lease l = start();
    end(&l, FAILURE_NONE);
    w->now += MINUTE;
    (void)set_paused(true);
    assert_ok(trigger(&fired)); /* also of one that is paused */
    assert_int_equal(view_of("nasa").fired, 2);
}

static void a_backfill_makes_passed_slots_that_had_no_job(void **state)
{
    (void)state;
    struct schedule_put p = every(ID, MINUTE);
    put(&p);
    assert_int_equal(look_again(false), 1); /* T0 */
    wall slots[3] = {{T0 - MINUTE}, {T0}, {T0 - 2 * MINUTE}};
    struct schedule_backfill b = {
        .tenant = SPAN("default"), .id = SPAN("nasa"), .slots = slots, .count = 3, .dry = true};
    struct schedule_fired fired;
    for (int dry = 1; dry >= 0; dry--) {
        b.dry = dry;
        begin();
        assert_ok(store_schedule_backfill(w->s, &b, now(), w->a, &fired, &w->f));
        commit();
        assert_true(fired.made == 2 && fired.known == 1);
        assert_int_equal(jobs_in(-1), dry ? 1 : 3);
    }
    begin();
    assert_ok(store_schedule_backfill(w->s, &b, now(), w->a, &fired, &w->f));
    commit();
    assert_true(fired.made == 0 && fired.known == 3);
}

static struct schedule_fired backfill(wall slot)
{
    struct schedule_fired fired;
    struct schedule_backfill b = {
        .tenant = SPAN("default"), .id = SPAN("nasa"), .slots = &slot, .count = 1};
    begin();
    assert_ok(store_schedule_backfill(w->s, &b, now(), w->a, &fired, &w->f));
    commit();
    return fired;
}

static void a_backfill_that_was_refused_has_its_job_when_it_is_made_again(void **state)
{
    (void)state;
    wall slot = {T0 - MINUTE};
    struct schedule_put p = every(ID, HOUR);
    p.terms.rule.overlap = SCHEDULE_OVERLAP_ALLOW;
    p.job.lane = SPAN(""); /* as a row of another version might be */
    put(&p);
    assert_int_equal(backfill(slot).skipped, 1);
    struct schedule_put mended = change("nasa", HOUR);
    mended.terms.rule.overlap = SCHEDULE_OVERLAP_ALLOW;
    put(&mended);
    assert_int_equal(backfill(slot).made, 1);
    assert_int_equal(backfill(slot).known, 1);
    struct schedule_runs runs = runs_of(ID);
    assert_int_equal(runs.count, 1);
    assert_int_equal(runs.rows[0].state, SCHEDULE_RUN_LIVE);
    assert_int_equal(runs.rows[0].why, SCHEDULE_WHY_NONE);
    struct lease l = start();
    assert_string_equal(runs.rows[0].job, l.id);
    end(&l, FAILURE_NONE); /* which the schedule hears of */
    assert_true(is_due());
    runs = runs_of(ID);
    assert_int_equal(runs.rows[0].state, SCHEDULE_RUN_ENDED);
    assert_int_equal(runs.rows[0].job_state, JOB_SUCCEEDED);
}

/* ---- adaptive ---- */

static int64_t posts_until(int64_t from, int64_t until, int64_t every_ms)
{
    return until / every_ms - from / every_ms;
}

static void an_adaptive_interval_follows_what_comes_and_keeps_its_bounds(void **state)
{
    (void)state;
    struct schedule_put p = every(ID, 0);
    p.terms.rule = (struct schedule){.kind = SCHEDULE_ADAPTIVE,
                                     .interval_ms = 10 * MINUTE,
                                     .least_ms = 5 * MINUTE,
                                     .most_ms = 6 * HOUR,
                                     .posts_wanted = 20,
                                     .grace_ms = MINUTE};
    put(&p);
    int64_t read_at = 0, post_every = 90000;
    for (int run = 0; run < 60; run++) {
        if (run == 25)
            post_every = DAY; /* silence */
        if (run == 45)
            post_every = 50; /* a storm */
        assert_int_equal(pass(view_of(ID).next_ms - w->now), 1);
        struct lease l = start();
        int64_t found = read_at ? posts_until(read_at, w->now, post_every)
                                : 5000; /* the first brings all */
        read_at = w->now;
        commit_posts(&l, found > 5000 ? 5000 : found);
        w->now += 20000; /* it takes a while */
        end(&l, FAILURE_NONE);
        assert_true(is_due());
        (void)due(false);
        int64_t interval = view_of(ID).terms.rule.interval_ms;
        assert_true(interval >= 5 * MINUTE && interval <= 6 * HOUR);
        assert_int_equal(view_of(ID).last_found, found > 5000 ? 5000 : found);
        if (run == 0)
            assert_int_equal(interval, 10 * MINUTE);
        if (run == 24) /* 20 posts of 90 s each */
            assert_true(interval > 25 * MINUTE && interval < 35 * MINUTE);
        if (run == 44)
            assert_int_equal(interval, 6 * HOUR);
    }
    assert_int_equal(view_of(ID).terms.rule.interval_ms, 5 * MINUTE);
}

static void a_failed_run_says_nothing_about_the_rate(void **state)
{
    (void)state;
    struct schedule_put p = every(ID, 0);
    p.terms.rule = (struct schedule){.kind = SCHEDULE_ADAPTIVE,
                                     .interval_ms = 10 * MINUTE,
                                     .least_ms = MINUTE,
                                     .most_ms = HOUR,
                                     .posts_wanted = 20};
    put(&p);
    for (int run = 0; run < 4; run++) {
        assert_int_equal(pass(view_of(ID).next_ms - w->now), 1);
        struct lease l = start();
        end(&l, FAILURE_NOT_FOUND);
        (void)due(false);
    }
    assert_int_equal(view_of(ID).terms.rule.interval_ms, 10 * MINUTE);
    assert_int_equal(view_of(ID).last_found, -1);
}

/* ---- what became of its job in the moment in which it came ---- */

static void a_run_that_has_its_result_at_once_has_ended(void **state)
{
    (void)state;
    struct schedule_put p = every(ID, MINUTE);
    p.job.work = 4711;
    p.job.max_age_ms = HOUR;
    put(&p);
    assert_int_equal(look_again(false), 1);
    struct lease l = start();
    commit_posts(&l, 3);
    end(&l, FAILURE_NONE);
    assert_int_equal(pass(MINUTE), 1); /* a copy of what the first one brought */
    struct schedule_run r = runs_of(ID).rows[0];
    assert_true(r.state == SCHEDULE_RUN_ENDED && r.job_state == JOB_SUCCEEDED && r.found == 3);
    assert_int_equal(r.ended_ms, w->now);
    assert_true(view_of(ID).live == 0 && view_of(ID).last_found == 3);
    assert_false(is_due());
    assert_int_equal(pass(MINUTE), 1); /* nothing is in its way */
}

static void a_slot_whose_work_another_job_does_is_known_and_holds_nothing_up(void **state)
{
    (void)state;
    struct schedule_put p = every(ID, MINUTE);
    struct accept_reply reply;
    p.job.unique_key = SPAN("nasa");
    p.job.on_conflict = UNIQUE_RETURN_EXISTING;
    struct accept_args other = p.job;
    other.id = SPAN("job_other");
    begin();
    assert_ok(store_accept(w->s, &other, now(), &reply, &w->f));
    commit();
    put(&p);
    assert_int_equal(look_again(false), 0);
    assert_int_equal(view_of(ID).live, 0);
    struct lease l = start();
    end(&l, FAILURE_NONE);
    assert_int_equal(pass(MINUTE), 1);
    assert_int_equal(view_of(ID).live, 1);
}

static void a_slot_that_had_its_job_cancels_nobody(void **state)
{
    (void)state;
    struct schedule_put p = every(ID, MINUTE);
    struct accept_args job = p.job;
    struct accept_reply reply;
    char first[ID_TEXT], second[ID_TEXT];
    p.terms.rule.overlap = SCHEDULE_OVERLAP_CANCEL;
    p.terms.rule.missed = SCHEDULE_CATCH_UP;
    p.terms.rule.catch_up_ms = DAY;
    put(&p);
    schedule_slot_id(first, SPAN(ID), (wall){T0});
    schedule_slot_id(second, SPAN(ID), (wall){T0 + MINUTE});
    job.id = span_of(second);
    begin();
    assert_ok(
        store_accept(w->s, &job, now(), &reply, &w->f)); /* its run was lost, the job was not */
    commit();
    w->now += MINUTE;
    assert_int_equal(look_again(false), 1);
    assert_int_equal(state_of(first), JOB_READY);
    assert_int_equal(state_of(second), JOB_READY);
}

static void a_pending_run_that_gets_no_session_holds_up_no_other_schedule(void **state)
{
    (void)state;
    struct lease l = running(SCHEDULE_OVERLAP_QUEUE_ONE);
    assert_int_equal(pass(MINUTE), 0); /* one is pending */
    struct schedule_put edit = every(ID, MINUTE);
    edit.create = false;
    edit.revision = -1;
    edit.terms.rule.overlap = SCHEDULE_OVERLAP_QUEUE_ONE;
    edit.job.pool = SPAN("main"); /* which has none */
    edit.job.operation = SPAN("posts");
    put(&edit);
    struct schedule_put other = every(OTHER, MINUTE);
    other.name = SPAN("esa");
    put(&other);
    end(&l, FAILURE_NONE);
    struct schedules_due d = due(false);
    assert_int_equal(d.count, 1);
    assert_string_equal(d.due[0].id, OTHER);
    struct schedule_view v = view_of(ID);
    assert_true(v.pending == 1 && v.live == 0);
}

static struct outlook outlook_now(void)
{
    struct outlook o;
    assert_int_equal(store_outlook(w->s, now(), &o, &w->f), E_OK);
    return o;
}

static void s57_a_job_that_a_schedule_made_is_announced_and_so_is_the_next_slot(void **state)
{
    (void)state;
    struct schedule_put p = every(ID, MINUTE);
    p.terms.rule.overlap = SCHEDULE_OVERLAP_QUEUE_ONE;
    assert_int_equal(outlook_now().schedule_ms[1], INT64_MAX);
    put(&p);
    assert_int_equal(outlook_now().schedule_ms[1], T0);
    assert_int_equal(outlook_now().startable, 0);
    assert_int_equal(look_again(false), 1);
    assert_int_equal(outlook_now().startable, 1);
    assert_int_equal(outlook_now().schedule_ms[1], T0 + MINUTE);
    struct lease l = start();
    assert_int_equal(pass(MINUTE), 0); /* one is pending */
    assert_int_equal(outlook_now().startable, 0);
    end(&l, FAILURE_NONE);
    (void)due(false);
    assert_int_equal(outlook_now().startable, 1);
}

/* ---- troubles ---- */

static void a_full_queue_leaves_a_slot_due_and_loses_none(void **state)
{
    (void)state;
    struct schedule_put p = every(ID, MINUTE);
    p.terms.rule.overlap = SCHEDULE_OVERLAP_ALLOW;
    p.terms.rule.missed = SCHEDULE_CATCH_UP;
    p.terms.rule.catch_up_ms = DAY;
    put(&p);
    w->limits.ready_max = 2;
    store_close(&w->s);
    open_store();
    w->now += 4 * MINUTE;
    assert_int_equal(look_again(false), 2);
    assert_true(is_due());
    struct schedules_due d = due(false);
    struct schedule_fired fired;
    assert_int_equal(try_fire(&d.due[0], &fired), E_BUSY);
    assert_true(w->f.wait_ms > 0);
    assert_int_equal(view_of(ID).last.ms, T0 + MINUTE);
    w->limits.ready_max = 100;
    store_close(&w->s);
    open_store();
    assert_int_equal(look_again(false), 3);
    assert_int_equal(live_slots(ID, 0), 5);
}

static void a_job_that_is_not_acceptable_any_more_holds_nothing_up(void **state)
{
    (void)state;
    struct schedule_put p = every(ID, MINUTE);
    p.job.lane = SPAN(""); /* as a row of another version might be */
    put(&p);
    assert_int_equal(look_again(false), 0);
    assert_int_equal(runs_of(ID).rows[0].why, SCHEDULE_WHY_REFUSED);
    assert_false(is_due());
    assert_int_equal(view_of(ID).next_ms, T0 + MINUTE);
    struct schedule_fired fired;
    assert_int_equal(trigger(&fired), E_BAD_INPUT);
}

static void runs_are_kept_in_bounds(void **state)
{
    (void)state;
    struct schedule_put p = every(ID, MINUTE);
    put(&p);
    assert_int_equal(look_again(false), 1);
    (void)start(); /* it never ends: all others are skipped */
    assert_int_equal(pass(1500 * MINUTE), 0);
    assert_in_range(runs_count(ID), SCHEDULE_RUNS_KEPT, SCHEDULE_RUNS_KEPT + 2);
    assert_int_equal(view_of(ID).skipped, 1500);
    assert_int_equal(view_of(ID).live, 1); /* what is alive is not forgotten */
}

static void what_ends_is_over_and_what_starts_later_waits(void **state)
{
    (void)state;
    struct schedule_put p = every(ID, MINUTE);
    p.terms.rule.overlap = SCHEDULE_OVERLAP_ALLOW;
    p.terms.rule.start.ms = T0 + HOUR;
    p.terms.rule.end.ms = T0 + HOUR + 2 * MINUTE;
    put(&p);
    assert_int_equal(pass(HOUR - 1), 0);
    assert_int_equal(pass(HOUR), 3);
    assert_int_equal(view_of(ID).next_ms, 0);
    assert_false(is_due());
}

static void lists_go_by_name_a_page_at_a_time(void **state)
{
    (void)state;
    for (int i = 0; i < 7; i++) {
        struct schedule_put p =
            every(arena_fmt(w->a, "sch_01J0000000000000000000000%d", i), MINUTE);
        p.name = span_of(arena_fmt(w->a, "s%d", (i * 3) % 7));
        put(&p);
    }
    struct schedules_query q = {.tenant = SPAN("default"), .limit = 3};
    struct schedules_list list;
    int seen = 0;
    do {
        assert_ok(store_schedules(w->s, &q, w->a, &list, &w->f));
        for (size_t i = 0; i < list.count; i++)
            assert_true(span_is(list.rows[i].name, arena_fmt(w->a, "s%d", seen++)));
        if (list.count)
            q.after = list.rows[list.count - 1].name;
    } while (list.count);
    assert_int_equal(seen, 7);
    q = (struct schedules_query){.tenant = SPAN("somebody"), .limit = 3};
    assert_ok(store_schedules(w->s, &q, w->a, &list, &w->f));
    assert_int_equal(list.count, 0);
    assert_int_equal(store_schedule(w->s, SPAN("somebody"), SPAN("s1"), w->a,
                                    &(struct schedule_view){0}, &w->f),
                     E_NOT_FOUND);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up_schedules, tear_down)

static const struct CMUnitTest tests[] = {
    T(skip_makes_up_for_no_slot_that_passed_while_the_service_was_down),
    T(once_makes_one_run_for_all_slots_that_passed_while_the_service_was_down),
    T(catch_up_makes_the_newest_runs_up_to_its_most),
    T(a_slot_has_one_job_when_three_instances_fire_at_once),
    T(a_slot_that_somebody_else_fired_is_known_by_its_id),
    T(half_past_two_comes_once_a_day_across_both_clock_changes),
    T(a_changed_zone_rule_neither_repeats_nor_loses_the_day),
    T(a_clock_that_is_set_repeats_no_slot_and_stops_no_schedule),
    T(an_interval_goes_by_elapsed_time_whatever_the_clock_says),
    T(skip_leaves_a_slot_out_while_the_run_before_is_alive),
    T(queue_one_keeps_one_run_until_the_one_before_has_ended),
    T(an_end_that_comes_between_looking_and_firing_is_not_forgotten),
    T(a_queued_run_waits_for_room_in_the_queue),
    T(cancel_running_asks_the_one_before_to_stop),
    T(allow_lets_runs_overlap),
    T(the_next_run_comes_whatever_became_of_the_last),
    T(a_renamed_schedule_goes_on_with_its_slots),
    T(an_edit_while_a_job_waits_makes_no_second_one_and_the_next_run_is_as_edited),
    T(a_change_of_the_interval_settles_what_is_past),
    T(a_deleted_schedule_leaves_its_job_and_nothing_else),
    T(a_name_is_taken_once_and_a_change_needs_the_revision_that_was_seen),
    T(a_dry_run_says_what_would_be_and_changes_nothing),
    T(what_passes_while_it_is_paused_is_not_missed),
    T(a_trigger_makes_a_run_now_and_moves_no_slot),
    T(a_backfill_makes_passed_slots_that_had_no_job),
    T(a_backfill_that_was_refused_has_its_job_when_it_is_made_again),
    T(an_adaptive_interval_follows_what_comes_and_keeps_its_bounds),
    T(a_failed_run_says_nothing_about_the_rate),
    T(a_run_that_has_its_result_at_once_has_ended),
    T(a_slot_whose_work_another_job_does_is_known_and_holds_nothing_up),
    T(a_slot_that_had_its_job_cancels_nobody),
    T(a_pending_run_that_gets_no_session_holds_up_no_other_schedule),
    T(s57_a_job_that_a_schedule_made_is_announced_and_so_is_the_next_slot),
    T(a_full_queue_leaves_a_slot_due_and_loses_none),
    T(a_job_that_is_not_acceptable_any_more_holds_nothing_up),
    T(runs_are_kept_in_bounds),
    T(what_ends_is_over_and_what_starts_later_waits),
    T(lists_go_by_name_a_page_at_a_time),
};
RUN_ON_ALL_STORES(tests)
