#include "store/sqlite/inside.h"

#include "base/need.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- tenants and sites: there as long as a lane names them ---- */

static char *keep_name(struct span name)
{
    char *text = heap_get(name.n + 1);
    return span_copy(name, text, name.n + 1);
}

struct store_tenant *lanes_tenant(struct store *s, struct span name)
{
    struct store_tenant *t = map_find(&s->lanes.tenants, name);
    if (t)
        return t;
    t = heap_new_of(struct store_tenant);
    t->name = keep_name(name);
    t->weight = TENANT_WEIGHT;
    t->pass = s->lanes.tenant_vtime;
    map_add(&s->lanes.tenants, span_of(t->name), t);
    return t;
}

struct store_site *lanes_site(struct store *s, struct span name)
{
    struct store_site *t = map_find(&s->lanes.sites, name);
    if (t)
        return t;
    t = heap_new_of(struct store_site);
    t->name = keep_name(name);
    t->burst = 1;
    list_init(&t->full);
    map_add(&s->lanes.sites, span_of(t->name), t);
    return t;
}

/* ---- what holds a lane up ---- */

struct lane_settings lanes_settings(const struct store *s, const struct store_lane *l)
{
    const struct store_limits *c = &s->limits;
    const struct lane_settings *own = &l->now.own;
    bool alone =
        l->class == LANE_QUARANTINE; /* what kills its worker shall take nobody along */
    return (struct lane_settings){
        .weight = own->weight > 0 ? own->weight : lane_class_weight(l->class),
        .max_active = own->max_active > 0 ? own->max_active
                      : alone             ? 1
                                          : c->lane_max_active,
        .emit_ms = own->emit_ms >= 0 ? own->emit_ms : c->lane_emit_ms,
        .burst = own->burst > 0 ? own->burst : c->lane_burst,
        .depth = own->depth > 0 ? own->depth : 0,
        .overflow = own->overflow > 0 ? own->overflow : OVERFLOW_REFUSE,
        .prio = lane_priority(LANE_PRIORITY, false, own->prio),
    };
}

/* With the rate as it is used at present. */
static struct lane_settings in_force(const struct store *s, const struct store_lane *l)
{
    struct lane_settings set = lanes_settings(s, l);
    set.emit_ms = limit_paced(set.emit_ms, &l->now.pace);
    return set;
}

static int64_t ready_of(const struct store_lane *l)
{
    return l->now.ready[NEEDS_NOTHING] + l->now.ready[NEEDS_PAGE];
}

struct breaker lanes_breaker(const struct store_lane *l, int64_t now_ms)
{
    return breaker_after_hold(&l->now.breaker, l->now.forced_until_ms, now_ms);
}

static int64_t room_with(const struct store_lane *l, const struct lane_settings *set,
                         enum breaker_state state)
{
    return (state == BREAKER_CLOSED ? set->max_active : 1) - l->now.active;
}

static int64_t room_of(const struct store_lane *l, const struct lane_settings *set)
{
    return room_with(l, set, l->now.breaker.state);
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The instant from which the lane may start a job, as far as time decides it. */
static int64_t open_at(const struct store_lane *l, const struct lane_settings *set)
{
    int64_t at = lane_start_at(l->now.tat_ms, set->emit_ms, set->burst);
    at = later(at, l->now.blocked_until_ms);
    at = later(at, l->parked_until_ms);
    if (l->now.breaker.state == BREAKER_OPEN)
        at = later(at, l->now.breaker.until_ms);
    return at;
}

/* Jobs that the lane itself would let start at this very instant. */
static int64_t starts_now(const struct store_lane *l, const struct lane_settings *set,
                          int64_t now_ms)
{
    int64_t n = sooner(room_of(l, set), ready_of(l));
    if (l->now.paused || n <= 0 || open_at(l, set) > now_ms)
        return 0;
    if (set->emit_ms > 0) {
        int64_t burst = later(set->burst, 1);
        int64_t saved =
            (now_ms - lane_start_at(l->now.tat_ms, set->emit_ms, set->burst)) / set->emit_ms +
            1;
        n = sooner(n, sooner(saved, burst));
    }
    return n;
}

/* When its rate allows one start more than it does now; INT64_MAX: it holds nothing back. */
static int64_t one_more_at(const struct store_lane *l, const struct lane_settings *set,
                           int64_t starts)
{
    if (set->emit_ms <= 0 || starts >= sooner(room_of(l, set), ready_of(l)) ||
        starts >= set->burst)
        return INT64_MAX;
    return lane_start_at(l->now.tat_ms, set->emit_ms, set->burst) + starts * set->emit_ms;
}

enum waiting lanes_waiting(const struct store *s, const struct store_lane *l, int64_t now_ms,
                           int64_t *out_until_ms)
{
    struct lane_settings set = in_force(s, l);
    int64_t rate = lane_start_at(l->now.tat_ms, set.emit_ms, set.burst);
    struct breaker b = lanes_breaker(l, now_ms);
    *out_until_ms = 0;
    if (s->disk_full)
        return WAITING_DISK;
    if (s->mode == MODE_PAUSED || s->mode == MODE_MAINTENANCE)
        return WAITING_MODE;
    if (l->now.paused)
        return WAITING_PAUSE;
    if (b.state == BREAKER_OPEN && b.until_ms > now_ms) {
        *out_until_ms = b.until_ms;
        return WAITING_BREAKER;
    }
    if (l->now.blocked_until_ms > now_ms) {
        *out_until_ms = l->now.blocked_until_ms;
        return WAITING_SITE;
    }
    if (l->parked_until_ms > now_ms) {
        *out_until_ms = l->parked_until_ms == INT64_MAX ? 0 : l->parked_until_ms;
        return WAITING_SESSION;
    }
    if (room_with(l, &set, b.state) <= 0) /* half open: one probe at a time */
        return b.state == BREAKER_CLOSED ? WAITING_LANE : WAITING_BREAKER;
    if (!lane_may_start(l->now.tat_ms, set.emit_ms, set.burst, now_ms)) {
        *out_until_ms = rate;
        return WAITING_RATE;
    }
    const struct store_site *site = l->site;
    int64_t site_at = lane_start_at(site->tat_ms, site->emit_ms, site->burst);
    if (site->emit_ms > 0 && site_at > now_ms) {
        *out_until_ms = site_at;
        return WAITING_RATE;
    }
    if ((l->tenant->max_active && l->tenant->active >= l->tenant->max_active) ||
        (site->max_active && site->active >= site->max_active) ||
        (s->lanes.active_max && s->lanes.active >= s->lanes.active_max))
        return WAITING_LIMIT;
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
    case WAITING_LIMIT:
        return LANE_FULL;
    case WAITING_PAUSE:
        return LANE_PAUSED;
    case WAITING_SESSION:
        return LANE_SESSION;
    case WAITING_NONE:
    case WAITING_TIME:
    case WAITING_WORKER:
    case WAITING_RATE:
    case WAITING_DISK:
    case WAITING_JOB:
    case WAITING_MODE:
    case WAITING_HOLD:
        break;
    }
    return LANE_OPEN;
}

/* ---- where a lane stands ---- */

static void tenant_place(struct store *s, struct store_tenant *t)
{
    bool room = !t->max_active || t->active < t->max_active;
    for (int n = 0; n < NEEDS_COUNT; n++) {
        if (room && t->turns[n].count)
            pqueue_put(&s->lanes.tenants_turn[n], &t->turn[n], t->pass,
                       (int64_t)(span_hash(span_of(t->name), 0) >> 1));
        else
            pqueue_remove(&s->lanes.tenants_turn[n], &t->turn[n]);
    }
}

static void leave_places(struct store *s, struct store_lane *l)
{
    for (int n = 0; n < NEEDS_COUNT; n++)
        pqueue_remove(&l->tenant->turns[n], &l->turn[n]);
    pqueue_remove(&s->lanes.waits, &l->wait);
    list_remove(&l->full);
}

/* The lane is open. NEEDS_NOTHING: its place among those that need no page. */
static void take_turn(struct store_lane *l)
{
    if (l->now.ready[NEEDS_NOTHING])
        pqueue_put(&l->tenant->turns[NEEDS_NOTHING], &l->turn[NEEDS_NOTHING], l->now.pass,
                   l->id);
    pqueue_put(&l->tenant->turns[NEEDS_PAGE], &l->turn[NEEDS_PAGE], l->now.pass, l->id);
}

static void count_word(struct store *s, struct store_lane *l, enum lane_word word,
                       int64_t runnable)
{
    if (l->word < LANE_WORDS)
        s->lanes.words[l->word]--;
    if (word < LANE_WORDS)
        s->lanes.words[word]++;
    s->lanes.runnable += runnable - l->runnable;
    l->word = word;
    l->runnable = runnable;
}

void lanes_place(struct store *s, struct store_lane *l, int64_t now_ms)
{
    struct lane_settings set = in_force(s, l);
    l->now.breaker = lanes_breaker(l, now_ms); /* of time alone: no group has to write it */
    int64_t starts = starts_now(l, &set, now_ms), until;
    bool used = ready_of(l) > 0 || l->now.active > 0;
    s->group_ms = now_ms;
    s->lanes.placed_ms = later(s->lanes.placed_ms, now_ms);
    leave_places(s, l);
    if (starts > 0) {
        take_turn(l);
        int64_t more = one_more_at(l, &set, starts);
        if (more != INT64_MAX)
            pqueue_put(&s->lanes.waits, &l->wait, more, l->id);
    } else if (!l->now.paused && ready_of(l) > 0 && room_of(l, &set) > 0 &&
               open_at(l, &set) != INT64_MAX) {
        pqueue_put(&s->lanes.waits, &l->wait, open_at(l, &set), l->id);
    }
    tenant_place(s, l->tenant);
    count_word(s, l, used ? word_of(lanes_waiting(s, l, now_ms, &until)) : LANE_WORDS,
               starts > 0 ? ready_of(l) : 0);
}

/* What time has opened takes its turn. When it went back since a lane was given its place, what is not open any more waits
 * again: who looks ahead then must hear of the instant at which it is. */
static void wake(struct store *s, int64_t now_ms)
{
    struct pq_node *n;
    if (now_ms < s->lanes.placed_ms)
        for (int64_t id = 1; id <= s->lanes.last_id; id++)
            if (s->lanes.by_id[id])
                lanes_place(s, s->lanes.by_id[id], now_ms);
    s->lanes.placed_ms = now_ms;
    while ((n = pqueue_top(&s->lanes.waits)) && n->key <= now_ms)
        lanes_place(s, PQ_OF(n, struct store_lane, wait), now_ms);
}

void lanes_set_aside(struct store *s, struct store_lane *l)
{
    for (int n = 0; n < NEEDS_COUNT; n++)
        pqueue_remove(&l->tenant->turns[n], &l->turn[n]);
    tenant_place(s, l->tenant);
}

/* The site has as many jobs running as it may, or its rate is used up: the lane waits for that. */
static bool site_holds(struct store *s, struct store_lane *l, int64_t now_ms)
{
    struct store_site *site = l->site;
    if (site->max_active && site->active >= site->max_active) {
        lanes_set_aside(s, l);
        pqueue_remove(&s->lanes.waits, &l->wait);
        list_remove(&l->full);
        list_add(&site->full, &l->full);
        return true;
    }
    int64_t at = lane_start_at(site->tat_ms, site->emit_ms, site->burst);
    if (site->emit_ms <= 0 || at <= now_ms)
        return false;
    lanes_set_aside(s, l);
    pqueue_put(&s->lanes.waits, &l->wait, at, l->id);
    return true;
}

/* As many lanes as there is room for take their turn again; those that cannot start anything are no use. */
static void site_frees(struct store *s, struct store_site *site, int64_t now_ms)
{
    int64_t room = site->max_active ? site->max_active - site->active : INT64_MAX;
    list_each(&site->full, at, after)
    {
        struct store_lane *l = LIST_OF(at, struct store_lane, full);
        if (room <= 0)
            break;
        lanes_place(s, l, now_ms);
        room -= pqueue_has(&l->turn[NEEDS_PAGE]);
    }
}

/* Its turn came when time had opened it. Time that went back since has closed it: it waits again. */
static bool is_closed_again(struct store *s, struct store_lane *l, int64_t now_ms)
{
    struct lane_settings set = in_force(s, l);
    if (starts_now(l, &set, now_ms) > 0)
        return false;
    lanes_place(s, l, now_ms);
    return true;
}

struct store_lane *lanes_pick(struct store *s, enum store_needs needs, int64_t now_ms)
{
    if (s->lanes.active_max && s->lanes.active >= s->lanes.active_max)
        return NULL;
    if (s->mode == MODE_PAUSED || s->mode == MODE_MAINTENANCE)
        return NULL;
    wake(s, now_ms);
    struct pq_node *n;
    while ((n = pqueue_top(&s->lanes.tenants_turn[needs]))) {
        struct store_tenant *t = PQ_OF(n - needs, struct store_tenant, turn);
        struct pq_node *top = pqueue_top(&t->turns[needs]);
        need(top);
        struct store_lane *l = PQ_OF(top - needs, struct store_lane, turn);
        if (!site_holds(s, l, now_ms) && !is_closed_again(s, l, now_ms))
            return l;
    }
    return NULL;
}

/* ---- changes ---- */

struct lane_facts *lanes_touch(struct store *s, struct store_lane *l)
{
    struct lane_book *b = &s->lanes;
    l->dirty = true;
    if (l->touched || !s->in_group)
        return &l->now;
    if (b->undo_count == b->undo_room) {
        size_t room = b->undo_room ? 2 * b->undo_room : 64;
        struct lane_undo *undo = realloc(b->undo, room * sizeof *undo);
        if (!undo)
            bug("no memory");
        b->undo = undo;
        b->undo_room = room;
    }
    b->undo[b->undo_count++] = (struct lane_undo){.lane = l, .before = l->now};
    l->touched = true;
    return &l->now;
}

static void count_active(struct store *s, struct store_lane *l, int64_t by, int64_t now_ms)
{
    l->now.active += by;
    l->tenant->active += by;
    l->site->active += by;
    s->lanes.active += by;
    if (by < 0)
        site_frees(s, l->site, now_ms);
}

static void count_ready(struct store_lane *l, enum store_needs needs, int64_t by)
{
    l->now.ready[needs] += by;
    l->tenant->ready += by;
    l->site->ready += by;
}

/* What slept hoards no credit. */
static void wake_turn(struct store *s, struct store_lane *l)
{
    if (ready_of(l) == 0 && l->now.pass < l->tenant->vtime)
        l->now.pass = l->tenant->vtime;
    if (l->tenant->ready == 0 && l->tenant->pass < s->lanes.tenant_vtime)
        l->tenant->pass = s->lanes.tenant_vtime;
}

void lanes_count(struct store *s, struct store_lane *l, enum store_needs needs,
                 enum job_state from, enum job_state to, int64_t now_ms)
{
    struct lane_facts *n = lanes_touch(s, l);
    l->used_ms = now_ms;
    if (from != JOB_STATES) {
        s->now.by_state[from]--;
        n->blocked -= from == JOB_BLOCKED;
        n->scheduled -= from == JOB_SCHEDULED;
        count_ready(l, needs, -(from == JOB_READY));
        if (from == JOB_ACTIVE)
            count_active(s, l, -1, now_ms);
    }
    if (to != JOB_STATES) {
        s->now.by_state[to]++;
        n->blocked += to == JOB_BLOCKED;
        n->scheduled += to == JOB_SCHEDULED;
        if (to == JOB_READY) {
            wake_turn(s, l);
            count_ready(l, needs, 1);
        }
        if (to == JOB_ACTIVE)
            count_active(s, l, 1, now_ms);
    }
    lanes_place(s, l, now_ms);
}

void lanes_meter(struct store_lane *l, enum meter_event event, int64_t waited_ms,
                 int64_t now_ms)
{
    if (!l->meter)
        l->meter = heap_new_of(struct meter);
    meter_add(l->meter, event, waited_ms, now_ms);
}

/* What is owed stays as many starts. */
static bool repaced(struct lane_facts *n, struct limit_pace was, bool changed, int64_t now_ms)
{
    if (changed)
        n->tat_ms = limit_tat_paced(n->tat_ms, &was, &n->pace, now_ms);
    return changed;
}

bool lanes_started(struct store *s, struct store_lane *l, int64_t now_ms)
{
    struct lane_facts *n = lanes_touch(s, l);
    struct store_site *site = l->site;
    struct limit_pace was = n->pace;
    bool paced = repaced(n, was, limit_pace_up(&n->pace, &s->limits.pace, now_ms), now_ms);
    struct lane_settings set = in_force(s, l);
    l->tenant->vtime = later(l->tenant->vtime, n->pass);
    n->pass = lane_next_pass(n->pass, set.weight);
    n->tat_ms = lane_next_tat(n->tat_ms, set.emit_ms, now_ms);
    s->lanes.tenant_vtime = later(s->lanes.tenant_vtime, l->tenant->pass);
    l->tenant->pass = lane_next_pass(l->tenant->pass, l->tenant->weight);
    if (site->emit_ms > 0) {
        site->tat_ms = lane_next_tat(site->tat_ms, site->emit_ms, now_ms);
        site->dirty = true;
    }
    breaker_started(&n->breaker, now_ms);
    lanes_place(s, l, now_ms);
    return paced;
}

bool lanes_block(struct store *s, struct store_lane *l, int64_t until_ms, int64_t now_ms)
{
    struct lane_facts *n = lanes_touch(s, l);
    struct limit_pace was = n->pace;
    bool again = n->blocked_until_ms > now_ms, has_rate = lanes_settings(s, l).emit_ms > 0;
    bool paced = has_rate && limit_pace_down(&n->pace, &s->limits.pace, again, until_ms);
    n->blocked_until_ms = later(n->blocked_until_ms, until_ms);
    paced = repaced(n, was, paced, now_ms);
    lanes_place(s, l, now_ms);
    return paced;
}

err lanes_say_pace(struct store *s, const struct store_lane *l, wall now, struct fault *f)
{
    struct json_w w = event_open(s);
    json_kv_cstr(&w, "lane", l->name);
    json_kv_int(&w, "percent", limit_pace_percent(&l->now.pace));
    return event_add(s, "", "lane.paced", now, &w, f);
}

void lanes_park(struct store *s, struct store_lane *l, int64_t until_ms, int64_t now_ms)
{
    l->parked_until_ms = until_ms;
    lanes_place(s, l, now_ms);
}

void lanes_pool_changed(struct store *s, struct span site, struct span pool)
{
    for (int64_t id = 1; id <= s->lanes.last_id; id++) {
        struct store_lane *l = s->lanes.by_id[id];
        if (l && l->parked_until_ms && span_eq(l->pool, pool) && span_is(site, l->site->name))
            lanes_park(s, l, 0, s->group_ms);
    }
}

/* One bad target tried again and again says nothing new about the site: errors in a row count when
 * they are of different jobs. What was set by hand stays until its time is over. */
void lanes_sign(struct store *s, struct store_lane *l, enum breaker_sign sign, int64_t job,
                int64_t now_ms)
{
    struct breaker *b = &l->now.breaker;
    if (l->now.forced_until_ms > now_ms)
        return;
    *b = lanes_breaker(l, now_ms);
    if (sign == BREAKER_HEALTH_ERROR && b->state == BREAKER_CLOSED && l->now.last_bad == job)
        return;
    struct lane_facts *n = lanes_touch(s, l);
    if (sign != BREAKER_NO_VERDICT)
        n->last_bad = sign == BREAKER_HEALTH_ERROR ? job : 0;
    breaker_note(&n->breaker, sign, now_ms);
    lanes_place(s, l, now_ms);
}

/* ---- outlook ---- */

/* Starts of one tenant, as its lanes, its own cap and its sites allow. */
static int64_t tenant_starts(struct store *s, const struct store_tenant *t,
                             enum store_needs needs, int64_t most, int64_t now_ms)
{
    const struct pqueue *q = &t->turns[needs];
    int64_t n = 0;
    if (t->max_active)
        most = sooner(most, t->max_active - t->active);
    for (size_t i = 0; i < q->count && n < most; i++) {
        struct store_lane *l = PQ_OF(q->nodes[i] - needs, struct store_lane, turn);
        struct lane_settings set = in_force(s, l);
        struct store_site *site = l->site;
        int64_t here = starts_now(l, &set, now_ms);
        if (needs == NEEDS_NOTHING)
            here = sooner(here, l->now.ready[NEEDS_NOTHING]);
        if (site->counted_at != s->lanes.looks) {
            site->counted_at = s->lanes.looks;
            site->counted = 0;
        }
        if (site->max_active)
            here = sooner(here, site->max_active - site->active - site->counted);
        if (site->emit_ms > 0) {
            int64_t at = lane_start_at(site->tat_ms, site->emit_ms, site->burst);
            int64_t saved = at > now_ms ? 0 : (now_ms - at) / site->emit_ms + 1;
            here = sooner(here, sooner(saved, later(site->burst, 1)) - site->counted);
        }
        here = later(here, 0);
        site->counted += here;
        n += here;
    }
    return later(sooner(n, most), 0);
}

static int64_t all_starts(struct store *s, enum store_needs needs, int64_t now_ms)
{
    const struct pqueue *q = &s->lanes.tenants_turn[needs];
    int64_t most = OUTLOOK_STARTS, n = 0;
    if (s->lanes.active_max)
        most = sooner(most, s->lanes.active_max - s->lanes.active);
    s->lanes.looks++;
    for (size_t i = 0; i < q->count && n < most; i++)
        n += tenant_starts(s, PQ_OF(q->nodes[i] - needs, struct store_tenant, turn), needs,
                           most - n, now_ms);
    return later(n, 0);
}

/* Lanes whose site has no start left stand in their turn all the same, and pick finds them closed: when
 * the site allows one start more is news. */
static void site_times(const struct store *s, int64_t now_ms, int64_t *next_ms)
{
    list_each(&s->lanes.rated, node, after)
    {
        const struct store_site *site = LIST_OF(node, struct store_site, rated);
        int64_t at = lane_start_at(site->tat_ms, site->emit_ms, site->burst);
        int64_t missed = at > now_ms ? 0 : (now_ms - at) / site->emit_ms + 1;
        if (site->ready > 0 && missed < later(site->burst, 1))
            *next_ms = sooner(*next_ms, at + missed * site->emit_ms);
    }
}

void lanes_outlook(struct store *s, int64_t now_ms, struct outlook *out)
{
    wake(s, now_ms);
    memcpy(out->lanes, s->lanes.words, sizeof out->lanes);
    out->runnable = s->lanes.runnable;
    if (s->disk_full || s->mode == MODE_PAUSED || s->mode == MODE_MAINTENANCE)
        return;
    out->startable = all_starts(s, NEEDS_PAGE, now_ms);
    out->startable_light = all_starts(s, NEEDS_NOTHING, now_ms);
    const struct pq_node *n = pqueue_top(&s->lanes.waits);
    if (n)
        out->next_ms = sooner(out->next_ms, n->key);
    site_times(s, now_ms, &out->next_ms);
}

/* ---- rows ---- */

static void read_lane(struct query *q, struct lane_facts *n)
{
    *n = (struct lane_facts){
        .pass = db_int(q, 2),
        .tat_ms = db_int(q, 3),
        .blocked_until_ms = db_int(q, 4),
        .breaker = {.state = (enum breaker_state)db_int(q, 5),
                    .fails = db_int(q, 6),
                    .until_ms = db_int(q, 7),
                    .trips = db_int(q, 8),
                    .since_ms = db_int(q, 18)},
        .forced_until_ms = db_int(q, 9),
        .own = {.weight = db_int(q, 10),
                .max_active = db_int(q, 11),
                .emit_ms = db_int(q, 12),
                .burst = db_int(q, 13),
                .depth = db_int(q, 16),
                .overflow = db_int(q, 17),
                .prio = db_int(q, 19)},
        .paused = db_int(q, 14) != 0,
        .closed = db_int(q, 15) != 0,
        .pace = {db_int(q, 20), db_int(q, 21)},
    };
}

static void grow_book(struct lane_book *b, int64_t id)
{
    size_t room = b->room ? b->room : 64;
    while (room <= (size_t)id)
        room *= 2;
    if (room == b->room)
        return;
    struct store_lane **by_id = heap_get(room * sizeof *by_id);
    if (b->by_id)
        memcpy(by_id, b->by_id, b->room * sizeof *by_id);
    free(b->by_id);
    b->by_id = by_id;
    b->room = room;
}

/* NULL: not the name of a lane. */
static struct store_lane *lane_new(struct store *s, int64_t id, struct span name)
{
    struct lane_name parts;
    struct lane_book *b = &s->lanes;
    struct store_lane *l = heap_new_of(struct store_lane);
    l->name = keep_name(name);
    if (name.n >= LANE_NAME || !lane_name_parse(span_of(l->name), &parts)) {
        free(l->name);
        free(l);
        return NULL;
    }
    l->id = id;
    l->class = parts.class;
    l->pool = parts.pool;
    l->operation = parts.operation;
    l->tenant = lanes_tenant(s, parts.tenant);
    l->site = lanes_site(s, parts.site);
    l->tenant->lanes++;
    l->site->lanes++;
    l->word = LANE_WORDS;
    l->now.own = lane_settings_all(LANE_AS_CONFIGURED);
    grow_book(b, id);
    b->by_id[id] = l;
    b->count++;
    b->last_id = later(b->last_id, id);
    map_add(&b->lanes, span_of(l->name), l);
    return l;
}

static err damaged(struct store *s, const char *what, struct fault *f)
{
    return fail(f, E_STORE, "the job store %s is damaged (%s); restore a backup", s->path,
                what);
}

static err load_limits(struct store *s, struct fault *f)
{
    struct query *q;
    err e = db_ask_args(s->db, SQL_LIMITS, &q, f, NULL, 0);
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK) {
        int64_t scope = db_int(q, 0), most = db_int(q, 2);
        if (scope == LIMIT_ALL)
            s->lanes.active_set = most;
        if (scope == LIMIT_TENANT) {
            struct store_tenant *t = lanes_tenant(s, db_text(q, 1));
            t->max_active = most;
            t->weight = db_int(q, 3) ? db_int(q, 3) : TENANT_WEIGHT;
        }
        if (scope == LIMIT_SITE) {
            struct store_site *t = lanes_site(s, db_text(q, 1));
            t->max_active = most;
            t->emit_ms = db_int(q, 4);
            t->burst = db_int(q, 5);
            t->tat_ms = db_int(q, 6);
            lanes_site_changed(s, t, 0);
        }
    }
    db_end(q);
    s->lanes.active_max = s->lanes.active_set ? s->lanes.active_set : s->limits.active_max;
    return e == E_END ? E_OK : e;
}

static err load_rows(struct store *s, struct fault *f)
{
    struct query *q;
    err e = db_ask_args(s->db, SQL_LANES, &q, f, NULL, 0);
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK) {
        int64_t id = db_int(q, 0);
        struct store_lane *l =
            id >= 1 && id <= INT32_MAX ? lane_new(s, id, db_text(q, 1)) : NULL;
        if (!l) {
            e = damaged(s, "lanes", f);
            break;
        }
        read_lane(q, &l->now);
        l->tenant->vtime = later(l->tenant->vtime, l->now.pass);
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
        int64_t state = db_int(q, 1), needs = db_int(q, 2), n = db_int(q, 3);
        struct store_lane *l = lanes_by_id(s, db_int(q, 0));
        if (!l || state < 0 || state > JOB_ACTIVE || needs < 0 || needs >= NEEDS_COUNT) {
            e = damaged(s, "jobs", f);
            break;
        }
        if (state == JOB_READY)
            count_ready(l, (enum store_needs)needs, n);
        l->now.blocked += state == JOB_BLOCKED ? n : 0;
        l->now.scheduled += state == JOB_SCHEDULED ? n : 0;
        if (state == JOB_ACTIVE)
            count_active(s, l, n, 0);
    }
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err load_states(struct store *s, struct fault *f)
{
    struct query *q;
    err e = db_ask_args(s->db, SQL_STATE_COUNTS, &q, f, NULL, 0);
    if (e)
        return e;
    memset(s->now.by_state, 0, sizeof s->now.by_state);
    while ((e = db_step(q, f)) == E_OK) {
        int64_t state = db_int(q, 0);
        if (state < 0 || state >= JOB_STATES) {
            e = damaged(s, "jobs", f);
            break;
        }
        s->now.by_state[state] = db_int(q, 1);
    }
    db_end(q);
    return e == E_END ? E_OK : e;
}

err lanes_load(struct store *s, wall now, struct fault *f)
{
    lanes_free(s);
    list_init(&s->lanes.rated);
    err e = load_limits(s, f);
    if (!e)
        e = load_rows(s, f);
    if (!e)
        e = load_counts(s, f);
    if (!e)
        e = load_states(s, f);
    for (int64_t id = 1; !e && id <= s->lanes.last_id; id++)
        if (s->lanes.by_id[id])
            lanes_place(s, s->lanes.by_id[id], now.ms);
    return e;
}

static err write_lane(struct store *s, const struct store_lane *l, struct fault *f)
{
    const struct lane_facts *n = &l->now;
    return db_run(s->db, SQL_LANE_WRITE, f, DB_I(l->id), DB_I(n->pass), DB_I(n->tat_ms),
                  DB_I(n->blocked_until_ms), DB_I(n->breaker.state), DB_I(n->breaker.fails),
                  DB_I(n->breaker.until_ms), DB_I(n->breaker.trips), DB_I(n->forced_until_ms),
                  DB_I(n->own.weight), DB_I(n->own.max_active), DB_I(n->own.emit_ms),
                  DB_I(n->own.burst), DB_I(n->paused), DB_I(n->closed), DB_I(l->used_ms),
                  DB_I(n->own.depth), DB_I(n->own.overflow), DB_I(n->breaker.since_ms),
                  DB_I(n->own.prio), DB_I(n->pace.percent), DB_I(n->pace.since_ms));
}

err lanes_flush(struct store *s, struct fault *f)
{
    for (size_t i = 0; i < s->lanes.undo_count; i++) {
        struct store_lane *l = s->lanes.undo[i].lane;
        err e = l->dirty ? write_lane(s, l, f) : E_OK;
        if (e)
            return e;
        l->dirty = false;
    }
    list_each(&s->lanes.rated, node, after)
    {
        struct store_site *site = LIST_OF(node, struct store_site, rated);
        err e = !site->dirty ? E_OK
                             : db_run(s->db, SQL_LIMIT_TAT, f, DB_I(LIMIT_SITE),
                                      DB_T(span_of(site->name)), DB_I(site->tat_ms));
        if (e)
            return e;
        site->dirty = false;
    }
    return E_OK;
}

static void drop_tenant(struct store *s, struct store_tenant *t)
{
    if (--t->lanes > 0 || t->max_active || t->weight != TENANT_WEIGHT)
        return;
    for (int n = 0; n < NEEDS_COUNT; n++) {
        pqueue_remove(&s->lanes.tenants_turn[n], &t->turn[n]);
        pqueue_free(&t->turns[n]);
    }
    map_remove(&s->lanes.tenants, span_of(t->name));
    free(t->name);
    free(t);
}

static void drop_site(struct store *s, struct store_site *t)
{
    if (--t->lanes > 0 || t->max_active || t->emit_ms)
        return;
    map_remove(&s->lanes.sites, span_of(t->name));
    free(t->name);
    free(t);
}

static void forget(struct store *s, struct store_lane *l)
{
    need(ready_of(l) == 0 && l->now.active == 0);
    leave_places(s, l);
    tenant_place(s, l->tenant);
    count_word(s, l, LANE_WORDS, 0);
    map_remove(&s->lanes.lanes, span_of(l->name));
    s->lanes.by_id[l->id] = NULL;
    s->lanes.count--;
    while (s->lanes.last_id > 0 && !s->lanes.by_id[s->lanes.last_id])
        s->lanes.last_id--;
    drop_tenant(s, l->tenant);
    drop_site(s, l->site);
    free(l->meter);
    free(l->name);
    free(l);
}

static void take_back(struct store *s, const struct lane_undo *u, int64_t now_ms)
{
    struct store_lane *l = u->lane;
    for (int n = 0; n < NEEDS_COUNT; n++)
        count_ready(l, (enum store_needs)n, u->before.ready[n] - l->now.ready[n]);
    count_active(s, l, u->before.active - l->now.active, now_ms);
    l->now = u->before;
    lanes_place(s, l, now_ms);
    if (u->added)
        forget(s, l);
}

void lanes_after_group(struct store *s, bool committed)
{
    struct lane_book *b = &s->lanes;
    for (size_t i = 0; i < b->undo_count; i++)
        b->undo[i].lane->touched = false;
    for (size_t i = b->undo_count; !committed && i > 0; i--)
        take_back(s, &b->undo[i - 1], s->group_ms);
    b->undo_count = 0;
}

void lanes_mark(struct store *s)
{
    struct lane_book *b = &s->lanes;
    if (b->marked_room < b->undo_count) {
        free(b->marked);
        b->marked_room = b->undo_room;
        b->marked = heap_get(b->marked_room * sizeof *b->marked);
    }
    for (size_t i = 0; i < b->undo_count; i++)
        b->marked[i] = b->undo[i].lane->now;
    b->marked_count = b->undo_count;
}

/* Lanes that the part touched first are as before the group, which they were at its mark, or gone; the
 * others are as they were at the mark. */
void lanes_after_mark(struct store *s, bool kept)
{
    struct lane_book *b = &s->lanes;
    for (; !kept && b->undo_count > b->marked_count; b->undo_count--) {
        const struct lane_undo *u = &b->undo[b->undo_count - 1];
        u->lane->touched = false;
        take_back(s, u, s->group_ms);
    }
    for (size_t i = b->marked_count; !kept && i > 0; i--) {
        struct lane_undo u = {.lane = b->undo[i - 1].lane, .before = b->marked[i - 1]};
        take_back(s, &u, s->group_ms);
    }
    b->marked_count = 0;
}

/* ---- finding and making ---- */

struct store_lane *lanes_find(const struct store *s, struct span name)
{
    return map_find(&s->lanes.lanes, name);
}

struct store_lane *lanes_by_id(const struct store *s, int64_t id)
{
    return id >= 1 && id <= s->lanes.last_id ? s->lanes.by_id[id] : NULL;
}

err lanes_room(const struct store *s, struct fault *f)
{
    int64_t most = asked_lanes_most(s->limits.lanes_max);
    return (int64_t)s->lanes.count < most ? E_OK : asked_lanes_full(s->limits.lanes_max, f);
}

err lanes_want(struct store *s, struct span name, wall now, struct store_lane **out,
               struct fault *f)
{
    struct store_lane *l = lanes_find(s, name);
    struct lane_name parts;
    if (l) {
        *out = l;
        return E_OK;
    }
    if (name.n >= LANE_NAME || !lane_name_parse(name, &parts))
        return fail(
            f, E_BAD_INPUT,
            "\"%.*s\" is no lane; one is tenant/site/class, the class interactive, normal or bulk",
            SP(span_cut(name, 0, 60)));
    err e = lanes_room(s, f);
    if (e)
        return e;
    l = lane_new(s, s->lanes.last_id + 1, name);
    need(l);
    struct lane_settings set = in_force(s, l);
    lanes_touch(s, l)->pass = l->tenant->vtime;
    s->lanes.undo[s->lanes.undo_count - 1].added = true;
    l->used_ms = now.ms;
    e = db_run(s->db, SQL_LANE_ADD, f, DB_I(l->id), DB_T(name), DB_I(set.weight),
               DB_I(l->now.pass), DB_I(now.ms));
    if (e)
        return e; /* the group is lost, and the lane with it */
    *out = l;
    return E_OK;
}

err lanes_quarantine_of(struct store *s, const struct store_lane *l, wall now,
                        struct store_lane **out, struct fault *f)
{
    char name[LANE_NAME];
    struct span session = span_of(strchr(l->name, '@'));
    int n = snprintf(name, sizeof name, "%s/%s/%s%.*s", l->tenant->name, l->site->name,
                     lane_class_name(LANE_QUARANTINE), SP(session));
    need(n > 0 && n < (int)sizeof name);
    return lanes_want(s, span_of(name), now, out, f);
}

/* A lane that nobody used for a week and that no job names. When the group is lost, all are read again. */
err lanes_retain(struct store *s, bool *out_more, struct fault *f)
{
    enum { STEP = 100 };
    static const int64_t IDLE_MS = 7LL * 86400 * 1000;
    struct {
        int64_t id;
        bool free;
    } idle[STEP];
    size_t n = 0;
    struct query *q;
    err e = db_ask(s->db, SQL_LANES_IDLE, &q, f, DB_I(s->group_ms - IDLE_MS), DB_I(STEP),
                   DB_I(s->group_ms));
    if (e)
        return e;
    while (n < STEP && (e = db_step(q, f)) == E_OK) {
        idle[n].id = db_int(q, 0);
        idle[n++].free = db_int(q, 1) != 0;
    }
    db_end(q);
    for (size_t i = 0; (e == E_OK || e == E_END) && i < n; i++) {
        struct store_lane *l = lanes_by_id(s, idle[i].id);
        need(l);
        bool goes = idle[i].free && !l->touched;
        e = goes ? db_run(s->db, SQL_LANE_DELETE, f, DB_I(l->id))
                 : db_run(s->db, SQL_LANE_KEPT, f, DB_I(l->id), DB_I(s->group_ms));
        if (!e && goes)
            forget(s, l);
        s->limits_changed |= goes;
    }
    *out_more = n == STEP;
    return e == E_END ? E_OK : e;
}

void lanes_tenant_changed(struct store *s, struct store_tenant *t)
{
    tenant_place(s, t);
}

void lanes_site_changed(struct store *s, struct store_site *t, int64_t now_ms)
{
    list_remove(&t->rated);
    if (t->emit_ms > 0)
        list_add(&s->lanes.rated, &t->rated);
    site_frees(s, t, now_ms);
}

void lanes_free(struct store *s)
{
    struct lane_book *b = &s->lanes;
    for (int64_t id = 1; id <= b->last_id; id++) {
        if (!b->by_id[id])
            continue;
        free(b->by_id[id]->meter);
        free(b->by_id[id]->name);
        free(b->by_id[id]);
    }
    map_each(&b->tenants, e)
    {
        struct store_tenant *t = e->value;
        for (int n = 0; n < NEEDS_COUNT; n++)
            free(t->turns[n].nodes);
        free(t->name);
        free(t);
    }
    map_each(&b->sites, e)
    {
        struct store_site *t = e->value;
        free(t->name);
        free(t);
    }
    for (int n = 0; n < NEEDS_COUNT; n++)
        free(b->tenants_turn[n].nodes);
    free(b->waits.nodes);
    map_free(&b->lanes);
    map_free(&b->tenants);
    map_free(&b->sites);
    free(b->by_id);
    free(b->undo);
    free(b->marked);
    *b = (struct lane_book){0};
}
