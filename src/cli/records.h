/* records.h - records of the service on their way out, in the form and to the place that the call names. */
#pragma once

#include "cli/rows.h"
#include "cli/service.h"

/* -o, --jq, --columns and --out of the call; records that go elsewhere than to a terminal come one a line. 0 or an
 * exit code. */
int records_open(struct cli *c, const struct fields *fields, struct rows **out);
/* All posts or users ("posts", "users") of a job or a batch, at most --limit of them. A stream that breaks leaves no
 * file. 0 or an exit code. */
int records_of(struct cli *c, struct service *s, const char *id, const char *what);
size_t records_columns(int fd); /* of the terminal; 80 when it is none */
