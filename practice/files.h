/* files.h - the files behind the media that the model makes up: photos and videos of the right type,
 * with bytes of their own, and some that are not as they should be.
 *
 * What becomes of a file follows from its address alone, so a test knows it beforehand
 * (/truth/file?url=). Only what Fulmar asks for (orig, 4096x4096, large, mp4) has such troubles; the
 * small pictures of the pages have none. */
#pragma once

#include "base/span.h"

/*        name       what is special */
#define FILE_OUTCOMES(X)                                                                       \
    X(fine, "nothing")                                                                         \
    X(missing, "404, in every size")                                                           \
    X(no_orig, "404 as orig; smaller sizes are there")                                         \
    X(too_large, "3 MiB")                                                                      \
    X(html, "a page that says so")                                                             \
    X(pretends, "a page that calls itself a picture")                                          \
    X(cut, "the connection ends in the middle; the rest comes when it is asked for")           \
    X(slow, "comes after a second")                                                            \
    X(limited, "the first request is answered 429, Retry-After: 1")

enum file_outcome {
#define FILE_ENUM(name, what) FILE_##name,
    FILE_OUTCOMES(FILE_ENUM)
#undef FILE_ENUM
};

struct practice_file {
    enum file_outcome outcome;
    const char *type; /* as it is sent */
    size_t bytes;
    uint64_t key; /* its bytes follow from it; also its ETag */
};

/* path: "/media/KEY", "/media/KEY.jpg", "/amplify_video/.../a.mp4"; format and name: of the query, may be
 * empty. False: no such address. */
bool files_find(struct span path, struct span format, struct span name, uint64_t seed,
                struct practice_file *out);
void files_add(const struct practice_file *file, struct buf *out);
const char *files_outcome(enum file_outcome o);
