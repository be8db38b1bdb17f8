#include "core/cron.h"

#include "base/need.h"

struct field {
    const char *name;
    int least, most;
    const char *const *words; /* of least, least + 1, …; NULL none */
};

static const char *const month_words[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const day_words[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};
static const struct field fields[] = {
    {"minute", 0, 59, NULL},           {"hour", 0, 23, NULL},
    {"day of the month", 1, 31, NULL}, {"month", 1, 12, month_words},
    {"weekday", 0, 7, day_words}, /* 7 is Sunday, too */
};
static const struct {
    const char *name, *text;
} macros[] = {
    {"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
    {"@weekly", "0 0 * * 0"},   {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
    {"@annually", "0 0 1 1 *"},
};

static bool read_value(const struct field *field, struct span text, int *out)
{
    int64_t number;
    for (int i = 0; field->words && field->words[i]; i++) {
        if (span_eq_nocase(text, span_of(field->words[i]))) {
            *out = field->least + i;
            return true;
        }
    }
    if (text.n > 2 || !span_int(text, &number) || number < field->least || number > field->most)
        return false;
    *out = (int)number;
    return true;
}

/* "*", "5", "1-5", and each with "/2". */
static err read_part(const struct field *field, struct span part, uint64_t *mask,
                     struct fault *f)
{
    struct span whole = part, from_to, low_text;
    int low = field->least, high = field->most;
    int64_t step = 1;
    size_t slash = span_find_char(part, '/');
    if (slash < part.n &&
        (!span_int(span_cut(part, slash + 1, part.n), &step) || step < 1 || step > field->most))
        return fail(f, E_BAD_SYNTAX,
                    "the step of `%.*s` in the field %s must be a number from 1 to %d",
                    SP(span_cut(whole, 0, 40)), field->name, field->most);
    from_to = span_cut(part, 0, slash);
    if (span_is(from_to, "*") && field->most == 7)
        high = 6;
    if (!span_is(from_to, "*")) {
        size_t dash = span_find_char(from_to, '-');
        low_text = span_cut(from_to, 0, dash);
        bool good = read_value(field, low_text, &low);
        high = slash < part.n && dash == from_to.n ? field->most : low;
        if (good && dash < from_to.n)
            good =
                read_value(field, span_cut(from_to, dash + 1, from_to.n), &high) && low <= high;
        if (!good)
            return fail(f, E_BAD_SYNTAX,
                        "`%.*s` is not a %s: a number from %d to %d, or a range of two",
                        SP(span_cut(whole, 0, 40)), field->name, field->least, field->most);
    }
    for (int64_t v = low; v <= high; v += step)
        *mask |= (uint64_t)1 << v;
    return E_OK;
}

static err read_field(const struct field *field, struct span text, uint64_t *out_mask,
                      struct fault *f)
{
    struct span part;
    uint64_t mask = 0;
    if (text.n == 0 || text.p[text.n - 1] == ',')
        return fail(f, E_BAD_SYNTAX, "the field %s has an empty part", field->name);
    while (span_next(&text, ',', &part)) {
        err e = read_part(field, part, &mask, f);
        if (e)
            return e;
    }
    *out_mask = mask;
    return E_OK;
}

static bool next_word(struct span *rest, struct span *out)
{
    *rest = span_trim(*rest);
    size_t n = 0;
    while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
        n++;
    *out = span_cut(*rest, 0, n);
    *rest = span_cut(*rest, n, rest->n);
    return n > 0;
}

err cron_parse(struct span text, struct cron *out, struct fault *f)
{
    struct span rest = span_trim(text), word, more;
    uint64_t masks[5];
    bool stars[5];
    if (text.n > CRON_TEXT_MAX)
        return fail(f, E_BAD_SYNTAX, "a cron text may have %d characters", CRON_TEXT_MAX);
    for (size_t i = 0; i < sizeof macros / sizeof macros[0]; i++) {
        if (span_eq_nocase(rest, span_of(macros[i].name)))
            rest = span_of(macros[i].text);
    }
    for (int i = 0; i < 5; i++) {
        if (!next_word(&rest, &word))
            return fail(
                f, E_BAD_SYNTAX,
                "a cron text has five fields: minute hour day month weekday; `%.*s` has %d",
                SP(span_cut(text, 0, 60)), i);
        err e = read_field(&fields[i], word, &masks[i], f);
        if (e)
            return e;
        stars[i] = word.p[0] == '*';
    }
    if (next_word(&rest, &more))
        return fail(f, E_BAD_SYNTAX, "a cron text has five fields, and not `%.*s` after them",
                    SP(span_cut(more, 0, 40)));
    /* Sunday is 0 and 7. */
    masks[4] = (masks[4] | masks[4] >> 7) & 0x7f;
    *out = (struct cron){masks[0], masks[1], masks[2], masks[3], masks[4], stars[2], stars[4]};
    return E_OK;
}

static bool has(uint64_t mask, int bit)
{
    return mask >> bit & 1;
}

static bool day_counts(const struct cron *c, const struct civil *t)
{
    bool day = has(c->days, t->day), weekday = has(c->weekdays, t->weekday);
    return c->any_day || c->any_weekday ? day && weekday : day || weekday;
}

/* Goes on from *local_s (a full minute) to the next one that matches; steps are counted. */
static bool find_local(const struct cron *c, int64_t *local_s, int *steps)
{
    while (++*steps <= CRON_STEPS) {
        struct civil t = civil_of(*local_s);
        if (!has(c->months, t.month)) {
            t = (struct civil){
                .year = t.year + (t.month == 12), .month = t.month % 12 + 1, .day = 1};
            *local_s = civil_seconds(&t);
        } else if (!day_counts(c, &t)) {
            t.hour = t.minute = t.second = 0;
            *local_s = civil_seconds(&t) + 86400;
        } else if (!has(c->hours, t.hour)) {
            t.minute = t.second = 0;
            uint64_t later = t.hour == 23 ? 0 : c->hours >> (t.hour + 1);
            *local_s =
                civil_seconds(&t) + (later ? __builtin_ctzll(later) + 1 : 24 - t.hour) * 3600;
        } else if (!has(c->minutes, t.minute)) {
            uint64_t later = t.minute == 59 ? 0 : c->minutes >> (t.minute + 1);
            *local_s += (later ? __builtin_ctzll(later) + 1 : 60 - t.minute) * 60;
        } else {
            return true;
        }
    }
    return false;
}

static int64_t floor_to(int64_t value, int64_t step)
{
    return value - (value % step + step) % step;
}

err cron_next(const struct cron *c, const struct zone *z, wall after, wall *out_next)
{
    need(c->minutes && c->hours && c->months);
    int steps = 0;
    int64_t after_s = floor_to(after.ms, 1000) / 1000;
    int64_t local_s = floor_to(after_s + zone_offset(z, after_s), 60);
    /* In the hour that comes twice a match may lie before `after`: then the one after it is next. */
    while (find_local(c, &local_s, &steps)) {
        int64_t utc_s = zone_instant(z, local_s);
        if (utc_s * 1000 > after.ms) {
            out_next->ms = utc_s * 1000;
            return E_OK;
        }
        local_s += 60;
    }
    return E_END;
}
