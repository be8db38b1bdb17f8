/* bounds.h - what an order allows a job to take, and when it is used up. Pure.
 *
 * A budget that is used up ends the job well, with what it has (END_BUDGET). An attempt that goes above a ceiling is stopped,
 * and has failed: the next one would go there, too. */
#pragma once

#include "base/json.h"

/*  X(id, "name of it in an order", its unit, in what it is counted; BUDGET or CEILING) */
#define BOUNDS(X)                                                                              \
    X(BOUND_PAGES, "max_pages", 1, BUDGET) /* that brought something, over all attempts */     \
    X(BOUND_BYTES, "max_bytes", 1, BUDGET) /* from the site, over all attempts */              \
    X(BOUND_REQUESTS, "resources.max_requests", 1,                                             \
      BUDGET) /* of one attempt, as the next ones */                                           \
    X(BOUND_MEMORY, "resources.memory_mib", 1 << 20, CEILING) /* of worker and page */         \
    X(BOUND_CPU, "resources.cpu_s", 1000, CEILING)            /* likewise, counted in ms */

enum bound {
    BOUND_NONE,
#define BOUND_ENUM(id, name, unit, kind) id,
    BOUNDS(BOUND_ENUM)
#undef BOUND_ENUM
        BOUND_COUNT
};

enum {
    BOUND_PAGES_MAX = 100000,
    BOUND_NAVIGATION_MAX_S = 600,
    BOUND_REQUESTS_MAX = 1000000,
    BOUND_MEMORY_MIN_MIB = 64,
    BOUND_MEMORY_MAX_MIB = 8192,
    BOUND_CPU_MAX_S = 86400,
    BOUND_WORDS = 200,
};
static const int64_t BOUND_BYTES_MIN = 64 * 1024, BOUND_BYTES_MAX = 1LL << 40;

struct bounds {
    int64_t most[BOUND_COUNT]; /* as the order says; 0: not given */
    int64_t navigation_s;      /* a page has opened by then; 0: as configured */
};

/* What is given of them, as members of the object that is being written: of a job's options. */
void bounds_put(struct json_w *w, const struct bounds *b);
/* From a job's options, which is what bounds_put() wrote. */
struct bounds bounds_read(struct json options);

const char *bound_name(enum bound b); /* never of BOUND_NONE */
/* So much of it was taken, as it is counted: is a budget used up, is it above a ceiling? Never where it was not given. */
bool bounds_reached(const struct bounds *b, enum bound which, int64_t taken);
/* Why a job ends by it that has nothing to show; of a ceiling why the attempt was stopped. most: as the order says. */
struct span bounds_words(enum bound which, int64_t most, int64_t taken, char out[BOUND_WORDS]);
