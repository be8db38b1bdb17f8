/* The promises of store/evidence.h: what is kept, what is not and why, what goes, what a crash leaves,
 * and how a dead job becomes a good one. */
#include "base/arena.h"
#include "os/digest.h"
#include "os/files.h"
#include "store/evidence.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define T0 1800000000000

static struct world {
    char dir[64];
    struct store *s;
    struct store_limits limits;
    struct arena *a;
    int64_t now;
    uint64_t nonces;
    struct fault f;
} w;

static wall now(void)
{
    return (wall){w.now};
}

static void open_store(void)
{
    w.f = (struct fault){0};
    err e = store_open(&w.s, w.dir, &w.limits, 7, now(), &w.f);
    if (e)
        fail_msg("store_open: %s: %s", err_name(e), w.f.words);
}

static int set_up(void **state)
{
    (void)state;
    w = (struct world){.now = T0};
    snprintf(w.dir, sizeof w.dir, "/tmp/fulmar-evidence-XXXXXX");
    assert_non_null(mkdtemp(w.dir));
    w.limits = (struct store_limits){.ready_max = 1000,
                                     .fail_max = 1,
                                     .crash_max = 1,
                                     .throttle_max = 4,
                                     .retry_base_ms = 1000,
                                     .retry_cap_ms = 60000,
                                     .lane_max_active = 100,
                                     .retry_floor = 1000000,
                                     .lane_burst = 1,
                                     .lease_ms = 15000,
                                     .evidence_age_ms = 60000,
                                     .evidence_bytes = 1 << 20,
                                     .evidence_job_bytes = 100000,
                                     .evidence_job_count = 10};
    w.a = arena_new(64 << 20);
    open_store();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    struct fault f = {0};
    store_close(&w.s);
    arena_free(&w.a);
    (void)umount2(w.dir, MNT_DETACH);
    (void)!files_remove_tree(w.dir, &f);
    return 0;
}

static void begin(void)
{
    w.f = (struct fault){0};
    assert_int_equal(store_begin(w.s, &w.f), E_OK);
}

static void commit(void)
{
    assert_int_equal(store_commit(w.s, &w.f), E_OK);
}

static struct lease start_job(const char *id, int64_t limit)
{
    struct accept_args args = {.id = span_of(id),
                               .site = SPAN("x"),
                               .kind = SPAN("posts"),
                               .target = SPAN("nasa"),
                               .lane = SPAN("x/normal"),
                               .spec = SPAN("{}"),
                               .limit = limit,
                               .prio = 5};
    struct accept_reply reply;
    struct lease l;
    begin();
    assert_int_equal(store_accept(w.s, &args, now(), &reply, &w.f), E_OK);
    assert_int_equal(store_reserve(w.s,
                                   &(struct reserve_args){.worker = SPAN("w"),
                                                          .random = ++w.nonces,
                                                          .needs = NEEDS_PAGE},
                                   now(), w.a, &l, &w.f),
                     E_OK);
    commit();
    assert_string_equal(l.id, id);
    return l;
}

static struct evidence_args piece_of(const struct lease *l, struct span body)
{
    return (struct evidence_args){.id = span_of(l->id),
                                  .nonce = l->nonce,
                                  .batch = 2,
                                  .reason = FAILURE_DRIFT,
                                  .status = 200,
                                  .at_ms = w.now,
                                  .strategy = SPAN("capture"),
                                  .name = SPAN("UserTweets"),
                                  .url = SPAN("https://x.com/i/api/graphql/q/UserTweets"),
                                  .headers = SPAN("{\"content-type\":\"application/json\"}"),
                                  .body = body};
}

static struct evidence_reply add_args(const struct evidence_args *a)
{
    struct evidence_reply reply;
    begin();
    assert_int_equal(store_evidence_add(w.s, a, now(), &reply, &w.f), E_OK);
    commit();
    return reply;
}

static enum evidence_gap add(const struct lease *l, struct span body)
{
    struct evidence_args a = piece_of(l, body);
    return add_args(&a).gap;
}

static void end_job(const struct lease *l, enum failure_class failure)
{
    struct finish_args args = {.id = span_of(l->id), .nonce = l->nonce, .failure = failure};
    struct finish_reply reply;
    if (!failure)
        args.verdict = VERDICT_COMPLETE;
    begin();
    assert_int_equal(store_finish(w.s, &args, now(), &reply, &w.f), E_OK);
    commit();
}

static struct evidence_list list(const char *id)
{
    struct evidence_list l;
    assert_int_equal(store_evidence_list(w.s, span_of(id), w.a, &l, &w.f), E_OK);
    return l;
}

static int64_t gaps_of(const char *id, enum evidence_gap gap)
{
    struct evidence_list l = list(id);
    for (size_t i = 0; i < l.gap_count; i++)
        if (l.gaps[i].gap == gap)
            return l.gaps[i].count;
    return 0;
}

static void file_of(struct span body, char out[200])
{
    char hash[DIGEST_TEXT];
    digest_text(body, hash);
    snprintf(out, 200, "%s/evidence/%.2s/%s.zst", w.dir, hash, hash);
}

static bool has_file(struct span body)
{
    char path[200];
    file_of(body, path);
    return access(path, F_OK) == 0;
}

static void sweep_all(void)
{
    while (store_evidence_sweep(w.s))
        ;
}

static void retain_all(void)
{
    for (bool more = true; more;) {
        begin();
        assert_int_equal(store_evidence_retain(w.s, now(), &more, &w.f), E_OK);
        commit();
    }
    sweep_all();
}

static const char body_one[] =
    "{\"data\":{\"one\":1,\"text\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}}";
static const char body_two[] = "<html>two</html>";

/* ---- keeping ---- */

static void a_piece_comes_back_as_it_came(void **state)
{
    (void)state;
    struct lease l = start_job("job_a", 0);
    assert_int_equal(add(&l, span_of(body_one)), GAP_NONE);
    assert_int_equal(add(&l, SPAN("")), GAP_NONE);
    struct evidence_list all = list("job_a");
    assert_int_equal(all.count, 2);
    assert_int_equal(all.gap_count, 0);
    struct evidence_view v;
    assert_int_equal(store_evidence_read(w.s, SPAN("job_a"), 1, w.a, &v, &w.f), E_OK);
    assert_true(span_is(v.body, body_one));
    assert_int_equal(v.bytes, sizeof body_one - 1);
    assert_int_equal(v.attempt, 1);
    assert_int_equal(v.batch, 2);
    assert_int_equal(v.status, 200);
    assert_int_equal(v.reason, FAILURE_DRIFT);
    assert_int_equal(v.at_ms, T0);
    assert_true(span_is(v.strategy, "capture") && span_is(v.name, "UserTweets"));
    assert_true(span_is(v.headers, "{\"content-type\":\"application/json\"}"));
    char hash[DIGEST_TEXT];
    assert_true(span_is(v.hash, digest_text(span_of(body_one), hash)));
    assert_int_equal(store_evidence_read(w.s, SPAN("job_a"), 2, w.a, &v, &w.f), E_OK);
    assert_int_equal(v.body.n, 0);
    assert_int_equal(store_evidence_read(w.s, SPAN("job_a"), 3, w.a, &v, &w.f), E_NOT_FOUND);
    assert_int_equal(store_evidence_read(w.s, SPAN("job_b"), 1, w.a, &v, &w.f), E_NOT_FOUND);
}

static void the_same_content_is_there_once_until_the_last_piece_goes(void **state)
{
    (void)state;
    w.limits.evidence_age_ms = 1000000;
    store_close(&w.s);
    open_store();
    struct lease a = start_job("job_a", 0);
    assert_int_equal(add(&a, span_of(body_one)), GAP_NONE);
    end_job(&a, FAILURE_DRIFT);
    w.now += 5000;
    struct lease b = start_job("job_b", 0);
    assert_int_equal(add(&b, span_of(body_one)), GAP_NONE);
    end_job(&b, FAILURE_DRIFT);
    struct retain_args args = {.age_ms = 1, .dead_age_ms = 1};
    struct retain_reply r;
    begin();
    assert_int_equal(store_retain(w.s, &args, (wall){T0 + 2}, &r, &w.f), E_OK);
    commit();
    assert_int_equal(r.deleted[RETAIN_DEAD_AGE], 1);
    sweep_all();
    struct evidence_view v;
    assert_int_equal(store_evidence_read(w.s, SPAN("job_b"), 1, w.a, &v, &w.f), E_OK);
    begin();
    assert_int_equal(store_retain(w.s, &args, (wall){w.now + 2}, &r, &w.f), E_OK);
    commit();
    assert_true(has_file(span_of(body_one))); /* the row went first */
    sweep_all();
    assert_false(has_file(span_of(body_one)));
}

static void a_lost_lease_keeps_nothing(void **state)
{
    (void)state;
    struct lease l = start_job("job_a", 0);
    struct evidence_args a = piece_of(&l, span_of(body_one));
    struct evidence_reply reply;
    a.nonce++;
    begin();
    assert_int_equal(store_evidence_add(w.s, &a, now(), &reply, &w.f), E_STALE);
    commit();
    assert_false(has_file(span_of(body_one)));
    assert_int_equal(list("job_a").count, 0);
}

static void limits_of_a_job_are_gaps_and_no_failures(void **state)
{
    (void)state;
    static char big[99000], huge[EVIDENCE_PIECE_MAX + 1];
    memset(big, 'x', sizeof big);
    struct lease l = start_job("job_a", 0);
    assert_int_equal(add(&l, (struct span){huge, sizeof huge}), GAP_TOO_LARGE);
    assert_int_equal(add(&l, (struct span){big, sizeof big}), GAP_NONE);
    big[0] = 'y';
    assert_int_equal(add(&l, (struct span){big, sizeof big}), GAP_BYTES);
    assert_int_equal(add(&l, (struct span){big, 90000}), GAP_BYTES);
    for (int i = 0; i < 9; i++) {
        char text[16];
        snprintf(text, sizeof text, "piece %d", i);
        assert_int_equal(add(&l, span_of(text)), GAP_NONE);
    }
    assert_int_equal(add(&l, SPAN("one more")), GAP_COUNT);
    assert_int_equal(list("job_a").count, 10);
    assert_int_equal(gaps_of("job_a", GAP_BYTES), 2);
    assert_int_equal(gaps_of("job_a", GAP_COUNT), 1);
    assert_int_equal(gaps_of("job_a", GAP_TOO_LARGE), 1);
    end_job(&l, FAILURE_NONE); /* nothing of it is held against the job */
}

static void pictures_are_few_and_what_never_came_is_counted(void **state)
{
    (void)state;
    struct lease l = start_job("job_a", 0);
    struct evidence_args a = piece_of(&l, SPAN("jpeg"));
    a.kind = EVIDENCE_SCREENSHOT;
    for (int i = 0; i < EVIDENCE_PICTURES_MAX; i++)
        assert_int_equal(add_args(&a).gap, GAP_NONE);
    assert_int_equal(add_args(&a).gap, GAP_COUNT);
    a.kind = EVIDENCE_DOM;
    assert_int_equal(add_args(&a).gap, GAP_NONE);
    a.gap = GAP_PAGE_SILENT;
    a.gaps = 3;
    assert_int_equal(add_args(&a).gap, GAP_PAGE_SILENT);
    assert_int_equal(gaps_of("job_a", GAP_PAGE_SILENT), 3);
}

static void the_last_room_on_the_disk_is_for_jobs(void **state)
{
    (void)state;
    struct lease l = start_job("job_a", 0);
    store_close(&w.s);
    w.limits.disk_floor_bytes = INT64_MAX / 2;
    open_store(); /* the lease is given back: take it again */
    begin();
    assert_int_equal(store_reserve(w.s,
                                   &(struct reserve_args){.worker = SPAN("w"),
                                                          .random = ++w.nonces,
                                                          .needs = NEEDS_PAGE},
                                   now(), w.a, &l, &w.f),
                     E_OK);
    commit();
    assert_int_equal(add(&l, span_of(body_one)), GAP_DISK);
    assert_false(has_file(span_of(body_one)));
    assert_int_equal(gaps_of("job_a", GAP_DISK), 1);
}

static void a_disk_that_fills_while_a_piece_is_written_costs_that_piece_only(void **state)
{
    (void)state;
    store_close(&w.s);
    if (mount("tmpfs", w.dir, "tmpfs", 0, "size=16m")) {
        open_store();
        skip(); /* needs root */
    }
    w.limits.evidence_job_bytes = 16 << 20;
    open_store();
    struct lease l = start_job("job_a", 0);
    /* Bytes that cannot be made smaller, and more of them than there is room. */
    static char noise[4 << 20];
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < sizeof noise; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        noise[i] = (char)x;
    }
    /* The room is there when the group begins, and gone when the file is written. */
    char path[128];
    snprintf(path, sizeof path, "%s/filler", w.dir);
    struct evidence_args a = piece_of(&l, (struct span){noise, sizeof noise});
    struct evidence_reply reply;
    begin();
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    struct statvfs room;
    assert_int_equal(statvfs(w.dir, &room), 0);
    off_t size = (off_t)(room.f_bavail * room.f_frsize) - (1 << 20);
    assert_int_equal(posix_fallocate(fd, 0, size), 0);
    assert_int_equal(store_evidence_add(w.s, &a, now(), &reply, &w.f), E_OK);
    assert_int_equal(reply.gap, GAP_DISK);
    commit();
    close(fd);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(gaps_of("job_a", GAP_DISK), 1);
    assert_int_equal(add(&l, a.body), GAP_NONE);
    end_job(&l, FAILURE_NONE);
}

/* ---- what a crash leaves ---- */

static void end_by_signal(void (*run)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        run();
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void write_file_and_die(void)
{
    struct lease l;
    struct evidence_reply reply;
    open_store();
    begin();
    if (store_reserve(w.s,
                      &(struct reserve_args){
                          .worker = SPAN("w"), .random = ++w.nonces, .needs = NEEDS_PAGE},
                      now(), w.a, &l, &w.f))
        _exit(1);
    struct evidence_args a = piece_of(&l, span_of(body_one));
    if (store_evidence_add(w.s, &a, now(), &reply, &w.f) || reply.gap)
        _exit(1);
    char path[200]; /* and a file that was being written */
    file_of(span_of(body_one), path);
    snprintf(path + strlen(path) - 3, 4, "new");
    if (files_write(path, SPAN("half"), &w.f))
        _exit(1);
    /* dies before the commit */
}

static void a_file_without_a_row_is_removed_after_a_crash(void **state)
{
    (void)state;
    (void)start_job("job_a", 0);
    store_close(&w.s);
    end_by_signal(write_file_and_die);
    assert_true(has_file(span_of(body_one)));
    open_store();
    assert_int_equal(list("job_a").count, 0);
    sweep_all();
    assert_false(has_file(span_of(body_one)));
    char path[200];
    snprintf(path, sizeof path, "%s/evidence", w.dir);
    struct arena *a = arena_new(1 << 20);
    char **names;
    size_t count = 9;
    assert_int_equal(files_list(path, a, &names, &count, &w.f), E_OK);
    assert_int_equal(count, 0); /* nothing half-written, no empty folder */
    arena_free(&a);
}

static void a_file_that_was_cut_is_said_to_be_damaged_and_written_anew(void **state)
{
    (void)state;
    char path[200];
    struct evidence_view v;
    struct lease l = start_job("job_a", 0);
    assert_int_equal(add(&l, span_of(body_one)), GAP_NONE);
    file_of(span_of(body_one), path);
    assert_int_equal(truncate(path, 5), 0);
    assert_int_equal(store_evidence_read(w.s, SPAN("job_a"), 1, w.a, &v, &w.f), E_STORE);
    assert_int_equal(add(&l, span_of(body_one)), GAP_NONE);
    assert_int_equal(store_evidence_read(w.s, SPAN("job_a"), 1, w.a, &v, &w.f), E_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(store_evidence_read(w.s, SPAN("job_a"), 2, w.a, &v, &w.f), E_STORE);
}

/* ---- retention ---- */

static void old_pieces_go_and_leave_a_word(void **state)
{
    (void)state;
    struct lease l = start_job("job_a", 0);
    assert_int_equal(add(&l, span_of(body_one)), GAP_NONE);
    w.now += 50000;
    assert_int_equal(add(&l, span_of(body_two)), GAP_NONE);
    w.now += 20000;
    retain_all();
    assert_int_equal(list("job_a").count, 1);
    assert_int_equal(gaps_of("job_a", GAP_EXPIRED), 1);
    assert_false(has_file(span_of(body_one)));
    assert_true(has_file(span_of(body_two)));
}

static void above_all_bytes_the_oldest_go(void **state)
{
    (void)state;
    static char noise[60000];
    uint64_t x = 88172645463325252u;
    store_close(&w.s);
    w.limits.evidence_bytes = 150000;
    w.limits.evidence_job_bytes = 1 << 20;
    open_store();
    struct lease l = start_job("job_a", 0);
    for (int i = 0; i < 5; i++) {
        for (size_t k = 0; k < sizeof noise; k++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            noise[k] = (char)x;
        }
        assert_int_equal(add(&l, (struct span){noise, sizeof noise}), GAP_NONE);
    }
    retain_all();
    struct evidence_list all = list("job_a");
    assert_int_equal(all.count, 2);
    assert_int_equal(all.pieces[0].n, 4); /* numbers stay */
    assert_true(has_file((struct span){noise, sizeof noise}));
    store_close(&w.s); /* the sum is known again after a start */
    open_store();
    retain_all();
    assert_int_equal(list("job_a").count, 2);
}

/* ---- repair ---- */

static struct repair_args repair_of(const char *id, const struct store_item *items,
                                    size_t count)
{
    struct job_view v;
    assert_int_equal(store_job(w.s, span_of(id), now(), w.a, &v, &w.f), E_OK);
    return (struct repair_args){.id = span_of(id),
                                .revision = v.revision,
                                .items = items,
                                .count = count,
                                .done = true,
                                .verdict = VERDICT_PARTIAL,
                                .end = END_BUDGET};
}

static err repair(const struct repair_args *a, struct repair_reply *out)
{
    begin();
    err e = store_repair(w.s, a, now(), out, &w.f);
    commit();
    return e;
}

static const struct store_item items[] = {
    {ITEM_POST, {"1", 1}, 5, {"{\"id\":\"1\",\"v\":2}", 16}},
    {ITEM_POST, {"2", 1}, 6, {"{\"id\":\"2\"}", 10}},
    {ITEM_USER, {"9", 1}, 0, {"{\"id\":\"9\"}", 10}},
};

static void a_dead_job_succeeds_with_what_was_read_again(void **state)
{
    (void)state;
    struct lease l = start_job("job_a", 0);
    struct store_item first = {ITEM_POST, SPAN("1"), 5, SPAN("{\"id\":\"1\",\"v\":1}")};
    struct commit_args c = {.id = span_of(l.id), .nonce = l.nonce, .items = &first, .count = 1};
    struct commit_reply committed;
    begin();
    assert_int_equal(store_commit_batch(w.s, &c, now(), &committed, &w.f), E_OK);
    commit();
    end_job(&l, FAILURE_DRIFT);
    struct repair_args a = repair_of("job_a", items, 3);
    struct repair_reply reply;
    assert_int_equal(repair(&a, &reply), E_OK);
    assert_int_equal(reply.added, 2);
    assert_int_equal(reply.replaced, 1);
    struct job_view v;
    assert_int_equal(store_job(w.s, SPAN("job_a"), now(), w.a, &v, &w.f), E_OK);
    assert_int_equal(v.state, JOB_SUCCEEDED);
    assert_int_equal(v.verdict, VERDICT_PARTIAL);
    assert_int_equal(v.failure, FAILURE_NONE);
    assert_int_equal(v.have, 2);
    assert_int_equal(v.users, 1);
    assert_int_equal(v.n_fail, 0); /* the law: the one lease is the one that went well */
    assert_true(span_find(v.why, SPAN("drift")) < v.why.n);
    struct outlook o;
    assert_int_equal(store_outlook(w.s, now(), &o, &w.f), E_OK);
    assert_int_equal(o.by_state[JOB_DEAD], 0);
    assert_int_equal(o.by_state[JOB_SUCCEEDED], 1);
    struct item_view *all;
    size_t count;
    assert_int_equal(
        store_items(w.s, SPAN("job_a"), ITEM_POST, -1, 10, 10000, w.a, &all, &count, &w.f),
        E_OK);
    assert_int_equal(count, 2);
    assert_true(span_is(all[0].json, "{\"id\":\"1\",\"v\":2}"));
    a.revision = v.revision;
    assert_int_equal(repair(&a, &reply), E_CONFLICT); /* once */
}

static void only_a_dead_job_as_it_was_seen_is_repaired(void **state)
{
    (void)state;
    struct repair_reply reply;
    struct lease l = start_job("job_a", 0);
    struct repair_args a = repair_of("job_a", items, 1);
    assert_int_equal(repair(&a, &reply), E_CONFLICT); /* active */
    end_job(&l, FAILURE_DRIFT);
    assert_int_equal(repair(&a, &reply), E_CONFLICT); /* changed meanwhile */
    a = repair_of("job_a", items, 1);
    a.verdict = VERDICT_NONE;
    assert_int_equal(repair(&a, &reply), E_BAD_INPUT);
    a.id = SPAN("job_b");
    assert_int_equal(repair(&a, &reply), E_NOT_FOUND);
    struct lease good = start_job("job_c", 0);
    end_job(&good, FAILURE_NONE);
    a = repair_of("job_c", items, 1);
    assert_int_equal(repair(&a, &reply), E_CONFLICT);
}

static void a_repair_may_come_in_parts_and_keeps_to_the_limit(void **state)
{
    (void)state;
    struct repair_reply reply;
    struct job_view v;
    struct lease l = start_job("job_a", 1);
    end_job(&l, FAILURE_EMPTY_SUSPECT);
    struct repair_args a = repair_of("job_a", items, 1);
    a.done = false;
    assert_int_equal(repair(&a, &reply), E_OK);
    assert_int_equal(store_job(w.s, SPAN("job_a"), now(), w.a, &v, &w.f), E_OK);
    assert_int_equal(v.state, JOB_DEAD);
    assert_int_equal(repair(&a, &reply), E_CONFLICT); /* the revision has moved */
    a = repair_of("job_a", items, 3);
    assert_int_equal(repair(&a, &reply), E_OK);
    assert_int_equal(reply.have, 1);
    assert_int_equal(store_job(w.s, SPAN("job_a"), now(), w.a, &v, &w.f), E_OK);
    assert_int_equal(v.state, JOB_SUCCEEDED);
    assert_int_equal(v.have, 1);
    assert_int_equal(v.users, 1);
}

static void whatever_had_ended_the_job_the_law_holds_after_a_repair(void **state)
{
    (void)state;
    static const enum failure_class classes[] = {FAILURE_DRIFT, FAILURE_NETWORK, FAILURE_CRASH,
                                                 FAILURE_NOT_FOUND, FAILURE_BLOCKED};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        char id[16];
        struct repair_reply reply;
        struct job_view v;
        snprintf(id, sizeof id, "job_%zu", i);
        w.now += 3600000; /* an open breaker of the lane lets one through again */
        struct lease l = start_job(id, 0);
        end_job(&l, classes[i]);
        struct repair_args a = repair_of(id, items, 2);
        assert_int_equal(repair(&a, &reply), E_OK); /* the CHECKs of the schema are the test */
        assert_int_equal(store_job(w.s, span_of(id), now(), w.a, &v, &w.f), E_OK);
        assert_int_equal(v.n_fail + v.n_crash + v.n_throttle + v.n_release, 0);
    }
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_piece_comes_back_as_it_came),
        TEST(the_same_content_is_there_once_until_the_last_piece_goes),
        TEST(a_lost_lease_keeps_nothing),
        TEST(limits_of_a_job_are_gaps_and_no_failures),
        TEST(pictures_are_few_and_what_never_came_is_counted),
        TEST(the_last_room_on_the_disk_is_for_jobs),
        TEST(a_disk_that_fills_while_a_piece_is_written_costs_that_piece_only),
        TEST(a_file_without_a_row_is_removed_after_a_crash),
        TEST(a_file_that_was_cut_is_said_to_be_damaged_and_written_anew),
        TEST(old_pieces_go_and_leave_a_word),
        TEST(above_all_bytes_the_oldest_go),
        TEST(a_dead_job_succeeds_with_what_was_read_again),
        TEST(only_a_dead_job_as_it_was_seen_is_repaired),
        TEST(a_repair_may_come_in_parts_and_keeps_to_the_limit),
        TEST(whatever_had_ended_the_job_the_law_holds_after_a_repair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
