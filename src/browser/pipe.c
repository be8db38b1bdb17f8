#include "browser/pipe.h"

#include <stdlib.h>

#include "base/arena.h"

enum { PART_KEPT = 1 << 20 }; /* memory of a long message above this is given back */

struct devpipe {
    struct stream *stream;
    void (*on_message)(void *ctx, struct span text);
    void (*on_end)(void *ctx, err why);
    void *ctx;
    struct buf part; /* of a message that came in pieces */
    int busy;        /* callbacks under way */
    bool closed;
};

static void free_when_idle(struct devpipe *p)
{
    if (!p->closed || p->busy > 0)
        return;
    buf_free(&p->part);
    free(p);
}

static void deliver(struct devpipe *p, struct span text)
{
    if (p->part.n == 0) {
        p->on_message(p->ctx, text);
        return;
    }
    buf_add(&p->part, text);
    struct span whole;
    if (buf_end(&p->part, &whole) == E_OK)
        p->on_message(p->ctx, whole);
    if (p->part.cap > PART_KEPT)
        buf_free(&p->part);
    else
        buf_clear(&p->part);
}

static void end(struct devpipe *p, err why)
{
    stream_close(&p->stream);
    p->on_end(p->ctx, why);
}

static void on_bytes(void *ctx, struct span bytes)
{
    struct devpipe *p = ctx;
    p->busy++;
    while (!p->closed && bytes.n > 0) {
        size_t n = span_find_char(bytes, '\0');
        if (n == bytes.n) {
            buf_add(&p->part, bytes);
            break;
        }
        struct span text = span_cut(bytes, 0, n);
        if (p->part.n + n > PIPE_MESSAGE_MAX)
            p->part.failed = E_TOO_BIG;
        else
            deliver(p, text);
        bytes = span_cut(bytes, n + 1, SIZE_MAX);
        if (p->part.failed)
            break;
    }
    if (!p->closed && p->part.failed)
        end(p, E_TOO_BIG);
    p->busy--;
    free_when_idle(p);
}

static void on_stream_end(void *ctx, err why)
{
    struct devpipe *p = ctx;
    p->busy++;
    end(p, why);
    p->busy--;
    free_when_idle(p);
}

err devpipe_new(struct devpipe **out, struct loop *l, int read_fd, int write_fd,
                void (*on_message)(void *ctx, struct span text),
                void (*on_end)(void *ctx, err why), void *ctx)
{
    struct devpipe *p = heap_new_of(struct devpipe);
    p->on_message = on_message;
    p->on_end = on_end;
    p->ctx = ctx;
    p->part = BUF(PIPE_MESSAGE_MAX);
    err e = stream_new(&p->stream, l, read_fd, write_fd, PIPE_OUT_MAX, on_bytes, on_stream_end,
                       p, "devtools");
    if (e) {
        free(p);
        return e;
    }
    *out = p;
    return E_OK;
}

err devpipe_send(struct devpipe *p, struct span command)
{
    if (!p->stream)
        return E_END;
    if (command.n > PIPE_COMMAND_MAX)
        return E_TOO_BIG;
    if (stream_queued(p->stream) + command.n + 1 > PIPE_OUT_MAX)
        return E_TOO_BIG;
    err e = stream_send(p->stream, command);
    /* After the check above the NUL always has room. */
    return e ? e : stream_send(p->stream, (struct span){"", 1});
}

void devpipe_close(struct devpipe **at)
{
    struct devpipe *p = *at;
    if (!p)
        return;
    *at = NULL;
    p->closed = true;
    stream_close(&p->stream);
    free_when_idle(p);
}
