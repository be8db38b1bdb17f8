/* outcome.h - how a job ended, in words and as an exit code. */
#pragma once

#include "cli/inside.h"

/* Of a job that has ended: EXIT_DONE when it is what was asked for. */
int outcome_code(struct json job);
/* "protected: …", why, what to do; records: how many came before. Returns outcome_code(). */
int outcome_say_failure(struct json job, long long records, struct cli *c);
/* It stopped before it came to what was known: says so. */
void outcome_say_gap(const struct cli *c, struct json job);
/* Of a job with its records elsewhere: a sentence, or how it failed. Returns outcome_code(). */
int outcome_say(struct cli *c, struct json job);
