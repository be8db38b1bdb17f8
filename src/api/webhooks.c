#include "api/inside.h"
#include "api/view.h"

#include "base/id.h"
#include "net/fetch.h"
#include "os/secret.h"
#include "os/sign.h"
#include "store/webhooks.h"

enum {
    LIST_LIMIT = 50,
    LIST_MAX = 200,
    TYPES_MOST = 40,
    OVERLAP_S = 86400,
    OVERLAP_MOST_S = 30 * 86400
};

/* A call about one webhook or delivery. */
struct hook_call {
    struct webhook_put put;
    struct webhook_ask ask;
    struct webhook_view view;
    struct delivery_view delivery;
    char id[ID_TEXT];
    char secret[SIGN_SECRET_MAX]; /* shown once */
};

static struct hook_call *hook_of(struct call *c)
{
    return c->more;
}

static struct call *begin(struct api *a, struct request *r, struct span id)
{
    struct call *c = call_new(a, r, SPAN_NONE);
    struct hook_call *h = arena_new_of(c->op.arena, struct hook_call);
    span_copy(id, h->id, sizeof h->id);
    h->put = (struct webhook_put){.id = span_of(h->id), .enabled = -1, .revision = -1};
    h->ask = (struct webhook_ask){.id = span_of(h->id), .revision = -1};
    c->more = h;
    return c;
}

/* ---- views ---- */

/* Also by hand. */
static int64_t rests_until(const struct webhook_view *v)
{
    return v->rest_ms > v->hand.until_ms ? v->rest_ms : v->hand.until_ms;
}

static const char *state_of(const struct webhook_view *v, wall now)
{
    if (!v->enabled)
        return "disabled";
    return rests_until(v) > now.ms ? "resting" : v->fails ? "failing" : "active";
}

static void put_types(struct json_w *w, struct span types)
{
    struct span type;
    json_key(w, "types");
    json_open_array(w);
    while (span_next(&types, ' ', &type))
        json_put_text(w, type);
    json_close_array(w);
}

static void put_status(struct json_w *w, const struct webhook_view *v, wall now)
{
    json_key(w, "status");
    json_open(w);
    json_kv_cstr(w, "state", state_of(v, now));
    json_kv_text(w, "reason", v->off_why.n ? v->off_why : SPAN_NONE);
    view_time(w, "disabled_at", v->off_ms);
    json_kv_int(w, "pending", v->open);
    json_kv_int(w, "events_behind", v->behind);
    json_kv_int(w, "failures_in_a_row", v->fails);
    view_time(w, "failing_since", v->failing_ms);
    view_time(w, "rests_until", rests_until(v) > now.ms ? rests_until(v) : 0);
    json_kv_int(w, "delivered", v->delivered);
    json_kv_int(w, "failed_attempts", v->failed);
    json_kv_int(w, "dead", v->dead);
    json_kv_int(w, "missed_events", v->missed);
    view_time(w, "last_ok_at", v->last_ok_ms);
    view_time(w, "old_secret_until", v->old_until_ms > now.ms ? v->old_until_ms : 0);
    json_close(w);
}

/* An open object. */
static void put_webhook(struct json_w *w, const struct webhook_view *v, wall now)
{
    json_open(w);
    json_kv_cstr(w, "object", "webhook");
    json_kv_cstr(w, "id", v->id);
    json_kv_text(w, "name", v->name);
    json_kv_text(w, "url", v->url);
    put_types(w, v->types);
    json_kv_bool(w, "enabled", v->enabled);
    put_status(w, v, now);
    view_time(w, "created_at", v->created_ms);
    view_time(w, "updated_at", v->updated_ms);
    json_kv_int(w, "revision", v->revision);
}

static void put_delivery(struct json_w *w, const struct delivery_view *v)
{
    json_open(w);
    json_kv_cstr(w, "object", "delivery");
    json_kv_cstr(w, "id", v->id);
    json_kv_cstr(w, "webhook", v->webhook);
    json_kv_text(w, "event", v->event);
    json_kv_text(w, "type", v->type);
    json_kv_text(w, "subject", v->subject.n ? v->subject : SPAN_NONE);
    if (v->seq)
        json_kv_int(w, "seq", v->seq);
    else
        json_kv_null(w, "seq");
    json_kv_cstr(w, "state", delivery_state_name(v->state));
    json_kv_int(w, "attempts", v->attempts);
    if (v->status)
        json_kv_int(w, "last_status", v->status);
    else
        json_kv_null(w, "last_status");
    json_kv_text(w, "why", v->why.n ? v->why : SPAN_NONE);
    view_time(w, "at", v->at_ms);
    view_time(w, "next_attempt_at", v->due_ms);
    view_time(w, "ended_at", v->ended_ms);
    json_close(w);
}

static void changed(struct call *c)
{
    if (c->api->config.webhook_changed)
        c->api->config.webhook_changed(c->api->config.ctx);
}

static void answer_webhook(struct call *c, int status)
{
    struct hook_call *h = hook_of(c);
    char tag[VIEW_TAG], location[64];
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    put_webhook(&w, &h->view, store_thread_now(c->api->store));
    if (h->secret[0])
        json_kv_cstr(&w, "secret", h->secret);
    json_close(&w);
    buf_add_char(&body, '\n');
    snprintf(location, sizeof location, "/v1/webhooks/%s", h->view.id);
    answer_json(c->request, status, &body,
                (const char *const[]){"ETag", view_tag(h->view.revision, tag),
                                      status == 201 ? "Location" : NULL, location, NULL});
    secret_wipe(h->secret, sizeof h->secret);
}

static void on_shown(struct call *c)
{
    if (!call_failed(c))
        answer_webhook(c, 200);
}

static void on_changed(struct call *c)
{
    changed(c);
    on_shown(c);
}

static void on_created(struct call *c)
{
    changed(c);
    if (!call_failed(c))
        answer_webhook(c, 201);
}

static void answer_delivery(struct call *c, int status)
{
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    char location[80];
    put_delivery(&w, &hook_of(c)->delivery);
    buf_add_char(&body, '\n');
    snprintf(location, sizeof location, "/v1/webhooks/deliveries/%s", hook_of(c)->delivery.id);
    answer_json(c->request, status, &body,
                (const char *const[]){status == 202 ? "Location" : NULL, location, NULL});
}

static void on_delivery(struct call *c)
{
    if (!call_failed(c))
        answer_delivery(c, 200);
}

static void on_sent(struct call *c)
{
    changed(c);
    if (!call_failed(c))
        answer_delivery(c, 202);
}

/* ---- what is asked for ---- */

static void read_url(struct body *b, struct json root, bool required, struct span *out)
{
    body_text(b, root, "", "url", WEBHOOK_URL - 1, out);
    if (out->n && !fetch_url_valid(*out, NULL))
        body_refuse(b, SPAN("/url"), "format", "must be http://… or https://… without a user");
    struct json v;
    if (required && !body_given(root, "url", &v))
        body_refuse(b, SPAN("/url"), "required", "where events are sent to");
}

static void read_type(struct body *b, struct json v, size_t at, struct buf *out)
{
    struct span text;
    struct span pointer = span_of(arena_fmt(b->arena, "/types/%zu", at));
    if (!json_text(v, &text)) {
        body_refuse(b, pointer, "type", "must be a text such as \"job.finished\"");
    } else if (!webhook_type_known(text)) {
        const char *near = webhook_type_near(text);
        body_refuse(b, pointer, "unknown",
                    near ? "did you mean \"%s\"?"
                         : "no event is called so; \"%s\" is all of them",
                    near ? near : "*");
    } else {
        buf_fmt(out, "%s%.*s", out->n ? " " : "", SP(text));
    }
}

static void read_types(struct body *b, struct json root, struct span *out)
{
    struct json list;
    struct buf text = BUF(WEBHOOK_TYPES - 1);
    size_t at = 0;
    if (!body_given(root, "types", &list))
        return;
    if (!json_is(list, JSON_ARRAY) || json_count(list) > TYPES_MOST) {
        body_refuse(
            b, SPAN("/types"), "type",
            "must be a list of at most %d names of events; [] for callbacks of jobs alone",
            TYPES_MOST);
        return;
    }
    for (struct json_iter i = json_each(list); json_next(&i);)
        read_type(b, i.value, at++, &text);
    if (text.failed)
        body_refuse(b, SPAN("/types"), "range", "is too long; name groups, such as \"job.*\"");
    *out = text.n ? arena_keep(b->arena, buf_span(&text)) : SPAN("");
    buf_free(&text);
}

static void read_secret(struct body *b, struct json root, char out[SIGN_SECRET_MAX])
{
    struct span text = SPAN_NONE;
    body_text(b, root, "", "secret", SIGN_SECRET_MAX - 1, &text);
    if (!text.n)
        sign_secret_make(out);
    else if (!sign_secret_valid(text))
        body_refuse(b, SPAN("/secret"), "format",
                    "must be \"whsec_\" and the base64 of 24 to 64 bytes");
    else
        span_copy(text, out, SIGN_SECRET_MAX);
}

static void read_put(struct body *b, struct json root, bool creates, struct webhook_put *out)
{
    bool enabled = true;
    struct json v;
    body_text(b, root, "", "name", WEBHOOK_NAME - 1, &out->name);
    read_url(b, root, creates, &out->url);
    read_types(b, root, &out->types);
    body_flag(b, root, "", "enabled", &enabled);
    if (creates || body_given(root, "enabled", &v))
        out->enabled = enabled;
}

/* False: answered. */
static bool read_body(struct call *c, const char *const *members,
                      void (*read)(struct body *b, struct json root, struct hook_call *h))
{
    struct order_refusal refusal = {0};
    struct body b = {&refusal, c->op.arena};
    struct json root;
    if (c->request->body.n && !body_is_json(c->request))
        return false;
    if (body_read(&b, c->api->json, c->request->body, true, members, &root)) {
        read(&b, root, hook_of(c));
        if (body_fine(&b))
            return true;
    }
    answer_refusal(c->request, &refusal);
    return false;
}

/* ---- create, change, rotate, remove ---- */

static err show(struct store *s, struct hook_call *h, struct arena *a, err e, struct fault *f)
{
    return e ? e : store_webhook(s, span_of(h->id), a, &h->view, f);
}

static err run_create(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct hook_call *h = args;
    return show(s, h, a, store_webhook_add(s, &h->put, now, f), f);
}

static void read_create(struct body *b, struct json root, struct hook_call *h)
{
    h->put.name = SPAN("");
    h->put.types = SPAN("job.finished job.dead job.cancelled job.expired batch.complete");
    read_put(b, root, true, &h->put);
    read_secret(b, root, h->secret);
    h->put.secret = span_of(h->secret);
}

void webhooks_create(struct api *a, struct request *r, struct span id)
{
    static const char *const members[] = {"url", "name", "types", "enabled", "secret", NULL};
    struct call *c = begin(a, r, id);
    struct hook_call *h = hook_of(c);
    make_id(h->id, "whk");
    h->put.id = span_of(h->id);
    if (read_body(c, members, read_create))
        call_work(c, STORE_WRITE, run_create, h, on_created);
}

static err run_change(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct hook_call *h = args;
    return show(s, h, a, store_webhook_change(s, &h->put, now, f), f);
}

static void read_change(struct body *b, struct json root, struct hook_call *h)
{
    read_put(b, root, false, &h->put);
}

void webhooks_change(struct api *a, struct request *r, struct span id)
{
    static const char *const members[] = {"url", "name", "types", "enabled", NULL};
    int64_t revision;
    if (!if_match(r, true, "webhook", &revision))
        return;
    struct call *c = begin(a, r, id);
    hook_of(c)->put.revision = revision;
    if (read_body(c, members, read_change))
        call_work(c, STORE_WRITE, run_change, hook_of(c), on_changed);
}

static err run_rotate(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct hook_call *h = args;
    h->ask.old_until_ms += now.ms;
    return show(s, h, a, store_webhook_rotate(s, &h->ask, now, f), f);
}

static void read_rotate(struct body *b, struct json root, struct hook_call *h)
{
    int64_t overlap_s = OVERLAP_S;
    body_number(b, root, "", "overlap_s", 0, OVERLAP_MOST_S, &overlap_s);
    read_secret(b, root, h->secret);
    h->ask.secret = span_of(h->secret);
    h->ask.old_until_ms = overlap_s * 1000;
}

void webhooks_rotate(struct api *a, struct request *r, struct span id)
{
    static const char *const members[] = {"overlap_s", "secret", NULL};
    struct call *c = begin(a, r, id);
    if (read_body(c, members, read_rotate))
        call_work(c, STORE_WRITE, run_rotate, hook_of(c), on_changed);
}

static err run_replay(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct hook_call *h = args;
    return show(s, h, a, store_webhook_replay(s, &h->ask, now, f), f);
}

static void read_replay(struct body *b, struct json root, struct hook_call *h)
{
    wall from = {0};
    struct json v;
    if (body_time(b, root, "", "from", &from))
        h->ask.from_ms = from.ms;
    else if (!body_given(root, "from", &v))
        body_refuse(b, SPAN("/from"), "required", "events since then are sent once more");
}

void webhooks_replay(struct api *a, struct request *r, struct span id)
{
    static const char *const members[] = {"from", NULL};
    struct call *c = begin(a, r, id);
    if (read_body(c, members, read_replay))
        call_work(c, STORE_WRITE, run_replay, hook_of(c), on_changed);
}

static err run_remove(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    (void)a;
    (void)now;
    return store_webhook_remove(s, &((struct hook_call *)args)->ask, f);
}

static void on_removed(struct call *c)
{
    changed(c);
    if (!call_failed(c))
        request_answer(c->request, &(struct answer){.status = 204});
}

void webhooks_remove(struct api *a, struct request *r, struct span id)
{
    int64_t revision;
    if (!if_match(r, true, "webhook", &revision))
        return;
    struct call *c = begin(a, r, id);
    hook_of(c)->ask.revision = revision;
    call_work(c, STORE_WRITE, run_remove, hook_of(c), on_removed);
}

/* ---- show, list ---- */

static err run_show(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    (void)now;
    return show(s, args, a, E_OK, f);
}

void webhooks_show(struct api *a, struct request *r, struct span id)
{
    struct call *c = begin(a, r, id);
    call_work(c, STORE_READ, run_show, hook_of(c), on_shown);
}

struct hook_list {
    struct webhook_view *hooks;
    struct delivery_view *deliveries;
    struct deliveries_query query;
    size_t count, limit;
};

static err run_list(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct hook_list *l = args;
    (void)now;
    return store_webhooks(s, a, &l->hooks, &l->count, f);
}

static void on_listed(struct call *c)
{
    const struct hook_list *l = c->op.in.work.args;
    if (call_failed(c))
        return;
    struct buf body = answer_buf();
    struct json_w w = view_list(&body);
    for (size_t i = 0; i < l->count; i++) {
        put_webhook(&w, &l->hooks[i], store_thread_now(c->api->store));
        json_close(&w);
    }
    answer_list(c->request, 200, &body, &w, WEBHOOKS_MAX, SPAN_NONE);
}

void webhooks_list(struct api *a, struct request *r, struct span id)
{
    struct call *c = begin(a, r, id);
    call_work(c, STORE_READ, run_list, arena_new_of(c->op.arena, struct hook_list), on_listed);
}

/* ---- deliveries ---- */

static err run_deliveries(struct store *s, void *args, struct arena *a, wall now,
                          struct fault *f)
{
    struct hook_list *l = args;
    (void)now;
    return store_deliveries(s, &l->query, a, &l->deliveries, &l->count, f);
}

static void on_deliveries(struct call *c)
{
    const struct hook_list *l = c->op.in.work.args;
    if (call_failed(c))
        return;
    size_t count = l->count < l->limit ? l->count : l->limit;
    struct buf body = answer_buf();
    struct json_w w = view_list(&body);
    for (size_t i = 0; i < count; i++)
        put_delivery(&w, &l->deliveries[i]);
    answer_list(c->request, 200, &body, &w, l->limit,
                l->count > count ? span_of(l->deliveries[count - 1].id) : SPAN_NONE);
}

void webhooks_deliveries(struct api *a, struct request *r, struct span id)
{
    int64_t limit = LIST_LIMIT;
    struct span text, after = SPAN_NONE;
    enum delivery_state state = DELIVERY_STATES;
    if (!query_number(r, "limit", 1, LIST_MAX, &limit))
        return;
    if (request_query(r, "state", &text) && !delivery_state_parse(text, &state)) {
        answer_problem(r, 400, "bad_parameter", "state must be pending, delivered or dead");
        return;
    }
    if (request_query(r, "after", &after) && !id_valid(after, "dlv")) {
        answer_problem(r, 400, "bad_parameter", "after must be the id of a delivery");
        return;
    }
    struct call *c = begin(a, r, id);
    struct hook_list *l = arena_new_of(c->op.arena, struct hook_list);
    *l = (struct hook_list){.limit = (size_t)limit,
                            .query = {.webhook = span_of(hook_of(c)->id),
                                      .state = state == DELIVERY_STATES ? -1 : (int)state,
                                      .after = arena_keep(c->op.arena, after),
                                      .limit = (size_t)limit + 1}};
    call_work(c, STORE_READ, run_deliveries, l, on_deliveries);
}

static err run_delivery(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct hook_call *h = args;
    (void)now;
    return store_delivery(s, span_of(h->id), a, &h->delivery, f);
}

void webhooks_delivery(struct api *a, struct request *r, struct span id)
{
    struct call *c = begin(a, r, id);
    call_work(c, STORE_READ, run_delivery, hook_of(c), on_delivery);
}

static err run_again(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct hook_call *h = args;
    char id[ID_TEXT];
    err e = store_delivery_again(s, span_of(h->id), now, id, f);
    return e ? e : store_delivery(s, span_of(id), a, &h->delivery, f);
}

void webhooks_redeliver(struct api *a, struct request *r, struct span id)
{
    struct call *c = begin(a, r, id);
    call_work(c, STORE_WRITE, run_again, hook_of(c), on_sent);
}

static err run_ping(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct hook_call *h = args;
    char id[ID_TEXT];
    err e = store_webhook_ping(s, span_of(h->id), now, id, f);
    return e ? e : store_delivery(s, span_of(id), a, &h->delivery, f);
}

void webhooks_ping(struct api *a, struct request *r, struct span id)
{
    struct call *c = begin(a, r, id);
    call_work(c, STORE_WRITE, run_ping, hook_of(c), on_sent);
}
