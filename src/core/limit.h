/* limit.h - what holds starts back beside the lane's rate (lane.h): a block that a server asked for,
 * and the share of starts that may be retries. Pure; times are store time in ms. */
#pragma once

#include "base/span.h"

/* A key's rate (GCRA, see lane.h) and block. emit_ms 0: no rate. */
struct limit {
    int64_t emit_ms, burst;
    int64_t tat_ms, blocked_until_ms;
};
/* The earliest instant at which a start is allowed; may lie in the past. */
int64_t limit_open_at(const struct limit *l);
/* Charges a start at `now_ms` when one is allowed; false, and nothing changed, when not. */
MUST_USE bool limit_take(struct limit *l, int64_t now_ms);
/* How many starts are allowed at `now_ms`, at most `most`. */
int64_t limit_room(const struct limit *l, int64_t most, int64_t now_ms);
/* What a key owes of starts when its rate is set anew: what it owed, and no more than a whole burst of the new rate, so that one
 * that is set looser holds nothing back for what the stricter one counted. */
int64_t limit_tat_under(int64_t tat_ms, int64_t emit_ms, int64_t burst, int64_t now_ms);
/* The server asked to wait (Retry-After, reset header): a lower bound, so a block only ever grows. */
void limit_block(struct limit *l, int64_t now_ms, int64_t wait_ms);

/* Retries of a lane: in ten minutes at most a floor, and a share of the starts; one in each slice whatever they are, so an empty
 * budget delays and never ends a job. */
enum { LIMIT_RETRY_SLICES = 10, LIMIT_RETRY_SLICE_MS = 60000 };
struct limit_retry_policy {
    int64_t floor;
    int64_t percent; /* of the starts */
};
struct limit_retries {
    int64_t slice; /* number of the newest slice since 1970 */
    int64_t starts[LIMIT_RETRY_SLICES], retries[LIMIT_RETRY_SLICES];
};
/* When a retry may start: now, or the end of the slice after which there may be room again. */
int64_t limit_retry_at(const struct limit_retries *r, const struct limit_retry_policy *p,
                       int64_t now_ms);
void limit_started(struct limit_retries *r, bool retry, int64_t now_ms);
/* A retry is let go on; its start is counted when it comes. */
void limit_retried(struct limit_retries *r, int64_t now_ms);
