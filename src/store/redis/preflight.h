/* preflight.h - whether a Redis is set up so that it keeps what it was given (queue.md §11), and how safe
 * a job is when its acceptance is answered. Reading is thin; judging is pure. */
#pragma once

#include "store/durability.h"
#include "store/redis/link.h"

enum preflight_sync { SYNC_UNKNOWN, SYNC_ALWAYS, SYNC_EVERYSEC, SYNC_NEVER };
struct preflight_facts {
    /* CONFIG GET is allowed there; otherwise only version and replicas are known */
    bool readable;
    char run_id[48];     /* of the server, until it is started anew */
    char version[16];    /* "7.0.15" */
    char policy[32];     /* maxmemory-policy */
    int64_t memory_most; /* maxmemory, bytes; 0 any */
    bool appends;        /* appendonly */
    enum preflight_sync sync;
    int64_t replicas, replicas_least; /* connected; min-replicas-to-write */
    bool waits_for_file;              /* it knows WAITAOF: 7.2 and newer */
};
MUST_USE err preflight_read(struct link *l, struct arena *a, struct preflight_facts *out,
                            struct fault *f);

/* E_STORE also when it does not say. */
MUST_USE err preflight_replication(struct link *l, struct arena *a,
                                   struct store_replication *out, struct fault *f);

/* What is wrong with it, the worst first, for a service that promises `wanted`. */
size_t preflight_judge(const struct preflight_facts *facts, enum durability wanted,
                       struct preflight_finding out[PREFLIGHT_MOST]);

/* Both of a Redis that nothing was written to yet. insists: also on one that refuses; else E_CONFIG. */
struct preflight {
    struct span url, name;
    enum durability wanted;
    bool insists;
    struct preflight_facts facts; /* out, as what follows */
    bool passes;                  /* what keeps it from answering does by itself */
    struct preflight_finding findings[PREFLIGHT_MOST];
    size_t finding_count;
};
MUST_USE err preflight_check(struct preflight *p, struct fault *f);

struct durability_args {
    enum durability wanted;
    int64_t replicas; /* of DURABILITY_REPLICATED, 1 and more */
    int64_t wait_ms;  /* at most */
};
/* What was written on this connection so far is as safe as wanted: *out_reached; or less, because it took
 * too long or the connection was lost, which is no error: what was written stays written. */
void durability_reach(struct link *l, const struct preflight_facts *facts,
                      const struct durability_args *args, struct arena *a, bool *out_reached);
