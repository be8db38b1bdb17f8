/* zone.h - time zones of the system: reads /usr/share/zoneinfo (TZif, RFC 8536). */
#pragma once

#include "base/zone.h"

/* By IANA name, "Europe/Berlin"; "UTC" is always there. E_NOT_FOUND, E_BAD_INPUT (not a name),
 * E_BAD_SYNTAX (the file is damaged). */
MUST_USE err zone_load(struct span name, struct zone *out, struct fault *f);
/* The bytes of such a file. Leap seconds are not applied: Unix time has none. */
MUST_USE err zone_read(struct span bytes, struct zone *out, struct fault *f);
