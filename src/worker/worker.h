/* worker.h - the job process: one socket, one job at a time, sandboxed before it reads anything
 * that came from outside. Started as: fulmar @worker BODY_MAX PACK… with the socket as descriptor 3
 * and the folder of the packs as 4. Returns the exit code. */
#pragma once

enum { WORKER_SOCKET_FD = 3, WORKER_SITES_FD = 4, WORKER_PACKS_MAX = 16 };

int worker_main(int argc, char **argv);
