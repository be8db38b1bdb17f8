/* A file as it is mapped by a process: whatever it says of its functions, there is an answer that fits. */
#include "base/need.h"
#include "os/symbols.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    enum { PLACES = 16, STEP = 0x25 };
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("image", MFD_CLOEXEC);
    need(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, n, 0) == (ssize_t)n);
    struct arena *a = arena_new(64 * 1024);
    struct symbol places[PLACES];
    for (size_t i = 0; i < PLACES; i++)
        places[i] = (struct symbol){.at = 0x1000 + i * STEP};
    symbols_look_into(fd, 0x1000, 0x100000, 0, places, PLACES, a);
    for (size_t i = 0; i < PLACES; i++)
        need(!places[i].name ||
             (strlen(places[i].name) <= 200 && places[i].offset < places[i].size));
    arena_free(&a);
    return 0;
}
