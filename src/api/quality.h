/* quality.h - what an order calls a good result, and names of fields in orders. Pure. */
#pragma once

#include "api/body.h"
#include "core/quality.h"
#include "extract/fields.h"

struct order_quality {
    struct quality rules;
    struct fields required;
};
/* The member `quality`; of: what the records are; limit: how many are wanted, 0 all. */
void order_quality(struct body *b, struct json order, enum fields_of of, int64_t limit,
                   struct order_quality *out);
/* As a member of the options that are being written, when anything of it was asked for. */
void order_quality_put(struct json_w *w, const struct order_quality *q);
/* A list of names of fields. */
void order_fields(struct body *b, struct json object, const char *at, const char *key,
                  enum fields_of of, struct fields *out);
void order_fields_put(struct json_w *w, const char *key, const struct fields *f);
