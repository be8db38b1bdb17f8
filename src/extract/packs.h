/* packs.h - the site packs of one moment, together, and their files as one piece of memory.
 *
 * A set never changes: when a pack does, a new set is made, and the packs that did not change are
 * in both. Whoever works with a set holds it until it is done, so that a job keeps what it started
 * with. Workers get the files from the set's own memory, not from the folder: what lies there may
 * be half-written, refused or gone. Sets are one thread's. */
#pragma once

#include "base/arena.h"
#include "extract/pack.h"

enum { PACKS_MAX = 16, PACK_INSTANCES_MAX = 4096 };

/* Where the requests of a pack go. */
struct pack_places {
    struct span base_url; /* instead of the pack's own; empty: the pack's own */
    /* where files of media are asked for; empty: where their URLs say */
    struct span media_base;
    struct span instances; /* "NAME=URL NAME=URL": servers that its sources may be read from */
};

struct packs {
    int holders;
    size_t count;
    struct pack *pack[PACKS_MAX];
    struct pack_places places[PACKS_MAX];
    struct buf instances[PACKS_MAX]; /* what the places point to */
    int image_fd;        /* sealed memory with the files of all; -1 before packs_seal() */
    struct buf versions; /* packs_add_version() of each */
};

struct packs *packs_new(void); /* held once */
/* Takes the pack over, and a copy of the instances; the two bases outlive every set. At most PACKS_MAX
 * packs, and PACK_INSTANCES_MAX bytes of instances. */
void packs_add(struct packs *ps, struct pack *p, const struct pack_places *places);
/* No more packs from now on; the memory for workers is made. E_OS, E_TOO_BIG. */
MUST_USE err packs_seal(struct packs *ps, struct fault *f);
struct packs *packs_hold(struct packs *ps);
void packs_drop(
    struct packs **ps); /* NULL inside is fine; clears it; freed with the last holder */
/* Index of the pack of that name, or PACKS_MAX. */
size_t packs_find(const struct packs *ps, struct span name);

/* "x 1-1f3a9c02\n": by this both ends of a worker's socket know that they read the same. */
void packs_add_version(struct buf *out, const struct pack *p);
/* All of the memory behind image_fd, whatever the descriptor's position. */
MUST_USE err packs_read_image(int image_fd, struct buf *out, struct fault *f);

/* ---- the memory: path and text of every file, each as u32 little endian length and bytes ---- */
void image_add(struct buf *out, struct span path, struct span text);
/* Takes the next file out of *rest; false at the end and when it is no image. */
bool image_next(struct span *rest, struct span *out_path, struct span *out_text);
bool image_find(struct span image, struct span path, struct span *out_text);
