/* usage.h - what an attempt at a job took: processor, memory, network, and where its time went. Pure.
 *
 * As text, which stores keep, they are numbers in the order of the table with blanks between; −1: nobody knows. A later
 * version may add some at the end. Of a job it is that of its attempts together. */
#pragma once

#include "base/json.h"

/* clang-format off */
#define USAGE_TABLE(X)                                                                         \
    X(USAGE_CPU_MS, "cpu_ms")           /* of the worker and of the page's renderer */          \
    X(USAGE_PEAK_BYTES, "peak_pss_bytes") /* of both; of a job that of its largest attempt */   \
    X(USAGE_NET_BYTES, "net_bytes")     /* that the site sent */                                \
    X(USAGE_REQUESTS, "requests")       /* of the page, and without one */                      \
    X(USAGE_CONTEXT_MS, "context_ms")   /* for which it had a page */                           \
    X(USAGE_OPENING, "opening_ms")      /* from the lease until its worker was told */          \
    X(USAGE_NAVIGATING, "navigating_ms")                                                       \
    X(USAGE_WAITING, "waiting_ms")      /* for data of the page */                              \
    X(USAGE_FETCHING, "fetching_ms")    /* without a browser */                                 \
    X(USAGE_STORING, "storing_ms")                                                             \
    X(USAGE_MEDIA, "media_ms")                                                                 \
    X(USAGE_EVIDENCE, "evidence_ms")    /* pictures of a page that failed */                    \
    X(USAGE_WORKING, "working_ms")      /* all else */
/* clang-format on */

enum usage_part {
#define USAGE_PART(part, name) part,
    USAGE_TABLE(USAGE_PART) USAGE_PARTS
#undef USAGE_PART
};
enum { USAGE_TEXT = 280, USAGE_UNKNOWN = -1 };
static const int64_t USAGE_MOST = 9007199254740991; /* a number that every store can keep */

struct usage {
    int64_t n[USAGE_PARTS];
};

struct usage usage_none(void); /* nothing is known */
/* The phase that a step of the worker belongs to: "goto" is USAGE_NAVIGATING. */
enum usage_part usage_phase_of(struct span step);
void usage_count(struct usage *u, enum usage_part part, int64_t more);
/* Of two attempts: their sum, the larger peak. What one of them does not know is as the other says. */
void usage_add(struct usage *sum, const struct usage *more);

struct span usage_write(const struct usage *u, char out[USAGE_TEXT]);
/* What is no such text is not known. */
struct usage usage_read(struct span text);

/* Members "usage" and "phases" of the object that is being written; each null where nothing of it is known. */
void usage_put(struct json_w *w, const struct usage *u);
/* The one, or the other. */
void usage_put_sums(struct json_w *w, const struct usage *u);
void usage_put_phases(struct json_w *w, const struct usage *u);
