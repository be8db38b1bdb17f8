#include "pool/ask.h"

static int64_t bytes_of(struct room_offer offer)
{
    return offer.kind == ROOM_ANY     ? STORE_MEMORY_ANY
           : offer.kind == ROOM_BYTES ? offer.bytes
                                      : STORE_MEMORY_UNSAID;
}

struct ask ask_of(const struct room_turn *t, struct room_offer offer, bool willing,
                  int64_t patience_ms, int64_t now_ms)
{
    return (struct ask){
        .memory_bytes = bytes_of(offer),
        .memory_least = offer.kind == ROOM_ANY && t->emptying ? t->bytes : 0,
        .room_after_ms = willing ? room_turn_after(t, patience_ms, now_ms) : 0,
    };
}

enum ask_news ask_heard(struct room_turn *t, const struct ask *asked, err result,
                        const struct lease *lease, int64_t patience_ms, int64_t now_ms)
{
    bool alone = asked->memory_least > 0, told = !result || result == E_END;
    if (alone && told && t->emptying) {
        room_made(t, patience_ms, now_ms);
        return ASK_MADE;
    }
    bool begins =
        !result && room_passed(t, lease->passed_ms, lease->passed_bytes, patience_ms, now_ms);
    return begins ? ASK_BEGINS : ASK_NOTHING;
}

int64_t ask_promised(int64_t said_bytes, enum store_needs needs)
{
    return said_bytes ? said_bytes : needs == NEEDS_PAGE ? ROOM_USUAL_PAGE : ROOM_USUAL_LIGHT;
}
