#include "os/faults.h"

#ifdef FULMAR_FAULT_POINTS

#include "base/need.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PAGE_SIZE = 128, AT_SIGNAL = 1, AT_SKIP = 2, AT_NAME = 3, AT_REPORT = 64, ENV_MAX = 18 };

static const char VARIABLE[] = "FULMAR_FAULTS";
static char *page;

void fault_map(void)
{
    const char *path = getenv(VARIABLE);
    if (!path || page)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    need(fd >= 0);
    void *at = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    need(at != MAP_FAILED);
    close(fd);
    page = at;
}

static bool order_names(const char *name)
{
    size_t n = strlen(name);
    return AT_NAME + n < AT_REPORT && memcmp(page + AT_NAME, name, n) == 0 &&
           page[AT_NAME + n] == '\n';
}

void fault_reached(const char *name)
{
    char armed = 'A';
    if (!page || __atomic_load_n(page, __ATOMIC_ACQUIRE) != armed || !order_names(name))
        return;
    /* Several processes may reach it at once: one has the order, the others go on. */
    if (!__atomic_compare_exchange_n(page, &armed, 'T', false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE))
        return;
    if (page[AT_SKIP] > '0') {
        page[AT_SKIP]--;
        __atomic_store_n(page, 'A', __ATOMIC_RELEASE);
        return;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int signum = page[AT_SIGNAL] == 'K' ? SIGKILL : SIGSTOP;
    snprintf(page + AT_REPORT, PAGE_SIZE - AT_REPORT, "%d %lld\n", (int)getpid(),
             (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    __atomic_store_n(page, 'F', __ATOMIC_RELEASE);
    (void)raise(signum);
}

const char *const *fault_environment(const char *const *env)
{
    static const char *with[ENV_MAX];
    const char *path = getenv(VARIABLE);
    static char text[512];
    size_t n = 0;
    if (!path)
        return env;
    for (; env[n] && n + 2 < ENV_MAX; n++)
        with[n] = env[n];
    snprintf(text, sizeof text, "%s=%s", VARIABLE, path);
    with[n] = text;
    return with;
}

#endif
