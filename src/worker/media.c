/* media.c - the files of a record's media: asked for one after the other, said in the record. */
#include "worker/inside.h"

#include "extract/media.h"
#include "net/robots.h"
#include "os/clock.h"
#include "os/faults.h"

enum { FILES_MAX = 16, RECORD_MAX = 4 * 1024 * 1024, URL_MAX = 4096 };

struct file { /* of one media of a record */
    enum failure_class failure;
    struct span why, kind, url, hash, mime, path;
    int status;
    int64_t bytes, at_ms;
    struct span urls[MEDIA_URLS_MAX];
    size_t url_count;
};

static enum failure_class class_of(err e)
{
    switch ((int)e) {
    case E_NOT_FOUND:
        return FAILURE_NOT_FOUND;
    case E_DENIED:
        return FAILURE_BLOCKED;
    case E_THROTTLED:
        return FAILURE_RATE_LIMITED;
    case E_SHAPE:
        return FAILURE_DRIFT;
    case E_TOO_BIG:
    case E_DISK_FULL:
    case E_STORE:
    case E_END:
        return FAILURE_RESOURCE;
    case E_TIMEOUT:
        return FAILURE_TIMEOUT;
    case E_NET:
        return FAILURE_NETWORK;
    case E_BAD_INPUT:
        return FAILURE_BAD_INPUT;
    default:
        return FAILURE_INTERNAL;
    }
}

static void refuse(struct file *f, enum failure_class failure, const char *why)
{
    f->failure = failure;
    f->why = span_of(why);
}

/* ---- robots.txt ---- */

/* RFC 9309, as for pages (fetch.c): no file, no wishes; one that cannot be had closes the host. */
static struct media_host *host_of(struct collection *c, struct span origin)
{
    struct media_work *m = &c->media;
    struct span body = SPAN_NONE;
    int status = 0;
    for (size_t i = 0; i < m->host_count; i++)
        if (span_eq(m->hosts[i].origin, origin))
            return &m->hosts[i];
    if (m->host_count == MEDIA_HOSTS_MAX)
        return NULL;
    struct span url = span_of(arena_fmt(c->arena, "%.*s/robots.txt", SP(origin)));
    err e = page_media_robots(&c->page, url, c->order->fetch_ms, &status, &body);
    if (c->page.told)
        return NULL;
    struct media_host *h = &m->hosts[m->host_count++];
    h->origin = arena_keep(c->arena, origin);
    if (e || status >= 500 || status == 429)
        h->closed = e ? class_of(e) : FAILURE_NETWORK;
    else if (status >= 200 && status < 300)
        h->robots = arena_keep(c->arena, body);
    return h;
}

static bool robots_agree(struct collection *c, struct span url, struct file *f)
{
    struct span origin = media_origin(url);
    const struct media_host *h = host_of(c, origin);
    if (!h)
        refuse(f, FAILURE_INTERNAL, "the record names too many hosts");
    else if (h->closed)
        refuse(f, h->closed,
               "robots.txt of the host cannot be read at the moment, so nothing is asked");
    else if (!robots_allow(h->robots, SPAN("Fulmar"), span_cut(url, origin.n, url.n)))
        refuse(f, FAILURE_BLOCKED, "robots.txt of the host asks robots not to fetch this");
    return f->failure == FAILURE_NONE;
}

/* ---- one file ---- */

/* Another form of the same media may do better; a host in trouble is not asked for more. */
static bool next_may_help(err e)
{
    return e == E_NOT_FOUND || e == E_DENIED || e == E_SHAPE || e == E_TOO_BIG;
}

static void keep_file(struct collection *c, const struct page_file *got, struct span url,
                      struct file *f)
{
    struct arena *a = c->page.page_arena;
    f->failure = FAILURE_NONE;
    f->url = url;
    f->hash = arena_keep(a, got->hash);
    f->mime = arena_keep(a, got->mime);
    f->path = arena_keep(a, got->path);
    f->status = got->status;
    f->bytes = got->bytes;
    f->at_ms = got->at_ms;
    c->media.files++;
    c->media.reused += got->known;
    c->media.bytes += got->bytes;
}

/* The first try's failure is the one that is told: what came after was only second best. */
static void fetch_file(struct collection *c, struct file *f)
{
    struct file first = *f;
    for (size_t i = 0; i < f->url_count && !c->page.told; i++) {
        struct page_file got;
        struct file now = *f;
        if (!robots_agree(c, f->urls[i], &now)) {
            *f = i ? first : now;
            return;
        }
        fault_point("worker.download");
        err e = page_download(&c->page, f->kind, f->urls[i], &got);
        if (c->page.told)
            return;
        if (!e) {
            keep_file(c, &got, f->urls[i], f);
            return;
        }
        if (i == 0) {
            first.failure = class_of(e);
            first.why = arena_keep(c->page.page_arena, got.words);
            first.status = got.status;
        }
        if (!next_may_help(e))
            break;
    }
    *f = first;
}

/* ---- the record ---- */

static struct json media_of(struct collection *c, struct span record)
{
    struct json root;
    if (json_parse(c->page.events, record, &root, NULL))
        return JSON_MISSING;
    return json_get(root, SPAN("media"));
}

static void read_media(struct collection *c, struct json media, struct file *f)
{
    bool available = true;
    *f = (struct file){0};
    (void)json_text(json_get(media, SPAN("type")), &f->kind);
    (void)json_bool(json_get(media, SPAN("available")), &available);
    f->kind = arena_keep(c->page.page_arena, f->kind);
    const struct media_rule *r = pack_media(c->page.pack, f->kind);
    if (!available) {
        refuse(f, FAILURE_NOT_FOUND, "the site says that it is not available");
        return;
    }
    f->url_count = r ? media_urls(r, media, c->plan.host, c->page.page_arena, f->urls) : 0;
    if (!f->url_count)
        refuse(f, FAILURE_BAD_INPUT,
               r ? "the record names no file that may be fetched"
                 : "the site pack fetches no files of this kind");
}

static void put_file(struct json_w *w, const struct file *f)
{
    char when[WHEN_TEXT];
    json_key(w, "file");
    json_open(w);
    json_kv_text(w, "path", f->path);
    json_kv_text(w, "sha256", f->hash);
    json_kv_int(w, "bytes", f->bytes);
    json_kv_text(w, "mime", f->mime);
    json_kv_text(w, "url", f->url);
    json_kv_cstr(w, "downloaded_at", when_text((wall){f->at_ms}, when));
    json_kv_int(w, "http_status", f->status);
    json_close(w);
}

static void put_error(struct json_w *w, const struct file *f)
{
    json_key(w, "file_error");
    json_open(w);
    json_kv_cstr(w, "class", failure_name(f->failure));
    json_kv_text(w, "why", f->why.p ? f->why : SPAN(""));
    if (f->status)
        json_kv_int(w, "http_status", f->status);
    else
        json_kv_null(w, "http_status");
    json_close(w);
}

static void put_raw(struct json_w *w, struct json v)
{
    struct buf raw = BUF(RECORD_MAX);
    json_add_raw(&raw, v);
    json_put_raw(w, buf_span(&raw));
    buf_free(&raw);
}

static void put_media(struct json_w *w, struct json list, const struct file *files,
                      size_t count)
{
    size_t n = 0;
    json_open_array(w);
    for (struct json_iter i = json_each(list); json_next(&i); n++) {
        json_open(w);
        for (struct json_iter k = json_each(i.value); json_next(&k);) {
            json_key_span(w, k.key);
            put_raw(w, k.value);
        }
        if (n < count && files[n].failure == FAILURE_NONE)
            put_file(w, &files[n]);
        else if (n < count)
            put_error(w, &files[n]);
        json_close(w);
    }
    json_close_array(w);
}

/* The record once more, with what became of the files. */
static struct span with_files(struct collection *c, struct span record,
                              const struct file *files, size_t count)
{
    struct json root;
    struct buf out = BUF(RECORD_MAX);
    struct span text = record;
    if (json_parse(c->page.events, record, &root, NULL))
        return record;
    struct json_w w = json_w(&out);
    json_open(&w);
    for (struct json_iter i = json_each(root); json_next(&i);) {
        json_key_span(&w, i.key);
        if (span_is(i.key, "media"))
            put_media(&w, i.value, files, count);
        else
            put_raw(&w, i.value);
    }
    json_close(&w);
    if (!buf_end(&out, &text))
        text = arena_keep(c->page.page_arena, text);
    buf_free(&out);
    return text.p ? text : record;
}

struct span media_fetch(struct collection *c, struct span record)
{
    struct file files[FILES_MAX];
    size_t count = 0;
    struct json list = media_of(c, record);
    /* All are read before the first is asked for: events of the page use the same parser. */
    for (struct json_iter i = json_each(list); json_next(&i) && count < FILES_MAX;)
        read_media(c, i.value, &files[count++]);
    if (!count || c->page.told)
        return record;
    page_step(&c->page, "media");
    for (size_t i = 0; i < count && !c->page.told; i++) {
        if (files[i].url_count)
            fetch_file(c, &files[i]);
        c->media.failed += files[i].failure != FAILURE_NONE;
    }
    return c->page.told ? record : with_files(c, record, files, count);
}

void media_report(const struct collection *c, struct json_w *w)
{
    const struct media_work *m = &c->media;
    if (!m->wanted)
        return;
    json_kv_int(w, "files", m->files);
    json_kv_int(w, "files_failed", m->failed);
    json_kv_int(w, "files_reused", m->reused);
    json_kv_int(w, "file_bytes", m->bytes);
    json_key(w, "warnings");
    json_open_array(w);
    if (m->failed)
        json_put_text(
            w, span_of(arena_fmt(c->arena,
                                 "%lld of %lld media files are missing; each says "
                                 "why in file_error",
                                 (long long)m->failed, (long long)(m->failed + m->files))));
    json_close_array(w);
}
