/* bounds.h - flags that say what a job may take and what is a good result, checked and put into an order. */
#pragma once

#include "cli/inside.h"
#include "extract/fields.h"

struct bounds_flags { /* 0 not given */
    int64_t max_pages, max_bytes, memory_mib, cpu_s, max_requests, min_posts;
    struct fields required;
};
/* 0 or an exit code. */
int bounds_check(const struct cli *c, const char *verb, struct bounds_flags *out);
void bounds_flags_put(struct json_w *w, const struct cli *c, const struct bounds_flags *b);
