#include "cli/files.h"

#include "os/digest.h"
#include "os/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_SIZE = 160, PATH_SIZE = 4096, STALL_MS = 60 * 1000 };

struct media_file {
    struct media_file *next;
    int64_t bytes;
    char hash[DIGEST_TEXT], name[NAME_SIZE];
};

struct media_files {
    struct arena *arena;
    const char *folder;
    struct media_file *first, **last;
    int64_t count;
};

struct media_files *media_files_new(struct arena *a, const char *folder)
{
    struct media_files *m = arena_new_of(a, struct media_files);
    m->arena = a;
    m->folder = arena_fmt(a, "%s/media", folder);
    m->last = &m->first;
    return m;
}

int64_t media_files_count(const struct media_files *m)
{
    return m->count;
}

/* Letters, digits and a few signs of the id: what any file system takes as a name. */
static void name_file(struct media_file *f, struct span post, int number, struct span path)
{
    size_t n = 0, dot = path.n;
    while (dot > 0 && path.p[dot - 1] != '.' && path.p[dot - 1] != '/')
        dot--;
    for (size_t i = 0; i < post.n && n < NAME_SIZE - 32; i++) {
        char c = post.p[i];
        bool fine = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        f->name[n++] = fine ? c : '_';
    }
    snprintf(f->name + n, NAME_SIZE - n, "-%d.%.*s", number,
             (int)(path.n - dot > 8 ? 8 : path.n - dot), path.p + dot);
}

static void note(struct media_files *m, struct span post, int number, struct json file)
{
    struct span hash, path;
    int64_t bytes = 0;
    if (!json_text(json_get(file, SPAN("sha256")), &hash) || !digest_is_text(hash) ||
        !json_text(json_get(file, SPAN("path")), &path) ||
        !json_int(json_get(file, SPAN("bytes")), &bytes))
        return;
    struct media_file *f = arena_try(m->arena, sizeof *f);
    if (!f)
        return;
    f->bytes = bytes;
    span_copy(hash, f->hash, sizeof f->hash);
    name_file(f, post, number, path);
    *m->last = f;
    m->last = &f->next;
    m->count++;
}

void media_files_note(struct media_files *m, struct json_parser *parser, struct span record)
{
    struct json root;
    struct span id = SPAN("post");
    int number = 0;
    if (json_parse(parser, record, &root, NULL))
        return;
    (void)json_text(json_get(root, SPAN("id")), &id);
    for (struct json_iter i = json_each(json_get(root, SPAN("media"))); json_next(&i);)
        note(m, id, ++number, json_get(i.value, SPAN("file")));
}

/* ---- saving ---- */

struct saving {
    int fd;
    bool broken; /* the file cannot be written; errno of it */
    int error;
    bool (*on_tick)(void *ctx);
    void *ctx;
};

static bool on_bytes(void *ctx, struct span bytes)
{
    struct saving *s = ctx;
    while (bytes.n) {
        ssize_t n = write(s->fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            s->broken = true;
            s->error = errno;
            return false;
        }
        bytes = span_cut(bytes, (size_t)n, bytes.n);
    }
    return true;
}

static bool on_wait(void *ctx)
{
    struct saving *s = ctx;
    return s->on_tick(s->ctx);
}

static err fetch(struct client *c, const struct media_file *file, struct saving *s,
                 struct fault *f)
{
    char path[100];
    struct client_answer answer = {0};
    snprintf(path, sizeof path, "/v1/files/%s", file->hash);
    struct client_request q = {.method = "GET",
                               .path = path,
                               .stall_ms = STALL_MS,
                               .on_bytes = on_bytes,
                               .on_tick = on_wait,
                               .ctx = s};
    err e = client_send(c, &q, &answer, s->broken ? NULL : f);
    if (!e && answer.status != 200)
        e = fail(f, E_NOT_FOUND, "the service no longer has the file %s (status %d)",
                 file->name, answer.status);
    buf_free(&answer.body);
    return e;
}

static err save(const struct media_files *m, struct client *c, const struct media_file *file,
                struct saving *s, struct fault *f)
{
    char path[PATH_SIZE], part[PATH_SIZE + 8];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s/%s", m->folder, file->name);
    if (n < 0 || n >= PATH_SIZE)
        return fail(f, E_BAD_INPUT, "the name of the folder is too long");
    if (stat(path, &st) == 0 && st.st_size == file->bytes)
        return E_OK;
    snprintf(part, sizeof part, "%s.part", path);
    s->fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (s->fd < 0)
        return files_fault(f, "create", part);
    err e = fetch(c, file, s, f);
    close(s->fd);
    if (s->broken) {
        errno = s->error;
        *f = (struct fault){0};
        e = files_fault(f, "write", part);
    }
    if (!e && rename(part, path))
        e = files_fault(f, "create", path);
    if (e)
        (void)unlink(part);
    return e;
}

err media_files_save(struct media_files *m, struct client *c, bool (*on_tick)(void *ctx),
                     void *ctx, struct fault *f)
{
    struct saving s = {.on_tick = on_tick, .ctx = ctx};
    err e = m->count ? files_make_folder(m->folder, 0777, f) : E_OK;
    for (const struct media_file *file = m->first; file && !e; file = file->next)
        e = save(m, c, file, &s, f);
    return e;
}
