/* event.h - an event as streams, logs and webhooks show it. */
#pragma once

#include "base/json.h"
#include "store/store.h"

/* {"seq":…,"at":…,"job":…,"event":…,"data":{…}}; of a batch or an operation that in place of `job`. The
 * object stays open. */
void event_put(struct json_w *w, const struct event_view *e);
