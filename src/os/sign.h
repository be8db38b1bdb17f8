/* sign.h - signatures of Standard Webhooks 1.0: HMAC-SHA256 over "id.timestamp.body".
 *
 * A secret is "whsec_" and the base64 of 24 to 64 random bytes; a signature is "v1," and base64. Both
 * parts of whoever signs (store) and whoever verifies (command line) are here. */
#pragma once

#include "base/span.h"

enum { SIGN_SECRET_MAX = 96 }; /* bytes of a secret's text, with the end */

/* A new one of 32 bytes, terminated. */
void sign_secret_make(char out[SIGN_SECRET_MAX]);
bool sign_secret_valid(struct span secret);
/* Appends the signature; the secret must be valid. */
void sign_add(struct buf *out, struct span secret, struct span id, int64_t at_s,
              struct span body);
/* Is one of the signatures, separated by spaces, made with this secret? Takes the same time whatever is
 * wrong. */
bool sign_verify(struct span secret, struct span id, int64_t at_s, struct span body,
                 struct span signatures);
