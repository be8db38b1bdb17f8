/* include.h - kinds of posts that a list leaves out unless they are asked for. Pure. */
#pragma once

#include "extract/exclude.h"
#include "extract/pack.h"

/* What has to be asked for so that a target's list has posts of these kinds as well. */
struct include_way {
    struct span kind;  /* the target that shows them */
    struct span words; /* after the search, a space before each; may be empty */
    struct span url;   /* of the page, where the target's own takes no words; may be empty */
};
/* kinds: bits of enum exclude. The texts borrow from the pack or the arena. E_BAD_INPUT: the list has none of a
 * kind, or the words do not fit. */
MUST_USE err pack_include(const struct pack *p, struct span kind, struct span canonical,
                          unsigned kinds, struct arena *a, struct include_way *out,
                          struct fault *f);
