#include "wire/warc.h"

#include "base/need.h"

static const char *const types[] = {
    [WARC_INFO] = "warcinfo", [WARC_RESOURCE] = "resource", [WARC_METADATA] = "metadata"};

void warc_add_field(struct buf *out, const char *name, struct span value)
{
    buf_add_text(out, name);
    buf_add_text(out, ": ");
    for (size_t i = 0; i < value.n; i++)
        buf_add_char(out,
                     (unsigned char)value.p[i] < ' ' || value.p[i] == 0x7f ? ' ' : value.p[i]);
    buf_add_text(out, "\r\n");
}

/* RFC 4122, version 4. */
static void add_id(struct buf *out, const char *name, const unsigned char id[WARC_ID])
{
    buf_fmt(out, "%s: <urn:uuid:", name);
    for (int i = 0; i < WARC_ID; i++) {
        unsigned byte = id[i];
        if (i == 6)
            byte = (byte & 0x0f) | 0x40;
        if (i == 8)
            byte = (byte & 0x3f) | 0x80;
        buf_fmt(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", byte);
    }
    buf_add_text(out, ">\r\n");
}

/* RFC 4648 base32, as the examples of the standard have it. */
static void add_digest(struct buf *out, const char *name,
                       const unsigned char digest[WARC_DIGEST])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    unsigned bits = 0;
    int have = 0;
    size_t written = 0;
    buf_fmt(out, "%s: sha256:", name);
    for (int i = 0; i < WARC_DIGEST; i++) {
        bits = bits << 8 | digest[i];
        for (have += 8; have >= 5; have -= 5, written++)
            buf_add_char(out, letters[bits >> (have - 5) & 31]);
    }
    if (have) {
        buf_add_char(out, letters[bits << (5 - have) & 31]);
        written++;
    }
    for (; written % 8; written++)
        buf_add_char(out, '=');
    buf_add_text(out, "\r\n");
}

/* A URI in the head ends at the line and holds no blank. */
static void add_uri(struct buf *out, struct span uri)
{
    buf_add_text(out, "WARC-Target-URI: ");
    for (size_t i = 0; i < uri.n; i++) {
        unsigned char c = (unsigned char)uri.p[i];
        if (c <= ' ' || c == 0x7f)
            buf_fmt(out, "%%%02X", c);
        else
            buf_add_char(out, uri.p[i]);
    }
    buf_add_text(out, "\r\n");
}

void warc_add(struct buf *out, const struct warc_record *r)
{
    char date[WHEN_TEXT];
    need((unsigned)r->type < sizeof types / sizeof *types);
    buf_add_text(out, "WARC/1.1\r\n");
    buf_fmt(out, "WARC-Type: %s\r\n", types[r->type]);
    add_id(out, "WARC-Record-ID", r->id);
    buf_fmt(out, "WARC-Date: %s\r\n", when_text_ms(r->date, date));
    if (r->info)
        add_id(out, "WARC-Warcinfo-ID", r->info);
    if (r->about)
        add_id(out, "WARC-Concurrent-To", r->about);
    if (r->uri.n)
        add_uri(out, r->uri);
    if (r->file_name.n)
        warc_add_field(out, "WARC-Filename", r->file_name);
    if (r->digest) {
        add_digest(out, "WARC-Block-Digest", r->digest);
        add_digest(out, "WARC-Payload-Digest", r->digest);
    }
    if (r->content_type.n)
        warc_add_field(out, "Content-Type", r->content_type);
    buf_fmt(out, "Content-Length: %zu\r\n\r\n", r->block.n);
    buf_add(out, r->block);
    buf_add_text(out, "\r\n\r\n");
}
