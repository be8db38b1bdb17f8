/* store.h - a store in a folder of its own, one operation a group, for tests of what lies on top of
 * jobs. Include it once, in the program's only file. */
#pragma once

#include "store/batches.h"
#include "world.h"

static int set_up(void **state)
{
    struct store_limits limits = world_limits();
    limits.fail_max = 1;
    limits.throttle_max = 2;
    limits.lane_max_active = 1000;
    return world_open(state, limits);
}

static void copy_file(const char *from_dir, const char *to_dir, const char *name)
{
    char path[128], piece[8192];
    snprintf(path, sizeof path, "%s/%s", from_dir, name);
    FILE *from = fopen(path, "rb");
    if (!from)
        return;
    snprintf(path, sizeof path, "%s/%s", to_dir, name);
    FILE *to = fopen(path, "wb");
    assert_non_null(to);
    for (size_t n; (n = fread(piece, 1, sizeof piece, from)) > 0;)
        assert_int_equal(fwrite(piece, 1, n, to), n);
    fclose(from);
    fclose(to);
    assert_int_equal(chmod(path, 0600), 0); /* a key that others may read is none */
}

/* The process ends here, in the middle of a group or not: what comes next finds what is in the files
 * at this moment, and nothing else. */
static void crash(bool in_group)
{
    char before[64];
    memcpy(before, w->dir, sizeof before);
    snprintf(w->dir + strlen(w->dir) - 6, 7, "XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    copy_file(before, w->dir, "fulmar.db");
    copy_file(before, w->dir, "fulmar.db-wal");
    copy_file(before, w->dir, "fulmar.key");
    if (in_group)
        commit(); /* of the store that is thrown away */
    store_close(&w->s);
    nftw(before, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    open_store();
}

static const char *new_id(const char *kind)
{
    uint8_t random[10] = {0};
    int64_t n = ++w->numbers;
    memcpy(random, &n, sizeof n);
    char *id = arena_get(w->a, ID_TEXT);
    id_make(id, kind, (wall){T0}, random);
    return id;
}

static struct accept_args job_args(const char *id)
{
    return (struct accept_args){
        .id = span_of(id),
        .site = SPAN("x"),
        .kind = SPAN("posts"),
        .target = SPAN("nasa"),
        .lane = SPAN("x/normal"),
        .spec = SPAN("{}"),
        .prio = 5,
    };
}

static const char *accept_job(void)
{
    const char *id = new_id("job");
    struct accept_args args = job_args(id);
    struct accept_reply reply;
    begin();
    assert_int_equal(store_accept(w->s, &args, now(), &reply, &w->f), E_OK);
    commit();
    return id;
}

static bool reserve(struct lease *out)
{
    begin();
    struct reserve_args args = {.worker = SPAN("w1"), .random = ++w->nonces, .needs = NEEDS_PAGE};
    err e = store_reserve(w->s, &args, now(), w->a, out, &w->f);
    commit();
    assert_true(e == E_OK || e == E_END);
    return e == E_OK;
}

/* Leases until this job is held; others that come first are given back at the end. */
static struct lease lease_of(const char *id)
{
    static struct lease others[200];
    struct lease found = {0}, l;
    size_t n = 0;
    while (!found.id[0] && n < 200 && reserve(&l)) {
        if (strcmp(l.id, id) == 0)
            found = l;
        else
            others[n++] = l;
    }
    for (size_t i = 0; i < n; i++) {
        struct finish_args args = {
            .id = span_of(others[i].id), .nonce = others[i].nonce, .budget = BUDGET_RELEASE};
        struct finish_reply reply;
        begin();
        assert_int_equal(store_finish(w->s, &args, now(), &reply, &w->f), E_OK);
        commit();
    }
    assert_string_equal(found.id, id);
    return found;
}

/* Without a commit. */
static enum job_state finish_open(const struct lease *l, enum failure_class failure,
                                  const char *why)
{
    struct finish_reply reply;
    struct finish_args args = {
        .id = span_of(l->id), .nonce = l->nonce, .failure = failure, .why = span_of(why)};
    if (failure == FAILURE_NONE) {
        args.verdict = VERDICT_COMPLETE;
        args.end = END_TERMINATE;
    }
    err e = store_finish(w->s, &args, now(), &reply, &w->f);
    if (e)
        fail_msg("store_finish: %s", w->f.words);
    return reply.state;
}

static enum job_state finish(const struct lease *l, enum failure_class failure, const char *why)
{
    begin();
    enum job_state state = finish_open(l, failure, why);
    commit();
    return state;
}

static void end_job(const char *id, enum failure_class failure)
{
    struct lease l = lease_of(id);
    finish(&l, failure, failure ? "the site said no" : "");
}

__attribute__((unused)) static struct job_view view(const char *id)
{
    struct job_view v;
    struct fault f = {0};
    err e = store_job(w->s, span_of(id), now(), w->a, &v, &f);
    if (e)
        fail_msg("store_job %s: %s", id, f.words);
    return v;
}

__attribute__((unused)) static void tend(void)
{
    begin();
    err e = store_tend(w->s, now(), &w->f);
    if (e)
        fail_msg("store_tend: %s", w->f.words);
    commit();
}

static int64_t events_of(const char *subject, const char *kind)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM events WHERE job='%s' AND kind='%s'",
             subject, kind);
    return ask(sql);
}
