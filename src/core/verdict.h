/* verdict.h - how a job that ends well ended, and why it stopped there (records.md §5). */
#pragma once

#include "base/span.h"

enum verdict {
    VERDICT_NONE,
    VERDICT_COMPLETE,
    VERDICT_PARTIAL,
    VERDICT_EMPTY_CONFIRMED,
    VERDICT_SAMPLED,
    VERDICT_COUNT
};

enum end_reason {
    END_NONE,
    END_LIMIT,          /* as many as asked for */
    END_TERMINATE,      /* the source said: no more */
    END_NO_NEW_IDS,     /* three pages in a row without a new id */
    END_OLDEST_REACHED, /* older than `since` */
    END_CURSOR_REPEAT,  /* the same cursor came again without a new id */
    END_BUDGET,         /* turns or bytes of the job used up */
    END_KNOWN_REACHED,  /* from here on all was brought by earlier jobs of the same target */
    END_COUNT
};

/* What a collection saw; the rule below turns it into a verdict or FAILURE_EMPTY_SUSPECT. */
struct verdict_facts {
    int64_t posts; /* committed, all attempts */
    int64_t lost;  /* entries that should be a post and could not be read, or failed a check */
    bool since_last;  /* only what is new was asked for, and there was a job before */
    int64_t left_out; /* posts that came and were left out as the job asked */
    int64_t claimed;  /* posts the profile says the account has; -1 unknown */
    /* emptyState text, terminate on page one, or search without result */
    bool source_said_empty;
    bool sampled; /* an anonymous view: a sample whose emptiness proves nothing */
    bool guest;   /* nobody was logged in: what was shown may be a sample */
    /* posts one after the other, pinned ones aside; of these: the later one is newer */
    int64_t pairs, rises;
    /* the site shows about so many of a list, and no end beyond; 0: all */
    int64_t shows_at_most;
    enum end_reason end;
};
/* A page of which this many posts were read and this many lost: has the site changed? One broken post
 * among many is no change; three or more that are a fifth of the page are. */
bool verdict_is_drift(int64_t read, int64_t lost);
/* A guest is shown a few of the posts, often the best liked ones: fewer than the profile claims, or out of the
 * order of time (a quarter of them and more). Where the site shows only the first so many of a list that is
 * longer, the end of what it shows is not the end. Where something was lost nothing is complete. VERDICT_NONE means: 200 and nothing, without proof (empty_suspect). */
enum verdict verdict_decide(const struct verdict_facts *facts);
const char *verdict_name(enum verdict v);
const char *end_reason_name(enum end_reason r);
bool verdict_parse(struct span name, enum verdict *out);
bool end_reason_parse(struct span name, enum end_reason *out);
