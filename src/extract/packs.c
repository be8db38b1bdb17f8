#include "extract/packs.h"

#include "base/need.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { IMAGE_MAX = 64 * 1024 * 1024, VERSIONS_MAX = PACKS_MAX * 128 };

/* ---- files in memory ---- */

static void add_part(struct buf *out, struct span s)
{
    need(s.n <= UINT32_MAX);
    uint32_t n = (uint32_t)s.n;
    char head[4] = {(char)(n & 0xff), (char)(n >> 8 & 0xff), (char)(n >> 16 & 0xff),
                    (char)(n >> 24 & 0xff)};
    buf_add(out, (struct span){head, sizeof head});
    buf_add(out, s);
}

static bool take_part(struct span *rest, struct span *out)
{
    if (rest->n < 4)
        return false;
    const unsigned char *p = (const unsigned char *)rest->p;
    size_t n = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    if (rest->n - 4 < n)
        return false;
    *out = (struct span){rest->p + 4, n};
    *rest = (struct span){rest->p + 4 + n, rest->n - 4 - n};
    return true;
}

void image_add(struct buf *out, struct span path, struct span text)
{
    add_part(out, path);
    add_part(out, text);
}

bool image_next(struct span *rest, struct span *out_path, struct span *out_text)
{
    return take_part(rest, out_path) && take_part(rest, out_text);
}

bool image_find(struct span image, struct span path, struct span *out_text)
{
    struct span at;
    while (image_next(&image, &at, out_text))
        if (span_eq(at, path))
            return true;
    return false;
}

/* ---- sets ---- */

struct packs *packs_new(void)
{
    struct packs *ps = heap_new_of(struct packs);
    ps->holders = 1;
    ps->image_fd = -1;
    ps->versions = BUF(VERSIONS_MAX);
    return ps;
}

void packs_add_version(struct buf *out, const struct pack *p)
{
    buf_add(out, pack_name(p));
    buf_add_char(out, ' ');
    buf_add(out, pack_version(p));
    buf_add_char(out, '\n');
}

void packs_add(struct packs *ps, struct pack *p, const struct pack_places *places)
{
    need(ps->image_fd < 0 && ps->count < PACKS_MAX);
    ps->pack[ps->count] = p;
    struct buf *kept = &ps->instances[ps->count];
    *kept = BUF(PACK_INSTANCES_MAX);
    buf_add(kept, places->instances);
    need(!kept->failed);
    ps->places[ps->count] = *places;
    ps->places[ps->count++].instances = buf_span(kept);
    packs_add_version(&ps->versions, p);
}

static bool write_all(int fd, struct span s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        s = span_cut(s, (size_t)n, s.n);
    }
    return true;
}

err packs_seal(struct packs *ps, struct fault *f)
{
    need(ps->image_fd < 0);
    int fd = memfd_create("packs", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    bool fine = fd >= 0;
    for (size_t i = 0; fine && i < ps->count; i++)
        fine = write_all(fd, pack_image(ps->pack[i]));
    /* Shared by all workers: none may change what the others read. */
    if (fine &&
        !fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)) {
        ps->image_fd = fd;
        return E_OK;
    }
    err e =
        fail(f, E_OS, "the site packs cannot be kept in memory: %s", strerrordesc_np(errno));
    if (fd >= 0)
        close(fd);
    return e;
}

err packs_read_image(int image_fd, struct buf *out, struct fault *f)
{
    *out = BUF(IMAGE_MAX);
    for (off_t at = 0;;) {
        char *room = buf_room(out, 64 * 1024);
        ssize_t n = room ? pread(image_fd, room, 64 * 1024, at) : -1;
        if (room && n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(f, room ? E_OS : E_TOO_BIG, "the site packs in memory cannot be read");
        if (n == 0)
            return E_OK;
        out->n += (size_t)n;
        at += n;
    }
}

struct packs *packs_hold(struct packs *ps)
{
    need(ps->holders > 0);
    ps->holders++;
    return ps;
}

void packs_drop(struct packs **at)
{
    struct packs *ps = *at;
    *at = NULL;
    if (!ps || --ps->holders > 0)
        return;
    for (size_t i = 0; i < ps->count; i++) {
        pack_close(&ps->pack[i]);
        buf_free(&ps->instances[i]);
    }
    if (ps->image_fd >= 0)
        close(ps->image_fd);
    buf_free(&ps->versions);
    free(ps);
}

size_t packs_find(const struct packs *ps, struct span name)
{
    size_t i = 0;
    while (i < ps->count && !span_eq(pack_name(ps->pack[i]), name))
        i++;
    return i < ps->count ? i : PACKS_MAX;
}
