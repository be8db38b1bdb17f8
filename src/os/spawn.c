#include "os/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/need.h"
#include "os/faults.h"

enum {
    FD_SAFE = 256,   /* descriptors are moved above this before they get their places */
    CPU_SLACK_S = 5, /* from SIGXCPU to SIGKILL */
};

/* Words of the step that failed travel with errno from the child. */
struct child_report {
    int error;
    char step[20];
};

static int self_fd = -1;

void spawn_init(void)
{
    if (self_fd < 0)
        self_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
}

int spawn_self_fd(void)
{
    return self_fd;
}

void spawn_become_reaper(void)
{
    need(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
}

/* ---- in the child: only calls that are safe between fork and exec ---- */

static _Noreturn void child_fail(int report_fd, const char *step)
{
    struct child_report r = {.error = errno};
    for (size_t i = 0; i + 1 < sizeof r.step && step[i]; i++)
        r.step[i] = step[i];
    ssize_t ignored = write(report_fd, &r, sizeof r);
    (void)ignored;
    _exit(127);
}

static void child_signals(bool deaf)
{
    for (int s = 1; s < NSIG; s++) {
        if (s != SIGKILL && s != SIGSTOP)
            signal(s, SIG_DFL);
    }
    /* What is ignored stays so through exec. TTOU: a group in the background may write its log
     * to the terminal. */
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGTTOU};
    for (size_t i = 0; deaf && i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void child_limit(int report_fd, __rlimit_resource_t what, int64_t soft, int64_t hard)
{
    struct rlimit old, now = {.rlim_cur = (rlim_t)soft, .rlim_max = (rlim_t)hard};
    if (getrlimit(what, &old) == 0 && old.rlim_max < now.rlim_max)
        now.rlim_max = old.rlim_max;
    if (now.rlim_cur > now.rlim_max)
        now.rlim_cur = now.rlim_max;
    if (setrlimit(what, &now) != 0)
        child_fail(report_fd, "setrlimit");
}

static void child_fds(const struct spawn *s, int report_fd)
{
    int high[SPAWN_FDS_MAX];
    bool in = false, out = false;
    for (size_t i = 0; i < s->fd_count; i++) {
        high[i] = fcntl(s->fds[i].ours, F_DUPFD_CLOEXEC, FD_SAFE);
        if (high[i] < 0)
            child_fail(report_fd, "dup");
        in |= s->fds[i].theirs == 0;
        out |= s->fds[i].theirs == 1;
    }
    /* What was not given is gone with exec, also what somebody forgot to open with CLOEXEC. */
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0)
        child_fail(report_fd, "open /dev/null");
    if (!in && dup2(null_fd, 0) < 0)
        child_fail(report_fd, "dup2");
    if (!out && dup2(null_fd, 1) < 0)
        child_fail(report_fd, "dup2");
    for (size_t i = 0; i < s->fd_count; i++) {
        if (dup2(high[i], s->fds[i].theirs) < 0)
            child_fail(report_fd, "dup2");
    }
}

static void child_limits(const struct spawn *s, int report_fd)
{
    child_limit(report_fd, RLIMIT_CORE, 0, 0);
    bool limited = s->data_max > 0;
#ifdef FULMAR_SANITIZED
    /* The sanitizer's shadow memory is terabytes of address space: this program would not
     * start. */
    limited = limited && s->path;
#endif
    if (limited)
        child_limit(report_fd, RLIMIT_DATA, s->data_max, s->data_max);
    if (s->files_max > 0)
        child_limit(report_fd, RLIMIT_NOFILE, s->files_max, s->files_max);
    if (s->cpu_max_s > 0)
        child_limit(report_fd, RLIMIT_CPU, s->cpu_max_s, s->cpu_max_s + CPU_SLACK_S);
    if (s->nice && setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + s->nice) != 0)
        child_fail(report_fd, "setpriority");
}

static _Noreturn void child_run(const struct spawn *s, int report_fd, pid_t parent)
{
    if (s->own_group && setpgid(0, 0) != 0)
        child_fail(report_fd, "setpgid");
    child_signals(s->deaf);
    int high = fcntl(report_fd, F_DUPFD_CLOEXEC, FD_SAFE);
    if (high < 0)
        child_fail(report_fd, "dup");
    report_fd = high;
    int exe = s->path ? -1 : fcntl(self_fd, F_DUPFD_CLOEXEC, FD_SAFE);
    if (!s->path && exe < 0)
        child_fail(report_fd, "dup");
    child_fds(s, report_fd);
    child_limits(s, report_fd);
    if (chdir(s->folder ? s->folder : "/") != 0)
        child_fail(report_fd, "chdir");
    if (s->death_signal && prctl(PR_SET_PDEATHSIG, s->death_signal, 0, 0, 0) != 0)
        child_fail(report_fd, "prctl");
    if (s->death_signal && getppid() != parent)
        _exit(127); /* the parent died before we asked to be told */
    char *const *args = (char *const *)(uintptr_t)s->args;
    char *const *env = (char *const *)(uintptr_t)fault_environment(s->env);
    if (s->path)
        execve(s->path, args, env);
    else
        fexecve(exe, args, env);
    child_fail(report_fd, "exec");
}

/* ---- in the parent ---- */

static err parent_wait_exec(int report_fd, pid_t pid, const struct spawn *s, struct fault *f)
{
    struct child_report r = {0};
    ssize_t got;
    do
        got = read(report_fd, &r, sizeof r);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return E_OK; /* closed by exec */
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    char text[80];
    r.step[sizeof r.step - 1] = '\0';
    return fail(f, r.error == ENOENT && s->path ? E_NOT_FOUND : E_OS, "cannot start %s: %s: %s",
                s->path ? s->path : s->args[0], r.step, strerror_r(r.error, text, sizeof text));
}

err spawn_start(const struct spawn *s, pid_t *out_pid, struct fault *f)
{
    need(s->args[0] && s->fd_count <= SPAWN_FDS_MAX);
    need(s->path || self_fd >= 0);
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0)
        return fail(f, E_OS, "cannot start %s: no pipe: errno %d", s->args[0], errno);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        child_run(s, report[1], parent);
    int error = errno;
    close(report[1]);
    err e = E_OK;
    if (pid < 0) {
        char text[80];
        e = fail(f, E_OS, "cannot start %s: %s; check the limits on processes and memory",
                 s->args[0], strerror_r(error, text, sizeof text));
    } else {
        e = parent_wait_exec(report[0], pid, s, f);
    }
    close(report[0]);
    if (!e)
        *out_pid = pid;
    return e;
}

void spawn_kill_group(pid_t leader)
{
    need(leader > 1);
    kill(-leader, SIGKILL);
}

bool spawn_reap(pid_t *out_pid, int *out_status)
{
    for (;;) {
        pid_t pid = waitpid(-1, out_status, WNOHANG);
        if (pid > 0) {
            *out_pid = pid;
            return true;
        }
        if (pid == 0 || errno != EINTR)
            return false;
    }
}
