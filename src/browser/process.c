#include "browser/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool read_small(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    return true;
}

int64_t process_resident(pid_t pid)
{
    char path[40], text[120];
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    if (!read_small(path, text, sizeof text))
        return -1;
    struct span rest = span_of(text), size, resident;
    int64_t pages;
    if (!span_next(&rest, ' ', &size) || !span_next(&rest, ' ', &resident) ||
        !span_int(resident, &pages))
        return -1;
    return pages * sysconf(_SC_PAGESIZE);
}

int64_t process_pss(pid_t pid)
{
    char path[40], text[1024];
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    if (!read_small(path, text, sizeof text))
        return process_resident(pid);
    struct span rest = span_of(text), line;
    while (span_next(&rest, '\n', &line)) {
        int64_t kib;
        if (!span_starts(line, SPAN("Pss:")) || !span_ends(line, SPAN(" kB")))
            continue;
        if (span_int(span_trim(span_cut(line, 4, line.n - 7)), &kib))
            return kib * 1024;
    }
    return process_resident(pid);
}

int process_open(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself */
}

void process_kill(int process_fd)
{
    syscall(SYS_pidfd_send_signal, process_fd, SIGKILL, NULL, 0);
}
