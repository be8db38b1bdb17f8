/* Packs that are replaced while others work with them: when a change is read, what is kept. */
#include "core/settle.h"
#include "extract/packs.h"
#include "os/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAUSE_MS = 100 };

/* ---- when to read ---- */

static void what_was_read_is_not_read_again(void **state)
{
    (void)state;
    struct settle s = {0};
    settle_read(&s, 7);
    for (int64_t t = 0; t < 1000; t += PAUSE_MS)
        assert_false(settle_look(&s, 7, (mono){t}, PAUSE_MS, false));
}

static void a_change_is_read_once_it_has_rested(void **state)
{
    (void)state;
    struct settle s = {0};
    settle_read(&s, 7);
    assert_false(settle_look(&s, 8, (mono){1000}, PAUSE_MS, false));
    assert_false(
        settle_look(&s, 9, (mono){1100}, PAUSE_MS, false)); /* the editor's second step */
    assert_false(settle_look(&s, 9, (mono){1199}, PAUSE_MS, false));
    assert_true(settle_look(&s, 9, (mono){1200}, PAUSE_MS, false));
    settle_read(&s, 9); /* good or not */
    assert_false(settle_look(&s, 9, (mono){5000}, PAUSE_MS, false));
}

static void a_change_that_is_taken_back_is_none(void **state)
{
    (void)state;
    struct settle s = {0};
    settle_read(&s, 7);
    assert_false(settle_look(&s, 8, (mono){0}, PAUSE_MS, false));
    assert_false(settle_look(&s, 7, (mono){100}, PAUSE_MS, false));
    assert_false(settle_look(&s, 8, (mono){200}, PAUSE_MS, false)); /* rests from here on */
    assert_true(settle_look(&s, 8, (mono){300}, PAUSE_MS, false));
}

static void what_always_changes_is_read_only_by_force(void **state)
{
    (void)state;
    struct settle s = {0};
    for (uint64_t d = 1; d < 50; d++)
        assert_false(settle_look(&s, d, (mono){(int64_t)d * PAUSE_MS}, PAUSE_MS, false));
    assert_true(settle_look(&s, 50, (mono){0}, PAUSE_MS, true));
    settle_read(&s, 50);
    assert_true(settle_look(&s, 50, (mono){0}, PAUSE_MS, true));
}

/* ---- what a change is ---- */

static char top[] = "/tmp/fulmar-packs-XXXXXX";

static char *below(const char *name)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", top, name);
    return path;
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(below(name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static uint64_t digest(void)
{
    return files_digest(AT_FDCWD, below("x"));
}

static void every_kind_of_change_shows_in_the_digest(void **state)
{
    (void)state;
    assert_int_equal(files_digest(AT_FDCWD, below("nothing")), 0);
    assert_int_equal(mkdir(below("x"), 0700), 0);
    assert_int_equal(mkdir(below("x/maps"), 0700), 0);
    put("x/site.yaml", "name: x\n");
    put("x/maps/post.yaml", "a");
    put("plain", "");
    assert_int_equal(files_digest(AT_FDCWD, below("plain")), 0);
    uint64_t d = digest();
    assert_true(d != 0);
    assert_true(digest() == d);
    put("x/.site.yaml.swp", "an editor's own"); /* does not count */
    assert_true(digest() == d);
    put("x/maps/post.yaml", "b"); /* same size */
    assert_true(digest() != d);
    d = digest();
    put("x/maps/user.yaml", "");
    assert_true(digest() != d);
    d = digest();
    char from[200];
    span_copy(span_of(below("x/maps/user.yaml")), from, sizeof from);
    assert_int_equal(rename(from, below("x/maps/users.yaml")), 0);
    assert_true(digest() != d);
    d = digest();
    assert_int_equal(unlink(below("x/maps/users.yaml")), 0);
    assert_true(digest() != d);
    d = digest();
    /* The file behind a link is what counts. */
    put("first", "1");
    put("other", "22");
    char target[200];
    span_copy(span_of(below("first")), target, sizeof target);
    assert_int_equal(symlink(target, below("x/link.yaml")), 0);
    uint64_t linked = digest();
    assert_true(linked != d);
    assert_int_equal(unlink(below("x/link.yaml")), 0);
    span_copy(span_of(below("other")), target, sizeof target);
    assert_int_equal(symlink(target, below("x/link.yaml")), 0);
    assert_true(digest() != linked);
    assert_int_equal(unlink(below("x/link.yaml")), 0);
    /* A link to itself ends. */
    assert_int_equal(symlink(".", below("x/round")), 0);
    assert_true(digest() != 0);
}

/* ---- what is kept ---- */

static struct pack *open_real(const char *name)
{
    struct fault f = {0};
    struct pack *p = NULL;
    const char *folder = getenv("FULMAR_SITES") ? getenv("FULMAR_SITES") : "sites";
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    if (pack_open(&p, fd, name, &f))
        fail_msg("%s", f.words);
    close(fd);
    return p;
}

static void files_in_memory_are_the_same_pack(void **state)
{
    (void)state;
    static const char *const names[] = {"x", "bluesky", "mastodon", "generic-feed"};
    struct packs *ps = packs_new();
    struct buf image, again;
    struct fault f = {0};
    for (size_t i = 0; i < 4; i++)
        packs_add(ps, open_real(names[i]), &(struct pack_places){0});
    assert_int_equal(packs_seal(ps, &f), E_OK);
    assert_int_equal(packs_read_image(ps->image_fd, &image, &f), E_OK);
    assert_int_equal(packs_read_image(ps->image_fd, &again, &f),
                     E_OK); /* whoever read before */
    assert_true(image.n > 0 && span_eq(buf_span(&image), buf_span(&again)));
    struct buf versions = BUF(4096);
    for (size_t i = 0; i < 4; i++) {
        struct pack *p = NULL;
        if (pack_open_image(&p, buf_span(&image), names[i], &f))
            fail_msg("%s", f.words);
        assert_true(span_eq(pack_version(p), pack_version(ps->pack[i])));
        assert_true(span_eq(pack_image(p), pack_image(ps->pack[i])));
        packs_add_version(&versions, p);
        pack_close(&p);
    }
    assert_true(span_eq(buf_span(&versions), buf_span(&ps->versions)));
    /* Nobody who has the descriptor can change what others read. */
    assert_true(write(ps->image_fd, "x", 1) < 0);
    assert_true(ftruncate(ps->image_fd, 0) < 0);
    buf_free(&versions);
    buf_free(&image);
    buf_free(&again);
    packs_drop(&ps);
    assert_null(ps);
}

static void memory_that_was_cut_is_no_pack(void **state)
{
    (void)state;
    struct pack *p = open_real("x"), *q = NULL;
    struct span image = pack_image(p), path, text;
    for (size_t n = 0; n < image.n; n += 997) {
        struct fault f = {0};
        assert_true(pack_open_image(&q, span_cut(image, 0, n), "x", &f) != E_OK);
        assert_null(q);
        assert_true(f.words[0] != '\0');
    }
    struct span rest = SPAN("\xff\xff\xff\xffx");
    assert_false(image_next(&rest, &path, &text));
    assert_false(image_find(image, SPAN("x/nothing.yaml"), &text));
    assert_true(image_find(image, SPAN("x/site.yaml"), &text));
    assert_true(span_find(text, SPAN("name: x")) < text.n);
    pack_close(&p);
}

static void a_set_lives_as_long_as_somebody_works_with_it(void **state)
{
    (void)state;
    struct fault f = {0};
    struct packs *old = packs_new(), *new = packs_new();
    struct pack *kept = open_real("bluesky");
    packs_add(old, open_real("x"),
              &(struct pack_places){.base_url = SPAN("http://127.0.0.1:1")});
    packs_add(old, kept, &(struct pack_places){0});
    packs_add(new, pack_hold(kept), &(struct pack_places){0});
    assert_int_equal(packs_seal(old, &f), E_OK);
    assert_int_equal(packs_seal(new, &f), E_OK);
    assert_int_equal(packs_find(old, SPAN("x")), 0);
    assert_int_equal(packs_find(old, SPAN("bluesky")), 1);
    assert_int_equal(packs_find(new, SPAN("x")), PACKS_MAX);
    struct packs *job = packs_hold(old);
    int fd = old->image_fd;
    packs_drop(&old);
    assert_null(old);
    assert_true(span_is(pack_name(job->pack[0]), "x")); /* under the sanitizer: not freed */
    assert_true(fcntl(fd, F_GETFD) >= 0);
    packs_drop(&job);
    assert_true(fcntl(fd, F_GETFD) < 0);
    assert_true(span_is(pack_name(new->pack[0]), "bluesky"));
    packs_drop(&new);
    packs_drop(&new); /* nothing */
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(top) ? 0 : 1;
}

static int remove_folder(void **state)
{
    (void)state;
    return files_remove_tree(top, NULL) != E_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_read_is_not_read_again),
        cmocka_unit_test(a_change_is_read_once_it_has_rested),
        cmocka_unit_test(a_change_that_is_taken_back_is_none),
        cmocka_unit_test(what_always_changes_is_read_only_by_force),
        cmocka_unit_test(every_kind_of_change_shows_in_the_digest),
        cmocka_unit_test(files_in_memory_are_the_same_pack),
        cmocka_unit_test(memory_that_was_cut_is_no_pack),
        cmocka_unit_test(a_set_lives_as_long_as_somebody_works_with_it),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
