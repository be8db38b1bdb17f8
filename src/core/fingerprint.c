#include "core/fingerprint.h"

enum { UNIT_MOST = 3 }; /* "ms", "MiB" behind a number */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Letters of other scripts are above ASCII, and belong to words. */
static bool in_token(char c)
{
    return is_digit(c) || is_letter(c) || (unsigned char)c >= 0x80 ||
           (c != '\0' && strchr("_.@:/#%&=?+~$*-", c) != NULL);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Where the quote that opens at `from` closes, or 0: it is an apostrophe, or never closes. */
static size_t closing_quote(struct span s, size_t from)
{
    char quote = s.p[from];
    if (quote == '\'' && from > 0 && (is_letter(s.p[from - 1]) || is_digit(s.p[from - 1])))
        return 0;
    for (size_t i = from + 1; i < s.n; i++) {
        bool inside =
            quote == '\'' && i + 1 < s.n && is_letter(s.p[i + 1]) && is_letter(s.p[i - 1]);
        if (s.p[i] == quote && !inside)
            return i;
    }
    return 0;
}

struct looks {
    size_t digits, letters, colons;
    bool dotted; /* a letter right before and behind a dot: a host, a file */
    bool hex;    /* nothing but what an IPv6 address has */
};

static struct looks look_at(struct span t)
{
    struct looks l = {.hex = true};
    for (size_t i = 0; i < t.n; i++) {
        char c = t.p[i];
        l.digits += is_digit(c);
        l.letters += is_letter(c) || (unsigned char)c >= 0x80;
        l.colons += c == ':';
        l.dotted = l.dotted || (c == '.' && i > 0 && i + 1 < t.n && is_letter(t.p[i + 1]) &&
                                (is_letter(t.p[i - 1]) || is_digit(t.p[i - 1])));
        l.hex = l.hex &&
                (is_digit(c) || c == ':' || c == '.' || (lower(c) >= 'a' && lower(c) <= 'f'));
    }
    return l;
}

/* "12", "9.1", "+3", "80%", "12s", "10ms", "4MiB", "2026-02-06T21:09" */
static bool is_number(struct span t)
{
    size_t end = t.n;
    while (end > 0 && is_letter(t.p[end - 1]))
        end--;
    if (end == 0 || t.n - end > UNIT_MOST)
        return false;
    bool any = false;
    for (size_t i = 0; i < end; i++) {
        bool joint = strchr(".,:/+%-", t.p[i]) != NULL || (t.p[i] == 'T' && i > 0);
        if (!is_digit(t.p[i]) && !joint)
            return false;
        any = any || is_digit(t.p[i]);
    }
    return any;
}

/* What stands for the token, or NULL: the word itself. */
static const char *stands_for(struct span t)
{
    struct looks l = look_at(t);
    if (span_find(t, SPAN("://")) < t.n)
        return "<host>";
    if (t.p[0] == '@' || (t.p[0] == '#' && t.n > 1))
        return "<id>";
    if (t.p[0] == '/' && t.n > 1)
        return "<path>";
    if (is_number(t))
        return "<n>";
    if (l.dotted || (l.hex && l.colons > 1))
        return "<host>";
    return l.digits && l.letters ? "<id>" : NULL;
}

static void add_token(struct span t, struct buf *out)
{
    /* The end of a sentence is no part of its last word. */
    size_t tail = t.n;
    while (tail > 0 && strchr(".:?/", t.p[tail - 1]))
        tail--;
    struct span word = span_cut(t, 0, tail);
    const char *other = word.n ? stands_for(word) : NULL;
    if (other)
        buf_add_text(out, other);
    for (size_t i = other ? tail : 0; i < t.n; i++)
        buf_add_char(out, lower(t.p[i]));
}

static void add_space(struct buf *out)
{
    if (out->n && out->p[out->n - 1] != ' ')
        buf_add_char(out, ' ');
}

void fingerprint_words(struct span words, struct buf *out)
{
    struct span s = span_trim(words);
    for (size_t i = 0; i < s.n && out->n < FINGERPRINT_WORDS - 64;) {
        char c = s.p[i];
        size_t end = i;
        if (c == '"' || c == '\'' || c == '`')
            end = closing_quote(s, i);
        if (end > i) {
            buf_add_text(out, "<quoted>");
            i = end + 1;
            continue;
        }
        for (end = i; end < s.n && end - i < 64 && in_token(s.p[end]);)
            end++;
        if (end > i) {
            add_token(span_cut(s, i, end - i), out);
            while (end < s.n && in_token(s.p[end])) /* a very long one is cut */
                end++;
            i = end;
            continue;
        }
        if ((unsigned char)c <= ' ')
            add_space(out);
        else
            buf_add_char(out, c);
        i++;
    }
}

void fingerprint_make(struct span site, struct span kind, enum failure_class failure,
                      struct span words, char out[FINGERPRINT_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    struct buf text = BUF(FINGERPRINT_WORDS + 512);
    buf_fmt(&text, "%.*s\n%.*s\n%s\n", SP(span_cut(site, 0, 64)), SP(span_cut(kind, 0, 64)),
            failure_name(failure));
    struct buf normal = BUF(FINGERPRINT_WORDS);
    fingerprint_words(words, &normal);
    buf_add(&text, buf_span(&normal));
    uint64_t hash = span_hash(buf_span(&text), 0);
    for (int i = 0; i < FINGERPRINT_TEXT - 1; i++)
        out[i] = digits[hash >> (60 - 4 * i) & 15];
    out[FINGERPRINT_TEXT - 1] = '\0';
    buf_free(&text);
    buf_free(&normal);
}

bool fingerprint_valid(struct span text)
{
    bool valid = text.n == FINGERPRINT_TEXT - 1;
    for (size_t i = 0; valid && i < text.n; i++)
        valid = is_digit(text.p[i]) || (text.p[i] >= 'a' && text.p[i] <= 'f');
    return valid;
}
