/* hands.h - what people hold open by hand for a time, of what is no lane (lanes.h has those): a login session, a
 * webhook (store.h has the rules of all operations).
 *
 * An open one is left alone until then, and goes on by itself: no job gets the session, nothing is sent to the
 * webhook. To close it ends all that keeps it from being used, which is not the same as that it can be used:
 * a session without cookies stays so. */
#pragma once

#include "store/store.h"

enum { HAND_TEXT = 204 }; /* of by and why, with the end */

struct hand { /* until_ms 0: nobody */
    char by[HAND_TEXT], why[HAND_TEXT];
    int64_t at_ms, until_ms;
};

enum hand_of {
    HAND_OF_LANE, /* not for store_hand(): store_lane_change() */
    HAND_OF_SESSION,
    HAND_OF_WEBHOOK
};
enum hand_act {
    HAND_OPEN,
    HAND_CLOSE, /* a session: also unlocked, its rests end; a webhook: no rest, what waits is sent at once */
    HAND_RESET, /* likewise, and failures in a row are forgotten */
    HAND_ACTS
};
struct hand_change {
    enum hand_of of;
    struct span key; /* session: id, or its name when no other site has it; webhook: id */
    enum hand_act act;
    int64_t hold_ms; /* HAND_OPEN: for how long from when the store does it, at most a day */
    struct span by, why;
};
/* E_NOT_FOUND; E_BAD_INPUT; E_CONFLICT: two sessions of that name; to close: the site refuses the session, its
 * cookies have ended or never came, or the webhook is switched off. */
MUST_USE err store_hand(struct store *s, const struct hand_change *c, wall now,
                        struct fault *f);
