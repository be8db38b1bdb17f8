/* mutate.h - the site changes its API, as sites do: the same answers in another shape.
 *
 * A mutation replaces words of an answer. The page's own script undoes it before it reads (its site
 * would have changed it together with the API); whoever reads the answers from outside sees the new
 * shape. */
#pragma once

#include "base/span.h"

enum { MUTATIONS = 14 }; /* numbers 1 to MUTATIONS; 0 none */

/* Short name of a mutation ("text_renamed"). */
const char *mutate_name(int number);
/* What is replaced by what. */
void mutate_words(int number, struct span *out_from, struct span *out_to);
/* Rewrites the answer in place of the old text. */
void mutate_apply(int number, struct buf *body);
