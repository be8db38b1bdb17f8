/* asked.h - what may be asked of a store, whatever kind it is: checks of arguments, and the words of answers
 * that every kind gives. Pure. */
#pragma once

#include "core/lane.h"
#include "core/webhook.h"
#include "store/batches.h"
#include "store/dead.h"
#include "store/evidence.h"
#include "store/find.h"
#include "store/lanes.h"
#include "store/sessions.h"
#include "store/store.h"

enum {
    SITE_NAME = 64,
    TARGET_MAX = STORE_TARGET_MAX,
    ORD_PER_BATCH = 100000, /* positions in every store are the same */
    PURGE_WORDS = 4 * LANE_NOTE
};

#define ACCEPT_DROPPED "its lane was full, and a job that starts before it came"
/* Of a list that is to go on after a job. */
err asked_no_after(struct span id, struct fault *f);
err asked_after_runs(struct span id, struct fault *f);
MUST_USE err asked_filter(const struct jobs_filter *filter, struct fault *f);
/* E_BAD_INPUT. out borrows from the arguments. */
MUST_USE err asked_accept(const struct accept_args *args, struct lane_name *out,
                          struct fault *f);
MUST_USE err asked_change(const struct job_change *c, struct fault *f);
/* How the lane of a filter is kept with an operation. A version before labels would not see them, and touch all jobs of the
 * lane: it finds no lane of this name, and touches none. */
enum { FILED_LANE = LANE_NAME + 1 };
struct span asked_lane_filed(const struct jobs_filter *by, char out[FILED_LANE]);
struct span asked_lane_of(struct span filed);
/* Nothing but labels is to be changed. */
bool asked_labels_only(const struct job_change *c);
const char *asked_change_event(enum job_hold hold); /* "job.held" */
/* Why a job is not changed: E_CONFLICT it does not wait, has more records than that, shares its result; E_STALE. */
MUST_USE err asked_waits(struct span id, enum job_state state, struct fault *f);
MUST_USE err asked_options_long(struct fault *f); /* E_TOO_BIG, with their labels */
MUST_USE err asked_labels_full(struct span id, struct fault *f); /* E_TOO_BIG */
MUST_USE err asked_has_more(struct span id, int64_t have, struct fault *f);
MUST_USE err asked_shared(struct span id, struct span with, struct fault *f);
/* Why an ended job does not go, or is none: E_CONFLICT. */
MUST_USE err asked_ended(struct span id, enum job_state state, struct fault *f);
MUST_USE err asked_needed(struct span id, struct fault *f);
MUST_USE err asked_revision(struct span id, int64_t revision, struct fault *f);
MUST_USE err asked_lane(struct span name, struct lane_name *out, struct fault *f);
/* The smaller one of two limits; 0 or less: none. */
int64_t asked_least(int64_t a, int64_t b);
/* Whether jobs are taken in this mode: E_DRAINING, E_MAINTENANCE. */
MUST_USE err asked_mode(enum store_mode mode, struct fault *f);
/* No further job: E_CLOSED this lane, E_BUSY so many wait. */
MUST_USE err asked_closed(struct span lane, struct fault *f);
/* This lane may have no more waiting jobs: E_BUSY. */
MUST_USE err asked_depth(struct span lane, int64_t depth, struct fault *f);
MUST_USE err asked_full(int64_t ready_max, struct fault *f);
/* Kinds up to `last`; of_users: the job that they are for has no posts. E_BAD_INPUT, E_TOO_BIG. */
MUST_USE err asked_items(const struct store_item *items, size_t count, enum item_kind last,
                         bool of_users, struct span job, struct fault *f);
/* No room for a job on the disk of that folder: E_DISK_FULL. */
MUST_USE err asked_disk(int64_t free_bytes, const char *dir, struct fault *f);
/* No further lane: E_BUSY. lanes_max: as of struct store_limits. */
MUST_USE err asked_lanes_full(int64_t lanes_max, struct fault *f);
int64_t asked_lanes_most(int64_t lanes_max); /* how many there may be */
/* Of a job that counts `counts`. E_BAD_INPUT, E_TOO_BIG. */
MUST_USE err asked_batch(const struct commit_args *args, enum item_kind counts,
                         struct fault *f);

/* ---- batches of jobs ---- */
MUST_USE err asked_batch_new(const struct batch_args *a, struct fault *f);
MUST_USE err asked_batch_jobs(size_t count, struct span key, struct fault *f);
/* A job of a batch has no key of a request of its own. */
MUST_USE err asked_child(const struct accept_args *job, struct fault *f);
/* Notes a job that was refused. reply->refused has room for it; its words are kept in the arena. */
MUST_USE err asked_child_refused(struct batch_reply *reply, size_t index, err code,
                                 struct span words, struct arena *a, struct fault *f);
/* Why nothing was stored: the first refusal. `whole`: because of that one alone. */
err asked_batch_refused(const struct batch_reply *reply, bool whole, struct fault *f);
err asked_child_there(struct span job, struct fault *f); /* equal work, by its unique key */
err asked_no_batch(struct span id, struct fault *f);
err asked_batch_exists(struct span id, struct fault *f);
err asked_batch_sealed(struct span id, struct fault *f);
err asked_batch_full(struct fault *f);
err asked_batch_ended(struct span id, struct fault *f);
err asked_batch_well(struct span id, struct fault *f); /* nothing to retry */
err asked_batch_busy(struct span operation, struct fault *f);
err asked_key_used(struct fault *f); /* with another body */
err asked_no_key(struct fault *f);
err asked_operation_exists(struct span id, struct fault *f);

/* What of a repair does not depend on the job. */
MUST_USE err asked_repair(const struct repair_args *a, struct fault *f);
MUST_USE err asked_operation(const struct operation_args *a, struct fault *f);
MUST_USE err asked_session(const struct session_add *a, struct fault *f);
/* Cookies of this print come to a session that has those of that one, or none. */
MUST_USE err asked_rotation(const struct session_cookies *a, struct span print_before,
                            const char *print, struct fault *f);

MUST_USE err asked_lane_change(const struct lane_change *c, struct fault *f);
const char *asked_lane_event(enum lane_act act); /* "lane.paused" */
MUST_USE err asked_hand(const struct hand_change *c, struct fault *f);
const char *asked_hand_event(enum hand_act act); /* "breaker.opened" */
/* Why a session cannot be closed, whose breaker is: E_CONFLICT; E_OK: it can. Each 0 or not. */
MUST_USE err asked_session_closes(struct span id, bool cookies, bool refused, bool expired,
                                  struct fault *f);
err asked_webhook_off(struct span id, struct fault *f);
/* out_words: why its jobs end. */
MUST_USE err asked_purge(const struct lane_purge *p, char out_words[PURGE_WORDS],
                         struct fault *f);
MUST_USE err asked_limit(const struct limit_view *v, struct fault *f);
const char *asked_scope(enum limit_scope scope); /* "tenant" */
