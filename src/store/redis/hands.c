/* hands.c - what people hold open by hand, of sessions and webhooks: in the record of each. */
#include "store/hands.h"

#include "base/need.h"
#include "store/redis/inside.h"

void hand_fields(const struct reply *fields, struct hand *out)
{
    *out = (struct hand){.at_ms = reply_field(fields, "ha"),
                         .until_ms = reply_field(fields, "hu")};
    span_copy(reply_field_text(fields, "hb"), out->by, sizeof out->by);
    span_copy(reply_field_text(fields, "hw"), out->why, sizeof out->why);
}

void hand_call(struct store *s, struct call *c, const struct hand_change *h, struct span key)
{
    buf_clear(&s->scratch);
    struct json_w w = json_w(&s->scratch);
    json_open(&w);
    json_kv_text(&w, h->of == HAND_OF_SESSION ? "session" : "webhook", key);
    if (h->by.n)
        json_kv_text(&w, "by", h->by);
    if (h->why.n)
        json_kv_text(&w, "why", h->why);
    json_close(&w);
    call_number(c, h->act);
    call_number(c, h->act == HAND_OPEN ? h->hold_ms : 0);
    call_text(c, h->by);
    call_text(c, h->why);
    call_text(c, span_of(asked_hand_event(h->act)));
    call_text(c, buf_span(&s->scratch));
}

err redis_hand(struct store *s, const struct hand_change *c, wall now, struct fault *f)
{
    need(s->in_group && c->of != HAND_OF_LANE);
    err e = asked_hand(c, f);
    if (e)
        return e;
    return c->of == HAND_OF_SESSION ? hand_session(s, c, now, f) : hand_webhook(s, c, now, f);
}
