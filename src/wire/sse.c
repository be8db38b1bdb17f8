#include "wire/sse.h"

static bool line_end(char c)
{
    return c == '\n' || c == '\r';
}

/* One field; a text with line ends becomes several fields of the name. */
static void add_field(struct buf *out, const char *name, struct span text)
{
    size_t from = 0;
    for (size_t i = 0; i <= text.n; i++) {
        if (i < text.n && !line_end(text.p[i]))
            continue;
        buf_add_text(out, name);
        buf_add(out, span_cut(text, from, i - from));
        buf_add_char(out, '\n');
        if (i + 1 < text.n && text.p[i] == '\r' && text.p[i + 1] == '\n')
            i++;
        from = i + 1;
    }
}

void sse_add(struct buf *out, int64_t id, struct span event, struct span data)
{
    if (id >= 0)
        buf_fmt(out, "id: %lld\n", (long long)id);
    if (event.n) {
        buf_add_text(out, "event: ");
        for (size_t i = 0; i < event.n; i++)
            if (!line_end(event.p[i]))
                buf_add_char(out, event.p[i]);
        buf_add_char(out, '\n');
    }
    add_field(out, "data: ", data);
    buf_add_char(out, '\n');
}

void sse_add_position(struct buf *out, int64_t id)
{
    buf_fmt(out, "id: %lld\n\n", (long long)id);
}

void sse_add_comment(struct buf *out, const char *text)
{
    add_field(out, ": ", span_of(text));
    buf_add_char(out, '\n');
}

void sse_add_retry(struct buf *out, int64_t ms)
{
    buf_fmt(out, "retry: %lld\n\n", (long long)ms);
}

struct sse_reader sse_reader(size_t frame_max)
{
    return (struct sse_reader){.line = BUF(frame_max),
                               .data = BUF(frame_max),
                               .event = BUF(256),
                               .last_id = -1,
                               .frame_id = -1};
}

void sse_reader_fini(struct sse_reader *r)
{
    buf_free(&r->line);
    buf_free(&r->data);
    buf_free(&r->event);
}

static void read_field(struct sse_reader *r, struct span line)
{
    size_t colon = span_find_char(line, ':');
    struct span name = span_cut(line, 0, colon);
    struct span value = span_cut(line, colon + 1, line.n);
    if (value.n && value.p[0] == ' ')
        value = span_cut(value, 1, value.n);
    int64_t id;
    if (span_is(name, "data")) {
        if (r->has_data)
            buf_add_char(&r->data, '\n');
        buf_add(&r->data, value);
        r->has_data = true;
    } else if (span_is(name, "event")) {
        buf_clear(&r->event);
        buf_add(&r->event, value);
    } else if (span_is(name, "id") && span_int(value, &id) && id >= 0) {
        r->frame_id = id;
    }
}

static err end_line(struct sse_reader *r,
                    void (*on_event)(void *, int64_t, struct span, struct span), void *ctx)
{
    struct span line, data, event;
    err e = buf_end(&r->line, &line);
    if (e)
        return e;
    if (line.n) {
        read_field(r, line);
        buf_clear(&r->line);
        return E_OK;
    }
    e = buf_end(&r->data, &data);
    if (!e)
        e = buf_end(&r->event, &event);
    if (e)
        return e;
    r->last_id = r->frame_id;
    if (r->has_data)
        on_event(ctx, r->last_id, event, data);
    buf_clear(&r->data);
    buf_clear(&r->event);
    r->has_data = false;
    return E_OK;
}

err sse_read(struct sse_reader *r, struct span bytes,
             void (*on_event)(void *, int64_t, struct span, struct span), void *ctx)
{
    for (size_t i = 0; i < bytes.n; i++) {
        char c = bytes.p[i];
        bool second_half = r->after_cr && c == '\n';
        r->after_cr = c == '\r';
        if (second_half)
            continue;
        if (!line_end(c)) {
            buf_add_char(&r->line, c);
            if (r->line.failed)
                return r->line.failed;
            continue;
        }
        err e = end_line(r, on_event, ctx);
        if (e)
            return e;
    }
    return E_OK;
}
