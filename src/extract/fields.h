/* fields.h - the members that records have (docs/reference/records.md): THE table, and picking some of them.
 *
 * A field is a dotted path: "id", "counts.like", "media.url" (of each element), and of the post
 * inside a post "quoted.text" or "reposted.author.name". A name that is in the table of its kind but not
 * in a record, because its site has no such thing, is simply not there. Pure. */
#pragma once

#include "base/json.h"

enum fields_of { FIELDS_OF_POSTS, FIELDS_OF_USERS };

enum { FIELDS_MAX = 64, FIELDS_TEXT_MAX = 2048 };
/* What somebody wants of each record. None: all of it. */
struct fields {
    size_t count;
    struct span path[FIELDS_MAX]; /* in text */
    size_t used;
    char text[FIELDS_TEXT_MAX];
};

bool fields_known(enum fields_of of, struct span path);
/* What was meant, or NULL. */
const char *fields_near(enum fields_of of, struct span path);

/* Copies the path; false when there are too many. */
MUST_USE bool fields_add(struct fields *f, struct span path);
/* A list of names, as an order has it; what is no name of a field is left out. */
void fields_read(struct fields *f, struct json names);
/* The first of them that the record does not have, or of which it says null; empty: it has them all. In a list each
 * element has to have it, and one without elements lacks nothing. */
struct span fields_lacking(const struct fields *f, struct json record);
/* Writes the record with these fields, in the record's own order; schema and id are always there. */
void fields_put(const struct fields *f, struct json record, struct json_w *w);
