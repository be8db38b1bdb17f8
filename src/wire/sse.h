/* sse.h - server-sent events: frames out, and the same frames in again. Pure.
 *
 * Written: `id:`, `event:`, `data:` and a blank line. Text with line ends is split over several
 * data lines; line ends in an event's name are dropped, so no text can forge a frame. */
#pragma once

#include "base/span.h"

/* id < 0: no id line; event empty: no event line. */
void sse_add(struct buf *out, int64_t id, struct span event, struct span data);
/* The position of a client that has seen everything up to it: an id without an event. */
void sse_add_position(struct buf *out, int64_t id);
/* ": text"; keeps connections open. */
void sse_add_comment(struct buf *out, const char *text);
/* "retry: ms", how long a client waits before it connects again. */
void sse_add_retry(struct buf *out, int64_t ms);

/* Reads a stream in pieces of any size. A frame longer than frame_max ends the reading
 * (E_TOO_BIG). */
struct sse_reader {
    struct buf line, data, event;
    int64_t last_id;  /* of the newest whole frame: what to send as Last-Event-ID; -1 none */
    int64_t frame_id; /* of the frame that is being read */
    bool after_cr;    /* the last byte was CR: a LF now belongs to it */
    bool has_data;
};
struct sse_reader sse_reader(size_t frame_max);
void sse_reader_fini(struct sse_reader *r);
/* Calls on_event for every whole frame in order. Spans are good during the call. */
MUST_USE err sse_read(struct sse_reader *r, struct span bytes,
                      void (*on_event)(void *ctx, int64_t id, struct span event,
                                       struct span data),
                      void *ctx);
