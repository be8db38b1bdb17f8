#include "top.h"

#include "model.h"

/* The block's own shuffle (Fisher and Yates), made anew for each question: it is 20 steps. */
uint32_t top_index(uint64_t key, uint32_t first, uint32_t past, uint32_t place)
{
    uint32_t block = place / TOP_BLOCK;
    uint32_t start = first + block * TOP_BLOCK;
    uint32_t size = past - start < TOP_BLOCK ? past - start : TOP_BLOCK;
    uint8_t order[TOP_BLOCK];
    for (uint32_t i = 0; i < size; i++)
        order[i] = (uint8_t)i;
    for (uint32_t i = size; i > 1; i--) {
        uint32_t other = (uint32_t)(model_mix(key, block + 0x70000u, i) >> 33) % i;
        uint8_t swap = order[i - 1];
        order[i - 1] = order[other];
        order[other] = swap;
    }
    return start + order[place % TOP_BLOCK];
}
