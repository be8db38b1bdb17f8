/* collect.h - one job from start to end, as a story: open, read, commit, ask for more. */
#pragma once

#include "core/evidence.h"
#include "core/failure.h"
#include "core/verdict.h"
#include "worker/page.h"

struct collect_order { /* from FRAME_JOB */
    int64_t limit, next_batch, have, navigate_ms, batch_ms, fetch_ms;
    enum evidence_keep keep;
    int64_t filtered; /* left out by earlier attempts */
    struct span site, kind, target, spec, cursor, base_url, instances, known;
};

struct collect_result {
    enum failure_class failure; /* FAILURE_NONE: ended well */
    enum verdict verdict;
    enum end_reason end;
    int64_t wait_ms;
    bool final;                      /* it would fail so again */
    struct span why, report, counts; /* in the arena; counts: of fields, see core/drift.h */
};

/* Runs the job. What it allocates is in `a`, what one page brought in `page_arena`. Returns when the job is over, whatever happened. */
void collect_run(struct channel *c, const struct pack *pack, struct reader *r,
                 struct json_parser *events, const struct collect_order *order, struct arena *a,
                 struct arena *page_arena, struct collect_result *out);
