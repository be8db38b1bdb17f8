/* The promises of store/reader.h and of the threads that read: nobody waits for a long read, nothing that was
 * answered is missing, and the log stays short whoever reads. */
#include "../lib/calls.h"
#include "core/metrics.h"
#include "store/batches.h"

#include <sqlite3.h>

#include <semaphore.h>
#include <stdatomic.h>

enum { LOG_MOST = 64 << 20, ITEM_BYTES = 512 << 10 };

static wall real_now(void)
{
    return (wall){read_ms(CLOCK_REALTIME)};
}

static void start_with(int readers, int64_t read_ms)
{
    w->config.readers = readers;
    w->config.read_ms = read_ms;
    start();
}

static int set_up(void **state)
{
    world_make(state, real_now, 60000);
    return 0;
}

static void reserve_job(struct lease *out)
{
    struct call *c = call_new(1 << 20);
    c->op.in.reserve =
        (struct reserve_args){.worker = SPAN("w1"), .needs = NEEDS_PAGE, .random = 7};
    assert_int_equal(answer(c, STORE_RESERVE), E_OK);
    *out = c->op.out.lease;
    call_free(&c);
}

/* Half a megabyte that the log has to take. */
static void commit_much(const struct lease *l, int64_t batch)
{
    static char json[ITEM_BYTES];
    char id[32];
    struct call *c = call_new(1 << 16);
    memset(json, '7', sizeof json);
    snprintf(id, sizeof id, "item_%lld", (long long)batch);
    const struct store_item item = {
        .kind = ITEM_POST, .id = span_of(id), .json = {json, sizeof json}};
    c->op.in.commit = (struct commit_args){
        .id = span_of(l->id), .nonce = l->nonce, .batch = batch, .items = &item, .count = 1};
    assert_int_equal(answer(c, STORE_COMMIT), E_OK);
    call_free(&c);
}

static int64_t log_bytes(void)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof path, "%s/fulmar.db-wal", w->dir);
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

/* ---- queries that the test holds on to ---- */

struct hold {
    sem_t entered, go;
};

static err run_hold(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct hold *h = args;
    struct job_view *jobs;
    size_t count;
    err e =
        store_jobs(s, &(struct jobs_query){.state = -1, .limit = 10}, now, a, &jobs, &count, f);
    sem_post(&h->entered);
    sem_wait(&h->go);
    return e;
}

static void while_one_reads_others_write(void **state)
{
    (void)state;
    struct hold h;
    sem_init(&h.entered, 0, 0);
    sem_init(&h.go, 0, 0);
    start_with(1, 2000);
    accept_job("job_1");
    struct call *held = call_new(1 << 20);
    held->op.in.work = (struct store_work){.run = run_hold, .args = &h};
    post(held, STORE_READ);
    sem_wait(&h.entered);
    struct lease l;
    accept_job("job_2");
    reserve_job(&l);
    assert_int_equal(held->done, 0);
    sem_post(&h.go);
    wait_for(held->done);
    assert_int_equal(held->op.result, E_OK);
    call_free(&held);
}

static void what_was_answered_is_read(void **state)
{
    (void)state;
    enum { JOBS = 200 };
    start_with(3, 2000);
    for (int i = 0; i < JOBS; i++) {
        char id[ID_TEXT];
        struct call *job = call_new(1 << 16), *events = call_new(1 << 20);
        snprintf(id, sizeof id, "job_%d", i);
        accept_job(id);
        job->op.in.job.id = span_of(id);
        events->op.in.events.job = span_of(id);
        events->op.in.events.limit = 10;
        post(events, STORE_EVENTS);
        assert_int_equal(answer(job, STORE_JOB), E_OK);
        wait_for(events->done);
        assert_string_equal(job->op.out.job.id, id);
        assert_int_equal(events->op.out.events.count, 1);
        call_free(&job);
        call_free(&events);
    }
}

/* That is by heart of the thread that writes. */
static void a_ready_job_says_what_it_waits_for(void **state)
{
    (void)state;
    start_with(2, 2000);
    accept_job("job_1");
    accept_job("job_2");
    struct call *c = call_new(1 << 20);
    c->op.in.lane_change = (struct lane_change){.name = SPAN("default/x/normal"),
                                                .act = LANE_ACT_PAUSE,
                                                .by = SPAN("ann"),
                                                .why = SPAN("lunch")};
    assert_int_equal(answer(c, STORE_LANE_CHANGE), E_OK);
    c->op.in.job.id = SPAN("job_1");
    assert_int_equal(answer(c, STORE_JOB), E_OK);
    assert_int_equal(c->op.out.job.waiting, WAITING_PAUSE);
    c->op.in.jobs = (struct jobs_query){.state = -1, .limit = 10};
    assert_int_equal(answer(c, STORE_JOBS), E_OK);
    assert_int_equal(c->op.out.jobs.count, 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(c->op.out.jobs.jobs[i].waiting, WAITING_PAUSE);
    c->op.in.lane.name = SPAN("default/x/normal");
    assert_int_equal(answer(c, STORE_LANE), E_OK);
    assert_int_equal(c->op.out.lane.ready, 2);
    c->op.in.job.id = SPAN("job_3");
    assert_int_equal(answer(c, STORE_JOB), E_NOT_FOUND);
    call_free(&c);
}

/* ---- S17 ---- */

/* Reads and reads in one go, as a query does that has too much to look at. */
static err run_endless(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    (void)args;
    (void)now;
    for (;;) {
        struct event_view *events;
        size_t count;
        arena_reset(a);
        err e = store_events(s, 0, SPAN_NONE, 1000, a, &events, &count, f);
        if (e)
            return e;
    }
}

static void s17_a_reader_that_stalls_is_cut_off_and_the_log_stays_short(void **state)
{
    (void)state;
    struct lease l;
    int64_t cut = metric_get(METRIC_STORE_READS_CUT, 0), batch = 0;
    start_with(2, 2000);
    accept_job("job_1");
    reserve_job(&l);
    struct call *stalled = call_new(4 << 20), *after = call_new(1 << 20);
    stalled->op.in.work = (struct store_work){.run = run_endless};
    post(stalled, STORE_READ);
    while (!stalled->done || batch < 3 * LOG_MOST / ITEM_BYTES)
        commit_much(&l, batch++);
    assert_int_equal(stalled->op.result, E_TIMEOUT);
    assert_non_null(strstr(stalled->op.fault.words, "store.read_timeout"));
    assert_int_equal(metric_get(METRIC_STORE_READS_CUT, 0), cut + 1);
    /* It takes another limit of log at most until it is short again, and who reads then is served. */
    for (int i = 0; i < LOG_MOST / ITEM_BYTES + 8; i++)
        commit_much(&l, batch++);
    assert_true(log_bytes() <= LOG_MOST + (8 << 20));
    after->op.in.job.id = SPAN("job_1");
    assert_int_equal(answer(after, STORE_JOB), E_OK);
    assert_int_equal(after->op.out.job.next_batch, batch);
    call_free(&stalled);
    call_free(&after);
}

/* Each reads what there is now and asks again at once, so that there is no moment at which nobody reads. */
static atomic_bool enough;

static err run_a_while(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    int *turns = args;
    err e = E_OK;
    (void)now;
    for (int i = 0; !e && i < *turns; i++) {
        struct event_view *events;
        size_t count;
        arena_reset(a);
        e = store_events(s, 0, SPAN_NONE, 50, a, &events, &count, f);
    }
    return e;
}

static int64_t reads_done;

static void on_read(struct store_op *op)
{
    reads_done++;
    assert_int_equal(op->result, E_OK);
    if (!enough)
        store_thread_post(w->t, op);
    else
        w->answered++;
}

static void s17_readers_that_take_turns_do_not_let_the_log_grow(void **state)
{
    (void)state;
    enum { READERS = 6 };
    struct lease l;
    static int turns[READERS];
    struct call *reads[READERS];
    int64_t longest = 0;
    start_with(2, 2000);
    accept_job("job_1");
    reserve_job(&l);
    enough = false;
    reads_done = 0;
    for (int i = 0; i < READERS; i++) {
        turns[i] = 40 + 17 * i;
        reads[i] = call_new(1 << 20);
        reads[i]->op =
            (struct store_op){.verb = STORE_READ, .arena = reads[i]->arena, .on_done = on_read};
        reads[i]->op.in.work = (struct store_work){.run = run_a_while, .args = &turns[i]};
        store_thread_post(w->t, &reads[i]->op);
    }
    for (int64_t batch = 0; batch < 4 * LOG_MOST / ITEM_BYTES; batch++) {
        commit_much(&l, batch);
        longest = log_bytes() > longest ? log_bytes() : longest;
    }
    enough = true;
    w->answered = 0;
    wait_for(w->answered == READERS);
    assert_true(reads_done > 10 * READERS);
    if (longest > 2 * (int64_t)LOG_MOST)
        fail_msg("the log grew to %lld MiB", (long long)(longest >> 20));
    for (int i = 0; i < READERS; i++)
        call_free(&reads[i]);
}

/* ---- the file is opened anew ---- */

static void readers_go_on_when_the_store_is_opened_anew(void **state)
{
    (void)state;
    enum { READS = 4, JOBS = 60 };
    char path[128];
    sqlite3 *db;
    struct call *reads[READS];
    static int turns = 50;
    start_with(2, 2000);
    store_thread_stop(&w->t);
    snprintf(path, sizeof path, "%s/fulmar.db", w->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db,
                     "CREATE TRIGGER poison BEFORE INSERT ON jobs WHEN NEW.target='poison'"
                     " BEGIN SELECT RAISE(ABORT,'poison'); END",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    start_with(2, 2000);
    accept_job("job_first");
    for (int i = 0; i < READS; i++) {
        reads[i] = call_new(1 << 20);
        reads[i]->op.in.work = (struct store_work){.run = run_a_while, .args = &turns};
        post(reads[i], STORE_READ);
    }
    for (int i = 0; i < JOBS; i++) {
        char id[ID_TEXT];
        struct call *c = call_new(1 << 16), *job = call_new(1 << 16);
        snprintf(id, sizeof id, "job_%d", i);
        prepare_accept(c, id);
        if (i % 3 == 0)
            c->op.in.accept.target = SPAN("poison");
        assert_int_equal(answer(c, STORE_ACCEPT), i % 3 == 0 ? E_BUG : E_OK);
        job->op.in.job.id = span_of(id);
        assert_int_equal(answer(job, STORE_JOB), i % 3 == 0 ? E_NOT_FOUND : E_OK);
        for (int r = 0; r < READS; r++) {
            if (!reads[r]->done)
                continue;
            /* What the opening cuts off says so, and can be asked again. */
            assert_true(reads[r]->op.result == E_OK || reads[r]->op.result == E_TIMEOUT);
            post(reads[r], STORE_READ);
        }
        call_free(&c);
        call_free(&job);
    }
    for (int r = 0; r < READS; r++) {
        wait_for(reads[r]->done);
        call_free(&reads[r]);
    }
}

static void stopping_answers_those_who_read(void **state)
{
    (void)state;
    enum { READS = 20 };
    struct call *reads[READS];
    start_with(2, 2000);
    accept_job("job_1");
    w->answered = 0;
    for (int i = 0; i < READS; i++) {
        reads[i] = call_new(1 << 16);
        reads[i]->op.in.job.id = SPAN("job_1");
        post(reads[i], STORE_JOB);
    }
    store_thread_stop(&w->t);
    assert_int_equal(w->answered, READS);
    for (int i = 0; i < READS; i++) {
        assert_int_equal(reads[i]->op.result, E_OK);
        assert_int_equal(reads[i]->op.out.job.waiting, WAITING_WORKER);
        call_free(&reads[i]);
    }
}

/* ---- a large file ---- */

/* More than what is looked at before the start. */
static void fill_store(void)
{
    enum { JOBS = 36000, SPEC = 1900 };
    static char spec[SPEC];
    struct fault f = {0};
    struct store *s = NULL;
    memset(spec, ' ', sizeof spec);
    spec[0] = '{';
    spec[SPEC - 1] = '}';
    assert_int_equal(store_open(&s, w->dir, &w->config.limits, 1, real_now(), &f), E_OK);
    for (int i = 0; i < JOBS; i++) {
        char id[ID_TEXT];
        struct accept_reply reply;
        snprintf(id, sizeof id, "job_%08d", i);
        struct accept_args args = {.id = span_of(id),
                                   .site = SPAN("x"),
                                   .kind = SPAN("posts"),
                                   .target = SPAN("nasa"),
                                   .lane = SPAN("default/x/normal"),
                                   .spec = {spec, sizeof spec},
                                   .prio = 5};
        if (i % 1000 == 0)
            assert_int_equal(store_begin(s, &f), E_OK);
        assert_int_equal(store_accept(s, &args, real_now(), &reply, &f), E_OK);
        if (i % 1000 == 999)
            assert_int_equal(store_commit(s, &f), E_OK);
    }
    store_close(&s);
}

/* The page of the middle of the log of events; no start counts those. */
static long break_a_page_of_events(void)
{
    enum { PAGE = 8192 };
    static unsigned char page[PAGE];
    char path[128];
    long broken = 0, seen = 0;
    snprintf(path, sizeof path, "%s/fulmar.db", w->dir);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    for (long n = 1; !broken && fread(page, PAGE, 1, file) == 1; n++) {
        bool events = page[0] == 0x0d && memmem(page, PAGE, "job.accepted", 12);
        if (events && ++seen == 50)
            broken = n;
    }
    assert_true(broken > 0);
    memset(page, 0x5a, PAGE);
    fseek(file, (broken - 1) * PAGE, SEEK_SET);
    assert_int_equal(fwrite(page, PAGE, 1, file), 1);
    fclose(file);
    return broken;
}

static void s16_a_large_file_is_looked_at_wholly_behind_the_start(void **state)
{
    (void)state;
    char words[240] = "", page[40];
    fill_store();
    start_with(1, 2000);
    assert_int_equal(store_thread_check(w->t, words), STORE_CHECK_RUNS);
    accept_job("job_meanwhile"); /* the service works */
    wait_for(store_thread_check(w->t, words) != STORE_CHECK_RUNS);
    assert_int_equal(store_thread_check(w->t, words), STORE_CHECK_DONE);
    assert_int_equal(metric_get(METRIC_STORE_CHECK, 0), STORE_CHECK_DONE);
    store_thread_stop(&w->t);
    snprintf(page, sizeof page, "page %ld", break_a_page_of_events());
    start_with(1, 2000);
    wait_for(store_thread_check(w->t, words) != STORE_CHECK_RUNS);
    assert_int_equal(store_thread_check(w->t, words), STORE_CHECK_DAMAGED);
    assert_int_equal(metric_get(METRIC_STORE_CHECK, 0), STORE_CHECK_DAMAGED);
    if (!strstr(words, "fulmar.db") || !strcasestr(words, page))
        fail_msg("%s, not of %s", words, page);
    store_thread_stop(&w->t);
    start_with(1, 2000); /* stopping in the middle of a look waits for nothing */
    int64_t began = real_now().ms;
    store_thread_stop(&w->t);
    assert_true(real_now().ms - began < 5000);
}

/* ---- a reader by itself ---- */

static void one_reading_is_of_one_moment(void **state)
{
    (void)state;
    struct fault f = {0};
    struct store *s = NULL, *reader = NULL;
    struct arena *a = arena_new(1 << 20);
    struct accept_reply reply;
    struct job_view v;
    struct unsure *unsure;
    struct accept_args args = {.id = SPAN("job_1"),
                               .site = SPAN("x"),
                               .kind = SPAN("posts"),
                               .target = SPAN("nasa"),
                               .lane = SPAN("default/x/normal"),
                               .spec = SPAN("{}"),
                               .prio = 5};
    assert_int_equal(store_open(&s, w->dir, &w->config.limits, 1, real_now(), &f), E_OK);
    assert_true(store_has_readers(s));
    assert_int_equal(store_reader_open(&reader, s, 2000, &f), E_OK);
    assert_int_equal(store_begin(s, &f), E_OK);
    assert_int_equal(store_accept(s, &args, real_now(), &reply, &f), E_OK);
    assert_int_equal(store_reader_begin(reader, &f), E_OK);
    assert_int_equal(store_job(reader, SPAN("job_1"), real_now(), a, &v, NULL), E_NOT_FOUND);
    assert_int_equal(store_commit(s, &f), E_OK);
    assert_int_equal(store_job(reader, SPAN("job_1"), real_now(), a, &v, NULL), E_NOT_FOUND);
    assert_false(store_reader_end(reader, &unsure));
    assert_null(unsure);
    assert_int_equal(store_reader_begin(reader, &f), E_OK);
    assert_int_equal(store_job(reader, SPAN("job_1"), real_now(), a, &v, &f), E_OK);
    assert_false(store_reader_end(reader, &unsure));
    assert_non_null(unsure);
    assert_int_equal(v.waiting, WAITING_NONE);
    store_reader_finish(s, unsure, real_now());
    assert_int_equal(v.waiting, WAITING_WORKER);
    store_reader_close(&reader);
    store_close(&s);
    arena_free(&a);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(while_one_reads_others_write),
        T(what_was_answered_is_read),
        T(a_ready_job_says_what_it_waits_for),
        T(s17_a_reader_that_stalls_is_cut_off_and_the_log_stays_short),
        T(s17_readers_that_take_turns_do_not_let_the_log_grow),
        T(readers_go_on_when_the_store_is_opened_anew),
        T(stopping_answers_those_who_read),
        T(one_reading_is_of_one_moment),
        T(s16_a_large_file_is_looked_at_wholly_behind_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
