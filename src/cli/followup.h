/* followup.h - flags that say what follows when an attempt of a job failed, and when it has ended, checked. */
#pragma once

#include "api/followup.h"
#include "cli/inside.h"

/* 0 or an exit code. */
int followup_check(const struct cli *c, const char *verb, struct followup *out);
