#include "core/drift.h"

#include <math.h>

/* Shares of records; how rare a count has to be before it is no chance. */
#define MISSING_RISE  0.10
#define FALLBACK_RISE 0.20
#define BY_CHANCE     1e-4
enum {
    NEW_LEAST = 5,
    NEW_SHARE = 50
}; /* of a path that never came before: so many, and one of so many */

/* ---- text ---- */

void drift_add_version(struct buf *out, struct span version)
{
    buf_fmt(out, "=%.*s\n", SP(span_cut(version, 0, 64)));
}

void drift_add_line(struct buf *out, const struct drift_line *line)
{
    size_t paths = line->paths;
    if (out->n + DRIFT_NAME * 2 > DRIFT_TEXT_MAX)
        return;
    if (line->news)
        buf_add_char(out, '+');
    if (line->map.n)
        buf_fmt(out, "%.*s.", SP(line->map));
    buf_add(out, line->name);
    if (!line->news)
        buf_fmt(out, " %lld", (long long)line->missing);
    while (paths > 0 && line->hits[paths - 1] == 0)
        paths--;
    for (size_t i = 0; i < paths; i++)
        buf_fmt(out, " %lld", (long long)line->hits[i]);
    buf_add_char(out, '\n');
}

static bool take_count(struct span *rest, int64_t *out)
{
    struct span word;
    return span_next(rest, ' ', &word) && span_int(word, out) && *out >= 0;
}

static bool read_line(struct span text, struct drift_line *out)
{
    *out = (struct drift_line){.news = text.n && text.p[0] == '+'};
    if (out->news)
        text = span_cut(text, 1, text.n);
    if (!span_next(&text, ' ', &out->name) || !out->name.n || out->name.n >= DRIFT_NAME)
        return false;
    if (!out->news && !take_count(&text, &out->missing))
        return false;
    while (text.n && out->paths < DRIFT_PATHS)
        if (!take_count(&text, &out->hits[out->paths++]))
            return false;
    return !out->news || out->paths == 1;
}

bool drift_next_line(struct span *rest, struct span *version, struct drift_line *out)
{
    struct span line;
    while (span_next(rest, '\n', &line)) {
        if (span_starts(line, SPAN("=")))
            *version = span_cut(line, 1, line.n < 65 ? line.n - 1 : 64);
        else if (read_line(line, out))
            return true;
    }
    return false;
}

/* ---- the rule ---- */

const char *drift_mark_name(enum drift_mark m)
{
    switch (m) {
    case DRIFT_MISSING:
        return "missing";
    case DRIFT_FALLBACK:
        return "fallback";
    case DRIFT_MEMBER:
        return "member";
    case DRIFT_NONE:
    case DRIFT_MARKS:
        break;
    }
    return "none";
}

/* The Chernoff bound of the binomial's upper tail: never too small, and good where it matters. */
double drift_tail(int64_t k, int64_t n, double p)
{
    if (n <= 0 || k <= 0)
        return 1;
    double share = (double)k / (double)n;
    if (share <= p)
        return 1;
    double apart = share * log(share / p);
    if (k < n)
        apart += (1 - share) * log((1 - share) / (1 - p));
    return exp(-(double)n * apart);
}

/* Did a share rise by `rise` and not by chance? The share before is taken a little larger than
 * counted: what did not come in few records may still come. */
static bool rose(int64_t k_before, int64_t n_before, int64_t k, int64_t n, double rise)
{
    if (n_before < DRIFT_BEFORE || n <= 0)
        return false;
    double before = ((double)k_before + 1) / ((double)n_before + 2);
    double now = (double)k / (double)n;
    return now - (double)k_before / (double)n_before >= rise &&
           drift_tail(k, n, before) < BY_CHANCE;
}

static int64_t found(const struct drift_counts *c)
{
    int64_t n = 0;
    for (size_t i = 0; i < DRIFT_PATHS; i++)
        n += c->hits[i];
    return n;
}

/* A second sign takes the place of a first one that stood in few records: no share rises by much, but a
 * path comes that never came. */
static bool has_new_path(const struct drift_counts *before, int64_t had,
                         const struct drift_counts *now, int64_t has)
{
    for (size_t i = 0; i < DRIFT_PATHS && had >= DRIFT_BEFORE; i++)
        if (before->hits[i] == 0 && now->hits[i] >= NEW_LEAST &&
            now->hits[i] * NEW_SHARE >= has &&
            drift_tail(now->hits[i], has, 1 / ((double)had + 2)) < BY_CHANCE)
            return true;
    return false;
}

enum drift_mark drift_judge(const struct drift_counts *before, const struct drift_counts *now)
{
    int64_t had = found(before), has = found(now);
    size_t usual = 0;
    for (size_t i = 1; i < DRIFT_PATHS; i++)
        if (before->hits[i] > before->hits[usual])
            usual = i;
    if (rose(before->missing, before->missing + had, now->missing, now->missing + has,
             MISSING_RISE))
        return DRIFT_MISSING;
    if (rose(had - before->hits[usual], had, has - now->hits[usual], has, FALLBACK_RISE))
        return DRIFT_FALLBACK;
    if (has_new_path(before, had, now, has))
        return DRIFT_FALLBACK;
    return DRIFT_NONE;
}
