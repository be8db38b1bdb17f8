/* gzip.h - gzip members, for files that are compressed record by record. The only code that knows zlib. */
#pragma once

#include "base/span.h"

/* Appends the bytes as one member. E_TOO_BIG, E_NO_MEMORY. */
MUST_USE err gzip_add(struct buf *out, struct span bytes);
