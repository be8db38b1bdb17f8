/* replay.h - recorded answers through a site pack, without any traffic.
 *
 * A recording is a file NAME.json, .xml or .html, or NAME-anything.json, with the body of one answer of the site: NAME is
 * an operation of the page's own API, or a source of the pack. Beside it may lie what the pack is to make of it: the same name with .records.ndjson,
 * one record a line, in page order. */
#pragma once

#include "base/arena.h"
#include "extract/pack.h"

struct difference {
    const char *recording;     /* file name */
    struct span id;            /* of the record; empty: the whole recording */
    const char *field;         /* dotted path; NULL: the record itself is missing or new */
    struct span before, after; /* as JSON; empty: not there */
};
struct replay {
    struct arena *arena;
    void (*on_difference)(void *ctx, const struct difference *d);
    void *ctx;
    /* unexpected: without expectation */
    size_t recordings, records, fields, differences, unexpected;
};

/* Reads every recording of the folder with the pack and compares it with its expectation; with
 * `accept` writes the expectations instead. E_NOT_FOUND: no recording there; E_BAD_INPUT: a file name
 * that is no operation and no source of the pack; the words name the file. */
MUST_USE err replay_test(struct replay *r, const struct pack *p, const char *folder,
                         bool accept, struct fault *f);
/* One record before and after: tells every field that differs. `name` stands for the recording. */
void replay_record(struct replay *r, const char *name, struct span before, struct span after);
/* The same recordings with two packs: what would change. */
MUST_USE err replay_diff(struct replay *r, const struct pack *before, const struct pack *after,
                         const char *folder, struct fault *f);
