/* files.c - GET /v1/files/SHA256: a file of media. Its bytes came from a site: it is only ever handed out
 * as an attachment, never as something that a browser may show or run in our name. */
#include "api/inside.h"

#include "base/log.h"
#include "store/filed.h"
#include "wire/range.h"

#include <fcntl.h>
#include <unistd.h>

struct part {
    int status;
    int64_t from, count;
};

static struct part part_of(const struct request *r, struct span etag, int64_t bytes)
{
    struct part p = {200, 0, bytes};
    struct span same = request_header(r, "If-Range");
    char tag[80];
    /* The same content always has the same name, so it never has to be asked for again. */
    if (client_has(r, span_copy(etag, tag, sizeof tag)))
        return (struct part){304, 0, bytes};
    if (same.n && !span_eq(same, etag))
        return p;
    switch (range_read(request_header(r, "Range"), bytes, &p.from, &p.count)) {
    case RANGE_ALL:
        break;
    case RANGE_PART:
        p.status = 206;
        break;
    case RANGE_NONE:
        p.status = 416;
        break;
    }
    return p;
}

static void send_file(struct request *r, const struct file_view *v, int fd)
{
    char etag[80], name[120], range[80];
    snprintf(etag, sizeof etag, "\"%s\"", v->hash);
    snprintf(name, sizeof name, "attachment; filename=\"%s.%s\"", v->hash, v->suffix);
    struct part p = part_of(r, span_of(etag), v->bytes);
    snprintf(range, sizeof range, "bytes %lld-%lld/%lld", (long long)p.from,
             (long long)(p.from + p.count - 1), (long long)v->bytes);
    bool part = p.status == 206 || p.status == 416;
    if (p.status == 416)
        snprintf(range, sizeof range, "bytes */%lld", (long long)v->bytes);
    struct answer head = {.status = p.status,
                          .type = v->mime,
                          .headers = {"ETag", etag, "Accept-Ranges", "bytes", "Cache-Control",
                                      "private, max-age=31536000, immutable",
                                      "Content-Disposition", name, "Content-Security-Policy",
                                      "sandbox; default-src 'none'",
                                      "Cross-Origin-Resource-Policy", "same-origin",
                                      part ? "Content-Range" : NULL, range}};
    if (p.status == 416) {
        close(fd);
        request_answer(r, &head);
        return;
    }
    request_answer_file(r, &head, fd, p.from, p.count);
}

static void on_found(struct call *c)
{
    const struct file_view *v = &c->op.out.file;
    char path[FILED_PATH];
    struct filed name;
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    memcpy(name.hash, v->hash, sizeof name.hash);
    span_copy(span_of(v->suffix), name.suffix, sizeof name.suffix);
    int fd = filed_path(c->api->config.files_dir, &name, path)
                 ? open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
                 : -1;
    if (fd < 0) {
        log_error("api.file_missing", F_C("path", path));
        answer_problem(c->request, 404, "not_found", "the file is no longer on the disk");
        return;
    }
    send_file(c->request, v, fd);
}

void files_show(struct api *a, struct request *r, struct span hash)
{
    struct call *c = call_new(a, r, SPAN_NONE);
    c->op.in.file.hash = arena_keep(c->op.arena, hash);
    call_post(c, STORE_FILE, on_found);
}
