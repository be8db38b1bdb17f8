#include "net/download.h"

#include "base/need.h"
#include "os/clock.h"
#include "os/faults.h"
#include "os/files.h"
#include "wire/range.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PATH_SIZE = 512,
    SUM_STEP = 256 * 1024, /* about a millisecond of the loop */
    TAG_MAX = 8 * 1024,
    GO_ON_MAX = 4, /* times that a cut file is gone on with */
    /* of an answer that is no file: read, so that its connection can be kept */
    OTHER_MAX = 256 * 1024,
    FLUSH_BYTES = 4 * 1024 * 1024,
};

struct download {
    struct fetcher *fetcher;
    struct download_request q; /* its texts are below */
    struct download_face face;
    struct buf texts;
    char part[PATH_SIZE], tag_path[PATH_SIZE + 8];
    int fd;
    struct timer *turn; /* sums up what is there, then asks */
    struct fetch *fetch;
    struct fetch_sink sink;
    mono deadline;
    /* the file so far */
    int64_t have, flushed;
    struct digest sum;
    char front[FILETYPE_HEAD];
    const struct filetype *type;
    char etag[256]; /* strong; empty: it cannot be gone on with */
    /* this answer */
    bool judged, taken; /* taken: its bytes are the file's */
    int64_t other, total, began_at;
    bool again; /* once more without a range */
    bool ready; /* nothing was missing */
    /* all of them */
    int status, rounds;
    bool waited;
    int64_t fetched;
    err failed;
    char words[200];
};

static void ask(struct download *d);

/* ---- the part ---- */

static err note(struct download *d, err e, const char *words)
{
    if (!d->failed) {
        d->failed = e;
        span_copy(span_of(words), d->words, sizeof d->words);
    }
    return e;
}

static err note_disk(struct download *d, const char *doing)
{
    struct fault f = {0};
    err e = files_fault(&f, doing, "a file of media");
    return note(d, e == E_DISK_FULL ? e : E_OS, f.words);
}

static void start_over(struct download *d)
{
    d->have = d->flushed = 0;
    d->etag[0] = '\0';
    d->type = NULL;
    digest_init(&d->sum);
    if (ftruncate(d->fd, 0))
        note_disk(d, "write");
}

/* URL, ETag and type, a line each. */
static void read_tag(struct download *d)
{
    struct buf text = BUF(TAG_MAX);
    struct span rest, url, etag, mime;
    struct stat st;
    bool fits = files_read(AT_FDCWD, d->tag_path, TAG_MAX, &text, NULL) == E_OK;
    rest = buf_span(&text);
    fits = fits && span_next(&rest, '\n', &url) && span_next(&rest, '\n', &etag) &&
           span_next(&rest, '\n', &mime) && span_eq(url, d->q.url) && etag.n &&
           etag.n < sizeof d->etag;
    if (fits && fstat(d->fd, &st) == 0) {
        d->have = st.st_size; /* summed up by on_turn() */
        d->type = filetype_find(mime);
        span_copy(etag, d->etag, sizeof d->etag);
    }
    buf_free(&text);
    if (!d->type || d->have == 0 || d->have > d->q.bytes_max)
        start_over(d);
}

/* Best effort: without it the next try starts over. */
static void write_tag(struct download *d)
{
    struct buf text = BUF(TAG_MAX);
    struct span all;
    buf_fmt(&text, "%.*s\n%s\n%s\n", SP(d->q.url), d->etag, d->type->mime);
    if (d->etag[0] && !buf_end(&text, &all)) {
        int fd = open(d->tag_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, all.p, all.n) != (ssize_t)all.n)
            d->etag[0] = '\0';
        if (fd >= 0)
            close(fd);
    }
    buf_free(&text);
    if (!d->etag[0])
        (void)unlink(d->tag_path);
}

static err open_part(struct download *d, struct fault *f)
{
    char folder[PATH_SIZE];
    if (d->q.folder.n + d->q.name.n + 2 >= PATH_SIZE)
        return fail(f, E_BAD_INPUT, "the name of the state folder is too long for files");
    err e = files_make_folder(span_copy(d->q.folder, folder, sizeof folder), 0700, f);
    if (e)
        return e;
    snprintf(d->part, sizeof d->part, "%.*s/%.*s", SP(d->q.folder), SP(d->q.name));
    snprintf(d->tag_path, sizeof d->tag_path, "%s.tag", d->part);
    d->fd = open(d->part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    return d->fd < 0 ? files_fault(f, "create", d->part) : E_OK;
}

/* ---- bytes ---- */

static void add_to_sum(struct download *d, int64_t at, struct span bytes)
{
    if (at < FILETYPE_HEAD) {
        size_t room = (size_t)(FILETYPE_HEAD - at);
        memcpy(d->front + at, bytes.p, bytes.n < room ? bytes.n : room);
    }
    digest_add(&d->sum, bytes);
}

/* The kernel begins to write early, so that little is left to wait for at the end. */
static void flush_early(struct download *d)
{
    if (d->have - d->flushed < FLUSH_BYTES)
        return;
    (void)sync_file_range(d->fd, d->flushed, d->have - d->flushed, SYNC_FILE_RANGE_WRITE);
    d->flushed = d->have;
}

static err keep(struct download *d, struct span bytes)
{
    int64_t before = d->have;
    if (d->have + (int64_t)bytes.n > d->q.bytes_max)
        return note(d, E_TOO_BIG, "the file is larger than it may be");
    for (struct span rest = bytes; rest.n;) {
        ssize_t n = pwrite(d->fd, rest.p, rest.n, d->have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return note_disk(d, "write");
        d->have += n;
        rest = span_cut(rest, (size_t)n, rest.n);
    }
    add_to_sum(d, before, bytes);
    if (before < FILETYPE_HEAD && d->have >= FILETYPE_HEAD &&
        !filetype_fits(d->type, (struct span){d->front, FILETYPE_HEAD}))
        return note(d, E_SHAPE, "the file does not begin like one of its type");
    flush_early(d);
    return E_OK;
}

/* ---- the answer ---- */

static bool type_taken(const struct download *d, struct span mime)
{
    struct span name = span_trim(span_cut(mime, 0, span_find_char(mime, ';')));
    for (size_t i = 0; i < d->q.type_count; i++)
        if (span_eq_nocase(name, d->q.types[i]))
            return true;
    return false;
}

static err judge_type(struct download *d, struct span head)
{
    struct span mime = fetch_header(head, SPAN("Content-Type"));
    char words[160];
    d->type = type_taken(d, mime) ? filetype_find(mime) : NULL;
    if (d->type)
        return E_OK;
    snprintf(words, sizeof words, "the answer calls itself '%.*s', which is not taken",
             (int)(mime.n > 60 ? 60 : mime.n), mime.p);
    return note(d, E_SHAPE, words);
}

/* A new file begins: what is known of an earlier one is gone. */
static err begin_file(struct download *d, struct span head)
{
    int64_t length = -1;
    struct span etag = fetch_header(head, SPAN("ETag"));
    start_over(d);
    if (d->failed || judge_type(d, head))
        return d->failed;
    if (span_int(fetch_header(head, SPAN("Content-Length")), &length) && length >= 0)
        d->total = length;
    /* A weak one does not say that the bytes are the same. */
    if (etag.n > 2 && etag.p[0] == '"' && etag.n < sizeof d->etag)
        span_copy(etag, d->etag, sizeof d->etag);
    write_tag(d);
    return E_OK;
}

static err judge(struct download *d, int status, struct span head)
{
    d->judged = true;
    d->status = status;
    d->total = -1;
    enum range_answer says =
        range_judge(status, fetch_header(head, SPAN("Content-Range")), d->have, &d->total);
    d->again = says == RANGE_AGAIN;
    d->taken = says == RANGE_WHOLE || says == RANGE_REST;
    d->ready = says == RANGE_READY;
    if (d->ready) /* it brought the last part, which is empty */
        d->status = 206;
    if (says == RANGE_WHOLE && begin_file(d, head))
        return d->failed;
    d->began_at = d->have;
    if (d->total > d->q.bytes_max)
        return note(d, E_TOO_BIG, "the file is larger than it may be");
    return E_OK;
}

static bool on_bytes(void *ctx, int status, struct span head, struct span bytes)
{
    struct download *d = ctx;
    d->fetched += (int64_t)bytes.n;
    if (!d->judged && judge(d, status, head))
        return false;
    if (!d->taken) {
        d->other += (int64_t)bytes.n;
        return d->other <= OTHER_MAX;
    }
    if (keep(d, bytes))
        return false;
    fault_point("node.download");
    d->face.on_progress(d->face.ctx);
    return true;
}

/* ---- the end ---- */

static void drop(struct download *d)
{
    fetch_cancel(&d->fetch);
    timer_close(&d->turn);
    if (d->fd >= 0)
        close(d->fd);
    buf_free(&d->texts);
    free(d);
}

void download_cancel(struct download **handle)
{
    struct download *d = *handle;
    *handle = NULL;
    if (d)
        drop(d);
}

static bool worth_going_on(const struct download *d)
{
    return d->etag[0] && d->have > 0 &&
           (d->failed == E_NET || d->failed == E_TIMEOUT || d->failed == E_THROTTLED);
}

static void done(struct download *d)
{
    struct download_answer a = {.failed = d->failed,
                                .words = d->words,
                                .status = d->status,
                                .bytes = d->have,
                                .fetched = d->fetched,
                                .type = d->type};
    digest_end(&d->sum, a.hash);
    if (d->failed && !worth_going_on(d)) {
        (void)unlink(d->part);
        (void)unlink(d->tag_path);
    }
    void (*on_done)(void *, const struct download_answer *) = d->face.on_done;
    on_done(d->face.ctx, &a);
    drop(d);
}

static void once_more(struct download *d, const char *words)
{
    if (++d->rounds > GO_ON_MAX) {
        note(d, E_NET, words);
        done(d);
        return;
    }
    ask(d);
}

/* The host asks to wait: its next request waits for its turn by itself. */
static void wait_for_host(struct download *d, int64_t ms)
{
    enum { UNSAID_MS = 5000 };
    int64_t wait_ms = ms > 0 ? ms : UNSAID_MS;
    fetcher_rest(d->fetcher, d->q.url, wait_ms);
    if (d->waited || wait_ms > d->q.patience_ms) {
        note(d, E_THROTTLED, "the host asks to wait");
        done(d);
        return;
    }
    d->waited = true;
    ask(d);
}

static err class_of(int status)
{
    if (status == 404 || status == 410)
        return E_NOT_FOUND;
    if (status == 401 || status == 403 || status == 451)
        return E_DENIED;
    return status >= 500 ? E_NET : E_SHAPE;
}

static void refused(struct download *d, const struct fetch_answer *a)
{
    char words[80];
    if (a->status == 429 || (a->status == 503 && a->retry_after_ms)) {
        wait_for_host(d, a->retry_after_ms);
        return;
    }
    snprintf(words, sizeof words, "the answer was status %d", a->status);
    note(d, class_of(a->status), words);
    done(d);
}

static void whole(struct download *d)
{
    if (d->total >= 0 && d->have != d->total) {
        once_more(d, "the file came in another size than announced");
        return;
    }
    if (d->have < FILETYPE_HEAD)
        note(d, E_SHAPE, "the file is empty");
    done(d);
}

/* The line broke: what came stays, and the rest is asked for as long as each time brings more. */
static void broken(struct download *d, const struct fetch_answer *a)
{
    bool more = d->taken && d->have > d->began_at && d->etag[0];
    if (a->failed == E_NET && more && !mono_past(d->deadline, clock_mono())) {
        once_more(d, "the file was cut in the middle again and again");
        return;
    }
    note(d, a->failed == E_CANCELLED ? E_SHAPE : a->failed, a->words);
    done(d);
}

static void on_fetched(void *ctx, const struct fetch_answer *a)
{
    struct download *d = ctx;
    d->fetch = NULL;
    if (!a->failed && !d->judged) /* an answer without a body */
        (void)judge(d, a->status, a->head);
    if (d->failed) {
        done(d);
    } else if (a->failed) {
        broken(d, a);
    } else if (d->again) {
        start_over(d);
        once_more(d, "the host sends other parts than asked for");
    } else if (d->taken || d->ready) {
        whole(d);
    } else {
        refused(d, a);
    }
}

/* ---- asking ---- */

static void ask(struct download *d)
{
    char range[64], same[300];
    struct fault f = {0};
    int64_t left = mono_left(d->deadline, clock_mono());
    struct fetch_request q = {.url = d->q.url,
                              .timeout_ms = left > 1 ? left : 1,
                              .origin = d->q.origin,
                              .hosts = d->q.hosts,
                              .host_count = d->q.host_count,
                              .interval_ms = d->q.interval_ms,
                              .sink = &d->sink};
    d->judged = d->taken = d->again = d->ready = false;
    d->other = 0;
    d->total = -1;
    d->began_at = d->have;
    if (!d->etag[0] && d->have)
        start_over(d);
    if (d->have) {
        snprintf(range, sizeof range, "Range: bytes=%lld-", (long long)d->have);
        snprintf(same, sizeof same, "If-Range: %s", d->etag);
        q.headers[0] = range;
        q.headers[1] = same;
    }
    err e = fetch_start(&d->fetch, d->fetcher, &q, on_fetched, d, &f);
    if (e) {
        note(d, e == E_DENIED ? E_BAD_INPUT : e, f.words);
        done(d);
    }
}

/* A piece of what is there is summed up; the last time it asks for the rest. */
static void on_turn(void *ctx)
{
    struct download *d = ctx;
    int64_t at = (int64_t)d->sum.bytes;
    if (at < d->have && !d->failed) {
        char *room = heap_get(SUM_STEP);
        int64_t want = d->have - at < SUM_STEP ? d->have - at : SUM_STEP;
        ssize_t n = pread(d->fd, room, (size_t)want, at);
        if (n > 0)
            add_to_sum(d, at, (struct span){room, (size_t)n});
        else
            start_over(d);
        free(room);
        timer_start(d->turn, 0);
        return;
    }
    if (d->failed)
        done(d);
    else
        ask(d);
}

err download_start(struct download **out, struct fetcher *fr, struct loop *l,
                   const struct download_request *q, const struct download_face *face,
                   struct fault *f)
{
    struct download *d = heap_new_of(struct download);
    *d = (struct download){.fetcher = fr, .q = *q, .face = *face, .fd = -1};
    d->texts = BUF(q->url.n + q->origin.n + q->folder.n + q->name.n + 1);
    buf_add(&d->texts, q->url);
    buf_add(&d->texts, q->origin);
    buf_add(&d->texts, q->folder);
    buf_add(&d->texts, q->name);
    struct span all = buf_span(&d->texts);
    d->q.url = span_cut(all, 0, q->url.n);
    d->q.origin = span_cut(all, q->url.n, q->origin.n);
    d->q.folder = span_cut(all, q->url.n + q->origin.n, q->folder.n);
    d->q.name = span_cut(all, all.n - q->name.n, q->name.n);
    d->sink = (struct fetch_sink){on_bytes, d};
    d->deadline = mono_add(clock_mono(), q->timeout_ms);
    digest_init(&d->sum);
    err e = open_part(d, f);
    if (e) {
        drop(d);
        return e;
    }
    read_tag(d);
    d->turn = timer_new(l, on_turn, d, "download");
    timer_start(d->turn, 0);
    *out = d;
    return E_OK;
}
