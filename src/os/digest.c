#include "os/digest.h"

#include <sodium.h>

_Static_assert(DIGEST_BYTES == crypto_hash_sha256_BYTES, "one size");

void digest_sha256(struct span bytes, unsigned char out[DIGEST_BYTES])
{
    /* It cannot fail, and needs no sodium_init(). */
    (void)crypto_hash_sha256(out, (const unsigned char *)(bytes.p ? bytes.p : ""), bytes.n);
}

static char *write_text(const unsigned char raw[DIGEST_BYTES], char out[DIGEST_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        out[2 * i] = digits[raw[i] >> 4];
        out[2 * i + 1] = digits[raw[i] & 15];
    }
    out[DIGEST_TEXT - 1] = '\0';
    return out;
}

char *digest_text(struct span bytes, char out[DIGEST_TEXT])
{
    unsigned char raw[DIGEST_BYTES];
    digest_sha256(bytes, raw);
    return write_text(raw, out);
}

static crypto_hash_sha256_state *state_of(struct digest *d)
{
    _Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof d->state, "room for the state");
    return (crypto_hash_sha256_state *)(void *)d->state;
}

void digest_init(struct digest *d)
{
    *d = (struct digest){0};
    (void)crypto_hash_sha256_init(state_of(d));
}

void digest_add(struct digest *d, struct span bytes)
{
    d->bytes += bytes.n;
    if (bytes.n)
        (void)crypto_hash_sha256_update(state_of(d), (const unsigned char *)bytes.p, bytes.n);
}

void digest_end(const struct digest *d, char out[DIGEST_TEXT])
{
    struct digest copy = *d;
    unsigned char raw[DIGEST_BYTES];
    (void)crypto_hash_sha256_final(state_of(&copy), raw);
    write_text(raw, out);
}

bool digest_is_text(struct span text)
{
    if (text.n != DIGEST_TEXT - 1)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (!(text.p[i] >= '0' && text.p[i] <= '9') && !(text.p[i] >= 'a' && text.p[i] <= 'f'))
            return false;
    return true;
}
