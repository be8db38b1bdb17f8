/* conflict.h - what a job has read of each post, so that a second reading that says otherwise is noticed.
 * Bounded: the first CONFLICT_POSTS posts of an attempt. */
#pragma once

#include "extract/merge.h"
#include "extract/reader.h"

enum { CONFLICT_POSTS = 8000, CONFLICTS_MAX = 1000 };

struct conflict_book {
    struct merge_side *sides; /* in the order in which they came */
    uint64_t *ids;            /* hashes; open addressing */
    uint16_t *at;             /* beside ids: which of the sides */
    size_t used;
    int64_t found;
};

/* The first reading of a post. */
void conflict_keep(struct conflict_book *b, struct arena *a, struct json_parser *parser,
                   const struct record *rec);
/* A later one: adds an item of kind RECORD_CONFLICT for each field on which it disagrees. Returns how many. */
size_t conflict_find(struct conflict_book *b, struct arena *a, struct json_parser *parser,
                     const struct record *rec, struct buf *out_items);
