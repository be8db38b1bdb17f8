/* many.h - jobs by what they are: the filter of jobs list, and what is done to all jobs of one. */
#pragma once

#include "cli/inside.h"

/* "&state=ready&site=x", and in which order, what of each, and whether they are counted. */
void many_add_query(struct buf *path, const struct cli *c);
/* Flags of a list that do not go together. 0 or an exit code. */
int many_check_list(const struct cli *c);
/* Ids, or a filter or --all: not both, not none. 0 or an exit code. */
int many_check(struct cli *c);
/* Does the call's action to all jobs of its filter: says how many these are, asks, and begins an operation of the
 * service. 0 or an exit code. */
int many_run(struct cli *c);
