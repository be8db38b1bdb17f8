/* cursor.h - where a list of jobs goes on, as a text for clients. Pure.
 *
 * It says in which order the list was and by what, so that a request that asks for something else is told so instead of getting
 * a page of another list. Nothing in it is secret, and all of it is checked when it comes back. */
#pragma once

#include "base/id.h"
#include "base/span.h"

enum { CURSOR_MARKS = 12, CURSOR_TEXT = 160 };
struct cursor {
    int sort;         /* of the order, below 16 */
    int64_t place;    /* of the job: when it ended, in the order of ends; else its number */
    char id[ID_TEXT]; /* of the last job that was seen */
    uint16_t marks[CURSOR_MARKS]; /* of each part of the filter: cursor_mark() */
};

/* 0: it was not given. Different values have different marks, most likely. */
uint16_t cursor_mark(struct span value);
char *cursor_write(const struct cursor *c, char out[CURSOR_TEXT]);
/* False: it is none of ours. */
MUST_USE bool cursor_read(struct span text, struct cursor *out);
