#include "base/id.h"

#include "base/need.h"

enum { KIND = 3, DIGITS = 26 };
static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void id_make(char out[ID_TEXT], const char *kind, wall now, const uint8_t random[10])
{
    need(strlen(kind) == KIND);
    uint64_t ms = (uint64_t)(now.ms > 0 ? now.ms : 0);
    memcpy(out, kind, KIND);
    out[KIND] = '_';
    char *digits = out + KIND + 1;
    for (size_t i = 10; i-- > 0; ms >>= 5)
        digits[i] = alphabet[ms & 31];
    /* 80 random bits are 16 digits: five bytes make eight digits. */
    for (size_t half = 0; half < 2; half++) {
        uint64_t bits = 0;
        for (size_t i = 0; i < 5; i++)
            bits = bits << 8 | random[half * 5 + i];
        for (size_t i = 8; i-- > 0; bits >>= 5)
            digits[10 + half * 8 + i] = alphabet[bits & 31];
    }
    digits[DIGITS] = '\0';
}

bool id_valid(struct span text, const char *kind)
{
    if (text.n != KIND + 1 + DIGITS || !span_eq(span_cut(text, 0, KIND), span_of(kind)) ||
        text.p[KIND] != '_')
        return false;
    struct span digits = span_cut(text, KIND + 1, DIGITS);
    /* 26 digits hold 130 bits: a first digit above 7 would be time past 48 bits. */
    if (digits.p[0] > '7')
        return false;
    for (size_t i = 0; i < digits.n; i++)
        if (!memchr(alphabet, digits.p[i], sizeof alphabet - 1))
            return false;
    return true;
}
