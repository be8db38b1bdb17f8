/* absent.h - the store of several machines before it can be opened: its servers are away, and come back. A group
 * is begun and committed, and each operation in it answers why nothing can be done. */
#pragma once

#include "store/store.h"

struct store *absent_new(void);
/* Why; passes: by itself, so that a machine may take jobs meanwhile. */
void absent_because(struct store *s, const struct fault *why, bool passes);
