/* breakers.c - what keeps work from starting for a time, of all kinds in one list: queues, sites, login sessions,
 * webhooks, the store. Each is read from where it is kept; a site is all its queues, seen and set as one.
 *
 * The list goes through the kinds one after the other, those that are few first. */
#include "api/breaker_view.h"
#include "api/inside.h"
#include "api/view.h"

#include "base/need.h"

enum {
    LIST_LIMIT = 50,
    LIST_MAX = 200,
    SITES_MOST = 256,
    STEP_LANES = 100,
    STEP_ARENA = 1 << 20,
};

void breakers_put_lane(struct json_w *w, const struct lane_view *lane)
{
    struct breaker_view one;
    breaker_of_lane(&one, lane);
    view_breaker(w, &one);
}

static void answer_one(struct call *c, const struct breaker_view *one)
{
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    view_breaker(&w, one);
    buf_add_char(&body, '\n');
    answer_json(c->request, 200, &body, NULL);
}

/* ---- sites: a walk over their queues ---- */

struct site_walk {
    struct span only; /* empty: all */
    struct breaker_view *sites;
    size_t count;
    char at[LANE_NAME]; /* the last queue that was looked at */
    bool ended;
    void (*then)(struct call *c); /* with c->more as it was, in `more` */
    void *more;
};

static struct breaker_view *site_of(struct site_walk *walk, struct span name)
{
    char key[BREAKER_KEY];
    snprintf(key, sizeof key, "sites/%.*s", SP(span_cut(name, 0, LANE_WORD_MAX)));
    for (size_t i = 0; i < walk->count; i++)
        if (strcmp(walk->sites[i].key, key) == 0)
            return &walk->sites[i];
    if (walk->count == SITES_MOST)
        return NULL;
    breaker_of_site(&walk->sites[walk->count], name);
    return &walk->sites[walk->count++];
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct breaker_view *)a)->key, ((const struct breaker_view *)b)->key);
}

/* The next queues that a query finds, in an arena of their own: there may be very many, one step after the other.
 * at: the last one that was looked at. */
static err next_lanes(struct store *s, struct lanes_query q, char at[LANE_NAME],
                      bool *out_ended, wall now,
                      err (*each)(struct store *s, void *ctx, const struct lane_view *lane,
                                  wall now, struct fault *f),
                      void *ctx, struct fault *f)
{
    struct arena *own = arena_new(STEP_ARENA);
    struct lane_view *lanes;
    struct span next;
    size_t count = 0;
    q.after = span_of(at);
    q.limit = STEP_LANES;
    err e = store_lanes(s, &q, now, own, &lanes, &count, &next, f);
    for (size_t i = 0; !e && i < count; i++)
        e = each(s, ctx, &lanes[i], now, f);
    if (!e) {
        *out_ended = next.n == 0;
        span_copy(next, at, LANE_NAME);
    }
    arena_free(&own);
    return e;
}

static err add_to_site(struct store *s, void *ctx, const struct lane_view *lane, wall now,
                       struct fault *f)
{
    struct breaker_view *site = site_of(ctx, lane->site);
    (void)s;
    (void)now;
    (void)f;
    if (site)
        breaker_add_lane(site, lane);
    return E_OK;
}

/* Of queues that counted something lately, or are not closed: all others say nothing. */
static err run_walk(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct site_walk *walk = args;
    (void)a;
    return next_lanes(s, (struct lanes_query){.site = walk->only, .counting = true}, walk->at,
                      &walk->ended, now, add_to_site, walk, f);
}

static void on_walked(struct call *c)
{
    struct site_walk *walk = c->more;
    if (call_failed(c))
        return;
    if (!walk->ended) {
        call_work(c, STORE_WRITE, run_walk, walk, on_walked);
        return;
    }
    qsort(walk->sites, walk->count, sizeof *walk->sites, by_key);
    walk->then(c);
}

static void walk_sites(struct call *c, struct span only, void (*then)(struct call *c))
{
    struct site_walk *walk = arena_new_of(c->op.arena, struct site_walk);
    const struct packs *packs = c->api->config.packs;
    *walk =
        (struct site_walk){.only = only,
                           .sites = arena_get(c->op.arena, SITES_MOST * sizeof *walk->sites),
                           .then = then,
                           .more = c->more};
    for (size_t i = 0; i < packs->count; i++)
        if (!only.n || span_eq(only, pack_name(packs->pack[i])))
            (void)site_of(walk, pack_name(packs->pack[i]));
    c->more = walk;
    call_work(c, STORE_WRITE, run_walk, walk, on_walked);
}

/* ---- the list ---- */

struct breaker_list {
    int kind, state;         /* −1: any */
    bool all;                /* also those that are simply closed */
    char after[BREAKER_KEY]; /* empty: from the first */
    size_t limit, count;
    struct breaker_view *found; /* one more than limit: is there a next page? */
    struct session_view *sessions;
    struct webhook_view *webhooks;
    size_t session_count, webhook_count;
};

static bool is_full(const struct breaker_list *l)
{
    return l->count > l->limit;
}

/* Keys of queues have two slashes, all others one at most. */
static bool begins_at_queues(const struct breaker_list *l)
{
    size_t slashes = 0;
    for (const char *c = l->after; *c; c++)
        slashes += *c == '/';
    return slashes > 1;
}

static enum breaker_kind kind_of(struct span key)
{
    if (span_is(key, "store"))
        return BREAKER_OF_STORE;
    if (span_starts(key, SPAN("sites/")))
        return BREAKER_OF_SITE;
    return span_starts(key, SPAN("sessions/")) ? BREAKER_OF_SESSION : BREAKER_OF_WEBHOOK;
}

/* Whether it stands behind what was seen last: kinds in their order, then names. */
static bool is_behind(const struct breaker_list *l, const struct breaker_view *b)
{
    if (!l->after[0])
        return true;
    enum breaker_kind last = kind_of(span_of(l->after));
    return b->kind != last ? b->kind > last : strcmp(b->key, l->after) > 0;
}

static bool wants_kind(const struct breaker_list *l, enum breaker_kind kind)
{
    return l->kind < 0 || l->kind == (int)kind;
}

static bool wants(const struct breaker_list *l, const struct breaker_view *b)
{
    if (l->state >= 0)
        return (int)b->state == l->state;
    return l->all || b->troubled;
}

static void add(struct breaker_list *l, const struct breaker_view *b)
{
    if (!is_full(l) && wants_kind(l, b->kind) && wants(l, b) &&
        (b->kind == BREAKER_OF_QUEUE || is_behind(l, b)))
        l->found[l->count++] = *b;
}

static void answer_found(struct call *c, const struct breaker_list *l)
{
    struct buf body = answer_buf();
    struct json_w w = view_list(&body);
    for (size_t i = 0; i < l->count && i < l->limit; i++)
        view_breaker(&w, &l->found[i]);
    answer_list(c->request, 200, &body, &w, l->limit,
                is_full(l) ? span_of(l->found[l->limit - 1].key) : SPAN_NONE);
}

static void on_queues(struct call *c)
{
    struct breaker_list *l = c->more;
    if (call_failed(c))
        return;
    for (size_t i = 0; i < c->op.out.lanes.count; i++) {
        struct breaker_view one;
        breaker_of_lane(&one, &c->op.out.lanes.lanes[i]);
        add(l, &one);
    }
    if (is_full(l) || !c->op.out.lanes.next.n) {
        answer_found(c, l);
        return;
    }
    c->op.in.lanes.after = c->op.out.lanes.next;
    call_post(c, STORE_LANES, on_queues);
}

static void list_queues(struct call *c)
{
    struct breaker_list *l = c->more;
    if (is_full(l) || !wants_kind(l, BREAKER_OF_QUEUE)) {
        answer_found(c, l);
        return;
    }
    bool some = !l->all && l->state != BREAKER_CLOSED;
    c->op.in.lanes =
        (struct lanes_query){.after = begins_at_queues(l) ? span_of(l->after) : SPAN_NONE,
                             .breakers = some,
                             .limit = l->limit + 1 - l->count};
    call_post(c, STORE_LANES, on_queues);
}

static err run_others(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct breaker_list *l = args;
    err e = E_OK;
    if (wants_kind(l, BREAKER_OF_SESSION))
        e = store_sessions(s, SPAN_NONE, SPAN_NONE, now, a, &l->sessions, &l->session_count, f);
    if (!e && wants_kind(l, BREAKER_OF_WEBHOOK))
        e = store_webhooks(s, a, &l->webhooks, &l->webhook_count, f);
    return e;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct session_view *)a)->id, ((const struct session_view *)b)->id);
}

static void on_others(struct call *c)
{
    struct breaker_list *l = c->more;
    struct breaker_view one;
    wall now = store_thread_now(c->api->store);
    if (call_failed(c))
        return;
    if (l->session_count)
        qsort(l->sessions, l->session_count, sizeof *l->sessions, by_id);
    for (size_t i = 0; i < l->session_count; i++) {
        breaker_of_session(&one, &l->sessions[i], now);
        add(l, &one);
    }
    for (size_t i = 0; i < l->webhook_count; i++) {
        breaker_of_webhook(&one, &l->webhooks[i], now);
        add(l, &one);
    }
    list_queues(c);
}

static void list_others(struct call *c)
{
    const struct breaker_list *l = c->more;
    if (is_full(l) ||
        (!wants_kind(l, BREAKER_OF_SESSION) && !wants_kind(l, BREAKER_OF_WEBHOOK)))
        list_queues(c);
    else
        call_work(c, STORE_READ, run_others, c->more, on_others);
}

static void on_sites(struct call *c)
{
    const struct site_walk *walk = c->more;
    c->more = walk->more;
    for (size_t i = 0; i < walk->count; i++)
        add(c->more, &walk->sites[i]);
    list_others(c);
}

static void store_now(struct call *c, struct breaker_view *out)
{
    struct store_trouble trouble;
    store_thread_trouble(c->api->store, &trouble);
    breaker_of_store(out, &trouble);
}

/* A query parameter that is one of these names; *out is its place. False: answered 400. */
static bool query_name(struct call *c, const char *name, const char *const *names, int *out)
{
    struct span text;
    struct buf known = BUF(256);
    if (!request_query(c->request, name, &text))
        return true;
    for (int i = 0; names[i]; i++) {
        if (span_is(text, names[i]))
            *out = i;
        buf_fmt(&known, "%s%s", i ? ", " : "", names[i]);
    }
    if (*out < 0)
        answer_problem(c->request, 400, "bad_parameter", "%s must be one of %.*s", name,
                       SP(buf_span(&known)));
    buf_free(&known);
    return *out >= 0;
}

void breakers_list(struct api *a, struct request *r, struct span id)
{
    int64_t limit = LIST_LIMIT;
    struct span after;
    struct breaker_view store;
    struct call *c = call_new(a, r, id);
    struct breaker_list *l = arena_new_of(c->op.arena, struct breaker_list);
    *l = (struct breaker_list){.kind = -1, .state = -1};
    if (!query_number(r, "limit", 1, LIST_MAX, &limit) ||
        !query_name(c, "kind", breaker_kind_names, &l->kind) ||
        !query_name(c, "state", breaker_state_names, &l->state) ||
        !query_flag(r, "all", &l->all))
        return;
    if (request_query(r, "after", &after))
        span_copy(after, l->after, sizeof l->after);
    l->limit = (size_t)limit;
    l->found = arena_get(c->op.arena, (l->limit + 1) * sizeof *l->found);
    c->more = l;
    if (begins_at_queues(l)) {
        list_queues(c);
        return;
    }
    store_now(c, &store);
    add(l, &store);
    if (wants_kind(l, BREAKER_OF_SITE))
        walk_sites(c, SPAN_NONE, on_sites);
    else
        list_others(c);
}

/* ---- the store ---- */

void breakers_store(struct api *a, struct request *r, struct span id)
{
    struct breaker_view store;
    struct call *c = call_new(a, r, id);
    store_now(c, &store);
    answer_one(c, &store);
}

void breakers_store_act(struct api *a, struct request *r, struct span id)
{
    (void)a;
    (void)id;
    answer_problem(
        r, 409, "conflict_state",
        "the store is not held by hand: it works again when what is wrong with it is "
        "mended; to stop jobs use PUT /v1/mode");
}

/* ---- one site ---- */

struct site_act {
    struct span site;
    struct lane_change change;
    int64_t ttl_s, count, done; /* queues so far; of them those whose transaction is done */
    char at[LANE_NAME];
    bool dry, ended;
};

static void on_site(struct call *c)
{
    const struct site_walk *walk = c->more;
    answer_one(c, &walk->sites[0]);
}

/* NULL: answered. */
static struct call *site_call(struct api *a, struct request *r, struct span site)
{
    if (api_knows_site(a, site)) {
        struct call *c = call_new(a, r, SPAN_NONE);
        c->kept = arena_keep(c->op.arena, site);
        return c;
    }
    answer_problem(r, 404, "not_found", "there is no site pack of this name");
    return NULL;
}

void breakers_site(struct api *a, struct request *r, struct span site)
{
    struct call *c = site_call(a, r, site);
    if (c)
        walk_sites(c, c->kept, on_site);
}

static err act_on_lane(struct store *s, void *ctx, const struct lane_view *lane, wall now,
                       struct fault *f)
{
    struct site_act *act = ctx;
    act->count++;
    act->change.name = lane->name;
    return act->dry ? E_OK : store_lane_change(s, &act->change, now, f);
}

/* Some queues in one transaction; others are let in between. */
static err run_site(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct site_act *act = args;
    (void)a;
    err e = next_lanes(s, (struct lanes_query){.site = act->site}, act->at, &act->ended, now,
                       act_on_lane, act, f);
    act->done = e ? act->done : act->count;
    return e;
}

static void on_site_act(struct call *c)
{
    struct site_act *act = c->more;
    static const char *const names[] = {[LANE_ACT_BREAKER_OPEN] = "open",
                                        [LANE_ACT_BREAKER_CLOSE] = "close",
                                        [LANE_ACT_BREAKER_RESET] = "reset"};
    char also[120] = "";
    if (act->done > 0 && !act->dry)
        snprintf(also, sizeof also,
                 "; %lld queues of the site are done: ask again, it does all of them",
                 (long long)act->done);
    if (call_failed_also(c, also))
        return;
    if (!act->ended)
        call_work(c, STORE_WRITE, run_site, act, on_site_act);
    else if (act->dry)
        answer_dry_run(c->request, names[act->change.act], act->count, true);
    else
        walk_sites(c, c->kept, on_site);
}

static void act_on_site(struct api *a, struct request *r, struct span site, enum lane_act what)
{
    bool held = what != LANE_ACT_BREAKER_RESET;
    struct call *c = site_call(a, r, site);
    if (!c)
        return;
    struct site_act *act = arena_new_of(c->op.arena, struct site_act);
    *act = (struct site_act){.site = c->kept, .ttl_s = QUEUES_TTL_S};
    if (!query_dry_run(r, &act->dry) || !queues_read_note(c, held, held ? &act->ttl_s : NULL))
        return;
    act->change = c->change;
    act->change.act = what;
    if (held)
        act->change.hold_ms = act->ttl_s * 1000;
    c->more = act;
    call_work(c, STORE_WRITE, run_site, act, on_site_act);
}

void breakers_site_open(struct api *a, struct request *r, struct span site)
{
    act_on_site(a, r, site, LANE_ACT_BREAKER_OPEN);
}

void breakers_site_close(struct api *a, struct request *r, struct span site)
{
    act_on_site(a, r, site, LANE_ACT_BREAKER_CLOSE);
}

void breakers_site_reset(struct api *a, struct request *r, struct span site)
{
    act_on_site(a, r, site, LANE_ACT_BREAKER_RESET);
}

/* ---- sessions, webhooks ---- */

struct hand_call {
    struct hand_change change;
    struct session_view session;
    struct webhook_view webhook;
};

static err look(struct store *s, struct hand_call *h, struct arena *a, wall now,
                struct fault *f)
{
    return h->change.of == HAND_OF_SESSION
               ? store_session(s, h->change.key, now, &h->session, f)
               : store_webhook(s, h->change.key, a, &h->webhook, f);
}

static err run_look(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    return look(s, args, a, now, f);
}

static err run_hand(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct hand_call *h = args;
    err e = store_hand(s, &h->change, now, f);
    return e ? e : look(s, h, a, now, f);
}

static void on_looked(struct call *c)
{
    const struct hand_call *h = c->more;
    struct breaker_view one;
    wall now = store_thread_now(c->api->store);
    if (call_failed(c))
        return;
    if (h->change.of == HAND_OF_SESSION)
        breaker_of_session(&one, &h->session, now);
    else
        breaker_of_webhook(&one, &h->webhook, now);
    answer_one(c, &one);
}

static void on_hand(struct call *c)
{
    const struct hand_call *h = c->more;
    if (!c->op.result && h->change.of == HAND_OF_WEBHOOK && c->api->config.webhook_changed)
        c->api->config.webhook_changed(c->api->config.ctx);
    on_looked(c);
}

static struct call *hand_begin(struct api *a, struct request *r, enum hand_of of,
                               struct span key)
{
    struct call *c = call_new(a, r, SPAN_NONE);
    struct hand_call *h = arena_new_of(c->op.arena, struct hand_call);
    h->change = (struct hand_change){.of = of, .key = arena_keep(c->op.arena, key)};
    c->more = h;
    return c;
}

static void show_hand(struct api *a, struct request *r, enum hand_of of, struct span key)
{
    struct call *c = hand_begin(a, r, of, key);
    call_work(c, STORE_READ, run_look, c->more, on_looked);
}

static void act_by_hand(struct api *a, struct request *r, enum hand_of of, struct span key,
                        enum hand_act act)
{
    int64_t ttl_s = QUEUES_TTL_S;
    struct call *c = hand_begin(a, r, of, key);
    struct hand_call *h = c->more;
    if (!queues_read_note(c, act != HAND_RESET, act == HAND_OPEN ? &ttl_s : NULL))
        return;
    h->change.act = act;
    h->change.by = c->change.by;
    h->change.why = c->change.why;
    if (act == HAND_OPEN)
        h->change.hold_ms = ttl_s * 1000;
    call_work(c, STORE_WRITE, run_hand, h, on_hand);
}

void breakers_session(struct api *a, struct request *r, struct span name)
{
    show_hand(a, r, HAND_OF_SESSION, name);
}

void breakers_session_open(struct api *a, struct request *r, struct span name)
{
    act_by_hand(a, r, HAND_OF_SESSION, name, HAND_OPEN);
}

void breakers_session_close(struct api *a, struct request *r, struct span name)
{
    act_by_hand(a, r, HAND_OF_SESSION, name, HAND_CLOSE);
}

void breakers_session_reset(struct api *a, struct request *r, struct span name)
{
    act_by_hand(a, r, HAND_OF_SESSION, name, HAND_RESET);
}

void breakers_webhook(struct api *a, struct request *r, struct span id)
{
    show_hand(a, r, HAND_OF_WEBHOOK, id);
}

void breakers_webhook_open(struct api *a, struct request *r, struct span id)
{
    act_by_hand(a, r, HAND_OF_WEBHOOK, id, HAND_OPEN);
}

void breakers_webhook_close(struct api *a, struct request *r, struct span id)
{
    act_by_hand(a, r, HAND_OF_WEBHOOK, id, HAND_CLOSE);
}

void breakers_webhook_reset(struct api *a, struct request *r, struct span id)
{
    act_by_hand(a, r, HAND_OF_WEBHOOK, id, HAND_RESET);
}
