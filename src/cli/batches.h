/* batches.h - how a batch ended. */
#pragma once

#include "cli/ask.h"

/* a->root is the batch: says it, with --json puts it. An exit code: 0 all jobs succeeded, 2 some, 1 none, 4 it was
 * cancelled. */
int batches_outcome(struct ask *a);
