/* rows.h - records on their way out: one a line as they are, in columns, as a table for people, or shaped. */
#pragma once

#include "cli/shape.h"
#include "extract/fields.h"

struct rows;

struct rows_config {
    enum shape_form form;
    struct shape *shape; /* what writes them; NULL: rows itself, which knows their columns */
    size_t columns;      /* of the terminal, for tables */
    const struct fields *fields; /* columns, after the id; none: those of the kind */
    /* NULL: standard output. A file is written beside its name and renamed by rows_close().
     * What is no regular file (a device, a pipe, /dev/stdout) is written straight through. */
    const char *path;
};
/* E_OS and others: it cannot be written: a folder, no permission, no such folder. */
MUST_USE err rows_open(struct rows **out, const struct rows_config *config, struct fault *f);
/* Once, before the first record: these are users, else posts. Writes the titles of a CSV. E_OS. */
MUST_USE err rows_about(struct rows *r, bool users, struct fault *f);
/* One record, as JSON. E_OS, E_DISK_FULL: it cannot be written. */
MUST_USE err rows_add(struct rows *r, struct span json, struct fault *f);
int64_t rows_count(const struct rows *r);
MUST_USE err rows_flush(struct rows *r, struct fault *f);
/* keep: a file gets its name; otherwise it is removed. */
MUST_USE err rows_close(struct rows **r, bool keep, struct fault *f);

/* One CSV cell (RFC 4180). A cell that a spreadsheet would take for a formula gets a leading '.
 */
void rows_add_cell(struct buf *out, struct span text);
