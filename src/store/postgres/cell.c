/* cell.c - what the server sent in a row is anybody's. */
#include "store/postgres/pg.h"

bool pg_number(struct span cell, int64_t *out)
{
    if (cell.n != 0 && cell.n != 2 && cell.n != 4 && cell.n != 8)
        return false;
    uint64_t v = cell.n && (cell.p[0] & 0x80) ? UINT64_MAX : 0;
    for (size_t i = 0; i < cell.n; i++)
        v = v << 8 | (unsigned char)cell.p[i];
    *out = (int64_t)v;
    return true;
}
