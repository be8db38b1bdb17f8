#include "core/bounds.h"

#include "base/need.h"

#include <stdio.h>

enum kind { BUDGET, CEILING };

static const struct {
    const char *name;
    int64_t unit;
    enum kind kind;
} rows[] = {[BOUND_NONE] = {"", 1, BUDGET},
#define BOUND_ROW(id, name, unit, kind) [id] = {name, unit, kind},
            BOUNDS(BOUND_ROW)
#undef BOUND_ROW
};

static void put_number(struct json_w *w, const char *key, int64_t n)
{
    if (n)
        json_kv_int(w, key, n);
}

static void put_resources(struct json_w *w, const struct bounds *b)
{
    if (!b->most[BOUND_MEMORY] && !b->most[BOUND_CPU] && !b->most[BOUND_REQUESTS])
        return;
    json_key(w, "resources");
    json_open(w);
    put_number(w, "memory_mib", b->most[BOUND_MEMORY]);
    put_number(w, "cpu_s", b->most[BOUND_CPU]);
    put_number(w, "max_requests", b->most[BOUND_REQUESTS]);
    json_close(w);
}

void bounds_put(struct json_w *w, const struct bounds *b)
{
    put_number(w, "max_pages", b->most[BOUND_PAGES]);
    put_number(w, "max_bytes", b->most[BOUND_BYTES]);
    if (b->navigation_s) {
        json_key(w, "timeouts");
        json_open(w);
        json_kv_int(w, "navigation_s", b->navigation_s);
        json_close(w);
    }
    put_resources(w, b);
}

struct bounds bounds_read(struct json options)
{
    struct bounds b = {0};
    for (int i = BOUND_NONE + 1; i < BOUND_COUNT; i++)
        (void)json_int(json_path(options, rows[i].name), &b.most[i]);
    (void)json_int(json_path(options, "timeouts.navigation_s"), &b.navigation_s);
    return b;
}

const char *bound_name(enum bound b)
{
    need(b > BOUND_NONE && b < BOUND_COUNT);
    return rows[b].name;
}

bool bounds_reached(const struct bounds *b, enum bound which, int64_t taken)
{
    need(which > BOUND_NONE && which < BOUND_COUNT);
    int64_t most = b->most[which] * rows[which].unit;
    return most > 0 && (rows[which].kind == BUDGET ? taken >= most : taken > most);
}

struct span bounds_words(enum bound which, int64_t most, int64_t taken, char out[BOUND_WORDS])
{
    const char *name = bound_name(which);
    if (which == BOUND_MEMORY)
        snprintf(out, BOUND_WORDS, "the attempt took %lld MiB of memory, %s allows %lld",
                 (long long)(taken >> 20), name, (long long)most);
    else if (which == BOUND_CPU)
        snprintf(out, BOUND_WORDS, "the attempt took %lld ms of a processor, %s allows %lld s",
                 (long long)taken, name, (long long)most);
    else
        snprintf(out, BOUND_WORDS,
                 "%s (%lld) was used up before anything was read: %lld; rerun it with more",
                 name, (long long)most, (long long)taken);
    return span_of(out);
}
