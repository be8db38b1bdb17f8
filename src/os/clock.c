#include "os/clock.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/need.h"

static int64_t read_us(clockid_t id)
{
    struct timespec t;
    need(clock_gettime(id, &t) == 0);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

mono clock_mono(void)
{
    return (mono){read_us(CLOCK_BOOTTIME) / 1000};
}

wall clock_wall(void)
{
    return (wall){read_us(CLOCK_REALTIME) / 1000};
}

int64_t clock_mono_us(void)
{
    return read_us(CLOCK_BOOTTIME);
}

/* Armed for a time that never comes; that the clock is set cancels it, which makes it readable. */
static int arm(int fd)
{
    struct itimerspec never = {.it_value = {.tv_sec = INT64_C(1) << 40}};
    return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

err clock_watch_open(int *out_fd, struct fault *f)
{
    int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd >= 0 && arm(fd) == 0) {
        *out_fd = fd;
        return E_OK;
    }
    err e = fail(f, E_OS, "cannot watch the clock: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return e;
}

void clock_watch_again(int fd)
{
    uint64_t times;
    ssize_t got = read(fd, &times, sizeof times); /* ECANCELED */
    (void)got;
    (void)arm(fd);
}
