/* parts.h - flags of a call that together say which jobs are meant, by the names that the service has for them. */
#pragma once

#include "cli/inside.h"

struct part {
    const char *name;
    size_t at; /* a const char * in struct cli */
};

bool parts_any(const struct cli *c, const struct part *parts, size_t count);
/* "&state=ready&site=x" */
void parts_add_query(struct buf *path, const struct cli *c, const struct part *parts,
                     size_t count);
/* As members of the object that is open. */
void parts_put(struct json_w *w, const struct cli *c, const struct part *parts, size_t count);

/* --label of the call: 0, or the exit code of a wrong one; may_go: "team=" takes a label back. */
int parts_check_labels(const struct cli *c, const char *verb, bool may_go);
/* As the member "labels", if there are any. */
void parts_put_labels(struct json_w *w, const struct cli *c);
/* "&label.team=press" */
void parts_add_labels(struct buf *path, const struct cli *c);
