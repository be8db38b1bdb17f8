/* Sealing: what is sealed comes back, only with its key, only under its name, and only unchanged. */
#include "os/files.h"
#include "os/secret.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];

static int set_up(void **state)
{
    (void)state;
    unsetenv("CREDENTIALS_DIRECTORY");
    snprintf(dir, sizeof dir, "/tmp/fulmar-secret-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return files_remove_tree(dir, NULL) == E_OK ? 0 : 1;
}

static struct secret_key *key(bool make)
{
    struct secret_key *k = NULL;
    struct fault f = {0};
    err e = secret_key_open(&k, dir, make, &f);
    if (e)
        fail_msg("%s", f.words);
    return k;
}

static char *key_path(void)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/fulmar.key", dir);
    return path;
}

static void what_is_sealed_comes_back(void **state)
{
    (void)state;
    struct secret_key *k = key(true), *again;
    struct buf sealed = BUF(4096), other = BUF(4096);
    struct secret plain;
    struct fault f = {0};
    assert_int_equal(secret_seal(k, SPAN("ses_1:1"), SPAN("auth_token=canary"), &sealed, &f),
                     E_OK);
    assert_int_equal(secret_seal(k, SPAN("ses_1:1"), SPAN("auth_token=canary"), &other, &f),
                     E_OK);
    assert_false(
        span_eq(buf_span(&sealed), buf_span(&other))); /* a nonce of its own each time */
    assert_int_equal(span_find(buf_span(&sealed), SPAN("canary")), sealed.n);
    for (size_t i = 0; i < sealed.n; i++)
        assert_true(sealed.p[i] > ' ' && sealed.p[i] <= '~');
    again = key(false);
    assert_int_equal(secret_unseal(again, SPAN("ses_1:1"), buf_span(&sealed), &plain, &f),
                     E_OK);
    assert_true(span_is(secret_span(&plain), "auth_token=canary"));
    secret_free(&plain);
    assert_null(plain.p);
    buf_clear(&sealed);
    assert_int_equal(secret_seal(k, SPAN("e"), SPAN_NONE, &sealed, &f), E_OK);
    assert_int_equal(secret_unseal(k, SPAN("e"), buf_span(&sealed), &plain, &f), E_OK);
    assert_int_equal(plain.n, 0);
    secret_free(&plain);
    buf_free(&sealed);
    buf_free(&other);
    secret_key_close(&k);
    secret_key_close(&again);
}

static void what_was_changed_or_is_another_s_is_refused(void **state)
{
    (void)state;
    struct secret_key *k = key(true);
    struct buf sealed = BUF(4096);
    struct secret plain = {0};
    assert_int_equal(secret_seal(k, SPAN("ses_1:1"), SPAN("auth_token=canary"), &sealed, NULL),
                     E_OK);
    assert_int_equal(secret_unseal(k, SPAN("ses_2:1"), buf_span(&sealed), &plain, NULL),
                     E_DENIED);
    assert_int_equal(secret_unseal(k, SPAN("ses_1:2"), buf_span(&sealed), &plain, NULL),
                     E_DENIED);
    for (size_t i = 0; i < sealed.n; i++) {
        sealed.p[i] = sealed.p[i] == 'A' ? 'B' : 'A';
        assert_int_equal(secret_unseal(k, SPAN("ses_1:1"), buf_span(&sealed), &plain, NULL),
                         E_DENIED);
        buf_clear(&sealed);
        assert_int_equal(
            secret_seal(k, SPAN("ses_1:1"), SPAN("auth_token=canary"), &sealed, NULL), E_OK);
    }
    for (size_t n = 0; n < sealed.n; n++)
        assert_int_equal(
            secret_unseal(k, SPAN("ses_1:1"), span_cut(buf_span(&sealed), 0, n), &plain, NULL),
            E_DENIED);
    secret_key_close(&k);
    assert_int_equal(unlink(key_path()), 0);
    k = key(true); /* another one */
    struct fault f = {0};
    assert_int_equal(secret_unseal(k, SPAN("ses_1:1"), buf_span(&sealed), &plain, &f),
                     E_DENIED);
    assert_non_null(strstr(f.words, "another key"));
    assert_null(plain.p);
    secret_key_close(&k);
    buf_free(&sealed);
}

static void the_key_is_its_owner_s_alone(void **state)
{
    (void)state;
    struct secret_key *k = NULL;
    struct stat st;
    struct fault f = {0};
    assert_int_equal(secret_key_open(&k, dir, false, NULL), E_NOT_FOUND);
    k = key(true);
    secret_key_close(&k);
    assert_int_equal(stat(key_path(), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(chmod(key_path(), 0640), 0);
    assert_int_equal(secret_key_open(&k, dir, true, &f), E_DENIED);
    assert_non_null(strstr(f.words, "chmod 600"));
    assert_int_equal(chmod(key_path(), 0600), 0);
    int fd = open(key_path(), O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, "short", 5), 5);
    close(fd);
    assert_int_equal(secret_key_open(&k, dir, true, NULL), E_CONFIG);
}

static void a_key_of_the_system_goes_first(void **state)
{
    (void)state;
    char folder[80];
    struct secret_key *own = key(true), *given;
    char a[SECRET_PRINT], b[SECRET_PRINT], c[SECRET_PRINT];
    snprintf(folder, sizeof folder, "%s/credentials", dir);
    assert_int_equal(mkdir(folder, 0700), 0);
    char path[128];
    snprintf(path, sizeof path, "%s/fulmar.key", folder);
    assert_int_equal(
        files_write(path,
                    SPAN("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"),
                    NULL),
        E_OK);
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    given = key(false);
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_string_not_equal(secret_print(own, SPAN("x"), a), secret_print(given, SPAN("x"), b));
    assert_string_equal(secret_print(given, SPAN("x"), c), b);
    assert_string_not_equal(secret_print(given, SPAN("y"), c), b);
    secret_key_close(&own);
    secret_key_close(&given);
}

static void what_is_wiped_is_gone(void **state)
{
    (void)state;
    char text[16] = "canary";
    secret_wipe(text, sizeof text);
    for (size_t i = 0; i < sizeof text; i++)
        assert_int_equal(text[i], 0);
    struct buf b = BUF(100);
    buf_add_text(&b, "canary");
    secret_wipe_buf(&b);
    assert_null(b.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_sealed_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_changed_or_is_another_s_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_key_is_its_owner_s_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_of_the_system_goes_first, set_up, tear_down),
        cmocka_unit_test(what_is_wiped_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
