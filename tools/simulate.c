/* simulate.c - a site, three tenants and a month of their jobs in virtual time, by the rules of
 * src/core: what a rate, a burst or a number of sessions would mean before anybody configures it.
 *
 * simulate [seed=1] [days=30] [emit=700] [burst=2] [sessions=3] [zone=Europe/Berlin]
 *
 * The site asks to wait now and then, is down for an hour a day, and answers the rest. Nothing here
 * is random but by the seed; the same words give the same month. Exit 1 when a promise is broken:
 * a start while the site's block or the breaker holds, more active jobs than sessions, work left. */
#include "core/lane.h"
#include "core/limit.h"
#include "core/pick.h"
#include "core/retry.h"
#include "core/schedule.h"
#include "core/unique.h"
#include "os/zone.h"

#include <stdio.h>

enum {
    TENANTS = 3,
    QUEUE = 4096,
    SESSIONS_MAX = 16,
    STEP_MS = 1000,
    HOUR_MS = 3600 * 1000,
    WORK_MS = 12000
};
static const int64_t DAY_MS = 24 * (int64_t)HOUR_MS;
static const int64_t T0 = 1767225600000; /* 2026-01-01 */

struct job {
    int64_t ready_ms, rank, unique, tries;
};
static const struct limit_retry_policy retry_policy = {.floor = 3, .percent = 20};

struct lane {
    struct pick_turn turn;
    struct job waiting[QUEUE];
    size_t count;
    int64_t starts, done, waited_ms, worst_ms;
};
struct run {
    struct job job;
    int64_t ends_ms;
    int session;
    bool active;
    int tenant, lane;
};
struct month {
    uint64_t random;
    int64_t now, vtime, lane_vtime[TENANTS];
    struct pick_turn tenants[TENANTS];
    struct lane lanes[TENANTS][LANE_QUARANTINE];
    struct pick_session sessions[SESSIONS_MAX];
    struct run runs[SESSIONS_MAX];
    struct limit site;
    struct limit_retries retries;
    struct breaker breaker;
    struct schedule schedule;
    struct zone zone;
    wall settled;
    struct schedule watch; /* an account that posts by day: visited as often as it is worth */
    int64_t active, visits, slots, passed_over, reused, refused, asked_to_wait, opened,
        parked_ms, broken;
};

static int64_t below(struct month *m, int64_t n)
{
    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)(m->random >> 33) % n;
}

static bool lives(const struct month *m, int64_t unique, struct unique_facts *out)
{
    *out = (struct unique_facts){0};
    for (int i = 0; i < SESSIONS_MAX; i++) {
        if (m->runs[i].active && m->runs[i].job.unique == unique)
            *out = (struct unique_facts){.live = true, .state = JOB_ACTIVE};
    }
    for (int t = 0; t < TENANTS && !out->live; t++) {
        for (int c = 0; c < LANE_QUARANTINE && !out->live; c++) {
            for (size_t i = 0; i < m->lanes[t][c].count && !out->live; i++)
                *out = (struct unique_facts){.live = m->lanes[t][c].waiting[i].unique == unique,
                                             .state = JOB_READY};
        }
    }
    return out->live;
}

static void enter(struct month *m, int tenant, int lane, struct job j, int prio)
{
    struct lane *l = &m->lanes[tenant][lane];
    struct unique_facts facts;
    struct unique_answer earlier = {.exists = below(m, 4) == 0,
                                    .age_ms = below(m, 2 * HOUR_MS),
                                    .failing = m->breaker.state != BREAKER_CLOSED};
    if (j.tries == 0 && unique_reuse(&earlier, HOUR_MS / 4, HOUR_MS) != UNIQUE_WORK) {
        m->reused++;
        return;
    }
    if (j.tries == 0 && j.unique && lives(m, j.unique, &facts) &&
        unique_decide(UNIQUE_RETURN_EXISTING, &facts) != UNIQUE_ACCEPT) {
        m->refused++;
        return;
    }
    if (l->count == QUEUE)
        return;
    if (l->count == 0)
        pick_woke(&l->turn, m->lane_vtime[tenant]);
    j.rank = lane_rank(j.ready_ms, prio);
    l->waiting[l->count++] = j;
}

/* The waiting job of the smallest rank that is ready, or −1. */
static int first_of(const struct lane *l, int64_t now)
{
    int best = -1;
    for (size_t i = 0; i < l->count; i++) {
        if (l->waiting[i].ready_ms <= now &&
            (best < 0 || l->waiting[i].rank < l->waiting[best].rank))
            best = (int)i;
    }
    return best;
}

static void arrivals(struct month *m)
{
    for (int t = 0; t < TENANTS; t++) {
        /* The first tenant asks for ten times as much. */
        if (below(m, t == 0 ? 40 : 400) == 0)
            enter(m, t, (int)below(m, LANE_QUARANTINE),
                  (struct job){.ready_ms = m->now, .unique = 1 + below(m, 500)},
                  (int)below(m, 10));
    }
    wall slots[SCHEDULE_CATCH_UP_MAX];
    size_t n =
        schedule_due(&m->schedule, &m->zone, m->settled, (wall){m->now}, slots, &m->settled);
    struct unique_facts facts;
    for (size_t i = 0; i < n; i++) {
        char id[ID_TEXT];
        schedule_slot_id(id, SPAN("daily"), slots[i]);
        bool alive = lives(m, -1, &facts);
        enum schedule_go go =
            schedule_meet(m->schedule.overlap, alive && facts.state == JOB_ACTIVE, alive);
        m->slots++;
        m->passed_over += go == SCHEDULE_GO_PASS;
        if (go != SCHEDULE_GO_PASS)
            enter(m, 1, LANE_NORMAL,
                  (struct job){.ready_ms =
                                   schedule_start(&m->schedule, SPAN("daily"), slots[i]).ms,
                               .unique = -1},
                  5);
    }
}

/* A post in 5 minutes by day, one an hour by night. */
static void visit(struct month *m)
{
    wall slot;
    if (schedule_next(&m->watch, &m->zone, m->watch.start, &slot) || slot.ms > m->now)
        return;
    bool day = m->now % DAY_MS > DAY_MS / 3;
    int64_t elapsed = m->now - m->watch.start.ms;
    m->watch.interval_ms =
        schedule_adapt(&m->watch, elapsed / (day ? HOUR_MS / 12 : HOUR_MS), elapsed);
    m->watch.start.ms = m->now; /* the next one is counted from this visit */
    m->visits++;
    enter(m, 2, LANE_BULK, (struct job){.ready_ms = m->now, .unique = -2}, 5);
}

static void end_run(struct month *m, struct run *r)
{
    struct retry_policy policy = {.base_ms = 1000, .cap_ms = 600000};
    bool down = m->now % DAY_MS < HOUR_MS;
    bool wait = !down && below(m, 60) == 0;
    struct lane *l = &m->lanes[r->tenant][r->lane];
    int64_t trips = m->breaker.trips;
    r->active = false;
    m->active--;
    breaker_note(&m->breaker,
                 down   ? BREAKER_HEALTH_ERROR
                 : wait ? BREAKER_NO_VERDICT
                        : BREAKER_OK,
                 m->now);
    m->opened += m->breaker.trips > trips;
    if (!down && !wait) {
        l->done++;
        return;
    }
    int64_t hint = wait ? 60000 + below(m, 600000) : 0;
    if (wait) {
        m->asked_to_wait++;
        limit_block(&m->site, m->now, hint);
        pick_session_rests(&m->sessions[r->session], r->lane, m->now + hint);
    }
    struct job again = r->job;
    again.tries++;
    again.ready_ms = m->now + retry_delay_ms(&policy, SPAN("job"),
                                             (int)(again.tries < 30 ? again.tries : 30),
                                             (uint64_t)again.unique, hint);
    enter(m, r->tenant, r->lane, again, 5);
}

/* Starts one job; false when nothing may start now. */
static bool start_one(struct month *m, int64_t sessions)
{
    struct pick_turn turns[LANE_QUARANTINE];
    int64_t open_ms = 0;
    if (m->active >= sessions || limit_open_at(&m->site) > m->now ||
        !breaker_allows(&m->breaker, m->active, m->now))
        return false;
    for (int t = 0; t < TENANTS; t++) {
        bool any = false;
        for (int c = 0; c < LANE_QUARANTINE; c++)
            any |= first_of(&m->lanes[t][c], m->now) >= 0;
        if (any && !m->tenants[t].may_start)
            pick_woke(&m->tenants[t], m->vtime);
        m->tenants[t].may_start = any;
    }
    int t = pick_next(m->tenants, TENANTS);
    if (t == PICK_NOBODY)
        return false;
    for (int c = 0; c < LANE_QUARANTINE; c++) {
        turns[c] = m->lanes[t][c].turn;
        turns[c].may_start = first_of(&m->lanes[t][c], m->now) >= 0;
    }
    int c = pick_next(turns, LANE_QUARANTINE);
    struct lane *l = &m->lanes[t][c];
    int i = first_of(l, m->now),
        session = pick_session(m->sessions, (size_t)sessions, c, m->now, &open_ms);
    if (session == PICK_NOBODY) {
        m->parked_ms += STEP_MS;
        return false;
    }
    if (l->waiting[i].tries > 0 &&
        limit_retry_at(&m->retries, &retry_policy, m->now) > m->now) {
        l->waiting[i].ready_ms = limit_retry_at(&m->retries, &retry_policy, m->now);
        return true; /* somebody else's turn */
    }
    if (!limit_take(&m->site, m->now))
        return false;
    struct run *r = m->runs;
    while (r->active)
        r++;
    *r = (struct run){.job = l->waiting[i],
                      .ends_ms = m->now + WORK_MS / 2 + below(m, WORK_MS),
                      .session = session,
                      .active = true,
                      .tenant = t,
                      .lane = c};
    l->waiting[i] = l->waiting[--l->count];
    m->broken += m->now < m->site.blocked_until_ms ||
                 (m->breaker.state == BREAKER_OPEN && m->breaker.until_ms > m->now);
    breaker_started(&m->breaker, m->now);
    limit_started(&m->retries, r->job.tries > 0, m->now);
    pick_started(&m->tenants[t], &m->vtime);
    pick_started(&l->turn, &m->lane_vtime[t]);
    m->sessions[session].used_ms = m->now;
    m->sessions[session].open_ms = m->now + 2000;
    m->active++;
    l->starts++;
    int64_t waited = m->now - r->job.ready_ms;
    l->waited_ms += waited;
    l->worst_ms = waited > l->worst_ms ? waited : l->worst_ms;
    m->broken += m->active > sessions;
    return true;
}

static size_t waiting(const struct month *m)
{
    size_t n = (size_t)m->active;
    for (int t = 0; t < TENANTS; t++) {
        for (int c = 0; c < LANE_QUARANTINE; c++)
            n += m->lanes[t][c].count;
    }
    return n;
}

static int report(const struct month *m)
{
    static const char *const classes[] = {"interactive", "normal", "bulk"};
    for (int t = 0; t < TENANTS; t++) {
        for (int c = 0; c < LANE_QUARANTINE; c++) {
            const struct lane *l = &m->lanes[t][c];
            printf(
                "tenant %d %-11s  %6lld starts  %6lld done  mean wait %5lld s  longest %6lld s\n",
                t + 1, classes[c], (long long)l->starts, (long long)l->done,
                (long long)(l->starts ? l->waited_ms / l->starts / 1000 : 0),
                (long long)l->worst_ms / 1000);
        }
    }
    printf(
        "visits %lld  slots %lld (%lld passed over)  answers reused %lld  equal work %lld  asked to wait %lld  breaker opened %lld"
        "  parked for a session %lld s\n",
        (long long)m->visits, (long long)m->slots, (long long)m->passed_over,
        (long long)m->reused, (long long)m->refused, (long long)m->asked_to_wait,
        (long long)m->opened, (long long)m->parked_ms / 1000);
    printf("left over %zu, promises broken %lld\n", waiting(m), (long long)m->broken);
    return m->broken || waiting(m) ? 1 : 0;
}

static int64_t option(int argc, char **argv, const char *name, int64_t otherwise)
{
    size_t n = strlen(name);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], name, n) == 0 && argv[i][n] == '=')
            return strtoll(argv[i] + n + 1, NULL, 10);
    }
    return otherwise;
}

static err set_up(struct month *m, int argc, char **argv, int64_t sessions, struct fault *f)
{
    struct span name = SPAN("Europe/Berlin");
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "zone=", 5) == 0)
            name = span_of(argv[i] + 5);
    }
    m->random = (uint64_t)option(argc, argv, "seed", 1);
    m->now = T0;
    m->settled.ms = T0;
    m->site = (struct limit){.emit_ms = option(argc, argv, "emit", 700),
                             .burst = option(argc, argv, "burst", 2)};
    m->schedule =
        (struct schedule){.kind = SCHEDULE_CRON, .jitter_ms = 60000, .grace_ms = 60000};
    m->watch = (struct schedule){.kind = SCHEDULE_ADAPTIVE,
                                 .interval_ms = HOUR_MS,
                                 .least_ms = 60000,
                                 .most_ms = DAY_MS,
                                 .posts_wanted = 20,
                                 .start = {T0}};
    for (int64_t i = 0; i < sessions; i++)
        m->sessions[i].healthy = true;
    for (int t = 0; t < TENANTS; t++) {
        m->tenants[t].weight = 1;
        for (int c = 0; c < LANE_QUARANTINE; c++) {
            char lane[32];
            snprintf(lane, sizeof lane, "%d/x/%d", t, c);
            m->lanes[t][c].turn.weight = lane_class_weight((enum lane_class)c);
            pick_joined(&m->lanes[t][c].turn, span_of(lane), 0);
        }
    }
    err e = zone_load(name, &m->zone, f);
    return e ? e : cron_parse(SPAN("30 2 * * *"), &m->schedule.cron, f);
}

int main(int argc, char **argv)
{
    static struct month m;
    struct fault f = {0};
    int64_t days = option(argc, argv, "days", 30), sessions = option(argc, argv, "sessions", 3);
    if (sessions < 1 || sessions > SESSIONS_MAX || days < 1 ||
        set_up(&m, argc, argv, sessions, &f)) {
        fprintf(stderr, "simulate: %s\n",
                f.words[0] ? f.words : "sessions may be 1 to 16, days 1 or more");
        return 64;
    }
    int64_t arrivals_end = T0 + days * DAY_MS;
    /* When nothing comes in any more everything must come to its end. */
    for (; m.now < arrivals_end || (waiting(&m) && m.now < arrivals_end + 3 * DAY_MS);
         m.now += STEP_MS) {
        for (int i = 0; i < SESSIONS_MAX; i++) {
            if (m.runs[i].active && m.runs[i].ends_ms <= m.now)
                end_run(&m, &m.runs[i]);
        }
        if (m.now < arrivals_end) {
            arrivals(&m);
            visit(&m);
        }
        while (start_one(&m, sessions))
            ;
    }
    return report(&m);
}
