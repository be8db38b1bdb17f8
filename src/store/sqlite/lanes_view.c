/* lanes_view.c - lanes and limits as people see and set them. */
#include "store/lanes.h"

#include "store/delivery.h"
#include "store/sqlite/inside.h"

#include "base/json.h"
#include "base/need.h"

enum { PURGE_MAX = 200 };

/* ---- seeing ---- */

static err oldest_of(struct store *s, const struct store_lane *l, int64_t *out_ms,
                     struct fault *f)
{
    *out_ms = 0;
    for (int n = 0; n < NEEDS_COUNT; n++) {
        struct query *q;
        if (l->now.ready[n] == 0)
            continue;
        err e = db_ask(s->db, SQL_LANE_OLDEST, &q, f, DB_I(l->id), DB_I(n));
        if (e)
            return e;
        e = db_step(q, f);
        if (!e && (*out_ms == 0 || db_int(q, 0) < *out_ms))
            *out_ms = db_int(q, 0);
        db_end(q);
        if (e && e != E_END)
            return e;
    }
    return E_OK;
}

static err note_of(struct store *s, const struct store_lane *l, struct arena *a,
                   struct lane_note *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_LANE_VIEW, &q, f, DB_I(l->id));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e)
        e = db_keep(q, 0, a, &out->by, f);
    if (!e)
        e = db_keep(q, 1, a, &out->why, f);
    out->at_ms = e ? 0 : db_int(q, 2);
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err view_of(struct store *s, const struct store_lane *l, wall now, struct arena *a,
                   struct lane_view *out, struct fault *f)
{
    const struct lane_facts *n = &l->now;
    struct lane_view v = {
        .class = l->class,
        .settings = lanes_settings(s, l),
        .own = n->own,
        .pace = n->pace,
        .blocked = n->blocked,
        .scheduled = n->scheduled,
        .ready = n->ready[NEEDS_NOTHING] + n->ready[NEEDS_PAGE],
        .active = n->active,
        .paused = n->paused,
        .closed = n->closed,
        .blocked_until_ms = n->blocked_until_ms,
        .breaker = lanes_breaker(l, now.ms),
        .breaker_forced_until_ms = n->forced_until_ms > now.ms ? n->forced_until_ms : 0,
        .at_ms = now.ms,
    };
    const struct {
        struct span *to;
        struct span from;
    } texts[] = {{&v.name, span_of(l->name)},
                 {&v.tenant, span_of(l->tenant->name)},
                 {&v.site, span_of(l->site->name)},
                 {&v.pool, l->pool},
                 {&v.operation, l->operation}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        *texts[i].to = arena_keep(a, texts[i].from);
        if (!texts[i].to->p)
            return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    }
    if (v.ready)
        v.waiting = lanes_waiting(s, l, now.ms, &v.waiting_until_ms);
    err e = oldest_of(s, l, &v.oldest_ready_ms, f);
    if (!e && (n->paused || n->closed))
        e = note_of(s, l, a, &v.pause, f);
    if (!e && v.breaker_forced_until_ms)
        e = hand_read(s, HAND_OF_LANE, v.name, now, &v.hand, f);
    if (!e)
        *out = v;
    return e;
}

static bool is_wanted(const struct store *s, const struct store_lane *l,
                      const struct lanes_query *q, wall now)
{
    int64_t until;
    if (q->tenant.n && !span_is(q->tenant, l->tenant->name))
        return false;
    if (q->site.n && !span_is(q->site, l->site->name))
        return false;
    const struct breaker b = lanes_breaker(l, now.ms);
    bool breaks = b.state != BREAKER_CLOSED || b.fails > 0 || b.trips > 0 ||
                  l->now.forced_until_ms > now.ms;
    bool counts = breaks || (q->counting && breaker_samples(&b, now.ms).seen > 0);
    if ((q->breakers || q->counting) && !counts)
        return false;
    if (!q->troubled)
        return true;
    enum waiting w = lanes_waiting(s, l, now.ms, &until);
    return l->now.closed || l->now.paused || w == WAITING_BREAKER || w == WAITING_SITE ||
           w == WAITING_SESSION;
}

/* The next lanes by name, whatever they are; *count 0: there are no more. */
static err next_names(struct store *s, struct span after, int64_t *ids, size_t most,
                      size_t *out_count, struct fault *f)
{
    struct query *q;
    size_t n = 0;
    err e = db_ask(s->db, SQL_LANE_NAMES, &q, f, DB_T(after.n ? after : SPAN("")), DB_I(most));
    if (e)
        return e;
    while (n < most && (e = db_step(q, f)) == E_OK)
        ids[n++] = db_int(q, 0);
    db_end(q);
    *out_count = n;
    return e == E_END ? E_OK : e;
}

/* A walk along the names: what was found, and how far it came. */
struct lane_walk {
    const struct lanes_query *query;
    wall now;
    struct lane_view *all;
    size_t count, looked;
    struct span at; /* name of the last one that was looked at */
    bool ended;     /* there are no more */
};

static err walk_step(struct store *s, struct lane_walk *w, struct arena *a, struct fault *f)
{
    enum { STEP = 64 };
    int64_t ids[STEP];
    size_t found, i = 0;
    err e = next_names(s, w->at, ids, STEP, &found, f);
    for (; !e && i < found && w->count < w->query->limit; i++) {
        const struct store_lane *l = lanes_by_id(s, ids[i]);
        need(l);
        w->at = span_of(l->name);
        if (is_wanted(s, l, w->query, w->now))
            e = view_of(s, l, w->now, a, &w->all[w->count++], f);
    }
    w->looked += i;
    w->ended = i == found && found < STEP;
    return e;
}

err sqlite_lanes(struct store *s, const struct lanes_query *query, wall now, struct arena *a,
                 struct lane_view **out_lanes, size_t *out_count, struct span *out_next,
                 struct fault *f)
{
    need(query->limit >= 1 && query->limit <= 500);
    need(!s->reading);
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    struct lane_walk w = {.query = query, .now = now, .at = query->after};
    w.all = arena_try(a, query->limit * sizeof *w.all);
    if (!w.all)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    while (w.count < query->limit && w.looked < LANES_LOOKED && !w.ended) {
        err e = walk_step(s, &w, a, f);
        if (e)
            return e;
    }
    *out_lanes = w.all;
    *out_count = w.count;
    *out_next = w.ended ? SPAN_NONE : arena_keep(a, w.at);
    return E_OK;
}

err sqlite_lane(struct store *s, struct span name, wall now, struct arena *a,
                struct lane_view *out, struct fault *f)
{
    need(!s->reading);
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    const struct store_lane *l = lanes_find(s, name);
    if (!l)
        return fail(f, E_NOT_FOUND, "there is no lane %.*s", SP(span_cut(name, 0, 120)));
    return view_of(s, l, now, a, out, f);
}

err sqlite_lane_meter(struct store *s, struct span name, int64_t window_ms, wall now,
                      struct meter_sums *out, struct fault *f)
{
    static const struct meter none;
    need(!s->reading);
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    const struct store_lane *l = lanes_find(s, name);
    if (!l)
        return fail(f, E_NOT_FOUND, "there is no lane %.*s", SP(span_cut(name, 0, 120)));
    *out = meter_read(l->meter ? l->meter : &none, window_ms, now.ms);
    return E_OK;
}

/* ---- setting ---- */

static void set_one(int64_t *own, int64_t wanted)
{
    if (wanted != LANE_UNCHANGED)
        *own = wanted;
}

/* The site is not known to ask for less. */
static void use_all_of_the_rate(struct lane_facts *n, wall now)
{
    const struct limit_pace all = {0};
    n->tat_ms = limit_tat_paced(n->tat_ms, &n->pace, &all, now.ms);
    n->pace = all;
}

static void act_on(struct lane_facts *n, const struct lane_change *c, wall now)
{
    switch (c->act) {
    case LANE_ACT_SET:
        set_one(&n->own.weight, c->settings.weight);
        set_one(&n->own.max_active, c->settings.max_active);
        if (c->settings.emit_ms != LANE_UNCHANGED && c->settings.emit_ms != n->own.emit_ms)
            use_all_of_the_rate(n, now);
        set_one(&n->own.emit_ms, c->settings.emit_ms);
        set_one(&n->own.burst, c->settings.burst);
        set_one(&n->own.depth, c->settings.depth);
        set_one(&n->own.overflow, c->settings.overflow);
        set_one(&n->own.prio, c->settings.prio);
        return;
    case LANE_ACT_PAUSE:
    case LANE_ACT_RESUME:
        n->paused = c->act == LANE_ACT_PAUSE;
        return;
    case LANE_ACT_CLOSE:
    case LANE_ACT_OPEN:
        n->closed = c->act == LANE_ACT_CLOSE;
        return;
    case LANE_ACT_BREAKER_OPEN:
        breaker_open(&n->breaker, now.ms + c->hold_ms, now.ms);
        n->forced_until_ms = now.ms + c->hold_ms;
        return;
    case LANE_ACT_BREAKER_CLOSE:
        breaker_close(&n->breaker, now.ms);
        n->forced_until_ms = now.ms + c->hold_ms;
        return;
    case LANE_ACT_BREAKER_RESET:
        breaker_close(&n->breaker, now.ms);
        n->forced_until_ms = n->last_bad = 0;
        return;
    case LANE_ACT_UNBLOCK:
        n->blocked_until_ms = now.ms;
        use_all_of_the_rate(n, now);
        return;
    case LANE_ACTS:
        break;
    }
    bug("unknown act");
}

/* Of what people can change: what was counted as well, which a reset forgets. */
static bool is_same(const struct lane_facts *a, const struct lane_facts *b)
{
    return a->own.weight == b->own.weight && a->own.max_active == b->own.max_active &&
           a->own.emit_ms == b->own.emit_ms && a->own.burst == b->own.burst &&
           a->own.depth == b->own.depth && a->own.overflow == b->own.overflow &&
           a->own.prio == b->own.prio && a->paused == b->paused && a->closed == b->closed &&
           a->forced_until_ms == b->forced_until_ms && a->breaker.state == b->breaker.state &&
           a->breaker.fails == b->breaker.fails && a->breaker.trips == b->breaker.trips &&
           a->breaker.window_from_ms == b->breaker.window_from_ms &&
           a->breaker.window_seen == b->breaker.window_seen &&
           a->breaker.window_bad == b->breaker.window_bad && a->last_bad == b->last_bad &&
           a->blocked_until_ms == b->blocked_until_ms && a->pace.percent == b->pace.percent;
}

static err say_changed(struct store *s, const struct store_lane *l, const struct lane_change *c,
                       wall now, struct fault *f)
{
    struct json_w w = event_open(s);
    json_kv_cstr(&w, "lane", l->name);
    if (c->by.n)
        json_kv_text(&w, "by", c->by);
    if (c->why.n)
        json_kv_text(&w, "why", c->why);
    return event_add(s, "", asked_lane_event(c->act), now, &w, f);
}

/* Who stopped it last, as long as it is stopped. */
static err note_stop(struct store *s, const struct store_lane *l, const struct lane_change *c,
                     wall now, struct fault *f)
{
    bool stops = c->act == LANE_ACT_PAUSE || c->act == LANE_ACT_CLOSE;
    if (!stops && (l->now.paused || l->now.closed))
        return E_OK;
    return db_run(s->db, SQL_LANE_NOTE, f, DB_I(l->id),
                  stops ? db_text_or_null(c->by) : DB_NULL,
                  stops ? db_text_or_null(c->why) : DB_NULL, stops ? DB_I(now.ms) : DB_NULL);
}

static err note_hand(struct store *s, const struct store_lane *l, const struct lane_change *c,
                     wall now, struct fault *f)
{
    struct span name = span_of(l->name);
    if (c->act == LANE_ACT_BREAKER_RESET)
        return hand_drop(s, HAND_OF_LANE, name, f);
    if (c->act != LANE_ACT_BREAKER_OPEN && c->act != LANE_ACT_BREAKER_CLOSE)
        return E_OK;
    return hand_note(s, HAND_OF_LANE, name, c->by, c->why, now.ms + c->hold_ms, now, f);
}

err sqlite_lane_change(struct store *s, const struct lane_change *c, wall now, struct fault *f)
{
    struct store_lane *l;
    need((unsigned)c->act < LANE_ACTS);
    err e = store_usable(s, f);
    if (!e)
        e = asked_lane_change(c, f);
    if (!e)
        e = lanes_want(s, c->name, now, &l, f);
    if (e)
        return e;
    l->now.breaker = lanes_breaker(l, now.ms);
    struct lane_facts after = l->now;
    act_on(&after, c, now);
    if (is_same(&after, &l->now))
        return E_OK;
    *lanes_touch(s, l) = after;
    lanes_place(s, l, now.ms);
    e = note_stop(s, l, c, now, f);
    if (!e)
        e = note_hand(s, l, c, now, f);
    return e ? e : say_changed(s, l, c, now, f);
}

err sqlite_lane_purge(struct store *s, const struct lane_purge *p, wall now,
                      int64_t *out_cancelled, bool *out_more, struct fault *f)
{
    struct query *q;
    size_t n = 0;
    int64_t done = 0;
    char words[PURGE_WORDS];
    err e = store_usable(s, f);
    if (!e)
        e = asked_purge(p, words, f);
    const struct store_lane *l = e ? NULL : lanes_find(s, p->name);
    if (!e && !l)
        e = fail(f, E_NOT_FOUND, "there is no lane %.*s", SP(span_cut(p->name, 0, 120)));
    do {
        if (!e)
            e = db_ask(s->db, SQL_LANE_WAITING, &q, f, DB_I(l->id), DB_I(REAP_MAX));
        if (!e)
            e = job_rows_read(s, q, s->rows, REAP_MAX, &n, f);
        for (size_t i = 0; !e && i < n; i++) {
            bool found;
            struct job_row r;
            /* The end of one may have moved another on. */
            e = job_row_by_seq(s, s->rows[i].seq, &found, &r, f);
            if (!e && found && r.state < JOB_ACTIVE) {
                e = job_end_waiting(s, &r, JOB_ON_CANCEL, span_of(words), now, f);
                done++;
            }
        }
    } while (!e && n == REAP_MAX && done + REAP_MAX <= PURGE_MAX);
    if (e)
        return e;
    *out_cancelled = done;
    *out_more = n == REAP_MAX;
    return E_OK;
}

/* ---- limits above lanes ---- */

static struct limit_view tenant_limit(const struct store_tenant *t, struct span name)
{
    return (struct limit_view){.scope = LIMIT_TENANT,
                               .name = name,
                               .max_active = t ? t->max_active : 0,
                               .weight = t ? t->weight : TENANT_WEIGHT,
                               .active = t ? t->active : 0};
}

static struct limit_view site_limit(const struct store_site *t, struct span name)
{
    return (struct limit_view){.scope = LIMIT_SITE,
                               .name = name,
                               .max_active = t ? t->max_active : 0,
                               .emit_ms = t ? t->emit_ms : 0,
                               .burst = t && t->burst ? t->burst : 1,
                               .active = t ? t->active : 0};
}

static struct limit_view all_limit(const struct store *s)
{
    return (struct limit_view){.scope = LIMIT_ALL,
                               .name = SPAN(""),
                               .max_active = s->lanes.active_max,
                               .active = s->lanes.active};
}

err sqlite_lane_bounds(struct store *s, struct span name, wall now, struct arena *a,
                       struct lane_bounds *out, struct fault *f)
{
    struct lane_name parts;
    need(!s->reading);
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    if (name.n >= LANE_NAME || !lane_name_parse(name, &parts))
        return fail(f, E_BAD_INPUT, "\"%.*s\" is no lane", SP(span_cut(name, 0, 60)));
    const struct store_lane *l = lanes_find(s, name);
    struct lane_bounds b = {
        .exists = l != NULL,
        .all = all_limit(s),
        .tenant = tenant_limit(map_find(&s->lanes.tenants, parts.tenant),
                               arena_keep(a, parts.tenant)),
        .site = site_limit(map_find(&s->lanes.sites, parts.site), arena_keep(a, parts.site)),
    };
    struct store_lane none = {.class = parts.class,
                              .now.own = lane_settings_all(LANE_AS_CONFIGURED)};
    b.lane.settings = lanes_settings(s, &none);
    b.lane.own = none.now.own;
    err e = l ? view_of(s, l, now, a, &b.lane, f) : E_OK;
    if (!e)
        *out = b;
    return e;
}

/* The first of those behind the place of the question, in their order: one more than it asks for says that there are more. */
struct limits_found {
    const struct limits_query *q;
    struct limit_view *rows;
    size_t count;
};

static bool is_asked_for(const struct limits_query *q, enum limit_scope scope, struct span name)
{
    int order = limit_order(scope, name, q->scope, q->name);
    return order > 0 || (q->with && order == 0);
}

/* Most of many are behind what is there already, and cost one look. */
static void add_limit(struct limits_found *found, struct limit_view v)
{
    struct limit_view *rows = found->rows;
    size_t most = found->q->limit + 1, at = 0, end = found->count;
    if (!is_asked_for(found->q, v.scope, v.name) ||
        (end == most &&
         limit_order(v.scope, v.name, rows[end - 1].scope, rows[end - 1].name) > 0))
        return;
    while (at < end) {
        size_t middle = at + (end - at) / 2;
        if (limit_order(rows[middle].scope, rows[middle].name, v.scope, v.name) < 0)
            at = middle + 1;
        else
            end = middle;
    }
    found->count += found->count < most;
    memmove(rows + at + 1, rows + at, (found->count - 1 - at) * sizeof *rows);
    rows[at] = v;
}

static err add_webhooks(struct store *s, struct limits_found *found, struct arena *a,
                        struct fault *f)
{
    struct limit_view *hooks = arena_try(a, WEBHOOKS_MAX * sizeof *hooks);
    size_t n = 0;
    if (!hooks)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    err e = webhooks_limits(s, SPAN(""), a, hooks, WEBHOOKS_MAX, &n, f);
    for (size_t i = 0; !e && i < n; i++)
        add_limit(found, hooks[i]);
    return e;
}

err sqlite_limits(struct store *s, const struct limits_query *q, struct arena *a,
                  struct limits_page *out, struct fault *f)
{
    need(!s->reading && q->limit >= 1 && q->limit <= LIMITS_PAGE);
    struct limits_found found = {.q = q,
                                 .rows = arena_try(a, (q->limit + 1) * sizeof *found.rows)};
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    if (!found.rows)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    map_each(&s->lanes.tenants, e)
    {
        const struct store_tenant *t = e->value;
        add_limit(&found, tenant_limit(t, span_of(t->name)));
    }
    map_each(&s->lanes.sites, e)
    {
        const struct store_site *t = e->value;
        add_limit(&found, site_limit(t, span_of(t->name)));
    }
    err e = add_webhooks(s, &found, a, f);
    bool more = found.count > q->limit;
    found.count -= more;
    for (size_t i = 0; !e && i < found.count; i++) {
        found.rows[i].name = arena_keep(a, found.rows[i].name);
        if (!found.rows[i].name.p)
            e = fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    }
    if (!e)
        *out = (struct limits_page){all_limit(s), found.rows, found.count, more};
    return e;
}

static err write_limit(struct store *s, const struct limit_view *v, int64_t tat_ms,
                       struct fault *f)
{
    return db_run(s->db, SQL_LIMIT_SET, f, DB_I(v->scope), DB_T(v->name.n ? v->name : SPAN("")),
                  DB_I(v->max_active), DB_I(v->weight), DB_I(v->emit_ms), DB_I(v->burst),
                  DB_I(tat_ms));
}

static int64_t or_old(int64_t wanted, int64_t old)
{
    return wanted == LANE_UNCHANGED ? old : wanted;
}

static err set_all(struct store *s, const struct limit_view *limit, struct fault *f)
{
    struct limit_view v = {.scope = LIMIT_ALL, .burst = 1};
    v.max_active = or_old(limit->max_active, s->lanes.active_set);
    err e = write_limit(s, &v, 0, f);
    if (e)
        return e;
    s->lanes.active_set = v.max_active;
    s->lanes.active_max = v.max_active ? v.max_active : s->limits.active_max;
    return E_OK;
}

static err set_tenant(struct store *s, const struct limit_view *limit, struct fault *f)
{
    struct store_tenant *t = lanes_tenant(s, limit->name);
    struct limit_view v = {.scope = LIMIT_TENANT, .name = limit->name, .burst = 1};
    v.max_active = or_old(limit->max_active, t->max_active);
    v.weight = or_old(limit->weight, t->weight);
    v.weight = v.weight ? v.weight : TENANT_WEIGHT;
    err e = write_limit(s, &v, 0, f);
    if (e)
        return e;
    t->max_active = v.max_active;
    t->weight = v.weight;
    lanes_tenant_changed(s, t);
    return E_OK;
}

static err set_site(struct store *s, const struct limit_view *limit, wall now, struct fault *f)
{
    struct store_site *t = lanes_site(s, limit->name);
    struct limit_view v = {.scope = LIMIT_SITE, .name = limit->name};
    v.max_active = or_old(limit->max_active, t->max_active);
    v.emit_ms = or_old(limit->emit_ms, t->emit_ms);
    v.burst = or_old(limit->burst, t->burst);
    err e = write_limit(s, &v, t->tat_ms, f);
    if (e)
        return e;
    t->max_active = v.max_active;
    t->emit_ms = v.emit_ms;
    t->burst = v.burst;
    lanes_site_changed(s, t, now.ms);
    return E_OK;
}

/* What was sent stays counted, as far as the new rate can owe: another burst is no new start. */
static err webhook_tat(struct store *s, const struct limit_view *v, wall now, int64_t *out,
                       struct fault *f)
{
    struct query *q;
    *out = 0;
    err e = db_ask(s->db, SQL_LIMIT_TAT_OF, &q, f, DB_I(LIMIT_WEBHOOK), DB_T(v->name));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e)
        *out = limit_tat_under(db_int(q, 0), v->emit_ms, v->burst, now.ms);
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err set_webhook(struct store *s, const struct limit_view *limit, wall now,
                       struct fault *f)
{
    struct limit_view v = {0};
    size_t n = 0;
    int64_t tat_ms;
    err e = webhooks_limits(s, limit->name, NULL, &v, 1, &n, f);
    if (!e && n == 0)
        e = delivery_no_webhook(f);
    if (e)
        return e;
    v.max_active = or_old(limit->max_active, v.max_active);
    v.emit_ms = or_old(limit->emit_ms, v.emit_ms);
    v.burst = or_old(limit->burst, v.burst);
    e = webhook_tat(s, &v, now, &tat_ms, f);
    return e ? e : write_limit(s, &v, tat_ms, f);
}

/* Memory follows the row at once; when the group is lost after that, the limits are read again. */
err sqlite_limit_set(struct store *s, const struct limit_view *limit, wall now, struct fault *f)
{
    err e = store_usable(s, f);
    if (!e)
        e = asked_limit(limit, f);
    if (e)
        return e;
    s->limits_changed = true;
    switch (limit->scope) {
    case LIMIT_ALL:
        e = set_all(s, limit, f);
        break;
    case LIMIT_TENANT:
        e = set_tenant(s, limit, f);
        break;
    case LIMIT_SITE:
        e = set_site(s, limit, now, f);
        break;
    case LIMIT_WEBHOOK:
        e = set_webhook(s, limit, now, f);
        break;
    case LIMIT_SCOPES:
        bug("unknown scope");
    }
    if (e)
        return e;
    struct json_w w = event_open(s);
    json_kv_cstr(&w, "scope", asked_scope(limit->scope));
    json_kv_text(&w, "name", limit->name);
    return event_add(s, "", "limit.changed", now, &w, f);
}
