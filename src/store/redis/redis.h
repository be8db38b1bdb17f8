/* redis.h - the store of several machines: the queue in one Redis that all of them share (queue.md §11), what
 * the jobs brought in an archive (store/archive.h).
 *
 * Each transition is one script, so it is whole or not done. A group is no transaction: what was done in it
 * stays done. A script that was not answered is asked again with the same number, and answers what it did;
 * what is not known even then is an error, and the caller asks again by the same ids, as with any store. */
#pragma once

#include "store/ops.h"
#include "store/redis/preflight.h"
#include "store/redis/records.h"

enum { REDIS_NODE = 64 };
struct redis_config {
    struct span url;  /* of the queue: place.h */
    struct span name; /* of the store; empty: "q" */
    /* this one's, at most REDIS_NODE bytes, the same after a restart: its leases of before
     * are given back when it opens the store. Empty: "node" */
    struct span node;
    /* with their archive; NULL: none, then batches have no records */
    const struct records_ops *records;
    struct archive *archive; /* the caller's to close, after the store */
    const char *
        state_dir; /* of this node: where the key of login sessions is, the same on all; NULL: none */
    const char *files_dir;        /* of media files, shared by all nodes; NULL: none are kept */
    struct preflight_facts facts; /* of this Redis */
    struct durability_args durability; /* of jobs, before their acceptance is answered */
    /* `now` of each operation counts; otherwise that of the server, which all nodes share */
    bool callers_time;
};
/* E_CONFIG, E_STORE; E_BUSY with a hint. */
MUST_USE err redis_open(struct store **out, const struct redis_config *config,
                        const struct store_limits *limits, uint64_t seed, wall now,
                        struct fault *f);
void redis_close(struct store **s);
/* Also walks on through the queue, a step a second at most: redis_audit(). */
void redis_idle(struct store *s);
struct span redis_id(const struct store *s);
const struct store_loss *redis_loss(const struct store *s);
void redis_together(struct store *s, struct store_op **ops, size_t n, wall now);
bool redis_is_away(const struct store *s);
MUST_USE err redis_keeps(struct store *s, struct fault *f);
/* Of the server that is asked now, as far as it was looked at: redis_idle() looks. */
const struct preflight_facts *redis_facts(const struct store *s);
enum durability redis_durability(const struct store *s, bool *out_confirmed);
MUST_USE err redis_replication(struct store *s, struct store_replication *out, struct fault *f);
#define OPERATION(result, name, parameters, arguments) result redis_##name parameters;
STORE_OPERATIONS(OPERATION)
#undef OPERATION

struct audit_reply {
    int64_t repaired; /* in this step */
    int64_t walks;    /* whole ones so far, whichever node walked */
};
/* A step of the walk that holds the indexes of the queue against its jobs, and puts right what differs: after a
 * failover that lost writes, or a hand that deleted something. */
MUST_USE err redis_audit(struct store *s, wall now, struct audit_reply *out, struct fault *f);

extern const struct store_ops redis_ops;
