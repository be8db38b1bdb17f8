/* await - starts a program and measures when its HTTP API answers on a Unix socket.
 *
 *   await SOCKET PROGRAM ARGS…
 *
 * Prints livez_ms (the first 200 of /livez), readyz_ms (the first 200 of /readyz) and stop_ms
 * (from SIGTERM to its end) after the start of the program. A connection that the program has
 * not accepted yet is waited on, so the first answer is seen when it comes; between two
 * attempts lie 2 ms, which is the resolution. The program's output goes where ours goes, to
 * stderr. */
#include "base/span.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_MS = 2, GIVE_UP_MS = 60000 };

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void pause_ms(long ms)
{
    struct timespec t = {0, ms * 1000000};
    nanosleep(&t, NULL);
}

static int connect_to(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = 20};
    span_copy(span_of(path), a.sun_path, sizeof a.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Status of one GET; 0 when nothing answered. */
static int status_of(const char *socket_path, const char *url_path)
{
    char text[256];
    int status = 0, fd = connect_to(socket_path);
    if (fd < 0)
        return 0;
    int n = snprintf(text, sizeof text,
                     "GET %s HTTP/1.1\r\nHost: fulmar\r\nConnection: close\r\n\r\n", url_path);
    if (send(fd, text, (size_t)n, MSG_NOSIGNAL) == n) {
        ssize_t got = recv(fd, text, sizeof text - 1, MSG_WAITALL);
        text[got > 0 ? got : 0] = '\0';
        if (sscanf(text, "HTTP/1.%*c %d", &status) != 1)
            status = 0;
    }
    close(fd);
    return status;
}

static bool ended(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) == pid;
}

/* ms after `began_us` of the first 200; ends the program and us when there is none. */
static double wait_for(pid_t pid, const char *socket_path, const char *url_path,
                       int64_t began_us)
{
    while (status_of(socket_path, url_path) != 200) {
        if (ended(pid)) {
            fprintf(stderr, "await: the program ended before %s answered 200\n", url_path);
            exit(1);
        }
        if (now_us() - began_us > GIVE_UP_MS * 1000LL) {
            fprintf(stderr, "await: %s did not answer 200 in %d s\n", url_path,
                    GIVE_UP_MS / 1000);
            kill(pid, SIGTERM);
            exit(1);
        }
        pause_ms(PAUSE_MS);
    }
    return (double)(now_us() - began_us) / 1000;
}

static double stop(pid_t pid)
{
    int64_t began = now_us();
    kill(pid, SIGTERM);
    while (!ended(pid)) {
        if (now_us() - began > GIVE_UP_MS * 1000LL) {
            fprintf(stderr, "await: the program did not end in %d s\n", GIVE_UP_MS / 1000);
            kill(pid, SIGKILL);
            exit(1);
        }
        pause_ms(PAUSE_MS);
    }
    return (double)(now_us() - began) / 1000;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: await SOCKET PROGRAM ARGS...\n", stderr);
        return 64;
    }
    int64_t began = now_us();
    pid_t pid = fork();
    if (pid == 0) {
        dup2(2, 1);
        execv(argv[2], argv + 2);
        _exit(127);
    }
    if (pid < 0) {
        fprintf(stderr, "await: cannot fork: %s\n", strerror(errno));
        return 71;
    }
    double live = wait_for(pid, argv[1], "/livez", began);
    double ready = wait_for(pid, argv[1], "/readyz", began);
    printf("livez_ms=%.1f readyz_ms=%.1f stop_ms=%.1f\n", live, ready, stop(pid));
    return 0;
}
