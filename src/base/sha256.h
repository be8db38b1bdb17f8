/* sha256.h - SHA-256 (FIPS 180-4), piece by piece. No allocation. */
#pragma once

#include "base/span.h"

enum { SHA256_TEXT = 65 /* 64 hexadecimal digits and the end */ };

struct sha256 {
    uint32_t state[8];
    uint64_t bytes;
    unsigned char waiting[64]; /* of a block that is not full yet */
};
void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, struct span bytes);
/* The sum of all that was added, in lower case; `s` itself stays as it is. */
void sha256_text(const struct sha256 *s, char out[SHA256_TEXT]);
