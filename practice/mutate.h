/* mutate.h - the site changes its API, as sites do: the same answers in another shape.
 *
 * A mutation renames words of an answer, puts values one object deeper, takes the members of an object one
 * level up, or adds an entry of a kind that was not there before. The page's own script undoes it before it
 * reads (its site would have changed it together with the API); whoever reads the answers from outside sees
 * the new shape. */
#pragma once

#include "base/span.h"

enum { MUTATIONS = 48, PAGE_MUTATIONS = 14 }; /* numbers 1 to that; 0 none */

/* Short name of a mutation ("text_renamed"). */
const char *mutate_name(int number);
/* For the page's script, as JSON: how to undo it. */
void mutate_add_undo(int number, struct buf *out);
/* Rewrites the answer in place of the old text. */
void mutate_apply(int number, struct buf *body);

/* The page's elements under another test id, which is what a reader of the page goes by. */
const char *mutate_page_name(int number);
void mutate_page_words(int number, struct span *out_from, struct span *out_to);
