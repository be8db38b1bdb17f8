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

void base64_add(struct buf *out, struct span bytes)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < bytes.n; at += 3) {
        size_t left = bytes.n - at < 3 ? bytes.n - at : 3;
        unsigned value = 0;
        for (size_t i = 0; i < 3; i++)
            value = value << 8 | (i < left ? (unsigned char)bytes.p[at + i] : 0U);
        for (size_t i = 0; i < 4; i++)
            buf_add_char(out, i <= left ? digits[value >> (18 - 6 * i) & 63] : '=');
    }
}
