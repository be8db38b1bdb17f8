/* wish.h - what a job is to collect, as flags of a call: checked here as far as no site pack is needed, and
 * written as the body of POST /v1/jobs. */
#pragma once

#include "cli/bounds.h"
#include "cli/followup.h"
#include "cli/terms.h"
#include "extract/fields.h"

struct wish {
    int64_t limit, priority, depth;
    struct fields fields;
    struct terms_flags terms;
    struct followup followup;
    struct bounds_flags bounds;
    bool download;
};

/* Numbers and dates are judged here, so that a wrong flag is a wrong call whatever answers. 0 or an exit
 * code; verb: for the words. */
int wish_check(struct wish *wish, struct cli *c, const char *verb);
/* The fields asked for, once it is known what the records are. */
int wish_fields_of(struct cli *c, const char *verb, enum fields_of of);
/* target NULL: without one, for a template; kind NULL: only what the call names, as a change. */
void wish_write(const struct wish *wish, const struct cli *c, const char *kind,
                const char *target, struct json_w *w);
