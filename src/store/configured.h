/* configured.h - what the settings say of a store, for whoever opens one. */
#pragma once

#include "core/settings.h"
#include "store/store.h"

struct store_limits configured_limits(const struct settings *s);
