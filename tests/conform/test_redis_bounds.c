/* What one script does is bounded, however much there is: Redis does nothing else meanwhile. Counted in commands, which
 * are the same on every machine; what they take is measured by bench/queue.sh. */
#include "../lib/scenario.h"

#include "store/batches.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { MOST = 600 }; /* commands of one script: about 3 ms */

/* ---- MONITOR: each command, in its order; those of a script say so ---- */

static struct {
    int fd;
    char line[65536]; /* of which not all has come yet */
    size_t n;
    int64_t run; /* commands of the script that is running */
    int64_t most;
    char most_of[40];
} monitor;

static void monitor_open(const char *socket_path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", socket_path);
    monitor.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(monitor.fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(write(monitor.fd, "MONITOR\r\n", 9), 9);
    assert_int_equal(read(monitor.fd, monitor.line, 5), 5); /* +OK */
}

static void note_line(const char *what)
{
    if (!strstr(monitor.line, " lua] ")) {
        monitor.run = 0;
        return;
    }
    monitor.run++;
    if (monitor.run <= monitor.most)
        return;
    monitor.most = monitor.run;
    snprintf(monitor.most_of, sizeof monitor.most_of, "%s", what);
}

/* What was asked for by `what`: up to a word of our own, which comes behind all of it. */
static void note(const char *what)
{
    struct redis_place *p = w->place;
    struct reply r;
    char bytes[8192];
    ssize_t n;
    assert_int_equal(link_say(p->watch, w->a, &r, &w->f, "ECHO", "all of it", NULL), E_OK);
    for (bool over = false; !over;) {
        n = read(monitor.fd, bytes, sizeof bytes);
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++) {
            if (bytes[i] == '\n') {
                monitor.line[monitor.n] = '\0';
                note_line(what);
                over |= strstr(monitor.line, "\"all of it\"") != NULL;
                monitor.n = 0;
            } else if (monitor.n < 200) { /* who, and which command: the rest is of no use */
                monitor.line[monitor.n++] = bytes[i];
            }
        }
    }
}

static struct lease lease_of(int64_t number)
{
    struct lease l;
    err e = reserve_as(
        &(struct reserve_args){.needs = NEEDS_PAGE, .random = (uint64_t)number + 1}, &l);
    assert_int_equal(e, E_OK);
    note("reserve");
    return l;
}

static void finish_some(int64_t count, int64_t *number)
{
    for (int64_t i = 0; i < count; i++) {
        struct lease l = lease_of((*number)++);
        finish(&l, i % 2 ? FAILURE_DRIFT : FAILURE_NONE);
        note("finish");
        drop_texts();
    }
}

static void s65_what_one_script_does_is_bounded_whatever_there_is(void **state)
{
    (void)state;
    const int64_t lanes = scaled(10000), jobs = scaled(100000), ended = scaled(10000),
                  lost = scaled(10000);
    int64_t number = 0, before;
    w->limits.lane_max_active = 1000000;
    reopen();
    monitor_open(((struct redis_place *)w->place)->server.socket);
    for (int64_t i = 0; i < lanes; i++) {
        char name[40];
        snprintf(name, sizeof name, "t%lld/x%lld/normal", (long long)(i % 50),
                 (long long)(i % 97));
        accept_many(name, jobs / lanes);
        note("accept");
    }
    finish_some(ended, &number);
    for (int64_t i = 0; i < lost; i++)
        (void)lease_of(number++);
    drop_texts();
    before = outlook().by_state[JOB_ACTIVE];
    assert_int_equal(before, lost);
    (void)outlook();
    note("outlook");
    /* all of their workers are gone at one moment */
    w->now += HOUR;
    for (int i = 0; i < 10000 && outlook().by_state[JOB_ACTIVE] > 0; i++) {
        (void)reap();
        note("reap");
        w->now += 100;
    }
    assert_int_equal(outlook().by_state[JOB_ACTIVE], 0);
    (void)outlook();
    note("outlook of many lanes");
    /* all that has ended is too old at one moment */
    w->now += 100LL * 24 * HOUR;
    struct retain_args limits = {.age_ms = 24 * HOUR, .dead_age_ms = 24 * HOUR};
    struct retain_reply r = {.more = true};
    for (int i = 0; i < 10000 && r.more; i++) {
        r = retain(&limits);
        note("retain");
    }
    struct outlook o = outlook();
    assert_int_equal(o.by_state[JOB_SUCCEEDED] + o.by_state[JOB_DEAD], 0);
    close(monitor.fd);
    print_message("most: %lld commands, by %s\n", (long long)monitor.most, monitor.most_of);
    assert_in_range(monitor.most, 1, MOST);
}

static struct operation_view operation_of(const struct operation_args *args)
{
    struct operation_view v;
    begin();
    if (store_operation_start(w->s, args, now(), w->a, &v, &w->f))
        fail_msg("operation: %s", w->f.words);
    commit();
    return v;
}

/* One that touches all jobs of these states, a piece after the other. */
static void operate(enum operation_kind kind, unsigned states, const char *what)
{
    struct operation_args args = {
        .id = span_of(
            arena_fmt(w->ids, "opr_01ARZ3NDEKTSV4RRFFQ6%06lld", (long long)++w->numbers)),
        .kind = kind,
        .many = true,
        .prio = 7,
        .why = SPAN("a test"),
        .jobs = jobs_filter_all(),
        .filter = {.failure = -1}};
    args.jobs.states = states;
    struct operation_view v = operation_of(&args);
    note(what);
    while (v.state == OPERATION_RUNNING) {
        w->now = v.due_ms > w->now ? v.due_ms : w->now;
        begin();
        assert_int_equal(store_tend(w->s, now(), &w->f), E_OK);
        commit();
        note(what);
        assert_int_equal(store_operation(w->s, args.id, w->a, &v, &w->f), E_OK);
        drop_texts();
    }
    assert_true(v.done > 0);
}

static void s65_a_piece_of_an_operation_is_bounded_whatever_it_does(void **state)
{
    enum { WAITING = 0x7, ENDED = 0xe0 };
    (void)state;
    reopen();
    memset(&monitor, 0, sizeof monitor);
    monitor_open(((struct redis_place *)w->place)->server.socket);
    for (int i = 0; i < 8; i++)
        accept_many(arena_fmt(w->ids, "t%d/x%d/normal", i % 3, i), 40);
    operate(OPERATION_PRIORITY, WAITING, "set_priority");
    operate(OPERATION_HOLD, WAITING, "hold");
    operate(OPERATION_RELEASE, WAITING, "release");
    operate(OPERATION_CANCEL, WAITING, "cancel");
    operate(OPERATION_REPLAY, ENDED, "replay");
    operate(OPERATION_CANCEL, WAITING, "cancel");
    operate(OPERATION_DELETE, ENDED, "delete");
    close(monitor.fd);
    print_message("most: %lld commands, by %s\n", (long long)monitor.most, monitor.most_of);
    assert_in_range(monitor.most, 1, MOST);
}

/* ---- batches ---- */

static struct accept_args orders[BATCH_ADD_MOST];
static void make_orders(const char *part, bool unique)
{
    for (int i = 0; i < BATCH_ADD_MOST; i++) {
        orders[i] = job_args(arena_fmt(w->ids, "job_%s_%d", part, i), "x/bulk");
        if (unique)
            orders[i].unique_key = span_of(arena_fmt(w->ids, "work %s %d", part, i));
        orders[i].on_conflict = UNIQUE_REPLACE_PENDING;
    }
}

static void add_thousand(const char *part, struct span batch, bool first, int64_t parallel)
{
    struct batch_args made = {.id = batch,
                              .open = true,
                              .parallel = parallel,
                              .jobs = orders,
                              .count = BATCH_ADD_MOST,
                              .idempotency_key = span_of(part)};
    struct batch_add_args added = {.id = batch, .jobs = orders, .count = BATCH_ADD_MOST};
    struct batch_reply r;
    begin();
    err e = first ? store_batch_create(w->s, &made, now(), w->a, &r, &w->f)
                  : store_batch_add(w->s, &added, now(), w->a, &r, &w->f);
    if (e)
        fail_msg("%s: %s", part, w->f.words);
    commit();
    assert_int_equal(r.added, BATCH_ADD_MOST);
    note(part);
    drop_texts();
}

/* A thousand at once, which is the most that may come: others get their turn in between. */
static void s65_a_batch_of_a_thousand_comes_in_short_scripts(void **state)
{
    (void)state;
    reopen();
    memset(&monitor, 0, sizeof monitor);
    monitor_open(((struct redis_place *)w->place)->server.socket);
    make_orders("first", true);
    add_thousand("first", SPAN("bat_01ARZ3NDEKTSV4RRFFQ69G5FA1"), true, 0);
    make_orders("again", true); /* other jobs about other work */
    add_thousand("again", SPAN("bat_01ARZ3NDEKTSV4RRFFQ69G5FA1"), false, 0);
    make_orders("rows", false);
    add_thousand("rows", SPAN("bat_01ARZ3NDEKTSV4RRFFQ69G5FA2"), true, 1000);
    make_orders("more", false);
    add_thousand("more", SPAN("bat_01ARZ3NDEKTSV4RRFFQ69G5FA2"), false, 1000);
    /* each takes the place of one that waits */
    make_orders("first", true);
    for (int i = 0; i < BATCH_ADD_MOST; i++)
        orders[i].id = span_of(arena_fmt(w->ids, "job_place_%d", i));
    add_thousand("in place", SPAN("bat_01ARZ3NDEKTSV4RRFFQ69G5FA3"), true, 0);
    /* and so many as come in with one script */
    struct batch_args at_once = {.id = SPAN("bat_01ARZ3NDEKTSV4RRFFQ69G5FA4"),
                                 .parallel = 1000,
                                 .jobs = orders,
                                 .count = 20};
    struct batch_reply r;
    for (int i = 0; i < 20; i++)
        orders[i].id = span_of(arena_fmt(w->ids, "job_once_%d", i));
    begin();
    assert_int_equal(store_batch_create(w->s, &at_once, now(), w->a, &r, &w->f), E_OK);
    commit();
    note("at once");
    assert_int_equal(outlook().by_state[JOB_READY], 3000);
    assert_int_equal(outlook().by_state[JOB_BLOCKED], 1000);
    assert_int_equal(outlook().by_state[JOB_CANCELLED], 1020);
    close(monitor.fd);
    print_message("most: %lld commands, by %s\n", (long long)monitor.most, monitor.most_of);
    assert_in_range(monitor.most, 1, MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        S(s65_what_one_script_does_is_bounded_whatever_there_is),
        S(s65_a_piece_of_an_operation_is_bounded_whatever_it_does),
        S(s65_a_batch_of_a_thousand_comes_in_short_scripts),
    };
    maker = &store_makers[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
