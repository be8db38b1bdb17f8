/* exclude.h - kinds of posts that a job leaves out. Pure. */
#pragma once

#include "base/json.h"

enum exclude { EXCLUDE_REPLIES = 1, EXCLUDE_REPOSTS = 2, EXCLUDE_QUOTES = 4 };

/* The names, in the order of the bits, NULL at the end. */
extern const char *const exclude_names[];
/* The bit of a name; 0 when it is none. */
unsigned exclude_bit(struct span name);
/* Is the post (a record) of an excluded kind? A repost is a repost whatever it passes on; else a post
 * may be both a reply and a quote, and either leaves it out. */
bool exclude_takes(unsigned excluded, struct json post);
