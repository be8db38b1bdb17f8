/* pack.h - the site packs that tests read: those of `sites`, or of the folder that FULMAR_SITES names. */
#pragma once

#include "extract/pack.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline int open_sites(void)
{
    const char *sites = getenv("FULMAR_SITES");
    int fd = open(sites ? sites : "sites", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        perror(sites ? sites : "sites");
        exit(1);
    }
    return fd;
}

/* Ends the program when there is none, or a wrong one. The caller closes it. */
static inline struct pack *open_site(const char *name)
{
    struct fault f = {0};
    struct pack *pack = NULL;
    int fd = open_sites();
    if (pack_open(&pack, fd, name, &f)) {
        fprintf(stderr, "site pack %s: %s\n", name, f.words);
        exit(1);
    }
    close(fd);
    return pack;
}
