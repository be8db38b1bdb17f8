/* The promises of store/webhooks.h, one test each: webhooks over the log of a real store, the receiver played by
 * the test, at times that it gives. */
#include "../lib/store.h"
#include "os/sign.h"
#include "store/webhooks.h"

#define SECRET "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
#define OTHER  "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU="
enum { BASE = 5000, LEASE = 30000, MINUTE = 60000, HOUR = 3600000 };
#define DAY INT64_C(86400000)

static void ok(err e)
{
    if (e)
        fail_msg("%s: %s", err_name(e), w->f.words);
}

static const char *hook(const char *types)
{
    const char *id = new_id("whk");
    struct webhook_put args = {.id = span_of(id),
                               .name = SPAN("desk"),
                               .url = SPAN("https://receiver.example/fulmar"),
                               .types = span_of(types),
                               .secret = SPAN(SECRET),
                               .enabled = 1,
                               .revision = -1};
    begin();
    ok(store_webhook_add(w->s, &args, now(), &w->f));
    commit();
    return id;
}

/* Its deliveries whose type begins so. */
static int64_t deliveries_of(const char *hook, const char *type)
{
    struct deliveries_query q = {.webhook = span_of(hook), .state = -1, .limit = 500};
    struct delivery_view *d;
    size_t count;
    int64_t n = 0;
    do {
        ok(store_deliveries(w->s, &q, w->a, &d, &count, &w->f));
        for (size_t i = 0; i < count; i++)
            n += span_starts(d[i].type, span_of(type));
        q.after = count ? span_of(d[count - 1].id) : q.after;
    } while (count);
    return n;
}

/* Whether the text is anywhere on the disk of the store. */
static bool is_on_disk(const char *text)
{
    char path[160];
    if (w->dir)
        snprintf(path, sizeof path, "%s/fulmar.db-wal", w->dir);
    else
        redis_log(w->place, path);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    struct buf all = BUF(64 << 20);
    char piece[8192];
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;)
        buf_add(&all, (struct span){piece, n});
    fclose(file);
    assert_true(all.n > 0 && !all.failed);
    bool found = span_find(buf_span(&all), span_of(text)) < all.n;
    buf_free(&all);
    return found;
}

static struct webhook_view hook_view(const char *id)
{
    struct webhook_view v;
    ok(store_webhook(w->s, span_of(id), w->a, &v, &w->f));
    return v;
}

static struct webhooks_taken take(size_t most)
{
    struct webhooks_taken t;
    struct webhooks_take_args args = {.most = most, .lease_ms = LEASE, .at_s = w->now / 1000};
    begin();
    ok(store_webhooks_take(w->s, &args, now(), w->a, &t, &w->f));
    commit();
    return t;
}

static struct webhook_done_reply done(const struct webhook_attempt *t, int status,
                                      int64_t retry_after_ms)
{
    struct webhook_done_reply reply;
    struct webhook_done_args args = {.did = t->did,
                                     .number = t->number,
                                     .arrived = status >= 200 && status < 300,
                                     .gone = status == 410,
                                     .status = status,
                                     .why = status ? SPAN("the receiver answered so")
                                                   : SPAN("no connection"),
                                     .retry_after_ms = retry_after_ms,
                                     .base_ms = BASE};
    begin();
    ok(store_webhook_done(w->s, &args, now(), &reply, &w->f));
    commit();
    return reply;
}

/* What a receiver got, in the order in which it came. */
struct got {
    char webhook[ID_TEXT], event[64];
    int64_t at_ms;
};
struct inbox {
    struct got got[4000];
    size_t count;
};

static void put_in(struct inbox *in, const struct webhook_attempt *t)
{
    assert_true(in->count < sizeof in->got / sizeof *in->got);
    struct got *g = &in->got[in->count++];
    memcpy(g->webhook, t->webhook, sizeof g->webhook);
    span_copy(t->event, g->event, sizeof g->event);
    g->at_ms = w->now;
}

/* Goes on with all that is due until `until_ms`; `answer` says the status for an attempt, 0 none. */
static void run_until(int64_t until_ms,
                      int (*answer)(const struct webhook_attempt *t, void *ctx), void *ctx,
                      struct inbox *in)
{
    for (int turns = 0; turns < 100000; turns++) {
        struct webhooks_taken t = take(16);
        for (size_t i = 0; i < t.count; i++) {
            int status = answer(&t.attempts[i], ctx);
            if (status)
                put_in(in, &t.attempts[i]);
            done(&t.attempts[i], status, 0);
        }
        if (t.count)
            continue;
        if (t.next_ms >= until_ms) {
            w->now = until_ms;
            return;
        }
        w->now = t.next_ms > w->now ? t.next_ms : w->now;
    }
    fail_msg("it has no end");
}

static int fine(const struct webhook_attempt *t, void *ctx)
{
    (void)t;
    (void)ctx;
    return 204;
}

static struct inbox *inbox(void)
{
    return arena_get(w->a, sizeof(struct inbox));
}

static size_t count_of(const struct inbox *in, const char *webhook, const char *event)
{
    size_t n = 0;
    for (size_t i = 0; i < in->count; i++)
        n += (!webhook || strcmp(in->got[i].webhook, webhook) == 0) &&
             (!event || strcmp(in->got[i].event, event) == 0);
    return n;
}

/* The numbers of a job's events, as one receiver got them first, go up by one. */
static void in_order(const struct inbox *in, const char *webhook, const char *job, int events)
{
    int64_t next = 1;
    for (size_t i = 0; i < in->count; i++) {
        int64_t n = 0;
        if (strcmp(in->got[i].webhook, webhook) != 0 ||
            strncmp(in->got[i].event, job, strlen(job)) != 0)
            continue;
        assert_true(span_int(span_of(strchr(in->got[i].event, ':') + 1), &n));
        if (n > next)
            fail_msg("%s: event %lld of the job came before %lld", job, (long long)n,
                     (long long)next);
        next = n == next ? next + 1 : next;
    }
    assert_int_equal(next, events + 1);
}

/* So many jobs that ended well, in one group; the last one's id. */
static const char *ended_jobs(int count)
{
    const char *id = NULL;
    struct reserve_args next = {.worker = SPAN("w1"), .needs = NEEDS_PAGE};
    begin();
    for (int i = 0; i < count; i++) {
        struct accept_reply reply;
        struct lease l;
        id = new_id("job");
        struct accept_args args = job_args(id);
        next.random = ++w->nonces;
        ok(store_accept(w->s, &args, now(), &reply, &w->f));
        ok(store_reserve(w->s, &next, now(), w->a, &l, &w->f));
        assert_int_equal(finish_open(&l, FAILURE_NONE, ""), JOB_SUCCEEDED);
    }
    commit();
    return id;
}

static void retain_all(void)
{
    struct retain_args args = {.age_ms = 1, .dead_age_ms = 1};
    struct retain_reply r = {.more = true};
    while (r.more) {
        begin();
        ok(store_retain(w->s, &args, (wall){w->now + 10}, &r, &w->f));
        commit();
    }
}

/* ---- tests ---- */

static void events_since_it_was_made_come_signed_and_no_others(void **state)
{
    (void)state;
    accept_job();
    const char *id = hook("job.accepted job.finished");
    const char *job = accept_job();
    end_job(job, FAILURE_NONE);
    struct webhooks_taken t = take(16);
    assert_int_equal(t.active, 1);
    assert_int_equal(t.count, 1); /* the other one is of the same job */
    const struct webhook_attempt *a = &t.attempts[0];
    assert_string_equal(a->webhook, id);
    assert_true(span_eq(a->event, span_of(arena_fmt(w->a, "%s:1", job))));
    assert_true(span_starts(
        a->body,
        SPAN(
            "{\"type\":\"job.accepted\",\"timestamp\":\"2027-01-15T08:00:00.000Z\",\"data\":{\"seq\":")));
    assert_true(
        span_find(a->body, span_of(arena_fmt(w->a, "\"links\":{\"job\":\"/v1/jobs/%s\"}",
                                             job))) < a->body.n);
    assert_true(sign_verify(SPAN(SECRET), a->event, a->at_s, a->body, a->signature));
    assert_false(sign_verify(SPAN(OTHER), a->event, a->at_s, a->body, a->signature));
    assert_false(sign_verify(SPAN(SECRET), a->event, a->at_s + 1, a->body, a->signature));
    done(a, 200, 0);
    t = take(16);
    assert_int_equal(t.count, 1);
    assert_true(span_starts(t.attempts[0].body, SPAN("{\"type\":\"job.finished\"")));
    done(&t.attempts[0], 200, 0);
    t = take(16);
    assert_int_equal(t.count, 0);
    assert_int_equal(t.next_ms, INT64_MAX);
    assert_int_equal(hook_view(id).delivered, 2);
    assert_true(is_on_disk("receiver.example"));
    assert_false(is_on_disk("MDEyMzQ1"));
}

static int answers_200_on_the_third(const struct webhook_attempt *t, void *ctx)
{
    int *refused = ctx;
    if (t->number < 3) {
        (*refused)++;
        return 500;
    }
    return 200;
}

static void a_job_keeps_its_order_while_others_go_on(void **state)
{
    (void)state;
    const char *id = hook("job.*");
    const char *first = accept_job(), *second = accept_job();
    end_job(first, FAILURE_NONE);
    end_job(second, FAILURE_NONE);
    struct webhooks_taken t = take(16);
    assert_int_equal(t.count, 2);
    assert_false(span_eq(t.attempts[0].event, t.attempts[1].event));
    done(&t.attempts[0], 500, 0);
    done(&t.attempts[1], 200, 0);
    struct webhooks_taken more = take(16);
    assert_int_equal(more.count, 1); /* of the second job: the first one's later events wait */
    assert_true(span_starts(more.attempts[0].event, span_cut(t.attempts[1].event, 0, 30)));
    assert_in_range(more.next_ms, w->now + BASE * 8 / 10, w->now + BASE * 12 / 10);
    done(&more.attempts[0], 200, 0);
    struct inbox *in = inbox();
    int refused = 0;
    run_until(w->now + DAY, answers_200_on_the_third, &refused, in);
    assert_true(refused > 0);
    in_order(in, id, first,
             (int)events_of(first, "job.accepted") + (int)events_of(first, "job.started") + 1);
}

struct
    day { /* of a receiver: down for an hour, then slow, then it loses every third answer of its own */
    const char *ill;
    int64_t down_until_ms, slow_until_ms;
    int requests;
};

static int an_ill_receiver(const struct webhook_attempt *t, void *ctx)
{
    struct day *d = ctx;
    if (strcmp(t->webhook, d->ill) != 0)
        return 200;
    if (w->now < d->down_until_ms)
        return 0;
    return 200;
}

/* As run_until(), but what the ill one answers while it is slow is heard only after its lease has lapsed, and then
 * every third answer gets lost on its way back: the receiver had it, and gets it again. */
static void run_day(int64_t until_ms, struct day *d, struct inbox *in)
{
    for (int turns = 0; turns < 200000; turns++) {
        struct webhooks_taken t = take(16);
        for (size_t i = 0; i < t.count; i++) {
            const struct webhook_attempt *a = &t.attempts[i];
            bool ill = strcmp(a->webhook, d->ill) == 0;
            int status = an_ill_receiver(a, d);
            if (status)
                put_in(in, a);
            d->requests += ill;
            bool unheard = ill && status &&
                           (w->now < d->slow_until_ms ? a->number == 1 : d->requests % 3 == 0);
            if (!unheard)
                done(a, status, 0);
        }
        if (t.count)
            continue;
        if (t.next_ms >= until_ms) {
            w->now = until_ms;
            return;
        }
        w->now = t.next_ms > w->now ? t.next_ms : w->now;
    }
    fail_msg("it has no end");
}

static void
s87_a_receiver_that_is_down_then_slow_then_doubles_gets_all_in_order_and_holds_nobody_up(
    void **state)
{
    (void)state;
    enum { JOBS = 40 };
    const char *jobs[2 * JOBS];
    const char *ill = hook("job.*"), *well = hook("job.*");
    struct day d = {.ill = ill, .down_until_ms = T0 + HOUR, .slow_until_ms = T0 + 2 * HOUR};
    struct inbox *in = inbox();
    for (int i = 0; i < JOBS; i++) { /* while it is down */
        jobs[i] = accept_job();
        end_job(jobs[i], FAILURE_NONE);
        run_day(w->now + MINUTE, &d, in);
        assert_int_equal(count_of(in, well, NULL),
                         3 * (i + 1)); /* the other one has all at once */
    }
    assert_int_equal(count_of(in, ill, NULL), 0);
    assert_true(d.requests < 60); /* it rests instead of being asked for each delivery */
    assert_in_range(hook_view(ill).open, 3 * JOBS, WEBHOOK_OPEN_MAX);
    crash(false); /* deliveries are rows */
    for (int i = JOBS; i < 2 * JOBS; i++) {
        jobs[i] = accept_job();
        end_job(jobs[i], FAILURE_NONE);
        run_day(w->now + 2 * MINUTE, &d, in);
        assert_int_equal(count_of(in, well, NULL), 3 * (i + 1));
    }
    run_day(w->now + 2 * DAY, &d, in);
    for (int i = 0; i < 2 * JOBS; i++) {
        in_order(in, ill, jobs[i], 3);
        in_order(in, well, jobs[i], 3);
    }
    assert_true(count_of(in, ill, NULL) >
                2 * JOBS * 3); /* some came twice, under the same id */
    struct webhook_view v = hook_view(ill);
    assert_int_equal(v.open, 0);
    assert_int_equal(v.dead, 0);
    assert_int_equal(v.missed, 0);
    assert_int_equal(v.delivered, 2 * JOBS * 3);
}

static int nobody(const struct webhook_attempt *t, void *ctx)
{
    (void)t;
    (void)ctx;
    return 0;
}

static void the_outbox_is_bounded_and_what_retention_takes_before_is_counted(void **state)
{
    (void)state;
    const char *id = hook("job.*");
    struct inbox *in = inbox();
    ended_jobs(200);
    run_until(w->now + MINUTE, nobody, NULL, in);
    ended_jobs(301);
    run_until(w->now + MINUTE, nobody, NULL, in);
    struct webhook_view v = hook_view(id);
    w->now = v.rest_ms;
    struct webhooks_taken t = take(16);
    assert_int_equal(t.count, 1); /* a probe: it failed too often for more */
    done(&t.attempts[0], 0, 0);
    assert_int_equal(v.open, WEBHOOK_OPEN_MAX);
    assert_int_equal(v.behind, 3 * 501 - WEBHOOK_OPEN_MAX);
    assert_int_equal(deliveries_of(id, ""), WEBHOOK_OPEN_MAX);
    retain_all(); /* the log is gone; what was taken from it is not */
    struct event_view *events;
    size_t left;
    ok(store_events(w->s, 0, SPAN_NONE, 1000, w->a, &events, &left, &w->f));
    assert_int_equal(left, 0);
    end_job(accept_job(), FAILURE_NONE);
    run_until(w->now + 2 * DAY, fine, NULL, in);
    assert_int_equal(count_of(in, id, NULL), WEBHOOK_OPEN_MAX + 3);
    v = hook_view(id);
    assert_int_equal(v.missed, 3 * 501 - WEBHOOK_OPEN_MAX);
    assert_int_equal(v.open, 0);
}

static void
tries_follow_the_published_delays_then_the_delivery_is_dead_and_the_next_one_goes(void **state)
{
    (void)state;
    static const int64_t steps[] = {5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400};
    const char *id = hook("job.finished");
    end_job(accept_job(), FAILURE_NONE);
    struct webhook_done_reply reply = {0};
    for (int i = 0; i < WEBHOOK_ATTEMPTS; i++) {
        struct webhooks_taken t = take(1);
        assert_int_equal(t.count, 1);
        assert_int_equal(t.attempts[0].number, i + 1);
        reply = done(&t.attempts[0], 503, 0);
        if (i + 1 == WEBHOOK_ATTEMPTS)
            break;
        assert_false(reply.dead);
        t = take(1);
        assert_int_equal(t.count, 0);
        int64_t waited = t.next_ms - w->now, mean = steps[i] * 1000,
                rest = i >= 4 ? 30000 << (i - 4) : 0;
        assert_in_range(waited, mean * 8 / 10 > rest ? mean * 8 / 10 : rest,
                        mean * 12 / 10 > rest ? mean * 12 / 10 : rest);
        w->now = t.next_ms;
    }
    assert_true(reply.dead);
    assert_int_equal(hook_view(id).dead, 1);
    assert_int_equal(events_of(NULL, "webhook.dead"), 1);
    struct delivery_view *d;
    size_t n;
    struct deliveries_query q = {.webhook = span_of(id), .state = DELIVERY_DEAD, .limit = 10};
    ok(store_deliveries(w->s, &q, w->a, &d, &n, &w->f));
    assert_int_equal(n, 1);
    assert_int_equal(d[0].status, 503);
    char again[ID_TEXT];
    begin();
    ok(store_delivery_again(w->s, span_of(d[0].id), now(), again, &w->f));
    commit();
    w->now = hook_view(id).rest_ms;
    struct webhooks_taken t = take(1);
    assert_int_equal(t.count, 1);
    assert_true(span_eq(t.attempts[0].event, d[0].event)); /* the receiver knows it by that */
    assert_string_equal(t.attempts[0].delivery, again);
    done(&t.attempts[0], 200, 0);
    assert_int_equal(hook_view(id).delivered, 1);
}

static void
an_attempt_of_which_nothing_is_heard_is_made_again_and_its_late_word_counts_for_nothing(
    void **state)
{
    (void)state;
    const char *id = hook("job.finished");
    end_job(accept_job(), FAILURE_NONE);
    struct webhooks_taken first = take(1);
    assert_int_equal(first.count, 1);
    crash(false); /* the process that sends it ends */
    assert_int_equal(take(1).count, 0);
    assert_int_equal(take(1).next_ms, w->now + LEASE);
    w->now += LEASE;
    struct webhooks_taken again = take(1);
    assert_int_equal(again.count, 1);
    assert_int_equal(again.attempts[0].number, 2);
    done(&first.attempts[0], 500, 0);
    assert_int_equal(hook_view(id).failed, 0);
    done(&again.attempts[0], 200, 0);
    done(&again.attempts[0], 200, 0);
    assert_int_equal(hook_view(id).delivered, 1);
}

static void a_receiver_says_when_and_one_that_wants_no_more_is_switched_off(void **state)
{
    (void)state;
    const char *id = hook("job.finished"), *other = hook("*");
    end_job(accept_job(), FAILURE_NONE);
    struct inbox *in = inbox();
    struct webhooks_taken t = take(16);
    for (size_t i = 0; i < t.count; i++)
        done(&t.attempts[i], strcmp(t.attempts[i].webhook, id) == 0 ? 429 : 200, 7 * MINUTE);
    int64_t then = w->now + 7 * MINUTE;
    assert_int_equal(hook_view(id).rest_ms, then);
    run_until(then - 1, fine, NULL, in);
    assert_int_equal(count_of(in, id, NULL), 0);
    w->now = then;
    t = take(1);
    assert_int_equal(t.count, 1);
    assert_true(done(&t.attempts[0], 410, 0).off);
    struct webhook_view v = hook_view(id);
    assert_false(v.enabled);
    assert_true(span_starts(v.off_why, SPAN("the receiver answered 410")));
    run_until(w->now + 2 * DAY, fine, NULL, in);
    assert_int_equal(count_of(in, id, NULL), 0);
    assert_int_equal(events_of(NULL, "webhook.disabled"), 1);
    assert_int_equal(deliveries_of(other, "webhook."), 0); /* not even to "*" */
    assert_true(deliveries_of(other, "job.") > 0);
    assert_int_equal(hook_view(other).open, 0);
    struct webhook_put on = {.id = span_of(id), .enabled = 1, .revision = v.revision};
    begin();
    ok(store_webhook_change(w->s, &on, now(), &w->f));
    assert_int_equal(store_webhook_change(w->s, &on, now(), &w->f), E_STALE);
    commit();
    run_until(w->now + 2 * DAY, fine, NULL, in);
    assert_int_equal(count_of(in, id, NULL), 1);
}

static void one_to_which_nothing_came_for_five_days_is_switched_off(void **state)
{
    (void)state;
    const char *id = hook("job.finished");
    struct inbox *in = inbox();
    for (int day = 0; day < 5; day++) {
        assert_true(hook_view(id).enabled);
        end_job(accept_job(), FAILURE_NONE);
        run_until(w->now + DAY, nobody, NULL, in);
    }
    run_until(w->now + DAY, nobody, NULL, in);
    assert_false(hook_view(id).enabled);
    assert_int_equal(take(16).active, 0);
}

static void both_secrets_sign_while_one_takes_the_place_of_the_other(void **state)
{
    (void)state;
    const char *id = hook("job.finished");
    struct webhook_ask args = {.id = span_of(id),
                               .revision = -1,
                               .secret = SPAN(OTHER),
                               .old_until_ms = w->now + HOUR};
    begin();
    ok(store_webhook_rotate(w->s, &args, now(), &w->f));
    commit();
    for (int i = 0; i < 2; i++) {
        end_job(accept_job(), FAILURE_NONE);
        struct webhooks_taken t = take(1);
        const struct webhook_attempt *a = &t.attempts[0];
        assert_int_equal(t.count, 1);
        assert_true(sign_verify(SPAN(OTHER), a->event, a->at_s, a->body, a->signature));
        assert_int_equal(sign_verify(SPAN(SECRET), a->event, a->at_s, a->body, a->signature),
                         i == 0);
        done(a, 200, 0);
        w->now += HOUR;
    }
}

static void a_replay_sends_what_is_in_the_log_once_more_under_the_same_ids(void **state)
{
    (void)state;
    const char *id = hook("job.finished");
    struct inbox *in = inbox();
    const char *jobs[6];
    for (int i = 0; i < 6; i++) {
        jobs[i] = accept_job();
        end_job(jobs[i], FAILURE_NONE);
        w->now += MINUTE;
    }
    run_until(w->now + MINUTE, fine, NULL, in);
    assert_int_equal(in->count, 6);
    struct webhook_ask args = {.id = span_of(id), .revision = -1, .from_ms = T0 + 2 * MINUTE};
    begin();
    ok(store_webhook_replay(w->s, &args, now(), &w->f));
    commit();
    run_until(w->now + MINUTE, fine, NULL, in);
    assert_int_equal(in->count, 10);
    for (int i = 0; i < 6; i++)
        assert_int_equal(count_of(in, id, arena_fmt(w->a, "%s:3", jobs[i])), i < 2 ? 1 : 2);
    assert_int_equal(hook_view(id).missed, 0);
}

static void a_ping_comes_at_once_and_removing_a_webhook_leaves_nothing(void **state)
{
    (void)state;
    const char *id = hook("job.finished");
    char ping[ID_TEXT];
    begin();
    ok(store_webhook_ping(w->s, span_of(id), now(), ping, &w->f));
    commit();
    struct webhooks_taken t = take(1);
    assert_int_equal(t.count, 1);
    assert_string_equal(t.attempts[0].delivery, ping);
    assert_true(span_starts(t.attempts[0].body, SPAN("{\"type\":\"ping\"")));
    struct webhook_ask args = {.id = span_of(id), .revision = 7};
    begin();
    assert_int_equal(store_webhook_remove(w->s, &args, &w->f), E_STALE);
    commit();
    args.revision = -1;
    begin();
    ok(store_webhook_remove(w->s, &args, &w->f));
    commit();
    done(&t.attempts[0], 200, 0); /* it was under way */
    struct webhook_view *left;
    struct delivery_view delivery;
    size_t n;
    ok(store_webhooks(w->s, w->a, &left, &n, &w->f));
    assert_int_equal(n, 0);
    assert_int_equal(store_delivery(w->s, span_of(ping), w->a, &delivery, &w->f), E_NOT_FOUND);
}

static void ended_deliveries_are_kept_in_a_bounded_number(void **state)
{
    (void)state;
    const char *id = hook("job.*");
    struct inbox *in = inbox();
    ended_jobs(400);
    run_until(w->now + MINUTE, fine, NULL, in);
    assert_int_equal(in->count, 1200);
    assert_int_equal(deliveries_of(id, ""), WEBHOOK_ENDED_KEPT);
    struct delivery_view *d;
    size_t n;
    struct deliveries_query q = {.webhook = span_of(id), .state = -1, .limit = 3};
    ok(store_deliveries(w->s, &q, w->a, &d, &n, &w->f));
    assert_int_equal(n, 3);
    assert_true(d[0].seq > d[2].seq);
    q.after = span_of(d[2].id);
    int64_t seq = d[2].seq;
    ok(store_deliveries(w->s, &q, w->a, &d, &n, &w->f));
    assert_true(n == 3 && d[0].seq < seq);
}

/* ---- callbacks of jobs ---- */

static struct accept_args calling(const char *hook)
{
    struct accept_args args = job_args(new_id("job"));
    args.spec = span_of(arena_fmt(
        w->a, "{\"limit\":5,\"callback\":{\"webhook_id\":\"%s\"},\"labels\":{\"a\":\"b\"}}",
        hook));
    return args;
}

static const char *accept_calling(const struct accept_args *args)
{
    struct accept_reply reply;
    begin();
    ok(store_accept(w->s, args, now(), &reply, &w->f));
    commit();
    return args->id.p;
}

static const char *job_calling(const char *hook)
{
    struct accept_args args = calling(hook);
    return accept_calling(&args);
}

static void cancel(const char *id, bool force)
{
    struct cancel_reply reply;
    begin();
    ok(store_cancel(w->s, &(struct cancel_args){.id = span_of(id), .force = force}, now(),
                    &reply, &w->f));
    commit();
}

static void reap(void)
{
    struct reap_reply reply;
    begin();
    ok(store_reap(w->s, now(), &reply, &w->f));
    commit();
}

/* Its last event, which is "job:n". */
static struct event_view last_event(const char *job)
{
    struct event_view *events;
    size_t count;
    ok(store_events(w->s, 0, span_of(job), 1000, w->a, &events, &count, &w->f));
    assert_true(count > 0);
    return events[count - 1];
}

static bool says(const struct event_view *v, const char *member, const char *hook)
{
    char text[96];
    snprintf(text, sizeof text, "\"%s\":\"%s\"", member, hook);
    return span_find(v->body, span_of(text)) < v->body.n;
}

/* That one came, and of the job nothing else. */
static void told_the_end(const struct inbox *in, const char *hook, const char *job,
                         const char *kind)
{
    struct event_view last = last_event(job);
    char event[64];
    size_t others = 0;
    snprintf(event, sizeof event, "%s:%lld", job, (long long)last.number);
    for (size_t i = 0; i < in->count; i++)
        others += strcmp(in->got[i].webhook, hook) == 0 &&
                  span_starts(span_of(in->got[i].event), span_of(job)) &&
                  strcmp(in->got[i].event, event) != 0;
    if (!span_is(last.kind, kind) || !says(&last, "callback", hook) || others ||
        count_of(in, hook, event) != 1)
        fail_msg("%s: %.*s %.*s came %zu times, others %zu", kind, SP(last.kind), SP(last.body),
                 count_of(in, hook, event), others);
}

static void the_end_of_a_job_and_nothing_else_goes_to_its_callback(void **state)
{
    (void)state;
    const char *hook_id = hook(""), *all = hook("job.*"), *other = hook("");
    struct accept_args args = calling(hook_id);
    const char *finished, *dead, *waiting, *forced, *expired, *answered, *shared[2];
    args.work = 77;
    finished = accept_calling(&args);
    end_job(finished, FAILURE_NONE);
    args = calling(hook_id);
    args.work = 77;
    args.max_age_ms = HOUR;
    answered = accept_calling(&args);
    assert_int_equal(view(answered).state, JOB_SUCCEEDED);
    dead = job_calling(hook_id);
    end_job(dead, FAILURE_NOT_FOUND);
    waiting = job_calling(hook_id);
    cancel(waiting, false);
    forced = job_calling(hook_id);
    lease_of(forced);
    cancel(forced, true);
    args = calling(hook_id);
    args.run_at_ms = w->now + HOUR;
    args.expires_ms = w->now + MINUTE;
    expired = accept_calling(&args);
    w->now += MINUTE + 1;
    reap();
    for (int i = 0; i < 2; i++) {
        args = calling(hook_id);
        args.work = 78;
        args.coalesce = true;
        shared[i] = accept_calling(&args);
    }
    end_job(shared[0], FAILURE_NONE);
    ended_jobs(3);
    struct inbox *in = inbox();
    run_until(w->now + MINUTE, fine, NULL, in);
    told_the_end(in, hook_id, finished, "job.finished");
    told_the_end(in, hook_id, answered, "job.finished");
    told_the_end(in, hook_id, dead, "job.dead");
    told_the_end(in, hook_id, waiting, "job.cancelled");
    told_the_end(in, hook_id, forced, "job.cancelled");
    told_the_end(in, hook_id, expired, "job.expired");
    told_the_end(in, hook_id, shared[0], "job.finished");
    told_the_end(in, hook_id, shared[1], "job.finished");
    assert_int_equal(count_of(in, hook_id, NULL), 8);
    assert_int_equal(count_of(in, other, NULL), 0);
    /* Who is told of all jobs anyway is told once. */
    in_order(in, all, finished, 3);
    const char *own = job_calling(all);
    end_job(own, FAILURE_NONE);
    in = inbox();
    in->count = 0;
    run_until(w->now + MINUTE, fine, NULL, in);
    in_order(in, all, own, 3);
    assert_int_equal(count_of(in, NULL, NULL), 3);
}

static void
a_job_that_ends_again_calls_again_and_an_attempt_before_its_end_does_not(void **state)
{
    (void)state;
    w->limits.fail_max = 2;
    store_close(&w->s);
    open_store();
    const char *hook_id = hook(""), *id = job_calling(hook_id);
    struct lease l = lease_of(id);
    struct finish_args args = {
        .id = span_of(id), .nonce = l.nonce, .failure = FAILURE_CRASH, .budget = BUDGET_CRASH};
    struct finish_reply reply;
    struct replay_reply again;
    begin();
    ok(store_finish(w->s, &args, now(), &reply, &w->f));
    commit();
    assert_int_equal(reply.state, JOB_SCHEDULED);
    reap();
    end_job(id, FAILURE_RESOURCE);
    struct inbox *in = inbox();
    run_until(w->now + MINUTE, fine, NULL, in);
    told_the_end(in, hook_id, id, "job.dead");
    assert_int_equal(count_of(in, NULL, NULL), 1);
    begin();
    ok(store_replay(w->s, &(struct replay_args){.id = span_of(id)}, now(), &again, &w->f));
    commit();
    end_job(id, FAILURE_NONE);
    run_until(w->now + MINUTE, fine, NULL, in);
    assert_int_equal(count_of(in, hook_id, NULL), 2);
    struct event_view last = last_event(id);
    assert_true(span_is(last.kind, "job.finished") && says(&last, "callback", hook_id));
}

static void a_dead_job_that_is_repaired_calls_again(void **state)
{
    (void)state;
    const char *hook_id = hook(""), *id = job_calling(hook_id);
    struct lease l = lease_of(id);
    finish(&l, FAILURE_DRIFT, "it has another shape");
    struct repair_args args = {.id = span_of(id),
                               .revision = view(id).revision,
                               .done = true,
                               .verdict = VERDICT_COMPLETE,
                               .end = END_TERMINATE};
    struct repair_reply reply;
    begin();
    ok(store_repair(w->s, &args, now(), &reply, &w->f));
    commit();
    struct inbox *in = inbox();
    run_until(w->now + MINUTE, fine, NULL, in);
    assert_int_equal(count_of(in, hook_id, NULL), 2);
    struct event_view last = last_event(id);
    assert_true(span_is(last.kind, "job.repaired") && says(&last, "callback", hook_id));
}

static void a_callback_whose_webhook_is_gone_is_said_to_be_dropped(void **state)
{
    (void)state;
    const char *gone = hook(""), *off = hook("");
    const char *ends[] = {job_calling(gone), job_calling(gone), job_calling(off)};
    begin();
    ok(store_webhook_remove(w->s, &(struct webhook_ask){.id = span_of(gone), .revision = -1},
                            &w->f));
    ok(store_webhook_change(
        w->s, &(struct webhook_put){.id = span_of(off), .enabled = 0, .revision = -1}, now(),
        &w->f));
    commit();
    end_job(ends[0], FAILURE_NONE);
    cancel(ends[1], false);
    end_job(ends[2], FAILURE_NONE);
    for (int i = 0; i < 2; i++) {
        struct event_view last = last_event(ends[i]);
        assert_true(says(&last, "callback_dropped", gone) && !says(&last, "callback", gone));
    }
    struct inbox *in = inbox();
    run_until(w->now + MINUTE, fine, NULL, in);
    assert_int_equal(in->count, 0);
    /* One that is switched off gets it as it gets its other events. */
    begin();
    ok(store_webhook_change(
        w->s, &(struct webhook_put){.id = span_of(off), .enabled = 1, .revision = -1}, now(),
        &w->f));
    commit();
    run_until(w->now + MINUTE, fine, NULL, in);
    told_the_end(in, off, ends[2], "job.finished");
    assert_int_equal(in->count, 1);
    /* And again, when the log is sent again. */
    begin();
    ok(store_webhook_replay(
        w->s, &(struct webhook_ask){.id = span_of(off), .revision = -1, .from_ms = T0}, now(),
        &w->f));
    commit();
    run_until(w->now + MINUTE, fine, NULL, in);
    assert_int_equal(count_of(in, off, in->got[0].event), 2);
}

/* ---- held by hand, limited ---- */

static err hand(enum hand_act act, const char *id, int64_t hold_ms)
{
    struct hand_change c = {.of = HAND_OF_WEBHOOK,
                            .key = span_of(id),
                            .act = act,
                            .hold_ms = hold_ms,
                            .by = SPAN("anna"),
                            .why = SPAN("it is mended")};
    begin();
    err e = store_hand(w->s, &c, now(), &w->f);
    commit();
    return e;
}

static void one_that_is_held_by_hand_gets_nothing_until_its_time_is_over(void **state)
{
    (void)state;
    const char *id = hook("job.finished"), *other = hook("job.finished");
    ok(hand(HAND_OPEN, id, HOUR));
    struct webhook_view v = hook_view(id);
    assert_string_equal(v.hand.by, "anna");
    assert_string_equal(v.hand.why, "it is mended");
    assert_int_equal(v.hand.at_ms, w->now);
    assert_int_equal(v.hand.until_ms, w->now + HOUR);
    assert_int_equal(events_of(NULL, "breaker.opened"), 1);
    end_job(accept_job(), FAILURE_NONE);
    struct webhooks_taken t = take(16);
    assert_int_equal(t.count, 1);
    assert_string_equal(t.attempts[0].webhook, other);
    done(&t.attempts[0], 200, 0);
    assert_int_equal(take(16).next_ms, v.hand.until_ms);
    crash(false); /* it is known after a restart, too */
    w->now = v.hand.until_ms - 1;
    assert_int_equal(take(16).count, 0);
    w->now = v.hand.until_ms;
    t = take(16);
    assert_int_equal(t.count, 1); /* by itself */
    done(&t.attempts[0], 200, 0);
    assert_int_equal(hand(HAND_OPEN, id, DAY + 1), E_BAD_INPUT);
    assert_int_equal(hand(HAND_OPEN, id, 0), E_BAD_INPUT);
    assert_int_equal(hand(HAND_OPEN, new_id("whk"), HOUR), E_NOT_FOUND);
}

static void one_that_rests_is_closed_by_hand_and_what_waits_is_sent_at_once(void **state)
{
    (void)state;
    const char *id = hook("job.finished");
    ended_jobs(3);
    for (int i = 0; i < WEBHOOK_FAILS_MAX + 1; i++) {
        struct webhooks_taken t = take(1);
        while (!t.count) {
            w->now = t.next_ms;
            t = take(1);
        }
        done(&t.attempts[0], 500, 0);
    }
    struct webhook_view v = hook_view(id);
    assert_true(v.rest_ms > w->now && v.fails == WEBHOOK_FAILS_MAX + 1);
    assert_int_equal(take(16).count, 0);
    ok(hand(HAND_CLOSE, id, 0));
    assert_int_equal(hook_view(id).rest_ms, 0);
    assert_int_equal(hook_view(id).fails, WEBHOOK_FAILS_MAX + 1); /* one at a time, as before */
    assert_int_equal(events_of(NULL, "breaker.closed"), 1);
    struct webhooks_taken t = take(16);
    assert_int_equal(t.count, 1);
    done(&t.attempts[0], 500, 0);
    ok(hand(HAND_RESET, id, 0));
    v = hook_view(id);
    assert_int_equal(v.fails + v.failing_ms + v.rest_ms, 0);
    assert_int_equal(take(16).count, 3); /* all of them, however often they failed */
    ok(hand(HAND_RESET, id, 0));         /* it is so already */
    assert_int_equal(events_of(NULL, "breaker.reset"), 1);
    struct webhook_put off = {.id = span_of(id), .enabled = 0, .revision = -1};
    begin();
    ok(store_webhook_change(w->s, &off, now(), &w->f));
    commit();
    assert_int_equal(hand(HAND_CLOSE, id, 0), E_CONFLICT);
    assert_non_null(strstr(w->f.words, "is switched off"));
}

static err limit(const char *id, int64_t at_once, int64_t every_ms, int64_t burst)
{
    struct limit_view v = {.scope = LIMIT_WEBHOOK,
                           .name = span_of(id),
                           .max_active = at_once,
                           .weight = LANE_UNCHANGED,
                           .emit_ms = every_ms,
                           .burst = burst};
    begin();
    err e = store_limit_set(w->s, &v, now(), &w->f);
    commit();
    return e;
}

static struct limit_view limit_of(const char *id)
{
    struct limits_page page;
    ok(store_limits(w->s, &(struct limits_query){.name = SPAN(""), .limit = LIMITS_PAGE}, w->a,
                    &page, &w->f));
    for (size_t i = 0; i < page.count; i++)
        if (page.rows[i].scope == LIMIT_WEBHOOK && span_is(page.rows[i].name, id))
            return page.rows[i];
    fail_msg("no limit of %s", id);
    abort();
}

/* As many as there may be tenants in use: what comes last is not cut off. */
static void limits_come_page_by_page_and_none_is_lost(void **state)
{
    (void)state;
    enum { MANY = 1100 };
    const char *id = hook("job.finished");
    struct limit_view v = {.scope = LIMIT_TENANT,
                           .max_active = 7,
                           .weight = LANE_UNCHANGED,
                           .emit_ms = LANE_UNCHANGED,
                           .burst = LANE_UNCHANGED};
    begin();
    for (int i = 0; i < MANY; i++) {
        /* not in their order */
        v.name = span_of(arena_fmt(w->a, "t%04d", (i * 7) % MANY));
        ok(store_limit_set(w->s, &v, now(), &w->f));
    }
    v = (struct limit_view){.scope = LIMIT_SITE,
                            .name = SPAN("slow"),
                            .max_active = LANE_UNCHANGED,
                            .weight = LANE_UNCHANGED,
                            .emit_ms = 500,
                            .burst = 2};
    ok(store_limit_set(w->s, &v, now(), &w->f));
    v = (struct limit_view){.scope = LIMIT_ALL,
                            .name = SPAN(""),
                            .max_active = 9,
                            .weight = LANE_UNCHANGED,
                            .emit_ms = LANE_UNCHANGED,
                            .burst = LANE_UNCHANGED};
    ok(store_limit_set(w->s, &v, now(), &w->f));
    commit();
    static const size_t limits[] = {LIMITS_PAGE, 64, 127};
    for (size_t k = 0; k < sizeof limits / sizeof *limits; k++) {
        struct limits_query q = {.name = SPAN(""), .limit = limits[k]};
        struct limits_page page;
        size_t tenants = 0, sites = 0, hooks = 0, pages = 0;
        do {
            ok(store_limits(w->s, &q, w->a, &page, &w->f));
            assert_int_equal(page.all.max_active, 9);
            assert_true(page.count == q.limit || (!page.more && page.count));
            for (size_t i = 0; i < page.count; i++) {
                const struct limit_view *row = &page.rows[i];
                assert_true(limit_order(row->scope, row->name, q.scope, q.name) > 0);
                q.scope = row->scope;
                q.name = row->name;
                tenants += row->scope == LIMIT_TENANT && row->max_active == 7;
                sites += row->scope == LIMIT_SITE && row->emit_ms == 500 && row->burst == 2;
                hooks += row->scope == LIMIT_WEBHOOK && span_is(row->name, id);
            }
            pages++;
        } while (page.more);
        assert_int_equal(tenants, MANY);
        assert_int_equal(sites, 1);
        assert_int_equal(hooks, 1);
        assert_true(pages > MANY / limits[k]);
    }
    struct limits_query one = {
        .scope = LIMIT_TENANT, .name = SPAN("t0500"), .with = true, .limit = 2};
    struct limits_page page;
    ok(store_limits(w->s, &one, w->a, &page, &w->f));
    assert_true(page.count == 2 && page.more && span_is(page.rows[0].name, "t0500") &&
                span_is(page.rows[1].name, "t0501"));
}

static void a_limit_says_how_many_go_to_one_at_once_and_how_often(void **state)
{
    (void)state;
    const char *id = hook("job.finished");
    assert_int_equal(limit_of(id).max_active, 0);
    ended_jobs(20);
    ok(limit(id, 2, 0, 1));
    struct webhooks_taken t = take(16);
    assert_int_equal(t.count, 2);
    assert_int_equal(limit_of(id).active, 2);
    done(&t.attempts[0], 200, 0);
    assert_int_equal(take(16).count, 1);
    done(&t.attempts[1], 200, 0);
    ok(limit(id, WEBHOOK_AT_ONCE_MOST, LANE_UNCHANGED, LANE_UNCHANGED));
    t = take(16);
    assert_int_equal(t.count, 15); /* one is under way still */
    for (size_t i = 0; i < t.count; i++)
        done(&t.attempts[i], 200, 0);
    ended_jobs(9);
    ok(limit(id, 16, 1000, 3));
    t = take(16);
    assert_int_equal(t.count, 3);
    assert_int_equal(take(16).count, 0);
    assert_int_equal(take(16).next_ms, w->now + 1000);
    crash(false); /* what was used up is known after a restart */
    assert_int_equal(take(16).count, 0);
    w->now += 999;
    assert_int_equal(take(16).count, 0);
    w->now += 1;
    assert_int_equal(take(16).count, 1);
    w->now += 60 * 1000;
    assert_int_equal(take(16).count, 3); /* not more than that, however long nothing went */
    struct limit_view v = limit_of(id);
    assert_int_equal(v.emit_ms, 1000);
    assert_int_equal(v.burst, 3);
    /* Whoever sets it gives nothing anew: what was used up stays so, */
    for (int64_t most = 8; most <= 16; most += 8) {
        ok(limit(id, most, LANE_UNCHANGED, LANE_UNCHANGED));
        assert_int_equal(take(16).count, 0);
    }
    ok(limit(id, 16, 0, LANE_UNCHANGED)); /* also when it is off for a moment, */
    ok(limit(id, 16, 1000, 3));
    assert_int_equal(take(16).count, 0);
    ok(limit(id, 16, HOUR, 3));
    ok(limit(id, 16, 1000, 3)); /* and a stricter one leaves nothing behind. */
    w->now += 1000;
    assert_int_equal(take(16).count, 1);
    assert_int_equal(events_of(NULL, "limit.changed"), 9);
    assert_int_equal(limit(id, WEBHOOK_AT_ONCE_MOST + 1, 0, 1), E_BAD_INPUT);
    assert_int_equal(limit(new_id("whk"), 1, 0, 1), E_NOT_FOUND);
    ok(limit(id, 0, 0, 1));
    assert_int_equal(limit_of(id).emit_ms, 0);
}

/* A rest is no start: while one rested, and was held, its rate saved up as always. */
static void after_a_rest_a_rate_has_saved_up_its_burst(void **state)
{
    (void)state;
    const char *id = hook("job.finished");
    ok(limit(id, 16, 1000, 3));
    ended_jobs(6);
    struct webhooks_taken t = take(1);
    assert_int_equal(t.count, 1);
    done(&t.attempts[0], 503, 30 * 1000); /* it asked for thirty seconds */
    ok(hand(HAND_OPEN, id, 20 * 1000));
    int64_t rest_ms = hook_view(id).rest_ms;
    assert_true(rest_ms >= w->now + 30 * 1000);
    w->now = rest_ms - 1;
    assert_int_equal(take(16).count, 0);
    w->now = rest_ms;
    assert_int_equal(take(16).count, 3);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    T(one_that_is_held_by_hand_gets_nothing_until_its_time_is_over),
    T(one_that_rests_is_closed_by_hand_and_what_waits_is_sent_at_once),
    T(limits_come_page_by_page_and_none_is_lost),
    T(a_limit_says_how_many_go_to_one_at_once_and_how_often),
    T(after_a_rest_a_rate_has_saved_up_its_burst),
    T(events_since_it_was_made_come_signed_and_no_others),
    T(a_job_keeps_its_order_while_others_go_on),
    T(s87_a_receiver_that_is_down_then_slow_then_doubles_gets_all_in_order_and_holds_nobody_up),
    T(the_outbox_is_bounded_and_what_retention_takes_before_is_counted),
    T(tries_follow_the_published_delays_then_the_delivery_is_dead_and_the_next_one_goes),
    T(an_attempt_of_which_nothing_is_heard_is_made_again_and_its_late_word_counts_for_nothing),
    T(a_receiver_says_when_and_one_that_wants_no_more_is_switched_off),
    T(one_to_which_nothing_came_for_five_days_is_switched_off),
    T(both_secrets_sign_while_one_takes_the_place_of_the_other),
    T(a_replay_sends_what_is_in_the_log_once_more_under_the_same_ids),
    T(a_ping_comes_at_once_and_removing_a_webhook_leaves_nothing),
    T(ended_deliveries_are_kept_in_a_bounded_number),
    T(the_end_of_a_job_and_nothing_else_goes_to_its_callback),
    T(a_job_that_ends_again_calls_again_and_an_attempt_before_its_end_does_not),
    T(a_dead_job_that_is_repaired_calls_again),
    T(a_callback_whose_webhook_is_gone_is_said_to_be_dropped),
};
RUN_ON_ALL_STORES(tests)
