/* vfs.h - a disk that can lose its power: SQLite's files in memory, as a default VFS, so that the store
 * runs on it unchanged.
 *
 * A write is seen by whoever reads, but is on the disk only when the file was synced; a name made or
 * removed only when the folder was. disk_after_power() is what is left when the power fails: each
 * sector of what was not synced is kept, dropped, torn or overtaken by a later one; sizes and names
 * likewise; the shared memory of the log's index is gone. The tape of a run has every change in order,
 * so that one run gives the disk after a failure at any call.
 *
 * One connection at a time uses a disk: locks are always given. */
#pragma once

#include "base/span.h"

enum { DISK_SECTOR = 512, DISK_FILES = 64 };

/* What SQLite asks for: every one is a call at which the power may fail, or which may go wrong. */
#define DISK_CALLS(X)                                                                          \
    X(OPEN) X(DELETE) X(ACCESS) X(READ) X(WRITE) X(TRUNCATE) X(SYNC) X(SIZE) X(LOCK) X(SHM)
#define X(name) CALL_##name,
enum disk_call { DISK_CALLS(X) DISK_CALL_KINDS };
#undef X
extern const char *const disk_call_names[];

enum disk_fault {
    FAULT_NONE,
    FAULT_EIO,          /* nothing was done */
    FAULT_FULL,         /* of a write: nothing was done */
    FAULT_SHORT,        /* of a write: the first half was done, then the disk was full */
    FAULT_SYNC_DONE,    /* the sync failed, and yet all is on the disk */
    FAULT_SYNC_PENDING, /* it failed; the next one may succeed */
    FAULT_SYNC_LOST, /* it failed, and what was not on the disk never will be; readers go on seeing it, and
                           later syncs succeed: what Linux does, while the pages stay in its cache */
    FAULT_SYNC_GONE, /* the same, and readers see what is on the disk: the pages left the cache */
    DISK_FAULTS
};
extern const char *const disk_fault_names[];

struct disk;

struct disk *disk_new(void);
void disk_free(struct disk **d);
/* What a killed process leaves: all that was written, no shared memory. */
struct disk *disk_copy(const struct disk *d);
/* The same at once: what is not synced still is not. */
struct disk *disk_killed(const struct disk *d);
/* Files opened from now on are on this disk. The first call makes the VFS the default one. */
void disk_use(struct disk *d);

/* ---- power ---- */
enum disk_mood {
    MOOD_NOTHING,   /* nothing unsynced is left */
    MOOD_ALL,       /* all of it is */
    MOOD_BEGINNING, /* of each file the first changes are, up to some one, which may be torn */
    MOOD_CHANCE,    /* each sector by chance */
    MOODS
};
struct disk *disk_after_power(const struct disk *d, enum disk_mood mood, uint64_t seed);
/* Sectors of all disks so far: dropped, torn. */
int64_t disk_dropped(void), disk_torn(void);

/* ---- tape ---- */
enum change {
    CHANGE_MAKE,
    CHANGE_REMOVE,
    CHANGE_WRITE,
    CHANGE_TRUNCATE,
    CHANGE_SYNC,
    CHANGE_MARK
};
struct disk_change {
    enum change kind;
    int64_t call; /* number of the call that made it */
    int file;
    int64_t at, n; /* WRITE: where; TRUNCATE: n the size; MARK: n as given */
    bool folder;   /* SYNC, REMOVE: the names too */
    char name[24]; /* MAKE, REMOVE */
    uint8_t *bytes;
};
void disk_record(struct disk *d); /* from now on */
void disk_mark(struct disk *d, int64_t n);
const struct disk_change *disk_tape(const struct disk *d, int64_t *out_count);
void disk_play(struct disk *to, const struct disk_change *c);
/* Calls since disk_new() or disk_copy(), and of which kind one was (with disk_record()). */
int64_t disk_calls(const struct disk *d);
enum disk_call disk_call_kind(const struct disk *d, int64_t call);

/* ---- faults ---- */
/* From that call on, `count` calls of its kind go wrong. */
void disk_break(struct disk *d, int64_t call, enum disk_fault fault, int64_t count);
int64_t disk_broken(const struct disk *d); /* so many calls went wrong */
/* From that call on the disk is full as long as this file lies on the real one, and until it has refused
 * `refusals` writes. */
void disk_full_while(struct disk *d, int64_t call, const char *ballast, int64_t refusals);

/* ---- mistakes that a test has to find ---- */
enum disk_lie { LIE_NONE, LIE_SYNC, LIE_SYNC_DATABASE, LIE_SYNC_FOLDER, LIE_SAME_BYTES };
void disk_lies(struct disk *d, enum disk_lie lie);

/* ---- single files, by the end of their name ---- */
struct span disk_read(const struct disk *d, const char *ending); /* .p NULL: there is none */
void disk_cut(struct disk *d, const char *ending, int64_t size);
void disk_flip(struct disk *d, const char *ending, int64_t bit);
void disk_fill(struct disk *d, const char *ending, int64_t at,
               uint64_t seed); /* garbage from there */
