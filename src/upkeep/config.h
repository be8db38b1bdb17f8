/* config.h - where the configuration, the state folder and the site packs are.
 *
 * The service, its command line and the tests ask here, so that all of them mean the same
 * files. Reads files and the environment, keeps nothing. Paths are C strings of at most
 * CONFIG_PATH_MAX bytes with the end; a longer one is E_CONFIG, never cut. */
#pragma once

#include "base/arena.h"
#include "core/settings.h"

enum { CONFIG_PATH_MAX = 256, CONFIG_USER_MAX = 64 };

/* Reads the settings. The file is, in this order: `path` when not NULL, $FULMAR_CONFIG,
 * $XDG_CONFIG_HOME/fulmar/fulmar.yaml, ~/.config/fulmar/fulmar.yaml, /etc/fulmar/fulmar.yaml;
 * when none of the last three is there, every setting has its default and out_file is "". A
 * file that was named (the first two) must be there: E_NOT_FOUND. Mistakes in it are E_CONFIG
 * or E_BAD_SYNTAX with file:line:column. Texts of the settings live in the arena. On failure
 * out_file already names the file that was tried. `set` (NULL-terminated, or NULL) holds
 * "section.name=value" of the command line: they win over the file. */
MUST_USE err config_load(struct arena *a, const char *path, const char *const *set,
                         struct settings *out, char out_file[CONFIG_PATH_MAX], struct fault *f);

/* The state folder: store.path, else $XDG_STATE_HOME/fulmar, else for root /var/lib/fulmar,
 * else
 * ~/.local/state/fulmar. E_CONFIG when there is no home to take it from. Does not make it. */
MUST_USE err config_state_dir(const struct settings *s, char out[CONFIG_PATH_MAX],
                              struct fault *f);

/* The Unix socket of the API: api.socket, else STATE/fulmar.sock. E_CONFIG when it is longer
 * than a socket's name may be (107 bytes). */
MUST_USE err config_socket(const struct settings *s, char out[CONFIG_PATH_MAX],
                           struct fault *f);

/* The folder of the site packs: site.path, else $FULMAR_SITES, else
 * PROGRAM/../share/fulmar/sites, else the nearest folder above the program with
 * sites/x/site.yaml in it. E_NOT_FOUND says what was tried. */
MUST_USE err config_sites_dir(const struct settings *s, char out[CONFIG_PATH_MAX],
                              struct fault *f);

/* Whom a service that root starts becomes: service.user, else fulmar when there is such a user, else nobody. */
const char *config_user(const struct settings *s, char out[CONFIG_USER_MAX]);
