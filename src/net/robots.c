#include "net/robots.h"

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

static bool next_line(struct span *rest, struct line *out)
{
    struct span line;
    while (span_next(rest, '\n', &line)) {
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

/* Rules of all groups that name `agent`. False when there is no such group. */
static bool judge(struct span text, struct span agent, struct span path, bool *out_allowed)
{
    struct line l;
    bool ours = false, naming = false, found = false;
    size_t longest = 0;
    *out_allowed = true;
    while (next_line(&text, &l)) {
        if (span_eq_nocase(l.key, SPAN("user-agent"))) {
            if (!naming)
                ours = false;
            naming = true;
            ours = ours || span_eq_nocase(l.value, agent);
            found = found || ours;
            continue;
        }
        bool allow = span_eq_nocase(l.key, SPAN("allow"));
        if (!allow && !span_eq_nocase(l.key, SPAN("disallow")))
            continue; /* sitemap and others stand beside the groups */
        naming = false;
        if (!ours || !l.value.n || l.value.n < longest || !rule_matches(l.value, path))
            continue;
        *out_allowed = l.value.n > longest ? allow : allow || *out_allowed;
        longest = l.value.n;
    }
    return found;
}

bool robots_allow(struct span robots_txt, struct span agent, struct span path)
{
    struct span text = span_cut(robots_txt, 0, ROBOTS_READ_MAX);
    bool allowed = true;
    if (span_starts(text, SPAN("\xEF\xBB\xBF")))
        text = span_cut(text, 3, text.n);
    if (!judge(text, agent, path, &allowed))
        (void)judge(text, SPAN("*"), path, &allowed);
    return allowed;
}
