/* channel.h - the worker's one socket: whole frames, blocking, always with a deadline. */
#pragma once

#include "base/when.h"
#include "wire/frame.h"

struct channel {
    int fd;
    struct buf in, out;
    size_t taken; /* bytes of `in` that the last frame used; dropped at the next read */
};

void channel_init(struct channel *c, int fd);
void channel_fini(struct channel *c);
/* E_END: node is gone. */
MUST_USE err channel_send(struct channel *c, const struct frame *f);
/* The next frame; its texts are valid until the next call. E_TIMEOUT, E_END, E_PROTOCOL. A deadline
 * of CHANNEL_FOREVER waits for ever: only an idle worker does that, and end of file ends it. */
#define CHANNEL_FOREVER ((mono){INT64_MAX})
MUST_USE err channel_next(struct channel *c, mono deadline, struct frame *out);
/* The last frame is not needed any more: memory of frames that were large goes back. */
void channel_shrink(struct channel *c);
