/* webhook.h - when a delivery to a webhook is tried again, and which events one is about. Pure. */
#pragma once

#include "base/span.h"

enum {
    WEBHOOK_ATTEMPTS = 10,     /* then the delivery is dead */
    WEBHOOK_AT_ONCE = 4,       /* requests to one webhook, unless it has a limit of its own, */
    WEBHOOK_AT_ONCE_MOST = 16, /* which is at most this */
    /* in a row: from then on one request at a time, with rests between */
    WEBHOOK_FAILS_MAX = 5,
    WEBHOOK_FAILING_DAYS = 5, /* without one that arrived: it is switched off */
};

/* Before attempt `next` (2, 3 …), with base = 5 s: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, each
 * ±20 %; a hint of the receiver (Retry-After) is obeyed. random: any number. */
int64_t webhook_delay_ms(int next, int64_t base_ms, int64_t hint_ms, uint64_t random);
/* How long nothing goes to a receiver that failed so often in a row; 0: not at all. With base = 5 s: 30 s,
 * doubled each time, at most half an hour. */
int64_t webhook_rest_ms(int64_t fails, int64_t base_ms);

/* Requests to one that failed so often in a row, and has this limit of its own (0: none). */
int64_t webhook_at_once(int64_t fails, int64_t own);

/* `types`: names of events, "job.*" or "*", separated by spaces. */
bool webhook_wants(struct span types, struct span event);
/* An event with which a job has ended: also the repair of a dead one, which is another end. */
bool webhook_is_end(struct span event);
/* A name of an event that there is, "GROUP.*" or "*". */
bool webhook_type_known(struct span type);
/* The name that may have been meant; NULL: none is near. */
const char *webhook_type_near(struct span type);
