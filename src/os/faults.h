/* faults.h - named places where a test makes this very process die or stop. They exist only in programs
 * compiled with -DFULMAR_FAULT_POINTS (make BUILD=points, BUILD=asan); in all others a point is nothing.
 *
 * The order is a file that every process maps at its start, before its sandbox closes: reaching a point
 * is a look into memory, and carrying the order out is one signal to itself, so that points work where
 * nothing can be opened or sent. FULMAR_FAULTS names the file; it must lie in the state folder, because
 * node and what it starts can write nowhere else. The test writes, the last byte first:
 *
 *     byte 0        'A': armed; 'F': carried out (each order once, by one process)
 *     byte 1        'K': SIGKILL, 'S': SIGSTOP
 *     byte 2        '0' to '9': how often the point is passed before
 *     from byte 3   name of the point, ended by a line feed
 *     from byte 64  written here: process id and time (ms since 1970) of who carried it out */
#pragma once

#include <stdbool.h>

#ifdef FULMAR_FAULT_POINTS
#define fault_point(name)               fault_reached(name)
#define fault_point_if(condition, name) ((condition) ? fault_reached(name) : (void)0)
/* First thing in main(). */
void fault_map(void);
void fault_reached(const char *name);
/* A child's environment with FULMAR_FAULTS passed on; safe between fork and exec. */
const char *const *fault_environment(const char *const *env);
#else
#define fault_point(name)               ((void)0)
#define fault_point_if(condition, name) ((void)0)
#define fault_map()                     ((void)0)
#define fault_environment(env)          (env)
#endif
