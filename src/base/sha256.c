#include "base/sha256.h"

/* Fractions of the cube roots of the first 64 primes, as the standard lists them. */
static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
    0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
    0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
    0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
    0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
    0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
    0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2};

static uint32_t turn(uint32_t v, unsigned by)
{
    return v >> by | v << (32 - by);
}

static void spread(const unsigned char *block, uint32_t w[64])
{
    for (size_t i = 0; i < 16; i++, block += 4)
        w[i] = (uint32_t)block[0] << 24 | (uint32_t)block[1] << 16 | (uint32_t)block[2] << 8 |
               (uint32_t)block[3];
    for (size_t i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        uint32_t low = turn(a, 7) ^ turn(a, 18) ^ a >> 3;
        uint32_t high = turn(b, 17) ^ turn(b, 19) ^ b >> 10;
        w[i] = w[i - 16] + low + w[i - 7] + high;
    }
}

static void take_block(struct sha256 *s, const unsigned char *block)
{
    uint32_t w[64], v[8];
    spread(block, w);
    memcpy(v, s->state, sizeof v);
    for (size_t i = 0; i < 64; i++) {
        uint32_t e = v[4], a = v[0];
        uint32_t one = v[7] + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) +
                       ((e & v[5]) ^ (~e & v[6])) + constants[i] + w[i];
        uint32_t two = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) +
                       ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof v[0]);
        v[4] += one;
        v[0] = one + two;
    }
    for (size_t i = 0; i < 8; i++)
        s->state[i] += v[i];
}

void sha256_init(struct sha256 *s)
{
    *s = (struct sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                   0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void sha256_add(struct sha256 *s, struct span bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    size_t left = bytes.n, held = s->bytes % sizeof s->waiting;
    s->bytes += bytes.n;
    while (left) {
        size_t room = sizeof s->waiting - held, n = left < room ? left : room;
        if (n == sizeof s->waiting) {
            take_block(s, p);
        } else {
            memcpy(s->waiting + held, p, n);
            if (held + n == sizeof s->waiting)
                take_block(s, s->waiting);
        }
        held = (held + n) % sizeof s->waiting;
        p += n;
        left -= n;
    }
}

void sha256_text(const struct sha256 *s, char out[SHA256_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    struct sha256 end = *s;
    unsigned char tail[72] = {0x80};
    uint64_t bits = s->bytes * 8;
    /* A one, zeros up to eight bytes before the end of a block, and the length. */
    size_t n = 1 + (119 - s->bytes % 64) % 64;
    for (size_t i = 0; i < 8; i++)
        tail[n + i] = (unsigned char)(bits >> (56 - 8 * i));
    sha256_add(&end, (struct span){(const char *)tail, n + 8});
    for (size_t i = 0; i < 32; i++) {
        unsigned char byte = (unsigned char)(end.state[i / 4] >> (24 - 8 * (i % 4)));
        out[2 * i] = digits[byte >> 4];
        out[2 * i + 1] = digits[byte & 15];
    }
    out[64] = '\0';
}
