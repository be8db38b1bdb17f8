/* The journal of jobs that were taken while the queue could not be reached. */
#include "store/sqlite/spool.h"

#include <sqlite3.h>

#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define T0 1800000000000

static struct spool *s;
static struct arena *a;
static struct fault f;
static char dir[64];
static int64_t most;
static const struct spool_given first_round = {.round = 1, .at.ms = T0, .store = {"st1", 3}};

static void open_spool(void)
{
    f = (struct fault){0};
    if (spool_open(&s, dir, most, &f))
        fail_msg("%s", f.words);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "%s/fulmar-spool-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(dir));
    a = arena_new(64 << 20);
    most = 1000;
    open_spool();
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    spool_close(&s);
    arena_free(&a);
    nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static struct accept_args job(int n)
{
    return (struct accept_args){
        .id = span_of(arena_fmt(a, "job_%d", n)),
        .site = SPAN("x"),
        .kind = SPAN("posts"),
        .target = SPAN("nasa"),
        .lane = SPAN("default/x/normal"),
        .spec = SPAN("{\"limit\":5}"),
        .limit = n,
        .prio = 5,
        .run_at_ms = T0 + n,
        .deadline_ms = T0 + 1000000,
    };
}

static err add(const struct accept_args *args, struct spool_reply *reply)
{
    f = (struct fault){0};
    return spool_add(s, args, (wall){T0}, reply, &f);
}

static void add_jobs(int from, int to)
{
    struct spool_reply reply;
    for (int n = from; n < to; n++) {
        struct accept_args args = job(n);
        if (add(&args, &reply))
            fail_msg("%s", f.words);
    }
}

/* Hands over the next ones, which have to be these jobs in this order. */
static void hand_over_some(int from, int to)
{
    struct spooled entry;
    for (int n = from; n < to; n++) {
        struct accept_args wanted = job(n);
        if (spool_next(s, SPOOL_JOB, 0, a, &entry, &f))
            fail_msg("%d: %s", n, f.words);
        assert_true(span_eq(entry.job.id, wanted.id));
        assert_int_equal(entry.job.limit, n);
        assert_int_equal(entry.job.run_at_ms, T0 + n);
        assert_int_equal(entry.job.deadline_ms, wanted.deadline_ms);
        assert_int_equal(entry.at.ms, T0);
        assert_true(span_eq(entry.job.spec, wanted.spec) &&
                    span_eq(entry.job.lane, wanted.lane));
        assert_int_equal(spool_handed_over(s, SPOOL_JOB, entry.number, &first_round, &f), E_OK);
    }
}

static void hand_over_one_of(int64_t number)
{
    assert_int_equal(spool_handed_over(s, SPOOL_JOB, number, &first_round, &f), E_OK);
}

/* And there are no others. */
static void hand_over(int from, int to)
{
    struct spooled entry;
    hand_over_some(from, to);
    assert_int_equal(spool_next(s, SPOOL_JOB, 0, a, &entry, &f), E_END);
}

static void jobs_are_handed_over_whole_and_in_their_order(void **state)
{
    (void)state;
    struct spool_view view;
    add_jobs(1, 50);
    assert_int_equal(spool_sync(s, &f), E_OK);
    assert_int_equal(spool_look(s, &view, &f), E_OK);
    assert_int_equal(view.waiting, 49);
    assert_int_equal(view.oldest_ms, T0);
    hand_over(1, 50);
    assert_int_equal(spool_sync(s, &f), E_OK);
    assert_int_equal(spool_look(s, &view, &f), E_OK);
    assert_int_equal(view.waiting, 0);
    assert_int_equal(view.handed_over, 49);
    assert_int_equal(spool_settle(s, INT64_MAX, &f), E_OK);
    assert_int_equal(spool_sync(s, &f), E_OK);
    assert_int_equal(spool_look(s, &view, &f), E_OK);
    assert_int_equal(view.handed_over, 0);
}

static void what_the_queue_lost_is_handed_over_again(void **state)
{
    (void)state;
    int64_t count = 0;
    add_jobs(1, 10);
    hand_over(1, 10);
    add_jobs(10, 12);
    assert_int_equal(spool_again(s, &count, &f), E_OK);
    assert_int_equal(count, 9);
    hand_over(1, 12);
}

static void what_is_synced_survives_a_kill_and_nothing_else(void **state)
{
    (void)state;
    spool_close(&s);
    pid_t child = fork();
    if (child == 0) {
        open_spool();
        add_jobs(1, 20);
        if (spool_sync(s, &f))
            _exit(1);
        struct spooled entry;
        if (spool_next(s, SPOOL_JOB, 0, a, &entry, &f) ||
            spool_handed_over(s, SPOOL_JOB, entry.number, &first_round, &f) ||
            spool_sync(s, &f))
            _exit(1);
        add_jobs(20, 40);
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    open_spool();
    hand_over(2, 20);
}

static void one_request_is_one_job_while_it_waits(void **state)
{
    (void)state;
    struct spool_reply reply;
    struct accept_args args = job(1);
    args.idempotency_key = SPAN("key");
    args.request_hash = 0xfedcba9876543210u;
    assert_int_equal(add(&args, &reply), E_OK);
    assert_false(reply.replayed);
    args.id = SPAN("job_2");
    assert_int_equal(add(&args, &reply), E_OK);
    assert_true(reply.replayed);
    assert_string_equal(reply.id, "job_1");
    args.request_hash++;
    assert_int_equal(add(&args, &reply), E_BAD_INPUT);
    assert_non_null(strstr(f.words, "Idempotency-Key"));
    args.lane = SPAN("others/x/normal"); /* another tenant's key is another key */
    assert_int_equal(add(&args, &reply), E_OK);
    assert_false(reply.replayed);
    args = job(1);
    assert_int_equal(add(&args, &reply), E_CONFLICT);
    struct spooled entry;
    assert_int_equal(spool_next(s, SPOOL_JOB, 0, a, &entry, &f), E_OK);
    assert_true(span_is(entry.job.idempotency_key, "key"));
    assert_true(entry.job.request_hash == 0xfedcba9876543210u);
}

static void a_full_spool_refuses_and_says_so(void **state)
{
    (void)state;
    struct spool_reply reply;
    spool_close(&s);
    most = 5;
    open_spool();
    add_jobs(1, 6);
    struct accept_args args = job(6);
    assert_int_equal(add(&args, &reply), E_BUSY);
    assert_non_null(strstr(f.words, "(5)"));
    assert_int_equal(spool_sync(s, &f), E_OK);
    spool_close(&s);
    open_spool();
    assert_int_equal(add(&args, &reply), E_BUSY);
    hand_over(1, 6);
    assert_int_equal(spool_add_copy(s, &args, (wall){T0}, &first_round, NULL), E_BUSY);
    assert_int_equal(spool_settle(s, INT64_MAX, &f), E_OK);
    assert_int_equal(spool_add_copy(s, &args, (wall){T0}, &first_round, &f), E_OK);
}

static struct spool_view looked(void)
{
    struct spool_view view;
    assert_int_equal(spool_look(s, &view, &f), E_OK);
    return view;
}

static void what_the_queue_has_as_well_takes_no_room_of_what_waits(void **state)
{
    (void)state;
    struct spool_reply reply;
    int64_t count = 0;
    spool_close(&s);
    most = 5;
    open_spool();
    for (int n = 1; n < 6; n++) {
        struct accept_args copy = job(n);
        assert_int_equal(spool_add_copy(s, &copy, (wall){T0}, &first_round, &f), E_OK);
    }
    add_jobs(6, 8); /* in the place of the first two */
    assert_int_equal(looked().waiting, 2);
    assert_int_equal(looked().handed_over, 3);
    struct accept_args args = job(1);
    assert_int_equal(spool_add_copy(s, &args, (wall){T0}, &first_round, NULL), E_BUSY);
    /* What waits anew may be all that there is of it: it stays, and takes no room either. */
    assert_int_equal(spool_again(s, &count, &f), E_OK);
    assert_int_equal(count, 3);
    add_jobs(8, 11);
    args = job(11);
    assert_int_equal(add(&args, &reply), E_BUSY);
    assert_non_null(strstr(f.words, "(5)"));
    assert_int_equal(spool_sync(s, &f), E_OK);
    spool_close(&s);
    open_spool(); /* the next process counts as this one */
    assert_int_equal(add(&args, &reply), E_BUSY);
    hand_over(3, 11);
}

static void what_was_handed_over_stays_for_a_whole_round_also_when_it_was_again(void **state)
{
    (void)state;
    int64_t count = 0;
    struct spooled entry;
    struct spool_given given = first_round;
    add_jobs(1, 4);
    given.round = 7;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(spool_next(s, SPOOL_JOB, 0, a, &entry, &f), E_OK);
        assert_int_equal(spool_handed_over(s, SPOOL_JOB, entry.number, &given, &f), E_OK);
    }
    assert_int_equal(spool_settle(s, 7, &f), E_OK);
    assert_int_equal(looked().handed_over, 3);
    assert_int_equal(spool_again(s, &count, &f), E_OK);
    given.round = 9;
    assert_int_equal(spool_next(s, SPOOL_JOB, 0, a, &entry, &f), E_OK);
    assert_int_equal(spool_handed_over(s, SPOOL_JOB, entry.number, &given, &f), E_OK);
    assert_int_equal(spool_settle(s, 9, &f), E_OK);
    assert_int_equal(looked().handed_over, 1); /* and those that wait anew wait */
    assert_int_equal(looked().waiting, 2);
    assert_int_equal(spool_settle(s, 10, &f), E_OK);
    assert_int_equal(looked().handed_over, 0);
    assert_int_equal(looked().waiting, 2);
}

/* The queue perhaps has it: it answers for it, and for its unique key. */
static void what_waits_anew_answers_for_nothing_that_the_queue_knows(void **state)
{
    (void)state;
    int64_t count = 0;
    struct spooled live;
    struct spool_reply reply;
    struct accept_args args = job(1);
    args.unique_key = SPAN("u");
    args.idempotency_key = SPAN("key");
    assert_int_equal(add(&args, &reply), E_OK);
    assert_int_equal(spool_live(s, SPAN("default"), SPAN("u"), a, &live, &f), E_OK);
    assert_int_equal(spool_has(s, args.id, NULL), E_BUSY);
    hand_over_one_of(reply.number);
    assert_int_equal(spool_again(s, &count, &f), E_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(spool_live(s, SPAN("default"), SPAN("u"), a, &live, &f), E_END);
        assert_int_equal(spool_has(s, args.id, &f), E_OK);
        assert_int_equal(looked().waiting, 1);
        assert_int_equal(spool_sync(s, &f), E_OK);
        spool_close(&s);
        open_spool();
    }
    struct accept_args newer = job(2);
    newer.unique_key = SPAN("u");
    assert_int_equal(add(&newer, &reply), E_OK);
    assert_int_equal(spool_live(s, SPAN("default"), SPAN("u"), a, &live, &f), E_OK);
    assert_true(span_is(live.job.id, "job_2"));
    /* A repeated request is one, whoever has its job. */
    args.id = SPAN("job_3");
    assert_int_equal(spool_find(s, &args, SPOOL_WAITS, &reply, &f), E_OK);
    assert_string_equal(reply.id, "job_1");
}

static void what_was_done_with_is_not_handed_over_anew(void **state)
{
    (void)state;
    int64_t count = 0;
    struct spooled entry;
    struct spool_given given = first_round;
    add_jobs(1, 6);
    for (int n = 1; n < 5; n++) {
        given.store = n == 2 ? SPAN("st2") : n == 4 ? SPAN("") : SPAN("st1");
        given.at.ms = n == 1 ? T0 : T0 + 10;
        assert_int_equal(spool_next(s, SPOOL_JOB, 0, a, &entry, &f), E_OK);
        assert_int_equal(spool_handed_over(s, SPOOL_JOB, entry.number, &given, &f), E_OK);
    }
    assert_int_equal(spool_again(s, &count, &f), E_OK);
    assert_int_equal(spool_pass(s, SPAN("st1"), (wall){T0}, &f), E_OK);
    hand_over(3, 6); /* 1 is old, 2 another queue's, of 4 nobody knows, 5 never was there */
    assert_int_equal(spool_again(s, &count, &f), E_OK);
    assert_int_equal(spool_pass(s, SPAN(""), (wall){INT64_MIN}, &f), E_OK);
    assert_int_equal(looked().waiting, 3);
}

static sqlite3 *other_hand(const char *sql)
{
    char path[96];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/spool.db", dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    return db;
}

/* One that could not be taken leaves nothing behind that would refuse the next one. */
static void one_that_could_not_be_taken_is_no_reason_to_refuse_the_next(void **state)
{
    (void)state;
    struct spool_reply reply;
    struct accept_args args = job(1);
    sqlite3 *db = other_hand("BEGIN IMMEDIATE");
    assert_true(add(&args, &reply) != E_OK);
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(add(&args, &reply), E_OK);
    assert_int_equal(spool_sync(s, &f), E_OK);
    hand_over(1, 2);
}

/* A file of the version before, and what that one does to a file of this one. */
static void a_file_of_an_earlier_version_is_taken_over_and_given_back(void **state)
{
    (void)state;
    int64_t count = 0;
    struct spooled live;
    add_jobs(1, 4);
    assert_int_equal(spool_sync(s, &f), E_OK);
    spool_close(&s);
    sqlite3_close(other_hand("DROP TABLE spool_given;"
                             "UPDATE spool SET handed_over=1 WHERE id='job_1';"
                             "INSERT INTO spool_unique(number,tenant,key)"
                             " SELECT number,'default','u' FROM spool WHERE id='job_1'"));
    open_spool();
    assert_int_equal(looked().handed_over, 1);
    assert_int_equal(spool_again(s, &count, &f), E_OK);
    assert_int_equal(count, 1);
    assert_int_equal(spool_live(s, SPAN("default"), SPAN("u"), a, &live, &f), E_END);
    assert_int_equal(spool_pass(s, SPAN("st2"), (wall){INT64_MIN}, &f), E_OK);
    hand_over(1, 4);
    assert_int_equal(spool_sync(s, &f), E_OK);
    spool_close(&s);
    sqlite3_close(other_hand(
        "INSERT INTO spool(id,tenant,at,run_at,ticket,idem_key,idem_hash)"
        " SELECT 'job_4',tenant,at,1800000000004,replace(ticket,'\"limit\":3','\"limit\":4'),"
        "idem_key,idem_hash FROM spool WHERE id='job_3';"
        "INSERT OR REPLACE INTO spool_aside SELECT "
        "number,id,tenant,at,run_at,ticket,idem_key,idem_hash,'why' FROM spool WHERE "
        "id='job_2';"
        "DELETE FROM spool WHERE id='job_2';"
        "INSERT OR IGNORE INTO spool SELECT "
        "number,id,tenant,at,run_at,ticket,idem_key,idem_hash,0 FROM spool_aside;"
        "DELETE FROM spool_aside;"
        "DELETE FROM spool WHERE id='job_1'"));
    open_spool();
    assert_int_equal(spool_again(s, &count, &f), E_OK);
    hand_over(2, 5);
}

/* By a hand, or a disk. */
static void damage(int n, const char *with)
{
    char path[96];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/spool.db", dir);
    spool_close(&s);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    const char *sql = arena_fmt(a,
                                "UPDATE spool SET ticket=%s WHERE id='job_%d';"
                                "UPDATE spool_aside SET ticket=%s WHERE id='job_%d'",
                                with, n, with, n);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    open_spool();
}

/* The next one is job_n, which cannot be read and makes way. */
static void sets_aside(int n, err why)
{
    struct spooled entry;
    f = (struct fault){0};
    assert_int_equal(spool_next(s, SPOOL_JOB, 0, a, &entry, &f), why);
    assert_true(f.words[0]);
    if (entry.job.id.n)
        assert_true(span_eq(entry.job.id, job(n).id));
    assert_int_equal(spool_set_aside(s, SPOOL_JOB, entry.number, SPAN("why"), &f), E_OK);
}

static void what_cannot_be_read_makes_way_and_is_kept(void **state)
{
    (void)state;
    struct spool_view view;
    struct spool_reply reply;
    const char *whole =
        "replace((SELECT ticket FROM spool WHERE id='job_3'),'\"limit\":3','\"limit\":2')";
    add_jobs(1, 6);
    assert_int_equal(spool_sync(s, &f), E_OK);
    damage(2, "'{\"site\":'");
    damage(
        4,
        "'{\"target\":' || hex(zeroblob(6000000)) || '}'"); /* longer than the reader's room */
    hand_over_some(1, 2);
    sets_aside(2, E_BAD_SYNTAX);
    hand_over_some(3, 4);
    sets_aside(4, E_TOO_BIG);
    hand_over(5, 6);
    assert_int_equal(spool_look(s, &view, &f), E_OK);
    assert_int_equal(view.aside, 2);
    assert_int_equal(view.waiting, 0);
    f = (struct fault){0};
    assert_int_equal(spool_has(s, SPAN("job_2"), &f), E_STORE);
    assert_non_null(strstr(f.words, "job_2"));
    assert_non_null(strstr(f.words, "why"));
    assert_int_equal(spool_has(s, SPAN("job_3"), NULL), E_OK);
    assert_int_equal(spool_set_aside(s, SPOOL_JOB, 12345, SPAN("none"), &f),
                     E_OK); /* is not counted */
    assert_int_equal(spool_sync(s, &f), E_OK);
    /* Each process tries again; one that can be read by now is handed over, behind whatever. */
    damage(2, whole);
    hand_over_some(2, 3);
    sets_aside(4, E_TOO_BIG);
    assert_int_equal(spool_sync(s, &f), E_OK);
    assert_int_equal(spool_look(s, &view, &f), E_OK);
    assert_int_equal(view.aside, 1);
    /* Its id may be used again; then that is the job. */
    struct accept_args args = job(4);
    assert_int_equal(add(&args, &reply), E_OK);
    assert_int_equal(spool_sync(s, &f), E_OK);
    spool_close(&s);
    open_spool();
    assert_int_equal(spool_look(s, &view, &f), E_OK);
    assert_int_equal(view.aside, 0);
}

static int64_t waiting_of(const char *folder, int64_t *out_aside)
{
    struct spool_view view = {-1, -1, -1, -1, -1};
    f = (struct fault){0};
    if (spool_peek(folder, &view, &f))
        fail_msg("%s", f.words);
    *out_aside = view.aside;
    return view.waiting;
}

/* A look by another process changes nothing for the one that uses it: what was set aside stays so, what is not on the disk yet is
 * not seen, and all goes on. */
static void a_look_from_outside_changes_nothing(void **state)
{
    (void)state;
    struct spool_view view;
    int64_t aside = -1;
    char nowhere[96], empty[112];
    add_jobs(1, 4);
    assert_int_equal(spool_sync(s, &f), E_OK);
    damage(1, "'{\"site\":'");
    sets_aside(1, E_BAD_SYNTAX);
    assert_int_equal(spool_sync(s, &f), E_OK);
    assert_int_equal(waiting_of(dir, &aside), 2);
    assert_int_equal(aside, 1);
    add_jobs(4, 5);
    assert_int_equal(waiting_of(dir, &aside), 2);
    assert_int_equal(spool_sync(s, &f), E_OK);
    assert_int_equal(waiting_of(dir, &aside), 3);
    f = (struct fault){0};
    assert_int_equal(spool_has(s, SPAN("job_1"), &f), E_STORE);
    assert_int_equal(spool_look(s, &view, &f), E_OK);
    assert_int_equal(view.waiting, 3);
    assert_int_equal(view.aside, 1);
    hand_over(2, 5);
    assert_int_equal(spool_sync(s, &f), E_OK);
    spool_close(&s);
    assert_int_equal(waiting_of(dir, &aside), 0);
    assert_int_equal(aside, 1);
    snprintf(nowhere, sizeof nowhere, "%s/nowhere", dir);
    assert_int_equal(waiting_of(nowhere, &aside), 0);
    assert_int_equal(mkdir(nowhere, 0700), 0);
    snprintf(empty, sizeof empty, "%s/spool.db", nowhere);
    fclose(fopen(empty, "w")); /* its first process was killed */
    assert_int_equal(waiting_of(nowhere, &aside), 0);
    assert_int_equal(aside, 0);
}

/* As a user who may not enter the folder. 0: it says so. */
static int look_locked_out(void)
{
    struct spool_view view = {-1, -1, -1, -1, -1};
    f = (struct fault){0};
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
        return 2;
    return spool_peek(dir, &view, &f) && strstr(f.words, "spool.db") && view.waiting == -1 ? 0
                                                                                           : 1;
}

static void a_spool_that_may_not_be_looked_at_is_not_taken_for_none(void **state)
{
    (void)state;
    int status = -1;
    add_jobs(1, 3);
    assert_int_equal(spool_sync(s, &f), E_OK);
    assert_int_equal(chmod(dir, 0), 0);
    pid_t child = fork();
    if (!child)
        _exit(look_locked_out());
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(chmod(dir, 0700), 0);
    assert_int_equal(status, 0);
}

static void what_is_too_big_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    struct spool_reply reply;
    struct accept_args args = job(1);
    char *big = arena_get(a, STORE_SPEC_MAX + 2);
    memset(big, 'x', STORE_SPEC_MAX + 1);
    args.spec = (struct span){big, STORE_SPEC_MAX + 1};
    assert_int_equal(add(&args, &reply), E_TOO_BIG);
    args = job(1);
    args.lane = SPAN("not a lane");
    assert_int_equal(add(&args, &reply), E_BAD_INPUT);
    add_jobs(1, 3);
    hand_over(1, 3);
}

/* ---- batches ---- */

enum { IN_BATCH = 4 };
static struct accept_args *made; /* jobs of the last one */

/* Batch n has the jobs 100 n + 1, 100 n + 2, …; the second with a unique key. */
static struct batch_args batch(int n, int count)
{
    struct accept_args *jobs = arena_get(a, ((size_t)count + 1) * sizeof *jobs);
    for (int i = 0; i < count; i++)
        jobs[i] = job(100 * n + i + 1);
    made = jobs;
    if (count > 1)
        jobs[1].unique_key = span_of(arena_fmt(a, "u%d", n));
    return (struct batch_args){.id = span_of(arena_fmt(a, "bat_%d", n)),
                               .tenant = SPAN("default"),
                               .name = SPAN("nightly"),
                               .stop_after = 3,
                               .parallel = 2,
                               .jobs = jobs,
                               .count = (size_t)count,
                               .calls = {SPAN("{\"site\":\"x\"}")},
                               .idempotency_key = span_of(arena_fmt(a, "key %d", n)),
                               .request_hash = 0xfedcba9876543210u + (uint64_t)n};
}

static err add_batch(const struct batch_args *args, struct spool_reply *reply)
{
    f = (struct fault){0};
    return spool_add_batch(s, args, (wall){T0 + 1}, reply, &f);
}

static void add_batches(int from, int to)
{
    struct spool_reply reply;
    for (int n = from; n < to; n++) {
        struct batch_args args = batch(n, IN_BATCH);
        if (add_batch(&args, &reply))
            fail_msg("%s", f.words);
        assert_false(reply.replayed);
    }
}

static struct spooled next_batch(void)
{
    struct spooled entry;
    f = (struct fault){0};
    if (spool_next(s, SPOOL_BATCH, 0, a, &entry, &f))
        fail_msg("%s", f.words);
    return entry;
}

/* As what was added, whole. */
static void is_batch(const struct spooled *entry, int n, int count)
{
    struct batch_args wanted = batch(n, count);
    const struct batch_args *b = &entry->batch;
    assert_int_equal(entry->kind, SPOOL_BATCH);
    assert_int_equal(entry->at.ms, T0 + 1);
    assert_int_equal(b->accepted_ms, T0 + 1);
    assert_true(span_eq(b->id, wanted.id) && span_eq(b->name, wanted.name) &&
                span_eq(b->tenant, wanted.tenant));
    assert_true(span_eq(b->idempotency_key, wanted.idempotency_key) &&
                b->request_hash == wanted.request_hash);
    assert_true(span_eq(b->calls[BATCH_COMPLETE], wanted.calls[BATCH_COMPLETE]));
    assert_int_equal(b->calls[BATCH_SUCCESS].n, 0);
    assert_true(!b->open && b->stop_after == 3 && b->parallel == 2);
    assert_int_equal(b->count, count);
    for (int i = 0; i < count; i++) {
        const struct accept_args *is = &b->jobs[i], *was = &wanted.jobs[i];
        assert_true(span_eq(is->id, was->id) && span_eq(is->spec, was->spec) &&
                    span_eq(is->lane, was->lane) && span_eq(is->unique_key, was->unique_key));
        assert_true(is->limit == was->limit && is->run_at_ms == was->run_at_ms &&
                    is->deadline_ms == was->deadline_ms && is->accepted_ms == T0 + 1);
    }
}

static void hand_over_batches(int from, int to)
{
    struct spooled entry;
    for (int n = from; n < to; n++) {
        entry = next_batch();
        is_batch(&entry, n, IN_BATCH);
        assert_int_equal(spool_handed_over(s, SPOOL_BATCH, entry.number, &first_round, &f),
                         E_OK);
    }
    assert_int_equal(spool_next(s, SPOOL_BATCH, 0, a, &entry, &f), E_END);
}

static void open_again(void)
{
    assert_int_equal(spool_sync(s, &f), E_OK);
    spool_close(&s);
    open_spool();
}

static void batches_are_handed_over_whole_beside_jobs_and_count_as_their_jobs(void **state)
{
    (void)state;
    int64_t count = 0;
    add_jobs(1, 4);
    add_batches(1, 3);
    open_again();
    assert_int_equal(looked().waiting, 3 + 2 * IN_BATCH);
    assert_int_equal(looked().oldest_ms, T0);
    hand_over(1, 4);
    assert_int_equal(looked().oldest_ms, T0 + 1);
    hand_over_batches(1, 3);
    assert_int_equal(looked().waiting, 0);
    assert_int_equal(looked().handed_over, 3 + 2 * IN_BATCH);
    assert_int_equal(spool_again(s, &count, &f), E_OK);
    assert_int_equal(count, 3 + 2 * IN_BATCH);
    open_again();
    assert_int_equal(looked().waiting, 3 + 2 * IN_BATCH);
    assert_true(next_batch().given);
    hand_over_batches(1, 3);
    assert_int_equal(spool_settle(s, 1, &f), E_OK);
    assert_int_equal(looked().handed_over, 2 * IN_BATCH);
    assert_int_equal(spool_settle(s, 2, &f), E_OK);
    assert_int_equal(looked().handed_over, 0);
    assert_int_equal(looked().waiting, 3); /* jobs that wait anew */
    open_again();
    assert_int_equal(looked().handed_over, 0);
}

/* On the disk. */
static int64_t rows_of_jobs(void)
{
    sqlite3_stmt *q = NULL;
    sqlite3 *db = other_hand("SELECT 1");
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT count(*) FROM spool_batch_job", -1, &q, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return n;
}

/* Killed at once behind its jobs, and when it is on the disk. */
static void a_batch_that_was_not_synced_is_not_there_in_part(void **state)
{
    (void)state;
    spool_close(&s);
    pid_t child = fork();
    if (child == 0) {
        open_spool();
        add_batches(1, 2);
        if (spool_sync(s, &f))
            _exit(1);
        add_batches(2, 4);
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    open_spool();
    hand_over_batches(1, 2);
    assert_int_equal(rows_of_jobs(), 4);
    assert_int_equal(spool_has(s, SPAN("job_201"), &f), E_OK);
}

static void a_repeated_order_of_a_batch_is_one_while_it_waits(void **state)
{
    (void)state;
    struct spool_reply reply;
    struct batch_args args = batch(1, IN_BATCH), again = batch(2, IN_BATCH);
    int64_t count;
    again.idempotency_key = args.idempotency_key;
    again.request_hash = args.request_hash;
    assert_int_equal(spool_find_batch(s, &again, SPOOL_WAITS, &reply, &f), E_END);
    add_batches(1, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(spool_find_batch(s, &again, SPOOL_WAITS, &reply, &f), E_OK);
        assert_true(reply.replayed);
        assert_string_equal(reply.id, "bat_1");
        assert_int_equal(add_batch(&again, &reply), E_OK);
        assert_true(reply.replayed);
        open_again();
    }
    again.request_hash++;
    assert_int_equal(spool_find_batch(s, &again, SPOOL_WAITS, &reply, &f), E_BAD_INPUT);
    assert_int_equal(looked().waiting, IN_BATCH);
    /* Keys of jobs are others. */
    struct accept_args one = job(1);
    one.idempotency_key = args.idempotency_key;
    assert_int_equal(add(&one, &reply), E_OK);
    assert_false(reply.replayed);
    /* What waits here and who asks for it. */
    f = (struct fault){0};
    assert_int_equal(spool_has(s, SPAN("bat_1"), &f), E_BUSY);
    assert_non_null(strstr(f.words, "batch bat_1"));
    assert_int_equal(spool_has(s, SPAN("job_104"), NULL), E_BUSY);
    assert_int_equal(spool_has(s, SPAN("job_105"), NULL), E_OK);
    hand_over_batches(1, 2);
    assert_int_equal(spool_find_batch(s, &args, SPOOL_WAITS, &reply, &f), E_END);
    assert_int_equal(spool_has(s, SPAN("bat_1"), NULL), E_OK);
    assert_int_equal(spool_again(s, &count, &f), E_OK); /* the queue perhaps has it */
    assert_int_equal(spool_has(s, SPAN("job_104"), NULL), E_OK);
    assert_int_equal(spool_find_batch(s, &args, SPOOL_WAITS, &reply, &f), E_OK);
}

static void a_batch_that_does_not_fit_is_refused_whole_and_says_so(void **state)
{
    (void)state;
    struct spool_reply reply;
    spool_close(&s);
    most = 6;
    open_spool();
    add_jobs(1, 4);
    struct batch_args args = batch(1, IN_BATCH);
    assert_int_equal(add_batch(&args, &reply), E_BUSY);
    assert_non_null(strstr(f.words, "of the 6 jobs that may wait"));
    assert_non_null(strstr(f.words, "room for 3"));
    assert_non_null(strstr(f.words, "order fewer"));
    args = batch(1, 7);
    assert_int_equal(add_batch(&args, &reply), E_BUSY);
    assert_non_null(strstr(f.words, "at most 6 jobs"));
    assert_non_null(strstr(f.words, "smaller batches"));
    assert_int_equal(spool_add_batch_copy(s, &args, (wall){T0 + 1}, &first_round, NULL),
                     E_BUSY);
    assert_int_equal(looked().waiting, 3);
    assert_int_equal(spool_next(s, SPOOL_BATCH, 0, a, &(struct spooled){0}, &f), E_END);
    args = batch(2, 3);
    assert_int_equal(add_batch(&args, &reply), E_OK);
    struct accept_args one = job(9);
    assert_int_equal(add(&one, &reply), E_BUSY); /* its jobs count for those alone, too */
    open_again();
    assert_int_equal(add(&one, &reply), E_BUSY);
    one = job(201);
    assert_int_equal(add(&one, &reply), E_CONFLICT);
    /* An open one without jobs counts as one. */
    hand_over(1, 4);
    args = batch(3, 0);
    args.open = true;
    assert_int_equal(add_batch(&args, &reply), E_OK);
    assert_int_equal(looked().waiting, 4);
}

static void copies_of_batches_make_way_for_what_waits(void **state)
{
    (void)state;
    struct spool_reply reply;
    spool_close(&s);
    most = 2 * IN_BATCH;
    open_spool();
    for (int n = 1; n < 3; n++) {
        struct batch_args copy = batch(n, IN_BATCH);
        assert_int_equal(spool_add_batch_copy(s, &copy, (wall){T0 + n}, &first_round, &f),
                         E_OK);
    }
    assert_int_equal(looked().handed_over, 2 * IN_BATCH);
    struct batch_args third = batch(3, IN_BATCH);
    assert_int_equal(spool_add_batch_copy(s, &third, (wall){T0 + 1}, &first_round, NULL),
                     E_BUSY);
    add_jobs(1, 2); /* in the place of the first one, whole */
    assert_int_equal(looked().handed_over, IN_BATCH);
    struct accept_args copy = job(7);
    assert_int_equal(spool_add_copy(s, &copy, (wall){T0}, &first_round, &f), E_OK);
    third = batch(3, IN_BATCH + 3); /* and of the second, and of the older job */
    assert_int_equal(add_batch(&third, &reply), E_OK);
    assert_int_equal(looked().handed_over, 0);
    assert_int_equal(looked().waiting, most);
    open_again();
    assert_int_equal(looked().handed_over, 0);
    assert_int_equal(looked().waiting, most);
    assert_int_equal(rows_of_jobs(), 7);
}

static void batches_that_are_done_with_are_not_handed_over_anew(void **state)
{
    (void)state;
    int64_t count = 0;
    add_batches(1, 5);
    for (int n = 1; n < 4; n++) {
        struct spool_given given = first_round;
        given.store = n == 2 ? SPAN("st2") : SPAN("st1");
        given.at.ms = n == 1 ? T0 : T0 + 10;
        assert_int_equal(spool_handed_over(s, SPOOL_BATCH, next_batch().number, &given, &f),
                         E_OK);
    }
    assert_int_equal(spool_again(s, &count, &f), E_OK);
    assert_int_equal(spool_pass(s, SPAN("st1"), (wall){T0}, &f), E_OK);
    assert_int_equal(looked().waiting, 2 * IN_BATCH);
    hand_over_batches(3, 5); /* 1 is old, 2 another queue's, 4 never was there */
}

static void who_asks_for_a_unique_key_finds_the_newest_that_waits_in_a_batch_too(void **state)
{
    (void)state;
    struct spooled live;
    struct spool_reply reply;
    struct accept_args one = job(1);
    assert_int_equal(spool_live(s, SPAN("default"), SPAN("u1"), a, &live, &f), E_END);
    add_batches(1, 3);
    assert_int_equal(spool_live(s, SPAN("default"), SPAN("u1"), a, &live, &f), E_OK);
    assert_true(span_is(live.job.id, "job_102") && span_eq(live.job.target, one.target));
    assert_int_equal(live.job.run_at_ms, T0 + 102);
    assert_int_equal(live.at.ms, T0 + 1);
    assert_int_equal(spool_live(s, SPAN("others"), SPAN("u1"), a, &live, &f), E_END);
    /* One by itself took its place, and a job of a batch that of this one. */
    assert_int_equal(spool_live(s, SPAN("default"), SPAN("u1"), a, &live, &f), E_OK);
    one.unique_key = SPAN("u1");
    assert_int_equal(add(&one, &reply), E_OK);
    assert_int_equal(spool_replace(s, &live, one.id, &f), E_OK);
    assert_int_equal(spool_live(s, SPAN("default"), SPAN("u1"), a, &live, &f), E_OK);
    assert_true(span_is(live.job.id, "job_1") && live.kind == SPOOL_JOB);
    struct batch_args third = batch(3, 2);
    made[1].unique_key = SPAN("u1");
    assert_int_equal(add_batch(&third, &reply), E_OK);
    assert_int_equal(spool_replace(s, &live, third.jobs[1].id, &f), E_OK);
    open_again();
    assert_int_equal(spool_live(s, SPAN("default"), SPAN("u1"), a, &live, &f), E_OK);
    assert_true(span_is(live.job.id, "job_302"));
    struct spooled first = next_batch();
    assert_true(span_is(first.batch.jobs[1].replaced_by, "job_1"));
    assert_int_equal(first.batch.jobs[0].replaced_by.n, 0);
    assert_int_equal(spool_next(s, SPOOL_JOB, 0, a, &live, &f), E_OK);
    assert_true(span_is(live.job.replaced_by, "job_302"));
    /* What the queue answered for, it answers for. */
    assert_int_equal(spool_live(s, SPAN("default"), SPAN("u2"), a, &live, &f), E_OK);
    int64_t count;
    assert_int_equal(spool_handed_over(s, SPOOL_BATCH, live.number, &first_round, &f), E_OK);
    assert_int_equal(spool_live(s, SPAN("default"), SPAN("u2"), a, &live, &f), E_END);
    assert_int_equal(spool_again(s, &count, &f), E_OK);
    assert_int_equal(spool_live(s, SPAN("default"), SPAN("u2"), a, &live, &f), E_END);
}

static void a_batch_that_cannot_be_read_makes_way_and_is_kept(void **state)
{
    (void)state;
    struct spool_reply reply;
    struct spooled entry;
    int64_t aside = -1;
    add_batches(1, 4);
    assert_int_equal(spool_sync(s, &f), E_OK);
    spool_close(&s);
    sqlite3_close(other_hand("DELETE FROM spool_batch_job WHERE id='job_103';"
                             "UPDATE spool_batch_job SET ticket='{' WHERE id='job_202'"));
    open_spool();
    for (int n = 1; n < 3; n++) {
        f = (struct fault){0};
        assert_int_equal(spool_next(s, SPOOL_BATCH, 0, a, &entry, &f), E_BAD_SYNTAX);
        assert_true(span_eq(entry.batch.id, batch(n, 1).id) && f.words[0]);
        assert_int_equal(entry.jobs, IN_BATCH);
        assert_int_equal(spool_set_aside(s, SPOOL_BATCH, entry.number, SPAN("why"), &f), E_OK);
    }
    hand_over_batches(3, 4);
    assert_int_equal(looked().aside, 2 * IN_BATCH);
    assert_int_equal(looked().waiting, 0);
    const struct span asked[] = {SPAN("bat_1"), SPAN("job_101")};
    for (size_t i = 0; i < 2; i++) {
        f = (struct fault){0};
        assert_int_equal(spool_has(s, asked[i], &f), E_STORE);
        assert_non_null(strstr(f.words, asked[i].p));
        assert_non_null(strstr(f.words, "why"));
    }
    assert_int_equal(spool_sync(s, &f), E_OK);
    assert_int_equal(waiting_of(dir, &aside), 0);
    assert_int_equal(aside, 2 * IN_BATCH);
    /* Ordered anew, with its key; the other one is tried again by the next process. */
    struct batch_args anew = batch(1, 1);
    anew.id = SPAN("bat_9");
    made[0].id = SPAN("job_901");
    assert_int_equal(add_batch(&anew, &reply), E_OK);
    assert_false(reply.replayed);
    open_again();
    assert_int_equal(looked().aside, IN_BATCH);
    assert_int_equal(looked().waiting, IN_BATCH + 1);
}

/* A version before batches works with the file, and leaves them. */
static void an_earlier_version_leaves_batches_as_they_are(void **state)
{
    (void)state;
    int64_t aside;
    add_jobs(1, 3);
    assert_int_equal(spool_sync(s, &f), E_OK);
    spool_close(&s);
    sqlite3_close(other_hand("DROP TABLE spool_batch; DROP TABLE spool_batch_job"));
    assert_int_equal(waiting_of(dir, &aside), 2);
    open_spool();
    assert_int_equal(looked().waiting, 2);
    add_batches(1, 3);
    hand_over_some(1, 2);
    assert_int_equal(spool_sync(s, &f), E_OK);
    spool_close(&s);
    sqlite3_close(
        other_hand(/* its own statements */
                   "INSERT OR REPLACE INTO spool_aside SELECT "
                   "number,id,tenant,at,run_at,ticket,idem_key,idem_hash,'why' FROM spool WHERE id='job_2';"
                   "DELETE FROM spool WHERE id='job_2';"
                   "INSERT OR IGNORE INTO spool SELECT "
                   "number,id,tenant,at,run_at,ticket,idem_key,idem_hash,0 FROM spool_aside;"
                   "DELETE FROM spool_aside;"
                   "DELETE FROM spool_unique WHERE number NOT IN"
                   " (SELECT number FROM spool UNION ALL SELECT number FROM spool_aside);"
                   "DELETE FROM spool_given WHERE number NOT IN"
                   " (SELECT number FROM spool UNION ALL SELECT number FROM spool_aside);"
                   "UPDATE spool SET handed_over=1"));
    assert_int_equal(waiting_of(dir, &aside), 2 * IN_BATCH);
    open_spool();
    struct spooled live;
    assert_int_equal(spool_live(s, SPAN("default"), SPAN("u2"), a, &live, &f), E_OK);
    hand_over_batches(1, 3);
}

static void what_is_too_big_of_a_batch_leaves_nothing(void **state)
{
    (void)state;
    struct spool_reply reply;
    struct batch_args args = batch(1, IN_BATCH);
    char *big = arena_get(a, STORE_SPEC_MAX + 2);
    memset(big, 'x', STORE_SPEC_MAX + 1);
    made[3].spec = (struct span){big, STORE_SPEC_MAX + 1};
    assert_int_equal(add_batch(&args, &reply), E_TOO_BIG);
    args = batch(1, 800);
    for (int i = 0; i < 800; i++)
        made[i].spec = (struct span){big, STORE_SPEC_MAX};
    assert_int_equal(add_batch(&args, &reply), E_TOO_BIG);
    assert_non_null(strstr(f.words, "several batches"));
    assert_int_equal(looked().waiting, 0);
    add_batches(1, 2);
    hand_over_batches(1, 2);
}

#define WITH_SPOOL(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(jobs_are_handed_over_whole_and_in_their_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_the_queue_lost_is_handed_over_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_synced_survives_a_kill_and_nothing_else, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_request_is_one_job_while_it_waits, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_full_spool_refuses_and_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_makes_way_and_is_kept, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_look_from_outside_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_spool_that_may_not_be_looked_at_is_not_taken_for_none,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_queue_has_as_well_takes_no_room_of_what_waits,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            what_was_handed_over_stays_for_a_whole_round_also_when_it_was_again, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            what_waits_anew_answers_for_nothing_that_the_queue_knows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_done_with_is_not_handed_over_anew, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            one_that_could_not_be_taken_is_no_reason_to_refuse_the_next, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_file_of_an_earlier_version_is_taken_over_and_given_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_too_big_is_refused_and_leaves_nothing, set_up,
                                        tear_down),
        WITH_SPOOL(batches_are_handed_over_whole_beside_jobs_and_count_as_their_jobs),
        WITH_SPOOL(a_batch_that_was_not_synced_is_not_there_in_part),
        WITH_SPOOL(a_repeated_order_of_a_batch_is_one_while_it_waits),
        WITH_SPOOL(a_batch_that_does_not_fit_is_refused_whole_and_says_so),
        WITH_SPOOL(copies_of_batches_make_way_for_what_waits),
        WITH_SPOOL(batches_that_are_done_with_are_not_handed_over_anew),
        WITH_SPOOL(who_asks_for_a_unique_key_finds_the_newest_that_waits_in_a_batch_too),
        WITH_SPOOL(a_batch_that_cannot_be_read_makes_way_and_is_kept),
        WITH_SPOOL(an_earlier_version_leaves_batches_as_they_are),
        WITH_SPOOL(what_is_too_big_of_a_batch_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
