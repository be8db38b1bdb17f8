/* shared.h - opens the store of several machines for one of them: the queue in a Redis, the records in a
 * PostgreSQL, and whoever tells this machine that another one left work to do.
 *
 * Servers that are away when a machine starts come back: until then its store is one that answers why (absent.h), and
 * shared_join() tries again. On the store's thread but for what says otherwise. */
#pragma once

#include "store/durability.h"
#include "store/store.h"

struct shared;
struct shared_config {
    const char *queue;     /* store/redis/place.h */
    const char *archive;   /* "postgresql://…" */
    const char *name;      /* of the store: nodes with the same one share it */
    const char *node;      /* of this machine, the same after a restart; no two have the same */
    const char *state_dir; /* where the key of login sessions is, the same on all machines */
    const char *files_dir; /* of media files, one folder for all machines; NULL: none */
    enum durability durability; /* of jobs, before their acceptance is answered */
    /* of DURABILITY_REPLICATED; longest wait for it, then it is unconfirmed */
    int64_t replicas, wait_ms;
    int64_t spool_most; /* jobs that this machine takes while the Redis is away; 0: none */
    bool spool_always;  /* it also keeps copies of those that the Redis takes */
    bool insists;       /* also on a Redis that may lose what it was given */
    /* There may be work; on a thread of its own, may only wake somebody. */
    void (*wake)(void *ctx);
    void *ctx;
};
/* E_CONFIG: an address that cannot be read, a server that is too old, a Redis that would lose jobs. */
MUST_USE err shared_open(struct shared **out, const struct shared_config *config,
                         const struct store_limits *limits, uint64_t seed, wall now,
                         struct fault *f);
/* Tries again when the servers were away, and it is time to: true when they are there now, and shared_store() is
 * another one. Whatever is wrong with them is said by the store of before, and is no reason to give up. */
bool shared_join(struct shared *s, wall now);
/* Closes the store as well. */
void shared_close(struct shared **s);
struct store *
shared_store(struct shared *s); /* lives as long as this, or until shared_join() */

/* Whether this machine has room for work: otherwise it leaves the call to others. Any thread. */
void shared_hungry(struct shared *s, bool hungry);
/* After store_idle(), each second: whether whoever tells this machine of work has an answer; and a server that took over, or was
 * started anew, is judged like the first one; it is not refused, for jobs wait there. */
void shared_look(struct shared *s);
/* What is wrong with the Redis. Returns how many; out_looks: how often it was looked at so far. Any thread. */
size_t shared_findings(struct shared *s, struct preflight_finding out[PREFLIGHT_MOST],
                       int64_t *out_looks);
