/* terms.h - flags that say how a job stands in the queue, checked and put into an order. */
#pragma once

#include "cli/inside.h"

struct terms_flags { /* seconds; 0 not given */
    int64_t expires_s, deadline_s, attempt_s, idle_s, navigation_s, max_age_s, stale_if_error_s,
        fresh_within_s;
};
/* 0 or an exit code. */
int terms_check(const struct cli *c, const char *verb, struct terms_flags *out);
void terms_put(struct json_w *w, const struct cli *c, const struct terms_flags *t);
