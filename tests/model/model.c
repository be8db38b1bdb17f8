#include "model.h"

#include <string.h>

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* base · 2^(n−1), at most the cap; jitter may only add to what a server asked for, so the least of
 * it is the hint. */
static int64_t plain_delay(int64_t job, int64_t n, int64_t hint_ms)
{
    (void)job;
    int64_t own = n < 7 ? (int64_t)1000 << (n - 1) : 60000;
    return larger(smaller(own, 60000), hint_ms);
}

struct model_rules model_rules_of_design(void)
{
    return (struct model_rules){
        .fail_max = 5,
        .crash_max = 2,
        .throttle_max = 50,
        .release_max = 1000,
        .lease_ms = 15000,
        .suspect_ms = 5000,
        .aging_ms = 30000,
        .stride = 1 << 20,
        .breaker_fails = 5,
        .breaker_open_ms = 10000,
        .breaker_open_max_ms = 30 * 60 * 1000,
        .window_least = 20,
        .window_ms = 10 * 60 * 1000,
        .hint_max_ms = INT64_MAX / 4,
        .amnesty = true,
        .delay = plain_delay,
    };
}

static int64_t prototype_delay(int64_t job, int64_t n, int64_t hint_ms)
{
    (void)job;
    if (hint_ms)
        return hint_ms;
    return n < 7 ? (int64_t)1000 << (n - 1) : 60000;
}

struct model_rules model_rules_of_prototype(void)
{
    return (struct model_rules){
        .fail_max = 2,
        .crash_max = 2,
        .throttle_max = 2,
        .release_max = INT64_MAX / 8,
        .lease_ms = 10,
        .suspect_ms = 1000,
        .aging_ms = 1000,
        .stride = 10000,
        .breaker_fails = 3,
        .breaker_open_ms = 5000,
        .breaker_open_max_ms = 5000,
        .hint_max_ms = INT64_MAX / 8,
        .delay = prototype_delay,
        .open_counts = true,
        .trips_alike = true,
        .lost_is_crash = true,
        .permanent_stands = true,
        .released_by_time = true,
    };
}

void model_init(struct model *m)
{
    memset(m, 0, sizeof *m);
    m->epoch = 1;
}

void model_lane_add(struct model *m, struct model_lane lane)
{
    m->lanes[m->lane_count++] = lane;
}

void model_session_add(struct model *m, struct model_session session)
{
    m->sessions[m->session_count++] = session;
}

struct model_job *model_find(struct model *m, int64_t id)
{
    for (int64_t i = 0; i < m->job_count; i++) {
        if (m->jobs[i].id == id)
            return &m->jobs[i];
    }
    return NULL;
}

static bool is_live(const struct model_job *j)
{
    return j->state <= MODEL_ACTIVE;
}

static struct model_job *live_with_key(struct model *m, int64_t unique,
                                       const struct model_job *but)
{
    for (int64_t i = 0; unique && i < m->job_count; i++) {
        if (&m->jobs[i] != but && m->jobs[i].unique == unique && is_live(&m->jobs[i]))
            return &m->jobs[i];
    }
    return NULL;
}

static int64_t count_in(const struct model *m, int64_t lane, int64_t state)
{
    int64_t n = 0;
    for (int64_t i = 0; i < m->job_count; i++)
        n += m->jobs[i].state == state && (lane < 0 || m->jobs[i].lane == lane);
    return n;
}

static int64_t active_of_tenant(const struct model *m, int64_t tenant)
{
    int64_t n = 0;
    for (int64_t i = 0; i < m->job_count; i++)
        n += m->jobs[i].state == MODEL_ACTIVE && m->lanes[m->jobs[i].lane].tenant == tenant;
    return n;
}

/* ---- moves ---- */

static void bear(struct model *m, int64_t lane)
{
    struct model_lane *l = &m->lanes[lane];
    if (l->born)
        return;
    l->born = ++m->lanes_born;
    l->pass = larger(l->pass, m->vtime[l->tenant]);
}

static bool tenant_sleeps(const struct model *m, int64_t tenant)
{
    for (int64_t i = 0; i < m->lane_count; i++) {
        if (m->lanes[i].tenant == tenant && count_in(m, i, MODEL_READY) > 0)
            return false;
    }
    return true;
}

/* Who slept hoards no credit. */
static void wake(struct model *m, int64_t lane)
{
    struct model_lane *l = &m->lanes[lane];
    bear(m, lane);
    if (count_in(m, lane, MODEL_READY) == 0)
        l->pass = larger(l->pass, m->vtime[l->tenant]);
    if (tenant_sleeps(m, l->tenant))
        m->tenant_pass[l->tenant] = larger(m->tenant_pass[l->tenant], m->tenant_vtime);
}

static void to_ready(struct model *m, const struct model_rules *r, struct model_job *j,
                     int64_t at)
{
    wake(m, j->lane);
    j->state = MODEL_READY;
    j->rank = at - j->prio * r->aging_ms;
}

static void to_front(struct model *m, const struct model_rules *r, struct model_job *j,
                     int64_t now)
{
    if (r->released_by_time) {
        to_ready(m, r, j, now);
        return;
    }
    wake(m, j->lane); /* the rank it was leased with was the smallest of its lane */
    j->state = MODEL_READY;
}

static void to_scheduled(struct model_job *j, int64_t at)
{
    j->state = MODEL_SCHEDULED;
    j->run_at = at;
}

static void drop_lease(struct model_job *j)
{
    j->nonce = j->epoch = j->worker = j->session = j->lease_until = j->suspect = j->started = 0;
}

static void to_final(struct model_job *j, enum model_state state, int64_t now)
{
    drop_lease(j);
    j->state = state;
    j->cancel_asked = 0;
    j->finished_at = now;
}

/* Blocked jobs whose batch is sealed and has no live child go on. Counted from the jobs, so that
 * nothing can wait for what no longer exists. */
static void settle(struct model *m, const struct model_rules *r, int64_t now)
{
    for (int64_t i = 0; i < m->job_count; i++) {
        struct model_job *j = &m->jobs[i];
        if (j->state != MODEL_BLOCKED || !m->sealed[j->waits_for])
            continue;
        bool pending = false;
        for (int64_t k = 0; k < m->job_count; k++)
            pending |= m->jobs[k].batch == j->waits_for && is_live(&m->jobs[k]);
        if (pending)
            continue;
        if (j->run_at > now)
            to_scheduled(j, j->run_at);
        else
            to_ready(m, r, j, now);
    }
}

/* ---- breaker ---- */

static void open_breaker(const struct model_rules *r, struct model_lane *l, int64_t now)
{
    int64_t length = r->breaker_open_ms;
    for (int64_t i = 0; !r->trips_alike && i < l->trips && length < r->breaker_open_max_ms; i++)
        length *= 2;
    l->breaker = MODEL_OPEN;
    l->until = now + smaller(length, r->breaker_open_max_ms);
    l->trips += !r->trips_alike;
    l->fails = l->window_from = l->window_seen = l->window_bad = 0;
}

static void note_window(const struct model_rules *r, struct model_lane *l, bool bad,
                        int64_t now)
{
    if (r->window_least == 0 || l->breaker != MODEL_CLOSED)
        return;
    if (l->window_seen == 0 || now - l->window_from > r->window_ms) {
        l->window_from = now;
        l->window_seen = l->window_bad = 0;
    }
    l->window_seen++;
    l->window_bad += bad;
}

static void note_sign(const struct model_rules *r, struct model_lane *l, enum model_sign sign,
                      int64_t job, int64_t now)
{
    bool again = r->bad_once_per_job && l->breaker == MODEL_CLOSED && l->last_bad == job;
    switch (sign) {
    case MODEL_NO_VERDICT:
        if (l->breaker == MODEL_HALF_OPEN && !r->probe_forgotten) {
            l->breaker = MODEL_OPEN;
            l->until = now;
        }
        return;
    case MODEL_HEALTHY:
        l->last_bad = 0;
        l->fails = l->trips = 0;
        if (l->breaker == MODEL_HALF_OPEN)
            l->breaker = MODEL_CLOSED;
        note_window(r, l, false, now);
        return;
    case MODEL_UNHEALTHY:
        if (again)
            return;
        l->last_bad = job;
        if (l->breaker == MODEL_OPEN && !r->open_counts)
            return;
        l->fails++;
        note_window(r, l, true, now);
        if (l->breaker == MODEL_HALF_OPEN || l->fails >= r->breaker_fails ||
            (r->window_least && l->window_seen >= r->window_least &&
             2 * l->window_bad >= l->window_seen))
            open_breaker(r, l, now);
        return;
    }
}

/* ---- accept, promote ---- */

static int64_t parent_of(const struct model *m, int64_t batch)
{
    for (int64_t i = 0; batch && i < m->job_count; i++) {
        if (m->jobs[i].waits_for == batch)
            return m->jobs[i].id;
    }
    return 0;
}

static bool find_request(const struct model *m, const struct model_accept *a,
                         struct model_reply *out)
{
    for (int64_t i = 0; a->key && i < m->job_count; i++) {
        const struct model_job *j = &m->jobs[i];
        if (j->key != a->key)
            continue;
        *out = (struct model_reply){
            .word = j->body == a->body ? MODEL_EXISTS : MODEL_OTHER_BODY, .job = j->id};
        return true;
    }
    return false;
}

static bool is_full(const struct model *m, const struct model_rules *r)
{
    int64_t waiting = count_in(m, -1, MODEL_READY) + count_in(m, -1, MODEL_SCHEDULED) +
                      count_in(m, -1, MODEL_BLOCKED);
    return r->waiting_max && waiting >= r->waiting_max;
}

static bool lane_is_full(const struct model *m, const struct model_rules *r, int64_t lane,
                         int64_t making_way)
{
    int64_t depth = m->lanes[lane].depth;
    int64_t waiting = count_in(m, lane, MODEL_READY) + count_in(m, lane, MODEL_SCHEDULED) +
                      count_in(m, lane, MODEL_BLOCKED);
    return depth && !r->depth_forgotten && waiting - making_way >= depth;
}

static int64_t priority_of(const struct model *m, const struct model_rules *r,
                           const struct model_accept *a)
{
    int64_t of_lane = m->lanes[a->lane].prio;
    if (!a->prio_free)
        return a->prio;
    return of_lane && !r->prio_forgotten ? of_lane - 1 : 5;
}

/* The ready job of the lane that would start last, when this one may have its place; NULL: it may not. */
static struct model_job *worse_than(struct model *m, const struct model_rules *r,
                                    const struct model_accept *a, int64_t now)
{
    struct model_job *last = NULL;
    if (!m->lanes[a->lane].drops || a->waits_for || a->run_at > now)
        return NULL;
    for (int64_t i = 0; i < m->job_count; i++) {
        struct model_job *j = &m->jobs[i];
        if (j->state == MODEL_READY && j->lane == a->lane && (!last || j->rank >= last->rank))
            last = j;
    }
    return last && a->run_at - priority_of(m, r, a) * r->aging_ms < last->rank ? last : NULL;
}

struct model_reply model_accept(struct model *m, const struct model_rules *r,
                                const struct model_accept *a, int64_t now)
{
    struct model_reply reply;
    if (find_request(m, a, &reply))
        return reply;
    if (m->draining)
        return (struct model_reply){.word = MODEL_DRAINING};
    if (model_find(m, a->id))
        return (struct model_reply){.word = MODEL_EXISTS, .job = a->id};
    if (parent_of(m, a->waits_for))
        return (struct model_reply){.word = MODEL_TAKEN, .job = parent_of(m, a->waits_for)};
    if (a->batch && m->sealed[a->batch])
        return (struct model_reply){.word = MODEL_FINAL, .job = a->id};
    struct model_job *live = live_with_key(m, a->unique, NULL);
    if (live && (a->conflict != MODEL_REPLACE_WAITING || live->state == MODEL_ACTIVE))
        return (struct model_reply){.word = MODEL_TAKEN, .job = live->id};
    /* Who asks for what is there already needs no room. */
    if (m->job_count == MODEL_JOBS || is_full(m, r))
        return (struct model_reply){.word = MODEL_FULL};
    struct model_job *dropped = NULL;
    if (lane_is_full(m, r, a->lane, live && live->lane == a->lane)) {
        dropped = worse_than(m, r, a, now);
        if (!dropped || dropped == live)
            return (struct model_reply){.word = MODEL_FULL};
    }
    bear(m, a->lane);
    if (live)
        to_final(live, MODEL_CANCELLED, now);
    if (dropped)
        to_final(dropped, MODEL_CANCELLED, now);
    struct model_job *j = &m->jobs[m->job_count++];
    *j = (struct model_job){.id = a->id,
                            .seq = ++m->seq,
                            .lane = a->lane,
                            .prio = priority_of(m, r, a),
                            .run_at = a->run_at,
                            .unique = a->unique,
                            .key = a->key,
                            .body = a->body,
                            .batch = a->batch,
                            .waits_for = a->waits_for,
                            .limit = a->limit,
                            .fail_max = a->fail_max,
                            .page = a->page,
                            .memory = a->memory,
                            .expires_at = a->expires_at,
                            .deadline_at = a->deadline_at,
                            .state = MODEL_SCHEDULED};
    if (a->waits_for)
        j->state = MODEL_BLOCKED;
    else if (a->run_at <= now)
        to_ready(m, r, j, a->run_at);
    settle(m, r, now);
    return (struct model_reply){.word = MODEL_OK, .job = a->id, .state = j->state};
}

/* The job of that state with the smallest (time, seq) at or before `now`; NULL none. */
static struct model_job *first_due(struct model *m, enum model_state state, int64_t now)
{
    struct model_job *first = NULL;
    for (int64_t i = 0; i < m->job_count; i++) {
        struct model_job *j = &m->jobs[i];
        int64_t at = state == MODEL_ACTIVE ? j->lease_until : j->run_at;
        if (j->state != (int64_t)state || at > now)
            continue;
        int64_t best = first ? state == MODEL_ACTIVE ? first->lease_until : first->run_at : 0;
        if (!first || at < best)
            first = j;
    }
    return first;
}

struct model_reply model_promote(struct model *m, const struct model_rules *r, int64_t limit,
                                 int64_t now)
{
    struct model_reply reply = {.word = MODEL_OK};
    struct model_job *j;
    while (reply.n < limit && (j = first_due(m, MODEL_SCHEDULED, now))) {
        to_ready(m, r, j, j->run_at);
        reply.n++;
    }
    return reply;
}

/* ---- reserve ---- */

/* The least recently used usable session + 1; 0 none. */
static int64_t pick_session(const struct model *m, int64_t pool, int64_t now)
{
    int64_t best = 0;
    for (int64_t i = 0; i < m->session_count; i++) {
        const struct model_session *s = &m->sessions[i];
        bool usable = s->pool == pool && s->blocked_until <= now && s->tat <= now;
        if (usable && (!best || s->used_at < m->sessions[best - 1].used_at))
            best = i + 1;
    }
    return best;
}

/* Rounded up: not faster than the rate that is used. */
static int64_t share(int64_t n, int64_t of, int64_t percent)
{
    return n * of / percent + (n * of % percent > 0);
}

static int64_t pace_of(const struct model_lane *l)
{
    return l->pace ? l->pace : 100;
}

static int64_t emit_of(const struct model_lane *l)
{
    return share(l->emit_ms, 100, pace_of(l));
}

/* So many starts as it has saved, or owes, it has still. */
static void set_pace(struct model_lane *l, int64_t percent, int64_t now)
{
    if (l->tat > now)
        l->tat = now + share(l->tat - now, pace_of(l), percent);
    l->pace = percent == 100 ? 0 : percent;
}

static void slow_down(const struct model_rules *r, struct model_lane *l, int64_t until,
                      int64_t now)
{
    if (!l->emit_ms || !r->pace_least || r->pace_forgotten)
        return;
    if (l->blocked_until <= now && pace_of(l) > r->pace_least)
        set_pace(l, larger(pace_of(l) / 2, r->pace_least), now);
    if (l->pace)
        l->clean_since = larger(l->clean_since, until);
}

static void speed_up(const struct model_rules *r, struct model_lane *l, int64_t now)
{
    int64_t percent = l->pace;
    while (percent && percent < 100 && now - l->clean_since >= r->pace_clean_ms) {
        l->clean_since += r->pace_clean_ms;
        percent = smaller(percent + 10, 100);
    }
    if (percent != l->pace)
        set_pace(l, percent, now);
    l->clean_since = l->pace ? l->clean_since : 0;
}

bool model_may_start(const struct model *m, int64_t lane, int64_t now)
{
    const struct model_lane *l = &m->lanes[lane];
    if (!l->born || l->paused || l->blocked_until > now)
        return false;
    if (l->breaker == MODEL_OPEN && l->until > now)
        return false;
    int64_t most = l->breaker == MODEL_CLOSED ? l->max_active : 1;
    if (count_in(m, lane, MODEL_ACTIVE) >= most)
        return false;
    if (m->tenant_max[l->tenant] && active_of_tenant(m, l->tenant) >= m->tenant_max[l->tenant])
        return false;
    if (l->emit_ms && now < l->tat - (l->burst - 1) * emit_of(l))
        return false;
    if (l->pool && !pick_session(m, l->pool, now))
        return false;
    return count_in(m, lane, MODEL_READY) > 0;
}

/* Ready jobs of its lane that start before it and need a page as it does. */
static int64_t before(const struct model *m, int64_t at)
{
    const struct model_job *j = &m->jobs[at];
    int64_t n = 0;
    for (int64_t i = 0; i < m->job_count; i++) {
        const struct model_job *o = &m->jobs[i];
        n += o->state == MODEL_READY && o->lane == j->lane && o->page == j->page &&
             (o->rank < j->rank || (o->rank == j->rank && i < at));
    }
    return n;
}

/* The first that such a worker may take: what does not fit holds up nobody behind it, as far as is looked. */
static int64_t first_ready(const struct model *m, int64_t lane, int64_t memory, int64_t least)
{
    int64_t first = -1;
    for (int64_t i = 0; i < m->job_count; i++) {
        const struct model_job *j = &m->jobs[i];
        if (j->state == MODEL_READY && j->lane == lane && (!memory || j->memory <= memory) &&
            j->memory >= least && (first < 0 || j->rank < m->jobs[first].rank) &&
            before(m, i) < MODEL_PEEK)
            first = i;
    }
    return first;
}

static int64_t pick_lane(const struct model *m, const struct model_rules *r, int64_t memory,
                         int64_t least, int64_t now)
{
    int64_t best = -1;
    if (r->active_max && count_in(m, -1, MODEL_ACTIVE) >= r->active_max)
        return -1;
    for (int64_t i = 0; i < m->lane_count; i++) {
        const struct model_lane *l = &m->lanes[i], *b = &m->lanes[best < 0 ? 0 : best];
        int64_t mine = m->tenant_pass[l->tenant], others = m->tenant_pass[b->tenant];
        bool turn = l->tenant == b->tenant
                        ? l->pass < b->pass || (l->pass == b->pass && l->born < b->born)
                        : mine < others || (mine == others && l->tenant < b->tenant);
        if (model_may_start(m, i, now) && first_ready(m, i, memory, least) >= 0 &&
            (best < 0 || turn))
            best = i;
    }
    return best;
}

static struct model_reply lease_reply(const struct model_job *j)
{
    return (struct model_reply){.word = MODEL_OK,
                                .job = j->id,
                                .fence = j->fence,
                                .state = j->state,
                                .session = j->session};
}

struct model_reply model_reserve(struct model *m, const struct model_rules *r, int64_t worker,
                                 int64_t request, int64_t nonce, int64_t memory, int64_t least,
                                 int64_t lease_ms, int64_t now)
{
    struct model_worker *w = &m->workers[worker];
    struct model_job *j = request && w->request == request ? model_find(m, w->job) : NULL;
    if (j && j->state == MODEL_ACTIVE && j->nonce == w->nonce)
        return lease_reply(j);
    int64_t lane = pick_lane(m, r, memory, least, now);
    if (lane < 0)
        return (struct model_reply){.word = MODEL_NONE};
    struct model_lane *l = &m->lanes[lane];
    j = &m->jobs[first_ready(m, lane, memory, least)];
    int64_t t = l->tenant, weight = m->tenant_weight[t] ? m->tenant_weight[t] : 100;
    m->vtime[t] = larger(m->vtime[t], l->pass);
    l->pass += r->stride / l->weight;
    m->tenant_vtime = larger(m->tenant_vtime, m->tenant_pass[t]);
    m->tenant_pass[t] += r->stride / weight;
    speed_up(r, l, now);
    if (l->emit_ms)
        l->tat = larger(l->tat, now) + emit_of(l);
    if (l->breaker == MODEL_OPEN)
        l->breaker = MODEL_HALF_OPEN;
    j->session = l->pool ? pick_session(m, l->pool, now) : 0;
    if (j->session) {
        struct model_session *s = &m->sessions[j->session - 1];
        s->used_at = now;
        s->tat = s->emit_ms ? larger(s->tat, now) + s->emit_ms : s->tat;
    }
    j->state = MODEL_ACTIVE;
    j->fence++;
    j->nonce = nonce;
    j->epoch = m->epoch;
    j->worker = worker + 1;
    j->lease_until = now + lease_ms;
    j->suspect = j->started = j->progressed = 0;
    if (request)
        *w = (struct model_worker){.request = request, .job = j->id, .nonce = nonce};
    return lease_reply(j);
}

/* ---- the life of a lease ---- */

static struct model_job *owned(struct model *m, const struct model_rules *r,
                               struct model_lease l)
{
    struct model_job *j = model_find(m, l.job);
    if (!j || j->state != MODEL_ACTIVE)
        return NULL;
    if (r->any_active_writes)
        return j;
    return j->nonce == l.nonce && j->epoch == l.epoch && j->epoch == m->epoch ? j : NULL;
}

struct model_reply model_started(struct model *m, const struct model_rules *r,
                                 struct model_lease l)
{
    struct model_job *j = owned(m, r, l);
    if (!j)
        return (struct model_reply){.word = MODEL_STALE};
    j->started = 1;
    return (struct model_reply){.word = MODEL_OK};
}

struct model_reply model_heartbeat(struct model *m, const struct model_rules *r,
                                   struct model_lease l, int64_t lease_ms, int64_t now)
{
    struct model_job *j = owned(m, r, l);
    if (!j)
        return (struct model_reply){.word = MODEL_STALE};
    j->lease_until = now + lease_ms;
    j->suspect = 0;
    return (struct model_reply){.word = MODEL_OK, .cancel = j->cancel_asked};
}

/* An upsert by version: a late reading never replaces a newer one. */
static int64_t put_item(struct model *m, const struct model_job *j,
                        struct model_batch_item item)
{
    for (int64_t i = 0; i < m->item_count; i++) {
        struct model_item *o = &m->items[i];
        if (o->id != item.id)
            continue;
        if (item.version < o->version)
            return 0;
        *o = (struct model_item){item.id,  item.version, j->id,
                                 m->epoch, j->fence,     o->writes + 1};
        return 0;
    }
    if (m->item_count == MODEL_ITEMS)
        return 0;
    m->items[m->item_count++] =
        (struct model_item){item.id, item.version, j->id, m->epoch, j->fence, 1};
    return 1;
}

static int64_t put_own_item(struct model_job *j, int64_t id)
{
    int64_t bit = (int64_t)((uint64_t)1 << id);
    if ((j->seen & bit) || (j->limit && j->have >= j->limit))
        return 0;
    j->seen |= bit;
    return 1;
}

struct model_reply model_commit(struct model *m, const struct model_rules *r,
                                struct model_lease l, int64_t batch,
                                const struct model_batch_item *items, size_t count,
                                int64_t cursor)
{
    struct model_job *j = owned(m, r, l);
    if (!j)
        return (struct model_reply){.word = MODEL_STALE};
    if (batch == j->next_batch - 1)
        return (struct model_reply){.word = MODEL_DUPLICATE, .have = j->have};
    if (batch != j->next_batch)
        return (struct model_reply){.word = MODEL_GAP};
    int64_t added = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t one = r->items_by_job ? put_own_item(j, items[i].id) : put_item(m, j, items[i]);
        j->have += one;
        added += one;
    }
    j->next_batch++;
    j->cursor = cursor;
    if (added && r->progress_renews) {
        j->fail_base = j->n_fail;
        j->crash_base = j->n_crash;
        j->release_base = j->n_release;
    }
    j->progressed |= added > 0;
    return (struct model_reply){.word = MODEL_OK, .added = added, .have = j->have};
}

/* ---- leaving the active state ---- */

static int64_t budget_of(int64_t most, const struct model_job *j)
{
    return most * (1 + j->generation);
}

static int64_t fail_max_of(const struct model_rules *r, const struct model_job *j)
{
    return j->fail_max ? j->fail_max : r->fail_max;
}

/* Of a budget that is counted from its base. */
static int64_t row_of(const struct model_rules *r, int64_t most, const struct model_job *j)
{
    return r->replay_renews ? most : budget_of(most, j);
}

/* fails: in a row, when crashes are none. */
static bool attempts_are_over(const struct model_rules *r, const struct model_job *j,
                              int64_t fails)
{
    if (r->attempts_together)
        fails = j->n_fail - j->fail_base + j->n_crash - j->crash_base;
    return fails >= row_of(r, fail_max_of(r, j), j);
}

/* Charges the lease and says what follows; *out_wait is the delay of a scheduled job. */
static enum model_state charge(const struct model_rules *r, struct model_job *j,
                               enum model_budget budget, int64_t hint, int64_t *out_wait)
{
    int64_t n = 0, pace;
    switch (budget) {
    case MODEL_DONE:
        j->n_ok++;
        return MODEL_SUCCEEDED;
    case MODEL_VOID:
        j->n_void++;
        return MODEL_CANCELLED;
    case MODEL_PERMANENT:
        j->n_fail++;
        return MODEL_DEAD;
    case MODEL_FAIL:
        n = ++j->n_fail - j->fail_base;
        *out_wait = r->delay(j->id, n, hint);
        return attempts_are_over(r, j, n) ? MODEL_DEAD : MODEL_SCHEDULED;
    case MODEL_CRASH:
        n = ++j->n_crash - j->crash_base;
        pace = r->crash_pace ? j->n_crash : n;
        *out_wait = pace == 1 && r->crash_at_once ? 0 : r->delay(j->id, pace, 0);
        return n >= row_of(r, r->crash_max, j) || attempts_are_over(r, j, 0) ? MODEL_DEAD
                                                                             : MODEL_SCHEDULED;
    case MODEL_THROTTLE:
        if (r->throttle_is_fail) {
            *out_wait = r->delay(j->id, ++j->n_fail, hint);
            return j->n_fail >= budget_of(fail_max_of(r, j), j) ? MODEL_DEAD : MODEL_SCHEDULED;
        }
        n = ++j->n_throttle;
        *out_wait = r->delay(j->id, n, hint);
        return n >= budget_of(r->throttle_max, j) ? MODEL_DEAD : MODEL_SCHEDULED;
    case MODEL_RELEASE:
        n = ++j->n_release - j->release_base;
        if (n >= row_of(r, r->release_max, j))
            return MODEL_DEAD;
        if (r->releases_free == 0 || n <= r->releases_free)
            return MODEL_READY;
        *out_wait = r->delay(j->id, n - r->releases_free, 0);
        return MODEL_SCHEDULED;
    }
    return MODEL_DEAD;
}

static enum model_state leave(struct model *m, const struct model_rules *r, struct model_job *j,
                              enum model_budget budget, int64_t hint, int64_t now,
                              int64_t *out_wait)
{
    *out_wait = 0;
    enum model_state to = charge(r, j, budget, hint, out_wait);
    if (to < MODEL_SUCCEEDED && r->starts_max &&
        j->fence >= r->starts_max * (1 + j->generation))
        to = MODEL_DEAD;
    /* Once asked to stop, every ending but a good one is `cancelled`. */
    if (j->cancel_asked && to != MODEL_SUCCEEDED &&
        !(r->permanent_stands && budget == MODEL_PERMANENT))
        to = MODEL_CANCELLED;
    /* Nobody wants it any more. */
    if (to < MODEL_SUCCEEDED && budget != MODEL_RELEASE && j->deadline_at &&
        now >= j->deadline_at)
        to = MODEL_DEAD;
    if (to >= MODEL_SUCCEEDED) {
        to_final(j, to, now);
        return to;
    }
    drop_lease(j);
    if (budget == MODEL_CRASH && m->lanes[j->lane].quarantine) {
        j->lane = m->lanes[j->lane].quarantine - 1;
        bear(m, j->lane);
    }
    if (to == MODEL_READY)
        to_front(m, r, j, now);
    else
        to_scheduled(j, now + *out_wait);
    return to;
}

struct model_reply model_finish(struct model *m, const struct model_rules *r,
                                struct model_lease l, struct model_ending ending, int64_t now)
{
    struct model_job *j = owned(m, r, l);
    if (!j)
        return (struct model_reply){.word = MODEL_STALE};
    struct model_lane *lane = &m->lanes[j->lane];
    int64_t hint = smaller(ending.hint_ms, r->hint_max_ms), wait;
    if (ending.session_rest && j->session) {
        struct model_session *s = &m->sessions[j->session - 1];
        s->blocked_until = larger(s->blocked_until, now + ending.session_rest);
    }
    enum model_sign sign = ending.sign;
    if (r->progress_healthy && j->progressed && ending.budget != MODEL_RELEASE &&
        ending.budget != MODEL_CRASH)
        sign = MODEL_HEALTHY;
    note_sign(r, lane, sign, j->seq, now);
    enum model_state to = leave(m, r, j, ending.budget, hint, now, &wait);
    if (ending.budget == MODEL_THROTTLE) {
        int64_t until = now + (hint ? hint : wait);
        slow_down(r, lane, until, now);
        lane->blocked_until = larger(lane->blocked_until, until);
    }
    settle(m, r, now);
    return (struct model_reply){.word = MODEL_OK, .job = l.job, .state = to};
}

/* ---- reap, cancel, replay, expire, retain ---- */

static void give_amnesty(struct model *m, const struct model_rules *r, int64_t now)
{
    for (int64_t i = 0; i < m->job_count; i++) {
        struct model_job *j = &m->jobs[i];
        if (j->state == MODEL_ACTIVE && (!r->amnesty_lapsed || j->lease_until <= now))
            j->lease_until = larger(j->lease_until, now + r->lease_ms);
    }
}

struct model_reply model_reap(struct model *m, const struct model_rules *r, int64_t limit,
                              int64_t now)
{
    struct model_reply reply = {.word = MODEL_OK};
    int64_t due[MODEL_JOBS], n = 0, wait;
    if (r->amnesty && now - m->reaped_at > 2 * r->lease_ms)
        give_amnesty(m, r, now);
    m->reaped_at = now;
    /* Taken down first: the mark of this pass is for the next one. */
    struct model_job *j;
    while (n < limit && (j = first_due(m, MODEL_ACTIVE, now))) {
        due[n++] = j->id;
        j->lease_until += INT64_MAX / 4;
    }
    for (int64_t i = 0; i < n; i++) {
        j = model_find(m, due[i]);
        j->lease_until -= INT64_MAX / 4;
        if (!j->suspect && !r->reap_at_once) {
            j->suspect = 1;
            j->lease_until = now + r->suspect_ms;
            reply.suspected++;
            continue;
        }
        note_sign(r, &m->lanes[j->lane], MODEL_NO_VERDICT, j->seq, now);
        leave(m, r, j, j->started || r->lost_is_crash ? MODEL_CRASH : MODEL_RELEASE, 0, now,
              &wait);
        reply.n++;
    }
    settle(m, r, now);
    return reply;
}

struct model_reply model_cancel(struct model *m, const struct model_rules *r, int64_t job,
                                bool force, int64_t now)
{
    struct model_job *j = model_find(m, job);
    if (!j)
        return (struct model_reply){.word = MODEL_NONE};
    if (j->state >= MODEL_SUCCEEDED)
        return (struct model_reply){.word = MODEL_FINAL, .state = j->state};
    if (j->state == MODEL_ACTIVE && !force) {
        j->cancel_asked = 1;
        return (struct model_reply){.word = MODEL_ASKED, .state = j->state};
    }
    if (j->state == MODEL_ACTIVE) {
        j->n_void++;
        note_sign(r, &m->lanes[j->lane], MODEL_NO_VERDICT, j->seq, now);
    }
    to_final(j, MODEL_CANCELLED, now);
    settle(m, r, now);
    return (struct model_reply){.word = MODEL_OK, .state = MODEL_CANCELLED};
}

struct model_reply model_replay(struct model *m, const struct model_rules *r, int64_t job,
                                bool reset, int64_t now)
{
    struct model_job *j = model_find(m, job);
    if (!j)
        return (struct model_reply){.word = MODEL_NONE};
    if (j->state <= MODEL_SUCCEEDED)
        return (struct model_reply){.word = MODEL_FINAL, .state = j->state};
    struct model_job *live = live_with_key(m, j->unique, j);
    if (live)
        return (struct model_reply){.word = MODEL_TAKEN, .job = live->id};
    if (r->replay_bounded && m->draining)
        return (struct model_reply){.word = MODEL_DRAINING};
    if (r->replay_bounded && (is_full(m, r) || lane_is_full(m, r, j->lane, 0)))
        return (struct model_reply){.word = MODEL_FULL};
    j->generation++;
    if (r->replay_renews) {
        j->fail_base = j->n_fail;
        j->crash_base = j->n_crash;
        j->release_base = j->n_release;
    }
    j->finished_at = j->expires_at = j->deadline_at = 0;
    if (reset)
        j->next_batch = j->cursor = 0;
    to_ready(m, r, j, now);
    return (struct model_reply){.word = MODEL_OK, .state = MODEL_READY};
}

/* What changes neither its time nor its hold leaves it the place that it has among the others. */
struct model_reply model_alter(struct model *m, const struct model_rules *r,
                               const struct model_change *c, int64_t now)
{
    struct model_job *j = model_find(m, c->job);
    if (!j)
        return (struct model_reply){.word = MODEL_NONE};
    if (j->state >= MODEL_ACTIVE || (c->limit > 0 && c->limit < j->have))
        return (struct model_reply){.word = MODEL_FINAL, .state = j->state};
    bool held = j->run_at == MODEL_HELD && j->state != MODEL_READY;
    bool holds = c->hold == MODEL_HOLD_SAME ? held : c->hold == MODEL_HOLD_ON;
    bool timed = c->run_at >= 0 && !(j->state == MODEL_READY && c->run_at <= now);
    int64_t at = held ? j->held_from : j->state == MODEL_READY ? 0 : j->run_at;
    if (c->run_at >= 0)
        at = c->run_at;
    if (j->deadline_at && j->expires_at >= j->deadline_at)
        j->expires_at = 0; /* it is the deadline that it would not outlive */
    if (c->prio >= 0) {
        j->rank -= (c->prio - j->prio) * r->aging_ms;
        j->prio = c->prio;
    }
    if (c->expires_at >= 0)
        j->expires_at = c->expires_at;
    if (c->deadline_at >= 0)
        j->deadline_at = c->deadline_at;
    if (c->limit >= 0)
        j->limit = c->limit;
    if (holds == held && !timed)
        return (struct model_reply){.word = MODEL_OK, .state = j->state};
    j->held_from = holds ? at : 0;
    if (j->state == MODEL_BLOCKED)
        j->run_at = holds ? MODEL_HELD : at;
    else if (holds || at > now)
        to_scheduled(j, holds ? MODEL_HELD : at);
    else
        to_ready(m, r, j, now);
    return (struct model_reply){.word = MODEL_OK, .state = j->state};
}

struct model_reply model_expire(struct model *m, const struct model_rules *r, int64_t now)
{
    struct model_reply reply = {.word = MODEL_OK};
    for (int64_t i = 0; i < m->job_count; i++) {
        struct model_job *j = &m->jobs[i];
        bool waits = j->state < MODEL_ACTIVE;
        bool over = (j->expires_at && j->expires_at <= now) ||
                    (j->deadline_at && j->deadline_at <= now);
        if (!waits || !over)
            continue;
        to_final(j, MODEL_EXPIRED, now);
        reply.n++;
    }
    settle(m, r, now);
    return reply;
}

static bool parent_waits(const struct model *m, int64_t batch)
{
    for (int64_t i = 0; batch && i < m->job_count; i++) {
        if (m->jobs[i].waits_for == batch && m->jobs[i].state == MODEL_BLOCKED)
            return true;
    }
    return false;
}

struct model_reply model_retain(struct model *m, int64_t before, int64_t limit)
{
    struct model_reply reply = {.word = MODEL_OK};
    while (reply.n < limit) {
        int64_t oldest = -1;
        for (int64_t i = 0; i < m->job_count; i++) {
            const struct model_job *j = &m->jobs[i];
            if (j->state >= MODEL_SUCCEEDED && j->finished_at < before &&
                !parent_waits(m, j->batch) &&
                (oldest < 0 || j->finished_at < m->jobs[oldest].finished_at))
                oldest = i;
        }
        if (oldest < 0)
            break;
        m->job_count--;
        memmove(&m->jobs[oldest], &m->jobs[oldest + 1],
                (size_t)(m->job_count - oldest) * sizeof m->jobs[0]);
        reply.n++;
    }
    return reply;
}

struct model_reply model_seal(struct model *m, const struct model_rules *r, int64_t batch,
                              int64_t now)
{
    m->sealed[batch] = 1;
    settle(m, r, now);
    return (struct model_reply){.word = MODEL_OK};
}

void model_restart(struct model *m, const struct model_rules *r, int64_t now)
{
    int64_t wait;
    struct model_job *j;
    if (!r->turns_stay) {
        memset(m->vtime, 0, sizeof m->vtime);
        memset(m->tenant_pass, 0, sizeof m->tenant_pass);
        m->tenant_vtime = 0;
    }
    for (int64_t i = 0; !r->turns_stay && i < m->lane_count; i++) {
        struct model_lane *l = &m->lanes[i];
        m->vtime[l->tenant] = larger(m->vtime[l->tenant], l->pass);
        m->lanes[i].last_bad = m->lanes[i].window_seen = m->lanes[i].window_bad =
            m->lanes[i].window_from = 0;
    }
    while ((j = first_due(m, MODEL_ACTIVE, INT64_MAX))) {
        note_sign(r, &m->lanes[j->lane], MODEL_NO_VERDICT, j->seq, now);
        leave(m, r, j, MODEL_RELEASE, 0, now, &wait);
    }
    memset(m->workers, 0, sizeof m->workers);
    m->reaped_at = now;
    settle(m, r, now);
}

void model_restore(struct model *m)
{
    m->epoch++;
}

/* ---- what always holds ---- */

static const char *check_job(const struct model *m, const struct model_rules *r,
                             const struct model_job *j)
{
    bool active = j->state == MODEL_ACTIVE;
    if (j->fence !=
        j->n_fail + j->n_crash + j->n_throttle + j->n_release + j->n_ok + j->n_void + active)
        return "I6: a lease is not accounted exactly once";
    if ((j->nonce != 0) != active || (j->lease_until != 0 && !active))
        return "I2: lease and state disagree";
    if (j->epoch > m->epoch)
        return "I5: a lease of an epoch to come";
    /* The last permanent failure is charged above the budget. */
    if (j->n_fail - j->fail_base > budget_of(fail_max_of(r, j), j) + 1 ||
        j->n_crash - j->crash_base > row_of(r, r->crash_max, j) ||
        j->n_throttle > budget_of(r->throttle_max, j) ||
        j->n_release - j->release_base > row_of(r, r->release_max, j))
        return "I7: a budget is overdrawn";
    if (j->n_ok > 1 || (j->state == MODEL_SUCCEEDED) != (j->n_ok == 1))
        return "I8: success without a good ending, or twice";
    if ((j->state >= MODEL_SUCCEEDED) != (j->finished_at != 0) && j->finished_at != 0)
        return "I2: a live job that ended";
    if (j->state == MODEL_BLOCKED && !j->waits_for)
        return "I19: blocked by nothing";
    return NULL;
}

static const char *check_lane(const struct model *m, int64_t lane)
{
    const struct model_lane *l = &m->lanes[lane];
    int64_t active = count_in(m, lane, MODEL_ACTIVE);
    if (active > l->max_active)
        return "I12: more active jobs than the lane allows";
    if (l->breaker == MODEL_HALF_OPEN && active == 0)
        return "I14: half open without a probe";
    return NULL;
}

const char *model_check(const struct model *m, const struct model_rules *r)
{
    for (int64_t i = 0; i < m->job_count; i++) {
        const struct model_job *j = &m->jobs[i];
        const char *broken = check_job(m, r, j);
        if (broken)
            return broken;
        for (int64_t k = 0; k < i; k++) {
            if (m->jobs[k].unique && m->jobs[k].unique == j->unique && is_live(j) &&
                is_live(&m->jobs[k]))
                return "I10: two live jobs with one unique key";
            if (m->jobs[k].nonce && m->jobs[k].nonce == j->nonce)
                return "I3: two leases with one nonce";
            if (m->jobs[k].waits_for && m->jobs[k].waits_for == j->waits_for)
                return "I19: two callbacks of one batch";
        }
    }
    for (int64_t i = 0; i < m->lane_count; i++) {
        const char *broken = check_lane(m, i);
        if (broken)
            return broken;
    }
    return NULL;
}

const char *model_state_name(int64_t state)
{
    static const char *const names[] = {"blocked",   "scheduled", "ready",     "active",
                                        "succeeded", "dead",      "cancelled", "expired"};
    return state >= 0 && state < 8 ? names[state] : "?";
}
