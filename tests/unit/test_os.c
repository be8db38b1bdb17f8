#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include "os/clock.h"
#include "os/files.h"
#include "os/random.h"
#include "os/sandbox.h"
#include "os/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/fulmar-test-os-%d", (int)getpid());
    return files_make_folder(folder, 0755, NULL) == E_OK ? 0 : 1;
}

static int remove_folder(void **state)
{
    (void)state;
    return files_remove_tree(folder, NULL) == E_OK ? 0 : 1;
}

static int status_of(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

/* true when the descriptor reached end of file in time: every holder of the other end is gone
 */
static bool ends(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char byte;
    while (poll(&p, 1, 5000) == 1) {
        if (read(fd, &byte, 1) <= 0)
            return true;
    }
    return false;
}

static void clocks(void **state)
{
    (void)state;
    mono a = clock_mono();
    int64_t us = clock_mono_us();
    mono b = clock_mono();
    assert_true(b.ms >= a.ms && us / 1000 >= a.ms && us / 1000 <= b.ms);
    assert_true(clock_wall().ms > INT64_C(1700000000000));
    assert_true(random_u64() != random_u64());
}

static void files(void **state)
{
    (void)state;
    char path[128], deep[128];
    struct buf text = BUF(100);
    struct fault f = {0};
    snprintf(deep, sizeof deep, "%s/a/b/c", folder);
    assert_int_equal(files_make_folder(deep, 0700, &f), E_OK);
    assert_int_equal(files_make_folder(deep, 0700, &f), E_OK);
    snprintf(path, sizeof path, "%s/a/b/c/file", folder);
    assert_int_equal(files_write(path, SPAN("0123456789"), &f), E_OK);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(files_read(AT_FDCWD, path, 10, &text, &f), E_OK);
    assert_true(span_is(buf_span(&text), "0123456789"));
    buf_clear(&text);
    assert_int_equal(files_read(AT_FDCWD, path, 9, &text, &f), E_TOO_BIG);
    f = (struct fault){0};
    snprintf(path, sizeof path, "%s/nothing", folder);
    assert_int_equal(files_read(AT_FDCWD, path, 9, &text, &f), E_NOT_FOUND);
    assert_non_null(strstr(f.words, path));
    buf_free(&text);
}

static void tree(void **state)
{
    (void)state;
    char top[128], path[160], target[128];
    snprintf(top, sizeof top, "%s/tree", folder);
    snprintf(target, sizeof target, "%s/kept", folder);
    snprintf(path, sizeof path, "%s/one/two", top);
    assert_int_equal(files_make_folder(path, 0700, NULL), E_OK);
    assert_int_equal(files_write(target, SPAN("kept"), NULL), E_OK);
    snprintf(path, sizeof path, "%s/one/link", top);
    assert_int_equal(symlink(folder, path), 0);
    snprintf(path, sizeof path, "%s/one/file", top);
    assert_int_equal(files_write(path, SPAN("x"), NULL), E_OK);
    struct arena *a = arena_new(100000);
    char **names;
    size_t count;
    snprintf(path, sizeof path, "%s/one", top);
    assert_int_equal(files_list(path, a, &names, &count, NULL), E_OK);
    assert_int_equal(count, 3);
    assert_null(names[3]);
    arena_free(&a);
    assert_int_equal(files_remove_tree(top, NULL), E_OK);
    assert_int_equal(access(top, F_OK), -1);
    assert_int_equal(access(target, F_OK), 0); /* the link was not followed */
    assert_int_equal(files_remove_tree(top, NULL), E_OK);
}

static void descriptors(void **state)
{
    (void)state;
    int pair[2], a[2], fds[4];
    char text[16];
    size_t n, count;
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(pipe2(a, O_CLOEXEC), 0);
    assert_int_equal(files_receive_fds(pair[1], text, sizeof text, &n, fds, &count), E_BUSY);
    assert_int_equal(files_send_fds(pair[0], SPAN("two"), a, 2), E_OK);
    assert_int_equal(files_receive_fds(pair[1], text, sizeof text, &n, fds, &count), E_OK);
    assert_int_equal(count, 2);
    assert_int_equal(fds[2], -1);
    assert_true(span_is((struct span){text, n}, "two"));
    assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(read(a[0], text, 1), 1);
    for (int i = 0; i < 2; i++) {
        close(fds[i]);
        close(a[i]);
    }
    close(pair[0]);
    assert_int_equal(files_receive_fds(pair[1], text, sizeof text, &n, fds, &count), E_END);
    close(pair[1]);
}

/* The child sees exactly the descriptors it was given, swapped ones included. */
static void spawned_descriptors(void **state)
{
    (void)state;
    int a[2], b[2], leak[2];
    assert_int_equal(pipe(a), 0);
    assert_int_equal(pipe(b), 0);
    assert_int_equal(pipe(leak), 0); /* without CLOEXEC on purpose */
    struct spawn s = {
        .path = "/bin/sh",
        .args = {"sh", "-c",
                 "ls /proc/self/fd | tr '\\n' ' '; echo to4 >&4; echo \"$A$HOME\"; pwd", NULL},
        .env = {"A=1", "PATH=/usr/bin:/bin", NULL},
        .fd_count = 2,
        .folder = "/usr",
    };
    s.fds[0].ours = a[1];
    s.fds[0].theirs = 1;
    s.fds[1].ours = b[1];
    s.fds[1].theirs = 4;
    pid_t pid;
    assert_int_equal(spawn_start(&s, &pid, NULL), E_OK);
    close(a[1]);
    close(b[1]);
    int status = status_of(pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    char text[200] = "";
    ssize_t n = read(a[0], text, sizeof text - 1);
    assert_true(n > 0);
    assert_string_equal(text, "0 1 2 3 4 1\n/usr\n"); /* 3 is the folder that ls reads */
    assert_int_equal(read(b[0], text, 4), 4);
    close(a[0]);
    close(b[0]);
    close(leak[0]);
    close(leak[1]);
}

static void spawned_swap(void **state)
{
    (void)state;
    int a[2], b[2];
    assert_int_equal(pipe2(a, O_CLOEXEC), 0);
    assert_int_equal(pipe2(b, O_CLOEXEC), 0);
    char command[64];
    snprintf(command, sizeof command, "echo A >&%d; echo B >&%d", b[1], a[1]);
    struct spawn s = {.path = "/bin/sh", .args = {"sh", "-c", command, NULL}, .fd_count = 2};
    s.fds[0].ours = a[1];
    s.fds[0].theirs = b[1];
    s.fds[1].ours = b[1];
    s.fds[1].theirs = a[1];
    pid_t pid;
    assert_int_equal(spawn_start(&s, &pid, NULL), E_OK);
    status_of(pid);
    char text[3] = "";
    assert_int_equal(read(a[0], text, 2), 2);
    assert_string_equal(text, "A\n");
    for (int i = 0; i < 2; i++) {
        close(a[i]);
        close(b[i]);
    }
}

static void spawn_failure(void **state)
{
    (void)state;
    struct spawn s = {.path = "/no/such/program", .args = {"x", NULL}};
    struct fault f = {0};
    pid_t pid = -1;
    assert_int_equal(spawn_start(&s, &pid, &f), E_NOT_FOUND);
    assert_non_null(strstr(f.words, "/no/such/program"));
    int status;
    assert_false(spawn_reap(&pid, &status)); /* nothing was left behind */
}

static void spawned_limits(void **state)
{
    (void)state;
    int out[2];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    struct spawn s = {
        .path = "/bin/sh",
        .args = {"sh", "-c", "ulimit -n; ulimit -d; ulimit -c; nice; kill -0 -$$ && echo group",
                 NULL},
        .env = {"PATH=/usr/bin:/bin", NULL},
        .fd_count = 1,
        .own_group = true,
        .data_max = 64 << 20,
        .files_max = 77,
        .nice = 3,
    };
    s.fds[0].ours = out[1];
    s.fds[0].theirs = 1;
    pid_t pid;
    assert_int_equal(spawn_start(&s, &pid, NULL), E_OK);
    close(out[1]);
    status_of(pid);
    char text[100] = "", expected[100];
    assert_true(read(out[0], text, sizeof text - 1) > 0);
    snprintf(expected, sizeof expected, "77\n65536\n0\n%d\ngroup\n",
             getpriority(PRIO_PROCESS, 0) + 3);
    assert_string_equal(text, expected);
    close(out[0]);
}

/* A process in the middle starts a child with a death signal and is killed: the child goes too.
 */
static void death_signal(void **state)
{
    (void)state;
    int alive[2], ready[2];
    assert_int_equal(pipe2(alive, O_CLOEXEC), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t middle = fork();
    if (middle == 0) {
        struct spawn s = {.path = "/bin/sleep",
                          .args = {"sleep", "1000", NULL},
                          .fd_count = 1,
                          .death_signal = SIGKILL};
        s.fds[0].ours = alive[1];
        s.fds[0].theirs = 5;
        pid_t pid;
        if (spawn_start(&s, &pid, NULL) != E_OK || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(alive[1]);
    close(ready[1]);
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    kill(middle, SIGKILL);
    status_of(middle);
    assert_true(ends(alive[0]));
    close(alive[0]);
    close(ready[0]);
}

static void group_kill(void **state)
{
    (void)state;
    int alive[2];
    assert_int_equal(pipe2(alive, O_CLOEXEC), 0);
    struct spawn s = {.path = "/bin/sh",
                      .args = {"sh", "-c", "sleep 1000 & sleep 1000 & wait", NULL},
                      .env = {"PATH=/usr/bin:/bin", NULL},
                      .fd_count = 1,
                      .own_group = true};
    s.fds[0].ours = alive[1];
    s.fds[0].theirs = 5;
    pid_t pid, ended;
    int status;
    assert_int_equal(spawn_start(&s, &pid, NULL), E_OK);
    close(alive[1]);
    spawn_kill_group(pid);
    assert_true(ends(alive[0]));
    while (!spawn_reap(&ended, &status))
        poll(NULL, 0, 5);
    assert_int_equal(ended, pid);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    close(alive[0]);
}

/* Signals for the supervisor pass it by; what it starts hears them again. */
static void deaf(void **state)
{
    (void)state;
    struct spawn s = {
        .path = "/bin/sh",
        .args = {"sh", "-c", "kill -INT $$; kill -TERM $$; kill -HUP $$; exit 7", NULL},
        .env = {"PATH=/usr/bin:/bin", NULL},
        .deaf = true};
    pid_t pid;
    assert_int_equal(spawn_start(&s, &pid, NULL), E_OK);
    int status = status_of(pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    s.deaf = false;
    assert_int_equal(spawn_start(&s, &pid, NULL), E_OK);
    status = status_of(pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

/* One that spins ends by itself, and one that ignores that is killed. */
static void processor_limit(void **state)
{
    (void)state;
    struct spawn s = {.path = "/bin/sh",
                      .args = {"sh", "-c", "ulimit -t; ulimit -Ht; while :; do :; done", NULL},
                      .env = {"PATH=/usr/bin:/bin", NULL},
                      .cpu_max_s = 1};
    pid_t pid;
    assert_int_equal(spawn_start(&s, &pid, NULL), E_OK);
    int status = status_of(pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU);
}

/* This very program again, by descriptor. */
static void self(void **state)
{
    (void)state;
    struct spawn s = {.args = {"again", "@exit-7", NULL}};
    pid_t pid;
    assert_true(spawn_self_fd() >= 0);
    assert_int_equal(spawn_start(&s, &pid, NULL), E_OK);
    int status = status_of(pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

/* ---- sandboxes: each in a child ---- */

static int in_child(void (*act)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        act();
        _exit(0);
    }
    return status_of(pid);
}

static void must(bool good)
{
    if (!good)
        _exit(99);
}

static void worker_plain(void)
{
    int pair[2];
    must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
    must(sandbox_worker(NULL) == E_OK);
    char *memory = malloc(8 << 20);
    must(memory != NULL);
    memset(memory, 1, 8 << 20);
    free(memory);
    struct pollfd p = {.fd = pair[1], .events = POLLIN};
    char byte;
    must(write(pair[0], "x", 1) == 1 && poll(&p, 1, 1000) == 1 && read(pair[1], &byte, 1) == 1);
    must(clock_mono().ms > 0 && random_u64() != random_u64());
    fprintf(stderr, "%s", "");
}
static void worker_open(void)
{
    must(sandbox_worker(NULL) == E_OK);
    (void)!open("/dev/null", O_RDONLY);
}
static void worker_socket(void)
{
    must(sandbox_worker(NULL) == E_OK);
    (void)!socket(AF_INET, SOCK_STREAM, 0);
}
static void worker_fork(void)
{
    must(sandbox_worker(NULL) == E_OK);
    if (fork() == 0)
        _exit(0);
}
static void worker_exec(void)
{
    must(sandbox_worker(NULL) == E_OK);
    execl("/bin/true", "true", (char *)NULL);
}
static void worker_code(void)
{
    must(sandbox_worker(NULL) == E_OK);
    (void)!mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0);
}
static void worker_kill(void)
{
    must(sandbox_worker(NULL) == E_OK);
    kill(getppid(), 0);
}
static void worker_abort(void)
{
    must(sandbox_worker(NULL) == E_OK);
    abort();
}

static void worker_sandbox(void **state)
{
    (void)state;
    int status = in_child(worker_plain);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    void (*const forbidden[])(void) = {worker_open, worker_socket, worker_fork,
                                       worker_exec, worker_code,   worker_kill};
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
        status = in_child(forbidden[i]);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("forbidden act %zu ended with status %x", i, (unsigned)status);
    }
    status = in_child(worker_abort);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void egress_act(void)
{
    must(sandbox_egress(NULL) == E_OK);
    must(open("/etc/passwd", O_RDONLY) < 0);
    must(errno == EACCES);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    must(fd >= 0 && close(fd) == 0);
}
static void egress_exec(void)
{
    must(sandbox_egress(NULL) == E_OK);
    execl("/bin/true", "true", (char *)NULL);
}

static void egress_sandbox(void **state)
{
    (void)state;
    int status = in_child(egress_act);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    status = in_child(egress_exec);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

/* Sockets with paths are out of reach, also by the ways around; what Chromium needs stays. */
static void browser_act(void)
{
    int pair[2];
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/listener", folder);
    int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    must(bind(listener, (struct sockaddr *)&a, sizeof a) == 0 && listen(listener, 1) == 0);
    must(sandbox_no_new_privs(NULL) == E_OK && sandbox_browser(NULL) == E_OK);
    must(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EACCES);
    must(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) < 0 && errno == EACCES);
    must(syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == ENOSYS);
    must(chmod(folder, 0777) < 0 && errno == EPERM);
    must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    must(connect(pair[0], (struct sockaddr *)&a, sizeof a) < 0 && errno == EISCONN);
    must(socket(AF_INET, SOCK_STREAM, 0) >= 0);
}

static void browser_sandbox(void **state)
{
    (void)state;
    int status = in_child(browser_act);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void landlock_act(void)
{
    char inside[128], outside[] = "/etc/hostname";
    const struct sandbox_path paths[] = {
        {folder, PATH_OWN}, {"/usr", PATH_RUN}, {"/no/such/thing", PATH_RUN}};
    struct fault f = {0};
    if (sandbox_files(paths, 3, true, &f) != E_OK)
        _exit(strstr(f.words, "no Landlock") ? 77 : 98);
    snprintf(inside, sizeof inside, "%s/landlock", folder);
    must(files_write(inside, SPAN("x"), NULL) == E_OK);
    must(open(outside, O_RDONLY) < 0 && errno == EACCES);
    must(open("/usr/landlock", O_CREAT | O_WRONLY, 0600) < 0 && errno == EACCES);
    int fd = open("/usr/bin/env", O_RDONLY);
    must(fd >= 0);
    /* What it can write it cannot execute. */
    must(fchmodat(AT_FDCWD, inside, 0700, 0) == 0);
    execl(inside, inside, (char *)NULL);
    must(errno == EACCES);
    if (sandbox_landlock_abi() >= 6)
        must(kill(getppid(), 0) < 0 && errno == EPERM);
}

static void landlock(void **state)
{
    (void)state;
    int status = in_child(landlock_act);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void network_act(void)
{
    int listener;
    if (sandbox_network(3128, &listener, NULL) != E_OK)
        _exit(77);
    struct sockaddr a = {0};
    socklen_t size = sizeof a;
    must(getsockname(listener, &a, &size) == 0);
    /* Its own 127.0.0.1: nothing of the machine's is here, and there is no way out. */
    FILE *f = fopen("/proc/self/net/dev", "r");
    char line[300];
    int lines = 0;
    must(f != NULL);
    while (fgets(line, sizeof line, f))
        lines++;
    fclose(f);
    must(lines == 3);
}

static void network(void **state)
{
    (void)state;
    int status = in_child(network_act);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        assert_true(sandbox_probe() != ISOLATION_NAMESPACE);
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_string_equal(isolation_name(sandbox_probe()), "namespace");
}

static void become_nobody(void)
{
    must(sandbox_become_user("nobody", NULL) == E_OK);
    must(getuid() != 0 && setuid(0) != 0);
    must(sandbox_probe() != ISOLATION_NONE);
}

static void users(void **state)
{
    (void)state;
    struct fault f = {0};
    assert_true(sandbox_user_exists("root"));
    assert_false(sandbox_user_exists("no-such-user-here"));
    assert_int_equal(sandbox_become_user("no-such-user-here", &f), E_CONFIG);
    if (getuid() != 0)
        skip();
    int status = in_child(become_nobody);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "@exit-7") == 0)
        return 7;
    spawn_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks),
        cmocka_unit_test(files),
        cmocka_unit_test(tree),
        cmocka_unit_test(descriptors),
        cmocka_unit_test(spawned_descriptors),
        cmocka_unit_test(spawned_swap),
        cmocka_unit_test(spawn_failure),
        cmocka_unit_test(spawned_limits),
        cmocka_unit_test(death_signal),
        cmocka_unit_test(group_kill),
        cmocka_unit_test(deaf),
        cmocka_unit_test(processor_limit),
        cmocka_unit_test(self),
        cmocka_unit_test(worker_sandbox),
        cmocka_unit_test(egress_sandbox),
        cmocka_unit_test(browser_sandbox),
        cmocka_unit_test(landlock),
        cmocka_unit_test(network),
        cmocka_unit_test(users),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
