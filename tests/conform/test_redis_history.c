/* What becomes of it when the queue loses what it had answered: behind a failover to a replica that was behind, a restart that
 * was, a hand that emptied it. A failover is real: a replica that stopped copying is promoted, and the address of the
 * primary, a link to its socket, is that of the replica then. */
#include "../lib/scenario.h"

#include "os/clock.h"
#include "store/redis/marker.h"
#include "store/spooling.h"

#include <string.h>

enum { JOBS = 8 };

static struct redis_server primary, copy;
static char where[96]; /* the link */
static struct archive *records;
static struct store *before; /* of the scenario: not used here */

static void point_at(const struct redis_server *to)
{
    (void)unlink(where);
    assert_int_equal(symlink(to->socket, where), 0);
}

static struct store *open_at(const char *node, const char *dir)
{
    struct store *s;
    char url[128];
    snprintf(url, sizeof url, "unix://%s", where);
    struct redis_config config = {.url = span_of(url),
                                  .node = span_of(node),
                                  .records = &kept_records,
                                  .archive = records,
                                  .state_dir = dir,
                                  .callers_time = true};
    struct fault f = {0};
    if (redis_open(&s, &config, &w->limits, 7, now(), &f))
        fail_msg("open: %s", f.words);
    return s;
}

static struct link *direct(const struct redis_server *to)
{
    struct link *l = NULL;
    struct link_config config = {.url = span_of(to->url), .name = SPAN("q")};
    assert_int_equal(link_new(&l, &config, &w->f), E_OK);
    return l;
}

static struct reply say(const struct redis_server *to, const char *a, const char *b,
                        const char *c)
{
    struct reply r = {0};
    struct fault f = {0};
    struct link *l = direct(to);
    if (link_say(l, w->a, &r, &f, a, b, c, (char *)NULL))
        fail_msg("%s: %s", a, f.words);
    link_free(&l);
    return r;
}

static void start_copy(int port)
{
    static char of[32];
    snprintf(of, sizeof of, "127.0.0.1 %d", port);
    redis_make(&copy);
    copy.options[0] = "--replicaof";
    copy.options[1] = of;
    redis_start(&copy);
}

/* All that was written so far. */
static void copied(void)
{
    struct link *l = direct(&primary);
    struct reply r = {0};
    do {
        assert_int_equal(link_say(l, w->a, &r, NULL, "SET", "mark", "1", (char *)NULL), E_OK);
        assert_int_equal(link_say(l, w->a, &r, NULL, "WAIT", "1", "1000", (char *)NULL), E_OK);
    } while (r.number < 1);
    link_free(&l);
}

/* To a server that no link would talk to: a replica. */
static void tell(const struct redis_server *to, const char *words)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char reply[64] = "";
    snprintf(at.sun_path, sizeof at.sun_path, "%s", to->socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_true(write(fd, words, strlen(words)) > 0);
    assert_true(read(fd, reply, sizeof reply - 1) > 0);
    if (reply[0] != '+')
        fail_msg("%s: %s", words, reply);
    close(fd);
}

/* What a server that is a copy has it also has in its file: that is written behind a whole copy, and behind what it says to have. */
static bool is_in_its_file(const struct redis_server *of)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char reply[4096] = "";
    snprintf(at.sun_path, sizeof at.sun_path, "%s", of->socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_true(write(fd, "INFO persistence\r\n", 18) == 18);
    assert_true(read(fd, reply, sizeof reply - 1) > 0);
    close(fd);
    return strstr(reply, "aof_rewrite_in_progress:0") &&
           strstr(reply, "aof_rewrite_scheduled:0") && strstr(reply, "aof_buffer_length:0\r");
}

/* From now on nothing is copied; what the primary takes it takes alone. */
static void part(void)
{
    tell(&copy, "REPLICAOF NO ONE\r\n");
}

static void fail_over(void)
{
    redis_end(&primary, SIGKILL);
    point_at(&copy);
}

/* The first call after it finds a new connection; those in the pause between two attempts find none. */
static void noticed(struct store *s)
{
    struct outlook o;
    struct fault f = {0};
    while (store_outlook(s, now(), &o, &f))
        redis_nap();
}

static struct store_loss loss_of(struct store *s)
{
    return *store_loss(s);
}

static int64_t epoch(void)
{
    struct redis_server now_there = {0};
    int64_t n = 0;
    snprintf(now_there.url, sizeof now_there.url, "unix://%s", where);
    struct reply r = say(&now_there, "HGET", "fulmar:{q}:meta", "epoch");
    assert_true(span_int(r.text, &n));
    return n;
}

static int set_up_history(void **state)
{
    static char port[8];
    set_up(state);
    before = w->s;
    records = kept_open();
    redis_make(&primary);
    int number = redis_port();
    snprintf(port, sizeof port, "%d", number);
    const char *options[] = {
        "--port", port, "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0"};
    memcpy(primary.options, options, sizeof options);
    redis_start(&primary);
    start_copy(number);
    snprintf(where, sizeof where, "%s/now.sock", primary.dir);
    point_at(&primary);
    copied();
    w->s = open_at("north", NULL);
    return 0;
}

static int tear_down_history(void **state)
{
    store_close(&w->s);
    w->s = before;
    redis_remove(&primary);
    redis_remove(&copy);
    kept_close(records);
    return tear_down(state);
}
#define H(name) cmocka_unit_test_setup_teardown(name, set_up_history, tear_down_history)

/* ---- a failover ---- */

static int64_t repairs_of_a_walk(void)
{
    struct audit_reply r = {0};
    int64_t repaired = 0, walks = -1;
    do {
        assert_int_equal(redis_audit(w->s, now(), &r, &w->f), E_OK);
        walks = walks < 0 ? r.walks : walks;
        repaired += r.repaired;
    } while (r.walks < walks + 2);
    return repaired;
}

static void s67_a_failover_that_lost_something_says_what(void **state)
{
    (void)state;
    const char *kept[JOBS], *lost[3];
    for (int i = 0; i < JOBS; i++)
        kept[i] = accept_job();
    struct lease ended = start_next(), running = start_next();
    assert_int_equal(commit_batch(&ended, 0, 0, 3), E_OK);
    copied();
    int64_t was = epoch();
    part();
    finish(&ended, FAILURE_NONE); /* all of this the copy never hears of */
    struct lease forgotten = start_next();
    for (int i = 0; i < 3; i++)
        lost[i] = accept_job();
    fail_over();
    noticed(w->s);
    struct store_loss loss = loss_of(w->s);
    assert_int_equal(loss.count, 1);
    assert_int_equal(loss.events, 5); /* an end, a start, three that were accepted */
    assert_int_equal(loss.jobs, 3);
    for (int i = 0; i < 3; i++) {
        bool named = false;
        for (size_t k = 0; k < loss.named; k++)
            named |= strcmp(loss.ids[k], lost[i]) == 0;
        assert_true(named);
        assert_false(exists(lost[i]));
    }
    for (int i = 0; i < JOBS; i++)
        assert_true(exists(kept[i]));
    assert_int_equal(epoch(), was + 1);
    /* Leases that it knows are held; one that it never gave is nobody's, though its fence comes again. */
    assert_int_equal(heartbeat(&running, NULL), E_OK);
    assert_int_equal(heartbeat(&forgotten, NULL), E_STALE);
    /* Who had that one may go on for its time: nothing starts before it is over, and others get another period. */
    assert_true(has_none());
    assert_int_equal(outlook().startable, 0);
    assert_int_equal(outlook().next_ms, w->now + w->limits.lease_ms);
    w->now += w->limits.lease_ms;
    assert_int_equal(reap().suspected, 0);
    struct lease again = start_next();
    assert_string_equal(again.id, forgotten.id);
    assert_int_equal(again.fence, forgotten.fence);
    assert_int_equal(commit_batch(&forgotten, 0, 0, 3), E_STALE);
    assert_int_equal(commit_batch(&again, 0, 0, 3), E_OK);
    /* The one whose end was lost lapses, which is no fault of its, and is done again: its records are there once. */
    assert_int_equal(state_of(ended.id), JOB_ACTIVE);
    assert_int_equal(repairs_of_a_walk(), 0);
    finish(&running, FAILURE_NONE);
    finish(&again, FAILURE_NONE);
    for (int i = 0; i < 100 && outlook().by_state[JOB_SUCCEEDED] < JOBS; i++) {
        for (struct lease l; reserve(&l); finish(&l, FAILURE_NONE)) {
            if (strcmp(l.id, ended.id) != 0)
                continue;
            assert_int_equal(l.next_batch, 1);
            assert_int_equal(l.have, 3);
        }
        pass(5 * SECOND);
    }
    assert_int_equal(outlook().by_state[JOB_SUCCEEDED], JOBS);
    assert_int_equal(items_count(ended.id), 3);
    assert_int_equal(view(ended.id).n_crash, 0);
    assert_int_equal(view(ended.id).n_release, 1);
    assert_int_equal(loss_of(w->s).count, 1); /* it is said once */
}

static void who_spoke_since_the_loss_and_then_dies_is_charged_as_ever(void **state)
{
    (void)state;
    accept_job();
    accept_job();
    struct lease speaks = start_next(), silent = start_next();
    copied();
    part();
    accept_job();
    fail_over();
    noticed(w->s);
    assert_int_equal(heartbeat(&speaks, NULL), E_OK);
    pass(w->limits.lease_ms + 1); /* another period, as after any time in which nobody looked */
    assert_int_equal(heartbeat(&speaks, NULL), E_OK);
    for (int i = 0; i < 4; i++)
        pass(w->limits.lease_ms + 1);
    assert_int_equal(view(silent.id).n_release, 1);
    assert_int_equal(view(silent.id).n_crash, 0);
    assert_int_equal(view(speaks.id).n_release, 0);
    assert_int_equal(view(speaks.id).n_crash, 1);
    /* And so is a lease of after the loss. */
    struct lease later = start_next();
    int64_t crashes = view(later.id).n_crash;
    for (int i = 0; i < 2; i++)
        pass(w->limits.lease_ms + 1);
    assert_int_equal(view(later.id).n_crash, crashes + 1);
}

/* Starts of these lanes that the queue allows in so many steps of so many ms. */
static int starts_in(int steps, int64_t step_ms)
{
    int starts = 0;
    for (int i = 0; i < steps; i++) {
        pass(step_ms);
        for (struct lease l; reserve(&l); starts++)
            finish(&l, FAILURE_NONE);
    }
    return starts;
}

static void after_a_loss_a_rate_has_nothing_saved(void **state)
{
    (void)state;
    enum { BURST = 4 };
    accept_many("x/normal", 20);
    accept_many("y/normal", 20);
    lane_rate("x/normal", MINUTE, BURST);
    limit_set(LIMIT_SITE, "y", LANE_UNCHANGED, MINUTE);
    copied();
    part();
    int lost = 0;
    for (struct lease l; reserve(&l); lost++)
        finish(&l, FAILURE_NONE);
    assert_int_equal(lost, BURST + 1);
    fail_over();
    noticed(w->s);
    /* With those that were lost a rate allows no more in any time than it ever does. */
    assert_int_equal(starts_in(59, SECOND), 0);
    assert_int_equal(starts_in(1, SECOND), 2);
    assert_int_equal(starts_in(59, SECOND), 0);
    assert_int_equal(starts_in(1, SECOND), 2);
    assert_int_equal(starts_in(60, SECOND), 2);
    /* What is not used is saved again. */
    pass(10 * MINUTE);
    assert_int_equal(starts_in(1, 0), BURST + 1);
}

static void after_a_loss_a_site_that_failed_is_tried_by_one(void **state)
{
    (void)state;
    accept_many("x/normal", 20);
    accept_many("y/normal", 20);
    for (int i = 0; i < 4; i++) {
        struct lease l = start_next();
        finish(&l, span_is(l.lane, "x/normal") ? FAILURE_NETWORK : FAILURE_NONE);
    }
    assert_int_equal(lane("x/normal").breaker.fails, 2);
    assert_int_equal(lane("x/normal").breaker.state, BREAKER_CLOSED);
    copied();
    part();
    accept_job();
    fail_over();
    noticed(w->s);
    pass(w->limits.lease_ms);
    int x = 0, y = 0;
    struct lease probe = {0};
    for (struct lease l; x + y < 10 && reserve(&l);) {
        bool failed = span_is(l.lane, "x/normal");
        x += failed;
        y += !failed;
        probe = failed ? l : probe;
    }
    assert_int_equal(x, 1);
    assert_int_equal(y, 9);
    finish(&probe, FAILURE_NONE);
    assert_int_equal(lane("x/normal").breaker.state, BREAKER_CLOSED);
    x = 0;
    for (struct lease l; x < 2 && reserve(&l);)
        x += span_is(l.lane, "x/normal");
    assert_int_equal(x, 2);
}

static void a_heartbeat_is_lost(void)
{
    struct lease l = start_next();
    copied();
    part();
    assert_int_equal(heartbeat(&l, NULL), E_OK);
}

static void a_beat_is_lost(void)
{
    struct node_beat beat = {.workers = 2, .version = "1", .host = "h"};
    copied();
    part();
    begin();
    assert_int_equal(store_node_beat(w->s, &beat, now(), &w->f), E_OK);
    commit();
}

static void a_session_is_lost(void)
{
    struct session_add session = {.id = SPAN("ses_a"),
                                  .site = SPAN("x"),
                                  .pool = SPAN("main"),
                                  .name = SPAN("a"),
                                  .burst = 1,
                                  .max_active = 1};
    copied();
    part();
    begin();
    assert_int_equal(store_session_add(w->s, &session, now(), &w->f), E_OK);
    commit();
}

/* What has no event is noticed by the number of the call that did it. */
static void noticed_without_an_event(void (*what_is_lost)(void))
{
    accept_job();
    accept_job();
    what_is_lost();
    int64_t was = epoch();
    fail_over();
    noticed(w->s);
    assert_int_equal(loss_of(w->s).count, 1);
    assert_int_equal(loss_of(w->s).events, 0);
    assert_int_equal(epoch(), was + 1);
    start_next(); /* no start is among what is lost: nothing has to wait */
    assert_int_equal(repairs_of_a_walk(), 0);
    assert_int_equal(loss_of(w->s).count, 1);
}

static void a_lost_heartbeat_is_noticed(void **state)
{
    (void)state;
    noticed_without_an_event(a_heartbeat_is_lost);
}

static void a_lost_beat_of_a_node_is_noticed(void **state)
{
    (void)state;
    noticed_without_an_event(a_beat_is_lost);
}

static void a_lost_session_is_noticed(void **state)
{
    (void)state;
    noticed_without_an_event(a_session_is_lost);
}

/* ---- copies are kept until the replicas have it ---- */

static int64_t passed_ms;
static mono clock_that_runs_ahead(void)
{
    return mono_add(clock_mono(), passed_ms);
}

static int64_t copies_after(struct spooling *spool, int64_t ms)
{
    bool more;
    passed_ms += ms;
    assert_int_equal(spooling_hand_over(spool, w->s, now(), &more, &w->f), E_OK);
    return spooling_state(spool).handed_over;
}

/* A job of which there is a copy, and which the queue has; two rounds of the spool passed. */
static struct spooling *spool_with_a_copy(const char **out_id)
{
    struct spooling *spool;
    struct spooling_config config = {
        .state_dir = primary.dir, .most = 100, .always = true, .clock = clock_that_runs_ahead};
    assert_int_equal(spooling_open(&spool, &config, &w->f), E_OK);
    assert_int_equal(copies_after(spool, 1000), 0);
    struct accept_args args = job_args(new_id(), "x/normal");
    accept_args(&args);
    spooling_keep(spool, &args, now());
    assert_int_equal(spooling_sync(spool, &w->f), E_OK);
    *out_id = args.id.p;
    return spool;
}

static bool replicas_are(int64_t n)
{
    struct store_replication is;
    assert_int_equal(store_replication(w->s, &is, &w->f), E_OK);
    return is.replicas == n;
}

static void
a_copy_stays_as_long_as_a_replica_is_behind_and_comes_in_after_a_failover(void **state)
{
    (void)state;
    const char *id;
    while (!replicas_are(1)) /* it is heard of */
        redis_nap();
    copied();
    while (!is_in_its_file(&copy))
        redis_nap();
    kill(copy.pid, SIGSTOP); /* it is there, and takes nothing any more */
    struct spooling *spool = spool_with_a_copy(&id);
    for (int round = 0; round < 5; round++)
        assert_int_equal(copies_after(spool, 61000), 1);
    kill(copy.pid, SIGKILL); /* with what it was sent and did not take */
    redis_end(&copy, SIGKILL);
    copy.options[0] = NULL;
    redis_start(&copy);
    fail_over();
    noticed(w->s);
    assert_false(exists(id));
    assert_int_equal(copies_after(spool, 1000), 1); /* handed over anew */
    assert_int_equal(state_of(id), JOB_READY);
    spooling_close(&spool);
}

static void a_copy_goes_when_the_replicas_have_it(void **state)
{
    (void)state;
    const char *id;
    while (!replicas_are(1))
        redis_nap();
    struct spooling *spool = spool_with_a_copy(&id);
    assert_int_equal(copies_after(spool, 30000), 1);
    while (copies_after(spool, 2000) == 1) /* what a replica has it says each second */
        redis_nap();
    assert_int_equal(state_of(id), JOB_READY);
    spooling_close(&spool);
}

static void a_copy_stays_for_an_hour_when_the_last_replica_is_gone(void **state)
{
    (void)state;
    const char *id;
    while (!replicas_are(1))
        redis_nap();
    struct spooling *spool = spool_with_a_copy(&id);
    assert_int_equal(copies_after(spool, 1000), 1);
    redis_end(&copy, SIGKILL);
    while (!replicas_are(0))
        redis_nap();
    for (int minute = 0; minute < 50; minute++)
        assert_int_equal(copies_after(spool, 61000), 1);
    assert_int_equal(copies_after(spool, 600000), 1); /* the round before it ends */
    assert_int_equal(copies_after(spool, 61000), 0);
    spooling_close(&spool);
}

static void without_replicas_a_copy_stays_for_a_minute_at_least(void **state)
{
    (void)state;
    const char *id;
    redis_end(&copy, SIGKILL);
    while (!replicas_are(0))
        redis_nap();
    struct spooling *spool = spool_with_a_copy(&id);
    assert_int_equal(copies_after(spool, 59000), 1);
    assert_int_equal(copies_after(spool, 61000), 1);
    assert_int_equal(copies_after(spool, 59000), 1);
    assert_int_equal(copies_after(spool, 2000), 0);
    spooling_close(&spool);
}

static void s66_with_a_spool_no_job_is_lost_and_none_is_doubled(void **state)
{
    (void)state;
    enum { ALL = 12 };
    struct spooling *spool;
    struct spooling_config config = {.state_dir = primary.dir, .most = 100, .always = true};
    const char *ids[ALL];
    int64_t again;
    bool more = true;
    assert_int_equal(spooling_open(&spool, &config, &w->f), E_OK);
    for (int i = 0; i < ALL; i++) {
        struct accept_args args = job_args(new_id(), "x/normal");
        args.unique_key = i % 3 ? SPAN_NONE : span_of(args.id.p);
        args.idempotency_key = i % 2 ? span_of(args.id.p) : SPAN_NONE;
        if (i == ALL / 2) {
            struct lease l = start_next();
            finish(&l, FAILURE_NONE);
            copied();
            part();
        }
        accept_args(&args);
        spooling_keep(spool, &args, now());
        ids[i] = args.id.p;
    }
    assert_int_equal(spooling_sync(spool, &w->f), E_OK);
    fail_over();
    noticed(w->s);
    assert_int_equal(loss_of(w->s).jobs, ALL / 2);
    assert_int_equal(spooling_again(spool, &again, &w->f), E_OK);
    assert_int_equal(again, ALL);
    while (more)
        assert_int_equal(spooling_hand_over(spool, w->s, now(), &more, &w->f), E_OK);
    for (int i = 0; i < ALL; i++)
        assert_int_equal(state_of(ids[i]), i ? JOB_READY : JOB_SUCCEEDED);
    assert_int_equal(jobs_count(), ALL);
    assert_int_equal(repairs_of_a_walk(), 0);
    spooling_close(&spool);
}

/* A batch is lost whole, in one script of the queue or in several, and comes again whole; one that the copy has is there once, and
 * what ended in it stays ended. */
static void with_a_spool_no_batch_is_lost_and_none_is_doubled(void **state)
{
    (void)state;
    enum { SMALL = 5, LARGE = 45, BATCHES = 4 };
    static const size_t sizes[BATCHES] = {SMALL, LARGE, SMALL, LARGE};
    static struct accept_args jobs[BATCHES][LARGE];
    struct batch_args batches[BATCHES];
    struct spooling *spool;
    struct spooling_config config = {.state_dir = primary.dir, .most = 200, .always = true};
    struct batch_reply reply;
    struct batch_view v;
    int64_t again;
    bool more = true;
    assert_int_equal(spooling_open(&spool, &config, &w->f), E_OK);
    for (int i = 0; i < BATCHES; i++) {
        uint8_t random[10] = {(uint8_t)i};
        char *id = arena_get(w->ids, ID_TEXT);
        id_make(id, "bat", now(), random);
        for (size_t n = 0; n < sizes[i]; n++)
            jobs[i][n] = job_args(new_id(), "x/normal");
        batches[i] = (struct batch_args){.id = span_of(id),
                                         .jobs = jobs[i],
                                         .count = sizes[i],
                                         .idempotency_key = i % 3 ? span_of(id) : SPAN_NONE};
        if (i == BATCHES / 2) {
            struct lease l = start_next();
            finish(&l, FAILURE_NONE);
            copied();
            part();
        }
        begin();
        assert_int_equal(store_batch_create(w->s, &batches[i], now(), w->a, &reply, &w->f),
                         E_OK);
        commit();
        spooling_keep_batch(spool, &batches[i], &reply, now());
    }
    assert_int_equal(spooling_sync(spool, &w->f), E_OK);
    fail_over();
    noticed(w->s);
    for (int i = 0; i < BATCHES; i++)
        assert_int_equal(store_batch(w->s, batches[i].id, w->a, &v, &w->f),
                         i < BATCHES / 2 ? E_OK : E_NOT_FOUND);
    assert_int_equal(spooling_again(spool, &again, &w->f), E_OK);
    assert_int_equal(again, 2 * (SMALL + LARGE));
    while (more)
        assert_int_equal(spooling_hand_over(spool, w->s, now(), &more, &w->f), E_OK);
    for (int i = 0; i < BATCHES; i++) {
        assert_int_equal(store_batch(w->s, batches[i].id, w->a, &v, &w->f), E_OK);
        assert_true(v.sealed);
        assert_int_equal(v.counts[JOB_READY], (int64_t)sizes[i] - !i);
        assert_int_equal(v.counts[JOB_SUCCEEDED], !i);
    }
    assert_int_equal(jobs_count(), 2 * (SMALL + LARGE));
    assert_int_equal(repairs_of_a_walk(), 0);
    spooling_close(&spool);
}

static void several_nodes_notice_one_loss_and_the_epoch_rises_once(void **state)
{
    (void)state;
    struct store *north = w->s, *south = open_at("south", NULL);
    accept_job();
    w->s = south;
    accept_job();
    copied();
    int64_t was = epoch();
    part();
    accept_job();
    w->s = north;
    accept_job();
    fail_over();
    noticed(north);
    for (int i = 0; i < 5; i++)
        accept_job(); /* what was lost is written over */
    noticed(south);
    assert_int_equal(loss_of(north).jobs, 1);
    assert_int_equal(loss_of(south).jobs, 1); /* each knows of its own */
    assert_int_equal(epoch(), was + 1);
    /* Who reads the events sees no number twice. */
    struct event_view *events;
    size_t n;
    assert_int_equal(store_events(w->s, 0, SPAN_NONE, 100, w->a, &events, &n, &w->f), E_OK);
    int told = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true(i == 0 || events[i].seq > events[i - 1].seq);
        told += span_is(events[i].kind, "queue.lost");
    }
    assert_int_equal(told, 2);
    store_close(&south);
}

/* A node of a version that knows neither the epoch of a loss nor its time finds it first: it leaves none. */
static void what_an_earlier_version_found_first_is_a_loss_all_the_same(void **state)
{
    (void)state;
    static const char *const unknown[] = {"le", "ll", "la", "lf"};
    struct store *north = w->s, *south = open_at("south", NULL);
    w->s = south;
    accept_many("x/normal", JOBS);
    struct lease silent = start_next();
    copied();
    part();
    accept_job();
    w->s = north;
    accept_job();
    fail_over();
    noticed(north);
    int64_t found = epoch();
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        say(&copy, "HDEL", "fulmar:{q}:meta", unknown[i]);
    noticed(south);
    assert_int_equal(loss_of(south).count, 1);
    assert_int_equal(epoch(), found);
    assert_true(has_none()); /* a start may be among what is lost */
    assert_int_equal(outlook().next_ms, w->now + w->limits.lease_ms);
    for (int i = 0; i < 4; i++)
        pass(w->limits.lease_ms + 1);
    assert_int_equal(view(silent.id).n_release, 1); /* and so may its end */
    assert_int_equal(view(silent.id).n_crash, 0);
    start_next();
    store_close(&south);
}

static void a_failover_that_lost_nothing_says_nothing(void **state)
{
    (void)state;
    accept_many("x/normal", JOBS);
    struct lease l = start_next();
    copied();
    int64_t was = epoch();
    part();
    fail_over();
    noticed(w->s);
    assert_int_equal(loss_of(w->s).count, 0);
    assert_int_equal(epoch(), was);
    finish(&l, FAILURE_NONE);
    /* Neither does a restart that has all. */
    redis_end(&copy, SIGTERM);
    copy.options[0] = NULL; /* it is nobody's copy now */
    redis_start(&copy);
    noticed(w->s);
    assert_int_equal(loss_of(w->s).count, 0);
}

/* ---- another store ---- */

static void s69_another_store_or_an_emptied_one_is_not_gone_on_with(void **state)
{
    (void)state;
    struct store *s = open_at("south", primary.dir);
    struct fault f = {0};
    struct outlook o;
    store_close(&w->s);
    w->s = s;
    accept_job();
    say(&primary, "FLUSHALL", NULL, NULL);
    assert_true(store_outlook(s, now(), &o, &f) != E_OK); /* by a hand, while it is connected */
    assert_non_null(strstr(f.words, "queue.id"));
    assert_false(store_is_away(s)); /* which no spool waits out */
    struct accept_args args = job_args(new_id(), "x/normal");
    struct accept_reply reply;
    assert_true(try_accept(&args, &reply) != E_OK);
    assert_true(say(&primary, "DBSIZE", NULL, NULL).number == 0); /* and nothing is written */
    /* Started again it does not begin from nothing either, until somebody says that it may. */
    struct store *fresh = NULL;
    char url[128], path[96];
    snprintf(url, sizeof url, "unix://%s", where);
    snprintf(path, sizeof path, "%s/queue.id", primary.dir);
    struct redis_config config = {.url = span_of(url),
                                  .node = SPAN("south"),
                                  .records = &kept_records,
                                  .archive = records,
                                  .state_dir = primary.dir,
                                  .callers_time = true};
    f = (struct fault){0};
    assert_int_equal(redis_open(&fresh, &config, &w->limits, 7, now(), &f), E_STORE);
    assert_non_null(strstr(f.words, "queue.id"));
    assert_true(say(&primary, "DBSIZE", NULL, NULL).number == 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(redis_open(&fresh, &config, &w->limits, 7, now(), &f), E_OK);
    store_close(&fresh);
}

/* ---- many nodes ---- */

static void
s62_a_hundred_nodes_come_back_one_after_the_other_and_take_no_job_twice(void **state)
{
    (void)state;
    enum { NODES = 100 };
    static struct store *nodes[NODES];
    static char held[NODES][ID_TEXT];
    int64_t first = INT64_MAX, last = 0, began;
    int left = NODES;
    accept_many("x/normal", NODES);
    for (int i = 0; i < NODES; i++)
        nodes[i] = open_at(arena_fmt(w->ids, "node%d", i), NULL);
    struct store *own = w->s;
    redis_end(&primary, SIGTERM);
    began = clock_mono().ms;
    struct outlook o;
    for (int i = 0; i < NODES; i++) {
        struct fault f = {0};
        assert_true(store_outlook(nodes[i], now(), &o, &f) != E_OK);
        int64_t at = clock_mono().ms - began + f.wait_ms;
        first = f.wait_ms < first ? f.wait_ms : first;
        last = f.wait_ms > last ? f.wait_ms : last;
        assert_true(f.wait_ms > 0 && at > 0);
    }
    assert_true(last - first >= 20); /* of a pause of 100 ms: half of it by chance */
    redis_start(&primary);           /* which has forgotten the scripts */
    while (left > 0) {
        left = 0;
        for (int i = 0; i < NODES; i++) {
            struct lease l;
            w->s = nodes[i];
            if (held[i][0])
                continue;
            err e = reserve_as(&(struct reserve_args){.needs = NEEDS_PAGE}, &l);
            if (!e)
                memcpy(held[i], l.id, sizeof held[i]);
            left += e != E_OK;
        }
    }
    w->s = own;
    noticed(own);
    for (int i = 0; i < NODES; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(held[i], held[k]);
    assert_int_equal(outlook().by_state[JOB_ACTIVE], NODES);
    for (int i = 0; i < NODES; i++)
        store_close(&nodes[i]);
    memset(held, 0, sizeof held);
}

static void no_wake(void *ctx)
{
    (void)ctx;
}

static void s64_a_node_has_two_connections_however_many_lanes_there_are(void **state)
{
    (void)state;
    enum { NODES = 50, LANES = 1000 };
    static struct store *nodes[NODES];
    static struct marker *markers[NODES];
    char url[128];
    snprintf(url, sizeof url, "unix://%s", where);
    for (int i = 0; i < LANES; i++)
        accept_in(arena_fmt(w->ids, "site%d/normal", i));
    store_close(&w->s);
    for (int i = 0; i < NODES; i++) {
        struct marker_config config = {
            .url = span_of(url), .name = SPAN("q"), .wake = no_wake, .wait_ms = 100};
        nodes[i] = open_at(arena_fmt(w->ids, "node%d", i), NULL);
        assert_int_equal(marker_start(&markers[i], &config, &w->f), E_OK);
        marker_hungry(markers[i], true);
        w->s = nodes[i];
        start_next();
    }
    for (int i = 0; i < NODES; i++)
        while (marker_state(markers[i]).answered_ms < 0)
            redis_nap();
    /* One that had no answer in time is made anew: never is there one more. */
    for (int connections = 0; connections < 2 * NODES; redis_nap()) {
        struct reply r = say(&primary, "CLIENT", "LIST", NULL);
        connections = -2; /* the copy's, and this one */
        for (size_t i = 0; i < r.text.n; i++)
            connections += r.text.p[i] == '\n';
        assert_true(connections <= 2 * NODES);
    }
    for (int i = 0; i < NODES; i++) {
        marker_stop(&markers[i]);
        if (nodes[i] != w->s)
            store_close(&nodes[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        H(s67_a_failover_that_lost_something_says_what),
        H(who_spoke_since_the_loss_and_then_dies_is_charged_as_ever),
        H(after_a_loss_a_rate_has_nothing_saved),
        H(after_a_loss_a_site_that_failed_is_tried_by_one),
        H(a_lost_heartbeat_is_noticed),
        H(a_lost_beat_of_a_node_is_noticed),
        H(a_lost_session_is_noticed),
        H(s66_with_a_spool_no_job_is_lost_and_none_is_doubled),
        H(a_copy_stays_as_long_as_a_replica_is_behind_and_comes_in_after_a_failover),
        H(a_copy_goes_when_the_replicas_have_it),
        H(a_copy_stays_for_an_hour_when_the_last_replica_is_gone),
        H(without_replicas_a_copy_stays_for_a_minute_at_least),
        H(with_a_spool_no_batch_is_lost_and_none_is_doubled),
        H(several_nodes_notice_one_loss_and_the_epoch_rises_once),
        H(what_an_earlier_version_found_first_is_a_loss_all_the_same),
        H(a_failover_that_lost_nothing_says_nothing),
        H(s69_another_store_or_an_emptied_one_is_not_gone_on_with),
        H(s62_a_hundred_nodes_come_back_one_after_the_other_and_take_no_job_twice),
        H(s64_a_node_has_two_connections_however_many_lanes_there_are),
    };
    maker = &store_makers[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
