/* pipe.h - DevTools messages over two pipes, each ended by NUL.
 *
 * It reads always: a browser whose answers nobody takes grows by 40 MB a second. One message is
 * at most 64 MiB; up to 64 MiB of commands wait for a slow browser, one command is at most 32
 * MiB. */
#pragma once

#include "loop/loop.h"

enum { PIPE_MESSAGE_MAX = 64 << 20, PIPE_OUT_MAX = 64 << 20, PIPE_COMMAND_MAX = 32 << 20 };

struct devpipe;
/* Owns the descriptors. on_end comes once: E_END, E_TOO_BIG (a message too long), E_OS. */
MUST_USE err devpipe_new(struct devpipe **out, struct loop *l, int read_fd, int write_fd,
                         void (*on_message)(void *ctx, struct span text),
                         void (*on_end)(void *ctx, err why), void *ctx);
/* command without its NUL. */
MUST_USE err devpipe_send(struct devpipe *p, struct span command);
void devpipe_close(struct devpipe **p); /* no callback comes afterwards; allowed inside one */
