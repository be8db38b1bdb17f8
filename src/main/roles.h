/* roles.h - what each process of the service is made of. Every one is this program again. */
#pragma once

#include "core/settings.h"

/* Descriptors a role inherits. The sockets keep messages apart (SOCK_SEQPACKET). */
enum {
    /* Beats and last words go there; to node come "reload" and "stop"; end of file: it is gone. */
    ROLE_SUPERVISOR_FD = 3,
    ROLE_PEER_FD = 4,     /* between node and egress (net/egress.h) */
    ROLE_SETTINGS_FD = 5, /* settings as text, to be read to the end */
    ROLE_SITES_FD = 6,    /* folder of the site packs */
    ROLE_TCP_FD = 7,      /* node: listening sockets */
    ROLE_UNIX_FD = 8,
    ROLE_PACKS_FD = 9, /* node: memory that outlives it, with the packs that were last in use */
};

/* What node and egress say to the supervisor: a beat every ROLE_BEAT_MS from the moment they serve,
 * and before they end at their start, why. */
enum { ROLE_BEAT_MS = 1000 };
#define ROLE_BEAT "beat"
#define ROLE_WHY  "why "
/* What the supervisor says to node; a second SIGHUP before the first was read is one more of them. */
#define ROLE_RELOAD "reload"

int supervisor_main(int argc, char **argv); /* fulmar serve */
int node_main(int argc, char **argv);       /* fulmar @node STATE_DIR */
int egress_main(int argc, char **argv);     /* fulmar @egress */

/* Settings from ROLE_SETTINGS_FD. */
MUST_USE err role_settings(struct arena *a, struct settings *out, struct fault *f);
void role_log(const char *role, const struct settings *s);
/* What the end of the last browser may take, after the jobs have ended: the steps of the stop
 * ladder (browser/inside.h) and some air. */
int64_t role_stop_ms(const struct settings *s);
void role_beat(void);
void role_why(const char *words); /* repeated by the supervisor as its last line */
