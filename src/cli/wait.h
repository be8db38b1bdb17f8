/* wait.h - until a job or a batch has ended. */
#pragma once

#include "cli/service.h"

/* --wait[=TIME], --timeout TIME: 0 or an exit code; *out_ms 0: for ever. */
int wait_limit(const struct cli *c, const char *verb, int64_t *out_ms);
/* Jobs, one after the other: says how each ended, with --json puts it. The code of the worst of them; 3 when the time
 * ran out, 130 after Ctrl-C: then the jobs go on, unless --cancel-on-interrupt. */
int wait_for_jobs(struct cli *c, struct service *s, const char *const *ids, size_t count);
/* Ctrl-C while a job was followed: says how to go on, or cancels it with --cancel-on-interrupt. EXIT_INTERRUPTED. */
int wait_interrupted(struct cli *c, struct service *s, const char *id);
