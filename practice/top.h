/* top.h - the order of "Top" results: blocks of 20 of the latest order, each block shuffled. */
#pragma once

#include <stdint.h>

enum { TOP_BLOCK = 20 };
/* Stream index of place `place` in the Top order over indexes [first, past). */
uint32_t top_index(uint64_t key, uint32_t first, uint32_t past, uint32_t place);
