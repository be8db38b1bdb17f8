/* stack.h - where a process is in its own code, for another one of ours that asks.
 *
 * Whoever asks makes a page of memory and gives it to the child that it starts. The child maps it before its sandbox closes; on
 * SIGQUIT it writes the addresses of the calls that it is in there, and goes on. So it answers also while it computes or waits,
 * without a file, a lock or a call that its sandbox would have to allow. One that is stopped, or hangs in the kernel, does not:
 * who asks has to have a limit of its own. What is in the page is the child's word: numbers, and not more than there is room
 * for. */
#pragma once

#include <sys/types.h>

#include "base/arena.h"

enum { STACK_FRAMES = 60 };

/* ---- of who asks ---- */

struct stack_page;
/* out_fd is for the child, and the caller's to close. */
MUST_USE err stack_new(struct stack_page **out, int *out_fd, struct fault *f);
void stack_free(struct stack_page **p);
/* The child must be one that has called stack_tell(): any other dies of it. */
MUST_USE err stack_ask(struct stack_page *p, pid_t child, struct fault *f);
/* False: it has not answered what was asked last. Innermost call first. */
MUST_USE bool stack_take(const struct stack_page *p, uintptr_t out[STACK_FRAMES],
                         size_t *out_count);
/* Addresses of a process that is there by name, in the arena: "channel_next+0x4f", of a library "poll+0x4f in libc.so.6", of what
 * has no name "libc.so.6+0x1084f", of what nobody knows "0x7f0012345678". The first is where it is, the others where it
 * comes back to. */
void stack_names(pid_t child, const uintptr_t *at, size_t count, struct arena *a,
                 const char **out);

/* ---- of the child ---- */

/* Maps and closes the descriptor, and answers from now on. */
MUST_USE err stack_tell(int fd, struct fault *f);
