/* hands.c - who holds something by hand, and until when. */
#include "store/hands.h"

#include "base/need.h"
#include "store/sqlite/inside.h"

err hand_read(struct store *s, enum hand_of of, struct span key, wall now, struct hand *out,
              struct fault *f)
{
    struct query *q;
    *out = (struct hand){.until_ms = 0};
    err e = db_ask(s->db, SQL_HAND, &q, f, DB_I(of), DB_T(key));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e && db_int(q, 3) > now.ms) {
        span_copy(db_text(q, 0), out->by, sizeof out->by);
        span_copy(db_text(q, 1), out->why, sizeof out->why);
        out->at_ms = db_int(q, 2);
        out->until_ms = db_int(q, 3);
    }
    db_end(q);
    return e == E_END ? E_OK : e;
}

err hand_note(struct store *s, enum hand_of of, struct span key, struct span by,
              struct span why, int64_t until_ms, wall now, struct fault *f)
{
    err e = db_run(s->db, SQL_HANDS_OVER, f, DB_I(now.ms));
    return e ? e
             : db_run(s->db, SQL_HAND_SET, f, DB_I(of), DB_T(key), DB_T(by.n ? by : SPAN("")),
                      DB_T(why.n ? why : SPAN("")), DB_I(now.ms), DB_I(until_ms));
}

err hand_drop(struct store *s, enum hand_of of, struct span key, struct fault *f)
{
    return db_run(s->db, SQL_HAND_DELETE, f, DB_I(of), DB_T(key));
}

static err say(struct store *s, const struct hand_change *c, struct span key, wall now,
               struct fault *f)
{
    struct json_w w = event_open(s);
    json_kv_text(&w, c->of == HAND_OF_SESSION ? "session" : "webhook", key);
    if (c->by.n)
        json_kv_text(&w, "by", c->by);
    if (c->why.n)
        json_kv_text(&w, "why", c->why);
    return event_add(s, "", asked_hand_event(c->act), now, &w, f);
}

err sqlite_hand(struct store *s, const struct hand_change *c, wall now, struct fault *f)
{
    char key[ID_TEXT];
    bool changed = false;
    need(c->of != HAND_OF_LANE);
    err e = store_usable(s, f);
    if (!e)
        e = asked_hand(c, f);
    if (!e)
        e = c->of == HAND_OF_SESSION ? sessions_hand(s, c, now, key, &changed, f)
                                     : webhooks_hand(s, c, now, key, &changed, f);
    if (e || !changed)
        return e;
    e = c->act == HAND_OPEN
            ? hand_note(s, c->of, span_of(key), c->by, c->why, now.ms + c->hold_ms, now, f)
            : hand_drop(s, c->of, span_of(key), f);
    return e ? e : say(s, c, span_of(key), now, f);
}
