/* address.h - which addresses may be reached (security.md §1). Pure. */
#pragma once

#include <sys/socket.h>

#include "base/span.h"

/* Public unicast and in none of the private, local, documentation, transition ranges. */
bool address_public(const struct sockaddr *a);
/* ::ffff:a.b.c.d becomes a.b.c.d; every other address stays. */
void address_unmap(struct sockaddr_storage *a);
/* Canonical numeric host: dotted decimal, also 2130706433, 0x7f.1, 0177.1, [::1], trailing dot.
 * false when it is a name. port in host order. */
bool address_numeric(struct span host, uint16_t port, struct sockaddr_storage *out,
                     socklen_t *out_size);
/* "host:port" → parts; IPv6 in brackets. */
bool address_split(struct span host_port, uint16_t fallback_port, struct span *out_host,
                   uint16_t *out_port);
/* Case-insensitive match of a name with "x.com" or "*.twimg.com". */
bool address_host_matches(struct span host, struct span pattern);
