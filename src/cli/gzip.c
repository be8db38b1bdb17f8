#include "cli/gzip.h"

#include <zlib.h>

enum { WINDOW_GZIP = 15 + 16, MEMORY = 8 };

err gzip_add(struct buf *out, struct span bytes)
{
    z_stream z = {0};
    if (bytes.n > UINT32_MAX / 2 ||
        deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_GZIP, MEMORY,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return bytes.n > UINT32_MAX / 2 ? E_TOO_BIG : E_NO_MEMORY;
    size_t room = deflateBound(&z, bytes.n);
    char *at = buf_room(out, room);
    if (at) {
        z.next_in = (z_const Bytef *)(uintptr_t)bytes.p;
        z.avail_in = (uInt)bytes.n;
        z.next_out = (Bytef *)at;
        z.avail_out = (uInt)room;
    }
    bool whole = at && deflate(&z, Z_FINISH) == Z_STREAM_END;
    out->n += whole ? z.total_out : 0;
    deflateEnd(&z);
    return whole ? E_OK : E_TOO_BIG;
}
