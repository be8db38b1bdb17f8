/* place.h - what the service stands on: settings, folders, listening sockets.
 *
 * Opened once by the supervisor, with the privileges it was started with; on return it has given
 * them up. */
#pragma once

#include "core/settings.h"
#include "upkeep/config.h"

struct place {
    struct settings settings;
    char state_dir[CONFIG_PATH_MAX], sites_dir[CONFIG_PATH_MAX], socket_path[CONFIG_PATH_MAX];
    int tcp, unix_, sites; /* listening sockets, folder of the site packs; −1 before */
    int lock;              /* the state folder, locked while the service runs */
    uint64_t socket_inode; /* of the socket that is ours */
};
/* E_NOT_FOUND: the file that was named is not there. E_CONFLICT: the port or the socket is taken. Texts live in the arena. */
MUST_USE err place_open(struct place *p, struct arena *a, const char *config_file,
                        const char *const *set, struct fault *f);
/* The settings as a file that only a child sees, at its start; −1: not possible. What opens the
 * servers is the node's alone. The caller closes it. */
int place_settings(const struct place *p, bool node);
/* Removes the socket when it is still ours. */
void place_leave(const struct place *p);
