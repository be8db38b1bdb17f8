#include "core/room.h"

#include "base/need.h"

struct room room_begin(int64_t there_bytes)
{
    return (struct room){.known = there_bytes >= 0, .left = there_bytes};
}

void room_add_job(struct room *r, int64_t promised_bytes, int64_t taken_bytes)
{
    need(promised_bytes >= 0);
    int64_t taken = taken_bytes > 0 ? taken_bytes : 0;
    r->jobs++;
    if (promised_bytes > taken)
        r->left -= promised_bytes - taken;
}

void room_add_question(struct room *r, struct room_offer offer, bool page)
{
    int64_t usual = page ? ROOM_USUAL_PAGE : ROOM_USUAL_LIGHT;
    need(offer.kind != ROOM_NOTHING);
    r->questions++;
    r->asked_any |= offer.kind == ROOM_ANY;
    r->asked_sized |= offer.kind == ROOM_BYTES;
    r->left -= offer.kind == ROOM_BYTES && offer.bytes > usual ? offer.bytes : usual;
}

struct room_offer room_offer(const struct room *r)
{
    if (r->jobs == 0 && r->questions == 0)
        return (struct room_offer){.kind = ROOM_ANY};
    if (r->asked_any)
        return (struct room_offer){.kind = ROOM_NOTHING};
    if (!r->known || r->asked_sized)
        return (struct room_offer){.kind = ROOM_UNSAID};
    if (r->left <= 0)
        return (struct room_offer){.kind = ROOM_NOTHING};
    return (struct room_offer){.kind = ROOM_BYTES, .bytes = r->left};
}

bool room_passed(struct room_turn *t, int64_t waited_ms, int64_t bytes, int64_t patience_ms,
                 int64_t now_ms)
{
    int64_t after_ms = room_turn_after(t, patience_ms, now_ms);
    if (after_ms == 0 || waited_ms < after_ms || bytes <= 0)
        return false;
    *t = (struct room_turn){.emptying = true, .bytes = bytes, .since_ms = now_ms};
    return true;
}

void room_made(struct room_turn *t, int64_t patience_ms, int64_t now_ms)
{
    need(t->emptying);
    int64_t took = now_ms - t->since_ms;
    *t =
        (struct room_turn){.rest_until_ms = now_ms + (took > patience_ms ? took : patience_ms)};
}

int64_t room_turn_after(const struct room_turn *t, int64_t patience_ms, int64_t now_ms)
{
    return t->emptying || now_ms < t->rest_until_ms ? 0 : patience_ms;
}

struct room_offer room_turn_offer(const struct room_turn *t, const struct room *r)
{
    if (t->emptying && (r->jobs > 0 || r->questions > 0))
        return (struct room_offer){.kind = ROOM_NOTHING};
    return room_offer(r);
}
