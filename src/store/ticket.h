/* ticket.h - a job that is not there yet, as text: what struct accept_args says, kept by schedules and
 * callbacks until the job is to be made.
 *
 * A JSON object with one member for each row of the table below, in its order; what is zero or empty is
 * left out. So one job has one text, and a row of an older version reads as "not asked". Members that
 * this version does not know are passed over. Not in it: `after` is a batch's own; id, idempotency key and hash belong to one
 * request, and whoever makes the job gives them, as accepted_ms and replaced_by; nor is run_at_ms, an instant that would be past by then.
 * expires_ms and deadline_ms count from when the job is made: whoever makes it adds that. Texts are UTF-8, as everything that came as JSON is. */
#pragma once

#include "base/json.h"
#include "core/lane.h"
#include "store/store.h"

enum { TICKET_MAX = 2 * STORE_SPEC_MAX + 65536 };

/*  member of struct accept_args, most: highest number, longest text in bytes */
#define TICKET_TABLE(X)                                                                        \
    X(site, 64)                                                                                \
    X(kind, 64)                                                                                \
    X(target, 8192)                                                                            \
    X(lane, LANE_NAME - 1)                                                                     \
    X(spec, STORE_SPEC_MAX)                                                                    \
    X(limit, INT64_MAX)                                                                        \
    X(counts, ITEM_CONFLICT)                                                                   \
    X(prio, LANE_PRIORITY_MAX)                                                                 \
    X(prio_of_lane, 1)                                                                         \
    X(mark, MARK_USED)                                                                         \
    X(variant, 8192)                                                                           \
    X(pool, 63)                                                                                \
    X(operation, 63)                                                                           \
    X(needs, NEEDS_PAGE)                                                                       \
    X(memory_bytes, INT64_MAX)                                                                 \
    X(attempt_ms, 86400000)                                                                    \
    X(stall_ms, 86400000)                                                                      \
    X(unique_key, 256)                                                                         \
    X(on_conflict, UNIQUE_RUN_AFTER_ACTIVE)                                                    \
    X(fresh_within_ms, INT64_MAX)                                                              \
    X(work, INT64_MAX)                                                                         \
    X(held, 1)                                                                                 \
    X(coalesce, 1)                                                                             \
    X(max_age_ms, INT64_MAX)                                                                   \
    X(stale_if_error_ms, INT64_MAX)                                                            \
    X(expires_ms, INT64_MAX)                                                                   \
    X(deadline_ms, INT64_MAX)                                                                  \
    X(max_fail, STORE_FAIL_MAX)

/* E_TOO_BIG: a member is above its most, or *out above its maximum. */
MUST_USE err ticket_write(const struct accept_args *job, struct buf *out, struct fault *f);
/* Texts land in the arena. E_BAD_SYNTAX: not such an object, or a member has another type or is above
 * its most; *out is untouched then. */
MUST_USE err ticket_read(struct span ticket, struct json_parser *parser, struct arena *a,
                         struct accept_args *out, struct fault *f);
/* Likewise as a job that is to be made now: its times count from then. */
MUST_USE err ticket_job(struct span ticket, wall now, struct arena *a, struct accept_args *out,
                        struct fault *f);
