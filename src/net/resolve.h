/* resolve.h - names to addresses by DNS, on the loop. Only egress asks.
 *
 * No file is read after resolver_new(): no /etc/hosts, no search domains, no aliases. */
#pragma once

#include <sys/socket.h>

#include "loop/loop.h"

enum { RESOLVE_MAX = 16 };

struct resolver;
struct lookup;
/* servers: "127.0.0.1:5353,…"; empty = those of /etc/resolv.conf. */
MUST_USE err resolver_new(struct resolver **out, struct loop *l, struct span servers,
                          struct fault *f);
void resolver_free(struct resolver **r); /* forgets lookups that are under way */

/* on_found comes once, maybe before this returns: E_OK with count > 0, E_NOT_FOUND, E_TIMEOUT,
 * E_NET. */
void resolver_look(struct resolver *r, const char *name, uint16_t port,
                   void (*on_found)(void *ctx, err e, const struct sockaddr_storage *found,
                                    size_t count),
                   void *ctx, struct lookup **out_lookup);
/* Nobody waits for it any more. */
void lookup_forget(struct lookup **lookup);
