/* limits.c - limits above lanes, which of them wins, and what the service as a whole does. */
#include "api/breaker_view.h"
#include "api/caps.h"
#include "api/inside.h"
#include "api/lane_view.h"
#include "api/terms.h"
#include "api/view.h"

#include "core/webhook.h"
#include "net/fetch.h"
#include "os/clock.h"

enum {
    RUNNING_MAX = 1000000,
    WEIGHT = 100,
    WEIGHT_MAX = 10000,
    BURST_MAX = 10000,
    EVERY_MAX_MS = 86400000
};

/* ---- limits ---- */

static const char *const scope_words[LIMIT_SCOPES] = {"all", "tenants", "sites", "webhooks"};

/* Of a page: what is on it is seen together. */
static uint64_t limits_digest(const struct limits_page *page)
{
    uint64_t h = page->count;
    for (size_t i = 0; i <= page->count; i++) {
        const struct limit_view *l = i ? &page->rows[i - 1] : &page->all;
        const int64_t set[] = {(int64_t)l->scope, l->max_active, l->weight, l->emit_ms,
                               l->burst};
        h = span_hash((struct span){(const char *)set, sizeof set}, span_hash(l->name, h));
    }
    return h;
}

/* "tenants/nasa": the place of a limit, behind which a page begins. Empty: the first page. */
static void place_add(struct buf *out, const struct limits_query *q)
{
    if (q->scope != LIMIT_ALL)
        buf_fmt(out, "%s/%.*s", scope_words[q->scope], SP(q->name));
}

static bool place_read(struct span text, struct limits_query *out)
{
    size_t slash = span_find_char(text, '/');
    out->scope = LIMIT_ALL;
    out->name = SPAN("");
    if (!text.n)
        return true;
    out->name = span_cut(text, slash + 1, text.n);
    for (int scope = LIMIT_TENANT; scope < LIMIT_SCOPES; scope++)
        if (span_is(span_cut(text, 0, slash), scope_words[scope]))
            out->scope = (enum limit_scope)scope;
    return out->scope != LIMIT_ALL && lane_word_is_plain(out->name);
}

/* "l1000.tenants/nasa.d00112233": which page it is of, and what was on it. A change under it is held against that page. */
static struct span tag_of(struct arena *a, const struct limits_query *q,
                          const struct limits_page *page)
{
    char digest[VIEW_TAG];
    struct buf place = BUF(LANE_NAME + 32);
    struct span seen = span_of(view_digest_tag(limits_digest(page), digest));
    place_add(&place, q);
    struct span tag =
        span_of(arena_fmt(a, "\"l%zu.%.*s.%.*s", q->limit, SP(buf_span(&place)),
                          SP(span_cut(seen, 1, seen.n)))); /* without its first quote */
    buf_free(&place);
    return tag;
}

/* The question that a tag answers; false: it is none of ours. */
static bool tag_read(struct span tag, struct limits_query *out)
{
    struct span rest = span_cut(tag, 2, tag.n);
    size_t first = span_find_char(rest, '.');
    int64_t limit = 0;
    *out = (struct limits_query){0};
    if (!span_is(span_cut(tag, 0, 2), "\"l") || !span_int(span_cut(rest, 0, first), &limit) ||
        limit < 1 || limit > LIMITS_PAGE)
        return false;
    rest = span_cut(rest, first + 1, rest.n);
    out->limit = (size_t)limit;
    return place_read(span_cut(rest, 0, span_find_char(rest, '.')), out);
}

/* Whether a limit is on this page, or would be if it were there. */
static bool page_has(const struct limits_query *q, const struct limits_page *page,
                     const struct limit_view *limit)
{
    const struct limit_view *last = page->count ? &page->rows[page->count - 1] : NULL;
    int behind = limit_order(limit->scope, limit->name, q->scope, q->name);
    if (limit->scope == LIMIT_ALL)
        return true;
    return (behind > 0 || (q->with && behind == 0)) &&
           (!page->more ||
            (last && limit_order(limit->scope, limit->name, last->scope, last->name) <= 0));
}

static void put_limits(struct json_w *w, enum limit_scope scope, const struct call *c)
{
    const struct limits_page *page = &c->op.out.limits;
    json_key(w, scope_words[scope]);
    json_open_array(w);
    for (size_t i = 0; i < page->count; i++)
        if (page->rows[i].scope == scope)
            view_limit(w, &page->rows[i]);
    json_close_array(w);
}

static void put_page(struct json_w *w, const struct limits_query *q,
                     const struct limits_page *page)
{
    struct buf next = BUF(LANE_NAME + 32);
    if (page->more) {
        const struct limit_view *last = &page->rows[page->count - 1];
        place_add(&next, &(struct limits_query){.scope = last->scope, .name = last->name});
    }
    json_key(w, "page");
    json_open(w);
    json_kv_int(w, "limit", (int64_t)q->limit);
    json_kv_bool(w, "has_more", page->more);
    json_kv_text(w, "next_after", next.n ? buf_span(&next) : SPAN_NONE);
    json_close(w);
    buf_free(&next);
}

/* Of the configuration: they are not set here. */
static void put_domains(struct json_w *w, const struct domain_rules *rules)
{
    json_key(w, "domains");
    json_open_array(w);
    for (size_t i = 0; rules && i < rules->count; i++) {
        json_open(w);
        json_kv_text(w, "domain", rules->rule[i].pattern);
        json_kv_int(w, "every_ms", rules->rule[i].every_ms);
        json_close(w);
    }
    json_close_array(w);
}

static void answer_limits(struct call *c)
{
    const struct limits_query *q = &c->op.in.limits;
    const struct limits_page *page = &c->op.out.limits;
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    json_open(&w);
    json_kv_cstr(&w, "object", "limits");
    json_key(&w, "all");
    view_limit(&w, &page->all);
    put_limits(&w, LIMIT_TENANT, c);
    put_limits(&w, LIMIT_SITE, c);
    put_limits(&w, LIMIT_WEBHOOK, c);
    put_domains(&w, c->api->config.domains);
    json_key(&w, "requests");
    caps_put(&w, c->api);
    put_page(&w, q, page);
    json_close(&w);
    buf_add_char(&body, '\n');
    struct span tag = tag_of(c->op.arena, q, page);
    answer_json(c->request, 200, &body, (const char *const[]){"ETag", tag.p, NULL});
}

static void on_limits(struct call *c)
{
    if (!call_failed(c))
        answer_limits(c);
}

static void ask_limits(struct call *c, const struct limits_query *q,
                       void (*then)(struct call *c))
{
    c->op.in.limits = *q;
    call_post(c, STORE_LIMITS, then);
}

void limits_show(struct api *a, struct request *r, struct span id)
{
    int64_t limit = LIMITS_PAGE;
    struct span after = SPAN("");
    struct limits_query q;
    struct call *c = call_new(a, r, id);
    if (!query_number(r, "limit", 1, LIMITS_PAGE, &limit))
        return;
    (void)request_query(r, "after", &after);
    if (!place_read(arena_keep(c->op.arena, after), &q)) {
        answer_problem(r, 400, "bad_parameter",
                       "after must be the page.next_after of the page before, such as "
                       "tenants/press");
        return;
    }
    q.limit = (size_t)limit;
    q.with = false;
    ask_limits(c, &q, on_limits);
}

/* The page that begins with it, when it is not on the first one. */
static void on_set_seen(struct call *c)
{
    if (call_failed(c))
        return;
    if (page_has(&c->op.in.limits, &c->op.out.limits, &c->limit))
        answer_limits(c);
    else
        ask_limits(c,
                   &(struct limits_query){.scope = c->limit.scope,
                                          .name = c->limit.name,
                                          .with = true,
                                          .limit = LIMITS_PAGE},
                   on_limits);
}

static void on_set(struct call *c)
{
    if (!c->op.result && c->limit.scope == LIMIT_WEBHOOK && c->api->config.webhook_changed)
        c->api->config.webhook_changed(c->api->config.ctx);
    if (!call_failed(c))
        ask_limits(c, &(struct limits_query){.name = SPAN(""), .limit = LIMITS_PAGE},
                   on_set_seen);
}

static bool read_limit(struct body *b, struct json_parser *parser, struct span text,
                       struct limit_view *out)
{
    static const char *const of_all[] = {"max_running", NULL};
    static const char *const of_tenant[] = {"max_running", "weight", NULL};
    static const char *const of_site[] = {"max_running", "rate", NULL};
    static const char *const *const members[] = {of_all, of_tenant, of_site, of_site};
    static const char *const rates[] = {"every_ms", "burst", NULL};
    struct json root, rate;
    if (!body_read(b, parser, text, false, members[out->scope], &root))
        return false;
    body_number(b, root, "", "max_running", 0,
                out->scope == LIMIT_WEBHOOK ? WEBHOOK_AT_ONCE_MOST : RUNNING_MAX,
                &out->max_active);
    body_number(b, root, "", "weight", 1, WEIGHT_MAX, &out->weight);
    if (body_given(root, "rate", &rate) && json_is(rate, JSON_OBJECT)) {
        body_members(b, rate, "/rate", rates);
        body_number(b, rate, "/rate", "every_ms", 0, EVERY_MAX_MS, &out->emit_ms);
        body_number(b, rate, "/rate", "burst", 1, BURST_MAX, &out->burst);
    } else if (rate.doc && !json_is(rate, JSON_NULL)) {
        body_refuse(b, SPAN("/rate"), "type",
                    "must be an object such as {\"every_ms\":2000,\"burst\":1}");
    }
    return body_fine(b);
}

/* E_STALE: the page that the client saw is another one now, or the limit is not on it. */
static err check_seen(struct store *s, struct span tag, const struct limit_view *limit,
                      struct arena *a, struct fault *f)
{
    struct limits_query q;
    struct limits_page page;
    if (!tag.n)
        return E_OK;
    if (!tag_read(tag, &q))
        return fail(
            f, E_STALE,
            "this If-Match is not the ETag of a list of limits; ask for GET /v1/limits, "
            "or send If-Match: *");
    err e = store_limits(s, &q, a, &page, f);
    if (e)
        return e;
    if (!page_has(&q, &page, limit))
        return fail(
            f, E_STALE,
            "this If-Match is of a page of limits that %.*s is not on; send the ETag of "
            "the page that it is on, or If-Match: *",
            SP(limit->name));
    struct span now = tag_of(a, &q, &page);
    return span_eq(tag, now) ? E_OK
                             : fail(f, E_STALE,
                                    "the list of limits was changed meanwhile: its ETag is "
                                    "%.*s now",
                                    SP(now));
}

static err run_limit(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    const struct call *c = args;
    err e = check_seen(s, c->match, &c->limit, a, f);
    return e ? e : store_limit_set(s, &c->limit, now, f);
}

/* PATCH changes what is named; PUT: what is not goes back to no limit. */
static void set_one(struct api *a, struct request *r, enum limit_scope scope, struct span name)
{
    bool patch = span_is(r->method, "PATCH");
    if (!body_is_json(r))
        return;
    struct call *c = call_new(a, r, SPAN_NONE);
    struct order_refusal refusal = {0};
    if (!if_match_digest(r, "list of limits", c->op.arena, &c->match))
        return;
    c->limit = (struct limit_view){.scope = scope,
                                   .name = arena_keep(c->op.arena, name.p ? name : SPAN("")),
                                   .max_active = patch ? LANE_UNCHANGED : 0,
                                   .weight = patch ? LANE_UNCHANGED : WEIGHT,
                                   .emit_ms = patch ? LANE_UNCHANGED : 0,
                                   .burst = patch ? LANE_UNCHANGED : 1};
    if (!read_limit(&(struct body){&refusal, c->op.arena}, a->json, r->body, &c->limit)) {
        answer_refusal(r, &refusal);
        return;
    }
    call_work(c, STORE_WRITE, run_limit, c, on_set);
}

void limits_set_all(struct api *a, struct request *r, struct span id)
{
    set_one(a, r, LIMIT_ALL, id);
}

void limits_set_tenant(struct api *a, struct request *r, struct span name)
{
    set_one(a, r, LIMIT_TENANT, name);
}

void limits_set_site(struct api *a, struct request *r, struct span name)
{
    if (api_knows_site(a, name))
        set_one(a, r, LIMIT_SITE, name);
    else
        answer_problem(r, 404, "not_found", "there is no site pack of this name");
}

void limits_set_webhook(struct api *a, struct request *r, struct span id)
{
    set_one(a, r, LIMIT_WEBHOOK, id);
}

/* ---- GET /v1/limits/effective ---- */

static void on_bounds(struct call *c)
{
    struct api_status status = {0};
    if (call_failed(c))
        return;
    c->api->config.status(c->api->config.ctx, &status);
    int64_t workers = status.workers_idle + status.workers_busy + status.workers_starting;
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    view_bounds(&w, c->kept, &c->op.out.bounds, workers);
    buf_add_char(&body, '\n');
    answer_json(c->request, 200, &body, NULL);
}

/* Of a webhook: its own limit, or what holds where it has none. */
struct hook_bounds {
    struct span id;
    struct limit_view limit;
    struct webhook_view hook;
};

static err run_hook_bounds(struct store *s, void *args, struct arena *a, wall now,
                           struct fault *f)
{
    struct hook_bounds *b = args;
    struct limits_page page = {0};
    (void)now;
    err e = store_webhook(s, b->id, a, &b->hook, f);
    if (!e)
        e = store_limits(s,
                         &(struct limits_query){
                             .scope = LIMIT_WEBHOOK, .name = b->id, .with = true, .limit = 1},
                         a, &page, f);
    if (!e && page.count && span_eq(page.rows[0].name, b->id))
        b->limit = page.rows[0];
    return e;
}

static void on_hook_bounds(struct call *c)
{
    const struct hook_bounds *b = c->more;
    if (call_failed(c))
        return;
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    struct breaker_view breaker;
    breaker_of_webhook(&breaker, &b->hook, store_thread_now(c->api->store));
    view_hook_bounds(&w, &b->limit, b->hook.fails, &breaker);
    buf_add_char(&body, '\n');
    answer_json(c->request, 200, &body, NULL);
}

static bool stands_alone(struct request *r, bool both)
{
    struct span other;
    if (!both && !request_query(r, "tenant", &other) && !request_query(r, "site", &other) &&
        !request_query(r, "class", &other))
        return true;
    answer_problem(r, 400, "bad_parameter",
                   "webhook and domain stand alone: tenant, site and class are of a queue");
    return false;
}

static void effective_of_webhook(struct api *a, struct request *r, struct span webhook)
{
    struct call *c = call_new(a, r, SPAN_NONE);
    struct hook_bounds *b = arena_new_of(c->op.arena, struct hook_bounds);
    *b = (struct hook_bounds){.id = arena_keep(c->op.arena, webhook)};
    c->more = b;
    call_work(c, STORE_WRITE, run_hook_bounds, b, on_hook_bounds);
}

/* What holds for requests without a browser: the longest of what is configured for all and for this host. */
static void put_every(struct json_w *w, const char *key, int64_t usual_ms,
                      const struct domain_rule *rule, const char *setting)
{
    bool slower = rule && rule->every_ms > usual_ms;
    json_key(w, key);
    json_open(w);
    json_kv_int(w, "every_ms", slower ? rule->every_ms : usual_ms);
    json_kv_cstr(w, "wins", slower ? "fetch.domains" : setting);
    json_close(w);
}

static void effective_of_domain(struct api *a, struct request *r, struct span domain)
{
    const struct api_config *config = &a->config;
    const struct domain_rule *rule = domain_rule_of(config->domains, domain);
    if (!domain_host_valid(domain)) {
        answer_problem(r, 400, "bad_parameter",
                       "domain must be the name of a host, such as api.example.org");
        return;
    }
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    json_open(&w);
    json_kv_cstr(&w, "object", "effective_limits");
    json_kv_text(&w, "domain", domain);
    json_kv_text(&w, "rule", rule ? rule->pattern : SPAN_NONE);
    put_every(&w, "pages", config->fetch_every_ms, rule, "fetch.interval");
    put_every(&w, "media", config->media_every_ms, rule, "media.interval");
    json_kv_int(&w, "connections", FETCH_AT_ONCE);
    json_kv_int(&w, "next_in_ms",
                config->host_turn_ms ? config->host_turn_ms(config->ctx, domain) : 0);
    json_close(&w);
    buf_add_char(&body, '\n');
    answer_json(r, 200, &body, NULL);
}

/* "interactive", "normal-7": with the share of a site on many hosts. */
void limits_effective(struct api *a, struct request *r, struct span id)
{
    struct span webhook, domain;
    bool of_webhook = request_query(r, "webhook", &webhook),
         of_domain = request_query(r, "domain", &domain);
    if ((of_webhook || of_domain) && !stands_alone(r, of_webhook && of_domain))
        return;
    if (of_webhook || of_domain) {
        (of_webhook ? effective_of_webhook
                    : effective_of_domain)(a, r, of_webhook ? webhook : domain);
        return;
    }
    struct span tenant = SPAN("default"), site = SPAN("x"), class = SPAN("normal");
    struct lane_name parts;
    struct call *c = call_new(a, r, id);
    (void)request_query(r, "tenant", &tenant);
    (void)request_query(r, "site", &site);
    (void)request_query(r, "class", &class);
    c->kept =
        span_of(arena_fmt(c->op.arena, "%.*s/%.*s/%.*s", SP(tenant), SP(site), SP(class)));
    if (!lane_name_parse(c->kept, &parts)) {
        answer_problem(
            r, 400, "bad_parameter",
            "tenant and site must be words of letters, digits, _ and -, class interactive, normal, "
            "bulk or quarantine");
        return;
    }
    c->op.in.lane.name = c->kept;
    call_post(c, STORE_LANE_BOUNDS, on_bounds);
}

/* ---- /v1/mode ---- */

static uint64_t mode_digest(const struct mode_view *m)
{
    const int64_t set[] = {(int64_t)m->mode, m->since_ms};
    return span_hash((struct span){(const char *)set, sizeof set}, 1);
}

static void on_mode(struct call *c)
{
    if (call_failed(c))
        return;
    const struct mode_view *m = &c->op.out.mode;
    char when[WHEN_TEXT], tag[VIEW_TAG];
    bool unchanged = client_has(c->request, view_digest_tag(mode_digest(m), tag));
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    json_open(&w);
    json_kv_cstr(&w, "object", "mode");
    json_kv_cstr(&w, "mode", mode_name(m->mode));
    json_kv_text(&w, "by", m->by.n ? m->by : SPAN_NONE);
    json_kv_text(&w, "reason", m->why.n ? m->why : SPAN_NONE);
    json_kv_cstr(&w, "since", m->since_ms ? when_text_ms((wall){m->since_ms}, when) : NULL);
    json_key(&w, "effects");
    json_open(&w);
    json_kv_bool(&w, "takes_jobs", m->mode == MODE_NORMAL || m->mode == MODE_PAUSED);
    json_kv_bool(&w, "starts_jobs", m->mode == MODE_NORMAL || m->mode == MODE_DRAINING);
    json_close(&w);
    json_close(&w);
    buf_add_char(&body, '\n');
    answer_json(c->request, unchanged ? 304 : 200, &body,
                (const char *const[]){"ETag", tag, "Cache-Control", CACHE_ASKED, NULL});
}

void mode_show(struct api *a, struct request *r, struct span id)
{
    call_post(call_new(a, r, id), STORE_MODE, on_mode);
}

static void on_mode_set(struct call *c)
{
    if (!call_failed(c))
        call_post(c, STORE_MODE, on_mode);
}

struct mode_call {
    enum store_mode mode;
    struct span by, why, match;
};

static err run_mode(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    const struct mode_call *m = args;
    struct mode_view v;
    err e = store_mode_get(s, a, &v, f);
    if (!e)
        e = digest_matches(m->match, mode_digest(&v), "mode", f);
    return e ? e : store_mode_set(s, m->mode, m->by, m->why, now, f);
}

static bool read_mode(struct body *b, struct json_parser *parser, struct span text,
                      struct mode_call *out)
{
    static const char *const members[] = {"mode", "by", "reason", NULL};
    static const char *const names[] = {"normal", "paused", "draining", "maintenance", NULL};
    struct json root, v;
    int mode = MODE_NORMAL;
    if (!body_read(b, parser, text, false, members, &root))
        return false;
    if (!body_given(root, "mode", &v))
        body_refuse(b, SPAN("/mode"), "required", "normal, paused, draining or maintenance");
    body_choice(b, root, "", "mode", names, &mode);
    out->mode = (enum store_mode)mode;
    out->by = SPAN("api");
    out->why = SPAN_NONE;
    body_text(b, root, "", "by", LANE_NOTE, &out->by);
    body_text(b, root, "", "reason", LANE_NOTE, &out->why);
    if (mode != MODE_NORMAL && !body_given(root, "reason", &v))
        body_refuse(b, SPAN("/reason"), "required",
                    "say why: whoever finds it so wants to know");
    return body_fine(b);
}

void mode_put(struct api *a, struct request *r, struct span id)
{
    if (!body_is_json(r))
        return;
    struct call *c = call_new(a, r, id);
    struct order_refusal refusal = {0};
    struct mode_call *m = arena_new_of(c->op.arena, struct mode_call);
    c->ends_jobs = true; /* also on a full disk */
    if (!if_match_digest(r, "mode", c->op.arena, &m->match))
        return;
    if (read_mode(&(struct body){&refusal, c->op.arena}, a->json, r->body, m))
        call_work(c, STORE_WRITE, run_mode, m, on_mode_set);
    else
        answer_refusal(r, &refusal);
}
