/* egress.h - the only process that opens outbound sockets: an HTTP proxy that resolves, checks, connects.
 *
 * Browsers reach it through listening sockets made inside their network namespace and handed over a
 * control socket. CONNECT makes a tunnel; absolute-form requests are forwarded in origin form with
 * Connection: close. A name is resolved once, every address is checked (net/address.h), and the
 * connection goes to the checked address. Denied: 403 with a reason; no answer in time: 504.
 *
 * Node's own requests (net/fetch.h) come through a listening Unix socket of its own, handed over the
 * same way; only processes of the same user may connect to it. They may go to any public host: which
 * one a job may ask is node's to check.
 *
 * Limits: 16 KiB of request head, 512 connections at once (later ones wait in the listener's queue),
 * 64 KiB buffered each way per connection. Deadlines: 10 s for the head, connect_timeout_ms for
 * resolving and connecting together, idle_timeout_ms without a byte either way. Every refusal
 * carries the header Fulmar-Reason (private-address, port, host, not-allowed, no-such-name,
 * connect-failed, no-answer, timeout, bad-request). Names in /etc/hosts are not used.
 * http://fulmar.internal/probe is answered by egress itself with a small page: whoever gets it has
 * a working way out. Addresses of this machine's own interfaces (at start) count as private. */
#pragma once

#include "base/span.h"

enum { EGRESS_HOSTS_MAX = 32 * 1024 };

struct egress_config {
    const struct span *allow; /* "127.0.0.1:8471": reachable although private */
    size_t allow_count;
    bool only; /* nothing but `allow` */
    /* "x.com", "*.twimg.com": names that may be reached; none = all public */
    const struct span *hosts;
    size_t host_count;
    bool hosts_told; /* node tells the names (egress_tell_hosts); none may be reached before */
    const uint16_t *ports;
    size_t port_count;
    int64_t connect_timeout_ms, idle_timeout_ms;
    void (*beat)(void); /* called every beat_ms while it serves; NULL: never */
    int64_t beat_ms;
    /* "127.0.0.1:5353,192.0.2.1": name servers; empty = those of /etc/resolv.conf */
    struct span dns;
};
/* Runs until end of file on control_fd. Enters the sandbox first. Returns the exit code. */
int egress_run(const struct egress_config *config, int control_fd);

/* Node's side. The control socket is SOCK_SEQPACKET. Egress says "hello" when it starts; after each
 * hello node gives every listener again. Whoever hears nothing from it asks: "ping" is answered by
 * "pong". life_fd: read end of a pipe whose write end node holds; at
 * its end of file egress drops the listener and its connections. */
MUST_USE err egress_ping(int control_fd);
/* Names that browsers may reach from now on, separated by spaces, instead of those told before. */
MUST_USE err egress_tell_hosts(int control_fd, struct span names);
MUST_USE err egress_give(int control_fd, int listener_fd, int life_fd, struct fault *f);
/* The same for node's own requests: an AF_UNIX stream listener. */
MUST_USE err egress_give_own(int control_fd, int listener_fd, int life_fd, struct fault *f);
