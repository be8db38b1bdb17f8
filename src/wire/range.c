#include "wire/range.h"

/* A number without a sign. */
static bool number(struct span s, int64_t *out)
{
    return s.n > 0 && s.p[0] >= '0' && s.p[0] <= '9' && span_int(s, out);
}

/* "bytes 500-999/1000", "bytes 500-999" with an unknown total as '*', "bytes *" of a 416. */
static bool read_content_range(struct span header, int64_t *out_from, int64_t *out_total)
{
    struct span s = span_trim(header);
    if (!span_eq_nocase(span_cut(s, 0, 6), SPAN("bytes ")))
        return false;
    s = span_trim(span_cut(s, 6, s.n));
    size_t slash = span_find_char(s, '/');
    struct span part = span_cut(s, 0, slash), total = span_cut(s, slash + 1, s.n);
    *out_from = *out_total = -1;
    if (!span_is(total, "*") && !number(total, out_total))
        return false;
    return span_is(part, "*") || number(span_cut(part, 0, span_find_char(part, '-')), out_from);
}

enum range_answer range_judge(int status, struct span content_range, int64_t have,
                              int64_t *out_total)
{
    int64_t from = -1, total = -1;
    bool said = read_content_range(content_range, &from, &total);
    *out_total = -1;
    if (status == 200)
        return RANGE_WHOLE;
    if (status == 206) {
        if (!said || from != have || (total >= 0 && total < have))
            return RANGE_AGAIN;
        *out_total = total;
        return RANGE_REST;
    }
    if (status != 416 || have == 0)
        return RANGE_OTHER;
    if (!said || total != have)
        return RANGE_AGAIN;
    *out_total = total;
    return RANGE_READY;
}

enum range_wish range_read(struct span header, int64_t size, int64_t *out_from,
                           int64_t *out_count)
{
    struct span s = span_trim(header);
    int64_t from = 0, last = size - 1;
    if (!span_eq_nocase(span_cut(s, 0, 6), SPAN("bytes=")))
        return RANGE_ALL;
    s = span_trim(span_cut(s, 6, s.n));
    size_t dash = span_find_char(s, '-');
    struct span a = span_cut(s, 0, dash), b = span_cut(s, dash + 1, s.n);
    if (dash == s.n || (!a.n && !b.n) || (a.n && !number(a, &from)) ||
        (b.n && !number(b, &last)))
        return RANGE_ALL;
    if (!a.n) { /* so many of the end */
        if (last == 0 || size == 0)
            return RANGE_NONE;
        from = last < size ? size - last : 0;
        last = size - 1;
    }
    if (a.n && b.n && last < from)
        return RANGE_ALL;
    if (from >= size)
        return RANGE_NONE;
    *out_from = from;
    *out_count = (last < size ? last : size - 1) - from + 1;
    return RANGE_PART;
}
