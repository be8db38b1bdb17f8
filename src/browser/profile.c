#include "browser/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "os/files.h"

static int lock_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    close(fd);
    return -1;
}

err profile_make(struct profile *p, const char *run_folder, uint64_t number, struct fault *f)
{
    err e = files_make_folder(run_folder, 0700, f);
    if (e)
        return e;
    int n = snprintf(p->path, sizeof p->path, "%s/browser-%ld-%llu", run_folder, (long)getpid(),
                     (unsigned long long)number);
    if (n < 0 || (size_t)n >= sizeof p->path)
        return fail(f, E_CONFIG, "the path of the run folder is too long: %s", run_folder);
    e = files_remove_tree(p->path, f); /* of an earlier process with our pid */
    if (e)
        return e;
    if (mkdir(p->path, 0700) != 0)
        return files_fault(f, "create the folder", p->path);
    p->lock_fd = lock_folder(p->path);
    if (p->lock_fd < 0)
        return files_fault(f, "lock the folder", p->path);
    return E_OK;
}

err profile_remove(struct profile *p, struct fault *f)
{
    err e = files_remove_tree(p->path, f);
    if (!e && p->lock_fd >= 0) {
        close(p->lock_fd);
        p->lock_fd = -1;
    }
    return e;
}

static bool is_profile(struct span name)
{
    struct span rest = span_cut(name, 8, SIZE_MAX), pid;
    int64_t number;
    return span_starts(name, SPAN("browser-")) && span_next(&rest, '-', &pid) &&
           span_int(pid, &number) && span_int(rest, &number);
}

size_t profile_sweep(const char *run_folder)
{
    struct arena *a = arena_new(4 << 20);
    char **names;
    size_t count, removed = 0;
    if (files_list(run_folder, a, &names, &count, NULL) != E_OK)
        count = 0;
    for (size_t i = 0; i < count; i++) {
        char path[PROFILE_PATH];
        if (!is_profile(span_of(names[i])) ||
            snprintf(path, sizeof path, "%s/%s", run_folder, names[i]) >= (int)sizeof path)
            continue;
        int fd = lock_folder(path);
        if (fd < 0)
            continue;
        struct fault fault = {0};
        if (files_remove_tree(path, &fault) == E_OK)
            removed++;
        else
            log_warn("browser.folder_kept", F_C("words", fault.words));
        close(fd);
    }
    arena_free(&a);
    return removed;
}
