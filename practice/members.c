#include "members.h"

#include "base/json.h"
#include "model.h"

enum { MEMBER_TOKEN = 41, MEMBER_CSRF = 161 }; /* with their ends */

static const char *const states[MEMBER_STATES] = {"good", "invalid", "locked"};
static const int64_t ENDS_S = 4102444800; /* 2100: as far as anybody tests */

const char *member_state_name(enum member_state s)
{
    return states[s];
}

bool member_state_parse(struct span name, enum member_state *out)
{
    for (int i = 0; i < MEMBER_STATES; i++) {
        if (!span_is(name, states[i]))
            continue;
        *out = (enum member_state)i;
        return true;
    }
    return false;
}

static void write_hex(uint64_t seed, uint64_t what, unsigned member, char *out, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i + 1 < size; i++)
        out[i] = digits[(model_mix(seed, what + member, i / 8) >> (4 * (i % 8))) & 15];
    out[size - 1] = '\0';
}

/* auth_token and ct0 of a member. */
static void member_cookies(const struct members *m, unsigned member, char token[MEMBER_TOKEN],
                           char csrf[MEMBER_CSRF])
{
    write_hex(m->seed, 0x70cea000, member, token, MEMBER_TOKEN);
    write_hex(m->seed, 0xc5f00000, member, csrf, MEMBER_CSRF);
}

unsigned member_of(const struct members *m, struct span token)
{
    char own[MEMBER_TOKEN], csrf[MEMBER_CSRF];
    for (unsigned i = 0; i < MEMBERS; i++) {
        member_cookies(m, i, own, csrf);
        if (span_is(token, own))
            return i;
    }
    return MEMBERS;
}

enum member_answer member_ask(const struct members *m, struct span token,
                              struct span csrf_cookie, struct span csrf_header)
{
    char own[MEMBER_TOKEN], csrf[MEMBER_CSRF];
    if (!token.n)
        return MEMBER_GUEST;
    unsigned member = member_of(m, token);
    if (member == MEMBERS)
        return MEMBER_NO_SESSION;
    switch ((enum member_state)atomic_load(&m->state[member])) {
    case MEMBER_INVALID:
        return MEMBER_NO_SESSION;
    case MEMBER_LOCKED:
        return MEMBER_IS_LOCKED;
    case MEMBER_GOOD:
    case MEMBER_STATES:
        break;
    }
    member_cookies(m, member, own, csrf);
    return span_is(csrf_cookie, csrf) && span_eq(csrf_cookie, csrf_header) ? MEMBER_IN
                                                                           : MEMBER_WRONG_CSRF;
}

static void put_json(struct json_w *w, const char *name, const char *value, struct span host,
                     bool http_only)
{
    json_open(w);
    json_kv_text(w, "domain", host);
    json_kv_int(w, "expirationDate", ENDS_S);
    json_kv_bool(w, "hostOnly", true);
    json_kv_bool(w, "httpOnly", http_only);
    json_kv_cstr(w, "name", name);
    json_kv_cstr(w, "path", "/");
    json_kv_bool(w, "secure", false);
    json_kv_bool(w, "session", false);
    json_kv_cstr(w, "value", value);
    json_close(w);
}

bool member_export(const struct members *m, unsigned member, struct span form, struct span host,
                   struct buf *out)
{
    char token[MEMBER_TOKEN], csrf[MEMBER_CSRF];
    struct json_w w = json_w(out);
    member_cookies(m, member, token, csrf);
    if (span_is(form, "header")) {
        buf_fmt(out, "auth_token=%s; ct0=%s; lang=en\n", token, csrf);
    } else if (span_is(form, "netscape")) {
        buf_fmt(
            out,
            "# Netscape HTTP Cookie File\n#HttpOnly_%.*s\tFALSE\t/\tFALSE\t%lld\tauth_token\t%s\n"
            "%.*s\tFALSE\t/\tFALSE\t%lld\tct0\t%s\n.example.org\tTRUE\t/\tTRUE\t0\tother\tanother-site-s\n",
            SP(host), (long long)ENDS_S, token, SP(host), (long long)ENDS_S, csrf);
    } else if (span_is(form, "json")) {
        json_open_array(&w);
        put_json(&w, "auth_token", token, host, true);
        put_json(&w, "ct0", csrf, host, false);
        json_close_array(&w);
    } else {
        return false;
    }
    return true;
}
