/* events.h - events of the service as lines. */
#pragma once

#include "cli/inside.h"

/* "time  name  data", or in the form of the call. text: the event as it came. */
void events_print(struct cli *c, struct span text, struct json event);
