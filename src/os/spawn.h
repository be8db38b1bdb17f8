/* spawn.h - starting, watching and ending processes. */
#pragma once

#include <sys/types.h>

#include "base/span.h"

enum { SPAWN_FDS_MAX = 12, SPAWN_ARGS_MAX = 64 };

struct spawn {
    const char *path; /* NULL: this very program again (by descriptor, works after setuid) */
    const char *args[SPAWN_ARGS_MAX]; /* args[0] is the name shown; NULL-terminated */
    const char *env[16];              /* whole environment, "NAME=value"; NULL-terminated */
    struct {
        int ours, theirs;
    } fds[SPAWN_FDS_MAX]; /* theirs ≥ 0; everything else is closed, stderr stays */
    size_t fd_count;
    bool own_group;     /* setpgid: killable as a group, out of reach of the terminal's keys */
    bool deaf;          /* ignores INT, TERM, HUP: whoever stops it says so over its socket */
    int death_signal;   /* sent when the parent thread dies; 0 none */
    int64_t data_max;   /* RLIMIT_DATA; 0 unlimited */
    int64_t files_max;  /* RLIMIT_NOFILE; 0 unchanged */
    int64_t cpu_max_s;  /* RLIMIT_CPU: SIGXCPU by then, SIGKILL 5 s later; 0 unlimited */
    int nice;           /* added */
    const char *folder; /* working directory; NULL = "/" */
};
/* Fork from the main thread only (the death signal follows the thread). E_OS with words. */
MUST_USE err spawn_start(const struct spawn *s, pid_t *out_pid, struct fault *f);
/* Remembers the program's own file and makes this process the reaper of orphans when asked. Call
 * first thing in main(). */
void spawn_init(void);
void spawn_become_reaper(void);
int spawn_self_fd(void);
void spawn_kill_group(pid_t leader); /* SIGKILL to the group, fine when it is gone */
/* One ended child: pid and its wait status; false when none has ended. Never blocks. */
bool spawn_reap(pid_t *out_pid, int *out_status);
