/* fill.h - how full records are: how many of them have each of the fields that people count, and how well they stood the
 * checks (quality.score of each, check.h). Pure; one record at a time, nothing of it is kept.
 *
 * A field is filled where it is there and not null, no empty text and no empty list. Zero and false are values. */
#pragma once

#include "extract/fields.h"

enum { FILL_FIELDS_MAX = 24 };

struct fill {
    enum fields_of of;
    int64_t records;
    int64_t media;          /* of all posts together */
    int64_t scored, scores; /* records that say a score, and the sum of those, 0 to 100 each */
    int64_t filled[FILL_FIELDS_MAX];
};
/* Their names, as in fields.h; NULL at the end. */
const char *const *fill_names(enum fields_of of);
void fill_add(struct fill *f, struct json record);
/* {"records":2,"score":0.97,"field_fill":{"text":1.0,…}}: shares of 0 to 1; score null where no record says one. */
void fill_put(const struct fill *f, struct json_w *w);
