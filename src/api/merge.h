/* merge.h - JSON Merge Patch (RFC 7396). Pure. */
#pragma once

#include "base/json.h"

enum { MERGE_DEPTH = 8 };

/* The target with the patch in it, as text: members of the patch that are null go, objects are merged, all
 * else takes the place of what was there. Both are objects; below MERGE_DEPTH objects are replaced. */
void merge_patch(struct buf *out, struct json target, struct json patch);
