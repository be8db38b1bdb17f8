/* process.h - what /proc says about processes of node: browsers' and workers'. */
#pragma once

#include <sys/types.h>

#include "base/span.h"

/* Resident bytes, and how many of them no file is behind, which are its own; −1 when the process is gone. */
int64_t process_resident(pid_t pid);
int64_t process_own(pid_t pid);
/* Proportional share of memory; resident bytes where the kernel does not tell; −1 when it is
 * gone. */
int64_t process_pss(pid_t pid);
/* The most that was resident at once since it began, as the kernel noted it: also what it had between two looks. −1 when that is not
 * told. */
int64_t process_most(pid_t pid);
/* Processor time so far; −1 when it is gone. */
int64_t process_cpu_ms(pid_t pid);
struct process_facts {
    char state; /* 'R' runs, 'S' sleeps, 'D' waits for a disk, 'T' stopped, 'Z' ended */
    int64_t cpu_ms, threads, memory_bytes;
};
/* False: the process is gone. */
bool process_facts(pid_t pid, struct process_facts *out);
/* Memory that could be taken without the machine running short, nor a control group (version 2) that this process is in
 * reaching its memory.max, as the kernel says; −1 when it does not. */
int64_t process_memory_available(void);
/* Likewise of a kernel whose /proc and /sys/fs/cgroup are in that folder. */
int64_t process_memory_available_in(const char *root);
/* A descriptor that becomes readable when the process ends and that can never mean another one.
 */
int process_open(pid_t pid);
void process_kill(int process_fd);
