/* sessions.c - /v1/sessions: people's own logins. Cookies go in, and never come out: every answer here
 * is made of a struct session_view, which has none. */
#include "api/inside.h"
#include "api/order.h"
#include "api/view.h"

#include "base/log.h"
#include "base/text.h"
#include "net/address.h"
#include "os/clock.h"
#include "os/random.h"
#include "wire/cookies.h"

enum {
    ERRORS_MAX = 8,
    EVERY_MAX_MS = 24 * 3600 * 1000,
    BODY_JSON_MAX = 64 * 1024,
    VISIT_MAX = 4096,
    VISIT_TEXT = 500
};

/* ---- answers ---- */

static void put_rests(struct json_w *w, const struct session_view *v)
{
    json_key(w, "cooldowns");
    json_open(w);
    for (size_t i = 0; i < v->rest_count; i++)
        view_time(w, v->rests[i].operation, v->rests[i].until_ms);
    json_close(w);
}

static void put_rate(struct json_w *w, const struct session_view *v)
{
    json_key(w, "rate");
    if (!v->emit_ms) {
        json_put_null(w);
        return;
    }
    json_open(w);
    json_kv_int(w, "every_ms", v->emit_ms);
    json_kv_int(w, "burst", v->burst);
    view_time(w, "open_at", v->open_ms);
    json_close(w);
}

static void put_session(struct json_w *w, const struct session_view *v)
{
    json_open(w);
    json_kv_cstr(w, "object", "session");
    json_kv_cstr(w, "id", v->id);
    json_kv_cstr(w, "site", v->site);
    json_kv_cstr(w, "pool", v->pool);
    json_kv_cstr(w, "name", v->name);
    json_kv_cstr(w, "state", session_state_name(v->state));
    json_kv_cstr(w, "reason", v->reason[0] ? v->reason : NULL);
    view_time(w, "since", v->since_ms);
    put_rests(w, v);
    put_rate(w, v);
    json_kv_int(w, "max_active", v->max_active);
    json_kv_int(w, "active", v->active);
    json_kv_int(w, "requests_24h", v->requests_24h);
    json_kv_int(w, "leases_24h", v->leases_24h);
    json_kv_int(w, "failures_in_a_row", v->fails);
    view_time(w, "used_at", v->used_ms);
    view_time(w, "last_ok_at", v->last_ok_ms);
    json_kv_cstr(w, "fingerprint", v->print[0] ? v->print : NULL);
    json_kv_int(w, "cookies", v->cookie_count);
    view_time(w, "expires_at", v->expires_ms);
    view_time(w, "created_at", v->created_ms);
    view_time(w, "updated_at", v->updated_ms);
    json_kv_int(w, "revision", v->revision);
    json_close(w);
}

static bool failed(struct call *c)
{
    if (!c->op.result)
        return false;
    if (c->op.result == E_DENIED ||
        c->op.result == E_CONFIG) { /* the words name a file of ours */
        log_error("session.key", F_C("why", c->op.fault.words));
        answer_problem(c->request, 503, "key_unavailable",
                       "the key that seals cookies cannot be used; the log says why");
        return true;
    }
    err e = fault_told(c->op.result, &c->op.fault);
    if (e == E_CONFLICT || e == E_BUSY)
        answer_problem(c->request, 409, "conflict_state", "%s", c->op.fault.words);
    else
        answer_fault(c->request, c->op.result, &c->op.fault);
    return true;
}

static void answer_session(struct call *c, int status)
{
    const struct session_view *v = &c->op.out.session;
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    char tag[32], location[64];
    put_session(&w, v);
    buf_add_char(&body, '\n');
    snprintf(tag, sizeof tag, "\"r%lld\"", (long long)v->revision);
    snprintf(location, sizeof location, "/v1/sessions/%s", v->id);
    answer_json(
        c->request, status, &body,
        (const char *const[]){"ETag", tag, status == 201 ? "Location" : NULL, location, NULL});
}

static void on_shown(struct call *c)
{
    if (!failed(c))
        answer_session(c, 200);
}

/* The session of the call, which is named in c->key. */
static void post_show(struct call *c, void (*then)(struct call *c))
{
    c->op.in.session.name = span_of(c->key);
    call_post(c, STORE_SESSION, then);
}

static void on_changed(struct call *c)
{
    if (!failed(c))
        post_show(c, on_shown);
}

/* Of a path with a session's id or name; NULL: answered. */
static struct call *call_of(struct api *a, struct request *r, struct span name)
{
    if (!session_name_valid(name) && !id_valid(name, "ses")) {
        answer_problem(r, 404, "not_found", "there is no such session");
        return NULL;
    }
    struct call *c = call_new(a, r, SPAN_NONE);
    span_copy(name, c->key, sizeof c->key);
    return c;
}

/* ---- bodies ---- */

struct facts {
    struct call *call;
    struct json root;
    struct json_parser *parser;
    struct problem_error errors[ERRORS_MAX];
    size_t error_count;
};

static void refuse(struct facts *b, const char *pointer, const char *code, const char *words)
{
    if (b->error_count < ERRORS_MAX)
        b->errors[b->error_count++] = (struct problem_error){
            .pointer = span_of(pointer), .code = code, .detail = span_of(words)};
}

static bool refused(struct facts *b)
{
    struct problem p = {.status = 422,
                        .code = "validation_failed",
                        .detail = SPAN("values were refused, see errors"),
                        .request_id = b->call->request->id,
                        .errors = b->errors,
                        .error_count = b->error_count};
    struct buf text = answer_buf();
    if (!b->error_count)
        return false;
    problem_write(&text, &p);
    request_answer(b->call->request, &(struct answer){.status = 422,
                                                      .type = "application/problem+json",
                                                      .body = buf_span(&text)});
    buf_free(&text);
    return true;
}

/* A JSON object with known members; an empty body is an empty object. False: answered. */
static bool body_open(struct facts *b, struct call *c, const char *const *members)
{
    struct request *r = c->request;
    *b = (struct facts){.call = c, .parser = json_parser_new(BODY_JSON_MAX)};
    struct span text = span_trim(r->body).n ? r->body : SPAN("{}");
    if (json_parse(b->parser, text, &b->root, NULL) || !json_is(b->root, JSON_OBJECT)) {
        answer_problem(r, 400, "malformed_json", "the body must be a JSON object");
        return false;
    }
    for (struct json_iter i = json_each(b->root); json_next(&i);) {
        bool known = false;
        for (size_t k = 0; members[k]; k++)
            known = known || span_is(i.key, members[k]);
        const char *near = known ? NULL : text_nearest(i.key, members);
        if (!known && near)
            answer_problem(r, 400, "unknown_field",
                           "the body has a member that is not known; did you mean \"%s\"?",
                           near);
        else if (!known)
            answer_problem(r, 400, "unknown_field", "the body has a member that is not known");
        if (!known)
            return false;
    }
    return true;
}

static void body_close(struct facts *b)
{
    json_parser_free(&b->parser);
}

/* Kept in the call; empty when it is not given. */
static struct span read_text(struct facts *b, const char *key, const char *pointer)
{
    struct json v = json_get(b->root, span_of(key));
    struct span text = SPAN_NONE;
    if (v.doc && !json_is(v, JSON_NULL) && !json_text(v, &text))
        refuse(b, pointer, "type", "must be a text");
    return arena_keep(b->call->op.arena, text);
}

static int64_t read_number(struct facts *b, struct json v, const char *pointer, int64_t least,
                           int64_t most, int64_t otherwise)
{
    int64_t n = otherwise;
    if (!v.doc || json_is(v, JSON_NULL))
        return otherwise;
    if (!json_int(v, &n))
        refuse(b, pointer, "type", "must be a whole number");
    else if (n < least || n > most)
        refuse(b, pointer, "range",
               "is out of its range; docs/reference/http-api.md says which");
    return n;
}

/* ---- POST /v1/sessions ---- */

static const struct pack *pack_of(const struct api *a, struct span site)
{
    size_t at = packs_find(a->config.packs, site);
    return at == PACKS_MAX ? NULL : a->config.packs->pack[at];
}

static void on_added_shown(struct call *c)
{
    if (!failed(c))
        answer_session(c, 201);
}

static void on_added(struct call *c)
{
    if (!failed(c))
        post_show(c, on_added_shown);
}

static void read_rate(struct facts *b, struct session_add *out)
{
    struct json rate = json_get(b->root, SPAN("rate"));
    bool given = rate.doc && !json_is(rate, JSON_NULL);
    if (given && !json_is(rate, JSON_OBJECT))
        refuse(b, "/rate", "type", "must be an object: {\"every_ms\": 20000, \"burst\": 1}");
    for (struct json_iter i = json_each(rate); given && json_next(&i);)
        if (!span_is(i.key, "every_ms") && !span_is(i.key, "burst"))
            refuse(b, "/rate", "unknown_field", "known are every_ms, burst");
    out->emit_ms =
        read_number(b, json_get(rate, SPAN("every_ms")), "/rate/every_ms", 1, EVERY_MAX_MS, 0);
    out->burst = read_number(b, json_get(rate, SPAN("burst")), "/rate/burst", 1, 1000, 1);
}

void sessions_create(struct api *a, struct request *r, struct span id)
{
    static const char *const members[] = {"site", "pool", "name", "rate", "max_active", NULL};
    struct call *c = call_new(a, r, id);
    struct facts b;
    if (body_open(&b, c, members)) {
        struct session_add *add = &c->op.in.session_add;
        uint8_t random[10];
        random_bytes(random, sizeof random);
        id_make(c->id, "ses", clock_wall(), random);
        *add = (struct session_add){.id = span_of(c->id),
                                    .site = read_text(&b, "site", "/site"),
                                    .pool = read_text(&b, "pool", "/pool"),
                                    .name = read_text(&b, "name", "/name")};
        if (!add->site.n)
            add->site = SPAN("x");
        if (!add->pool.n)
            add->pool = SPAN("default");
        read_rate(&b, add);
        add->max_active =
            read_number(&b, json_get(b.root, SPAN("max_active")), "/max_active", 1, 64, 1);
        if (!pack_of(a, add->site))
            refuse(&b, "/site", "unknown", "there is no such site pack; see: fulmar site list");
        if (!session_name_valid(add->name))
            refuse(&b, "/name", "pattern",
                   "must be 1 to 32 letters, digits, '-', '_' or '.', not beginning with ses_");
        if (!session_pool_valid(add->pool))
            refuse(&b, "/pool", "pattern", "must be 1 to 32 letters, digits, '-' or '_'");
        memcpy(c->key, c->id, sizeof c->id);
        if (!refused(&b))
            call_post(c, STORE_SESSION_ADD, on_added);
    }
    body_close(&b);
}

/* ---- GET ---- */

static void on_listed(struct call *c)
{
    if (failed(c))
        return;
    struct buf body = answer_buf();
    struct json_w w = view_list(&body);
    for (size_t i = 0; i < c->op.out.sessions.count; i++)
        put_session(&w, &c->op.out.sessions.list[i]);
    json_close_array(&w);
    json_close(&w);
    buf_add_char(&body, '\n');
    answer_json(c->request, 200, &body, NULL);
}

void sessions_list(struct api *a, struct request *r, struct span id)
{
    struct span site = SPAN_NONE, pool = SPAN_NONE;
    (void)request_query(r, "site", &site);
    (void)request_query(r, "pool", &pool);
    struct call *c = call_new(a, r, id);
    c->op.in.sessions.site = arena_keep(c->op.arena, site);
    c->op.in.sessions.pool = arena_keep(c->op.arena, pool);
    call_post(c, STORE_SESSIONS, on_listed);
}

void sessions_show(struct api *a, struct request *r, struct span name)
{
    struct call *c = call_of(a, r, name);
    if (c)
        post_show(c, on_shown);
}

/* ---- cookies ---- */

struct site_hosts {
    const struct span *patterns;
    size_t count;
    struct span own; /* of site.base_url; may be empty */
};

static bool belongs(void *ctx, struct span domain)
{
    const struct site_hosts *h = ctx;
    if (domain.n && span_eq_nocase(domain, h->own))
        return true;
    for (size_t i = 0; i < h->count; i++)
        if (domain.n && address_host_matches(domain, h->patterns[i]))
            return true;
    return false;
}

/* "https://x.com" → "x.com"; empty when the site has many hosts. */
static struct span host_of(struct span url)
{
    size_t at = span_find(url, SPAN("://"));
    struct span host = span_cut(url, at < url.n ? at + 3 : url.n, url.n);
    host = span_cut(host, 0, span_find_char(host, '/'));
    host = span_cut(host, 0, span_find_char(host, ':'));
    return span_find_char(host, '{') < host.n ? SPAN_NONE : host;
}

static err read_cookies(struct call *c, const char *site, struct cookies_facts *out,
                        struct fault *f)
{
    const struct packs *packs = c->api->config.packs;
    size_t at = packs_find(packs, span_of(site));
    if (at == PACKS_MAX)
        return fail(f, E_BAD_INPUT, "the site pack %s is not there", site);
    struct site_hosts hosts = {.own = host_of(packs->places[at].base_url)};
    struct cookies_wanted wanted = {.belongs = belongs, .ctx = &hosts};
    struct span host = host_of(pack_base_url(packs->pack[at]));
    hosts.count = pack_hosts(packs->pack[at], &hosts.patterns);
    wanted.login_count = pack_login_cookies(packs->pack[at], &wanted.login);
    wanted.domain = host.n ? span_of(arena_fmt(c->op.arena, ".%.*s", SP(host))) : SPAN_NONE;
    struct json_parser *parser = json_parser_new((size_t)COOKIES_TEXT_MAX * 2);
    err e = cookies_read(c->request->body, &wanted, clock_wall(), parser, &c->secret, out, f);
    json_parser_free(&parser);
    return e;
}

static void on_sealed(struct call *c)
{
    secret_wipe_buf(&c->secret);
    on_changed(c);
}

static void put_cookies(struct call *c, bool rotates)
{
    struct cookies_facts facts;
    struct fault f = {0};
    if (failed(c))
        return;
    char site[SESSION_NAME];
    memcpy(site, c->op.out.session.site, sizeof site);
    err e = read_cookies(c, site, &facts, &f);
    if (e) {
        answer_fault(c->request, e, &f);
        return;
    }
    memcpy(c->id, c->op.out.session.id, sizeof c->id);
    c->op.in.session_cookies = (struct session_cookies){.session = span_of(c->id),
                                                        .text = buf_span(&c->secret),
                                                        .count = (int64_t)facts.kept,
                                                        .expires_ms = facts.expires_ms,
                                                        .rotates = rotates};
    call_post(c, STORE_SESSION_COOKIES, on_sealed);
}

static void on_session_known(struct call *c)
{
    put_cookies(c, false);
}

static void on_session_to_rotate(struct call *c)
{
    put_cookies(c, true);
}

void sessions_cookies(struct api *a, struct request *r, struct span name)
{
    struct call *c = call_of(a, r, name);
    if (c)
        post_show(c, on_session_known);
}

void sessions_rotate(struct api *a, struct request *r, struct span name)
{
    struct call *c = call_of(a, r, name);
    if (c)
        post_show(c, on_session_to_rotate);
}

/* ---- validate: a small job with this session alone ---- */

/* What is asked for when nobody says: a list that sites show only to people who are logged in. */
struct visit {
    struct span kind, target, strategy;
};

static struct span write_visit(struct call *c, const struct visit *v)
{
    const struct session_view *session = &c->op.out.session;
    struct buf text = BUF(VISIT_MAX);
    struct json_w w = json_w(&text);
    json_open(&w);
    json_kv_cstr(&w, "site", session->site);
    json_kv_text(&w, "kind", v->kind);
    json_kv_text(&w, "target", v->target);
    json_kv_text(&w, "strategy", v->strategy);
    json_kv_int(&w, "limit", 1);
    json_kv_cstr(&w, "class", "interactive");
    json_kv_bool(&w, "coalesce", false);
    json_key(&w, "session");
    json_open(&w);
    json_kv_cstr(&w, "pool", session->id);
    json_close(&w);
    json_close(&w);
    struct span kept = arena_keep(c->op.arena, buf_span(&text));
    buf_free(&text);
    return kept;
}

static void on_to_visit(struct call *c)
{
    struct order order;
    struct order_refusal refusal;
    if (failed(c))
        return;
    const struct packs *packs = c->api->config.packs;
    c->key[0] = '\0'; /* it was the session's name; a job has none of it */
    if (order_read(&order, &refusal, c->api->json, packs->pack, packs->count,
                   write_visit(c, c->more), c->op.arena))
        jobs_submit(c, &order, c->request->body);
    else
        answer_refusal(c->request, &refusal);
}

void sessions_validate(struct api *a, struct request *r, struct span name)
{
    static const char *const members[] = {"kind", "target", "strategy", NULL};
    struct order_refusal refusal = {0};
    struct json root;
    if (r->body.n && !body_is_json(r))
        return;
    struct call *c = call_of(a, r, name);
    if (!c)
        return;
    struct body b = {&refusal, c->op.arena};
    struct visit *v = arena_new_of(c->op.arena, struct visit);
    *v = (struct visit){
        .kind = SPAN("search"), .target = SPAN("news"), .strategy = SPAN("capture")};
    c->more = v;
    if (body_read(&b, a->json, r->body, true, members, &root)) {
        body_text(&b, root, "", "kind", VISIT_TEXT, &v->kind);
        body_text(&b, root, "", "target", VISIT_TEXT, &v->target);
        body_text(&b, root, "", "strategy", VISIT_TEXT, &v->strategy);
        if (body_fine(&b)) {
            post_show(c, on_to_visit);
            return;
        }
    }
    answer_refusal(r, &refusal);
}

/* ---- lock, unlock, delete ---- */

static void lock(struct api *a, struct request *r, struct span name, bool locked)
{
    static const char *const members[] = {"reason", NULL};
    struct call *c = call_of(a, r, name);
    struct facts b;
    if (!c)
        return;
    if (body_open(&b, c, members)) {
        c->op.in.session.reason = read_text(&b, "reason", "/reason");
        c->op.in.session.locked = locked;
        c->op.in.session.name = span_of(c->key);
        if (!refused(&b))
            call_post(c, STORE_SESSION_LOCK, on_changed);
    }
    body_close(&b);
}

void sessions_lock(struct api *a, struct request *r, struct span name)
{
    lock(a, r, name, true);
}

void sessions_unlock(struct api *a, struct request *r, struct span name)
{
    lock(a, r, name, false);
}

static void on_removed(struct call *c)
{
    if (!failed(c))
        request_answer(c->request, &(struct answer){.status = 204});
}

void sessions_remove(struct api *a, struct request *r, struct span name)
{
    struct call *c = call_of(a, r, name);
    if (!c)
        return;
    c->op.in.session.name = span_of(c->key);
    call_post(c, STORE_SESSION_REMOVE, on_removed);
}
