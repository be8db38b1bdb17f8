#include "os/digest.h"

#include <sodium.h>

_Static_assert(DIGEST_BYTES == crypto_hash_sha256_BYTES, "one size");

void digest_sha256(struct span bytes, unsigned char out[DIGEST_BYTES])
{
    /* It cannot fail, and needs no sodium_init(). */
    (void)crypto_hash_sha256(out, (const unsigned char *)(bytes.p ? bytes.p : ""), bytes.n);
}

char *digest_text(struct span bytes, char out[DIGEST_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[DIGEST_BYTES];
    digest_sha256(bytes, raw);
    for (size_t i = 0; i < sizeof raw; i++) {
        out[2 * i] = digits[raw[i] >> 4];
        out[2 * i + 1] = digits[raw[i] & 15];
    }
    out[DIGEST_TEXT - 1] = '\0';
    return out;
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
