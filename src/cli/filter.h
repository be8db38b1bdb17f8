/* filter.h - the expression of --jq: the only code that knows libjq.
 *
 * Numbers are doubles in there: above 2^53 they lose digits. Ids are texts for that reason. */
#pragma once

#include "base/span.h"

struct filter;
/* E_BAD_INPUT with what libjq says. */
MUST_USE err filter_new(struct filter **out, const char *expression, struct fault *f);
void filter_free(struct filter **filter);
/* Hands over each result: as JSON, and a text as it is when is_text. Whatever `each` returns but E_OK ends it and
 * comes back. E_BAD_SYNTAX: no JSON. E_BAD_INPUT: the expression does not fit the document. */
MUST_USE err filter_run(struct filter *filter, struct span json,
                        err (*each)(void *ctx, struct span result, bool is_text), void *ctx,
                        struct fault *f);
