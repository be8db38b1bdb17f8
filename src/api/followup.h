/* followup.h - what follows, as an order asks: when an attempt of its job failed, how often and when it is tried again; when
 * the job has ended, who is told. Pure. */
#pragma once

#include "api/body.h"
#include "core/retry.h"

enum {
    FOLLOWUP_ATTEMPTS_MAX = 20,
    FOLLOWUP_BASE_MAX_MS = 3600 * 1000, /* as job.retry_base */
    FOLLOWUP_CAP_MAX_MS = 86400 * 1000, /* as job.retry_cap */
    FOLLOWUP_FACTOR_MAX = 10,
};

struct followup { /* 0 as configured */
    int64_t max_attempts;
    struct retry_policy retry;
    struct span webhook; /* "whk_…", as it came; empty: nobody is told */
};

/* Names of the members of an order that are read here. */
#define FOLLOWUP_MEMBERS "retry", "callback"
void followup_read(struct body *b, struct json order, struct followup *out);
/* The same, as members of the options of the job: nothing where nothing was asked. */
void followup_write(struct json_w *w, const struct followup *f);
