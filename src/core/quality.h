/* quality.h - what an order calls a good result, and what becomes of a job that brings less. Pure. */
#pragma once

#include "base/json.h"
#include "core/failure.h"
#include "core/verdict.h"

enum on_empty {
    ON_EMPTY_SUSPECT, /* good when it is proven */
    ON_EMPTY_ACCEPT,  /* good, though nothing is proven then */
    ON_EMPTY_FAIL,    /* never good */
};
extern const char *const on_empty_names[]; /* in the order of the enum; NULL at the end */

struct quality {
    int64_t min_posts; /* records of what the job is about; 0 any number */
    enum on_empty on_empty;
};
/* From a job's options. */
struct quality quality_read(struct json options);

struct judged { /* how a job ends */
    enum failure_class failure;
    enum verdict verdict;
    bool final; /* of a failure: it would come again */
};
enum quality_says {
    QUALITY_NOTHING, /* it ends as it does */
    QUALITY_ACCEPTED, /* nothing came, and that is good: partial, as nobody said that this is all */
    QUALITY_EMPTY,   /* nothing came, whoever says that there is nothing: the end */
    QUALITY_TOO_FEW, /* tried again, unless `spent`: nothing more would be asked for */
};
/* have: records that the job has; lost: some could not be read, or were kept apart: it is not known to be empty. */
enum quality_says quality_judge(const struct quality *q, int64_t have, bool lost, bool spent,
                                struct judged *j);
