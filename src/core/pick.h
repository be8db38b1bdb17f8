/* pick.h - who is next: between tenants and between the lanes of a tenant by stride scheduling,
 * within a lane by rank (lane.h), for the login session the one that rested longest. Pure. */
#pragma once

#include "base/span.h"

/* Somebody who takes turns: a lane among the lanes of its tenant, a tenant among tenants. */
struct pick_turn {
    int64_t weight, pass;
    bool may_start;
};
enum { PICK_NOBODY = -1 };
/* The one whose turn it is: the smallest pass of those that may start, the first of equals. */
int pick_next(const struct pick_turn *turns, size_t count);
/* It starts; *vtime is the pass of the last start among them. */
void pick_started(struct pick_turn *t, int64_t *vtime);
/* It has something to start again: what slept hoards no credit. */
void pick_woke(struct pick_turn *t, int64_t vtime);
/* It is new: placed within its first stride by a hash of its name, so that many who come at once do
 * not all stand in front. */
void pick_joined(struct pick_turn *t, struct span name, int64_t vtime);

/* ---- login sessions ---- */
enum { PICK_OPERATIONS = 8 };
struct pick_session {
    bool healthy;
    int64_t used_ms; /* last start */
    int64_t open_ms; /* by its own rate */
    /* cool-down, each operation (search, posts) by itself */
    int64_t rests_until_ms[PICK_OPERATIONS];
};
/* The usable session that was used longest ago, or PICK_NOBODY; then *out_open_ms says when the first
 * of them can be used (INT64_MAX: none is healthy), which is until when the lane is parked. */
int pick_session(const struct pick_session *sessions, size_t count, int operation,
                 int64_t now_ms, int64_t *out_open_ms);
void pick_session_rests(struct pick_session *s, int operation, int64_t until_ms);
