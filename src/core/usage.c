#include "core/usage.h"

#include <stdio.h>

static const char *const names[] = {
#define USAGE_NAME(part, name) name,
    USAGE_TABLE(USAGE_NAME)
#undef USAGE_NAME
};

struct usage usage_none(void)
{
    struct usage u;
    for (int i = 0; i < USAGE_PARTS; i++)
        u.n[i] = USAGE_UNKNOWN;
    return u;
}

enum usage_part usage_phase_of(struct span step)
{
    static const struct {
        const char *first;
        enum usage_part phase;
    } phases[] = {
        {"goto", USAGE_NAVIGATING}, {"watch", USAGE_NAVIGATING}, {"wait", USAGE_WAITING},
        {"retry", USAGE_WAITING},   {"fetch", USAGE_FETCHING},   {"robots", USAGE_FETCHING},
        {"commit", USAGE_STORING},  {"media", USAGE_MEDIA},      {"picture", USAGE_EVIDENCE}};
    struct span first = span_cut(step, 0, span_find_char(step, ' '));
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++)
        if (span_is(first, phases[i].first))
            return phases[i].phase;
    return USAGE_WORKING;
}

void usage_count(struct usage *u, enum usage_part part, int64_t more)
{
    if (more >= 0)
        u->n[part] = u->n[part] < 0 ? more : u->n[part] + more;
}

void usage_add(struct usage *sum, const struct usage *more)
{
    for (int i = 0; i < USAGE_PARTS; i++) {
        if (i != USAGE_PEAK_BYTES)
            usage_count(sum, (enum usage_part)i, more->n[i]);
        else if (more->n[i] > sum->n[i])
            sum->n[i] = more->n[i];
    }
}

struct span usage_write(const struct usage *u, char out[USAGE_TEXT])
{
    int n = 0;
    for (int i = 0; i < USAGE_PARTS; i++)
        n += snprintf(out + n, USAGE_TEXT - (size_t)n, "%s%lld", i ? " " : "",
                      (long long)u->n[i]);
    return span_of(out);
}

struct usage usage_read(struct span text)
{
    struct usage u = usage_none();
    struct span word;
    int64_t n;
    for (int i = 0; i < USAGE_PARTS && span_next(&text, ' ', &word); i++)
        if (span_int(word, &n) && n >= 0 && n <= USAGE_MOST)
            u.n[i] = n;
    return u;
}

/* Null where all of it is unknown. */
static void put_part(struct json_w *w, const char *key, const struct usage *u, int from, int to)
{
    bool known = false;
    for (int i = from; i < to; i++)
        known = known || u->n[i] >= 0;
    json_key(w, key);
    if (!known) {
        json_put_null(w);
        return;
    }
    json_open(w);
    for (int i = from; i < to; i++) {
        if (u->n[i] >= 0)
            json_kv_int(w, names[i], u->n[i]);
        else
            json_kv_null(w, names[i]);
    }
    json_close(w);
}

void usage_put_sums(struct json_w *w, const struct usage *u)
{
    put_part(w, "usage", u, 0, USAGE_OPENING);
}

void usage_put_phases(struct json_w *w, const struct usage *u)
{
    put_part(w, "phases", u, USAGE_OPENING, USAGE_PARTS);
}

void usage_put(struct json_w *w, const struct usage *u)
{
    usage_put_sums(w, u);
    usage_put_phases(w, u);
}
