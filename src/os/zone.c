#include "os/zone.h"

#include "os/files.h"

#include <fcntl.h>

enum {
    NAME_MAX_BYTES = 64,
    FILE_MAX = 64 * 1024,
    HEADER = 44,
    OFFSET_MAX = 26 * 3600,
    HOURS_MAX = 167
};

struct counts {
    int64_t isut, isstd, leap, time, type, chars;
};

/* ---- the last line: what holds after the last change, "CET-1CEST,M3.5.0,M10.5.0/3" ---- */

static bool take(struct span *rest, char c)
{
    if (rest->n == 0 || rest->p[0] != c)
        return false;
    *rest = span_cut(*rest, 1, rest->n);
    return true;
}

static bool take_number(struct span *rest, int least, int most, int *out)
{
    int value = 0;
    size_t n = 0;
    for (; n < rest->n && n < 3 && rest->p[n] >= '0' && rest->p[n] <= '9'; n++)
        value = value * 10 + (rest->p[n] - '0');
    *rest = span_cut(*rest, n, rest->n);
    *out = value;
    return n > 0 && value >= least && value <= most;
}

static bool take_name(struct span *rest)
{
    size_t n = 0;
    if (take(rest, '<')) {
        n = span_find_char(*rest, '>');
        *rest = span_cut(*rest, n + 1, rest->n);
        return n >= 3;
    }
    while (n < rest->n && ((rest->p[n] >= 'A' && rest->p[n] <= 'Z') ||
                           (rest->p[n] >= 'a' && rest->p[n] <= 'z')))
        n++;
    *rest = span_cut(*rest, n, rest->n);
    return n >= 3;
}

/* "[+-]hh[:mm[:ss]]" */
static bool take_time(struct span *rest, int hours_most, int32_t *out_s)
{
    int h = 0, m = 0, s = 0;
    bool minus = take(rest, '-');
    if (!minus)
        (void)take(rest, '+');
    if (!take_number(rest, 0, hours_most, &h))
        return false;
    if (take(rest, ':')) {
        if (!take_number(rest, 0, 59, &m))
            return false;
        if (take(rest, ':') && !take_number(rest, 0, 59, &s))
            return false;
    }
    *out_s = (h * 3600 + m * 60 + s) * (minus ? -1 : 1);
    return true;
}

static bool take_day(struct span *rest, struct zone_day *d)
{
    bool good;
    *d = (struct zone_day){.at_s = 2 * 3600};
    if (take(rest, 'M')) {
        d->kind = ZONE_DAY_OF_WEEK;
        good = take_number(rest, 1, 12, &d->month) && take(rest, '.') &&
               take_number(rest, 1, 5, &d->week) && take(rest, '.') &&
               take_number(rest, 0, 6, &d->weekday);
    } else if (take(rest, 'J')) {
        d->kind = ZONE_DAY_JULIAN;
        good = take_number(rest, 1, 365, &d->day);
    } else {
        d->kind = ZONE_DAY_OF_YEAR;
        good = take_number(rest, 0, 365, &d->day);
    }
    return good && (!take(rest, '/') || take_time(rest, HOURS_MAX, &d->at_s));
}

/* Offsets are written the other way round: west is positive. */
static bool read_rule(struct span rest, struct zone *z)
{
    int32_t west, summer_west;
    if (rest.n == 0)
        return true; /* nothing is known of the time after */
    if (!take_name(&rest) || !take_time(&rest, 24, &west))
        return false;
    z->goes_on = true;
    z->standard_s = -west;
    if (rest.n == 0)
        return true;
    if (!take_name(&rest))
        return false;
    summer_west = west - 3600;
    if (rest.n && rest.p[0] != ',' && !take_time(&rest, 24, &summer_west))
        return false;
    z->summer_s = -summer_west;
    z->has_summer = true;
    return take(&rest, ',') && take_day(&rest, &z->summer_starts) && take(&rest, ',') &&
           take_day(&rest, &z->summer_ends) && rest.n == 0;
}

/* ---- the file ---- */

static int64_t number(const char *p, int bytes)
{
    uint64_t v = (signed char)p[0] < 0 ? UINT64_MAX : 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | (unsigned char)p[i];
    return (int64_t)v;
}

static bool read_header(struct span bytes, struct counts *c, char *out_version)
{
    if (bytes.n < HEADER || !span_starts(bytes, SPAN("TZif")))
        return false;
    int64_t n[6];
    for (int i = 0; i < 6; i++)
        n[i] = number(bytes.p + 20 + 4 * i, 4);
    *c = (struct counts){n[0], n[1], n[2], n[3], n[4], n[5]};
    *out_version = bytes.p[4];
    for (int i = 0; i < 6; i++) {
        if (n[i] < 0 || n[i] > FILE_MAX)
            return false;
    }
    return c->type > 0 && c->type <= 256;
}

static size_t body_size(const struct counts *c, int time_bytes)
{
    return (size_t)(c->time * (time_bytes + 1) + c->type * 6 + c->chars +
                    c->leap * (time_bytes + 4) + c->isstd + c->isut);
}

static bool read_body(struct span body, const struct counts *c, int time_bytes, struct zone *z)
{
    const char *times = body.p, *index = times + c->time * time_bytes, *types = index + c->time;
    if (c->time > ZONE_CHANGES)
        return false;
    z->first_s = (int32_t)number(types, 4);
    for (int64_t i = 0; i < c->type; i++) {
        int64_t offset = number(types + 6 * i, 4);
        if (offset < -OFFSET_MAX || offset > OFFSET_MAX)
            return false;
    }
    for (int64_t i = 0; i < c->time; i++) {
        int type = (unsigned char)index[i];
        int64_t at = number(times + i * time_bytes, time_bytes);
        if (type >= c->type || (i > 0 && at <= z->at_s[i - 1]))
            return false;
        z->at_s[i] = at;
        z->offset_s[i] = (int32_t)number(types + 6 * type, 4);
    }
    z->count = (size_t)c->time;
    return true;
}

err zone_read(struct span bytes, struct zone *out, struct fault *f)
{
    struct counts c;
    struct zone z = {0};
    char version;
    int time_bytes = 4;
    bool good = read_header(bytes, &c, &version);
    if (good && version >= '2') { /* the first body is for old readers */
        bytes = span_cut(bytes, HEADER + body_size(&c, 4), bytes.n);
        good = read_header(bytes, &c, &version);
        time_bytes = 8;
    }
    bytes = span_cut(bytes, HEADER, bytes.n);
    good = good && body_size(&c, time_bytes) <= bytes.n && read_body(bytes, &c, time_bytes, &z);
    if (good && time_bytes == 8) {
        struct span rest = span_cut(bytes, body_size(&c, 8), bytes.n);
        good = take(&rest, '\n') && span_find_char(rest, '\n') < rest.n &&
               read_rule(span_cut(rest, 0, span_find_char(rest, '\n')), &z);
    }
    if (!good)
        return fail(f, E_BAD_SYNTAX, "not a time zone file");
    *out = z;
    return E_OK;
}

static bool is_name(struct span name)
{
    if (name.n == 0 || name.n > NAME_MAX_BYTES || name.p[0] == '/' || name.p[name.n - 1] == '/')
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!letter && !(c >= '0' && c <= '9') && c != '/' && c != '_' && c != '-' && c != '+')
            return false; /* no point: no way up */
    }
    return true;
}

err zone_load(struct span name, struct zone *out, struct fault *f)
{
    struct buf path = BUF(256), file = BUF(FILE_MAX);
    if (!is_name(name))
        return fail(f, E_BAD_INPUT,
                    "`%.*s` is not the name of a time zone, such as Europe/Berlin",
                    SP(span_cut(name, 0, 60)));
    buf_fmt(&path, "/usr/share/zoneinfo/%.*s", SP(name));
    buf_add_char(&path, 0);
    err e = files_read(AT_FDCWD, path.p, FILE_MAX, &file, NULL);
    if (!e)
        e = zone_read(buf_span(&file), out, f);
    else if (span_is(name, "UTC")) {
        *out = (struct zone){.goes_on = true};
        e = E_OK;
    } else {
        e = fail(f, E_NOT_FOUND,
                 "there is no time zone %.*s on this machine (Debian package tzdata)",
                 SP(name));
    }
    buf_free(&path);
    buf_free(&file);
    return e;
}
