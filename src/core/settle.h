/* settle.h - when something that people edit by hand is worth reading: it differs from what was
 * read last, and has been the same for one pause. Pure; editors write in several steps. */
#pragma once

#include "base/when.h"

struct settle {
    uint64_t read; /* digest of what was read last, good or not */
    uint64_t seen; /* of the last look */
    mono since;    /* it has been so since then */
    bool changing; /* seen differs from read */
};
/* It was read now, as this digest says. */
void settle_read(struct settle *s, uint64_t digest);
/* A look at it. True: read it now, then tell settle_read(). force: somebody asked for it, do not
 * wait, and read also what is as it was. */
bool settle_look(struct settle *s, uint64_t digest, mono now, int64_t pause_ms, bool force);
