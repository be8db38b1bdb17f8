#include "extract/format.h"

#include "base/text.h"

#define COUNT_MOST ((int64_t)1 << 53)

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct span rest_of(struct span s, size_t at)
{
    return span_cut(s, at, s.n);
}

/* ---- times ---- */

struct moment {
    int year, month, day, hour, minute, second;
    int half;   /* %p: 0 none, 1 AM, 2 PM */
    int offset; /* minutes east of UTC */
};

static bool take_number(struct span *text, int least_digits, int most_digits, int *out)
{
    int n = 0, digits = 0;
    while (digits < most_digits && text->n && is_digit(text->p[0])) {
        n = n * 10 + (text->p[0] - '0');
        *text = rest_of(*text, 1);
        digits++;
    }
    *out = n;
    return digits >= least_digits;
}

/* Index of an English name, whole or its first three letters. */
static bool take_name(struct span *text, const char *const *names, int *out)
{
    size_t letters = 0;
    while (letters < text->n && ((text->p[letters] | 0x20) >= 'a') &&
           ((text->p[letters] | 0x20) <= 'z'))
        letters++;
    struct span word = span_cut(*text, 0, letters);
    for (int i = 0; names[i]; i++) {
        struct span name = span_of(names[i]);
        if (!span_eq_nocase(word, name) && !span_eq_nocase(word, span_cut(name, 0, 3)))
            continue;
        *text = rest_of(*text, letters);
        *out = i;
        return true;
    }
    return false;
}

static bool take_zone(struct span *text, int *out_minutes)
{
    static const struct {
        const char *name;
        int hours;
    } names[] = {{"UTC", 0},  {"GMT", 0},  {"UT", 0},   {"Z", 0},
                 {"EST", -5}, {"EDT", -4}, {"CST", -6}, {"CDT", -5}, /* RFC 822 */
                 {"MST", -7}, {"MDT", -6}, {"PST", -8}, {"PDT", -7}};
    *out_minutes = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (span_starts(*text, span_of(names[i].name))) {
            *text = rest_of(*text, strlen(names[i].name));
            *out_minutes = names[i].hours * 60;
            return true;
        }
    if (text->n == 0 || (text->p[0] != '+' && text->p[0] != '-'))
        return false;
    bool west = text->p[0] == '-';
    int hours = 0, minutes = 0;
    *text = rest_of(*text, 1);
    if (!take_number(text, 2, 2, &hours))
        return false;
    if (text->n && text->p[0] == ':')
        *text = rest_of(*text, 1);
    if (!take_number(text, 2, 2, &minutes) || hours > 14 || minutes > 59)
        return false;
    *out_minutes = (hours * 60 + minutes) * (west ? -1 : 1);
    return true;
}

static bool take_field(char field, struct span *text, struct moment *m)
{
    static const char *const months[] = {
        "January", "February",  "March",   "April",    "May",      "June", "July",
        "August",  "September", "October", "November", "December", NULL};
    static const char *const days[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                       "Friday", "Saturday", "Sunday",    NULL};
    static const char *const halves[] = {"AM", "PM", NULL};
    int n = 0;
    bool fine = true;
    switch (field) {
    case 'a':
        return take_name(text, days, &n);
    case 'b':
    case 'B':
        fine = take_name(text, months, &n);
        m->month = n + 1;
        return fine;
    case 'p':
        fine = take_name(text, halves, &n);
        m->half = n + 1;
        return fine;
    case 'z':
        return take_zone(text, &m->offset);
    case 'Y':
        return take_number(text, 4, 4, &m->year);
    case 'm':
        return take_number(text, 1, 2, &m->month);
    case 'd':
        return take_number(text, 1, 2, &m->day);
    case 'H':
    case 'I':
        return take_number(text, 1, 2, &m->hour);
    case 'M':
        return take_number(text, 2, 2, &m->minute);
    case 'S':
        return take_number(text, 2, 2, &m->second);
    default:
        return false;
    }
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

static bool moment_time(struct moment m, wall *out)
{
    if (m.half && (m.hour < 1 || m.hour > 12))
        return false;
    if (m.half)
        m.hour = m.hour % 12 + (m.half == 2 ? 12 : 0);
    if (m.year < 1970 || m.month < 1 || m.month > 12 || m.day < 1 ||
        m.day > days_in(m.year, m.month) || m.hour > 23 || m.minute > 59 || m.second > 60)
        return false;
    int64_t seconds = when_days(m.year, m.month, m.day) * 86400 + m.hour * 3600 +
                      (m.minute - m.offset) * 60 + m.second;
    *out = (wall){seconds * 1000};
    return true;
}

bool format_time(struct span format, struct span text, wall *out)
{
    struct moment m = {.month = 1, .day = 1};
    text = span_trim(text);
    for (size_t i = 0; i < format.n; i++) {
        char c = format.p[i];
        if (c == '%' && i + 1 < format.n) {
            if (!take_field(format.p[++i], &text, &m))
                return false;
        } else if (c == ' ') {
            if (text.n == 0 || !is_space(text.p[0]))
                return false;
            while (text.n && is_space(text.p[0]))
                text = rest_of(text, 1);
        } else {
            if (text.n == 0 || text.p[0] != c)
                return false;
            text = rest_of(text, 1);
        }
    }
    return text.n == 0 && moment_time(m, out);
}

/* ---- numbers ---- */

static bool add_digit(int64_t *n, char c)
{
    *n = *n * 10 + (c - '0');
    return *n <= COUNT_MOST;
}

/* Digits with commas between groups of three; *at is behind them. */
static bool take_grouped(struct span s, size_t *at, int64_t *out)
{
    int64_t n = 0;
    size_t start = *at, group = 0;
    bool grouped = false;
    for (; *at < s.n; (*at)++) {
        char c = s.p[*at];
        if (c == ',' && *at + 1 < s.n && is_digit(s.p[*at + 1]) && *at > start &&
            (!grouped || group == 3)) {
            grouped = true;
            group = 0;
            continue;
        }
        if (!is_digit(c))
            break;
        if (!add_digit(&n, c))
            return false;
        group++;
    }
    *out = n;
    return *at > start && (!grouped || group == 3);
}

static int64_t unit_of(char c)
{
    return c == 'K' ? 1000 : c == 'M' ? 1000 * 1000 : c == 'B' ? 1000 * 1000 * 1000 : 0;
}

bool format_count(struct span text, bool abbreviated, int64_t *out)
{
    struct span s = span_trim(text);
    size_t at = 0;
    int64_t n = 0, tenths = 0;
    if (!take_grouped(s, &at, &n))
        return false;
    bool fraction = at + 1 < s.n && s.p[at] == '.' && is_digit(s.p[at + 1]);
    if (fraction) {
        tenths = s.p[at + 1] - '0';
        at += 2;
    }
    int64_t unit = at < s.n ? unit_of(s.p[at]) : 0;
    if (!unit) {
        bool ends = at == s.n || is_space(s.p[at]) || s.p[at] == '%';
        *out = fraction ? 0 : n;
        return ends && !fraction;
    }
    if (!abbreviated || n > COUNT_MOST / unit)
        return false;
    *out = n * unit + tenths * (unit / 10);
    return true;
}

static bool one_of(struct span word, const struct span *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (span_eq_nocase(word, list[i]))
            return true;
    return false;
}

bool format_label(const struct conv_extra *x, struct span text, int64_t *out)
{
    struct span rest = text, part;
    int64_t found = x->absent;
    /* Thousands never stand between commas here: parts are apart by comma and space. */
    while (rest.n) {
        size_t end = span_find(rest, SPAN(", "));
        part = span_trim(span_cut(rest, 0, end));
        rest = end < rest.n ? rest_of(rest, end + 2) : SPAN("");
        size_t at = 0;
        int64_t n = 0;
        bool counted = take_grouped(part, &at, &n);
        struct span word = span_trim(rest_of(part, counted ? at : 0));
        if (!one_of(word, x->among, x->among_count))
            return false;
        if (counted && one_of(word, x->words, x->word_count))
            found = n;
    }
    *out = found;
    return found >= 0;
}

bool format_percent(struct span text, double *out)
{
    struct span s = span_trim(text);
    if (!span_ends(s, SPAN("%")))
        return false;
    double n = 0, scale = 1;
    bool point = false;
    size_t digits = 0;
    for (size_t i = 0; i + 1 < s.n; i++) {
        char c = s.p[i];
        if (c == '.' && !point && i > 0) {
            point = true;
        } else if (is_digit(c) && digits < 6) {
            n = n * 10 + (c - '0');
            scale = point ? scale * 10 : scale;
            digits++;
        } else {
            return false;
        }
    }
    *out = n / scale;
    return digits > 0 && *out <= 100;
}

struct span format_digits_after(struct span text, struct span mark)
{
    size_t at = span_find(text, mark);
    if (at == text.n)
        return SPAN_NONE;
    struct span rest = rest_of(text, at + mark.n);
    size_t n = 0;
    while (n < rest.n && is_digit(rest.p[n]))
        n++;
    return span_cut(rest, 0, n);
}

/* ---- URLs ---- */

/* How much of text the pattern takes; 0 when it does not fit. '*' is one segment of the path. */
static size_t fits(struct span text, struct span pattern)
{
    size_t at = 0;
    for (size_t i = 0; i < pattern.n; i++) {
        if (pattern.p[i] == '*') {
            size_t from = at;
            while (at < text.n && text.p[at] != '/')
                at++;
            if (at == from)
                return 0;
        } else if (at == text.n || text.p[at++] != pattern.p[i]) {
            return 0;
        }
    }
    return at;
}

static size_t first_fit(struct span text, const struct span *patterns, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t taken = fits(text, patterns[i]);
        if (taken)
            return taken;
    }
    return 0;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (is_digit(c))
        return c - '0' + 52;
    if (c == '-' || c == '+')
        return 62;
    return c == '_' || c == '/' ? 63 : -1;
}

/* Both alphabets, with or without '=' at the end. */
static bool add_base64(struct buf *out, struct span s)
{
    uint32_t bits = 0;
    int have = 0;
    while (s.n && s.p[s.n - 1] == '=')
        s.n--;
    for (size_t i = 0; i < s.n; i++) {
        int d = base64_digit(s.p[i]);
        if (d < 0)
            return false;
        bits = (bits << 6 | (uint32_t)d) & 0xFFFFFF;
        have += 6;
        if (have >= 8) {
            have -= 8;
            buf_add_char(out, (char)(bits >> have & 0xFF));
        }
    }
    return s.n > 0;
}

static bool has_scheme(struct span s)
{
    return span_starts(s, SPAN("https://")) || span_starts(s, SPAN("http://"));
}

bool format_is_url(struct span text)
{
    struct span head = span_cut(text, 0, sizeof "https://" - 1);
    return span_eq_nocase(head, SPAN("https://")) ||
           span_eq_nocase(span_cut(head, 0, sizeof "http://" - 1), SPAN("http://"));
}

static void add_whole(struct buf *out, const struct conv_extra *x, struct span s)
{
    for (size_t i = 0; x->without_query && i < s.n; i++)
        if (s.p[i] == '?' || s.p[i] == '#')
            s.n = i;
    bool hosted = false;
    for (size_t i = 0; i < x->host_count; i++)
        hosted = hosted || span_starts(s, x->hosts[i]);
    if (!has_scheme(s))
        buf_add(out, hosted ? SPAN("https://") : x->argument);
    buf_add(out, s);
}

bool format_unproxied(struct buf *out, const struct conv_extra *x, struct span text)
{
    struct buf plain = BUF(FORMAT_URL_MAX);
    size_t taken = first_fit(text, x->strip64, x->strip64_count);
    bool fine = text.n <= FORMAT_URL_MAX;
    if (fine && taken) {
        fine = add_base64(&plain, rest_of(text, taken));
    } else if (fine && (taken = first_fit(text, x->strip, x->strip_count)) > 0) {
        fine = text_add_url_unescaped(&plain, rest_of(text, taken));
    } else if (fine) {
        fine = has_scheme(text);
        buf_add(&plain, text);
    }
    fine = fine && !plain.failed && plain.n > 0 && text_valid(buf_span(&plain));
    if (fine)
        add_whole(out, x, buf_span(&plain));
    buf_free(&plain);
    return fine;
}

bool format_with_ending(struct buf *out, struct span url)
{
    size_t mark = span_find_char(url, '?');
    struct span query = rest_of(url, mark < url.n ? mark + 1 : mark), part;
    if (!has_scheme(url))
        return false;
    buf_add(out, span_cut(url, 0, mark));
    while (span_next(&query, '&', &part))
        if (span_starts(part, SPAN("format="))) {
            buf_add_char(out, '.');
            buf_add(out, rest_of(part, sizeof "format=" - 1));
            break;
        }
    return true;
}
