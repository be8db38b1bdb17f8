/* Addresses of a Redis, as people write them. */
#include "store/redis/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct place p;
static struct fault f;

static err read_place(const char *text)
{
    f = (struct fault){0};
    return place_parse(span_of(text), &p, &f);
}

static void all_kinds_are_read(void **state)
{
    (void)state;
    char shown[PLACE_HOST + 32];
    assert_int_equal(read_place("redis://127.0.0.1"), E_OK);
    assert_int_equal(p.kind, PLACE_TCP);
    assert_int_equal(p.hosts[0].port, 6379);
    assert_int_equal(read_place("redis://scout:p%40ss%3A%2F@queue.example:7000/3"), E_OK);
    assert_string_equal(p.user, "scout");
    assert_string_equal(p.password, "p@ss:/");
    assert_string_equal(p.hosts[0].name, "queue.example");
    assert_int_equal(p.hosts[0].port, 7000);
    assert_int_equal(p.database, 3);
    assert_true(span_is(place_shown(&p, shown), "queue.example:7000"));
    assert_int_equal(read_place("redis://:secret@[::1]:7000"), E_OK);
    assert_string_equal(p.user, "");
    assert_string_equal(p.hosts[0].name, "::1");
    assert_true(span_is(place_shown(&p, shown), "[::1]:7000"));
    assert_int_equal(read_place("unix:///run/redis/redis.sock?db=2"), E_OK);
    assert_int_equal(p.kind, PLACE_UNIX);
    assert_string_equal(p.hosts[0].name, "/run/redis/redis.sock");
    assert_int_equal(p.database, 2);
    assert_int_equal(read_place("unix://:secret@/run/redis.sock"), E_OK);
    assert_string_equal(p.password, "secret");
    assert_int_equal(read_place("sentinel://:secret@a,b:1,c/main?db=4"), E_OK);
    assert_int_equal(p.kind, PLACE_SENTINEL);
    assert_int_equal(p.host_count, 3);
    assert_int_equal(p.hosts[0].port, 26379);
    assert_int_equal(p.hosts[1].port, 1);
    assert_string_equal(p.primary, "main");
    assert_int_equal(p.database, 4);
}

static void what_is_wrong_is_named_and_never_the_password(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "not an address"},
        {"http://x", "not an address"},
        {"rediss://:letmein@x", "TLS"},
        {"redis://", "no host"},
        {"redis://:letmein@", "no host"},
        {"redis://letmein@x", "no password"},
        {"redis://x:0", "port"},
        {"redis://x:65536", "port"},
        {"redis://x:letmein", "port"},
        {"redis://x/letmein", "database"},
        {"redis://x?db=letmein", "database"},
        {"redis://x?password=letmein", "?db="},
        {"redis://a,b", "Sentinels"},
        {"redis://:let%mein@x", "percent"},
        {"unix://run/x", "begin with"},
        {"unix:///", "begin with"},
        {"sentinel://a", "name that the Sentinels know"},
        {"sentinel://a/", "name that the Sentinels know"},
        {"sentinel://a,b,c,d,e,f,g,h,i/main", "eight"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (read_place(bad[i].text) != E_CONFIG || !strstr(f.words, bad[i].says) ||
            strstr(f.words, "mein"))
            fail_msg("%s: %s", bad[i].text, f.words);
        assert_non_null(strstr(f.words, "store.queue"));
    }
}

static void no_text_breaks_it(void **state)
{
    (void)state;
    static const char alphabet[] = "redis://unix:///sentinel@:/?=[],.%41db0";
    uint64_t x = 7;
    for (int n = 0; n < 20000; n++) {
        char text[64];
        size_t size = 0, length = (x >> 33) % 60;
        for (; size < length; size++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            text[size] = alphabet[(x >> 33) % (sizeof alphabet - 1)];
        }
        f = (struct fault){0};
        err e = place_parse((struct span){text, size}, &p, &f);
        assert_true(e == E_OK || e == E_CONFIG);
        x = x * 6364136223846793005u + 1442695040888963407u;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kinds_are_read),
        cmocka_unit_test(what_is_wrong_is_named_and_never_the_password),
        cmocka_unit_test(no_text_breaks_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
