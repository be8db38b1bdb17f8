/* How fast captured answers become records, on one core.
 *
 *   extract SITES_DIR FILE...
 *
 * The files are held in memory again and again until there are 100 MB of them; then each copy is
 * turned into finished records once, into an arena that is reset before the next, as in a worker.
 * Processor time; the peak of memory is that of the whole process, input included. */
#include "base/arena.h"
#include "base/when.h"
#include "extract/reader.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    FILES_MAX = 256,
    FILE_BYTES = 16 * 1024 * 1024,
    HELD_BYTES = 100 * 1000 * 1000,
    HELD_MAX = 100000,
};

static struct span read_whole(const char *path)
{
    struct buf text = BUF(FILE_BYTES);
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(2);
    }
    for (char *room; (room = buf_room(&text, 65536)) != NULL;) {
        size_t n = fread(room, 1, 65536, f);
        if (n == 0)
            break;
        text.n += n;
    }
    fclose(f);
    return buf_span(&text); /* kept until the end */
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct totals {
    double bytes, posts, users, answers;
};

static void one_turn(struct reader *r, struct arena *a, const struct span *bodies, size_t n,
                     struct totals *t)
{
    static const struct operation op = {.name = {"UserTweets", 10}, .role = OP_TIMELINE};
    for (size_t i = 0; i < n; i++) {
        struct reading reading;
        struct fault f = {0};
        arena_reset(a);
        if (reader_answer(r, &op, 200, SPAN_NONE, bodies[i], (wall){1786093200000}, a, &reading,
                          &f)) {
            fprintf(stderr, "%s\n", f.words);
            exit(1);
        }
        t->bytes += (double)bodies[i].n;
        t->posts += (double)reading.posts;
        t->users += (double)reading.users;
        t->answers += 1;
    }
}

/* The files again and again until there are HELD_BYTES of them, each copy in memory of its own. */
static struct span *hold(const struct span *files, size_t count, size_t *out_count)
{
    struct span *held = heap_get(HELD_MAX * sizeof *held);
    size_t n = 0, bytes = 0;
    for (; bytes < HELD_BYTES && n < HELD_MAX; n++) {
        struct span from = files[n % count];
        char *copy = heap_get(from.n + 1);
        memcpy(copy, from.p, from.n);
        held[n] = (struct span){copy, from.n};
        bytes += from.n;
    }
    *out_count = n;
    return held;
}

int main(int argc, char **argv)
{
    struct span files[FILES_MAX];
    struct totals t = {0};
    struct pack *pack = NULL;
    struct fault f = {0};
    if (argc < 3 || argc - 2 > FILES_MAX) {
        fprintf(stderr, "usage: extract SITES_DIR FILE...\n");
        return 2;
    }
    int fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || pack_open(&pack, fd, "x", &f)) {
        fprintf(stderr, "%s: %s\n", argv[1], fd < 0 ? "no such directory" : f.words);
        return 1;
    }
    close(fd);
    size_t n = (size_t)(argc - 2), count;
    for (size_t i = 0; i < n; i++)
        files[i] = read_whole(argv[i + 2]);
    struct span *held = hold(files, n, &count);
    struct reader *reader = reader_new(pack, FILE_BYTES);
    struct arena *arena = arena_new((size_t)FILE_BYTES * 4);
    double start = now_s();
    one_turn(reader, arena, held, count, &t);
    double took = now_s() - start;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double peak = (double)usage.ru_maxrss * 1024;
    printf("program=extract answers=%.0f mb=%.1f seconds=%.2f mb_per_s=%.0f posts_per_s=%.0f "
           "users_per_s=%.0f peak_mb=%.0f peak_of_input=%.2f\n",
           t.answers, t.bytes / 1e6, took, t.bytes / 1e6 / took, t.posts / took, t.users / took,
           peak / 1e6, peak / t.bytes);
    arena_free(&arena);
    reader_free(&reader);
    pack_close(&pack);
    return 0;
}
