#include "api/cursor.h"

#include "base/need.h"

/* "1.SORT.PLACE.JOB.MARKS": sort and marks as hexadecimal digits, the place as a number; 0 in a cursor of the version before, in the
 * order of acceptance. */
enum { MARK_DIGITS = 4, MARKS_TEXT = CURSOR_MARKS * MARK_DIGITS, SEED = 0x63757273 };

uint16_t cursor_mark(struct span value)
{
    return value.n ? (uint16_t)(span_hash(value, SEED) | 1) : 0;
}

char *cursor_write(const struct cursor *c, char out[CURSOR_TEXT])
{
    char marks[MARKS_TEXT + 1];
    need(c->sort >= 0 && c->sort < 16);
    for (size_t i = 0; i < CURSOR_MARKS; i++)
        snprintf(marks + i * MARK_DIGITS, MARK_DIGITS + 1, "%04x", c->marks[i]);
    snprintf(out, CURSOR_TEXT, "1.%x.%lld.%s.%s", (unsigned)c->sort, (long long)c->place, c->id,
             marks);
    return out;
}

/* Hexadecimal digits, all of them; −1: not. */
static int digits(struct span text)
{
    int value = 0;
    for (size_t i = 0; i < text.n; i++) {
        char d = text.p[i];
        bool number = d >= '0' && d <= '9';
        if (!number && (d < 'a' || d > 'f'))
            return -1;
        value = value * 16 + (number ? d - '0' : d - 'a' + 10);
    }
    return text.n ? value : -1;
}

bool cursor_read(struct span text, struct cursor *out)
{
    struct span version, sort, place, id, marks = text;
    struct cursor c = {.sort = -1};
    if (text.n >= CURSOR_TEXT || !span_next(&marks, '.', &version) ||
        !span_next(&marks, '.', &sort) || !span_next(&marks, '.', &place) ||
        !span_next(&marks, '.', &id))
        return false;
    if (!span_is(version, "1") || sort.n != 1 || !span_int(place, &c.place) || c.place < 0 ||
        !id_valid(id, "job") || marks.n != MARKS_TEXT)
        return false;
    c.sort = digits(sort);
    span_copy(id, c.id, sizeof c.id);
    for (size_t i = 0; i < CURSOR_MARKS; i++) {
        int mark = digits(span_cut(marks, i * MARK_DIGITS, MARK_DIGITS));
        if (mark < 0)
            return false;
        c.marks[i] = (uint16_t)mark;
    }
    *out = c;
    return c.sort >= 0;
}
