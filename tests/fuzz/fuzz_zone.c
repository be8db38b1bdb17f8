/* Any bytes as a time zone file: refused, or a table that answers for any instant. */
#include "base/need.h"
#include "os/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct zone z;
    struct fault f = {0};
    if (zone_read((struct span){(const char *)data, size}, &z, &f)) {
        need(f.code == E_BAD_SYNTAX);
        return 0;
    }
    need(z.count <= ZONE_CHANGES);
    for (int64_t t = -5000000000; t < 10000000000; t += 123456789) {
        int32_t offset = zone_offset(&z, t);
        need(offset >= -26 * 3600 && offset <= 26 * 3600);
        need(zone_instant(&z, t + offset) <= t + 7 * 86400);
    }
    return 0;
}
