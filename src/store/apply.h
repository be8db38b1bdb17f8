/* apply.h - an operation that was posted (thread.h) as the store's own: which kind it is, and the call that does it. */
#pragma once

#include "store/thread.h"

bool op_reads(const struct store_op *op);
/* A query that needs nothing but rows; the others ask for what the store knows by heart, or has a key for. */
bool op_reads_rows(const struct store_op *op);
/* What ends jobs or keeps them alive may use the ballast of a full disk; what makes more may not. */
bool op_needs_no_room(const struct store_op *op);

/* Fills out and fault, and returns the result. */
MUST_USE err apply_write(struct store *s, struct store_op *op, wall now);
MUST_USE err apply_read(struct store *s, struct store_op *op, wall now);
