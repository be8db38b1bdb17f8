/* evidence.h - the evidence of a job, asked from the service: for the verbs artifacts and replay. */
#pragma once

#include "cli/service.h"
#include "core/evidence.h"

struct piece { /* one artifact; texts in the arena of the call */
    int64_t n, attempt, batch, at_ms, status, bytes;
    enum evidence_kind kind;
    struct span strategy, name, url, headers, type, sha256, reason;
};
struct pieces {
    struct piece *all;
    size_t count;
    int64_t missing; /* pieces that were not kept, for whatever reason */
    struct span why; /* in words, of the first of them; empty */
    struct span raw; /* the answer as it came */
};
/* One request with a problem printed: 0, with *out to be freed, or an exit code. */
int evidence_ask(struct service *s, const char *method, const char *path, struct span body,
                 struct client_answer *out);
/* What there is of the job. 0 or an exit code. */
int evidence_of(struct cli *c, struct service *s, const char *job, struct arena *a,
                struct pieces *out);
/* The bytes of one piece, whole and with the right digest. 0, with *out to be freed, or an exit
 * code. */
int evidence_bytes(struct service *s, const char *job, const struct piece *p, struct buf *out);
/* The WARC of the job, written to the file; a name that ends with .gz is compressed. 0 or an exit code. */
int evidence_warc(struct cli *c, struct service *s, const char *job, const struct pieces *p,
                  const char *file);
