#include "core/meter.h"

#include "base/need.h"

/* The longest wait that each counts. */
static const int64_t bounds[METER_WAITS] = {10,    50,     100,     250,     500,
                                            1000,  2500,   5000,    10000,   30000,
                                            60000, 300000, 1800000, 7200000, 86400000};

int meter_wait_of(int64_t waited_ms)
{
    int i = 0;
    while (i < METER_WAITS - 1 && waited_ms > bounds[i])
        i++;
    return i;
}

static struct meter_slice *slice_at(struct meter *m, int64_t number)
{
    return &m->slices[number % METER_SLICES];
}

/* Slices that nothing was counted in are empty, not those of ten minutes before. */
static void go_to(struct meter *m, int64_t number)
{
    if (number - m->slice >= METER_SLICES) {
        *m = (struct meter){.slice = number};
        return;
    }
    while (m->slice < number)
        *slice_at(m, ++m->slice) = (struct meter_slice){0};
}

void meter_add(struct meter *m, enum meter_event event, int64_t waited_ms, int64_t now_ms)
{
    int64_t number = now_ms / METER_SLICE_MS;
    go_to(m, number);
    if (number <= m->slice - METER_SLICES)
        return; /* the clock was set back by more than is kept */
    struct meter_slice *s = slice_at(m, number);
    switch (event) {
    case METER_ACCEPTED:
        s->accepted++;
        return;
    case METER_STARTED:
        s->started++;
        s->waits[meter_wait_of(waited_ms)]++;
        return;
    case METER_ENDED:
        s->ended++;
        return;
    }
    bug("no such event");
}

/* The bound below which `part` of a hundred of them are. */
static int64_t time_of(const struct meter_sums *sums, int64_t total, int64_t part)
{
    int64_t seen = 0;
    for (int i = 0; i < METER_WAITS; i++) {
        seen += sums->waits[i];
        if (seen * 100 >= total * part)
            return bounds[i];
    }
    return bounds[METER_WAITS - 1];
}

void meter_times(struct meter_sums *sums)
{
    int64_t total = 0;
    for (int i = 0; i < METER_WAITS; i++)
        total += sums->waits[i];
    sums->p50_ms = total ? time_of(sums, total, 50) : -1;
    sums->p95_ms = total ? time_of(sums, total, 95) : -1;
    sums->p99_ms = total ? time_of(sums, total, 99) : -1;
}

int64_t meter_slices(int64_t window_ms)
{
    int64_t slices = window_ms / METER_SLICE_MS;
    return slices < 1 ? 1 : slices > METER_SLICES ? METER_SLICES : slices;
}

struct meter_sums meter_read(const struct meter *m, int64_t window_ms, int64_t now_ms)
{
    struct meter_sums sums = {0};
    int64_t newest = now_ms / METER_SLICE_MS, slices = meter_slices(window_ms);
    for (int64_t n = m->slice - METER_SLICES + 1; n <= m->slice; n++) {
        if (n < 0 || n <= newest - slices || n > newest)
            continue;
        const struct meter_slice *s = &m->slices[n % METER_SLICES];
        sums.accepted += s->accepted;
        sums.started += s->started;
        if (s->started && !sums.first_ms)
            sums.first_ms = n * METER_SLICE_MS;
        sums.ended += s->ended;
        for (int i = 0; i < METER_WAITS; i++)
            sums.waits[i] += s->waits[i];
    }
    meter_times(&sums);
    return sums;
}

int64_t meter_start_ms(const struct meter_sums *sums, int64_t ahead, int64_t from_ms,
                       int64_t now_ms)
{
    int64_t took = now_ms - sums->first_ms, from = from_ms > now_ms ? from_ms : now_ms;
    return sums->started > 0 && took >= 0 ? from + ahead * took / sums->started : 0;
}
