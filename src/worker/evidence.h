/* evidence.h - what the job read last, held in memory until it is known whether it is kept.
 *
 * on_failure: the last pages, in a ring with limits; they go to node just before the job's FAIL, and
 * nowhere when it ends well. The answer about the account itself stays, however many pages
 * follow: without it nobody can tell whose posts the pages show. always: each page goes at once. */
#pragma once

#include "base/json.h"
#include "core/evidence.h"
#include "worker/channel.h"

enum { EVIDENCE_RING_PIECES = 16, EVIDENCE_RING_BYTES = EVIDENCE_PIECE_MAX };

struct evidence_note { /* one answer, as it was read; all borrowed */
    const char *strategy;
    struct span name, url, headers, body; /* headers: JSON object, all of them */
    int status;
    wall at;
    bool stays; /* it is not pushed out by later ones */
};

struct evidence {
    enum evidence_keep keep;
    struct channel *channel;
    struct json_parser *headers;
    int64_t batch; /* of the records that are read next; whoever commits moves it on */
    struct held {
        struct buf texts; /* name, URL, headers and body, one behind the other */
        size_t name, url, header, body;
        const char *strategy;
        int64_t at_ms, batch;
        int status;
        bool stays;
    } ring[EVIDENCE_RING_PIECES]; /* oldest first */
    size_t count, bytes;
    int64_t older, too_large; /* pieces that are not there */
};

void evidence_init(struct evidence *e, struct channel *c, enum evidence_keep keep);
void evidence_fini(struct evidence *e);
/* Takes a copy of the answer, or sends it. That node is gone shows at the next read. */
void evidence_take(struct evidence *e, const struct evidence_note *n);
/* The attempt ended like this: what is held is sent, or forgotten. */
void evidence_end(struct evidence *e, enum failure_class failure);
