/* id.h - identifiers: "<kind>_" and 26 characters of Crockford base 32 (ULID layout: 48 bits of
 * Unix milliseconds, 80 random bits). They sort by time of birth. */
#pragma once

#include "base/when.h"

enum { ID_TEXT = 32 }; /* room for kind (3), underscore, 26 and the end */

/* kind is three letters ("job"); random are 10 bytes from os/random.h. */
void id_make(char out[ID_TEXT], const char *kind, wall now, const uint8_t random[10]);
bool id_valid(struct span text, const char *kind);
