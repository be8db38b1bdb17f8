#include "main/sites.h"

#include "base/log.h"
#include "core/metrics.h"
#include "core/settle.h"
#include "os/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { NAME_SIZE = 65 };
enum result { RESULT_LOADED, RESULT_REFUSED, RESULT_REMOVED };

struct row {
    char name[NAME_SIZE];
    struct settle settle;
    struct pack *pack; /* in use; NULL: there never was a good one */
    wall loaded;
    char error[sizeof(
        ((struct fault *)0)->words)]; /* of what lies in the folder; empty: it is in use */
};

struct sites {
    int dirfd, memory_fd;
    int64_t pause_ms;
    const struct settings *settings;
    struct packs *packs;
    struct row rows[PACKS_MAX];
    size_t count;
    bool changed;  /* the set is older than the rows */
    bool too_many; /* said so */
};

/* ---- the folder ---- */

static bool is_pack(int dirfd, const char *name)
{
    char path[300];
    int n = snprintf(path, sizeof path, "%s/site.yaml", name);
    return name[0] != '.' && n > 0 && (size_t)n < sizeof path &&
           faccessat(dirfd, path, R_OK, 0) == 0;
}

static struct row *find_row(struct sites *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->rows[i].name, name) == 0)
            return &s->rows[i];
    return NULL;
}

/* A row for each pack that is new there. */
static err add_rows(struct sites *s, struct fault *f)
{
    int copy = openat(s->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *entry;
    if (!folder) {
        if (copy >= 0)
            close(copy);
        return fail(f, E_CONFIG, "the folder of the site packs cannot be read; set site.path");
    }
    while ((entry = readdir(folder))) {
        if (strlen(entry->d_name) >= NAME_SIZE || find_row(s, entry->d_name) ||
            !is_pack(s->dirfd, entry->d_name))
            continue;
        if (s->count < PACKS_MAX) {
            struct row *r = &s->rows[s->count++];
            *r = (struct row){0};
            span_copy(span_of(entry->d_name), r->name, sizeof r->name);
        } else if (!s->too_many) {
            s->too_many = true;
            log_warn("site.too_many", F_C("name", entry->d_name), F_N("most", PACKS_MAX));
        }
    }
    closedir(folder);
    return E_OK;
}

static uint64_t digest_of(const struct sites *s, const struct row *r)
{
    return is_pack(s->dirfd, r->name) ? files_digest(s->dirfd, r->name) : 0;
}

/* ---- one pack ---- */

static void count(enum result result)
{
    metric_add(METRIC_SITE_RELOADS, (int)result, 1);
}

static void take(struct sites *s, struct row *r, struct pack *pack, wall at)
{
    r->error[0] = '\0';
    if (r->pack && span_eq(pack_version(r->pack), pack_version(pack))) {
        pack_close(&pack); /* the files were touched, or a change was taken back */
        return;
    }
    pack_close(&r->pack);
    r->pack = pack;
    r->loaded = at;
    s->changed = true;
    count(RESULT_LOADED);
    log_info("site.loaded", F_C("name", r->name), F_S("version", pack_version(pack)));
}

static void refuse(struct row *r, const struct fault *why)
{
    span_copy(span_of(why->words), r->error, sizeof r->error);
    count(RESULT_REFUSED);
    log_error("site.refused", F_C("name", r->name), F_C("why", why->words),
              F_S("in_use", r->pack ? pack_version(r->pack) : SPAN("none")));
}

static void read_row(struct sites *s, struct row *r, uint64_t digest, mono now, wall at)
{
    struct fault why = {0};
    struct pack *pack = NULL;
    err e = pack_open(&pack, s->dirfd, r->name, &why);
    uint64_t after = digest_of(s, r);
    if (after != digest) { /* written while it was read: not a whole one */
        pack_close(&pack);
        (void)settle_look(&r->settle, after, now, s->pause_ms, false);
        return;
    }
    settle_read(&r->settle, digest);
    if (e)
        refuse(r, &why);
    else
        take(s, r, pack, at);
}

static void remove_row(struct sites *s, size_t at)
{
    struct row *r = &s->rows[at];
    s->changed = s->changed || r->pack;
    if (r->pack) {
        count(RESULT_REMOVED);
        log_warn("site.removed", F_C("name", r->name), F_S("version", pack_version(r->pack)));
    }
    pack_close(&r->pack);
    s->rows[at] = s->rows[--s->count];
    s->too_many = false;
}

/* ---- the set ---- */

/* "x=http://127.0.0.1:8471" among the words of site.base_url or site.media_base. */
static struct span base_of(struct span rest, struct span name)
{
    struct span word;
    while (span_next(&rest, ' ', &word)) {
        size_t at = span_find_char(word, '=');
        if (at < word.n && span_eq(span_cut(word, 0, at), name))
            return span_cut(word, at + 1, word.n);
    }
    return SPAN_NONE;
}

/* Losing it costs no more than a start that is refused while a pack is broken. */
static void remember(const struct sites *s)
{
    bool fine = ftruncate(s->memory_fd, 0) == 0;
    off_t at = 0;
    for (size_t i = 0; fine && i < s->packs->count; i++) {
        struct span image = pack_image(s->packs->pack[i]);
        fine = pwrite(s->memory_fd, image.p, image.n, at) == (ssize_t)image.n;
        at += (off_t)image.n;
    }
    if (!fine)
        log_warn("site.not_remembered", F_N("errno", errno));
}

/* A pack's own instances belong to its own base URL. */
static err add_pack(struct packs *set, struct pack *pack, const struct settings *s,
                    struct fault *f)
{
    struct span name = pack_name(pack);
    struct buf instances = BUF(PACK_INSTANCES_MAX);
    struct pack_places places = {.base_url = base_of(SETTING_S(s, site, base_url), name),
                                 .media_base = base_of(SETTING_S(s, site, media_base), name)};
    struct span own = places.base_url.n ? SPAN_NONE : pack_instances(pack);
    buf_add(&instances, SETTING_S(s, site, instance));
    if (instances.n && own.n)
        buf_add_char(&instances, ' ');
    buf_add(&instances, own);
    bool fits = !instances.failed;
    places.instances = buf_span(&instances);
    if (fits)
        packs_add(set, pack_hold(pack), &places);
    buf_free(&instances);
    return fits ? E_OK : fail(f, E_CONFIG, "site.instance is too long");
}

static err make_set(struct sites *s, struct fault *f)
{
    struct packs *set = packs_new();
    err e = E_OK;
    for (size_t i = 0; !e && i < s->count; i++)
        if (s->rows[i].pack)
            e = add_pack(set, s->rows[i].pack, s->settings, f);
    if (!e)
        e = packs_seal(set, f);
    if (e) {
        packs_drop(&set);
        return e;
    }
    packs_drop(&s->packs);
    s->packs = set;
    s->changed = false;
    remember(s);
    return E_OK;
}

/* ---- the face ---- */

/* At the start: as the folder has it, or else as the memory has it. */
static err open_row(struct sites *s, struct row *r, struct span memory, wall now,
                    struct fault *f)
{
    struct fault why = {0}, none = {0};
    struct pack *pack = NULL;
    uint64_t digest = digest_of(s, r);
    err e = pack_open(&pack, s->dirfd, r->name, &why);
    settle_read(&r->settle, digest);
    if (!e) {
        take(s, r, pack, now);
        return E_OK;
    }
    if (pack_open_image(&pack, memory, r->name, &none))
        return fail(f, e == E_OS || e == E_NO_MEMORY ? e : E_CONFIG, "%s", why.words);
    take(s, r, pack, now);
    refuse(r, &why);
    return E_OK;
}

err sites_open(struct sites **out, int sites_dirfd, int memory_fd,
               const struct settings *settings, wall now, struct fault *f)
{
    struct sites *s = heap_new_of(struct sites);
    struct buf memory;
    *s = (struct sites){.dirfd = sites_dirfd,
                        .memory_fd = memory_fd,
                        .pause_ms = SETTING(settings, site, reload),
                        .settings = settings};
    err e = packs_read_image(memory_fd, &memory, f);
    if (!e)
        e = add_rows(s, f);
    for (size_t i = 0; !e && i < s->count; i++)
        e = open_row(s, &s->rows[i], buf_span(&memory), now, f);
    buf_free(&memory);
    if (!e && s->count == 0)
        e = fail(f, E_CONFIG,
                 "no site pack found; set site.path to the folder that holds x/site.yaml");
    if (!e)
        e = make_set(s, f);
    if (e)
        sites_close(&s);
    else
        *out = s;
    return e;
}

bool sites_look(struct sites *s, bool force, mono now, wall at)
{
    struct fault f = {0};
    if (add_rows(s, &f)) {
        log_warn("site.folder", F_C("why", f.words));
        return false;
    }
    for (size_t i = s->count; i-- > 0;) {
        struct row *r = &s->rows[i];
        uint64_t digest = digest_of(s, r);
        if (!settle_look(&r->settle, digest, now, s->pause_ms, force))
            continue;
        if (digest)
            read_row(s, r, digest, now, at);
        else
            remove_row(s, i);
    }
    if (!s->changed)
        return false;
    err e = make_set(s, &f);
    if (e) /* tried again at the next look; what was in use stays so */
        log_error("site.set_failed", F_X("result", e), F_C("why", f.words));
    return !e;
}

struct packs *sites_packs(const struct sites *s)
{
    return s->packs;
}

size_t sites_view(const struct sites *s, struct api_site *out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < s->count && n < max; i++) {
        const struct row *r = &s->rows[i];
        if (!r->pack && !r->error[0]) /* it came just now and has not rested yet */
            continue;
        out[n++] = (struct api_site){.name = r->name,
                                     .pack = r->pack,
                                     .loaded = r->loaded,
                                     .error = r->error[0] ? r->error : NULL};
    }
    return n;
}

void sites_close(struct sites **at)
{
    struct sites *s = *at;
    *at = NULL;
    if (!s)
        return;
    packs_drop(&s->packs);
    for (size_t i = 0; i < s->count; i++)
        pack_close(&s->rows[i].pack);
    free(s);
}
