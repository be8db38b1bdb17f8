/* Promises of the store about files of media: kept once, held by jobs, gone with the last of them, and
 * never a row without its file. */
#include "../lib/store.h"
#include "os/digest.h"
#include "os/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>

enum { PATH_SIZE = 400 };

/* A moment later than the last. */
static wall tick(void)
{
    w->now++;
    return now();
}

static struct lease job(const char *id)
{
    struct accept_reply reply;
    struct lease l;
    struct accept_args args = job_args(id);
    begin();
    assert_int_equal(store_accept(w->s, &args, tick(), &reply, &w->f), E_OK);
    assert_int_equal(store_reserve(w->s,
                                   &(struct reserve_args){.worker = SPAN("w"),
                                                          .random = ++w->nonces,
                                                          .needs = NEEDS_PAGE},
                                   tick(), w->a, &l, &w->f),
                     E_OK);
    commit();
    return l;
}

static void end(const struct lease *l)
{
    struct finish_reply reply;
    struct finish_args args = {.id = span_of(l->id),
                               .nonce = l->nonce,
                               .verdict = VERDICT_COMPLETE,
                               .end = END_TERMINATE};
    begin();
    assert_int_equal(store_finish(w->s, &args, tick(), &reply, &w->f), E_OK);
    commit();
}

/* Of a shared store that all nodes share, of the embedded one its own. */
static char *path_to(const char *rest)
{
    static char path[4][PATH_SIZE];
    static int at;
    const char *dir = w->dir ? w->dir : ((struct redis_place *)w->place)->server.dir;
    at = (at + 1) % 4;
    snprintf(path[at], PATH_SIZE, "%s/files/%s", dir, rest);
    return path[at];
}

static bool there(const char *rest)
{
    return access(path_to(rest), F_OK) == 0;
}

static void write_file(const char *rest, const char *content)
{
    char folder[PATH_SIZE];
    snprintf(folder, sizeof folder, "%s", path_to(rest));
    *strrchr(folder, '/') = '\0';
    assert_int_equal(files_make_folder(folder, 0700, &w->f), E_OK);
    FILE *to = fopen(path_to(rest), "w");
    assert_non_null(to);
    fputs(content, to);
    fclose(to);
}

/* A file as download.c leaves it: content as its own name, so that a test can tell them apart. */
struct made {
    char hash[DIGEST_TEXT], path[PATH_SIZE];
    int64_t bytes;
};

static struct made make_part(const char *part, const char *content)
{
    struct made m = {.bytes = (int64_t)strlen(content)};
    struct digest sum;
    char rest[64];
    digest_init(&sum);
    digest_add(&sum, span_of(content));
    digest_end(&sum, m.hash);
    snprintf(m.path, sizeof m.path, "%.2s/%s.jpg", m.hash, m.hash);
    snprintf(rest, sizeof rest, "part/%s", part);
    write_file(rest, content);
    return m;
}

static err put_as(const struct lease *l, const char *url, const char *part,
                  const struct made *m)
{
    struct file_put_args args = {.id = span_of(l->id),
                                 .nonce = l->nonce,
                                 .url = span_of(url),
                                 .part = span_of(part),
                                 .hash = span_of(m->hash),
                                 .suffix = SPAN("jpg"),
                                 .mime = SPAN("image/jpeg"),
                                 .bytes = m->bytes,
                                 .status = 200};
    begin();
    err e = store_file_put(w->s, &args, tick(), &w->f);
    commit();
    return e;
}

static struct made put(const struct lease *l, const char *url, const char *content)
{
    struct made m = make_part("p1", content);
    if (put_as(l, url, "p1", &m))
        fail_msg("%s", w->f.words);
    return m;
}

static struct file_take_reply take(const struct lease *l, const char *url)
{
    struct file_take_reply reply;
    struct file_take_args args = {span_of(l->id), l->nonce, span_of(url)};
    begin();
    if (store_file_take(w->s, &args, &reply, &w->f))
        fail_msg("%s", w->f.words);
    commit();
    return reply;
}

/* Upkeep until there is nothing more to do. */
static void tend_files(void)
{
    bool more = true;
    for (int i = 0; more && i < 1000; i++) {
        begin();
        assert_int_equal(store_files_tend(w->s, tick(), &more, &w->f), E_OK);
        commit();
    }
    assert_false(more);
}

static void retain_all(void)
{
    struct retain_args args = {.age_ms = 1, .dead_age_ms = 1};
    struct retain_reply r = {.more = true};
    while (r.more) {
        begin();
        assert_int_equal(store_retain(w->s, &args, (wall){w->now + 2}, &r, &w->f), E_OK);
        commit();
    }
}

static void expect_gone(const struct made *m)
{
    struct file_view v;
    struct fault f = {0};
    assert_int_equal(store_file(w->s, span_of(m->hash), &v, &f), E_NOT_FOUND);
    assert_false(there(m->path));
}

static void expect_kept(const struct made *m)
{
    struct file_view v;
    struct fault f = {0};
    assert_int_equal(store_file(w->s, span_of(m->hash), &v, &f), E_OK);
    assert_int_equal(v.bytes, m->bytes);
    assert_string_equal(v.mime, "image/jpeg");
    assert_true(there(m->path));
}

/* ---- the promises ---- */

static void a_file_is_named_by_its_content_and_known_by_its_url(void **state)
{
    (void)state;
    struct lease l = job("job_1");
    assert_false(take(&l, "https://a/1").known);
    struct made m = put(&l, "https://a/1", "hello");
    expect_kept(&m);
    assert_false(there("part/p1"));
    struct file_take_reply reply = take(&l, "https://a/1");
    assert_true(reply.known);
    assert_string_equal(reply.file.hash, m.hash);
    assert_int_equal(reply.file.status, 200);
    assert_true(reply.file.at_ms > 0);
    reply = take(&l, "https://a/2");
    assert_false(reply.known);
    assert_int_equal(reply.job_bytes, 5);
    assert_int_equal(reply.total_bytes, 5);
    assert_true(reply.room_bytes > 0);
}

static void the_same_bytes_are_kept_once(void **state)
{
    (void)state;
    struct lease one = job("job_1"), two = job("job_2");
    struct made a = put(&one, "https://a/1", "same"), b = put(&two, "https://b/2", "same");
    assert_string_equal(a.hash, b.hash);
    assert_false(there("part/p1"));
    assert_int_equal(take(&two, "https://none").total_bytes, 4);
    assert_int_equal(take(&two, "https://none").job_bytes, 4);
    /* Again by the same job changes nothing. */
    put(&two, "https://b/2", "same");
    end(&one);
    end(&two);
    retain_all();
    tend_files();
    expect_gone(&a);
}

static void a_file_goes_with_the_last_job_that_holds_it(void **state)
{
    (void)state;
    struct lease one = job("job_1");
    struct made m = put(&one, "https://a/1", "shared"), own = put(&one, "https://a/2", "own");
    end(&one);
    struct lease two = job("job_2");
    assert_true(take(&two, "https://a/1").known); /* from now on this job holds it as well */
    retain_all();
    tend_files();
    expect_kept(&m);
    expect_gone(&own);
    assert_false(take(&two, "https://a/2").known);
    end(&two);
    retain_all();
    tend_files();
    expect_gone(&m);
    store_close(&w->s);
    open_store();
    struct lease three = job("job_3");
    assert_int_equal(take(&three, "https://a/1").total_bytes, 0);
}

static void a_job_with_many_files_is_let_go_in_steps(void **state)
{
    (void)state;
    struct lease l = job("job_1");
    struct made m = {0};
    for (int i = 0; i < 150; i++) {
        char url[40], content[40];
        snprintf(url, sizeof url, "https://a/%d", i);
        snprintf(content, sizeof content, "content %d", i);
        m = put(&l, url, content);
    }
    end(&l);
    retain_all();
    bool more = false;
    begin();
    assert_int_equal(store_files_tend(w->s, tick(), &more, &w->f), E_OK);
    commit();
    assert_true(more);
    tend_files();
    expect_gone(&m);
    struct lease two = job("job_2");
    assert_int_equal(take(&two, "https://none").total_bytes, 0);
}

static void a_stale_lease_keeps_no_file(void **state)
{
    (void)state;
    struct lease l = job("job_1");
    struct made m = make_part("p1", "late");
    l.nonce++;
    assert_int_equal(put_as(&l, "https://a/1", "p1", &m), E_STALE);
    assert_true(there("part/p1"));
    expect_gone(&m);
}

static void what_is_no_whole_part_is_refused(void **state)
{
    (void)state;
    struct lease l = job("job_1");
    struct made m = make_part("p1", "whole");
    m.bytes = 4;
    assert_int_equal(put_as(&l, "https://a/1", "p1", &m), E_BAD_INPUT);
    m.bytes = 5;
    assert_int_equal(put_as(&l, "https://a/1", "none", &m), E_NOT_FOUND);
    assert_int_equal(put_as(&l, "https://a/1", "../../fulmar.db", &m), E_BAD_INPUT);
    snprintf(m.hash, sizeof m.hash, "../../etc");
    assert_int_equal(put_as(&l, "https://a/1", "p1", &m), E_BAD_INPUT);
    assert_false(take(&l, "https://a/1").known);
}

static void a_file_that_somebody_removed_is_fetched_again(void **state)
{
    (void)state;
    struct lease l = job("job_1");
    struct made m = put(&l, "https://a/1", "here");
    assert_int_equal(unlink(path_to(m.path)), 0);
    assert_false(take(&l, "https://a/1").known);
    put(&l, "https://a/1", "here");
    expect_kept(&m);
    assert_int_equal(take(&l, "https://none").total_bytes, 4);
}

/* The process dies between the file's name and its row. */
static void a_crash_leaves_no_row_without_file_and_no_file_without_row(void **state)
{
    (void)state;
    if (!w->dir)
        skip(); /* there a put is one step behind another, not one transaction: see below */
    struct lease l = job("job_1");
    struct made kept = put(&l, "https://a/1", "kept");
    struct made m = make_part("p2", "torn");
    store_close(&w->s);
    pid_t child = fork();
    if (child == 0) {
        struct fault f = {0};
        struct lease again;
        if (store_open(&w->s, w->dir, &w->limits, 7, tick(), &f) || store_begin(w->s, &f) ||
            store_reserve(w->s,
                          &(struct reserve_args){
                              .worker = SPAN("w"), .random = ++w->nonces, .needs = NEEDS_PAGE},
                          tick(), w->a, &again, &f))
            _exit(1);
        struct file_put_args args = {.id = span_of(again.id),
                                     .nonce = again.nonce,
                                     .url = SPAN("https://a/2"),
                                     .part = SPAN("p2"),
                                     .hash = span_of(m.hash),
                                     .suffix = SPAN("jpg"),
                                     .mime = SPAN("image/jpeg"),
                                     .bytes = m.bytes,
                                     .status = 200};
        _exit(store_file_put(w->s, &args, tick(), &f) ? 2 : 0); /* never committed */
    }
    int status = -1;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_true(there(m.path));
    open_store();
    tend_files();
    expect_gone(&m);
    expect_kept(&kept);
}

/* A node died between the file's name and its row: another one may be about to write that, for an hour. */
static void a_file_without_a_row_goes_when_nobody_can_be_about_to_write_it(void **state)
{
    (void)state;
    struct lease l = job("job_1");
    struct made kept = put(&l, "https://a/1", "kept"), old = make_part("p2", "old"),
                young = make_part("p3", "young");
    struct timespec then[2] = {{w->now / 1000 - 7200, 0}, {w->now / 1000 - 7200, 0}};
    struct timespec just[2] = {{w->now / 1000 - 60, 0}, {w->now / 1000 - 60, 0}};
    write_file(old.path, "old");
    write_file(young.path, "young");
    assert_int_equal(utimensat(AT_FDCWD, path_to(old.path), then, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, path_to(kept.path), then, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, path_to(young.path), just, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, path_to("part/p3"), just, 0), 0);
    tend_files();
    expect_gone(&old);
    expect_kept(&kept);
    assert_int_equal(there(young.path), w->dir == NULL);
    /* It is one of ours as soon as a job brings it. */
    assert_int_equal(put_as(&l, "https://a/3", "p3", &young), E_OK);
    expect_kept(&young);
}

/* Another node has taken its row and is about to remove the file, or died there. */
static void a_file_that_is_being_removed_is_not_taken_for_kept(void **state)
{
    (void)state;
    if (w->dir)
        skip(); /* nobody else is there */
    struct lease l = job("job_1");
    struct made m = make_part("p1", "going");
    struct arena *a = arena_new(1 << 16);
    struct reply r = {0};
    char at[24];
    snprintf(at, sizeof at, "%lld", (long long)w->now);
    assert_int_equal(link_say(((struct redis_place *)w->place)->watch, a, &r, &w->f, "HSET",
                              "fulmar:{q}:fgoing", m.hash, at, NULL),
                     E_OK);
    arena_free(&a);
    assert_int_equal(put_as(&l, "https://a/1", "p1", &m), E_BUSY);
    assert_true(there("part/p1"));
    w->now += 61000;
    assert_int_equal(put_as(&l, "https://a/1", "p1", &m), E_OK);
    expect_kept(&m);
}

static void an_old_part_is_removed_and_a_young_one_stays(void **state)
{
    (void)state;
    struct timespec then[2] = {{w->now / 1000 - 100000, 0}, {w->now / 1000 - 100000, 0}};
    struct timespec just[2] = {{w->now / 1000 - 1000, 0}, {w->now / 1000 - 1000, 0}};
    write_file("part/old", "x");
    write_file("part/young", "x");
    assert_int_equal(utimensat(AT_FDCWD, path_to("part/old"), then, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, path_to("part/young"), just, 0), 0);
    tend_files();
    assert_false(there("part/old"));
    assert_true(there("part/young"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static const struct CMUnitTest tests[] = {
    T(a_file_is_named_by_its_content_and_known_by_its_url),
    T(the_same_bytes_are_kept_once),
    T(a_file_goes_with_the_last_job_that_holds_it),
    T(a_job_with_many_files_is_let_go_in_steps),
    T(a_stale_lease_keeps_no_file),
    T(what_is_no_whole_part_is_refused),
    T(a_file_that_somebody_removed_is_fetched_again),
    T(a_crash_leaves_no_row_without_file_and_no_file_without_row),
    T(a_file_without_a_row_goes_when_nobody_can_be_about_to_write_it),
    T(a_file_that_is_being_removed_is_not_taken_for_kept),
    T(an_old_part_is_removed_and_a_young_one_stays),
};
RUN_ON_ALL_STORES(tests)
