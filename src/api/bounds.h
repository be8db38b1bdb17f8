/* bounds.h - what an order says about what its job may take. Pure. */
#pragma once

#include "api/body.h"
#include "core/bounds.h"

/* Names of the members of an order that are read here; `timeouts` is read by terms.h. */
#define BOUNDS_MEMBERS "max_pages", "max_bytes", "resources"
void order_bounds(struct body *b, struct json order, struct bounds *out);
