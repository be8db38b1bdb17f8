/* Scenarios S1-S10: what is accepted is there, once, whatever happens; what is refused leaves no trace. */
#include "../lib/scenario.h"

#include <string.h>

static const char *const words = "0123456789abcdef";

/* A text of n bytes; in the arena. */
static struct span text_of(size_t n)
{
    char *p = arena_get(w->ids, n + 1);
    for (size_t i = 0; i < n; i++)
        p[i] = words[i % 16];
    return (struct span){p, n};
}

static void
s01_an_accepted_job_is_there_once_when_the_power_fails_after_the_answer(void **state)
{
    (void)state;
    const char *id = accept_job();
    crash();
    assert_int_equal(state_of(id), JOB_READY);
    assert_int_equal(jobs_count(), 1);
    crash();
    struct lease l = lease_next();
    assert_string_equal(l.id, id);
    assert_true(has_none());
}

static void s02_asked_again_after_a_crash_at_any_point_there_is_one_job(void **state)
{
    (void)state;
    struct accept_reply reply;
    /* Before anything is written; written and not committed; committed and not answered. */
    for (int point = 0; point < 3; point++) {
        const char *id = new_id();
        struct accept_args args = job_args(id, "x/normal");
        args.idempotency_key = span_of(id);
        int64_t before = jobs_count();
        if (point > 0) {
            begin();
            assert_int_equal(try_accept(&args, &reply), E_OK);
            if (point == 2)
                commit();
        }
        crash();
        assert_int_equal(exists(id), point == 2);
        assert_string_equal(accept_args(&args).id, id);
        assert_int_equal(jobs_count(), before + 1);
        assert_int_equal(state_of(id), JOB_READY);
    }
}

static void s03_a_bad_job_in_a_group_of_500_leaves_no_trace(void **state)
{
    (void)state;
    struct world *with = w, *without = world_new();
    struct accept_reply reply;
    for (int turn = 0; turn < 2; turn++) {
        w = turn ? without : with;
        begin();
        for (int i = 0; i < 500; i++) {
            struct accept_args args = job_args(new_id(), i % 2 ? "x/normal" : "y/bulk");
            if (i == 300)
                args.lane = SPAN("new/site/nonsense");
            if (i ==
                301) { /* refused later than that: a lane of its own would be there already */
                args.lane = SPAN("fresh/normal");
                args.id = SPAN("job_0000001");
            }
            if (i != 300 && i != 301)
                accept_args(&args);
            else if (w == with)
                assert_int_equal(try_accept(&args, &reply),
                                 i == 300 ? E_BAD_INPUT : E_CONFLICT);
        }
        commit();
        assert_int_equal(jobs_count(), 498);
    }
    struct span clean = look();
    w = with;
    same_look(clean, look());
    w = without;
    world_free(w);
    w = with;
}

static void s05_fifty_equal_requests_make_one_job_and_get_one_answer(void **state)
{
    (void)state;
    char first[ID_TEXT] = "";
    struct accept_reply reply;
    for (int i = 0; i < 50; i++) {
        struct accept_args args = job_args(new_id(), "x/normal");
        args.idempotency_key = SPAN("order 66");
        args.request_hash = 7;
        if (i == 0)
            begin(); /* half of them come at once, the others one by one */
        reply = accept_args(&args);
        if (i == 0)
            memcpy(first, reply.id, sizeof first);
        if (i == 24)
            commit();
        assert_string_equal(reply.id, first);
        assert_int_equal(reply.replayed, i > 0);
    }
    assert_int_equal(jobs_count(), 1);
    struct accept_args other = job_args(new_id(), "x/normal");
    other.idempotency_key = SPAN("order 66");
    other.request_hash = 8;
    struct span before = look();
    assert_int_equal(try_accept(&other, &reply), E_BAD_INPUT);
    same_look(before, look());
    /* Another tenant's key is another key; so is this one when its life is over. */
    other.lane = SPAN("other/x/normal");
    assert_false(accept_args(&other).replayed);
    w->now += STORE_KEY_MS + 1;
    retain(&(struct retain_args){0});
    struct accept_args late = job_args(new_id(), "x/normal");
    late.idempotency_key = SPAN("order 66");
    late.request_hash = 9;
    assert_false(accept_args(&late).replayed);
}

static void s06_the_same_key_gives_the_same_job_after_a_restart(void **state)
{
    (void)state;
    const char *id = new_id();
    struct accept_args args = job_args(id, "x/normal");
    args.idempotency_key = SPAN("k");
    accept_args(&args);
    crash();
    struct accept_args again = job_args(new_id(), "x/normal");
    again.idempotency_key = SPAN("k");
    assert_string_equal(accept_args(&again).id, id);
    struct lease l = start_next(); /* also when the job has ended, and longer */
    finish(&l, FAILURE_NONE);
    w->now += 3600000;
    crash();
    assert_string_equal(accept_args(&again).id, id);
    assert_int_equal(jobs_count(), 1);
}

static void expect_keyed(const char *tenant, const char *key, const char *id)
{
    char found[ID_TEXT] = "";
    w->f = (struct fault){0};
    err e = store_keyed(w->s, span_of(tenant), span_of(key), now(), found, &w->f);
    assert_int_equal(e, id ? E_OK : E_NOT_FOUND);
    assert_string_equal(found, id ? id : "");
}

/* Whoever lost the answer finds the job by the key, as long as the key counts. */
static void a_job_is_found_by_the_key_of_its_request_for_72_hours(void **state)
{
    (void)state;
    const char *id = new_id();
    struct accept_args args = job_args(id, "default/x/normal");
    args.idempotency_key = SPAN("a key");
    accept_args(&args);
    expect_keyed("default", "a key", id);
    expect_keyed("default", "a ke", NULL);
    expect_keyed("press", "a key", NULL);
    w->now += STORE_KEY_MS;
    expect_keyed("default", "a key", id);
    w->now += 1;
    expect_keyed("default", "a key", NULL);
}

static void s09_a_draining_service_takes_nothing_and_does_all_else(void **state)
{
    (void)state;
    static const enum store_mode modes[] = {MODE_DRAINING, MODE_MAINTENANCE};
    for (int i = 0; i < 2; i++) {
        const char *running = accept_job(), *other = accept_job(), *waiting = accept_job();
        struct lease l = start_next(), m = start_next();
        struct accept_reply reply;
        mode_set(modes[i]);
        crash(); /* kept over it; what ran is given back */
        assert_int_equal(state_of(running), JOB_READY);
        struct span before = look();
        struct accept_args args = job_args(new_id(), "x/normal");
        assert_int_equal(try_accept(&args, &reply),
                         modes[i] == MODE_DRAINING ? E_DRAINING : E_MAINTENANCE);
        assert_true(w->f.wait_ms > 0);
        same_look(before, look());
        if (modes[i] == MODE_DRAINING) { /* what it has, it does */
            l = start_next();
            m = start_next();
        } else {
            assert_true(has_none());
            mode_set(MODE_NORMAL);
            l = start_next();
            m = start_next();
            mode_set(modes[i]);
        }
        assert_int_equal(commit_batch(&l, 0, 0, 3), E_OK);
        assert_int_equal(heartbeat(&l, NULL), E_OK);
        assert_int_equal(finish(&l, FAILURE_NONE).state, JOB_SUCCEEDED);
        assert_int_equal(cancel(other, true).state, JOB_CANCELLED);
        assert_int_equal(heartbeat(&m, NULL), E_STALE);
        assert_int_equal(cancel(waiting, false).state, JOB_CANCELLED);
        assert_int_equal(items_count(running), 3);
        mode_set(MODE_NORMAL);
        assert_int_equal(try_accept(&args, &reply), E_OK);
        cancel(args.id.p, false);
    }
}

static void refused(err want, err e, struct span before)
{
    assert_int_equal(e, want);
    assert_true(w->f.code == want && w->f.words[0]);
    same_look(before, look());
}

static void s10_what_is_over_its_limit_is_refused_before_anything_is_written(void **state)
{
    (void)state;
    struct accept_reply reply;
    accept_job();
    struct lease l = start_next();
    struct span before = look();
    const struct {
        size_t offset, most;
    } texts[] = {
        {offsetof(struct accept_args, spec), STORE_SPEC_MAX},
        {offsetof(struct accept_args, target), 4096},
        {offsetof(struct accept_args, idempotency_key), 256},
        {offsetof(struct accept_args, unique_key), 256},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct accept_args args = job_args("job_large", "x/normal");
        *(struct span *)(void *)((char *)&args + texts[i].offset) = text_of(texts[i].most + 1);
        refused(E_BAD_INPUT, try_accept(&args, &reply), before);
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) { /* at the limit it is taken */
        struct accept_args args = job_args(new_id(), "x/normal");
        *(struct span *)(void *)((char *)&args + texts[i].offset) = text_of(texts[i].most);
        accept_args(&args);
    }
    before = look();
    struct commit_reply done;
    struct store_item item = {.kind = ITEM_POST, .id = SPAN("1"), .json = SPAN("{}")};
    struct commit_args c = {.id = span_of(l.id), .nonce = l.nonce, .items = &item, .count = 1};
    c.cursor = text_of(STORE_CURSOR_MAX + 1);
    begin();
    err e = store_commit_batch(w->s, &c, now(), &done, &w->f);
    commit();
    refused(E_BAD_INPUT, e, before);
    c.cursor = text_of(STORE_CURSOR_MAX);
    begin();
    assert_int_equal(store_commit_batch(w->s, &c, now(), &done, &w->f), E_OK);
    commit();
    before = look();
    struct store_item *many = calloc(100001, sizeof *many);
    for (int i = 0; i <= 100000; i++)
        many[i] = item;
    c = (struct commit_args){
        .id = span_of(l.id), .nonce = l.nonce, .batch = 1, .items = many, .count = 100001};
    begin();
    e = store_commit_batch(w->s, &c, now(), &done, &w->f);
    commit();
    free(many);
    refused(E_TOO_BIG, e, before);
    WITH(ready_max, 5); /* as many wait, the job that ran among them */
    before = look();
    struct accept_args args = job_args("job_more", "x/normal");
    begin();
    e = store_accept(w->s, &args, now(), &reply, &w->f);
    commit();
    assert_int_equal(outlook().by_state[JOB_READY], 5);
    refused(E_BUSY, e, before);
}

static const struct CMUnitTest tests[] = {
    S(s01_an_accepted_job_is_there_once_when_the_power_fails_after_the_answer),
    S(s02_asked_again_after_a_crash_at_any_point_there_is_one_job),
    S(s03_a_bad_job_in_a_group_of_500_leaves_no_trace),
    S(s05_fifty_equal_requests_make_one_job_and_get_one_answer),
    S(s06_the_same_key_gives_the_same_job_after_a_restart),
    S(a_job_is_found_by_the_key_of_its_request_for_72_hours),
    S(s09_a_draining_service_takes_nothing_and_does_all_else),
    S(s10_what_is_over_its_limit_is_refused_before_anything_is_written),
};
RUN_ON_ALL_STORES(tests)
