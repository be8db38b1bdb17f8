/* filetype.h - the types of media files that are kept: THE table. Pure.
 *
 * A file is what its first bytes say, not what its sender calls it: both must agree. */
#pragma once

#include "base/span.h"

enum { FILETYPE_HEAD = 12 /* bytes of the front that tell every type of the table */ };

struct filetype {
    const char *mime;   /* "image/jpeg" */
    const char *suffix; /* "jpg" */
};
/* By its name, with or without parameters, in any case: "image/jpeg; q=1". NULL: not in the table. */
const struct filetype *filetype_find(struct span mime);
/* The front of the file is that of this type. */
bool filetype_fits(const struct filetype *t, struct span front);
