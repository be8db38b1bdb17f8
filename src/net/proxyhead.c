#include "net/proxyhead.h"

#include "net/address.h"

static bool token_char(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!token_char(s.p[i]))
            return false;
    }
    return s.n > 0;
}

/* No control characters; the tab only where fields may have one. */
static bool is_printable(struct span s, bool tab)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == 0x7f || (c < 0x20 && !(tab && c == '\t')))
            return false;
    }
    return true;
}

/* A line without its CRLF. */
static bool next_line(struct span *rest, struct span *out)
{
    size_t end = span_find(*rest, SPAN("\r\n"));
    if (end == rest->n)
        return false;
    *out = span_cut(*rest, 0, end);
    *rest = span_cut(*rest, end + 2, SIZE_MAX);
    return true;
}

static bool next_field(struct span *rest, struct span *out_name, struct span *out_value,
                       struct span *out_line)
{
    if (!next_line(rest, out_line))
        return false;
    size_t colon = span_find_char(*out_line, ':');
    *out_name = span_cut(*out_line, 0, colon);
    *out_value = span_trim(span_cut(*out_line, colon + 1, SIZE_MAX));
    return true;
}

static const char *read_target(struct span target, struct proxyhead *h)
{
    if (h->tunnel) {
        h->authority = target;
        /* CONNECT names its port always. */
        if (!address_split(target, 0, &h->host, &h->port))
            return "CONNECT needs host:port";
        return NULL;
    }
    const struct span scheme = SPAN("http://");
    if (target.n <= scheme.n || !span_eq_nocase(span_cut(target, 0, scheme.n), scheme))
        return "only absolute http:// addresses are forwarded";
    struct span rest = span_cut(target, scheme.n, SIZE_MAX);
    size_t end = 0;
    while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?')
        end++;
    h->authority = span_cut(rest, 0, end);
    h->path = span_cut(rest, end, SIZE_MAX);
    if (!address_split(h->authority, 80, &h->host, &h->port))
        return "the address has no valid host and port";
    return NULL;
}

static const char *read_request_line(struct span line, struct proxyhead *h)
{
    struct span rest = line, target, version;
    if (!span_next(&rest, ' ', &h->method) || !span_next(&rest, ' ', &target))
        return "the request line is broken";
    version = rest;
    if (!is_token(h->method) || target.n == 0 || !is_printable(target, false))
        return "the request line is broken";
    if (!span_is(version, "HTTP/1.1") && !span_is(version, "HTTP/1.0"))
        return "only HTTP/1.1 and HTTP/1.0 are spoken";
    if (span_find_char(target, '@') != target.n &&
        span_find_char(target, '@') < span_find_char(span_cut(target, 7, SIZE_MAX), '/') + 7)
        return "a user name in the address is not forwarded";
    h->tunnel = span_is(h->method, "CONNECT");
    return read_target(target, h);
}

static const char *read_length(struct span value, struct proxyhead *h)
{
    if (h->body != BODY_NONE)
        return "two lengths for one body";
    int64_t n;
    if (value.n == 0 || value.p[0] < '0' || value.p[0] > '9' || !span_int(value, &n))
        return "Content-Length is no number";
    h->body = BODY_LENGTH;
    h->length = (uint64_t)n;
    return NULL;
}

static const char *read_fields(struct proxyhead *h)
{
    struct span rest = h->fields, name, value, line;
    while (next_field(&rest, &name, &value, &line)) {
        if (name.n == line.n || !is_token(name))
            return "a header line is broken";
        if (!is_printable(value, true))
            return "a control character in a header";
        const char *why = NULL;
        if (span_eq_nocase(name, SPAN("content-length"))) {
            why = read_length(value, h);
        } else if (span_eq_nocase(name, SPAN("transfer-encoding"))) {
            if (h->body != BODY_NONE)
                return "two lengths for one body";
            if (!span_eq_nocase(value, SPAN("chunked")))
                return "only chunked bodies are forwarded";
            h->body = BODY_CHUNKED;
        }
        if (why)
            return why;
    }
    return NULL;
}

err proxyhead_read(struct span bytes, struct proxyhead *out, const char **out_why)
{
    *out = (struct proxyhead){0};
    struct span seen = span_cut(bytes, 0, PROXYHEAD_MAX);
    size_t end = span_find(seen, SPAN("\r\n\r\n"));
    if (end == seen.n) {
        *out_why = "the request head is larger than 16 KiB";
        return bytes.n >= PROXYHEAD_MAX ? E_TOO_BIG : E_BUSY;
    }
    out->size = end + 4;
    struct span head = span_cut(bytes, 0, end + 2), line;
    if (!next_line(&head, &line))
        return E_BUSY;
    out->fields = head;
    *out_why = read_request_line(line, out);
    if (!*out_why)
        *out_why = read_fields(out);
    if (!*out_why && out->tunnel)
        out->body = BODY_NONE;
    return *out_why ? E_BAD_SYNTAX : E_OK;
}

static bool hop_by_hop(struct span name)
{
    static const char *const names[] = {
        "host",    "connection", "proxy-connection",    "keep-alive",         "te",
        "trailer", "upgrade",    "proxy-authorization", "proxy-authenticate", "expect"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (span_eq_nocase(name, span_of(names[i])))
            return true;
    }
    return false;
}

/* Fields that the Connection field names are for this hop only. */
static bool named_by_connection(struct span fields, struct span wanted)
{
    struct span rest = fields, name, value, line, part;
    while (next_field(&rest, &name, &value, &line)) {
        if (!span_eq_nocase(name, SPAN("connection")))
            continue;
        while (span_next(&value, ',', &part)) {
            if (span_eq_nocase(span_trim(part), wanted))
                return true;
        }
    }
    return false;
}

void proxyhead_add_origin(struct buf *out, const struct proxyhead *h)
{
    buf_fmt(out, "%.*s %s%.*s HTTP/1.1\r\nHost: %.*s\r\n", SP(h->method),
            h->path.n > 0 && h->path.p[0] == '/' ? "" : "/", SP(h->path), SP(h->authority));
    struct span rest = h->fields, name, value, line;
    while (next_field(&rest, &name, &value, &line)) {
        bool framing = span_eq_nocase(name, SPAN("content-length")) ||
                       span_eq_nocase(name, SPAN("transfer-encoding"));
        if (hop_by_hop(name) || (!framing && named_by_connection(h->fields, name)))
            continue;
        buf_add(out, line);
        buf_add_text(out, "\r\n");
    }
    buf_add_text(out, "Connection: close\r\n\r\n");
}

/* ---- bodies ---- */

enum {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER,
    CHUNK_TRAILER_LF
};

struct proxybody proxybody_of(const struct proxyhead *h)
{
    struct proxybody b = {.kind = h->body, .left = h->length};
    b.done = h->body == BODY_NONE || (h->body == BODY_LENGTH && h->length == 0);
    if (h->body == BODY_CHUNKED)
        b.left = 0;
    return b;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void chunk_size_char(struct proxybody *b, char c)
{
    int digit = hex_value(c);
    if (digit >= 0 && b->digits < 15) {
        b->left = b->left * 16 + (unsigned)digit;
        b->digits++;
    } else if (b->digits == 0 || digit >= 0) {
        b->broken = true;
    } else if (c == '\r') {
        b->state = CHUNK_LF;
    } else if (c == ';') {
        b->state = CHUNK_EXTENSION;
    } else {
        b->broken = true;
    }
}

/* `digits` counts the bytes of the trailer's line once the chunks are over. */
static void chunk_char(struct proxybody *b, char c)
{
    switch (b->state) {
    case CHUNK_SIZE:
        chunk_size_char(b, c);
        break;
    case CHUNK_EXTENSION:
        if (c == '\r')
            b->state = CHUNK_LF;
        b->broken |= c == '\n';
        break;
    case CHUNK_LF:
        b->broken |= c != '\n';
        b->digits = 0;
        b->state = b->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
        break;
    case CHUNK_DATA_CR:
        b->broken |= c != '\r';
        b->state = CHUNK_DATA_LF;
        break;
    case CHUNK_DATA_LF:
        b->broken |= c != '\n';
        b->state = CHUNK_SIZE;
        break;
    case CHUNK_TRAILER:
        if (c == '\r')
            b->state = CHUNK_TRAILER_LF;
        else
            b->digits = 1;
        b->broken |= c == '\n';
        break;
    default:
        b->broken |= c != '\n';
        b->done = b->digits == 0;
        b->digits = 0;
        b->state = CHUNK_TRAILER;
        break;
    }
}

static size_t take_chunked(struct proxybody *b, struct span bytes)
{
    size_t at = 0;
    while (at < bytes.n && !b->done && !b->broken) {
        if (b->state != CHUNK_DATA) {
            chunk_char(b, bytes.p[at++]);
            continue;
        }
        size_t n = bytes.n - at < b->left ? bytes.n - at : (size_t)b->left;
        at += n;
        b->left -= n;
        if (b->left == 0)
            b->state = CHUNK_DATA_CR;
    }
    return at;
}

size_t proxybody_take(struct proxybody *b, struct span bytes)
{
    if (b->done || b->broken)
        return 0;
    if (b->kind == BODY_CHUNKED)
        return take_chunked(b, bytes);
    size_t n = bytes.n < b->left ? bytes.n : (size_t)b->left;
    b->left -= n;
    b->done = b->left == 0;
    return n;
}
