#include "core/metrics.h"

#include <stdatomic.h>

#include "base/need.h"

enum {
    CELLS = 24, /* most label values of a row, or buckets + overflow + sum */
    BOUNDS = 18,
    CELL_SUM = BOUNDS + 1,
};

/* Upper bounds of the histograms in ms; the last bucket is +Inf. */
static const int64_t bounds_ms[BOUNDS] = {1,     2,     5,     10,     25,     50,
                                          100,   250,   500,   1000,   2500,   5000,
                                          10000, 30000, 60000, 120000, 300000, 900000};

static const struct row {
    const char *name;
    enum metric_type type;
    const char *key, *values, *help;
} rows[] = {
#define METRIC_ROW(id, name, type, key, values, help) {name, type, key, values, help},
    METRICS_TABLE(METRIC_ROW)
#undef METRIC_ROW
};

static _Atomic int64_t cells[METRICS_COUNT][CELLS];

static int label_count(const struct row *r)
{
    int n = 0;
    struct span rest = span_of(r->values), part;
    while (span_next(&rest, ' ', &part))
        n++;
    return n ? n : 1;
}

static _Atomic int64_t *cell(enum metric_id id, int label)
{
    need((unsigned)id < METRICS_COUNT);
    need(rows[id].type != METRIC_HISTOGRAM);
    need(label >= 0 && label < CELLS && label < label_count(&rows[id]));
    return &cells[id][label];
}

void metric_add(enum metric_id id, int label, int64_t n)
{
    atomic_fetch_add_explicit(cell(id, label), n, memory_order_relaxed);
}

void metric_set(enum metric_id id, int label, int64_t v)
{
    need(rows[id].type == METRIC_GAUGE);
    atomic_store_explicit(cell(id, label), v, memory_order_relaxed);
}

void metric_time(enum metric_id id, int64_t ms)
{
    need((unsigned)id < METRICS_COUNT && rows[id].type == METRIC_HISTOGRAM);
    if (ms < 0)
        ms = 0;
    int bucket = 0;
    while (bucket < BOUNDS && ms > bounds_ms[bucket])
        bucket++;
    atomic_fetch_add_explicit(&cells[id][bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&cells[id][CELL_SUM], ms, memory_order_relaxed);
}

/* Of a histogram: how many measurements there were. */
int64_t metric_get(enum metric_id id, int label)
{
    need((unsigned)id < METRICS_COUNT);
    if (rows[id].type != METRIC_HISTOGRAM)
        return atomic_load_explicit(cell(id, label), memory_order_relaxed);
    int64_t n = 0;
    for (int i = 0; i <= BOUNDS; i++)
        n += atomic_load_explicit(&cells[id][i], memory_order_relaxed);
    return n;
}

int metric_label(enum metric_id id, struct span value)
{
    need((unsigned)id < METRICS_COUNT);
    struct span rest = span_of(rows[id].values), part;
    for (int i = 0; span_next(&rest, ' ', &part); i++) {
        if (span_eq(part, value))
            return i;
    }
    return -1;
}

static const char *type_name(enum metric_type t)
{
    switch (t) {
    case METRIC_COUNTER:
        return "counter";
    case METRIC_GAUGE:
        return "gauge";
    case METRIC_HISTOGRAM:
        return "histogram";
    }
    bug("unknown metric type");
}

static void add_seconds(struct buf *out, int64_t ms)
{
    buf_fmt(out, "%lld.%03lld", (long long)(ms / 1000), (long long)(ms % 1000));
}

static void write_histogram(struct buf *out, enum metric_id id)
{
    const char *name = rows[id].name;
    int64_t n = 0;
    for (int i = 0; i < BOUNDS; i++) {
        n += atomic_load_explicit(&cells[id][i], memory_order_relaxed);
        buf_fmt(out, "%s_bucket{le=\"", name);
        add_seconds(out, bounds_ms[i]);
        buf_fmt(out, "\"} %lld\n", (long long)n);
    }
    n += atomic_load_explicit(&cells[id][BOUNDS], memory_order_relaxed);
    buf_fmt(out, "%s_bucket{le=\"+Inf\"} %lld\n%s_sum ", name, (long long)n, name);
    add_seconds(out, atomic_load_explicit(&cells[id][CELL_SUM], memory_order_relaxed));
    buf_fmt(out, "\n%s_count %lld\n", name, (long long)n);
}

static void write_values(struct buf *out, enum metric_id id)
{
    const struct row *r = &rows[id];
    if (!r->key[0]) {
        buf_fmt(out, "%s %lld\n", r->name, (long long)metric_get(id, 0));
        return;
    }
    struct span rest = span_of(r->values), part;
    for (int i = 0; span_next(&rest, ' ', &part); i++)
        buf_fmt(out, "%s{%s=\"%.*s\"} %lld\n", r->name, r->key, SP(part),
                (long long)metric_get(id, i));
}

void metrics_write(struct buf *out)
{
    for (int i = 0; i < METRICS_COUNT; i++) {
        enum metric_id id = (enum metric_id)i;
        buf_fmt(out, "# HELP %s %s\n# TYPE %s %s\n", rows[id].name, rows[id].help,
                rows[id].name, type_name(rows[id].type));
        if (rows[id].type == METRIC_HISTOGRAM)
            write_histogram(out, id);
        else
            write_values(out, id);
    }
}
