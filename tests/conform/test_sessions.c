/* The promises of store/sessions.h, one test each. */
#include "../lib/makers.h"
#include "base/id.h"
#include "core/lane.h"
#include "os/files.h"
#include "store/sessions.h"

#include <dirent.h>

#define T0     1800000000000
#define SEARCH "SearchTimeline"
#define POSTS  "UserTweets"
#define CANARY "c4nary-0f-a-l0gin"

struct world {
    void *place;
    const char *dir; /* where the key is */
    struct store *s;
    struct store_limits limits;
    struct arena *a;
    int64_t now;
    uint64_t nonces;
    int jobs;
    struct fault f;
};
static struct world *w;

static wall now(void)
{
    return (wall){w->now};
}

static void open_store(void)
{
    w->f = (struct fault){0};
    if (maker->open(w->place, &w->limits, now(), &w->s, &w->f))
        fail_msg("open: %s", w->f.words);
}

static int set_up(void **state)
{
    (void)state;
    unsetenv("CREDENTIALS_DIRECTORY");
    w = calloc(1, sizeof *w);
    w->place = maker->make();
    w->dir = maker == store_makers ? w->place : ((struct redis_place *)w->place)->server.dir;
    w->limits = (struct store_limits){.ready_max = 1000,
                                      .fail_max = 3,
                                      .crash_max = 2,
                                      .throttle_max = 4,
                                      .retry_base_ms = 1000,
                                      .retry_cap_ms = 60000,
                                      .lane_max_active = 100,
                                      .lane_burst = 1,
                                      .lease_ms = 600000};
    w->a = arena_new(64 << 20);
    w->now = T0;
    open_store();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_close(&w->s);
    arena_free(&w->a);
    maker->remove(w->place);
    free(w);
    return 0;
}

static void begin(void)
{
    w->f = (struct fault){0};
    assert_int_equal(store_begin(w->s, &w->f), E_OK);
}

static void commit(void)
{
    struct fault f = {0};
    if (store_commit(w->s, &f))
        fail_msg("store_commit: %s", f.words);
}

/* ---- sessions ---- */

static const char *id_of(const char *name)
{
    return arena_fmt(w->a, "ses_%s", name);
}

static struct session_add plain(const char *name)
{
    return (struct session_add){.id = span_of(id_of(name)),
                                .site = SPAN("x"),
                                .pool = SPAN("research"),
                                .name = span_of(name),
                                .burst = 1,
                                .max_active = 1};
}

static err add(const struct session_add *args)
{
    begin();
    err e = store_session_add(w->s, args, now(), &w->f);
    commit();
    return e;
}

static err cookies(const char *session, int64_t expires_ms)
{
    const char *text =
        arena_fmt(w->a, "[{\"name\":\"auth_token\",\"value\":\"" CANARY "-%s\"}]", session);
    struct session_cookies args = {.session = span_of(session),
                                   .text = span_of(text),
                                   .count = 1,
                                   .expires_ms = expires_ms};
    begin();
    err e = store_session_cookies(w->s, &args, now(), &w->f);
    commit();
    return e;
}

static void session(const char *name)
{
    struct session_add args = plain(name);
    assert_int_equal(add(&args), E_OK);
    assert_int_equal(cookies(name, 0), E_OK);
}

static err lock(const char *name, bool locked)
{
    begin();
    err e = store_session_lock(w->s, span_of(name), locked, SPAN("a person looks at it"), now(),
                               &w->f);
    commit();
    return e;
}

static struct session_view view(const char *name)
{
    struct session_view v;
    err e = store_session(w->s, span_of(name), now(), &v, &w->f);
    if (e)
        fail_msg("store_session: %s", w->f.words);
    return v;
}

static void state_is(const char *name, enum session_state st)
{
    assert_string_equal(session_state_name(view(name).state), session_state_name(st));
}

/* ---- jobs ---- */

static err accept_with(const char *pool, const char *operation, char **out_id)
{
    struct accept_reply reply;
    char *id = arena_fmt(w->a, "job_%d", ++w->jobs);
    char *lane = *pool ? arena_fmt(w->a, "x/normal@%s.%s", pool, operation)
                       : arena_fmt(w->a, "x/normal");
    struct accept_args args = {.id = span_of(id),
                               .site = SPAN("x"),
                               .kind = SPAN("search"),
                               .target = SPAN("heat"),
                               .lane = span_of(lane),
                               .pool = span_of(pool),
                               .operation = *pool ? span_of(operation) : SPAN_NONE,
                               .spec = SPAN("{}"),
                               .prio = 5};
    begin();
    err e = store_accept(w->s, &args, now(), &reply, &w->f);
    commit();
    *out_id = id;
    return e;
}

static char *accept_job(const char *pool, const char *operation)
{
    char *id;
    assert_int_equal(accept_with(pool, operation, &id), E_OK);
    return id;
}

static err reserve(struct lease *out)
{
    begin();
    err e = store_reserve(w->s,
                          &(struct reserve_args){
                              .worker = SPAN("w1"), .random = ++w->nonces, .needs = NEEDS_PAGE},
                          now(), w->a, out, &w->f);
    commit();
    return e;
}

static struct lease lease_with(const char *session_name)
{
    struct lease l;
    assert_int_equal(reserve(&l), E_OK);
    assert_string_equal(l.session, session_name ? id_of(session_name) : "");
    return l;
}

static void none_starts(void)
{
    struct lease l;
    assert_int_equal(reserve(&l), E_END);
}

static struct finish_reply end_with(const struct lease *l, enum failure_class failure,
                                    int64_t wait_ms, bool final)
{
    struct finish_reply reply;
    struct finish_args args = {.id = span_of(l->id),
                               .nonce = l->nonce,
                               .failure = failure,
                               .wait_ms = wait_ms,
                               .final = final,
                               .why = SPAN("because"),
                               .usage = SPAN("1 1 1 7")};
    if (failure == FAILURE_NONE) {
        args.verdict = VERDICT_COMPLETE;
        args.end = END_TERMINATE;
    }
    begin();
    err e = store_finish(w->s, &args, now(), &reply, &w->f);
    if (e)
        fail_msg("store_finish: %s", w->f.words);
    commit();
    return reply;
}

static struct finish_reply finish(const struct lease *l, enum failure_class failure,
                                  int64_t wait_ms)
{
    return end_with(l, failure, wait_ms, false);
}

static void reap(void)
{
    struct reap_reply reply;
    begin();
    assert_int_equal(store_reap(w->s, now(), &reply, &w->f), E_OK);
    commit();
}

static struct job_view job(const char *id)
{
    struct job_view v;
    assert_int_equal(store_job(w->s, span_of(id), now(), w->a, &v, &w->f), E_OK);
    return v;
}

static struct outlook outlook(void)
{
    struct outlook o;
    assert_int_equal(store_outlook(w->s, now(), &o, &w->f), E_OK);
    return o;
}

/* ---- what is kept ---- */

static void a_session_is_shown_by_its_facts(void **state)
{
    (void)state;
    struct session_add args = plain("anna");
    args.emit_ms = 20000;
    args.burst = 2;
    assert_int_equal(add(&args), E_OK);
    struct session_view v = view("anna");
    assert_string_equal(v.id, id_of("anna"));
    assert_string_equal(v.site, "x");
    assert_string_equal(v.pool, "research");
    assert_int_equal(v.state, SESSION_INVALID);
    assert_string_equal(v.reason, "it has no cookies yet");
    assert_string_equal(v.print, "");
    assert_int_equal(v.emit_ms, 20000);
    assert_int_equal(v.created_ms, T0);
    w->now += 1000;
    assert_int_equal(cookies("anna", T0 + 5000), E_OK);
    v = view(id_of("anna"));
    assert_int_equal(v.state, SESSION_ACTIVE);
    assert_int_equal(strlen(v.print), 32);
    assert_int_equal(v.cookie_count, 1);
    assert_int_equal(v.updated_ms, T0 + 1000);
    assert_true(v.revision > 1);
    w->now += 4000;
    v = view("anna");
    assert_int_equal(v.state, SESSION_EXPIRED);
    assert_int_equal(v.since_ms, T0 + 5000);
    assert_int_equal(store_session(w->s, SPAN("bert"), now(), &v, &w->f), E_NOT_FOUND);
}

static void names_are_the_site_s_own_and_pools_have_a_size(void **state)
{
    (void)state;
    struct session_add args = plain("anna");
    assert_int_equal(add(&args), E_OK);
    args.id = SPAN("ses_other");
    assert_int_equal(add(&args), E_CONFLICT);
    args.site = SPAN("mastodon");
    assert_int_equal(add(&args), E_OK);
    struct session_view v;
    assert_int_equal(store_session(w->s, SPAN("anna"), now(), &v, &w->f), E_CONFLICT);
    assert_int_equal(store_session(w->s, SPAN("ses_other"), now(), &v, &w->f), E_OK);
    static const char *const wrong[] = {"",    "ses_1", "a b",
                                        "a/b", "ä",     "012345678901234567890123456789012"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        args = plain("bert");
        args.name = span_of(wrong[i]);
        assert_int_equal(add(&args), E_BAD_INPUT);
    }
    args = plain("bert");
    args.pool = SPAN("a.b"); /* the dot ends the pool in a lane's name */
    assert_int_equal(add(&args), E_BAD_INPUT);
    args = plain("bert");
    args.burst = 0;
    assert_int_equal(add(&args), E_BAD_INPUT);
    for (int i = 1; i < SESSIONS_IN_POOL; i++) {
        args = plain(arena_fmt(w->a, "s%d", i));
        assert_int_equal(add(&args), E_OK);
    }
    args = plain("one-more");
    assert_int_equal(add(&args), E_BUSY);
    struct session_view *list;
    size_t count;
    assert_int_equal(
        store_sessions(w->s, SPAN("x"), SPAN_NONE, now(), w->a, &list, &count, &w->f), E_OK);
    assert_int_equal(count, SESSIONS_IN_POOL);
    assert_int_equal(
        store_sessions(w->s, SPAN_NONE, SPAN("none"), now(), w->a, &list, &count, &w->f), E_OK);
    assert_int_equal(count, 0);
}

static bool holds(const char *path, const char *needle)
{
    struct buf b = BUF(64 << 20);
    assert_int_equal(files_read(-100 /* AT_FDCWD */, path, 32 << 20, &b, NULL), E_OK);
    bool found = span_find(buf_span(&b), span_of(needle)) < b.n;
    buf_free(&b);
    return found;
}

static void cookies_lie_sealed_on_the_disk_and_no_query_tells_them(void **state)
{
    (void)state;
    session("anna");
    accept_job("research", SEARCH);
    struct lease l = lease_with("anna");
    finish(&l, FAILURE_NONE, 0);
    struct session_view v = view("anna");
    for (size_t i = 0; i + sizeof CANARY <= sizeof v; i++)
        assert_int_not_equal(memcmp((const char *)&v + i, CANARY, sizeof CANARY - 1), 0);
    DIR *d = opendir(w->dir);
    int files = 0;
    for (struct dirent *e; (e = readdir(d));) {
        char *path = arena_fmt(w->a, "%s/%s", w->dir, e->d_name);
        if (e->d_type != DT_REG || strcmp(e->d_name, "fulmar.ballast") == 0)
            continue;
        files++;
        if (holds(path, CANARY))
            fail_msg("%s holds it", path);
    }
    closedir(d);
    const char *log =
        maker == store_makers ? "fulmar.db-wal" : "appendonlydir/appendonly.aof.1.incr.aof";
    char *path = arena_fmt(w->a, "%s/%s", w->dir, log);
    assert_true(files >= 2); /* the key among them */
    assert_true(holds(path, id_of("anna")));
    assert_false(holds(path, CANARY));
}

static void only_the_lease_opens_the_cookies_of_its_session(void **state)
{
    (void)state;
    session("anna");
    char *id = accept_job("research", SEARCH);
    struct secret got = {0};
    assert_int_equal(store_session_open(w->s, span_of(id), 1, &got, &w->f), E_STALE);
    struct lease l = lease_with("anna");
    assert_int_equal(store_session_open(w->s, span_of(id), l.nonce + 1, &got, &w->f), E_STALE);
    assert_int_equal(store_session_open(w->s, span_of(id), l.nonce, &got, &w->f), E_OK);
    assert_true(span_is(secret_span(&got),
                        "[{\"name\":\"auth_token\",\"value\":\"" CANARY "-anna\"}]"));
    secret_free(&got);
    finish(&l, FAILURE_NONE, 0);
    assert_int_equal(store_session_open(w->s, span_of(id), l.nonce, &got, &w->f), E_STALE);
    accept_job("", "");
    l = lease_with(NULL);
    assert_int_equal(store_session_open(w->s, span_of(l.id), l.nonce, &got, &w->f),
                     E_NOT_FOUND);
}

static void without_their_key_cookies_stay_closed(void **state)
{
    (void)state;
    session("anna");
    accept_job("research", SEARCH);
    struct lease l = lease_with("anna");
    struct secret got = {0};
    finish(&l, FAILURE_NONE, 0);
    store_close(&w->s);
    assert_int_equal(unlink(arena_fmt(w->a, "%s/fulmar.key", w->dir)), 0);
    open_store();
    session("bert"); /* makes another one */
    accept_job("research", SEARCH);
    struct lease bert = lease_with("bert");
    accept_job("research", SEARCH);
    l = lease_with("anna");
    assert_int_equal(store_session_open(w->s, span_of(l.id), l.nonce, &got, &w->f), E_DENIED);
    assert_int_equal(store_session_open(w->s, span_of(bert.id), bert.nonce, &got, &w->f), E_OK);
    secret_free(&got);
}

/* ---- which one ---- */

static void the_one_that_was_used_longest_ago_is_next(void **state)
{
    (void)state;
    session("anna");
    session("bert");
    session("cora");
    static const char *const order[] = {"anna", "bert", "cora", "anna", "bert", "cora"};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        w->now += 10;
        accept_job("research", SEARCH);
        struct lease l = lease_with(order[i]);
        finish(&l, FAILURE_NONE, 0);
    }
    struct session_view v = view("cora");
    assert_int_equal(v.used_ms, w->now);
    assert_int_equal(v.last_ok_ms, w->now);
    assert_int_equal(v.leases_24h, 2);
    assert_int_equal(v.requests_24h, 14);
    w->now += 25LL * 3600 * 1000;
    assert_int_equal(view("cora").leases_24h, 0);
    assert_int_equal(view("cora").requests_24h, 0);
}

static void
one_in_cool_down_and_one_out_of_its_budget_leave_one_start_then_the_lane_waits_and_nothing_is_charged(
    void **state)
{
    (void)state; /* S85 */
    session("anna");
    struct session_add args = plain("bert");
    args.emit_ms = 40000;
    assert_int_equal(add(&args), E_OK);
    assert_int_equal(cookies("bert", 0), E_OK);
    session("cora");
    accept_job("research", SEARCH);
    struct lease l = lease_with("anna");
    finish(&l, FAILURE_RATE_LIMITED, 60000); /* anna cools down */
    reap();
    w->now += 1;
    l = lease_with("bert");
    finish(&l, FAILURE_NONE, 0); /* bert is out of its budget */
    w->now += 1;

    char *ids[3];
    for (int i = 0; i < 3; i++)
        ids[i] = accept_job("research", SEARCH);
    l = lease_with("cora");
    none_starts();
    none_starts();
    for (int i = 1; i < 3; i++) {
        struct job_view v = job(ids[i]);
        assert_int_equal(v.state, JOB_READY);
        assert_int_equal(v.fence + v.n_fail + v.n_crash + v.n_throttle + v.n_release, 0);
        assert_int_equal(v.waiting, WAITING_SESSION);
        assert_int_equal(v.waiting_until_ms, T0 + 40001); /* bert's rate */
    }
    struct outlook o = outlook();
    assert_int_equal(o.startable, 0);
    assert_int_equal(o.next_ms, T0 + 40001);
    finish(&l, FAILURE_NONE, 0); /* cora is free again, used last */
    w->now += 1;
    l = lease_with("cora");
    w->now = T0 + 40000;
    none_starts();
    w->now = T0 + 40001;
    struct lease last = lease_with("bert");
    assert_string_equal(last.id, ids[2]);
}

static void a_limit_rests_the_session_for_that_operation_alone(void **state)
{
    (void)state;
    session("anna");
    char *id = accept_job("research", SEARCH);
    struct lease l = lease_with("anna");
    struct finish_reply r = finish(&l, FAILURE_RATE_LIMITED, 30000);
    assert_int_equal(r.state, JOB_SCHEDULED);
    assert_int_equal(r.retry_in_ms, 0); /* another session may go on at once */
    assert_int_equal(job(id).n_throttle, 1);
    struct session_view v = view("anna");
    assert_int_equal(v.state, SESSION_COOLING);
    assert_int_equal(v.rest_count, 1);
    assert_string_equal(v.rests[0].operation, SEARCH);
    assert_int_equal(v.rests[0].until_ms, T0 + 30000);
    assert_int_equal(v.fails, 0);
    reap();
    none_starts();
    accept_job("research", POSTS);
    l = lease_with("anna");
    finish(&l, FAILURE_NONE, 0);
    accept_job("", "");
    lease_with(NULL); /* the limit was the session's: a lane without one is open */
    w->now = T0 + 30000;
    l = lease_with("anna");
    assert_string_equal(l.id, id);
    finish(&l, FAILURE_NONE, 0);
    state_is("anna", SESSION_ACTIVE);
}

static void a_session_serves_one_job_at_a_time_unless_it_may_more(void **state)
{
    (void)state;
    session("anna");
    accept_job("research", SEARCH);
    accept_job("research", POSTS);
    struct lease l = lease_with("anna");
    none_starts();
    assert_int_equal(view("anna").active, 1);
    assert_int_equal(outlook().next_ms > w->now + 1000,
                     true); /* nobody knows when it comes back */
    finish(&l, FAILURE_NONE, 0);
    assert_int_equal(outlook().startable, 1);
    l = lease_with("anna");
    finish(&l, FAILURE_NONE, 0);
    struct session_add args = plain("many");
    args.pool = SPAN("wide");
    args.max_active = 2;
    assert_int_equal(add(&args), E_OK);
    assert_int_equal(cookies("many", 0), E_OK);
    for (int i = 0; i < 3; i++)
        accept_job("wide", SEARCH);
    lease_with("many");
    lease_with("many");
    none_starts();
    assert_int_equal(view("many").active, 2);
}

static void pools_do_not_lend_to_each_other(void **state)
{
    (void)state;
    session("anna");
    struct session_add args = plain("bert");
    args.pool = SPAN("press");
    assert_int_equal(add(&args), E_OK);
    assert_int_equal(cookies("bert", 0), E_OK);
    accept_job("research", SEARCH);
    accept_job("research", SEARCH);
    accept_job("press", SEARCH);
    lease_with("anna");
    lease_with("bert");
    none_starts();
}

static void an_exhausted_pool_holds_up_nobody_else(void **state)
{
    (void)state;
    session("anna");
    accept_job("research", SEARCH);
    struct lease l = lease_with("anna");
    for (int i = 0; i < 5; i++)
        accept_job("research", SEARCH);
    char *other = accept_job("", "");
    struct lease free_one = lease_with(NULL);
    assert_string_equal(free_one.id, other);
    none_starts();
    finish(&l, FAILURE_NONE, 0);
}

/* ---- health ---- */

static void one_that_the_site_refuses_is_out_until_other_cookies_come(void **state)
{
    (void)state;
    session("anna");
    session("bert");
    char *id = accept_job("research", SEARCH);
    struct lease l = lease_with("anna");
    struct finish_reply r = finish(&l, FAILURE_SESSION_INVALID, 0);
    assert_int_equal(r.state, JOB_READY); /* another one of the pool goes on */
    assert_string_equal(r.session, id_of("anna"));
    assert_int_equal(job(id).n_release, 1);
    assert_int_equal(job(id).n_fail, 0);
    state_is("anna", SESSION_INVALID);
    assert_string_equal(view("anna").reason, "because");
    assert_int_equal(view("anna").fails, 1);
    w->now += 1;
    l = lease_with("bert");
    assert_string_equal(l.id, id);
    r = finish(&l, FAILURE_LOGIN_REQUIRED, 0); /* with cookies this says the same */
    assert_int_equal(r.state, JOB_DEAD);       /* nobody is left */
    assert_string_equal(failure_name(job(id).failure), "session_invalid");
    state_is("bert", SESSION_INVALID);
    char *refused;
    assert_int_equal(accept_with("research", SEARCH, &refused), E_SESSION);
    assert_int_equal(cookies("anna", 0), E_OK);
    state_is("anna", SESSION_ACTIVE);
    accept_job("research", SEARCH);
    lease_with("anna");
}

static err rotate(const char *session, const char *text)
{
    struct session_cookies args = {
        .session = span_of(session), .text = span_of(text), .count = 1, .rotates = true};
    begin();
    err e = store_session_cookies(w->s, &args, now(), &w->f);
    commit();
    return e;
}

/* Other cookies take the place of those that are there; the same ones, or none before, is said and changes nothing. */
static void cookies_are_rotated_for_other_ones_only(void **state)
{
    (void)state;
    struct session_view before, after;
    struct session_add args = plain("anna");
    assert_int_equal(add(&args), E_OK);
    assert_int_equal(rotate("anna", "first"), E_CONFLICT);
    assert_non_null(strstr(w->f.words, "no cookies yet"));
    assert_int_equal(cookies("anna", 0), E_OK);
    assert_int_equal(store_session(w->s, SPAN("anna"), now(), &before, &w->f), E_OK);
    assert_int_equal(rotate("anna", "second"), E_OK);
    assert_int_equal(store_session(w->s, SPAN("anna"), now(), &after, &w->f), E_OK);
    assert_string_not_equal(before.print, after.print);
    assert_int_equal(rotate("anna", "second"), E_CONFLICT);
    assert_non_null(strstr(w->f.words, "these cookies already"));
    before = after;
    assert_int_equal(store_session(w->s, SPAN("anna"), now(), &after, &w->f), E_OK);
    assert_int_equal(before.revision, after.revision);
}

static void cookies_that_came_meanwhile_are_not_blamed(void **state)
{
    (void)state;
    session("anna");
    accept_job("research", SEARCH);
    struct lease l = lease_with("anna");
    assert_int_equal(cookies("anna", 0), E_OK);
    struct finish_reply r = finish(&l, FAILURE_SESSION_INVALID, 0);
    assert_string_equal(r.session, "");
    assert_int_equal(r.state, JOB_READY);
    state_is("anna", SESSION_ACTIVE);
}

static void a_challenge_rests_it_for_everything(void **state)
{
    (void)state;
    session("anna");
    accept_job("research", SEARCH);
    struct lease l = lease_with("anna");
    finish(&l, FAILURE_BLOCKED, 0);
    state_is("anna", SESSION_COOLING);
    accept_job("research", POSTS);
    none_starts();
    w->now += 15 * 60 * 1000;
    lease_with("anna");
}

static void a_locked_one_is_not_used_until_it_is_unlocked(void **state)
{
    (void)state;
    session("anna");
    accept_job("research", SEARCH);
    assert_int_equal(lock("anna", true), E_OK);
    none_starts();
    struct session_view v = view("anna");
    assert_int_equal(v.state, SESSION_LOCKED);
    assert_string_equal(v.reason, "a person looks at it");
    assert_int_equal(v.since_ms, T0);
    assert_int_equal(outlook().startable, 0);
    w->now += 5;
    assert_int_equal(lock("anna", true), E_OK);
    assert_int_equal(view("anna").since_ms, T0);
    assert_int_equal(lock("anna", false), E_OK);
    assert_int_equal(outlook().startable, 1);
    lease_with("anna");
    assert_int_equal(lock("nobody", true), E_NOT_FOUND);
}

static err hand(enum hand_act act, const char *name, int64_t hold_ms)
{
    struct hand_change c = {.of = HAND_OF_SESSION,
                            .key = span_of(name),
                            .act = act,
                            .hold_ms = hold_ms,
                            .by = SPAN("anna"),
                            .why = SPAN("a new device")};
    begin();
    err e = store_hand(w->s, &c, now(), &w->f);
    commit();
    return e;
}

static void one_that_is_held_by_hand_is_not_used_until_its_time_is_over(void **state)
{
    (void)state;
    session("anna");
    accept_job("research", SEARCH);
    assert_int_equal(hand(HAND_OPEN, "anna", 5000), E_OK);
    struct session_view v = view("anna");
    assert_int_equal(v.state, SESSION_COOLING);
    assert_string_equal(v.hand.by, "anna");
    assert_string_equal(v.hand.why, "a new device");
    assert_int_equal(v.hand.at_ms, w->now);
    assert_int_equal(v.hand.until_ms, w->now + 5000);
    none_starts();
    assert_int_equal(outlook().next_ms, w->now + 5000); /* the lane knows when */
    store_close(&w->s);
    open_store();
    none_starts();
    w->now += 5000;
    assert_int_equal(view("anna").hand.until_ms, 0);
    state_is("anna", SESSION_ACTIVE);
    struct lease l = lease_with("anna");
    finish(&l, FAILURE_NONE, 0);
    assert_int_equal(hand(HAND_OPEN, "anna", 0), E_BAD_INPUT);
    assert_int_equal(hand(HAND_OPEN, "anna", 86400001), E_BAD_INPUT);
    assert_int_equal(hand(HAND_OPEN, "nobody", 1), E_NOT_FOUND);
}

static void one_is_closed_by_hand_whatever_kept_it_but_the_site_and_its_cookies(void **state)
{
    (void)state;
    session("anna");
    accept_job("research", SEARCH);
    assert_int_equal(hand(HAND_OPEN, "anna", 5000), E_OK);
    none_starts();
    assert_int_equal(hand(HAND_CLOSE, "anna", 0), E_OK); /* its lane is looked at again */
    assert_int_equal(outlook().startable, 1);
    struct lease l = lease_with("anna");
    finish(&l, FAILURE_BLOCKED, 0); /* rests for everything */
    accept_job("research", POSTS);
    none_starts();
    assert_int_equal(lock("anna", true), E_OK);
    assert_int_equal(hand(HAND_CLOSE, "anna", 0), E_OK);
    state_is("anna", SESSION_ACTIVE);
    assert_int_equal(view("anna").fails, 1);
    assert_int_equal(hand(HAND_RESET, "anna", 0), E_OK);
    assert_int_equal(view("anna").fails, 0);
    int64_t revision = view("anna").revision;
    assert_int_equal(hand(HAND_RESET, "anna", 0), E_OK); /* it is so already */
    assert_int_equal(view("anna").revision, revision);
    l = lease_with("anna");
    finish(&l, FAILURE_SESSION_INVALID, 0);
    assert_int_equal(hand(HAND_CLOSE, "anna", 0), E_CONFLICT);
    assert_non_null(strstr(w->f.words, "is refused by the site"));
    struct session_add none = plain("none");
    assert_int_equal(add(&none), E_OK);
    assert_int_equal(hand(HAND_RESET, "none", 0), E_CONFLICT);
    assert_non_null(strstr(w->f.words, "has no cookies yet"));
    session("ends");
    assert_int_equal(cookies("ends", w->now + 10), E_OK);
    w->now += 10;
    assert_int_equal(hand(HAND_CLOSE, "ends", 0), E_CONFLICT);
    assert_non_null(strstr(w->f.words, "has cookies that have ended"));
}

static void facts_about_the_target_and_our_own_troubles_are_not_the_session_s(void **state)
{
    (void)state;
    session("anna");
    accept_job("research", SEARCH);
    struct lease l = lease_with("anna");
    finish(&l, FAILURE_DRIFT, 0);
    assert_int_equal(view("anna").fails, 1);
    accept_job("research", SEARCH);
    w->now += 1;
    l = lease_with("anna");
    finish(&l, FAILURE_BROWSER, 0);
    assert_int_equal(view("anna").fails, 1);
    l = lease_with("anna");
    finish(&l, FAILURE_SUSPENDED, 0);
    assert_int_equal(view("anna").fails, 0);
    assert_int_equal(view("anna").last_ok_ms, w->now);
    state_is("anna", SESSION_ACTIVE);
}

/* What its order asks for made a job fail; of one that ended well it says nothing. */
static void what_an_order_asks_for_is_not_the_session_s(void **state)
{
    (void)state;
    static const enum failure_class ends[] = {FAILURE_EMPTY_SUSPECT, FAILURE_NONE};
    session("anna");
    accept_job("research", SEARCH);
    struct lease l = lease_with("anna");
    finish(&l, FAILURE_DRIFT, 0); /* tried again, behind the others */
    for (size_t i = 0; i < 2; i++) {
        accept_job("research", SEARCH);
        w->now += 1;
        l = lease_with("anna");
        assert_int_equal(end_with(&l, ends[i], 0, true).state,
                         ends[i] ? JOB_DEAD : JOB_SUCCEEDED);
        assert_int_equal(view("anna").fails, ends[i] ? 1 : 0);
        assert_int_equal(view("anna").last_ok_ms, ends[i] ? 0 : w->now);
    }
}

/* ---- leases end ---- */

static void a_lost_worker_and_a_restart_give_it_back(void **state)
{
    (void)state;
    session("anna");
    char *id = accept_job("research", SEARCH);
    lease_with("anna");
    for (int i = 0; i < 8; i++) {
        w->now += 400000;
        reap();
    }
    assert_int_equal(job(id).state, JOB_READY);
    assert_int_equal(view("anna").active, 0);
    lease_with("anna");
    assert_int_equal(view("anna").active, 1);
    store_close(&w->s);
    open_store();
    assert_int_equal(view("anna").active, 0);
    lease_with("anna");
}

static void it_is_not_removed_while_a_job_uses_it(void **state)
{
    (void)state;
    session("anna");
    accept_job("research", SEARCH);
    struct lease l = lease_with("anna");
    begin();
    assert_int_equal(store_session_remove(w->s, SPAN("anna"), &w->f), E_CONFLICT);
    commit();
    finish(&l, FAILURE_RATE_LIMITED, 5000);
    begin();
    assert_int_equal(store_session_remove(w->s, SPAN("anna"), &w->f), E_OK);
    commit();
    struct session_view v;
    assert_int_equal(store_session(w->s, SPAN("anna"), now(), &v, &w->f), E_NOT_FOUND);
    session("anna"); /* the name is free; nothing of the other one is left */
    state_is("anna", SESSION_ACTIVE);
    assert_int_equal(view("anna").leases_24h, 0);
}

static void a_group_rolled_back_leaves_no_lease(void **state)
{
    (void)state;
    session("anna");
    struct session_view before = view("anna");
    struct accept_reply reply;
    begin();
    struct accept_args args = {.id = SPAN("job_bad"),
                               .site = SPAN("x"),
                               .kind = SPAN("search"),
                               .target = SPAN("t"),
                               .lane = SPAN("x/normal@a b.c"),
                               .pool = SPAN("a b"),
                               .operation = SPAN("c"),
                               .spec = SPAN("{}"),
                               .prio = 5};
    assert_int_equal(store_accept(w->s, &args, now(), &reply, &w->f), E_BAD_INPUT);
    commit();
    none_starts();
    struct session_view after = view("anna");
    assert_memory_equal(&before, &after, sizeof before);
}

static void
a_long_job_may_meet_more_limits_than_its_budget_while_it_brings_something(void **state)
{
    (void)state;
    session("anna");
    char *id = accept_job("research", SEARCH);
    for (int i = 0; i < 9; i++) {
        struct lease l = lease_with("anna");
        char *post = arena_fmt(w->a, "%d", i);
        struct store_item item = {.kind = ITEM_POST, .id = span_of(post), .json = SPAN("{}")};
        struct commit_args args = {.id = span_of(l.id),
                                   .nonce = l.nonce,
                                   .batch = l.next_batch,
                                   .items = &item,
                                   .count = 1};
        struct commit_reply reply;
        begin();
        assert_int_equal(store_commit_batch(w->s, &args, now(), &reply, &w->f), E_OK);
        commit();
        struct finish_reply r = finish(&l, FAILURE_RATE_LIMITED, 1000);
        assert_false(job_is_final(r.state));
        reap();
        none_starts();
        w->now += 1000;
    }
    struct lease l = lease_with("anna");
    assert_int_equal(finish(&l, FAILURE_NONE, 0).state, JOB_SUCCEEDED);
    assert_int_equal(job(id).have, 9);
}

static struct lease lease_of(const char *session_id)
{
    struct lease l;
    assert_int_equal(reserve(&l), E_OK);
    assert_string_equal(l.session, session_id);
    return l;
}

static void
the_id_of_one_is_a_pool_of_it_alone_in_which_a_refused_one_can_prove_itself(void **state)
{
    (void)state;
    char id[ID_TEXT], *refused;
    const uint8_t random[10] = {7};
    id_make(id, "ses", (wall){T0}, random);
    struct session_add args = plain("anna");
    args.id = span_of(id);
    assert_int_equal(add(&args), E_OK);
    assert_int_equal(cookies("anna", 0), E_OK);
    session("bert");
    accept_job(id, SEARCH);
    struct lease l = lease_of(id);
    accept_job(id, SEARCH);
    none_starts(); /* it is taken, and another one of its pool will not do */
    finish(&l, FAILURE_NONE, 0);
    l = lease_of(id);
    struct finish_reply r = finish(&l, FAILURE_SESSION_INVALID, 0);
    assert_string_equal(r.session, id);
    assert_int_equal(r.state, JOB_DEAD); /* it was asked about this one */
    state_is("anna", SESSION_INVALID);
    accept_job("research", SEARCH);
    l = lease_with("bert"); /* for others it is out */
    finish(&l, FAILURE_NONE, 0);
    accept_job(id, SEARCH);
    l = lease_of(id);
    finish(&l, FAILURE_NONE, 0);
    state_is("anna", SESSION_ACTIVE);
    assert_int_equal(lock("anna", true), E_OK);
    assert_int_equal(accept_with(id, SEARCH, &refused), E_SESSION);
    args = plain("cora");
    args.pool = span_of(id);
    assert_int_equal(add(&args), E_BAD_INPUT);
}

#define PROMISE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    PROMISE(a_session_is_shown_by_its_facts),
    PROMISE(names_are_the_site_s_own_and_pools_have_a_size),
    PROMISE(cookies_lie_sealed_on_the_disk_and_no_query_tells_them),
    PROMISE(cookies_are_rotated_for_other_ones_only),
    PROMISE(only_the_lease_opens_the_cookies_of_its_session),
    PROMISE(without_their_key_cookies_stay_closed),
    PROMISE(the_one_that_was_used_longest_ago_is_next),
    PROMISE(
        one_in_cool_down_and_one_out_of_its_budget_leave_one_start_then_the_lane_waits_and_nothing_is_charged),
    PROMISE(a_limit_rests_the_session_for_that_operation_alone),
    PROMISE(a_session_serves_one_job_at_a_time_unless_it_may_more),
    PROMISE(pools_do_not_lend_to_each_other),
    PROMISE(an_exhausted_pool_holds_up_nobody_else),
    PROMISE(one_that_the_site_refuses_is_out_until_other_cookies_come),
    PROMISE(cookies_that_came_meanwhile_are_not_blamed),
    PROMISE(a_challenge_rests_it_for_everything),
    PROMISE(a_locked_one_is_not_used_until_it_is_unlocked),
    PROMISE(one_that_is_held_by_hand_is_not_used_until_its_time_is_over),
    PROMISE(one_is_closed_by_hand_whatever_kept_it_but_the_site_and_its_cookies),
    PROMISE(facts_about_the_target_and_our_own_troubles_are_not_the_session_s),
    PROMISE(what_an_order_asks_for_is_not_the_session_s),
    PROMISE(a_lost_worker_and_a_restart_give_it_back),
    PROMISE(it_is_not_removed_while_a_job_uses_it),
    PROMISE(a_group_rolled_back_leaves_no_lease),
    PROMISE(a_long_job_may_meet_more_limits_than_its_budget_while_it_brings_something),
    PROMISE(the_id_of_one_is_a_pool_of_it_alone_in_which_a_refused_one_can_prove_itself),
};
RUN_ON_ALL_STORES(tests)
