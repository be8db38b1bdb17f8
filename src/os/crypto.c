/* crypto.c - digest.h and secret.h: the one file that knows libsodium. */
#include "os/digest.h"
#include "os/secret.h"

#include "base/need.h"
#include "os/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(DIGEST_BYTES == crypto_hash_sha256_BYTES, "one size");

void digest_sha256(struct span bytes, unsigned char out[DIGEST_BYTES])
{
    /* It cannot fail, and needs no sodium_init(). */
    (void)crypto_hash_sha256(out, (const unsigned char *)(bytes.p ? bytes.p : ""), bytes.n);
}

static char *write_text(const unsigned char raw[DIGEST_BYTES], char out[DIGEST_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        out[2 * i] = digits[raw[i] >> 4];
        out[2 * i + 1] = digits[raw[i] & 15];
    }
    out[DIGEST_TEXT - 1] = '\0';
    return out;
}

char *digest_text(struct span bytes, char out[DIGEST_TEXT])
{
    unsigned char raw[DIGEST_BYTES];
    digest_sha256(bytes, raw);
    return write_text(raw, out);
}

static crypto_hash_sha256_state *state_of(struct digest *d)
{
    _Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof d->state, "room for the state");
    return (crypto_hash_sha256_state *)(void *)d->state;
}

void digest_init(struct digest *d)
{
    *d = (struct digest){0};
    (void)crypto_hash_sha256_init(state_of(d));
}

void digest_add(struct digest *d, struct span bytes)
{
    d->bytes += bytes.n;
    if (bytes.n)
        (void)crypto_hash_sha256_update(state_of(d), (const unsigned char *)bytes.p, bytes.n);
}

void digest_end(const struct digest *d, char out[DIGEST_TEXT])
{
    struct digest copy = *d;
    unsigned char raw[DIGEST_BYTES];
    (void)crypto_hash_sha256_final(state_of(&copy), raw);
    write_text(raw, out);
}

bool digest_is_text(struct span text)
{
    if (text.n != DIGEST_TEXT - 1)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (!(text.p[i] >= '0' && text.p[i] <= '9') && !(text.p[i] >= 'a' && text.p[i] <= 'f'))
            return false;
    return true;
}

void digest_hmac(struct span key, const struct span *parts, size_t count,
                 unsigned char out[DIGEST_BYTES])
{
    crypto_auth_hmacsha256_state state;
    (void)crypto_auth_hmacsha256_init(&state, (const unsigned char *)key.p, key.n);
    for (size_t i = 0; i < count; i++)
        if (parts[i].n)
            (void)crypto_auth_hmacsha256_update(&state, (const unsigned char *)parts[i].p,
                                                parts[i].n);
    (void)crypto_auth_hmacsha256_final(&state, out);
    sodium_memzero(&state, sizeof state);
}

bool digest_same(struct span a, struct span b)
{
    return a.n == b.n && (!a.n || sodium_memcmp(a.p, b.p, a.n) == 0);
}

/* ---- secrets ---- */

enum {
    KEY_BYTES = crypto_kdf_KEYBYTES,
    NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    PLAIN_MAX = 1024 * 1024,
    BASE64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING,
    PATH_SIZE = 4096,
};
static const char KEY_FILE[] = "fulmar.key";
static const char SEALED[] = "s1."; /* the way it was sealed */

struct secret_key {
    unsigned char seal[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];
    unsigned char print[crypto_generichash_KEYBYTES];
};

static void begin(void)
{
    need(sodium_init() >= 0);
}

struct secret secret_new(size_t n)
{
    begin();
    struct secret s = {.p = sodium_malloc(n ? n : 1), .n = n};
    need(s.p);
    return s;
}

void secret_free(struct secret *s)
{
    if (s->p)
        sodium_free(s->p); /* wipes */
    *s = (struct secret){0};
}

struct span secret_span(const struct secret *s)
{
    return (struct span){s->p, s->n};
}

void secret_wipe(void *bytes, size_t n)
{
    if (n)
        sodium_memzero(bytes, n);
}

void secret_wipe_buf(struct buf *b)
{
    if (b->p)
        sodium_memzero(b->p, b->cap);
    buf_free(b);
}

/* ---- the key ---- */

/* 32 bytes, or 64 hexadecimal digits with or without a newline. */
static err read_key(int fd, const char *path, unsigned char key[KEY_BYTES], struct fault *f)
{
    char text[2 * KEY_BYTES + 2];
    struct stat st;
    size_t got = 0;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        return fail(f, E_CONFIG, "%.180s is not a file", path);
    if ((st.st_mode & 077) != 0 || (st.st_uid != geteuid() && st.st_uid != 0))
        return fail(f, E_DENIED,
                    "%.140s can be read by others: chown and chmod 600 it, and seal the "
                    "sessions anew when others had access",
                    path);
    ssize_t n = read(fd, text, sizeof text);
    struct span read_text = span_trim((struct span){text, n > 0 ? (size_t)n : 0});
    bool hex =
        read_text.n == (size_t)2 * KEY_BYTES &&
        sodium_hex2bin(key, KEY_BYTES, read_text.p, read_text.n, NULL, &got, NULL) == 0 &&
        got == KEY_BYTES;
    if (!hex && n == KEY_BYTES)
        memcpy(key, text, KEY_BYTES);
    sodium_memzero(text, sizeof text);
    return hex || n == KEY_BYTES
               ? E_OK
               : fail(f, E_CONFIG, "%.140s holds no key: it needs 64 hexadecimal digits", path);
}

static err make_key(const char *path, struct fault *f)
{
    unsigned char key[KEY_BYTES];
    char text[2 * KEY_BYTES + 1];
    crypto_kdf_keygen(key);
    sodium_bin2hex(text, sizeof text, key, sizeof key);
    text[2 * KEY_BYTES] = '\n';
    err e = files_write(path, (struct span){text, sizeof text}, f);
    sodium_memzero(key, sizeof key);
    sodium_memzero(text, sizeof text);
    return e;
}

static int open_key(const char *dir, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/%s", dir, KEY_FILE);
    return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

static err find_key(const char *state_dir, bool make, int *out_fd, char path[PATH_SIZE],
                    struct fault *f)
{
    const char *given = getenv("CREDENTIALS_DIRECTORY");
    *out_fd = given && given[0] == '/' ? open_key(given, path) : -1;
    if (*out_fd >= 0)
        return E_OK;
    *out_fd = open_key(state_dir, path);
    if (*out_fd < 0 && errno == ENOENT && make) {
        err e = make_key(path, f);
        if (e)
            return e;
        *out_fd = open_key(state_dir, path);
    }
    return *out_fd >= 0 ? E_OK : files_fault(f, "open the key", path);
}

err secret_key_open(struct secret_key **out, const char *state_dir, bool make, struct fault *f)
{
    char path[PATH_SIZE];
    unsigned char key[KEY_BYTES];
    int fd;
    begin();
    err e = find_key(state_dir, make, &fd, path, f);
    if (e)
        return e;
    e = read_key(fd, path, key, f);
    close(fd);
    if (!e) {
        struct secret_key *k = sodium_malloc(sizeof *k);
        need(k);
        need(crypto_kdf_derive_from_key(k->seal, sizeof k->seal, 1, "sessions", key) == 0);
        need(crypto_kdf_derive_from_key(k->print, sizeof k->print, 2, "sessions", key) == 0);
        *out = k;
    }
    sodium_memzero(key, sizeof key);
    return e;
}

const char *secret_credentials(void)
{
    static char text[PATH_SIZE];
    const char *given = getenv("CREDENTIALS_DIRECTORY");
    int n = given ? snprintf(text, sizeof text, "CREDENTIALS_DIRECTORY=%s", given) : 0;
    return n > 0 && n < (int)sizeof text ? text : NULL;
}

void secret_key_close(struct secret_key **k)
{
    if (*k)
        sodium_free(*k);
    *k = NULL;
}

/* ---- sealing ---- */

err secret_seal(const struct secret_key *k, struct span name, struct span plain,
                struct buf *out, struct fault *f)
{
    if (plain.n > PLAIN_MAX)
        return fail(f, E_TOO_BIG, "more than %d bytes cannot be sealed", PLAIN_MAX);
    size_t size = NONCE_BYTES + plain.n + TAG_BYTES;
    size_t text_size = sodium_base64_encoded_len(size, BASE64);
    unsigned char *raw = heap_get(size);
    randombytes_buf(raw, NONCE_BYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        raw + NONCE_BYTES, NULL, (const unsigned char *)(plain.p ? plain.p : ""), plain.n,
        (const unsigned char *)(name.p ? name.p : ""), name.n, NULL, raw, k->seal);
    buf_add_text(out, SEALED);
    char *room = buf_room(out, text_size);
    if (room) {
        sodium_bin2base64(room, text_size, raw, size, BASE64);
        out->n += text_size - 1; /* without its end */
    }
    free(raw);
    return room ? E_OK : fail(f, E_TOO_BIG, "what was sealed does not fit");
}

err secret_unseal(const struct secret_key *k, struct span name, struct span sealed,
                  struct secret *out, struct fault *f)
{
    struct span text = span_cut(sealed, sizeof SEALED - 1, sealed.n);
    size_t size = 0;
    err e = E_OK;
    unsigned char *raw = heap_get(text.n + 1);
    if (!span_starts(sealed, span_of(SEALED)) ||
        sodium_base642bin(raw, text.n, text.p, text.n, NULL, &size, NULL, BASE64) != 0 ||
        size < NONCE_BYTES + TAG_BYTES) {
        free(raw);
        return fail(f, E_DENIED, "this is not what was sealed");
    }
    struct secret s = secret_new(size - NONCE_BYTES - TAG_BYTES);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            (unsigned char *)s.p, NULL, NULL, raw + NONCE_BYTES, size - NONCE_BYTES,
            (const unsigned char *)(name.p ? name.p : ""), name.n, raw, k->seal) != 0) {
        secret_free(&s);
        e = fail(f, E_DENIED, "it was sealed with another key, or changed since");
    }
    free(raw);
    if (!e)
        *out = s;
    return e;
}

char *secret_print(const struct secret_key *k, struct span plain, char out[SECRET_PRINT])
{
    unsigned char sum[16];
    crypto_generichash(sum, sizeof sum, (const unsigned char *)(plain.p ? plain.p : ""),
                       plain.n, k->print, sizeof k->print);
    sodium_bin2hex(out, SECRET_PRINT, sum, sizeof sum);
    return out;
}
