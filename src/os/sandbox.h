/* sandbox.h - what each process gives up. */
#pragma once

#include <sys/types.h>

#include "base/span.h"

/* Becomes `user` (name) for good; root only. Sets no_new_privs not. E_CONFIG when there is no such user. */
MUST_USE err sandbox_become_user(const char *user, struct fault *f);
/* Root becomes whom that folder belongs to, for good; whoever else asks, or where it is root's, stays who he is. */
MUST_USE err sandbox_become_owner(const char *folder, struct fault *f);
bool sandbox_user_exists(const char *user);
/* no_new_privs + seccomp allow-list of a worker: read, write, poll, memory, time, exit. Kills the
 * process on anything else (SIGSYS). No open, no connect, no exec, no fork, no executable memory. */
MUST_USE err sandbox_worker(struct fault *f);
/* Egress after start: sockets, epoll, DNS; no open, no exec, no fork. */
MUST_USE err sandbox_egress(struct fault *f);
/* What remains allowed below a path (a folder, or one file). Each includes reading. */
enum path_right {
    PATH_READ,
    PATH_RUN,   /* execute */
    PATH_WRITE, /* write what is there, make nothing */
    PATH_OWN,   /* make, write, remove; not execute */
};
struct sandbox_path {
    const char *path; /* what is not there, or closed to us, needs no rule */
    enum path_right right;
};
/* Landlock: files only below these paths, for this thread and what it starts; best effort by ABI.
 * `scoped`: and no signal and no abstract socket to a process outside (ABI 6). It does not govern
 * chmod() and connect() to a socket's path: sandbox_browser(). E_OS when the kernel has none. */
MUST_USE err sandbox_files(const struct sandbox_path *paths, size_t count, bool scoped,
                           struct fault *f);
int sandbox_landlock_abi(void); /* 0: the kernel has none */
/* Chromium's process tree, beside its own sandbox: no new Unix socket (socketpair() stays), so that
 * no socket's path can be connected to; no io_uring, which would make one; no changed permissions. */
MUST_USE err sandbox_browser(struct fault *f);

enum isolation { ISOLATION_NONE, ISOLATION_FLAGS, ISOLATION_LANDLOCK, ISOLATION_NAMESPACE };
const char *isolation_name(enum isolation tier);
/* The best tier this machine allows, found by trying in a child. */
enum isolation sandbox_probe(void);
/* In the launcher: a new user and network namespace with only loopback up, and a listening socket on
 * 127.0.0.1:port inside it. */
MUST_USE err sandbox_network(uint16_t port, int *out_listener, struct fault *f);
/* The same listener without a namespace, and (Landlock tier) a rule that allows connecting to it only. */
MUST_USE err sandbox_connect_only(uint16_t *out_port, int *out_listener, bool landlock,
                                  struct fault *f);
MUST_USE err sandbox_no_new_privs(struct fault *f);
