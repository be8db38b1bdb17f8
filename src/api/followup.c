#include "api/followup.h"

#include "base/id.h"

static bool read_object(struct body *b, struct json object, const char *at, const char *key,
                        const char *example, const char *const *members, struct json *out)
{
    struct span pointer = body_pointer(b, at, span_of(key));
    if (!body_given(object, key, out))
        return false;
    if (!json_is(*out, JSON_OBJECT)) {
        body_refuse(b, pointer, "type", "must be an object such as %s", example);
        return false;
    }
    body_members(b, *out, arena_text(b->arena, pointer), members);
    return true;
}

static void read_retry(struct body *b, struct json order, struct followup *f)
{
    static const char *const members[] = {"max_attempts", "backoff", NULL};
    static const char *const delays[] = {"base_ms", "max_ms", "factor", NULL};
    static const char at[] = "/retry/backoff";
    struct json retry, backoff;
    struct retry_policy *p = &f->retry;
    if (!read_object(b, order, "", "retry",
                     "{\"max_attempts\":3,\"backoff\":{\"base_ms\":2000}}", members, &retry))
        return;
    body_number(b, retry, "/retry", "max_attempts", 1, FOLLOWUP_ATTEMPTS_MAX, &f->max_attempts);
    if (!read_object(b, retry, "/retry", "backoff", "{\"base_ms\":2000,\"max_ms\":300000}",
                     delays, &backoff))
        return;
    body_number(b, backoff, at, "base_ms", 1, FOLLOWUP_BASE_MAX_MS, &p->base_ms);
    body_number(b, backoff, at, "max_ms", 1, FOLLOWUP_CAP_MAX_MS, &p->cap_ms);
    body_number(b, backoff, at, "factor", 1, FOLLOWUP_FACTOR_MAX, &p->factor);
    if (p->base_ms && p->cap_ms && p->base_ms > p->cap_ms)
        body_refuse(b, SPAN("/retry/backoff/base_ms"), "range",
                    "must not be more than max_ms, %lld: no delay is longer than that",
                    (long long)p->cap_ms);
}

/* Whether there is one of this id is for the store to say. */
static void read_callback(struct body *b, struct json order, struct followup *f)
{
    static const char *const members[] = {"webhook_id", NULL};
    struct json callback, v;
    struct span id = SPAN_NONE;
    if (!read_object(b, order, "", "callback", "{\"webhook_id\":\"whk_…\"}", members,
                     &callback))
        return;
    if (!body_given(callback, "webhook_id", &v))
        body_refuse(b, SPAN("/callback/webhook_id"), "required",
                    "says which webhook is told of the job's end: GET /v1/webhooks lists them");
    else if (!json_text(v, &id) || !id_valid(id, "whk"))
        body_refuse(b, SPAN("/callback/webhook_id"), "pattern",
                    "must be the id of a webhook, whk_…: GET /v1/webhooks lists them");
    else
        f->webhook = arena_keep(b->arena, id);
}

void followup_read(struct body *b, struct json order, struct followup *out)
{
    *out = (struct followup){0};
    read_retry(b, order, out);
    read_callback(b, order, out);
}

static void write_retry(struct json_w *w, const struct followup *f)
{
    const struct retry_policy *p = &f->retry;
    bool backs_off = p->base_ms || p->cap_ms || p->factor;
    if (!f->max_attempts && !backs_off)
        return;
    json_key(w, "retry");
    json_open(w);
    json_kv_given(w, "max_attempts", f->max_attempts);
    if (backs_off) {
        json_key(w, "backoff");
        json_open(w);
        json_kv_given(w, "base_ms", p->base_ms);
        json_kv_given(w, "max_ms", p->cap_ms);
        json_kv_given(w, "factor", p->factor);
        json_close(w);
    }
    json_close(w);
}

void followup_write(struct json_w *w, const struct followup *f)
{
    write_retry(w, f);
    if (f->webhook.n) {
        json_key(w, "callback");
        json_open(w);
        json_kv_text(w, "webhook_id", f->webhook);
        json_close(w);
    }
}
