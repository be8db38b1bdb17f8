#include "store/compress.h"

#include "base/need.h"

#include <zstd.h>

enum { LEVEL = 3 }; /* bodies of a few hundred KB take a millisecond or two */

err compress_add(struct buf *out, struct span bytes)
{
    size_t room = ZSTD_compressBound(bytes.n);
    char *at = buf_room(out, room);
    if (!at)
        return E_TOO_BIG;
    ZSTD_CCtx *context = ZSTD_createCCtx();
    if (!context)
        bug("no memory");
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    size_t n = ZSTD_compress2(context, at, room, bytes.p, bytes.n);
    ZSTD_freeCCtx(context);
    if (ZSTD_isError(n))
        return E_NO_MEMORY;
    out->n += n;
    return E_OK;
}

err compress_take(struct buf *out, struct span frame, size_t max)
{
    unsigned long long size = ZSTD_getFrameContentSize(frame.p, frame.n);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN)
        return E_BAD_SYNTAX;
    if (size > max)
        return E_TOO_BIG;
    if (size == 0)
        return E_OK;
    char *at = buf_room(out, (size_t)size);
    if (!at)
        return E_TOO_BIG;
    size_t n = ZSTD_decompress(at, (size_t)size, frame.p, frame.n);
    if (ZSTD_isError(n) || n != size)
        return E_BAD_SYNTAX;
    out->n += n;
    return E_OK;
}
