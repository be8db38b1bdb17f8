/* ticket.h - a job that is not there yet, as text: what struct accept_args says, kept by schedules and
 * callbacks until the job is to be made.
 *
 * A JSON object with one member for each row of the table below, in its order; what is zero or empty is
 * left out. So one job has one text, and a row of an older version reads as "not asked". Members that
 * this version does not know are passed over. Not in it: id, idempotency key and hash belong to one
 * request, and whoever makes the job gives them. Texts are UTF-8, as everything that came as JSON is. */
#pragma once

#include "base/json.h"
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
    X(prio, 9)                                                                                 \
    X(mark, MARK_USED)                                                                         \
    X(variant, 8192)

/* E_TOO_BIG: a member is above its most, or *out above its maximum. */
MUST_USE err ticket_write(const struct accept_args *job, struct buf *out, struct fault *f);
/* Texts land in the arena. E_BAD_SYNTAX: not such an object, or a member has another type or is above
 * its most; *out is untouched then. */
MUST_USE err ticket_read(struct span ticket, struct json_parser *parser, struct arena *a,
                         struct accept_args *out, struct fault *f);
