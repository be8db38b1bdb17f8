/* records.h - the operations of an archive that a queue in Redis asks for, as a table: whoever opens the store
 * says which archive there is. The rows are functions of store/archive.h, without their prefix. */
#pragma once

#include "store/archive.h"

struct records_ops {
    err (*commit)(struct archive *a, const struct archive_commit *args, wall now,
                  struct archive_committed *out, struct fault *f);
    err (*rewind)(struct archive *a, const struct archive_lease *lease, int64_t batch,
                  struct archive_committed *out, struct fault *f);
    err (*items)(struct archive *a, struct span job, int kind, int64_t after, size_t limit,
                 size_t bytes_max, struct arena *arena, struct item_view **out,
                 size_t *out_count, struct fault *f);
    err (*newest)(struct archive *a, struct span job, struct arena *arena, struct span *out,
                  struct fault *f);
    err (*forget)(struct archive *a, const struct span *jobs, size_t count, bool *out_more,
                  struct fault *f);
    err (*fields_add)(struct archive *a, struct span site, struct span counts, wall now,
                      struct fault *f);
};
