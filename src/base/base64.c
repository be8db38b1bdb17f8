#include "base/base64.h"

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_add_plain(struct buf *out, struct span text)
{
    if (text.n % 4 || !text.n)
        return !text.n;
    size_t padding = span_ends(text, SPAN("==")) ? 2 : span_ends(text, SPAN("=")) ? 1 : 0;
    char *to = buf_room(out, text.n / 4 * 3), *start = to;
    if (!to)
        return false;
    for (size_t at = 0; at < text.n; at += 4) {
        size_t digits = at + 4 == text.n ? 4 - padding : 4;
        unsigned value = 0;
        for (size_t i = 0; i < 4; i++) {
            int d = i < digits ? digit_of(text.p[at + i]) : 0;
            if (d < 0)
                return false;
            value = value << 6 | (unsigned)d;
        }
        for (size_t i = 0; i + 1 < digits; i++)
            *to++ = (char)(value >> (16 - 8 * i) & 0xff);
    }
    out->n += (size_t)(to - start);
    return true;
}
