#include "net/robots.h"

enum { RULE_MAX = 64 * 1024 };

/* ---- one spelling for every path ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_unreserved(int c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* As RFC 9309 compares: what need not be escaped is not, what is no ASCII is. Of a path also '*' and
 * '$', which mean something in a rule. */
static void add_spelled(struct buf *out, struct span s, bool is_path)
{
    for (size_t i = 0; i < s.n; i++) {
        int c = (unsigned char)s.p[i];
        bool escaped =
            c == '%' && i + 2 < s.n && hex_digit(s.p[i + 1]) >= 0 && hex_digit(s.p[i + 2]) >= 0;
        if (escaped) {
            c = hex_digit(s.p[i + 1]) << 4 | hex_digit(s.p[i + 2]);
            i += 2;
        }
        if (escaped ? is_unreserved(c) : c < 0x80 && !(is_path && (c == '*' || c == '$')))
            buf_add_char(out, (char)c);
        else
            buf_fmt(out, "%%%02X", c);
    }
}

/* ---- rules ---- */

/* '*' in the pattern is any text, '$' at its end the end. Linear but for the last star: the pattern
 * goes back to it only. */
static bool rule_matches(struct span rule, struct span path)
{
    bool whole = span_ends(rule, SPAN("$"));
    size_t r = 0, p = 0, star = SIZE_MAX, mark = 0;
    if (whole)
        rule.n--;
    for (;;) {
        if (r == rule.n) {
            if (!whole || p == path.n)
                return true;
        } else if (rule.p[r] == '*') {
            star = ++r;
            mark = p;
            continue;
        } else if (p < path.n && rule.p[r] == path.p[p]) {
            r++;
            p++;
            continue;
        }
        if (star == SIZE_MAX || mark >= path.n)
            return false;
        r = star;
        p = ++mark;
    }
}

struct line {
    struct span key, value;
};

/* Lines end with CR, LF or both. */
static bool take_line(struct span *rest, struct span *out)
{
    size_t n = 0;
    if (rest->n == 0)
        return false;
    while (n < rest->n && rest->p[n] != '\n' && rest->p[n] != '\r')
        n++;
    *out = span_cut(*rest, 0, n);
    *rest = span_cut(*rest, n + 1, rest->n);
    return true;
}

static bool next_line(struct span *rest, struct line *out)
{
    struct span line;
    while (take_line(rest, &line)) {
        line = span_trim(span_cut(line, 0, span_find_char(line, '#')));
        size_t colon = span_find_char(line, ':');
        if (colon == line.n)
            continue;
        *out = (struct line){span_trim(span_cut(line, 0, colon)),
                             span_trim(span_cut(line, colon + 1, line.n))};
        return true;
    }
    return false;
}

/* The name of a robot without what follows it, as in "Fulmar/1.0" or "* # all". */
static struct span token_of(struct span value)
{
    size_t n = 0;
    if (span_starts(value, SPAN("*")))
        return span_cut(value, 0, 1);
    while (n < value.n && (((value.p[n] | 0x20) >= 'a' && (value.p[n] | 0x20) <= 'z') ||
                           value.p[n] == '_' || value.p[n] == '-'))
        n++;
    return span_cut(value, 0, n);
}

static bool applies(struct span rule, struct span path, struct buf *room)
{
    buf_clear(room);
    add_spelled(room, rule, false);
    return !room->failed && rule_matches(buf_span(room), path);
}

/* Rules of all groups that name `agent`. False when there is no such group. */
static bool judge(struct span text, struct span agent, struct span path, bool *out_allowed)
{
    struct line l;
    bool ours = false, naming = false, found = false;
    size_t longest = 0;
    struct buf room = BUF(RULE_MAX);
    *out_allowed = true;
    while (next_line(&text, &l)) {
        if (span_eq_nocase(l.key, SPAN("user-agent"))) {
            if (!naming)
                ours = false;
            naming = true;
            ours = ours || span_eq_nocase(token_of(l.value), agent);
            found = found || ours;
            continue;
        }
        bool allow = span_eq_nocase(l.key, SPAN("allow"));
        if (!allow && !span_eq_nocase(l.key, SPAN("disallow")))
            continue; /* sitemap and others stand beside the groups */
        naming = false;
        if (!ours || !l.value.n || !applies(l.value, path, &room) || room.n < longest)
            continue;
        *out_allowed = room.n > longest ? allow : allow || *out_allowed;
        longest = room.n;
    }
    buf_free(&room);
    return found;
}

bool robots_allow(struct span robots_txt, struct span agent, struct span path)
{
    struct span text = span_cut(robots_txt, 0, ROBOTS_READ_MAX);
    struct buf spelled = BUF(RULE_MAX);
    bool allowed = true;
    if (span_starts(text, SPAN("\xEF\xBB\xBF")))
        text = span_cut(text, 3, text.n);
    add_spelled(&spelled, path, true);
    path = buf_span(&spelled);
    if (!judge(text, agent, path, &allowed))
        (void)judge(text, SPAN("*"), path, &allowed);
    allowed = allowed && !spelled.failed;
    buf_free(&spelled);
    return allowed;
}
