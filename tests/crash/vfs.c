#include "vfs.h"

#include "base/arena.h"
#include "base/need.h"

#include <sqlite3.h>

#include <errno.h>
#include <sys/stat.h>

struct pending {
    bool truncates;
    int64_t at, n;
    uint8_t *bytes;
};
struct bytes {
    uint8_t *p;
    int64_t n, cap;
};
struct file {
    struct bytes seen, kept; /* what readers see; what is on the disk */
    struct pending *pending;
    int64_t pending_count, pending_cap;
};
struct name {
    char text[24];  /* the end of the path: "fulmar.db-wal" */
    int seen, kept; /* file, −1: none */
};
struct naming {
    int name, file; /* file −1: removed */
};
struct disk {
    struct file files[DISK_FILES];
    int file_count;
    struct name names[8];
    int name_count;
    struct naming namings[DISK_FILES]; /* not synced yet */
    int naming_count;
    void *shm[64];
    int64_t calls;
    uint64_t random;
    enum disk_lie lie;
    const char *ballast;
    int64_t full_at, full_count;
    /* tape */
    bool recording;
    struct disk_change *tape;
    int64_t tape_count, tape_cap;
    uint8_t *kinds;
    int64_t kinds_cap;
    /* faults */
    int64_t break_at, break_count, broken;
    enum disk_fault fault;
    enum disk_call break_kind;
    int last_errno;
};
struct handle {
    sqlite3_file base;
    struct disk *disk;
    int file, flags;
};

#define X(name) #name,
const char *const disk_call_names[] = {DISK_CALLS(X)};
#undef X
const char *const disk_fault_names[] = {"none",
                                        "EIO",
                                        "disk full",
                                        "short write",
                                        "failed sync that was done",
                                        "failed sync",
                                        "failed sync that lost what readers still see",
                                        "failed sync that lost all"};
static struct disk *used;
static int64_t dropped_sectors, torn_sectors;

int64_t disk_dropped(void)
{
    return dropped_sectors;
}

int64_t disk_torn(void)
{
    return torn_sectors;
}

static uint64_t chance(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1du >> 16;
}

/* ---- bytes ---- */

static void *grown(void *p, int64_t count, int64_t *cap, size_t each)
{
    if (count < *cap)
        return p;
    *cap = *cap ? *cap * 2 : 16;
    while (*cap <= count)
        *cap *= 2;
    void *q = realloc(p, (size_t)*cap * each);
    need(q);
    return q;
}

static void set_size(struct bytes *b, int64_t n)
{
    if (n > b->n) {
        b->p = grown(b->p, n, &b->cap, 1);
        memset(b->p + b->n, 0, (size_t)(n - b->n));
    }
    b->n = n;
}

static void put(struct bytes *b, int64_t at, const void *p, int64_t n)
{
    if (at + n > b->n)
        set_size(b, at + n);
    memcpy(b->p + at, p, (size_t)n);
}

static void *copied(const void *p, int64_t n)
{
    void *q = malloc(n ? (size_t)n : 1);
    need(q);
    if (n)
        memcpy(q, p, (size_t)n);
    return q;
}

static struct bytes same(const struct bytes *b)
{
    return (struct bytes){copied(b->p, b->n), b->n, b->n};
}

/* ---- changes: made by SQLite, or played from a tape ---- */

static struct pending *later(struct file *f)
{
    f->pending = grown(f->pending, f->pending_count, &f->pending_cap, sizeof *f->pending);
    return &f->pending[f->pending_count++];
}

static void file_write(struct file *f, int64_t at, const void *p, int64_t n)
{
    put(&f->seen, at, p, n);
    *later(f) = (struct pending){.at = at, .n = n, .bytes = copied(p, n)};
}

static void file_truncate(struct file *f, int64_t n)
{
    set_size(&f->seen, n);
    *later(f) = (struct pending){.truncates = true, .n = n};
}

static void forget_pending(struct file *f)
{
    for (int64_t i = 0; i < f->pending_count; i++)
        free(f->pending[i].bytes);
    f->pending_count = 0;
}

static void file_sync(struct file *f)
{
    for (int64_t i = 0; i < f->pending_count; i++) {
        const struct pending *p = &f->pending[i];
        if (p->truncates)
            set_size(&f->kept, p->n);
        else
            put(&f->kept, p->at, p->bytes, p->n);
    }
    forget_pending(f);
}

static void see_what_is_kept(struct file *f)
{
    free(f->seen.p);
    f->seen = same(&f->kept);
}

static void folder_sync(struct disk *d)
{
    for (int i = 0; i < d->name_count; i++)
        d->names[i].kept = d->names[i].seen;
    d->naming_count = 0;
}

static struct name *name_of(struct disk *d, const char *path)
{
    const char *end = strrchr(path, '/');
    end = end ? end + 1 : path;
    for (int i = 0; i < d->name_count; i++)
        if (strcmp(d->names[i].text, end) == 0)
            return &d->names[i];
    need(d->name_count < 8 && strlen(end) < sizeof d->names[0].text);
    struct name *n = &d->names[d->name_count++];
    *n = (struct name){.seen = -1, .kept = -1};
    span_copy(span_of(end), n->text, sizeof n->text);
    return n;
}

static void name_file(struct disk *d, struct name *n, int file)
{
    need(d->naming_count < DISK_FILES);
    n->seen = file;
    d->namings[d->naming_count++] = (struct naming){(int)(n - d->names), file};
}

static int make_file(struct disk *d, struct name *n)
{
    need(d->file_count < DISK_FILES);
    d->files[d->file_count] = (struct file){0};
    name_file(d, n, d->file_count);
    return d->file_count++;
}

/* ---- tape ---- */

static struct disk_change *record(struct disk *d, enum change kind, int file)
{
    static struct disk_change nowhere;
    if (!d->recording) {
        nowhere = (struct disk_change){0};
        return &nowhere;
    }
    d->tape = grown(d->tape, d->tape_count, &d->tape_cap, sizeof *d->tape);
    struct disk_change *c = &d->tape[d->tape_count++];
    *c = (struct disk_change){.kind = kind, .call = d->calls, .file = file};
    return c;
}

void disk_record(struct disk *d)
{
    d->recording = true;
}

void disk_mark(struct disk *d, int64_t n)
{
    record(d, CHANGE_MARK, -1)->n = n;
}

const struct disk_change *disk_tape(const struct disk *d, int64_t *out_count)
{
    *out_count = d->tape_count;
    return d->tape;
}

void disk_play(struct disk *to, const struct disk_change *c)
{
    switch (c->kind) {
    case CHANGE_MAKE:
        need(make_file(to, name_of(to, c->name)) == c->file);
        break;
    case CHANGE_REMOVE:
        name_file(to, name_of(to, c->name), -1);
        if (c->folder)
            folder_sync(to);
        break;
    case CHANGE_WRITE:
        file_write(&to->files[c->file], c->at, c->bytes, c->n);
        break;
    case CHANGE_TRUNCATE:
        file_truncate(&to->files[c->file], c->n);
        break;
    case CHANGE_SYNC:
        file_sync(&to->files[c->file]);
        if (c->folder)
            folder_sync(to);
        break;
    case CHANGE_MARK:
        break;
    }
}

int64_t disk_calls(const struct disk *d)
{
    return d->calls;
}

enum disk_call disk_call_kind(const struct disk *d, int64_t call)
{
    need(d->recording && call >= 1 && call <= d->calls);
    return (enum disk_call)d->kinds[call];
}

/* ---- disks ---- */

struct disk *disk_new(void)
{
    struct disk *d = heap_new_of(struct disk);
    d->random = 88172645463325252u;
    return d;
}

void disk_free(struct disk **pd)
{
    struct disk *d = *pd;
    if (!d)
        return;
    for (int i = 0; i < d->file_count; i++) {
        forget_pending(&d->files[i]);
        free(d->files[i].pending);
        free(d->files[i].seen.p);
        free(d->files[i].kept.p);
    }
    for (int64_t i = 0; i < d->tape_count; i++)
        free(d->tape[i].bytes);
    for (size_t i = 0; i < sizeof d->shm / sizeof d->shm[0]; i++)
        free(d->shm[i]);
    free(d->tape);
    free(d->kinds);
    if (used == d)
        used = NULL;
    free(d);
    *pd = NULL;
}

/* A new file with these bytes, which it takes; on the disk. */
static void add_file(struct disk *d, const char *name, struct bytes content)
{
    need(d->file_count < DISK_FILES);
    struct name *n = name_of(d, name);
    n->seen = n->kept = d->file_count;
    d->files[d->file_count++] = (struct file){.seen = content, .kept = same(&content)};
}

struct disk *disk_copy(const struct disk *d)
{
    struct disk *c = disk_new();
    for (int i = 0; i < d->name_count; i++)
        if (d->names[i].seen >= 0)
            add_file(c, d->names[i].text, same(&d->files[d->names[i].seen].seen));
    return c;
}

struct disk *disk_killed(const struct disk *d)
{
    struct disk *c = disk_new();
    memcpy(c->names, d->names, sizeof c->names);
    memcpy(c->namings, d->namings, sizeof c->namings);
    c->name_count = d->name_count;
    c->naming_count = d->naming_count;
    c->file_count = d->file_count;
    for (int i = 0; i < d->file_count; i++) {
        const struct file *from = &d->files[i];
        c->files[i] = (struct file){.seen = same(&from->seen), .kept = same(&from->kept)};
        for (int64_t k = 0; k < from->pending_count; k++) {
            struct pending *p = later(&c->files[i]);
            *p = from->pending[k];
            p->bytes = copied(p->bytes, p->truncates ? 0 : p->n);
        }
    }
    return c;
}

/* ---- power ---- */

struct loss {
    enum disk_mood mood;
    uint64_t random, keep; /* keep: of 8 */
    int64_t left;          /* MOOD_BEGINNING: changes that are kept yet */
};

enum fate { KEPT, DROPPED, TORN };
static enum fate fate_of(struct loss *l)
{
    switch (l->mood) {
    case MOOD_NOTHING:
        return DROPPED;
    case MOOD_ALL:
        return KEPT;
    case MOOD_BEGINNING:
        l->left--;
        return l->left > 0 ? KEPT : l->left == 0 ? TORN : DROPPED;
    case MOOD_CHANCE:
        if (chance(&l->random) % 16 == 0)
            return TORN;
        return chance(&l->random) % 8 < l->keep ? KEPT : DROPPED;
    case MOODS:
        break;
    }
    bug("no such mood");
}

static void garbage(uint8_t *p, int64_t n, uint64_t *random)
{
    for (int64_t i = 0; i < n; i++)
        p[i] = (uint8_t)chance(random);
}

/* The sector was being written: its beginning is new, the rest as it was, or anything at all. What lies
 * beside the bytes written stays (SQLITE_IOCAP_POWERSAFE_OVERWRITE, which SQLite takes for granted). */
static void tear(struct bytes *b, int64_t at, const uint8_t *p, int64_t n, struct loss *l)
{
    int64_t whole = (int64_t)(chance(&l->random) % (uint64_t)n);
    torn_sectors++;
    put(b, at, p, whole);
    if (chance(&l->random) % 2 == 0)
        return;
    if (at + n > b->n)
        set_size(b, at + n);
    garbage(b->p + at + whole, n - whole, &l->random);
}

static void write_sector(struct bytes *b, int64_t at, const uint8_t *p, int64_t n,
                         struct loss *l)
{
    int64_t old = b->n;
    switch (fate_of(l)) {
    case DROPPED:
        dropped_sectors++;
        return;
    case TORN:
        tear(b, at, p, n, l);
        break;
    case KEPT:
        put(b, at, p, n);
        break;
    }
    /* A hole between: nothing, or what lay there before. */
    if (at > old && chance(&l->random) % 4 == 0)
        garbage(b->p + old, at - old, &l->random);
}

static struct bytes lose(const struct file *f, struct loss *l)
{
    struct bytes b = same(&f->kept);
    int64_t pieces = 0;
    for (int64_t i = 0; i < f->pending_count; i++)
        pieces += f->pending[i].n / DISK_SECTOR + 1;
    l->left = (int64_t)(chance(&l->random) % (uint64_t)(pieces + 1));
    for (int64_t i = 0; i < f->pending_count; i++) {
        const struct pending *p = &f->pending[i];
        if (p->truncates) {
            if (fate_of(l) == KEPT)
                set_size(&b, p->n);
            continue;
        }
        for (int64_t done = 0, n; done < p->n; done += n) {
            int64_t to_end = DISK_SECTOR - (p->at + done) % DISK_SECTOR;
            n = p->n - done < to_end ? p->n - done : to_end;
            write_sector(&b, p->at + done, p->bytes + done, n, l);
        }
    }
    return b;
}

/* Of the changes of one name the first ones are there, up to some one. */
static int name_left(const struct disk *d, int name, struct loss *l)
{
    int file = d->names[name].kept;
    for (int i = 0; i < d->naming_count; i++) {
        if (d->namings[i].name != name)
            continue;
        if (l->mood == MOOD_NOTHING || (l->mood != MOOD_ALL && chance(&l->random) % 2))
            break;
        file = d->namings[i].file;
    }
    return file;
}

struct disk *disk_after_power(const struct disk *d, enum disk_mood mood, uint64_t seed)
{
    struct loss l = {.mood = mood, .random = (seed + 1) * 0x9e3779b97f4a7c15u | 1};
    struct disk *after = disk_new();
    l.keep = 1 + chance(&l.random) % 7;
    for (int i = 0; i < d->name_count; i++) {
        int file = name_left(d, i, &l);
        if (file >= 0)
            add_file(after, d->names[i].text, lose(&d->files[file], &l));
    }
    return after;
}

/* ---- faults ---- */

void disk_break(struct disk *d, int64_t call, enum disk_fault fault, int64_t count)
{
    d->break_at = call;
    d->fault = fault;
    d->break_count = count;
}

int64_t disk_broken(const struct disk *d)
{
    return d->broken;
}

void disk_full_while(struct disk *d, int64_t call, const char *ballast, int64_t refusals)
{
    d->full_at = call;
    d->full_count = refusals;
    d->ballast = ballast;
}

void disk_lies(struct disk *d, enum disk_lie lie)
{
    d->lie = lie;
}

/* Every call begins here. */
static enum disk_fault enter(struct disk *d, enum disk_call kind)
{
    d->calls++;
    if (d->recording) {
        d->kinds = grown(d->kinds, d->calls, &d->kinds_cap, 1);
        d->kinds[d->calls] = (uint8_t)kind;
    }
    if (!d->break_at || d->calls < d->break_at || !d->break_count)
        return FAULT_NONE;
    if (d->calls == d->break_at)
        d->break_kind = kind;
    if (kind != d->break_kind)
        return FAULT_NONE;
    d->break_count--;
    d->broken++;
    d->last_errno = d->fault == FAULT_FULL || d->fault == FAULT_SHORT ? ENOSPC : EIO;
    return d->fault;
}

/* ---- the file ---- */

static struct handle *handle_of(sqlite3_file *f)
{
    return (struct handle *)(void *)f;
}

static struct file *file_of(sqlite3_file *f)
{
    return &handle_of(f)->disk->files[handle_of(f)->file];
}

static int on_close(sqlite3_file *f)
{
    (void)f;
    return SQLITE_OK;
}

static int on_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    const struct bytes *b = &file_of(f)->seen;
    if (enter(handle_of(f)->disk, CALL_READ))
        return SQLITE_IOERR_READ;
    int64_t have = b->n > at ? b->n - at : 0;
    if (have > n)
        have = n;
    if (have)
        memcpy(p, b->p + at, (size_t)have);
    if (have == n)
        return SQLITE_OK;
    memset((char *)p + have, 0, (size_t)(n - have));
    return SQLITE_IOERR_SHORT_READ;
}

static bool has_room(struct disk *d, const struct file *f, int64_t end)
{
    struct stat st;
    if (!d->ballast || d->calls < d->full_at || end <= f->seen.n)
        return true;
    if (stat(d->ballast, &st) != 0 || st.st_size == 0 || d->full_count-- <= 0)
        return true;
    d->broken++;
    d->last_errno = ENOSPC;
    return false;
}

static bool changes_nothing(const struct file *f, int64_t at, const void *p, int64_t n)
{
    return at + n <= f->seen.n && memcmp(f->seen.p + at, p, (size_t)n) == 0;
}

static int on_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    struct disk *d = handle_of(f)->disk;
    enum disk_fault fault = enter(d, CALL_WRITE);
    if (fault == FAULT_EIO)
        return SQLITE_IOERR_WRITE;
    if (fault == FAULT_FULL || !has_room(d, file_of(f), at + n))
        return SQLITE_FULL;
    if (fault == FAULT_SHORT)
        n /= 2;
    if (d->lie == LIE_SAME_BYTES && changes_nothing(file_of(f), at, p, n))
        return SQLITE_OK;
    struct disk_change *c = record(d, CHANGE_WRITE, handle_of(f)->file);
    c->at = at;
    c->n = n;
    c->bytes = d->recording ? copied(p, n) : NULL;
    file_write(file_of(f), at, p, n);
    return fault ? SQLITE_FULL : SQLITE_OK;
}

static int on_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    if (enter(handle_of(f)->disk, CALL_TRUNCATE))
        return SQLITE_IOERR_TRUNCATE;
    record(handle_of(f)->disk, CHANGE_TRUNCATE, handle_of(f)->file)->n = size;
    file_truncate(file_of(f), size);
    return SQLITE_OK;
}

/* The first sync of a journal or log that was opened to be made syncs the folder as well. */
static bool syncs_folder(struct handle *h)
{
    const int journal = SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL;
    bool yes = h->flags & SQLITE_OPEN_CREATE && h->flags & journal;
    h->flags &= ~SQLITE_OPEN_CREATE;
    return yes && h->disk->lie != LIE_SYNC_FOLDER;
}

static bool lies(const struct handle *h)
{
    return h->disk->lie == LIE_SYNC ||
           (h->disk->lie == LIE_SYNC_DATABASE && h->flags & SQLITE_OPEN_MAIN_DB);
}

static int on_sync(sqlite3_file *f, int flags)
{
    (void)flags;
    struct handle *h = handle_of(f);
    enum disk_fault fault = enter(h->disk, CALL_SYNC);
    if (fault == FAULT_SYNC_LOST || fault == FAULT_SYNC_GONE)
        forget_pending(file_of(f));
    if (fault == FAULT_SYNC_GONE)
        see_what_is_kept(file_of(f));
    if (fault && fault != FAULT_SYNC_DONE)
        return SQLITE_IOERR_FSYNC;
    if (lies(h))
        return SQLITE_OK;
    bool folder = syncs_folder(h);
    file_sync(file_of(f));
    if (folder)
        folder_sync(h->disk);
    record(h->disk, CHANGE_SYNC, h->file)->folder = folder;
    return fault ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int on_size(sqlite3_file *f, sqlite3_int64 *out)
{
    if (enter(handle_of(f)->disk, CALL_SIZE))
        return SQLITE_IOERR_FSTAT;
    *out = file_of(f)->seen.n;
    return SQLITE_OK;
}

static int on_lock(sqlite3_file *f, int level)
{
    (void)level;
    return enter(handle_of(f)->disk, CALL_LOCK) ? SQLITE_IOERR_LOCK : SQLITE_OK;
}

static int on_unlock(sqlite3_file *f, int level)
{
    (void)level;
    return enter(handle_of(f)->disk, CALL_LOCK) ? SQLITE_IOERR_UNLOCK : SQLITE_OK;
}

static int on_reserved(sqlite3_file *f, int *out)
{
    *out = 0;
    return enter(handle_of(f)->disk, CALL_LOCK) ? SQLITE_IOERR_CHECKRESERVEDLOCK : SQLITE_OK;
}

static int on_control(sqlite3_file *f, int op, void *arg)
{
    (void)f;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int on_sector_size(sqlite3_file *f)
{
    (void)f;
    return 4096;
}

static int on_characteristics(sqlite3_file *f)
{
    (void)f;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int on_shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **out)
{
    struct disk *d = handle_of(f)->disk;
    *out = NULL;
    if (enter(d, CALL_SHM))
        return SQLITE_IOERR_SHMMAP;
    need(region < (int)(sizeof d->shm / sizeof d->shm[0]));
    if (!d->shm[region] && extend)
        d->shm[region] = heap_get((size_t)size);
    *out = d->shm[region];
    return SQLITE_OK;
}

static int on_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    (void)offset;
    (void)n;
    enum disk_fault fault = enter(handle_of(f)->disk, CALL_SHM);
    return fault && flags & SQLITE_SHM_LOCK ? SQLITE_IOERR_SHMLOCK : SQLITE_OK;
}

static void on_shm_barrier(sqlite3_file *f)
{
    (void)f;
}

static int on_shm_unmap(sqlite3_file *f, int delete)
{
    (void)delete;
    struct disk *d = handle_of(f)->disk;
    for (size_t i = 0; i < sizeof d->shm / sizeof d->shm[0]; i++) {
        free(d->shm[i]);
        d->shm[i] = NULL;
    }
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xFileSize = on_size,
    .xLock = on_lock,
    .xUnlock = on_unlock,
    .xCheckReservedLock = on_reserved,
    .xFileControl = on_control,
    .xSectorSize = on_sector_size,
    .xDeviceCharacteristics = on_characteristics,
    .xShmMap = on_shm_map,
    .xShmLock = on_shm_lock,
    .xShmBarrier = on_shm_barrier,
    .xShmUnmap = on_shm_unmap,
};

/* ---- the VFS ---- */

/* The store makes the database file itself, before SQLite opens it. */
static int on_open(sqlite3_vfs *v, const char *path, sqlite3_file *f, int flags, int *out_flags)
{
    (void)v;
    struct handle *h = handle_of(f);
    *h = (struct handle){.disk = used, .flags = flags};
    need(used && path);
    if (enter(used, CALL_OPEN))
        return SQLITE_CANTOPEN;
    struct name *n = name_of(used, path);
    h->file = n->seen;
    if (h->file < 0 && !(flags & (SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_DB)))
        return SQLITE_CANTOPEN;
    if (h->file < 0) {
        h->file = make_file(used, n);
        struct disk_change *c = record(used, CHANGE_MAKE, h->file);
        span_copy(span_of(n->text), c->name, sizeof c->name);
    }
    h->base.pMethods = &methods;
    if (out_flags)
        *out_flags = flags;
    return SQLITE_OK;
}

static int on_delete(sqlite3_vfs *v, const char *path, int sync_folder)
{
    (void)v;
    if (enter(used, CALL_DELETE))
        return SQLITE_IOERR_DELETE;
    struct name *n = name_of(used, path);
    if (n->seen < 0)
        return SQLITE_IOERR_DELETE_NOENT;
    struct disk_change *c = record(used, CHANGE_REMOVE, -1);
    span_copy(span_of(n->text), c->name, sizeof c->name);
    name_file(used, n, -1);
    c->folder = sync_folder && used->lie != LIE_SYNC_FOLDER;
    if (c->folder)
        folder_sync(used);
    return SQLITE_OK;
}

/* As of unix: an empty file is none. */
static int on_access(sqlite3_vfs *v, const char *path, int flags, int *out)
{
    (void)v;
    (void)flags;
    if (enter(used, CALL_ACCESS))
        return SQLITE_IOERR_ACCESS;
    struct name *n = name_of(used, path);
    *out = n->seen >= 0 && used->files[n->seen].seen.n > 0;
    return SQLITE_OK;
}

static int on_full_path(sqlite3_vfs *v, const char *path, int n, char *out)
{
    (void)v;
    span_copy(span_of(path), out, (size_t)n);
    return SQLITE_OK;
}

static int on_random(sqlite3_vfs *v, int n, char *out)
{
    (void)v;
    garbage((uint8_t *)out, n, &used->random);
    return n;
}

static int on_sleep(sqlite3_vfs *v, int us)
{
    (void)v;
    return us;
}

static int on_time(sqlite3_vfs *v, sqlite3_int64 *out)
{
    (void)v;
    *out = 212000000000000;
    return SQLITE_OK;
}

static int on_last_error(sqlite3_vfs *v, int n, char *out)
{
    (void)v;
    (void)n;
    (void)out;
    return used ? used->last_errno : 0;
}

void disk_use(struct disk *d)
{
    static sqlite3_vfs vfs = {
        .iVersion = 2,
        .szOsFile = sizeof(struct handle),
        .mxPathname = 512,
        .zName = "power",
        .xOpen = on_open,
        .xDelete = on_delete,
        .xAccess = on_access,
        .xFullPathname = on_full_path,
        .xRandomness = on_random,
        .xSleep = on_sleep,
        .xCurrentTimeInt64 = on_time,
        .xGetLastError = on_last_error,
    };
    if (!sqlite3_vfs_find("power"))
        need(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK);
    used = d;
}

/* ---- single files ---- */

static struct file *find(const struct disk *d, const char *ending)
{
    for (int i = 0; i < d->name_count; i++)
        if (d->names[i].seen >= 0 && span_ends(span_of(d->names[i].text), span_of(ending)))
            return (struct file *)(uintptr_t)&d->files[d->names[i].seen];
    return NULL;
}

struct span disk_read(const struct disk *d, const char *ending)
{
    const struct file *f = find(d, ending);
    return f ? (struct span){(const char *)f->seen.p, (size_t)f->seen.n} : SPAN_NONE;
}

void disk_cut(struct disk *d, const char *ending, int64_t size)
{
    set_size(&find(d, ending)->seen, size);
    set_size(&find(d, ending)->kept, size);
}

void disk_flip(struct disk *d, const char *ending, int64_t bit)
{
    struct file *f = find(d, ending);
    need(bit / 8 < f->seen.n && bit / 8 < f->kept.n);
    f->seen.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    f->kept.p[bit / 8] = f->seen.p[bit / 8];
}

void disk_fill(struct disk *d, const char *ending, int64_t at, uint64_t seed)
{
    struct file *f = find(d, ending);
    uint64_t random = seed * 2 + 1;
    garbage(f->seen.p + at, f->seen.n - at, &random);
    memcpy(f->kept.p, f->seen.p, (size_t)f->seen.n);
}
