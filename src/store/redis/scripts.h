/* scripts.h - the transitions of the queue in Redis: one script each (queue.md §11).
 *
 * scripts/NAME.lua becomes part of the program; scripts/common.lua stands before each of them, and the parts that its
 * line "-- with ends.lua, ..." names. Many are one text (tools/scripts.sh), which is told the name of the script that is meant.
 * A script's first line may be "#!lua flags=allow-oom". KEYS[1] is the store's prefix, "fulmar:{NAME}:": every key is
 * made from it, so that all are in one slot. */
#pragma once

#include <stddef.h>

/* X(CONSTANT, file) */
/* clang-format off */
#define SCRIPTS(X) \
    X(OPEN, open) \
    X(HISTORY, history) \
    X(ACCEPT, accept) \
    X(RESERVE, reserve) \
    X(LEASE, lease) \
    X(TURN, turn) \
    X(COMMIT, commit) \
    X(FINISH, finish) \
    X(CANCEL, cancel) \
    X(CHANGE, change) \
    X(REAP, reap) \
    X(OUTLOOK, outlook) \
    X(VIEW, view) \
    X(EVENTS, events) \
    X(LANES, lanes) \
    X(LANE_CHANGE, lane_change) \
    X(LANE_PURGE, lane_purge) \
    X(LIMIT_SET, limit_set) \
    X(MODE, mode) \
    X(NODE, node) \
    X(RETAIN, retain) \
    X(REPLAY, replay) \
    X(FORGET, forget) \
    X(GONE, gone) \
    X(AUDIT, audit) \
    X(DEAD, dead) \
    X(OPERATION, operation) \
    X(BATCH, batch) \
    X(BATCH_ACT, batch_act) \
    X(SESSION, session) \
    X(REPAIR, repair) \
    X(WEBHOOK, webhook) \
    X(FILE, file) \
    X(SCHEDULE_LOOK, schedule_look) \
    X(SCHEDULE_PUT, schedule_put) \
    X(SCHEDULE_DELETE, schedule_delete) \
    X(SCHEDULE_PAUSE, schedule_pause) \
    X(SCHEDULE_FIRE, schedule_fire) \
    X(SCHEDULE_TRIGGER, schedule_trigger) \
    X(SCHEDULE_BACKFILL, schedule_backfill) \
    X(SCHEDULE_ATTEND, schedule_attend) \
    X(MOVE_OUT, move_out) \
    X(MOVE_IN, move_in)
/* clang-format on */

#define SCRIPT_CONSTANT(constant, file) SCRIPT_##constant,
enum script { SCRIPTS(SCRIPT_CONSTANT) SCRIPT_COUNT };
#undef SCRIPT_CONSTANT

struct script_row {
    const char *name; /* "open" */
    const char *text; /* the same one of those that are one text */
};
extern const struct script_row script_rows[SCRIPT_COUNT]; /* made by tools/scripts.sh */
