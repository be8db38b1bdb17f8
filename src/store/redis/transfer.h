/* transfer.h - the queue of several machines as one side of a move (store/transfer.h): the kinds that are not the archive's. */
#pragma once

#include "store/redis/redis.h"
#include "store/transfer.h"

/* Of config: url, name, files_dir. archive: which one is beside it, for its marks. E_CONFIG, E_STORE, E_BUSY. */
MUST_USE err transfer_queue(struct transfer **out, const struct redis_config *config,
                            struct span archive, const struct store_limits *limits,
                            struct fault *f);
/* As it is called once it is open. */
MUST_USE err transfer_queue_name(const struct redis_config *config, char out[TRANSFER_NAME],
                                 struct fault *f);
/* What the archive is asked by: jobs by number, behind one. At most MOVED_PAGE; in the arena. */
struct transfer_jobs {
    struct span *ids;
    int64_t *next_batches, *fences, *have;
    enum item_kind *counts;
    bool *live;
    size_t count;
    int64_t next; /* number of the last one */
    bool last;
};
MUST_USE err transfer_queue_jobs(struct transfer *t, int64_t after, struct arena *a,
                                 struct transfer_jobs *out, struct fault *f);
