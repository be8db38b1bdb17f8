#include "extract/order.h"

#include "base/arena.h"

#include <stdlib.h>

/* Where a run that ends in this key goes on: the shortest run that ends in a smaller one. */
static size_t run_below(const uint64_t *keys, const size_t *ends, size_t runs, uint64_t key)
{
    size_t low = 0, high = runs;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (keys[ends[mid]] < key)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

/* The longest run that never rises stays. ends[k]: where the best run of k + 1 elements ends. */
void order_outcasts(const uint64_t *keys, size_t n, bool *out)
{
    size_t *ends = heap_get((n + 1) * sizeof *ends),
           *before = heap_get((n + 1) * sizeof *before), runs = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = run_below(keys, ends, runs, keys[i]);
        before[i] = k ? ends[k - 1] : n;
        ends[k] = i;
        runs += k == runs;
        out[i] = true;
    }
    for (size_t i = runs ? ends[runs - 1] : n; i < n; i = before[i])
        out[i] = false;
    free(ends);
    free(before);
}
