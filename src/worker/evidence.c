#include "worker/evidence.h"

#include "base/need.h"

enum { HEADERS_BYTES = 64 * 1024, URL_BYTES = 16 * 1024, KEPT_HEADERS_BYTES = 8 * 1024 };

void evidence_init(struct evidence *e, struct channel *c, enum evidence_keep keep)
{
    *e = (struct evidence){.keep = keep, .channel = c};
    if (keep != EVIDENCE_NEVER)
        e->headers = json_parser_new(HEADERS_BYTES);
}

static void drop(struct evidence *e, size_t at)
{
    need(at < e->count);
    e->bytes -= e->ring[at].texts.n;
    buf_free(&e->ring[at].texts);
    memmove(&e->ring[at], &e->ring[at + 1], (e->count - at - 1) * sizeof e->ring[0]);
    e->count--;
}

void evidence_fini(struct evidence *e)
{
    while (e->count)
        drop(e, e->count - 1);
    json_parser_free(&e->headers);
}

/* ---- sending ---- */

static void send_frame(struct evidence *e, const struct frame *f)
{
    if (frame_fits(f))
        (void)!channel_send(e->channel, f);
}

static void send_held(struct evidence *e, const struct held *h, enum failure_class reason)
{
    struct span all = buf_span(&h->texts);
    struct frame f = {.type = FRAME_EVIDENCE,
                      .n = {h->status, h->at_ms, h->batch, (int64_t)reason, GAP_NONE, 1},
                      .t = {span_of(h->strategy), span_cut(all, 0, h->name),
                            span_cut(all, h->name, h->url),
                            span_cut(all, h->name + h->url, h->header),
                            span_cut(all, h->name + h->url + h->header, h->body)}};
    send_frame(e, &f);
}

static void send_gap(struct evidence *e, enum evidence_gap gap, int64_t count,
                     enum failure_class reason)
{
    if (count)
        send_frame(e, &(struct frame){.type = FRAME_EVIDENCE,
                                      .n = {0, 0, e->batch, (int64_t)reason, gap, count}});
}

/* ---- holding ---- */

static void add_headers(struct evidence *e, struct buf *out, struct span headers)
{
    struct json all;
    struct span value;
    struct buf text = BUF(KEPT_HEADERS_BYTES);
    struct json_w w = json_w(&text);
    json_open(&w);
    if (headers.n && json_parse(e->headers, headers, &all, NULL) == E_OK)
        for (struct json_iter i = json_each(all); json_next(&i);)
            if (evidence_header_kept(i.key) && json_text(i.value, &value)) {
                json_key_span(&w, i.key);
                json_put_text(&w, value);
            }
    json_close(&w);
    buf_add(out, text.failed ? SPAN("{}") : buf_span(&text));
    buf_free(&text);
}

static bool hold(struct evidence *e, const struct evidence_note *n, struct held *h)
{
    struct buf url = BUF(URL_BYTES);
    *h = (struct held){.texts = BUF(EVIDENCE_PIECE_MAX + HEADERS_BYTES),
                       .strategy = n->strategy,
                       .at_ms = n->at.ms,
                       .batch = e->batch,
                       .status = n->status,
                       .stays = n->stays};
    evidence_url(&url, n->url);
    buf_add(&h->texts, n->name);
    h->name = h->texts.n;
    buf_add(&h->texts, buf_span(&url));
    h->url = h->texts.n - h->name;
    add_headers(e, &h->texts, n->headers);
    h->header = h->texts.n - h->name - h->url;
    buf_add(&h->texts, n->body);
    h->body = n->body.n;
    buf_free(&url);
    return !h->texts.failed && h->body <= EVIDENCE_PIECE_MAX;
}

/* The oldest that may go. */
static bool make_room(struct evidence *e)
{
    for (size_t i = 0; i < e->count; i++)
        if (!e->ring[i].stays) {
            drop(e, i);
            e->older++;
            return true;
        }
    return false;
}

void evidence_take(struct evidence *e, const struct evidence_note *n)
{
    struct held h;
    if (e->keep == EVIDENCE_NEVER)
        return;
    if (!hold(e, n, &h)) {
        e->too_large++;
        buf_free(&h.texts);
        return;
    }
    if (e->keep == EVIDENCE_ALWAYS) {
        send_held(e, &h, FAILURE_NONE);
        buf_free(&h.texts);
        return;
    }
    while ((e->count == EVIDENCE_RING_PIECES || e->bytes + h.texts.n > EVIDENCE_RING_BYTES) &&
           make_room(e))
        ;
    if (e->count ==
        EVIDENCE_RING_PIECES) { /* nothing but accounts: the newest is one too many */
        e->older++;
        buf_free(&h.texts);
        return;
    }
    e->bytes += h.texts.n;
    e->ring[e->count++] = h;
}

void evidence_end(struct evidence *e, enum failure_class failure)
{
    bool kept = e->keep == EVIDENCE_ALWAYS || evidence_of_failure(e->keep, failure);
    for (size_t i = 0; kept && i < e->count; i++)
        send_held(e, &e->ring[i], failure);
    if (kept) {
        send_gap(e, GAP_OLDER, e->older, failure);
        send_gap(e, GAP_TOO_LARGE, e->too_large, failure);
    }
    e->older = e->too_large = 0;
    while (e->count)
        drop(e, e->count - 1);
}
