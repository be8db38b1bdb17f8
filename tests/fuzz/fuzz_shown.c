/* Bytes as a message of what watches a page, and the HTML in it through the source that reads it.
 * FULMAR_SITES names the site packs (default sites). */
#include "base/need.h"
#include "extract/reader.h"
#include "extract/shown.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MESSAGE_BYTES = 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pack *pack;
static struct reader *reader;
static struct arena *arena;
static struct json_parser *parser;

static void set_up(void)
{
    const char *sites = getenv("FULMAR_SITES");
    struct fault f = {0};
    int fd = open(sites ? sites : "sites", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || pack_open(&pack, fd, "x", &f)) {
        fprintf(stderr, "site pack: %s\n", fd < 0 ? "no such directory" : f.words);
        exit(1);
    }
    close(fd);
    reader = reader_new(pack, SHOWN_HTML_MAX);
    arena = arena_new(64 * 1024 * 1024);
    parser = json_parser_new(MESSAGE_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shown s = {.number = -1};
    struct reading r;
    struct fault f = {0};
    if (!pack)
        set_up();
    arena_reset(arena);
    if (shown_read(parser, (struct span){(const char *)data, size}, &s, &f)) {
        need(s.number == -1 && f.words[0]);
        return 0;
    }
    need(s.number >= 1 && s.html.n <= SHOWN_HTML_MAX);
    if (s.html.n && !reader_document(reader, s.guest ? SPAN("dom") : SPAN("dom_profile"), 200,
                                     SPAN_NONE, s.html, (wall){1786093200000}, arena, &r, &f))
        need(r.posts + r.users + r.unavailable + r.rejected >= r.count);
    return 0;
}
