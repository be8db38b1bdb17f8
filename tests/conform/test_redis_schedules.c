/* What schedules of a shared queue promise beside test_schedules.c, which runs on every store: several nodes fire the same
 * slots, some die on the way, replies get lost, and nothing of a schedule that went stays behind. */
#include "../lib/scenario.h"

#include "core/schedule.h"
#include "os/clock.h"
#include "store/schedules.h"

#include <string.h>
#include <sys/time.h>

#define ID "sch_01J00000000000000000000001"
enum { SLOTS = SCHEDULE_CATCH_UP_MAX };

static struct store *open_node(const char *name)
{
    struct redis_place *p = w->place;
    struct store *s;
    struct redis_config config = {.url = span_of(p->server.url),
                                  .node = span_of(name),
                                  .records = &kept_records,
                                  .archive = p->archive,
                                  .callers_time = true};
    struct fault f = {0};
    if (redis_open(&s, &config, &w->limits, 7, now(), &f))
        fail_msg("open: %s", f.words);
    return s;
}

static void assert_ok(err e)
{
    if (e)
        fail_msg("%s: %s", err_name(e), w->f.words);
}

/* ---- a schedule of every minute that makes up for all ---- */

static struct schedule_put every_minute(enum schedule_overlap overlap)
{
    return (struct schedule_put){
        .id = SPAN(ID),
        .tenant = SPAN("default"),
        .name = SPAN("nasa"),
        .terms.rule = {.kind = SCHEDULE_INTERVAL,
                       .interval_ms = MINUTE,
                       .grace_ms = 1000,
                       .missed = SCHEDULE_CATCH_UP,
                       .catch_up_ms = 24 * HOUR,
                       .overlap = overlap},
        .job = {.site = SPAN("x"),
                .kind = SPAN("posts"),
                .target = SPAN("nasa"),
                .lane = SPAN("x/normal"),
                .spec = SPAN("{}"),
                .prio = 5},
        .job_text = SPAN("{}"),
        .create = true,
        .slot_now = now(),
    };
}

static void put(const struct schedule_put *p)
{
    struct schedule_view v;
    begin();
    assert_ok(store_schedule_put(w->s, p, now(), w->a, &v, &w->f));
    commit();
}

static struct schedule_view view_of(struct store *s)
{
    struct schedule_view v;
    assert_ok(store_schedule(s, SPAN("default"), SPAN(ID), w->a, &v, &w->f));
    return v;
}

static struct schedules_due due_at(struct store *s)
{
    struct schedules_due d;
    assert_ok(store_begin(s, &w->f));
    assert_ok(store_schedules_due(s, now(), now(), false, w->a, &d, &w->f));
    assert_ok(store_commit(s, &w->f));
    return d;
}

/* The first of the slots that are due; all of them when there are no more. */
static struct schedule_fired fire_first(struct store *s, const struct schedule_view *v,
                                        size_t most)
{
    struct schedule_settled *x = arena_new_of(w->a, struct schedule_settled);
    struct schedule_fired fired;
    schedule_settle(&v->terms.rule, NULL, span_of(v->id), v->last, now(), x);
    bool all = x->count <= most;
    struct schedule_fire fire = {.id = span_of(v->id),
                                 .revision = v->revision,
                                 .last = v->last,
                                 .slots = x->slots,
                                 .count = all ? x->count : most,
                                 .missed = all ? x->missed : 0,
                                 .settled = all ? x->settled : x->slots[most - 1],
                                 .next_ms = all ? x->next_ms : x->slots[most].ms};
    bool own = !w->in_group;
    if (own)
        assert_ok(store_begin(s, &w->f));
    assert_ok(store_schedule_fire(s, &fire, now(), w->a, &fired, &w->f));
    if (own)
        assert_ok(store_commit(s, &w->f));
    return fired;
}

static struct schedule_fired fire_at(struct store *s, const struct schedule_view *v)
{
    return fire_first(s, v, SLOTS);
}

static int64_t look_and_fire(struct store *s)
{
    int64_t made = 0;
    struct schedules_due d = due_at(s);
    for (size_t i = 0; i < d.count; i++)
        made += fire_at(s, &d.due[i]).made;
    return made;
}

static struct schedule_runs runs_now(void)
{
    struct schedule_runs runs;
    struct schedule_runs_query q = {.tenant = SPAN("default"), .id = SPAN(ID), .limit = 500};
    assert_ok(store_schedule_runs(w->s, &q, w->a, &runs, &w->f));
    return runs;
}

/* Each slot from T0 to now has exactly one run, with its job, which is there; and there are no other jobs. */
static void each_slot_has_one_job(int64_t slots)
{
    struct schedule_runs runs = runs_now();
    assert_int_equal(runs.count, slots);
    assert_int_equal(jobs_count(), slots);
    for (int64_t i = 0; i < slots; i++) {
        const struct schedule_run *run = &runs.rows[slots - 1 - i];
        char id[ID_TEXT];
        assert_int_equal(run->slot.ms, T0 + i * MINUTE);
        schedule_slot_id(id, SPAN(ID), run->slot);
        assert_string_equal(run->job, id);
        assert_int_equal(view(id).state, JOB_READY);
    }
    struct schedule_view v = view_of(w->s);
    assert_int_equal(v.fired, slots);
    assert_int_equal(v.live, slots);
    assert_int_equal(v.last.ms, T0 + (slots - 1) * MINUTE);
    assert_int_equal(v.next_ms, T0 + slots * MINUTE);
}

static void say(const char *word, const char *key, const char *a, const char *b)
{
    struct redis_place *p = w->place;
    struct reply r;
    assert_ok(link_say(p->watch, w->a, &r, &w->f, word, key, a, b, NULL));
}

/* ---- nodes ---- */

static void two_nodes_that_see_the_same_slots_make_each_job_once(void **state)
{
    (void)state;
    struct store *nodes[2] = {open_node("a"), open_node("b")};
    struct schedule_put p = every_minute(SCHEDULE_OVERLAP_ALLOW);
    put(&p);
    for (int64_t slot = 0; slot < SLOTS; slot++) {
        struct schedules_due seen[2];
        w->now = T0 + slot * MINUTE;
        for (int i = 0; i < 2; i++)
            seen[i] = due_at(nodes[i]);
        struct schedule_fired fired[2];
        for (int i = 0; i < 2; i++) {
            assert_int_equal(seen[i].count, 1);
            int who = below(2) ? i : 1 - i;
            fired[i] = fire_at(nodes[who], &seen[who].due[0]);
        }
        assert_int_equal(fired[0].made, 1);
        assert_true(fired[1].stale && fired[1].made == 0);
    }
    each_slot_has_one_job(SLOTS);
    for (int i = 0; i < 2; i++)
        store_close(&nodes[i]);
}

/* A node of another process. It says that it is there, waits for a word, and looks until all slots are settled, or until
 * it dies, as of a kill, some time after the word. */
struct node {
    pid_t pid;
    int word; /* to it */
};

static void run_node(const char *name, int64_t dies_after_us, int ready, int word)
{
    struct itimerval dies = {.it_value = {dies_after_us / 1000000, dies_after_us % 1000000}};
    struct store *s = open_node(name);
    char go = 'r';
    if (write(ready, &go, 1) != 1 || read(word, &go, 1) != 1)
        _exit(1);
    setitimer(ITIMER_REAL, &dies, NULL); /* 0: never */
    while (view_of(s).last.ms < w->now)
        (void)look_and_fire(s);
    _exit(0);
}

static struct node start_node(const char *name, int64_t dies_after_us)
{
    struct node n;
    int ready[2], word[2];
    char said = 0;
    pid_t parent = getpid();
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(word), 0);
    n.pid = fork();
    assert_true(n.pid >= 0);
    if (n.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ready[0]);
        close(word[1]);
        if (getppid() == parent)
            run_node(name, dies_after_us, ready[1], word[0]);
        _exit(1);
    }
    close(ready[1]);
    close(word[0]);
    n.word = word[1];
    assert_int_equal(read(ready[0], &said, 1), 1);
    close(ready[0]);
    return n;
}

static void let_go(struct node *n)
{
    assert_int_equal(write(n->word, "g", 1), 1);
    close(n->word);
}

static int end_of(struct node *n)
{
    int status;
    assert_int_equal(waitpid(n->pid, &status, 0), n->pid);
    return status;
}

static void s44_three_nodes_after_a_time_down_make_each_slot_once(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c"};
    for (int round = 0; round < 5; round++) {
        struct node nodes[3];
        struct schedule_put p = every_minute(SCHEDULE_OVERLAP_ALLOW);
        put(&p);
        w->now += (SLOTS - 1) * MINUTE; /* nobody was there */
        for (int i = 0; i < 3; i++)
            nodes[i] = start_node(names[i], 0);
        for (int i = 0; i < 3; i++)
            let_go(&nodes[i]);
        for (int i = 0; i < 3; i++)
            assert_int_equal(end_of(&nodes[i]), 0);
        each_slot_has_one_job(SLOTS);
        tear_down(NULL);
        assert_int_equal(set_up(&(void *){NULL}), 0);
    }
}

/* At twelve moments: in front of its first job, between two pieces, behind the last. */
static void what_a_node_that_was_killed_left_is_made_once_by_the_next_one(void **state)
{
    (void)state;
    int64_t whole_us = 0, left = 0;
    for (int round = 0; round <= 12; round++) {
        struct schedule_put p = every_minute(SCHEDULE_OVERLAP_ALLOW);
        put(&p);
        w->now += (SLOTS - 1) * MINUTE;
        struct node first = start_node("first", round ? 1 + whole_us * (round - 1) / 11 : 0);
        mono began = clock_mono();
        let_go(&first);
        int status = end_of(&first);
        if (round == 0) { /* that one lives: how long it takes */
            assert_int_equal(status, 0);
            whole_us = 1000 * (clock_mono().ms - began.ms + 1);
        }
        left += jobs_count() < SLOTS;
        struct store *next = open_node("next");
        while (view_of(next).last.ms < w->now)
            (void)look_and_fire(next);
        each_slot_has_one_job(SLOTS);
        store_close(&next);
        tear_down(NULL);
        assert_int_equal(set_up(&(void *){NULL}), 0);
    }
    assert_true(left > 0); /* or nobody died on the way */
}

/* It looked, it decided which slots are due, and was gone before the first job, or behind some of them. Its word arrives all
 * the same, as of a process that slept. */
static void a_node_that_dies_between_its_decision_and_the_job_loses_no_slot(void **state)
{
    (void)state;
    for (size_t fired = 0; fired <= 64; fired += 16) {
        struct store *dies = open_node("dies"), *other = open_node("other");
        struct schedule_put p = every_minute(SCHEDULE_OVERLAP_ALLOW);
        put(&p);
        w->now += (SLOTS - 1) * MINUTE;
        struct schedules_due seen = due_at(dies);
        assert_int_equal(seen.count, 1);
        if (fired)
            assert_int_equal(fire_first(dies, &seen.due[0], fired).made, fired);
        store_close(&dies);
        assert_int_equal(look_and_fire(other), SLOTS - fired);
        each_slot_has_one_job(SLOTS);
        dies = open_node("dies");
        struct schedule_fired late = fire_at(dies, &seen.due[0]);
        assert_true(late.stale && late.made == 0);
        each_slot_has_one_job(SLOTS);
        store_close(&dies);
        store_close(&other);
        tear_down(NULL);
        assert_int_equal(set_up(&(void *){NULL}), 0);
    }
}

/* Its mark is gone, as after a failover that lost it, and its jobs are not: they are known by their ids. */
static void slots_that_are_fired_again_make_no_second_job(void **state)
{
    (void)state;
    struct redis_place *p = w->place;
    struct schedule_put put_args = every_minute(SCHEDULE_OVERLAP_ALLOW);
    put(&put_args);
    w->now += 9 * MINUTE;
    assert_int_equal(look_and_fire(w->s), 10);
    static const char *const keys[] = {"r", "s", "n", "l"};
    for (int way = 0; way < 2; way++) {
        struct reply r;
        assert_ok(link_say(p->watch, w->a, &r, &w->f, "HSET", "fulmar:{q}:sd:" ID, "ls",
                           arena_fmt(w->a, "%lld", (long long)T0 - 1), NULL));
        for (size_t i = 0; way == 1 && i < 4; i++) /* and its runs are gone, too */
            assert_ok(link_say(p->watch, w->a, &r, &w->f, "DEL",
                               arena_fmt(w->a, "fulmar:{q}:sd:" ID ":%s", keys[i]), NULL));
        struct schedule_view v = view_of(w->s);
        struct schedule_fired fired = fire_at(w->s, &v);
        assert_true(!fired.stale && fired.made == 0 && fired.known == 10);
        assert_int_equal(jobs_count(), 10);
    }
    w->now += MINUTE;
    assert_int_equal(look_and_fire(w->s), 1); /* and it goes on */
}

static void a_server_that_dies_while_slots_are_fired_loses_none_of_what_is_settled(void **state)
{
    (void)state;
    struct schedule_put p = every_minute(SCHEDULE_OVERLAP_ALLOW);
    put(&p);
    w->now += (SLOTS - 1) * MINUTE;
    struct schedules_due seen = due_at(w->s);
    begin();
    assert_int_equal(fire_first(w->s, &seen.due[0], 20).made, 20);
    crash(); /* with the power: what the group wrote is gone, whole or in part */
    while (view_of(w->s).last.ms < w->now)
        (void)look_and_fire(w->s);
    each_slot_has_one_job(SLOTS);
}

static void without_memory_a_slot_stays_due_and_a_run_ends_with_its_job(void **state)
{
    (void)state;
    struct redis_place *place = w->place;
    struct schedule_put p = every_minute(SCHEDULE_OVERLAP_ALLOW);
    put(&p);
    assert_int_equal(look_and_fire(w->s), 1);
    struct lease l = start_next();
    w->now += MINUTE;
    struct schedules_due d = due_at(w->s);
    assert_int_equal(d.count, 1);
    say("CONFIG", "SET", "maxmemory-policy", "noeviction");
    say("CONFIG", "SET", "maxmemory",
        arena_fmt(w->a, "%lld", (long long)redis_bytes(place) / 2));
    struct schedule_settled *x = arena_new_of(w->a, struct schedule_settled);
    schedule_settle(&d.due[0].terms.rule, NULL, SPAN(ID), d.due[0].last, now(), x);
    struct schedule_fire fire = {.id = SPAN(ID),
                                 .revision = d.due[0].revision,
                                 .last = d.due[0].last,
                                 .slots = x->slots,
                                 .count = x->count,
                                 .settled = x->settled,
                                 .next_ms = x->next_ms};
    struct schedule_fired fired;
    begin();
    assert_int_equal(store_schedule_fire(w->s, &fire, now(), w->a, &fired, &w->f), E_DISK_FULL);
    commit();
    assert_int_equal(view_of(w->s).last.ms, T0);
    finish(&l, FAILURE_NONE);
    assert_int_equal(runs_now().rows[0].state, SCHEDULE_RUN_ENDED);
    say("CONFIG", "SET", "maxmemory", "0");
    assert_int_equal(look_and_fire(w->s), 1);
    assert_int_equal(view_of(w->s).fired, 2);
}

/* Which node a job runs on, and which one looks, has nothing to do with each other. */
static void a_pending_run_gets_its_job_on_whichever_node_looks(void **state)
{
    (void)state;
    struct store *own = w->s, *other = open_node("other");
    struct schedule_put p = every_minute(SCHEDULE_OVERLAP_QUEUE_ONE);
    put(&p);
    assert_int_equal(look_and_fire(own), 1);
    struct lease l = start_next();
    w->now += MINUTE;
    assert_int_equal(look_and_fire(other), 0);
    assert_int_equal(view_of(own).pending, 1);
    assert_int_equal(outlook().schedule_ms[1], T0 + 2 * MINUTE);
    w->s = other; /* the end is told there */
    finish(&l, FAILURE_NONE);
    w->s = own;
    assert_int_equal(outlook().schedule_ms[1], 0);
    struct schedules_due a = due_at(own), b = due_at(other);
    assert_int_equal(a.count + b.count, 0);
    struct schedule_view v = view_of(own);
    assert_true(v.pending == 0 && v.live == 1 && v.fired == 2);
    assert_int_equal(jobs_count(), 2);
    store_close(&other);
}

static void a_change_beside_another_one_is_lost_by_neither(void **state)
{
    (void)state;
    struct store *other = open_node("other");
    struct schedule_put p = every_minute(SCHEDULE_OVERLAP_SKIP);
    struct schedule_view v;
    put(&p);
    p.create = false;
    p.revision = 1;
    p.name = SPAN("first");
    put(&p);
    p.name = SPAN("second");
    assert_ok(store_begin(other, &w->f));
    assert_int_equal(store_schedule_put(other, &p, now(), w->a, &v, &w->f), E_STALE);
    assert_non_null(strstr(w->f.words, "it is at revision 2, not 1"));
    assert_ok(store_commit(other, &w->f));
    assert_true(span_is(view_of(other).name, "first"));
    store_close(&other);
}

/* ---- what stays ---- */

static int64_t keys_like(const char *pattern)
{
    struct redis_place *p = w->place;
    struct reply r;
    assert_ok(link_say(p->watch, w->a, &r, &w->f, "KEYS", pattern, NULL));
    return (int64_t)r.count;
}

static void s71_what_a_hand_broke_of_a_schedule_is_put_right_and_it_goes_on(void **state)
{
    (void)state;
    struct schedule_put p = every_minute(SCHEDULE_OVERLAP_SKIP);
    put(&p);
    assert_int_equal(look_and_fire(w->s), 1);
    assert_int_equal(walk_once(), 0);
    say("ZREM", "fulmar:{q}:sdw1", ID, NULL); /* nobody would look at it again */
    assert_true(outlook().schedule_ms[1] == INT64_MAX);
    assert_int_equal(walk_once(), 1);
    (void)due_at(w->s);
    assert_int_equal(outlook().schedule_ms[1], T0 + MINUTE);
    say("HDEL", "fulmar:{q}:sdi", "default\nnasa", NULL);
    say("ZREM", "fulmar:{q}:sdn:default", "nasa", NULL);
    assert_int_equal(walk_once(), 2);
    struct schedule_view v;
    assert_ok(store_schedule(w->s, SPAN("default"), SPAN("nasa"), w->a, &v, &w->f));
    struct lease l = start_next(); /* its run does not hear of the end */
    say("HDEL", arena_fmt(w->a, "fulmar:{q}:j:%s", l.id), "rs", NULL);
    finish(&l, FAILURE_NONE);
    assert_int_equal(view_of(w->s).live, 1);
    assert_int_equal(walk_once(), 1);
    assert_int_equal(runs_now().rows[0].state, SCHEDULE_RUN_ENDED);
    w->now += MINUTE;
    assert_int_equal(look_and_fire(w->s), 1); /* nothing is in its way */
    assert_int_equal(walk_once(), 0);
}

static void a_deleted_schedule_leaves_no_key_behind(void **state)
{
    (void)state;
    struct schedule_put p = every_minute(SCHEDULE_OVERLAP_QUEUE_ONE);
    put(&p);
    for (int i = 0; i < 3; i++, w->now += MINUTE)
        (void)look_and_fire(w->s); /* live, pending, passed over */
    assert_true(keys_like("fulmar:{q}:sd*") >= 7);
    struct schedule_ask gone = {.tenant = SPAN("default"), .id = SPAN("nasa"), .revision = -1};
    begin();
    assert_ok(store_schedule_delete(w->s, &gone, &w->f));
    commit();
    assert_int_equal(keys_like("fulmar:{q}:sd*"), 0);
    struct lease l = start_next();
    finish(&l, FAILURE_NONE);
    assert_int_equal(keys_like("fulmar:{q}:sd*"), 0); /* its end finds nobody */
}

static void what_is_kept_of_a_schedule_is_bounded_in_every_key(void **state)
{
    (void)state;
    struct schedule_put p = every_minute(SCHEDULE_OVERLAP_SKIP);
    put(&p);
    (void)look_and_fire(w->s);
    (void)start_next(); /* it never ends: all others are passed over */
    for (int i = 0; i < 2 * SCHEDULE_RUNS_KEPT; i++) {
        w->now += MINUTE;
        (void)look_and_fire(w->s);
        drop_texts();
    }
    static const char *const keys[] = {"n", "d"}, *const hashes[] = {"r", "s"};
    struct redis_place *place = w->place;
    for (int i = 0; i < 2; i++) {
        struct reply r;
        const char *key = arena_fmt(w->a, "fulmar:{q}:sd:" ID ":%s", keys[i]);
        assert_ok(link_say(place->watch, w->a, &r, &w->f, "ZCARD", key, NULL));
        assert_in_range(r.number, SCHEDULE_RUNS_KEPT - 1, SCHEDULE_RUNS_KEPT + 2);
        key = arena_fmt(w->a, "fulmar:{q}:sd:" ID ":%s", hashes[i]);
        assert_ok(link_say(place->watch, w->a, &r, &w->f, "HLEN", key, NULL));
        assert_in_range(r.number, SCHEDULE_RUNS_KEPT - 1, SCHEDULE_RUNS_KEPT + 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        S(two_nodes_that_see_the_same_slots_make_each_job_once),
        S(s44_three_nodes_after_a_time_down_make_each_slot_once),
        S(what_a_node_that_was_killed_left_is_made_once_by_the_next_one),
        S(a_node_that_dies_between_its_decision_and_the_job_loses_no_slot),
        S(slots_that_are_fired_again_make_no_second_job),
        S(a_server_that_dies_while_slots_are_fired_loses_none_of_what_is_settled),
        S(without_memory_a_slot_stays_due_and_a_run_ends_with_its_job),
        S(a_pending_run_gets_its_job_on_whichever_node_looks),
        S(a_change_beside_another_one_is_lost_by_neither),
        S(s71_what_a_hand_broke_of_a_schedule_is_put_right_and_it_goes_on),
        S(a_deleted_schedule_leaves_no_key_behind),
        S(what_is_kept_of_a_schedule_is_bounded_in_every_key),
    };
    maker = &store_makers[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
