/* fingerprint.h - which dead jobs died of the same thing. Pure.
 *
 * What is of one job alone in the words of a failure (numbers, ids, names in quotes, hosts, paths)
 * is replaced by what it is, so that "no answer from x.com after 12.4 s" and "no answer from
 * api.x.com after 9.1 s" are one trouble. Fingerprints are stored: a change here begins new groups
 * beside the old ones. */
#pragma once

#include "core/failure.h"

enum { FINGERPRINT_TEXT = 17, FINGERPRINT_WORDS = 400 };

/* The words as the fingerprint sees them: lower case, single spaces, at most FINGERPRINT_WORDS
 * bytes. *out needs that maximum at least. */
void fingerprint_words(struct span words, struct buf *out);
/* 16 hexadecimal digits. */
void fingerprint_make(struct span site, struct span kind, enum failure_class failure,
                      struct span words, char out[FINGERPRINT_TEXT]);
bool fingerprint_valid(struct span text);
