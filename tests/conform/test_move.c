/* All that an embedded store holds moves to a Redis and a PostgreSQL, and back: compared by sums, and by what the stores'
 * own queries answer; interrupted at every step; and what is refused. */
#include "../lib/scenario.h"

#include "../lib/postgres.h"
#include "os/clock.h"
#include "os/files.h"
#include "store/batches.h"
#include "store/mover.h"
#include "store/schedules.h"
#include "store/sessions.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/transfer.h"
#include "store/ticket.h"
#include "store/transfer_shared.h"
#include "store/webhooks.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

static struct postgres *postgres;
static struct redis_server redis;
static char shared_files[96];

/* ---- a store with everything in it ---- */

static void ok(err e)
{
    if (e)
        fail_msg("%s: %s", err_name(e), w->f.words);
}

static void hold(enum hand_of of, const char *key)
{
    struct hand_change c = {.of = of,
                            .key = span_of(key),
                            .act = HAND_OPEN,
                            .hold_ms = 5LL * HOUR,
                            .by = SPAN("bert"),
                            .why = SPAN("a new device")};
    begin();
    ok(store_hand(w->s, &c, now(), &w->f));
    commit();
}

static void put_settings(void)
{
    const struct limit_view limits[] = {
        {LIMIT_ALL, SPAN(""), 50, LANE_UNCHANGED, LANE_UNCHANGED, LANE_UNCHANGED, 0},
        {LIMIT_TENANT, SPAN("default"), 40, 7, LANE_UNCHANGED, LANE_UNCHANGED, 0},
        {LIMIT_SITE, SPAN("x"), 30, LANE_UNCHANGED, 10, 3, 0}};
    begin();
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        ok(store_limit_set(w->s, &limits[i], now(), &w->f));
    commit();
    lane_max_active("x/bulk", 3);
    lane_rate("slow/normal", 60000, 2);
    struct lane_change urgent = lane_sets("x/normal");
    urgent.settings.prio = 0;
    assert_int_equal(lane_change(&urgent), E_OK);
    lane_act("x/bulk", LANE_ACT_PAUSE, 0);
    lane_act("shaky/normal", LANE_ACT_BREAKER_OPEN, HOUR);
}

static void put_sessions(void)
{
    static const char *const names[] = {"anna", "bert"};
    for (int i = 0; i < 2; i++) {
        char *id = arena_fmt(w->ids, "ses_%026d", i + 1);
        struct session_add args = {.id = span_of(id),
                                   .site = SPAN("x"),
                                   .pool = SPAN("research"),
                                   .name = span_of(names[i]),
                                   .emit_ms = 100,
                                   .burst = 2,
                                   .max_active = 2};
        struct session_cookies cookies = {.session = span_of(id),
                                          .text = SPAN("auth=1; Domain=x.test"),
                                          .count = 1,
                                          .expires_ms = w->now + 1000LL * HOUR};
        begin();
        ok(store_session_add(w->s, &args, now(), &w->f));
        ok(store_session_cookies(w->s, &cookies, now(), &w->f));
        if (i == 1)
            ok(store_session_lock(w->s, span_of(id), true, SPAN("holidays"), now(), &w->f));
        commit();
        if (i == 1)
            hold(HAND_OF_SESSION, id);
    }
}

/* One of them was asked to rest; the other is held by hand. */
static void use_session(void)
{
    struct lease l;
    struct finish_reply reply;
    struct accept_args job = job_args(new_id(), "default/x/normal@research.read");
    job.pool = SPAN("research");
    job.operation = SPAN("read");
    accept_args(&job);
    ok(reserve_as(&(struct reserve_args){.needs = NEEDS_PAGE}, &l));
    assert_string_equal(l.id, job.id.p);
    struct finish_args args = finish_args_of(&l, FAILURE_RATE_LIMITED);
    args.usage = SPAN("17 40000000 8000 3");
    args.wait_ms = 100 * HOUR;
    ok(try_finish(&args, &reply));
}

static struct span ticket(const char *target)
{
    struct accept_args job = job_args("", "x/normal");
    struct buf text = BUF(TICKET_MAX);
    job.id = SPAN_NONE;
    job.target = span_of(target);
    ok(ticket_write(&job, &text, &w->f));
    struct span kept = arena_keep(w->ids, buf_span(&text));
    buf_free(&text);
    return kept;
}

/* One of which two run at once, with callbacks; one that is open; one that has ended. */
static void put_batches(void)
{
    struct accept_args jobs[5];
    struct batch_reply reply;
    for (int b = 0; b < 3; b++) {
        size_t count = b == 2 ? 1 : 5;
        for (size_t i = 0; i < count; i++)
            jobs[i] = job_args(new_id(), b == 2 ? "quick/interactive" : "x/normal");
        struct batch_args args = {
            .id = span_of(arena_fmt(w->ids, "bat_%026d", b + 1)),
            .tenant = SPAN("default"),
            .name = SPAN("mayors"),
            .open = b == 1,
            .parallel = b == 0 ? 2 : 0,
            .stop_after = b == 1 ? 3 : 0,
            .jobs = jobs,
            .count = count,
            .calls = {ticket("done"), b == 0 ? SPAN_NONE : ticket("well")},
            .idempotency_key = b == 1 ? SPAN("key") : SPAN_NONE,
            .request_hash = 0xfedcba9876543210};
        begin();
        ok(store_batch_create(w->s, &args, now(), w->a, &reply, &w->f));
        if (b == 1) {
            jobs[0].id = span_of(new_id());
            struct batch_add_args add = {.id = args.id,
                                         .jobs = jobs,
                                         .count = 1,
                                         .idempotency_key = SPAN("more"),
                                         .request_hash = 77};
            ok(store_batch_add(w->s, &add, now(), w->a, &reply, &w->f));
        }
        commit();
    }
    struct lease l;
    ok(reserve_as(
        &(struct reserve_args){.sites = (struct span[]){SPAN("quick")}, .site_count = 1}, &l));
    finish(&l, FAILURE_NONE);
}

static struct lease lease_of_site(const char *site)
{
    struct lease l;
    struct span sites = span_of(site);
    err e = reserve_as(
        &(struct reserve_args){.sites = &sites, .site_count = 1, .needs = NEEDS_PAGE}, &l);
    if (e)
        fail_msg("no job of %s may start: %s", site, w->f.words);
    return l;
}

static void put_schedules(void)
{
    struct schedule_view view;
    struct schedule_fired fired;
    for (int i = 0; i < 3; i++) {
        struct schedule_put args = {.id = span_of(arena_fmt(w->ids, "sch_%026d", i + 1)),
                                    .tenant = SPAN("default"),
                                    .name = span_of(arena_fmt(w->ids, "every %d", i)),
                                    .terms.rule = {.kind = SCHEDULE_INTERVAL,
                                                   .interval_ms = HOUR,
                                                   .jitter_ms = i * 777,
                                                   .overlap = SCHEDULE_OVERLAP_QUEUE_ONE,
                                                   .grace_ms = 1000},
                                    .job = job_args("", "timed/normal"),
                                    .job_text =
                                        SPAN("{\"kind\":\"posts\",\"target\":\"@nasa\"}"),
                                    .create = true,
                                    .slot_now = now()};
        struct schedule_ask of = {.tenant = args.tenant,
                                  .id = args.id,
                                  .revision = -1,
                                  .slot_now = now(),
                                  .paused = true,
                                  .by = SPAN("anna"),
                                  .why = SPAN("no money")};
        args.job.id = SPAN_NONE;
        args.job.site = SPAN("timed");
        if (i == 2) {
            struct schedule *rule = &args.terms.rule;
            rule->kind = SCHEDULE_ADAPTIVE;
            rule->least_ms = 7 * MINUTE;
            rule->most_ms = 30 * HOUR;
            rule->posts_wanted = 21;
            rule->missed = SCHEDULE_CATCH_UP;
            rule->catch_up_ms = 5 * HOUR;
            rule->catch_up_max = 3;
            rule->end = (wall){w->now + 400LL * HOUR};
        }
        begin();
        ok(store_schedule_put(w->s, &args, now(), w->a, &view, &w->f));
        if (i < 2)
            ok(store_schedule_trigger(w->s, &of, now(), w->a, &fired, &w->f));
        commit();
        w->now++;
        of.slot_now = now();
        if (i == 0)
            (void)lease_of_site("timed");
        begin();
        if (i == 0) /* it waits for the one that runs */
            ok(store_schedule_trigger(w->s, &of, now(), w->a, &fired, &w->f));
        if (i == 2)
            ok(store_schedule_pause(w->s, &of, now(), w->a, &view, &w->f));
        commit();
    }
}

static void put_file(const struct lease *l, const char *content)
{
    char path[200], hash[DIGEST_TEXT];
    const char *dir = w->place;
    snprintf(path, sizeof path, "%s/files", dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/files/part", dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/files/part/p1", dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
    digest_text(span_of(content), hash);
    struct file_put_args args = {.id = span_of(l->id),
                                 .nonce = l->nonce,
                                 .url =
                                     span_of(arena_fmt(w->ids, "https://m.test/%s", content)),
                                 .part = SPAN("p1"),
                                 .hash = span_of(hash),
                                 .suffix = SPAN("jpg"),
                                 .mime = SPAN("image/jpeg"),
                                 .bytes = (int64_t)strlen(content),
                                 .status = 200};
    begin();
    ok(store_file_put(w->s, &args, now(), &w->f));
    commit();
}

static void put_evidence(const struct lease *l, const char *body)
{
    struct evidence_reply reply;
    struct evidence_args args = {.id = span_of(l->id),
                                 .nonce = l->nonce,
                                 .kind = EVIDENCE_RESPONSE,
                                 .status = 200,
                                 .at_ms = w->now,
                                 .strategy = SPAN("capture"),
                                 .name = SPAN("page"),
                                 .url = SPAN("https://x.test/"),
                                 .headers = SPAN("{}"),
                                 .body = span_of(body)};
    struct evidence_args gap = args;
    gap.gap = GAP_TOO_LARGE;
    gap.gaps = 3;
    begin();
    ok(store_evidence_add(w->s, &args, now(), &reply, &w->f));
    ok(store_evidence_add(w->s, &gap, now(), &reply, &w->f));
    commit();
}

static void put_records(const struct lease *l, int64_t batch, int first)
{
    struct store_item items[5];
    struct commit_reply reply;
    for (int i = 0; i < 5; i++)
        items[i] = (struct store_item){
            .kind = (enum item_kind)i,
            .id = span_of(arena_fmt(w->a, "%d", first + i)),
            .created_ms = w->now - i,
            .json = span_of(
                arena_fmt(w->a, "{\"id\":\"%d\",\"text\":\"h\xc3\xa9llo\"}", first + i))};
    struct commit_args args = {.id = span_of(l->id),
                               .nonce = l->nonce,
                               .batch = batch,
                               .items = items,
                               .count = 5,
                               .cursor =
                                   span_of(arena_fmt(w->a, "page %lld", (long long)batch)),
                               .counts = SPAN("=1-a\npost.text 0 9 1\n+post.mood 3\n"),
                               .filtered = 2};
    begin();
    ok(store_commit_batch(w->s, &args, now(), &reply, &w->f));
    commit();
}

static const char *accept_for(const char *site, const char *target)
{
    struct accept_args args = job_args(new_id(), arena_fmt(w->ids, "%s/normal", site));
    args.site = span_of(site);
    args.target = span_of(target);
    args.kind = SPAN("posts");
    args.mark = MARK_WHEN_COMPLETE;
    accept_args(&args);
    return args.id.p;
}

/* One that succeeded, one that is dead, one cancelled, one expired, one that throttled, one that runs. */
static struct lease put_ended(void)
{
    struct lease l;
    accept_for("one", "well");
    l = lease_of_site("one");
    ok(started(&l));
    put_records(&l, 0, 100);
    put_records(&l, 1, 200);
    put_evidence(&l, "what was read");
    put_file(&l, "a picture");
    finish(&l, FAILURE_NONE);
    accept_for("two", "bad");
    l = lease_of_site("two");
    put_records(&l, 0, 300);
    put_evidence(&l, "what was read");
    put_file(&l, "another picture");
    finish(&l, FAILURE_DRIFT);
    cancel(accept_for("three", "gone"), false);
    struct accept_args late = job_args(new_id(), "four/normal");
    late.expires_ms = w->now + 1;
    accept_args(&late);
    pass(2);
    accept_for("five", "throttled");
    l = lease_of_site("five");
    throttle(&l, HOUR);
    accept_for("six", "runs");
    l = lease_of_site("six");
    ok(started(&l));
    put_records(&l, 0, 400);
    return l;
}

static void put_waiting(void)
{
    struct accept_args args = job_args(new_id(), "x/normal");
    args.prio = 9;
    args.idempotency_key = SPAN("a request");
    args.request_hash = 0x8000000000000001;
    args.deadline_ms = w->now + 50 * HOUR;
    args.memory_bytes = 1 << 20;
    args.limit = 10;
    accept_args(&args);
    args = job_args(new_id(), "x/normal");
    args.run_at_ms = w->now + HOUR;
    args.expires_ms = w->now + 20 * HOUR;
    accept_args(&args);
    args = job_args(new_id(), "x/normal");
    args.held = true;
    args.run_at_ms = w->now + 2 * HOUR;
    accept_args(&args);
    args = job_args(new_id(), "seven/normal");
    args.site = SPAN("seven");
    args.unique_key = SPAN("just one");
    args.work = 0x7123456789abcdef;
    accept_args(&args);
    struct lease l = lease_of_site("seven");
    args.id = span_of(new_id());
    args.on_conflict = UNIQUE_RUN_AFTER_ACTIVE; /* blocked, behind it */
    accept_args(&args);
    args = job_args(new_id(), "seven/normal"); /* blocked, for its result */
    args.work = 0x7123456789abcdef;
    args.coalesce = true;
    accept_args(&args);
    finish(&l, FAILURE_NETWORK); /* again later */
    args = job_args(new_id(), "eight/normal");
    args.site = SPAN("eight");
    args.work = 42;
    accept_args(&args);
    l = lease_of_site("eight");
    put_records(&l, 0, 500);
    finish(&l, FAILURE_NONE);
    args.id = span_of(new_id());
    args.max_age_ms = HOUR; /* answered by the one before */
    accept_args(&args);
}

static const char *put_webhook(int number, const char *types, bool enabled)
{
    const char *id = arena_fmt(w->ids, "whk_%026d", number);
    struct webhook_put args = {.id = span_of(id),
                               .name = SPAN("alarm"),
                               .url = SPAN("http://127.0.0.1:9/in"),
                               .types = span_of(types),
                               .secret = SPAN("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
                               .enabled = enabled};
    begin();
    ok(store_webhook_add(w->s, &args, now(), &w->f));
    commit();
    return id;
}

/* Deliveries of each state, and one that is under way. */
static void put_webhooks(void)
{
    struct webhooks_taken t;
    struct webhook_done_reply reply;
    put_webhook(1, "*", true);
    put_webhook(2, "*", false);
    hold(HAND_OF_WEBHOOK, arena_fmt(w->ids, "whk_%026d", 2));
    struct limit_view limit = {
        LIMIT_WEBHOOK, span_of(arena_fmt(w->ids, "whk_%026d", 1)), 9, LANE_UNCHANGED, 1, 7, 0};
    begin();
    ok(store_limit_set(w->s, &limit, now(), &w->f));
    commit();
    accept_for("nine", "heard");
    accept_for("nine", "not heard");
    accept_for("nine", "not yet");
    begin();
    ok(store_webhooks_take(
        w->s, &(struct webhooks_take_args){.most = 3, .lease_ms = 60000, .at_s = 1}, now(),
        w->a, &t, &w->f));
    assert_int_equal(t.count, 3);
    for (size_t i = 0; i < 2; i++)
        ok(store_webhook_done(w->s,
                              &(struct webhook_done_args){.did = t.attempts[i].did,
                                                          .number = t.attempts[i].number,
                                                          .arrived = i == 0,
                                                          .status = i == 0 ? 200 : 500,
                                                          .why = SPAN("so"),
                                                          .base_ms = 1000},
                              now(), &reply, &w->f));
    commit();
}

static void put_operation(void)
{
    struct operation_view view;
    struct operation_args args = {.id = SPAN("opr_00000000000000000000000001"),
                                  .kind = OPERATION_PRIORITY,
                                  .filter = {.failure = -1},
                                  .per_minute = 1,
                                  .many = true,
                                  .jobs = {.failure = -1, .class = -1, .site = SPAN("x")},
                                  .prio = 3,
                                  .why = SPAN("a \"word\"")};
    begin();
    ok(store_operation_start(w->s, &args, now(), w->a, &view, &w->f));
    args.id = SPAN("opr_00000000000000000000000002");
    args.kind = OPERATION_REPLAY;
    args.filter.site = SPAN("nowhere");
    args.many = false;
    ok(store_operation_start(w->s, &args, now(), w->a, &view, &w->f));
    commit();
}

static struct lease fill(void)
{
    put_settings();
    put_sessions();
    use_session();
    put_batches();
    put_schedules();
    struct lease runs = put_ended();
    put_waiting();
    put_webhooks();
    put_operation();
    begin();
    ok(store_mode_set(w->s, MODE_PAUSED, SPAN("anna"), SPAN("a move"), now(), &w->f));
    commit();
    return runs;
}

/* ---- what the stores' own queries answer, beside jobs, lanes and events ---- */

#define N(v, member) buf_fmt(b, " %s %lld", #member, (long long)(v)->member)
#define T(v, member) buf_fmt(b, " %s %.*s", #member, SP((v)->member))

static void look_at_job_facts(struct buf *b)
{
    struct job_view *jobs, *v;
    size_t n = 0;
    ok(store_jobs(w->s, &(struct jobs_query){.state = -1, .limit = 500}, now(), w->a, &jobs, &n,
                  &w->f));
    for (v = jobs; v < jobs + n; v++) {
        buf_fmt(b, "job %s batch %s print %s", v->id, v->batch, v->fingerprint);
        T(v, site), T(v, kind), T(v, target), T(v, spec), T(v, why), T(v, report);
        T(v, unique_key), T(v, from_job), N(v, failure), N(v, verdict), N(v, end);
        N(v, counts), N(v, limit), N(v, users), N(v, rejected), N(v, conflicts);
        N(v, filtered), N(v, created_ms), N(v, started_ms), N(v, waiting);
        N(v, waiting_until_ms), N(v, revision), N(v, held), N(v, prio), N(v, expires_ms);
        N(v, deadline_ms), N(v, source), N(v, result_age_ms), N(v, usage.n[USAGE_CPU_MS]);
        buf_add_char(b, '\n');
    }
}

static void look_at_hand(struct buf *b, const struct hand *h)
{
    buf_fmt(b, " hand %s: %s %lld %lld", h->by, h->why, (long long)h->at_ms,
            (long long)h->until_ms);
}

static void look_at_lane_facts(struct buf *b)
{
    struct lane_view *lanes, *v;
    struct limits_page page;
    struct span next;
    size_t n = 0;
    ok(store_lanes(w->s, &(struct lanes_query){.limit = 500}, now(), w->a, &lanes, &n, &next,
                   &w->f));
    for (v = lanes; v < lanes + n; v++) {
        buf_fmt(b, "lane");
        T(v, name), T(v, tenant), T(v, site), T(v, pool), N(v, class), N(v, own.weight);
        N(v, own.max_active), N(v, own.emit_ms), N(v, own.burst), N(v, own.depth);
        N(v, own.overflow), N(v, own.prio), N(v, settings.max_active), N(v, paused),
            N(v, closed);
        T(v, pause.by), T(v, pause.why), N(v, pause.at_ms), N(v, oldest_ready_ms);
        N(v, breaker.until_ms), N(v, breaker_forced_until_ms), N(v, breaker.since_ms);
        look_at_hand(b, &v->hand);
        buf_add_char(b, '\n');
    }
    ok(store_limits(w->s, &(struct limits_query){.name = SPAN(""), .limit = LIMITS_PAGE}, w->a,
                    &page, &w->f));
    for (size_t i = 0; i <= page.count; i++) {
        const struct limit_view *l = i ? &page.rows[i - 1] : &page.all;
        if (l->max_active || l->weight || l->emit_ms) {
            buf_fmt(b, "limit");
            N(l, scope), T(l, name), N(l, max_active), N(l, weight), N(l, emit_ms), N(l, burst);
            buf_add_char(b, '\n');
        }
    }
}

static void look_at_schedules(struct buf *b)
{
    struct schedules_list list;
    struct schedule_runs runs;
    ok(store_schedules(w->s, &(struct schedules_query){.tenant = SPAN("default"), .limit = 50},
                       w->a, &list, &w->f));
    for (size_t i = 0; i < list.count; i++) {
        const struct schedule_view *v = &list.rows[i];
        const struct schedule *r = &v->terms.rule;
        buf_fmt(b, "schedule %s last %s", v->id, v->last_job);
        T(v, name), T(v, terms.cron), T(v, terms.zone), T(v, ticket), T(v, job);
        N(r, kind), N(r, interval_ms), N(r, least_ms), N(r, most_ms), N(r, posts_wanted);
        N(r, jitter_ms), N(r, start.ms), N(r, end.ms), N(r, missed), N(r, overlap);
        N(r, catch_up_ms), N(r, catch_up_max), N(r, grace_ms), N(v, start_given_ms);
        N(v, paused_ms), T(v, paused_by), T(v, paused_why), N(v, last.ms), N(v, next_ms);
        N(v, fired), N(v, skipped), N(v, missed), N(v, last_found), N(v, live), N(v, pending);
        N(v, revision), N(v, created_ms), N(v, updated_ms);
        ok(store_schedule_runs(w->s,
                               &(struct schedule_runs_query){.tenant = SPAN("default"),
                                                             .id = span_of(v->id),
                                                             .limit = 100},
                               w->a, &runs, &w->f));
        for (size_t k = 0; k < runs.count; k++) {
            const struct schedule_run *u = &runs.rows[k];
            N(u, n), N(u, slot.ms), N(u, cause), N(u, state), N(u, why), N(u, slots);
            N(u, at_ms), N(u, ended_ms), N(u, job_state), N(u, found);
            if (u->state != SCHEDULE_RUN_PENDING)
                buf_fmt(b, " job %s", u->job);
        }
        buf_add_char(b, '\n');
    }
}

static void look_at_batches(struct buf *b)
{
    struct batch_view *all;
    size_t n = 0;
    bool more;
    ok(store_batches(w->s, SPAN_NONE, 100, w->a, &all, &n, &more, &w->f));
    for (size_t i = 0; i < n; i++) {
        const struct batch_view *v = &all[i];
        buf_fmt(b, "batch %s", v->id);
        T(v, name), N(v, sealed), N(v, stopped), N(v, stop_after), N(v, parallel);
        N(v, gone_well), N(v, gone_otherwise), N(v, created_ms), N(v, updated_ms);
        N(v, finished_ms), N(v, revision);
        for (int st = 0; st < JOB_STATES; st++)
            buf_fmt(b, " %lld", (long long)v->counts[st]);
        for (int c = 0; c < BATCH_CALLS; c++) {
            const struct batch_call_view *k = &v->calls[c];
            buf_fmt(b, " call %d %s", k->asked, k->job);
            N(k, at_ms), N(k, due_ms), T(k, why);
        }
        buf_add_char(b, '\n');
    }
}

static void look_at_sessions(struct buf *b)
{
    struct session_view *all;
    size_t n = 0;
    ok(store_sessions(w->s, SPAN_NONE, SPAN_NONE, now(), w->a, &all, &n, &w->f));
    for (size_t i = 0; i < n; i++) {
        const struct session_view *v = &all[i];
        buf_fmt(b, "session %s %s %s %s %s %s", v->id, v->site, v->pool, v->name, v->reason,
                v->print);
        N(v, state), N(v, since_ms), N(v, cookie_count), N(v, expires_ms), N(v, emit_ms);
        N(v, burst), N(v, max_active), N(v, active), N(v, used_ms);
        N(v, last_ok_ms), N(v, leases_24h), N(v, requests_24h), N(v, fails), N(v, created_ms),
            N(v, updated_ms);
        N(v, revision);
        look_at_hand(b, &v->hand);
        buf_fmt(b, " open %lld", v->open_ms > w->now ? (long long)v->open_ms : 0);
        for (size_t k = 0; k < v->rest_count; k++)
            buf_fmt(b, " rest %s %lld", v->rests[k].operation, (long long)v->rests[k].until_ms);
        buf_add_char(b, '\n');
    }
}

static void look_at_webhooks(struct buf *b)
{
    struct webhook_view *all;
    struct delivery_view *some;
    size_t n = 0, count = 0;
    ok(store_webhooks(w->s, w->a, &all, &n, &w->f));
    for (size_t i = 0; i < n; i++) {
        const struct webhook_view *v = &all[i];
        buf_fmt(b, "webhook %s", v->id);
        T(v, name), T(v, url), T(v, types), T(v, off_why), N(v, enabled), N(v, off_ms);
        N(v, old_until_ms), N(v, open), N(v, behind), N(v, fails), N(v, failing_ms);
        N(v, rest_ms), N(v, delivered), N(v, failed), N(v, dead), N(v, missed);
        N(v, last_ok_ms), N(v, created_ms), N(v, updated_ms), N(v, revision);
        look_at_hand(b, &v->hand);
        struct deliveries_query q = {.webhook = span_of(v->id), .state = -1, .limit = 500};
        ok(store_deliveries(w->s, &q, w->a, &some, &count, &w->f));
        for (size_t k = 0; k < count; k++) {
            const struct delivery_view *d = &some[k];
            buf_fmt(b, " delivery %s", d->id);
            T(d, event), T(d, subject), T(d, type), T(d, why), N(d, state), N(d, seq);
            N(d, attempts), N(d, status), N(d, at_ms), N(d, due_ms), N(d, ended_ms);
        }
        buf_add_char(b, '\n');
    }
}

static void look_at_operations(struct buf *b)
{
    struct operation_view *all;
    size_t n = 0;
    ok(store_operations(w->s, SPAN_NONE, 100, w->a, &all, &n, &w->f));
    for (size_t i = 0; i < n; i++) {
        const struct operation_view *v = &all[i];
        buf_fmt(b, "operation %s %s %s", v->id, v->batch, v->fingerprint);
        N(v, kind), N(v, state), N(v, failure), T(v, site), T(v, job_kind), N(v, since_ms);
        N(v, until_ms), N(v, per_minute), N(v, done), N(v, skipped), N(v, reset);
        N(v, created_ms), N(v, updated_ms), N(v, finished_ms), N(v, due_ms), N(v, many);
        N(v, most), N(v, prio), T(v, why);
        if (v->many)
            T(&v->jobs, site), N(&v->jobs, states), N(&v->jobs, class), N(&v->jobs, failure);
        buf_add_char(b, '\n');
    }
}

static void look_at_beside(struct buf *b)
{
    struct job_view *jobs;
    struct evidence_list list;
    struct evidence_view piece;
    struct fields_view fields;
    size_t n = 0;
    ok(store_jobs(w->s, &(struct jobs_query){.state = -1, .limit = 500}, now(), w->a, &jobs, &n,
                  &w->f));
    for (size_t i = 0; i < n; i++) {
        ok(store_evidence_list(w->s, span_of(jobs[i].id), w->a, &list, &w->f));
        for (size_t k = 0; k < list.count; k++) {
            ok(store_evidence_read(w->s, span_of(jobs[i].id), list.pieces[k].n, w->a, &piece,
                                   &w->f));
            buf_fmt(b, "piece of %s", jobs[i].id);
            N(&piece, n), N(&piece, attempt), N(&piece, batch), N(&piece, at_ms);
            N(&piece, bytes), N(&piece, kind), N(&piece, status), T(&piece, strategy);
            T(&piece, name), T(&piece, url), T(&piece, headers), T(&piece, body);
            buf_add_char(b, '\n');
        }
        for (size_t k = 0; k < list.gap_count; k++)
            buf_fmt(b, "gap of %s %d %d %lld\n", jobs[i].id, (int)list.gaps[k].kind,
                    (int)list.gaps[k].gap, (long long)list.gaps[k].count);
    }
    ok(store_fields(w->s, SPAN("one"), 24, now(), w->a, &fields, &w->f));
    for (size_t i = 0; i < fields.count; i++) {
        const struct field_view *v = &fields.fields[i];
        T(v, name), N(v, member), N(v, now.missing), N(v, now.hits[0]), N(v, now.hits[1]);
        N(v, first_ms);
    }
}

static void look_at_dead(struct buf *b)
{
    struct dead_group *groups;
    size_t n = 0;
    bool more;
    struct dead_query q = {.filter = {.failure = -1}, .limit = 50};
    ok(store_dead_groups(w->s, &q, w->a, &groups, &n, &more, &w->f));
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        buf_fmt(b, "dead %s", groups[i].fingerprint);
        N(&groups[i], failure), T(&groups[i], site), T(&groups[i], kind), N(&groups[i], count);
        N(&groups[i], first_ms), N(&groups[i], last_ms);
        buf_add_char(b, '\n');
    }
}

/* Nothing is made of what was asked for before. */
static void ask_again(void)
{
    struct accept_reply reply = {0};
    struct accept_args args = job_args("job_again", "x/normal");
    args.idempotency_key = SPAN("a request");
    args.request_hash = 0x8000000000000001;
    ok(try_accept(&args, &reply));
    assert_true(reply.replayed);
    args.request_hash = 2;
    assert_int_equal(try_accept(&args, &reply), E_BAD_INPUT);
    args = job_args("job_again", "seven/normal");
    args.unique_key = SPAN("just one");
    args.on_conflict = UNIQUE_REJECT;
    assert_int_equal(try_accept(&args, &reply), E_CONFLICT);
    assert_false(exists("job_again"));
}

static struct span look_wide(void)
{
    struct buf b = BUF(64 << 20);
    look_at_job_facts(&b);
    look_at_lane_facts(&b);
    look_at_schedules(&b);
    look_at_batches(&b);
    look_at_sessions(&b);
    look_at_webhooks(&b);
    look_at_operations(&b);
    look_at_dead(&b);
    look_at_beside(&b);
    buf_add(&b, look());
    struct span text = arena_keep(w->a, buf_span(&b));
    buf_free(&b);
    return text;
}

/* ---- both sides ---- */

static struct transfer *embedded(const char *dir, bool make)
{
    struct transfer *t = NULL;
    struct fault f = {0};
    if (transfer_sqlite(&t, dir, make, &w->limits, &f))
        fail_msg("%s: %s", dir, f.words);
    return t;
}

static struct transfer *shared_with(const char *archive)
{
    struct transfer_shared_config config = {
        .queue = redis.url, .archive = archive, .name = "q", .files_dir = shared_files};
    struct transfer *t = NULL;
    struct fault f = {0};
    if (transfer_shared(&t, &config, &w->limits, &f))
        fail_msg("%s", f.words);
    return t;
}

static struct transfer *shared(void)
{
    return shared_with(postgres->url);
}

static err run(enum mover_act act, struct transfer *from, struct transfer *to,
               struct mover_result *out, struct fault *f)
{
    struct mover_config config = {
        .act = act, .from = from, .to = to, .now = now(), .random = {1, 2, 3}};
    config.random[9] = (uint8_t)++w->numbers;
    *f = (struct fault){0};
    return mover_run(&config, out, f);
}

/* out_rows may be NULL. */
static void move(struct transfer *from, struct transfer *to, int64_t out_rows[MOVE_KINDS])
{
    struct mover_result r;
    struct fault f;
    err e = run(MOVER_MOVE, from, to, &r, &f);
    if (e)
        fail_msg("%s: %s\n%.*s", err_name(e), f.words, SP(buf_span(&r.words)));
    assert_true(r.compared && r.same);
    for (int k = 0; out_rows && k < MOVE_KINDS; k++)
        out_rows[k] = r.from[k].count;
    buf_free(&r.words);
    from->ops->close(&from);
    to->ops->close(&to);
}
static void there(int64_t out_rows[MOVE_KINDS])
{
    move(embedded(w->place, false), shared(), out_rows);
}
static void back(int64_t out_rows[MOVE_KINDS])
{
    move(shared(), embedded(w->place, false), out_rows);
}

/* The store of several machines, as a service opens it. */
static struct archive *real;

static err try_open_shared(struct fault *f)
{
    struct archive_config archive = {.url = span_of(postgres->url)};
    struct redis_config config = {.url = span_of(redis.url),
                                  .records = &records_of_archive,
                                  .files_dir = shared_files,
                                  .callers_time = true};
    *f = (struct fault){0};
    ok(archive_open(&real, &archive, &w->f));
    config.archive = real;
    return redis_open(&w->s, &config, &w->limits, 7, now(), f);
}

static void open_shared(void)
{
    struct fault f;
    if (try_open_shared(&f))
        fail_msg("%s", f.words);
}

static void close_shared(void)
{
    store_close(&w->s);
    archive_close(&real);
}

static int set_up_move(void **state)
{
    set_up(state);
    w->limits.evidence_job_count = 100;
    reopen();
    snprintf(shared_files, sizeof shared_files, "%s/files", redis.dir);
    return 0;
}

static void empty_servers(void)
{
    struct archive_config archive = {.url = span_of(postgres->url)};
    struct archive *a = NULL;
    struct fault f = {0};
    redis_end(&redis, SIGKILL);
    redis_remove(&redis);
    redis_make(&redis);
    redis_start(&redis);
    ok(archive_open(&a, &archive, &f));
    ok(archive_move_clear(a, &f));
    archive_close(&a);
}

static int tear_down_move(void **state)
{
    empty_servers();
    return tear_down(state);
}

/* ---- tests ---- */

static void everything_moves_and_comes_back(void **state)
{
    (void)state;
    int64_t rows[MOVE_KINDS];
    struct finish_reply reply;
    const char *home = w->place;
    struct lease runs = fill();
    reopen(); /* what ran is given back, as by any start */
    struct span before = look_wide();
    store_close(&w->s);
    there(rows);
    for (int k = 0; k < MOVE_KINDS; k++)
        if (!rows[k])
            fail_msg("nothing of %s was there to be moved", moved_shapes[k].words);
    open_shared();
    same_look(before, look_wide());
    assert_int_equal(walk_once(), 0); /* every index is as its jobs say */
    ask_again();
    assert_int_equal(outlook().mode, MODE_PAUSED);
    struct finish_args late = finish_args_of(&runs, FAILURE_NONE);
    assert_int_equal(try_finish(&late, &reply), E_STALE); /* its lease is of another store */
    close_shared();
    move(shared(), embedded(home, true), rows);
    open_store();
    same_look(before, look_wide());
    ask_again();
}

/* What was moved goes on: jobs run, their records lie behind those of before, and nothing of the rest is lost on the way
 * back. */
static void jobs_go_on_where_they_are(void **state)
{
    (void)state;
    struct item_view *items;
    const char *home = w->place;
    struct lease runs = put_ended();
    int64_t had = (int64_t)items_of(runs.id, &items);
    store_close(&w->s);
    there(NULL);
    open_shared();
    struct lease l = lease_of_site("six");
    assert_string_equal(l.id, runs.id);
    assert_true(span_is(l.cursor, "page 0"));
    assert_int_equal(l.next_batch, 1);
    assert_true(l.epoch > runs.epoch);
    put_records(&l, 1, 600);
    finish(&l, FAILURE_NONE);
    close_shared();
    move(shared(), embedded(home, true), NULL);
    open_store();
    assert_int_equal(state_of(runs.id), JOB_SUCCEEDED);
    assert_int_equal(items_of(runs.id, &items), had + 5);
}

/* It ends, and its end calls. */
static void ends_with_a_call(const char *id, const char *hook)
{
    struct event_view *events;
    size_t count;
    assert_int_equal(view(id).max_fail, 7);
    cancel(id, false);
    ok(store_events(w->s, 0, span_of(id), 100, w->a, &events, &count, &w->f));
    const struct event_view *last = &events[count - 1];
    char member[80];
    snprintf(member, sizeof member, "\"callback\":\"%s\"", hook);
    if (!span_is(last->kind, "job.cancelled") ||
        span_find(last->body, span_of(member)) == last->body.n)
        fail_msg("%.*s %.*s", SP(last->kind), SP(last->body));
}

static void a_job_is_told_of_and_tried_as_it_asked_wherever_it_was_moved(void **state)
{
    (void)state;
    const char *home = w->place, *ids[3], *hook = put_webhook(1, "", true);
    for (int i = 0; i < 3; i++) {
        struct accept_args args = job_args(new_id(), "x/normal");
        ids[i] = args.id.p;
        args.max_fail = 7;
        args.spec = span_of(arena_fmt(w->ids, "{\"callback\":{\"webhook_id\":\"%s\"}}", hook));
        accept_args(&args);
    }
    ends_with_a_call(ids[0], hook);
    store_close(&w->s);
    there(NULL);
    open_shared();
    ends_with_a_call(ids[1], hook);
    close_shared();
    move(shared(), embedded(home, true), NULL);
    open_store();
    ends_with_a_call(ids[2], hook);
    struct webhooks_taken t;
    begin();
    ok(store_webhooks_take(
        w->s, &(struct webhooks_take_args){.most = 9, .lease_ms = 60000, .at_s = 1}, now(),
        w->a, &t, &w->f));
    commit();
    assert_int_equal(t.count, 3);
}

/* A batch that the archive has and the queue knows nothing of is not the store's. */
static void a_half_written_batch_is_not_moved(void **state)
{
    (void)state;
    struct item_view *items;
    struct archive_committed committed;
    const char *home = w->place;
    struct lease runs = put_ended();
    size_t had = items_of(runs.id, &items);
    store_close(&w->s);
    there(NULL);
    open_shared();
    struct lease l = lease_of_site("six");
    struct store_item item = {.id = SPAN("never"), .json = SPAN("{}")};
    struct archive_commit commit = {.lease = {span_of(l.id), l.epoch, l.fence},
                                    .site = SPAN("six"),
                                    .batch = 1,
                                    .items = &item,
                                    .count = 1};
    ok(archive_commit(real, &commit, now(), &committed, &w->f));
    close_shared();
    move(shared(), embedded(home, true), NULL);
    open_store();
    assert_int_equal(items_of(runs.id, &items), had);
}

static void a_store_that_was_moved_is_not_used(void **state)
{
    (void)state;
    struct fault f = {0};
    struct mover_result r;
    const char *home = w->place;
    accept_job();
    store_close(&w->s);
    there(NULL);
    assert_int_equal(w->maker->open(w->place, &w->limits, now(), &w->s, &f), E_MOVED);
    assert_non_null(strstr(f.words, "was moved to"));
    struct transfer *from = embedded(home, false), *to = shared();
    assert_int_equal(run(MOVER_MOVE, from, to, &r, &f), E_OK);
    assert_true(r.already && !r.compared);
    buf_free(&r.words);
    assert_int_equal(run(MOVER_VERIFY, from, to, &r, &f), E_OK);
    assert_true(r.compared && r.same);
    buf_free(&r.words);
    from->ops->close(&from);
    to->ops->close(&to);
    move(shared(), embedded(home, true), NULL);
    assert_int_equal(try_open_shared(&f), E_MOVED);
    assert_non_null(strstr(f.words, "moved elsewhere"));
    archive_close(&real);
    open_store();
    assert_int_equal(jobs_count(), 1);
}

static void a_target_with_something_in_it_is_refused(void **state)
{
    (void)state;
    struct fault f = {0};
    struct mover_result r;
    const char *home = w->place;
    accept_job();
    store_close(&w->s);
    open_shared();
    accept_job();
    close_shared();
    struct transfer *from = embedded(home, false), *to = shared();
    assert_int_equal(run(MOVER_MOVE, from, to, &r, &f), E_CONFLICT);
    assert_non_null(strstr(f.words, "is not empty"));
    buf_free(&r.words);
    from->ops->close(&from);
    to->ops->close(&to);
    open_store(); /* nothing was begun */
    assert_int_equal(jobs_count(), 1);
}

static void a_store_in_use_is_refused(void **state)
{
    (void)state;
    struct transfer *t = NULL;
    struct fault f = {0};
    assert_int_equal(transfer_sqlite(&t, w->place, false, &w->limits, &f), E_CONFLICT);
    assert_non_null(strstr(f.words, "stop it"));
    store_close(&w->s);
    w->f = (struct fault){0};
    char nowhere[200];
    snprintf(nowhere, sizeof nowhere, "%s/nowhere", (char *)w->place);
    f = (struct fault){0};
    assert_int_equal(transfer_sqlite(&t, nowhere, false, &w->limits, &f), E_NOT_FOUND);
}

static bool has_file(const char *dir, const char *name)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

/* Of two moves into one new folder, or a service that starts there meanwhile: only who made the store takes it back. */
static void only_who_made_a_target_takes_it_back(void **state)
{
    (void)state;
    struct transfer *other = NULL;
    struct fault f = {0};
    char dir[200];
    snprintf(dir, sizeof dir, "%s/fresh", (char *)w->place);
    struct transfer *first = embedded(dir, true);
    assert_int_equal(transfer_sqlite(&other, dir, true, &w->limits, &f), E_CONFLICT);
    assert_true(has_file(dir, "fulmar.db") && has_file(dir, "fulmar.lock"));
    first->ops->close(&first); /* what was there before is nobody's to take back */
    first = embedded(dir, true);
    transfer_sqlite_undo(first);
    first->ops->close(&first);
    assert_true(has_file(dir, "fulmar.db") && has_file(dir, "fulmar.lock"));
    snprintf(dir, sizeof dir, "%s/fresher", (char *)w->place);
    first = embedded(dir, true);
    assert_true(has_file(dir, "fulmar.db"));
    transfer_sqlite_undo(first);
    first->ops->close(&first);
    assert_int_equal(rmdir(dir), 0);
}

/* What a target cannot take is said before anything is written. */
static void what_cannot_be_moved_is_said_before(void **state)
{
    (void)state;
    struct fault f = {0};
    struct mover_result r;
    struct commit_reply reply;
    const char *home = w->place;
    accept_job();
    struct lease l = start_next();
    struct store_item item = {
        .kind = ITEM_POST, .id = SPAN("1"), .json = SPAN("{\"text\":\"\xff\"}")};
    begin();
    ok(store_commit_batch(
        w->s,
        &(struct commit_args){
            .id = span_of(l.id), .nonce = l.nonce, .items = &item, .count = 1},
        now(), &reply, &w->f));
    commit();
    store_close(&w->s);
    struct transfer *from = embedded(home, false), *to = shared();
    bool empty = false;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(run(i ? MOVER_MOVE : MOVER_LOOK, from, to, &r, &f), E_BAD_INPUT);
        assert_int_equal(r.refused[MOVE_RECORDS], 1);
        assert_non_null(strstr(r.words.p, "no UTF-8"));
        buf_free(&r.words);
        ok(to->ops->empty(to, &empty, &f));
        assert_true(empty);
    }
    from->ops->close(&from);
    to->ops->close(&to);
    open_store();
}

/* MOVE_JOBS (300) jobs with records and evidence of the same bytes: how long it takes, and how much memory. */
static void many_jobs_move(void **state)
{
    (void)state;
    const char *given = getenv("MOVE_JOBS"), *home = w->place;
    int64_t jobs = given && *given ? strtol(given, NULL, 10) : 300, rows[MOVE_KINDS];
    struct rusage used;
    accept_many("x/normal", jobs / 2);
    for (int64_t i = 0; i < jobs - jobs / 2; i++) {
        if (i % 500 == 0)
            begin();
        char *id = arena_fmt(w->a, "job_%07lld", (long long)++w->numbers);
        struct accept_args args =
            job_args(id, arena_fmt(w->a, "t%lld/y/normal", (long long)i % 50));
        args.site = SPAN("y");
        accept_args(&args);
        struct lease l = lease_of_site("y");
        assert_int_equal(commit_batch(&l, 0, (int)(i * 7 % 1000), 4), E_OK);
        finish(&l, FAILURE_NONE);
        if (i % 500 == 499 || i + 1 == jobs - jobs / 2) {
            commit();
            drop_texts();
        }
    }
    store_close(&w->s);
    mono began = clock_mono();
    there(rows);
    int64_t there_ms = clock_mono().ms - began.ms;
    assert_int_equal(rows[MOVE_JOBS], jobs);
    assert_int_equal(rows[MOVE_RECORDS], (jobs - jobs / 2) * 4);
    began = clock_mono();
    move(shared(), embedded(home, true), rows);
    getrusage(RUSAGE_SELF, &used);
    print_message(
        "%lld jobs, %lld records: there in %lld ms, back in %lld ms, %ld MB at most\n",
        (long long)jobs, (long long)rows[MOVE_RECORDS], (long long)there_ms,
        (long long)(clock_mono().ms - began.ms), used.ru_maxrss / 1024);
    open_store();
    assert_int_equal(outlook().by_state[JOB_READY], jobs / 2);
}

/* ---- a difference is found, and named ---- */

static void a_difference_is_named(void **state)
{
    (void)state;
    struct fault f = {0};
    struct mover_result r;
    const char *home = w->place;
    put_ended();
    store_close(&w->s);
    there(NULL);
    assert_true(postgres_do(postgres, "UPDATE fulmar_records SET json='{}' WHERE id='101'"));
    assert_true(postgres_do(postgres, "DELETE FROM fulmar_records WHERE id='303'"));
    struct transfer *from = embedded(home, false), *to = shared();
    assert_int_equal(run(MOVER_VERIFY, from, to, &r, &f), E_STORE);
    assert_false(r.same);
    assert_int_equal(r.from[MOVE_RECORDS].count, r.to[MOVE_RECORDS].count + 1);
    assert_true(strstr(r.words.p, "json differs") || strstr(r.words.p, "only in sqlite:"));
    buf_free(&r.words);
    from->ops->close(&from);
    to->ops->close(&to);
}

/* ---- a mover that dies at every step ---- */

static struct {
    int64_t left; /* calls until it dies */
    bool late;    /* the last one is still done */
} fate;

struct mortal {
    struct transfer head;
    struct transfer *real;
};

static err dies(err (*now_)(struct transfer *), struct transfer *t, struct fault *f)
{
    (void)now_;
    (void)t;
    return fate.left > 0 ? E_OK : (fail)(f, E_STORE, "killed");
}

/* Before the call, or behind it: its answer is lost. */
#define MORTAL(t_, f_, call_)                                                                  \
    do {                                                                                       \
        struct transfer *real_ = ((struct mortal *)(t_))->real;                                \
        if (fate.left-- <= 0 && !fate.late)                                                    \
            return dies(NULL, NULL, f_);                                                       \
        err e_ = real_->ops->call_;                                                            \
        return e_ ? e_ : fate.left < 0 ? dies(NULL, NULL, f_) : E_OK;                          \
    } while (0)

static err mortal_mark(struct transfer *t, struct transfer_mark *out, struct fault *f)
{
    MORTAL(t, f, mark(real_, out, f));
}
static err mortal_set_mark(struct transfer *t, const struct transfer_mark *m, struct fault *f)
{
    MORTAL(t, f, set_mark(real_, m, f));
}
static err mortal_alone(struct transfer *t, struct fault *f)
{
    MORTAL(t, f, alone(real_, f));
}
static err mortal_settle(struct transfer *t, bool dry, struct fault *f)
{
    MORTAL(t, f, settle(real_, dry, f));
}
static err mortal_missing(struct transfer *t, struct buf *words, int64_t *out, struct fault *f)
{
    struct transfer *real_ = ((struct mortal *)t)->real;
    *out = 0;
    return real_->ops->missing ? real_->ops->missing(real_, words, out, f) : E_OK;
}
static err mortal_empty(struct transfer *t, bool *out, struct fault *f)
{
    MORTAL(t, f, empty(real_, out, f));
}
static err mortal_clear(struct transfer *t, struct fault *f)
{
    MORTAL(t, f, clear(real_, f));
}
static err mortal_out(struct transfer *t, enum moved_kind kind, const struct moved_place *place,
                      struct arena *a, struct moved_page *out, struct fault *f)
{
    MORTAL(t, f, out(real_, kind, place, a, out, f));
}
static err mortal_in(struct transfer *t, enum moved_kind kind, const struct moved_page *page,
                     const struct transfer_mark *mark, struct fault *f)
{
    MORTAL(t, f, in(real_, kind, page, mark, f));
}
static err mortal_takes(struct transfer *t, enum moved_kind kind, const struct moved_row *row,
                        struct fault *f)
{
    struct transfer *real_ = ((struct mortal *)t)->real;
    return real_->ops->takes(real_, kind, row, f);
}
static err mortal_epoch(struct transfer *t, int64_t *out, struct fault *f)
{
    MORTAL(t, f, epoch(real_, out, f));
}
static err mortal_finish(struct transfer *t, int64_t epoch, struct fault *f)
{
    MORTAL(t, f, finish(real_, epoch, f));
}
static const struct transfer_ops mortal_ops = {
    .mark = mortal_mark,
    .set_mark = mortal_set_mark,
    .alone = mortal_alone,
    .settle = mortal_settle,
    .missing = mortal_missing,
    .empty = mortal_empty,
    .clear = mortal_clear,
    .out = mortal_out,
    .in = mortal_in,
    .takes = mortal_takes,
    .epoch = mortal_epoch,
    .finish = mortal_finish,
};

/* A server dies as well, now and then. */
static void kill_servers(int64_t life)
{
    if (life % 6 == 2) {
        redis_end(&redis, SIGKILL);
        redis_start(&redis);
    }
    if (life % 24 == 11) {
        postgres_end(postgres, SIGQUIT);
        assert_true(postgres_run(postgres));
    }
}

/* Lives until so many calls are done. */
static err run_mortal(enum mover_act act, int64_t calls, bool late, struct transfer *from,
                      struct transfer *to, struct mover_result *r, struct fault *f)
{
    struct mortal a = {.head = {.ops = &mortal_ops}, .real = from},
                  b = {.head = {.ops = &mortal_ops}, .real = to};
    memcpy(a.head.name, from->name, sizeof a.head.name);
    memcpy(b.head.name, to->name, sizeof b.head.name);
    fate.left = calls;
    fate.late = late;
    err e = run(act, &a.head, &b.head, r, f);
    from->ops->close(&from);
    to->ops->close(&to);
    return e;
}

/* false: it came to the end. */
static bool dies_after(int64_t calls, struct transfer *from, struct transfer *to)
{
    struct mover_result r;
    struct fault f;
    err e = run_mortal(MOVER_MOVE, calls, calls % 2, from, to, &r, &f);
    if (e && !strstr(f.words, "killed"))
        fail_msg("%s: %s\n%.*s", err_name(e), f.words, SP(buf_span(&r.words)));
    if (!e)
        assert_true(r.already || (r.compared && r.same));
    buf_free(&r.words);
    return e != E_OK;
}

static void whoever_is_interrupted_goes_on(void **state)
{
    (void)state;
    const char *home = w->place;
    fill();
    reopen();
    struct span before = look();
    store_close(&w->s);
    /* MOVE_STRIDE=1: at every call; else at some, other ones in each life. */
    const char *given = getenv("MOVE_STRIDE");
    int64_t lives = 0, stride = given && *given ? strtol(given, NULL, 10) : 9;
    for (bool more = true; more; lives++) {
        kill_servers(lives);
        more = dies_after(lives * stride, embedded(home, false), shared());
    }
    assert_true(lives > 7);
    open_shared();
    same_look(before, look());
    assert_int_equal(walk_once(), 0);
    close_shared();
    lives = 0;
    for (bool more = true; more; lives++) {
        kill_servers(lives);
        more = dies_after(lives * stride, shared(), embedded(home, true));
    }
    open_store();
    same_look(before, look());
}

/* Its stores are as they were. */
static void a_move_is_abandoned(void **state)
{
    (void)state;
    struct fault f = {0};
    struct mover_result r;
    const char *home = w->place;
    fill();
    reopen();
    struct span before = look();
    store_close(&w->s);
    assert_true(dies_after(150, embedded(home, false), shared()));
    assert_int_equal(w->maker->open(w->place, &w->limits, now(), &w->s, &f), E_MOVED);
    assert_non_null(strstr(f.words, "--abandon"));
    assert_int_equal(try_open_shared(&f), E_MOVED);
    archive_close(&real);
    struct transfer *from = embedded(home, false), *to = shared();
    bool empty = false;
    assert_int_equal(run(MOVER_LOOK, from, NULL, &r, &f), E_CONFLICT); /* it goes elsewhere */
    buf_free(&r.words);
    assert_int_equal(run(MOVER_ABANDON, from, to, &r, &f), E_OK);
    buf_free(&r.words);
    ok(to->ops->empty(to, &empty, &f));
    assert_true(empty);
    from->ops->close(&from);
    to->ops->close(&to);
    open_store();
    same_look(before, look());
}

static err run_between(enum mover_act act, struct transfer *from, struct transfer *to,
                       struct mover_result *r, struct fault *f)
{
    err e = run(act, from, to, r, f);
    buf_free(&r->words);
    from->ops->close(&from);
    to->ops->close(&to);
    return e;
}

static err run_with(enum mover_act act, const char *home, const char *archive, struct fault *f)
{
    struct mover_result r;
    struct transfer *from = embedded(home, false), *to = shared_with(archive);
    return run_between(act, from, to, &r, f);
}

static enum transfer_state state_of_mark(struct transfer *t)
{
    struct transfer_mark *mark = heap_new_of(struct transfer_mark);
    struct fault f = {0};
    ok(t->ops->mark(t, mark, &f));
    enum transfer_state state = mark->state;
    free(mark);
    t->ops->close(&t);
    return state;
}

/* An archive with one record, of a store that nobody here knows. */
static struct postgres make_other_archive(void)
{
    struct postgres other = *postgres;
    struct archive_config config = {.url = span_of(other.url)};
    struct archive *a = NULL;
    struct archive_committed committed;
    struct store_item item = {.id = SPAN("theirs"), .json = SPAN("{}")};
    struct archive_commit commit = {
        .lease = {SPAN("job_theirs"), 1, 1}, .site = SPAN("x"), .items = &item, .count = 1};
    assert_true(postgres_do(postgres, "CREATE DATABASE other"));
    snprintf(other.url, sizeof other.url, "postgresql://fulmar@/other?host=%s", other.dir);
    config.url = span_of(other.url);
    ok(archive_open(&a, &config, &w->f));
    ok(archive_commit(a, &commit, now(), &committed, &w->f));
    archive_close(&a);
    return other;
}

/* Only what the store had itself is replaced: a Redis that was moved, or is being filled, with the address of another
 * store's archive is refused. */
static void another_stores_archive_is_never_emptied(void **state)
{
    (void)state;
    struct fault f = {0};
    const char *home = w->place;
    put_ended();
    store_close(&w->s);
    there(NULL);
    back(NULL);
    struct postgres other = make_other_archive();
    assert_int_equal(state_of_mark(shared()), TRANSFER_LEFT);
    assert_int_equal(run_with(MOVER_MOVE, home, other.url, &f), E_CONFLICT);
    assert_non_null(strstr(f.words, "another archive"));
    assert_true(dies_after(150, embedded(home, false), shared()));
    assert_int_equal(state_of_mark(shared()), TRANSFER_ARRIVING);
    assert_int_equal(run_with(MOVER_MOVE, home, other.url, &f), E_CONFLICT);
    assert_int_equal(run_with(MOVER_ABANDON, home, other.url, &f), E_CONFLICT);
    assert_non_null(strstr(f.words, "another archive"));
    assert_int_equal(postgres_number(&other, "SELECT count(*) FROM fulmar_records"), 1);
    assert_int_equal(run_with(MOVER_MOVE, home, postgres->url, &f), E_OK);
    assert_true(postgres_do(postgres, "DROP DATABASE other"));
}

/* As it is when the mover died before its last mark (LEAVING), or before its first row (ARRIVING). */
static void take_back_mark(struct transfer *t, enum transfer_state state)
{
    struct transfer_mark *mark = heap_new_of(struct transfer_mark);
    struct fault f = {0};
    ok(t->ops->mark(t, mark, &f));
    mark->state = state;
    mark->kind = -1;
    ok(t->ops->set_mark(t, mark, &f));
    t->ops->close(&t);
    free(mark);
}

/* The target may be used, and was: the source does not come back. */
static void a_move_that_lacks_its_last_mark_is_ended_and_not_abandoned(void **state)
{
    (void)state;
    struct fault f = {0};
    const char *home = w->place;
    put_ended();
    store_close(&w->s);
    there(NULL);
    take_back_mark(embedded(home, false), TRANSFER_LEAVING);
    open_shared();
    accept_job();
    close_shared();
    assert_int_equal(run_with(MOVER_ABANDON, home, postgres->url, &f), E_CONFLICT);
    assert_non_null(strstr(f.words, "without --abandon"));
    assert_int_equal(state_of_mark(embedded(home, false)), TRANSFER_LEAVING);
    assert_int_equal(run_with(MOVER_MOVE, home, postgres->url, &f), E_OK);
    assert_int_equal(state_of_mark(embedded(home, false)), TRANSFER_LEFT);
    assert_int_equal(state_of_mark(shared()), TRANSFER_CAME);
}

static int64_t run_on_file(const char *home, const char *sql)
{
    char path[200];
    sqlite3 *db;
    sqlite3_stmt *q;
    snprintf(path, sizeof path, "%s/fulmar.db", home);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
    int64_t n = sqlite3_step(q) == SQLITE_ROW ? sqlite3_column_int64(q, 0) : -1;
    assert_int_equal(sqlite3_finalize(q), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return n;
}

static int64_t file_version(const char *home)
{
    return run_on_file(home, "PRAGMA user_version");
}

/* ---- never may both be used, and each refusal has a way out ---- */

/* Without one that cannot be opened: by its name. */
static err give_up(struct transfer *from, struct transfer *to, const char *name, bool gone,
                   struct fault *f)
{
    struct mover_result r;
    struct mover_config config = {.act = MOVER_ABANDON,
                                  .from = from,
                                  .to = to,
                                  .from_name = name,
                                  .to_name = name,
                                  .gone = gone,
                                  .now = now()};
    *f = (struct fault){0};
    err e = mover_run(&config, &r, f);
    buf_free(&r.words);
    if (from)
        from->ops->close(&from);
    if (to)
        to->ops->close(&to);
    return e;
}

static void name_of_store(struct transfer *t, char out[TRANSFER_NAME])
{
    memcpy(out, t->name, TRANSFER_NAME);
    t->ops->close(&t);
}

/* Not with another target, not without one, not when the target went on elsewhere meanwhile; the same move ends it. */
static void a_source_does_not_come_back_while_its_target_has_all(void **state)
{
    (void)state;
    struct fault f = {0};
    struct mover_result r;
    const char *home = w->place;
    char *third = arena_fmt(w->ids, "%s/third", home), name[TRANSFER_NAME];
    char *typo = arena_fmt(w->ids, "%s/typo", home);
    put_ended();
    store_close(&w->s);
    there(NULL);
    take_back_mark(embedded(home, false), TRANSFER_LEAVING);
    name_of_store(shared(), name);
    for (int gone = 0; gone < 2; gone++) {
        assert_int_equal(give_up(embedded(home, false), embedded(typo, true), NULL, gone, &f),
                         E_CONFLICT);
        assert_non_null(strstr(f.words, name)); /* which one to give */
        assert_int_equal(give_up(embedded(home, false), NULL, typo, gone, &f), E_CONFLICT);
        assert_non_null(strstr(f.words, name));
    }
    assert_int_equal(
        run_between(MOVER_MOVE, embedded(home, false), embedded(typo, false), &r, &f),
        E_CONFLICT); /* else there were two that have all */
    assert_int_equal(give_up(embedded(home, false), NULL, name, false, &f), E_CONFLICT);
    assert_non_null(strstr(f.words, "--gone"));
    ok(run_between(MOVER_LOOK, embedded(home, false), shared(), &r, &f));
    assert_true(r.whole && r.from[MOVE_JOBS].count == 0); /* nothing is to be moved any more */
    move(shared(), embedded(third, true), NULL);
    for (int gone = 0; gone < 2; gone++) {
        assert_int_equal(give_up(embedded(home, false), shared(), NULL, gone, &f), E_CONFLICT);
        assert_non_null(strstr(f.words, "without --abandon"));
    }
    assert_int_equal(state_of_mark(embedded(home, false)), TRANSFER_LEAVING);
    ok(run_between(MOVER_MOVE, embedded(home, false), shared(), &r, &f));
    assert_true(r.already);
    assert_int_equal(state_of_mark(embedded(home, false)), TRANSFER_LEFT);
    assert_int_equal(state_of_mark(embedded(third, false)), TRANSFER_CAME);
}

/* The target, whole, is elsewhere for a while, and something empty stands under its name: whether it is the one that was filled only
 * a mark tells. */
static void an_empty_store_under_the_targets_name_is_not_the_target(void **state)
{
    (void)state;
    static const enum mover_act acts[] = {MOVER_LOOK, MOVER_MOVE, MOVER_ABANDON};
    struct fault f = {0};
    struct mover_result r;
    const char *home = w->place;
    char *third = arena_fmt(w->ids, "%s/third", home),
         *whole = arena_fmt(w->ids, "%s/whole", home);
    put_ended();
    int64_t had = jobs_count();
    store_close(&w->s);
    move(embedded(home, false), embedded(third, true), NULL);
    take_back_mark(embedded(home, false), TRANSFER_LEAVING);
    assert_int_equal(rename(third, whole), 0);
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        assert_int_equal(
            run_between(acts[i], embedded(home, false), embedded(third, true), &r, &f),
            E_CONFLICT);
        assert_non_null(strstr(f.words, "--gone"));
        assert_int_equal(state_of_mark(embedded(home, false)), TRANSFER_LEAVING);
        assert_int_equal(state_of_mark(embedded(third, false)), TRANSFER_NONE);
    }
    ok(files_remove_tree(third, &f));
    assert_int_equal(rename(whole, third), 0);
    ok(run_between(MOVER_MOVE, embedded(home, false), embedded(third, false), &r, &f));
    assert_true(r.already);
    take_back_mark(embedded(home, false), TRANSFER_LEAVING);
    ok(files_remove_tree(third, &f));
    ok(give_up(embedded(home, false), embedded(third, true), NULL, true, &f));
    open_store();
    assert_int_equal(jobs_count(), had);
}

/* Below HOME, with a path of so many bytes; its end is LAST. */
static char *long_folder(const char *home, int bytes, char last)
{
    int rest = bytes - (int)strlen(home) - 2;
    assert_true(rest > 0);
    char *zeros = arena_fmt(w->ids, "%0*d", rest, 0);
    return arena_fmt(w->ids, "%s/%s%c", home, zeros, last);
}

/* A name that a refusal has no room for is said beside it; two that would be the same when cut off are none. */
static void the_store_that_has_to_be_given_is_named_whole(void **state)
{
    (void)state;
    struct fault f = {0};
    struct mover_result r;
    struct transfer *t = NULL;
    const char *home = w->place;
    char *one = long_folder(home, 152, 'a'), *other = long_folder(home, 152, 'b');
    put_ended();
    store_close(&w->s);
    assert_true(dies_after(150, embedded(home, false), embedded(one, true)));
    for (int act = MOVER_MOVE; act <= MOVER_ABANDON; act += MOVER_ABANDON - MOVER_MOVE) {
        struct transfer *from = embedded(home, false), *to = embedded(other, true);
        assert_int_equal(run((enum mover_act)act, from, to, &r, &f), E_CONFLICT);
        assert_true(span_find(buf_span(&r.words), span_of(one)) < r.words.n);
        buf_free(&r.words);
        from->ops->close(&from);
        to->ops->close(&to);
    }
    char *longer = long_folder(home, 153, 'a');
    assert_int_equal(mkdir(longer, 0700), 0);
    assert_int_equal(transfer_sqlite(&t, longer, true, &w->limits, &f), E_BAD_INPUT);
}

/* Whoever gives up is interrupted as well: the same command goes on, and nobody has to vouch for anything. */
static void an_abandon_that_is_interrupted_goes_on(void **state)
{
    (void)state;
    struct fault f = {0};
    struct mover_result r;
    const char *home = w->place;
    char *third = arena_fmt(w->ids, "%s/third", home);
    put_ended();
    store_close(&w->s);
    assert_true(dies_after(150, embedded(home, false), embedded(third, true)));
    assert_int_equal(state_of_mark(embedded(home, false)), TRANSFER_LEAVING);
    assert_int_equal(state_of_mark(embedded(third, false)), TRANSFER_ARRIVING);
    int lives = 0;
    err e = E_STORE;
    for (; e == E_STORE; lives++) {
        e = run_mortal(MOVER_ABANDON, lives / 2, lives % 2, embedded(home, false),
                       embedded(third, false), &r, &f);
        buf_free(&r.words);
    }
    if (e && !strstr(f.words, "nothing to abandon")) /* the last answer may be what was lost */
        fail_msg("%s", f.words);
    assert_true(lives > 8);
    assert_int_equal(state_of_mark(embedded(home, false)), TRANSFER_NONE);
    assert_int_equal(state_of_mark(embedded(third, false)), TRANSFER_NONE);
}

/* A move out of the target that was given up leaves it in use, with all that came. */
static void a_target_in_use_keeps_what_came(void **state)
{
    (void)state;
    struct fault f = {0};
    const char *home = w->place;
    char *third = arena_fmt(w->ids, "%s/third", home);
    put_ended();
    store_close(&w->s);
    there(NULL);
    take_back_mark(embedded(home, false), TRANSFER_LEAVING);
    assert_true(dies_after(150, shared(), embedded(third, true)));
    assert_int_equal(give_up(shared(), embedded(third, false), NULL, false, &f), E_OK);
    assert_int_equal(state_of_mark(shared()), TRANSFER_NONE);
    assert_int_equal(give_up(embedded(home, false), shared(), NULL, true, &f), E_CONFLICT);
    assert_int_equal(run_with(MOVER_MOVE, home, postgres->url, &f), E_OK);
    assert_int_equal(state_of_mark(embedded(home, false)), TRANSFER_LEFT);
    back(NULL); /* what came from there goes back */
    open_store();
}

/* The target cannot be looked at any more, and comes back later: it is filled anew, or given up as well. */
static void a_move_whose_target_is_away_has_a_way_out(void **state)
{
    (void)state;
    struct fault f = {0};
    const char *home = w->place;
    char name[TRANSFER_NAME];
    bool empty = false;
    put_ended();
    store_close(&w->s);
    name_of_store(shared(), name);
    for (int finishes = 0; finishes < 2; finishes++) {
        assert_true(dies_after(150, embedded(home, false), shared()));
        assert_int_equal(give_up(embedded(home, false), NULL, name, false, &f), E_CONFLICT);
        assert_int_equal(give_up(embedded(home, false), NULL, name, true, &f), E_OK);
        open_store();
        accept_job();
        store_close(&w->s);
        assert_int_equal(state_of_mark(shared()), TRANSFER_ARRIVING);
        if (finishes)
            break;
        assert_int_equal(give_up(embedded(home, false), shared(), NULL, false, &f), E_OK);
        struct transfer *to = shared();
        ok(to->ops->empty(to, &empty, &f));
        assert_true(empty);
        assert_int_equal(state_of_mark(to), TRANSFER_NONE);
    }
    assert_int_equal(run_with(MOVER_MOVE, home, postgres->url, &f), E_OK);
    assert_int_equal(state_of_mark(embedded(home, false)), TRANSFER_LEFT);
    open_shared();
    close_shared();
}

/* The store that it was moved to, in use since, is lost: what the source has is of before, and is had back by who vouches. */
static void a_store_whose_target_is_lost_can_be_had_back(void **state)
{
    (void)state;
    struct fault f = {0};
    const char *home = w->place;
    char *third = arena_fmt(w->ids, "%s/third", home), name[TRANSFER_NAME];
    put_ended();
    int64_t had = jobs_count();
    store_close(&w->s);
    move(embedded(home, false), embedded(third, true), NULL);
    for (int gone = 0; gone < 2; gone++) {
        assert_int_equal(give_up(embedded(home, false), embedded(third, false), NULL, gone, &f),
                         E_CONFLICT);
        assert_non_null(strstr(f.words, "move it back"));
    }
    name_of_store(embedded(third, false), name);
    ok(files_remove_tree(third, &f));
    assert_int_equal(give_up(embedded(home, false), NULL, name, false, &f), E_CONFLICT);
    assert_non_null(strstr(f.words, "--gone"));
    assert_int_equal(give_up(embedded(home, false), embedded(third, true), NULL, false, &f),
                     E_CONFLICT); /* an empty one in its place says nothing of that */
    assert_int_equal(give_up(embedded(home, false), NULL, name, true, &f), E_OK);
    open_store();
    assert_int_equal(jobs_count(), had);
}

/* The source is no more: what had arrived can be deleted, and the target used for something else. */
static void a_target_whose_source_is_gone_has_a_way_out(void **state)
{
    (void)state;
    struct fault f = {0};
    struct mover_result r;
    const char *home = w->place;
    char *third = arena_fmt(w->ids, "%s/third", home), name[TRANSFER_NAME];
    put_ended();
    store_close(&w->s);
    assert_true(dies_after(150, embedded(home, false), shared()));
    name_of_store(embedded(home, false), name);
    assert_int_equal(run_between(MOVER_MOVE, embedded(third, true), shared(), &r, &f),
                     E_CONFLICT);
    assert_non_null(strstr(f.words, name));
    assert_int_equal(give_up(embedded(third, true), shared(), NULL, true, &f), E_CONFLICT);
    assert_int_equal(give_up(NULL, shared(), name, false, &f), E_CONFLICT);
    assert_non_null(strstr(f.words, "--gone"));
    assert_int_equal(give_up(NULL, shared(), name, true, &f), E_OK);
    assert_int_equal(state_of_mark(shared()), TRANSFER_NONE);
    assert_int_equal(give_up(embedded(home, false), shared(), NULL, false, &f), E_CONFLICT);
    assert_non_null(strstr(f.words, "--gone")); /* it came back, to an empty target */
    assert_int_equal(give_up(embedded(home, false), shared(), NULL, true, &f), E_OK);
    open_store();
}

static void forget(const char *verb, const char *key, const char *field)
{
    struct link_config config = {.url = span_of(redis.url), .name = SPAN("look")};
    struct link *l = NULL;
    struct reply r;
    struct fault f = {0};
    ok(link_new(&l, &config, &f));
    ok(link_say(l, w->a, &r, &f, verb, key, field, NULL));
    link_free(&l);
}

/* As a store that was never moved. */
static void forget_mark(void)
{
    forget("DEL", "fulmar:{q}:move", NULL);
}

/* As an earlier version left it. */
static void forget_archive(void)
{
    forget("HDEL", "fulmar:{q}:meta", "ar");
}

/* A Redis with an archive that is not its own, which is empty, or that lost a job. The right one, or deleting the job, is the way
 * out. */
static void records_are_not_left_behind_in_another_archive(void **state)
{
    (void)state;
    int64_t rows[MOVE_KINDS];
    struct fault f = {0};
    struct mover_result r;
    char *third = arena_fmt(w->ids, "%s/third", (const char *)w->place);
    struct lease runs = put_ended();
    store_close(&w->s);
    there(rows);
    assert_true(postgres_do(postgres, "CREATE DATABASE other"));
    char *url = arena_fmt(w->ids, "postgresql://fulmar@/other?host=%s", postgres->dir);
    assert_int_equal(run_between(MOVER_LOOK, shared_with(url), embedded(third, true), &r, &f),
                     E_CONFLICT);
    assert_non_null(strstr(f.words, "another archive")); /* its mark says which it has */
    open_shared();
    close_shared();
    forget_mark();
    assert_int_equal(run_between(MOVER_MOVE, shared_with(url), embedded(third, true), &r, &f),
                     E_CONFLICT);
    assert_non_null(strstr(f.words, "another archive")); /* and who used it */
    forget_archive();
    assert_int_equal(run_between(MOVER_MOVE, shared_with(url), embedded(third, true), &r, &f),
                     E_BAD_INPUT);
    assert_int_equal(r.refused[MOVE_JOBS], 3); /* nobody said which; the jobs tell */
    assert_true(postgres_do(postgres, "DROP DATABASE other"));
    assert_int_equal(state_of_mark(shared()), TRANSFER_NONE); /* nothing was begun */
    assert_true(postgres_do(
        postgres, arena_fmt(w->ids, "DELETE FROM fulmar_jobs WHERE id='%s'", runs.id)));
    assert_int_equal(run_between(MOVER_MOVE, shared(), embedded(third, false), &r, &f),
                     E_BAD_INPUT);
    assert_int_equal(r.refused[MOVE_JOBS], 1);
    open_shared();
    cancel(runs.id, true);
    begin();
    ok(store_forget(w->s, span_of(runs.id), now(), &w->f));
    commit();
    close_shared();
    move(shared(), embedded(third, false), rows);
    assert_int_equal(rows[MOVE_RECORDS], 15);
}

/* Empties the store until it is killed. */
static pid_t start_emptying(const char *dir)
{
    pid_t child = fork();
    if (child)
        return child;
    struct transfer *t = NULL;
    struct fault f = {0};
    if (transfer_sqlite(&t, dir, false, &w->limits, &f))
        _exit(1);
    while (t->ops->clear(t, &f) == E_OK)
        ;
    _exit(1);
}

static const char *const half_made[] = {"fulmar.db.new", "fulmar.db.new-wal",
                                        "fulmar.db.new-shm"};

static void leave_half_made(const char *dir)
{
    for (size_t i = 0; i < sizeof half_made / sizeof *half_made; i++) {
        FILE *file = fopen(arena_fmt(w->ids, "%s/%s", dir, half_made[i]), "w");
        assert_non_null(file);
        fclose(file);
    }
}

static bool has_half_made(const char *dir)
{
    bool has = false;
    for (size_t i = 0; i < sizeof half_made / sizeof *half_made; i++)
        has |= access(arena_fmt(w->ids, "%s/%s", dir, half_made[i]), F_OK) == 0;
    return has;
}

/* The next that uses the store removes it, be it a mover or a service. */
static void what_a_killed_mover_leaves_does_not_stay(void **state)
{
    (void)state;
    const char *home = w->place;
    store_close(&w->s);
    leave_half_made(home);
    assert_int_equal(state_of_mark(embedded(home, false)), TRANSFER_NONE);
    assert_false(has_half_made(home));
    leave_half_made(home);
    open_store();
    assert_false(has_half_made(home));
}

/* Wherever its mover is killed, a target that is being emptied says that it is to be filled: no service starts there, and the same
 * move goes on. */
static void a_target_that_is_emptied_keeps_its_mark(void **state)
{
    (void)state;
    struct fault f = {0};
    struct mover_result r;
    struct store *s = NULL;
    const char *home = w->place;
    char *target = arena_fmt(w->ids, "%s/target", home);
    put_ended();
    store_close(&w->s);
    assert_true(dies_after(150, embedded(home, false), embedded(target, true)));
    take_back_mark(embedded(target, false), TRANSFER_ARRIVING);
    for (int i = 0; i < 40; i++) {
        int status = 0;
        pid_t child = start_emptying(target);
        assert_true(child > 0);
        nanosleep(&(struct timespec){.tv_nsec = i * 777777}, NULL);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status)); /* it did not end by itself */
        assert_int_equal(state_of_mark(embedded(target, false)), TRANSFER_ARRIVING);
        f = (struct fault){0};
        assert_int_equal(w->maker->open(target, &w->limits, now(), &s, &f), E_MOVED);
        assert_true(file_version(target) > SCHEMA_VERSION + 100);
    }
    if (run_between(MOVER_MOVE, embedded(home, false), embedded(target, false), &r, &f))
        fail_msg("%s", f.words);
    assert_true(r.same);
}

/* By its name a source is told which store it was moved to: stores that are not the same have not the same. */
static void each_store_of_a_server_has_a_name_of_its_own(void **state)
{
    (void)state;
    static const char *const stores[][3] = {
        {"redis://:secret@queue:6379", "fulmar", "queue:6379"},
        {"redis://queue:6379", "other", "queue:6379#other"},
        {"redis://queue:6379/2", "other", "queue:6379/2#other"},
        {"sentinel://:secret@a:26379,b:26379/main", "fulmar", "a:26379/main"},
        {"sentinel://a:26379,b:26379/else", "fulmar", "a:26379/else"},
    };
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++) {
        struct transfer_shared_config c = {.queue = stores[i][0], .name = stores[i][1]};
        char name[TRANSFER_NAME];
        struct fault f = {0};
        if (transfer_shared_name(&c, name, &f))
            fail_msg("%s: %s", c.queue, f.words);
        assert_string_equal(name, stores[i][2]);
    }
}

/* Killed behind the target's mark, which says so; the source is as it was. */
static void mark_target(const char *home)
{
    struct transfer *to = shared(), *from = embedded(home, false);
    struct transfer_mark *mark = heap_new_of(struct transfer_mark);
    struct fault f = {0};
    ok(to->ops->mark(to, mark, &f));
    mark->state = TRANSFER_ARRIVING;
    snprintf(mark->id, sizeof mark->id, "mov_01ARZ3NDEKTSV4RRFFQ6000001");
    span_copy(span_of(from->name), mark->other, sizeof mark->other);
    mark->kind = -1;
    ok(to->ops->set_mark(to, mark, &f));
    free(mark);
    from->ops->close(&from);
    to->ops->close(&to);
}

/* It can be given up; or goes on, and what the source did meanwhile comes along, a job that ran as given back. */
static void a_move_interrupted_between_the_marks_can_go_either_way(void **state)
{
    (void)state;
    struct fault f = {0};
    const char *home = w->place;
    accept_job();
    store_close(&w->s);
    mark_target(home);
    char *spelled = arena_fmt(w->ids, "%s/./", home); /* otherwise, and it is the same */
    assert_int_equal(give_up(embedded(spelled, false), shared(), NULL, false, &f), E_OK);
    assert_int_equal(state_of_mark(shared()), TRANSFER_NONE);
    mark_target(home);
    open_store();
    struct lease l = start_next();
    begin();
    ok(store_started(w->s, span_of(l.id), l.nonce, &w->f));
    commit();
    store_close(&w->s);
    assert_int_equal(run_with(MOVER_MOVE, home, postgres->url, &f), E_OK);
    open_shared();
    assert_int_equal(state_of(l.id), JOB_READY);
    close_shared();
}

/* ---- what a version that knows nothing of moves looks at ---- */

/* set NULL: as it is. */
static int64_t queue_schema_as(const char *set)
{
    struct link_config config = {.url = span_of(redis.url), .name = SPAN("look")};
    struct link *l = NULL;
    struct reply r;
    struct fault f = {0};
    int64_t n = 0;
    ok(link_new(&l, &config, &f));
    if (set)
        ok(link_say(l, w->a, &r, &f, "HSET", "fulmar:{q}:meta", "schema", set, NULL));
    ok(link_say(l, w->a, &r, &f, "HGET", "fulmar:{q}:meta", "schema", NULL));
    assert_true(span_int(r.text, &n));
    link_free(&l);
    return n;
}

static int64_t queue_schema(void)
{
    return queue_schema_as(NULL);
}

/* The numbers are what the version before reads when it starts; the embedded store is in its window, in which that may. */
static void no_version_takes_a_store_that_is_moved(void **state)
{
    (void)state;
    enum { BEFORE = SCHEMA_VERSION - 1, SCHEMA = 1 };
    struct fault f = {0};
    const char *home = w->place;
    put_ended();
    store_close(&w->s);
    w->limits.rollback_ms = 100000LL * HOUR;
    run_on_file(home, arena_fmt(w->ids, "PRAGMA user_version=%d", BEFORE));
    run_on_file(home, arena_fmt(w->ids, "INSERT INTO meta(k,v,at) VALUES('tables',%d,%lld)",
                                SCHEMA_VERSION, (long long)clock_wall().ms));
    assert_true(dies_after(150, embedded(home, false), shared()));
    assert_true(file_version(home) > SCHEMA_VERSION + 100);
    assert_true(queue_schema() > SCHEMA + 100);
    assert_int_equal(w->maker->open(w->place, &w->limits, now(), &w->s, &f), E_MOVED);
    assert_non_null(strstr(f.words, "--abandon"));
    assert_int_equal(run_with(MOVER_ABANDON, home, postgres->url, &f), E_OK);
    assert_int_equal(file_version(home), BEFORE);
    assert_int_equal(queue_schema(), SCHEMA);
    there(NULL);
    assert_true(file_version(home) > SCHEMA_VERSION + 100);
    assert_int_equal(queue_schema(), SCHEMA);
    (void)queue_schema_as("9"); /* its own, whatever the mover's is */
    assert_true(dies_after(150, shared(), embedded(home, false)));
    assert_true(queue_schema() > SCHEMA + 100);
    assert_int_equal(give_up(shared(), embedded(home, false), NULL, false, &f), E_OK);
    assert_int_equal(queue_schema(), 9);
    (void)queue_schema_as("1");
    back(NULL);
    assert_int_equal(file_version(home), SCHEMA_VERSION);
    assert_true(queue_schema() > SCHEMA + 100);
    assert_int_equal(try_open_shared(&f), E_MOVED);
    archive_close(&real);
    open_store();
}

int main(void)
{
#define M(name) cmocka_unit_test_setup_teardown(name, set_up_move, tear_down_move)
    const struct CMUnitTest tests[] = {
        M(everything_moves_and_comes_back),
        M(jobs_go_on_where_they_are),
        M(a_job_is_told_of_and_tried_as_it_asked_wherever_it_was_moved),
        M(a_half_written_batch_is_not_moved),
        M(a_store_that_was_moved_is_not_used),
        M(a_target_with_something_in_it_is_refused),
        M(a_store_in_use_is_refused),
        M(only_who_made_a_target_takes_it_back),
        M(many_jobs_move),
        M(what_cannot_be_moved_is_said_before),
        M(a_difference_is_named),
        M(whoever_is_interrupted_goes_on),
        M(a_move_is_abandoned),
        M(another_stores_archive_is_never_emptied),
        M(a_move_that_lacks_its_last_mark_is_ended_and_not_abandoned),
        M(a_source_does_not_come_back_while_its_target_has_all),
        M(an_empty_store_under_the_targets_name_is_not_the_target),
        M(the_store_that_has_to_be_given_is_named_whole),
        M(an_abandon_that_is_interrupted_goes_on),
        M(a_target_in_use_keeps_what_came),
        M(a_move_whose_target_is_away_has_a_way_out),
        M(a_store_whose_target_is_lost_can_be_had_back),
        M(a_target_whose_source_is_gone_has_a_way_out),
        M(records_are_not_left_behind_in_another_archive),
        M(what_a_killed_mover_leaves_does_not_stay),
        M(a_target_that_is_emptied_keeps_its_mark),
        cmocka_unit_test(each_store_of_a_server_has_a_name_of_its_own),
        M(a_move_interrupted_between_the_marks_can_go_either_way),
        M(no_version_takes_a_store_that_is_moved),
    };
    maker = &store_makers[0];
    postgres = postgres_start(NULL, false);
    if (!postgres)
        return 0;
    redis_make(&redis);
    redis_start(&redis);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    redis_end(&redis, SIGKILL);
    redis_remove(&redis);
    postgres_stop(&postgres);
    return failed;
}
