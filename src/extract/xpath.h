/* xpath.h - XPaths in the files of a pack: compiled once, mistakes with file, line and column. */
#pragma once

#include "extract/form.h"
#include "extract/html.h"

/* {name} in the text stands for the text of that name in `prefixes` (may be NULL); XPath itself has
 * no braces. NULL when the form failed. */
const struct html_path *xpath_read(struct form *f, struct html_paths *set,
                                   const struct ynode *prefixes, const struct ynode *at,
                                   struct span text);
/* The text below a key of a mapping; NULL without a mistake when it is missing and not needed. */
const struct html_path *xpath_member(struct form *f, struct html_paths *set,
                                     const struct ynode *prefixes, const struct ynode *map,
                                     const char *key, bool need);
