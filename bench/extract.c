/* How fast captured answers become records, on one core.
 *
 *   extract SITES_DIR SECONDS FILE...
 *
 * Every file is read once, then all of them are read again and again for about SECONDS
 * (processor time), each answer into an arena that is reset before the next, as in a worker. */
#include "base/when.h"
#include "extract/reader.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { FILES_MAX = 256, FILE_BYTES = 16 * 1024 * 1024 };

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

int main(int argc, char **argv)
{
    struct span bodies[FILES_MAX];
    struct totals t = {0};
    struct pack *pack = NULL;
    struct fault f = {0};
    if (argc < 4 || argc - 3 > FILES_MAX) {
        fprintf(stderr, "usage: extract SITES_DIR SECONDS FILE...\n");
        return 2;
    }
    int fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || pack_open(&pack, fd, "x", &f)) {
        fprintf(stderr, "%s: %s\n", argv[1], fd < 0 ? "no such directory" : f.words);
        return 1;
    }
    close(fd);
    size_t n = (size_t)(argc - 3);
    for (size_t i = 0; i < n; i++)
        bodies[i] = read_whole(argv[i + 3]);
    double seconds = strtod(argv[2], NULL), start = now_s();
    struct reader *reader = reader_new(pack, FILE_BYTES);
    struct arena *arena = arena_new((size_t)FILE_BYTES * 4);
    do
        one_turn(reader, arena, bodies, n, &t);
    while (now_s() - start < seconds);
    double took = now_s() - start;
    printf("%.0f answers, %.1f MB in %.2f s: %.0f MB/s, %.0f posts/s, %.0f users/s\n",
           t.answers, t.bytes / 1e6, took, t.bytes / 1e6 / took, t.posts / took,
           t.users / took);
    arena_free(&arena);
    reader_free(&reader);
    pack_close(&pack);
    return 0;
}
