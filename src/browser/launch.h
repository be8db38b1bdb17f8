/* launch.h - from this program to a Chromium that can reach nothing but egress.
 *
 * Node starts a launcher: this very program with the arguments
 *   "fulmar: launcher" "@launch" BINARY FOLDER TIER PARENT USER_AGENT
 * The launcher enters its own network namespace (or the next best tier), opens the one
 * listening socket there, hands it to node over the control socket, gives up privileges and
 * becomes Chromium. Its pid is the browser's pid and the leader of its process group.
 *
 * Beside Chromium's own sandbox, which protects it from its pages, walls protect us from
 * Chromium: it reads the system's folders, writes its own folder and shared memory, and knows
 * no other file (Landlock); it connects to no Unix socket (seccomp). So the store, the API and
 * other profiles stay closed to a browser that was taken over. */
#pragma once

#include <sys/types.h>

#include "os/sandbox.h"

struct launch {
    const char *binary, *folder; /* folder: private, becomes profile, HOME and TMPDIR */
    enum isolation isolation;
    int64_t data_max; /* RLIMIT_DATA of each of its processes */
    struct span user_agent;
};
struct launched {
    pid_t pid;
    int to_fd, from_fd; /* DevTools pipe: we write, we read */
    int control_fd;     /* says "listener" with a descriptor, or "error: words" */
    int stderr_fd;      /* what the browser complains about */
};
MUST_USE err launch_start(const struct launch *l, struct launched *out, struct fault *f);
/* What the control socket says: E_OK with the listener, E_BUSY (nothing yet), else the launcher
 * failed. */
MUST_USE err launch_receive(int control_fd, int *out_listener, struct fault *f);

/* Paths that must be readable and executable so that this binary runs: the system's, its own,
 * and its folder; none that holds `private_path`. Valid until the next call. */
enum { LAUNCH_PATHS_MAX = 24 };
size_t launch_paths(const char *binary, const char *private_path,
                    struct sandbox_path out[LAUNCH_PATHS_MAX]);

/* The full browser insists on a Unix socket of its own: the wall before the API's is missing then. */
bool launch_needs_sockets(const char *binary);

/* The launcher's main(): for main.c when argv[1] is "@launch". Returns only when it failed. */
int launch_main(int argc, char **argv);
