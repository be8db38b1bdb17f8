#include "store/delivery.h"

#include "os/sign.h"
#include "store/event.h"

enum { BODY_MAX = 512 * 1024, SIGNATURES_MAX = 160, SEAL_NAME = 64 };

/* The body is as the store wrote it: no text in it could look like this. */
static bool calls_back(const char *webhook, const struct event_view *v)
{
    char member[ID_TEXT + 16];
    if (!webhook_is_end(v->kind))
        return false;
    snprintf(member, sizeof member, "\"" DELIVERY_CALLBACK "\":\"%s\"", webhook);
    return span_find(v->body, span_of(member)) < v->body.n;
}

bool delivery_wants(struct span types, const char *webhook, const struct event_view *v)
{
    return !span_starts(v->kind, SPAN("webhook.")) &&
           (webhook_wants(types, v->kind) || calls_back(webhook, v));
}

void delivery_event_id(const struct event_view *v, char out[DELIVERY_EVENT])
{
    if (v->number > 0)
        snprintf(out, DELIVERY_EVENT, "%.*s:%lld", SP(span_cut(v->job, 0, ID_TEXT)),
                 (long long)v->number);
    else
        snprintf(out, DELIVERY_EVENT, "evt_%lld", (long long)v->seq);
}

/* ---- the text ---- */

static void put_links(struct json_w *w, struct span subject)
{
    static const struct {
        const char *kind, *key, *path;
    } rows[] = {{"job_", "job", "/v1/jobs/"},
                {"bat_", "batch", "/v1/batches/"},
                {"opr_", "operation", "/v1/operations/"}};
    json_key(w, "links");
    json_open(w);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char path[80];
        if (!span_starts(subject, span_of(rows[i].kind)))
            continue;
        snprintf(path, sizeof path, "%s%.*s", rows[i].path, SP(span_cut(subject, 0, ID_TEXT)));
        json_kv_cstr(w, rows[i].key, path);
    }
    json_close(w);
}

err delivery_body(const struct event_view *v, struct arena *a, struct webhook_attempt *out,
                  struct fault *f)
{
    char when[WHEN_TEXT];
    struct span text;
    struct buf body = BUF(BODY_MAX);
    struct json_w w = json_w(&body);
    json_open(&w);
    json_kv_text(&w, "type", v->kind);
    json_kv_cstr(&w, "timestamp", when_text_ms((wall){v->at_ms}, when));
    json_key(&w, "data");
    event_put(&w, v);
    json_kv_text(&w, "id", out->event);
    put_links(&w, v->job);
    json_close(&w);
    json_close(&w);
    err e = buf_end(&body, &text);
    if (e)
        e = fail(f, e, "an event does not fit into a delivery");
    else
        out->body = arena_keep(a, text);
    buf_free(&body);
    return e;
}

/* ---- signatures ---- */

static struct span seal_name(struct span webhook, int64_t number, char out[SEAL_NAME])
{
    int size = snprintf(out, SEAL_NAME, "%.*s:%lld", SP(span_cut(webhook, 0, ID_TEXT)),
                        (long long)number);
    return (struct span){out, (size_t)size};
}

err delivery_seal(const struct secret_key *key, struct span webhook, int64_t number,
                  struct span secret, struct buf *out, struct fault *f)
{
    char name[SEAL_NAME];
    return secret_seal(key, seal_name(webhook, number, name), secret, out, f);
}

static err sign_with(const struct secret_key *key, int64_t number, struct span sealed,
                     const struct webhook_attempt *t, struct buf *out, struct fault *f)
{
    char name[SEAL_NAME];
    struct secret secret = {0};
    err e =
        secret_unseal(key, seal_name(span_of(t->webhook), number, name), sealed, &secret, f);
    if (!e)
        sign_add(out, secret_span(&secret), t->event, t->at_s, t->body);
    secret_free(&secret);
    return e;
}

err delivery_sign(const struct secret_key *key, const struct webhook_secrets *secrets, wall now,
                  struct arena *a, struct webhook_attempt *t, struct fault *f)
{
    struct buf text = BUF(SIGNATURES_MAX);
    err e = sign_with(key, secrets->number, secrets->sealed, t, &text, f);
    if (!e && secrets->old_sealed.n && secrets->old_until_ms > now.ms) {
        buf_add_char(&text, ' ');
        e = sign_with(key, secrets->number - 1, secrets->old_sealed, t, &text, f);
    }
    t->signature = arena_keep(a, buf_span(&text));
    buf_free(&text);
    return e;
}

/* ---- words ---- */

const char *delivery_off_why(bool gone)
{
    return gone ? "the receiver answered 410: it wants no more"
                : "nothing arrived for five days";
}

err delivery_none(struct fault *f)
{
    return fail(f, E_NOT_FOUND, "there is no such delivery");
}

err delivery_no_webhook(struct fault *f)
{
    return fail(f, E_NOT_FOUND, "there is no such webhook");
}

err delivery_moved(int64_t revision, struct fault *f)
{
    return fail(f, E_STALE, "the webhook is at revision r%lld now", (long long)revision);
}

err delivery_too_many(struct fault *f)
{
    return fail(f, E_BUSY, "there are %d webhooks already; remove one", WEBHOOKS_MAX);
}

err delivery_room(int64_t open, struct fault *f)
{
    return open < (int64_t)2 * WEBHOOK_OPEN_MAX
               ? E_OK
               : fail(f, E_BUSY, "%lld deliveries of this webhook wait already",
                      (long long)open);
}

/* ---- a place in the log ---- */

err delivery_place(struct store *s, delivery_event_after *event_after, int64_t last,
                   int64_t from_ms, int64_t *out, struct fault *f)
{
    int64_t least = 0, most = last, seq, at_ms;
    while (least < most) {
        int64_t middle = least + (most - least) / 2;
        err e = event_after(s, middle, &seq, &at_ms, f);
        if (e && e != E_END)
            return e;
        if (e == E_END || at_ms >= from_ms)
            most = middle;
        else
            least = seq < most ? seq : most;
    }
    *out = least;
    return E_OK;
}
