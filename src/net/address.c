#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

/* ---- ranges ---- */

struct range4 {
    uint32_t base;
    int bits;
};
#define IP4(a, b, c, d)                                                                        \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
static const struct range4 DENIED4[] = {
    {IP4(0, 0, 0, 0), 8},       /* this network */
    {IP4(10, 0, 0, 0), 8},      /* private */
    {IP4(100, 64, 0, 0), 10},   /* carrier-grade NAT */
    {IP4(127, 0, 0, 0), 8},     /* loopback */
    {IP4(169, 254, 0, 0), 16},  /* link-local, cloud metadata */
    {IP4(172, 16, 0, 0), 12},   /* private */
    {IP4(192, 0, 0, 0), 24},    /* protocol assignments */
    {IP4(192, 0, 2, 0), 24},    /* documentation */
    {IP4(192, 88, 99, 0), 24},  /* 6to4 relay */
    {IP4(192, 168, 0, 0), 16},  /* private */
    {IP4(198, 18, 0, 0), 15},   /* benchmarks */
    {IP4(198, 51, 100, 0), 24}, /* documentation */
    {IP4(203, 0, 113, 0), 24},  /* documentation */
    {IP4(224, 0, 0, 0), 4},     /* multicast */
    {IP4(240, 0, 0, 0), 4},     /* reserved, broadcast */
};

static bool public4(uint32_t address)
{
    for (size_t i = 0; i < sizeof DENIED4 / sizeof *DENIED4; i++) {
        if (((address ^ DENIED4[i].base) >> (32 - DENIED4[i].bits)) == 0)
            return false;
    }
    return true;
}

static bool starts_with_bits(const unsigned char *a, const unsigned char *prefix, int bits)
{
    for (int i = 0; i < bits; i++) {
        int mask = 0x80 >> (i % 8);
        if ((a[i / 8] & mask) != (prefix[i / 8] & mask))
            return false;
    }
    return true;
}

/* Public unicast is 2000::/3; everything outside it is refused at once: ::/96, loopback,
 * 64:ff9b (NAT64), 100::, fc00::/7, fe80::/10, fec0::/10, ff00::/8 and what is not assigned
 * yet. */
static bool public6(const unsigned char a[16])
{
    static const struct {
        unsigned char prefix[4];
        int bits;
    } denied[] = {
        {{0x20, 0x01, 0x00, 0x00}, 23}, /* Teredo, ORCHID, protocol assignments */
        {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
        {{0x20, 0x02, 0x00, 0x00}, 16}, /* 6to4: carries any IPv4 address */
        {{0x3f, 0xff, 0x00, 0x00}, 20}, /* documentation */
    };
    if ((a[0] & 0xe0) != 0x20)
        return false;
    for (size_t i = 0; i < sizeof denied / sizeof *denied; i++) {
        if (starts_with_bits(a, denied[i].prefix, denied[i].bits))
            return false;
    }
    return true;
}

bool address_public(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, a, sizeof in);
        return public4(ntohl(in.sin_addr.s_addr));
    }
    if (a->sa_family != AF_INET6)
        return false;
    struct sockaddr_in6 in6;
    memcpy(&in6, a, sizeof in6);
    const unsigned char *b = in6.sin6_addr.s6_addr;
    if (!IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
        return public6(b);
    return public4(IP4(b[12], b[13], b[14], b[15]));
}

void address_unmap(struct sockaddr_storage *a)
{
    struct sockaddr_in6 in6;
    memcpy(&in6, a, sizeof in6);
    if (a->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
        return;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = in6.sin6_port};
    memcpy(&in.sin_addr, in6.sin6_addr.s6_addr + 12, sizeof in.sin_addr);
    memset(a, 0, sizeof *a);
    memcpy(a, &in, sizeof in);
}

/* ---- numeric hosts ---- */

/* One part as browsers read it: 0x… hexadecimal, 0… octal, else decimal. */
static bool part_value(struct span part, uint64_t *out)
{
    unsigned base = 10;
    if (part.n >= 2 && part.p[0] == '0' && (part.p[1] | 0x20) == 'x') {
        base = 16;
        part = span_cut(part, 2, SIZE_MAX);
    } else if (part.n >= 2 && part.p[0] == '0') {
        base = 8;
        part = span_cut(part, 1, SIZE_MAX);
    } else if (part.n == 0) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < part.n; i++) {
        char c = part.p[i];
        unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : 99;
        if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (unsigned)((c | 0x20) - 'a' + 10);
        if (digit >= base)
            return false;
        value = value * base + digit;
        if (value > UINT32_MAX)
            return false;
    }
    *out = value;
    return true;
}

static bool numeric4(struct span host, uint32_t *out)
{
    if (host.n > 0 && host.p[host.n - 1] == '.')
        host.n--;
    uint64_t parts[4];
    size_t count = 0;
    struct span rest = host, part;
    if (host.n == 0 || host.p[host.n - 1] == '.')
        return false;
    while (span_next(&rest, '.', &part)) {
        if (count == 4 || !part_value(part, &parts[count]))
            return false;
        count++;
    }
    if (count == 0)
        return false;
    uint64_t address = parts[count - 1];
    if (address >> (8 * (5 - count)))
        return false;
    for (size_t i = 0; i + 1 < count; i++) {
        if (parts[i] > 255)
            return false;
        address |= parts[i] << (24 - 8 * i);
    }
    *out = (uint32_t)address;
    return true;
}

static bool numeric6(struct span host, struct in6_addr *out)
{
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = span_cut(host, 1, host.n - 2);
    char text[INET6_ADDRSTRLEN];
    if (host.n >= sizeof text || memchr(host.p, '\0', host.n))
        return false;
    span_copy(host, text, sizeof text);
    return inet_pton(AF_INET6, text, out) == 1;
}

bool address_numeric(struct span host, uint16_t port, struct sockaddr_storage *out,
                     socklen_t *out_size)
{
    if (host.n == 0)
        return false;
    uint32_t four;
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memset(out, 0, sizeof *out);
    if (numeric4(host, &four)) {
        struct sockaddr_in in = {
            .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(four)}};
        memcpy(out, &in, sizeof in);
        *out_size = sizeof in;
        return true;
    }
    if (!numeric6(host, &in6.sin6_addr))
        return false;
    memcpy(out, &in6, sizeof in6);
    *out_size = sizeof in6;
    return true;
}

/* ---- texts ---- */

bool address_split(struct span host_port, uint16_t fallback_port, struct span *out_host,
                   uint16_t *out_port)
{
    size_t end;
    if (host_port.n > 0 && host_port.p[0] == '[') {
        end = span_find_char(host_port, ']') + 1;
        if (end > host_port.n)
            return false;
    } else {
        end = span_find_char(host_port, ':');
    }
    struct span rest = span_cut(host_port, end, SIZE_MAX);
    int64_t port = fallback_port;
    if (rest.n > 0) {
        struct span digits = span_cut(rest, 1, SIZE_MAX);
        if (rest.p[0] != ':' || digits.n == 0 || digits.n > 5)
            return false;
        for (size_t i = 0; i < digits.n; i++) {
            if (digits.p[i] < '0' || digits.p[i] > '9')
                return false;
        }
        if (!span_int(digits, &port) || port > UINT16_MAX)
            return false;
    }
    *out_host = span_cut(host_port, 0, end);
    *out_port = (uint16_t)port;
    return out_host->n > 0 && port > 0;
}

static struct span without_end_dot(struct span s)
{
    if (s.n > 1 && s.p[s.n - 1] == '.')
        s.n--;
    return s;
}

bool address_host_matches(struct span host, struct span pattern)
{
    host = without_end_dot(host);
    if (!span_starts(pattern, SPAN("*.")))
        return span_eq_nocase(host, pattern);
    struct span tail = span_cut(pattern, 1, SIZE_MAX); /* ".twimg.com" */
    return host.n > tail.n && span_eq_nocase(span_cut(host, host.n - tail.n, tail.n), tail);
}
