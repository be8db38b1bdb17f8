/* lane_view.h - a lane and its limits as the API shows them. Pure.
 *
 * A lane is called a queue outside, which is what it is to people: {"object":"queue","name":
 * "default/x/normal",…}. Every member is always there; what is not known is null. */
#pragma once

#include "base/json.h"
#include "store/lanes.h"

/* Of what people set of a lane: the same as long as nobody did. */
uint64_t lane_digest(const struct lane_view *lane);
void view_lane(struct json_w *w, const struct lane_view *lane);
void view_limit(struct json_w *w, const struct limit_view *limit); /* an object */

/* What is wrong with it and until when, as one sentence; adds nothing when nothing is. */
void lane_trouble(struct buf *out, const struct lane_view *lane);
void lane_breaker_trouble(struct buf *out,
                          const struct lane_view *lane); /* of its breaker alone */

/* Which limit wins: {"object":"effective_limits",…}. workers: job processes that there are. */
void view_bounds(struct json_w *w, struct span name, const struct lane_bounds *b,
                 int64_t workers);
