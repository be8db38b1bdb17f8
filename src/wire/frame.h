/* frame.h - what node and worker say to each other.
 *
 * A frame is: length of the rest (u32 little endian), type (u8), then the fields of that type's row,
 * in order: numbers as i64 little endian, texts as u32 length and bytes. One table gives types, sizes,
 * who may send what; encode and decode walk it. Pure; fuzzed from both sides. */
#pragma once

#include "base/span.h"

enum { FRAME_NUMBERS_MAX = 8, FRAME_TEXTS_MAX = 9, FRAME_HEAD = 5 };

/*  X(name, sender 'n'ode or 'w'orker, numbers, texts, largest frame in bytes, "numbers; texts") */
#define FRAME_TABLE(X)                                                                                                                                        \
    X(FRAME_READY, 'w', 1, 1, 4096, "pid; versions of the packs (packs_add_version)")                                                                         \
    X(FRAME_JOB, 'n', 8, 9, 262144,                                                                                                                           \
      "limit, next_batch, have, navigate_ms, batch_ms, fetch_ms, evidence, filtered; id, site, kind, target, spec, cursor, base URL, instances, known posts") \
    X(FRAME_GOTO, 'w', 2, 1, 16384, "call, timeout_ms; url")                                                                                                  \
    X(FRAME_BODY, 'w', 2, 1, 4096, "call, timeout_ms; request id")                                                                                            \
    X(FRAME_EVAL, 'w', 3, 1, 256,                                                                                                                             \
      "call, timeout_ms, world as an event named it or 0 for the page's own; name of the pack's expression")                                                  \
    X(FRAME_WATCH, 'w', 2, 1, 256,                                                                                                                            \
      "call, timeout_ms; name of the pack's expression that runs beside every new document")                                                                  \
    X(FRAME_STOP_LOADING, 'w', 2, 0, 256, "call, timeout_ms")                                                                                                 \
    X(FRAME_INTERCEPT, 'w', 2, 1, 4096,                                                                                                                       \
      "call, timeout_ms; URL pattern whose next request is held")                                                                                             \
    X(FRAME_CONTINUE, 'w', 2, 3, 65536,                                                                                                                       \
      "call, timeout_ms; held request id, its URL, new URL or empty")                                                                                         \
    X(FRAME_FETCH, 'w', 2, 2, 16384, "call, timeout_ms; name of the pack's source, URL")                                                                      \
    X(FRAME_FETCHED, 'n', 3, 3, 67108864,                                                                                                                     \
      "call, err, status; final URL or words, headers as JSON, body")                                                                                         \
    X(FRAME_DOWNLOAD, 'w', 2, 2, 16384, "call, timeout_ms; kind of media, URL")                                                                               \
    X(FRAME_DOWNLOADED, 'n', 6, 3, 4096,                                                                                                                      \
      "call, err, status, bytes, fetched at (ms), 1: it was there; SHA-256 or words, MIME type, path in the state folder")                                    \
    X(FRAME_REPLY, 'n', 2, 1, 67108864, "call, err; result or words")                                                                                         \
    X(FRAME_EVENT, 'n', 0, 2, 16777216, "method, params")                                                                                                     \
    X(FRAME_GONE, 'n', 1, 1, 1024, "err; words")                                                                                                              \
    X(FRAME_CANCEL, 'n', 1, 0, 64, "err: E_CANCELLED, E_SHUTDOWN or E_TIMEOUT")                                                                               \
    X(FRAME_SPENT, 'n', 3, 0, 64,                                                                                                                             \
      "a budget of the job (core/bounds.h), as ordered, used; once")                                                                                          \
    X(FRAME_RECORDS, 'w', 4, 3, 33554432,                                                                                                                     \
      "batch, pages, posts claimed by the profile, posts left out as asked; cursor, items, counts of fields")                                                 \
    X(FRAME_COMMITTED, 'n', 3, 0, 64, "err, added, have")                                                                                                     \
    X(FRAME_PROGRESS, 'w', 0, 1, 256, "the step it is in")                                                                                                    \
    X(FRAME_LOG, 'w', 1, 1, 4096, "level; line")                                                                                                              \
    X(FRAME_EVIDENCE, 'w', 6, 5, 9437184,                                                                                                                     \
      "status, read at ms, batch, failure class or 0, gap or 0, how many; strategy, name, URL, headers as JSON, body")                                        \
    X(FRAME_DONE, 'w', 2, 3, 65536, "verdict, end reason; why, report JSON, counts of fields")                                                                \
    X(FRAME_FAIL, 'w', 3, 3, 65536,                                                                                                                           \
      "failure class, wait_ms, 1: it would fail again; why, report JSON, counts of fields")                                                                   \
    X(FRAME_PICTURE, 'w', 2, 0, 64, "call, failure class of the strategy whose page it is")

#define FRAME_ENUM(name, sender, numbers, texts, size, help) name,
enum frame_type { FRAME_NONE, FRAME_TABLE(FRAME_ENUM) FRAME_TYPES };
#undef FRAME_ENUM

struct frame {
    enum frame_type type;
    int64_t n[FRAME_NUMBERS_MAX];
    struct span t[FRAME_TEXTS_MAX]; /* borrowed */
};

/* Whether the frame is within what its row allows: asked before sizes that others chose are sent. */
bool frame_fits(const struct frame *f);
/* Appends the frame; one that does not fit is our bug. */
void frame_add(struct buf *out, const struct frame *f);
/* Reads one frame from the front of `bytes` sent by `sender`: E_OK and its size, E_BUSY when more
 * bytes are needed, E_PROTOCOL when this is no frame of that sender. Texts borrow from `bytes`. */
MUST_USE err frame_read(struct span bytes, char sender, struct frame *out, size_t *out_size);

/* Items inside FRAME_RECORDS: kind u8, created_ms i64, id text, json text; repeated. */
struct frame_item {
    int kind;
    int64_t created_ms;
    struct span id, json;
};
void frame_add_item(struct buf *out, const struct frame_item *i);
/* Takes one item out of *rest: E_OK, E_END at the end, E_PROTOCOL. */
MUST_USE err frame_next_item(struct span *rest, struct frame_item *out);
