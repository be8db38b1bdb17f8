#include "os/symbols.h"

#include "os/files.h"
#include "os/spawn.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <unistd.h>

enum {
    MAPS_MAX = 1024 * 1024,
    SECTIONS_MAX = 1000,
    SEGMENTS_MAX = 100,
    TABLE_MAX = 64 * 1024 * 1024,
    TABLES_MAX = 2 * TABLE_MAX + 1024 * 1024, /* of one file together */
    NAME_MOST = 200,                          /* of a function that is shown whole */
};

/* A line of /proc/PID/maps: "55d0c0000000-55d0c0100000 r-xp 00002000 fe:01 1234   /usr/bin/fulmar". */
struct mapping {
    uint64_t from, to, offset, inode;
    unsigned major, minor;
    char file[512]; /* empty: none */
};

static bool read_mapping(struct span line, struct mapping *out)
{
    char text[1024], rights[8];
    unsigned long long from, to, offset, inode;
    int path = 0;
    *out = (struct mapping){.from = 0};
    span_copy(line, text, sizeof text);
    if (sscanf(text, "%llx-%llx %7s %llx %x:%x %llu %n", &from, &to, rights, &offset,
               &out->major, &out->minor, &inode, &path) < 7)
        return false;
    out->from = from;
    out->to = to;
    out->offset = offset;
    out->inode = inode;
    if (path && text[path] == '/')
        span_copy(span_of(text + path), out->file, sizeof out->file);
    return out->file[0] != '\0';
}

/* ---- a file ---- */

struct image {
    int fd;
    ElfW(Ehdr) head;
    ElfW(Phdr) * segments;
    ElfW(Shdr) * sections;
};

/* So many bytes from there, in the arena; NULL: they are not there, or too many. */
static void *read_part(int fd, uint64_t from, uint64_t n, struct arena *a)
{
    void *to = n && n <= TABLE_MAX ? arena_try(a, (size_t)n) : NULL;
    return to && pread(fd, to, (size_t)n, (off_t)from) == (ssize_t)n ? to : NULL;
}

static bool read_image(struct image *m, struct arena *a)
{
    const ElfW(Ehdr) *h = &m->head;
    if (pread(m->fd, &m->head, sizeof m->head, 0) != sizeof m->head ||
        memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 ||
        h->e_ident[EI_CLASS] != (sizeof(ElfW(Addr)) == 8 ? ELFCLASS64 : ELFCLASS32) ||
        h->e_shentsize != sizeof *m->sections || h->e_phentsize != sizeof *m->segments ||
        h->e_shnum > SECTIONS_MAX || h->e_phnum > SEGMENTS_MAX)
        return false;
    m->sections = read_part(m->fd, h->e_shoff, h->e_shnum * sizeof *m->sections, a);
    m->segments = read_part(m->fd, h->e_phoff, h->e_phnum * sizeof *m->segments, a);
    return m->sections && m->segments;
}

/* What is at this offset of the file has this address, before the file is moved to where it runs. */
static bool address_of(const struct image *m, uint64_t offset, uint64_t *out)
{
    for (size_t i = 0; i < m->head.e_phnum; i++) {
        const ElfW(Phdr) *p = &m->segments[i];
        if (p->p_type != PT_LOAD || offset < p->p_offset || offset - p->p_offset >= p->p_filesz)
            continue;
        *out = offset - p->p_offset + p->p_vaddr;
        return true;
    }
    return false;
}

/* The table of all functions; of a file without it that of those which others may call. */
static const ElfW(Shdr) * table_of(const struct image *m)
{
    const ElfW(Shdr) *found = NULL;
    for (size_t i = 0; i < m->head.e_shnum; i++) {
        const ElfW(Shdr) *s = &m->sections[i];
        bool table = s->sh_type == SHT_SYMTAB || (s->sh_type == SHT_DYNSYM && !found);
        if (table && s->sh_link < m->head.e_shnum)
            found = s;
    }
    return found;
}

static void look_up(const ElfW(Sym) * all, size_t count, struct span names, uint64_t address,
                    struct symbol *out, struct arena *a)
{
    const ElfW(Sym) *best = NULL;
    for (size_t i = 0; i < count; i++) {
        const ElfW(Sym) *s = &all[i];
        bool here = s->st_shndx != SHN_UNDEF && s->st_value <= address &&
                    address - s->st_value < s->st_size && s->st_name < names.n;
        /* The low bits of st_info are the type, in 32 and in 64 bits. */
        if (here && (s->st_info & 0xf) == STT_FUNC && (!best || s->st_size < best->st_size))
            best = s;
    }
    out->offset = address;
    if (!best)
        return;
    struct span name = span_cut(names, best->st_name, names.n);
    size_t end = span_find_char(name, '\0');
    out->name = arena_text(a, span_cut(name, 0, end < NAME_MOST ? end : NAME_MOST));
    out->offset = address - best->st_value;
    out->size = best->st_size;
}

void symbols_look_into(int fd, uint64_t from, uint64_t to, uint64_t offset,
                       struct symbol *symbols, size_t count, struct arena *a)
{
    /* Tables may be large, and what they leave is not. */
    struct arena *tables = arena_new(TABLES_MAX);
    struct image m = {.fd = fd};
    const ElfW(Shdr) *table = read_image(&m, tables) ? table_of(&m) : NULL;
    const ElfW(Shdr) *strings = table ? &m.sections[table->sh_link] : NULL;
    const ElfW(Sym) *all =
        table ? read_part(fd, table->sh_offset, table->sh_size, tables) : NULL;
    const char *names =
        all ? read_part(fd, strings->sh_offset, strings->sh_size, tables) : NULL;
    for (size_t i = 0; names && i < count; i++) {
        uint64_t address;
        struct symbol *s = &symbols[i];
        if (s->at >= from && s->at < to && address_of(&m, s->at - from + offset, &address))
            look_up(all, table->sh_size / sizeof *all, (struct span){names, strings->sh_size},
                    address, s, a);
    }
    arena_free(&tables);
}

/* ---- which file it is ---- */

/* Where this function of the program itself is mapped from. The numbers of its file are those of the maps: a file system of layers
 * or of volumes may tell others to who asks for the file. */
static bool own_mapping(struct mapping *out)
{
    struct fault f = {0};
    struct buf maps = BUF(MAPS_MAX);
    struct span rest = SPAN_NONE, line;
    uint64_t here = (uintptr_t)own_mapping;
    bool found = false;
    if (!files_read(AT_FDCWD, "/proc/self/maps", MAPS_MAX, &maps, &f))
        rest = buf_span(&maps);
    while (!found && span_next(&rest, '\n', &line))
        found = read_mapping(line, out) && here >= out->from && here < out->to;
    buf_free(&maps);
    return found;
}

/* This very program is read where it was opened: another one may lie under its name by now. */
static int open_mapped(const struct mapping *at, const struct mapping *own, bool *out_ours)
{
    int self = spawn_self_fd();
    *out_ours = own->inode && own->inode == at->inode && own->major == at->major &&
                own->minor == at->minor;
    return *out_ours && self >= 0
               ? fcntl(self, F_DUPFD_CLOEXEC, 0)
               : open(at->file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static void in_mapping(const struct mapping *at, const struct mapping *own,
                       struct symbol *symbols, size_t count, struct arena *a)
{
    size_t touched = 0;
    bool ours = false;
    for (size_t i = 0; i < count; i++)
        touched += symbols[i].at >= at->from && symbols[i].at < at->to;
    if (!touched)
        return;
    const char *file = arena_text(a, span_of(strrchr(at->file, '/') + 1));
    int fd = open_mapped(at, own, &ours);
    for (size_t i = 0; i < count; i++) {
        if (symbols[i].at < at->from || symbols[i].at >= at->to)
            continue;
        symbols[i].file = file;
        symbols[i].ours = ours;
        symbols[i].offset = symbols[i].at - at->from + at->offset;
    }
    if (fd < 0)
        return;
    symbols_look_into(fd, at->from, at->to, at->offset, symbols, count, a);
    close(fd);
}

void symbols_find(pid_t pid, struct symbol *symbols, size_t count, struct arena *a)
{
    char path[64];
    struct fault f = {0};
    struct buf maps = BUF(MAPS_MAX);
    struct mapping at, own;
    struct span rest, line;
    if (!own_mapping(&own))
        own = (struct mapping){.inode = 0};
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    if (!files_read(AT_FDCWD, path, MAPS_MAX, &maps, &f)) {
        for (rest = buf_span(&maps); span_next(&rest, '\n', &line);)
            if (read_mapping(line, &at))
                in_mapping(&at, &own, symbols, count, a);
    }
    buf_free(&maps);
}
