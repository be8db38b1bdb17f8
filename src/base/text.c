#include "base/text.h"

#include "base/need.h"

enum { REPLACEMENT = 0xfffd };

/* Length of the character that starts with `lead`, 0 for a byte that cannot start one. */
static size_t length_of(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2)
        return 0;
    if (lead < 0xe0)
        return 2;
    if (lead < 0xf0)
        return 3;
    return lead < 0xf5 ? 4 : 0;
}

/* Decodes at p, where `left` bytes are there; returns the length, 0 when it is not UTF-8. */
static size_t decode(const unsigned char *p, size_t left, uint32_t *out)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = length_of(p[0]);
    if (n == 0 || n > left)
        return 0;
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7fU >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fU);
    }
    if (c < smallest[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    *out = c;
    return n;
}

uint32_t text_next(struct span s, size_t *at)
{
    need(*at < s.n);
    uint32_t c = REPLACEMENT;
    size_t n = decode((const unsigned char *)s.p + *at, s.n - *at, &c);
    *at += n ? n : 1;
    return c;
}

void text_add_code(struct buf *out, uint32_t c)
{
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        c = REPLACEMENT;
    char u[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--) {
        u[i] = (char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    u[0] = (char)(leads[n] | c);
    buf_add(out, (struct span){u, n});
}

bool text_valid(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    for (size_t i = 0; i < s.n;) {
        uint64_t eight;
        if (s.n - i >= 8) {
            memcpy(&eight, p + i, 8);
            if (!(eight & UINT64_C(0x8080808080808080))) {
                i += 8;
                continue;
            }
        }
        uint32_t c;
        size_t n = decode(p + i, s.n - i, &c);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

/* ---- HTML entities ---- */

struct entity {
    const char *name;
    uint32_t code;
};

static const struct entity entities[] = {
    {"amp", '&'},       {"lt", '<'},        {"gt", '>'},       {"quot", '"'},
    {"apos", '\''},     {"OElig", 0x152},   {"oelig", 0x153},  {"Scaron", 0x160},
    {"scaron", 0x161},  {"Yuml", 0x178},    {"fnof", 0x192},   {"circ", 0x2c6},
    {"tilde", 0x2dc},   {"ensp", 0x2002},   {"emsp", 0x2003},  {"thinsp", 0x2009},
    {"zwnj", 0x200c},   {"zwj", 0x200d},    {"lrm", 0x200e},   {"rlm", 0x200f},
    {"ndash", 0x2013},  {"mdash", 0x2014},  {"lsquo", 0x2018}, {"rsquo", 0x2019},
    {"sbquo", 0x201a},  {"ldquo", 0x201c},  {"rdquo", 0x201d}, {"bdquo", 0x201e},
    {"dagger", 0x2020}, {"Dagger", 0x2021}, {"bull", 0x2022},  {"hellip", 0x2026},
    {"permil", 0x2030}, {"prime", 0x2032},  {"Prime", 0x2033}, {"lsaquo", 0x2039},
    {"rsaquo", 0x203a}, {"euro", 0x20ac},   {"trade", 0x2122}, {"larr", 0x2190},
    {"uarr", 0x2191},   {"rarr", 0x2192},   {"darr", 0x2193},  {"harr", 0x2194},
    {"minus", 0x2212},  {"infin", 0x221e},  {"asymp", 0x2248}, {"ne", 0x2260},
    {"le", 0x2264},     {"ge", 0x2265},     {"loz", 0x25ca},   {"hearts", 0x2665},
};

/* U+00A0 to U+00FF in order. */
static const char *const latin[] = {
    "nbsp",   "iexcl",  "cent",   "pound",  "curren", "yen",    "brvbar", "sect",   "uml",
    "copy",   "ordf",   "laquo",  "not",    "shy",    "reg",    "macr",   "deg",    "plusmn",
    "sup2",   "sup3",   "acute",  "micro",  "para",   "middot", "cedil",  "sup1",   "ordm",
    "raquo",  "frac14", "frac12", "frac34", "iquest", "Agrave", "Aacute", "Acirc",  "Atilde",
    "Auml",   "Aring",  "AElig",  "Ccedil", "Egrave", "Eacute", "Ecirc",  "Euml",   "Igrave",
    "Iacute", "Icirc",  "Iuml",   "ETH",    "Ntilde", "Ograve", "Oacute", "Ocirc",  "Otilde",
    "Ouml",   "times",  "Oslash", "Ugrave", "Uacute", "Ucirc",  "Uuml",   "Yacute", "THORN",
    "szlig",  "agrave", "aacute", "acirc",  "atilde", "auml",   "aring",  "aelig",  "ccedil",
    "egrave", "eacute", "ecirc",  "euml",   "igrave", "iacute", "icirc",  "iuml",   "eth",
    "ntilde", "ograve", "oacute", "ocirc",  "otilde", "ouml",   "divide", "oslash", "ugrave",
    "uacute", "ucirc",  "uuml",   "yacute", "thorn",  "yuml",
};
_Static_assert(sizeof latin / sizeof latin[0] == 96, "all of Latin-1's upper half");

/* What browsers show for &#128; to &#159;: the Windows-1252 character, 0 where it has none. */
static const uint16_t windows[32] = {
    0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017d, 0,      0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178,
};

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

/* digits of "#123" or "#x1F600"; 0 when it is not a number. */
static uint32_t numeric_entity(struct span name)
{
    bool hex = name.n > 1 && (name.p[1] == 'x' || name.p[1] == 'X');
    struct span digits = span_cut(name, hex ? 2 : 1, name.n);
    uint32_t base = hex ? 16 : 10, c = 0;
    if (digits.n == 0)
        return 0;
    for (size_t i = 0; i < digits.n; i++) {
        uint32_t digit = (uint32_t)digit_of(digits.p[i]);
        if (digit >= base)
            return 0;
        if (c <= 0x10ffff)
            c = c * base + digit;
    }
    if (c >= 0x80 && c < 0xa0 && windows[c - 0x80])
        return windows[c - 0x80];
    return c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? REPLACEMENT : c;
}

/* Code point of the entity called name (between & and ;), 0 when it is not known. */
static uint32_t entity_code(struct span name)
{
    if (name.n > 0 && name.p[0] == '#')
        return numeric_entity(name);
    for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++)
        if (span_is(name, entities[i].name))
            return entities[i].code;
    for (size_t i = 0; i < sizeof latin / sizeof latin[0]; i++)
        if (span_is(name, latin[i]))
            return (uint32_t)(0xa0 + i);
    return 0;
}

void text_add_unescaped(struct buf *out, struct span s)
{
    enum { NAME_MOST = 12 }; /* "#x0010FFFF" and the longest name fit */
    while (s.n > 0) {
        size_t amp = span_find_char(s, '&');
        buf_add(out, span_cut(s, 0, amp));
        s = span_cut(s, amp, s.n);
        if (s.n == 0)
            return;
        struct span near = span_cut(s, 1, NAME_MOST);
        size_t end = span_find_char(near, ';');
        uint32_t code = end < near.n ? entity_code(span_cut(near, 0, end)) : 0;
        if (code) {
            text_add_code(out, code);
            s = span_cut(s, end + 2, s.n);
        } else {
            buf_add_char(out, '&');
            s = span_cut(s, 1, s.n);
        }
    }
}

void text_add_escaped_html(struct buf *out, struct span s)
{
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        const char *as = NULL;
        switch (s.p[i]) {
        case '&':
            as = "&amp;";
            break;
        case '<':
            as = "&lt;";
            break;
        case '>':
            as = "&gt;";
            break;
        case '"':
            as = "&quot;";
            break;
        case '\'':
            as = "&#39;";
            break;
        default:
            continue;
        }
        buf_add(out, span_cut(s, from, i - from));
        buf_add_text(out, as);
        from = i + 1;
    }
    buf_add(out, span_cut(s, from, s.n));
}

/* ---- terminals ---- */

/* Characters that show nothing themselves but change how their neighbours look. */
static bool is_hidden(uint32_t c)
{
    static const uint32_t ranges[][2] = {
        {0x80, 0x9f},     {0xad, 0xad},       {0x61c, 0x61c},   {0x180e, 0x180e},
        {0x200b, 0x200f}, {0x202a, 0x202e},   {0x2060, 0x206f}, {0xfeff, 0xfeff},
        {0xfff9, 0xfffb}, {0xe0000, 0xe007f},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return false;
}

static uint32_t printable(uint32_t c)
{
    if (c == '\n' || c == '\t' || c == 0x2028 || c == 0x2029)
        return ' ';
    if (c < ' ')
        return 0x2400 + c; /* U+241B is the picture of ESC, and so on */
    if (c == 0x7f)
        return 0x2421;
    return is_hidden(c) ? REPLACEMENT : c;
}

void text_add_printable(struct buf *out, struct span s)
{
    for (size_t at = 0; at < s.n;)
        text_add_code(out, printable(text_next(s, &at)));
}

size_t text_add_cut(struct buf *out, struct span s, size_t columns)
{
    size_t at = 0, used = 0, cut = 0; /* cut: where the ellipsis would go */
    if (columns == 0)
        return 0;
    while (at < s.n && used < columns) {
        if (used == columns - 1)
            cut = at;
        text_next(s, &at);
        used++;
    }
    if (at == s.n) {
        buf_add(out, s);
        return used;
    }
    buf_add(out, span_cut(s, 0, cut));
    text_add_code(out, 0x2026);
    return columns;
}

/* ---- URLs ---- */

static bool is_unreserved(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           c == '-' || c == '.' || c == '_' || c == '~';
}

void text_add_url_escaped(struct buf *out, struct span s)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (is_unreserved(s.p[i])) {
            buf_add_char(out, s.p[i]);
            continue;
        }
        char escaped[] = {'%', hex[c >> 4], hex[c & 15]};
        buf_add(out, (struct span){escaped, sizeof escaped});
    }
}

bool text_add_url_unescaped(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '%') {
            buf_add_char(out, s.p[i]);
            continue;
        }
        if (s.n - i < 3)
            return false;
        int high = digit_of(s.p[i + 1]), low = digit_of(s.p[i + 2]);
        if (high > 15 || low > 15)
            return false;
        buf_add_char(out, (char)(high << 4 | low));
        i += 2;
    }
    return true;
}

/* ---- suggestions ---- */

enum { WORD_MOST = 48, EDITS_MOST = 2 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours from a to b. */
static size_t edits(struct span a, struct span b)
{
    size_t rows[3][WORD_MOST + 1];
    for (size_t j = 0; j <= b.n; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            bool same = a.p[i - 1] == b.p[j - 1];
            now[j] = least(least(last[j] + 1, now[j - 1] + 1), last[j - 1] + !same);
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
    }
    return rows[a.n % 3][b.n];
}

const char *text_nearest(struct span wrong, const char *const *words)
{
    const char *nearest = NULL;
    size_t best = EDITS_MOST + 1;
    for (; *words && wrong.n <= WORD_MOST; words++) {
        struct span word = span_of(*words);
        if (word.n > WORD_MOST || word.n > wrong.n + EDITS_MOST ||
            wrong.n > word.n + EDITS_MOST)
            continue;
        size_t n = edits(wrong, word);
        /* A word of which nothing is left is not near, however short it is. */
        if (n < best && n < (wrong.n > word.n ? wrong.n : word.n)) {
            best = n;
            nearest = *words;
        }
    }
    return nearest;
}
