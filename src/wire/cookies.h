/* cookies.h - cookies as people have them: the forms they are exported in, and one of ours. Pure.
 *
 * Read are: JSON (a list of objects as browser extensions write it, {"cookies": [...]} as Playwright
 * does, or {"name": "value"}), cookies.txt (Netscape), and the text of a Cookie header. Written is a
 * JSON list of {name, value, domain, path, secure, httpOnly, expires}. What is another site's or
 * has ended is left out. No words here tell a value. */
#pragma once

#include "base/json.h"
#include "base/when.h"

enum {
    COOKIES_TEXT_MAX = 256 * 1024, /* of what is read, and of what is written */
    COOKIES_MAX = 200,
    COOKIE_NAME_MAX = 256,
    COOKIE_VALUE_MAX = 4096,
};

struct cookies_wanted {
    /* of cookies that say none: "x.com"; may be empty, then they are left out */
    struct span domain;
    /* Whether a cookie of that domain (without a dot in front) is the site's. */
    bool (*belongs)(void *ctx, struct span domain);
    void *ctx;
    const struct span *login; /* names without which nobody is logged in; may be none */
    size_t login_count;
};
struct cookies_facts {
    size_t kept, foreign, ended;
    /* when the first of the login's ends (of no such list: the last of all); 0 never */
    int64_t expires_ms;
};

/* E_BAD_INPUT: in none of the forms, no cookie of the site, or not a login. E_TOO_BIG. `out` is a
 * buf of at least COOKIES_TEXT_MAX. */
MUST_USE err cookies_read(struct span text, const struct cookies_wanted *wanted, wall now,
                          struct json_parser *parser, struct buf *out,
                          struct cookies_facts *out_facts, struct fault *f);

/* One of the list that cookies_read() wrote. */
struct cookie {
    struct span name, value, domain, path;
    bool secure, http_only;
    int64_t expires_ms; /* 0: with the browser */
};
struct cookie cookie_of(struct json v);
