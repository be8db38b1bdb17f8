#include "extract/token.h"

#include <math.h>
#include <stdlib.h>

enum { BASE = 36, FRACTION_MAX = 52, ID_DIGITS_MAX = 20 };

static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";

struct number { /* being written: digit values, the whole part first */
    unsigned char digit[TOKEN_MAX];
    size_t count, whole;
};

static void write_whole(double value, struct number *out)
{
    unsigned char back[TOKEN_MAX];
    size_t n = 0;
    do {
        double next = floor(value / BASE);
        back[n++] = (unsigned char)(value - next * BASE);
        value = next;
    } while (value > 0 && n < TOKEN_MAX / 4);
    while (n > 0)
        out->digit[out->count++] = back[--n];
    out->whole = out->count;
}

/* One is added to the last digit written. */
static void carry(struct number *out)
{
    for (size_t i = out->count; i > 0; i--) {
        if (++out->digit[i - 1] < BASE)
            return;
        out->digit[i - 1] = 0;
    }
}

/* The fewest digits that no other double shares, the last one rounded. */
static void write_fraction(double fraction, double delta, struct number *out)
{
    for (size_t n = 0; fraction >= delta && n < FRACTION_MAX && out->count < TOKEN_MAX - 1;
         n++) {
        fraction *= BASE;
        delta *= BASE;
        unsigned char digit = (unsigned char)fraction;
        out->digit[out->count++] = digit;
        fraction -= digit;
        if ((fraction > 0.5 || (fraction == 0.5 && (digit & 1))) && fraction + delta > 1) {
            carry(out);
            return;
        }
    }
}

bool token_of_id(struct span id, char out[TOKEN_MAX])
{
    char text[ID_DIGITS_MAX + 1];
    struct number n = {.count = 0};
    size_t at = 0;
    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] < '0' || id.p[i] > '9')
            return false;
    if (!id.n || id.n > ID_DIGITS_MAX)
        return false;
    span_copy(id, text, sizeof text);
    double value = strtod(text, NULL) / 1e15 * M_PI, whole = floor(value);
    double delta = fmax(0.5 * (nextafter(value, INFINITY) - value), nextafter(0.0, 1.0));
    write_whole(whole, &n);
    write_fraction(value - whole, delta, &n);
    for (size_t i = 0; i < n.count; i++)
        if (n.digit[i])
            out[at++] = digits[n.digit[i]];
    out[at] = '\0';
    return at > 0;
}
