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

/* "1200 300 80 …" pages: all, resident, of these with a file behind them. False: it is gone. */
static bool read_pages(pid_t pid, int64_t *out_resident, int64_t *out_shared)
{
    char path[40], text[120];
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    if (!read_small(path, text, sizeof text))
        return false;
    struct span rest = span_of(text), size, resident, shared;
    return span_next(&rest, ' ', &size) && span_next(&rest, ' ', &resident) &&
           span_next(&rest, ' ', &shared) && span_int(resident, out_resident) &&
           span_int(shared, out_shared);
}

int64_t process_resident(pid_t pid)
{
    int64_t resident, shared;
    return read_pages(pid, &resident, &shared) ? resident * sysconf(_SC_PAGESIZE) : -1;
}

int64_t process_own(pid_t pid)
{
    int64_t resident, shared;
    return read_pages(pid, &resident, &shared) ? (resident - shared) * sysconf(_SC_PAGESIZE)
                                               : -1;
}

/* "NAME:      300 kB" of the lines; −1: there is no such. */
static int64_t read_kib(const char *text, struct span name)
{
    struct span rest = span_of(text), line;
    while (span_next(&rest, '\n', &line)) {
        int64_t kib;
        if (!span_starts(line, name) || !span_ends(line, SPAN(" kB")))
            continue;
        if (span_int(span_trim(span_cut(line, name.n, line.n - name.n - 3)), &kib))
            return kib * 1024;
    }
    return -1;
}

enum { GROUP_PATH = 512 };

static bool read_of_group(const char *root, struct span group, const char *name, char *text,
                          size_t size)
{
    char path[GROUP_PATH + 200];
    snprintf(path, sizeof path, "%.100s/sys/fs/cgroup%.*s/%s", root,
             SP(span_cut(group, 0, GROUP_PATH)), name);
    return read_small(path, text, size);
}

/* Pages of files that were not used lately are given back first, before anybody runs short. */
static int64_t reclaimable(const char *root, struct span group)
{
    char text[8192];
    struct span rest, line;
    int64_t bytes;
    if (!read_of_group(root, group, "memory.stat", text, sizeof text))
        return 0;
    rest = span_of(text);
    while (span_next(&rest, '\n', &line))
        if (span_starts(line, SPAN("inactive_file ")) &&
            span_int(span_cut(line, 14, line.n), &bytes))
            return bytes;
    return 0;
}

/* INT64_MAX: the group has no limit. */
static int64_t left_in_group(const char *root, struct span group)
{
    char text[64];
    int64_t most, now;
    if (!read_of_group(root, group, "memory.max", text, sizeof text) ||
        !span_int(span_trim(span_of(text)), &most)) /* "max" */
        return INT64_MAX;
    if (!read_of_group(root, group, "memory.current", text, sizeof text) ||
        !span_int(span_trim(span_of(text)), &now))
        return INT64_MAX;
    int64_t left = most - now + reclaimable(root, group);
    return left > 0 ? left : 0;
}

/* The limit of each group above counts, too. */
static int64_t left_in_groups(const char *root)
{
    char path[200], text[GROUP_PATH];
    int64_t left = INT64_MAX;
    snprintf(path, sizeof path, "%.100s/proc/self/cgroup", root);
    if (!read_small(path, text, sizeof text))
        return left;
    struct span rest = span_of(text), line;
    while (span_next(&rest, '\n', &line)) {
        if (!span_starts(line, SPAN("0::/")))
            continue;
        for (struct span group = span_cut(line, 3, line.n);;) {
            int64_t here = left_in_group(root, group);
            left = here < left ? here : left;
            if (group.n == 0)
                break;
            while (group.n > 0 && group.p[--group.n] != '/')
                ;
        }
    }
    return left;
}

int64_t process_memory_available_in(const char *root)
{
    char path[200], text[4096];
    snprintf(path, sizeof path, "%.100s/proc/meminfo", root);
    if (!read_small(path, text, sizeof text))
        return -1;
    int64_t machine = read_kib(text, SPAN("MemAvailable:")), groups = left_in_groups(root);
    return machine < groups ? machine : groups;
}

int64_t process_memory_available(void)
{
    return process_memory_available_in("");
}

int64_t process_pss(pid_t pid)
{
    char path[40], text[1024];
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    if (!read_small(path, text, sizeof text))
        return process_resident(pid);
    int64_t bytes = read_kib(text, SPAN("Pss:"));
    return bytes >= 0 ? bytes : process_resident(pid);
}

int64_t process_most(pid_t pid)
{
    char path[40], text[4096];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    return read_small(path, text, sizeof text) ? read_kib(text, SPAN("VmHWM:")) : -1;
}

/* "77 (name of it) S 1 …": the 3rd word on is behind the last parenthesis. All but its memory. */
static bool read_stat(pid_t pid, struct process_facts *out)
{
    enum { STATE = 3, USER_TIME = 14, SYSTEM_TIME = 15, THREADS = 20 };
    char path[40], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (!read_small(path, text, sizeof text))
        return false;
    const char *name_end = strrchr(text, ')');
    struct span rest = span_of(name_end ? name_end + 2 : ""), word;
    int64_t ticks = 0, value;
    *out = (struct process_facts){0};
    for (int i = STATE; i <= THREADS && span_next(&rest, ' ', &word); i++) {
        if (i == STATE)
            out->state = word.p[0];
        else if ((i == USER_TIME || i == SYSTEM_TIME) && span_int(word, &value))
            ticks += value;
        else if (i == THREADS && span_int(word, &value))
            out->threads = value;
    }
    int64_t per_second = sysconf(_SC_CLK_TCK);
    out->cpu_ms = per_second > 0 ? ticks * 1000 / per_second : 0;
    return out->state != 0;
}

bool process_facts(pid_t pid, struct process_facts *out)
{
    if (!read_stat(pid, out))
        return false;
    out->memory_bytes = process_pss(pid);
    return true;
}

int64_t process_cpu_ms(pid_t pid)
{
    struct process_facts facts;
    return read_stat(pid, &facts) ? facts.cpu_ms : -1;
}

int process_open(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself */
}

void process_kill(int process_fd)
{
    syscall(SYS_pidfd_send_signal, process_fd, SIGKILL, NULL, 0);
}
