/* reading.h - what a test of readers holds: a site pack, its reader, room for what it makes, and who reads that again.
 * Include it in the one file of a test program. */
#pragma once

#include "base/json.h"
#include "extract/reader.h"

#include "pack.h"

static struct pack *pack;
static struct reader *reader;
static struct arena *arena;
static struct json_parser *parser;

/* body_bytes: of the largest answer that is read. */
static inline void open_reading(const char *site, size_t body_bytes)
{
    pack = open_site(site);
    reader = reader_new(pack, body_bytes);
    arena = arena_new(body_bytes * 4);
    parser = json_parser_new(body_bytes);
}

static inline void close_reading(void)
{
    reader_free(&reader);
    arena_free(&arena);
    json_parser_free(&parser);
    pack_close(&pack);
}
