/* worker.h - the job process: one socket, one job at a time, sandboxed before it reads anything
 * that came from outside. Started as: fulmar @worker BODY_MAX PACK… with the socket as descriptor 3,
 * the files of the packs (extract/packs.h) as 4, and the page for its stack (os/stack.h) as 5. Returns the exit code. */
#pragma once

enum { WORKER_SOCKET_FD = 3, WORKER_PACKS_FD = 4, WORKER_STACK_FD = 5 };

int worker_main(int argc, char **argv);
