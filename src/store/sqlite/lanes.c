#include "store/sqlite/inside.h"

#include "base/need.h"

/* Classes share a site 8:3:1. */
static int64_t weight_of(struct span name)
{
    name = span_cut(name, 0, span_find_char(name, '@')); /* behind it: its pool of sessions */
    if (span_ends(name, SPAN("/interactive")))
        return 800;
    if (span_ends(name, SPAN("/bulk")))
        return 100;
    return 300;
}

static void read_lane(struct query *q, struct store_lane *l)
{
    *l = (struct store_lane){
        .weight = db_int(q, 2),
        .pass = db_int(q, 3),
        .tat_ms = db_int(q, 4),
        .blocked_until_ms = db_int(q, 5),
        .breaker = {.state = (enum breaker_state)db_int(q, 6),
                    .fails = db_int(q, 7),
                    .until_ms = db_int(q, 8),
                    .trips = db_int(q, 9)},
    };
    span_copy(db_text(q, 1), l->name, sizeof l->name);
}

static err load_rows(struct store *s, struct fault *f)
{
    struct query *q;
    err e = db_ask_args(s->db, SQL_LANES, &q, f, NULL, 0);
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK) {
        size_t i = s->now.lane_count;
        if (i == LANES_MAX || db_int(q, 0) != (int64_t)i + 1) {
            e = fail(f, E_STORE, "the job store is damaged (lanes); restore a backup");
            break;
        }
        read_lane(q, &s->now.lanes[i]);
        s->now.lane_count++;
        if (s->now.lanes[i].pass > s->now.vtime)
            s->now.vtime = s->now.lanes[i].pass;
    }
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err load_counts(struct store *s, struct fault *f)
{
    struct query *q;
    err e = db_ask_args(s->db, SQL_LANE_COUNTS, &q, f, NULL, 0);
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK) {
        int64_t lane = db_int(q, 0), state = db_int(q, 1), n = db_int(q, 2);
        if (lane < 1 || lane > (int64_t)s->now.lane_count || state < 0 || state >= JOB_STATES) {
            e = fail(f, E_STORE, "the job store is damaged (jobs); restore a backup");
            break;
        }
        s->now.by_state[state] += n;
        if (state == JOB_READY)
            s->now.lanes[lane - 1].ready = n;
        if (state == JOB_ACTIVE)
            s->now.lanes[lane - 1].active = n;
    }
    db_end(q);
    return e == E_END ? E_OK : e;
}

err lanes_load(struct store *s, struct fault *f)
{
    s->now.lane_count = 0;
    s->now.vtime = 0;
    memset(s->now.by_state, 0, sizeof s->now.by_state);
    err e = load_rows(s, f);
    return e ? e : load_counts(s, f);
}

err lanes_flush(struct store *s, struct fault *f)
{
    for (size_t i = 0; i < s->now.lane_count; i++) {
        struct store_lane *l = &s->now.lanes[i];
        if (!l->dirty)
            continue;
        err e =
            db_run(s->db, SQL_LANE_WRITE, f, DB_I(i + 1), DB_I(l->pass), DB_I(l->tat_ms),
                   DB_I(l->blocked_until_ms), DB_I(l->breaker.state), DB_I(l->breaker.fails),
                   DB_I(l->breaker.until_ms), DB_I(l->breaker.trips));
        if (e)
            return e;
        l->dirty = false;
    }
    return E_OK;
}

struct store_lane *lanes_find(struct store *s, struct span name)
{
    for (size_t i = 0; i < s->now.lane_count; i++) {
        if (span_is(name, s->now.lanes[i].name))
            return &s->now.lanes[i];
    }
    return NULL;
}

err lanes_add(struct store *s, struct span name, struct store_lane **out, struct fault *f)
{
    need(s->now.lane_count < LANES_MAX && name.n < LANE_NAME);
    struct store_lane *l = &s->now.lanes[s->now.lane_count];
    *l = (struct store_lane){.weight = weight_of(name), .pass = s->now.vtime, .dirty = true};
    span_copy(name, l->name, sizeof l->name);
    err e = db_run(s->db, SQL_LANE_ADD, f, DB_I(s->now.lane_count + 1), DB_T(name),
                   DB_I(l->weight));
    if (e)
        return e;
    s->now.lane_count++;
    *out = l;
    return E_OK;
}

int64_t lanes_id(const struct store *s, const struct store_lane *l)
{
    return l - s->now.lanes + 1;
}

void lanes_count(struct store *s, struct store_lane *l, enum job_state from, enum job_state to)
{
    if (from != JOB_STATES) { /* JOB_STATES: the job is new */
        s->now.by_state[from]--;
        l->ready -= from == JOB_READY;
        l->active -= from == JOB_ACTIVE;
    }
    s->now.by_state[to]++;
    if (to == JOB_ACTIVE)
        l->active++;
    if (to != JOB_READY)
        return;
    /* A lane that slept hoards no credit. */
    if (l->ready == 0 && l->pass < s->now.vtime) {
        l->pass = s->now.vtime;
        l->dirty = true;
    }
    l->ready++;
}

/* The instant from which the lane may start a job, as far as time decides it. */
static int64_t open_at(const struct store *s, const struct store_lane *l)
{
    int64_t at = lane_start_at(l->tat_ms, s->limits.lane_emit_ms, s->limits.lane_burst);
    if (l->blocked_until_ms > at)
        at = l->blocked_until_ms;
    if (l->breaker.state == BREAKER_OPEN && l->breaker.until_ms > at)
        at = l->breaker.until_ms;
    if (l->parked_until_ms > at)
        at = l->parked_until_ms;
    return at;
}

static bool has_room(const struct store *s, const struct store_lane *l)
{
    return l->active < (l->breaker.state == BREAKER_CLOSED ? s->limits.lane_max_active : 1);
}

static bool may_start(const struct store *s, const struct store_lane *l, int64_t now_ms)
{
    return l->ready > 0 && l->active < s->limits.lane_max_active &&
           l->blocked_until_ms <= now_ms && l->parked_until_ms <= now_ms && breaker_allows(&l->breaker, l->active, now_ms) &&
           lane_may_start(l->tat_ms, s->limits.lane_emit_ms, s->limits.lane_burst, now_ms);
}

struct store_lane *lanes_pick(struct store *s, int64_t now_ms)
{
    struct store_lane *best = NULL;
    for (size_t i = 0; i < s->now.lane_count; i++) {
        struct store_lane *l = &s->now.lanes[i];
        if (may_start(s, l, now_ms) && (!best || l->pass < best->pass))
            best = l;
    }
    return best;
}

void lanes_started(struct store *s, struct store_lane *l, int64_t now_ms)
{
    if (l->pass > s->now.vtime)
        s->now.vtime = l->pass;
    l->pass = lane_next_pass(l->pass, l->weight);
    l->tat_ms = lane_next_tat(l->tat_ms, s->limits.lane_emit_ms, now_ms);
    breaker_started(&l->breaker, now_ms);
    l->dirty = true;
}

void lanes_block(struct store_lane *l, int64_t until_ms)
{
    if (until_ms <= l->blocked_until_ms)
        return;
    l->blocked_until_ms = until_ms;
    l->dirty = true;
}

/* "SITE/CLASS@POOL.OPERATION"; a pool has no dot. */
void lanes_pool_changed(struct store *s, struct span site, struct span pool)
{
    for (size_t i = 0; i < s->now.lane_count; i++) {
        struct store_lane *l = &s->now.lanes[i];
        struct span name = span_of(l->name), behind = span_cut(name, span_find_char(name, '@') + 1, name.n);
        (void)site; /* a pool of the same name elsewhere is looked at once too often, that is all */
        if (span_eq(span_cut(behind, 0, span_find_char(behind, '.')), pool))
            l->parked_until_ms = 0;
    }
}

/* One bad target tried again and again says nothing new about the site: errors in a row count when
 * they are of different jobs. */
void lanes_sign(struct store_lane *l, enum breaker_sign sign, int64_t job, int64_t now_ms)
{
    if (sign == BREAKER_HEALTH_ERROR && l->breaker.state == BREAKER_CLOSED && l->last_bad == job)
        return;
    if (sign != BREAKER_NO_VERDICT)
        l->last_bad = sign == BREAKER_HEALTH_ERROR ? job : 0;
    breaker_note(&l->breaker, sign, now_ms);
    l->dirty = true;
}

/* Jobs of the lane that could start at this very instant. */
static int64_t startable(const struct store *s, const struct store_lane *l, int64_t now_ms)
{
    if (!may_start(s, l, now_ms))
        return 0;
    int64_t n = l->breaker.state == BREAKER_CLOSED ? s->limits.lane_max_active - l->active : 1;
    if (l->ready < n)
        n = l->ready;
    int64_t emit = s->limits.lane_emit_ms;
    if (emit > 0) {
        int64_t saved =
            (now_ms - lane_start_at(l->tat_ms, emit, s->limits.lane_burst)) / emit + 1;
        int64_t burst = s->limits.lane_burst > 1 ? s->limits.lane_burst : 1;
        saved = saved < burst ? saved : burst;
        n = n < saved ? n : saved;
    }
    return n;
}

/* When the rate allows one job more than it does now; INT64_MAX: it holds nothing back. */
static int64_t one_more_at(const struct store *s, const struct store_lane *l, int64_t now_ms)
{
    int64_t emit = s->limits.lane_emit_ms, n = startable(s, l, now_ms);
    int64_t room = l->breaker.state == BREAKER_CLOSED ? s->limits.lane_max_active - l->active : 1;
    if (emit <= 0 || n >= l->ready || n >= room || n >= s->limits.lane_burst)
        return INT64_MAX;
    return lane_start_at(l->tat_ms, emit, s->limits.lane_burst) + n * emit;
}

enum waiting lanes_waiting(const struct store *s, const struct store_lane *l, int64_t now_ms,
                           int64_t *out_until_ms)
{
    int64_t rate = lane_start_at(l->tat_ms, s->limits.lane_emit_ms, s->limits.lane_burst);
    *out_until_ms = 0;
    if (s->disk_full)
        return WAITING_DISK;
    if (l->breaker.state == BREAKER_OPEN && l->breaker.until_ms > now_ms) {
        *out_until_ms = l->breaker.until_ms;
        return WAITING_BREAKER;
    }
    if (l->blocked_until_ms > now_ms) {
        *out_until_ms = l->blocked_until_ms;
        return WAITING_SITE;
    }
    if (!has_room(s, l)) /* half open: one probe at a time */
        return l->breaker.state == BREAKER_CLOSED ? WAITING_LANE : WAITING_BREAKER;
    if (rate > now_ms) {
        *out_until_ms = rate;
        return WAITING_RATE;
    }
    if (l->parked_until_ms > now_ms) {
        *out_until_ms = l->parked_until_ms == INT64_MAX ? 0 : l->parked_until_ms;
        return WAITING_SESSION;
    }
    return WAITING_WORKER;
}

static enum lane_word word_of(enum waiting w)
{
    switch (w) {
    case WAITING_BREAKER:
        return LANE_BREAKER_OPEN;
    case WAITING_SITE:
        return LANE_BLOCKED;
    case WAITING_LANE:
        return LANE_FULL;
    case WAITING_NONE:
    case WAITING_TIME:
    case WAITING_WORKER:
    case WAITING_SESSION:
    case WAITING_RATE:
    case WAITING_DISK:
        break;
    }
    return LANE_OPEN;
}

void lanes_outlook(const struct store *s, int64_t now_ms, struct outlook *out)
{
    for (size_t i = 0; i < s->now.lane_count; i++) {
        const struct store_lane *l = &s->now.lanes[i];
        int64_t until;
        if (l->ready > 0 || l->active > 0)
            out->lanes[word_of(lanes_waiting(s, l, now_ms, &until))]++;
        if (s->disk_full)
            continue;
        out->startable += startable(s, l, now_ms);
        if (l->ready == 0 || !has_room(s, l))
            continue;
        int64_t at = open_at(s, l);
        if (at <= now_ms)
            at = one_more_at(s, l, now_ms);
        if (at < out->next_ms)
            out->next_ms = at;
    }
}
