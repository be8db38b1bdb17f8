/* Functions of files, whatever is in the files, and wherever they lie. */
#include "os/files.h"
#include "os/spawn.h"
#include "os/symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct arena *arena;
static char *image; /* this very program */
static size_t image_bytes;
static uint64_t place; /* of find_me() in it */
static int file;       /* what is looked into */

__attribute__((noinline)) static int find_me(int n)
{
    return n * 3 + 1;
}

static ElfW(Ehdr) * head(void)
{
    return (ElfW(Ehdr) *)(void *)image;
}

static ElfW(Shdr) * section(unsigned type)
{
    ElfW(Shdr) *all = (ElfW(Shdr) *)(void *)(image + head()->e_shoff);
    for (size_t i = 0; i < head()->e_shnum; i++)
        if (all[i].sh_type == type)
            return &all[i];
    fail_msg("this program has no section of type %u", type);
    return NULL;
}

static ElfW(Shdr) * strings(void)
{
    return (ElfW(Shdr) *)(void *)(image + head()->e_shoff) + section(SHT_SYMTAB)->sh_link;
}

static void read_program(void)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat is;
    assert_true(fd >= 0 && fstat(fd, &is) == 0);
    image_bytes = (size_t)is.st_size;
    image = mmap(NULL, image_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    assert_true(image != MAP_FAILED);
    close(fd);
}

/* Looks for find_me() in the first so many bytes of the image as it is now. */
static struct symbol look(size_t bytes)
{
    struct symbol s = {.at = place};
    assert_int_equal(ftruncate(file, 0), 0);
    assert_int_equal(pwrite(file, image, bytes, 0), (ssize_t)bytes);
    arena_reset(arena);
    symbols_look_into(file, 0, UINT64_MAX, 0, &s, 1, arena);
    assert_true(!s.name || strlen(s.name) <= 200);
    return s;
}

/* Where the function is in the file, by what the table of segments says of its address. */
static int start(void **state)
{
    (void)state;
    arena = arena_new(1 << 20);
    read_program();
    file = memfd_create("image", MFD_CLOEXEC);
    assert_true(file >= 0);
    const ElfW(Phdr) *segments = (const ElfW(Phdr) *)(void *)(image + head()->e_phoff);
    const ElfW(Sym) *all = (const ElfW(Sym) *)(void *)(image + section(SHT_SYMTAB)->sh_offset);
    const char *names = image + strings()->sh_offset;
    for (size_t i = 0; i < section(SHT_SYMTAB)->sh_size / sizeof *all; i++) {
        if (strcmp(names + all[i].st_name, "find_me") != 0)
            continue;
        for (size_t k = 0; k < head()->e_phnum; k++)
            if (segments[k].p_type == PT_LOAD && all[i].st_value >= segments[k].p_vaddr &&
                all[i].st_value - segments[k].p_vaddr < segments[k].p_filesz)
                place = all[i].st_value - segments[k].p_vaddr + segments[k].p_offset;
    }
    return place == 0;
}

static int stop(void **state)
{
    (void)state;
    close(file);
    munmap(image, image_bytes);
    arena_free(&arena);
    return 0;
}

static void a_whole_file_names_its_functions(void **state)
{
    (void)state;
    struct symbol s = look(image_bytes);
    assert_non_null(s.name);
    assert_string_equal(s.name, "find_me");
    assert_int_equal(s.offset, 0);
    assert_int_equal(find_me(2), 7);
}

#define BREAK(member, value)                                                                   \
    do {                                                                                       \
        typeof(member) was_ = (member);                                                        \
        (member) = (typeof(member))(value);                                                    \
        struct symbol s_ = look(image_bytes);                                                  \
        (member) = was_;                                                                       \
        if (s_.name && strcmp(s_.name, "find_me") == 0)                                        \
            fail_msg("%s = %s: it is found", #member, #value);                                 \
    } while (0)

static void a_file_that_lies_is_not_believed(void **state)
{
    (void)state;
    ElfW(Shdr) *table = section(SHT_SYMTAB), *names = strings();
    BREAK(head()->e_ident[EI_MAG0], 'X');
    BREAK(head()->e_ident[EI_CLASS], ELFCLASSNONE);
    BREAK(head()->e_shnum, 0);
    BREAK(head()->e_shnum, 0xffff);
    BREAK(head()->e_phnum, 0);
    BREAK(head()->e_phnum, 0xffff);
    BREAK(head()->e_shentsize, 1);
    BREAK(head()->e_phentsize, 0);
    BREAK(head()->e_shoff, UINT64_MAX);
    BREAK(head()->e_shoff, INT64_MAX - 8);
    BREAK(head()->e_phoff, image_bytes - 8);
    BREAK(table->sh_link, 0xffffffff);
    BREAK(table->sh_link, 0);
    BREAK(table->sh_offset, UINT64_MAX - 4);
    BREAK(table->sh_size, UINT64_MAX);
    BREAK(table->sh_size, 0);
    BREAK(table->sh_size, sizeof(ElfW(Sym)) - 1);
    BREAK(names->sh_offset, image_bytes);
    BREAK(names->sh_size, 0);
    BREAK(names->sh_size, 1);
    BREAK(names->sh_size, UINT64_MAX - 1);
}

/* A name without an end, of a table as large as may be. */
static void a_name_has_an_end(void **state)
{
    (void)state;
    ElfW(Shdr) *names = strings();
    char *text = image + names->sh_offset, *was = malloc(names->sh_size);
    memcpy(was, text, names->sh_size);
    memset(text, 'a', names->sh_size);
    struct symbol s = look(image_bytes);
    memcpy(text, was, names->sh_size);
    free(was);
    assert_non_null(s.name);
    assert_int_equal(strlen(s.name), 200);
}

static void a_file_that_is_cut_off_is_read_as_far_as_it_goes(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof(ElfW(Ehdr)) + 8; n++)
        assert_null(look(n).name);
    for (size_t i = 1; i < 40; i++) /* the tables are at the end */
        assert_null(look(image_bytes / 40 * i).name);
    struct symbol s = {.at = place};
    symbols_look_into(-1, 0, UINT64_MAX, 0, &s, 1, arena);
    assert_null(s.name);
}

/* Any bytes of what is believed: the answer may be anything, and there is one. */
static void flipped_bytes_do_no_harm(void **state)
{
    (void)state;
    uint64_t random = 7;
    char *parts[] = {image, image + head()->e_shoff, image + head()->e_phoff,
                     image + section(SHT_SYMTAB)->sh_offset};
    const size_t sizes[] = {sizeof(ElfW(Ehdr)), head()->e_shnum * sizeof(ElfW(Shdr)),
                            head()->e_phnum * sizeof(ElfW(Phdr)), 4096};
    assert_int_equal(ftruncate(file, 0), 0);
    assert_int_equal(pwrite(file, image, image_bytes, 0), (ssize_t)image_bytes);
    for (int i = 0; i < 2000; i++) {
        char bytes[4][2];
        off_t at[4];
        for (int k = 0; k < 4; k++) {
            random = random * 6364136223846793005U + 1442695040888963407U;
            at[k] = parts[k] - image + (off_t)((random >> 33) % sizes[k]);
            bytes[k][0] = image[at[k]];
            bytes[k][1] = (char)(random >> 25);
            assert_int_equal(pwrite(file, &bytes[k][1], 1, at[k]), 1);
        }
        struct symbol s = {.at = place};
        arena_reset(arena);
        symbols_look_into(file, 0, UINT64_MAX, 0, &s, 1, arena);
        assert_true(!s.name || strlen(s.name) <= 200);
        for (int k = 3; k >= 0; k--)
            assert_int_equal(pwrite(file, &bytes[k][0], 1, at[k]), 1);
    }
}

/* ---- this very program ---- */

static bool knows_itself(void)
{
    struct symbol s = {.at = (uintptr_t)find_me};
    struct arena *a = arena_new(1 << 20);
    symbols_find(getpid(), &s, 1, a);
    bool knows = s.ours && s.name && strcmp(s.name, "find_me") == 0;
    arena_free(&a);
    return knows;
}

static void this_program_is_told_from_others(void **state)
{
    (void)state;
    assert_true(knows_itself());
    struct symbol s = {.at = (uintptr_t)strerror};
    symbols_find(getpid(), &s, 1, arena);
    assert_false(s.ours);
}

static void write_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    assert_true(fd >= 0);
    read_program();
    assert_int_equal(write(fd, image, image_bytes), (ssize_t)image_bytes);
    close(fd);
}

/* Of layers: what stat() says of a file there need not be what the maps say. */
static int run_in_layers(const char *folder)
{
    char lower[128], options[500], path[256];
    snprintf(lower, sizeof lower, "%s/lower", folder);
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("tmpfs", folder, "tmpfs", 0, NULL))
        return 77;
    static const char *const names[] = {"lower", "upper", "work", "all"};
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (mkdir(path, 0700))
            return 77;
    }
    snprintf(path, sizeof path, "%s/program", lower);
    write_file(path);
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower,
             folder, folder);
    snprintf(path, sizeof path, "%s/all", folder);
    if (mount("overlay", path, "overlay", 0, options))
        return 77;
    snprintf(path, sizeof path, "%s/all/program", folder);
    execl(path, path, "itself", NULL);
    return 78;
}

static void this_program_is_known_on_a_file_system_of_layers(void **state)
{
    (void)state;
    char folder[] = "/tmp/fulmar-test-XXXXXX";
    int status;
    assert_non_null(mkdtemp(folder));
    pid_t pid = fork();
    if (pid == 0)
        _exit(run_in_layers(folder));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(rmdir(folder), 0);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) /* no rights for that here */
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_names_its_functions),
        cmocka_unit_test(a_file_that_lies_is_not_believed),
        cmocka_unit_test(a_name_has_an_end),
        cmocka_unit_test(a_file_that_is_cut_off_is_read_as_far_as_it_goes),
        cmocka_unit_test(flipped_bytes_do_no_harm),
        cmocka_unit_test(this_program_is_told_from_others),
        cmocka_unit_test(this_program_is_known_on_a_file_system_of_layers),
    };
    spawn_init();
    if (argc == 2 && strcmp(argv[1], "itself") == 0)
        return knows_itself() ? 0 : 1;
    return cmocka_run_group_tests(tests, start, stop);
}
