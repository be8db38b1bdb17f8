/* durability.h - how safe a job of a store of several machines is, and what is found wrong with its Redis
 * (store/redis/preflight.h). */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How safe a job is when its 202 is answered; the words of the API. */
enum durability {
    DURABILITY_MEMORY, /* in the memory of the primary: a crash of it may lose the last second */
    DURABILITY_REPLICATED, /* also in that of so many replicas */
    DURABILITY_FSYNC,      /* on the disk of the primary */
    DURABILITY_SPOOLED,    /* on that of the node that took it, and the queue is away */
    DURABILITIES
};
const char *durability_name(enum durability d); /* "memory", "replicated", "fsync", "spooled" */
struct store;
/* Whether the last operation failed because its server is away, and may come back by itself. The embedded store never is. */
bool store_is_away(const struct store *s);
/* Whether what jobs bring can be kept: the archive of several machines may be away while their queue is there. E_STORE, with
 * the reason; asks it when it was away. The embedded store says of itself what it meets. */
MUST_USE err store_keeps(struct store *s, struct fault *f);
/* Which store it is: another one, or an emptied one, has another id. Empty: the embedded one, or one that is not there yet. */
struct span store_id(const struct store *s);
/* What was answered and is lost, as far as this process knows: the store of several machines may lose its last moments. */
enum { LOSS_NAMED = 64 };
struct store_loss {
    int64_t count;        /* times that it was noticed */
    int64_t events, jobs; /* in all; at least so many events, jobs that this node accepted */
    size_t named;         /* of the last loss: some of its jobs */
    char ids[LOSS_NAMED][32];
};
const struct store_loss *store_loss(const struct store *s);
/* How far the replicas of a store of several machines are, as it says now. */
struct store_replication {
    char history
        [48]; /* of its writes, until a failover; empty: it has none, as the embedded store */
    int64_t offset;   /* bytes of it that were written so far */
    int64_t replicas; /* that are there */
    int64_t least;    /* the offset that the one furthest behind has said to have; of none: 0 */
};
MUST_USE err store_replication(struct store *s, struct store_replication *out, struct fault *f);
/* Of jobs that the last group accepted. Not confirmed: it took too long, nobody knows. */
enum durability store_durability(const struct store *s, bool *out_confirmed);

enum { PREFLIGHT_MOST = 8 };
struct preflight_finding {
    bool refuses; /* jobs would be lost: not to be used so, unless somebody insists */
    const char *words;
};
