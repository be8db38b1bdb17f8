/* download.h - one file of media into a folder: streamed, checked, gone on with after an interruption.
 *
 * Happy path: what an earlier try left of the file is summed up → asked for the rest of it (Range,
 * If-Range: only when it is still the same file) → the bytes go to FOLDER/NAME as they come, their sum
 * is taken → the whole file lies there, and on_done says its sum and type. Beside the part lies
 * NAME.tag, with what it takes to go on.
 *
 * Nothing is ever whole in memory. A file is taken only when it calls itself one of `types`, begins
 * like one, and has at most bytes_max bytes.
 *
 * Failure modes: not there (E_NOT_FOUND), refused (E_DENIED), asked to wait longer than patience_ms
 * (E_THROTTLED; a shorter wait is waited for, once), trouble of the host or the line (E_NET), cut in the
 * middle (gone on with at once, a few times, as long as more comes each time), no whole file by
 * timeout_ms (E_TIMEOUT), another type than it should be (E_SHAPE), too large (E_TOO_BIG), no room
 * (E_DISK_FULL), a URL that may not be asked (E_BAD_INPUT). The part stays for a later try only where
 * that can go on with it. */
#pragma once

#include "os/digest.h"
#include "core/filetype.h"
#include "net/fetch.h"

struct download;

struct download_request {
    struct span url;
    struct span origin; /* where it may go, as in fetch_request; hosts borrowed until the end */
    const struct span *hosts;
    size_t host_count;
    struct span folder, name; /* letters and digits; no other download has it meanwhile */
    const struct span *types; /* borrowed until the end */
    size_t type_count;
    int64_t bytes_max;
    int64_t timeout_ms;  /* for the whole file, from the first request on */
    int64_t interval_ms; /* between two requests to the host */
    int64_t patience_ms;
};
struct download_answer {
    err failed;
    const char *words;
    int status;                  /* of the last answer; 0: none came */
    int64_t bytes;               /* of the file */
    int64_t fetched;             /* over the line, in this download */
    const struct filetype *type; /* and the sum: when it did not fail */
    char hash[DIGEST_TEXT];
};
struct download_face {
    void (*on_progress)(void *ctx); /* bytes came */
    void (*on_done)(void *ctx,
                    const struct download_answer *a); /* once; the download is gone with it */
    void *ctx;
};
/* E_DISK_FULL, E_OS, E_BAD_INPUT: never starts. */
MUST_USE err download_start(struct download **out, struct fetcher *fr, struct loop *l,
                            const struct download_request *q, const struct download_face *face,
                            struct fault *f);
void download_cancel(struct download **d); /* NULL inside is fine; the part stays */
