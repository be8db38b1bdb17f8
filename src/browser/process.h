/* process.h - what /proc says about a browser's processes. */
#pragma once

#include <sys/types.h>

#include "base/span.h"

/* Resident bytes; −1 when the process is gone. */
int64_t process_resident(pid_t pid);
/* Proportional share of memory; resident bytes where the kernel does not tell; −1 when it is
 * gone. */
int64_t process_pss(pid_t pid);
/* A descriptor that becomes readable when the process ends and that can never mean another one.
 */
int process_open(pid_t pid);
void process_kill(int process_fd);
