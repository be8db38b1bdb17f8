/* Where a process is in its own code, told to another one: by name, from inside its sandbox, and it goes on. */
#include "os/sandbox.h"
#include "os/stack.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { FROM_CHILD, FROM_PARENT, ANSWER_MS = 5000 };

static struct stack_page *page;
static volatile uint64_t *turns; /* of the child that computes */
static int pair[2];
static pid_t child;

/* ---- the child ---- */

__attribute__((noinline)) static _Noreturn void compute_for_ever(void)
{
    for (uint64_t x = 1;; x = x * 6364136223846793005U + 1)
        *turns += x & 1 ? 1 : 2;
}

__attribute__((noinline)) static char wait_for_a_byte(int fd)
{
    char byte = 0;
    ssize_t n;
    do
        n = read(fd, &byte, 1);
    while (n < 0 && errno == EINTR);
    return n == 1 ? byte : 'e';
}

static _Noreturn void be_child(int fd, bool computes)
{
    struct fault f = {0};
    char byte = 'r';
    prctl(PR_SET_PDEATHSIG,
          SIGKILL); /* a test that fails leaves nobody who computes for ever */
    if (stack_tell(fd, &f) || sandbox_worker(&f) || write(pair[1], &byte, 1) != 1)
        _exit(3);
    if (computes)
        compute_for_ever();
    byte = wait_for_a_byte(pair[1]);
    _exit(write(pair[1], &byte, 1) == 1 ? 0 : 4);
}

static void start(bool computes)
{
    struct fault f = {0};
    char byte;
    int fd;
    if (stack_new(&page, &fd, &f))
        fail_msg("%s", f.words);
    turns = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(turns != MAP_FAILED);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        be_child(fd, computes);
    close(fd);
    assert_int_equal(read(pair[0], &byte, 1), 1);
    while (computes && !*turns)
        usleep(1000);
}

/* ---- who asks ---- */

static size_t answer(uintptr_t at[STACK_FRAMES])
{
    struct fault f = {0};
    size_t n = 0;
    if (stack_ask(page, child, &f))
        fail_msg("%s", f.words);
    for (int ms = 0; !stack_take(page, at, &n); ms++) {
        assert_true(ms < ANSWER_MS);
        usleep(1000);
    }
    return n;
}

static bool has(const char *const *names, size_t n, const char *function)
{
    size_t length = strlen(function);
    for (size_t i = 0; i < n; i++)
        if (strncmp(names[i], function, length) == 0 &&
            strncmp(names[i] + length, "+0x", 3) == 0)
            return true;
    return false;
}

/* Is in the stack, by name and offset, as soon as it has come there. */
static void is_in(const char *function, struct arena *a)
{
    uintptr_t at[STACK_FRAMES];
    const char *names[STACK_FRAMES];
    size_t n;
    for (int ms = 0;; ms++) {
        n = answer(at);
        stack_names(child, at, n, a, names);
        if (has(names, n, function))
            return;
        if (ms == ANSWER_MS)
            break;
        arena_reset(a);
        usleep(1000);
    }
    for (size_t i = 0; i < n; i++)
        print_error("%s\n", names[i]);
    fail_msg("%s is not there", function);
}

static int end_child(void)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    close(pair[0]);
    close(pair[1]);
    munmap((void *)(uintptr_t)turns, 4096);
    stack_free(&page);
    return status;
}

static void one_that_computes_answers_and_goes_on(void **state)
{
    (void)state;
    struct arena *a = arena_new(64 << 20);
    start(true);
    for (int i = 0; i < 20; i++) {
        is_in("compute_for_ever", a);
        arena_reset(a);
        uint64_t before = *turns;
        for (int ms = 0; *turns == before; ms++) {
            assert_true(ms < ANSWER_MS);
            usleep(1000);
        }
    }
    is_in("main", a);
    kill(child, SIGKILL);
    assert_true(WIFSIGNALED(end_child()));
    arena_free(&a);
}

/* Asked in the middle of a call of the kernel; what it waited for comes afterwards. */
static void one_that_waits_answers_and_goes_on(void **state)
{
    (void)state;
    struct arena *a = arena_new(64 << 20);
    char byte = 'x';
    start(false);
    for (int i = 0; i < 5; i++)
        is_in("wait_for_a_byte", a);
    assert_int_equal(write(pair[0], &byte, 1), 1);
    byte = 0;
    assert_int_equal(read(pair[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    int status = end_child();
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    arena_free(&a);
}

static void one_that_is_stopped_answers_when_it_goes_on(void **state)
{
    (void)state;
    struct fault f = {0};
    uintptr_t at[STACK_FRAMES];
    size_t n;
    start(true);
    kill(child, SIGSTOP);
    assert_int_equal(waitpid(child, NULL, WUNTRACED), child);
    assert_int_equal(stack_ask(page, child, &f), E_OK);
    usleep(50 * 1000);
    assert_false(stack_take(page, at, &n));
    kill(child, SIGCONT);
    for (int ms = 0; !stack_take(page, at, &n); ms++) {
        assert_true(ms < ANSWER_MS);
        usleep(1000);
    }
    assert_true(n > 0);
    kill(child, SIGKILL);
    end_child();
    assert_int_equal(stack_new(&page, &pair[0], &f), E_OK);
    assert_int_equal(stack_ask(page, child, &f), E_OS); /* nobody is there */
    close(pair[0]);
    stack_free(&page);
}

/* Whatever they are: names are only ever said of what is mapped there. */
static void addresses_of_nothing_have_no_name(void **state)
{
    (void)state;
    struct arena *a = arena_new(64 << 20);
    const uintptr_t at[] = {0, 16, UINTPTR_MAX};
    const char *names[3];
    stack_names(getpid(), at, 3, a, names);
    assert_string_equal(names[0], "0x0");
    assert_string_equal(names[1], "0x10");
    stack_names(-1, at, 3, a, names);
    assert_string_equal(names[1], "0x10");
    arena_free(&a);
}

enum { COUNT_AT = 2 }; /* in the page, behind what was asked and told */
static atomic_bool enough;

static void *change_for_ever(void *page_as_numbers)
{
    volatile uint32_t *count = (volatile uint32_t *)page_as_numbers + COUNT_AT;
    while (!atomic_load(&enough))
        for (uint32_t i = 0; i < 1000; i++)
            *count = i % 2 ? UINT32_MAX : 1;
    return NULL;
}

/* A child that says it has more frames than there is room for, and changes its mind while it is read. */
static void no_more_frames_are_taken_than_there_is_room_for(void **state)
{
    (void)state;
    struct fault f = {0};
    uintptr_t at[STACK_FRAMES];
    pthread_t thread;
    size_t n = 0;
    int fd;
    assert_int_equal(stack_new(&page, &fd, &f), E_OK);
    uint32_t *all = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(all != MAP_FAILED);
    all[COUNT_AT] = UINT32_MAX;
    assert_true(stack_take(page, at, &n));
    assert_int_equal(n, STACK_FRAMES);
    assert_int_equal(pthread_create(&thread, NULL, change_for_ever, all), 0);
    for (int i = 0; i < 200000; i++) {
        assert_true(stack_take(page, at, &n));
        assert_true(n == STACK_FRAMES || n == 1);
    }
    atomic_store(&enough, true);
    pthread_join(thread, NULL);
    munmap(all, 4096);
    close(fd);
    stack_free(&page);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_computes_answers_and_goes_on),
        cmocka_unit_test(one_that_waits_answers_and_goes_on),
        cmocka_unit_test(one_that_is_stopped_answers_when_it_goes_on),
        cmocka_unit_test(addresses_of_nothing_have_no_name),
        cmocka_unit_test(no_more_frames_are_taken_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
