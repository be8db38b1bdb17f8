/* profile.h - what a person says once instead of with every call: files of named sets of flags.
 *
 *   profile: office
 *   profiles:
 *     office: {server: "http://10.0.0.5:8470", tenant: press}
 *
 * A flag wins over its environment variable, that over ./.fulmar.yaml (read only when it is ours and nobody else may
 * write it), that over $XDG_CONFIG_HOME/fulmar/client.yaml or ~/.config/fulmar/client.yaml, that over
 * /etc/fulmar/client.yaml. */
#pragma once

#include "cli/commands.h"

/* Gives the flags that the command takes and the call does not name their values. 0 or an exit code. */
int profile_apply(struct cli *c, const struct command *command);
/* The names of all profiles; nothing when a file is wrong. */
void profile_each(struct cli *c, void (*each)(void *ctx, struct span name), void *ctx);
/* Each of them with its value and where that is from. 0 or an exit code. */
int profile_show(struct cli *c);
