/* symbols.h - which function of which file an address of a running process belongs to. */
#pragma once

#include <sys/types.h>

#include "base/arena.h"

struct symbol {
    uintptr_t at;     /* asked for */
    const char *file; /* what is mapped there, without its folder; NULL: nobody knows */
    const char *
        name; /* of the function; NULL: the file does not say (offset is from its beginning then) */
    uint64_t offset, size;
    bool ours; /* the file is this program */
};
/* Fills in name, offset and size of those from `from` to before `to`, where the file is mapped from this offset on, as far as the file
 * says; names in the arena. The file is read as what it is: bytes that anybody may have written. */
void symbols_look_into(int fd, uint64_t from, uint64_t to, uint64_t offset,
                       struct symbol *symbols, size_t count, struct arena *a);
/* Fills in what is known, in the arena. Reads /proc/PID/maps and the tables of the files that it names. */
void symbols_find(pid_t pid, struct symbol *symbols, size_t count, struct arena *a);
