/* caps.h - what is refused because it is too large or too many, before anything of it is stored. */
#pragma once

#include "api/inside.h"

/* An array: name, unit, the most, how much of it is in use (null: of one request), the setting that it comes from (null: fixed)
 * and the status of what is above it. */
void caps_put(struct json_w *w, const struct api *a);
