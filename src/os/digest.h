/* digest.h - SHA-256: what bytes are called after. */
#pragma once

#include "base/span.h"

enum { DIGEST_BYTES = 32, DIGEST_TEXT = 65 };

/* The digest of the bytes. */
void digest_sha256(struct span bytes, unsigned char out[DIGEST_BYTES]);
/* The same in lower-case hexadecimal, terminated. Returns out. */
char *digest_text(struct span bytes, char out[DIGEST_TEXT]);

/* HMAC-SHA256 over the parts, one behind the other. */
void digest_hmac(struct span key, const struct span *parts, size_t count,
                 unsigned char out[DIGEST_BYTES]);
/* In a time that does not say where they differ. */
bool digest_same(struct span a, struct span b);

/* The same piece by piece. */
struct digest {
    uint64_t bytes;     /* that were added */
    uint64_t state[16]; /* the library's own */
};
void digest_init(struct digest *d);
void digest_add(struct digest *d, struct span bytes);
/* The digest of all that was added, as digest_text() writes it; `d` itself stays as it is. */
void digest_end(const struct digest *d, char out[DIGEST_TEXT]);

/* Whether this is what digest_text() writes. */
bool digest_is_text(struct span text);
