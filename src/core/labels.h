/* labels.h - words that people give their jobs, to find them again: {"desk":"science","team":"press"}. Pure.
 *
 * As text they are the last member of a job's options, by name. Neither names nor values can have a quote, a backslash or
 * a control character, so a label is found in that text as it is written, and every store finds the same. */
#pragma once

#include "base/span.h"

enum {
    LABELS_MOST = 16, /* of a job */
    LABEL_NAME_MOST = 63,
    LABEL_VALUE_MOST = 128,
    LABELS_TEXT = LABELS_MOST * (LABEL_NAME_MOST + LABEL_VALUE_MOST + 6) + 2
};

struct label {
    struct span name, value; /* value.p NULL: of a change, it goes */
};
struct labels {
    struct label list[LABELS_MOST]; /* by name */
    size_t count;
};

/* 1 to 63 of a-z A-Z 0-9 . _ -; 1 to 128 bytes of UTF-8. */
bool label_name_valid(struct span name);
bool label_value_valid(struct span value);

/* Borrows both. A name that is there gets the value. False: there is no room. */
MUST_USE bool labels_set(struct labels *l, struct span name, struct span value);
/* {"desk":"science","old":null}; nothing where there are none. */
void labels_write(const struct labels *l, struct buf *out);
/* What labels_write() wrote; borrows it. False: it is none, or there are too many. */
MUST_USE bool labels_read(struct labels *out, struct span text);

/* The labels of a job's options, borrowed; empty: none. out_rest, may be NULL: the options in front of them, to which a '}' belongs. */
struct span labels_of(struct span options, struct span *out_rest);
/* Whether all that are wanted are among those of the options. Both as text; nothing wanted: all. */
bool labels_match(struct span options, struct span wanted);
/* The options with labels changed: set, or gone where `change` has null. E_TOO_BIG: more than LABELS_MOST. */
MUST_USE err labels_change(struct span options, struct span change, struct buf *out);
