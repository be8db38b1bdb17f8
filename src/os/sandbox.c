#include "os/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <net/if.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/need.h"

/* ---- users ---- */

bool sandbox_user_exists(const char *user)
{
    return getpwnam(user) != NULL;
}

static err give_up_root(uid_t user, gid_t group, struct fault *f)
{
    if (setresgid(group, group, group) != 0 || setresuid(user, user, user) != 0)
        return fail(f, E_OS, "cannot become user %u: errno %d", (unsigned)user, errno);
    if (user != 0 && setuid(0) == 0)
        bug("root came back after it was given up");
    return E_OK;
}

err sandbox_become_user(const char *user, struct fault *f)
{
    struct passwd *who = getpwnam(user);
    if (!who)
        return fail(f, E_CONFIG, "there is no user \"%s\"; create it or name another one",
                    user);
    if (geteuid() != 0)
        return fail(f, E_OS, "only root can become user %s", user);
    if (initgroups(user, who->pw_gid) != 0)
        return fail(f, E_OS, "cannot become user %s: errno %d", user, errno);
    return give_up_root(who->pw_uid, who->pw_gid, f);
}

err sandbox_become_owner(const char *folder, struct fault *f)
{
    struct stat st;
    if (geteuid() != 0)
        return E_OK;
    if (stat(folder, &st))
        return fail(f, E_OS, "there is no folder %.200s: errno %d", folder, errno);
    if (st.st_uid == 0)
        return E_OK;
    if (setgroups(0, NULL) != 0)
        return fail(f, E_OS, "cannot leave root's groups: errno %d", errno);
    return give_up_root(st.st_uid, st.st_gid, f);
}

err sandbox_no_new_privs(struct fault *f)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail(f, E_OS, "the kernel refused no_new_privs: errno %d", errno);
    return E_OK;
}

/* ---- seccomp ---- */

/* Memory, time, descriptors that are already open, and the end: what any plain C program needs.
 */
static const int CALLS_COMMON[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(lseek),
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(futex),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(gettid),
    SCMP_SYS(getrusage),
    SCMP_SYS(sched_yield),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};
static const int CALLS_EGRESS[] = {
    SCMP_SYS(socket),        SCMP_SYS(connect),    SCMP_SYS(bind),       SCMP_SYS(accept),
    SCMP_SYS(accept4),       SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),   SCMP_SYS(shutdown),   SCMP_SYS(sendmmsg),   SCMP_SYS(recvmmsg),
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),  SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
    SCMP_SYS(eventfd2),      SCMP_SYS(pipe2),      SCMP_SYS(fcntl),      SCMP_SYS(uname),
    SCMP_SYS(prlimit64),     SCMP_SYS(getuid),     SCMP_SYS(geteuid),    SCMP_SYS(getgid),
    SCMP_SYS(getegid),       SCMP_SYS(dup),        SCMP_SYS(sysinfo),
};
/* Asked by libraries that manage without an answer. */
static const int CALLS_REFUSED_SOFTLY[] = {SCMP_SYS(newfstatat), SCMP_SYS(statx)};
static const int CALLS_REFUSED_EGRESS[] = {
    SCMP_SYS(open),  SCMP_SYS(openat), SCMP_SYS(stat),
    SCMP_SYS(lstat), SCMP_SYS(access), SCMP_SYS(readlink),
};
#ifdef FULMAR_SANITIZED
static const int CALLS_SANITIZER[] = {
    SCMP_SYS(sigaltstack), SCMP_SYS(sched_getaffinity), SCMP_SYS(getcwd),   SCMP_SYS(prctl),
    SCMP_SYS(rseq),        SCMP_SYS(set_robust_list),   SCMP_SYS(readlink), SCMP_SYS(prlimit64),
};
#endif

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int add_all(scmp_filter_ctx c, uint32_t action, const int *calls, size_t n)
{
    int failed = 0;
    for (size_t i = 0; i < n; i++) {
        /* A number below zero is a call this machine does not have. */
        if (calls[i] >= 0)
            failed |= seccomp_rule_add(c, action, calls[i], 0);
    }
    return failed;
}

static int add_common(scmp_filter_ctx c)
{
    int failed = add_all(c, SCMP_ACT_ALLOW, CALLS_COMMON, COUNT(CALLS_COMMON));
    failed |=
        add_all(c, SCMP_ACT_ERRNO(EACCES), CALLS_REFUSED_SOFTLY, COUNT(CALLS_REFUSED_SOFTLY));
    /* "Not a terminal": stdio asks, libuv then falls back to fcntl(). */
    failed |= seccomp_rule_add(c, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 0);
    /* Never executable memory. */
    failed |= seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                               SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    failed |= seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                               SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    /* abort() sends a signal to this very process, and to no other. */
    failed |= seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                               SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
#ifdef FULMAR_SANITIZED
    failed |= add_all(c, SCMP_ACT_ALLOW, CALLS_SANITIZER, COUNT(CALLS_SANITIZER));
#endif
    return failed;
}

#ifdef FULMAR_SANITIZED
/* The leak check at exit forks and traces, which the filter forbids: leave before it. */
static void leave_without_leak_check(int status, void *unused)
{
    (void)unused;
    fflush(NULL);
    _exit(status);
}
#endif

static err load(scmp_filter_ctx c, int failed, struct fault *f)
{
#ifdef FULMAR_SANITIZED
    on_exit(leave_without_leak_check, NULL);
#endif
    if (!failed)
        failed = seccomp_load(c); /* sets no_new_privs */
    seccomp_release(c);
    if (failed)
        return fail(f, E_OS,
                    "the kernel refused the system call filter (seccomp); it must be built "
                    "with CONFIG_SECCOMP_FILTER");
    return E_OK;
}

err sandbox_worker(struct fault *f)
{
    scmp_filter_ctx c = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!c)
        return fail(f, E_NO_MEMORY, "no memory for the system call filter");
    int failed = add_common(c);
    failed |= seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                               SCMP_A1(SCMP_CMP_EQ, F_GETFL, 0));
    failed |= seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                               SCMP_A1(SCMP_CMP_EQ, F_SETFL, 0));
    return load(c, failed, f);
}

err sandbox_egress(struct fault *f)
{
    scmp_filter_ctx c = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!c)
        return fail(f, E_NO_MEMORY, "no memory for the system call filter");
    int failed = add_common(c);
    failed |= add_all(c, SCMP_ACT_ALLOW, CALLS_EGRESS, COUNT(CALLS_EGRESS));
#ifndef FULMAR_SANITIZED
    failed |=
        add_all(c, SCMP_ACT_ERRNO(EACCES), CALLS_REFUSED_EGRESS, COUNT(CALLS_REFUSED_EGRESS));
#else
    failed |= add_all(c, SCMP_ACT_ERRNO(EACCES), CALLS_REFUSED_EGRESS,
                      COUNT(CALLS_REFUSED_EGRESS) - 1);
#endif
    return load(c, failed, f);
}

/* Permissions and owners by path: Landlock does not govern them. The rest is what no browser
 * needs and what has opened kernels before. */
static const int CALLS_REFUSED_BROWSER[] = {
    SCMP_SYS(chmod),
    SCMP_SYS(fchmodat),
    SCMP_SYS(chown),
    SCMP_SYS(lchown),
    SCMP_SYS(fchownat),
    SCMP_SYS(setxattr),
    SCMP_SYS(lsetxattr),
    SCMP_SYS(removexattr),
    SCMP_SYS(lremovexattr),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(bpf),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(open_by_handle_at),
};
/* Newer than this system's library may be: by number, the same on every machine. */
static const int CALLS_MISSING_BROWSER[] = {
    SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register),
    452 /* fchmodat2 */,      463 /* setxattrat */,     466 /* removexattrat */,
};

err sandbox_browser(struct fault *f)
{
    scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);
    if (!c)
        return fail(f, E_NO_MEMORY, "no memory for the system call filter");
    int failed = seccomp_rule_add(c, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1,
                                  SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, AF_UNIX));
    failed |=
        add_all(c, SCMP_ACT_ERRNO(EPERM), CALLS_REFUSED_BROWSER, COUNT(CALLS_REFUSED_BROWSER));
    failed |=
        add_all(c, SCMP_ACT_ERRNO(ENOSYS), CALLS_MISSING_BROWSER, COUNT(CALLS_MISSING_BROWSER));
    return load(c, failed, f);
}

/* ---- Landlock, by system call: this system's headers may be older than its kernel ---- */

enum {
    RULE_NET_PORT = 2,
    NET_CONNECT_TCP = 1 << 1,
    ABI_REFER = 2,
    ABI_TRUNCATE = 3,
    ABI_NET = 4,
    ABI_IOCTL = 5,
    ABI_SCOPE = 6,
};
#define FS_ALL_ABI1 ((UINT64_C(1) << 13) - 1)
#define FS_REFER    (UINT64_C(1) << 13)
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define FS_IOCTL    (UINT64_C(1) << 15)
#define SCOPE_ALL   UINT64_C(3) /* abstract Unix sockets, signals */
#define FS_FOR_FILES                                                                           \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |                               \
     LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL)

struct ruleset_attr {
    uint64_t fs, net, scoped;
};
struct net_port_attr {
    uint64_t allowed, port;
};

int sandbox_landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi < 0 ? 0 : (int)abi;
}

/* What this kernel does not know is left out. */
static int landlock_new(int abi, struct ruleset_attr attr)
{
    size_t size = abi >= ABI_SCOPE ? sizeof attr
                  : abi >= ABI_NET ? offsetof(struct ruleset_attr, scoped)
                                   : sizeof attr.fs;
    return (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
}

static err landlock_enter(int ruleset, struct fault *f)
{
    err e = sandbox_no_new_privs(f);
    if (!e && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        e = fail(f, E_OS, "the kernel refused the Landlock rules: errno %d", errno);
    close(ruleset);
    return e;
}

static err landlock_path(int ruleset, const char *path, uint64_t rights, struct fault *f)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == EACCES || errno == ENOTDIR))
        return E_OK; /* no rule: nothing is allowed there */
    if (fd < 0)
        return fail(f, E_OS, "Landlock: cannot open %s: errno %d", path, errno);
    struct stat st;
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rights &= FS_FOR_FILES;
    struct landlock_path_beneath_attr attr = {.allowed_access = rights, .parent_fd = fd};
    long failed = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr, 0);
    int error = errno;
    close(fd);
    return failed ? fail(f, E_OS, "Landlock: no rule for %s: errno %d", path, error) : E_OK;
}

static uint64_t rights_of(enum path_right right, uint64_t all)
{
    const uint64_t read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    switch (right) {
    case PATH_READ:
        break;
    case PATH_RUN:
        return read | LANDLOCK_ACCESS_FS_EXECUTE;
    case PATH_WRITE:
        return (read | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL) & all;
    case PATH_OWN:
        return all & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE;
    }
    return read;
}

err sandbox_files(const struct sandbox_path *paths, size_t count, bool scoped, struct fault *f)
{
    int abi = sandbox_landlock_abi();
    if (abi == 0)
        return fail(f, E_OS,
                    "this kernel has no Landlock; it needs 5.13 with CONFIG_SECURITY_LANDLOCK");
    uint64_t all = FS_ALL_ABI1;
    all |= abi >= ABI_REFER ? FS_REFER : 0;
    all |= abi >= ABI_TRUNCATE ? FS_TRUNCATE : 0;
    all |= abi >= ABI_IOCTL ? FS_IOCTL : 0;
    int ruleset =
        landlock_new(abi, (struct ruleset_attr){.fs = all, .scoped = scoped ? SCOPE_ALL : 0});
    if (ruleset < 0)
        return fail(f, E_OS, "the kernel refused a Landlock rule set: errno %d", errno);
    err e = E_OK;
    for (size_t i = 0; !e && i < count; i++)
        e = landlock_path(ruleset, paths[i].path, rights_of(paths[i].right, all), f);
    if (!e)
        return landlock_enter(ruleset, f);
    close(ruleset);
    return e;
}

static err landlock_connect(uint16_t port, struct fault *f)
{
    int abi = sandbox_landlock_abi();
    if (abi < ABI_NET)
        return fail(f, E_OS, "this kernel's Landlock knows no network rules; it needs 6.7");
    int ruleset = landlock_new(abi, (struct ruleset_attr){.net = NET_CONNECT_TCP});
    if (ruleset < 0)
        return fail(f, E_OS, "the kernel refused a Landlock rule set: errno %d", errno);
    struct net_port_attr attr = {.allowed = NET_CONNECT_TCP, .port = port};
    if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &attr, 0) == 0)
        return landlock_enter(ruleset, f);
    int error = errno;
    close(ruleset);
    return fail(f, E_OS, "the kernel refused a Landlock rule: errno %d", error);
}

/* ---- the browser's network ---- */

const char *isolation_name(enum isolation tier)
{
    static const char *const names[] = {"none", "flags", "landlock", "namespace"};
    return names[tier];
}

static bool write_proc(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool good = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return good;
}

static bool loopback_up(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    struct ifreq request = {.ifr_name = "lo"};
    bool good = ioctl(fd, SIOCGIFFLAGS, &request) == 0;
    request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
    good = good && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    close(fd);
    return good;
}

static err listen_on(uint16_t port, int *out_listener, uint16_t *out_port, struct fault *f)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int one = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 256) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &size) != 0) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return fail(f, E_OS, "cannot listen on 127.0.0.1:%u: errno %d", port, error);
    }
    *out_listener = fd;
    if (out_port)
        *out_port = ntohs(a.sin_port);
    return E_OK;
}

err sandbox_network(uint16_t port, int *out_listener, struct fault *f)
{
    uid_t user = getuid();
    gid_t group = getgid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return fail(
            f, E_OS,
            "no network namespace of its own: errno %d; allow unprivileged user namespaces "
            "(kernel.unprivileged_userns_clone, AppArmor, the container's seccomp profile)",
            errno);
    char uid_map[48], gid_map[48];
    snprintf(uid_map, sizeof uid_map, "%u %u 1", user, user);
    snprintf(gid_map, sizeof gid_map, "%u %u 1", group, group);
    if (!write_proc("/proc/self/setgroups", "deny") ||
        !write_proc("/proc/self/uid_map", uid_map) ||
        !write_proc("/proc/self/gid_map", gid_map))
        return fail(f, E_OS, "cannot map the user into its own namespace: errno %d", errno);
    if (!loopback_up())
        return fail(f, E_OS, "cannot raise the loopback of the new network namespace: errno %d",
                    errno);
    return listen_on(port, out_listener, NULL, f);
}

err sandbox_connect_only(uint16_t *out_port, int *out_listener, bool landlock, struct fault *f)
{
    err e = listen_on(0, out_listener, out_port, f);
    if (e || !landlock)
        return e;
    e = landlock_connect(*out_port, f);
    if (e) {
        close(*out_listener);
        *out_listener = -1;
    }
    return e;
}

enum isolation sandbox_probe(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        /* After setuid() the files in /proc/self belong to root until this or an exec. */
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        int listener = -1;
        if (sandbox_network(3128, &listener, NULL) == E_OK)
            _exit(ISOLATION_NAMESPACE);
        _exit(sandbox_landlock_abi() >= ABI_NET ? ISOLATION_LANDLOCK : ISOLATION_FLAGS);
    }
    if (pid < 0)
        return ISOLATION_FLAGS;
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return ISOLATION_FLAGS;
    }
    return WIFEXITED(status) ? (enum isolation)WEXITSTATUS(status) : ISOLATION_FLAGS;
}
