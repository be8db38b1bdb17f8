/* Where the configuration, the state and the site packs are found. */
#include "upkeep/config.h"

#include "os/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char folder[64];
static struct arena *arena;
static struct settings settings;

static char *below(const char *name)
{
    return arena_fmt(arena, "%s/%s", folder, name);
}

static void write_file(const char *name, const char *text)
{
    char *path = below(name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_int_equal(files_make_folder(path, 0700, NULL), E_OK);
    *slash = '/';
    assert_int_equal(files_write(path, span_of(text), NULL), E_OK);
}

static int start(void **state)
{
    (void)state;
    static const char *const names[] = {"FULMAR_CONFIG", "XDG_CONFIG_HOME", "XDG_STATE_HOME",
                                        "FULMAR_SITES"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
    snprintf(folder, sizeof folder, "/tmp/fulmar-config-XXXXXX");
    arena = arena_new(1 << 20);
    settings_default(&settings);
    if (!mkdtemp(folder))
        return 1;
    return setenv("HOME", below("home"), 1);
}

static int stop(void **state)
{
    (void)state;
    arena_free(&arena);
    return files_remove_tree(folder, NULL) != E_OK;
}

static int64_t port_of(const char *path, char file[CONFIG_PATH_MAX])
{
    struct fault f = {0};
    if (config_load(arena, path, NULL, &settings, file, &f))
        fail_msg("%s", f.words);
    return SETTING(&settings, api, port);
}

static void the_nearest_file_wins(void **state)
{
    (void)state;
    char file[CONFIG_PATH_MAX];
    if (access("/etc/fulmar/fulmar.yaml", F_OK) != 0) {
        assert_int_equal(port_of(NULL, file), 8470);
        assert_string_equal(file, "");
    }
    write_file("home/.config/fulmar/fulmar.yaml", "api:\n  port: 4\n");
    assert_int_equal(port_of(NULL, file), 4);
    setenv("XDG_CONFIG_HOME", below("xdg"), 1);
    assert_int_equal(port_of(NULL, file), 4); /* nothing there */
    write_file("xdg/fulmar/fulmar.yaml", "api:\n  port: 3\n");
    assert_int_equal(port_of(NULL, file), 3);
    write_file("named.yaml", "api:\n  port: 2\n");
    setenv("FULMAR_CONFIG", below("named.yaml"), 1);
    assert_int_equal(port_of(NULL, file), 2);
    write_file("given.yaml", "api:\n  port: 1\n");
    assert_int_equal(port_of(below("given.yaml"), file), 1);
    assert_string_equal(file, below("given.yaml"));
}

static void the_command_line_wins_over_the_file(void **state)
{
    (void)state;
    char file[CONFIG_PATH_MAX];
    struct fault f = {0};
    const char *set[] = {"api.port=9", "worker.count=3", NULL};
    write_file("given.yaml", "api:\n  port: 1\n  host: 127.0.0.2\n");
    assert_int_equal(config_load(arena, below("given.yaml"), set, &settings, file, &f), E_OK);
    assert_int_equal(SETTING(&settings, api, port), 9);
    assert_int_equal(SETTING(&settings, worker, count), 3);
    assert_true(span_is(SETTING_S(&settings, api, host), "127.0.0.2"));
    const char *wrong[] = {"api.prot=9", NULL};
    assert_int_equal(config_load(arena, NULL, wrong, &settings, file, &f), E_CONFIG);
    assert_true(strstr(f.words, "did you mean") != NULL);
}

static void mistakes_say_where(void **state)
{
    (void)state;
    char file[CONFIG_PATH_MAX];
    struct fault f = {0};
    write_file("bad.yaml", "api:\n  prot: 1\n");
    assert_int_equal(config_load(arena, below("bad.yaml"), NULL, &settings, file, &f),
                     E_CONFIG);
    assert_true(span_find(span_of(f.words), SPAN("bad.yaml:2:3")) < strlen(f.words));
    f = (struct fault){0};
    assert_int_equal(config_load(arena, below("missing.yaml"), NULL, &settings, file, &f),
                     E_NOT_FOUND);
    assert_true(strstr(f.words, "missing.yaml") != NULL);
    f = (struct fault){0};
    char *longest = arena_get(arena, 400);
    memset(longest, 'a', 399);
    assert_int_equal(config_load(arena, longest, NULL, &settings, file, &f), E_CONFIG);
}

static void the_state_folder_follows_setting_environment_user(void **state)
{
    (void)state;
    char path[CONFIG_PATH_MAX];
    assert_int_equal(config_state_dir(&settings, path, NULL), E_OK);
    assert_string_equal(path,
                        getuid() == 0 ? "/var/lib/fulmar" : below("home/.local/state/fulmar"));
    setenv("XDG_STATE_HOME", below("state"), 1);
    assert_int_equal(config_state_dir(&settings, path, NULL), E_OK);
    assert_string_equal(path, below("state/fulmar"));
    assert_int_equal(settings_set(&settings, arena, SPAN("store.path=/some/where"), NULL),
                     E_OK);
    assert_int_equal(config_state_dir(&settings, path, NULL), E_OK);
    assert_string_equal(path, "/some/where");
}

static void the_socket_is_in_the_state_folder_or_where_it_is_set(void **state)
{
    (void)state;
    char path[CONFIG_PATH_MAX];
    struct fault f = {0};
    assert_int_equal(settings_set(&settings, arena, SPAN("store.path=/some/where"), NULL),
                     E_OK);
    assert_int_equal(config_socket(&settings, path, &f), E_OK);
    assert_string_equal(path, "/some/where/fulmar.sock");
    assert_int_equal(settings_set(&settings, arena, SPAN("api.socket=/run/f.sock"), NULL),
                     E_OK);
    assert_int_equal(config_socket(&settings, path, &f), E_OK);
    assert_string_equal(path, "/run/f.sock");
    char *longest = arena_get(arena, 200);
    memset(longest, 'a', 199);
    memcpy(longest, "api.socket=/", 12);
    assert_int_equal(settings_set(&settings, arena, span_of(longest), NULL), E_OK);
    assert_int_equal(config_socket(&settings, path, &f), E_CONFIG);
}

static void the_sites_follow_setting_environment_program(void **state)
{
    (void)state;
    char path[CONFIG_PATH_MAX];
    setenv("FULMAR_SITES", "/env/sites", 1);
    assert_int_equal(config_sites_dir(&settings, path, NULL), E_OK);
    assert_string_equal(path, "/env/sites");
    assert_int_equal(settings_set(&settings, arena, SPAN("site.path=/set/sites"), NULL), E_OK);
    assert_int_equal(config_sites_dir(&settings, path, NULL), E_OK);
    assert_string_equal(path, "/set/sites");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_nearest_file_wins, start, stop),
        cmocka_unit_test_setup_teardown(the_command_line_wins_over_the_file, start, stop),
        cmocka_unit_test_setup_teardown(mistakes_say_where, start, stop),
        cmocka_unit_test_setup_teardown(the_state_folder_follows_setting_environment_user,
                                        start, stop),
        cmocka_unit_test_setup_teardown(the_socket_is_in_the_state_folder_or_where_it_is_set,
                                        start, stop),
        cmocka_unit_test_setup_teardown(the_sites_follow_setting_environment_program, start,
                                        stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
