/* replay.h - what a job read, read again: the same flow as collect.h, with evidence in the place of a
 * site. No channel, no traffic. */
#pragma once

#include "worker/collect.h"

struct replay_answer { /* one piece of evidence; borrowed until the next one is asked for */
    int64_t attempt, batch;
    struct span strategy, name, url, headers, body;
    int status;
    wall at;
};
struct replay_face {
    /* The next answer in the order in which they were read; E_END after the last one. */
    err (*next)(void *ctx, struct replay_answer *out, struct fault *f);
    /* A record that the job would have. */
    err (*on_record)(void *ctx, const struct frame_item *item, struct fault *f);
    void *ctx;
};
struct replay_result {
    struct collect_result ending; /* FAILURE_NONE: it reads well */
    int64_t answers, posts, users;
};
/* order: kind, target, spec and limit of the job; its `have` and cursor are not used. The parts of the
 * evidence (attempts, strategies) follow each other as they did; how the last one ends is how the job
 * would end. Evidence that stops before the end of the list is no failure: then the end is
 * END_BUDGET. An error is one of the face's own. */
MUST_USE err replay_collect(const struct pack *pack, struct reader *r,
                            struct json_parser *parser, const struct collect_order *order,
                            const struct replay_face *face, struct arena *a,
                            struct arena *page_arena, struct replay_result *out,
                            struct fault *f);
/* Whether a job that ended as `was` may take this result. Where the failure was in no answer (network,
 * crash, ...) the answers cannot take it back: there has to be something that the job lacks. */
bool replay_repairs(enum failure_class was, const struct collect_result *now, int64_t gained);
