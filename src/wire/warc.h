/* warc.h - WARC 1.1 (ISO 28500:2017) records as text. Pure.
 *
 * What we keep of an answer is its body and an allow-list of its headers, so it is written as a
 * `resource` record: the bytes that were at a URI at a time. A `response` record would have to be
 * the whole HTTP message. What else is known (status, headers that were kept, the job) goes into a
 * `metadata` record beside it. */
#pragma once

#include "base/when.h"

enum { WARC_DIGEST = 32 /* bytes of a SHA-256 */, WARC_ID = 16, WARC_URN = 64 };

enum warc_type { WARC_INFO, WARC_RESOURCE, WARC_METADATA };

struct warc_record {
    enum warc_type type;
    unsigned char id[WARC_ID];   /* random */
    const unsigned char *about;  /* id of the record that it goes with, or NULL */
    const unsigned char *info;   /* id of the warcinfo record, or NULL */
    const unsigned char *digest; /* SHA-256 of the block, or NULL */
    struct span uri;             /* empty: none */
    struct span content_type;
    struct span file_name; /* warcinfo: of the file */
    wall date;
    struct span block;
};
/* Appends one record. Control characters in what others chose do not get into the head. */
void warc_add(struct buf *out, const struct warc_record *r);
/* A line "name: value" of application/warc-fields, on one line whatever the value is. */
void warc_add_field(struct buf *out, const char *name, struct span value);
