/* warc.c - a job's evidence as a WARC 1.1 file. */
#include "cli/evidence.h"
#include "cli/gzip.h"

#include "os/clock.h"
#include "os/digest.h"
#include "os/files.h"
#include "os/random.h"
#include "wire/warc.h"

enum { FILE_MAX = 1024 * 1024 * 1024, FIELDS_MAX = 64 * 1024 };

struct writer {
    struct buf file;
    bool gzip; /* each record is a member of its own, as readers of .warc.gz expect */
    unsigned char info[WARC_ID];
};

static err add(struct writer *w, const struct warc_record *r)
{
    struct buf one = BUF(EVIDENCE_PIECE_MAX + FIELDS_MAX);
    struct span text;
    warc_add(w->gzip ? &one : &w->file, r);
    err e = w->gzip ? buf_end(&one, &text) : E_OK;
    if (!e && w->gzip)
        e = gzip_add(&w->file, text);
    buf_free(&one);
    return e ? e : w->file.failed;
}

static err add_info(struct writer *w, const char *job, struct span file)
{
    struct buf fields = BUF(FIELDS_MAX);
    warc_add_field(&fields, "software", SPAN("Fulmar/" FULMAR_VERSION));
    warc_add_field(&fields, "format", SPAN("WARC File Format 1.1"));
    warc_add_field(
        &fields, "conformsTo",
        SPAN("http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/"));
    warc_add_field(
        &fields, "description",
        SPAN("what a job read; bodies as they were decoded, headers from an allow-list, "
             "so resource records and not response records"));
    warc_add_field(&fields, "isPartOf", span_of(job));
    random_bytes(w->info, sizeof w->info);
    struct warc_record r = {.type = WARC_INFO,
                            .file_name = file,
                            .content_type = SPAN("application/warc-fields"),
                            .date = clock_wall(),
                            .block = buf_span(&fields)};
    memcpy(r.id, w->info, sizeof r.id);
    err e = add(w, &r);
    buf_free(&fields);
    return e;
}

static void add_number(struct buf *out, const char *name, int64_t n)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)n);
    warc_add_field(out, name, span_of(text));
}

static err add_metadata(struct writer *w, const char *job, const struct piece *p,
                        const struct warc_record *about)
{
    struct buf fields = BUF(FIELDS_MAX);
    warc_add_field(&fields, "fulmar-job", span_of(job));
    add_number(&fields, "fulmar-artifact", p->n);
    add_number(&fields, "fulmar-attempt", p->attempt);
    warc_add_field(&fields, "fulmar-kind", span_of(evidence_kind_name(p->kind)));
    warc_add_field(&fields, "fulmar-strategy", p->strategy);
    warc_add_field(&fields, "fulmar-name", p->name);
    warc_add_field(&fields, "fulmar-kept-for", p->reason);
    if (p->status)
        add_number(&fields, "http-status", p->status);
    warc_add_field(&fields, "http-headers-kept", p->headers);
    struct warc_record r = {.type = WARC_METADATA,
                            .about = about->id,
                            .info = w->info,
                            .uri = about->uri,
                            .content_type = SPAN("application/warc-fields"),
                            .date = about->date,
                            .block = buf_span(&fields)};
    random_bytes(r.id, sizeof r.id);
    err e = add(w, &r);
    buf_free(&fields);
    return e;
}

/* Pictures were at no address of the web: they get one of their own. */
static struct span uri_of(const struct piece *p, const char *job, char out[200])
{
    if (p->kind == EVIDENCE_RESPONSE && p->url.n)
        return p->url;
    snprintf(out, 200, "urn:fulmar:%s:%s:%lld", job, evidence_kind_name(p->kind),
             (long long)p->n);
    return span_of(out);
}

static err add_piece(struct writer *w, const char *job, const struct piece *p, struct span body)
{
    char urn[200];
    unsigned char digest[DIGEST_BYTES];
    digest_sha256(body, digest);
    struct warc_record r = {.type = WARC_RESOURCE,
                            .info = w->info,
                            .digest = digest,
                            .uri = uri_of(p, job, urn),
                            .content_type =
                                p->type.n ? p->type : SPAN("application/octet-stream"),
                            .date = {p->at_ms},
                            .block = body};
    random_bytes(r.id, sizeof r.id);
    err e = add(w, &r);
    return e ? e : add_metadata(w, job, p, &r);
}

int evidence_warc(struct cli *c, struct service *s, const char *job, const struct pieces *p,
                  const char *file)
{
    struct fault f = {0};
    struct span name = span_of(file), rest;
    struct writer w = {.file = BUF(FILE_MAX), .gzip = span_ends(name, SPAN(".gz"))};
    for (rest = name; span_find_char(rest, '/') < rest.n;)
        rest = span_cut(rest, span_find_char(rest, '/') + 1, rest.n);
    err e = add_info(&w, job, rest);
    int code = EXIT_DONE;
    for (size_t i = 0; !e && !code && i < p->count; i++) {
        struct buf body;
        code = evidence_bytes(s, job, &p->all[i], &body);
        if (code)
            break;
        e = add_piece(&w, job, &p->all[i], buf_span(&body));
        buf_free(&body);
    }
    if (!e && !code)
        e = files_write(file, buf_span(&w.file), &f);
    if (e) {
        cli_say("%s", f.words[0] ? f.words : err_text(e));
        code = e == E_DISK_FULL ? EXIT_IO : EXIT_CANNOT_CREATE;
    }
    if (!code)
        cli_note(c, "%zu artifacts of %s are in %s", p->count, job, file);
    buf_free(&w.file);
    return code;
}
