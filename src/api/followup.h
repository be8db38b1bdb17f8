/* followup.h - what follows when an attempt of a job failed, as its order asks: how often it is tried again, and when. Pure. */
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
};

/* Names of the members of an order that are read here. */
#define FOLLOWUP_MEMBERS "retry"
void followup_read(struct body *b, struct json order, struct followup *out);
/* The same, as members of the options of the job: nothing where nothing was asked. */
void followup_write(struct json_w *w, const struct followup *f);
