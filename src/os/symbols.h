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
/* Fills in what is known, in the arena. Reads /proc/PID/maps and the tables of the files that it names. */
void symbols_find(pid_t pid, struct symbol *symbols, size_t count, struct arena *a);
