/* Any bytes in place of one file of a real pack: the first line names the file, the rest is its text. A pack that is accepted must also serve: plans for each of its targets, and an answer read with it.
 * FULMAR_SITES names the site packs (default sites). */
#include "base/need.h"
#include "extract/include.h"
#include "extract/reader.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/pack.h"

enum { FILES_MAX = 64, FILE_BYTES = 64 * 1024, NAME_BYTES = 128 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    char name[NAME_BYTES];
    struct buf text;
} files[FILES_MAX];
static size_t file_count;
static char folder[] = "/tmp/fulmar-fuzz-pack.XXXXXX";
static int folder_fd = -1;
static struct arena *arena;

static void stop(const char *words)
{
    perror(words);
    exit(1);
}

static void write_file(const char *name, const void *text, size_t n)
{
    char path[NAME_BYTES + 8];
    snprintf(path, sizeof path, "x/%s", name);
    int fd = openat(folder_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, n) != (ssize_t)n)
        stop(path);
    close(fd);
}

static void copy_files(int sites, const char *below)
{
    char path[64];
    snprintf(path, sizeof path, "x/%s", below);
    DIR *d = fdopendir(openat(sites, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!d)
        stop(path);
    for (struct dirent *e; (e = readdir(d)) && file_count < FILES_MAX;) {
        size_t n = strlen(e->d_name);
        if (n < 6 || n > 64 || strcmp(e->d_name + n - 5, ".yaml") != 0)
            continue;
        int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC);
        struct buf text = BUF(FILE_BYTES);
        char *room = buf_room(&text, FILE_BYTES);
        ssize_t got = fd < 0 || !room ? -1 : read(fd, room, FILE_BYTES);
        if (got < 0)
            stop(e->d_name);
        close(fd);
        text.n = (size_t)got;
        snprintf(files[file_count].name, NAME_BYTES, "%s%s", below, e->d_name);
        files[file_count].text = text;
        write_file(files[file_count++].name, text.p, text.n);
    }
    closedir(d);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void remove_folder(void)
{
    for (size_t i = 0; i < file_count; i++) {
        char path[NAME_BYTES + 8];
        snprintf(path, sizeof path, "x/%s", files[i].name);
        unlinkat(folder_fd, path, 0);
    }
    unlinkat(folder_fd, "x/maps", AT_REMOVEDIR);
    unlinkat(folder_fd, "x", AT_REMOVEDIR);
    rmdir(folder);
}

static void set_up(void)
{
    int fd = open_sites();
    if (!mkdtemp(folder))
        stop(folder);
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0 || mkdirat(folder_fd, "x", 0700) || mkdirat(folder_fd, "x/maps", 0700))
        stop(folder);
    atexit(remove_folder);
    copy_files(fd, "");
    copy_files(fd, "maps/");
    close(fd);
    /* In the order of their names, so that an input means the same on every machine. */
    qsort(files, file_count, sizeof files[0], by_name);
    arena = arena_new(16 * 1024 * 1024);
}

static void use(const struct pack *p)
{
    static const char body[] =
        "{\"data\":{\"instructions\":[{\"type\":\"TimelineAddEntries\",\"entries\":[{\"entryId\":"
        "\"tweet-1\",\"content\":{\"itemContent\":{\"tweet_results\":{\"result\":{\"rest_id\":"
        "\"1780000000000000000\",\"legacy\":{\"full_text\":\"a &amp; b\"}}}}}}]}]}}";
    static const char page[] = "<article data-testid=tweet><a href=/a/status/1>x</a></article>";
    const struct operation op = {.name = {"UserTweets", 10}, .role = OP_TIMELINE};
    const struct span *kinds;
    struct reader *r = reader_new(p, 1024 * 1024);
    struct reading out;
    struct plan plan;
    size_t n = pack_targets(p, &kinds);
    for (size_t i = 0; i < n; i++) {
        struct target_view view;
        struct include_way way;
        arena_reset(arena);
        if (plan_make(&plan, p, arena, kinds[i], SPAN("nasa"), SPAN_NONE, NULL))
            continue;
        need(pack_target_view(p, kinds[i], &view));
        for (size_t k = 0; k < view.product_count; k++)
            (void)!plan_choose(&plan, p, arena, view.products[k], NULL);
        if (!pack_include(p, kinds[i], SPAN("nasa"), 7, arena, &way, NULL) &&
            !plan_make(&plan, p, arena, way.kind, SPAN("nasa"), SPAN_NONE, NULL))
            (void)!plan_add_words(&plan, p, arena, way.words, way.url, NULL);
        (void)!plan_configure(&plan, SPAN("nitter=https://n.test"), arena, NULL);
    }
    arena_reset(arena);
    (void)!reader_answer(r, &op, 200, SPAN_NONE, span_of(body), (wall){1786093200000}, arena,
                         &out, NULL);
    (void)!reader_document(r, SPAN("dom"), 200, SPAN_NONE, span_of(page), (wall){1786093200000},
                           arena, &out, NULL);
    reader_free(&r);
}

/* The file of that name, else one by the first byte. */
static size_t file_of(struct span name)
{
    for (size_t i = 0; i < file_count; i++)
        if (span_is(name, files[i].name))
            return i;
    return name.n ? (uint8_t)name.p[0] % file_count : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct pack *p = NULL;
    struct fault f = {0};
    if (!arena)
        set_up();
    if (size < 1 || size > FILE_BYTES)
        return 0;
    size_t end = span_find_char(text, '\n'), which = file_of(span_cut(text, 0, end));
    text = span_cut(text, end + 1, size);
    write_file(files[which].name, text.n ? text.p : "", text.n);
    if (pack_open(&p, folder_fd, "x", &f) == E_OK)
        use(p);
    else
        need(f.words[0]); /* a pack that is refused is refused with words */
    pack_close(&p);
    write_file(files[which].name, files[which].text.p, files[which].text.n);
    return 0;
}
