/* together.h - operations that wait at the same moment, done in fewer turns than one each where the store can do so:
 * the store of several machines, to which each turn is a way there and back (redis/together.c). */
#pragma once

#include "store/store.h"

struct store_op;

/* Within a group: does those of them that it can do together, and answers each as if it had been done alone: result,
 * out and fault, and `answered` is set. What is not answered behind this is to be done one by one, in its order. */
void store_together(struct store *s, struct store_op **ops, size_t n, wall now);
