#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include "net/address.h"
#include "net/domains.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool numeric(const char *host, struct sockaddr_storage *out)
{
    socklen_t size;
    return address_numeric(span_of(host), 80, out, &size);
}

static bool is_public(const char *host)
{
    struct sockaddr_storage a;
    if (!numeric(host, &a))
        fail_msg("%s is not numeric", host);
    return address_public((struct sockaddr *)&a);
}

/* First and last address of each range, and their public neighbours. */
static void denied(void **state)
{
    (void)state;
    static const char *const hosts[] = {
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.0",
        "192.0.0.255",
        "192.0.2.0",
        "192.0.2.255",
        "192.88.99.1",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.255",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::7f00:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.1.2.3]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::1]",
        "[100::1]",
        "[2001::1]",
        "[2001:10::1]",
        "[2001:20::1]",
        "[2001:db8::1]",
        "[2002:7f00:1::]",
        "[3fff::1]",
        "[3fff:fff::1]",
        "[5f00::1]",
        "[fc00::1]",
        "[fdff::1]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[1fff::1]",
        "[4000::1]",
    };
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        if (is_public(hosts[i]))
            fail_msg("%s counts as public", hosts[i]);
    }
}

static void allowed(void **state)
{
    (void)state;
    static const char *const hosts[] = {
        "1.0.0.0",           "9.255.255.255",
        "11.0.0.0",          "100.63.255.255",
        "100.128.0.0",       "126.255.255.255",
        "128.0.0.0",         "169.253.255.255",
        "169.255.0.0",       "172.15.255.255",
        "172.32.0.0",        "192.0.1.0",
        "192.0.3.0",         "192.88.98.255",
        "192.88.100.0",      "192.167.255.255",
        "192.169.0.0",       "198.17.255.255",
        "198.20.0.0",        "198.51.99.255",
        "198.51.101.0",      "203.0.112.255",
        "203.0.114.0",       "223.255.255.255",
        "8.8.8.8",           "[2001:4860:4860::8888]",
        "[2606:4700::1111]", "[::ffff:8.8.8.8]",
        "[2001:200::1]",     "[2003::1]",
        "[3fff:1000::1]",    "[2001:db7::1]",
    };
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        if (!is_public(hosts[i]))
            fail_msg("%s does not count as public", hosts[i]);
    }
    struct sockaddr unix_socket = {.sa_family = AF_UNIX};
    assert_false(address_public(&unix_socket));
}

static void spellings(void **state)
{
    (void)state;
    static const struct {
        const char *host, *text;
    } same[] = {
        {"127.0.0.1", "127.0.0.1:80"},
        {"2130706433", "127.0.0.1:80"},
        {"0x7f000001", "127.0.0.1:80"},
        {"0X7F.1", "127.0.0.1:80"},
        {"0177.1", "127.0.0.1:80"},
        {"127.1", "127.0.0.1:80"},
        {"127.0.1", "127.0.0.1:80"},
        {"127.0.0.1.", "127.0.0.1:80"},
        {"017700000001", "127.0.0.1:80"},
        {"0x7f.0x0.0x0.0x1", "127.0.0.1:80"},
        {"0", "0.0.0.0:80"},
        {"0x", "0.0.0.0:80"},
        {"[::1]", "[::1]:80"},
        {"::1", "[::1]:80"},
        {"[0:0:0:0:0:0:0:1]", "[::1]:80"},
        {"[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]:80"},
        {"4294967295", "255.255.255.255:80"},
        {"169.16689662", "169.254.169.254:80"},
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        struct sockaddr_storage a;
        if (!numeric(same[i].host, &a))
            fail_msg("%s is not numeric", same[i].host);
        char host[80], port[8], text[100];
        assert_int_equal(getnameinfo((struct sockaddr *)&a, sizeof a, host, sizeof host, port,
                                     sizeof port, NI_NUMERICHOST | NI_NUMERICSERV),
                         0);
        snprintf(text, sizeof text, a.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
        if (strcmp(text, same[i].text) != 0)
            fail_msg("%s became %s", same[i].host, text);
    }
}

static void names(void **state)
{
    (void)state;
    static const char *const hosts[] = {
        "",
        ".",
        "x.com",
        "127.0.0.1.example",
        "256.1.1.1",
        "1.2.3.4.5",
        "127.0.0.256",
        "4294967296",
        "0x1ffffffff",
        "1..2",
        "08",
        "0xg",
        "[::1%lo]",
        "[::1",
        "fe80::1%eth0",
        "1.2.3.4..",
        "a.1",
        "-1",
        "+1",
        " 1",
    };
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct sockaddr_storage a;
        if (numeric(hosts[i], &a))
            fail_msg("\"%s\" counts as numeric", hosts[i]);
    }
}

static void split(void **state)
{
    (void)state;
    struct span host;
    uint16_t port;
    assert_true(address_split(SPAN("x.com:443"), 80, &host, &port));
    assert_true(span_is(host, "x.com"));
    assert_int_equal(port, 443);
    assert_true(address_split(SPAN("x.com"), 80, &host, &port));
    assert_int_equal(port, 80);
    assert_true(address_split(SPAN("[::1]:8471"), 80, &host, &port));
    assert_true(span_is(host, "[::1]"));
    assert_int_equal(port, 8471);
    static const char *const bad[] = {
        "",          ":80",       "x.com:", "x.com:0", "x.com:65536", "x.com:-1",
        "x.com:+80", "x.com:80a", "[::1",   "[::1]x",  "::1",         "x.com:080000"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (address_split(span_of(bad[i]), 80, &host, &port))
            fail_msg("\"%s\" was split", bad[i]);
    }
}

static void matches(void **state)
{
    (void)state;
    assert_true(address_host_matches(SPAN("X.com"), SPAN("x.com")));
    assert_true(address_host_matches(SPAN("x.com."), SPAN("x.com")));
    assert_true(address_host_matches(SPAN("pbs.TWIMG.com"), SPAN("*.twimg.com")));
    assert_true(address_host_matches(SPAN("a.b.twimg.com"), SPAN("*.twimg.com")));
    assert_false(address_host_matches(SPAN("twimg.com"), SPAN("*.twimg.com")));
    assert_false(address_host_matches(SPAN("eviltwimg.com"), SPAN("*.twimg.com")));
    assert_false(address_host_matches(SPAN("x.com.evil"), SPAN("x.com")));
    assert_false(address_host_matches(SPAN("www.x.com"), SPAN("x.com")));
}

static void a_mapped_address_is_the_one_it_maps(void **state)
{
    (void)state;
    struct sockaddr_storage a = {0}, plain;
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
    assert_int_equal(inet_pton(AF_INET6, "::ffff:93.184.216.34", &in6.sin6_addr), 1);
    memcpy(&a, &in6, sizeof in6);
    address_unmap(&a);
    struct sockaddr_in in;
    memcpy(&in, &a, sizeof in);
    char text[64];
    assert_int_equal(in.sin_family, AF_INET);
    assert_int_equal(ntohs(in.sin_port), 443);
    assert_string_equal(inet_ntop(AF_INET, &in.sin_addr, text, sizeof text), "93.184.216.34");
    assert_int_equal(inet_pton(AF_INET6, "2606:2800:220:1::1", &in6.sin6_addr), 1);
    memcpy(&a, &in6, sizeof in6);
    plain = a;
    address_unmap(&a);
    assert_memory_equal(&a, &plain, sizeof a);
}

/* ---- how rarely hosts are asked ---- */

static void the_slowest_rule_that_matches_a_host_holds(void **state)
{
    (void)state;
    struct domain_rules r;
    assert_int_equal(
        domain_rules_read(SPAN("example.org=5s  *.example.org=1s *.cdn.example.org=2500ms"), &r,
                          NULL),
        E_OK);
    assert_int_equal(r.count, 3);
    assert_int_equal(domain_every_ms(&r, SPAN("example.org"), 2000), 5000);
    assert_int_equal(domain_every_ms(&r, SPAN("EXAMPLE.org"), 9000),
                     9000); /* never more often */
    assert_int_equal(domain_every_ms(&r, SPAN("a.example.org"), 500), 1000);
    assert_int_equal(domain_every_ms(&r, SPAN("b.cdn.example.org"), 500), 2500);
    assert_int_equal(domain_every_ms(&r, SPAN("myexample.org"), 500), 500);
    assert_int_equal(domain_every_ms(NULL, SPAN("example.org"), 500), 500);
    assert_null(domain_rule_of(&r, SPAN("example.com")));
    /* As a URL's host is spelled. */
    assert_int_equal(domain_rules_read(SPAN("[::1]=5s example.org.=3s"), &r, NULL), E_OK);
    assert_int_equal(domain_every_ms(&r, SPAN("[::1]"), 0), 5000);
    assert_int_equal(domain_every_ms(&r, SPAN("example.org."), 0), 3000);
    assert_int_equal(domain_every_ms(&r, SPAN("example.org"), 0), 3000);
    assert_int_equal(domain_rules_read(SPAN(""), &r, NULL), E_OK);
    assert_int_equal(r.count, 0);
}

static void a_rule_that_is_none_is_named_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const wrong[] = {"example.org",     "=5s",
                                        "example.org=",    "example.org=fast",
                                        "exa mple.org=1s", "example.org=0s",
                                        "example.org=2h",  "*=1s",
                                        "a*.org=1s",       "http://example.org=1s",
                                        "h.org:8080=1s",   "::1=1s",
                                        "[::1=1s",         "[h.org]:1=1s"};
    struct domain_rules r = {.count = 7};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct fault f = {0};
        assert_int_equal(domain_rules_read(span_of(wrong[i]), &r, &f), E_CONFIG);
        assert_non_null(strstr(f.words, "fetch.domains"));
    }
    struct buf many = BUF(4096);
    for (int i = 0; i <= DOMAIN_RULES_MAX; i++)
        buf_fmt(&many, "h%d.example=1s ", i);
    assert_int_equal(domain_rules_read(buf_span(&many), &r, NULL), E_CONFIG);
    assert_int_equal(r.count, 7);
    buf_free(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mapped_address_is_the_one_it_maps),
        cmocka_unit_test(denied),
        cmocka_unit_test(allowed),
        cmocka_unit_test(spellings),
        cmocka_unit_test(names),
        cmocka_unit_test(split),
        cmocka_unit_test(matches),
        cmocka_unit_test(the_slowest_rule_that_matches_a_host_holds),
        cmocka_unit_test(a_rule_that_is_none_is_named_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
