/* records.h - the operations of an archive that a queue in Redis asks for, as a table: whoever opens the store
 * says which archive there is. The rows are functions of store/archive.h, without their prefix. */
#pragma once

#include "store/archive.h"

struct records_ops {
    err (*commit)(struct archive *a, const struct archive_commit *args, wall now,
                  struct archive_committed *out, struct fault *f);
    err (*rewind)(struct archive *a, const struct archive_lease *lease, enum item_kind counts,
                  int64_t batch, struct archive_committed *out, struct fault *f);
    err (*items)(struct archive *a, struct span job, int kind, int64_t after, size_t limit,
                 size_t bytes_max, struct arena *arena, struct item_view **out,
                 size_t *out_count, struct fault *f);
    err (*repair)(struct archive *a, const struct archive_mending *args, wall now,
                  struct repair_reply *out, struct fault *f);
    err (*newest)(struct archive *a, struct span job, struct arena *arena, struct span *out,
                  struct fault *f);
    err (*forget)(struct archive *a, const struct span *jobs, size_t count, bool *out_more,
                  struct fault *f);
    err (*evidence_add)(struct archive *a, const struct archive_lease *lease,
                        const struct evidence_args *args, const struct archive_limits *limits,
                        wall now, struct evidence_reply *out, struct fault *f);
    err (*evidence_list)(struct archive *a, struct span job, struct arena *arena,
                         struct evidence_list *out, struct fault *f);
    err (*evidence_read)(struct archive *a, struct span job, int64_t n, struct arena *arena,
                         struct evidence_view *out, struct fault *f);
    err (*evidence_retain)(struct archive *a, const struct archive_limits *limits, wall now,
                           bool *out_more, struct fault *f);
    err (*fields)(struct archive *a, struct span site, int64_t hours, wall now,
                  struct arena *arena, struct fields_view *out, struct fault *f);
    err (*drift)(struct archive *a, wall now, int64_t out_marks[DRIFT_MARKS], struct fault *f);
    err (*fields_retain)(struct archive *a, wall before, struct fault *f);
    err (*alive)(struct archive *a, struct fault *f); /* NULL: always */
    struct span (*id)(const struct archive *a);       /* NULL: it has none */
    err (*fields_add)(struct archive *a, struct span site, struct span counts, wall now,
                      struct fault *f);
};
/* Those of store/archive.h. */
extern const struct records_ops records_of_archive;
