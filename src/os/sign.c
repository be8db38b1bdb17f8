#include "os/sign.h"

#include "base/base64.h"
#include "base/need.h"
#include "os/digest.h"
#include "os/random.h"
#include "os/secret.h"

enum { RAW_LEAST = 24, RAW_MOST = 64, RAW_MADE = 32, SIGNATURE_MAX = 64 };
static const char SECRET_HEAD[] = "whsec_";
static const char SIGNATURE_HEAD[] = "v1,";

/* The bytes that the text stands for; false: it is none. */
static bool read_secret(struct span secret, struct buf *out)
{
    struct span head = span_of(SECRET_HEAD);
    return span_starts(secret, head) && secret.n < SIGN_SECRET_MAX &&
           base64_add_plain(out, span_cut(secret, head.n, secret.n)) && out->n >= RAW_LEAST &&
           out->n <= RAW_MOST;
}

void sign_secret_make(char out[SIGN_SECRET_MAX])
{
    unsigned char raw[RAW_MADE];
    struct buf text = BUF(SIGN_SECRET_MAX);
    random_bytes(raw, sizeof raw);
    buf_add_text(&text, SECRET_HEAD);
    base64_add(&text, (struct span){(const char *)raw, sizeof raw});
    span_copy(buf_span(&text), out, SIGN_SECRET_MAX);
    secret_wipe(raw, sizeof raw);
    secret_wipe_buf(&text);
}

bool sign_secret_valid(struct span secret)
{
    struct buf raw = BUF(RAW_MOST + 8);
    bool valid = read_secret(secret, &raw);
    secret_wipe_buf(&raw);
    return valid;
}

void sign_add(struct buf *out, struct span secret, struct span id, int64_t at_s,
              struct span body)
{
    char at[24];
    unsigned char mac[DIGEST_BYTES];
    struct buf key = BUF(RAW_MOST + 8);
    need(read_secret(secret, &key));
    snprintf(at, sizeof at, "%lld", (long long)at_s);
    const struct span parts[] = {id, SPAN("."), span_of(at), SPAN("."), body};
    digest_hmac(buf_span(&key), parts, sizeof parts / sizeof *parts, mac);
    buf_add_text(out, SIGNATURE_HEAD);
    base64_add(out, (struct span){(const char *)mac, sizeof mac});
    secret_wipe_buf(&key);
}

bool sign_verify(struct span secret, struct span id, int64_t at_s, struct span body,
                 struct span signatures)
{
    struct span one;
    bool found = false;
    struct buf right = BUF(SIGNATURE_MAX);
    sign_add(&right, secret, id, at_s, body);
    while (span_next(&signatures, ' ', &one))
        found = digest_same(one, buf_span(&right)) || found;
    buf_free(&right);
    return found;
}
