/* options.h - what of a job's options the service acts on by itself. Pure.
 *
 * Options are JSON as the API wrote it, without spaces. A text in it has its quotes escaped, so that nothing but a member looks
 * like one. */
#pragma once

#include "base/json.h"
#include "core/retry.h"

/* {"retry":{"backoff":{"base_ms":…,"max_ms":…,"factor":…}}}: what is not said is 0. */
struct retry_policy options_retry(struct span options, struct json_parser *parser);
/* {"callback":{"webhook_id":"whk_…"}}: who is told of the job's end, borrowed; empty: nobody. */
struct span options_callback(struct span options);
