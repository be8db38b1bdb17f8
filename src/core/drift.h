/* drift.h - has the site changed? Counts of where each field of a record came from, and the rule that
 * says which of them are not what they were. Pure.
 *
 * Counts travel from worker to store as text, a line each:
 *
 *   =1-1f3a9c02                     version of the pack whose counts follow
 *   post.text_raw 0 12 71           field: missing 0 times, 12 from its first path, 71 from its second
 *   +post.legacy.mood 3             a member that no map knows, and how often it was seen
 */
#pragma once

#include "base/span.h"

enum { DRIFT_PATHS = 20, DRIFT_NAME = 128, DRIFT_TEXT_MAX = 24 * 1024 };

struct drift_line {
    bool news;        /* a member that no map knows */
    struct span map;  /* writing only: stands before the name, with a dot */
    struct span name; /* "post.text_raw" */
    int64_t missing, hits[DRIFT_PATHS];
    size_t paths;
};
void drift_add_version(struct buf *out, struct span version);
void drift_add_line(struct buf *out, const struct drift_line *line);
/* Takes one line out of *rest; *version changes at its lines, which are not told. False at the end. A
 * line that is none is passed over: it came from another process. */
bool drift_next_line(struct span *rest, struct span *version, struct drift_line *out);

/* ---- the rule ---- */

/* What was counted of one field in some stretch of time. */
struct drift_counts {
    int64_t missing, hits[DRIFT_PATHS];
};
enum drift_mark {
    DRIFT_NONE,
    DRIFT_MISSING,  /* it is missing clearly more often than before */
    DRIFT_FALLBACK, /* it comes from other paths than before */
    DRIFT_MEMBER,   /* the site sends a member that it did not send before */
    DRIFT_MARKS
};
const char *drift_mark_name(enum drift_mark m);
/* Is `now` another thing than `before`? Both shares of a field: at least DRIFT_BEFORE records before,
 * a share that rose by a tenth (missing) or a fifth (other paths), or a path that never came before in a
 * fiftieth of the records; and counts that come by chance less than once in ten thousand looks. */
enum { DRIFT_BEFORE = 20 };
enum drift_mark drift_judge(const struct drift_counts *before, const struct drift_counts *now);
/* At most this likely are k or more of n, when each comes with probability p. */
double drift_tail(int64_t k, int64_t n, double p);
