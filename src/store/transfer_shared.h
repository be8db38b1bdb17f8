/* transfer_shared.h - the store of several machines as one side of a move: a queue in a Redis and an archive in a PostgreSQL. */
#pragma once

#include "store/store.h"
#include "store/transfer.h"

struct transfer_shared_config {
    const char *queue, *archive; /* addresses */
    const char *name;            /* of the store: store.name */
    const char *files_dir;       /* of media files; "" or NULL: none */
    bool insists;                /* also on a Redis that may lose what it was given */
};
/* As it is called once it is open. */
MUST_USE err transfer_shared_name(const struct transfer_shared_config *config,
                                  char out[TRANSFER_NAME], struct fault *f);
/* E_CONFIG: an address, a Redis that would lose jobs, tables of a newer version; E_BUSY and E_STORE: one of them cannot be
 * reached now. */
MUST_USE err transfer_shared(struct transfer **out, const struct transfer_shared_config *config,
                             const struct store_limits *limits, struct fault *f);
