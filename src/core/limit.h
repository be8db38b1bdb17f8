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

/* How much of its rate a key uses (queue.md §7, adaptive limits): half as much when the server asks to wait, down to a least, and a
 * tenth of the rate more for each time after that in which it does not, up to all of it. */
enum { LIMIT_PACE_ALL = 100, LIMIT_PACE_STEP = 10 };
struct limit_pace_policy {
    int64_t least;    /* percent; 0, or all: the rate stays as it is */
    int64_t clean_ms; /* for a step up */
};
struct limit_pace {
    int64_t percent;  /* 0: all */
    int64_t since_ms; /* clean since; may lie ahead */
};
int64_t limit_pace_percent(const struct limit_pace *p);
/* Of a rate as it is used; not faster. */
int64_t limit_paced(int64_t emit_ms, const struct limit_pace *p);
/* The server asked to wait until then. again: it had asked before, and that is not over: those that ran then are not another sign. True:
 * the rate changed, and so must what is owed. */
MUST_USE bool limit_pace_down(struct limit_pace *p, const struct limit_pace_policy *policy,
                              bool again, int64_t until_ms);
/* Likewise, when something starts. */
MUST_USE bool limit_pace_up(struct limit_pace *p, const struct limit_pace_policy *policy,
                            int64_t now_ms);
/* What is owed of as many starts as before, when the rate is used otherwise than it `was`. */
int64_t limit_tat_paced(int64_t tat_ms, const struct limit_pace *was,
                        const struct limit_pace *is, int64_t now_ms);

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
