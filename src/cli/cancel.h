/* cancel.h - jobs cancel: some jobs by their ids, or all of a state or site that have not ended. */
#pragma once

#include "cli/service.h"

/* The flags; 0 or an exit code. */
int cancel_check(struct cli *c);
int cancel_run(struct cli *c, struct service *s);
