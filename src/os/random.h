/* random.h - random bytes of the kernel. Never fails: aborts when the kernel refuses. */
#pragma once

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *out, size_t n);
uint64_t random_u64(void);
