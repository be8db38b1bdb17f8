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

/* Of all of them: they are seen together. */
static uint64_t limits_digest(const struct limit_view *limits, size_t count)
{
    uint64_t h = count;
    for (size_t i = 0; i < count; i++) {
        const struct limit_view *l = &limits[i];
        const int64_t set[] = {(int64_t)l->scope, l->max_active, l->weight, l->emit_ms,
                               l->burst};
        h = span_hash((struct span){(const char *)set, sizeof set}, span_hash(l->name, h));
    }
    return h;
}

static void put_limits(struct json_w *w, const char *key, enum limit_scope scope,
                       const struct call *c)
{
    json_key(w, key);
    json_open_array(w);
    for (size_t i = 0; i < c->op.out.limits.count; i++)
        if (c->op.out.limits.limits[i].scope == scope)
            view_limit(w, &c->op.out.limits.limits[i]);
    json_close_array(w);
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

static void on_limits(struct call *c)
{
    if (call_failed(c))
        return;
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    json_open(&w);
    json_kv_cstr(&w, "object", "limits");
    json_key(&w, "all");
    view_limit(&w, &c->op.out.limits.limits[0]);
    put_limits(&w, "tenants", LIMIT_TENANT, c);
    put_limits(&w, "sites", LIMIT_SITE, c);
    put_limits(&w, "webhooks", LIMIT_WEBHOOK, c);
    put_domains(&w, c->api->config.domains);
    json_key(&w, "requests");
    caps_put(&w, c->api);
    json_close(&w);
    buf_add_char(&body, '\n');
    char tag[VIEW_TAG];
    uint64_t digest = limits_digest(c->op.out.limits.limits, c->op.out.limits.count);
    answer_json(c->request, 200, &body,
                (const char *const[]){"ETag", view_digest_tag(digest, tag), NULL});
}

void limits_show(struct api *a, struct request *r, struct span id)
{
    call_post(call_new(a, r, id), STORE_LIMITS, on_limits);
}

static void on_set(struct call *c)
{
    if (!c->op.result && c->limit.scope == LIMIT_WEBHOOK && c->api->config.webhook_changed)
        c->api->config.webhook_changed(c->api->config.ctx);
    if (!call_failed(c))
        call_post(c, STORE_LIMITS, on_limits);
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

static err run_limit(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    const struct call *c = args;
    struct limit_view *limits;
    size_t count;
    err e = store_limits(s, a, &limits, &count, f);
    if (!e)
        e = digest_matches(c->match, limits_digest(limits, count), "list of limits", f);
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
    struct limit_view *all;
    size_t count = 0;
    (void)now;
    err e = store_webhook(s, b->id, a, &b->hook, f);
    if (!e)
        e = store_limits(s, a, &all, &count, f);
    for (size_t i = 0; !e && i < count; i++)
        if (all[i].scope == LIMIT_WEBHOOK && span_eq(all[i].name, b->id))
            b->limit = all[i];
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
