/* media.c - one file of media for a job: known, or fetched and kept.
 *
 * Happy path: the store is asked by URL → not known: what may still be kept is worked out → download
 * into the folder of parts → the store gives the file its name and its row → FRAME_DOWNLOADED.
 *
 * Two jobs that want the same URL do not fetch it twice: the second waits and then asks the store again.
 *
 * Failure modes: everything a download says (net/download.h); no room within the limits or on the disk
 * (E_TOO_BIG, E_DISK_FULL); lease lost (E_STALE); the job ends meanwhile: the part stays, and the slot is
 * not clean before the store has answered. */
#include "pool/inside.h"

#include "base/log.h"
#include "core/metrics.h"
#include "extract/media.h"
#include "net/download.h"
#include "os/clock.h"

enum { URL_MAX = 4096, PART_NAME = 33, MEDIA_ARENA_MAX = 64 * 1024 };

struct media_call {
    struct slot *slot;
    int64_t call;
    const struct media_rule *rule;
    struct buf url;   /* as the record says */
    struct buf names; /* hosts, one behind the other: where a redirect may lead */
    struct span hosts[MEDIA_PLACES_MAX];
    size_t host_count;
    char part[PART_NAME]; /* of the URL */
    struct store_op op;
    bool busy;    /* the operation is at the store */
    bool over;    /* the job has ended */
    bool waiting; /* for another job that fetches the same */
    struct download *download;
    struct download_answer got;
    err limit_class; /* what is said of a file that is too large */
    const char *limit_words;
};

bool slot_wants_media(const struct slot *s)
{
    /* Written by the API, in this one form; a quoted text in it could not look like this. */
    struct span wish = SPAN("\"media\":\"download\"");
    return span_find(s->lease.spec, wish) < s->lease.spec.n;
}

void slot_media_url(const struct slot *s, struct span url, struct buf *out)
{
    struct span base = s->site.media_base, origin = media_origin(url);
    buf_add(out, base.n ? base : origin);
    buf_add(out, span_cut(url, origin.n, url.n));
}

static void ask_store(struct media_call *m);

/* ---- the end ---- */

/* Whoever waits for this URL asks the store again. */
static void wake_others(struct pool *p, const char *part)
{
    for (int i = 0; i < p->config.workers; i++) {
        struct media_call *m = p->slots[i].media;
        if (!m || !m->waiting || strcmp(m->part, part) != 0)
            continue;
        m->waiting = false;
        ask_store(m);
        return;
    }
}

static void end(struct media_call *m)
{
    struct slot *s = m->slot;
    char part[PART_NAME];
    memcpy(part, m->part, sizeof part);
    bool over = m->over;
    s->media = NULL;
    buf_free(&m->url);
    buf_free(&m->names);
    free(m);
    wake_others(s->pool, part);
    if (over)
        slot_advance(s);
}

static void answer(struct slot *s, const struct frame *f)
{
    if (s->state == SLOT_RUNNING || s->state == SLOT_STOPPING)
        slot_tell(s, f);
}

static void failed(struct media_call *m, err e, int status, const char *words)
{
    struct slot *s = m->slot;
    log_debug("media.failed", F_C("job", s->lease.id), F_S("url", buf_span(&m->url)),
              F_X("result", e), F_N("status", status), F_C("why", words));
    metric_add(METRIC_DOWNLOADS, metric_label(METRIC_DOWNLOADS, SPAN("failed")), 1);
    answer(s, &(struct frame){.type = FRAME_DOWNLOADED,
                              .n = {m->call, e, status},
                              .t = {span_cut(span_of(words), 0, 240)}});
    end(m);
}

static void succeeded(struct media_call *m, const struct file_view *v, bool known)
{
    char path[160];
    struct span outcome = known ? SPAN("reused") : SPAN("kept");
    snprintf(path, sizeof path, "files/%.2s/%s.%s", v->hash, v->hash, v->suffix);
    metric_add(METRIC_DOWNLOADS, metric_label(METRIC_DOWNLOADS, outcome), 1);
    answer(m->slot, &(struct frame){.type = FRAME_DOWNLOADED,
                                    .n = {m->call, E_OK, v->status, v->bytes, v->at_ms, known},
                                    .t = {span_of(v->hash), span_of(v->mime), span_of(path)}});
    end(m);
}

/* ---- keeping ---- */

static void post(struct media_call *m, enum store_verb verb,
                 void (*on_done)(struct store_op *op))
{
    m->busy = true;
    m->op.verb = verb;
    m->op.on_done = on_done;
    m->op.ctx = m;
    store_thread_post(m->slot->pool->store, &m->op);
}

static void note_trouble(struct media_call *m, const struct store_op *op)
{
    if (op->result == E_STALE)
        metric_add(METRIC_JOB_STALE, 0, 1);
    else
        log_error("media.not_kept", F_C("job", m->slot->lease.id), F_X("result", op->result),
                  F_C("why", op->fault.words));
}

static void on_put(struct store_op *op)
{
    struct media_call *m = op->ctx;
    m->busy = false;
    slot_progress(m->slot);
    if (op->result) {
        note_trouble(m, op);
        failed(m, op->result, m->got.status, err_text(op->result));
        return;
    }
    struct file_view v = {
        .bytes = m->got.bytes, .at_ms = clock_wall().ms, .status = m->got.status};
    memcpy(v.hash, m->got.hash, sizeof v.hash);
    span_copy(span_of(m->got.type->suffix), v.suffix, sizeof v.suffix);
    span_copy(span_of(m->got.type->mime), v.mime, sizeof v.mime);
    succeeded(m, &v, false);
}

static void on_progress(void *ctx)
{
    struct media_call *m = ctx;
    slot_progress(m->slot);
}

static void on_downloaded(void *ctx, const struct download_answer *a)
{
    struct media_call *m = ctx;
    m->download = NULL;
    m->got = *a;
    slot_progress(m->slot);
    metric_add(METRIC_DOWNLOAD_BYTES, 0, a->fetched);
    slot_meter_request(m->slot, a->fetched);
    if (a->failed == E_TOO_BIG) {
        failed(m, m->limit_class, a->status, m->limit_words);
        return;
    }
    if (a->failed) {
        failed(m, a->failed, a->status, a->words);
        return;
    }
    m->op = (struct store_op){.in.file_put = {.id = span_of(m->slot->lease.id),
                                              .nonce = m->slot->lease.nonce,
                                              .url = buf_span(&m->url),
                                              .part = span_of(m->part),
                                              .hash = span_of(m->got.hash),
                                              .suffix = span_of(a->type->suffix),
                                              .mime = span_of(a->type->mime),
                                              .bytes = a->bytes,
                                              .status = a->status}};
    post(m, STORE_FILE_PUT, on_put);
}

/* ---- fetching ---- */

static bool somebody_fetches(const struct media_call *m)
{
    const struct pool *p = m->slot->pool;
    for (int i = 0; i < p->config.workers; i++) {
        const struct media_call *other = p->slots[i].media;
        if (other && other != m && (other->download || other->busy) &&
            strcmp(other->part, m->part) == 0)
            return true;
    }
    return false;
}

/* The limit that leaves the least, in words. */
static int64_t room_for(struct media_call *m, const struct file_take_reply *r)
{
    const struct pool_media *c = &m->slot->pool->config.media;
    const struct {
        int64_t bytes;
        err class;
        const char *words;
    } limits[] = {
        {m->rule->bytes_max, E_TOO_BIG, "the file is larger than the site pack allows"},
        {c->file_bytes, E_TOO_BIG, "the file is larger than media.file_bytes"},
        {c->job_bytes - r->job_bytes, E_TOO_BIG, "media.job_bytes is used up"},
        {c->total_bytes - r->total_bytes, E_TOO_BIG, "media.total_bytes is used up"},
        {slot_bounds_bytes_left(m->slot), E_TOO_BIG,
         "a budget of the job, such as max_bytes, is used up"},
        {r->room_bytes, E_DISK_FULL, "less than store.disk_floor would be free on the disk"},
    };
    size_t least = 0;
    for (size_t i = 1; i < sizeof limits / sizeof limits[0]; i++)
        if (limits[i].bytes < limits[least].bytes)
            least = i;
    m->limit_class = limits[least].class;
    m->limit_words = limits[least].words;
    return limits[least].bytes;
}

static err begin(struct media_call *m, int64_t bytes_max, struct fault *why)
{
    const struct pool_config *c = &m->slot->pool->config;
    struct buf url = BUF(URL_MAX * 2);
    slot_media_url(m->slot, buf_span(&m->url), &url);
    struct download_request q = {.url = buf_span(&url),
                                 .origin = media_origin(buf_span(&url)),
                                 .hosts = m->hosts,
                                 .host_count = m->host_count,
                                 .folder = span_of(c->media.folder),
                                 .name = span_of(m->part),
                                 .types = m->rule->types,
                                 .type_count = m->rule->type_count,
                                 .bytes_max = bytes_max,
                                 .timeout_ms = c->media.timeout_ms,
                                 .interval_ms = c->media.interval_ms,
                                 .patience_ms = c->stall_ms / 2};
    struct download_face face = {on_progress, on_downloaded, m};
    /* A host that asked to be left alone for long is not asked at all. */
    err e = fetcher_turn_ms(c->fetcher, q.url) > q.patience_ms
                ? fail(why, E_THROTTLED, "the host asked to wait")
                : download_start(&m->download, c->fetcher, m->slot->pool->loop, &q, &face, why);
    buf_free(&url);
    return e;
}

static void on_taken(struct store_op *op)
{
    struct media_call *m = op->ctx;
    struct fault why = {0};
    m->busy = false;
    if (op->result)
        note_trouble(m, op);
    if (op->result || m->over) {
        failed(m, op->result ? op->result : E_CANCELLED, 0, err_text(op->result));
        return;
    }
    if (op->out.file_take.known) {
        slot_progress(m->slot);
        succeeded(m, &op->out.file_take.file, true);
        return;
    }
    if (somebody_fetches(m)) {
        m->waiting = true;
        return;
    }
    int64_t room = room_for(m, &op->out.file_take);
    if (room <= 0) {
        failed(m, m->limit_class, 0, m->limit_words);
        return;
    }
    err e = begin(m, room, &why);
    if (e)
        failed(m, e, 0, why.words);
}

static void ask_store(struct media_call *m)
{
    m->op = (struct store_op){.in.file_take = {.id = span_of(m->slot->lease.id),
                                               .nonce = m->slot->lease.nonce,
                                               .url = buf_span(&m->url)}};
    post(m, STORE_FILE_TAKE, on_taken);
}

/* ---- the call ---- */

/* The rule's hosts for this job's target. */
static void name_hosts(struct media_call *m)
{
    size_t ends[MEDIA_PLACES_MAX] = {0}, at = 0;
    const struct slot *s = m->slot;
    struct span host = pack_target_host(s->site.pack, s->lease.kind, s->lease.target);
    for (size_t i = 0; i < m->rule->place_count; i++) {
        media_host(m->rule->hosts[i], host, &m->names);
        ends[i] = m->names.n;
    }
    for (size_t i = 0; i < m->rule->place_count; at = ends[i++])
        if (ends[i] > at && !m->names.failed)
            m->hosts[m->host_count++] = span_cut(buf_span(&m->names), at, ends[i] - at);
}

static void name_part(struct media_call *m)
{
    struct span url = buf_span(&m->url);
    snprintf(m->part, sizeof m->part, "%016llx%016llx", (unsigned long long)span_hash(url, 1),
             (unsigned long long)span_hash(url, 2));
}

void slot_download(struct slot *s, const struct frame *f)
{
    const struct media_rule *r = pack_media(s->site.pack, f->t[0]);
    const char *words = NULL;
    if (s->media)
        words = "one file at a time";
    else if (!slot_wants_media(s))
        words = "the job did not ask for files of media";
    else if (!r ||
             !media_allows(r, f->t[1],
                           pack_target_host(s->site.pack, s->lease.kind, s->lease.target)))
        words = "the site pack does not name this as media";
    if (words) {
        answer(s, &(struct frame){.type = FRAME_DOWNLOADED,
                                  .n = {f->n[0], E_DENIED},
                                  .t = {span_of(words)}});
        return;
    }
    struct media_call *m = heap_new_of(struct media_call);
    *m = (struct media_call){
        .slot = s, .call = f->n[0], .rule = r, .url = BUF(URL_MAX), .names = BUF(URL_MAX)};
    name_hosts(m);
    buf_add(&m->url, f->t[1]);
    name_part(m);
    s->media = m;
    slot_progress(s);
    ask_store(m);
}

void slot_media_stop(struct slot *s)
{
    struct media_call *m = s->media;
    if (!m)
        return;
    m->over = true;
    m->slot = s;
    download_cancel(&m->download);
    if (!m->busy) {
        m->over = false; /* whoever stops it goes on by itself */
        end(m);
    }
}
