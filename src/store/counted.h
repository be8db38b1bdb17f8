/* counted.h - counts of fields as a store keeps them (by site, hour, version of the pack, field
 * and path): how many are taken, and what rows of them say together. Pure but for the arena. */
#pragma once

#include "store/store.h"

enum {
    COUNTED_MISSING = -1, /* in place of a path */
    COUNTED_MEMBER = -2,
    /* of one site, hour and version: above it nothing new is counted */
    COUNTED_ROWS_MAX = 4096,
    COUNTED_MEMBERS_MAX = 256, /* the same for members, whose names the site chooses */
    COUNTED_FIELDS_MAX = 2048, /* looked at of one site, by name */
    COUNTED_SITES_MAX = 64,
    COUNTED_HOUR_MS = 3600000,
};

/* One field and path; rows of a field come one after the other. */
struct counted_row {
    struct span name;
    int64_t path, now, before, first_hour;
};
/* Adds to view->fields, which has room for COUNTED_FIELDS_MAX. E_END: it is full. */
MUST_USE err counted_take(struct fields_view *view, const struct counted_row *row,
                          struct arena *a, struct fault *f);
/* What of all that is not as it was. */
void counted_mark(struct fields_view *view);
