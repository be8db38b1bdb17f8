/* terms.h - how a job stands in the queue, as its order asks: whose it is and how urgent, when it may
 * start and until when anybody wants it, what becomes of equal work. Pure. */
#pragma once

#include "api/body.h"
#include "core/bounds.h"
#include "core/lane.h"
#include "core/unique.h"

enum {
    TERMS_WAIT_MAX_S = 366 * 86400, /* of expires_s, deadline_s, max_age_s, stale_if_error_s */
    TERMS_ATTEMPT_MAX_S = 86400,    /* as job.attempt_timeout */
    TERMS_IDLE_MAX_S = 3600,        /* as job.stall_timeout */
    TERMS_KEY_MAX = 256,
};

enum coalesce { COALESCE_AS_CONFIGURED, COALESCE_NO, COALESCE_YES };

struct terms {
    struct span tenant;
    enum lane_class class;         /* interactive, normal or bulk */
    int64_t not_before_ms;         /* an instant; 0 now */
    int64_t expires_s, deadline_s; /* from then on; 0 none */
    int64_t attempt_s, idle_s;     /* 0 as configured */
    int64_t navigation_s;          /* likewise; kept with the options */
    struct span unique_key;        /* empty: none */
    enum unique_mode on_conflict;
    int64_t fresh_within_s;              /* of the unique key; 0 not asked */
    int64_t max_age_s, stale_if_error_s; /* 0 not asked */
    enum coalesce coalesce;
    bool hold; /* may not start until somebody lets it go */
};

/* Names of the members of an order that are read here. */
#define TERMS_MEMBERS                                                                          \
    "class", "tenant", "not_before", "expires_s", "deadline_s", "timeouts", "unique",          \
        "max_age_s", "stale_if_error_s", "coalesce", "hold"
/* since_last: the order wants what is new, which no earlier or other job can have. */
void terms_read(struct body *b, struct json order, bool since_last, struct terms *out);

/* For the command line: the names, NULL-terminated, in the order of their enums. */
extern const char *const terms_classes[];
extern const char *const terms_conflicts[];
