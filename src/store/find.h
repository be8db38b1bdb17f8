/* find.h - jobs by what they are: for lists, and for operations that touch many (dead.h). */
#pragma once

#include "store/store.h"

/* What is not given matches everything. */
struct jobs_filter {
    unsigned states; /* bit 1 << enum job_state for each that is wanted; 0: any */
    struct span tenant, site, kind, target; /* target canonical */
    struct span lane;                       /* its whole name */
    int class;                              /* enum lane_class, or −1 */
    int failure;                            /* enum failure_class, or −1 */
    int64_t since_ms, until_ms;             /* of its acceptance, both included; 0: no bound */
    bool held;                              /* only those that somebody holds */
    struct span labels; /* that they all have, as core/labels.h writes them */
};
static inline struct jobs_filter jobs_filter_all(void)
{
    return (struct jobs_filter){.class = -1, .failure = -1};
}

/* The part of a job that a filter is about. */
struct jobs_facts {
    enum job_state state;
    enum failure_class failure;
    struct span site, kind, target, lane;
    struct span spec; /* its options: labels are a part of them */
    int64_t created_ms;
    bool held;
};
bool jobs_filter_matches(const struct jobs_filter *filter, const struct jobs_facts *job);

/* One look goes through so many jobs at most: a filter that hardly any job matches answers short pages,
 * which may be empty, and says where to go on. */
enum { FIND_LOOKS = 5000, FIND_MOST = 501 };
struct jobs_find {
    struct jobs_filter filter;
    struct span after; /* id of the last one seen; empty: from the beginning */
    /* In the order of acceptance: the number of `after`, so that one that is gone meanwhile holds nobody up. 0: looked up */
    int64_t after_number;
    /* by_end: when `after` had ended as it was seen, so that one that runs again or is gone meanwhile holds nobody up: those
     * that ended in the same millisecond may come again then. 0: as it has now */
    int64_t after_ended_ms;
    bool
        by_end; /* in the order in which they ended, those that have; else as they were accepted */
    bool oldest_first; /* else the newest first */
    size_t limit;      /* 1-FIND_MOST */
    bool
        only_count; /* the jobs themselves are not wanted: the answer may be without them, and of more than `limit` */
};
struct jobs_found {
    struct job_view
        *jobs; /* in the arena, which stays until the reader has finished with them */
    size_t count;
    size_t looked;         /* jobs in the wanted states that were looked at for it */
    char next[ID_TEXT];    /* not all was looked at: go on after this one; empty: it was */
    int64_t next_number;   /* after_number of that, not of by_end */
    int64_t next_ended_ms; /* after_ended_ms of that, of by_end */
    /* When the first and the last of all that it went by were accepted, wanted ones or not; 0: it went by none. */
    int64_t oldest_ms, newest_ms;
};
/* E_NOT_FOUND: there is no job `after`; E_CONFLICT: it has not ended. */
MUST_USE err store_jobs_find(struct store *s, const struct jobs_find *q, wall now,
                             struct arena *a, struct jobs_found *out, struct fault *f);
