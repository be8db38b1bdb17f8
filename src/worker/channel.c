#include "worker/channel.h"

#include "os/clock.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { READ_AT_ONCE = 65536, IN_MAX = 72 * 1024 * 1024, OUT_MAX = 34 * 1024 * 1024 };

void channel_init(struct channel *c, int fd)
{
    *c = (struct channel){.fd = fd, .in = BUF(IN_MAX), .out = BUF(OUT_MAX)};
}

void channel_fini(struct channel *c)
{
    buf_free(&c->in);
    buf_free(&c->out);
}

void channel_shrink(struct channel *c)
{
    buf_drop(&c->in, c->taken);
    c->taken = 0;
    if (c->in.n == 0)
        buf_free(&c->in); /* else a part of the next frame has come */
    buf_free(&c->out);
}

static err wait_for(int fd, short events, mono deadline)
{
    for (;;) {
        mono now = clock_mono();
        int64_t left = mono_left(deadline, now);
        int timeout = deadline.ms == INT64_MAX ? -1 : left > 60000 ? 60000 : (int)left;
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, timeout);
        if (n > 0)
            return E_OK;
        if (n < 0 && errno != EINTR)
            return E_OS;
        if (deadline.ms != INT64_MAX && mono_past(deadline, clock_mono()))
            return E_TIMEOUT;
    }
}

err channel_send(struct channel *c, const struct frame *f)
{
    buf_clear(&c->out);
    frame_add(&c->out, f);
    struct span rest;
    err e = buf_end(&c->out, &rest);
    if (e)
        return e;
    while (rest.n) {
        ssize_t n = write(c->fd, rest.p, rest.n);
        if (n > 0) {
            rest.p += n;
            rest.n -= (size_t)n;
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            e = wait_for(c->fd, POLLOUT, CHANNEL_FOREVER);
            if (e)
                return e;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        return E_END;
    }
    return E_OK;
}

err channel_next(struct channel *c, mono deadline, struct frame *out)
{
    buf_drop(&c->in, c->taken);
    c->taken = 0;
    for (;;) {
        size_t size = 0;
        err e = frame_read(buf_span(&c->in), 'n', out, &size);
        if (!e) {
            c->taken = size;
            return E_OK;
        }
        if (e != E_BUSY)
            return e;
        char *room = buf_room(&c->in, READ_AT_ONCE);
        if (!room)
            return E_TOO_BIG;
        e = wait_for(c->fd, POLLIN, deadline);
        if (e)
            return e;
        ssize_t n = read(c->fd, room, READ_AT_ONCE);
        if (n == 0)
            return E_END;
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return E_END;
        if (n > 0)
            c->in.n += (size_t)n;
    }
}
