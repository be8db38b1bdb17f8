/* evidence.h - what a job read, kept as evidence: the rules. Pure.
 *
 * A piece is one answer as it came (response), a picture of the page (screenshot) or what it showed as
 * HTML (dom). Whether pieces are kept is a policy; what of them is kept is an allow-list: headers
 * that say something about the answer, never one that identifies anybody. */
#pragma once

#include "base/span.h"
#include "core/failure.h"

enum { EVIDENCE_PIECE_MAX = 8 * 1024 * 1024 /* bytes of one piece, uncompressed */ };
enum evidence_keep { EVIDENCE_NEVER, EVIDENCE_ON_FAILURE, EVIDENCE_ALWAYS, EVIDENCE_KEEPS };
bool evidence_keep_parse(struct span name, enum evidence_keep *out);
const char *evidence_keep_name(enum evidence_keep k); /* "on_failure" */

/* The numbers are stored; never renumber. */
enum evidence_kind { EVIDENCE_RESPONSE, EVIDENCE_SCREENSHOT, EVIDENCE_DOM, EVIDENCE_KINDS };
const char *evidence_kind_name(enum evidence_kind k);
bool evidence_kind_parse(struct span name, enum evidence_kind *out);

/* Why a piece is not there. The numbers are stored; never renumber. */
enum evidence_gap {
    GAP_NONE,
    GAP_COUNT,     /* the job has as many pieces as it may */
    GAP_BYTES,     /* the job has as many bytes as it may */
    GAP_TOO_LARGE, /* the piece alone is larger than one may be */
    GAP_DISK,      /* no room on the disk */
    GAP_OLDER,     /* only the last pages of an attempt are held until it fails */
    GAP_EXPIRED,   /* older than evidence.age, or the oldest when evidence.bytes was reached */
    GAP_PAGE_GONE, /* the page or its browser had ended */
    GAP_PAGE_SILENT, /* the page did not answer in time */
    GAP_BUSY,        /* too much was on its way to the store at once */
    GAPS
};
const char *evidence_gap_name(enum evidence_gap g);  /* "too_large" */
const char *evidence_gap_words(enum evidence_gap g); /* one sentence for people */

/* Whether what an attempt read is kept, now that it ended like this. A stop that somebody asked for
 * and an input that was never tried show nothing. */
bool evidence_of_failure(enum evidence_keep k, enum failure_class failure);
/* Whether a picture of the page helps to understand this ending. */
bool evidence_wants_picture(enum evidence_keep k, enum failure_class failure);
/* Whether this failure is something that an answer says: then the same answers, read again, can say
 * another thing. The rest (network, crash, ...) is in no answer. */
bool evidence_shows(enum failure_class failure);

/* Response headers that may be stored, whatever their case. */
bool evidence_header_kept(struct span name);
/* The URL as it may be stored: without a user in front of the host and without a fragment; values
 * of parameters that look like a secret become "***". */
void evidence_url(struct buf *out, struct span url);
