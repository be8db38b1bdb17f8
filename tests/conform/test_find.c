/* Jobs by what they are, and what is done to many of them in pieces: the same on every store. */
#include "../lib/scenario.h"

#include "store/dead.h"

#include <string.h>

static const char *accept_as(const char *lane, const char *site, const char *kind,
                             const char *target)
{
    const char *id = new_id();
    struct accept_args args = job_args(id, lane);
    args.site = span_of(site);
    args.kind = span_of(kind);
    args.target = span_of(target);
    accept_args(&args);
    return id;
}

static struct jobs_found find(const struct jobs_find *q)
{
    struct jobs_found found;
    err e = store_jobs_find(w->s, q, now(), w->a, &found, &w->f);
    if (e)
        fail_msg("find: %s", w->f.words);
    return found;
}

/* The jobs that a filter finds, oldest first, are just these. */
static void finds(const struct jobs_filter *by, const char *const *ids)
{
    struct jobs_find q = {.filter = *by, .oldest_first = true, .limit = 100};
    struct jobs_found found = find(&q);
    size_t n = 0;
    for (; ids[n]; n++) {
        if (n >= found.count || strcmp(found.jobs[n].id, ids[n]) != 0)
            fail_msg("%zu found, job %zu is %s, not %s", found.count, n,
                     n < found.count ? found.jobs[n].id : "none", ids[n]);
    }
    assert_int_equal(found.count, n);
    assert_int_equal(found.next[0], '\0');
    q.oldest_first = false;
    found = find(&q);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(found.jobs[i].id, ids[n - 1 - i]);
}
#define FINDS(by, ...) finds(by, (const char *const[]){__VA_ARGS__, NULL})

static void each_part_of_a_filter_leaves_others_out(void **state)
{
    (void)state;
    const char *a = accept_as("x/normal", "x", "posts", "nasa");
    w->now += HOUR;
    const char *b = accept_as("press/x/bulk", "x", "profile", "nasa");
    const char *c = accept_as("press/mastodon/normal-7", "mastodon", "posts", "esa");
    w->now += HOUR;
    const char *d = accept_as("x/interactive", "x", "search", "heat pump");
    struct jobs_filter by = jobs_filter_all();
    FINDS(&by, a, b, c, d);
    by.site = SPAN("mastodon");
    FINDS(&by, c);
    by = jobs_filter_all();
    by.kind = SPAN("posts");
    FINDS(&by, a, c);
    by.target = SPAN("nasa");
    FINDS(&by, a);
    by = jobs_filter_all();
    by.target = SPAN("heat pump");
    FINDS(&by, d);
    by = jobs_filter_all();
    by.tenant = SPAN("press");
    FINDS(&by, b, c);
    by.class = LANE_BULK;
    FINDS(&by, b);
    by = jobs_filter_all();
    by.tenant = SPAN("default");
    FINDS(&by, a, d);
    by = jobs_filter_all();
    by.lane = SPAN("press/mastodon/normal-7");
    FINDS(&by, c);
    by = jobs_filter_all();
    by.since_ms = T0 + HOUR;
    FINDS(&by, b, c, d);
    by.until_ms = T0 + HOUR;
    FINDS(&by, b, c);
    by = jobs_filter_all();
    by.site = SPAN("nowhere");
    finds(&by, (const char *const[]){NULL});
}

static void states_failures_and_holds_are_found(void **state)
{
    (void)state;
    WITH(fail_max, 1);
    const char *ready = accept_job(), *held = NULL, *dead = NULL;
    struct job_change c = job_change_none(SPAN_NONE);
    struct lease l = start_next();
    finish(&l, FAILURE_DRIFT);
    dead = ready;
    ready = accept_job();
    held = accept_job();
    c.id = span_of(held);
    c.hold = HOLD_ON;
    begin();
    assert_int_equal(store_change(w->s, &c, now(), &w->f), E_OK);
    commit();
    const char *gone = accept_job();
    cancel(gone, false);
    struct jobs_filter by = jobs_filter_all();
    by.states = 1U << JOB_READY;
    FINDS(&by, ready);
    by.states = 1U << JOB_DEAD | 1U << JOB_CANCELLED;
    FINDS(&by, dead, gone);
    by.states = 0;
    by.failure = FAILURE_DRIFT;
    FINDS(&by, dead);
    by = jobs_filter_all();
    by.held = true;
    FINDS(&by, held);
    by.states = 1U << JOB_READY;
    finds(&by, (const char *const[]){NULL});
}

static const char *accept_with(const char *spec)
{
    const char *id = new_id();
    struct accept_args args = job_args(id, "x/normal");
    args.spec = span_of(spec);
    accept_args(&args);
    return id;
}

/* A label is what is written as one, whole; other options are none. */
static void jobs_are_found_by_all_of_their_labels(void **state)
{
    (void)state;
    const char *a = accept_with("{\"labels\":{\"desk\":\"a}b\",\"team\":\"press\"}}");
    const char *b = accept_with("{\"limit\":5,\"labels\":{\"team\":\"press\"}}");
    const char *c = accept_with("{\"product\":\"top\",\"team\":\"press\"}");
    accept_with("{\"labels\":{\"team\":\"pressed\",\"xteam\":\"press\"}}");
    struct jobs_filter by = jobs_filter_all();
    by.labels = SPAN("{\"team\":\"press\"}");
    FINDS(&by, a, b);
    by.labels = SPAN("{\"desk\":\"a}b\",\"team\":\"press\"}");
    FINDS(&by, a);
    by.labels = SPAN("{\"product\":\"top\"}");
    finds(&by, (const char *const[]){NULL});
    struct job_change change = job_change_none(span_of(c));
    change.labels = SPAN("{\"team\":\"press\"}");
    begin();
    assert_int_equal(store_change(w->s, &change, now(), &w->f), E_OK);
    commit();
    by.labels = change.labels;
    FINDS(&by, a, b, c);
}

/* Through all of it in pages, none twice, none left out; also when hardly any job matches. */
static void pages_lead_through_all_that_match(void **state)
{
    (void)state;
    enum { JOBS = 12000, EVERY = 1500 };
    for (int i = 0; i < JOBS; i++) {
        if (!w->in_group)
            begin();
        accept_in(i % EVERY ? "x/normal" : "rare/x/normal");
        if (i % 2000 == 1999)
            commit();
    }
    struct jobs_find q = {.filter = jobs_filter_all(), .limit = 3};
    q.filter.tenant = SPAN("rare");
    for (int up = 0; up < 2; up++) {
        char after[ID_TEXT] = "";
        int64_t seen = 0, pages = 0, last = up ? 0 : INT64_MAX;
        struct jobs_found found;
        q.oldest_first = up == 1;
        do {
            q.after = span_of(after);
            found = find(&q);
            for (size_t i = 0; i < found.count; i++, seen++) {
                int64_t number = strtoll(found.jobs[i].id + 4, NULL, 10);
                assert_true(up ? number > last : number < last);
                last = number;
            }
            memcpy(after, found.next, sizeof after);
            assert_true(++pages < 40);
        } while (found.next[0]);
        assert_int_equal(seen, JOBS / EVERY);
    }
    q.after = SPAN("job_none");
    struct jobs_found none;
    assert_int_equal(store_jobs_find(w->s, &q, now(), w->a, &none, &w->f), E_NOT_FOUND);
}

/* Whatever else lies between them, and whichever way the store goes. */
static void a_look_counts_what_it_went_by_in_the_wanted_states(void **state)
{
    (void)state;
    enum { WAIT = 600, ENDED = 5 };
    int64_t began = w->now;
    for (int i = 0; i < ENDED; i++)
        cancel(accept_job(), false);
    w->now += HOUR;
    for (int i = 0; i < WAIT; i++)
        accept_job();
    struct jobs_find q = {.filter = jobs_filter_all(), .limit = 1, .only_count = true};
    q.filter.states = 1U << JOB_CANCELLED | 1U << JOB_BLOCKED;
    q.filter.site = SPAN("none");
    struct jobs_found found = find(&q);
    assert_int_equal(found.looked, ENDED);
    assert_int_equal(found.count, 0);
    assert_true(found.oldest_ms == began);
    q.by_end = true;
    q.filter.states = 1U << JOB_EXPIRED | 1U << JOB_DEAD;
    assert_int_equal(find(&q).looked, 0);
    q.filter.states |= 1U << JOB_CANCELLED;
    assert_int_equal(find(&q).looked, ENDED);
    q.by_end = false;
    q.filter = jobs_filter_all();
    q.filter.site = SPAN("none");
    found = find(&q);
    assert_int_equal(found.looked, WAIT + ENDED);
    assert_true(found.oldest_ms == began && found.newest_ms == began + HOUR);
    q.filter.states = 1U << JOB_ACTIVE;
    found = find(&q);
    assert_true(!found.looked && !found.oldest_ms && !found.newest_ms);
}

/* By its number, though it is there no more. */
static void a_page_goes_on_where_its_last_job_was(void **state)
{
    (void)state;
    const char *ids[5];
    for (int i = 0; i < 5; i++)
        ids[i] = accept_job();
    for (int up = 0; up < 2; up++) {
        struct jobs_find q = {.filter = jobs_filter_all(), .oldest_first = up == 1, .limit = 2};
        struct jobs_found found = find(&q);
        assert_string_equal(found.next, found.jobs[1].id);
        assert_int_equal(found.next_number, found.jobs[1].number);
        const char *gone = up ? ids[1] : ids[3];
        assert_string_equal(found.next, gone);
        q.after = span_of(gone);
        q.after_number = found.next_number;
        cancel(gone, false);
        begin();
        assert_int_equal(store_forget(w->s, span_of(gone), now(), &w->f), E_OK);
        commit();
        found = find(&q);
        assert_string_equal(found.jobs[0].id, ids[2]);
        struct jobs_found none;
        q.after_number = 0;
        assert_int_equal(store_jobs_find(w->s, &q, now(), w->a, &none, &w->f), E_NOT_FOUND);
        w->f = (struct fault){0};
    }
}

static struct job_view look_at_job(const char *id)
{
    struct job_view v;
    assert_int_equal(store_job(w->s, span_of(id), now(), w->a, &v, &w->f), E_OK);
    return v;
}

static void a_job_that_runs_says_who_has_it_and_until_when(void **state)
{
    (void)state;
    const char *id = accept_job();
    assert_int_equal(look_at_job(id).lease_until_ms, 0);
    struct lease l = start_next();
    struct job_view v = look_at_job(id);
    assert_true(v.worker.n > 0);
    assert_true(v.lease_until_ms > w->now);
    w->now += 1000;
    assert_int_equal(heartbeat(&l, NULL), E_OK);
    assert_true(look_at_job(id).lease_until_ms > v.lease_until_ms);
    finish(&l, FAILURE_NONE);
    v = look_at_job(id);
    assert_true(!v.lease_until_ms && !v.worker.n);
}

/* ---- in the order of ends ---- */

static void ends_at(const char *id, int64_t at, enum job_state how)
{
    struct lease l;
    w->now = at;
    if (how == JOB_CANCELLED) {
        cancel(id, false);
        return;
    }
    l = start_next();
    if (strcmp(l.id, id) != 0)
        fail_msg("%s runs, not %s", l.id, id);
    finish(&l, how == JOB_DEAD ? FAILURE_DRIFT : FAILURE_NONE);
}

static struct jobs_find by_end(bool oldest_first)
{
    return (struct jobs_find){.filter = jobs_filter_all(),
                              .by_end = true,
                              .oldest_first = oldest_first,
                              .limit = 100};
}

static void ended(const struct jobs_find *q, const char *const *ids)
{
    struct jobs_found found = find(q);
    size_t n = 0;
    for (; ids[n]; n++)
        if (n >= found.count || strcmp(found.jobs[n].id, ids[n]) != 0)
            fail_msg("%zu found, job %zu is %s, not %s", found.count, n,
                     n < found.count ? found.jobs[n].id : "none", ids[n]);
    assert_int_equal(found.count, n);
    assert_int_equal(found.next[0], '\0');
}
#define ENDED(q, ...) ended(q, (const char *const[]){__VA_ARGS__, NULL})

static void ended_jobs_are_listed_in_the_order_of_their_ends(void **state)
{
    (void)state;
    WITH(fail_max, 1);
    const char *a = accept_job(), *b = accept_job(), *c = accept_job(), *d = accept_job();
    accept_job();
    ends_at(d, T0 + HOUR, JOB_CANCELLED);
    ends_at(a, T0 + 2 * HOUR, JOB_SUCCEEDED);
    ends_at(b, T0 + 3 * HOUR, JOB_DEAD);
    ends_at(c, T0 + 4 * HOUR, JOB_SUCCEEDED);
    struct jobs_find q = by_end(false);
    ENDED(&q, c, b, a, d);
    q.after = span_of(b);
    ENDED(&q, a, d);
    q = by_end(true);
    ENDED(&q, d, a, b, c);
    q.after = span_of(a);
    ENDED(&q, b, c);
    q = by_end(true);
    q.filter.states = 1U << JOB_DEAD;
    ENDED(&q, b);
    q.filter.states = 1U << JOB_DEAD | 1U << JOB_CANCELLED;
    ENDED(&q, d, b);
    q.filter.states = 1U << JOB_SUCCEEDED;
    q.filter.since_ms = T0 + HOUR;
    ended(&q, (const char *const[]){NULL});
}

/* Whose end a page stopped at may run again, or be gone: the next one goes on there, and loses nothing. */
static void a_page_by_ends_goes_on_where_its_job_was(void **state)
{
    (void)state;
    struct jobs_found none;
    const char *a = accept_job(), *b = accept_job(), *c = accept_job(), *runs = accept_job();
    ends_at(a, T0 + HOUR, JOB_CANCELLED);
    ends_at(b, T0 + 2 * HOUR, JOB_CANCELLED);
    ends_at(c, T0 + 3 * HOUR, JOB_CANCELLED);
    struct jobs_find q = by_end(true);
    q.after = span_of(b);
    struct replay_args again = {.id = span_of(b)};
    struct replay_reply reply;
    begin();
    assert_int_equal(store_replay(w->s, &again, now(), &reply, &w->f), E_OK);
    commit();
    assert_int_equal(store_jobs_find(w->s, &q, now(), w->a, &none, &w->f), E_CONFLICT);
    w->f = (struct fault){0};
    q.after_ended_ms = T0 + 2 * HOUR;
    ENDED(&q, c);
    q.oldest_first = false;
    ENDED(&q, a);
    w->now += HOUR;
    cancel(b, false); /* it ended again, and later */
    ENDED(&q, a);
    q.after = span_of(runs);
    q.after_ended_ms = 0;
    assert_int_equal(store_jobs_find(w->s, &q, now(), w->a, &none, &w->f), E_CONFLICT);
    w->f = (struct fault){0};
    q.after = SPAN("job_none");
    assert_int_equal(store_jobs_find(w->s, &q, now(), w->a, &none, &w->f), E_NOT_FOUND);
    w->f = (struct fault){0};
    q.after_ended_ms = T0 + 2 * HOUR;
    ENDED(&q, a);
    begin();
    assert_int_equal(store_forget(w->s, span_of(a), now(), &w->f), E_OK);
    commit();
    q.after = span_of(a);
    q.after_ended_ms = T0 + HOUR;
    q.oldest_first = true;
    ENDED(&q, c, b);
}

/* Thousands, dead ones among them: each once. */
static void jobs_that_ended_at_one_moment_are_each_on_one_page(void **state)
{
    (void)state;
    enum { JOBS = 5200, PAGE = 500 };
    static const char *ids[JOBS];
    static bool seen[2 * JOBS];
    WITH(fail_max, 1);
    int64_t dead = 0;
    for (int i = 0; i < JOBS; i++) {
        if (!w->in_group)
            begin();
        ids[i] = accept_in("x/normal");
        if (i % 1000 == 999)
            commit();
    }
    if (w->in_group)
        commit();
    for (; dead < 20; dead++) {
        struct lease l = start_next();
        finish(&l, FAILURE_SUSPENDED);
    }
    for (int i = (int)dead; i < JOBS; i++) {
        struct cancel_args gone = {.id = span_of(ids[i])};
        struct cancel_reply reply;
        if (!w->in_group)
            begin();
        assert_int_equal(store_cancel(w->s, &gone, now(), &reply, &w->f), E_OK);
        if (i % 1000 == 999)
            commit();
    }
    if (w->in_group)
        commit();
    for (int up = 0; up < 2; up++) {
        struct jobs_find q = by_end(up == 1);
        struct jobs_found found;
        char after[ID_TEXT] = "";
        int64_t n = 0, last = up ? 0 : INT64_MAX;
        memset(seen, 0, sizeof seen);
        q.limit = PAGE;
        do {
            q.after = span_of(after);
            found = find(&q);
            for (size_t i = 0; i < found.count; i++, n++) {
                const struct job_view *job = &found.jobs[i];
                int64_t number = strtoll(job->id + 4, NULL, 10) % (int64_t)(2 * JOBS);
                assert_true(up ? job->finished_ms >= last : job->finished_ms <= last);
                assert_false(seen[number]);
                seen[number] = true;
                last = job->finished_ms;
            }
            memcpy(after, found.next, sizeof after);
            q.after_ended_ms = found.next_ended_ms;
        } while (found.next[0]);
        assert_int_equal(n, JOBS);
    }
    struct jobs_find q = by_end(true);
    q.filter.states = 1U << JOB_DEAD;
    assert_int_equal(find(&q).count, dead);
    q.only_count = true;
    q.filter.states = 1U << JOB_CANCELLED;
    q.limit = FIND_MOST;
    struct jobs_found found = find(&q);
    assert_true(found.count >= FIND_MOST - 1 && found.looked >= found.count);
}

/* ---- operations on many ---- */

static int64_t operations;

static struct operation_args operation(enum operation_kind kind)
{
    return (struct operation_args){
        .id = span_of(
            arena_fmt(w->ids, "opr_01ARZ3NDEKTSV4RRFFQ6%06lld", (long long)++operations)),
        .kind = kind,
        .many = true,
        .jobs = jobs_filter_all(),
        .filter = {.failure = -1}};
}

static struct operation_view start_operation(const struct operation_args *args)
{
    struct operation_view v;
    begin();
    err e = store_operation_start(w->s, args, now(), w->a, &v, &w->f);
    if (e)
        fail_msg("operation: %s: %s", err_name(e), w->f.words);
    commit();
    return v;
}

static struct operation_view look_at_operation(struct span id)
{
    struct operation_view v;
    assert_int_equal(store_operation(w->s, id, w->a, &v, &w->f), E_OK);
    return v;
}

/* One step of it in each turn of time, until it is done. */
static struct operation_view run_operation(const struct operation_args *args)
{
    struct operation_view v = start_operation(args);
    for (int i = 0; v.state == OPERATION_RUNNING; i++) {
        assert_true(i < 1000);
        w->now = v.due_ms > w->now ? v.due_ms : w->now;
        begin();
        assert_int_equal(store_tend(w->s, now(), &w->f), E_OK);
        commit();
        v = look_at_operation(args->id);
    }
    return v;
}

static void many_are_held_and_let_go(void **state)
{
    (void)state;
    enum { JOBS = 350 };
    for (int i = 0; i < JOBS; i++)
        accept_in(i % 2 ? "a/x/normal" : "b/x/normal");
    struct lease l = start_next(); /* one that runs is not held */
    struct operation_args args = operation(OPERATION_HOLD);
    args.jobs.states = 0xf;
    args.why = SPAN("the site is being moved");
    struct operation_view v = run_operation(&args);
    assert_int_equal(v.done, JOBS - 1);
    assert_int_equal(v.skipped, 1);
    assert_true(v.many && span_is(v.why, "the site is being moved"));
    assert_true(has_none());
    finish(&l, FAILURE_NONE);
    args = operation(OPERATION_RELEASE);
    args.jobs.tenant = SPAN("a");
    args.jobs.states = 1U << JOB_SCHEDULED;
    v = run_operation(&args);
    assert_int_equal(v.done, JOBS / 2 - (l.lane.p[0] == 'a'));
    int64_t started_jobs = 0;
    while (reserve(&l)) {
        assert_int_equal(l.lane.p[0], 'a');
        started_jobs++;
    }
    assert_int_equal(started_jobs, v.done);
}

static void priorities_of_many_change(void **state)
{
    (void)state;
    const char *first = accept_as("x/normal", "x", "posts", "nasa");
    const char *second = accept_as("x/normal", "x", "posts", "esa");
    struct operation_args args = operation(OPERATION_PRIORITY);
    args.jobs.target = SPAN("esa");
    args.prio = 9;
    struct operation_view v = run_operation(&args);
    assert_int_equal(v.done, 1);
    assert_int_equal(v.prio, 9);
    assert_true(span_is(v.jobs.target, "esa"));
    assert_string_equal(lease_next().id, second);
    assert_string_equal(lease_next().id, first);
}

static void many_are_cancelled_and_those_that_run_are_asked(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        accept_job();
    struct lease l = start_next();
    struct operation_args args = operation(OPERATION_CANCEL);
    args.jobs.states = 0xf;
    args.why = SPAN("not needed");
    struct operation_view v = run_operation(&args);
    assert_int_equal(v.done, 5);
    assert_int_equal(outlook().by_state[JOB_CANCELLED], 4);
    bool asked = false;
    assert_int_equal(heartbeat(&l, &asked), E_OK);
    assert_true(asked);
    struct jobs_filter by = jobs_filter_all();
    by.states = 1U << JOB_CANCELLED;
    struct jobs_find q = {.filter = by, .limit = 1};
    assert_true(span_is(find(&q).jobs[0].why, "not needed"));
}

static void many_run_again_and_many_are_deleted(void **state)
{
    (void)state;
    const char *keeps = accept_job();
    for (int i = 0; i < 4; i++)
        cancel(accept_job(), false);
    struct lease l = start_next();
    finish(&l, FAILURE_NONE);
    struct operation_args args = operation(OPERATION_REPLAY);
    args.jobs.states = 0xe0;
    args.most = 2;
    struct operation_view v = run_operation(&args);
    assert_int_equal(v.done, 2);
    assert_int_equal(v.most, 2);
    assert_int_equal(outlook().by_state[JOB_READY], 2);
    args = operation(OPERATION_DELETE);
    args.jobs.states = 1U << JOB_CANCELLED;
    v = run_operation(&args);
    assert_int_equal(v.done, 2);
    assert_int_equal(jobs_count(), 3);
    assert_true(exists(keeps));
    /* what has not ended is not deleted, whatever the filter says */
    args = operation(OPERATION_DELETE);
    v = run_operation(&args);
    assert_int_equal(v.done, 1);
    assert_int_equal(v.skipped, 2);
}

/* Those with the labels, and no others, also behind a crash. */
static void many_are_touched_by_their_labels(void **state)
{
    (void)state;
    enum { JOBS = 300 };
    for (int i = 0; i < JOBS; i++)
        accept_with(i % 3 ? "{}" : "{\"labels\":{\"team\":\"press\"}}");
    struct operation_args args = operation(OPERATION_CANCEL);
    args.jobs.states = 0xf;
    args.jobs.labels = SPAN("{\"team\":\"press\"}");
    struct operation_view v = start_operation(&args);
    crash();
    while (v.state == OPERATION_RUNNING) {
        w->now = v.due_ms > w->now ? v.due_ms : w->now;
        begin();
        assert_int_equal(store_tend(w->s, now(), &w->f), E_OK);
        commit();
        v = look_at_operation(args.id);
    }
    assert_int_equal(v.done, JOBS / 3);
    assert_true(span_eq(v.jobs.labels, args.jobs.labels));
    assert_int_equal(outlook().by_state[JOB_READY], JOBS - JOBS / 3);
}

/* Each job once, over crashes between the pieces: what is done stays, and it goes on behind it. */
static void an_operation_goes_on_where_it_was(void **state)
{
    (void)state;
    enum { JOBS = 450 };
    for (int i = 0; i < JOBS; i++)
        accept_job();
    struct operation_args args = operation(OPERATION_PRIORITY);
    args.prio = 7;
    struct operation_view v = start_operation(&args);
    accept_job(); /* came later: no matter of this operation */
    while (v.state == OPERATION_RUNNING) {
        assert_true(v.done > 0 && v.done <= JOBS);
        crash();
        w->now = v.due_ms > w->now ? v.due_ms : w->now;
        begin();
        assert_int_equal(store_tend(w->s, now(), &w->f), E_OK);
        commit();
        v = look_at_operation(args.id);
    }
    assert_int_equal(v.done, JOBS);
    int64_t changed = 0, after = 0;
    struct event_view *events;
    size_t count;
    do {
        assert_int_equal(
            store_events(w->s, after, SPAN_NONE, 500, w->a, &events, &count, &w->f), E_OK);
        for (size_t i = 0; i < count; i++)
            changed += span_is(events[i].kind, "job.changed");
        after = count ? events[count - 1].seq : after;
    } while (count == 500);
    assert_int_equal(changed, JOBS);
}

static void a_rate_and_a_limit_hold(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        accept_job();
    struct operation_args args = operation(OPERATION_HOLD);
    args.jobs.states = 0x7;
    args.per_minute = 60;
    args.most = 5;
    int64_t began = w->now;
    struct operation_view v = run_operation(&args);
    assert_int_equal(v.done, 5);
    assert_true(w->now - began >= 4000);
    assert_int_equal(outlook().by_state[JOB_READY], 45);
}

static void a_filter_that_cannot_be_is_refused(void **state)
{
    (void)state;
    struct operation_args args = operation(OPERATION_HOLD);
    struct operation_view v;
    args.jobs.class = LANE_CLASSES;
    begin();
    assert_int_equal(store_operation_start(w->s, &args, now(), w->a, &v, &w->f), E_BAD_INPUT);
    commit();
    args.jobs = jobs_filter_all();
    args.many = false;
    begin();
    assert_int_equal(store_operation_start(w->s, &args, now(), w->a, &v, &w->f), E_BAD_INPUT);
    commit();
}

static const struct CMUnitTest tests[] = {
    S(each_part_of_a_filter_leaves_others_out),
    S(states_failures_and_holds_are_found),
    S(jobs_are_found_by_all_of_their_labels),
    S(pages_lead_through_all_that_match),
    S(a_look_counts_what_it_went_by_in_the_wanted_states),
    S(a_page_goes_on_where_its_last_job_was),
    S(a_job_that_runs_says_who_has_it_and_until_when),
    S(ended_jobs_are_listed_in_the_order_of_their_ends),
    S(a_page_by_ends_goes_on_where_its_job_was),
    S(jobs_that_ended_at_one_moment_are_each_on_one_page),
    S(many_are_held_and_let_go),
    S(priorities_of_many_change),
    S(many_are_cancelled_and_those_that_run_are_asked),
    S(many_run_again_and_many_are_deleted),
    S(many_are_touched_by_their_labels),
    S(an_operation_goes_on_where_it_was),
    S(a_rate_and_a_limit_hold),
    S(a_filter_that_cannot_be_is_refused),
};

RUN_ON_ALL_STORES(tests)
