/* ops.h - what makes a store: one table of operations for each kind. Only the kinds and dispatch.c include
 * it; whoever uses a store calls the functions of store.h and its sisters, which go through the table.
 *
 * An operation is a row OPERATION(result, name, parameters, arguments). */
#pragma once

#include "store/batches.h"
#include "store/clock.h"
#include "store/dead.h"
#include "store/durability.h"
#include "store/evidence.h"
#include "store/find.h"
#include "store/lanes.h"
#include "store/nodes.h"
#include "store/reader.h"
#include "store/schedules.h"
#include "store/sessions.h"
#include "store/store.h"
#include "store/together.h"
#include "store/webhooks.h"

/* clang-format off */
#define STORE_WEBHOOK_OPERATIONS(OPERATION) \
    OPERATION(err, webhook_add, \
        (struct store *s, const struct webhook_put *args, wall now, struct fault *f), \
        (s, args, now, f)) \
    OPERATION(err, webhook_change, \
        (struct store *s, const struct webhook_put *args, wall now, struct fault *f), \
        (s, args, now, f)) \
    OPERATION(err, hand, \
        (struct store *s, const struct hand_change *c, wall now, struct fault *f), \
        (s, c, now, f)) \
    OPERATION(err, webhook_rotate, \
        (struct store *s, const struct webhook_ask *args, wall now, struct fault *f), \
        (s, args, now, f)) \
    OPERATION(err, webhook_remove, \
        (struct store *s, const struct webhook_ask *args, struct fault *f), \
        (s, args, f)) \
    OPERATION(err, webhook_replay, \
        (struct store *s, const struct webhook_ask *args, wall now, struct fault *f), \
        (s, args, now, f)) \
    OPERATION(err, webhook, \
        (struct store *s, struct span id, struct arena *a, struct webhook_view *out, \
        struct fault *f), \
        (s, id, a, out, f)) \
    OPERATION(err, webhooks, \
        (struct store *s, struct arena *a, struct webhook_view **out, size_t *out_count, \
        struct fault *f), \
        (s, a, out, out_count, f)) \
    OPERATION(err, deliveries, \
        (struct store *s, const struct deliveries_query *q, struct arena *a, \
        struct delivery_view **out, size_t *out_count, struct fault *f), \
        (s, q, a, out, out_count, f)) \
    OPERATION(err, delivery, \
        (struct store *s, struct span id, struct arena *a, struct delivery_view *out, \
        struct fault *f), \
        (s, id, a, out, f)) \
    OPERATION(err, delivery_again, \
        (struct store *s, struct span id, wall now, char out_id[ID_TEXT], struct fault *f), \
        (s, id, now, out_id, f)) \
    OPERATION(err, webhook_ping, \
        (struct store *s, struct span webhook, wall now, char out_id[ID_TEXT], struct fault *f), \
        (s, webhook, now, out_id, f)) \
    OPERATION(err, webhooks_take, \
        (struct store *s, const struct webhooks_take_args *args, wall now, struct arena *a, \
        struct webhooks_taken *out, struct fault *f), \
        (s, args, now, a, out, f)) \
    OPERATION(err, webhook_done, \
        (struct store *s, const struct webhook_done_args *args, wall now, \
        struct webhook_done_reply *out, struct fault *f), \
        (s, args, now, out, f))
#define STORE_GROUP_OPERATIONS(OPERATION) \
    OPERATION(err, begin, (struct store *s, struct fault *f), (s, f)) \
    OPERATION(err, commit, (struct store *s, struct fault *f), (s, f))
#define STORE_SINGLE_OPERATIONS(OPERATION) \
    OPERATION(err, accept, \
        (struct store *s, const struct accept_args *args, wall now, struct accept_reply *out, \
        struct fault *f), \
        (s, args, now, out, f)) \
    OPERATION(err, change, \
        (struct store *s, const struct job_change *change, wall now, struct fault *f), \
        (s, change, now, f)) \
    OPERATION(err, reserve, \
        (struct store *s, const struct reserve_args *args, wall now, struct arena *a, \
        struct lease *out, struct fault *f), \
        (s, args, now, a, out, f)) \
    OPERATION(err, started, \
        (struct store *s, struct span id, uint64_t nonce, struct fault *f), \
        (s, id, nonce, f)) \
    OPERATION(err, heartbeat, \
        (struct store *s, struct span id, uint64_t nonce, wall now, \
        struct heartbeat_reply *out, struct fault *f), \
        (s, id, nonce, now, out, f)) \
    OPERATION(err, commit_batch, \
        (struct store *s, const struct commit_args *args, wall now, struct commit_reply *out, \
        struct fault *f), \
        (s, args, now, out, f)) \
    OPERATION(err, finish, \
        (struct store *s, const struct finish_args *args, wall now, struct finish_reply *out, \
        struct fault *f), \
        (s, args, now, out, f)) \
    OPERATION(err, cancel, \
        (struct store *s, const struct cancel_args *args, wall now, struct cancel_reply *out, \
        struct fault *f), \
        (s, args, now, out, f)) \
    OPERATION(err, reap, \
        (struct store *s, wall now, struct reap_reply *out, struct fault *f), \
        (s, now, out, f)) \
    OPERATION(err, retain, \
        (struct store *s, const struct retain_args *args, wall now, struct retain_reply *out, \
        struct fault *f), \
        (s, args, now, out, f)) \
    OPERATION(err, file_take, \
        (struct store *s, const struct file_take_args *args, struct file_take_reply *out, \
        struct fault *f), \
        (s, args, out, f)) \
    OPERATION(err, file_put, \
        (struct store *s, const struct file_put_args *args, wall now, struct fault *f), \
        (s, args, now, f)) \
    OPERATION(err, file, \
        (struct store *s, struct span hash, struct file_view *out, struct fault *f), \
        (s, hash, out, f)) \
    OPERATION(err, files_tend, \
        (struct store *s, wall now, bool *out_more, struct fault *f), \
        (s, now, out_more, f)) \
    OPERATION(err, outlook, \
        (struct store *s, wall now, struct outlook *out, struct fault *f), \
        (s, now, out, f)) \
    OPERATION(err, job, \
        (struct store *s, struct span id, wall now, struct arena *a, struct job_view *out, \
        struct fault *f), \
        (s, id, now, a, out, f)) \
    OPERATION(err, keyed, \
        (struct store *s, struct span tenant, struct span key, wall now, char out_id[ID_TEXT], \
        struct fault *f), \
        (s, tenant, key, now, out_id, f)) \
    OPERATION(err, jobs, \
        (struct store *s, const struct jobs_query *q, wall now, struct arena *a, \
        struct job_view **out_jobs, size_t *out_count, struct fault *f), \
        (s, q, now, a, out_jobs, out_count, f)) \
    OPERATION(err, jobs_find, \
        (struct store *s, const struct jobs_find *q, wall now, struct arena *a, \
        struct jobs_found *out, struct fault *f), \
        (s, q, now, a, out, f)) \
    OPERATION(err, items, \
        (struct store *s, struct span id, int kind, int64_t after, size_t limit, \
        size_t bytes_max, struct arena *a, struct item_view **out_items, size_t *out_count, \
        struct fault *f), \
        (s, id, kind, after, limit, bytes_max, a, out_items, out_count, f)) \
    OPERATION(err, events, \
        (struct store *s, int64_t after, struct span job, size_t limit, struct arena *a, \
        struct event_view **out_events, size_t *out_count, struct fault *f), \
        (s, after, job, limit, a, out_events, out_count, f)) \
    OPERATION(int64_t, last_event, (struct store *s), (s)) \
    OPERATION(err, fields, \
        (struct store *s, struct span site, int64_t hours, wall now, struct arena *a, \
        struct fields_view *out, struct fault *f), \
        (s, site, hours, now, a, out, f)) \
    OPERATION(err, drift, \
        (struct store *s, wall now, int64_t out_marks[DRIFT_MARKS], struct fault *f), \
        (s, now, out_marks, f)) \
    OPERATION(err, retain_fields, \
        (struct store *s, wall before, struct fault *f), \
        (s, before, f)) \
    OPERATION(err, mode_set, \
        (struct store *s, enum store_mode mode, struct span by, struct span why, wall now, \
        struct fault *f), \
        (s, mode, by, why, now, f)) \
    OPERATION(err, mode_get, \
        (struct store *s, struct arena *a, struct mode_view *out, struct fault *f), \
        (s, a, out, f)) \
    OPERATION(err, lanes, \
        (struct store *s, const struct lanes_query *q, wall now, struct arena *a, \
        struct lane_view **out_lanes, size_t *out_count, struct span *out_next, \
        struct fault *f), \
        (s, q, now, a, out_lanes, out_count, out_next, f)) \
    OPERATION(err, lane, \
        (struct store *s, struct span name, wall now, struct arena *a, struct lane_view *out, \
        struct fault *f), \
        (s, name, now, a, out, f)) \
    OPERATION(err, lane_meter, \
        (struct store *s, struct span name, int64_t window_ms, wall now, struct meter_sums *out, \
        struct fault *f), \
        (s, name, window_ms, now, out, f)) \
    OPERATION(err, lane_bounds, \
        (struct store *s, struct span name, wall now, struct arena *a, \
        struct lane_bounds *out, struct fault *f), \
        (s, name, now, a, out, f)) \
    OPERATION(err, lane_change, \
        (struct store *s, const struct lane_change *c, wall now, struct fault *f), \
        (s, c, now, f)) \
    OPERATION(err, lane_purge, \
        (struct store *s, const struct lane_purge *p, wall now, int64_t *out_cancelled, \
        bool *out_more, struct fault *f), \
        (s, p, now, out_cancelled, out_more, f)) \
    OPERATION(err, limits, \
        (struct store *s, const struct limits_query *q, struct arena *a, struct limits_page *out, \
        struct fault *f), \
        (s, q, a, out, f)) \
    OPERATION(err, limit_set, \
        (struct store *s, const struct limit_view *limit, wall now, struct fault *f), \
        (s, limit, now, f)) \
    OPERATION(err, evidence_add, \
        (struct store *s, const struct evidence_args *args, wall now, \
        struct evidence_reply *out, struct fault *f), \
        (s, args, now, out, f)) \
    OPERATION(err, evidence_list, \
        (struct store *s, struct span id, struct arena *a, struct evidence_list *out, \
        struct fault *f), \
        (s, id, a, out, f)) \
    OPERATION(err, evidence_read, \
        (struct store *s, struct span id, int64_t n, struct arena *a, \
        struct evidence_view *out, struct fault *f), \
        (s, id, n, a, out, f)) \
    OPERATION(err, evidence_retain, \
        (struct store *s, wall now, bool *out_more, struct fault *f), \
        (s, now, out_more, f)) \
    OPERATION(bool, evidence_sweep, (struct store *s), (s)) \
    OPERATION(err, repair, \
        (struct store *s, const struct repair_args *args, wall now, struct repair_reply *out, \
        struct fault *f), \
        (s, args, now, out, f)) \
    OPERATION(err, replay, \
        (struct store *s, const struct replay_args *args, wall now, struct replay_reply *out, \
        struct fault *f), \
        (s, args, now, out, f)) \
    OPERATION(err, forget, \
        (struct store *s, struct span id, wall now, struct fault *f), \
        (s, id, now, f)) \
    OPERATION(err, dead_groups, \
        (struct store *s, const struct dead_query *q, struct arena *a, \
        struct dead_group **out_groups, size_t *out_count, bool *out_more, struct fault *f), \
        (s, q, a, out_groups, out_count, out_more, f)) \
    OPERATION(err, operation_start, \
        (struct store *s, const struct operation_args *args, wall now, struct arena *a, \
        struct operation_view *out, struct fault *f), \
        (s, args, now, a, out, f)) \
    OPERATION(err, operation_cancel, \
        (struct store *s, struct span id, wall now, struct fault *f), \
        (s, id, now, f)) \
    OPERATION(err, operation, \
        (struct store *s, struct span id, struct arena *a, struct operation_view *out, \
        struct fault *f), \
        (s, id, a, out, f)) \
    OPERATION(err, operations, \
        (struct store *s, struct span after, size_t limit, struct arena *a, \
        struct operation_view **out, size_t *out_count, struct fault *f), \
        (s, after, limit, a, out, out_count, f)) \
    OPERATION(err, tend, (struct store *s, wall now, struct fault *f), (s, now, f)) \
    OPERATION(err, retain_batches, \
        (struct store *s, wall before, bool *out_more, struct fault *f), \
        (s, before, out_more, f)) \
    OPERATION(err, batch_create, \
        (struct store *s, const struct batch_args *args, wall now, struct arena *a, \
        struct batch_reply *out, struct fault *f), \
        (s, args, now, a, out, f)) \
    OPERATION(err, batch_add, \
        (struct store *s, const struct batch_add_args *args, wall now, struct arena *a, \
        struct batch_reply *out, struct fault *f), \
        (s, args, now, a, out, f)) \
    OPERATION(err, batch_seal, \
        (struct store *s, struct span id, wall now, struct fault *f), \
        (s, id, now, f)) \
    OPERATION(err, batch_cancel, \
        (struct store *s, struct span id, struct span operation_id, wall now, \
        struct arena *a, struct operation_view *out, struct fault *f), \
        (s, id, operation_id, now, a, out, f)) \
    OPERATION(err, batch_retry, \
        (struct store *s, struct span id, const struct operation_args *args, wall now, \
        struct arena *a, struct operation_view *out, struct fault *f), \
        (s, id, args, now, a, out, f)) \
    OPERATION(err, batch, \
        (struct store *s, struct span id, struct arena *a, struct batch_view *out, \
        struct fault *f), \
        (s, id, a, out, f)) \
    OPERATION(err, batch_keyed, \
        (struct store *s, struct span tenant, struct span batch, struct span key, \
        struct fault *f), \
        (s, tenant, batch, key, f)) \
    OPERATION(err, batches, \
        (struct store *s, struct span after, size_t limit, struct arena *a, \
        struct batch_view **out, size_t *out_count, bool *out_more, struct fault *f), \
        (s, after, limit, a, out, out_count, out_more, f)) \
    OPERATION(err, batch_jobs, \
        (struct store *s, const struct batch_jobs_query *q, wall now, struct arena *a, \
        struct job_view **out, size_t *out_count, struct fault *f), \
        (s, q, now, a, out, out_count, f)) \
    OPERATION(err, batch_items, \
        (struct store *s, struct span id, int kind, size_t limit, size_t bytes_max, \
        struct arena *a, struct batch_place *place, struct item_view **out, \
        size_t *out_count, struct fault *f), \
        (s, id, kind, limit, bytes_max, a, place, out, out_count, f)) \
    OPERATION(err, session_add, \
        (struct store *s, const struct session_add *args, wall now, struct fault *f), \
        (s, args, now, f)) \
    OPERATION(err, session_cookies, \
        (struct store *s, const struct session_cookies *args, wall now, struct fault *f), \
        (s, args, now, f)) \
    OPERATION(err, session_lock, \
        (struct store *s, struct span session, bool locked, struct span reason, wall now, \
        struct fault *f), \
        (s, session, locked, reason, now, f)) \
    OPERATION(err, session_remove, \
        (struct store *s, struct span session, struct fault *f), \
        (s, session, f)) \
    OPERATION(err, session, \
        (struct store *s, struct span session, wall now, struct session_view *out, \
        struct fault *f), \
        (s, session, now, out, f)) \
    OPERATION(err, sessions, \
        (struct store *s, struct span site, struct span pool, wall now, struct arena *a, \
        struct session_view **out, size_t *out_count, struct fault *f), \
        (s, site, pool, now, a, out, out_count, f)) \
    OPERATION(err, session_open, \
        (struct store *s, struct span job, uint64_t nonce, struct secret *out, \
        struct fault *f), \
        (s, job, nonce, out, f)) \
    OPERATION(err, schedule_put, \
        (struct store *s, const struct schedule_put *args, wall now, struct arena *a, \
        struct schedule_view *out, struct fault *f), \
        (s, args, now, a, out, f)) \
    OPERATION(err, schedule_delete, \
        (struct store *s, const struct schedule_ask *args, struct fault *f), \
        (s, args, f)) \
    OPERATION(err, schedule_pause, \
        (struct store *s, const struct schedule_ask *args, wall now, struct arena *a, \
        struct schedule_view *out, struct fault *f), \
        (s, args, now, a, out, f)) \
    OPERATION(err, schedule_trigger, \
        (struct store *s, const struct schedule_ask *args, wall now, struct arena *a, \
        struct schedule_fired *out, struct fault *f), \
        (s, args, now, a, out, f)) \
    OPERATION(err, schedule_backfill, \
        (struct store *s, const struct schedule_backfill *args, wall now, struct arena *a, \
        struct schedule_fired *out, struct fault *f), \
        (s, args, now, a, out, f)) \
    OPERATION(err, schedules_due, \
        (struct store *s, wall now, wall elapsed, bool set_back, struct arena *a, \
        struct schedules_due *out, struct fault *f), \
        (s, now, elapsed, set_back, a, out, f)) \
    OPERATION(err, schedule_fire, \
        (struct store *s, const struct schedule_fire *args, wall now, struct arena *a, \
        struct schedule_fired *out, struct fault *f), \
        (s, args, now, a, out, f)) \
    OPERATION(err, schedule, \
        (struct store *s, struct span tenant, struct span id, struct arena *a, \
        struct schedule_view *out, struct fault *f), \
        (s, tenant, id, a, out, f)) \
    OPERATION(err, schedules, \
        (struct store *s, const struct schedules_query *q, struct arena *a, \
        struct schedules_list *out, struct fault *f), \
        (s, q, a, out, f)) \
    OPERATION(err, schedule_runs, \
        (struct store *s, const struct schedule_runs_query *q, struct arena *a, \
        struct schedule_runs *out, struct fault *f), \
        (s, q, a, out, f)) \
    OPERATION(err, node_beat, \
        (struct store *s, const struct node_beat *beat, wall now, struct fault *f), \
        (s, beat, now, f)) \
    OPERATION(err, nodes, \
        (struct store *s, wall now, struct arena *a, struct node_view **out, size_t *out_count, \
        struct fault *f), \
        (s, now, a, out, out_count, f)) \
    STORE_WEBHOOK_OPERATIONS(OPERATION)
#define STORE_OPERATIONS(OPERATION) STORE_GROUP_OPERATIONS(OPERATION) STORE_SINGLE_OPERATIONS(OPERATION)
/* clang-format on */

struct store_ops {
    const char *name; /* "sqlite" */
    void (*close)(struct store **s);
    void (*idle)(struct store *s);
    /* Of durability.h; NULL: on the disk, always. */
    enum durability (*durability)(const struct store *s, bool *out_confirmed);
    bool (*is_away)(const struct store *s);                  /* likewise; NULL: never */
    err (*keeps)(struct store *s, struct fault *f);          /* likewise; NULL: always */
    const struct store_loss *(*loss)(const struct store *s); /* likewise; NULL: none */
    struct span (*id)(const struct store *s);                /* likewise; NULL: it has none */
    err (*replication)(struct store *s, struct store_replication *out,
                       struct fault *f); /* likewise; NULL: it has none */
    /* Of together.h; NULL: one by one costs it nothing. */
    void (*together)(struct store *s, struct store_op **ops, size_t n, wall now);
    /* Of clock.h; NULL: it has a clock of its own. */
    void (*clock_found)(struct store *s, wall *out_at, wall *out_last);
    void (*clock_tell)(struct store *s, int64_t real_ahead_ms);
    /* Of reader.h; all NULL: it has none. */
    err (*reader_open)(struct store **out, struct store *of, int64_t most_ms, struct fault *f);
    err (*reader_begin)(struct store *reader, struct fault *f);
    bool (*reader_end)(struct store *reader, struct unsure **out_unsure);
    void (*reader_finish)(struct store *of, struct unsure *unsure, wall now);
    void (*reader_stop)(struct store *reader);
    bool (*check_due)(
        const struct store *s); /* NULL: it looks at everything when it is opened */
    err (*reader_check)(struct store *reader, int64_t *place, struct fault *f);
#define OPERATION(result, name, parameters, arguments) result(*name) parameters;
    STORE_OPERATIONS(OPERATION)
#undef OPERATION
};

/* The first member of every kind's struct store. */
struct store_head {
    const struct store_ops *ops;
};
