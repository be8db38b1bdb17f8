/* failure.h - what went wrong with a job, and what follows. THE table: one row per class.
 *
 * A row says what the class means in plain words, whether it is tried again and against which
 * budget, whether it counts for the lane's breaker, what it does to the session, the CLI exit code
 * and HTTP status of "why", and what a person should do. Everything else asks the table; the docs
 * page is generated from it. A suspended account is a fact about the target, not our failure. */
#pragma once

#include "base/span.h"

/* Which counter a failed attempt is charged to (queue.md §5). */
enum failure_budget {
    BUDGET_NONE,     /* final at once */
    BUDGET_FAIL,     /* n_fail: try again with backoff */
    BUDGET_CRASH,    /* n_crash: the attempt's process died */
    BUDGET_THROTTLE, /* n_throttle: the site said when */
    BUDGET_RELEASE,  /* n_release: not the job's fault, back to the front */
};

enum failure_class {
    FAILURE_NONE,
    FAILURE_BAD_INPUT,
    FAILURE_NOT_FOUND,
    FAILURE_PROTECTED,
    FAILURE_SUSPENDED,
    FAILURE_WITHHELD,
    FAILURE_LOGIN_REQUIRED,
    FAILURE_SESSION_INVALID,
    FAILURE_RATE_LIMITED,
    FAILURE_BLOCKED,
    FAILURE_NETWORK,
    FAILURE_TIMEOUT,
    FAILURE_STUCK,
    FAILURE_BROWSER,
    FAILURE_DRIFT,
    FAILURE_EMPTY_SUSPECT,
    FAILURE_RESOURCE,
    FAILURE_CRASH,
    FAILURE_CANCELLED,
    FAILURE_INTERNAL,
    FAILURE_COUNT
};

struct failure_row {
    const char *name;    /* "rate_limited"; stable, goes to API, metrics, docs */
    const char *meaning; /* one sentence for people */
    const char *advice;  /* what a person should do */
    enum failure_budget budget;
    bool about_target;  /* a fact about the target: not counted against success */
    bool breaker;       /* counts for the lane's breaker */
    bool session_cools; /* the session rests */
    int exit_code;      /* of the command line (cli.md §4) */
    int http;           /* status used when it is the answer itself */
};

const struct failure_row *failure_row(enum failure_class c); /* never NULL */
const char *failure_name(enum failure_class c);
/* Which counter it is charged to; final: the next attempt would end likewise, so there is none. */
enum failure_budget failure_charged(enum failure_class c, bool final);
bool failure_parse(struct span name, enum failure_class *out_class);
