/* secret.h - bytes that nobody may read: sealed on the disk, guarded in memory, wiped after use.
 *
 * A key file of a state directory (or $CREDENTIALS_DIRECTORY/fulmar.key, which goes first) seals
 * with XChaCha20-Poly1305; what was sealed for one name cannot be opened under another. The key
 * file is made when something is sealed for the first time: 0600, and refused when anybody else
 * may read it. No function of log.h takes a struct secret. */
#pragma once

#include "base/span.h"

/* Opened bytes: between guard pages, in no core dump, not swapped where the system allows it. */
struct secret {
    char *p; /* NULL: none */
    size_t n;
};
/* Room for n bytes, which the caller fills. */
struct secret secret_new(size_t n);
void secret_free(struct secret *s); /* wipes; {0} is fine */
struct span secret_span(const struct secret *s);
/* What a buf or an array held is gone, as far as it lies there. The buf is freed. */
void secret_wipe(void *bytes, size_t n);
void secret_wipe_buf(struct buf *b);

struct secret_key;
enum { SECRET_PRINT = 33 }; /* of a fingerprint: 32 digits and the end */

/* The key of a state directory. make: there may be none yet. E_NOT_FOUND when there is none; E_DENIED
 * when others may read it; E_CONFIG when it is no key. */
MUST_USE err secret_key_open(struct secret_key **out, const char *state_dir, bool make,
                             struct fault *f);
/* "CREDENTIALS_DIRECTORY=…", to hand on to a child that opens the key; NULL: there is none. */
const char *secret_credentials(void);
void secret_key_close(struct secret_key **k); /* NULL inside is fine */

/* `name` says whose it is. Sealed text is what secret_unseal() takes: printable. */
MUST_USE err secret_seal(const struct secret_key *k, struct span name, struct span plain,
                         struct buf *out, struct fault *f);
/* E_DENIED: sealed with another key, for another name, or changed since. */
MUST_USE err secret_unseal(const struct secret_key *k, struct span name, struct span sealed,
                           struct secret *out, struct fault *f);
/* A keyed digest: says whether two are the same, and nothing else without the key. Returns out. */
char *secret_print(const struct secret_key *k, struct span plain, char out[SECRET_PRINT]);
