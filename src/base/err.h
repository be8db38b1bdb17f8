/* err.h - every way an operation can fail, and what the service does about it.
 *
 * One row per failure: name, class, HTTP status, short text. The class is what callers obey, so
 * "what now?" is decided here and nowhere else. Names go to logs, the API and metrics; never reuse
 * one. What a failed JOB means (suspended, drift, ...) is core/failure.h, not this table. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*        name              class         http  short text                                  */
#define ERR_TABLE(X)                                                                           \
    X(E_TIMEOUT, ERR_RETRY, 504, "no answer in time")                                          \
    X(E_NET, ERR_RETRY, 502, "connection failed")                                              \
    X(E_PAGE, ERR_RETRY, 502, "page did not load")                                             \
    X(E_THROTTLED, ERR_WAIT, 429, "asked to slow down")                                        \
    X(E_BUSY, ERR_WAIT, 503, "busy, try again")                                                \
    X(E_DRAINING, ERR_WAIT, 503, "takes no jobs now: it is draining")                          \
    X(E_MAINTENANCE, ERR_WAIT, 503, "takes no jobs now: it is in maintenance")                 \
    X(E_CLOSED, ERR_WAIT, 503, "takes no jobs now: it was closed")                             \
    X(E_SESSION, ERR_BLAMELESS, 503, "login session was refused")                              \
    X(E_BROWSER_GONE, ERR_BLAMELESS, 503, "browser process died")                              \
    X(E_PAGE_GONE, ERR_RETRY, 502, "page crashed")                                             \
    X(E_WORKER_GONE, ERR_BLAMELESS, 503, "worker process died")                                \
    X(E_SHUTDOWN, ERR_BLAMELESS, 503, "service is stopping")                                   \
    X(E_NOT_FOUND, ERR_FINAL, 404, "no such thing")                                            \
    X(E_BAD_INPUT, ERR_FINAL, 422, "input was refused")                                        \
    X(E_BAD_SYNTAX, ERR_FINAL, 400, "input could not be read")                                 \
    X(E_TOO_BIG, ERR_FINAL, 413, "limit exceeded")                                             \
    X(E_CONFLICT, ERR_FINAL, 409, "not possible in this state")                                \
    X(E_STALE, ERR_FINAL, 409, "lease is no longer held")                                      \
    X(E_DENIED, ERR_FINAL, 403, "not allowed")                                                 \
    X(E_ABSENT, ERR_FINAL, 501, "not there in this kind of store")                             \
    X(E_CONFIG, ERR_FINAL, 500, "configuration is not valid")                                  \
    X(E_CANCELLED, ERR_STOPPED, 409, "cancelled")                                              \
    X(E_END, ERR_STOPPED, 200, "no more data")                                                 \
    X(E_STORE, ERR_RETRY, 503, "job store failed")                                             \
    X(E_MOVED, ERR_BUG, 503, "the job store was moved, or is being moved")                     \
    X(E_DISK_FULL, ERR_WAIT, 507, "no space left on the disk")                                 \
    X(E_OS, ERR_RETRY, 500, "the operating system refused")                                    \
    X(E_NO_MEMORY, ERR_RETRY, 500, "memory limit reached")                                     \
    X(E_SHAPE, ERR_BUG, 502, "answer came in a shape we do not know")                          \
    X(E_PROTOCOL, ERR_BUG, 500, "a peer broke the protocol")                                   \
    X(E_BUG, ERR_BUG, 500, "internal error")

enum err_class {
    ERR_NONE,      /* success */
    ERR_RETRY,     /* counts as an attempt; try again with backoff */
    ERR_WAIT,      /* counts as nothing; try again when the hint says */
    ERR_BLAMELESS, /* not the job's fault: give it back untouched */
    ERR_FINAL,     /* trying again cannot help */
    ERR_STOPPED,   /* somebody asked us to stop, or there is no more */
    ERR_BUG,       /* park it, wake a person */
};

#define ERR_ENUM(name, cls, http, text) name,
/* warn_unused_result sits on the functions (MUST_USE): an enum cannot carry it in C17. */
typedef enum err { E_OK, ERR_TABLE(ERR_ENUM) E_COUNT } err;
#undef ERR_ENUM

#define MUST_USE __attribute__((warn_unused_result))

enum err_class err_class(err e);
int err_http(err e);         /* status code for an HTTP answer */
const char *err_name(err e); /* "E_TIMEOUT" */
const char *err_text(err e); /* "no answer in time" */

/* What happened, in words: filled by the function that saw it, read by whoever logs or answers.
 * The first writer wins, so the cause is never painted over by its consequences. A fault starts
 * as {0}; NULL is allowed where nobody will read the words. */
struct fault {
    err code;
    int64_t wait_ms; /* hint: not before this many milliseconds; 0 = none */
    bool away; /* a server of ours cannot be used: the words name it, and are for the log */
    char words[240]; /* one sentence with the way out, no newline */
};

/* Writes the words (unless an earlier cause is there) and returns e. */
__attribute__((format(printf, 3, 4))) err fail(struct fault *f, err e, const char *fmt, ...);
